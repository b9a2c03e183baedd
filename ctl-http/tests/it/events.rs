//! Events as they happen: who gets which, how a client goes on after an interruption, and how a stream ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use ctl_core::{Event, EventKind};
use ctl_http::{Access, Token};
use serde_json::{Value, json};
use zt_proto::{NetworkId, Timestamp};

use crate::server::{Options, Server, TOKEN};

const ONE: &str = "a940ad429a0000f1";
const OTHER: &str = "a940ad429a0000f2";
const MEMBER: &str = "1111111111";
/// A test that waits this long has failed.
const LONG: Duration = Duration::from_secs(30);

/// A client that reads a stream of events.
struct Watching {
    reader: BufReader<TcpStream>,
    text: String,
}

/// A part of the stream, up to its empty line.
#[derive(Debug, Default, PartialEq)]
struct Part {
    id: String,
    event: String,
    data: Value,
}

impl Watching {
    /// Begins to watch, and returns as well what is said first.
    fn begin(server: &Server, token: &str, query: &str, last: Option<&str>) -> (Self, Part) {
        let (status, mut watching) = Self::ask(server, token, query, last);
        assert_eq!(status, 200);
        let part = watching.next().unwrap();
        assert_eq!(part.event, "ready");
        (watching, part)
    }

    fn ask(server: &Server, token: &str, query: &str, last: Option<&str>) -> (u16, Self) {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        write!(stream, "GET /api/v2/events{query} HTTP/1.1\r\nHost: h\r\nX-ZT1-Auth: {token}\r\n{last}\r\n")
            .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 200 {
            let head = head.to_ascii_lowercase();
            assert!(
                head.contains("content-type: text/event-stream\r\n") && head.contains("no-store"),
                "{head}"
            );
        }
        (status, Self { reader, text: String::new() })
    }

    /// Returns the next part; `None` at the end of the stream.
    fn next(&mut self) -> Option<Part> {
        loop {
            if let Some((part, rest)) = self.text.split_once("\n\n") {
                let (part, rest) = (read_part(part), rest.to_owned());
                self.text = rest;
                return Some(part);
            }
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).unwrap() + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            if chunk.len() == 2 {
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk[..chunk.len() - 2]).unwrap());
        }
    }

    /// Returns the next event, without what is only there to be there.
    fn event(&mut self) -> Part {
        std::iter::from_fn(|| self.next()).find(|part| !part.event.is_empty()).unwrap()
    }

    /// Returns kind and member of the next events.
    fn kinds(&mut self, count: usize) -> Vec<(String, Value)> {
        let parts = (0..count).map(|_| self.event());
        parts.map(|part| (part.event, part.data["member"].clone())).collect()
    }
}

fn read_part(text: &str) -> Part {
    let mut part = Part::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => part.id = id.to_owned(),
            Some(("event", event)) => part.event = event.to_owned(),
            Some(("data", data)) => part.data = serde_json::from_str(data).unwrap(),
            Some(("retry", "2000")) => {}
            _ => assert_eq!(line, ":"),
        }
    }
    part
}

fn member(network: &str) -> String {
    format!("/api/v2/network/{network}/member/{MEMBER}")
}

fn token(server: &Server, name: &str, scope: &str) -> String {
    let answer = server.post("/api/v2/tokens", &json!({ "name": name, "scope": [scope] }));
    answer.json()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn every_change_through_either_api_is_an_event_in_the_order_of_the_changes() {
    let server = Server::start();
    let (mut watching, ready) = Watching::begin(&server, TOKEN, "", None);
    assert_eq!(ready.data, json!({ "resumed": false }));
    server.send("PUT", &format!("/api/v2/network/{ONE}"), Some("{}"));
    server.post(&format!("/controller/network/{ONE}"), &json!({ "name": "x" }));
    server.post(&format!("/controller/network/{ONE}"), &json!({ "name": "x" })); // changes nothing
    server.post(&format!("/controller/network/{ONE}/member/{MEMBER}"), &json!({}));
    let bulk = json!({ "entries": [{ "address": MEMBER, "action": "authorize" }, { "address": "2222222222", "action": "authorize" }] });
    server.post(&format!("/api/v2/network/{ONE}/member/bulk"), &bulk);
    server.send("PATCH", &member(ONE), Some(r#"{"name":"laptop"}"#));
    server.send("PATCH", &member(ONE), Some(r#"{"authorized":false}"#));
    server.send("PATCH", &member(ONE), Some(r#"{"name":7}"#)); // is refused
    server.send("DELETE", &member(ONE), None);
    server.send("DELETE", &format!("/controller/network/{ONE}"), None);
    let none = Value::Null;
    let (one, two) = (json!(MEMBER), json!("2222222222"));
    let expected = [
        ("network.created", &none),
        ("network.changed", &none),
        ("member.added", &one),
        ("member.authorized", &one),
        ("member.added", &two),
        ("member.authorized", &two),
        ("member.changed", &one),
        ("member.deauthorized", &one),
        ("member.removed", &one),
        ("network.removed", &none),
    ];
    let expected = expected.map(|(kind, member)| (kind.to_owned(), member.clone()));
    assert_eq!(watching.kinds(expected.len()), expected);
}

#[test]
fn event_says_when_what_where_and_which_revision() {
    let mut server = Server::start();
    let (mut watching, ready) = Watching::begin(&server, TOKEN, "", None);
    server.post(&format!("/controller/network/{ONE}"), &json!({}));
    let created = watching.event();
    let time = created.data["time"].as_u64().unwrap();
    assert!(time < server.now());
    let expected =
        json!({ "type": "network.created", "time": time, "network": ONE, "member": null, "revision": 1 });
    assert_eq!(created.data, expected);
    assert_ne!(created.id, ready.id);
    // What happens elsewhere is told as well.
    let seen = Event {
        kind: EventKind::MemberSeen,
        network: NetworkId(0xa940_ad42_9a00_00f1),
        member: Some(MEMBER.parse().unwrap()),
        revision: None,
        time: Timestamp(5),
    };
    server.events.publish(&[seen]);
    let expected =
        json!({ "type": "member.seen", "time": 5, "network": ONE, "member": MEMBER, "revision": null });
    assert_eq!(watching.event().data, expected);
    server.stop();
    assert_eq!(watching.event().data, json!({ "reason": "the controller stops" }));
    assert_eq!(watching.next(), None);
}

#[test]
fn client_that_comes_back_gets_what_it_missed_or_learns_that_it_cannot() {
    let server = Server::start();
    let (mut watching, _) = Watching::begin(&server, TOKEN, "", None);
    server.post(&format!("/controller/network/{ONE}"), &json!({}));
    let created = watching.event();
    drop(watching);
    server.post(&format!("/controller/network/{OTHER}"), &json!({}));
    server.send("DELETE", &format!("/controller/network/{ONE}"), None);
    let (mut watching, ready) = Watching::begin(&server, TOKEN, "", Some(&created.id));
    assert_eq!((ready.data, ready.id), (json!({ "resumed": true }), created.id));
    assert_eq!(watching.event().data["network"], OTHER);
    assert_eq!(watching.event().event, "network.removed");
    for last in ["7-1", "x", "1795356785000-99999"] {
        let (_, ready) = Watching::begin(&server, TOKEN, "", Some(last));
        assert_eq!(ready.data, json!({ "resumed": false }), "{last}");
    }
}

#[test]
fn token_of_one_network_hears_of_that_alone() {
    let server = Server::start();
    for network in [ONE, OTHER] {
        server.post(&format!("/controller/network/{network}"), &json!({}));
    }
    let of_one = token(&server, "reader-of-one", &format!("read@{ONE}"));
    let admin_of_one = token(&server, "admin-of-one", &format!("admin@{ONE}"));
    let doorman = token(&server, "doorman", "authorize");
    for refused in [
        (&doorman, String::new()),
        (&of_one, format!("?network={OTHER}")),
        (&doorman, format!("?network={ONE}")),
    ] {
        assert_eq!(Watching::ask(&server, refused.0, &refused.1, None).0, 403, "{}", refused.1);
    }
    let of_network = format!("?network={ONE}");
    let mut watching =
        [(&*of_one, ""), (&*admin_of_one, ""), (&*of_one, &*of_network), (TOKEN, &*of_network)]
            .map(|(token, query)| Watching::begin(&server, token, query, None).0);
    server.send("PUT", &member(OTHER), Some("{}"));
    server.send("PUT", &member(ONE), Some("{}"));
    for watching in &mut watching {
        assert_eq!(watching.event().data["network"], ONE);
    }
}

#[test]
fn misspelt_question_is_refused() {
    let server = Server::start();
    for query in [
        "?network=1",
        "?network=",
        "?networks=a940ad429a0000f1",
        "?network=a940ad429a0000f1&network=a940ad429a0000f1",
    ] {
        assert_eq!(server.get(&format!("/api/v2/events{query}")).status, 422, "{query}");
    }
    let answer = server.send("POST", "/api/v2/events", Some("{}"));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    // Nothing is left open.
    assert_eq!(server.send("HEAD", "/api/v2/events", None).status, 200);
}

#[test]
fn connection_without_events_shows_that_it_lives_and_ends_with_its_token() {
    let server = Server::with(Options { heartbeat: Duration::from_millis(20), ..Options::default() });
    server.post(&format!("/controller/network/{ONE}"), &json!({}));
    let of_one = token(&server, "reader-of-one", &format!("read@{ONE}"));
    let (mut watching, ready) = Watching::begin(&server, &of_one, "", None);
    // What the token may not see moves its place on, so that it does not have to be passed again.
    server.post(&format!("/controller/network/{OTHER}"), &json!({}));
    let mut place = ready.id.clone();
    while place == ready.id {
        let part = watching.next().unwrap();
        assert_eq!((part.event.as_str(), &part.data), ("", &Value::Null));
        place = part.id;
    }
    server.send("DELETE", "/api/v2/tokens/reader-of-one", None);
    assert_eq!(watching.event().data, json!({ "reason": "the token is no longer valid" }));
    assert_eq!(watching.next(), None);
}

#[test]
fn revoked_token_hears_no_more_however_much_happens() {
    let server = Server::with(Options { heartbeat: Duration::from_millis(20), ..Options::default() });
    let reader = token(&server, "reader", "read");
    let (mut watching, _) = Watching::begin(&server, &reader, "", None);
    server.send("DELETE", "/api/v2/tokens/reader", None);
    assert_eq!(end_among_events(&server, &mut watching), json!({ "reason": "the token is no longer valid" }));
    assert_eq!(watching.next(), None);
}

#[test]
fn token_of_a_file_that_is_another_now_hears_no_more() {
    let server = Server::start();
    let (mut watching, _) = Watching::begin(&server, TOKEN, "", None);
    let replace = |access: &mut Arc<Access>, token| Arc::make_mut(access).token = Token::new(token).unwrap();
    // What is read again and has not changed ends nothing.
    server.access.send_modify(|access| replace(access, TOKEN));
    assert_eq!(watching.next().unwrap().event, "");
    server.access.send_modify(|access| replace(access, "another"));
    assert_eq!(end_among_events(&server, &mut watching), json!({ "reason": "the token is no longer valid" }));
}

/// Has something happen as long as the client is told of it, and returns what it is told at the end.
fn end_among_events(server: &Server, watching: &mut Watching) -> Value {
    let network = NetworkId(0xa940_ad42_9a00_00f1);
    let kind = EventKind::NetworkChanged;
    let event = Event { kind, network, member: None, revision: Some(1), time: Timestamp(5) };
    for _ in 0..20_000 {
        server.events.publish(&[event]);
        let part = watching.event();
        if part.event == "end" {
            return part.data;
        }
    }
    panic!("20,000 events, and the stream goes on");
}

/// `known-flaws.md` row 7.
#[test]
fn client_that_does_not_read_is_sent_away_and_holds_up_nobody() {
    let server = Server::start();
    let (mut slow, _) = Watching::begin(&server, TOKEN, "", None);
    let (mut quick, _) = Watching::begin(&server, TOKEN, "", None);
    let network = NetworkId(0xa940_ad42_9a00_00f1);
    let event = Event {
        kind: EventKind::NetworkChanged,
        network,
        member: None,
        revision: Some(1),
        time: Timestamp(5),
    };
    // More than the buffers of the connection take, which are some megabytes.
    for _ in 0..400 {
        server.events.publish(&[event; 256]);
        for _ in 0..256 {
            assert_eq!(quick.event().event, "network.changed");
        }
    }
    let mut last = slow.event();
    while last.event != "end" {
        last = slow.event();
    }
    assert!(last.data["reason"].as_str().unwrap().starts_with("more happened than was read"), "{last:?}");
    assert_eq!(slow.next(), None);
}

/// `known-flaws.md` row 7.
#[test]
fn more_clients_than_may_watch_are_told_to_come_back() {
    let server = Server::start();
    let watching: Vec<_> = (0..16).map(|_| Watching::begin(&server, TOKEN, "", None)).collect();
    let answer = server.get("/api/v2/events");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{answer:?}");
    drop(watching);
    // The server notices that they are gone.
    while Watching::ask(&server, TOKEN, "", None).0 != 200 {}
}
