//! A world of nodes, from one seed: who is in it, what happens to it, and what must hold all the time.

mod faults;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use ctl_bin::vl1::Link;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::WorldKey;
use zt_proto::credential::Signature;
use zt_proto::packet::PacketHeader;
use zt_proto::world::{Root, World as Planet, WorldKind};
use zt_proto::{NetworkId, Timestamp};

use self::faults::Fault;
use crate::client::{Client, Release};
use crate::identities;
use crate::network::{HostId, NatKind, Network, Weather, below, happens};
use crate::server::{Job, Server};

/// Where virtual time begins.
pub(crate) fn epoch() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise; only differences matter"
    )]
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    *EPOCH
}

/// A node sends nothing to an address that has been nobody's for this long, in milliseconds: a path expires after 243 s
/// without a sign of life, and the last one may have been under way for 12 s.
const STALE_AFTER: u64 = (243 + 12) * 1_000;
/// A member gets its first configuration within this time, in spite of losses: four exchanges (HELLO, WHOIS, the request,
/// and one more round where a new root gets to know it) that are repeated every 5 s at the latest, one of which fails one
/// time in two when 8 of 100 datagrams are lost on each of its four to six ways.
pub(crate) const FIRST_WITHIN: u64 = 120_000;
/// Once nothing disturbs it, every member has the newest configuration within this time: 243 s until a dead path to root
/// or controller is given up, 60 s until a configured member asks again, and a minute for HELLO, WHOIS and answers.
pub(crate) const SETTLED_WITHIN: u64 = (243 + 60 + 60) * 1_000;
/// The node waits 30 s for an OK; what comes later means nothing.
const LATE: u64 = 31_000;
/// Datagrams of one host in a minute, for each other host. Keeping a path alive takes 5 or 6, a WHOIS every 5 s 12.
const MAX_PER_MINUTE: u64 = 60;
/// How often the tables are looked at.
const INSPECTION: u64 = 10_000;

enum Host {
    Server(Box<Server>),
    Member(Box<Client>),
    /// Records datagrams and sends them again as its own. Whatever is sent to it is gone.
    Replayer,
}

/// What becomes of a datagram beyond being delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    No,
    /// An OK that comes again, long after it was awaited.
    LateOk,
}

enum Happening {
    Deliver { to: HostId, from: SocketAddr, bytes: Vec<u8>, copy: Copy },
    Wake(HostId),
    Done(HostId, u32, Job),
    Fault(Fault),
    Inspect,
}

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) members: u64,
    pub(crate) faults: u64,
}

/// What a simulation ends with when something does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(String);

pub(crate) struct World {
    rng: ChaCha20Rng,
    now: u64,
    network: Network,
    weather: Weather,
    hosts: Vec<Host>,
    is_up: Vec<bool>,
    sent: Vec<u64>,
    nats: usize,
    roots: usize,
    controller: HostId,
    members: Vec<HostId>,
    /// Roots have IPv6 as well, and most of the others.
    is_dual: bool,
    replayer: HostId,
    /// The latest version, and the key that signs the next.
    planet: Planet,
    planet_key: WorldKey,
    queue: BTreeMap<(u64, u64), Happening>,
    next_number: u64,
    /// The wake-up that is in the queue for each host.
    wake_at: Vec<Option<u64>>,
    quiet_since: Option<u64>,
    trace: DefaultHasher,
    pub(crate) datagrams: u64,
}

impl World {
    /// Draws a world.
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut network = Network::default();
        let roots = 1 + usize::try_from(below(&mut rng, 3)).unwrap();
        let is_root_controller = happens(&mut rng, 400);
        let nats = usize::try_from(below(&mut rng, 4)).unwrap();
        let is_dual = happens(&mut rng, 400);
        for _ in 0..nats {
            let kind = [NatKind::FullCone, NatKind::PortRestrictedCone, NatKind::Symmetric];
            let kind = kind[usize::try_from(below(&mut rng, 3)).unwrap()];
            network.add_nat(kind, 30_000 + below(&mut rng, 150_000));
        }
        let members = size.members / 2 + below(&mut rng, size.members / 2 + 1);
        // Which identities take part, and so all their keys, depends on the seed.
        let mut next = usize::try_from(below(&mut rng, 16)).unwrap();
        let mut draw = || {
            next = (next + 1) % identities::count();
            identities::secret(next)
        };
        let mut root_secrets = Vec::new();
        let planet_key = WorldKey::generate(&mut rng);
        let mut planet = Planet {
            kind: WorldKind::Planet,
            id: 42,
            timestamp: Timestamp(1),
            update_key: *planet_key.public(),
            signature: Signature::NONE,
            roots: Vec::new(),
        };
        for _ in 0..roots {
            let (secret, host) = (draw(), network.add_host(None));
            let v6 = is_dual.then(|| network.add_v6(host));
            let endpoints = [network.inside(host)].into_iter().chain(v6).collect();
            planet.roots.push(Root { identity: *secret.public(), endpoints });
            root_secrets.push(secret);
        }
        let controller_secret = if is_root_controller { Arc::clone(&root_secrets[0]) } else { draw() };
        let network_id = NetworkId(controller_secret.address().to_u64() << 24 | 1);
        let filling = [0, 500, 3_000, 8_000][usize::try_from(below(&mut rng, 4)).unwrap()];
        let mut hosts: Vec<Host> = Vec::new();
        for (n, secret) in root_secrets.into_iter().enumerate() {
            let serves = (is_root_controller && n == 0).then_some(network_id);
            let server = Server::new(secret, planet.clone(), serves, filling, &mut rng, 0);
            hosts.push(Host::Server(Box::new(server)));
        }
        let nat_of = |rng: &mut ChaCha20Rng, thousandths| {
            (nats > 0 && happens(rng, thousandths)).then(|| usize::try_from(below(rng, nats as u64)).unwrap())
        };
        let controller = if is_root_controller {
            0
        } else {
            let server =
                Server::new(controller_secret, planet.clone(), Some(network_id), filling, &mut rng, 0);
            hosts.push(Host::Server(Box::new(server)));
            let host = network.add_host(nat_of(&mut rng, 400));
            if is_dual && happens(&mut rng, 700) {
                network.add_v6(host);
            }
            host
        };
        let mut member_hosts = Vec::new();
        for _ in 0..members.max(1) {
            let release = if happens(&mut rng, 500) { Release::Old } else { Release::New };
            let client = Client::new(draw(), planet.clone(), network_id, release, rng.next_u64(), 0);
            hosts.push(Host::Member(Box::new(client)));
            let host = network.add_host(nat_of(&mut rng, 700));
            if is_dual && happens(&mut rng, 700) {
                network.add_v6(host);
            }
            member_hosts.push(host);
        }
        let replayer = network.add_host(None);
        hosts.push(Host::Replayer);
        let count = hosts.len();
        let lost = u32::try_from(below(&mut rng, 80)).unwrap();
        let doubled = u32::try_from(below(&mut rng, 50)).unwrap();
        let weather = Weather { lost, doubled, jitter: 1 + below(&mut rng, 200) };
        let mut world = Self {
            rng,
            now: 0,
            network,
            weather,
            hosts,
            is_up: vec![true; count],
            sent: vec![0; count],
            nats,
            roots,
            controller,
            members: member_hosts,
            is_dual,
            replayer,
            planet,
            planet_key,
            queue: BTreeMap::new(),
            next_number: 0,
            wake_at: vec![None; count],
            quiet_since: None,
            trace: DefaultHasher::new(),
            datagrams: 0,
        };
        world.plan(size.faults);
        for host in 0..count {
            world.wake(host);
        }
        world
    }

    fn at(&mut self, when: u64, happening: Happening) {
        self.next_number += 1;
        self.queue.insert((when, self.next_number), happening);
    }

    /// Runs the world to its end: until everybody is settled, and in some worlds for as long again as any path lives.
    ///
    /// # Errors
    /// The first property that does not hold.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        let stays = if happens(&mut self.rng, 150) { STALE_AFTER + 100_000 } else { 0 };
        let mut first_checked = false;
        let mut end = None;
        while let Some(((when, _), happening)) = self.queue.pop_first() {
            if when > FIRST_WITHIN && !first_checked {
                first_checked = true;
                self.all_have(1, "first")?;
            }
            if end.is_some_and(|end| when > end) {
                return Ok(());
            }
            self.now = when;
            let is_inspection = matches!(happening, Happening::Inspect);
            self.happen(happening)?;
            if let Some(since) = self.quiet_since
                && end.is_none()
            {
                let revision = self.controller_server().revision;
                let settled = self.all_have(revision, "newest").and_then(|()| self.all_on_planet());
                if is_inspection && settled.is_ok() {
                    end = Some(when + stays);
                } else if when > since + SETTLED_WITHIN {
                    settled?;
                }
            }
        }
        Err(Violation("nothing happens any more".to_owned()))
    }

    /// What was sent when and where, in one number.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Virtual time, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{} roots, controller {} at {}, {} members, {} NATs, dual stack {}, {:?}",
            self.roots,
            self.controller,
            self.network.inside(self.controller),
            self.members.len(),
            self.nats,
            self.is_dual,
            self.weather
        )
    }

    fn controller_server(&self) -> &Server {
        match &self.hosts[self.controller] {
            Host::Server(server) => server,
            Host::Member(_) | Host::Replayer => panic!("the controller is a server"),
        }
    }

    fn all_have(&self, revision: u64, which: &str) -> Result<(), Violation> {
        for host in &self.members {
            if let Host::Member(client) = &self.hosts[*host]
                && self.is_up[*host]
                && client.revision < Some(revision)
            {
                let has = client.revision;
                return Err(Violation(format!(
                    "member {host} has {has:?}, not the {which} configuration ({revision}), after {} s",
                    (self.now - self.quiet_since.unwrap_or(0)) / 1_000
                )));
            }
        }
        Ok(())
    }

    /// All servers have the latest version of the planet.
    fn all_on_planet(&self) -> Result<(), Violation> {
        let latest = self.planet.timestamp;
        for (id, host) in self.hosts.iter().enumerate() {
            if let Host::Server(server) = host
                && let Some(has) = server.node.planet().map(|planet| planet.timestamp)
                && has != latest
            {
                return Err(Violation(format!("host {id} has planet {}, not {}", has.0, latest.0)));
            }
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Deliver { to, from, bytes, copy } => self.deliver(to, from, bytes, copy),
            Happening::Wake(host) => {
                self.wake_at[host] = None;
                let now = self.now;
                if self.is_up[host] {
                    match &mut self.hosts[host] {
                        Host::Server(server) => server.node.handle_timeout(server.now(now)),
                        Host::Member(client) if client.due() <= now => client.tick(now),
                        Host::Member(_) | Host::Replayer => {}
                    }
                }
                self.settle(host)
            }
            Happening::Done(host, boot, job) => {
                let now = self.now;
                if let Host::Server(server) = &mut self.hosts[host]
                    && server.boot == boot
                    && self.is_up[host]
                {
                    server.finish(now, job);
                }
                self.settle(host)
            }
            Happening::Fault(fault) => self.befall(fault),
            Happening::Inspect => {
                self.at(self.now + INSPECTION, Happening::Inspect);
                self.inspect()
            }
        }
    }

    fn deliver(&mut self, to: HostId, from: SocketAddr, bytes: Vec<u8>, copy: Copy) -> Result<(), Violation> {
        if !self.is_up[to] {
            return Ok(());
        }
        let now = self.now;
        let link = Link { local: Some(self.network.local(to, from)), remote: from };
        match &mut self.hosts[to] {
            Host::Server(server) => {
                let was_taken = server.receive(now, link, bytes);
                if was_taken && copy == Copy::LateOk {
                    return Err(Violation(format!(
                        "host {to} believes an OK that was repeated after {LATE} ms"
                    )));
                }
            }
            Host::Member(client) => client.receive(now, from, bytes),
            Host::Replayer => {}
        }
        self.settle(to)
    }

    /// Takes everything that a host wants after an input.
    fn settle(&mut self, host: HostId) -> Result<(), Violation> {
        let now = self.now;
        if !self.is_up[host] {
            return Ok(());
        }
        let mut outgoing = Vec::new();
        match &mut self.hosts[host] {
            Host::Server(server) => {
                while let Some(transmit) = server.node.poll_transmit() {
                    outgoing.push((transmit.link.remote, transmit.bytes, false));
                }
                let boot = server.boot;
                for (when, job) in server.take_jobs(now, &mut self.rng).map_err(Violation)? {
                    self.at(when, Happening::Done(host, boot, job));
                }
                for (remote, ..) in &outgoing {
                    self.check_destination(host, *remote)?;
                }
            }
            Host::Member(client) => {
                outgoing
                    .extend(client.take_outgoing().into_iter().map(|sent| (sent.to, sent.bytes, sent.is_ok)));
            }
            Host::Replayer => {}
        }
        for (remote, bytes, is_ok) in outgoing {
            self.send(host, remote, bytes, is_ok);
        }
        self.wake(host);
        Ok(())
    }

    /// No stale path is used for ever, and nothing goes where nobody ever was.
    fn check_destination(&mut self, host: HostId, remote: SocketAddr) -> Result<(), Violation> {
        if !self.network.ever_was(remote) {
            return Err(Violation(format!("host {host} sends to {remote}, where nobody ever was")));
        }
        match self.network.dead_since(self.now, remote) {
            Some(since) if self.now > since + STALE_AFTER => Err(Violation(format!(
                "host {host} still sends to {remote}, where nobody is since {} s",
                (self.now - since) / 1_000
            ))),
            _ => Ok(()),
        }
    }

    fn send(&mut self, host: HostId, remote: SocketAddr, bytes: Vec<u8>, is_ok: bool) {
        self.datagrams += 1;
        self.sent[host] += 1;
        (self.now, host, remote, bytes.len()).hash(&mut self.trace);
        let Some((from, to)) = self.network.send(self.now, host, remote) else { return };
        let weather = self.weather;
        if happens(&mut self.rng, weather.lost) {
            return;
        }
        let copies = if happens(&mut self.rng, weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let when = self.now + 5 + below(&mut self.rng, weather.jitter);
            self.at(when, Happening::Deliver { to, from, bytes: bytes.clone(), copy: Copy::No });
        }
        if is_ok && happens(&mut self.rng, 50) && self.is_addressed(&bytes, to) {
            let when = self.now + LATE + weather.jitter + below(&mut self.rng, 60_000);
            self.at(when, Happening::Deliver { to, from, bytes: bytes.clone(), copy: Copy::LateOk });
        }
        if happens(&mut self.rng, 30) {
            let from = self.network.inside(self.replayer);
            let when = self.now + 1 + below(&mut self.rng, 40_000);
            self.at(when, Happening::Deliver { to, from, bytes, copy: Copy::No });
        }
    }

    /// Says whether a datagram is for the host that it is sent to, rather than to be relayed by it.
    fn is_addressed(&self, bytes: &[u8], to: HostId) -> bool {
        match &self.hosts[to] {
            Host::Server(server) => {
                PacketHeader::parse(bytes).is_ok_and(|header| header.destination == server.node.address())
            }
            Host::Member(_) | Host::Replayer => false,
        }
    }

    /// Sees that a host is woken when it wants to be.
    fn wake(&mut self, host: HostId) {
        let due = match &self.hosts[host] {
            Host::Server(server) => server.due(),
            Host::Member(client) => Some(client.due()),
            Host::Replayer => None,
        };
        let Some(due) = due.map(|due| due.max(self.now)) else { return };
        if self.wake_at[host].is_none_or(|planned| planned > due) {
            self.wake_at[host] = Some(due);
            self.at(due, Happening::Wake(host));
        }
    }

    /// Looks at all tables: nothing in them that is not in the world, and nothing without end.
    fn inspect(&mut self) -> Result<(), Violation> {
        let replayer = self.network.inside(self.replayer);
        let others = self.hosts.len() as u64;
        for (id, host) in self.hosts.iter().enumerate() {
            let paths: Vec<SocketAddr> = match host {
                Host::Server(server) => {
                    let peers = server.node.peers(server.now(self.now));
                    if peers.len() + 2 > self.hosts.len() {
                        return Err(Violation(format!(
                            "host {id} has {} peers in a world of {others}",
                            peers.len()
                        )));
                    }
                    if let Some(peer) = peers.iter().find(|peer| peer.paths.len() > 16) {
                        return Err(Violation(format!(
                            "host {id} has {} paths to one peer",
                            peer.paths.len()
                        )));
                    }
                    server.check_tables(id, self.hosts.len()).map_err(Violation)?;
                    peers.iter().flat_map(|peer| &peer.paths).map(|path| path.remote).collect()
                }
                Host::Member(client) => client.path_addresses().collect(),
                Host::Replayer => Vec::new(),
            };
            if paths.contains(&replayer) {
                return Err(Violation(format!("host {id} believes that {replayer} is the way to somebody")));
            }
            let sent = std::mem::take(&mut self.sent[id]);
            if sent > MAX_PER_MINUTE * others * INSPECTION / 60_000 + 200 {
                return Err(Violation(format!("host {id} sent {sent} datagrams in {INSPECTION} ms")));
            }
        }
        Ok(())
    }
}
