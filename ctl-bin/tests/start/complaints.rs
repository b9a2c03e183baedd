//! What each command says that cannot be done, compared with a file: the thing, what was expected, what came, what to do.

use std::fs;
use std::path::Path;

use crate::backup::text;
use crate::cli::ctl;
use crate::program::{free_port, home, serve};
use crate::snapshot::expect;

/// Commands that read files, and the home beside a controller that may be running.
#[test]
fn every_command_says_what_to_do_about_what_is_wrong() {
    let (folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        text(&path).to_owned()
    };
    let junk = file("junk", "this is nothing of the kind\n");
    let rules = file("rules", "accept;\ndrop dprt 22;\n");
    let long = file("settings.toml", "prot = 1\nlog-level = 'loud'\nbackup-every = '1y'\n");
    let plan = file("plan.toml", "[[network]]\nnaem = 'x'\n");
    let (url, id) = (format!("http://127.0.0.1:{port}"), "50c3fbe1fe0e2af2");
    let mut transcript = String::new();
    let mut note = |home: &Path, arguments: &[&str], remark: &str| {
        let output = ctl(home, arguments);
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap();
        assert!(code != 0 && !stderr.contains("panicked"), "{arguments:?}: {output:?}");
        transcript +=
            &format!("$ ctl-bin {}{remark}\n{stdout}{stderr}exit code {code}\n\n", arguments.join(" "));
    };
    for arguments in [
        &["backup", "--to", "/nowhere/at/all/backup"][..],
        &["backup", "--to", &junk],
        &["backup", "--keep", "0"],
        &["backup", "--encrypt-to", "age1nobody"],
        &["backup", "--passphrase-file", "/nowhere/passphrase"],
        &["restore", "/nowhere/backup", "--home", "/nowhere/home"],
        &["restore", &junk],
        &["verify", "/nowhere/backup"],
        &["verify", &junk],
        &["import", "/nowhere/zerotier-one"],
        &["import", &junk],
        &["export", "--format", "json", &junk],
        &["export", "--format", "xml", "out"],
        &["token", "create", "a b", "--scope", "read"],
        &["token", "create", "panel", "--scope", "everything"],
        &["token", "rotate", "nobody"],
        &["token", "revoke", "nobody"],
        &["planet", "show", "/nowhere/planet"],
        &["planet", "show", &junk],
        &["planet", "create", "--endpoint", "203.0.113.1", "--out", "x"],
        &["planet", "create", "--endpoint", "127.0.0.1/9993", "--out", "x"],
        &["planet", "roll", "--endpoint", "203.0.113.1/9993"],
        &["moon", "verify", &junk],
        &["moon", "show", "/nowhere/moon"],
        &["identity", "new", &junk],
        &["identity", "show", "/nowhere/identity"],
        &["identity", "validate", &junk],
        &["identity", "validate", "1122334455:0:00"],
        &["identity", "sign", &junk, &junk],
        &["identity", "verify", &junk, &junk, "00"],
        &["rules", "compile", "/nowhere/rules"],
        &["rules", "compile", &rules],
        &["rules", "decompile", &junk],
        &["rules", "format", "/nowhere/rules"],
        &["rules", "test", "--network", id],
        &["rules", "test", "--network", id, "--url", &url],
        &["rules", "explain", id, "--from", "a", "--to", "b", "tcp 443"],
        &["rules", "explain", id, "--from", "a", "--to", "b", "carrier pigeon"],
        &["config", "check", "/nowhere/ctl.toml"],
        &["config", "check", &long],
        &["apply", "/nowhere/networks.toml"],
        &["apply", &plan],
        &["log-level", "loud"],
        &["webhook", "create", "ftp://hooks.example/"],
        &["webhook", "create", "http://hooks.example/", "--event", "NETWORK_EXPLODED"],
        &["webhook", "retry", "nobody"],
        &["webhook", "delete", "", "--yes"],
        &["doctor", "--url", "https://127.0.0.1:1"],
        &["doctor", "--url", "http://controller.example.org:9993"],
        &["man", "/dev/null/man"],
        &["completions", "tcsh"],
        &["serve", "--bind", "here"],
        &["serve", "--otel-endpoint", "collector:4318"],
        &["fly"],
    ] {
        note(&home, arguments, "");
    }
    drop(process);
    for arguments in [&["health"][..], &["log-level"], &["apply", &plan], &["health", "--url", &url]] {
        note(&home, arguments, " # no controller runs");
    }
    for arguments in [
        &["backup"][..],
        &["verify"],
        &["token", "ls"],
        &["export", "--format", "json", "out"],
        &["rules", "test", "--network", id],
        &["planet", "roll"],
        &["health"],
        &["log-level"],
    ] {
        note(Path::new("/nowhere/home"), arguments, " # no home");
    }
    assert!(!Path::new("/nowhere").exists(), "somebody made a directory and then nothing in it");
    let own = fs::read_to_string(home.join("identity.public")).unwrap();
    let transcript = transcript
        .replace(text(folder.path()), "DIR")
        .replace(&port.to_string(), "PORT")
        .replace(&own[..10], "CONTROLLER");
    expect("complaints", &transcript);
}
