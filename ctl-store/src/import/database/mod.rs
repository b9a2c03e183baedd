//! A `controller.db` of releases up to 1.1.14 (`vl2.md` §13–15).
//!
//! The version number in the file says little, so the layout is told by tables and columns. The file is copied and only
//! the copy is opened: SQLite itself may have to roll back what a crash left.

mod layout;
mod member;
mod network;
mod row;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;
use zt_proto::NetworkId;

use super::report::NoteKind;
use super::write::Writer;
use super::{ImportError, io_error};
use layout::Layout;
use row::Row;

/// What SQLite keeps beside a database that was not closed.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A copy of a foreign database.
struct Database {
    connection: Connection,
    layout: Layout,
    /// The original.
    path: PathBuf,
    _copy: TempDir,
}

pub(super) fn read(path: &Path, writer: &mut Writer<'_>) -> Result<(), ImportError> {
    let database = Database::open(path)?;
    writer.name(format!("controller.db, layout {}", database.layout));
    for warning in &database.layout.warnings {
        writer.note(NoteKind::Suspicious, path.display(), warning);
    }
    let mut networks = BTreeSet::new();
    for row in database.rows("SELECT * FROM Network ORDER BY id", [])? {
        if let Some(network) = database.read_network(&row, writer)? {
            networks.insert(network.id);
            database.read_members(&network, writer)?;
        }
    }
    database.report_leftovers(&networks, writer)
}

impl Database {
    fn open(path: &Path) -> Result<Self, ImportError> {
        let directory = tempfile::tempdir().map_err(io_error(std::env::temp_dir()))?;
        let copy = directory.path().join("copy.db");
        fs::copy(path, &copy).map_err(io_error(path))?;
        for suffix in COMPANIONS {
            let (from, to) = (with_suffix(path, suffix), with_suffix(&copy, suffix));
            if from.is_file() {
                fs::copy(&from, to).map_err(io_error(from))?;
            }
        }
        let damaged =
            |error: rusqlite::Error| ImportError::Damaged { path: path.to_owned(), what: error.to_string() };
        let connection = Connection::open(&copy).map_err(damaged)?;
        // What stands in its schema is the work of strangers.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(damaged)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(damaged)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).map_err(damaged)?;
        let layout = Layout::detect(&connection).map_err(damaged)?;
        let layout = layout.map_err(|what| ImportError::NotAController { path: path.to_owned(), what })?;
        // Not every layout has one, and without it every member would mean reading all addresses.
        let index = "CREATE INDEX IF NOT EXISTS import_of_addresses ON IpAssignment (networkId, nodeId, ip)";
        connection.execute_batch(index).map_err(damaged)?;
        if layout.has_table("Log") {
            let index = "CREATE INDEX IF NOT EXISTS import_of_log ON Log (networkId, nodeId, ts)";
            connection.execute_batch(index).map_err(damaged)?;
        }
        Ok(Self { connection, layout, path: path.to_owned(), _copy: directory })
    }

    fn damaged(&self, error: &rusqlite::Error) -> ImportError {
        ImportError::Damaged { path: self.path.clone(), what: error.to_string() }
    }

    fn rows(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Row>, ImportError> {
        let mut rows = Vec::new();
        self.each(sql, params, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs a query and gives each of its rows to `take`.
    fn each(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut take: impl FnMut(Row) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.damaged(&error))?;
        let mut rows = statement.query(params).map_err(|error| self.damaged(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.damaged(&error))? {
            take(Row::read(row).map_err(|error| self.damaged(&error))?)?;
        }
        Ok(())
    }

    /// Reports rows that belong to no network, and identities that belong to no member.
    fn report_leftovers(
        &self,
        networks: &BTreeSet<NetworkId>,
        writer: &mut Writer<'_>,
    ) -> Result<(), ImportError> {
        for row in self.rows("SELECT networkId, count(*) AS count FROM Member GROUP BY networkId", [])? {
            let id = row.text("networkId").unwrap_or_default();
            if !row::network_id(&id).is_some_and(|id| networks.contains(&id)) {
                let count = row.integer("count").and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
                let message = format_args!("its record is missing, so its members were left out: {count}");
                writer.skip_members(count, format_args!("network {}", ctl_core::record::cut(&id)), message);
            }
        }
        let sql = "SELECT count(*) AS count FROM Node WHERE id NOT IN (SELECT nodeId FROM Member)";
        for row in self.rows(sql, [])? {
            if let Some(count) = row.integer("count").filter(|count| *count > 0) {
                let message =
                    format!("{count} identities of nodes that are members of nothing were left out");
                writer.note(NoteKind::Remark, self.path.display(), message);
            }
        }
        let known = ["schemaVersion"];
        for row in self.rows("SELECT k, v FROM Config ORDER BY k", [])? {
            let name = row.text("k").unwrap_or_default();
            if !known.contains(&name.as_str()) {
                let message = format!("{} of the controller was left out", ctl_core::record::cut(&name));
                writer.note(NoteKind::Remark, self.path.display(), message);
            }
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
