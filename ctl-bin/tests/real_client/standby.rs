//! A standby takes over: the controller is lost, and another one, at another address, starts on its backup.
//!
//! The root is a third process: it stays where it is, and members find the controller through it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::http;
use crate::namespace::{in_private_network_of, measured};
use crate::process::{Process, now};

const ROOT: &str = "10.99.0.1";
const FIRST: &str = "10.99.0.2";
const SECOND: &str = "10.99.0.3";
const NEXT_TICK: Duration = Duration::from_secs(15);
const START_LIMIT: Duration = Duration::from_secs(30);
/// Where a member was last heard is saved every 5 s.
const SAVED: Duration = Duration::from_secs(7);
/// What is promised; the measured figures are printed.
const FOLLOWED: Duration = Duration::from_secs(5);
const SERVED: Duration = Duration::from_secs(30);

/// A node at an address of its own.
struct Server {
    process: Process,
    api: SocketAddr,
    token: String,
}

fn ctl(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_ctl-bin")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn closed_folder(parent: &TempDir, name: &str) -> PathBuf {
    let folder = parent.path().join(name);
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

impl Server {
    fn start(name: &str, home: &Path, address: &str, api_port: u16) -> Self {
        let api = SocketAddr::from(([127, 0, 0, 1], api_port));
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        command.env("RUST_LOG", "info,ctl_bin=debug").env("NO_COLOR", "1");
        command.args(["--home", text(home), "--bind", address, "--api", &api.to_string()]);
        let process = Process::spawn(name, &mut command);
        process.wait_for(0, START_LIMIT, "it is ready", |line| line.text.starts_with("ready:").then_some(()));
        let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
        Self { process, api, token }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = http::request(self.api, method, path, &self.token, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    fn authorize(&self, network: &str, member: &str) {
        let path = format!("/controller/network/{network}/member/{member}");
        self.call("POST", &path, Some(&json!({ "authorized": true })));
    }
}

#[test]
fn members_follow_a_standby_at_another_address_within_seconds() {
    in_private_network_of(
        &[ROOT, FIRST, SECOND],
        "standby::members_follow_a_standby_at_another_address_within_seconds",
        || {
            let folder = TempDir::new().unwrap();
            let root_home = folder.path().join("root");
            let planet = folder.path().join("planet");
            let endpoint = format!("{ROOT}/9993");
            ctl(&[
                "planet",
                "create",
                "--home",
                text(&root_home),
                "--endpoint",
                &endpoint,
                "--out",
                text(&planet),
            ]);
            let _root = Server::start("root", &root_home, ROOT, 9101);
            let home = closed_folder(&folder, "first");
            fs::copy(&planet, home.join("planet")).unwrap();
            let mut first = Server::start("first", &home, FIRST, 9102);
            let network = first.call(
                "POST",
                "/controller/network",
                Some(&json!({
                    "name": "first",
                    "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254" }],
                    "routes": [{ "target": "10.147.17.0/24" }],
                    "v4AssignMode": { "zt": true },
                })),
            );
            let network = network["id"].as_str().unwrap().to_owned();

            let [mut anna, mut berta] = Client::start_on(&planet, ["anna", "berta"]);
            for client in [&anna, &berta] {
                first.authorize(&network, client.address());
            }
            let mark = anna.mark();
            anna.join(&network);
            anna.wait_configured(mark, NEXT_TICK);
            // Nothing is expected to happen: what the controller noted is being saved.
            first.process.find::<()>(first.process.mark(), SAVED, |_| None);
            let backup = folder.path().join("backup.tar.zst");
            ctl(&["backup", "--home", text(&home), "--to", text(&backup)]);

            let before = anna.mark();
            first.process.kill();
            let lost = now();
            let standby = folder.path().join("standby");
            ctl(&["restore", text(&backup), "--home", text(&standby)]);
            measured("loss to restored home", now() - lost);
            let started = now();
            let second = Server::start("second", &standby, SECOND, 9103);
            measured("start of the standby to ready", now() - started);
            let path = format!("/controller/network/{network}");
            second.call("POST", &path, Some(&json!({ "name": "second" })));
            let named = |state: &Value| state["name"] == "second";
            let followed = anna.wait(before, NEXT_TICK, "anna has a configuration of the standby", named);
            measured("start of the standby to a member's new configuration", followed.at - started);
            assert!(followed.at - started < FOLLOWED, "{:?}", followed.at - started);
            anna.assert_always_ok_since(before);
            // What is changed from now on is told at once as well.
            let (mark, changed) = (anna.mark(), now());
            second.call("POST", &path, Some(&json!({ "name": "third" })));
            let told = anna.wait(mark, FOLLOWED, "a change is pushed", |state| state["name"] == "third");
            measured("change at the standby to the member", told.at - changed);

            let mark = berta.mark();
            berta.join(&network);
            let (served, _) = berta.wait_configured(mark, SERVED);
            measured("loss of the controller to a new member's configuration", served - lost);
            assert!(served - lost < SERVED, "{:?}", served - lost);
        },
    );
}
