//! A `controller.d`, whole or not, and whole homes.

use std::fs;
use std::path::{Path, PathBuf};

use ctl_store::Store;
use ctl_store::import::{Kind, NoteKind, Options, detect};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use zt_proto::Timestamp;

use super::legacy::database;
use super::{IMPORT_TIME, content, files, has_note, import, options};

const ID: &str = "8056c2e21c000001";
const IDENTITY: &str = "97f6703e6c:0:0009947a19122084cce686862e01b41033c9eee3acb3ee3e64b9f4762da808005e72b25562a1c84f3c\
                        9864baedd29d487e229303f4b9934cfb7d6a8b1ba092ad";

/// A directory to be filled.
struct Records {
    directory: TempDir,
}

impl Records {
    fn new() -> Self {
        let records = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(records.path("network")).unwrap();
        records
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path("network").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn network(&self, id: &str) {
        let routes = json!([{ "target": "10.0.0.0/8", "via": null }]);
        self.write(&format!("{id}.json"), json!({ "id": id, "nwid": id, "routes": routes }).to_string());
    }

    fn member(&self, network: &str, address: &str, ips: &[&str]) {
        let record = json!({ "id": address, "nwid": network, "authorized": true, "ipAssignments": ips });
        self.write(&format!("{network}/member/{address}.json"), record.to_string());
    }
}

/// `known-flaws.md` row 16.
#[test]
fn every_file_that_cannot_be_read_is_reported_and_the_others_are_imported() {
    let records = Records::new();
    records.network(ID);
    records.member(ID, "1111111111", &["10.0.0.1"]);
    records.write("8056c2e21c000002.json", "");
    records.member("8056c2e21c000002", "2222222222", &[]);
    records.write("8056c2e21c000003.json", "{\"id\":\"8056c2e21c000003\",\"na");
    records.write("8056c2e21c000004.json", "[]");
    records.write("8056c2e21c000005.json", "{\"id\":5}");
    records.member("8056c2e21c000006", "3333333333", &[]);
    records.write(&format!("{ID}/member/4444444444.json"), "{");
    records.write(&format!("{ID}/member/5555555555.json"), json!({ "id": "x" }).to_string());
    records.write(
        &format!("{ID}/member/6666666666.json"),
        json!({ "id": "6666666666", "nwid": "x" }).to_string(),
    );
    records.write(&format!("{ID}/member/7777777777.json.new"), "{}");
    records.write("8056c2e21c000001.json.new", "{}");
    let store = Store::in_memory().unwrap();
    let report = import(records.directory.path(), &store, options()).unwrap();
    let expected = [
        (
            "8056c2e21c000002.json",
            "it is empty, as after a crash: without it, its members were not imported either",
        ),
        ("8056c2e21c000003.json", "it ends too early, as after a crash"),
        ("8056c2e21c000004.json", "expected a JSON object, got []"),
        ("8056c2e21c000005.json", "id: expected hexadecimal digits as in 8056c2e21c000005, got 5"),
        (
            "8056c2e21c000002/member",
            "the record of network 8056c2e21c000002 is missing, so its members were left out: 1",
        ),
        (
            "8056c2e21c000006/member",
            "the record of network 8056c2e21c000006 is missing, so its members were left out: 1",
        ),
        ("4444444444.json", "it ends too early"),
        ("5555555555.json", "id: expected hexadecimal digits"),
        ("6666666666.json", "nwid: expected hexadecimal digits"),
    ];
    for (place, words) in expected {
        assert!(has_note(&report, NoteKind::Skipped, place, words), "{place}: {words}: {report}");
    }
    assert!(has_note(&report, NoteKind::Remark, "7777777777.json.new", "ignored"), "{report}");
    assert!(has_note(&report, NoteKind::Remark, "8056c2e21c000001.json.new", "ignored"), "{report}");
    assert_eq!((report.networks.found, report.networks.added, report.networks.skipped), (5, 1, 4));
    assert_eq!((report.members.found, report.members.added, report.members.skipped), (6, 1, 5));
    assert!(report.needs_attention());
}

#[test]
fn what_a_file_says_of_itself_counts_and_differences_are_reported() {
    let records = Records::new();
    records.network(ID);
    records.write("8056c2e21c000002.json", json!({ "id": ID }).to_string());
    records.write("8056c2e21c000003.json", json!({ "name": "no id" }).to_string());
    records.write(
        &format!("{ID}/member/1111111111.json"),
        json!({ "id": "2222222222", "nwid": ID }).to_string(),
    );
    let record = json!({ "id": "3333333333", "nwid": "8056c2e21c000003" });
    records.write(&format!("{ID}/member/3333333333.json"), record.to_string());
    let store = Store::in_memory().unwrap();
    let report = import(records.directory.path(), &store, options()).unwrap();
    let content = content(&store);
    let members: Vec<_> = content.members.keys().map(|(id, member)| format!("{id} {member}")).collect();
    assert_eq!(members, [format!("{ID} 2222222222"), "8056c2e21c000003 3333333333".to_owned()]);
    assert!(
        has_note(&report, NoteKind::Skipped, "8056c2e21c000002.json", "is in another file too"),
        "{report}"
    );
    assert!(has_note(&report, NoteKind::Suspicious, "1111111111.json", "it says \"2222222222\""), "{report}");
    assert!(has_note(&report, NoteKind::Suspicious, "3333333333.json", "nwid: it says"), "{report}");
    assert!(has_note(&report, NoteKind::Changed, "8056c2e21c000003.json", "it has no id"), "{report}");
}

#[test]
fn odd_addresses_and_foreign_networks_are_reported() {
    let records = Records::new();
    records.network(ID);
    records.member(ID, "1111111111", &["10.0.0.1", "11.0.0.1"]);
    records.member(ID, "2222222222", &["10.0.0.2", "10.0.0.1"]);
    let store = Store::in_memory().unwrap();
    let own = "1234567890".parse().ok();
    let report = import(records.directory.path(), &store, Options { controller: own, ..options() }).unwrap();
    let foreign = "it belongs to controller 8056c2e21c, and this one is 1234567890";
    assert!(has_note(&report, NoteKind::Suspicious, ID, foreign), "{report}");
    assert!(has_note(&report, NoteKind::Suspicious, "1111111111", "no route contains 11.0.0.1"), "{report}");
    let taken = "10.0.0.1 was left out, as member 1111111111 has it";
    assert!(has_note(&report, NoteKind::Suspicious, "2222222222", taken), "{report}");
    assert_eq!(report.defaulted["member.creationTime"].count, 2);
    let own = ID.get(..10).unwrap().parse().ok();
    let again = import(records.directory.path(), &store, Options { controller: own, ..options() }).unwrap();
    assert_eq!((again.networks.unchanged, again.members.unchanged), (1, 2));
    assert!(!has_note(&again, NoteKind::Suspicious, ID, "it belongs to controller"), "{again}");
}

#[test]
fn record_that_is_here_and_differs_stays_unless_told_otherwise() {
    let records = Records::new();
    records.network(ID);
    records.member(ID, "1111111111", &["10.0.0.1"]);
    let store = Store::in_memory().unwrap();
    import(records.directory.path(), &store, options()).unwrap();
    let before = content(&store);
    records.write(&format!("{ID}.json"), json!({ "id": ID, "name": "new", "x": 1 }).to_string());
    records.member(ID, "1111111111", &["10.0.0.9"]);
    let report = import(records.directory.path(), &store, options()).unwrap();
    assert_eq!(content(&store), before);
    assert_eq!((report.networks.kept, report.members.kept), (1, 1));
    assert!(has_note(&report, NoteKind::Differs, ID, "name, routes, x"), "{report}");
    assert!(has_note(&report, NoteKind::Differs, "1111111111", "ipAssignments"), "{report}");
    assert!(report.needs_attention());
    let report = import(records.directory.path(), &store, Options { overwrite: true, ..options() }).unwrap();
    assert_eq!((report.networks.replaced, report.members.replaced), (1, 1));
    let after = content(&store);
    let (network, extra) = &after.networks[&ID.parse().unwrap()];
    assert_eq!((network.name.as_str(), &extra["x"]), ("new", &json!(1)));
    // When it was created is not said, and was known before.
    assert_eq!(network.created, before.networks[&ID.parse().unwrap()].0.created);
    let report = import(records.directory.path(), &store, options()).unwrap();
    assert_eq!((report.networks.unchanged, report.members.unchanged), (1, 1));
}

/// Who was let in by the record that was here may still be believed by the others (`vl2.md` §11.3).
#[test]
fn member_that_loses_its_authorization_is_revoked_and_one_that_keeps_it_is_not() {
    let (records, others) = (Records::new(), Records::new());
    records.network(ID);
    others.network(ID);
    for member in ["1111111111", "2222222222"] {
        records.member(ID, member, &[]);
        let record = json!({ "id": member, "authorized": member != "1111111111", "name": "another" });
        others.write(&format!("{ID}/member/{member}.json"), record.to_string());
    }
    let store = Store::in_memory().unwrap();
    import(records.directory.path(), &store, options()).unwrap();
    let revoked = || store.read(|tx| tx.revoked().list_since(Timestamp(0))).unwrap();
    import(others.directory.path(), &store, options()).unwrap();
    assert_eq!(revoked(), [], "nothing was replaced");
    let overwrite = Options { overwrite: true, ..options() };
    let report = import(others.directory.path(), &store, overwrite).unwrap();
    assert_eq!(report.members.replaced, 2);
    assert_eq!(revoked(), [(ID.parse().unwrap(), "1111111111".parse().unwrap(), IMPORT_TIME)]);
    import(records.directory.path(), &store, overwrite).unwrap();
    assert_eq!(revoked(), [], "it is authorized again");
}

#[test]
fn original_is_not_touched() {
    let records = Records::new();
    records.network(ID);
    records.member(ID, "1111111111", &["10.0.0.1"]);
    records.write("8056c2e21c000002.json", "{");
    let before = files(records.directory.path());
    import(records.directory.path(), &Store::in_memory().unwrap(), options()).unwrap();
    assert_eq!(files(records.directory.path()), before);
}

#[test]
fn home_is_told_by_what_is_in_it_and_its_newest_records_are_read() {
    let records = Records::new();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("identity.secret"), "x").unwrap();
    assert_eq!(detect(home.path()).unwrap().kind, Kind::Nothing);
    let (_directory, old) = database("1.1.14");
    let database = home.path().join("controller.db");
    fs::copy(old, &database).unwrap();
    assert_eq!(detect(home.path()).unwrap().kind, Kind::Database { file: database.clone() });
    records.network(ID);
    fs::rename(records.directory.path(), home.path().join("controller.d")).unwrap();
    let source = detect(home.path()).unwrap();
    assert!(matches!(source.kind, Kind::Directory { .. }));
    assert_eq!((source.ignored, source.home.as_deref()), (Some(database), Some(home.path())));
    // The directory of the networks itself will do.
    let networks = home.path().join("controller.d/network");
    assert_eq!(detect(&networks).unwrap().kind, Kind::Directory { networks });
}

fn peer(identity: &str, home: &Path) {
    let identity: zt_proto::PublicIdentity = identity.parse().unwrap();
    let mut bytes = vec![2];
    identity.write(&mut bytes);
    bytes.extend([0; 10]);
    fs::create_dir_all(home.join("peers.d")).unwrap();
    fs::write(home.join(format!("peers.d/{}.peer", identity.address)), bytes).unwrap();
}

#[test]
fn identities_that_the_node_knows_are_given_to_members_if_they_fit() {
    let records = Records::new();
    records.network(ID);
    records.member(ID, "97f6703e6c", &[]);
    records.member(ID, "97f6703e6d", &[]);
    let home = tempfile::tempdir().unwrap();
    fs::rename(records.directory.path(), home.path().join("controller.d")).unwrap();
    peer(IDENTITY, home.path());
    peer(&IDENTITY.replace("97f6703e6c", "97f6703e6d"), home.path());
    fs::write(home.path().join("peers.d/1111111111.peer"), "x").unwrap();
    let store = Store::in_memory().unwrap();
    let report = import(home.path(), &store, options()).unwrap();
    let content = content(&store);
    let identities: Vec<_> = content.members.values().map(|(member, _)| member.identity).collect();
    assert_eq!(identities, [IDENTITY.parse().ok(), None]);
    assert!(
        has_note(&report, NoteKind::Remark, "97f6703e6c", "its identity was taken from peers.d"),
        "{report}"
    );
    assert!(has_note(&report, NoteKind::Skipped, "97f6703e6d", "does not fit"), "{report}");
    assert!(has_note(&report, NoteKind::Skipped, "1111111111.peer", "no identity"), "{report}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// `known-flaws.md` rows 6 and 16.
    #[test]
    fn arbitrary_files_are_imported_or_reported(
        network in proptest::collection::vec(any::<u8>(), 0..60), cut in 0..200_usize, text in "[{}\\[\\]\":,a-z0-9]{0,60}",
    ) {
        let records = Records::new();
        records.network(ID);
        records.member(ID, "1111111111", &["10.0.0.1"]);
        let whole = fs::read(records.path("network").join(format!("{ID}.json"))).unwrap();
        records.write("8056c2e21c000002.json", &network);
        records.write("8056c2e21c000003.json", &text);
        records.write("8056c2e21c000004.json", whole.get(..cut.min(whole.len())).unwrap());
        records.write(&format!("{ID}/member/2222222222.json"), &network);
        records.write(&format!("{ID}/member/3333333333.json"), &text);
        let store = Store::in_memory().unwrap();
        let report = import(records.directory.path(), &store, options()).unwrap();
        prop_assert_eq!((report.networks.found, report.members.found), (4, 3));
        prop_assert_eq!(report.networks.added + report.networks.skipped, 4);
        prop_assert_eq!(report.members.added + report.members.skipped, 3);
    }
}
