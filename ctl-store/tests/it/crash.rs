//! A process that dies at any moment loses nothing that it said was saved (`known-flaws.md` row 16).

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ctl_store::Store;

use crate::sample::{NETWORK, address, member_with, network, put_member, put_network};

/// Tells the child test where its database is; without it, it is an empty test.
const PATH_VARIABLE: &str = "CTL_STORE_CRASH_TEST";

#[test]
fn killed_process_loses_no_commit_that_it_announced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ctl.db");
    let mut announced = 0;
    for round in 1..=4 {
        let before = announced;
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_is_killed", "--nocapture"])
            .env(PATH_VARIABLE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What was printed until the kill is still in the pipe afterwards.
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Some(number) = line.unwrap().strip_prefix("saved ").map(|number| number.parse().unwrap())
            else {
                continue;
            };
            announced = number;
            if announced == before + 37 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(announced >= before + 37 * round);

        let store = Store::open(&path).unwrap();
        let members = store.read(|tx| tx.members().list(NETWORK)).unwrap();
        // The last commit may have been done and not announced.
        let found = members.len() as u64;
        assert!(found == announced || found == announced + 1, "{found} of {announced}");
        for (number, member) in (1..).zip(members) {
            assert_eq!(member, record(number));
        }
        announced = found;
    }
}

/// Saves members until somebody ends it. Not a test of its own.
#[test]
fn child_that_is_killed() {
    let Some(path) = env::var_os(PATH_VARIABLE) else { return };
    let store = Store::open(Path::new(&path)).unwrap();
    put_network(&store, &network(NETWORK));
    let stored = store.read(|tx| tx.members().counts(NETWORK)).unwrap().total;
    for number in stored + 1.. {
        put_member(&store, &record(number)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "saved {number}").unwrap();
        out.flush().unwrap();
    }
}

fn record(number: u64) -> ctl_core::Member {
    let ip = format!("10.0.{}.{}", number / 256, number % 256);
    let mut record = member_with(number, &[&ip]);
    record.tags.insert(1, 2);
    assert_eq!(record.address, address(number));
    record
}
