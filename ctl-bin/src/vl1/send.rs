//! From a verb and its payload to datagrams: armor, fragments, the choice of a path (`vl1.md` §6.5, §14.1).

use zt_crypto::armor::{self, Suite};
use zt_proto::Address;
use zt_proto::compression::{self, Payload};
use zt_proto::packet::{DEFAULT_MTU, HeaderMut, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET, fragment};
use zt_proto::verb::Verb;
use zt_proto::verb::ok::OkReply;

use super::moment::Present;
use super::node::{RequestId, Transmit};
use super::{Link, Node};

/// Says whether the answer to a packet of this verb must be recognised.
fn is_awaited(verb: Verb) -> bool {
    matches!(verb, Verb::HELLO | Verb::ECHO | Verb::WHOIS | Verb::NETWORK_CONFIG)
}

fn ok_payload(request: RequestId, in_re_verb: Verb, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + payload.len());
    OkReply { in_re_verb, in_re_packet: request.packet, payload }.write(&mut bytes);
    bytes
}

impl Node {
    /// Sends over the best path to `to`, else through a root, else over a path that worked once, else as soon as there is a
    /// path. The identity of somebody unknown is asked for first.
    ///
    /// Nothing goes to an address that was not confirmed. What does (HELLO, and the answers to HELLO and ECHO) is small
    /// and limited per peer, so a forged source address reflects little.
    pub(super) fn send(&mut self, now: Present, to: Address, verb: Verb, payload: &[u8]) {
        let packet = self.build(to, verb, payload);
        self.dispatch(now, to, packet);
    }

    /// Sends a payload by the same ways that may be compressed already.
    pub(super) fn send_prepared(&mut self, now: Present, to: Address, verb: Verb, payload: &Payload) {
        let verb_byte = verb.to_byte(payload.is_compressed);
        let mut packet = self.begin_packet(to, verb_byte, payload.bytes.len());
        packet.extend_from_slice(&payload.bytes);
        self.dispatch(now, to, packet);
    }

    /// Sends an OK by the same ways as [`Node::send`].
    pub(super) fn send_ok(&mut self, now: Present, request: RequestId, in_re_verb: Verb, payload: &[u8]) {
        self.send(now, request.from, Verb::OK, &ok_payload(request, in_re_verb, payload));
    }

    /// Sends an OK straight to where the request came from, for what proves to the asker that the way works.
    pub(super) fn send_ok_back(
        &mut self,
        now: Present,
        link: Link,
        request: RequestId,
        in_re_verb: Verb,
        payload: &[u8],
    ) {
        self.send_over(now, link, request.from, Verb::OK, &ok_payload(request, in_re_verb, payload));
    }

    /// Sends over one link, whether it is confirmed or not.
    pub(super) fn send_over(&mut self, now: Present, link: Link, to: Address, verb: Verb, payload: &[u8]) {
        let packet = self.build(to, verb, payload);
        self.seal_and_transmit(now, to, link, packet);
    }

    /// Builds a packet without armor; the payload is compressed where that pays.
    pub(super) fn build(&mut self, to: Address, verb: Verb, payload: &[u8]) -> Vec<u8> {
        let compressed = compression::compress(payload);
        let verb_byte = verb.to_byte(compressed.is_some());
        let payload = compressed.as_deref().unwrap_or(payload);
        let mut packet = self.begin_packet(to, verb_byte, payload.len());
        packet.extend_from_slice(payload);
        packet
    }

    /// Builds header and verb of a packet, with a fresh id and no armor.
    pub(super) fn begin_packet(&mut self, to: Address, verb_byte: u8, payload_len: usize) -> Vec<u8> {
        let mut packet = self.spare.take(PAYLOAD_OFFSET + payload_len);
        let header = PacketHeader {
            id: self.random_id(),
            destination: to,
            source: self.address(),
            flags: 0,
            mac: [0; 8],
        };
        header.write(&mut packet);
        packet.push(verb_byte);
        packet
    }

    fn dispatch(&mut self, now: Present, to: Address, mut packet: Vec<u8>) {
        let Some(peer) = self.peers.get(&to) else {
            // It may have had room for a longer one, and there may be many that wait.
            packet.shrink_to_fit();
            if self.wanted.keep(to, packet, now.mono) {
                self.ask_for(now, to);
            }
            return;
        };
        let link = peer.best_path(now.mono).map(|path| path.link());
        let link = link.or_else(|| self.relay_link(now, to));
        let link = link.or_else(|| peer.last_resort().map(|path| path.link()));
        match link {
            Some(link) => self.seal_and_transmit(now, to, link, packet),
            None => {
                if let Some(peer) = self.peers.get_mut(&to) {
                    packet.shrink_to_fit();
                    peer.keep(packet, now.mono);
                }
            }
        }
    }

    /// Returns the way to the best root above this node, which relays to everybody.
    pub(super) fn relay_link(&self, now: Present, to: Address) -> Option<Link> {
        let roots = self.roots.upstream().filter(|root| *root != to);
        let paths = roots.filter_map(|root| self.peers.get(&root)?.best_path(now.mono));
        paths.min_by_key(|path| path.badness(now.mono)).map(|path| path.link())
    }

    /// Sends what waited for the identity of `to`, and goes to meet it where a root said.
    pub(super) fn flush_wanted(&mut self, now: Present, to: Address) {
        let (packets, meeting) = self.wanted.take(to, now.mono);
        if let Some(link) = meeting {
            self.meet(now, to, link);
        }
        for packet in packets {
            self.dispatch(now, to, packet);
        }
    }

    /// Sends what waited for a path to `to`.
    pub(super) fn flush_outbox(&mut self, now: Present, to: Address) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        for packet in peer.take_outbox(now.mono) {
            self.dispatch(now, to, packet);
        }
    }

    /// Armors a packet for `to` in the suite that it understands and sends it over `link`.
    fn seal_and_transmit(&mut self, now: Present, to: Address, link: Link, packet: Vec<u8>) {
        let Some(peer) = self.peers.get(&to) else { return };
        let suite = peer.suite();
        self.seal_in_suite(now, to, link, packet, suite);
    }

    /// Armors a packet for the known peer `to` and sends it over `link`, in pieces where it is too long.
    pub(super) fn seal_in_suite(
        &mut self,
        now: Present,
        to: Address,
        link: Link,
        mut packet: Vec<u8>,
        suite: Suite,
    ) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let verb = packet.get(VERB_OFFSET).map(|byte| Verb::from_byte(*byte).0);
        let is_probe = matches!(verb, Some(Verb::HELLO | Verb::ECHO));
        peer.traffic.sent = peer.traffic.sent.saturating_add(1);
        if let Some(verb) = verb {
            self.traffic.sent.add_packet(verb);
        }
        // Size and flags enter the MAC, so fragmentation is decided before the packet is armored.
        if packet.len() > DEFAULT_MTU
            && let Some(mut header) = HeaderMut::of(&mut packet)
        {
            header.set_fragmented(true);
        }
        armor::seal(&mut packet, &peer.key, suite);
        if let Some(path) = peer.path(link) {
            path.sent(is_probe, now.mono);
        }
        if let Some(verb) = verb.filter(|verb| is_awaited(*verb))
            && let Ok(header) = PacketHeader::parse(&packet)
        {
            self.awaited.insert(header.id, to, verb, link.remote, now.mono);
        }
        if packet.len() <= DEFAULT_MTU {
            self.transmit(Transmit { link, bytes: packet });
        } else {
            for bytes in fragment::split(&packet, DEFAULT_MTU) {
                self.transmit(Transmit { link, bytes });
            }
        }
    }
}
