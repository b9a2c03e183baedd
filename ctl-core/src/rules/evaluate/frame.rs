//! A frame, as far as rules look into it (`rules-language.md` §16).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zt_proto::Mac;

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const NEIGHBOR_SOLICITATION: u8 = 0x87;
const NEIGHBOR_ADVERTISEMENT: u8 = 0x88;

/// An Ethernet frame without its header, and what the header said.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub source_mac: Mac,
    pub dest_mac: Mac,
    pub ether_type: u16,
    /// 0 in practice, as frames carry no VLAN tag through a network.
    pub vlan: u16,
    pub payload: &'a [u8],
    ip: Ip,
}

/// What kind of IP packet it is, and where its payload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    V4 {
        protocol: u8,
        position: usize,
    },
    /// `is_whole`: long enough for its header.
    V6 {
        is_whole: bool,
        payload: Option<(u8, usize)>,
    },
    Other,
}

/// The IP address that a frame claims to come from.
pub(super) enum Claim {
    Ip(IpAddr),
    /// Neighbor solicitations need no certificate.
    Exempt,
    None,
}

impl<'a> Frame<'a> {
    pub fn new(source_mac: Mac, dest_mac: Mac, ether_type: u16, vlan: u16, payload: &'a [u8]) -> Self {
        let ip = match ether_type {
            IPV4 if payload.len() >= IPV4_HEADER => {
                let byte = |at| payload.get(at).copied().unwrap_or_default();
                Ip::V4 { protocol: byte(9), position: usize::from(byte(0) & 0x0f) * 4 }
            }
            IPV6 => Ip::V6 { is_whole: payload.len() >= IPV6_HEADER, payload: ipv6_payload(payload) },
            _ => Ip::Other,
        };
        Self { source_mac, dest_mac, ether_type, vlan, payload, ip }
    }

    /// Returns the same frame cut to `length` bytes of payload, as copies are.
    #[must_use]
    pub fn cut(&self, length: usize) -> Self {
        let payload = self.payload.get(..length).unwrap_or(self.payload);
        Self::new(self.source_mac, self.dest_mac, self.ether_type, self.vlan, payload)
    }

    pub(super) fn ip(&self) -> Ip {
        self.ip
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.payload.get(at).copied()
    }

    pub(super) fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.payload.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    pub(super) fn ipv4(&self, at: usize) -> Option<Ipv4Addr> {
        matches!(self.ip, Ip::V4 { .. }).then(|| self.array(at).map(Ipv4Addr::from_octets)).flatten()
    }

    pub(super) fn ipv6(&self, at: usize) -> Option<Ipv6Addr> {
        let is_whole = matches!(self.ip, Ip::V6 { is_whole: true, .. });
        is_whole.then(|| self.array(at).map(Ipv6Addr::from_octets)).flatten()
    }

    /// Returns protocol and place of the payload of an IP packet.
    pub(super) fn transport(&self) -> Option<(u8, usize)> {
        match self.ip {
            Ip::V4 { protocol, position } => Some((protocol, position)),
            Ip::V6 { payload, .. } => payload,
            Ip::Other => None,
        }
    }

    /// Returns the port at `offset` of the transport header, if there are ports.
    pub(super) fn port(&self, offset: usize) -> Option<u16> {
        let (protocol, position) = self.transport()?;
        let has_ports = matches!(protocol, TCP | UDP | SCTP | UDPLITE);
        if !has_ports || self.payload.len() <= position + 4 {
            return None;
        }
        let port = self.array(position + offset).map(u16::from_be_bytes)?;
        // On IPv6 clients take 0 for "no port".
        (port != 0 || matches!(self.ip, Ip::V4 { .. })).then_some(port)
    }

    /// Returns the traffic class.
    pub(super) fn type_of_service(&self) -> Option<u8> {
        match self.ip {
            Ip::V4 { .. } => self.byte(1),
            Ip::V6 { is_whole: true, .. } => {
                self.array(0).map(|[first, second]: [u8; 2]| first << 4 | second >> 4)
            }
            Ip::V6 { is_whole: false, .. } | Ip::Other => None,
        }
    }

    /// Returns the twelve flags of a TCP segment, 0 if there is none.
    pub(super) fn tcp_flags(&self) -> u16 {
        let Some((TCP, position)) = self.transport() else { return 0 };
        if matches!(self.ip, Ip::V6 { .. }) && self.payload.len() <= position + 14 {
            return 0;
        }
        let high = self.byte(position + 12).unwrap_or_default();
        let low = self.byte(position + 13).unwrap_or_default();
        u16::from(high & 0x0f) << 8 | u16::from(low)
    }

    pub(super) fn claim(&self) -> Claim {
        let claim = match (self.ether_type, self.ip) {
            (_, Ip::V4 { .. }) => self.ipv4(12).map(IpAddr::V4),
            (ARP, _) if self.payload.len() >= 28 => self.array::<4>(14).map(IpAddr::from),
            (_, Ip::V6 { is_whole: true, .. }) => {
                let kind = self.byte(40).filter(|_| self.byte(6) == Some(ICMP6) && self.payload.len() >= 64);
                match kind {
                    Some(NEIGHBOR_SOLICITATION) => return Claim::Exempt,
                    Some(NEIGHBOR_ADVERTISEMENT) => self.ipv6(48).map(IpAddr::V6),
                    _ => self.ipv6(8).map(IpAddr::V6),
                }
            }
            _ => None,
        };
        claim.map_or(Claim::None, Claim::Ip)
    }
}

/// Walks over the extension headers of an IPv6 packet to its protocol and payload.
fn ipv6_payload(packet: &[u8]) -> Option<(u8, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    const MOBILITY: u8 = 135;
    let mut header = *packet.get(6)?;
    let mut position = IPV6_HEADER;
    while position <= packet.len() {
        if !matches!(header, HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY) {
            return Some((header, position));
        }
        if position + 8 > packet.len() {
            return None;
        }
        header = *packet.get(position)?;
        position += usize::from(*packet.get(position + 1)?) * 8 + 8;
    }
    None
}
