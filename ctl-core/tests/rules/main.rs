//! Flow rules as a whole: against what the official compiler and clients do, and against models of themselves.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod arbitrary;
mod compile;
mod diagnostics;
mod evaluate;
mod guide;
mod json;
mod layout;
mod path;
mod roundtrip;
mod scenarios;
