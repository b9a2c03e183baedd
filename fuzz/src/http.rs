//! Texts that administrators and pages write for the API.

use ctl_http::{LocalConf, Origin, Scope};

/// `local.conf`, which may have anything that somebody wrote into it.
pub fn local_conf(data: &[u8]) -> bool {
    let read = LocalConf::parse(data);
    if let Ok(conf) = &read {
        assert_eq!(LocalConf::parse(data).ok().as_ref(), Some(conf), "the same file means the same");
    }
    read.is_ok()
}

/// The scope of a token, as it is stored and as the command line takes it.
pub fn scope(data: &[u8]) -> bool {
    let Some(scope) = text(data).and_then(|text| text.parse::<Scope>().ok()) else { return false };
    assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(&scope));
    assert_eq!(Scope::new(scope.grants()).as_ref(), Ok(&scope));
    true
}

/// An origin, which is later compared with what browsers send.
pub fn origin(data: &[u8]) -> bool {
    let Some(text) = text(data) else { return false };
    let Ok(origin) = text.parse::<Origin>() else { return false };
    assert_eq!(origin.to_string(), text, "what is compared is what was written");
    true
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
