//! What the API tells about the node, and the endpoints that do (`http-api.md` §6).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;
use zt_proto::world::World;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::extract::{self, deleting, param, reading, segment};
use crate::{Shared, view, with};

/// What the node knows of itself; whoever runs it publishes a new one when something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    pub identity: PublicIdentity,
    /// Whether a root answers.
    pub online: bool,
    /// The root set in use.
    pub planet: Option<Arc<PlanetStatus>>,
    /// The home folder.
    pub home: String,
    /// The UDP port.
    pub port: u16,
    /// The second UDP port; zero: none.
    pub secondary_port: u16,
    /// Whether the router is asked to let the port through.
    pub port_mapping: bool,
    /// The UDP addresses in use, of both ports.
    pub listening: Vec<SocketAddr>,
    /// The addresses under which peers see this node.
    pub surface_addresses: Vec<SocketAddr>,
    /// The moons, ascending by id.
    pub moons: Vec<World>,
    /// What came since the start.
    pub received: FlowStatus,
    /// What was sent since the start.
    pub sent: FlowStatus,
    /// How many nodes it knows: those that were heard from lately, and the roots.
    pub peer_count: usize,
}

/// What the node knows of others: those that were heard from lately, and the roots. It is looked up when somebody wants to
/// see it, so all but [`Self::one`] may block.
pub trait Peers: Send + Sync {
    /// Returns this node, if it knows it.
    fn one(&self, address: Address) -> Pin<Box<dyn Future<Output = Option<PeerStatus>> + Send + '_>>;

    /// Returns those of these nodes that it knows.
    fn some(&self, addresses: &[Address]) -> BTreeMap<Address, PeerStatus>;

    /// Returns those that follow `last` in the order of their addresses, at most `limit`.
    ///
    /// # Errors
    /// If the node has ended: what is missing then would look like the end of a list.
    fn after(&self, last: Option<Address>, limit: usize) -> Result<Vec<PeerStatus>, NodeEnded>;

    /// Shows all to `look`, ascending by address.
    ///
    /// # Errors
    /// If the node has ended; until then `look` may have seen some.
    fn each(&self, look: &mut dyn FnMut(&PeerStatus)) -> Result<(), NodeEnded>;
}

/// The node cannot be asked any more, as the controller stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the controller stops; send the request again when it runs")]
pub struct NodeEnded;

/// A root set, and the forms in which clients take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanetStatus {
    pub world: World,
    /// The file `planet`.
    pub file: Vec<u8>,
    /// What the mobile clients open.
    pub link: String,
    /// The link as a QR code, an SVG picture; `None` if it is too long for one.
    pub qr_code: Option<String>,
}

/// What the node knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    pub address: Address,
    /// Round trip in milliseconds; `None` if it was not measured.
    pub latency_ms: Option<u32>,
    pub role: PeerRole,
    /// Major, minor, revision, as the peer announced them.
    pub version: Option<(u8, u8, u16)>,
    pub paths: Vec<PathStatus>,
    pub packets_received: u64,
    pub packets_sent: u64,
    /// Packets that claimed to be from the peer and were not authentic.
    pub packets_broken: u64,
}

/// Packets in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowStatus {
    /// UDP payloads.
    pub bytes: u64,
    pub packets: Vec<(Verb, u64)>,
    pub errors: Vec<(ErrorCode, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerRole {
    Leaf,
    Moon,
    Planet,
}

/// A physical address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathStatus {
    pub address: SocketAddr,
    pub active: bool,
    pub expired: bool,
    pub preferred: bool,
    /// Zero: never.
    pub last_send: Timestamp,
    /// Zero: never.
    pub last_receive: Timestamp,
}

impl PeerStatus {
    /// Returns when the peer was last heard from directly.
    pub(crate) fn last_receive(&self) -> Option<Timestamp> {
        self.paths.iter().map(|path| path.last_receive).max()
    }

    /// Returns the path over which the peer can be reached now, the preferred one if there are several.
    pub(crate) fn path_in_use(&self) -> Option<&PathStatus> {
        let usable = || self.paths.iter().filter(|path| path.active && !path.expired);
        usable().find(|path| path.preferred).or_else(|| usable().next())
    }
}

impl NodeStatus {
    /// Returns id and timestamp of the root set in use; zero if there is none.
    pub(crate) fn planet_version(&self) -> (u64, Timestamp) {
        self.planet.as_ref().map_or((0, Timestamp(0)), |planet| (planet.world.id, planet.world.timestamp))
    }
}

/// `GET /health`: a short status, for everybody.
pub(crate) fn health(state: Shared) -> BoxedFilter<(Response,)> {
    segment("health")
        .and(reading())
        .and(with(state))
        .map(|state: Shared| {
            extract::json(StatusCode::OK, &view::status::render_health(&state.node(), state.now()))
        })
        .boxed()
}

/// `GET /health/live`: whether the program does anything at all, for everybody. One that does not is to be started again.
pub(crate) fn live(state: Shared) -> BoxedFilter<(Response,)> {
    segment("health")
        .and(segment("live"))
        .and(reading())
        .and(with(state))
        .map(|state: Shared| {
            let is_live = state.is_node_running();
            extract::json(ok_or_unavailable(is_live), &json!({ "live": is_live }))
        })
        .boxed()
}

/// `GET /health/ready`: whether members and administrators are served, for everybody. `online` says whether a root answers,
/// without which those are served who know the way.
pub(crate) fn ready(state: Shared) -> BoxedFilter<(Response,)> {
    segment("health")
        .and(segment("ready"))
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| {
            let (node, online) = (state.is_node_running(), state.node().online);
            let database = is_database_ready(state).await;
            let ready = database && node;
            let body = json!({ "ready": ready, "database": database, "node": node, "online": online });
            extract::json(ok_or_unavailable(ready), &body)
        })
        .boxed()
}

fn ok_or_unavailable(is_ok: bool) -> StatusCode {
    if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn is_database_ready(state: Shared) -> bool {
    // Any read will do, and there is no network 0; but what was read before is remembered.
    let look = move || {
        let store = &state.api.store;
        store.is_in_place() && store.read(|tx| tx.networks().get(NetworkId(0))).is_ok()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

/// `GET /status`: the node status.
pub(crate) fn status(state: Shared) -> BoxedFilter<(Response,)> {
    segment("status")
        .and(reading())
        .and(with(state))
        .map(|state: Shared| {
            let conf = state.api.local_conf.borrow();
            // As of `/config`: it may have anything that somebody wrote into the file.
            let conf = state.caller.may_do_everything().then_some(&**conf);
            extract::json(StatusCode::OK, &view::status::render(&state.node(), conf, state.now()))
        })
        .boxed()
}

/// `GET /controller`: says that there is a controller, and whether its database answers.
pub(crate) fn controller(state: Shared) -> BoxedFilter<(Response,)> {
    segment("controller")
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| {
            let clock = state.now();
            let ready = is_database_ready(state).await;
            let body =
                json!({ "controller": true, "apiVersion": 4, "clock": clock.0, "databaseReady": ready });
            extract::json(ok_or_unavailable(ready), &body)
        })
        .boxed()
}

/// `GET /network`: the networks that the node itself has joined, which are none.
pub(crate) fn joined_networks() -> BoxedFilter<(Response,)> {
    segment("network").and(reading()).map(|| extract::json(StatusCode::OK, &json!([]))).boxed()
}

/// `GET /network/{network}`: a network that the node has not joined.
pub(crate) fn joined_network() -> BoxedFilter<(Response,)> {
    segment("network")
        .and(param())
        .and(reading())
        .map(|_: NetworkId| extract::json(StatusCode::NOT_FOUND, &json!({})))
        .boxed()
}

/// `DELETE /network/{network}`: leaves a network that the node has not joined, as it has joined none.
pub(crate) fn leave_network() -> BoxedFilter<(Response,)> {
    segment("network")
        .and(param())
        .and(deleting())
        .map(|_: NetworkId| extract::json(StatusCode::OK, &json!({})))
        .boxed()
}

/// `GET /moon/{world}`: one of the moons; an empty object if the node knows no such moon.
pub(crate) fn moon(state: Shared) -> BoxedFilter<(Response,)> {
    segment("moon")
        .and(param())
        .and(reading())
        .and(with(state))
        .map(|world: WorldId, state: Shared| {
            let node = state.node();
            let moon = node.moons.iter().find(|moon| moon.id == world.0);
            extract::json(StatusCode::OK, &moon.map_or_else(|| json!({}), view::status::render_moon))
        })
        .boxed()
}

/// A world as a path names it: ten hexadecimal digits, or sixteen as answers have it.
struct WorldId(u64);

impl FromStr for WorldId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = matches!(text.len(), 10 | 16) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_id).map(Self).ok_or(())
    }
}

/// `GET /moon`: the moons that the node orbits or is a root of.
pub(crate) fn moons(state: Shared) -> BoxedFilter<(Response,)> {
    segment("moon")
        .and(reading())
        .and(with(state))
        .map(|state: Shared| extract::json(StatusCode::OK, &view::status::render_moons(&state.node().moons)))
        .boxed()
}

impl crate::State {
    pub(crate) fn now(&self) -> Timestamp {
        (self.api.now)()
    }

    /// Says whether there is still somebody who publishes what the node knows.
    fn is_node_running(&self) -> bool {
        self.api.node.has_changed().is_ok()
    }

    /// Returns what the node knows of another. May block, so not while a transaction is open.
    pub(crate) fn peer(&self, address: Address) -> Option<PeerStatus> {
        self.api.peers.some(&[address]).remove(&address)
    }

    /// Returns what the node last published.
    pub(crate) fn node(&self) -> Arc<NodeStatus> {
        Arc::clone(&self.api.node.borrow())
    }
}
