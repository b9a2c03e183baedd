//! HELLO: how nodes get to know each other (`vl1.md` §10.2, §12.2).

use zt_crypto::armor::{self, Suite};
use zt_crypto::{SessionKey, VerifiedIdentity};
use zt_proto::packet::{PAYLOAD_OFFSET, PacketHeader};
use zt_proto::verb::Verb;
use zt_proto::verb::error::{ErrorCode, ErrorReply};
use zt_proto::verb::hello::{Hello, NodeVersion, parse_moons, write_moons};
use zt_proto::verb::ok::OkHello;
use zt_proto::world::{World, WorldVersion};
use zt_proto::{Address, PublicIdentity, Timestamp};

use super::awaited::Awaited;
use super::moment::Present;
use super::node::{Event, Ignored, RequestId, Transmit};
use super::peer::Peer;
use super::strangers::{Admitted, Ask, Begun, Waiting};
use super::{Link, Node, VERSION};

/// The first protocol whose nodes do not mind which port is reported to them.
const PROTOCOL_WITH_PORT: u8 = 5;
const NO_PLANET: WorldVersion = WorldVersion { id: 0, timestamp: Timestamp(0) };

impl Node {
    /// Handles a HELLO in suite 0, the only packet that is accepted from somebody unknown.
    pub(super) fn on_clear_hello(
        &mut self,
        now: Present,
        link: Link,
        packet: &mut [u8],
    ) -> Result<(), Ignored> {
        let source = PacketHeader::parse(packet)?.source;
        let Hello { version, identity, .. } = Hello::parse(packet.get(PAYLOAD_OFFSET..).unwrap_or_default())?;
        if version.protocol < NodeVersion::MIN_PROTOCOL {
            return Err(Ignored::ProtocolTooOld(version.protocol));
        }
        if identity.address != source {
            return Err(Ignored::IdentityMismatch);
        }
        match self.peers.get(&source) {
            Some(peer) if peer.identity == identity => {
                armor::open(packet, &peer.key)?;
                self.on_hello(now, link, packet)
            }
            Some(_) => self.on_collision(now, link, packet, &identity),
            None => self.on_stranger(now, link, packet, identity),
        }
    }

    /// Tells a node that its address is taken, if the packet is authentic; the known identity stays.
    fn on_collision(
        &mut self,
        now: Present,
        link: Link,
        packet: &mut [u8],
        identity: &PublicIdentity,
    ) -> Result<(), Ignored> {
        if !self.strangers.take(self.origin_of(link), now.mono) {
            return Err(Ignored::RateLimited("new identities"));
        }
        let key = self.secret.agree(identity).map_err(|_| Ignored::WeakKey)?;
        armor::open(packet, &key)?;
        let in_re_packet = PacketHeader::parse(packet)?.id;
        let error = ErrorReply {
            in_re_verb: Verb::HELLO,
            in_re_packet,
            code: ErrorCode::IDENTITY_COLLISION,
            payload: &[],
        };
        let mut payload = Vec::new();
        error.write(&mut payload);
        let mut answer = self.build(identity.address, Verb::ERROR, &payload);
        armor::seal(&mut answer, &key, Suite::Salsa20Poly1305);
        self.transmit(Transmit { link, bytes: answer });
        Err(Ignored::IdentityCollision(identity.address))
    }

    /// Has the identity of somebody new verified, if the packet is authentic.
    fn on_stranger(
        &mut self,
        now: Present,
        link: Link,
        packet: &mut [u8],
        identity: PublicIdentity,
    ) -> Result<(), Ignored> {
        if !self.strangers.has_room(&identity) {
            self.keep_hello(now, link, packet, identity.address);
            return Err(Ignored::Busy);
        }
        if !self.strangers.take(self.origin_of(link), now.mono) {
            self.keep_hello(now, link, packet, identity.address);
            return Err(Ignored::RateLimited("new identities"));
        }
        let key = self.secret.agree(&identity).map_err(|_| Ignored::WeakKey)?;
        armor::open(packet, &key)?;
        let hello = Waiting { link, packet: packet.to_vec() };
        match self.strangers.begin(identity, Some((hello, key)), now.mono) {
            Begun::New => self.emit(Event::IdentityToVerify(identity)),
            Begun::Known => {}
            Begun::Full => return Err(Ignored::Busy),
        }
        Ok(())
    }

    /// Keeps a HELLO that there is no time to open, in case that it is of a member, whose identity was verified before.
    fn keep_hello(&mut self, now: Present, link: Link, packet: &[u8], source: Address) {
        let (waiting, origin) = (Waiting { link, packet: packet.to_vec() }, self.origin_of(link));
        if self.strangers.keep_hello(source, waiting, origin, now.mono) != Ask::Nobody {
            self.recall(source);
        }
    }

    /// Takes up a verified identity as a peer and handles what waited for it.
    pub(super) fn admit(&mut self, now: Present, identity: &VerifiedIdentity, key: Option<SessionKey>) {
        self.take_up(now, identity.public(), key);
    }

    /// Does that for [`Node::admit`], which proves that the identity is valid. One whose address is known with another key
    /// is dropped: the first one stays.
    pub(super) fn take_up(&mut self, now: Present, identity: &PublicIdentity, agreed: Option<SessionKey>) {
        let Admitted { key, hellos, packets, meeting } = self.strangers.admit(identity);
        let address = identity.address;
        if !self.peers.contains_key(&address) {
            if self.peers.len() >= self.max_peers {
                return;
            }
            let Some(key) = agreed.or(key).or_else(|| self.secret.agree(identity).ok()) else { return };
            self.insert_peer(now, Peer::new(*identity, key, now.mono));
        }
        if self.peers.get(&address).is_none_or(|peer| peer.identity != *identity) {
            return;
        }
        for Waiting { link, mut packet } in hellos {
            if let Err(reason) = self.on_hello(now, link, &mut packet) {
                tracing::debug!(peer = %address, %reason, "HELLO ignored");
            }
        }
        for Waiting { link, mut packet } in packets {
            if let Err(reason) = self.handle_packet(now, link, &mut packet) {
                tracing::debug!(peer = %address, %reason, "packet ignored");
            }
        }
        if let Some(link) = meeting {
            self.meet(now, address, link);
        }
        self.flush_wanted(now, address);
    }

    /// Answers an authentic HELLO of a known peer.
    pub(super) fn on_hello(&mut self, now: Present, link: Link, packet: &mut [u8]) -> Result<(), Ignored> {
        let header = PacketHeader::parse(packet)?;
        let (from, hops) = (header.source, header.hops());
        let Some(peer) = self.peers.get_mut(&from) else { return Err(Ignored::UnknownSource(from)) };
        if !peer.take_hello(now.mono) {
            return Err(Ignored::RateLimited("HELLO"));
        }
        let payload = packet.get_mut(PAYLOAD_OFFSET..).unwrap_or_default();
        let hello = Hello::parse(payload)?;
        if hello.version.protocol < NodeVersion::MIN_PROTOCOL {
            return Err(Ignored::ProtocolTooOld(hello.version.protocol));
        }
        let mut moons = Vec::new();
        if !hello.tail.is_empty() {
            let tail_offset = hello.tail_offset(payload);
            let tail = payload.get_mut(tail_offset..).unwrap_or_default();
            armor::mask_hello_tail(tail, header.id, &peer.key);
            // A list that lies about its length makes the whole HELLO suspect.
            moons.extend(parse_moons(tail)?);
        }
        let hello = Hello::parse(payload)?;
        let mut seen_at = link.remote;
        if hello.version.protocol < PROTOCOL_WITH_PORT {
            seen_at.set_port(0);
        }
        let world_data = self.roots.updates_for(hello.planet, &moons);
        let answer = OkHello {
            timestamp: hello.timestamp,
            version: VERSION,
            endpoint: Some(seen_at),
            world_data: &world_data,
        };
        let (version, seen_as) = (hello.version, hello.destination);
        let mut bytes = Vec::new();
        answer.write(&mut bytes);
        self.send_ok_back(now, link, RequestId { from, packet: header.id }, Verb::HELLO, &bytes);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.version = Some(version);
        }
        self.received(now, link, from, hops, Verb::HELLO, None);
        self.note_greeted(from);
        if hops == 0 {
            self.note_surface(now, from, link, seen_as);
        }
        Ok(())
    }

    /// Learns from the answer to a HELLO of ours.
    pub(super) fn on_ok_hello(
        &mut self,
        now: Present,
        link: Link,
        from: Address,
        hops: u8,
        answer: &[u8],
        asked: Awaited,
    ) -> Result<(), Ignored> {
        let answer = OkHello::parse(answer)?;
        let OkHello { version, endpoint: seen_as, .. } = answer;
        if version.protocol < NodeVersion::MIN_PROTOCOL {
            return Err(Ignored::ProtocolTooOld(version.protocol));
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.version = Some(version);
        }
        self.received(now, link, from, hops, Verb::OK, Some(asked));
        self.note_greeted(from);
        if hops == 0
            && let Some(path) = self.peers.get_mut(&from).and_then(|peer| peer.path(link))
        {
            path.measured(now.mono.saturating_duration_since(asked.sent));
        }
        if hops == 0 {
            self.note_surface(now, from, link, seen_as);
        }
        self.on_world_data(now, from, &answer);
        Ok(())
    }

    /// Sends HELLO to a peer at an address that is to be tested or kept.
    pub(super) fn say_hello(&mut self, now: Present, to: Address, link: Link) {
        let known: Vec<_> = self.roots.moons().iter().map(World::version).collect();
        let mut moons = Vec::new();
        write_moons(&known, &mut moons);
        let hello = Hello {
            version: VERSION,
            timestamp: now.wall,
            identity: *self.secret.public(),
            destination: Some(link.remote),
            // A node without a planet says so with id 0, which nobody has an update for.
            planet: Some(self.roots.planet().map_or(NO_PLANET, World::version)),
            tail: &moons,
        };
        let mut payload = Vec::new();
        let tail_offset = hello.write(&mut payload);
        let mut packet = self.begin_packet(to, Verb::HELLO.to_byte(false), payload.len());
        packet.extend_from_slice(&payload);
        let Some(peer) = self.peers.get(&to) else { return };
        if let Ok(header) = PacketHeader::parse(&packet) {
            let tail = packet.get_mut(PAYLOAD_OFFSET + tail_offset..).unwrap_or_default();
            armor::mask_hello_tail(tail, header.id, &peer.key);
        }
        self.seal_in_suite(now, to, link, packet, Suite::Poly1305);
    }
}
