//! Policy as a whole: against what the reference recorded, and against models of what it must be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod addresses;
mod arbitrary;
mod credentials;
mod decisions;
mod fields;
mod golden;
mod legacy;
mod memo;
mod records;
