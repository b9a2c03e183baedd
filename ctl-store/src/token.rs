//! Tokens of the API, of which only hashes are kept.

use std::fmt;

use rusqlite::params;
use sha2::{Digest, Sha256};
use zt_proto::Timestamp;

use crate::Tx;
use crate::column::{Columns, U64Column};
use crate::error::StoreError;

/// How much later than the last one a use must be to be written, in milliseconds: not every request writes.
pub const TOKEN_USE_STEP_MILLIS: u64 = 60_000;

/// What is kept of a token.
///
/// Plain SHA-256: a token has at least 128 random bits, so nobody can guess what a slower hash would protect, and it
/// is computed for every request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"ctl api token\0");
        hash.update(token.as_bytes());
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for TokenHash {
    /// Four bytes, enough to tell two apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TokenHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// The tokens, inside a transaction.
pub struct ApiTokens<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Unique; what the audit log calls it. 1 to 256 bytes.
    pub name: String,
    pub hash: TokenHash,
    /// What it may do, as the API writes it; the store does not look into it.
    pub scope: String,
    pub created: Timestamp,
    /// Zero: never. May lag by [`TOKEN_USE_STEP_MILLIS`].
    pub last_used: Timestamp,
    /// Zero: never.
    pub expires: Timestamp,
    /// What the token was before it was renewed, and until when that is valid too.
    pub previous: Option<(TokenHash, Timestamp)>,
}

const COLUMNS: &str =
    "SELECT name, hash, scope, created, last_used, expires, previous_hash, previous_until FROM api_token";

impl ApiTokens<'_> {
    /// Returns the token that has this hash, or had it before it was renewed; expired or not.
    pub fn get(&self, hash: TokenHash) -> Result<Option<ApiToken>, StoreError> {
        let found = self.tx.query(
            &format!("{COLUMNS} WHERE hash = ?1 OR previous_hash = ?1"),
            [hash.0],
            "a token of the API",
            decode,
        )?;
        Ok(found.into_iter().next())
    }

    /// Returns all tokens by name.
    pub fn list(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.tx.query(&format!("{COLUMNS} ORDER BY name"), [], "a token of the API", decode)
    }

    /// Saves a token, whether its name is new or not.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if the name has no or too many bytes, or another name has this hash; the transaction is
    /// then to be given up.
    pub fn put(&self, token: &ApiToken) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_token (name, hash, scope, created, last_used, expires, previous_hash, previous_until) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (name) DO UPDATE SET hash = ?2, scope = ?3, \
                   created = ?4, last_used = ?5, expires = ?6, previous_hash = ?7, previous_until = ?8";
        let time = |time: Timestamp| U64Column(time.0);
        let values = params![
            token.name,
            token.hash.0,
            token.scope,
            time(token.created),
            time(token.last_used),
            time(token.expires),
            token.previous.map(|(hash, _)| hash.0),
            token.previous.map(|(_, until)| time(until)),
        ];
        self.tx.execute(sql, values).map(drop)
    }

    /// Removes a token and says whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.tx.execute("DELETE FROM api_token WHERE name = ?1", [name])? > 0)
    }

    /// Notes that a token was used, unless it was noted less than [`TOKEN_USE_STEP_MILLIS`] ago.
    pub fn note_use(&self, hash: TokenHash, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "UPDATE api_token SET last_used = ?2 WHERE (hash = ?1 OR previous_hash = ?1) AND last_used <= ?3";
        let noted = now.0.saturating_sub(TOKEN_USE_STEP_MILLIS);
        self.tx.execute(sql, params![hash.0, U64Column(now.0), U64Column(noted)]).map(drop)
    }
}

fn decode(row: &Columns<'_>) -> Result<ApiToken, StoreError> {
    let hash = row.get::<Option<_>>("previous_hash")?.map(TokenHash);
    let until = row.get::<Option<U64Column>>("previous_until")?.map(U64Column::time);
    Ok(ApiToken {
        name: row.get("name")?,
        hash: TokenHash(row.get("hash")?),
        scope: row.get("scope")?,
        created: row.get::<U64Column>("created")?.time(),
        last_used: row.get::<U64Column>("last_used")?.time(),
        expires: row.get::<U64Column>("expires")?.time(),
        previous: hash.zip(until),
    })
}
