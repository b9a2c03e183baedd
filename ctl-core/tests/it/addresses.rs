//! Pools as a whole: each address goes to one member, and each usable one is found (`known-flaws.md` row 15,
//! `vl2.md` §10.11 and §19.2).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ctl_core::addresses::{Occupied, assign, lacking, needs_pool, usage};
use ctl_core::network::{Pool, Route};
use ctl_core::{Member, Network};
use proptest::prelude::*;
use zt_proto::{Address, IpPrefix, NetworkId, Timestamp};

/// Addresses of the models lie from the base on: two /24, with an end in 255 in the middle.
const V4_BASE: u32 = 0x0a00_0000;
const V6_BASE: u128 = 0xfd00 << 112;
const SPAN: u32 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn ip(self, offset: u32) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(V4_BASE + offset).into(),
            Self::V6 => Ipv6Addr::from_bits(V6_BASE + u128::from(offset)).into(),
        }
    }

    fn max_bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// What the model knows of an address without looking for it.
fn is_usable(network: &Network, ip: IpAddr) -> bool {
    let in_pool = network.pools.iter().any(|pool| pool.first <= ip && ip <= pool.last);
    let routes = network.routes.iter().filter(|route| route.target.bits() > 0 && route.target.contains(ip));
    let is_reserved = |route: &Route| {
        let neighbours = [before(ip), after(ip)];
        let is_first = neighbours[0].is_none_or(|ip| !route.target.contains(ip));
        let is_last = neighbours[1].is_none_or(|ip| !route.target.contains(ip));
        match ip {
            IpAddr::V4(_) => route.target.bits() <= 30 && (is_first || is_last),
            IpAddr::V6(_) => route.target.bits() <= 126 && is_first,
        }
    };
    let is_allowed = routes.clone().any(|route| ip.is_ipv4() || route.via.is_none());
    in_pool && is_allowed && !routes.clone().any(is_reserved)
}

fn before(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(ip) => ip.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

fn after(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(ip) => ip.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

fn ends_in_255(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[3] == 255)
}

/// `vl2.md` §10.11 step 30 to the letter, but without network and broadcast addresses.
fn walk_of_the_reference(network: &Network, member: Address, occupied: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let low = u32::try_from(member.to_u64() & 0xffff_ffff).unwrap();
    network.pools.iter().find_map(|pool| {
        let (IpAddr::V4(first), IpAddr::V4(last)) = (pool.first, pool.last) else { return None };
        let (first, last) = (first.to_bits(), last.to_bits());
        let length = last.checked_sub(first).filter(|_| first != 0)?;
        (0..=length.min(999)).find_map(|step| {
            let offset = if length == 0 { 0 } else { low.wrapping_add(step) % length };
            let ip = IpAddr::from(Ipv4Addr::from_bits(first + offset));
            (!ends_in_255(ip) && is_usable(network, ip) && !occupied.contains(&ip)).then_some(ip)
        })
    })
}

fn routes(family: Family) -> impl Strategy<Value = Vec<Route>> {
    let bits = prop_oneof![5 => 0..=9_u8, 1 => Just(family.max_bits())];
    let route =
        (0..SPAN, bits, prop::bool::weighted(0.3)).prop_map(move |(offset, host_bits, has_gateway)| Route {
            target: IpPrefix::new(family.ip(offset), family.max_bits() - host_bits).unwrap(),
            via: has_gateway.then(|| family.ip(1)),
        });
    prop::collection::vec(route, 0..4)
}

fn pools(family: Family) -> impl Strategy<Value = Vec<Pool>> {
    let pool =
        (0..SPAN, 0..80_u32, prop::bool::weighted(0.05)).prop_map(move |(first, length, is_reversed)| {
            let (first, last) = (family.ip(first), family.ip((first + length).min(SPAN - 1)));
            if is_reversed { Pool { first: last, last: first } } else { Pool { first, last } }
        });
    prop::collection::vec(pool, 1..4)
}

fn network(routes: Vec<Route>, pools: Vec<Pool>) -> Network {
    let mut network = Network::new(NetworkId(0xf593_81cf_7300_0001), Timestamp(0));
    network.v4_assign.pool = true;
    network.v6_assign.pool = true;
    (network.routes, network.pools) = (routes, pools);
    network
}

fn member(number: u64) -> Member {
    let mut member =
        Member::new(NetworkId(0xf593_81cf_7300_0001), Address::from_low_bits(number), Timestamp(0));
    member.authorized = true;
    member
}

/// Joins one member after the other until one gets nothing, and returns the addresses in order.
fn fill(network: &Network, held: &[IpAddr], mut number: u64) -> Vec<IpAddr> {
    let mut occupied: Occupied = held.iter().copied().collect();
    let mut given = Vec::new();
    loop {
        let assigned = assign(network, &member(number), &occupied);
        let [ip] = assigned[..] else {
            assert!(assigned.is_empty(), "one family, one address");
            return given;
        };
        assert!(!occupied.contains(ip), "{ip} is held by two");
        occupied.insert(ip);
        given.push(ip);
        // Any sequence would do; this one has members with the same low bits.
        number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1_0000_0001);
    }
}

/// What is said to be free is what is given away, and what is said to be held is the rest.
fn check_usage(network: &Network, held: &[IpAddr], usable: &BTreeSet<IpAddr>) -> Result<(), TestCaseError> {
    let usage = usage(network, &held.iter().copied().collect());
    let held: BTreeSet<_> = held.iter().filter(|ip| is_usable(network, **ip)).collect();
    prop_assert_eq!(usage.len(), 1, "one family: {:?}", usage);
    prop_assert_eq!((usage[0].held, usage[0].free()), (held.len() as u128, usable.len() as u128));
    Ok(())
}

proptest! {
    #[test]
    fn every_usable_ipv4_address_goes_to_one_member(
        routes in routes(Family::V4),
        pools in pools(Family::V4),
        held in prop::collection::vec((0..SPAN).prop_map(|offset| Family::V4.ip(offset)), 0..40),
        number: u64,
    ) {
        let network = network(routes, pools);
        let given = fill(&network, &held, number);
        let usable: BTreeSet<_> = (0..SPAN)
            .map(|offset| Family::V4.ip(offset))
            .filter(|ip| is_usable(&network, *ip) && !held.contains(ip))
            .collect();
        check_usage(&network, &held, &usable)?;
        prop_assert_eq!(given.iter().copied().collect::<BTreeSet<_>>(), usable);
        prop_assert!(given.is_sorted_by_key(|ip| ends_in_255(*ip)), "an end in 255 comes last: {:?}", given);
    }

    #[test]
    fn every_usable_ipv6_address_goes_to_one_member(
        routes in routes(Family::V6),
        pools in pools(Family::V6),
        held in prop::collection::vec((0..SPAN).prop_map(|offset| Family::V6.ip(offset)), 0..40),
        number: u64,
    ) {
        let network = network(routes, pools);
        let given = fill(&network, &held, number);
        let usable: BTreeSet<_> = (0..SPAN)
            .map(|offset| Family::V6.ip(offset))
            .filter(|ip| is_usable(&network, *ip) && !held.contains(ip))
            .collect();
        check_usage(&network, &held, &usable)?;
        prop_assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), usable);
    }

    #[test]
    fn an_ipv4_address_is_the_one_that_the_reference_finds(
        routes in routes(Family::V4),
        pools in pools(Family::V4),
        held in prop::collection::btree_set((0..SPAN).prop_map(|offset| Family::V4.ip(offset)), 0..200),
        // Above these, the counter of the reference wraps and its walk jumps.
        number in 0..0xffff_0000_u32,
    ) {
        let network = network(routes, pools);
        let member = member(number.into());
        if let Some(ip) = walk_of_the_reference(&network, member.address, &held) {
            let occupied = held.iter().copied().collect();
            prop_assert_eq!(assign(&network, &member, &occupied), [ip]);
        }
    }

    /// So one set serves all members of a network, as it is.
    #[test]
    fn own_addresses_among_the_occupied_ones_make_no_difference(
        family in prop_oneof![Just(Family::V4), Just(Family::V6)],
        (routes, pools) in (routes(Family::V4), pools(Family::V4)),
        (more_routes, more_pools) in (routes(Family::V6), pools(Family::V6)),
        held in prop::collection::vec((0..SPAN).prop_map(|offset| Family::V4.ip(offset)), 0..40),
        own in prop::collection::vec(0..SPAN, 0..4),
        number: u64,
    ) {
        let network = network([routes, more_routes].concat(), [pools, more_pools].concat());
        let mut member = member(number);
        member.ip_assignments = own.into_iter().map(|offset| family.ip(offset)).collect();
        let others: Occupied = held.iter().copied().collect();
        let all: Occupied = held.iter().chain(&member.ip_assignments).copied().collect();
        prop_assert_eq!(assign(&network, &member, &all), assign(&network, &member, &others));
    }

    #[test]
    fn the_largest_pools_are_searched_without_walking_them(number: u64, held in 0..0x00ff_ffff_u32) {
        let everything = |text: &str| Route { target: text.parse().unwrap(), via: None };
        let pool = |first: &str, last: &str| Pool { first: first.parse().unwrap(), last: last.parse().unwrap() };
        let network = network(
            vec![everything("::/1"), everything("8000::/1"), everything("10.0.0.0/8")],
            vec![pool("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), pool("10.0.0.0", "10.255.255.255")],
        );
        let held = [Ipv4Addr::from_bits(V4_BASE + held).into(), Ipv6Addr::from_bits(held.into()).into()];
        let assigned = assign(&network, &member(number), &held.into_iter().collect());
        prop_assert_eq!(assigned.len(), 2);
        prop_assert!(assigned[0].is_ipv6() && assigned[1].is_ipv4());
    }
}

#[test]
fn a_full_pool_gives_its_last_free_address() {
    let route = Route { target: "10.0.0.0/16".parse().unwrap(), via: None };
    let pool = Pool { first: "10.0.0.1".parse().unwrap(), last: "10.0.255.254".parse().unwrap() };
    let network = network(vec![route], vec![pool]);
    let free = V4_BASE + 0x34_ff;
    let occupied = (V4_BASE..V4_BASE + 0x1_0000).filter(|bits| *bits != free);
    let occupied = occupied.map(|bits| Ipv4Addr::from_bits(bits).into()).collect();
    assert_eq!(assign(&network, &member(7), &occupied), [Ipv4Addr::from_bits(free)]);
}

#[test]
fn a_pool_of_one_address_per_node_gives_each_node_its_own() {
    let route = Route { target: "fd00::/64".parse().unwrap(), via: None };
    let pool = Pool { first: "fd00::1:0".parse().unwrap(), last: "fd00::100:0000:ffff".parse().unwrap() };
    let network = network(vec![route], vec![pool]);
    for (number, ip) in
        [(1, "fd00::1:1"), (0xfe_ffff_ffff, "fd00::ff:0:ffff"), (0x12_3456_789a, "fd00::12:3457:789a")]
    {
        let expected: IpAddr = ip.parse().unwrap();
        assert_eq!(assign(&network, &member(number), &Occupied::default()), [expected]);
    }
}

#[test]
fn a_pool_inside_the_computed_addresses_gives_none_of_them() {
    let route = Route { target: "fdf5:9381:cf73::/48".parse().unwrap(), via: None };
    let first = ctl_core::addresses::rfc4193(NetworkId(0xf593_81cf_7300_0001), Address::NONE);
    let last =
        ctl_core::addresses::rfc4193(NetworkId(0xf593_81cf_7300_0001), Address::from_low_bits(u64::MAX));
    let mut network = network(vec![route], vec![Pool { first: first.into(), last: last.into() }]);
    assert_eq!(assign(&network, &member(5), &Occupied::default()).len(), 1);
    network.v6_assign.rfc4193 = true;
    assert_eq!(assign(&network, &member(5), &Occupied::default()), Vec::<IpAddr>::new());
}

#[test]
fn a_pool_of_all_addresses_has_as_many_as_fit_a_number() {
    let everything = |text: &str| Route { target: text.parse().unwrap(), via: None };
    let pool = Pool { first: "::".parse().unwrap(), last: Ipv6Addr::from_bits(u128::MAX).into() };
    let network = network(vec![everything("::/1"), everything("8000::/1")], vec![pool, pool]);
    let usage = usage(&network, &Occupied::default());
    // The first address of each route is that of its routers.
    assert_eq!((usage[0].held, usage[0].size), (0, u128::MAX - 1));
}

#[test]
fn who_gets_no_address_is_known_by_what_it_lacks() {
    let route = Route { target: "10.0.0.0/24".parse().unwrap(), via: None };
    let pool = Pool { first: "10.0.0.1".parse().unwrap(), last: "10.0.0.2".parse().unwrap() };
    let mut network = network(vec![route], vec![pool]);
    let member = member(1);
    assert_eq!(lacking(&network, &member), [ctl_core::addresses::Family::V4], "there is no IPv6 pool");
    let manual = Member { no_auto_assign_ips: true, ..member.clone() };
    let served = Member { ip_assignments: vec!["10.0.0.2".parse().unwrap()], ..member.clone() };
    assert!(lacking(&network, &manual).is_empty() && lacking(&network, &served).is_empty());
    network.v4_assign.pool = false;
    assert!(lacking(&network, &member).is_empty());
}

#[test]
fn the_pool_matters_only_to_those_who_can_get_an_address_from_it() {
    let route = Route { target: "10.0.0.0/24".parse().unwrap(), via: None };
    let pool = Pool { first: "10.0.0.1".parse().unwrap(), last: "10.0.0.9".parse().unwrap() };
    let mut network = network(vec![route], vec![pool]);
    assert!(!needs_pool(&network, None), "a stranger of a private network is refused");
    network.join_tokens.insert("token".into(), Timestamp(0));
    assert!(needs_pool(&network, None));
    let mut member = member(1);
    assert!(needs_pool(&network, Some(&member)));
    member.ip_assignments.push("192.168.0.1".parse().unwrap());
    assert!(needs_pool(&network, Some(&member)), "that address is in no route");
    member.ip_assignments.push("10.0.0.200".parse().unwrap());
    assert!(!needs_pool(&network, Some(&member)));
    member.ip_assignments.clear();
    member.no_auto_assign_ips = true;
    assert!(!needs_pool(&network, Some(&member)));
}
