//! The controller under test: the real binary with a home of its own, and its API.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::namespace::ADDRESS;
use crate::process::{Line, Process, now, pause};

const PORT: u16 = 9993;
/// The memory-hard search for an identity takes half a second, more on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(30);
const PEERS_LISTED: Duration = Duration::from_secs(5);

pub(crate) struct Controller {
    folder: TempDir,
    process: Process,
    token: String,
}

impl Controller {
    /// Makes a home with an identity and a planet that names only this controller, and serves it.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let home = home(&folder);
        let planet = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .args(["planet", "create", "--endpoint", &format!("{ADDRESS}/{PORT}")])
            .arg("--home")
            .arg(&home)
            .arg("--out")
            .arg(home.join("planet"))
            .output()
            .unwrap();
        assert!(planet.status.success(), "planet create: {planet:?}");
        let process = serve(&home);
        let token = fs::read_to_string(home.join("authtoken.secret")).unwrap().trim().to_owned();
        Self { folder, process, token }
    }

    /// Ends the controller in the middle of what it does and starts it again on the same home.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill();
        self.process = serve(&home(&self.folder));
    }

    /// The file that tells clients where to find this controller.
    pub(crate) fn planet(&self) -> PathBuf {
        home(&self.folder).join("planet")
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ok("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.ok("POST", path, Some(body))
    }

    /// Creates a network whose members get addresses of 10.147.17.0/24, and returns its id.
    pub(crate) fn create_network(&self, private: bool) -> String {
        let network = self.post(
            "/controller/network",
            &json!({
                "name": "first",
                "private": private,
                "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254" }],
                "routes": [{ "target": "10.147.17.0/24" }],
                "v4AssignMode": { "zt": true },
            }),
        );
        network["id"].as_str().unwrap_or_else(|| panic!("no id in {network}")).to_owned()
    }

    pub(crate) fn change_network(&self, network: &str, change: &Value) {
        self.post(&format!("/controller/network/{network}"), change);
    }

    pub(crate) fn authorize(&self, network: &str, member: &str, authorized: bool) {
        let member = self.post(
            &format!("/controller/network/{network}/member/{member}"),
            &json!({ "authorized": authorized }),
        );
        assert_eq!(member["authorized"], authorized, "{member}");
    }

    pub(crate) fn remove_network(&self, network: &str) {
        self.ok("DELETE", &format!("/controller/network/{network}"), None);
    }

    /// A place in the log, from which on to look.
    pub(crate) fn mark(&self) -> usize {
        self.process.mark()
    }

    /// Waits until the API lists a peer: the list is made once a second, and a member may be served before.
    pub(crate) fn wait_for_peer(&self, address: &str) {
        let until = now() + PEERS_LISTED;
        while self.get(&format!("/peer/{address}"))["address"] != address {
            assert!(now() < until, "{address} is no peer");
            pause(Duration::from_millis(50));
        }
    }

    /// Waits until the controller logs all of `words` in one line after `mark`, and returns when it did.
    pub(crate) fn wait_logged(&self, mark: usize, limit: Duration, words: &[&str]) -> Instant {
        let has_all = |line: &Line| words.iter().all(|word| line.text.contains(word)).then_some(line.at);
        self.process.wait_for(mark, limit, &format!("the log says {words:?}"), has_all)
    }

    /// The lines after `mark` that have all of `words`.
    pub(crate) fn logged_since(&self, mark: usize, words: &[&str]) -> Vec<Line> {
        let has_all = |line: &Line| words.iter().all(|word| line.text.contains(word));
        self.process.lines_since(mark).into_iter().filter(has_all).collect()
    }

    pub(crate) fn member(&self, network: &str, member: &str) -> Value {
        self.get(&format!("/controller/network/{network}/member/{member}"))
    }

    fn ok(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = http::request(api(), method, path, &self.token, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}

/// Not there at first: the program makes it, as it wants it.
fn home(folder: &TempDir) -> PathBuf {
    folder.path().join("home")
}

fn serve(home: &Path) -> Process {
    let process = Process::spawn(
        "controller",
        Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .env("RUST_LOG", "info,ctl_bin=debug")
            .env("NO_COLOR", "1")
            .arg("--home")
            .arg(home)
            .args(["--port", &PORT.to_string()]),
    );
    process.wait_for(0, START_LIMIT, "the controller says that it is ready", |line| {
        line.text.starts_with("ready:").then_some(())
    });
    process
}

fn api() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, PORT).into()
}
