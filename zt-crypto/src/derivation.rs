//! From public keys to an address: the memory-hard hash (`vl1.md` §3.2, §3.4).

use std::{array, fmt};

use ring::digest::{SHA512, digest};
use zt_proto::identity::KEY_LEN;
use zt_proto::{Address, PublicIdentity};

use crate::salsa20::{Block, Salsa20};

/// Words of memory that the hash works on: 2 MiB.
const WORDS: usize = 262_144;
/// How many words of the digest are exchanged: each step reads two words of the memory.
const STEPS: usize = WORDS / 2;
/// Number of the key stream block that the first step uses; those before filled the memory.
const FIRST_MIXING_BLOCK: u64 = 32_768;
/// How many blocks of key stream are computed at a time: enough for any width of vectors, and few enough to stay near.
const BATCH: usize = 64;
/// The first byte of the digest must be below this, which about one key in 15 achieves.
const FIRST_BYTE_LIMIT: u8 = 17;

/// The 2 MiB that the memory-hard hash works on; reusing one spares many checks as many allocations.
///
/// What it holds depends on public keys only and needs no wiping.
pub struct Scratch(Box<[u64; WORDS]>);

impl Scratch {
    /// Allocates the memory.
    pub fn new() -> Self {
        let words: Box<[u64]> = vec![0; WORDS].into_boxed_slice();
        Self(words.try_into().expect("the vector was made with this length"))
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Why nobody can have this identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// No node can have the address: [`Address::is_reserved`].
    #[error("the address {0} is reserved")]
    Reserved(Address),
    /// The hash of the key is not one of the few that count.
    #[error("the public key has not the work in it that an identity needs")]
    NoWork,
    /// The keys are those of another node.
    #[error("the public key belongs to address {derived}, not {claimed}")]
    Foreign {
        /// The address that the identity names.
        claimed: Address,
        /// The address that its keys have.
        derived: Address,
    },
}

/// An identity whose address belongs to its public keys.
///
/// Only the check makes one, so whoever holds it need not check again; [`VerifiedIdentity::trusted`] is for what was
/// checked earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifiedIdentity(PublicIdentity);

impl VerifiedIdentity {
    /// Checks that the address belongs to the keys. Takes 2 MiB for the time of the call and milliseconds of one
    /// core, so what strangers send must be rationed before (`vl1.md` §12.4).
    ///
    /// # Errors
    /// Says what is wrong with an identity that nobody can have.
    pub fn verify(identity: PublicIdentity) -> Result<Self, InvalidIdentity> {
        Self::verify_with(identity, &mut Scratch::new())
    }

    /// As [`VerifiedIdentity::verify`], in memory that the caller keeps.
    ///
    /// # Errors
    /// As [`VerifiedIdentity::verify`].
    pub fn verify_with(identity: PublicIdentity, scratch: &mut Scratch) -> Result<Self, InvalidIdentity> {
        let claimed = identity.address;
        if claimed.is_reserved() {
            return Err(InvalidIdentity::Reserved(claimed));
        }
        let derived = address_of(&identity.key, scratch)?;
        if derived != claimed {
            return Err(InvalidIdentity::Foreign { claimed, derived });
        }
        Ok(Self(identity))
    }

    /// Takes an identity that was verified before and has since been kept where only this program writes.
    ///
    /// Checks nothing: an identity from a peer, a file of somebody else or an import belongs to
    /// [`VerifiedIdentity::verify`].
    pub fn trusted(identity: PublicIdentity) -> Self {
        Self(identity)
    }

    /// Returns the identity.
    pub fn public(&self) -> &PublicIdentity {
        &self.0
    }

    /// Returns the address, which belongs to the keys.
    pub fn address(&self) -> Address {
        self.0.address
    }
}

/// Returns the address that belongs to a public key.
///
/// # Errors
/// [`InvalidIdentity::NoWork`] and [`InvalidIdentity::Reserved`]: this key cannot be an identity's.
pub(crate) fn address_of(key: &[u8; KEY_LEN], scratch: &mut Scratch) -> Result<Address, InvalidIdentity> {
    let [first, .., a, b, c, d, e] = memory_hard_hash(key, scratch);
    if first >= FIRST_BYTE_LIMIT {
        return Err(InvalidIdentity::NoWork);
    }
    let address = Address::from_octets([a, b, c, d, e]);
    if address.is_reserved() { Err(InvalidIdentity::Reserved(address)) } else { Ok(address) }
}

/// Computes the 64-byte digest of a public key.
fn memory_hard_hash(key: &[u8; KEY_LEN], scratch: &mut Scratch) -> [u8; 64] {
    let seed = digest(&SHA512, key);
    let stream = key_stream(seed.as_ref());
    fill(&stream, scratch);
    let digest = mix(&stream, scratch, words(seed.as_ref()), STEPS);
    let mut bytes = [0; 64];
    for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(digest) {
        *to = word.to_le_bytes();
    }
    bytes
}

/// Returns the key stream that a seed starts.
fn key_stream(seed: &[u8]) -> Salsa20<20> {
    const REASON: &str = "SHA-512 yields 64 bytes";
    let (key, rest) = seed.split_first_chunk().expect(REASON);
    Salsa20::new(key, rest.first_chunk().expect(REASON))
}

/// Fills the memory: every block is the one before it, combined with the key stream.
fn fill(stream: &Salsa20<20>, Scratch(memory): &mut Scratch) {
    let mut running = [0; 8];
    let mut keys = [[0; 8]; BATCH];
    let (blocks, _) = memory.as_chunks_mut();
    for (batch, first) in blocks.chunks_exact_mut(BATCH).zip((0..).step_by(BATCH)) {
        stream.fill(first, &mut keys);
        for (block, key) in batch.iter_mut().zip(keys) {
            combine(&mut running, &key);
            *block = running;
        }
    }
}

/// Exchanges words of the digest with words of the memory, `steps` times, and returns the digest after that.
///
/// The definition combines the whole digest with a block of key stream in every step. Here the combination of all
/// these blocks is kept apart, in `running`, and `digest[n]` stands for `digest[n] ^ running[n]`: a step then
/// touches one word of the digest, not eight.
#[expect(clippy::indexing_slicing, reason = "every index is reduced to the length of its array")]
#[expect(clippy::cast_possible_truncation, reason = "what an index is reduced to are its low bits")]
fn mix(stream: &Salsa20<20>, Scratch(memory): &mut Scratch, mut digest: Block, steps: usize) -> Block {
    let mut running = [0; 8];
    let mut blocks = [[0; 8]; BATCH];
    for step in 0..steps {
        if step % BATCH == 0 {
            stream.fill(FIRST_MIXING_BLOCK + step as u64, &mut blocks);
        }
        // integers in the memory are big-endian, words here little-endian
        let word = 2 * step;
        let a = memory[word % WORDS].swap_bytes() as usize % digest.len();
        let b = memory[(word + 1) % WORDS].swap_bytes() as usize % WORDS;
        let exchanged = memory[b];
        memory[b] = digest[a] ^ running[a];
        digest[a] = exchanged ^ running[a];
        combine(&mut running, &blocks[step % BATCH]);
    }
    combine(&mut digest, &running);
    digest
}

fn combine(block: &mut Block, with: &Block) {
    for (word, with) in block.iter_mut().zip(with) {
        *word ^= with;
    }
}

/// Reads little-endian words.
fn words(bytes: &[u8]) -> Block {
    let mut words = bytes.as_chunks().0.iter();
    array::from_fn(|_| words.next().map_or(0, |word| u64::from_le_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, hex, list, load};

    /// Every intermediate value of the reference, so that a mistake shows where it is.
    #[test]
    fn every_stage_of_the_hash_is_that_of_the_reference() {
        let vectors = load("vl1/identities.json");
        let cases = list(&vectors["valid_identities"]).iter().filter(|case| case["hash"].is_object());
        let mut checked = 0;
        for case in cases {
            let hash = &case["hash"];
            let identity: PublicIdentity = case["public_string"].as_str().unwrap().parse().unwrap();
            let seed = digest(&SHA512, &identity.key);
            assert_eq!(seed.as_ref(), hex(&hash["sha512_of_public_key"]));

            let stream = key_stream(seed.as_ref());
            let mut scratch = Scratch::new();
            fill(&stream, &mut scratch);
            let memory = memory_bytes(&scratch);
            assert_eq!(memory[..128], hex(&hash["memory_first_128"]));
            assert_eq!(memory[memory.len() - 64..], hex(&hash["memory_last_64"]));
            assert_eq!(digest(&SHA512, &memory).as_ref(), hex(&hash["sha512_of_memory_after_fill"]));

            for (step, expected) in list(&hash["first_two_mix_steps"]).iter().enumerate() {
                let mut scratch = Scratch(scratch.0.clone());
                let after = mix(&stream, &mut scratch, words(seed.as_ref()), step + 1);
                assert_eq!(after, words(&hex(&expected["digest_after"])), "step {step}");
            }

            let last = mix(&stream, &mut scratch, words(seed.as_ref()), STEPS);
            assert_eq!(
                digest(&SHA512, &memory_bytes(&scratch)).as_ref(),
                hex(&hash["sha512_of_memory_at_end"])
            );
            assert_eq!(last, words(&hex(&hash["final_digest"])));
            checked += 1;
        }
        assert!(checked > 0);
    }

    #[test]
    fn digest_of_every_key_is_that_of_the_reference() {
        let vectors = load("vl1/identities.json");
        let mut scratch = Scratch::new();
        for case in list(&vectors["valid_identities"]).iter().chain(list(&vectors["invalid_identities"])) {
            let [_, _, _, _, _, _, key @ ..] =
                array::<70>(&serde_json::json!(case["public_binary"].as_str().unwrap()[..140]));
            let expected =
                if case["hash"].is_object() { &case["hash"]["final_digest"] } else { &case["final_digest"] };
            assert_eq!(memory_hard_hash(&key, &mut scratch).as_slice(), hex(expected));
        }
    }

    fn memory_bytes(Scratch(memory): &Scratch) -> Vec<u8> {
        memory.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
