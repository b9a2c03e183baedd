//! Reading what arrives.

use std::hint::black_box;

use benches::{identity, packet};
use criterion::{Criterion, criterion_group, criterion_main};
use zt_proto::config::NetworkConfig;
use zt_proto::packet::{Datagram, PAYLOAD_OFFSET};
use zt_proto::verb::hello::{Hello, NodeVersion, parse_moons, write_moons};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata, SoftwareVersion};
use zt_proto::verb::{Message, Verb};
use zt_proto::world::WorldVersion;
use zt_proto::{NetworkId, Timestamp};

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let hello = hello();
    group.bench_function("packet header", |bencher| {
        bencher.iter(|| Datagram::classify(black_box(&hello)).is_ok());
    });
    let payload = hello.get(PAYLOAD_OFFSET..).expect("a payload");
    group.bench_function("HELLO", |bencher| {
        bencher.iter(|| {
            let hello = Hello::parse(black_box(payload)).expect("a HELLO");
            parse_moons(hello.tail).map(Iterator::count)
        });
    });
    group.bench_function("HELLO as message", |bencher| {
        bencher.iter(|| Message::parse(Verb::HELLO, black_box(payload)).is_ok());
    });
    let request = request();
    group.bench_function("configuration request", |bencher| {
        bencher.iter(|| NetworkConfigRequest::parse(black_box(&request)).is_ok());
    });
    group.bench_function("configuration request and its metadata", |bencher| {
        bencher.iter(|| {
            let request = NetworkConfigRequest::parse(black_box(&request)).expect("a request");
            RequestMetadata::parse(request.metadata)
        });
    });
    let config = NetworkConfig::parse(b"v=7\nnwid=8056c2e21c000001\nid=1122334455\nn=net\nR=\x01\\0")
        .expect("valid")
        .write();
    group.bench_function("small configuration", |bencher| {
        bencher.iter(|| NetworkConfig::parse(black_box(&config)).is_ok());
    });
    group.finish();
}

fn hello() -> Vec<u8> {
    let version = WorldVersion { id: 149_604_618, timestamp: Timestamp(1_644_592_324_813) };
    let mut tail = Vec::new();
    write_moons(&[version], &mut tail);
    let hello = Hello {
        version: NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 },
        timestamp: Timestamp(1_700_000_000_000),
        identity: identity(),
        destination: "192.0.2.1:9993".parse().ok(),
        planet: Some(version),
        tail: &tail,
    };
    let mut payload = Vec::new();
    hello.write(&mut payload);
    packet(Verb::HELLO, &payload)
}

fn request() -> Vec<u8> {
    let metadata = RequestMetadata {
        config_version: 7,
        protocol: 12,
        vendor: 1,
        software: SoftwareVersion { major: 1, minor: 14, revision: 1 },
        max_rules: 1024,
        max_capabilities: 128,
        max_capability_rules: 64,
        max_tags: 128,
        rules_engine: 1,
        platform: "linux/x86_64".to_owned(),
        ..RequestMetadata::default()
    };
    let metadata = metadata.write();
    let request = NetworkConfigRequest {
        network: NetworkId(0x8056_c2e2_1c00_0001),
        metadata: &metadata,
        have_revision: 1,
        have_timestamp: Timestamp(1_700_000_000_000),
    };
    let mut payload = Vec::new();
    request.write(&mut payload);
    payload
}

criterion_group!(benches, parsing);
criterion_main!(benches);
