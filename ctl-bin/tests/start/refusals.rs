//! What keeps the program from starting gets one line that says what to do, and nothing is overwritten.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::process::Command;

use crate::backup::{back_up, printed, run, text};
use crate::program::{START_LIMIT, command, fail, free_port, home, moved_in, refused, serve};

#[test]
fn a_udp_port_in_use_is_named() {
    let (_folder, home) = home();
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = fail(&home, port);
    assert!(error.contains(&format!("UDP port {port} is in use")) && error.contains("--port"), "{error}");
}

#[test]
fn a_tcp_port_in_use_is_named() {
    let (_folder, home) = home();
    let port = free_port();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let error = fail(&home, port);
    assert!(error.contains(&format!("127.0.0.1:{port} is in use")) && error.contains("--api"), "{error}");
}

#[test]
fn a_home_that_cannot_be_made_is_named() {
    let (folder, _) = home();
    let file = folder.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let error = fail(&file.join("home"), free_port());
    assert!(error.contains("cannot make the directory") && error.contains("--home"), "{error}");
    assert_eq!(fs::read_to_string(file).unwrap(), "not a directory");
}

#[test]
fn a_home_that_is_in_use_is_named() {
    let (_folder, home) = home();
    let (_first, _) = serve(&home, free_port());
    let error = fail(&home, free_port());
    assert!(error.contains("is used by another running controller"), "{error}");
}

#[test]
fn damaged_files_are_refused_and_left_as_they_are() {
    let (_folder, home) = home();
    let (mut process, _) = serve(&home, free_port());
    process.kill();
    for wal in ["controller.db-wal", "controller.db-shm"] {
        // A killed program leaves them; with another database file beside them they would mean nothing.
        drop(fs::remove_file(home.join(wal)));
    }
    for (name, words) in [
        ("identity.secret", "backup"),
        ("controller.db", "backup"),
        ("planet", "move it away"),
        ("authtoken.secret", "empty"),
    ] {
        let path = home.join(name);
        let original = fs::read(&path).ok();
        let damage: &[u8] =
            if name == "authtoken.secret" { b" \n" } else { b"this is not what it should be" };
        fs::write(&path, damage).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        // With `none` the planet in the home does not matter.
        let error = refused(command(&home, free_port()).env_remove("CTL_PLANET").output().unwrap());
        assert!(error.contains(name) && error.contains(words), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damage, "{name} was overwritten");
        match original {
            Some(original) => fs::write(&path, original).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    let (_process, _) = serve(&home, free_port());
}

/// Otherwise the networks would silently be out of reach.
#[test]
fn a_lost_identity_is_not_replaced_by_a_new_one() {
    let (_folder, home) = home();
    let (mut process, _) = serve(&home, free_port());
    process.kill();
    fs::remove_file(home.join("identity.secret")).unwrap();
    let public = fs::read(home.join("identity.public")).unwrap();
    let error = fail(&home, free_port());
    assert!(error.contains("identity.public but no identity.secret") && error.contains("backup"), "{error}");
    assert_eq!(fs::read(home.join("identity.public")).unwrap(), public);
    assert!(!home.join("identity.secret").exists());
}

#[test]
fn a_lost_database_is_not_replaced_by_an_empty_one_unless_somebody_says_so() {
    let (_folder, home) = home();
    let (mut process, _) = serve(&home, free_port());
    process.kill();
    for suffix in ["", "-wal", "-shm"] {
        // The last two may be gone already.
        fs::remove_file(home.join(format!("controller.db{suffix}"))).unwrap_or(());
    }
    let error = fail(&home, free_port());
    for words in ["controller.db is gone", "ctl-bin restore", "--new-database"] {
        assert!(error.contains(words), "{error}");
    }
    assert!(!home.join("controller.db").exists());
    let mut command = command(&home, free_port());
    let process = crate::process::Process::spawn("anew", command.arg("--new-database"));
    process.wait_for(0, START_LIMIT, "ready", |line| line.text.starts_with("ready:").then_some(()));
}

/// Between a restore and the first start somebody moves files about, and nobody would notice before members are refused.
#[test]
fn a_database_that_was_restored_or_imported_and_got_lost_is_not_replaced_by_an_empty_one() {
    let (folder, home) = home();
    let (mut process, _) = serve(&home, free_port());
    process.kill();
    let file = back_up(&home, folder.path(), &[]);
    let (made, empty, imported) =
        (folder.path().join("made"), folder.path().join("empty"), folder.path().join("imported"));
    DirBuilder::new().mode(0o700).create(&empty).unwrap();
    for target in [&made, &empty] {
        printed(run(&["restore", text(&file), "--home", text(target)]));
    }
    // A node that never was a controller, whose identity is taken.
    let node = folder.path().join("node");
    fs::create_dir(&node).unwrap();
    fs::copy(home.join("identity.secret"), node.join("identity.secret")).unwrap();
    let moved = moved_in(&node, &imported, &[]);
    assert!(moved.status.success(), "{moved:?}");
    for target in [made, empty, imported] {
        let database = target.join("controller.db");
        fs::rename(&database, folder.path().join("lost.db")).unwrap();
        let error = fail(&target, free_port());
        assert!(error.contains("controller.db is gone, and this home had one"), "{error}");
        assert!(!database.exists());
        fs::rename(folder.path().join("lost.db"), &database).unwrap();
        let (_process, _) = serve(&target, free_port());
    }
}

#[test]
fn a_database_of_another_identity_is_refused() {
    let (folder, home) = home();
    let (mut process, network) = crate::backup::serve_network(&home, free_port());
    process.kill();
    let other = folder.path().join("other");
    let (mut process, _) = serve(&other, free_port());
    process.kill();
    for name in ["identity.secret", "identity.public"] {
        fs::copy(other.join(name), home.join(name)).unwrap();
    }
    let address = network.trim_start_matches("/controller/network/").get(..10).unwrap();
    let error = fail(&home, free_port());
    assert!(error.contains("of another controller") && error.contains(address), "{error}");
}

#[test]
fn a_planet_of_somebody_else_is_not_replaced() {
    let (folder, home) = home();
    let create = |home: &std::path::Path| {
        Command::new(env!("CARGO_BIN_EXE_ctl-bin"))
            .args(["planet", "create", "--endpoint", "203.0.113.1/9993", "--home"])
            .arg(home)
            .arg("--out")
            .arg(folder.path().join("planet"))
            .output()
            .unwrap()
    };
    let other = folder.path().join("other");
    assert!(create(&home).status.success());
    assert!(create(&other).status.success());
    fs::copy(other.join("planet"), home.join("planet")).unwrap();
    let before = fs::read(home.join("planet")).unwrap();
    let error = refused(create(&home));
    assert!(error.contains("was not made by this controller"), "{error}");
    assert_eq!(fs::read(home.join("planet")).unwrap(), before);
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for arguments in [&["--port", "0"][..], &["--api", "nowhere"], &["planet", "create"], &["fly"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_ctl-bin")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
