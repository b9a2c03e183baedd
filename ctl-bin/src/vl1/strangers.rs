//! What waits for an identity: HELLOs of nodes whose identity is being verified, and packets of nodes whose identity is
//! not known at all (`vl1.md` §12.3, §12.4). Strangers fill this, so everything in it is bounded.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;
use zt_proto::{Address, PublicIdentity};

use super::Link;
use super::rate::{Bucket, Limit, PerNetwork};

/// Key agreements and verifications that one physical network may cause: a whole office may start at once.
const IDENTITY_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(100) };
/// The same for all networks together: a twentieth of a core, however many addresses are forged.
const ALL_IDENTITIES_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(1) };
/// Packets from unknown sources that one physical network may have kept.
const PACKET_LIMIT: Limit = Limit { burst: 128, interval: Duration::from_millis(100) };
/// Identities that are asked for because an unknown node sent something.
const WANTED_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(2) };
/// Identities that are being verified at the same time; a HELLO that finds no room is repeated by its sender.
pub(super) const MAX_VERIFYING: usize = 256;
/// Copies of HELLO from one identity: a node sends it from all its sockets, and each deserves an answer.
const MAX_COPIES: usize = 4;
/// A verification that is not answered for so long is given up.
const VERIFY_FOR: Duration = Duration::from_secs(60);
/// Packets from unknown sources that are kept, in all and from one source.
pub(super) const MAX_KEPT: usize = 256;
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
    since: Instant,
    hellos: Vec<Waiting>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    source: Address,
    waiting: Waiting,
}

/// Everything that waits for an identity.
#[derive(Debug)]
pub(super) struct Strangers {
    identities: PerNetwork,
    packets: PerNetwork,
    all_networks: Bucket,
    wanted: Bucket,
    verifying: HashMap<PublicIdentity, Verifying>,
    kept: VecDeque<Kept>,
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
    pub(super) fn new(rng: &mut impl Rng, now: Instant) -> Self {
        Self {
            identities: PerNetwork::new(IDENTITY_LIMIT, rng, now),
            packets: PerNetwork::new(PACKET_LIMIT, rng, now),
            all_networks: Bucket::full(now),
            wanted: Bucket::full(now),
            verifying: HashMap::new(),
            kept: VecDeque::new(),
        }
    }

    /// Says whether somebody at `ip` may cause a key agreement now.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        // In this order, so that one network does not use up what is for all.
        self.identities.take(ip, now) && self.all_networks.take(ALL_IDENTITIES_LIMIT, now)
    }

    /// Says whether another HELLO of `identity` would be of use: otherwise it is not even opened.
    pub(super) fn has_room(&self, identity: &PublicIdentity) -> bool {
        self.verifying.len() < MAX_VERIFYING || self.verifying.contains_key(identity)
    }

    /// Begins to wait for the verification of `identity`; `hello` is answered once it is done.
    pub(super) fn begin(&mut self, identity: PublicIdentity, hello: Option<Waiting>, now: Instant) -> Begun {
        if let Some(verifying) = self.verifying.get_mut(&identity) {
            if verifying.hellos.len() < MAX_COPIES {
                verifying.hellos.extend(hello);
            }
            return Begun::Known;
        }
        if self.verifying.len() >= MAX_VERIFYING {
            return Begun::Full;
        }
        self.verifying.insert(identity, Verifying { since: now, hellos: hello.into_iter().collect() });
        Begun::New
    }

    /// Ends the wait for `identity` without success.
    pub(super) fn refuse(&mut self, identity: &PublicIdentity) {
        self.verifying.remove(identity);
    }

    /// Ends the wait for `identity`; returns its HELLOs and its other packets, in the order in which they came.
    pub(super) fn admit(&mut self, identity: &PublicIdentity) -> (Vec<Waiting>, Vec<Waiting>) {
        let hellos = self.verifying.remove(identity).map(|verifying| verifying.hellos).unwrap_or_default();
        let mut packets = Vec::new();
        for kept in std::mem::take(&mut self.kept) {
            if kept.source == identity.address {
                packets.push(kept.waiting);
            } else {
                self.kept.push_back(kept);
            }
        }
        (hellos, packets)
    }

    /// Keeps a packet from an unknown source, in the place of its oldest if it has several; says whether its identity
    /// should be asked for. That is repeated while packets come: a question or its answer may have been lost.
    pub(super) fn keep(&mut self, source: Address, waiting: Waiting, now: Instant) -> bool {
        if !self.packets.take(waiting.link.remote.ip(), now) {
            return false;
        }
        let of_source = self.kept.iter().filter(|kept| kept.source == source);
        let last = of_source.clone().map(|kept| kept.since).max();
        if of_source.count() >= MAX_KEPT_PER_SOURCE
            && let Some(oldest) = self.kept.iter().position(|kept| kept.source == source)
        {
            self.kept.remove(oldest);
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { since: now, source, waiting });
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= ASK_INTERVAL);
        is_due && self.wanted.take(WANTED_LIMIT, now)
    }

    pub(super) fn sweep(&mut self, now: Instant) {
        let since = |when: Instant| now.saturating_duration_since(when);
        self.kept.retain(|kept| since(kept.since) <= KEEP_FOR);
        self.verifying.retain(|_, verifying| since(verifying.since) <= VERIFY_FOR);
    }

    pub(super) fn len(&self) -> (usize, usize) {
        (self.verifying.len(), self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::tests::at;
    use super::*;

    fn identity(n: u64) -> PublicIdentity {
        PublicIdentity { address: Address::from_low_bits(n), key: [0; 64] }
    }

    fn strangers() -> Strangers {
        Strangers::new(&mut ChaCha20Rng::from_seed([7; 32]), at(0).mono)
    }

    fn waiting(n: u32) -> Waiting {
        let link = Link { local: None, remote: (n.to_be_bytes(), 9993).into() };
        Waiting { link, packet: vec![0; 28] }
    }

    #[test]
    fn copies_of_a_hello_wait_together_and_are_bounded() {
        let mut strangers = strangers();
        assert_eq!(strangers.begin(identity(1), Some(waiting(1)), at(0).mono), Begun::New);
        for _ in 0..10 {
            assert_eq!(strangers.begin(identity(1), Some(waiting(1)), at(0).mono), Begun::Known);
        }
        let (hellos, _) = strangers.admit(&identity(1));
        assert_eq!(hellos.len(), MAX_COPIES);
    }

    #[test]
    fn verifications_are_bounded_in_number_and_time() {
        let mut strangers = strangers();
        let full =
            (0..1_000).filter(|n| strangers.begin(identity(*n), None, at(0).mono) == Begun::Full).count();
        assert_eq!(full, 1_000 - MAX_VERIFYING);
        strangers.sweep(at(61_000).mono);
        assert_eq!(strangers.len(), (0, 0));
    }

    #[test]
    fn packets_of_unknown_sources_are_bounded_and_their_source_is_asked_for_once() {
        let mut strangers = strangers();
        let asked =
            (0..10).filter(|_| strangers.keep(Address::from_low_bits(1), waiting(1), at(0).mono)).count();
        assert_eq!((asked, strangers.len().1), (1, MAX_KEPT_PER_SOURCE));
        assert!(
            strangers.keep(Address::from_low_bits(1), waiting(1), at(500).mono),
            "the answer may be lost"
        );
        for n in 0..100_000_u32 {
            strangers.keep(Address::from_low_bits(n.into()), waiting(n << 8), at(0).mono);
        }
        assert_eq!(strangers.len().1, MAX_KEPT);
        strangers.sweep(at(6_000).mono);
        assert_eq!(strangers.len().1, 0);
    }
}
