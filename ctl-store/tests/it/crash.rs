//! A process that is killed at any moment loses nothing that it said was saved (`known-flaws.md` rows 15 and 16).
//!
//! The child writes from several threads at once, so that commits are groups, and says after each write what it saved.
//! The parent kills it and compares the database with what was said. `CTL_STORE_CRASH_SEED` repeats a run's choices,
//! `CTL_STORE_CRASH_ROUNDS` makes it longer; the moment at which a signal arrives cannot be repeated.

#![expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use ctl_core::Member;
use ctl_store::{Client, Store, StoreError, Tx};
use rusqlite::Connection;

use crate::sample::{NETWORK, NOW, address, member, network, put_network};

/// Tells the child test where its database is, and each thread with which operation to begin; without it, it is an
/// empty test.
const PATH_VARIABLE: &str = "CTL_STORE_CRASH_PATH";
const BEGIN_VARIABLE: &str = "CTL_STORE_CRASH_BEGIN";
const ROUNDS: u64 = 200;
const THREADS: u64 = 4;
/// Every fourth operation removes what the one before it saved.
const REMOVE_EVERY: u64 = 4;

#[test]
fn killed_process_loses_nothing_that_it_announced_and_gives_no_address_twice() {
    let number = |name| env::var(name).ok().map(|value| value.parse().unwrap());
    let seed = number("CTL_STORE_CRASH_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let rounds = number("CTL_STORE_CRASH_ROUNDS").unwrap_or(ROUNDS);
    println!("CTL_STORE_CRASH_SEED={seed}");
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ctl.db");
    put_network(&Store::open(&path).unwrap(), &network(NETWORK));
    let mut said = Said::default();
    for round in 0..rounds {
        // Some are killed before they say anything, while they open the database and recover what the last one left.
        let lines = random.below(40);
        kill_after(lines, random.below(3000), &path, &mut said);
        said.check(&path).unwrap_or_else(|error| panic!("round {round}, seed {seed}: {error}"));
    }
    println!(
        "{rounds} kills, {} writes announced, {} done and not announced",
        said.announced, said.unannounced
    );
    assert!(said.announced > rounds, "the children hardly wrote");
}

/// Runs a child until it has said so many things, waits a little, and kills it.
fn kill_after(lines: u64, spins: u64, path: &Path, said: &mut Said) {
    let begin: Vec<_> = said.threads.iter().map(|thread| thread.done.to_string()).collect();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_is_killed", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .env(BEGIN_VARIABLE, begin.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = 0;
    let kill = |child: &mut std::process::Child| {
        (0..spins).for_each(|_| thread::yield_now());
        child.kill().unwrap();
    };
    let output = BufReader::new(child.stdout.take().unwrap());
    if lines == 0 {
        kill(&mut child);
    }
    // What was said until the kill is still in the pipe afterwards.
    for line in output.lines() {
        let line = line.unwrap();
        let Some(words) = line.strip_prefix("saved ") else { continue };
        let words: Vec<_> = words.split(' ').collect();
        let [thread, operation, ip] = words[..] else { panic!("{line}") };
        said.hear(thread.parse().unwrap(), operation.parse().unwrap(), ip.parse().ok());
        heard += 1;
        if heard == lines {
            kill(&mut child);
        }
    }
    assert!(!child.wait().unwrap().success(), "the child ended by itself");
}

/// What the children said that they saved.
#[derive(Default)]
struct Said {
    threads: [ThreadSaid; THREADS as usize],
    announced: u64,
    unannounced: u64,
}

#[derive(Default)]
struct ThreadSaid {
    /// Operations that are done; the next one has this number.
    done: u64,
    /// The members that are there, with the address that was announced.
    members: BTreeMap<u64, Option<IpAddr>>,
}

impl Said {
    fn hear(&mut self, thread: usize, operation: u64, ip: Option<IpAddr>) {
        let of_thread = &mut self.threads[thread];
        assert_eq!(of_thread.done, operation, "thread {thread} left something out");
        of_thread.apply(operation, ip);
        self.announced += 1;
    }

    /// Compares the database with what was said; learns what was done and could not be said any more.
    fn check(&mut self, path: &Path) -> Result<(), String> {
        let store = Store::open(path).map_err(|error| error.to_string())?;
        let found = store.read(|tx| tx.members().list(NETWORK)).unwrap();
        let mut holders = BTreeMap::new();
        let mut by_thread: [BTreeMap<u64, Option<IpAddr>>; THREADS as usize] = Default::default();
        for member in &found {
            let (thread, operation) = (member.address.to_u64() % THREADS, member.address.to_u64() / THREADS);
            let [ip] = member.ip_assignments[..] else { return Err(format!("{member:?} is not whole")) };
            if *member != record(thread, operation, ip) {
                return Err(format!("{member:?} is not what was saved"));
            }
            if let Some(other) = holders.insert(ip, member.address) {
                return Err(format!("{ip} belongs to {other} and to {}", member.address));
            }
            by_thread[thread as usize].insert(operation, Some(ip));
        }
        let noted: BTreeSet<_> =
            store.read(|tx| tx.sightings().last_of_all(NETWORK)).unwrap().into_keys().collect();
        if noted != found.iter().map(|member| member.address).collect() {
            return Err("what was noted with the members is not there with them".to_owned());
        }
        for (thread, (said, found)) in self.threads.iter_mut().zip(by_thread).enumerate() {
            if said.members != found {
                // The operation that was under way may be done; and nothing else may differ.
                let (operation, before) = (said.done, said.members.clone());
                said.apply(operation, found.get(&operation).copied().flatten());
                self.unannounced += 1;
                if said.members != found {
                    return Err(format!(
                        "thread {thread} said {before:?}, and then {operation}; found {found:?}"
                    ));
                }
            }
        }
        drop(store);
        let raw = Connection::open(path).unwrap();
        let check: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        let orphans = raw.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        if check == "ok" && !orphans { Ok(()) } else { Err(format!("{check}; orphans: {orphans}")) }
    }
}

impl ThreadSaid {
    fn apply(&mut self, operation: u64, ip: Option<IpAddr>) {
        self.done = operation + 1;
        match removed_by(operation) {
            Some(removed) => drop(self.members.remove(&removed)),
            None => drop(self.members.insert(operation, ip)),
        }
    }
}

fn removed_by(operation: u64) -> Option<u64> {
    (operation % REMOVE_EVERY == REMOVE_EVERY - 1).then(|| operation - 1)
}

/// Saves and removes members until somebody ends it. Not a test of its own.
#[test]
fn child_that_is_killed() {
    let Some(path) = env::var_os(PATH_VARIABLE) else { return };
    let begin = env::var(BEGIN_VARIABLE).unwrap();
    let store = Store::open(Path::new(&path)).unwrap();
    thread::scope(|scope| {
        for (thread, begin) in (0..).zip(begin.split(',')) {
            let (store, begin) = (&store, begin.parse().unwrap());
            scope.spawn(move || {
                for operation in begin.. {
                    operate(store, thread, operation);
                }
            });
        }
    });
}

fn operate(store: &Store, thread: u64, operation: u64) {
    let node = |operation| address(operation * THREADS + thread);
    let ip = store.write(|tx| {
        if let Some(removed) = removed_by(operation) {
            assert!(tx.members().remove(NETWORK, node(removed))?);
            return Ok(None);
        }
        let ip = free_address(tx)?;
        tx.members().put(&record(thread, operation, ip))?;
        assert!(tx.sightings().note(NETWORK, node(operation), &Client::default(), NOW)?);
        Ok::<_, StoreError>(Some(ip))
    });
    let ip = ip.unwrap().map_or_else(|| "none".to_owned(), |ip| ip.to_string());
    // One write to the pipe, so that lines of several threads do not mix.
    std::io::stdout().write_all(format!("saved {thread} {operation} {ip}\n").as_bytes()).unwrap();
}

/// Returns the lowest address that nobody has: the one that every thread wants.
fn free_address(tx: &Tx<'_>) -> Result<IpAddr, StoreError> {
    let total = tx.members().counts(NETWORK)?.total;
    // All of the first `total` may be taken, and no more are.
    let mut low = 0;
    loop {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + low));
        if tx.members().holder(NETWORK, ip)?.is_none() {
            return Ok(ip);
        }
        low += 1;
        assert!(u64::from(low) <= total);
    }
}

fn record(thread: u64, operation: u64, ip: IpAddr) -> Member {
    Member {
        name: Some(format!("{thread}/{operation}")),
        tags: BTreeMap::from([(1, 2)]),
        ip_assignments: vec![ip],
        ..member(operation * THREADS + thread)
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
