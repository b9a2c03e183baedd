//! What clients cannot take is cut or refused, however long it is.

use ctl_core::{ConfigRequest, Decision, RequestKind, decide};
use serde_json::{Value, json};
use zt_proto::config::{ConfigDns, NetworkConfig};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{PublicIdentity, Timestamp};

use crate::rules::{NETWORK, NETWORK_ID, RULES, ok, problem, put};
use crate::server::Server;

const NODE: &str = "1111111111";

/// Returns what a node of that address would be told if it asked now.
fn decided(server: &Server, node: &str) -> Decision {
    let identity = PublicIdentity { address: node.parse().unwrap(), key: [7; 64] };
    let metadata = RequestMetadata::parse(b"v=7\npv=c\nrevr=1");
    let request = ConfigRequest { network: NETWORK_ID, identity, metadata, kind: RequestKind::Request };
    let snapshot = server.store.read(|tx| tx.snapshot(NETWORK_ID, identity.address)).unwrap();
    decide(snapshot.as_ref(), &request, Timestamp(2_000_000_000_000))
}

/// `known-flaws.md` row 5: a text of any length in any field is refused, or cut to what a client has room for.
#[test]
fn a_text_of_any_length_in_any_field_harms_nobody() {
    let server = Server::start();
    let member = format!("{NETWORK}/member/{NODE}");
    server.post(NETWORK, &json!({ "private": false }));
    server.post(&member, &json!({ "authorized": true }));
    for length in [0, 1, 126, 127, 128, 129, 255, 256, 1024, 65_535, 65_536, 1_000_000] {
        for text in ["x".repeat(length), "é".repeat(length / 2), "\u{0}".repeat(length)] {
            let bodies: [(&str, Value); 12] = [
                (NETWORK, json!({ "name": text })),
                (NETWORK, json!({ "dns": { "domain": text, "servers": ["10.0.0.1", text] } })),
                (NETWORK, json!({ "rulesSource": text })),
                (NETWORK, json!({ "remoteTraceTarget": text })),
                (NETWORK, json!({ "authTokens": { text.as_str(): 5 } })),
                (NETWORK, json!({ "routes": [{ "target": text, "via": text }] })),
                (NETWORK, json!({ "ipAssignmentPools": [{ "ipRangeStart": text, "ipRangeEnd": text }] })),
                (NETWORK, json!({ "rules": [{ "type": text }] })),
                (NETWORK, json!({ "relays": [{ "address": text, "phyAddress": text }] })),
                (&member, json!({ "name": text })),
                (&member, json!({ "ipAssignments": [text], "remoteTraceTarget": text })),
                (&member, json!({ "identity": text })),
            ];
            for (path, body) in bodies {
                let answer = server.post(path, &body);
                let field = body.as_object().unwrap().keys().next().unwrap().clone();
                match answer.status {
                    200 => assert!(answer.json().is_object(), "{field} of {length}"),
                    400 | 413 => assert!(answer.error().is_some(), "{field} of {length}"),
                    status => panic!("{field} of {length}: {status}"),
                }
            }
            let Decision::Admit { config, .. } = decided(&server, NODE) else { panic!("refused") };
            let config = config.build();
            assert!(config.name.len() <= NetworkConfig::MAX_NAME_LEN, "{length}");
            assert!(config.dns.domain.len() <= ConfigDns::MAX_DOMAIN_LEN, "{length}");
            assert_eq!(NetworkConfig::parse(&config.write()).unwrap(), config);
        }
    }
}

/// `known-flaws.md` row 12: rules that this release does not know can be of any length, and each member would get none.
#[test]
fn rules_that_no_client_takes_are_refused_over_both_apis() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    let raw = |count: usize| {
        let unknown = format!("  raw 0x3c {}\n", "00".repeat(255));
        format!("accept\n{};", unknown.repeat(count))
    };
    let long = json!({ "source": raw(1000) });
    for path in [RULES.to_owned(), format!("{RULES}?dryRun=true")] {
        let refused = problem(&put(&server, &path, &long), 422);
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("484519"), "{detail}");
    }
    assert_eq!(server.get(NETWORK).json()["revision"], 1, "nothing was stored");
    // With what fits nearly, other fields of the older API are too much.
    ok(&put(&server, RULES, &json!({ "source": raw(800) })));
    let accept = json!({ "type": "ACTION_ACCEPT" });
    let capability = |id: usize| json!({ "id": id, "default": false, "rules": vec![accept.clone(); 64] });
    let capabilities = json!({ "capabilities": (0..128).map(capability).collect::<Vec<_>>() });
    let refused = server.post(NETWORK, &capabilities);
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.error().unwrap().contains("rules: "), "{refused:?}");
    assert_eq!(server.post(NETWORK, &json!({ "name": "x" })).status, 200, "the rest can be changed");
}

/// `vl2.md` §19.2: what an administrator says holds, also of a node that has not asked yet.
#[test]
fn a_node_that_is_banned_before_it_asks_is_refused_by_a_public_network() {
    let server = Server::start();
    server.post(NETWORK, &json!({ "private": false }));
    let member = |node: &str| format!("{NETWORK}/member/{node}");
    server.post(&member("1111111111"), &json!({ "authorized": false }));
    server.post(&member("2222222222"), &json!({ "name": "x" }));
    let shown = server.get(&member("2222222222")).json();
    server.post(&member("2222222222"), &shown);
    let is_admitted = |node| matches!(decided(&server, node), Decision::Admit { .. });
    assert!(!is_admitted("1111111111"));
    assert!(is_admitted("2222222222") && is_admitted("3333333333"), "nothing was said of these");
    server.post(&member("2222222222"), &json!({ "authorized": false }));
    assert!(!is_admitted("2222222222"));
    server.post(&member("1111111111"), &json!({ "authorized": true }));
    assert!(is_admitted("1111111111"));
}
