//! The planet, and what it says of this node and of the nodes above it (`vl1.md` §14.3, §15.5).

use std::net::SocketAddr;
use std::time::Duration;

use rand_core::Rng;
use zt_proto::world::{World, WorldVersion};
use zt_proto::{Address, PublicIdentity, inet};

use super::peer::Peer;
use super::timer::Timer;
use super::{Link, Node, Now};

/// How often a root without a working path is greeted.
const CONTACT_INTERVAL: Duration = Duration::from_secs(5);

/// The planet and this node's place on it.
#[derive(Debug)]
pub(super) struct Roots {
    planet: Option<World>,
    /// As roots hand it out.
    serialized: Vec<u8>,
    own: Address,
}

impl Roots {
    pub(super) fn new(planet: Option<World>, own: &PublicIdentity) -> Self {
        let mut serialized = Vec::new();
        if let Some(planet) = &planet {
            planet.write(&mut serialized);
        }
        Self { planet, serialized, own: own.address }
    }

    pub(super) fn planet(&self) -> Option<&World> {
        self.planet.as_ref()
    }

    /// Returns the planet for a peer that says it has the one named, if it is behind.
    pub(super) fn update_for(&self, known: WorldVersion) -> &[u8] {
        match &self.planet {
            Some(planet) if known.id == planet.id && known.timestamp < planet.timestamp => &self.serialized,
            _ => &[],
        }
    }

    /// Says whether this node is one of the roots.
    pub(super) fn is_root(&self) -> bool {
        self.contains(self.own)
    }

    pub(super) fn contains(&self, address: Address) -> bool {
        self.identity(address).is_some()
    }

    /// Returns the identity of a root.
    pub(super) fn identity(&self, address: Address) -> Option<&PublicIdentity> {
        let roots = self.planet.iter().flat_map(|planet| &planet.roots);
        roots.map(|root| &root.identity).find(|identity| identity.address == address)
    }

    /// Returns the other roots, in the planet's order.
    pub(super) fn upstream(&self) -> impl Iterator<Item = Address> {
        let roots = self.planet.iter().flat_map(|planet| &planet.roots);
        roots.map(|root| root.identity.address).filter(|address| *address != self.own)
    }

    /// Says whether packets of a root may come from this address: one that the planet names (`vl1.md` §13.5).
    pub(super) fn allows(&self, peer: Address, from: SocketAddr) -> bool {
        let roots = self.planet.iter().flat_map(|planet| &planet.roots);
        let Some(root) = roots.into_iter().find(|root| root.identity.address == peer) else { return true };
        root.endpoints.is_empty() || root.endpoints.iter().any(|endpoint| endpoint.ip() == from.ip())
    }

    /// Draws one endpoint of each family of a root.
    fn draw_endpoints(&self, root: Address, rng: &mut impl Rng) -> Vec<SocketAddr> {
        let roots = self.planet.iter().flat_map(|planet| &planet.roots);
        let endpoints = roots.filter(|known| known.identity.address == root).flat_map(|root| &root.endpoints);
        let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = endpoints.partition(|endpoint| endpoint.is_ipv4());
        let mut draw = |from: Vec<SocketAddr>| {
            let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
            from.get(usize::try_from(rng.next_u64() % count).ok()?).copied()
        };
        [draw(v4), draw(v6)].into_iter().flatten().collect()
    }
}

impl Node {
    /// Says HELLO to each root above this node to which no path works.
    pub(super) fn contact_roots(&mut self, now: Now) {
        let upstream: Vec<Address> = self.roots.upstream().collect();
        if !upstream.is_empty() {
            self.timers.arm(now.mono + CONTACT_INTERVAL, Timer::Roots);
        }
        for root in upstream {
            self.know_root(now, root);
            // An answer to the keepalive is due every 14 s: where it fails, the path may have become another one.
            let path = self.peers.get(&root).and_then(|peer| peer.best_path(now.mono));
            if path.is_some_and(|path| path.is_alive(now.mono)) {
                continue;
            }
            for remote in self.roots.draw_endpoints(root, &mut self.rng) {
                self.say_hello(now, root, Link { local: None, remote });
            }
        }
    }

    /// Makes a root a peer. The planet vouches for its identity.
    fn know_root(&mut self, now: Now, root: Address) {
        if self.peers.contains_key(&root) {
            return;
        }
        let Some(identity) = self.roots.identity(root).copied() else { return };
        if let Ok(key) = self.secret.agree(&identity) {
            self.insert_peer(now, Peer::new(identity, key, now.mono));
        }
    }

    /// Says whether a path of `peer` may lead over `link`.
    pub(super) fn may_be_path(&self, peer: Address, link: Link) -> bool {
        inet::is_usable_path(link.remote.ip()) && self.roots.allows(peer, link.remote)
    }
}
