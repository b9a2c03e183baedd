//! Forwarding between peers that have no path to each other yet, and introducing them (`vl1.md` §14.4, §14.5).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand_core::Rng;
use zt_proto::Address;
use zt_proto::inet::Scope;
use zt_proto::packet::{FragmentHeader, HeaderMut, PacketHeader, fragment};
use zt_proto::verb::Verb;
use zt_proto::verb::rendezvous::Rendezvous;

use super::moment::{Moment, Present};
use super::node::{Ignored, Transmit};
use super::peer::Peer;
use super::recent::Recent;
use super::{Link, Node};

/// A pair is introduced no more often.
pub(super) const INTRODUCE_INTERVAL: Duration = Duration::from_secs(30);
/// A packet that came over this many relays goes no further.
const MAX_HOPS: u8 = 3;
/// Pairs that are remembered; past it the oldest may be introduced again.
pub(super) const MAX_INTRODUCTIONS: usize = 65_536;

/// The pairs that were introduced lately.
#[derive(Debug)]
pub(super) struct Introductions {
    /// By a keyed hash.
    pairs: Recent<()>,
    hasher: RandomState,
}

impl Default for Introductions {
    fn default() -> Self {
        Self { pairs: Recent::new(MAX_INTRODUCTIONS, INTRODUCE_INTERVAL), hasher: RandomState::new() }
    }
}

impl Introductions {
    /// Says whether the pair may be introduced now, and notes that it is.
    fn take(&mut self, a: Address, b: Address, now: Moment) -> bool {
        let pair = self.hasher.hash_one((a.min(b), a.max(b)));
        let is_new = !self.pairs.contains(pair);
        if is_new {
            self.pairs.insert(pair, (), now);
        }
        is_new
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        self.pairs.sweep(now);
    }
}

/// How many confirmed paths lead to which host. Relaying goes by host: a client uses several ports, and some NATs give it
/// new ones all the time. Nothing is counted by a node that does not relay.
#[derive(Debug, Default)]
pub(super) struct Hosts(Option<HashMap<IpAddr, u32>>);

impl Hosts {
    pub(super) fn add(&mut self, host: IpAddr) {
        if let Some(counts) = &mut self.0 {
            *counts.entry(host).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, host: IpAddr) {
        if let Some(counts) = &mut self.0
            && let Some(count) = counts.get_mut(&host)
        {
            *count -= 1;
            if *count == 0 {
                counts.remove(&host);
            }
        }
    }

    fn contains(&self, host: IpAddr) -> bool {
        self.0.as_ref().is_some_and(|counts| counts.contains_key(&host))
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, HashMap::len)
    }
}

impl Node {
    /// Begins to count hosts when this node has become a root, and ends it when it is none any more.
    pub(super) fn count_hosts(&mut self) {
        if self.roots.is_root() == self.hosts.0.is_some() {
            return;
        }
        self.hosts.0 = self.roots.is_root().then(HashMap::new);
        let paths = self.peers.values().flat_map(|peer| peer.paths.iter());
        paths.for_each(|path| self.hosts.add(path.link().remote.ip()));
    }

    /// Forwards a whole packet or the head of one to a peer, one hop further, otherwise unchanged.
    pub(super) fn relay_packet(
        &mut self,
        now: Present,
        link: Link,
        header: PacketHeader,
        datagram: &mut [u8],
    ) -> Result<(), Ignored> {
        let (to, is_direct) = self.relay_target(now, link, header.destination, header.hops())?;
        if let Some(mut outgoing) = HeaderMut::of(datagram) {
            outgoing.set_hops(header.hops() + 1);
        }
        self.transmit(Transmit { link: to, bytes: datagram.to_vec() });
        if is_direct {
            self.introduce(now, header.source, header.destination);
        }
        Ok(())
    }

    /// Forwards a fragment likewise.
    pub(super) fn relay_fragment(
        &mut self,
        now: Present,
        link: Link,
        header: FragmentHeader,
        datagram: &mut [u8],
    ) -> Result<(), Ignored> {
        let (to, _) = self.relay_target(now, link, header.destination, header.hops)?;
        fragment::set_hops(datagram, header.hops + 1);
        self.transmit(Transmit { link: to, bytes: datagram.to_vec() });
        Ok(())
    }

    /// Returns where to forward to, and whether that is the destination itself: where it is not known, another root may know
    /// it. Only a root relays, and only what comes from a host to which a confirmed path leads: strangers are not forwarded
    /// for.
    fn relay_target(&self, now: Present, from: Link, to: Address, hops: u8) -> Result<(Link, bool), Ignored> {
        if !self.roots.is_root() || hops >= MAX_HOPS || !self.hosts.contains(from.remote.ip()) {
            return Err(Ignored::NotRelayed);
        }
        let path = self.peers.get(&to).and_then(|peer| peer.best_path(now.mono));
        let direct = path.map(|path| (path.link(), true));
        let through_root = || self.relay_link(now, to).map(|link| (link, false));
        let last_resort = || Some((self.peers.get(&to)?.last_resort()?.link(), true));
        let target = direct.or_else(through_root).or_else(last_resort);
        // Never back to where it came from.
        target.filter(|(link, _)| link.remote != from.remote).ok_or(Ignored::NotRelayed)
    }

    /// Tells two peers how to reach each other directly.
    fn introduce(&mut self, now: Present, a: Address, b: Address) {
        let (Some(peer_a), Some(peer_b)) = (self.peers.get(&a), self.peers.get(&b)) else { return };
        let Some((link_a, link_b)) = common_ground(peer_a, peer_b, now.mono) else { return };
        if !self.introductions.take(a, b, now.mono) {
            return;
        }
        let mut letters = [(a, link_a, b, link_b.remote), (b, link_b, a, link_a.remote)];
        // Whoever hears of the other first opens its own firewall first: leave that to chance.
        if self.rng.next_u32() & 1 == 1 {
            letters.reverse();
        }
        for (to, link, other, remote) in letters {
            self.send_rendezvous(now, to, link, other, remote);
        }
    }

    /// Goes over the path whose other end is told to the other: from there the peer will try.
    fn send_rendezvous(&mut self, now: Present, to: Address, link: Link, other: Address, remote: SocketAddr) {
        let mut payload = Vec::new();
        Rendezvous { flags: 0, peer: other, endpoint: remote }.write(&mut payload);
        self.send_over(now, link, to, Verb::RENDEZVOUS, &payload);
    }
}

/// Returns a path of each peer with the same family and scope: the best scope first, IPv6 before IPv4, then the paths that
/// work best.
fn common_ground(a: &Peer, b: &Peer, now: Moment) -> Option<(Link, Link)> {
    let living = |peer: &Peer| -> Vec<(Link, u64)> {
        let paths = peer.paths.iter().filter(|path| !path.is_expired(now));
        paths.map(|path| (path.link(), path.badness(now))).collect()
    };
    let rank = |link: Link| (Scope::of(link.remote.ip()), link.remote.is_ipv6());
    let (paths_a, paths_b) = (living(a), living(b));
    let pairs = paths_a.iter().flat_map(|a| paths_b.iter().map(move |b| (*a, *b)));
    pairs
        .filter(|((a, _), (b, _))| rank(*a) == rank(*b))
        .max_by_key(|((a, bad_a), (_, bad_b))| (rank(*a), Reverse(bad_a + bad_b)))
        .map(|((a, _), (b, _))| (a, b))
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    #[test]
    fn introductions_are_bounded_in_number_and_time() {
        let mut introductions = Introductions::default();
        let node = Address::from_low_bits;
        for n in 0..=MAX_INTRODUCTIONS as u64 {
            assert!(introductions.take(node(n), node(n + 1), moment(0)));
        }
        assert_eq!(introductions.len(), MAX_INTRODUCTIONS);
        assert!(!introductions.take(node(3), node(2), moment(0)), "the same pair the other way round");
        introductions.sweep(moment(30_001));
        assert_eq!(introductions.len(), 0);
    }
}
