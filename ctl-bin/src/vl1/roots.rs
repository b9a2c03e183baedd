//! The planet and the moons, and what they say of this node and of the nodes above it (`vl1.md` §14.3, §15.5).

use std::net::SocketAddr;
use std::time::Duration;

use rand_core::Rng;
use zt_crypto::signature::may_replace;
use zt_proto::verb::ok::OkHello;
use zt_proto::world::{Root, World, WorldVersion};
use zt_proto::{Address, PublicIdentity, inet};

use super::moment::{Moment, Present};
use super::node::Event;
use super::peer::Peer;
use super::strangers::Origin;
use super::timer::Timer;
use super::{Link, Node, Now};

/// How often a root without a working path is greeted.
const CONTACT_INTERVAL: Duration = Duration::from_secs(5);
/// Worlds that are looked at in one answer; each costs the check of a signature.
const MAX_WORLDS: usize = 8;
/// Bytes of worlds in one answer to HELLO: clients before 1.2.6 take packets of 5,680 bytes. No world is longer.
const MAX_UPDATES_LEN: usize = 5_000;

/// The planet, the moons, and this node's place on them.
#[derive(Debug)]
pub(super) struct Roots {
    planet: Option<World>,
    /// Ascending by id.
    moons: Vec<World>,
    own: Address,
    /// When the roots are to be greeted, if that is planned.
    due: Option<Moment>,
}

impl Roots {
    pub(super) fn new(planet: Option<World>, own: &PublicIdentity) -> Self {
        Self { planet, moons: Vec::new(), own: own.address, due: None }
    }

    pub(super) fn planet(&self) -> Option<&World> {
        self.planet.as_ref()
    }

    pub(super) fn moons(&self) -> &[World] {
        &self.moons
    }

    /// Returns, as they are handed out, the planet and the moons of which a peer says that it has an older version
    /// (`vl1.md` §10.2.4): the planet only if it is the peer's, a moon also if the peer has none of it yet. As many as one
    /// packet takes: a peer that has taken these no longer asks for them with its next HELLO.
    pub(super) fn updates_for(&self, planet: Option<WorldVersion>, moons: &[WorldVersion]) -> Vec<u8> {
        let is_behind = |world: &World, known: &WorldVersion| {
            known.id == world.id && known.id != 0 && known.timestamp < world.timestamp
        };
        let planet = self.planet.iter().filter(|world| planet.is_some_and(|known| is_behind(world, &known)));
        let moons = self.moons.iter().filter(|moon| moons.iter().any(|known| is_behind(moon, known)));
        let mut serialized = Vec::new();
        for world in planet.chain(moons) {
            let before = serialized.len();
            world.write(&mut serialized);
            if serialized.len() > MAX_UPDATES_LEN {
                serialized.truncate(before);
            }
        }
        serialized
    }

    /// Takes an update of the planet or of a moon, if it may replace the one that is known; says whether it did.
    fn update(&mut self, candidate: &World) -> bool {
        let known = self.planet.iter_mut().chain(&mut self.moons).find(|known| may_replace(known, candidate));
        if let Some(known) = known {
            known.clone_from(candidate);
            return true;
        }
        false
    }

    fn roots(&self) -> impl Iterator<Item = &Root> {
        self.planet.iter().chain(&self.moons).flat_map(|world| &world.roots)
    }

    /// Says whether this node is one of the roots, of the planet or of a moon.
    pub(super) fn is_root(&self) -> bool {
        self.contains(self.own)
    }

    /// Says whether a node is a root, of the planet or of a moon.
    pub(super) fn contains(&self, address: Address) -> bool {
        self.identity(address).is_some()
    }

    /// Says whether a node is a root of the planet.
    pub(super) fn is_of_planet(&self, address: Address) -> bool {
        let mut roots = self.planet.iter().flat_map(|planet| &planet.roots);
        roots.any(|root| root.identity.address == address)
    }

    /// Returns the identity of a root.
    pub(super) fn identity(&self, address: Address) -> Option<&PublicIdentity> {
        self.roots().map(|root| &root.identity).find(|identity| identity.address == address)
    }

    /// Returns the other roots, each once, the planet's first and in its order.
    pub(super) fn upstream(&self) -> impl Iterator<Item = Address> {
        let addresses = || self.roots().map(|root| root.identity.address);
        let is_first = move |n, address| !addresses().take(n).any(|earlier| earlier == address);
        let upstream = addresses().enumerate().filter(|(_, address)| *address != self.own);
        upstream.filter(move |(n, address)| is_first(*n, *address)).map(|(_, address)| address)
    }

    /// Says whether packets of a root may come from this address: one that a world names (`vl1.md` §13.5).
    pub(super) fn allows(&self, peer: Address, from: SocketAddr) -> bool {
        let endpoints = || self.endpoints(peer);
        endpoints().next().is_none() || endpoints().any(|endpoint| endpoint.ip() == from.ip())
    }

    fn endpoints(&self, root: Address) -> impl Iterator<Item = &SocketAddr> {
        self.roots().filter(move |known| known.identity.address == root).flat_map(|root| &root.endpoints)
    }

    /// Draws one endpoint of each family of a root.
    fn draw_endpoints(&self, root: Address, rng: &mut impl Rng) -> Vec<SocketAddr> {
        let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) =
            self.endpoints(root).partition(|endpoint| endpoint.is_ipv4());
        let mut draw = |from: Vec<SocketAddr>| {
            let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
            from.get(usize::try_from(rng.next_u64() % count).ok()?).copied()
        };
        [draw(v4), draw(v6)].into_iter().flatten().collect()
    }
}

impl Node {
    /// Puts another planet in the place of the one that is known, from a source that is trusted.
    pub fn set_planet(&mut self, now: Now, planet: Option<World>) {
        let now = self.start.present(now);
        self.roots.planet = planet;
        self.worlds_changed(now);
    }

    /// Puts other moons in the place of those that are known, from a source that is trusted.
    pub fn set_moons(&mut self, now: Now, mut moons: Vec<World>) {
        let now = self.start.present(now);
        moons.sort_by_key(|moon| moon.id);
        self.roots.moons = moons;
        self.worlds_changed(now);
    }

    /// Takes what a root says about worlds: later versions, signed by the keys that the known ones name.
    pub(super) fn on_world_data(&mut self, now: Present, from: Address, answer: &OkHello<'_>) {
        if answer.world_data.is_empty() || !self.roots.contains(from) {
            return;
        }
        for world in answer.worlds().map_while(Result::ok).take(MAX_WORLDS) {
            if self.roots.update(&world) {
                self.worlds_changed(now);
                self.emit(Event::WorldUpdated(Box::new(world)));
            }
        }
    }

    fn worlds_changed(&mut self, now: Present) {
        self.count_hosts();
        self.plan_contact(now.mono);
    }

    /// Has the roots greeted at a time; one plan replaces the other.
    pub(super) fn plan_contact(&mut self, when: Moment) {
        if let Some(due) = self.roots.due.replace(when) {
            self.timers.disarm(due, Timer::Roots);
        }
        self.timers.arm(when, Timer::Roots);
    }

    /// Says HELLO to each root above this node to which no path works.
    pub(super) fn contact_roots(&mut self, now: Present) {
        self.roots.due = None;
        let upstream: Vec<Address> = self.roots.upstream().collect();
        if !upstream.is_empty() {
            self.plan_contact(now.mono + CONTACT_INTERVAL);
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
    fn know_root(&mut self, now: Present, root: Address) {
        if self.peers.contains_key(&root) {
            return;
        }
        let Some(identity) = self.roots.identity(root).copied() else { return };
        if let Ok(key) = self.secret.agree(&identity) {
            self.insert_peer(now, Peer::new(identity, key, now.mono));
        }
    }

    /// Returns whose allowance a packet of somebody unknown takes from. All who come through a root have the address of the
    /// root, which is that of its endpoints, or of its paths if no world names any.
    pub(super) fn origin_of(&self, link: Link) -> Origin {
        let ip = link.remote.ip();
        let has_path = |root: &Root| {
            let peer = self.peers.get(&root.identity.address);
            peer.is_some_and(|peer| peer.paths.iter().any(|path| path.link().remote.ip() == ip))
        };
        let is_at = |root: &Root| match root.endpoints.as_slice() {
            [] => has_path(root),
            endpoints => endpoints.iter().any(|endpoint| endpoint.ip() == ip),
        };
        let mut above = self.roots.roots().filter(|root| root.identity.address != self.address());
        if above.any(is_at) { Origin::Root } else { Origin::Network(ip) }
    }

    /// Says whether a path of `peer` may lead over `link`.
    pub(super) fn may_be_path(&self, peer: Address, link: Link) -> bool {
        inet::is_usable_path(link.remote.ip()) && self.roots.allows(peer, link.remote)
    }
}
