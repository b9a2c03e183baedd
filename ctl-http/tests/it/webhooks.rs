//! Webhooks: who is told of what, and that nothing of it gets lost or shown to others.

use ctl_store::{Delivery, Outcome, WebhookId};
use serde_json::{Value, json};
use zt_proto::Timestamp;

use crate::server::{Options, Server};

const WEBHOOKS: &str = "/api/v2/webhooks";
const NETWORK: &str = "a940ad429a0000f1";
const MEMBER: &str = "1111111111";

/// Makes a webhook and returns it as the answer shows it.
fn make(server: &Server, body: &Value) -> Value {
    let answer = server.post(WEBHOOKS, body);
    assert_eq!(answer.status, 201, "{answer:?}");
    let made = answer.json();
    let path = format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(&*path));
    made
}

fn id(made: &Value) -> WebhookId {
    made["id"].as_str().unwrap().parse().unwrap()
}

fn path(made: &Value) -> String {
    format!("{WEBHOOKS}/{}", id(made))
}

/// Returns what waits for a webhook.
fn waiting(server: &Server, made: &Value) -> Vec<Delivery> {
    server.store.read(|tx| tx.webhooks().due(id(made), Timestamp(u64::MAX >> 1), 999)).unwrap()
}

fn types(server: &Server, made: &Value) -> Vec<String> {
    let bodies =
        waiting(server, made).into_iter().map(|one| serde_json::from_str::<Value>(&one.body).unwrap());
    bodies.map(|body| body["hook_type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn secret_is_shown_when_it_is_made_and_nowhere_else() {
    let server = Server::start();
    let made = make(&server, &json!({ "url": "https://hooks.example/s3cret-path", "description": "chat" }));
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(server.get(&path(&made)).json(), shown);
    assert_eq!(server.get(WEBHOOKS).json(), json!({ "data": [shown] }));
    let rotated = server.send("POST", &format!("{}/rotate", path(&made)), None).json();
    assert_ne!(rotated["secret"], made["secret"]);
    let patched = server.send("PATCH", &path(&made), Some(r#"{"enabled":false}"#)).json();
    assert_eq!((&patched["enabled"], patched.get("secret")), (&json!(false), None));
    assert_eq!(server.send("DELETE", &path(&made), None).status, 204);
    for (method, path) in [
        ("GET", path(&made)),
        ("PATCH", path(&made)),
        ("DELETE", path(&made)),
        ("GET", format!("{WEBHOOKS}/x")),
    ] {
        assert_eq!(server.send(method, &path, None).status, 404, "{method} {path}");
    }
    let log = server.get("/api/v2/audit").json();
    let actions: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["webhook.remove", "webhook.update", "webhook.rotate", "webhook.create"]);
    let log = log.to_string();
    assert!(log.contains("hooks.example") && !log.contains("s3cret") && !log.contains(secret), "{log}");
}

#[test]
fn everything_that_is_wrong_with_a_webhook_is_told_at_once() {
    let server = Server::start();
    let body = json!({
        "url": "ftp://x", "description": "x".repeat(1025), "events": ["NETWORK_JOIN", "NETWORK_JOIN", "X", 7],
        "network": "x", "enabled": 1, "secret": "mine",
    });
    let answer = server.post(WEBHOOKS, &body);
    let answer = (answer.status, answer.json());
    let pointers: Vec<_> = answer.1["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(answer.0, 422);
    let expected =
        ["/enabled", "/url", "/description", "/events/1", "/events/2", "/events/3", "/network", "/secret"];
    assert_eq!(pointers, expected);
    assert_eq!(server.post(WEBHOOKS, &json!({})).json()["errors"][0]["pointer"], "/url");
    assert_eq!(server.get(WEBHOOKS).json(), json!({ "data": [] }));
}

/// `known-flaws.md` row 7.
#[test]
fn webhooks_are_bounded() {
    let server = Server::start();
    for number in 0..32 {
        make(&server, &json!({ "url": format!("http://127.0.0.1/{number}") }));
    }
    let answer = server.post(WEBHOOKS, &json!({ "url": "http://127.0.0.1/" }));
    assert_eq!(answer.status, 409);
    assert!(answer.json()["detail"].as_str().unwrap().contains("32 webhooks"), "{answer:?}");
}

#[test]
fn change_and_what_is_told_of_it_are_stored_together() {
    let server = Server::start();
    let all = make(&server, &json!({ "url": "http://127.0.0.1/" }));
    let some =
        make(&server, &json!({ "url": "http://127.0.0.1/", "events": ["NETWORK_AUTH"], "network": NETWORK }));
    let other = make(&server, &json!({ "url": "http://127.0.0.1/", "network": "a940ad429a0000f2" }));
    server.send("PUT", &format!("/api/v2/network/{NETWORK}"), Some("{}"));
    let member = format!("/controller/network/{NETWORK}/member/{MEMBER}");
    server.post(&member, &json!({ "authorized": true }));
    server.post(&member, &json!({ "ipAssignments": ["nonsense"], "tags": 7 }));
    server.send("PATCH", &format!("/api/v2/network/{NETWORK}/member/{MEMBER}"), Some(r#"{"name":7}"#));
    server.send("DELETE", &format!("/api/v2/network/{NETWORK}"), None);
    let expected = ["NETWORK_CREATED", "MEMBER_CONFIG_CHANGED", "NETWORK_AUTH", "NETWORK_DELETED"];
    assert_eq!(types(&server, &all), expected);
    assert_eq!(types(&server, &some), ["NETWORK_AUTH"]);
    assert_eq!(types(&server, &other), [""; 0]);
    let shown = server.get(&path(&all)).json();
    assert_eq!((&shown["waiting"], &shown["dropped"]), (&json!(4), &json!(0)));
    assert!(shown["nextAttempt"].as_u64().unwrap() > 0);
}

#[test]
fn what_was_given_up_is_shown_with_the_reason() {
    let server = Server::with(Options::default());
    let made = make(&server, &json!({ "url": "http://127.0.0.1/" }));
    server.send("PUT", &format!("/api/v2/network/{NETWORK}"), Some("{}"));
    let [delivery] = &waiting(&server, &made)[..] else { panic!("one waits") };
    let outcome = Outcome::GivenUp { reason: "expected a status from 200 to 299, got 410 Gone".to_owned() };
    server.store.write(|tx| tx.webhooks().settle(id(&made), delivery.id, &outcome, Timestamp(9))).unwrap();
    let shown = server.get(&path(&made)).json();
    assert_eq!((&shown["waiting"], &shown["nextAttempt"]), (&json!(0), &json!(0)));
    let reason = "expected a status from 200 to 299, got 410 Gone";
    assert_eq!((&shown["lastFailure"], &shown["dead"][0]["failure"]), (&json!(reason), &json!(reason)));
    assert_eq!(shown["dead"][0]["body"]["hook_type"], "NETWORK_CREATED");
    assert_eq!(shown["dead"][0]["attempts"], 1);
}

#[test]
fn what_was_given_up_is_tried_again_when_somebody_says_so() {
    let server = Server::with(Options::default());
    let made = make(&server, &json!({ "url": "http://127.0.0.1/" }));
    for number in 1..=3 {
        server.send("PUT", &format!("/api/v2/network/a940ad429a0000f{number}"), Some("{}"));
    }
    let all = waiting(&server, &made);
    assert_eq!(all.len(), 3);
    for delivery in &all {
        let outcome = Outcome::GivenUp { reason: "410 Gone".to_owned() };
        server
            .store
            .write(|tx| tx.webhooks().settle(id(&made), delivery.id, &outcome, Timestamp(9)))
            .unwrap();
    }
    let retry = |body: Value| server.post(&format!("{}/retry", path(&made)), &body);
    let dead = |shown: &Value| {
        let dead = shown["dead"].as_array().unwrap().iter();
        dead.map(|one| one["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let one = retry(json!({ "delivery": all[1].id })).json();
    assert_eq!((&one["waiting"], dead(&one)), (&json!(1), vec![all[2].id, all[0].id]));
    assert_eq!(waiting(&server, &made)[0].attempts, 0, "it has all its attempts again");
    for (body, status, words) in [
        (json!({ "delivery": all[1].id }), 409, "was not given up"),
        (json!({ "delivery": 999 }), 409, "was not given up"),
        (json!({ "delivery": 0 }), 409, "was not given up"),
        (json!({ "delivery": "all" }), 422, "/delivery"),
        (json!({ "deliveries": [1] }), 422, "/deliveries"),
    ] {
        let answer = retry(body.clone());
        assert!(answer.status == status && answer.json().to_string().contains(words), "{body}: {answer:?}");
    }
    assert_eq!(server.send("PATCH", &path(&made), Some(r#"{"enabled":false}"#)).status, 200);
    assert_eq!(retry(json!({})).status, 409, "nothing is sent there");
    assert_eq!(server.send("PATCH", &path(&made), Some(r#"{"enabled":true}"#)).status, 200);
    let rest = retry(json!({})).json();
    assert_eq!((&rest["waiting"], dead(&rest)), (&json!(3), vec![]));
    assert_eq!(retry(json!({})).status, 200, "there is nothing, and nothing is wrong");
    let log = server.get("/api/v2/audit").json();
    let noted = log["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "webhook.retry");
    assert_eq!(noted.count(), 2);
}

#[test]
fn a_test_is_sent_to_one_webhook_and_is_nothing_that_happened() {
    let server = Server::start();
    let made = make(&server, &json!({ "url": "https://hooks.example", "events": ["NETWORK_JOIN"] }));
    make(&server, &json!({ "url": "https://other.example" }));
    let mut woken = server.events.changes();
    woken.mark_unchanged();
    let answer = server.send("POST", &format!("{}/test", path(&made)), Some("{}"));
    assert_eq!((answer.status, &answer.json()["waiting"]), (200, &json!(1)), "{answer:?}");
    assert!(woken.has_changed().unwrap(), "nobody looks whether there is something to send");
    assert!(server.events.recent().is_empty());
    assert_eq!(types(&server, &made), ["TEST"]);
    let body: Value = serde_json::from_str(&waiting(&server, &made)[0].body).unwrap();
    assert_eq!(body["hook_id"], made["id"]);
    assert_eq!(server.get(WEBHOOKS).json()["data"][1]["waiting"], 0);
    assert_eq!(server.get("/api/v2/audit").json()["entries"][0]["action"], "webhook.test");

    server.send("PATCH", &path(&made), Some(r#"{"enabled":false}"#));
    let answer = server.send("POST", &format!("{}/test", path(&made)), None);
    assert_eq!(answer.status, 409);
    assert!(answer.json()["detail"].as_str().unwrap().contains("enable it first"), "{answer:?}");
    assert_eq!(server.send("POST", &format!("{WEBHOOKS}/x/test"), None).status, 404);
}
