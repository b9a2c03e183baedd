//! The machine loses power: what was written and not flushed is there, or not, or in part, in any order. Whatever was
//! acknowledged is there, and nothing by halves (`known-flaws.md` row 16).
//!
//! A child process writes, and a library that stands before SQLite's calls keeps the book ([`crate::faults`]). From that book
//! the files are made as they may be after a power loss at any moment: with all that was flushed before, and of the rest what
//! chance says. `CTL_STORE_POWER_SEED` repeats a run's choices, `CTL_STORE_POWER_ROUNDS` makes it longer.

#![expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use ctl_store::Store;
use rusqlite::Connection;

use crate::crash::Random;
use crate::faults::{compile_shim, is_whole, put};
use crate::sample::{NETWORK, network, put_network};

/// Where a child works; without it, its test is empty.
const PLACE_VARIABLE: &str = "CTL_STORE_POWER_PLACE";
const ROUNDS: u64 = 300;
const THREADS: u64 = 3;
/// Writes of each thread, a network with two members each.
const WRITES: u64 = 12;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[test]
fn power_loss_at_any_moment_takes_nothing_that_was_acknowledged() {
    let number = |name| env::var(name).ok().map(|value| value.parse().unwrap());
    let seed = number("CTL_STORE_POWER_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let rounds = number("CTL_STORE_POWER_ROUNDS").unwrap_or(ROUNDS);
    println!("CTL_STORE_POWER_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let path = place.join("ctl.db");
    put_network(&Store::open(&path).unwrap(), &network(NETWORK));
    let before = Files::from([("ctl.db".to_owned(), fs::read(&path).unwrap())]);
    let trace = place.join("trace");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "power_loss::child_whose_writes_are_noted", "--nocapture"])
        .env(PLACE_VARIABLE, place)
        .env("LD_PRELOAD", compile_shim(place))
        .env("FAULT_TARGET", "/ctl.db")
        .env("FAULT_TRACE", &trace)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let book = Book::read(&fs::read(&trace).unwrap());
    let flushes = book.operations.iter().filter(|operation| operation.what == What::Flush).count();
    assert!(flushes as u64 > WRITES, "{flushes} flushes were noted");
    let mut random = Random(seed);
    let (mut lost, mut acknowledged) = (0, 0);
    for round in 0..rounds {
        let end = random.below(book.operations.len() as u64 + 1) as usize;
        let after = place.join("after");
        fs::create_dir(&after).unwrap();
        let (files, dropped) = book.files_after_power_loss(&before, end, &mut random);
        files.iter().for_each(|(name, content)| fs::write(after.join(name), content).unwrap());
        let said = book.acknowledged(end);
        let context = format!("round {round} at {end} of {}, seed {seed}", book.operations.len());
        check(&after.join("ctl.db"), &said, &context);
        lost += dropped;
        acknowledged += said.len();
        fs::remove_dir_all(&after).unwrap();
    }
    println!(
        "{rounds} power losses, {lost} writes not flushed and lost, {acknowledged} acknowledged writes looked for"
    );
    assert!(lost as u64 > rounds && acknowledged as u64 > rounds, "nothing was put to the test");
}

/// Opens what is left, as the controller does, and compares it with what was said.
fn check(path: &Path, acknowledged: &BTreeSet<u64>, context: &str) {
    let store = Store::open(path).unwrap_or_else(|error| panic!("{context}: {error}"));
    for write in 0..THREADS * WRITES {
        let is_there = is_whole(&store, write).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(
            is_there || !acknowledged.contains(&write),
            "{context}: {write} was acknowledged and is gone"
        );
    }
    put(&store, THREADS * WRITES).unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(store);
    let raw = Connection::open(path).unwrap();
    let found: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok", "{context}");
    assert!(!raw.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap(), "{context}");
}

/// Not a test of its own.
#[test]
fn child_whose_writes_are_noted() {
    let Some(place) = env::var_os(PLACE_VARIABLE).map(PathBuf::from) else { return };
    let path = place.join("ctl.db");
    let store = Store::open(&path).unwrap();
    // Its name makes it count, so its place in the book says when a write was acknowledged.
    let said = OpenOptions::new().create(true).append(true).open(place.join("ctl.db-said")).unwrap();
    let said = Mutex::new(said);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, said, path) = (&store, &said, &path);
            scope.spawn(move || {
                for write in thread * WRITES..(thread + 1) * WRITES {
                    put(store, write).unwrap();
                    said.lock().unwrap().write_all(&write.to_ne_bytes()).unwrap();
                    if write % 5 == 4 {
                        // The log goes into the database, and begins anew.
                        let raw = Connection::open(path).unwrap();
                        raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                    }
                }
            });
        }
    });
}

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Write,
    Flush,
    Truncate,
    Remove,
}

struct Operation {
    what: What,
    name: String,
    offset: usize,
    bytes: Vec<u8>,
}

/// What a process did with its files, in order.
struct Book {
    operations: Vec<Operation>,
}

impl Book {
    /// Reads what `fault_shim.c` wrote.
    fn read(mut bytes: &[u8]) -> Self {
        let mut operations = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(88);
            let number = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap()) as usize;
            let what = match head[0] {
                b'W' => What::Write,
                b'S' => What::Flush,
                b'T' => What::Truncate,
                b'U' => What::Remove,
                other => panic!("{other}"),
            };
            let name = head[24..].split(|byte| *byte == 0).next().unwrap();
            let name = String::from_utf8(name.to_vec()).unwrap();
            let (written, rest) = rest.split_at(number(16));
            operations.push(Operation { what, name, offset: number(8), bytes: written.to_vec() });
            bytes = rest;
        }
        Self { operations }
    }

    /// Returns the writes that were acknowledged before operation number `end`.
    fn acknowledged(&self, end: usize) -> BTreeSet<u64> {
        let said = self.operations[..end].iter().filter(|operation| operation.name == "ctl.db-said");
        said.map(|operation| u64::from_ne_bytes(operation.bytes[..].try_into().unwrap())).collect()
    }

    /// Makes the files as they may be when the power fails before operation number `end`; says how many operations left no
    /// trace.
    fn files_after_power_loss(&self, before: &Files, end: usize, random: &mut Random) -> (Files, usize) {
        let mut files = before.clone();
        let mut lost = 0;
        for (number, operation) in self.operations[..end].iter().enumerate() {
            let Operation { what, name, offset, bytes } = operation;
            if name == "ctl.db-said" || name == "ctl.db-shm" {
                continue;
            }
            let is_flushed = self.operations[number..end]
                .iter()
                .any(|later| later.what == What::Flush && later.name == *name);
            let luck = if is_flushed { 0 } else { random.below(8) };
            // All of it, nothing, or the first sectors.
            let kept = match luck {
                0..4 => bytes.len(),
                4..7 => {
                    lost += usize::from(*what != What::Flush);
                    continue;
                }
                _ => {
                    (random.below(bytes.len() as u64 + 1) as usize).next_multiple_of(SECTOR).min(bytes.len())
                }
            };
            match what {
                What::Flush => {}
                What::Remove => drop(files.remove(name)),
                What::Truncate => files.entry(name.clone()).or_default().resize(*offset, 0),
                What::Write => {
                    let file = files.entry(name.clone()).or_default();
                    file.resize(file.len().max(offset + kept), 0);
                    file[*offset..offset + kept].copy_from_slice(&bytes[..kept]);
                }
            }
        }
        (files, lost)
    }
}
