//! The API of the hosted service, by what its clients send and cannot do without (`http-api.md` §19, `docs/central.md`).

use serde_json::{Value, json};

use crate::client::{self, Answer};
use crate::server::{CONTROLLER, MEMBER, Server, TOKEN};

const BASE: &str = "/api/v1";

/// Sends a request as these clients do.
fn send(server: &Server, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let authorization = format!("bearer {TOKEN}");
    let headers =
        [("Host", "h"), ("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let body = body.map(Value::to_string);
    client::send(
        server.address,
        method,
        &format!("{BASE}{path}"),
        &headers,
        body.as_deref().map(str::as_bytes),
    )
}

fn get(server: &Server, path: &str) -> Value {
    let answer = send(server, "GET", path, None);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let answer = send(server, "POST", path, Some(body));
    assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    answer.json()
}

fn id(network: &Value) -> String {
    network["id"].as_str().unwrap().to_owned()
}

/// Says that nothing at these pointers is null or absent.
fn assert_there(value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(value.pointer(pointer).is_some_and(|value| !value.is_null()), "{pointer}: {value}");
    }
}

const NETWORK_NOT_NULL: [&str; 7] = [
    "/id",
    "/rulesSource",
    "/description",
    "/config/creationTime",
    "/config/dns",
    "/config/v4AssignMode",
    "/config/v6AssignMode",
];
const MEMBER_NOT_NULL: [&str; 12] = [
    "/name",
    "/description",
    "/nodeId",
    "/networkId",
    "/hidden",
    "/config/authorized",
    "/config/activeBridge",
    "/config/noAutoAssignIps",
    "/config/ipAssignments",
    "/config/capabilities",
    "/config/tags",
    "/config/ssoExempt",
];

/// `http-api.md` §19.5: the requests of the Terraform provider for a network, one after the other.
#[test]
fn terraform_makes_reads_changes_and_destroys_a_network() {
    let server = Server::start();
    let source = "# from terraform\naccept;";
    let config = json!({
        "name": "office", "private": true, "enableBroadcast": true, "multicastLimit": 32,
        "ipAssignmentPools": [{ "ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.254" }],
        "routes": [{ "target": "10.9.0.0/24", "via": "" }, { "target": "10.10.0.0/16", "via": "10.9.0.1" }],
        "v4AssignMode": { "zt": true },
        "v6AssignMode": { "zt": false, "6plane": true, "rfc4193": false },
        "dns": null,
    });
    let body = json!({ "config": config, "description": "made by terraform", "rulesSource": source });
    let made = post(&server, "/network", &body);
    assert_there(&made, &NETWORK_NOT_NULL);
    let path = format!("/network/{}", id(&made));
    let compiled = post(&server, &path, &json!({ "id": id(&made), "rulesSource": source }));
    assert_eq!(compiled["rulesSource"], source);
    assert_eq!(compiled["config"]["rules"][0]["type"], "ACTION_ACCEPT");
    let read = get(&server, &path);
    assert_there(&read, &NETWORK_NOT_NULL);
    assert_eq!(read["description"], "made by terraform");
    for field in ["name", "private", "ipAssignmentPools", "v4AssignMode", "v6AssignMode", "multicastLimit"] {
        assert_eq!(read["config"][field], config[field], "{field}");
    }
    assert_eq!(read["config"]["routes"][0], json!({ "target": "10.9.0.0/24", "via": null }));
    assert_eq!(read["config"]["dns"], json!({ "domain": "", "servers": [] }));
    let renamed = post(&server, &path, &json!({ "config": { "name": "home" }, "description": "" }));
    assert_eq!((&renamed["config"]["name"], &renamed["description"]), (&json!("home"), &json!("")));
    assert_eq!(send(&server, "DELETE", &path, None).status, 200);
    assert_eq!(send(&server, "GET", &path, None).status, 404);
}

/// `http-api.md` §19.5.
#[test]
fn terraform_authorizes_changes_and_destroys_a_member() {
    let server = Server::start();
    let network = id(&post(&server, "/network", &json!({})));
    let path = format!("/network/{network}/member/1122334455");
    let body = json!({
        "networkId": network, "nodeId": "1122334455", "name": "laptop", "config": { "authorized": true },
    });
    let made = post(&server, &path, &body);
    assert_there(&made, &MEMBER_NOT_NULL);
    let mut whole = made.clone();
    whole["description"] = json!("of Jo");
    whole["hidden"] = json!(true);
    whole["config"]["ipAssignments"] = json!(["10.9.0.7"]);
    whole["config"]["tags"] = json!([[1, 2]]);
    let changed = post(&server, &path, &whole);
    for (pointer, expected) in [
        ("/id", json!(format!("{network}-1122334455"))),
        ("/name", json!("laptop")),
        ("/description", json!("of Jo")),
        ("/hidden", json!(true)),
        ("/config/authorized", json!(true)),
        ("/config/ipAssignments", json!(["10.9.0.7"])),
        ("/config/tags", json!([[1, 2]])),
        ("/controllerId", json!(CONTROLLER)),
        ("/config/id", json!("1122334455")),
    ] {
        assert_eq!(changed.pointer(pointer), Some(&expected), "{pointer}");
    }
    let members = get(&server, &format!("/network/{network}/member"));
    assert_eq!(members.as_array().unwrap().len(), 1);
    assert_there(&members[0], &MEMBER_NOT_NULL);
    let local = server.get(&format!("/controller/network/{network}/member/1122334455")).json();
    assert_eq!((&local["name"], &local["authorized"]), (&json!("laptop"), &json!(true)));
    assert_eq!(send(&server, "DELETE", &path, None).status, 200);
    assert_eq!(send(&server, "DELETE", &path, None).status, 404);
}

/// `http-api.md` §19.6: it reads network and members, and sends the whole network back with another `config.dns`.
#[test]
fn zeronsd_sets_the_name_servers_and_nothing_else() {
    let server = Server::start();
    let network =
        id(&post(&server, "/network", &json!({ "config": { "name": "n" }, "rulesSource": "accept;" })));
    let path = format!("/network/{network}");
    let before = get(&server, &path);
    let mut body = before.clone();
    body["config"]["dns"] = json!({ "domain": "home.arpa", "servers": ["10.9.0.1"] });
    post(&server, &path, &body);
    let after = get(&server, &path);
    assert_eq!(after["config"]["dns"], body["config"]["dns"]);
    for field in ["name", "rules", "tags", "capabilities", "routes", "private", "v6AssignMode"] {
        assert_eq!(after["config"][field], before["config"][field], "{field}");
    }
    let local = server.get(&format!("/controller/network/{network}")).json();
    assert_eq!(local["revision"], 2, "one change");
}

/// What was shown is no change, also rules that the API of 1.14 has no form for.
#[test]
fn whole_network_can_be_sent_back_as_it_was_shown() {
    let server = Server::start();
    let source = "tag role id 5 enum 1 server;\nraw 0x81 -\n  raw 0x9f 0a01020318;\naccept;";
    let network = post(&server, "/network", &json!({ "rulesSource": source }));
    let path = format!("/network/{}", id(&network));
    assert_eq!(network["tagsByName"]["role"]["id"], 5);
    let revision = || server.get(&format!("/controller{path}")).json()["revision"].clone();
    let before = revision();
    post(&server, &path, &get(&server, &path));
    assert_eq!(revision(), before);
}

#[test]
fn source_that_does_not_compile_is_refused_with_its_place() {
    let server = Server::start();
    let network = id(&post(&server, "/network", &json!({ "rulesSource": "drop;" })));
    let path = format!("/network/{network}");
    let answer = send(&server, "POST", &path, Some(&json!({ "rulesSource": "accept\nnonsense;" })));
    assert!(answer.error().is_some_and(|error| error.starts_with("rulesSource: ")), "{answer:?}");
    assert_eq!(answer.status, 400);
    assert_eq!(get(&server, &path)["rulesSource"], "drop;", "nothing was changed");
    let long = json!({ "description": "x".repeat(20_000) });
    assert_eq!(send(&server, "POST", &path, Some(&long)).status, 400);
    assert_eq!(send(&server, "POST", "/network/ffffffffff000001", Some(&json!({}))).status, 404);
}

/// `http-api.md` §19.1: either scheme in any case; beside it the header of the local API, and nothing without a token.
#[test]
fn token_is_taken_as_clients_of_the_hosted_service_send_it() {
    let server = Server::start();
    let status = |header: &str, value: &str, path: &str| {
        client::send(server.address, "GET", path, &[("Host", "h"), (header, value)], None).status
    };
    let network = format!("{BASE}/network");
    for scheme in ["token", "Token", "bearer", "BEARER"] {
        assert_eq!(status("Authorization", &format!("{scheme} {TOKEN}"), &network), 200, "{scheme}");
        assert_eq!(status("Authorization", &format!("{scheme} wrong"), &network), 401, "{scheme}");
    }
    assert_eq!(status("X-ZT1-Auth", TOKEN, &network), 200);
    assert_eq!(status("Accept", "*/*", &network), 401);
    assert_eq!(status("Authorization", &format!("token {TOKEN}"), "/controller/network"), 401);
}

#[test]
fn status_user_and_random_token_are_those_of_one_user() {
    let server = Server::start();
    let status = get(&server, "/status");
    assert_there(
        &status,
        &["/id", "/type", "/clock", "/version", "/apiVersion", "/uptime", "/user/id", "/loginMethods/local"],
    );
    let user = status["user"]["id"].as_str().unwrap();
    assert_eq!(user, format!("00000000-0000-0000-0000-00{CONTROLLER}"));
    for path in [format!("/user/{user}"), "/self".to_owned()] {
        assert_eq!(get(&server, &path)["id"], user, "{path}");
    }
    assert_eq!(send(&server, "GET", "/user/other", None).status, 404);
    assert_eq!(get(&server, &format!("/org/{user}/user"))[0]["userId"], user);
    assert_eq!(get(&server, "/org-invitation"), json!([]));
    let tokens = [get(&server, "/randomToken"), get(&server, "/randomToken")];
    let texts = tokens.each_ref().map(|token| token["token"].as_str().unwrap());
    assert!(texts[0] != texts[1] && texts.iter().all(|text| text.len() == 44));
    assert!(tokens.iter().all(|token| token["raw"] == token["token"] && token["hashed"] != token["token"]));
}

/// As the resource `zerotier_token` of the Terraform provider does it.
#[test]
fn random_token_becomes_one_that_may_do_everything_until_it_is_removed() {
    let server = Server::start();
    let user = get(&server, "/status")["user"]["id"].as_str().unwrap().to_owned();
    let secret = get(&server, "/randomToken")["token"].as_str().unwrap().to_owned();
    let status = |path: &str| {
        let value = format!("token {secret}");
        client::send(server.address, "GET", path, &[("Authorization", &value)], None).status
    };
    assert_eq!(status("/api/v1/network"), 401, "drawing it stores nothing");
    let order = json!({ "tokenName": "terraform", "token": secret });
    let made = post(&server, &format!("/user/{user}/token"), &order);
    assert_eq!(made["tokenName"], "terraform");
    assert_eq!(status("/api/v1/network"), 200);
    assert_eq!(get(&server, "/status")["user"]["tokens"], json!(["terraform"]));
    for (path, order, expected) in [
        (format!("/user/{user}/token"), json!({ "tokenName": "terraform", "token": secret }), 409),
        (format!("/user/{user}/token"), json!({ "tokenName": "mine", "token": "easy to guess" }), 400),
        (format!("/user/{user}/token"), json!({ "tokenName": "a b", "token": secret }), 400),
        (format!("/user/{user}/token"), json!([]), 400),
        ("/user/other/token".to_owned(), order, 404),
    ] {
        assert_eq!(send(&server, "POST", &path, Some(&order)).status, expected, "{path} {order}");
    }
    let path = format!("/user/{user}/token/terraform");
    assert_eq!(send(&server, "DELETE", &path, None).status, 200);
    assert_eq!((status("/api/v1/network"), send(&server, "DELETE", &path, None).status), (401, 404));
}

/// What members do is seen here too, with the address from which they ask.
#[test]
fn member_that_asks_is_online() {
    let server = Server::start();
    let network = id(&post(&server, "/network", &json!({})));
    server.configure(&network, ctl_core::RequestKind::Request);
    let now = server.get("/status").json()["clock"].as_u64().unwrap();
    server.note(&network, now);
    let member = get(&server, &format!("/network/{network}/member/{MEMBER}"));
    assert_eq!(member["physicalAddress"], "10.55.0.2");
    assert_eq!(member["config"]["authorized"], false);
    assert_eq!(member["lastOnline"], now);
    let networks = get(&server, "/network");
    assert_eq!((&networks[0]["onlineMemberCount"], &networks[0]["totalMemberCount"]), (&json!(1), &json!(1)));
}

#[test]
fn names_of_tokens_are_for_who_may_read_everything() {
    let server = Server::start();
    let network = id(&post(&server, "/network", &json!({})));
    let secrets = ["read".to_owned(), format!("read@{network}"), format!("admin@{network}")].map(|scope| {
        let name = scope.replace('@', "-of-");
        let made = server.post("/api/v2/tokens", &json!({ "name": name, "scope": [scope] })).json();
        made["secret"].as_str().unwrap().to_owned()
    });
    let seen = secrets.map(|secret| {
        let headers = [("X-ZT1-Auth", secret.as_str())];
        let path = format!("{BASE}/network/{network}/users");
        let users = client::send(server.address, "GET", &path, &headers, None).json();
        users[0]["tokens"].as_array().unwrap().len()
    });
    assert_eq!(seen, [3, 0, 0]);
}
