//! `--json`: what each command prints for programs (`docs/cli.md`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::backup::{parsed, printed, run};
use crate::cli::{ctl, each_help};
use crate::http::request;
use crate::program::{api, free_port, home, serve};

/// Names the fields of an object, or of the first entry of a list.
fn fields(value: &Value) -> BTreeSet<String> {
    let object = if value.is_array() { &value[0] } else { value };
    object.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

/// Says how `docs/cli.md` describes what a command prints.
fn documented(command: &str) -> BTreeSet<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let docs = fs::read_to_string(docs).unwrap();
    let row = docs.lines().find(|line| line.starts_with("| ") && line.contains(&format!("`{command}`")));
    let shape = row.unwrap_or_else(|| panic!("{command} has no row")).split('|').nth(2).unwrap();
    // What stands in brackets is inside of the field before them.
    let (mut depth, mut outer) = (0, String::new());
    for c in shape.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => outer.push(c),
            _ => {}
        }
    }
    outer.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_command_prints_for_programs_what_the_document_says() {
    let (folder, home) = home();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let json = |arguments: &[&str]| {
        let output = ctl(&home, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {output:?}");
        parsed(&output)
    };
    let mut shapes = Vec::new();
    let mut note = |command: &str, value: Value| {
        shapes.push((command.to_owned(), fields(&value)));
        value
    };

    // Files alone.
    let (secret, signed) = (path("identity.secret"), path("signed"));
    let made = note("identity new", json(&["identity", "new", &secret]));
    let shown = note("identity show", json(&["identity", "show", &secret]));
    assert_eq!(made["fingerprint"], shown["fingerprint"]);
    note("identity validate", json(&["identity", "validate", &secret]));
    fs::write(&signed, "text").unwrap();
    let signature = note("identity sign", json(&["identity", "sign", &secret, &signed]));
    let signature = signature["signature"].as_str().unwrap().to_owned();
    let right = note("identity verify", json(&["identity", "verify", &secret, &signed, &signature]));
    assert_eq!(right["address"], made["address"]);
    let rules = path("rules");
    fs::write(
        &rules,
        "accept;\ntest \"all\" { member a ip 10.0.0.1; member b ip 10.0.0.2; from a to b ping expect accept; }\n",
    )
    .unwrap();
    note("rules compile", json(&["rules", "compile", &rules]));
    let tested = note("rules test", json(&["rules", "test", &rules]));
    assert_eq!(tested["passed"], true);
    let (planet, moon) = (path("planet"), path("moon"));
    let create = |kind: &'static str, out: &str| {
        json(&[kind, "create", "--endpoint", "203.0.113.1/9993", "--out", out])
    };
    note("planet create", create("planet", &planet));
    note("moon create", create("moon", &moon));
    note("planet roll", json(&["planet", "roll", "--endpoint", "203.0.113.2/9993", "--out", &planet]));
    note("moon roll", json(&["moon", "roll", "--endpoint", "203.0.113.2/9993", "--out", &moon]));
    let shown = note("planet show", json(&["planet", "show", &planet]));
    assert_eq!(shown["roots"][0]["endpoints"][0], "203.0.113.2/9993");
    assert_eq!(shown["base64"], printed(ctl(&home, &["planet", "show", &planet, "--base64"])).trim());
    note("moon show", json(&["moon", "show", &moon]));
    note("planet verify", json(&["planet", "verify", &planet]));
    note("moon verify", json(&["moon", "verify", &moon]));

    // With a controller that runs.
    let port = free_port();
    let (process, _) = serve(&home, port);
    note("health", json(&["health"]));
    note("log-level", json(&["log-level"]));
    let network = note("network create", json(&["network", "create", "--name", "office"]));
    let id = network["id"].as_str().unwrap();
    note("member authorize", json(&["member", "authorize", id, "1122334455", "aabbccddee"]));
    let explain = ["rules", "explain", id, "--from", "1122334455", "--to", "aabbccddee", "ping"];
    let here = note("rules explain", json(&explain));
    // The controller itself says the same.
    let url = fs::read_to_string(home.join("ctl-bin.url")).unwrap();
    let token = path("token");
    fs::copy(home.join("authtoken.secret"), &token).unwrap();
    let there = [&explain[..], &["--url", url.trim(), "--token-file", &token]].concat();
    assert_eq!(json(&there), here);
    let key = fs::read_to_string(&token).unwrap();
    let get = |path: &str| request(api(port), "GET", path, &key, None).1;
    let (path_of_network, path_of_member) =
        (format!("/controller/network/{id}"), format!("/controller/network/{id}/member/1122334455"));
    assert_eq!(note("network set", json(&["network", "set", id, "--mtu", "1500"])), get(&path_of_network));
    assert_eq!(note("network show", json(&["network", "show", id])), get(&path_of_network));
    let listed = get("/unstable/controller/network");
    assert_eq!(note("network ls", json(&["network", "ls"])), listed["data"]);
    let set = ["member", "set", id, "1122334455", "--name", "printer"];
    assert_eq!(note("member set", json(&set)), get(&path_of_member));
    assert_eq!(note("member show", json(&["member", "show", id, "1122334455"])), get(&path_of_member));
    let page = get(&format!("/api/v2/network/{id}/member"));
    assert_eq!(note("member ls", json(&["member", "ls", id])), page["data"]);
    let wanted = path("networks.toml");
    fs::write(&wanted, "[[network]]\nname = 'lab'\n[[network.member]]\naddress = '1122334455'\n").unwrap();
    let applied = note("apply", json(&["apply", &wanted, "--yes"]));
    assert_eq!(applied["networks"][0]["members"][0]["do"], "create", "{applied}");
    let webhooks = || get("/api/v2/webhooks")["data"].clone();
    let made =
        note("webhook create", json(&["webhook", "create", "http://127.0.0.1:1/", "--description", "chat"]));
    assert!(made["secret"].is_string());
    assert_eq!(note("webhook ls", json(&["webhook", "ls"]))[0]["id"], made["id"]);
    note("webhook test", json(&["webhook", "test", "chat"]));
    assert_eq!(note("webhook retry", json(&["webhook", "retry", "chat"]))["id"], made["id"]);
    let gone = note("webhook delete", json(&["webhook", "delete", made["id"].as_str().unwrap(), "--yes"]));
    assert_eq!((&gone["description"], webhooks()), (&Value::from("chat"), Value::Array(Vec::new())));
    note("member deauthorize", json(&["member", "deauthorize", id, "1122334455"]));
    let made = note("token create", json(&["token", "create", "panel", "--scope", "read"]));
    let rotated = note("token rotate", json(&["token", "rotate", "panel"]));
    assert!(made["secret"] != rotated["secret"] && rotated["secret"].is_string());
    note("token ls", json(&["token", "ls"]));
    note("token revoke", json(&["token", "revoke", "panel"]));
    let exported = path("exported");
    note("export", json(&["export", "--format", "json", &exported]));
    let backup = note("backup", json(&["backup"]));
    note("verify", json(&["verify"]));
    note("doctor", json(&["doctor"]));
    note("doctor --url", json(&["doctor", "--url", url.trim(), "--token-file", &token]));
    note("config check", json(&["config", "check"]));
    let deleted = note("member delete", json(&["member", "delete", id, "1122334455", "--yes"]));
    assert_eq!(deleted[0]["address"], "1122334455");
    assert_eq!(note("network delete", json(&["network", "delete", id, "--yes"]))["id"], network["id"]);
    // One of two cannot be done: it is there with its reason, and the exit code says it.
    let some = ctl(&home, &["network", "create", "--name", "n"]);
    assert!(some.status.success());
    let output = ctl(&home, &["member", "authorize", "n", "nobody", "1122334455", "--json"]);
    assert_eq!(output.status.code(), Some(6));
    let list = parsed(&output);
    assert!(list[0]["error"].as_str().unwrap().contains("has no member nobody"), "{list}");
    assert_eq!(list[1]["address"], "1122334455");
    drop(process);
    let restored = path("restored");
    let value = parsed(&run(&["restore", backup["path"].as_str().unwrap(), "--home", &restored, "--json"]));
    note("restore", value);
    let value = parsed(&run(&["import", &exported, "--home", &restored, "--json"]));
    note("import", value);

    // What the API answers is described there.
    let is_of_the_api = |command: &str| {
        ["network", "member", "webhook"].contains(&command.split(' ').next().unwrap_or_default())
    };
    for (command, fields) in shapes.iter().filter(|(command, _)| !is_of_the_api(command)) {
        assert_eq!(*fields, documented(command), "{command}");
    }
    let (mut commands, mut tried) = (BTreeSet::new(), BTreeSet::new());
    each_help(&mut Vec::new(), &mut |command, help| {
        if help.lines().any(|line| line.trim_start().starts_with("--json")) {
            commands.insert(command.join(" "));
        }
    });
    tried.extend(shapes.into_iter().map(|(command, _)| command));
    tried.remove("doctor --url");
    assert_eq!(tried, commands, "commands with --json");
}
