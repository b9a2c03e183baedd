//! By `aws-lc-rs`, in C and assembly. It wipes all memory that it frees.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::SIGNATURE_LEN;

/// An Ed25519 key.
pub(crate) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed"))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        *self.0.public_key().as_ref().first_chunk().expect("a public key has 32 bytes")
    }

    /// Signs a message; equal messages give equal signatures.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        *self.0.sign(message).as_ref().first_chunk().expect("a signature has 64 bytes")
    }
}

/// An X25519 key.
pub(crate) struct AgreementKey(PrivateKey);

impl AgreementKey {
    /// Takes a secret that is not clamped: that happens at use.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(PrivateKey::from_private_key(&X25519, secret).expect("any 32 bytes are a secret"))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        let public = self.0.compute_public_key().expect("every secret has a public key");
        *public.as_ref().first_chunk().expect("a public key has 32 bytes")
    }

    /// Returns what is shared with the owner of a public key; `None` if it would be zero, whatever this key is.
    pub(crate) fn agree(&self, theirs: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let take = |shared: &[u8]| shared.first_chunk().map(|shared| Zeroizing::new(*shared)).ok_or(());
        agree(&self.0, UnparsedPublicKey::new(&X25519, theirs), (), take).ok()
    }
}
