//! Taking over: after a start, above all at another address than before, the controller speaks first to the members that it
//! knows. A controller that waits to be found is followed by its members after minutes only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ctl_store::{Client, Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info};
use zt_crypto::VerifiedIdentity;
use zt_proto::verb::network_config_request::{RequestMetadata, SoftwareVersion};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use super::clock;
use super::controller::Controller;
use super::udp::Command;
use crate::vl1::Now;

/// Members that were not heard for longer are not spoken to: somebody else may have their address by now.
const HEARD_WITHIN_MILLIS: u64 = 7 * 24 * 3600 * 1000;
/// Members that are spoken to: the last that were heard. Those beyond come by themselves.
pub(super) const MAX_GREETED: usize = 100_000;
/// How many are spoken to at once, and how long until the next: 2,000 a second, so that 10,000 are reached within 5 s, for
/// about a fifth of a core.
const BATCH: usize = 20;
const PACE: Duration = Duration::from_millis(10);
/// When each round begins, after the start. By the first a root has had time to answer, so that there is a way to members
/// behind a NAT; the others are for those whose answer was lost.
const ROUNDS: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(8)];
/// How long after the last round answers are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// From this protocol on clients ask in the modern form (`vl2.md` §8.1); older ones are told only to ask.
const MODERN_PROTOCOL: u64 = 8;

/// A member as it was last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    identity: PublicIdentity,
    heard: Timestamp,
    wire: Option<SocketAddr>,
    /// In which networks, and with what it asked there.
    networks: Vec<(NetworkId, Client)>,
}

/// The members that have been spoken to and have not answered.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    waiting: Mutex<BTreeMap<Address, Known>>,
}

/// Speaks to all known members, newest first, and repeats it for those that do not answer. Never ends, as the tasks beside
/// it do not.
pub(super) async fn run(takeover: Arc<Takeover>, store: Store, node: mpsc::Sender<Command>) {
    let start = Instant::from_std(clock::now().mono);
    let (waiting, now) = (Arc::clone(&takeover), clock::wall());
    let order = match spawn_blocking(move || waiting.load(&store, now)).await {
        Ok(Ok(order)) => order,
        Ok(Err(error)) => {
            error!(%error, "the members could not be looked up; they come by themselves");
            Vec::new()
        }
        Err(error) => {
            error!(%error, "the members could not be looked up; they come by themselves");
            Vec::new()
        }
    };
    for round in ROUNDS {
        sleep_until(start + round).await;
        let left: Vec<Address> = takeover.still_waiting(&order);
        for batch in left.chunks(BATCH) {
            let batch = takeover.batch(batch);
            let greet = move |node: &mut crate::vl1::Node, now: Now| {
                for (identity, wire) in batch {
                    node.greet(now, &identity, wire);
                }
            };
            if node.send(Box::new(greet)).await.is_err() {
                break;
            }
            sleep(PACE).await;
        }
    }
    sleep(PATIENCE).await;
    if !order.is_empty() {
        let silent = takeover.forget();
        info!(
            members = order.len(),
            answered = order.len().saturating_sub(silent),
            "members told where the controller is"
        );
    }
    std::future::pending().await
}

impl Takeover {
    /// Looks up whom to speak to; returns their order.
    fn load(&self, store: &Store, now: Timestamp) -> Result<Vec<Address>, StoreError> {
        let known = known_members(store, now, MAX_GREETED)?;
        let order = known.iter().map(|known| known.identity.address).collect();
        *self.lock() = known.into_iter().map(|known| (known.identity.address, known)).collect();
        Ok(order)
    }

    fn still_waiting(&self, order: &[Address]) -> Vec<Address> {
        let waiting = self.lock();
        order.iter().copied().filter(|address| waiting.contains_key(address)).collect()
    }

    fn batch(&self, addresses: &[Address]) -> Vec<(VerifiedIdentity, Option<SocketAddr>)> {
        let waiting = self.lock();
        let known = addresses.iter().filter_map(|address| waiting.get(address));
        known.map(|known| (VerifiedIdentity::trusted(known.identity), known.wire)).collect()
    }

    /// Sends a member that has answered the configurations of its networks: it keeps to its old ones else until it asks,
    /// and nothing could be pushed to it until then.
    pub(super) fn greeted(&self, address: Address, controller: &Controller, now: Now) {
        let Some(known) = self.lock().remove(&address) else { return };
        debug!(peer = %address, networks = known.networks.len(), "member is there");
        for (network, client) in known.networks {
            if let Some(metadata) = metadata(&client) {
                controller.welcome(network, address, &metadata, now);
            }
        }
    }

    /// Waits for nobody any more; returns how many have not answered.
    fn forget(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Known>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the members that were heard not long ago and whose identity is verified, newest first, `limit` at most.
fn known_members(store: &Store, now: Timestamp, limit: usize) -> Result<Vec<Known>, StoreError> {
    let since = Timestamp(now.0.saturating_sub(HEARD_WITHIN_MILLIS));
    store.read(|tx| {
        let mut found: BTreeMap<Address, Known> = BTreeMap::new();
        for network in tx.networks().list()? {
            for (address, sighting) in tx.sightings().last_of_all(network)? {
                if sighting.last < since {
                    continue;
                }
                let wire = sighting.client.wire;
                if let Some(known) = found.get_mut(&address) {
                    if known.heard < sighting.last {
                        (known.heard, known.wire) = (sighting.last, wire);
                    }
                    known.networks.push((network, sighting.client));
                } else if let Some(identity) = tx.verified_identities().get(address)? {
                    let networks = vec![(network, sighting.client)];
                    found.insert(address, Known { identity, heard: sighting.last, wire, networks });
                }
            }
        }
        let mut newest: Vec<_> = found.into_values().collect();
        newest.sort_by_key(|known| (std::cmp::Reverse(known.heard), known.identity.address));
        newest.truncate(limit);
        Ok(newest)
    })
}

/// Returns what a client of this release says with a request (`vl2.md` §3.1); `None` if too little is known of it.
fn metadata(client: &Client) -> Option<RequestMetadata> {
    let version = client.version.as_ref().filter(|version| version.protocol >= MODERN_PROTOCOL)?;
    Some(RequestMetadata {
        config_version: 7,
        protocol: version.protocol,
        vendor: 1,
        software: SoftwareVersion { major: version.major, minor: version.minor, revision: version.revision },
        max_rules: 1024,
        max_capabilities: 128,
        max_capability_rules: 64,
        max_tags: 128,
        rules_engine: 1,
        platform: client.platform.clone(),
        ..RequestMetadata::default()
    })
}

#[cfg(test)]
mod tests {
    use ctl_core::member::ClientVersion;
    use ctl_core::{Member, Network};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn client(port: u16) -> Client {
        let version = ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 };
        Client { wire: Some(([192, 0, 2, 1], port).into()), version: Some(version), platform: String::new() }
    }

    fn hours_ago(hours: u64) -> Timestamp {
        Timestamp(NOW.0 - hours * 3_600_000)
    }

    /// A store with members of two networks, each heard so many hours ago.
    fn store(heard: &[(u64, u64, u64)]) -> Store {
        let store = Store::in_memory().unwrap();
        store
            .write(|tx| {
                for network in [1, 2] {
                    tx.networks().put(&Network::new(NetworkId(network), Timestamp(0)))?;
                }
                for (network, node, hours) in heard {
                    let (network, address) = (NetworkId(*network), Address::from_low_bits(*node));
                    let identity = PublicIdentity { address, key: [1; 64] };
                    tx.members().put(&Member {
                        identity: Some(identity),
                        ..Member::new(network, address, Timestamp(0))
                    })?;
                    let port = u16::try_from(*hours).unwrap();
                    tx.sightings().note(network, address, &client(port), hours_ago(*hours))?;
                    // Members 1 to 8 have been verified.
                    if *node < 9 {
                        tx.verified_identities().put(&identity, NOW)?;
                    }
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
        store
    }

    #[test]
    fn members_are_spoken_to_newest_first_once_each_and_only_those_heard_lately() {
        let store = store(&[(1, 1, 30), (1, 2, 10), (2, 2, 40), (1, 3, 24 * 7 + 1), (2, 4, 5), (2, 9, 1)]);
        let known = known_members(&store, NOW, MAX_GREETED).unwrap();
        let order: Vec<_> =
            known.iter().map(|known| (known.identity.address.to_u64(), known.networks.len())).collect();
        assert_eq!(order, [(4, 1), (2, 2), (1, 1)]);
        assert_eq!(known[1].wire, client(10).wire, "where it was heard last");
        assert_eq!(
            known_members(&store, NOW, 2).unwrap(),
            known[..2],
            "those not heard for longest are left out"
        );
    }

    #[test]
    fn who_has_answered_is_not_spoken_to_again() {
        let store = store(&[(1, 1, 1), (1, 2, 2)]);
        let takeover = Takeover::default();
        let order = takeover.load(&store, NOW).unwrap();
        assert_eq!(takeover.still_waiting(&order), order);
        takeover.lock().remove(&order[0]);
        assert_eq!(takeover.still_waiting(&order), order[1..]);
        assert_eq!(takeover.batch(&order).len(), 1);
        assert_eq!(takeover.forget(), 1);
        assert!(takeover.still_waiting(&order).is_empty());
    }

    #[test]
    fn only_clients_that_take_pushes_get_a_configuration_unasked() {
        assert_eq!(metadata(&client(1)).unwrap().protocol, 12);
        assert_eq!(metadata(&Client::default()), None);
        let old = ClientVersion { major: 1, minor: 1, revision: 4, protocol: 5 };
        assert_eq!(metadata(&Client { version: Some(old), ..client(1) }), None);
    }
}
