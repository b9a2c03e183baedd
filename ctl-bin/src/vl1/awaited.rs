//! Packets that wait for their OK: an OK that nobody waits for is dropped entirely (`vl1.md` §12.5).

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use zt_proto::Address;
use zt_proto::verb::Verb;

use super::moment::Moment;
use super::recent::Recent;

/// How long an OK may take.
pub(super) const AWAIT_FOR: Duration = Duration::from_secs(30);
/// Packets that wait at the same time; past it the oldest is given up.
pub(super) const MAX_AWAITED: usize = 65_536;

/// A packet that was sent, and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awaited {
    pub verb: Verb,
    pub sent: Moment,
    /// Whether the answer came from where the packet was sent.
    pub came_back: bool,
}

/// What is kept of a packet that waits.
#[derive(Debug)]
struct Waiting {
    to: [u8; 5],
    verb: Verb,
    /// A keyed hash of where it was sent: addresses themselves take four times as much.
    remote: [u8; 8],
}

/// The packets that wait.
#[derive(Debug)]
pub(super) struct AwaitedPackets {
    /// By their ids on the wire, which this node draws.
    by_id: Recent<Waiting>,
    hasher: RandomState,
}

impl Default for AwaitedPackets {
    fn default() -> Self {
        Self { by_id: Recent::new(MAX_AWAITED, AWAIT_FOR), hasher: RandomState::new() }
    }
}

impl AwaitedPackets {
    pub(super) fn insert(&mut self, id: u64, to: Address, verb: Verb, remote: SocketAddr, now: Moment) {
        let waiting = Waiting { to: to.octets(), verb, remote: self.hash(remote) };
        self.by_id.insert(id, waiting, now);
    }

    /// Returns what the OK answers that came from the node `from` at `remote`. It stays, since a packet may be answered more
    /// than once: a HELLO that a peer gets over several ways, a configuration in several chunks.
    pub(super) fn get(&self, id: u64, from: Address, remote: SocketAddr, now: Moment) -> Option<Awaited> {
        let (sent, waiting) = self.by_id.get(id)?;
        let in_time = now.saturating_duration_since(sent) <= AWAIT_FOR;
        if waiting.to != from.octets() || !in_time {
            return None;
        }
        Some(Awaited { verb: waiting.verb, sent, came_back: waiting.remote == self.hash(remote) })
    }

    fn hash(&self, remote: SocketAddr) -> [u8; 8] {
        self.hasher.hash_one(remote).to_ne_bytes()
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        self.by_id.sweep(now);
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    fn remote(host: u8) -> SocketAddr {
        ([192, 0, 2, host], 9993).into()
    }

    fn node(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    #[test]
    fn an_ok_counts_only_from_the_peer_that_was_asked_and_only_in_time() {
        let mut packets = AwaitedPackets::default();
        packets.insert(7, node(1), Verb::HELLO, remote(1), moment(0));
        assert!(packets.get(7, node(1), remote(1), moment(29_000)).is_some());
        assert!(packets.get(7, node(2), remote(1), moment(0)).is_none());
        assert!(packets.get(8, node(1), remote(1), moment(0)).is_none());
        assert!(packets.get(7, node(1), remote(1), moment(31_000)).is_none());
    }

    #[test]
    fn an_answer_from_elsewhere_is_told_from_one_that_came_back() {
        let mut packets = AwaitedPackets::default();
        packets.insert(7, node(1), Verb::ECHO, remote(1), moment(5));
        let awaited = |came_back| Awaited { verb: Verb::ECHO, sent: moment(5), came_back };
        assert_eq!(packets.get(7, node(1), remote(1), moment(9)), Some(awaited(true)));
        assert_eq!(packets.get(7, node(1), remote(2), moment(9)), Some(awaited(false)));
        let other_port = ([192, 0, 2, 1], 9994).into();
        assert_eq!(packets.get(7, node(1), other_port, moment(9)), Some(awaited(false)));
    }

    #[test]
    fn unanswered_packets_are_forgotten_when_their_time_is_up() {
        let mut packets = AwaitedPackets::default();
        packets.insert(7, node(1), Verb::HELLO, remote(1), moment(0));
        packets.sweep(moment(31_000));
        assert_eq!(packets.len(), 0);
    }

    #[test]
    fn the_oldest_is_given_up_when_too_many_wait() {
        let mut packets = AwaitedPackets::default();
        for id in 0..=MAX_AWAITED as u64 {
            packets.insert(id, node(1), Verb::HELLO, remote(1), moment(0));
        }
        assert_eq!(packets.len(), MAX_AWAITED);
        assert!(packets.get(0, node(1), remote(1), moment(0)).is_none());
    }
}
