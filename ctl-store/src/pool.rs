//! Connections: one that writes, a few that read, and what is set on each of them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::clerk::Clerk;
use crate::error::StoreError;
use crate::writer::Writer;
use crate::{Caches, Tx, file, migrate, migration_copy};

/// How long a statement waits for another process, a backup for example.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader waits until one of the others is done, which may be listing a large network.
const READER_TIMEOUT: Duration = Duration::from_secs(30);
/// More readers than processors that a controller has to spare gain nothing.
const MAX_READERS: u32 = 4;
/// Of these, how many guests may have at once. See [`crate::Store::for_guests`].
const MAX_GUESTS: u32 = MAX_READERS - 1;
/// What a connection that reads keeps of the database: the inner pages of its trees. The system keeps the others, once for all.
const READER_CACHE_KIB: i64 = 1024;
/// More than there are statements, so that each is compiled once a connection.
const STATEMENTS: usize = 64;

/// No `CREATE`: a database is created whole, by [`file::prepare`]. No mutex: a connection has one user at a time.
pub(crate) const WRITABLE: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How the connections to a database behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Pages in the write-ahead log from which on they are moved into the database. 0 leaves that, at the end too, to
    /// another program, for example one that replicates the log.
    pub checkpoint_pages: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { checkpoint_pages: 1000 } // SQLite's own
    }
}

/// What a file is, whatever it is called: its device and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }

    /// Says whether this file is at `path`. If that cannot be told, for now, it is not gone.
    fn is_at(self, path: &Path) -> bool {
        Self::of(path).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |found| found == self)
    }
}

/// The connections to one database.
pub(crate) struct Connections {
    /// Where it is; `None` in memory, and where it is only looked at.
    path: Option<PathBuf>,
    /// Which file that was when it was opened.
    opened: Option<FileId>,
    pub(crate) writer: Writer,
    /// `None` in memory, where a second connection would be a second database: there the writer reads.
    readers: Option<r2d2::Pool<SqliteConnectionManager>>,
    /// Whether nobody may write. Then the writer, whose connection cannot, reads.
    is_read_only: bool,
    caches: Caches,
}

impl Connections {
    /// Opens or creates the database at `path`. A schema that is older stays so until [`Self::migrate`].
    pub(crate) fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        let path = file::prepare(path)?;
        let mut writer = Connection::open_with_flags(&path, WRITABLE)?;
        if writer.is_readonly("main")? {
            // SQLite makes do with reading where it may not write.
            return Err(StoreError::ReadOnly);
        }
        let configure = move |connection: &mut Connection| {
            configure(connection)?;
            configure_checkpoints(connection, options)
        };
        let configure_reader = move |connection: &mut Connection| {
            configure(connection)?;
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)
        };
        configure(&mut writer)?;
        let mode: String = writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::NoWriteAheadLog { path });
        }
        let manager = SqliteConnectionManager::file(&path).with_flags(WRITABLE).with_init(configure_reader);
        let readers = r2d2::Pool::builder()
            .max_size(MAX_READERS)
            .min_idle(Some(0))
            .max_lifetime(None)
            .test_on_check_out(false) // a file does not hang up
            .connection_timeout(READER_TIMEOUT)
            .error_handler(Box::new(r2d2::NopErrorHandler)) // who waits gets the error
            .build_unchecked(manager);
        Ok(Self {
            opened: FileId::of(&path).ok(),
            path: Some(path),
            writer: Writer::new(writer),
            readers: Some(readers),
            is_read_only: false,
            caches: Caches::default(),
        })
    }

    /// Brings the schema to the newest version; the database as it was is kept beside it.
    pub(crate) fn migrate(&self) -> Result<(), StoreError> {
        let connection = &mut self.writer.desk().connection;
        let (found, newest) = (migrate::version(connection)?, migrate::schema_version());
        if found < newest {
            if let Some(path) = &self.path {
                migration_copy::keep(path, connection, newest)?;
            }
            migrate::migrate(connection)?;
        }
        Ok(())
    }

    /// See [`crate::Store::is_in_place`].
    pub(crate) fn is_in_place(&self) -> bool {
        self.path.as_deref().is_none_or(|path| self.opened.is_some_and(|opened| opened.is_at(path)))
    }

    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Returns the version of the schema.
    pub(crate) fn version(&self) -> Result<i64, StoreError> {
        Ok(migrate::version(&self.writer.desk().connection)?)
    }

    /// Opens the database at `path`, which stays as it is.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let mut connection = file::open_current(path)?;
        configure(&mut connection)?;
        Ok(Self {
            path: None,
            opened: None,
            writer: Writer::ungrouped(connection),
            readers: None,
            is_read_only: true,
            caches: Caches::default(),
        })
    }

    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let mut writer = Connection::open_in_memory()?;
        configure(&mut writer)?;
        migrate::migrate(&mut writer)?;
        Ok(Self {
            path: None,
            opened: None,
            writer: Writer::ungrouped(writer),
            readers: None,
            is_read_only: false,
            caches: Caches::default(),
        })
    }

    /// Runs `f` on one consistent view. Nothing that it did could remain.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let caches = &self.caches;
        match &self.readers {
            Some(readers) => run_read(&mut *readers.get().map_err(StoreError::from)?, caches, f),
            None => run_read(&mut self.writer.desk().connection, caches, f),
        }
    }

    /// Runs `f` as the only writer and commits if it succeeds, together with others that wait for their turn.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.is_read_only {
            return Err(StoreError::ReadOnly.into());
        }
        let _writing = self.caches.counts.writes.begin();
        self.writer.write(&self.caches, f)
    }

    /// Does the same when it is the turn of `f`, and tells `done`, without a thread that waits; see
    /// [`crate::Store::write_then`].
    pub(crate) fn write_then<T: Send + 'static, E: From<StoreError>>(
        self: &Arc<Self>,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Option<Clerk> {
        if self.is_read_only {
            done(Err(StoreError::ReadOnly.into()));
            return None;
        }
        let writing = self.caches.counts.writes.begin();
        let done = move |result| {
            drop(writing);
            done(result);
        };
        self.writer.queue(f, done).then(|| Clerk::new(Arc::clone(self)))
    }
}

/// The places of those who always leave a reader to the others.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    reading: Mutex<u32>,
    left: Condvar,
}

/// A place among the guests, free again when this is dropped.
pub(crate) struct Guest<'a>(&'a Guests);

impl Guests {
    /// Waits for a place, as long as others wait for a reader.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if none became free.
    pub(crate) fn enter(&self) -> Result<Guest<'_>, StoreError> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.left.wait_timeout_while(reading, READER_TIMEOUT, |reading| *reading >= MAX_GUESTS);
        let (mut reading, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        if timed_out.timed_out() {
            return Err(StoreError::Busy);
        }
        *reading += 1;
        Ok(Guest(self))
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut reading = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = reading.saturating_sub(1);
        self.0.left.notify_one();
    }
}

fn run_read<T, E: From<StoreError>>(
    connection: &mut Connection,
    caches: &Caches,
    f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let view = ReadView::begin(connection)?;
    f(&Tx::new(view.0, false, caches))
}

/// A transaction that only reads, over when this is dropped. Its two statements are compiled once a connection, as a request
/// takes hardly longer.
struct ReadView<'a>(&'a Connection);

impl<'a> ReadView<'a> {
    fn begin(connection: &'a mut Connection) -> Result<Self, StoreError> {
        let connection = &*connection;
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for ReadView<'_> {
    fn drop(&mut self) {
        // If that fails, whoever uses the connection next cannot begin, and says so.
        drop(self.0.prepare_cached("ROLLBACK").and_then(|mut rollback| rollback.execute([])));
    }
}

/// Sets what SQLite keeps per connection; `docs/storage.md` says why each.
fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -8192)?; // KiB
    // Statements are planned once: else one that could search an index of some rows is planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Bytes that the write-ahead log keeps of what a large change made it grow to.
    connection.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))
}

/// Sets who moves the write-ahead log into the database, and when.
fn configure_checkpoints(connection: &Connection, options: OpenOptions) -> rusqlite::Result<()> {
    let set = |_: &rusqlite::Row<'_>| Ok(());
    connection.pragma_update_and_check(None, "wal_autocheckpoint", options.checkpoint_pages, set)?;
    let is_left_alone = options.checkpoint_pages == 0;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_left_alone).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use ctl_core::Network;
    use rusqlite::StatementStatus;
    use rusqlite::types::Value;
    use zt_proto::{NetworkId, Timestamp};

    use super::*;
    use crate::Store;

    #[test]
    fn every_connection_is_configured() {
        let directory = tempfile::tempdir().unwrap();
        let connections =
            Connections::open(&directory.path().join("ctl.db"), OpenOptions::default()).unwrap();
        let readers = connections.readers.as_ref().unwrap();
        let all: Vec<_> = (0..MAX_READERS).map(|_| readers.get().unwrap()).collect();
        let desk = connections.writer.desk();
        let cache = |connection: &Connection| -> i64 {
            connection.pragma_query_value(None, "cache_size", |row| row.get(0)).unwrap()
        };
        assert!(all.iter().all(|reader| cache(reader) == -READER_CACHE_KIB));
        assert_eq!(cache(&desk.connection), -8192);
        for connection in all.iter().map(|pooled| &**pooled).chain([&desk.connection]) {
            for (pragma, value) in [
                ("foreign_keys", 1_i64.into()),
                ("synchronous", 2.into()), // FULL
                ("busy_timeout", 5000.into()),
                ("journal_mode", Value::Text("wal".to_owned())),
                ("cell_size_check", 1.into()),
                ("trusted_schema", 0.into()),
            ] {
                let found: Value = connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
                assert_eq!(found, value, "{pragma}");
            }
        }
    }

    #[test]
    fn a_statement_is_planned_once_whatever_it_is_asked() {
        let connections = Connections::in_memory().unwrap();
        let desk = connections.writer.desk();
        let sql = "SELECT count(*) FROM member WHERE sso_expires > ?1 AND sso_expires > 0";
        let mut statement = desk.connection.prepare(sql).unwrap();
        for expires in 0..3 {
            assert_eq!(statement.query_one([expires], |row| row.get(0)), Ok(0));
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn readers_are_opened_when_they_are_needed() {
        let directory = tempfile::tempdir().unwrap();
        let connections =
            Connections::open(&directory.path().join("ctl.db"), OpenOptions::default()).unwrap();
        let count = || connections.readers.as_ref().unwrap().state().connections;
        assert_eq!(count(), 0);
        connections.read(|tx| tx.networks().list()).unwrap();
        assert_eq!(count(), 1);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn guests_leave_a_reader_to_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("ctl.db")).unwrap();
        let guests = store.for_guests();
        let (entered, arrivals) = mpsc::channel();
        let hold = Mutex::new(());
        thread::scope(|scope| {
            let held = hold.lock().unwrap();
            for _ in 0..MAX_READERS {
                let (guests, entered, hold) = (guests.clone(), entered.clone(), &hold);
                scope.spawn(move || {
                    guests.read(|tx| {
                        entered.send(()).unwrap();
                        drop(hold.lock().unwrap());
                        tx.networks().list()
                    })
                });
            }
            for _ in 0..MAX_GUESTS {
                arrivals.recv().unwrap();
            }
            assert_eq!(store.read(|tx| tx.networks().list()).unwrap(), []);
            assert!(arrivals.try_recv().is_err(), "a guest has the last reader");
            drop(held);
            arrivals.recv().unwrap(); // whoever waited has its turn
        });
        assert_eq!(guests.read(|tx| tx.networks().list()).unwrap(), []);
    }

    #[test]
    fn full_disk_is_reported_and_leaves_nothing_of_the_change() {
        let connections = Connections::in_memory().unwrap();
        connections.write(|tx| tx.networks().put(&network(1))).unwrap();
        let pages: i64 = connections
            .writer
            .desk()
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        connections
            .writer
            .desk()
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
        let big = Network { name: "x".repeat(1 << 20), ..network(2) };
        let result = connections.write(|tx| {
            tx.networks().remove(NetworkId(1), Timestamp(0))?;
            tx.networks().put(&big)
        });
        assert!(matches!(result, Err(StoreError::DiskFull)), "{result:?}");
        assert_eq!(connections.read(|tx| tx.networks().list()).unwrap(), [NetworkId(1)]);
    }

    #[test]
    fn writer_that_never_gets_its_turn_says_that_the_database_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctl.db");
        let connections = Connections::open(&path, OpenOptions::default()).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        connections.writer.desk().connection.busy_timeout(Duration::ZERO).unwrap();
        let result = connections.write(|tx| tx.networks().put(&network(1)));
        assert!(matches!(result, Err(StoreError::Locked)), "{result:?}");
        connections.read(|tx| tx.networks().list()).unwrap();
        other.execute_batch("ROLLBACK").unwrap();
        connections.write(|tx| tx.networks().put(&network(1))).unwrap();
    }

    fn network(id: u64) -> Network {
        Network::new(NetworkId(id), Timestamp(0))
    }
}
