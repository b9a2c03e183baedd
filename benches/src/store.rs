//! The store: one member, a page, commits alone and together; then how long a start takes, and how much memory.
//!
//! `cargo bench -p benches --bench store` runs all, `-- --quick 'read'` the short ones by name. Starts are measured in
//! processes of their own, with as many members as `STORE_MEMBERS` says (`10000,100000,1000000`).

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use benches::identity;
use criterion::{Criterion, Throughput, criterion_group};
use ctl_core::network::{Pool, V4Assign};
use ctl_core::{Member, Network};
use ctl_store::{AuditEntry, Store, StoreError};
use tempfile::TempDir;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

const NETWORK: NetworkId = NetworkId(0x8056_c2e2_1c00_0001);
const NOW: Timestamp = Timestamp(1_795_356_830_104);
/// Where a process that measures a start finds its database.
const PATH_VARIABLE: &str = "STORE_BENCH_PATH";
const MEMBERS_VARIABLE: &str = "STORE_MEMBERS";

criterion_group!(short, reads, commits, joins);

fn main() {
    if let Some(path) = std::env::var_os(PATH_VARIABLE) {
        return measure_start(Path::new(&path));
    }
    short();
    Criterion::default().configure_from_args().final_summary();
    if std::env::args().any(|argument| argument == "--quick" || argument == "--test") {
        return;
    }
    let members = std::env::var(MEMBERS_VARIABLE).unwrap_or_else(|_| "10000,100000,1000000".to_owned());
    println!("members | made in | file | open | known member | new member | memory");
    for members in members.split(',').filter_map(|number| number.parse().ok()) {
        start(members);
    }
}

fn reads(criterion: &mut Criterion) {
    let (_directory, path) = database(100_000);
    let store = Store::open(&path).expect("a database");
    let mut group = criterion.benchmark_group("read of 100,000 members");
    let mut number = 0;
    group.bench_function("one member", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % 100_000;
            store.read(|tx| tx.members().get(NETWORK, address(number))).expect("a member")
        });
    });
    group.bench_function("what a decision needs", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % 100_000;
            store.read(|tx| tx.snapshot(NETWORK, address(number))).expect("a snapshot")
        });
    });
    group.bench_function("page of 100", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % 99_900;
            store.read(|tx| tx.members().page(NETWORK, Some(address(number)), 100)).expect("a page")
        });
    });
    group.bench_function("addresses and revisions of all", |bencher| {
        bencher.iter(|| store.read(|tx| tx.members().revisions(NETWORK)).expect("revisions"));
    });
    group.finish();
}

/// New members of a public network by callers that each wait until theirs is on the disk, with their entries in the audit
/// log, as the controller writes them.
fn joins(criterion: &mut Criterion) {
    const WRITES: u64 = 512;
    let (_directory, path) = database(10_000);
    let store = Store::open(&path).expect("a database");
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(WRITES)).sample_size(10);
    let mut next = 1_000_000;
    for (name, is_logged) in [("64 callers, no audit log", false), ("64 callers", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                next += WRITES;
                thread::scope(|scope| {
                    for caller in 0..64 {
                        let (store, first) = (&store, next + caller * WRITES / 64);
                        scope.spawn(move || {
                            for number in first..first + WRITES / 64 {
                                let member = member(number);
                                let entry = joined(&member);
                                let write = store.write(|tx| {
                                    tx.members().put(&member)?;
                                    if is_logged {
                                        tx.audit().add_caused(&entry)?;
                                    }
                                    Ok::<_, StoreError>(())
                                });
                                write.expect("a commit");
                            }
                        });
                    }
                });
            });
        });
    }
    group.finish();
}

fn joined(member: &Member) -> AuditEntry {
    let identity = member.identity.map(|identity| identity.to_string()).unwrap_or_default();
    AuditEntry {
        time: NOW,
        actor: member.address.to_string(),
        action: "member.create",
        network: Some(NETWORK),
        member: Some(member.address),
        before: None,
        after: Some(format!(
            "{{\"authorized\":true,\"identity\":\"{identity}\",\"ipAssignments\":[\"10.0.0.1\"],\
             \"lastAuthorizedCredentialType\":\"public\"}}"
        )),
    }
}

/// Changes of members by callers that each wait until theirs is on the disk.
fn commits(criterion: &mut Criterion) {
    const WRITES: u64 = 256;
    let (_directory, path) = database(10_000);
    let store = Store::open(&path).expect("a database");
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(WRITES)).sample_size(10);
    for callers in [1, 8, 64] {
        group.bench_function(format!("{callers} callers"), |bencher| {
            let mut round = 0;
            bencher.iter(|| {
                round += 1;
                thread::scope(|scope| {
                    for caller in 0..callers {
                        let store = &store;
                        scope.spawn(move || {
                            for write in 0..WRITES / callers {
                                let changed = Member { revision: round, ..member(caller * 64 + write) };
                                store.write(|tx| tx.members().put(&changed)).expect("a commit");
                            }
                        });
                    }
                });
            });
        });
    }
    group.finish();
}

fn start(members: u64) {
    let begun = now();
    let (_directory, path) = database(members);
    let made = begun.elapsed();
    let size = fs::metadata(&path).map_or(0, |found| found.len());
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).env(PATH_VARIABLE, &path).output().expect("a child");
    let measured = String::from_utf8_lossy(&output.stdout);
    println!("{members} | {:.1} s | {} MiB | {}", made.as_secs_f64(), size >> 20, measured.trim());
}

fn measure_start(path: &Path) {
    let begun = now();
    let store = Store::open(path).expect("a database");
    let opened = begun.elapsed();
    let step = |address| {
        let begun = now();
        let snapshot = store.read(|tx| tx.snapshot(NETWORK, address)).expect("a snapshot");
        black_box(snapshot);
        begun.elapsed()
    };
    let (known, new) = (step(address(77)), step(Address::from_low_bits(0xff_0000_0001)));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("unknown").trim();
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    println!("{} | {} | {} | {memory}", millis(opened), millis(known), millis(new));
}

/// Makes a database with one network of so many members, each with an identity and an address from its pool.
fn database(members: u64) -> (TempDir, PathBuf) {
    const AT_ONCE: u64 = 10_000;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("controller.db");
    let store = Store::open(&path).expect("a database");
    let mut network = Network::new(NETWORK, NOW);
    network.private = false; // else a new member gets no address
    network.v4_assign = V4Assign { pool: true };
    network.pools = vec![Pool { first: ip(0), last: ip(0xff_fffe) }];
    network.routes =
        vec![ctl_core::network::Route { target: "10.0.0.0/8".parse().expect("valid"), via: None }];
    store.write(|tx| tx.networks().put(&network)).expect("a network");
    for first in (0..members).step_by(10_000) {
        let batch = first..members.min(first + AT_ONCE);
        let put =
            store.write(|tx| batch.into_iter().try_for_each(|number| tx.members().put(&member(number))));
        put.expect("members");
    }
    (directory, path)
}

fn member(number: u64) -> Member {
    let address = address(number);
    Member {
        revision: 1,
        authorized: true,
        name: Some(format!("member {number}")),
        identity: Some(PublicIdentity { address, ..identity() }),
        ip_assignments: vec![ip(u32::try_from(number).expect("a small number"))],
        ..Member::new(NETWORK, address, NOW)
    }
}

/// Spreads the members over all addresses, as chance does.
fn address(number: u64) -> Address {
    Address::from_low_bits(1 + number.wrapping_mul(0x9e_3779_b97f) % 0xfe_ffff_ffff)
}

fn ip(host: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + host).into()
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    Instant::now()
}
