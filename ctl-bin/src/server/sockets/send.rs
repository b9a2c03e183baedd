//! Sending, with as few calls of the kernel as it takes.
//!
//! The pieces of one packet are joined, and cut by the kernel (GSO): they take one way through it. Packets in one piece to
//! different peers, as most answers are, go in one call (`sendmmsg`). Datagrams leave in their order, and one that cannot be
//! sent keeps no other from leaving.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _};

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, sendmmsg,
};
use quinn_udp::UdpSockRef;
use tokio::io::Interest;
use tracing::debug;

use super::{Bound, Sockets, watch};
use crate::vl1::{Link, Transmit};

/// What the kernel takes in one message that it cuts itself.
const MAX_JOINED_BYTES: usize = 60_000;
/// Datagrams that are handed over in one call; more gain nothing.
const MAX_TOGETHER: usize = 32;

impl Sockets {
    /// Sends datagrams in order.
    pub(in super::super) async fn send(&self, transmits: &[Transmit]) {
        let (mut rest, mut joined) = (transmits, Vec::new());
        while let Some(first) = rest.first() {
            let letters = letters(rest);
            let (now, later) = rest.split_at(if letters > 1 { letters } else { pieces(rest) });
            for bound in self.sockets_of(first.link) {
                if letters > 1 {
                    bound.send_letters(now).await;
                } else {
                    bound.send_run(now, &mut joined).await;
                }
            }
            rest = later;
        }
    }
}

impl Bound {
    /// Sends datagrams to different peers, which leave from one address.
    async fn send_letters(&self, letters: &[Transmit]) {
        let mut rest = letters;
        while let [first, others @ ..] = rest {
            let source = source(first.link);
            let taken = with_room(self.io.get_ref(), || self.try_send_together(source, rest)).await;
            rest = match taken {
                Ok(count) if count > 0 => rest.get(count..).unwrap_or_default(),
                // What failed is the first of them.
                Ok(_) | Err(_) => {
                    report(first.link, self.send(first.link, &first.bytes, None).await);
                    others
                }
            };
        }
    }

    /// Hands datagrams to the kernel; returns how many it took, from the first on.
    fn try_send_together(&self, source: Option<IpAddr>, datagrams: &[Transmit]) -> io::Result<usize> {
        // Each family as what it is: for an address of any kind, the results would look into ones that only receiving writes.
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for datagram in datagrams {
            match datagram.link.remote {
                SocketAddr::V4(to) => v4.push(Some(SockaddrIn::from(to))),
                SocketAddr::V6(to) => v6.push(Some(SockaddrIn6::from(to))),
            }
        }
        if v6.is_empty() {
            self.try_send_to(&v4, source, datagrams)
        } else {
            self.try_send_to(&v6, source, datagrams)
        }
    }

    fn try_send_to<S: SockaddrLike + Copy>(
        &self,
        to: &[Option<S>],
        source: Option<IpAddr>,
        datagrams: &[Transmit],
    ) -> io::Result<usize> {
        let bytes: Vec<_> = datagrams.iter().map(|datagram| [IoSlice::new(&datagram.bytes)]).collect();
        let (v4, v6);
        let (control, room) = match source {
            None => (None, None),
            Some(IpAddr::V4(ip)) => {
                let from = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: in_addr { s_addr: 0 } };
                (Some(ControlMessage::Ipv4PacketInfo(&v4)), Some(cmsg_space!(in_pktinfo)))
            }
            Some(IpAddr::V6(ip)) => {
                v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                (Some(ControlMessage::Ipv6PacketInfo(&v6)), Some(cmsg_space!(in6_pktinfo)))
            }
        };
        let mut headers = MultiHeaders::preallocate(datagrams.len(), room);
        let (socket, control) = (self.io.as_raw_fd(), control.as_slice());
        let sent = sendmmsg(socket, &mut headers, &bytes, to, control, MsgFlags::empty())?;
        Ok(sent.count())
    }

    /// Sends datagrams over one link, none longer than the one before.
    async fn send_run(&self, run: &[Transmit], joined: &mut Vec<u8>) {
        for pieces in equal_pieces(run, self.state.max_gso_segments()) {
            let Some(first) = pieces.first() else { continue };
            report(first.link, self.send_pieces(pieces, joined).await);
        }
    }

    async fn send_pieces(&self, pieces: &[Transmit], joined: &mut Vec<u8>) -> io::Result<()> {
        if let [first, _, ..] = pieces {
            joined.clear();
            pieces.iter().for_each(|piece| joined.extend_from_slice(&piece.bytes));
            if self.send(first.link, joined, Some(first.bytes.len())).await.is_ok() {
                return Ok(());
            }
            // Some devices cannot do it.
        }
        for piece in pieces {
            self.send(piece.link, &piece.bytes, None).await?;
        }
        Ok(())
    }

    /// Sends `contents`, cut by the kernel into datagrams of `segment_size` if that is given.
    async fn send(&self, link: Link, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let source = source(link);
        let sent = self.send_from(source, link.remote, contents, segment_size).await;
        if sent.is_err() && source.is_some() {
            // The address to which the peer wrote may be gone from this machine.
            return self.send_from(None, link.remote, contents, segment_size).await;
        }
        sent
    }

    async fn send_from(
        &self,
        source: Option<IpAddr>,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        // The kernel's refusal would be taken for a device that cannot cut datagrams, which ends that for good.
        if destination.port() == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        let message = quinn_udp::Transmit { destination, ecn: None, contents, segment_size, src_ip: source };
        let socket = self.io.get_ref();
        with_room(socket, || self.state.try_send(UdpSockRef::from(socket), &message)).await
    }
}

/// Calls `send` until the socket has room for what it sends. Only then is it watched for room, which takes a file descriptor:
/// without one what was to be sent is lost.
async fn with_room<T>(socket: &impl AsFd, send: impl Fn() -> io::Result<T>) -> io::Result<T> {
    loop {
        match send() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
        let watched = watch(socket.as_fd().try_clone_to_owned()?, Interest::WRITABLE)?;
        drop(watched.writable().await?);
    }
}

/// Returns the address of this machine from which datagrams over a link leave; `None` leaves that to the kernel.
fn source(link: Link) -> Option<IpAddr> {
    link.local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified())
}

fn report(link: Link, sent: io::Result<()>) {
    if let Err(error) = sent {
        debug!(remote = %link.remote, %error, "datagram not sent");
    }
}

/// Says whether two datagrams that follow each other may be pieces of one packet.
fn are_pieces(one: &Transmit, next: &Transmit) -> bool {
    one.link == next.link && one.bytes.len() >= next.bytes.len()
}

/// Returns how many datagrams at the beginning may be pieces of one packet; 1 if there is nothing to join.
fn pieces(datagrams: &[Transmit]) -> usize {
    datagrams.chunk_by(are_pieces).next().map_or(0, <[_]>::len)
}

/// Returns how many datagrams at the beginning can be sent in one call: none is a piece of one packet with the one after it,
/// and all leave from one address through the same sockets.
fn letters(datagrams: &[Transmit]) -> usize {
    let Some(first) = datagrams.first() else { return 0 };
    let leaves_alike =
        |link: Link| link.local == first.link.local && link.remote.is_ipv6() == first.link.remote.is_ipv6();
    let nexts = datagrams.iter().skip(1).map(Some).chain([None]);
    let is_letter = |(datagram, next): &(&Transmit, Option<&Transmit>)| {
        leaves_alike(datagram.link) && !next.is_some_and(|next| are_pieces(datagram, next))
    };
    datagrams.iter().zip(nexts).take(MAX_TOGETHER).take_while(is_letter).count()
}

/// Cuts a run of datagrams over one link, none longer than the one before, into what the kernel can cut again: all of one
/// length but the last.
fn equal_pieces(run: &[Transmit], max_segments: usize) -> Vec<&[Transmit]> {
    let mut rest = run;
    let mut pieces = Vec::new();
    while let Some(first) = rest.first() {
        let length = first.bytes.len();
        let equal = rest.iter().take_while(|transmit| transmit.bytes.len() == length).count();
        let with_last = if equal < rest.len() { equal + 1 } else { equal };
        let most = max_segments.min(MAX_JOINED_BYTES / length.max(1)).max(1);
        let (head, tail) = rest.split_at(with_last.min(most));
        pieces.push(head);
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::tests::{rng, transmit};
    use super::super::{SecondaryPort, Sockets};
    use super::*;

    fn lengths(pieces: &[&[Transmit]]) -> Vec<Vec<usize>> {
        pieces.iter().map(|piece| piece.iter().map(|transmit| transmit.bytes.len()).collect()).collect()
    }

    #[test]
    fn pieces_of_a_packet_are_joined_and_others_are_not() {
        let run: Vec<_> = [1432, 1432, 1432, 70, 60, 60].map(|len| transmit("10.0.0.1:1", len)).into();
        assert_eq!(lengths(&equal_pieces(&run, 64)), [vec![1432, 1432, 1432, 70], vec![60, 60]]);
        assert_eq!(lengths(&equal_pieces(&run, 2)), [vec![1432, 1432], vec![1432, 70], vec![60, 60]]);
        assert_eq!(equal_pieces(&run, 1).len(), 6);
    }

    #[test]
    fn packets_in_one_piece_that_leave_alike_go_together() {
        let to = |remotes: &[&str]| remotes.iter().map(|remote| transmit(remote, 50)).collect::<Vec<_>>();
        let count = |remotes: &[&str]| (letters(&to(remotes)), pieces(&to(remotes)));
        assert_eq!(count(&[]), (0, 0));
        assert_eq!(count(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"]), (3, 1));
        // The last two may be pieces of one packet, and so may the first two.
        assert_eq!(count(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.3:1"]), (2, 1));
        assert_eq!(count(&["10.0.0.3:1", "10.0.0.3:1", "10.0.0.1:1"]), (0, 2));
        assert_eq!(count(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"]), (1, 1), "another socket");
        let mut others = to(&["10.0.0.1:1", "10.0.0.2:1"]);
        others[1].link.local = Some("10.0.0.9:1".parse().unwrap());
        assert_eq!(letters(&others), 1, "from another address");
        let many: Vec<_> = (1..=100).map(|n| transmit(&format!("10.0.0.{n}:1"), 50)).collect();
        assert_eq!(letters(&many), MAX_TOGETHER);
    }

    /// Peers that wait a while for what is sent to them.
    fn peers(ip: &str, count: usize) -> Vec<UdpSocket> {
        let peer = || {
            let peer = UdpSocket::bind((ip, 0)).unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            peer
        };
        std::iter::repeat_with(peer).take(count).collect()
    }

    /// Returns how long what a peer gets next is, and from which address it comes.
    fn received(peer: &UdpSocket) -> (usize, SocketAddr) {
        peer.recv_from(&mut [0; 2_000]).unwrap()
    }

    #[tokio::test]
    async fn answers_to_different_peers_all_arrive_from_the_address_that_was_asked() {
        for (ip, own) in [("127.0.0.1", Some("127.0.0.3")), ("127.0.0.1", None), ("::1", Some("::1"))] {
            let Ok(sockets) = Sockets::bind(None, 0, SecondaryPort::Off, rng()) else { continue };
            let Some(bound) = sockets.bound.iter().find(|bound| bound.is_ipv6 == ip.contains(':')) else {
                continue;
            };
            let local = own.map(|own| SocketAddr::new(own.parse().unwrap(), bound.port));
            let peers = peers(ip, 2 * MAX_TOGETHER + 5);
            let to = |peer: &UdpSocket, len| {
                let remote = peer.local_addr().unwrap();
                Transmit { link: Link { local, remote }, ..transmit("10.0.0.1:1", len) }
            };
            // One of them gets a packet in two pieces, among those that get one.
            let mut sent: Vec<_> = peers.iter().enumerate().map(|(n, peer)| to(peer, 100 + n)).collect();
            sent.insert(3, to(&peers[2], 40));
            sockets.send(&sent).await;
            for (n, peer) in peers.iter().enumerate() {
                let (length, from) = received(peer);
                assert_eq!((length, from.port()), (100 + n, bound.port));
                assert!(local.is_none_or(|local| from == local), "{from}");
            }
            assert_eq!(received(&peers[2]).0, 40);
        }
    }

    /// To port 0 nothing can be sent: the kernel stops there, and takes the others with the next call.
    #[tokio::test]
    async fn destinations_that_fail_keep_nothing_from_the_others() {
        let sockets = Sockets::bind(None, 0, SecondaryPort::Off, rng()).unwrap();
        let segments =
            || sockets.bound.iter().map(|bound| bound.state.max_gso_segments()).collect::<Vec<_>>();
        let segments_before = segments();
        let local = Some(SocketAddr::new("127.0.0.1".parse().unwrap(), sockets.bound[0].port));
        for bad in [vec![0], vec![2], vec![5], vec![0, 1, 4, 5], vec![0, 1, 2, 3, 4, 5]] {
            let peers = peers("127.0.0.1", 6);
            let to = |n: usize, peer: &UdpSocket| {
                let remote = peer.local_addr().unwrap();
                // Of different hosts, or they would pass for pieces of one packet.
                let nowhere = SocketAddr::new([127, 0, 1, u8::try_from(n).unwrap()].into(), 0);
                let remote = if bad.contains(&n) { nowhere } else { remote };
                Transmit { link: Link { local, remote }, bytes: vec![7; 10 + n] }
            };
            let sent: Vec<_> = peers.iter().enumerate().map(|(n, peer)| to(n, peer)).collect();
            assert_eq!(letters(&sent), 6);
            sockets.send(&sent).await;
            for (n, peer) in peers.iter().enumerate().filter(|(n, _)| !bad.contains(n)) {
                assert_eq!(received(peer).0, 10 + n, "{bad:?}");
                peer.set_nonblocking(true).unwrap();
                assert!(peer.recv(&mut [0; 100]).is_err(), "twice: {bad:?}");
            }
        }
        assert_eq!(segments(), segments_before, "pieces of packets still go in one call");
    }

    /// A pair of local sockets has room for few datagrams that nobody takes; what is sent over UDP to this machine is taken at
    /// once.
    #[tokio::test]
    async fn what_finds_no_room_waits_until_there_is_some() {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut filled = 0;
        while near.send(&[7]).is_ok() {
            filled += 1;
        }
        let wait = with_room(&near, || near.send(&[8]));
        tokio::pin!(wait);
        assert!(timeout(Duration::from_millis(50), &mut wait).await.is_err(), "there is no room");
        let taken = || {
            let mut byte = [0];
            far.recv(&mut byte).unwrap();
            byte[0]
        };
        assert!((0..filled).all(|_| taken() == 7));
        assert_eq!(timeout(Duration::from_secs(20), wait).await.unwrap().unwrap(), 1);
        assert_eq!(taken(), 8);
    }

    #[tokio::test]
    async fn answers_from_an_address_that_is_gone_leave_from_another_one() {
        let sockets = Sockets::bind(None, 0, SecondaryPort::Off, rng()).unwrap();
        let gone = Some("198.51.100.77:1".parse().unwrap());
        let peers = peers("127.0.0.1", 3);
        let to = |peer: &UdpSocket| {
            let link = Link { local: gone, remote: peer.local_addr().unwrap() };
            Transmit { link, bytes: vec![1] }
        };
        // One alone, and several together.
        sockets.send(&[to(&peers[0])]).await;
        assert_eq!(received(&peers[0]).0, 1);
        sockets.send(&peers.iter().map(to).collect::<Vec<_>>()).await;
        assert!(peers.iter().all(|peer| received(peer).0 == 1));
    }
}
