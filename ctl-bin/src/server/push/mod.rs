//! Which members are to be pushed a configuration, in which order and at what pace, and which pushes wait for their
//! acknowledgement (`vl2.md` §4.2, §11).
//!
//! It holds who is due, never what is sent: a push, also a repeated one, carries the state at the moment in which it is
//! made. So changes that come faster than pushes leave make one push of all of them.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

use zt_proto::{Address, NetworkId};

pub(super) use super::members::Key;
use super::members::Members;

/// How long an acknowledgement may take: after the first sending, the second, and so on. After the last sending nobody
/// waits: the member asks by itself once a minute.
const ACKNOWLEDGED_WITHIN: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// Pushes that wait for their acknowledgement; what is sent beyond is not repeated.
const MAX_AWAITED: usize = 65_536;
/// Pushes to members of a changed network that are made without a pause, and the shortest time from one such slice to the
/// next: 6,400 a second at most, some 9 MB.
const SLICE: u32 = 64;
const PERIOD: Duration = Duration::from_millis(10);
/// A slice takes one core; where there are others, a pause of so small a part of it is enough for who runs on the same.
const SMALL_PAUSE: u32 = 4;
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// What is asked sooner after the last request is not answered (`vl2.md` §10.1), so who is made to ask is so only when this
/// is over. Whoever asks by itself meanwhile gets what is.
const ASKS_AFTER: Duration = Duration::from_millis(1100);

/// A push that is to be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub key: Key,
    /// How often it was made before.
    attempt: usize,
}

impl Due {
    pub(super) fn is_repeated(self) -> bool {
        self.attempt > 0
    }
}

#[derive(Debug)]
struct Awaited {
    update_id: u64,
    attempt: usize,
    until: Instant,
}

impl Awaited {
    /// Says whether nothing was sent yet that could be acknowledged.
    fn is_put_off(&self) -> bool {
        self.update_id == PUT_OFF
    }
}

/// No update has this id.
const PUT_OFF: u64 = 0;

/// The members of a network that a change has not reached yet: ranges of addresses, both ends included.
///
/// Two at most: a change in the middle of a pass begins a new round at that place.
#[derive(Debug)]
struct Pass {
    ranges: VecDeque<(u64, u64)>,
}

impl Pass {
    fn whole() -> Self {
        Self { ranges: VecDeque::from([(0, Address::MAX.to_u64())]) }
    }

    fn begin_anew(&mut self) {
        let next = self.ranges.front().map_or(0, |(next, _)| *next);
        self.ranges = VecDeque::from([(next, Address::MAX.to_u64())]);
        if let Some(last) = next.checked_sub(1) {
            self.ranges.push_back((0, last));
        }
    }

    fn take(&mut self, network: NetworkId, members: &Members, now: Instant) -> Option<Address> {
        while let Some((next, last)) = self.ranges.front_mut() {
            let range = Address::from_low_bits(*next)..=Address::from_low_bits(*last);
            let found = members.next_member(network, range, now);
            match found.filter(|found| found.to_u64() < *last) {
                Some(found) => *next = found.to_u64() + 1,
                None => drop(self.ranges.pop_front()),
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// Who is to be pushed to.
#[derive(Debug)]
pub(super) struct Pushes {
    /// Members whose own record changed, for which somebody waits. Each once.
    urgent: VecDeque<Key>,
    /// The same, to be looked up: changes of many members come together.
    is_urgent: HashSet<Key>,
    /// Networks with members that a change has not reached; they take turns.
    turns: VecDeque<NetworkId>,
    passes: BTreeMap<NetworkId, Pass>,
    awaited: BTreeMap<Key, Awaited>,
    by_end: BTreeSet<(Instant, Key)>,
    /// When the slice began of which `left` pushes are left, or begins if that is to come.
    slice: Instant,
    left: u32,
    /// A slice is followed by a pause of this part of the time that it took.
    pause: u32,
}

impl Pushes {
    /// Pushes on a machine with so many cores.
    pub(super) fn new(cores: usize, now: Instant) -> Self {
        Self {
            pause: if cores > 1 { SMALL_PAUSE } else { 1 },
            urgent: VecDeque::new(),
            is_urgent: HashSet::new(),
            turns: VecDeque::new(),
            passes: BTreeMap::new(),
            awaited: BTreeMap::new(),
            by_end: BTreeSet::new(),
            slice: now,
            left: SLICE,
        }
    }

    /// Notes that a member needs its configuration, before all that are not as urgent.
    pub(super) fn member(&mut self, key: Key) {
        if self.is_urgent.insert(key) {
            self.urgent.push_back(key);
        }
    }

    /// Notes that every member of a network that is online needs its configuration.
    pub(super) fn network(&mut self, network: NetworkId) {
        if let Some(pass) = self.passes.get_mut(&network) {
            pass.begin_anew();
        } else {
            self.passes.insert(network, Pass::whole());
            self.turns.push_back(network);
        }
    }

    /// Takes the next push that is to be made now; [`Pushes::sent`] or [`Pushes::dropped`] says what became of it.
    pub(super) fn take(&mut self, members: &Members, now: Instant) -> Option<Due> {
        if let Some(key) = self.urgent.pop_front() {
            self.is_urgent.remove(&key);
            return Some(Due { key, attempt: 0 });
        }
        if now < self.slice {
            return None;
        }
        if self.left == SLICE || now.saturating_duration_since(self.slice) > MAX_PAUSE {
            (self.slice, self.left) = (now, SLICE);
        }
        let due = self.take_repeat(now).or_else(|| self.take_turn(members, now))?;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            // On a single core, whatever else there is to do gets at least as much time as these took.
            let took = now.saturating_duration_since(self.slice).min(MAX_PAUSE);
            self.slice = (self.slice + PERIOD).max(now + took / self.pause);
            self.left = SLICE;
        }
        Some(due)
    }

    fn take_repeat(&mut self, now: Instant) -> Option<Due> {
        self.by_end.first().filter(|(end, _)| *end <= now)?;
        let (_, key) = self.by_end.pop_first()?;
        let attempt = self.awaited.get(&key).map_or(0, |awaited| awaited.attempt);
        Some(Due { key, attempt })
    }

    fn take_turn(&mut self, members: &Members, now: Instant) -> Option<Due> {
        while let Some(network) = self.turns.pop_front() {
            let member = self.passes.get_mut(&network).and_then(|pass| pass.take(network, members, now));
            if let Some(member) = member {
                self.turns.push_back(network);
                return Some(Due { key: (network, member), attempt: 0 });
            }
            self.passes.remove(&network);
        }
        None
    }

    /// Notes that a push was made, and waits for its acknowledgement; what an earlier push of the same member waited for
    /// no longer matters.
    pub(super) fn sent(&mut self, due: Due, update_id: u64, now: Instant) {
        self.forget(due.key);
        let Some(patience) = ACKNOWLEDGED_WITHIN.get(due.attempt) else { return };
        if self.awaited.len() < MAX_AWAITED {
            let (until, attempt) = (now + *patience, due.attempt + 1);
            self.awaited.insert(due.key, Awaited { update_id, attempt, until });
            self.by_end.insert((until, due.key));
        }
    }

    /// Puts a push off that makes its receiver ask; says whether it did: not a second time, nor if too many wait.
    pub(super) fn put_off(&mut self, due: Due, now: Instant) -> bool {
        if self.awaited.get(&due.key).is_some_and(Awaited::is_put_off) && due.attempt == 0 {
            // Since the first of several changes.
            return true;
        }
        self.forget(due.key);
        let is_put_off = due.attempt == 0 && self.awaited.len() < MAX_AWAITED;
        if is_put_off {
            let until = now + ASKS_AFTER;
            self.awaited.insert(due.key, Awaited { update_id: PUT_OFF, attempt: 1, until });
            self.by_end.insert((until, due.key));
        }
        is_put_off
    }

    /// Notes that there was nothing to push, or that nobody can acknowledge it.
    pub(super) fn dropped(&mut self, due: Due) {
        self.forget(due.key);
    }

    /// Takes an acknowledgement; says whether it was waited for.
    pub(super) fn acknowledged(&mut self, key: Key, update_id: u64) -> bool {
        let is_awaited = self
            .awaited
            .get(&key)
            .is_some_and(|awaited| awaited.update_id == update_id && !awaited.is_put_off());
        if is_awaited {
            self.forget(key);
        }
        is_awaited
    }

    fn forget(&mut self, key: Key) {
        if let Some(awaited) = self.awaited.remove(&key) {
            self.by_end.remove(&(awaited.until, key));
        }
    }

    /// Returns when [`Pushes::take`] has something again, if nothing new comes.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        if !self.urgent.is_empty() {
            return Some(now);
        }
        if !self.turns.is_empty() {
            return Some(self.slice);
        }
        self.by_end.first().map(|(end, _)| self.slice.max(*end))
    }
}

#[cfg(test)]
mod tests;
