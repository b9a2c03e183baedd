//! What happens when nothing happens: paths are kept alive, peers are forgotten (`vl1.md` §13.2, §13.6).

use std::net::SocketAddr;
use std::time::Duration;

use zt_proto::Address;
use zt_proto::inet::Scope;
use zt_proto::verb::Verb;

use super::moment::{Moment, Present};
use super::path::{PROBE_AFTER, Path};
use super::peer::{FORGET_AFTER, Peer};
use super::timer::Timer;
use super::{Link, Node};

/// HELLO on all paths of an active peer.
const HELLO_INTERVAL: Duration = Duration::from_secs(60);
/// Time between the peers whose paths have to prove anew that they work.
const PROOF_PACE: Duration = Duration::from_micros(500);
/// A peer with several addresses answers from all of them within this time.
const TURNED_UP: Duration = Duration::from_secs(1);
/// A peer is looked at no more often.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Of the peers whose paths are kept alive, about so many are looked at together, for which each waits [`LONGEST_WAIT`] at most:
/// the loop wakes once for all of them, and once for what they answer.
const TOGETHER: u32 = 16;
const LONGEST_WAIT: Duration = Duration::from_millis(250);

impl Node {
    /// Takes up a new peer and arms its timer.
    pub(super) fn insert_peer(&mut self, now: Present, peer: Peer) {
        let address = peer.address();
        self.peers.insert(peer);
        self.peer_order.insert(address);
        self.arm_peer(now.mono + FORGET_AFTER, address);
    }

    /// Takes up a path that has proven to work.
    pub(super) fn learn_path(&mut self, now: Present, address: Address, link: Link) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let replaced = peer.learn(link, now.mono);
        self.hosts.add(link.remote.ip());
        if let Some(replaced) = replaced {
            self.hosts.remove(replaced.remote.ip());
        }
        // A peer that turns up elsewhere may have moved: ways that it did not just use are to be proven anew, or
        // everything would go to where it was for as long as they count as alive.
        let is_in_doubt = |path: &&mut Path| {
            path.link() != link && path.silence(now.mono) >= TURNED_UP && !path.is_expired(now.mono)
        };
        let doubted: Vec<_> = peer.paths.iter_mut().filter(is_in_doubt).map(Path::doubt).collect();
        for link in doubted {
            self.contact(now, address, link);
        }
        self.keep_alive_from(now, address);
        self.flush_outbox(now, address);
    }

    /// Sees that a peer whose paths are kept alive is looked at in time.
    fn keep_alive_from(&mut self, now: Present, address: Address) {
        let Some(peer) = self.peers.get(&address) else { return };
        let due = now.mono + PROBE_AFTER;
        if peer.due > due && (peer.is_active(now.mono) || self.roots.contains(address)) {
            self.arm_peer(due, address);
        }
    }

    /// Has a path of a peer prove that it works, and sees that it is asked again if that is lost.
    pub(super) fn prove(&mut self, now: Present, address: Address, link: Link) {
        self.contact(now, address, link);
        let next = self.next_check(now.mono, address);
        if self.peers.get(&address).is_some_and(|peer| peer.due > next) {
            self.arm_peer(next, address);
        }
    }

    fn arm_peer(&mut self, when: Moment, address: Address) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        self.timers.disarm(peer.due, Timer::of_peer(address));
        peer.due = when;
        self.timers.arm(when, Timer::of_peer(address));
    }

    /// Notes that a peer does something that makes its paths worth keeping.
    pub(super) fn note_nontrivial(&mut self, now: Present, address: Address) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        peer.last_nontrivial = Some(now.mono);
        self.count_kept_alive(address, true);
        self.keep_alive_from(now, address);
    }

    /// Counts a peer among those whose paths are kept alive, or no more.
    fn count_kept_alive(&mut self, address: Address, is_kept_alive: bool) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let was_kept_alive = std::mem::replace(&mut peer.is_kept_alive, is_kept_alive);
        self.kept_alive = self.kept_alive - u32::from(was_kept_alive) + u32::from(is_kept_alive);
    }

    /// Does for one peer what is due, and arms its timer again.
    pub(super) fn check_peer(&mut self, now: Present, address: Address) {
        let is_root = self.roots.contains(address);
        let Some(peer) = self.peers.get_mut(&address) else { return };
        if peer.is_gone(now.mono) && !is_root {
            self.forget_peer(address);
            return;
        }
        peer.tidy(now.mono);
        for link in peer.expire_paths(now.mono) {
            self.hosts.remove(link.remote.ip());
        }
        let is_kept_alive = is_root || peer.is_active(now.mono);
        self.count_kept_alive(address, is_kept_alive);
        if is_kept_alive {
            self.keep_paths_alive(now, address);
        }
        let together = (PROBE_AFTER * TOGETHER / self.kept_alive.max(1)).min(LONGEST_WAIT);
        let next = self.next_check(now.mono, address).round_up(together);
        self.arm_peer(next, address);
    }

    fn keep_paths_alive(&mut self, now: Present, address: Address) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let since = |when: Moment| now.mono.saturating_duration_since(when);
        if peer.last_hello_round.is_none_or(|last| since(last) >= HELLO_INTERVAL) {
            peer.last_hello_round = Some(now.mono);
            let links: Vec<_> = peer.living_paths(now.mono).map(|path| path.link()).collect();
            for link in links {
                self.say_hello(now, address, link);
            }
            return;
        }
        let idle = peer.living_paths(now.mono).filter(|path| path.probe_at(now.mono) <= now.mono);
        let links: Vec<_> = idle.map(|path| path.link()).collect();
        for link in links {
            self.contact(now, address, link);
        }
    }

    /// Sends the cheapest packet that a peer answers: ECHO, or HELLO where ECHO does not work.
    pub(super) fn contact(&mut self, now: Present, address: Address, link: Link) {
        let Some(peer) = self.peers.get(&address) else { return };
        let echoes = peer.version.is_some_and(|version| {
            version.protocol >= 5 && (version.major, version.minor, version.revision) != (1, 1, 0)
        });
        if echoes {
            let suite = peer.suite();
            let packet = self.build(address, Verb::ECHO, &[]);
            self.seal_in_suite(now, address, link, packet, suite);
        } else {
            self.say_hello(now, address, link);
        }
    }

    fn next_check(&self, now: Moment, address: Address) -> Moment {
        let Some(peer) = self.peers.get(&address) else { return now };
        let is_root = self.roots.contains(address);
        let forget = peer.last_receive + FORGET_AFTER + MIN_INTERVAL;
        // A root is never forgotten; one without paths is greeted by the timer of all roots.
        let mut next = if is_root { now + FORGET_AFTER } else { forget };
        if is_root || peer.is_active(now) {
            let echo = peer.living_paths(now).map(|path| path.probe_at(now)).min();
            let hello = peer.last_hello_round.map(|last| last + HELLO_INTERVAL).filter(|_| echo.is_some());
            next = [echo, hello].into_iter().flatten().min().map_or(next, |due| due.min(next));
        }
        next.max(now + MIN_INTERVAL)
    }

    /// Notes how a peer sees this node. When a root sees another IP address than before, this machine's way to the world
    /// has changed, and paths of that reach have to prove anew that they work.
    pub(super) fn note_surface(
        &mut self,
        now: Present,
        from: Address,
        link: Link,
        seen_as: Option<SocketAddr>,
    ) {
        let Some(seen_as) = seen_as else { return };
        let is_root = self.roots.contains(from);
        if !self.surface.note(from, link, seen_as, is_root, now.mono) {
            return;
        }
        tracing::info!(root = %from, "the address of this node has changed");
        let reach = |remote: SocketAddr| (Scope::of(remote.ip()), remote.is_ipv4());
        let roots = &self.roots;
        let doubt = |peer: &mut Peer| {
            let affected = peer.paths.iter_mut().filter(|path| reach(path.link().remote) == reach(seen_as));
            // The one over which the news came works.
            let count = affected.filter(|path| path.link() != link).map(Path::doubt).count();
            let is_kept_alive = peer.is_active(now.mono) || roots.contains(peer.address());
            (count > 0 && is_kept_alive).then_some(peer.address())
        };
        let mut doubted: Vec<_> = self.peers.values_mut().filter_map(doubt).collect();
        doubted.sort_unstable();
        for (n, address) in (0_u32..).zip(doubted) {
            self.arm_peer(now.mono + n * PROOF_PACE, address);
        }
    }

    fn forget_peer(&mut self, address: Address) {
        self.count_kept_alive(address, false);
        let Some(peer) = self.peers.remove(&address) else { return };
        self.peer_order.remove(&address);
        self.timers.disarm(peer.due, Timer::of_peer(address));
        for path in peer.paths.iter() {
            self.hosts.remove(path.link().remote.ip());
        }
    }
}
