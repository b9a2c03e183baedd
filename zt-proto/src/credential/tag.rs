//! Tags (`vl2.md` §7.2).

use super::{Signature, framed, parse_extension, write_extension};
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::time::Timestamp;

/// A number that a member carries, and rules compare.
///
/// `network:8 timestamp:8 id:4 value:4 issued_to:5 signed_by:5 signature block:99 0:2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The network whose rules compare it.
    pub network: NetworkId,
    /// Time of issue.
    pub timestamp: Timestamp,
    /// Which tag: rules name this number.
    pub id: u32,
    /// What the member has.
    pub value: u32,
    /// The member that carries it.
    pub issued_to: Address,
    /// The controller of the network.
    pub signed_by: Address,
    /// By `signed_by`, of [`Tag::signed_bytes`].
    pub signature: Signature,
}

impl Tag {
    /// Reads the binary form; fields that later releases may add behind it are skipped.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = Self {
            network: NetworkId::parse(reader)?,
            timestamp: Timestamp(reader.u64("tag timestamp")?),
            id: reader.u32("tag id")?,
            value: reader.u32("tag value")?,
            issued_to: Address::parse(reader, "tag holder")?,
            signed_by: Address::parse(reader, "tag signer")?,
            signature: Signature::parse_block(reader)?,
        };
        parse_extension(reader)?;
        Ok(tag)
    }

    /// Appends the binary form.
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
        self.network.write(out);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.value.to_be_bytes());
        self.issued_to.write(out);
        self.signed_by.write(out);
    }
}
