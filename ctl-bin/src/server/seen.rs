//! Which nodes asked lately, and with what: to them configurations are pushed (`vl2.md` §10, "status").

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::num::NonZeroU64;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ctl_core::Client;
use foldhash::fast::RandomState;
use zt_proto::identity::KEY_LEN;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity};

use super::clock::Tick;

/// A node that asked within this time counts as online.
pub(super) const ONLINE_FOR: Duration = Duration::from_secs(120);
/// Requests of one node for one network are answered no more often (`vl2.md` §10.1).
const MIN_INTERVAL: Duration = Duration::from_millis(1000);
/// Requests that are let through within a second; no machine answers so many.
const MAX_GATED: usize = 262_144;
/// Members that are remembered, over all networks.
const MAX_MEMBERS: usize = 2_000_000;
/// Nodes that were refused and are remembered, so that they get a configuration as soon as somebody authorizes them.
/// Beyond, that takes until they ask again.
const MAX_WAITING: usize = 65_536;
/// Receivers that are looked for at once: requests wait for that.
const MAX_RECEIVERS: usize = 1024;
/// Different things that clients say of themselves and that are kept once; what is beyond is kept for each client.
const MAX_SAYINGS: usize = 1024;
/// When a client that runs on asks again after its last configuration: it looks every 5 s whether that is older than
/// 60 s (`vl2.md` §3.2).
const RHYTHM: RangeInclusive<Duration> = Duration::from_secs(59)..=Duration::from_secs(67);

/// What became of a node's last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It got a configuration.
    Admitted,
    /// It may not be in the network, or its user has to log in.
    Refused,
}

/// A hash of what a member said with a request, and from where, under a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(pub u64);

/// What a node said with its last request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The identity, but for the address, by which it is found.
    key: [u8; KEY_LEN],
    /// Without the token, which counts only in a request. Most say the same, which is kept once.
    pub metadata: Arc<RequestMetadata>,
    /// The whole last request, if all of it was noted. One in 2^64 seems not to be.
    asked: Option<NonZeroU64>,
    last_request: Tick,
    /// When it last got a configuration; `None` if it was refused since.
    configured: Option<Tick>,
}

impl Seen {
    /// Returns the identity of the node, whose address this is.
    pub(super) fn identity(&self, address: Address) -> PublicIdentity {
        PublicIdentity { address, key: self.key }
    }

    /// Says whether the node takes configurations and credentials that it did not ask for (`vl2.md` §8.4).
    pub(super) fn takes_pushes(&self) -> bool {
        Client::of(&self.metadata).is_modern()
    }

    /// Says whether the node was admitted when it last heard of its network.
    pub(super) fn is_configured(&self) -> bool {
        self.configured.is_some()
    }
}

/// What became of a request that says what the last one said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It was noted.
    Noted {
        /// As [`SeenNodes::note`] says it.
        may_have_missed: bool,
    },
    /// It comes within a second of the last one, and is not to be answered.
    TooSoon,
    /// It does not say what the last one said, or that one is too long ago or was refused.
    Other,
}

/// The nodes that asked lately. Also those that were refused: when one is authorized, it need not ask again.
#[derive(Debug)]
pub(super) struct SeenNodes {
    max_members: usize,
    /// Whose last request is no older than a second, but for those of which [`SeenNodes::again`] knows it.
    gate: HashSet<(NetworkId, Address)>,
    /// The same, oldest first, with its time.
    gate_order: VecDeque<(Instant, (NetworkId, Address))>,
    /// By a fast hash: only who was verified gets here.
    nodes: HashMap<(NetworkId, Address), Seen, RandomState>,
    /// Their keys, for those who go through a network.
    order: BTreeSet<(NetworkId, Address)>,
    said: Sayings,
    /// When the first was noted.
    start: Option<Instant>,
    /// How many of `nodes` were refused.
    waiting: usize,
    /// How often receivers were looked for.
    #[cfg(test)]
    pub looks: std::cell::Cell<usize>,
}

impl Default for SeenNodes {
    fn default() -> Self {
        Self::with_room_for(MAX_MEMBERS)
    }
}

impl SeenNodes {
    fn with_room_for(max_members: usize) -> Self {
        Self {
            max_members,
            gate: HashSet::new(),
            gate_order: VecDeque::new(),
            nodes: HashMap::default(),
            order: BTreeSet::new(),
            said: Sayings::default(),
            start: None,
            waiting: 0,
            #[cfg(test)]
            looks: std::cell::Cell::new(0),
        }
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick::new(self.start.unwrap_or(now), now)
    }

    /// Takes a request, whether it will be admitted, refused or for a network that does not exist; false within a second
    /// of the last one, or when too many ask at once.
    pub(super) fn take(&mut self, network: NetworkId, node: Address, now: Instant) -> bool {
        while let Some((last, key)) = self.gate_order.front().copied()
            && now.saturating_duration_since(last) > MIN_INTERVAL
        {
            self.gate_order.pop_front();
            self.gate.remove(&key);
        }
        let tick = self.tick(now);
        let is_noted = |seen: &Seen| seen.asked.is_some() && is_too_soon(seen, tick);
        let is_free = !self.nodes.get(&(network, node)).is_some_and(is_noted)
            && self.gate.len() < MAX_GATED
            && self.gate.insert((network, node));
        if is_free {
            self.gate_order.push_back((now, (network, node)));
        }
        is_free
    }

    /// Says whether a node has asked lately, be it that its answer is still to come.
    pub(super) fn has_asked(&self, network: NetworkId, node: Address, now: Instant) -> bool {
        self.gate.contains(&(network, node)) || self.online(network, node, now).is_some()
    }

    /// Notes a request for a network that exists. Says whether the node is one that comes back: it was offline, or
    /// refused, or does not ask in the rhythm of a client that runs on, so that it was probably started again. What
    /// clients do not keep, they then do not have.
    pub(super) fn note(
        &mut self,
        network: NetworkId,
        identity: PublicIdentity,
        metadata: RequestMetadata,
        asked: Option<Asked>,
        standing: Standing,
        now: Instant,
    ) -> bool {
        self.start.get_or_insert(now);
        let (key, now) = ((network, identity.address), self.tick(now));
        let before = self.nodes.get(&key);
        let is_known = before.is_some();
        let runs_on = before.is_some_and(|seen| runs_on(seen, now));
        if before.is_some_and(|seen| !seen.is_configured()) {
            self.waiting -= 1;
        }
        let has_room = match standing {
            Standing::Admitted => is_known || self.nodes.len() - self.waiting < self.max_members,
            Standing::Refused => is_known || self.waiting < MAX_WAITING,
        };
        if has_room {
            let configured = (standing == Standing::Admitted).then_some(now);
            self.waiting += usize::from(configured.is_none());
            let metadata = self.said.share(RequestMetadata { token: None, ..metadata });
            let asked = asked.and_then(|Asked(asked)| NonZeroU64::new(asked));
            let seen = Seen { key: identity.key, metadata, asked, last_request: now, configured };
            self.nodes.insert(key, seen);
            if !is_known {
                self.order.insert(key);
            }
        }
        !runs_on
    }

    /// Takes and notes a request of a member that is online and admitted again, if it asked for the last time in just the same
    /// way and more than a second ago; else does nothing.
    pub(super) fn again(&mut self, network: NetworkId, node: Address, asked: Asked, now: Instant) -> Again {
        let now = self.tick(now);
        let is_same = |seen: &&mut Seen| {
            seen.asked.is_some_and(|known| known.get() == asked.0)
                && seen.is_configured()
                && is_online(seen, now)
        };
        let Some(seen) = self.nodes.get_mut(&(network, node)).filter(is_same) else { return Again::Other };
        if is_too_soon(seen, now) {
            return Again::TooSoon;
        }
        let may_have_missed = !runs_on(seen, now);
        (seen.last_request, seen.configured) = (now, Some(now));
        Again::Noted { may_have_missed }
    }

    /// Notes that a node has got a configuration without asking, or was told that it may no longer be in the network.
    /// Says whether it was not configured before.
    pub(super) fn pushed(
        &mut self,
        network: NetworkId,
        node: Address,
        standing: Standing,
        now: Instant,
    ) -> bool {
        let now = self.tick(now);
        let Some(seen) = self.nodes.get_mut(&(network, node)) else { return false };
        let was_waiting = !seen.is_configured();
        seen.configured = (standing == Standing::Admitted).then_some(now);
        self.waiting = self.waiting + usize::from(!seen.is_configured()) - usize::from(was_waiting);
        was_waiting && standing == Standing::Admitted
    }

    pub(super) fn online(&self, network: NetworkId, node: Address, now: Instant) -> Option<&Seen> {
        let now = self.tick(now);
        self.nodes.get(&(network, node)).filter(|seen| is_online(seen, now))
    }

    /// Returns the first member in a range of addresses that is online and was admitted.
    pub(super) fn next_member(
        &self,
        network: NetworkId,
        range: RangeInclusive<Address>,
        now: Instant,
    ) -> Option<Address> {
        let (first, last) = range.into_inner();
        self.members((network, first)..=(network, last), now).next().map(|(node, _)| node)
    }

    /// Returns members of a network that are online, were admitted, and take credentials: the next ones, by address, that follow
    /// `after`, [`Address::NONE`] at first. There are no more if it returns none.
    pub(super) fn receivers(&self, network: NetworkId, after: Address, now: Instant) -> Vec<Address> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        let rest = (Bound::Excluded((network, after)), Bound::Included((network, Address::MAX)));
        let receivers = self.members(rest, now).filter(|(_, seen)| seen.takes_pushes());
        receivers.map(|(node, _)| node).take(MAX_RECEIVERS).collect()
    }

    fn members(
        &self,
        range: impl RangeBounds<(NetworkId, Address)>,
        now: Instant,
    ) -> impl Iterator<Item = (Address, &Seen)> {
        let (keys, now) = (self.order.range(range), self.tick(now));
        let nodes = keys.filter_map(|key| Some((key.1, self.nodes.get(key)?)));
        nodes.filter(move |(_, seen)| seen.is_configured() && is_online(seen, now))
    }

    /// Forgets who is no longer online.
    pub(super) fn sweep(&mut self, now: Instant) {
        let now = self.tick(now);
        self.nodes.retain(|key, seen| {
            let is_kept = is_online(seen, now);
            if !is_kept {
                self.order.remove(key);
            }
            is_kept
        });
        self.said.sweep();
        self.waiting = self.nodes.values().filter(|seen| !seen.is_configured()).count();
    }
}

/// Says whether a request that comes now is not to be answered, because one was just before.
fn is_too_soon(seen: &Seen, now: Tick) -> bool {
    now.since(seen.last_request) <= MIN_INTERVAL
}

/// Says whether a request that comes now is one of a client that runs on since the last.
fn runs_on(seen: &Seen, now: Tick) -> bool {
    let was_configured = seen.configured.filter(|_| is_online(seen, now));
    was_configured.is_some_and(|last| RHYTHM.contains(&now.since(last)))
}

/// What clients say, each once: there are few releases and platforms.
#[derive(Debug, Default)]
struct Sayings(HashSet<Arc<RequestMetadata>>);

impl Sayings {
    fn share(&mut self, metadata: RequestMetadata) -> Arc<RequestMetadata> {
        if let Some(known) = self.0.get(&metadata) {
            return Arc::clone(known);
        }
        let metadata = Arc::new(metadata);
        if self.0.len() < MAX_SAYINGS {
            self.0.insert(Arc::clone(&metadata));
        }
        metadata
    }

    fn sweep(&mut self) {
        self.0.retain(|metadata| Arc::strong_count(metadata) > 1);
    }
}

fn is_online(seen: &Seen, now: Tick) -> bool {
    now.since(seen.last_request) < ONLINE_FOR
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::Standing::{Admitted, Refused};
    use super::*;

    const NETWORK: NetworkId = NetworkId(1);
    const ASKED: Asked = Asked(1);

    fn modern() -> RequestMetadata {
        RequestMetadata::parse(b"v=7")
    }

    fn identity(n: u64) -> PublicIdentity {
        PublicIdentity { address: Address::from_low_bits(n), key: [0; 64] }
    }

    impl SeenNodes {
        fn asks(&mut self, node: u64, standing: Standing, now: Instant) -> bool {
            self.note(NETWORK, identity(node), modern(), Some(ASKED), standing, now)
        }
    }

    /// Each member that is online has one, with the 16 bytes of what it is found by.
    #[test]
    fn little_more_than_its_key_is_kept_of_a_node() {
        assert!(size_of::<Seen>() <= 88, "{}", size_of::<Seen>());
    }

    #[test]
    fn a_node_may_ask_again_after_more_than_a_second() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let (network, node) = (NETWORK, identity(7));
        assert!(seen.take(network, node.address, start));
        assert!(!seen.take(network, node.address, start), "two at one instant");
        assert!(!seen.take(network, node.address, start + Duration::from_millis(1000)));
        assert!(seen.take(network, node.address, start + Duration::from_millis(1001)));
        assert!(seen.take(NetworkId(2), node.address, start));
    }

    /// `known-flaws.md` rows 7 and 18.
    #[test]
    fn ten_million_requests_for_as_many_networks_fill_no_memory() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let node = identity(7).address;
        let mut taken = 0;
        for n in 0..10_000_000_u64 {
            taken += u64::from(seen.take(NetworkId(n), node, start + Duration::from_micros(n)));
        }
        assert!(taken < 10_000_000, "the bound was not reached");
        assert_eq!((seen.gate.len(), seen.gate_order.len()), (MAX_GATED, MAX_GATED));
        assert!(seen.gate.capacity().max(seen.gate_order.capacity()) <= 4 * MAX_GATED);
        assert!(seen.take(NetworkId(0), node, start + Duration::from_secs(60)));
        assert_eq!(seen.gate.len(), 1);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn refused_nodes_are_remembered_up_to_a_bound_and_take_no_place_of_members() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        for n in 1..=100_000 {
            seen.asks(n, Refused, start);
        }
        assert_eq!((seen.nodes.len(), seen.waiting), (MAX_WAITING, MAX_WAITING));
        seen.asks(100_001, Admitted, start);
        assert!(seen.online(NETWORK, Address::from_low_bits(100_001), start).is_some());
        // One that is authorized makes room for another.
        assert!(seen.pushed(NETWORK, Address::from_low_bits(1), Admitted, start));
        seen.asks(100_002, Refused, start);
        assert_eq!((seen.nodes.len(), seen.waiting), (MAX_WAITING + 2, MAX_WAITING));
        seen.sweep(start + ONLINE_FOR);
        assert_eq!((seen.nodes.len(), seen.order.len(), seen.waiting), (0, 0, 0));
    }

    #[test]
    fn members_are_remembered_up_to_a_bound_and_the_newest_gives_way() {
        let (mut seen, start) = (SeenNodes::with_room_for(1_000), clock::now().mono);
        for n in 1..=2_000 {
            seen.asks(n, Admitted, start);
        }
        assert_eq!(seen.nodes.len(), 1_000);
        assert!(seen.asks(1_001, Admitted, start), "it may have missed something whenever it asks");
        assert!(seen.online(NETWORK, Address::from_low_bits(1_001), start).is_none());
        seen.sweep(start + ONLINE_FOR);
        seen.asks(1_001, Admitted, start + ONLINE_FOR);
        assert_eq!(seen.nodes.len(), 1);
    }

    #[test]
    fn only_members_that_asked_lately_are_online() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        for (network, node) in [(1, 7), (1, 8), (2, 9)] {
            assert!(seen.note(NetworkId(network), identity(node), modern(), None, Admitted, start));
        }
        seen.asks(5, Refused, start);
        let later = start + Duration::from_secs(60);
        assert!(!seen.asks(8, Admitted, later));
        assert_eq!(seen.receivers(NETWORK, Address::NONE, later).len(), 2);
        let end = start + Duration::from_secs(121);
        assert_eq!(seen.receivers(NETWORK, Address::NONE, end), [Address::from_low_bits(8)]);
        seen.sweep(end);
        assert_eq!((seen.nodes.len(), seen.order.len()), (1, 1));
    }

    /// `known-flaws.md` row 13.
    #[test]
    fn a_member_that_asks_out_of_its_rhythm_comes_back() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(seen.asks(7, Admitted, start), "new");
        assert!(!seen.asks(7, Admitted, after(62)), "asks once a minute");
        assert!(seen.asks(7, Admitted, after(82)), "started again");
        // A push moves the rhythm.
        seen.pushed(NETWORK, Address::from_low_bits(7), Admitted, after(102));
        assert!(!seen.asks(7, Admitted, after(164)));
        assert!(seen.asks(7, Refused, after(226)) | seen.asks(7, Admitted, after(231)), "was refused");
        assert!(seen.asks(7, Admitted, after(351)), "was offline");
    }

    #[test]
    fn a_member_that_asks_in_the_same_way_again_is_noted_as_if_it_had_said_everything() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let after = |seconds| start + Duration::from_secs(seconds);
        let node = Address::from_low_bits(7);
        let noted = |may_have_missed| Again::Noted { may_have_missed };
        assert_eq!(seen.again(NETWORK, node, ASKED, start), Again::Other, "never seen");
        seen.asks(7, Admitted, start);
        assert_eq!(seen.again(NETWORK, node, Asked(2), after(60)), Again::Other, "it says something else");
        assert_eq!(seen.again(NETWORK, node, ASKED, after(62)), noted(false), "once a minute");
        assert_eq!(seen.again(NETWORK, node, ASKED, after(82)), noted(true), "started again");
        assert!(seen.online(NETWORK, node, after(200)).is_some());
        assert_eq!(seen.again(NETWORK, node, ASKED, after(300)), Again::Other, "was offline");
        seen.asks(7, Refused, after(301));
        assert_eq!(seen.again(NETWORK, node, ASKED, after(303)), Again::Other, "was refused");
        seen.note(NETWORK, identity(7), modern(), None, Admitted, after(304));
        assert_eq!(seen.again(NETWORK, node, ASKED, after(306)), Again::Other, "not all of it was noted");
    }

    #[test]
    fn a_member_that_asks_in_the_same_way_again_may_do_so_after_more_than_a_second() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let after = |millis| start + Duration::from_millis(millis);
        let node = Address::from_low_bits(7);
        seen.asks(7, Admitted, start);
        assert_eq!(seen.again(NETWORK, node, ASKED, after(1_000)), Again::TooSoon);
        assert_eq!(seen.again(NETWORK, node, ASKED, after(1_001)), Again::Noted { may_have_missed: true });
        // The other way to ask knows of it.
        assert!(!seen.take(NETWORK, node, after(2_001)));
        assert!(seen.take(NETWORK, node, after(2_002)) && seen.take(NetworkId(2), node, after(2_002)));
        // Of one that was only taken as online nobody knows when it asked.
        seen.note(NETWORK, identity(8), modern(), None, Admitted, start);
        assert!(seen.take(NETWORK, identity(8).address, start));
    }

    #[test]
    fn what_many_say_is_kept_once_and_different_sayings_are_bounded() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let says = |n: u64| RequestMetadata { flags: n, ..modern() };
        let bound = MAX_SAYINGS as u64;
        for n in 0..2 * bound {
            seen.note(NETWORK, identity(n), says(n), None, Admitted, start);
        }
        assert_eq!(seen.said.0.len(), MAX_SAYINGS);
        let metadata = |seen: &SeenNodes, n| {
            Arc::clone(&seen.online(NETWORK, Address::from_low_bits(n), start).unwrap().metadata)
        };
        seen.note(NETWORK, identity(9_999), says(5), None, Admitted, start);
        assert!(Arc::ptr_eq(&metadata(&seen, 9_999), &metadata(&seen, 5)));
        assert_eq!(*metadata(&seen, bound + 7), says(bound + 7), "beyond the bound");
        seen.sweep(start + ONLINE_FOR);
        assert!(seen.said.0.is_empty());
    }

    /// Before 1.2.0 the verb of credentials meant something else.
    #[test]
    fn an_old_client_gets_no_credentials_but_belongs_to_a_changed_network() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        seen.note(NETWORK, identity(7), RequestMetadata::default(), None, Admitted, start);
        assert_eq!(seen.receivers(NETWORK, Address::NONE, start), []);
        let all = Address::NONE..=Address::MAX;
        assert_eq!(seen.next_member(NETWORK, all, start), Some(identity(7).address));
    }

    #[test]
    fn a_token_is_not_kept() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let metadata = RequestMetadata::parse(b"v=7\na=token:secret");
        assert!(metadata.token.is_some());
        seen.note(NETWORK, identity(7), metadata, None, Admitted, start);
        assert_eq!(seen.online(NETWORK, Address::from_low_bits(7), start).unwrap().metadata.token, None);
    }
}
