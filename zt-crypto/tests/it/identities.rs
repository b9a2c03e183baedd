//! Identities: text form, validity, generation (`vl1.md` §3).

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zt_crypto::{
    IdentitySecret, IdentitySecretError, InvalidIdentity, Scratch, VerifiedIdentity, fingerprint,
};
use zt_proto::PublicIdentity;
use zt_proto::codec::Reader;

use crate::vectors::{array, hex, list, load, text};

#[test]
fn valid_identities_are_verified() {
    let mut scratch = Scratch::new();
    for case in list(&load("vl1/identities.json")["valid_identities"]) {
        let identity: PublicIdentity = text(&case["public_string"]).parse().unwrap();
        let verified = VerifiedIdentity::verify_with(identity, &mut scratch).unwrap();
        assert_eq!(verified.public(), &identity);
        assert_eq!(verified.address().to_string(), text(&case["address"]));
        assert_eq!(fingerprint(&identity), array(&case["public_key_hash_sha384"]));
    }
}

#[test]
fn fingerprints_in_credentials_are_those_of_the_reference() {
    let vectors = load("vl2/credentials.json");
    for credential in list(&vectors["credentials"]).iter().filter(|credential| credential["type"] == "com") {
        let identity = match text(&credential["to"]) {
            "ctl" => &vectors["signerIdentitySecret"],
            name => &vectors["identities"][name],
        };
        let identity: PublicIdentity = text(identity).parse().unwrap();
        assert_eq!(fingerprint(&identity), array(&credential["identityHashHex"]));
    }
}

#[test]
fn invalid_identities_are_refused_with_their_reason() {
    let vectors = load("vl1/identities.json");
    let cases = list(&vectors["invalid_identities"]);
    let refusal = |name: &str| {
        let case = cases.iter().find(|case| text(&case["name"]) == name).unwrap();
        let binary = hex(&case["public_binary"]);
        VerifiedIdentity::verify(PublicIdentity::parse(&mut Reader::new(&binary)).unwrap()).unwrap_err()
    };
    assert_eq!(refusal("first_byte_too_large"), InvalidIdentity::NoWork);
    assert!(matches!(refusal("reserved_prefix"), InvalidIdentity::Reserved(_)));
    assert!(matches!(refusal("address_of_another_key"), InvalidIdentity::Foreign { .. }));
    for case in cases {
        refusal(text(&case["name"]));
    }
}

#[test]
fn text_form_with_secret_survives_a_round_trip() {
    for case in list(&load("vl1/identities.json")["valid_identities"]) {
        if case["secret_string"].is_string() {
            let secret: IdentitySecret = text(&case["secret_string"]).parse().unwrap();
            assert_eq!(secret.to_text().as_str(), text(&case["secret_string"]));
            assert_eq!(secret.public().to_string(), text(&case["public_string"]));
        }
    }
}

#[test]
fn texts_with_secret_are_read_as_the_reference_reads_them() {
    for case in list(&load("vl1/identities.json")["strings"]) {
        let fields = text(&case["string"]).split(':').count();
        let read = text(&case["string"]).parse::<IdentitySecret>();
        match read {
            Ok(secret) => {
                assert!(case["parses"].as_bool().unwrap(), "{}", case["name"]);
                assert_eq!(secret.to_text().as_str(), text(&case["canonical"]));
            }
            Err(IdentitySecretError::NoSecret) => assert_eq!(fields, 3, "{}", case["name"]),
            Err(_) => {
                let laxness = text(&case["name"]).contains("reference");
                assert!(!case["parses"].as_bool().unwrap() || laxness, "{}", case["name"]);
            }
        }
    }
}

#[test]
fn public_key_of_another_secret_is_refused() {
    let vectors = load("vl1/identities.json");
    let secrets: Vec<_> = list(&vectors["valid_identities"])
        .iter()
        .filter_map(|case| case["secret_string"].as_str()?.rsplit(':').next())
        .collect();
    let ordinary = &list(&vectors["valid_identities"])[0];
    let swapped = format!("{}:{}", text(&ordinary["public_string"]), secrets[1]);
    let error = swapped.parse::<IdentitySecret>().unwrap_err();
    assert_eq!(error.to_string(), "the public key of 7d8273c358 does not belong to its secret key");
}

#[test]
fn generated_identities_are_valid_and_follow_from_the_random_numbers() {
    let generate = |seed| IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(seed));
    let secret = generate(1);
    assert_eq!(secret.verify().unwrap().public(), secret.public());
    assert_eq!(*secret.to_text(), *generate(1).to_text());
    assert_ne!(secret.address(), generate(2).address());
    let read: IdentitySecret = secret.to_text().parse().unwrap();
    assert_eq!(read.public(), secret.public());
}

#[test]
fn secret_does_not_show_itself() {
    let secret = IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(3));
    assert_eq!(format!("{secret:?}"), format!("IdentitySecret({})", secret.address()));
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in "([0-9a-f]{10}:0:[0-9a-f]{128}:[0-9a-fg:]{0,130})|\\PC*") {
        prop_assert!(text.parse::<IdentitySecret>().is_err());
    }
}
