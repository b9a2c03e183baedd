//! What a controller signs for members, and members show to each other (`vl2.md` §7).
//!
//! Each type has `parse`, `write` and `signed_bytes`. Making and checking signatures is the business of
//! `zt-crypto`.

mod capability;
mod membership;
mod ownership;
mod revocation;
mod tag;

use std::fmt;

use data_encoding::HEXLOWER;

pub use capability::{Capability, Custody};
pub use membership::{CertificateOfMembership, Qualifier};
pub use ownership::{CertificateOfOwnership, Thing};
pub use revocation::Revocation;
pub use tag::Tag;

use crate::codec::{DecodeError, Reader};

/// Frames the signed form of every credential but the certificate of membership.
const MARKER: [u8; 8] = [0x7f; 8];
/// The only type of signature: Ed25519 over the first half of a SHA-512 digest.
const SIGNATURE_TYPE: u8 = 1;

/// A signature as the protocol has it: 64 bytes of Ed25519, then the 32 bytes that were signed, which are the
/// first half of the message's SHA-512 (`vl1.md` §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; Signature::LEN]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 96;
    /// The length as it stands before a signature.
    pub(crate) const LEN_ON_WIRE: u16 = 96;
    /// What stands in a structure that has not been signed yet.
    pub const NONE: Self = Self([0; Self::LEN]);

    /// Reads the bare 96 bytes.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array("signature").map(Self)
    }

    /// Writes the bare 96 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    /// Reads `type:1 length:2 signature:96`.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for another type than 1 or another length than 96.
    pub fn parse_block(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8("signature type")?;
        if kind != SIGNATURE_TYPE {
            return Err(DecodeError::Invalid { field: "signature type", value: kind.into() });
        }
        let length = reader.u16("signature length")?;
        if length != Self::LEN_ON_WIRE {
            return Err(DecodeError::Invalid { field: "signature length", value: length.into() });
        }
        Self::parse(reader)
    }

    /// Writes `type:1 length:2 signature:96`.
    pub fn write_block(&self, out: &mut Vec<u8>) {
        out.push(SIGNATURE_TYPE);
        out.extend_from_slice(&Self::LEN_ON_WIRE.to_be_bytes());
        self.write(out);
    }
}

impl Default for Signature {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HEXLOWER.encode_display(&self.0))
    }
}

/// What kind of credential a revocation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CredentialType {
    /// [`CertificateOfMembership`].
    Membership = 1,
    /// [`Capability`].
    Capability = 2,
    /// [`Tag`].
    Tag = 3,
    /// [`CertificateOfOwnership`].
    Ownership = 4,
}

impl CredentialType {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("credential type")? {
            1 => Ok(Self::Membership),
            2 => Ok(Self::Capability),
            3 => Ok(Self::Tag),
            4 => Ok(Self::Ownership),
            other => Err(DecodeError::Invalid { field: "credential type", value: other.into() }),
        }
    }

    fn to_u8(self) -> u8 {
        match self {
            Self::Membership => 1,
            Self::Capability => 2,
            Self::Tag => 3,
            Self::Ownership => 4,
        }
    }
}

/// Reads the end of a credential: a length, 0 so far, and that many bytes which later releases may add.
fn parse_extension(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let length = reader.u16("credential extension length")?;
    reader.bytes(length.into(), "credential extension")?;
    Ok(())
}

/// Writes the end of a credential: no extension.
fn write_extension(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Room for what is signed of most credentials.
const USUAL_SIGNED_LEN: usize = 160;

/// Returns what is signed: markers around the fields that `write` appends and the end of a credential.
fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_SIGNED_LEN);
    out.extend_from_slice(&MARKER);
    write(&mut out);
    write_extension(&mut out);
    out.extend_from_slice(&MARKER);
    out
}
