//! Which of several controllers with one identity is the one that serves.

use rusqlite::params;
use zt_proto::Timestamp;

use crate::Tx;
use crate::column::U64Column;
use crate::error::StoreError;

/// The lease, inside a transaction: whoever reads it free and puts his own in one `write` has it alone.
pub struct Leases<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

/// That somebody serves, and until when nobody else may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Tells processes apart: drawn by each at its start. 1 to 256 bytes.
    pub holder: String,
    /// Where an administrator finds the holder: host name, process, address. Up to 256 bytes.
    pub hint: String,
    /// When it ends unless it is renewed.
    pub until: Timestamp,
}

impl Leases<'_> {
    /// Returns the lease, ended or not; `None` if nobody holds one.
    pub fn get(&self) -> Result<Option<Lease>, StoreError> {
        let sql = "SELECT holder, hint, until FROM lease WHERE id = 1";
        let found = self.tx.query(sql, [], "the lease", |row| {
            let until = row.get::<U64Column>("until")?.time();
            Ok(Lease { holder: row.get("holder")?, hint: row.get("hint")?, until })
        })?;
        Ok(found.into_iter().next())
    }

    /// Saves the lease in the place of any other.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if a text has no or too many bytes.
    pub fn put(&self, lease: &Lease) -> Result<(), StoreError> {
        let sql = "INSERT INTO lease (id, holder, hint, until) VALUES (1, ?1, ?2, ?3) \
                   ON CONFLICT (id) DO UPDATE SET holder = ?1, hint = ?2, until = ?3";
        self.tx.execute(sql, params![lease.holder, lease.hint, U64Column(lease.until.0)]).map(drop)
    }

    /// Ends the lease of `holder`, and says whether that held it.
    pub fn remove(&self, holder: &str) -> Result<bool, StoreError> {
        Ok(self.tx.execute("DELETE FROM lease WHERE holder = ?1", [holder])? > 0)
    }
}
