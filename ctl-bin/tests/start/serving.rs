//! A controller with nothing configured.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, command, free_port, home, serve};

#[test]
fn a_fresh_home_is_made_closed_and_serves_at_once() {
    let (_folder, home) = home();
    let port = free_port();
    let (process, ready) = serve(&home, port);
    let public = fs::read_to_string(home.join("identity.public")).unwrap();
    let address = public.split(':').next().unwrap();
    for part in
        [address, &format!("UDP port {port}"), &format!("http://127.0.0.1:{port}"), home.to_str().unwrap()]
    {
        assert!(ready.contains(part), "{ready}");
    }
    let mode = |name: &str| fs::metadata(home.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(""), 0o700);
    for secret in ["identity.secret", "authtoken.secret", "metricstoken.secret", "controller.db"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let (status, body) = request(api(port), "GET", "/status", &token, None);
    assert_eq!((status, &body["address"]), (200, &Value::from(address)));
    let (status, _) = request(api(port), "GET", "/status", "wrong", None);
    assert_eq!(status, 401);
    drop(process);
}

/// `http-api.md` §3.2: containers write it before the start, and people change it while the controller runs.
#[test]
fn local_conf_is_read_again_when_it_changes_and_not_used_while_it_is_wrong() {
    let (_folder, home) = home();
    let port = free_port();
    drop(serve(&home, port));
    let write = |text: &str| fs::write(home.join("local.conf"), text).unwrap();
    write(r#"{"settings":{"allowManagementFrom":["10.0.0.0/8"]}}"#);
    let (process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let conf = || request(api(port), "GET", "/config", &token, None).1;
    assert_eq!(conf()["settings"]["allowManagementFrom"], json!(["10.0.0.0/8"]));
    let begin = process.mark();
    write(r#"{"settings":{"allowManagementFrom":["10.0.0.0/99"]}}"#);
    process.wait_for(begin, START_LIMIT, "a warning", |line| line.text.contains("10.0.0.0/99").then_some(()));
    assert_eq!(conf()["settings"]["allowManagementFrom"], json!(["10.0.0.0/8"]), "what was stays in force");
    write(r#"{"settings":{"allowManagementFrom":["10.0.0.0/9"]}}"#);
    process.wait_for(begin, START_LIMIT, "read again", |line| line.text.contains("read again").then_some(()));
    assert_eq!(conf()["settings"]["allowManagementFrom"], json!(["10.0.0.0/9"]));
    // Whoever writes it may have begun with an empty one, or with none.
    for text in [None, Some("")] {
        let begin = process.mark();
        match text {
            None => fs::remove_file(home.join("local.conf")).unwrap(),
            Some(text) => write(text),
        }
        if text.is_none() {
            process.wait_for(begin, START_LIMIT, "a warning", |line| {
                line.text.contains("gone or empty").then_some(())
            });
        }
        assert_eq!(conf()["settings"]["allowManagementFrom"], json!(["10.0.0.0/9"]));
    }
    let begin = process.mark();
    write("{}");
    process.wait_for(begin, START_LIMIT, "read again", |line| line.text.contains("read again").then_some(()));
    assert_eq!(conf()["settings"].get("allowManagementFrom"), None);
}

/// `http-api.md` §12, §13: what tools and Prometheus look for in a home, and where it leads them.
#[test]
fn files_of_the_home_lead_to_the_api_and_the_metrics() {
    let (_folder, home) = home();
    let (udp, tcp) = (free_port(), free_port());
    let mut command = command(&home, udp);
    command.args(["--api", &format!("127.0.0.1:{tcp}")]);
    let process = Process::spawn("controller", &mut command);
    process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
    assert_eq!(read("zerotier-one.port"), tcp.to_string(), "tools ask the API there");
    let token = read("metricstoken.secret");
    let (status, metrics) = request(api(tcp), "GET", "/metrics", &token, None);
    let metrics = metrics.as_str().unwrap();
    assert_eq!(status, 200);
    for line in [
        "controller_network_count 0",
        "controller_network_config_request 0",
        "ctl_pushes_total 0",
        "zt_data{direction=\"rx\",protocol=\"udp\"} 0",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}: {metrics}");
    }
    assert_eq!(request(api(tcp), "GET", "/status", &token, None).0, 401);
}

#[test]
fn the_printed_lines_make_networks_and_let_clients_in_when_pasted() {
    let (folder, home) = home();
    let home = home.with_file_name("it's home");
    let port = free_port();
    let (process, _) = serve(&home, port);
    let line = process.wait_for(0, START_LIMIT, "a curl line", |line| {
        line.text.trim().starts_with("curl ").then(|| line.text.trim().to_owned())
    });
    let lines: Vec<_> = process.lines_since(0).into_iter().map(|line| line.text).collect();
    let paste = |line: &str| {
        let output = Command::new("sh").arg("-c").arg(line.trim()).env_clear().output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let offered = |words: &str| {
        lines.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {lines:?}"))
    };
    let (create, authorize) = (offered(" network create "), offered(" member authorize "));
    let browser = offered(&format!(" in a browser: http://127.0.0.1:{port}/ "));
    assert!(create < authorize && authorize < browser && browser < offered("  curl "), "{lines:?}");
    assert!(paste(&lines[create]).contains("10.147.17.0/24"));
    assert!(paste(&lines[authorize].replace("CLIENT", "1122334455")).contains("authorized: 1122334455"));
    // Where the name alone finds the program, that is all there is to type.
    drop(process);
    symlink(env!("CARGO_BIN_EXE_ctl-bin"), folder.path().join("ctl-bin")).unwrap();
    let mut named = command(&home, port);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let process = Process::spawn("controller", named.env("PATH", path));
    process.wait_for(0, START_LIMIT, "the name alone", |line| {
        line.text.starts_with("  ctl-bin network create --home ").then_some(())
    });
    process.wait_for(0, START_LIMIT, "the end of what is printed", |line| {
        line.text.trim().starts_with("curl ").then_some(())
    });
    let output = Command::new("sh").arg("-c").arg(&line).output().unwrap();
    let network: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}\n{output:?}"));
    assert_eq!(network["name"], "my network");
    assert_eq!(network["v4AssignMode"]["zt"], true);
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let (_folder, home) = home();
    let port = free_port();
    let (mut process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let (_, network) =
        request(api(port), "POST", "/controller/network", &token, Some(&json!({ "name": "kept" })));
    let path = format!("/controller/network/{}", network["id"].as_str().unwrap());
    let member = format!("{path}/member/1122334455");
    request(api(port), "POST", &member, &token, Some(&json!({ "authorized": true })));
    process.kill();
    let (_process, _) = serve(&home, port);
    let kept = request(api(port), "GET", &path, &token, None).1;
    for field in ["id", "name", "creationTime", "revision", "rules"] {
        assert_eq!(kept[field], network[field], "{field}");
    }
    assert_eq!(request(api(port), "GET", &member, &token, None).1["authorized"], true);
}

#[test]
fn sigterm_ends_it_with_exit_code_0() {
    let (_folder, home) = home();
    let mut child = command(&home, free_port()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
