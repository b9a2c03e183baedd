//! The crate against the vectors of the reference implementation, through its public interface.

mod agreement;
mod armor;
mod identities;
mod signatures;
mod vectors;
