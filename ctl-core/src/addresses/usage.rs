//! How much of the pools of a network is in use.

use std::net::{IpAddr, Ipv4Addr};

use super::Family;
use super::intervals::Intervals;
use super::occupied::{Line, Occupied};
use super::pool::Terrain;
use crate::network::Network;

/// How many addresses of a family the pools of a network have, and how many of these are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub family: Family,
    /// Addresses that some member holds.
    pub held: u128,
    /// Addresses that a member can be given, held or not: those in a pool and in a route that are not the network's, its
    /// broadcast address or computed. What does not fit is the largest number.
    pub size: u128,
}

impl Usage {
    /// Returns how many more members get an address.
    pub fn free(&self) -> u128 {
        self.size.saturating_sub(self.held)
    }

    /// Says whether at most one address in twenty is left.
    pub fn is_nearly_used_up(&self) -> bool {
        self.free() <= self.size / 20
    }
}

/// Returns the usage of each family that the network assigns from its pools. `occupied` are the addresses that its
/// members hold.
///
/// It takes O(n log n) for the n intervals of addresses that are held, so it is nothing for each request.
pub fn usage(network: &Network, occupied: &Occupied) -> Vec<Usage> {
    let families = Family::ALL.into_iter().filter(|family| family.is_assigned(network));
    families.map(|family| of_family(network, family, occupied)).collect()
}

fn of_family(network: &Network, family: Family, occupied: &Occupied) -> Usage {
    let (terrain, lines) = match family {
        Family::V4 => (Terrain::v4(network), &[Line::V4, Line::V4EndingIn255][..]),
        Family::V6 => (Terrain::v6(network), &[Line::V6][..]),
    };
    // A pool that begins with 0.0.0.0 is one that nobody filled in.
    let pools = network.pools.iter().filter(|pool| pool.first != IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut usage = Usage { family, held: 0, size: 0 };
    for &line in lines {
        // Pools may overlap, and count once.
        let mut assignable = Intervals::default();
        for (first, last) in pools.clone().filter_map(|pool| line.positions(pool.first, pool.last)) {
            let allowed = terrain.allowed.on(line).within(first, last);
            allowed.for_each(|(first, last)| assignable.insert(first, last));
        }
        terrain.reserved.on(line).iter().for_each(|(first, last)| assignable.remove(*first, *last));
        for &(first, last) in assignable.iter() {
            usage.size = usage.size.saturating_add(length(first, last));
            let held = occupied.on(line).within(first, last).map(|(first, last)| length(first, last));
            usage.held = held.fold(usage.held, u128::saturating_add);
        }
    }
    usage
}

/// Returns how many numbers there are from `first` to `last`, both included.
fn length(first: u128, last: u128) -> u128 {
    last.saturating_sub(first).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_nearly_used_up_when_one_in_twenty_is_left() {
        let is_nearly = |held, size| Usage { family: Family::V4, held, size }.is_nearly_used_up();
        assert!(is_nearly(0, 0) && is_nearly(1, 1) && is_nearly(95, 100) && is_nearly(u128::MAX, u128::MAX));
        assert!(!is_nearly(0, 1) && !is_nearly(94, 100) && !is_nearly(9, 10) && !is_nearly(0, u128::MAX));
    }
}
