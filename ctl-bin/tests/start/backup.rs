//! `ctl-bin backup` and `ctl-bin restore`, as an administrator uses them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, command, fail, free_port, home, moon, refused, serve};

pub(crate) fn run(arguments: &[&str]) -> Output {
    // What root or a user may have in the environment is not to matter.
    Command::new(env!("CARGO_BIN_EXE_ctl-bin")).env_remove("CTL_HOME").args(arguments).output().unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns what a program printed that did what it was told.
pub(crate) fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a backup and returns its path.
pub(crate) fn back_up(home: &Path, to: &Path, more: &[&str]) -> PathBuf {
    let arguments = [&["backup", "--home", text(home), "--to", text(to)][..], more].concat();
    let said = printed(run(&arguments));
    let path = said.split(" bytes in ").nth(1).and_then(|rest| rest.split(" (").next()).unwrap();
    PathBuf::from(path)
}

fn restore(file: &Path, home: &Path, more: &[&str]) -> Output {
    run(&[&["restore", text(file), "--home", text(home)][..], more].concat())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Starts a controller that has a network with a member, and returns the path of the network in the API.
pub(crate) fn serve_network(home: &Path, port: u16) -> (Process, String) {
    let (process, _) = serve(home, port);
    let token = token(home);
    let body = json!({ "name": "kept", "routes": [{ "target": "10.0.0.0/24" }] });
    let (_, network) = request(api(port), "POST", "/controller/network", &token, Some(&body));
    let path = format!("/controller/network/{}", network["id"].as_str().unwrap());
    let member = json!({ "authorized": true, "ipAssignments": ["10.0.0.1"] });
    request(api(port), "POST", &format!("{path}/member/1122334455"), &token, Some(&member));
    (process, path)
}

fn token(home: &Path) -> String {
    fs::read_to_string(home.join("authtoken.secret")).unwrap()
}

#[test]
fn a_backup_made_beside_the_running_controller_is_the_same_controller_elsewhere() {
    let (folder, home) = home();
    let port = free_port();
    let planet = folder.path().join("planet");
    printed(run(&[
        "planet",
        "create",
        "--home",
        text(&home),
        "--endpoint",
        "203.0.113.1/9993",
        "--out",
        text(&planet),
    ]));
    let (mut process, path) = serve_network(&home, port);
    fs::create_dir(home.join("moons.d")).unwrap();
    let (moon_name, moon) = moon();
    fs::write(home.join("moons.d").join(&moon_name), &moon).unwrap();
    let to = folder.path().join("backups");
    fs::create_dir(&to).unwrap();
    let said = printed(run(&["backup", "--home", text(&home), "--to", text(&to)]));
    assert!(said.contains("read back and compared") && said.contains("mode 0600"), "{said}");
    let [name] = &names(&to)[..] else { panic!("{:?}", names(&to)) };
    let file = to.join(name);
    assert!(name.starts_with("ctl-bin-") && name.ends_with("Z.tar.zst"), "{name}");
    assert_eq!(mode(&file), 0o600);
    let left: Vec<_> = names(&home).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, [""; 0], "copies of the database were left behind");

    let (_, network) = request(api(port), "GET", &path, &token(&home), None);
    process.kill();
    let new = folder.path().join("new/home");
    let said = printed(restore(&file, &new, &[]));
    assert!(said.starts_with("restored: controller ") && said.contains("does not run any more"), "{said}");
    let kept = [
        "authtoken.secret",
        "controller.db",
        "ctl-bin.database",
        "identity.public",
        "identity.secret",
        "metricstoken.secret",
        "moons.d",
        "planet",
        "planet.secret",
    ];
    assert_eq!(names(&new), kept);
    assert_eq!(mode(&new), 0o700);
    for secret in
        ["authtoken.secret", "metricstoken.secret", "controller.db", "identity.secret", "planet.secret"]
    {
        assert_eq!(mode(&new.join(secret)), 0o600, "{secret}");
    }
    // The mark of the restore is what the new home alone has.
    for name in kept.iter().filter(|name| !["controller.db", "ctl-bin.database", "moons.d"].contains(name)) {
        assert!(fs::read(new.join(name)).unwrap() == fs::read(home.join(name)).unwrap(), "{name}");
    }
    assert_eq!(fs::read(new.join("moons.d").join(moon_name)).unwrap(), moon);
    let port = free_port();
    let (_process, _) = serve(&new, port);
    assert_eq!(request(api(port), "GET", &path, &token(&home), None), (200, network));
    let (_, member) = request(api(port), "GET", &format!("{path}/member/1122334455"), &token(&home), None);
    assert_eq!(member["ipAssignments"], json!(["10.0.0.1"]));
}

#[test]
fn other_programs_read_a_backup() {
    let (folder, home) = home();
    drop(serve(&home, free_port()));
    let file = back_up(&home, folder.path(), &[]);
    let mut archive = tar::Archive::new(zstd::Decoder::new(fs::File::open(file).unwrap()).unwrap());
    let entries =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let entries: Vec<_> = entries.collect();
    assert_eq!(
        entries,
        [
            "manifest.json",
            "identity.secret",
            "identity.public",
            "authtoken.secret",
            "metricstoken.secret",
            "controller.db"
        ]
    );
}

#[test]
fn an_encrypted_backup_opens_only_with_its_key() {
    let (folder, home) = home();
    drop(serve(&home, free_port()));
    let secret_file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let key_file = secret_file("key", &format!("# a key\n{}\n", key.to_string().expose_secret()));
    let other_file = secret_file("other", other.to_string().expose_secret());
    let passphrase_file = secret_file("passphrase", "correct horse\n");
    let wrong_passphrase = secret_file("wrong", "battery staple\n");

    let to_key = back_up(&home, folder.path(), &["--encrypt-to", &key.to_public().to_string()]);
    let to_passphrase = back_up(&home, folder.path(), &["--passphrase-file", text(&passphrase_file)]);
    let secret = fs::read(home.join("identity.secret")).unwrap();
    for file in [&to_key, &to_passphrase] {
        assert!(text(file).ends_with(".tar.zst.age"));
        let bytes = fs::read(file).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
        assert!(!bytes.windows(32).any(|window| secret.starts_with(window)));
    }
    let target = folder.path().join("restored");
    let refuse = |file: &Path, arguments: &[&str], words: &str| {
        let error = refused(restore(file, &target, arguments));
        assert!(error.contains(words), "{error}");
        assert!(!target.exists(), "a failed restore left something");
    };
    refuse(&to_key, &[], "--identity-file");
    refuse(&to_key, &["--identity-file", text(&other_file)], "none of the given keys");
    refuse(&to_key, &["--passphrase-file", text(&passphrase_file)], "--identity-file");
    refuse(&to_key, &["--identity-file", text(&passphrase_file)], "AGE-SECRET-KEY-1");
    refuse(
        &to_passphrase,
        &["--passphrase-file", text(&wrong_passphrase)],
        "the passphrase does not open it",
    );
    refuse(&to_passphrase, &["--identity-file", text(&key_file)], "passphrase");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    refuse(&to_key, &["--identity-file", text(&key_file)], "chmod 600");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    // Damage behind the point up to which everything is in order.
    let mut bytes = fs::read(&to_key).unwrap();
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fs::write(folder.path().join("damaged.age"), &bytes).unwrap();
    refuse(&folder.path().join("damaged.age"), &["--identity-file", text(&key_file)], "damaged");
    fs::write(folder.path().join("cut.age"), &bytes[..bytes.len() - 300]).unwrap();
    refuse(&folder.path().join("cut.age"), &["--identity-file", text(&key_file)], "cannot be restored");

    printed(restore(&to_key, &target, &["--identity-file", text(&key_file)]));
    assert_eq!(fs::read(target.join("identity.secret")).unwrap(), secret);
    let target = folder.path().join("second");
    printed(restore(&to_passphrase, &target, &["--passphrase-file", text(&passphrase_file)]));
    assert_eq!(fs::read(target.join("identity.secret")).unwrap(), secret);
}

#[test]
fn only_as_many_backups_stay_as_are_to_be_kept() {
    let (folder, home) = home();
    drop(serve(&home, free_port()));
    let to = folder.path().join("backups");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("notes.txt"), "not a backup").unwrap();
    let made: Vec<_> = (0..4).map(|_| back_up(&home, &to, &["--keep", "2"])).collect();
    let mut expected: Vec<_> = made[2..].iter().map(|path| text(path).rsplit('/').next().unwrap()).collect();
    expected.push("notes.txt");
    assert_eq!(names(&to), expected);
    let file = folder.path().join("one.tar.zst");
    let error = refused(run(&["backup", "--home", text(&home), "--to", text(&file), "--keep", "2"]));
    assert!(error.contains("--keep") && !file.exists(), "{error}");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let (folder, home) = home();
    let (process, _) = serve(&home, free_port());
    let file = folder.path().join("one.tar.zst");
    assert_eq!(back_up(&home, &file, &[]), file);
    let before = fs::read(&file).unwrap();
    let error = refused(run(&["backup", "--home", text(&home), "--to", text(&file)]));
    assert!(error.contains("is not overwritten"), "{error}");
    assert!(fs::read(&file).unwrap() == before);

    let error = refused(restore(&file, &home, &[]));
    assert!(error.contains("is not empty") && error.contains("stop its controller"), "{error}");
    drop(process);
    let error = refused(restore(&file, &home, &[]));
    assert!(error.contains("is not empty"), "{error}");
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(target.join("letter"), "").unwrap();
    let error = refused(restore(&file, &target, &[]));
    assert!(error.contains("it has letter"), "{error}");
    assert_eq!(names(&target), ["letter"]);
    fs::remove_file(target.join("letter")).unwrap();
    // Empty, and made by somebody before: perhaps a disk is mounted there. And what a crash has left in it.
    fs::create_dir(target.join(".ctl-bin-restore-x1")).unwrap();
    fs::write(target.join(".ctl-bin-restore-x1/identity.secret"), "").unwrap();
    printed(restore(&file, &target, &[]));
    assert!(names(&target).contains(&"identity.secret".to_owned()));
    assert!(!names(&target).iter().any(|name| name.starts_with('.')), "{:?}", names(&target));
    drop(serve(&target, free_port()));
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_named_and_leaves_nothing() {
    let (folder, home) = home();
    let to = folder.path().join("backups");
    fs::create_dir(&to).unwrap();
    let error = refused(run(&["backup", "--home", text(&home), "--to", text(&to)]));
    assert!(error.contains("is no home of a controller") && !home.exists(), "{error}");
    drop(serve(&home, free_port()));
    let file = back_up(&home, &to, &[]);
    let error = refused(run(&["backup", "--home", text(&home), "--to", "/nowhere/at/all/x.tar.zst"]));
    assert!(error.contains("--to"), "{error}");

    let database = fs::read(home.join("controller.db")).unwrap();
    let mut damaged = database.clone();
    damaged[4096..8192].fill(0x55);
    fs::write(home.join("controller.db"), damaged).unwrap();
    let error = refused(run(&["backup", "--home", text(&home), "--to", text(&to)]));
    assert!(error.contains("the database is not copied"), "{error}");
    fs::write(home.join("controller.db"), database).unwrap();
    fs::write(home.join("identity.secret"), "x").unwrap();
    let error = refused(run(&["backup", "--home", text(&home), "--to", text(&to)]));
    assert!(error.contains("identity.secret is damaged"), "{error}");
    assert_eq!(names(&to).len(), 1, "{:?}", names(&to));

    let target = folder.path().join("target");
    let bytes = fs::read(&file).unwrap();
    for (content, words) in [
        (&b"this is no backup"[..], "not a backup"),
        (&b""[..], "not a backup"),
        (&bytes[..bytes.len() / 2], "damaged"),
        (&[&bytes[..], b"more"].concat(), "follows its end"),
    ] {
        let path = folder.path().join("bad");
        fs::write(&path, content).unwrap();
        let error = refused(restore(&path, &target, &[]));
        assert!(error.contains(words) && !target.exists(), "{error}");
    }
    let error = refused(restore(Path::new("/nowhere"), &target, &[]));
    assert!(error.contains("cannot open /nowhere"), "{error}");
    assert!(!names(folder.path()).iter().any(|name| name.starts_with('.')), "{:?}", names(folder.path()));
    for arguments in [
        &["backup", "--keep", "0"][..],
        &["backup", "--encrypt-to", "nonsense"],
        &["restore"],
        &["serve", "--backup-every", "1h"],
        &["serve", "--backup-dir", "/x", "--backup-every", "often"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_running_controller_makes_backups_by_itself_and_goes_on_when_it_cannot() {
    let (folder, home) = home();
    let port = free_port();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where a directory is wanted").unwrap();
    let start = |to: &Path| {
        let mut command = command(&home, port);
        command.args(["--backup-every", "1s", "--backup-keep", "2", "--backup-dir"]).arg(to);
        let process = Process::spawn("controller", &mut command);
        process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
        process
    };
    let process = start(&blocked);
    process
        .wait_for(0, START_LIMIT, "the failure is logged", |line| line.text.contains("ERROR").then_some(()));
    assert_eq!(request(api(port), "GET", "/status", &token(&home), None).0, 200);
    drop(process);
    let to = folder.path().join("backups");
    let process = start(&to);
    let mut mark = 0;
    for _ in 0..4 {
        process
            .wait_for(mark, START_LIMIT, "a backup", |line| line.text.contains("backup made").then_some(()));
        mark = process.mark();
    }
    drop(process);
    let kept: Vec<_> = names(&to).into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(mode(&to), 0o700);
    let target = folder.path().join("target");
    printed(restore(&to.join(&kept[1]), &target, &[]));
}

/// The value that `--json` printed.
pub(crate) fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_home_whose_restore_was_cut_off_does_not_start() {
    let (folder, home) = home();
    drop(serve(&home, free_port()));
    let file = back_up(&home, folder.path(), &[]);
    let target = folder.path().join("target");
    printed(restore(&file, &target, &[]));
    // The identity comes last.
    fs::remove_file(target.join("identity.secret")).unwrap();
    let error = fail(&target, free_port());
    assert!(error.contains("no identity.secret"), "{error}");
}

/// Sends a request to the running controller and returns the body of its answer as it is.
fn fetch(port: u16, path: &str, token: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(api(port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nX-ZT1-Auth: {token}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..end]));
    answer.split_off(end + 4)
}

#[test]
fn a_backup_that_was_made_and_fetched_over_http_is_restored_like_any_other() {
    let (folder, home) = home();
    let port = free_port();
    let (mut process, path) = serve_network(&home, port);
    let token = token(&home);
    let (status, made) = request(api(port), "POST", "/api/v2/backups", &token, None);
    assert_eq!(status, 201, "{made}");
    // The same folder and the same file as the command makes.
    let name = made["name"].as_str().unwrap();
    assert_eq!(names(&home.join("backups")), [name]);
    let kept = fs::read(home.join("backups").join(name)).unwrap();
    assert_eq!(made["sizeBytes"], kept.len());
    let by_command = back_up(&home, &home.join("backups"), &[]);
    let (_, list) = request(api(port), "GET", "/api/v2/backups", &token, None);
    let listed: Vec<_> = list["data"].as_array().unwrap().iter().map(|backup| &backup["name"]).collect();
    assert_eq!(listed, [by_command.file_name().unwrap().to_str().unwrap(), name]);
    assert!(fetch(port, &format!("/api/v2/backups/{name}"), &token) == kept);
    for elsewhere in ["..%2fidentity.secret", "identity.secret", "..%2fbackups%2f", "controller.db"] {
        for method in ["GET", "DELETE"] {
            let path = format!("/api/v2/backups/{elsewhere}");
            assert_eq!(request(api(port), method, &path, &token, None).0, 404, "{method} {elsewhere}");
        }
    }
    let (_, network) = request(api(port), "GET", &path, &token, None);
    let file = folder.path().join(name);
    fs::write(&file, kept).unwrap();
    assert_eq!(request(api(port), "DELETE", &format!("/api/v2/backups/{name}"), &token, None).0, 204);
    assert!(!home.join("backups").join(name).exists());
    process.kill();
    let new = folder.path().join("new");
    printed(restore(&file, &new, &[]));
    let port = free_port();
    let (_process, _) = serve(&new, port);
    let (_, restored) = request(api(port), "GET", &path, &token, None);
    assert_eq!(restored["revision"], network["revision"]);
    assert_eq!(restored["name"], "kept");
}
