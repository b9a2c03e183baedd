//! Settings from file, environment and command line; what of them changes while the controller runs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use crate::backup::text;
use crate::process::Process;
use crate::program::{START_LIMIT, api, free_port, home};
use crate::snapshot::expect;

/// The program with nothing in its environment that sets anything.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CTL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.env("CTL_HOME", home).env("NO_COLOR", "1");
    command
}

/// Starts a program that says its number first.
fn start(program: &Command) -> (Process, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"echo pid $$; exec "$0" "$@""#]).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let process = Process::spawn("controller", &mut shell);
    process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
    let pid = process
        .wait_for(0, START_LIMIT, "its number", |line| line.text.strip_prefix("pid ").map(str::to_owned));
    (process, pid)
}

fn hang_up(pid: &str) {
    assert!(Command::new("kill").args(["-HUP", pid]).status().unwrap().success());
}

fn status_without_headers(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(api(port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_variable_goes_before_the_file_and_a_flag_before_both() {
    let (_folder, home) = home();
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (in_file, in_variable, in_flag) = (free_port(), free_port(), free_port());
    fs::write(home.join("ctl.toml"), format!("planet = 'none'\nsecondary-port = 0\nport = {in_file}\n"))
        .unwrap();
    let port_of = |command: &Command| {
        let (process, _) = start(command);
        let line = process.wait_for(0, START_LIMIT, "ready", |line| {
            line.text.starts_with("ready:").then(|| line.text.clone())
        });
        line.split("UDP port ").nth(1).unwrap().split(',').next().unwrap().parse::<u16>().unwrap()
    };
    let mut command = program(&home);
    assert_eq!(port_of(&command), in_file);
    command.env("CTL_PORT", in_variable.to_string());
    assert_eq!(port_of(&command), in_variable);
    command.args(["--port", &in_flag.to_string()]);
    assert_eq!(port_of(&command), in_flag);
    // A file elsewhere takes the place of the one in the home.
    let other = home.join("other.toml");
    fs::write(&other, format!("planet = 'none'\nport = {in_variable}\n")).unwrap();
    assert_eq!(port_of(program(&home).args(["serve", "--config", text(&other)])), in_variable);
}

#[test]
fn a_wrong_file_is_refused_with_everything_that_is_wrong_in_it() {
    let (_folder, home) = home();
    fs::create_dir(&home).unwrap();
    let file = home.join("ctl.toml");
    fs::write(&file, "prot = 1\nport = 70000\n").unwrap();
    let (code, error) = said(&program(&home).output().unwrap());
    let expected = format!(
        "error: {0}:1:1: \"prot\": there is no such setting; is port meant?\n\
         error: {0}:2:8: port: expected N, got \"70000\": 70000 is not in 1..=65535\n",
        file.display()
    );
    assert_eq!((code, error), (Some(2), expected.clone()));
    assert!(!home.join("identity.secret").exists());
    let check = program(&home).args(["config", "check"]).output().unwrap();
    assert_eq!(said(&check), (Some(1), expected));
    // What the API would refuse at the start is refused here.
    fs::write(&file, "api = '0.0.0.0:9993'\n").unwrap();
    let (code, error) = said(&program(&home).args(["config", "check"]).output().unwrap());
    assert!(code == Some(1) && error.contains("--api-insecure"), "{error}");
    fs::write(&file, "port = 9994\nrole = ['controller']\n").unwrap();
    let output = program(&home).args(["config", "check", text(&file)]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("{} can be used\nport: 9994\nrole: controller\n", file.display()));
    let nowhere = program(&home).args(["config", "check", "/nowhere/ctl.toml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("cannot read /nowhere/ctl.toml"));
}

#[test]
fn the_default_file_is_printed_and_changes_nothing() {
    let (_folder, home) = home();
    let printed = program(&home).args(["config", "print-default"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    expect("default-settings", &printed);
    let file = home.with_file_name("printed.toml");
    fs::write(&file, &printed).unwrap();
    let output = program(&home).args(["config", "check", text(&file)]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("{} can be used\n", file.display()));
}

#[test]
fn settings_that_can_change_do_when_the_controller_is_told_to_read_them_again() {
    let (_folder, home) = home();
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let port = free_port();
    let file = home.join("ctl.toml");
    let before = format!("planet = 'none'\nport = {port}\nlog-level = 'info'\n");
    fs::write(&file, &before).unwrap();
    let (process, pid) = start(&program(&home));
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let in_url = || status_without_headers(port, &format!("/peer?auth={token}"));
    assert_eq!(in_url(), "401");

    let mark = process.mark();
    fs::write(
        &file,
        format!("{before}api-query-token = true\nsecondary-port = 0\n").replace("'info'", "'debug'"),
    )
    .unwrap();
    hang_up(&pid);
    process.wait_for(mark, START_LIMIT, "what changed", |line| {
        line.text.contains("api-query-token, log-level").then_some(())
    });
    process.wait_for(mark, START_LIMIT, "what waits", |line| {
        (line.text.contains("need a restart") && line.text.contains("secondary-port")).then_some(())
    });
    assert_eq!(in_url(), "200");
    process.wait_for(mark, START_LIMIT, "a line of level DEBUG", |line| {
        line.text.contains("DEBUG").then_some(())
    });

    let mark = process.mark();
    fs::write(&file, "api-query-token = 1\n").unwrap();
    hang_up(&pid);
    process.wait_for(mark, START_LIMIT, "a refusal", |line| {
        line.text.contains("ctl.toml:1:19: api-query-token: expected true or false").then_some(())
    });
    assert_eq!(in_url(), "200", "what was stays in force");
    let mark = process.mark();
    fs::write(&file, &before).unwrap();
    hang_up(&pid);
    process.wait_for(mark, START_LIMIT, "read again", |line| line.text.contains("read again").then_some(()));
    assert_eq!(in_url(), "401");
}

#[test]
fn a_log_for_programs_is_one_object_a_line() {
    let (_folder, home) = home();
    let mut command = program(&home);
    command.args(["--port", &free_port().to_string(), "--planet", "none", "--log-format", "json"]);
    command.args(["--log-level", "info,ctl_http=debug", "--api-insecure", "--api", "0.0.0.0:0"]);
    let (process, pid) = start(&command);
    hang_up(&pid);
    process.wait_for(0, START_LIMIT, "read again", |line| line.text.contains("read again").then_some(()));
    let mut seen = 0;
    for line in process.lines_since(0) {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line.text) {
            for field in ["timestamp", "level", "message", "target"] {
                assert!(value[field].is_string(), "{field}: {value}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
    let output = program(&home).args(["--log-level", "inof"]).output().unwrap();
    let (code, error) = said(&output);
    assert!(code == Some(2) && error.contains("info,ctl_bin::vl1=debug"), "{error}");
}

/// The levels are changed over the API, and are again what the settings say when those are read again.
#[test]
fn levels_of_the_log_are_changed_while_the_controller_runs_and_the_last_word_counts() {
    let (_folder, home) = home();
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(
        home.join("ctl.toml"),
        format!("planet = 'none'\nport = {}\nlog-level = 'warn'\n", free_port()),
    )
    .unwrap();
    let (process, pid) = start(&program(&home));
    let log_level = |levels: &[&str]| program(&home).arg("log-level").args(levels).output().unwrap();
    let in_force = || String::from_utf8(log_level(&[]).stdout).unwrap();
    assert_eq!(in_force(), "warn\n");
    let mark = process.mark();
    assert_eq!(log_level(&["warn,ctl_http=debug"]).stdout, b"warn,ctl_http=debug\n");
    drop(in_force());
    process.wait_for(mark, START_LIMIT, "each request", |line| {
        line.text.contains("request answered").then_some(())
    });
    let (code, error) = said(&log_level(&["loud"]));
    assert!(code == Some(1) && error.contains("/levels") && error.contains("got \"loud\""), "{error}");
    assert_eq!(in_force(), "warn,ctl_http=debug\n");
    hang_up(&pid);
    let deadline = crate::process::now() + START_LIMIT;
    while in_force() != "warn\n" {
        assert!(crate::process::now() < deadline, "what the settings say is not in force");
    }
}

/// Nothing is there to be wrong.
#[test]
fn a_home_without_settings_has_nothing_to_check() {
    let (_folder, home) = home();
    let output = program(&home).args(["config", "check"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(said, format!("there is no {}: nothing to check\n", home.join("ctl.toml").display()));
    // Variables are settings too.
    let output = program(&home).args(["config", "check"]).env("CTL_PORT", "1234").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("nothing to check\nport: 1234\n"));
    assert!(!home.exists());
}

/// With the feature, `tests/otel` looks at what is sent.
#[cfg(not(feature = "otel"))]
#[test]
fn traces_are_refused_by_a_program_that_has_none() {
    let (_folder, home) = home();
    let output = program(&home).args(["--otel-endpoint", "http://127.0.0.1:4318"]).output().unwrap();
    let (code, error) = said(&output);
    assert!(
        code == Some(1) && error.contains("otel-endpoint") && error.contains("--features otel"),
        "{error}"
    );
    assert!(!home.exists());
}
