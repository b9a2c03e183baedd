//! Tokens as requests present them, and the one in the home folder (`http-api.md` §3.1).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;

use crate::extract::percent_decode;

/// The secret that opens the whole API. Never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

/// The token is empty, so an empty header would open the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty, expected at least one character")]
pub struct EmptyToken;

impl Token {
    /// Reads the content of a token file; white space around it does not count.
    pub fn new(text: &str) -> Result<Self, EmptyToken> {
        let text = text.trim();
        if text.is_empty() { Err(EmptyToken) } else { Ok(Self(text.into())) }
    }

    /// Compares in a time that depends on nothing but the two lengths.
    pub(crate) fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Returns what the first place that has a token has there, even if a later one has another; `None` if there is none.
///
/// `query` is the query if tokens are taken from it. `Authorization: token …`, as the hosted service has it, counts
/// only for paths of its API.
pub(crate) fn presented<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    path: &str,
) -> Option<Cow<'a, [u8]>> {
    if let Some(value) = headers.get("x-zt1-auth") {
        Some(value.as_bytes().trim_ascii().into())
    } else if let Some(value) = query.and_then(|query| query_parameter(query, "auth")) {
        Some(percent_decode(value).unwrap_or_default().into_bytes().into())
    } else {
        let is_hosted = path.starts_with("/api/v1/");
        headers
            .get(AUTHORIZATION)
            .map(|value| second_word(value.as_bytes(), is_hosted).unwrap_or_default().into())
    }
}

fn query_parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    parameters.find_map(|(key, value)| (key == name).then_some(value))
}

/// Returns the second word, if there are two and the first is `Bearer` in any case, or `token` where that counts.
fn second_word(value: &[u8], is_hosted: bool) -> Option<&[u8]> {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (scheme, token) = (words.next()?, words.next()?);
    let fits = scheme.eq_ignore_ascii_case(b"bearer") || is_hosted && scheme.eq_ignore_ascii_case(b"token");
    (fits && words.next().is_none()).then_some(token)
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    #[test]
    fn empty_token_is_refused() {
        assert_eq!(Token::new(" \n").unwrap_err(), EmptyToken);
    }

    #[test]
    fn token_is_trimmed_and_not_shown() {
        let token = Token::new("secret\n").unwrap();
        assert!(token.is(b"secret") && !token.is(b"secret\n") && !token.is(b"Secret") && !token.is(b""));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn scheme_of_the_hosted_service_counts_for_its_api_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("token secret"));
        assert_eq!(presented(&headers, None, "/api/v1/network").as_deref(), Some(&b"secret"[..]));
        for path in ["/controller", "/api/v2/network", "/api/v1"] {
            assert_eq!(presented(&headers, None, path).as_deref(), Some(&b""[..]), "{path}");
        }
        headers.insert(AUTHORIZATION, HeaderValue::from_static("BEARER  secret"));
        assert_eq!(presented(&headers, None, "/status").as_deref(), Some(&b"secret"[..]));
    }
}
