//! The fields of one entry, and the rule that they make.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

use super::{RAW, WHOLE};
use crate::record::{FieldError, cut, lenient};

/// What to do with a value that decides what a rule matches, and that is missing, cannot be read or does not fit.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Refuse it: a rule that matched something else than was meant would be worse than none.
    Understood,
    /// Take what the original makes of it: mostly 0, or a prefix that matches everything.
    AsTheOriginal,
}

/// Reads an entry.
///
/// # Errors
/// If it is no object, or if its type or one of the values that decide what it matches is not understood.
pub(super) fn parse(entry: &Value, values: Values) -> Result<Rule, FieldError> {
    let Some(entry) = entry.as_object() else {
        return Err(FieldError::unexpected("", "an object with a type", Some(entry)));
    };
    let fields = Fields { entry, values };
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
            address: fields.address("address")?,
            flags: fields.flags()?,
            length: fields.length()?,
        },
        "ACTION_WATCH" => RuleBody::Watch {
            address: fields.address("address")?,
            flags: fields.flags()?,
            length: fields.length()?,
        },
        "ACTION_REDIRECT" => {
            RuleBody::Redirect { address: fields.address("address")?, flags: fields.flags()? }
        }
        "ACTION_BREAK" => RuleBody::Break,
        "MATCH_SOURCE_ZEROTIER_ADDRESS" => RuleBody::SourceAddress(fields.address("zt")?),
        "MATCH_DEST_ZEROTIER_ADDRESS" => RuleBody::DestAddress(fields.address("zt")?),
        "MATCH_VLAN_ID" => RuleBody::VlanId(fields.u16("vlanId")?),
        "MATCH_VLAN_PCP" => RuleBody::VlanPcp(fields.u8("vlanPcp")?),
        "MATCH_VLAN_DEI" => RuleBody::VlanDei(fields.u8("vlanDei")?),
        "MATCH_MAC_SOURCE" => RuleBody::MacSource(fields.mac("mac")?),
        "MATCH_MAC_DEST" => RuleBody::MacDest(fields.mac("mac")?),
        "MATCH_IPV4_SOURCE" | "MATCH_IPV4_DEST" | "MATCH_IPV6_SOURCE" | "MATCH_IPV6_DEST" => {
            parse_ip_match(kind, fields)?
        }
        "MATCH_IP_TOS" => {
            RuleBody::IpTos { mask: fields.u8("mask")?, start: fields.u8("start")?, end: fields.u8("end")? }
        }
        "MATCH_IP_PROTOCOL" => RuleBody::IpProtocol(fields.u8("ipProtocol")?),
        "MATCH_ETHERTYPE" => RuleBody::EtherType(fields.u16("etherType")?),
        "MATCH_ICMP" => {
            let code = fields.present("icmpCode").map(|_| fields.u8("icmpCode")).transpose()?;
            RuleBody::Icmp { kind: fields.u8("icmpType")?, code }
        }
        "MATCH_IP_SOURCE_PORT_RANGE" => {
            let (start, end) = fields.range()?;
            RuleBody::IpSourcePortRange { start, end }
        }
        "MATCH_IP_DEST_PORT_RANGE" => {
            let (start, end) = fields.range()?;
            RuleBody::IpDestPortRange { start, end }
        }
        "MATCH_CHARACTERISTICS" => RuleBody::Characteristics(fields.hex_or_number("mask")?),
        "MATCH_FRAME_SIZE_RANGE" => {
            let (start, end) = fields.range()?;
            RuleBody::FrameSizeRange { start, end }
        }
        "MATCH_RANDOM" => RuleBody::Random(fields.u32("probability")?),
        "MATCH_TAGS_DIFFERENCE" => RuleBody::TagsDifference(fields.tag()?),
        "MATCH_TAGS_BITWISE_AND" => RuleBody::TagsBitwiseAnd(fields.tag()?),
        "MATCH_TAGS_BITWISE_OR" => RuleBody::TagsBitwiseOr(fields.tag()?),
        "MATCH_TAGS_BITWISE_XOR" => RuleBody::TagsBitwiseXor(fields.tag()?),
        "MATCH_TAGS_EQUAL" => RuleBody::TagsEqual(fields.tag()?),
        "MATCH_TAG_SENDER" => RuleBody::TagSender(fields.tag()?),
        "MATCH_TAG_RECEIVER" => RuleBody::TagReceiver(fields.tag()?),
        "INTEGER_RANGE" | "MATCH_INTEGER_RANGE" => RuleBody::IntegerRange {
            start: fields.hex_or_number("start")?,
            end: fields.hex_or_number("end")?,
            index: fields.u16("idx")?,
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
    let (ip, bits) = match (lenient::rule_prefix(fields.entry.get("ip"), v6), fields.values) {
        (Ok(prefix), _) => prefix,
        (Err(_), Values::AsTheOriginal) => original_prefix(fields.entry.get("ip"), v6),
        (Err(error), Values::Understood) => return Err(error),
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

/// The fields of one entry.
struct Fields<'a> {
    entry: &'a Map<String, Value>,
    values: Values,
}

impl<'a> Fields<'a> {
    /// Returns a value unless it is missing or null.
    fn present(&self, name: &str) -> Option<&'a Value> {
        self.entry.get(name).filter(|value| !value.is_null())
    }

    fn boolean(&self, name: &str) -> bool {
        self.entry.get(name).is_some_and(|value| lenient::boolean(value, false))
    }

    /// Reads a whole number of as many bits as `max` has. The original cuts off the bits above, and takes 0 for what it
    /// cannot read.
    fn integer(&self, name: &str, max: u64) -> Result<u64, FieldError> {
        let value = self.entry.get(name);
        match self.values {
            Values::AsTheOriginal => Ok(value.map_or(0, |value| lenient::integer(value, 0)) & max),
            Values::Understood => whole(name, value, max),
        }
    }

    fn u8(&self, name: &str) -> Result<u8, FieldError> {
        Ok((self.integer(name, u8::MAX.into())? & 0xff) as u8)
    }

    fn u16(&self, name: &str) -> Result<u16, FieldError> {
        Ok((self.integer(name, u16::MAX.into())? & 0xffff) as u16)
    }

    fn u32(&self, name: &str) -> Result<u32, FieldError> {
        Ok((self.integer(name, u32::MAX.into())? & 0xffff_ffff) as u32)
    }

    /// Reads the flags of an action, 0 if missing: they decide nothing about what passes.
    fn flags(&self) -> Result<u32, FieldError> {
        self.present("flags").map_or(Ok(0), |_| self.u32("flags"))
    }

    /// Reads how much of a frame is copied, 0 if missing; -1 is all of it.
    fn length(&self) -> Result<u16, FieldError> {
        match self.present("length") {
            None => Ok(0),
            Some(length) if length.as_i64() == Some(WHOLE) => Ok(u16::MAX),
            Some(_) => self.u16("length"),
        }
    }

    /// Reads `start` and `end`, which without `end` are the same.
    fn range(&self) -> Result<(u16, u16), FieldError> {
        let start = self.u16("start")?;
        let end = match (self.present("end"), self.values) {
            (None, _) | (Some(Value::Array(_) | Value::Object(_)), Values::AsTheOriginal) => start,
            (Some(_), _) => self.u16("end")?,
        };
        Ok((start, end))
    }

    fn tag(&self) -> Result<TagMatch, FieldError> {
        Ok(TagMatch { id: self.u32("id")?, value: self.u32("value")? })
    }

    /// Reads an address, also without its leading zeros. The original stops at what is no digit, and keeps the last ten.
    fn address(&self, name: &str) -> Result<Address, FieldError> {
        let value = self.entry.get(name);
        let text = value.map(lenient::text).unwrap_or_default();
        let address = Address::from_low_bits(lenient::leading_hex(&text));
        let is_understood = is_hex(digits_of(&text), 10);
        match self.values {
            Values::Understood if !is_understood => {
                Err(FieldError::unexpected(name, "an address of at most ten hexadecimal digits", value))
            }
            Values::Understood | Values::AsTheOriginal => Ok(address),
        }
    }

    /// Reads pairs of digits; colons and dashes do not matter. For the original, what is missing is 0.
    fn mac(&self, name: &str) -> Result<Mac, FieldError> {
        let value = self.entry.get(name);
        let text = value.map(lenient::text).unwrap_or_default();
        let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let is_understood = plain.len() == 12 && is_hex(&plain, 12);
        if matches!(self.values, Values::Understood) && !is_understood {
            let expected = "a MAC address of twelve hexadecimal digits, for example 02:11:22:33:44:55";
            return Err(FieldError::unexpected(name, expected, value));
        }
        let mut digits = plain.chars().map(|c| c.to_digit(16).unwrap_or(0));
        let mut octets = [0; 6];
        for octet in &mut octets {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else { break };
            *octet = ((high << 4 | low) & 0xff) as u8;
        }
        Ok(Mac(octets))
    }

    /// Reads hexadecimal text or a number. For the original, what is missing or no digit is 0.
    fn hex_or_number(&self, name: &str) -> Result<u64, FieldError> {
        let value = self.entry.get(name);
        let unexpected =
            || Err(FieldError::unexpected(name, "hexadecimal digits as text, or a number", value));
        match (value, self.values) {
            (None, Values::AsTheOriginal) => Ok(0),
            (Some(Value::Number(_)), Values::Understood) => match whole(name, value, u64::MAX) {
                Ok(number) => Ok(number),
                Err(_) => unexpected(),
            },
            (Some(value @ Value::Number(_)), Values::AsTheOriginal) => Ok(lenient::integer(value, 0)),
            (Some(Value::String(text)), Values::Understood) if !is_hex(digits_of(text), 16) => unexpected(),
            (Some(Value::String(text)), _) => Ok(lenient::leading_hex(text)),
            (_, Values::Understood | Values::AsTheOriginal) => unexpected(),
        }
    }

    /// Reads the width of an integer in bits, 1 if missing.
    fn width(&self, name: &str) -> Result<u8, FieldError> {
        let value = self.entry.get(name);
        let bits = value.map_or(1, |value| lenient::integer(value, 1));
        let bits = u8::try_from(bits).ok().filter(|bits| (1..=64).contains(bits));
        bits.ok_or_else(|| FieldError::unexpected(name, "1 to 64", value))
    }
}

/// Reads a whole number from 0 to `max`, also as decimal digits in a text.
pub(super) fn whole(name: &str, value: Option<&Value>, max: u64) -> Result<u64, FieldError> {
    let number = match value {
        Some(Value::Number(number)) if number.as_u64().is_some() => number.as_u64(),
        // 2.0, as some languages write 2; above 2^53 it is no longer the number that was meant.
        Some(value @ Value::Number(number)) => {
            let is_whole =
                |number: &f64| number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number);
            number.as_f64().filter(is_whole).map(|_| lenient::integer(value, 0))
        }
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Some(Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            None
        }
    };
    let expected = || format!("a whole number from 0 to {max}");
    number.filter(|number| *number <= max).ok_or_else(|| FieldError::unexpected(name, &expected(), value))
}

/// Returns the digits of a hexadecimal text, which may begin with `0x`.
fn digits_of(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// Says whether a text is 1 to `max` hexadecimal digits.
fn is_hex(digits: &str, max: usize) -> bool {
    (1..=max).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
