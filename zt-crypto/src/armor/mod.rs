//! Packet encryption and authentication (`vl1.md` §9).
//!
//! [`seal`] and [`open`] take a whole packet: after reassembly, before fragmentation. They work in place and
//! allocate nothing.

pub(crate) mod aes_gmac_siv;
pub mod extended;
mod hello_mask;
mod salsa_poly;
pub mod trusted_path;

pub use hello_mask::mask_hello_tail;

use zt_proto::packet::MIN_PACKET;
use zt_proto::packet::header::{HeaderMut, PacketHeader};

use crate::agreement::SessionKey;

/// How a packet is protected. Which suite is due is said in `vl1.md` §9.1, which to accept in §9.2.
#[doc(alias("cipher", "CipherSuite"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// Suite 0: authenticated but readable on the way. For HELLO.
    Poly1305,
    /// Suite 1: for peers below protocol version 12 or of unknown version.
    Salsa20Poly1305,
    /// Suite 3: for peers of protocol version 12 and above.
    AesGmacSiv,
}

impl Suite {
    /// Returns the number of the suite in the packet header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Poly1305 => 0,
            Self::Salsa20Poly1305 => 1,
            Self::AesGmacSiv => 3,
        }
    }
}

/// Why a packet is not from the owner of the key, or was changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// So long is it.
    #[error("a packet has at least {MIN_PACKET} bytes, not {0}")]
    TooShort(usize),
    /// Suite 2 is a packet without cryptography ([`trusted_path`]); 4 to 7 are undefined.
    #[error("cipher suite {0} is not accepted")]
    UnsupportedSuite(u8),
    /// It was not sealed with this key, or was changed on the way.
    #[error("the packet is not authentic")]
    NotAuthentic,
}

/// Protects `packet`, whose id, addresses, fragmented flag, verb and payload are final.
///
/// Sets the cipher suite and the MAC and encrypts in place. With [`Suite::AesGmacSiv`] the packet id changes too:
/// a sender that waits for an answer remembers the id that the packet has afterwards (`vl1.md` §6.4). Less than a
/// header and a verb is left as it is: there is nothing to protect.
pub fn seal(packet: &mut [u8], key: &SessionKey, suite: Suite) {
    let Ok((mut header, _)) = split(packet) else { return };
    header.set_suite(suite.number());
    let sealed = match suite {
        Suite::Poly1305 => salsa_poly::seal(packet, key, false),
        Suite::Salsa20Poly1305 => salsa_poly::seal(packet, key, true),
        Suite::AesGmacSiv => aes_gmac_siv::seal(packet, key),
    };
    debug_assert!(sealed.is_ok(), "the only error is a length that was checked above");
}

/// Checks that the owner of `key` sent `packet`, decrypts it in place and says how it was protected.
///
/// The header stays as it was received: the packet id is the one that answers quote.
///
/// # Errors
/// The packet is then as it was before, so nothing of an unauthentic payload can be read from it.
pub fn open(packet: &mut [u8], key: &SessionKey) -> Result<Suite, OpenError> {
    let header = PacketHeader::parse(packet).map_err(|_| OpenError::TooShort(packet.len()))?;
    match header.suite() {
        0 => salsa_poly::open(packet, key, false).map(|()| Suite::Poly1305),
        1 => salsa_poly::open(packet, key, true).map(|()| Suite::Salsa20Poly1305),
        3 => aes_gmac_siv::open(packet, key).map(|()| Suite::AesGmacSiv),
        other => Err(OpenError::UnsupportedSuite(other)),
    }
}

/// Splits a packet into its header and what is armored.
fn split(packet: &mut [u8]) -> Result<(HeaderMut<'_>, &mut [u8]), OpenError> {
    let len = packet.len();
    match packet.split_first_chunk_mut() {
        Some((header, body)) if !body.is_empty() => Ok((HeaderMut(header), body)),
        _ => Err(OpenError::TooShort(len)),
    }
}
