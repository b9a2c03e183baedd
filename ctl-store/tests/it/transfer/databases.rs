//! Databases with rows of every sort, and files that are none.

use std::fs;
use std::path::Path;

use ctl_store::Store;
use ctl_store::import::{ImportError, NoteKind};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::legacy::database;
use super::{content, has_note, import, options};

/// Opens a database as the program that wrote it, which does not check references.
fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
}

fn change(path: &Path, sql: &str) {
    open(path).execute_batch(sql).unwrap();
}

#[test]
fn rows_that_make_no_sense_are_reported() {
    let (_directory, path) = database("1.1.14");
    change(
        &path,
        "INSERT INTO Network (id, name) VALUES ('F59381CF73000009', 'upper'), ('x', 'short');
         INSERT INTO Member (networkId, nodeId) VALUES ('f59381cf73000001', 'short');
         INSERT INTO Member (networkId, nodeId) VALUES ('f5938100000000ff', '97f6703e6c');
         INSERT INTO Member (networkId, nodeId) VALUES ('f59381cf73000001', '1111111111');
         INSERT INTO IpAssignment VALUES ('f59381cf73000001', '2222222222', 0, x'0000000000000000000000000A0700C8', 24, 4);
         INSERT INTO IpAssignment VALUES ('f59381cf73000001', '8845368d2d', 0, x'0A07', 24, 4);
         INSERT INTO IpAssignment VALUES ('f59381cf73000001', '8845368d2d', 0, x'0000000000000000000000000B000001', 24, 4);
         INSERT INTO Route VALUES ('f59381cf73000001', x'0000000000000000000000000A080000', NULL, 99, 4, 0, 0);
         INSERT INTO AuthToken (networkId, maxUses, useCount, token) VALUES ('f59381cf73000002', 1, 1, 'used'),
                ('f59381cf73000002', 2, 1, 'left');
         UPDATE Member SET recentHistory = x'7B00' WHERE nodeId = '491b221de1';
         UPDATE Node SET identity = 'garbage' WHERE id = '97f6703e6c';
         INSERT INTO Node VALUES ('3333333333', '');",
    );
    let store = Store::in_memory().unwrap();
    let report = import(&path, &store, options()).unwrap();
    let expected = [
        (NoteKind::Skipped, "controller.db", "got \"F59381CF73000009\""),
        (NoteKind::Skipped, "controller.db", "got \"x\""),
        (
            NoteKind::Skipped,
            "network f59381cf73000001",
            "nodeId: expected 10 lower-case hexadecimal digits, got \"short\"",
        ),
        (
            NoteKind::Skipped,
            "network f5938100000000ff",
            "its record is missing, so its members were left out: 1",
        ),
        (NoteKind::Suspicious, "member 1111111111", "expected its identity, got \"\""),
        (NoteKind::Skipped, "network f59381cf73000001", "1 addresses of \"2222222222\", which is no member"),
        (NoteKind::Skipped, "member 8845368d2d", "an address cannot be read"),
        (NoteKind::Suspicious, "member 8845368d2d", "no route contains 11.0.0.1"),
        (NoteKind::Skipped, "network f59381cf73000001", "a route cannot be read"),
        (NoteKind::Skipped, "network f59381cf73000002", "a join token that is used up"),
        (NoteKind::Suspicious, "network f59381cf73000002", "a join token was for 2 uses"),
        (NoteKind::Skipped, "member 491b221de1", "1 entries of its history"),
        (NoteKind::Suspicious, "member 97f6703e6c", "expected its identity, got \"garbage\""),
        (NoteKind::Suspicious, "member 97f6703e6c", "as a bridge it got no address"),
        (NoteKind::Suspicious, "network f59381cf73000001", "1 rules have conditions"),
        (NoteKind::Remark, "controller.db", "1 identities of nodes that are members of nothing"),
        (NoteKind::Remark, "controller.db", "instanceId"),
    ];
    for (kind, place, words) in expected {
        assert!(has_note(&report, kind, place, words), "{place}: {words}: {report}");
    }
    assert_eq!((report.networks.found, report.networks.added, report.networks.skipped), (4, 2, 2));
    assert_eq!((report.members.found, report.members.added, report.members.skipped), (8, 6, 2));
    assert!(!report.to_string().contains("used\"") && !report.to_string().contains("left\""), "{report}");
    let tokens = &content(&store).networks[&"f59381cf73000002".parse().unwrap()].0.join_tokens;
    assert_eq!(tokens.keys().collect::<Vec<_>>(), ["left"]);
}

/// The layouts of which there is no recorded file, made from their neighbours.
#[test]
fn every_layout_is_told_by_its_tables() {
    let cases = [
        ("0d0af07ce9", "", "layout A ("),
        (
            "0d0af07ce9",
            "ALTER TABLE Rule RENAME COLUMN ruleId TO ruleNo; DROP TABLE MulticastRate",
            "layout A′ (",
        ),
        ("1.0.4", "", "layout B ("),
        ("1.1.4", "", "layout C ("),
        ("1.1.4", "CREATE TABLE NodeHistory (nodeId, networkId)", "layout D2 ("),
        (
            "1.1.14",
            "DROP INDEX Member_networkId_lastRequestTime; ALTER TABLE Member DROP COLUMN recentHistory",
            "layout D3 (",
        ),
        ("1.1.14", "", "layout D4 ("),
        ("1.1.14", "ALTER TABLE Rule ADD COLUMN policyId", "layout D5 ("),
    ];
    for (version, sql, layout) in cases {
        let (_directory, path) = database(version);
        change(&path, sql);
        let report = import(&path, &Store::in_memory().unwrap(), options()).unwrap();
        assert!(report.source.contains(layout), "{} is not {layout}", report.source);
        assert!(report.members.added > 0, "{report}");
        // The version number in the file tells the layouts that were made here from what they were made of.
        let is_made = matches!(layout, "layout D2 (" | "layout D3 (" | "layout D5 (");
        assert_eq!(
            has_note(&report, NoteKind::Suspicious, "controller.db", "and it says"),
            is_made,
            "{report}"
        );
    }
}

#[test]
fn files_that_are_no_controller_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("text"), "hello").unwrap();
    fs::write(path("lines"), "{\"format\":\"other\"}\n").unwrap();
    fs::write(path("newer"), "{\"format\":\"ctl-bin-export\",\"version\":2}\n").unwrap();
    Connection::open(path("other.db")).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    let (_kept, old) = database("1.1.14");
    fs::copy(&old, path("version.db")).unwrap();
    change(&path("version.db"), "UPDATE Config SET v = '6'");
    let mut bytes = fs::read(&old).unwrap();
    bytes.truncate(5000);
    fs::write(path("cut.db"), bytes).unwrap();
    drop(Store::open(&path("ours.db")).unwrap());
    let cases = [
        ("empty", "it is empty"),
        ("text", "neither an SQLite database nor an export"),
        ("lines", "does not say that it is a ctl-bin-export"),
        ("newer", "format version 2, and this release reads 1"),
        ("other.db", "it has no table Config"),
        ("version.db", "expected schema version 1 to 5, got 6"),
        ("cut.db", "is damaged"),
        ("ours.db", "is a database of this controller"),
        ("nothing", "cannot read"),
        ("", "a directory with controller.d"),
    ];
    for (name, words) in cases {
        let error = import(&path(name), &Store::in_memory().unwrap(), options()).unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

/// `known-flaws.md` row 16: what a crash left is taken into account, as SQLite does it.
#[test]
fn what_stands_only_in_the_log_beside_the_file_is_imported() {
    let (_directory, path) = database("1.1.14");
    let connection = open(&path);
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch("INSERT INTO Network (id, name) VALUES ('f59381cf73000003', 'late')").unwrap();
    let report = import(&path, &Store::in_memory().unwrap(), options()).unwrap();
    assert_eq!(report.networks.added, 3);
    drop(connection);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-3..70_i64).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        ".{0,30}".prop_map(Value::Text),
        Just(Value::Text("f59381cf73000001".to_owned())),
        Just(Value::Text("97f6703e6c".to_owned())),
        Just(Value::Text("accept".to_owned())),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        proptest::collection::vec(any::<u8>(), 16).prop_map(Value::Blob),
    ]
}

/// `known-flaws.md` rows 5 and 6.
#[test]
fn arbitrary_rows_are_imported_or_reported() {
    const TABLES: [(&str, &str, usize); 9] = [
        ("0d0af07ce9", "Network", 10),
        ("0d0af07ce9", "IpAssignmentPool", 4),
        ("1.0.4", "Rule", 19),
        ("1.0.4", "Log", 7),
        ("1.1.14", "Network", 10),
        ("1.1.14", "Member", 10),
        ("1.1.14", "IpAssignment", 6),
        ("1.1.14", "Route", 7),
        ("1.1.14", "IpAssignmentPool", 4),
    ];
    let row = (proptest::sample::select(&TABLES[..]), proptest::collection::vec(any_value(), 20));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) };
    proptest!(config, |(rows in proptest::collection::vec(row, 1..12))| {
        for version in ["0d0af07ce9", "1.0.4", "1.1.14"] {
            let (_directory, path) = database(version);
            let connection = open(&path);
            let mut count = 0;
            for ((of, table, columns), values) in &rows {
                if *of == version {
                    let marks = vec!["?"; *columns].join(",");
                    let sql = format!("INSERT OR IGNORE INTO \"{table}\" VALUES ({marks})");
                    let values = values.get(..*columns).unwrap();
                    // What a table refuses cannot be in a file.
                    let result = connection.execute(&sql, rusqlite::params_from_iter(values));
                    count += result.unwrap_or(0);
                }
            }
            drop(connection);
            let store = Store::in_memory().unwrap();
            let report = import(&path, &store, options()).unwrap();
            prop_assert!(count == 0 || report.networks.found > 0);
            let content = content(&store);
            prop_assert_eq!(report.networks.added, content.networks.len() as u64);
            prop_assert_eq!(report.members.added, content.members.len() as u64);
            prop_assert_eq!(report.members.found, report.members.added + report.members.skipped
                + report.members.unchanged + report.members.kept);
        }
    });
}

#[test]
fn store_that_cannot_be_written_ends_the_import() {
    let (_directory, path) = database("1.1.14");
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("ctl.db");
    drop(Store::open(&own).unwrap());
    let store = Store::open_read_only(&own).unwrap();
    assert!(matches!(import(&path, &store, options()), Err(ImportError::Store(_))));
}
