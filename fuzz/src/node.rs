//! The VL1 node, in a short life that the input tells step by step.

use std::array;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ctl_bin::vl1::{ConfigRequested, Event, Link, Node, Now};
use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey, VerifiedIdentity};
use zt_proto::codec::Reader;
use zt_proto::credential::Signature;
use zt_proto::packet::{
    Datagram, HeaderMut, MAX_PACKET, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET, fragment,
};
use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::hello::{Hello, NodeVersion, write_moons};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::world::{Root, World, WorldKind, WorldVersion};
use zt_proto::{Address, DecodeError, Timestamp};

/// The node and two members, R, A and B of the recorded session in the vectors, so that its datagrams fit.
static SECRETS: LazyLock<[Arc<IdentitySecret>; 3]> = LazyLock::new(|| {
    let mut texts = include_str!("../testdata/identities.txt").lines();
    array::from_fn(|_| Arc::new(texts.next().and_then(|text| text.parse().ok()).expect("the file has three")))
});
static VERIFIED: LazyLock<[VerifiedIdentity; 3]> = LazyLock::new(|| {
    SECRETS.each_ref().map(|secret| secret.verify().expect("the recorded nodes have valid identities"))
});

/// What one datagram may make the node send: answers to a request in pieces, introductions, tests of a path.
const MAX_ANSWERS: usize = 64;
const PLANET: WorldVersion = WorldVersion { id: 42, timestamp: Timestamp(1000) };
const SMALL_MTU: usize = 200;

/// A script of steps, each `what:1 length:2 bytes`. Returns whether the node took any datagram in it.
pub fn node_datagram(data: &[u8]) -> bool {
    let mut lab = Lab::new();
    let mut script = Reader::new(data);
    let mut accepted = false;
    while let Ok(step) = Step::parse(&mut script) {
        accepted |= lab.step(step);
    }
    // Whatever is left, time takes it away.
    for _ in 0..3 {
        lab.pass(Duration::from_secs(1200));
    }
    accepted
}

/// What happens next.
struct Step<'a> {
    /// Bits 0 and 1: what. Bit 2: who. Bit 3: an older cipher suite. Bit 4: in small pieces. Bit 5: from elsewhere.
    what: u8,
    length: u16,
    bytes: &'a [u8],
}

impl<'a> Step<'a> {
    const RAW: u8 = 0;
    const SEALED: u8 = 1;
    const PASS: u8 = 2;
    const RELAYED: u8 = 3;

    fn parse(script: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let what = script.u8("step")?;
        let length = script.u16("step length")?;
        let bytes = if what & 3 == Self::PASS { &[] } else { script.bytes(length.into(), "step bytes")? };
        Ok(Self { what, length, bytes })
    }

    fn has(&self, bit: u8) -> bool {
        self.what & 1 << bit != 0
    }
}

/// A node that is a root, and two members that have said HELLO to it.
struct Lab {
    node: Node,
    members: [Member; 2],
    elapsed: Duration,
}

impl Lab {
    fn new() -> Self {
        let [root, a, b] = &*SECRETS;
        let planet = World {
            kind: WorldKind::Planet,
            id: PLANET.id,
            timestamp: PLANET.timestamp,
            update_key: [0; 64],
            signature: Signature::NONE,
            roots: vec![Root { identity: *root.public(), endpoints: vec![([10, 0, 0, 1], 9993).into()] }],
        };
        let members = [Member::new(a, root, [10, 0, 0, 2]), Member::new(b, root, [10, 0, 0, 3])];
        let elapsed = Duration::ZERO;
        let mut lab =
            Self { node: Node::new(root.clone(), Some(planet), [7; 32], at(elapsed)), members, elapsed };
        for member in 0..lab.members.len() {
            let hello = lab.members.get_mut(member).map(Member::hello);
            lab.deliver(member, hello.into_iter());
        }
        lab
    }

    fn step(&mut self, step: Step<'_>) -> bool {
        let who = usize::from(step.has(2));
        let suite = if step.has(3) { Suite::Salsa20Poly1305 } else { Suite::AesGmacSiv };
        let mtu = if step.has(4) { SMALL_MTU } else { MAX_PACKET };
        let Some([member, other]) = self.members.get_disjoint_mut([who, 1 - who]).ok() else { return false };
        if step.has(5) {
            member.link.remote.set_port(1234);
        }
        let datagrams: Vec<_> = match step.what & 3 {
            Step::RAW => vec![step.bytes.to_vec()],
            Step::SEALED => fragment::split(&member.packet(step.bytes, suite, mtu), mtu).collect(),
            Step::RELAYED => {
                let mut packet = member.begin(other.secret.address());
                packet.extend_from_slice(step.bytes);
                vec![packet]
            }
            _ => {
                self.pass(Duration::from_millis(100 * u64::from(step.length)));
                return false;
            }
        };
        self.deliver(who, datagrams.into_iter())
    }

    /// Hands datagrams to the node and does what follows; returns whether it took any.
    fn deliver(&mut self, from: usize, datagrams: impl Iterator<Item = Vec<u8>>) -> bool {
        let mut accepted = false;
        for mut datagram in datagrams {
            let Some(link) = self.members.get(from).map(|member| member.link) else { return false };
            accepted |= self.node.handle_datagram(at(self.elapsed), link, &mut datagram).is_ok();
            self.drain(1);
        }
        accepted
    }

    fn pass(&mut self, time: Duration) {
        self.elapsed += time;
        let now = at(self.elapsed);
        self.node.handle_timeout(now);
        assert!(
            self.node.poll_timeout().is_none_or(|due| due > now.mono),
            "what is due would be due for ever"
        );
        self.drain(1);
        assert!(self.node.peers(now).len() <= VERIFIED.len());
    }

    /// Takes what comes out and answers it; what answers cause is answered once more.
    fn drain(&mut self, again: u8) {
        let now = at(self.elapsed);
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::IdentityToVerify(identity) => {
                    match VERIFIED.iter().find(|known| *known.public() == identity) {
                        Some(verified) => self.node.identity_verified(now, verified),
                        None => self.node.identity_refused(&identity),
                    }
                }
                Event::ConfigRequested(requested) => self.answer(&requested),
                // The server writes the one to a file, and repeats what it does not get the other for.
                Event::WorldUpdated(_) | Event::ConfigAcknowledged { .. } => {}
                Event::Greeted(_) => {}
            }
        }
        while let Some(address) = self.node.poll_recall() {
            if let Some(verified) = VERIFIED.iter().find(|known| known.address() == address) {
                self.node.identity_verified(now, verified);
            }
        }
        let mut answers = Vec::new();
        for count in 0.. {
            let Some(transmit) = self.node.poll_transmit() else { break };
            assert!(count < MAX_ANSWERS, "one datagram makes the node send more than {MAX_ANSWERS}");
            for (who, member) in self.members.iter_mut().enumerate() {
                answers.extend(member.answer(&transmit.bytes).map(|answer| (who, answer)));
            }
        }
        if again > 0 {
            for (who, mut answer) in answers {
                let Some(link) = self.members.get(who).map(|member| member.link) else { return };
                self.node.handle_datagram(now, link, &mut answer).ok();
                self.drain(again - 1);
            }
        }
    }

    fn answer(&mut self, requested: &ConfigRequested) {
        let now = at(self.elapsed);
        let ConfigRequested { request, network, .. } = *requested;
        if network.0 % 2 == 0 {
            let chunks = [vec![1; 3000], vec![2; 100]];
            self.node.reply_config(now, request, &chunks);
            self.node.push_config(now, request.from, network, &chunks);
        } else {
            self.node.reply_error(now, request, ErrorCode::NETWORK_ACCESS_DENIED, network, &[]);
            self.node.push_credentials(now, request.from, &requested.metadata);
        }
    }
}

/// The other side: what a client does to be known, and no more.
struct Member {
    secret: Arc<IdentitySecret>,
    root: Address,
    key: SessionKey,
    link: Link,
    packets: u64,
}

impl Member {
    const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 8, revision: 4 };

    fn new(secret: &Arc<IdentitySecret>, root: &IdentitySecret, ip: [u8; 4]) -> Self {
        let key = secret.agree(root.public()).expect("the keys are not weak");
        let link = Link { local: None, remote: (ip, 9993).into() };
        Self { secret: secret.clone(), root: root.address(), key, link, packets: 0 }
    }

    /// Begins a packet with its header.
    fn begin(&mut self, destination: Address) -> Vec<u8> {
        self.packets += 1;
        // Differs in the bits by which a node remembers what it sent.
        let id = self.packets.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let header = PacketHeader { id, destination, source: self.secret.address(), flags: 0, mac: [0; 8] };
        let mut packet = Vec::new();
        header.write(&mut packet);
        packet
    }

    /// Seals a packet to the node with verb and payload from `bytes`.
    fn packet(&mut self, bytes: &[u8], suite: Suite, mtu: usize) -> Vec<u8> {
        let mut packet = self.begin(self.root);
        packet.extend_from_slice(bytes);
        let fragmented = packet.len() > mtu;
        if let Some(mut header) = HeaderMut::of(&mut packet) {
            header.set_fragmented(fragmented);
        }
        armor::seal(&mut packet, &self.key, suite);
        packet
    }

    fn hello(&mut self) -> Vec<u8> {
        let mut tail = Vec::new();
        write_moons(&[], &mut tail);
        let hello = Hello {
            version: Self::VERSION,
            timestamp: Timestamp(1),
            identity: *self.secret.public(),
            destination: Some(SocketAddr::from(([10, 0, 0, 1], 9993))),
            planet: Some(PLANET),
            tail: &tail,
        };
        let mut packet = self.begin(self.root);
        packet.push(Verb::HELLO.to_byte(false));
        let start = packet.len() + hello.write(&mut packet);
        if let (Some(header), Some(tail)) = (PacketHeader::parse(&packet).ok(), packet.get_mut(start..)) {
            armor::mask_hello_tail(tail, header.id, &self.key);
        }
        armor::seal(&mut packet, &self.key, Suite::Poly1305);
        packet
    }

    /// Returns the OK if `datagram` is a HELLO or an ECHO for this member.
    fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let Ok(Datagram::Packet(header)) = Datagram::classify(datagram) else { return None };
        if header.destination != self.secret.address() {
            return None;
        }
        let mut packet = datagram.to_vec();
        armor::open(&mut packet, &self.key).ok()?;
        let (verb, _) = Verb::from_byte(*packet.get(VERB_OFFSET)?);
        let payload = packet.get(PAYLOAD_OFFSET..)?;
        let mut answer = Vec::new();
        if verb == Verb::HELLO {
            let hello = Hello::parse(payload).expect("the node writes good packets");
            let (timestamp, endpoint) = (hello.timestamp, Some(self.link.remote));
            OkHello { timestamp, version: Self::VERSION, endpoint, world_data: &[] }.write(&mut answer);
        } else if verb != Verb::ECHO {
            return None;
        }
        let mut bytes = vec![Verb::OK.to_byte(false)];
        OkReply { in_re_verb: verb, in_re_packet: header.id, payload: &answer }.write(&mut bytes);
        Some(self.packet(&bytes, Suite::AesGmacSiv, MAX_PACKET))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_members_have_a_confirmed_path_before_the_script_begins() {
        let lab = Lab::new();
        let peers = lab.node.peers(at(lab.elapsed));
        assert_eq!(peers.len(), 2);
        assert!(peers.iter().all(|peer| !peer.paths.is_empty()), "{peers:?}");
    }
}
