//! Rules as JSON (`http-api.md` §9.1, `vl2.md` §6.2).

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Map, Value, json};
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

use crate::record::{FieldError, cut, legacy, lenient};

/// Type of an entry that has no form of its own in JSON.
pub const RAW: &str = "RAW";

/// Reads a rule table of at most `max` entries.
///
/// # Errors
/// For an entry that is not understood, and for a table that is too long: a table with holes, or without its end,
/// would let something else pass than what was meant (`http-api.md` §20, item 9).
pub fn parse_table(entries: &[Value], max: usize) -> Result<Vec<Rule>, FieldError> {
    if entries.len() > max {
        return Err(FieldError::new("", format!("expected at most {max} rules, got {}", entries.len())));
    }
    if legacy::is_rule_table(entries) {
        return legacy::parse_rules(entries);
    }
    let rules = entries.iter().enumerate();
    rules.map(|(index, entry)| parse(entry).map_err(|error| error.at(index))).collect()
}

/// Renders a rule table. An entry without a JSON form is shown as its bytes, which [`parse_table`] refuses: left out, a
/// network that is sent back as it was shown would let something else pass.
pub fn render_table(rules: &[Rule]) -> Vec<Value> {
    rules.iter().map(|rule| render(rule).unwrap_or_else(|| render_raw(rule))).collect()
}

/// Renders a rule as its bytes.
pub fn render_raw(rule: &Rule) -> Value {
    let mut bytes = Vec::new();
    rule.write(&mut bytes);
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        if write!(hex, "{byte:02x}").is_err() {
            break; // writing to a String does not fail
        }
    }
    json!({ "type": RAW, "hex": hex })
}

fn parse(entry: &Value) -> Result<Rule, FieldError> {
    let Some(entry) = entry.as_object() else {
        return Err(FieldError::unexpected("", "an object with a type", Some(entry)));
    };
    let fields = Fields(entry);
    let Some(kind) = entry.get("type").and_then(Value::as_str) else {
        return Err(FieldError::unexpected("type", "the name of a rule type", entry.get("type")));
    };
    let body = parse_body(kind, &fields)?;
    let is_match = !body.is_action(); // the two mean nothing on an action, and are not shown there
    Ok(Rule { not: is_match && fields.boolean("not"), or: is_match && fields.boolean("or"), body })
}

fn parse_body(kind: &str, fields: &Fields<'_>) -> Result<RuleBody, FieldError> {
    Ok(match kind {
        "ACTION_DROP" => RuleBody::Drop,
        "ACTION_ACCEPT" => RuleBody::Accept,
        "ACTION_TEE" => RuleBody::Tee {
            address: fields.address("address"),
            flags: fields.u32("flags"),
            length: fields.u16("length"),
        },
        "ACTION_WATCH" => RuleBody::Watch {
            address: fields.address("address"),
            flags: fields.u32("flags"),
            length: fields.u16("length"),
        },
        "ACTION_REDIRECT" => {
            RuleBody::Redirect { address: fields.address("address"), flags: fields.u32("flags") }
        }
        "ACTION_BREAK" => RuleBody::Break,
        "MATCH_SOURCE_ZEROTIER_ADDRESS" => RuleBody::SourceAddress(fields.address("zt")),
        "MATCH_DEST_ZEROTIER_ADDRESS" => RuleBody::DestAddress(fields.address("zt")),
        "MATCH_VLAN_ID" => RuleBody::VlanId(fields.u16("vlanId")),
        "MATCH_VLAN_PCP" => RuleBody::VlanPcp(fields.u8("vlanPcp")),
        "MATCH_VLAN_DEI" => RuleBody::VlanDei(fields.u8("vlanDei")),
        "MATCH_MAC_SOURCE" => RuleBody::MacSource(fields.mac("mac")),
        "MATCH_MAC_DEST" => RuleBody::MacDest(fields.mac("mac")),
        "MATCH_IPV4_SOURCE" | "MATCH_IPV4_DEST" | "MATCH_IPV6_SOURCE" | "MATCH_IPV6_DEST" => {
            parse_ip_match(kind, fields)?
        }
        "MATCH_IP_TOS" => {
            RuleBody::IpTos { mask: fields.u8("mask"), start: fields.u8("start"), end: fields.u8("end") }
        }
        "MATCH_IP_PROTOCOL" => RuleBody::IpProtocol(fields.u8("ipProtocol")),
        "MATCH_ETHERTYPE" => RuleBody::EtherType(fields.u16("etherType")),
        "MATCH_ICMP" => {
            let code = fields.0.get("icmpCode").filter(|code| !code.is_null());
            RuleBody::Icmp { kind: fields.u8("icmpType"), code: code.map(|_| fields.u8("icmpCode")) }
        }
        "MATCH_IP_SOURCE_PORT_RANGE" => {
            let (start, end) = fields.range();
            RuleBody::IpSourcePortRange { start, end }
        }
        "MATCH_IP_DEST_PORT_RANGE" => {
            let (start, end) = fields.range();
            RuleBody::IpDestPortRange { start, end }
        }
        "MATCH_CHARACTERISTICS" => RuleBody::Characteristics(fields.hex_or_number("mask")?),
        "MATCH_FRAME_SIZE_RANGE" => {
            let (start, end) = fields.range();
            RuleBody::FrameSizeRange { start, end }
        }
        "MATCH_RANDOM" => RuleBody::Random(fields.u32("probability")),
        "MATCH_TAGS_DIFFERENCE" => RuleBody::TagsDifference(fields.tag()),
        "MATCH_TAGS_BITWISE_AND" => RuleBody::TagsBitwiseAnd(fields.tag()),
        "MATCH_TAGS_BITWISE_OR" => RuleBody::TagsBitwiseOr(fields.tag()),
        "MATCH_TAGS_BITWISE_XOR" => RuleBody::TagsBitwiseXor(fields.tag()),
        "MATCH_TAGS_EQUAL" => RuleBody::TagsEqual(fields.tag()),
        "MATCH_TAG_SENDER" => RuleBody::TagSender(fields.tag()),
        "MATCH_TAG_RECEIVER" => RuleBody::TagReceiver(fields.tag()),
        "INTEGER_RANGE" | "MATCH_INTEGER_RANGE" => RuleBody::IntegerRange {
            start: fields.hex_or_number("start")?,
            end: fields.hex_or_number("end")?,
            index: fields.u16("idx"),
            little_endian: fields.boolean("little"),
            bits: fields.width("bits")?,
        },
        RAW => {
            let problem = "rules without a form in JSON are shown here, but can only be set through \
                           PUT /api/v2/network/{network}/rules, as raw in a source";
            return Err(FieldError::new("type", problem.to_owned()));
        }
        other => {
            let expected = "expected ACTION_…, MATCH_… or INTEGER_RANGE as in the list of rule types";
            return Err(FieldError::new("type", format!("unknown rule type {:?}, {expected}", cut(other))));
        }
    })
}

fn parse_ip_match(kind: &str, fields: &Fields<'_>) -> Result<RuleBody, FieldError> {
    let v6 = kind.starts_with("MATCH_IPV6");
    let source = kind.ends_with("SOURCE");
    let (ip, bits) = lenient::rule_prefix(fields.0.get("ip"), v6)?;
    Ok(match (ip, source) {
        (IpAddr::V4(ip), true) => RuleBody::Ipv4Source { ip, bits },
        (IpAddr::V4(ip), false) => RuleBody::Ipv4Dest { ip, bits },
        (IpAddr::V6(ip), true) => RuleBody::Ipv6Source { ip, bits },
        (IpAddr::V6(ip), false) => RuleBody::Ipv6Dest { ip, bits },
    })
}

/// The fields of one entry. A missing integer is 0; one that is too large loses its high bits.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn boolean(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| lenient::boolean(value, false))
    }

    fn integer(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |value| lenient::integer(value, 0))
    }

    fn u8(&self, name: &str) -> u8 {
        (self.integer(name) & 0xff) as u8
    }

    fn u16(&self, name: &str) -> u16 {
        (self.integer(name) & 0xffff) as u16
    }

    fn u32(&self, name: &str) -> u32 {
        (self.integer(name) & 0xffff_ffff) as u32
    }

    /// Reads `start` and `end`, which without `end` are the same.
    fn range(&self) -> (u16, u16) {
        let start = self.u16("start");
        let end =
            self.0.get("end").map_or(start, |end| (lenient::integer(end, start.into()) & 0xffff) as u16);
        (start, end)
    }

    fn tag(&self) -> TagMatch {
        TagMatch { id: self.u32("id"), value: self.u32("value") }
    }

    fn address(&self, name: &str) -> Address {
        let text = self.0.get(name).map(lenient::text).unwrap_or_default();
        Address::from_low_bits(lenient::leading_hex(&text))
    }

    /// Reads pairs of digits; colons and dashes do not matter, and what is missing is 0.
    fn mac(&self, name: &str) -> Mac {
        let text = self.0.get(name).map(lenient::text).unwrap_or_default();
        let mut digits =
            text.chars().filter(|c| !matches!(c, ':' | '-')).map(|c| c.to_digit(16).unwrap_or(0));
        let mut octets = [0; 6];
        for octet in &mut octets {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else { break };
            *octet = ((high << 4 | low) & 0xff) as u8;
        }
        Mac(octets)
    }

    /// Reads hexadecimal text or a number; 0 if missing.
    fn hex_or_number(&self, name: &str) -> Result<u64, FieldError> {
        match self.0.get(name) {
            None => Ok(0),
            Some(Value::String(text)) => Ok(lenient::leading_hex(text)),
            Some(value @ Value::Number(_)) => Ok(lenient::integer(value, 0)),
            other => Err(FieldError::unexpected(name, "hexadecimal digits as text, or a number", other)),
        }
    }

    /// Reads the width of an integer in bits, 1 if missing.
    fn width(&self, name: &str) -> Result<u8, FieldError> {
        let value = self.0.get(name);
        let bits = value.map_or(1, |value| lenient::integer(value, 1));
        let bits = u8::try_from(bits).ok().filter(|bits| (1..=64).contains(bits));
        bits.ok_or_else(|| FieldError::unexpected(name, "1 to 64", value))
    }
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
        RuleBody::Priority | RuleBody::Unknown { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `vl2.md` §6.2: recorded conversions. Where the original drops an entry or turns it into one that matches
    /// more, this refuses (`docs/api-compat.md`).
    #[test]
    fn recorded_rules_are_read_and_shown_as_by_the_original() {
        let recorded: Value = serde_json::from_str(include_str!("../../testdata/vl2/rules.json")).unwrap();
        let (mut alike, mut refused, mut only_here) = (0, 0, 0);
        for case in recorded["fromJson"].as_array().unwrap() {
            let input = &case["input"];
            match (case["accepted"].as_bool().unwrap(), parse_table(std::slice::from_ref(input), 1)) {
                (true, Ok(rules)) => {
                    assert_eq!(render_table(&rules), [case["rendered"].clone()], "{input}");
                    let mut binary = Vec::new();
                    rules.iter().for_each(|rule| rule.write(&mut binary));
                    let hex: String = binary.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(case["renderedBinaryHex"], hex, "{input}");
                    alike += 1;
                }
                (false, Ok(rules)) => {
                    assert!(matches!(rules[0].body, RuleBody::IntegerRange { .. }), "{input}");
                    only_here += 1;
                }
                (true, Err(error)) => {
                    assert!(error.to_string().starts_with("[0].ip: expected an IPv"), "{input}: {error}");
                    refused += 1;
                }
                (false, Err(_)) => refused += 1,
            }
        }
        assert_eq!((alike, refused, only_here), (106, 16, 3));
    }

    #[test]
    fn binary_rules_are_shown_as_by_the_original() {
        let recorded: Value = serde_json::from_str(include_str!("../../testdata/vl2/rules.json")).unwrap();
        for case in
            recorded["fromBinary"].as_array().unwrap().iter().filter(|case| case["exception"].is_null())
        {
            let hex = case["binaryHex"].as_str().unwrap().as_bytes().chunks(2);
            let binary: Vec<u8> =
                hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
            let rules = zt_proto::rules::parse_table(&binary).unwrap();
            // The original shows what has no JSON form as an object without a type, which it then cannot read.
            let mut shown = render_table(&rules);
            shown.iter_mut().filter(|rule| rule["type"] == RAW).for_each(|rule| *rule = json!({}));
            assert_eq!(Value::from(shown), case["rendered"], "{case}");
        }
    }

    #[test]
    fn entry_that_is_not_understood_is_named() {
        let cases = [
            (
                json!([{ "type": "ACTION_ACCEPT" }, { "type": "MATCH_FOO" }]),
                "[1].type: unknown rule type \"MATCH_FOO\"",
            ),
            (json!([{ "type": 5 }]), "[0].type: expected the name of a rule type, got 5"),
            (json!([{}]), "[0].type: expected the name of a rule type, got nothing"),
            (json!(["accept"]), "[0]: expected an object with a type, got \"accept\""),
            (
                json!([{ "type": "MATCH_IPV4_SOURCE", "ip": "10.1.2.3" }]),
                "[0].ip: expected an IPv4 ADDRESS/BITS, for example 10.0.0.0/8, got \"10.1.2.3\"",
            ),
            (
                json!([{ "type": "MATCH_CHARACTERISTICS", "mask": null }]),
                "[0].mask: expected hexadecimal digits as text, or a number, got null",
            ),
            (json!([{ "type": "INTEGER_RANGE", "bits": 65 }]), "[0].bits: expected 1 to 64, got 65"),
        ];
        for (table, expected) in cases {
            let error = parse_table(table.as_array().unwrap(), 1024).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn table_that_is_too_long_is_refused() {
        let rules = vec![json!({ "type": "ACTION_ACCEPT" }); 3];
        assert_eq!(parse_table(&rules, 3).unwrap().len(), 3);
        assert_eq!(parse_table(&rules, 2).unwrap_err().to_string(), ": expected at most 2 rules, got 3");
    }

    proptest! {
        #[test]
        fn rule_that_was_shown_is_read_back(binary in proptest::collection::vec(any::<u8>(), 0..200)) {
            let from_wire = zt_proto::rules::parse_table(&binary).unwrap_or_default();
            let mut shown = render_table(&from_wire);
            prop_assert_eq!(shown.len(), from_wire.len());
            if shown.iter().any(|rule| rule["type"] == RAW) {
                prop_assert!(parse_table(&shown, 1024).unwrap_err().to_string().contains("/api/v2/"));
                shown.retain(|rule| rule["type"] != RAW);
            }
            // On the wire a prefix may be longer than its address; the first reading ends that.
            let rules = parse_table(&shown, 1024).unwrap();
            prop_assert_eq!(&parse_table(&render_table(&rules), 1024).unwrap(), &rules);
        }
    }
}
