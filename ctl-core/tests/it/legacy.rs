//! What members of 2015 and 2016 are told, beside what the controllers of their time told them (`vl2.md` §8, §13,
//! §14): the records are those that an import of their databases gives.

use std::collections::{BTreeMap, BTreeSet};

use ctl_core::{Client, ConfigRequest, Decision, Issued, RequestKind, Snapshot, decide};
use serde_json::Value;
use zt_proto::config::{NetworkConfig, Relay, TextConfig};
use zt_proto::inet::EndpointText;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{PublicIdentity, Timestamp};

use crate::credentials::unsigned;
use crate::decisions::{controller, member, network, request, snapshot};
use crate::records::{self, bytes};

/// Fields that differ from what a controller of that version sent, and why that is right.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    (
        "0d0af07ce9",
        "membership",
        "carries the time and the identity, not a revision; §8.2: those clients accept it",
    ),
    ("0d0af07ce9", "addresses", "§13.2: that controller sent 0.0.0.0 from the second request on"),
    ("1.0.4", "membership", "longer window, and the identity; §8.2"),
    ("1.0.4", "revision", "a change of a member no longer raises the revision of the network"),
    ("1.0.4", "addresses", "the IPv6 segment is a route as well"),
    ("1.1.4", "membership", "longer window, and the identity; §8.2"),
    ("1.1.4", "revision", "a change of a member no longer raises the revision of the network"),
    ("1.1.4", "addresses", "the IPv6 segment is a route as well"),
    ("1.1.14", "membership", "longer window, and the identity; in public networks too, §5"),
    ("1.1.14", "name", "§19.1 (5): a client of 1.0.5 was sent an escape that it reads as the letter e"),
    ("1.1.14", "revision", "a change of a member no longer raises the revision of the network"),
    ("1.1.14", "routes", "§15.1: flags and metric of a route have no modern counterpart"),
    (
        "1.1.14",
        "addresses",
        "active bridges get an address too; a client of 1.0.5 gets the segment as a route",
    ),
    ("1.1.14", "relays", "a client of 1.0.5 gets their physical addresses"),
];

#[test]
fn old_members_are_told_what_the_controllers_of_their_time_told_them() {
    let calls: Value =
        serde_json::from_str(include_str!("../../testdata/vl2/legacy_controllers.json")).unwrap();
    let imports: Value = serde_json::from_str(include_str!("../../testdata/vl2/legacy_import.json")).unwrap();
    let identities: BTreeMap<_, PublicIdentity> = calls["identities"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, identity)| (name.as_str(), identity.as_str().unwrap().parse().unwrap()))
        .collect();
    let (mut differing, mut count) = (BTreeSet::new(), 0);
    for version in calls["versions"].as_array().unwrap() {
        let name = version["version"].as_str().unwrap();
        let import = imports["versions"].as_array().unwrap().iter().find(|import| import["version"] == name);
        for step in version["steps"].as_array().unwrap() {
            if step["dictHex"].as_str().is_none_or(str::is_empty) {
                continue;
            }
            let recorded = bytes(&step["dictHex"]);
            let args = &step["args"];
            let identity = identities[args["identity"].as_str().unwrap()];
            let snapshot = imported(import.unwrap(), &step["target"], &identity);
            let request = ConfigRequest {
                network: snapshot.network.id,
                identity,
                metadata: RequestMetadata::parse(&bytes(&args["metaHex"])),
                kind: RequestKind::Request,
            };
            let decision = decide(Some(&snapshot), &request, issued_at(&recorded));
            let Decision::Admit { config, .. } = decision else { panic!("{name}: {decision:?}") };
            let issued = config.issue(&controller()).unwrap();
            assert_eq!(issued.left_out(), 0);
            differing.extend(differences(&issued, &recorded).into_iter().map(|field| (name, field)));
            count += 1;
        }
    }
    assert_eq!(count, 26);
    let listed: BTreeSet<_> = DEVIATIONS.iter().map(|(version, field, _)| (*version, *field)).collect();
    assert_eq!(differing, listed, "the table says what differs");
}

/// Returns the records of an import as the operator completed them: with relays, which are never taken over by
/// themselves, and with the authorizations that a database of 2015 cannot be believed.
fn imported(import: &Value, network: &Value, identity: &PublicIdentity) -> Snapshot {
    let find = |list: &str, key: &str, value: &Value| {
        import[list]
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record[key] == *value)
            .cloned()
            .collect::<Vec<_>>()
    };
    let record = find("networks", "id", network).remove(0);
    let mut network_record = records::network(&record);
    network_record.passive_bridging = record["legacy"]["allowPassiveBridging"].as_bool().unwrap();
    network_record.relays = record["legacy"]["relays"].as_array().unwrap().iter().map(relay).collect();
    let members = find("members", "nwid", network);
    let members: Vec<_> = members.iter().map(records::member).collect();
    let mut asking = members.iter().find(|member| member.address == identity.address).unwrap().clone();
    asking.authorized = true;
    let bridges = members.iter().filter(|member| member.active_bridge).map(|member| member.address).collect();
    Snapshot { bridges, ..snapshot(network_record, Some(asking)) }
}

fn relay(relay: &Value) -> Relay {
    let EndpointText(endpoint) = relay["phyAddress"].as_str().unwrap().parse().unwrap();
    Relay { address: relay["address"].as_str().unwrap().parse().unwrap(), endpoint: Some(endpoint) }
}

fn issued_at(recorded: &[u8]) -> Timestamp {
    NetworkConfig::parse(recorded)
        .map(|config| config.timestamp)
        .unwrap_or_else(|_| TextConfig::parse(recorded).unwrap().timestamp)
}

/// Returns the names of the fields that are not the same in both.
fn differences(issued: &Issued, recorded: &[u8]) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut compare = |field, is_same: bool| fields.extend((!is_same).then_some(field));
    if let Client::Text { .. } = issued.client() {
        let (ours, theirs) =
            (TextConfig::parse(&issued.dictionary()).unwrap(), TextConfig::parse(recorded).unwrap());
        compare("membership", ours.membership == theirs.membership);
        compare("revision", ours.revision == theirs.revision);
        compare("addresses", ours.addresses == theirs.addresses);
        compare("relays", ours.relays == theirs.relays);
        compare("name", ours.name == theirs.name);
        let same = TextConfig {
            name: ours.name.clone(),
            membership: ours.membership.clone(),
            revision: ours.revision,
            addresses: ours.addresses.clone(),
            relays: ours.relays.clone(),
            ..theirs
        };
        assert_eq!(ours, same, "all other fields");
    } else {
        let (ours, theirs) =
            (NetworkConfig::parse(&issued.dictionary()).unwrap(), NetworkConfig::parse(recorded).unwrap());
        compare("membership", ours.membership == theirs.membership);
        compare("revision", ours.revision == theirs.revision);
        compare("addresses", ours.addresses == theirs.addresses);
        compare("routes", ours.routes == theirs.routes);
        let same = NetworkConfig {
            membership: ours.membership.clone(),
            revision: ours.revision,
            addresses: ours.addresses.clone(),
            routes: ours.routes.clone(),
            ..theirs
        };
        assert_eq!(ours, same, "all other fields");
    }
    fields
}

/// `vl2.md` §4.1, §8.4.
#[test]
fn an_old_client_gets_one_piece_and_is_pushed_nothing_but_the_wish_to_ask() {
    for config_version in [0, 6] {
        let metadata = RequestMetadata { config_version, rules_engine: 0, ..request().metadata };
        let issued = unsigned(&snapshot(network(), Some(member())), metadata).issue(&controller()).unwrap();
        let reply = issued.reply(std::num::NonZeroU64::MIN, &controller());
        let [payload] = &reply[..] else { panic!("one packet") };
        let mut expected = network().id.0.to_be_bytes().to_vec();
        expected.extend(u16::try_from(issued.dictionary().len()).unwrap().to_be_bytes());
        expected.extend(issued.dictionary());
        assert_eq!(*payload, expected, "nothing follows the dictionary");
        let push = issued.push(std::num::NonZeroU64::MIN, &controller());
        assert_eq!(push, [network().id.0.to_be_bytes().to_vec()]);
    }
}

/// Zero means 32 to them.
#[test]
fn a_network_without_multicast_has_as_little_of_it_as_old_clients_understand() {
    let mut quiet = network();
    quiet.multicast_limit = 0;
    let metadata = RequestMetadata { config_version: 0, ..request().metadata };
    let issued = unsigned(&snapshot(quiet, Some(member())), metadata).issue(&controller()).unwrap();
    let text = TextConfig::parse(&issued.dictionary()).unwrap();
    assert_eq!((text.multicast_limit, text.broadcast), (1, false));
}

/// What does not fit into the one packet is cut, evenly, and the server is told how much.
#[test]
fn a_network_that_is_too_large_for_an_old_client_is_cut_until_it_fits() {
    let mut large = network();
    let route =
        |n: u16| ctl_core::network::Route { target: format!("fd00:{n:x}::/32").parse().unwrap(), via: None };
    large.routes = (0..128).map(route).collect();
    large.relays = (0..200)
        .map(|n| Relay {
            address: zt_proto::Address::from_low_bits(n + 1),
            endpoint: Some(([10, 0, 0, 1], 9993).into()),
        })
        .collect();
    let mut cut = Vec::new();
    for config_version in [0, 6] {
        let metadata = RequestMetadata { config_version, ..request().metadata };
        let issued =
            unsigned(&snapshot(large.clone(), Some(member())), metadata).issue(&controller()).unwrap();
        assert!(issued.dictionary().len() <= NetworkConfig::MAX_LEN_BEFORE_1_2_0);
        cut.push((issued.left_out(), issued.dictionary().len()));
    }
    // One more of each list would not have fitted; one of version 6 has 32 routes in any case.
    let [(text_cut, text_len), (cut, _)] = cut[..] else { panic!("two clients") };
    assert!(text_cut > 100 && text_len > NetworkConfig::MAX_LEN_BEFORE_1_2_0 - 150, "{text_cut} {text_len}");
    assert!(cut >= 128 - 32, "{cut}");
}
