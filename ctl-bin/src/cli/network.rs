//! `ctl-bin network`: the networks of a controller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};
use zt_proto::{IpPrefix, NetworkId, Timestamp};

use super::args::{
    NetworkCommand, NetworkCreateArgs, NetworkDeleteArgs, NetworkLsArgs, NetworkSetArgs, NetworkSettings,
    NetworkShowArgs, PoolArg, RouteArg, V6Mode, listed,
};
use super::table::{ATTENTION, GOOD, cell, counted, pairs, show, styled, table};
use super::{
    CliError, Client, confirm, contains, entries, flag, named, number, show_json, text, times, yes_or_no,
};

/// Does what the command says.
pub(crate) fn run(command: &NetworkCommand, now: Timestamp) -> Result<(), CliError> {
    match command {
        NetworkCommand::Ls(args) => list(args),
        NetworkCommand::Create(args) => create(args, now),
        NetworkCommand::Show(args) => show_one(args, now),
        NetworkCommand::Set(args) => set(args, now),
        NetworkCommand::Delete(args) => delete(args),
    }
}

/// Returns the path of a network in the API.
pub(crate) fn path(id: NetworkId) -> String {
    format!("/controller/network/{id}")
}

/// Finds a network by its id or its name.
pub(crate) fn find(client: &Client, name: &str) -> Result<NetworkId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let all = all(client)?;
    let found = named(all.iter(), ("name", name), "networks", "id")?;
    let id = found.and_then(|network| text(network, "id").parse().ok());
    id.ok_or_else(|| CliError::NoNetwork { name: name.to_owned() })
}

/// Says of a network that is not there that it is not.
pub(crate) fn missing(id: NetworkId) -> impl Fn(CliError) -> CliError {
    move |error| error.or_missing(|| CliError::NoNetwork { name: id.to_string() })
}

/// Returns all networks in full.
pub(crate) fn all(client: &Client) -> Result<Vec<Value>, CliError> {
    let list = client.get("/unstable/controller/network")?;
    let data = list.get("data").and_then(Value::as_array).cloned();
    data.ok_or_else(|| CliError::NoController { url: client.url().to_owned() })
}

fn list(args: &NetworkLsArgs) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let mut networks = all(&client)?;
    if let Some(part) = &args.search {
        networks
            .retain(|network| contains(text(network, "id"), part) || contains(text(network, "name"), part));
    }
    if args.json {
        show_json(&Value::Array(networks));
        return Ok(());
    }
    let rows = networks.iter().map(|network| {
        vec![
            cell(text(network, "id")),
            cell(text(network, "name")),
            access(network),
            cell(members(network)),
            cell(routes(network).join(", ")),
        ]
    });
    show(&table(&["ID", "NAME", "ACCESS", "MEMBERS", "ROUTES"], rows.collect()));
    Ok(())
}

fn create(args: &NetworkCreateArgs, now: Timestamp) -> Result<(), CliError> {
    let body = Value::Object(body(&args.settings));
    let client = Client::new(&args.connect)?;
    let network = match args.id {
        None => client.post("/controller/network", &body)?,
        // The API would change a network that is there.
        Some(id) => match client.get(&path(id)) {
            Err(CliError::NotFound { .. }) => client.post(&path(id), &body)?,
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(CliError::Refused {
                    status: 409,
                    says: format!("network {id} is there already"),
                });
            }
        },
    };
    tell(&network, args.json, now);
    Ok(())
}

fn show_one(args: &NetworkShowArgs, now: Timestamp) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let id = find(&client, &args.network)?;
    tell(&client.get(&path(id)).map_err(missing(id))?, args.json, now);
    Ok(())
}

fn set(args: &NetworkSetArgs, now: Timestamp) -> Result<(), CliError> {
    let mut body = body(&args.settings);
    if body.is_empty() {
        return Err(CliError::NothingToSet { command: "network set" });
    }
    let client = Client::new(&args.connect)?;
    let id = find(&client, &args.network)?;
    // To one that is not there, the same request would make it.
    let before = client.get(&path(id)).map_err(missing(id))?;
    keep_halves(&mut body, &before);
    tell(&client.post(&path(id), &Value::Object(body))?, args.json, now);
    Ok(())
}

fn delete(args: &NetworkDeleteArgs) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let id = find(&client, &args.network)?;
    let network = client.get(&path(id)).map_err(missing(id))?;
    let total = number(&network, "totalMemberCount");
    let name = super::table::printable(text(&network, "name"));
    confirm(
        &format!(
            "Delete network {id} ({name}) with its {}? They cannot come back.",
            counted(total, "member")
        ),
        args.yes,
    )?;
    client.delete(&path(id)).map_err(missing(id))?;
    if args.json {
        show_json(&network);
    } else {
        show(&format!("deleted: network {id} with {}", counted(total, "member")));
    }
    Ok(())
}

/// Prints a network as asked for.
fn tell(network: &Value, json: bool, now: Timestamp) {
    if json {
        return show_json(network);
    }
    let mut rows = vec![
        ("id", cell(text(network, "id"))),
        ("name", cell(text(network, "name"))),
        ("access", access(network)),
        ("members", cell(members(network))),
        ("routes", cell(or_none(routes(network).join(", ")))),
        ("pools", cell(or_none(pools(network).join(", ")))),
        ("IPv4 from pools", cell(yes_or_no(network.pointer("/v4AssignMode/zt") == Some(&Value::Bool(true))))),
        ("IPv6", cell(or_none(v6_modes(network).join(", ")))),
        ("broadcast", cell(yes_or_no(flag(network, "enableBroadcast")))),
        ("MTU", cell(number(network, "mtu").to_string())),
        ("multicast limit", cell(number(network, "multicastLimit").to_string())),
        ("rules", cell(entries(network, "rules").len().to_string())),
    ];
    if let Some(dns) = network.get("dns").and_then(dns) {
        rows.push(("DNS", cell(dns)));
    }
    let created = number(network, "creationTime");
    rows.push(("created", cell(format!("{} ({})", times::date(created), times::ago(now, created)))));
    rows.push(("revision", cell(number(network, "revision").to_string())));
    show(&pairs(rows));
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn access(network: &Value) -> super::table::Cell {
    if flag(network, "private") { styled("private", GOOD) } else { styled("public", ATTENTION) }
}

fn members(network: &Value) -> String {
    let authorized = number(network, "authorizedMemberCount");
    format!("{authorized} of {}", number(network, "totalMemberCount"))
}

fn routes(network: &Value) -> Vec<String> {
    let route = |route: &Value| match route.get("via").and_then(Value::as_str) {
        Some(via) => format!("{} via {via}", text(route, "target")),
        None => text(route, "target").to_owned(),
    };
    entries(network, "routes").iter().map(route).collect()
}

fn pools(network: &Value) -> Vec<String> {
    let pool = |pool: &Value| format!("{}-{}", text(pool, "ipRangeStart"), text(pool, "ipRangeEnd"));
    entries(network, "ipAssignmentPools").iter().map(pool).collect()
}

/// Says where members look names up; `None` if nothing is said about it.
fn dns(dns: &Value) -> Option<String> {
    let domain = text(dns, "domain");
    let servers: Vec<_> = entries(dns, "servers").iter().filter_map(Value::as_str).collect();
    let servers = servers.join(", ");
    match (domain.is_empty(), servers.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("every name at {servers}")),
        (false, true) => Some(format!("{domain}, without a server")),
        (false, false) => Some(format!("{domain} at {servers}")),
    }
}

fn v6_modes(network: &Value) -> Vec<&'static str> {
    let modes = [("zt", "pool"), ("rfc4193", "rfc4193"), ("6plane", "6plane")];
    let is_set = |key: &str| network.pointer(&format!("/v6AssignMode/{key}")) == Some(&Value::Bool(true));
    modes.into_iter().filter(|(key, _)| is_set(key)).map(|(_, name)| name).collect()
}

/// Returns what to send to make a network have these settings.
pub(crate) fn body(settings: &NetworkSettings) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let NetworkSettings {
        name,
        private,
        subnet,
        pool,
        route,
        assign_v4,
        assign_v6,
        dns_domain,
        dns_server,
        broadcast,
        mtu,
        multicast_limit,
    } = settings;
    put("name", name.clone().map(Value::from));
    put("private", private.map(Value::from));
    put("enableBroadcast", broadcast.map(Value::from));
    put("mtu", mtu.map(Value::from));
    put("multicastLimit", multicast_limit.map(Value::from));
    let pools = |pools: Vec<&PoolArg>| {
        let pool = |pool: &PoolArg| json!({ "ipRangeStart": pool.first.to_string(), "ipRangeEnd": pool.last.to_string() });
        pools.into_iter().map(pool).collect::<Value>()
    };
    let routes = |routes: Vec<&RouteArg>| {
        let route = |route: &RouteArg| json!({ "target": route.target.to_string(), "via": route.via.map(|via| via.to_string()) });
        routes.into_iter().map(route).collect::<Value>()
    };
    put("ipAssignmentPools", listed(pool).map(pools));
    put("routes", listed(route).map(routes));
    put("v4AssignMode", assign_v4.map(|zt| json!({ "zt": zt })));
    put("v6AssignMode", listed(assign_v6).map(|modes| v6_assign(&modes)));
    if let Some(prefix) = *subnet {
        let target = prefix.network();
        put("ipAssignmentPools", Some(pools(vec![&hosts(target)])));
        put("routes", Some(routes(vec![&RouteArg { target, via: None }])));
        if target.ip().is_ipv4() {
            put("v4AssignMode", Some(json!({ "zt": assign_v4.unwrap_or(true) })));
        } else if assign_v6.is_empty() {
            put("v6AssignMode", Some(v6_assign(&[&V6Mode::Pool])));
        }
    }
    let servers =
        listed(dns_server).map(|servers| servers.iter().map(ToString::to_string).collect::<Vec<_>>());
    if dns_domain.is_some() || servers.is_some() {
        let mut dns = Map::new();
        dns.extend(dns_domain.clone().map(|domain| ("domain".to_owned(), Value::from(domain))));
        dns.extend(servers.map(|servers| ("servers".to_owned(), Value::from(servers))));
        put("dns", Some(Value::Object(dns)));
    }
    body
}

fn v6_assign(modes: &[&V6Mode]) -> Value {
    let has = |mode| modes.iter().any(|found| **found == mode);
    json!({ "zt": has(V6Mode::Pool), "rfc4193": has(V6Mode::Rfc4193), "6plane": has(V6Mode::SixPlane) })
}

/// The API replaces domain and name servers together: keeps the one of which nothing was said.
fn keep_halves(body: &mut Map<String, Value>, before: &Value) {
    let Some(Value::Object(dns)) = body.get_mut("dns") else { return };
    for half in ["domain", "servers"] {
        if let (false, Some(value)) =
            (dns.contains_key(half), before.get("dns").and_then(|dns| dns.get(half)))
        {
            dns.insert(half.to_owned(), value.clone());
        }
    }
}

/// Returns the addresses of a subnet that members can have: of IPv4, without network and broadcast address.
fn hosts(subnet: IpPrefix) -> PoolArg {
    match subnet.ip() {
        IpAddr::V4(ip) => {
            let span = u32::MAX.checked_shr(subnet.bits().into()).unwrap_or(0);
            let (first, last) = (ip.to_bits(), ip.to_bits() | span);
            let edge = u32::from(span > 1);
            PoolArg {
                first: Ipv4Addr::from_bits(first.saturating_add(edge)).into(),
                last: Ipv4Addr::from_bits(last.saturating_sub(edge)).into(),
            }
        }
        IpAddr::V6(ip) => {
            let span = u128::MAX.checked_shr(subnet.bits().into()).unwrap_or(0);
            let (first, last) = (ip.to_bits(), ip.to_bits() | span);
            // The first is the anycast address of routers.
            let edge = u128::from(span > 1);
            PoolArg {
                first: Ipv6Addr::from_bits(first.saturating_add(edge)).into(),
                last: Ipv6Addr::from_bits(last).into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_route_pool_and_mode_at_once() {
        let settings =
            NetworkSettings { subnet: Some("10.147.17.9/24".parse().unwrap()), ..NetworkSettings::default() };
        let expected = json!({
            "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254" }],
            "routes": [{ "target": "10.147.17.0/24", "via": null }],
            "v4AssignMode": { "zt": true },
        });
        assert_eq!(Value::Object(body(&settings)), expected);
    }

    #[test]
    fn name_service_that_says_nothing_is_not_shown() {
        let of = |domain: &str, servers: &[&str]| dns(&json!({ "domain": domain, "servers": servers }));
        assert_eq!(of("", &[]), None);
        assert_eq!(of("lan", &["10.0.0.1", "fd00::1"]).as_deref(), Some("lan at 10.0.0.1, fd00::1"));
        assert_eq!(of("lan", &[]).as_deref(), Some("lan, without a server"));
        assert_eq!(of("", &["10.0.0.1"]).as_deref(), Some("every name at 10.0.0.1"));
    }

    #[test]
    fn the_hosts_of_a_subnet_lack_its_edges_where_it_has_some() {
        let of = |subnet: &str| {
            let PoolArg { first, last } = hosts(subnet.parse().unwrap());
            format!("{first}-{last}")
        };
        assert_eq!(of("10.0.0.0/8"), "10.0.0.1-10.255.255.254");
        assert_eq!(of("10.0.0.0/31"), "10.0.0.0-10.0.0.1");
        assert_eq!(of("10.0.0.7/32"), "10.0.0.7-10.0.0.7");
        assert_eq!(of("0.0.0.0/0"), "0.0.0.1-255.255.255.254");
        assert_eq!(of("fd00::/64"), "fd00::1-fd00::ffff:ffff:ffff:ffff");
        assert_eq!(of("fd00::5/128"), "fd00::5-fd00::5");
    }

    #[test]
    fn what_is_not_named_is_not_sent_and_half_of_the_name_service_stays() {
        assert!(body(&NetworkSettings::default()).is_empty());
        let settings = NetworkSettings { dns_domain: Some("new".to_owned()), ..NetworkSettings::default() };
        let mut sent = body(&settings);
        keep_halves(&mut sent, &json!({ "dns": { "domain": "old", "servers": ["10.0.0.1"] } }));
        assert_eq!(Value::Object(sent), json!({ "dns": { "domain": "new", "servers": ["10.0.0.1"] } }));
    }
}
