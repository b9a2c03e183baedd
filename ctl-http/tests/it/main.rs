//! Tests of the API over real HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in a helper fails its test")]

mod api;
mod arbitrary;
mod audit;
mod client;
mod console;
mod departures;
mod lists;
mod local_conf;
mod metrics;
mod pending;
mod rule_tests;
mod rules;
mod server;
mod vectors;
