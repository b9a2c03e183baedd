//! Poly1305 for messages of the size of packets (`vl1.md` §2).
//!
//! The message is a polynomial over the integers modulo 2^130 - 5, evaluated at a secret point `r`. Here numbers are
//! three limbs of 44, 44 and 42 bits, and two blocks are taken in one step with the help of `r` squared, so that
//! there is one chain of carries for both. The `poly1305` crate, which prepares for longer messages, takes about twice
//! as long for a packet; tests hold this module to it. No branch and no index depends on a secret.

use zeroize::Zeroize as _;

/// Length of a block, and of a tag.
const BLOCK_LEN: usize = 16;
const LOW_44: u64 = (1 << 44) - 1;
const LOW_42: u64 = (1 << 42) - 1;
/// What a full block has in the third limb: the bit that says where the block ends, 2^128.
const FULL: u64 = 1 << 40;

/// A number below 2^131 or so in three limbs, the first and the second of 44 bits.
type Number = [u64; 3];

/// Returns the tag of `message`. The key, in little-endian words, is for this message alone.
pub(crate) fn tag(key: [u64; 4], message: &[u8]) -> [u8; BLOCK_LEN] {
    let [r0, r1, s0, s1] = key;
    // the definition wants some bits of r to be zero
    let mut r = limbs(r0 & 0x0fff_fffc_0fff_ffff, r1 & 0x0fff_fffc_0fff_fffc, 0);
    let mut r_squared = reduce(product(r, r));
    let mut sum = [0; 3];
    let (blocks, rest) = message.as_chunks::<BLOCK_LEN>();
    let (pairs, single) = blocks.as_chunks::<2>();
    for [first, second] in pairs {
        let high = product(add(sum, block(first, FULL)), r_squared);
        let low = product(block(second, FULL), r);
        let [[h0, h1, h2], [l0, l1, l2]] = [high, low];
        sum = reduce([h0 + l0, h1 + l1, h2 + l2]);
    }
    for single in single {
        sum = reduce(product(add(sum, block(single, FULL)), r));
    }
    if !rest.is_empty() {
        let mut padded = [0; BLOCK_LEN];
        for (to, from) in padded.iter_mut().zip(rest.iter().chain(&[1])) {
            *to = *from;
        }
        sum = reduce(product(add(sum, block(&padded, 0)), r));
    }
    r.zeroize();
    r_squared.zeroize();
    let sum = canonical(sum).wrapping_add(u128::from(s1) << 64 | u128::from(s0));
    sum.to_le_bytes()
}

/// Splits 128 bits and what is above them.
#[inline(always)]
fn limbs(low: u64, high: u64, above: u64) -> Number {
    [low & LOW_44, (low >> 44 | high << 20) & LOW_44, high >> 24 | above]
}

#[inline(always)]
fn block(bytes: &[u8; BLOCK_LEN], end: u64) -> Number {
    let value = u128::from_le_bytes(*bytes);
    let [low, high] = [value, value >> 64].map(low_64);
    limbs(low, high, end)
}

#[inline(always)]
fn add([a0, a1, a2]: Number, [b0, b1, b2]: Number) -> Number {
    [a0 + b0, a1 + b1, a2 + b2]
}

/// Multiplies; what is above 2^130 comes back at the bottom times 5, and 4 times that for the two bits by which the
/// third limb is shorter.
#[inline(always)]
fn product([a0, a1, a2]: Number, [b0, b1, b2]: Number) -> [u128; 3] {
    let (b1_above, b2_above) = (b1 * 20, b2 * 20);
    [
        multiply(a0, b0) + multiply(a1, b2_above) + multiply(a2, b1_above),
        multiply(a0, b1) + multiply(a1, b0) + multiply(a2, b2_above),
        multiply(a0, b2) + multiply(a1, b1) + multiply(a2, b0),
    ]
}

#[inline(always)]
fn multiply(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Brings limbs back to their sizes, but for a bit in the second.
#[inline(always)]
fn reduce([d0, d1, d2]: [u128; 3]) -> Number {
    let d1 = d1 + (d0 >> 44);
    let d2 = d2 + (d1 >> 44);
    let n0 = (low_64(d0) & LOW_44) + low_64(d2 >> 42) * 5;
    [n0 & LOW_44, (low_64(d1) & LOW_44) + (n0 >> 44), low_64(d2) & LOW_42]
}

/// Returns the lowest 128 bits of the number modulo 2^130 - 5.
fn canonical(number: Number) -> u128 {
    // two rounds of carries: the first may bring one into the third limb and around
    let [n0, n1, n2] = carry(carry(number));
    // subtracting the modulus is adding 5 and dropping 2^130; it was too much if there is none to drop
    let [m0, m1, m2] = carry_up([n0 + 5, n1, n2]);
    let was_less = (m2 >> 42).wrapping_sub(1);
    let select = |n: u64, m: u64| n & was_less | m & !was_less;
    let [n0, n1, n2] = [select(n0, m0), select(n1, m1), select(n2, m2 & LOW_42)];
    u128::from(n0) | u128::from(n1) << 44 | u128::from(n2) << 88
}

fn carry(number: Number) -> Number {
    let [n0, n1, n2] = carry_up(number);
    [n0 + (n2 >> 42) * 5, n1, n2 & LOW_42]
}

fn carry_up([n0, n1, n2]: Number) -> Number {
    let n1 = n1 + (n0 >> 44);
    let n2 = n2 + (n1 >> 44);
    [n0 & LOW_44, n1 & LOW_44, n2]
}

/// Returns the lowest 64 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are what is asked for")]
fn low_64(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit as _;
    use proptest::prelude::*;

    use super::*;
    use crate::vectors::{array, hex, list, load};

    fn words(key: &[u8; 32]) -> [u64; 4] {
        let mut words = key.as_chunks().0.iter();
        [(); 4].map(|()| u64::from_le_bytes(*words.next().unwrap()))
    }

    #[test]
    fn tags_are_those_of_the_reference() {
        for case in list(&load("vl1/primitives.json")["poly1305"]) {
            let tag = tag(words(&array(&case["key"])), &hex(&case["message"]));
            assert_eq!(tag.as_slice(), hex(&case["tag"]));
        }
    }

    /// Sums next to the modulus and next to 2^130, where carries run through and the last subtraction is decided.
    #[test]
    fn sums_around_the_modulus_are_reduced() {
        for r in 0..6_u8 {
            for low in 0..=255 {
                for fill in [0x00, 0x7f, 0xfe, 0xff] {
                    let mut key = [fill; 32];
                    key[..16].fill(0);
                    key[0] = r;
                    let mut message = [fill; 33];
                    message[0] = low;
                    for len in [1, 15, 16, 17, 31, 32, 33] {
                        assert_agrees(&key, &message[..len]);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn tags_agree_with_another_implementation(
            key: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            assert_agrees(&key, &message);
        }

        #[test]
        fn tags_of_extreme_numbers_agree_with_another_implementation(
            key in prop::collection::vec(prop::sample::select(&[0_u8, 1, 0xfc, 0xff][..]), 32),
            message in prop::collection::vec(prop::sample::select(&[0_u8, 1, 0xfb, 0xff][..]), 0..200),
        ) {
            assert_agrees(&key.try_into().unwrap(), &message);
        }
    }

    fn assert_agrees(key: &[u8; 32], message: &[u8]) {
        let other = Poly1305::new(key.into()).compute_unpadded(message);
        assert_eq!(tag(words(key), message).as_slice(), other.as_slice(), "{key:x?} {message:x?}");
    }
}
