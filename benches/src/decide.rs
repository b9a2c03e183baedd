//! What answering a member costs, however many others there are; and what finding a free address costs, however few
//! are left.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::sync::Arc;

use benches::identity;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ctl_core::addresses::{Occupied, assign};
use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::{Pool, Route};
use ctl_core::{
    ConfigRequest, Decision, Member, Memo, Network, RequestKind, Snapshot, UnsignedConfig, decide,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zt_crypto::IdentitySecret;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, Timestamp};

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);
const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// First address of all pools, 10.0.0.0.
const BASE: u32 = 0x0a00_0000;

/// Returns a network that assigns from the whole of `10.0.0.0/bits`.
fn network(bits: u8) -> Network {
    let hosts = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
    let ip = |bits: u32| IpAddr::from(Ipv4Addr::from_bits(bits));
    let target = format!("10.0.0.0/{bits}").parse().expect("a prefix");
    let mut network = Network::new(NETWORK, NOW);
    network.v4_assign.pool = true;
    network.routes = vec![Route { target, via: None }];
    network.pools = vec![Pool { first: ip(BASE + 1), last: ip(BASE + hosts - 1) }];
    network
}

/// Returns the addresses of `count` members, scattered over a /8 as they would be.
fn scattered(count: u32) -> Occupied {
    (0..count)
        .map(|number| IpAddr::from(Ipv4Addr::from_bits(BASE | number.wrapping_mul(0x9e_3779) & 0xff_ffff)))
        .collect()
}

/// Returns a member that was admitted before; without an address it will be given one.
fn member(ip: Option<IpAddr>) -> Member {
    let mut member = Member::new(NETWORK, identity().address, NOW);
    member.identity = Some(identity());
    member.authorize(Credential::Api, NOW);
    member.version = Some(ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 });
    member.ip_assignments = ip.into_iter().collect();
    member
}

fn request() -> ConfigRequest {
    let metadata = "v=7\nvend=1\npv=c\nmajv=1\nminv=e\nrevv=1\nrevr=1";
    let metadata = RequestMetadata::parse(metadata.as_bytes());
    ConfigRequest { network: NETWORK, identity: identity(), metadata, kind: RequestKind::Request }
}

fn snapshot(member: Member, occupied: Occupied) -> Snapshot {
    Snapshot {
        network: Arc::new(network(8)),
        member: Some(member),
        bridges: [].into(),
        occupied: Arc::new(occupied),
    }
}

fn admitted(snapshot: &Snapshot, now: Timestamp) -> UnsignedConfig {
    match decide(Some(snapshot), &request(), now) {
        Decision::Admit { config, .. } => *config,
        Decision::Refuse { refusal, .. } => unreachable!("{refusal:?}"),
    }
}

/// How `decide` goes with the size of the network: not at all.
fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let request = request();
    for members in [1, 100, 10_000, 1_000_000] {
        let known = snapshot(member(Some([10, 0, 0, 77].into())), scattered(members));
        group.bench_function(BenchmarkId::new("known member", members), |bencher| {
            bencher.iter(|| decide(Some(black_box(&known)), &request, NOW));
        });
        let joining = snapshot(member(None), scattered(members));
        group.bench_function(BenchmarkId::new("new member, with address", members), |bencher| {
            bencher.iter(|| decide(Some(black_box(&joining)), &request, NOW));
        });
    }
    group.finish();
}

fn issuing(criterion: &mut Criterion) {
    let secret = IdentitySecret::generate(&mut ChaCha20Rng::from_seed([7; 32]));
    let snapshot = snapshot(member(Some([10, 0, 0, 77].into())), Occupied::default());
    let config = admitted(&snapshot, NOW);
    let mut group = criterion.benchmark_group("issue");
    group.bench_function("sign and write, without memo", |bencher| {
        bencher.iter(|| config.issue(black_box(&secret)))
    });
    // Each second a configuration is too old to be sent again.
    group.bench_function("memo, miss", |bencher| {
        let memo = Memo::new();
        let mut now = NOW;
        bencher.iter(|| {
            now = now.plus_millis(3_600_000);
            memo.issue(&admitted(&snapshot, now), &secret)
        });
    });
    let memo = Memo::new();
    group.bench_function("memo, hit", |bencher| bencher.iter(|| memo.issue(black_box(&config), &secret)));
    let issued = config.issue(&secret).expect("it is short");
    group.bench_function("chunks", |bencher| {
        bencher.iter(|| issued.reply(black_box(NonZeroU64::MIN), &secret))
    });
    group.bench_function("decide, memo hit and chunks", |bencher| {
        bencher.iter(|| {
            let config = admitted(black_box(&snapshot), NOW);
            memo.issue(&config, &secret).map(|issued| issued.reply(NonZeroU64::MIN, &secret))
        });
    });
    group.finish();
}

/// How the search goes with the fill of the pool: O(log n).
fn assigning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assign");
    let member = Member { address: Address::from_low_bits(0x12_3456_789a), ..member(None) };
    for bits in [16_u8, 8] {
        let network = network(bits);
        let size = u64::from(u32::MAX.checked_shr(bits.into()).unwrap_or(0)) + 1;
        for per_myriad in [0, 5000, 9900, 9999] {
            let held = (0..size).filter(|number| {
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff_ffff < (per_myriad << 32) / 10_000
            });
            let held =
                held.map(|number| Ipv4Addr::from_bits(BASE + u32::try_from(number).unwrap_or(0)).into());
            let occupied: Occupied = held.collect();
            let name = format!("/{bits}, {}.{:02} % full", per_myriad / 100, per_myriad % 100);
            group.bench_function(name, |bencher| {
                bencher.iter(|| assign(&network, &member, black_box(&occupied)))
            });
        }
    }
    group.finish();
}

criterion_group!(all, decisions, issuing, assigning);
criterion_main!(all);
