//! Signatures of identities, credentials and worlds (`vl1.md` §5, §15.2).

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zt_crypto::signature::{MismatchedKeys, may_replace, verify, verify_by_key, verify_plain, verify_world};
use zt_crypto::{BadSignature, IdentitySecret, WorldKey};
use zt_proto::codec::Reader;
use zt_proto::credential::Signature;
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{PublicIdentity, Timestamp};

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

/// Moons from end to end: made, signed, written, read, verified, replaced.
#[test]
fn worlds_replace_each_other_as_in_the_reference() {
    let vectors = load("vl1/world.json");
    let world = |name: &str| {
        let world = list(&vectors["worlds"]).iter().find(|world| text(&world["name"]) == name)?;
        Some(World::parse(&mut Reader::new(&hex(&world["serialized"]))).unwrap())
    };
    let mut checked = 0;
    for case in list(&vectors["replacement"]) {
        let Some(current) = world(text(&case["current"])) else { continue };
        let candidate = world(text(&case["candidate"])).unwrap();
        assert_eq!(may_replace(&current, &candidate), case["should_replace"].as_bool().unwrap(), "{case}");
        checked += 1;
    }
    assert!(checked > 5);
}

#[test]
fn moon_that_was_made_here_is_signed_by_itself_and_replaced_by_its_next_version() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let root = IdentitySecret::generate(&mut rng);
    let (key, other) = (WorldKey::generate(&mut rng), WorldKey::generate(&mut rng));
    let mut moon = World {
        kind: WorldKind::Moon,
        id: root.address().to_u64(),
        timestamp: Timestamp(1),
        update_key: *key.public(),
        signature: Signature::NONE,
        roots: vec![Root { identity: *root.public(), endpoints: vec!["192.0.2.1:9993".parse().unwrap()] }],
    };
    key.sign_world(&mut moon);
    let mut bytes = Vec::new();
    moon.write(&mut bytes);
    let read = World::parse(&mut Reader::new(&bytes)).unwrap();
    assert_eq!(read, moon);
    assert_eq!(verify_world(&read.update_key, &read), Ok(()));

    let mut next = World { timestamp: Timestamp(2), update_key: *other.public(), ..moon.clone() };
    assert!(!may_replace(&moon, &next), "not signed again");
    other.sign_world(&mut next);
    assert!(!may_replace(&moon, &next), "signed by the new key");
    key.sign_world(&mut next);
    assert!(may_replace(&moon, &next));
    assert!(!may_replace(&next, &moon));
}

#[test]
fn plain_signatures_and_those_of_the_protocol_are_not_interchangeable() {
    let signer = IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let (key, message) = (&signer.public().key, b"message");
    let plain = signer.sign_plain(message);
    assert_eq!(verify_plain(key, message, &plain), Ok(()));
    assert_eq!(verify_plain(key, b"massage", &plain), Err(BadSignature));
    let ordinary = signer.sign(message);
    assert_eq!(verify_plain(key, message, ordinary.0.first_chunk().unwrap()), Err(BadSignature));
    let mut mixed = ordinary;
    mixed.0[..64].copy_from_slice(&plain);
    assert_eq!(verify(signer.public(), message, &mixed), Err(BadSignature));
}

#[test]
fn what_is_signed_need_not_lie_in_one_place() {
    let signer = IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(3));
    let message: Vec<u8> = (0..=u8::MAX).collect();
    for size in [1, 7, 127, 128, 129, 256] {
        let signature = signer.sign_pieces(|add| message.chunks(size).for_each(add));
        assert_eq!(signature, signer.sign(&message));
        assert_eq!(verify(signer.public(), &message, &signature), Ok(()));
    }
}
