//! What the API shows of the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ctl_http::{NodeStatus, PathStatus, PeerRole, PeerStatus};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use zt_proto::{PublicIdentity, Timestamp};

use super::home::Home;
use super::udp::Command;
use crate::vl1::{Node, Now, PeerView};

/// How often the API sees a new state of the node.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Returns the state at the start.
pub(super) fn initial(
    node: &Node,
    now: Now,
    identity: PublicIdentity,
    home: &Home,
    port: u16,
    listening: Vec<SocketAddr>,
) -> NodeStatus {
    let mut status = NodeStatus {
        identity,
        online: false,
        planet_id: 0,
        planet_timestamp: Timestamp(0),
        home: home.path().display().to_string(),
        port,
        listening,
        surface_addresses: Vec::new(),
        moons: Vec::new(),
        peers: Vec::new(),
    };
    describe(node, now, &mut status);
    status
}

/// Publishes the state of the node for the API.
pub(super) async fn publish(node: mpsc::Sender<Command>, status: watch::Sender<Arc<NodeStatus>>) {
    let status = Arc::new(status);
    loop {
        // Describing many peers takes a while, during which the node does nothing else: a hundredth of the time at most.
        let peers = u32::try_from(status.borrow().peers.len()).unwrap_or(u32::MAX);
        sleep(STATUS_INTERVAL.max(peers.saturating_mul(100) * Duration::from_micros(1))).await;
        let status = Arc::clone(&status);
        let publish = move |node: &mut Node, now| {
            status.send_modify(|status| describe(node, now, Arc::make_mut(status)));
        };
        if node.send(Box::new(publish)).await.is_err() {
            return;
        }
    }
}

/// Writes what the node knows now into what the API shows.
fn describe(node: &Node, now: Now, status: &mut NodeStatus) {
    let (planet_id, planet_timestamp) = node.planet().unwrap_or((0, Timestamp(0)));
    status.surface_addresses = node.surface_addresses(now);
    status.online = node.is_online(now);
    status.planet_id = planet_id;
    status.planet_timestamp = planet_timestamp;
    if status.moons != node.moons() {
        status.moons = node.moons().to_vec();
    }
    status.peers = node.peers(now).iter().map(|peer| describe_peer(peer, now)).collect();
}

fn describe_peer(peer: &PeerView, now: Now) -> PeerStatus {
    let ago = |duration: Duration| {
        Timestamp(now.wall.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    };
    let paths = peer.paths.iter().map(|path| PathStatus {
        address: path.remote,
        active: !path.expired,
        expired: path.expired,
        preferred: path.preferred,
        last_send: path.sent_ago.map_or(Timestamp(0), ago),
        last_receive: ago(path.received_ago),
    });
    PeerStatus {
        address: peer.address,
        latency_ms: peer.latency_ms,
        role: match (peer.is_root, peer.is_moon) {
            (true, _) => PeerRole::Planet,
            (false, true) => PeerRole::Moon,
            (false, false) => PeerRole::Leaf,
        },
        version: peer.version,
        paths: paths.collect(),
    }
}
