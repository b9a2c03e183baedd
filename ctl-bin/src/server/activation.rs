//! Sockets that systemd opened before it started the controller (`dist/systemd/ctl-bin.socket`).
//!
//! They outlive the program, so that what members and programs send while it is restarted waits in them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::SockRef;

/// What was handed over; whatever is missing is bound as usual.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// For clients, at most one of each family, IPv4 first.
    pub(super) udp: Vec<UdpSocket>,
    pub(super) api: Option<TcpListener>,
}

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivationError {
    #[error("a socket that was handed over cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("socket {number} of those handed over is neither UDP (ListenDatagram=) nor TCP (ListenStream=)")]
    Kind { number: usize },
    #[error(
        "the TCP socket handed over at {address} does not listen; ctl-bin.socket must not say Accept=yes"
    )]
    NoListener { address: SocketAddr },
    #[error(
        "more than one TCP socket was handed over, the second at {address}; the API listens at one (ListenStream=)"
    )]
    SecondApi { address: SocketAddr },
    #[error(
        "the UDP socket handed over is {address}, where --port and --bind say {expected}; make ListenDatagram= the same"
    )]
    Address { address: SocketAddr, expected: SocketAddr },
    #[error("two UDP sockets of one family were handed over, the second is {address}")]
    SecondUdp { address: SocketAddr },
    #[error("no UDP socket for IPv4 was handed over; add ListenDatagram=0.0.0.0:{port}")]
    NoIpv4 { port: u16 },
    #[error(
        "the UDP socket handed over at {address} takes IPv4 as well; ctl-bin.socket must say BindIPv6Only=ipv6-only"
    )]
    BothFamilies { address: SocketAddr },
}

impl Handed {
    /// Takes the sockets that the environment speaks of (`LISTEN_FDS`), for a node at `port`, on the one address `only` or on
    /// all. Changes the environment, so it is to be called before there are threads.
    ///
    /// # Errors
    /// If one of them cannot be what it is to be: it is better not to start than to listen somewhere else.
    pub(super) fn take(only: Option<IpAddr>, port: u16) -> Result<Self, ActivationError> {
        let mut passed = ListenFd::from_env();
        let mut handed = Self::default();
        for index in 0..passed.len() {
            // Each way to take it leaves it where it is if it is something else.
            if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
                handed.add_api(listener)?;
            } else if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                handed.udp.push(socket);
            } else {
                return Err(ActivationError::Kind { number: index + 1 });
            }
        }
        handed.check_udp(only, port)?;
        Ok(handed)
    }

    fn add_api(&mut self, listener: TcpListener) -> Result<(), ActivationError> {
        let address = listener.local_addr()?;
        if !SockRef::from(&listener).is_listener()? {
            return Err(ActivationError::NoListener { address });
        }
        if self.api.is_some() {
            return Err(ActivationError::SecondApi { address });
        }
        listener.set_nonblocking(true)?;
        self.api = Some(listener);
        Ok(())
    }

    /// They are those that the controller would have bound itself.
    fn check_udp(&mut self, only: Option<IpAddr>, port: u16) -> Result<(), ActivationError> {
        let mut families = Vec::new();
        for socket in &self.udp {
            let address = socket.local_addr()?;
            let everywhere: IpAddr =
                if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            let expected = SocketAddr::new(only.unwrap_or(everywhere), port);
            if (address.ip(), address.port()) != (expected.ip(), expected.port()) {
                return Err(ActivationError::Address { address, expected });
            }
            if families.contains(&address.is_ipv6()) {
                return Err(ActivationError::SecondUdp { address });
            }
            families.push(address.is_ipv6());
            if address.is_ipv6() && !SockRef::from(socket).only_v6()? {
                return Err(ActivationError::BothFamilies { address });
            }
        }
        if only.is_none() && families == [true] {
            return Err(ActivationError::NoIpv4 { port });
        }
        if families == [true, false] {
            self.udp.swap(0, 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn v6(port: u16, is_alone: bool) -> UdpSocket {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        socket.set_only_v6(is_alone).unwrap();
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).unwrap();
        socket.into()
    }

    fn port(socket: &UdpSocket) -> u16 {
        socket.local_addr().unwrap().port()
    }

    fn checked(udp: Vec<UdpSocket>, only: Option<IpAddr>, port: u16) -> Result<Handed, String> {
        let mut handed = Handed { udp, api: None };
        handed.check_udp(only, port).map(|()| handed).map_err(|error| error.to_string())
    }

    #[test]
    fn both_families_are_taken_in_any_order() {
        let first = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = port(&first);
        let handed = checked(vec![v6(port, true), first], None, port).unwrap();
        let families: Vec<_> =
            handed.udp.iter().map(|socket| socket.local_addr().unwrap().is_ipv6()).collect();
        assert_eq!(families, [false, true]);
        assert!(checked(vec![], None, port).unwrap().udp.is_empty());
    }

    #[test]
    fn sockets_that_are_not_what_the_settings_say_are_refused_with_what_to_write() {
        let here: Option<IpAddr> = Some(Ipv4Addr::LOCALHOST.into());
        let local = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let everywhere = || UdpSocket::bind("0.0.0.0:0").unwrap();
        let socket = local();
        let right = port(&socket);
        assert!(checked(vec![socket.try_clone().unwrap()], here, right).is_ok());
        assert!(checked(vec![socket.try_clone().unwrap()], here, right ^ 1).unwrap_err().contains("--port"));
        assert!(checked(vec![socket], None, right).unwrap_err().contains("ListenDatagram="));
        let (one, socket) = (everywhere(), everywhere());
        let again = one.try_clone().unwrap();
        let number = port(&one);
        assert!(checked(vec![one, again], None, number).unwrap_err().contains("two UDP sockets"));
        let number = port(&socket);
        assert!(checked(vec![v6(number, true)], None, number).unwrap_err().contains("0.0.0.0"));
        let both = v6(0, false);
        let number = port(&both);
        assert!(checked(vec![both], None, number).unwrap_err().contains("BindIPv6Only="));
    }

    #[test]
    fn the_api_is_one_socket_that_listens() {
        let mut handed = Handed::default();
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        assert!(handed.add_api(silent.into()).unwrap_err().to_string().contains("Accept="));
        handed.add_api(listener()).unwrap();
        assert!(handed.add_api(listener()).unwrap_err().to_string().contains("more than one"));
    }
}
