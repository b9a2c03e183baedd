//! Builds the configuration of a member, all but its signatures (`vl2.md` §10.8–10.12).

use std::collections::BTreeSet;

use zt_proto::config::{ConfigDns, ConfigRoute, NetworkConfig, Specialist, Sso};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Signature, Tag, Thing,
};
use zt_proto::rules::{self, Rule};
use zt_proto::{Address, PublicIdentity, Timestamp};

use crate::addresses;
use crate::member::Member;
use crate::network::{Network, RemoteTrace};
use crate::snapshot::Snapshot;

/// Bounds of the credential window, and what a network without one has: milliseconds.
const MIN_CREDENTIAL_WINDOW: u64 = 5 * 60 * 1000;
const DEFAULT_CREDENTIAL_WINDOW: u64 = 30 * 60 * 1000;
const MAX_CREDENTIAL_WINDOW: u64 = 2 * 60 * 60 * 1000;

/// The controller's capabilities are for their first holder only, who cannot pass them on.
const CUSTODY_CHAIN: u8 = 1;

/// A configuration whose credentials carry no signature yet; [`UnsignedConfig::sign`] makes it one to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedConfig(pub(crate) NetworkConfig);

impl UnsignedConfig {
    /// Builds what `member`, in the state in which it will be saved, is told.
    ///
    /// A client without a rules engine gets one rule that accepts everything: it could not read others, and
    /// members with an engine enforce theirs on their side. Lists are cut to what clients take.
    pub(crate) fn new(
        snapshot: &Snapshot,
        member: &Member,
        identity: &PublicIdentity,
        has_rules_engine: bool,
        now: Timestamp,
    ) -> Self {
        let network = &snapshot.network;
        let window = network.credential_window.unwrap_or(DEFAULT_CREDENTIAL_WINDOW);
        let window = window.clamp(MIN_CREDENTIAL_WINDOW, MAX_CREDENTIAL_WINDOW);
        let (trace_target, trace_level) = trace(&member.remote_trace)
            .or_else(|| trace(&network.remote_trace))
            .unwrap_or((Address::NONE, network.remote_trace.level));
        let derived = addresses::derived(network, member);
        let mut flags = 0;
        if network.broadcast {
            flags |= NetworkConfig::BROADCAST;
        }
        if !derived.is_empty() {
            flags |= NetworkConfig::NDP_EMULATION;
        }
        let mut config = NetworkConfig {
            network: network.id,
            timestamp: now,
            credential_window: window,
            revision: network.revision,
            member: member.address,
            trace_target,
            trace_level,
            flags,
            multicast_limit: low_u32(network.multicast_limit),
            private: network.private,
            name: cut(&network.name, NetworkConfig::MAX_NAME_LEN).into(),
            mtu: network.mtu.clamp(NetworkConfig::MIN_MTU, NetworkConfig::MAX_MTU),
            membership: Some(CertificateOfMembership::new(
                network.id,
                member.address,
                &zt_crypto::fingerprint(identity),
                now,
                window,
            )),
            capabilities: Vec::new(),
            tags: Vec::new(),
            ownerships: Vec::new(),
            specialists: specialists(&snapshot.bridges, member),
            routes: routes(network),
            addresses: derived.into_iter().chain(addresses::managed(network, member)).collect(),
            rules: vec![Rule::ACCEPT],
            dns: dns(network),
            sso: sso(network, member),
        };
        config.addresses.truncate(NetworkConfig::MAX_ADDRESSES);
        config.ownerships = ownerships(&config);
        if has_rules_engine {
            config.rules = network.rules.iter().take(rules::MAX_RULES).cloned().collect();
            config.capabilities = capabilities(network, member, now);
            config.tags = tags(network, member, now);
        }
        Self(config)
    }

    /// Returns the configuration as it is so far; its signatures are zeros and capabilities have no holder.
    pub fn as_config(&self) -> &NetworkConfig {
        &self.0
    }
}

/// Returns target and level if a target is set that is an address.
fn trace(trace: &RemoteTrace) -> Option<(Address, u64)> {
    let target = trace.target.as_deref()?.parse().ok()?;
    Some((target, trace.level))
}

/// Returns the active bridges of the network in ascending order.
///
/// The member itself may be missing in `bridges`: this decision may be the one that authorized it.
fn specialists(bridges: &[Address], member: &Member) -> Vec<Specialist> {
    let mut addresses: BTreeSet<Address> = bridges.iter().copied().collect();
    if member.active_bridge {
        addresses.insert(member.address);
    }
    addresses
        .into_iter()
        .take(NetworkConfig::MAX_SPECIALISTS)
        .map(|address| Specialist { address, roles: Specialist::ACTIVE_BRIDGE })
        .collect()
}

fn routes(network: &Network) -> Vec<ConfigRoute> {
    let routes = network.routes.iter().take(NetworkConfig::MAX_ROUTES);
    routes
        .map(|route| {
            let via = route.via.filter(|via| via.is_ipv4() == route.target.ip().is_ipv4());
            ConfigRoute { target: route.target, via, flags: 0, metric: 0 }
        })
        .collect()
}

/// A domain goes up to its first zero byte at most, which ends it on the wire.
fn dns(network: &Network) -> ConfigDns {
    let Some(dns) = &network.dns else { return ConfigDns::default() };
    let domain = dns.domain.split('\0').next().unwrap_or_default();
    ConfigDns {
        domain: cut(domain, ConfigDns::MAX_DOMAIN_LEN).into(),
        servers: dns.servers.iter().copied().take(ConfigDns::MAX_SERVERS).collect(),
    }
}

/// Version 0 without an URL: there is no authentication service to log in to.
fn sso(network: &Network, member: &Member) -> Sso {
    if network.sso_enabled {
        Sso { enabled: true, expiry: member.authentication_expiry, ..Sso::default() }
    } else {
        Sso::default()
    }
}

/// Certifies all addresses of `config`, with ids from 1 on; as many certificates as it takes.
fn ownerships(config: &NetworkConfig) -> Vec<CertificateOfOwnership> {
    let groups = config.addresses.chunks(CertificateOfOwnership::MAX_THINGS);
    (1..)
        .zip(groups.take(NetworkConfig::MAX_OWNERSHIPS))
        .map(|(id, group)| CertificateOfOwnership {
            network: config.network,
            timestamp: config.timestamp,
            flags: 0,
            id,
            things: group.iter().map(|prefix| Thing::Ip(prefix.ip())).collect(),
            issued_to: config.member,
            signed_by: Address::NONE,
            signature: Signature::NONE,
        })
        .collect()
}

/// Returns those of the member's capabilities that the network defines, in the member's order.
fn capabilities(network: &Network, member: &Member, now: Timestamp) -> Vec<Capability> {
    let definition = |id: &u32| {
        let index = network.capabilities.binary_search_by_key(id, |definition| definition.id).ok()?;
        network.capabilities.get(index)
    };
    let definitions = member.capabilities.iter().filter_map(definition);
    definitions
        .take(NetworkConfig::MAX_CAPABILITIES)
        .map(|definition| Capability {
            network: network.id,
            timestamp: now,
            id: definition.id,
            rules: definition.rules.iter().take(rules::MAX_CAPABILITY_RULES).cloned().collect(),
            max_custody_chain: CUSTODY_CHAIN,
            custody: Vec::new(),
        })
        .collect()
}

/// Returns the member's tags, ascending by id.
fn tags(network: &Network, member: &Member, now: Timestamp) -> Vec<Tag> {
    let tags = member.tags.iter().take(NetworkConfig::MAX_TAGS);
    tags.map(|(&id, &value)| Tag {
        network: network.id,
        timestamp: now,
        id,
        value,
        issued_to: member.address,
        signed_by: Address::NONE,
        signature: Signature::NONE,
    })
    .collect()
}

/// Returns as much of the beginning of `text` as fits into `max` bytes without cutting a character in two.
///
/// Half a character would be no UTF-8, and clients print these texts as JSON.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

fn low_u32(value: u64) -> u32 {
    let [_, _, _, _, low @ ..] = value.to_be_bytes();
    u32::from_be_bytes(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("aü", 3), "aü");
        assert_eq!(cut("", 0), "");
    }
}
