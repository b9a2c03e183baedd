//! Which pages of other servers may use the API (CORS).

use std::fmt;
use std::str::FromStr;

use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use warp::http::{HeaderMap, HeaderValue, Method};

/// Headers of requests that a page may set.
const REQUEST_HEADERS: &str =
    "authorization, content-type, if-match, if-none-match, last-event-id, x-request-id, x-zt1-auth";
/// Headers of answers that a page may read.
const ANSWER_HEADERS: &str = "etag, location, retry-after, x-request-id";
/// How long a browser may remember a preflight, in seconds.
const REMEMBERED: &str = "600";

/// Scheme, host and port of a page, as browsers send them: `https://panel.example:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// A text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an origin as browsers send it, in small letters and without a slash at its end, for example \
     https://panel.example, got {0}"
)]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let refused = || OriginError(ctl_core::record::cut(text));
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = host.filter(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']'))
        });
        host.ok_or_else(refused)?;
        HeaderValue::from_str(text).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Returns the origin of a request if it is one of `allowed`.
pub(crate) fn allowed_origin<'a>(headers: &HeaderMap, allowed: &'a [Origin]) -> Option<&'a Origin> {
    let origin = headers.get(ORIGIN)?;
    allowed.iter().find(|allowed| allowed.0 == origin)
}

/// Says whether a browser asks what it may ask.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what a browser needs to show an answer to a page from `origin`.
pub(crate) fn allow(origin: &Origin, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.0.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_HEADERS));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// Adds the answer to a preflight.
pub(crate) fn allow_requests(headers: &mut HeaderMap) {
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact_or_refused() {
        for text in ["https://panel.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "*",
            "null",
            "",
            "https://",
            "https://a/",
            "https://A.example",
            "ftp://a",
            "https://a b",
            "a.example",
        ] {
            let error = text.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains("expected an origin"), "{text}: {error}");
        }
    }
}
