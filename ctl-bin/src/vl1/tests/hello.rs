//! HELLO against the recorded answers of a real root, and what the recording does not cover.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use zt_crypto::{IdentitySecret, VerifiedIdentity};
use zt_proto::codec::Reader;
use zt_proto::verb::Verb;
use zt_proto::verb::error::{ErrorCode, ErrorReply};
use zt_proto::verb::hello::Hello;
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::world::{World, WorldVersion};
use zt_proto::{Timestamp, inet::EndpointText};

use super::super::{Event, Ignored, Node, VERSION};
use super::client::{Client, Received};
use super::{
    at, events, from_hex, leaf, link, recalls, root, sign_on, text, transmits, vectors, verify_identities,
};

/// What an OK(HELLO) says, without what identifies the sender's software.
fn ok_hello(payload: &[u8]) -> (u64, Timestamp, Option<SocketAddr>, Vec<World>) {
    let ok = OkReply::parse(payload).unwrap();
    assert_eq!(ok.in_re_verb, Verb::HELLO);
    let hello = OkHello::parse(ok.payload).unwrap();
    let worlds = hello.worlds().map(|world| world.unwrap()).collect();
    (ok.in_re_packet, hello.timestamp, hello.endpoint, worlds)
}

#[test]
fn every_recorded_hello_gets_the_answer_of_a_real_root() {
    let file = vectors("hello.json");
    let secret: IdentitySecret = text(&file, "responder_secret").parse().unwrap();
    let world = |name| World::parse(&mut Reader::new(&from_hex(text(&file, name)))).unwrap();
    let mut node = Node::new(Arc::new(secret), Some(world("planet_at_responder")), [7; 32], at(0));
    node.set_moons(at(0), vec![world("moon_at_responder")]);
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for (n, case) in cases.iter().enumerate() {
        let now = at(3_000 * (n as u64 + 1));
        let from: EndpointText = text(case, "from").parse().unwrap();
        let source = link(&from.0.to_string());
        let result = node.handle_datagram(now, source, &mut from_hex(text(case, "datagram")));
        verify_identities(&mut node, now);
        let sent = transmits(&mut node);
        let expected = case["replies"].as_array().unwrap();
        let name = text(case, "name");
        assert_eq!(sent.len(), expected.len(), "{name}: {result:?}");
        for (sent, expected) in sent.iter().zip(expected) {
            assert_eq!(EndpointText(sent.link.remote).to_string(), text(expected, "to"), "{name}");
            check_reply(name, sent.bytes.clone(), &expected["decoded"]);
        }
    }
}

fn check_reply(name: &str, datagram: Vec<u8>, expected: &Value) {
    let key = from_hex(text(expected, "key48"));
    let key = zt_crypto::SessionKey::from_bytes(key.try_into().unwrap());
    let received = open(datagram, &key);
    let payload = from_hex(text(expected, "payload"));
    let wanted_suite = if name.starts_with("address collision") {
        // The recorded root uses a key that the sender cannot have (`vl1.md` §12.2).
        1
    } else {
        expected["cipher"].as_u64().unwrap()
    };
    assert_eq!(u64::from(received.suite), wanted_suite, "{name}");
    assert_eq!(received.verb.name(), Some(text(expected, "verb")), "{name}");
    match received.verb {
        Verb::OK => {
            let (id, timestamp, endpoint, worlds) = ok_hello(&received.payload);
            let (wanted_id, wanted_timestamp, wanted_endpoint, wanted_worlds) = ok_hello(&payload);
            assert_eq!((id, timestamp, endpoint), (wanted_id, wanted_timestamp, wanted_endpoint), "{name}");
            assert_eq!(worlds, wanted_worlds, "{name}");
        }
        Verb::HELLO => {
            let (sent, wanted) = (Hello::parse(&received.payload).unwrap(), Hello::parse(&payload).unwrap());
            let fields = |hello: &Hello<'_>| (hello.version, hello.identity, hello.destination, hello.planet);
            assert_eq!(fields(&sent), fields(&wanted), "{name}");
        }
        Verb::ERROR => assert_eq!(received.payload, payload, "{name}"),
        other => panic!("{name}: unexpected {other}"),
    }
}

fn open(mut packet: Vec<u8>, key: &zt_crypto::SessionKey) -> Received {
    let header = zt_proto::packet::PacketHeader::parse(&packet).unwrap();
    zt_crypto::armor::open(&mut packet, key).unwrap();
    let (verb, is_compressed) = Verb::from_byte(packet[27]);
    let mut payload = packet[28..].to_vec();
    if is_compressed {
        payload = zt_proto::compression::decompress(&payload, 9996).unwrap();
    }
    Received { verb, suite: header.suite(), hops: header.hops(), packet: header.id, payload }
}

#[test]
fn a_client_that_is_behind_gets_the_planet() {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello_on_planet(at(0), WorldVersion { id: 42, timestamp: Timestamp(999) });
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    let (.., worlds) = ok_hello(&client.receive(&mut node)[0].payload);
    assert_eq!(worlds.iter().map(|world| world.timestamp).collect::<Vec<_>>(), [Timestamp(1_000)]);
}

#[test]
fn suite_3_is_used_only_after_the_peer_has_told_its_version() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    for wanted in [1, 3] {
        let hello = client.hello(at(0));
        client.deliver(&mut node, at(0), hello).unwrap();
        verify_identities(&mut node, at(0));
        let received = client.receive(&mut node);
        assert_eq!((received[0].verb, received[0].suite), (Verb::OK, wanted));
    }
}

/// `known-flaws.md` row 1.
#[test]
fn a_second_identity_with_the_same_address_is_told_so_and_changes_nothing() {
    let mut node = root();
    let mut first = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut first, at(0));
    // Another key under A's address. It would not pass validation, but it must not even come to that.
    let key = identity_text_with_address("B", first.address());
    let mut second = Client::of_identity(key, "10.0.0.3:9993");
    let hello = second.hello(at(100));
    assert_eq!(second.deliver(&mut node, at(100), hello), Err(Ignored::IdentityCollision(first.address())));
    let told = second.receive(&mut node);
    let error = ErrorReply::parse(&told[0].payload).unwrap();
    assert_eq!((told.len(), error.code, error.in_re_verb), (1, ErrorCode::IDENTITY_COLLISION, Verb::HELLO));
    assert!(events(&mut node).is_empty());
    first.say(&mut node, at(200), Verb::ECHO, b"still here").unwrap();
    assert_eq!(first.receive(&mut node).len(), 1);
}

/// The keys of `name` under an address that is not theirs.
fn identity_text_with_address(name: &str, address: zt_proto::Address) -> IdentitySecret {
    let text = super::identity(name).to_text().to_string();
    format!("{address}{}", &text[10..]).parse().unwrap()
}

/// `known-flaws.md` row 1: an address that does not belong to its keys is refused.
#[test]
fn an_identity_that_fails_validation_is_never_a_peer() {
    let mut node = root();
    let forged = identity_text_with_address("B", super::identity("A").address());
    let mut client = Client::of_identity(forged, "10.0.0.3:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    assert!(node.peers(at(0)).is_empty());
    assert!(transmits(&mut node).is_empty());
}

/// `known-flaws.md` row 8.
#[test]
fn a_flood_of_strangers_is_limited_and_known_peers_do_not_notice() {
    let mut node = root();
    let mut known = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut known, at(0));
    let mut stranger = Client::new("B", "198.51.100.1:9993");
    let mut limited = 0;
    for n in 0..2_000_u64 {
        // A fresh key each time would be slow to make; a fresh address is as unknown.
        let address = zt_proto::Address::from_low_bits(0x22_0000_0000 + n);
        stranger.secret = identity_text_with_address("B", address);
        let hello = stranger.hello(at(10));
        match stranger.deliver(&mut node, at(10), hello) {
            Ok(()) => {}
            Err(Ignored::RateLimited(_)) => limited += 1,
            Err(other) => panic!("{other}"),
        }
    }
    let events = events(&mut node);
    let to_verify = events.iter().filter(|event| matches!(event, Event::IdentityToVerify(_))).count();
    assert_eq!((to_verify, limited), (128, 2_000 - 128));
    // Of the others some are looked up, which is cheaper by far.
    assert_eq!((events.len(), recalls(&mut node).len()), (to_verify, 128));
    known.say(&mut node, at(20), Verb::ECHO, b"x").unwrap();
    assert_eq!(known.receive(&mut node).len(), 1);
}

#[test]
fn a_member_that_there_is_no_time_to_hear_is_answered_when_its_identity_is_remembered() {
    let mut node = root();
    let mut stranger = Client::new("B", "198.51.100.1:9993");
    for n in 0..128_u64 {
        let address = zt_proto::Address::from_low_bits(0x22_0000_0000 + n);
        stranger.secret = identity_text_with_address("B", address);
        let hello = stranger.hello(at(10));
        assert_eq!(stranger.deliver(&mut node, at(10), hello), Ok(()));
    }
    events(&mut node);
    let mut member = Client::new("A", "198.51.100.2:9993");
    let (hello, address) = (member.hello(at(10)), member.secret.address());
    let result = member.deliver(&mut node, at(10), hello);
    assert!(matches!(result, Err(Ignored::RateLimited(_))), "{result:?}");
    assert_eq!((events(&mut node), recalls(&mut node)), (Vec::new(), vec![address]));
    assert!(transmits(&mut node).is_empty());
    node.identity_verified(at(11), &VerifiedIdentity::trusted(*member.secret.public()));
    assert!(!member.receive(&mut node).is_empty(), "its HELLO was dropped");
}

#[test]
fn this_node_announces_the_release_whose_protocol_it_speaks() {
    assert_eq!((VERSION.protocol, VERSION.major, VERSION.minor), (12, 1, 14));
}

#[test]
fn junk_from_a_neighbour_keeps_no_newcomer_out() {
    let mut node = leaf();
    for n in 0..200_u64 {
        let mut junk = vec![0; 28];
        junk[8..13].copy_from_slice(&node.address().octets());
        junk[13..18].copy_from_slice(&zt_proto::Address::from_low_bits(0x1_0000_0000 + n).octets());
        junk[18] = 0x18;
        let result = node.handle_datagram(at(0), link("10.0.0.77:1"), &mut junk);
        assert!(matches!(result, Err(Ignored::UnknownSource(_))));
    }
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello(at(0));
    assert_eq!(client.deliver(&mut node, at(0), hello), Ok(()));
}
