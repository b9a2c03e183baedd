//! The identity of a node is found whatever network it is a member of.

use ctl_core::Member;
use zt_proto::{NetworkId, PublicIdentity, Timestamp};

use crate::sample::{NETWORK, NOW, address, member, network, put_member, put_network, store};

fn identity(number: u64, key: u8) -> PublicIdentity {
    PublicIdentity { address: address(number), key: [key; 64] }
}

#[test]
fn identity_is_that_of_the_oldest_record_which_has_one() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    let mut newer = member(1);
    (newer.identity, newer.created) = (Some(identity(1, 2)), NOW.plus_millis(1));
    let mut older = member(1);
    (older.network, older.identity, older.created) = (other, Some(identity(1, 1)), NOW);
    let mut nameless = member(2);
    nameless.created = Timestamp(0);
    for record in [&newer, &older, &nameless] {
        put_member(&store, record).unwrap();
    }
    let found = |numbers: &[u64]| {
        let addresses: Vec<_> = numbers.iter().copied().map(address).collect();
        store.read(|tx| tx.members().identities(&addresses)).unwrap()
    };
    assert_eq!(found(&[3, 2, 1]), [identity(1, 1)]);
    assert_eq!(found(&[2, 3]), []);
    assert_eq!(found(&[]), []);
}

/// `known-flaws.md` row 1: on disk, a second identity never takes the place of the first.
#[test]
fn verified_identity_is_never_replaced_by_another_with_its_address() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    for (network, key) in [(NETWORK, 1), (other, 2)] {
        put_member(&store, &Member { network, identity: Some(identity(1, key)), ..member(1) }).unwrap();
    }
    let put = |identity| store.write(|tx| tx.verified_identities().put(&identity, NOW)).unwrap();
    let get = || store.read(|tx| tx.verified_identities().get(address(1))).unwrap();
    assert!(put(identity(1, 1)));
    assert!(put(identity(1, 1)));
    assert!(!put(identity(1, 2)));
    assert_eq!(get(), Some(identity(1, 1)));
    // Saving the member again, in whatever form, is no way around it.
    put_member(&store, &Member { identity: Some(identity(1, 2)), ..member(1) }).unwrap();
    assert!(!put(identity(1, 2)));
    assert_eq!(get(), Some(identity(1, 1)));
}

#[test]
fn verified_identities_of_many_nodes_are_read_at_once() {
    let store = store();
    for number in 1..=1_000 {
        let identity = identity(number, 1);
        put_member(&store, &Member { identity: Some(identity), ..member(number) }).unwrap();
        if number % 2 == 0 {
            assert!(store.write(|tx| tx.verified_identities().put(&identity, NOW)).unwrap());
        }
    }
    let asked: Vec<_> = (500..1_500).rev().map(address).collect();
    let found = store.read(|tx| tx.verified_identities().list(&asked)).unwrap();
    assert_eq!(found, (500..=1_000).step_by(2).map(|number| identity(number, 1)).collect::<Vec<_>>());
    assert_eq!(store.read(|tx| tx.verified_identities().list(&[])).unwrap(), []);
}

/// `known-flaws.md` row 7.
#[test]
fn identity_that_no_member_has_is_not_kept() {
    let store = store();
    let put = |identity| store.write(|tx| tx.verified_identities().put(&identity, NOW)).unwrap();
    let get = || store.read(|tx| tx.verified_identities().get(address(1))).unwrap();
    assert!(!put(identity(1, 1)));
    put_member(&store, &member(1)).unwrap();
    assert!(!put(identity(1, 1)), "the member has none");
    put_member(&store, &Member { identity: Some(identity(1, 2)), ..member(1) }).unwrap();
    assert!(!put(identity(1, 1)), "the member has another");
    assert_eq!(get(), None);
}

/// `known-flaws.md` row 13.
#[test]
fn verified_identity_goes_with_the_last_member_that_has_it() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    for number in [1, 2] {
        for network in [NETWORK, other] {
            put_member(&store, &Member { network, identity: Some(identity(number, 1)), ..member(number) })
                .unwrap();
        }
        assert!(store.write(|tx| tx.verified_identities().put(&identity(number, 1), NOW)).unwrap());
    }
    let get = |number| store.read(|tx| tx.verified_identities().get(address(number))).unwrap();
    store.write(|tx| tx.members().remove(NETWORK, address(1))).unwrap();
    assert_eq!(get(1), Some(identity(1, 1)));
    store.write(|tx| tx.members().remove(other, address(1))).unwrap();
    assert_eq!(get(1), None);
    // A network takes its members along, and they what was theirs.
    store.write(|tx| tx.networks().remove(other, NOW)).unwrap();
    assert_eq!(get(2), Some(identity(2, 1)));
    store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap();
    assert_eq!(get(2), None);
}
