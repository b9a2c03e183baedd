//! Wire formats of the ZeroTier protocol: bytes in, typed values out, and back.
//!
//! This crate holds no key and does no I/O. Everything that arrives from the network is read through one
//! checked cursor ([`codec::Reader`]), so no received byte can cause a panic. Everything that leaves is
//! appended to a `Vec<u8>`; `parse` and `write` of one type stand beside each other.
//!
//! | module | content | source |
//! |---|---|---|
//! | [`address`] | node addresses, network ids, MAC addresses | `vl1.md` §1.1–1.4 |
//! | [`inet`] | physical addresses, address scopes, prefixes | `vl1.md` §1.5, §17.4 |
//! | [`identity`] | the public half of an identity | `vl1.md` §3.5–3.7 |

pub mod address;
pub mod codec;
pub mod identity;
pub mod inet;
pub mod rules;
pub mod time;

pub use address::{Address, Mac, NetworkId};
pub use codec::DecodeError;
pub use identity::PublicIdentity;
pub use inet::IpPrefix;
pub use time::Timestamp;
