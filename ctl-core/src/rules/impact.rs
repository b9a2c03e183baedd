//! Who can no longer reach whom, or can at last, after a change of rules.

use std::fmt;

use super::evaluate::deliver;
use super::scenario::{Budget, Fate, Packet, RuleSet, World, WorldMember, draws, fate_of, shortened};

/// A packet under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub packet: Packet,
}

/// What people ask for first: the services to look at if none are named.
const SERVICES: [(&str, &str); 12] = [
    ("arp", "arp"),
    ("ping", "ping"),
    ("ping6", "ping ipv6"),
    ("ssh", "tcp 22"),
    ("dns", "udp 53"),
    ("http", "tcp 80"),
    ("https", "tcp 443"),
    ("smb", "tcp 445"),
    ("rdp", "tcp 3389"),
    ("sip", "udp 5060"),
    ("mdns", "udp 5353 sport 5353 multicast"),
    ("reply", "tcp dport 40000 sport 443 established"),
];

/// Returns the usual services.
pub fn usual_services() -> Vec<Service> {
    let services = SERVICES.iter();
    let service = |(name, packet): &(&str, &str)| {
        Some(Service { name: (*name).to_owned(), packet: packet.parse().ok()? })
    };
    services.filter_map(service).collect()
}

/// A pair of members for which a service changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub from: String,
    pub to: String,
    pub service: String,
    pub before: Fate,
    pub after: Fate,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, service, before, after } = self;
        write!(f, "{from} to {to}, {service}: {before} -> {after}")
    }
}

/// What a change of rules does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Impact {
    /// In the order of the members and services.
    pub changes: Vec<Change>,
    /// How many pairs × services were looked at.
    pub compared: usize,
    /// The limit was reached; there may be more changes.
    pub is_cut: bool,
}

/// Most pairs × services that are looked at, however short the tables are.
pub const MAX_COMPARISONS: usize = 2_000_000;
/// Most steps of a comparison, one being about as much as looking at one rule: less than a second.
pub const MAX_STEPS: u64 = 50_000_000;

/// Compares two sets of rules for all pairs of members that know each other.
///
/// At most `limit` comparisons are made ([`MAX_COMPARISONS`] for instance), and fewer where tables are long or packets
/// are large, as all of it takes at most [`MAX_STEPS`]. Where rules depend on chance, the
/// outcome counts as changed only if it can never again be what it was.
pub fn impact(
    before: &RuleSet,
    after: &RuleSet,
    members: &[WorldMember],
    services: &[Service],
    limit: usize,
) -> Impact {
    let mut budget = Budget::new(MAX_STEPS);
    let to_make = [before, after].into_iter().map(|rules| World::steps_to_make(rules, members.len()));
    if !budget.take_all(to_make) {
        return Impact { is_cut: true, ..Impact::default() };
    }
    let worlds = [World::new(before, members), World::new(after, members)];
    let [old_world, new_world] = &worlds;
    let (old_members, new_members) = (old_world.members(), new_world.members());
    let (old, new) = (old_world.network(&old_members), new_world.network(&new_members));
    let (old_draws, new_draws) = (draws(&before.compiled), draws(&after.compiled));
    let mut impact = Impact::default();
    for sender in members {
        for receiver in members.iter().filter(|receiver| receiver.address != sender.address) {
            for service in services {
                let steps = worlds.iter().map(|world| world.steps(sender.address, &service.packet, 1));
                if impact.compared >= limit || !budget.take_all(steps) {
                    impact.is_cut = true;
                    return impact;
                }
                impact.compared += 1;
                let built = service.packet.build(
                    before.network,
                    (sender.address, &sender.addresses),
                    (receiver.address, &receiver.addresses),
                );
                let (frame, to) = (built.frame(), built.destination(receiver.address));
                let fates = |network, draws: &[u32]| -> Vec<Fate> {
                    let fate = |draw: &u32| {
                        let mut draw = || *draw;
                        let delivery = deliver(network, sender.address, to, true, &frame, &mut draw, &mut ());
                        delivery.as_ref().map(fate_of)
                    };
                    draws.iter().filter_map(fate).collect()
                };
                let was = fates(&old, old_draws);
                let is = fates(&new, new_draws);
                if let (Some(&first_was), Some(&first_is)) = (was.first(), is.first())
                    && was.iter().all(|fate| !is.contains(fate))
                {
                    impact.changes.push(Change {
                        from: shortened(&sender.title()),
                        to: shortened(&receiver.title()),
                        service: shortened(&service.name),
                        before: first_was,
                        after: first_is,
                    });
                }
            }
        }
    }
    impact
}
