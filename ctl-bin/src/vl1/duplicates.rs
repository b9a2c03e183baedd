//! Packets that were taken lately: whoever records one and sends it again has no effect (`vl1.md` §12.1).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use zt_proto::Address;

use super::moment::Moment;
use super::recent::Recent;

/// How long a packet is remembered. Nothing is sent twice under one id on purpose, except HELLO.
pub(super) const REMEMBER_FOR: Duration = Duration::from_secs(10);
/// Packets that are remembered; past it the oldest may have an effect again.
pub(super) const MAX_REMEMBERED: usize = 65_536;

/// A packet by the hash of its source and its id on the wire. Of 2^48 packets one is taken for another, and is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// The packets that were taken lately. Only authentic ones get here, so strangers cannot fill it.
#[derive(Debug)]
pub(super) struct Duplicates {
    taken: Recent<()>,
    /// The keyed hash of the standard library, not a faster one: peers choose the ids of their packets.
    hasher: RandomState,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { taken: Recent::new(MAX_REMEMBERED, REMEMBER_FOR), hasher: RandomState::new() }
    }
}

impl Duplicates {
    /// Returns by what a packet is remembered.
    pub(super) fn mark(&self, source: Address, id: u64) -> Mark {
        Mark(self.hasher.hash_one((source, id)))
    }

    pub(super) fn contains(&self, packet: Mark) -> bool {
        self.taken.contains(packet.0)
    }

    /// Notes that a packet is taken.
    pub(super) fn insert(&mut self, packet: Mark, now: Moment) {
        self.sweep(now);
        self.taken.insert(packet.0, (), now);
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        self.taken.sweep(now);
    }

    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    #[test]
    fn a_packet_is_remembered_for_ten_seconds_and_only_of_its_source() {
        let mut duplicates = Duplicates::default();
        let mark = |duplicates: &Duplicates, source, id| duplicates.mark(Address::from_low_bits(source), id);
        let packet = mark(&duplicates, 1, 7);
        duplicates.insert(packet, moment(0));
        assert!(duplicates.contains(mark(&duplicates, 1, 7)));
        assert!(
            !duplicates.contains(mark(&duplicates, 2, 7)) && !duplicates.contains(mark(&duplicates, 1, 8))
        );
        duplicates.sweep(moment(10_001));
        assert!(!duplicates.contains(packet));
        assert_eq!(duplicates.len(), 0);
    }

    #[test]
    fn the_oldest_is_forgotten_when_too_many_are_remembered() {
        let mut duplicates = Duplicates::default();
        let source = Address::from_low_bits(1);
        for id in 0..=MAX_REMEMBERED as u64 {
            duplicates.insert(duplicates.mark(source, id), moment(0));
        }
        assert_eq!(duplicates.len(), MAX_REMEMBERED);
        let [oldest, next] = [0, 1].map(|id| duplicates.mark(source, id));
        assert!(!duplicates.contains(oldest) && duplicates.contains(next));
    }
}
