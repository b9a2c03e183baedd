//! `ctl-bin network` and `ctl-bin member`, with the controller of the home and with one elsewhere.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::backup::{printed, text};
use crate::program::{free_port, home, serve};
use crate::snapshot::expect;

/// Runs a command with nothing in the environment that would tell it where the controller is.
pub(crate) fn ctl(home: &Path, arguments: &[&str]) -> Output {
    bare(arguments).env("CTL_HOME", home).output().unwrap()
}

pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    for variable in ["CTL_HOME", "CTL_URL", "CTL_TOKEN", "CLICOLOR_FORCE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    // The same place for root and for others.
    command.env("XDG_DATA_HOME", "/var/lib").env("NO_COLOR", "1").args(arguments);
    command
}

fn json(output: Output) -> Value {
    let text = printed(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_network_is_made_shown_changed_and_deleted() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    let created =
        json(ctl(&home, &["network", "create", "--name", "office", "--subnet", "10.9.0.0/24", "--json"]));
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["ipAssignmentPools"][0]["ipRangeEnd"], "10.9.0.254");
    // By name as well as by id.
    let shown = printed(ctl(&home, &["network", "show", "office"]));
    assert!(shown.contains(id) && shown.contains("10.9.0.0/24") && shown.contains("private"), "{shown}");
    let set = [
        "network",
        "set",
        id,
        "--private",
        "false",
        "--route",
        "10.9.0.0/24",
        "--route",
        "10.8.0.0/16=10.9.0.5",
    ];
    let shown = printed(ctl(&home, &set));
    assert!(shown.contains("public") && shown.contains("10.8.0.0/16 via 10.9.0.5"), "{shown}");
    let listed = printed(ctl(&home, &["network", "ls"]));
    assert!(listed.contains(id) && listed.contains("office") && listed.contains("0 of 0"), "{listed}");
    let found = json(ctl(&home, &["network", "ls", "--search", "nothing like it", "--json"]));
    assert_eq!(found, Value::Array(Vec::new()));
    // Nobody is there to be asked.
    let refused = ctl(&home, &["network", "delete", "office"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(json(ctl(&home, &["network", "ls", "--json"])).as_array().unwrap().len(), 1);
    let said = printed(ctl(&home, &["network", "delete", "office", "--yes"]));
    assert_eq!(said, format!("deleted: network {id} with 0 members\n"));
    assert_eq!(ctl(&home, &["network", "show", id]).status.code(), Some(6));
}

#[test]
fn members_are_let_in_listed_changed_and_forgotten() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    let network = json(ctl(&home, &["network", "create", "--name", "n", "--json"]));
    let id = network["id"].as_str().unwrap();
    let said = printed(ctl(&home, &["member", "authorize", "n", "1122334455", "aabbccddee"]));
    assert_eq!(
        said,
        "authorized: 1122334455, which has not asked to join yet\n\
         authorized: aabbccddee, which has not asked to join yet\n"
    );
    let set = ["member", "set", id, "1122334455", "--name", "printer", "--ip", "10.0.0.7", "--tag", "1=2"];
    let shown = printed(ctl(&home, &set));
    assert!(shown.contains("printer") && shown.contains("10.0.0.7") && shown.contains("1=2"), "{shown}");
    printed(ctl(&home, &["member", "deauthorize", "n", "aabbccddee"]));
    let addresses = |options: &[&str]| {
        let list = json(ctl(&home, &[&["member", "ls", "n", "--json"], options].concat()));
        let address = |member: &Value| member["address"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(address).collect::<Vec<_>>()
    };
    assert_eq!(addresses(&[]), ["1122334455", "aabbccddee"]);
    assert_eq!(addresses(&["--authorized"]), ["1122334455"]);
    assert_eq!(addresses(&["--waiting", "--offline"]), ["aabbccddee"]);
    assert_eq!(addresses(&["--search", "PRINT"]), ["1122334455"]);
    let table = printed(ctl(&home, &["member", "ls", "n"]));
    assert!(
        table.starts_with("ADDRESS") && table.contains("printer") && !table.contains('\u{1b}'),
        "{table}"
    );
    let shown = printed(ctl(&home, &["member", "show", "n", "printer"]));
    assert!(shown.contains("1122334455"), "{shown}");
    printed(ctl(&home, &["member", "delete", "n", "printer", "--yes"]));
    assert_eq!(ctl(&home, &["member", "show", "n", "1122334455"]).status.code(), Some(6));
}

/// Not where the output is no terminal, and not where somebody does not want them.
#[test]
fn colours_are_for_those_who_see_and_want_them() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    json(ctl(&home, &["network", "create", "--name", "n", "--json"]));
    let has_colours = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = bare(arguments);
        command.env_remove("NO_COLOR").env("CTL_HOME", &home).envs(variables.iter().copied());
        printed(command.output().unwrap()).contains('\u{1b}')
    };
    let list = ["network", "ls"];
    assert!(!has_colours(&[], &list), "the output is no terminal");
    assert!(has_colours(&[("CLICOLOR_FORCE", "1")], &list));
    assert!(!has_colours(&[("CLICOLOR_FORCE", "1")], &["network", "ls", "--json"]));
    assert!(!has_colours(&[("NO_COLOR", "1")], &list));
}

/// Asking to put out somebody who is not there must not add him.
#[test]
fn what_does_not_exist_is_not_made_by_changing_it() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    let network = json(ctl(&home, &["network", "create", "--name", "n", "--json"]));
    let id = network["id"].as_str().unwrap();
    let other = format!("{}ffffff", &id[..10]);
    for arguments in [
        &["network", "set", other.as_str(), "--name", "x"][..],
        &["member", "deauthorize", id, "1122334455"],
        &["member", "delete", id, "1122334455", "--yes"],
        &["member", "authorize", other.as_str(), "1122334455"],
        &["member", "authorize", id, "nobody of this name"],
    ] {
        assert_eq!(ctl(&home, arguments).status.code(), Some(6), "{arguments:?}");
    }
    assert_eq!(json(ctl(&home, &["network", "ls", "--json"])).as_array().unwrap().len(), 1);
    assert_eq!(json(ctl(&home, &["member", "ls", id, "--json"])), Value::Array(Vec::new()));
    let again = ctl(&home, &["network", "create", "--id", id, "--name", "other"]);
    assert!(!again.status.success());
    assert_eq!(json(ctl(&home, &["network", "show", id, "--json"]))["name"], "n");
    // One of two: the other is done, and the exit code tells.
    let output = ctl(&home, &["member", "authorize", id, "nobody", "1122334455"]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(json(ctl(&home, &["member", "show", id, "1122334455", "--json"]))["authorized"], true);
}

#[test]
fn a_controller_elsewhere_is_reached_by_its_address_and_a_token_of_its_own() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let url = format!("http://127.0.0.1:{port}/");
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    printed(bare(&["network", "ls", "--url", &url, "--token-file", text(&file)]).output().unwrap());
    printed(bare(&["network", "ls", "--url", &url]).env("CTL_TOKEN", &token).output().unwrap());
    // The token of the home is not sent to whoever is named.
    let output = bare(&["network", "ls", "--url", &url, "--home", text(&home)]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

/// Whoever answers there could send the client on, and would then have the token of another.
#[test]
fn a_token_is_not_sent_on_to_where_an_answer_points() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let there = target.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut [0; 4096]).unwrap();
        let answer = format!("HTTP/1.1 307 Moved\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        read
    });
    let output = bare(&["network", "ls", "--url", &url]).env("CTL_TOKEN", "secret").output().unwrap();
    assert!(answer.join().unwrap() > 0);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(target.accept().is_err(), "it was followed");
}

#[test]
fn every_error_says_what_to_do() {
    let (folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "not the token").unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, " \n").unwrap();
    let (folder, url) = (text(folder.path()).to_owned(), format!("http://127.0.0.1:{port}"));
    let mut transcript = String::new();
    let mut note = |arguments: &[&str], stderr: Vec<u8>, code: Option<i32>| {
        let stderr = String::from_utf8(stderr).unwrap();
        transcript += &format!("$ ctl-bin {}\n{stderr}exit code {}\n\n", arguments.join(" "), code.unwrap());
    };
    let id = "50c3fbe1fe0e2af2";
    for arguments in [
        &["network", "show", id][..],
        &["network", "show", "nowhere"],
        &["network", "set", id],
        &["network", "delete", id],
        &["member", "ls", id],
        &["member", "show", id, "1122334455"],
        &["network", "ls", "--token-file", text(&wrong)],
        &["network", "ls", "--token-file", text(&empty)],
        &["network", "ls", "--token-file", "/nowhere/token"],
        &["network", "ls", "--url", &url],
        &["network", "ls", "--url", "http://controller.example.org:9993"],
        &["network", "ls", "--url", "controller.example.org"],
        &["network", "ls", "--url", "https://127.0.0.1:1", "--ca", text(&wrong)],
        &["network", "create", "--id", id],
        &["network", "create", "--mtu", "100"],
        &["network", "create", "--subnet", "10.0.0.0/33"],
        &["network", "create", "--pool", "10.0.0.9-10.0.0.1"],
        &["network", "create", "--assign-v6", "dhcp"],
        &["member", "set", id, "1122334455", "--tag", "blue"],
        &["member", "authorize", id],
    ] {
        let output = ctl(&home, arguments);
        assert!(output.stdout.is_empty(), "{output:?}");
        note(arguments, output.stderr, output.status.code());
    }
    drop(process);
    let output = ctl(&home, &["network", "ls"]);
    note(&["network", "ls", "# stopped"], output.stderr, output.status.code());
    fs::remove_file(home.join("ctl-bin.url")).unwrap();
    let output = ctl(&home, &["network", "ls"]);
    note(&["network", "ls", "# never started"], output.stderr, output.status.code());
    let output = ctl(Path::new("/nowhere"), &["network", "ls"]);
    note(&["network", "ls", "# no home"], output.stderr, output.status.code());
    let own = fs::read_to_string(home.join("identity.public")).unwrap();
    let transcript = transcript
        .replace(&folder, "DIR")
        .replace(&port.to_string(), "PORT")
        .replace(&own[..10], "CONTROLLER");
    expect("errors", &transcript);
}

#[test]
fn help_says_what_there_is() {
    let mut all = String::new();
    each_help(&mut Vec::new(), &mut |command, help| {
        let words: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
        all += &format!("$ ctl-bin {}\n{help}\n", words.join(" "));
    });
    expect("help", &all);
}

/// Hands out a command with its help, and those below it.
pub(crate) fn each_help(command: &mut Vec<String>, see: &mut impl FnMut(&[String], &str)) {
    let words: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let help = printed(bare(&words).output().unwrap());
    see(command, &help);
    let below = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in below.lines().take_while(|line| !line.is_empty()) {
        // The names stand two characters in; a text that is too long for its line goes on further in.
        let name = line.strip_prefix("  ").filter(|line| !line.starts_with(' '));
        if let Some(name) =
            name.and_then(|line| line.split_whitespace().next()).filter(|name| *name != "help")
        {
            command.push(name.to_owned());
            each_help(command, see);
            command.pop();
        }
    }
}

/// A list of more than a page is put together from pages, and the controller does the searching.
#[test]
fn members_are_listed_in_order_and_number_as_asked_for() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    let network = json(ctl(&home, &["network", "create", "--name", "n", "--json"]));
    let id = network["id"].as_str().unwrap();
    let members: Vec<_> = (0..1010_u64).map(|n| format!("{:010x}", 0x11_0000_0000 + n)).collect();
    let all: Vec<_> =
        ["member", "authorize", id].into_iter().chain(members.iter().map(String::as_str)).collect();
    printed(ctl(&home, &all));
    printed(ctl(&home, &["member", "set", id, &members[500], "--name", "a & ü"]));
    let addresses = |options: &[&str]| {
        let list = json(ctl(&home, &[&["member", "ls", "n", "--json"], options].concat()));
        let address = |member: &Value| member["address"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(address).collect::<Vec<_>>()
    };
    assert_eq!(addresses(&[]), members);
    assert_eq!(addresses(&["--limit", "1003"]), members[..1003]);
    assert_eq!(addresses(&["--sort", "-address", "--limit", "1"]), members[1009..]);
    assert_eq!(addresses(&["--search", "A & ü"]), members[500..501]);
    assert_eq!(addresses(&["--waiting"]), [] as [String; 0]);
}
