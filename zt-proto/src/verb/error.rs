//! ERROR (verb 0x02): refuses a request (`vl1.md` §10.3, `vl2.md` §4.3).

use super::Verb;
use crate::address::NetworkId;
use crate::codec::{DecodeError, Reader};

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u8);

impl ErrorCode {
    pub const NONE: Self = Self(0x00);
    pub const INVALID_REQUEST: Self = Self(0x01);
    pub const BAD_PROTOCOL_VERSION: Self = Self(0x02);
    pub const OBJECT_NOT_FOUND: Self = Self(0x03);
    /// The address of a HELLO belongs to another key.
    pub const IDENTITY_COLLISION: Self = Self(0x04);
    /// In answer to a configuration request: this is no controller.
    pub const UNSUPPORTED_OPERATION: Self = Self(0x05);
    pub const NEED_MEMBERSHIP_CERTIFICATE: Self = Self(0x06);
    pub const NETWORK_ACCESS_DENIED: Self = Self(0x07);
    pub const UNWANTED_MULTICAST: Self = Self(0x08);
    /// Log in first.
    pub const NETWORK_AUTHENTICATION_REQUIRED: Self = Self(0x09);
}

/// The payload of an ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    pub in_re_verb: Verb,
    /// Id of the request as it was on the wire.
    pub in_re_packet: u64,
    pub code: ErrorCode,
    /// Depends on the code; see [`NetworkError`].
    pub payload: &'a [u8],
}

impl<'a> ErrorReply<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            in_re_verb: Verb(reader.u8("refused verb")?),
            in_re_packet: reader.u64("refused packet id")?,
            code: ErrorCode(reader.u8("error code")?),
            payload: reader.rest(),
        })
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.in_re_verb.0);
        out.extend_from_slice(&self.in_re_packet.to_be_bytes());
        out.push(self.code.0);
        out.extend_from_slice(self.payload);
    }
}

/// What follows the code when a configuration request is refused.
///
/// `network:8 [length:2 details:length]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkError<'a> {
    pub network: NetworkId,
    /// A dictionary that says how to log in; empty if there is none. At most 65535 bytes.
    pub details: &'a [u8],
}

impl<'a> NetworkError<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        if reader.is_empty() {
            return Ok(Self { network, details: &[] });
        }
        let length = reader.u16("details length")?;
        Ok(Self { network, details: reader.bytes(length.into(), "details")? })
    }

    /// Appends the network and, unless they are empty or above 65535 bytes, the details.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        if let Ok(length @ 1..) = u16::try_from(self.details.len()) {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(self.details);
        }
    }
}
