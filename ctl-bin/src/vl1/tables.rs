//! How full the tables are that others fill.

use super::Node;

/// Numbers of entries; each table has a named bound (`docs/architecture.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSizes {
    pub peers: usize,
    /// Hosts to which confirmed paths lead.
    pub hosts: usize,
    /// Identities that are being verified.
    pub verifying: usize,
    /// Packets of unknown sources.
    pub kept: usize,
    /// Packets of which pieces are missing.
    pub incomplete: usize,
    /// Packets that wait for their OK.
    pub awaited: usize,
    /// Packets that were taken lately.
    pub duplicates: usize,
    /// Identities that are asked for.
    pub wanted: usize,
    /// Packets that wait for them.
    pub outgoing: usize,
    /// Reports of how others see this node.
    pub surface: usize,
    /// Multicast subscriptions.
    pub subscriptions: usize,
    /// Pairs that were introduced lately.
    pub introductions: usize,
    pub timers: usize,
}

impl Node {
    /// Returns how full the tables are.
    pub fn table_sizes(&self) -> TableSizes {
        let (verifying, kept) = self.strangers.len();
        let (wanted, outgoing) = self.wanted.len();
        let (by_roots, by_others) = self.surface.len();
        TableSizes {
            peers: self.peers.len(),
            hosts: self.hosts.len(),
            verifying,
            kept,
            incomplete: self.reassembly.len(),
            awaited: self.awaited.len(),
            duplicates: self.duplicates.len(),
            wanted,
            outgoing,
            surface: by_roots + by_others,
            subscriptions: self.groups.len(),
            introductions: self.introductions.len(),
            timers: self.timers.len(),
        }
    }
}
