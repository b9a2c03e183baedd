//! A VL1 node without I/O: datagrams, commands and the time go in, datagrams and events come out.
//!
//! The caller has the sockets and the clock. After each `handle_*` call or command it drains
//! [`Node::poll_transmit`], whose room may come back by [`Node::sent`], then [`Node::poll_event`], then sleeps until
//! [`Node::poll_timeout`] or until something arrives. Nothing in here blocks, and nothing costs more than some 100 µs: the
//! memory-hard check of a new identity
//! is an [`Event::IdentityToVerify`], answered by [`Node::identity_verified`].
//!
//! | module | content | source |
//! |---|---|---|
//! | [`node`] | the node: its state, commands, events | |
//! | `receive` | what is trusted, in which order; one match arm a verb | `vl1.md` §12 |
//! | `send` | armor, fragments, the choice of a path | `vl1.md` §6.5, §14.1 |
//! | `spare` | room of datagrams that left, for the next | |
//! | `hello` | HELLO both ways, new identities | `vl1.md` §10.2, §12.2 |
//! | `greet` | speaking first, after a move | |
//! | `peer`, `path` | what is known of another node, and the ways to it | `vl1.md` §13 |
//! | `keepalive` | what happens when nothing happens | `vl1.md` §13.2, §13.6 |
//! | `roots` | planet, moons, upstream roots | `vl1.md` §15, §14.3 |
//! | `relay` | forwarding and introductions, as a root | `vl1.md` §14.4, §14.5 |
//! | `strangers` | what waits for an identity | `vl1.md` §12.3, §12.4 |
//! | `whois`, `wanted` | identities asked for and given, what waits for them | `vl1.md` §10.5, §12.3, §14.2 |
//! | `surface` | how others see this node | `vl1.md` §13.7 |
//! | `direct_paths` | addresses that peers tell each other | `vl1.md` §10.15 |
//! | `duplicates` | packets that were taken lately | `vl1.md` §12.1 |
//! | `multicast` | who listens to which group, as a root | `vl1.md` §10.9, §10.14 |
//! | `reassembly` | fragments | `vl1.md` §7.3 |
//! | `awaited` | packets that wait for their OK | `vl1.md` §12.5 |
//! | `recent` | what happened lately, in no more room than it needs | |
//! | `few` | lists of which there are very many | |
//! | `rate` | token buckets | `vl1.md` §12.4, §13.9 |
//! | [`tables`] | how full all these tables are | |
//! | `timer` | everything that is due at some time | `vl1.md` §19 |
//! | `packed_link` | the two ends of a path | |
//! | `moment` | times, as all of these keep them | |

mod awaited;
mod direct_paths;
mod duplicates;
mod few;
mod greet;
mod hello;
mod keepalive;
mod moment;
mod multicast;
pub mod node;
mod packed_link;
mod path;
mod peer;
mod rate;
mod reassembly;
mod receive;
mod recent;
mod relay;
mod roots;
mod send;
mod spare;
mod strangers;
mod surface;
pub mod tables;
#[cfg(test)]
mod tests;
mod timer;
pub mod traffic;
mod wanted;
mod whois;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use zt_proto::Timestamp;
use zt_proto::verb::hello::NodeVersion;

pub use node::{ConfigRequested, Event, Ignored, Node, PathView, PeerView, RequestId, Transmit};
pub use strangers::MAX_RECALLS;
pub use traffic::{PeerTraffic, Traffic};

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

/// The two ends of a physical link: a socket of this machine, and a socket of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The address and port that datagrams were sent to, and from which the answers leave. With an unspecified IP address
    /// the socket of that port sends, from the address that the operating system chooses; `None` stands for every
    /// socket of the family.
    pub local: Option<SocketAddr>,
    pub remote: SocketAddr,
}

impl Link {
    /// Returns the link from the same socket to another address, which may be reached by another interface.
    fn toward(self, remote: SocketAddr) -> Self {
        let same_family = self.local.filter(|local| local.is_ipv4() == remote.is_ipv4());
        Self { local: same_family.map(|local| SocketAddr::new(unspecified(remote), local.port())), remote }
    }

    /// Says whether both leave from the same socket of this machine.
    fn shares_socket(self, other: Self) -> bool {
        self.local.map(|local| local.port()) == other.local.map(|local| local.port())
    }
}

fn unspecified(family: SocketAddr) -> IpAddr {
    match family {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
