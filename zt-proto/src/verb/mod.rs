//! The payloads of packets, one verb a file (`vl1.md` §10).
//!
//! `parse` takes the decompressed payload that follows the verb byte, and `write` appends one. Surplus bytes at
//! the end are ignored: that is how fields were added over the years.

pub mod circuit_test;
pub mod credentials;
pub mod echo;
pub mod error;
pub mod frame;
pub mod hello;
pub mod message;
pub mod multicast_gather;
pub mod multicast_like;
pub mod network_config;
pub mod network_config_request;
pub mod ok;
pub mod push_direct_paths;
pub mod remote_trace;
pub mod rendezvous;
pub mod user_message;
pub mod whois;

use std::fmt;

pub use message::{Answer, Message};

/// What a packet is about. Unknown verbs are no error: they are a sign of life like any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verb(pub u8);

impl Verb {
    /// Nothing but a sign of life.
    pub const NOP: Self = Self(0x00);
    /// Announces an identity: [`Hello`](hello::Hello).
    pub const HELLO: Self = Self(0x01);
    /// Refuses a request: [`ErrorReply`](error::ErrorReply).
    pub const ERROR: Self = Self(0x02);
    /// Answers a request: [`OkReply`](ok::OkReply).
    pub const OK: Self = Self(0x03);
    /// Asks for identities: [`whois`].
    pub const WHOIS: Self = Self(0x04);
    /// Says where another peer is: [`Rendezvous`](rendezvous::Rendezvous).
    pub const RENDEZVOUS: Self = Self(0x05);
    /// An Ethernet frame: [`Frame`](frame::Frame).
    pub const FRAME: Self = Self(0x06);
    /// An Ethernet frame with more: [`ExtFrame`](frame::ExtFrame).
    pub const EXT_FRAME: Self = Self(0x07);
    /// Keeps a path alive: [`Echo`](echo::Echo).
    pub const ECHO: Self = Self(0x08);
    /// Subscribes to multicasts: [`multicast_like`].
    pub const MULTICAST_LIKE: Self = Self(0x09);
    /// Pushes credentials: [`NetworkCredentials`](credentials::NetworkCredentials).
    pub const NETWORK_CREDENTIALS: Self = Self(0x0a);
    /// Asks for a configuration: [`NetworkConfigRequest`](network_config_request::NetworkConfigRequest).
    pub const NETWORK_CONFIG_REQUEST: Self = Self(0x0b);
    /// Pushes a configuration: [`ConfigChunk`](network_config::ConfigChunk).
    pub const NETWORK_CONFIG: Self = Self(0x0c);
    /// Asks who is in a group: [`MulticastGather`](multicast_gather::MulticastGather).
    pub const MULTICAST_GATHER: Self = Self(0x0d);
    /// An Ethernet frame for a group: [`MulticastFrame`](frame::MulticastFrame).
    pub const MULTICAST_FRAME: Self = Self(0x0e);
    /// Says where the sender can be reached: [`push_direct_paths`].
    pub const PUSH_DIRECT_PATHS: Self = Self(0x10);
    /// Known to 1.1.0 to 1.2.4 only.
    pub const CIRCUIT_TEST: Self = Self(0x11);
    /// To 1.1.0 to 1.2.4 the same number is [`Verb::CIRCUIT_TEST_REPORT`].
    pub const ACK: Self = Self(0x12);
    /// Known to 1.1.0 to 1.2.4 only: [`CircuitTestReport`](circuit_test::CircuitTestReport).
    pub const CIRCUIT_TEST_REPORT: Self = Self(0x12);
    /// Measures the quality of a path, for multipath; not read here.
    pub const QOS_MEASUREMENT: Self = Self(0x13);
    /// Anything that applications agreed on: [`UserMessage`](user_message::UserMessage).
    pub const USER_MESSAGE: Self = Self(0x14);
    /// Diagnostic data of a member: [`remote_trace`].
    pub const REMOTE_TRACE: Self = Self(0x15);
    /// Chooses a path, for multipath; not read here.
    pub const PATH_NEGOTIATION_REQUEST: Self = Self(0x16);

    /// Bit of the verb byte: the payload is compressed.
    pub const COMPRESSED: u8 = 0x80;
    /// Bits of the verb byte that hold the verb.
    pub const MASK: u8 = 0x1f;

    /// Returns the verb of a verb byte, and whether the payload is compressed.
    pub const fn from_byte(byte: u8) -> (Self, bool) {
        (Self(byte & Self::MASK), byte & Self::COMPRESSED != 0)
    }

    /// Returns the verb byte.
    pub const fn to_byte(self, compressed: bool) -> u8 {
        self.0 & Self::MASK | if compressed { Self::COMPRESSED } else { 0 }
    }

    /// Returns the name in the specification, `None` for a verb that it does not define.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NOP => "NOP",
            Self::HELLO => "HELLO",
            Self::ERROR => "ERROR",
            Self::OK => "OK",
            Self::WHOIS => "WHOIS",
            Self::RENDEZVOUS => "RENDEZVOUS",
            Self::FRAME => "FRAME",
            Self::EXT_FRAME => "EXT_FRAME",
            Self::ECHO => "ECHO",
            Self::MULTICAST_LIKE => "MULTICAST_LIKE",
            Self::NETWORK_CREDENTIALS => "NETWORK_CREDENTIALS",
            Self::NETWORK_CONFIG_REQUEST => "NETWORK_CONFIG_REQUEST",
            Self::NETWORK_CONFIG => "NETWORK_CONFIG",
            Self::MULTICAST_GATHER => "MULTICAST_GATHER",
            Self::MULTICAST_FRAME => "MULTICAST_FRAME",
            Self::PUSH_DIRECT_PATHS => "PUSH_DIRECT_PATHS",
            Self::CIRCUIT_TEST => "CIRCUIT_TEST",
            Self::ACK => "ACK",
            Self::QOS_MEASUREMENT => "QOS_MEASUREMENT",
            Self::USER_MESSAGE => "USER_MESSAGE",
            Self::REMOTE_TRACE => "REMOTE_TRACE",
            Self::PATH_NEGOTIATION_REQUEST => "PATH_NEGOTIATION_REQUEST",
            _ => return None,
        })
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_bits_of_the_verb_byte_are_ignored_and_sent_as_zero() {
        assert_eq!(Verb::from_byte(0xeb), (Verb::NETWORK_CONFIG_REQUEST, true));
        assert_eq!(Verb::from_byte(0x6b), (Verb::NETWORK_CONFIG_REQUEST, false));
        assert_eq!(Verb(0xff).to_byte(false), 0x1f);
        assert_eq!(Verb::ECHO.to_byte(true), 0x88);
    }

    #[test]
    fn unknown_verb_survives() {
        let (verb, _) = Verb::from_byte(0x1e);
        assert_eq!((verb, verb.name(), verb.to_string()), (Verb(0x1e), None, "0x1e".to_owned()));
    }
}
