//! Strangers that ask to join a private network: a record of each, so that an administrator sees and can authorize them,
//! but never so many that they fill the disk, and not for ever (`known-flaws.md` row 7).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zt_proto::{Address, Timestamp};

/// Strangers of one network that are on record.
pub const MAX_OF_NETWORK: u64 = 1_000;
/// Of those, how many may have asked from one physical network: an office, or the home of somebody malicious.
pub const MAX_OF_SOURCE: u64 = 16;
/// Of those, how many may have asked through a root, which hides from where. Nodes that are new mostly do.
pub const MAX_RELAYED: u64 = 256;
/// Strangers of all networks together that are on record.
pub const MAX_IN_ALL: u64 = 65_536;
/// A stranger that last asked so long ago is forgotten: 7 days, in milliseconds.
pub const FORGOTTEN_AFTER: u64 = 7 * 24 * 60 * 60 * 1000;
/// A record is safe from newer strangers until its node has not asked for so long: 2 hours, in milliseconds. Otherwise
/// more strangers than there is room for would push each other out, with a write to the disk every time.
pub const SAFE_FOR: u64 = 2 * 60 * 60 * 1000;
/// How far the time on record may be behind, so that asking again writes next to nothing: 1 hour, in milliseconds.
pub const NOTED_EVERY: u64 = 60 * 60 * 1000;

/// The physical network from which a node asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits: what a provider gives to one customer.
    V6([u8; 6]),
    /// Not known: it asked through a root.
    Relayed,
}

impl Source {
    /// Returns the source of a request that came from `ip`; `None` if it was relayed.
    pub fn of(ip: Option<IpAddr>) -> Self {
        match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
            None => Self::Relayed,
        }
    }

    /// Returns the octets of the prefix, none if it is not known.
    pub fn octets(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
            Self::Relayed => &[],
        }
    }

    /// Reads what [`Source::octets`] returned; `None` for any other length.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        match octets {
            [] => Some(Self::Relayed),
            [a, b, c] => Some(Self::V4([*a, *b, *c])),
            [a, b, c, d, e, f] => Some(Self::V6([*a, *b, *c, *d, *e, *f])),
            _ => None,
        }
    }

    fn max(self) -> u64 {
        match self {
            Self::V4(_) | Self::V6(_) => MAX_OF_SOURCE,
            Self::Relayed => MAX_RELAYED,
        }
    }
}

/// `192.0.2.0/24`, `2001:db8:1::/48` or `relayed`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6([a, b, c, d, e, g]) => {
                let [a, b, c] = [[a, b], [c, d], [e, g]].map(u16::from_be_bytes);
                write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
            Self::Relayed => f.write_str("relayed"),
        }
    }
}

/// A member of which nothing is known but that it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub member: Address,
    pub first_asked: Timestamp,
    /// Up to [`NOTED_EVERY`] behind.
    pub last_asked: Timestamp,
    pub source: Source,
}

impl Pending {
    /// Says whether it is time to note on record that the node asked again; also if the clock was ahead when it last asked.
    pub fn is_to_be_noted(&self, now: Timestamp) -> bool {
        now.millis_since(self.last_asked) >= NOTED_EVERY || self.last_asked > now
    }
}

/// How many strangers are on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// In this network and from this source.
    pub of_source: u64,
    pub of_network: u64,
    pub in_all: u64,
    /// When the one of this network and source that asked longest ago did so.
    pub oldest_of_source: Option<Timestamp>,
    /// Likewise of this network.
    pub oldest_of_network: Option<Timestamp>,
    /// Likewise of all.
    pub oldest_in_all: Option<Timestamp>,
}

/// Among whom the one is looked for that asked longest ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Strangers of the network that asked from the same source.
    Source,
    /// All of the network.
    Network,
    /// Those of all networks.
    All,
}

/// What becomes of a new stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is put on record.
    Free,
    /// It is, in the place of the one that asked longest ago.
    InsteadOfOldest(Among),
    /// It is refused without leaving a trace.
    Full,
}

impl Room {
    /// Decides about a stranger that asks from `source`.
    ///
    /// Whoever gives way is of those that fill the bound which is reached, the narrowest first: a source that is full
    /// takes nothing from its neighbours.
    pub fn admit(&self, source: Source, now: Timestamp) -> Admission {
        let (among, oldest) = if self.of_source >= source.max() {
            (Among::Source, self.oldest_of_source)
        } else if self.of_network >= MAX_OF_NETWORK {
            (Among::Network, self.oldest_of_network)
        } else if self.in_all >= MAX_IN_ALL {
            (Among::All, self.oldest_in_all)
        } else {
            return Admission::Free;
        };
        // If even that is of the future, the clock was ahead when it asked, and nobody knows when that was.
        if oldest.is_some_and(|oldest| {
            now.millis_since(oldest) >= SAFE_FOR || oldest > now.plus_millis(NOTED_EVERY)
        }) {
            Admission::InsteadOfOldest(among)
        } else {
            Admission::Full
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const SOURCE: Source = Source::V4([192, 0, 2]);

    #[test]
    fn neighbours_have_one_source_and_it_survives_being_stored() {
        let source = |ip: &str| Source::of(Some(ip.parse().unwrap()));
        assert_eq!(source("192.0.2.1"), source("192.0.2.254"));
        assert_eq!(source("::ffff:192.0.2.1"), SOURCE);
        assert_ne!(source("192.0.2.1"), source("192.0.3.1"));
        assert_eq!(source("2001:db8:1:2::3"), source("2001:db8:1:ffff::"));
        assert_ne!(source("2001:db8:1::"), source("2001:db8:2::"));
        for source in [SOURCE, source("2001:db8:1::"), Source::Relayed] {
            assert_eq!(Source::from_octets(source.octets()), Some(source));
        }
        assert_eq!(Source::from_octets(&[1, 2]), None);
        let shown = [SOURCE, source("2001:db8:1::"), Source::Relayed].map(|source| source.to_string());
        assert_eq!(shown, ["192.0.2.0/24", "2001:db8:1::/48", "relayed"]);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn each_bound_has_its_own_oldest_that_gives_way_once_it_is_silent() {
        let free = Room {
            of_source: MAX_OF_SOURCE - 1,
            of_network: MAX_OF_NETWORK - 1,
            in_all: MAX_IN_ALL - 1,
            ..Room::default()
        };
        assert_eq!(free.admit(SOURCE, NOW), Admission::Free);
        assert_eq!(Room { of_source: MAX_RELAYED - 1, ..free }.admit(Source::Relayed, NOW), Admission::Free);
        let silent_for = |millis| Some(Timestamp(NOW.0 - millis));
        let bounds = [
            (Room { of_source: MAX_OF_SOURCE, ..free }, SOURCE, Among::Source),
            (Room { of_source: MAX_RELAYED, ..free }, Source::Relayed, Among::Source),
            (Room { of_network: MAX_OF_NETWORK, ..free }, SOURCE, Among::Network),
            (Room { in_all: MAX_IN_ALL, ..free }, SOURCE, Among::All),
        ];
        for (mut full, source, among) in bounds {
            // Who asked long ago elsewhere does not matter.
            for elsewhere in
                [&mut full.oldest_of_source, &mut full.oldest_of_network, &mut full.oldest_in_all]
            {
                *elsewhere = silent_for(FORGOTTEN_AFTER);
            }
            let oldest = |room: &mut Room, time| match among {
                Among::Source => room.oldest_of_source = time,
                Among::Network => room.oldest_of_network = time,
                Among::All => room.oldest_in_all = time,
            };
            oldest(&mut full, None);
            assert_eq!(full.admit(source, NOW), Admission::Full, "{among:?}");
            oldest(&mut full, silent_for(SAFE_FOR - 1));
            assert_eq!(full.admit(source, NOW), Admission::Full, "{among:?}");
            oldest(&mut full, Some(NOW.plus_millis(NOTED_EVERY + 1)));
            assert_eq!(full.admit(source, NOW), Admission::InsteadOfOldest(among));
            oldest(&mut full, silent_for(SAFE_FOR));
            assert_eq!(full.admit(source, NOW), Admission::InsteadOfOldest(among));
        }
    }

    #[test]
    fn a_full_source_takes_no_place_of_its_network() {
        let room = Room {
            of_source: MAX_OF_SOURCE,
            of_network: MAX_OF_NETWORK,
            in_all: MAX_IN_ALL,
            oldest_of_source: Some(NOW),
            oldest_of_network: Some(Timestamp(0)),
            oldest_in_all: Some(Timestamp(0)),
        };
        assert_eq!(room.admit(SOURCE, NOW), Admission::Full);
    }

    #[test]
    fn a_record_that_is_kept_up_is_safe() {
        // What is on record may be behind, but not so far that one that goes on asking looks as if it had stopped.
        const { assert!(2 * NOTED_EVERY <= SAFE_FOR && SAFE_FOR < FORGOTTEN_AFTER) };
        let pending = Pending { member: Address::NONE, first_asked: NOW, last_asked: NOW, source: SOURCE };
        assert!(!pending.is_to_be_noted(NOW.plus_millis(NOTED_EVERY - 1)));
        assert!(pending.is_to_be_noted(NOW.plus_millis(NOTED_EVERY)));
        assert!(pending.is_to_be_noted(Timestamp(NOW.0 - 1)), "the clock was ahead");
    }
}
