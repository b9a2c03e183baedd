//! The two key pairs that identities and worlds consist of.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;
use zt_proto::identity::KEY_LEN;

use crate::signing::Signer;

/// Splits a key into its X25519 half and its Ed25519 half.
pub(crate) fn halves(key: &[u8; KEY_LEN]) -> (&[u8; 32], &[u8; 32]) {
    const REASON: &str = "a key of 64 bytes has two halves of 32";
    (key.first_chunk().expect(REASON), key.last_chunk().expect(REASON))
}

/// Joins an X25519 half and an Ed25519 half.
pub(crate) fn join(agreement: &[u8], signing: &[u8]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    for (to, from) in key.iter_mut().zip(agreement.iter().chain(signing)) {
        *to = *from;
    }
    key
}

/// An X25519 pair for key agreement and an Ed25519 pair for signatures (`vl1.md` §3.1).
///
/// The secret halves are wiped on drop.
pub(crate) struct KeyPairs {
    /// Unclamped, as it is stored; clamping happens at use.
    pub(crate) agreement: StaticSecret,
    pub(crate) signing: Signer,
    pub(crate) public: [u8; KEY_LEN],
}

impl KeyPairs {
    /// Makes the pairs that belong to an X25519 secret and an Ed25519 seed.
    pub(crate) fn new(agreement: StaticSecret, seed: &[u8; 32]) -> Self {
        let signing = Signer::new(seed);
        let public = join(PublicKey::from(&agreement).as_bytes(), signing.public());
        Self { agreement, signing, public }
    }

    pub(crate) fn from_secret(secret: &[u8; KEY_LEN]) -> Self {
        let (agreement, seed) = halves(secret);
        Self::new(StaticSecret::from(*agreement), seed)
    }

    /// Returns the secret key: X25519 secret, then Ed25519 seed.
    pub(crate) fn secret(&self) -> Zeroizing<[u8; KEY_LEN]> {
        Zeroizing::new(join(self.agreement.as_bytes(), self.signing.seed()))
    }
}
