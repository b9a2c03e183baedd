//! USER_MESSAGE (verb 0x14): anything that applications agreed on (`vl1.md` §10.13).

use crate::codec::{DecodeError, Reader};

/// `type:8 data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserMessage<'a> {
    /// Up to 65535 reserved.
    pub kind: u64,
    /// What the applications agreed on.
    pub data: &'a [u8],
}

impl<'a> UserMessage<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { kind: reader.u64("message type")?, data: reader.rest() })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}
