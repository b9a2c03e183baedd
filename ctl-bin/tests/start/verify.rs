//! `ctl-bin verify`: its exit codes, and what it says.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::backup::{back_up, parsed, run, serve_network, text};
use crate::program::{free_port, home};

fn sql(database: &Path, statements: &str) {
    Connection::open(database).unwrap().execute_batch(statements).unwrap();
}

#[test]
fn a_sound_home_and_its_backup_are_told_to_be() {
    let (folder, home) = home();
    let (process, _) = serve_network(&home, free_port());
    // Beside the running controller, with the tables of a program that replicates the database.
    sql(&home.join("controller.db"), "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)");
    let file = back_up(&home, folder.path(), &[]);
    for arguments in
        [&["verify", "--home", text(&home)][..], &["verify", text(&file)], &["verify", "--deep", text(&file)]]
    {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            said.contains("1 network, 1 member") && said.contains("result: 0 errors, 0 warnings"),
            "{said}"
        );
    }
    let report = parsed(&run(&["verify", "--json", text(&file)]));
    assert_eq!(
        (&report["sound"], &report["kind"], &report["members"]),
        (&true.into(), &"backup".into(), &1.into())
    );
    drop(process);
    let output = run(&["verify", text(&home.join("controller.db"))]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_is_broken_is_exit_code_1_and_what_cannot_be_told_is_2() {
    let (folder, home) = home();
    let (process, _) = serve_network(&home, free_port());
    drop(process);
    let file = back_up(&home, folder.path(), &[]);
    let copy = folder.path().join("copy.db");
    let database = home.join("controller.db");
    // Closes and so empties the log of the killed controller.
    sql(&database, "PRAGMA wal_checkpoint(TRUNCATE)");
    for (damage, words) in [
        ("PRAGMA foreign_keys = OFF; DELETE FROM network", "names a network that is not there"),
        ("UPDATE network SET rules = x'19'", "rules"),
        ("DROP INDEX member_bridge", "member_bridge is missing"),
        ("UPDATE member SET identity = zeroblob(71)", "member 1122334455"),
        ("INSERT INTO network_extra SELECT id, '[]' FROM network", "extra fields of network"),
        (
            "INSERT INTO member_extra SELECT network, address, '{' FROM member",
            "extra fields of a member of network",
        ),
        (
            "UPDATE member SET authorized = 1; INSERT INTO pending SELECT network, address, 1, x'' FROM member",
            "is authorized, and on record as a stranger",
        ),
        ("INSERT INTO removed_network SELECT id FROM network", "is there and noted as removed"),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE member_address SET ip = x'01'",
            "CHECK constraint failed",
        ),
    ] {
        fs::copy(&database, &copy).unwrap();
        sql(&copy, damage);
        let output = run(&["verify", text(&copy)]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{damage}: {output:?}");
        assert!(said.contains("error: ") && said.contains(words), "{damage}: {said}");
        let report = parsed(&run(&["verify", "--json", text(&copy)]));
        assert_eq!(report["sound"], false);
    }
    for (oddity, words) in [
        ("UPDATE member_address SET ip = x'0b000001'", "11.0.0.1, which is in no route"),
        ("UPDATE network SET created = 99999999999999", "in the future"),
        (
            "UPDATE member SET authorized = 0; INSERT INTO pending SELECT network, address, 99999999999999, x'' FROM member",
            "last asked in the future",
        ),
        (
            "UPDATE member SET authorized = 0; INSERT INTO revoked SELECT network, address, 99999999999999 FROM member",
            "was revoked in the future",
        ),
        (
            "INSERT OR REPLACE INTO issued VALUES (1, 99999999999999)",
            "s ahead of the clock, which was ahead before or is behind now",
        ),
        (
            "INSERT OR REPLACE INTO lease VALUES (1, 'x', 'process 7', 99999999999999)",
            "the lease of \"process 7\" ends in the future",
        ),
        (
            "INSERT INTO api_token (name, hash, scope, created, last_used, expires) \
             VALUES ('ci', zeroblob(32), 'read', 99999999999999, 0, 0)",
            "the API token \"ci\" was made in the future",
        ),
        (
            "INSERT INTO verified_identity VALUES (x'0000000009', zeroblob(64), 1)",
            "the identity of 0000000009 is kept as verified",
        ),
        (
            "INSERT INTO audit (id, time, actor, action) VALUES (1000000, 99999999999999, 'x', 'y')",
            "entry 1000000 of the audit log was written in the future",
        ),
        ("CREATE TABLE notes (x)", "notes is not of this release"),
        ("PRAGMA user_version = 1", "the records were not looked into"),
    ] {
        fs::copy(&database, &copy).unwrap();
        sql(&copy, oddity);
        let output = run(&["verify", text(&copy)]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{oddity}: {output:?}");
        assert!(said.contains("warning: ") && said.contains(words), "{oddity}: {said}");
    }
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = folder.path().join("damaged");
    fs::write(&damaged, &bytes).unwrap();
    assert_eq!(run(&["verify", text(&damaged)]).status.code(), Some(1));
    fs::write(&damaged, "no backup").unwrap();
    assert_eq!(run(&["verify", text(&damaged)]).status.code(), Some(1));
    fs::write(&copy, &fs::read(&database).unwrap()[..5000]).unwrap();
    assert_eq!(run(&["verify", text(&copy)]).status.code(), Some(1));
    fs::remove_file(&copy).unwrap();
    sql(&copy, "CREATE TABLE t (x)");
    for unknown in [text(&folder.path().join("missing")), text(&copy)] {
        assert_eq!(run(&["verify", unknown]).status.code(), Some(2), "{unknown}");
    }
    assert_eq!(run(&["verify", "--home", text(&folder.path().join("missing"))]).status.code(), Some(2));
    fs::write(home.join("identity.secret"), "damaged").unwrap();
    assert_eq!(run(&["verify", "--home", text(&home)]).status.code(), Some(1));
}

/// Members of a network of which one record cannot be read are looked at all the same.
#[test]
fn one_damaged_record_does_not_hide_the_others() {
    let (folder, home) = home();
    let (process, path) = serve_network(&home, free_port());
    drop(process);
    let network = path.rsplit('/').next().unwrap();
    let copy = folder.path().join("copy.db");
    fs::copy(home.join("controller.db"), &copy).unwrap();
    let log = home.join("controller.db-wal");
    if log.exists() {
        fs::copy(log, folder.path().join("copy.db-wal")).unwrap();
    }
    let mut statements = String::new();
    let key = "00".repeat(65);
    for n in 1..=50 {
        statements += &format!(
            "INSERT INTO member (network, address, revision, authorized, active_bridge, no_auto_assign, sso_exempt, \
             identity, created, last_authorized, last_deauthorized, sso_expires, trace_level) VALUES (x'{network}', \
             x'00000000{n:02x}', 1, 0, 0, 0, 0, x'000000ff{n:02x}00{key}', 0, 0, 0, 0, 0);"
        );
    }
    // An identity of a type that does not exist.
    statements += &format!("UPDATE member SET identity = x'000000000109{key}' WHERE address = x'0000000001'");
    sql(&copy, &statements);
    let report = parsed(&run(&["verify", "--json", text(&copy)]));
    assert_eq!(report["members"], 51, "{report}");
    let errors = report["errors"].as_array().unwrap();
    // One that cannot be read, twenty with a wrong identity, and how many more there are.
    assert_eq!(errors.len(), 1 + 20 + 1, "{report}");
    assert!(errors.iter().any(|error| error.as_str().unwrap().starts_with("29 more: ")), "{report}");
}
