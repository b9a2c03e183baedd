//! Extended armor: a second layer around HELLO, so that identities cannot be read on the way (`vl1.md` §9.6).
//!
//! It authenticates nobody: what it uncovers is a packet of suite 0, still to be opened.

use aes::Aes256;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use ctr::Ctr32BE;
use zt_proto::PublicIdentity;
use zt_proto::packet::MIN_PACKET;
use zt_proto::packet::header::{FLAG_ENCRYPTED, PacketHeader};

use super::{Suite, salsa_poly, split};
use crate::agreement::{SessionKey, WeakKey, shared_secret};
use crate::curve25519::AgreementKey;
use crate::identity::IdentitySecret;
use crate::keys::halves;

/// Length of the one-time public key at the end of the packet.
const KEY_LEN: usize = 32;
/// The shortest packet that could be one inside extended armor.
const MIN_LEN: usize = MIN_PACKET + KEY_LEN;
/// Where the outer encryption begins: directly after the flags.
const ENCRYPTED_FROM: usize = 19;

/// Why a packet in extended armor could not be uncovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendedError {
    /// So long is it.
    #[error("a packet in extended armor has at least {MIN_LEN} bytes, not {0}")]
    TooShort(usize),
    /// It is not of suite 0 with the legacy encrypted flag: see [`is_marked`].
    #[error("the packet is not marked as being in extended armor")]
    NotMarked,
    /// Everybody knows the key that it would be uncovered with.
    #[error("the one-time key at its end: {0}")]
    WeakKey(WeakKey),
}

impl From<WeakKey> for ExtendedError {
    fn from(error: WeakKey) -> Self {
        Self::WeakKey(error)
    }
}

/// Says whether `packet` is marked as being in extended armor: suite 0 with the legacy encrypted flag.
#[must_use]
pub fn is_marked(packet: &[u8]) -> bool {
    PacketHeader::parse(packet)
        .is_ok_and(|header| header.suite() == Suite::Poly1305.number() && header.is_marked_encrypted())
}

/// Removes the outer layer in place and returns the packet of suite 0 inside, without the one-time key.
///
/// # Errors
/// The packet is then unchanged. A packet that is damaged or for another node gives no error here, but is not
/// authentic when it is opened.
pub fn open<'a>(packet: &'a mut [u8], secret: &IdentitySecret) -> Result<&'a mut [u8], ExtendedError> {
    let len = packet.len();
    if !is_marked(packet) {
        return Err(ExtendedError::NotMarked);
    }
    let (inner, one_time_key) =
        packet.split_last_chunk_mut::<KEY_LEN>().ok_or(ExtendedError::TooShort(len))?;
    if inner.len() < MIN_PACKET {
        return Err(ExtendedError::TooShort(len));
    }
    apply_outer_key_stream(inner, secret.agreement_key(), one_time_key)?;
    Ok(inner)
}

/// Seals a HELLO with suite 0 and puts it into extended armor.
///
/// `one_time_secret` is an X25519 secret of this packet alone. For tests of the receiving side: this program never
/// sends extended armor.
///
/// # Errors
/// [`ExtendedError::WeakKey`] if the receiver cannot have such a public key.
pub fn seal(
    packet: &mut Vec<u8>,
    key: &SessionKey,
    one_time_secret: [u8; 32],
    receiver: &PublicIdentity,
) -> Result<(), ExtendedError> {
    let too_short = ExtendedError::TooShort(packet.len());
    let (mut header, _) = split(packet).map_err(|_| too_short)?;
    header.set_suite(Suite::Poly1305.number());
    header.set_flags(header.flags() | FLAG_ENCRYPTED);
    salsa_poly::seal(packet, key, false).map_err(|_| too_short)?;
    let secret = AgreementKey::new(&one_time_secret);
    let (theirs, _) = halves(&receiver.key);
    apply_outer_key_stream(packet, &secret, theirs)?;
    packet.extend_from_slice(&secret.public());
    Ok(())
}

fn apply_outer_key_stream(packet: &mut [u8], ours: &AgreementKey, theirs: &[u8; 32]) -> Result<(), WeakKey> {
    let secret = shared_secret(ours, theirs)?;
    let (key, _) = halves(&secret);
    let mut counter_block = [0; 16];
    for (to, from) in counter_block.iter_mut().zip(packet.iter().take(12)) {
        *to = *from;
    }
    let encrypted = packet.get_mut(ENCRYPTED_FROM..).unwrap_or_default();
    Ctr32BE::<Aes256>::new(key.into(), &counter_block.into()).apply_keystream(encrypted);
    Ok(())
}
