//! Suites 0 and 1: Poly1305 with or without Salsa20/12 (`vl1.md` §9.3).

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;
use zt_proto::packet::header::{FLAGS_OFFSET, HOPS_MASK, HeaderMut};

use super::{OpenError, split};
use crate::agreement::SessionKey;
use crate::salsa20::Salsa20;

/// Number of the key stream block that encrypts the first payload byte; block 0 is the Poly1305 key.
const PAYLOAD_BLOCK: u64 = 1;
/// Length of the MAC in the header: a truncated Poly1305 tag.
const MAC_LEN: usize = 8;

pub(super) fn seal(packet: &mut [u8], key: &SessionKey, encrypted: bool) -> Result<(), OpenError> {
    let size = packet.len();
    let (mut header, body) = split(packet)?;
    let stream = packet_stream(&header, size, key);
    if encrypted {
        stream.xor(PAYLOAD_BLOCK, body);
    }
    header.set_mac(mac(&stream, body));
    Ok(())
}

pub(super) fn open(packet: &mut [u8], key: &SessionKey, encrypted: bool) -> Result<(), OpenError> {
    let size = packet.len();
    let (header, body) = split(packet)?;
    let stream = packet_stream(&header, size, key);
    if !bool::from(mac(&stream, body).ct_eq(&header.mac())) {
        return Err(OpenError::NotAuthentic);
    }
    if encrypted {
        stream.xor(PAYLOAD_BLOCK, body);
    }
    Ok(())
}

/// Returns the key stream of one packet: id, addresses, flags and size go into its key.
fn packet_stream(header: &HeaderMut<'_>, size: usize, key: &SessionKey) -> Salsa20<12> {
    let mut packet_key = Zeroizing::new(*key.salsa());
    let mut mixed_in = [0; 21];
    mixed_in[..19].copy_from_slice(&header.0[..19]);
    mixed_in[FLAGS_OFFSET] &= !HOPS_MASK;
    let [low, high, ..] = size.to_le_bytes();
    mixed_in[19] = low;
    mixed_in[20] = high;
    for (byte, mixed) in packet_key.iter_mut().zip(mixed_in) {
        *byte ^= mixed;
    }
    Salsa20::new(&packet_key, &header.id().to_be_bytes())
}

/// Authenticates what follows the header, as it is on the wire.
fn mac(stream: &Salsa20<12>, body: &[u8]) -> [u8; MAC_LEN] {
    let mut key = Zeroizing::new([0; 32]);
    stream.xor(0, &mut *key);
    let tag = Poly1305::new((&*key).into()).compute_unpadded(body);
    *tag.first_chunk().expect("a Poly1305 tag has 16 bytes")
}
