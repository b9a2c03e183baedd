//! What a token needs for each endpoint: the one place where that is said.
//!
//! What is not listed needs a token that may do everything, so a new endpoint is closed until it has a row.

use warp::http::Method;
use zt_proto::NetworkId;

use super::Caller;
use super::scope::Level;
use crate::extract::percent_decode;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// No token at all.
    Nothing,
    /// No token for who wants a page, else one, whatever it may do: scripts that look for a controller expect 401.
    Page,
    /// A token, whatever it may do: nothing here says more than what everybody with a network knows.
    Any,
    /// A token that may read, or the one for metrics; from any source.
    Metrics,
    /// A token that may read.
    Read,
    /// A token that may read, or let members in.
    ReadOrAuthorize,
    /// A token that may let members in. What such a one stores is looked at again, see `State::write`.
    Authorize,
    /// A token that may do everything, with the network if the path names one.
    Admin,
}

/// An endpoint: methods, path, need. `{network}` is a network id, to which the need then refers; another name in braces
/// is any one segment, and `**` whatever is below.
type Row = (&'static str, &'static str, Need);

const ROWS: &[Row] = &[
    ("GET", "/health", Need::Nothing),
    ("GET", "/health/live", Need::Nothing),
    ("GET", "/health/ready", Need::Nothing),
    ("GET", "/", Need::Page),
    ("GET", "/console", Need::Nothing),
    ("GET", "/console/**", Need::Nothing),
    ("GET", "/openapi.json", Need::Nothing),
    ("GET", "/docs", Need::Nothing),
    ("GET", "/docs/page.js", Need::Nothing),
    ("GET", "/docs/page.css", Need::Nothing),
    ("GET", "/metrics", Need::Metrics),
    ("GET", "/status", Need::Any),
    ("GET", "/peer", Need::Read),
    ("GET", "/peer/{node}", Need::Read),
    ("GET", "/network", Need::Any),
    ("GET DELETE", "/network/{network}", Need::Any),
    ("GET", "/moon", Need::Read),
    ("GET", "/moon/{world}", Need::Read),
    // May have anything that somebody wrote into the file.
    ("GET", "/config", Need::Admin),
    ("GET", "/controller", Need::Any),
    // Lists only what the token may read.
    ("GET", "/controller/network", Need::Any),
    ("POST PUT", "/controller/network", Need::Admin),
    ("POST PUT", "/controller/network/{node}______", Need::Admin),
    ("GET", "/controller/network/{network}", Need::Read),
    ("POST PUT DELETE", "/controller/network/{network}", Need::Admin),
    ("GET", "/unstable/controller/network", Need::Read),
    ("GET", "/controller/network/{network}/member", Need::Read),
    ("GET", "/controller/network/{network}/active", Need::Read),
    ("GET", "/controller/network/{network}/member/{node}", Need::Read),
    ("POST PUT", "/controller/network/{network}/member/{node}", Need::Authorize),
    ("DELETE", "/controller/network/{network}/member/{node}", Need::Admin),
    ("GET", "/unstable/controller/network/{network}/member", Need::Read),
    ("GET", "/api/v1/status", Need::Read),
    ("GET", "/api/v1/randomToken", Need::Any),
    ("GET", "/api/v1/self", Need::Read),
    ("GET", "/api/v1/user", Need::Read),
    ("GET", "/api/v1/user/{id}", Need::Read),
    ("GET", "/api/v1/org", Need::Read),
    ("GET", "/api/v1/org/{id}", Need::Read),
    ("GET", "/api/v1/org/{id}/user", Need::Read),
    ("GET", "/api/v1/org-invitation", Need::Read),
    ("GET", "/api/v1/network", Need::Read),
    ("GET", "/api/v1/network/{network}", Need::Read),
    ("GET", "/api/v1/network/{network}/users", Need::Read),
    ("GET", "/api/v1/network/{network}/member", Need::Read),
    ("GET", "/api/v1/network/{network}/member/{node}", Need::Read),
    // Of members it sets more than who may be in, so these need everything.
    ("POST PUT", "/api/v1/network", Need::Admin),
    ("POST PUT", "/api/v1/user/{id}", Need::Admin),
    ("POST PUT", "/api/v1/user/{id}/token", Need::Admin),
    ("DELETE", "/api/v1/user/{id}/token/{name}", Need::Admin),
    ("POST PUT DELETE", "/api/v1/network/{network}", Need::Admin),
    ("POST PUT DELETE", "/api/v1/network/{network}/member/{node}", Need::Admin),
    ("POST", "/api/v2/rules/compile", Need::Any),
    ("POST", "/api/v2/rules/format", Need::Any),
    ("POST", "/api/v2/rules/decompile", Need::Any),
    // Lists only what the token may read.
    ("GET", "/api/v2/network", Need::Any),
    ("POST", "/api/v2/network", Need::Admin),
    ("GET", "/api/v2/network/{network}", Need::Read),
    ("PATCH PUT DELETE", "/api/v2/network/{network}", Need::Admin),
    ("GET", "/api/v2/network/{network}/member", Need::Read),
    ("POST", "/api/v2/network/{network}/member/bulk", Need::Authorize),
    ("GET", "/api/v2/network/{network}/member/{member}", Need::Read),
    ("PATCH", "/api/v2/network/{network}/member/{member}", Need::Authorize),
    ("PUT DELETE", "/api/v2/network/{network}/member/{member}", Need::Admin),
    ("POST", "/api/v2/network/{network}/pending/{member}/approve", Need::Authorize),
    ("POST", "/api/v2/network/{network}/pending/{member}/deny", Need::Authorize),
    ("GET", "/api/v2/status", Need::Read),
    ("GET", "/api/v2/planet", Need::Read),
    ("GET", "/api/v2/peer", Need::Read),
    ("GET", "/api/v2/peer/{peer}", Need::Read),
    ("GET", "/api/v2/network/{network}/join", Need::Read),
    ("GET", "/api/v2/network/{network}/rules", Need::Read),
    ("PUT", "/api/v2/network/{network}/rules", Need::Admin),
    ("POST", "/api/v2/network/{network}/rules/test", Need::Read),
    ("POST", "/api/v2/network/{network}/rules/explain", Need::Read),
    ("GET", "/api/v2/network/{network}/pending", Need::ReadOrAuthorize),
    // Has paths of files, and whatever else somebody set.
    ("GET", "/api/v2/settings", Need::Admin),
    // Says only what the token may read.
    ("GET", "/api/v2/events", Need::Any),
    ("GET", "/api/v2/audit", Need::Read),
    // A backup has the identity of the controller.
    ("GET POST", "/api/v2/backups", Need::Admin),
    ("GET DELETE", "/api/v2/backups/{backup}", Need::Admin),
    // Each makes this program send requests, and a URL may be a secret.
    ("GET POST", "/api/v2/webhooks", Need::Admin),
    ("GET PATCH DELETE", "/api/v2/webhooks/{webhook}", Need::Admin),
    ("POST", "/api/v2/webhooks/{webhook}/rotate", Need::Admin),
    // May fill the disk, or keep from the log what somebody does.
    ("GET PUT", "/api/v2/log-level", Need::Admin),
    ("POST", "/api/v2/webhooks/{webhook}/test", Need::Admin),
    ("POST", "/api/v2/webhooks/{webhook}/retry", Need::Admin),
    ("GET POST", "/api/v2/tokens", Need::Admin),
    ("GET DELETE", "/api/v2/tokens/{name}", Need::Admin),
    ("POST", "/api/v2/tokens/{name}/rotate", Need::Admin),
];

/// What a request needs, and for which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) need: Need,
    pub(crate) network: Option<NetworkId>,
}

impl Demand {
    /// Returns what a request needs. HEAD is like GET.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let found = row(method, path).map(|((_, _, need), network)| Self { need: *need, network });
        found.unwrap_or(Self { need: Need::Admin, network: None })
    }

    /// Says whether `caller` may do this.
    pub(crate) fn is_met_by(self, caller: &Caller) -> bool {
        let allows = |level| caller.scope.as_ref().is_some_and(|scope| scope.allows(level, self.network));
        match self.need {
            Need::Nothing => true,
            Need::Page | Need::Any => caller.scope.is_some(),
            Need::Metrics => caller.scope.is_none() || allows(Level::Read),
            Need::Read => allows(Level::Read),
            Need::ReadOrAuthorize => allows(Level::Read) || allows(Level::Authorize),
            Need::Authorize => allows(Level::Authorize),
            Need::Admin => allows(Level::Admin),
        }
    }
}

/// Returns the pattern of the endpoint that takes a request.
pub(crate) fn pattern(method: &Method, path: &str) -> Option<&'static str> {
    row(method, path).map(|((_, pattern, _), _)| *pattern)
}

/// Returns the row of a request, and the network that it names.
fn row(method: &Method, path: &str) -> Option<(&'static Row, Option<NetworkId>)> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let segments = segments(path)?;
    ROWS.iter().find_map(|row @ (methods, pattern, _)| {
        let takes_method = methods.split(' ').any(|taken| taken == method.as_str());
        let network = takes_method.then(|| matched(pattern, &segments)).flatten()?;
        Some((row, network))
    })
}

/// Takes a path apart as the routes do; `None` if they would take none of it.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    path.split('/').map(percent_decode).collect()
}

/// Says whether a path matches, and for which network.
fn matched(pattern: &str, segments: &[String]) -> Option<Option<NetworkId>> {
    let mut network = None;
    let mut rest = segments.iter();
    for part in pattern.strip_prefix('/')?.split('/') {
        let segment = rest.next()?;
        if part == "**" {
            return Some(network);
        }
        if part == "{network}" {
            network = Some(segment.parse().ok()?);
        } else if let Some((_, suffix)) = part.split_once('}') {
            segment.strip_suffix(suffix)?;
        } else if part != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);

    fn demand(method: &str, path: &str) -> Demand {
        Demand::of(&method.parse().unwrap(), path)
    }

    #[test]
    fn what_is_not_listed_needs_everything() {
        for (method, path) in [
            ("POST", "/"),
            ("GET", "//"),
            ("POST", "/console/"),
            ("GET", "/consoles"),
            ("GET", "/nope"),
            ("GET", "/health/x"),
            ("POST", "/health"),
            ("PATCH", "/controller"),
            ("GET", "/controller//network"),
            ("GET", "/controller/network//"),
            ("GET", "/controller/network/a940ad429a0000f"),
            ("GET", "/controller%2fnetwork"),
            ("GET", "/status/%zz"),
            ("OPTIONS", "*"),
            ("DELETE", "/api/v2/tokens"),
        ] {
            assert_eq!(demand(method, path), Demand { need: Need::Admin, network: None }, "{method} {path}");
        }
    }

    #[test]
    fn path_is_read_as_the_routes_read_it() {
        let expected = Demand { need: Need::Read, network: Some(NETWORK) };
        for path in [
            "/controller/network/a940ad429a0000f1",
            "/controller/network/a940ad429a0000f1/",
            "/controller/network/A940AD429A0000F1",
            "/%63ontroller/network/%61940ad429a0000f1",
        ] {
            assert_eq!(demand("GET", path), expected, "{path}");
            assert_eq!(demand("HEAD", path), expected, "{path}");
        }
    }

    #[test]
    fn need_refers_to_the_network_of_the_path() {
        let member = "/controller/network/a940ad429a0000f1/member/0123456789";
        assert_eq!(demand("POST", member), Demand { need: Need::Authorize, network: Some(NETWORK) });
        assert_eq!(demand("DELETE", member), Demand { need: Need::Admin, network: Some(NETWORK) });
        let create = demand("POST", "/controller/network/a940ad429a______");
        assert_eq!(create, Demand { need: Need::Admin, network: None });
    }

    /// A route is documented by its request line, so the sources list the routes.
    #[test]
    fn every_route_has_a_row() {
        let mut missing = Vec::new();
        let mut count = 0;
        for (method, path) in crate::access::routes_in_the_sources() {
            count += 1;
            let listed = ROWS.iter().any(|(methods, pattern, _)| {
                methods.split(' ').any(|listed| listed == method) && same_shape(pattern, &path)
            });
            if !listed {
                missing.push(format!("{method} {path}"));
            }
        }
        assert!(count >= 30, "{count}");
        assert!(missing.is_empty(), "no row in access/endpoints.rs says what these need: {missing:#?}");
    }

    fn same_shape(pattern: &str, path: &str) -> bool {
        let shape = |text: &str| {
            text.trim_end_matches('/')
                .split('/')
                .map(|part| if part.starts_with('{') && part.ends_with('}') { "{}" } else { part }.to_owned())
                .collect::<Vec<_>>()
        };
        shape(pattern) == shape(path)
    }
}
