//! Networks (`vl2.md` §9.1, §16).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};
use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES};
use zt_proto::{Address, NetworkId, Timestamp};

use super::{Fields, Reading};
use crate::Network;
use crate::network::{CapabilityDefinition, Dns, Pool, Route, TagDefinition, V4Assign, V6Assign};
use crate::record::{FieldError, legacy, lenient, special};
use crate::rules::json::read_table;

/// What the original removes itself each time it saves.
const MOMENTARY: &[&str] =
    &["activeMemberCount", "authorizedMemberCount", "clock", "lastModified", "totalMemberCount"];
/// What members get of longer lists (`vl2.md` §17).
const MAX_ROUTES: usize = 128;
const MAX_DNS_SERVERS: usize = 4;
const MAX_TEXT_BYTES: usize = 127;

/// Reads the record of the network `id`; `now` is when it was created if the record does not say.
pub fn read_network(record: &Map<String, Value>, id: NetworkId, now: Timestamp) -> Reading<Network> {
    let mut fields = Fields::new(record);
    fields.repeats("id", &id.to_string());
    fields.repeats("nwid", &id.to_string());
    fields.repeats("objtype", "network");
    let usual = Network::new(id, now);
    let network = Network {
        name: read_name(&mut fields),
        private: fields.boolean("private", usual.private),
        created: Timestamp(fields.integer("creationTime", usual.created.0)),
        revision: fields.integer("revision", 1).max(1),
        broadcast: fields.boolean("enableBroadcast", usual.broadcast),
        multicast_limit: fields.integer("multicastLimit", usual.multicast_limit),
        passive_bridging: fields.optional("allowPassiveBridging").is_some()
            && fields.boolean("allowPassiveBridging", false),
        relays: read_nodes(&mut fields, "relays", special::relay, |relay| relay.address),
        anchors: read_nodes(&mut fields, "anchors", special::node, |node| *node),
        multicast_replicators: read_nodes(&mut fields, "multicastReplicators", special::node, |node| *node),
        mtu: read_mtu(&mut fields, usual.mtu),
        v4_assign: read_v4_assign(&mut fields),
        v6_assign: read_v6_assign(&mut fields),
        routes: read_routes(&mut fields),
        pools: read_pools(&mut fields),
        dns: read_dns(&mut fields),
        capabilities: read_capabilities(&mut fields),
        tags: read_tags(&mut fields),
        join_tokens: read_join_tokens(&mut fields),
        remote_trace: fields.remote_trace(),
        sso_enabled: fields.optional("ssoEnabled").is_some() && fields.boolean("ssoEnabled", false),
        credential_window: read_window(&mut fields),
        rules_source: fields
            .optional("rulesSource")
            .map(|value| fields.read_text("rulesSource", value))
            .unwrap_or_default(),
        rule_tests: fields
            .optional("ruleTests")
            .map(|value| fields.read_text("ruleTests", value))
            .unwrap_or_default(),
        rule_tests_required: fields.optional("ruleTestsRequired").is_some()
            && fields.boolean("ruleTestsRequired", false),
        rules: if record.contains_key("rules") {
            read_rules(&mut fields)
        } else {
            fields.take("rules");
            usual.rules
        },
        ..usual
    };
    drop_empty(&mut fields, "clientId");
    drop_empty(&mut fields, "authorizationEndpoint");
    fields.finish(network, MOMENTARY)
}

/// Leaves out a text that every record has and that says nothing.
fn drop_empty(fields: &mut Fields<'_>, name: &'static str) {
    if fields.fields.get(name).and_then(Value::as_str) == Some("") {
        fields.taken.insert(name);
    }
}

/// Reads a list of nodes, leaving out what is none, and whoever is there again.
fn read_nodes<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    read: impl Fn(&Value) -> Result<T, FieldError>,
    address: impl Fn(&T) -> Address,
) -> Vec<T> {
    let Some(value) = fields.optional(name) else { return Vec::new() };
    let mut nodes: Vec<T> = Vec::new();
    for (index, entry) in fields.read_entries(name, value).iter().enumerate() {
        match read(entry) {
            Ok(node) if nodes.iter().any(|other| address(other) == address(&node)) => {
                let problem = format!("{} is there twice; kept once", address(&node));
                fields.warn_entry(name, index, FieldError::new("", problem));
            }
            Ok(node) => nodes.push(node),
            Err(error) => fields.warn_entry(name, index, error.and("left out")),
        }
    }
    let max = Network::MAX_SPECIAL_NODES;
    if nodes.len() > max {
        fields.warnings.push(FieldError::new(name, format!("the first {max} of {} were taken", nodes.len())));
        nodes.truncate(max);
    }
    nodes
}

fn read_name(fields: &mut Fields<'_>) -> String {
    let name = fields.text("name");
    if name.len() > MAX_TEXT_BYTES {
        let problem = format!("members get the first {MAX_TEXT_BYTES} of {} bytes", name.len());
        fields.warnings.push(FieldError::new("name", problem));
    }
    name
}

/// Reads the MTU; whatever is out of range is kept, as members are told the nearest that is not.
fn read_mtu(fields: &mut Fields<'_>, default: u16) -> u16 {
    let mtu = fields.integer("mtu", default.into()) & 0xffff_ffff;
    let read = u16::try_from(mtu).unwrap_or(Network::MAX_MTU);
    if !(Network::MIN_MTU..=Network::MAX_MTU).contains(&read) || u64::from(read) != mtu {
        let expected = format!("{} to {} bytes", Network::MIN_MTU, Network::MAX_MTU);
        let problem = format!("expected {expected}, got {mtu}; members are told the nearest");
        fields.warnings.push(FieldError::new("mtu", problem));
    }
    read
}

fn read_v4_assign(fields: &mut Fields<'_>) -> V4Assign {
    let Some(value) = fields.take("v4AssignMode") else { return V4Assign::default() };
    if !(value.is_object() || value.is_string()) {
        fields.warn("v4AssignMode", "an object", value, "read as {\"zt\":false}");
    }
    crate::record::network::parse_v4_assign(value)
}

fn read_v6_assign(fields: &mut Fields<'_>) -> V6Assign {
    let Some(value) = fields.take("v6AssignMode") else { return V6Assign::default() };
    if !(value.is_object() || value.is_string()) {
        fields.warn("v6AssignMode", "an object", value, "read as all off");
    }
    crate::record::network::parse_v6_assign(value)
}

fn read_routes(fields: &mut Fields<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    for (index, entry) in fields.entries("routes").iter().enumerate() {
        match read_route(entry) {
            Ok((route, warning)) => {
                routes.push(route);
                warning.into_iter().for_each(|warning| fields.warn_entry("routes", index, warning));
            }
            // A client that gets such a route may reject all there is (`known-flaws.md` row 12).
            Err(error) => fields.warn_entry("routes", index, error.and("the route was left out")),
        }
    }
    warn_of_more(fields, "routes", routes.len(), MAX_ROUTES);
    routes
}

fn read_route(entry: &Value) -> Result<(Route, Option<FieldError>), FieldError> {
    let target = entry.get("target");
    let read = target.and_then(Value::as_str).and_then(lenient::prefix);
    let read = read.ok_or_else(|| FieldError::unexpected("target", "ADDRESS/BITS", target))?;
    let via = entry.get("via").filter(|via| !via.is_null());
    let usable = via.and_then(Value::as_str).and_then(lenient::ip);
    let usable = usable.filter(|via| via.is_ipv4() == read.ip().is_ipv4());
    let warning = via.filter(|_| usable.is_none()).map(|via| {
        let error = FieldError::unexpected("via", "an address of the target's family or null", Some(via));
        error.and("the route was kept without a gateway, as members got it")
    });
    let others = entry.as_object().into_iter().flatten().find(|(name, value)| {
        let says_nothing = value.is_null() || value.as_u64() == Some(0);
        !matches!(name.as_str(), "target" | "via") && !says_nothing
    });
    let warning = warning.or_else(|| {
        let (name, value) = others?;
        let error = FieldError::unexpected(name, "only target and via", Some(value));
        Some(error.and("this part was not kept: members never got it"))
    });
    Ok((Route { target: read, via: usable }, warning))
}

fn read_pools(fields: &mut Fields<'_>) -> Vec<Pool> {
    let mut pools = Vec::new();
    for (index, entry) in fields.entries("ipAssignmentPools").iter().enumerate() {
        match read_pool(entry) {
            Ok(pool) => {
                if pool.first > pool.last {
                    let problem = "the range ends before it begins; kept, but no address comes from it";
                    fields.warn_entry("ipAssignmentPools", index, FieldError::new("", problem.to_owned()));
                }
                pools.push(pool);
            }
            Err(error) => fields.warn_entry("ipAssignmentPools", index, error.and("the pool was left out")),
        }
    }
    pools
}

fn read_pool(entry: &Value) -> Result<Pool, FieldError> {
    if let Some(pool) =
        entry.as_object().filter(|entry| !entry.contains_key("ipRangeStart")).and_then(legacy::parse_pool)
    {
        return Ok(pool);
    }
    let end = |name| {
        let value = entry.get(name);
        let ip = value.and_then(Value::as_str).and_then(lenient::ip);
        ip.ok_or_else(|| FieldError::unexpected(name, "an IP address", value))
    };
    let (first, last): (IpAddr, IpAddr) = (end("ipRangeStart")?, end("ipRangeEnd")?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(FieldError::unexpected(
            "ipRangeEnd",
            "an address of the same family",
            entry.get("ipRangeEnd"),
        ));
    }
    Ok(Pool { first, last })
}

fn read_dns(fields: &mut Fields<'_>) -> Option<Dns> {
    let value = fields.optional("dns")?;
    let Value::Object(object) = value else {
        // The original writes an empty array when there is none.
        if !value.as_array().is_some_and(Vec::is_empty) && !value.is_null() {
            fields.warn("dns", "an object", value, "read as none");
        }
        return None;
    };
    let domain = object.get("domain");
    let text = domain.map(lenient::text).unwrap_or_default();
    if let Some(domain) = domain.filter(|domain| !domain.is_string()) {
        let error = FieldError::unexpected("domain", "a text", Some(domain));
        fields.warnings.push(error.and(&format!("read as {text:?}")).within("dns"));
    }
    if text.len() > MAX_TEXT_BYTES {
        let problem = format!("members get the first {MAX_TEXT_BYTES} of {} bytes", text.len());
        fields.warnings.push(FieldError::new("domain", problem).within("dns"));
    }
    let mut servers = Vec::new();
    let entries = object.get("servers").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    for (index, entry) in entries.iter().enumerate() {
        match entry.as_str().and_then(lenient::ip) {
            Some(ip) => servers.push(ip),
            None => {
                let error =
                    FieldError::unexpected("", "an IP address", Some(entry)).and("the server was left out");
                fields.warnings.push(error.at(index).within("servers").within("dns"));
            }
        }
    }
    if servers.len() > MAX_DNS_SERVERS {
        let problem = format!("members get the first {MAX_DNS_SERVERS} of {}", servers.len());
        fields.warnings.push(FieldError::new("servers", problem).within("dns"));
    }
    Some(Dns { domain: text, servers })
}

fn read_rules(fields: &mut Fields<'_>) -> Vec<zt_proto::rules::Rule> {
    let entries = fields.entries("rules");
    let mut warnings = Vec::new();
    let rules = read_table(entries, &mut warnings);
    fields.warnings.extend(warnings.into_iter().map(|warning| warning.within("rules")));
    warn_of_more(fields, "rules", rules.len(), MAX_RULES);
    rules
}

fn read_capabilities(fields: &mut Fields<'_>) -> Vec<CapabilityDefinition> {
    const NAME: &str = "capabilities";
    let mut capabilities = BTreeMap::new();
    for (index, entry) in fields.entries(NAME).iter().enumerate() {
        let Some(object) = entry.as_object() else {
            let error = FieldError::unexpected("", "an object", Some(entry));
            fields.warn_entry(NAME, index, error.and("the capability was left out"));
            continue;
        };
        let id = read_id(fields, NAME, index, object.get("id"));
        let mut warnings = Vec::new();
        let entries = object.get("rules").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        let rules = read_table(entries, &mut warnings);
        for warning in warnings {
            fields.warn_entry(NAME, index, warning.within("rules"));
        }
        if rules.len() > MAX_CAPABILITY_RULES {
            let problem = format!("members get the first {MAX_CAPABILITY_RULES} of {}", rules.len());
            fields.warn_entry(NAME, index, FieldError::new("rules", problem));
        }
        let default = object.get("default").is_some_and(|value| lenient::boolean(value, false));
        if capabilities.insert(id, CapabilityDefinition { id, default, rules }).is_some() {
            warn_of_double(fields, NAME, index, id);
        }
    }
    capabilities.into_values().collect()
}

fn read_tags(fields: &mut Fields<'_>) -> Vec<TagDefinition> {
    const NAME: &str = "tags";
    let mut tags = BTreeMap::new();
    for (index, entry) in fields.entries(NAME).iter().enumerate() {
        let Some(object) = entry.as_object() else {
            let error = FieldError::unexpected("", "an object", Some(entry));
            fields.warn_entry(NAME, index, error.and("the tag was left out"));
            continue;
        };
        let id = read_id(fields, NAME, index, object.get("id"));
        let default = object.get("default").filter(|value| !value.is_null());
        let default = default.map(|value| {
            let read = (lenient::integer(value, 0) & 0xffff_ffff) as u32;
            if value.as_u64() != Some(read.into()) {
                let error = FieldError::unexpected("default", "0 to 4294967295 or null", Some(value));
                fields.warn_entry(NAME, index, error.and(&format!("read as {read}")));
            }
            read
        });
        if tags.insert(id, TagDefinition { id, default }).is_some() {
            warn_of_double(fields, NAME, index, id);
        }
    }
    tags.into_values().collect()
}

fn read_id(fields: &mut Fields<'_>, name: &str, index: usize, value: Option<&Value>) -> u32 {
    let read = (value.map_or(0, |value| lenient::integer(value, 0)) & 0xffff_ffff) as u32;
    if value.and_then(Value::as_u64) != Some(read.into()) {
        let error = FieldError::unexpected("id", "0 to 4294967295", value);
        fields.warn_entry(name, index, error.and(&format!("read as {read}")));
    }
    read
}

fn read_join_tokens(fields: &mut Fields<'_>) -> BTreeMap<String, Timestamp> {
    let Some(value) = fields.take("authTokens") else { return BTreeMap::new() };
    let Value::Object(object) = value else {
        // The original writes an array when there are none.
        if !value.is_array() && !value.is_null() {
            fields.warn("authTokens", "an object", value, "read as none");
        }
        return BTreeMap::new();
    };
    let mut tokens = BTreeMap::new();
    for (token, expiry) in object {
        if expiry.as_f64().is_some_and(|expiry| expiry >= 0.0) {
            tokens.insert(token.clone(), Timestamp(lenient::integer(expiry, 0)));
        } else {
            // The token is a secret, which has no place in a report.
            let error = FieldError::unexpected("authTokens", "times from 0", Some(expiry));
            fields.warnings.push(error.and("the token was left out"));
        }
    }
    tokens
}

fn read_window(fields: &mut Fields<'_>) -> Option<u64> {
    const NAME: &str = "certificateTimeoutWindowSize";
    let value = fields.optional(NAME).filter(|value| !value.is_null())?;
    // The original fails on anything else, with every request.
    if value.as_u64().is_none() {
        fields.warn(NAME, "milliseconds", value, "the default is used");
    }
    value.as_u64()
}

fn warn_of_more(fields: &mut Fields<'_>, name: &str, got: usize, max: usize) {
    if got > max {
        fields.warnings.push(FieldError::new(name, format!("members get the first {max} of {got}")));
    }
}

fn warn_of_double(fields: &mut Fields<'_>, name: &str, index: usize, id: u32) {
    let problem = format!("{id} is the id of an earlier one too; this one was taken, as the original did");
    fields.warn_entry(name, index, FieldError::new("id", problem));
}
