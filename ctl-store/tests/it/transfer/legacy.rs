//! The databases that real controllers of 2015 and 2016 left behind (`testdata/vl2/legacy_*.json`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use ctl_core::record::{write_member, write_network};
use ctl_store::Store;
use ctl_store::import::NoteKind;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Options, content, files, has_note, import, options};

/// Where what is imported differs from the recorded records, and why.
const DEVIATIONS: [(&str, &str); 3] = [
    ("authTokens", "a network without tokens shows [null], as the original does, where {} was recorded"),
    ("vProto", "0, not -1, beside a known version: what such clients leave unsaid counts as 0"),
    (
        "legacy",
        "has more: memberRevisionCounter, rules that were never applied, flags and metrics of routes, and whether a \
         member was authorized in the file",
    ),
];
const MORE_IN_LEGACY: [&str; 4] = ["memberRevisionCounter", "rules", "routes", "wasAuthorized"];

fn recorded(name: &str) -> Vec<Value> {
    let text = match name {
        "controllers" => include_str!("../../../testdata/vl2/legacy_controllers.json"),
        _ => include_str!("../../../testdata/vl2/legacy_import.json"),
    };
    let recorded: Value = serde_json::from_str(text).unwrap();
    recorded["versions"].as_array().unwrap().clone()
}

/// Recreates a recorded database.
pub(super) fn database(version: &str) -> (TempDir, PathBuf) {
    let versions = recorded("controllers");
    let dump = versions.iter().find(|recorded| recorded["version"] == version).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controller.db");
    let connection = Connection::open(&path).unwrap();
    // As in the program that wrote it.
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(dump["sqlDump"].as_str().unwrap()).unwrap();
    connection.close().unwrap();
    (directory, path)
}

/// Compares field by field and returns the names that differ.
fn compare(expected: &Value, written: &Map<String, Value>) -> BTreeSet<String> {
    let differs = |(name, value): &(&String, &Value)| written.get(*name) != Some(*value);
    expected.as_object().unwrap().iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

fn check_deviations(found: BTreeSet<String>, expected: &Value, written: &Map<String, Value>) {
    for name in found {
        match name.as_str() {
            "authTokens" => assert_eq!((&expected[&name], &written[&name]), (&json!({}), &json!([null]))),
            "vProto" => assert_eq!((&expected[&name], &written[&name]), (&json!(-1), &json!(0))),
            "legacy" => {
                let mut legacy = written[&name].as_object().unwrap().clone();
                MORE_IN_LEGACY.iter().for_each(|more| drop(legacy.remove(*more)));
                assert_eq!(&Value::from(legacy), &expected[&name]);
            }
            _ => panic!("{name}: expected {}, got {:?}", expected[&name], written.get(&name)),
        }
        assert!(DEVIATIONS.iter().any(|(known, _)| *known == name));
    }
}

#[test]
fn recorded_databases_become_the_recorded_records_but_for_the_deviations() {
    let mut counts = (0, 0);
    for version in recorded("import") {
        let (_directory, path) = database(version["version"].as_str().unwrap());
        let store = Store::in_memory().unwrap();
        let report = import(&path, &store, options()).unwrap();
        let layout = format!("layout {} (", version["layout"].as_str().unwrap());
        assert!(report.source.contains(&layout), "{}", report.source);
        let content = content(&store);
        let networks = version["networks"].as_array().unwrap();
        let members = version["members"].as_array().unwrap();
        assert_eq!((content.networks.len(), content.members.len()), (networks.len(), members.len()));
        for expected in networks {
            let (network, extra) = &content.networks[&expected["id"].as_str().unwrap().parse().unwrap()];
            let written = write_network(network, extra);
            check_deviations(compare(expected, &written), expected, &written);
        }
        for expected in members {
            let id = expected["nwid"].as_str().unwrap().parse().unwrap();
            let (member, extra) = &content.members[&(id, expected["id"].as_str().unwrap().parse().unwrap())];
            let written = write_member(member, extra);
            check_deviations(compare(expected, &written), expected, &written);
        }
        for expected in version["reports"].as_array().unwrap() {
            let expected = expected.as_str().unwrap();
            assert!(
                report.notes.iter().any(|note| note.message.starts_with(expected)),
                "{expected}: {report}"
            );
        }
        counts = (counts.0 + networks.len(), counts.1 + members.len());
    }
    assert_eq!(counts, (8, 15));
}

#[test]
fn database_is_imported_twice_like_once_and_is_not_touched() {
    for version in recorded("import") {
        let (directory, path) = database(version["version"].as_str().unwrap());
        let before = files(directory.path());
        let store = Store::in_memory().unwrap();
        let first = import(&path, &store, options()).unwrap();
        let once = content(&store);
        let later = Options { now: zt_proto::Timestamp(1_800_000_000_000), ..options() };
        let second = import(&path, &store, later).unwrap();
        assert_eq!(content(&store), once);
        assert_eq!(
            (second.networks.unchanged, second.members.unchanged),
            (first.networks.added, first.members.added)
        );
        assert_eq!((second.members.kept, second.networks.kept), (0, 0));
        assert_eq!(files(directory.path()), before);
    }
}

#[test]
fn relays_that_can_be_used_are_those_of_the_network_and_the_others_are_reported() {
    let (_directory, path) = database("1.1.14");
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute_batch(
        "INSERT INTO Relay VALUES ('f59381cf73000002', 'deadbeef03', 'nowhere'), \
         ('f59381cf73000002', '0000000000', '192.0.2.1/9993'), ('f59381cf73000002', 'deadbeef04', '2001:db8::1/9993')",
    )
    .unwrap();
    drop(raw);
    let store = Store::in_memory().unwrap();
    let report = import(&path, &store, options()).unwrap();
    let relays = |network: &str| {
        let content = content(&store);
        let relays = &content.networks[&network.parse().unwrap()].0.relays;
        relays.iter().map(|relay| format!("{} {:?}", relay.address, relay.endpoint)).collect::<Vec<_>>()
    };
    assert_eq!(
        relays("f59381cf73000001"),
        ["deadbeef01 Some(192.0.2.1:9993)", "deadbeef02 Some(192.0.2.2:9993)"]
    );
    assert_eq!(relays("f59381cf73000002"), ["deadbeef04 Some([2001:db8::1]:9993)"]);
    for (kind, network, words) in [
        (NoteKind::Remark, "network f59381cf73000001", "2 relays were taken"),
        (NoteKind::Suspicious, "network f59381cf73000002", "the relay deadbeef03 is kept for an export only"),
    ] {
        assert!(has_note(&report, kind, network, words), "{words}: {report}");
    }
}

#[test]
fn authorizations_of_2015_are_trusted_only_when_told_so() {
    let (_directory, path) = database("0d0af07ce9");
    let authorized = |trust_authorizations| {
        let store = Store::in_memory().unwrap();
        let options = Options { trust_authorizations, ..options() };
        let report = import(&path, &store, options).unwrap();
        let members = content(&store).members;
        let authorized: Vec<_> = members.values().map(|(member, _)| member.authorized).collect();
        (authorized, has_note(&report, NoteKind::Suspicious, "97f6703e6c", "not trusted"))
    };
    // One of a private network, one of a public one.
    assert_eq!(authorized(false), (vec![false, true], true));
    assert_eq!(authorized(true), (vec![true, false], false));
}

#[test]
fn last_requests_of_a_member_are_taken_over() {
    for (version, count, wire) in [("0d0af07ce9", 1, "192.0.2.50:9993"), ("1.0.4", 1, ""), ("1.1.14", 5, "")]
    {
        let (_directory, path) = database(version);
        let store = Store::in_memory().unwrap();
        import(&path, &store, options()).unwrap();
        let (network, member) = ("f59381cf73000001".parse().unwrap(), "97f6703e6c".parse().unwrap());
        let history = store.read(|tx| tx.sightings().history(network, member)).unwrap();
        assert_eq!(history.len(), count, "{version}");
        let newest = history[0].client.wire.map(|wire| wire.to_string()).unwrap_or_default();
        assert_eq!(newest, wire, "{version}");
        assert!(history.iter().is_sorted_by(|a, b| a.last >= b.last), "{history:?}");
    }
}
