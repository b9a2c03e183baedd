//! `ctl-bin rules`: what people see who write flow rules.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::request;
use crate::program::{api, free_port, home, refused, serve};

const WEB_ONLY: &str = "accept ethertype arp;\naccept ipprotocol tcp and dport 443;\n\
                        accept ipprotocol tcp and sport 443;\ndrop;\n";
const WEB_TEST: &str = "test \"web\" {\n  member laptop ip 10.0.0.1;\n  member server ip 10.0.0.2;\n\
                        \x20 from laptop to server tcp 443 expect accept;\n}\n";

fn rules(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
        .arg("rules")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its command line does not read.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

/// Returns what was printed by a command that did what it should.
fn printed(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_error_is_a_line_with_its_place_and_the_text_below() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "web.rules", "accept;\ndrop dprt 22;\n\tdrop ethertype nonsense;\n");
    let output = rules(&["compile", name(&path)], "");
    let stderr = errors(&output);
    let lines: Vec<_> = stderr.lines().collect();
    assert!(lines[0].starts_with(&format!("{}:2:6: error: ", name(&path))), "{stderr}");
    assert!(lines[0].contains("did you mean dport?"), "{stderr}");
    assert_eq!(lines[1..3], ["    drop dprt 22;", "         ^^^^"], "{stderr}");
    let second = lines.iter().position(|line| line.contains(":3:17: error: ")).expect(&stderr);
    assert_eq!(
        lines[second + 1..second + 3],
        ["    \tdrop ethertype nonsense;", "    \t               ^^^^^^^^"]
    );
    assert!(refused(output).contains(&format!("{} has ", name(&path))));
}

#[test]
fn source_from_standard_input_becomes_json_and_a_source_again() {
    let output = rules(&["compile", "-"], WEB_ONLY);
    assert_eq!(
        printed(&output),
        "standard input: 9 rules of 1024, 0 capabilities, 0 tags, 0 tests, 0 warnings\n"
    );
    let json = printed(&rules(&["compile", "--json", "-"], WEB_ONLY));
    let compiled: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        compiled["rules"][0],
        json!({ "type": "MATCH_ETHERTYPE", "etherType": 2054, "not": false, "or": false })
    );
    let source = printed(&rules(&["decompile", "-"], &json));
    let again: Value = serde_json::from_str(&printed(&rules(&["compile", "--json", "-"], &source))).unwrap();
    assert_eq!(again["rules"], compiled["rules"]);
    let only_rules = printed(&rules(&["decompile", "-"], &compiled["rules"].to_string()));
    assert_eq!(only_rules, source);
    // As either API shows a rule that has no form in JSON.
    let raw = r#"{"rules":[{"type":"RAW","hex":"3f020102"},{"type":"ACTION_ACCEPT"}]}"#;
    let source = printed(&rules(&["decompile", "-"], raw));
    assert!(source.contains("raw 0x3f 0102"), "{source}");
    let error = refused(rules(&["decompile", "-"], r#"[{"type":"MATCH_FOO"}]"#));
    assert!(error.contains("/rules/0/type") && error.contains("MATCH_FOO"), "{error}");
}

#[test]
fn warnings_are_shown_and_do_no_harm() {
    let output = rules(&["compile", "-"], "tag role id 1;\naccept;\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("standard input:1:") && stderr.contains(": warning: "), "{stderr}");
    assert!(printed(&output).contains("1 warning\n"));
}

#[test]
fn layout_is_printed_checked_or_written() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "x.rules", "DROP not   ethertype arp ;accept;");
    let formatted = printed(&rules(&["format", name(&path)], ""));
    assert_ne!(formatted, fs::read_to_string(&path).unwrap());
    let error = refused(rules(&["format", "--check", name(&path)], ""));
    assert!(error.contains("--write"), "{error}");
    printed(&rules(&["format", "--write", name(&path)], ""));
    assert_eq!(fs::read_to_string(&path).unwrap(), formatted);
    assert_eq!(printed(&rules(&["format", "--check", name(&path)], "")), "");
    refused(rules(&["format", "--write", "-"], "accept;"));
    let broken = file(&folder, "broken.rules", "tag");
    refused(rules(&["format", "--write", name(&broken)], ""));
    assert_eq!(fs::read_to_string(&broken).unwrap(), "tag");
}

#[test]
fn tests_of_a_file_pass_or_say_which_rule_was_in_the_way() {
    let folder = TempDir::new().unwrap();
    let source = file(&folder, "web.rules", WEB_ONLY);
    let tests = file(&folder, "web.tests", WEB_TEST);
    let arguments = ["test", name(&source), "--tests", name(&tests)];
    let passed = printed(&rules(&arguments, ""));
    assert!(passed.contains("ok     \"web\"") && passed.ends_with("1 test passed\n"), "{passed}");
    fs::write(&source, "drop;").unwrap();
    let output = rules(&arguments, "");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("FAILED \"web\"") && stdout.contains("laptop to server"), "{stdout}");
    assert!(stdout.contains("drop, decided at the sender by rules[0], line 1"), "{stdout}");
    assert!(errors(&output).contains("error: 1 of 1 test failed"));
    assert!(refused(rules(&["test", name(&source)], "")).contains("there are no tests"));
    assert!(
        errors(&rules(&["test", name(&source), "--tests", "-"], "test x { from; }"))
            .contains("standard input:1:")
    );
    let twice = refused(rules(&["test", "-", "--tests", "-"], &format!("{WEB_ONLY}{WEB_TEST}")));
    assert!(twice.contains("read once"), "{twice}");
    assert_eq!(rules(&["test"], "").status.code(), Some(2));
}

/// A controller of an older release may be running on it.
#[test]
fn database_of_an_older_release_is_not_changed_by_looking() {
    let (_folder, home) = home();
    fs::create_dir_all(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let database = home.join("controller.db");
    drop(ctl_store::Store::open(&database).unwrap());
    let mut content = fs::read(&database).unwrap();
    content[60..64].copy_from_slice(&1_u32.to_be_bytes()); // the user version in the header
    fs::write(&database, &content).unwrap();
    let home_name = home.to_str().unwrap();
    let id = "1122334455667788";
    for arguments in [&["test", "--network", id][..], &["explain", id, "--from", "a", "--to", "b", "ping"]] {
        let error = refused(rules(&[arguments, &["--home", home_name]].concat(), ""));
        let expected = format!("schema version 1, and this release needs {}", ctl_store::schema_version());
        assert!(error.contains(&expected), "{error}");
    }
    assert!(fs::read(&database).unwrap() == content, "looking changed the database");
}

#[test]
fn networks_are_tested_and_explained_beside_the_running_controller() {
    let (folder, home) = home();
    let home_name = home.to_str().unwrap();
    for arguments in [
        &["explain", "1122334455667788", "--from", "a", "--to", "b", "ping"][..],
        &["test", "--network", "1122334455667788"],
    ] {
        let error = refused(rules(&[arguments, &["--home", home_name]].concat(), ""));
        assert!(error.contains("no controller database") && error.contains("--home"), "{error}");
    }
    assert!(!home.exists(), "looking made a home");
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let call = |method: &str, path: &str, body: &Value| {
        let (status, answer) = request(api(port), method, path, &token, Some(body));
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let network = call("POST", "/controller/network", &json!({ "routes": [{ "target": "10.0.0.0/24" }] }));
    let id = network["id"].as_str().unwrap();
    for (address, name, ip) in [("1111111111", "laptop", "10.0.0.1"), ("2222222222", "server", "10.0.0.2")] {
        let body = json!({ "name": name, "authorized": true, "ipAssignments": [ip] });
        call("POST", &format!("/controller/network/{id}/member/{address}"), &body);
    }
    let tests = "test \"web\" { from laptop to server tcp 443 expect accept; }";
    call("PUT", &format!("/api/v2/network/{id}/rules"), &json!({ "source": WEB_ONLY, "tests": tests }));

    let passed = printed(&rules(&["test", "--network", id, "--home", home_name], ""));
    assert!(passed.contains("ok     \"web\""), "{passed}");
    let new = file(&folder, "new.rules", "drop;");
    let output = rules(&["test", name(&new), "--network", id, "--home", home_name], "");
    assert!(errors(&output).contains("1 of 1 test failed"), "{output:?}");

    let explain = |packet: &[&str]| {
        let members = ["explain", id, "--home", home_name, "--from", "laptop", "--to", "2222222222"];
        rules(&[&members, packet].concat(), "")
    };
    let accepted = printed(&explain(&["tcp", "443"]));
    assert!(accepted.starts_with("laptop to server (known): accept\n"), "{accepted}");
    assert!(accepted.ends_with("decided by line 2: accept ipprotocol tcp and dport 443;\n"), "{accepted}");
    assert!(accepted.contains("sender: ") && accepted.contains("receiver: "), "{accepted}");
    let dropped = printed(&explain(&["tcp 22"]));
    assert!(dropped.contains("): drop\n") && dropped.ends_with("decided by line 4: drop;\n"), "{dropped}");
    assert!(refused(explain(&["pong"])).contains("pong"));
    let error = refused(rules(
        &["explain", id, "--home", home_name, "--from", "nobody", "--to", "server", "ping"],
        "",
    ));
    assert!(error.contains("--from: no member is nobody"), "{error}");
    let error = refused(rules(&["test", "--network", "1122334455667788", "--home", home_name], ""));
    assert!(error.contains(id), "{error}");
}
