//! A controller whose node does nothing, and what it is asked.

mod aftermath;
mod audited;
mod cut_short;
mod identities;
mod joining;
mod overtaking;
mod pushed;
mod queue;
mod ready;
mod restarted;
mod together;
mod watched;
mod written;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use ctl_core::Issued;
use ctl_core::member::Credential;
use ctl_core::network::{Pool, Route, V4Assign};
use ctl_core::pending::{MAX_OF_SOURCE, NOTED_EVERY, Source};
use ctl_core::{ConfigRequest, Member, Network, Refusal, RequestKind};
use prometheus::IntCounter;
use rand_core::SeedableRng;
use zt_proto::PublicIdentity;
use zt_proto::config::NetworkConfig;
use zt_proto::verb::network_config_request::RequestMetadata;

use super::super::background::Background;
use super::super::hand_over::Outbox;
use super::super::home::Home;
use super::super::{clock, work};
use super::answer::{Answer, AnswerError};
use super::prepare::Case;
use super::*;
use crate::vl1::{ConfigRequested, RequestId};

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);

impl Controller {
    /// Prepares the answer to a request, or what is pushed.
    fn prepare_for(&self, request: &ConfigRequest, source: Source, now: Now) -> Result<Answer, AnswerError> {
        self.prepare(&Case { about: (), request: request.clone(), source }, now)
    }
}

struct Fixture {
    controller: Controller,
    commands: mpsc::Receiver<Command>,
    now: Now,
}

impl Fixture {
    fn new(store: Store, now: Now) -> Self {
        Self::with_room_for(100_000, store, now)
    }

    /// Its node keeps so many commands.
    fn with_room_for(commands: usize, store: Store, now: Now) -> Self {
        static SECRET: LazyLock<Arc<IdentitySecret>> =
            LazyLock::new(|| Arc::new(IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]))));
        let (node, commands) = mpsc::channel(commands);
        let rng = ChaCha20Rng::from_seed([2; 32]);
        let tally = Tally::new(&ctl_http::Metrics::new().unwrap()).unwrap();
        let told = (tally, Events::new(now.wall));
        let controller =
            Controller::new(Arc::clone(&SECRET), store, rng, (node, Box::new(identities)), told, now)
                .unwrap();
        Self { controller, commands, now }
    }

    /// In memory, with one network.
    fn with_network(private: bool) -> Self {
        let store = Store::in_memory().unwrap();
        put_network(&store, private);
        Self::new(store, clock::now())
    }

    fn at(&self, millis: u64) -> Now {
        Now { mono: self.now.mono + Duration::from_millis(millis), wall: self.now.wall.plus_millis(millis) }
    }

    /// A node asks from `source`.
    fn ask(&self, node: u64, source: Source, now: Now) -> Answer {
        let request = request(node, RequestKind::Request);
        self.controller.prepare_for(&request, source, now).unwrap()
    }

    /// A member asks and is answered, as if it came from the node.
    fn note(&self, node: u64, standing: Standing) {
        let key = (NETWORK, identity(node).address);
        lock(&self.controller.members).note(key, metadata().into(), None, standing, self.now.mono);
    }

    fn put(&self, member: &Member) {
        self.controller.store.write(|tx| tx.members().put(member)).unwrap();
    }

    fn pending(&self) -> Vec<u64> {
        let pending = self.controller.store.read(|tx| tx.pending().list(NETWORK)).unwrap();
        pending.iter().map(|pending| pending.member.to_u64()).collect()
    }

    fn member(&self, node: u64) -> Option<Member> {
        self.controller.store.read(|tx| tx.members().get(NETWORK, identity(node).address)).unwrap()
    }

    /// Sends until nothing is due at once; returns how often the node was woken.
    fn send_all(&mut self) -> usize {
        while self
            .controller
            .send_due()
            .is_some_and(|due| due <= clock::now().mono + Duration::from_millis(500))
        {}
        std::iter::from_fn(|| self.commands.try_recv().ok()).count()
    }

    fn figure(&self, figure: fn(&Tally) -> &IntCounter) -> u64 {
        figure(&self.controller.tally).get()
    }
}

/// A database on disk.
struct OnDisk {
    folder: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn with_network(private: bool) -> Self {
        let disk = Self::new();
        put_network(&disk.open(), private);
        disk
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("controller.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }

    fn fixture(&self) -> Fixture {
        Fixture::new(self.open(), clock::now())
    }

    /// A connection that no rule of the store holds back.
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    /// Length of the write-ahead log: what was ever written makes it longer.
    fn written(&self) -> u64 {
        std::fs::metadata(self.path().with_extension("db-wal")).unwrap().len()
    }
}

fn put_network(store: &Store, private: bool) {
    let network = Network { private, revision: 1, ..Network::new(NETWORK, Timestamp(1)) };
    store.write(|tx| tx.networks().put(&network)).unwrap();
}

/// Puts a public network whose members get the addresses from 10.0.0.1 to `last`.
fn put_network_with_pool(store: &Store, last: Ipv4Addr) {
    let first = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let network = Network {
        private: false,
        revision: 2,
        v4_assign: V4Assign { pool: true },
        routes: vec![Route { target: "10.0.0.0/22".parse().unwrap(), via: None }],
        pools: vec![Pool { first, last: last.into() }],
        ..Network::new(NETWORK, Timestamp(1))
    };
    store.write(|tx| tx.networks().put(&network)).unwrap();
}

fn identity(node: u64) -> PublicIdentity {
    PublicIdentity { address: Address::from_low_bits(node), key: [7; 64] }
}

/// Those of peers, who are all.
fn identities(peers: Vec<Address>) -> Vec<PublicIdentity> {
    peers.into_iter().map(|peer| identity(peer.to_u64())).collect()
}

fn metadata() -> RequestMetadata {
    RequestMetadata::parse(b"v=7\npv=c\nrevr=1")
}

fn request(node: u64, kind: RequestKind) -> ConfigRequest {
    ConfigRequest { network: NETWORK, identity: identity(node), metadata: metadata(), kind }
}

/// The same as it comes from the node.
fn requested(network: NetworkId, node: u64, packet: u64) -> ConfigRequested {
    let identity = identity(node);
    let request = RequestId { from: identity.address, packet };
    ConfigRequested { request, identity, network, metadata: metadata().write(), from: None }
}

fn authorized(node: u64) -> Member {
    let mut member = Member::new(NETWORK, identity(node).address, Timestamp(1));
    member.authorize(Credential::Api, Timestamp(1));
    member
}

/// The physical network number `n`.
fn source(n: u32) -> Source {
    Source::of(Some(IpAddr::V4(Ipv4Addr::from_bits(n << 8))))
}

/// What a member is told that is not refused.
fn config(answer: &Answer) -> NetworkConfig {
    match answer {
        Answer::Config(issued, _) => NetworkConfig::parse(&issued.dictionary()).unwrap(),
        Answer::Refusal(refusal, _) => panic!("refused: {refusal:?}"),
    }
}

fn is_refused(answer: &Answer, with: Refusal) -> bool {
    matches!(answer, Answer::Refusal(refusal, _) if *refusal == with)
}

fn block_on(task: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(task);
}
