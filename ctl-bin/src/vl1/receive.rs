//! What is trusted, in which order; then one match arm a verb (`vl1.md` §7.3, §12).

use zt_crypto::armor::{self, Suite, extended};
use zt_proto::packet::{Datagram, MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::Verb;
use zt_proto::verb::error::{ErrorCode, ErrorReply};
use zt_proto::verb::network_config::ConfigAcknowledgement;
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::OkReply;
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::{Address, compression};

use super::awaited::Awaited;
use super::moment::Present;
use super::node::{ConfigRequested, Event, Ignored, RequestId};
use super::reassembly::Piece;
use super::strangers::{Ask, Waiting};
use super::{Link, Node, Now};

/// An authentic packet, decompressed.
struct Message<'a> {
    link: Link,
    request: RequestId,
    hops: u8,
    verb: Verb,
    payload: &'a [u8],
}

impl Node {
    /// Takes a datagram that came over `link`; its bytes are used as scratch space.
    ///
    /// # Errors
    /// Why it had no effect. Nothing here is the fault of this program, and nothing needs to be done about it.
    pub fn handle_datagram(&mut self, now: Now, link: Link, datagram: &mut [u8]) -> Result<(), Ignored> {
        let now = self.start.present(now);
        self.traffic.received.add_bytes(datagram.len());
        let own = self.address();
        let ip = link.remote.ip();
        let whole = match Datagram::classify(datagram)? {
            Datagram::Fragment(header, _) if header.destination != own => {
                return self.relay_fragment(now, link, header, datagram);
            }
            Datagram::Packet(header) if header.destination != own => {
                return self.relay_packet(now, link, header, datagram);
            }
            Datagram::Packet(header) if !header.is_fragmented() => {
                return self.handle_packet(now, link, datagram);
            }
            Datagram::Packet(header) => self.reassembly.add(ip, header.id, Piece::Head(datagram), now.mono),
            Datagram::Fragment(header, data) => {
                let piece = Piece::Fragment { number: header.number, total: header.total, data };
                self.reassembly.add(ip, header.packet_id, piece, now.mono)
            }
        };
        let mut packet = whole.ok_or(Ignored::Incomplete)?;
        self.handle_packet(now, link, &mut packet)
    }

    /// Handles a whole packet for this node (`vl1.md` §12.1).
    pub(super) fn handle_packet(
        &mut self,
        now: Present,
        link: Link,
        packet: &mut [u8],
    ) -> Result<(), Ignored> {
        let packet = if extended::is_marked(packet) {
            // Costs a key agreement before anything is known of the sender.
            if !self.strangers.take(self.origin_of(link), now.mono) {
                return Err(Ignored::RateLimited("encrypted HELLO"));
            }
            extended::open(packet, &self.secret)?
        } else {
            packet
        };
        let header = PacketHeader::parse(packet)?;
        let source = header.source;
        if source == self.address() {
            return Err(Ignored::Own);
        }
        let is_hello = packet.get(VERB_OFFSET).is_some_and(|byte| Verb::from_byte(*byte).0 == Verb::HELLO);
        if header.suite() == Suite::Poly1305.number() && is_hello {
            return self.on_clear_hello(now, link, packet);
        }
        let Some(peer) = self.peers.get(&source) else {
            return self.keep_packet(now, link, source, packet);
        };
        let mark = self.duplicates.mark(source, header.id);
        if self.duplicates.contains(mark) {
            return Err(Ignored::Duplicate);
        }
        let suite = match armor::open(packet, &peer.key) {
            Ok(suite) => suite,
            Err(error) => {
                self.note_broken(source);
                return Err(error.into());
            }
        };
        let (verb, is_compressed) = Verb::from_byte(packet.get(VERB_OFFSET).copied().unwrap_or_default());
        if suite == Suite::Poly1305 {
            // Authentic, but readable on the way; the verbs that clients send so mean nothing to this node.
            return Err(Ignored::Clear(verb));
        }
        if verb == Verb::HELLO {
            // A node sends copies of one HELLO from all its sockets, and each deserves its answer.
            return self.on_hello(now, link, packet);
        }
        self.duplicates.insert(mark, now.mono);
        let payload = packet.get(PAYLOAD_OFFSET..).unwrap_or_default();
        let request = RequestId { from: source, packet: header.id };
        let message = Message { link, request, hops: header.hops(), verb, payload };
        if is_compressed && !payload.is_empty() {
            let payload = compression::decompress(payload, MAX_PAYLOAD)?;
            self.handle_message(now, &Message { payload: &payload, ..message })
        } else {
            self.handle_message(now, &message)
        }
    }

    fn note_broken(&mut self, source: Address) {
        if let Some(peer) = self.peers.get_mut(&source) {
            peer.traffic.broken = peer.traffic.broken.saturating_add(1);
        }
    }

    /// Keeps a packet until the identity of its source is known.
    fn keep_packet(
        &mut self,
        now: Present,
        link: Link,
        source: Address,
        packet: &[u8],
    ) -> Result<(), Ignored> {
        let (waiting, origin) = (Waiting { link, packet: packet.to_vec() }, self.origin_of(link));
        match self.strangers.keep(source, waiting, origin, now.mono) {
            Ask::Nobody => {}
            Ask::Memory => self.recall(source),
            Ask::Roots => {
                // The last look may have been lost, so another does not wait until the question to the roots is given up.
                if !self.want(now, source) {
                    self.recall(source);
                }
            }
        }
        Err(Ignored::UnknownSource(source))
    }

    fn handle_message(&mut self, now: Present, message: &Message<'_>) -> Result<(), Ignored> {
        let Message { link, request, hops, verb, payload } = *message;
        if verb == Verb::OK {
            return self.on_ok(now, message);
        }
        self.received(now, link, request.from, hops, verb, None);
        match verb {
            Verb::NETWORK_CONFIG_REQUEST => self.on_config_request(now, message),
            Verb::WHOIS => self.on_whois(now, request, payload),
            Verb::ECHO => self.on_echo(now, message),
            Verb::MULTICAST_LIKE => self.on_multicast_like(now, request.from, payload),
            Verb::MULTICAST_GATHER => self.on_multicast_gather(now, request, payload),
            Verb::RENDEZVOUS => self.on_rendezvous(now, link, request.from, payload),
            Verb::PUSH_DIRECT_PATHS => self.on_push_direct_paths(now, link, request.from, payload),
            Verb::ERROR => self.on_error(request.from, payload),
            // Everything else is a sign of life and no more: frames and credentials are between members.
            _ => Ok(()),
        }
    }

    fn on_ok(&mut self, now: Present, message: &Message<'_>) -> Result<(), Ignored> {
        let Message { link, request, hops, payload, .. } = *message;
        let reply = OkReply::parse(payload)?;
        let asked = self.awaited.get(reply.in_re_packet, request.from, link.remote, now.mono);
        let asked = asked.ok_or(Ignored::UnexpectedOk)?;
        if reply.in_re_verb == Verb::HELLO {
            return self.on_ok_hello(now, link, request.from, hops, reply.payload, asked);
        }
        self.received(now, link, request.from, hops, Verb::OK, Some(asked));
        if reply.in_re_verb == Verb::WHOIS {
            return self.on_ok_whois(now, request.from, reply.payload);
        }
        // By a slip of the reference it names ECHO, whatever was pushed (`vl1.md` §10.11).
        let is_named = matches!(reply.in_re_verb, Verb::ECHO | Verb::NETWORK_CONFIG);
        if is_named && asked.verb == Verb::NETWORK_CONFIG {
            let ConfigAcknowledgement { network, update_id } = ConfigAcknowledgement::parse(reply.payload)?;
            self.emit(Event::ConfigAcknowledged { member: request.from, network, update_id });
        }
        Ok(())
    }

    fn on_config_request(&mut self, now: Present, message: &Message<'_>) -> Result<(), Ignored> {
        let from = message.request.from;
        let asked = NetworkConfigRequest::parse(message.payload)?;
        let Some(peer) = self.peers.get_mut(&from) else { return Ok(()) };
        if !peer.take_config_request(now.mono) {
            return Err(Ignored::RateLimited("configuration requests"));
        }
        let event = ConfigRequested {
            request: message.request,
            identity: peer.identity,
            network: asked.network,
            metadata: asked.metadata.to_vec(),
            from: (message.hops == 0).then_some(message.link.remote),
        };
        self.emit(Event::ConfigRequested(event));
        Ok(())
    }

    fn on_echo(&mut self, now: Present, message: &Message<'_>) -> Result<(), Ignored> {
        let Message { link, request, payload, .. } = *message;
        let Some(peer) = self.peers.get_mut(&request.from) else { return Ok(()) };
        if !peer.take_echo(link, now.mono) {
            return Err(Ignored::RateLimited("ECHO"));
        }
        self.send_ok_back(now, link, request, Verb::ECHO, payload);
        Ok(())
    }

    /// Of all errors only one can concern a node that has joined nothing: a root knows its address with another key.
    fn on_error(&mut self, from: Address, payload: &[u8]) -> Result<(), Ignored> {
        let error = ErrorReply::parse(payload)?;
        self.traffic.received.add_error(error.code);
        let is_collision = error.in_re_verb == Verb::HELLO && error.code == ErrorCode::IDENTITY_COLLISION;
        if is_collision && !self.roots.contains(from) {
            return Err(Ignored::NotFromRoot);
        }
        if is_collision {
            // It goes on serving those who know it directly.
            tracing::error!(root = %from, "another node has the address of this one; it needs a new identity");
        }
        Ok(())
    }

    /// Contacts a peer where a root saw it.
    fn on_rendezvous(
        &mut self,
        now: Present,
        link: Link,
        from: Address,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        if !self.roots.contains(from) {
            return Err(Ignored::NotFromRoot);
        }
        let Rendezvous { peer: other, endpoint, .. } = Rendezvous::parse(payload)?;
        let link = link.toward(endpoint);
        if self.peers.contains_key(&other) {
            self.meet(now, other, link);
        } else {
            self.wanted.meet(other, link);
            self.strangers.meet(other, link);
        }
        Ok(())
    }

    /// Contacts a peer where somebody says that it can be found.
    pub(super) fn meet(&mut self, now: Present, address: Address, link: Link) {
        let may_test = self.may_be_path(address, link);
        let Some(peer) = self.peers.get_mut(&address).filter(|_| may_test) else { return };
        if peer.take_test(link, now.mono) {
            self.contact(now, address, link);
        }
    }

    /// Notes that an authentic packet came: a direct one keeps its path alive, and over a new link it is a reason to
    /// test that link. Only an answer to a packet of ours proves it (`vl1.md` §13.3, §13.4).
    pub(super) fn received(
        &mut self,
        now: Present,
        link: Link,
        from: Address,
        hops: u8,
        verb: Verb,
        answered: Option<Awaited>,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.last_receive = now.mono;
        peer.traffic.received = peer.traffic.received.saturating_add(1);
        self.traffic.received.add_packet(verb);
        if hops == 0 {
            match peer.path(link) {
                Some(path) => {
                    path.heard(now.mono);
                    // The answer counts only if it came from where the question went: its source can be forged.
                    if let Some(asked) = answered.filter(|asked| asked.came_back) {
                        path.answered(asked.sent);
                    }
                    if path.needs_proof(now.mono) {
                        self.prove(now, from, link);
                    }
                }
                None => self.heard_elsewhere(now, link, from, answered),
            }
        }
        let is_nontrivial = matches!(
            verb,
            Verb::FRAME
                | Verb::EXT_FRAME
                | Verb::NETWORK_CONFIG_REQUEST
                | Verb::NETWORK_CONFIG
                | Verb::MULTICAST_FRAME
        );
        if is_nontrivial {
            self.note_nontrivial(now, from);
            if hops > 0 {
                self.tell_direct_paths(now, from);
            }
        }
    }

    /// Looks at a link, not a path yet, over which a peer was heard.
    fn heard_elsewhere(&mut self, now: Present, link: Link, from: Address, answered: Option<Awaited>) {
        let may_be_path = self.may_be_path(from, link);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if !may_be_path {
            return;
        }
        let mut beside = peer.living_paths_beside(link, now.mono).peekable();
        if beside.peek().is_some() {
            // The peer may have moved here, and what comes over that path be recorded.
            let unproven = beside.filter(|path| path.may_be_asked(now.mono)).map(|path| path.link());
            let unproven: Vec<_> = unproven.collect();
            for link in unproven {
                self.prove(now, from, link);
            }
            return;
        }
        drop(beside);
        match answered {
            // As above.
            Some(asked) if asked.came_back => self.learn_path(now, from, link),
            Some(_) => {}
            None if peer.take_test(link, now.mono) => self.say_hello(now, from, link),
            None => {}
        }
    }
}
