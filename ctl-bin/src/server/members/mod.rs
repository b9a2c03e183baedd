//! The nodes that asked lately, what they said, and what members were answered: to them configurations are pushed
//! (`vl2.md` §10, "status"), and who asks in the same way again is answered in the same way.
//!
//! Most members ask once a minute, and most of the time nothing has changed. What a member was given last is then given
//! again, as long as no decision could be another one: it shows the same identity, says the same about itself from the same
//! place, the database is of the same generation ([`Store::generation`](ctl_store::Store::generation)), and what was issued is
//! fresh enough to be sent again. Whoever does not is decided about anew.
//!
//! All of that is found by one look-up, in one piece of memory of 72 bytes.

mod gate;
mod order;
mod sayings;
mod sendings;
#[cfg(test)]
mod tests;

use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ctl_core::{Client, Issued, Network, Sending, memo};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, Timestamp};

use super::clock::Tick;
use crate::dense::{Dense, Keyed};
use gate::{Gate, MIN_INTERVAL};
use order::Order;
use sayings::Sayings;
pub(super) use sendings::{MAX_CHUNKS, Turn};
use sendings::{MAX_OFTEN, OFTEN, Sendings};

/// A node that asked within this time counts as online.
pub(super) const ONLINE_FOR: Duration = Duration::from_secs(120);
/// Members that are remembered, over all networks.
const MAX_MEMBERS: usize = 2_000_000;
/// Nodes that were refused and are remembered, so that they get a configuration as soon as somebody authorizes them.
/// Beyond, that takes until they ask again.
const MAX_WAITING: usize = 65_536;
/// Receivers that are looked for at once: requests wait for that.
const MAX_RECEIVERS: usize = 1024;
/// When a client that runs on asks again after its last configuration: it looks every 5 s whether that is older than
/// 60 s (`vl2.md` §3.2).
const RHYTHM: RangeInclusive<Duration> = Duration::from_secs(59)..=Duration::from_secs(67);

/// A node in a network.
pub(super) type Key = (NetworkId, Address);

/// What became of a node's last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It got a configuration.
    Admitted,
    /// It may not be in the network, or its user has to log in.
    Refused,
}

/// A hash of who asks, of what it says, not parsed, and from where, under a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(pub u64);

/// How long a decision lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting {
    generation: u64,
    /// By the clock of times of issue.
    until: Timestamp,
}

impl Lasting {
    /// Returns how long one lasts that was made at a generation which was asked for before anything was read. A session of
    /// single sign-on ends by itself, so in such networks each request is decided about.
    pub(super) fn of(network: &Network, generation: u64, issued: &Issued) -> Option<Self> {
        let until = issued.certified().plus_millis(memo::reusable_for(network));
        (!network.sso_enabled).then_some(Self { generation, until })
    }

    fn is_over(self, generation: u64, present: Timestamp) -> bool {
        self.generation != generation || present > self.until
    }
}

/// What a member was answered to a request that it may repeat.
#[derive(Debug)]
pub(super) struct Answered {
    pub asked: Asked,
    pub lasting: Lasting,
    /// Lives as long as the memo keeps it.
    pub issued: Weak<Issued>,
}

/// What is known of a node in a network.
#[derive(Debug)]
pub(super) struct Seen {
    network: NetworkId,
    /// As [`Members::share`] returns it.
    pub metadata: Arc<RequestMetadata>,
    answered: Option<Answered>,
    /// Only while it asks often.
    sendings: Option<Box<Sendings>>,
    last_request: Tick,
    /// When it last got a configuration; `None` if it was refused since.
    configured: Option<Tick>,
    node: [u8; 5],
    turn: Turn,
}

impl Keyed for Seen {
    type Key = Key;

    fn key(&self) -> Key {
        (self.network, Address::from_octets(self.node))
    }
}

impl Seen {
    /// Says whether the node takes configurations and credentials that it did not ask for (`vl2.md` §8.4).
    pub(super) fn takes_pushes(&self) -> bool {
        Client::of(&self.metadata).is_modern()
    }

    /// Says whether the node was admitted when it last heard of its network.
    pub(super) fn is_configured(&self) -> bool {
        self.configured.is_some()
    }

    fn is_online(&self, now: Tick) -> bool {
        now.since(self.last_request) < ONLINE_FOR
    }

    /// Says whether a request that comes now is not to be answered, because one was just before.
    fn is_too_soon(&self, now: Tick) -> bool {
        now.since(self.last_request) <= MIN_INTERVAL
    }

    /// Says whether a request that comes now is one of a client that runs on since the last.
    fn runs_on(&self, now: Tick) -> bool {
        let was_configured = self.configured.filter(|_| self.is_online(now));
        was_configured.is_some_and(|last| RHYTHM.contains(&now.since(last)))
    }

    /// Returns what the node was issued, if it is still right for a request.
    fn right(&self, asked: Asked, generation: u64, present: Timestamp) -> Option<&Weak<Issued>> {
        let Answered { asked: known, lasting, issued } = self.answered.as_ref()?;
        (*known == asked && !lasting.is_over(generation, present)).then_some(issued)
    }

    fn take_turn(&mut self) -> Turn {
        let turn = self.turn;
        self.turn = turn.next();
        turn
    }
}

/// What became of a request that says what the last one said.
#[derive(Debug)]
pub(super) enum Again {
    /// It was noted, and gets this.
    Ready(Ready),
    /// It comes within a second of the last one, and is not to be answered.
    TooSoon,
    /// It does not say what the last one said, or that one is too long ago or was refused, or another decision could be made
    /// about it.
    Other,
}

/// An answer that is still right.
#[derive(Debug)]
pub(super) struct Ready {
    pub issued: Arc<Issued>,
    pub turn: Turn,
    /// If it is signed already.
    pub sending: Option<Sending>,
    /// Whether it is to be given to [`Members::keep`] when it is.
    pub is_kept: bool,
    /// As [`Members::note`] says it.
    pub may_have_missed: bool,
}

/// The nodes that asked lately. Also those that were refused: when one is authorized, it need not ask again.
#[derive(Debug)]
pub(super) struct Members {
    max: usize,
    gate: Gate,
    /// Only who was verified gets here.
    nodes: Dense<Seen>,
    /// Their keys.
    order: Order,
    said: Sayings,
    /// When the first was noted.
    start: Option<Instant>,
    /// How many of `nodes` were refused.
    waiting: usize,
    /// How many of them have sendings.
    often: usize,
    /// How often receivers were looked for.
    #[cfg(test)]
    pub looks: std::cell::Cell<usize>,
}

impl Default for Members {
    fn default() -> Self {
        Self::with_room_for(MAX_MEMBERS)
    }
}

impl Members {
    fn with_room_for(max: usize) -> Self {
        Self {
            max,
            gate: Gate::default(),
            nodes: Dense::default(),
            order: Order::default(),
            said: Sayings::default(),
            start: None,
            waiting: 0,
            often: 0,
            #[cfg(test)]
            looks: std::cell::Cell::new(0),
        }
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick::new(self.start.unwrap_or(now), now)
    }

    /// Takes a request that has to be decided about, whether it will be admitted, refused or for a network that does not
    /// exist; false within a second of the last one, or when too many ask at once.
    pub(super) fn take(&mut self, key: Key, now: Instant) -> bool {
        let tick = self.tick(now);
        // Who was answered at once did not come through the gate.
        let is_noted = |seen: &Seen| seen.answered.is_some() && seen.is_too_soon(tick);
        !self.nodes.get(&key).is_some_and(is_noted) && self.gate.pass(key, now)
    }

    /// Says whether a node has asked lately, be it that its answer is still to come.
    pub(super) fn has_asked(&self, key: Key, now: Instant) -> bool {
        self.gate.contains(key) || self.online(key, now).is_some()
    }

    /// Returns the turn of the answer to a request that was decided about.
    pub(super) fn turn(&mut self, key: Key) -> Turn {
        self.nodes.get_mut(&key).map_or(Turn::FIRST, Seen::take_turn)
    }

    /// Returns what a node says of itself as it is kept: without the token. Most say the same, which is kept once.
    pub(super) fn share(&mut self, metadata: &RequestMetadata) -> Arc<RequestMetadata> {
        self.said.share(metadata)
    }

    /// Notes a request for a network that exists, and what a member was answered that may repeat it. Says whether the node is
    /// one that comes back: it was offline, or refused, or does not ask in the rhythm of a client that runs on, so that it was
    /// probably started again. What clients do not keep, they then do not have.
    pub(super) fn note(
        &mut self,
        key: Key,
        metadata: Arc<RequestMetadata>,
        answered: Option<Answered>,
        standing: Standing,
        now: Instant,
    ) -> bool {
        self.start.get_or_insert(now);
        let now = self.tick(now);
        let before = self.nodes.get(&key);
        let (is_known, turn) = (before.is_some(), before.map_or(Turn::FIRST.next(), |seen| seen.turn));
        let runs_on = before.is_some_and(|seen| seen.runs_on(now));
        self.waiting -= usize::from(before.is_some_and(|seen| !seen.is_configured()));
        let has_room = match standing {
            Standing::Admitted => is_known || self.nodes.len() - self.waiting < self.max,
            Standing::Refused => is_known || self.waiting < MAX_WAITING,
        };
        if has_room {
            let (network, node) = (key.0, key.1.octets());
            let configured = (standing == Standing::Admitted).then_some(now);
            self.waiting += usize::from(configured.is_none());
            let (sendings, last_request) = (None, now);
            let seen = Seen { network, metadata, answered, sendings, last_request, configured, node, turn };
            if let Some(before) = self.nodes.insert(seen) {
                self.often -= usize::from(before.sendings.is_some());
            } else {
                self.order.insert(key);
            }
        }
        !runs_on
    }

    /// Takes and notes a request of a member that is online and admitted again, if it asked for the last time in just the same
    /// way and more than a second ago, and what it got is still right at `present`, by the clock of times of issue; else does
    /// nothing.
    pub(super) fn again(
        &mut self,
        key: Key,
        asked: Asked,
        generation: u64,
        present: Timestamp,
        now: Instant,
    ) -> Again {
        let tick = self.tick(now);
        let Some(seen) = self.nodes.get_mut(&key) else { return Again::Other };
        let right = seen.right(asked, generation, present).filter(|_| seen.is_configured());
        let Some(issued) = right.filter(|_| seen.is_online(tick)) else { return Again::Other };
        if seen.is_too_soon(tick) {
            return Again::TooSoon;
        }
        let Some(issued) = issued.upgrade() else { return Again::Other };
        let (may_have_missed, asks_often) = (!seen.runs_on(tick), tick.since(seen.last_request) < OFTEN);
        (seen.last_request, seen.configured) = (tick, Some(tick));
        if !asks_often {
            self.often -= usize::from(seen.sendings.take().is_some());
        } else if seen.sendings.is_none() && self.often < MAX_OFTEN {
            seen.sendings = Some(Box::default());
            self.often += 1;
        }
        let (turn, is_kept) = (seen.take_turn(), seen.sendings.is_some());
        let sending = seen.sendings.as_ref().and_then(|sendings| sendings.get(&issued, turn));
        Again::Ready(Ready { issued, turn, sending, is_kept, may_have_missed })
    }

    /// Keeps what was signed for a member that asks often.
    pub(super) fn keep(&mut self, key: Key, issued: &Arc<Issued>, turn: Turn, sending: &Sending) {
        let Some(Seen { answered: Some(answered), sendings: Some(sendings), .. }) = self.nodes.get_mut(&key)
        else {
            return;
        };
        // What a weak pointer leads to keeps its place in memory.
        if std::ptr::eq(answered.issued.as_ptr(), Arc::as_ptr(issued)) {
            sendings.put(turn, sending);
        }
    }

    /// Notes that a node has got a configuration without asking, or was told that it may no longer be in the network.
    /// Says whether it was not configured before.
    pub(super) fn pushed(&mut self, key: Key, standing: Standing, now: Instant) -> bool {
        let now = self.tick(now);
        let Some(seen) = self.nodes.get_mut(&key) else { return false };
        let was_waiting = !seen.is_configured();
        seen.configured = (standing == Standing::Admitted).then_some(now);
        self.waiting = self.waiting + usize::from(!seen.is_configured()) - usize::from(was_waiting);
        was_waiting && standing == Standing::Admitted
    }

    pub(super) fn online(&self, key: Key, now: Instant) -> Option<&Seen> {
        let now = self.tick(now);
        self.nodes.get(&key).filter(|seen| seen.is_online(now))
    }

    /// Returns the first member in a range of addresses that is online and was admitted.
    pub(super) fn next_member(
        &self,
        network: NetworkId,
        range: RangeInclusive<Address>,
        now: Instant,
    ) -> Option<Address> {
        let (first, last) = range.into_inner();
        self.members(network, first.octets()..=last.octets(), now).next().map(|(node, _)| node)
    }

    /// Returns members of a network that are online, were admitted, and take credentials: the next ones, by address, that follow
    /// `after`, [`Address::NONE`] at first. There are no more if it returns none.
    pub(super) fn receivers(&self, network: NetworkId, after: Address, now: Instant) -> Vec<Address> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        let rest = (Bound::Excluded(after.octets()), Bound::Unbounded);
        let receivers = self.members(network, rest, now).filter(|(_, seen)| seen.takes_pushes());
        receivers.map(|(node, _)| node).take(MAX_RECEIVERS).collect()
    }

    fn members(
        &self,
        network: NetworkId,
        range: impl RangeBounds<[u8; 5]>,
        now: Instant,
    ) -> impl Iterator<Item = (Address, &Seen)> {
        let (nodes, now) = (self.order.range(network, range), self.tick(now));
        let nodes = nodes.filter_map(move |node| Some((node, self.nodes.get(&(network, node))?)));
        nodes.filter(move |(_, seen)| seen.is_configured() && seen.is_online(now))
    }

    /// Forgets who is no longer online, and the sendings of those who no longer ask often.
    pub(super) fn sweep(&mut self, now: Instant) {
        let tick = self.tick(now);
        let Self { nodes, order, waiting, often, .. } = self;
        (*waiting, *often) = (0, 0);
        nodes.retain(|seen| {
            let is_kept = seen.is_online(tick);
            if is_kept {
                seen.sendings.take_if(|_| tick.since(seen.last_request) >= OFTEN);
                *waiting += usize::from(!seen.is_configured());
                *often += usize::from(seen.sendings.is_some());
            } else {
                order.remove(seen.key());
            }
            is_kept
        });
        self.said.sweep();
        self.gate.sweep(now);
    }
}
