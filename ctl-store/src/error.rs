//! What can go wrong in the store, split by who can do something about it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use zt_proto::{Address, NetworkId};

/// Why the store did not do what it was asked to. A failed transaction leaves nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // The operator's: the file, the disk, another program.
    #[error(
        "cannot use the directory of {path} (it must exist, and belong to the user that runs this)",
        path = .path.display()
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot read and write {path} (it must belong to the user that runs this)", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{path} is not an SQLite database (restore it from a backup, or move this one away; it was not touched)",
        path = .path.display()
    )]
    NotADatabase { path: PathBuf },
    #[error(
        "{path} is the database of another program, application id {application_id:#010x} instead of {ours:#010x} \
         (name another file; this one was not touched)",
        path = .path.display(),
        ours = crate::migrate::APPLICATION_ID
    )]
    ForeignDatabase { path: PathBuf, application_id: u32 },
    #[error(
        "{path} has schema version {found}, and this release knows {known} (run the release that wrote it, or a \
         later one; the file was not touched)",
        path = .path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{path} has schema version {found}, and this release needs {needed} (the controller of this release changes it \
         when it starts, or use the release that runs; the file was not touched)",
        path = .path.display()
    )]
    OlderSchema { path: PathBuf, found: i64, needed: i64 },
    #[error("{path} is damaged: {what} (restore it from a backup; the file was not touched)", path = .path.display())]
    DamagedFile { path: PathBuf, what: String },
    #[error("{path} cannot have a write-ahead log (it must be on a local disk)", path = .path.display())]
    NoWriteAheadLog { path: PathBuf },
    #[error("the disk is full, nothing of the change was saved (free some space)")]
    DiskFull,
    #[error("the database cannot be written (check who owns it, and whether its disk is mounted read-only)")]
    ReadOnly,
    #[error("another program keeps the database locked (stop it)")]
    Locked,
    #[error("too many others wait for the database; nothing was changed (try again in a moment)")]
    Busy,
    #[error("the disk failed: {what} (look into the system log)")]
    Disk { what: String },

    // The database's: what it holds is not what this program writes.
    #[error("damaged record: {what} (restore a backup, or remove the record)")]
    Damaged { what: String },

    // The caller's: to be expected when two of them are at work, and then to be tried again.
    #[error("{ip} already belongs to member {holder} of network {network}")]
    AddressTaken { network: NetworkId, ip: IpAddr, holder: Address },
    #[error("there is no network {network}")]
    NoSuchNetwork { network: NetworkId },

    // This program's.
    #[error("internal error of the store: {what}")]
    Internal { what: String },
}

/// Says what it means that nothing can be made in the directory of the database at `path`.
pub(crate) fn of_directory(path: &Path, source: io::Error) -> StoreError {
    if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return StoreError::DiskFull;
    }
    StoreError::Directory { path: path.to_owned(), source }
}

/// Says whether a row was refused because what it belongs to is gone.
pub(crate) fn is_orphan(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

impl StoreError {
    /// Says which fault of SQLite's it is.
    pub(crate) fn from_sqlite(code: Option<ErrorCode>, what: String) -> Self {
        match code {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Disk { what },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { what },
            _ => Self::Internal { what },
        }
    }

    /// Says whether the database could not be written just now, whatever was to be written; what it holds can still be
    /// read, and once the cause is gone it can be written again.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::DiskFull | Self::ReadOnly | Self::Locked | Self::Busy | Self::Disk { .. } => true,
            Self::Directory { .. }
            | Self::File { .. }
            | Self::NotADatabase { .. }
            | Self::ForeignDatabase { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::DamagedFile { .. }
            | Self::NoWriteAheadLog { .. }
            | Self::Damaged { .. }
            | Self::AddressTaken { .. }
            | Self::NoSuchNetwork { .. }
            | Self::Internal { .. } => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // There was no room for the memory that the connections share; to SQLite that is any failure of the disk.
        if error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::DiskFull;
        }
        Self::from_sqlite(error.sqlite_error_code(), error.to_string())
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(error: rusqlite_migration::Error) -> Self {
        if let rusqlite_migration::Error::RusqliteError { err, .. } = error {
            err.into()
        } else {
            Self::Internal { what: error.to_string() }
        }
    }
}

impl From<r2d2::Error> for StoreError {
    /// The pool waited for a reader until its patience ended; it keeps only the text of the last cause, if there was
    /// one beside too many readers.
    fn from(error: r2d2::Error) -> Self {
        let what = error.to_string();
        if what == "timed out waiting for connection" { Self::Busy } else { Self::Disk { what } }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// The ways in which a disk without room shows itself; whoever it happens to is told to make room, and not which file.
    #[test]
    fn a_full_disk_is_named_however_it_is_met() {
        let of_sqlite = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let of_migration = rusqlite_migration::Error::RusqliteError {
            query: String::new(),
            err: of_sqlite(ffi::SQLITE_FULL),
        };
        let of_directory = |kind: io::ErrorKind| of_directory(Path::new("ctl.db"), kind.into());
        for error in [
            of_sqlite(ffi::SQLITE_FULL).into(),
            of_sqlite(ffi::SQLITE_IOERR_SHMSIZE).into(),
            of_migration.into(),
            of_directory(io::ErrorKind::StorageFull),
            of_directory(io::ErrorKind::QuotaExceeded),
        ] {
            assert!(matches!(error, StoreError::DiskFull), "{error:?}");
            assert!(error.is_outage());
        }
        for code in [ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMOPEN] {
            let error = StoreError::from(of_sqlite(code));
            assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
        }
        let error = of_directory(io::ErrorKind::PermissionDenied);
        assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
    }
}
