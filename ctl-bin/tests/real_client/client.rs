//! A real client in a process of its own, driven by JSON lines (`ztclient.py run`).

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::controller::Controller;
use crate::namespace;
use crate::process::{Line, Process};

/// From its start a client needs 0.5 s of processor time for an identity and two of its 5 s ticks to be online.
const ONLINE_LIMIT: Duration = Duration::from_secs(60);
/// The client ends itself after this time, whatever happens to the test.
const LIFETIME_SECONDS: &str = "300";
const LONG_LIFETIME_SECONDS: &str = "900";
/// The TCP port on the virtual network at which a client sends back what it gets.
const ECHO_PORT: u16 = 7000;
/// A first connection takes up to six seconds: who-is, address resolution by multicast, direct path.
const DIAL_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    process: Process,
    address: String,
    network: String,
}

/// A place in what a client reported, from which on to look.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

/// What a client said about its network, and when.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) state: Value,
}

impl Client {
    /// Starts clients side by side and waits until all of them have found the controller.
    pub(crate) fn start<const N: usize>(controller: &Controller, names: [&str; N]) -> [Self; N] {
        Self::start_on(&controller.planet(), names)
    }

    /// Starts clients side by side on a planet and waits until all of them have found its root.
    pub(crate) fn start_on<const N: usize>(planet: &Path, names: [&str; N]) -> [Self; N] {
        Self::start_by(names, |_| {
            let mut command = command();
            command.arg("--planet").arg(planet);
            command
        })
    }

    /// Starts a client for a test that takes many minutes.
    pub(crate) fn start_for_long(controller: &Controller, name: &str) -> Self {
        let mut command = command_for(LONG_LIFETIME_SECONDS);
        command.arg("--planet").arg(controller.planet());
        Self::online(Starting::new(name, command))
    }

    /// Starts clients by commands, side by side, and waits until all of them have found their root.
    pub(crate) fn start_by<const N: usize>(
        names: [&str; N],
        mut command: impl FnMut(&str) -> Command,
    ) -> [Self; N] {
        names.map(|name| Starting::new(name, command(name))).map(Self::online)
    }

    /// Starts a client that knows its planet from a file, and keeps what it learns in `home`: it goes on where the last
    /// one with that home ended.
    pub(crate) fn start_with(name: &str, planet: &Path, home: &Path) -> Self {
        let mut command = command();
        command.arg("--planet").arg(planet).arg("--home").arg(home);
        Self::online(Starting::new(name, command))
    }

    /// Starts a client that orbits a moon, given by its id and one of its roots, and waits until it has found a root.
    pub(crate) fn start_in_orbit(name: &str, planet: &Path, moon: (&str, &str)) -> Self {
        let orbit = format!("{}:{}", moon.0, moon.1);
        let mut command = command();
        command.arg("--planet").arg(planet).args(["--orbit", &orbit]);
        Self::online(Starting::new(name, command))
    }

    /// Waits until the client has found its root.
    fn online(starting: Starting) -> Self {
        let process = starting.spoken();
        let address = process.wait_for(0, ONLINE_LIMIT, "the client is online", |line| {
            let line = json(line)?;
            (line["online"] == true).then(|| line["node"].as_str().map(str::to_owned))?
        });
        Self { process, address, network: String::new() }
    }

    /// Waits until the client reports something that the library calls an event; returns when.
    pub(crate) fn wait_event(&self, mark: Mark, limit: Duration, event: &str) -> Instant {
        self.process
            .wait_for(mark.0, limit, event, |line| (json(line)?["event"] == *event).then_some(line.at))
    }

    /// Ends the client at once, as a loss of power does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// The node address, ten hex digits.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.process.mark())
    }

    /// Joins `network`, the only one this client is in, and returns when it did.
    pub(crate) fn join(&mut self, network: &str) -> Instant {
        let mark = self.process.mark();
        network.clone_into(&mut self.network);
        self.command(&json!({ "cmd": "join", "network": network }));
        self.process.wait_for(mark, Duration::from_secs(10), "the client joins", |line| {
            (json(line)?["joined"] == *network).then_some(line.at)
        })
    }

    /// Waits until the client reports a state of its network that it did not have before `mark`.
    pub(crate) fn wait(
        &self,
        mark: Mark,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Report {
        self.process
            .wait_for(mark.0, limit, what, |line| self.report(line).filter(|report| wanted(&report.state)))
    }

    /// Says whether the client reports, within `limit`, a state of its network that it did not have before `mark`.
    pub(crate) fn find(&self, mark: Mark, limit: Duration, wanted: impl Fn(&Value) -> bool) -> bool {
        let look = |line: &Line| self.report(line).filter(|report| wanted(&report.state));
        self.process.find(mark.0, limit, look).is_some()
    }

    /// Waits until the client is told that it may not be in the network.
    pub(crate) fn wait_denied(&self, mark: Mark, limit: Duration) -> Report {
        self.wait(mark, limit, "the client is denied access", |state| state["status"] == "ACCESS_DENIED")
    }

    /// Waits until the client has a configuration with an address, and returns when and the address.
    pub(crate) fn wait_configured(&self, mark: Mark, limit: Duration) -> (Instant, String) {
        let report = self.wait(mark, limit, "the client is configured, with an address", |state| {
            state["status"] == "OK" && state["addresses"][0].is_string()
        });
        (report.at, report.state["addresses"][0].as_str().unwrap().to_owned())
    }

    /// What the client said about its network since `mark`.
    pub(crate) fn reports_since(&self, mark: Mark) -> Vec<Report> {
        self.process.lines_since(mark.0).iter().filter_map(|line| self.report(line)).collect()
    }

    /// Asserts that the network was there all the time since `mark`.
    pub(crate) fn assert_always_ok_since(&self, mark: Mark) {
        for report in self.reports_since(mark) {
            assert_eq!(report.state["status"], "OK", "{} lost its network: {}", self.address, report.state);
        }
    }

    /// Starts to send back whatever arrives by TCP on the virtual network.
    pub(crate) fn serve_echo(&mut self) {
        let mark = self.process.mark();
        self.command(&json!({ "cmd": "echo", "port": ECHO_PORT }));
        self.process.wait_for(mark, Duration::from_secs(10), "the client listens", |line| {
            (json(line)?["listening"] == ECHO_PORT).then_some(())
        });
    }

    /// Connects over the virtual network, sends 64 KiB and compares what comes back.
    ///
    /// # Errors
    /// What the client said if there was no connection within `patience`, or nothing if the data came to a halt:
    /// then its answer may still come, so it must not be asked again.
    pub(crate) fn exchange_data(&mut self, with: &str, patience: Duration) -> Result<(), Option<Value>> {
        let mark = self.process.mark();
        let seconds = patience.as_secs();
        self.command(
            &json!({ "cmd": "dial", "ip": with, "port": ECHO_PORT, "octets": 65536, "timeout": seconds }),
        );
        let result = self.process.find(mark, 2 * patience, |line| json(line)?.get("dial").cloned());
        if result.as_ref().is_some_and(|result| result["ok"] == true) { Ok(()) } else { Err(result) }
    }

    /// [`Self::exchange_data`] that has to work.
    pub(crate) fn assert_exchanges_data(&mut self, with: &str) {
        if let Err(result) = self.exchange_data(with, DIAL_LIMIT) {
            panic!("{} does not reach {with}: {result:?}", self.address);
        }
    }

    fn command(&mut self, command: &Value) {
        self.process.send(&command.to_string());
    }

    /// What `line` says about the network, if it is about that.
    fn report(&self, line: &Line) -> Option<Report> {
        let state = json(line)?;
        (state["network"] == *self.network && state["status"].is_string())
            .then_some(Report { at: line.at, state })
    }
}

/// A client that has not said anything yet.
struct Starting {
    name: String,
    command: Command,
    process: Process,
}

impl Starting {
    fn new(name: &str, mut command: Command) -> Self {
        Self { name: name.to_owned(), process: Process::spawn(name, &mut command), command }
    }

    /// Waits for the first that the client says. One that a signal ends before that, in the start of the library, has tested
    /// nothing: another one is started in its place, once.
    fn spoken(mut self) -> Process {
        let first = self.process.find(0, ONLINE_LIMIT, json);
        let is_crashed =
            |process: &mut Process| process.ended().is_some_and(|status| status.signal().is_some());
        if first.is_none() && is_crashed(&mut self.process) {
            self.process.quote();
            eprintln!("---- {} is started once more", self.name);
            self.process = Process::spawn(&self.name, &mut self.command);
        }
        self.process
    }
}

fn command() -> Command {
    command_for(LIFETIME_SECONDS)
}

fn command_for(seconds: &str) -> Command {
    let mut command = namespace::python();
    command.args(["run", "--seconds", seconds, "--wheel"]).arg(namespace::wheel());
    command
}

fn json(line: &Line) -> Option<Value> {
    serde_json::from_str(&line.text).ok()
}
