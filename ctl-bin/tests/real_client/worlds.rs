//! What clients make of a planet that changes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::controller::Controller;
use crate::namespace::{ADDRESS, in_private_network, measured};
use crate::process::{Process, now};

/// A client of this release says HELLO to its root once a minute.
const NEXT_HELLO: Duration = Duration::from_secs(100);
const NEXT_TICK: Duration = Duration::from_secs(15);

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

#[test]
fn root_without_controller_says_that_it_has_no_networks() {
    in_private_network("worlds::root_without_controller_says_that_it_has_no_networks", || {
        let folder = TempDir::new().unwrap();
        let (home, planet) = (folder.path().join("root"), folder.path().join("planet"));
        let program = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
            command.env("CTL_HOME", &home).env("NO_COLOR", "1");
            command
        };
        let endpoint = format!("{ADDRESS}/9993");
        let created =
            program().args(["planet", "create", "--endpoint", &endpoint, "--out"]).arg(&planet).output();
        assert!(created.unwrap().status.success());
        let root = Process::spawn("root", program().args(["--role", "root"]));
        root.wait_for(0, Duration::from_secs(30), "the root is ready", |line| {
            line.text.starts_with("ready: root").then_some(())
        });
        let public = fs::read_to_string(home.join("identity.public")).unwrap();
        let mut anna = Client::start_with("anna", &planet, &folder.path().join("client"));
        let mark = anna.mark();
        anna.join(&format!("{}000001", &public[..10]));
        anna.wait(mark, NEXT_TICK, "there is no such network", |state| state["status"] == "NOT_FOUND");
    });
}
