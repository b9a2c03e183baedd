//! What controllers sign (`vl2.md` §2.2, §7).

use zt_crypto::credential::{
    hand_over, sign, sign_dictionary, verify_credential, verify_custody, verify_dictionary,
};
use zt_crypto::{BadSignature, IdentitySecret};
use zt_proto::codec::Reader;
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Revocation, Signature, Tag,
};
use zt_proto::dictionary::OldDictionary;
use zt_proto::{Address, PublicIdentity};

use crate::vectors::{hex, list, load, text};

#[test]
fn credentials_are_signed_and_verified_as_by_the_reference() {
    let vectors = load("vl2/credentials.json");
    let signer: IdentitySecret = text(&vectors["signerIdentitySecret"]).parse().unwrap();
    let stranger = secret(&vectors, "m1");
    macro_rules! check {
        ($type:ty, $bytes:expr) => {{
            let mut credential = <$type>::parse(&mut Reader::new($bytes)).unwrap();
            assert_eq!(verify_credential(&credential, signer.public()), Ok(()));
            assert_eq!(verify_credential(&credential, stranger.public()), Err(BadSignature));
            let genuine = credential.clone();
            credential.signature.0[70] ^= 1;
            assert_eq!(verify_credential(&credential, signer.public()), Err(BadSignature));
            credential.signed_by = Address::NONE;
            credential.signature = Signature::NONE;
            sign(&mut credential, &signer);
            assert_eq!(credential, genuine);
        }};
    }
    let mut checked = 0;
    for case in list(&vectors["credentials"]) {
        let bytes = hex(&case["serializedHex"]);
        match text(&case["type"]) {
            "com" => check!(CertificateOfMembership, &bytes),
            "tag" => check!(Tag, &bytes),
            "coo" => check!(CertificateOfOwnership, &bytes),
            "revocation" => check!(Revocation, &bytes),
            _ => continue,
        }
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn capabilities_are_handed_over_as_by_the_reference() {
    let vectors = load("vl2/credentials.json");
    let controller: IdentitySecret = text(&vectors["signerIdentitySecret"]).parse().unwrap();
    let mut delegated = 0;
    for case in list(&vectors["credentials"]).iter().filter(|case| case["type"] == "capability") {
        let genuine = Capability::parse(&mut Reader::new(&hex(&case["serializedHex"]))).unwrap();
        let givers: Vec<IdentitySecret> = vectors["identities"]
            .as_object()
            .unwrap()
            .values()
            .map(|secret| text(secret).parse().unwrap())
            .collect();
        let secret_of = |address| {
            if address == controller.address() {
                return Some(&controller);
            }
            givers.iter().find(|secret| secret.address() == address)
        };
        let identity_of = |address| secret_of(address).map(|secret: &IdentitySecret| *secret.public());
        let holder = genuine.custody.last().unwrap().to;
        assert_eq!(verify_custody(&genuine, controller.public(), identity_of), Ok(holder));

        let mut copy = Capability { custody: Vec::new(), ..genuine.clone() };
        assert_eq!(verify_custody(&copy, controller.public(), identity_of), Err(BadSignature));
        for entry in &genuine.custody {
            assert!(hand_over(&mut copy, secret_of(entry.from).unwrap(), entry.to));
        }
        assert_eq!(copy, genuine);

        let last = copy.custody.len() - 1;
        copy.custody[last].signature.0[3] ^= 1;
        assert_eq!(verify_custody(&copy, controller.public(), identity_of), Err(BadSignature));
        if last > 0 {
            assert_eq!(
                verify_custody(&genuine, controller.public(), |_| None),
                Err(BadSignature),
                "unknown giver"
            );
            let mut broken = genuine.clone();
            broken.custody.remove(0);
            assert_eq!(
                verify_custody(&broken, controller.public(), identity_of),
                Err(BadSignature),
                "no first link"
            );
            delegated += 1;
        }
        while copy.custody.len() < copy.max_custody_chain.into() {
            assert!(hand_over(&mut copy, &controller, holder));
        }
        assert!(!hand_over(&mut copy, &controller, holder), "the chain is full");
    }
    assert!(delegated > 0);
}

#[test]
fn old_dictionaries_are_signed_as_by_the_controllers_of_their_time() {
    let vectors = load("vl2/legacy_controllers.json");
    let controller: IdentitySecret = text(&vectors["controllerIdentitySecret"]).parse().unwrap();
    let mut checked = 0;
    for version in list(&vectors["versions"]).iter().filter(|version| version["version"] != "1.1.14") {
        for step in list(&version["steps"])
            .iter()
            .filter(|step| step["dictHex"].as_str().is_some_and(|it| !it.is_empty()))
        {
            let signed = OldDictionary::parse(&hex(&step["dictHex"]));
            assert_eq!(verify_dictionary(&signed), Ok(*controller.public()));
            let at = signed.signed_at().unwrap();
            assert_eq!(sign_dictionary(signed.clone(), &controller, at), signed);
            let altered = signed.clone().with_text("n", "another name");
            assert_eq!(verify_dictionary(&altered), Err(BadSignature));
            if let Some(text) = signed.bytes("com") {
                let membership = CertificateOfMembership::parse_text(text).unwrap();
                assert_eq!(verify_credential(&membership, controller.public()), Ok(()));
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 18);
    assert_eq!(verify_dictionary(&OldDictionary::new()), Err(BadSignature));
}

#[test]
fn memberships_in_configurations_of_version_6_are_signed() {
    let vectors = load("vl2/legacy_controllers.json");
    let controller: PublicIdentity = text(&vectors["controllerIdentitySecret"]).parse().unwrap();
    let version = list(&vectors["versions"]).iter().find(|version| version["version"] == "1.1.14").unwrap();
    let mut checked = 0;
    for step in list(&version["steps"])
        .iter()
        .filter(|step| step["dictHex"].as_str().is_some_and(|it| !it.is_empty()))
    {
        let config = zt_proto::config::NetworkConfig::parse(&hex(&step["dictHex"])).unwrap();
        if let Some(membership) = config.membership {
            assert_eq!(verify_credential(&membership, &controller), Ok(()));
            checked += 1;
        }
    }
    assert!(checked > 3);
}

fn secret(vectors: &serde_json::Value, name: &str) -> IdentitySecret {
    let identities = vectors["identities"].as_object().unwrap();
    let secret = identities.get(name).or_else(|| identities.values().next()).unwrap();
    text(secret).parse().unwrap()
}
