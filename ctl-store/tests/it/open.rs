//! Opening: what is made, what is accepted, and what is refused untouched.

use std::fs;
use std::path::{Path, PathBuf};

use ctl_store::{Store, StoreError, schema_version};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sample::{NETWORK, NOW, get_member, member, network, put_member, put_network};

#[test]
fn records_survive_reopening() {
    let (_directory, path) = place();
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    put_member(&store, &member(1)).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(get_member(&store, 1), Some(member(1)));
    assert_eq!(store.read(|tx| tx.networks().get(NETWORK)).unwrap(), Some(network(NETWORK)));
}

#[test]
fn database_can_be_opened_twice() {
    let (_directory, path) = place();
    let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    put_network(&one, &network(NETWORK));
    put_member(&two, &member(1)).unwrap();
    assert_eq!(get_member(&one, 1), Some(member(1)));
}

#[test]
fn creating_leaves_nothing_but_the_database() {
    let (directory, path) = place();
    drop(Store::open(&path).unwrap());
    assert_eq!(names(directory.path()), ["ctl.db"]);
}

#[test]
fn path_that_is_special_to_sqlite_is_just_a_file_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "a b%20c", "ü.db"] {
        let path = directory.path().join(name);
        put_network(&Store::open(&path).unwrap(), &network(NETWORK));
        assert_eq!(Store::open(&path).unwrap().read(|tx| tx.networks().list()).unwrap(), [NETWORK]);
    }
}

/// `known-flaws.md` row 3.
#[cfg(unix)]
#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (directory, path) = place();
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    assert_eq!(names(directory.path()), ["ctl.db", "ctl.db-shm", "ctl.db-wal"]);
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn file_that_is_no_database_is_refused() {
    for content in ["x", "[settings]\nport = 9993\n", &"{\"id\": 1}\n".repeat(2000)] {
        let (directory, path) = place();
        fs::write(&path, content).unwrap();
        refused(directory.path(), |error| matches!(error, StoreError::NotADatabase { .. }));
    }
}

#[test]
fn directory_instead_of_a_file_is_refused() {
    let (_directory, path) = place();
    fs::create_dir(&path).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
}

#[test]
fn database_of_another_program_is_refused() {
    for setup in [
        "CREATE TABLE t (x)",
        "CREATE TABLE network (id TEXT); PRAGMA user_version = 1",
        "PRAGMA application_id = 7; CREATE TABLE t (x)",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (x)",
    ] {
        let (directory, path) = place();
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        refused(directory.path(), |error| matches!(error, StoreError::ForeignDatabase { .. }));
    }
}

#[test]
fn database_of_a_newer_release_is_refused() {
    let (directory, path) = place();
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused(directory.path(), |error| {
        let known = schema_version();
        let text = format!("has schema version 99, and this release knows {known} ");
        assert!(error.to_string().contains(&text), "{error}");
        matches!(error, StoreError::NewerSchema { found: 99, known: named, .. } if *named == known)
    });
}

#[test]
fn looking_sees_what_was_committed_and_changes_nothing() {
    let (directory, path) = place();
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::File { .. })));
    assert_eq!(names(directory.path()), [""; 0], "looking made a database");
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    let look = Store::open_read_only(&path).unwrap();
    assert_eq!(look.read(|tx| tx.networks().get(NETWORK)).unwrap(), Some(network(NETWORK)));
    // Beside a running controller, later commits are seen too.
    put_member(&store, &member(1)).unwrap();
    assert_eq!(get_member(&look, 1), Some(member(1)));
    let written = look.write(|tx| tx.networks().remove(NETWORK, NOW));
    assert!(matches!(written, Err(StoreError::ReadOnly)), "{written:?}");
    drop((look, store));
    assert_eq!(names(directory.path()), ["ctl.db"]);
    let before = fs::read(&path).unwrap();
    let look = Store::open_read_only(&path).unwrap();
    assert_eq!(look.read(|tx| tx.networks().list()).unwrap(), [NETWORK]);
    drop(look);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(names(directory.path()), ["ctl.db"]);
}

#[test]
fn looking_refuses_another_version_and_leaves_it() {
    let known = schema_version();
    for (version, expected) in [
        (1, format!("version 1, and this release needs {known} ")),
        (99, format!("version 99, and this release knows {known} ")),
    ] {
        let (directory, path) = place();
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", version).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Store::open_read_only(&path).err().unwrap().to_string();
        assert!(error.contains(&expected), "{error}");
        assert!(fs::read(&path).unwrap() == before);
        assert_eq!(names(directory.path()), ["ctl.db"]);
    }
    let (directory, path) = place();
    fs::create_dir(&path).unwrap();
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::NotADatabase { .. })));
    drop(directory);
}

#[test]
fn empty_file_has_lost_its_content_and_is_refused() {
    let (directory, path) = place();
    fs::write(&path, "").unwrap();
    refused(directory.path(), |error| matches!(error, StoreError::DamagedFile { .. }));
}

#[test]
fn missing_directory_is_named() {
    let (directory, _) = place();
    let path = directory.path().join("missing").join("ctl.db");
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(&error, StoreError::Directory { path: named, .. } if *named == path), "{error:?}");
    assert!(error.to_string().starts_with("cannot use the directory of "), "{error}");
    assert_eq!(names(directory.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn what_the_user_may_not_use_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let (directory, path) = place();
    drop(Store::open(&path).unwrap());
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o000);
    if fs::File::open(&path).is_ok() {
        return; // root may use everything
    }
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::File { .. }), "{error:?}");
    set(&path, 0o400);
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    set(&path, 0o600);
    set(directory.path(), 0o500);
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
    let error = Store::open(&directory.path().join("new.db")).err().unwrap();
    assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
    set(directory.path(), 0o700);
    assert_eq!(names(directory.path()), ["ctl.db"]);
}

/// Opens `ctl.db` in `directory`, which must fail, say so in the house style, and change nothing.
pub(crate) fn refused(directory: &Path, expected: impl Fn(&StoreError) -> bool) {
    let path = directory.join("ctl.db");
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(expected(&error), "{error:?}");
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    assert!(!error.to_string().ends_with('.'), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the refused file was changed");
    assert_eq!(names(directory), ["ctl.db"]);
}

pub(crate) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ctl.db");
    (directory, path)
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
