//! What the API shows of the node; for that of its peers, see `peers.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ctl_http::{FlowStatus, NodeStatus, PlanetStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use zt_proto::PublicIdentity;
use zt_proto::world::World;

use super::config::ServeArgs;
use super::home::Home;
use super::reach;
use super::udp::Command;
use super::{share, world_file};
use crate::vl1::traffic::Flow;
use crate::vl1::{Node, Now, Traffic};

/// How often the API sees a new state of the node.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

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
        peer_count: 0,
    };
    apply(NodeState::of(node, now), &mut status);
    apply_ports(bound, &mut status);
    status
}

/// Publishes the state of the node for the API once a second.
pub(super) async fn publish(
    node: mpsc::Sender<Command>,
    bound: watch::Receiver<Vec<SocketAddr>>,
    status: watch::Sender<Arc<NodeStatus>>,
) {
    loop {
        sleep(STATUS_INTERVAL).await;
        let (answer, answered) = oneshot::channel();
        let look = move |node: &mut Node, now| {
            // Nobody waits for it any more when the program ends.
            drop(answer.send(NodeState::of(node, now)));
        };
        if node.send(Box::new(look)).await.is_err() {
            return;
        }
        let Ok(state) = answered.await else { return };
        status.send_modify(|status| {
            let status = Arc::make_mut(status);
            apply(state, status);
            apply_ports(&bound.borrow(), status);
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
    peer_count: usize,
}

impl NodeState {
    fn of(node: &Node, now: Now) -> Self {
        Self {
            online: node.is_online(now),
            planet: node.planet().cloned(),
            surface_addresses: node.surface_addresses(now),
            moons: node.moons().to_vec(),
            traffic: node.traffic().clone(),
            peer_count: node.peer_count(),
        }
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
    status.peer_count = state.peer_count;
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
