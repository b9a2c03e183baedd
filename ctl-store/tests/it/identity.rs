//! The identity of a node is found whatever network it is a member of.

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
    let found = |number| store.read(|tx| tx.members().identity(address(number))).unwrap();
    assert_eq!(found(1), Some(identity(1, 1)));
    assert_eq!(found(2), None);
    assert_eq!(found(3), None);
}
