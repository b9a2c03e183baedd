use zt_proto::DecodeError;
use zt_proto::codec::Reader;
use zt_proto::inet::EndpointText;
use zt_proto::world::World;

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn worlds_are_read_and_written_as_recorded() {
    let (worlds, planet) = (load("vl1/world.json"), load("vl1/planet_default.json"));
    for case in list(&worlds, "worlds").iter().chain([&planet]) {
        let serialized = bytes(case, "serialized");
        let mut reader = Reader::new(&serialized);
        let world = World::parse(&mut reader).unwrap();
        assert!(reader.is_empty());
        assert_eq!(case["type"], world.kind.to_u8());
        assert_eq!((&case["id"], &case["timestamp"]), (&world.id.into(), &world.timestamp.0.into()));
        assert_eq!(world.signature.0[..], bytes(case, "signature"));
        for (root, expected) in world.roots.iter().zip(list(case, "roots")) {
            assert_eq!(root.identity.to_string(), text(expected, "identity"));
            let endpoints: Vec<_> =
                root.endpoints.iter().map(|endpoint| EndpointText(*endpoint).to_string()).collect();
            assert_eq!(expected["stable_endpoints"], serde_json::json!(endpoints));
        }
        assert_eq!(written(|out| world.write(out)), serialized);
    }
    assert_eq!(list(&planet, "roots").len(), World::MAX_ROOTS);
}

#[test]
fn signature_covers_everything_but_itself_between_two_markers() {
    for case in list(&load("vl1/world.json"), "worlds") {
        let world = World::parse(&mut Reader::new(&bytes(case, "serialized"))).unwrap();
        assert_eq!(world.signed_bytes(), bytes(case, "signed_bytes"));
    }
}

#[test]
fn world_with_too_many_roots_or_endpoints_is_refused() {
    let serialized = bytes(&list(&load("vl1/world.json"), "worlds")[0], "serialized");
    let parse = |serialized: &[u8]| World::parse(&mut Reader::new(serialized));
    let root_count = 1 + 8 + 8 + 64 + 96;
    let endpoint_count = root_count + 1 + 71;
    for (position, max) in [(root_count, World::MAX_ROOTS), (endpoint_count, World::MAX_ENDPOINTS)] {
        let mut changed = serialized.clone();
        changed[position] = u8::try_from(max + 1).unwrap();
        assert!(matches!(parse(&changed), Err(DecodeError::TooLong { .. })));
    }
    let mut unknown = serialized.clone();
    unknown[0] = 0;
    assert!(matches!(parse(&unknown), Err(DecodeError::Invalid { value: 0, .. })));
}

#[test]
fn dictionary_of_a_moon_is_skipped() {
    let worlds = load("vl1/world.json");
    let moon = list(&worlds, "worlds").iter().find(|case| case["type"] == 127).unwrap();
    let mut serialized = bytes(moon, "serialized");
    let plain = World::parse(&mut Reader::new(&serialized)).unwrap();
    let length_at = serialized.len() - 1;
    serialized[length_at] = 3;
    serialized.extend_from_slice(b"a=1rest");
    let mut reader = Reader::new(&serialized);
    assert_eq!(World::parse(&mut reader), Ok(plain));
    assert_eq!(reader.rest(), b"rest");
}
