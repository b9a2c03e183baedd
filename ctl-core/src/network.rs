//! A virtual network as the administrator describes it (`vl2.md` §9.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::rules::Rule;
use zt_proto::{IpPrefix, NetworkId, Timestamp};

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
    /// Recipients per multicast, modulo 2^32 on the wire; 0 switches multicast off.
    pub multicast_limit: u64,
    /// Bytes, [`Network::MIN_MTU`] to [`Network::MAX_MTU`].
    pub mtu: u16,
    pub v4_assign: V4Assign,
    pub v6_assign: V6Assign,
    pub routes: Vec<Route>,
    pub pools: Vec<Pool>,
    /// `None` until an administrator sets one, which the API shows as an empty array.
    pub dns: Option<Dns>,
    /// Empty means that nothing passes.
    pub rules: Vec<Rule>,
    /// Text of a rule editor, kept without being read.
    pub rules_source: String,
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteTrace {
    /// Ten characters, meant as a node address.
    pub target: Option<String>,
    pub level: u64,
}

impl Network {
    pub const MIN_MTU: u16 = 1280;
    pub const MAX_MTU: u16 = 10_000;

    /// Returns a network with the defaults of `vl2.md` §9.1, revision 0: saving makes it 1.
    pub fn new(id: NetworkId, now: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            private: true,
            created: now,
            revision: 0,
            broadcast: true,
            multicast_limit: 32,
            mtu: 2800,
            v4_assign: V4Assign::default(),
            v6_assign: V6Assign::default(),
            routes: Vec::new(),
            pools: Vec::new(),
            dns: None,
            rules: vec![Rule::ACCEPT],
            rules_source: String::new(),
            capabilities: Vec::new(),
            tags: Vec::new(),
            join_tokens: BTreeMap::new(),
            remote_trace: RemoteTrace::default(),
            sso_enabled: false,
            credential_window: None,
        }
    }

    /// Raises the revision by one if `self` differs from what is stored; says whether it does.
    pub fn revise(&mut self, stored: Option<&Self>) -> bool {
        let changed = stored != Some(self);
        if changed {
            self.revision += 1;
        }
        changed
    }
}
