//! The node under test with what a server has around it: a clock, a disk, a thread that verifies identities, a controller
//! that answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ctl_bin::vl1::{ConfigRequested, Event, Link, Node, Now};
use rand_chacha::ChaCha20Rng;
use zt_crypto::IdentitySecret;
use zt_proto::world::World;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::identities;
use crate::network::below;
use crate::world::epoch;

/// A request of one node is answered no more often, as the server does it.
const MIN_INTERVAL: u64 = 1_000;
/// A node that asked within this time gets changes pushed.
const ONLINE_FOR: u64 = 120_000;
/// The node gives up on a verification after this time, and may ask for it again.
const VERIFY_FOR: u64 = 60_000;
/// The node remembers for this time which packets it has taken.
const REMEMBERED: u64 = 10_000;

/// What the server does beside the node; it takes a while.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    Verify(PublicIdentity),
    Recall(Address),
    Answer(ConfigRequested),
}

pub(crate) struct Server {
    pub(crate) node: Node,
    secret: Arc<IdentitySecret>,
    planet: World,
    /// Configurations are given out for this network, if at all.
    network: Option<NetworkId>,
    /// What the wall clock is off, in milliseconds.
    pub(crate) clock_error: i64,
    /// How often it was started: what was begun before a restart comes to nothing.
    pub(crate) boot: u32,
    /// Survives a restart: the members' identities.
    disk: BTreeMap<Address, PublicIdentity>,
    verifying: BTreeMap<PublicIdentity, u64>,
    verifier_free_at: u64,
    asked: BTreeMap<Address, u64>,
    /// The requests that came lately.
    requests: BTreeMap<(Address, u64), u64>,
    pub(crate) revision: u64,
    /// Bytes that make the configuration as long as a real one with many rules.
    filling: usize,
}

impl Server {
    pub(crate) fn new(
        secret: Arc<IdentitySecret>,
        planet: World,
        network: Option<NetworkId>,
        filling: usize,
        rng: &mut ChaCha20Rng,
        now: u64,
    ) -> Self {
        let node = Node::new(Arc::clone(&secret), Some(planet.clone()), seed(rng), time(now, 0));
        Self {
            node,
            secret,
            planet,
            network,
            clock_error: 0,
            boot: 0,
            disk: BTreeMap::new(),
            verifying: BTreeMap::new(),
            verifier_free_at: 0,
            asked: BTreeMap::new(),
            requests: BTreeMap::new(),
            revision: 1,
            filling,
        }
    }

    pub(crate) fn now(&self, now: u64) -> Now {
        time(now, self.clock_error)
    }

    pub(crate) fn restart(&mut self, rng: &mut ChaCha20Rng, now: u64) {
        let planet = Some(self.planet.clone());
        self.node = Node::new(Arc::clone(&self.secret), planet, seed(rng), self.now(now));
        self.boot += 1;
        self.verifying.clear();
        self.verifier_free_at = now;
        self.asked.clear();
        self.requests.clear();
    }

    /// Hands a datagram to the node; says whether it took it.
    pub(crate) fn receive(&mut self, now: u64, link: Link, mut datagram: Vec<u8>) -> bool {
        self.node.handle_datagram(self.now(now), link, &mut datagram).is_ok()
    }

    /// When the node wants to be woken, in milliseconds.
    pub(crate) fn due(&self) -> Option<u64> {
        let due = self.node.poll_timeout()?.saturating_duration_since(epoch());
        // Rounded up: a timer is never early.
        Some(u64::try_from(due.as_micros().div_ceil(1000)).expect("a simulation takes hours at the most"))
    }

    /// Takes what the node cannot do by itself; returns when each job will be done.
    ///
    /// # Errors
    /// If an identity is to be verified a second time while it still is the first time, or a request comes a second time
    /// while the node remembers the first.
    pub(crate) fn take_jobs(&mut self, now: u64, rng: &mut ChaCha20Rng) -> Result<Vec<(u64, Job)>, String> {
        let mut jobs = Vec::new();
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::IdentityToVerify(identity) => {
                    let since = self.verifying.insert(identity, now);
                    if since.is_some_and(|since| now - since < VERIFY_FOR) {
                        return Err(format!("{} is verified twice at the same time", identity.address));
                    }
                    self.verifier_free_at = self.verifier_free_at.max(now) + 5 + below(rng, 20);
                    jobs.push((self.verifier_free_at, Job::Verify(identity)));
                }
                // Only nodes that are told to greet do.
                Event::Greeted(_) => {}
                Event::WorldUpdated(planet) => self.planet = *planet,
                Event::ConfigAcknowledged { .. } => {} // it pushes nothing
                Event::ConfigRequested(requested) => {
                    let from = requested.identity.address;
                    self.requests.retain(|_, when| now - *when <= REMEMBERED);
                    if self.requests.insert((from, requested.request.packet), now).is_some() {
                        return Err(format!("a request of {from} is taken twice"));
                    }
                    let is_soon = self.asked.get(&from).is_some_and(|last| now - last <= MIN_INTERVAL);
                    if self.network == Some(requested.network) && !is_soon {
                        self.asked.insert(from, now);
                        jobs.push((now + 1 + below(rng, 30), Job::Answer(requested)));
                    }
                }
            }
        }
        while let Some(address) = self.node.poll_recall() {
            jobs.push((now + 1 + below(rng, 10), Job::Recall(address)));
        }
        Ok(jobs)
    }

    pub(crate) fn finish(&mut self, now: u64, job: Job) {
        let time = self.now(now);
        match job {
            Job::Verify(identity) => {
                self.verifying.remove(&identity);
                match identities::verify(&identity) {
                    Some(verified) => self.node.identity_verified(time, &verified),
                    None => self.node.identity_refused(&identity),
                }
            }
            Job::Recall(address) => {
                if let Some(verified) = self.disk.get(&address).and_then(identities::verify) {
                    self.node.identity_verified(time, &verified);
                }
            }
            Job::Answer(requested) => {
                self.disk.insert(requested.identity.address, requested.identity);
                let chunk = self.configuration(requested.network);
                self.node.reply_config(time, requested.request, &[chunk]);
            }
        }
    }

    /// Puts a later version of the planet onto the disk, from where the node takes it.
    pub(crate) fn roll(&mut self, now: u64, planet: World) {
        self.node.set_planet(self.now(now), Some(planet.clone()));
        self.planet = planet;
    }

    /// Changes the network and tells everybody who asked lately.
    pub(crate) fn change(&mut self, now: u64) {
        let Some(network) = self.network else { return };
        self.revision += 1;
        let chunk = self.configuration(network);
        let time = self.now(now);
        for (member, last) in &self.asked {
            if now - last < ONLINE_FOR {
                self.node.push_config(time, *member, network, std::slice::from_ref(&chunk));
            }
        }
    }

    /// Holds the node's tables to what a world of so many hosts can need.
    pub(crate) fn check_tables(&self, id: usize, hosts: usize) -> Result<(), String> {
        let sizes = self.node.table_sizes();
        for (table, size, bound) in [
            ("identities being verified", sizes.verifying, hosts),
            ("packets of unknown sources", sizes.kept, 4 * hosts),
            // Each host hears of each at least every 5 s, through one address or two.
            ("packets waiting for OK", sizes.awaited, 40 * hosts),
            ("incomplete packets", sizes.incomplete, 32 * hosts),
            // Remembered for 10 s, in each of which a host may have a dozen things to say.
            ("packets taken lately", sizes.duplicates, 120 * hosts),
            ("wanted identities", sizes.wanted, hosts),
            ("packets waiting for an identity", sizes.outgoing, 16 * hosts),
            ("reports of this node's address", sizes.surface, 4 * hosts),
            ("introductions", sizes.introductions, hosts * hosts),
            ("timers", sizes.timers, hosts + 3),
            // By both families.
            ("addresses with paths", sizes.hosts, 2 * hosts),
        ] {
            if size > bound {
                return Err(format!("host {id} has {size} {table} in a world of {hosts} hosts"));
            }
        }
        Ok(())
    }

    /// The network's id, a revision, and noise that no compression makes short.
    fn configuration(&self, network: NetworkId) -> Vec<u8> {
        let mut chunk = network.octets().to_vec();
        chunk.extend_from_slice(&self.revision.to_be_bytes());
        let noise = (0..self.filling as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[2]);
        chunk.extend(noise);
        chunk
    }
}

fn time(now: u64, clock_error: i64) -> Now {
    let wall = (1_700_000_000_000 + now).saturating_add_signed(clock_error);
    Now { mono: epoch() + Duration::from_millis(now), wall: Timestamp(wall) }
}

fn seed(rng: &mut ChaCha20Rng) -> [u8; 32] {
    use rand_core::Rng as _;
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
