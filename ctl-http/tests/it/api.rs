//! What the recorded exchanges do not show: errors, changes, limits, concurrency.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread;

use ctl_core::Change;
use ctl_store::{Store, StoreError};
use serde_json::{Value, json};
use zt_proto::{Address, IpPrefix, NetworkId};

use crate::client;
use crate::server::{CONTROLLER, MEMBER, Options, Server, TOKEN};

const NETWORK: &str = "/controller/network/a940ad429a0000f1";
const NETWORK_ID: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);

fn member_path(address: &str) -> String {
    format!("{NETWORK}/member/{address}")
}

fn error_of(answer: &client::Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.error().unwrap_or_else(|| panic!("no well-formed error: {answer:?}"))
}

/// `known-flaws.md` row 4: a token in a URL ends up in logs.
#[test]
fn token_in_the_query_is_refused_unless_allowed() {
    let path = format!("/controller?auth={TOKEN}");
    for (allow_query_token, status) in [(false, 401), (true, 200)] {
        let server = Server::with(Options { allow_query_token, ..Options::default() });
        assert_eq!(client::send(server.address, "GET", &path, &[], None).status, status);
    }
    // While it is not allowed it is not looked at, so it does not come before the header.
    let server = Server::start();
    let headers = [("Authorization", &*format!("Bearer {TOKEN}"))];
    assert_eq!(client::send(server.address, "GET", "/controller?auth=wrong", &headers, None).status, 200);
}

#[test]
fn unknown_path_and_every_method_need_the_token() {
    let server = Server::start();
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/status", "/nope", NETWORK, "/healthy", "/health/x"] {
            let answer = client::send(server.address, method, path, &[], None);
            assert_eq!((answer.status, answer.json()), (401, json!({})), "{method} {path}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
    assert_eq!(client::send(server.address, "GET", "/health", &[], None).status, 200);
}

/// `http-api.md` §3.2. Needs an address of this machine that is not loopback; without one there is nothing to test.
#[test]
fn source_that_is_not_allowed_is_refused_even_with_the_token() {
    let Some(own) = own_address() else { return };
    for (allowed_sources, status) in [(vec![], 401), (vec![IpPrefix::new(own, 32).unwrap()], 200)] {
        let server = Server::with(Options { listen: own, allowed_sources, ..Options::default() });
        for path in ["/status", "/health"] {
            assert_eq!(server.get(path).status, status, "{path}");
        }
    }
}

/// Returns the IPv4 address with which this machine would reach others; nothing is sent.
pub(crate) fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

/// Nothing is dropped silently: who cannot be queued is told so, and reading goes on.
#[test]
fn full_queue_of_writes_is_503_with_the_time_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    let server = Server::with(Options { store: store.clone(), ..Options::default() });
    server.post(NETWORK, &json!({}));
    let (enter, entered) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    let (refuse, refused) = mpsc::channel();
    thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            store.write(|_| {
                enter.send(()).unwrap();
                left.recv().unwrap();
                Ok::<_, StoreError>(())
            })
        });
        entered.recv().unwrap();
        for _ in 0..300 {
            let refuse = refuse.clone();
            scope.spawn(move || {
                if let Err(error) = store.write(|_| Ok::<_, StoreError>(())) {
                    refuse.send(error).unwrap();
                }
            });
        }
        assert!(matches!(refused.recv().unwrap(), StoreError::Busy));
        let answer = server.post(NETWORK, &json!({ "name": "x" }));
        assert!(error_of(&answer, 503).starts_with("too many others wait for the database"), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(server.get(NETWORK).status, 200);
        leave.send(()).unwrap();
    });
    assert_eq!(server.post(NETWORK, &json!({ "name": "x" })).status, 200);
}

#[test]
fn error_of_a_body_names_field_expectation_and_value() {
    let server = Server::start();
    let cases = [
        (
            json!({ "rules": [{ "type": "ACTION_DROP" }, { "type": "MATCH_FOO" }] }),
            "rules[1].type: unknown rule type \"MATCH_FOO\", expected",
        ),
        (json!({ "rules": [7] }), "rules[0]: expected an object with a type, got 7"),
        (
            json!({ "capabilities": [{ "id": 1, "rules": [{ "type": "MATCH_IPV6_DEST" }] }] }),
            "capabilities[0].rules[0].ip: expected an IPv6 ADDRESS/BITS, for example fd00::/8, got nothing",
        ),
    ];
    for (body, expected) in cases {
        let error = error_of(&server.post(NETWORK, &body), 400);
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(server.get(NETWORK).status, 404, "a refused body created the network");
}

#[test]
fn body_over_the_limit_is_413_with_a_json_error() {
    let server = Server::start();
    let body = |length: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(length - 10));
    assert_eq!(server.send("POST", NETWORK, Some(&body(4 << 20))).status, 200);
    let error = error_of(&server.send("POST", NETWORK, Some(&body((4 << 20) + 1))), 413);
    assert!(error.contains("expected at most 4194304"), "{error}");
    // Without Content-Length it is noticed while reading.
    let mut chunked = Vec::new();
    for _ in 0..5 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.resize(chunked.len() + (1 << 20), b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = [("X-ZT1-Auth", TOKEN), ("Transfer-Encoding", "chunked")];
    error_of(&client::send(server.address, "POST", NETWORK, &headers, Some(&chunked)), 413);
}

#[test]
fn address_of_another_member_is_409_and_nothing_is_applied() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    server.post(&member_path("1111111111"), &json!({ "ipAssignments": ["10.0.0.1"] }));
    server.post(&member_path("2222222222"), &json!({}));
    let body = json!({ "name": "thief", "ipAssignments": ["10.0.0.2", "10.0.0.1"] });
    let error = error_of(&server.post(&member_path("2222222222"), &body), 409);
    assert!(
        error.starts_with("ipAssignments: ") && error.contains("10.0.0.1, which member 1111111111"),
        "{error}"
    );
    let member = server.get(&member_path("2222222222")).json();
    assert_eq!((&member["name"], &member["ipAssignments"]), (&Value::Null, &json!([])));
    // The address is free once its holder is gone.
    server.send("DELETE", &member_path("1111111111"), None);
    assert_eq!(server.post(&member_path("2222222222"), &body).status, 200);
}

#[test]
fn network_of_another_controller_is_refused_in_every_form() {
    let server = Server::start();
    for path in ["/controller/network/8056c2e21c000001", "/controller/network/8056c2e21c______"] {
        let error = error_of(&server.post(path, &json!({})), 400);
        assert!(error.contains(CONTROLLER) && error.contains("8056c2e21c"), "{error}");
    }
    assert_eq!(server.get("/controller/network").json(), json!([]));
}

#[test]
fn random_id_is_never_zero_and_never_in_use() {
    let numbers = std::sync::Mutex::new(vec![3, 2, 1, 1, 0xff00_0000, 0, 1].into_iter());
    let random = Arc::new(move || numbers.lock().unwrap().next().unwrap_or(9));
    let server = Server::with(Options { random, ..Options::default() });
    let created: Vec<_> =
        (0..4).map(|_| server.post("/controller/network", &json!({})).json()["id"].clone()).collect();
    let id = |suffix: u8| json!(format!("{CONTROLLER}00000{suffix}"));
    assert_eq!(created, [id(3), id(2), id(1), id(9)]);
}

#[test]
fn no_free_id_is_503() {
    let server = Server::with(Options { random: Arc::new(|| 5), ..Options::default() });
    assert_eq!(server.post("/controller/network", &json!({})).status, 200);
    let error = error_of(&server.post("/controller/network", &json!({})), 503);
    assert_eq!(error, "no free network id was found");
}

#[test]
fn every_committed_change_is_sent_and_nothing_else() {
    let mut server = Server::start();
    let network = NETWORK_ID;
    let member: Address = "1111111111".parse().unwrap();
    let path = member_path("1111111111");
    let steps = [
        ("POST", NETWORK, json!({}), Some(Change::Network(network))),
        ("POST", NETWORK, json!({ "private": true }), None),
        ("POST", NETWORK, json!({ "name": "a", "rules": [1] }), None),
        ("POST", NETWORK, json!({ "name": "a" }), Some(Change::Network(network))),
        ("POST", &path, json!({ "authorized": true }), Some(Change::Member { network, member })),
        ("POST", &path, json!({ "authorized": true }), None),
        ("POST", &path, json!({ "authorized": false }), Some(Change::MemberRevoked { network, member })),
        ("DELETE", &path, json!({}), None),
        ("POST", &path, json!({ "authorized": true }), Some(Change::Member { network, member })),
        ("DELETE", &path, json!({}), Some(Change::MemberRevoked { network, member })),
        ("GET", NETWORK, json!({}), None),
        ("DELETE", NETWORK, json!({}), Some(Change::NetworkRemoved(network))),
        ("DELETE", NETWORK, json!({}), None),
    ];
    for (method, path, body, expected) in steps {
        server.send(method, path, Some(&body.to_string()));
        assert_eq!(server.changes.try_recv().ok(), expected, "{method} {path} {body}");
    }
}

#[test]
fn extra_keys_tell_members_and_presence_and_move_no_revision() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    let path = member_path(MEMBER);
    let member = server.post(&path, &json!({ "authorized": true })).json();
    assert_eq!((&member["online"], &member["physicalAddress"]), (&json!(true), &json!("10.55.0.2/9993")));
    assert!(member["lastSeen"].as_u64().unwrap() > 0);
    server.post(&member_path("1111111111"), &json!({}));
    let network = server.get(NETWORK).json();
    assert_eq!((&network["authorizedMemberCount"], &network["totalMemberCount"]), (&json!(1), &json!(2)));
    assert_eq!((&network["revision"], &member["revision"]), (&json!(1), &json!(1)));
    // Interfaces send back what they read.
    assert_eq!(server.post(NETWORK, &network).json(), network);
    assert_eq!(server.post(&path, &member).json(), member);
}

#[test]
fn concurrent_writers_lose_nothing() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    thread::scope(|scope| {
        for writer in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for step in 0..10 {
                    let path = member_path(&format!("{:010x}", 1 + writer * 10 + step));
                    assert_eq!(server.post(&path, &json!({ "authorized": true })).status, 200);
                    assert_eq!(
                        server.post(NETWORK, &json!({ "mtu": 2000 + writer * 10 + step })).status,
                        200
                    );
                }
            });
        }
    });
    assert_eq!(server.get(&format!("{NETWORK}/member")).json().as_object().unwrap().len(), 40);
    assert_eq!(server.get(NETWORK).json()["revision"], 41);
}

#[test]
fn status_names_the_software_beside_the_level_of_the_api() {
    let server = Server::start();
    let status = server.get("/status").json();
    assert_eq!(status["version"], "1.14.1");
    assert_eq!(status["controllerSoftware"], concat!("ctl-bin/", env!("CARGO_PKG_VERSION")));
}

#[test]
fn server_stops_when_it_is_told_to() {
    let mut server = Server::start();
    assert_eq!(server.get("/controller").status, 200);
    server.stop();
    assert!(std::net::TcpStream::connect(server.address).is_err());
}
