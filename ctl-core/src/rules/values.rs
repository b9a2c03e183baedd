//! Arguments as text: numbers, ranges, addresses (`rules-language.md` §4, read as strictly as §13 asks).

use std::net::IpAddr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::{IpPrefix, Mac};

use super::vocabulary::{CHARACTERISTICS, symbol};

/// Reads a decimal number, or a hexadecimal one behind `0x`: digits only, up to `max`.
pub(crate) fn number(text: &str, max: u64) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |hex| (hex, 16));
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|&value| value <= max)
}

pub(crate) fn u8(text: &str) -> Option<u8> {
    number(text, u8::MAX.into()).and_then(|value| value.try_into().ok())
}

pub(crate) fn u16(text: &str) -> Option<u16> {
    number(text, u16::MAX.into()).and_then(|value| value.try_into().ok())
}

pub(crate) fn u32(text: &str) -> Option<u32> {
    number(text, u32::MAX.into()).and_then(|value| value.try_into().ok())
}

/// Why a range is none.
pub(crate) enum RangeError {
    /// Not `A-B` of numbers within the limit.
    Unreadable,
    /// `A-B` with A above B.
    Reversed,
}

/// Reads `A` or `A-B`, both ends included.
pub(crate) fn range(text: &str, max: u64) -> Result<(u64, u64), RangeError> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    match (number(start, max), number(end, max)) {
        (Some(start), Some(end)) if start <= end => Ok((start, end)),
        (Some(_), Some(_)) => Err(RangeError::Reversed),
        _ => Err(RangeError::Unreadable),
    }
}

/// Reads a MAC address: twelve hexadecimal digits, or six pairs with `:` or `-` between them.
pub(crate) fn mac(text: &str) -> Option<Mac> {
    let digits: String = match text.len() {
        12 => text.to_owned(),
        17 => {
            let separator = text.chars().nth(2).filter(|c| matches!(c, ':' | '-'))?;
            let pairs: Vec<&str> = text.split(separator).collect();
            if pairs.len() != 6 || pairs.iter().any(|pair| pair.len() != 2) {
                return None;
            }
            pairs.concat()
        }
        _ => return None,
    };
    let octets: [u8; 6] = hex(&digits)?.try_into().ok()?;
    Some(Mac(octets))
}

/// Reads pairs of hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

/// Why a text is no IP network.
pub(crate) enum PrefixError {
    /// No `/BITS`.
    Missing,
    Unreadable,
}

/// Reads `ADDRESS/BITS` as written, host bits and all.
pub(crate) fn prefix(text: &str) -> Result<IpPrefix, PrefixError> {
    let (ip, bits) = text.split_once('/').filter(|(ip, _)| !ip.is_empty()).ok_or(PrefixError::Missing)?;
    let ip: IpAddr = ip.parse().map_err(|_| PrefixError::Unreadable)?;
    let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = is_number.then(|| u8(bits)).flatten().ok_or(PrefixError::Unreadable)?;
    IpPrefix::new(ip, bits).map_err(|_| PrefixError::Unreadable)
}

/// Reads a comma-separated list of characteristics, names or numbers of bits.
///
/// # Errors
/// The piece that is neither; an empty one if there is none at all.
pub(crate) fn characteristics(text: &str) -> Result<u64, &str> {
    let mut mask = 0;
    for piece in text.split(',').filter(|piece| !piece.is_empty()) {
        let bit = symbol(&CHARACTERISTICS, piece).or_else(|| u8(piece).filter(|&bit| bit < 64));
        mask |= 1 << bit.ok_or(piece)?;
    }
    if mask == 0 { Err("") } else { Ok(mask) }
}

/// The number that a probability of one has on the wire.
const CERTAIN: f64 = u32::MAX as f64;

/// Reads a decimal fraction from 0 to 1 as a share of 2^32 − 1, rounded down.
pub(crate) fn probability(text: &str) -> Option<u32> {
    let is_decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let share: f64 = text.parse().ok()?;
    if !text.chars().all(is_decimal) || text.starts_with('-') || !(0.0..=1.0).contains(&share) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 to 2^32 - 1, as the share is 0 to 1")]
    let scaled = (CERTAIN * share).floor() as u32;
    Some(scaled)
}

/// Returns the shortest decimal fraction that [`probability`] reads as `value`.
pub(crate) fn probability_text(value: u32) -> String {
    for digits in 0..=11_usize {
        let nearest = format!("{:.digits$}", f64::from(value) / CERTAIN);
        // The nearest fraction may lie below, and be rounded down to the number before.
        let half_step = 0.5 * 10_f64.powi(-i32::try_from(digits).unwrap_or(0));
        let above = format!("{:.digits$}", f64::from(value) / CERTAIN + half_step);
        for text in [nearest, above] {
            if probability(&text) == Some(value) {
                return text;
            }
        }
    }
    // Ten digits are more than 32 bits have, so this is not reached; the exact share is right all the same.
    format!("{}", (f64::from(value) + 0.5) / CERTAIN)
}

/// Reads an entry by its type byte, flags included, and its field (`-`: none).
pub(crate) fn raw(kind: &str, field: &str) -> Option<Rule> {
    let mut bytes = vec![u8(kind)?, 0];
    if field != "-" {
        bytes.extend(hex(field).filter(|field| !field.is_empty())?);
    }
    let length = u8::try_from(bytes.len() - 2).ok()?;
    *bytes.get_mut(1)? = length;
    let rule = Rule::parse(&mut zt_proto::codec::Reader::new(&bytes)).ok()?;
    let mut written = Vec::new();
    rule.write(&mut written);
    // A field with a tail that means nothing would not come out as it was put in.
    (written == bytes).then_some(rule)
}

/// Returns type byte and field of an entry as [`raw`] reads them.
pub(crate) fn raw_text(rule: &Rule) -> (String, String) {
    let mut bytes = Vec::new();
    rule.write(&mut bytes);
    let kind = bytes.first().copied().unwrap_or_default();
    let field = bytes.get(2..).filter(|field| !field.is_empty());
    (format!("{kind:#04x}"), field.map_or_else(|| "-".to_owned(), |field| HEXLOWER.encode(field)))
}

/// Says whether a name is one: no digit first, and only letters, digits and `_` of the Basic Multilingual Plane.
pub(crate) fn is_name(text: &str) -> bool {
    let is_letter = |c: char| {
        // Circled letters and letter-like numbers count as alphabetic, but are no letters.
        c.is_alphabetic() && !c.is_numeric() && c <= '\u{ffff}' && !('\u{24b6}'..='\u{24e9}').contains(&c)
    };
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first == '_' || is_letter(first))
        && chars.all(|c| c == '_' || c.is_ascii_digit() || is_letter(c))
}

/// Returns the network of a match and whether it is that of the source.
pub(crate) fn network_of(body: &RuleBody) -> Option<(IpAddr, u8)> {
    if let RuleBody::Ipv4Source { ip, bits } | RuleBody::Ipv4Dest { ip, bits } = body {
        return Some(((*ip).into(), *bits));
    }
    if let RuleBody::Ipv6Source { ip, bits } | RuleBody::Ipv6Dest { ip, bits } = body {
        return Some(((*ip).into(), *bits));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number("010", 10), Some(10));
        assert_eq!(number("0XfF", 255), Some(255));
        for bad in ["", "0x", "+5", "-0", "1_000", "1e3", "256", "0x0x1", "0x-5", "99999999999999999999"] {
            assert_eq!(number(bad, 255), None, "{bad}");
        }
    }

    #[test]
    fn macs_have_one_kind_of_separator() {
        let expected = Some(Mac([2, 0, 0x5e, 0x10, 0, 1]));
        for good in ["02:00:5e:10:00:01", "02-00-5E-10-00-01", "02005e100001"] {
            assert_eq!(mac(good), expected, "{good}");
        }
        for bad in
            ["02:00:5e:10:00", "02:00-5e:10:00:01", "02:00:5e:10:00:0g", "0200:5e:10:00:01é", "02005e10000é"]
        {
            assert_eq!(mac(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn probability_is_read_back(value: u32) {
            let text = probability_text(value);
            prop_assert_eq!(probability(&text), Some(value), "{}", text);
            prop_assert!(text.len() <= 13, "{}", text);
        }
    }

    #[test]
    fn probabilities_are_short() {
        for (value, text) in [(0, "0"), (u32::MAX, "1"), (u32::MAX / 2, "0.5"), (429_496_729, "0.1")] {
            assert_eq!(probability_text(value), text);
        }
    }
}
