//! A node, and a member with a confirmed path that asks it; what the member does is counted too, and always the same.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ctl_bin::vl1::{Event, Link, Node, Now, RequestId};
use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey, VerifiedIdentity};
use zt_proto::compression::Payload;
use zt_proto::packet::{PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::{NetworkId, Timestamp};

const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };

fn secret(line: usize) -> IdentitySecret {
    let mut lines = include_str!("../../../fuzz/testdata/identities.txt").lines();
    lines.nth(line).and_then(|line| line.parse().ok()).expect("the file has three identities")
}

pub(crate) fn controller() -> IdentitySecret {
    secret(0)
}

pub(crate) fn member() -> IdentitySecret {
    secret(1)
}

pub(crate) struct Lab {
    node: Node,
    member: IdentitySecret,
    key: SessionKey,
    link: Link,
    packets: u64,
    elapsed: Duration,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let (controller, member) = (Arc::new(controller()), member());
        let key = member.agree(controller.public()).expect("the keys are not weak");
        let link = Link { local: None, remote: ([10, 0, 0, 2], 9993).into() };
        let elapsed = Duration::ZERO;
        let node = Node::new(controller, None, [7; 32], at(elapsed));
        let mut lab = Self { node, member, key, link, packets: 0, elapsed };
        let hello = lab.hello();
        lab.deliver(hello);
        while let Some(event) = lab.node.poll_event() {
            if let Event::IdentityToVerify(identity) = event {
                lab.node.identity_verified(at(elapsed), &VerifiedIdentity::trusted(identity));
            }
        }
        while let Some(transmit) = lab.node.poll_transmit() {
            if let Some(answer) = lab.answer(transmit.bytes) {
                lab.deliver(answer);
            }
        }
        lab
    }

    /// Has the member ask and the node answer with what `answer` makes of it; says whether it does.
    pub(crate) fn ask(
        &mut self,
        network: NetworkId,
        metadata: &[u8],
        answer: impl Fn(RequestId) -> Vec<Payload>,
    ) -> bool {
        self.elapsed += Duration::from_secs(1);
        let mut payload = Vec::new();
        let (have_revision, have_timestamp) = (0, Timestamp(0));
        NetworkConfigRequest { network, metadata, have_revision, have_timestamp }.write(&mut payload);
        let packet = self.packet(Verb::NETWORK_CONFIG_REQUEST, &payload, Suite::AesGmacSiv);
        self.deliver(packet);
        let Some(Event::ConfigRequested(requested)) = self.node.poll_event() else { return false };
        let (now, request) = (at(self.elapsed), requested.request);
        self.node.reply_prepared(now, request, network, &answer(request));
        let sent = self.node.poll_transmit();
        let is_sent = sent.as_ref().is_some_and(|transmit| transmit.link == self.link);
        // As the loop does.
        sent.into_iter().for_each(|transmit| self.node.sent(transmit));
        is_sent
    }

    fn deliver(&mut self, mut packet: Vec<u8>) {
        // A packet that has no effect shows in what follows.
        self.node.handle_datagram(at(self.elapsed), self.link, &mut packet).ok();
    }

    fn begin(&mut self, verb: Verb) -> Vec<u8> {
        self.packets += 1;
        // Differs in the bits by which a node remembers what it sent.
        let id = self.packets.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (destination, source) = (self.node.address(), self.member.address());
        let mut packet = Vec::new();
        PacketHeader { id, destination, source, flags: 0, mac: [0; 8] }.write(&mut packet);
        packet.push(verb.to_byte(false));
        packet
    }

    fn packet(&mut self, verb: Verb, payload: &[u8], suite: Suite) -> Vec<u8> {
        let mut packet = self.begin(verb);
        packet.extend_from_slice(payload);
        armor::seal(&mut packet, &self.key, suite);
        packet
    }

    fn hello(&mut self) -> Vec<u8> {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: VERSION,
            timestamp: Timestamp(1),
            identity: *self.member.public(),
            destination: Some(SocketAddr::from(([10, 0, 0, 1], 9993))),
            planet: None,
            tail: &tail,
        };
        let mut packet = self.begin(Verb::HELLO);
        let start = packet.len() + hello.write(&mut packet);
        if let (Ok(header), Some(tail)) = (PacketHeader::parse(&packet), packet.get_mut(start..)) {
            armor::mask_hello_tail(tail, header.id, &self.key);
        }
        armor::seal(&mut packet, &self.key, Suite::Poly1305);
        packet
    }

    /// Answers a HELLO of the node, which confirms the path.
    fn answer(&mut self, mut packet: Vec<u8>) -> Option<Vec<u8>> {
        let in_re_packet = PacketHeader::parse(&packet).ok()?.id;
        armor::open(&mut packet, &self.key).ok()?;
        let (in_re_verb, _) = Verb::from_byte(*packet.get(VERB_OFFSET)?);
        if in_re_verb != Verb::HELLO {
            return None;
        }
        let timestamp = Hello::parse(packet.get(PAYLOAD_OFFSET..)?).ok()?.timestamp;
        let (mut payload, mut reply) = (Vec::new(), Vec::new());
        OkHello { timestamp, version: VERSION, endpoint: Some(self.link.remote), world_data: &[] }
            .write(&mut payload);
        OkReply { in_re_verb, in_re_packet, payload: &payload }.write(&mut reply);
        Some(self.packet(Verb::OK, &reply, Suite::AesGmacSiv))
    }
}

fn at(elapsed: Duration) -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to make an Instant; only differences matter"
    )]
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Now { mono: *EPOCH + elapsed, wall: Timestamp(1_700_000_000_000_u64.saturating_add(millis)) }
}
