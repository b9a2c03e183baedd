//! Packets that wait for their OK: an OK that nobody waits for is dropped entirely (`vl1.md` §12.5).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use zt_proto::Address;
use zt_proto::verb::Verb;

use super::moment::Moment;

/// How long an OK may take.
pub(super) const AWAIT_FOR: Duration = Duration::from_secs(30);
/// Packets that wait at the same time; past it the oldest is given up.
pub(super) const MAX_AWAITED: usize = 65_536;

/// A packet that was sent, by its id on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awaited {
    pub to: Address,
    pub verb: Verb,
    /// Where it was sent.
    pub remote: SocketAddr,
    pub sent: Moment,
}

/// The packets that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct AwaitedPackets {
    by_id: HashMap<u64, Awaited>,
    order: VecDeque<(Moment, u64)>,
}

impl AwaitedPackets {
    pub(super) fn insert(&mut self, id: u64, awaited: Awaited) {
        if self.order.len() >= MAX_AWAITED
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.order.push_back((awaited.sent, id));
        self.by_id.insert(id, awaited);
    }

    /// Returns what the OK from `from` answers. It stays, since a packet may be answered more than once: a HELLO that
    /// a peer gets over several ways, a configuration in several chunks.
    pub(super) fn get(&self, id: u64, from: Address, now: Moment) -> Option<Awaited> {
        let awaited = self.by_id.get(&id).copied()?;
        let in_time = now.saturating_duration_since(awaited.sent) <= AWAIT_FOR;
        (awaited.to == from && in_time).then_some(awaited)
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((sent, id)) = self.order.front().copied() {
            if now.saturating_duration_since(sent) <= AWAIT_FOR {
                return;
            }
            self.order.pop_front();
            self.by_id.remove(&id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    fn awaited(to: u64) -> Awaited {
        let (to, remote) = (Address::from_low_bits(to), ([192, 0, 2, 1], 9993).into());
        Awaited { to, verb: Verb::HELLO, remote, sent: moment(0) }
    }

    #[test]
    fn an_ok_counts_only_from_the_peer_that_was_asked_and_only_in_time() {
        let mut packets = AwaitedPackets::default();
        packets.insert(7, awaited(1));
        assert!(packets.get(7, Address::from_low_bits(1), moment(29_000)).is_some());
        assert!(packets.get(7, Address::from_low_bits(2), moment(0)).is_none());
        assert!(packets.get(8, Address::from_low_bits(1), moment(0)).is_none());
        assert!(packets.get(7, Address::from_low_bits(1), moment(31_000)).is_none());
    }

    #[test]
    fn unanswered_packets_are_forgotten_when_their_time_is_up() {
        let mut packets = AwaitedPackets::default();
        packets.insert(7, awaited(1));
        packets.sweep(moment(31_000));
        assert_eq!(packets.len(), 0);
    }

    #[test]
    fn the_oldest_is_given_up_when_too_many_wait() {
        let mut packets = AwaitedPackets::default();
        for id in 0..=MAX_AWAITED as u64 {
            packets.insert(id, awaited(1));
        }
        assert_eq!(packets.len(), MAX_AWAITED);
        assert!(packets.get(0, Address::from_low_bits(1), moment(0)).is_none());
    }
}
