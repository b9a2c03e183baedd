//! Copies of a database in use.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ctl_core::Network;
use ctl_store::{Lease, OpenOptions, Store, StoreError, UnmigratedStore, copy_database};
use rusqlite::Connection;
use zt_proto::{NetworkId, Timestamp};

use crate::open::place;
use crate::sample::{NETWORK, get_member, member, network, put_member, put_network};

#[test]
fn copy_of_a_database_in_use_has_everything_that_was_committed() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    put_member(&store, &member(1)).unwrap();
    let copy = copy(&path, directory.path());
    put_member(&store, &member(2)).unwrap();
    let copy = Store::open(&copy).unwrap();
    assert_eq!((get_member(&copy, 1), get_member(&copy, 2)), (Some(member(1)), None));
    assert_eq!(copy.read(|tx| tx.networks().get(NETWORK)).unwrap(), Some(network(NETWORK)));
}

/// Each write changes two networks at once, so a copy with different numbers would be of no moment that ever was.
#[test]
fn copies_made_under_load_are_of_one_moment_each() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    let numbered = |id: u64, revision: u64| Network {
        revision,
        name: "x".repeat(2000),
        ..Network::new(NetworkId(id), Timestamp(0))
    };
    let write = |revision: u64| {
        store.write(|tx| (1..=64).try_for_each(|id| tx.networks().put(&numbered(id, revision)))).unwrap();
    };
    write(0);
    let stop = AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (1..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(write);
        });
        for n in 0..10 {
            let place = directory.path().join(n.to_string());
            fs::create_dir(&place).unwrap();
            let copy = Store::open(&copy(&path, &place)).unwrap();
            let revisions: Vec<_> = (1..=64)
                .map(|id| copy.read(|tx| tx.networks().get(NetworkId(id))).unwrap().unwrap().revision)
                .collect();
            assert!(revisions.iter().all(|revision| *revision == revisions[0]), "{revisions:?}");
            seen.push(revisions[0]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(seen.is_sorted());
}

#[test]
fn copying_a_database_that_nobody_uses_leaves_its_file_and_its_log_as_they_were() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    // As a killed program leaves them: the last commits are in the log alone.
    let killed = directory.path().join("killed");
    fs::create_dir(&killed).unwrap();
    for name in ["ctl.db", "ctl.db-wal"] {
        fs::copy(directory.path().join(name), killed.join(name)).unwrap();
    }
    let files = || ["ctl.db", "ctl.db-wal"].map(|name| fs::read(killed.join(name)).unwrap());
    let before = files();
    let copy = copy(&killed.join("ctl.db"), directory.path());
    assert!(files() == before);
    assert_eq!(Store::open(&copy).unwrap().read(|tx| tx.networks().list()).unwrap(), [NETWORK]);
}

#[test]
fn damage_that_only_a_comparison_shows_is_found_in_the_copy() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    for n in 1..200 {
        put_member(&store, &member(n)).unwrap();
    }
    drop(store);
    // An index that disagrees with its table: every page by itself is sound.
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET sql = replace(sql, 'revision, authorized', 'authorized, revision') \
             WHERE name = 'member_revision'; PRAGMA writable_schema = RESET",
        )
        .unwrap();
    drop(connection);
    let to = directory.path().join("copy.db");
    File::create(&to).unwrap();
    let error = copy_database(&path, &to).unwrap_err();
    assert!(matches!(&error, StoreError::DamagedFile { path: named, .. } if *named == path), "{error:?}");
}

#[test]
fn copy_has_no_lease_that_a_successor_would_wait_for() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    let lease = Lease { holder: "one".to_owned(), hint: String::new(), until: Timestamp(1) };
    store.write(|tx| tx.lease().put(&lease)).unwrap();
    let copy = Store::open(&copy(&path, directory.path())).unwrap();
    assert_eq!(copy.read(|tx| tx.lease().get()).unwrap(), None);
    assert_eq!(store.read(|tx| tx.lease().get()).unwrap(), Some(lease));
}

#[test]
fn what_is_not_ours_is_not_copied() {
    let (directory, path) = place();
    let to = directory.path().join("copy.db");
    File::create(&to).unwrap();
    assert!(matches!(copy_database(&path, &to), Err(StoreError::File { .. })));
    fs::write(&path, "x".repeat(2000)).unwrap();
    assert!(matches!(copy_database(&path, &to), Err(StoreError::NotADatabase { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(copy_database(&path, &to), Err(StoreError::DamagedFile { .. })));
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(copy_database(&path, &to), Err(StoreError::ForeignDatabase { .. })));
    fs::remove_file(&path).unwrap();
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(copy_database(&path, &to), Err(StoreError::NewerSchema { .. })));
    // Before an update somebody wants a copy of what the older release wrote.
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(copy_database(&path, &to).unwrap().schema_version, 1);
}

/// For a program that replicates the log: what it has not copied yet must stay there.
#[test]
fn log_is_left_alone_where_that_is_asked_for() {
    let (_directory, path) = place();
    drop(Store::open(&path).unwrap());
    let before = fs::read(&path).unwrap();
    let log = path.with_extension("db-wal");
    let fill = |checkpoint_pages| {
        let options = OpenOptions { checkpoint_pages };
        let store = UnmigratedStore::open(&path, options).unwrap().migrate().unwrap();
        for n in 1..=20 {
            // 2,500 pages in all.
            put_network(&store, &Network { name: "x".repeat(500_000), ..network(NetworkId(n)) });
        }
    };
    fill(0);
    assert!(fs::read(&path).unwrap() == before, "the database was written");
    assert!(fs::metadata(&log).unwrap().len() > 10_000_000);
    fill(1000);
    assert!(fs::metadata(&path).unwrap().len() > 10_000_000);
    assert!(!log.exists());
    assert_eq!(Store::open(&path).unwrap().read(|tx| tx.networks().list()).unwrap().len(), 20);
}

/// Litestream keeps two tables of its own in what it replicates.
#[test]
fn tables_of_litestream_are_copied_like_all_others() {
    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); \
             CREATE TABLE _litestream_lock (id INTEGER); INSERT INTO _litestream_seq VALUES (1, 7)",
        )
        .unwrap();
    let copy = copy(&path, directory.path());
    let seq = "SELECT seq FROM _litestream_seq";
    assert_eq!(Connection::open(&copy).unwrap().query_row(seq, [], |row| row.get(0)), Ok(7));
    drop(store);
}

fn copy(path: &Path, into: &Path) -> std::path::PathBuf {
    let to = into.join("copy.db");
    File::create(&to).unwrap();
    let copied = copy_database(path, &to).unwrap();
    assert_eq!(copied.size_bytes, fs::metadata(&to).unwrap().len());
    to
}
