use zt_proto::PublicIdentity;
use zt_proto::codec::Reader;
use zt_proto::identity::KEY_LEN;

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn text_and_binary_forms_agree() {
    let vectors = load("vl1/identities.json");
    for case in list(&vectors, "valid_identities").iter().chain(list(&vectors, "invalid_identities")) {
        let binary = bytes(case, "public_binary");
        let identity = PublicIdentity::parse(&mut Reader::new(&binary)).unwrap();
        assert_eq!(identity.address.to_string(), text(case, "address"));
        assert_eq!(identity.to_string(), text(case, "public_string"));
        assert_eq!(written(|out| identity.write(out)), binary);
        if !identity.address.is_reserved() {
            assert_eq!(text(case, "public_string").parse(), Ok(identity));
        }
        if case["secret_string"].is_null() {
            continue;
        }
        assert_eq!(
            text(case, "secret_string").parse().ok(),
            (!identity.address.is_reserved()).then_some(identity)
        );
        let secret = bytes(case, "secret_binary");
        let mut reader = Reader::new(&secret);
        assert_eq!(PublicIdentity::parse(&mut reader), Ok(identity));
        assert!(reader.is_empty());
    }
}

#[test]
fn texts_are_read_strictly() {
    for case in list(&load("vl1/identities.json"), "strings") {
        let name = text(case, "name");
        let is_tolerated = name.contains("reference");
        let result = text(case, "string").parse::<PublicIdentity>();
        assert_eq!(result.is_ok(), case["parses"].as_bool().unwrap() && !is_tolerated, "{name}");
        if let Ok(identity) = result {
            assert!(text(case, "canonical").starts_with(&identity.to_string()), "{name}");
        }
    }
}

#[test]
fn binaries_are_read_as_recorded() {
    for case in list(&load("vl1/identities.json"), "binaries") {
        let binary = bytes(case, "binary");
        let mut reader = Reader::new(&binary);
        let result = PublicIdentity::parse(&mut reader);
        assert_eq!(result.is_ok(), case["parses"].as_bool().unwrap(), "{}", text(case, "name"));
        if result.is_ok() {
            let consumed = PublicIdentity::WIRE_LEN + if case["has_secret"] == true { KEY_LEN } else { 0 };
            assert_eq!(binary.len() - reader.remaining(), consumed);
            assert_eq!(case["consumed"].as_u64(), u64::try_from(consumed).ok());
        }
    }
}
