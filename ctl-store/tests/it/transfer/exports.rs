//! What goes out comes back in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ctl_core::network::RemoteTrace;
use ctl_core::{Member, Network};
use ctl_store::Store;
use ctl_store::export::{ExportError, Format, export};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{NoteKind, content, files, import, options};
use crate::sample::{NETWORK, any_member, any_network, member_with, network, put_member, put_network, store};

const FORMATS: [Format; 2] = [Format::ControllerD, Format::Json];

fn write(
    store: &Store,
    format: Format,
    path: &Path,
    force: bool,
) -> Result<ctl_store::export::Exported, ExportError> {
    export(store, format, path, force, &mut |_| ())
}

/// Takes out what the domain has no place for.
fn possible_trace(trace: RemoteTrace) -> RemoteTrace {
    RemoteTrace { target: trace.target.filter(|target| target.len() == 10), ..trace }
}

fn possible_network(mut network: Network) -> Network {
    let mut seen = BTreeSet::new();
    network.relays.retain(|relay| {
        let has_port = relay.endpoint.is_none_or(|endpoint| endpoint.port() != 0);
        has_port && !relay.address.is_reserved() && seen.insert(relay.address)
    });
    for nodes in [&mut network.anchors, &mut network.multicast_replicators] {
        let mut seen = BTreeSet::new();
        nodes.retain(|node| !node.is_reserved() && seen.insert(*node));
    }
    let (remote_trace, revision) = (possible_trace(network.remote_trace), network.revision.max(1));
    Network { remote_trace, revision, ..network }
}

fn possible_member(member: Member) -> Member {
    // No node has a reserved address, and no text with one is an identity.
    let identity = member.identity.filter(|_| !member.address.is_reserved());
    let identity = identity.map(|identity| zt_proto::PublicIdentity { address: member.address, ..identity });
    let (remote_trace, revision) = (possible_trace(member.remote_trace), member.revision.max(1));
    Member { identity, remote_trace, revision, ..member }
}

fn extra(text: &str, number: f64) -> Map<String, Value> {
    let extra = json!({ "unknown": { text: [number, null, true] }, "legacy": { "relays": [] } });
    if text.is_empty() { Map::new() } else { extra.as_object().unwrap().clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn import_of_an_export_is_what_was_exported(
        networks in proptest::collection::vec(any_network(), 0..3), home in any_network(),
        members in proptest::collection::vec(any_member(), 0..5), text in "[a-z]{0,3}", number: f64,
    ) {
        let store = Store::in_memory().unwrap();
        let home = Network { id: NETWORK, ..home };
        for network in networks.into_iter().chain([home]).map(possible_network) {
            put_network(&store, &network);
            store.write(|tx| tx.networks().put_extra(network.id, &extra(&text, number))).unwrap();
        }
        for member in members.into_iter().map(possible_member) {
            // Some have the address of another.
            if put_member(&store, &member).is_ok() {
                let extra = extra(&text, number);
                store.write(|tx| tx.members().put_extra(NETWORK, member.address, &extra)).unwrap();
            }
        }
        let before = content(&store);
        let directory = tempfile::tempdir().unwrap();
        for format in FORMATS {
            let path = directory.path().join(format!("{format:?}"));
            let exported = write(&store, format, &path, false).unwrap();
            prop_assert_eq!(exported.networks, before.networks.len() as u64);
            prop_assert_eq!(exported.members, before.members.len() as u64);
            let other = Store::in_memory().unwrap();
            let report = import(&path, &other, options()).unwrap();
            prop_assert_eq!(&content(&other), &before, "{}", report);
            prop_assert_eq!(import(&path, &store, options()).unwrap().networks.unchanged, exported.networks);
        }
    }
}

#[test]
fn controller_d_has_the_files_and_fields_of_the_original_for_nobody_else_to_read() {
    let store = store();
    put_member(&store, &member_with(0xa1_b2c3_d4e5, &["10.0.0.1"])).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controller.d");
    write(&store, Format::ControllerD, &path, false).unwrap();
    let network = format!("network/{NETWORK}.json");
    let member = format!("network/{NETWORK}/member/a1b2c3d4e5.json");
    for (name, mode) in [("", 0o700), ("network", 0o700), (&network, 0o600), (&member, 0o600)] {
        let found = fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    let names = |name: &str| {
        let record: Value = serde_json::from_slice(&fs::read(path.join(name)).unwrap()).unwrap();
        record.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names(&network),
        "authTokens authorizationEndpoint capabilities clientId creationTime dns enableBroadcast id ipAssignmentPools \
         mtu multicastLimit name nwid objtype private remoteTraceLevel remoteTraceTarget revision routes rules \
         rulesSource ssoEnabled tags v4AssignMode v6AssignMode"
    );
    assert_eq!(
        names(&member),
        "activeBridge address authenticationExpiryTime authorized capabilities creationTime id ipAssignments \
         lastAuthorizedCredential lastAuthorizedCredentialType lastAuthorizedTime lastDeauthorizedTime \
         noAutoAssignIps nwid objtype remoteTraceLevel remoteTraceTarget revision ssoExempt tags vMajor vMinor vProto vRev"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_is_there_is_replaced_only_when_told_so() {
    let store = store();
    let directory = tempfile::tempdir().unwrap();
    for (number, format) in (77..).zip(FORMATS) {
        let path = directory.path().join(format!("{format:?}"));
        if format == Format::ControllerD {
            fs::create_dir(&path).unwrap();
        }
        write(&store, format, &path, false).unwrap();
        let before = files(&path);
        assert!(matches!(write(&store, format, &path, false), Err(ExportError::Exists { .. })));
        assert_eq!(files(&path), before);
        put_network(&store, &network(zt_proto::NetworkId(number)));
        write(&store, format, &path, true).unwrap();
        assert_ne!(files(&path), before);
        let other = Store::in_memory().unwrap();
        import(&path, &other, options()).unwrap();
        assert_eq!(content(&other), content(&store));
    }
    // Nothing else is left behind.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn export_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = directory.path().join("missing/target");
        let error = write(&store(), format, &path, false).unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn rules_that_the_official_controller_leaves_out_are_named() {
    use zt_proto::rules::{Rule, RuleBody};
    let store = store();
    let odd = Rule { not: false, or: false, body: RuleBody::Priority };
    put_network(&store, &Network { rules: vec![Rule::ACCEPT, odd], ..network(NETWORK) });
    let directory = tempfile::tempdir().unwrap();
    let exported = write(&store, Format::ControllerD, &directory.path().join("x"), false).unwrap();
    let warning = format!("network {NETWORK}, rules[1]: the official controller leaves this rule out");
    assert_eq!(exported.warnings, [warning]);
}

#[test]
fn line_that_cannot_be_read_is_reported_and_the_others_are_imported() {
    let store = store();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export");
    write(&store, Format::Json, &path, false).unwrap();
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"objtype\":\"member\",\"nwid\":\"8056c2e21c000099\",\"id\":\"1111111111\"}\n{\"objtype\":\"x\"}\n{\n");
    fs::write(&path, text).unwrap();
    let report = import(&path, &Store::in_memory().unwrap(), options()).unwrap();
    assert_eq!((report.networks.added, report.members.skipped), (1, 3));
    for (place, words) in
        [("line 3", "does not come before"), ("line 4", "objtype"), ("line 5", "ends too early")]
    {
        assert!(super::has_note(&report, NoteKind::Skipped, place, words), "{report}");
    }
}

#[test]
fn extra_fields_go_with_their_record() {
    let store = store();
    put_member(&store, &member_with(1, &[])).unwrap();
    let member = crate::sample::address(1);
    let fields = extra("a", 1.5);
    store.write(|tx| tx.members().put_extra(NETWORK, member, &fields)).unwrap();
    assert_eq!(store.read(|tx| tx.members().extra(NETWORK, member)).unwrap(), fields);
    store.write(|tx| tx.members().remove(NETWORK, member)).unwrap();
    assert_eq!(store.read(|tx| tx.members().extra(NETWORK, member)).unwrap(), Map::new());
    store.write(|tx| tx.networks().put_extra(NETWORK, &fields)).unwrap();
    store.write(|tx| tx.networks().put_extra(NETWORK, &Map::new())).unwrap();
    assert_eq!(store.read(|tx| tx.networks().extra(NETWORK)).unwrap(), Map::new());
    assert!(store.write(|tx| tx.networks().put_extra(zt_proto::NetworkId(5), &fields)).is_err());
}
