//! Bytes as hexadecimal digits, inside of texts that travel.

use crate::codec::DecodeError;

/// Appends two lower-case digits a byte.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
    }
}

fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value - 10),
    }
}

/// Reads pairs of digits of either case.
///
/// # Errors
/// [`DecodeError::Invalid`] names the first byte that is no digit; [`DecodeError::Truncated`] if one is left over.
pub(crate) fn parse(digits: &[u8], field: &'static str) -> Result<Vec<u8>, DecodeError> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::Truncated { field, needed: 2, left: 1 });
    }
    pairs.iter().map(|[high, low]| Ok(value(*high, field)? << 4 | value(*low, field)?)).collect()
}

fn value(digit: u8, field: &'static str) -> Result<u8, DecodeError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(DecodeError::Invalid { field, value: digit.into() }),
    }
}
