//! Planets, moons and roles, with the real program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, command, free_port, home, refused};

fn run(arguments: &[&str], home: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command.args(arguments).env("CTL_HOME", home).env("CTL_PLANET", "none").output().unwrap()
}

/// Runs a command that must work, and returns what it printed.
fn printed(arguments: &[&str], home: &Path) -> String {
    let output = run(arguments, home);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Starts the program with further arguments, without a word about the planet but what is among them.
fn start(home: &Path, port: u16, arguments: &[&str]) -> (Process, String) {
    let process = Process::spawn("node", command(home, port).env_remove("CTL_PLANET").args(arguments));
    let ready = process.wait_for(0, START_LIMIT, "the node is ready", |line| {
        line.text.starts_with("ready:").then(|| line.text.clone())
    });
    (process, ready)
}

fn get(home: &Path, port: u16, path: &str) -> (u16, Value) {
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    request(api(port), "GET", path, &token, None)
}

/// Asks again until it is so.
fn wait_for(home: &Path, port: u16, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = crate::process::now() + START_LIMIT;
    loop {
        let (_, answer) = get(home, port, path);
        if is_so(&answer) {
            return answer;
        }
        assert!(crate::process::now() < deadline, "{path}: {answer}");
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}

fn own_address(home: &Path) -> String {
    let public = fs::read_to_string(home.join("identity.public")).unwrap();
    public.split(':').next().unwrap().to_owned()
}

#[test]
fn a_planet_is_made_shown_rolled_and_verified() {
    let (folder, home) = home();
    let file = folder.path().join("planet");
    let name = file.to_str().unwrap();
    let said = printed(
        &["planet", "create", "--endpoint", "203.0.113.1/9993", "--endpoint", "fd00::1/9993", "--out", name],
        &home,
    );
    let own = own_address(&home);
    assert!(said.contains(&format!("root {own}")) && said.contains("`planet`"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), fs::read(home.join("planet")).unwrap());

    let shown = printed(&["planet", "show", name], &home);
    let identity = fs::read_to_string(home.join("identity.public")).unwrap();
    for part in [
        &format!("planet {own}, version "),
        "signed by the key that must sign the next version",
        "  203.0.113.1/9993\n",
        "  fd00::1/9993",
        &format!("root {identity}\n"),
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    assert!(printed(&["planet", "verify", name], &home).contains("a good planet with 1 root\n"));

    // A second root, and another address for this one.
    let (_other_folder, other_home) = crate::program::home();
    let other = other_home.join("identity.public");
    printed(&["planet", "create", "--endpoint", "203.0.113.9/9993", "--out", "/dev/null"], &other_home);
    let old = folder.path().join("old");
    fs::copy(&file, &old).unwrap();
    let second = format!("{}@203.0.113.2/9993,203.0.113.3/9993", other.display());
    let roll = ["planet", "roll", "--endpoint", "203.0.113.7/9993", "--root", &second, "--out", name];
    printed(&roll, &home);
    let shown = printed(&["planet", "show", name], &home);
    assert!(shown.contains("203.0.113.7/9993") && shown.contains("203.0.113.3/9993"), "{shown}");
    assert!(!shown.contains("203.0.113.1/9993") && shown.contains(&own_address(&other_home)), "{shown}");
    let verify =
        |new: &str, old: &Path| run(&["planet", "verify", new, "--after", old.to_str().unwrap()], &home);
    assert!(verify(name, &old).status.success());
    let error = refused(verify(old.to_str().unwrap(), &file));
    assert!(error.contains("is not newer"), "{error}");
    let error = refused(verify(other_home.join("planet").to_str().unwrap(), &file));
    assert!(error.contains("another id"), "{error}");

    printed(&["planet", "roll", "--remove", &own_address(&other_home), "--out", name], &home);
    assert!(!printed(&["planet", "show", name], &home).contains("203.0.113.3/9993"));
    let error = refused(run(&["planet", "roll", "--remove", &own], &home));
    assert!(error.contains("nothing would be left"), "{error}");
}

#[test]
fn what_clients_would_stumble_over_is_refused() {
    let (folder, home) = home();
    let out = folder.path().join("planet");
    let create = |arguments: &[&str]| {
        refused(run(&[&["planet", "create", "--out", out.to_str().unwrap()], arguments].concat(), &home))
    };
    for (endpoint, words) in [
        ("127.0.0.1/9993", "cannot be used by clients"),
        ("203.0.113.1/0", "needs a port"),
        ("fe80::1/1", "cannot be used"),
    ] {
        let error = create(&["--endpoint", endpoint]);
        assert!(error.contains(endpoint) && error.contains(words), "{error}");
    }
    assert!(!home.exists(), "a refusal made a home");
    let many: Vec<String> = (1..=33).map(|n| format!("203.0.113.{n}/9993")).collect();
    let arguments: Vec<&str> = many.iter().flat_map(|endpoint| ["--endpoint", endpoint]).collect();
    assert!(create(&arguments).contains("at most 32 endpoints"));
    assert!(create(&["--endpoint", "203.0.113.1/9993", "--id", "0008eac90a"]).contains("public planet"));
    assert!(!out.exists());
    let error = refused(run(&["planet", "roll"], folder.path().join("nowhere").as_path()));
    assert!(error.contains("make one with `planet create`"), "{error}");
    fs::write(&out, b"\x01nonsense").unwrap();
    for command in ["show", "verify"] {
        let error = refused(run(&["planet", command, out.to_str().unwrap()], &home));
        assert!(error.contains("neither a planet nor a moon"), "{error}");
    }
}

#[test]
fn a_planet_for_phones_is_base64_link_and_qr_code() {
    let (folder, home) = home();
    let file = folder.path().join("planet");
    let name = file.to_str().unwrap();
    printed(&["planet", "create", "--endpoint", "203.0.113.1/9993", "--out", name], &home);
    let base64 = printed(&["planet", "show", name, "--base64"], &home);
    assert!(base64.starts_with("AQ") && base64.trim().len().is_multiple_of(4), "{base64}");
    let link = printed(&["planet", "show", name, "--link"], &home);
    assert_eq!(link.trim(), format!("https://joinzt.com/addplanet?v=1&planet={}", escaped(base64.trim())));
    let picture = folder.path().join("planet.png");
    printed(&["planet", "show", name, "--qr-png", picture.to_str().unwrap()], &home);
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let code = printed(&["planet", "show", name, "--qr"], &home);
    assert!(code.lines().count() > 20 && code.contains('▀') && code.contains('█'), "{code}");
}

fn escaped(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[test]
fn a_running_root_takes_up_a_rolled_planet_by_itself() {
    let (folder, home) = home();
    let file = folder.path().join("planet");
    let name = file.to_str().unwrap();
    printed(&["planet", "create", "--endpoint", "203.0.113.1/9993", "--out", name], &home);
    let port = free_port();
    let (process, _) = start(&home, port, &["--role", "controller,root"]);
    let (_, status) = get(&home, port, "/status");
    let first = status["planetWorldTimestamp"].as_u64().unwrap();
    assert_eq!(format!("{:010x}", status["planetWorldId"].as_u64().unwrap()), own_address(&home));
    assert_eq!(status["online"], true, "a root is online");
    printed(&["planet", "roll", "--endpoint", "203.0.113.2/9993"], &home);
    wait_for(&home, port, "/status", |status| status["planetWorldTimestamp"].as_u64() > Some(first));

    // What cannot be read is not taken, and said so once.
    let good = fs::read(home.join("planet")).unwrap();
    let mark = process.mark();
    fs::write(home.join("planet"), "garbage").unwrap();
    process.wait_for(mark, START_LIMIT, "an error about the planet", |line| {
        (line.text.contains("the old ones stay") && line.text.contains("damaged")).then_some(())
    });
    let (_, status) = get(&home, port, "/status");
    assert_eq!(format!("{:010x}", status["planetWorldId"].as_u64().unwrap()), own_address(&home));
    // A file that is gone leads nobody to other roots.
    fs::write(home.join("planet"), &good).unwrap();
    let mark = process.mark();
    fs::remove_file(home.join("planet")).unwrap();
    process.wait_for(mark, START_LIMIT, "an error about the planet", |line| {
        (line.text.contains("the old ones stay") && line.text.contains("is gone")).then_some(())
    });
    let (_, status) = get(&home, port, "/status");
    assert_eq!(format!("{:010x}", status["planetWorldId"].as_u64().unwrap()), own_address(&home));
    fs::write(home.join("planet"), good).unwrap();
}

#[test]
fn a_controller_without_a_root_says_that_it_is_offline() {
    let (_folder, home) = home();
    let port = free_port();
    let (process, _) = start(&home, port, &["--planet", "none"]);
    process.wait_for(0, START_LIMIT, "how it is found", |line| {
        (line.text.starts_with("found by: nobody")).then_some(())
    });
    let (_, status) = get(&home, port, "/status");
    for (field, value) in
        [("online", Value::from(false)), ("planetWorldId", 0.into()), ("planetWorldTimestamp", 0.into())]
    {
        assert_eq!(status[field], value, "{field}");
    }
}

#[test]
fn a_role_that_does_not_fit_to_the_planet_is_refused() {
    let (folder, home) = home();
    let start = |arguments: &[&str]| {
        refused(command(&home, free_port()).env_remove("CTL_PLANET").args(arguments).output().unwrap())
    };
    for role in ["root", "controller,root"] {
        let error = start(&["--planet", "none", "--role", role]);
        assert!(error.contains("names this node") && error.contains("planet create"), "{error}");
    }
    let file = folder.path().join("planet");
    printed(&["planet", "create", "--endpoint", "203.0.113.1/9993", "--out", file.to_str().unwrap()], &home);
    let error = start(&["--role", "controller"]);
    assert!(error.contains("--role controller,root"), "{error}");
    let error = start(&["--planet", folder.path().join("nothing").to_str().unwrap()]);
    assert!(error.contains("--planet: cannot read"), "{error}");
}

#[test]
fn a_root_alone_serves_no_networks() {
    let (folder, home) = home();
    let file = folder.path().join("planet");
    printed(&["planet", "create", "--endpoint", "203.0.113.1/9993", "--out", file.to_str().unwrap()], &home);
    let port = free_port();
    let (_process, ready) = start(&home, port, &["--role", "root"]);
    assert!(ready.starts_with("ready: root "), "{ready}");
    assert_eq!(get(&home, port, "/status").0, 200);
    assert_eq!(get(&home, port, "/peer").0, 200);
    assert_eq!(get(&home, port, "/controller").0, 404);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let (status, _) = request(api(port), "POST", "/controller/network", &token, Some(&serde_json::json!({})));
    assert_eq!(status, 404);
}

#[test]
fn moons_are_made_shown_and_orbited() {
    let (folder, home) = home();
    let file = folder.path().join("moon");
    let name = file.to_str().unwrap();
    let said = printed(&["moon", "create", "--endpoint", "203.0.113.1/9993", "--out", name], &home);
    let own = own_address(&home);
    let orbit = format!("zerotier-cli orbit {own} {own}");
    assert!(said.contains(&orbit), "{said}");
    let kept = home.join(format!("moons.d/000000{own}.moon"));
    assert_eq!(fs::read(&kept).unwrap(), fs::read(&file).unwrap());
    let shown = printed(&["moon", "show", name], &home);
    assert!(shown.contains(&orbit) && shown.contains(&format!("moon {own}, version")), "{shown}");
    assert!(printed(&["moon", "verify", name], &home).contains("a good moon"));
    assert!(refused(run(&["planet", "show", name], &home)).contains("is a moon, not a planet"));

    let port = free_port();
    let (mut root, _) = start(&home, port, &["--planet", "none", "--role", "controller,root"]);
    let (_, status) = get(&home, port, "/status");
    assert_eq!(status["online"], true);
    let (_, moons) = get(&home, port, "/moon");
    assert_eq!(moons[0]["id"], format!("000000{own}"));
    assert_eq!(moons[0]["roots"][0]["stableEndpoints"], serde_json::json!(["203.0.113.1/9993"]));
    assert_eq!((&moons[0]["waiting"], moons.as_array().unwrap().len()), (&Value::from(false), 1));
    let first = moons[0]["timestamp"].as_u64();
    printed(&["moon", "roll", "--endpoint", "203.0.113.2/9993"], &home);
    wait_for(&home, port, "/moon", |moons| moons[0]["timestamp"].as_u64() > first);
    root.kill();

    // A file that is not what its name says.
    let wrong = home.join("moons.d/0000001234567890.moon");
    fs::copy(&kept, &wrong).unwrap();
    let error = refused(command(&home, free_port()).output().unwrap());
    assert!(
        error.contains("0000001234567890.moon") && error.contains(&format!("it is moon 000000{own}")),
        "{error}"
    );
}
