//! The node: its state, the commands it takes, what comes out of it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::armor::OpenError;
use zt_crypto::armor::extended::ExtendedError;
use zt_crypto::{IdentitySecret, SessionKey, VerifiedIdentity};
use zt_proto::compression::Payload;
use zt_proto::verb::Verb;
use zt_proto::verb::error::{ErrorCode, ErrorReply, NetworkError};
use zt_proto::world::World;
use zt_proto::{Address, DecodeError, NetworkId, PublicIdentity};

use super::awaited::AwaitedPackets;
use super::duplicates::Duplicates;
use super::moment::{Moment, Present, Start};
use super::multicast::Groups;
use super::peer::Peer;
use super::reassembly::Reassembly;
use super::relay::{Hosts, Introductions};
use super::roots::Roots;
use super::spare::SpareRoom;
use super::strangers::Strangers;
use super::surface::Surface;
use super::timer::{SWEEP_INTERVAL, Timer, Timers};
use super::traffic::{PeerTraffic, Traffic};
use super::wanted::Wanted;
use super::{Link, Now};
use crate::dense::Dense;
use crate::room::Room;

/// Peers that are remembered at the same time, at about half a KiB each. Each has proven an identity, which costs half a
/// second of computing to make, and is forgotten after 500 s of silence.
pub const MAX_PEERS: usize = 1 << 19;

/// From this protocol on clients take pushed configurations and credentials.
const MODERN_PROTOCOL: u8 = 8;

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    pub link: Link,
    pub bytes: Vec<u8>,
}

/// A request that waits for [`Node::reply_config`] or [`Node::reply_error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    pub from: Address,
    /// As it was on the wire.
    pub packet: u64,
}

impl RequestId {
    /// Length of [`RequestId::config_envelope`].
    const ENVELOPE: usize = 9;

    /// Returns what stands in an OK before a configuration: what it answers.
    pub fn config_envelope(self) -> [u8; Self::ENVELOPE] {
        let [a, b, c, d, e, f, g, h] = self.packet.to_be_bytes();
        [Verb::NETWORK_CONFIG_REQUEST.0, a, b, c, d, e, f, g, h]
    }
}

/// What the node cannot do by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody new says HELLO: answer with [`Node::identity_verified`] or [`Node::identity_refused`].
    IdentityToVerify(PublicIdentity),
    /// A member asks for its configuration.
    ConfigRequested(ConfigRequested),
    /// A root had a later version of the planet or of a moon; it should survive a restart.
    WorldUpdated(Box<World>),
    /// A member has taken a configuration that was pushed to it. The update id, which it had from the chunks, is proof.
    ConfigAcknowledged { member: Address, network: NetworkId, update_id: u64 },
    /// A node that [`Node::greet`] spoke to is there.
    Greeted(Address),
}

/// A NETWORK_CONFIG_REQUEST from an authenticated node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRequested {
    pub request: RequestId,
    pub identity: PublicIdentity,
    pub network: NetworkId,
    /// The request dictionary, not yet parsed.
    pub metadata: Vec<u8>,
    /// Where it came from; `None` if it was relayed.
    pub from: Option<SocketAddr>,
}

/// Why a datagram had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("malformed: {0}")]
    Malformed(#[from] DecodeError),
    #[error("not authentic: {0}")]
    NotAuthentic(#[from] OpenError),
    #[error("the outer armor does not open: {0}")]
    OuterArmor(#[from] ExtendedError),
    #[error("claims to be from this node")]
    Own,
    #[error("from {0}, whose identity is not known yet")]
    UnknownSource(Address),
    #[error("the identity in HELLO is not that of the sender")]
    IdentityMismatch,
    #[error("protocol version {0} is older than 4")]
    ProtocolTooOld(u8),
    #[error("the keys agree on zero")]
    WeakKey,
    #[error("address {0} is known with another key")]
    IdentityCollision(Address),
    #[error("over the rate limit for {0}")]
    RateLimited(&'static str),
    #[error("{0} may not be sent in the clear")]
    Clear(Verb),
    #[error("an OK that nobody waits for")]
    UnexpectedOk,
    #[error("for another node, which this node does not relay to")]
    NotRelayed,
    #[error("only believed from a root")]
    NotFromRoot,
    #[error("only done by a root, or for a member that got its configuration lately")]
    OnlyAsRoot,
    #[error("nobody asked for this identity")]
    UnwantedIdentity,
    #[error("a copy of a packet that was taken already")]
    Duplicate,
    #[error("pieces are missing")]
    Incomplete,
    #[error("too many identities wait to be verified")]
    Busy,
}

/// What the node knows of a peer, for those who want to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    pub address: Address,
    pub version: Option<(u8, u8, u16)>,
    /// Whether it is a root of the planet.
    pub is_root: bool,
    /// Whether it is a root of a moon only.
    pub is_moon: bool,
    pub latency_ms: Option<u32>,
    pub paths: Vec<PathView>,
    pub traffic: PeerTraffic,
}

/// What the node knows of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathView {
    pub remote: SocketAddr,
    pub preferred: bool,
    pub expired: bool,
    /// How long ago something authentic came over it.
    pub received_ago: Duration,
    pub sent_ago: Option<Duration>,
}

/// Returns the network of a configuration, which every chunk names first.
fn network_of(chunks: &[Vec<u8>]) -> Option<NetworkId> {
    let octets = chunks.first()?.first_chunk()?;
    Some(NetworkId(u64::from_be_bytes(*octets)))
}

/// A VL1 node. It owns its state; see the module for how to drive it.
#[derive(Debug)]
pub struct Node {
    pub(super) start: Start,
    pub(super) secret: Arc<IdentitySecret>,
    pub(super) rng: ChaCha20Rng,
    pub(super) roots: Roots,
    /// Hashed fast: an identity takes half a second to make, and nobody sees which places are taken.
    pub(super) peers: Dense<Peer>,
    /// [`MAX_PEERS`], fewer in tests.
    pub(super) max_peers: usize,
    /// How many peers have paths that are kept alive; most of many may be strangers that were met once.
    pub(super) kept_alive: u32,
    /// The addresses of all peers, for those who look at them a page at a time.
    pub(super) peer_order: BTreeSet<Address>,
    /// The hosts to which confirmed paths lead.
    pub(super) hosts: Hosts,
    pub(super) strangers: Strangers,
    pub(super) reassembly: Reassembly,
    pub(super) awaited: AwaitedPackets,
    pub(super) duplicates: Duplicates,
    pub(super) wanted: Wanted,
    pub(super) surface: Surface,
    /// What [`Node::set_own_addresses`] said.
    pub(super) own_addresses: Vec<SocketAddr>,
    pub(super) groups: Groups,
    pub(super) introductions: Introductions,
    pub(super) timers: Timers,
    pub(super) traffic: Traffic,
    pub(super) spare: SpareRoom,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    recalls: VecDeque<Address>,
}

impl Node {
    /// Makes a node with its identity, the planet it lives on (none: it is found only by those who know its address),
    /// and the seed of all its randomness.
    pub fn new(secret: Arc<IdentitySecret>, planet: Option<World>, seed: [u8; 32], now: Now) -> Self {
        let mut timers = Timers::default();
        timers.arm(Moment::START + SWEEP_INTERVAL, Timer::Sweep);
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut node = Self {
            start: Start::new(now),
            roots: Roots::new(planet, secret.public()),
            secret,
            strangers: Strangers::new(&mut rng, Moment::START),
            rng,
            peers: Dense::default(),
            max_peers: MAX_PEERS,
            kept_alive: 0,
            peer_order: BTreeSet::new(),
            hosts: Hosts::default(),
            reassembly: Reassembly::default(),
            awaited: AwaitedPackets::default(),
            duplicates: Duplicates::default(),
            wanted: Wanted::new(Moment::START),
            surface: Surface::default(),
            own_addresses: Vec::new(),
            groups: Groups::default(),
            introductions: Introductions::default(),
            timers,
            traffic: Traffic::default(),
            spare: SpareRoom::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            recalls: VecDeque::new(),
        };
        node.count_hosts();
        node.plan_contact(Moment::START);
        node
    }

    /// Returns the address of this node.
    pub fn address(&self) -> Address {
        self.secret.address()
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.start.present(now);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Sweep => self.sweep(now),
                Timer::Roots => self.contact_roots(now),
                Timer::Whois => self.repeat_questions(now),
                Timer::Peer(octets) => self.check_peer(now, Address::from_octets(octets)),
            }
        }
    }

    fn sweep(&mut self, now: Present) {
        self.reassembly.sweep(now.mono);
        self.awaited.sweep(now.mono);
        self.duplicates.sweep(now.mono);
        self.surface.sweep(now.mono);
        self.groups.sweep(now.mono);
        self.introductions.sweep(now.mono);
        self.strangers.sweep(now.mono);
        self.peers.give_back();
        self.transmits.give_back();
        self.events.give_back();
        self.recalls.give_back();
        self.timers.arm(now.mono + SWEEP_INTERVAL, Timer::Sweep);
    }

    /// Answers a request with a configuration, given as signed chunks (`vl2.md` §4.1), each from the network id to the
    /// end of the signature.
    pub fn reply_config(&mut self, now: Now, request: RequestId, chunks: &[Vec<u8>]) {
        let now = self.start.present(now);
        self.note_configured(now, request.from, network_of(chunks));
        for chunk in chunks {
            self.send_ok(now, request, Verb::NETWORK_CONFIG_REQUEST, chunk);
        }
    }

    /// Answers a request for a network that is gone with its last configuration, which makes nobody a member.
    pub fn reply_farewell(&mut self, now: Now, request: RequestId, chunks: &[Vec<u8>]) {
        let now = self.start.present(now);
        for chunk in chunks {
            self.send_ok(now, request, Verb::NETWORK_CONFIG_REQUEST, chunk);
        }
    }

    /// Answers a request with a configuration for `network`, given as payloads that stand each behind
    /// [`RequestId::config_envelope`] already.
    pub fn reply_prepared(&mut self, now: Now, request: RequestId, network: NetworkId, payloads: &[Payload]) {
        let now = self.start.present(now);
        if !payloads.is_empty() {
            self.note_configured(now, request.from, Some(network));
        }
        for payload in payloads {
            self.send_prepared(now, request.from, Verb::OK, payload);
        }
    }

    /// Refuses a request, and has the peer count as no member of the network. `details` is the dictionary of
    /// [`ErrorCode::NETWORK_AUTHENTICATION_REQUIRED`], else empty.
    pub fn reply_error(
        &mut self,
        now: Now,
        request: RequestId,
        code: ErrorCode,
        network: NetworkId,
        details: &[u8],
    ) {
        let now = self.start.present(now);
        self.refuse(now, request, code, NetworkError { network, details });
    }

    /// Tells a member that its requests will be refused, before it asks. Clients do not look at which request an error
    /// answers.
    pub fn push_error(&mut self, now: Now, to: Address, code: ErrorCode, network: NetworkId) {
        let now = self.start.present(now);
        self.refuse(now, RequestId { from: to, packet: 0 }, code, NetworkError { network, details: &[] });
    }

    fn refuse(&mut self, now: Present, request: RequestId, code: ErrorCode, error: NetworkError<'_>) {
        self.traffic.sent.add_error(code);
        if let Some(peer) = self.peers.get_mut(&request.from) {
            peer.forget_configured(error.network);
        }
        let mut payload = Vec::new();
        error.write(&mut payload);
        let error = ErrorReply {
            in_re_verb: Verb::NETWORK_CONFIG_REQUEST,
            in_re_packet: request.packet,
            code,
            payload: &payload,
        };
        let mut bytes = Vec::new();
        error.write(&mut bytes);
        self.send(now, request.from, Verb::ERROR, &bytes);
    }

    /// Sends a configuration that nobody asked for, as signed chunks; [`Event::ConfigAcknowledged`] says that it came.
    ///
    /// A peer of protocol below 8 gets the network id alone, which makes it ask (`vl2.md` §8.4). So does one for which there
    /// are no chunks, because it has said that it takes none: it may be known through a root only, without its version.
    pub fn push_config(&mut self, now: Now, to: Address, network: NetworkId, chunks: &[Vec<u8>]) {
        let now = self.start.present(now);
        self.note_configured(now, to, network_of(chunks));
        self.push(now, to, network, !chunks.is_empty(), |node| {
            chunks.iter().for_each(|chunk| node.send(now, to, Verb::NETWORK_CONFIG, chunk));
        });
    }

    /// Does the same with payloads that may be compressed already.
    pub fn push_prepared(&mut self, now: Now, to: Address, network: NetworkId, payloads: &[Payload]) {
        let now = self.start.present(now);
        if !payloads.is_empty() {
            self.note_configured(now, to, Some(network));
        }
        self.push(now, to, network, !payloads.is_empty(), |node| {
            payloads.iter().for_each(|payload| node.send_prepared(now, to, Verb::NETWORK_CONFIG, payload));
        });
    }

    /// Sends chunks by `send`, or what makes a peer ask that would not take them, or for which there are none.
    fn push(
        &mut self,
        now: Present,
        to: Address,
        network: NetworkId,
        has_chunks: bool,
        send: impl FnOnce(&mut Self),
    ) {
        if has_chunks && self.is_modern(to) {
            send(self);
        } else {
            self.send(now, to, Verb::NETWORK_CONFIG, &network.octets());
        }
    }

    /// Notes for which network a peer gets a configuration.
    fn note_configured(&mut self, now: Present, to: Address, network: Option<NetworkId>) {
        if let (Some(network), Some(peer)) = (network, self.peers.get_mut(&to))
            && peer.note_configured(network, now.mono)
        {
            self.tell_direct_paths(now, to);
        }
    }

    /// Sends NETWORK_CREDENTIALS; its receivers take one such packet per second and drop the others.
    pub fn push_credentials(&mut self, now: Now, to: Address, payload: &[u8]) {
        let now = self.start.present(now);
        // Before protocol 8 the verb was something else.
        if self.is_modern(to) {
            self.send(now, to, Verb::NETWORK_CREDENTIALS, payload);
        }
    }

    fn is_modern(&self, peer: Address) -> bool {
        let version = self.peers.get(&peer).and_then(|peer| peer.version);
        version.is_none_or(|version| version.protocol >= MODERN_PROTOCOL)
    }

    /// Takes in an identity that has been verified, and does what waited for it.
    pub fn identity_verified(&mut self, now: Now, identity: &VerifiedIdentity) {
        let now = self.start.present(now);
        self.admit(now, identity, None);
    }

    /// Does the same with the key that this node's secret and the identity agree on, which somebody else had time to compute.
    pub fn identity_agreed(&mut self, now: Now, identity: &VerifiedIdentity, key: SessionKey) {
        let now = self.start.present(now);
        self.admit(now, identity, Some(key));
    }

    /// Drops what waited for an identity that turned out to be invalid, or that nobody had time to verify.
    pub fn identity_refused(&mut self, identity: &PublicIdentity) {
        self.strangers.refuse(identity);
    }

    /// Says whether other nodes can reach this one: it is a root, or it hears from one.
    pub fn is_online(&self, now: Now) -> bool {
        let now = self.start.present(now);
        self.roots.is_root()
            || self.roots.upstream().any(|root| {
                self.peers.get(&root).is_some_and(|peer| !peer.is_gone(now.mono) && peer.version.is_some())
            })
    }

    /// Says whether there are roots that this node could hear from.
    pub fn has_roots_above(&self) -> bool {
        self.roots.upstream().next().is_some()
    }

    /// Returns the planet.
    pub fn planet(&self) -> Option<&World> {
        self.roots.planet()
    }

    /// Returns the addresses at which others see this node: those that roots report first.
    pub fn surface_addresses(&self, now: Now) -> Vec<SocketAddr> {
        let now = self.start.present(now);
        self.surface.all(now.mono)
    }

    /// Returns the moons, ascending by id.
    pub fn moons(&self) -> &[World] {
        self.roots.moons()
    }

    /// Says whether this node is a root, of the planet or of a moon.
    pub fn is_root(&self) -> bool {
        self.roots.is_root()
    }

    /// Describes all peers, ascending by address.
    pub fn peers(&self, now: Now) -> Vec<PeerView> {
        self.peers_after(now, None, usize::MAX)
    }

    /// Describes the peers that follow `last` in the order of their addresses, at most `limit`: about half a microsecond
    /// each, so that whoever wants to see many asks in pages.
    pub fn peers_after(&self, now: Now, last: Option<Address>, limit: usize) -> Vec<PeerView> {
        let now = self.start.present(now);
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let addresses = self.peer_order.range((from, Bound::Unbounded)).take(limit);
        addresses.filter_map(|address| Some(self.view(self.peers.get(address)?, now.mono))).collect()
    }

    /// Describes those of these nodes that are peers.
    pub fn peers_of(&self, now: Now, addresses: &[Address]) -> Vec<PeerView> {
        let now = self.start.present(now);
        addresses.iter().filter_map(|address| Some(self.view(self.peers.get(address)?, now.mono))).collect()
    }

    /// Returns how many peers there are.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    fn view(&self, peer: &Peer, now: Moment) -> PeerView {
        let best = peer.best_path(now);
        let ago = |when: Moment| now.saturating_duration_since(when);
        let paths = peer.paths.iter().map(|path| PathView {
            remote: path.link().remote,
            preferred: best.is_some_and(|best| best.link() == path.link()),
            expired: path.is_expired(now),
            received_ago: path.silence(now),
            sent_ago: path.last_send.map(ago),
        });
        PeerView {
            address: peer.address(),
            version: peer.version.map(|version| (version.major, version.minor, version.revision)),
            is_root: self.roots.is_of_planet(peer.address()),
            is_moon: self.roots.contains(peer.address()) && !self.roots.is_of_planet(peer.address()),
            latency_ms: best.and_then(|path| path.latency_ms()),
            paths: paths.collect(),
            traffic: peer.traffic.into(),
        }
    }

    /// Returns how much was sent and received since the start.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Returns the next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes back a datagram that was sent: its room is used again.
    pub fn sent(&mut self, transmit: Transmit) {
        self.spare.give_back(transmit.bytes);
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the next node whose identity is not known, while something waits for it. Whoever remembers it answers with
    /// [`Node::identity_verified`]; nobody has to. Strangers cause these, up to [`MAX_RECALLS`](super::MAX_RECALLS) at once, so
    /// they should not wait before events.
    pub fn poll_recall(&mut self) -> Option<Address> {
        self.recalls.pop_front()
    }

    /// Returns when [`Node::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|moment| self.start.instant(moment))
    }

    pub(super) fn transmit(&mut self, transmit: Transmit) {
        self.traffic.sent.add_bytes(transmit.bytes.len());
        self.transmits.push_back(transmit);
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn recall(&mut self, address: Address) {
        self.recalls.push_back(address);
    }

    pub(super) fn random_id(&mut self) -> u64 {
        self.rng.next_u64()
    }
}
