//! The dictionary before 1.1.6 (`vl2.md` §2.2), which may be signed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{ESCAPE, lenient_hex};
use crate::address::Address;
use crate::codec::Reader;
use crate::credential::Signature;
use crate::hex;
use crate::identity::PublicIdentity;
use crate::time::Timestamp;

/// Public identity of the one who signed.
const SIGNER: &str = "~!sigid";
/// When that was.
const SIGNED_AT: &str = "~!sigts";
/// The signature, in hexadecimal digits.
const SIGNATURE: &str = "~!ed25519";
/// Stands behind the entries in what is signed.
const END_OF_ENTRIES: u8 = 0xff;

/// A dictionary in the form of 0.x to 1.1.4: entries in the order of their keys, each with a line end.
///
/// ```
/// # use zt_proto::dictionary::OldDictionary;
/// let dictionary = OldDictionary::new().with_text("n", "a=b").with_short_hex("ml", 32);
/// assert_eq!(dictionary.write(), b"ml=20\nn=a\\=b\n");
/// assert_eq!(OldDictionary::parse(&dictionary.write()), dictionary);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OldDictionary {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl OldDictionary {
    /// Makes an empty dictionary.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dictionary up to its first zero byte; every byte string is one.
    ///
    /// Values of a key that occurs more than once are joined, as old readers do. Lines without `=` are left out.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut entries = BTreeMap::<_, Vec<u8>>::new();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        for line in text.split(|byte| matches!(byte, b'\r' | b'\n')) {
            if let Some((key, value)) = split_at_equals(line) {
                entries.entry(unescape(key)).or_default().extend(unescape(value));
            }
        }
        Self { entries }
    }

    /// Returns the text form.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in &self.entries {
            escape(key, &mut out);
            out.push(b'=');
            escape(value, &mut out);
            out.push(b'\n');
        }
        out
    }

    /// Returns all entries, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Returns the unescaped value of a key.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// Returns the value as text, with what is not UTF-8 replaced.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.bytes(key).map(String::from_utf8_lossy)
    }

    /// Returns the value read as hexadecimal number, as [`Dictionary::hex`](super::Dictionary::hex) does.
    pub fn hex(&self, key: &str) -> Option<u64> {
        let value = self.bytes(key)?;
        (!value.is_empty()).then(|| lenient_hex(value))
    }

    /// Returns whether the value begins with `1`, `t`, `T`, `y` or `Y`; `None` if it is missing or empty.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.bytes(key)?.first().map(|first| matches!(first, b'1' | b't' | b'T' | b'y' | b'Y'))
    }

    /// Returns the low 40 bits of the value read as hexadecimal number, `None` if it is missing or empty.
    pub fn address(&self, key: &str) -> Option<Address> {
        self.hex(key).map(Address::from_low_bits)
    }

    /// Sets a value, in the place of the one that was there.
    #[must_use]
    pub fn with_bytes(mut self, key: &str, value: &[u8]) -> Self {
        self.entries.insert(key.as_bytes().to_vec(), value.to_vec());
        self
    }

    /// Sets a text, in the place of the value that was there.
    #[must_use]
    pub fn with_text(self, key: &str, value: &str) -> Self {
        self.with_bytes(key, value.as_bytes())
    }

    /// Sets a number of 16 hexadecimal digits.
    #[must_use]
    pub fn with_hex(self, key: &str, value: u64) -> Self {
        self.with_text(key, &format!("{value:016x}"))
    }

    /// Sets a number with as many hexadecimal digits as it needs.
    #[must_use]
    pub fn with_short_hex(self, key: &str, value: u64) -> Self {
        self.with_text(key, &format!("{value:x}"))
    }

    /// Sets `1` or `0`.
    #[must_use]
    pub fn with_boolean(self, key: &str, value: bool) -> Self {
        self.with_text(key, if value { "1" } else { "0" })
    }

    /// Sets an address of 10 hexadecimal digits.
    #[must_use]
    pub fn with_address(self, key: &str, value: Address) -> Self {
        self.with_text(key, &value.to_string())
    }

    /// Says who is going to sign, and when; [`OldDictionary::signed_bytes`] comes next.
    #[must_use]
    pub fn with_signer(self, signer: &PublicIdentity, at: Timestamp) -> Self {
        self.with_text(SIGNER, &signer.to_string()).with_short_hex(SIGNED_AT, at.0)
    }

    /// Adds the signature of [`OldDictionary::signed_bytes`].
    #[must_use]
    pub fn with_signature(self, signature: &Signature) -> Self {
        let mut digits = Vec::new();
        hex::write(&signature.0, &mut digits);
        self.with_bytes(SIGNATURE, &digits)
    }

    /// Returns who claims to have signed.
    pub fn signer(&self) -> Option<PublicIdentity> {
        self.text(SIGNER)?.parse().ok()
    }

    /// Returns when it claims to have been signed.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.hex(SIGNED_AT).map(Timestamp)
    }

    /// Returns the signature; `None` if there is none, or none of 192 hexadecimal digits.
    pub fn signature(&self) -> Option<Signature> {
        let bytes = hex::parse(self.bytes(SIGNATURE)?, "dictionary signature").ok()?;
        bytes.try_into().ok().map(Signature)
    }

    /// Returns what is signed: all entries but the signature, then their number.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut count = 0_u32;
        for (key, value) in self.entries().filter(|(key, _)| *key != SIGNATURE.as_bytes()) {
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(0);
            count = count.saturating_add(1);
        }
        out.push(END_OF_ENTRIES);
        out.extend_from_slice(&count.to_be_bytes());
        out
    }
}

/// Splits a line at its first `=` that is not escaped.
fn split_at_equals(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(line);
    let mut key_len = 0;
    while let Some(byte) = reader.peek() {
        let escaped = byte == ESCAPE;
        if byte == b'=' {
            let (key, value) = line.split_at_checked(key_len)?;
            return Some((key, value.strip_prefix(b"=")?));
        }
        let step = if escaped { 2 } else { 1 };
        reader.bytes(step, "line").ok()?;
        key_len += step;
    }
    None
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            plain.push(byte);
            continue;
        }
        plain.extend(bytes.next().map(|escaped| match escaped {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            // among others an `e`, which in the modern form would be an equals sign
            other => other,
        }));
    }
    plain
}

fn escape(plain: &[u8], out: &mut Vec<u8>) {
    for byte in plain {
        match byte {
            0 => out.extend_from_slice(b"\\0"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'=' => out.extend_from_slice(b"\\="),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_too() {
        let dictionary = OldDictionary::new().with_text("a=b\n", "c");
        assert_eq!(dictionary.write(), b"a\\=b\\n=c\n");
        assert_eq!(OldDictionary::parse(&dictionary.write()), dictionary);
    }

    #[test]
    fn values_of_one_key_are_joined() {
        let dictionary = OldDictionary::parse(b"a=1\r\nb=x\na=2\nno value\n\nlast=y");
        assert_eq!(dictionary.bytes("a"), Some(&b"12"[..]));
        assert_eq!(dictionary.bytes("last"), Some(&b"y"[..]));
        assert_eq!(dictionary.entries().count(), 3);
    }

    #[test]
    fn modern_escape_of_the_equals_sign_is_read_as_a_letter() {
        assert_eq!(OldDictionary::parse(b"n=a\\eb\n").text("n").unwrap(), "aeb");
        assert_eq!(OldDictionary::parse(b"n=a\\=b=c\\").text("n").unwrap(), "a=b=c");
    }

    #[test]
    fn booleans_may_say_yes() {
        let dictionary = OldDictionary::parse(b"a=yes\nb=True\nc=no\nd=\n");
        let read = ["a", "b", "c", "d", "e"].map(|key| dictionary.boolean(key));
        assert_eq!(read, [Some(true), Some(true), Some(false), None, None]);
    }
}
