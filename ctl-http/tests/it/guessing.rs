//! Wrong tokens: how many, from where, and who is not locked out.

use std::net::{IpAddr, UdpSocket};

use serde_json::json;
use zt_proto::IpPrefix;

use crate::client::{self, Answer};
use crate::server::{Options, Server, TOKEN};

/// As `access::failures` has it.
const FREE_FAILURES: usize = 20;

fn guess(server: &Server, token: &str, path: &str) -> Answer {
    client::send(server.address, "GET", path, &[("X-ZT1-Auth", token)], None)
}

#[test]
fn wrong_tokens_from_loopback_are_refused_after_some_and_the_right_one_never() {
    let server = Server::start();
    for _ in 0..FREE_FAILURES {
        assert_eq!(guess(&server, "wrong", "/status").status, 401);
    }
    let answer = guess(&server, "wrong", "/status");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("6")));
    assert_eq!(answer.json()["error"], 429);
    let strict = guess(&server, "ctl_0000000000000000000000000000000000000000", "/api/v2/audit");
    assert_eq!((strict.status, strict.header("content-type")), (429, Some("application/problem+json")));
    assert_eq!(strict.json()["requestId"], strict.header("x-request-id").unwrap());
    // Behind a proxy everybody comes from here: a stranger must not lock the administrator out.
    assert_eq!(guess(&server, TOKEN, "/status").status, 200);
    // Who has no token at all guesses nothing.
    assert_eq!(client::send(server.address, "GET", "/status", &[], None).status, 401);
    assert_eq!(client::send(server.address, "GET", "/health", &[("X-ZT1-Auth", "wrong")], None).status, 200);
    server.advance(6000);
    assert_eq!(guess(&server, "wrong", "/status").status, 401);
    assert_eq!(guess(&server, "wrong", "/status").status, 429);
}

/// Needs an address of this machine that is not loopback; without one there is nothing to test.
#[test]
fn other_machine_with_too_many_wrong_tokens_is_not_listened_to_even_with_the_right_one() {
    let Some(own) = own_address() else { return };
    let allowed_sources = vec![IpPrefix::new(own, 32).unwrap()];
    let server = Server::with(Options { listen: own, allowed_sources, ..Options::default() });
    assert_eq!(guess(&server, TOKEN, "/status").status, 200);
    for _ in 0..FREE_FAILURES {
        assert_eq!(guess(&server, "wrong", "/status").status, 401);
    }
    assert_eq!(guess(&server, TOKEN, "/status").status, 429, "a right guess showed");
    server.advance(6000);
    assert_eq!(guess(&server, TOKEN, "/status").status, 200);
}

#[test]
fn expired_and_forbidden_are_no_guesses() {
    let server = Server::start();
    let order = json!({ "name": "guest", "scope": ["read"], "expires": server.now() + 10_000 });
    let guest = server.post("/api/v2/tokens", &order).json()["secret"].as_str().unwrap().to_owned();
    for _ in 0..2 * FREE_FAILURES {
        assert_eq!(guess(&server, &guest, "/api/v2/tokens").status, 403);
    }
    server.advance(10_000);
    for _ in 0..2 * FREE_FAILURES {
        assert_eq!(guess(&server, &guest, "/peer").status, 401);
    }
}

/// Returns the IPv4 address with which this machine would reach others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}
