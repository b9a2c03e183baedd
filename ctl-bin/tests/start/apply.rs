//! `ctl-bin apply`: what a file says comes about, once, and over nobody's head.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};

use crate::backup::{printed, text};
use crate::http::request;
use crate::program::{api, free_port, home, serve};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/apply.md");

fn apply(home: &Path, file: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    for variable in ["CTL_URL", "CTL_TOKEN", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command.arg("apply").arg(file).args(options).env("CTL_HOME", home).env("NO_COLOR", "1");
    command.output().unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

fn write(folder: &Path, content: &str) -> PathBuf {
    let file = folder.join("networks.toml");
    fs::write(&file, content).unwrap();
    file
}

#[test]
fn the_file_of_the_document_is_planned_applied_and_then_nothing_is_left_to_do() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let get = |path: &str| request(api(port), "GET", path, &token, None).1;
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let block = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = write(folder.path(), block);

    let plan = apply(&home, &file, &["--plan"]);
    assert_eq!(code(&plan), Some(2), "{}", said(&plan));
    assert!(said(&plan).ends_with(
        "networks: 2 to create, 0 to change, 0 to remove\nmembers: 2 to create, 0 to change, 0 to remove\n"
    ));
    let asked = apply(&home, &file, &[]);
    assert!(code(&asked) == Some(1) && said(&asked).contains("--yes"), "{}", said(&asked));
    assert_eq!(get("/api/v2/network")["data"], json!([]), "something was done unasked");

    let done = printed(apply(&home, &file, &["--yes"]));
    assert!(done.ends_with("done\n"), "{done}");
    let networks = get("/api/v2/network")["data"].as_array().unwrap().clone();
    let office = networks.iter().find(|network| network["name"] == "office").unwrap();
    assert_eq!(office["ipAssignmentPools"][0]["ipRangeStart"], "10.7.0.1");
    assert_eq!(office["dns"]["servers"], json!(["10.7.0.2"]));
    let path = format!("/api/v2/network/{}", office["id"].as_str().unwrap());
    assert!(get(&format!("{path}/rules"))["source"].as_str().unwrap().starts_with("drop not ethertype ipv4"));
    let printer = get(&format!("{path}/member/1122334455"));
    assert_eq!((&printer["authorized"], &printer["noAutoAssignIps"]), (&json!(true), &json!(true)));
    assert_eq!(printer["tags"], json!([{ "id": 1, "value": 100 }]));

    for options in [&["--plan"][..], &["--yes"], &["--plan", "--prune"]] {
        let again = apply(&home, &file, options);
        assert_eq!(code(&again), Some(0), "{}", said(&again));
        assert_eq!(said(&again), "nothing to do: everything is as the file says\n");
    }

    // What was changed by hand goes back, what the file does not name stays.
    let member = format!("{path}/member/1122334455");
    request(api(port), "PATCH", &member, &token, Some(&json!({ "authorized": false, "activeBridge": true })));
    request(api(port), "PATCH", &path, &token, Some(&json!({ "mtu": 1400, "multicastLimit": 5 })));
    let plan = apply(&home, &file, &["--plan"]);
    let text = said(&plan);
    assert!(
        text.contains("  mtu: 1400 -> 2800\n") && text.contains("    authorized: false -> true\n"),
        "{text}"
    );
    assert!(
        text.contains("networks: 0 to create, 1 to change")
            && text.contains("members: 0 to create, 1 to change")
    );
    let plan: Value = serde_json::from_str(&said(&apply(&home, &file, &["--plan", "--json"]))).unwrap();
    assert_eq!(plan["networks"][0]["changes"]["mtu"], json!({ "from": 1400, "to": 2800 }));
    printed(apply(&home, &file, &["--yes"]));
    assert_eq!((&get(&path)["mtu"], &get(&path)["multicastLimit"]), (&json!(2800), &json!(5)));
    let printer = get(&member);
    assert_eq!((&printer["authorized"], &printer["activeBridge"]), (&json!(true), &json!(true)));
}

#[test]
fn only_when_told_to_what_is_not_named_is_removed_and_the_question_says_how_much() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let file = write(
        folder.path(),
        "[[network]]\nname = 'a'\n[[network.member]]\naddress = '1122334455'\nauthorized = true\n[[network]]\nname = 'b'\n",
    );
    printed(apply(&home, &file, &["--yes"]));
    let networks = request(api(port), "GET", "/api/v2/network", &token, None).1["data"].clone();
    for network in networks.as_array().unwrap() {
        let path = format!("/api/v2/network/{}/member/aabbccddee", network["id"].as_str().unwrap());
        assert_eq!(request(api(port), "PUT", &path, &token, Some(&json!({ "authorized": true }))).0, 201);
    }
    let (_, other) = request(api(port), "POST", "/api/v2/network", &token, Some(&json!({ "name": "c" })));
    assert_eq!(code(&apply(&home, &file, &["--plan"])), Some(0));
    let plan = apply(&home, &file, &["--plan", "--prune"]);
    let text = said(&plan);
    assert_eq!(code(&plan), Some(2), "{text}");
    assert!(text.contains("  member aabbccddee: remove\n"), "{text}");
    assert!(
        text.contains(&format!("network {} (c): remove with 0 members\n", other["id"].as_str().unwrap()))
    );
    assert!(text.ends_with("1 to remove\nmembers: 0 to create, 0 to change, 1 to remove\n"), "{text}");
    printed(apply(&home, &file, &["--prune", "--yes"]));
    let networks = request(api(port), "GET", "/api/v2/network", &token, None).1["data"].clone();
    let mut left: Vec<_> = networks
        .as_array()
        .unwrap()
        .iter()
        .map(|network| (network["name"].as_str().unwrap(), network["memberCount"].as_u64().unwrap()))
        .collect();
    left.sort_unstable();
    // The file says nothing of the members of b.
    assert_eq!(left, [("a", 1), ("b", 1)]);
}

/// Somebody else is faster: between what was read and what is sent, he changes the same network.
#[test]
fn what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let (_, network) =
        request(api(port), "POST", "/api/v2/network", &token, Some(&json!({ "name": "a", "mtu": 1500 })));
    let path = format!("/api/v2/network/{}", network["id"].as_str().unwrap());
    let file = write(folder.path(), "[[network]]\nname = 'a'\nmtu = 2000\n");
    let (other_path, other_token) = (path.clone(), token.clone());
    let url = interrupted(port, move || {
        let change = json!({ "mtu": 1300 });
        assert_eq!(request(api(port), "PATCH", &other_path, &other_token, Some(&change)).0, 200);
    });
    let secret = home.join("authtoken.secret");
    let output = apply(&home, &file, &["--yes", "--url", &url, "--token-file", text(&secret)]);
    assert!(
        code(&output) == Some(1) && said(&output).contains("changed by somebody else"),
        "{}",
        said(&output)
    );
    assert_eq!(request(api(port), "GET", &path, &token, None).1["mtu"], 1300);
    printed(apply(&home, &file, &["--yes"]));
    assert_eq!(request(api(port), "GET", &path, &token, None).1["mtu"], 2000);
}

/// Passes connections on to the controller; before the first PATCH, does something else.
fn interrupted(port: u16, before: impl Fn() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(api(port)).unwrap();
            let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let answering = thread::spawn(move || std::io::copy(&mut answers, &mut back).unwrap_or(0));
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = client.read(&mut buffer) {
                if buffer.starts_with(b"PATCH ") {
                    before();
                }
                server.write_all(&buffer[..length]).unwrap();
            }
            server.shutdown(std::net::Shutdown::Both).unwrap_or(());
            answering.join().unwrap();
        }
    });
    url
}

#[test]
fn a_file_that_cannot_be_is_refused_before_anything_is_done() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    for (content, words) in [
        ("[[network]]\nname = 'a'\nprvate = true\n", "networks.toml:3:1: unknown field `prvate`"),
        ("[[network]]\nname = 'a'\n[[network]]\nname = 'b'\nrules = 'acept;'\n", "networks.toml:3:"),
        ("[[network]]\nname = 'a'\nmtu = '1'\n", "networks.toml:3:7: invalid type"),
    ] {
        let output = apply(&home, &write(folder.path(), content), &["--yes"]);
        assert!(code(&output) == Some(1) && said(&output).contains(words), "{}", said(&output));
    }
    // What only the controller can say is wrong.
    let output = apply(&home, &write(folder.path(), "[[network]]\nname = 'a'\nmtu = 9\n"), &["--yes"]);
    assert!(code(&output) == Some(1) && said(&output).contains("/mtu"), "{}", said(&output));
    let nowhere = apply(&home, Path::new("/nowhere.toml"), &["--yes"]);
    assert!(said(&nowhere).contains("cannot read /nowhere.toml"), "{}", said(&nowhere));
    assert_eq!(request(api(port), "GET", "/api/v2/network", &token, None).1["data"], json!([]));
}
