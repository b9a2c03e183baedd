//! The key that two nodes share (`vl1.md` §4).

use std::fmt;

use ring::digest::{SHA512, digest};
use ring::hmac;
use zeroize::Zeroizing;

use crate::armor::aes_gmac_siv::AesKeys;
use crate::curve25519::AgreementKey;

/// Length of the part of the agreed secret that the packet armor uses.
pub const SESSION_KEY_LEN: usize = 48;

/// The public key of the other side has no contribution: everybody could compute the shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public key is of low order and would make a key that everybody knows")]
pub struct WeakKey;

/// What two nodes share for ever: it depends on their identities only.
///
/// It takes 96 bytes: a node has one for each of many thousand peers. The AES keys are derived when it is made, which
/// takes microseconds, and expanded for each packet anew, which takes a tenth of one but ten times the room. All of it is
/// wiped on drop.
#[doc(alias = "shared_secret")]
pub struct SessionKey {
    /// What was agreed upon begins with it; of the rest only the other two are made.
    salsa: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
    cipher: Zeroizing<[u8; 32]>,
}

impl SessionKey {
    /// Takes 48 bytes that were agreed upon elsewhere.
    pub fn from_bytes(bytes: [u8; SESSION_KEY_LEN]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let (mac, cipher) = (derive(&bytes, b'0'), derive(&bytes, b'1'));
        let salsa = Zeroizing::new(*bytes.first_chunk().expect("48 bytes begin with 32 bytes"));
        Self { salsa, mac, cipher }
    }

    /// Computes the session key of `ours` and `theirs`.
    pub(crate) fn agree(ours: &AgreementKey, theirs: &[u8; 32]) -> Result<Self, WeakKey> {
        let secret = shared_secret(ours, theirs)?;
        let mut bytes = [0; SESSION_KEY_LEN];
        for (to, from) in bytes.iter_mut().zip(secret.iter()) {
            *to = *from;
        }
        Ok(Self::from_bytes(bytes))
    }

    /// Returns the key of suites 0 and 1 and of the masked part of HELLO.
    pub(crate) fn salsa(&self) -> &[u8; 32] {
        &self.salsa
    }

    /// Expands the keys of suite 3.
    pub(crate) fn aes(&self) -> AesKeys {
        AesKeys::new(&self.mac, &self.cipher)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// Returns SHA-512 of the X25519 result.
///
/// # Errors
/// [`WeakKey`] if that result is zero, as it is for the few points of low order (`vl1.md` §2).
pub(crate) fn shared_secret(ours: &AgreementKey, theirs: &[u8; 32]) -> Result<Zeroizing<[u8; 64]>, WeakKey> {
    let shared = ours.agree(theirs).ok_or(WeakKey)?;
    let mut secret = Zeroizing::new([0; 64]);
    secret.copy_from_slice(digest(&SHA512, &*shared).as_ref());
    Ok(secret)
}

/// Derives an AES-256 key (`vl1.md` §4.1); `label` tells the keys apart.
pub(crate) fn derive(key: &[u8; SESSION_KEY_LEN], label: u8) -> Zeroizing<[u8; 32]> {
    // u32 iteration, "ZT", label, 0, context, u32 number of bits that HMAC-SHA-384 yields
    let message = [0, 0, 0, 0, b'Z', b'T', label, 0, 0, 0, 0, 0x01, 0x80];
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, key), &message);
    let mut derived = Zeroizing::new([0; 32]);
    for (to, from) in derived.iter_mut().zip(mac.as_ref()) {
        *to = *from;
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, hex, list, load, text};

    #[test]
    fn derived_keys_are_those_of_the_reference() {
        let vectors = load("vl1/primitives.json");
        let mut checked = 0;
        for case in list(&vectors["kbkdf_hmac_sha384"]) {
            // the protocol uses no other context and iteration
            if case["context"] == 0 && case["iter"] == 0 {
                let label = text(&case["label"]).as_bytes()[0];
                let derived = derive(&array(&case["key48"]), label);
                assert_eq!(derived.as_slice(), &hex(&case["output48"])[..32]);
                checked += 1;
            }
        }
        assert!(checked > 1);
    }
}
