//! Which nodes asked lately, and with what: to them configurations are pushed (`vl2.md` §10, "status").

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity};

/// A node that asked within this time counts as online.
pub(super) const ONLINE_FOR: Duration = Duration::from_secs(120);
/// Requests of one node for one network are answered no more often (`vl2.md` §10.1).
const MIN_INTERVAL: Duration = Duration::from_millis(1000);
/// Requests that are let through within a second; no machine answers so many.
const MAX_GATED: usize = 262_144;
/// Nodes that are remembered, over all networks.
const MAX_SEEN: usize = 2_000_000;

/// What a node said with its last request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub identity: PublicIdentity,
    pub metadata: RequestMetadata,
    last_request: Instant,
}

/// The nodes that asked lately. Also those that were refused: when one is authorized, it need not ask again.
#[derive(Debug, Default)]
pub(super) struct SeenNodes {
    /// Whose last request is no older than a second.
    gate: HashSet<(NetworkId, Address)>,
    /// The same, oldest first, with its time.
    gate_order: VecDeque<(Instant, (NetworkId, Address))>,
    nodes: BTreeMap<(NetworkId, Address), Seen>,
}

impl SeenNodes {
    /// Takes a request, whether it will be admitted, refused or for a network that does not exist; false within a second
    /// of the last one, or when too many ask at once.
    pub(super) fn take(&mut self, network: NetworkId, node: Address, now: Instant) -> bool {
        while let Some((last, key)) = self.gate_order.front().copied()
            && now.saturating_duration_since(last) > MIN_INTERVAL
        {
            self.gate_order.pop_front();
            self.gate.remove(&key);
        }
        let is_free = self.gate.len() < MAX_GATED && self.gate.insert((network, node));
        if is_free {
            self.gate_order.push_back((now, (network, node)));
        }
        is_free
    }

    /// Notes a request for a network that exists; says whether the node was offline before.
    pub(super) fn note(
        &mut self,
        network: NetworkId,
        identity: PublicIdentity,
        metadata: RequestMetadata,
        now: Instant,
    ) -> bool {
        let key = (network, identity.address);
        let was_online = self.online(network, identity.address, now).is_some();
        if self.nodes.len() < MAX_SEEN || self.nodes.contains_key(&key) {
            self.nodes.insert(key, Seen { identity, metadata, last_request: now });
        }
        !was_online
    }

    pub(super) fn online(&self, network: NetworkId, node: Address, now: Instant) -> Option<&Seen> {
        self.nodes.get(&(network, node)).filter(|seen| is_online(seen, now))
    }

    /// Returns the addresses of all nodes of a network that are online.
    pub(super) fn all_online(&self, network: NetworkId, now: Instant) -> Vec<Address> {
        let all = (network, Address::NONE)..=(network, Address::MAX);
        let online = self.nodes.range(all).filter(|(_, seen)| is_online(seen, now));
        online.map(|((_, node), _)| *node).collect()
    }

    /// Forgets who is no longer online.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.nodes.retain(|_, seen| is_online(seen, now));
    }
}

fn is_online(seen: &Seen, now: Instant) -> bool {
    now.saturating_duration_since(seen.last_request) < ONLINE_FOR
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    fn identity(n: u64) -> PublicIdentity {
        PublicIdentity { address: Address::from_low_bits(n), key: [0; 64] }
    }

    #[test]
    fn a_node_may_ask_again_after_more_than_a_second() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let (network, node) = (NetworkId(1), identity(7));
        assert!(seen.take(network, node.address, start));
        assert!(!seen.take(network, node.address, start), "two at one instant");
        assert!(!seen.take(network, node.address, start + Duration::from_millis(1000)));
        assert!(seen.take(network, node.address, start + Duration::from_millis(1001)));
        assert!(seen.take(NetworkId(2), node.address, start));
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn one_node_that_names_all_networks_fills_no_memory_for_long() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        let node = identity(7);
        let taken = (0..300_000).filter(|n| seen.take(NetworkId(*n), node.address, start)).count();
        assert_eq!(taken, MAX_GATED);
        assert!(seen.take(NetworkId(0), node.address, start + Duration::from_millis(1001)));
        assert_eq!(seen.gate.len(), 1);
    }

    #[test]
    fn only_nodes_that_asked_lately_are_online() {
        let (mut seen, start) = (SeenNodes::default(), clock::now().mono);
        for (network, node) in [(1, 7), (1, 8), (2, 9)] {
            assert!(seen.note(NetworkId(network), identity(node), RequestMetadata::default(), start));
        }
        let later = start + Duration::from_secs(119);
        assert!(!seen.note(NetworkId(1), identity(8), RequestMetadata::default(), later));
        assert_eq!(seen.all_online(NetworkId(1), later).len(), 2);
        let end = start + Duration::from_secs(121);
        assert_eq!(seen.all_online(NetworkId(1), end), [Address::from_low_bits(8)]);
        seen.sweep(end);
        assert_eq!(seen.nodes.len(), 1);
    }
}
