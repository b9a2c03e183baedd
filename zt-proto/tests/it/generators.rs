//! Arbitrary valid values of the wire types.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use zt_proto::address::MulticastGroup;
use zt_proto::codec::Reader;
use zt_proto::config::{
    ConfigDns, ConfigRoute, Gateway, MulticastRate, NetworkConfig, OpenId, Relay, Specialist, Sso, TextConfig,
};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, CredentialType, Custody, Qualifier,
    Revocation, Signature, Tag, Thing,
};
use zt_proto::rules::Rule;
use zt_proto::verb::circuit_test::{CircuitTest, CircuitTestReport};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::hello::NodeVersion;
use zt_proto::world::{Root, World, WorldKind, WorldVersion};
use zt_proto::{Address, IpPrefix, Mac, NetworkId, PublicIdentity, Timestamp};

pub(crate) fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 5]>().prop_map(Address::from_octets)
}

/// Zero means "none" in some places.
pub(crate) fn nonzero_address() -> impl Strategy<Value = Address> {
    (1..=Address::MAX.to_u64()).prop_map(Address::from_low_bits)
}

pub(crate) fn network() -> impl Strategy<Value = NetworkId> {
    (1..=u64::MAX).prop_map(NetworkId)
}

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

pub(crate) fn endpoint() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), 1..=u16::MAX).prop_map(SocketAddr::from)
}

pub(crate) fn group() -> impl Strategy<Value = MulticastGroup> {
    (any::<[u8; 6]>(), any::<u32>()).prop_map(|(mac, adi)| MulticastGroup { mac: Mac(mac), adi })
}

pub(crate) fn version() -> impl Strategy<Value = NodeVersion> {
    any::<(u8, u8, u8, u16)>().prop_map(|(protocol, major, minor, revision)| NodeVersion {
        protocol,
        major,
        minor,
        revision,
    })
}

pub(crate) fn world_version() -> impl Strategy<Value = WorldVersion> {
    (any::<u64>(), timestamp()).prop_map(|(id, timestamp)| WorldVersion { id, timestamp })
}

pub(crate) fn identity() -> impl Strategy<Value = PublicIdentity> {
    (address(), key()).prop_map(|(address, key)| PublicIdentity { address, key })
}

fn key() -> impl Strategy<Value = [u8; 64]> {
    vec(any::<u8>(), 64).prop_map(|bytes| bytes.try_into().unwrap())
}

pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), Signature::LEN).prop_map(|bytes| Signature(bytes.try_into().unwrap()))
}

/// Every type and every field: a rule is what its bytes mean.
pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    (any::<u8>(), vec(any::<u8>(), 19..30)).prop_map(|(kind, field)| {
        let entry = [&[kind, u8::try_from(field.len()).unwrap()], &field[..]].concat();
        Rule::parse(&mut Reader::new(&entry)).unwrap()
    })
}

fn prefix() -> impl Strategy<Value = IpPrefix> {
    (any::<IpAddr>(), 0..=128_u8)
        .prop_map(|(ip, bits)| IpPrefix::new(ip, if ip.is_ipv4() { bits % 33 } else { bits }).unwrap())
}

pub(crate) fn membership() -> impl Strategy<Value = CertificateOfMembership> {
    let ids = btree_set(any::<u64>(), 0..=CertificateOfMembership::MAX_QUALIFIERS);
    (ids, any::<(u64, u64)>(), address(), signature()).prop_map(
        |(ids, (value, max_delta), signed_by, signature)| CertificateOfMembership {
            qualifiers: ids.into_iter().map(|id| Qualifier { id, value: value ^ id, max_delta }).collect(),
            signed_by,
            signature: if signed_by == Address::NONE { Signature::NONE } else { signature },
        },
    )
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    (network(), timestamp(), any::<(u32, u32)>(), address(), address(), signature()).prop_map(
        |(network, timestamp, (id, value), issued_to, signed_by, signature)| Tag {
            network,
            timestamp,
            id,
            value,
            issued_to,
            signed_by,
            signature,
        },
    )
}

pub(crate) fn capability() -> impl Strategy<Value = Capability> {
    let custody = (nonzero_address(), address(), signature()).prop_map(|(to, from, signature)| Custody {
        to,
        from,
        signature,
    });
    (network(), timestamp(), any::<u32>(), vec(rule(), 0..=64), vec(custody, 0..=7), 1..=7_u8).prop_map(
        |(network, timestamp, id, rules, mut custody, max_custody_chain)| {
            custody.truncate(max_custody_chain.into());
            Capability { network, timestamp, id, rules, max_custody_chain, custody }
        },
    )
}

pub(crate) fn ownership() -> impl Strategy<Value = CertificateOfOwnership> {
    let thing = prop_oneof![
        any::<[u8; 6]>().prop_map(|mac| Thing::Mac(Mac(mac))),
        any::<IpAddr>().prop_map(Thing::Ip),
    ];
    let numbers = (any::<u64>(), any::<u32>());
    (network(), timestamp(), numbers, vec(thing, 0..=16), address(), address(), signature()).prop_map(
        |(network, timestamp, (flags, id), things, issued_to, signed_by, signature)| CertificateOfOwnership {
            network,
            timestamp,
            flags,
            id,
            things,
            issued_to,
            signed_by,
            signature,
        },
    )
}

pub(crate) fn revocation() -> impl Strategy<Value = Revocation> {
    let credential_type = prop_oneof![
        Just(CredentialType::Membership),
        Just(CredentialType::Capability),
        Just(CredentialType::Tag),
        Just(CredentialType::Ownership),
    ];
    let numbers = any::<(u32, u32, u64)>();
    (network(), numbers, timestamp(), address(), address(), credential_type, signature()).prop_map(
        |(network, (id, credential_id, flags), threshold, target, signed_by, credential_type, signature)| {
            Revocation {
                id,
                network,
                credential_id,
                threshold,
                flags,
                target,
                signed_by,
                credential_type,
                signature,
            }
        },
    )
}

pub(crate) fn credentials() -> impl Strategy<Value = NetworkCredentials> {
    (
        vec(membership(), 0..3),
        vec(capability(), 0..3),
        vec(tag(), 0..3),
        vec(revocation(), 0..3),
        vec(ownership(), 0..3),
    )
        .prop_map(|(memberships, capabilities, tags, revocations, ownerships)| NetworkCredentials {
            memberships,
            capabilities,
            tags,
            revocations,
            ownerships,
        })
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let root = (identity(), vec(endpoint(), 0..=World::MAX_ENDPOINTS))
        .prop_map(|(identity, endpoints)| Root { identity, endpoints });
    let kind = prop_oneof![Just(WorldKind::Planet), Just(WorldKind::Moon)];
    (kind, world_version(), key(), signature(), vec(root, 0..=World::MAX_ROOTS)).prop_map(
        |(kind, WorldVersion { id, timestamp }, update_key, signature, roots)| World {
            kind,
            id,
            timestamp,
            update_key,
            signature,
            roots,
        },
    )
}

/// Any bytes, with those often that mean something in dictionaries.
pub(crate) fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"\0\r\n\\=e"[..])], 0..40)
}

pub(crate) fn config() -> impl Strategy<Value = NetworkConfig> {
    let head = (network(), timestamp(), any::<[u64; 4]>(), nonzero_address(), address());
    let plain = (any::<u32>(), any::<bool>(), value(), NetworkConfig::MIN_MTU..=NetworkConfig::MAX_MTU);
    let credentials = (option::of(membership()), credentials());
    let lists =
        (vec(specialist(), 0..4), vec(route(), 0..4), vec(prefix(), 0..4), vec(rule(), 0..9), dns(), sso());
    (head, plain, credentials, lists).prop_map(|(head, plain, (membership, credentials), lists)| {
        let (network, timestamp, numbers, member, trace_target) = head;
        let [credential_window, revision, trace_level, flags] = numbers;
        let (multicast_limit, private, name, mtu) = plain;
        let (specialists, routes, addresses, rules, dns, sso) = lists;
        NetworkConfig {
            network,
            timestamp,
            credential_window,
            revision,
            member,
            trace_target,
            trace_level,
            flags,
            multicast_limit,
            private,
            name,
            mtu,
            membership,
            capabilities: credentials.capabilities,
            tags: credentials.tags,
            ownerships: credentials.ownerships,
            specialists,
            routes,
            addresses,
            rules,
            dns,
            sso,
        }
    })
}

fn specialist() -> impl Strategy<Value = Specialist> {
    (address(), any::<u64>())
        .prop_map(|(address, roles)| Specialist { address, roles: roles & !Address::MAX.to_u64() })
}

fn route() -> impl Strategy<Value = ConfigRoute> {
    (prefix(), option::of(any::<IpAddr>()), any::<(u16, u16)>())
        .prop_map(|(target, via, (flags, metric))| ConfigRoute { target, via, flags, metric })
}

fn dns() -> impl Strategy<Value = ConfigDns> {
    (vec(1..=u8::MAX, 0..=ConfigDns::MAX_DOMAIN_LEN), vec(any::<IpAddr>(), 0..=ConfigDns::MAX_SERVERS))
        .prop_map(|(domain, servers)| ConfigDns { domain, servers })
}

fn sso() -> impl Strategy<Value = Sso> {
    let by_url =
        (value(), timestamp()).prop_map(|(url, expiry)| Sso { enabled: true, url, expiry, ..Sso::default() });
    let open_id = (any::<bool>(), [value(), value(), value(), value(), value(), value()]).prop_map(
        |(enabled, [issuer_url, central_url, nonce, state, client_id, provider])| Sso {
            version: 1,
            enabled,
            open_id: OpenId { issuer_url, central_url, nonce, state, client_id, provider },
            ..Sso::default()
        },
    );
    prop_oneof![Just(Sso::default()), by_url, open_id]
}

pub(crate) fn frame_data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

pub(crate) fn text_config() -> impl Strategy<Value = TextConfig> {
    let head = (network(), timestamp(), any::<u64>(), nonzero_address());
    let text = vec(prop_oneof![any::<u8>(), Just(b'='), Just(b'\\'), Just(b'\n')], 0..40);
    let plain = (text.clone(), any::<[bool; 3]>(), vec(any::<u16>(), 0..5), any::<u32>(), text);
    let relay =
        (address(), option::of(endpoint())).prop_map(|(address, endpoint)| Relay { address, endpoint });
    let gateway = any::<(IpAddr, u16)>().prop_map(|(ip, metric)| Gateway { ip, metric });
    let rates = btree_set(any::<([u8; 6], u32)>(), 0..3).prop_map(|groups| {
        let mut rates: Vec<_> = groups
            .into_iter()
            .map(|(mac, adi)| MulticastRate {
                group: MulticastGroup { mac: Mac(mac), adi },
                preload: adi,
                max: 5,
                accrual: adi ^ 1,
            })
            .collect();
        // the order of the keys in a dictionary, of which the second part has no leading zeros
        rates.sort_by_key(|rate| (rate.group.mac, format!("{:x}", rate.group.adi)));
        rates
    });
    let lists = (
        vec(prefix(), 0..5),
        option::of(membership()),
        vec(address(), 0..3),
        vec(relay, 0..3),
        vec(gateway, 0..3),
        rates,
    );
    (head, plain, lists).prop_map(|(head, plain, lists)| {
        let (network, timestamp, revision, member) = head;
        let (name, [private, broadcast, passive_bridging], ether_types, multicast_limit, description) = plain;
        let (mut addresses, membership, bridges, relays, gateways, multicast_rates) = lists;
        addresses.sort_by_key(|prefix| prefix.ip().is_ipv6());
        TextConfig {
            network,
            timestamp,
            revision,
            member,
            name,
            private,
            broadcast,
            passive_bridging,
            ether_types,
            multicast_limit,
            addresses,
            membership,
            bridges,
            relays,
            gateways,
            multicast_rates,
            description,
        }
    })
}

pub(crate) fn circuit_test_report() -> impl Strategy<Value = CircuitTestReport> {
    let numbers = any::<(u64, u8, [u16; 3], u64, u64, u8)>();
    let path = (option::of(endpoint()), option::of(endpoint()));
    let next_hops = vec((address(), option::of(endpoint())), 0..=CircuitTest::MAX_BREADTH);
    (timestamp(), numbers, version(), address(), path, next_hops).prop_map(
        |(timestamp, numbers, version, upstream, (local, remote), next_hops)| {
            let (test_id, vendor, [platform, architecture, error], flags, source_packet, source_hops) =
                numbers;
            CircuitTestReport {
                timestamp,
                test_id,
                vendor,
                version,
                platform,
                architecture,
                error,
                flags,
                source_packet,
                upstream,
                source_hops,
                local,
                remote,
                next_hops,
            }
        },
    )
}
