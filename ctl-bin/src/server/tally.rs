//! What the controller has done since its start, as `/metrics` shows it.

use ctl_http::metrics::{ChangeCounters, Metrics, counter, gauge};
use prometheus::{Error, IntCounter, IntGauge};

/// The figures of a controller; each can be counted up from any thread.
#[derive(Debug)]
pub(super) struct Tally {
    /// Requests that were decided on, and configurations prepared for a push.
    pub decisions: IntCounter,
    /// Requests that are being answered.
    pub answering: IntGauge,
    /// Requests that wait for that.
    pub waiting: IntGauge,
    pub pushes: IntCounter,
    pub repeated_pushes: IntCounter,
    pub acknowledged_pushes: IntCounter,
    pub revocation_packets: IntCounter,
    /// Requests that could not be answered because the database cannot be written.
    pub dropped: IntCounter,
    /// Configurations decided on without an address, as the pools have none left.
    pub without_address: IntCounter,
    pub changes: ChangeCounters,
}

impl Tally {
    /// Registers the figures.
    ///
    /// # Errors
    /// If one of them is registered already.
    pub(super) fn new(metrics: &Metrics) -> Result<Self, Error> {
        let registry = metrics.registry();
        let counter = |name, help| counter(registry, name, help);
        Ok(Self {
            decisions: counter("controller_network_config_request", "configurations decided on")?,
            answering: gauge(
                registry,
                "controller_network_config_request_threads",
                "requests that are being answered",
            )?,
            waiting: gauge(
                registry,
                "controller_network_config_request_queue",
                "requests that wait to be answered",
            )?,
            pushes: counter("ctl_pushes_total", "configurations and refusals sent unasked")?,
            repeated_pushes: counter(
                "ctl_pushes_repeated_total",
                "those that were not acknowledged in time",
            )?,
            acknowledged_pushes: counter("ctl_pushes_acknowledged_total", "those that were acknowledged")?,
            revocation_packets: counter("ctl_revocation_packets_total", "packets of revocations sent")?,
            dropped: counter(
                "ctl_requests_dropped_total",
                "requests not answered because the database cannot be written",
            )?,
            without_address: counter(
                "ctl_configs_without_address_total",
                "configurations decided on without an address since the pools of the network have none left",
            )?,
            changes: metrics.changes.clone(),
        })
    }
}
