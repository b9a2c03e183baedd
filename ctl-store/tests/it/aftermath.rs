//! What remains of members and networks that are gone, and strangers that may never be more.

use ctl_core::pending::{Among, Pending, Room, Source};
use ctl_core::{Member, Network};
use ctl_store::Store;
use zt_proto::{NetworkId, Timestamp};

use crate::sample::{
    NETWORK, NOW, address, get_member, member, member_with, network, put_member, put_network, store,
};

const SOURCE: Source = Source::V4([192, 0, 2]);

fn put_pending(store: &Store, number: u64, source: Source, last_asked: Timestamp) {
    store
        .write(|tx| {
            tx.members().put(&member(number))?;
            tx.pending().put(NETWORK, address(number), source, last_asked)
        })
        .unwrap();
}

fn pending(store: &Store) -> Vec<u64> {
    let pending = store.read(|tx| tx.pending().list(NETWORK)).unwrap();
    pending.iter().map(|pending| pending.member.to_u64()).collect()
}

#[test]
fn a_stranger_is_shown_with_when_and_from_where_it_asked() {
    let store = store();
    let later = NOW.plus_millis(5);
    put_pending(&store, 1, Source::V6([0x20, 1, 0xd, 0xb8, 0, 1]), NOW);
    put_pending(&store, 2, Source::Relayed, later);
    let shown = |member: u64, last_asked, source| Pending {
        member: address(member),
        first_asked: NOW,
        last_asked,
        source,
    };
    let expected = [shown(2, later, Source::Relayed), shown(1, NOW, Source::V6([0x20, 1, 0xd, 0xb8, 0, 1]))];
    assert_eq!(store.read(|tx| tx.pending().list(NETWORK)).unwrap(), expected);
    assert_eq!(store.read(|tx| tx.pending().get(NETWORK, address(2))).unwrap(), Some(expected[0]));
    store.write(|tx| tx.pending().touch(NETWORK, address(1), later.plus_millis(1))).unwrap();
    assert_eq!(pending(&store), [1, 2]);
}

#[test]
fn whoever_is_saved_or_removed_is_no_stranger() {
    let store = store();
    for number in 1..=3 {
        put_pending(&store, number, SOURCE, NOW);
    }
    put_member(&store, &Member { name: Some("known".to_owned()), ..member(1) }).unwrap();
    store.write(|tx| tx.members().remove(NETWORK, address(2))).unwrap();
    assert_eq!(pending(&store), [3]);
    store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap();
    assert!(pending(&store).is_empty());
}

#[test]
fn strangers_are_counted_by_source_by_network_and_in_all() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    put_pending(&store, 1, SOURCE, NOW.plus_millis(7));
    put_pending(&store, 2, SOURCE, NOW.plus_millis(5));
    put_pending(&store, 3, Source::Relayed, NOW);
    store
        .write(|tx| {
            tx.members().put(&Member { network: other, ..member(1) })?;
            tx.pending().put(other, address(1), SOURCE, Timestamp(1))
        })
        .unwrap();
    let room = store.read(|tx| tx.pending().room(NETWORK, SOURCE)).unwrap();
    let expected = Room {
        of_source: 2,
        of_network: 3,
        in_all: 4,
        oldest_of_source: Some(NOW.plus_millis(5)),
        oldest_of_network: Some(NOW),
        oldest_in_all: Some(Timestamp(1)),
    };
    assert_eq!(room, expected);
}

#[test]
fn the_oldest_of_a_source_of_a_network_or_of_all_gives_way() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    for (number, source, millis) in [(1, SOURCE, 7), (2, SOURCE, 5), (3, Source::Relayed, 0), (4, SOURCE, 9)]
    {
        put_pending(&store, number, source, NOW.plus_millis(millis));
    }
    store
        .write(|tx| {
            tx.members().put(&Member { network: other, ..member(1) })?;
            tx.pending().put(other, address(1), SOURCE, Timestamp(1))
        })
        .unwrap();
    let remove = |among| store.write(|tx| tx.pending().remove_oldest(among, NETWORK, SOURCE)).unwrap();
    remove(Among::Source);
    assert_eq!(pending(&store), [4, 1, 3]);
    remove(Among::Network);
    assert_eq!(pending(&store), [4, 1]);
    assert!(get_member(&store, 2).is_none() && get_member(&store, 3).is_none(), "the records go as well");
    remove(Among::All);
    assert_eq!(pending(&store), [4, 1]);
    assert!(store.read(|tx| tx.members().get(other, address(1))).unwrap().is_none());
}

#[test]
fn strangers_that_no_longer_ask_go_with_their_records_in_small_steps() {
    let store = store();
    put_member(&store, &member_with(100, &["10.0.0.1"])).unwrap();
    for number in 1..=5 {
        put_pending(&store, number, SOURCE, NOW.plus_millis(number));
    }
    let until = NOW.plus_millis(4);
    assert!(!store.read(|tx| tx.pending().is_any_until(NOW)).unwrap());
    assert!(store.read(|tx| tx.pending().is_any_after(until)).unwrap());
    assert!(!store.read(|tx| tx.pending().is_any_after(NOW.plus_millis(5))).unwrap());
    assert!(store.read(|tx| tx.pending().is_any_until(until)).unwrap());
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(store.write(|tx| tx.pending().remove_until(until, 3)).unwrap());
    }
    assert_eq!(steps, [3, 1, 0]);
    let left: Vec<_> = (1..=100).filter(|number| get_member(&store, *number).is_some()).collect();
    assert_eq!(left, [5, 100]);
}

#[test]
fn only_who_is_still_without_authorization_is_listed_as_revoked() {
    let store = store();
    put_member(&store, &Member { authorized: true, ..member(1) }).unwrap();
    put_member(&store, &member(2)).unwrap();
    store
        .write(|tx| {
            for number in 1..=4 {
                tx.revoked().note(NETWORK, address(number), NOW.plus_millis(number))?;
            }
            tx.revoked().note(NETWORK, address(3), NOW.plus_millis(9))
        })
        .unwrap();
    let listed = |since| store.read(|tx| tx.revoked().list_since(since)).unwrap();
    let entry = |number, millis| (NETWORK, address(number), NOW.plus_millis(millis));
    assert_eq!(listed(NOW), [entry(2, 2), entry(4, 4), entry(3, 9)]);
    assert_eq!(listed(NOW.plus_millis(4)), [entry(3, 9)]);
    assert!(store.read(|tx| tx.revoked().is_any_until(NOW.plus_millis(1))).unwrap());
    assert_eq!(store.write(|tx| tx.revoked().forget_until(NOW.plus_millis(4), 2)).unwrap(), 2);
    assert_eq!(store.write(|tx| tx.revoked().forget_until(NOW.plus_millis(4), 2)).unwrap(), 1);
}

#[test]
fn who_was_logged_out_is_listed_as_revoked_until_its_next_session() {
    let store = store();
    let revoked = NOW.plus_millis(5);
    let listed = |sso_enabled, sso_exempt, millis: u64| {
        put_network(&store, &Network { sso_enabled, ..network(NETWORK) });
        let authentication_expiry = Timestamp(millis);
        put_member(&store, &Member { authorized: true, sso_exempt, authentication_expiry, ..member(1) })
            .unwrap();
        store.write(|tx| tx.revoked().note(NETWORK, address(1), revoked)).unwrap();
        let all = store.read(|tx| tx.revoked().list_since(NOW)).unwrap();
        let of_network = store.read(|tx| tx.revoked().of_network_since(NETWORK, NOW)).unwrap();
        assert_eq!(all.len(), of_network.len());
        !all.is_empty()
    };
    assert!(listed(true, false, 0) && listed(true, false, revoked.0));
    assert!(!listed(true, false, revoked.0 + 1) && !listed(true, false, u64::MAX), "logged in again");
    assert!(!listed(true, true, 0) && !listed(false, false, 0), "who need not log in");
}

/// `known-flaws.md` row 13.
#[test]
fn members_of_a_removed_network_are_revoked_in_one_of_the_same_id() {
    let store = store();
    for number in [1, 2] {
        put_member(&store, &Member { authorized: true, ..member(number) }).unwrap();
    }
    put_member(&store, &member(3)).unwrap();
    let gone = || store.read(|tx| tx.revoked().networks_gone_since(NOW)).unwrap();
    let removed = NOW.plus_millis(7);
    store
        .write(|tx| {
            tx.revoked().note(NETWORK, address(4), NOW.plus_millis(1))?;
            tx.revoked().note(NETWORK, address(2), NOW.plus_millis(2))?;
            tx.networks().remove(NETWORK, removed)
        })
        .unwrap();
    assert_eq!(gone(), [(NETWORK, removed)]);
    assert!(store.read(|tx| tx.revoked().list_since(NOW)).unwrap().is_empty(), "there is nobody to tell");
    put_network(&store, &network(NETWORK));
    put_member(&store, &Member { authorized: true, ..member(1) }).unwrap();
    assert_eq!(gone(), []);
    let revoked = store.read(|tx| tx.revoked().of_network_since(NETWORK, NOW)).unwrap();
    assert_eq!(revoked, [(address(4), NOW.plus_millis(1)), (address(2), removed)], "1 was authorized again");
    assert_eq!(store.read(|tx| tx.revoked().of_network_since(NETWORK, removed)).unwrap(), []);
    // They are forgotten like all others.
    store.write(|tx| tx.networks().remove(NETWORK, removed)).unwrap();
    assert_eq!(store.write(|tx| tx.revoked().forget_until(removed, 10)).unwrap(), 3);
}

/// `known-flaws.md` row 13.
#[test]
fn a_removed_network_is_remembered_until_it_is_made_again() {
    let store = store();
    let was_removed = || store.read(|tx| tx.networks().was_removed(NETWORK)).unwrap();
    assert!(!was_removed());
    assert!(store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap());
    assert!(was_removed());
    assert!(!store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap());
    put_network(&store, &network(NETWORK));
    assert!(!was_removed());
}

#[test]
fn what_may_have_been_issued_only_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ctl.db");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.read(|tx| tx.issued_until()).unwrap(), Timestamp(0));
    for (allowed, until) in [(NOW.plus_millis(5), 5), (NOW, 5), (NOW.plus_millis(6), 6)] {
        store.write(|tx| tx.allow_issuing_until(allowed)).unwrap();
        assert_eq!(store.read(|tx| tx.issued_until()).unwrap(), NOW.plus_millis(until));
    }
    drop(store);
    assert_eq!(Store::open(&path).unwrap().read(|tx| tx.issued_until()).unwrap(), NOW.plus_millis(6));
}
