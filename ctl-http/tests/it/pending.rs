//! Strangers that wait for an administrator, and what is noted for those who return.

use ctl_core::Member;
use ctl_core::pending::Source;
use serde_json::json;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::server::Server;

const NETWORK: &str = "/controller/network/a940ad429a0000f1";
const NETWORK_ID: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);
const PENDING: &str = "/api/v2/network/a940ad429a0000f1/pending";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// A node that nobody knows has asked to join.
fn put_stranger(server: &Server, node: &str, source: Source, asked: u64) {
    let member = Member { revision: 1, ..Member::new(NETWORK_ID, address(node), Timestamp(asked)) };
    server
        .store
        .write(|tx| {
            tx.members().put(&member)?;
            tx.pending().put(NETWORK_ID, member.address, source, Timestamp(asked + 7))
        })
        .unwrap();
}

/// `known-flaws.md` row 7.
#[test]
fn strangers_are_listed_until_somebody_edits_them() {
    let server = Server::start();
    assert_eq!(server.get(PENDING).status, 404, "of a network that is not there");
    server.post(NETWORK, &json!({}));
    put_stranger(&server, "1111111111", Source::V4([192, 0, 2]), 1_000);
    put_stranger(&server, "2222222222", Source::Relayed, 2_000);
    let week = 604_800_000;
    let expected = json!({
        "data": [
            { "address": "2222222222", "firstAsked": 2_000, "lastAsked": 2_007, "expires": 2_007 + week,
              "source": "relayed" },
            { "address": "1111111111", "firstAsked": 1_000, "lastAsked": 1_007, "expires": 1_007 + week,
              "source": "192.0.2.0/24" },
        ],
        "meta": { "totalCount": 2, "limit": 1_000 },
    });
    assert_eq!(server.get(PENDING).json(), expected);
    // To every other interface it is a member like any other.
    let members = server.get(&format!("{NETWORK}/member")).json();
    assert_eq!(members, json!({ "1111111111": 1, "2222222222": 1 }));
    for (node, edit) in
        [("1111111111", json!({ "authorized": true })), ("2222222222", json!({ "name": "x" }))]
    {
        assert_eq!(server.post(&format!("{NETWORK}/member/{node}"), &edit).status, 200);
    }
    assert_eq!(server.get(PENDING).json()["data"], json!([]));
}

/// `known-flaws.md` row 13.
#[test]
fn whoever_loses_its_authorization_is_noted_in_the_same_transaction() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    for node in ["1111111111", "2222222222", "3333333333"] {
        server.post(&format!("{NETWORK}/member/{node}"), &json!({ "authorized": node != "3333333333" }));
    }
    server.post(&format!("{NETWORK}/member/1111111111"), &json!({ "authorized": false }));
    for node in ["2222222222", "3333333333"] {
        server.send("DELETE", &format!("{NETWORK}/member/{node}"), None);
    }
    let revoked = server.store.read(|tx| tx.revoked().list_since(Timestamp(0))).unwrap();
    let mut members: Vec<_> = revoked.iter().map(|(_, member, _)| *member).collect();
    members.sort_unstable();
    assert_eq!(members, [address("1111111111"), address("2222222222")]);
    server.send("DELETE", NETWORK, None);
    assert!(server.store.read(|tx| tx.networks().was_removed(NETWORK_ID)).unwrap());
}
