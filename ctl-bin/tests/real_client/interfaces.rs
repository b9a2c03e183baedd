//! A machine whose interfaces come and go while the controller runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::controller::Controller;
use crate::namespace::{in_private_network, measured, say};
use crate::process::{now, pause};

const DEVICE: &str = "lab1";
/// IPv4 is what the controller had; this is a family that it did not have as well.
const V6: &str = "fd98::1";
const V4: &str = "10.98.0.1";
const NEXT_TICK: Duration = Duration::from_secs(15);
const PUSHED: Duration = Duration::from_secs(5);
/// The list of addresses is made once a second.
const LISTED: Duration = Duration::from_secs(10);

#[test]
fn controller_is_reached_over_an_interface_that_appears_and_goes_on_when_it_disappears() {
    const TEST: &str =
        "interfaces::controller_is_reached_over_an_interface_that_appears_and_goes_on_when_it_disappears";
    if Command::new("ip").arg("-V").output().is_err() {
        return say(&format!("skipped because it needs iproute2: {TEST}"));
    }
    in_private_network(TEST, || {
        let controller = Controller::start();
        let network = controller.create_network(false);
        let [mut anna] = Client::start(&controller, ["anna"]);
        let before = anna.mark();
        anna.join(&network);
        anna.wait_configured(before, NEXT_TICK);
        assert!(!listens_at(&controller, V4) && !listens_at(&controller, V6));

        for arguments in [
            format!("link add {DEVICE} type bridge"),
            format!("addr add {V4}/24 dev {DEVICE}"),
            format!("addr add {V6}/64 dev {DEVICE} nodad"),
            format!("link set {DEVICE} up"),
        ] {
            ip(&arguments);
        }
        let appeared = now();
        wait_listens_at(&controller, V6, true);
        wait_listens_at(&controller, V4, true);
        measured("interface with IPv4 and IPv6 to listed", appeared.elapsed());

        // Berta knows no other way than the new one.
        let folder = TempDir::new().unwrap();
        let planet = folder.path().join("planet");
        let identity = controller.planet().with_file_name("identity.public");
        let made = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .args(["planet", "create", "--root", &format!("{}@{V6}/9993", identity.display()), "--out"])
            .arg(&planet)
            .arg("--home")
            .arg(folder.path().join("maker"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        assert_ne!(fs::read(&planet).unwrap(), fs::read(controller.planet()).unwrap());
        let [mut berta] = Client::start_on(&planet, ["berta"]);
        let before = berta.mark();
        let joined = berta.join(&network);
        let (configured, _) = berta.wait_configured(before, NEXT_TICK);
        measured("join to configured over the new interface", configured - joined);
        controller.wait_for_peer(berta.address());
        let paths = controller.get(&format!("/peer/{}", berta.address()))["paths"].clone();
        let is_v6 = |path: &serde_json::Value| path["address"].as_str().is_some_and(|at| at.starts_with(V6));
        assert!(paths.as_array().unwrap().iter().any(is_v6), "{paths}");

        ip(&format!("link del {DEVICE}"));
        let gone = now();
        wait_listens_at(&controller, V6, false);
        wait_listens_at(&controller, V4, false);
        measured("interface removed to no longer listed", gone.elapsed());
        let before = anna.mark();
        controller.change_network(&network, &json!({ "name": "second" }));
        anna.wait(before, PUSHED, "the new name is pushed", |state| state["name"] == "second");
        anna.assert_always_ok_since(before);
    });
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn listens_at(controller: &Controller, address: &str) -> bool {
    let status = controller.get("/status");
    let listening = status["config"]["settings"]["listeningOn"].as_array().unwrap();
    listening.iter().any(|at| at.as_str().is_some_and(|at| at.starts_with(&format!("{address}/"))))
}

fn wait_listens_at(controller: &Controller, address: &str, listens: bool) {
    let deadline = now() + LISTED;
    while listens_at(controller, address) != listens {
        assert!(now() < deadline, "{address}: {}", controller.get("/status"));
        pause(Duration::from_millis(50));
    }
}
