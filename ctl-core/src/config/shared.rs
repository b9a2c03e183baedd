//! The part of a configuration that is the same for all members of a network.

use std::sync::Arc;

use zt_proto::config::{ConfigDns, ConfigRoute, NetworkConfig, SharedEntries};
use zt_proto::rules::{self, Rule};
use zt_proto::{Address, NetworkId};

use super::cut;
use super::old::Whitelist;
use crate::client::Client;
use crate::network::Network;

/// What all members of a network are told alike, built and written once for each state of the network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NetworkPart {
    network: Arc<Network>,
    bridges: Arc<[Address]>,
    routes: Vec<ConfigRoute>,
    dns: ConfigDns,
    /// For clients with a rules engine.
    entries: SharedEntries,
    /// For those of 1.2.0 and later without one.
    entries_without_rules: SharedEntries,
}

impl NetworkPart {
    pub(crate) fn new(network: Arc<Network>, bridges: Arc<[Address]>) -> Self {
        let (routes, dns) = (routes(&network), dns(&network));
        Self {
            entries: SharedEntries::new(&routes, &network.rules, &dns),
            entries_without_rules: SharedEntries::new(&routes, &[Rule::ACCEPT], &dns),
            network,
            bridges,
            routes,
            dns,
        }
    }

    /// Says whether this is what a network in that state with those bridges has in common.
    pub(crate) fn is_of(&self, network: &Arc<Network>, bridges: &Arc<[Address]>) -> bool {
        let is_same_network = Arc::ptr_eq(&self.network, network) || self.network == *network;
        is_same_network && (Arc::ptr_eq(&self.bridges, bridges) || self.bridges == *bridges)
    }

    /// Says whether this is of a later state of the same network. One that was removed and made anew is another.
    pub(crate) fn is_later_than(&self, network: &Network) -> bool {
        self.network.created == network.created && self.network.revision > network.revision
    }

    pub(crate) fn network_id(&self) -> NetworkId {
        self.network.id
    }

    pub(crate) fn routes(&self) -> &[ConfigRoute] {
        &self.routes
    }

    pub(crate) fn dns(&self) -> &ConfigDns {
        &self.dns
    }

    /// Returns the rules that this client gets.
    pub(crate) fn rules(&self, client: Client) -> Vec<Rule> {
        match client {
            Client::Modern { rules_engine: true, .. } => {
                self.network.rules.iter().take(rules::MAX_RULES).cloned().collect()
            }
            Client::Modern { rules_engine: false, .. } => vec![Rule::ACCEPT],
            Client::Text { .. } | Client::Version6 => Whitelist::of(&self.network.rules).rules(),
        }
    }

    /// Returns routes, rules and name servers as a client of 1.2.0 or later gets them.
    pub(crate) fn entries(&self, client: Client) -> &SharedEntries {
        if client.has_rules_engine() { &self.entries } else { &self.entries_without_rules }
    }

    /// Returns about how many bytes it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        // What the network itself takes is about what it takes in writing.
        2 * (self.entries.size_bytes() + self.entries_without_rules.size_bytes())
            + self.bridges.len() * size_of::<Address>()
            + self.network.rules_source.len()
            + self.network.rule_tests.len()
    }
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
