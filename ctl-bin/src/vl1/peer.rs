//! What is known of another node (`vl1.md` §13.1).

use std::collections::VecDeque;
use std::time::Duration;

use zt_crypto::SessionKey;
use zt_crypto::armor::Suite;
use zt_proto::verb::hello::NodeVersion;
use zt_proto::{Address, NetworkId, PublicIdentity};

use super::Link;
use super::direct_paths::{PushGate, TELL_INTERVAL};
use super::few::Few;
use super::moment::Moment;
use super::path::Path;
use super::rate::{Bucket, Limit};
use super::traffic::PeerCounts;
use crate::dense::Keyed;

/// Paths that are kept for one peer.
const MAX_PATHS: usize = 16;
/// Addresses of one peer that are being tested at the same time.
const MAX_TESTS: usize = 8;
/// A test of an address is repeated no sooner.
const TEST_INTERVAL: Duration = Duration::from_secs(1);
/// Tests of all addresses of one peer: whoever replays its packets from forged addresses gets few HELLOs out of it.
const TEST_LIMIT: Limit = Limit { burst: 16, interval: Duration::from_secs(1) };
/// Packets to one peer that wait for a path.
const MAX_OUTBOX: usize = 16;
/// How long a packet waits for a path.
const OUTBOX_FOR: Duration = Duration::from_secs(5);
/// A peer from which nothing came for this long is forgotten.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(500);
/// HELLOs of one peer: it sends copies from all its sockets.
const HELLO_LIMIT: Limit = Limit { burst: 32, interval: Duration::from_millis(100) };
/// ECHOs of one peer over links that are not confirmed.
const UNCONFIRMED_ECHO_LIMIT: Limit = Limit { burst: 8, interval: Duration::from_millis(166) };
/// WHOIS of one peer: generous enough for a client that starts with many contacts.
const WHOIS_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(10) };
/// Configuration requests of one peer, over all its networks.
const CONFIG_REQUEST_LIMIT: Limit = Limit { burst: 1024, interval: Duration::from_millis(50) };
/// Questions about multicast groups of one peer: a client asks for one with each contact (`vl1.md` §10.14).
const GATHER_LIMIT: Limit = WHOIS_LIMIT;
/// Announcements of multicast groups of one peer: some 70 groups each, once a minute.
const LIKE_LIMIT: Limit = Limit { burst: 64, interval: Duration::from_millis(100) };

/// A node that got a configuration within this time may ask about the multicast groups of the network.
const CONFIGURED_FOR: Duration = Duration::from_secs(180);
/// Networks for which that is remembered, of one peer.
const MAX_CONFIGURED: usize = 1024;

/// A packet without armor that waits for a path.
#[derive(Debug)]
struct Waiting {
    since: Moment,
    packet: Vec<u8>,
}

/// Another node, known by a verified identity.
#[derive(Debug)]
pub(super) struct Peer {
    pub identity: PublicIdentity,
    pub key: SessionKey,
    /// From its last authentic HELLO or OK(HELLO); `None` for a peer learnt through WHOIS.
    pub version: Option<NodeVersion>,
    pub paths: Few<Path>,
    pub traffic: PeerCounts,
    /// When anything authentic last came, directly or relayed.
    pub last_receive: Moment,
    /// When a packet came that makes it worth keeping its paths alive.
    pub last_nontrivial: Option<Moment>,
    /// When HELLO was last said on all its paths.
    pub last_hello_round: Option<Moment>,
    /// Whether it was greeted ([`Node::greet`](super::Node::greet)) and has not answered yet.
    pub is_greeted: bool,
    /// Whether it is one of [`Node::kept_alive`](super::Node).
    pub is_kept_alive: bool,
    /// When its timer is armed for.
    pub due: Moment,
    /// For which networks it got a configuration, and when.
    configured: Few<(NetworkId, Moment)>,
    hello: Bucket,
    config_requests: Bucket,
    test: Bucket,
    /// Only while there is something in it: most of the time most peers have none.
    rare: Option<Box<Rare>>,
}

/// What is of interest for some seconds, while a peer is met or does something unusual.
#[derive(Debug)]
struct Rare {
    /// When it was last told the addresses of this node.
    told_paths: Option<Moment>,
    /// The addresses that it tells.
    pushes: PushGate,
    outbox: VecDeque<Waiting>,
    /// Oldest first.
    tests: Vec<(Link, Moment)>,
    unconfirmed_echo: Bucket,
    whois: Bucket,
    gather: Bucket,
    like: Bucket,
}

impl Rare {
    fn new(now: Moment) -> Self {
        Self {
            told_paths: None,
            pushes: PushGate::default(),
            outbox: VecDeque::new(),
            tests: Vec::new(),
            unconfirmed_echo: Bucket::full(now),
            whois: Bucket::full(now),
            gather: Bucket::full(now),
            like: Bucket::full(now),
        }
    }

    /// Says whether another one would do the same from now on.
    fn is_over(&self, now: Moment) -> bool {
        let since = |when: Moment| now.saturating_duration_since(when);
        let buckets = [self.unconfirmed_echo, self.whois, self.gather, self.like];
        buckets.iter().all(|bucket| bucket.is_full(now))
            && self.pushes.is_over(now)
            && self.told_paths.is_none_or(|last| since(last) >= TELL_INTERVAL)
            && self.outbox.iter().all(|waiting| since(waiting.since) > OUTBOX_FOR)
            && self.tests.iter().all(|(_, tested)| since(*tested) >= TEST_INTERVAL)
    }
}

impl Keyed for Peer {
    type Key = Address;

    fn key(&self) -> Address {
        self.address()
    }
}

impl Peer {
    pub(super) fn new(identity: PublicIdentity, key: SessionKey, now: Moment) -> Self {
        Self {
            identity,
            key,
            version: None,
            paths: Few::new(),
            traffic: PeerCounts::default(),
            last_receive: now,
            last_nontrivial: None,
            last_hello_round: None,
            is_greeted: false,
            is_kept_alive: false,
            due: now,
            configured: Few::new(),
            hello: Bucket::full(now),
            config_requests: Bucket::full(now),
            test: Bucket::full(now),
            rare: None,
        }
    }

    fn rare(&mut self, now: Moment) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(Rare::new(now)))
    }

    /// Forgets what is over.
    pub(super) fn tidy(&mut self, now: Moment) {
        if self.rare.as_ref().is_some_and(|rare| rare.is_over(now)) {
            self.rare = None;
        }
    }

    pub(super) fn address(&self) -> Address {
        self.identity.address
    }

    /// Returns the suite for everything but HELLO (`vl1.md` §9.1).
    pub(super) fn suite(&self) -> Suite {
        match self.version {
            Some(version) if version.protocol >= 12 => Suite::AesGmacSiv,
            _ => Suite::Salsa20Poly1305,
        }
    }

    pub(super) fn path(&mut self, link: Link) -> Option<&mut Path> {
        self.paths.iter_mut().find(|path| path.link() == link)
    }

    /// Returns the paths that have not expired.
    pub(super) fn living_paths(&self, now: Moment) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(move |path| !path.is_expired(now))
    }

    /// Returns the best path that works.
    pub(super) fn best_path(&self, now: Moment) -> Option<&Path> {
        let working = self.paths.iter().filter(|path| path.works(now));
        working.min_by_key(|path| path.badness(now))
    }

    /// Returns the path that worked last, for when there is no other way.
    pub(super) fn last_resort(&self) -> Option<&Path> {
        self.paths.iter().max_by_key(|path| path.last_receive)
    }

    /// Removes the paths that have expired, and returns their links. The one that worked last stays as the last resort, but
    /// not for ever.
    pub(super) fn expire_paths(&mut self, now: Moment) -> Vec<Link> {
        let last_resort = self.last_resort().filter(|path| path.silence(now) <= FORGET_AFTER);
        let last_resort = last_resort.map(|path| path.link());
        let mut expired = Vec::new();
        self.paths.retain(|path| {
            let (is_expired, link) = (path.is_expired(now), path.link());
            let stays = !is_expired || Some(link) == last_resort;
            expired.extend((!stays).then_some(link));
            stays
        });
        expired
    }

    /// Notes that the peer gets a configuration for `network`. Says whether it got none for it lately.
    pub(super) fn note_configured(&mut self, network: NetworkId, now: Moment) -> bool {
        // Most are in one network, and ask again and again.
        if let [(known, since)] = &mut *self.configured
            && *known == network
        {
            let is_current = now.saturating_duration_since(*since) <= CONFIGURED_FOR;
            *since = now;
            return !is_current;
        }
        let is_new = !self.is_configured(network, now);
        self.configured.retain(|(known, since)| {
            *known != network && now.saturating_duration_since(*since) <= CONFIGURED_FOR
        });
        if self.configured.len() < MAX_CONFIGURED {
            self.configured.push((network, now));
        }
        is_new
    }

    /// Notes that the peer is told to be no member of `network`.
    pub(super) fn forget_configured(&mut self, network: NetworkId) {
        self.configured.retain(|(known, _)| *known != network);
    }

    /// Says whether the peer got a configuration for `network` lately.
    pub(super) fn is_configured(&self, network: NetworkId, now: Moment) -> bool {
        let is_current = |since| now.saturating_duration_since(since) <= CONFIGURED_FOR;
        self.configured.iter().any(|(known, since)| *known == network && is_current(*since))
    }

    /// Says whether the peer got a configuration for any network lately.
    pub(super) fn is_member(&self, now: Moment) -> bool {
        self.configured.iter().any(|(_, since)| now.saturating_duration_since(*since) <= CONFIGURED_FOR)
    }

    /// Takes up a path that has proven to work; returns the link of the path that had to give way.
    pub(super) fn learn(&mut self, link: Link, now: Moment) -> Option<Link> {
        if let Some(rare) = &mut self.rare {
            rare.tests.retain(|(tested, _)| *tested != link);
        }
        self.tidy(now);
        if let Some(path) = self.path(link) {
            path.heard(now);
            return None;
        }
        let mut replaced = None;
        if self.paths.len() >= MAX_PATHS {
            let same_host = |path: &Path| !path.is_alive(now) && path.link().remote.ip() == link.remote.ip();
            let victim = self.paths.iter().position(same_host).or_else(|| {
                (0..self.paths.len()).max_by_key(|n| self.paths.get(*n).map(|path| path.silence(now)))
            });
            let replaced_path = victim.and_then(|victim| self.paths.swap_remove(victim));
            replaced = replaced_path.map(|path| path.link());
        }
        self.paths.push(Path::new(link, now));
        replaced
    }

    /// Returns the living paths from the same socket to other ports of the same host. If there is one, `link` is of no interest:
    /// behind some NATs the ports change all the time.
    pub(super) fn living_paths_beside(&self, link: Link, now: Moment) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(move |path| {
            let is_beside = path.link().remote.ip() == link.remote.ip()
                && path.link().remote.port() != link.remote.port();
            is_beside && path.link().shares_socket(link) && path.is_alive(now) && path.works(now)
        })
    }

    /// Says whether `link`, over which this peer was heard or is said to be found, should be tested, and notes that it is.
    pub(super) fn take_test(&mut self, link: Link, now: Moment) -> bool {
        let beside_living_path = self.living_paths_beside(link, now).next().is_some();
        let recent = |since: &Moment| now.saturating_duration_since(*since) < TEST_INTERVAL;
        if beside_living_path {
            return false;
        }
        let tests = self.rare.as_ref().map_or(&[][..], |rare| &rare.tests);
        let is_tested = tests.iter().any(|(tested, since)| *tested == link && recent(since));
        if is_tested || !self.test.take(TEST_LIMIT, now) {
            return false;
        }
        let tests = &mut self.rare(now).tests;
        tests.retain(|(tested, _)| *tested != link);
        if tests.len() >= MAX_TESTS {
            tests.remove(0);
        }
        tests.push((link, now));
        true
    }

    /// Says whether a push of addresses that comes now counts.
    pub(super) fn take_push(&mut self, now: Moment) -> bool {
        self.rare(now).pushes.take(now)
    }

    /// Says whether it was just told the addresses of this node.
    pub(super) fn is_told_paths(&self, now: Moment) -> bool {
        let told = self.rare.as_ref().and_then(|rare| rare.told_paths);
        told.is_some_and(|last| now.saturating_duration_since(last) < TELL_INTERVAL)
    }

    /// Notes that it is told the addresses of this node.
    pub(super) fn note_told_paths(&mut self, now: Moment) {
        self.rare(now).told_paths = Some(now);
    }

    /// Keeps a packet until there is a path; the oldest gives way.
    pub(super) fn keep(&mut self, packet: Vec<u8>, now: Moment) {
        let outbox = &mut self.rare(now).outbox;
        outbox.retain(|waiting| now.saturating_duration_since(waiting.since) <= OUTBOX_FOR);
        if outbox.len() >= MAX_OUTBOX {
            outbox.pop_front();
        }
        outbox.push_back(Waiting { since: now, packet });
    }

    /// Takes the packets that have not waited too long.
    pub(super) fn take_outbox(&mut self, now: Moment) -> Vec<Vec<u8>> {
        let in_time = |waiting: &Waiting| now.saturating_duration_since(waiting.since) <= OUTBOX_FOR;
        let outbox = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.outbox)).unwrap_or_default();
        outbox.into_iter().filter(in_time).map(|waiting| waiting.packet).collect()
    }

    /// Says whether its paths are to be kept alive.
    pub(super) fn is_active(&self, now: Moment) -> bool {
        self.last_nontrivial.is_some_and(|since| now.saturating_duration_since(since) <= FORGET_AFTER)
    }

    pub(super) fn is_gone(&self, now: Moment) -> bool {
        now.saturating_duration_since(self.last_receive) > FORGET_AFTER
    }

    /// Says whether another ECHO that came over `link` may be answered: by the limit of the path, or where that is not
    /// confirmed by one for all such links together.
    pub(super) fn take_echo(&mut self, link: Link, now: Moment) -> bool {
        match self.path(link) {
            Some(path) => path.take_echo(now),
            None => self.rare(now).unconfirmed_echo.take(UNCONFIRMED_ECHO_LIMIT, now),
        }
    }

    pub(super) fn take_hello(&mut self, now: Moment) -> bool {
        self.hello.take(HELLO_LIMIT, now)
    }

    pub(super) fn take_whois(&mut self, now: Moment) -> bool {
        self.rare(now).whois.take(WHOIS_LIMIT, now)
    }

    pub(super) fn take_config_request(&mut self, now: Moment) -> bool {
        self.config_requests.take(CONFIG_REQUEST_LIMIT, now)
    }

    pub(super) fn take_gather(&mut self, now: Moment) -> bool {
        self.rare(now).gather.take(GATHER_LIMIT, now)
    }

    pub(super) fn take_like(&mut self, now: Moment) -> bool {
        self.rare(now).like.take(LIKE_LIMIT, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{identity, moment};
    use super::*;

    fn peer() -> Peer {
        let identity_a = *identity("A").public();
        let key = identity("R").agree(&identity_a).unwrap();
        Peer::new(identity_a, key, moment(0))
    }

    fn tests(peer: &Peer) -> &[(Link, Moment)] {
        &peer.rare.as_ref().unwrap().tests
    }

    fn link(host: u8, port: u16) -> Link {
        Link { local: None, remote: ([10, 0, 0, host], port).into() }
    }

    #[test]
    fn the_most_silent_path_gives_way_when_a_peer_has_too_many() {
        let mut peer = peer();
        for n in 0..16 {
            assert_eq!(peer.learn(link(n, 9993), moment(u64::from(n))), None);
        }
        // The first is heard again, so the second is the most silent one.
        assert_eq!(peer.learn(link(0, 9993), moment(50)), None);
        for n in 100..200 {
            let replaced = peer.learn(link(n, 9993), moment(u64::from(n)));
            let expected = match n {
                100..115 => link(n - 99, 9993),
                115 => link(0, 9993),
                _ => link(n - 16, 9993),
            };
            assert_eq!(replaced, Some(expected));
            assert_eq!(peer.paths.len(), MAX_PATHS);
        }
        // Another port of a host takes the place of its dead one, though others are more silent.
        peer.learn(link(199, 9993), moment(1_000));
        assert_eq!(peer.learn(link(199, 5), moment(60_000)), Some(link(199, 9993)));
    }

    #[test]
    fn the_oldest_packet_that_waits_for_a_path_gives_way() {
        let mut peer = peer();
        for n in 0..100 {
            peer.keep(vec![n], moment(u64::from(n)));
        }
        let waiting: Vec<_> = (84..100).map(|n| vec![n]).collect();
        assert_eq!(waiting.len(), MAX_OUTBOX);
        assert_eq!(peer.take_outbox(moment(5_000)), waiting);
        peer.keep(vec![1], moment(5_000));
        assert!(peer.take_outbox(moment(10_001)).is_empty(), "too late");
    }

    #[test]
    fn addresses_are_tested_a_few_at_a_time_and_the_oldest_test_is_forgotten() {
        let mut peer = peer();
        let began = (0..100).filter(|n| peer.take_test(link(*n, 9993), moment(0))).count();
        assert_eq!((began, tests(&peer).len()), (16, MAX_TESTS));
        let later = (0..100_u8).filter(|n| peer.take_test(link(*n, 9993), moment(u64::from(*n) * 100)));
        assert_eq!(later.count(), 9, "one a second from then on");
        assert_eq!(tests(&peer).len(), MAX_TESTS);
        let (last, _) = tests(&peer)[MAX_TESTS - 1];
        assert!(!peer.take_test(last, tests(&peer)[MAX_TESTS - 1].1), "the same one within a second");
    }

    #[test]
    fn what_is_over_takes_no_memory_and_what_is_not_stays() {
        type Deed = fn(&mut Peer, Moment);
        let deeds: [(Deed, u64); 8] = [
            (|peer, now| assert!(peer.take_test(link(1, 9993), now)), 1_000),
            (|peer, now| peer.keep(vec![1], now), 5_001),
            (|peer, now| assert!(peer.take_push(now)), 30_001),
            (Peer::note_told_paths, 15_000),
            (|peer, now| assert!(peer.take_whois(now)), 10),
            (|peer, now| assert!(peer.take_gather(now)), 10),
            (|peer, now| assert!(peer.take_like(now)), 100),
            (|peer, now| assert!(peer.take_echo(link(1, 9993), now)), 166),
        ];
        for (n, (deed, over)) in deeds.into_iter().enumerate() {
            let mut peer = peer();
            deed(&mut peer, moment(0));
            peer.tidy(moment(over - 1));
            assert!(peer.rare.is_some(), "{n}");
            peer.tidy(moment(over));
            assert!(peer.rare.is_none(), "{n}");
        }
        // As soon as a path is confirmed, nothing is left of its test.
        let mut peer = peer();
        assert!(peer.take_test(link(1, 9993), moment(0)));
        peer.learn(link(1, 9993), moment(5));
        assert!(peer.rare.is_none());
    }

    /// There is one of it for each member that is online (`docs/performance.md`).
    #[test]
    fn a_peer_with_one_path_and_one_network_is_one_piece_of_memory() {
        let mut peer = peer();
        peer.learn(link(1, 9993), moment(0));
        peer.note_configured(NetworkId(1), moment(0));
        assert!(matches!((&peer.paths, &peer.configured), (Few::One(_), Few::One(_))));
        peer.learn(link(2, 9993), moment(300_000));
        assert_eq!(peer.expire_paths(moment(300_000)), [link(1, 9993)]);
        assert!(matches!(peer.paths, Few::One(_)), "another path was only there for some time");
        assert_eq!((size_of::<Peer>(), size_of::<Path>()), (312, 56));
    }

    #[test]
    fn networks_that_a_peer_is_configured_for_are_bounded_in_number_and_time() {
        let mut peer = peer();
        for n in 0..5_000 {
            peer.note_configured(NetworkId(n), moment(0));
        }
        assert_eq!(peer.configured.len(), MAX_CONFIGURED);
        assert!(peer.is_configured(NetworkId(0), moment(180_000)));
        assert!(!peer.is_configured(NetworkId(4_999), moment(0)), "the newest gives way");
        peer.note_configured(NetworkId(4_999), moment(180_001));
        assert_eq!(peer.configured.len(), 1);
    }
}
