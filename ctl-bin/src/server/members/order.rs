//! The members of each network in the order of their addresses, for those who go through a network.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use zt_proto::{Address, NetworkId};

use super::Key;

/// Addresses by network; five bytes each, and the third of a node of a tree.
#[derive(Debug, Default)]
pub(super) struct Order(BTreeMap<NetworkId, BTreeSet<[u8; 5]>>);

impl Order {
    pub(super) fn insert(&mut self, (network, node): Key) {
        self.0.entry(network).or_default().insert(node.octets());
    }

    pub(super) fn remove(&mut self, (network, node): Key) {
        if let Some(nodes) = self.0.get_mut(&network) {
            nodes.remove(&node.octets());
            if nodes.is_empty() {
                self.0.remove(&network);
            }
        }
    }

    /// Returns the nodes of a network within a range of octets.
    pub(super) fn range(
        &self,
        network: NetworkId,
        range: impl RangeBounds<[u8; 5]>,
    ) -> impl Iterator<Item = Address> {
        let nodes = self.0.get(&network).map(|nodes| nodes.range(range));
        nodes.into_iter().flatten().map(|node| Address::from_octets(*node))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
