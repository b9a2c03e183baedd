//! The other side: a peer that does what a client does, built from the wire formats alone.

use std::collections::HashMap;
use std::net::SocketAddr;

use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::packet::{
    DEFAULT_MTU, Datagram, HeaderMut, MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET, fragment,
};
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::world::WorldVersion;
use zt_proto::{Address, PublicIdentity, Timestamp, compression};

use super::super::{Ignored, Link, Node, Now};
use super::{identity, link, transmits};

/// A packet that the client received, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    pub verb: Verb,
    pub suite: u8,
    pub hops: u8,
    pub packet: u64,
    pub payload: Vec<u8>,
}

/// A peer of the node under test.
pub(super) struct Client {
    pub secret: IdentitySecret,
    node: PublicIdentity,
    pub key: SessionKey,
    pub link: Link,
    pub protocol: u8,
    /// Relays that its packets come over.
    pub hops: u8,
    /// Where it tells the node that it sees it.
    pub sees_node_at: SocketAddr,
    next_id: u64,
    pieces: HashMap<u64, Vec<(u8, Vec<u8>)>>,
}

impl Client {
    /// Returns one of the nodes of `session.json` at a physical address.
    pub(super) fn new(name: &str, remote: &str) -> Self {
        Self::of_identity(identity(name), remote)
    }

    pub(super) fn of_identity(secret: IdentitySecret, remote: &str) -> Self {
        let node = *identity("R").public();
        let key = secret.agree(&node).unwrap();
        let link = link(remote);
        let sees_node_at = super::HERE.parse().unwrap();
        let pieces = HashMap::new();
        Self { secret, node, key, link, protocol: 12, hops: 0, sees_node_at, next_id: 0x1000, pieces }
    }

    pub(super) fn address(&self) -> Address {
        self.secret.address()
    }

    fn version(&self) -> NodeVersion {
        NodeVersion { protocol: self.protocol, major: 1, minor: 8, revision: 4 }
    }

    /// Builds a packet to `to` without armor.
    pub(super) fn build(&mut self, to: Address, verb: Verb, payload: &[u8]) -> Vec<u8> {
        self.next_id = self.next_id.wrapping_add(0x0001_0000_0000_0101);
        let header =
            PacketHeader { id: self.next_id, destination: to, source: self.address(), flags: 0, mac: [0; 8] };
        let mut packet = Vec::new();
        header.write(&mut packet);
        packet.push(verb.to_byte(false));
        packet.extend_from_slice(payload);
        packet
    }

    /// Builds an armored packet to the node under test.
    pub(super) fn packet(&mut self, verb: Verb, payload: &[u8], suite: Suite) -> Vec<u8> {
        let mut packet = self.build(self.node.address, verb, payload);
        if packet.len() > DEFAULT_MTU {
            HeaderMut::of(&mut packet).unwrap().set_fragmented(true);
        }
        armor::seal(&mut packet, &self.key, suite);
        packet
    }

    pub(super) fn hello(&mut self, now: Now) -> Vec<u8> {
        self.hello_on_planet(now, WorldVersion { id: 42, timestamp: Timestamp(1_000) })
    }

    pub(super) fn hello_on_planet(&mut self, now: Now, planet: WorldVersion) -> Vec<u8> {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: self.version(),
            timestamp: now.wall,
            identity: *self.secret.public(),
            destination: Some(self.sees_node_at),
            planet: Some(planet),
            tail: &tail,
        };
        let mut payload = Vec::new();
        let tail_offset = hello.write(&mut payload);
        let mut packet = self.build(self.node.address, Verb::HELLO, &payload);
        let id = PacketHeader::parse(&packet).unwrap().id;
        armor::mask_hello_tail(&mut packet[PAYLOAD_OFFSET + tail_offset..], id, &self.key);
        armor::seal(&mut packet, &self.key, Suite::Poly1305);
        packet
    }

    /// Hands a packet to the node, cut into datagrams where it is too long.
    pub(super) fn deliver(&self, node: &mut Node, now: Now, packet: Vec<u8>) -> Result<(), Ignored> {
        let mut packet = packet;
        if self.hops > 0 {
            HeaderMut::of(&mut packet).unwrap().set_hops(self.hops);
        }
        let mut last = Ok(());
        for mut datagram in fragment::split(&packet, DEFAULT_MTU) {
            last = node.handle_datagram(now, self.link, &mut datagram);
        }
        last
    }

    /// Sends a message in the suite of modern clients.
    pub(super) fn say(
        &mut self,
        node: &mut Node,
        now: Now,
        verb: Verb,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        let packet = self.packet(verb, payload, Suite::AesGmacSiv);
        self.deliver(node, now, packet)
    }

    /// Takes what the node sends to this client; what it sends to others is put back by the caller's order of calls.
    pub(super) fn receive(&mut self, node: &mut Node) -> Vec<Received> {
        let datagrams: Vec<_> = transmits(node).into_iter().filter(|t| t.link == self.link).collect();
        datagrams.into_iter().filter_map(|transmit| self.open(transmit.bytes)).collect()
    }

    /// Opens a datagram; `None` while pieces are missing.
    pub(super) fn open(&mut self, mut datagram: Vec<u8>) -> Option<Received> {
        let (id, number, data) = match Datagram::classify(&datagram).unwrap() {
            Datagram::Packet(header) if !header.is_fragmented() => {
                return Some(self.open_packet(&mut datagram));
            }
            Datagram::Packet(header) => (header.id, 0, datagram.clone()),
            Datagram::Fragment(header, data) => (header.packet_id, header.number, data.to_vec()),
        };
        let pieces = self.pieces.entry(id).or_default();
        pieces.push((number, data));
        pieces.sort();
        let mut whole: Vec<u8> = pieces.iter().flat_map(|(_, data)| data.clone()).collect();
        let mut copy = whole.clone();
        armor::open(&mut copy, &self.key).is_ok().then(|| self.open_packet(&mut whole))
    }

    fn open_packet(&self, packet: &mut [u8]) -> Received {
        let header = PacketHeader::parse(packet).unwrap();
        assert_eq!((header.destination, header.source), (self.address(), self.node.address));
        armor::open(packet, &self.key).expect("the node's packet is authentic");
        let (verb, is_compressed) = Verb::from_byte(packet[VERB_OFFSET]);
        let mut payload = packet[PAYLOAD_OFFSET..].to_vec();
        if is_compressed {
            payload = compression::decompress(&payload, MAX_PAYLOAD).unwrap();
        }
        if verb == Verb::HELLO {
            let offset = Hello::parse(&payload).unwrap().tail_offset(&payload);
            armor::mask_hello_tail(&mut payload[offset..], header.id, &self.key);
        }
        Received { verb, suite: header.suite(), hops: header.hops(), packet: header.id, payload }
    }

    /// Answers each HELLO and ECHO of the node, as every client does; returns the rest of what it sent.
    pub(super) fn answer_everything(&mut self, node: &mut Node, now: Now) -> Vec<Received> {
        let mut rest = Vec::new();
        loop {
            let received = self.receive(node);
            if received.is_empty() {
                return rest;
            }
            for message in received {
                match self.answer(&message) {
                    Some(answer) => self.deliver(node, now, answer).unwrap(),
                    None => rest.push(message),
                }
            }
        }
    }

    /// Returns the OK to a HELLO or ECHO.
    pub(super) fn answer(&mut self, message: &Received) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        if message.verb == Verb::HELLO {
            let hello = Hello::parse(&message.payload).unwrap();
            let endpoint = Some(self.sees_node_at);
            OkHello { timestamp: hello.timestamp, version: self.version(), endpoint, world_data: &[] }
                .write(&mut answer);
        } else if message.verb == Verb::ECHO {
            answer.extend_from_slice(&message.payload);
        } else {
            return None;
        }
        let mut payload = Vec::new();
        OkReply { in_re_verb: message.verb, in_re_packet: message.packet, payload: &answer }
            .write(&mut payload);
        let suite = if self.protocol >= 12 { Suite::AesGmacSiv } else { Suite::Salsa20Poly1305 };
        Some(self.packet(Verb::OK, &payload, suite))
    }
}
