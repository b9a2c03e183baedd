//! The UDP sockets, one per address family, and the only loop that drives the node.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, trace, warn};

use super::clock;
use crate::vl1::{Event, Link, Node, Now, Transmit};

/// What the kernel may hold for us while the loop is busy.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Room for one batch entry: the kernel may join datagrams up to this.
const BUFFER_BYTES: usize = 65_535;

/// A command to the node, from the parts that run beside the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Node, Now) + Send>;

/// A bound socket that tells to which of this machine's addresses a datagram came, and sends from the one it is told.
struct Bound {
    io: UdpSocket,
    state: UdpSocketState,
}

/// Receive buffers of one socket.
struct Buffers {
    bytes: Vec<Vec<u8>>,
    meta: Vec<RecvMeta>,
}

impl Buffers {
    fn new() -> Self {
        Self { bytes: vec![vec![0; BUFFER_BYTES]; BATCH_SIZE], meta: vec![RecvMeta::default(); BATCH_SIZE] }
    }
}

impl Bound {
    fn new(ip: IpAddr, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address((ip, port).into()), Type::DGRAM, Some(Protocol::UDP))?;
        if ip.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((ip, port)).into())?;
        tell_local_address(&socket, ip)?;
        // A state made for the socket itself would forbid the network to cut datagrams; but paths that carry less than
        // 1460 bytes exist, and clients let theirs be cut (`vl1.md` §17.2). So it is made for another one.
        let model = std::net::UdpSocket::bind((loopback_of(ip), 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&model))?;
        for result in [
            state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES),
            state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES),
        ] {
            if let Err(error) = result {
                debug!(%error, "socket buffer stays at its default");
            }
        }
        Ok(Self { io: UdpSocket::from_std(socket.into())?, state })
    }

    async fn receive(&self, buffers: &mut Buffers) -> io::Result<usize> {
        let Buffers { bytes, meta } = buffers;
        let mut slices: Vec<_> = bytes.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let receive = || self.state.recv(UdpSockRef::from(&self.io), &mut slices, meta);
        self.io.async_io(Interest::READABLE, receive).await
    }

    async fn send(&self, transmit: &Transmit) -> io::Result<()> {
        let message = quinn_udp::Transmit {
            destination: transmit.link.remote,
            ecn: None,
            contents: &transmit.bytes,
            segment_size: None,
            src_ip: transmit.link.local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified()),
        };
        let send = || self.state.try_send(UdpSockRef::from(&self.io), &message);
        self.io.async_io(Interest::WRITABLE, send).await
    }
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
    port: u16,
    v4: Bound,
    /// `None` where the machine has no IPv6.
    v6: Option<Bound>,
}

impl Sockets {
    /// Binds UDP `port` on all addresses of both families.
    ///
    /// # Errors
    /// What the operating system says about IPv4, or about IPv6 where the machine has it.
    pub(super) fn bind(port: u16) -> io::Result<Self> {
        let v4 = Bound::new(Ipv4Addr::UNSPECIFIED.into(), port)?;
        let v6 = match Bound::new(Ipv6Addr::UNSPECIFIED.into(), port) {
            Ok(bound) => Some(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => {
                warn!(%error, "no IPv6 on this machine; clients reach the controller over IPv4 only");
                None
            }
        };
        Ok(Self { port, v4, v6 })
    }

    /// Returns the addresses that are bound.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let bound = [Some(&self.v4), self.v6.as_ref()];
        bound.into_iter().flatten().filter_map(|bound| bound.io.local_addr().ok()).collect()
    }

    async fn send(&self, transmit: &Transmit) {
        let bound = if transmit.link.remote.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        let Some(bound) = bound else { return };
        if let Err(error) = bound.send(transmit).await {
            debug!(remote = %transmit.link.remote, %error, "datagram not sent");
        }
    }
}

/// Receives on a socket that may not be there.
async fn receive(bound: Option<&Bound>, buffers: &mut Buffers) -> io::Result<usize> {
    match bound {
        Some(bound) => bound.receive(buffers).await,
        None => std::future::pending().await,
    }
}

/// Runs the node until `shutdown` becomes true: waits for one input, hands it over, sends and reports what follows.
///
/// Events go to `events`; when nobody takes them in time they are dropped, and the clients ask again.
pub(super) async fn run(
    mut node: Node,
    sockets: Sockets,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    mut shutdown: watch::Receiver<bool>,
) {
    let (mut buffers4, mut buffers6) = (Buffers::new(), Buffers::new());
    loop {
        let due = node.poll_timeout().map(Instant::from_std);
        tokio::select! {
            received = receive(Some(&sockets.v4), &mut buffers4) => {
                take_batch(&mut node, sockets.port, received, &mut buffers4);
            }
            received = receive(sockets.v6.as_ref(), &mut buffers6) => {
                take_batch(&mut node, sockets.port, received, &mut buffers6);
            }
            command = commands.recv() => match command {
                Some(command) => command(&mut node, clock::now()),
                None => return,
            },
            () = wait_until(due) => node.handle_timeout(clock::now()),
            _ = shutdown.changed() => return,
        }
        while let Some(transmit) = node.poll_transmit() {
            sockets.send(&transmit).await;
        }
        while let Some(event) = node.poll_event() {
            let Err(error) = events.try_send(event) else { continue };
            debug!(%error, "event dropped; the client will ask again");
            if let Event::IdentityToVerify(identity) = error.into_inner() {
                node.identity_refused(&identity);
            }
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn take_batch(node: &mut Node, port: u16, received: io::Result<usize>, buffers: &mut Buffers) {
    let count = match received {
        Ok(count) => count,
        Err(error) => {
            // An ICMP error about something sent earlier; the socket is fine.
            debug!(%error, "receive failed");
            return;
        }
    };
    let now = clock::now();
    for (buffer, meta) in buffers.bytes.iter_mut().zip(&buffers.meta).take(count) {
        let link = Link { local: meta.dst_ip.map(|ip| SocketAddr::new(ip, port)), remote: meta.addr };
        let stride = meta.stride.max(1);
        let filled = buffer.get_mut(..meta.len).unwrap_or_default();
        for datagram in filled.chunks_mut(stride) {
            let size_bytes = datagram.len();
            if let Err(reason) = node.handle_datagram(now, link, datagram) {
                debug!(remote = %link.remote, size_bytes, %reason, "datagram ignored");
            } else {
                trace!(remote = %link.remote, size_bytes, "datagram handled");
            }
        }
    }
}
