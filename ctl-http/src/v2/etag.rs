//! Entity tags and conditional requests (RFC 9110 §8.8.3, §13).
//!
//! A tag has two halves: which version of the record it is, and a hash of all that was shown. `If-Match` looks at the
//! first, since that is what an edit could overwrite: a member that went offline meanwhile may still be edited.
//! `If-None-Match` of a read looks at both.

use sha2::{Digest, Sha256};
use warp::http::HeaderMap;
use warp::http::header::{AsHeaderName, IF_MATCH, IF_NONE_MATCH};
use zt_proto::Timestamp;

use super::problem::Problem;

/// Which version of a record it is: its revision, and when it was created, as a record that was removed and made again
/// begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: u64,
    pub(crate) created: Timestamp,
}

impl Version {
    /// Returns the strong entity tag of `body`, which shows this version.
    pub(crate) fn tag(self, body: &[u8]) -> String {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(body).into();
        let hash = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        format!("\"{}{hash:016x}\"", self.prefix())
    }

    fn prefix(self) -> String {
        format!("{}.{:x}.", self.revision, self.created.0)
    }
}

/// The conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    Listed(Vec<String>),
}

impl Conditions {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, IF_MATCH), if_none_match: tags(headers, IF_NONE_MATCH) }
    }

    /// Checks a change of a record; `None` if there is no such record.
    ///
    /// # Errors
    /// 412 if the record is not what the client believes.
    pub(crate) fn check(&self, current: Option<Version>) -> Result<(), Problem> {
        let is_current = |tag: &String| {
            let prefix = current.map(|version| format!("\"{}", version.prefix()));
            prefix.is_some_and(|prefix| tag.starts_with(&prefix))
        };
        let is_met = |tags: &Tags| match tags {
            Tags::Any => current.is_some(),
            Tags::Listed(tags) => tags.iter().any(is_current),
        };
        let revision = current.map_or_else(
            || "there is no such record".to_owned(),
            |version| format!("the record is at revision {}", version.revision),
        );
        if self.if_match.as_ref().is_some_and(|tags| !is_met(tags)) {
            return Err(Problem::precondition_failed(format!("If-Match names another version: {revision}")));
        }
        if self.if_none_match.as_ref().is_some_and(is_met) {
            return Err(Problem::precondition_failed(format!("If-None-Match excludes this: {revision}")));
        }
        Ok(())
    }

    /// Says whether the client has what `tag` stands for already.
    pub(crate) fn is_known(&self, tag: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Listed(tags)) => tags.iter().any(|known| known.trim_start_matches("W/") == tag),
        }
    }
}

/// Returns the tags of a header; one that cannot be read is one that nothing matches.
fn tags(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Tags> {
    let mut all = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(name) {
        is_there = true;
        let text = value.to_str().unwrap_or_default();
        if text.trim() == "*" {
            return Some(Tags::Any);
        }
        // Ours have no comma in them.
        all.extend(text.split(',').map(|tag| tag.trim().to_owned()));
    }
    is_there.then_some(Tags::Listed(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Version = Version { revision: 5, created: Timestamp(0xab) };

    fn conditions(if_match: Option<&str>, if_none_match: Option<&str>) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in [(IF_MATCH, if_match), (IF_NONE_MATCH, if_none_match)] {
            value.into_iter().for_each(|value| drop(headers.insert(&name, value.parse().unwrap())));
        }
        Conditions::read(&headers)
    }

    #[test]
    fn edit_is_refused_if_the_record_is_another_version() {
        let tag = VERSION.tag(b"shown");
        assert!(tag.starts_with("\"5.ab.") && tag.ends_with('"'), "{tag}");
        for (if_match, is_met) in [
            (tag.clone(), true),
            (VERSION.tag(b"the same, gone offline"), true),
            (format!("\"x\", {tag}"), true),
            ("*".to_owned(), true),
            (Version { revision: 55, ..VERSION }.tag(b"shown"), false),
            (Version { created: Timestamp(0xabc), ..VERSION }.tag(b"shown"), false),
            (format!("W/{tag}"), false),
            ("5".to_owned(), false),
            (String::new(), false),
        ] {
            let conditions = conditions(Some(&if_match), None);
            assert_eq!(conditions.check(Some(VERSION)).is_ok(), is_met, "{if_match}");
            assert!(conditions.check(None).is_err(), "{if_match}");
        }
    }

    #[test]
    fn record_is_made_only_if_there_is_none() {
        let conditions = conditions(None, Some("*"));
        assert!(conditions.check(None).is_ok() && conditions.check(Some(VERSION)).is_err());
        assert!(Conditions::default().check(None).is_ok());
    }

    #[test]
    fn read_is_spared_only_if_nothing_shown_changed() {
        let tag = VERSION.tag(b"shown");
        for (header, is_known) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            ("*".to_owned(), true),
            (VERSION.tag(b"gone offline"), false),
        ] {
            assert_eq!(conditions(None, Some(&header)).is_known(&tag), is_known, "{header}");
        }
    }
}
