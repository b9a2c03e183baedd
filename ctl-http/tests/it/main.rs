//! Tests of the API over real HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in a helper fails its test")]

mod api;
mod arbitrary;
mod audit;
mod backups;
mod browser;
mod central;
mod client;
mod console;
mod departures;
mod events;
mod gone;
mod guessing;
mod limits;
mod lists;
mod local_conf;
mod log_levels;
mod metrics;
mod pending;
mod rule_tests;
mod rules;
mod server;
mod tokens;
mod too_long;
mod v2;
mod v2_document;
mod v2_members;
mod vectors;
mod webhooks;
