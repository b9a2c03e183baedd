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
/// Packets from unknown sources that one physical network may have kept.
const PACKET_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(100) };
/// Identities that are asked for because an unknown node sent something.
const WANTED_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(2) };
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
}

/// What waited for an identity.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The key that was agreed, if one was.
    pub key: Option<SessionKey>,
    /// In the order in which they came, as are the other packets.
    pub hellos: Vec<Waiting>,
    pub packets: Vec<Waiting>,
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
        let Kept { source, waiting, .. } = self.packets.remove(&number)?;
        self.by_source.remove(&(source, number));
        self.bytes -= waiting.packet.len();
        Some(waiting)
    }

    /// Takes those of a source, in the order in which they came.
    fn take(&mut self, source: Address) -> Vec<Waiting> {
        let numbers: Vec<_> = self.of(source).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
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
    packets: PerNetwork,
    all_networks: Bucket,
    wanted: Bucket,
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
            packets: PerNetwork::new(PACKET_LIMIT, rng, now),
            all_networks: Bucket::full(now),
            wanted: Bucket::full(now),
            recalls: Bucket::full(now),
            verifying: HashMap::new(),
            kept: KeptPackets::default(),
        }
    }

    /// Says whether somebody at `ip` may cause a key agreement now.
    pub(super) fn take(&mut self, ip: IpAddr, now: Moment) -> bool {
        // In this order, so that one network does not use up what is for all.
        self.identities.take(ip, now) && self.all_networks.take(ALL_IDENTITIES_LIMIT, now)
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
        self.verifying.insert(identity, Verifying { since: now, key, hellos: hello.into_iter().collect() });
        Begun::New
    }

    /// Ends the wait for `identity` without success.
    pub(super) fn refuse(&mut self, identity: &PublicIdentity) {
        self.verifying.remove(identity);
    }

    /// Ends the wait for `identity`; returns what waited.
    pub(super) fn admit(&mut self, identity: &PublicIdentity) -> Admitted {
        let verifying = self.verifying.remove(identity);
        let (key, hellos) = verifying.map_or((None, Vec::new()), |found| (found.key, found.hellos));
        Admitted { key, hellos, packets: self.kept.take(identity.address) }
    }

    /// Keeps a packet from an unknown source, in the place of its oldest if it has several; says who should be asked for its
    /// identity. That is repeated while packets come: a question or its answer may have been lost.
    pub(super) fn keep(&mut self, source: Address, waiting: Waiting, now: Moment) -> Ask {
        match self.keep_hello(source, waiting, now) {
            Ask::Nobody => Ask::Nobody,
            Ask::Memory | Ask::Roots => {
                if self.wanted.take(WANTED_LIMIT, now) {
                    Ask::Roots
                } else {
                    Ask::Memory
                }
            }
        }
    }

    /// Does that for a HELLO that there is no time to open: it has the identity, so roots need not be asked, but if it is that
    /// of a member, it needs no verification.
    pub(super) fn keep_hello(&mut self, source: Address, waiting: Waiting, now: Moment) -> Ask {
        if !self.packets.take(waiting.link.remote.ip(), now) {
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
        let asked = (0..10)
            .filter(|_| strangers.keep(Address::from_low_bits(1), waiting(1), moment(0)) == Ask::Roots)
            .count();
        assert_eq!((asked, strangers.len().1), (1, MAX_KEPT_PER_SOURCE));
        let again = strangers.keep(Address::from_low_bits(1), waiting(1), moment(500));
        assert_eq!(again, Ask::Roots, "the answer may be lost");
        for n in 0..100_000_u32 {
            strangers.keep(Address::from_low_bits(n.into()), waiting(n << 8), moment(0));
        }
        assert_eq!(strangers.len().1, MAX_KEPT);
        strangers.sweep(moment(6_000));
        assert_eq!(strangers.len().1, 0);
        assert_eq!((strangers.kept.by_source.len(), strangers.kept.bytes), (0, 0));
    }

    #[test]
    fn packets_of_unknown_sources_take_no_more_than_so_many_bytes_and_the_oldest_give_way() {
        let mut strangers = strangers();
        for n in 0..10_000_u32 {
            let long = Waiting { packet: vec![0; 10_000], ..waiting(n << 8) };
            strangers.keep(Address::from_low_bits(n.into()), long, moment(0));
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
            let ask = strangers.keep(Address::from_low_bits(n.into()), waiting(n << 8), moment(0));
            asked[ask as usize] += 1;
        }
        assert_eq!(asked[Ask::Roots as usize], WANTED_LIMIT.burst);
        assert_eq!(asked[Ask::Memory as usize], 10_000 - WANTED_LIMIT.burst, "each is looked up");
        let hello = |strangers: &mut Strangers, n: u32| {
            strangers.keep_hello(Address::from_low_bits(n.into()), waiting(n << 8), moment(1_000))
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
            strangers.keep(Address::from_low_bits(u64::from(n) % 2), packet, moment(0));
        }
        let packets = strangers.admit(&identity(1)).packets;
        assert_eq!(packets.into_iter().map(|waiting| waiting.packet).collect::<Vec<_>>(), [[1], [3]]);
        assert_eq!(strangers.len().1, 1);
        assert!(strangers.admit(&identity(1)).packets.is_empty());
    }
}
