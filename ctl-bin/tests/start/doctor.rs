//! `ctl-bin doctor`, on a healthy controller and on broken ones.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::backup::{serve_network, text};
use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, free_port, home, serve};

/// The only address of the private network.
const ADDRESS: &str = "10.99.0.1";
const INSIDE: &str = "CTL_DOCTOR_INSIDE";

fn doctor(home: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command.args(["doctor", "--home", text(home)]).args(more);
    command.env_remove("CTL_HOME").env("CTL_PLANET", "none").env("NO_COLOR", "1");
    command.output().unwrap()
}

/// Returns the exit code and what was printed, which is also shown with `--nocapture`.
fn told(output: Output) -> (i32, String) {
    assert!(output.stderr.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}exit code {}\n", output.status.code().unwrap());
    (output.status.code().unwrap(), said)
}

#[test]
fn a_running_and_a_stopped_controller_are_found_to_be_well() {
    let (_folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let (code, said) = told(doctor(&home, &[]));
    assert_eq!(code, 0, "{said}");
    for part in
        ["runs and answers at http://127.0.0.1", "closed to others", "sound: 0 networks", "listens at"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    drop(process);
    let (code, said) = told(doctor(&home, &[]));
    assert_eq!(code, 0, "{said}");
    for part in
        ["does not run", &format!("UDP port {port} and TCP address 127.0.0.1:{port} are free"), "sound"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: Value = serde_json::from_slice(&doctor(&home, &["--json"]).stdout).unwrap();
    assert_eq!((&json["errors"], &json["warnings"]), (&0.into(), &1.into()), "{json}");
}

/// With roots, in a network of its own: they answer a controller that runs, and the doctor in the place of one that does
/// not; they are missed when they are gone.
#[test]
fn roots_are_found_to_answer_or_not() {
    if env::var_os(INSIDE).is_none() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_client/ztclient.py");
        let name = "doctor::roots_are_found_to_answer_or_not";
        let output = Command::new("python3")
            .args([script, "netns", "-a", ADDRESS, "--"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{said}");
        // A name that is not there would run nothing, and pass.
        let passed = output.status.success() && said.contains("test result: ok. 1 passed");
        assert!(passed, "{output:?}");
        return;
    }
    let (_first, root_home) = home();
    let (second, home) = home();
    let planet = second.path().join("planet");
    let endpoint = format!("{ADDRESS}/9993");
    let made = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
        .args([
            "planet",
            "create",
            "--endpoint",
            &endpoint,
            "--home",
            text(&root_home),
            "--out",
            text(&planet),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let start = |home: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        command.args(["--home", text(home)]).args(arguments).env_remove("CTL_PLANET");
        let process = Process::spawn("node", &mut command);
        process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
        process
    };
    let root = start(&root_home, &[]);
    let own = ["--planet", text(&planet), "--port", "9994"];
    let controller = start(&home, &own);
    // The controller has said hello by now, or will within seconds.
    let deadline = crate::process::now() + START_LIMIT;
    loop {
        let (code, said) = told(doctor(&home, &own));
        if code == 0 && said.contains("they answer") && said.contains("none: roots see 10.99.0.1:9994") {
            break;
        }
        assert!(crate::process::now() < deadline, "{said}");
        std::thread::park_timeout(std::time::Duration::from_millis(200));
    }
    drop(controller);
    let (code, said) = told(doctor(&home, &own));
    assert!(code == 0 && said.contains("they answer") && said.contains("does not run"), "{said}");
    drop(root);
    let (code, said) = told(doctor(&home, &own));
    assert!(code == 1 && said.contains("none answered") && said.contains("let UDP out"), "{said}");
}

#[test]
fn open_files_and_a_port_in_use_are_named_with_the_command_that_helps() {
    let (_folder, home) = home();
    let (process, _) = serve(&home, free_port());
    drop(process);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.join("identity.secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = told(doctor(&home, &["--port", &port]));
    assert_eq!(code, 1);
    for part in [
        &format!("chmod 700 {}", home.display()),
        "identity.secret (mode 0644)",
        &format!("UDP port {port} is in use by another program"),
        "systemctl disable --now zerotier-one",
        "result: 3 errors",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_damaged_database_and_identity_are_found_beside_what_is_well() {
    let (_folder, home) = home();
    let (process, _) = serve(&home, free_port());
    drop(process);
    fs::write(home.join("controller.db"), "this is no database").unwrap();
    let secret = fs::read_to_string(home.join("identity.secret")).unwrap();
    let other = if secret.starts_with('a') { 'b' } else { 'a' };
    fs::write(home.join("identity.secret"), format!("{other}{}", &secret[1..])).unwrap();
    let (code, said) = told(doctor(&home, &[]));
    assert_eq!(code, 1);
    assert!(said.contains("error   identity") && said.contains("error   database"), "{said}");
    assert!(said.contains("ctl-bin restore") && said.contains("are free"), "{said}");
}

#[test]
fn another_token_and_another_planet_than_those_in_use_are_found() {
    let (_folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    fs::write(home.join("authtoken.secret"), "somebody changed it").unwrap();
    let (code, said) = told(doctor(&home, &[]));
    assert!(
        code == 1 && said.contains("refuses the token") && said.contains("restart the controller"),
        "{said}"
    );
    let (code, said) = told(doctor(Path::new("/nowhere"), &[]));
    assert!(code == 1 && said.contains("is no home of a controller"), "{said}");
}

/// Which planet was meant is not known then, and the public roots are not to hear of who wanted none.
#[test]
fn a_trusted_path_is_named_as_what_is_not_served() {
    let (_folder, home) = home();
    drop(serve(&home, free_port()));
    assert!(!told(doctor(&home, &[])).1.contains("local.conf"));
    let physical = r#"{"physical": {"10.1.0.0/16": {"trustedPathId": 101}, "10.2.0.0/16": {"mtu": 1400}}}"#;
    fs::write(home.join("local.conf"), physical).unwrap();
    let (_, said) = told(doctor(&home, &[]));
    assert!(said.contains("trusted path 10.1.0.0/16") && !said.contains("10.2.0.0"), "{said}");
}

#[test]
fn settings_that_cannot_be_used_are_named_and_no_root_is_asked() {
    let (_folder, home) = home();
    drop(serve(&home, free_port()));
    fs::write(home.join("ctl.toml"), "planet = 'none'\nprot = 1\n").unwrap();
    let (code, said) = told(doctor(&home, &[]));
    assert!(code == 1 && said.contains("ctl.toml:2:1: \"prot\": there is no such setting"), "{said}");
    assert!(!said.contains("roots   ") && !said.contains("public"), "{said}");
    fs::write(home.join("ctl.toml"), "planet = 'none'\nport = 9\n").unwrap();
    let (_, said) = told(doctor(&home, &[]));
    assert!(said.contains("can be used; set: planet, port") && said.contains("told to know none"), "{said}");
}

/// From another machine there is the API alone: whether it is reached, trusted, takes the token, and what it says.
#[test]
fn a_controller_elsewhere_is_looked_at_over_its_api() {
    let (folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let url = format!("http://127.0.0.1:{port}/");
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "not the token").unwrap();
    let remote = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        command.args(["doctor", "--home", "/nowhere", "--url", &url]).args(more);
        command.env_remove("CTL_TOKEN").env("NO_COLOR", "1");
        told(command.output().unwrap())
    };
    let (code, said) = remote(&["--token-file", text(&home.join("authtoken.secret"))]);
    assert_eq!(code, 0, "{said}");
    for part in [
        "answers at http://127.0.0.1",
        "ready to serve",
        "it is taken",
        "ctl-bin/",
        "as here",
        "0 errors, 1 warning",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = remote(&["--token-file", text(&wrong)]);
    assert!(code == 1 && said.contains("error   token") && said.contains("ctl-bin token create"), "{said}");
    let (code, said) = remote(&[]);
    assert!(code == 0 && said.contains("warning token") && said.contains("CTL_TOKEN"), "{said}");
    drop(process);
    let (code, said) = remote(&["--token-file", text(&wrong)]);
    assert!(
        code == 1 && said.contains("no controller answers") && said.contains("-> see whether it runs"),
        "{said}"
    );
}

#[test]
fn networks_whose_pools_are_used_up_are_named() {
    let (_folder, home) = home();
    let port = free_port();
    let (mut process, network) = serve_network(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let change = |path: &str, body: Value| {
        assert_eq!(request(api(port), "POST", path, &token, Some(&body)).0, 200);
    };
    let (code, said) = told(doctor(&home, &[]));
    assert!(code == 0 && said.contains("every pool has some left"), "{said}");
    change(
        &network,
        json!({
            "name": "office", "v4AssignMode": { "zt": true }, "routes": [{ "target": "10.7.0.0/24" }],
            "ipAssignmentPools": [{ "ipRangeStart": "10.7.0.1", "ipRangeEnd": "10.7.0.2" }],
        }),
    );
    change(&format!("{network}/member/1111111111"), json!({ "ipAssignments": ["10.7.0.1", "10.7.0.2"] }));
    process.kill();
    let (code, said) = told(doctor(&home, &[]));
    let id = network.rsplit('/').next().unwrap();
    assert_eq!(code, 0, "a warning: {said}");
    assert!(
        said.contains(&format!("network {id} \"office\": its IPv4 pools are used up: all 2 are held")),
        "{said}"
    );
}
