//! What waits for an identity: HELLOs of nodes whose identity is being verified, and packets of nodes whose identity is
//! not known at all (`vl1.md` §12.3, §12.4). Strangers fill this, so everything in it is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use rand_core::Rng;
use zt_crypto::SessionKey;
use zt_proto::{Address, PublicIdentity};

use super::Link;
use super::moment::Moment;
use super::rate::{Bucket, Limit, PerNetwork};

/// Key agreements and verifications that one physical network may cause: a whole office may start at once.
const IDENTITY_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(100) };
/// The same for all networks together: a twentieth of a core, however many addresses are forged.
const ALL_IDENTITIES_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(1) };
/// The same for all who come through roots, which have one address: less than one core verifies, so that who comes directly
/// finds room as well.
pub(super) const RELAYED_IDENTITY_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(10) };
/// Packets from unknown sources that one physical network may have kept.
const PACKET_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(100) };
/// The same for all who come through roots: half of what is looked up, as after an outage all members may come this way.
pub(super) const RELAYED_PACKET_LIMIT: Limit = Limit { burst: 8_192, interval: Duration::from_micros(200) };
/// Identities that are asked for because an unknown node sent something.
const WANTED_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(2) };
/// Of these, for who comes through roots: half of those that are asked for at the same time.
pub(super) const RELAYED_WANTED_LIMIT: Limit = Limit { burst: 256, interval: Duration::from_millis(20) };
/// Identities that whoever remembers them is asked for, because a node that may be a member could not be heard otherwise:
/// after a restart all members come together. Each takes some microseconds of looking into a database, and of a member that
/// is found a key agreement, so strangers cause no more of these than there are members.
const RECALL_LIMIT: Limit = Limit { burst: 16_384, interval: Duration::from_micros(100) };
/// How many of these come at once.
pub const MAX_RECALLS: usize = RECALL_LIMIT.burst as usize;
/// Identities that are being verified at the same time; a HELLO that finds no room is repeated by its sender.
pub(super) const MAX_VERIFYING: usize = 256;
/// Copies of HELLO from one identity: a node sends it from all its sockets, and each deserves an answer.
const MAX_COPIES: usize = 4;
/// A verification that is not answered for so long is given up.
const VERIFY_FOR: Duration = Duration::from_secs(60);
/// Packets from unknown sources that are kept, in all and from one source: a HELLO and a request of as many as are looked up
/// at once. They take 250 bytes each beside their own, of which so many are kept.
pub(super) const MAX_KEPT: usize = 2 * MAX_RECALLS;
pub(super) const MAX_KEPT_BYTES: usize = 8 << 20;
const MAX_KEPT_PER_SOURCE: usize = 4;
/// How long such a packet is kept.
const KEEP_FOR: Duration = Duration::from_secs(5);
/// A source whose packets follow each other more closely is not asked for again.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// Whose allowance something takes from that came from somebody unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The physical network that it came from.
    Network(IpAddr),
    /// A root, behind which is everybody.
    Root,
}

/// A packet that cannot be used yet, and where it came from.
#[derive(Debug)]
pub(super) struct Waiting {
    pub link: Link,
    pub packet: Vec<u8>,
}

#[derive(Debug)]
struct Verifying {
    since: Moment,
    /// What the first HELLO was opened with; none if a root told the identity.
    key: Option<SessionKey>,
    hellos: Vec<Waiting>,
    /// Where a root says that the node can be met.
    meeting: Option<Link>,
}

/// What waited for an identity.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The key that was agreed, if one was.
    pub key: Option<SessionKey>,
    /// In the order in which they came, as are the other packets.
    pub hellos: Vec<Waiting>,
    pub packets: Vec<Waiting>,
    pub meeting: Option<Link>,
}

#[derive(Debug)]
struct Kept {
    source: Address,
    since: Moment,
    waiting: Waiting,
}

/// Packets that wait for an identity.
#[derive(Debug, Default)]
struct KeptPackets {
    /// By number, in the order in which they came.
    packets: BTreeMap<u64, Kept>,
    /// The same, by their source.
    by_source: BTreeSet<(Address, u64)>,
    /// Where a root says that a source can be met, of those of which something is kept.
    meetings: BTreeMap<Address, Link>,
    bytes: usize,
    next_number: u64,
}

impl KeptPackets {
    /// Keeps a packet, in the place of the oldest of its source if that has too many, and of the oldest of all as long as
    /// there are too many; says when the last of its source came.
    fn push(&mut self, source: Address, waiting: Waiting, now: Moment) -> Option<Moment> {
        let of_source: Vec<_> = self.of(source).collect();
        let last = of_source.last().and_then(|number| self.packets.get(number)).map(|kept| kept.since);
        if let [oldest, ..] = *of_source
            && of_source.len() >= MAX_KEPT_PER_SOURCE
        {
            self.remove(oldest);
        }
        self.bytes += waiting.packet.len();
        while (self.packets.len() >= MAX_KEPT || self.bytes > MAX_KEPT_BYTES)
            && let Some(oldest) = self.packets.first_key_value().map(|(number, _)| *number)
        {
            self.remove(oldest);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.by_source.insert((source, number));
        self.packets.insert(number, Kept { source, since: now, waiting });
        last
    }

    /// Returns the numbers of those of a source, oldest first.
    fn of(&self, source: Address) -> impl Iterator<Item = u64> {
        self.by_source.range((source, 0)..=(source, u64::MAX)).map(|(_, number)| *number)
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let kept = self.packets.remove(&number)?;
        self.by_source.remove(&(kept.source, number));
        self.bytes -= kept.waiting.packet.len();
        if self.of(kept.source).next().is_none() {
            self.meetings.remove(&kept.source);
        }
        Some(kept.waiting)
    }

    /// Takes those of a source, in the order in which they came, and where to meet it.
    fn take(&mut self, source: Address) -> (Vec<Waiting>, Option<Link>) {
        let meeting = self.meetings.remove(&source);
        let numbers: Vec<_> = self.of(source).collect();
        (numbers.into_iter().filter_map(|number| self.remove(number)).collect(), meeting)
    }

    /// Notes where to meet a source of which something is kept.
    fn meet(&mut self, source: Address, link: Link) {
        if self.of(source).next().is_some() {
            self.meetings.insert(source, link);
        }
    }

    /// Drops what has been kept for too long.
    fn sweep(&mut self, now: Moment) {
        while let Some((&number, oldest)) = self.packets.first_key_value()
            && now.saturating_duration_since(oldest.since) > KEEP_FOR
        {
            self.remove(number);
        }
    }
}

/// Everything that waits for an identity.
#[derive(Debug)]
pub(super) struct Strangers {
    identities: PerNetwork,
    relayed_identities: Bucket,
    all_identities: Bucket,
    packets: PerNetwork,
    relayed_packets: Bucket,
    wanted: Bucket,
    relayed_wanted: Bucket,
    recalls: Bucket,
    verifying: HashMap<PublicIdentity, Verifying>,
    kept: KeptPackets,
}

/// Who is to be asked for the identity of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Nobody,
    /// Whoever remembers members.
    Memory,
    /// The roots as well.
    Roots,
}

/// What became of a HELLO that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// The identity has to be verified.
    New,
    /// It is being verified already.
    Known,
    /// Too many are.
    Full,
}

impl Strangers {
    pub(super) fn new(rng: &mut impl Rng, now: Moment) -> Self {
        Self {
            identities: PerNetwork::new(IDENTITY_LIMIT, rng, now),
            relayed_identities: Bucket::full(now),
            all_identities: Bucket::full(now),
            packets: PerNetwork::new(PACKET_LIMIT, rng, now),
            relayed_packets: Bucket::full(now),
            wanted: Bucket::full(now),
            relayed_wanted: Bucket::full(now),
            recalls: Bucket::full(now),
            verifying: HashMap::new(),
            kept: KeptPackets::default(),
        }
    }

    /// Says whether somebody may cause a key agreement now.
    pub(super) fn take(&mut self, origin: Origin, now: Moment) -> bool {
        let is_allowed = match origin {
            Origin::Network(ip) => self.identities.take(ip, now),
            Origin::Root => self.relayed_identities.take(RELAYED_IDENTITY_LIMIT, now),
        };
        // Last, so that nobody uses up what is for all.
        is_allowed && self.all_identities.take(ALL_IDENTITIES_LIMIT, now)
    }

    /// Says whether another HELLO of `identity` would be of use: otherwise it is not even opened.
    pub(super) fn has_room(&self, identity: &PublicIdentity) -> bool {
        self.verifying.len() < MAX_VERIFYING || self.verifying.contains_key(identity)
    }

    /// Begins to wait for the verification of `identity`; `hello`, which its key opened, is answered once it is done.
    pub(super) fn begin(
        &mut self,
        identity: PublicIdentity,
        hello: Option<(Waiting, SessionKey)>,
        now: Moment,
    ) -> Begun {
        let (hello, key) = hello.unzip();
        if let Some(verifying) = self.verifying.get_mut(&identity) {
            if verifying.hellos.len() < MAX_COPIES {
                verifying.hellos.extend(hello);
            }
            return Begun::Known;
        }
        if self.verifying.len() >= MAX_VERIFYING {
            return Begun::Full;
        }
        let hellos = hello.into_iter().collect();
        self.verifying.insert(identity, Verifying { since: now, key, hellos, meeting: None });
        Begun::New
    }

    /// Ends the wait for `identity` without success.
    pub(super) fn refuse(&mut self, identity: &PublicIdentity) {
        self.verifying.remove(identity);
    }

    /// Ends the wait for `identity`; returns what waited.
    pub(super) fn admit(&mut self, identity: &PublicIdentity) -> Admitted {
        let verifying = self.verifying.remove(identity);
        let (packets, met) = self.kept.take(identity.address);
        let Verifying { key, hellos, meeting, .. } = match verifying {
            Some(verifying) => verifying,
            None => return Admitted { key: None, hellos: Vec::new(), packets, meeting: met },
        };
        Admitted { key, hellos, packets, meeting: met.or(meeting) }
    }

    /// Notes where a root says that a node can be met for which something waits: the introduction comes right behind the
    /// first packet that the root relays, and is not repeated soon.
    pub(super) fn meet(&mut self, address: Address, link: Link) {
        self.kept.meet(address, link);
        let of_node = self.verifying.iter_mut().filter(|(identity, _)| identity.address == address);
        of_node.for_each(|(_, verifying)| verifying.meeting = Some(link));
    }

    /// Keeps a packet from an unknown source, in the place of its oldest if it has several; says who should be asked for its
    /// identity. That is repeated while packets come: a question or its answer may have been lost.
    pub(super) fn keep(&mut self, source: Address, waiting: Waiting, origin: Origin, now: Moment) -> Ask {
        match self.keep_hello(source, waiting, origin, now) {
            Ask::Nobody => Ask::Nobody,
            Ask::Memory | Ask::Roots => {
                let is_allowed =
                    origin != Origin::Root || self.relayed_wanted.take(RELAYED_WANTED_LIMIT, now);
                if is_allowed && self.wanted.take(WANTED_LIMIT, now) { Ask::Roots } else { Ask::Memory }
            }
        }
    }

    /// Does that for a HELLO that there is no time to open: it has the identity, so roots need not be asked, but if it is that
    /// of a member, it needs no verification.
    pub(super) fn keep_hello(
        &mut self,
        source: Address,
        waiting: Waiting,
        origin: Origin,
        now: Moment,
    ) -> Ask {
        let is_allowed = match origin {
            Origin::Network(ip) => self.packets.take(ip, now),
            Origin::Root => self.relayed_packets.take(RELAYED_PACKET_LIMIT, now),
        };
        if !is_allowed {
            return Ask::Nobody;
        }
        let last = self.kept.push(source, waiting, now);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= ASK_INTERVAL);
        if is_due && self.recalls.take(RECALL_LIMIT, now) { Ask::Memory } else { Ask::Nobody }
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        let since = |when: Moment| now.saturating_duration_since(when);
        self.kept.sweep(now);
        self.verifying.retain(|_, verifying| since(verifying.since) <= VERIFY_FOR);
    }

    pub(super) fn len(&self) -> (usize, usize) {
        (self.verifying.len(), self.kept.packets.len())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::tests::moment;
    use super::*;

    fn identity(n: u64) -> PublicIdentity {
        PublicIdentity { address: Address::from_low_bits(n), key: [0; 64] }
    }

    fn key() -> SessionKey {
        SessionKey::from_bytes([7; 48])
    }

    fn strangers() -> Strangers {
        Strangers::new(&mut ChaCha20Rng::from_seed([7; 32]), moment(0))
    }

    fn waiting(n: u32) -> Waiting {
        let link = Link { local: None, remote: (n.to_be_bytes(), 9993).into() };
        Waiting { link, packet: vec![0; 28] }
    }

    /// Keeps a packet that came directly.
    fn keep(strangers: &mut Strangers, source: u64, waiting: Waiting, now: Moment) -> Ask {
        let origin = Origin::Network(waiting.link.remote.ip());
        strangers.keep(Address::from_low_bits(source), waiting, origin, now)
    }

    #[test]
    fn copies_of_a_hello_wait_together_and_are_bounded() {
        let mut strangers = strangers();
        assert_eq!(strangers.begin(identity(1), Some((waiting(1), key())), moment(0)), Begun::New);
        for _ in 0..10 {
            assert_eq!(strangers.begin(identity(1), Some((waiting(1), key())), moment(0)), Begun::Known);
        }
        assert_eq!(strangers.admit(&identity(1)).hellos.len(), MAX_COPIES);
    }

    #[test]
    fn verifications_are_bounded_in_number_and_time() {
        let mut strangers = strangers();
        let full =
            (0..1_000).filter(|n| strangers.begin(identity(*n), None, moment(0)) == Begun::Full).count();
        assert_eq!(full, 1_000 - MAX_VERIFYING);
        strangers.sweep(moment(61_000));
        assert_eq!(strangers.len(), (0, 0));
    }

    #[test]
    fn packets_of_unknown_sources_are_bounded_and_their_source_is_asked_for_once() {
        let mut strangers = strangers();
        let asked = (0..10).filter(|_| keep(&mut strangers, 1, waiting(1), moment(0)) == Ask::Roots).count();
        assert_eq!((asked, strangers.len().1), (1, MAX_KEPT_PER_SOURCE));
        let again = keep(&mut strangers, 1, waiting(1), moment(500));
        assert_eq!(again, Ask::Roots, "the answer may be lost");
        for n in 0..100_000_u32 {
            keep(&mut strangers, n.into(), waiting(n << 8), moment(0));
            strangers.meet(Address::from_low_bits(n.into()), waiting(1).link);
        }
        assert_eq!(strangers.kept.meetings.len(), MAX_KEPT);
        assert_eq!(strangers.len().1, MAX_KEPT);
        strangers.sweep(moment(6_000));
        assert_eq!(strangers.len().1, 0);
        assert_eq!((strangers.kept.by_source.len(), strangers.kept.bytes), (0, 0));
        assert!(strangers.kept.meetings.is_empty());
    }

    #[test]
    fn packets_of_unknown_sources_take_no_more_than_so_many_bytes_and_the_oldest_give_way() {
        let mut strangers = strangers();
        for n in 0..10_000_u32 {
            let long = Waiting { packet: vec![0; 10_000], ..waiting(n << 8) };
            keep(&mut strangers, n.into(), long, moment(0));
        }
        let kept = u32::try_from(MAX_KEPT_BYTES / 10_000).unwrap();
        assert_eq!(strangers.len().1, kept as usize);
        assert_eq!(strangers.kept.packets.values().next().unwrap().source.to_u64(), u64::from(10_000 - kept));
        let bytes: usize = strangers.kept.packets.values().map(|kept| kept.waiting.packet.len()).sum();
        assert_eq!(bytes, strangers.kept.bytes);
    }

    #[test]
    fn identities_are_looked_up_and_asked_for_within_bounds_of_their_own() {
        let mut strangers = strangers();
        let mut asked = [0; 3];
        for n in 0..10_000_u32 {
            let ask = keep(&mut strangers, n.into(), waiting(n << 8), moment(0));
            asked[ask as usize] += 1;
        }
        assert_eq!(asked[Ask::Roots as usize], WANTED_LIMIT.burst);
        assert_eq!(asked[Ask::Memory as usize], 10_000 - WANTED_LIMIT.burst, "each is looked up");
        let hello = |strangers: &mut Strangers, n: u32| {
            let origin = Origin::Network((n << 8).to_be_bytes().into());
            strangers.keep_hello(Address::from_low_bits(n.into()), waiting(n << 8), origin, moment(1_000))
        };
        let recalled = (10_000..40_000).filter(|n| hello(&mut strangers, *n) == Ask::Memory).count();
        assert_eq!(recalled, MAX_RECALLS);
    }

    /// A node that is started sends HELLO and asks at once.
    #[test]
    fn packets_come_back_in_their_order_and_only_those_of_the_source() {
        let mut strangers = strangers();
        for n in 1..=3 {
            let packet = Waiting { packet: vec![n], ..waiting(u32::from(n)) };
            keep(&mut strangers, u64::from(n) % 2, packet, moment(0));
        }
        let packets = strangers.admit(&identity(1)).packets;
        assert_eq!(packets.into_iter().map(|waiting| waiting.packet).collect::<Vec<_>>(), [[1], [3]]);
        assert_eq!(strangers.len().1, 1);
        assert!(strangers.admit(&identity(1)).packets.is_empty());
    }
}
