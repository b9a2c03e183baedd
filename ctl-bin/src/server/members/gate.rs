//! Who asked within the last second, so that nobody is answered more often.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Key;
use crate::room::Room;

/// Requests of one node for one network are answered no more often (`vl2.md` §10.1).
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(1000);
/// Requests that are let through within a second; no machine answers so many.
const MAX_GATED: usize = 262_144;

/// Whose last request is no older than a second, be it that no such network exists: strangers choose what is in it.
#[derive(Debug, Default)]
pub(super) struct Gate {
    keys: HashSet<Key>,
    /// The same, oldest first, with its time.
    order: VecDeque<(Instant, Key)>,
}

impl Gate {
    /// Lets a request through, unless there was one within a second or too many ask at once.
    pub(super) fn pass(&mut self, key: Key, now: Instant) -> bool {
        self.sweep(now);
        let is_free = self.keys.len() < MAX_GATED && self.keys.insert(key);
        if is_free {
            self.order.push_back((now, key));
        }
        is_free
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    /// Forgets who may ask again. After a storm most of the room is given back.
    pub(super) fn sweep(&mut self, now: Instant) {
        while let Some((last, key)) = self.order.front().copied()
            && now.saturating_duration_since(last) > MIN_INTERVAL
        {
            self.order.pop_front();
            self.keys.remove(&key);
        }
        self.keys.give_back();
        self.order.give_back();
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::{Address, NetworkId};

    use super::super::super::clock;
    use super::*;

    /// `known-flaws.md` rows 7 and 18.
    #[test]
    fn ten_million_requests_for_as_many_networks_fill_no_memory() {
        let (mut gate, start) = (Gate::default(), clock::now().mono);
        let node = Address::from_low_bits(7);
        let mut taken = 0;
        for n in 0..10_000_000_u64 {
            taken += u64::from(gate.pass((NetworkId(n), node), start + Duration::from_micros(n)));
        }
        assert!(taken < 10_000_000, "the bound was not reached");
        assert_eq!((gate.keys.len(), gate.order.len()), (MAX_GATED, MAX_GATED));
        assert!(gate.keys.capacity().max(gate.order.capacity()) <= 4 * MAX_GATED);
        assert!(gate.pass((NetworkId(0), node), start + Duration::from_secs(60)));
        assert_eq!(gate.keys.len(), 1);
        assert!(gate.keys.capacity().max(gate.order.capacity()) <= 16_384, "the room is not given back");
    }
}
