//! Nodes that nobody knows: how many leave a trace, and that members that join together get an address each.

use std::collections::BTreeMap;

use ctl_core::pending::{FORGOTTEN_AFTER, MAX_OF_NETWORK, SAFE_FOR};

use super::super::super::newcomers::{MAX_MEMBERS, MAX_OF_SOURCE as MAX_NEW_OF_SOURCE};
use super::*;

/// `known-flaws.md` row 7.
#[test]
fn strangers_of_one_source_are_recorded_up_to_its_bound() {
    let fixture = Fixture::with_network(true);
    for node in 1..=MAX_OF_SOURCE + 10 {
        let answer = fixture.ask(node, source(1), fixture.now);
        assert!(is_refused(&answer, Refusal::AccessDenied));
    }
    assert_eq!(fixture.pending().len() as u64, MAX_OF_SOURCE);
    assert_eq!(fixture.member(MAX_OF_SOURCE + 1), None);
    fixture.ask(1_000, source(2), fixture.now);
    assert!(fixture.member(1_000).is_some(), "another source has room");
}

/// `known-flaws.md` row 7: many that ask at the same time each find room before any of them is on record.
#[test]
fn strangers_that_come_together_do_not_pass_the_bound() {
    let fixture = Fixture::with_network(true);
    for node in 1..=MAX_OF_SOURCE {
        fixture.ask(node, source(1), fixture.now);
    }
    let late = Member { revision: 1, ..Member::new(NETWORK, identity(99).address, Timestamp(1)) };
    let save = |tx: &ctl_store::Tx<'_>| prepare::save_stranger(tx, &late, source(1), fixture.now.wall);
    fixture.controller.store.write(save).unwrap();
    assert_eq!(fixture.member(99), None);
    assert_eq!(fixture.pending().len() as u64, MAX_OF_SOURCE);
}

/// `known-flaws.md` row 7.
#[test]
fn strangers_of_one_network_are_recorded_up_to_its_bound_and_the_oldest_gives_way() {
    let fixture = Fixture::with_network(true);
    let ask = |node: u64, millis| {
        let source = source(u32::try_from(node / MAX_OF_SOURCE).unwrap());
        fixture.ask(node, source, fixture.at(millis));
    };
    fixture.put(&authorized(1_000_000));
    for node in 1..=MAX_OF_NETWORK + 10 {
        ask(node, node);
    }
    assert_eq!(fixture.pending().len() as u64, MAX_OF_NETWORK);
    assert_eq!(fixture.member(MAX_OF_NETWORK + 10), None, "a safe record gave way");
    // The first goes on asking, the second does not.
    ask(1, NOTED_EVERY + 1);
    ask(500_000, SAFE_FOR + 2);
    let pending = fixture.pending();
    assert_eq!(pending.len() as u64, MAX_OF_NETWORK);
    assert!(pending.contains(&1) && pending.contains(&500_000));
    assert_eq!(fixture.member(2), None);
    assert!(fixture.member(1_000_000).is_some());
}

/// `known-flaws.md` row 7.
#[test]
fn strangers_expire_unless_somebody_knows_them() {
    let fixture = Fixture::with_network(true);
    for node in 1..=600 {
        fixture.ask(node, source(u32::try_from(node).unwrap()), fixture.now);
    }
    let edit = |member: Member| fixture.put(&member);
    edit(Member { name: Some("known".to_owned()), ..fixture.member(1).unwrap() });
    edit(Member { authorized: true, ..fixture.member(2).unwrap() });
    edit(Member { authorized: false, ..fixture.member(2).unwrap() });
    fixture.ask(3, source(3), fixture.at(FORGOTTEN_AFTER / 2));
    fixture.controller.tidy(fixture.at(FORGOTTEN_AFTER - 1));
    assert_eq!(fixture.pending().len(), 598);
    fixture.controller.tidy(fixture.at(FORGOTTEN_AFTER));
    assert_eq!(fixture.pending(), [3], "still asks");
    let left: Vec<_> = (1..=600).filter(|node| fixture.member(*node).is_some()).collect();
    assert_eq!(left, [1, 2, 3]);
}

/// `known-flaws.md` row 7: a source that is full is so for two hours, not for the seven days that records are kept.
#[test]
fn in_a_full_source_the_one_that_asked_longest_ago_gives_way() {
    let fixture = Fixture::with_network(true);
    fixture.ask(900, source(2), fixture.now);
    for node in 1..=MAX_OF_SOURCE {
        fixture.ask(node, source(1), fixture.at(node));
    }
    // All but the second and the third go on asking.
    for node in (1..=MAX_OF_SOURCE).filter(|node| ![2, 3].contains(node)) {
        fixture.ask(node, source(1), fixture.at(NOTED_EVERY + 100));
    }
    fixture.ask(500, source(1), fixture.at(SAFE_FOR));
    assert_eq!(fixture.member(500), None, "a safe record gave way");
    fixture.ask(500, source(1), fixture.at(SAFE_FOR + 3));
    fixture.ask(501, source(1), fixture.at(SAFE_FOR + 4));
    fixture.ask(502, source(1), fixture.at(SAFE_FOR + 5));
    let known = |node| fixture.member(node).is_some();
    assert_eq!([2, 3].map(known), [false; 2]);
    assert_eq!([1, 4, 500, 501, 900].map(known), [true; 5]);
    assert!(!known(502), "the others still ask");
    assert_eq!(fixture.pending().len() as u64, MAX_OF_SOURCE + 1);
}

/// `known-flaws.md` row 7.
#[test]
fn a_public_network_admits_so_many_strangers_of_a_source_an_hour_and_keeps_whom_it_admitted() {
    let fixture = Fixture::with_network(false);
    let last = u64::from(MAX_NEW_OF_SOURCE);
    for node in 1..=last {
        assert!(matches!(fixture.ask(node, source(1), fixture.now), Answer::Config(..)));
    }
    let late = fixture.ask(last + 1, source(1), fixture.now);
    assert!(is_refused(&late, Refusal::AccessDenied));
    assert_eq!(fixture.member(last + 1), None, "it leaves no trace");
    assert!(
        matches!(fixture.ask(1, source(1), fixture.at(1)), Answer::Config(..)),
        "a member is no stranger"
    );
    fixture.put(&authorized(last + 2));
    assert!(matches!(fixture.ask(last + 2, source(1), fixture.at(1)), Answer::Config(..)));
    let hour = 60 * 60 * 1000;
    assert!(matches!(fixture.ask(last + 1, source(1), fixture.at(hour)), Answer::Config(..)));
    fixture.controller.tidy(fixture.at(100 * FORGOTTEN_AFTER));
    let count = fixture.controller.store.read(|tx| tx.members().counts(NETWORK)).unwrap().total;
    assert!(count == last + 2 && count < MAX_MEMBERS, "nobody vanishes unasked");
}

/// One that may come in as soon as its user has logged in is a member, who does not expire.
#[test]
fn who_has_to_log_in_to_a_public_network_is_a_newcomer() {
    let fixture = Fixture::with_network(false);
    let network =
        Network { private: false, revision: 2, sso_enabled: true, ..Network::new(NETWORK, Timestamp(1)) };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    assert!(is_refused(&fixture.ask(5, source(1), fixture.now), Refusal::AuthenticationRequired));
    assert!(fixture.member(5).unwrap().authorized && fixture.pending().is_empty());
}

/// `known-flaws.md` row 15: load, decide, save, sign and send on many threads, as it is at work.
#[test]
fn members_that_join_at_the_same_time_get_an_address_each_which_is_on_disk_when_they_hear_of_it() {
    const THREADS: u64 = 8;
    const NODES: u64 = 400;
    let disk = OnDisk::new();
    let store = disk.open();
    put_network_with_pool(&store, Ipv4Addr::new(10, 0, 1, 144));
    let fixture = Fixture::new(store.clone(), clock::now());
    let controller = &fixture.controller;
    // Each node asks twice, on two threads. All begin their walk through the pool within four addresses.
    let asked =
        |thread: u64| (0..NODES).filter(move |node| [node % THREADS, (node + 1) % THREADS].contains(&thread));
    let node = |number: u64| 1 + 400 * (number / 4) + number % 4;
    let answers: Vec<(u64, IpAddr)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    for number in asked(thread) {
                        let request = request(node(number), RequestKind::Request);
                        let answer = controller.prepare_for(&request, source(1), clock::now());
                        let config = config(&answer.unwrap());
                        let [address] = &config.addresses[..] else { panic!("{:?}", config.addresses) };
                        let holder = store.read(|tx| tx.members().holder(NETWORK, address.ip())).unwrap();
                        assert_eq!(holder, Some(config.member), "told before it was saved");
                        answered.push((node(number), address.ip()));
                    }
                    answered
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.len() as u64, 2 * NODES);
    let mut holders = BTreeMap::new();
    for (node, ip) in answers {
        assert_eq!(*holders.entry(ip).or_insert(node), node, "{ip} was told to two");
    }
    assert_eq!(holders.len() as u64, NODES);
    // The pool has just as many: the next one gets none, and nothing was lost.
    drop(fixture);
    let again = disk.fixture();
    assert!(config(&again.ask(1_000_000, source(2), again.now)).addresses.is_empty());
}

#[test]
fn who_gets_no_address_as_the_pool_is_used_up_is_counted() {
    let store = Store::in_memory().unwrap();
    put_network_with_pool(&store, Ipv4Addr::new(10, 0, 0, 2));
    let fixture = Fixture::new(store, clock::now());
    let count = || fixture.figure(|tally| &tally.without_address);
    for node in [1, 2, 1] {
        assert_eq!(config(&fixture.ask(node, source(1), fixture.now)).addresses.len(), 1);
    }
    assert_eq!(count(), 0);
    for node in [3, 3, 4] {
        assert_eq!(config(&fixture.ask(node, source(1), fixture.now)).addresses, []);
    }
    assert_eq!(count(), 3, "each time that it is decided");
    fixture.controller.store.write(|tx| tx.members().remove(NETWORK, identity(1).address)).unwrap();
    assert_eq!(config(&fixture.ask(3, source(1), fixture.now)).addresses.len(), 1);
    assert_eq!(count(), 3);
}
