//! Lists of any length (`http-api.md` §7.5, §7.7).

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use ctl_core::{Member, Network};
use ctl_store::Store;
use serde_json::{Value, json};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::server::{CONTROLLER, MEMBER, Options, Server, TOKEN, many_peers};

/// More than fit into an answer that is sent whole.
const MEMBERS: u64 = 3_000;

fn network() -> NetworkId {
    format!("{CONTROLLER}0000aa").parse().unwrap()
}

fn store() -> Store {
    let store = Store::in_memory().unwrap();
    let filled = store.write(|tx| {
        tx.networks().put(&Network { revision: 1, ..Network::new(network(), Timestamp(1)) })?;
        for n in 1..=MEMBERS {
            let member = Member::new(network(), Address::from_low_bits(n), Timestamp(1));
            tx.members().put(&Member { authorized: n % 3 == 0, revision: n, ..member })?;
        }
        Ok::<_, ctl_store::StoreError>(())
    });
    filled.unwrap();
    store
}

#[test]
fn long_list_of_members_comes_in_chunks_and_is_whole() {
    let server = Server::with(Options { store: store(), ..Options::default() });
    let answer = server.get(&format!("/unstable/controller/network/{}/member", network()));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let list = answer.json();
    assert_eq!(list["meta"], json!({ "authorizedCount": MEMBERS / 3, "totalCount": MEMBERS }));
    let ids: BTreeSet<_> =
        list["data"].as_array().unwrap().iter().map(|member| member["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, MEMBERS);
    let one = server.get(&format!("/controller/network/{}/member/0000000007", network())).json();
    let mut listed = list["data"][6].clone();
    listed["recentLog"] = json!([]);
    assert_eq!(listed, one, "a member looks the same in the list, but for its log");
}

#[test]
fn list_that_is_not_long_has_its_length_in_the_header() {
    let server = Server::with(Options { store: store(), ..Options::default() });
    let answer = server.get(&format!("/controller/network/{}/member", network()));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let list = answer.json();
    assert_eq!(list.as_object().unwrap().len() as u64, MEMBERS);
    assert_eq!((&list["0000000001"], &list["0000000bb8"]), (&json!(1), &json!(3000)));
    assert_eq!(server.get("/unstable/controller/network").json()["meta"], json!({ "networkCount": 1 }));
    let unknown = format!("{CONTROLLER}0000ab");
    for path in [
        format!("/controller/network/{unknown}/member"),
        format!("/unstable/controller/network/{unknown}/member"),
    ] {
        assert_eq!((server.get(&path).status, server.get(&path).body.len()), (404, 0), "{path}");
    }
}

/// A client that does not read holds nothing but its connection: no transaction, and no more than a page.
#[test]
fn list_is_not_read_further_than_the_client_takes_it() {
    let server = Server::with(Options { store: store(), ..Options::default() });
    let path = format!("/unstable/controller/network/{}/member", network());
    let _stuck: Vec<_> = (0..8).map(|_| server.begin(&path)).collect();
    // The database in memory has one connection, so a transaction left open would be noticed.
    let answer = server.post(&format!("/controller/network/{}", network()), &json!({ "name": "x" }));
    assert_eq!(answer.status, 200);
    assert_eq!(server.get(&path).json()["meta"]["totalCount"], json!(MEMBERS));
}

/// Peers are as many as members, and strangers may be among them.
#[test]
fn long_list_of_peers_comes_in_chunks_and_is_not_read_further_than_the_client_takes_it() {
    const PEERS: usize = 100_000;
    let server = Server::with_peers(PEERS);
    let stuck = server.begin("/peer");
    // So much fits into the buffers of both sides that most are still to come when the answer has begun.
    assert!((1..PEERS).contains(&server.shown_peers.load(Ordering::SeqCst)));
    drop(stuck);

    let server = Server::with_peers(5_000);
    let answer = server.get("/peer");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let list = answer.json();
    let shown: Vec<_> =
        list.as_array().unwrap().iter().map(|peer| peer["address"].as_str().unwrap()).collect();
    let expected: Vec<_> = (1..=5_000).map(|n| Address::from_low_bits(n).to_string()).collect();
    assert_eq!(shown, expected);
    assert_eq!(Server::with_peers(0).get("/peer").json(), json!([]));
}

/// What is missing of a list is no shorter list.
#[test]
fn list_of_peers_whose_node_ends_meanwhile_is_broken_off() {
    let ends_after = |count| {
        let peers = many_peers(5_000);
        Server::with(Options { store: store(), peers, ends_after: Some(count), ..Options::default() })
    };
    let mut answer = Vec::new();
    let server = ends_after(4_000);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "GET /peer HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8(answer).unwrap();
    assert!(text.contains("transfer-encoding: chunked") && text.contains("\"0000000001\""), "{text:.300}");
    assert!(!text.ends_with("\r\n0\r\n\r\n"), "it looks whole");
    let server = ends_after(0);
    let answer = server.get("/peer");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
    for path in ["/api/v2/peer".to_owned(), format!("/api/v2/network/{}/member?online=true", network())] {
        let answer = server.get(&path);
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (503, &json!("urn:ctl-bin:problem:stopping")),
            "{path}: {answer:?}"
        );
    }
}

/// `http-api.md` §17; four wishes of §22 ask for it.
#[test]
fn active_members_are_those_that_asked_lately() {
    let server = Server::start();
    let network = format!("{CONTROLLER}0000ac");
    server.post(&format!("/controller/network/{network}"), &json!({}));
    server.join(&network);
    let path = format!("/controller/network/{network}/active");
    assert_eq!(server.get(&path).json(), json!({}));
    server.note(&network, 0);
    assert_eq!(server.get(&path).json(), json!({}), "that was long ago");
    let now = server.get("/status").json()["clock"].as_u64().unwrap();
    server.note(&network, now);
    assert_eq!(server.get(&path).json(), json!({ MEMBER: now }));
    let member = server.get(&format!("/controller/network/{network}/member/{MEMBER}")).json();
    assert_eq!((&member["firstSeen"], &member["recentLog"][0]["ts"]), (&json!(0), &Value::from(now)));
    assert_eq!(server.get(&format!("/controller/network/{CONTROLLER}0000ad/active")).status, 404);
}
