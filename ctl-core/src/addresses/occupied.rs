//! Which addresses of a network are taken, and the first that is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::intervals::Intervals;

/// The lines on which addresses are numbered without gaps.
///
/// IPv4 addresses that end in 255 are handed out only when nothing else is left, because some systems take
/// them for broadcast. On a line of their own they cut no run of taken addresses in two, so a search
/// steps over any run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// IPv4 without the addresses that end in 255: 255 positions a /24.
    V4,
    /// IPv4 addresses that end in 255: one position a /24.
    V4EndingIn255,
    V6,
}

impl Line {
    /// Returns the line of an address and its position there.
    fn position_of(ip: IpAddr) -> (Self, u128) {
        match ip {
            IpAddr::V4(ip) => {
                let (block, end) = halves(ip);
                if end == 255 { (Self::V4EndingIn255, block) } else { (Self::V4, block * 255 + end) }
            }
            IpAddr::V6(ip) => (Self::V6, ip.to_bits()),
        }
    }

    /// Returns the positions on this line of the addresses from `first` to `last`; `None` if there is none.
    pub(super) fn positions(self, first: IpAddr, last: IpAddr) -> Option<(u128, u128)> {
        let (low, high) = match (self, first, last) {
            (Self::V6, IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits(), last.to_bits()),
            (Self::V4, IpAddr::V4(first), IpAddr::V4(last)) => {
                let ((block, end), (last_block, last_end)) = (halves(first), halves(last));
                (block * 255 + end, last_block * 255 + last_end.min(254))
            }
            (Self::V4EndingIn255, IpAddr::V4(first), IpAddr::V4(last)) => {
                let ((block, _), (last_block, last_end)) = (halves(first), halves(last));
                (block, if last_end == 255 { last_block } else { last_block.checked_sub(1)? })
            }
            _ => return None,
        };
        (low <= high).then_some((low, high))
    }

    /// Returns the address at a position; `None` beyond the end of the line.
    pub(super) fn address_at(self, position: u128) -> Option<IpAddr> {
        let (block, end) = match self {
            Self::V6 => return Some(Ipv6Addr::from_bits(position).into()),
            Self::V4 => (position / 255, position % 255),
            Self::V4EndingIn255 => (position, 255),
        };
        Some(Ipv4Addr::from_bits(u32::try_from(block << 8 | end).ok()?).into())
    }
}

/// Returns the first three bytes of an address and its last one.
fn halves(ip: Ipv4Addr) -> (u128, u128) {
    let bits = u128::from(ip.to_bits());
    (bits >> 8, bits & 255)
}

/// A set of addresses with a search for the first free one in O(log n), whatever the size of the pool.
///
/// Copies share what is the same in them, so that one can be kept and given out while it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Occupied {
    v4: Intervals,
    v4_ending_in_255: Intervals,
    v6: Intervals,
}

impl Occupied {
    pub fn insert(&mut self, ip: IpAddr) {
        self.insert_range(ip, ip);
    }

    pub fn remove(&mut self, ip: IpAddr) {
        let (line, position) = Line::position_of(ip);
        self.on_mut(line).remove(position, position);
    }

    /// Adds the addresses from `first` to `last`, both included; nothing if they are of two families.
    pub(super) fn insert_range(&mut self, first: IpAddr, last: IpAddr) {
        for line in [Line::V4, Line::V4EndingIn255, Line::V6] {
            if let Some((first, last)) = line.positions(first, last) {
                self.on_mut(line).insert(first, last);
            }
        }
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        let (line, position) = Line::position_of(ip);
        self.on(line).contains(position)
    }

    pub(super) fn on(&self, line: Line) -> &Intervals {
        match line {
            Line::V4 => &self.v4,
            Line::V4EndingIn255 => &self.v4_ending_in_255,
            Line::V6 => &self.v6,
        }
    }

    fn on_mut(&mut self, line: Line) -> &mut Intervals {
        match line {
            Line::V4 => &mut self.v4,
            Line::V4EndingIn255 => &mut self.v4_ending_in_255,
            Line::V6 => &mut self.v6,
        }
    }
}

impl FromIterator<IpAddr> for Occupied {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut occupied = Self::default();
        addresses.into_iter().for_each(|ip| occupied.insert(ip));
        occupied
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_where_its_position_says(bits: u32, wide: u128) {
            for ip in [IpAddr::from(Ipv4Addr::from_bits(bits)), Ipv6Addr::from_bits(wide).into()] {
                let (line, position) = Line::position_of(ip);
                prop_assert_eq!(line.address_at(position), Some(ip));
                prop_assert_eq!(line.positions(ip, ip), Some((position, position)));
            }
        }

        #[test]
        fn a_range_holds_exactly_its_addresses(first: u32, length in 0..1000_u32, probe in 0..1200_u32) {
            let last = first.saturating_add(length);
            let mut occupied = Occupied::default();
            occupied.insert_range(Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(last).into());
            let ip = first.saturating_sub(100).saturating_add(probe);
            let inside = (first..=last).contains(&ip);
            prop_assert_eq!(occupied.contains(Ipv4Addr::from_bits(ip).into()), inside);
        }
    }

    #[test]
    fn addresses_that_end_in_255_cut_no_run() {
        let mut occupied = Occupied::default();
        for bits in 0x0a00_0000..0x0a00_0400_u32 {
            if bits & 255 != 255 {
                occupied.insert(Ipv4Addr::from_bits(bits).into());
            }
        }
        let (_, start) = Line::position_of("10.0.0.0".parse().unwrap());
        let free = occupied.on(Line::V4).first_outside(start).and_then(|free| Line::V4.address_at(free));
        assert_eq!(free, Some("10.0.4.0".parse().unwrap()));
        assert!(!occupied.contains("10.0.1.255".parse().unwrap()));
    }
}
