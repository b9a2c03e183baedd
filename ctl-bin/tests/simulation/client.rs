//! The model of a member: what a client does about roots and one network, written from the wire formats alone. It shares
//! no code with the node under test above `zt-crypto`, so the two hold each other to the specification.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::packet::{
    DEFAULT_MTU, Datagram, HeaderMut, MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET, fragment,
};
use zt_proto::verb::hello::{Hello, NodeVersion, parse_moons, write_moons};
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::{Verb, whois};
use zt_proto::world::World;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp, compression};

use crate::identities;

/// A path that was silent for longer is forgotten (`vl1.md` §13.6).
const EXPIRES_AFTER: u64 = 243_000;
/// The tick that drives everything.
pub(crate) const TICK: u64 = 5_000;
/// WHOIS is repeated so often while somebody is looked for.
const WHOIS_INTERVAL: u64 = 500;
const CONFIGURED_INTERVAL: u64 = 60_000;
const ECHO_AFTER: u64 = 14_000;
const ANSWERS_WITHIN: u64 = 60_000;

/// How a release keeps its way to the roots (`vl1.md` §13.6, §16.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Up to 1.10: ECHO on idle paths, HELLO once a minute.
    Old,
    /// From 1.12 on: WHOIS for the roots themselves every 5 s, HELLO after 224 s.
    New,
}

/// A datagram to send, and whether it is (a piece of) an OK.
pub(crate) struct Outgoing {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_ok: bool,
}

struct Path {
    remote: SocketAddr,
    last_receive: u64,
    last_send: u64,
}

struct Peer {
    key: SessionKey,
    /// Known by HELLO or OK(HELLO), so suite 3 will be understood.
    met: bool,
    paths: Vec<Path>,
    tested: BTreeMap<SocketAddr, u64>,
    last_hello: Option<u64>,
}

struct Asked {
    to: Address,
    remote: SocketAddr,
    when: u64,
}

/// A member.
pub(crate) struct Client {
    secret: Arc<IdentitySecret>,
    planet: World,
    network: NetworkId,
    release: Release,
    rng: ChaCha20Rng,
    peers: BTreeMap<Address, Peer>,
    asked: BTreeMap<u64, Asked>,
    pieces: BTreeMap<u64, BTreeMap<u8, Vec<u8>>>,
    out: Vec<Outgoing>,
    last_request: Option<u64>,
    last_whois: Option<u64>,
    next_tick: u64,
    /// The newest configuration it has, by its revision.
    pub(crate) revision: Option<u64>,
}

impl Client {
    pub(crate) fn new(
        secret: Arc<IdentitySecret>,
        planet: World,
        network: NetworkId,
        release: Release,
        seed: u64,
        now: u64,
    ) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let next_tick = now + rng.next_u64() % TICK;
        Self {
            secret,
            planet,
            network,
            release,
            rng,
            peers: BTreeMap::new(),
            asked: BTreeMap::new(),
            pieces: BTreeMap::new(),
            out: Vec::new(),
            last_request: None,
            last_whois: None,
            next_tick,
            revision: None,
        }
    }

    /// Starts again, with nothing but what is on its disk: identity, planet, the network that it is in.
    pub(crate) fn restart(&mut self, seed: u64, now: u64) {
        let (secret, planet) = (Arc::clone(&self.secret), self.planet.clone());
        *self = Self::new(secret, planet, self.network, self.release, seed, now);
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.out)
    }

    /// The addresses to which it knows a path.
    pub(crate) fn path_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.peers.values().flat_map(|peer| &peer.paths).map(|path| path.remote)
    }

    /// When [`Client::tick`] wants to be called.
    pub(crate) fn due(&self) -> u64 {
        let controller = self.network.controller();
        let looks_for_it = !self.peers.contains_key(&controller) && self.best_root().is_some();
        match self.last_whois.filter(|_| looks_for_it) {
            Some(last) => self.next_tick.min(last + WHOIS_INTERVAL),
            None => self.next_tick,
        }
    }

    pub(crate) fn tick(&mut self, now: u64) {
        let controller = self.network.controller();
        let roots: Vec<_> = self.planet.roots.clone();
        for root in &roots {
            self.know(root.identity);
        }
        for peer in self.peers.values_mut() {
            peer.paths.retain(|path| now - path.last_receive <= EXPIRES_AFTER);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.asked.retain(|_, asked| now - asked.when < ANSWERS_WITHIN);
            self.pieces.clear();
            for root in &roots {
                let address = root.identity.address;
                if self.peers.get(&address).is_none_or(|peer| peer.paths.is_empty()) {
                    for endpoint in &root.endpoints {
                        self.say_hello(now, address, *endpoint);
                    }
                } else if self.release == Release::Old {
                    self.keep_alive(now, address, CONFIGURED_INTERVAL);
                } else {
                    self.greet_after(now, address, 224_000);
                    self.send(now, address, Verb::WHOIS, &address.octets());
                }
            }
            if self.peers.contains_key(&controller) && !roots.iter().any(|r| r.identity.address == controller)
            {
                self.keep_alive(now, controller, CONFIGURED_INTERVAL);
            }
        }
        if !self.peers.contains_key(&controller) {
            if let Some(root) = self.best_root()
                && self.last_whois.is_none_or(|last| now - last >= WHOIS_INTERVAL)
            {
                self.last_whois = Some(now);
                self.send(now, root, Verb::WHOIS, &controller.octets());
            }
            return;
        }
        let interval = if self.revision.is_some() { CONFIGURED_INTERVAL } else { TICK };
        if self.last_request.is_none_or(|last| now - last >= interval) {
            self.last_request = Some(now);
            let mut payload = Vec::new();
            let network = self.network;
            NetworkConfigRequest {
                network,
                metadata: b"v=7",
                have_revision: 0,
                have_timestamp: Timestamp(0),
            }
            .write(&mut payload);
            self.send(now, controller, Verb::NETWORK_CONFIG_REQUEST, &payload);
        }
    }

    fn keep_alive(&mut self, now: u64, address: Address, hello_after: u64) {
        if self.greet_after(now, address, hello_after) {
            return;
        }
        let Some(peer) = self.peers.get(&address) else { return };
        let idle: Vec<_> = peer
            .paths
            .iter()
            .filter(|path| now - path.last_send >= ECHO_AFTER)
            .map(|path| path.remote)
            .collect();
        for remote in idle {
            self.send_to(now, address, remote, Verb::ECHO, &[]);
        }
    }

    /// Says HELLO on all paths, if the last time is long enough ago.
    fn greet_after(&mut self, now: u64, address: Address, interval: u64) -> bool {
        let Some(peer) = self.peers.get(&address) else { return false };
        if peer.last_hello.is_some_and(|last| now - last < interval) {
            return false;
        }
        let remotes: Vec<_> = peer.paths.iter().map(|path| path.remote).collect();
        for remote in remotes {
            self.say_hello(now, address, remote);
        }
        true
    }

    /// Takes a datagram; what it makes of it goes out later.
    pub(crate) fn receive(&mut self, now: u64, from: SocketAddr, mut datagram: Vec<u8>) {
        let (id, number, data) = match Datagram::classify(&datagram) {
            Ok(Datagram::Packet(header)) if !header.is_fragmented() => {
                self.open(now, from, &mut datagram);
                return;
            }
            Ok(Datagram::Packet(header)) => (header.id, 0, datagram.clone()),
            Ok(Datagram::Fragment(header, data)) => (header.packet_id, header.number, data.to_vec()),
            Err(_) => return,
        };
        let pieces = self.pieces.entry(id).or_default();
        pieces.insert(number, data);
        if let Some(whole) = joined(pieces) {
            let mut copy = whole.clone();
            if self.open(now, from, &mut copy) {
                self.pieces.remove(&id);
            }
        }
    }

    /// Says whether the packet is authentic.
    fn open(&mut self, now: u64, from: SocketAddr, packet: &mut [u8]) -> bool {
        let Ok(header) = PacketHeader::parse(packet) else { return false };
        if header.destination != self.secret.address() {
            return false;
        }
        let clear_hello = header.suite() == Suite::Poly1305.number()
            && packet.get(VERB_OFFSET).is_some_and(|byte| Verb::from_byte(*byte).0 == Verb::HELLO);
        if clear_hello && let Ok(hello) = Hello::parse(&packet[PAYLOAD_OFFSET..]) {
            if hello.identity.address != header.source || !identities::is_known(&hello.identity) {
                return false;
            }
            self.know(hello.identity);
        }
        let Some(peer) = self.peers.get(&header.source) else {
            if let Some(root) = self.best_root() {
                self.send(now, root, Verb::WHOIS, &header.source.octets());
            }
            return false;
        };
        if armor::open(packet, &peer.key).is_err() {
            return false;
        }
        let (verb, is_compressed) = Verb::from_byte(packet[VERB_OFFSET]);
        let mut payload = packet[PAYLOAD_OFFSET..].to_vec();
        if is_compressed {
            payload = compression::decompress(&payload, MAX_PAYLOAD).expect("what the node compressed");
        }
        self.take(now, from, &header, verb, &payload);
        true
    }

    fn take(&mut self, now: u64, from: SocketAddr, header: &PacketHeader, verb: Verb, payload: &[u8]) {
        let source = header.source;
        let mut proven = false;
        if verb == Verb::OK {
            let reply = OkReply::parse(payload).expect("the node's OK");
            let Some(asked) = self.asked.get(&reply.in_re_packet).filter(|asked| asked.to == source) else {
                return;
            };
            proven = asked.remote == from;
        }
        if header.hops() == 0 {
            self.heard(now, source, from, proven);
        }
        match verb {
            Verb::HELLO => self.answer_hello(now, from, header, payload),
            Verb::ECHO => self.send_ok(now, source, from, Verb::ECHO, header.id, payload),
            Verb::OK => self.take_ok(source, payload),
            Verb::NETWORK_CONFIG => self.take_config(source, payload),
            Verb::RENDEZVOUS if self.is_root(source) => {
                let letter = Rendezvous::parse(payload).expect("the root's RENDEZVOUS");
                if self.peers.contains_key(&letter.peer) {
                    self.say_hello(now, letter.peer, letter.endpoint);
                }
            }
            _ => {}
        }
    }

    /// Learns paths as `vl1.md` §13.4 says.
    fn heard(&mut self, now: u64, source: Address, from: SocketAddr, proven: bool) {
        let allowed = self.planet.roots.iter().find(|root| root.identity.address == source);
        let allowed = allowed.is_none_or(|root| root.endpoints.iter().any(|known| known.ip() == from.ip()));
        let Some(peer) = self.peers.get_mut(&source) else { return };
        if let Some(path) = peer.paths.iter_mut().find(|path| path.remote == from) {
            path.last_receive = now;
        } else if allowed && proven {
            peer.paths.push(Path { remote: from, last_receive: now, last_send: now });
        } else if allowed && peer.tested.get(&from).is_none_or(|last| now - last >= 1_000) {
            peer.tested.insert(from, now);
            self.say_hello(now, source, from);
        }
    }

    fn answer_hello(&mut self, now: u64, from: SocketAddr, header: &PacketHeader, payload: &[u8]) {
        let hello = Hello::parse(payload).expect("the node's HELLO");
        let Some(peer) = self.peers.get_mut(&header.source) else { return };
        peer.met = true;
        let mut tail = payload[hello.tail_offset(payload)..].to_vec();
        armor::mask_hello_tail(&mut tail, header.id, &peer.key);
        assert!(parse_moons(&tail).is_ok(), "the node's moons");
        let mut answer = Vec::new();
        OkHello { timestamp: hello.timestamp, version: VERSION, endpoint: Some(from), world_data: &[] }
            .write(&mut answer);
        self.send_ok(now, header.source, from, Verb::HELLO, header.id, &answer);
    }

    fn take_ok(&mut self, source: Address, payload: &[u8]) {
        let reply = OkReply::parse(payload).expect("the node's OK");
        match reply.in_re_verb {
            Verb::HELLO => {
                if let Some(peer) = self.peers.get_mut(&source) {
                    peer.met = true;
                }
            }
            Verb::WHOIS if self.is_root(source) => {
                for identity in whois::parse_answer(reply.payload) {
                    self.know(identity.expect("the root's identity"));
                }
            }
            Verb::NETWORK_CONFIG_REQUEST => self.take_config(source, reply.payload),
            _ => {}
        }
    }

    /// Takes a configuration: here the network's id, a revision, and bytes that make it long.
    fn take_config(&mut self, source: Address, payload: &[u8]) {
        if source != self.network.controller() {
            return;
        }
        let revision = payload.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        self.revision = self.revision.max(revision);
    }

    fn know(&mut self, identity: PublicIdentity) {
        let secret = &self.secret;
        self.peers.entry(identity.address).or_insert_with(|| Peer {
            key: secret.agree(&identity).unwrap(),
            met: false,
            paths: Vec::new(),
            tested: BTreeMap::new(),
            last_hello: None,
        });
    }

    fn is_root(&self, address: Address) -> bool {
        self.planet.roots.iter().any(|root| root.identity.address == address)
    }

    fn best_root(&self) -> Option<Address> {
        let roots = self.planet.roots.iter().map(|root| root.identity.address);
        roots
            .max_by_key(|root| self.best_path(*root).map(|path| path.last_receive))
            .filter(|root| self.best_path(*root).is_some())
    }

    fn best_path(&self, to: Address) -> Option<&Path> {
        self.peers.get(&to)?.paths.iter().max_by_key(|path| path.last_receive)
    }

    /// Sends by the best path, else through the best root.
    fn send(&mut self, now: u64, to: Address, verb: Verb, payload: &[u8]) {
        let direct = self.best_path(to).map(|path| path.remote);
        let way = direct.or_else(|| self.best_path(self.best_root()?).map(|path| path.remote));
        if let Some(remote) = way {
            self.send_to(now, to, remote, verb, payload);
        }
    }

    fn send_ok(
        &mut self,
        now: u64,
        to: Address,
        remote: SocketAddr,
        verb: Verb,
        packet: u64,
        payload: &[u8],
    ) {
        let mut bytes = Vec::new();
        OkReply { in_re_verb: verb, in_re_packet: packet, payload }.write(&mut bytes);
        self.send_to(now, to, remote, Verb::OK, &bytes);
    }

    fn send_to(&mut self, now: u64, to: Address, remote: SocketAddr, verb: Verb, payload: &[u8]) {
        let Some(peer) = self.peers.get(&to) else { return };
        let suite = if peer.met { Suite::AesGmacSiv } else { Suite::Salsa20Poly1305 };
        let packet = self.build(to, verb, payload);
        self.transmit(now, to, remote, packet, suite, verb);
    }

    fn say_hello(&mut self, now: u64, to: Address, remote: SocketAddr) {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: VERSION,
            timestamp: Timestamp(now),
            identity: *self.secret.public(),
            destination: Some(remote),
            planet: Some(self.planet.version()),
            tail: &tail,
        };
        let mut payload = Vec::new();
        let tail_offset = hello.write(&mut payload);
        let mut packet = self.build(to, Verb::HELLO, &payload);
        let Some(peer) = self.peers.get_mut(&to) else { return };
        peer.last_hello = Some(now);
        let id = PacketHeader::parse(&packet).unwrap().id;
        armor::mask_hello_tail(&mut packet[PAYLOAD_OFFSET + tail_offset..], id, &peer.key);
        self.transmit(now, to, remote, packet, Suite::Poly1305, Verb::HELLO);
    }

    fn build(&mut self, to: Address, verb: Verb, payload: &[u8]) -> Vec<u8> {
        let (id, source) = (self.rng.next_u64(), self.secret.address());
        let mut packet = Vec::new();
        PacketHeader { id, destination: to, source, flags: 0, mac: [0; 8] }.write(&mut packet);
        packet.push(verb.to_byte(false));
        packet.extend_from_slice(payload);
        if packet.len() > DEFAULT_MTU {
            HeaderMut::of(&mut packet).unwrap().set_fragmented(true);
        }
        packet
    }

    fn transmit(
        &mut self,
        now: u64,
        to: Address,
        remote: SocketAddr,
        mut packet: Vec<u8>,
        suite: Suite,
        verb: Verb,
    ) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        armor::seal(&mut packet, &peer.key, suite);
        if let Some(path) = peer.paths.iter_mut().find(|path| path.remote == remote) {
            path.last_send = now;
        }
        let is_ok = verb == Verb::OK;
        if !is_ok {
            let id = PacketHeader::parse(&packet).unwrap().id;
            self.asked.insert(id, Asked { to, remote, when: now });
        }
        for bytes in fragment::split(&packet, DEFAULT_MTU) {
            self.out.push(Outgoing { to: remote, bytes, is_ok });
        }
    }
}

const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };

/// Puts the pieces of a packet together if they may be all of it.
fn joined(pieces: &BTreeMap<u8, Vec<u8>>) -> Option<Vec<u8>> {
    let in_a_row = pieces.keys().copied().eq(0..u8::try_from(pieces.len()).ok()?);
    (in_a_row && pieces.len() > 1).then(|| pieces.values().flatten().copied().collect())
}
