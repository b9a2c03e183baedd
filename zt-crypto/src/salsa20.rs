//! Salsa20 with 12 or 20 rounds, 256-bit key, 64-bit nonce and 64-bit block counter (`vl1.md` §2).
//!
//! The memory-hard hash wants ten megabytes of key stream for each identity, a packet wants some twenty blocks. So
//! blocks are computed side by side: every word of the state is a vector with one lane a block, as wide as the
//! processor at hand has them. `fearless_simd` chooses the instructions at run time, without unsafe code here.
//!
//! What runs on vectors must be inlined into the function that has these instructions: no closures in there.

use std::array;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x8};
use zeroize::Zeroize as _;

/// 64 bytes of key stream, as little-endian words.
pub(crate) type Block = [u64; 8];

/// Number of blocks that are computed together with the widest vectors.
pub(crate) const LANES: usize = 16;

/// "expand 32-byte k"
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

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

    /// Computes blocks of the key stream, beginning with block `first`.
    pub(crate) fn fill(&self, first: u64, blocks: &mut [Block]) {
        self.fill_at(Level::new(), first, blocks);
    }

    fn fill_at(&self, level: Level, first: u64, blocks: &mut [Block]) {
        dispatch!(level, simd => fill::<ROUNDS, _>(simd, &self.state, first, blocks));
    }

    /// Combines `data` with the key stream from block `first` on: encrypts it, or decrypts it.
    pub(crate) fn xor(&self, first: u64, data: &mut [u8]) {
        let mut blocks = [[0; 8]; LANES];
        let mut number = first;
        for part in data.chunks_mut(64 * LANES) {
            let (blocks, _) = blocks.split_at_mut(part.len().div_ceil(64));
            self.fill(number, blocks);
            xor_bytes(part, blocks);
            number = number.wrapping_add(LANES as u64);
        }
    }
}

/// Combines `data` with blocks of key stream.
pub(crate) fn xor_bytes(data: &mut [u8], key_stream: &[Block]) {
    let mut key_stream = key_stream.as_flattened().iter();
    let (words, rest) = data.as_chunks_mut();
    for (word, key) in words.iter_mut().zip(&mut key_stream) {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    let key = key_stream.next().copied().unwrap_or_default().to_le_bytes();
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Computes blocks with the widest vectors that `simd` has, and with narrower ones what would leave them half empty.
#[inline(always)]
fn fill<const ROUNDS: usize, S: Simd>(simd: S, state: &[u32; 16], first: u64, blocks: &mut [Block]) {
    let mut number = first;
    let mut rest = blocks;
    while !rest.is_empty() {
        let is_half_empty = S::u32s::LEN == LANES && rest.len() <= LANES / 2;
        let lanes = if is_half_empty { LANES / 2 } else { S::u32s::LEN };
        let (batch, later) = rest.split_at_mut(lanes.min(rest.len()));
        if is_half_empty {
            fill_batch::<ROUNDS, S, u32x8<S>>(simd, state, number, batch);
        } else {
            fill_batch::<ROUNDS, S, S::u32s>(simd, state, number, batch);
        }
        number = number.wrapping_add(lanes as u64);
        rest = later;
    }
}

/// Computes at most as many blocks as a vector has lanes.
#[inline(always)]
fn fill_batch<const ROUNDS: usize, S: Simd, V: SimdInt<S, Element = u32>>(
    simd: S,
    state: &[u32; 16],
    first: u64,
    blocks: &mut [Block],
) {
    let mut initial = [V::splat(simd, 0); 16];
    for (vector, word) in initial.iter_mut().zip(state) {
        *vector = V::splat(simd, *word);
    }
    let [.., low, high, _, _, _, _, _, _] = &mut initial;
    let lanes = low.as_mut_slice().iter_mut().zip(high.as_mut_slice());
    for ((low, high), number) in lanes.zip(first..) {
        [*low, *high] = halves(number);
    }
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
        *word += initial;
    }
    // The words of a block lie across the vectors. Interleaving the first half of all words with the second turns
    // the bits of their indices by one; after four times those that were the number of the vector are the lowest.
    for _ in 0..4 {
        let before = mixed;
        let (first_half, second_half) = before.split_at(8);
        let halves = first_half.iter().zip(second_half);
        for ([low, high], (first, second)) in mixed.as_chunks_mut().0.iter_mut().zip(halves) {
            (*low, *high) = first.interleave(*second);
        }
    }
    let words = blocks.as_flattened_mut().chunks_mut(V::LEN / 2);
    for (words, vector) in words.zip(mixed) {
        let (pairs, _) = vector.as_slice().as_chunks();
        for (word, &[low, high]) in words.iter_mut().zip(pairs) {
            *word = u64::from(high) << 32 | u64::from(low);
        }
    }
}

#[inline(always)]
fn quarter_round<S: Simd, V: SimdInt<S, Element = u32>>(a: &mut V, b: &mut V, c: &mut V, d: &mut V) {
    *b ^= rotate_left::<7, S, V>(*a + *d);
    *c ^= rotate_left::<9, S, V>(*b + *a);
    *d ^= rotate_left::<13, S, V>(*c + *b);
    *a ^= rotate_left::<18, S, V>(*d + *c);
}

#[inline(always)]
fn rotate_left<const BITS: u32, S: Simd, V: SimdInt<S, Element = u32>>(word: V) -> V {
    (word << BITS) | (word >> (32 - BITS))
}

impl<const ROUNDS: usize> Drop for Salsa20<ROUNDS> {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}

/// Reads little-endian words.
fn words<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    let mut words = bytes.as_chunks().0.iter();
    array::from_fn(|_| words.next().map_or(0, |word| u32::from_le_bytes(*word)))
}

/// Splits a block number into its low and its high word.
#[inline(always)]
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
        let mut blocks = [[0; 8]; LANES];
        stream.fill(first, &mut blocks);
        assert_eq!(blocks.to_vec(), other::<20>(first, LANES));
    }

    /// The processor at hand chooses the widest vectors; the others must give the same.
    #[test]
    fn every_width_of_vectors_gives_the_same_blocks() {
        let best = Level::new();
        let levels = [
            Some(best),
            Some(Level::baseline()),
            #[cfg(target_arch = "x86_64")]
            best.as_sse4_2().map(Simd::level),
            #[cfg(target_arch = "x86_64")]
            best.as_avx2().map(Simd::level),
        ];
        let stream = Salsa20::<12>::new(&[1; 32], &[2; 8]);
        for level in levels.into_iter().flatten() {
            for count in 0..=40 {
                let mut blocks = vec![[0; 8]; count];
                stream.fill_at(level, 5, &mut blocks);
                assert_eq!(blocks, other::<12>(5, count), "{count} blocks with {level:?}");
            }
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

    /// The blocks of a stream with key 1 and nonce 2, by another implementation.
    fn other<const ROUNDS: usize>(first: u64, count: usize) -> Vec<Block> {
        let mut bytes = vec![0; 64 * count];
        let (key, nonce) = ([1; 32].into(), [2; 8].into());
        if ROUNDS == 12 {
            let mut stream = salsa20::Salsa12::new(&key, &nonce);
            stream.seek(first * 64);
            stream.apply_keystream(&mut bytes);
        } else {
            let mut stream = salsa20::Salsa20::new(&key, &nonce);
            stream.seek(first * 64);
            stream.apply_keystream(&mut bytes);
        }
        let words: Vec<_> = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        words.as_chunks().0.to_vec()
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
