use zt_proto::codec::Reader;
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Revocation, Signature, Tag,
};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::{Address, DecodeError, NetworkId, PublicIdentity, Timestamp};

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn credentials_are_read_signed_and_written_as_recorded() {
    for case in list(&load("vl2/credentials.json"), "credentials") {
        let serialized = bytes(case, "serializedHex");
        let mut reader = Reader::new(&serialized);
        let (copy, signed) = match text(case, "type") {
            "com" => {
                let com = CertificateOfMembership::parse(&mut reader).unwrap();
                (written(|out| com.write(out)), com.signed_bytes())
            }
            "tag" => {
                let tag = Tag::parse(&mut reader).unwrap();
                assert_eq!(
                    (case["id"].as_u64(), case["value"].as_u64()),
                    (Some(tag.id.into()), Some(tag.value.into()))
                );
                (written(|out| tag.write(out)), tag.signed_bytes())
            }
            "capability" => {
                let capability = Capability::parse(&mut reader).unwrap();
                let rules = case["rules"].as_array().unwrap().len();
                assert_eq!(
                    (capability.rules.len(), capability.custody.len()),
                    (rules, if case["delegated"] == true { 2 } else { 1 })
                );
                (written(|out| capability.write(out)), capability.signed_bytes())
            }
            "coo" => {
                let coo = CertificateOfOwnership::parse(&mut reader).unwrap();
                assert_eq!(case["thingCount"].as_u64(), u64::try_from(coo.things.len()).ok());
                (written(|out| coo.write(out)), coo.signed_bytes())
            }
            "revocation" => {
                let revocation = Revocation::parse(&mut reader).unwrap();
                assert_eq!(serialized.len(), Revocation::WIRE_LEN);
                assert_eq!(revocation.target.to_string(), text(case, "target"));
                assert_eq!(revocation.credential_type as u64, case["credentialType"].as_u64().unwrap());
                (written(|out| revocation.write(out)), revocation.signed_bytes())
            }
            other => panic!("{other} is no credential"),
        };
        assert!(reader.is_empty());
        assert_eq!(copy, serialized);
        assert_eq!(signed, bytes(case, "signInputHex"));
    }
}

#[test]
fn certificate_of_membership_is_built_as_the_reference_builds_it() {
    let vectors = load("vl2/credentials.json");
    let mut built = 0;
    for case in list(&vectors, "credentials").iter().filter(|case| case["type"] == "com") {
        let secret = vectors["identities"][text(case, "to")].as_str();
        let owner: PublicIdentity = secret.unwrap_or(text(&vectors, "signerIdentitySecret")).parse().unwrap();
        let mut com = CertificateOfMembership::new(
            text(case, "nwid").parse().unwrap(),
            owner.address,
            &bytes(case, "identityHashHex").try_into().unwrap(),
            Timestamp(case["ts"].as_u64().unwrap()),
            case["maxDelta"].as_u64().unwrap(),
        );
        assert_eq!(written(|out| com.write(out)), bytes(case, "unsignedHex"));
        com.signed_by = "f59381cf73".parse().unwrap();
        com.signature = Signature(bytes(case, "signatureHex").try_into().unwrap());
        assert_eq!(written(|out| com.write(out)), bytes(case, "serializedHex"));
        built += 1;
    }
    assert_eq!(built, 2);
}

#[test]
fn pushed_credentials_are_read_and_written_back() {
    let mut packets = 0;
    for case in list(&load("vl2/golden_policy.json"), "cases") {
        for packet in
            list(case, "steps").iter().filter_map(|step| step["result"]["packets"].as_array()).flatten()
        {
            if packet["verb"] == "NETWORK_CREDENTIALS" {
                let payload = bytes(packet, "payloadHex");
                let credentials = NetworkCredentials::parse(&payload).unwrap();
                assert_eq!(credentials.revocations.len(), 1);
                assert_eq!(written(|out| credentials.write(out)), payload);
                packets += 1;
            }
        }
    }
    assert_eq!(packets, 9);
}

#[test]
fn credentials_packet_may_end_after_any_group() {
    let vectors = load("vl2/credentials.json");
    let serialized = |kind: &str| {
        let case = list(&vectors, "credentials").iter().find(|case| case["type"] == kind).unwrap();
        bytes(case, "serializedHex")
    };
    let com = serialized("com");
    let one = |kind: &str| [vec![0, 1], serialized(kind)].concat();
    let groups = [com, vec![0], one("capability"), one("tag"), one("revocation"), one("coo")];
    for count in 1..=groups.len() {
        let credentials = NetworkCredentials::parse(&groups[..count].concat()).unwrap();
        assert_eq!(credentials.memberships.len(), 1);
        assert_eq!(credentials.capabilities.len(), usize::from(count > 2));
        assert_eq!(credentials.tags.len(), usize::from(count > 3));
        assert_eq!(credentials.revocations.len(), usize::from(count > 4));
        assert_eq!(credentials.ownerships.len(), usize::from(count > 5));
    }
    assert_eq!(NetworkCredentials::parse(&[]), Ok(NetworkCredentials::default()));
    let all = groups.concat();
    assert_eq!(written(|out| NetworkCredentials::parse(&all).unwrap().write(out)), all);
}

#[test]
fn limits_of_credentials_are_kept() {
    let capability = Capability {
        network: NetworkId(1),
        timestamp: Timestamp(2),
        id: 3,
        rules: Vec::new(),
        max_custody_chain: 2,
        custody: vec![Custody { to: address(4), from: address(5), signature: Signature::NONE }; 2],
    };
    let with_chain = |max_custody_chain| {
        let mut bytes = written(|out| capability.write(out));
        bytes[8 + 8 + 4 + 2] = max_custody_chain;
        Capability::parse(&mut Reader::new(&bytes)).map(|_| ())
    };
    assert_eq!(with_chain(2), Ok(()));
    assert_eq!(with_chain(1), Err(DecodeError::TooLong { field: "custody chain", max: 1, got: 2 }));
    for chain in [0, 8] {
        assert!(matches!(with_chain(chain), Err(DecodeError::Invalid { .. })));
    }
}

#[test]
fn qualifiers_must_ascend() {
    let case = &load("vl2/credentials.json")["credentials"][0];
    let mut serialized = bytes(case, "serializedHex");
    serialized[3 + 24 + 7] = 0; // the id of the second qualifier
    let result = CertificateOfMembership::parse(&mut Reader::new(&serialized));
    assert_eq!(result, Err(DecodeError::Invalid { field: "qualifier id", value: 0 }));
}

fn address(value: u64) -> Address {
    Address::from_low_bits(value)
}
