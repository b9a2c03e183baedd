//! The tokens beside the one in the home folder: made, renewed and revoked here, by the API and by the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use ctl_store::{ApiToken, AuditEntry, StoreError, TOKEN_USE_STEP_MILLIS, TokenHash, Tx};
use serde_json::json;
use tracing::error;
use zt_proto::Timestamp;

use super::scope::Scope;
use super::{Caller, Key, METRICS_TOKEN_NAME, TOKEN_NAME};

/// Most tokens of a controller.
pub const MAX_TOKENS: usize = 1000;
/// How long the secret that was replaced stays valid unless somebody says otherwise: a day, in milliseconds.
pub const DEFAULT_GRACE: u64 = 24 * 60 * 60 * 1000;
/// Longest such time: 30 days.
pub const MAX_GRACE: u64 = 30 * DEFAULT_GRACE;

/// What every secret begins with, so that people and scanners see what it is.
const PREFIX: &str = "ctl_";
const SECRET_DIGITS: usize = 40;
const MAX_NAME: usize = 64;

/// A token itself: 160 random bits. Shown once, kept nowhere; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes one of random bits.
    pub fn new(mut random: impl FnMut() -> u32) -> Self {
        let digits: String = (0..SECRET_DIGITS / 8).map(|_| format!("{:08x}", random())).collect();
        Self(format!("{PREFIX}{digits}"))
    }

    /// Reads what a request presents; nothing else is looked for in the database.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX.as_bytes())?;
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let fits = digits.len() == SECRET_DIGITS && digits.iter().all(is_digit);
        let text = std::str::from_utf8(text).ok().filter(|_| fits)?;
        Some(Self(text.to_owned()))
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// Returns the secret, to be shown to whoever asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The name of a token: 1 to 64 letters, digits, `.`, `-` and `_`. The audit log calls the token so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

/// A text is no name for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {MAX_NAME} of a-z A-Z 0-9 . - _ that are not in use by this program, got {0}")]
pub struct TokenNameError(String);

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(text: &str) -> Result<Self, TokenNameError> {
        let is_taken =
            [TOKEN_NAME, METRICS_TOKEN_NAME, "nobody"].contains(&text) || text.starts_with("ctl-bin");
        let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let fits = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_sane);
        if fits && !is_taken {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenNameError(ctl_core::record::cut(text)))
        }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a token cannot be made, renewed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("there is a token with the name {0} already; revoke it first, or choose another name")]
    Exists(String),
    #[error("there is no token with the name {0}; `ctl-bin token ls` lists them")]
    Unknown(String),
    #[error("there are {MAX_TOKENS} tokens already, which is the most; revoke one first")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token. `actor` is who the audit log says did it; `expires` zero is never.
///
/// # Errors
/// If there is one with this name, or [`MAX_TOKENS`] are there.
pub fn create(
    tx: &Tx<'_>,
    (name, scope, expires): (&TokenName, &Scope, Timestamp),
    secret: &Secret,
    actor: &str,
    now: Timestamp,
) -> Result<ApiToken, TokenError> {
    let tokens = tx.api_tokens().list()?;
    if tokens.iter().any(|token| token.name == name.0) {
        return Err(TokenError::Exists(name.0.clone()));
    }
    if tokens.len() >= MAX_TOKENS {
        return Err(TokenError::TooMany);
    }
    let token = ApiToken {
        name: name.0.clone(),
        hash: secret.hash(),
        scope: scope.to_string(),
        created: now,
        last_used: Timestamp(0),
        expires,
        previous: None,
    };
    tx.api_tokens().put(&token)?;
    note(tx, "token.create", (None, Some(&token)), actor, now)?;
    Ok(token)
}

/// Gives a token another secret; the one that it has stays valid for `grace` milliseconds.
///
/// # Errors
/// If there is no such token.
pub fn rotate(
    tx: &Tx<'_>,
    (name, grace): (&str, u64),
    secret: &Secret,
    actor: &str,
    now: Timestamp,
) -> Result<ApiToken, TokenError> {
    let before = get(tx, name)?;
    let previous = (grace > 0).then(|| (before.hash, now.plus_millis(grace.min(MAX_GRACE))));
    let after = ApiToken { hash: secret.hash(), previous, ..before.clone() };
    tx.api_tokens().put(&after)?;
    note(tx, "token.rotate", (Some(&before), Some(&after)), actor, now)?;
    Ok(after)
}

/// Revokes a token: from now on neither of its secrets opens anything.
///
/// # Errors
/// If there is no such token.
pub fn revoke(tx: &Tx<'_>, name: &str, actor: &str, now: Timestamp) -> Result<ApiToken, TokenError> {
    let token = get(tx, name)?;
    tx.api_tokens().remove(name)?;
    note(tx, "token.revoke", (Some(&token), None), actor, now)?;
    Ok(token)
}

/// Returns the token with this name.
///
/// # Errors
/// If there is none.
pub fn get(tx: &Tx<'_>, name: &str) -> Result<ApiToken, TokenError> {
    let found = tx.api_tokens().list()?.into_iter().find(|token| token.name == name);
    found.ok_or_else(|| TokenError::Unknown(ctl_core::record::cut(name)))
}

fn note(
    tx: &Tx<'_>,
    action: &'static str,
    (before, after): (Option<&ApiToken>, Option<&ApiToken>),
    actor: &str,
    time: Timestamp,
) -> Result<(), StoreError> {
    let text = |token: &ApiToken| {
        let valid_until = token.previous.map(|(_, until)| until.0);
        json!({
            "name": token.name,
            "scope": token.scope,
            "expires": token.expires.0,
            "previousSecretValidUntil": valid_until,
        })
        .to_string()
    };
    let (before, after) = (before.map(text), after.map(text));
    let entry =
        AuditEntry { time, actor: actor.to_owned(), action, network: None, member: None, before, after };
    tx.audit().add(&entry).map(drop)
}

/// What is known of a secret that was presented.
#[derive(Debug)]
pub(crate) enum Found {
    Valid(Caller),
    Expired,
    Unknown,
}

/// Looks for a token, and says whether that it is used is worth a note.
pub(crate) fn find(tx: &Tx<'_>, hash: TokenHash, now: Timestamp) -> Result<(Found, bool), StoreError> {
    let Some(token) = tx.api_tokens().get(hash)? else { return Ok((Found::Unknown, false)) };
    let replaced = token.hash != hash && token.previous.is_none_or(|(_, until)| until <= now);
    if replaced || (token.expires.0 != 0 && token.expires <= now) {
        return Ok((Found::Expired, false));
    }
    let Ok(scope) = token.scope.parse() else {
        error!(token = token.name, "a token has a scope that this release does not know; it opens nothing");
        return Ok((Found::Expired, false));
    };
    let is_new = token.last_used.0.saturating_add(TOKEN_USE_STEP_MILLIS) <= now.0;
    Ok((Found::Valid(Caller { name: token.name, scope: Some(scope), key: Key::Stored(hash) }), is_new))
}

/// Says whether a token of the database still is what it was when `caller` was found with `hash`: not revoked, not
/// expired, with the same scope.
pub(crate) fn is_still_valid(
    tx: &Tx<'_>,
    hash: TokenHash,
    caller: &Caller,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(matches!(find(tx, hash, now)?.0, Found::Valid(found) if found == *caller))
}

/// Uses that are not saved yet: at most one for each token.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<BTreeMap<TokenHash, Timestamp>>);

impl Uses {
    pub(crate) fn note(&self, hash: TokenHash, now: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each is of a token that was found, but some may have been revoked since the last time that they were saved.
        if uses.len() < 2 * MAX_TOKENS || uses.contains_key(&hash) {
            uses.insert(hash, now);
        }
    }

    pub(crate) fn take(&self) -> BTreeMap<TokenHash, Timestamp> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_has_160_random_bits_and_is_not_shown_by_accident() {
        let mut next = 0x0123_4567;
        let secret = Secret::new(|| {
            next += 1;
            next
        });
        assert_eq!(secret.reveal(), "ctl_01234568012345690123456a0123456b0123456c");
        assert_eq!(Secret::parse(secret.reveal().as_bytes()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn what_is_no_secret_is_not_looked_for() {
        let good = Secret::new(|| 0xabcd_ef01).0;
        for text in ["", "ctl_", &good[1..], &good[..43], &format!("{good}0"), &good.to_uppercase(), "ctl_ü"]
        {
            assert_eq!(Secret::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn name_cannot_be_taken_for_another_actor() {
        for text in ["backup", "a.b-c_D9", &"x".repeat(MAX_NAME)] {
            assert_eq!(text.parse::<TokenName>().unwrap().to_string(), text);
        }
        let long = "x".repeat(MAX_NAME + 1);
        for text in [
            "",
            "a b",
            "authtoken.secret",
            "metricstoken.secret",
            "ctl-bin token",
            "ctl-bin",
            "nobody",
            "ü",
            "a/b",
            &long,
        ] {
            assert!(text.parse::<TokenName>().is_err(), "{text}");
        }
    }
}
