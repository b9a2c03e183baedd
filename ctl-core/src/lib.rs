//! Domain types and pure policy of a ZeroTier network controller: who gets which network configuration.
//!
//! Nothing here knows a packet, a socket, a database row or a clock; what a function needs is its argument.

pub mod change;
pub mod member;
pub mod network;

pub use change::Change;
pub use member::Member;
pub use network::Network;
