//! What clients make of a planet that changes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::controller::Controller;
use crate::http::request;
use crate::namespace::{ADDRESS, in_private_network, measured};
use crate::process::{Process, now, pause};

/// A client of this release says HELLO to its root once a minute.
const NEXT_HELLO: Duration = Duration::from_secs(100);
const NEXT_TICK: Duration = Duration::from_secs(15);
/// Making an identity takes half a second, greeting a root five; more on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(100);

#[test]
fn connected_client_learns_a_rolled_planet_without_a_touch() {
    in_private_network("worlds::connected_client_learns_a_rolled_planet_without_a_touch", || {
        let controller = Controller::start();
        let network = controller.create_network(false);
        let folder = TempDir::new().unwrap();
        let (given, home) = (folder.path().join("planet"), folder.path().join("client"));
        fs::copy(controller.planet(), &given).unwrap();
        let first = fs::read(&given).unwrap();
        let mut anna = Client::start_with("anna", &given, &home);
        let before = anna.mark();
        anna.join(&network);
        anna.wait_configured(before, NEXT_TICK);

        let mark = anna.mark();
        let rolled = now();
        let output = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .args(["planet", "roll", "--endpoint", &format!("{ADDRESS}/9993")])
            .args(["--endpoint", &format!("{ADDRESS}/9994"), "--home"])
            .arg(controller.planet().parent().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let stored = anna.wait_event(mark, NEXT_HELLO, "STORE_PLANET");
        measured("planet rolled to stored at the client", stored - rolled);
        let next = fs::read(controller.planet()).unwrap();
        assert_ne!(next, first);
        assert_eq!(fs::read(&given).unwrap(), first, "nobody touched the file");
        let kept = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<_> = kept.filter(|path| path.is_file()).collect();
        assert!(kept.iter().any(|file| fs::read(file).unwrap() == next), "{kept:?}");

        // It still is a member, and hears of changes.
        let mark = anna.mark();
        controller.change_network(&network, &json!({ "name": "second" }));
        anna.wait(mark, NEXT_TICK, "the new name", |state| state["name"] == "second");
    });
}

/// A program of the node under test with a home of its own.
pub(crate) struct Server {
    pub(crate) home: PathBuf,
    port: u16,
}

impl Server {
    pub(crate) fn new(folder: &TempDir, name: &str, port: u16) -> Self {
        Self { home: folder.path().join(name), port }
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        command.env("CTL_HOME", &self.home).env("NO_COLOR", "1");
        command
    }

    /// Makes a planet whose only root this is.
    pub(crate) fn create_planet(&self, out: &Path) {
        self.create("planet", out);
    }

    /// Makes a moon whose only root this is.
    pub(crate) fn create_moon(&self, out: &Path) {
        self.create("moon", out);
    }

    fn create(&self, kind: &str, out: &Path) {
        let endpoint = format!("{ADDRESS}/{}", self.port);
        let created =
            self.program().args([kind, "create", "--endpoint", &endpoint, "--out"]).arg(out).output();
        assert!(created.unwrap().status.success());
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Process {
        let port = self.port.to_string();
        let process = Process::spawn(&port, self.program().args(["--port", &port]).args(arguments));
        process.wait_for(0, START_LIMIT, "the program is ready", |line| {
            line.text.starts_with("ready: ").then_some(())
        });
        process
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let token = fs::read_to_string(self.home.join("authtoken.secret")).unwrap();
        let (status, answer) = request((Ipv4Addr::LOCALHOST, self.port).into(), method, path, &token, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Makes a public network whose members get addresses of 10.147.17.0/24, and returns its id.
    pub(crate) fn create_network(&self) -> String {
        let network = self.call(
            "POST",
            "/controller/network",
            Some(&json!({
                "private": false,
                "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254" }],
                "routes": [{ "target": "10.147.17.0/24" }],
                "v4AssignMode": { "zt": true },
            })),
        );
        network["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the node says whether it is online as it is wanted, and returns how long that took.
    pub(crate) fn wait_online(&self, online: bool, limit: Duration) -> Duration {
        let started = now();
        while self.call("GET", "/status", None)["online"] != online {
            assert!(now() - started < limit, "online is not {online}");
            pause(ASK_AGAIN);
        }
        now() - started
    }

    /// Ten hex digits.
    pub(crate) fn address(&self) -> String {
        fs::read_to_string(self.home.join("identity.public")).unwrap()[..10].to_owned()
    }
}

#[test]
fn root_without_controller_says_that_it_has_no_networks() {
    in_private_network("worlds::root_without_controller_says_that_it_has_no_networks", || {
        let folder = TempDir::new().unwrap();
        let planet = folder.path().join("planet");
        let root = Server::new(&folder, "root", 9993);
        root.create_planet(&planet);
        let _process = root.serve(&["--role", "root"]);
        let mut anna = Client::start_with("anna", &planet, &folder.path().join("client"));
        let mark = anna.mark();
        anna.join(&format!("{}000001", root.address()));
        anna.wait(mark, NEXT_TICK, "there is no such network", |state| state["status"] == "NOT_FOUND");
    });
}

#[test]
fn controller_below_a_root_comes_online_with_it_and_is_found_through_it() {
    in_private_network(
        "worlds::controller_below_a_root_comes_online_with_it_and_is_found_through_it",
        || {
            let folder = TempDir::new().unwrap();
            let planet = folder.path().join("planet");
            let root = Server::new(&folder, "root", 9993);
            root.create_planet(&planet);
            let controller = Server::new(&folder, "controller", 9995);
            let _controller =
                controller.serve(&["--planet", planet.to_str().unwrap(), "--role", "controller"]);
            let status = controller.call("GET", "/status", None);
            assert_eq!(status["online"], false, "nobody answers yet");
            assert_eq!(format!("{:010x}", status["planetWorldId"].as_u64().unwrap()), root.address());
            let _root = root.serve(&["--role", "root"]);
            measured("root started to controller online", controller.wait_online(true, START_LIMIT));
            let peers = controller.call("GET", "/peer", None);
            assert_eq!((&peers[0]["address"], &peers[0]["role"]), (&json!(root.address()), &json!("PLANET")));

            let network = controller.create_network();
            let mut anna = Client::start_with("anna", &planet, &folder.path().join("client"));
            let mark = anna.mark();
            anna.join(&network);
            anna.wait_configured(mark, Duration::from_secs(30));
        },
    );
}
