//! What a change of a network would mean for its members, before anybody makes it.

use ctl_core::addresses::{MemberPlan, Plan, plan};
use ctl_core::{Member, Network};
use schemars::JsonSchema;
use serde::Serialize;

use super::network_record::NetworkView;
use super::text::{Ip, Node};

/// Most members whose addresses are listed; the counts are of all.
const MAX_LISTED: usize = 1000;

/// What a change would mean. Nothing was stored.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DryRun {
    /// The network as it would be.
    network: NetworkView,
    /// Whether anything would change at all.
    changed: bool,
    /// Authorized members, each of which would get a new configuration.
    new_configurations: usize,
    addresses: AddressesView,
}

/// What would become of the addresses of members, as things are now.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AddressesView {
    /// Members whose addresses stay as they are.
    unchanged: usize,
    /// Members whose addresses change.
    change_count: usize,
    /// Members that would want an IPv4 address from the pools and not get one.
    v4_exhausted: usize,
    /// Likewise for IPv6.
    v6_exhausted: usize,
    /// The first 1,000 of those that change, ascending by address.
    changes: Vec<MemberPlanView>,
    /// Whether there are more.
    cut: bool,
}

/// What would become of the addresses of one member.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MemberPlan")]
struct MemberPlanView {
    member: Node,
    /// It has them on record, and a route would reach them only now.
    regained: Vec<Ip>,
    /// It would be given them from the pools.
    assigned: Vec<Ip>,
    /// It has them on record, and no route would reach them any more.
    unrouted: Vec<Ip>,
    /// Computed from network and member, and new.
    derived: Vec<Ip>,
    /// Computed from network and member, and lost.
    underived: Vec<Ip>,
    /// Kept with another prefix length.
    renumbered: Vec<Renumbered>,
    /// Network or broadcast addresses of the route that would reach them.
    conflicting: Vec<Ip>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Renumbered {
    ip: Ip,
    /// Prefix length now.
    before: u8,
    /// Prefix length after the change.
    after: u8,
}

impl DryRun {
    /// `network` is what would be shown of `after`.
    pub(crate) fn new(
        before: Option<&Network>,
        after: &Network,
        network: NetworkView,
        members: &[Member],
    ) -> Self {
        let changed = before != Some(after);
        let authorized = members.iter().filter(|member| member.authorized).count();
        let plan = plan(before.unwrap_or(after), after, members);
        Self {
            network,
            changed,
            new_configurations: if changed { authorized } else { 0 },
            addresses: AddressesView::new(&plan),
        }
    }
}

impl AddressesView {
    fn new(plan: &Plan) -> Self {
        Self {
            unchanged: plan.unchanged,
            change_count: plan.changes.len(),
            v4_exhausted: plan.v4_exhausted,
            v6_exhausted: plan.v6_exhausted,
            changes: plan.changes.iter().take(MAX_LISTED).map(MemberPlanView::new).collect(),
            cut: plan.changes.len() > MAX_LISTED,
        }
    }
}

impl MemberPlanView {
    fn new(plan: &MemberPlan) -> Self {
        let list = |ips: &[std::net::IpAddr]| ips.iter().copied().map(Ip).collect();
        let renumbered =
            plan.renumbered.iter().map(|&(ip, before, after)| Renumbered { ip: Ip(ip), before, after });
        Self {
            member: Node(plan.member),
            regained: list(&plan.regained),
            assigned: list(&plan.assigned),
            unrouted: list(&plan.unrouted),
            derived: list(&plan.derived),
            underived: list(&plan.underived),
            renumbered: renumbered.collect(),
            conflicting: list(&plan.conflicting),
        }
    }
}
