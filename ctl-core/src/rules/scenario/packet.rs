//! A packet in words, and as the bytes that rules look into.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use zt_proto::{Address, Mac, NetworkId};

use super::words::{Words, Wrong, wrong};
use crate::rules::ast::Word;
use crate::rules::evaluate::{Destination, Frame};
use crate::rules::lexer::lex;
use crate::rules::values;
use crate::rules::vocabulary::{CHARACTERISTICS, ETHER_TYPES, IP_PROTOCOLS, closest, symbol};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// What a client picks for itself.
const EPHEMERAL_PORT: u16 = 40_000;
const BROADCAST: Mac = Mac([0xff; 6]);
/// Groups of mDNS.
const MULTICAST_V4: Mac = Mac([0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb]);
const MULTICAST_V6: Mac = Mac([0x33, 0x33, 0x00, 0x00, 0x00, 0xfb]);
/// For members without managed addresses: those for documentation, which nobody has.
const NOBODY_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const NOBODY_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)];

/// A packet in words: `tcp 443`, `udp dport 53 ipv6`, `ping`, `icmp 3 1`, `arp`, `ethertype 0x88cc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    shape: Shape,
    source_port: u16,
    dest_port: u16,
    tcp_flags: u8,
    type_of_service: u8,
    ipv6: Option<bool>,
    source_ip: Option<IpAddr>,
    dest_ip: Option<IpAddr>,
    /// Payload of the Ethernet frame, at least.
    size: usize,
    spread: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Ip { protocol: u8 },
    Ping { is_reply: bool },
    Icmp { kind: u8, code: u8 },
    Arp { is_reply: bool },
    Ethernet(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    Unicast,
    Multicast,
    Broadcast,
}

/// Why a text is no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PacketError(String);

/// The bytes of a packet between two members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    source_mac: Mac,
    dest_mac: Mac,
    ether_type: u16,
    payload: Vec<u8>,
    is_group: bool,
}

impl Built {
    pub fn frame(&self) -> Frame<'_> {
        Frame::new(self.source_mac, self.dest_mac, self.ether_type, 0, &self.payload)
    }

    pub fn destination(&self, recipient: Address) -> Destination {
        if self.is_group { Destination::Group(recipient) } else { Destination::Member(recipient) }
    }
}

impl FromStr for Packet {
    type Err = PacketError;

    /// Reads a packet as it stands in a test: `tcp 443`, `udp dport 53 sport 53`, …
    fn from_str(text: &str) -> Result<Self, PacketError> {
        let tokens = lex(text);
        let words: Vec<Word<'_>> =
            tokens.iter().map(|token| Word { text: token.text, span: token.span }).collect();
        let mut words = Words::new(&words);
        let packet = Self::read(&mut words).map_err(|(_, message)| PacketError(message))?;
        match words.next() {
            None => Ok(packet),
            Some(word) => Err(PacketError(wrong("an option such as dport or size", word).1)),
        }
    }
}

impl Packet {
    /// Reads what belongs to a packet, up to a word that does not.
    pub(super) fn read<'a>(words: &mut Words<'_, 'a>) -> Result<Self, Wrong<'a>> {
        const KINDS: [&str; 9] =
            ["tcp", "udp", "sctp", "ping", "icmp", "arp", "ethertype", "ipprotocol", "icmp6"];
        let word = words.word("a packet such as tcp 443, udp 53, ping or arp")?;
        let mut packet = Self {
            shape: Shape::Ip { protocol: TCP },
            source_port: EPHEMERAL_PORT,
            dest_port: 0,
            tcp_flags: SYN,
            type_of_service: 0,
            ipv6: None,
            source_ip: None,
            dest_ip: None,
            size: 0,
            spread: Spread::Unicast,
        };
        let number = "a number from 0 to 255";
        match word.lower().as_str() {
            "tcp" => packet.with_port(TCP, words),
            "udp" => packet.with_port(UDP, words),
            "sctp" => packet.with_port(SCTP, words),
            "ping" => packet.shape = Shape::Ping { is_reply: words.take("reply") },
            "icmp" | "icmp6" => {
                let kind = words.value(number, values::u8)?;
                let code = words.peek().and_then(|word| values::u8(word.text));
                if code.is_some() {
                    words.next();
                }
                packet.shape = Shape::Icmp { kind, code: code.unwrap_or(0) };
                if word.is("icmp6") {
                    packet.ipv6 = Some(true);
                }
            }
            "arp" => {
                let is_reply = words.take("reply");
                packet.shape = Shape::Arp { is_reply };
                packet.spread = if is_reply { Spread::Unicast } else { Spread::Broadcast };
            }
            "ethertype" => {
                let read = |text: &str| symbol(&ETHER_TYPES, text).or_else(|| values::u16(text));
                packet.shape = Shape::Ethernet(words.value("an Ethernet type", read)?);
            }
            "ipprotocol" => {
                let read = |text: &str| symbol(&IP_PROTOCOLS, text).or_else(|| values::u8(text));
                packet.shape = Shape::Ip { protocol: words.value("an IP protocol", read)? };
            }
            _ => {
                let (at, mut message) = wrong("a packet such as tcp 443, udp 53, ping or arp", word);
                if let Some(guess) = closest(word.text, KINDS) {
                    message.push_str("; did you mean ");
                    message.push_str(guess);
                    message.push('?');
                }
                return Err((at, message));
            }
        }
        packet.options(words)?;
        Ok(packet)
    }

    fn with_port(&mut self, protocol: u8, words: &mut Words<'_, '_>) {
        self.shape = Shape::Ip { protocol };
        if let Some(port) = words.peek().and_then(|word| values::u16(word.text)) {
            words.next();
            self.dest_port = port;
        }
    }

    fn options<'a>(&mut self, words: &mut Words<'_, 'a>) -> Result<(), Wrong<'a>> {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        while let Some(word) = words.peek() {
            let mut is_known = true;
            let option = word.lower();
            let mut value = words_after(words);
            match option.as_str() {
                "sport" => self.source_port = value.value("a port", values::u16)?,
                "dport" => self.dest_port = value.value("a port", values::u16)?,
                "flags" => self.tcp_flags = value.value("TCP flags such as syn,ack", tcp_flags)?,
                "established" => self.tcp_flags = ACK,
                "tos" => self.type_of_service = value.value("a number from 0 to 255", values::u8)?,
                "src" => self.source_ip = Some(value.value("an IP address", ip)?),
                "dst" => self.dest_ip = Some(value.value("an IP address", ip)?),
                "size" => self.size = value.value("a size from 0 to 65535", values::u16)?.into(),
                "ipv4" => self.ipv6 = Some(false),
                "ipv6" => self.ipv6 = Some(true),
                "multicast" => self.spread = Spread::Multicast,
                "broadcast" => self.spread = Spread::Broadcast,
                _ => is_known = false,
            }
            if !is_known {
                break;
            }
            *words = value;
        }
        Ok(())
    }

    /// Makes the bytes of the packet, with the members' own addresses where it names none.
    pub fn build(&self, network: NetworkId, from: (Address, &[IpAddr]), to: (Address, &[IpAddr])) -> Built {
        let ipv6 = self.is_ipv6(from.1, to.1);
        let ips = |explicit: Option<IpAddr>, own: &[IpAddr], nobody: usize| {
            let own = own.iter().copied().find(|ip| ip.is_ipv6() == ipv6);
            let nobody: Option<IpAddr> = if ipv6 {
                NOBODY_V6.get(nobody).map(|&ip| ip.into())
            } else {
                NOBODY_V4.get(nobody).map(|&ip| ip.into())
            };
            explicit.or(own).or(nobody)
        };
        let source_ip = ips(self.source_ip, from.1, 0);
        let dest_ip = ips(self.dest_ip, to.1, 1);
        let source_mac = Mac::of_member(network, from.0);
        let dest_mac = match self.spread {
            Spread::Unicast => Mac::of_member(network, to.0),
            Spread::Multicast => {
                if ipv6 {
                    MULTICAST_V6
                } else {
                    MULTICAST_V4
                }
            }
            Spread::Broadcast => BROADCAST,
        };
        let transport = self.transport(ipv6);
        let (ether_type, mut payload) = match (self.shape, transport) {
            (Shape::Ethernet(ether_type), _) => (ether_type, Vec::new()),
            (Shape::Arp { is_reply }, _) => (ARP, arp(is_reply, source_mac, dest_mac, source_ip, dest_ip)),
            (_, Some((protocol, transport))) => match (source_ip, dest_ip) {
                (Some(IpAddr::V6(source)), Some(IpAddr::V6(dest))) => {
                    (IPV6, self.ipv6_packet(protocol, source, dest, &transport))
                }
                (source, dest) => (IPV4, self.ipv4_packet(protocol, v4(source), v4(dest), &transport)),
            },
            (_, None) => (IPV4, Vec::new()),
        };
        if payload.len() < self.size {
            payload.resize(self.size, 0);
        }
        Built { source_mac, dest_mac, ether_type, payload, is_group: self.spread != Spread::Unicast }
    }

    /// Returns how many bytes a packet has at most.
    pub(super) fn most_bytes(&self) -> usize {
        const HEADERS: usize = 60;
        self.size.max(HEADERS)
    }

    pub(super) fn is_group(&self) -> bool {
        self.spread != Spread::Unicast
    }

    fn is_ipv6(&self, from: &[IpAddr], to: &[IpAddr]) -> bool {
        let explicit = self.source_ip.or(self.dest_ip).map(|ip| ip.is_ipv6());
        let only_v6 = |ips: &[IpAddr]| !ips.is_empty() && ips.iter().all(IpAddr::is_ipv6);
        self.ipv6.or(explicit).unwrap_or_else(|| only_v6(from) && only_v6(to))
    }

    /// Returns protocol and bytes behind the IP header.
    fn transport(&self, ipv6: bool) -> Option<(u8, Vec<u8>)> {
        let icmp = |kind: u8, code: u8| (if ipv6 { ICMP6 } else { ICMP }, vec![kind, code, 0, 0, 0, 0, 0, 0]);
        match self.shape {
            Shape::Ip { protocol } => {
                let mut bytes = self.source_port.to_be_bytes().to_vec();
                bytes.extend(self.dest_port.to_be_bytes());
                match protocol {
                    TCP => bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, self.tcp_flags, 4, 0, 0, 0, 0, 0]),
                    UDP => bytes.extend([0, 8, 0, 0]),
                    _ => bytes.extend([0; 8]),
                }
                Some((protocol, bytes))
            }
            Shape::Ping { is_reply } => Some(match (ipv6, is_reply) {
                (false, false) => icmp(8, 0),
                (false, true) => icmp(0, 0),
                (true, false) => icmp(128, 0),
                (true, true) => icmp(129, 0),
            }),
            Shape::Icmp { kind, code } => Some(icmp(kind, code)),
            Shape::Arp { .. } | Shape::Ethernet(_) => None,
        }
    }

    fn ipv4_packet(&self, protocol: u8, source: Ipv4Addr, dest: Ipv4Addr, transport: &[u8]) -> Vec<u8> {
        let length = u16::try_from(transport.len() + 20).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        let mut packet = vec![0x45, self.type_of_service, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        packet.extend(source.octets());
        packet.extend(dest.octets());
        packet.extend(transport);
        packet
    }

    fn ipv6_packet(&self, protocol: u8, source: Ipv6Addr, dest: Ipv6Addr, transport: &[u8]) -> Vec<u8> {
        let length = u16::try_from(transport.len()).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        let tos = self.type_of_service;
        let mut packet = vec![0x60 | tos >> 4, tos << 4, 0, 0, high, low, protocol, 64];
        packet.extend(source.octets());
        packet.extend(dest.octets());
        packet.extend(transport);
        packet
    }
}

/// Returns a reader that stands behind the next word.
fn words_after<'w, 'a>(words: &Words<'w, 'a>) -> Words<'w, 'a> {
    let mut after = words.clone();
    after.next();
    after
}

fn tcp_flags(text: &str) -> Option<u8> {
    let bit =
        |flag: &str| symbol(&CHARACTERISTICS, &format!("tcp_{}", flag.to_lowercase())).filter(|&bit| bit < 8);
    text.split(',').map(bit).try_fold(0, |flags, bit| Some(flags | 1 << bit?))
}

fn v4(ip: Option<IpAddr>) -> Ipv4Addr {
    match ip {
        Some(IpAddr::V4(ip)) => ip,
        Some(IpAddr::V6(_)) | None => Ipv4Addr::UNSPECIFIED,
    }
}

fn arp(
    is_reply: bool,
    source: Mac,
    dest: Mac,
    source_ip: Option<IpAddr>,
    dest_ip: Option<IpAddr>,
) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, if is_reply { 2 } else { 1 }];
    packet.extend(source.0);
    packet.extend(v4(source_ip).octets());
    packet.extend(if is_reply { dest.0 } else { [0; 6] });
    packet.extend(v4(dest_ip).octets());
    packet
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.payload.len();
        write!(
            f,
            "ethertype {:#06x}, {} to {}, {size} bytes",
            self.ether_type, self.source_mac, self.dest_mac
        )
    }
}
