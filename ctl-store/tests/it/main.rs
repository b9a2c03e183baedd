//! Tests of the store through its public interface, a module a behaviour.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod addresses;
mod aftermath;
mod backup;
mod concurrency;
mod crash;
mod damage;
#[cfg(target_os = "linux")]
mod faults;
mod identity;
mod migrations;
mod occupied;
mod open;
mod operations;
#[cfg(target_os = "linux")]
mod power_loss;
mod removal;
mod round_trip;
mod sample;
mod sightings;
#[cfg(target_os = "linux")]
mod small_disk;
mod snapshot;
mod transactions;
mod transfer;
