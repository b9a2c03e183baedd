//! The virtual network: where a datagram arrives, if it does.
//!
//! Every host has a socket of IPv4, public or behind a NAT, and in some worlds one of IPv6, which is public. A NAT gives each mapping a port that was never used before, so a
//! public address means one host for ever, or nobody any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// A host by its place in the world.
pub(crate) type HostId = usize;

/// How a NAT maps and filters (RFC 4787).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NatKind {
    /// One mapping per socket, open to everybody.
    FullCone,
    /// One mapping per socket, open to whom it sent to.
    PortRestrictedCone,
    /// One mapping per socket and destination, open to that destination.
    Symmetric,
}

#[derive(Debug)]
struct Mapping {
    inside: HostId,
    port: u16,
    /// `None` for a cone: any destination.
    to: Option<SocketAddr>,
    /// Where it sent to, and when last.
    open_for: BTreeMap<SocketAddr, u64>,
    last_used: u64,
}

#[derive(Debug)]
struct Nat {
    kind: NatKind,
    address: Ipv4Addr,
    /// A mapping that is not used for longer is gone.
    timeout: u64,
    next_port: u16,
    mappings: Vec<Mapping>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    inside: SocketAddr,
    nat: Option<usize>,
    v6: Option<SocketAddr>,
    /// The host has its IPv6 address, but nothing leaves or arrives there.
    is_v6_down: bool,
}

/// How bad the links are, in thousandths and milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost: u32,
    pub(crate) doubled: u32,
    /// Anything up to this is added to a delay, so datagrams overtake each other.
    pub(crate) jitter: u64,
}

impl Weather {
    pub(crate) const QUIET: Self = Self { lost: 0, doubled: 0, jitter: 5 };
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    places: Vec<Place>,
    nats: Vec<Nat>,
    owners: BTreeMap<SocketAddr, HostId>,
    /// Pairs of hosts that cannot hear each other.
    cut: BTreeSet<(HostId, HostId)>,
    /// When an address that meant somebody came to mean nobody.
    dead: BTreeMap<SocketAddr, u64>,
}

impl Network {
    /// Adds a NAT.
    pub(crate) fn add_nat(&mut self, kind: NatKind, timeout: u64) -> usize {
        let n = u8::try_from(self.nats.len()).expect("a world has few NATs");
        let address = Ipv4Addr::new(50, 0, n, 1);
        self.nats.push(Nat { kind, address, timeout, next_port: 1024, mappings: Vec::new() });
        self.nats.len() - 1
    }

    /// Adds a host with a public address, or behind a NAT.
    pub(crate) fn add_host(&mut self, nat: Option<usize>) -> HostId {
        let id = self.places.len();
        let [high, low] = u16::try_from(id).expect("a world has few hosts").to_be_bytes();
        let first = if nat.is_some() { [10, 0] } else { [60, 0] };
        let inside = SocketAddr::from(([first[0], first[1], high, low], 9993));
        self.places.push(Place { inside, nat, v6: None, is_v6_down: false });
        if nat.is_none() {
            self.owners.insert(inside, id);
        }
        id
    }

    /// Gives a host an IPv6 address as well, and returns it.
    pub(crate) fn add_v6(&mut self, host: HostId) -> SocketAddr {
        let id = u16::try_from(host).expect("a world has few hosts");
        let v6 = SocketAddr::from(([0x2a00, 0, 0, 0, 0, 0, 0, id + 1], 9993));
        self.places[host].v6 = Some(v6);
        self.owners.insert(v6, host);
        v6
    }

    /// Switches the IPv6 of a host off or on, without telling anybody.
    pub(crate) fn set_v6_down(&mut self, host: HostId, is_down: bool) {
        self.places[host].is_v6_down = is_down;
    }

    /// The address of a host's own socket.
    pub(crate) fn inside(&self, host: HostId) -> SocketAddr {
        self.places[host].inside
    }

    /// The address of the socket at which a host hears from `remote`.
    pub(crate) fn local(&self, host: HostId, remote: SocketAddr) -> SocketAddr {
        let Place { inside, v6, .. } = self.places[host];
        v6.filter(|_| remote.is_ipv6()).unwrap_or(inside)
    }

    /// Forgets all mappings, as a NAT does that is switched off and on.
    pub(crate) fn restart_nat(&mut self, nat: usize, now: u64) {
        let address = self.nats[nat].address;
        for mapping in std::mem::take(&mut self.nats[nat].mappings) {
            self.dead
                .insert((address, mapping.port).into(), now.min(mapping.last_used + self.nats[nat].timeout));
        }
    }

    /// Cuts or joins the way between two hosts, in both directions.
    pub(crate) fn set_cut(&mut self, a: HostId, b: HostId, is_cut: bool) {
        let pair = (a.min(b), a.max(b));
        if is_cut {
            self.cut.insert(pair);
        } else {
            self.cut.remove(&pair);
        }
    }

    /// Sends from a host. Returns the address that the receiver will see, and who that is, if anybody.
    pub(crate) fn send(&mut self, now: u64, from: HostId, to: SocketAddr) -> Option<(SocketAddr, HostId)> {
        let source = if to.is_ipv6() { self.places[from].v6? } else { self.source(now, from, to) };
        let receiver = self.receiver(now, source, to)?;
        if to.is_ipv6() && [from, receiver].iter().any(|host| self.places[*host].is_v6_down) {
            return None;
        }
        let pair = (from.min(receiver), from.max(receiver));
        (!self.cut.contains(&pair)).then_some((source, receiver))
    }

    /// Returns the public IPv4 address of a host towards a destination; makes the mapping if there is none.
    fn source(&mut self, now: u64, from: HostId, to: SocketAddr) -> SocketAddr {
        let Place { inside, nat, .. } = self.places[from];
        let Some(nat) = nat.and_then(|nat| self.nats.get_mut(nat)) else { return inside };
        expire(nat, &mut self.dead, now);
        let wanted = (nat.kind == NatKind::Symmetric).then_some(to);
        if !nat.mappings.iter().any(|mapping| mapping.inside == from && mapping.to == wanted) {
            let port = nat.next_port;
            nat.next_port = nat.next_port.checked_add(1).expect("a port for each mapping");
            let open_for = BTreeMap::new();
            nat.mappings.push(Mapping { inside: from, port, to: wanted, open_for, last_used: now });
        }
        let address = nat.address;
        let mapping =
            nat.mappings.iter_mut().find(|mapping| mapping.inside == from && mapping.to == wanted).unwrap();
        mapping.last_used = now;
        mapping.open_for.insert(to, now);
        (address, mapping.port).into()
    }

    fn receiver(&mut self, now: u64, source: SocketAddr, to: SocketAddr) -> Option<HostId> {
        if let Some(owner) = self.owners.get(&to) {
            return Some(*owner);
        }
        let nat = self.nats.iter_mut().find(|nat| to.ip() == nat.address)?;
        expire(nat, &mut self.dead, now);
        let (kind, timeout) = (nat.kind, nat.timeout);
        let mapping = nat.mappings.iter_mut().find(|mapping| mapping.port == to.port())?;
        let is_open = mapping.open_for.get(&source).is_some_and(|last| now - last <= timeout);
        if !is_open && kind != NatKind::FullCone {
            return None;
        }
        mapping.last_used = now;
        if is_open {
            mapping.open_for.insert(source, now);
        }
        Some(mapping.inside)
    }

    /// Says since when nobody is at an address where somebody was, if so.
    pub(crate) fn dead_since(&mut self, now: u64, address: SocketAddr) -> Option<u64> {
        for nat in &mut self.nats {
            expire(nat, &mut self.dead, now);
        }
        self.dead.get(&address).copied()
    }

    /// Says whether an address is or was somebody's.
    pub(crate) fn ever_was(&self, address: SocketAddr) -> bool {
        self.owners.contains_key(&address)
            || self.nats.iter().any(|nat| address.ip() == nat.address && address.port() < nat.next_port)
    }
}

fn expire(nat: &mut Nat, dead: &mut BTreeMap<SocketAddr, u64>, now: u64) {
    let (address, timeout) = (nat.address, nat.timeout);
    nat.mappings.retain(|mapping| {
        let is_used = now - mapping.last_used <= timeout;
        if !is_used {
            dead.insert((address, mapping.port).into(), mapping.last_used + timeout);
        }
        is_used
    });
}

/// Draws a number below `limit`.
pub(crate) fn below(rng: &mut ChaCha20Rng, limit: u64) -> u64 {
    rng.next_u64() % limit.max(1)
}

/// Says yes in `thousandths` of all cases.
pub(crate) fn happens(rng: &mut ChaCha20Rng, thousandths: u32) -> bool {
    below(rng, 1000) < u64::from(thousandths)
}
