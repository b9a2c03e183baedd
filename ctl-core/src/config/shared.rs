//! The part of a configuration that is the same for all members of a network.

use std::sync::{Arc, OnceLock};

use zt_proto::compression::Compressed;
use zt_proto::config::{ConfigDns, ConfigRoute, NetworkConfig, OwnEntries, SharedEntries};
use zt_proto::rules::{self, Rule};
use zt_proto::{Address, NetworkId};

use super::cut;
use super::kept::add_line;
use super::old::Whitelist;
use crate::client::Client;
use crate::network::Network;

/// Of what one member has for itself, so much is kept to tell others by.
const MAX_MODEL: usize = 4096;

/// What all members of a network are told alike, built and written once for each state of the network.
#[derive(Debug)]
pub(crate) struct NetworkPart {
    network: Arc<Network>,
    bridges: Arc<[Address]>,
    routes: Vec<ConfigRoute>,
    dns: ConfigDns,
    /// What every configuration of the network begins with, up to its time of issue.
    beginning: Box<[u8]>,
    /// For clients with a rules engine.
    text: SharedText,
    /// For those of 1.2.0 and later without one.
    text_without_rules: SharedText,
}

/// The entries that members have in common, as they are, and compressed as they stand in a configuration: each behind a line
/// end.
#[derive(Debug)]
pub(crate) struct SharedText {
    pub entries: SharedEntries,
    pub routes: Compressed,
    pub rules_and_dns: Compressed,
    /// What the first member had for itself: of others is kept in what they differ from it.
    model: OnceLock<Box<[u8]>>,
}

impl SharedText {
    fn new(entries: SharedEntries) -> Self {
        let nothing = OwnEntries::default();
        let [_, routes, _, rules, dns, _] = entries.between(&nothing);
        let behind_line_ends = |pieces: &[&[u8]]| {
            let mut text = Vec::new();
            pieces.iter().for_each(|piece| add_line(piece, &mut text));
            Compressed::new(&text)
        };
        let (routes, rules_and_dns) = (behind_line_ends(&[routes]), behind_line_ends(&[rules, dns]));
        Self { entries, routes, rules_and_dns, model: OnceLock::new() }
    }

    /// Returns what members are told by; nothing before there is one.
    pub(crate) fn model(&self) -> &[u8] {
        self.model.get().map_or(&[], |model| model)
    }

    /// Returns the same, and makes the beginning of `own` it if there was none.
    pub(crate) fn model_or(&self, own: &[u8]) -> &[u8] {
        self.model.get_or_init(|| own.get(..MAX_MODEL).unwrap_or(own).into())
    }

    /// Returns about how many bytes it takes, the model as if it were as long as it may be: it comes later.
    fn size_bytes(&self) -> usize {
        self.entries.size_bytes() + self.routes.size_bytes() + self.rules_and_dns.size_bytes() + MAX_MODEL
    }
}

impl NetworkPart {
    pub(crate) fn new(network: Arc<Network>, bridges: Arc<[Address]>) -> Self {
        let (routes, dns) = (routes(&network), dns(&network));
        Self {
            beginning: NetworkConfig::before_timestamp(network.id).into(),
            text: SharedText::new(SharedEntries::new(&routes, &network.rules, &dns)),
            text_without_rules: SharedText::new(SharedEntries::new(&routes, &[Rule::ACCEPT], &dns)),
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
    pub(crate) fn text(&self, client: Client) -> &SharedText {
        if client.has_rules_engine() { &self.text } else { &self.text_without_rules }
    }

    /// Returns what stands before the time of issue.
    pub(crate) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Returns about how many bytes it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        // What the network itself takes is about what it takes in writing.
        2 * (self.text.size_bytes() + self.text_without_rules.size_bytes())
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
