//! The crate against the vectors of the reference implementation, through its public interface.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that panics fails its test, as it should"
)]

mod agreement;
mod api;
mod armor;
mod credentials;
mod identities;
mod session;
mod signatures;
mod vectors;
#[cfg(feature = "json")]
mod world_description;
mod wycheproof;
