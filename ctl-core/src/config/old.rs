//! The forms for clients before 1.2.0 (`vl2.md` §8).

use zt_proto::config::{NetworkConfig, TextConfig};
use zt_proto::rules::{Rule, RuleBody};

use crate::client::Client;
use crate::network::Network;

/// What a table of rules lets pass, as far as clients before 1.2.0 can be told: they know Ethernet types only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whitelist {
    /// Also for what they cannot be told: members with a rules engine enforce the whole table on their side.
    Everything,
    Only(Vec<u16>),
}

impl Whitelist {
    /// More Ethernet types than these do not leave room for anything else in the one packet.
    const MAX_ETHER_TYPES: usize = 64;

    /// Reads a table of pairs, an Ethernet type and ACCEPT; a lone ACCEPT or DROP, or the end, ends it.
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut ether_types = Vec::new();
        let mut pending = None;
        for rule in rules {
            match (&rule.body, pending.take()) {
                _ if rule.not || rule.or => return Self::Everything,
                (RuleBody::EtherType(ether_type), None) => pending = Some(*ether_type),
                (RuleBody::Accept, Some(ether_type)) => ether_types.push(ether_type),
                (RuleBody::Drop, None) => break,
                _ => return Self::Everything,
            }
        }
        if ether_types.len() > Self::MAX_ETHER_TYPES { Self::Everything } else { Self::Only(ether_types) }
    }

    /// Returns the table for clients of 1.1.6 to 1.1.14, whose other matches have other numbers.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let Self::Only(ether_types) = self else { return vec![Rule::ACCEPT] };
        let pair = |ether_type: &u16| {
            [Rule { not: false, or: false, body: RuleBody::EtherType(*ether_type) }, Rule::ACCEPT]
        };
        ether_types.iter().flat_map(pair).collect()
    }

    /// Returns the list for clients of 1.0.0 to 1.1.4.
    fn ether_types(self) -> Vec<u16> {
        match self {
            Self::Everything => vec![TextConfig::EVERY_ETHER_TYPE],
            Self::Only(ether_types) => ether_types,
        }
    }
}

/// Writes a signed configuration for a client before 1.2.0, and says how many entries of lists were left out: these
/// clients take one packet, so routes, bridges and relays are cut alike until the whole fits.
///
/// # Errors
/// The length that it would have, if it does not fit even without those lists.
pub(crate) fn write_old(
    config: &NetworkConfig,
    network: &Network,
    client: Client,
) -> Result<(Vec<u8>, usize), usize> {
    let write = |limit: usize| match client {
        Client::Text { knows_routes, takes_relays } => {
            text(config, network, knows_routes, takes_relays, limit).write()
        }
        Client::Version6 | Client::Modern { .. } => limited(config, limit).write_version_6(),
    };
    let fits = |limit: &usize| write(*limit).len() <= NetworkConfig::MAX_LEN_BEFORE_1_2_0;
    let most = config.routes.len().max(config.specialists.len()).max(network.relays.len());
    let limit = if fits(&most) { most } else { largest(most, fits) };
    let written = write(limit);
    if written.len() > NetworkConfig::MAX_LEN_BEFORE_1_2_0 {
        return Err(written.len());
    }
    Ok((written, left_out(config, network, client, limit)))
}

/// Returns how many entries a limit on the lists costs, and what the client takes no more of anyway.
fn left_out(config: &NetworkConfig, network: &Network, client: Client, limit: usize) -> usize {
    let beyond = |length: usize, max: usize| length.saturating_sub(max);
    let bridges = beyond(config.specialists.len(), limit);
    match client {
        Client::Text { knows_routes, takes_relays } => {
            let routes = config.routes.iter().take(limit).filter(|route| route.via.is_none()).count();
            let all_routes = config.routes.iter().filter(|route| route.via.is_none()).count();
            let routes = if knows_routes { all_routes - routes } else { 0 };
            routes + bridges + if takes_relays { beyond(network.relays.len(), limit) } else { 0 }
        }
        Client::Version6 | Client::Modern { .. } => {
            let max_routes = NetworkConfig::MAX_ROUTES_BEFORE_1_8_5.min(limit);
            let addresses = beyond(config.addresses.len(), NetworkConfig::MAX_ADDRESSES_BEFORE_1_8_5);
            beyond(config.routes.len(), max_routes) + bridges + addresses
        }
    }
}

/// Returns the largest number below `end` that fits, where every smaller one does too; 0 if none does.
fn largest(end: usize, fits: impl Fn(&usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(&middle) { low = middle } else { high = middle }
    }
    low
}

fn limited(config: &NetworkConfig, limit: usize) -> NetworkConfig {
    let mut config = config.clone();
    config.routes.truncate(limit);
    config.specialists.truncate(limit);
    config
}

fn text(
    config: &NetworkConfig,
    network: &Network,
    knows_routes: bool,
    takes_relays: bool,
    limit: usize,
) -> TextConfig {
    let ether_types = Whitelist::of(&network.rules).ether_types();
    let mut text = TextConfig::of(&limited(config, limit), ether_types, knows_routes);
    // Members of public networks never showed each other certificates.
    text.membership = text.membership.filter(|_| network.private);
    // Zero, which is none, means 32 to them; no broadcast and one recipient come nearest.
    text.broadcast &= text.multicast_limit > 0;
    text.multicast_limit = text.multicast_limit.max(1);
    if takes_relays {
        text.relays = network.relays.iter().copied().take(limit).collect();
        text.relays.sort_by_key(|relay| relay.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(body: RuleBody) -> Rule {
        Rule { not: false, or: false, body }
    }

    #[test]
    fn a_table_that_old_clients_cannot_be_told_lets_everything_pass() {
        let (ipv4, arp) = (rule(RuleBody::EtherType(0x0800)), rule(RuleBody::EtherType(0x0806)));
        let (accept, drop) = (Rule::ACCEPT, rule(RuleBody::Drop));
        let only = |ether_types: &[u16]| Whitelist::Only(ether_types.to_vec());
        for (rules, whitelist) in [
            (vec![], only(&[])),
            (vec![drop.clone()], only(&[])),
            (vec![accept.clone()], Whitelist::Everything),
            (vec![ipv4.clone(), accept.clone()], only(&[0x0800])),
            (
                vec![ipv4.clone(), accept.clone(), arp.clone(), accept.clone(), drop.clone()],
                only(&[0x0800, 0x0806]),
            ),
            (vec![ipv4.clone(), accept.clone(), drop.clone(), accept.clone()], only(&[0x0800])),
            (vec![ipv4.clone(), accept.clone(), accept.clone()], Whitelist::Everything),
            (vec![ipv4.clone(), drop, accept.clone()], Whitelist::Everything),
            (vec![ipv4.clone(), arp.clone(), accept.clone()], Whitelist::Everything),
            (vec![Rule { not: true, ..ipv4.clone() }, accept.clone()], Whitelist::Everything),
            (vec![arp, rule(RuleBody::IpProtocol(6)), accept.clone()], Whitelist::Everything),
            ((0..65).flat_map(|_| [ipv4.clone(), accept.clone()]).collect(), Whitelist::Everything),
        ] {
            assert_eq!(Whitelist::of(&rules), whitelist, "{rules:?}");
        }
        assert_eq!(Whitelist::Everything.rules(), [Rule::ACCEPT]);
        assert_eq!(only(&[0x0800]).rules(), [ipv4, accept]);
    }
}
