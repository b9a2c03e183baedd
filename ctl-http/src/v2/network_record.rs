//! Networks as `/api/v2` shows them.

use ctl_core::Network;
use ctl_core::network::{Dns, Pool, Route};
use ctl_store::MemberCounts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zt_proto::Timestamp;
use zt_proto::config::Relay;
use zt_proto::inet::EndpointText;

use super::etag::Version;
use super::text::{Endpoint, Ip, NetworkText, Node, Prefix};

/// A network, without its rules: those are at `…/rules`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Network")]
pub(crate) struct NetworkView {
    id: NetworkText,
    /// One more with each change.
    revision: u64,
    /// Milliseconds since 1970.
    creation_time: u64,
    name: String,
    /// Whether members need to be authorized.
    private: bool,
    enable_broadcast: bool,
    /// For clients up to 1.2.4.
    allow_passive_bridging: bool,
    /// Recipients of a multicast; 0 switches multicast off.
    multicast_limit: u64,
    /// Bytes.
    mtu: u16,
    v4_assign_mode: V4Mode,
    v6_assign_mode: V6Mode,
    routes: Vec<RouteBody>,
    ip_assignment_pools: Vec<PoolBody>,
    /// Null: never set.
    dns: Option<DnsView>,
    relays: Vec<RelayBody>,
    anchors: Vec<Node>,
    multicast_replicators: Vec<Node>,
    /// Who presents one is authorized. Secrets.
    join_tokens: Vec<JoinToken>,
    remote_trace_target: Option<String>,
    remote_trace_level: u64,
    /// How long members accept each other's certificates, in milliseconds; null is the default.
    certificate_timeout_window_size: Option<u64>,
    sso_enabled: bool,
    member_count: u64,
    authorized_member_count: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct V4Mode {
    /// From the pools.
    zt: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct V6Mode {
    /// From the pools.
    zt: bool,
    /// A /128 computed from network and member.
    rfc4193: bool,
    /// A /80 computed from network and member.
    #[serde(rename = "6plane")]
    sixplane: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DnsView {
    domain: String,
    servers: Vec<Ip>,
}

/// A route that members install.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(super) struct RouteBody {
    pub(super) target: Prefix,
    /// The gateway, of the target's family; without one it is the network's own range.
    #[serde(default)]
    pub(super) via: Option<Ip>,
}

/// A range from which addresses are assigned, both ends included.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Pool")]
pub(super) struct PoolBody {
    pub(super) ip_range_start: Ip,
    pub(super) ip_range_end: Ip,
}

/// A relay that clients up to 1.2.x prefer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Relay")]
pub(super) struct RelayBody {
    pub(super) address: Node,
    #[serde(default)]
    pub(super) phy_address: Option<Endpoint>,
}

/// A secret that admits whoever presents it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinToken {
    #[schemars(length(min = 1, max = 505))]
    pub(super) token: String,
    /// Milliseconds since 1970; 0 is never.
    #[serde(default)]
    pub(super) expires: u64,
}

impl NetworkView {
    pub(crate) fn new(network: &Network, members: &MemberCounts) -> Self {
        Self {
            id: NetworkText(network.id),
            revision: network.revision,
            creation_time: network.created.0,
            name: network.name.clone(),
            private: network.private,
            enable_broadcast: network.broadcast,
            allow_passive_bridging: network.passive_bridging,
            multicast_limit: network.multicast_limit,
            mtu: network.mtu,
            v4_assign_mode: V4Mode { zt: network.v4_assign.pool },
            v6_assign_mode: V6Mode {
                zt: network.v6_assign.pool,
                rfc4193: network.v6_assign.rfc4193,
                sixplane: network.v6_assign.sixplane,
            },
            routes: network.routes.iter().map(RouteBody::new).collect(),
            ip_assignment_pools: network.pools.iter().map(PoolBody::new).collect(),
            dns: network.dns.as_ref().map(DnsView::new),
            relays: network.relays.iter().map(RelayBody::new).collect(),
            anchors: network.anchors.iter().copied().map(Node).collect(),
            multicast_replicators: network.multicast_replicators.iter().copied().map(Node).collect(),
            join_tokens: network.join_tokens.iter().map(JoinToken::new).collect(),
            remote_trace_target: network.remote_trace.target.clone(),
            remote_trace_level: network.remote_trace.level,
            certificate_timeout_window_size: network.credential_window,
            sso_enabled: network.sso_enabled,
            member_count: members.total,
            authorized_member_count: members.authorized,
        }
    }
}

/// Returns the version of a network for its entity tag.
pub(crate) fn version_of(network: &Network) -> Version {
    Version { revision: network.revision, created: network.created }
}

impl RouteBody {
    fn new(route: &Route) -> Self {
        Self { target: Prefix(route.target), via: route.via.map(Ip) }
    }
}

impl PoolBody {
    fn new(pool: &Pool) -> Self {
        Self { ip_range_start: Ip(pool.first), ip_range_end: Ip(pool.last) }
    }
}

impl RelayBody {
    fn new(relay: &Relay) -> Self {
        Self {
            address: Node(relay.address),
            phy_address: relay.endpoint.map(|wire| Endpoint(EndpointText(wire))),
        }
    }
}

impl JoinToken {
    fn new((token, expires): (&String, &Timestamp)) -> Self {
        Self { token: token.clone(), expires: expires.0 }
    }
}

impl DnsView {
    fn new(dns: &Dns) -> Self {
        Self { domain: dns.domain.clone(), servers: dns.servers.iter().copied().map(Ip).collect() }
    }
}
