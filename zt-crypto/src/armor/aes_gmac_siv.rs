//! Suite 3: AES-GMAC-SIV (`vl1.md` §9.5).

use aes::Aes256;
use aes::cipher::{
    BlockCipherDecrypt as _, BlockCipherEncrypt as _, InnerIvInit as _, KeyInit as _, StreamCipher as _,
    StreamCipherCoreWrapper,
};
use ctr::CtrCore;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq as _;
use zt_proto::packet::HEADER_LEN;
use zt_proto::packet::header::{FLAGS_OFFSET, HOPS_MASK};

use super::{OpenError, split};
use crate::agreement::SessionKey;

/// Where addresses and flags begin once they have been moved next to the payload, padded to 16 bytes.
const AUTHENTICATED: usize = 11;

/// The two expanded keys of a pair of nodes.
pub(crate) struct AesKeys {
    /// K0: GMAC, that is AES-GCM of nothing with additional data.
    mac: LessSafeKey,
    /// K1: counter mode, and the block that carries packet id and tag.
    cipher: Aes256,
}

impl AesKeys {
    pub(crate) fn new(k0: &[u8; 32], k1: &[u8; 32]) -> Self {
        let mac = UnboundKey::new(&AES_256_GCM, k0).expect("AES-256 takes every key of 32 bytes");
        Self { mac: LessSafeKey::new(mac), cipher: Aes256::new(k1.into()) }
    }

    /// Encrypts or decrypts a payload; `block` is what travels in the place of packet id and MAC.
    fn apply_key_stream(&self, mut block: [u8; 16], payload: &mut [u8]) {
        // with its top bit clear the 32-bit counter cannot overflow within a packet
        block[12] &= 0x7f;
        let core = CtrCore::<_, ctr::flavors::Ctr32BE>::inner_iv_init(&self.cipher, &block.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
    }

    /// Computes the folded tag of a packet whose payload is in clear, and leaves the packet as it was.
    fn tag(&self, packet: &mut [u8], id: u64) -> Result<[u8; 8], OpenError> {
        let header = *split(packet)?.0.0;
        *split(packet)?.0.0 = with_addresses_at_payload(&header);
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&id.to_be_bytes());
        let tag = self.mac.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(packet.get(AUTHENTICATED..).unwrap_or_default()),
            &mut [],
        );
        *split(packet)?.0.0 = header;
        let tag = tag.expect("AES-GCM of an empty text has no length to be refused");
        let mut folded = [0; 8];
        let (low, high) = tag.as_ref().split_at(8);
        for (byte, (low, high)) in folded.iter_mut().zip(low.iter().zip(high)) {
            *byte = low ^ high;
        }
        Ok(folded)
    }
}

/// Moves what GMAC authenticates of a header to its end, so that it continues into the payload: GMAC takes one
/// slice, and this needs no copy of the packet.
fn with_addresses_at_payload(header: &[u8; HEADER_LEN]) -> [u8; HEADER_LEN] {
    let mut moved = [0; HEADER_LEN];
    moved[AUTHENTICATED..22].copy_from_slice(&header[8..19]);
    moved[AUTHENTICATED + FLAGS_OFFSET - 8] &= !HOPS_MASK;
    moved
}

/// Joins two halves of a block: packet id and MAC, or what is encrypted in their place.
fn join(first: u64, second: [u8; 8]) -> [u8; 16] {
    (u128::from(first) << 64 | u128::from(u64::from_be_bytes(second))).to_be_bytes()
}

/// The inverse of [`join`].
fn halves(block: [u8; 16]) -> (u64, [u8; 8]) {
    let [first @ .., a, b, c, d, e, f, g, h] = block;
    (u64::from_be_bytes(first), [a, b, c, d, e, f, g, h])
}

pub(super) fn seal(packet: &mut [u8], key: &SessionKey) -> Result<(), OpenError> {
    let keys = key.aes();
    let id = split(packet)?.0.id();
    let tag = keys.tag(packet, id)?;
    let mut block = join(id, tag).into();
    keys.cipher.encrypt_block(&mut block);
    let (mut header, payload) = split(packet)?;
    keys.apply_key_stream(block.into(), payload);
    let (id, mac) = halves(block.into());
    header.set_id(id);
    header.set_mac(mac);
    Ok(())
}

pub(super) fn open(packet: &mut [u8], key: &SessionKey) -> Result<(), OpenError> {
    let keys = key.aes();
    let (header, payload) = split(packet)?;
    let sealed = join(header.id(), header.mac());
    keys.apply_key_stream(sealed, payload);
    let mut block = sealed.into();
    keys.cipher.decrypt_block(&mut block);
    let (id, tag) = halves(block.into());
    if !bool::from(tag.ct_eq(&keys.tag(packet, id)?)) {
        // the tag is one of the clear text, so that had to be decrypted first: take it back
        keys.apply_key_stream(sealed, split(packet)?.1);
        return Err(OpenError::NotAuthentic);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agreement::derive;
    use crate::armor::{Suite, seal};

    proptest! {
        /// Regression test for flaw 10: counter bit 31 must be cleared, and the GMAC nonce has 96 bits.
        #[test]
        fn sealing_agrees_with_the_definition_from_the_block_cipher_up(
            key: [u8; 48], mut packet in prop::collection::vec(any::<u8>(), 28..600),
        ) {
            packet[FLAGS_OFFSET] = packet[FLAGS_OFFSET] & 0x47 | 3 << 3;
            let expected = plain_seal(&packet, &derive(&key, b'0'), &derive(&key, b'1'));
            seal(&mut packet, &SessionKey::from_bytes(key), Suite::AesGmacSiv);
            prop_assert_eq!(packet, expected);
        }
    }

    /// `vl1.md` §9.5 word by word, with no part of the production code.
    fn plain_seal(packet: &[u8], k0: &[u8; 32], k1: &[u8; 32]) -> Vec<u8> {
        let (k0, k1) = (Aes256::new(k0.into()), Aes256::new(k1.into()));
        let mut authenticated = packet[8..19].to_vec();
        authenticated[10] &= 0xf8;
        authenticated.resize(16, 0);
        authenticated.extend_from_slice(&packet[27..]);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&packet[..8]);
        nonce[15] = 1;
        let tag = ghash(block(&k0, 0), &authenticated) ^ block(&k0, u128::from_be_bytes(nonce));
        let folded = (tag >> 64) ^ (tag & u128::from(u64::MAX));

        let id = u128::from_be_bytes(nonce) >> 64 << 64;
        let x = block(&k1, id | folded);
        let counter = x & !(1 << 31);
        let mut sealed = packet.to_vec();
        for (index, part) in sealed[27..].chunks_mut(16).enumerate() {
            let key_stream = block(&k1, counter + u128::try_from(index).unwrap());
            part.iter_mut().zip(key_stream.to_be_bytes()).for_each(|(byte, key)| *byte ^= key);
        }
        sealed[..8].copy_from_slice(&x.to_be_bytes()[..8]);
        sealed[19..27].copy_from_slice(&x.to_be_bytes()[8..]);
        sealed
    }

    fn block(key: &Aes256, input: u128) -> u128 {
        let mut block = input.to_be_bytes().into();
        key.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// GHASH of additional data alone (NIST SP 800-38D), bit by bit.
    fn ghash(key: u128, data: &[u8]) -> u128 {
        let mut hash = 0;
        for part in data.chunks(16) {
            let mut padded = [0; 16];
            padded[..part.len()].copy_from_slice(part);
            hash = multiply(hash ^ u128::from_be_bytes(padded), key);
        }
        multiply(hash ^ u128::try_from(data.len() * 8).unwrap() << 64, key)
    }

    fn multiply(one: u128, other: u128) -> u128 {
        let (mut product, mut shifted) = (0, other);
        for bit in (0..128).rev() {
            if one >> bit & 1 == 1 {
                product ^= shifted;
            }
            shifted = shifted >> 1 ^ if shifted & 1 == 1 { 0xe1 << 120 } else { 0 };
        }
        product
    }
}
