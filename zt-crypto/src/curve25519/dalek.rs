//! By `x25519-dalek` and `ed25519-dalek`, in Rust alone.

use ed25519_dalek::Signer as _;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::SIGNATURE_LEN;

/// An Ed25519 key.
pub(crate) struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a message; equal messages give equal signatures.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }
}

/// An X25519 key.
pub(crate) struct AgreementKey(StaticSecret);

impl AgreementKey {
    /// Takes a secret that is not clamped: that happens at use.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*secret))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// Returns what is shared with the owner of a public key; `None` if it would be zero, whatever this key is.
    pub(crate) fn agree(&self, theirs: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*theirs));
        shared.was_contributory().then(|| Zeroizing::new(*shared.as_bytes()))
    }
}
