//! Nodes that a public network admits without anybody's doing: a record of each, for good, since whoever was admitted
//! must not be shut out unasked. So it is bounded how fast they come, and how many there are (`known-flaws.md` row 7).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ctl_core::pending::Source;
use zt_proto::NetworkId;

/// Nodes that are admitted to one public network within an hour from one physical network: an IPv4 /24 or IPv6 /48.
pub(super) const MAX_OF_SOURCE: u32 = 1_024;
/// Likewise of those that ask through a root, which hides from where; nodes that are new mostly do.
pub(super) const MAX_RELAYED: u32 = 16_384;
/// Members of a network, in all, up to which it admits more by itself. An administrator and join tokens still do.
pub(super) const MAX_MEMBERS: u64 = 1_000_000;
/// Pairs of network and source that are told apart within an hour; those beyond count as if they had been relayed.
const MAX_SOURCES: usize = 65_536;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Of a full network, members are counted again after so long: some may have been removed.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

/// How many newcomers there were lately.
#[derive(Debug)]
pub(super) struct Newcomers {
    /// When the hour began.
    hour: Instant,
    sources: BTreeMap<(NetworkId, Source), u32>,
    /// Only of networks that there are: each was made by an administrator.
    rooms: BTreeMap<NetworkId, Room>,
}

/// How many more members a network admits by itself.
#[derive(Debug)]
struct Room {
    left: u64,
    counted: Instant,
}

impl Newcomers {
    pub(super) fn new(now: Instant) -> Self {
        Self { hour: now, sources: BTreeMap::new(), rooms: BTreeMap::new() }
    }

    /// Says whether a node that asks from `source` may become a member; if so, it counts as one. `members` is asked only
    /// now and then for how many there are.
    pub(super) fn admit<E>(
        &mut self,
        network: NetworkId,
        source: Source,
        now: Instant,
        members: impl FnOnce() -> Result<u64, E>,
    ) -> Result<bool, E> {
        if now.saturating_duration_since(self.hour) >= HOUR {
            // Rooms go as well: the network may be gone.
            *self = Self::new(now);
        }
        let is_told_apart = self.sources.contains_key(&(network, source)) || self.sources.len() < MAX_SOURCES;
        let source = if is_told_apart { source } else { Source::Relayed };
        let max = if source == Source::Relayed { MAX_RELAYED } else { MAX_OF_SOURCE };
        if self.sources.get(&(network, source)).is_some_and(|count| *count >= max) {
            return Ok(false);
        }
        let is_to_be_counted = self.rooms.get(&network).is_none_or(|room| {
            room.left == 0 && now.saturating_duration_since(room.counted) >= COUNTED_EVERY
        });
        if is_to_be_counted {
            let left = MAX_MEMBERS.saturating_sub(members()?);
            self.rooms.insert(network, Room { left, counted: now });
        }
        let Some(room) = self.rooms.get_mut(&network).filter(|room| room.left > 0) else { return Ok(false) };
        room.left -= 1;
        *self.sources.entry((network, source)).or_insert(0) += 1;
        Ok(true)
    }

    /// Takes back that a node was admitted: it could not be saved, and will ask again.
    pub(super) fn give_back(&mut self, network: NetworkId, source: Source) {
        // Where it does not count as its own, it counts as relayed.
        let own = (network, source);
        let counted = if self.sources.contains_key(&own) { own } else { (network, Source::Relayed) };
        if let Some(count) = self.sources.get_mut(&counted).filter(|count| **count > 0) {
            *count -= 1;
            if let Some(room) = self.rooms.get_mut(&network) {
                room.left += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::clock;
    use super::*;

    const NETWORK: NetworkId = NetworkId(1);

    fn source(n: u32) -> Source {
        Source::of(Some(IpAddr::V4(Ipv4Addr::from_bits(n << 8))))
    }

    impl Newcomers {
        /// One asks, in a network with few members.
        fn asks(&mut self, network: NetworkId, source: Source, now: Instant) -> bool {
            self.admit(network, source, now, || Ok::<_, Infallible>(0)).unwrap()
        }
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn each_source_brings_so_many_an_hour_and_takes_no_place_of_others() {
        let start = clock::now().mono;
        let mut newcomers = Newcomers::new(start);
        for (from, max) in [(source(1), MAX_OF_SOURCE), (Source::Relayed, MAX_RELAYED)] {
            assert!((0..max).all(|_| newcomers.asks(NETWORK, from, start)));
            assert!(!newcomers.asks(NETWORK, from, start + HOUR - Duration::from_millis(1)));
            assert!(newcomers.asks(NetworkId(2), from, start), "another network");
        }
        assert!(newcomers.asks(NETWORK, source(2), start), "another source");
        assert!(newcomers.asks(NETWORK, source(1), start + HOUR));
    }

    #[test]
    fn who_could_not_be_saved_takes_no_place() {
        let start = clock::now().mono;
        let mut newcomers = Newcomers::new(start);
        newcomers.give_back(NETWORK, source(1));
        for _ in 0..2 * MAX_OF_SOURCE {
            assert!(newcomers.asks(NETWORK, source(1), start));
            newcomers.give_back(NETWORK, source(1));
        }
        assert!((0..MAX_OF_SOURCE).all(|_| newcomers.asks(NETWORK, source(1), start)));
        assert!(!newcomers.asks(NETWORK, source(1), start));
        assert_eq!(newcomers.rooms[&NETWORK].left, MAX_MEMBERS - u64::from(MAX_OF_SOURCE));
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn sources_are_told_apart_up_to_a_bound_and_share_one_beyond_it() {
        let start = clock::now().mono;
        let mut newcomers = Newcomers::new(start);
        let many = u32::try_from(MAX_SOURCES).unwrap();
        assert!((0..many).all(|n| newcomers.asks(NETWORK, source(n), start)));
        assert!((0..MAX_RELAYED).all(|n| newcomers.asks(NETWORK, source(many + n), start)));
        assert!(!newcomers.asks(NETWORK, source(2 * many), start));
        assert!(newcomers.asks(NETWORK, source(1), start), "those that are known go on");
        assert!(newcomers.sources.len() <= MAX_SOURCES + 1);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn a_full_network_admits_nobody_by_itself_until_there_is_room_again() {
        let start = clock::now().mono;
        let mut newcomers = Newcomers::new(start);
        let mut counted = 0;
        let mut asks = |n, millis, members| {
            let count = || {
                counted += 1;
                Ok::<_, Infallible>(members)
            };
            newcomers.admit(NETWORK, source(n), start + Duration::from_millis(millis), count).unwrap()
        };
        assert!(asks(1, 0, MAX_MEMBERS - 2) && asks(2, 0, 0));
        assert!(!asks(3, 0, 0) && !asks(4, 59_999, 0));
        assert!(!asks(5, 60_000, MAX_MEMBERS + 7));
        assert!(asks(6, 120_000, MAX_MEMBERS - 1) && !asks(7, 120_000, 0));
        assert_eq!(counted, 3, "counting takes its time");
    }
}
