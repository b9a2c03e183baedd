//! What is sent again is what would be issued: for any sequence of changes, requests and jumps of the clock.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use ctl_core::network::CapabilityDefinition;
use ctl_core::{ConfigRequest, Decision, Issued, Member, Memo, Network, RequestKind, Snapshot, decide};
use proptest::prelude::*;
use zt_crypto::IdentitySecret;
use zt_proto::config::{Certificates, NetworkConfig};
use zt_proto::credential::{Qualifier, Signature};
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::decisions::{self, NETWORK, NOW, asker, controller, network, request};

/// Five minutes: configurations are sent again for one minute.
const WINDOW: u64 = 300_000;

#[test]
fn a_member_that_asks_again_gets_the_same_dictionary_in_other_chunks() {
    let (memo, controller) = (Memo::new(), controller());
    let world = World::new();
    let (first, again) =
        (world.ask(&memo, &controller, 0, NOW.0), world.ask(&memo, &controller, 0, NOW.0 + 60_000));
    assert!(Arc::ptr_eq(&first, &again));
    let reply = |id| first.reply(NonZeroU64::new(id).unwrap(), &controller);
    assert_ne!(reply(1), reply(2), "the id of a sending is signed");
    let late = world.ask(&memo, &controller, 0, NOW.0 + 60_001);
    assert_eq!(late.timestamp(), Timestamp(NOW.0 + 60_001), "a fifth of the window is over");
}

#[test]
fn a_member_in_the_default_window_is_signed_for_once_in_six_minutes() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    world.network = Arc::new(Network { credential_window: None, ..network() });
    let times =
        (0..13).map(|minute| world.ask(&memo, &controller, 0, NOW.0 + minute * 60_000).timestamp().0 - NOW.0);
    let times: Vec<_> = times.map(|millis| millis / 60_000).collect();
    assert_eq!(times, [0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7]);
}

/// `vl2.md` §19.1, item 15.
#[test]
fn nothing_that_a_revocation_hit_is_sent_again() {
    let (memo, controller) = (Memo::new(), controller());
    let world = World::new();
    let before = world.ask(&memo, &controller, 0, NOW.0);
    let other = world.ask(&memo, &controller, 1, NOW.0);
    // Decided before, kept after it: as when two threads are at work.
    let slow = world.decided(&memo, 2, NOW.0).unwrap();
    // The clock went back meanwhile.
    let threshold = memo.revoke(NETWORK, world.member(0).address, Timestamp(NOW.0 - 5000));
    assert_eq!(threshold, before.timestamp());
    memo.issue(&slow, &controller).unwrap();
    assert!(world.ask(&memo, &controller, 0, NOW.0 - 5000).timestamp() > threshold);
    assert!(world.ask(&memo, &controller, 2, NOW.0 - 5000).timestamp() > threshold, "it was not kept");
    assert!(Arc::ptr_eq(&world.ask(&memo, &controller, 1, NOW.0), &other), "others are not signed for again");
}

/// A network that is made anew begins at the same revision.
#[test]
fn what_differs_in_anything_but_its_revision_is_issued_anew() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    let first = world.ask(&memo, &controller, 0, NOW.0);
    let old = Arc::clone(&world.network);
    world.network = Arc::new(Network { name: "anew".to_owned(), ..(*old).clone() });
    let renamed = world.ask(&memo, &controller, 0, NOW.0 + 1);
    assert_ne!(renamed, first);
    times_are_all_that_differs(&renamed, &world.uncached(0, renamed.timestamp(), &controller), &controller);
    world.network = Arc::new((*old).clone());
    assert_eq!(world.ask(&memo, &controller, 0, NOW.0 + 2).timestamp(), Timestamp(NOW.0 + 2));
}

/// What two threads, or a slow change of a large network, may do with them: they go on as long as they would have alone.
#[test]
fn certificates_that_say_the_same_are_taken_over_when_something_else_changes() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    world.change(0, |member| {
        member.tags.insert(7, 1);
        member.ip_assignments = vec![[10, 0, 0, 1].into()];
    });
    let first = world.ask(&memo, &controller, 0, NOW.0);
    let before = certificates(&first);
    assert!(before.membership.is_some() && before.tags.len() == 1 && before.ownerships.len() == 1);
    let mut change = |millis, change: fn(&mut World)| {
        change(&mut world);
        let issued = world.ask(&memo, &controller, 0, NOW.0 + millis);
        assert_eq!(issued.timestamp(), Timestamp(NOW.0 + millis), "it is a new configuration");
        certificates(&issued)
    };
    let rename = |world: &mut World| {
        let name = format!("{}!", world.network.name);
        world.network = Arc::new(Network { name, ..(*world.network).clone() });
    };
    assert_eq!(change(1_000, rename), before);
    // One that says something else is signed anew, and the others are not.
    let tagged = change(2_000, |world| world.change(0, |member| member.tags.extend([(7, 2)])));
    assert_eq!((&tagged.membership, &tagged.ownerships), (&before.membership, &before.ownerships));
    assert_eq!((tagged.tags[0].timestamp, tagged.tags[0].value), (Timestamp(NOW.0 + 2_000), 2));
    let moved = change(3_000, |world| {
        world.change(0, |member| member.ip_assignments = vec![[10, 0, 0, 2].into()]);
    });
    assert_eq!((&moved.membership, &moved.tags), (&before.membership, &tagged.tags));
    assert_eq!(moved.ownerships[0].timestamp, Timestamp(NOW.0 + 3_000));
    // And each when a fifth of the window is over for it.
    assert_eq!(change(60_000, rename).membership, before.membership);
    let late = change(60_001, rename);
    assert_eq!((&late.tags, &late.ownerships), (&tagged.tags, &moved.ownerships));
    assert_ne!(late.membership, before.membership);
    // Which ends with the oldest: the tag.
    let again = world.ask(&memo, &controller, 0, NOW.0 + 62_000);
    assert_eq!((again.timestamp().0, again.certified().0), (NOW.0 + 60_001, NOW.0 + 2_000));
    let again = world.ask(&memo, &controller, 0, NOW.0 + 62_001);
    assert_eq!((again.timestamp().0, again.certified().0), (NOW.0 + 62_001, NOW.0 + 3_000));
}

/// A capability is signed for who holds it, and so is what was signed before.
#[test]
fn capabilities_are_taken_over_too_but_not_one_that_says_something_else() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    world.network =
        Arc::new(Network { capabilities: vec![capability(1), capability(2)], ..(*world.network).clone() });
    world.change(0, |member| member.capabilities = vec![1, 2]);
    let before = world.ask(&memo, &controller, 0, NOW.0);
    times_are_all_that_differs(&before, &world.uncached(0, NOW, &controller), &controller);
    let before = certificates(&before).capabilities;
    assert_eq!(before.len(), 2);
    let rule = Rule { not: false, or: false, body: RuleBody::Accept };
    let longer = CapabilityDefinition { rules: vec![rule], ..capability(2) };
    world.network =
        Arc::new(Network { capabilities: vec![capability(1), longer], ..(*world.network).clone() });
    let after = world.ask(&memo, &controller, 0, NOW.0 + 1_000);
    times_are_all_that_differs(&after, &world.uncached(0, after.timestamp(), &controller), &controller);
    let after = certificates(&after).capabilities;
    assert_eq!((&after[0], after[1].timestamp.0), (&before[0], NOW.0 + 1_000));
}

fn capability(id: u32) -> CapabilityDefinition {
    CapabilityDefinition { id, default: false, rules: Vec::new() }
}

#[test]
fn no_certificate_is_taken_over_that_a_revocation_hit_or_that_is_of_other_keys_or_another_window() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    let first = world.ask(&memo, &controller, 0, NOW.0);
    let threshold = memo.revoke(NETWORK, world.member(0).address, NOW);
    let rename = |world: &mut World| {
        let name = format!("{}!", world.network.name);
        world.network = Arc::new(Network { name, ..(*world.network).clone() });
    };
    rename(&mut world);
    let revoked = world.ask(&memo, &controller, 0, NOW.0);
    assert!(first.certified() <= threshold && revoked.certified() > threshold);
    // Another window.
    world.network = Arc::new(Network { credential_window: Some(2 * WINDOW), ..(*world.network).clone() });
    let longer = world.ask(&memo, &controller, 0, NOW.0 + 5_000);
    assert_eq!(longer.certified(), Timestamp(NOW.0 + 5_000));
    // The record was removed, and the address came back with other keys.
    world.other_keys = true;
    world.members.insert(0, world.member(0));
    let other = world.ask(&memo, &controller, 0, NOW.0 + 6_000);
    assert_eq!(other.certified(), Timestamp(NOW.0 + 6_000));
    times_are_all_that_differs(&other, &world.uncached(0, other.timestamp(), &controller), &controller);
    // An old client has none that others take, nor the other way round.
    for (is_old, time) in [(true, NOW.0 + 7_000), (false, NOW.0 + 7_001)] {
        world.is_old = is_old;
        assert_eq!(world.ask(&memo, &controller, 0, time).certified(), Timestamp(time));
    }
}

/// The same network with a route, so that addresses are told.
fn routed(network: &Network) -> Network {
    let route = ctl_core::network::Route { target: "10.0.0.0/24".parse().unwrap(), via: None };
    Network { routes: vec![route], ..network.clone() }
}

fn certificates(issued: &Issued) -> Certificates {
    Certificates::parse(&issued.dictionary()).unwrap()
}

/// Asserts that what is sent is what would be issued now, but for the times of certificates that are taken over, which are
/// signed; returns the earliest of all times.
fn times_are_all_that_differs(issued: &Issued, expected: &Issued, controller: &IdentitySecret) -> Timestamp {
    assert_eq!((issued.timestamp(), issued.client()), (expected.timestamp(), expected.client()));
    if !issued.client().is_modern() {
        assert_eq!(issued.dictionary(), expected.dictionary());
        return issued.timestamp();
    }
    let config = |issued: &Issued| NetworkConfig::parse(&issued.dictionary()).unwrap();
    let (mut got, expected) = (config(issued), config(expected));
    let mut times = vec![issued.timestamp()];
    let verify = |message: Vec<u8>, signature: &Signature| {
        zt_crypto::signature::verify(controller.public(), &message, signature).unwrap();
    };
    for (got, expected) in got.membership.iter_mut().zip(&expected.membership) {
        verify(got.signed_bytes(), &got.signature);
        times.push(Timestamp(got.value(Qualifier::TIMESTAMP).unwrap()));
        (got.qualifiers[0].value, got.signature) = (expected.qualifiers[0].value, expected.signature);
    }
    for (got, expected) in got.tags.iter_mut().zip(&expected.tags) {
        verify(got.signed_bytes(), &got.signature);
        times.push(got.timestamp);
        (got.timestamp, got.signature) = (expected.timestamp, expected.signature);
    }
    for (got, expected) in got.capabilities.iter_mut().zip(&expected.capabilities) {
        verify(got.signed_bytes(), &got.custody[0].signature);
        times.push(got.timestamp);
        (got.timestamp, got.custody) = (expected.timestamp, expected.custody.clone());
    }
    for (got, expected) in got.ownerships.iter_mut().zip(&expected.ownerships) {
        verify(got.signed_bytes(), &got.signature);
        times.push(got.timestamp);
        (got.timestamp, got.signature) = (expected.timestamp, expected.signature);
    }
    assert_eq!(got, expected);
    times.into_iter().min().unwrap()
}

#[test]
fn what_is_kept_is_bounded() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    // More than 12 KB each, besides what the first has, that no compression makes shorter: so all is full long before too many
    // have asked.
    let mut large = (*world.network).clone();
    let mut seed = 1_u64;
    let mut octet = || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        seed.to_be_bytes()[0]
    };
    let mut rule = || {
        let body = RuleBody::Unknown { kind: 60, field: (0..18).map(|_| octet()).collect() };
        Rule { not: false, or: false, body }
    };
    let capability =
        |id| CapabilityDefinition { id, default: false, rules: (0..64).map(|_| rule()).collect() };
    large.capabilities = (1..=16).map(capability).collect();
    world.network = Arc::new(large);
    world.shift();
    let size = memo_size(&world, &controller);
    let count = u8::try_from((192 << 20) / size / 192 + 2).unwrap();
    for _ in 0..192 {
        for number in 0..count {
            world.ask(&memo, &controller, number, NOW.0);
        }
        world.shift();
    }
    let (entries, bytes) = memo.size();
    assert!(bytes <= 192 << 20 && bytes > 180 << 20, "{entries} entries, {bytes} bytes");
    assert!(entries < 20_000);
    // Old ones go when their time is over, whoever asks.
    world.ask(&memo, &controller, 0, NOW.0 + Network::MAX_CREDENTIAL_WINDOW);
    assert_eq!(memo.size().0, 1);
}

/// Returns what is kept of a member that is not the first.
fn memo_size(world: &World, controller: &IdentitySecret) -> usize {
    let memo = Memo::new();
    world.ask(&memo, controller, 0, NOW.0);
    let first = memo.size().1;
    world.ask(&memo, controller, 1, NOW.0);
    memo.size().1 - first
}

#[test]
fn what_members_have_in_common_is_written_once_for_each_revision_however_many_ask() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    for revision in 1..=3 {
        world.network = Arc::new(Network { revision, ..(*world.network).clone() });
        std::thread::scope(|scope| {
            for first in 0..8 {
                let (world, memo, controller) = (&world, &memo, &controller);
                scope.spawn(move || {
                    (first..200)
                        .step_by(8)
                        .for_each(|number| drop(world.ask(memo, controller, number, NOW.0)));
                });
            }
        });
        assert_eq!(memo.parts_written(), revision);
        assert_eq!(memo.size().0, 200);
    }
}

/// As when two threads are at work while a network changes.
#[test]
fn who_decided_before_a_change_takes_nothing_from_those_who_decided_after_it() {
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    let slow = world.decided(&memo, 0, NOW.0).unwrap();
    let revision = world.network.revision + 1;
    world.network = Arc::new(Network { revision, ..(*world.network).clone() });
    let first = world.ask(&memo, &controller, 1, NOW.0);
    memo.issue(&slow, &controller).unwrap();
    assert!(Arc::ptr_eq(&world.ask(&memo, &controller, 1, NOW.0), &first));
    assert_eq!(memo.parts_written(), 2);
}

#[test]
fn the_network_of_which_nobody_asked_for_longest_gives_way() {
    let kept: u64 = 1024;
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    let mut written_for = |network: u64, number| {
        world.network = Arc::new(Network { id: NetworkId(NETWORK.0 + network), ..(*world.network).clone() });
        let before = memo.parts_written();
        world.ask(&memo, &controller, number, NOW.0);
        memo.parts_written() - before
    };
    assert!((0..kept).all(|network| written_for(network, 0) == 1));
    assert_eq!(written_for(0, 0), 0, "sent again");
    assert_eq!(written_for(1, 1), 0, "of another member");
    assert_eq!(written_for(kept, 0), 1);
    assert_eq!([0, 1, 3].map(|network| written_for(network, 2)), [0; 3]);
    assert_eq!(written_for(2, 2), 1, "one more than fits");
}

/// Each state of a network lives for as long as somebody's configuration was made with it, and members may be silent.
#[test]
fn a_network_that_changes_all_the_time_takes_no_more_than_its_bound() {
    let (present, superseded) = (64 << 20, 32 << 20);
    let (memo, controller) = (Memo::new(), controller());
    let mut world = World::new();
    let rules = (0..=u8::MAX).flat_map(|kind| {
        vec![Rule { not: false, or: false, body: RuleBody::Unknown { kind: 60, field: vec![kind; 200] } }; 4]
    });
    world.network = Arc::new(Network { rules: rules.collect(), ..(*world.network).clone() });
    world.ask(&memo, &controller, 0, NOW.0);
    let one = memo.network_bytes();
    assert!(one > 400 << 10, "{one} bytes");
    let mut largest = 0;
    for number in 1..=200 {
        let revision = world.network.revision + 1;
        world.network = Arc::new(Network { revision, ..(*world.network).clone() });
        let before = memo.size().0;
        let issued = world.ask(&memo, &controller, number, NOW.0);
        let bytes = memo.network_bytes();
        largest = largest.max(bytes);
        assert!(bytes <= superseded + one, "{bytes} bytes after {number} changes");
        assert!(
            memo.size().0 == before + 1 || memo.size().0 == 1,
            "only those of earlier states are dropped"
        );
        assert!(Arc::ptr_eq(&world.ask(&memo, &controller, number, NOW.0), &issued));
    }
    assert!(largest > superseded - one && largest < present);
}

/// `vl2.md` §19.1, item 15; `known-flaws.md` row 13.
#[test]
fn nothing_that_was_issued_in_a_removed_network_is_sent_again() {
    let (memo, controller) = (Memo::new(), controller());
    let world = World::new();
    let before = world.ask(&memo, &controller, 0, NOW.0);
    let threshold = memo.revoke_all(NETWORK, NOW);
    assert_eq!((threshold, memo.size().0), (before.timestamp(), 0));
    assert!(world.ask(&memo, &controller, 0, NOW.0).timestamp() > threshold);
}

/// A change of the world, or a request.
#[derive(Debug, Clone)]
enum Step {
    Ask { member: u8, wall: i64, old: bool },
    Rename(u8),
    Bridge(u8),
    Tag(u8, u8),
    Address(u8, u8),
    Authorize(u8),
    Deauthorize(u8),
    Remove(u8),
    Recreate(u8),
    Window(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..3_u8;
    // Hours back and forth, minutes, and within a millisecond.
    let wall = prop_oneof![-7_200_000..7_200_000_i64, -70_000..70_000_i64, -1..2_i64, Just(30_000_i64)];
    prop_oneof![
        12 => (member.clone(), wall, prop::bool::weighted(0.2)).prop_map(|(member, wall, old)| Step::Ask { member, wall, old }),
        1 => (0..3_u8).prop_map(Step::Rename),
        1 => member.clone().prop_map(Step::Bridge),
        1 => (member.clone(), 0..2_u8).prop_map(|(member, value)| Step::Tag(member, value)),
        1 => (member.clone(), 1..3_u8).prop_map(|(member, last)| Step::Address(member, last)),
        1 => member.clone().prop_map(Step::Authorize),
        2 => member.clone().prop_map(Step::Deauthorize),
        1 => member.clone().prop_map(Step::Remove),
        1 => member.prop_map(Step::Recreate),
        1 => any::<bool>().prop_map(Step::Window),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_sent_is_what_would_be_issued_at_its_time(steps in prop::collection::vec(step(), 1..60)) {
        let (memo, controller) = (Memo::new(), controller());
        let mut world = World::new();
        let mut wall = NOW.0;
        let mut newest: BTreeMap<u8, Timestamp> = BTreeMap::new();
        let mut thresholds: BTreeMap<u8, Timestamp> = BTreeMap::new();
        for step in steps {
            let mut revoked = None;
            match step {
                Step::Ask { member, wall: jump, old } => {
                    wall = wall.saturating_add_signed(jump);
                    world.is_old = old;
                    let now = memo.issue_time(Timestamp(wall));
                    prop_assert!(now.0 >= wall);
                    let Some(config) = world.decided(&memo, member, wall) else { continue };
                    let issued = memo.issue(&config, &controller).unwrap();
                    let time = issued.timestamp();
                    let expected = world.uncached(member, time, &controller);
                    let window = world.network.credential_window();
                    let oldest = times_are_all_that_differs(&issued, &expected, &controller);
                    prop_assert_eq!(oldest, issued.certified());
                    prop_assert!(time <= now && oldest <= time && now.0 - oldest.0 <= window / 5, "fresh");
                    prop_assert!(thresholds.get(&member).is_none_or(|threshold| *threshold < oldest));
                    prop_assert!(newest.get(&member).is_none_or(|newest| *newest <= time), "never back");
                    prop_assert!(thresholds.get(&member).is_none_or(|threshold| *threshold < time));
                    newest.insert(member, time);
                }
                Step::Rename(name) => {
                    let mut network = (*world.network).clone();
                    network.name = name.to_string();
                    world.network = Arc::new(network);
                }
                Step::Window(is_short) => {
                    let mut network = (*world.network).clone();
                    network.credential_window = is_short.then_some(WINDOW);
                    world.network = Arc::new(network);
                }
                Step::Bridge(number) => world.change(number, |member| member.active_bridge ^= true),
                Step::Tag(number, value) => world.change(number, |member| {
                    member.tags.insert(7, value.into());
                }),
                Step::Address(number, last) => world.change(number, |member| {
                    member.ip_assignments = vec![[10, 0, 0, last].into()];
                }),
                Step::Authorize(number) => {
                    let api = ctl_core::member::Credential::Api;
                    world.change(number, |member| member.authorize(api.clone(), Timestamp(wall)));
                }
                Step::Deauthorize(number) => {
                    world.change(number, |member| member.deauthorize(Timestamp(wall)));
                    revoked = Some(number);
                }
                Step::Remove(number) => {
                    world.members.remove(&number);
                    revoked = Some(number);
                }
                // With every field as it was at first, its revision too.
                Step::Recreate(number) => drop(world.members.insert(number, World::new().member(number))),
            }
            if let Some(number) = revoked {
                let threshold = memo.revoke(NETWORK, World::new().member(number).address, Timestamp(wall));
                prop_assert!(newest.get(&number).is_none_or(|newest| *newest <= threshold));
                thresholds.insert(number, threshold);
            }
        }
    }
}

/// A network and its members, as a database holds them.
struct World {
    network: Arc<Network>,
    members: BTreeMap<u8, Member>,
    is_old: bool,
    /// Nodes have the same addresses, and other keys.
    other_keys: bool,
    base: u64,
}

impl World {
    fn new() -> Self {
        let network = Network { private: false, credential_window: Some(WINDOW), ..network() };
        let (network, members) = (Arc::new(routed(&network)), BTreeMap::new());
        let mut world = Self { network, members, is_old: false, other_keys: false, base: 0 };
        world.members = (0..3).map(|number| (number, world.member(number))).collect();
        world
    }

    /// Makes all numbers stand for other members from here on.
    fn shift(&mut self) {
        self.members.clear();
        self.base += 1000;
    }

    fn identity(&self, number: u8) -> PublicIdentity {
        let address = Address::from_low_bits(self.base + 0x10_0000 + u64::from(number));
        let mut identity = PublicIdentity { address, ..asker() };
        identity.key[40] ^= u8::from(self.other_keys);
        identity
    }

    fn member(&self, number: u8) -> Member {
        let identity = self.identity(number);
        let capabilities = self.network.capabilities.iter().map(|definition| definition.id).collect();
        Member { address: identity.address, identity: Some(identity), capabilities, ..decisions::member() }
    }

    fn change(&mut self, number: u8, change: impl Fn(&mut Member)) {
        if let Some(member) = self.members.get_mut(&number) {
            change(member);
            member.revision += 1;
        }
    }

    fn snapshot(&self, number: u8) -> Snapshot {
        let bridges = self.members.values().filter(|member| member.authorized && member.active_bridge);
        Snapshot {
            network: Arc::clone(&self.network),
            member: Some(self.members.get(&number).cloned().unwrap_or_else(|| self.member(number))),
            bridges: bridges.map(|member| member.address).collect(),
            occupied: Arc::default(),
        }
    }

    fn request(&self, number: u8) -> ConfigRequest {
        let metadata =
            RequestMetadata { config_version: if self.is_old { 0 } else { 7 }, ..request().metadata };
        ConfigRequest {
            network: NetworkId(NETWORK.0),
            identity: self.identity(number),
            metadata,
            kind: RequestKind::Request,
        }
    }

    fn decided(&self, memo: &Memo, number: u8, wall: u64) -> Option<ctl_core::UnsignedConfig> {
        let now = memo.issue_time(Timestamp(wall));
        match decide(Some(&self.snapshot(number)), &self.request(number), now) {
            Decision::Admit { config, .. } => Some(*config),
            Decision::Refuse { .. } => None,
        }
    }

    fn ask(&self, memo: &Memo, controller: &IdentitySecret, number: u8, wall: u64) -> Arc<Issued> {
        memo.issue(&self.decided(memo, number, wall).unwrap(), controller).unwrap()
    }

    fn uncached(&self, number: u8, time: Timestamp, controller: &IdentitySecret) -> Issued {
        match decide(Some(&self.snapshot(number)), &self.request(number), time) {
            Decision::Admit { config, .. } => config.issue(controller).unwrap(),
            Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
        }
    }
}
