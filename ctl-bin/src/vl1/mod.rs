//! A VL1 node without I/O: datagrams, commands and the time go in, datagrams and events come out.
//!
//! The caller has the sockets and the clock. After each `handle_*` call or command it drains
//! [`Node::poll_transmit`], then [`Node::poll_event`], then sleeps until [`Node::poll_timeout`] or until something
//! arrives. Nothing in here blocks, and nothing costs more than some 100 µs: the memory-hard check of a new identity
//! is an [`Event::IdentityToVerify`], answered by [`Node::identity_verified`].
//!
//! | module | content | source |
//! |---|---|---|
//! | [`node`] | the node: its state, commands, events | |
//! | `receive` | what is trusted, in which order; one match arm a verb | `vl1.md` §12 |
//! | `send` | armor, fragments, the choice of a path | `vl1.md` §6.5, §14.1 |
//! | `hello` | HELLO both ways, new identities | `vl1.md` §10.2, §12.2 |
//! | `peer`, `path` | what is known of another node, and the ways to it | `vl1.md` §13 |
//! | `keepalive` | what happens when nothing happens | `vl1.md` §13.2, §13.6 |
//! | `roots` | planet, upstream roots | `vl1.md` §15, §14.3 |
//! | `relay` | forwarding and introductions, as a root | `vl1.md` §14.4, §14.5 |
//! | `strangers` | what waits for an identity | `vl1.md` §12.3, §12.4 |
//! | `whois` | identities asked for and given | `vl1.md` §10.5, §12.3 |
//! | `multicast` | who listens to which group, as a root | `vl1.md` §10.9, §10.14 |
//! | `reassembly` | fragments | `vl1.md` §7.3 |
//! | `awaited` | packets that wait for their OK | `vl1.md` §12.5 |
//! | `rate` | token buckets | `vl1.md` §12.4, §13.9 |
//! | `timer` | everything that is due at some time | `vl1.md` §19 |

mod awaited;
mod hello;
mod keepalive;
mod multicast;
pub mod node;
mod path;
mod peer;
mod rate;
mod reassembly;
mod receive;
mod relay;
mod roots;
mod send;
mod strangers;
#[cfg(test)]
mod tests;
mod timer;
mod whois;

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use zt_proto::Timestamp;
use zt_proto::verb::hello::NodeVersion;

pub use node::{ConfigRequested, Event, Ignored, Node, PathView, PeerView, RequestId, Transmit};

/// What this node announces: protocol 12 means "send me suite 3" (`vl1.md` §11), and the software version is that of the
/// release whose behaviour it has.
pub const VERSION: NodeVersion = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };

/// The present, read once per wake-up by the caller.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For timers: never goes back.
    pub mono: Instant,
    /// For what others see: milliseconds since 1970, may jump.
    pub wall: Timestamp,
}

/// The two ends of a physical link: an address of this machine, and a socket of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The address that datagrams were sent to; `None` lets the operating system choose.
    pub local: Option<IpAddr>,
    pub remote: SocketAddr,
}
