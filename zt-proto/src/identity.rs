//! The public half of an identity: address and public keys (`vl1.md` §3.5–3.7).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::address::{Address, HexIdError};
use crate::codec::{DecodeError, Reader};

/// The only identity type of 1.x: X25519 and Ed25519.
const TYPE: u8 = 0;
/// Length of a public key, and of a secret key: X25519 half, then Ed25519 half.
pub const KEY_LEN: usize = 64;

/// Address and public keys of a node, as somebody claims them.
///
/// Whether the address belongs to the keys is known only to `zt_crypto::VerifiedIdentity`.
#[doc(alias("Identity", "identity.public"))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicIdentity {
    /// Who it is, as it is claimed.
    pub address: Address,
    /// X25519 public key (32 bytes), then Ed25519 public key (32 bytes).
    pub key: [u8; KEY_LEN],
}

impl PublicIdentity {
    /// Length of the binary form without a secret.
    pub const WIRE_LEN: usize = 71;

    /// Reads the binary form; a secret key that follows is skipped.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for another type than 0 or a secret length other than 0 and 64.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = Address::parse(reader, "identity address")?;
        let kind = reader.u8("identity type")?;
        if kind != TYPE {
            return Err(DecodeError::Invalid { field: "identity type", value: kind.into() });
        }
        let key = reader.array("identity public key")?;
        match reader.u8("identity secret length")? {
            0 => {}
            64 => {
                reader.bytes(KEY_LEN, "identity secret key")?;
            }
            other => {
                return Err(DecodeError::Invalid { field: "identity secret length", value: other.into() });
            }
        }
        Ok(Self { address, key })
    }

    /// Writes the binary form without a secret: [`PublicIdentity::WIRE_LEN`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.address.write(out);
        out.push(TYPE);
        out.extend_from_slice(&self.key);
        out.push(0);
    }
}

/// The text form `address:0:public key`, lower case.
impl fmt::Display for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:0:{}", self.address, HEXLOWER.encode_display(&self.key))
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityTextError {
    /// It has less than three or more than four fields.
    #[error("expected address:0:public key, with an optional secret key, separated by colons")]
    Fields,
    /// The first field is not ten digits.
    #[error("the address is not valid: {0}")]
    Address(HexIdError),
    /// No node can have the address.
    #[error("the address {0} is reserved")]
    Reserved(Address),
    /// The second field is not `0`.
    #[error("the identity type must be 0")]
    Type,
    /// A key does not have 128 digits.
    #[error("a key must have 128 hexadecimal digits")]
    Key,
}

impl From<HexIdError> for IdentityTextError {
    fn from(error: HexIdError) -> Self {
        Self::Address(error)
    }
}

/// Reads 128 hexadecimal digits of either case.
pub fn parse_key(text: &str) -> Result<[u8; KEY_LEN], IdentityTextError> {
    let mut key = [0; KEY_LEN];
    if text.len() != 2 * KEY_LEN {
        return Err(IdentityTextError::Key);
    }
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |value, digit| {
            let digit = char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
            digit.map(|digit| value << 4 | digit).ok_or(IdentityTextError::Key)
        })?;
    }
    Ok(key)
}

impl FromStr for PublicIdentity {
    type Err = IdentityTextError;

    /// Reads the text form of either case, with a trailing line end; a secret key must be well-formed and is
    /// dropped.
    fn from_str(text: &str) -> Result<Self, IdentityTextError> {
        let mut fields = text.trim_end_matches(['\r', '\n']).split(':');
        let mut next = || fields.next().ok_or(IdentityTextError::Fields);
        let (address, kind, key) = (next()?, next()?, next()?);
        let secret = fields.next();
        if fields.next().is_some() {
            return Err(IdentityTextError::Fields);
        }
        if kind != "0" {
            return Err(IdentityTextError::Type);
        }
        let address: Address = address.parse()?;
        if address.is_reserved() {
            return Err(IdentityTextError::Reserved(address));
        }
        if let Some(secret) = secret {
            parse_key(secret)?;
        }
        Ok(Self { address, key: parse_key(key)? })
    }
}
