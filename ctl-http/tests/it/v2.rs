//! Networks and members over `/api/v2`: strict bodies, entity tags, dry runs, strangers, the node.

use ctl_core::pending::Source;
use ctl_core::{Change, Network};
use serde_json::{Value, json};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::client::{self, Answer};
use crate::rules::{ok, problem};
use crate::server::{MEMBER, Server, TOKEN};

pub(crate) const NETWORK: &str = "/api/v2/network/a940ad429a0000f1";
pub(crate) const NETWORK_ID: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);
const LAPTOP: &str = "/api/v2/network/a940ad429a0000f1/member/1111111111";

/// Sends a request with a body and further headers.
pub(crate) fn send(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let mut all = vec![("X-ZT1-Auth", TOKEN)];
    all.extend(headers);
    let body = (!body.is_null()).then(|| body.to_string());
    client::send(server.address, method, path, &all, body.as_deref().map(str::as_bytes))
}

pub(crate) fn start() -> Server {
    let server = Server::start();
    assert_eq!(send(&server, "PUT", NETWORK, &[], &json!({})).status, 201);
    server
}

fn changes(server: &mut Server) -> Vec<Change> {
    std::iter::from_fn(|| server.changes.try_recv().ok()).collect()
}

fn pointers(answer: &Answer) -> Vec<String> {
    let problem = problem(answer, 422);
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn network_is_created_read_changed_and_removed() {
    let mut server = Server::start();
    let made = send(&server, "POST", "/api/v2/network", &[], &json!({ "name": "office", "mtu": 1500 }));
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").unwrap().to_owned();
    let network = made.json();
    assert_eq!(
        (&network["name"], &network["mtu"], &network["revision"]),
        (&json!("office"), &json!(1500), &json!(1))
    );
    assert_eq!(path, format!("/api/v2/network/{}", network["id"].as_str().unwrap()));
    assert_eq!(ok(&server.get(&path)), network);

    let changed = ok(&send(&server, "PATCH", &path, &[], &json!({ "mtu": null, "private": false })));
    assert_eq!((&changed["mtu"], &changed["private"]), (&json!(2800), &json!(false)));
    assert_eq!((&changed["name"], &changed["revision"]), (&json!("office"), &json!(2)));
    let same = ok(&send(&server, "PATCH", &path, &[], &json!({ "private": false })));
    assert_eq!(same, changed, "what changes nothing has no revision");

    let replaced = ok(&send(&server, "PUT", &path, &[], &json!({ "name": "new" })));
    assert_eq!((&replaced["private"], &replaced["name"]), (&json!(true), &json!("new")));
    assert_eq!(ok(&server.get("/api/v2/network"))["data"], json!([replaced]));
    // The other API shows the same network.
    let id = network["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/controller/network/{id}")).json()["name"], "new");

    let gone = send(&server, "DELETE", &path, &[], &Value::Null);
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    problem(&server.get(&path), 404);
    let id: NetworkId = id.parse().unwrap();
    let expected =
        [Change::Network(id), Change::Network(id), Change::Network(id), Change::NetworkRemoved(id)];
    assert_eq!(changes(&mut server), expected);
}

#[test]
fn network_of_another_controller_is_not_created() {
    let server = Server::start();
    problem(&send(&server, "PUT", "/api/v2/network/1111111111000001", &[], &json!({})), 400);
    problem(&send(&server, "PATCH", NETWORK, &[], &json!({})), 404);
    problem(&send(&server, "GET", "/api/v2/network/x", &[], &Value::Null), 404);
}

#[test]
fn bodies_are_read_strictly() {
    let server = start();
    let text = |body: &str| {
        let headers = [("X-ZT1-Auth", TOKEN)];
        client::send(server.address, "PATCH", NETWORK, &headers, Some(body.as_bytes()))
    };
    for (body, pointer) in [
        (json!({ "nam": "x" }), "/nam"),
        (json!({ "name": 5 }), "/name"),
        (json!({ "mtu": "1500" }), "/mtu"),
        (json!({ "mtu": 70_000 }), "/mtu"),
        (json!({ "private": 1 }), "/private"),
        (json!({ "routes": [{ "target": "10.0.0.0" }] }), "/routes/0/target"),
        (json!({ "routes": [{ "target": "10.0.0.0/8", "metric": 1 }] }), "/routes/0/metric"),
        (json!({ "v6AssignMode": { "8plane": true } }), "/v6AssignMode/8plane"),
        (json!({ "ipAssignmentPools": {} }), "/ipAssignmentPools"),
        (json!([]), ""),
    ] {
        assert_eq!(pointers(&send(&server, "PATCH", NETWORK, &[], &body)), [pointer], "{body}");
    }
    let member =
        json!({ "tags": [{ "id": 1, "value": 2 }, { "id": 1, "value": 3 }], "name": "x".repeat(128) });
    let answer = send(&server, "PUT", LAPTOP, &[], &member);
    assert_eq!(pointers(&answer), ["/name", "/tags/1"]);
    problem(&text("{"), 400);
    problem(&text("{} x"), 400);
    problem(&server.get(&format!("{NETWORK}?dry=true")), 422);
    assert_eq!(ok(&server.get(NETWORK))["revision"], 1, "nothing of all that was stored");
}

#[test]
fn record_that_was_read_and_edited_is_sent_back_as_a_whole() {
    let server = start();
    let settings = json!({ "joinTokens": [{ "token": "x" }], "dns": { "domain": "zt" }, "v6AssignMode": { "zt": true } });
    ok(&send(&server, "PATCH", NETWORK, &[], &settings));
    ok_or_created(&send(
        &server,
        "PUT",
        LAPTOP,
        &[],
        &json!({ "authorized": true, "tags": [{ "id": 1, "value": 2 }] }),
    ));
    server.join("a940ad429a0000f1");
    let asked = format!("{NETWORK}/member/{MEMBER}");
    for (path, momentary) in [(NETWORK, "memberCount"), (LAPTOP, "lastSeen"), (&asked, "online")] {
        let mut record = ok(&server.get(path));
        for method in ["PUT", "PATCH"] {
            assert_eq!(
                ok(&send(&server, method, path, &[], &record)),
                record,
                "{method} {path} changes nothing"
            );
        }
        record["name"] = "edited".into();
        record[momentary] = 77.into();
        let edited = ok(&send(&server, "PUT", path, &[], &record));
        assert_eq!(
            (&edited["name"], &edited["revision"]),
            (&json!("edited"), &json!(record["revision"].as_u64().unwrap() + 1))
        );
        let late = send(&server, "PUT", path, &[], &record);
        assert_eq!(pointers(&late), ["/revision"]);
        let words = problem(&late, 422)["detail"].as_str().unwrap().to_owned();
        assert!(words.starts_with("/revision: read-only: expected "), "{words}");
    }
    let foreign =
        send(&server, "PATCH", NETWORK, &[], &json!({ "id": "a940ad429a0000f2", "ssoEnabled": true }));
    assert_eq!(pointers(&foreign), ["/id", "/ssoEnabled"]);
    let bulk =
        json!({ "entries": [{ "address": "1111111111", "action": "change", "change": { "revision": 1 } }] });
    let bulk = send(&server, "POST", &format!("{NETWORK}/member/bulk"), &[], &bulk);
    assert_eq!(pointers(&bulk), ["/entries/0/change/revision"]);
    let denied = ok(&send(&server, "PATCH", &asked, &[], &json!({ "authorized": false })));
    assert_ne!(denied["lastDeauthorizedTime"], 0, "by itself it is a decision");
}

#[test]
fn path_that_takes_other_methods_says_which() {
    let server = start();
    let answer = send(&server, "POST", NETWORK, &[], &json!({}));
    problem(&answer, 405);
    assert_eq!(answer.header("allow"), Some("DELETE, GET, HEAD, PATCH, PUT"));
    let bulk = send(&server, "PUT", &format!("{NETWORK}/member/bulk"), &[], &json!({}));
    problem(&bulk, 405);
    assert_eq!(bulk.header("allow"), Some("POST"));
    problem(&server.get("/api/v2/nothing"), 404);
    assert_eq!(send(&server, "HEAD", NETWORK, &[], &Value::Null).status, 200);
    assert_eq!(client::send(server.address, "GET", NETWORK, &[], None).status, 401);
}

#[test]
fn edit_of_another_version_is_refused() {
    let server = start();
    let tag = server.get(NETWORK).header("etag").unwrap().to_owned();
    let mine = json!({ "name": "mine" });
    let changed = send(&server, "PATCH", NETWORK, &[("If-Match", &tag)], &mine);
    ok(&changed);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    // Somebody else still has the first version.
    for method in ["PATCH", "PUT", "DELETE"] {
        let answer = send(&server, method, NETWORK, &[("If-Match", &tag)], &json!({ "name": "theirs" }));
        let refused = problem(&answer, 412);
        assert!(refused["detail"].as_str().unwrap().ends_with("the record is at revision 2"), "{answer:?}");
    }
    let rules = json!({ "source": "drop;" });
    problem(&send(&server, "PUT", &format!("{NETWORK}/rules"), &[("If-Match", &tag)], &rules), 412);
    problem(&send(&server, "PUT", NETWORK, &[("If-None-Match", "*")], &mine), 412);
    problem(&send(&server, "PUT", LAPTOP, &[("If-Match", "*")], &json!({})), 412);
    assert_eq!(send(&server, "PUT", LAPTOP, &[("If-None-Match", "*")], &json!({})).status, 201);
    let tag = server.get(LAPTOP).header("etag").unwrap().to_owned();
    ok(&send(&server, "PATCH", LAPTOP, &[("If-Match", &tag)], &json!({ "name": "a" })));
    problem(&send(&server, "DELETE", LAPTOP, &[("If-Match", &tag)], &Value::Null), 412);
    assert_eq!(ok(&server.get(NETWORK))["name"], "mine");
}

#[test]
fn what_is_known_is_not_sent_again() {
    let server = start();
    send(&server, "PUT", LAPTOP, &[], &json!({}));
    for path in [NETWORK, LAPTOP, &format!("{NETWORK}/rules")] {
        let tag = server.get(path).header("etag").unwrap().to_owned();
        let answer = send(&server, "GET", path, &[("If-None-Match", &tag)], &Value::Null);
        assert_eq!(
            (answer.status, answer.body.len(), answer.header("etag")),
            (304, 0, Some(tag.as_str())),
            "{path}"
        );
        assert_eq!(send(&server, "GET", path, &[("If-None-Match", "\"x\"")], &Value::Null).status, 200);
    }
    // The count of members is shown, so a new member makes it another answer, though no other version.
    let tag = server.get(NETWORK).header("etag").unwrap().to_owned();
    send(&server, "PUT", &format!("{NETWORK}/member/2222222222"), &[], &json!({}));
    assert_eq!(send(&server, "GET", NETWORK, &[("If-None-Match", &tag)], &Value::Null).status, 200);
    ok(&send(&server, "PATCH", NETWORK, &[("If-Match", &tag)], &json!({ "name": "x" })));
}

#[test]
fn member_is_added_changed_replaced_and_removed() {
    let mut server = start();
    let body = json!({
        "name": "laptop", "authorized": true, "ipAssignments": ["10.0.0.1", "fd00::1"],
        "tags": [{ "id": 7, "value": 9 }], "capabilities": [3, 1], "activeBridge": true,
    });
    let made = send(&server, "PUT", LAPTOP, &[], &body);
    assert_eq!((made.status, made.header("location")), (201, Some(LAPTOP)), "{made:?}");
    let member = made.json();
    for (name, value) in body.as_object().unwrap() {
        let expected = if name == "capabilities" { &json!([1, 3]) } else { value };
        assert_eq!(&member[name], expected, "{name}");
    }
    assert_eq!(member["lastAuthorizedCredentialType"], "api");
    assert_eq!(ok(&server.get(LAPTOP)), member);
    let changed = ok(&send(&server, "PATCH", LAPTOP, &[], &json!({ "name": null, "tags": [] })));
    assert_eq!(
        (&changed["name"], &changed["tags"], &changed["authorized"]),
        (&json!(null), &json!([]), &json!(true))
    );
    // What is not in a replacement is taken back, the authorization included.
    let replaced = ok(&send(&server, "PUT", LAPTOP, &[], &json!({ "name": "x" })));
    assert_eq!((&replaced["authorized"], &replaced["ipAssignments"]), (&json!(false), &json!([])));
    assert_ne!(replaced["lastDeauthorizedTime"], 0);
    assert_eq!(send(&server, "DELETE", LAPTOP, &[], &Value::Null).status, 204);
    problem(&server.get(LAPTOP), 404);
    let member = Address::from_low_bits(0x11_1111_1111);
    let revoked = Change::MemberRevoked { network: NETWORK_ID, member };
    assert!(changes(&mut server).contains(&revoked));
}

#[test]
fn a_session_that_is_shortened_is_told_with_its_end() {
    let mut server = start();
    let (network, member) = (NETWORK_ID, Address::from_low_bits(0x11_1111_1111));
    let (changed, cut_short) = (
        Change::Member { network, member },
        Change::SessionCutShort { network, member, ends: Timestamp(1000) },
    );
    // Only where members log in.
    for (sso_enabled, shorter) in [(false, changed), (true, cut_short)] {
        let with_login = Network { sso_enabled, ..Network::new(network, Timestamp(1)) };
        server.store.write(|tx| tx.networks().put(&with_login)).unwrap();
        let session = json!({ "authorized": true, "authenticationExpiryTime": 2000 });
        ok_or_created(&send(&server, "PUT", LAPTOP, &[], &session));
        for ends in [3000, 1000] {
            ok(&send(&server, "PATCH", LAPTOP, &[], &json!({ "authenticationExpiryTime": ends })));
        }
        let changes = changes(&mut server);
        let [.., last_but_one, last] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((*last_but_one, *last), (changed, shorter));
    }
}

#[test]
fn address_of_another_member_and_a_foreign_identity_are_refused() {
    let server = start();
    ok_or_created(&send(&server, "PUT", LAPTOP, &[], &json!({ "ipAssignments": ["10.0.0.1"] })));
    let other = format!("{NETWORK}/member/2222222222");
    let answer = send(&server, "PUT", &other, &[], &json!({ "ipAssignments": ["10.0.0.1"] }));
    let refused = problem(&answer, 409);
    assert_eq!(refused["errors"][0]["pointer"], "/ipAssignments");
    assert!(refused["detail"].as_str().unwrap().contains("1111111111"), "{answer:?}");
    // `known-flaws.md` row 2.
    let identity = crate::server::identity(MEMBER).to_string();
    assert_eq!(pointers(&send(&server, "PUT", &other, &[], &json!({ "identity": identity }))), ["/identity"]);
    let own = format!("{NETWORK}/member/{MEMBER}");
    let member = send(&server, "PUT", &own, &[], &json!({ "identity": identity, "authorized": true }));
    assert_eq!(member.json()["identity"], identity.as_str());
    problem(&send(&server, "PUT", &format!("{NETWORK}/member/0000000000"), &[], &json!({})), 400);
    problem(
        &send(&server, "PUT", "/api/v2/network/a940ad429a0000f2/member/1111111111", &[], &json!({})),
        404,
    );
}

fn ok_or_created(answer: &Answer) {
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

#[test]
fn dry_run_says_whose_addresses_change_and_stores_nothing() {
    let mut server = start();
    let before = json!({
        "v4AssignMode": { "zt": true }, "routes": [{ "target": "10.0.0.0/24" }],
        "ipAssignmentPools": [{ "ipRangeStart": "10.0.0.1", "ipRangeEnd": "10.0.0.9" }],
    });
    ok(&send(&server, "PATCH", NETWORK, &[], &before));
    for (node, ip) in [("1111111111", "10.0.0.1"), ("2222222222", "10.0.0.2")] {
        let body = json!({ "authorized": true, "ipAssignments": [ip] });
        ok_or_created(&send(&server, "PUT", &format!("{NETWORK}/member/{node}"), &[], &body));
    }
    let stored = ok(&server.get(NETWORK));
    changes(&mut server);
    let after = json!({
        "routes": [{ "target": "10.1.0.0/24" }],
        "ipAssignmentPools": [{ "ipRangeStart": "10.1.0.1", "ipRangeEnd": "10.1.0.1" }],
    });
    let path = format!("{NETWORK}?dryRun=true");
    let answer = ok(&send(&server, "PATCH", &path, &[], &after));
    assert_eq!((&answer["changed"], &answer["newConfigurations"]), (&json!(true), &json!(2)));
    assert_eq!(answer["network"]["revision"], 3);
    let addresses = &answer["addresses"];
    assert_eq!(
        (&addresses["changeCount"], &addresses["v4Exhausted"], &addresses["cut"]),
        (&json!(2), &json!(1), &json!(false))
    );
    assert_eq!(addresses["changes"][0]["assigned"], json!(["10.1.0.1"]));
    assert_eq!(addresses["changes"][0]["unrouted"], json!(["10.0.0.1"]));
    assert_eq!(addresses["changes"][1]["unrouted"], json!(["10.0.0.2"]));
    let nothing = ok(&send(&server, "PATCH", &path, &[], &json!({})));
    assert_eq!((&nothing["changed"], &nothing["newConfigurations"]), (&json!(false), &json!(0)));
    assert_eq!(ok(&send(&server, "PUT", &path, &[], &after))["network"]["v4AssignMode"]["zt"], false);
    assert_eq!(ok(&server.get(NETWORK)), stored);
    assert_eq!(changes(&mut server), []);
}

#[test]
fn stranger_is_approved_or_denied() {
    let mut server = start();
    for (node, asked) in [("1111111111", 1_000), ("2222222222", 2_000)] {
        let member = ctl_core::Member {
            revision: 1,
            ..ctl_core::Member::new(NETWORK_ID, node.parse().unwrap(), Timestamp(asked))
        };
        let put = |tx: &ctl_store::Tx<'_>| {
            tx.members().put(&member)?;
            tx.pending().put(NETWORK_ID, member.address, Source::Relayed, Timestamp(asked))
        };
        server.store.write(put).unwrap();
    }
    changes(&mut server);
    let decide = |node: &str, decision: &str| {
        send(&server, "POST", &format!("{NETWORK}/pending/{node}/{decision}"), &[], &Value::Null)
    };
    let approved = ok(&decide("1111111111", "approve"));
    assert_eq!((&approved["authorized"], &approved["revision"]), (&json!(true), &json!(2)));
    let denied = ok(&decide("2222222222", "deny"));
    assert_eq!(denied["authorized"], false);
    assert_ne!(denied["lastDeauthorizedTime"], 0);
    assert_eq!(ok(&server.get(&format!("{NETWORK}/pending")))["data"], json!([]));
    problem(&decide("2222222222", "approve"), 404);
    problem(&decide("3333333333", "approve"), 404);
    let member = Address::from_low_bits(0x11_1111_1111);
    assert!(changes(&mut server).contains(&Change::Member { network: NETWORK_ID, member }));
}

#[test]
fn planet_is_shown_in_the_forms_that_clients_take() {
    let server = start();
    let planet = ok(&server.get("/api/v2/planet"));
    assert_eq!((&planet["id"], &planet["timestamp"]), (&json!(149_604_618), &json!(1_644_592_324_813_u64)));
    let root = &planet["roots"][0];
    assert_eq!((&root["address"], &root["endpoints"]), (&json!("a940ad429a"), &json!(["203.0.113.1/9993"])));
    assert_eq!((&planet["file"], &planet["qrCode"]), (&json!("AQID"), &json!("<svg/>")));
    assert!(planet["link"].as_str().unwrap().contains("addplanet"), "{planet}");
    let without = Server::without_planet();
    problem(&without.get("/api/v2/planet"), 404);
}

#[test]
fn node_and_its_peers_are_shown() {
    let server = start();
    let status = ok(&server.get("/api/v2/status"));
    assert_eq!(
        (&status["address"], &status["peerCount"], &status["networkCount"]),
        (&json!("a940ad429a"), &json!(3), &json!(1))
    );
    let first = ok(&server.get("/api/v2/peer?limit=2"));
    let next = first["next"].as_str().unwrap();
    let second = ok(&server.get(&format!("/api/v2/peer?limit=2&cursor={next}")));
    let addresses: Vec<_> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|peer| peer["address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses, ["62f865ae71", "778cde7190", MEMBER]);
    assert_eq!(second["next"], Value::Null);
    let peer = ok(&server.get(&format!("/api/v2/peer/{MEMBER}")));
    assert_eq!(
        (&peer["version"], &peer["paths"][0]["address"]),
        (&json!("1.14.1"), &json!("10.55.0.2/9993"))
    );
    problem(&server.get("/api/v2/peer/1111111111"), 404);
}
