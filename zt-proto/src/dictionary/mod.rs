//! Dictionaries: lines of `key=value`, in the form of 1.1.6 and later (`vl2.md` §2.1), and, as [`OldDictionary`], in
//! the one before (§2.2).

mod old;

use std::borrow::Cow;
use std::iter;

pub use old::OldDictionary;

use crate::address::Address;

const ESCAPE: u8 = b'\\';

/// A received dictionary, in which keys are looked up without parsing the rest.
///
/// Every byte string is a dictionary: it ends at its first zero byte, and lines without `=` are never found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dictionary<'a> {
    text: &'a [u8],
}

impl<'a> Dictionary<'a> {
    /// Takes the bytes up to the first zero.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { text: bytes.split(|byte| *byte == 0).next().unwrap_or_default() }
    }

    /// Returns the text up to the first zero byte.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Returns all lines with their keys and unescaped values, in their order; only the first of a key counts.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], Cow<'a, [u8]>)> {
        self.text.split(|byte| matches!(byte, b'\r' | b'\n')).filter_map(|line| {
            let (key, value) = line.split_at_checked(line.iter().position(|byte| *byte == b'=')?)?;
            Some((key, unescape(value.strip_prefix(b"=")?)))
        })
    }

    /// Returns the unescaped value of the first line with that key; copies only if there is an escape.
    pub fn bytes(&self, key: &str) -> Option<Cow<'a, [u8]>> {
        self.text
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
            .map(unescape)
    }

    /// Returns for each key what [`Self::bytes`] does, in one pass; no key may be asked for twice.
    pub fn all<const N: usize>(&self, keys: [&str; N]) -> [Option<Cow<'a, [u8]>>; N] {
        let mut values = [const { None }; N];
        for (key, value) in self.entries() {
            let mut places = keys.iter().zip(&mut values);
            if let Some((_, place)) = places.find(|(wanted, _)| wanted.as_bytes() == key)
                && place.is_none()
            {
                *place = Some(value);
            }
        }
        values
    }

    /// Returns the value as text, with what is not UTF-8 replaced.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.bytes(key).map(|value| match value {
            Cow::Borrowed(value) => String::from_utf8_lossy(value),
            Cow::Owned(value) => Cow::Owned(String::from_utf8_lossy(&value).into_owned()),
        })
    }

    /// Returns the value read as hexadecimal number, `None` if it is missing or empty.
    ///
    /// Blanks, a sign and `0x` may precede the digits; other bytes end them. Without any digit the number is 0,
    /// with too many it is [`u64::MAX`], and a negative one is taken modulo 2^64.
    pub fn hex(&self, key: &str) -> Option<u64> {
        let value = self.bytes(key)?;
        (!value.is_empty()).then(|| lenient_hex(&value))
    }

    /// Returns whether the value begins with `1`, `t` or `T`; `None` if it is missing or empty.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.bytes(key)?.first().map(|first| matches!(first, b'1' | b't' | b'T'))
    }

    /// Returns the low 40 bits of the value read as hexadecimal number, `None` if it is missing or empty.
    pub fn address(&self, key: &str) -> Option<Address> {
        self.hex(key).map(Address::from_low_bits)
    }
}

fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&ESCAPE) {
        return Cow::Borrowed(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            plain.push(byte);
            continue;
        }
        plain.extend(bytes.next().map(|escaped| match escaped {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'e' => b'=',
            other => other,
        }));
    }
    Cow::Owned(plain)
}

/// Calls `add` with the bytes of a value as they stand in a dictionary: as themselves, or as a backslash and a letter. So there
/// are up to twice as many.
pub fn escaped(value: &[u8], mut add: impl FnMut(u8)) {
    for byte in value {
        match escape(*byte) {
            Some(letter) => [ESCAPE, letter].into_iter().for_each(&mut add),
            None => add(*byte),
        }
    }
}

/// Returns of each byte how it stands in an escaped value; the concatenation is the value.
pub fn symbols(mut escaped: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let length = match escaped {
            [] => return None,
            [ESCAPE, _, ..] => 2,
            _ => 1,
        };
        let (symbol, behind) = escaped.split_at_checked(length)?;
        escaped = behind;
        Some(symbol)
    })
}

/// Returns what stands behind a backslash in place of a byte that has to be escaped.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        0 => Some(b'0'),
        b'\r' => Some(b'r'),
        b'\n' => Some(b'n'),
        b'=' => Some(b'e'),
        ESCAPE => Some(ESCAPE),
        _ => None,
    }
}

/// Digits of a number.
pub const HEX_DIGITS: usize = 16;

/// Returns a number as dictionaries have it (`vl2.md` §2).
pub fn hex_digits(value: u64) -> [u8; HEX_DIGITS] {
    let mut rest = value;
    [(); HEX_DIGITS].map(|()| {
        rest = rest.rotate_left(4);
        match u8::try_from(rest & 0xf) {
            Ok(digit @ 0..10) => b'0' + digit,
            Ok(digit) => b'a' + digit - 10,
            Err(_) => b'0',
        }
    })
}

/// Reads a number as [`Dictionary::hex`] does.
pub(crate) fn lenient_hex(value: &[u8]) -> u64 {
    let value = value.trim_ascii_start();
    let (negative, value) = match value {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, value),
    };
    let value = match value {
        [b'0', b'x' | b'X', rest @ ..] => rest,
        _ => value,
    };
    let mut digits = value.iter().map_while(|byte| char::from(*byte).to_digit(16));
    let magnitude = digits.try_fold(0_u64, |sum, digit| Some(sum.checked_mul(16)? | u64::from(digit)));
    match magnitude {
        Some(magnitude) if negative => magnitude.wrapping_neg(),
        Some(magnitude) => magnitude,
        None => u64::MAX,
    }
}

/// Writes a dictionary, entry by entry in the order of the calls.
///
/// ```
/// # use zt_proto::dictionary::{Dictionary, DictionaryWriter};
/// let bytes = DictionaryWriter::new().hex("v", 7).text("n", "a=b").finish();
/// assert_eq!(bytes, b"v=0000000000000007\nn=a\\eb");
/// assert_eq!(Dictionary::new(&bytes).text("n").unwrap(), "a=b");
/// ```
///
/// Keys are this program's own: they hold no zero, line end, `=` or backslash. None is used twice.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct DictionaryWriter {
    out: Vec<u8>,
}

impl DictionaryWriter {
    /// Begins an empty dictionary.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins an empty dictionary with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Adds a number as 16 hexadecimal digits.
    pub fn hex(self, key: &str, value: u64) -> Self {
        self.bytes(key, &hex_digits(value))
    }

    /// Adds a number with as many hexadecimal digits as it needs: 1.1.6 to 1.1.14 write them so.
    pub fn short_hex(self, key: &str, value: u64) -> Self {
        self.text(key, &format!("{value:x}"))
    }

    /// Adds `1` or `0`.
    pub fn boolean(self, key: &str, value: bool) -> Self {
        self.bytes(key, if value { b"1" } else { b"0" })
    }

    /// Adds an address as 10 hexadecimal digits.
    pub fn address(self, key: &str, value: Address) -> Self {
        let [_, _, _, _, _, _, digits @ ..] = hex_digits(value.to_u64());
        self.bytes(key, &digits)
    }

    /// Adds a text, escaped where needed.
    pub fn text(self, key: &str, value: &str) -> Self {
        self.bytes(key, value.as_bytes())
    }

    /// Adds any bytes, escaped where needed.
    pub fn bytes(mut self, key: &str, value: &[u8]) -> Self {
        if !self.out.is_empty() {
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
        // Room for all that there could be, once: most values are full of zeros.
        let begin = self.out.len();
        self.out.resize(begin + 2 * value.len(), 0);
        let mut room = self.out.iter_mut().skip(begin);
        escaped(value, |byte| room.next().into_iter().for_each(|place| *place = byte));
        let unused = room.len();
        self.out.truncate(self.out.len() - unused);
        self
    }

    /// Adds the entries of another dictionary, as they were written; nothing if there is none.
    pub fn entries(mut self, written: &[u8]) -> Self {
        if !self.out.is_empty() && !written.is_empty() {
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(written);
        self
    }

    /// Returns the dictionary; no line end follows the last entry.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}
