//! Flow rules: how many frames one core judges, and what compiling a source costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ctl_core::rules::compile;
use ctl_core::rules::evaluate::{Client, Credentials, Direction, Frame, Settings, View, evaluate_side};
use zt_proto::{Address, Mac, NetworkId};

/// Rules of the table that is measured; the frame is accepted by its last ones.
const RULES: usize = 50;

/// A table of closed ports, each a match by protocol, a match by port and a drop; then one accept.
fn source() -> String {
    let mut source = String::new();
    for port in 0..RULES / 3 {
        writeln!(source, "drop ipprotocol tcp and dport {};", 10_000 + port)
            .expect("a String takes everything");
    }
    source + "accept;\n"
}

fn evaluate(criterion: &mut Criterion) {
    let source = source();
    let compiled = compile(&source).expect("the source is correct");
    let rules = compiled.base.rules;
    let tags = BTreeMap::new();
    let credentials = Credentials { tags: &tags, capabilities: &[], addresses: &[], macs: &[] };
    let network = NetworkId(0x7d82_73c3_5800_0001);
    let (sender, receiver) = (Address::from_low_bits(0x11_2233_4455), Address::from_low_bits(0x55_4433_2211));
    let view = View {
        direction: Direction::Outbound,
        own: sender,
        source: sender,
        dest: receiver,
        credentials,
        other: Some(credentials),
        assigned: &[],
        settings: Settings { network, ndp_emulation: false, unsupported_matches: false },
        client: Client::default(),
    };
    let mut payload = [0; 60];
    // IPv4 without options, TCP, from port 40000 to 443.
    for (at, byte) in [(0, 0x45), (9, 6), (20, 0x9c), (21, 0x40), (22, 0x01), (23, 0xbb)] {
        if let Some(place) = payload.get_mut(at) {
            *place = byte;
        }
    }
    let (from, to) = (Mac::of_member(network, sender), Mac::of_member(network, receiver));
    let frame = Frame::new(from, to, 0x0800, 0, &payload);
    let mut group = criterion.benchmark_group("rules");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("evaluate a table of {}", rules.len()), |bencher| {
        bencher.iter(|| evaluate_side(&rules, black_box(&view), black_box(&frame), true, &mut || 0, &mut ()));
    });
    group.bench_function("compile its source", |bencher| bencher.iter(|| compile(black_box(&source))));
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
