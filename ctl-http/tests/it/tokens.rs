//! Tokens: what each kind may do, how long, and what is left of them in database, log and answers.

use ctl_core::member::Credential;
use ctl_http::{Scope, tokens};
use ctl_store::{AUDIT_MAX_LIMITED, AuditEntry, StoreError, TokenHash, WebhookId};
use serde_json::{Value, json};
use zt_proto::Timestamp;

use crate::client::{self, Answer};
use crate::server::{Server, TOKEN};

const NETWORK: &str = "a940ad429a0000f1";
const OTHER: &str = "a940ad429a0000f2";
const STRANGER: &str = "1111111111";
/// What the audit log calls who has the token of the home.
const TOKEN_FILE: &str = "authtoken.secret";

/// A network with a member that asked, and another network.
fn server() -> Server {
    let server = Server::start();
    for network in [NETWORK, OTHER] {
        server.post(&format!("/controller/network/{network}"), &json!({}));
        server.post(&format!("/controller/network/{network}/member/{STRANGER}"), &json!({}));
    }
    server
}

/// Makes a token and returns its secret.
fn token(server: &Server, name: &str, scope: &[&str]) -> String {
    let answer = server.post("/api/v2/tokens", &json!({ "name": name, "scope": scope }));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["secret"].as_str().unwrap().to_owned()
}

fn send(server: &Server, token: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
    let bearer = format!("Bearer {token}");
    client::send(server.address, method, path, &[("Authorization", &bearer)], body.map(str::as_bytes))
}

/// Every endpoint, with what each kind of token gets: whether it may, not what comes of it.
#[test]
fn every_kind_of_token_may_do_at_each_endpoint_what_the_table_says_and_nothing_else() {
    let server = server();
    let tokens = [
        token(&server, "reader", &["read"]),
        token(&server, "doorman", &["authorize"]),
        token(&server, "reader-of-one", &[&format!("read@{NETWORK}")]),
        token(&server, "doorman-of-one", &[&format!("authorize@{NETWORK}")]),
        token(&server, "admin-of-one", &[&format!("admin@{NETWORK}")]),
        token(&server, "admin", &["admin"]),
    ];
    let network = format!("/controller/network/{NETWORK}");
    let other = format!("/controller/network/{OTHER}");
    let rules = format!("/api/v2/network/{NETWORK}/rules");
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    // In the order of the tokens: y may, - may not.
    let table = [
        ("GET", "/health".to_owned(), "yyyyyy"),
        ("GET", "/status".to_owned(), "yyyyyy"),
        ("GET", "/controller".to_owned(), "yyyyyy"),
        ("GET", "/network".to_owned(), "yyyyyy"),
        ("GET", "/peer".to_owned(), "y----y"),
        ("GET", "/peer/adc5699ffd".to_owned(), "y----y"),
        ("GET", "/moon".to_owned(), "y----y"),
        ("GET", "/moon/00deadbeef".to_owned(), "y----y"),
        ("GET", "/config".to_owned(), "-----y"),
        ("DELETE", "/network/a940ad429a0000f1".to_owned(), "yyyyyy"),
        ("GET", "/controller/network".to_owned(), "yyyyyy"),
        ("POST", "/controller/network".to_owned(), "-----y"),
        ("POST", "/controller/network/a940ad429a______".to_owned(), "-----y"),
        ("GET", "/unstable/controller/network".to_owned(), "y----y"),
        ("GET", network.clone(), "y-y-yy"),
        ("HEAD", network.clone(), "y-y-yy"),
        ("GET", other.clone(), "y----y"),
        ("POST", network.clone(), "----yy"),
        ("PUT", other.clone(), "-----y"),
        ("GET", at(&network, "/member"), "y-y-yy"),
        ("GET", at(&network, "/active"), "y-y-yy"),
        ("GET", format!("/unstable{network}/member"), "y-y-yy"),
        ("GET", at(&network, "/member/1111111111"), "y-y-yy"),
        ("POST", at(&network, "/member/1111111111"), "-y-yyy"),
        ("POST", at(&other, "/member/1111111111"), "-y---y"),
        ("DELETE", at(&network, "/member/2222222222"), "----yy"),
        ("GET", format!("/api/v2/network/{NETWORK}/pending"), "yyyyyy"),
        ("GET", format!("/api/v2/network/{OTHER}/pending"), "yy---y"),
        ("POST", "/api/v2/rules/compile".to_owned(), "yyyyyy"),
        ("POST", "/api/v2/rules/format".to_owned(), "yyyyyy"),
        ("POST", "/api/v2/rules/decompile".to_owned(), "yyyyyy"),
        ("GET", format!("/api/v2/network/{NETWORK}/join"), "y-y-yy"),
        ("GET", format!("/api/v2/network/{OTHER}/join"), "y----y"),
        ("GET", rules.clone(), "y-y-yy"),
        ("PUT", rules.clone(), "----yy"),
        ("PUT", format!("{rules}?dryRun=true"), "----yy"),
        ("POST", at(&rules, "/test"), "y-y-yy"),
        ("POST", at(&rules, "/explain"), "y-y-yy"),
        ("GET", "/api/v2/audit".to_owned(), "y----y"),
        ("HEAD", "/api/v2/events".to_owned(), "y-y-yy"),
        ("GET", "/api/v2/webhooks".to_owned(), "-----y"),
        ("POST", "/api/v2/webhooks".to_owned(), "-----y"),
        ("GET", "/api/v2/webhooks/x".to_owned(), "-----y"),
        ("PATCH", "/api/v2/webhooks/x".to_owned(), "-----y"),
        ("DELETE", "/api/v2/webhooks/x".to_owned(), "-----y"),
        ("POST", "/api/v2/webhooks/x/rotate".to_owned(), "-----y"),
        ("POST", "/api/v2/webhooks/x/test".to_owned(), "-----y"),
        ("POST", "/api/v2/webhooks/x/retry".to_owned(), "-----y"),
        ("GET", "/api/v2/settings".to_owned(), "-----y"),
        ("GET", "/api/v2/backups".to_owned(), "-----y"),
        ("POST", "/api/v2/backups".to_owned(), "-----y"),
        ("GET", "/api/v2/backups/x".to_owned(), "-----y"),
        ("DELETE", "/api/v2/backups/x".to_owned(), "-----y"),
        ("GET", "/api/v2/log-level".to_owned(), "-----y"),
        ("PUT", "/api/v2/log-level".to_owned(), "-----y"),
        ("GET", "/api/v2/tokens".to_owned(), "-----y"),
        ("POST", "/api/v2/tokens".to_owned(), "-----y"),
        ("GET", "/api/v2/tokens/reader".to_owned(), "-----y"),
        ("DELETE", "/api/v2/tokens/nobody".to_owned(), "-----y"),
        ("POST", "/api/v2/tokens/nobody/rotate".to_owned(), "-----y"),
        // What is new and has no row yet is for those who may do everything.
        ("GET", "/api/v2/something/new".to_owned(), "-----y"),
        ("PATCH", network.clone(), "-----y"),
        ("GET", "/%63ontroller/network/../network".to_owned(), "-----y"),
        ("DELETE", at(&network, "/"), "----yy"),
    ];
    for (method, path, expected) in table {
        let got: String = tokens
            .iter()
            .map(|token| match send(&server, token, method, &path, None).status {
                403 => '-',
                401 => panic!("{method} {path}: a token was not accepted"),
                _ => 'y',
            })
            .collect();
        assert_eq!(got, expected, "{method} {path}");
    }
}

/// What others did, and what they are told, has a place however much a token of one network does. Others are administrators as
/// well as tokens of other networks.
#[test]
fn token_of_one_network_fills_neither_the_audit_log_nor_a_webhook() {
    let server = server();
    let tenant = token(&server, "tenant", &[&format!("authorize@{OTHER}")]);
    let other_member = format!("/api/v2/network/{OTHER}/member/{STRANGER}");
    let doorman = token(&server, "doorman", &[&format!("authorize@{NETWORK}")]);
    let hook = server.post("/api/v2/webhooks", &json!({ "url": "http://127.0.0.1:1/" })).json();
    let id: WebhookId = hook["id"].as_str().unwrap().parse().unwrap();
    let hook_path = format!("/api/v2/webhooks/{id}");
    let toggle = AuditEntry {
        time: Timestamp(server.now()),
        actor: "doorman".to_owned(),
        action: "member.update",
        network: Some(NETWORK.parse().unwrap()),
        member: Some(STRANGER.parse().unwrap()),
        before: None,
        after: None,
    };
    let answer = send(&server, &tenant, "PATCH", &other_member, Some(r#"{"authorized":true}"#));
    assert_eq!(answer.status, 200, "{answer:?}");
    // They are counted whenever their number is a multiple of this.
    let counted = AUDIT_MAX_LIMITED.next_multiple_of(256);
    let first = server.store.write(|tx| {
        let bodies = vec![format!(r#"{{"network_id":"{NETWORK}"}}"#); 10_000];
        let network = NETWORK.parse().unwrap();
        while tx.webhooks().enqueue_limited(id, network, &bodies, Timestamp(0))? > 0 {}
        let first = tx.audit().add_limited(&toggle)?;
        (3..counted).try_for_each(|_| tx.audit().add_limited(&toggle).map(drop))?;
        Ok::<_, StoreError>(first)
    });
    let (first, dropped) = (first.unwrap(), server.get(&hook_path).json()["dropped"].as_u64().unwrap());
    let path = format!("/api/v2/network/{NETWORK}/member/{STRANGER}");
    let answer = send(&server, &doorman, "PATCH", &path, Some(r#"{"authorized":true}"#));
    assert_eq!(answer.status, 200, "{answer:?}");
    let waiting = || {
        let shown = server.get(&hook_path).json();
        ["waiting", "dropped"].map(|field| shown[field].as_u64().unwrap())
    };
    let [before, now_dropped] = waiting();
    assert_eq!(now_dropped, dropped + 1);
    let oldest = server.store.read(|tx| tx.audit().page(Some(first + 1), 500)).unwrap();
    let actors: Vec<_> = oldest.iter().take(2).map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, ["tenant", TOKEN_FILE], "the oldest of whoever has most gave way");
    send(&server, &tenant, "PATCH", &other_member, Some(r#"{"authorized":false}"#));
    assert_eq!(waiting(), [before + 1, dropped + 1]);
    server.send("PATCH", &path, Some(r#"{"authorized":false}"#));
    assert_eq!(waiting(), [before + 2, dropped + 1]);
}

#[test]
fn token_for_letting_members_in_does_that_and_nothing_else() {
    let server = server();
    let doorman = token(&server, "doorman", &["authorize"]);
    let member = format!("/controller/network/{NETWORK}/member/{STRANGER}");
    let post = |body: Value| send(&server, &doorman, "POST", &member, Some(&body.to_string()));
    for authorized in [true, false, true] {
        let answer = post(json!({ "authorized": authorized }));
        assert_eq!((answer.status, &answer.json()["authorized"]), (200, &json!(authorized)));
    }
    // Interfaces send back what they read, with one thing changed.
    let mut whole = server.get(&member).json();
    whole["authorized"] = false.into();
    assert_eq!(post(whole.clone()).status, 200);
    for (field, value) in [
        ("name", json!("x")),
        ("activeBridge", json!(true)),
        ("ipAssignments", json!(["10.0.0.1"])),
        ("tags", json!([[1, 2]])),
        ("capabilities", json!([1])),
        ("noAutoAssignIps", json!(true)),
        ("identityFingerprint", json!("3".repeat(96))),
    ] {
        let answer = post(json!({ "authorized": true, field: value }));
        assert_eq!(answer.status, 403, "{field}");
        assert!(answer.error().unwrap().contains("\"doorman\" may not do this; its scope is: authorize"));
    }
    assert_eq!(server.get(&member).json()["authorized"], false, "a refused change was stored in part");
    // A member that did not ask is not for it to add.
    let new = format!("/controller/network/{NETWORK}/member/2222222222");
    assert_eq!(send(&server, &doorman, "POST", &new, Some(r#"{"authorized":true}"#)).status, 403);
    assert_eq!(server.get(&new).status, 404);
}

#[test]
fn join_tokens_are_shown_to_those_who_may_change_the_network() {
    let server = server();
    server.post(&format!("/controller/network/{NETWORK}"), &json!({ "authTokens": { "let-me-in": 0 } }));
    let joined = server.store.write(|tx| {
        let mut member = tx.members().get(NETWORK.parse().unwrap(), STRANGER.parse().unwrap())?.unwrap();
        member.authorize(Credential::Token("let-me-in".to_owned()), Timestamp(5));
        tx.members().put(&member)
    });
    joined.unwrap_or_else(|error: StoreError| panic!("{error}"));
    let reader = token(&server, "reader", &["read", "authorize"]);
    let admin = token(&server, "admin-of-one", &[&format!("admin@{NETWORK}")]);
    let member = format!("member/{STRANGER}");
    let mut shown = 0;
    for path in [
        format!("/controller/network/{NETWORK}"),
        format!("/controller/network/{NETWORK}/{member}"),
        format!("/unstable/controller/network/{NETWORK}/member"),
        format!("/api/v2/network/{NETWORK}"),
        format!("/api/v2/network/{NETWORK}/{member}"),
        format!("/api/v2/network/{NETWORK}/member"),
        "/api/v2/network".to_owned(),
        format!("/api/v1/network/{NETWORK}"),
        format!("/api/v1/network/{NETWORK}/{member}"),
        "/unstable/controller/network".to_owned(),
        "/api/v1/network".to_owned(),
        "/api/v2/audit".to_owned(),
    ] {
        let seen = |token: &str| {
            let answer = send(&server, token, "GET", &path, None);
            (answer.status, String::from_utf8(answer.body).unwrap().contains("let-me-in"))
        };
        assert_eq!(seen(&reader), (200, false), "{path}");
        shown += usize::from(seen(&admin).1);
    }
    assert_eq!(shown, 5, "both forms of the network, two of the member, and a list");
    // Who lets members in gets them shown in the answer.
    let path = format!("/controller/network/{NETWORK}/{member}");
    let answer = send(&server, &reader, "POST", &path, Some(r#"{"authorized":true}"#));
    assert!(!String::from_utf8(answer.body).unwrap().contains("let-me-in"));
}

#[test]
fn networks_are_listed_to_those_who_may_read_them() {
    let server = server();
    let list = |token: &str| send(&server, token, "GET", "/controller/network", None).json();
    assert_eq!(list(&token(&server, "all", &["read"])), json!([NETWORK, OTHER]));
    assert_eq!(list(&token(&server, "one", &[&format!("read@{OTHER}")])), json!([OTHER]));
    assert_eq!(list(&token(&server, "door", &["authorize"])), json!([]));
    assert_eq!(
        list(&token(&server, "both", &[&format!("read@{NETWORK}"), &format!("admin@{OTHER}")])),
        json!([NETWORK, OTHER])
    );
}

#[test]
fn audit_log_names_the_token_and_what_happened_to_it() {
    let server = server();
    let admin = token(&server, "deploy", &["admin"]);
    let body = json!({ "name": "renamed" }).to_string();
    assert_eq!(
        send(&server, &admin, "POST", &format!("/controller/network/{NETWORK}"), Some(&body)).status,
        200
    );
    send(&server, &admin, "POST", "/api/v2/tokens/deploy/rotate", None);
    server.send("DELETE", "/api/v2/tokens/deploy", None);
    let answer = server.get("/api/v2/audit?limit=4");
    let entries: Vec<_> = answer.json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["actor"].as_str().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        entries,
        [
            "authtoken.secret token.revoke",
            "deploy token.rotate",
            "deploy network.update",
            "authtoken.secret token.create"
        ]
    );
    assert!(!String::from_utf8(answer.body).unwrap().contains("ctl_"), "a secret is in the audit log");
}

#[test]
fn secret_is_shown_once_and_only_its_hash_is_kept() {
    let server = server();
    let secret = token(&server, "backup", &["read"]);
    assert!(secret.starts_with("ctl_") && secret.len() == 44, "{secret}");
    let shown = server.get("/api/v2/tokens/backup");
    let mut fields: Vec<_> = shown.json().as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["created", "expires", "lastUsed", "name", "previousSecretValidUntil", "scope"]);
    for answer in [shown, server.get("/api/v2/tokens"), server.get("/api/v2/audit")] {
        assert!(!String::from_utf8(answer.body).unwrap().contains(&secret));
    }
    let stored = server.store.read(|tx| tx.api_tokens().get(TokenHash::of(&secret))).unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.scope.as_str()), ("backup", "read"));
}

#[test]
fn rotated_token_has_a_new_secret_and_the_old_one_for_a_while() {
    let server = server();
    let first = token(&server, "deploy", &["read"]);
    let rotate = |body: Value| server.post("/api/v2/tokens/deploy/rotate", &body).json();
    let works = |secret: &str| send(&server, secret, "GET", "/peer", None).status == 200;
    let answer = rotate(json!({ "graceSeconds": 60 }));
    let second = answer["secret"].as_str().unwrap().to_owned();
    assert!(answer["previousSecretValidUntil"].as_u64().unwrap() > 0);
    assert!(works(&first) && works(&second));
    server.advance(60_000);
    assert!(!works(&first) && works(&second));
    // Without a grace the old one ends at once, and the one before with it.
    let third = rotate(json!({ "graceSeconds": 0 }))["secret"].as_str().unwrap().to_owned();
    assert!(!works(&first) && !works(&second) && works(&third));
    let fourth = rotate(json!({}))["secret"].as_str().unwrap().to_owned();
    server.advance(24 * 60 * 60 * 1000 - 1000);
    assert!(works(&third) && works(&fourth));
    server.advance(2000);
    assert!(!works(&third) && works(&fourth));
}

#[test]
fn token_ends_when_it_expires_and_when_it_is_revoked() {
    let server = server();
    let now = server.now();
    let order = json!({ "name": "guest", "scope": ["read"], "expires": now + 100_000 });
    let guest = server.post("/api/v2/tokens", &order).json()["secret"].as_str().unwrap().to_owned();
    let reader = token(&server, "reader", &["read"]);
    let status = |secret: &str| send(&server, secret, "GET", "/peer", None).status;
    assert_eq!((status(&guest), status(&reader)), (200, 200));
    server.advance(100_000);
    assert_eq!((status(&guest), status(&reader)), (401, 200));
    assert_eq!(server.get("/api/v2/tokens/guest").status, 200, "an expired token is still listed");
    assert_eq!(server.send("DELETE", "/api/v2/tokens/reader", None).json()["name"], "reader");
    assert_eq!(status(&reader), 401);
    assert_eq!(server.send("DELETE", "/api/v2/tokens/reader", None).status, 404);
}

/// A command beside the running server writes into the same database.
#[test]
fn what_another_process_does_to_tokens_counts_at_once() {
    let server = server();
    let secret = tokens::Secret::new(|| 0x5eed_5eed);
    let (name, scope) = ("cli".parse().unwrap(), "read".parse::<Scope>().unwrap());
    let now = Timestamp(server.now());
    let status = || send(&server, secret.reveal(), "GET", "/peer", None).status;
    assert_eq!(status(), 401);
    server
        .store
        .write(|tx| tokens::create(tx, (&name, &scope, Timestamp(0)), &secret, "ctl-bin", now))
        .unwrap();
    assert_eq!(status(), 200);
    server.store.write(|tx| tokens::revoke(tx, "cli", "ctl-bin", now)).unwrap();
    assert_eq!(status(), 401);
}

#[test]
fn use_of_a_token_is_saved_in_time_and_at_the_latest_at_the_end() {
    let mut server = server();
    let secret = token(&server, "reader", &["read"]);
    let used =
        || server.store.read(|tx| tx.api_tokens().get(TokenHash::of(&secret))).unwrap().unwrap().last_used;
    assert_eq!(used(), Timestamp(0));
    let before = server.now();
    for _ in 0..10 {
        send(&server, &secret, "GET", "/peer", None);
    }
    let store = server.store.clone();
    server.stop();
    let used = store.read(|tx| tx.api_tokens().get(TokenHash::of(&secret))).unwrap().unwrap().last_used;
    assert!(used.0 > before, "{used:?}");
}

#[test]
fn order_for_a_token_is_read_strictly() {
    let server = server();
    let long = vec!["read"; 65];
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({ "name": "x" }), "/scope"),
        (json!({ "name": "x", "scope": [] }), "/scope"),
        (json!({ "name": "x", "scope": "read" }), "/scope"),
        (json!({ "name": "x", "scope": ["read", 5] }), "/scope/1"),
        (json!({ "name": "x", "scope": ["read@1"] }), "/scope/0"),
        (json!({ "name": "x", "scope": long }), "/scope"),
        (json!({ "name": "authtoken.secret", "scope": ["read"] }), "/name"),
        (json!({ "name": "x y", "scope": ["read"] }), "/name"),
        (json!({ "name": "x", "scope": ["read"], "expires": 5 }), "/expires"),
        (json!({ "name": "x", "scope": ["read"], "expires": -1 }), "/expires"),
        (json!({ "name": "x", "scope": ["read"], "until": 5 }), "/until"),
    ] {
        let answer = server.post("/api/v2/tokens", &body);
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body}: {answer:?}"
        );
    }
    token(&server, "x", &["read"]);
    assert_eq!(server.post("/api/v2/tokens", &json!({ "name": "x", "scope": ["read"] })).status, 409);
    assert_eq!(server.post("/api/v2/tokens/x/rotate", &json!({ "graceSeconds": 1e9 })).status, 422);
    assert_eq!(server.post("/api/v2/tokens/y/rotate", &json!({})).status, 404);
}

#[test]
fn there_is_a_most_of_tokens() {
    let server = server();
    let (scope, now) = ("read".parse::<Scope>().unwrap(), Timestamp(server.now()));
    let mut number = 0;
    server
        .store
        .write(|tx| {
            for index in 0..tokens::MAX_TOKENS {
                let secret = tokens::Secret::new(|| {
                    number += 1;
                    number
                });
                let name = format!("t{index}").parse().unwrap();
                tokens::create(tx, (&name, &scope, Timestamp(0)), &secret, "test", now).unwrap();
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let answer = server.post("/api/v2/tokens", &json!({ "name": "x", "scope": ["read"] }));
    assert_eq!(answer.status, 409);
    assert!(answer.json()["detail"].as_str().unwrap().contains("1000 tokens already"), "{answer:?}");
}

/// Known flaws 4 and 17 (`known-flaws.md`): where a token goes, and that there is none by default.
#[test]
fn no_token_opens_nothing_and_a_cookie_is_none() {
    let server = server();
    let cookie = format!("token={TOKEN}; auth={TOKEN}; X-ZT1-Auth={TOKEN}");
    let basic = "Basic azN5azN5azN5azN5azN5azN5azN5azN5";
    for headers in
        [vec![], vec![("Cookie", cookie.as_str())], vec![("Authorization", basic)], vec![("X-ZT1-Auth", "")]]
    {
        let answer = client::send(server.address, "POST", "/controller/network", &headers, Some(b"{}"));
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("www-authenticate"), None, "a browser would ask for a password and keep it");
    }
}
