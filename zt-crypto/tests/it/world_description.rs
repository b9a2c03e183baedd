//! The JSON file from which worlds are generated (`vl1.md` §15.9).

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use zt_crypto::WorldKey;
use zt_crypto::signature::{may_replace, verify_world};
use zt_crypto::world_description::{DescriptionError, WorldDescription};
use zt_proto::codec::Reader;
use zt_proto::inet::EndpointText;
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{Address, PublicIdentity, Timestamp};

use crate::vectors::{hex, list, load, text};

#[test]
fn described_worlds_are_signed_as_by_the_reference() {
    let vectors = load("vl1/world.json");
    let mut signed = 0;
    for world in list(&vectors["worlds"]) {
        let description: WorldDescription = description(&vectors, world).to_string().parse().unwrap();
        let made = description.sign(Timestamp(world["timestamp"].as_u64().unwrap()));
        let mut bytes = Vec::new();
        made.write(&mut bytes);
        let expected = world["verifies_with_expected_key"].as_bool().unwrap();
        assert_eq!(bytes == hex(&world["serialized"]), expected, "{}", world["name"]);
        signed += u32::from(expected);
    }
    assert_eq!(signed, 4);
}

#[test]
fn text_is_that_of_the_tool() {
    let vectors = load("vl1/world.json");
    let moon = &list(&vectors["worlds"])[3];
    let expected = description(&vectors, moon);
    let parsed: WorldDescription = expected.to_string().parse().unwrap();
    let written = parsed.to_json();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected);
    let names: Vec<_> =
        written.lines().filter_map(|line| line.strip_prefix("  \"")?.split('"').next()).collect();
    let order =
        ["id", "objtype", "worldType", "signingKey", "signingKey_SECRET", "updatesMustBeSignedBy", "roots"];
    assert_eq!(names, order);
    assert_eq!(parsed.file_name(), "0000007d8273c358.moon");
}

#[test]
fn keys_are_read_in_either_case_and_unknown_members_skipped() {
    let mut json = moon();
    let upper = text(&json["signingKey_SECRET"]).to_uppercase();
    json["signingKey_SECRET"] = upper.into();
    json["comment"] = json!({ "by": ["a", 1, -1, 1.5, true, null] });
    let moon: WorldDescription = json.to_string().parse().unwrap();
    assert_eq!(moon.roots.len(), 1);
}

#[test]
fn roots_and_endpoints_are_sorted_when_signed() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let root = |address, first_byte, endpoints: &[&str]| Root {
        identity: PublicIdentity { address: Address::from_u64(address).unwrap(), key: [first_byte; 64] },
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
    };
    let unsorted =
        ["[fd00::1]:9", "10.0.0.2:80", "10.0.0.10:9", "10.0.0.2:9", "[2001:db8::1]:9", "9.0.0.1:99"];
    let sorted = ["9.0.0.1:99", "10.0.0.2:9", "10.0.0.2:80", "10.0.0.10:9", "[2001:db8::1]:9", "[fd00::1]:9"];
    let key = WorldKey::generate(&mut rng);
    let description = WorldDescription {
        kind: WorldKind::Planet,
        id: Address::from_u64(1).unwrap(),
        update_key: *key.public(),
        key,
        roots: vec![root(2, 9, &[]), root(0xfe_0000_0000, 1, &[]), root(2, 1, &unsorted), root(1, 9, &[])],
    };
    let planet = description.sign(Timestamp(5));
    let expected = [root(1, 9, &[]), root(2, 1, &sorted), root(2, 9, &[]), root(0xfe_0000_0000, 1, &[])];
    assert_eq!(planet.roots, expected);
    assert_eq!(verify_world(description.key.public(), &planet), Ok(()));
    assert_eq!(description.roots[0], root(2, 9, &[]), "the description itself stays in its order");
}

/// Also a planet of this workspace becomes a file of the tool, and back.
#[test]
fn next_version_made_from_a_described_world_replaces_it_and_may_change_the_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let first: WorldDescription = moon().to_string().parse().unwrap();
    let first_moon = first.sign(Timestamp(1));

    let key_again = WorldKey::from_secret(&first.key.secret());
    let mut second = WorldDescription::of(&first_moon, key_again).unwrap();
    assert_eq!(*second.to_json(), *first.to_json());
    let new_key = WorldKey::generate(&mut rng);
    second.update_key = *new_key.public();
    let second: WorldDescription = second.to_json().parse().unwrap();
    let second_moon = second.sign(Timestamp(2));
    assert!(may_replace(&first_moon, &second_moon));
    assert!(!may_replace(&second_moon, &first.sign(Timestamp(3))), "the old key signs no more");

    let third = WorldDescription::of(&second_moon, new_key).unwrap();
    assert!(may_replace(&second_moon, &third.sign(Timestamp(3))));
}

#[test]
fn ids_that_ten_digits_cannot_tell_are_not_described() {
    let mut world = moon().to_string().parse::<WorldDescription>().unwrap().sign(Timestamp(1));
    for (id, described) in
        [(0, false), (1, true), (Address::MAX.to_u64(), true), (Address::MAX.to_u64() + 1, false)]
    {
        world.id = id;
        let key = WorldKey::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let refused = WorldDescription::of(&world, key).err();
        assert_eq!(refused, (!described).then_some(DescriptionError::Id(id)));
    }
}

#[test]
fn errors_name_the_field_and_what_was_expected_and_found() {
    let key = "must be 128 hexadecimal digits, not";
    let endpoint = "roots[0].stableEndpoints[1] must be IP/PORT, for example 203.0.113.1/9993, not";
    let identity = "roots[0].identity must be an identity, address:0:public key, with an address that is not reserved, not";
    let cases: [(&str, Value, String); 16] = [
        ("", json!([]), "the description must be an object, not a list".into()),
        ("/id", json!("12345"), "id must be ten hexadecimal digits that are not all 0, not \"12345\"".into()),
        (
            "/id",
            json!("0000000000"),
            "id must be ten hexadecimal digits that are not all 0, not \"0000000000\"".into(),
        ),
        ("/id", json!(7), "id must be ten hexadecimal digits that are not all 0, not a number".into()),
        ("/objtype", json!("peer"), "objtype must be \"world\", not \"peer\"".into()),
        ("/worldType", json!("Moon"), "worldType must be \"moon\" or \"planet\", not \"Moon\"".into()),
        ("/signingKey", json!(null), format!("signingKey {key} null")),
        (
            "/signingKey",
            json!("00".repeat(64)),
            "signingKey must be the public key that belongs to signingKey_SECRET, not another one".into(),
        ),
        ("/signingKey_SECRET", json!("5ec2e7"), format!("signingKey_SECRET {key} a text of 6 bytes")),
        ("/updatesMustBeSignedBy", json!({}), format!("updatesMustBeSignedBy {key} an object")),
        ("/roots", json!("none"), "roots must be a list, not \"none\"".into()),
        ("/roots", json!([1, 2, 3, 4, 5]), "roots may have at most 4 entries, not 5".into()),
        ("/roots/0", json!(true), "roots[0] must be an object, not true or false".into()),
        ("/roots/0/identity", json!("x"), format!("{identity} a text of 1 bytes")),
        (
            "/roots/0/stableEndpoints",
            json!(vec!["10.0.0.1/1"; 33]),
            "roots[0].stableEndpoints may have at most 32 entries, not 33".into(),
        ),
        ("/roots/0/stableEndpoints/1", json!("ö".repeat(99)), format!("{endpoint} \"{}\"…", "ö".repeat(60))),
    ];
    for (pointer, wrong, expected) in cases {
        let mut json = moon();
        *json.pointer_mut(pointer).unwrap() = wrong;
        assert_eq!(refusal(&json.to_string()).to_string(), expected);
    }
}

#[test]
fn every_field_is_needed() {
    for name in moon().as_object().unwrap().keys() {
        let mut json = moon();
        json.as_object_mut().unwrap().remove(name);
        let error = refusal(&json.to_string()).to_string();
        assert!(
            error.starts_with(&format!("{name} must be ")) && error.ends_with(", not missing"),
            "{error}"
        );
    }
}

#[test]
fn text_that_is_no_json_is_refused_with_its_place() {
    let text = "{\n \"id\": oops }";
    assert_eq!(refusal(text).to_string(), "the description is not JSON: expected value at line 2 column 8");
    let long = " ".repeat(WorldDescription::MAX_TEXT + 1);
    assert_eq!(refusal(&long), DescriptionError::TooLong { max: 65_536, got: 65_537 });
    let deep = "[".repeat(WorldDescription::MAX_TEXT);
    assert!(matches!(refusal(&deep), DescriptionError::Syntax(_)));
}

#[test]
fn secrets_are_not_printed() {
    let json = moon();
    let secret = text(&json["signingKey_SECRET"]).to_owned();
    let description: WorldDescription = json.to_string().parse().unwrap();
    let bytes = format!("{:?}", &hex(&json["signingKey_SECRET"])[..8]);
    let debug = format!("{description:?}");
    assert!(!debug.contains(&secret[..16]) && !debug.contains(bytes.trim_matches(['[', ']'])), "{debug}");

    // secrets with a mistake in them, or where they do not belong
    for pointer in ["/signingKey", "/signingKey_SECRET", "/updatesMustBeSignedBy", "/roots/0/identity"] {
        let mut json = json.clone();
        *json.pointer_mut(pointer).unwrap() = format!("{secret}0").into();
        let error = refusal(&json.to_string());
        assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error}");
    }
    let cut = json.to_string().replace(&secret, &format!("{secret}\n"));
    let error = refusal(&cut);
    assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error}");
}

proptest! {
    #[test]
    fn what_was_written_reads_back_equal_and_its_world_verifies(
        secret in any::<[[u8; 32]; 2]>(),
        update_key in any::<[[u8; 32]; 2]>(),
        planet in any::<bool>(),
        id in 1..=Address::MAX.to_u64(),
        timestamp in any::<u64>(),
        roots in prop::collection::vec(root(), 0..=World::MAX_ROOTS),
    ) {
        let described = WorldDescription {
            kind: if planet { WorldKind::Planet } else { WorldKind::Moon },
            id: Address::from_u64(id).unwrap(),
            key: WorldKey::from_secret(&secret.concat().try_into().unwrap()),
            update_key: update_key.concat().try_into().unwrap(),
            roots,
        };
        let json = described.to_json();
        let read: WorldDescription = json.parse().unwrap();
        prop_assert_eq!(&*read.to_json(), &*json);
        prop_assert_eq!((read.kind, read.id, read.update_key), (described.kind, described.id, described.update_key));
        prop_assert_eq!(&read.roots, &described.roots);
        prop_assert_eq!(read.key.to_bytes(), described.key.to_bytes());

        let world = read.sign(Timestamp(timestamp));
        prop_assert_eq!(&world, &described.sign(Timestamp(timestamp)));
        prop_assert_eq!(verify_world(read.key.public(), &world), Ok(()));
        prop_assert_eq!(world.timestamp, Timestamp(timestamp));
        let mut bytes = Vec::new();
        world.write(&mut bytes);
        prop_assert_eq!(World::parse(&mut Reader::new(&bytes)), Ok(world));
    }

    #[test]
    fn arbitrary_text_is_refused(text in ".{0,300}") {
        prop_assert!(text.parse::<WorldDescription>().is_err());
    }

    #[test]
    fn arbitrary_json_in_any_place_is_read_or_refused(value in value(), place in 0..PLACES.len()) {
        let mut json = moon();
        *json.pointer_mut(PLACES[place]).unwrap() = value;
        if let Ok(read) = json.to_string().parse::<WorldDescription>() {
            let again: WorldDescription = read.to_json().parse().unwrap();
            prop_assert_eq!(again.sign(Timestamp(1)), read.sign(Timestamp(1)));
        }
    }

    #[test]
    fn damaged_text_is_read_or_refused(at in any::<prop::sample::Index>(), with in any::<char>(), cut in any::<bool>()) {
        let text = moon().to_string();
        let (before, after) = text.split_at(at.index(text.len()));
        let damaged = if cut { before.to_owned() } else { format!("{before}{with}{}", &after[1..]) };
        drop(damaged.parse::<WorldDescription>());
    }
}

const PLACES: [&str; 11] = [
    "",
    "/id",
    "/objtype",
    "/worldType",
    "/signingKey",
    "/signingKey_SECRET",
    "/updatesMustBeSignedBy",
    "/roots",
    "/roots/0",
    "/roots/0/identity",
    "/roots/0/stableEndpoints/0",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[0-9a-f]{10}".prop_map(Value::from),
        "[0-9a-f]{128}".prop_map(Value::from),
        "[0-9a-f]{10}:0:[0-9a-f]{128}".prop_map(Value::from),
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| EndpointText((ip, port).into()).to_string().into()),
    ];
    leaf.prop_recursive(3, 30, 6, |inner| {
        let name = prop_oneof![Just("identity".to_owned()), Just("stableEndpoints".to_owned()), ".{0,5}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn root() -> impl Strategy<Value = Root> {
    let identity = (1..0xff_0000_0000_u64, any::<[[u8; 32]; 2]>()).prop_map(|(address, key)| {
        PublicIdentity { address: Address::from_u64(address).unwrap(), key: key.concat().try_into().unwrap() }
    });
    let endpoint = any::<(std::net::IpAddr, u16)>().prop_map(Into::into);
    (identity, prop::collection::vec(endpoint, 0..=World::MAX_ENDPOINTS))
        .prop_map(|(identity, endpoints)| Root { identity, endpoints })
}

/// The description of one of the worlds of the vectors.
fn description(vectors: &Value, world: &Value) -> Value {
    let kind = if world["type"] == 1 { "planet" } else { "moon" };
    let public = &vectors[format!("{kind}_key_public")];
    let root =
        |root: &Value| json!({ "identity": root["identity"], "stableEndpoints": root["stable_endpoints"] });
    json!({
        "id": format!("{:010x}", world["id"].as_u64().unwrap()),
        "objtype": "world",
        "worldType": kind,
        "signingKey": public,
        "signingKey_SECRET": vectors[format!("{kind}_key_secret")],
        "updatesMustBeSignedBy": public,
        "roots": list(&world["roots"]).iter().map(root).collect::<Vec<_>>(),
    })
}

fn moon() -> Value {
    let vectors = load("vl1/world.json");
    description(&vectors, &list(&vectors["worlds"])[3])
}

fn refusal(text: &str) -> DescriptionError {
    text.parse::<WorldDescription>().unwrap_err()
}
