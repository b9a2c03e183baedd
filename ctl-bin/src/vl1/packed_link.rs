//! A link as paths keep it: most are of IPv4, and there are very many.

use std::net::{SocketAddr, SocketAddrV4};

use super::Link;

/// A quarter of the room of a [`Link`] of IPv4; others take more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PackedLink {
    V4 { local: Option<SocketAddrV4>, remote: SocketAddrV4 },
    Other(Box<Link>),
}

impl From<Link> for PackedLink {
    fn from(link: Link) -> Self {
        match (link.local, link.remote) {
            (None, SocketAddr::V4(remote)) => Self::V4 { local: None, remote },
            (Some(SocketAddr::V4(local)), SocketAddr::V4(remote)) => Self::V4 { local: Some(local), remote },
            _ => Self::Other(Box::new(link)),
        }
    }
}

impl PackedLink {
    pub(super) fn unpack(&self) -> Link {
        match self {
            Self::V4 { local, remote } => {
                Link { local: local.map(SocketAddr::V4), remote: SocketAddr::V4(*remote) }
            }
            Self::Other(link) => **link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_unpacked_as_it_was() {
        let locals = ["", "10.0.0.1:9993", "0.0.0.0:1", "[2001:db8::1]:9993", "[::ffff:10.0.0.1]:9993"];
        for local in locals {
            for remote in ["192.0.2.1:65535", "[fe80::1%3]:9993", "[::ffff:192.0.2.1]:9993"] {
                let link = Link { local: local.parse().ok(), remote: remote.parse().unwrap() };
                assert_eq!(PackedLink::from(link).unpack(), link);
            }
        }
        assert_eq!((size_of::<PackedLink>(), size_of::<Link>()), (16, 64));
    }
}
