//! The rules language over HTTP.

use ctl_core::Change;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use zt_proto::NetworkId;

use crate::arbitrary::value;
use crate::client::{self, Answer};
use crate::server::Server;

pub(crate) const NETWORK: &str = "/controller/network/a940ad429a0000f1";
pub(crate) const RULES: &str = "/api/v2/network/a940ad429a0000f1/rules";
pub(crate) const NETWORK_ID: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);

pub(crate) const WEB_ONLY: &str = "# web only\naccept ethertype arp;\naccept ipprotocol tcp and dport 443;\n\
                        accept ipprotocol tcp and sport 443;\ndrop;\n";
pub(crate) const WEB_TEST: &str = "test \"web\" { from laptop to server tcp 443 expect accept; }\n";

/// Starts a server with two members, `laptop` and `server`, a stranger, and the rules of a new network.
pub(crate) fn server() -> Server {
    with_members(Server::start())
}

pub(crate) fn with_members(mut server: Server) -> Server {
    server.post(NETWORK, &json!({ "routes": [{ "target": "10.0.0.0/24" }] }));
    for (address, name, ip, authorized) in [
        ("1111111111", "laptop", "10.0.0.1", true),
        ("2222222222", "server", "10.0.0.2", true),
        ("3333333333", "stranger", "10.0.0.3", false),
    ] {
        let body = json!({ "name": name, "authorized": authorized, "ipAssignments": [ip] });
        assert_eq!(server.post(&format!("{NETWORK}/member/{address}"), &body).json()["name"], name);
    }
    while server.changes.try_recv().is_ok() {}
    server
}

pub(crate) fn put(server: &Server, path: &str, body: &Value) -> Answer {
    server.send("PUT", path, Some(&body.to_string()))
}

pub(crate) fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

pub(crate) fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    for field in ["type", "title", "detail"] {
        assert!(!problem[field].as_str().unwrap().is_empty(), "{answer:?}");
    }
    problem
}

#[test]
fn source_is_compiled_to_what_editors_store() {
    let server = Server::start();
    let source =
        "cap ssh id 5 default accept ipprotocol tcp and dport 22; ; tag t id 9 enum 1 a default a;\naccept;";
    let compiled = ok(&server.post("/api/v2/rules/compile", &json!({ "source": source })));
    let ssh = json!([
        { "type": "MATCH_IP_PROTOCOL", "not": false, "or": false, "ipProtocol": 6 },
        { "type": "MATCH_IP_DEST_PORT_RANGE", "not": false, "or": false, "start": 22, "end": 22 },
        { "type": "ACTION_ACCEPT" },
    ]);
    assert_eq!(compiled["rules"], json!([{ "type": "ACTION_ACCEPT" }]));
    assert_eq!(compiled["capabilities"], json!([{ "id": 5, "default": true, "rules": ssh }]));
    assert_eq!(compiled["tags"], json!([{ "id": 9, "default": 1 }]));
    assert_eq!(compiled["capabilitiesByName"], json!({ "ssh": 5 }));
    assert_eq!(
        compiled["tagsByName"],
        json!({ "t": { "id": 9, "default": 1, "enums": { "a": 1 }, "flags": {} } })
    );
    let warning = &compiled["warnings"][0];
    assert_eq!(
        (&warning["line"], &warning["text"]),
        (&json!(1), &json!("t")),
        "the tag is never used: {warning}"
    );
    assert!(warning["message"].is_string() && warning["column"].is_u64());
}

#[test]
fn every_error_of_a_source_is_reported_with_its_place() {
    let server = Server::start();
    let source = "accept;\ndrop dprt 22;\naccept ethertype nonsense;";
    let problem = problem(&server.post("/api/v2/rules/compile", &json!({ "source": source })), 422);
    let errors = problem["errors"].as_array().unwrap();
    let place = |error: &Value| {
        (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap(), error["text"].clone())
    };
    let places: Vec<_> = errors.iter().map(place).collect();
    for expected in [(2, 6, json!("dprt")), (3, 18, json!("nonsense"))] {
        assert!(places.contains(&expected), "{expected:?} {problem}");
    }
    assert_eq!((&errors[0]["suggestion"], &errors[0]["pointer"]), (&json!("dport"), &json!("/source")));
    assert!(errors.iter().all(|error| error["detail"].is_string()));
}

#[test]
fn source_is_formatted_and_rules_are_decompiled() {
    let server = Server::start();
    let formatted =
        ok(&server.post("/api/v2/rules/format", &json!({ "source": "DROP  not ethertype arp;accept;" })));
    let formatted = formatted["source"].as_str().unwrap();
    assert!(formatted.contains("drop not ethertype arp;\n"), "{formatted}");
    problem(&server.post("/api/v2/rules/format", &json!({ "source": "tag x" })), 422);
    let mut compiled = ok(&server.post("/api/v2/rules/compile", &json!({ "source": formatted })));
    compiled.as_object_mut().unwrap().remove("warnings");
    let decompiled = ok(&server.post("/api/v2/rules/decompile", &compiled));
    let again = ok(&server.post("/api/v2/rules/compile", &json!({ "source": decompiled["source"] })));
    assert_eq!(again["rules"], compiled["rules"]);
    let wrong = json!({ "rules": [{ "type": "MATCH_ETHERTYPE", "etherType": "2048" }], "colour": 1 });
    let problem = problem(&server.post("/api/v2/rules/decompile", &wrong), 422);
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/rules/0/etherType", "/colour"]);
}

#[test]
fn stored_source_is_the_rules_until_they_change_elsewhere() {
    let mut server = server();
    let new = ok(&server.get(RULES));
    assert_eq!((&new["source"], &new["consistent"], &new["errors"]), (&json!(""), &json!(false), &json!([])));
    let body = json!({ "source": WEB_ONLY, "tests": WEB_TEST, "testsRequired": true });
    let put_answer = ok(&put(&server, RULES, &body));
    assert_eq!(put_answer["testResults"][0]["passed"], true, "{put_answer}");
    assert_eq!(server.changes.try_recv().ok(), Some(Change::Network(NETWORK_ID)));
    let stored = ok(&server.get(RULES));
    for (field, value) in [
        ("source", json!(WEB_ONLY)),
        ("tests", json!(WEB_TEST)),
        ("testsRequired", json!(true)),
        ("consistent", json!(true)),
    ] {
        assert_eq!((&stored[field], &put_answer[field]), (&value, &value), "{field}");
    }
    assert_eq!(stored["revision"], 2);
    let network = server.get(NETWORK).json();
    assert_eq!((&network["rulesSource"], &network["rules"]), (&json!(WEB_ONLY), &stored["rules"]));
    assert!(network.get("ruleTests").is_none(), "the API of 1.14 shows no new keys");
    // The same again changes nothing.
    assert_eq!(ok(&put(&server, RULES, &json!({ "source": WEB_ONLY })))["revision"], 2);
    assert!(server.changes.try_recv().is_err());
    // Text that somebody else stores is kept and not compiled.
    server.post(NETWORK, &json!({ "rulesSource": "accept dprt;" }));
    let stored = ok(&server.get(RULES));
    assert_eq!((&stored["consistent"], &stored["errors"][0]["line"]), (&json!(false), &json!(1)));
    assert_eq!(stored["rules"], network["rules"]);
}

#[test]
fn change_that_fails_required_tests_is_refused_over_both_apis() {
    let mut server = server();
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY, "tests": WEB_TEST, "testsRequired": true })));
    server.changes.try_recv().unwrap();
    let before = server.get(NETWORK).json();

    let refused = problem(&put(&server, RULES, &json!({ "source": "drop;" })), 422);
    let error = &refused["errors"][0];
    assert!(refused["detail"].as_str().unwrap().contains("\"web\""), "{refused}");
    assert_eq!(
        (&error["pointer"], &error["test"], &error["line"]),
        (&json!("/tests"), &json!("web"), &json!(1))
    );
    assert!(error["detail"].as_str().unwrap().starts_with("laptop to server: drop"), "{refused}");

    let refused = server.post(NETWORK, &json!({ "rules": [{ "type": "ACTION_DROP" }], "name": "x" }));
    assert_eq!(refused.status, 400);
    assert!(refused.error().unwrap().contains("\"web\" (tests 1:1)"), "{refused:?}");

    assert_eq!(server.get(NETWORK).json(), before);
    assert!(server.changes.try_recv().is_err());
    // What leaves the rules alone is no matter of the tests, and neither are rules that pass.
    assert_eq!(server.post(NETWORK, &json!({ "name": "x" })).status, 200);
    assert_eq!(server.post(NETWORK, &json!({ "rules": [{ "type": "ACTION_ACCEPT" }] })).status, 200);
    // Whoever takes the requirement away, which is a change of its own, may do what he wants.
    ok(&put(&server, RULES, &json!({ "testsRequired": false })));
    let lifted = ok(&put(&server, RULES, &json!({ "source": "drop;" })));
    assert_eq!((&lifted["testResults"][0]["passed"], &lifted["consistent"]), (&json!(false), &json!(true)));
}

#[test]
fn tests_in_the_source_are_run_too_and_count() {
    let server = server();
    let source = format!("{WEB_ONLY}test \"ssh\" {{ from laptop to server tcp 22 expect accept; }}");
    let refused = problem(&put(&server, RULES, &json!({ "source": source, "testsRequired": true })), 422);
    assert_eq!(
        (&refused["errors"][0]["pointer"], &refused["errors"][0]["line"]),
        (&json!("/source"), &json!(6))
    );
    assert_eq!(ok(&server.get(RULES))["source"], "");
}

#[test]
fn dry_run_says_what_changes_and_stores_nothing() {
    let mut server = server();
    let before = server.get(NETWORK).json();
    let path = format!("{RULES}?dryRun=true");
    let body = json!({ "source": WEB_ONLY, "tests": WEB_TEST, "services": ["tcp 443", "tcp 22"], "testsRequired": true });
    let dry = ok(&put(&server, &path, &body));
    let ssh = |from: &str, to: &str| json!({ "from": from, "to": to, "service": "tcp 22", "before": "accept", "after": "drop" });
    assert_eq!(dry["changes"], json!([ssh("laptop", "server"), ssh("server", "laptop")]), "{dry}");
    assert_eq!((&dry["compared"], &dry["cut"], &dry["wouldStore"]), (&json!(4), &json!(false), &json!(true)));
    assert_eq!(dry["testResults"][0]["passed"], true);
    assert_eq!(server.get(NETWORK).json(), before);
    assert!(server.changes.try_recv().is_err());
    // And back.
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY })));
    let back = ok(&put(&server, &path, &json!({ "source": "accept;", "services": ["tcp 22"] })));
    assert_eq!(
        (&back["changes"][0]["before"], &back["changes"][0]["after"]),
        (&json!("drop"), &json!("accept"))
    );
    // Without a list, the usual services.
    let usual = ok(&put(&server, &path, &json!({ "source": "drop;" })));
    assert!(usual["compared"].as_u64().unwrap() >= 14, "{usual}");
    let problem =
        problem(&put(&server, &path, &json!({ "source": "drop;", "services": ["tpc 22", 7] })), 422);
    assert_eq!(problem["errors"][0]["pointer"], "/services/0");
    assert_eq!(problem["errors"][1]["pointer"], "/services/1");
}

#[test]
fn dry_run_of_a_large_network_is_cut_and_says_so() {
    let server = Server::start();
    server.post(NETWORK, &json!({}));
    let network = server.store.read(|tx| tx.networks().get(NETWORK_ID)).unwrap().unwrap();
    server
        .store
        .write(|tx| {
            for number in 1..=160_u64 {
                let address = zt_proto::Address::from_low_bits(number);
                let mut member = ctl_core::Member::new(network.id, address, zt_proto::Timestamp(0));
                member.authorized = true;
                tx.members().put(&member)?;
            }
            Ok::<_, ctl_store::StoreError>(())
        })
        .unwrap();
    let dry = ok(&put(&server, &format!("{RULES}?dryRun=true"), &json!({ "source": "drop;" })));
    assert_eq!((&dry["compared"], &dry["cut"]), (&json!(250_000), &json!(true)));
    assert_eq!(dry["changes"].as_array().unwrap().len(), 5000);
    assert!(dry["changeCount"].as_u64().unwrap() > 5000);
}

#[test]
fn tests_are_run_on_demand_with_the_members_there_are() {
    let server = server();
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY, "tests": WEB_TEST })));
    let path = format!("{RULES}/test");
    let stored = ok(&server.send("POST", &path, None));
    assert_eq!((&stored["passed"], &stored["testResults"][0]["in"]), (&json!(true), &json!("tests")));
    let own = "test \"all\" {\n from 1111111111 to any tcp 22 expect accept;\n from any to any tcp 443 expect accept;\n \
               from stranger to any arp expect accept;\n}";
    let answer = ok(&server.post(&path, &json!({ "tests": own })));
    let cases = &answer["testResults"][0]["cases"];
    assert_eq!((&answer["passed"], answer["testResults"].as_array().unwrap().len()), (&json!(false), 1));
    assert_eq!(
        (&cases[0]["passed"], &cases[0]["line"], &cases[0]["pairs"]),
        (&json!(false), &json!(2), &json!(1))
    );
    let mismatch = &cases[0]["mismatches"][0];
    assert_eq!(
        (&mismatch["from"], &mismatch["to"], &mismatch["got"]),
        (&json!("laptop"), &json!("server"), &json!("drop"))
    );
    assert!(mismatch["reason"].as_str().unwrap().contains("line 5"), "{mismatch}");
    assert_eq!((&cases[1]["passed"], &cases[1]["pairs"]), (&json!(true), &json!(2)));
    assert!(cases[2]["problem"].as_str().unwrap().contains("stranger"), "not authorized: {answer}");
    let problem = problem(&server.post(&path, &json!({ "tests": "test \"x\" { from a; }" })), 422);
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["line"]),
        (&json!("/tests"), &json!(1))
    );
}

#[test]
fn empty_test_fails_and_says_so() {
    let server = server();
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY, "tests": WEB_TEST, "testsRequired": true })));
    let tests = format!("{WEB_TEST}test \"empty\" {{ }}\n");
    let answer = ok(&server.post(&format!("{RULES}/test"), &json!({ "tests": tests })));
    let report = answer["testResults"].as_array().unwrap().iter().find(|report| report["name"] == "empty");
    assert!(report.unwrap()["problem"].is_string(), "{answer}");
    let refused = problem(&put(&server, RULES, &json!({ "source": "accept;", "tests": tests })), 422);
    let error = &refused["errors"][0];
    assert_eq!((&error["pointer"], &error["test"]), (&json!("/tests"), &json!("empty")));
    assert_eq!(error["detail"], report.unwrap()["problem"]);
}

#[test]
fn explanation_names_the_rule_that_decides_and_its_line() {
    let server = server();
    ok(&put(&server, RULES, &json!({ "source": WEB_ONLY })));
    let path = format!("{RULES}/explain");
    let answer =
        ok(&server.post(&path, &json!({ "from": "laptop", "to": "2222222222", "packet": "tcp 22" })));
    assert_eq!(
        (&answer["from"], &answer["to"], &answer["outcome"]),
        (&json!("laptop"), &json!("server"), &json!("drop"))
    );
    let side = &answer["sides"][0];
    assert_eq!((&side["side"], &side["result"]), (&json!("sender"), &json!("drop")));
    assert_eq!(
        (&side["decision"]["line"], &side["decision"]["source"]),
        (&json!(5), &json!("drop;")),
        "{answer}"
    );
    let steps = side["tables"][0]["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["result"], "taken");
    assert_eq!(steps[0]["line"], 2);
    let answer = ok(&server.post(&path, &json!({ "from": "laptop", "to": "any", "packet": "tcp 443" })));
    assert_eq!((&answer["outcome"], &answer["outcomeAtFirstContact"]), (&json!("accept"), &json!("accept")));
    assert_eq!(answer["sides"].as_array().unwrap().len(), 2);
    // Rules without a source have no lines.
    server.post(NETWORK, &json!({ "rules": [{ "type": "ACTION_DROP" }] }));
    let answer = ok(&server.post(&path, &json!({ "from": "laptop", "to": "server", "packet": "ping" })));
    assert_eq!(answer["sides"][0]["decision"]["line"], Value::Null);
    for (body, pointer) in [
        (json!({ "from": "nobody", "to": "server", "packet": "ping" }), "/from"),
        (json!({ "from": "laptop", "to": "stranger", "packet": "ping" }), "/to"),
        (json!({ "from": "laptop", "to": "laptop", "packet": "ping" }), "/to"),
        (json!({ "from": "laptop", "to": "tag:x=1", "packet": "ping" }), "/to"),
        (json!({ "from": "laptop", "to": "server", "packet": "pong" }), "/packet"),
    ] {
        let problem = problem(&server.post(&path, &body), 422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[test]
fn bodies_are_read_strictly_and_problems_are_problem_json() {
    let server = server();
    let cases = [
        (json!({}), vec![""]),
        (json!({ "source": 7, "tests": null, "extra": 1 }), vec!["/source", "/tests", "/extra"]),
        (json!({ "source": "accept;", "testsRequired": "yes" }), vec!["/testsRequired"]),
        (json!([]), vec![""]),
    ];
    for (body, pointers) in cases {
        let problem = problem(&put(&server, RULES, &body), 422);
        let got: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert_eq!(got, pointers, "{problem}");
    }
    problem(&server.send("PUT", RULES, Some("{")), 400);
    problem(&put(&server, &format!("{RULES}?dryrun=true"), &json!({ "source": "drop;" })), 422);
    problem(&put(&server, RULES, &json!({ "source": "drop;", "tests": "test" })), 422);
    problem(&server.send("POST", "/api/v2/rules/compile", Some(&" ".repeat((4 << 20) + 1))), 413);
    assert_eq!(ok(&server.get(RULES))["source"], "");
}

#[test]
fn unknown_network_is_a_problem_and_the_token_is_needed() {
    let server = Server::start();
    problem(&server.get(RULES), 404);
    problem(&put(&server, RULES, &json!({ "source": "accept;" })), 404);
    problem(&put(&server, &format!("{RULES}?dryRun=true"), &json!({ "source": "accept;" })), 404);
    problem(&server.post(&format!("{RULES}/test"), &json!({})), 404);
    let question = json!({ "from": "a", "to": "b", "packet": "ping" });
    problem(&server.post(&format!("{RULES}/explain"), &question), 404);
    for (method, path) in [("GET", RULES), ("PUT", RULES), ("POST", "/api/v2/rules/compile")] {
        assert_eq!(
            client::send(server.address, method, path, &[], Some(b"{}")).status,
            401,
            "{method} {path}"
        );
    }
}

#[test]
fn arbitrary_bodies_get_an_answer_or_a_problem() {
    let server = server();
    let names = vec![
        "source",
        "tests",
        "testsRequired",
        "services",
        "rules",
        "capabilities",
        "tags",
        "tagsByName",
        "capabilitiesByName",
        "from",
        "to",
        "packet",
        "known",
    ];
    let words = vec![
        "accept", "drop", "tcp", "443", "test", "{", "}", "from", "to", "any", "expect", ";", "\"x\"", "tag",
    ];
    let text =
        proptest::collection::vec(proptest::sample::select(words), 0..12).prop_map(|words| words.join(" "));
    let value = prop_oneof![text.prop_map(Value::from), value()];
    let fields = proptest::collection::vec((proptest::sample::select(names), value), 0..6);
    let body = fields.prop_map(|fields| -> Map<String, Value> {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    });
    let paths = [
        ("POST", "/api/v2/rules/compile".to_owned()),
        ("POST", "/api/v2/rules/format".to_owned()),
        ("POST", "/api/v2/rules/decompile".to_owned()),
        ("PUT", format!("{RULES}?dryRun=true")),
        ("PUT", RULES.to_owned()),
        ("POST", format!("{RULES}/test")),
        ("POST", format!("{RULES}/explain")),
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) };
    proptest!(config, |(body in body)| {
        let all = Value::from(body.clone());
        // A body with known fields only gets past the first check.
        let some = |names: &[&str]| -> Value {
            body.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        for (method, path) in &paths {
            let fit = match path.as_str() {
                path if path.ends_with("compile") && !path.ends_with("decompile") || path.ends_with("format") => some(&["source"]),
                path if path.ends_with("decompile") => some(&["rules", "capabilities", "tags", "tagsByName", "capabilitiesByName"]),
                path if path.ends_with("test") => some(&["tests"]),
                path if path.ends_with("explain") => some(&["from", "to", "packet", "known"]),
                _ => some(&["source", "tests", "testsRequired", "services"]),
            };
            for body in [&all, &fit] {
                let answer = server.send(method, path, Some(&body.to_string()));
                let media_type = answer.header("content-type").unwrap_or_default();
                let expected = if answer.status == 200 { "application/json" } else { "application/problem+json" };
                prop_assert!(matches!(answer.status, 200 | 422), "{} {} {:?}", path, body, answer);
                prop_assert_eq!(media_type, expected);
            }
        }
        prop_assert_eq!(server.get(RULES).status, 200);
    });
}

/// A statement of a source: mostly correct.
fn statement() -> impl Strategy<Value = String> {
    let condition =
        (0..16_u32, any::<u16>(), any::<u16>(), any::<bool>()).prop_map(|(kind, a, b, is_not)| {
            let (low, high, byte) = (a.min(b), a.max(b), a & 0xff);
            let words = match kind {
                0 => "ipprotocol tcp".to_owned(),
                1 => format!("dport {low}-{high}"),
                2 => format!("sport {a}"),
                3 => format!("ethertype {a}"),
                4 => format!("ztsrc {a:06x}{b:04x}"),
                5 => format!("macdest 02:00:00:00:{byte:02x}:01"),
                6 => format!("ipdest 10.{byte}.0.0/{}", 16 + b % 17),
                7 => format!("ipsrc fd00:{a:x}::/{}", 32 + b % 97),
                8 => "chr tcp_syn".to_owned(),
                9 => format!("framesize {low}-{high}"),
                10 => format!("icmp {byte} -1"),
                11 => format!("vlan {}", a & 0xfff),
                12 => "random 0.25".to_owned(),
                13 => format!("intrange {byte} 16 be {low}-{high}"),
                14 => format!("teq 3 {b}"),
                _ => format!("iptos {byte} 0-255"),
            };
            if is_not { format!("not {words}") } else { words }
        });
    let action = proptest::sample::select(vec!["accept", "drop", "break", "watch 64 7d8273c358"]);
    let joined = proptest::collection::vec(condition, 0..4).prop_map(|conditions| conditions.join(" and "));
    (action, joined).prop_map(|(action, conditions)| format!("{action} {conditions};"))
}

proptest! {
    /// Whatever the compiler gives is taken by the API and means the same there.
    #[test]
    fn what_is_compiled_loads(base in proptest::collection::vec(statement(), 0..20),
                              cap in proptest::collection::vec(statement(), 1..5), tag in any::<Option<u32>>()) {
        let default = tag.map_or_else(String::new, |value| format!("default {value}"));
        let source = format!("tag role id 3 {default};\ncap admin id 7 {} ;\n{}", cap.concat(), base.concat());
        let compiled = match ctl_core::rules::compile(&source) {
            Ok(compiled) => compiled,
            Err(_) => return Err(TestCaseError::reject("not a source")),
        };
        let fresh = || ctl_core::Network::new(NETWORK_ID, zt_proto::Timestamp(0));
        let (mut written, mut read) = (fresh(), fresh());
        written.capabilities = compiled.capability_definitions();
        written.tags = compiled.tag_definitions();
        written.rules = compiled.base.rules;
        let view = ctl_core::record::network::render(&written);
        let Ok(Value::Object(body)) = serde_json::to_value(view) else { panic!("a network is an object") };
        prop_assert_eq!(ctl_core::record::network::apply(&body, &mut read), Ok(()));
        prop_assert_eq!((read.rules, read.capabilities, read.tags), (written.rules, written.capabilities, written.tags));
    }
}
