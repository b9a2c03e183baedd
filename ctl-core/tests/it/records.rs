//! Reads the records of the vectors (`vl2.md` §9) into domain types, for tests only.
//!
//! Lenient where the reference is (`vl2.md` §1), as far as the vectors need it.

use std::net::IpAddr;
use std::sync::LazyLock;

use ctl_core::member::{ClientVersion, Credential, Member};
use ctl_core::network::{
    CapabilityDefinition, Dns, Network, Pool, RemoteTrace, Route, TagDefinition, V4Assign, V6Assign,
};
use serde_json::Value;
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac, NetworkId, Timestamp};

/// The cases of `golden_policy.json`, and the identities that play in them.
pub(crate) static GOLDEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../testdata/vl2/golden_policy.json")).unwrap());

pub(crate) fn network(record: &Value) -> Network {
    let v6 = &record["v6AssignMode"];
    Network {
        id: record["id"].as_str().unwrap().parse().unwrap(),
        name: text(&record["name"]).unwrap_or_default(),
        private: boolean(&record["private"], true),
        created: Timestamp(integer(&record["creationTime"], 0)),
        revision: integer(&record["revision"], 0),
        broadcast: boolean(&record["enableBroadcast"], true),
        passive_bridging: boolean(&record["allowPassiveBridging"], false),
        relays: Vec::new(),
        anchors: Vec::new(),
        multicast_replicators: Vec::new(),
        multicast_limit: integer(&record["multicastLimit"], 32),
        mtu: u16::try_from(integer(&record["mtu"], 2800).clamp(1280, 10_000)).unwrap(),
        v4_assign: V4Assign { pool: boolean(&record["v4AssignMode"]["zt"], false) },
        v6_assign: V6Assign {
            pool: boolean(&v6["zt"], false),
            rfc4193: boolean(&v6["rfc4193"], false),
            sixplane: boolean(&v6["6plane"], false),
        },
        routes: list(&record["routes"], route),
        pools: list(&record["ipAssignmentPools"], |pool| {
            Some(Pool { first: ip(&pool["ipRangeStart"])?, last: ip(&pool["ipRangeEnd"])? })
        }),
        dns: record["dns"].is_object().then(|| Dns {
            domain: text(&record["dns"]["domain"]).unwrap_or_default(),
            servers: list(&record["dns"]["servers"], ip),
        }),
        rules: list(&record["rules"], rule),
        rules_source: text(&record["rulesSource"]).unwrap_or_default(),
        rule_tests: String::new(),
        rule_tests_required: false,
        capabilities: sorted(
            list(&record["capabilities"], |capability| {
                Some(CapabilityDefinition {
                    id: number(&capability["id"]),
                    default: boolean(&capability["default"], false),
                    rules: list(&capability["rules"], rule),
                })
            }),
            |definition| definition.id,
        ),
        tags: sorted(
            list(&record["tags"], |tag| {
                let default = tag["default"].is_number().then(|| number(&tag["default"]));
                Some(TagDefinition { id: number(&tag["id"]), default })
            }),
            |definition| definition.id,
        ),
        // An array where nobody ever set a token.
        join_tokens: record["authTokens"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(token, expiry)| (token.clone(), Timestamp(integer(expiry, 0))))
            .collect(),
        remote_trace: remote_trace(record),
        sso_enabled: boolean(&record["ssoEnabled"], false),
        credential_window: record["certificateTimeoutWindowSize"].as_u64(),
    }
}

/// # Panics
/// For a record whose identity is not readable: the domain type cannot hold it.
pub(crate) fn member(record: &Value) -> Member {
    let mut ip_assignments = Vec::new();
    for ip in list(&record["ipAssignments"], ip) {
        if !ip_assignments.contains(&ip) {
            ip_assignments.push(ip);
        }
    }
    let version = |key: &str| record[key].as_u64();
    Member {
        network: record["nwid"].as_str().unwrap().parse().unwrap(),
        address: record["id"].as_str().unwrap().parse().unwrap(),
        identity: text(&record["identity"]).map(|text| text.parse().unwrap()),
        fingerprint: None,
        name: text(&record["name"]),
        authorized: boolean(&record["authorized"], false),
        active_bridge: boolean(&record["activeBridge"], false),
        no_auto_assign_ips: boolean(&record["noAutoAssignIps"], false),
        ip_assignments,
        tags: list(&record["tags"], |tag| Some((number(&tag[0]), tag.get(1).map(number)?)))
            .into_iter()
            .collect(),
        capabilities: list(&record["capabilities"], |id| Some(number(id))),
        created: Timestamp(integer(&record["creationTime"], 0)),
        revision: integer(&record["revision"], 0),
        last_authorized: Timestamp(integer(&record["lastAuthorizedTime"], 0)),
        last_deauthorized: Timestamp(integer(&record["lastDeauthorizedTime"], 0)),
        credential: match record["lastAuthorizedCredentialType"].as_str() {
            Some("api") => Some(Credential::Api),
            Some("public") => Some(Credential::Public),
            Some("token") => Some(Credential::Token(text(&record["lastAuthorizedCredential"]).unwrap())),
            _ => None,
        },
        authentication_expiry: Timestamp(integer(&record["authenticationExpiryTime"], 0)),
        sso_exempt: boolean(&record["ssoExempt"], false),
        // Minus one where the node was never admitted.
        version: version("vMajor").map(|major| ClientVersion {
            major,
            minor: version("vMinor").unwrap(),
            revision: version("vRev").unwrap(),
            protocol: version("vProto").unwrap_or(0),
        }),
        remote_trace: remote_trace(record),
    }
}

fn remote_trace(record: &Value) -> RemoteTrace {
    RemoteTrace { target: text(&record["remoteTraceTarget"]), level: integer(&record["remoteTraceLevel"], 0) }
}

fn route(route: &Value) -> Option<Route> {
    let target: zt_proto::IpPrefix = text(&route["target"])?.parse().ok()?;
    let via = ip(&route["via"]).filter(|via| via.is_ipv4() == target.ip().is_ipv4());
    Some(Route { target, via })
}

/// Reads a rule; `None` for the kinds that the reference rejects, INTEGER_RANGE among them.
fn rule(rule: &Value) -> Option<Rule> {
    let short = |key: &str| u16::try_from(integer(&rule[key], 0)).unwrap();
    let byte = |key: &str| u8::try_from(integer(&rule[key], 0)).unwrap();
    let range = || (short("start"), if rule["end"].is_null() { short("start") } else { short("end") });
    let address = |key: &str| rule[key].as_str().unwrap().parse::<Address>().unwrap();
    let tag = || TagMatch { id: number(&rule["id"]), value: number(&rule["value"]) };
    let prefix = || rule["ip"].as_str().unwrap().parse::<zt_proto::IpPrefix>().unwrap();
    let v4 = || match prefix().ip() {
        IpAddr::V4(ip) => (ip, prefix().bits()),
        IpAddr::V6(ip) => panic!("{ip} is no IPv4 address"),
    };
    let v6 = || match prefix().ip() {
        IpAddr::V6(ip) => (ip, prefix().bits()),
        IpAddr::V4(ip) => panic!("{ip} is no IPv6 address"),
    };
    let flags = number(&rule["flags"]);
    let body = match rule["type"].as_str()? {
        "ACTION_DROP" => RuleBody::Drop,
        "ACTION_ACCEPT" => RuleBody::Accept,
        "ACTION_BREAK" => RuleBody::Break,
        "ACTION_TEE" => RuleBody::Tee { address: address("address"), flags, length: short("length") },
        "ACTION_WATCH" => RuleBody::Watch { address: address("address"), flags, length: short("length") },
        "ACTION_REDIRECT" => RuleBody::Redirect { address: address("address"), flags },
        "MATCH_SOURCE_ZEROTIER_ADDRESS" => RuleBody::SourceAddress(address("zt")),
        "MATCH_DEST_ZEROTIER_ADDRESS" => RuleBody::DestAddress(address("zt")),
        "MATCH_VLAN_ID" => RuleBody::VlanId(short("vlanId")),
        "MATCH_VLAN_PCP" => RuleBody::VlanPcp(byte("vlanPcp")),
        "MATCH_VLAN_DEI" => RuleBody::VlanDei(byte("vlanDei")),
        "MATCH_MAC_SOURCE" => RuleBody::MacSource(mac(&rule["mac"])),
        "MATCH_MAC_DEST" => RuleBody::MacDest(mac(&rule["mac"])),
        "MATCH_IPV4_SOURCE" => RuleBody::Ipv4Source { ip: v4().0, bits: v4().1 },
        "MATCH_IPV4_DEST" => RuleBody::Ipv4Dest { ip: v4().0, bits: v4().1 },
        "MATCH_IPV6_SOURCE" => RuleBody::Ipv6Source { ip: v6().0, bits: v6().1 },
        "MATCH_IPV6_DEST" => RuleBody::Ipv6Dest { ip: v6().0, bits: v6().1 },
        "MATCH_IP_TOS" => RuleBody::IpTos { mask: byte("mask"), start: byte("start"), end: byte("end") },
        "MATCH_IP_PROTOCOL" => RuleBody::IpProtocol(byte("ipProtocol")),
        "MATCH_ETHERTYPE" => RuleBody::EtherType(short("etherType")),
        "MATCH_ICMP" => RuleBody::Icmp {
            kind: byte("icmpType"),
            code: (!rule["icmpCode"].is_null()).then(|| byte("icmpCode")),
        },
        "MATCH_IP_SOURCE_PORT_RANGE" => RuleBody::IpSourcePortRange { start: range().0, end: range().1 },
        "MATCH_IP_DEST_PORT_RANGE" => RuleBody::IpDestPortRange { start: range().0, end: range().1 },
        "MATCH_CHARACTERISTICS" => {
            RuleBody::Characteristics(u64::from_str_radix(rule["mask"].as_str().unwrap(), 16).unwrap())
        }
        "MATCH_FRAME_SIZE_RANGE" => RuleBody::FrameSizeRange { start: range().0, end: range().1 },
        "MATCH_RANDOM" => RuleBody::Random(number(&rule["probability"])),
        "MATCH_TAGS_DIFFERENCE" => RuleBody::TagsDifference(tag()),
        "MATCH_TAGS_BITWISE_AND" => RuleBody::TagsBitwiseAnd(tag()),
        "MATCH_TAGS_BITWISE_OR" => RuleBody::TagsBitwiseOr(tag()),
        "MATCH_TAGS_BITWISE_XOR" => RuleBody::TagsBitwiseXor(tag()),
        "MATCH_TAGS_EQUAL" => RuleBody::TagsEqual(tag()),
        "MATCH_TAG_SENDER" => RuleBody::TagSender(tag()),
        "MATCH_TAG_RECEIVER" => RuleBody::TagReceiver(tag()),
        _ => return None,
    };
    Some(Rule { not: boolean(&rule["not"], false), or: boolean(&rule["or"], false), body })
}

fn mac(value: &Value) -> Mac {
    let digits: String = value.as_str().unwrap().chars().filter(char::is_ascii_hexdigit).collect();
    let [_, _, bytes @ ..] = u64::from_str_radix(&digits, 16).unwrap().to_be_bytes();
    Mac(bytes)
}

/// Reads an address, with or without a prefix length that does not matter.
fn ip(value: &Value) -> Option<IpAddr> {
    value.as_str()?.split('/').next()?.parse().ok()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().into_iter().flatten().filter_map(read).collect()
}

fn sorted<T>(mut definitions: Vec<T>, id: impl Fn(&T) -> u32) -> Vec<T> {
    definitions.sort_by_key(id);
    definitions
}

/// Reads an id, modulo 2^32.
fn number(value: &Value) -> u32 {
    u32::try_from(integer(value, 0) & 0xffff_ffff).unwrap()
}

fn integer(value: &Value, default: u64) -> u64 {
    let from_text = || value.as_str().map(|text| text.parse().unwrap());
    value.as_u64().or_else(from_text).unwrap_or(default)
}

fn boolean(value: &Value, default: bool) -> bool {
    value.as_bool().unwrap_or(default)
}

fn text(value: &Value) -> Option<String> {
    let from_number = || value.as_number().map(ToString::to_string);
    value.as_str().map(str::to_owned).or_else(from_number)
}

/// The network id in a step or record.
pub(crate) fn network_id(value: &Value) -> NetworkId {
    value.as_str().unwrap().parse().unwrap()
}

/// The bytes that a text of hexadecimal digits stands for.
pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap().as_bytes();
    hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
