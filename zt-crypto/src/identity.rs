//! The secret half of an identity: text form and generation (`vl1.md` §3).

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use ring::digest::{Context, SHA384};
use zeroize::Zeroizing;
use zt_proto::credential::Signature;
use zt_proto::identity::{IdentityTextError, parse_key};
use zt_proto::{Address, PublicIdentity};

use crate::agreement::{SessionKey, WeakKey};
use crate::curve25519::AgreementKey;
use crate::derivation::{self, InvalidIdentity, Scratch, VerifiedIdentity};
use crate::keys::{KeyPairs, halves, join};
use crate::signature;

/// Length of the text form with both keys.
const TEXT_LEN: usize = 270;

/// An identity with its secret keys: what a node is.
///
/// The secret keys are wiped on drop.
#[doc(alias("Identity", "identity.secret", "PrivateKey"))]
pub struct IdentitySecret {
    public: PublicIdentity,
    keys: KeyPairs,
}

/// Why a text is not an identity with its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentitySecretError {
    /// The public half cannot be read, or a key is not hexadecimal.
    #[error(transparent)]
    Text(#[from] IdentityTextError),
    /// It is a public identity.
    #[error("the identity has no secret key: expected address:0:public key:secret key")]
    NoSecret,
    /// The halves are of different identities.
    #[error("the public key of {0} does not belong to its secret key")]
    Mismatch(Address),
}

impl IdentitySecret {
    /// Makes a new identity: about 15 tries of the memory-hard hash.
    ///
    /// The generator must be one that nobody can guess: `getrandom::SysRng` in a [`rand_core::UnwrapErr`], or
    /// `rand_chacha::ChaCha20Rng` with a seed from the operating system.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut scratch = Scratch::new();
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        loop {
            let mut agreement = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *agreement);
            let keys = KeyPairs::from_secret(&Zeroizing::new(join(&*agreement, &*seed)));
            if let Ok(address) = derivation::address_of(&keys.public, &mut scratch) {
                return Self { public: PublicIdentity { address, key: keys.public }, keys };
            }
        }
    }

    /// Returns the text form with the secret key, in lower case, without line end.
    pub fn to_text(&self) -> Zeroizing<String> {
        // the capacity keeps the text from moving while it grows, which would leave a copy unwiped
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        // writing to a string cannot fail
        let written = write!(text, "{}:", self.public);
        debug_assert!(written.is_ok());
        HEXLOWER.encode_append(&*self.keys.secret, &mut text);
        text
    }

    /// Returns the public half.
    pub fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// Returns the address: a claim, until [`IdentitySecret::verify`].
    pub fn address(&self) -> Address {
        self.public.address
    }

    /// Checks that the address belongs to the keys; reading the text form does not.
    ///
    /// # Errors
    /// As [`VerifiedIdentity::verify`].
    pub fn verify(&self) -> Result<VerifiedIdentity, InvalidIdentity> {
        VerifiedIdentity::verify(self.public)
    }

    /// Signs `message`; equal messages give equal signatures.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.sign_pieces(|add| add(message))
    }

    /// Signs the message of which `write` hands over one piece after the other: so it need not lie in one place. The signature
    /// is that of [`Self::sign`].
    pub fn sign_pieces(&self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Signature {
        signature::sign(&self.keys.signing, write)
    }

    /// Makes a plain Ed25519 signature, which no release takes anywhere: see
    /// [`verify_plain`](crate::signature::verify_plain).
    pub fn sign_plain(&self, message: &[u8]) -> [u8; signature::PLAIN_LEN] {
        self.keys.signing.sign(message)
    }

    /// Computes the key that this node shares with `other`.
    ///
    /// # Errors
    /// [`WeakKey`] if the public key of `other` is one of the few that make a key everybody knows.
    pub fn agree(&self, other: &PublicIdentity) -> Result<SessionKey, WeakKey> {
        let (theirs, _) = halves(&other.key);
        SessionKey::agree(&self.keys.agreement, theirs)
    }

    /// Returns the X25519 key, for armor that is addressed to this node by a one-time key.
    pub(crate) fn agreement_key(&self) -> &AgreementKey {
        &self.keys.agreement
    }
}

impl FromStr for IdentitySecret {
    type Err = IdentitySecretError;

    /// Reads the text form with the secret key, of either case, with a trailing line end.
    ///
    /// Checks that the public keys belong to the secret ones, but not that the address belongs to the keys: that
    /// is [`IdentitySecret::verify`], and takes milliseconds.
    fn from_str(text: &str) -> Result<Self, IdentitySecretError> {
        let public: PublicIdentity = text.parse()?;
        let secret =
            text.trim_end_matches(['\r', '\n']).split(':').nth(3).ok_or(IdentitySecretError::NoSecret)?;
        let keys = KeyPairs::from_secret(&Zeroizing::new(parse_key(secret)?));
        if keys.public != public.key {
            return Err(IdentitySecretError::Mismatch(public.address));
        }
        Ok(Self { public, keys })
    }
}

impl fmt::Debug for IdentitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentitySecret").field(&self.public.address).finish()
    }
}

/// Returns the hash of address and public key that VL2 credentials contain (`vl1.md` §3.7).
pub fn fingerprint(identity: &PublicIdentity) -> [u8; 48] {
    let mut hash = Context::new(&SHA384);
    hash.update(&identity.address.octets());
    hash.update(&identity.key);
    *hash.finish().as_ref().first_chunk().expect("SHA-384 yields 48 bytes")
}
