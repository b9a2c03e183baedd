//! Signatures of identities and worlds (`vl1.md` §5, §15.2).

use std::fmt;

use rand_core::CryptoRng;
use ring::digest::{SHA512, digest};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;
use zt_proto::PublicIdentity;
use zt_proto::credential::Signature;
use zt_proto::identity::KEY_LEN;

use crate::keys::{KeyPairs, halves};

/// The signature is not by that key, or not of that message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to this message and key")]
pub struct BadSignature;

/// Checks that `signer` signed `message`.
///
/// # Errors
/// [`BadSignature`] if it did not. An Ed25519 S that is not reduced is refused, although 1.x accepts it.
pub fn verify(signer: &PublicIdentity, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    verify_by_key(&signer.key, message, signature)
}

/// Checks that the owner of a public key without an address signed `message`: worlds have such keys.
///
/// # Errors
/// As [`verify`].
pub fn verify_by_key(key: &[u8; KEY_LEN], message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let (ed25519, signed) = signature.0.split_at(64);
    if !bool::from(signed.ct_eq(&message_hash(message))) {
        return Err(BadSignature);
    }
    let (_, signing_key) = halves(key);
    UnparsedPublicKey::new(&ED25519, signing_key).verify(signed, ed25519).map_err(|_| BadSignature)
}

/// Signs `message`; equal messages give equal signatures.
pub(crate) fn sign(key: &Ed25519KeyPair, message: &[u8]) -> Signature {
    let hash = message_hash(message);
    let mut signature = [0; Signature::LEN];
    for (to, from) in signature.iter_mut().zip(key.sign(&hash).as_ref().iter().chain(&hash)) {
        *to = *from;
    }
    Signature(signature)
}

/// Returns the first half of SHA-512 of `message`, which is what Ed25519 signs.
fn message_hash(message: &[u8]) -> [u8; 32] {
    *digest(&SHA512, message).as_ref().first_chunk().expect("SHA-512 yields 64 bytes")
}

/// The key that signs a planet or moon: keys as of an identity, but without an address.
///
/// Its secret halves are wiped on drop; the expanded signing key, which `ring` owns, is not.
pub struct WorldKey(KeyPairs);

/// The two halves of a world key file do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public key does not belong to the secret key")]
pub struct MismatchedKeys;

impl WorldKey {
    /// Length of the form that planet tools keep in a file: public key (64), then secret key (64).
    pub const BYTES: usize = 2 * KEY_LEN;

    pub fn generate(rng: &mut impl CryptoRng) -> Self {
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
        for (to, from) in bytes.iter_mut().zip(self.0.public.iter().chain(self.0.secret().iter())) {
            *to = *from;
        }
        bytes
    }

    pub fn public(&self) -> &[u8; KEY_LEN] {
        &self.0.public
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.0.signing, message)
    }
}

impl fmt::Debug for WorldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldKey")
    }
}
