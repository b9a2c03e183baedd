//! Certificate of membership (`vl2.md` §7.1).

use super::Signature;
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::hex;
use crate::time::Timestamp;

const VERSION: u8 = 1;
const TEXT_VERSION: &[u8] = b"1";

/// Proves that a node is a member of a network. Two members talk if their certificates agree.
///
/// `1:1 count:2 (id:8 value:8 max_delta:8)* signed_by:5 [signature:96]`; the signature is there only if
/// `signed_by` is not zero.
#[doc(alias = "COM")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateOfMembership {
    /// Strictly ascending by id, at most [`CertificateOfMembership::MAX_QUALIFIERS`].
    pub qualifiers: Vec<Qualifier>,
    /// The controller of the network; zero: nobody signed, and there is no signature on the wire.
    pub signed_by: Address,
    /// By `signed_by`, of [`CertificateOfMembership::signed_bytes`].
    pub signature: Signature,
}

/// A number that the certificates of two members must share within limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Qualifier {
    /// What the number means: see the constants.
    pub id: u64,
    /// What the member has.
    pub value: u64,
    /// How far the other member's value may be away.
    pub max_delta: u64,
}

impl Qualifier {
    /// Time of issue in milliseconds; the delta is the credential window.
    pub const TIMESTAMP: u64 = 0;
    /// Id of the network.
    pub const NETWORK: u64 = 1;
    /// Address of the member.
    pub const MEMBER: u64 = 2;
    /// First of the four parts of the member's fingerprint.
    pub const FINGERPRINT: u64 = 3;

    /// Length in bytes.
    const WIRE_LEN: usize = 24;
}

impl CertificateOfMembership {
    /// Clients of 1.1 take 16; seven are issued.
    pub const MAX_QUALIFIERS: usize = 16;
    /// Clients from 1.2 take no more than these.
    pub const MAX_QUALIFIERS_FROM_1_2: usize = 8;

    /// Returns the certificate that a modern controller issues, not yet signed.
    ///
    /// `window` is in milliseconds; of `fingerprint`, the SHA-384 of address and public key, the first 32 bytes
    /// are used.
    pub fn new(
        network: NetworkId,
        member: Address,
        fingerprint: &[u8; 48],
        timestamp: Timestamp,
        window: u64,
    ) -> Self {
        let first = [
            Qualifier { id: Qualifier::TIMESTAMP, value: timestamp.0, max_delta: window },
            Qualifier { id: Qualifier::NETWORK, value: network.0, max_delta: 0 },
            Qualifier { id: Qualifier::MEMBER, value: member.to_u64(), max_delta: u64::MAX },
        ];
        let (parts, _) = fingerprint.as_chunks::<8>();
        let others = (Qualifier::FINGERPRINT..).zip(parts).take(4).map(|(id, part)| Qualifier {
            id,
            value: u64::from_be_bytes(*part),
            max_delta: u64::MAX,
        });
        let qualifiers = first.into_iter().chain(others).collect();
        Self { qualifiers, signed_by: Address::NONE, signature: Signature::NONE }
    }

    /// Returns the value of a qualifier, for example [`Qualifier::TIMESTAMP`].
    pub fn value(&self, id: u64) -> Option<u64> {
        self.qualifiers.iter().find(|qualifier| qualifier.id == id).map(|qualifier| qualifier.value)
    }

    /// # Errors
    /// [`DecodeError::Invalid`] for another version than 1 or ids that do not ascend;
    /// [`DecodeError::TooLong`] for more than [`CertificateOfMembership::MAX_QUALIFIERS`].
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8("certificate version")?;
        if version != VERSION {
            return Err(DecodeError::Invalid { field: "certificate version", value: version.into() });
        }
        let count = reader.u16("qualifier count")?;
        let qualifiers = parse_qualifiers(reader, count.into())?;
        let signed_by = Address::parse(reader, "signer")?;
        let signature = match signed_by {
            Address::NONE => Signature::NONE,
            _ => Signature::parse(reader)?,
        };
        Ok(Self { qualifiers, signed_by, signature })
    }

    /// Appends the binary form: of more than [`CertificateOfMembership::MAX_QUALIFIERS`] qualifiers the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let count = u16::try_from(self.qualifiers.len().min(Self::MAX_QUALIFIERS)).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        self.write_qualifiers(out);
        self.signed_by.write(out);
        if self.signed_by != Address::NONE {
            self.signature.write(out);
        }
    }

    /// Reads the text form of 1.0.0 to 1.1.4: `1:`, the qualifiers, signer and signature in hexadecimal digits.
    ///
    /// # Errors
    /// As [`CertificateOfMembership::parse`], and for what is not hexadecimal.
    pub fn parse_text(text: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = text.split(|byte| *byte == b':');
        let mut next = || fields.next().unwrap_or_default();
        let version = next();
        if version != TEXT_VERSION {
            let value = version.first().copied().unwrap_or_default().into();
            return Err(DecodeError::Invalid { field: "certificate version", value });
        }
        let bytes = hex::parse(next(), "qualifiers")?;
        let mut reader = Reader::new(&bytes);
        let count = bytes.len().div_ceil(Qualifier::WIRE_LEN);
        let qualifiers = parse_qualifiers(&mut reader, count)?;
        let bytes = hex::parse(next(), "signer")?;
        let signed_by = Address::parse(&mut Reader::new(&bytes), "signer")?;
        let signature = match signed_by {
            Address::NONE => Signature::NONE,
            _ => Signature::parse(&mut Reader::new(&hex::parse(next(), "signature")?))?,
        };
        Ok(Self { qualifiers, signed_by, signature })
    }

    /// Writes the text form of 1.0.0 to 1.1.4.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(TEXT_VERSION);
        out.push(b':');
        hex::write(&self.signed_bytes(), out);
        out.push(b':');
        hex::write(&self.signed_by.octets(), out);
        if self.signed_by != Address::NONE {
            out.push(b':');
            hex::write(&self.signature.0, out);
        }
    }

    /// Returns what is signed: the qualifiers and nothing else.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.qualifiers.len() * Qualifier::WIRE_LEN);
        self.write_qualifiers(&mut out);
        out
    }

    fn write_qualifiers(&self, out: &mut Vec<u8>) {
        for qualifier in self.qualifiers.iter().take(Self::MAX_QUALIFIERS) {
            out.extend_from_slice(&qualifier.id.to_be_bytes());
            out.extend_from_slice(&qualifier.value.to_be_bytes());
            out.extend_from_slice(&qualifier.max_delta.to_be_bytes());
        }
    }
}

/// Reads `count` qualifiers, whose ids must ascend.
fn parse_qualifiers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Qualifier>, DecodeError> {
    let max = CertificateOfMembership::MAX_QUALIFIERS;
    if count > max {
        return Err(DecodeError::TooLong { field: "qualifiers", max, got: count });
    }
    let mut qualifiers: Vec<Qualifier> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = reader.u64("qualifier id")?;
        if qualifiers.last().is_some_and(|last| last.id >= id) {
            return Err(DecodeError::Invalid { field: "qualifier id", value: id });
        }
        let value = reader.u64("qualifier value")?;
        qualifiers.push(Qualifier { id, value, max_delta: reader.u64("qualifier delta")? });
    }
    Ok(qualifiers)
}
