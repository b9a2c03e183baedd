//! Clients of all ages (`vl1.md` §11).

use zt_crypto::armor::{self, Suite, extended};
use zt_proto::packet::{PAYLOAD_OFFSET, PacketHeader};
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::world::WorldVersion;
use zt_proto::{NetworkId, Timestamp};

use super::super::{Ignored, Node};
use super::client::Client;
use super::{at, identity, root, transmits, verify_identities};

/// How much of HELLO a release sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Identity,
    Destination,
    Planet,
    Moons,
}

/// Protocol, version, what HELLO has, and what the node may send to it.
struct Generation {
    protocol: u8,
    version: (u8, u8, u16),
    shape: Shape,
    /// Suite of everything but HELLO.
    suite: u8,
    /// What keeps an idle path alive.
    keepalive: Verb,
    /// What a push begins with.
    push: &'static [u8],
    has_port: bool,
}

const CHUNK: &[u8] = b"\x7d\x82\x73\xc3\x58\0\0\x01 signed chunk";
const HINT: &[u8] = b"\x7d\x82\x73\xc3\x58\0\0\x01";

const fn generation(protocol: u8, version: (u8, u8, u16), shape: Shape) -> Generation {
    Generation {
        protocol,
        version,
        shape,
        suite: if protocol >= 12 { 3 } else { 1 },
        keepalive: if protocol >= 5 { Verb::ECHO } else { Verb::HELLO },
        push: if protocol >= 8 { CHUNK } else { HINT },
        has_port: protocol >= 5,
    }
}

const GENERATIONS: [Generation; 15] = [
    generation(4, (1, 0, 0), Shape::Identity),
    generation(4, (1, 0, 2), Shape::Identity),
    generation(4, (1, 0, 5), Shape::Destination),
    Generation { keepalive: Verb::HELLO, ..generation(5, (1, 1, 0), Shape::Planet) },
    generation(5, (1, 1, 4), Shape::Planet),
    generation(6, (1, 1, 6), Shape::Planet),
    generation(7, (1, 1, 14), Shape::Planet),
    generation(8, (1, 1, 17), Shape::Planet),
    generation(9, (1, 2, 0), Shape::Moons),
    generation(9, (1, 2, 12), Shape::Moons),
    generation(10, (1, 4, 6), Shape::Moons),
    generation(11, (0, 0, 0), Shape::Moons),
    generation(12, (1, 5, 0), Shape::Moons),
    generation(12, (1, 14, 1), Shape::Moons),
    generation(13, (1, 16, 0), Shape::Moons),
];

impl Generation {
    fn hello(&self, client: &mut Client) -> Vec<u8> {
        let (major, minor, revision) = self.version;
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let has = |shape| self.shape >= shape;
        let hello = Hello {
            version: NodeVersion { protocol: self.protocol, major, minor, revision },
            timestamp: Timestamp(1_234_567),
            identity: *client.secret.public(),
            destination: has(Shape::Destination).then(|| super::HERE.parse().unwrap()),
            planet: has(Shape::Planet).then_some(WorldVersion { id: 42, timestamp: Timestamp(999) }),
            tail: if has(Shape::Moons) { &tail } else { &[] },
        };
        let mut payload = Vec::new();
        let offset = hello.write(&mut payload);
        let mut packet = client.build(identity("R").address(), Verb::HELLO, &payload);
        let id = PacketHeader::parse(&packet).unwrap().id;
        armor::mask_hello_tail(&mut packet[PAYLOAD_OFFSET + offset..], id, &client.key);
        packet
    }

    fn clear_hello(&self, client: &mut Client) -> Vec<u8> {
        let mut packet = self.hello(client);
        armor::seal(&mut packet, &client.key, Suite::Poly1305);
        packet
    }
}

fn serve(generation: &Generation, encrypted: bool) -> (Node, Client) {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    client.protocol = generation.protocol;
    let mut packet = generation.hello(&mut client);
    if encrypted {
        extended::seal(&mut packet, &client.key, [3; 32], identity("R").public()).unwrap();
    } else {
        armor::seal(&mut packet, &client.key, Suite::Poly1305);
    }
    client.deliver(&mut node, at(0), packet).unwrap();
    verify_identities(&mut node, at(0));
    (node, client)
}

/// The length of HELLO up to 1.0.2 is 112 bytes, of one with moons 137 (`vl1.md` §10.2).
#[test]
fn hello_has_the_length_of_its_age() {
    let mut client = Client::new("A", "10.0.0.2:9993");
    let lengths = GENERATIONS.map(|generation| generation.clear_hello(&mut client).len());
    assert_eq!((lengths[0], lengths[2], lengths[3], lengths[8]), (112, 119, 135, 137));
}

#[test]
fn clients_of_all_ages_are_served_in_their_own_way() {
    for generation in GENERATIONS {
        let name = format!("protocol {} of {:?}", generation.protocol, generation.version);
        let (mut node, mut client) = serve(&generation, false);
        let received = client.receive(&mut node);
        let verbs: Vec<_> = received.iter().map(|message| (message.verb, message.suite)).collect();
        // The first answer still goes in suite 1: when it is made the version is not known. A test is always HELLO.
        assert_eq!(verbs, [(Verb::OK, 1), (Verb::HELLO, 0)], "{name}");
        let ok = OkReply::parse(&received[0].payload).unwrap();
        let ok = OkHello::parse(ok.payload).unwrap();
        let port = if generation.has_port { 9993 } else { 0 };
        assert_eq!(ok.endpoint, Some(format!("10.0.0.2:{port}").parse().unwrap()), "{name}");
        assert_eq!(ok.timestamp, Timestamp(1_234_567), "{name}");
        let is_told_the_planet = generation.shape >= Shape::Planet;
        assert_eq!(ok.worlds().count(), usize::from(is_told_the_planet), "{name}");
        let answer = client.answer(&received[1]).unwrap();
        client.deliver(&mut node, at(10), answer).unwrap();
        // `answer` tells another version, as no client does.
        let again = generation.clear_hello(&mut client);
        client.deliver(&mut node, at(20), again).unwrap();
        client.receive(&mut node);

        node.push_config(at(100), client.address(), NetworkId(0x7d82_73c3_5800_0001), &[CHUNK.to_vec()]);
        let pushed = client.receive(&mut node);
        assert_eq!((pushed[0].verb, pushed[0].suite), (Verb::NETWORK_CONFIG, generation.suite), "{name}");
        assert_eq!(pushed[0].payload, generation.push, "{name}");

        client.say(&mut node, at(200), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
        // The first round is HELLO to everybody; then ECHO where it works.
        let mut kept = Vec::new();
        for ms in (14_000..50_000).step_by(500) {
            node.handle_timeout(at(ms));
            kept.extend(client.receive(&mut node).into_iter().map(|message| message.verb));
        }
        assert_eq!(kept.first(), Some(&Verb::HELLO), "{name}");
        assert!(
            kept.len() > 1 && kept[1..].iter().all(|verb| *verb == generation.keepalive),
            "{name}: {kept:?}"
        );
    }
}

#[test]
fn the_encrypted_hello_of_1_16_is_answered_like_any_other() {
    for generation in GENERATIONS.iter().filter(|generation| generation.protocol >= 12) {
        let (mut node, mut client) = serve(generation, true);
        let verbs: Vec<_> = client.receive(&mut node).iter().map(|message| message.verb).collect();
        assert_eq!(verbs, [Verb::OK, Verb::HELLO]);
    }
}

#[test]
fn protocols_below_4_get_no_answer() {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    for protocol in 0..4 {
        let old = generation(protocol, (0, 9, 0), Shape::Identity).clear_hello(&mut client);
        assert_eq!(client.deliver(&mut node, at(0), old), Err(Ignored::ProtocolTooOld(protocol)));
    }
    assert!(transmits(&mut node).is_empty());
}
