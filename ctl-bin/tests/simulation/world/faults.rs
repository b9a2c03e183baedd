//! What happens to a world, and when.

use rand_core::Rng;

use super::{FIRST_WITHIN, Happening, Host, INSPECTION, Violation, World};
use crate::network::{HostId, Weather, below, happens};

/// What happens to a world.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// A host is gone, and comes back without its memory.
    Down(HostId),
    Up(HostId),
    /// Hosts are cut off from all others, or joined with them again.
    Cut(Vec<HostId>, bool),
    /// Two hosts cannot hear each other directly.
    CutPair(HostId, HostId, bool),
    RestartNat(usize),
    /// A host loses its IPv6, or gets it back, and nobody is told.
    NoV6(HostId, bool),
    ClockJump(HostId, i64),
    /// The controller has something new for its members.
    Change,
    /// A root gets a later version of the planet from its administrator.
    Roll,
    /// No more losses, and one last change.
    Quiet,
}

impl World {
    /// Draws what will happen: faults from [`FIRST_WITHIN`] on, and a quiet end.
    pub(super) fn plan(&mut self, faults: u64) {
        self.at(INSPECTION, Happening::Inspect);
        let mut when = FIRST_WITHIN + 1;
        for _ in 0..below(&mut self.rng, faults + 1) {
            when += below(&mut self.rng, 60_000);
            let longest = if happens(&mut self.rng, 300) { 400_000 } else { 30_000 };
            let lasts = 1_000 + below(&mut self.rng, longest);
            let member = self.pick_member();
            let server = self.pick_server();
            let is_member = happens(&mut self.rng, 400);
            let either = if is_member { member } else { server };
            let (begin, end) = match below(&mut self.rng, 9) {
                0 | 1 => (Fault::Down(either), Some(Fault::Up(either))),
                2 => {
                    let group: Vec<_> =
                        self.members.clone().into_iter().filter(|_| happens(&mut self.rng, 500)).collect();
                    (Fault::Cut(group.clone(), true), Some(Fault::Cut(group, false)))
                }
                3 => (Fault::Cut(vec![server], true), Some(Fault::Cut(vec![server], false))),
                4 if self.controller >= self.roots => {
                    let (a, b) = (member, self.controller);
                    (Fault::CutPair(a, b, true), Some(Fault::CutPair(a, b, false)))
                }
                5 if self.nats > 0 => {
                    let nat = usize::try_from(below(&mut self.rng, self.nats as u64)).unwrap();
                    (Fault::RestartNat(nat), None)
                }
                6 => {
                    let by = i64::try_from(below(&mut self.rng, 200_000_000)).unwrap() - 100_000_000;
                    (Fault::ClockJump(server, by), None)
                }
                7 => (Fault::Roll, None),
                8 if self.is_dual => (Fault::NoV6(either, true), Some(Fault::NoV6(either, false))),
                _ => (Fault::Change, None),
            };
            self.at(when, Happening::Fault(begin));
            if let Some(end) = end {
                self.at(when + lasts, Happening::Fault(end));
                if happens(&mut self.rng, 700) {
                    when += lasts;
                }
            }
        }
        let last = self.queue.keys().next_back().map_or(0, |(when, _)| *when);
        self.at(last.max(FIRST_WITHIN) + 1_000, Happening::Fault(Fault::Quiet));
    }

    fn pick_member(&mut self) -> HostId {
        let n = below(&mut self.rng, self.members.len() as u64);
        self.members[usize::try_from(n).unwrap()]
    }

    fn pick_server(&mut self) -> HostId {
        usize::try_from(below(&mut self.rng, (self.roots.max(self.controller + 1)) as u64)).unwrap()
    }

    pub(super) fn befall(&mut self, fault: Fault) -> Result<(), Violation> {
        let now = self.now;
        match fault {
            Fault::Down(host) => self.is_up[host] = false,
            Fault::Up(host) if self.is_up[host] => {}
            Fault::Up(host) => {
                self.is_up[host] = true;
                let seed = self.rng.next_u64();
                match &mut self.hosts[host] {
                    Host::Server(server) => server.restart(&mut self.rng, now),
                    Host::Member(client) => client.restart(seed, now),
                    Host::Replayer => {}
                }
                return self.settle(host);
            }
            Fault::Cut(group, is_cut) => {
                for member in &group {
                    for other in (0..self.hosts.len()).filter(|other| !group.contains(other)) {
                        self.network.set_cut(*member, other, is_cut);
                    }
                }
            }
            Fault::CutPair(a, b, is_cut) => self.network.set_cut(a, b, is_cut),
            Fault::RestartNat(nat) => self.network.restart_nat(nat, now),
            Fault::ClockJump(host, by) => {
                if let Host::Server(server) = &mut self.hosts[host] {
                    server.clock_error += by;
                }
            }
            Fault::Roll => {
                let planet = &mut self.planet;
                planet.timestamp = planet.timestamp.plus_millis(1);
                self.planet_key.sign_world(planet);
                if let Host::Server(root) = &mut self.hosts[0] {
                    root.roll(now, planet.clone());
                }
                return self.settle(0);
            }
            Fault::NoV6(host, is_down) => self.network.set_v6_down(host, is_down),
            Fault::Change => return self.change(),
            Fault::Quiet => {
                self.weather = Weather::QUIET;
                self.quiet_since = Some(now);
                return self.change();
            }
        }
        Ok(())
    }

    fn change(&mut self) -> Result<(), Violation> {
        let now = self.now;
        if let Host::Server(server) = &mut self.hosts[self.controller] {
            server.change(now);
        }
        self.settle(self.controller)
    }
}
