//! When members were last heard, and from where: bounded, and gone with the member.

use std::net::SocketAddr;

use ctl_core::member::ClientVersion;
use ctl_store::{Client, MAX_SIGHTINGS, Sighting, Store, StoreError};
use proptest::prelude::*;
use zt_proto::{NetworkId, Timestamp};

use crate::sample::{NETWORK, NOW, address, member, network, put_member, put_network, store};

#[test]
fn member_that_was_never_heard_has_no_sighting() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    assert_eq!(store.read(|tx| tx.sightings().last(NETWORK, address(1))).unwrap(), None);
    assert_eq!(history(&store, 1), []);
}

#[test]
fn requests_from_one_place_are_one_sighting_with_its_first_and_last_time() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    for seconds in 0..100 {
        assert!(note(&store, 1, &client("192.0.2.1:9993"), seconds));
    }
    // Another port alone is the same place: routers change it all the time.
    assert!(note(&store, 1, &client("192.0.2.1:40000"), 100));
    assert_eq!(history(&store, 1), [sighting("192.0.2.1:40000", 0, 100)]);
}

#[test]
fn a_request_that_says_nothing_new_is_only_later() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    let later = |number: u64, seconds: u64| {
        let now = NOW.plus_millis(seconds * 1000);
        store.write(|tx| tx.sightings().note_again(NETWORK, address(number), now)).unwrap()
    };
    assert!(!later(1, 1), "it was never heard");
    note(&store, 1, &client("192.0.2.1:1"), 1);
    note(&store, 1, &client("192.0.2.2:2"), 2);
    assert!(later(1, 60));
    assert_eq!(history(&store, 1), [sighting("192.0.2.2:2", 2, 60), sighting("192.0.2.1:1", 1, 1)]);
    assert!(!later(2, 1), "no such member");
}

#[test]
fn change_of_address_version_or_platform_begins_a_sighting() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    let first = client("192.0.2.1:9993");
    let moved = client("[2001:db8::1]:9993");
    let version = Some(ClientVersion { major: 1, minor: 16, revision: 0, protocol: 13 });
    let updated = Client { version, ..moved.clone() };
    let ported = Client { platform: "darwin/arm64".to_owned(), ..updated.clone() };
    let relayed = Client { wire: None, ..ported.clone() };
    let clients = [first.clone(), moved, updated, ported, relayed, first];
    for (seconds, client) in (0..).zip(&clients) {
        assert!(note(&store, 1, client, seconds));
    }
    let found: Vec<_> = history(&store, 1).into_iter().map(|sighting| sighting.client).rev().collect();
    assert_eq!(found, clients);
}

/// `known-flaws.md` row 7: a member that moves all the time fills nothing.
#[test]
fn only_the_newest_sightings_of_a_member_are_kept() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    for number in 0..1000 {
        assert!(note(&store, 1, &client(&format!("192.0.2.{}:1", number % 250)), number));
    }
    let expected = (0..1000).rev().take(MAX_SIGHTINGS);
    let expected: Vec<_> = expected.map(|n| sighting(&format!("192.0.2.{}:1", n % 250), n, n)).collect();
    assert_eq!(history(&store, 1), expected);
}

/// The wall clock may be set back.
#[test]
fn last_sighting_is_the_one_noted_last_whatever_its_time() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    note(&store, 1, &client("192.0.2.1:1"), 500);
    note(&store, 1, &client("192.0.2.2:1"), 100);
    let last = store.read(|tx| tx.sightings().last(NETWORK, address(1))).unwrap();
    assert_eq!(last, Some(sighting("192.0.2.2:1", 100, 100)));
    let all = store.read(|tx| tx.sightings().last_of_all(NETWORK)).unwrap();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(address(1), sighting("192.0.2.2:1", 100, 100))]);
}

#[test]
fn last_sightings_of_named_members_are_those_of_each_however_many_they_are() {
    let store = store();
    for node in 1..=40 {
        put_member(&store, &member(node)).unwrap();
        note(&store, node, &client("192.0.2.1:1"), 100);
        note(&store, node, &client("192.0.2.2:1"), 200 + node);
    }
    let named: Vec<_> = (3..=60).rev().map(address).collect();
    let found = store.read(|tx| tx.sightings().last_of(NETWORK, &named)).unwrap();
    let expected = (3..=40).map(|node| (address(node), sighting("192.0.2.2:1", 200 + node, 200 + node)));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn long_platform_is_cut_between_characters() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    let long = Client { platform: format!("{}{}", "x".repeat(63), "é".repeat(5000)), ..Client::default() };
    note(&store, 1, &long, 0);
    note(&store, 1, &long, 1);
    let cut = Client { platform: "x".repeat(63), ..Client::default() };
    assert_eq!(history(&store, 1), [Sighting { first: NOW, last: NOW.plus_millis(1000), client: cut }]);
}

/// `known-flaws.md` rows 7 and 13.
#[test]
fn stranger_leaves_no_sighting_and_a_removed_member_none() {
    let store = store();
    assert!(!note(&store, 1, &client("192.0.2.1:1"), 0));
    let elsewhere =
        store.write(|tx| tx.sightings().note(NetworkId(7), address(1), &client("192.0.2.1:1"), NOW));
    assert!(!elsewhere.unwrap());
    put_member(&store, &member(1)).unwrap();
    note(&store, 1, &client("192.0.2.1:1"), 0);
    store.write(|tx| tx.members().remove(NETWORK, address(1))).unwrap();
    put_member(&store, &member(1)).unwrap();
    assert_eq!(history(&store, 1), []);
    note(&store, 1, &client("192.0.2.1:1"), 0);
    store.write(|tx| tx.networks().remove(NETWORK, NOW)).unwrap();
    put_network(&store, &network(NETWORK));
    put_member(&store, &member(1)).unwrap();
    assert_eq!(history(&store, 1), []);
}

#[test]
fn saving_a_member_leaves_its_sightings() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    note(&store, 1, &client("192.0.2.1:1"), 0);
    put_member(&store, &ctl_core::Member { authorized: true, ..member(1) }).unwrap();
    assert_eq!(history(&store, 1), [sighting("192.0.2.1:1", 0, 0)]);
}

proptest! {
    #[test]
    fn any_history_is_read_back_as_it_was_put(
        histories in proptest::collection::vec(proptest::collection::vec(any_sighting(), 0..12), 1..4)
    ) {
        let store = store();
        let numbered = || (1..).zip(&histories);
        store.write(|tx| {
            for (number, history) in numbered() {
                assert!(!tx.sightings().put(NETWORK, address(number), history)? || history.is_empty());
                tx.members().put(&member(number))?;
                assert!(tx.sightings().put(NETWORK, address(number), history)?);
            }
            Ok::<_, StoreError>(())
        }).unwrap();
        let all = store.read(|tx| tx.sightings().last_of_all(NETWORK)).unwrap();
        for (number, given) in numbered() {
            let kept = &given[..given.len().min(MAX_SIGHTINGS)];
            prop_assert_eq!(history(&store, number), kept);
            let last = store.read(|tx| tx.sightings().last(NETWORK, address(number))).unwrap();
            prop_assert_eq!(last.as_ref(), kept.first());
            prop_assert_eq!(all.get(&address(number)), kept.first());
        }
    }
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let version = proptest::option::of(any::<[u64; 4]>()).prop_map(|version| {
        version.map(|[major, minor, revision, protocol]| ClientVersion { major, minor, revision, protocol })
    });
    (any::<[u64; 2]>(), proptest::option::of(any::<SocketAddr>()), version, "[a-z/é]{0,32}").prop_map(
        |([first, last], wire, version, platform)| Sighting {
            first: Timestamp(first),
            last: Timestamp(last),
            client: Client {
                wire: wire.map(|wire| SocketAddr::new(wire.ip(), wire.port())),
                version,
                platform,
            },
        },
    )
}

fn client(wire: &str) -> Client {
    Client { wire: Some(wire.parse().unwrap()), version: None, platform: "linux/x86_64".to_owned() }
}

fn sighting(wire: &str, first: u64, last: u64) -> Sighting {
    let time = |seconds| NOW.plus_millis(seconds * 1000);
    Sighting { first: time(first), last: time(last), client: client(wire) }
}

fn note(store: &Store, number: u64, client: &Client, seconds: u64) -> bool {
    let now = NOW.plus_millis(seconds * 1000);
    store.write(|tx| tx.sightings().note(NETWORK, address(number), client, now)).unwrap()
}

fn history(store: &Store, number: u64) -> Vec<Sighting> {
    store.read(|tx| tx.sightings().history(NETWORK, address(number))).unwrap()
}
