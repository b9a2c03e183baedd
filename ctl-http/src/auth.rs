//! Who may ask: token and source address (`http-api.md` §3).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use tracing::debug;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;
use zt_proto::IpPrefix;

use crate::State;
use crate::extract::percent_decode;

/// What the audit log calls whoever has the secret: the file in which it is.
pub(crate) const TOKEN_NAME: &str = "authtoken.secret";

/// The secret that opens the whole API. Never shown, not even by `Debug`.
#[derive(Clone)]
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
    fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The request may not be answered; which path it names does not matter.
#[derive(Debug)]
pub(crate) struct Unauthorized;

impl warp::reject::Reject for Unauthorized {}

/// Lets requests from an allowed source pass. Without a source, the request did not come over IP: that is local.
pub(crate) fn allowed_source(state: Arc<State>) -> BoxedFilter<()> {
    warp::addr::remote()
        .and_then(move |remote: Option<SocketAddr>| {
            let allowed = remote.is_none_or(|remote| {
                let conf = state.api.local_conf.borrow();
                is_allowed(remote.ip(), conf.allowed_sources.as_ref().unwrap_or(&state.api.allowed_sources))
            });
            if !allowed {
                debug!(?remote, "request refused: neither loopback nor an allowed source");
            }
            async move { if allowed { Ok(()) } else { Err(warp::reject::custom(Unauthorized)) } }
        })
        .untuple_one()
        .boxed()
}

/// Says whether `ip` is loopback or in one of `ranges`. On a dual-stack socket IPv4 looks like `::ffff:a.b.c.d`.
fn is_allowed(ip: IpAddr, ranges: &[IpPrefix]) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ranges.iter().any(|range| range.contains(ip))
}

/// Lets requests with the right token pass.
pub(crate) fn authorized(state: Arc<State>) -> BoxedFilter<()> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::header::headers_cloned()
        .and(query)
        .and_then(move |headers: HeaderMap, query: String| {
            let query = state.api.allow_query_token.then_some(query.as_str());
            let result = check(&state.api.token, &headers, query);
            if let Err(reason) = result {
                debug!(reason, "request refused");
            }
            async move { result.map_err(|_| warp::reject::custom(Unauthorized)) }
        })
        .untuple_one()
        .boxed()
}

/// Lets requests with the main token or that of the metrics pass.
pub(crate) fn may_read_metrics(state: Arc<State>) -> BoxedFilter<()> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::header::headers_cloned()
        .and(query)
        .and_then(move |headers: HeaderMap, query: String| {
            let query = state.api.allow_query_token.then_some(query.as_str());
            let tokens = [&state.api.metrics_token, &state.api.token];
            let allowed = tokens.map(|token| check(token, &headers, query).is_ok()).contains(&true);
            async move { if allowed { Ok(()) } else { Err(warp::reject::custom(Unauthorized)) } }
        })
        .untuple_one()
        .boxed()
}

/// Checks the first place that has a token, even if a later one has the right one.
fn check(token: &Token, headers: &HeaderMap, query: Option<&str>) -> Result<(), &'static str> {
    let right = if let Some(presented) = headers.get("x-zt1-auth") {
        token.is(presented.as_bytes().trim_ascii())
    } else if let Some(presented) = query.and_then(|query| query_parameter(query, "auth")) {
        percent_decode(presented).is_some_and(|presented| token.is(presented.as_bytes()))
    } else if let Some(presented) = headers.get(AUTHORIZATION) {
        bearer(presented.as_bytes()).is_some_and(|presented| token.is(presented))
    } else {
        return Err("no token");
    };
    if right { Ok(()) } else { Err("wrong token") }
}

fn query_parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    parameters.find_map(|(key, value)| (key == name).then_some(value))
}

/// Returns the second word, if there are two and the first is `Bearer` in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (scheme, token) = (words.next()?, words.next()?);
    (scheme.eq_ignore_ascii_case(b"bearer") && words.next().is_none()).then_some(token)
}

#[cfg(test)]
mod tests {
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
    fn loopback_is_allowed_and_the_rest_only_by_range() {
        let ranges = ["10.55.0.0/24".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for ip in
            ["127.0.0.1", "127.5.6.7", "::1", "::ffff:127.0.0.1", "10.55.0.9", "::ffff:10.55.0.9", "fd00::1"]
        {
            assert!(is_allowed(ip.parse().unwrap(), &ranges), "{ip}");
        }
        for ip in ["10.55.1.1", "::ffff:10.55.1.1", "fe80::1", "8.8.8.8"] {
            assert!(!is_allowed(ip.parse().unwrap(), &ranges), "{ip}");
        }
    }
}
