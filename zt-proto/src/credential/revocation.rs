//! Revocations (`vl2.md` §7.5).

use super::{CredentialType, Signature, framed, parse_extension, write_extension};
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::time::Timestamp;

/// Invalidates credentials of one member that were issued up to a time.
///
/// `0:4 id:4 network:8 0:4 credential_id:4 threshold:8 flags:8 target:5 signed_by:5 type:1 signature block:99 0:2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// Random.
    pub id: u32,
    /// The network of the credentials.
    pub network: NetworkId,
    /// 0 for certificates of membership.
    pub credential_id: u32,
    /// Credentials with this timestamp or an older one are no longer valid.
    pub threshold: Timestamp,
    /// See [`Revocation::FAST_PROPAGATE`].
    pub flags: u64,
    /// The member whose credentials they are.
    pub target: Address,
    /// The controller of the network.
    pub signed_by: Address,
    /// What kind of credential it is.
    pub credential_type: CredentialType,
    /// By `signed_by`, of [`Revocation::signed_bytes`].
    pub signature: Signature,
}

impl Revocation {
    /// Members pass a new revocation with this flag on to each other.
    pub const FAST_PROPAGATE: u64 = 0x1;
    /// Length in bytes.
    pub const WIRE_LEN: usize = 152;

    /// Reads the binary form; fields that later releases may add behind it are skipped.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u32("revocation padding")?;
        let id = reader.u32("revocation id")?;
        let network = NetworkId::parse(reader)?;
        reader.u32("revocation padding")?;
        let revocation = Self {
            id,
            network,
            credential_id: reader.u32("revoked credential id")?,
            threshold: Timestamp(reader.u64("revocation threshold")?),
            flags: reader.u64("revocation flags")?,
            target: Address::parse(reader, "revocation target")?,
            signed_by: Address::parse(reader, "revocation signer")?,
            credential_type: CredentialType::parse(reader)?,
            signature: Signature::parse_block(reader)?,
        };
        parse_extension(reader)?;
        Ok(revocation)
    }

    /// Appends [`Revocation::WIRE_LEN`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
        self.signature.write_block(out);
        write_extension(out);
    }

    /// Returns what is signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        framed(|out| self.write_fields(out))
    }

    fn write_fields(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.to_be_bytes());
        self.network.write(out);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.credential_id.to_be_bytes());
        out.extend_from_slice(&self.threshold.0.to_be_bytes());
        out.extend_from_slice(&self.flags.to_be_bytes());
        self.target.write(out);
        self.signed_by.write(out);
        out.push(self.credential_type.to_u8());
    }
}
