//! What a browser is told, and what a page from elsewhere can do: nothing.

use std::sync::Arc;

use ctl_http::Access;

use crate::client::{self, Answer};
use crate::server::{Server, TOKEN};

const PANEL: &str = "https://panel.example";

fn preflight(server: &Server, origin: &str) -> Answer {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-zt1-auth"),
    ];
    client::send(server.address, "OPTIONS", "/controller/network", &headers, None)
}

fn has_cors(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, _)| name.starts_with("access-control-"))
}

#[test]
fn no_page_of_another_server_may_use_the_api_by_default() {
    let server = Server::start();
    let answer = preflight(&server, PANEL);
    assert_eq!((answer.status, has_cors(&answer)), (401, false));
    let headers = [("Origin", PANEL), ("X-ZT1-Auth", TOKEN)];
    let answer = client::send(server.address, "GET", "/status", &headers, None);
    assert_eq!((answer.status, has_cors(&answer)), (200, false));
}

#[test]
fn pages_that_are_allowed_may_and_others_still_may_not() {
    let server = Server::start();
    server.access.send_modify(|access| {
        *access = Arc::new(Access { allowed_origins: vec![PANEL.parse().unwrap()], ..(**access).clone() });
    });
    let answer = preflight(&server, PANEL);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(PANEL)));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("x-zt1-auth"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert_eq!(answer.header("access-control-allow-credentials"), None, "there are no cookies to be sent");
    for (token, status) in [(TOKEN, 200), ("wrong", 401)] {
        let headers = [("Origin", PANEL), ("X-ZT1-Auth", token)];
        let answer = client::send(server.address, "GET", "/status", &headers, None);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(PANEL)));
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    for origin in
        ["https://panel.example.evil", "http://panel.example", "https://panel.example:8443", "null", "*"]
    {
        let answer = preflight(&server, origin);
        assert_eq!((answer.status, has_cors(&answer)), (401, false), "{origin}");
    }
    // A preflight opens nothing: it reaches no route.
    let headers = [("Origin", PANEL), ("Access-Control-Request-Method", "GET")];
    let answer = client::send(server.address, "GET", "/controller/network", &headers, None);
    assert_eq!(answer.status, 401);
}

#[test]
fn every_answer_tells_the_browser_to_do_nothing_more_with_it() {
    let server = Server::start();
    let answers = [
        server.get("/status"),
        server.get("/nope"),
        server.get("/api/v2/audit?limit=0"),
        client::send(server.address, "GET", "/status", &[], None),
        client::send(server.address, "GET", "/health", &[], None),
        server.get(&format!("/{}", "x".repeat(9000))),
    ];
    for answer in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
        }
    }
}

#[test]
fn request_id_is_taken_over_if_it_is_sane_and_made_otherwise() {
    let server = Server::start();
    let id_of = |id: &str| {
        let headers = [("X-Request-Id", id), ("X-ZT1-Auth", TOKEN)];
        let answer = client::send(server.address, "GET", "/api/v2/network/x/rules?", &headers, None);
        answer.header("x-request-id").unwrap().to_owned()
    };
    let longest = "x".repeat(64);
    for id in ["7", "a-B_9.c", &longest] {
        assert_eq!(id_of(id), id);
    }
    let too_long = "x".repeat(65);
    for id in ["", "a b", "<script>", "a\"b", "ü", &too_long] {
        let made = id_of(id);
        assert!(made.len() == 16 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}: {made}");
    }
    assert_ne!(id_of(""), id_of(""));
    let headers = [("X-Request-Id", "my-id"), ("X-ZT1-Auth", TOKEN)];
    let problem = client::send(server.address, "GET", "/api/v2/audit?limit=0", &headers, None);
    assert_eq!((problem.status, &problem.json()["requestId"]), (422, &"my-id".into()));
}
