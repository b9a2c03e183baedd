//! Records that the tests share, and strategies for all records there can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::{
    CapabilityDefinition, Dns, Pool, RemoteTrace, Route, TagDefinition, V4Assign, V6Assign,
};
use ctl_core::{Member, Network};
use ctl_store::{Store, StoreError};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use zt_proto::address::Mac;
use zt_proto::config::Relay;
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, IpPrefix, NetworkId, PublicIdentity, Timestamp};

pub(crate) const NETWORK: NetworkId = NetworkId(0x8056_c2e2_1c00_0001);
pub(crate) const NOW: Timestamp = Timestamp(1_795_356_830_104);

pub(crate) fn address(number: u64) -> Address {
    Address::from_low_bits(number)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn network(id: NetworkId) -> Network {
    Network { revision: 1, ..Network::new(id, NOW) }
}

pub(crate) fn member(number: u64) -> Member {
    Member { revision: 1, ..Member::new(NETWORK, address(number), NOW) }
}

pub(crate) fn member_with(number: u64, ips: &[&str]) -> Member {
    Member { ip_assignments: ips.iter().copied().map(ip).collect(), ..member(number) }
}

/// Returns a store in memory that knows [`NETWORK`].
pub(crate) fn store() -> Store {
    let store = Store::in_memory().unwrap();
    put_network(&store, &network(NETWORK));
    store
}

pub(crate) fn put_network(store: &Store, network: &Network) {
    store.write(|tx| tx.networks().put(network)).unwrap();
}

pub(crate) fn put_member(store: &Store, member: &Member) -> Result<(), StoreError> {
    store.write(|tx| tx.members().put(member))
}

pub(crate) fn get_member(store: &Store, number: u64) -> Option<Member> {
    store.read(|tx| tx.members().get(NETWORK, address(number))).unwrap()
}

pub(crate) fn any_network() -> impl Strategy<Value = Network> {
    let flags = any::<[bool; 9]>();
    let numbers = (any::<[u64; 3]>(), any::<u16>(), option::of(any::<u64>()));
    let lists = (
        vec(any_route(), 0..5),
        vec(any_pool(), 0..5),
        option::of(any_dns()),
        vec(any_rule(), 0..40),
        btree_map(any::<u32>(), (any::<bool>(), vec(any_rule(), 0..10)), 0..5),
        btree_map(any::<u32>(), option::of(any::<u32>()), 0..5),
        btree_map(any_text(), any::<u64>().prop_map(Timestamp), 0..5),
    );
    let texts = (any_text(), any_text(), any_text(), any_trace());
    let nodes = (vec(any_relay(), 0..4), vec(any_address(), 0..4), vec(any_address(), 0..4));
    (any::<u64>(), flags, numbers, lists, texts, nodes).prop_map(
        |(id, flags, numbers, lists, texts, nodes)| {
            let (relays, anchors, multicast_replicators) = nodes;
            let [
                private,
                broadcast,
                v4,
                pool,
                rfc4193,
                sixplane,
                sso_enabled,
                rule_tests_required,
                passive_bridging,
            ] = flags;
            let ([created, revision, multicast_limit], mtu, credential_window) = numbers;
            let (routes, pools, dns, rules, capabilities, tags, join_tokens) = lists;
            let (name, rules_source, rule_tests, remote_trace) = texts;
            let capability = |(id, (default, rules))| CapabilityDefinition { id, default, rules };
            let tag = |(id, default)| TagDefinition { id, default };
            Network {
                id: NetworkId(id),
                name,
                private,
                created: Timestamp(created),
                revision,
                broadcast,
                passive_bridging,
                relays,
                anchors,
                multicast_replicators,
                multicast_limit,
                mtu,
                v4_assign: V4Assign { pool: v4 },
                v6_assign: V6Assign { pool, rfc4193, sixplane },
                routes,
                pools,
                dns,
                rules,
                rules_source,
                rule_tests,
                rule_tests_required,
                capabilities: capabilities.into_iter().map(capability).collect(),
                tags: tags.into_iter().map(tag).collect(),
                join_tokens,
                remote_trace,
                sso_enabled,
                credential_window,
            }
        },
    )
}

/// Any member of [`NETWORK`].
pub(crate) fn any_member() -> impl Strategy<Value = Member> {
    let lists = (
        btree_set(any::<IpAddr>(), 0..6).prop_map(Vec::from_iter).prop_shuffle(),
        btree_map(any::<u32>(), any::<u32>(), 0..6),
        btree_set(any::<u32>(), 0..6).prop_map(Vec::from_iter).prop_shuffle(),
    );
    let optional = (
        option::of((any_address(), any::<[[u8; 32]; 2]>())),
        option::of(any_text()),
        option::of(any_credential()),
        option::of(any::<[u64; 4]>()),
        option::of(any::<[[u8; 16]; 3]>()),
    );
    let rest = (any_address(), any::<[bool; 4]>(), any::<[u64; 5]>(), any_trace());
    (lists, optional, rest).prop_map(|(lists, optional, rest)| {
        let (ip_assignments, tags, capabilities) = lists;
        let (identity, name, credential, version, fingerprint) = optional;
        let (address, flags, numbers, remote_trace) = rest;
        let [authorized, active_bridge, no_auto_assign_ips, sso_exempt] = flags;
        let [created, revision, last_authorized, last_deauthorized, expiry] = numbers;
        let identity = identity.map(|(address, key)| {
            let mut whole = [0; 64];
            whole.copy_from_slice(&key.concat());
            PublicIdentity { address, key: whole }
        });
        let version = version.map(|[major, minor, revision, protocol]| ClientVersion {
            major,
            minor,
            revision,
            protocol,
        });
        Member {
            network: NETWORK,
            address,
            identity,
            fingerprint: fingerprint.map(|[first, second, third]| {
                let mut whole = [0; 48];
                whole.copy_from_slice(&[first, second, third].concat());
                whole
            }),
            name,
            authorized,
            active_bridge,
            no_auto_assign_ips,
            ip_assignments,
            tags,
            capabilities,
            created: Timestamp(created),
            revision,
            last_authorized: Timestamp(last_authorized),
            last_deauthorized: Timestamp(last_deauthorized),
            credential,
            authentication_expiry: Timestamp(expiry),
            sso_exempt,
            version,
            remote_trace,
        }
    })
}

/// Any characters: NUL and controls too.
fn any_text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

fn any_address() -> impl Strategy<Value = Address> {
    any::<u64>().prop_map(Address::from_low_bits)
}

fn any_relay() -> impl Strategy<Value = Relay> {
    let endpoint = (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    (any_address(), option::of(endpoint)).prop_map(|(address, endpoint)| Relay { address, endpoint })
}

fn any_trace() -> impl Strategy<Value = RemoteTrace> {
    (option::of(any_text()), any::<u64>()).prop_map(|(target, level)| RemoteTrace { target, level })
}

fn any_credential() -> impl Strategy<Value = Credential> {
    prop_oneof![Just(Credential::Api), Just(Credential::Public), any_text().prop_map(Credential::Token)]
}

fn any_route() -> impl Strategy<Value = Route> {
    let v4 = (any::<Ipv4Addr>(), 0..=32_u8, option::of(any::<Ipv4Addr>())).prop_map(|(ip, bits, via)| {
        Route { target: IpPrefix::new(ip.into(), bits).unwrap(), via: via.map(IpAddr::from) }
    });
    let v6 = (any::<Ipv6Addr>(), 0..=128_u8, option::of(any::<Ipv6Addr>())).prop_map(|(ip, bits, via)| {
        Route { target: IpPrefix::new(ip.into(), bits).unwrap(), via: via.map(IpAddr::from) }
    });
    prop_oneof![v4, v6]
}

fn any_pool() -> impl Strategy<Value = Pool> {
    prop_oneof![
        any::<[Ipv4Addr; 2]>().prop_map(|[first, last]| Pool { first: first.into(), last: last.into() }),
        any::<[Ipv6Addr; 2]>().prop_map(|[first, last]| Pool { first: first.into(), last: last.into() }),
    ]
}

fn any_dns() -> impl Strategy<Value = Dns> {
    (any_text(), vec(any::<IpAddr>(), 0..6)).prop_map(|(domain, servers)| Dns { domain, servers })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let tag = any::<[u32; 2]>().prop_map(|[id, value]| TagMatch { id, value });
    let body = prop_oneof![
        Just(RuleBody::Drop),
        Just(RuleBody::Accept),
        Just(RuleBody::Break),
        (any_address(), any::<u32>(), any::<u16>()).prop_map(|(address, flags, length)| RuleBody::Tee {
            address,
            flags,
            length
        }),
        any::<[u8; 6]>().prop_map(|mac| RuleBody::MacSource(Mac(mac))),
        (any::<Ipv6Addr>(), any::<u8>()).prop_map(|(ip, bits)| RuleBody::Ipv6Dest { ip, bits }),
        (any::<u8>(), option::of(any::<u8>())).prop_map(|(kind, code)| RuleBody::Icmp { kind, code }),
        any::<u64>().prop_map(RuleBody::Characteristics),
        tag.prop_map(RuleBody::TagsEqual),
        (any::<[u64; 2]>(), any::<u16>(), any::<bool>(), 1..=64_u8).prop_map(
            |([start, end], index, little_endian, bits)| RuleBody::IntegerRange {
                start,
                end,
                index,
                little_endian,
                bits,
            }
        ),
        (52..=63_u8, vec(any::<u8>(), 0..=255)).prop_map(|(kind, field)| RuleBody::Unknown { kind, field }),
    ];
    (any::<bool>(), any::<bool>(), body).prop_map(|(not, or, body)| Rule { not, or, body })
}
