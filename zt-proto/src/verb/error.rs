//! ERROR (verb 0x02): refuses a request (`vl1.md` §10.3, `vl2.md` §4.3).

use std::fmt;

use super::Verb;
use crate::address::{MulticastGroup, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::dictionary::{Dictionary, DictionaryWriter};

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u8);

impl ErrorCode {
    /// Not used.
    pub const NONE: Self = Self(0x00);
    /// The request makes no sense; not sent by the reference.
    pub const INVALID_REQUEST: Self = Self(0x01);
    /// The sender's protocol version is not supported; not sent by the reference.
    pub const BAD_PROTOCOL_VERSION: Self = Self(0x02);
    /// There is no such thing, in answer to a configuration request: no such network.
    pub const OBJECT_NOT_FOUND: Self = Self(0x03);
    /// The address of a HELLO belongs to another key.
    pub const IDENTITY_COLLISION: Self = Self(0x04);
    /// In answer to a configuration request: this is no controller.
    pub const UNSUPPORTED_OPERATION: Self = Self(0x05);
    /// In answer to a frame: send your credentials first.
    pub const NEED_MEMBERSHIP_CERTIFICATE: Self = Self(0x06);
    /// The asker is not authorized on the network.
    pub const NETWORK_ACCESS_DENIED: Self = Self(0x07);
    /// Multicasts of this group should not be sent here; see [`UnwantedMulticast`].
    pub const UNWANTED_MULTICAST: Self = Self(0x08);
    /// Log in first.
    pub const NETWORK_AUTHENTICATION_REQUIRED: Self = Self(0x09);

    /// Returns the name of the constant, `None` for a code that the specification does not define.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "NONE",
            Self::INVALID_REQUEST => "INVALID_REQUEST",
            Self::BAD_PROTOCOL_VERSION => "BAD_PROTOCOL_VERSION",
            Self::OBJECT_NOT_FOUND => "OBJECT_NOT_FOUND",
            Self::IDENTITY_COLLISION => "IDENTITY_COLLISION",
            Self::UNSUPPORTED_OPERATION => "UNSUPPORTED_OPERATION",
            Self::NEED_MEMBERSHIP_CERTIFICATE => "NEED_MEMBERSHIP_CERTIFICATE",
            Self::NETWORK_ACCESS_DENIED => "NETWORK_ACCESS_DENIED",
            Self::UNWANTED_MULTICAST => "UNWANTED_MULTICAST",
            Self::NETWORK_AUTHENTICATION_REQUIRED => "NETWORK_AUTHENTICATION_REQUIRED",
            _ => return None,
        })
    }
}

/// The name, or the number if it has none.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The payload of an ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorReply<'a> {
    /// The verb that is refused.
    pub in_re_verb: Verb,
    /// Id of the request as it was on the wire.
    pub in_re_packet: u64,
    /// Why.
    pub code: ErrorCode,
    /// Depends on the code; see [`NetworkError`] and [`UnwantedMulticast`].
    pub payload: &'a [u8],
}

impl<'a> ErrorReply<'a> {
    /// Reads the payload; what follows the code is left as it is.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            in_re_verb: Verb(reader.u8("refused verb")?),
            in_re_packet: reader.u64("refused packet id")?,
            code: ErrorCode(reader.u8("error code")?),
            payload: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.in_re_verb.0);
        out.extend_from_slice(&self.in_re_packet.to_be_bytes());
        out.push(self.code.0);
        out.extend_from_slice(self.payload);
    }
}

/// What follows the code when a configuration request or a frame is refused.
///
/// `network:8 [length:2 details:length]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkError<'a> {
    /// The network that was asked about.
    pub network: NetworkId,
    /// A dictionary that says how to log in, see [`LoginDetails`]; empty if there is none. At most 65535 bytes, of
    /// which clients keep [`NetworkError::MAX_DETAILS_LEN`].
    pub details: &'a [u8],
}

impl<'a> NetworkError<'a> {
    /// Longest details that clients take: their buffer of 8192 bytes ends with a zero.
    pub const MAX_DETAILS_LEN: usize = 8191;

    /// Reads what follows the code; everything behind the network is optional.
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

/// What follows [`ErrorCode::UNWANTED_MULTICAST`]: `network:8 mac:6 adi:4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnwantedMulticast {
    /// The network of the group.
    pub network: NetworkId,
    /// To which nothing should be sent any more.
    pub group: MulticastGroup,
}

impl UnwantedMulticast {
    /// Reads what follows the code.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { network: NetworkId::parse(&mut reader)?, group: MulticastGroup::parse(&mut reader)? })
    }

    /// Appends 18 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        self.group.write(out);
    }
}

/// The dictionary in the details of [`ErrorCode::NETWORK_AUTHENTICATION_REQUIRED`]: how to log in. Texts are raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginDetails {
    /// Version 0: at this URL, at most [`LoginDetails::MAX_URL_LEN`] bytes.
    Url(Vec<u8>),
    /// Version 1: by OpenID Connect.
    OpenId {
        /// At most [`LoginDetails::MAX_URL_LEN`] bytes, as is the next.
        issuer_url: Vec<u8>,
        /// The central endpoint.
        central_url: Vec<u8>,
        /// At most [`LoginDetails::MAX_NONCE_LEN`] bytes.
        nonce: Vec<u8>,
        /// At most [`LoginDetails::MAX_STATE_LEN`] bytes.
        state: Vec<u8>,
        /// At most [`LoginDetails::MAX_CLIENT_ID_LEN`] bytes.
        client_id: Vec<u8>,
        /// At most [`LoginDetails::MAX_PROVIDER_LEN`] bytes; `default` if it is missing.
        provider: Vec<u8>,
    },
}

impl LoginDetails {
    /// Each limit is what the buffers of clients hold besides a zero.
    pub const MAX_URL_LEN: usize = 2047;
    /// Longest nonce in bytes.
    pub const MAX_NONCE_LEN: usize = 63;
    /// Longest state in bytes.
    pub const MAX_STATE_LEN: usize = 127;
    /// Longest client id in bytes.
    pub const MAX_CLIENT_ID_LEN: usize = 255;
    /// Longest provider in bytes.
    pub const MAX_PROVIDER_LEN: usize = 63;
    const DEFAULT_PROVIDER: &'static [u8] = b"default";

    /// Reads the dictionary; texts are cut to what clients keep.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for another version than 0 and 1.
    pub fn parse(details: &[u8]) -> Result<Self, DecodeError> {
        let dictionary = Dictionary::new(details);
        let text = |key, max| {
            let mut text = dictionary.bytes(key)?.into_owned();
            text.truncate(max);
            Some(text)
        };
        let required = |key, max| text(key, max).unwrap_or_default();
        match dictionary.hex("aV").unwrap_or(0) {
            0 => Ok(Self::Url(required("aU", Self::MAX_URL_LEN))),
            1 => Ok(Self::OpenId {
                issuer_url: required("iU", Self::MAX_URL_LEN),
                central_url: required("aCU", Self::MAX_URL_LEN),
                nonce: required("aN", Self::MAX_NONCE_LEN),
                state: required("aS", Self::MAX_STATE_LEN),
                client_id: required("aCID", Self::MAX_CLIENT_ID_LEN),
                provider: text("aSSOp", Self::MAX_PROVIDER_LEN)
                    .unwrap_or_else(|| Self::DEFAULT_PROVIDER.to_vec()),
            }),
            value => Err(DecodeError::Invalid { field: "login version", value }),
        }
    }

    /// Returns the dictionary; texts are cut to what clients keep.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let cut = |text: &[u8], max| text.get(..max).unwrap_or(text).to_vec();
        match self {
            Self::Url(url) => {
                DictionaryWriter::new().hex("aV", 0).bytes("aU", &cut(url, Self::MAX_URL_LEN)).finish()
            }
            Self::OpenId { issuer_url, central_url, nonce, state, client_id, provider } => {
                DictionaryWriter::new()
                    .hex("aV", 1)
                    .bytes("iU", &cut(issuer_url, Self::MAX_URL_LEN))
                    .bytes("aCU", &cut(central_url, Self::MAX_URL_LEN))
                    .bytes("aN", &cut(nonce, Self::MAX_NONCE_LEN))
                    .bytes("aS", &cut(state, Self::MAX_STATE_LEN))
                    .bytes("aCID", &cut(client_id, Self::MAX_CLIENT_ID_LEN))
                    .bytes("aSSOp", &cut(provider, Self::MAX_PROVIDER_LEN))
                    .finish()
            }
        }
    }
}
