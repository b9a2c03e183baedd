//! The clients at work: one socket for all of them, each with a source address of its own.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use benches::member::{Member, Packet, Pieces};
use benches::process::Result;
use benches::wall::now;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_proto::packet::PacketHeader;
use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorReply;
use zt_proto::verb::network_config::ConfigChunk;
use zt_proto::verb::ok::OkReply;
use zt_proto::{Address, NetworkId, PublicIdentity};

/// The kernel hands over what it put together, up to so many bytes.
const BUFFER_BYTES: usize = 65_536;
const SOCKET_BUFFER_BYTES: usize = 64 << 20;
/// Of so many pieces of configurations one has its signature checked.
const SAMPLE: u64 = 64;
/// Addresses are spread over so many /24, since controllers count what strangers of one of them cost.
const SPREAD: usize = 60_000;

/// One client.
pub(crate) struct Client {
    pub member: Member,
    pub network: NetworkId,
    ip: Option<IpAddr>,
}

/// What a client noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The controller said HELLO, and was answered: it now has a path to the client.
    Met { client: usize },
    /// A request was answered by a whole configuration.
    Configured { client: usize, after: Duration },
    /// A request was refused.
    Refused { client: usize, after: Duration },
    /// A configuration came unasked, and was acknowledged.
    Pushed { client: usize },
    /// It was told without asking that it may not be in its network.
    Expelled { client: usize },
    /// Credentials came, such as revocations.
    Credentials { client: usize },
}

/// A request without an answer.
struct Waiting {
    client: usize,
    sent: Instant,
    got: usize,
}

/// What was counted since the last time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub sent: u64,
    pub datagrams_received: u64,
    pub lost: u64,
    pub checked: u64,
    pub forged: u64,
}

/// All clients and their socket.
pub(crate) struct Load {
    pub clients: Vec<Client>,
    pub target: SocketAddr,
    pub counts: Counts,
    controller: PublicIdentity,
    by_address: HashMap<Address, usize>,
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
    meta: Vec<RecvMeta>,
    pieces: Pieces,
    waiting: HashMap<u64, Waiting>,
    rng: ChaCha20Rng,
    chunks: u64,
    events: Vec<Event>,
    /// The last requests, so many of them.
    kept: VecDeque<Vec<u8>>,
    keeps: usize,
}

impl Load {
    /// Makes clients of the members, the n-th in the network that `network_of` gives; with `own_addresses` each sends
    /// from an address of its own in 10/8.
    pub(crate) fn new(
        members: Vec<Member>,
        network_of: impl Fn(usize) -> NetworkId,
        target: SocketAddr,
        controller: PublicIdentity,
        own_addresses: bool,
    ) -> Result<Self> {
        let ip = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { "::".parse::<IpAddr>()? };
        let socket = UdpSocket::bind((ip, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // More than the system allows others, where this is root.
        if setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES).is_err() {
            state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES)?;
        }
        let by_address = members.iter().enumerate().map(|(n, member)| (member.address(), n)).collect();
        let client =
            |(n, member)| Client { member, network: network_of(n), ip: own_addresses.then(|| address_of(n)) };
        Ok(Self {
            clients: members.into_iter().enumerate().map(client).collect(),
            target,
            counts: Counts::default(),
            controller,
            by_address,
            socket,
            state,
            buffers: vec![vec![0; BUFFER_BYTES]; BATCH_SIZE],
            meta: vec![RecvMeta::default(); BATCH_SIZE],
            pieces: Pieces::default(),
            waiting: HashMap::new(),
            rng: ChaCha20Rng::from_seed([9; 32]),
            chunks: 0,
            events: Vec::new(),
            kept: VecDeque::new(),
            keeps: 0,
        })
    }

    /// Has a client say HELLO.
    pub(crate) fn hello(&mut self, client: usize) -> Result<()> {
        let (id, target) = (self.rng.next_u64(), self.target);
        let Some(packet) = self.clients.get(client).map(|client| client.member.hello(id, target)) else {
            return Ok(());
        };
        self.transmit(client, &packet)
    }

    /// Has a client ask for its configuration.
    pub(crate) fn request(&mut self, client: usize) -> Result<()> {
        let id = self.rng.next_u64();
        let Some(Client { member, network, .. }) = self.clients.get(client) else { return Ok(()) };
        let packet = member.request(id, *network);
        let id = PacketHeader::parse(&packet)?.id;
        self.waiting.insert(id, Waiting { client, sent: now(), got: 0 });
        self.counts.sent += 1;
        self.transmit(client, &packet)?;
        if self.keeps > 0 {
            self.kept.truncate(self.keeps - 1);
            self.kept.push_front(packet);
        }
        Ok(())
    }

    /// Keeps the last requests, so many of them, from now on.
    pub(crate) fn keep_requests(&mut self, count: usize) {
        self.keeps = count;
    }

    /// Returns the requests that were kept, newest first, and keeps none any more.
    pub(crate) fn kept_requests(&mut self) -> Vec<Vec<u8>> {
        self.keeps = 0;
        std::mem::take(&mut self.kept).into()
    }

    pub(crate) fn controller(&self) -> &PublicIdentity {
        &self.controller
    }

    /// Returns how many requests wait.
    pub(crate) fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// Gives up requests that are older; they count as lost. Returns whose they were.
    pub(crate) fn give_up(&mut self, patience: Duration) -> Vec<usize> {
        let (now, mut lost) = (now(), Vec::new());
        self.waiting.retain(|_, waiting| {
            let is_lost = now.saturating_duration_since(waiting.sent) > patience;
            lost.extend(is_lost.then_some(waiting.client));
            !is_lost
        });
        lost.sort_unstable();
        self.counts.lost += lost.len() as u64;
        lost
    }

    /// Waits for datagrams, but no longer than `patience`, and returns what came of all that are there.
    pub(crate) fn receive(&mut self, patience: Duration) -> Result<Vec<Event>> {
        if !patience.is_zero() {
            let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            ppoll(&mut polled, Some(TimeSpec::from_duration(patience)), None)?;
        }
        loop {
            let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            let received = self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut self.meta);
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let buffers = std::mem::take(&mut self.buffers);
            let metas = self.meta.clone();
            for (buffer, meta) in buffers.iter().zip(metas).take(count) {
                let filled = buffer.get(..meta.len).unwrap_or_default();
                for datagram in filled.chunks(meta.stride.max(1)) {
                    self.take(datagram)?;
                }
            }
            self.buffers = buffers;
            if count < BATCH_SIZE {
                break;
            }
        }
        Ok(std::mem::take(&mut self.events))
    }

    fn take(&mut self, datagram: &[u8]) -> Result<()> {
        self.counts.datagrams_received += 1;
        let Some((destination, mut packet)) = self.pieces.take(datagram) else { return Ok(()) };
        let Some(&client) = self.by_address.get(&destination) else { return Ok(()) };
        let Some(Client { member, .. }) = self.clients.get(client) else { return Ok(()) };
        let Some(packet) = member.open(&mut packet) else {
            self.counts.forged += 1;
            return Ok(());
        };
        if let Some(answer) = member.answer(&packet, self.rng.next_u64(), self.target) {
            self.transmit(client, &answer)?;
        }
        self.notice(client, &packet)
    }

    fn notice(&mut self, client: usize, packet: &Packet) -> Result<()> {
        match packet.verb {
            Verb::HELLO => self.events.push(Event::Met { client }),
            Verb::NETWORK_CREDENTIALS => self.events.push(Event::Credentials { client }),
            Verb::NETWORK_CONFIG => {
                let is_last = self.check(&packet.payload)?;
                self.events.extend(is_last.then_some(Event::Pushed { client }));
            }
            Verb::OK => {
                let reply = OkReply::parse(&packet.payload)?;
                if reply.in_re_verb == Verb::NETWORK_CONFIG_REQUEST {
                    self.configured(client, reply.in_re_packet, reply.payload)?;
                }
            }
            Verb::ERROR => {
                let in_re = ErrorReply::parse(&packet.payload)?.in_re_packet;
                self.events.push(match self.waiting.remove(&in_re) {
                    Some(waiting) => Event::Refused { client, after: waiting.sent.elapsed() },
                    None => Event::Expelled { client },
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn configured(&mut self, client: usize, in_re: u64, payload: &[u8]) -> Result<()> {
        let chunk = ConfigChunk::parse(payload)?;
        let total = chunk.part.as_ref().map_or(chunk.data.len(), |part| part.total as usize);
        let length = chunk.data.len();
        self.check(payload)?;
        let Some(waiting) = self.waiting.get_mut(&in_re) else { return Ok(()) };
        waiting.got += length;
        if waiting.got >= total
            && let Some(waiting) = self.waiting.remove(&in_re)
        {
            self.events.push(Event::Configured { client, after: waiting.sent.elapsed() });
        }
        Ok(())
    }

    /// Checks the signature of a sample; says whether the piece is the last one.
    fn check(&mut self, payload: &[u8]) -> Result<bool> {
        let chunk = ConfigChunk::parse(payload)?;
        let Some(part) = &chunk.part else { return Ok(false) };
        self.chunks += 1;
        if self.chunks % SAMPLE == 1 {
            self.counts.checked += 1;
            let verified =
                zt_crypto::signature::verify(&self.controller, &chunk.signed_bytes(), &part.signature);
            self.counts.forged += u64::from(verified.is_err());
        }
        Ok(part.index as usize + chunk.data.len() == part.total as usize)
    }

    fn transmit(&mut self, client: usize, packet: &[u8]) -> Result<()> {
        self.send(self.clients.get(client).and_then(|client| client.ip), packet)
    }

    /// Sends a datagram that is of no client.
    pub(crate) fn transmit_from(&mut self, source: IpAddr, datagram: &[u8]) -> Result<()> {
        self.send(Some(source), datagram)
    }

    fn send(&self, src_ip: Option<IpAddr>, packet: &[u8]) -> Result<()> {
        let message =
            Transmit { destination: self.target, ecn: None, contents: packet, segment_size: None, src_ip };
        loop {
            match self.state.try_send(UdpSockRef::from(&self.socket), &message) {
                Ok(()) => return Ok(()),
                // The controller was just killed.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
                    ppoll(&mut polled, Some(TimeSpec::from_duration(Duration::from_millis(10))), None)?;
                }
                Err(error) => return Err(format!("cannot send from {src_ip:?}: {error}").into()),
            }
        }
    }
}

/// Returns the address that client `n` sends from: neighbours are in different /24.
fn address_of(n: usize) -> IpAddr {
    let network = u32::try_from(n % SPREAD).unwrap_or(0);
    let host = u32::try_from(n / SPREAD).unwrap_or(0);
    Ipv4Addr::from_bits(0x0a01_0000 + (network << 8) + 1 + host).into()
}
