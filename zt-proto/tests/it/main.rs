//! Holds the wire formats to recorded bytes (`testdata/`, described in the READMEs there) and to properties.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that panics fails its test, as it should"
)]
#![expect(clippy::let_underscore_must_use, reason = "robustness tests only ask for the absence of panics")]

mod api;
mod compression;
mod config;
mod credential;
mod dictionary;
mod fragment;
mod generators;
mod hello;
mod identity;
mod inet;
mod legacy;
mod limits;
mod robustness;
mod round_trip;
mod rules;
mod session;
mod vectors;
mod world;
