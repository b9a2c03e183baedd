//! Wire formats of the ZeroTier protocol: bytes in, typed values out, and back.
//!
//! This crate holds no key and does no I/O. Everything that arrives from the network is read through one
//! checked cursor ([`codec::Reader`]), so no received byte can cause a panic. Everything that leaves is
//! appended to a `Vec<u8>`; `parse` and `write` of one type stand beside each other.
//!
//! | module | content | source |
//! |---|---|---|
//! | [`address`] | node addresses, network ids, MAC addresses, multicast groups | `vl1.md` §1.1–1.4 |
//! | [`inet`] | physical addresses, address scopes, prefixes | `vl1.md` §1.5, §17.4 |
//! | [`time`] | milliseconds since 1970 | |
//! | [`identity`] | the public half of an identity | `vl1.md` §3.5–3.7 |
//! | [`packet`] | headers and fragments, readable without a key | `vl1.md` §6, §7 |
//! | [`compression`] | bounded LZ4 blocks | `vl1.md` §8 |
//! | [`verb`] | the payload of each verb | `vl1.md` §10, `vl2.md` §3, §4 |
//! | [`world`] | planets and moons | `vl1.md` §15 |
//! | [`dictionary`] | `key=value` texts, modern and old | `vl2.md` §2 |
//! | [`config`] | the configuration of a member, for every release | `vl2.md` §5, §8 |
//! | [`rules`] | flow rules | `vl2.md` §6.1 |
//! | [`credential`] | certificates, tags, capabilities, revocations, signatures | `vl2.md` §7 |
//!
//! A received packet goes through these hands: [`packet::Datagram::classify`] says what the datagram is;
//! `zt-crypto` opens the armor; [`verb::Verb::from_byte`] reads the verb byte; [`compression::decompress`] runs if
//! it says so; and the verb's `parse` gives a message that borrows from the packet.

pub mod address;
pub mod codec;
pub mod compression;
pub mod config;
pub mod credential;
pub mod dictionary;
mod hex;
pub mod identity;
pub mod inet;
pub mod packet;
pub mod rules;
pub mod time;
pub mod verb;
pub mod world;

pub use address::{Address, Mac, MulticastGroup, NetworkId};
pub use codec::DecodeError;
pub use identity::PublicIdentity;
pub use inet::IpPrefix;
pub use time::Timestamp;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
