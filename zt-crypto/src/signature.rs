//! Signatures of identities and worlds (`vl1.md` §5, §15.2, §15.4).

use std::fmt;

use ed25519_dalek::VerifyingKey;
use rand_core::CryptoRng;
use ring::digest::{Context, Digest, SHA512, digest};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;
use zt_proto::PublicIdentity;
use zt_proto::credential::Signature;
use zt_proto::identity::KEY_LEN;
use zt_proto::world::World;

use crate::curve25519::{self, SigningKey};
use crate::keys::{KeyPairs, halves};

/// The signature is not by that key, or not of that message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to this message and key")]
pub struct BadSignature;

/// Checks that `signer` signed `message`.
///
/// # Errors
/// [`BadSignature`] if it did not. Refused, although 1.x accepts them, are an Ed25519 S that is not reduced and public
/// keys of low order, with which one signature fits many messages; nothing produces either.
pub fn verify(signer: &PublicIdentity, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    verify_by_key(&signer.key, message, signature)
}

/// Checks that the owner of a public key without an address signed `message`: worlds have such keys.
///
/// # Errors
/// As [`verify`].
pub fn verify_by_key(key: &[u8; KEY_LEN], message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let (ed25519, signed) = signature.0.split_first_chunk().expect("96 bytes begin with 64 bytes");
    if !bool::from(signed.ct_eq(&message_hash(message))) {
        return Err(BadSignature);
    }
    verify_plain(key, signed, ed25519)
}

/// Length of a plain Ed25519 signature.
pub const PLAIN_LEN: usize = curve25519::SIGNATURE_LEN;

/// Checks a plain Ed25519 signature of the whole message (RFC 8032), as tools around the protocol use them.
///
/// No packet, credential or world has one, and no release takes one: a plain signature is never the first half of a
/// [`Signature`], so neither can be passed off as the other.
///
/// # Errors
/// As [`verify`].
pub fn verify_plain(
    key: &[u8; KEY_LEN],
    message: &[u8],
    signature: &[u8; PLAIN_LEN],
) -> Result<(), BadSignature> {
    let (_, signing_key) = halves(key);
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    VerifyingKey::from_bytes(signing_key)
        .and_then(|key| key.verify_strict(message, &signature))
        .map_err(|_| BadSignature)
}

/// Signs what `write` hands over, piece by piece; equal messages give equal signatures.
pub(crate) fn sign(key: &SigningKey, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Signature {
    let mut context = Context::new(&SHA512);
    write(&mut |piece| context.update(piece));
    let hash = first_half(context.finish());
    let mut signature = [0; Signature::LEN];
    for (to, from) in signature.iter_mut().zip(key.sign(&hash).iter().chain(&hash)) {
        *to = *from;
    }
    Signature(signature)
}

/// Returns the first half of SHA-512 of `message`, which is what Ed25519 signs.
fn message_hash(message: &[u8]) -> [u8; 32] {
    first_half(digest(&SHA512, message))
}

fn first_half(hash: Digest) -> [u8; 32] {
    *hash.as_ref().first_chunk().expect("SHA-512 yields 64 bytes")
}

/// The key that signs a planet or moon: keys as of an identity, but without an address.
///
/// Its secret halves are wiped on drop.
pub struct WorldKey(KeyPairs);

/// The two halves of a world key file do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public key does not belong to the secret key")]
pub struct MismatchedKeys;

impl WorldKey {
    /// Length of the form that planet tools keep in a file: public key (64), then secret key (64).
    pub const BYTES: usize = 2 * KEY_LEN;

    /// Makes a new key, from a generator as [`IdentitySecret::generate`](crate::IdentitySecret::generate) takes it.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(&mut *secret);
        Self(KeyPairs::from_secret(&secret))
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`MismatchedKeys`] if the public keys are not those of the secret keys.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, MismatchedKeys> {
        const REASON: &str = "128 bytes are two keys of 64";
        let public: &[u8; KEY_LEN] = bytes.first_chunk().expect(REASON);
        let keys = KeyPairs::from_secret(bytes.last_chunk().expect(REASON));
        if keys.public == *public { Ok(Self(keys)) } else { Err(MismatchedKeys) }
    }

    /// Returns the file form.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        for (to, from) in bytes.iter_mut().zip(self.0.public.iter().chain(self.0.secret.iter())) {
            *to = *from;
        }
        bytes
    }

    /// Returns the public half, which is what [`World::update_key`] holds.
    pub fn public(&self) -> &[u8; KEY_LEN] {
        &self.0.public
    }

    /// Makes the key of which this is the secret half: X25519 secret, then Ed25519 seed.
    pub fn from_secret(secret: &[u8; KEY_LEN]) -> Self {
        Self(KeyPairs::from_secret(secret))
    }

    /// Returns the secret half.
    pub fn secret(&self) -> Zeroizing<[u8; KEY_LEN]> {
        self.0.secret.clone()
    }

    /// Signs any message; [`WorldKey::sign_world`] signs a world.
    pub fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.0.signing, |add| add(message))
    }

    /// Signs a version of a world. [`World::update_key`] says who may sign the next one, and must be set before.
    pub fn sign_world(&self, world: &mut World) {
        world.signature = self.sign(&world.signed_bytes());
    }
}

/// Checks that the owner of `key` signed a world.
///
/// # Errors
/// As [`verify`].
pub fn verify_world(key: &[u8; KEY_LEN], world: &World) -> Result<(), BadSignature> {
    verify_by_key(key, &world.signed_bytes(), &world.signature)
}

/// Says whether `candidate` takes the place of `current` (`vl1.md` §15.4): it is a later version of the same world,
/// signed by the key that the current one names.
///
/// A world that is the first of its kind is not asked about here. One from the node's own disk is trusted; a moon
/// that a peer sent should be signed by its own [`World::update_key`], as the tool that makes moons signs them.
#[must_use]
pub fn may_replace(current: &World, candidate: &World) -> bool {
    current.kind == candidate.kind
        && current.id == candidate.id
        && current.timestamp < candidate.timestamp
        && verify_world(&current.update_key, candidate).is_ok()
}

impl fmt::Debug for WorldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldKey")
    }
}
