//! What is removed is gone with everything that belonged to it (`known-flaws.md` row 13).

use std::collections::BTreeMap;

use ctl_core::{Member, Network};
use ctl_store::{Client, Store, StoreError};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use zt_proto::{NetworkId, PublicIdentity};

use crate::sample::{
    NETWORK, NOW, address, any_network, get_member, ip, member, member_with, network, put_member,
    put_network, store,
};

#[test]
fn address_of_a_removed_member_is_free_at_once() {
    let store = store();
    put_member(&store, &member_with(1, &["10.0.0.1"])).unwrap();
    store
        .write(|tx| {
            assert!(tx.members().remove(NETWORK, address(1))?);
            assert_eq!(tx.members().holder(NETWORK, ip("10.0.0.1"))?, None);
            tx.members().put(&member_with(2, &["10.0.0.1"]))
        })
        .unwrap();
    assert_eq!(get_member(&store, 1), None);
}

#[test]
fn removed_member_that_returns_has_nothing_of_its_past() {
    let store = store();
    put_member(&store, &rich_member()).unwrap();
    note_request(&store, &rich_member());
    store.write(|tx| tx.members().remove(NETWORK, address(1))).unwrap();
    put_member(&store, &member(1)).unwrap();
    assert_eq!(get_member(&store, 1), Some(member(1)));
    assert_eq!(store.read(|tx| tx.sightings().last(NETWORK, address(1))).unwrap(), None);
    assert_eq!(store.read(|tx| tx.verified_identities().get(address(1))).unwrap(), None);
}

#[test]
fn removed_network_takes_its_members_and_lists_along_but_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ctl.db");
    let store = Store::open(&path).unwrap();
    let mut runner = TestRunner::deterministic();
    let any = any_network().new_tree(&mut runner).unwrap().current();
    put_network(&store, &Network { id: NETWORK, ..any });
    put_member(&store, &rich_member()).unwrap();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    put_member(&store, &Member { network: other, ..rich_member() }).unwrap();
    note_request(&store, &rich_member());

    assert!(store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap());

    assert_eq!(store.read(|tx| tx.networks().list()).unwrap(), [other]);
    assert_eq!(
        store.read(|tx| tx.members().list(other)).unwrap(),
        [Member { network: other, ..rich_member() }]
    );
    assert!(store.write(|tx| tx.networks().remove(other, NOW)).unwrap());
    drop(store);
    let raw = Connection::open(&path).unwrap();
    // The list of changes, which is bounded, tells of the removal.
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
               AND name <> 'address_change'";
    let mut statement = raw.prepare(sql).unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() >= 20, "{tables:?}");
    // What remains is that both networks were here, and for two hours who was authorized.
    for table in tables.iter().filter(|table| !["removed_network", "revoked"].contains(&table.as_str())) {
        let rows: i64 =
            raw.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn removing_what_is_not_there_says_so() {
    let store = store();
    store
        .write(|tx| {
            assert!(!tx.members().remove(NETWORK, address(1))?);
            assert!(!tx.networks().remove(NetworkId(7), NOW)?);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

/// A decision that was made before its network was removed must not bring a member back.
#[test]
fn member_of_a_removed_network_cannot_be_saved() {
    let store = store();
    store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap();
    let result = put_member(&store, &rich_member());
    assert!(matches!(result, Err(StoreError::NoSuchNetwork { network: NETWORK })), "{result:?}");
}

/// Leaves what a request leaves beside the record.
fn note_request(store: &Store, member: &Member) {
    let (network, address) = (member.network, member.address);
    store
        .write(|tx| {
            assert!(tx.sightings().note(network, address, &Client::default(), NOW)?);
            assert!(tx.verified_identities().put(&member.identity.unwrap(), NOW)?);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

fn rich_member() -> Member {
    Member {
        identity: Some(PublicIdentity { address: address(1), key: [7; 64] }),
        tags: BTreeMap::from([(1, 2), (3, 4)]),
        capabilities: vec![7, 5],
        active_bridge: true,
        authorized: true,
        ..member_with(1, &["10.0.0.1", "fd00::1"])
    }
}
