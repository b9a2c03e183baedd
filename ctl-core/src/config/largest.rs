//! How long a configuration can get in a network, whoever is a member (`known-flaws.md` row 12).

use std::cmp::Reverse;
use std::sync::Arc;

use zt_proto::config::{NetworkConfig, Specialist, Sso};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Signature, Tag, Thing,
};
use zt_proto::rules;
use zt_proto::{Address, IpPrefix, Timestamp};

use super::{CUSTODY_CHAIN, NetworkPart, cut};
use crate::client::Client;
use crate::network::Network;
use crate::record::FieldError;

/// Bytes for what is longer in one configuration than in the one that is measured: the octets of an address that are
/// not zero, above all those of the holder of each capability.
const ALLOWANCE: usize = 1024;

impl Network {
    /// Says whether every client from 1.2.0 on takes the configuration of every member there can be. `before` is what
    /// the network was: one that was too large already may become smaller.
    ///
    /// # Errors
    /// The field `rules`, with both lengths: nothing else is long enough to matter.
    pub fn check_len(&self, before: Option<&Self>) -> Result<(), FieldError> {
        let (max, got) = (NetworkConfig::MAX_LEN, self.largest_config_len());
        if got <= max || before.is_some_and(|before| got <= before.largest_config_len()) {
            return Ok(());
        }
        let problem = format!(
            "with these rules and capabilities the configuration of a member could have {got} bytes, expected at most \
             {max}, which is what clients take"
        );
        Err(FieldError::new("rules", problem))
    }

    /// Returns a length in bytes that no member's configuration exceeds, for clients from 1.2.0 on.
    ///
    /// It is that of a member with everything that clients take. A dictionary writes a zero byte as two, like a few
    /// others and no byte as more; so binary parts that differ between members are measured as zeros, and numbers that
    /// are written in digits as the largest.
    pub fn largest_config_len(&self) -> usize {
        let client = Client::Modern { rules_engine: true, before_1_4: true };
        let part = NetworkPart::new(Arc::new(self.clone()), Arc::from([]));
        part.text(client).entries.with(&largest(self).write_own()).len() + ALLOWANCE
    }
}

fn largest(network: &Network) -> NetworkConfig {
    let controller = network.id.controller();
    let mut membership = CertificateOfMembership::new(network.id, Address::NONE, &[0; 48], Timestamp(0), 0);
    // Not zero, or there would be no signature.
    membership.signed_by = controller;
    let things = vec![Thing::Ip([0; 16].into()); CertificateOfOwnership::MAX_THINGS];
    let ownership = CertificateOfOwnership {
        network: network.id,
        timestamp: Timestamp(0),
        flags: 0,
        id: 0,
        things,
        issued_to: Address::NONE,
        signed_by: controller,
        signature: Signature::NONE,
    };
    let tag = Tag {
        network: network.id,
        timestamp: Timestamp(0),
        id: 0,
        value: 0,
        issued_to: Address::NONE,
        signed_by: controller,
        signature: Signature::NONE,
    };
    let specialist = Specialist { address: Address::NONE, roles: 0 };
    NetworkConfig {
        network: network.id,
        timestamp: Timestamp(u64::MAX),
        credential_window: u64::MAX,
        revision: u64::MAX,
        member: Address::MAX,
        trace_target: Address::MAX,
        trace_level: u64::MAX,
        flags: u64::MAX,
        multicast_limit: u32::MAX,
        private: network.private,
        name: cut(&network.name, NetworkConfig::MAX_NAME_LEN).into(),
        mtu: NetworkConfig::MAX_MTU,
        membership: Some(membership),
        capabilities: largest_capabilities(network),
        tags: vec![tag; NetworkConfig::MAX_TAGS],
        ownerships: vec![ownership; NetworkConfig::MAX_OWNERSHIPS],
        specialists: vec![specialist; NetworkConfig::MAX_SPECIALISTS],
        routes: Vec::new(),
        addresses: IpPrefix::new([0; 16].into(), 0).map_or_else(
            |_| Vec::new(), // every prefix can have length 0
            |prefix| vec![prefix; NetworkConfig::MAX_ADDRESSES],
        ),
        rules: Vec::new(),
        dns: zt_proto::config::ConfigDns::default(),
        sso: Sso { enabled: network.sso_enabled, expiry: Timestamp(u64::MAX), ..Sso::default() },
    }
}

/// Returns as many capabilities as a member can have: the longest.
fn largest_capabilities(network: &Network) -> Vec<Capability> {
    let capability = |definition: &crate::network::CapabilityDefinition| Capability {
        network: network.id,
        timestamp: Timestamp(0),
        id: definition.id,
        rules: definition.rules.iter().take(rules::MAX_CAPABILITY_RULES).cloned().collect(),
        max_custody_chain: CUSTODY_CHAIN,
        custody: vec![Custody {
            // Not zero, or it would end the list.
            to: Address::from_low_bits(1),
            from: network.id.controller(),
            signature: Signature::NONE,
        }],
    };
    let mut capabilities: Vec<_> = network.capabilities.iter().map(capability).collect();
    capabilities.sort_by_cached_key(|capability| Reverse(written_len(capability)));
    capabilities.truncate(NetworkConfig::MAX_CAPABILITIES);
    capabilities
}

/// Returns how long a capability is in a dictionary, give or take the rest of it.
fn written_len(capability: &Capability) -> usize {
    let mut bytes = Vec::new();
    capability.write(&mut bytes);
    zt_proto::dictionary::DictionaryWriter::new().bytes("CAP", &bytes).finish().len()
}

#[cfg(test)]
mod tests {
    use zt_proto::NetworkId;
    use zt_proto::rules::{Rule, RuleBody};

    use super::*;
    use crate::network::CapabilityDefinition;

    fn network() -> Network {
        Network::new(NetworkId(0xf593_81cf_7300_0001), Timestamp(0))
    }

    fn unknown(len: usize) -> Rule {
        Rule { not: false, or: false, body: RuleBody::Unknown { kind: 60, field: vec![0; len] } }
    }

    /// The longest rule that this release knows has 19 octets and its two of head; here all are written as two.
    #[test]
    fn a_network_of_known_rules_fits_however_many_there_are() {
        let mut network = network();
        network.rules = vec![unknown(19); rules::MAX_RULES];
        network.capabilities = (0..200)
            .map(|id| CapabilityDefinition {
                id,
                default: true,
                rules: vec![unknown(19); rules::MAX_CAPABILITY_RULES],
            })
            .collect();
        network.name = "=".repeat(200);
        assert_eq!(network.check_len(None), Ok(()));
        assert!(network.largest_config_len() > NetworkConfig::MAX_LEN * 3 / 4, "there is little left");
    }

    #[test]
    fn a_network_that_is_too_large_is_refused_unless_it_was_larger() {
        let of = |len| Network { rules: vec![unknown(len); rules::MAX_RULES], ..network() };
        assert_eq!(of(150).check_len(None), Ok(()));
        let error = of(255).check_len(None).unwrap_err().to_string();
        assert!(error.starts_with("rules: ") && error.contains("484519"), "{error}");
        assert!(of(254).check_len(Some(&of(150))).is_err());
        assert_eq!(of(254).check_len(Some(&of(254))), Ok(()), "what is wrong already can be renamed");
        assert_eq!(of(254).check_len(Some(&of(255))), Ok(()));
        // Of capabilities, those count that are long: a member could have them.
        let mut network = network();
        network.capabilities = (0..200)
            .map(|id| CapabilityDefinition {
                id,
                default: false,
                rules: vec![unknown(if id < 100 { 0 } else { 60 }); 64],
            })
            .collect();
        assert!(network.check_len(None).is_err());
    }
}
