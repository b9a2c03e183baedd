//! Replays frames from sender to receiver and observers (`testdata/rules/evaluate_path.json`).

use std::collections::BTreeMap;

use ctl_core::rules::evaluate::{
    Client, Credentials, Destination, Frame, HeldCapability, Member, Network, Settings, SideOutcome, deliver,
};
use serde_json::{Value, json};
use zt_proto::Address;
use zt_proto::rules::Rule;

use crate::evaluate::{NETWORK, check_by, grade, sent};
use crate::json::{hex, mac_of, rules, text, vectors};

const PATH: &str = include_str!("../../testdata/rules/evaluate_path.json");

type Held = (Address, BTreeMap<u32, u32>, Vec<u32>, Vec<std::net::IpAddr>);

#[test]
fn frames_arrive_as_between_official_clients() {
    let all = vectors(PATH);
    for vector in &all {
        let network = &vector["network"];
        let table = rules(&network["rules"]);
        let defined: Vec<(u32, Vec<Rule>)> = list(&network["capabilities"])
            .map(|capability| (number(&capability["id"]), rules(&capability["rules"])))
            .collect();
        let held: Vec<Held> = network["members"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(address, member)| {
                let mut tags: BTreeMap<u32, u32> = list(&network["tags"])
                    .filter(|tag| !tag["default"].is_null())
                    .map(|tag| (number(&tag["id"]), number(&tag["default"])))
                    .collect();
                tags.extend(list(&member["tags"]).map(|pair| (number(&pair[0]), number(&pair[1]))));
                let ips = list(&member["ips"]).map(|ip| ip.as_str().unwrap().parse().unwrap()).collect();
                (address.parse().unwrap(), tags, list(&member["capabilities"]).map(number).collect(), ips)
            })
            .collect();
        let capabilities: Vec<Vec<HeldCapability<'_>>> = held
            .iter()
            .map(|(_, _, ids, _)| {
                let of_member = defined.iter().filter(|(id, _)| ids.contains(id));
                of_member.map(|(id, rules)| HeldCapability { id: *id, rules }).collect()
            })
            .collect();
        let members = held.iter().zip(&capabilities).map(|((address, tags, _, ips), capabilities)| {
            let credentials = Credentials { tags, capabilities, addresses: ips, macs: &[] };
            (*address, Member { credentials, assigned: ips, client: Client::Since1_14 })
        });
        let members: BTreeMap<Address, Member<'_>> = members.collect();
        let settings = Settings { network: NETWORK, ndp_emulation: false, unsupported_matches: false };
        let network = Network { rules: &table, settings, members: &members };
        check(vector, &network);
    }
    assert_eq!(all.len(), 64);
}

fn check(vector: &Value, network: &Network<'_>) {
    let name = &vector["name"];
    let payload = hex(text(vector, "frame"));
    let (source, dest) = (mac_of(text(vector, "macsrc")), mac_of(text(vector, "macdst")));
    let ether_type = vector["ethertype"].as_u64().unwrap().try_into().unwrap();
    let frame = Frame::new(source, dest, ether_type, 0, &payload);
    let (from, to) = (text(vector, "src").parse().unwrap(), text(vector, "dst").parse().unwrap());
    let to = if vector["multicast_mac"].is_null() { Destination::Member(to) } else { Destination::Group(to) };
    let is_known = vector["receiver_known_to_sender"].as_bool().unwrap();
    let delivery = deliver(network, from, to, is_known, &frame, &mut || 0, &mut ()).unwrap();
    let expect = &vector["expect"];
    check_side(delivery.group, &expect["sender_group_pass"], name);
    check_side(delivery.sender, &expect["sender"], name);
    check_side(delivery.receiver, &expect["receiver"], name);
    assert_eq!(delivery.delivered, expect["delivered"], "{name}");
    let expected = expect["copies"].as_array().unwrap();
    assert_eq!(delivery.copies.len(), expected.len(), "{name}");
    for (copy, expected) in delivery.copies.iter().zip(expected) {
        let at_target = copy.at_target.unwrap();
        let got = json!({
            "to": copy.sent.to.to_string(), "sent_by": copy.sent_by.to_string(), "flags": copy.sent.flags,
            "length": copy.sent.length, "accept": grade(at_target.grade), "taken": copy.taken,
            "by": expected["by"],
        });
        assert_eq!(got, *expected, "{name}");
        check_by(at_target.by, &expected["by"], name);
    }
}

fn check_side(outcome: Option<SideOutcome>, expect: &Value, name: &Value) {
    let Some(outcome) = outcome else {
        assert!(expect.is_null(), "{name}");
        return;
    };
    assert_eq!(grade(outcome.grade), expect["accept"], "{name}");
    check_by(outcome.by, &expect["by"], name);
    assert_eq!(sent(outcome.sent()), expect["sent"], "{name}");
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}
