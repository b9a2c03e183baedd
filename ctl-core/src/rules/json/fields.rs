//! The fields of one entry, and the rule that they make.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

use super::RAW;
use crate::record::{FieldError, cut, lenient};

/// What to do with the prefix of a rule that cannot be read as `ADDRESS/BITS`.
#[derive(Clone, Copy)]
pub(super) enum Prefixes {
    /// Refuse it: a rule that matched more than was meant would be worse than none.
    Whole,
    /// Take what the original makes of it, which is mostly a prefix that matches everything.
    AsTheOriginal,
}

/// Reads an entry.
///
/// # Errors
/// If it is no object, or if its type or one of the values that decide what it matches is not understood.
pub(super) fn parse(entry: &Value, prefixes: Prefixes) -> Result<Rule, FieldError> {
    let Some(entry) = entry.as_object() else {
        return Err(FieldError::unexpected("", "an object with a type", Some(entry)));
    };
    let fields = Fields(entry);
    let Some(kind) = entry.get("type").and_then(Value::as_str) else {
        return Err(FieldError::unexpected("type", "the name of a rule type", entry.get("type")));
    };
    let body = parse_body(kind, &fields, prefixes)?;
    let is_match = !body.is_action(); // the two mean nothing on an action, and are not shown there
    Ok(Rule { not: is_match && fields.boolean("not"), or: is_match && fields.boolean("or"), body })
}

fn parse_body(kind: &str, fields: &Fields<'_>, prefixes: Prefixes) -> Result<RuleBody, FieldError> {
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
            parse_ip_match(kind, fields, prefixes)?
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

fn parse_ip_match(kind: &str, fields: &Fields<'_>, prefixes: Prefixes) -> Result<RuleBody, FieldError> {
    let v6 = kind.starts_with("MATCH_IPV6");
    let source = kind.ends_with("SOURCE");
    let (ip, bits) = match (lenient::rule_prefix(fields.0.get("ip"), v6), prefixes) {
        (Ok(prefix), _) => prefix,
        (Err(_), Prefixes::AsTheOriginal) => original_prefix(fields.0.get("ip"), v6),
        (Err(error), Prefixes::Whole) => return Err(error),
    };
    Ok(match (ip, source) {
        (IpAddr::V4(ip), true) => RuleBody::Ipv4Source { ip, bits },
        (IpAddr::V4(ip), false) => RuleBody::Ipv4Dest { ip, bits },
        (IpAddr::V6(ip), true) => RuleBody::Ipv6Source { ip, bits },
        (IpAddr::V6(ip), false) => RuleBody::Ipv6Dest { ip, bits },
    })
}

/// Reads a prefix as the original does (`vl2.md` §1, §6.2): without bits it is 0, and an address that cannot be read is
/// the one of zeros.
fn original_prefix(value: Option<&Value>, v6: bool) -> (IpAddr, u8) {
    let text = value.map(lenient::text).unwrap_or_default();
    let (address, bits) = text.split_once('/').unwrap_or((&text, ""));
    // Without a family there is not even a number.
    let has_family = address.contains([':', '.']) && text.len() < 64;
    let bits = if has_family { lenient::leading_decimal(bits) & 0xff } else { 0 };
    let bits = bits.min(if v6 { 128 } else { 32 });
    let nothing: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let ip = lenient::ip(address).filter(|ip| has_family && ip.is_ipv6() == v6);
    (ip.unwrap_or(nothing), u8::try_from(bits).unwrap_or(u8::MAX))
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
