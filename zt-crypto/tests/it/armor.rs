//! Packet armor (`vl1.md` §9) and the mask of HELLO (§10.2.3).

use proptest::prelude::*;
use serde_json::Value;
use zt_crypto::armor::extended::{self, ExtendedError};
use zt_crypto::armor::{self, OpenError, Suite, trusted_path};
use zt_crypto::{IdentitySecret, SessionKey};

use crate::vectors::{array, hex, list, load, text};

const SUITES: [(Suite, &str); 3] = [
    (Suite::Poly1305, "vl1/cipher_suite_0.json"),
    (Suite::Salsa20Poly1305, "vl1/cipher_suite_1.json"),
    (Suite::AesGmacSiv, "vl1/cipher_suite_3.json"),
];

/// `known-flaws.md` row 10.
#[test]
fn packets_are_sealed_as_by_the_reference() {
    for_every_case(|suite, key, case| {
        let mut packet = hex(&case["plain_packet"]);
        armor::seal(&mut packet, key, suite);
        assert_eq!(packet, hex(&case["armored_packet"]), "{suite:?} {}", case["name"]);
    });
}

/// `known-flaws.md` row 10.
#[test]
fn packets_are_opened_as_by_the_reference() {
    for_every_case(|suite, key, case| {
        let mut packet = hex(&case["armored_packet"]);
        // the header stays as it was received
        let expected = [&packet[..27], &hex(&case["plain_packet"])[27..]].concat();
        assert_eq!(armor::open(&mut packet, key), Ok(suite));
        assert_eq!(packet, expected, "{suite:?} {}", case["name"]);
        // large packets are described in words there
        if !text(&case["dearmored_packet"]).contains(' ') {
            assert_eq!(packet, hex(&case["dearmored_packet"]), "{suite:?} {}", case["name"]);
        }
    });
}

#[test]
fn altered_packets_are_refused_and_left_as_they_were() {
    let mut refused = 0;
    for_every_case(|suite, key, case| {
        for variant in case["variants"].as_array().into_iter().flatten() {
            let received = hex(&variant["packet"]);
            let mut packet = received.clone();
            let opened = armor::open(&mut packet, key);
            assert_eq!(
                opened.is_ok(),
                variant["dearmor_ok"].as_bool().unwrap(),
                "{suite:?} {}",
                variant["name"]
            );
            if opened.is_err() {
                assert_eq!(packet, received, "{suite:?} {}", variant["name"]);
                refused += 1;
            }
        }
    });
    assert!(refused > 30);
}

#[test]
fn other_suites_are_refused_by_number() {
    let key = SessionKey::from_bytes([1; 48]);
    for number in [2, 4, 5, 6, 7] {
        let mut packet = [0; 40];
        packet[18] = number << 3;
        assert_eq!(armor::open(&mut packet, &key), Err(OpenError::UnsupportedSuite(number)));
    }
}

#[test]
fn packet_of_a_trusted_path_carries_its_id_and_is_never_opened() {
    let key = SessionKey::from_bytes([1; 48]);
    for flags in [0x00, 0xff] {
        let mut packet = [flags; 40];
        assert_eq!(trusted_path::id_of(&packet), None, "suite 0 or 7");
        trusted_path::mark(&mut packet, 0x0102_0304_0506_0708);
        assert_eq!(packet[18], flags & 0x47 | 0x10, "suite 2, not marked as encrypted");
        assert_eq!(packet[19..27], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!([&packet[..18], &packet[27..]].concat(), [flags; 31], "all else is as it was");
        assert_eq!(trusted_path::id_of(&packet), Some(0x0102_0304_0506_0708));
        // receivers do not ask for the legacy flag
        for flag in [0x00, 0x80] {
            let mut received = packet;
            received[18] |= flag;
            assert_eq!(trusted_path::id_of(&received), Some(0x0102_0304_0506_0708));
            assert_eq!(armor::open(&mut received, &key), Err(OpenError::UnsupportedSuite(2)));
            assert_eq!(received[19..], packet[19..]);
        }
    }
}

#[test]
fn sealed_packets_are_of_no_trusted_path() {
    let key = SessionKey::from_bytes([1; 48]);
    for (suite, _) in SUITES {
        let mut packet = [0x10; 40];
        armor::seal(&mut packet, &key, suite);
        assert_eq!(trusted_path::id_of(&packet), None, "{suite:?}");
    }
    for len in 0..28 {
        let mut packet = vec![0x10; len];
        trusted_path::mark(&mut packet, 7);
        assert_eq!((trusted_path::id_of(&packet), packet), (None, vec![0x10; len]));
    }
}

#[test]
fn what_is_shorter_than_header_and_verb_is_refused() {
    let key = SessionKey::from_bytes([1; 48]);
    for (suite, _) in SUITES {
        for len in 0..28 {
            let mut packet = vec![suite.number() << 3; len];
            assert_eq!(armor::open(&mut packet, &key), Err(OpenError::TooShort(len)));
            armor::seal(&mut packet, &key, suite);
            assert_eq!(packet, vec![suite.number() << 3; len]);
        }
    }
}

#[test]
fn only_suite_1_carries_the_legacy_encrypted_flag() {
    let key = SessionKey::from_bytes([1; 48]);
    for (suite, _) in SUITES {
        for flags in [0x00, 0xff] {
            let mut packet = [flags; 40];
            armor::seal(&mut packet, &key, suite);
            assert_eq!(packet[18] & 0x80 != 0, suite == Suite::Salsa20Poly1305, "{suite:?}");
            assert_eq!(packet[18] & 0x47, flags & 0x47, "fragmented flag and hops belong to others");
        }
    }
}

#[test]
fn tail_of_hello_is_masked_as_by_the_reference() {
    for case in list(&load("vl1/crypt_field.json")["cases"]) {
        let key = SessionKey::from_bytes(array(&case["key48"]));
        let packet_id = u64::from_be_bytes(array(&case["packet_id"]));
        let mut tail = hex(&case["plain"]);
        armor::mask_hello_tail(&mut tail, packet_id, &key);
        assert_eq!(tail, hex(&case["masked"]));
        // releases 1.2.0 to 1.2.4 change the low bits on the way
        armor::mask_hello_tail(&mut tail, packet_id ^ 0x05, &key);
        assert_eq!(tail, hex(&case["plain"]));
    }
}

#[test]
fn extended_armor_of_the_reference_is_uncovered_and_opened() {
    let vectors = load("vl1/extended_armor.json");
    let receiver: IdentitySecret = text(&vectors["receiver_secret"]).parse().unwrap();
    let key = SessionKey::from_bytes(array(&vectors["session_key"]));
    for case in list(&vectors["cases"]) {
        let mut wire = hex(&case["wire"]);
        assert!(extended::is_marked(&wire));
        let packet = extended::open(&mut wire, &receiver).unwrap();
        assert_eq!(armor::open(packet, &key), Ok(Suite::Poly1305));
        assert_eq!(packet, hex(&case["inner_packet"]));

        let mut tampered = hex(&case["tampered_wire"]);
        let packet = extended::open(&mut tampered, &receiver).unwrap();
        assert_eq!(armor::open(packet, &key), Err(OpenError::NotAuthentic));
    }
}

#[test]
fn hello_in_extended_armor_opens_at_its_receiver_only() {
    let vectors = load("vl1/extended_armor.json");
    let receiver: IdentitySecret = text(&vectors["receiver_secret"]).parse().unwrap();
    let sender: IdentitySecret = text(&vectors["sender_secret"]).parse().unwrap();
    let key = sender.agree(receiver.public()).unwrap();
    let plain: Vec<u8> = (0..140).map(|byte| if byte == 18 { 0 } else { byte }).collect();
    let mut wire = plain.clone();
    extended::seal(&mut wire, &key, [5; 32], receiver.public()).unwrap();
    assert_eq!(wire.len(), plain.len() + 32);

    let mut received = wire.clone();
    let packet = extended::open(&mut received, &receiver).unwrap();
    assert_eq!(armor::open(packet, &key), Ok(Suite::Poly1305));
    assert_eq!(packet[27..], plain[27..]);

    let packet = extended::open(&mut wire, &sender).unwrap();
    assert_eq!(armor::open(packet, &key), Err(OpenError::NotAuthentic));
}

#[test]
fn what_cannot_be_extended_armor_is_refused() {
    let vectors = load("vl1/extended_armor.json");
    let receiver: IdentitySecret = text(&vectors["receiver_secret"]).parse().unwrap();
    let mut packet = [0; 100];
    assert_eq!(extended::open(&mut packet, &receiver).unwrap_err(), ExtendedError::NotMarked);
    packet[18] = 0x88;
    assert_eq!(extended::open(&mut packet, &receiver).unwrap_err(), ExtendedError::NotMarked);
    packet[18] = 0x80;
    assert_eq!(extended::open(&mut packet[..59], &receiver).unwrap_err(), ExtendedError::TooShort(59));
    // the last 32 bytes are zero, which is no public key
    assert!(matches!(extended::open(&mut packet, &receiver).unwrap_err(), ExtendedError::WeakKey(_)));
    assert_eq!(extended::open(&mut [], &receiver).unwrap_err(), ExtendedError::NotMarked);
}

proptest! {
    #[test]
    fn what_was_sealed_opens_to_the_same_payload(
        key: [[u8; 24]; 2], mut packet in prop::collection::vec(any::<u8>(), 28..2500), which in 0..3_usize, hops in 0..8_u8,
    ) {
        let key = SessionKey::from_bytes(key.concat().try_into().unwrap());
        let (suite, _) = SUITES[which];
        let payload = packet[27..].to_vec();
        armor::seal(&mut packet, &key, suite);
        packet[18] = packet[18] & !0x07 | hops;
        let header = packet[..27].to_vec();
        prop_assert_eq!(armor::open(&mut packet, &key), Ok(suite));
        prop_assert_eq!(&packet[..27], header);
        prop_assert_eq!(&packet[27..], payload);
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_left_as_they_were(received in prop::collection::vec(any::<u8>(), 0..200)) {
        let key = SessionKey::from_bytes([9; 48]);
        let mut packet = received.clone();
        prop_assert!(armor::open(&mut packet, &key).is_err());
        prop_assert_eq!(packet, received);
    }
}

fn for_every_case(mut check: impl FnMut(Suite, &SessionKey, &Value)) {
    for (suite, file) in SUITES {
        let vectors = load(file);
        for case in list(vectors.get("cases").expect("cases in the vectors")) {
            check(suite, &SessionKey::from_bytes(array(&case["key48"])), case);
        }
    }
}
