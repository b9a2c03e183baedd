//! Replays single tables and single sides (`testdata/rules/evaluate_table.json`, `evaluate_side.json`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ctl_core::rules::evaluate::{
    Client, Credentials, Decider, Direction, Frame, Grade, HeldCapability, Settings, TableOutcome,
    TableVerdict, View, evaluate_side, evaluate_table,
};
use serde_json::{Value, json};
use zt_proto::rules::{Rule, parse_table};
use zt_proto::{Address, Mac, NetworkId};

use crate::json::{hex, mac_of, rules, text, vectors};

const TABLE: &str = include_str!("../../testdata/rules/evaluate_table.json");
const SIDE: &str = include_str!("../../testdata/rules/evaluate_side.json");
pub(crate) const NETWORK: NetworkId = NetworkId(0x1122_3344_5566_7788);

#[test]
fn tables_end_as_at_official_clients() {
    let all = vectors(TABLE);
    let (mut newer, mut older) = (0, 0);
    for vector in &all {
        let rules = parse_table(&hex(text(vector, "rules_hex"))).unwrap();
        assert_eq!(table(vector, &rules, Client::Since1_14), vector["expect"], "{}", vector["name"]);
        newer += 1;
        let before = &vector["expect_before_1_14"];
        let expected = if before.is_null() { &vector["expect"] } else { before };
        assert_eq!(table(vector, &rules, Client::Before1_14), *expected, "{}, before 1.14", vector["name"]);
        older += 1;
    }
    assert_eq!((newer, older), (726, 726));
}

#[test]
fn sources_of_the_tables_compile_to_them() {
    let mut compared = 0;
    for vector in vectors(TABLE) {
        let Some(source) = vector["source"].as_str() else { continue };
        // A faulty mask of the official compiler, or host bits, give another table than the source says.
        let Ok(compiled) = ctl_core::rules::compile(source) else { continue };
        let rules = parse_table(&hex(text(&vector, "rules_hex"))).unwrap();
        compared += usize::from(compiled.base.rules == rules);
    }
    assert_eq!(compared, 670, "of 682; 8 of the others have host bits, which are cleared, and 4 are refused");
}

fn table(vector: &Value, rules: &[Rule], client: Client) -> Value {
    let held = Held::of(vector);
    let payload = hex(text(vector, "frame"));
    let mut draws = vector["draws"].as_array().into_iter().flatten();
    let mut draw = || draws.next().map_or(1, |draw| draw.as_u64().unwrap().try_into().unwrap());
    let outcome =
        evaluate_table(rules, &held.view(vector, client), &frame(vector, &payload), &mut draw, &mut ());
    render(&outcome)
}

fn render(outcome: &TableOutcome) -> Value {
    let copy = outcome
        .copy
        .map(|copy| json!({ "to": copy.to.to_string(), "length": copy.length, "watch": copy.watch }));
    let result = match outcome.verdict {
        TableVerdict::NoMatch => "no_match",
        TableVerdict::Drop => "drop",
        TableVerdict::Accept => "accept",
        TableVerdict::SuperAccept => "super_accept",
        TableVerdict::Redirect(_) => "redirect",
    };
    let mut rendered = json!({ "result": result, "by": outcome.by, "tee": copy });
    if let TableVerdict::Redirect(to) = outcome.verdict {
        rendered["redirect_to"] = to.to_string().into();
    }
    rendered
}

#[test]
fn sides_end_as_at_official_clients() {
    let all = vectors(SIDE);
    for vector in &all {
        let name = &vector["name"];
        let held = Held::of(vector);
        let (local, remote) = (tables(&vector["local_capabilities"]), tables(&vector["remote_capabilities"]));
        let (local, remote) = (capabilities(&local), capabilities(&remote));
        let mut view = held.view(vector, Client::Since1_14);
        view.credentials.capabilities = &local;
        // Whoever has pushed a capability has shown something.
        let nothing = BTreeMap::new();
        let empty = Credentials { tags: &nothing, capabilities: &[], addresses: &[], macs: &[] };
        if !remote.is_empty() {
            view.other = Some(Credentials { capabilities: &remote, ..view.other.unwrap_or(empty) });
        }
        let payload = hex(text(vector, "frame"));
        let copies = !vector["no_tee"].as_bool().unwrap();
        let rules = rules(&vector["rules"]);
        let outcome = evaluate_side(&rules, &view, &frame(vector, &payload), copies, &mut || 0, &mut ());
        let expect = &vector["expect"];
        assert_eq!(grade(outcome.grade), expect["accept"], "{name}");
        check_by(outcome.by, &expect["by"], name);
        assert_eq!(sent(outcome.sent()), expect["sent"], "{name}");
        let base = TableOutcome { verdict: outcome.base, by: None, copy: None };
        assert_eq!(render(&base)["result"], expect["base_result"], "{name}");
    }
    assert_eq!(all.len(), 60);
}

#[test]
fn verdict_takes_no_memory() {
    for vector in vectors(SIDE) {
        let held = Held::of(&vector);
        let (local, rules) = (tables(&vector["local_capabilities"]), rules(&vector["rules"]));
        let local = capabilities(&local);
        let mut view = held.view(&vector, Client::Since1_14);
        view.credentials.capabilities = &local;
        let payload = hex(text(&vector, "frame"));
        let frame = frame(&vector, &payload);
        let used = allocation_counter::measure(|| {
            evaluate_side(&rules, &view, &frame, true, &mut || 0, &mut ());
        });
        assert_eq!(used.count_total, 0, "{}", vector["name"]);
    }
}

pub(crate) fn grade(grade: Grade) -> u64 {
    match grade {
        Grade::Dropped => 0,
        Grade::Accepted => 1,
        Grade::SuperAccepted => 2,
    }
}

pub(crate) fn check_by(by: Decider, expect: &Value, name: &Value) {
    if let Some(any) = expect["any_of"].as_array() {
        assert!(any.contains(&by.capability.into()), "{name}: {by:?}");
        return;
    }
    let table = if expect["table"] == "base" { None } else { Some(expect["id"].as_u64().unwrap()) };
    assert_eq!(by.capability.map(u64::from), table, "{name}");
    assert_eq!(by.index.map(|index| index as u64), expect["index"].as_u64(), "{name}");
}

pub(crate) fn sent(sent: impl Iterator<Item = ctl_core::rules::evaluate::Sent>) -> Value {
    sent.map(|sent| json!({ "to": sent.to.to_string(), "flags": sent.flags, "length": sent.length }))
        .collect()
}

fn tables(capabilities: &Value) -> Vec<(u32, Vec<Rule>)> {
    let capabilities = capabilities.as_array().unwrap().iter();
    let mut tables: Vec<_> = capabilities
        .map(|capability| {
            (capability["id"].as_u64().unwrap().try_into().unwrap(), rules(&capability["rules"]))
        })
        .collect();
    tables.sort_by_key(|(id, _)| *id);
    tables
}

fn capabilities(tables: &[(u32, Vec<Rule>)]) -> Vec<HeldCapability<'_>> {
    tables.iter().map(|(id, rules)| HeldCapability { id: *id, rules }).collect()
}

fn address(value: &Value) -> Address {
    value.as_str().map_or(Address::NONE, |address| address.parse().unwrap())
}

fn frame<'p>(vector: &Value, payload: &'p [u8]) -> Frame<'p> {
    let number = |field: &str| vector[field].as_u64().unwrap().try_into().unwrap();
    let (source, dest) = (mac_of(text(vector, "macsrc")), mac_of(text(vector, "macdst")));
    Frame::new(source, dest, number("ethertype"), number("vlan"), payload)
}

/// What a vector says of the two members.
struct Held {
    local_tags: BTreeMap<u32, u32>,
    remote_tags: BTreeMap<u32, u32>,
    local: (Vec<IpAddr>, Vec<Mac>),
    remote: (Vec<IpAddr>, Vec<Mac>),
    assigned: Vec<IpAddr>,
}

impl Held {
    fn of(vector: &Value) -> Self {
        let tags = |field: &str| {
            let tags = vector[field].as_object().into_iter().flatten();
            tags.map(|(id, value)| (id.parse().unwrap(), value.as_u64().unwrap().try_into().unwrap()))
                .collect()
        };
        let own = |field: &str| {
            let things: Vec<_> =
                vector[field].as_array().into_iter().flatten().map(|thing| thing.as_str().unwrap()).collect();
            let ips = things.iter().filter_map(|thing| thing.parse().ok()).collect();
            let macs = things.iter().filter(|thing| thing.parse::<IpAddr>().is_err());
            (ips, macs.map(|thing| mac_of(thing)).collect())
        };
        let assigned = vector["static_ips"].as_array().into_iter().flatten();
        let assigned = assigned.map(|ip| ip.as_str().unwrap().split('/').next().unwrap().parse().unwrap());
        Self {
            local_tags: tags("local_tags"),
            remote_tags: tags("remote_tags"),
            local: own("local_own"),
            remote: own("remote_own"),
            assigned: assigned.collect(),
        }
    }

    fn view(&self, vector: &Value, client: Client) -> View<'_> {
        let flags = vector["flags"].as_u64().unwrap_or(0);
        let is_known = !vector["remote_tags"].is_null() || vector.get("remote_own").is_some();
        let is_expired = vector["remote_credentials_expired"] == true;
        let other = Credentials {
            tags: &self.remote_tags,
            capabilities: &[],
            addresses: &self.remote.0,
            macs: &self.remote.1,
        };
        let outbound = vector["side"] == "outbound";
        View {
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            own: address(&vector["self"]),
            source: address(&vector["ztsrc"]),
            dest: address(&vector["ztdst"]),
            credentials: Credentials {
                tags: &self.local_tags,
                capabilities: &[],
                addresses: &self.local.0,
                macs: &self.local.1,
            },
            other: (is_known && !is_expired).then_some(other),
            assigned: &self.assigned,
            settings: Settings {
                network: NETWORK,
                ndp_emulation: flags & 4 != 0,
                unsupported_matches: flags & 8 != 0,
            },
            client,
        }
    }
}
