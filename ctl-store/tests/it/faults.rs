//! The disk fails under the store, at each call in turn; what was acknowledged stays, and writing goes on once the disk is
//! well again, without opening anything anew (`known-flaws.md` row 16).
//!
//! A library in C, compiled here with the compiler that builds SQLite, stands between SQLite and the system in a child process.

#![expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use ctl_core::Network;
use ctl_store::{Store, StoreError};
use rusqlite::Connection;
use zt_proto::NetworkId;

use crate::sample::{NETWORK, address, member, network, put_network};
use crate::small_disk::on_small_disk;

/// Where a child works; without it, its test is empty.
const PLACE_VARIABLE: &str = "CTL_STORE_FAULT_PLACE";
/// Networks that each run of the script writes; each with two members in one transaction.
const WRITES: u64 = 6;

#[test]
fn disk_that_fails_once_at_any_call_takes_nothing_that_was_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    run_child("faults::child_on_a_disk_that_fails", place.path(), &compile_shim(place.path()));
}

/// What the preloaded library does is what a real disk that is full does too.
#[test]
fn disk_that_is_really_full_is_named_and_written_again_when_there_is_room() {
    let name = "faults::disk_that_is_really_full_is_named_and_written_again_when_there_is_room";
    on_small_disk(1, name, fill_disk);
}

fn run_child(test: &str, place: &Path, shim: &Path) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PLACE_VARIABLE, place)
        .env("LD_PRELOAD", shim)
        .env("FAULT_TARGET", "/ctl.db")
        .env("FAULT_CONTROL", control(place))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    print!("{stdout}");
}

/// # Panics
/// Without a C compiler: SQLite could not have been built either.
pub(crate) fn compile_shim(place: &Path) -> PathBuf {
    let (source, shim) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fault_shim.c"), place.join("shim.so"));
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let compiled =
        Command::new(&compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).output();
    match compiled {
        Ok(output) if output.status.success() => shim,
        failed => panic!("this test needs a C compiler ({}, or CC): {failed:?}", compiler.display()),
    }
}

fn control(place: &Path) -> PathBuf {
    place.join("control")
}

/// Tells the library what is to fail.
struct Faults {
    control: PathBuf,
    generation: Cell<u64>,
}

impl Faults {
    fn arm(&self, kind: &str, skip: u64, length: u64) {
        self.generation.set(self.generation.get() + 1);
        fs::write(&self.control, format!("{} {kind} {skip} {length}", self.generation.get())).unwrap();
    }

    /// Makes the disk well, and says whether it failed.
    fn disarm(&self) -> bool {
        self.arm("none", 0, 0);
        fs::remove_file(self.control.with_added_extension("hit")).is_ok()
    }
}

/// Not a test of its own.
#[test]
fn child_on_a_disk_that_fails() {
    let Some(place) = env::var_os(PLACE_VARIABLE).map(PathBuf::from) else { return };
    let faults = Faults { control: control(&place), generation: Cell::new(0) };
    for kind in ["eio", "enospc", "erofs", "short", "fsync", "truncate"] {
        // Once at the call with each number, until the script has no more calls; and from it on for a long time.
        for length in [1, 1_000_000] {
            let mut runs = 0;
            let mut number = 0;
            while run_script(&faults, &place, kind, number, length) {
                runs += 1;
                // A disk that stays broken is much the same wherever that begins.
                number += if length == 1 { 1 } else { 7 };
            }
            assert!(runs > 0, "{kind} never happened");
            println!("{kind}, {length} at a time: {runs} runs");
        }
        for number in 0.. {
            if !open_script(&faults, &place, kind, number) {
                break;
            }
        }
    }
}

/// Writes on a disk that fails from the call with this number on; says whether it failed.
fn run_script(faults: &Faults, place: &Path, kind: &str, number: u64, length: u64) -> bool {
    let context = format!("{kind} at {number}, {length} times");
    let directory = tempfile::tempdir_in(place).unwrap();
    let path = directory.path().join("ctl.db");
    let store = Store::open(&path).unwrap();
    put_network(&store, &network(NETWORK));
    faults.arm(kind, number, length);
    let mut acknowledged = [false; WRITES as usize];
    for write in 0..WRITES / 2 {
        acknowledged[write as usize] = acknowledge(put(&store, write), kind, &context);
    }
    // What a checkpoint writes may fail as well; SQLite does one by itself when the log is long.
    let checkpoint = || {
        let raw = Connection::open(&path)?;
        raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    checkpoint().unwrap_or(());
    thread::scope(|scope| {
        let calls = (WRITES / 2..WRITES).map(|write| {
            let store = &store;
            (write, scope.spawn(move || put(store, write)))
        });
        for (write, call) in calls.collect::<Vec<_>>() {
            acknowledged[write as usize] = acknowledge(call.join().unwrap(), kind, &context);
        }
    });
    if (kind, number) == ("fsync", 0) && length > 1 {
        assert_eq!(acknowledged, [false; WRITES as usize], "acknowledged, and no flush ever succeeded");
    }
    // What is there can be read all the while.
    check(&store, &acknowledged, &context);
    let has_failed = faults.disarm();
    assert!(has_failed || acknowledged == [true; WRITES as usize], "{context}");
    put(&store, WRITES).unwrap_or_else(|error| panic!("{context}: no recovery: {error}"));
    check(&store, &acknowledged, &context);
    drop(store);
    let store = Store::open(&path).unwrap_or_else(|error| panic!("{context}: {error}"));
    check(&store, &acknowledged, &context);
    assert!(is_whole(&store, WRITES).unwrap(), "{context}");
    drop(store);
    let raw = Connection::open(&path).unwrap();
    let found: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok", "{context}");
    assert!(!raw.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap(), "{context}");
    has_failed
}

/// Makes a database on a disk that fails; says whether it failed.
fn open_script(faults: &Faults, place: &Path, kind: &str, number: u64) -> bool {
    let directory = tempfile::tempdir_in(place).unwrap();
    let path = directory.path().join("ctl.db");
    // The new database grows under another name, so what is counted is what happens to the finished one.
    faults.arm(kind, number, 1);
    let first = Store::open(&path).and_then(|store| put(&store, 0));
    let has_failed = faults.disarm();
    let store = Store::open(&path).unwrap_or_else(|error| panic!("{kind} at {number}: {error}"));
    assert!(first.is_err() || is_whole(&store, 0).unwrap(), "{kind} at {number}");
    put(&store, 1).unwrap();
    has_failed
}

/// Saves a network with two members, large enough for some pages.
pub(crate) fn put(store: &Store, write: u64) -> Result<(), StoreError> {
    let id = NetworkId(NETWORK.0 + 1 + write);
    store.write(|tx| {
        tx.networks().put(&Network { rules_source: "x".repeat(20_000), ..network(id) })?;
        (1..=2).try_for_each(|number| tx.members().put(&ctl_core::Member { network: id, ..member(number) }))
    })
}

/// Says whether a write of [`put`] is there, which it must be as a whole or not at all.
pub(crate) fn is_whole(store: &Store, write: u64) -> Result<bool, StoreError> {
    let id = NetworkId(NETWORK.0 + 1 + write);
    store.read(|tx| {
        let network = tx.networks().get(id)?;
        let members: Vec<_> = tx.members().list(id)?.into_iter().map(|member| member.address).collect();
        let expected = if network.is_some() { vec![address(1), address(2)] } else { Vec::new() };
        assert_eq!(members, expected, "a part of a write");
        assert!(network.is_none_or(|network| network.rules_source.len() == 20_000));
        Ok(!members.is_empty())
    })
}

fn check(store: &Store, acknowledged: &[bool], context: &str) {
    for (write, acknowledged) in (0..).zip(acknowledged) {
        let is_there = is_whole(store, write).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(is_there || !acknowledged, "{context}: write {write} was acknowledged and is gone");
    }
}

fn acknowledge(result: Result<(), StoreError>, kind: &str, context: &str) -> bool {
    match &result {
        Ok(()) => {}
        Err(StoreError::DiskFull) => assert!(["enospc", "short"].contains(&kind), "{context}: {result:?}"),
        Err(error) => {
            let is_named = matches!(error, StoreError::Disk { .. } | StoreError::ReadOnly);
            assert!(is_named && error.is_outage(), "{context}: {result:?}");
        }
    }
    result.is_ok()
}

fn fill_disk(place: &Path) {
    let store = Store::open(&place.join("ctl.db")).unwrap();
    fs::write(place.join("ballast"), vec![0; 400_000]).unwrap();
    let mut writes = 0;
    let error = loop {
        match put(&store, writes) {
            Ok(()) => writes += 1,
            Err(error) => break error,
        }
        assert!(writes < 1000, "the disk is never full");
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    assert!(writes > 3, "{writes}");
    for _ in 0..5 {
        assert!(matches!(put(&store, writes), Err(StoreError::DiskFull)));
        assert!((0..writes).all(|write| is_whole(&store, write).unwrap()));
        assert!(!is_whole(&store, writes).unwrap());
    }
    fs::remove_file(place.join("ballast")).unwrap();
    put(&store, writes).unwrap();
    drop(store);
    let store = Store::open(&place.join("ctl.db")).unwrap();
    assert!((0..=writes).all(|write| is_whole(&store, write).unwrap()));
}
