//! Makes Ed25519 signatures, several of them together (RFC 8032, 5.1.6).
//!
//! A signature takes a multiplication of the base point, and a fifth of its time goes into the inversion by which that becomes
//! bytes. However many signatures are made together, they take one inversion. What they say is the same as of each alone.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::SigningKey;
use ed25519_dalek::hazmat::ExpandedSecretKey;
use ring::digest::{Context, SHA512};
use zeroize::Zeroizing;

/// Length of a signature.
pub(crate) const LEN: usize = 64;

/// A secret key with what every signature takes of it.
///
/// All of it is wiped on drop.
pub(crate) struct Signer {
    key: SigningKey,
    expanded: ExpandedSecretKey,
}

/// What a signature begins with, and its secret.
struct Commitment {
    nonce: Zeroizing<Scalar>,
    point: CompressedEdwardsY,
}

impl Signer {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let expanded = ExpandedSecretKey::from(key.as_bytes());
        Self { key, expanded }
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        self.key.as_ref().as_bytes()
    }

    /// Signs a message; equal messages give equal signatures.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; LEN] {
        let nonce = self.nonce(message);
        let point = Zeroizing::new(EdwardsPoint::mul_base(&nonce)).compress();
        self.prove(&Commitment { nonce, point }, message)
    }

    /// Signs each of the messages as [`Signer::sign`] does.
    pub(crate) fn sign_all(&self, messages: &[impl AsRef<[u8]>]) -> Vec<[u8; LEN]> {
        match messages {
            // An inversion of nothing takes as long as any.
            [] => return Vec::new(),
            [message] => return vec![self.sign(message.as_ref())],
            _ => {}
        }
        let nonces: Vec<_> = messages.iter().map(|message| self.nonce(message.as_ref())).collect();
        // How a point came about could tell of the nonce.
        let points: Vec<_> = nonces.iter().map(|nonce| EdwardsPoint::mul_base(nonce)).collect();
        let points = EdwardsPoint::compress_batch_alloc(&Zeroizing::new(points));
        let commitments = nonces.into_iter().zip(points).map(|(nonce, point)| Commitment { nonce, point });
        commitments
            .zip(messages)
            .map(|(commitment, message)| self.prove(&commitment, message.as_ref()))
            .collect()
    }

    /// Returns a secret number that is another one for each message.
    fn nonce(&self, message: &[u8]) -> Zeroizing<Scalar> {
        Zeroizing::new(hash_to_scalar(&[&self.expanded.hash_prefix, message]))
    }

    fn prove(&self, Commitment { nonce, point }: &Commitment, message: &[u8]) -> [u8; LEN] {
        let challenge = hash_to_scalar(&[point.as_bytes(), self.public(), message]);
        let proof = challenge * self.expanded.scalar + **nonce;
        let mut signature = [0; LEN];
        for (to, from) in signature.iter_mut().zip(point.as_bytes().iter().chain(proof.as_bytes())) {
            *to = *from;
        }
        signature
    }
}

fn hash_to_scalar(parts: &[&[u8]]) -> Scalar {
    let mut hash = Context::new(&SHA512);
    parts.iter().for_each(|part| hash.update(part));
    let digest = hash.finish();
    let mut wide = Zeroizing::new([0; 64]);
    for (to, from) in wide.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Scalar::from_bytes_mod_order_wide(&wide)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;
    use proptest::prelude::*;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 8032, 7.1: tests 1 to 3.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let cases: [(&str, &[u8], &str); 3] = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                b"",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                b"\x72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                b"\xaf\x82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ];
        for (seed, message, signature) in cases {
            let signer = Signer::new(&bytes(seed));
            assert_eq!(signer.sign(message), bytes(signature));
            assert_eq!(signer.sign_all(&[message, message]), [bytes(signature); 2]);
        }
    }

    proptest! {
        #[test]
        fn signatures_together_or_alone_are_those_of_another_implementation(
            seed: [u8; 32],
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..=40),
        ) {
            let (signer, other) = (Signer::new(&seed), SigningKey::from_bytes(&seed));
            let expected: Vec<_> = messages.iter().map(|message| other.sign(message).to_bytes()).collect();
            prop_assert_eq!(&signer.sign_all(&messages), &expected);
            for (message, expected) in messages.iter().zip(&expected) {
                prop_assert_eq!(&signer.sign(message), expected);
                prop_assert!(other.verifying_key().verify_strict(message, &expected.into()).is_ok());
            }
        }
    }
}
