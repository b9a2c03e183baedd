//! Databases of older releases are brought to the newest version with everything in them, and kept as they were beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ctl_core::network::Route;
use ctl_store::{Store, StoreError, schema_version};
use rusqlite::Connection;
use rusqlite::types::Value;
use zt_proto::NetworkId;
use zt_proto::rules::Rule;

use crate::open::{names, place};
use crate::sample::NETWORK;

/// Table to columns and rows.
type Content = BTreeMap<String, (Vec<String>, Vec<Vec<Value>>)>;

#[test]
fn database_of_every_older_version_is_upgraded_with_its_content_intact() {
    for version in 1..schema_version() {
        let (_directory, path) = place();
        fixture(version, &path);
        let before = content(&path, None);
        assert!(before.values().all(|(_, rows)| !rows.is_empty()), "version {version} has an empty table");
        drop(Store::open(&path).unwrap());
        assert_eq!(content(&path, Some(&before)), before, "version {version}");
        let raw = Connection::open(&path).unwrap();
        let found: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, schema_version());
        let check: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        assert!(!raw.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    }
}

#[test]
fn upgraded_records_are_read_with_the_defaults_of_what_is_new() {
    for version in 1..schema_version() {
        let (_directory, path) = place();
        fixture(version, &path);
        let store = Store::open(&path).unwrap();
        store
            .read(|tx| {
                let network = tx.networks().get(NETWORK)?.unwrap();
                assert_eq!((network.name.as_str(), network.revision), ("büro", 7));
                assert_eq!(network.rules, [Rule::ACCEPT]);
                let route = Route { target: "10.147.0.0/16".parse().unwrap(), via: None };
                assert_eq!(network.routes[0], route);
                assert_eq!(network.rule_tests_required, version >= 2);
                let members = tx.members().list(NETWORK)?;
                assert_eq!(
                    members.iter().map(|member| member.ip_assignments.len()).collect::<Vec<_>>(),
                    [1, 2]
                );
                let other = tx.networks().get(NetworkId(NETWORK.0 + 0xf1))?.unwrap();
                assert_eq!((other.revision, other.credential_window), (u64::MAX, Some(u64::MAX - 2)));
                let seen = tx.sightings().history(NETWORK, members[1].address)?.len();
                assert_eq!(seen, if version >= 3 { 2 } else { 0 });
                Ok::<_, StoreError>(())
            })
            .unwrap();
        // What is there can be saved again.
        store
            .write(|tx| {
                for id in tx.networks().list()? {
                    tx.networks().put(&tx.networks().get(id)?.unwrap())?;
                    tx.members().list(id)?.iter().try_for_each(|member| tx.members().put(member))?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

#[test]
fn copy_of_the_old_database_is_kept_for_its_owner_alone() {
    for version in 1..schema_version() {
        let (directory, path) = place();
        fixture(version, &path);
        // The last commits are still in the write-ahead log, as after a crash.
        let raw = Connection::open(&path).unwrap();
        raw.execute_batch("PRAGMA journal_mode = WAL; UPDATE network SET name = 'in the log'").unwrap();
        let mut before = content(&path, None);
        drop(Store::open(&path).unwrap());
        drop(raw);
        // Nobody serves with a copy.
        before.get_mut("lease").into_iter().for_each(|(_, rows)| rows.clear());
        let copy = format!("ctl.db.before-v{}", schema_version());
        assert_eq!(names(directory.path()), ["ctl.db", &copy]);
        let copy = directory.path().join(copy);
        assert_eq!(content(&copy, None), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // It is a database of the old version: renamed, it is the way back.
        fs::rename(&copy, &path).unwrap();
        drop(Store::open(&path).unwrap());
    }
}

#[test]
fn only_the_last_two_copies_are_kept() {
    let (directory, path) = place();
    for old in ["ctl.db.before-v1", "ctl.db.before-v2", "other.db.before-v1", "ctl.db.before-vx"] {
        fs::write(directory.path().join(old), "").unwrap();
    }
    fixture(1, &path);
    drop(Store::open(&path).unwrap());
    let newest = format!("ctl.db.before-v{}", schema_version());
    let mut expected =
        ["ctl.db", "ctl.db.before-v2", "ctl.db.before-vx", &newest, "other.db.before-v1"].map(str::to_owned);
    expected.sort();
    assert_eq!(names(directory.path()), expected);
}

#[test]
fn nothing_is_copied_where_nothing_is_migrated() {
    let (directory, path) = place();
    for _ in 0..2 {
        drop(Store::open(&path).unwrap());
        assert_eq!(names(directory.path()), ["ctl.db"]);
    }
}

#[test]
fn database_that_cannot_be_copied_is_not_migrated() {
    let (directory, path) = place();
    fixture(1, &path);
    let before = content(&path, None);
    // Something that no file can replace.
    let obstacle = directory.path().join(format!("ctl.db.before-v{}", schema_version()));
    fs::create_dir_all(obstacle.join("full")).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
    assert_eq!(content(&path, None), before);
    let raw = Connection::open(&path).unwrap();
    assert_eq!(raw.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
}

/// Makes the database that a release of this version left.
fn fixture(version: i64, path: &Path) {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata", &format!("v{version}.sql")].iter().collect();
    let dump = fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; testdata/README.md says how to make it", file.display())
    });
    let connection = Connection::open(path).unwrap();
    // A dump fills tables before those that they refer to.
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(&dump).unwrap();
}

/// Returns every row of every table, by key; of the tables and columns of `like`, if given.
fn content(path: &Path, like: Option<&Content>) -> Content {
    let connection = Connection::open(path).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables = like.map_or_else(|| texts(sql), |like| like.keys().cloned().collect());
    let mut content = Content::new();
    for table in tables {
        let columns = match like {
            Some(like) => like[&table].0.clone(),
            None => texts(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY name")),
        };
        let list = columns.join(", ");
        let mut statement =
            connection.prepare(&format!("SELECT {list} FROM {table} ORDER BY {list}")).unwrap();
        let rows = statement.query_map([], |row| (0..columns.len()).map(|column| row.get(column)).collect());
        let rows = rows.unwrap().map(Result::unwrap).collect();
        content.insert(table, (columns, rows));
    }
    content
}
