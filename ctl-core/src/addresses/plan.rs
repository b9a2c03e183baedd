//! What a change of a network would mean for the addresses of its members, before anybody makes it.

use std::net::IpAddr;

use zt_proto::Address;

use super::{Family, Occupied, assign, derived, managed, route_of};
use crate::member::Member;
use crate::network::Network;

/// What would become of the addresses of all members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Members whose addresses stay as they are, those without any included.
    pub unchanged: usize,
    /// The others, ascending by address.
    pub changes: Vec<MemberPlan>,
    /// How many IPv4 addresses members would want from the pools and not get, because none is left or routed.
    pub v4_exhausted: usize,
    /// Likewise for IPv6.
    pub v6_exhausted: usize,
}

/// What would become of the addresses of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    pub member: Address,
    /// Addresses that it has in its record, and that a route would reach only now.
    pub regained: Vec<IpAddr>,
    /// Addresses from the pools that it would be given when it next asks, as things are now: whoever asks first chooses
    /// first.
    pub assigned: Vec<IpAddr>,
    /// Addresses in its record that no route would reach any more; they stay reserved for it.
    pub unrouted: Vec<IpAddr>,
    /// Addresses computed from network and member that it would get.
    pub derived: Vec<IpAddr>,
    /// Addresses computed from network and member that it would lose.
    pub underived: Vec<IpAddr>,
    /// Addresses that it would keep with another prefix length: before and after.
    pub renumbered: Vec<(IpAddr, u8, u8)>,
    /// Addresses in its record that are the network or broadcast address of the route that would reach them.
    pub conflicting: Vec<IpAddr>,
}

/// What a change means for the addresses that other members reach a member by, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gets addresses and keeps those that it has.
    Gains,
    /// It gets others in the place of some that it has.
    Moves,
    /// It loses some and gets none.
    Loses,
    /// It keeps them, but with another prefix length, or one that is the network's or the broadcast address.
    Adjusts,
}

/// Returns what changing `before` into `after` would mean, for all members of the network; nothing is changed by it.
///
/// Whoever is not in [`Plan::changes`] stays as it is. `members` are all members of the network in any order, as they are
/// stored; neither network needs to be. It takes O(n log n) for n addresses.
///
/// Only authorized members are given addresses. The order in which they will ask is not known; here it is that of
/// their addresses. The addresses of all members count as held, whether they are authorized or not.
pub fn plan(before: &Network, after: &Network, members: &[Member]) -> Plan {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_key(|member| member.address);
    let mut occupied: Occupied =
        members.iter().flat_map(|member| member.ip_assignments.iter().copied()).collect();
    let mut plan = Plan::default();
    for member in order {
        let mut assigned = Vec::new();
        if member.authorized {
            let wanted = |family: Family| family.wants_address(after, Some(member));
            assigned = assign(after, member, &occupied);
            let is_missing = |family| wanted(family) && !assigned.iter().any(|ip| Family::of(*ip) == family);
            plan.v4_exhausted += usize::from(is_missing(Family::V4));
            plan.v6_exhausted += usize::from(is_missing(Family::V6));
            assigned.iter().for_each(|ip| occupied.insert(*ip));
        }
        let change = of_member(before, after, member, assigned);
        if change.is_none() {
            plan.unchanged += 1;
        }
        plan.changes.extend(change);
    }
    plan
}

/// Returns `None` if nothing changes.
fn of_member(
    before: &Network,
    after: &Network,
    member: &Member,
    assigned: Vec<IpAddr>,
) -> Option<MemberPlan> {
    let (old, new) = (managed(before, member), managed(after, member));
    let bits_in = |list: &[zt_proto::IpPrefix], ip: IpAddr| {
        list.iter().find(|prefix| prefix.ip() == ip).map(|prefix| prefix.bits())
    };
    let (mut regained, mut unrouted, mut renumbered) = (Vec::new(), Vec::new(), Vec::new());
    for &ip in &member.ip_assignments {
        match (bits_in(&old, ip), bits_in(&new, ip)) {
            (None, Some(_)) => regained.push(ip),
            (Some(_), None) => unrouted.push(ip),
            (Some(was), Some(is)) if was != is => renumbered.push((ip, was, is)),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    let was_conflicting = |ip: &&IpAddr| is_edge(before, **ip);
    let conflicting = member.ip_assignments.iter().filter(|ip| is_edge(after, **ip) && !was_conflicting(ip));
    let conflicting = conflicting.copied().collect();
    let (old, new) = (derived(before, member), derived(after, member));
    let missing_in = |list: &[zt_proto::IpPrefix], other: &[zt_proto::IpPrefix]| {
        let missing = list.iter().filter(|prefix| !other.contains(prefix));
        missing.map(|prefix| prefix.ip()).collect::<Vec<_>>()
    };
    let change = MemberPlan {
        member: member.address,
        regained,
        assigned,
        unrouted,
        derived: missing_in(&new, &old),
        underived: missing_in(&old, &new),
        renumbered,
        conflicting,
    };
    (!change.is_empty()).then_some(change)
}

impl MemberPlan {
    /// Returns what the change means for the member in a word.
    pub fn outcome(&self) -> Outcome {
        let gains = [&self.regained, &self.assigned, &self.derived].iter().any(|list| !list.is_empty());
        let loses = [&self.unrouted, &self.underived].iter().any(|list| !list.is_empty());
        match (gains, loses) {
            (true, true) => Outcome::Moves,
            (true, false) => Outcome::Gains,
            (false, true) => Outcome::Loses,
            (false, false) => Outcome::Adjusts,
        }
    }

    fn is_empty(&self) -> bool {
        let Self { member: _, regained, assigned, unrouted, derived, underived, renumbered, conflicting } =
            self;
        let lists = [regained, assigned, unrouted, derived, underived, conflicting];
        lists.iter().all(|list| list.is_empty()) && renumbered.is_empty()
    }
}

/// Says whether an address is the network's or the broadcast address of the longest route that reaches it.
fn is_edge(network: &Network, ip: IpAddr) -> bool {
    let Some(route) = route_of(network, ip) else { return false };
    match ip {
        IpAddr::V4(ip) if route.target.bits() <= 30 => {
            let hosts = u32::MAX.checked_shr(route.target.bits().into()).unwrap_or(0);
            matches!(ip.to_bits() & hosts, edge if edge == 0 || edge == hosts)
        }
        IpAddr::V6(ip) if route.target.bits() <= 126 => {
            ip.to_bits() & u128::MAX.checked_shr(route.target.bits().into()).unwrap_or(0) == 0
        }
        IpAddr::V4(_) | IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::{NetworkId, Timestamp};

    use super::*;
    use crate::network::{Pool, Route};

    const NETWORK: NetworkId = NetworkId(0xf593_81cf_7300_0001);

    fn network(routes: &[&str], pools: &[(&str, &str)]) -> Network {
        let mut network = Network::new(NETWORK, Timestamp(0));
        network.v4_assign.pool = true;
        network.routes =
            routes.iter().map(|target| Route { target: target.parse().unwrap(), via: None }).collect();
        let pool = |(first, last): &(&str, &str)| Pool {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        };
        network.pools = pools.iter().map(pool).collect();
        network
    }

    fn member(number: u64, ips: &[&str]) -> Member {
        let mut member = Member::new(NETWORK, Address::from_low_bits(number), Timestamp(0));
        member.authorized = true;
        member.ip_assignments = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        member
    }

    fn nothing(number: u64) -> MemberPlan {
        let none = Vec::new;
        MemberPlan {
            member: Address::from_low_bits(number),
            regained: none(),
            assigned: none(),
            unrouted: none(),
            derived: none(),
            underived: none(),
            renumbered: Vec::new(),
            conflicting: none(),
        }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_change_that_changes_nothing_has_an_empty_plan() {
        let network = network(&["10.0.0.0/24"], &[("10.0.0.1", "10.0.0.9")]);
        let members = [member(1, &["10.0.0.1"]), member(2, &["10.0.0.2"])];
        let renamed = Network { name: "x".to_owned(), ..network.clone() };
        assert_eq!(plan(&network, &renamed, &members), Plan { unchanged: 2, ..Plan::default() });
    }

    #[test]
    fn moving_a_network_gives_new_addresses_until_the_pool_is_empty() {
        let before = network(&["10.0.0.0/24"], &[("10.0.0.1", "10.0.0.9")]);
        let after = network(&["10.1.0.0/24"], &[("10.1.0.1", "10.1.0.2")]);
        let mut stranger = member(9, &["10.1.0.1"]);
        stranger.authorized = false;
        let members = [member(3, &["10.0.0.3"]), member(2, &["10.0.0.2"]), stranger];
        let expected = Plan {
            unchanged: 0,
            changes: vec![
                MemberPlan { assigned: ips(&["10.1.0.2"]), unrouted: ips(&["10.0.0.2"]), ..nothing(2) },
                MemberPlan { unrouted: ips(&["10.0.0.3"]), ..nothing(3) },
                MemberPlan { regained: ips(&["10.1.0.1"]), ..nothing(9) },
            ],
            v4_exhausted: 1,
            v6_exhausted: 0,
        };
        let planned = plan(&before, &after, &members);
        let outcomes: Vec<_> = planned.changes.iter().map(MemberPlan::outcome).collect();
        assert_eq!(outcomes, [Outcome::Moves, Outcome::Loses, Outcome::Gains]);
        assert_eq!(planned, expected);
    }

    #[test]
    fn prefixes_edges_and_computed_addresses_are_told() {
        let before = network(&["10.0.0.0/24"], &[]);
        let mut after = network(&["10.0.0.0/24", "10.0.0.0/30"], &[]);
        after.v6_assign.rfc4193 = true;
        let members = [member(2, &["10.0.0.2"]), member(3, &["10.0.0.3"]), member(4, &["10.0.0.9"])];
        let computed =
            |number| vec![IpAddr::from(super::super::rfc4193(NETWORK, Address::from_low_bits(number)))];
        let renumbered = |ip: &str| vec![(ip.parse().unwrap(), 24, 30)];
        let expected = [
            MemberPlan { derived: computed(2), renumbered: renumbered("10.0.0.2"), ..nothing(2) },
            MemberPlan {
                derived: computed(3),
                renumbered: renumbered("10.0.0.3"),
                conflicting: ips(&["10.0.0.3"]),
                ..nothing(3)
            },
            MemberPlan { derived: computed(4), ..nothing(4) },
        ];
        let changes = plan(&before, &after, &members).changes;
        assert!(changes.iter().all(|change| change.outcome() == Outcome::Gains));
        let renumbered_only = MemberPlan { derived: Vec::new(), ..changes[1].clone() };
        assert_eq!(renumbered_only.outcome(), Outcome::Adjusts);
        assert_eq!(changes, expected);
        let back = plan(&after, &before, &members);
        assert!(
            back.changes.iter().all(|change| change.underived.len() == 1 && change.conflicting.is_empty())
        );
    }

    /// The plan gives what members then get, if they ask in that order.
    #[test]
    fn what_is_planned_is_what_is_assigned() {
        let before = network(&["10.0.0.0/24"], &[]);
        let after = network(&["10.0.0.0/24"], &[("10.0.0.1", "10.0.0.20")]);
        let mut members: Vec<_> = (0..30).map(|number| member(number * 7 + 1, &[])).collect();
        let planned = plan(&before, &after, &members);
        assert_eq!((planned.changes.len(), planned.v4_exhausted), (20, 10));
        let mut occupied = Occupied::default();
        for member in &mut members {
            let assigned = assign(&after, member, &occupied);
            assigned.iter().for_each(|ip| occupied.insert(*ip));
            let of_plan = planned.changes.iter().find(|change| change.member == member.address);
            assert_eq!(of_plan.map(|change| change.assigned.clone()).unwrap_or_default(), assigned);
        }
    }
}
