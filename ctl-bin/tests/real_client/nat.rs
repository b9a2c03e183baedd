//! A controller that nobody can reach by itself: behind a NAT, as its members are, with a root elsewhere.
//!
//! Five network namespaces: the controller's home, its NAT, the world with the root, the NAT of the members, their home.
//! The NATs are processes (`nat.py`), which run on every machine and do what routers of several kinds do; once they are the
//! masquerade of the kernel, where it has one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::http;
use crate::namespace::{measured, python, say, skipped, wheel};
use crate::process::{Process, now, pause};

const PORT: u16 = 9993;
const START_LIMIT: Duration = Duration::from_secs(30);
/// From its start a leaf needs a HELLO to be online; the machine may be busy.
const ONLINE_LIMIT: Duration = Duration::from_secs(20);
/// A client asks at its next 5 s tick, after a WHOIS; then what is written needs a moment.
const JOIN_LIMIT: Duration = Duration::from_secs(60);
/// Both ends hear of each other with the first packet that the root relays.
const DIRECT_LIMIT: Duration = Duration::from_secs(30);
const PUSHED: Duration = Duration::from_secs(5);
/// A node keeps its path to the root alive every 14 s, and a root that hears it from elsewhere asks back at once.
const RECOVERY_LIMIT: Duration = Duration::from_secs(90);

const ROOT: &str = "44.0.0.1";
const NAT_OF_CONTROLLER: &str = "44.0.0.2";
const NAT_OF_MEMBERS: &str = "44.0.0.3";
const NAT_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_client/nat.py");

#[test]
fn members_behind_a_nat_join_a_controller_behind_a_nat_through_the_root_and_then_directly() {
    const TEST: &str =
        "members_behind_a_nat_join_a_controller_behind_a_nat_through_the_root_and_then_directly";
    if lacks_equipment(TEST) {
        return;
    }
    let net = Net::build();
    let folder = TempDir::new().unwrap();
    let mut nat = net.nat("nata", "cone", NAT_OF_CONTROLLER);
    let _nat_of_members = net.nat("natb", "cone", NAT_OF_MEMBERS);

    let Joined { _root, controller, network, members } = join_and_go_direct(&net, &folder);

    // The router restarts: every mapping is another one.
    nat.kill();
    nat = net.nat("nata", "cone", NAT_OF_CONTROLLER);
    let restarted = now();
    let before = members[0].mark();
    let mut names = 0;
    loop {
        names += 1;
        let name = format!("after {names}");
        controller.post(&format!("/controller/network/{network}"), &json!({ "name": name }));
        let found = members[0].find(before, Duration::from_secs(2), |state| {
            state["name"].as_str().is_some_and(|name| name.starts_with("after"))
        });
        if found {
            break;
        }
        assert!(restarted.elapsed() < RECOVERY_LIMIT, "no push arrived after the NAT restarted");
    }
    measured("behind a NAT that restarts: until a change arrives again", restarted.elapsed());
    drop(nat);
}

#[test]
fn members_behind_the_masquerade_of_the_kernel_join_a_controller_behind_another_and_then_reach_it_directly() {
    const TEST: &str = "members_behind_the_masquerade_of_the_kernel_join_a_controller_behind_another_and_then_reach_it_directly";
    if lacks_equipment(TEST) {
        return;
    }
    let net = Net::build();
    if !net.masquerade("nata") || !net.masquerade("natb") {
        return say(&format!("skipped because iptables or masquerading is not there: {TEST}"));
    }
    join_and_go_direct(&net, &TempDir::new().unwrap());
}

/// What is there when members have joined.
struct Joined {
    _root: Server,
    controller: Server,
    network: String,
    members: [Client; 2],
}

/// Has two members join through the root, become neighbours of the controller, and hear of a change from it.
fn join_and_go_direct(net: &Net, folder: &TempDir) -> Joined {
    let root = Server::start_root(net, folder);
    let controller = Server::start_below(net, folder, &root, &[]);
    let started = now();
    controller.wait("/status", ONLINE_LIMIT, |status| status["online"] == true);
    measured("behind a NAT: from start to online", started.elapsed());
    let status = controller.get("/status");
    println!(
        "measured: addresses of the controller as the root sees it: {}",
        status["config"]["settings"]["surfaceAddresses"]
    );

    let network = controller.create_network();
    let mut members = Client::start_by(["anna", "berta"], |name| {
        net.client(&root, if name == "anna" { "21001" } else { "21002" })
    });
    for member in &mut members {
        let before = member.mark();
        let joined = member.join(&network);
        let (configured, _) = member.wait_configured(before, JOIN_LIMIT);
        measured("behind a NAT: from join to configured", configured - joined);
    }
    let first = controller
        .process
        .find(0, Duration::ZERO, |line| line.text.contains("admitted").then(|| line.text.clone()));
    let first = first.expect("the controller has logged whom it admitted");
    assert!(first.contains("remote=None"), "the first request did not come through the root: {first}");

    for member in &members {
        let path = controller.direct_path(member.address());
        println!("measured: the path of the controller to {}: {path}", member.address());
        assert!(path.starts_with(NAT_OF_MEMBERS), "{path}");
    }
    let before = members[0].mark();
    let changed = now();
    controller.post(&format!("/controller/network/{network}"), &json!({ "name": "second" }));
    let change = members[0].wait(before, PUSHED, "the new name is pushed", |state| state["name"] == "second");
    measured("behind a NAT: change to client", change.at - changed);

    Joined { _root: root, controller, network, members }
}

/// Both NATs map each destination anew, so that nothing but the port that the router was asked for lets members in directly.
#[test]
fn members_reach_a_controller_directly_at_the_port_that_its_router_maps_until_it_ends() {
    const TEST: &str = "members_reach_a_controller_directly_at_the_port_that_its_router_maps_until_it_ends";
    if lacks_equipment(TEST) {
        return;
    }
    let net = Net::build();
    let folder = TempDir::new().unwrap();
    let nat = net.router("nata", &["symmetric", "10.1.0.1"], NAT_OF_CONTROLLER);
    let _nat_of_members = net.nat("natb", "symmetric", NAT_OF_MEMBERS);
    let root = Server::start_root(&net, &folder);
    let started = now();
    let mut controller =
        Server::start_below(&net, &folder, &root, &["--port-mapping", "--secondary-port", "0"]);
    let expected = format!("mapped 10.1.0.2:{PORT} -> {NAT_OF_CONTROLLER}:{PORT} for 1200 s");
    nat.wait_for(0, START_LIMIT, &expected, |line| (line.text == expected).then_some(()));
    measured("start to port mapped", started.elapsed());
    controller.wait("/status", ONLINE_LIMIT, |status| status["online"] == true);
    let network = controller.create_network();
    let [mut anna] = Client::start_by(["anna"], |_| net.client(&root, "21001"));
    let before = anna.mark();
    anna.join(&network);
    anna.wait_configured(before, JOIN_LIMIT);
    let path = controller.direct_path(anna.address());
    println!("measured: the path of the controller to {}: {path}", anna.address());
    assert!(path.starts_with(NAT_OF_MEMBERS), "{path}");

    let mark = nat.mark();
    controller.process.terminate();
    let expected = format!("no longer mapped 10.1.0.2:{PORT}");
    nat.wait_for(mark, PUSHED, &expected, |line| (line.text == expected).then_some(()));
}

/// Says whether something is missing that these tests need, and what.
fn lacks_equipment(test: &str) -> bool {
    if skipped(test) {
        return true;
    }
    let lacks = !nix::unistd::geteuid().is_root() || Command::new("ip").arg("-V").output().is_err();
    if lacks {
        say(&format!("skipped because it needs root and iproute2: {test}"));
    }
    lacks
}

/// The namespaces; removed when dropped.
struct Net {
    prefix: String,
}

impl Net {
    const NAMES: [&str; 5] = ["lana", "nata", "world", "natb", "lanb"];

    fn build() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let net = Self { prefix: format!("ctl{}-{number}", std::process::id()) };
        for name in Self::NAMES {
            ip(&["netns", "add", &net.name(name)]);
            net.ip(name, "link set lo up");
        }
        net.ip("world", "link add br0 type bridge");
        net.ip("world", &format!("addr add {ROOT}/24 dev br0"));
        net.ip("world", "link set br0 up");
        for (lan, nat, inside, outside) in
            [("lana", "nata", 1, NAT_OF_CONTROLLER), ("lanb", "natb", 2, NAT_OF_MEMBERS)]
        {
            net.ip(nat, &format!("link add in0 type veth peer name eth0 netns {}", net.name(lan)));
            net.ip(nat, &format!("link add out0 type veth peer name {nat} netns {}", net.name("world")));
            net.ip(nat, &format!("addr add 10.{inside}.0.1/24 dev in0"));
            net.ip(nat, &format!("addr add {outside}/24 dev out0"));
            net.ip(nat, "link set in0 up");
            net.ip(nat, "link set out0 up");
            net.ip("world", &format!("link set {nat} master br0 up"));
            net.ip(lan, &format!("addr add 10.{inside}.0.2/24 dev eth0"));
            net.ip(lan, "link set eth0 up");
            net.ip(lan, &format!("route add default via 10.{inside}.0.1"));
        }
        net
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn ip(&self, name: &str, arguments: &str) {
        let namespace = self.name(name);
        ip(&["-n", &namespace].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>());
    }

    /// A command that runs in one of the namespaces.
    fn exec(&self, name: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(name)]);
        command
    }

    /// A client in the home of the members.
    fn client(&self, root: &Server, port: &str) -> Command {
        let mut command = self.exec("lanb");
        command.arg("python3").arg(python().get_args().next().unwrap());
        command.args(["run", "--seconds", "400", "--wheel"]).arg(wheel()).arg("--planet").arg(&root.planet);
        command.args(["--port", port]);
        command
    }

    fn nat(&self, name: &str, kind: &str, outside: &str) -> Process {
        self.router(name, &[kind], outside)
    }

    /// Has the kernel of a namespace do what a router does: masquerade what goes out, and let nothing in that nobody asked
    /// for. Says whether it can.
    fn masquerade(&self, name: &str) -> bool {
        let rules = [
            "sysctl -q net.ipv4.ip_forward=1",
            "iptables -t nat -A POSTROUTING -o out0 -j MASQUERADE",
            "iptables -A INPUT -i out0 -j DROP",
        ];
        rules.iter().all(|rule| {
            self.exec(name).args(rule.split(' ')).output().is_ok_and(|output| output.status.success())
        })
    }

    fn router(&self, name: &str, arguments: &[&str], outside: &str) -> Process {
        let mut command = self.exec(name);
        command.args(["python3", NAT_SCRIPT, "in0", outside]).args(arguments);
        let process = Process::spawn(name, &mut command);
        process.wait_for(0, START_LIMIT, "the NAT is ready", |line| (line.text == "ready").then_some(()));
        process
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in Self::NAMES {
            // Nothing is left to do about one that does not go.
            drop(Command::new("ip").args(["netns", "del", &self.name(name)]).output());
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A `ctl-bin` in a namespace.
struct Server {
    namespace: String,
    planet: PathBuf,
    token: String,
    process: Process,
}

impl Server {
    /// The root of the planet, in the world.
    fn start_root(net: &Net, folder: &TempDir) -> Self {
        let home = folder.path().join("root");
        let planet = folder.path().join("planet");
        let made = Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .args(["planet", "create", "--endpoint", &format!("{ROOT}/{PORT}"), "--home"])
            .arg(&home)
            .arg("--out")
            .arg(&planet)
            .output()
            .unwrap();
        assert!(made.status.success(), "planet create: {made:?}");
        Self::start(net, "world", &home, planet, &[])
    }

    /// The controller, which knows the planet as any client does.
    fn start_below(net: &Net, folder: &TempDir, root: &Self, arguments: &[&str]) -> Self {
        let home = folder.path().join("controller");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::copy(&root.planet, home.join("planet")).unwrap();
        Self::start(net, "lana", &home, root.planet.clone(), arguments)
    }

    fn start(net: &Net, name: &str, home: &Path, planet: PathBuf, arguments: &[&str]) -> Self {
        let mut command = net.exec(name);
        command.arg(env!("CARGO_BIN_EXE_ctl-bin")).args(["--port", &PORT.to_string(), "--home"]).arg(home);
        command.args(arguments);
        let process =
            Process::spawn(name, command.env("RUST_LOG", "info,ctl_bin=debug").env("NO_COLOR", "1"));
        process.wait_for(0, START_LIMIT, "the server says that it is ready", |line| {
            line.text.starts_with("ready:").then_some(())
        });
        let token = fs::read_to_string(home.join("authtoken.secret")).unwrap().trim().to_owned();
        Self { namespace: net.name(name), planet, token, process }
    }

    /// Makes a public network whose members get addresses of 10.147.17.0/24, and returns its id.
    fn create_network(&self) -> String {
        let network = self.post(
            "/controller/network",
            &json!({
                "name": "first",
                "private": false,
                "ipAssignmentPools": [{ "ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254" }],
                "routes": [{ "target": "10.147.17.0/24" }],
                "v4AssignMode": { "zt": true },
            }),
        );
        network["id"].as_str().unwrap().to_owned()
    }

    fn get(&self, path: &str) -> Value {
        self.ok("GET", path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ok("POST", path, Some(body))
    }

    /// Asks the API from inside the namespace, where alone its loopback is.
    fn ok(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let api: SocketAddr = (Ipv4Addr::LOCALHOST, PORT).into();
        let inside = || {
            let namespace = fs::File::open(format!("/run/netns/{}", self.namespace)).unwrap();
            // Of this thread alone, which ends with the request.
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            http::request(api, method, path, &self.token, body)
        };
        let (status, answer) = thread::scope(|scope| scope.spawn(inside).join()).unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    fn wait(&self, path: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = now() + limit;
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(now() < deadline, "{path} is still {answer}");
            pause(Duration::from_millis(200));
        }
    }

    /// Waits until there is a direct path to a peer, and returns where it leads.
    fn direct_path(&self, peer: &str) -> String {
        let preferred = |peer: &Value| {
            let paths = peer["paths"].as_array()?.iter();
            let path =
                paths.into_iter().find(|path| path["preferred"] == true && path["expired"] == false)?;
            path["address"].as_str().map(str::to_owned)
        };
        let path = format!("/peer/{peer}");
        preferred(&self.wait(&path, DIRECT_LIMIT, |peer| preferred(peer).is_some())).unwrap()
    }
}
