//! Rules and members together, as evaluations need them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use zt_proto::rules::{Rule, RuleBody};
use zt_proto::{Address, NetworkId};

use super::budget::{self, Sending};
use super::packet::Packet;
use super::run::draws;
use crate::addresses;
use crate::member::Member;
use crate::network::Network;
use crate::rules::compile::{Compiled, Errors, NamedCapability, NamedTag, Table, compile};
use crate::rules::decompile::Names;
use crate::rules::evaluate::{self, Client, Credentials, HeldCapability, Settings};
use crate::rules::values;

/// The rules of a network with their names and, if they come from a source, their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    pub network: NetworkId,
    pub compiled: Compiled,
    /// Whether the network has computed IPv6 addresses.
    pub ndp_emulation: bool,
}

/// A member as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldMember {
    pub address: Address,
    /// What interfaces call it.
    pub name: Option<String>,
    /// Managed and computed addresses, which its certificates name.
    pub addresses: Vec<IpAddr>,
    /// Those of its own; the defaults of the network are added.
    pub tags: BTreeMap<u32, u32>,
    pub capabilities: Vec<u32>,
    pub client: Client,
}

impl RuleSet {
    /// Takes the rules that members use now.
    ///
    /// If the source of the network compiles to the very same rules, names and places are those of the source;
    /// otherwise there are no places, and names are `names`.
    pub fn of_network(network: &Network, names: &Names) -> Self {
        let compiled = match compile(&network.rules_source) {
            Ok(compiled) if is_same(&compiled, network) => compiled,
            Ok(_) | Err(_) => without_places(network, names),
        };
        let modes = network.v6_assign;
        Self { network: network.id, compiled, ndp_emulation: modes.rfc4193 || modes.sixplane }
    }

    /// Takes rules that the network could have instead.
    pub fn of_source(network: &Network, compiled: Compiled) -> Self {
        let modes = network.v6_assign;
        Self { network: network.id, compiled, ndp_emulation: modes.rfc4193 || modes.sixplane }
    }
}

/// Says how the source of a network and its rules fit: `None` if it has no source, true if they are the same.
///
/// # Errors
/// If the source does not compile.
pub fn source_fits(network: &Network) -> Result<Option<bool>, Errors> {
    if network.rules_source.is_empty() {
        return Ok(None);
    }
    compile(&network.rules_source).map(|compiled| Some(is_same(&compiled, network)))
}

fn is_same(compiled: &Compiled, network: &Network) -> bool {
    compiled.base.rules == network.rules
        && compiled.capability_definitions() == network.capabilities
        && compiled.tag_definitions() == network.tags
}

fn without_places(network: &Network, names: &Names) -> Compiled {
    let capabilities = network.capabilities.iter().map(|capability| {
        let name = names.capabilities.iter().find(|(_, id)| *id == capability.id);
        NamedCapability {
            name: name.map_or_else(|| format!("cap_{}", capability.id), |(name, _)| name.clone()),
            id: capability.id,
            default: capability.default,
            table: Table { rules: capability.rules.clone(), origins: Vec::new() },
        }
    });
    let tags = network.tags.iter().map(|tag| {
        let known = names.tags.iter().find(|known| known.id == tag.id).cloned();
        let named = known.unwrap_or_else(|| NamedTag {
            name: format!("tag_{}", tag.id),
            id: tag.id,
            default: None,
            enums: Vec::new(),
            flags: Vec::new(),
        });
        NamedTag { default: tag.default, ..named }
    });
    Compiled {
        base: Table { rules: network.rules.clone(), origins: Vec::new() },
        capabilities: capabilities.collect(),
        tags: tags.collect(),
        ..Compiled::default()
    }
}

impl WorldMember {
    /// Takes a member of the network as it is.
    pub fn of(network: &Network, member: &Member) -> Self {
        let derived = addresses::derived(network, member).into_iter();
        let all = derived.chain(addresses::managed(network, member)).map(|prefix| prefix.ip());
        Self {
            address: member.address,
            name: member.name.clone().filter(|name| !name.is_empty()),
            addresses: all.collect(),
            tags: member.tags.clone(),
            capabilities: member.capabilities.clone(),
            client: Client::default(),
        }
    }

    /// Returns the name, or the address if there is none.
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}

/// Which members are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A name, or ten hexadecimal digits that are an address unless somebody has them as a name.
    Named(String),
    /// `tag:NAME=VALUE`: all that have this value, by default too.
    Tag { tag: String, value: String },
    /// `cap:NAME`: all that hold the capability.
    Capability(String),
    /// `any`: all.
    Any,
}

impl Selector {
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("any") {
            return Some(Self::Any);
        }
        if let Some(rest) = text.strip_prefix("tag:") {
            let (tag, value) =
                rest.split_once('=').filter(|(tag, value)| !tag.is_empty() && !value.is_empty())?;
            return Some(Self::Tag { tag: tag.to_lowercase(), value: value.to_lowercase() });
        }
        match text.strip_prefix("cap:") {
            Some("") => None,
            Some(name) => Some(Self::Capability(name.to_lowercase())),
            None => Some(text).filter(|text| !text.is_empty()).map(|text| Self::Named(text.to_owned())),
        }
    }

    /// Returns the members that are meant.
    ///
    /// # Errors
    /// Why there are none, or which of several of the same name is meant.
    pub fn find<'m>(
        &self,
        rules: &RuleSet,
        members: &'m [WorldMember],
    ) -> Result<Vec<&'m WorldMember>, String> {
        let found: Vec<_> = match self {
            Self::Any => members.iter().collect(),
            Self::Named(name) => {
                let named: Vec<_> =
                    members.iter().filter(|member| member.name.as_ref() == Some(name)).collect();
                let address = name.parse::<Address>().ok();
                match named.as_slice() {
                    [] => members.iter().filter(|member| Some(member.address) == address).collect(),
                    [_] => named,
                    several => {
                        const LISTED: usize = 5;
                        let listed = several.iter().take(LISTED);
                        let mut addresses: Vec<_> = listed.map(|member| member.address.to_string()).collect();
                        if several.len() > LISTED {
                            addresses.push(format!("{} more", several.len() - LISTED));
                        }
                        let addresses = addresses.join(" and ");
                        return Err(format!("{name} is the name of {addresses}; write the address"));
                    }
                }
            }
            Self::Tag { tag, value } => {
                let named = rules.compiled.tags.iter().find(|known| known.name == *tag);
                let id = named.map(|named| named.id).or_else(|| values::u32(tag));
                let id = id.ok_or_else(|| format!("there is no tag {tag}"))?;
                let number = named.and_then(|named| named.value(value)).or_else(|| values::u32(value));
                let number = number.ok_or_else(|| format!("the tag {tag} has no value {value}"))?;
                let default = named.and_then(|named| named.default);
                let has = |member: &&WorldMember| member.tags.get(&id).copied().or(default) == Some(number);
                members.iter().filter(has).collect()
            }
            Self::Capability(name) => {
                let named = rules.compiled.capabilities.iter().find(|known| known.name == *name);
                let id = named.map(|named| named.id).or_else(|| values::u32(name));
                let id = id.ok_or_else(|| format!("there is no capability {name}"))?;
                members.iter().filter(|member| member.capabilities.contains(&id)).collect()
            }
        };
        if found.is_empty() { Err(format!("no member is {self}")) } else { Ok(found) }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Tag { tag, value } => write!(f, "tag:{tag}={value}"),
            Self::Capability(name) => write!(f, "cap:{name}"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// Members with everything that they hold under certain rules.
pub struct World<'a> {
    rules: &'a RuleSet,
    held: BTreeMap<Address, Held<'a>>,
    /// For [`World::steps`].
    most_rules: u64,
    copies: bool,
    draws: usize,
}

struct Held<'a> {
    member: &'a WorldMember,
    tags: BTreeMap<u32, u32>,
    capabilities: Vec<HeldCapability<'a>>,
    /// Those of the network and of the capabilities.
    rules: u64,
}

impl<'a> World<'a> {
    /// Returns the steps of making a world.
    pub(crate) fn steps_to_make(rules: &RuleSet, members: usize) -> u64 {
        budget::world(members, rules.compiled.tags.len() + rules.compiled.capabilities.len())
    }

    pub fn new(rules: &'a RuleSet, members: &'a [WorldMember]) -> Self {
        let by_id: BTreeMap<u32, &NamedCapability> =
            rules.compiled.capabilities.iter().map(|capability| (capability.id, capability)).collect();
        let held = members.iter().map(|member| {
            let defaults = rules.compiled.tags.iter().filter_map(|tag| Some((tag.id, tag.default?)));
            let mut tags: BTreeMap<u32, u32> = defaults.collect();
            tags.extend(&member.tags);
            let ids: BTreeSet<u32> = member.capabilities.iter().copied().collect();
            let capabilities = ids.into_iter().filter_map(|id| {
                let capability = by_id.get(&id)?;
                Some(HeldCapability { id, rules: &capability.table.rules })
            });
            let capabilities: Vec<_> = capabilities.collect();
            let of_capabilities: usize = capabilities.iter().map(|capability| capability.rules.len()).sum();
            let all = rules.compiled.base.rules.len().saturating_add(of_capabilities);
            let rules = u64::try_from(all).unwrap_or(u64::MAX);
            (member.address, Held { member, tags, capabilities, rules })
        });
        let held: BTreeMap<_, _> = held.collect();
        let sends_elsewhere = |rule: &Rule| {
            matches!(rule.body, RuleBody::Tee { .. } | RuleBody::Watch { .. } | RuleBody::Redirect { .. })
        };
        Self {
            rules,
            most_rules: held.values().map(|held| held.rules).max().unwrap_or_default(),
            copies: rules.compiled.tables().flat_map(|table| &table.rules).any(sends_elsewhere),
            draws: draws(&rules.compiled).len(),
            held,
        }
    }

    /// Returns the steps of building a packet of this sender and sending it so often, with each random number.
    pub(crate) fn steps(&self, sender: Address, packet: &Packet, times: usize) -> u64 {
        let sending = Sending {
            rules: self.held.get(&sender).map_or(self.most_rules, |held| held.rules),
            copied_rules: self.copies.then_some(self.most_rules),
            is_group: packet.is_group(),
            size: packet.most_bytes(),
            times: times.saturating_mul(self.draws),
        };
        sending.steps()
    }

    /// Returns the members for [`World::network`].
    pub fn members(&self) -> BTreeMap<Address, evaluate::Member<'_>> {
        let members = self.held.iter().map(|(&address, held)| {
            let credentials = Credentials {
                tags: &held.tags,
                capabilities: &held.capabilities,
                addresses: &held.member.addresses,
                macs: &[],
            };
            let assigned = &held.member.addresses;
            (address, evaluate::Member { credentials, assigned, client: held.member.client })
        });
        members.collect()
    }

    pub fn network<'m>(
        &'m self,
        members: &'m BTreeMap<Address, evaluate::Member<'m>>,
    ) -> evaluate::Network<'m> {
        let settings = Settings {
            network: self.rules.network,
            ndp_emulation: self.rules.ndp_emulation,
            unsupported_matches: false,
        };
        evaluate::Network { rules: &self.rules.compiled.base.rules, settings, members }
    }
}
