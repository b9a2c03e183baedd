//! When members asked again: one write to the end of a list for each request, as there are very many.

use zt_proto::{Address, NetworkId, Timestamp};

/// Requests in one piece of memory, 64 KiB: growing copies none, and there is room for hardly more than there are.
const PIECE: usize = 4096;
/// Bits of a time in milliseconds: four hours, where a batch takes seconds.
const TIME_BITS: u32 = u64::BITS - 40;
const MAX_MILLIS: u64 = (1 << TIME_BITS) - 1;

/// A request, in the order of members and of their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    network: NetworkId,
    /// The address of the node, then the milliseconds since the first of the list.
    node_and_time: u64,
}

impl Request {
    fn member(self) -> (NetworkId, Address) {
        (self.network, Address::from_low_bits(self.node_and_time >> TIME_BITS))
    }
}

/// Requests as they came.
#[derive(Debug, Default)]
pub(super) struct AgainList {
    /// When the first came.
    since: Timestamp,
    /// All but the last are full, and none is empty.
    pieces: Vec<Vec<Request>>,
}

impl AgainList {
    pub(super) fn push(&mut self, network: NetworkId, node: Address, now: Timestamp) {
        if self.pieces.is_empty() {
            self.since = now;
        }
        // If the clock is set back, it is the time of the first.
        let millis = now.millis_since(self.since).min(MAX_MILLIS);
        let request = Request { network, node_and_time: node.to_u64() << TIME_BITS | millis };
        match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(request),
            None => {
                // The first one grows as any list, for controllers of few members.
                let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 1 } else { PIECE });
                piece.push(request);
                self.pieces.push(piece);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        let last = self.pieces.last().map_or(0, Vec::len);
        self.pieces.len().saturating_sub(1) * PIECE + last
    }

    /// Returns of each member the last request. That takes some time, for which nobody should wait.
    pub(super) fn into_lasts(self) -> Lasts {
        let mut requests = Vec::with_capacity(self.len());
        for piece in self.pieces {
            requests.extend(piece);
        }
        requests.sort_unstable();
        requests.dedup_by(|later, kept| {
            let is_same = later.member() == kept.member();
            if is_same {
                *kept = *later;
            }
            is_same
        });
        requests.shrink_to_fit();
        Lasts { since: self.since, requests }
    }
}

/// The last request of each member, ascending by network and address.
#[derive(Debug)]
pub(super) struct Lasts {
    since: Timestamp,
    requests: Vec<Request>,
}

/// A member, and when it asked.
type Last = ((NetworkId, Address), Timestamp);

impl Lasts {
    /// Returns all of them, at most `max` at a time.
    pub(super) fn parts(&self, max: usize) -> impl Iterator<Item = impl Iterator<Item = Last>> {
        let time = |request: &Request| self.since.plus_millis(request.node_and_time & MAX_MILLIS);
        self.requests
            .chunks(max)
            .map(move |part| part.iter().map(move |request| (request.member(), time(request))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn lasts(list: AgainList, max: usize) -> Vec<Last> {
        list.into_lasts().parts(max).flatten().collect()
    }

    proptest! {
        #[test]
        fn the_last_time_of_each_member_is_kept(
            requests in proptest::collection::vec((0..3_u64, 0..9_u64, 0..60_000_u64), 0..300),
            max in 1..100_usize,
        ) {
            let (mut list, mut expected) = (AgainList::default(), BTreeMap::new());
            let first = requests.first().map_or(0, |(_, _, time)| *time);
            for (network, node, time) in &requests {
                let (network, node) = (NetworkId(u64::MAX - network), Address::from_low_bits(u64::MAX - node));
                list.push(network, node, Timestamp(*time));
                let last: &mut u64 = expected.entry((network, node)).or_default();
                *last = (*last).max(*time).max(first);
            }
            prop_assert_eq!(list.len(), requests.len());
            let expected: Vec<_> = expected.into_iter().map(|(member, time)| (member, Timestamp(time))).collect();
            prop_assert_eq!(lasts(list, max), expected);
        }
    }

    #[test]
    fn a_time_of_tomorrow_is_no_other_member() {
        let mut list = AgainList::default();
        for (node, time) in [(1, 0), (2, 5), (1, 86_400_000)] {
            list.push(NetworkId(1), Address::from_low_bits(node), Timestamp(time));
        }
        let member = |node| (NetworkId(1), Address::from_low_bits(node));
        assert_eq!(lasts(list, 1), [(member(1), Timestamp(MAX_MILLIS)), (member(2), Timestamp(5))]);
    }

    /// There are some for each member that is online.
    #[test]
    fn a_request_takes_sixteen_octets_and_hardly_more() {
        assert_eq!(size_of::<Request>(), 16);
        let mut list = AgainList::default();
        for n in 0..50_000 {
            list.push(NetworkId(1), Address::from_low_bits(n), Timestamp(n));
        }
        assert_eq!(list.len(), 50_000);
        assert!(list.pieces.iter().map(Vec::capacity).sum::<usize>() < 50_000 + PIECE);
    }
}
