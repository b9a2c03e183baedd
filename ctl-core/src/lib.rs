//! Domain types and pure policy of a ZeroTier network controller: who gets which network configuration.
//!
//! Nothing here knows a packet, a socket, a database row or a clock; what a function needs is its argument.
//!
//! | module | content | source |
//! |---|---|---|
//! | [`network`], [`member`] | the records, as an administrator sees them | `vl2.md` §9 |
//! | [`record`] | the same as JSON, read and written | `vl2.md` §9, §12 |
//! | [`change`] | what members have to hear of | `vl2.md` §11 |
//! | [`event`] | what happened, for whoever watches | |
//! | [`pending`] | strangers that wait for an administrator | |
//! | [`request`], [`snapshot`] | what a decision reads | `vl2.md` §3, §10.2 |
//! | [`mod@decide`] | who is admitted | `vl2.md` §10.3–10.9 |
//! | [`addresses`] | which addresses a member gets | `vl2.md` §10.11 |
//! | [`config`] | what an admitted member is told | `vl2.md` §10.8–10.12 |
//! | [`farewell`] | what members of a removed network are told | `vl2.md` §11.4 |
//! | [`client`] | what the asking client can take | `vl2.md` §3.1, §8.1 |
//! | [`issue`] | signatures, the form for the client, chunks, revocations | `vl2.md` §4.1, §7, §8 |
//! | [`memo`] | what was issued and may be sent again; times of issue | `vl2.md` §19.1 |
//! | [`recency`] | what a cache that is full lets go | |
//! | [`rules`] | flow rules as people write, test and understand them | `rules-language.md` |
//! | [`settings_file`] | the text of the program's own settings | |

pub mod addresses;
mod certify;
pub mod change;
pub mod client;
pub mod config;
pub mod decide;
pub mod event;
pub mod farewell;
pub mod issue;
pub mod member;
pub mod memo;
pub mod network;
pub mod pending;
pub mod recency;
pub mod record;
pub mod request;
pub mod rules;
pub mod settings_file;
pub mod snapshot;

pub use addresses::Occupied;
pub use change::Change;
pub use client::Client;
pub use config::UnsignedConfig;
pub use decide::{Decision, DecisionTime, Refusal, decide};
pub use event::{Event, EventKind};
pub use issue::{Issued, Sending};
pub use member::Member;
pub use memo::Memo;
pub use network::Network;
pub use request::{ConfigRequest, RequestKind};
pub use snapshot::Snapshot;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
