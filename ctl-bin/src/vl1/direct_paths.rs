//! Addresses that peers tell each other, so that they meet without a root between them (`vl1.md` §10.15).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use zt_proto::Address;
use zt_proto::inet::{Scope, is_usable_path};
use zt_proto::verb::Verb;
use zt_proto::verb::push_direct_paths::{self, DirectPath};

use super::moment::{Moment, Present};
use super::node::Ignored;
use super::{Link, Node};

/// Pushes that count, each within [`PUSH_PAUSE`] of the one before.
const MAX_PUSHES: u32 = 8;
const PUSH_PAUSE: Duration = Duration::from_secs(30);
/// Addresses of one scope and family in one push that are tried.
const MAX_PER_KIND: usize = 8;
/// How often a peer that is reached only through a root is told the addresses of this node.
pub(super) const TELL_INTERVAL: Duration = Duration::from_secs(15);
/// The first protocol that knows the verb.
const PROTOCOL_WITH_PUSHES: u8 = 5;
/// Addresses that are told in one packet.
const MAX_TOLD: usize = 16;

/// Pushes of one peer: they stop to count when too many come without a pause (`vl1.md` §13.9).
#[derive(Debug, Default)]
pub(super) struct PushGate {
    last: Option<Moment>,
    count: u32,
}

impl PushGate {
    /// Says whether a push that comes now counts.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        let in_a_row = self.last.is_some_and(|last| now.saturating_duration_since(last) <= PUSH_PAUSE);
        self.count = if in_a_row { self.count.saturating_add(1) } else { 0 };
        self.last = Some(now);
        self.count < MAX_PUSHES
    }

    /// Says whether another one would do the same from now on.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > PUSH_PAUSE)
    }
}

impl Node {
    /// Sets the addresses at which this node may be reached, apart from those that roots report: of the machine's
    /// interfaces, and of a port map. Unusable ones are left out.
    pub fn set_own_addresses(&mut self, addresses: &[SocketAddr]) {
        let usable = addresses.iter().copied().filter(|address| is_usable_path(address.ip()));
        self.own_addresses = usable.take(MAX_TOLD).collect();
    }

    /// Tries the addresses that a peer says it can be reached at.
    pub(super) fn on_push_direct_paths(
        &mut self,
        now: Present,
        link: Link,
        from: Address,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        let Some(peer) = self.peers.get_mut(&from) else { return Ok(()) };
        if !peer.take_push(now.mono) {
            return Err(Ignored::RateLimited("PUSH_DIRECT_PATHS"));
        }
        let mut tried: BTreeMap<(Scope, bool), usize> = BTreeMap::new();
        for DirectPath { flags, endpoint } in push_direct_paths::parse(payload)? {
            let link = link.toward(endpoint);
            if flags & DirectPath::FORGET != 0 || endpoint.port() == 0 || !self.may_be_path(from, link) {
                continue;
            }
            let count = tried.entry((Scope::of(endpoint.ip()), endpoint.is_ipv6())).or_default();
            *count += 1;
            let Some(peer) = self.peers.get_mut(&from).filter(|_| *count <= MAX_PER_KIND) else { continue };
            let is_known =
                peer.paths.iter().any(|path| path.link().remote == endpoint && path.is_alive(now.mono));
            if !is_known && peer.take_test(link, now.mono) {
                self.contact(now, from, link);
            }
        }
        Ok(())
    }

    /// Tells a peer that has to go through a root where this node can be reached directly, if it is a member of a network:
    /// addresses of this machine's interfaces are nobody else's business (`vl1.md` §10.15, §13.8).
    pub(super) fn tell_direct_paths(&mut self, now: Present, to: Address) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let takes = peer.version.is_none_or(|version| version.protocol >= PROTOCOL_WITH_PUSHES);
        let is_reached = || peer.best_path(now.mono).is_some();
        if !takes || !peer.is_member(now.mono) || peer.is_told_paths(now.mono) || is_reached() {
            return;
        }
        let mut addresses = self.surface.believed(now.mono);
        addresses.extend(&self.own_addresses);
        addresses.dedup();
        addresses.truncate(MAX_TOLD);
        if addresses.is_empty() {
            return;
        }
        peer.note_told_paths(now.mono);
        let paths: Vec<_> = addresses.into_iter().map(|endpoint| DirectPath { flags: 0, endpoint }).collect();
        let mut payload = Vec::new();
        push_direct_paths::write(&paths, &mut payload);
        self.send(now, to, Verb::PUSH_DIRECT_PATHS, &payload);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    /// `vl1.md` §13.9.
    #[test]
    fn of_pushes_without_a_pause_the_first_eight_count() {
        let mut gate = PushGate::default();
        let counted = (0..100).filter(|n| gate.take(moment(n * 29_000))).count();
        assert_eq!(counted, 8);
        assert!(gate.take(moment(99 * 29_000 + 30_001)), "a pause was made");
    }
}
