//! Which addresses a member gets, and with which prefix (`vl2.md` §10.11).

mod intervals;
mod occupied;
mod plan;
mod pool;
mod usage;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use zt_proto::{Address, IpPrefix, NetworkId};

pub use occupied::Occupied;
pub use plan::{MemberPlan, Outcome, Plan, plan};
pub use pool::assign;
pub use usage::{Usage, usage};

use crate::member::Member;
use crate::network::{Network, Route};

/// Prefix length of the range that all RFC4193 addresses of a network share.
const RFC4193_BITS: u8 = 88;
/// Prefix length of the range that all 6PLANE addresses of a network share.
const SIXPLANE_BITS: u8 = 40;

/// Returns the RFC4193 address of a member, computed from network and member.
pub fn rfc4193(network: NetworkId, member: Address) -> Ipv6Addr {
    let bits = 0xfd << 120 | u128::from(network.0) << 56 | 0x9993 << 40 | u128::from(member.to_u64());
    Ipv6Addr::from_bits(bits)
}

/// Returns the first address of the /80 that a member has by 6PLANE, computed from network and member.
pub fn sixplane(network: NetworkId, member: Address) -> Ipv6Addr {
    let folded = (network.0 >> 32) ^ (network.0 & 0xffff_ffff);
    let bits = 0xfc << 120 | u128::from(folded) << 88 | u128::from(member.to_u64()) << 48 | 1;
    Ipv6Addr::from_bits(bits)
}

/// Returns the computed addresses of a member: RFC4193, then 6PLANE, as far as the network has them.
///
/// They are never stored. A member without automatic addresses has none.
pub fn derived(network: &Network, member: &Member) -> Vec<IpPrefix> {
    if member.no_auto_assign_ips {
        return Vec::new();
    }
    let modes = network.v6_assign;
    let rfc4193 = modes.rfc4193.then(|| (rfc4193(network.id, member.address), RFC4193_BITS));
    let sixplane = modes.sixplane.then(|| (sixplane(network.id, member.address), SIXPLANE_BITS));
    rfc4193.into_iter().chain(sixplane).filter_map(|(ip, bits)| IpPrefix::new(ip.into(), bits).ok()).collect()
}

/// Returns the longest route that contains `ip`, with a gateway or without.
///
/// A default route is none: it says where to send what is elsewhere, not what is here, and an interface
/// address with prefix 0 would take the whole traffic of the member.
pub fn route_of(network: &Network, ip: IpAddr) -> Option<&Route> {
    let containing =
        network.routes.iter().filter(|route| route.target.bits() > 0 && route.target.contains(ip));
    containing.max_by_key(|route| route.target.bits())
}

/// Returns the addresses of a member that lie in a route, each with that route's prefix length, in the
/// order of its record. The others stay reserved for the member without being sent.
pub fn managed(network: &Network, member: &Member) -> Vec<IpPrefix> {
    let with_prefix = |&ip: &IpAddr| IpPrefix::new(ip, route_of(network, ip)?.target.bits()).ok();
    member.ip_assignments.iter().filter_map(with_prefix).collect()
}

/// Says whether a request of this member can take an address from a pool, so that a decision needs to know
/// which ones the other members hold.
///
/// False spares the caller from reading them all, for members that have their addresses as for strangers
/// that cannot be admitted.
pub fn needs_pool(network: &Network, member: Option<&Member>) -> bool {
    let admits_by_itself = !network.private || !network.join_tokens.is_empty();
    let admissible = match member {
        Some(member) => member.authorized || (admits_by_itself && !member.is_deauthorized()),
        None => admits_by_itself,
    };
    admissible && Family::ALL.into_iter().any(|family| family.wants_address(network, member))
}

/// Returns the families of which the member has no address though the network assigns them from its pools. Of a member
/// that was just given what there is, these are the pools that are used up, or that no route reaches.
pub fn lacking(network: &Network, member: &Member) -> Vec<Family> {
    Family::ALL.into_iter().filter(|family| family.wants_address(network, Some(member))).collect()
}

/// An address family, as far as pools differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl Family {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Says whether the network assigns addresses of this family from its pools, and the member (`None`: one
    /// that is not known yet) has none and may get one.
    fn wants_address(self, network: &Network, member: Option<&Member>) -> bool {
        let has_address = |member: &Member| {
            let mut addresses = member.ip_assignments.iter();
            addresses.any(|&ip| Self::of(ip) == self && route_of(network, ip).is_some())
        };
        self.is_assigned(network)
            && !member.is_some_and(|member| member.no_auto_assign_ips || has_address(member))
    }

    /// Says whether the network assigns addresses of this family from its pools.
    fn is_assigned(self, network: &Network) -> bool {
        let enabled = match self {
            Self::V4 => network.v4_assign.pool,
            Self::V6 => network.v6_assign.pool,
        };
        enabled && network.pools.iter().any(|pool| Self::of(pool.first) == self)
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::Timestamp;

    use super::*;

    fn network() -> Network {
        Network::new(NetworkId(0xf593_81cf_7300_beef), Timestamp(0))
    }

    fn member() -> Member {
        Member::new(network().id, "97f6703e6c".parse().unwrap(), Timestamp(0))
    }

    #[test]
    fn computed_addresses_have_the_bytes_of_the_reference() {
        let mut network = network();
        network.v6_assign.rfc4193 = true;
        network.v6_assign.sixplane = true;
        let mut member = member();
        let texts: Vec<_> = derived(&network, &member).iter().map(ToString::to_string).collect();
        let expected = ["fdf5:9381:cf73:be:ef99:9397:f670:3e6c/88", "fc86:933f:2097:f670:3e6c::1/40"];
        assert_eq!(texts, expected);
        member.no_auto_assign_ips = true;
        assert_eq!(derived(&network, &member), []);
    }

    #[test]
    fn a_default_route_gives_no_prefix() {
        let mut network = network();
        let route = |target: &str| Route { target: target.parse().unwrap(), via: None };
        network.routes = vec![route("0.0.0.0/0"), route("10.0.0.0/8"), route("10.1.0.0/16")];
        let mut member = member();
        member.ip_assignments = ["10.1.2.3", "10.2.0.1", "172.16.0.1"].map(|ip| ip.parse().unwrap()).to_vec();
        let texts: Vec<_> = managed(&network, &member).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.1.2.3/16", "10.2.0.1/8"]);
    }
}
