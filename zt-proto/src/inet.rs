//! Physical addresses and IP prefixes: the wire form "InetAddress", scopes, text forms
//! (`vl1.md` §1.5, §13.5, §17.4).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::codec::{DecodeError, Reader};

const NIL: u8 = 0x00;
const ETHERNET: u8 = 0x01;
const BLUETOOTH: u8 = 0x02;
const OTHER: u8 = 0x03;
const IPV4: u8 = 0x04;
const IPV6: u8 = 0x06;

/// Reads the wire form: an IP address and a number, which is a port or a prefix length.
///
/// Returns `None` for "no address" and for the three kinds that no node uses.
fn parse_pair(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<(IpAddr, u16)>, DecodeError> {
    let ip = match reader.u8(field)? {
        NIL => return Ok(None),
        ETHERNET | BLUETOOTH => {
            reader.bytes(6, field)?;
            return Ok(None);
        }
        OTHER => {
            let length = reader.u16(field)?;
            reader.bytes(length.into(), field)?;
            return Ok(None);
        }
        IPV4 => IpAddr::from(reader.array::<4>(field)?),
        IPV6 => IpAddr::from(reader.array::<16>(field)?),
        other => return Err(DecodeError::Invalid { field, value: other.into() }),
    };
    Ok(Some((ip, reader.u16(field)?)))
}

fn write_pair(out: &mut Vec<u8>, ip: IpAddr, number: u16) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(IPV4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(IPV6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&number.to_be_bytes());
}

/// Reads a physical address: 1, 7 or 19 bytes, or one of the unused kinds, which count as none.
pub fn parse_endpoint(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<SocketAddr>, DecodeError> {
    Ok(parse_pair(reader, field)?.map(|(ip, port)| SocketAddr::new(ip, port)))
}

/// Writes a physical address, or the single byte 0 for none.
pub fn write_endpoint(out: &mut Vec<u8>, endpoint: Option<SocketAddr>) {
    match endpoint {
        Some(endpoint) => write_pair(out, endpoint.ip(), endpoint.port()),
        None => out.push(NIL),
    }
}

/// Writes an IP address with 0 in the place of the number: a route's gateway, a DNS server.
pub fn write_ip(out: &mut Vec<u8>, ip: Option<IpAddr>) {
    match ip {
        Some(ip) => write_pair(out, ip, 0),
        None => out.push(NIL),
    }
}

/// Reads an IP address whose number does not matter.
pub fn parse_ip(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<IpAddr>, DecodeError> {
    Ok(parse_pair(reader, field)?.map(|(ip, _)| ip))
}

/// A physical address as tools write it: `10.0.0.1/9993`, `fd00::1/9993`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointText(pub SocketAddr);

impl fmt::Display for EndpointText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.ip(), self.0.port())
    }
}

/// Why a text is not an endpoint or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InetTextError {
    /// An [`EndpointText`] was expected.
    #[error("expected IP/PORT, for example 203.0.113.1/9993")]
    Endpoint,
    /// An [`IpPrefix`] was expected.
    #[error("expected ADDRESS/BITS, for example 10.147.17.0/24")]
    Prefix,
    /// The prefix length is longer than the address.
    #[error("a prefix of this family has at most {max} bits, not {got}")]
    TooManyBits {
        /// 32 or 128.
        max: u8,
        /// What the text says.
        got: u8,
    },
}

impl FromStr for EndpointText {
    type Err = InetTextError;

    fn from_str(text: &str) -> Result<Self, InetTextError> {
        let (ip, port) = text.split_once('/').ok_or(InetTextError::Endpoint)?;
        let ip: IpAddr = ip.parse().map_err(|_| InetTextError::Endpoint)?;
        let port: u16 = port.parse().map_err(|_| InetTextError::Endpoint)?;
        Ok(Self(SocketAddr::new(ip, port)))
    }
}

/// An IP address with a prefix length: a route's target or the address of an interface. Host bits are kept.
#[doc(alias("CIDR", "subnet", "InetAddress"))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    ip: IpAddr,
    bits: u8,
}

impl IpPrefix {
    /// Returns the prefix, or an error if `bits` is above 32 or 128.
    pub fn new(ip: IpAddr, bits: u8) -> Result<Self, InetTextError> {
        let max = Self::max_bits(ip);
        if bits > max { Err(InetTextError::TooManyBits { max, got: bits }) } else { Ok(Self { ip, bits }) }
    }

    fn max_bits(ip: IpAddr) -> u8 {
        if ip.is_ipv4() { 32 } else { 128 }
    }

    /// Returns the address, with its host bits.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// Returns the prefix length, at most 32 or 128.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Says whether `ip` lies inside: same family, and equal in the first [`IpPrefix::bits`] bits.
    /// Host bits of the prefix itself are ignored.
    pub fn contains(self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// Returns the same prefix with all host bits zero.
    #[must_use]
    pub fn network(self) -> Self {
        let ip = match self.ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                Ipv4Addr::from_bits(ip.to_bits() & mask).into()
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                Ipv6Addr::from_bits(ip.to_bits() & mask).into()
            }
        };
        Self { ip, bits: self.bits }
    }

    /// Reads the wire form, in which the port is the prefix length; `None` for "no address".
    pub fn parse(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<Self>, DecodeError> {
        let Some((ip, bits)) = parse_pair(reader, field)? else { return Ok(None) };
        u8::try_from(bits)
            .ok()
            .and_then(|bits| Self::new(ip, bits).ok())
            .map(Some)
            .ok_or(DecodeError::Invalid { field, value: bits.into() })
    }

    /// Writes the wire form, in which the prefix length stands for the port: 7 or 19 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        write_pair(out, self.ip, self.bits.into());
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for IpPrefix {
    type Err = InetTextError;

    /// Reads `ADDRESS/BITS` strictly.
    fn from_str(text: &str) -> Result<Self, InetTextError> {
        let (ip, bits) = text.split_once('/').ok_or(InetTextError::Prefix)?;
        let ip: IpAddr = ip.parse().map_err(|_| InetTextError::Prefix)?;
        let bits: u8 = bits.parse().map_err(|_| InetTextError::Prefix)?;
        Self::new(ip, bits)
    }
}

/// How far a physical address reaches (`vl1.md` §17.4); a higher one is preferred for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// No address at all: 0.0.0.0/8, ::.
    None = 0,
    /// A group of receivers.
    Multicast = 1,
    /// The machine itself.
    Loopback = 2,
    /// Public ranges that many use inside, because their owners never announced them.
    Pseudoprivate = 3,
    /// Everywhere.
    Global = 4,
    /// One link, by addresses that are made up there.
    LinkLocal = 5,
    /// Behind the translation of a provider; no range counts as this any more.
    Shared = 6,
    /// One site.
    Private = 7,
}

impl Scope {
    /// Returns the scope of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [0 | 255, ..] => Self::None,
            [224..=239, ..] => Self::Multicast,
            [127, ..] => Self::Loopback,
            [10, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [100, 64..=127, ..]
            | [192, 0, 2, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Private,
            [169, 254, ..] => Self::LinkLocal,
            // Blocks that were given to organisations which never announced them, so many use them inside.
            [6 | 11 | 21 | 22 | 25 | 26 | 28 | 29 | 30 | 51 | 55 | 56 | 240..=254, ..] => Self::Pseudoprivate,
            _ => Self::Global,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        const LINK_LOCAL_LOOPBACK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        if ip.is_unspecified() {
            return Self::None;
        }
        if ip.is_loopback()
            || ip == LINK_LOCAL_LOOPBACK
            || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        {
            return Self::Loopback;
        }
        match ip.octets() {
            [0xff, ..] => Self::Multicast,
            [0xfe, 0x80..=0xbf, ..] => Self::LinkLocal,
            [0xfc | 0xfd, ..] => Self::Private,
            _ => Self::Global,
        }
    }
}

/// Says whether an address may be learnt as a path to a peer (the first two rules of `vl1.md` §13.5).
pub fn is_usable_path(ip: IpAddr) -> bool {
    // 2001:470::/32 is a tunnel broker whose paths are always worse than the IPv4 below them.
    let tunnel = matches!(ip, IpAddr::V6(ip) if ip.octets().starts_with(&[0x20, 0x01, 0x04, 0x70]));
    !tunnel && matches!(Scope::of(ip), Scope::Pseudoprivate | Scope::Global | Scope::Shared | Scope::Private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_zero_contains_its_family_only() {
        let all: IpPrefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
    }

    #[test]
    fn network_of_a_prefix_has_no_host_bits() {
        let network = |text: &str| text.parse::<IpPrefix>().unwrap().network().to_string();
        assert_eq!(network("10.1.2.3/24"), "10.1.2.0/24");
        assert_eq!(network("10.1.2.3/0"), "0.0.0.0/0");
        assert_eq!(network("10.1.2.3/32"), "10.1.2.3/32");
        assert_eq!(network("fd00::1:2/112"), "fd00::1:0/112");
    }

    #[test]
    fn host_bits_of_a_prefix_do_not_matter() {
        let net: IpPrefix = "10.1.2.3/24".parse().unwrap();
        assert!(net.contains("10.1.2.200".parse().unwrap()));
        assert!(!net.contains("10.1.3.1".parse().unwrap()));
        let net: IpPrefix = "fd00::1/64".parse().unwrap();
        assert!(net.contains("fd00::2".parse().unwrap()));
    }
}
