//! Automatic addresses from the pools of a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zt_proto::{Address, IpPrefix};

use super::occupied::{Line, Occupied};
use super::{Family, RFC4193_BITS, SIXPLANE_BITS, rfc4193, sixplane};
use crate::member::Member;
use crate::network::{Network, Pool};

/// An IPv6 pool of at least this many addresses has one for every node address there can be.
const ONE_PER_NODE: u128 = 1 << 40;

/// Returns the addresses that the member gets now in addition to those it has: at most one IPv6 and then at
/// most one IPv4. `occupied` are the addresses that members of the network hold; its own, if it has any, make no
/// difference: those that lie in a route keep it from getting another one of their family, the others are in no pool.
///
/// An address from a pool lies in a route (an IPv6 one in a route without gateway), is not the network's or
/// the broadcast address of the longest such route, and belongs to nobody. The walk begins at an
/// address computed from the member's, goes up to the end of the pool and then from its start, so that
/// members mostly get what they had before, wherever the database went. Where the reference finds an
/// address (`vl2.md` §10.11), this finds the same one; what it leaves out, the last address of an IPv4
/// pool and those that end in 255, is taken when no pool has anything else.
pub fn assign(network: &Network, member: &Member, occupied: &Occupied) -> Vec<IpAddr> {
    let v6 = Family::V6.wants_address(network, Some(member)).then(|| assign_v6(network, member, occupied));
    let v4 = Family::V4.wants_address(network, Some(member)).then(|| assign_v4(network, member, occupied));
    v6.into_iter().chain(v4).flatten().collect()
}

fn assign_v6(network: &Network, member: &Member, occupied: &Occupied) -> Option<IpAddr> {
    let terrain = Terrain::v6(network);
    let first_free = |first: u128, last: u128| {
        let v6 = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
        terrain.first_free(Line::V6, v6(first), v6(last), occupied)
    };
    let number = u128::from(member.address.to_u64());
    network.pools.iter().find_map(|pool| {
        let (IpAddr::V6(first), IpAddr::V6(last)) = (pool.first, pool.last) else { return None };
        let (first, last) = (first.to_bits(), last.to_bits());
        // One less than the number of addresses, which itself may not fit.
        let length = last.checked_sub(first)?;
        let offset = if length >= ONE_PER_NODE - 1 { number } else { number % (length + 1) };
        let start = first + offset;
        first_free(start, last).or_else(|| first_free(first, start.checked_sub(1)?))
    })
}

fn assign_v4(network: &Network, member: &Member, occupied: &Occupied) -> Option<IpAddr> {
    let terrain = Terrain::v4(network);
    let first_free = |line, first: u32, last: u32| {
        let v4 = |bits| IpAddr::from(Ipv4Addr::from_bits(bits));
        terrain.first_free(line, v4(first), v4(last), occupied)
    };
    let pools = || network.pools.iter().filter_map(v4_bounds);
    let [_, number @ ..] = member.address.octets();
    let number = u32::from_be_bytes(number);
    // The reference never reaches `last`, except in a pool of one address.
    let as_reference = pools().find_map(|(first, last)| match last - first {
        0 => first_free(Line::V4, first, last),
        length => {
            let start = first + number % length;
            let below_start = || first_free(Line::V4, first, start.checked_sub(1)?);
            first_free(Line::V4, start, last - 1).or_else(below_start)
        }
    });
    as_reference
        .or_else(|| pools().find_map(|(_, last)| first_free(Line::V4, last, last)))
        .or_else(|| pools().find_map(|(first, last)| first_free(Line::V4EndingIn255, first, last)))
}

/// Returns first and last address of an IPv4 pool; `None` for one that is reversed, or that begins with
/// 0.0.0.0, which is one that nobody filled in.
fn v4_bounds(pool: &Pool) -> Option<(u32, u32)> {
    let (IpAddr::V4(first), IpAddr::V4(last)) = (pool.first, pool.last) else { return None };
    (first <= last && !first.is_unspecified()).then(|| (first.to_bits(), last.to_bits()))
}

/// Where the routes of a network allow addresses from a pool to be.
pub(super) struct Terrain {
    pub(super) allowed: Occupied,
    /// Network and broadcast addresses, and ranges of computed addresses.
    pub(super) reserved: Occupied,
}

impl Terrain {
    pub(super) fn v4(network: &Network) -> Self {
        let mut terrain = Self { allowed: Occupied::default(), reserved: Occupied::default() };
        for route in network.routes.iter().filter(|route| route.target.bits() > 0) {
            let (IpAddr::V4(_), (first, last)) = (route.target.ip(), bounds(route.target)) else { continue };
            terrain.allowed.insert_range(first, last);
            // A /31 has neither a network nor a broadcast address (RFC 3021), a /32 nothing else.
            if route.target.bits() <= 30 {
                terrain.reserved.insert(first);
                terrain.reserved.insert(last);
            }
        }
        terrain
    }

    pub(super) fn v6(network: &Network) -> Self {
        let mut terrain = Self { allowed: Occupied::default(), reserved: Occupied::default() };
        for route in network.routes.iter().filter(|route| route.target.bits() > 0) {
            let (IpAddr::V6(_), (first, last)) = (route.target.ip(), bounds(route.target)) else { continue };
            if route.via.is_none() {
                terrain.allowed.insert_range(first, last);
            }
            // The first address of a subnet is that of all its routers (RFC 4291 §2.6.1).
            if route.target.bits() <= 126 {
                terrain.reserved.insert(first);
            }
        }
        let modes = network.v6_assign;
        let computed = [
            (modes.rfc4193, rfc4193(network.id, Address::NONE), RFC4193_BITS),
            (modes.sixplane, sixplane(network.id, Address::NONE), SIXPLANE_BITS),
        ];
        for (_, ip, bits) in computed.into_iter().filter(|(enabled, ..)| *enabled) {
            if let Ok(range) = IpPrefix::new(ip.into(), bits) {
                let (first, last) = bounds(range);
                terrain.reserved.insert_range(first, last);
            }
        }
        terrain
    }

    /// Returns the first address of the line from `first` to `last` that is allowed, not reserved and free.
    ///
    /// Each step but the last two passes a border of `allowed` or `reserved`, and costs O(log n).
    fn first_free(&self, line: Line, first: IpAddr, last: IpAddr, occupied: &Occupied) -> Option<IpAddr> {
        let (mut position, last) = line.positions(first, last)?;
        loop {
            let start = position;
            position = occupied.on(line).first_outside(position)?;
            position = self.reserved.on(line).first_outside(position)?;
            position = self.allowed.on(line).first_inside(position)?;
            if position > last {
                return None;
            }
            if position == start {
                return line.address_at(position);
            }
        }
    }
}

/// Returns the first and the last address that a prefix contains.
fn bounds(prefix: IpPrefix) -> (IpAddr, IpAddr) {
    let bits = u32::from(prefix.bits());
    match prefix.ip() {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(bits).unwrap_or(0);
            let (first, last) = (ip.to_bits() & !hosts, ip.to_bits() | hosts);
            (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(last).into())
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(bits).unwrap_or(0);
            let (first, last) = (ip.to_bits() & !hosts, ip.to_bits() | hosts);
            (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(last).into())
        }
    }
}
