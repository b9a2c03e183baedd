//! Which addresses are held, as a decision learns it without reading them all: always what the table says.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use ctl_core::network::{Pool, Route, V4Assign};
use ctl_core::{Member, Network, Occupied};
use ctl_store::{Store, StoreError, Tx};
use proptest::prelude::*;
use rusqlite::Connection;
use zt_proto::NetworkId;

use crate::sample::{NETWORK, NOW, address, ip, member, member_with, network, put_member, put_network};

const OTHER: NetworkId = NetworkId(NETWORK.0 + 1);

/// A step of the world, or of a transaction.
#[derive(Debug, Clone)]
enum Step {
    /// A member of one of the networks gets these addresses; what another one holds is left out.
    Put(bool, u64, BTreeSet<u8>),
    RemoveMember(bool, u64),
    /// With all that is in it, and it is there again.
    Renew(bool),
    Look(bool),
}

/// What happens to a series of steps.
#[derive(Debug, Clone, Copy)]
enum Way {
    Committed,
    GivenUp,
    /// Another program, which knows nothing of this one.
    Foreign,
}

fn step() -> impl Strategy<Value = Step> {
    let ips = prop::collection::btree_set(0..12_u8, 0..4);
    prop_oneof![
        4 => (any::<bool>(), 1..5_u64, ips).prop_map(|(network, member, ips)| Step::Put(network, member, ips)),
        1 => (any::<bool>(), 1..5_u64).prop_map(|(network, member)| Step::RemoveMember(network, member)),
        1 => any::<bool>().prop_map(Step::Renew),
        3 => any::<bool>().prop_map(Step::Look),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![4 => Just(Way::Committed), 2 => Just(Way::GivenUp), 1 => Just(Way::Foreign)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_held_is_what_the_table_says_after_any_writes(
        rounds in prop::collection::vec((way(), prop::collection::vec(step(), 1..6), any::<bool>()), 1..12),
        on_disk: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctl.db");
        let store = if on_disk { Store::open(&path).unwrap() } else { Store::in_memory().unwrap() };
        for id in [NETWORK, OTHER] {
            put_network(&store, &pooled(id));
        }
        for (way, steps, is_looked_at) in rounds {
            match way {
                Way::Committed => store.write(|tx| steps.iter().try_for_each(|step| run(tx, step))).unwrap(),
                Way::GivenUp => {
                    let given_up = store.write(|tx| {
                        steps.iter().try_for_each(|step| run(tx, step))?;
                        Err::<(), _>(StoreError::NoSuchNetwork { network: NETWORK })
                    });
                    prop_assert!(given_up.is_err());
                }
                Way::Foreign if on_disk => foreign(&path, &steps),
                Way::Foreign => {}
            }
            if is_looked_at {
                for id in [NETWORK, OTHER] {
                    store.read(|tx| check(tx, id)).unwrap();
                }
            }
        }
    }
}

#[test]
fn nothing_is_read_again_while_nothing_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    put_network(&store, &pooled(NETWORK));
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    let look = || store.read(|tx| tx.snapshot(NETWORK, address(9))).unwrap().unwrap().occupied;
    let first = look();
    put_member(&store, &Member { authorized: true, ..member_with(1, &["10.0.0.1"]) }).unwrap();
    assert!(Arc::ptr_eq(&first, &look()), "a change of something else");
    put_member(&store, &member_with(2, &["10.0.0.2"])).unwrap();
    assert!(!first.contains(ip("10.0.0.2")) && look().contains(ip("10.0.0.2")));
    // What was given away comes back (`known-flaws.md` row 13).
    store.write(|tx| tx.members().remove(NETWORK, address(2))).unwrap();
    assert_eq!(look(), first);
}

/// A view from before a change stays what it was, and does not take what others know back.
#[test]
fn an_older_view_sees_what_was_then() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    put_network(&store, &pooled(NETWORK));
    store
        .read(|old| {
            assert_eq!(*held(old), Occupied::default());
            put_member(&store, &member_with(2, &["10.0.0.2"]))?;
            store.read(|new| {
                assert!(held(new).contains(ip("10.0.0.2")));
                assert_eq!(*held(old), Occupied::default());
                assert!(held(new).contains(ip("10.0.0.2")));
                Ok::<_, StoreError>(())
            })
        })
        .unwrap();
}

#[test]
fn the_network_in_which_nobody_needed_an_address_for_longest_is_forgotten() {
    let kept: u64 = 64;
    let store = Store::in_memory().unwrap();
    let id = |number| NetworkId(NETWORK.0 + number);
    (0..=kept).for_each(|number| put_network(&store, &pooled(id(number))));
    let look = |number| store.read(|tx| tx.snapshot(id(number), address(9))).unwrap().unwrap().occupied;
    let held: Vec<_> = (0..kept).map(look).collect();
    let is_kept = |number: usize| Arc::ptr_eq(&held[number], &look(number as u64));
    assert!(is_kept(0), "all fit");
    look(kept);
    assert!(is_kept(0), "it was just used");
    assert!(!is_kept(1), "one more than fits");
}

#[test]
fn more_changes_than_are_listed_are_read_from_the_table() {
    let store = Store::in_memory().unwrap();
    put_network(&store, &pooled(NETWORK));
    store.read(|tx| check(tx, NETWORK)).unwrap();
    let ips =
        |range: std::ops::Range<u32>| range.map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))).collect();
    put_member(&store, &Member { ip_assignments: ips(0x0a00_0000..0x0a00_2720), ..member(1) }).unwrap();
    let listed: i64 = 10_000;
    assert!(0x2720 > listed, "one address more than are listed");
    store.read(|tx| check(tx, NETWORK)).unwrap();
}

/// # Panics
/// If there is no network.
fn held(tx: &Tx<'_>) -> Arc<Occupied> {
    tx.snapshot(NETWORK, address(99)).unwrap().unwrap().occupied
}

fn check(tx: &Tx<'_>, id: NetworkId) -> Result<(), StoreError> {
    // A stranger of a network with join tokens may get an address.
    let Some(snapshot) = tx.snapshot(id, address(99))? else { return Ok(()) };
    let members = tx.members().list(id)?;
    let fresh: Occupied = members.into_iter().flat_map(|member| member.ip_assignments).collect();
    assert_eq!(*snapshot.occupied, fresh);
    Ok(())
}

fn run(tx: &Tx<'_>, step: &Step) -> Result<(), StoreError> {
    let id = |is_other: bool| if is_other { OTHER } else { NETWORK };
    match step {
        Step::Put(is_other, number, ends) => {
            let network = id(*is_other);
            let mut free = Vec::new();
            for end in ends {
                let ip = IpAddr::from([10, 0, 0, *end]);
                if tx.members().holder(network, ip)?.is_none_or(|holder| holder == address(*number)) {
                    free.push(ip);
                }
            }
            tx.members().put(&Member { network, ip_assignments: free, ..member(*number) })
        }
        Step::RemoveMember(is_other, number) => {
            tx.members().remove(id(*is_other), address(*number)).map(drop)
        }
        Step::Renew(is_other) => {
            tx.networks().remove(id(*is_other), NOW)?;
            tx.networks().put(&pooled(id(*is_other)))
        }
        Step::Look(is_other) => check(tx, id(*is_other)),
    }
}

fn foreign(path: &Path, steps: &[Step]) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    for step in steps {
        match step {
            Step::Put(_, number, ends) => {
                // Takes one away from whoever has it, or moves it.
                for end in ends {
                    let key = [10, 0, 0, *end];
                    let next = [10, 0, 1, *end];
                    let sql = "UPDATE OR IGNORE member_address SET ip = ?2 WHERE ip = ?1";
                    connection.execute(sql, (key, next)).unwrap();
                }
                let sql = "DELETE FROM member_address WHERE member = ?1 AND position = 0";
                connection.execute(sql, [address(*number).octets()]).unwrap();
            }
            Step::RemoveMember(_, number) => {
                connection
                    .execute("DELETE FROM member WHERE address = ?1", [address(*number).octets()])
                    .unwrap();
            }
            Step::Renew(_) | Step::Look(_) => {}
        }
    }
}

fn pooled(id: NetworkId) -> Network {
    Network {
        v4_assign: V4Assign { pool: true },
        routes: vec![Route { target: "10.0.0.0/8".parse().unwrap(), via: None }],
        pools: vec![Pool { first: ip("10.0.0.1"), last: ip("10.255.255.254") }],
        private: false,
        ..network(id)
    }
}
