//! What the API shows of the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ctl_http::{FlowStatus, NodeStatus, PathStatus, PeerRole, PeerStatus, PlanetStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use zt_proto::world::World;
use zt_proto::{Address, PublicIdentity, Timestamp};

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
/// So many pauses later whoever reads the list is no longer waited for.
const MAX_WAITS: u32 = 10;

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
/// two of them. Each takes the place of what was shown of its peers before, so that all are in memory once.
pub(super) async fn publish(
    node: mpsc::Sender<Command>,
    bound: watch::Receiver<Vec<SocketAddr>>,
    status: watch::Sender<Arc<NodeStatus>>,
) {
    let mut intervals = 1;
    loop {
        sleep(STATUS_INTERVAL * intervals).await;
        let mut after = None;
        while let Some((state, page)) = look(&node, after).await {
            // Somebody who is just reading has the list for himself, if it takes him longer than that.
            for _ in 0..MAX_WAITS {
                if Arc::strong_count(&status.borrow()) == 1 {
                    break;
                }
                sleep(PAGE_PAUSE).await;
            }
            let last = page.last().map(|peer| peer.address).filter(|_| page.len() >= PAGE);
            status.send_modify(|status| {
                let status = Arc::make_mut(status);
                apply(state, status);
                apply_ports(&bound.borrow(), status);
                replace(&mut status.peers, after, last, page);
            });
            after = last;
            if after.is_none() {
                break;
            }
            sleep(PAGE_PAUSE).await;
        }
        if node.is_closed() {
            return;
        }
        let pages = status.borrow().peers.len() / PAGE;
        intervals = u32::try_from(pages).unwrap_or(u32::MAX).clamp(1, MAX_INTERVALS);
    }
}

/// Puts a page into the place of all peers `after` an address and up to another, or to the end.
fn replace(
    peers: &mut Vec<PeerStatus>,
    after: Option<Address>,
    last: Option<Address>,
    page: Vec<PeerStatus>,
) {
    let begin = after.map_or(0, |after| peers.partition_point(|peer| peer.address <= after));
    let end = last.map_or(peers.len(), |last| peers.partition_point(|peer| peer.address <= last));
    peers.splice(begin..end.max(begin), page);
    if last.is_none() {
        peers.shrink_to(peers.len() + PAGE);
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

/// Looks at the node and the page of its peers that follows an address; `None` when the node has stopped.
async fn look(node: &mpsc::Sender<Command>, after: Option<Address>) -> Option<(NodeState, Vec<PeerStatus>)> {
    let (answer, answered) = oneshot::channel();
    let page = move |node: &mut Node, now| {
        let views = node.peers_after(now, after, PAGE);
        // Nobody waits for it any more when the program ends.
        drop(answer.send((NodeState::of(node, now), views, now)));
    };
    node.send(Box::new(page)).await.ok()?;
    let (state, views, now) = answered.await.ok()?;
    Some((state, views.iter().map(|peer| describe_peer(peer, now)).collect()))
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
    async fn run(mut node: Node, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            command(&mut node, super::super::clock::now());
        }
    }

    fn address(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    fn shown(peers: &[PeerStatus]) -> Vec<u64> {
        peers.iter().map(|peer| peer.address.to_u64()).collect()
    }

    #[tokio::test]
    async fn many_peers_are_looked_at_a_page_at_a_time_and_none_is_missed() {
        const PEERS: u64 = 1_000;
        let node = Node::with_peers(PEERS);
        let (sender, commands) = mpsc::channel(1);
        let node = tokio::spawn(run(node, commands));
        let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let (_, page) = look(&sender, after).await.unwrap();
            pages += 1;
            let last = page.last().map(|peer| peer.address).filter(|_| page.len() == PAGE);
            replace(&mut all, after, last, page);
            after = last;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((pages, shown(&all)), (4, (1..=PEERS).collect()), "a thousand peers are four pages");
        drop(sender);
        node.await.unwrap();
    }

    #[test]
    fn peers_that_come_and_go_are_shown_as_they_are() {
        let peer = |n: &u64| PeerStatus {
            address: address(*n),
            latency_ms: None,
            role: PeerRole::Leaf,
            version: None,
            paths: Vec::new(),
            packets_received: 0,
            packets_sent: 0,
            packets_broken: 0,
        };
        let page = |numbers: &[u64]| numbers.iter().map(peer).collect::<Vec<_>>();
        let mut all = page(&[1, 3, 5, 7, 9]);
        replace(&mut all, None, Some(address(4)), page(&[2, 4]));
        assert_eq!(shown(&all), [2, 4, 5, 7, 9]);
        replace(&mut all, Some(address(4)), Some(address(8)), page(&[6, 7, 8]));
        assert_eq!(shown(&all), [2, 4, 6, 7, 8, 9]);
        replace(&mut all, Some(address(8)), None, page(&[]));
        assert_eq!(shown(&all), [2, 4, 6, 7, 8]);
        replace(&mut all, None, None, page(&[]));
        assert!(all.is_empty());
    }
}
