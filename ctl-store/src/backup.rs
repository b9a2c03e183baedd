//! A copy of the whole database, made beside the program that uses it.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::error::StoreError;
use crate::{file, migrate, pool};

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseCopy {
    pub schema_version: i64,
    pub size_bytes: u64,
}

/// Copies the database at `from`, all but its lease, into the empty file `to`, which is whole, checked page by page and on the disk when this
/// returns. It holds one consistent state: the last one that was committed when the copying began. Writers do not wait
/// for it, and it does not start again because of them.
///
/// Pages are copied as they are, so the check of the copy tells as much about the original, whose users it does not
/// disturb. (`VACUUM INTO` would read records and write them anew: twice the time, and a damaged index would be left
/// behind in silence.)
///
/// # Errors
/// - [`StoreError::DamagedFile`] if the check finds something; what the message says of the copy is true of the original.
/// - Otherwise as [`crate::Store::open_read_only`], but an older version is as good.
///
/// `to` is of no use after an error.
pub fn copy_database(from: &Path, to: &Path) -> Result<DatabaseCopy, StoreError> {
    let copy = copy_pages(&file::open_beside(from)?, to)?;
    let what: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if what != "ok" {
        return Err(StoreError::DamagedFile { path: from.to_owned(), what });
    }
    let schema_version = migrate::version(&copy)?;
    close(copy, to)?;
    let failed = |source| StoreError::File { path: to.to_owned(), source };
    Ok(DatabaseCopy { schema_version, size_bytes: fs::metadata(to).map_err(failed)?.len() })
}

/// Copies all pages of one committed state, those in the write-ahead log included, into the empty file `to`; all but the
/// lease. It is on the disk only when it was [closed](close).
pub(crate) fn copy_pages(source: &Connection, to: &Path) -> Result<Connection, StoreError> {
    let mut copy = Connection::open_with_flags(to, pool::WRITABLE)?;
    // Whoever loses power here has no copy, whatever is in the file.
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    // All pages in one step: between two of them a writer could change the original, and the copying begin again.
    if Backup::new(source, &mut copy)?.step(-1)? != StepResult::Done {
        return Err(StoreError::Locked);
    }
    forget_lease(&copy)?;
    // Else two more files would belong to it, and it could not be read where nothing may be written beside it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    Ok(copy)
}

/// Ends the making of a copy: it is on the disk when this returns.
pub(crate) fn close(copy: Connection, to: &Path) -> Result<(), StoreError> {
    copy.close().map_err(|(_, error)| error)?;
    let failed = |source| StoreError::File { path: to.to_owned(), source };
    File::open(to).and_then(|file| file.sync_all()).map_err(failed)
}

/// Takes out who serves with the original: nobody serves with the copy.
fn forget_lease(copy: &Connection) -> Result<(), StoreError> {
    let is_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'lease')";
    if copy.query_row(is_table, [], |row| row.get(0))? {
        copy.execute("DELETE FROM lease", [])?;
    }
    Ok(())
}
