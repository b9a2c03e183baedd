use zt_proto::Timestamp;
use zt_proto::codec::Reader;
use zt_proto::inet::EndpointText;
use zt_proto::packet::PAYLOAD_OFFSET;
use zt_proto::verb::hello::{Hello, parse_moons, write_moons};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::{Verb, error, whois};
use zt_proto::world::{World, WorldVersion};

use crate::vectors::{bytes, from_hex, list, load, text, written};

#[test]
fn hello_of_every_generation_is_read_and_written_back() {
    for case in list(&load("vl1/hello.json"), "cases") {
        let (name, payload) = (text(case, "name"), bytes(case, "plain_payload"));
        let hello = Hello::parse(&payload).unwrap();
        let mut copy = Vec::new();
        let tail_offset = hello.write(&mut copy);
        assert_eq!(copy, payload, "{name}");
        assert_eq!(tail_offset, hello.tail_offset(&payload), "{name}");
        assert_eq!(payload[tail_offset..], *hello.tail, "{name}");
    }
}

#[test]
fn later_fields_are_there_from_the_release_that_added_them() {
    let vectors = load("vl1/hello.json");
    let payload = |name: &str| {
        let case = list(&vectors, "cases").iter().find(|case| text(case, "name").starts_with(name));
        bytes(case.unwrap(), "plain_payload")
    };
    let (v100, v105) = (payload("protocol 4, 1.0.0"), payload("protocol 4, 1.0.5"));
    let (v114, v1212) = (payload("protocol 5, 1.1.4: other"), payload("protocol 9, 1.2.12: planet"));
    let fields = |payload| {
        let hello = Hello::parse(payload).unwrap();
        (hello.version.protocol, hello.destination.is_some(), hello.planet.is_some(), !hello.tail.is_empty())
    };
    assert_eq!(fields(&v100), (4, false, false, false));
    assert_eq!(fields(&v105), (4, true, false, false));
    assert_eq!(fields(&v114), (5, true, true, false));
    assert_eq!(fields(&v1212), (9, true, true, true));

    let hello = Hello::parse(&v1212).unwrap();
    let moons: Vec<_> = parse_moons(hello.tail).unwrap().collect();
    assert_eq!(moons.len(), 2, "the entry that is no moon is skipped");
}

#[test]
fn few_bytes_in_the_place_of_the_planet_are_a_tail_that_does_not_parse() {
    let vectors = load("vl1/hello.json");
    let case = list(&vectors, "cases").last().unwrap();
    assert!(text(case, "name").starts_with("8 bytes instead of 16"));
    let full = bytes(case, "plain_payload");
    let end = full.len() - 8;
    let hello = Hello::parse(&full[..end]).unwrap();
    assert_eq!((hello.planet, hello.tail.len()), (None, 8));
}

/// `known-flaws.md` row 11: malformed lists of moons.
#[test]
fn list_that_claims_more_moons_than_there_are_bytes_is_refused() {
    let moon = WorldVersion { id: 1, timestamp: Timestamp(2) };
    let mut tail = written(|out| write_moons(&[moon, moon], out));
    assert_eq!(parse_moons(&tail).unwrap().collect::<Vec<_>>(), [moon, moon]);
    tail.pop();
    assert!(parse_moons(&tail).is_err());
    assert!(parse_moons(&[]).is_err());
    assert!(parse_moons(&[0xff, 0xff]).is_err());
}

#[test]
fn recorded_tails_begin_where_the_recording_says() {
    for entry in list(&load("vl1/session.json"), "datagrams") {
        let decoded = &entry["decoded"];
        let Some(expected) = decoded["masked_tail_at"].as_u64() else { continue };
        let payload = bytes(decoded, "payload");
        let hello = Hello::parse(&payload).unwrap();
        let offset = PAYLOAD_OFFSET + hello.tail_offset(&payload);
        assert_eq!(u64::try_from(offset), Ok(expected));
        assert!(parse_moons(hello.tail).is_ok());
    }
}

#[test]
fn answers_to_hello_are_read_and_written_back() {
    let vectors = load("vl1/hello.json");
    let planet = bytes(&vectors, "planet_at_responder");
    let mut planets = 0;
    let mut collisions = 0;
    for case in list(&vectors, "cases") {
        for reply in case["replies"].as_array().unwrap() {
            let payload = from_hex(text(&reply["decoded"], "payload"));
            match text(&reply["decoded"], "verb") {
                "OK" => {
                    let envelope = OkReply::parse(&payload).unwrap();
                    assert_eq!(envelope.in_re_verb, Verb::HELLO);
                    let answer = OkHello::parse(envelope.payload).unwrap();
                    assert_eq!(written(|out| answer.write(out)), envelope.payload);
                    assert_eq!(written(|out| envelope.write(out)), payload);
                    let endpoint = EndpointText(answer.endpoint.unwrap());
                    assert_eq!(endpoint.0.port() == 0, payload_protocol(case) < 5, "{endpoint}");
                    for world in answer.worlds() {
                        planets += usize::from(written(|out| world.unwrap().write(out)) == planet);
                    }
                }
                "ERROR" => {
                    let reply = error::ErrorReply::parse(&payload).unwrap();
                    assert_eq!(reply.code, error::ErrorCode::IDENTITY_COLLISION);
                    assert_eq!(reply.in_re_verb, Verb::HELLO);
                    assert_eq!(written(|out| reply.write(out)), payload);
                    collisions += 1;
                }
                verb => assert_eq!(verb, "HELLO"),
            }
        }
    }
    assert_eq!((planets, collisions), (3, 1));
    World::parse(&mut Reader::new(&planet)).unwrap();
}

#[test]
fn malformed_world_or_identity_ends_the_list() {
    let planet = bytes(&load("vl1/hello.json"), "planet_at_responder");
    let world_data = [&planet[..], &[0], &planet[..]].concat();
    let mut payload = vec![0; 8 + 5 + 1];
    payload.extend_from_slice(&u16::try_from(world_data.len()).unwrap().to_be_bytes());
    payload.extend_from_slice(&world_data);
    let worlds: Vec<_> = OkHello::parse(&payload).unwrap().worlds().map(|world| world.is_ok()).collect();
    assert_eq!(worlds, [true, false]);

    let identity = &planet[178..178 + 71];
    let answer = [identity, &[0; 5], &[1], identity].concat();
    let identities: Vec<_> = whois::parse_answer(&answer).map(|identity| identity.is_ok()).collect();
    assert_eq!(identities, [true, false]);
}

fn payload_protocol(case: &serde_json::Value) -> u8 {
    Hello::parse(&bytes(case, "plain_payload")).unwrap().version.protocol
}
