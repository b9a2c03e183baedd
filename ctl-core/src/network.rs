//! A virtual network as the administrator describes it (`vl2.md` §9.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::config::Relay;
use zt_proto::rules::Rule;
use zt_proto::{Address, IpPrefix, NetworkId, Timestamp};

use crate::member::Member;
use crate::rules::compile;
use crate::rules::decompile::Names;
use crate::rules::scenario::{RuleSet, Test, WorldMember};

/// A virtual network: everything that an administrator can set, and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub id: NetworkId,
    /// Any length here; members get the first 127 bytes.
    pub name: String,
    /// Whether members need to be authorized; false admits everybody.
    pub private: bool,
    pub created: Timestamp,
    /// Starts at 1; raised by one with every change that is saved.
    pub revision: u64,
    pub broadcast: bool,
    /// Whether every member may bridge, not only active bridges; honoured by clients up to 1.2.4 alone.
    pub passive_bridging: bool,
    /// Recipients per multicast, modulo 2^32 on the wire; 0 switches multicast off.
    pub multicast_limit: u64,
    /// Bytes, [`Network::MIN_MTU`] to [`Network::MAX_MTU`].
    pub mtu: u16,
    pub v4_assign: V4Assign,
    pub v6_assign: V6Assign,
    pub routes: Vec<Route>,
    /// Relays that members should prefer; honoured by clients up to 1.2.x alone.
    pub relays: Vec<Relay>,
    /// Nodes with which members keep contact, from 1.2.0 on; no other controller offers them.
    pub anchors: Vec<Address>,
    /// Nodes that pass multicasts on, from 1.2.0 on; no other controller offers them.
    pub multicast_replicators: Vec<Address>,
    pub pools: Vec<Pool>,
    /// `None` until an administrator sets one, which the API shows as an empty array.
    pub dns: Option<Dns>,
    /// Empty means that nothing passes.
    pub rules: Vec<Rule>,
    /// Text of a rule editor. Over the API of 1.14 it is kept without being read; the rules endpoints compile it.
    pub rules_source: String,
    /// Tests of the rules as text (`docs/rules.md`), beside those that stand in the source.
    pub rule_tests: String,
    /// Whether a change of rules that fails the tests is refused.
    pub rule_tests_required: bool,
    /// Ascending by id, each id once.
    pub capabilities: Vec<CapabilityDefinition>,
    /// Ascending by id, each id once.
    pub tags: Vec<TagDefinition>,
    /// Join tokens and when they expire; zero is never.
    pub join_tokens: BTreeMap<String, Timestamp>,
    pub remote_trace: RemoteTrace,
    pub sso_enabled: bool,
    /// How long members accept each other's certificates, in milliseconds; `None` is the default.
    pub credential_window: Option<u64>,
}

/// How members get IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V4Assign {
    /// From the pools.
    pub pool: bool,
}

/// How members get IPv6 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V6Assign {
    /// From the pools.
    pub pool: bool,
    /// A /128 in a /88, computed from network and member.
    pub rfc4193: bool,
    /// A /80 per member, computed from network and member.
    pub sixplane: bool,
}

/// A route that members install; without a gateway it is the network's own range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Host bits are kept as given.
    pub target: IpPrefix,
    /// Always of the target's family.
    pub via: Option<IpAddr>,
}

/// A range from which addresses are assigned, both ends included and of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub first: IpAddr,
    pub last: IpAddr,
}

/// Name servers that members use for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// Members get the first 127 bytes.
    pub domain: String,
    /// Members get the first four.
    pub servers: Vec<IpAddr>,
}

/// A capability that members of this network can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityDefinition {
    pub id: u32,
    /// Whether a member gets it with its first admission.
    pub default: bool,
    pub rules: Vec<Rule>,
}

/// A tag that members of this network can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagDefinition {
    pub id: u32,
    /// The value for members that have none of their own.
    pub default: Option<u32>,
}

/// Where members send remote traces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RemoteTrace {
    /// Ten characters, meant as a node address.
    pub target: Option<String>,
    pub level: u64,
}

impl Network {
    pub const MIN_MTU: u16 = 1280;
    pub const MAX_MTU: u16 = 10_000;
    /// Most relays, anchors and replicators, of each kind: members get 256 nodes with roles, bridges among them.
    pub const MAX_SPECIAL_NODES: usize = 64;
    /// Bounds of the credential window, and what a network without one has: milliseconds.
    pub const MIN_CREDENTIAL_WINDOW: u64 = 5 * 60 * 1000;
    pub const DEFAULT_CREDENTIAL_WINDOW: u64 = 30 * 60 * 1000;
    pub const MAX_CREDENTIAL_WINDOW: u64 = 2 * 60 * 60 * 1000;

    /// Returns a network with the defaults of `vl2.md` §9.1, revision 0: saving makes it 1.
    pub fn new(id: NetworkId, now: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            private: true,
            created: now,
            revision: 0,
            broadcast: true,
            passive_bridging: false,
            multicast_limit: 32,
            mtu: 2800,
            v4_assign: V4Assign::default(),
            v6_assign: V6Assign::default(),
            routes: Vec::new(),
            relays: Vec::new(),
            anchors: Vec::new(),
            multicast_replicators: Vec::new(),
            pools: Vec::new(),
            dns: None,
            rules: vec![Rule::ACCEPT],
            rules_source: String::new(),
            rule_tests: String::new(),
            rule_tests_required: false,
            capabilities: Vec::new(),
            tags: Vec::new(),
            join_tokens: BTreeMap::new(),
            remote_trace: RemoteTrace::default(),
            sso_enabled: false,
            credential_window: None,
        }
    }

    /// Returns the rules that members use now, and the tests that stand in the source.
    ///
    /// Names are those of the source, as far as it compiles; places are known only while it compiles to the rules.
    pub fn rule_set(&self) -> (RuleSet, Vec<Test>) {
        let (names, tests) = match compile(&self.rules_source) {
            Ok(compiled) => {
                let capabilities = compiled.capability_names();
                (Names { tags: compiled.tags, capabilities }, compiled.tests)
            }
            Err(_) => (Names::default(), Vec::new()),
        };
        (RuleSet::of_network(self, &names), tests)
    }

    /// Returns those of `members` that rules are tried with: the authorized ones, as strangers can come in any number.
    pub fn rule_members(&self, members: &[Member]) -> Vec<WorldMember> {
        let authorized = members.iter().filter(|member| member.authorized);
        authorized.map(|member| WorldMember::of(self, member)).collect()
    }

    /// Returns for how long members accept each other's certificates, in milliseconds: what the network says, as far
    /// as members' clocks and polls allow (`vl2.md` §10.8).
    pub fn credential_window(&self) -> u64 {
        let window = self.credential_window.unwrap_or(Self::DEFAULT_CREDENTIAL_WINDOW);
        window.clamp(Self::MIN_CREDENTIAL_WINDOW, Self::MAX_CREDENTIAL_WINDOW)
    }

    /// Raises the revision by one if `self` differs from what is stored; says whether it does.
    pub fn revise(&mut self, stored: Option<&Self>) -> bool {
        let changed = stored != Some(self);
        if changed {
            self.revision = self.revision.saturating_add(1);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "tag role id 7 enum 1 server default server; drop not teq role server; accept; \
                          test \"x\" { from any to any ping expect accept; }";

    fn network() -> Network {
        Network { rules_source: SOURCE.to_owned(), ..Network::new(NetworkId(1), Timestamp(0)) }
    }

    #[test]
    fn source_that_no_longer_fits_gives_names_and_tests_but_no_places() {
        let stale = Network { tags: vec![TagDefinition { id: 7, default: Some(1) }], ..network() };
        let (rules, tests) = stale.rule_set();
        assert_eq!((rules.compiled.base.rules, rules.compiled.base.origins), (vec![Rule::ACCEPT], vec![]));
        assert_eq!(rules.compiled.tags.first().map(|tag| tag.name.as_str()), Some("role"));
        assert_eq!(tests.first().map(|test| test.name.as_str()), Some("x"));

        let compiled = compile(SOURCE).unwrap();
        let fitting = Network { rules: compiled.base.rules.clone(), ..stale };
        let (rules, tests) = fitting.rule_set();
        assert_eq!(rules.compiled.base, compiled.base);
        assert_eq!(tests, compiled.tests);
    }

    #[test]
    fn rules_are_tried_with_authorized_members_only() {
        let network = network();
        let mut members = [1, 2].map(|n| Member::new(network.id, Address::from_low_bits(n), Timestamp(0)));
        members[1].authorized = true;
        let tried = network.rule_members(&members);
        assert_eq!(
            tried.iter().map(|member| member.address).collect::<Vec<_>>(),
            [Address::from_low_bits(2)]
        );
    }
}
