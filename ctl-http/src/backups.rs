//! What the API needs of those who make backups and keep them: it knows neither files nor archives.

use std::io::Read;

use zt_proto::Timestamp;

/// A backup that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Unique; of letters, digits, `.`, `-` and `_`.
    pub name: String,
    pub created: Timestamp,
    pub size_bytes: u64,
    pub encrypted: bool,
}

/// Why a backup is not made, read or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made.
    #[error("{0}")]
    Runs(String),
    /// The disk, or what is on it; for an administrator.
    #[error("{0}")]
    Failed(String),
}

/// The content of a backup.
pub type BackupContent = Box<dyn Read + Send>;

/// Makes backups and keeps them. All of it may block.
pub trait Backups: Send + Sync {
    /// Returns the backups of this controller, the newest first.
    ///
    /// # Errors
    /// If they cannot be looked at.
    fn list(&self) -> Result<Vec<Backup>, BackupError>;

    /// Makes one.
    ///
    /// # Errors
    /// If another one is being made, or this one cannot be.
    fn make(&self, now: Timestamp) -> Result<Backup, BackupError>;

    /// Opens one; `None` if there is none of this name.
    ///
    /// # Errors
    /// If it cannot be read.
    fn open(&self, name: &str) -> Result<Option<(Backup, BackupContent)>, BackupError>;

    /// Removes one, and says whether there was one of this name.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn remove(&self, name: &str) -> Result<bool, BackupError>;
}
