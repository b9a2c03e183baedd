//! Who reaches the API, what of it is encrypted, and what never shows.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, command, free_port, home, refused, serve};

fn start(command: &mut Command) -> Process {
    let process = Process::spawn("controller", command);
    process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
    process
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    command.args(arguments).arg("--home").arg(home).output().unwrap()
}

/// Puts a new certificate for this machine and its key into a folder, each at once.
fn certify(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    for (name, content) in [("cert.pem", certificate), ("key.pem", key.serialize_pem())] {
        fs::write(folder.join("new"), content).unwrap();
        fs::rename(folder.join("new"), folder.join(name)).unwrap();
    }
}

/// `known-flaws.md` row 17.
#[test]
fn management_is_not_open_to_the_world_by_accident() {
    let (folder, home) = home();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = refused(command(&home, free_port()).args(["--api", address]).output().unwrap());
        assert!(error.contains("--api-cert") && error.contains("--api-insecure"), "{error}");
        assert!(!home.exists(), "something was made before it was refused");
    }
    let process = start(command(&home, free_port()).args(["--api", "0.0.0.0:0", "--api-insecure"]));
    process.wait_for(0, START_LIMIT, "a warning", |line| {
        line.text.contains("reachable from other machines without encryption").then_some(())
    });
    drop((process, folder));
}

#[test]
fn api_speaks_tls_and_takes_a_new_certificate_without_a_restart() {
    let (folder, home) = home();
    let certificate = folder.path().join("cert.pem");
    let key = folder.path().join("key.pem");
    let files =
        ["--api-cert", certificate.to_str().unwrap(), "--api-key", key.to_str().unwrap()].map(str::to_owned);
    let error = refused(command(&home, free_port()).args(&files).output().unwrap());
    assert!(error.contains("cannot read") && error.contains("cert.pem"), "{error}");
    certify(folder.path());
    let port = free_port();
    let program = command(&home, port);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"echo pid $$; exec "$0" "$@""#]).arg(program.get_program()).args(program.get_args());
    let process = start(shell.args(&files).env("CTL_PLANET", "none"));
    let pid = process
        .wait_for(0, START_LIMIT, "its number", |line| line.text.strip_prefix("pid ").map(str::to_owned));
    let list = |trusted: &Path| run(&home, &["network", "ls", "--json", "--ca", trusted.to_str().unwrap()]);
    let old = folder.path().join("old.pem");
    fs::copy(&certificate, &old).unwrap();
    let output = list(&old);
    assert!(output.status.success(), "{output:?}");
    let doctor = |arguments: &[&str]| {
        let output = run(&home, &[&["doctor", "--planet", "none"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(doctor(&["--ca", old.to_str().unwrap()]).contains("runs and answers at https://"));
    assert!(doctor(&[]).contains("--ca FILE"));

    let mark = process.mark();
    certify(folder.path());
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    process.wait_for(mark, START_LIMIT, "it says so", |line| {
        line.text.contains("the API has a new certificate").then_some(())
    });
    assert!(list(&certificate).status.success());
    assert!(!list(&old).status.success(), "the old certificate is still served");
    // Without encryption nothing is said at all.
    let mut plain = std::net::TcpStream::connect(api(port)).unwrap();
    std::io::Write::write_all(&mut plain, b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    drop(std::io::Read::read_to_end(&mut plain, &mut answer));
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");
}

#[test]
fn tokens_are_made_and_ended_beside_the_controller_that_runs() {
    let (_folder, home) = home();
    let port = free_port();
    assert!(!run(&home, &["token", "ls"]).status.success(), "there is no home yet");
    let (mut process, _) = serve(&home, port);
    let print = |arguments: &[&str]| {
        let output = run(&home, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let status = |token: &str| request(api(port), "GET", "/peer", token, None).0;
    let first = print(&["token", "create", "grafana", "--scope", "read", "--expires-in", "90d"]);
    assert_eq!(status(&first), 200);
    assert_eq!(request(api(port), "POST", "/controller/network", &first, Some(&json!({}))).0, 403);
    let second = print(&["token", "rotate", "grafana", "--now"]);
    assert_eq!((status(&first), status(&second)), (401, 200));
    let listed = print(&["token", "ls"]);
    assert!(listed.starts_with("grafana  read  used: ") && !listed.contains("ctl_"), "{listed}");
    print(&["token", "revoke", "grafana"]);
    assert_eq!(status(&second), 401);
    for (arguments, words) in [
        (&["token", "revoke", "grafana"][..], "no token with the name grafana"),
        (&["token", "create", "x", "--scope", "root"], "expected read, authorize or admin"),
        (&["token", "create", "authtoken.secret", "--scope", "read"], "not in use by this program"),
    ] {
        let output = run(&home, arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(words), "{error}");
    }
    // And beside none.
    process.kill();
    let third = print(&["token", "create", "door", "--scope", "authorize@8056c2e21c000001,read"]);
    let (_process, _) = serve(&home, port);
    assert_eq!(status(&third), 200);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let audit = request(api(port), "GET", "/api/v2/audit", &token, None).1;
    let actions: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["token.create", "token.revoke", "token.rotate", "token.create"]);
    assert_eq!(audit["entries"][0]["actor"], "ctl-bin token");
}

/// `known-flaws.md` row 4, and every other secret.
#[test]
fn no_secret_is_logged_however_much_is() {
    let (_folder, home) = home();
    let port = free_port();
    let process = start(command(&home, port).env("RUST_LOG", "trace").arg("--api-query-token"));
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let made = request(
        api(port),
        "POST",
        "/api/v2/tokens",
        &token,
        Some(&json!({ "name": "reader", "scope": ["read"] })),
    );
    let reader = made.1["secret"].as_str().unwrap().to_owned();
    let rotated = request(api(port), "POST", "/api/v2/tokens/reader/rotate", &token, None).1;
    let rotated = rotated["secret"].as_str().unwrap().to_owned();
    let network = json!({ "authTokens": [{ "token": "j0in-s3cret", "expires": 0 }] });
    let created = request(api(port), "POST", "/controller/network", &token, Some(&network)).1;
    for secret in [&reader, &rotated, &token] {
        assert_eq!(request(api(port), "GET", "/peer", secret, None).0, 200);
        assert_eq!(request(api(port), "GET", &format!("/peer?auth={secret}"), "", None).0, 401);
    }
    // In the address alone, and wrong in every place.
    let url = format!("/api/v2/audit?auth={token}&limit=0");
    for (path, presented) in
        [(url.as_str(), "wr0ng-guess"), ("/peer?auth=wr0ng-guess", ""), ("/nope", token.as_str())]
    {
        request(api(port), "GET", path, presented, None);
    }
    let bad = json!({ "scope": [token.as_str()], "name": token.as_str() });
    request(api(port), "POST", "/api/v2/tokens", &token, Some(&bad));
    let path = format!("/controller/network/{}", created["id"].as_str().unwrap());
    request(api(port), "POST", &path, &token, Some(&json!({ "rules": ["j0in-s3cret"] })));
    let metrics = fs::read_to_string(home.join("metricstoken.secret")).unwrap();
    request(api(port), "GET", "/metrics", &metrics, None);
    let identity = fs::read_to_string(home.join("identity.secret")).unwrap();
    let private = identity.trim().rsplit(':').next().unwrap();

    let lines = process.lines_since(0);
    assert!(lines.iter().any(|line| line.text.contains("request answered")), "the log has no requests");
    for secret in [token.as_str(), &metrics, &reader, &rotated, "j0in-s3cret", "wr0ng-guess", private] {
        let shown: Vec<_> =
            lines.iter().filter(|line| line.text.contains(secret)).map(|line| &line.text).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}
