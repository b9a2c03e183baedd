//! A running API on a loopback port, with a clock and random numbers that repeat.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ctl_core::{Change, ConfigRequest, Decision, Member, RequestKind, decide};
use ctl_http::{
    Access, Api, Backups, Events, FlowStatus, LocalConf, LogLevels, Metrics, NodeEnded, NodeStatus,
    PathStatus, PeerRole, PeerStatus, Peers, PlanetStatus, Serving, Setting, SettingSource, Token,
};
use ctl_store::{Client, Store, StoreError};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use zt_proto::credential::Signature;
use zt_proto::identity::KEY_LEN;
use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{Address, IpPrefix, NetworkId, PublicIdentity, Timestamp};

use crate::backups::InMemory;
use crate::client::{self, Answer};
use crate::log_levels::Known;

pub(crate) const TOKEN: &str = "k3yk3yk3yk3yk3yk3yk3yk3y";
pub(crate) const METRICS_TOKEN: &str = "m3tricsm3tricsm3tricsm3t";
pub(crate) const CONTROLLER: &str = "a940ad429a";
pub(crate) const MEMBER: &str = "adc5699ffd";
const START: u64 = 1_795_356_785_000;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) changes: mpsc::UnboundedReceiver<Change>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
    pub(crate) events: Events,
    runtime: Runtime,
    node: watch::Sender<Arc<NodeStatus>>,
    pub(crate) access: watch::Sender<Arc<Access>>,
    clock: Arc<AtomicU64>,
    /// How many peers were shown in pages.
    pub(crate) shown_peers: Arc<AtomicUsize>,
    /// How often somebody began to look at all peers, and what is locked for that.
    pub(crate) looking: Arc<AtomicUsize>,
    pub(crate) gate: Arc<Mutex<()>>,
}

/// Somebody else who writes, until this is dropped: whoever wants to write waits.
pub(crate) struct Writing {
    release: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.release.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a test can choose.
pub(crate) struct Options {
    pub(crate) allow_query_token: bool,
    pub(crate) listen: IpAddr,
    pub(crate) allowed_sources: Vec<IpPrefix>,
    pub(crate) random: Arc<dyn Fn() -> u32 + Send + Sync>,
    pub(crate) store: Store,
    pub(crate) local_conf: LocalConf,
    pub(crate) serving: Serving,
    pub(crate) heartbeat: Duration,
    pub(crate) backups: Arc<dyn Backups>,
    pub(crate) log_levels: Arc<dyn LogLevels>,
    pub(crate) peers: Vec<PeerStatus>,
    /// Once so many of them were shown, the node has ended.
    pub(crate) ends_after: Option<usize>,
    /// Threads for what blocks.
    pub(crate) blocking_threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let next = AtomicU32::new(7);
        let random = move || next.fetch_add(0x9e37_79b9, Ordering::Relaxed);
        Self {
            allow_query_token: false,
            listen: Ipv4Addr::LOCALHOST.into(),
            allowed_sources: Vec::new(),
            random: Arc::new(random),
            store: Store::in_memory().unwrap(),
            local_conf: LocalConf::default(),
            serving: Serving::default(),
            heartbeat: Duration::from_secs(15),
            backups: Arc::new(InMemory::default()),
            log_levels: Arc::new(Known::default()),
            peers: peers(),
            ends_after: None,
            blocking_threads: 512,
        }
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut runtime = Builder::new_multi_thread();
        runtime.enable_all().max_blocking_threads(options.blocking_threads);
        let runtime = runtime.build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((options.listen, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let store = options.store;
        let (changed, changes) = mpsc::unbounded_channel();
        let (node_sender, node) = watch::channel(Arc::new(node_status(options.peers.len())));
        let clock = Arc::new(AtomicU64::new(START));
        let ticks = Arc::clone(&clock);
        let access = Access {
            metrics_token: Some(Token::new(METRICS_TOKEN).unwrap()),
            allow_query_token: options.allow_query_token,
            allowed_sources: options.allowed_sources,
            ..Access::new(Token::new(TOKEN).unwrap())
        };
        let (access_sender, access) = watch::channel(Arc::new(access));
        let shown_peers = Arc::new(AtomicUsize::new(0));
        let (looking, gate) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let peers = KnownPeers {
            all: Arc::new(options.peers),
            shown: Arc::clone(&shown_peers),
            looking: Arc::clone(&looking),
            gate: Arc::clone(&gate),
            ends_after: options.ends_after,
        };
        let events = Events::new(Timestamp(START)).with_heartbeat(options.heartbeat);
        let api = Api {
            store: store.clone(),
            controller: CONTROLLER.parse().unwrap(),
            access,
            serves_networks: true,
            metrics: Metrics::new().unwrap(),
            local_conf: watch::channel(Arc::new(options.local_conf)).1,
            node,
            peers: Arc::new(peers),
            changes: changed,
            events: events.clone(),
            backups: options.backups,
            log_levels: options.log_levels,
            settings: watch::channel(settings().into()).1,
            qr_code: |text| Some(format!("<svg>{}</svg>", text.len())),
            now: Arc::new(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed))),
            random: options.random,
        };
        let (stop, stopped) = oneshot::channel();
        let task =
            runtime.spawn(ctl_http::serve(api, listener, options.serving, async { drop(stopped.await) }));
        Self {
            address,
            store,
            changes,
            stop: Some(stop),
            task: Some(task),
            events,
            runtime,
            node: node_sender,
            access: access_sender,
            clock,
            shown_peers,
            looking,
            gate,
        }
    }

    /// Starts a server whose node has so many peers.
    pub(crate) fn with_peers(count: usize) -> Self {
        Self::with(Options { peers: many_peers(count), ..Options::default() })
    }

    /// Starts a server whose node runs without a planet.
    pub(crate) fn without_planet() -> Self {
        let server = Self::start();
        server.node.send_modify(|status| Arc::make_mut(status).planet = None);
        server
    }

    /// Sends a request with the token.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let headers = [("X-ZT1-Auth", TOKEN)];
        client::send(self.address, method, path, &headers, body.map(str::as_bytes))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(&body.to_string()))
    }

    /// Does what the controller does when `MEMBER` asks for the first time.
    pub(crate) fn join(&self, network: &str) {
        let network: NetworkId = network.parse().unwrap();
        let address: Address = MEMBER.parse().unwrap();
        let stored = self.store.read(|tx| tx.members().get(network, address)).unwrap();
        let mut member = stored.clone().unwrap_or_else(|| Member::new(network, address, Timestamp(START)));
        member.identity = Some(identity(MEMBER));
        member.revise(stored.as_ref());
        self.store.write(|tx| tx.members().put(&member)).unwrap();
    }

    /// Does what the controller does when `MEMBER` asks, or when it is told of a change.
    pub(crate) fn configure(&self, network: &str, kind: RequestKind) {
        let network: NetworkId = network.parse().unwrap();
        let metadata = RequestMetadata::parse(b"v=7\nvend=1\npv=c\nmajv=1\nminv=e\nrevv=1\n");
        let request = ConfigRequest { network, identity: identity(MEMBER), metadata, kind };
        let decided = self.store.write(|tx| {
            let snapshot = tx.snapshot(network, request.identity.address)?;
            let (Decision::Admit { member, .. } | Decision::Refuse { member, .. }) =
                decide(snapshot.as_ref(), &request, Timestamp(START));
            member.map_or(Ok(()), |member| tx.members().put(&member))
        });
        decided.unwrap_or_else(|error: StoreError| panic!("{error}"));
    }

    /// Begins to write.
    pub(crate) fn write(&self) -> Writing {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (began, writing) = std::sync::mpsc::channel();
        let store = self.store.clone();
        let thread = thread::spawn(move || {
            let written = store.write(|_| {
                began.send(()).unwrap();
                released.recv().unwrap_err();
                Ok::<_, StoreError>(())
            });
            written.unwrap();
        });
        writing.recv().unwrap();
        Writing { release: Some(release), thread: Some(thread) }
    }

    /// Notes that `MEMBER` asked at a time.
    pub(crate) fn note(&self, network: &str, time: u64) {
        let network: NetworkId = network.parse().unwrap();
        let client = Client { wire: Some("192.0.2.1:9993".parse().unwrap()), ..Client::default() };
        let noted = self
            .store
            .write(|tx| tx.sightings().note(network, MEMBER.parse().unwrap(), &client, Timestamp(time)));
        assert!(noted.unwrap());
    }

    /// Sends a request and leaves its answer unread, once it has begun.
    pub(crate) fn begin(&self, path: &str) -> TcpStream {
        let stream = self.ask(path);
        stream.peek(&mut [0]).unwrap();
        stream
    }

    /// Sends a request, and waits for nothing.
    pub(crate) fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nX-ZT1-Auth: {TOKEN}\r\n\r\n").unwrap();
        stream
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stops the server and waits until it has.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        self.runtime.block_on(self.task.take().unwrap()).unwrap();
    }
}

pub(crate) fn identity(address: &str) -> PublicIdentity {
    PublicIdentity { address: address.parse().unwrap(), key: [0x43; 64] }
}

/// The planet as in the recordings, with one root of its own.
fn planet() -> PlanetStatus {
    let world = World {
        kind: WorldKind::Planet,
        id: 149_604_618,
        timestamp: Timestamp(1_644_592_324_813),
        update_key: [0; KEY_LEN],
        signature: Signature([0; Signature::LEN]),
        roots: vec![Root {
            identity: identity(CONTROLLER),
            endpoints: vec!["203.0.113.1:9993".parse().unwrap()],
        }],
    };
    PlanetStatus {
        world,
        file: vec![1, 2, 3],
        link: "https://joinzt.com/addplanet?v=1&planet=AQID".to_owned(),
        qr_code: Some("<svg/>".to_owned()),
    }
}

fn settings() -> [Setting; 1] {
    let (name, group) = ("port".to_owned(), None);
    [Setting { name, group, values: vec!["9993".to_owned()], source: SettingSource::Default, next: None }]
}

/// What the node knows as in the recordings: two roots that do not answer, and one member.
/// So many that differ in their addresses.
pub(crate) fn many_peers(count: usize) -> Vec<PeerStatus> {
    let peer = peers().pop().unwrap();
    let address = |n| Address::from_low_bits(n);
    (1..).take(count).map(|n| PeerStatus { address: address(n), ..peer.clone() }).collect()
}

fn peers() -> Vec<PeerStatus> {
    let path = PathStatus {
        address: "10.55.0.2:9993".parse().unwrap(),
        active: true,
        expired: false,
        preferred: true,
        last_send: Timestamp(START),
        last_receive: Timestamp(START - 1),
    };
    let root = |address: &str| PeerStatus {
        address: address.parse().unwrap(),
        latency_ms: None,
        role: PeerRole::Planet,
        version: None,
        paths: Vec::new(),
        packets_received: 0,
        packets_sent: 3,
        packets_broken: 0,
    };
    let member = PeerStatus {
        address: MEMBER.parse().unwrap(),
        latency_ms: Some(1),
        role: PeerRole::Leaf,
        version: Some((1, 14, 1)),
        paths: vec![path],
        packets_received: 7,
        packets_sent: 9,
        packets_broken: 1,
    };
    vec![root("62f865ae71"), root("778cde7190"), member]
}

/// The node as in the recordings.
fn node_status(peer_count: usize) -> NodeStatus {
    NodeStatus {
        identity: identity(CONTROLLER),
        online: false,
        planet: Some(Arc::new(planet())),
        home: "/var/lib/ctl".to_owned(),
        port: 9993,
        secondary_port: 27387,
        port_mapping: false,
        listening: vec!["10.55.0.1:9993".parse().unwrap()],
        surface_addresses: Vec::new(),
        moons: Vec::new(),
        received: FlowStatus {
            bytes: 1234,
            packets: vec![(Verb::HELLO, 2), (Verb::NETWORK_CONFIG_REQUEST, 5)],
            errors: Vec::new(),
        },
        sent: FlowStatus {
            bytes: 5678,
            packets: vec![(Verb::OK, 6), (Verb::ERROR, 1)],
            errors: vec![(ErrorCode::OBJECT_NOT_FOUND, 1)],
        },
        peer_count,
    }
}

/// What the node knows of others.
struct KnownPeers {
    all: Arc<Vec<PeerStatus>>,
    shown: Arc<AtomicUsize>,
    looking: Arc<AtomicUsize>,
    gate: Arc<Mutex<()>>,
    ends_after: Option<usize>,
}

impl KnownPeers {
    fn all(&self) -> Arc<Vec<PeerStatus>> {
        // Panics where nobody may wait, as asking a node would.
        let (answer, answered) = oneshot::channel();
        answer.send(Arc::clone(&self.all)).unwrap();
        answered.blocking_recv().unwrap()
    }
}

impl Peers for KnownPeers {
    fn one(&self, address: Address) -> Pin<Box<dyn Future<Output = Option<PeerStatus>> + Send + '_>> {
        let known = self.all.iter().find(|peer| peer.address == address);
        Box::pin(async move { known.cloned() })
    }

    fn some(&self, addresses: &[Address]) -> BTreeMap<Address, PeerStatus> {
        let wanted =
            self.all().iter().filter(|peer| addresses.contains(&peer.address)).cloned().collect::<Vec<_>>();
        wanted.into_iter().map(|peer| (peer.address, peer)).collect()
    }

    fn after(&self, last: Option<Address>, limit: usize) -> Result<Vec<PeerStatus>, NodeEnded> {
        let follows = |peer: &&PeerStatus| last.is_none_or(|last| peer.address > last);
        let page: Vec<_> = self.all().iter().filter(follows).take(limit).cloned().collect();
        let shown = self.shown.fetch_add(page.len(), Ordering::SeqCst);
        if self.ends_after.is_some_and(|most| shown >= most) { Err(NodeEnded) } else { Ok(page) }
    }

    fn each(&self, look: &mut dyn FnMut(&PeerStatus)) -> Result<(), NodeEnded> {
        self.looking.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.lock().unwrap());
        self.all().iter().for_each(look);
        if self.ends_after.is_some() { Err(NodeEnded) } else { Ok(()) }
    }
}
