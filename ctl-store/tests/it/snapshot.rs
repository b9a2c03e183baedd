//! What a decision reads.

use ctl_core::addresses::needs_pool;
use ctl_core::network::{Pool, Route, V4Assign};
use ctl_core::{Member, Network, Occupied};
use ctl_store::Store;
use zt_proto::NetworkId;

use crate::sample::{NETWORK, address, ip, member, member_with, network, put_member, put_network, store};

#[test]
fn bridges_are_the_authorized_ones_ascending() {
    let store = store();
    for (number, authorized, active_bridge) in
        [(9, true, true), (3, true, true), (4, false, true), (5, true, false), (1, true, true)]
    {
        put_member(&store, &Member { authorized, active_bridge, ..member(number) }).unwrap();
    }
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(5))).unwrap().unwrap();
    assert_eq!(*snapshot.bridges, [address(1), address(3), address(9)]);
    put_member(&store, &Member { authorized: false, active_bridge: true, ..member(3) }).unwrap();
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(5))).unwrap().unwrap();
    assert_eq!(*snapshot.bridges, [address(1), address(9)]);
}

#[test]
fn network_and_member_are_those_that_were_asked_for() {
    let store = store();
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(1))).unwrap().unwrap();
    assert_eq!(*snapshot.network, network(NETWORK));
    assert_eq!(snapshot.member, Some(member_with(1, &["10.0.0.1"])));
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(2))).unwrap().unwrap();
    assert_eq!(snapshot.member, None);
}

#[test]
fn addresses_of_all_are_loaded_where_one_is_to_be_assigned() {
    let store = store_with_pool();
    put_member(&store, &Member { authorized: true, ..member_with(1, &["fd00::1"]) }).unwrap();
    put_member(&store, &member_with(2, &["10.0.0.2", "fd00::2"])).unwrap();
    put_member(&store, &Member { authorized: true, ..member_with(3, &["10.0.0.3"]) }).unwrap();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    put_member(&store, &Member { network: other, ..member_with(4, &["10.0.0.4"]) }).unwrap();
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(1))).unwrap().unwrap();
    assert!(needs_pool(&snapshot.network, snapshot.member.as_ref()));
    let expected: Occupied = ["fd00::1", "10.0.0.2", "fd00::2", "10.0.0.3"].into_iter().map(ip).collect();
    assert_eq!(*snapshot.occupied, expected);
}

#[test]
fn addresses_of_the_others_are_not_loaded_where_none_is_to_be_assigned() {
    let store = store_with_pool();
    put_member(&store, &Member { authorized: true, no_auto_assign_ips: true, ..member(1) }).unwrap();
    put_member(&store, &member_with(2, &["10.0.0.2"])).unwrap();
    let snapshot = store.read(|tx| tx.snapshot(NETWORK, address(1))).unwrap().unwrap();
    assert!(!needs_pool(&snapshot.network, snapshot.member.as_ref()));
    assert_eq!(*snapshot.occupied, Occupied::default());
}

fn store_with_pool() -> Store {
    let store = store();
    put_network(
        &store,
        &Network {
            v4_assign: V4Assign { pool: true },
            routes: vec![Route { target: "10.0.0.0/24".parse().unwrap(), via: None }],
            pools: vec![Pool { first: ip("10.0.0.1"), last: ip("10.0.0.254") }],
            ..network(NETWORK)
        },
    );
    store
}
