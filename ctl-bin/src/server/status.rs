//! What the API shows of the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ctl_http::{FlowStatus, NodeStatus, PathStatus, PeerRole, PeerStatus, PlanetStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use zt_proto::world::World;
use zt_proto::{PublicIdentity, Timestamp};

use super::config::ServeArgs;
use super::home::Home;
use super::reach;
use super::udp::Command;
use super::{share, world_file};
use crate::vl1::traffic::Flow;
use crate::vl1::{Node, Now, PeerView, Traffic};

/// How often the API sees a new state of the node, and of each page of peers.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// But all peers at least once in so many intervals.
const MAX_INTERVALS: u32 = 10;
/// Peers that are described at once, which takes some 100 µs.
const PAGE: usize = 256;
const PAGE_PAUSE: Duration = Duration::from_millis(10);

/// Returns the state at the start.
pub(super) fn initial(
    node: &Node,
    now: Now,
    identity: PublicIdentity,
    home: &Home,
    args: &ServeArgs,
    bound: &[SocketAddr],
) -> NodeStatus {
    let mut status = NodeStatus {
        identity,
        online: false,
        planet: None,
        home: home.path().display().to_string(),
        port: args.port,
        secondary_port: 0,
        port_mapping: args.port_mapping,
        listening: Vec::new(),
        surface_addresses: Vec::new(),
        moons: Vec::new(),
        received: FlowStatus::default(),
        sent: FlowStatus::default(),
        peers: Vec::new(),
    };
    apply(NodeState::of(node, now), &mut status);
    apply_ports(bound, &mut status);
    status
}

/// Publishes the state of the node for the API: once a second, and with many peers once in ten seconds, since nobody may be
/// looking.
///
/// The loop of the node describes a page of peers at a time, and does something else for a hundred times as long between
/// two of them.
pub(super) async fn publish(
    node: mpsc::Sender<Command>,
    bound: watch::Receiver<Vec<SocketAddr>>,
    status: watch::Sender<Arc<NodeStatus>>,
) {
    let mut intervals = 1;
    loop {
        sleep(STATUS_INTERVAL * intervals).await;
        let Some((state, peers)) = look(&node).await else { return };
        intervals = u32::try_from(peers.len() / PAGE).unwrap_or(u32::MAX).clamp(1, MAX_INTERVALS);
        status.send_modify(|status| {
            let status = Arc::make_mut(status);
            apply(state, status);
            apply_ports(&bound.borrow(), status);
            status.peers = peers;
        });
    }
}

/// What the node says about itself.
struct NodeState {
    online: bool,
    planet: Option<World>,
    surface_addresses: Vec<SocketAddr>,
    moons: Vec<World>,
    traffic: Traffic,
}

impl NodeState {
    fn of(node: &Node, now: Now) -> Self {
        Self {
            online: node.is_online(now),
            planet: node.planet().cloned(),
            surface_addresses: node.surface_addresses(now),
            moons: node.moons().to_vec(),
            traffic: node.traffic().clone(),
        }
    }
}

/// Looks at the node and all its peers; `None` when the node has stopped.
async fn look(node: &mpsc::Sender<Command>) -> Option<(NodeState, Vec<PeerStatus>)> {
    let mut peers: Vec<PeerStatus> = Vec::new();
    loop {
        let (answer, answered) = oneshot::channel();
        let last = peers.last().map(|peer| peer.address);
        let page = move |node: &mut Node, now| {
            let views = node.peers_after(now, last, PAGE);
            // Nobody waits for it any more when the program ends.
            drop(answer.send((NodeState::of(node, now), views, now)));
        };
        node.send(Box::new(page)).await.ok()?;
        let (state, views, now) = answered.await.ok()?;
        peers.extend(views.iter().map(|peer| describe_peer(peer, now)));
        if views.len() < PAGE {
            return Some((state, peers));
        }
        sleep(PAGE_PAUSE).await;
    }
}

fn apply(state: NodeState, status: &mut NodeStatus) {
    status.online = state.online;
    if status.planet.as_ref().map(|shown| &shown.world) != state.planet.as_ref() {
        status.planet = state.planet.map(|world| Arc::new(describe_planet(world)));
    }
    status.surface_addresses = state.surface_addresses;
    status.moons = state.moons;
    status.received = describe_flow(&state.traffic.received);
    status.sent = describe_flow(&state.traffic.sent);
}

fn describe_planet(world: World) -> PlanetStatus {
    let file = world_file::to_bytes(&world);
    let link = share::link(&file);
    // The command line says why there is none.
    let qr_code = share::drawing(&link).ok();
    PlanetStatus { world, file, link, qr_code }
}

fn describe_flow(flow: &Flow) -> FlowStatus {
    FlowStatus { bytes: flow.bytes, packets: flow.packets().collect(), errors: flow.errors().collect() }
}

fn apply_ports(bound: &[SocketAddr], status: &mut NodeStatus) {
    let primary = bound.first().map(SocketAddr::port);
    let secondary = bound.iter().map(SocketAddr::port).find(|port| Some(*port) != primary);
    status.secondary_port = secondary.unwrap_or(0);
    status.listening = reach::addresses_of(bound);
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
        packets_received: peer.traffic.received,
        packets_sent: peer.traffic.sent,
        packets_broken: peer.traffic.broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The node's loop, for this test.
    async fn run(mut node: Node, mut commands: mpsc::Receiver<Command>) -> usize {
        let mut count = 0;
        while let Some(command) = commands.recv().await {
            command(&mut node, super::super::clock::now());
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn many_peers_are_looked_at_a_page_at_a_time_and_none_is_missed() {
        const PEERS: u64 = 1_000;
        let node = Node::with_peers(PEERS);
        let (sender, commands) = mpsc::channel(1);
        let node = tokio::spawn(run(node, commands));
        let (_, peers) = look(&sender).await.unwrap();
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address).collect();
        let expected: Vec<_> = (1..=PEERS).map(zt_proto::Address::from_low_bits).collect();
        assert_eq!(addresses, expected);
        drop(sender);
        assert_eq!(node.await.unwrap(), 4, "a thousand peers are four pages");
    }
}
