//! Reads JSON values of the wrong type (`http-api.md` §5).
//!
//! User interfaces send text and numbers where booleans are meant, decimal text for integers, and more, so
//! almost every value means something. What means nothing is the default of its field.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Number, Value};
use zt_proto::IpPrefix;

use super::FieldError;

/// How many entries of an array are read; the rest is ignored.
pub(crate) const MAX_ENTRIES: usize = 16_384;

/// Reads a boolean: a number above 0, a text that begins with `t`, `T` or `1`.
pub(crate) fn boolean(value: &Value, default: bool) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => cut(number) > 0,
        Value::String(text) => text.starts_with(['t', 'T', '1']),
        Value::Null | Value::Array(_) | Value::Object(_) => default,
    }
}

/// Reads an integer: a number without its fraction and modulo 2^64, or the decimal digits that a text begins with.
pub(crate) fn integer(value: &Value, default: u64) -> u64 {
    match value {
        Value::Bool(value) => u64::from(*value),
        Value::Number(number) => cut(number),
        Value::String(text) => leading_decimal(text),
        Value::Null | Value::Array(_) | Value::Object(_) => default,
    }
}

/// Reads a text, not trimmed and of any length; a number is written as an unsigned decimal.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::Number(number) => cut(number).to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// Reads an array; anything else is `None`, which leaves a field as it was.
pub(crate) fn entries(value: &Value) -> Option<impl Iterator<Item = &Value>> {
    value.as_array().map(|entries| entries.iter().take(MAX_ENTRIES))
}

/// Returns the hexadecimal number that a text begins with, after an optional `0x`, modulo 2^64.
pub(crate) fn leading_hex(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let digits = digits.chars().map_while(|c| c.to_digit(16));
    digits.fold(0_u64, |value, digit| value << 4 | u64::from(digit))
}

pub(crate) fn leading_decimal(text: &str) -> u64 {
    let digits = text.chars().map_while(|c| c.to_digit(10));
    digits.fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(digit.into()))
}

/// Returns a number without its fraction, modulo 2^64; 0 if it is far out of range.
fn cut(number: &Number) -> u64 {
    if let Some(value) = number.as_u64() {
        return value;
    }
    if let Some(value) = number.as_i64() {
        return value.cast_unsigned();
    }
    let value = number.as_f64().unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the ranges are checked, and the fraction is to be cut"
    )]
    if (0.0..18_446_744_073_709_551_616.0).contains(&value) {
        value as u64
    } else if (-9_223_372_036_854_775_808.0..0.0).contains(&value) {
        (value as i64).cast_unsigned()
    } else {
        0
    }
}

/// Reads `ADDRESS` or `ADDRESS/ANYTHING`; `None` if it is not an address (`http-api.md` §20, item 7).
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    if address.contains(':') {
        address.parse().map(Ipv6Addr::into).ok()
    } else {
        address.parse().map(Ipv4Addr::into).ok()
    }
}

/// Reads `ADDRESS/BITS`; `None` if either part is missing or cannot be read, or if there are too many bits.
pub(crate) fn prefix(text: &str) -> Option<IpPrefix> {
    let (_, bits) = text.split_once('/')?;
    IpPrefix::new(ip(text)?, decimal(bits)?.try_into().ok()?).ok()
}

/// Reads the prefix of a rule: as [`prefix`], but too many bits count as all.
///
/// # Errors
/// If it is anything else: a rule that matched more than was meant would be worse than none.
pub(crate) fn rule_prefix(value: Option<&Value>, v6: bool) -> Result<(IpAddr, u8), FieldError> {
    let (max, expected) = if v6 {
        (128, "an IPv6 ADDRESS/BITS, for example fd00::/8")
    } else {
        (32, "an IPv4 ADDRESS/BITS, for example 10.0.0.0/8")
    };
    let read = || {
        let text = value?.as_str()?;
        let (_, bits) = text.split_once('/')?;
        let ip = ip(text).filter(|ip| ip.is_ipv6() == v6)?;
        Some((ip, u8::try_from(decimal(bits)?.min(max)).ok()?))
    };
    read().ok_or_else(|| FieldError::unexpected("ip", expected, value))
}

fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn boolean_is_read_from_every_type() {
        for value in [json!(true), json!(1), json!(2.5), json!(-1), json!("true"), json!("True"), json!("1x")]
        {
            assert!(boolean(&value, false), "{value}");
        }
        for value in
            [json!(false), json!(0), json!(0.5), json!("false"), json!(""), json!(" true"), json!("yes")]
        {
            assert!(!boolean(&value, true), "{value}");
        }
        for value in [json!(null), json!([true]), json!({"a": 1})] {
            assert!(boolean(&value, true) && !boolean(&value, false), "{value}");
        }
    }

    #[test]
    fn integer_is_read_from_every_type() {
        let cases = [
            (json!(7), 7),
            (json!(1.9), 1),
            (json!(-1), u64::MAX),
            (json!(-1.5), u64::MAX),
            (json!(1e30), 0),
            (json!(-1e30), 0),
            (json!("12abc"), 12),
            (json!("0x40"), 0),
            (json!("abc"), 0),
            (json!(true), 1),
            (json!(null), 99),
            (json!([]), 99),
            (json!({}), 99),
        ];
        for (value, expected) in cases {
            assert_eq!(integer(&value, 99), expected, "{value}");
        }
    }

    #[test]
    fn text_is_read_from_every_type() {
        let cases = [
            (json!(" a "), " a "),
            (json!(1.9), "1"),
            (json!(-1), "18446744073709551615"),
            (json!(true), "1"),
            (json!(false), "0"),
            (json!(null), ""),
            (json!(["a"]), ""),
            (json!({"a": 1}), ""),
        ];
        for (value, expected) in cases {
            assert_eq!(text(&value), expected, "{value}");
        }
    }

    #[test]
    fn only_addresses_are_addresses() {
        assert_eq!(ip("10.0.0.1/24"), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(ip("FD00:0:0::0005/64"), Some("fd00::5".parse().unwrap()));
        for text in ["", "abc", "a.b", "300.1.1.1", "10.0.0", "10.0.0.1 ", "fe80::1%eth0", ":"] {
            assert_eq!(ip(text), None, "{text}");
        }
    }

    #[test]
    fn prefix_needs_bits_that_its_family_has() {
        assert_eq!(prefix("10.147.17.99/24"), "10.147.17.99/24".parse().ok());
        assert_eq!(prefix("::/0"), "::/0".parse().ok());
        for text in
            ["10.0.0.0", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/33", "fd00::/129", "10.0.0.0/+8", "lan/8"]
        {
            assert_eq!(prefix(text), None, "{text}");
        }
    }
}
