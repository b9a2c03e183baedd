//! Builds the configuration of a member, all but its signatures (`vl2.md` §8, §10.8–10.12).

mod kept;
mod largest;
mod old;
mod packed;
mod shared;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use zt_proto::config::{NetworkConfig, Specialist, Sso};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Signature, Tag, Thing,
};
use zt_proto::rules;
use zt_proto::{Address, PublicIdentity, Timestamp};

pub(crate) use kept::{Kept, Times, Whole};
pub(crate) use old::write_old;
pub(crate) use shared::NetworkPart;

use crate::addresses;
use crate::client::Client;
use crate::member::Member;
use crate::network::{Network, RemoteTrace};
use crate::snapshot::Snapshot;

/// The controller's capabilities are for their first holder only, who cannot pass them on.
const CUSTODY_CHAIN: u8 = 1;

/// What an admitted member is to be told: everything that its configuration follows from.
///
/// [`UnsignedConfig::build`] makes the configuration of it, and [`Memo::issue`](crate::memo::Memo::issue) what is
/// sent; both are left to the caller, because often there is one already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedConfig {
    pub(crate) network: Arc<Network>,
    pub(crate) bridges: Arc<[Address]>,
    /// In the state in which it will be saved.
    pub(crate) member: Member,
    pub(crate) identity: PublicIdentity,
    pub(crate) client: Client,
    /// When it is issued, and its credentials with it.
    pub(crate) issued: Timestamp,
}

impl UnsignedConfig {
    /// Returns the network as it was when this was decided.
    pub fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn new(
        snapshot: &Snapshot,
        member: &Member,
        identity: &PublicIdentity,
        client: Client,
        issued: Timestamp,
    ) -> Self {
        Self {
            network: Arc::clone(&snapshot.network),
            bridges: Arc::clone(&snapshot.bridges),
            member: member.clone(),
            identity: *identity,
            client,
            issued,
        }
    }

    /// Returns the configuration as it is without signatures: those are zeros, and capabilities have no holder.
    ///
    /// A client without a rules engine gets rules that it can read, or one that accepts everything: members with
    /// an engine enforce theirs on their side. Lists are cut to what clients take.
    pub fn build(&self) -> NetworkConfig {
        let part = NetworkPart::new(Arc::clone(&self.network), Arc::clone(&self.bridges));
        NetworkConfig {
            routes: part.routes().to_vec(),
            rules: part.rules(self.client),
            dns: part.dns().clone(),
            ..self.build_own()
        }
    }

    /// Builds what is not in the [`NetworkPart`]: all but routes, rules and name servers, which are left empty.
    pub(crate) fn build_own(&self) -> NetworkConfig {
        let (network, member, now) = (&*self.network, &self.member, self.issued);
        let window = network.credential_window();
        let (trace_target, trace_level) = trace(&member.remote_trace)
            .or_else(|| trace(&network.remote_trace))
            .unwrap_or((Address::NONE, network.remote_trace.level));
        let derived = addresses::derived(network, member);
        let mut flags = 0;
        if network.passive_bridging {
            flags |= NetworkConfig::PASSIVE_BRIDGING;
        }
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
                &zt_crypto::fingerprint(&self.identity),
                now,
                window,
            )),
            capabilities: Vec::new(),
            tags: Vec::new(),
            ownerships: Vec::new(),
            specialists: self.specialists(),
            routes: Vec::new(),
            addresses: derived.into_iter().chain(addresses::managed(network, member)).collect(),
            rules: Vec::new(),
            dns: zt_proto::config::ConfigDns::default(),
            sso: sso(network, member),
        };
        config.addresses.truncate(NetworkConfig::MAX_ADDRESSES);
        if self.client.is_modern() {
            config.ownerships = ownerships(&config);
        }
        if self.client.has_rules_engine() {
            config.capabilities = capabilities(network, member, now);
            config.tags = tags(network, member, now);
        }
        config
    }

    /// Returns the nodes with special roles in ascending order, each once: first those that the network names,
    /// as far as the client honours them, then active bridges until there are as many as clients take.
    ///
    /// The member itself may be missing in `bridges`: this decision may be the one that authorized it.
    fn specialists(&self) -> Vec<Specialist> {
        let network = &*self.network;
        let (relays, contacts) = match self.client {
            Client::Text { .. } => (false, false),
            Client::Version6 => (true, false),
            Client::Modern { before_1_4, .. } => (before_1_4, true),
        };
        let relays = network
            .relays
            .iter()
            .filter(|_| relays)
            .map(|relay| (relay.address, Specialist::PREFERRED_RELAY));
        let anchors = network.anchors.iter().map(|anchor| (*anchor, Specialist::ANCHOR));
        let replicators = network.multicast_replicators.iter();
        let replicators = replicators.map(|replicator| (*replicator, Specialist::MULTICAST_REPLICATOR));
        let contacts = anchors.chain(replicators).filter(|_| contacts);
        let own = self.member.active_bridge.then_some(self.member.address);
        // Few of the own roles of a network, but perhaps many bridges: the member itself counts among the latter.
        let bridges = self.bridges.iter().copied().chain(own).collect::<std::collections::BTreeSet<_>>();
        let bridges = bridges.into_iter().map(|bridge| (bridge, Specialist::ACTIVE_BRIDGE));
        let mut roles_of = BTreeMap::new();
        for (address, role) in relays.chain(contacts).chain(bridges) {
            if roles_of.len() < NetworkConfig::MAX_SPECIALISTS || roles_of.contains_key(&address) {
                *roles_of.entry(address).or_insert(0) |= role;
            }
        }
        roles_of.into_iter().map(|(address, roles)| Specialist { address, roles }).collect()
    }
}

/// Returns target and level if a target is set that is an address.
fn trace(trace: &RemoteTrace) -> Option<(Address, u64)> {
    let target = trace.target.as_deref()?.parse().ok()?;
    Some((target, trace.level))
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
