//! The records of the vectors (`vl2.md` §9), and what becomes of any record that is read and written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use ctl_core::network::RemoteTrace;
use ctl_core::record::{FieldError, Reading, read_member, read_network, write_member, write_network};
use ctl_core::{Member, Network};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use zt_proto::rules::RuleBody;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::arbitrary;

/// The cases of `golden_policy.json`, and the identities that play in them.
pub(crate) static GOLDEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../testdata/vl2/golden_policy.json")).unwrap());

const NETWORK: NetworkId = NetworkId(0xa940_ad42_9a00_00f2);
const ADDRESS: u64 = 0xa1_b2c3_d4e5;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) fn network(record: &Value) -> Network {
    let mut network =
        read_network(record.as_object().unwrap(), network_id(&record["id"]), Timestamp(0)).record;
    // The original drops these, which is a fault (`vl2.md` §19.2).
    network.rules.retain(|rule| !matches!(rule.body, RuleBody::IntegerRange { .. }));
    network
}

pub(crate) fn member(record: &Value) -> Member {
    let address = record["id"].as_str().unwrap().parse().unwrap();
    read_member(record.as_object().unwrap(), network_id(&record["nwid"]), address, Timestamp(0)).record
}

pub(crate) fn network_id(value: &Value) -> NetworkId {
    value.as_str().unwrap().parse().unwrap()
}

fn reading_of(record: &Value) -> Reading<Network> {
    read_network(record.as_object().unwrap(), NETWORK, NOW)
}

fn reading_of_member(record: &Value) -> Reading<Member> {
    read_member(record.as_object().unwrap(), NETWORK, Address::from_low_bits(ADDRESS), NOW)
}

fn texts(warnings: &[FieldError]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn empty_record_is_a_network_of_defaults_and_every_one_is_named() {
    let reading = reading_of(&json!({}));
    assert_eq!(reading.record, Network { revision: 1, ..Network::new(NETWORK, NOW) });
    assert_eq!((reading.extra, reading.warnings), (Map::new(), vec![]));
    for field in ["name", "private", "creationTime", "mtu", "routes", "rules", "tags", "authTokens"] {
        assert!(reading.missing.contains(&field), "{field}");
    }
}

#[test]
fn unknown_fields_survive_and_momentary_ones_do_not() {
    let reading = reading_of(&json!({
        "clock": 5, "authorizedMemberCount": 3, "gateways": [], "x": { "y": [1, null] }, "clientId": "",
        "authorizationEndpoint": "https://sso.example",
    }));
    let extra = json!({
        "authorizationEndpoint": "https://sso.example", "gateways": [], "x": { "y": [1, null] },
    });
    assert_eq!(Value::from(reading.extra.clone()), extra);
    assert_eq!(reading.dropped, ["authorizedMemberCount", "clock"]);
    let written = Value::from(write_network(&reading.record, &reading.extra));
    assert_eq!((&written["x"], &written["clientId"]), (&json!({ "y": [1, null] }), &json!("")));
    assert_eq!(written["authorizationEndpoint"], "https://sso.example");
}

#[test]
fn artefacts_of_the_original_are_no_warnings() {
    let reading = reading_of(&json!({
        "id": NETWORK.to_string(), "nwid": NETWORK.to_string(), "objtype": "network", "authTokens": [null], "dns": [],
        "v6AssignMode": { "zt": true }, "v4AssignMode": "zt", "remoteTraceLevel": "3", "remoteTraceTarget": null,
    }));
    assert_eq!(reading.warnings, []);
    assert!(
        reading.record.v4_assign.pool && reading.record.v6_assign.pool && !reading.record.v6_assign.rfc4193
    );
    assert_eq!((reading.record.remote_trace.level, reading.record.dns), (3, None));
}

/// `known-flaws.md` rows 5 and 12.
#[test]
fn what_a_client_cannot_take_is_left_out_or_cut_with_a_warning() {
    let reading = reading_of(&json!({
        "name": "n".repeat(128),
        "routes": [
            { "target": "10.0.0.0/33" }, { "target": "10.0.0.0/8", "via": "fd00::1" }, { "target": "lan" }, 7,
            { "target": "10.1.0.0/16", "via": "10.0.0.1", "flags": 1, "metric": 0 },
        ],
        "ipAssignmentPools": [{ "ipRangeStart": "10.0.0.9", "ipRangeEnd": "fd00::" }, { "ipRangeStart": "x" }],
        "dns": { "domain": "d".repeat(500), "servers": ["10.0.0.1", "nowhere", 4] },
        "mtu": 99, "private": "no", "authTokens": { "secret": -1 }, "certificateTimeoutWindowSize": "x",
        "tags": [{ "id": 1, "default": -1 }, { "id": 1 }, "t"], "rules": [{ "type": "MATCH_CHARACTERISTICS", "mask": null }],
    }));
    let routes: Vec<_> =
        reading.record.routes.iter().map(|route| (route.target.to_string(), route.via)).collect();
    let kept = ("10.1.0.0/16".to_owned(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(routes, [("10.0.0.0/8".to_owned(), None), kept]);
    assert_eq!((reading.record.pools.len(), reading.record.dns.unwrap().servers.len()), (0, 1));
    let warnings = texts(&reading.warnings);
    let expected = [
        "name: members get the first 127 of 128 bytes",
        "private: expected true or false, got \"no\"; read as false",
        "mtu: expected 1280 to 10000 bytes, got 99",
        "routes[0].target: expected ADDRESS/BITS, got \"10.0.0.0/33\"; the route was left out",
        "routes[1].via: expected an address of the target's family",
        "routes[2].target: ",
        "routes[3].target: ",
        "routes[4].flags: expected only target and via, got 1",
        "ipAssignmentPools[0].ipRangeEnd: expected an address of the same family",
        "ipAssignmentPools[1].ipRangeStart: expected an IP address, got \"x\"; the pool was left out",
        "dns.domain: members get the first 127 of 500 bytes",
        "dns.servers[1]: expected an IP address, got \"nowhere\"",
        "dns.servers[2]: ",
        "tags[0].default: expected 0 to 4294967295 or null, got -1; read as 4294967295",
        "tags[1].id: 1 is the id of an earlier one too",
        "tags[2]: expected an object",
        "authTokens: expected times from 0, got -1; the token was left out",
        "certificateTimeoutWindowSize: expected milliseconds",
        "rules[0].mask: expected hexadecimal digits",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning} is not {expected}");
    }
    assert!(!warnings.concat().contains("secret"), "{warnings:#?}");
}

#[test]
fn member_record_is_read_with_a_warning_for_what_is_odd() {
    let reading = reading_of_member(&json!({
        "id": "0000000001", "identity": "garbage", "ipAssignments": ["10.0.0.1/24", "10.0.0.1", "x", 5],
        "tags": [[1, 2], [1, 3], [1], [1, 2, 3]], "capabilities": [7, "8", 7], "vMajor": 1, "vMinor": -1, "vRev": -1,
        "vProto": -1, "lastAuthorizedCredentialType": "sso", "physicalAddr": "192.0.2.1/9993",
        "recentLog": [{ "ts": 77, "fromAddr": "192.0.2.2/9993" }],
    }));
    let warnings = texts(&reading.warnings);
    let expected = [
        "id: expected \"a1b2c3d4e5\", got \"0000000001\"; not kept",
        "identity: expected the public identity of a1b2c3d4e5 as text, got \"garbage\"",
        "ipAssignments[1]: 10.0.0.1 is there twice",
        "ipAssignments[2]: expected an IP address as text, got \"x\"; left out",
        "ipAssignments[3]: ",
        "tags[1]: tag 1 has another value before",
        "tags[2]: expected [ID,VALUE]",
        "tags[3]: expected [ID,VALUE]",
        "capabilities[1]: expected a number of 32 bits, got \"8\"; read as 8",
        "lastAuthorizedCredentialType: expected \"api\"",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning} is not {expected}");
    }
    assert_eq!(
        (&reading.record.tags, &reading.record.capabilities),
        (&BTreeMap::from([(1, 3)]), &vec![7, 8])
    );
    assert_eq!(reading.record.version.unwrap().major, 1);
    assert_eq!(reading.dropped, ["physicalAddr", "recentLog"]);
    assert_eq!(reading.extra["legacy"], json!({ "lastSeen": 77, "lastAddress": "192.0.2.2/9993" }));
}

/// The vectors' records are what the original stores, so that nothing in them is odd, and nothing gets lost.
#[test]
fn golden_records_are_read_and_written_without_loss() {
    let mut count = 0;
    for case in GOLDEN["cases"].as_array().unwrap() {
        for record in case["networks"].as_array().unwrap() {
            let object = record.as_object().unwrap();
            let reading = read_network(object, network_id(&record["id"]), NOW);
            check_kept(object, &write_network(&reading.record, &reading.extra), &reading.warnings);
            count += 1;
        }
        for record in case["members"].as_array().unwrap() {
            let object = record.as_object().unwrap();
            let address = record["id"].as_str().unwrap().parse().unwrap();
            let reading = read_member(object, network_id(&record["nwid"]), address, NOW);
            check_kept(object, &write_member(&reading.record, &reading.extra), &reading.warnings);
            count += 1;
        }
    }
    assert_eq!(count, 106);
}

/// Checks that each field is as it was, or that a warning names it.
fn check_kept(record: &Map<String, Value>, written: &Map<String, Value>, warnings: &[FieldError]) {
    for (name, value) in record {
        let (value, written) = (&plain(value), plain(written.get(name).unwrap_or(&Value::Null)));
        let same = written == *value;
        // Two ways to say that there is none, and bits that nobody ever looked at, are no loss.
        let same = same
            || match name.as_str() {
                "authTokens" => value == &json!({}) || value == &json!([{}]),
                "ipAssignments" => {
                    let bare = |text: &Value| text.as_str().unwrap().split('/').next().unwrap().to_owned();
                    written == value.as_array().unwrap().iter().map(bare).collect::<Value>()
                }
                // Kept ascending.
                "capabilities" | "tags" => sorted(&written) == sorted(value),
                _ => false,
            };
        let warned = warnings.iter().any(|warning| warning.place().starts_with(name.as_str()));
        assert!(same || warned, "{name}: {value} became {written}");
    }
}

/// Takes out the two keys that say nothing while they are false.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(plain).collect(),
        Value::Object(fields) => {
            let says = |name: &str, value: &Value| !matches!(name, "not" | "or") || value != false;
            let kept = fields.iter().filter(|(name, value)| says(name, value));
            Value::Object(kept.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn sorted(list: &Value) -> Vec<String> {
    let mut entries: Vec<_> = list.as_array().unwrap().iter().map(Value::to_string).collect();
    entries.sort();
    entries
}

/// Takes what no record can hold out of a network.
fn possible_network(mut network: Network) -> Network {
    for route in &mut network.routes {
        route.via = route.via.filter(|via| via.is_ipv4() == route.target.ip().is_ipv4());
    }
    network.pools.retain(|pool| pool.first.is_ipv4() == pool.last.is_ipv4());
    network.revision = network.revision.max(1);
    network.remote_trace = possible_trace(network.remote_trace);
    let mut relays = BTreeSet::new();
    network.relays.retain(|relay| {
        let has_port = relay.endpoint.is_none_or(|endpoint| endpoint.port() != 0);
        has_port && !relay.address.is_reserved() && relays.len() < 64 && relays.insert(relay.address)
    });
    for nodes in [&mut network.anchors, &mut network.multicast_replicators] {
        let mut seen = BTreeSet::new();
        nodes.retain(|node| !node.is_reserved() && seen.insert(*node));
    }
    network
}

fn possible_trace(trace: RemoteTrace) -> RemoteTrace {
    RemoteTrace { target: trace.target.filter(|target| target.len() == 10), ..trace }
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x[a-z]{0,5}", json_value(), 0..4).prop_map(|fields| fields.into_iter().collect())
}

const NAMES: &[&str] = &[
    "id",
    "nwid",
    "objtype",
    "name",
    "private",
    "creationTime",
    "revision",
    "enableBroadcast",
    "multicastLimit",
    "mtu",
    "v4AssignMode",
    "v6AssignMode",
    "zt",
    "rfc4193",
    "6plane",
    "routes",
    "target",
    "via",
    "flags",
    "ipAssignmentPools",
    "ipRangeStart",
    "ipRangeEnd",
    "network",
    "netmaskBits",
    "dns",
    "domain",
    "servers",
    "rules",
    "type",
    "ip",
    "mask",
    "start",
    "end",
    "bits",
    "hex",
    "action",
    "etherType",
    "capabilities",
    "tags",
    "default",
    "value",
    "authTokens",
    "remoteTraceTarget",
    "remoteTraceLevel",
    "rulesSource",
    "ruleTests",
    "ruleTestsRequired",
    "ssoEnabled",
    "clientId",
    "certificateTimeoutWindowSize",
    "clock",
    "identity",
    "authorized",
    "activeBridge",
    "noAutoAssignIps",
    "ipAssignments",
    "lastAuthorizedTime",
    "lastAuthorizedCredentialType",
    "lastAuthorizedCredential",
    "ssoExempt",
    "authenticationExpiryTime",
    "vMajor",
    "vMinor",
    "vRev",
    "vProto",
    "recentLog",
    "physicalAddr",
    "ts",
    "fromAddr",
    "legacy",
];

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[0-9a-f:./]{0,20}".prop_map(Value::from),
        prop_oneof![
            Just("10.0.0.1/24"),
            Just("MATCH_IPV4_SOURCE"),
            Just("ACTION_ACCEPT"),
            Just("RAW"),
            Just("token")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(prop::sample::select(NAMES), inner, 0..8).prop_map(object),
        ]
    })
}

fn object(fields: BTreeMap<&'static str, Value>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn any_record() -> impl Strategy<Value = Value> {
    btree_map(prop::sample::select(NAMES), json_value(), 0..16).prop_map(object)
}

proptest! {
    #[test]
    fn network_that_was_written_is_read_back(network in arbitrary::network(), extra in extra()) {
        let network = possible_network(network);
        let written = write_network(&network, &extra);
        // It went through a file.
        let read: Map<String, Value> = serde_json::from_str(&Value::from(written).to_string()).unwrap();
        let reading = read_network(&read, network.id, NOW);
        prop_assert_eq!(reading.record, network);
        prop_assert_eq!((reading.extra, reading.missing), (extra, vec![]));
    }

    #[test]
    fn member_that_was_written_is_read_back(member in arbitrary::member(), extra in extra()) {
        // What is stored was saved at least once.
        let revision = member.revision.max(1);
        let member = Member { revision, remote_trace: possible_trace(member.remote_trace), ..member };
        let read: Map<String, Value> =
            serde_json::from_str(&Value::from(write_member(&member, &extra)).to_string()).unwrap();
        let reading = read_member(&read, member.network, member.address, NOW);
        prop_assert_eq!(reading.record, member);
        prop_assert_eq!((reading.extra, reading.warnings, reading.missing), (extra, vec![], vec![]));
    }

    /// `known-flaws.md` rows 5 and 6.
    #[test]
    fn any_record_is_read_as_something_that_is_read_back(record in any_record()) {
        let network = reading_of(&record);
        let written = write_network(&network.record, &network.extra);
        let again = read_network(&written, NETWORK, NOW);
        prop_assert_eq!((again.record, again.extra), (network.record, network.extra));
        let member = reading_of_member(&record);
        let written = write_member(&member.record, &member.extra);
        let again = read_member(&written, member.record.network, member.record.address, NOW);
        prop_assert_eq!((again.record, again.extra), (member.record, member.extra));
    }
}

/// The bytes that a text of hexadecimal digits stands for.
pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap().as_bytes();
    hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
