//! Every field of a network and a member (`vl2.md` §9): what it does, from the API to what members are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ctl_core::member::Credential;
use ctl_core::record::{self, FieldError};
use ctl_core::{ConfigRequest, Decision, Member, Network, Refusal, Snapshot, decide};
use serde_json::{Map, Value, json};
use zt_proto::config::{NetworkConfig, Specialist, TextConfig};
use zt_proto::rules::RuleBody;
use zt_proto::{Address, Timestamp};

use crate::decisions::{NETWORK, NOW, asker, controller, member, network, request};

/// What members of all generations are told, or why none is.
struct Told {
    modern: NetworkConfig,
    of_1_2: NetworkConfig,
    version_6: NetworkConfig,
    text: TextConfig,
    member: Member,
}

/// A field, what is set, and what follows.
type Row = (&'static str, Value, fn(&Told));

fn node(number: u64) -> Address {
    Address::from_low_bits(number)
}

fn roles(config: &NetworkConfig) -> BTreeMap<u64, u64> {
    config.specialists.iter().map(|node| (node.address.to_u64(), node.roles)).collect()
}

fn texts(prefixes: &[zt_proto::IpPrefix]) -> Vec<String> {
    prefixes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_of_a_network_does_what_it_says() {
    let route = json!([{ "target": "10.1.0.0/24" }, { "target": "10.2.0.0/16", "via": "10.1.0.9" }]);
    let pool = json!([{ "ipRangeStart": "10.1.0.7", "ipRangeEnd": "10.1.0.7" }]);
    let rows: Vec<Row> = vec![
        ("name", json!({ "name": "n".repeat(200) }), |told| {
            assert_eq!((told.modern.name.len(), told.text.name.len()), (127, 127));
        }),
        ("private", json!({ "private": false }), |told| {
            assert!(!told.modern.private && !told.text.private && told.text.membership.is_none());
            assert!(told.modern.membership.is_some() && told.version_6.membership.is_some());
        }),
        ("mtu", json!({ "mtu": 1400 }), |told| assert_eq!(told.modern.mtu, 1400)),
        ("multicastLimit", json!({ "multicastLimit": 7 }), |told| {
            assert_eq!((told.modern.multicast_limit, told.text.multicast_limit), (7, 7));
        }),
        ("enableBroadcast", json!({ "enableBroadcast": false }), |told| {
            assert_eq!((told.modern.flags & NetworkConfig::BROADCAST, told.text.broadcast), (0, false));
        }),
        ("allowPassiveBridging", json!({ "allowPassiveBridging": true }), |told| {
            let flag = NetworkConfig::PASSIVE_BRIDGING;
            assert!(told.version_6.flags & flag != 0 && told.of_1_2.flags & flag != 0);
            assert!(told.text.passive_bridging);
        }),
        (
            "relays",
            json!({ "relays": [{ "address": "00000000aa", "phyAddress": "192.0.2.1/9993" }] }),
            |told| {
                assert_eq!(told.text.relays[0].endpoint, Some("192.0.2.1:9993".parse().unwrap()));
                let relay = BTreeMap::from([(0xaa, Specialist::PREFERRED_RELAY)]);
                assert_eq!((roles(&told.version_6), roles(&told.of_1_2)), (relay.clone(), relay));
                assert_eq!(roles(&told.modern), BTreeMap::new(), "nobody uses them from 1.4 on");
            },
        ),
        ("anchors", json!({ "anchors": ["00000000ab"] }), |told| {
            let anchor = BTreeMap::from([(0xab, Specialist::ANCHOR)]);
            assert_eq!((roles(&told.modern), roles(&told.of_1_2)), (anchor.clone(), anchor));
            assert_eq!(roles(&told.version_6), BTreeMap::new());
        }),
        (
            "multicastReplicators",
            json!({ "multicastReplicators": ["00000000ab"], "anchors": ["00000000ab"] }),
            |told| {
                let both = Specialist::ANCHOR | Specialist::MULTICAST_REPLICATOR;
                assert_eq!(roles(&told.modern), BTreeMap::from([(0xab, both)]), "a node is there once");
            },
        ),
        ("routes", json!({ "routes": route }), |told| {
            assert_eq!(told.modern.routes.len(), 2);
            assert_eq!(told.modern.routes[1].via, Some("10.1.0.9".parse().unwrap()));
            assert_eq!(texts(&told.text.addresses), ["10.1.0.0/24"], "on the segment only");
        }),
        (
            "v4AssignMode",
            json!({ "v4AssignMode": { "zt": true }, "routes": route, "ipAssignmentPools": pool }),
            |told| {
                assert_eq!(texts(&told.modern.addresses), ["10.1.0.7/24"]);
                assert_eq!(told.member.ip_assignments.len(), 1);
            },
        ),
        ("ipAssignmentPools", json!({ "routes": route, "ipAssignmentPools": pool }), |told| {
            assert_eq!(told.modern.addresses, [], "pools alone assign nothing");
        }),
        ("v6AssignMode", json!({ "v6AssignMode": { "rfc4193": true, "6plane": true } }), |told| {
            let bits: Vec<_> = told.modern.addresses.iter().map(|prefix| prefix.bits()).collect();
            assert_eq!(bits, [88, 40]);
            assert!(
                told.modern.flags & NetworkConfig::NDP_EMULATION != 0
                    && told.member.ip_assignments.is_empty()
            );
        }),
        ("dns", json!({ "dns": { "domain": "d".repeat(300), "servers": vec!["10.0.0.1"; 6] } }), |told| {
            assert_eq!((told.modern.dns.domain.len(), told.modern.dns.servers.len()), (127, 4));
        }),
        (
            "rules",
            json!({ "rules": [{ "type": "MATCH_IP_PROTOCOL", "ipProtocol": 6 }, { "type": "ACTION_DROP" }] }),
            |told| {
                assert_eq!(told.modern.rules[0].body, RuleBody::IpProtocol(6));
                assert_eq!(told.version_6.rules, [zt_proto::rules::Rule::ACCEPT]);
                assert_eq!(told.text.ether_types, [TextConfig::EVERY_ETHER_TYPE]);
            },
        ),
        ("rulesSource", json!({ "rulesSource": "drop;" }), |told| {
            assert_eq!(told.modern.rules, [zt_proto::rules::Rule::ACCEPT], "a text for editors");
        }),
        ("tags", json!({ "tags": [{ "id": 2, "default": 5 }, { "id": 1, "default": null }] }), |told| {
            let tags: Vec<_> = told.modern.tags.iter().map(|tag| (tag.id, tag.value)).collect();
            assert_eq!(tags, [(2, 5)]);
            assert_eq!(told.member.tags, BTreeMap::from([(2, 5)]));
        }),
        (
            "capabilities",
            json!({ "capabilities": [{ "id": 3, "default": true, "rules": [{ "type": "ACTION_ACCEPT" }] }] }),
            |told| {
                assert_eq!(told.modern.capabilities[0].id, 3);
                assert_eq!(told.member.capabilities, [3], "the record is older than the first admission");
            },
        ),
        ("remoteTraceTarget", json!({ "remoteTraceTarget": "00000000ac", "remoteTraceLevel": 15 }), |told| {
            assert_eq!((told.modern.trace_target, told.modern.trace_level), (node(0xac), 15));
        }),
        ("remoteTraceLevel", json!({ "remoteTraceLevel": 10 }), |told| {
            assert_eq!(told.modern.trace_level, 10)
        }),
        ("certificateTimeoutWindowSize", json!({ "certificateTimeoutWindowSize": 300_000 }), |told| {
            assert_eq!(told.modern.credential_window, 300_000);
            let window = told.text.membership.as_ref().unwrap().qualifiers[0].max_delta;
            assert_eq!(window, 300_000);
        }),
    ];
    for (field, body, check) in &rows {
        let mut network = network();
        record::network::apply(body.as_object().unwrap(), &mut network)
            .unwrap_or_else(|error| panic!("{field}: {error}"));
        check(&told(network, never_admitted()));
    }
    // Shown, but of no effect on members, or shown elsewhere; each has a test of its own.
    let elsewhere = ["authTokens", "ssoEnabled", "revision"];
    let inert = ["authorizationEndpoint", "clientId", "creationTime", "id", "nwid", "objtype"];
    let mut all = network();
    all.passive_bridging = true;
    all.relays = vec![zt_proto::config::Relay { address: node(1), endpoint: None }];
    all.anchors = vec![node(1)];
    all.multicast_replicators = vec![node(1)];
    all.credential_window = Some(300_000);
    assert_eq!(shown(record::network::render(&all)), listed(&rows, &elsewhere, &inert));
}

#[test]
fn every_field_of_a_member_does_what_it_says() {
    let rows: Vec<Row> = vec![
        ("activeBridge", json!({ "activeBridge": true }), |told| {
            let own = asker().address;
            assert_eq!(roles(&told.modern), BTreeMap::from([(own.to_u64(), Specialist::ACTIVE_BRIDGE)]));
            assert_eq!(told.text.bridges, [own]);
        }),
        ("noAutoAssignIps", json!({ "noAutoAssignIps": true }), |told| assert_eq!(told.modern.addresses, [])),
        ("ipAssignments", json!({ "ipAssignments": ["10.0.0.50", "192.168.0.1"] }), |told| {
            assert_eq!(
                texts(&told.modern.addresses)[1..],
                ["10.0.0.50/24"],
                "the other one lies in no route"
            );
            assert_eq!(told.modern.ownerships[0].things.len(), 2);
        }),
        ("tags", json!({ "tags": [[9, 1], [4, 2]] }), |told| {
            let tags: Vec<_> = told.modern.tags.iter().map(|tag| (tag.id, tag.value)).collect();
            assert_eq!(tags, [(4, 2), (9, 1)]);
        }),
        ("capabilities", json!({ "capabilities": [7, 8] }), |told| {
            let ids: Vec<_> = told.modern.capabilities.iter().map(|capability| capability.id).collect();
            assert_eq!(ids, [7], "8 is not defined");
            assert_eq!(told.member.capabilities, [7, 8]);
        }),
        ("remoteTraceTarget", json!({ "remoteTraceTarget": "00000000ad", "remoteTraceLevel": 20 }), |told| {
            assert_eq!((told.modern.trace_target, told.modern.trace_level), (node(0xad), 20));
        }),
        ("remoteTraceLevel", json!({ "remoteTraceLevel": 20 }), |told| {
            assert_eq!(told.modern.trace_level, 3, "counts with a target only");
        }),
        ("name", json!({ "name": "x" }), |told| assert_eq!(told.member.name.as_deref(), Some("x"))),
    ];
    for (field, body, check) in &rows {
        let mut member = never_admitted();
        record::member::apply(body.as_object().unwrap(), &mut member, NOW)
            .unwrap_or_else(|error| panic!("{field}: {error}"));
        let mut network = network();
        let body = json!({
            "v6AssignMode": { "rfc4193": true }, "routes": [{ "target": "10.0.0.0/24" }], "remoteTraceLevel": 3,
            "capabilities": [{ "id": 7, "rules": [] }],
        });
        record::network::apply(body.as_object().unwrap(), &mut network).unwrap();
        check(&told(network, member));
    }
    // Decided about in `decisions.rs`, or what is noted of decisions.
    let elsewhere =
        ["authorized", "identity", "identityFingerprint", "authenticationExpiryTime", "ssoExempt"];
    let noted = [
        "address",
        "creationTime",
        "id",
        "nwid",
        "objtype",
        "revision",
        "lastAuthorizedCredential",
        "lastAuthorizedCredentialType",
        "lastAuthorizedTime",
        "lastDeauthorizedTime",
        "vMajor",
        "vMinor",
        "vProto",
        "vRev",
    ];
    let all = Member { name: Some(String::new()), fingerprint: Some([0; 48]), ..member() };
    assert_eq!(shown(record::member::render(&all)), listed(&rows, &elsewhere, &noted));
}

/// `vl2.md` §17: all 32 addresses are certified, and lists are cut to what clients take.
#[test]
fn a_member_of_many_addresses_can_prove_each_of_them() {
    let mut network = network();
    network.routes = vec![ctl_core::network::Route { target: "10.0.0.0/24".parse().unwrap(), via: None }];
    let ips = (1..=40).map(|end| [10, 0, 0, end].into()).collect();
    let told = told(network, Member { ip_assignments: ips, ..never_admitted() });
    let sizes: Vec<_> = told.modern.ownerships.iter().map(|own| (own.id, own.things.len())).collect();
    assert_eq!((told.modern.addresses.len(), sizes), (32, vec![(1, 16), (2, 16)]));
    assert_eq!(told.version_6.addresses.len(), 16);
}

/// `known-flaws.md` row 12: a value that a client cannot take is refused, with the field, what was expected and what
/// came.
#[test]
fn what_a_client_could_not_take_is_refused_by_name() {
    let refused = |body: Value| -> FieldError {
        record::network::apply(body.as_object().unwrap(), &mut network()).unwrap_err()
    };
    let many: Vec<_> = (1..=65).map(|number| node(number).to_string()).collect();
    for (body, expected) in [
        (json!({ "relays": {} }), "relays: expected an array of nodes, got {}"),
        (
            json!({ "relays": [{ "address": "xyz" }] }),
            "relays[0].address: expected the address of a node, ten hexadecimal digits, got \"xyz\"",
        ),
        (
            json!({ "relays": [{ "address": "00000000aa", "phyAddress": "192.0.2.1/" }] }),
            "relays[0].phyAddress: expected IP/PORT or null, got \"192.0.2.1/\"",
        ),
        (
            json!({ "anchors": ["0000000000"] }),
            "anchors[0]: expected the address of a node, ten hexadecimal digits, got \"0000000000\"",
        ),
        (json!({ "anchors": ["ff00000001"] }), "anchors[0]: expected the address of a node"),
        (
            json!({ "anchors": ["00000000aa", "00000000aa"] }),
            "anchors[1]: expected each node once, got 00000000aa again",
        ),
        (json!({ "multicastReplicators": many }), "multicastReplicators: expected at most 64 nodes, got 65"),
        (
            json!({ "certificateTimeoutWindowSize": 299_999 }),
            "certificateTimeoutWindowSize: expected 300000 to 7200000 milliseconds, or null, got 299999",
        ),
        (
            json!({ "certificateTimeoutWindowSize": "x" }),
            "certificateTimeoutWindowSize: expected 300000 to 7200000 milliseconds, or null, got \"x\"",
        ),
    ] {
        let error = refused(body).to_string();
        assert!(error.starts_with(expected), "{error} is not {expected}");
    }
    let mut again =
        Network { relays: vec![zt_proto::config::Relay { address: node(1), endpoint: None }], ..network() };
    let cleared = json!({ "relays": null, "anchors": [], "certificateTimeoutWindowSize": null });
    record::network::apply(cleared.as_object().unwrap(), &mut again).unwrap();
    assert_eq!(again, network());
}

/// `known-flaws.md` rows 1 and 2: the node is named before it asks, and never becomes another one.
#[test]
fn an_identity_is_named_once() {
    let apply =
        |member: &mut Member, body: Value| record::member::apply(body.as_object().unwrap(), member, NOW);
    let hash: String = zt_crypto::fingerprint(&asker()).iter().map(|byte| format!("{byte:02x}")).collect();
    let fresh = || Member::new(NETWORK, asker().address, Timestamp(0));
    let mut named = fresh();
    apply(&mut named, json!({ "identity": asker().to_string(), "identityFingerprint": hash })).unwrap();
    assert_eq!((named.identity, named.fingerprint), (Some(asker()), Some(zt_crypto::fingerprint(&asker()))));
    let mut by_hash = fresh();
    apply(&mut by_hash, json!({ "identityFingerprint": hash.to_uppercase(), "authorized": true })).unwrap();
    assert_eq!((by_hash.identity, &by_hash.credential), (None, &Some(Credential::Api)));
    assert!(by_hash.is_of(&asker()));
    // What is shown comes back without a change.
    let view = serde_json::to_value(record::member::render(&named)).unwrap();
    let before = named.clone();
    apply(&mut named, view).unwrap();
    assert_eq!(named, before);

    let mut other = asker();
    other.key[1] ^= 1;
    for (body, expected) in [
        (json!({ "identity": other.to_string() }), "identity: expected 97f6703e6c:0:"),
        (json!({ "identityFingerprint": "00".repeat(48) }), "identityFingerprint: expected "),
        (
            json!({ "identityFingerprint": "é".repeat(48) }),
            "identityFingerprint: expected 96 hexadecimal digits, or null",
        ),
        (
            json!({ "identityFingerprint": 5 }),
            "identityFingerprint: expected 96 hexadecimal digits, or null, got 5",
        ),
        (json!({ "identity": 5 }), "identity: expected the public identity of 97f6703e6c as text, got 5"),
    ] {
        let error = apply(&mut named.clone(), body).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error} is not {expected}");
    }
}

/// `vl2.md` §10.5: the fields are carried; the login itself is done elsewhere.
#[test]
fn fields_of_single_sign_on_reach_the_member() {
    let network = Network { sso_enabled: true, ..network() };
    let expiry = Timestamp(NOW.0 + 1);
    let told = told(network.clone(), Member { authentication_expiry: expiry, ..never_admitted() });
    assert!(told.modern.sso.enabled && told.modern.sso.expiry == expiry);
    let refused = decide(Some(&snapshot(network, never_admitted())), &request(), NOW);
    assert!(matches!(refused, Decision::Refuse { refusal: Refusal::AuthenticationRequired, .. }));
}

/// An authorized member whose record an administrator made.
fn never_admitted() -> Member {
    Member { identity: None, version: None, ..member() }
}

fn snapshot(network: Network, member: Member) -> Snapshot {
    Snapshot { network: network.into(), member: Some(member), bridges: [].into(), occupied: Arc::default() }
}

fn told(network: Network, member: Member) -> Told {
    let snapshot = snapshot(network, member);
    let ask = |config_version, protocol| {
        let mut metadata = request().metadata;
        metadata.config_version = config_version;
        metadata.protocol = protocol;
        match decide(Some(&snapshot), &ConfigRequest { metadata, ..request() }, NOW) {
            Decision::Admit { config, member, .. } => (config.issue(&controller()).unwrap(), member),
            Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
        }
    };
    let (modern, saved) = ask(7, 12);
    let read = |config_version, protocol| {
        NetworkConfig::parse(&ask(config_version, protocol).0.dictionary()).unwrap()
    };
    Told {
        modern: NetworkConfig::parse(&modern.dictionary()).unwrap(),
        of_1_2: read(7, 9),
        version_6: read(6, 7),
        text: TextConfig::parse(&ask(0, 0).0.dictionary()).unwrap(),
        member: saved.unwrap(),
    }
}

fn shown(record: impl serde::Serialize) -> BTreeSet<String> {
    let fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
    fields.into_iter().map(|(name, _)| name).collect()
}

fn listed(rows: &[Row], elsewhere: &[&str], inert: &[&str]) -> BTreeSet<String> {
    let rows = rows.iter().map(|(field, ..)| *field);
    rows.chain(elsewhere.iter().copied()).chain(inert.iter().copied()).map(str::to_owned).collect()
}
