//! The two key pairs that identities and worlds consist of.

use zeroize::Zeroizing;
use zt_proto::identity::KEY_LEN;

use crate::curve25519::{AgreementKey, SigningKey};

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
    pub(crate) agreement: AgreementKey,
    pub(crate) signing: SigningKey,
    pub(crate) public: [u8; KEY_LEN],
    /// X25519 secret, unclamped, as it is stored; then Ed25519 seed.
    pub(crate) secret: Zeroizing<[u8; KEY_LEN]>,
}

impl KeyPairs {
    /// Makes the pairs that belong to an X25519 secret and the Ed25519 seed behind it.
    pub(crate) fn from_secret(secret: &[u8; KEY_LEN]) -> Self {
        let (agreement, seed) = halves(secret);
        let (agreement, signing) = (AgreementKey::new(agreement), SigningKey::new(seed));
        let public = join(&agreement.public(), &signing.public());
        Self { agreement, signing, public, secret: Zeroizing::new(*secret) }
    }
}
