//! Suites 0 and 1: Poly1305 with or without Salsa20/12 (`vl1.md` §9.3).

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};
use zt_proto::packet::header::{FLAGS_OFFSET, HOPS_MASK, HeaderMut};

use super::{OpenError, split};
use crate::agreement::SessionKey;
use crate::poly1305;
use crate::salsa20::{Block, LANES, Salsa20, xor_bytes};

/// Length of the MAC in the header: a truncated Poly1305 tag.
const MAC_LEN: usize = 8;
/// Bytes of the payload whose key stream is computed together with the key of the MAC.
const HEAD_LEN: usize = 64 * (LANES - 1);

pub(super) fn seal(packet: &mut [u8], key: &SessionKey, encrypted: bool) -> Result<(), OpenError> {
    let size = packet.len();
    let (mut header, body) = split(packet)?;
    let stream = PacketStream::new(&header, size, key, encrypted);
    if encrypted {
        stream.xor(body);
    }
    header.set_mac(stream.mac(body));
    Ok(())
}

pub(super) fn open(packet: &mut [u8], key: &SessionKey, encrypted: bool) -> Result<(), OpenError> {
    let size = packet.len();
    let (header, body) = split(packet)?;
    let stream = PacketStream::new(&header, size, key, encrypted);
    if !bool::from(stream.mac(body).ct_eq(&header.mac())) {
        return Err(OpenError::NotAuthentic);
    }
    if encrypted {
        stream.xor(body);
    }
    Ok(())
}

/// The key stream of one packet, its first blocks computed. Block 0 is the key of the MAC, block 1 encrypts the first
/// bytes of the body.
struct PacketStream {
    stream: Salsa20<12>,
    head: [Block; LANES],
}

impl PacketStream {
    /// Computes no more of the stream than a packet of `size` bytes takes.
    fn new(header: &HeaderMut<'_>, size: usize, key: &SessionKey, encrypted: bool) -> Self {
        let stream = packet_stream(header, size, key);
        let mut head = [[0; 8]; LANES];
        let count = if encrypted { 1 + size.div_ceil(64) } else { 1 };
        let (computed, _) = head.split_at_mut(count.min(LANES));
        stream.fill(0, computed);
        Self { stream, head }
    }

    /// Encrypts or decrypts what follows the header.
    fn xor(&self, body: &mut [u8]) {
        let (_, head_stream) = self.head.split_at(1);
        let (head, rest) = body.split_at_mut(body.len().min(HEAD_LEN));
        xor_bytes(head, head_stream);
        self.stream.xor(LANES as u64, rest);
    }

    /// Authenticates what follows the header, as it is on the wire.
    fn mac(&self, body: &[u8]) -> [u8; MAC_LEN] {
        let [[k0, k1, k2, k3, ..], ..] = self.head;
        *poly1305::tag([k0, k1, k2, k3], body).first_chunk().expect("a Poly1305 tag has 16 bytes")
    }
}

impl Drop for PacketStream {
    fn drop(&mut self) {
        self.head.as_flattened_mut().zeroize();
    }
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
