//! Packets that were taken lately: whoever records one and sends it again has no effect (`vl1.md` §12.1).

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use zt_proto::Address;

use super::moment::Moment;

/// How long a packet is remembered. Nothing is sent twice under one id on purpose, except HELLO.
pub(super) const REMEMBER_FOR: Duration = Duration::from_secs(10);
/// Packets that are remembered; past it the oldest may have an effect again.
pub(super) const MAX_REMEMBERED: usize = 65_536;

/// A packet by its source and its id on the wire.
type Key = (Address, u64);

/// The packets that were taken lately. Only authentic ones get here, so strangers cannot fill it.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// By the keyed hash of the standard library, not by a faster one: peers choose the ids of their packets.
    taken: HashSet<Key>,
    order: VecDeque<(Moment, Key)>,
}

impl Duplicates {
    pub(super) fn contains(&self, source: Address, id: u64) -> bool {
        self.taken.contains(&(source, id))
    }

    /// Notes that a packet is taken.
    pub(super) fn insert(&mut self, source: Address, id: u64, now: Moment) {
        self.sweep(now);
        if self.order.len() >= MAX_REMEMBERED
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.taken.remove(&oldest);
        }
        if self.taken.insert((source, id)) {
            self.order.push_back((now, (source, id)));
        }
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((since, key)) = self.order.front().copied() {
            if now.saturating_duration_since(since) <= REMEMBER_FOR {
                return;
            }
            self.order.pop_front();
            self.taken.remove(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.taken.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    #[test]
    fn a_packet_is_remembered_for_ten_seconds_and_only_of_its_source() {
        let mut duplicates = Duplicates::default();
        let (a, b) = (Address::from_low_bits(1), Address::from_low_bits(2));
        duplicates.insert(a, 7, moment(0));
        assert!(duplicates.contains(a, 7) && !duplicates.contains(b, 7) && !duplicates.contains(a, 8));
        duplicates.sweep(moment(10_001));
        assert!(!duplicates.contains(a, 7));
        assert_eq!(duplicates.len(), 0);
    }

    #[test]
    fn the_oldest_is_forgotten_when_too_many_are_remembered() {
        let mut duplicates = Duplicates::default();
        let source = Address::from_low_bits(1);
        for id in 0..=MAX_REMEMBERED as u64 {
            duplicates.insert(source, id, moment(0));
        }
        assert_eq!(duplicates.len(), MAX_REMEMBERED);
        assert!(!duplicates.contains(source, 0) && duplicates.contains(source, 1));
    }
}
