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
//! `vl1.md` and `vl2.md` are the two parts of the protocol's description from which this was written: packets between
//! nodes, and virtual networks on top of them. Their sections are named so that code and description can be compared.
//!
//! A received packet goes through these hands: [`packet::Datagram::classify`] says what the datagram is;
//! `zt-crypto` opens the armor; [`verb::Verb::from_byte`] reads the verb byte; [`compression::decompress`] runs if
//! it says so; and the verb's `parse` gives a message that borrows from the packet.
//!
//! # Conventions
//!
//! * What is a whole by itself, as the payload of a packet or a dictionary, is parsed from `&[u8]`; what stands inside of
//!   others, as an address, a credential or a world, from a [`Reader`](codec::Reader), which then shows what follows.
//!   Surplus bytes are no error: that is how the protocol grew.
//! * Binary forms are appended to a `Vec<u8>`; dictionaries, which are written at one go, are returned.
//! * Writing never fails. What the wire has no room for, or clients do not take, is cut at a limit with a name.
//! * Text forms are `Display` and `FromStr`. Open numbers are newtypes whose number is public.
//! * Nothing that is received causes a panic. All types are `Send`, `Sync` and `Debug`; what is on the wire can be cloned,
//!   compared and hashed.
//!
//! # What may change
//!
//! Versions are those of Cargo: before 1.0 a breaking change raises the second number, anything else the third. A newer
//! Rust may be needed from a second number on. Not breaking are:
//!
//! * a new variant of an enum that stands for an open list of the protocol, or of an error: these are
//!   `#[non_exhaustive]`. Exhaustive are three that the wire closes: [`packet::Datagram`], [`world::WorldKind`] and
//!   [`inet::Scope`];
//! * a new field of [`RequestMetadata`](verb::network_config_request::RequestMetadata), to which nearly every release
//!   adds, and in which everything has a default: end its literals with `..RequestMetadata::default()`;
//! * another text of an error, and a smaller limit on what the reference refuses too.
//!
//! All other structs with public fields are the wire, field by field, and made by literal: whoever sends one decides on
//! each field, so a new one is a breaking change, and the compiler asks for it.

#![warn(missing_docs)]

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
