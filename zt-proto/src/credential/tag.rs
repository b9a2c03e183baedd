//! Tags (`vl2.md` §7.2).

use super::{Signature, framed, parse_extension, write_extension};
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::time::Timestamp;

/// A number that a member carries, and rules compare.
///
/// `network:8 timestamp:8 id:4 value:4 issued_to:5 signed_by:5 signature block:99 0:2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub network: NetworkId,
    pub timestamp: Timestamp,
    pub id: u32,
    pub value: u32,
    pub issued_to: Address,
    pub signed_by: Address,
    pub signature: Signature,
}

impl Tag {
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

    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
        self.signature.write_block(out);
        write_extension(out);
    }

    /// Returns what is signed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        framed(|out| {
            self.write_fields(out);
            write_extension(out);
        })
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
