//! What was put comes back equal, and in its place.

use std::collections::BTreeMap;

use ctl_core::network::Dns;
use ctl_core::{Member, Network};
use ctl_store::{MemberCounts, StoreError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use zt_proto::rules::{MAX_RULES, Rule};
use zt_proto::{Address, NetworkId};

use crate::sample::{
    NETWORK, address, any_member, any_network, get_member, ip, member, member_with, network, put_member,
    put_network, store,
};

#[test]
fn any_network_comes_back_as_it_was_put() {
    let store = store();
    runner(256)
        .run(&any_network(), |network| {
            put_network(&store, &network);
            let found = store.read(|tx| tx.networks().get(network.id)).unwrap();
            prop_assert_eq!(found, Some(network));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_change_of_a_network_replaces_all_of_it() {
    let store = store();
    runner(128)
        .run(&any_network(), |network| {
            let network = Network { id: NETWORK, ..network };
            put_network(&store, &network);
            let found = store.read(|tx| tx.networks().get(NETWORK)).unwrap();
            prop_assert_eq!(found, Some(network));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_change_of_a_member_replaces_all_of_it() {
    let store = store();
    runner(512)
        .run(&any_member(), |member| {
            let member = Member { address: address(1), ..member };
            put_member(&store, &member).unwrap();
            prop_assert_eq!(get_member(&store, 1), Some(member));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_members_are_listed_in_full_and_ascending() {
    runner(64)
        .run(&vec(any_member(), 0..12), |members| {
            let store = store();
            // Generated addresses practically never collide; where they do, the later member replaces the earlier.
            let members: BTreeMap<_, _> =
                members.into_iter().map(|member| (member.address, member)).collect();
            for member in members.values() {
                prop_assume!(put_member(&store, member).is_ok());
            }
            let (list, revisions, counts) = store
                .read(|tx| {
                    let members = tx.members();
                    Ok::<_, StoreError>((
                        members.list(NETWORK)?,
                        members.revisions(NETWORK)?,
                        members.counts(NETWORK)?,
                    ))
                })
                .unwrap();
            let expected: Vec<_> = members.values().map(|member| (member.address, member.revision)).collect();
            prop_assert_eq!(revisions, expected);
            let authorized = list.iter().filter(|member| member.authorized).count() as u64;
            prop_assert_eq!(counts, MemberCounts { total: list.len() as u64, authorized });
            prop_assert_eq!(list, Vec::from_iter(members.into_values()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn networks_are_listed_ascending_as_unsigned_numbers() {
    let store = store();
    for id in [u64::MAX, 0, 1 << 63, 1, (1 << 63) - 1] {
        put_network(&store, &network(NetworkId(id)));
    }
    let list = store.read(|tx| tx.networks().list()).unwrap();
    let expected = [0, 1, (1 << 63) - 1, 1 << 63, NETWORK.0, u64::MAX];
    assert_eq!(list, expected.map(NetworkId));
}

#[test]
fn saving_a_network_keeps_its_members() {
    let store = store();
    put_member(&store, &member(1)).unwrap();
    put_network(&store, &Network { name: "other".to_owned(), ..network(NETWORK) });
    assert_eq!(get_member(&store, 1), Some(member(1)));
}

#[test]
fn members_of_one_network_are_none_of_another() {
    let store = store();
    let other = NetworkId(NETWORK.0 + 1);
    put_network(&store, &network(other));
    put_member(&store, &Member { ip_assignments: vec![ip("10.0.0.1")], ..member(1) }).unwrap();
    put_member(&store, &Member { network: other, ip_assignments: vec![ip("10.0.0.1")], ..member(2) })
        .unwrap();
    store
        .read(|tx| {
            let members = tx.members();
            assert_eq!(members.get(other, address(1))?, None);
            assert_eq!(members.revisions(other)?, [(address(2), 1)]);
            assert_eq!(members.counts(other)?.total, 1);
            assert_eq!(members.holder(other, ip("10.0.0.1"))?, Some(address(2)));
            assert_eq!(members.holder(NETWORK, ip("10.0.0.1"))?, Some(address(1)));
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn dns_that_was_never_set_differs_from_empty_dns() {
    let store = store();
    for dns in [Some(Dns::default()), None] {
        put_network(&store, &Network { dns: dns.clone(), ..network(NETWORK) });
        assert_eq!(store.read(|tx| tx.networks().get(NETWORK)).unwrap().unwrap().dns, dns);
    }
}

/// `http-api.md` §9.1: more rules than members get are kept.
#[test]
fn rules_beyond_what_members_get_are_kept() {
    let store = store();
    let long = Network { rules: vec![Rule::ACCEPT; MAX_RULES + 1], ..network(NETWORK) };
    put_network(&store, &long);
    assert_eq!(store.read(|tx| tx.networks().get(NETWORK)).unwrap(), Some(long));
}

#[test]
fn what_is_not_there_is_none_and_counts_nothing() {
    let store = store();
    let unknown = NetworkId(7);
    store
        .read(|tx| {
            assert_eq!(tx.networks().get(unknown)?, None);
            assert_eq!(tx.members().get(NETWORK, address(1))?, None);
            assert_eq!(tx.members().list(unknown)?, []);
            assert_eq!(tx.members().revisions(unknown)?, []);
            assert_eq!(tx.members().counts(unknown)?, MemberCounts::default());
            assert_eq!(tx.members().holder(NETWORK, ip("10.0.0.1"))?, None);
            assert_eq!(tx.snapshot(unknown, address(1))?, None);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn members_that_are_named_are_what_they_are_one_by_one() {
    let store = store();
    let mut expected = Vec::new();
    for number in 0..40 {
        let ips = [format!("10.0.0.{}", number + 1), format!("10.0.1.{}", number + 1)];
        let mut member =
            member_with(number, &[ips[0].as_str(), ips[1].as_str()][..usize::try_from(number % 3).unwrap()]);
        member.tags = (0..u32::try_from(number % 4).unwrap()).map(|tag| (tag, 7)).collect();
        member.capabilities = (0..u32::try_from(number % 2).unwrap()).rev().collect();
        put_member(&store, &member).unwrap();
        expected.push(member);
    }
    let named = |numbers: &[u64]| {
        let addresses: Vec<_> = numbers.iter().map(|number| address(*number)).collect();
        store.read(|tx| tx.members().some(NETWORK, &addresses)).unwrap()
    };
    for count in [0, 1, 2, 15, 16, 17, 40] {
        let numbers: Vec<_> = (0..count).rev().collect();
        assert_eq!(named(&numbers), expected[..usize::try_from(count).unwrap()], "{count}");
    }
    // Not those of whom there is no record, and each once.
    assert_eq!(named(&[77, 5, 5, 99, 3, 0]), [&expected[0], &expected[3], &expected[5]].map(Member::clone));
    let elsewhere = store.read(|tx| tx.members().some(NetworkId(NETWORK.0 + 1), &[address(1)])).unwrap();
    assert_eq!(elsewhere, []);
}

#[test]
fn pages_follow_each_other_until_all_members_were_there() {
    let store = store();
    let last = Address::MAX.to_u64();
    let numbers = [0, 1, 2, 7, 8, last - 1, last];
    let expected: Vec<_> =
        numbers.iter().map(|number| member_with(*number, &[&format!("10.0.0.{}", number % 250)])).collect();
    expected.iter().for_each(|member| put_member(&store, member).unwrap());
    for limit in 1..=8 {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = store.read(|tx| tx.members().page(NETWORK, after, limit)).unwrap();
            assert!(page.len() <= limit);
            let Some(member) = page.last() else { break };
            after = Some(member.address);
            found.extend(page);
        }
        assert_eq!(found, expected, "{limit}");
    }
    assert_eq!(store.read(|tx| tx.members().page(NETWORK, None, 0)).unwrap(), []);
}
