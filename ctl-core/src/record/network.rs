//! Networks as JSON (`vl2.md` §9.1, `http-api.md` §8).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use zt_proto::Timestamp;
use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES, Rule};

use super::{FieldError, apply_remote_trace, legacy, lenient, special};
use crate::Network;
use crate::network::{CapabilityDefinition, Dns, Pool, Route, TagDefinition, V4Assign, V6Assign};
use crate::rules::json as rules;

/// A network as its record shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRecord {
    #[serde(skip_serializing_if = "is_false")]
    allow_passive_bridging: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchors: Option<Value>,
    auth_tokens: Value,
    authorization_endpoint: &'static str,
    capabilities: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_timeout_window_size: Option<u64>,
    client_id: &'static str,
    creation_time: u64,
    dns: Value,
    enable_broadcast: bool,
    id: String,
    ip_assignment_pools: Value,
    mtu: u16,
    multicast_limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    multicast_replicators: Option<Value>,
    name: String,
    nwid: String,
    objtype: &'static str,
    private: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    relays: Option<Value>,
    remote_trace_level: u64,
    remote_trace_target: Option<String>,
    revision: u64,
    routes: Value,
    rules: Vec<Value>,
    rules_source: String,
    sso_enabled: bool,
    tags: Value,
    v4_assign_mode: Value,
    v6_assign_mode: Value,
}

/// Renders a network.
pub fn render(network: &Network) -> NetworkRecord {
    let Network { v4_assign: v4, v6_assign: v6, .. } = network;
    NetworkRecord {
        allow_passive_bridging: network.passive_bridging,
        anchors: special::render_nodes(&network.anchors),
        auth_tokens: render_join_tokens(&network.join_tokens),
        authorization_endpoint: "",
        capabilities: network.capabilities.iter().map(render_capability).collect(),
        certificate_timeout_window_size: network.credential_window,
        client_id: "",
        creation_time: network.created.0,
        dns: network.dns.as_ref().map_or_else(|| json!([]), render_dns),
        enable_broadcast: network.broadcast,
        id: network.id.to_string(),
        ip_assignment_pools: network.pools.iter().map(render_pool).collect(),
        mtu: network.mtu,
        multicast_limit: network.multicast_limit,
        multicast_replicators: special::render_nodes(&network.multicast_replicators),
        name: network.name.clone(),
        nwid: network.id.to_string(),
        objtype: "network",
        private: network.private,
        relays: special::render_relays(&network.relays),
        remote_trace_level: network.remote_trace.level,
        remote_trace_target: network.remote_trace.target.clone(),
        revision: network.revision,
        routes: network.routes.iter().map(render_route).collect(),
        rules: render_rules(&network.rules),
        rules_source: network.rules_source.clone(),
        sso_enabled: network.sso_enabled,
        tags: network.tags.iter().map(|tag| json!({ "default": tag.default, "id": tag.id })).collect(),
        v4_assign_mode: json!({ "zt": v4.pool }),
        v6_assign_mode: json!({ "6plane": v6.sixplane, "rfc4193": v6.rfc4193, "zt": v6.pool }),
    }
}

/// No tokens are `[null]`, as in a new network of the original: what every client has seen.
fn render_join_tokens(tokens: &BTreeMap<String, Timestamp>) -> Value {
    if tokens.is_empty() {
        return json!([null]);
    }
    tokens.iter().map(|(token, expiry)| (token.clone(), expiry.0)).collect()
}

/// Renders the rules; those of a new network with the two keys that the original shows on no other action.
fn render_rules(rules: &[Rule]) -> Vec<Value> {
    if let [Rule::ACCEPT] = rules {
        return vec![json!({ "not": false, "or": false, "type": "ACTION_ACCEPT" })];
    }
    rules::render_table(rules)
}

fn render_capability(capability: &CapabilityDefinition) -> Value {
    let rules = rules::render_table(&capability.rules);
    json!({ "default": capability.default, "id": capability.id, "rules": rules })
}

fn render_dns(dns: &Dns) -> Value {
    let servers: Vec<_> = dns.servers.iter().map(ToString::to_string).collect();
    json!({ "domain": dns.domain, "servers": servers })
}

fn render_pool(pool: &Pool) -> Value {
    json!({ "ipRangeEnd": pool.last.to_string(), "ipRangeStart": pool.first.to_string() })
}

fn render_route(route: &Route) -> Value {
    json!({ "target": route.target.to_string(), "via": route.via.map(|via| via.to_string()) })
}

/// Changes the fields that `body` has; unknown and read-only ones are ignored.
///
/// # Errors
/// If a rule is not understood, if there are more rules than members can take, or longer ones
/// ([`Network::check_len`]), or if a field that the original does not take is not what it should be. The network may
/// then have been changed in part: use a copy.
pub fn apply(body: &Map<String, Value>, network: &mut Network) -> Result<(), FieldError> {
    let before = network.clone();
    apply_fields(body, network)?;
    network.check_len(Some(&before))
}

fn apply_fields(body: &Map<String, Value>, network: &mut Network) -> Result<(), FieldError> {
    apply_scalars(body, network);
    apply_remote_trace(body, &mut network.remote_trace);
    apply_addressing(body, network);
    apply_special(body, network)?;
    if let Some(value) = body.get("rulesSource") {
        network.rules_source = lenient::text(value);
    }
    if let Some(entries) = body.get("rules").and_then(Value::as_array) {
        network.rules = rules::parse_table(entries, MAX_RULES).map_err(|error| error.within("rules"))?;
    }
    if let Some(value) = body.get("capabilities") {
        apply_capabilities(value, network).map_err(|error| error.within("capabilities"))?;
    }
    if let Some(entries) = body.get("tags").and_then(lenient::entries) {
        let tags = entries.filter_map(Value::as_object).map(parse_tag).map(|tag| (tag.id, tag));
        network.tags = tags.collect::<BTreeMap<_, _>>().into_values().collect();
    }
    if let Some(value) = body.get("authTokens") {
        let entries = value.as_object().into_iter().flatten();
        let usable = entries.filter(|(_, expiry)| expiry.as_f64().is_some_and(|expiry| expiry >= 0.0));
        network.join_tokens =
            usable.map(|(token, expiry)| (token.clone(), Timestamp(lenient::integer(expiry, 0)))).collect();
    }
    Ok(())
}

fn apply_scalars(body: &Map<String, Value>, network: &mut Network) {
    if let Some(value) = body.get("name") {
        network.name = lenient::text(value);
    }
    if let Some(value) = body.get("private") {
        network.private = lenient::boolean(value, true);
    }
    if let Some(value) = body.get("enableBroadcast") {
        network.broadcast = lenient::boolean(value, false);
    }
    if let Some(value) = body.get("multicastLimit") {
        network.multicast_limit = lenient::integer(value, 32);
    }
    if let Some(value) = body.get("mtu") {
        // The original cuts to 32 bits before it clamps.
        let mtu = lenient::integer(value, 2800) & 0xffff_ffff;
        let mtu = mtu.clamp(Network::MIN_MTU.into(), Network::MAX_MTU.into());
        network.mtu = u16::try_from(mtu).unwrap_or(Network::MAX_MTU);
    }
}

/// Fields that are shown only once they were set.
fn apply_special(body: &Map<String, Value>, network: &mut Network) -> Result<(), FieldError> {
    if let Some(value) = body.get("allowPassiveBridging") {
        network.passive_bridging = lenient::boolean(value, false);
    }
    if let Some(value) = body.get("relays") {
        network.relays = special::nodes("relays", value, special::relay, |relay| relay.address)?;
    }
    if let Some(value) = body.get("anchors") {
        network.anchors = special::nodes("anchors", value, special::node, |node| *node)?;
    }
    if let Some(value) = body.get("multicastReplicators") {
        network.multicast_replicators =
            special::nodes("multicastReplicators", value, special::node, |node| *node)?;
    }
    if let Some(value) = body.get("certificateTimeoutWindowSize") {
        network.credential_window = special::window(value)?;
    }
    Ok(())
}

fn is_false(value: &bool) -> bool {
    !value
}

fn apply_addressing(body: &Map<String, Value>, network: &mut Network) {
    if let Some(value) = body.get("v4AssignMode") {
        network.v4_assign = parse_v4_assign(value);
    }
    if let Some(value) = body.get("v6AssignMode") {
        network.v6_assign = parse_v6_assign(value);
    }
    if let Some(value) = body.get("routes") {
        if let Some(entries) = lenient::entries(value) {
            network.routes = entries.filter_map(parse_route).collect();
        }
    } else if let Some(routes) = body.get("ipLocalRoutes").and_then(legacy::parse_local_routes) {
        network.routes = routes;
    }
    if let Some(entries) = body.get("ipAssignmentPools").and_then(lenient::entries) {
        network.pools = entries.filter_map(parse_pool).collect();
    }
    if let Some(dns) = body.get("dns").and_then(Value::as_object) {
        network.dns = Some(parse_dns(dns));
    }
}

pub(super) fn parse_v4_assign(value: &Value) -> V4Assign {
    let pool = value.as_str() == Some("zt") || flag(value, "zt");
    V4Assign { pool }
}

/// Reads an object, or the comma-separated text of 2016.
pub(super) fn parse_v6_assign(value: &Value) -> V6Assign {
    let named = |name: &str| {
        flag(value, name) || value.as_str().is_some_and(|text| text.split(',').any(|mode| mode == name))
    };
    V6Assign { pool: named("zt"), rfc4193: named("rfc4193"), sixplane: named("6plane") }
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(|value| lenient::boolean(value, false))
}

/// Reads a route; `None` if it has no readable target. A gateway that cannot be used is none.
fn parse_route(entry: &Value) -> Option<Route> {
    let target = lenient::prefix(entry.get("target")?.as_str()?)?;
    let via = entry.get("via").and_then(Value::as_str).and_then(lenient::ip);
    Some(Route { target, via: via.filter(|via| via.is_ipv4() == target.ip().is_ipv4()) })
}

/// Reads a pool; `None` if an end is missing or unreadable, or if the two are of different families.
fn parse_pool(entry: &Value) -> Option<Pool> {
    let entry = entry.as_object()?;
    if !entry.contains_key("ipRangeStart") && entry.contains_key("network") {
        return legacy::parse_pool(entry);
    }
    let end = |name| lenient::ip(entry.get(name)?.as_str()?);
    let (first, last) = (end("ipRangeStart")?, end("ipRangeEnd")?);
    (first.is_ipv4() == last.is_ipv4()).then_some(Pool { first, last })
}

fn parse_dns(dns: &Map<String, Value>) -> Dns {
    let servers = dns.get("servers").and_then(lenient::entries).into_iter().flatten();
    Dns {
        domain: dns.get("domain").map(lenient::text).unwrap_or_default(),
        servers: servers.filter_map(Value::as_str).filter_map(lenient::ip).collect(),
    }
}

fn apply_capabilities(value: &Value, network: &mut Network) -> Result<(), FieldError> {
    let Some(entries) = lenient::entries(value) else { return Ok(()) };
    let mut capabilities = BTreeMap::new();
    for (index, entry) in entries.enumerate() {
        let Some(entry) = entry.as_object() else { continue };
        let capability = parse_capability(entry).map_err(|error| error.at(index))?;
        capabilities.insert(capability.id, capability);
    }
    network.capabilities = capabilities.into_values().collect();
    Ok(())
}

fn parse_capability(entry: &Map<String, Value>) -> Result<CapabilityDefinition, FieldError> {
    let rules = entry.get("rules").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    Ok(CapabilityDefinition {
        id: parse_id(entry.get("id")),
        default: entry.get("default").is_some_and(|value| lenient::boolean(value, false)),
        rules: rules::parse_table(rules, MAX_CAPABILITY_RULES).map_err(|error| error.within("rules"))?,
    })
}

fn parse_tag(entry: &Map<String, Value>) -> TagDefinition {
    let default = entry.get("default").filter(|value| !value.is_null());
    TagDefinition {
        id: parse_id(entry.get("id")),
        default: default.map(|value| (lenient::integer(value, 0) & 0xffff_ffff) as u32),
    }
}

/// Reads the id of a tag or capability: 0 if missing, without the bits that do not fit on the wire.
fn parse_id(value: Option<&Value>) -> u32 {
    (value.map_or(0, |value| lenient::integer(value, 0)) & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use zt_proto::NetworkId;

    use super::*;

    fn network() -> Network {
        Network::new(NetworkId(0xa940_ad42_9a00_00aa), Timestamp(1_795_356_830_104))
    }

    fn applied(body: Value) -> Network {
        let mut network = network();
        apply(body.as_object().unwrap(), &mut network).unwrap();
        network
    }

    fn shown(network: &Network) -> Value {
        serde_json::to_value(render(network)).unwrap()
    }

    /// `http-api.md` §8.
    #[test]
    fn new_network_is_shown_with_every_key() {
        let mut network = network();
        network.revision = 1;
        let expected = json!({
            "authTokens": [null], "authorizationEndpoint": "", "capabilities": [],
            "clientId": "", "creationTime": 1_795_356_830_104_u64, "dns": [], "enableBroadcast": true,
            "id": "a940ad429a0000aa", "ipAssignmentPools": [], "mtu": 2800, "multicastLimit": 32, "name": "",
            "nwid": "a940ad429a0000aa", "objtype": "network", "private": true, "remoteTraceLevel": 0,
            "remoteTraceTarget": null, "revision": 1, "routes": [],
            "rules": [{ "not": false, "or": false, "type": "ACTION_ACCEPT" }], "rulesSource": "",
            "ssoEnabled": false, "tags": [], "v4AssignMode": { "zt": false },
            "v6AssignMode": { "6plane": false, "rfc4193": false, "zt": false },
        });
        assert_eq!(shown(&network), expected);
    }

    #[test]
    fn network_that_was_shown_is_applied_without_a_change() {
        let network = applied(json!({
            "name": "office", "private": false, "mtu": 1500, "multicastLimit": 16, "rulesSource": "accept;",
            "remoteTraceTarget": "abcdef0123", "remoteTraceLevel": 2,
            "v4AssignMode": { "zt": true }, "v6AssignMode": "rfc4193,6plane",
            "routes": [{ "target": "10.147.17.0/24" }, { "target": "fd00::/8", "via": "fd00::1" }],
            "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.9" }],
            "dns": { "domain": "zt.example.com", "servers": ["10.147.17.1", "fd00::53"] },
            "rules": [{ "type": "MATCH_ETHERTYPE", "etherType": 2048, "not": true }, { "type": "ACTION_DROP" }],
            "capabilities": [{ "id": 7, "default": true, "rules": [{ "type": "ACTION_ACCEPT" }] }],
            "tags": [{ "id": 9, "default": null }, { "id": 2, "default": 7 }],
            "authTokens": { "secret": 0, "other": 1_700_000_000_000_u64 },
        }));
        let mut again = network.clone();
        apply(shown(&network).as_object().unwrap(), &mut again).unwrap();
        assert_eq!(again, network);
    }

    /// `http-api.md` §20, item 6.
    #[test]
    fn assign_modes_and_trace_level_that_are_not_sent_are_kept_or_false() {
        let mut network =
            applied(json!({ "remoteTraceLevel": 3, "v6AssignMode": { "zt": true, "rfc4193": true } }));
        apply(json!({ "v6AssignMode": { "6plane": 1 } }).as_object().unwrap(), &mut network).unwrap();
        assert_eq!(network.v6_assign, V6Assign { pool: false, rfc4193: false, sixplane: true });
        assert_eq!(network.remote_trace.level, 3);
    }

    #[test]
    fn old_shapes_are_read() {
        let network = applied(json!({
            "v4AssignMode": "zt",
            "ipLocalRoutes": ["10.1.0.0/24", "junk"],
            "ipAssignmentPools": [{ "network": "10.1.0.0", "netmaskBits": 24 }],
            "rules": [{ "ruleNo": 10, "etherType": 2048, "action": "accept" }],
        }));
        let shown = shown(&network);
        assert_eq!(shown["v4AssignMode"], json!({ "zt": true }));
        assert_eq!(shown["routes"], json!([{ "target": "10.1.0.0/24", "via": null }]));
        assert_eq!(
            shown["ipAssignmentPools"],
            json!([{ "ipRangeEnd": "10.1.0.254", "ipRangeStart": "10.1.0.1" }])
        );
        assert_eq!(network.rules.len(), 2);
    }

    #[test]
    fn error_names_the_rule_of_the_capability() {
        let body = json!({ "capabilities": [{ "id": 1 }, { "rules": [{ "type": "X" }] }] });
        let error = apply(body.as_object().unwrap(), &mut network()).unwrap_err().to_string();
        assert!(error.starts_with("capabilities[1].rules[0].type: unknown rule type \"X\""), "{error}");
        let body = json!({ "rules": vec![json!({ "type": "ACTION_DROP" }); 1025] });
        let error = apply(body.as_object().unwrap(), &mut network()).unwrap_err().to_string();
        assert_eq!(error, "rules: expected at most 1024 rules, got 1025");
    }
}
