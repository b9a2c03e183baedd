//! `/metrics`: what the controller and its node do, as text for Prometheus (`http-api.md` §12, `docs/metrics.md`).
//!
//! Counters are registered once and counted where things happen; what the node publishes and what the database holds is
//! read when somebody asks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tracing::error;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::Address;
use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;

use crate::error::ApiError;
use crate::extract::{self, reading, segment};
use crate::status::{NodeStatus, PeerStatus};
use crate::{Shared, State, with};

/// Peers with series of their own; strangers become peers as well. `ctl_peers` counts all.
pub const MAX_PEER_SERIES: usize = 4096;
/// What Prometheus expects to be told of its text format.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Milliseconds, as in the original.
const LATENCY_BUCKETS: [f64; 10] = [1.0, 3.0, 6.0, 10.0, 30.0, 60.0, 100.0, 300.0, 600.0, 1000.0];

/// What is counted; clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub changes: ChangeCounters,
    responses: IntCounterVec,
    latencies: Arc<Mutex<Latencies>>,
}

/// Changes of records that were saved, by the API and by what members do.
#[derive(Debug, Clone)]
pub struct ChangeCounters {
    pub networks: IntCounter,
    pub members: IntCounter,
    pub authorized: IntCounter,
    pub deauthorized: IntCounter,
}

impl ChangeCounters {
    /// Counts the change of a member that was and now is authorized or not.
    pub fn count_member(&self, was_authorized: bool, is_authorized: bool) {
        self.members.inc();
        match (was_authorized, is_authorized) {
            (false, true) => self.authorized.inc(),
            (true, false) => self.deauthorized.inc(),
            (true, true) | (false, false) => {}
        }
    }
}

impl Metrics {
    /// Begins to count.
    ///
    /// # Errors
    /// If a name is not one or is there twice, which is a fault of this program.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let changes = ChangeCounters {
            networks: counter(&registry, "controller_network_change_count", "changes of networks")?,
            members: counter(&registry, "controller_member_change_count", "changes of members")?,
            authorized: counter(&registry, "controller_member_auth_count", "members that were authorized")?,
            deauthorized: counter(
                &registry,
                "controller_member_deauth_count",
                "members that were de-authorized",
            )?,
        };
        let responses = Opts::new("ctl_http_responses_total", "answers of the API by status");
        let responses = registered(&registry, IntCounterVec::new(responses, &["code"])?)?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self { registry, changes, responses, latencies: Arc::new(Mutex::new(Latencies::new()?)) })
    }

    /// Where other parts of the program register what they count.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn count_response(&self, status: StatusCode) {
        self.responses.with_label_values(&[status.as_str()]).inc();
    }

    /// Writes everything down. `records` is how many networks and members are stored, if that could be read.
    fn write(
        &self,
        node: &NodeStatus,
        peers: &[PeerStatus],
        records: Option<Records>,
    ) -> Result<String, prometheus::Error> {
        let snapshot = Registry::new();
        add_records(&snapshot, records)?;
        add_node(&snapshot, node)?;
        add_peers(&snapshot, peers)?;
        let latencies = {
            let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.observe(peers)?;
            latencies.histogram.collect()
        };
        let mut families = self.registry.gather();
        families.extend(snapshot.gather());
        families.extend(latencies.into_iter().filter(|family| !family.get_metric().is_empty()));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families)
    }
}

/// How many networks and members are stored.
#[derive(Debug, Clone, Copy)]
struct Records {
    networks: u64,
    members: u64,
}

/// Returns a counter that is registered.
///
/// # Errors
/// If the name is not one or is there already.
pub fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    registered(registry, IntCounter::new(name, help)?)
}

/// Returns a gauge that is registered.
///
/// # Errors
/// If the name is not one or is there already.
pub fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    registered(registry, IntGauge::new(name, help)?)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn set(gauge: &IntGauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}

fn add_records(registry: &Registry, records: Option<Records>) -> Result<(), prometheus::Error> {
    let readable = gauge(registry, "ctl_database_readable", "1 if the database could be read just now")?;
    set(&readable, u8::from(records.is_some()));
    if let Some(Records { networks, members }) = records {
        set(&gauge(registry, "controller_network_count", "networks on record")?, networks);
        set(&gauge(registry, "controller_member_count", "members on record, authorized or not")?, members);
    }
    Ok(())
}

fn add_node(registry: &Registry, node: &NodeStatus) -> Result<(), prometheus::Error> {
    set(&gauge(registry, "zt_num_networks", "networks that this node has joined: none")?, 0);
    set(&gauge(registry, "ctl_online", "1 if a root answers")?, u8::from(node.online));
    set(&gauge(registry, "ctl_peers", "nodes that this node knows now")?, node.peer_count);
    let bytes = counters(registry, "zt_data", "bytes in UDP packets", &["direction", "protocol"])?;
    let packets = counters(registry, "zt_packet", "packets by what they are", &["direction", "packet_type"])?;
    let errors =
        counters(registry, "zt_packet_error", "packets of type error", &["direction", "error_type"])?;
    for (direction, flow) in [("rx", &node.received), ("tx", &node.sent)] {
        bytes.with_label_values(&[direction, "udp"]).inc_by(flow.bytes);
        for (verb, count) in &flow.packets {
            packets.with_label_values(&[direction, &packet_type(*verb)]).inc_by(*count);
        }
        for (code, count) in &flow.errors {
            errors.with_label_values(&[direction, &error_type(*code)]).inc_by(*count);
        }
    }
    Ok(())
}

fn add_peers(registry: &Registry, peers: &[PeerStatus]) -> Result<(), prometheus::Error> {
    let paths = Opts::new("zt_peer_path_count", "addresses of a peer that are in use or no longer are");
    let paths = registered(registry, IntGaugeVec::new(paths, &["node_id", "status"])?)?;
    let packets =
        counters(registry, "zt_peer_packets", "packets from and to a peer", &["direction", "node_id"])?;
    let errors = counters(
        registry,
        "zt_peer_packet_errors",
        "packets that claimed to be from a peer and were not",
        &["node_id"],
    )?;
    for peer in peers {
        let node = peer.address.to_string();
        let alive = peer.paths.iter().filter(|path| !path.expired).count();
        set(&paths.with_label_values(&[node.as_str(), "alive"]), alive);
        set(&paths.with_label_values(&[node.as_str(), "dead"]), peer.paths.len().saturating_sub(alive));
        packets.with_label_values(&["rx", &node]).inc_by(peer.packets_received);
        packets.with_label_values(&["tx", &node]).inc_by(peer.packets_sent);
        errors.with_label_values(&[&node]).inc_by(peer.packets_broken);
    }
    Ok(())
}

/// Returns what the original calls a verb.
fn packet_type(verb: Verb) -> String {
    match verb {
        Verb::QOS_MEASUREMENT => "qos".to_owned(),
        _ => verb.name().map_or_else(|| "other".to_owned(), str::to_lowercase),
    }
}

/// Returns what the original calls an error code.
fn error_type(code: ErrorCode) -> String {
    match code {
        ErrorCode::OBJECT_NOT_FOUND => "obj_not_found".to_owned(),
        ErrorCode::NETWORK_AUTHENTICATION_REQUIRED => "authentication_required".to_owned(),
        _ => code.name().map_or_else(|| "other".to_owned(), str::to_lowercase),
    }
}

/// The latencies of the peers, as they were whenever somebody asked.
struct Latencies {
    histogram: HistogramVec,
    /// Those with a series.
    peers: BTreeSet<Address>,
}

impl Latencies {
    fn new() -> Result<Self, prometheus::Error> {
        let options =
            HistogramOpts::new("zt_peer_latency", "latency of a peer in ms, as it was at each scrape")
                .buckets(LATENCY_BUCKETS.to_vec());
        Ok(Self { histogram: HistogramVec::new(options, &["node_id"])?, peers: BTreeSet::new() })
    }

    /// Takes the latencies of now, and forgets peers that are gone.
    fn observe(&mut self, peers: &[PeerStatus]) -> Result<(), prometheus::Error> {
        let measured = |peer: &PeerStatus| peer.latency_ms.map(|latency| (peer.address, latency));
        let now: Vec<_> = peers.iter().filter_map(measured).collect();
        let here: BTreeSet<_> = peers.iter().map(|peer| peer.address).collect();
        for gone in self.peers.difference(&here) {
            self.histogram.remove_label_values(&[&gone.to_string()])?;
        }
        self.peers.retain(|peer| here.contains(peer));
        for (peer, latency) in now {
            let histogram: Histogram = self.histogram.with_label_values(&[&peer.to_string()]);
            histogram.observe(f64::from(latency));
            self.peers.insert(peer);
        }
        Ok(())
    }
}

/// `GET /metrics`: everything that is counted. The token of the metrics suffices, and the source address does not matter.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    segment("metrics")
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| {
            let written = tokio::task::spawn_blocking(move || state.write_metrics()).await;
            match written {
                Ok(Ok(text)) => extract::written(MEDIA_TYPE, StatusCode::OK, text.into_bytes()),
                Ok(Err(fault)) => {
                    error!(%fault, "metrics cannot be written");
                    extract::empty(StatusCode::INTERNAL_SERVER_ERROR)
                }
                Err(fault) => ApiError::Task(fault).into_response(),
            }
        })
        .boxed()
}

impl State {
    fn write_metrics(&self) -> Result<String, prometheus::Error> {
        let records = self.api.store.read(|tx| {
            let (networks, members) = (tx.networks().count()?, tx.members().count()?);
            Ok::<_, ctl_store::StoreError>(Records { networks, members })
        });
        // Whoever watches wants to see all the rest just when the database fails.
        let peers = self.api.peers.after(None, MAX_PEER_SERIES).unwrap_or_default();
        self.api.metrics.write(&self.node(), &peers, records.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::PeerRole;

    #[test]
    fn packets_and_errors_have_the_names_of_the_original() {
        for (verb, name) in [(Verb::HELLO, "hello"), (Verb::QOS_MEASUREMENT, "qos"), (Verb(0x1f), "other")] {
            assert_eq!(packet_type(verb), name);
        }
        for (code, name) in [
            (ErrorCode::OBJECT_NOT_FOUND, "obj_not_found"),
            (ErrorCode::NETWORK_ACCESS_DENIED, "network_access_denied"),
            (ErrorCode::NETWORK_AUTHENTICATION_REQUIRED, "authentication_required"),
            (ErrorCode(0xff), "other"),
        ] {
            assert_eq!(error_type(code), name);
        }
    }

    /// `known-flaws.md` row 18: whoever comes and goes leaves nothing.
    #[test]
    fn peer_that_is_gone_leaves_no_latency() {
        let peer = |address, latency_ms| PeerStatus {
            address: Address::from_low_bits(address),
            latency_ms,
            role: PeerRole::Leaf,
            version: None,
            paths: Vec::new(),
            packets_received: 0,
            packets_sent: 0,
            packets_broken: 0,
        };
        let mut latencies = Latencies::new().unwrap();
        let samples = |latencies: &Latencies| {
            let families = latencies.histogram.collect();
            let metrics = families.iter().flat_map(|family| family.get_metric());
            metrics.map(|metric| metric.get_histogram().get_sample_count()).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            latencies.observe(&[peer(1, Some(5)), peer(2, None)]).unwrap();
        }
        assert_eq!(samples(&latencies), [2]);
        latencies.observe(&[peer(2, Some(7))]).unwrap();
        assert_eq!((samples(&latencies), latencies.peers.len()), (vec![1], 1));
    }
}
