//! Who changed what can be read, and is there exactly if the change is.

use ctl_core::member::ClientVersion;
use ctl_store::Client;
use serde_json::{Value, json};
use zt_proto::{NetworkId, Timestamp};

use crate::client;
use crate::server::{MEMBER, Server};

const NETWORK: &str = "/controller/network/a940ad429a0000f1";

fn entries(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.get(&format!("/api/v2/audit{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

#[test]
fn every_kind_of_write_is_written_down_once() {
    let server = Server::start();
    let member = format!("{NETWORK}/member/{MEMBER}");
    server.post(NETWORK, &json!({ "name": "one" }));
    server.post(NETWORK, &json!({ "name": "two" }));
    server.post(NETWORK, &json!({ "name": "two" }));
    server.post(&member, &json!({ "authorized": true }));
    server.post(&member, &json!({ "name": "laptop" }));
    let rules = json!({ "source": "drop;" }).to_string();
    assert_eq!(server.send("PUT", "/api/v2/network/a940ad429a0000f1/rules", Some(&rules)).status, 200);
    server.send("DELETE", &member, None);
    server.send("DELETE", NETWORK, None);
    // Neither a change that is refused nor one that changes nothing is there.
    assert_eq!(server.post(NETWORK, &json!({ "rules": 5 })).status, 200);
    assert_eq!(server.post(NETWORK, &json!({ "rules": [5] })).status, 400);

    let found = entries(&server, "");
    let actions: Vec<_> = found.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = [
        "network.create",
        "network.update",
        "member.create",
        "member.update",
        "network.update",
        "member.remove",
        "network.remove",
        "network.create",
    ];
    assert_eq!(actions, expected);
    for entry in &found {
        assert_eq!(
            (&entry["actor"], &entry["network"]),
            (&json!("authtoken.secret"), &json!("a940ad429a0000f1"))
        );
        assert!(entry["time"].as_u64().unwrap() >= 1_795_356_785_000);
    }
    let renamed = &found[found.len() - 2];
    assert_eq!(renamed["before"], json!({ "name": "one", "revision": 1 }));
    assert_eq!(renamed["after"], json!({ "name": "two", "revision": 2 }));
    assert_eq!(found[found.len() - 3]["member"], MEMBER);
    assert_eq!(found[found.len() - 4]["after"]["name"], "laptop");
}

#[test]
fn history_of_one_member_or_network_leaves_out_what_is_about_others() {
    let server = Server::start();
    let other = "/controller/network/a940ad429a0000f2";
    for network in [NETWORK, other] {
        server.post(network, &json!({}));
        server.post(&format!("{network}/member/{MEMBER}"), &json!({ "authorized": true }));
    }
    server.post(&format!("{NETWORK}/member/1111111111"), &json!({ "authorized": true }));
    server.post(&format!("{NETWORK}/member/{MEMBER}"), &json!({ "name": "laptop" }));
    let actions = |query: &str| -> Vec<String> {
        entries(&server, query).iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
    };
    let of_member = format!("?network=a940ad429a0000f1&member={MEMBER}");
    assert_eq!(actions(&of_member), ["member.update", "member.create"]);
    assert_eq!(actions(&format!("{of_member}&limit=1")), ["member.update"]);
    assert_eq!(actions("?network=a940ad429a0000f2"), ["member.create", "network.create"]);
    assert_eq!(actions(&format!("?member={MEMBER}")).len(), 3);
    assert_eq!(server.get("/api/v2/audit?network=zz").status, 422);
    assert_eq!(server.get("/api/v2/audit?member=12345").status, 422);
}

#[test]
fn pages_follow_each_other_until_there_is_no_next_one() {
    let server = Server::start();
    for number in 0..7 {
        server.post(NETWORK, &json!({ "name": number.to_string() }));
    }
    let (mut query, mut ids, mut pages) = ("?limit=3".to_owned(), Vec::new(), 0);
    loop {
        let page = server.get(&format!("/api/v2/audit{query}")).json();
        ids.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()));
        pages += 1;
        let Some(next) = page["next"].as_i64() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!((ids.len(), pages), (7, 3));
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
}

#[test]
fn audit_log_needs_the_token_and_a_query_that_is_understood() {
    let server = Server::start();
    assert_eq!(client::send(server.address, "GET", "/api/v2/audit", &[], None).status, 401);
    let answer = server.get("/api/v2/audit?limit=501");
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["detail"], "limit: expected a number from 1 to 500, got 501");
}

/// What the node of a new process does not know yet is shown as it was noted.
#[test]
fn member_that_is_not_connected_shows_when_and_from_where_it_last_asked() {
    let server = Server::start();
    let network = NetworkId(0xa940_ad42_9a00_00f1);
    server.post(NETWORK, &json!({}));
    let path = format!("{NETWORK}/member/0123456789");
    server.post(&path, &json!({}));
    let version = Some(ClientVersion { major: 1, minor: 14, revision: 2, protocol: 12 });
    let client = Client { wire: Some("192.0.2.1:9993".parse().unwrap()), version, platform: String::new() };
    let address = "0123456789".parse().unwrap();
    server.store.write(|tx| tx.sightings().note(network, address, &client, Timestamp(1234))).unwrap();
    let listed = server.get(&format!("/unstable{NETWORK}/member")).json()["data"][0].clone();
    for shown in [server.get(&path).json(), server.post(&path, &json!({})).json(), listed] {
        assert_eq!(shown["lastSeen"], 1234);
        assert_eq!(shown["physicalAddress"], "192.0.2.1/9993");
        assert_eq!((&shown["online"], &shown["revision"]), (&json!(false), &json!(1)));
    }
}
