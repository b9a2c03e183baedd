//! Replays what the reference controller 1.14.1 decided, byte for byte (`testdata/vl2/`, `vl2.md` §20).
//!
//! Each step of each case is in exactly one of three tables: compared in full, deviating on purpose, or not
//! the business of this crate. API calls set the records to what the reference recorded after them, and the
//! pushes that followed are compared; pushes that followed a request are compared like the reply.

use std::collections::{BTreeMap, BTreeSet};

use ctl_core::addresses;
use ctl_core::decide::{Decision, Refusal, decide};
use ctl_core::request::{ConfigRequest, RequestKind};
use ctl_core::{Client, Issued, Member, Network, Snapshot, UnsignedConfig};
use serde_json::Value;
use zt_crypto::IdentitySecret;
use zt_proto::config::{NetworkConfig, TextConfig};
use zt_proto::dictionary::Dictionary;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::credentials::{assert_all_addresses_are_certified, assert_all_signatures_hold};
use crate::records::{self, GOLDEN, bytes};

/// Decision, dictionary and record are exactly those of the reference.
const EXACT: &[(&str, &[usize])] = &[
    ("unknown_network", &[0]),
    ("public_new_member", &[0]),
    ("private_new_member_denied", &[0, 1]),
    ("private_authorized_minimal", &[0]),
    ("identity_mismatch", &[0]),
    ("auth_token", &[0, 1, 2, 3, 4]),
    ("v4_auto_basic", &[0, 1]),
    ("v4_auto_collision", &[0]),
    ("v4_auto_skip_255", &[0]),
    ("v4_pool_edge", &[0, 1]),
    ("v4_routes_choice", &[1]),
    ("v6_rfc4193_6plane", &[0, 1]),
    ("v6_pool", &[0]),
    ("dns", &[0]),
    ("tags_defaults", &[0, 1]),
    ("capabilities", &[1]),
    ("rules_all_kinds", &[0]),
    ("rules_empty", &[0]),
    ("old_client_1_1_14", &[1]),
    ("mtu_multicast", &[0, 1, 2]),
    ("remote_trace", &[0]),
    ("sso_file_db", &[0, 1, 2]),
    ("credential_window", &[0, 1, 2]),
    ("rate_gate", &[0, 2, 3]),
    ("push_on_network_change", &[0, 1, 2, 3, 4]),
    ("deauthorize", &[0, 1, 2, 3, 4]),
    ("authorize_pending", &[0, 1, 2]),
    ("delete_member_and_network", &[0, 1, 2, 3, 4, 5]),
    ("name_escapes", &[0, 1]),
    ("static_unrouted", &[0, 1]),
    ("public_deauthorize", &[0]),
    ("address_order", &[0, 1, 2]),
];

/// A step with another outcome than the reference's, which is one of its faults.
struct Deviation {
    case: &'static str,
    step: usize,
    /// The fault (`vl2.md` §19) and what happens instead.
    why: &'static str,
    /// The decision, where that differs too; for an API call, that about the push that follows it.
    decision: Option<&'static str>,
    /// Keys of the dictionary whose values differ; the others must be equal.
    keys: &'static [&'static str],
    /// Checks the better values.
    better: fn(&NetworkConfig),
    /// Makes the record that the reference saved the one that is saved here.
    record: fn(&mut Member),
}

const DEVIATIONS: &[Deviation] = &[
    Deviation {
        case: "v4_pool_edge",
        step: 2,
        why: "§19.2: the last pool address is never assigned; here it is, when nothing else is left",
        decision: None,
        keys: &["I", "COO"],
        better: |config| assert_eq!(texts(&config.addresses), ["10.1.0.21/24"]),
        record: |member| member.ip_assignments.push("10.1.0.21".parse().unwrap()),
    },
    Deviation {
        case: "v4_routes_choice",
        step: 0,
        why: "§19.2: the first configuration carries another prefix than the next; here both have the longest",
        decision: None,
        keys: &["I"],
        better: |config| assert_eq!(texts(&config.addresses), ["10.2.3.102/24"]),
        record: |_| {},
    },
    Deviation {
        case: "static_assignments",
        step: 0,
        why: "§19.1 (11, 12): a default route gives prefix 0, and an IPv6 route with host bits contains nothing; \
              here the former gives no prefix, and host bits do not matter",
        decision: None,
        keys: &["I", "COO"],
        better: |config| {
            let expected = ["10.5.6.7/16", "10.77.0.1/8", "fd00:1::99/64", "fd00:2::99/64"];
            assert_eq!(texts(&config.addresses), expected);
        },
        record: |_| {},
    },
    Deviation {
        case: "static_assignments",
        step: 1,
        why: "§19.1 (11): an IPv6 route with host bits contains nothing; here host bits do not matter",
        decision: None,
        keys: &["I", "COO"],
        better: |config| assert_eq!(texts(&config.addresses), ["fd00:2::1/64"]),
        record: |_| {},
    },
    Deviation {
        case: "routes",
        step: 0,
        why: "§1: 10.9.0.0/99 and 10.8.0.0 are sent as they are; here they are no routes at all, as one that a \
              client cannot take breaks its network (known flaw 12)",
        decision: None,
        keys: &["RT"],
        better: |config| {
            let targets: Vec<_> = config.routes.iter().map(|route| route.target).collect();
            assert_eq!(
                texts(&targets),
                ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8", "172.16.0.0/12", "0.0.0.0/0"]
            );
        },
        record: |_| {},
    },
    Deviation {
        case: "capabilities",
        step: 0,
        why: "§19.2: default capabilities are missed by members whose record is older than their first \
              admission; here they are not",
        decision: None,
        keys: &["CAP"],
        better: |config| {
            let ids: Vec<_> = config.capabilities.iter().map(|capability| capability.id).collect();
            assert_eq!(ids, [3000, 2, 1]);
        },
        record: |member| member.capabilities.push(1),
    },
    Deviation {
        case: "bridges",
        step: 0,
        why: "§19.1 (22): bridges that are not authorized are announced too; here they are not",
        decision: None,
        keys: &["S"],
        better: |config| assert_eq!(bridges(config), ["0a0a0a0a0a", "97f6703e6c"]),
        record: |_| {},
    },
    Deviation {
        case: "bridges",
        step: 1,
        why: "§19.1 (22): bridges that are not authorized are announced too; here they are not",
        decision: None,
        keys: &["S"],
        better: |config| assert_eq!(bridges(config), ["0a0a0a0a0a", "97f6703e6c"]),
        record: |_| {},
    },
    Deviation {
        case: "remote_trace",
        step: 1,
        why: "§19.2: the level of a member is forced to 0; here it stays",
        decision: None,
        keys: &["tl"],
        better: |config| assert_eq!(config.trace_level, 3),
        record: |member| member.remote_trace.level = 3,
    },
    Deviation {
        case: "credential_window",
        step: 3,
        why: "§19.2: a field of a wrong type kills the request; here it counts as absent (known flaw 6)",
        decision: Some("config"),
        keys: &[],
        better: |config| assert_eq!(config.credential_window, 1_800_000),
        record: |_| {},
    },
    Deviation {
        case: "token_on_default_tokens",
        step: 0,
        why: "§19.2: a token presented to a network without tokens kills the request; here it is denied",
        decision: Some("error:access_denied"),
        keys: &[],
        better: |_| {},
        record: |_| {},
    },
    Deviation {
        case: "old_client_1_1_14",
        step: 0,
        why: "§8.3: keys that clients of 1.1.6 to 1.1.14 do not know are sent to them; here they get the form of their \
              time, so that more fits into the one packet that they take",
        decision: None,
        keys: &[],
        better: |_| {},
        record: |_| {},
    },
    Deviation {
        case: "old_client_1_0_5",
        step: 0,
        why: "§19.2: clients before 1.1.6 get a form that they cannot read; here they get theirs",
        decision: None,
        keys: &[],
        better: |_| {},
        record: |_| {},
    },
    Deviation {
        case: "empty_metadata",
        step: 0,
        why: "§19.2: clients before 1.1.6 get a form that they cannot read; here they get theirs",
        decision: None,
        keys: &[],
        better: |_| {},
        record: |_| {},
    },
    Deviation {
        case: "public_deauthorize",
        step: 1,
        why: "§19.2: de-authorizing on a public network is undone at once; here it sticks",
        decision: Some("error:access_denied"),
        keys: &[],
        better: |_| {},
        record: |member| member.deauthorize(Timestamp(1_700_000_003_000)),
    },
    Deviation {
        case: "public_deauthorize",
        step: 2,
        why: "§19.2: de-authorizing on a public network is undone at once; here it sticks",
        decision: Some("error:access_denied"),
        keys: &[],
        better: |_| {},
        record: |_| {},
    },
    Deviation {
        case: "v6_pool_small",
        step: 0,
        why: "§10.11: the reference takes a random address; here it is computed from the member's",
        decision: None,
        keys: &["I", "COO"],
        better: |config| assert_eq!(texts(&config.addresses), ["fd12::16c/64"]),
        record: |member| member.ip_assignments = vec!["fd12::16c".parse().unwrap()],
    },
    Deviation {
        case: "api_member_post",
        step: 3,
        why: "§19.2: an address that is in the record twice is sent twice; here a record holds it once",
        decision: None,
        keys: &["I", "COO"],
        better: |config| assert_eq!(texts(&config.addresses), ["10.1.0.5/24"]),
        record: |_| {},
    },
    Deviation {
        case: "max_sizes",
        step: 0,
        why: "§19.2: the addresses after the 16th are not certified; here a second certificate has them",
        decision: None,
        keys: &["COO"],
        better: |config| {
            let sizes: Vec<_> =
                config.ownerships.iter().map(|ownership| (ownership.id, ownership.things.len())).collect();
            assert_eq!(sizes, [(1, 16), (2, 16)]);
        },
        record: |_| {},
    },
];

const OUT_OF_SCOPE: &[(&str, &[usize], &str)] = &[
    ("unknown_network", &[1], "an API answer"),
    ("foreign_network_id", &[0], "the node drops requests for networks of other controllers"),
    ("identity_mismatch", &[1], "a record with an unreadable identity is for the import to report"),
    ("rate_gate", &[1], "the node drops requests that come too fast"),
    ("api_network_post", &[0, 1, 2, 3, 4], "normalisation of API input"),
    ("api_member_post", &[0, 1, 2, 4, 5], "normalisation of API input, API answers"),
];

#[test]
fn every_recorded_step_is_decided_as_the_tables_say() {
    let mut seen = BTreeSet::new();
    let max_sizes = serde_json::from_str(include_str!("../../testdata/vl2/golden_max_sizes.json")).unwrap();
    for file in [&*GOLDEN, &max_sizes] {
        for case in file["cases"].as_array().unwrap() {
            Replay::new(file, case).run(&mut seen);
        }
    }
    let listed: usize = EXACT.iter().map(|(_, steps)| steps.len()).sum::<usize>()
        + DEVIATIONS.len()
        + OUT_OF_SCOPE.iter().map(|(_, steps, _)| steps.len()).sum::<usize>();
    assert_eq!(seen.len(), listed, "a table names a step that does not exist, or names it twice");
    let count = |steps: &mut dyn Iterator<Item = &&[usize]>| steps.map(|steps| steps.len()).sum::<usize>();
    let equal = count(&mut EXACT.iter().map(|(_, steps)| steps));
    let elsewhere = count(&mut OUT_OF_SCOPE.iter().map(|(_, steps, _)| steps));
    println!(
        "golden steps: {equal} equal, {} deviating as specified, {elsewhere} not of this crate, {} in all",
        DEVIATIONS.len(),
        seen.len()
    );
    for Deviation { case, step, why, .. } in DEVIATIONS {
        println!("  {case} step {step}: {why}");
    }
}

/// Where a step is listed.
enum Listed {
    Exact,
    Deviating(&'static Deviation),
    OutOfScope,
}

/// # Panics
/// If the step is in no table or in more than one.
fn listed(case: &str, step: usize) -> Listed {
    let exact =
        EXACT.iter().filter(|(name, steps)| *name == case && steps.contains(&step)).map(|_| Listed::Exact);
    let deviating = DEVIATIONS.iter().filter(|deviation| deviation.case == case && deviation.step == step);
    let out_of_scope = OUT_OF_SCOPE.iter().filter(|(name, steps, _)| *name == case && steps.contains(&step));
    let mut all: Vec<_> = exact
        .chain(deviating.map(Listed::Deviating))
        .chain(out_of_scope.map(|_| Listed::OutOfScope))
        .collect();
    assert_eq!(all.len(), 1, "step {step} of {case} must be in exactly one table");
    all.remove(0)
}

/// The records of one case, and the nodes of its file.
struct Replay<'a> {
    case: &'a Value,
    name: &'a str,
    controller: IdentitySecret,
    identities: BTreeMap<&'a str, PublicIdentity>,
    networks: BTreeMap<NetworkId, Network>,
    members: BTreeMap<(NetworkId, Address), Member>,
    /// Metadata of the last request of each node.
    metadata: BTreeMap<(NetworkId, Address), RequestMetadata>,
}

impl<'a> Replay<'a> {
    fn new(file: &'a Value, case: &'a Value) -> Self {
        let identities = file["identities"].as_object().unwrap();
        let networks = case["networks"].as_array().unwrap().iter().map(records::network);
        let members = case["members"].as_array().unwrap().iter();
        let readable = members.filter(|record| record["identity"] != "garbage").map(records::member);
        Self {
            case,
            name: case["name"].as_str().unwrap(),
            controller: file["controllerIdentitySecret"].as_str().unwrap().parse().unwrap(),
            identities: identities
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str().unwrap().parse().unwrap()))
                .collect(),
            networks: networks.map(|network| (network.id, network)).collect(),
            members: readable.map(|member| ((member.network, member.address), member)).collect(),
            metadata: BTreeMap::new(),
        }
    }

    fn run(mut self, seen: &mut BTreeSet<(String, usize)>) {
        for (index, step) in self.case["steps"].as_array().unwrap().iter().enumerate() {
            assert!(seen.insert((self.name.to_owned(), index)));
            let deviation = match listed(self.name, index) {
                Listed::Exact => None,
                Listed::Deviating(deviation) => Some(deviation),
                Listed::OutOfScope => {
                    self.take_recorded_changes(step);
                    continue;
                }
            };
            if step["op"] == "request" {
                self.replay_request(index, step, deviation);
            } else {
                self.take_recorded_changes(step);
                self.correct_recorded_changes(step, deviation);
            }
            self.replay_pushes(index, step, deviation);
        }
    }

    fn replay_request(&mut self, index: usize, step: &Value, deviation: Option<&Deviation>) {
        let why = deviation.map(|deviation| deviation.why).unwrap_or_default();
        let context = format!("{} step {index} {why}", self.name);
        let result = &step["result"];
        let identity = self.identities[step["identity"].as_str().unwrap()];
        let network = records::network_id(&step["nwid"]);
        let request = ConfigRequest {
            network,
            identity,
            metadata: RequestMetadata::parse(&bytes(&step["metadataHex"])),
            kind: RequestKind::Request,
        };
        let key = (network, identity.address);
        let decision = self.decide(&request, step);
        let recorded = deviation.and_then(|deviation| deviation.decision);
        let recorded = recorded.unwrap_or_else(|| result["decision"].as_str().unwrap());
        let saved = match &decision {
            Decision::Admit { config, member, .. } => {
                assert_eq!(recorded, "config", "{context}");
                self.metadata.insert(key, request.metadata.clone());
                self.compare(config, identity, "reply", step, deviation, &context);
                member
            }
            Decision::Refuse { refusal, member } => {
                let name = match refusal {
                    Refusal::UnknownNetwork => "error:object_not_found",
                    Refusal::AccessDenied => "error:access_denied",
                    Refusal::AuthenticationRequired => "error:authentication_required",
                };
                assert_eq!(recorded, name, "{context}");
                if deviation.is_none() {
                    let details = refusal.details();
                    assert_eq!(details, bytes(&result["errors"][0]["detailsHex"]), "{context}");
                }
                member
            }
        };
        let changed = result["membersChanged"].as_array().into_iter().flatten().map(records::member);
        let mut recorded = changed.into_iter().find(|member| member.address == identity.address);
        if let (Some(deviation), Some(member)) = (deviation, &mut recorded) {
            (deviation.record)(member);
        }
        // The record of the largest case was left out of its file.
        let is_recorded =
            self.name != "max_sizes" && deviation.is_none_or(|deviation| deviation.decision.is_none());
        if is_recorded {
            assert_eq!(saved, &recorded, "{context}");
        }
        if let Some(saved) = saved {
            self.members.insert(key, saved.clone());
        }
    }

    /// Decides again for each configuration that the reference pushed in this step.
    fn replay_pushes(&self, index: usize, step: &Value, deviation: Option<&Deviation>) {
        let why = deviation.map(|deviation| deviation.why).unwrap_or_default();
        let context = format!("{} step {index}, push {why}", self.name);
        let network = records::network_id(&step["nwid"]);
        for recorded in step["result"]["configs"].as_array().unwrap() {
            let address: Address = recorded["to"].as_str().unwrap().parse().unwrap();
            // The push of the largest case was left out of its file.
            if recorded["kind"] != "push" || recorded["dictHex"].is_null() {
                continue;
            }
            let identity = *self.identities.values().find(|identity| identity.address == address).unwrap();
            let metadata = self.metadata[&(network, address)].clone();
            let request = ConfigRequest { network, identity, metadata, kind: RequestKind::Push };
            let decision = self.decide(&request, step);
            if deviation.is_some_and(|deviation| deviation.decision == Some("error:access_denied")) {
                let refused = Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
                assert_eq!(decision, refused, "{context}");
                continue;
            }
            let Decision::Admit { config, member, .. } = decision else { panic!("{context}: refused") };
            assert_eq!(member, None, "{context}: a push changes nothing");
            self.compare(&config, identity, "push", step, deviation, &context);
        }
    }

    fn decide(&self, request: &ConfigRequest, step: &Value) -> Decision {
        let now = Timestamp(step["now"].as_u64().unwrap());
        let snapshot = self.snapshot(request.network, request.identity.address);
        let decision = decide(snapshot.as_ref(), request, now);
        assert_eq!(decision, decide(snapshot.as_ref(), request, now), "equal inputs, equal decisions");
        decision
    }

    /// Does what the store does.
    fn snapshot(&self, network: NetworkId, address: Address) -> Option<Snapshot> {
        let network = self.networks.get(&network)?.clone();
        let member = self.members.get(&(network.id, address)).cloned();
        let others = self.members.values().filter(|other| other.network == network.id);
        let bridges = others.clone().filter(|other| other.authorized && other.active_bridge);
        let occupied = if addresses::needs_pool(&network, member.as_ref()) {
            let others = others.clone().filter(|other| other.address != address);
            others.flat_map(|other| other.ip_assignments.iter().copied()).collect()
        } else {
            addresses::Occupied::default()
        };
        let bridges = bridges.map(|bridge| bridge.address).collect();
        Some(Snapshot { bridges, network: network.into(), member, occupied: occupied.into() })
    }

    /// Compares a configuration with the one that the reference issued to the same node in the same way.
    fn compare(
        &self,
        unsigned: &UnsignedConfig,
        identity: PublicIdentity,
        kind: &str,
        step: &Value,
        deviation: Option<&Deviation>,
        context: &str,
    ) {
        let config = unsigned.sign(&self.controller);
        let issued = unsigned.issue(&self.controller).unwrap();
        assert_eq!(issued.left_out(), 0, "{context}");
        assert_all_signatures_hold(&config, self.controller.public(), &identity);
        if let Some(deviation) = deviation {
            (deviation.better)(&config);
            if deviation.decision.is_some() {
                return;
            }
        }
        let to = identity.address.to_string();
        let configs = step["result"]["configs"].as_array().unwrap();
        let recorded = configs.iter().find(|config| config["to"] == to && config["kind"] == kind).unwrap();
        let (recorded, written) = (bytes(&recorded["dictHex"]), issued.dictionary());
        if !issued.client().is_modern() {
            assert!(deviation.is_some(), "{context}: another form, which is to be in the table");
            return assert_says_the_same(&issued, &recorded, context);
        }
        assert_all_addresses_are_certified(&config);
        let differing = deviation.map(|deviation| deviation.keys).unwrap_or_default();
        let without_differing = |dictionary: &[u8]| {
            let mut values = values(dictionary);
            values.retain(|key, _| !differing.contains(&key.as_str()));
            values
        };
        assert_eq!(without_differing(&written), without_differing(&recorded), "{context}");
        if deviation.is_none() {
            assert_eq!(written, recorded, "{context}: order or escapes");
        }
    }

    fn take_recorded_changes(&mut self, step: &Value) {
        let result = &step["result"];
        let path = step["path"].as_str().unwrap_or_default();
        if step["op"] == "DELETE" && !path.contains("/member/") {
            self.networks.remove(&records::network_id(&step["nwid"]));
        }
        if result["networkChanged"].is_object() {
            let network = records::network(&result["networkChanged"]);
            self.networks.insert(network.id, network);
        }
        for record in result["membersChanged"].as_array().into_iter().flatten() {
            let member = records::member(record);
            self.members.insert((member.network, member.address), member);
        }
        for address in result["membersRemoved"].as_array().into_iter().flatten() {
            let network = records::network_id(&step["nwid"]);
            self.members.remove(&(network, address.as_str().unwrap().parse().unwrap()));
        }
    }

    /// Makes the records that an API call left those that it leaves here.
    fn correct_recorded_changes(&mut self, step: &Value, deviation: Option<&Deviation>) {
        let Some(deviation) = deviation else { return };
        for record in step["result"]["membersChanged"].as_array().into_iter().flatten() {
            let changed = records::member(record);
            if let Some(member) = self.members.get_mut(&(changed.network, changed.address)) {
                (deviation.record)(member);
            }
        }
    }
}

/// Compares a configuration for a client before 1.2.0 with the modern one that the reference issued to it.
fn assert_says_the_same(issued: &Issued, recorded: &[u8], context: &str) {
    let recorded = NetworkConfig::parse(recorded).unwrap();
    if let Client::Text { knows_routes, .. } = issued.client() {
        let mut expected = TextConfig::of(&recorded, vec![TextConfig::EVERY_ETHER_TYPE], knows_routes);
        expected.membership = expected.membership.filter(|_| recorded.private);
        assert_eq!(TextConfig::parse(&issued.dictionary()).unwrap(), expected, "{context}");
    } else {
        let expected = NetworkConfig::parse(&recorded.write_version_6()).unwrap();
        assert_eq!(NetworkConfig::parse(&issued.dictionary()).unwrap(), expected, "{context}");
    }
}

/// The values of a dictionary by key.
fn values(dictionary: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let lines = dictionary.split(|byte| *byte == b'\n');
    let keys = lines
        .map(|line| String::from_utf8_lossy(line.split(|byte| *byte == b'=').next().unwrap()).into_owned());
    let dictionary = Dictionary::new(dictionary);
    keys.map(|key| (key.clone(), dictionary.bytes(&key).unwrap().into_owned())).collect()
}

fn texts(prefixes: &[zt_proto::IpPrefix]) -> Vec<String> {
    prefixes.iter().map(ToString::to_string).collect()
}

fn bridges(config: &NetworkConfig) -> Vec<String> {
    config.specialists.iter().map(|specialist| specialist.address.to_string()).collect()
}
