//! The stages of an answer in the order in which they follow each other, measured in one run, so that their ratios say where
//! the time goes: `cargo bench -p benches --bench answer`.
//!
//! What the kernel, the loop of the node and changes of threads take is not in them: `zt-load saturate` shows the whole.

use std::hint::black_box;
use std::num::NonZeroU64;
use std::sync::Arc;

use benches::{identity, packet, session_key};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::Route;
use ctl_core::{
    ConfigRequest, Decision, Member, Memo, Network, RequestKind, Snapshot, UnsignedConfig, decide,
};
use ctl_store::{Store, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tempfile::TempDir;
use zt_crypto::IdentitySecret;
use zt_crypto::armor::{self, Suite};
use zt_proto::verb::Verb;
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp, compression};

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);
const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// As many as the controller answers together.
const TOGETHER: u32 = 16;
const MEMBERS: u32 = 10_000;
/// What a client of 1.14.1 says about itself.
const METADATA: &[u8] = b"v=0000000000000007\nvend=0000000000000001\npv=000000000000000c\nmajv=0000000000000001\n\
    minv=000000000000000e\nrevv=0000000000000001\nmr=0000000000000400\nmc=0000000000000080\nmcr=0000000000000040\n\
    mt=0000000000000080\nf=0000000000000000\nrevr=0000000000000001\no=linux/x86_64";

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    let (key, clear) = (session_key(), packet(Verb::NETWORK_CONFIG_REQUEST, &request_payload()));
    let mut sealed = clear.clone();
    armor::seal(&mut sealed, &key, Suite::AesGmacSiv);
    group.bench_function("01 open the packet", |bencher| {
        // It can be opened once only.
        bencher.iter_batched_ref(
            || sealed.clone(),
            |sealed| armor::open(sealed, &key),
            BatchSize::SmallInput,
        );
    });
    let payload = request_payload();
    group.bench_function("02 parse the request", |bencher| {
        bencher.iter(|| {
            let request = NetworkConfigRequest::parse(black_box(&payload)).expect("a request");
            RequestMetadata::parse(request.metadata)
        });
    });
    let (_directory, store) = database();
    let mut next = 0;
    group.bench_function("03 look the member up", |bencher| {
        bencher.iter(|| {
            next = (next + 7919) % MEMBERS;
            store.read(|tx| tx.members().get(NETWORK, address(next))).expect("a member")
        });
    });
    let snapshot = snapshot(network());
    let request = request();
    group.bench_function("04 decide", |bencher| {
        bencher.iter(|| decide(Some(black_box(&snapshot)), &request, NOW));
    });
    let signer = IdentitySecret::generate(&mut ChaCha20Rng::from_seed([7; 32]));
    let config = decided(&snapshot, NOW);
    group.bench_function("05 certify and write", |bencher| {
        bencher.iter(|| config.issue(black_box(&signer)).expect("it is short"));
    });
    // With the certificates of before: a change of the network, and each time another one.
    let (memo, mut states, mut time) = (Memo::new(), [snapshot.clone(), renamed(&snapshot)], NOW);
    group.bench_function("05 write, with certificates that are good", |bencher| {
        bencher.iter(|| {
            states.rotate_left(1);
            time = time.plus_millis(1);
            memo.issue(&decided(&states[0], time), &signer).expect("it is short")
        });
    });
    let issued = config.issue(&signer).expect("it is short");
    group.bench_function("06 sign a sending", |bencher| {
        bencher.iter(|| issued.sign_sending(black_box(NonZeroU64::MIN), 1, &signer));
    });
    let sending = issued.sign_sending(NonZeroU64::MIN, 1, &signer);
    group.bench_function("07 write the chunks", |bencher| {
        bencher.iter(|| issued.payloads(black_box(&sending)))
    });
    let chunks = issued.payloads(&sending);
    group.bench_function("08 compress", |bencher| {
        bencher.iter(|| chunks.iter().filter_map(|chunk| compression::compress(black_box(chunk))).count());
    });
    let compressed: Vec<_> = chunks.iter().filter_map(|chunk| compression::compress(chunk)).collect();
    let mut answer = packet(Verb::OK, compressed.first().expect("it gets shorter"));
    group.bench_function("09 seal", |bencher| {
        bencher.iter(|| armor::seal(black_box(&mut answer), &key, Suite::AesGmacSiv));
    });
    group.finish();
}

/// What several answers that are made together share.
fn together(criterion: &mut Criterion) {
    let (_directory, store) = database();
    let mut group = criterion.benchmark_group("look 16 members up");
    group.throughput(Throughput::Elements(TOGETHER.into()));
    let mut next = 0;
    let mut some = || {
        next = (next + 7919) % MEMBERS;
        (next..next + TOGETHER).map(address).collect::<Vec<_>>()
    };
    group.bench_function("each in a view of its own", |bencher| {
        bencher.iter(|| {
            for address in some() {
                black_box(store.read(|tx| tx.members().get(NETWORK, address)).expect("a member"));
            }
        });
    });
    group.bench_function("in one view", |bencher| {
        bencher.iter(|| {
            let read = store.read(|tx| {
                some()
                    .into_iter()
                    .map(|address| tx.members().get(NETWORK, address))
                    .collect::<Result<Vec<_>, _>>()
            });
            read.expect("members")
        });
    });
    group.bench_function("by one query", |bencher| {
        bencher.iter(|| store.read(|tx| tx.members().some(NETWORK, &some())).expect("members"));
    });
    group.finish();
}

fn network() -> Network {
    let mut network = Network::new(NETWORK, NOW);
    network.routes = "10.0.0.0/8".parse().map(|target| Route { target, via: None }).into_iter().collect();
    network
}

fn renamed(snapshot: &Snapshot) -> Snapshot {
    let network = Network { name: "another name".to_owned(), ..Network::clone(&snapshot.network) };
    Snapshot { network: Arc::new(network), ..snapshot.clone() }
}

fn known(identity: PublicIdentity, ip: u32) -> Member {
    let mut member = Member::new(NETWORK, identity.address, NOW);
    member.identity = Some(identity);
    member.authorize(Credential::Api, NOW);
    member.version = Some(ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 });
    member.ip_assignments = vec![std::net::Ipv4Addr::from_bits(0x0a00_0001 + ip).into()];
    member
}

fn snapshot(network: Network) -> Snapshot {
    let member = Some(known(identity(), 0));
    Snapshot { network: Arc::new(network), member, bridges: [].into(), occupied: Arc::default() }
}

fn request() -> ConfigRequest {
    let metadata = RequestMetadata::parse(METADATA);
    ConfigRequest { network: NETWORK, identity: identity(), metadata, kind: RequestKind::Request }
}

fn request_payload() -> Vec<u8> {
    let mut payload = Vec::new();
    let (have_revision, have_timestamp) = (1, NOW);
    NetworkConfigRequest { network: NETWORK, metadata: METADATA, have_revision, have_timestamp }
        .write(&mut payload);
    payload
}

fn decided(snapshot: &Snapshot, now: Timestamp) -> UnsignedConfig {
    match decide(Some(snapshot), &request(), now) {
        Decision::Admit { config, .. } => *config,
        Decision::Refuse { refusal, .. } => unreachable!("an authorized member is admitted, not {refusal:?}"),
    }
}

/// Spreads the members over all addresses, as chance does.
fn address(number: u32) -> Address {
    Address::from_low_bits(1 + u64::from(number % MEMBERS).wrapping_mul(0x9e_3779_b97f) % 0xfe_ffff_ffff)
}

fn database() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("controller.db")).expect("a database");
    let fill = store.write(|tx| {
        tx.networks().put(&network())?;
        (0..MEMBERS).try_for_each(|number| {
            let identity = PublicIdentity { address: address(number), ..identity() };
            tx.members().put(&known(identity, number))
        })
    });
    fill.map_err(|error: StoreError| error.to_string()).expect("members");
    (directory, store)
}

criterion_group!(all, stages, together);
criterion_main!(all);
