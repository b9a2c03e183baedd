//! Rules to JSON.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

use super::{RAW, parse_table};

/// Renders a rule table. An entry without a JSON form is shown as its bytes, which [`super::parse_table`] refuses: left out, a
/// network that is sent back as it was shown would let something else pass.
pub fn render_table(rules: &[Rule]) -> Vec<Value> {
    rules.iter().map(|rule| render(rule).unwrap_or_else(|| render_raw(rule))).collect()
}

/// Renders a rule so that it is read back as exactly what it is: as its bytes, if the usual form does not hold all of it.
pub fn render_exactly(rule: &Rule) -> Value {
    let usual = render(rule).filter(|value| {
        let read = parse_table(std::slice::from_ref(value), 1);
        read.is_ok_and(|read| read.first() == Some(rule))
    });
    usual.unwrap_or_else(|| render_raw(rule))
}

/// Renders a rule as its bytes.
pub fn render_raw(rule: &Rule) -> Value {
    let mut bytes = Vec::new();
    rule.write(&mut bytes);
    json!({ "type": RAW, "hex": HEXLOWER.encode(&bytes) })
}

fn render(rule: &Rule) -> Option<Value> {
    let (kind, fields) = render_body(&rule.body)?;
    let mut object = Map::new();
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.insert("type".to_owned(), kind.into());
    if !rule.body.is_action() {
        object.insert("not".to_owned(), rule.not.into());
        object.insert("or".to_owned(), rule.or.into());
    }
    Some(object.into())
}

/// Returns the type and the fields of its own; `None` if there is no JSON form.
fn render_body(body: &RuleBody) -> Option<(&'static str, Value)> {
    let range = |start: &u16, end: &u16| json!({ "start": start, "end": end });
    let tag = |tag: &TagMatch| json!({ "id": tag.id, "value": tag.value });
    let zt = |address: &Address| json!({ "zt": address.to_string() });
    let mac = |mac: &Mac| json!({ "mac": mac.to_string() });
    let hex = |value: &u64| format!("{value:016x}");
    Some(match body {
        RuleBody::Drop => ("ACTION_DROP", json!({})),
        RuleBody::Accept => ("ACTION_ACCEPT", json!({})),
        RuleBody::Tee { address, flags, length } => {
            ("ACTION_TEE", json!({ "address": address.to_string(), "flags": flags, "length": length }))
        }
        RuleBody::Watch { address, flags, length } => {
            ("ACTION_WATCH", json!({ "address": address.to_string(), "flags": flags, "length": length }))
        }
        RuleBody::Redirect { address, flags } => {
            ("ACTION_REDIRECT", json!({ "address": address.to_string(), "flags": flags }))
        }
        RuleBody::Break => ("ACTION_BREAK", json!({})),
        RuleBody::SourceAddress(address) => ("MATCH_SOURCE_ZEROTIER_ADDRESS", zt(address)),
        RuleBody::DestAddress(address) => ("MATCH_DEST_ZEROTIER_ADDRESS", zt(address)),
        RuleBody::VlanId(id) => ("MATCH_VLAN_ID", json!({ "vlanId": id })),
        RuleBody::VlanPcp(pcp) => ("MATCH_VLAN_PCP", json!({ "vlanPcp": pcp })),
        RuleBody::VlanDei(dei) => ("MATCH_VLAN_DEI", json!({ "vlanDei": dei })),
        RuleBody::MacSource(address) => ("MATCH_MAC_SOURCE", mac(address)),
        RuleBody::MacDest(address) => ("MATCH_MAC_DEST", mac(address)),
        RuleBody::Ipv4Source { ip, bits } => ("MATCH_IPV4_SOURCE", json!({ "ip": format!("{ip}/{bits}") })),
        RuleBody::Ipv4Dest { ip, bits } => ("MATCH_IPV4_DEST", json!({ "ip": format!("{ip}/{bits}") })),
        RuleBody::Ipv6Source { ip, bits } => ("MATCH_IPV6_SOURCE", json!({ "ip": format!("{ip}/{bits}") })),
        RuleBody::Ipv6Dest { ip, bits } => ("MATCH_IPV6_DEST", json!({ "ip": format!("{ip}/{bits}") })),
        RuleBody::IpTos { mask, start, end } => {
            ("MATCH_IP_TOS", json!({ "mask": mask, "start": start, "end": end }))
        }
        RuleBody::IpProtocol(protocol) => ("MATCH_IP_PROTOCOL", json!({ "ipProtocol": protocol })),
        RuleBody::EtherType(ether_type) => ("MATCH_ETHERTYPE", json!({ "etherType": ether_type })),
        RuleBody::Icmp { kind, code } => ("MATCH_ICMP", json!({ "icmpType": kind, "icmpCode": code })),
        RuleBody::IpSourcePortRange { start, end } => ("MATCH_IP_SOURCE_PORT_RANGE", range(start, end)),
        RuleBody::IpDestPortRange { start, end } => ("MATCH_IP_DEST_PORT_RANGE", range(start, end)),
        RuleBody::Characteristics(mask) => ("MATCH_CHARACTERISTICS", json!({ "mask": hex(mask) })),
        RuleBody::FrameSizeRange { start, end } => ("MATCH_FRAME_SIZE_RANGE", range(start, end)),
        RuleBody::Random(probability) => ("MATCH_RANDOM", json!({ "probability": probability })),
        RuleBody::TagsDifference(operand) => ("MATCH_TAGS_DIFFERENCE", tag(operand)),
        RuleBody::TagsBitwiseAnd(operand) => ("MATCH_TAGS_BITWISE_AND", tag(operand)),
        RuleBody::TagsBitwiseOr(operand) => ("MATCH_TAGS_BITWISE_OR", tag(operand)),
        RuleBody::TagsBitwiseXor(operand) => ("MATCH_TAGS_BITWISE_XOR", tag(operand)),
        RuleBody::TagsEqual(operand) => ("MATCH_TAGS_EQUAL", tag(operand)),
        RuleBody::TagSender(operand) => ("MATCH_TAG_SENDER", tag(operand)),
        RuleBody::TagReceiver(operand) => ("MATCH_TAG_RECEIVER", tag(operand)),
        RuleBody::IntegerRange { start, end, index, little_endian, bits } => {
            let fields = json!({ "start": hex(start), "end": hex(end), "idx": index, "little": little_endian, "bits": bits });
            ("INTEGER_RANGE", fields)
        }
        RuleBody::Priority | RuleBody::Unknown { .. } | _ => return None,
    })
}
