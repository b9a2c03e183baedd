//! A client as a controller sees it, without sockets: what it sends, and what it makes of what comes.

use std::collections::HashMap;
use std::net::SocketAddr;

use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey, WeakKey};
use zt_proto::packet::{Datagram, MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::network_config::{ConfigAcknowledgement, ConfigChunk};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata, SoftwareVersion};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp, compression};

/// What it announces: a client of 1.14.1.
const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };
/// Packets whose pieces are kept; past it all are dropped.
const MAX_INCOMPLETE: usize = 4096;

/// A client with the key that it shares with its controller.
pub struct Member {
    secret: IdentitySecret,
    controller: Address,
    key: SessionKey,
}

/// A packet that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub verb: Verb,
    pub id: u64,
    /// Decompressed.
    pub payload: Vec<u8>,
}

impl Member {
    /// # Errors
    /// [`WeakKey`] if no key can be agreed with the controller.
    pub fn new(secret: IdentitySecret, controller: &PublicIdentity) -> Result<Self, WeakKey> {
        let key = secret.agree(controller)?;
        Ok(Self { secret, controller: controller.address, key })
    }

    pub fn address(&self) -> Address {
        self.secret.address()
    }

    pub fn identity(&self) -> &PublicIdentity {
        self.secret.public()
    }

    /// Returns a HELLO, sent to the controller at `to`.
    pub fn hello(&self, id: u64, to: SocketAddr) -> Vec<u8> {
        self.hello_as(id, to, *self.secret.public())
    }

    /// Returns a HELLO that is authentic under this member's key, whatever identity it shows.
    pub fn hello_as(&self, id: u64, to: SocketAddr, identity: PublicIdentity) -> Vec<u8> {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: VERSION,
            timestamp: Timestamp(1),
            identity,
            destination: Some(to),
            planet: None,
            tail: &[],
        };
        let mut payload = Vec::new();
        hello.write(&mut payload);
        self.seal(identity.address, id, Verb::HELLO, &payload, Suite::Poly1305)
    }

    /// Returns a request for the configuration of a network, with what a client of 1.14.1 says about itself.
    pub fn request(&self, id: u64, network: NetworkId) -> Vec<u8> {
        let software = SoftwareVersion { major: 1, minor: 14, revision: 1 };
        let metadata = RequestMetadata {
            config_version: 7,
            protocol: 12,
            vendor: 1,
            software,
            max_rules: 1024,
            max_capabilities: 128,
            max_capability_rules: 64,
            max_tags: 128,
            rules_engine: 1,
            platform: "linux/x86_64".into(),
            ..RequestMetadata::default()
        };
        let metadata = metadata.write();
        let mut payload = Vec::new();
        NetworkConfigRequest { network, metadata: &metadata, have_revision: 0, have_timestamp: Timestamp(0) }
            .write(&mut payload);
        self.send(id, Verb::NETWORK_CONFIG_REQUEST, &payload)
    }

    /// Returns what a client answers: HELLO, ECHO, and the last piece of a configuration that was pushed.
    ///
    /// `seen_at` is where the packet came from.
    pub fn answer(&self, packet: &Packet, id: u64, seen_at: SocketAddr) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        let in_re_verb = match packet.verb {
            Verb::HELLO => {
                let timestamp = Hello::parse(&packet.payload).ok()?.timestamp;
                OkHello { timestamp, version: VERSION, endpoint: Some(seen_at), world_data: &[] }
                    .write(&mut payload);
                Verb::HELLO
            }
            Verb::ECHO => {
                payload.extend_from_slice(&packet.payload);
                Verb::ECHO
            }
            Verb::NETWORK_CONFIG => {
                let ConfigChunk { network, data, part } = ConfigChunk::parse(&packet.payload).ok()?;
                let part = part.filter(|part| part.index as usize + data.len() == part.total as usize)?;
                ConfigAcknowledgement { network, update_id: part.update_id }.write(&mut payload);
                Verb::ECHO
            }
            _ => return None,
        };
        let mut ok = Vec::new();
        OkReply { in_re_verb, in_re_packet: packet.id, payload: &payload }.write(&mut ok);
        Some(self.send(id, Verb::OK, &ok))
    }

    /// Opens a whole packet, whose bytes are used as scratch space; `None` if it is not authentic.
    pub fn open(&self, packet: &mut [u8]) -> Option<Packet> {
        let id = PacketHeader::parse(packet).ok()?.id;
        armor::open(packet, &self.key).ok()?;
        let (verb, is_compressed) = Verb::from_byte(*packet.get(VERB_OFFSET)?);
        let payload = packet.get(PAYLOAD_OFFSET..)?;
        let payload = if is_compressed {
            compression::decompress(payload, MAX_PAYLOAD).ok()?
        } else {
            payload.to_vec()
        };
        Some(Packet { verb, id, payload })
    }

    fn send(&self, id: u64, verb: Verb, payload: &[u8]) -> Vec<u8> {
        self.seal(self.secret.address(), id, verb, payload, Suite::AesGmacSiv)
    }

    fn seal(&self, source: Address, id: u64, verb: Verb, payload: &[u8], suite: Suite) -> Vec<u8> {
        let mut packet = Vec::with_capacity(PAYLOAD_OFFSET + payload.len());
        PacketHeader { id, destination: self.controller, source, flags: 0, mac: [0; 8] }.write(&mut packet);
        packet.push(verb.to_byte(false));
        packet.extend_from_slice(payload);
        armor::seal(&mut packet, &self.key, suite);
        packet
    }
}

/// Puts packets together from their pieces.
#[derive(Debug, Default)]
pub struct Pieces(HashMap<(Address, u64), Vec<Piece>>);

/// The number of a piece, and its bytes.
type Piece = (u8, Vec<u8>);

impl Pieces {
    /// Takes a datagram; returns for whom it is, and the packet if that is complete.
    pub fn take(&mut self, datagram: &[u8]) -> Option<(Address, Vec<u8>)> {
        let (key, number, total, data) = match Datagram::classify(datagram).ok()? {
            Datagram::Packet(header) if !header.is_fragmented() => {
                return Some((header.destination, datagram.to_vec()));
            }
            Datagram::Packet(header) => ((header.destination, header.id), 0, None, datagram),
            Datagram::Fragment(header, data) => {
                ((header.destination, header.packet_id), header.number, Some(header.total), data)
            }
        };
        if self.0.len() >= MAX_INCOMPLETE {
            self.0.clear();
        }
        // The number of pieces is known from any but the first; it is kept as a piece of its own at the end.
        let pieces = self.0.entry(key).or_default();
        pieces.push((number, data.to_vec()));
        pieces.extend(total.map(|total| (u8::MAX, vec![total])));
        pieces.sort();
        pieces.dedup();
        let total = pieces.iter().find(|(number, _)| *number == u8::MAX).and_then(|(_, total)| total.first());
        if total.is_none_or(|total| pieces.len() <= usize::from(*total)) {
            return None;
        }
        let pieces = self.0.remove(&key)?;
        let data = pieces.into_iter().filter(|(number, _)| *number != u8::MAX).flat_map(|(_, data)| data);
        Some((key.0, data.collect()))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zt_proto::packet::{DEFAULT_MTU, HeaderMut, fragment};

    use super::*;

    fn pair() -> (Member, IdentitySecret) {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let (member, controller) = (IdentitySecret::generate(&mut rng), IdentitySecret::generate(&mut rng));
        (Member::new(member, controller.public()).unwrap(), controller)
    }

    #[test]
    fn the_controller_opens_what_a_member_sends_and_the_other_way_round() {
        let (member, controller) = pair();
        let key = controller.agree(member.identity()).unwrap();
        let mut packet = member.request(7, NetworkId(9));
        assert_eq!(armor::open(&mut packet, &key), Ok(Suite::AesGmacSiv));
        let asked = NetworkConfigRequest::parse(&packet[PAYLOAD_OFFSET..]).unwrap();
        assert_eq!(RequestMetadata::parse(asked.metadata).config_version, 7);
        let echo = Packet { verb: Verb::ECHO, id: 11, payload: b"abc".to_vec() };
        let mut ok = member.answer(&echo, 12, ([10, 0, 0, 1], 1).into()).unwrap();
        let opened = Member { secret: controller, controller: member.address(), key }.open(&mut ok).unwrap();
        let reply = OkReply::parse(&opened.payload).unwrap();
        assert_eq!((reply.in_re_verb, reply.in_re_packet, reply.payload), (Verb::ECHO, 11, &b"abc"[..]));
    }

    #[test]
    fn pieces_in_any_order_make_the_packet() {
        let mut packet = crate::packet(Verb::NETWORK_CONFIG, &[5; 3_000]);
        HeaderMut::of(&mut packet).unwrap().set_fragmented(true);
        let mut datagrams: Vec<_> = fragment::split(&packet, DEFAULT_MTU).collect();
        assert_eq!(datagrams.len(), 3);
        for turn in 0..3 {
            datagrams.rotate_left(turn);
            let mut pieces = Pieces::default();
            let whole: Vec<_> = datagrams.iter().filter_map(|datagram| pieces.take(datagram)).collect();
            assert_eq!(whole.len(), 1);
            assert!(whole.first().is_some_and(|(_, whole)| *whole == packet));
            assert!(pieces.0.is_empty());
        }
    }
}
