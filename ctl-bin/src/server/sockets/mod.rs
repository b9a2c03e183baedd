//! The UDP sockets: a primary port and perhaps a secondary one, each for both address families.
//!
//! All are bound to the wildcard address, and the kernel tells with each datagram to which address it came. So new
//! interfaces and addresses are served the moment they are there, without a scan; an answer from an address that is gone
//! leaves from another one. What sending does is in `send.rs`.

mod send;

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::task::Poll;

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use rand_chacha::ChaCha20Rng;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::secondary::{SECONDARY_TRIES, SecondaryPort, random_port};
use crate::vl1::Link;

/// What the kernel may hold for us while the loop is busy.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Room for one datagram: the longest packet, which some peers send uncut (`vl1.md` §7.2).
const BUFFER_BYTES: usize = 10_240;

/// Receive buffers of one batch.
pub(super) struct Buffers {
    bytes: Vec<Vec<u8>>,
    meta: Vec<RecvMeta>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![vec![0; BUFFER_BYTES]; BATCH_SIZE], meta: vec![RecvMeta::default(); BATCH_SIZE] }
    }
}

/// A bound socket that tells to which of this machine's addresses a datagram came, and sends from the one it is told.
struct Bound {
    port: u16,
    is_ipv6: bool,
    /// Watched for what comes, and not for room to send: that would wake the loop once more for whatever has left.
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
}

impl Bound {
    fn new(ip: IpAddr, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address((ip, port).into()), Type::DGRAM, Some(Protocol::UDP))?;
        if ip.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&SocketAddr::from((ip, port)).into())?;
        Self::of(socket, ip)
    }

    /// Makes a socket ready that is bound to `ip` already.
    fn of(socket: Socket, ip: IpAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        tell_local_address(&socket, ip)?;
        // A state made for the socket itself would forbid the network to cut datagrams; but paths that carry less than
        // 1460 bytes exist, and clients let theirs be cut (`vl1.md` §17.2). So it is made for another one.
        let model = UdpSocket::bind((loopback_of(ip), 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&model))?;
        // Whoever may have more than the system allows others takes it: after a restart all members speak at once.
        let asked = || UdpSockRef::from(&socket);
        for result in [
            setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES)
                .or_else(|_| state.set_recv_buffer_size(asked(), SOCKET_BUFFER_BYTES)),
            setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES)
                .or_else(|_| state.set_send_buffer_size(asked(), SOCKET_BUFFER_BYTES)),
        ] {
            if let Err(error) = result {
                debug!(%error, "socket buffer stays at its default");
            }
        }
        let io = watch(UdpSocket::from(socket), Interest::READABLE)?;
        let port = io.get_ref().local_addr()?.port();
        Ok(Self { port, is_ipv6: ip.is_ipv6(), io, state })
    }

    /// Receives a batch; [`ErrorKind::WouldBlock`] if there is nothing.
    fn try_receive(&self, buffers: &mut Buffers) -> io::Result<usize> {
        let Buffers { bytes, meta } = buffers;
        let mut slices: Vec<_> = bytes.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let mut count = 0;
        let receive = |socket: &UdpSocket| {
            count = self.state.recv(UdpSockRef::from(socket), &mut slices, meta)?;
            // With fewer than there is room for, all are here. Who says so is not asked again until more come, and a call of
            // the kernel that finds nothing is spared.
            if count < BATCH_SIZE { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        match self.io.try_io(Interest::READABLE, receive) {
            Err(error) if count == 0 || error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(count),
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that do not keep what they stand for open"
)]
fn watch<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

/// Has the kernel tell to which of this machine's addresses a datagram came.
fn tell_local_address(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

fn loopback_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The sockets of the node.
pub(super) struct Sockets {
    /// IPv4 of the primary port first.
    bound: Vec<Bound>,
    /// The one whose turn it is to be received on.
    turn: usize,
    /// The one address that is bound; else all.
    only: Option<IpAddr>,
    secondary: SecondaryPort,
    rng: ChaCha20Rng,
    addresses: watch::Sender<Vec<SocketAddr>>,
}

impl Sockets {
    /// Binds UDP `port` on one address, or on all of both families, and the secondary port likewise.
    ///
    /// # Errors
    /// What the operating system says about that address; else about IPv4, or about IPv6 where the machine has it. Without a
    /// random secondary port the node works as well.
    pub(super) fn bind(
        only: Option<IpAddr>,
        port: u16,
        secondary: SecondaryPort,
        rng: ChaCha20Rng,
    ) -> io::Result<Self> {
        Self::with_primary(bind(only, port)?, only, secondary, rng)
    }

    /// Likewise with sockets for the primary port that somebody else has bound, IPv4 first.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub(super) fn handed(
        udp: Vec<UdpSocket>,
        only: Option<IpAddr>,
        secondary: SecondaryPort,
        rng: ChaCha20Rng,
    ) -> io::Result<Self> {
        let bound = udp.into_iter().map(|socket| {
            let ip = socket.local_addr()?.ip();
            Bound::of(socket.into(), ip)
        });
        Self::with_primary(bound.collect::<io::Result<_>>()?, only, secondary, rng)
    }

    fn with_primary(
        bound: Vec<Bound>,
        only: Option<IpAddr>,
        secondary: SecondaryPort,
        rng: ChaCha20Rng,
    ) -> io::Result<Self> {
        if only.is_none() && bound.len() == 1 {
            warn!("no IPv6 on this machine; clients reach the controller over IPv4 only");
        }
        let (addresses, _) = watch::channel(Vec::new());
        let mut sockets = Self { bound, turn: 0, only, secondary, rng, addresses };
        match secondary {
            SecondaryPort::Off => {}
            SecondaryPort::Fixed(port) => sockets.bound.extend(bind(only, port)?),
            SecondaryPort::Random => sockets.redraw_secondary(),
        }
        sockets.publish_addresses();
        Ok(sockets)
    }

    /// Returns the addresses that are bound, those of the primary port first.
    pub(super) fn addresses(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.addresses.subscribe()
    }

    fn publish_addresses(&self) {
        let addresses = self.bound.iter().filter_map(|bound| bound.io.get_ref().local_addr().ok()).collect();
        self.addresses.send_replace(addresses);
    }

    /// Draws another secondary port, if it is a random one. If none is free, the last one stays.
    pub(super) fn redraw_secondary(&mut self) {
        if self.secondary != SecondaryPort::Random {
            return;
        }
        let (only, rng) = (self.only, &mut self.rng);
        let Some(found) = (0..SECONDARY_TRIES).find_map(|_| bind(only, random_port(rng)).ok()) else {
            return warn!("no secondary UDP port is free");
        };
        let primary = self.bound.first().map(|bound| bound.port);
        self.bound.retain(|bound| Some(bound.port) == primary);
        self.bound.extend(found);
        self.publish_addresses();
    }

    /// Waits for a batch on any socket, each in its turn. Nothing is lost when the wait is given up.
    pub(super) async fn receive(&mut self, buffers: &mut Buffers) -> io::Result<Batch> {
        loop {
            let count = self.bound.len();
            let ready = poll_fn(|context| {
                let order = (0..count).map(|step| (self.turn + step) % count);
                for index in order {
                    let Some(bound) = self.bound.get(index) else { continue };
                    if bound.io.poll_read_ready(context).is_ready() {
                        return Poll::Ready(index);
                    }
                }
                Poll::Pending
            });
            let index = ready.await;
            self.turn = index + 1;
            let Some(bound) = self.bound.get(index) else { continue };
            match bound.try_receive(buffers) {
                Ok(count) => return Ok(Batch { port: bound.port, count }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives a batch that is there already.
    pub(super) fn try_receive(&mut self, buffers: &mut Buffers) -> Option<io::Result<Batch>> {
        for _ in 0..self.bound.len() {
            let index = self.turn % self.bound.len();
            self.turn = index + 1;
            let bound = self.bound.get(index)?;
            match bound.try_receive(buffers) {
                Ok(count) => return Some(Ok(Batch { port: bound.port, count })),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Returns the socket of a link, or all of its family if it names none.
    fn sockets_of(&self, link: Link) -> impl Iterator<Item = &Bound> {
        let family = move |bound: &&Bound| bound.is_ipv6 == link.remote.is_ipv6();
        let port = link.local.map(|local| local.port());
        let named = self.bound.iter().filter(family).find(|bound| Some(bound.port) == port);
        // A port that is no longer bound is like none.
        self.bound
            .iter()
            .filter(family)
            .filter(move |bound| named.is_none_or(|named| named.port == bound.port))
    }
}

/// Datagrams that came together, in the buffers that were handed in.
pub(super) struct Batch {
    port: u16,
    count: usize,
}

impl Batch {
    /// Returns each datagram, and over which link it came.
    pub(super) fn datagrams<'a>(
        &self,
        buffers: &'a mut Buffers,
    ) -> impl Iterator<Item = (Link, &'a mut [u8])> {
        let port = self.port;
        let received = buffers.bytes.iter_mut().zip(&buffers.meta).take(self.count);
        received.flat_map(move |(buffer, meta)| {
            let local = meta.dst_ip.map(|ip| SocketAddr::new(ip, port));
            let link = Link { local, remote: meta.addr };
            let filled = buffer.get_mut(..meta.len).unwrap_or_default();
            filled.chunks_mut(meta.stride.max(1)).map(move |datagram| (link, datagram))
        })
    }
}

/// Binds a port on one address, or on all.
fn bind(only: Option<IpAddr>, port: u16) -> io::Result<Vec<Bound>> {
    match only {
        Some(ip) => Ok(vec![Bound::new(ip, port)?]),
        None => bind_both(port),
    }
}

/// Binds a port on all addresses of both families: of IPv4 alone where there is no IPv6.
fn bind_both(port: u16) -> io::Result<Vec<Bound>> {
    let v4 = Bound::new(Ipv4Addr::UNSPECIFIED.into(), port)?;
    match Bound::new(Ipv6Addr::UNSPECIFIED.into(), v4.port) {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        Err(error) => {
            debug!(%error, "IPv6 not bound");
            Ok(vec![v4])
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;
    use crate::vl1::Transmit;
    use tokio::net::UdpSocket;

    pub(super) fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([7; 32])
    }

    pub(super) fn transmit(remote: &str, len: usize) -> Transmit {
        let bytes = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
        Transmit { link: Link { local: None, remote: remote.parse().unwrap() }, bytes }
    }

    /// On loopback, with the kernel cutting and without.
    #[tokio::test]
    async fn every_datagram_arrives_as_it_was_through_the_socket_that_was_named() {
        let mut sockets = Sockets::bind(None, 0, SecondaryPort::Random, rng()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = peer.local_addr().unwrap();
        for port in
            sockets.bound.iter().filter(|bound| !bound.is_ipv6).map(|bound| bound.port).collect::<Vec<_>>()
        {
            let link = Link { local: Some(SocketAddr::new("127.0.0.1".parse().unwrap(), port)), remote: to };
            let sent: Vec<_> =
                [1432, 1432, 700, 100].map(|len| Transmit { link, ..transmit("10.0.0.1:1", len) }).into();
            sockets.send(&sent).await;
            for expected in &sent {
                let mut buffer = vec![0; BUFFER_BYTES];
                let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
                assert_eq!((&buffer[..length], from.port()), (&expected.bytes[..], port));
            }
            peer.send_to(b"answer", from(port)).await.unwrap();
            let mut buffers = Buffers::new();
            let batch = sockets.receive(&mut buffers).await.unwrap();
            let received: Vec<_> =
                batch.datagrams(&mut buffers).map(|(link, bytes)| (link, bytes.to_vec())).collect();
            assert_eq!(received, [(link, b"answer".to_vec())]);
        }
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::new("127.0.0.1".parse().unwrap(), port)
    }

    #[tokio::test]
    async fn only_the_address_that_was_asked_for_is_bound() {
        let only = IpAddr::from([127, 0, 0, 2]);
        let sockets = Sockets::bind(Some(only), 0, SecondaryPort::Random, rng()).unwrap();
        let addresses = sockets.addresses().borrow().clone();
        assert!(
            addresses.len() == 2 && addresses.iter().all(|address| address.ip() == only),
            "{addresses:?}"
        );
    }

    #[tokio::test]
    async fn another_secondary_port_is_drawn_and_told_and_the_primary_one_stays() {
        let only = Some(Ipv4Addr::LOCALHOST.into());
        let mut sockets = Sockets::bind(only, 0, SecondaryPort::Random, rng()).unwrap();
        let mut told = sockets.addresses();
        let before = told.borrow_and_update().clone();
        // A port that somebody has is passed over: the same numbers are drawn again.
        sockets.rng = rng();
        sockets.redraw_secondary();
        let after = told.borrow_and_update().clone();
        assert_eq!((before.len(), after.len()), (2, 2));
        assert!(before[0] == after[0] && before[1] != after[1], "{before:?} {after:?}");
        let mut fixed = Sockets::bind(only, 0, SecondaryPort::Fixed(0), rng()).unwrap();
        let before = fixed.addresses().borrow().clone();
        fixed.redraw_secondary();
        assert_eq!(*fixed.addresses().borrow(), before);
    }

    #[tokio::test]
    async fn a_link_without_a_socket_leaves_through_all_of_its_family() {
        let sockets = Sockets::bind(None, 0, SecondaryPort::Random, rng()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = peer.local_addr().unwrap();
        sockets.send(&[transmit(&to.to_string(), 50)]).await;
        let mut ports = Vec::new();
        for _ in 0..2 {
            ports.push(peer.recv_from(&mut [0; 100]).await.unwrap().1.port());
        }
        let bound: Vec<_> =
            sockets.bound.iter().filter(|bound| !bound.is_ipv6).map(|bound| bound.port).collect();
        assert_eq!(ports, bound);
    }
}
