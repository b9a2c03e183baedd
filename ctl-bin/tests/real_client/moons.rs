//! Clients that orbit a moon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::namespace::{in_private_network, measured};
use crate::process::{now, pause};
use crate::worlds::Server;

/// The client asks who the root of the moon is, then says HELLO to it, both at ticks of its own.
const ORBIT_LIMIT: Duration = Duration::from_secs(60);
const ONLINE_LIMIT: Duration = Duration::from_secs(30);
/// A client asks the root that served it best, and notices after a minute or two that one is silent.
const JOIN_LIMIT: Duration = Duration::from_secs(200);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Planet, moon and controller are three nodes. The client is told the moon's id and root, as by `zerotier-cli orbit`, and
/// gets the moon itself from there. Then nobody of the planet answers any more, and only now there is a controller.
#[test]
fn client_in_orbit_finds_a_controller_through_the_moon_alone_when_the_planet_does_not_answer() {
    in_private_network(
        "moons::client_in_orbit_finds_a_controller_through_the_moon_alone_when_the_planet_does_not_answer",
        || {
            let folder = TempDir::new().unwrap();
            let (planet, moon) = (folder.path().join("planet"), folder.path().join("moon"));
            let root = Server::new(&folder, "root", 9993);
            root.create_planet(&planet);
            let mut root_process = root.serve(&["--role", "root"]);
            let beside = ["--planet", planet.to_str().unwrap(), "--role"];
            let moon_root = Server::new(&folder, "moon root", 9994);
            moon_root.create_moon(&moon);
            let _moon_root = moon_root.serve(&[&beside[..], &["root"]].concat());

            let seed = moon_root.address();
            let mut anna = Client::start_in_orbit("anna", &planet, (&seed, &seed));
            let started = now();
            while !addresses(&moon_root).contains(&json!(anna.address())) {
                assert!(now() - started < ORBIT_LIMIT, "the client does not come to the moon");
                pause(ASK_AGAIN);
            }
            measured("online to known by the root of the moon", now() - started);
            root_process.kill();

            let controller = Server::new(&folder, "controller", 9995);
            let _controller = controller.serve(&[&beside[..], &["controller"]].concat());
            let status = controller.call("GET", "/status", None);
            assert_eq!(status["online"], false, "nobody of the planet answers");
            let moons = controller.home.join("moons.d");
            fs::create_dir_all(&moons).unwrap();
            fs::set_permissions(&moons, fs::Permissions::from_mode(0o700)).unwrap();
            fs::copy(&moon, moons.join(format!("{seed:0>16}.moon"))).unwrap();
            let online = controller.wait_online(true, ONLINE_LIMIT);
            measured("moon put into the home to controller online", online);
            let peers = controller.call("GET", "/peer", None);
            let role = |peer: &Value| (peer["address"].clone(), peer["role"].clone());
            let roles: Vec<_> = peers.as_array().unwrap().iter().map(role).collect();
            assert!(roles.contains(&(json!(seed), json!("MOON"))), "{peers}");

            let mark = anna.mark();
            let joined = anna.join(&controller.create_network());
            let (configured, _) = anna.wait_configured(mark, JOIN_LIMIT);
            measured("join to configured, found through the moon", configured - joined);
            controller.wait_online(true, ONLINE_LIMIT);
        },
    );
}

fn addresses(server: &Server) -> Vec<Value> {
    let peers = server.call("GET", "/peer", None);
    peers.as_array().unwrap().iter().map(|peer| peer["address"].clone()).collect()
}
