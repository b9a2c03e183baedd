//! Who may ask, for what, from where, and how often (`http-api.md` §3, `docs/security.md`).

pub(crate) mod endpoints;
pub(crate) mod failures;
pub(crate) mod origin;
pub(crate) mod scope;
pub(crate) mod token;
pub mod tokens;

use std::net::IpAddr;

use ctl_store::TokenHash;
use zt_proto::{IpPrefix, NetworkId};

use crate::edit::Edit;
use origin::Origin;
use scope::{Level, Scope};
use token::Token;

/// What the audit log calls whoever has the secret: the file in which it is.
pub(crate) const TOKEN_NAME: &str = "authtoken.secret";
/// Likewise whoever has only the secret for metrics.
pub(crate) const METRICS_TOKEN_NAME: &str = "metricstoken.secret";

/// Who may ask; may be replaced while the API serves.
#[derive(Debug, Clone)]
pub struct Access {
    /// Opens everything.
    pub token: Token,
    /// Opens `/metrics` and nothing else.
    pub metrics_token: Option<Token>,
    /// Whether `?auth=TOKEN` is accepted. Off, because URLs end up in logs.
    pub allow_query_token: bool,
    /// From where requests may come, beside loopback, unless `local.conf` says it.
    pub allowed_sources: Vec<IpPrefix>,
    /// Pages that may use the API from a browser, beside those that it serves itself.
    pub allowed_origins: Vec<Origin>,
}

impl Access {
    /// Returns the access that `token` alone gives, from this machine.
    pub fn new(token: Token) -> Self {
        Self {
            token,
            metrics_token: None,
            allow_query_token: false,
            allowed_sources: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}

/// Says whether `ip` is loopback or in one of `ranges`. On a dual-stack socket IPv4 looks like `::ffff:a.b.c.d`.
pub(crate) fn is_allowed(ip: IpAddr, ranges: &[IpPrefix]) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ranges.iter().any(|range| range.contains(ip))
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// What the audit log calls it.
    pub(crate) name: String,
    /// `None`: nothing but metrics.
    pub(crate) scope: Option<Scope>,
    pub(crate) key: Key,
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Nothing,
    /// A token in a file, which may have another one by now.
    File(Token),
    /// By its hash a token is found in the database.
    Stored(TokenHash),
}

impl Caller {
    /// Returns whoever asks without a token.
    pub(crate) fn nobody() -> Self {
        Self { name: "nobody".to_owned(), scope: None, key: Key::Nothing }
    }

    /// Returns whoever has the token of `authtoken.secret`.
    pub(crate) fn root(token: Token) -> Self {
        Self { name: TOKEN_NAME.to_owned(), scope: Some(Scope::admin()), key: Key::File(token) }
    }

    /// Returns whoever has the token of `metricstoken.secret`.
    pub(crate) fn metrics(token: Token) -> Self {
        Self { name: METRICS_TOKEN_NAME.to_owned(), scope: None, key: Key::File(token) }
    }

    /// Says whether a change may be stored. This is asked within the transaction of every change, whatever its endpoint
    /// is said to need.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Forbidden> {
        let network = Some(edit.network());
        let allows = |level| self.scope.as_ref().is_some_and(|scope| scope.allows(level, network));
        let fits = allows(Level::Admin) || edit.is_decision() && allows(Level::Authorize);
        if fits { Ok(()) } else { Err(self.forbidden()) }
    }

    /// Says whether the network may be seen.
    pub(crate) fn sees(&self, network: NetworkId) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.allows(Level::Read, Some(network)))
    }

    /// Says whether everything of the network may be changed, and so seen.
    pub(crate) fn may_change(&self, network: NetworkId) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.allows(Level::Admin, Some(network)))
    }

    /// Says whether nothing is closed to the caller.
    pub(crate) fn may_do_everything(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.allows(Level::Admin, None))
    }

    /// Says whether all but secrets may be seen.
    pub(crate) fn reads_everything(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.allows(Level::Read, None))
    }

    /// Says whether there is any network that may be seen.
    pub(crate) fn sees_some(&self) -> bool {
        let reads = |grant: scope::Grant| matches!(grant.level, Level::Read | Level::Admin);
        self.scope.as_ref().is_some_and(|scope| scope.grants().any(reads))
    }

    pub(crate) fn forbidden(&self) -> Forbidden {
        let scope = self.scope.as_ref().map_or_else(|| "none".to_owned(), Scope::to_string);
        Forbidden { name: self.name.clone(), scope }
    }
}

/// The token is right, but may not do this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token {name:?} may not do this; its scope is: {scope}")]
pub(crate) struct Forbidden {
    name: String,
    scope: String,
}

/// Returns method and path of every route, as the documentation comments of the sources have them.
#[cfg(test)]
pub(crate) fn routes_in_the_sources() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let Some((request, _)) = line.strip_prefix("/// `").and_then(|line| line.split_once('`'))
                else {
                    continue;
                };
                let Some((method, path)) = request.split_once(' ') else { continue };
                if method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/') {
                    let path = path.split('?').next().unwrap();
                    routes.push((method.to_owned(), path.to_owned()));
                }
            }
        }
    }
    routes.sort();
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

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
