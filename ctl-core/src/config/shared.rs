//! The part of a configuration that is the same for all members of a network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use zt_proto::compression::Compressed;
use zt_proto::config::{ConfigDns, ConfigRoute, NetworkConfig, OwnEntries, SharedEntries};
use zt_proto::rules::{self, Rule};
use zt_proto::{Address, NetworkId};

use super::cut;
use super::kept::add_line;
use super::old::Whitelist;
use super::template::Template;
use crate::client::Client;
use crate::network::Network;

/// Of what one member has for itself, so much is kept to tell others by.
const MAX_MODEL: usize = 4096;
/// Forms in which members of a network are told what is theirs, mostly by how many addresses, tags and capabilities they have.
const MAX_TEMPLATES: usize = 8;
/// What the templates of all of them may take, in bytes; that of a member with one address takes 1.2 KB.
const MAX_TEMPLATES_BYTES: usize = 8_192;

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
    /// By what most members are told, in the order in which they were made.
    templates: [OnceLock<Template>; MAX_TEMPLATES],
    /// No more are made.
    has_all_templates: AtomicBool,
    /// What the first member without one had for itself: of others is kept in what they differ from it.
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
        Self {
            entries,
            routes,
            rules_and_dns,
            templates: Default::default(),
            has_all_templates: AtomicBool::new(false),
            model: OnceLock::new(),
        }
    }

    /// Returns the template of that number; it stays as long as this.
    pub(super) fn template(&self, number: u8) -> Option<&Template> {
        self.templates.get(usize::from(number))?.get()
    }

    /// Finds the template by which a member can be told, and returns what `keep` keeps of it with that and its number; makes
    /// one if there is none and room for another.
    pub(super) fn find_template<K>(
        &self,
        make: impl Fn() -> Option<Template>,
        keep: impl Fn(u8, &Template) -> Option<K>,
    ) -> Option<K> {
        let mut room = MAX_TEMPLATES_BYTES;
        for (number, place) in (0..).zip(&self.templates) {
            let known = place.get().or_else(|| {
                if self.has_all_templates.load(Ordering::Relaxed) {
                    return None;
                }
                let made = make().filter(|made| made.size_bytes() <= room && keep(number, made).is_some());
                self.has_all_templates.store(made.is_none(), Ordering::Relaxed);
                // Somebody else may have made one meanwhile.
                made.map(|made| place.get_or_init(|| made))
            });
            let template = known?;
            if let Some(kept) = keep(number, template) {
                return Some(kept);
            }
            room = room.saturating_sub(template.size_bytes());
        }
        None
    }

    /// Returns what members are told by without a template; nothing before there is one.
    pub(crate) fn model(&self) -> &[u8] {
        self.model.get().map_or(&[], |model| model)
    }

    /// Returns the same, and makes the beginning of `own` it if there was none.
    pub(crate) fn model_or(&self, own: &[u8]) -> &[u8] {
        self.model.get_or_init(|| own.get(..MAX_MODEL).unwrap_or(own).into())
    }

    /// Returns about how many bytes the entries take.
    fn size_bytes(&self) -> usize {
        self.entries.size_bytes() + self.routes.size_bytes() + self.rules_and_dns.size_bytes()
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
        // Of model and templates as much as they may take: they come later.
        let later = MAX_MODEL + MAX_TEMPLATES_BYTES;
        // What the network itself takes is about what it takes in writing.
        2 * (self.text.size_bytes() + self.text_without_rules.size_bytes() + later)
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
