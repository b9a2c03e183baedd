//! What of `local.conf` concerns a controller (`http-api.md` §3.2, §6.3).

use serde_json::{Map, Value};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::IpPrefix;

use crate::extract::{self, reading, segment};
use crate::{Shared, with};

/// Largest `local.conf`, in bytes.
pub const MAX_LOCAL_CONF: u64 = 1 << 20;

/// The settings file that tools write for the original.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalConf {
    content: Map<String, Value>,
    /// From where requests may come, beside loopback; `None` if the file does not say.
    pub(crate) allowed_sources: Option<Vec<IpPrefix>>,
}

/// The file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum LocalConfError {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("expected a JSON object")]
    NoObject,
    #[error("settings.allowManagementFrom: expected an array of ADDRESS/BITS, got {0}")]
    Sources(String),
}

impl LocalConf {
    /// Reads the content of the file; none is like an empty object.
    ///
    /// # Errors
    /// If it is not a JSON object, or if `settings.allowManagementFrom` is not what it should be: whoever mistypes a range
    /// should neither be locked out nor let anybody in.
    pub fn parse(text: &[u8]) -> Result<Self, LocalConfError> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let Value::Object(content) = serde_json::from_slice(text)? else {
            return Err(LocalConfError::NoObject);
        };
        let sources = content.get("settings").and_then(|settings| settings.get("allowManagementFrom"));
        let allowed_sources = sources.map(read_sources).transpose()?;
        Ok(Self { content, allowed_sources })
    }

    /// Returns the networks of `physical` that are to be trusted paths, which this node does not serve.
    pub fn trusted_paths(&self) -> Vec<&str> {
        let physical = self.content.get("physical").and_then(Value::as_object).into_iter().flatten();
        let is_trusted = |of: &Value| of.get("trustedPathId").is_some_and(|id| *id != 0);
        physical.filter(|(_, of)| is_trusted(of)).map(|(network, _)| network.as_str()).collect()
    }

    /// Returns the content without the settings, and the settings.
    pub(crate) fn parts(&self) -> (Map<String, Value>, Map<String, Value>) {
        let mut content = self.content.clone();
        let settings = content.remove("settings");
        (content, settings.and_then(|settings| settings.as_object().cloned()).unwrap_or_default())
    }
}

fn read_sources(value: &Value) -> Result<Vec<IpPrefix>, LocalConfError> {
    let wrong = |value: &Value| LocalConfError::Sources(value.to_string().chars().take(100).collect());
    let ranges = value.as_array().ok_or_else(|| wrong(value))?.iter();
    ranges
        .map(|range| range.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| wrong(range)))
        .collect()
}

/// `GET /config`: the content of `local.conf`. It is not changed over HTTP: whoever has the token could let more in.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    segment("config")
        .and(reading())
        .and(with(state))
        .map(|state: Shared| extract::json(StatusCode::OK, &state.api.local_conf.borrow().content))
        .boxed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_and_the_rest_is_kept() {
        let text = r#"{"settings":{"allowManagementFrom":["10.55.0.0/24","fd00::/8"],"x":1},"physical":{}}"#;
        let conf = LocalConf::parse(text.as_bytes()).unwrap();
        assert_eq!(
            conf.allowed_sources,
            Some(vec!["10.55.0.0/24".parse().unwrap(), "fd00::/8".parse().unwrap()])
        );
        let (content, settings) = conf.parts();
        assert_eq!((content.contains_key("physical"), content.len(), settings.len()), (true, 1, 2));
        for text in ["", "{}", r#"{"settings":{}}"#, r#"{"settings":5}"#] {
            assert_eq!(LocalConf::parse(text.as_bytes()).unwrap().allowed_sources, None, "{text}");
        }
    }

    #[test]
    fn mistyped_range_is_named() {
        for (ranges, named) in
            [(r#""10.0.0.0/8""#, "10.0.0.0/8"), (r#"["10.0.0.0/33"]"#, "/33"), ("[7]", "7")]
        {
            let text = format!(r#"{{"settings":{{"allowManagementFrom":{ranges}}}}}"#);
            let error = LocalConf::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("allowManagementFrom") && error.contains(named), "{error}");
        }
        assert!(LocalConf::parse(b"[]").is_err() && LocalConf::parse(b"{").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(LocalConf::parse(&text));
        }
    }
}
