//! Signatures of identities, credentials and worlds (`vl1.md` §5, §15.2).

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zt_crypto::signature::{MismatchedKeys, verify, verify_by_key};
use zt_crypto::{BadSignature, IdentitySecret, WorldKey};
use zt_proto::PublicIdentity;
use zt_proto::credential::Signature;

use crate::vectors::{array, hex, list, load, text};

#[test]
fn signatures_are_those_of_the_reference() {
    for case in list(&load("vl1/signatures.json")["signatures"]) {
        let signer: IdentitySecret = text(&case["signer_secret"]).parse().unwrap();
        let message = hex(&case["message"]);
        let signature = signer.sign(&message);
        assert_eq!(signature.0, array(&case["signature"]));
        assert_eq!(verify(signer.public(), &message, &signature), Ok(()));
    }
}

#[test]
fn altered_signatures_are_refused() {
    let vectors = load("vl1/signatures.json");
    let variants: Vec<_> = list(&vectors["signatures"])
        .iter()
        .filter_map(|case| case["variants"].as_array())
        .flatten()
        .collect();
    assert!(variants.len() > 20);
    for case in variants {
        let signer: PublicIdentity = text(&case["public"]).parse().unwrap();
        let signature = hex(&case["signature"]);
        let verified = signature
            .try_into()
            .is_ok_and(|signature| verify(&signer, &hex(&case["message"]), &Signature(signature)).is_ok());
        let laxness = text(&case["name"]).contains("S+L");
        assert_eq!(verified, case["verifies"].as_bool().unwrap() && !laxness, "{}", case["name"]);
    }
}

#[test]
fn every_bit_of_a_signature_counts() {
    let signer = IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let signature = signer.sign(b"message");
    for bit in 0..96 * 8 {
        let mut altered = signature;
        altered.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(signer.public(), b"message", &altered), Err(BadSignature), "bit {bit}");
    }
}

#[test]
fn credentials_are_signed_as_by_the_reference() {
    let vectors = load("vl2/credentials.json");
    let signer: IdentitySecret = text(&vectors["signerIdentitySecret"]).parse().unwrap();
    for credential in list(&vectors["credentials"]) {
        let signature = signer.sign(&hex(&credential["signInputHex"]));
        let serialized = hex(&credential["serializedHex"]);
        assert!(serialized.windows(96).any(|part| part == signature.0), "{}", credential["type"]);
    }
}

#[test]
fn worlds_are_signed_as_by_the_reference() {
    let vectors = load("vl1/world.json");
    let key = |kind: &str| {
        let mut bytes = hex(&vectors[format!("{kind}_key_public")]);
        bytes.extend(hex(&vectors[format!("{kind}_key_secret")]));
        WorldKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
    };
    let keys = [key("planet"), key("moon")];
    for world in list(&vectors["worlds"]) {
        let (message, name) = (hex(&world["signed_bytes"]), text(&world["name"]));
        let signature = Signature(array(&world["signature"]));
        let [planet, moon] = &keys;
        let expected = if name.starts_with("planet") { planet } else { moon };
        let verified = verify_by_key(expected.public(), &message, &signature).is_ok();
        assert_eq!(verified, world["verifies_with_expected_key"].as_bool().unwrap(), "{name}");
        if verified {
            assert_eq!(expected.sign(&message), signature, "{name}");
        }
    }
}

#[test]
fn world_key_survives_its_file_form() {
    let key = WorldKey::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let mut bytes = key.to_bytes();
    let read = WorldKey::from_bytes(&bytes).unwrap();
    assert_eq!(read.public(), key.public());
    assert_eq!(read.sign(b"world"), key.sign(b"world"));
    assert_eq!(verify_by_key(key.public(), b"world", &read.sign(b"world")), Ok(()));
    bytes[0] ^= 1;
    assert_eq!(WorldKey::from_bytes(&bytes).unwrap_err(), MismatchedKeys);
}
