//! The process ends between the answers of a batch, or the disk is full when it is saved: nobody is told what is not stored,
//! and who needs nothing to be stored is answered.

use std::cell::{Cell, RefCell};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command as Program;
use std::{env, process};

use super::together::{tell, told};
use super::*;
use crate::small_disk::on_small_disk;

/// Where a child works; without it, its test is empty.
const PLACE: &str = "CTL_BIN_BATCH_PLACE";
/// How many answers it gives.
const ANSWERS: &str = "CTL_BIN_BATCH_ANSWERS";
/// Members that are answered together.
const BATCH: u64 = 16;

fn database(place: &Path) -> PathBuf {
    place.join("controller.db")
}

fn put_public_network(place: &Path) -> Store {
    let store = Store::open(&database(place)).unwrap();
    put_network_with_pool(&store, Ipv4Addr::new(10, 0, 3, 250));
    store
}

/// Asserts that a member has on record what it was told, as `12 10.0.0.7/22`.
fn assert_stored(store: &Store, told: &str) {
    let (node, address) = told.split_once(' ').unwrap();
    let node = identity(node.parse().unwrap()).address;
    let member = store.read(|tx| tx.members().get(NETWORK, node)).unwrap();
    let member = member.unwrap_or_else(|| panic!("{told} is not stored"));
    assert_eq!(format!("{}/22", member.ip_assignments[0]), address, "{told}");
    assert!(member.authorized && member.identity.is_some(), "{told}");
}

/// In the first batch, of which the last four are known already, and in the second.
#[test]
fn who_was_told_before_the_process_ended_between_two_answers_is_on_record() {
    for answers in (1..=BATCH + 4).step_by(3) {
        let place = tempfile::tempdir().unwrap();
        let child = Program::new(env::current_exe().unwrap())
            .args(["--exact", "server::controller::tests::cut_short::child_that_ends_between_two_answers"])
            .env(PLACE, place.path())
            .env(ANSWERS, answers.to_string())
            .output()
            .unwrap();
        let all = fs::read_to_string(place.path().join("told")).unwrap_or_default();
        assert_eq!(all.lines().count() as u64, answers, "{child:?}");
        let store = Store::open(&database(place.path())).unwrap();
        all.lines().for_each(|told| assert_stored(&store, told));
        // All of a batch are stored before the first of them is told.
        let stored = store.read(|tx| tx.members().counts(NETWORK)).unwrap().total;
        assert_eq!(
            stored,
            if answers <= 4 {
                4
            } else if answers <= BATCH {
                BATCH
            } else {
                2 * BATCH
            }
        );
    }
}

/// Not a test of its own.
#[test]
fn child_that_ends_between_two_answers() {
    let Some(place) = env::var_os(PLACE).map(PathBuf::from) else { return };
    let answers: u64 = env::var(ANSWERS).unwrap().parse().unwrap();
    let fixture = Fixture::new(put_public_network(&place), clock::now());
    told(&fixture, 1..=4);
    let file = RefCell::new(OpenOptions::new().create(true).append(true).open(place.join("told")).unwrap());
    let count = Cell::new(0_u64);
    for first in [1, BATCH + 1] {
        tell(&fixture, first..first + BATCH, |told| {
            if told != "!" {
                writeln!(file.borrow_mut(), "{told}").unwrap();
                count.set(count.get() + 1);
                if count.get() == answers {
                    process::abort();
                }
            }
        });
    }
}

#[test]
fn who_joins_while_the_disk_is_full_is_told_nothing_and_those_beside_are_answered() {
    let test = "who_joins_while_the_disk_is_full_is_told_nothing_and_those_beside_are_answered";
    on_small_disk(2, &format!("server::controller::tests::cut_short::{test}"), join_on_a_full_disk);
}

fn join_on_a_full_disk(place: &Path) {
    let store = put_public_network(place);
    let fixture = Fixture::new(store.clone(), clock::now());
    told(&fixture, 1..=4);
    let known = told(&fixture, 1..=4);
    assert_eq!(known.len(), 5);
    known[..4].iter().for_each(|told| assert_stored(&store, told));
    let mut ballast = fs::File::create(place.join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    let mut first = 5;
    loop {
        let all = told(&fixture, (1..=4).chain(first..first + 12));
        assert_eq!(all[..5], known, "they are served first, as before");
        let (refused, stored): (Vec<_>, Vec<_>) =
            all[5..].iter().partition(|told| told.contains("disk is full"));
        stored.iter().for_each(|told| assert_stored(&store, told));
        if !refused.is_empty() {
            assert_eq!(refused.len(), 12, "one transaction: {all:?}");
            break;
        }
        first += 12;
        assert!(first < 1000, "the disk is never full");
    }
    assert_eq!(store.read(|tx| tx.members().counts(NETWORK)).unwrap().total, first - 1);
    // There is room again.
    drop(ballast);
    fs::remove_file(place.join("ballast")).unwrap();
    let all = told(&fixture, (1..=4).chain(first..first + 12));
    assert_eq!(all[..5], known);
    all[5..].iter().for_each(|told| assert_stored(&store, told));
}
