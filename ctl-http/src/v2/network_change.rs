//! Changes of networks over `/api/v2`: what may be sent, what is refused, and what it does.

use std::collections::BTreeSet;

use ctl_core::Network;
use ctl_core::network::{Pool, Route};
use ctl_store::MemberCounts;
use schemars::JsonSchema;
use serde::Deserialize;
use zt_proto::Timestamp;
use zt_proto::config::Relay;

use super::change::{Change, Object, ReadOnly};
use super::network_record::{JoinToken, NetworkView, PoolBody, RelayBody, RouteBody};
use super::problem::{Invalid, Problem};
use super::text::{Ip, Node};

/// Bytes of a name or a domain: what members get.
const MAX_TEXT_BYTES: usize = 127;
/// What members take (`vl2.md` §17).
const MAX_ROUTES: usize = 128;
const MAX_DNS_SERVERS: usize = 4;
/// More ranges than anybody has, and few enough to look at for each address.
const MAX_POOLS: usize = 256;
/// Join tokens of a network, and bytes of one: longer ones do not fit into a request (`vl2.md` §17).
const MAX_JOIN_TOKENS: usize = 1024;
const MAX_TOKEN_BYTES: usize = 505;

/// A change of a network, as a JSON merge patch: what is absent stays, null takes a setting back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct NetworkChange {
    /// At most 127 bytes.
    #[schemars(length(max = 127))]
    name: Change<String>,
    private: Change<bool>,
    enable_broadcast: Change<bool>,
    allow_passive_bridging: Change<bool>,
    #[schemars(range(max = 4_294_967_295_u64))]
    multicast_limit: Change<u64>,
    #[schemars(range(min = 1280, max = 10_000))]
    mtu: Change<u16>,
    v4_assign_mode: Change<Object<V4Change>>,
    v6_assign_mode: Change<Object<V6Change>>,
    #[schemars(length(max = 128))]
    routes: Change<Vec<Object<RouteBody>>>,
    #[schemars(length(max = 256))]
    ip_assignment_pools: Change<Vec<Object<PoolBody>>>,
    dns: Change<Object<DnsChange>>,
    /// Each node once.
    #[schemars(length(max = 64))]
    relays: Change<Vec<Object<RelayBody>>>,
    /// Each node once.
    #[schemars(length(max = 64))]
    anchors: Change<Vec<Node>>,
    /// Each node once.
    #[schemars(length(max = 64))]
    multicast_replicators: Change<Vec<Node>>,
    #[schemars(length(max = 1024))]
    join_tokens: Change<Vec<Object<JoinToken>>>,
    remote_trace_target: Change<Node>,
    remote_trace_level: Change<u64>,
    #[schemars(range(min = 300_000, max = 7_200_000))]
    certificate_timeout_window_size: Change<u64>,
    id: ReadOnly,
    revision: ReadOnly,
    creation_time: ReadOnly,
    sso_enabled: ReadOnly,
    // These change by themselves, so whatever is sent is not looked at.
    member_count: ReadOnly,
    authorized_member_count: ReadOnly,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct V4Change {
    zt: Change<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct V6Change {
    zt: Change<bool>,
    rfc4193: Change<bool>,
    #[serde(rename = "6plane")]
    sixplane: Change<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct DnsChange {
    /// At most 127 bytes.
    #[schemars(length(max = 127))]
    domain: Change<String>,
    #[schemars(length(max = 4))]
    servers: Change<Vec<Ip>>,
}

impl NetworkChange {
    /// Checks that nobody tries to change what cannot be changed.
    ///
    /// # Errors
    /// 422 with what differs from what is stored.
    pub(crate) fn check_read_only(&self, stored: &Network) -> Result<(), Problem> {
        let fields = [
            ("id", &self.id),
            ("revision", &self.revision),
            ("creationTime", &self.creation_time),
            ("ssoEnabled", &self.sso_enabled),
        ];
        ReadOnly::check(fields, || Ok(NetworkView::new(stored, &MemberCounts::default())))
    }

    /// Returns everything that is of its type and still cannot be used.
    pub(crate) fn invalid(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        checks.bytes("/name", self.name.value(), MAX_TEXT_BYTES);
        checks.range("/mtu", self.mtu.value(), Network::MIN_MTU, Network::MAX_MTU);
        let (min, max) = (Network::MIN_CREDENTIAL_WINDOW, Network::MAX_CREDENTIAL_WINDOW);
        let window = self.certificate_timeout_window_size.value();
        checks.range("/certificateTimeoutWindowSize", window, min, max);
        checks.range("/multicastLimit", self.multicast_limit.value(), 0, u32::MAX.into());
        checks.count("/routes", self.routes.entries(), MAX_ROUTES);
        for (index, route) in self.routes.entries().iter().enumerate() {
            let Object(RouteBody { target, via }) = route;
            if via.as_ref().is_some_and(|via| via.0.is_ipv4() != target.0.ip().is_ipv4()) {
                checks.refuse(
                    format!("/routes/{index}/via"),
                    "expected a gateway of the target's address family".to_owned(),
                );
            }
        }
        checks.count("/ipAssignmentPools", self.ip_assignment_pools.entries(), MAX_POOLS);
        for (index, pool) in self.ip_assignment_pools.entries().iter().enumerate() {
            let (first, last) = (pool.0.ip_range_start.0, pool.0.ip_range_end.0);
            if first.is_ipv4() != last.is_ipv4() || first > last {
                let problem = format!("expected {first} or a later address of its family, got {last}");
                checks.refuse(format!("/ipAssignmentPools/{index}/ipRangeEnd"), problem);
            }
        }
        if let Some(Object(dns)) = self.dns.value() {
            checks.bytes("/dns/domain", dns.domain.value(), MAX_TEXT_BYTES);
            checks.count("/dns/servers", dns.servers.entries(), MAX_DNS_SERVERS);
        }
        let relays: Vec<_> = self.relays.entries().iter().map(|relay| relay.0.address).collect();
        for (name, nodes) in [
            ("/relays", relays.as_slice()),
            ("/anchors", self.anchors.entries()),
            ("/multicastReplicators", self.multicast_replicators.entries()),
        ] {
            checks.nodes(name, nodes);
        }
        for (index, relay) in self.relays.entries().iter().enumerate() {
            if relay.0.phy_address.is_some_and(|wire| wire.0.0.port() == 0) {
                checks
                    .refuse(format!("/relays/{index}/phyAddress"), "expected a port other than 0".to_owned());
            }
        }
        self.check_join_tokens(&mut checks);
        checks.0
    }

    fn check_join_tokens(&self, checks: &mut Checks) {
        let tokens = self.join_tokens.entries();
        checks.count("/joinTokens", tokens, MAX_JOIN_TOKENS);
        let mut seen = BTreeSet::new();
        for (index, Object(JoinToken { token, .. })) in tokens.iter().enumerate().take(MAX_JOIN_TOKENS) {
            // The secret is not repeated: answers end up in logs.
            if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
                let problem = format!("expected 1 to {MAX_TOKEN_BYTES} bytes, got {}", token.len());
                checks.refuse(format!("/joinTokens/{index}/token"), problem);
            } else if !seen.insert(token) {
                checks.refuse(
                    format!("/joinTokens/{index}/token"),
                    "expected each token once, got one again".to_owned(),
                );
            }
        }
    }

    /// Changes a network; to be called once nothing is [`Self::invalid`].
    pub(crate) fn apply(self, network: &mut Network) {
        let new = Network::new(network.id, network.created);
        self.name.apply(&mut network.name, new.name, |name| name);
        self.private.apply(&mut network.private, new.private, |flag| flag);
        self.enable_broadcast.apply(&mut network.broadcast, new.broadcast, |flag| flag);
        self.allow_passive_bridging.apply(&mut network.passive_bridging, new.passive_bridging, |flag| flag);
        self.multicast_limit.apply(&mut network.multicast_limit, new.multicast_limit, |limit| limit);
        self.mtu.apply(&mut network.mtu, new.mtu, |mtu| mtu);
        match self.v4_assign_mode {
            Change::Keep => {}
            Change::Reset => network.v4_assign = new.v4_assign,
            Change::Set(Object(mode)) => {
                mode.zt.apply(&mut network.v4_assign.pool, new.v4_assign.pool, |flag| flag)
            }
        }
        match self.v6_assign_mode {
            Change::Keep => {}
            Change::Reset => network.v6_assign = new.v6_assign,
            Change::Set(Object(mode)) => {
                let now = &mut network.v6_assign;
                mode.zt.apply(&mut now.pool, new.v6_assign.pool, |flag| flag);
                mode.rfc4193.apply(&mut now.rfc4193, new.v6_assign.rfc4193, |flag| flag);
                mode.sixplane.apply(&mut now.sixplane, new.v6_assign.sixplane, |flag| flag);
            }
        }
        let route =
            |Object(body): Object<RouteBody>| Route { target: body.target.0, via: body.via.map(|via| via.0) };
        self.routes.apply(&mut network.routes, new.routes, |bodies| bodies.into_iter().map(route).collect());
        let pool =
            |Object(body): Object<PoolBody>| Pool { first: body.ip_range_start.0, last: body.ip_range_end.0 };
        self.ip_assignment_pools
            .apply(&mut network.pools, new.pools, |bodies| bodies.into_iter().map(pool).collect());
        match self.dns {
            Change::Keep => {}
            Change::Reset => network.dns = None,
            Change::Set(Object(body)) => {
                let dns = network.dns.get_or_insert_default();
                body.domain.apply(&mut dns.domain, String::new(), |domain| domain);
                body.servers.apply(&mut dns.servers, Vec::new(), |servers| {
                    servers.into_iter().map(|server| server.0).collect()
                });
            }
        }
        let relay = |Object(body): Object<RelayBody>| Relay {
            address: body.address.0,
            endpoint: body.phy_address.map(|wire| wire.0.0),
        };
        self.relays.apply(&mut network.relays, new.relays, |bodies| bodies.into_iter().map(relay).collect());
        let nodes = |nodes: Vec<Node>| nodes.into_iter().map(|node| node.0).collect();
        self.anchors.apply(&mut network.anchors, new.anchors, nodes);
        self.multicast_replicators.apply(
            &mut network.multicast_replicators,
            new.multicast_replicators,
            nodes,
        );
        self.join_tokens.apply(&mut network.join_tokens, new.join_tokens, |tokens| {
            tokens.into_iter().map(|Object(token)| (token.token, Timestamp(token.expires))).collect()
        });
        self.remote_trace_target
            .apply(&mut network.remote_trace.target, None, |target| Some(target.0.to_string()));
        self.remote_trace_level.apply(&mut network.remote_trace.level, 0, |level| level);
        self.certificate_timeout_window_size.apply(&mut network.credential_window, None, Some);
    }
}

/// What was found wrong with a body.
#[derive(Debug, Default)]
pub(super) struct Checks(pub(super) Vec<Invalid>);

impl Checks {
    pub(super) fn refuse(&mut self, pointer: String, detail: String) {
        if self.0.len() < super::problem::MAX_ERRORS {
            self.0.push(Invalid::new(pointer, detail));
        }
    }

    pub(super) fn bytes(&mut self, pointer: &str, text: Option<&String>, max: usize) {
        if let Some(text) = text.filter(|text| text.len() > max) {
            self.refuse(pointer.to_owned(), format!("expected at most {max} bytes, got {}", text.len()));
        }
    }

    pub(super) fn count<T>(&mut self, pointer: &str, entries: &[T], max: usize) {
        if entries.len() > max {
            self.refuse(pointer.to_owned(), format!("expected at most {max} entries, got {}", entries.len()));
        }
    }

    fn range<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        pointer: &str,
        value: Option<&T>,
        min: T,
        max: T,
    ) {
        if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
            self.refuse(pointer.to_owned(), format!("expected {min} to {max}, got {value}"));
        }
    }

    /// Checks that no entry is there twice.
    pub(super) fn once<T: Ord>(&mut self, pointer: &str, entries: impl Iterator<Item = T>) {
        let mut seen = BTreeSet::new();
        for (index, entry) in entries.enumerate() {
            if !seen.insert(entry) {
                self.refuse(
                    format!("{pointer}/{index}"),
                    "expected each entry once, got this one again".to_owned(),
                );
            }
        }
    }

    /// Checks a list of nodes with a role: real ones, each once.
    fn nodes(&mut self, name: &str, nodes: &[Node]) {
        self.count(name, nodes, Network::MAX_SPECIAL_NODES);
        let mut seen = BTreeSet::new();
        for (index, Node(address)) in nodes.iter().enumerate().take(Network::MAX_SPECIAL_NODES) {
            if address.is_reserved() {
                self.refuse(
                    format!("{name}/{index}"),
                    format!("expected the address of a node, got {address}"),
                );
            } else if !seen.insert(*address) {
                self.refuse(
                    format!("{name}/{index}"),
                    format!("expected each node once, got {address} again"),
                );
            }
        }
    }
}

/// Returns a network that has the settings of a new one, and of `stored` what is not a setting, and the rules.
pub(crate) fn reset(stored: &Network) -> Network {
    Network {
        revision: stored.revision,
        rules: stored.rules.clone(),
        rules_source: stored.rules_source.clone(),
        rule_tests: stored.rule_tests.clone(),
        rule_tests_required: stored.rule_tests_required,
        capabilities: stored.capabilities.clone(),
        tags: stored.tags.clone(),
        sso_enabled: stored.sso_enabled,
        ..Network::new(stored.id, stored.created)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use zt_proto::NetworkId;

    use super::*;

    fn network() -> Network {
        Network::new(NetworkId(0xa940_ad42_9a00_00f1), Timestamp(5))
    }

    fn change(body: Value) -> NetworkChange {
        serde_json::from_value(body).unwrap()
    }

    fn shown(network: &Network) -> Value {
        serde_json::to_value(NetworkView::new(network, &MemberCounts::default())).unwrap()
    }

    fn full() -> Value {
        json!({
            "name": "office", "private": false, "enableBroadcast": false, "allowPassiveBridging": true,
            "multicastLimit": 7, "mtu": 1500, "v4AssignMode": { "zt": true },
            "v6AssignMode": { "zt": true, "rfc4193": true, "6plane": true },
            "routes": [{ "target": "10.0.0.0/24", "via": null }, { "target": "fd00::/8", "via": "fd00::1" }],
            "ipAssignmentPools": [{ "ipRangeStart": "10.0.0.1", "ipRangeEnd": "10.0.0.9" }],
            "dns": { "domain": "zt", "servers": ["10.0.0.1"] },
            "relays": [{ "address": "1111111111", "phyAddress": "192.0.2.1/9993" }],
            "anchors": ["2222222222"], "multicastReplicators": ["3333333333"],
            "joinTokens": [{ "token": "s3cret", "expires": 9 }],
            "remoteTraceTarget": "4444444444", "remoteTraceLevel": 2,
            "certificateTimeoutWindowSize": 300_000,
        })
    }

    #[test]
    fn what_was_set_is_shown_and_null_takes_all_of_it_back() {
        let mut network = network();
        let full = full();
        assert_eq!(change(full.clone()).invalid(), []);
        change(full.clone()).apply(&mut network);
        let view = shown(&network);
        for (name, value) in full.as_object().unwrap() {
            assert_eq!(view.get(name), Some(value), "{name}");
        }
        let nothing = full.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
        change(Value::Object(nothing)).apply(&mut network);
        assert_eq!(network, self::network());
    }

    #[test]
    fn objects_are_merged() {
        let mut network = network();
        change(full()).apply(&mut network);
        let body = json!({ "v6AssignMode": { "rfc4193": null }, "dns": { "servers": [] } });
        change(body).apply(&mut network);
        let view = shown(&network);
        assert_eq!(view["v6AssignMode"], json!({ "zt": true, "rfc4193": false, "6plane": true }));
        assert_eq!(view["dns"], json!({ "domain": "zt", "servers": [] }));
        assert_eq!(view["name"], "office");
    }

    /// `known-flaws.md` rows 5 and 12.
    #[test]
    fn what_members_cannot_take_is_refused() {
        let route = json!({ "target": "10.0.0.0/24" });
        let node = |n: u64| format!("{:010x}", n + 1);
        for (body, pointer) in [
            (json!({ "name": "é".repeat(64) }), "/name"),
            (json!({ "mtu": 1279 }), "/mtu"),
            (json!({ "mtu": 10_001 }), "/mtu"),
            (json!({ "routes": vec![route; 129] }), "/routes"),
            (json!({ "routes": [{ "target": "10.0.0.0/24", "via": "fd00::1" }] }), "/routes/0/via"),
            (
                json!({ "ipAssignmentPools": [{ "ipRangeStart": "10.0.0.2", "ipRangeEnd": "10.0.0.1" }] }),
                "/ipAssignmentPools/0/ipRangeEnd",
            ),
            (
                json!({ "ipAssignmentPools": [{ "ipRangeStart": "10.0.0.2", "ipRangeEnd": "fd00::" }] }),
                "/ipAssignmentPools/0/ipRangeEnd",
            ),
            (json!({ "dns": { "domain": "x".repeat(128) } }), "/dns/domain"),
            (json!({ "dns": { "servers": vec!["10.0.0.1"; 5] } }), "/dns/servers"),
            (json!({ "anchors": (0..65).map(node).collect::<Vec<_>>() }), "/anchors"),
            (json!({ "anchors": ["1111111111", "1111111111"] }), "/anchors/1"),
            (json!({ "multicastReplicators": ["0000000000"] }), "/multicastReplicators/0"),
            (
                json!({ "relays": [{ "address": "1111111111", "phyAddress": "1.2.3.4/0" }] }),
                "/relays/0/phyAddress",
            ),
            (json!({ "joinTokens": [{ "token": "" }] }), "/joinTokens/0/token"),
            (json!({ "joinTokens": [{ "token": "a" }, { "token": "a" }] }), "/joinTokens/1/token"),
            (json!({ "certificateTimeoutWindowSize": 1 }), "/certificateTimeoutWindowSize"),
            (json!({ "multicastLimit": 1_u64 << 32 }), "/multicastLimit"),
        ] {
            let invalid = change(body.clone()).invalid();
            let places: Vec<_> = invalid.iter().map(|invalid| invalid.pointer.as_str()).collect();
            assert_eq!(places, [pointer], "{body}");
        }
    }

    #[test]
    fn replacing_leaves_what_is_no_setting() {
        let mut network = Network { revision: 3, rules_source: "drop;".to_owned(), ..network() };
        change(full()).apply(&mut network);
        let expected = Network { revision: 3, rules_source: "drop;".to_owned(), ..self::network() };
        assert_eq!(reset(&network), expected);
    }
}
