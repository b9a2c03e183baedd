//! The node itself: its status, its peers and their paths.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;
use zt_proto::Address;
use zt_proto::inet::EndpointText;

use super::cursor::Cursor;
use super::network::page_length;
use super::problem::Problem;
use super::request::{Answer, Request};
use super::text::{Endpoint, Node};
use crate::State;
use crate::status::{PathStatus, PeerRole, PeerStatus};

/// How the peers are ordered.
const ORDER: &str = "peer";

/// The node of this controller.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    address: Node,
    public_identity: String,
    /// Whether a root answers.
    online: bool,
    /// Milliseconds since 1970.
    clock: u64,
    /// Name and version of this program.
    software: String,
    planet_id: u64,
    planet_timestamp: u64,
    /// Ids of the moons.
    moons: Vec<String>,
    port: u16,
    listening_on: Vec<Endpoint>,
    /// Addresses under which peers see this node.
    surface_addresses: Vec<Endpoint>,
    peer_count: usize,
    network_count: usize,
}

/// The root set in use, and the forms in which clients take it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Planet {
    id: u64,
    /// Milliseconds since 1970; of two versions the later one counts.
    timestamp: u64,
    roots: Vec<Root>,
    /// The file `planet`, in base64.
    file: String,
    /// What the mobile clients open, from release 1.16 on.
    link: String,
    /// The link as a QR code, an SVG picture; null if it is too long for one.
    qr_code: Option<String>,
}

/// A root server.
#[derive(Debug, Serialize, JsonSchema)]
struct Root {
    address: Node,
    identity: String,
    endpoints: Vec<Endpoint>,
}

/// Some peers, ascending by address.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PeerPage {
    data: Vec<PeerView>,
    /// `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// A node that was heard from lately, or a root.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Peer")]
pub(crate) struct PeerView {
    address: Node,
    role: Role,
    /// `MAJOR.MINOR.REVISION`.
    version: Option<String>,
    /// Round trip in milliseconds.
    latency: Option<u32>,
    paths: Vec<Path>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PeerRole")]
enum Role {
    Leaf,
    Moon,
    Planet,
}

/// A physical address of a peer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Path {
    address: Endpoint,
    active: bool,
    preferred: bool,
    /// Milliseconds since 1970; 0 is never.
    last_send: u64,
    last_receive: u64,
}

/// `GET /api/v2/status`: the node of this controller.
pub(crate) fn status(state: &State, _: Request) -> Result<Answer, Problem> {
    let node = state.node();
    let (planet_id, planet_timestamp) = node.planet_version();
    let network_count = state.api.store.read(|tx| tx.networks().list())?.len();
    Answer::ok(&Status {
        address: Node(node.identity.address),
        public_identity: node.identity.to_string(),
        online: node.online,
        clock: (state.api.now)().0,
        software: concat!("ctl-bin/", env!("CARGO_PKG_VERSION")).to_owned(),
        planet_id,
        planet_timestamp: planet_timestamp.0,
        moons: node.moons.iter().map(|moon| format!("{:016x}", moon.id)).collect(),
        port: node.port,
        listening_on: endpoints(&node.listening),
        surface_addresses: endpoints(&node.surface_addresses),
        peer_count: node.peer_count,
        network_count,
    })
}

/// `GET /api/v2/planet`: the root set in use, for clients that shall know it too.
pub(crate) fn planet(state: &State, _: Request) -> Result<Answer, Problem> {
    let node = state.node();
    let Some(planet) = &node.planet else {
        return Err(Problem::not_found("the node runs without a planet"));
    };
    let roots = planet.world.roots.iter().map(|root| Root {
        address: Node(root.identity.address),
        identity: root.identity.to_string(),
        endpoints: endpoints(&root.endpoints),
    });
    Answer::ok(&Planet {
        id: planet.world.id,
        timestamp: planet.world.timestamp.0,
        roots: roots.collect(),
        file: STANDARD.encode(&planet.file),
        link: planet.link.clone(),
        qr_code: planet.qr_code.clone(),
    })
}

/// `GET /api/v2/peer`: the peers with their paths, a page at a time.
pub(crate) fn list(state: &State, request: Request) -> Result<Answer, Problem> {
    let limit = page_length(&request)?;
    let cursor: Option<Cursor<Node>> = Cursor::of(&request.query, ORDER)?;
    // One more than wanted tells whether there is a next page.
    let mut page =
        state.api.peers.after(cursor.map(|Cursor { last: Node(last), .. }| last), limit.saturating_add(1))?;
    let is_more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| is_more);
    let next = last.map(|last| Cursor::new(ORDER, Node(last.address)).to_text());
    Answer::ok(&PeerPage { data: page.iter().map(PeerView::new).collect(), next })
}

/// `GET /api/v2/peer/{peer}`: one peer.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    const NO_PEER: &str = "the node knows no peer with this address";
    let address: Address = request.segment(0, NO_PEER)?;
    let peer = state.peer(address).ok_or_else(|| Problem::not_found(NO_PEER))?;
    Answer::ok(&PeerView::new(&peer))
}

fn endpoints(addresses: &[std::net::SocketAddr]) -> Vec<Endpoint> {
    addresses.iter().map(|address| Endpoint(EndpointText(*address))).collect()
}

impl PeerView {
    fn new(peer: &PeerStatus) -> Self {
        Self {
            address: Node(peer.address),
            role: match peer.role {
                PeerRole::Leaf => Role::Leaf,
                PeerRole::Moon => Role::Moon,
                PeerRole::Planet => Role::Planet,
            },
            version: peer.version.map(|(major, minor, revision)| format!("{major}.{minor}.{revision}")),
            latency: peer.latency_ms,
            paths: peer.paths.iter().map(Path::new).collect(),
        }
    }
}

impl Path {
    fn new(path: &PathStatus) -> Self {
        Self {
            address: Endpoint(EndpointText(path.address)),
            active: path.active && !path.expired,
            preferred: path.preferred,
            last_send: path.last_send.0,
            last_receive: path.last_receive.0,
        }
    }
}
