//! Whatever is in the records and in a request: every request gets an answer that a client can take
//! (`known-flaws.md` rows 5, 6, 12 and 15).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;

use ctl_core::member::{ClientVersion, Credential, Member};
use ctl_core::network::{
    CapabilityDefinition, Dns, Network, Pool, RemoteTrace, Route, TagDefinition, V4Assign, V6Assign,
};
use ctl_core::{Client, ConfigRequest, Decision, Issued, Occupied, RequestKind, Snapshot, decide};
use proptest::prelude::*;
use zt_proto::config::{NetworkConfig, Relay, TextConfig};
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::verb::network_config::ConfigChunk;
use zt_proto::verb::network_config_request::{RequestMetadata, SoftwareVersion};
use zt_proto::{Address, IpPrefix, PublicIdentity, Timestamp};

use crate::credentials::{assert_all_addresses_are_certified, assert_all_signatures_hold};
use crate::decisions::{NETWORK, asker, controller, is_admitted, saved};

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        // Few enough that pools, routes and members meet.
        (0..=255_u8).prop_map(|end| IpAddr::from([10, 0, 0, end])),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        (0..=255_u16).prop_map(|end| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, end])),
    ]
}

fn prefix() -> impl Strategy<Value = IpPrefix> {
    (ip(), 0..=128_u8)
        .prop_map(|(ip, bits)| IpPrefix::new(ip, if ip.is_ipv4() { bits % 33 } else { bits }).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), ".{0,10}", ".{100,300}", "[0-9a-f]{10}"]
}

/// Every number there can be, the ends of its ranges and those of signed ones above all.
fn number() -> BoxedStrategy<u64> {
    const SIGNED: u64 = i64::MAX as u64;
    const EDGES: [u64; 8] = [0, 1, u32::MAX as u64, SIGNED - 1, SIGNED, SIGNED + 1, u64::MAX - 1, u64::MAX];
    prop_oneof![prop::sample::select(&EDGES[..]), any::<u64>()].boxed()
}

/// Any time, or one that is close to others: what expires, expires just before or just after it.
fn timestamp() -> BoxedStrategy<Timestamp> {
    prop_oneof![number(), 990..1010_u64, 1_800_000_000_000..1_800_000_000_010_u64].prop_map(Timestamp).boxed()
}

fn rule() -> impl Strategy<Value = Rule> {
    let body = prop_oneof![
        Just(RuleBody::Accept),
        Just(RuleBody::Drop),
        Just(RuleBody::Priority),
        any::<u16>().prop_map(RuleBody::EtherType),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|field| RuleBody::Unknown { kind: 60, field }),
    ];
    (any::<bool>(), any::<bool>(), body).prop_map(|(not, or, body)| Rule { not, or, body })
}

fn remote_trace() -> impl Strategy<Value = RemoteTrace> {
    (prop::option::of(text()), number()).prop_map(|(target, level)| RemoteTrace { target, level })
}

prop_compose! {
    fn credentials()(
        capabilities in prop::collection::btree_map(0..200_u32, (any::<bool>(), prop::collection::vec(rule(), 0..70)), 0..5),
        many in prop::bool::weighted(0.1),
        tags in prop::collection::btree_map(any::<u32>(), prop::option::of(any::<u32>()), 0..5),
    ) -> (Vec<CapabilityDefinition>, Vec<TagDefinition>) {
        let mut capabilities: BTreeMap<_, _> = capabilities;
        let mut tags: BTreeMap<_, _> = tags;
        if many {
            capabilities.extend((0..200).map(|id| (id, (true, vec![]))));
            tags.extend((0..200).map(|id| (id, Some(id))));
        }
        let capabilities = capabilities.into_iter();
        let capabilities = capabilities.map(|(id, (default, rules))| CapabilityDefinition { id, default, rules });
        let tags = tags.into_iter().map(|(id, default)| TagDefinition { id, default });
        (capabilities.collect(), tags.collect())
    }
}

prop_compose! {
    fn addressing()(
        v4_pool: bool,
        modes: (bool, bool, bool),
        routes in prop::collection::vec((prefix(), prop::option::of(ip())), 0..150),
        pools in prop::collection::vec((ip(), ip()), 0..5),
    ) -> (V4Assign, V6Assign, Vec<Route>, Vec<Pool>) {
        let (pool, rfc4193, sixplane) = modes;
        let routes = routes.into_iter().map(|(target, via)| Route { target, via }).collect();
        let pools = pools.into_iter().map(|(first, last)| Pool { first, last }).collect();
        (V4Assign { pool: v4_pool }, V6Assign { pool, rfc4193, sixplane }, routes, pools)
    }
}

fn special_nodes() -> impl Strategy<Value = (Vec<Relay>, Vec<Address>, Vec<Address>)> {
    let nodes = || prop::collection::vec((0..400_u64).prop_map(Address::from_low_bits), 0..4);
    let endpoint = || (ip(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    let relay = move || ((0..400_u64).prop_map(Address::from_low_bits), prop::option::of(endpoint()));
    let few = prop::collection::vec(relay(), 0..4);
    let relays = prop_oneof![9 => few, 1 => prop::collection::vec(relay(), 300)].prop_map(|relays| {
        relays.into_iter().map(|(address, endpoint)| Relay { address, endpoint }).collect()
    });
    (relays, nodes(), nodes())
}

prop_compose! {
    pub(crate) fn network()(
        name in text(),
        switches: (bool, bool, bool, bool),
        numbers in (number(), number(), any::<u16>()),
        (v4_assign, v6_assign, routes, pools) in addressing(),
        dns in prop::option::of((text(), prop::collection::vec(ip(), 0..6))),
        rules in prop_oneof![9 => prop::collection::vec(rule(), 0..20), 1 => prop::collection::vec(rule(), 1020..1030)],
        (capabilities, tags) in credentials(),
        join_tokens in prop::collection::btree_map("[ab]", timestamp(), 0..3),
        remote_trace in remote_trace(),
        credential_window in prop::option::of(number()),
        (relays, anchors, multicast_replicators) in special_nodes(),
    ) -> Network {
        let (private, broadcast, sso_enabled, passive_bridging) = switches;
        let (revision, multicast_limit, mtu) = numbers;
        Network {
            name, private, revision, broadcast, multicast_limit, mtu, v4_assign, v6_assign, routes, pools, rules,
            dns: dns.map(|(domain, servers)| Dns { domain, servers }),
            capabilities, tags, join_tokens, remote_trace, sso_enabled, credential_window,
            passive_bridging, relays, anchors, multicast_replicators,
            ..Network::new(NETWORK, Timestamp(0))
        }
    }
}

prop_compose! {
    pub(crate) fn member()(
        identity in prop::option::of(identity()),
        switches: (bool, bool, bool, bool),
        ip_assignments in prop::collection::btree_set(ip(), 0..40),
        tags in prop::collection::btree_map(any::<u32>(), any::<u32>(), 0..140),
        capabilities in prop::collection::btree_set(0..200_u32, 0..140),
        revision in number(),
        (created, last_authorized, last_deauthorized) in (timestamp(), timestamp(), timestamp()),
        authentication_expiry in timestamp(),
        version in prop::option::of((number(), number(), number(), number()).prop_map(|(major, minor, revision, protocol)| {
            ClientVersion { major, minor, revision, protocol }
        })),
        remote_trace in remote_trace(),
    ) -> Member {
        let (authorized, active_bridge, no_auto_assign_ips, sso_exempt) = switches;
        Member {
            identity, authorized, active_bridge, no_auto_assign_ips, sso_exempt, tags, revision,
            ip_assignments: ip_assignments.into_iter().collect(),
            capabilities: capabilities.into_iter().collect(),
            credential: Some(Credential::Api),
            authentication_expiry, version, remote_trace, last_authorized, last_deauthorized,
            ..Member::new(NETWORK, asker().address, created)
        }
    }
}

/// Mostly the one who asks, sometimes one who has the same address.
fn identity() -> impl Strategy<Value = PublicIdentity> {
    prop_oneof![9 => Just(0_u8), 1 => any::<u8>()].prop_map(|bits| {
        let mut identity = asker();
        identity.key[20] ^= bits;
        identity
    })
}

prop_compose! {
    fn snapshot()(
        network in network(),
        member in prop::option::of(member()),
        bridges in prop_oneof![9 => Just(0..3_u64), 1 => Just(0..300)],
        occupied in prop::collection::vec(ip(), 0..50),
    ) -> Snapshot {
        let bridges = bridges.map(Address::from_low_bits).collect();
        let occupied = occupied.into_iter().collect::<Occupied>().into();
        Snapshot { network: network.into(), member, bridges, occupied }
    }
}

prop_compose! {
    fn request()(
        identity in identity(),
        config_version in prop_oneof![3 => Just(7_u64), 2 => Just(0_u64), 2 => Just(6_u64), 1 => number()],
        old in prop_oneof![Just((1, 1, 0)), Just((1, 0, 4)), Just((0, 0, 0)), (number(), number(), number())],
        protocol in prop_oneof![0..14_u64, number()],
        rules_engine in prop_oneof![0..2_u64, number()],
        token in prop::option::of("[ab]"),
        is_push: bool,
    ) -> ConfigRequest {
        let (major, minor, revision) = old;
        let software = SoftwareVersion { major, minor, revision };
        let metadata =
            RequestMetadata { config_version, protocol, software, rules_engine, token, ..RequestMetadata::default() };
        let kind = if is_push { RequestKind::Push } else { RequestKind::Request };
        ConfigRequest { network: NETWORK, identity, metadata, kind }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_request_gets_an_answer_that_a_client_can_take(
        snapshot in snapshot(),
        request in request(),
        now in timestamp(),
    ) {
        let decision = decide(Some(&snapshot), &request, now);
        prop_assert_eq!(&decision, &decide(Some(&snapshot), &request, now), "equal inputs, equal decisions");
        if let Some(saved) = saved(&decision) {
            check_saved(&saved, &snapshot, &request)?;
        }
        let pinned = snapshot.member.as_ref().and_then(|member| member.identity);
        if pinned.is_some_and(|pinned| pinned != request.identity) {
            prop_assert!(!is_admitted(&decision) && saved(&decision).is_none());
        }
        if let Decision::Admit { config, .. } = decision {
            let controller = controller();
            let signed = config.sign(&controller);
            assert_all_signatures_hold(&signed, controller.public(), &request.identity);
            let issued = config.issue(&controller).unwrap();
            if issued.client().is_modern() {
                prop_assert!(issued.dictionary().len() <= snapshot.network.largest_config_len());
            }
            check_issued(&issued, &signed)?;
        }
    }

    /// Each decision is saved before the next, and none of the others is told the time.
    #[test]
    fn a_clock_that_jumps_takes_nothing_from_a_member(
        snapshot in snapshot().boxed(),
        requests in prop::collection::vec((request(), timestamp()).boxed(), 1..6),
    ) {
        let mut snapshot = snapshot;
        for (request, now) in requests {
            let before = snapshot.member.clone();
            let decision = decide(Some(&snapshot), &request, now);
            if let Some(member) = saved(&decision) {
                check_saved(&member, &snapshot, &request)?;
                let was_authorized = before.as_ref().is_some_and(|before| before.authorized);
                prop_assert!(member.authorized || !was_authorized);
                if let Some(before) = &before {
                    prop_assert!(member.ip_assignments.starts_with(&before.ip_assignments));
                }
                snapshot.member = Some(member);
            }
            if let Decision::Admit { config, .. } = decision {
                let issued = config.issue(&controller()).unwrap();
                prop_assert_eq!(issued.timestamp(), now);
            }
        }
    }

    #[test]
    fn an_admitted_member_is_settled(snapshot in snapshot(), request in request(), now in timestamp()) {
        // A revision that cannot grow says nothing of what is saved.
        prop_assume!(snapshot.member.as_ref().is_none_or(|member| member.revision < u64::MAX));
        let first = decide(Some(&snapshot), &request, now);
        if let Decision::Admit { member: Some(member), config, lacks } = first {
            let settled = Snapshot { member: Some(member), ..snapshot };
            let expected = Decision::Admit { member: None, config, lacks };
            prop_assert_eq!(decide(Some(&settled), &request, now), expected);
        }
    }
}

/// A configuration is in the form of its client, within all limits, and says what was decided.
fn check_issued(issued: &Issued, signed: &NetworkConfig) -> Result<(), TestCaseError> {
    let dictionary = &issued.dictionary();
    let payloads = issued.reply(NonZeroU64::MAX, &controller());
    let chunks: Vec<_> = payloads.iter().map(|payload| ConfigChunk::parse(payload).unwrap()).collect();
    prop_assert_eq!(&chunks.iter().flat_map(|chunk| chunk.data.to_vec()).collect::<Vec<_>>(), dictionary);
    // What is compressed beforehand is what would be sent.
    let sending = issued.sign_sending(NonZeroU64::MIN, 3, &controller());
    let expected = issued.payloads(&sending).into_iter().map(|payload| [b"in re", &*payload].concat());
    let prepared = issued.compressed(&sending, b"in re");
    let plain: Vec<_> = prepared.iter().map(|payload| payload.plain(1 << 20).unwrap()).collect();
    prop_assert_eq!(plain, expected.collect::<Vec<_>>());
    match issued.client() {
        Client::Modern { before_1_4, .. } => {
            prop_assert!(dictionary.len() <= NetworkConfig::MAX_LEN);
            let max = if before_1_4 { 1160 } else { 9740 };
            prop_assert!(chunks.iter().all(|chunk| chunk.data.len() <= max && chunk.part.is_some()));
            prop_assert!(chunks.len() <= NetworkConfig::MAX_LEN / 1024 + 1);
            assert_all_addresses_are_certified(signed);
            prop_assert_eq!(dictionary, &signed.write());
            prop_assert_eq!(
                &NetworkConfig::parse(dictionary).unwrap(),
                signed,
                "nothing was too long or too much"
            );
        }
        Client::Version6 => {
            prop_assert!(chunks.len() == 1 && chunks[0].part.is_none() && dictionary.len() <= 5600);
            let read = NetworkConfig::parse(dictionary).unwrap();
            prop_assert_eq!((read.member, read.timestamp), (signed.member, signed.timestamp));
            prop_assert_eq!((&read.membership, &read.rules), (&signed.membership, &signed.rules));
            prop_assert!(read.routes.len() <= 32 && signed.routes.starts_with(&read.routes));
            prop_assert!(read.addresses.len() <= 16 && signed.addresses.starts_with(&read.addresses));
            prop_assert!(signed.specialists.starts_with(&read.specialists));
        }
        Client::Text { .. } => {
            prop_assert!(chunks.len() == 1 && chunks[0].part.is_none() && dictionary.len() <= 5600);
            let read = TextConfig::parse(dictionary).unwrap();
            prop_assert_eq!((read.member, read.timestamp), (signed.member, signed.timestamp));
            prop_assert_eq!(read.membership, signed.membership.clone().filter(|_| signed.private));
            let routes = read.addresses.len() - signed.addresses.len();
            prop_assert!(routes <= signed.routes.len());
            prop_assert!(
                signed.addresses.iter().all(|own| read.addresses.contains(own)),
                "its own are all there"
            );
        }
    }
    Ok(())
}

/// A record that is saved: raised by one, its identity pinned, with addresses that nobody else holds.
fn check_saved(saved: &Member, snapshot: &Snapshot, request: &ConfigRequest) -> Result<(), TestCaseError> {
    let stored = snapshot.member.as_ref();
    prop_assert_eq!(saved.revision, stored.map_or(0, |member| member.revision).saturating_add(1));
    prop_assert_eq!(saved.identity, Some(request.identity));
    let before: BTreeSet<_> = stored.iter().flat_map(|member| member.ip_assignments.iter()).collect();
    let new: Vec<_> = saved.ip_assignments.iter().filter(|ip| !before.contains(ip)).collect();
    prop_assert!(new.len() <= 2 && saved.ip_assignments.len() == before.len() + new.len(), "each once");
    prop_assert!(new.iter().all(|ip| !snapshot.occupied.contains(**ip)), "an address was given twice");
    Ok(())
}
