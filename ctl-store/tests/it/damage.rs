//! A damaged file is refused as it is; a damaged record is named (`known-flaws.md` rows 6 and 16).

use std::fs;
use std::path::Path;

use ctl_store::{Store, StoreError};
use rusqlite::Connection;

use crate::open::{place, refused};
use crate::sample::{NETWORK, address, get_member, member, member_with, network, put_member, put_network};

#[test]
fn truncated_file_is_refused() {
    for keep in [1, 99, 100, 4095, 4096, 4097] {
        let (directory, path) = place();
        fill(&path);
        let content = fs::read(&path).unwrap();
        fs::write(&path, &content[..keep]).unwrap();
        refused(directory.path(), |error| {
            matches!(error, StoreError::DamagedFile { .. } | StoreError::NotADatabase { .. })
        });
    }
}

#[test]
fn file_that_lost_its_last_page_is_refused() {
    let (directory, path) = place();
    fill(&path);
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 4096]).unwrap();
    refused(directory.path(), |error| matches!(error, StoreError::DamagedFile { .. }));
}

#[test]
fn file_with_a_page_of_noise_is_refused() {
    let (directory, path) = place();
    fill(&path);
    let pages = fs::read(&path).unwrap().len() / 4096;
    let mut refusals = 0;
    for page in 0..pages {
        let mut content = fs::read(&path).unwrap();
        let sound = content.clone();
        content[page * 4096..][..4096].fill(0xa5);
        fs::write(&path, &content).unwrap();
        refused(directory.path(), |error| {
            matches!(error, StoreError::DamagedFile { .. } | StoreError::NotADatabase { .. })
        });
        refusals += 1;
        fs::write(&path, &sound).unwrap();
    }
    assert!(refusals > 10);
    Store::open(&path).unwrap();
}

#[test]
fn record_that_does_not_decode_is_named_and_the_others_are_read() {
    for (change, what) in [
        ("UPDATE network SET rules = x'0203'", "network 8056c2e21c000001, column rules"),
        ("UPDATE network SET mtu = 70000", "network 8056c2e21c000001, column mtu"),
        ("UPDATE route SET bits = 33", "route of network 8056c2e21c000001, column bits"),
        ("UPDATE route SET target = x'00'", "route of network 8056c2e21c000001, column target"),
        (
            "UPDATE member SET identity = x'00' WHERE address = x'0000000001'",
            "member 0000000001 of network 8056c2e21c000001, column identity",
        ),
        (
            "UPDATE member SET version_major = 1 WHERE address = x'0000000001'",
            "member 0000000001 of network 8056c2e21c000001, column version_major",
        ),
        (
            "UPDATE member SET credential = 'x' WHERE address = x'0000000001'",
            "member 0000000001 of network 8056c2e21c000001, column credential",
        ),
        (
            "UPDATE member SET name = CAST(x'ff' AS TEXT) WHERE address = x'0000000001'",
            "member 0000000001 of network 8056c2e21c000001, column name",
        ),
        (
            "UPDATE member_address SET ip = x'00'",
            "address of member 0000000001 of network 8056c2e21c000001, column ip",
        ),
        (
            "UPDATE member_tag SET value = -1",
            "tag of member 0000000001 of network 8056c2e21c000001, column value",
        ),
    ] {
        let (_directory, path) = place();
        fill(&path);
        let raw = Connection::open(&path).unwrap();
        raw.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {change}")).unwrap();
        drop(raw);
        let store = Store::open(&path).unwrap();
        let error = store.read(|tx| tx.snapshot(NETWORK, address(1))).unwrap_err();
        let StoreError::Damaged { what: found } = &error else { panic!("{change}: {error:?}") };
        assert!(found.starts_with(what), "{change}: {error}");
        assert_eq!(get_member(&store, 2), Some(member(2)), "{change}");
        assert_eq!(store.read(|tx| tx.networks().list()).unwrap(), [NETWORK], "{change}");
    }
}

#[test]
fn damaged_member_is_named_in_the_list_of_all() {
    let (_directory, path) = place();
    fill(&path);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE member SET trace_level = 1, identity = x'00' WHERE address = x'0000000001'")
        .unwrap();
    let store = Store::open(&path).unwrap();
    let error = store.read(|tx| tx.members().list(NETWORK)).unwrap_err();
    assert!(error.to_string().contains("member 0000000001 of network"), "{error}");
}

#[test]
fn damaged_member_can_be_removed_or_replaced() {
    for replace in [false, true] {
        let (_directory, path) = place();
        fill(&path);
        Connection::open(&path)
            .unwrap()
            .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE member SET identity = x'00'")
            .unwrap();
        let store = Store::open(&path).unwrap();
        if replace {
            put_member(&store, &member(1)).unwrap();
            assert_eq!(get_member(&store, 1), Some(member(1)));
        } else {
            assert!(store.write(|tx| tx.members().remove(NETWORK, address(1))).unwrap());
            assert_eq!(get_member(&store, 1), None);
        }
    }
}

/// Makes a database with something in each of the tables that the tests damage.
fn fill(path: &Path) {
    let store = Store::open(path).unwrap();
    let mut network = network(NETWORK);
    network.routes.push(ctl_core::network::Route { target: "10.0.0.0/24".parse().unwrap(), via: None });
    put_network(&store, &network);
    let mut first = member_with(1, &["10.0.0.1"]);
    first.tags.insert(1, 2);
    put_member(&store, &first).unwrap();
    put_member(&store, &member(2)).unwrap();
}
