//! Salsa20 with 12 or 20 rounds, 256-bit key, 64-bit nonce and 64-bit block counter (`vl1.md` §2).
//!
//! The memory-hard hash wants ten megabytes of key stream for each identity, a packet wants a few blocks. So there
//! are two ways to compute it: one block at a time, in registers, and sixteen at a time, where every word of the
//! state is a row of sixteen and all arithmetic is a loop over rows that compilers turn into vector instructions.

use std::array;

use zeroize::Zeroize as _;

/// How many blocks are computed together.
pub(crate) const LANES: usize = 16;

/// 64 bytes of key stream, as little-endian words.
pub(crate) type Block = [u64; 8];

/// One word of the state of [`LANES`] blocks.
type Row = [u32; LANES];

/// "expand 32-byte k"
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// From how many blocks on it is cheaper to compute [`LANES`] of them and to throw the rest away.
const WORTH_A_BATCH: usize = 7;

/// A key stream. It is made of blocks of 64 bytes, which can be had in any order.
pub(crate) struct Salsa20<const ROUNDS: usize> {
    /// The initial state, with block number 0 in words 8 and 9.
    state: [u32; 16],
}

impl<const ROUNDS: usize> Salsa20<ROUNDS> {
    pub(crate) fn new(key: &[u8; 32], nonce: &[u8; 8]) -> Self {
        let [c0, c1, c2, c3] = CONSTANTS;
        let [k0, k1, k2, k3, k4, k5, k6, k7] = words(key);
        let [n0, n1] = words(nonce);
        Self { state: [c0, k0, k1, k2, k3, c1, n0, n1, 0, 0, c2, k4, k5, k6, k7, c3] }
    }

    /// Returns block `number` of the key stream.
    pub(crate) fn block(&self, number: u64) -> Block {
        let mut initial = self.state;
        [initial[8], initial[9]] = halves(number);
        let mut mixed = initial;
        let [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = &mut mixed;
        for _ in 0..ROUNDS / 2 {
            // columns
            quarter_round(x0, x4, x8, x12);
            quarter_round(x5, x9, x13, x1);
            quarter_round(x10, x14, x2, x6);
            quarter_round(x15, x3, x7, x11);
            // rows
            quarter_round(x0, x1, x2, x3);
            quarter_round(x5, x6, x7, x4);
            quarter_round(x10, x11, x8, x9);
            quarter_round(x15, x12, x13, x14);
        }
        for (word, initial) in mixed.iter_mut().zip(initial) {
            *word = word.wrapping_add(initial);
        }
        let (pairs, _) = mixed.as_chunks();
        let mut pairs = pairs.iter();
        array::from_fn(|_| pairs.next().map_or(0, |&[low, high]| join(low, high)))
    }

    /// Returns [`LANES`] blocks of the key stream, beginning with block `first`.
    pub(crate) fn batch(&self, first: u64) -> [Block; LANES] {
        let mut initial = self.state.map(|word| [word; LANES]);
        let [.., low, high, _, _, _, _, _, _] = &mut initial;
        for ((low, high), number) in low.iter_mut().zip(high).zip(first..) {
            [*low, *high] = halves(number);
        }
        let mut mixed = initial;
        let [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = &mut mixed;
        for _ in 0..ROUNDS / 2 {
            quarter_rounds(x0, x4, x8, x12);
            quarter_rounds(x5, x9, x13, x1);
            quarter_rounds(x10, x14, x2, x6);
            quarter_rounds(x15, x3, x7, x11);
            quarter_rounds(x0, x1, x2, x3);
            quarter_rounds(x5, x6, x7, x4);
            quarter_rounds(x10, x11, x8, x9);
            quarter_rounds(x15, x12, x13, x14);
        }
        for (word, initial) in mixed.as_flattened_mut().iter_mut().zip(initial.as_flattened()) {
            *word = word.wrapping_add(*initial);
        }
        turn(&mixed)
    }

    /// Combines `data` with the key stream from block `first` on: encrypts it, or decrypts it.
    pub(crate) fn xor(&self, first: u64, data: &mut [u8]) {
        let mut number = first;
        for part in data.chunks_mut(64 * LANES) {
            if part.len() > 64 * (WORTH_A_BATCH - 1) {
                xor_bytes(part, self.batch(number).as_flattened());
                number = number.wrapping_add(LANES as u64);
            } else {
                for part in part.chunks_mut(64) {
                    xor_bytes(part, &self.block(number));
                    number = number.wrapping_add(1);
                }
            }
        }
    }
}

impl<const ROUNDS: usize> Drop for Salsa20<ROUNDS> {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}

#[inline(always)]
fn quarter_round(a: &mut u32, b: &mut u32, c: &mut u32, d: &mut u32) {
    *b ^= a.wrapping_add(*d).rotate_left(7);
    *c ^= b.wrapping_add(*a).rotate_left(9);
    *d ^= c.wrapping_add(*b).rotate_left(13);
    *a ^= d.wrapping_add(*c).rotate_left(18);
}

/// Does [`LANES`] quarter rounds side by side.
///
/// Must stay a function of its own: inlined, its loop is unrolled into scalar code before it can be vectorized, and
/// takes three times as long.
#[inline(never)]
fn quarter_rounds(a: &mut Row, b: &mut Row, c: &mut Row, d: &mut Row) {
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        quarter_round(a, b, c, d);
    }
}

/// Turns rows of equal words into blocks.
#[expect(
    clippy::indexing_slicing,
    reason = "a block has a word for each two rows, a row has a word for each block"
)]
fn turn(rows: &[Row; 16]) -> [Block; LANES] {
    let mut blocks = [[0; 8]; LANES];
    for (word, [low, high]) in rows.as_chunks().0.iter().enumerate() {
        for (lane, block) in blocks.iter_mut().enumerate() {
            block[word] = join(low[lane], high[lane]);
        }
    }
    blocks
}

fn xor_bytes(data: &mut [u8], key_stream: &[u64]) {
    for (bytes, word) in data.chunks_mut(8).zip(key_stream) {
        for (byte, key) in bytes.iter_mut().zip(word.to_le_bytes()) {
            *byte ^= key;
        }
    }
}

/// Reads little-endian words.
fn words<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    let mut words = bytes.as_chunks().0.iter();
    array::from_fn(|_| words.next().map_or(0, |word| u32::from_le_bytes(*word)))
}

/// Joins the two words that make eight bytes of key stream.
#[inline(always)]
fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Splits a block number into its low and its high word.
fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use salsa20::cipher::{KeyIvInit as _, StreamCipher, StreamCipherSeek};

    use super::*;
    use crate::vectors::{array, hex, list, load};

    #[test]
    fn key_streams_are_those_of_the_reference() {
        for case in list(&load("vl1/primitives.json")["salsa20"]) {
            let (key, nonce) = (array(&case["key"]), array(&case["iv"]));
            let mut stream = vec![0; 320];
            Salsa20::<12>::new(&key, &nonce).xor(0, &mut stream);
            assert_eq!(stream, hex(&case["keystream12"]));
            stream.fill(0);
            Salsa20::<20>::new(&key, &nonce).xor(0, &mut stream);
            assert_eq!(stream, hex(&case["keystream20"]));
        }
    }

    #[test]
    fn block_number_carries_into_its_high_word() {
        let stream = Salsa20::<20>::new(&[1; 32], &[2; 8]);
        let first = u64::from(u32::MAX) - 5;
        for (block, number) in stream.batch(first).iter().zip(first..) {
            assert_eq!(*block, stream.block(number), "block {number}");
        }
    }

    proptest! {
        #[test]
        fn twelve_rounds_agree_with_another_implementation(
            key: [u8; 32], nonce: [u8; 8], first in 0..1_u64 << 33, data in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            let other = salsa20::Salsa12::new(&key.into(), &nonce.into());
            agrees(&Salsa20::<12>::new(&key, &nonce), other, first, data)?;
        }

        #[test]
        fn twenty_rounds_agree_with_another_implementation(
            key: [u8; 32], nonce: [u8; 8], first in 0..1_u64 << 33, data in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            let other = salsa20::Salsa20::new(&key.into(), &nonce.into());
            agrees(&Salsa20::<20>::new(&key, &nonce), other, first, data)?;
        }
    }

    fn agrees<const ROUNDS: usize>(
        stream: &Salsa20<ROUNDS>,
        mut other: impl StreamCipher + StreamCipherSeek,
        first: u64,
        data: Vec<u8>,
    ) -> Result<(), TestCaseError> {
        let (mut ours, mut theirs) = (data.clone(), data);
        stream.xor(first, &mut ours);
        other.seek(first * 64);
        other.apply_keystream(&mut theirs);
        prop_assert_eq!(ours, theirs);
        Ok(())
    }
}
