//! The database file: made complete or not at all, and looked at before anything is written to it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{StoreError, of_directory};
use crate::{migrate, pool};

/// Up to this size, a million members, every page is checked at the start, which takes about a second; above,
/// only the header, the schema and the length of the file are, as a restart must not take minutes.
const FULL_CHECK_MAX_BYTES: u64 = 256 << 20;

/// A database has at least one page, and a page at least this length.
const SMALLEST_BYTES: u64 = 512;

/// Returns the full path of the database at `path`, which exists then, is ours and can be written.
///
/// # Errors
/// What [`inspect`] finds, and [`StoreError::Directory`] or a failure of the disk while creating it.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    let file_error = |source| StoreError::File { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(StoreError::NotADatabase { path: path.to_owned() }),
        Ok(_) => require_directory(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
        Err(source) => return Err(file_error(source)),
    }
    // A full path is never taken for the special names ":memory:" and "file:…".
    let path = fs::canonicalize(path).map_err(file_error)?;
    drop(inspect(&path)?);
    Ok(path)
}

/// Opens the database at `path`, which must have the newest version, without changing anything.
///
/// # Errors
/// What [`inspect`] finds, and [`StoreError::OlderSchema`].
pub(crate) fn open_current(path: &Path) -> Result<Connection, StoreError> {
    let file_error = |source| StoreError::File { path: path.to_owned(), source };
    let path = fs::canonicalize(path).map_err(file_error)?;
    if !fs::metadata(&path).map_err(file_error)?.is_file() {
        return Err(StoreError::NotADatabase { path });
    }
    let connection = inspect(&path)?;
    let (found, needed) = (migrate::version(&connection)?, migrate::schema_version());
    if found == needed { Ok(connection) } else { Err(StoreError::OlderSchema { path, found, needed }) }
}

/// Opens the database at `path` beside the program that may be using it, for more than a look: what that program commits
/// meanwhile is seen by the next transaction. Schema and content stay as they are, and so does a write-ahead log that
/// was there: it may be somebody's business to copy it first.
///
/// # Errors
/// As [`open_current`], but an older version is as good.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, StoreError> {
    let file_error = |source| StoreError::File { path: path.to_owned(), source };
    let path = fs::canonicalize(path).map_err(file_error)?;
    let found = fs::metadata(&path).map_err(file_error)?;
    if !found.is_file() {
        return Err(StoreError::NotADatabase { path });
    }
    require_length(&path, found.len())?;
    let failed = |error| opening_failed(&path, error);
    let mut connection = Connection::open_with_flags(&path, pool::WRITABLE).map_err(failed)?;
    connection.busy_timeout(pool::BUSY_TIMEOUT)?;
    if connection.is_readonly("main")? {
        // Where nothing can be written, nobody else is writing either.
        connection = open_to_look(&path).map_err(failed)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log_of(&path).exists())?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    require_ours(&path, &connection)?;
    Ok(connection)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fails early where the write-ahead log could not be made.
fn require_directory(path: &Path) -> Result<(), StoreError> {
    let error = |source| of_directory(path, source);
    tempfile::tempfile_in(directory(path)).map(drop).map_err(error)
}

/// Creates a database of the newest version, readable by its owner only.
///
/// It grows under another name and gets its own when it is complete, so a crash never leaves half a database,
/// and whoever is faster, another process included, is not overwritten.
fn create(path: &Path) -> Result<(), StoreError> {
    let error = |source| of_directory(path, source);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-").suffix(".db");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    let growing = builder.tempfile_in(directory(path)).map_err(error)?.into_temp_path();
    let full = fs::canonicalize(&growing).map_err(error)?;
    let mut connection = Connection::open_with_flags(&full, pool::WRITABLE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate::migrate(&mut connection)?;
    connection.close().map_err(|(_, error)| error)?;
    match growing.persist_noclobber(path) {
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(error(failed.error)),
        // The name is durable with its directory only.
        Ok(()) => fs::File::open(directory(path)).and_then(|directory| directory.sync_all()).map_err(error),
    }
}

/// Looks at an existing file, through a connection that cannot write, and returns that.
///
/// SQLite itself must do the reading: closing any other handle of a file that this process has open drops
/// the locks on it.
///
/// # Errors
/// One of the operator's variants, which says what the file is instead. The file is not touched.
fn inspect(path: &Path) -> Result<Connection, StoreError> {
    let owned = || path.to_owned();
    let length = fs::metadata(path).map_err(|source| StoreError::File { path: owned(), source })?.len();
    require_length(path, length)?;
    let failed = |error| opening_failed(path, error);
    let connection = open_to_look(path).map_err(failed)?;
    require_ours(path, &connection)?;
    let check = if length <= FULL_CHECK_MAX_BYTES {
        "PRAGMA quick_check(1)"
    } else {
        "SELECT 'ok' FROM sqlite_schema LIMIT 1"
    };
    let what: String = connection.query_row(check, [], |row| row.get(0)).map_err(failed)?;
    if what == "ok" { Ok(connection) } else { Err(StoreError::DamagedFile { path: owned(), what }) }
}

/// Refuses a file that cannot be a database by its length alone.
fn require_length(path: &Path, length: u64) -> Result<(), StoreError> {
    if length == 0 {
        // `create` never leaves one, so it has lost its content.
        let what = "it is empty; if there never was a database, delete it and a new one is made".to_owned();
        return Err(StoreError::DamagedFile { path: path.to_owned(), what });
    }
    if length < SMALLEST_BYTES {
        // To SQLite such a file is an empty database, for it would be written over.
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    Ok(())
}

/// Refuses the database of another program, or of a later release.
fn require_ours(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |error| opening_failed(path, error);
    let application_id = migrate::application_id(connection).map_err(failed)?;
    if application_id != migrate::APPLICATION_ID {
        return Err(StoreError::ForeignDatabase { path: path.to_owned(), application_id });
    }
    let (found, known) = (migrate::version(connection).map_err(failed)?, migrate::schema_version());
    if found > known {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Says what an error means before anything of the content was used.
fn opening_failed(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path: path.to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::DamagedFile { path: path.to_owned(), what: error.to_string() }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => cannot_open(path, error),
        _ => error.into(),
    }
}

/// Returns where the write-ahead log of a database is.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Opens a database that is not to change, not even by the files that SQLite puts beside one.
///
/// Where there is a write-ahead log, another process has the database open or had not the time to close it:
/// then the log belongs to the content, and the files are there anyway. Where there is none, the file is all.
fn open_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = if log_of(path).exists() {
        Connection::open_with_flags(path, read_only)?
    } else {
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_encoded_bytes() {
            uri.push_str(&format!("%{byte:02x}"));
        }
        uri.push_str("?immutable=1");
        Connection::open_with_flags(uri, read_only.union(OpenFlags::SQLITE_OPEN_URI))?
    };
    connection.busy_timeout(pool::BUSY_TIMEOUT)?;
    Ok(connection)
}

/// SQLite only says that it could not open the file; the system says why.
fn cannot_open(path: &Path, error: rusqlite::Error) -> StoreError {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(source) => StoreError::File { path: path.to_owned(), source },
        Ok(_) => error.into(),
    }
}
