//! Networks that require their tests, and how much one request may cost.

use std::sync::mpsc;
use std::time::Duration;

use ctl_store::{Store, StoreError};
use serde_json::{Value, json};
use zt_proto::rules::Rule;

use crate::rules::{NETWORK, NETWORK_ID, RULES, WEB_ONLY, WEB_TEST, ok, problem, put, server, with_members};
use crate::server::{Options, Server};

/// Starts a server whose network requires the test "web": in its source, or apart from it.
fn guarded(is_in_source: bool) -> Server {
    let server = server();
    let body = if is_in_source {
        json!({ "source": format!("{WEB_ONLY}{WEB_TEST}"), "testsRequired": true })
    } else {
        json!({ "source": WEB_ONLY, "tests": WEB_TEST, "testsRequired": true })
    };
    ok(&put(&server, RULES, &body));
    server
}

fn drop_all() -> Value {
    json!([{ "type": "ACTION_DROP" }])
}

#[test]
fn tests_in_the_source_cannot_be_lost_with_it() {
    let server = guarded(true);
    let before = server.get(NETWORK).json();
    for (body, expected) in [
        (json!({ "rulesSource": "drop;", "rules": drop_all() }), "has no test \"web\""),
        (json!({ "rulesSource": "drop;" }), "has no test \"web\""),
        (json!({ "rulesSource": "oops" }), "does not compile"),
        (json!({ "rulesSource": "" }), "has no test \"web\""),
        (
            json!({ "rulesSource": "accept; test \"web\" { from laptop to server tcp 443 expect drop; }" }),
            "has no test \"web\"",
        ),
        (json!({ "rules": drop_all() }), "\"web\" (source 6:1)"),
    ] {
        let refused = server.post(NETWORK, &body);
        assert_eq!(refused.status, 400, "{body} {refused:?}");
        assert!(refused.error().unwrap().contains(expected), "{body} {refused:?}");
    }
    assert_eq!(server.get(NETWORK).json(), before);
    // Another layout, or more tests, lose nothing; and a network that requires nothing keeps any text.
    let longer =
        format!("# new\n\n{WEB_ONLY}{WEB_TEST} test \"x\" {{ from laptop to server arp expect accept; }}");
    assert_eq!(server.post(NETWORK, &json!({ "rulesSource": longer })).status, 200);
    ok(&put(&server, RULES, &json!({ "testsRequired": false })));
    assert_eq!(server.post(NETWORK, &json!({ "rulesSource": "oops", "rules": drop_all() })).status, 200);
}

#[test]
fn softer_tests_and_no_requirement_do_not_come_along_with_new_rules() {
    let server = guarded(false);
    let soft = "test \"web\" { from laptop to server tcp 443 expect drop; }";
    for body in [
        json!({ "source": "drop;", "testsRequired": false }),
        json!({ "source": "drop;", "tests": "" }),
        json!({ "source": "drop;", "tests": soft }),
        json!({ "source": "drop;", "tests": soft, "testsRequired": false }),
    ] {
        let dry = ok(&put(&server, &format!("{RULES}?dryRun=true"), &body));
        assert_eq!(dry["wouldStore"], false, "{dry}");
        let refused = problem(&put(&server, RULES, &body), 422);
        let failed = refused["errors"].as_array().unwrap();
        assert_eq!(failed[0]["test"], "web", "{refused}");
    }
    let refused = problem(&put(&server, RULES, &json!({ "source": "drop;", "tests": soft })), 422);
    assert_eq!(
        (&refused["errors"][0]["in"], &refused["errors"][0]["pointer"]),
        (&json!("stored"), &json!(""))
    );
    // Rules that pass both may bring other tests along.
    let ping = "test \"ping\" { from laptop to server ping expect accept; }";
    ok(&put(&server, RULES, &json!({ "source": "accept;", "tests": ping })));
    // The tests of the source are held as well.
    let server = guarded(true);
    let refused = problem(&put(&server, RULES, &json!({ "source": "drop;" })), 422);
    assert_eq!(refused["errors"][0]["in"], "stored", "{refused}");
}

#[test]
fn tests_and_requirement_are_set_without_a_source() {
    let server = server();
    server.post(NETWORK, &json!({ "rules": drop_all(), "rulesSource": "drop;" }));
    let before = server.get(NETWORK).json();
    let refused = problem(&put(&server, RULES, &json!({ "tests": WEB_TEST, "testsRequired": true })), 422);
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains(
            "\"web\" (tests 1:1): from laptop to server tcp 443 expect accept: laptop to server: drop"
        ),
        "{detail}"
    );
    let answer = ok(&put(&server, RULES, &json!({ "tests": WEB_TEST })));
    assert_eq!((&answer["tests"], &answer["source"]), (&json!(WEB_TEST), &json!("drop;")));
    assert_eq!((&answer["testResults"][0]["passed"], &answer["warnings"]), (&json!(false), &json!([])));
    ok(&put(&server, RULES, &json!({ "tests": "", "testsRequired": true })));
    let after = server.get(NETWORK).json();
    assert_eq!((&after["rules"], &after["rulesSource"]), (&before["rules"], &before["rulesSource"]));
    let nothing = ok(&put(&server, &format!("{RULES}?dryRun=true"), &json!({ "testsRequired": false })));
    assert_eq!((&nothing["changeCount"], &nothing["wouldStore"]), (&json!(0), &json!(true)));
}

/// While this test is the only writer, a change that fails its tests gets its answer: it does not wait for its turn.
#[test]
fn tests_run_before_a_change_takes_its_turn_to_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    let server = with_members(Server::with(Options { store: store.clone(), ..Options::default() }));
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY, "tests": WEB_TEST, "testsRequired": true })));
    let (release, released) = mpsc::channel::<()>();
    let (locked, is_locked) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        store.write(|_| {
            locked.send(()).unwrap();
            Ok::<_, StoreError>(released.recv_timeout(Duration::from_secs(60)).is_ok())
        })
    });
    is_locked.recv().unwrap();
    let refused = server.post(NETWORK, &json!({ "rules": drop_all() }));
    let also_refused = put(&server, RULES, &json!({ "source": "drop;" }));
    // The writer ends by itself after a while, so a server that waits fails here instead of hanging.
    release.send(()).expect("the request waited for the writer");
    assert!(writer.join().unwrap().unwrap());
    assert_eq!((refused.status, also_refused.status), (400, 422));
}

#[test]
fn rule_without_a_form_in_json_does_not_disappear() {
    let server = server();
    ok(&put(&server, RULES, &json!({ "source": "accept raw 63 0102; drop;" })));
    let stored = || server.store.read(|tx| tx.networks().get(NETWORK_ID)).unwrap().unwrap().rules;
    let before = stored();
    assert_eq!((before.len(), &before[1]), (3, &Rule::ACCEPT));
    let mut shown = server.get(NETWORK).json();
    assert_eq!(shown["rules"][0]["type"], "RAW");
    assert_eq!(shown["rules"], ok(&server.get(RULES))["rules"]);
    let refused = server.post(NETWORK, &shown);
    assert_eq!(refused.status, 400);
    assert!(
        refused.error().unwrap().contains("rules[0].type: ") && refused.error().unwrap().contains("/api/v2/")
    );
    shown.as_object_mut().unwrap().remove("rules");
    assert_eq!(server.post(NETWORK, &shown).status, 200);
    assert_eq!(stored(), before);
    let tables = json!({ "rules": server.get(NETWORK).json()["rules"] });
    let source = ok(&server.post("/api/v2/rules/decompile", &tables))["source"].clone();
    assert!(source.as_str().unwrap().contains("raw 0x3f 0102"), "{source}");
}

#[test]
fn answers_to_bodies_full_of_errors_are_short() {
    const MANY: usize = 20_000;
    let server = server();
    let dry = format!("{RULES}?dryRun=true");
    let long = "x".repeat(1 << 20);
    let many_fields: Value = (0..MANY).map(|number| (format!("f{number}"), json!(1))).collect();
    let bodies = [
        ("PUT", &*dry, json!({ "source": "accept;", "services": vec![1; MANY] })),
        ("PUT", &*dry, json!({ "source": "accept;", "services": vec!["x"; 64] })),
        ("PUT", &*dry, json!({ "source": "accept;", "services": [long] })),
        ("PUT", RULES, many_fields),
        ("PUT", RULES, json!({ "source": "accept;", &*long: 1 })),
        ("PUT", RULES, json!({ "source": format!("accept {long};") })),
        ("PUT", RULES, json!({ "source": "oops;\n".repeat(MANY) })),
        ("POST", "/api/v2/rules/decompile", json!({ "rules": [], "tags": vec![json!({}); MANY] })),
        ("POST", "/api/v2/rules/decompile", json!({ "rules": [], "tags": vec![json!({}); 4096] })),
        ("POST", "/api/v2/rules/decompile", json!({ "rules": [], "capabilities": vec![json!({}); MANY] })),
        ("POST", "/api/v2/rules/decompile", json!({ "rules": [{ "type": long }] })),
        (
            "POST",
            "/api/v2/rules/decompile",
            json!({ "rules": [{ "type": "MATCH_MAC_SOURCE", "mac": long }] }),
        ),
        ("POST", "/api/v2/rules/decompile", json!({ "rules": [], "tags": [{ "id": long }] })),
    ];
    for (method, path, body) in bodies {
        let answer = server.send(method, path, Some(&body.to_string()));
        let start: String = body.to_string().chars().take(60).collect();
        assert!(answer.body.len() < 100_000, "{path} {start}: {} bytes", answer.body.len());
        let problem = problem(&answer, 422);
        assert!(problem["errors"].as_array().unwrap().len() <= 101, "{start}");
    }
    let refused = server.post(NETWORK, &json!({ "rules": [{ "type": long }] }));
    assert!(refused.status == 400 && refused.body.len() < 1000);
    let many = json!({ "rules": [], "tags": vec![json!({}); 150] });
    let problem = problem(&server.post("/api/v2/rules/decompile", &many), 422);
    assert_eq!(problem["errors"][100]["detail"], "and 50 more");
}
