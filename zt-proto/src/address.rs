//! Node addresses, network ids and MAC addresses (`vl1.md` §1.1–1.4).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::codec::{DecodeError, Reader};

/// The 40-bit address of a node. Zero stands for "none" where the protocol allows it.
#[doc(alias("ZeroTierAddress", "node_id", "nodeid"))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(u64);

impl Address {
    /// "No node".
    pub const NONE: Self = Self(0);
    /// The largest address. It is reserved, so no node has it.
    pub const MAX: Self = Self(Self::MASK);
    /// The 40 bits of an address in a number.
    pub(crate) const MASK: u64 = 0xff_ffff_ffff;

    /// Returns the address of that number, or `None` if it has more than 40 bits.
    pub const fn from_u64(value: u64) -> Option<Self> {
        if value <= Self::MASK { Some(Self(value)) } else { None }
    }

    /// Returns the address in the low 40 bits of `value`.
    pub const fn from_low_bits(value: u64) -> Self {
        Self(value & Self::MASK)
    }

    /// Returns the address that these bytes are on the wire.
    pub const fn from_octets(octets: [u8; 5]) -> Self {
        let [a, b, c, d, e] = octets;
        Self(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// Returns the bytes of the address on the wire.
    pub const fn octets(self) -> [u8; 5] {
        let [_, _, _, octets @ ..] = self.0.to_be_bytes();
        octets
    }

    /// Returns the address as a number.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// Says whether no node can have this address: zero, and everything that begins with 0xff.
    pub const fn is_reserved(self) -> bool {
        self.0 == 0 || self.0 >> 32 == 0xff
    }

    /// Reads 5 bytes, which errors call `field`.
    pub fn parse(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.array(field).map(Self::from_octets)
    }

    /// Appends 5 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an address or a network id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits")]
pub struct HexIdError {
    digits: usize,
}

fn hex_id(text: &str, digits: usize) -> Result<u64, HexIdError> {
    let error = HexIdError { digits };
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(error);
    }
    u64::from_str_radix(text, 16).map_err(|_| error)
}

impl FromStr for Address {
    type Err = HexIdError;

    /// Reads exactly ten hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, HexIdError> {
        hex_id(text, 10).map(Self)
    }
}

/// The 64-bit id of a network: the controller's address, then 24 bits that the controller chose.
#[doc(alias("NWID", "nwid", "network_id"))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u64);

impl NetworkId {
    /// The largest number that a controller can choose.
    pub const MAX_SUFFIX: u32 = 0x00ff_ffff;

    /// Returns the id of network number `suffix` (its low 24 bits) of `controller`.
    pub fn of_controller(controller: Address, suffix: u32) -> Self {
        Self(controller.to_u64() << 24 | u64::from(suffix & Self::MAX_SUFFIX))
    }

    /// Returns the address of the node that controls this network.
    pub const fn controller(self) -> Address {
        Address::from_low_bits(self.0 >> 24)
    }

    /// Returns the bytes of the id on the wire.
    pub const fn octets(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads 8 bytes.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64("network id").map(Self)
    }

    /// Appends 8 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NetworkId {
    type Err = HexIdError;

    /// Reads exactly sixteen hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, HexIdError> {
        hex_id(text, 16).map(Self)
    }
}

/// A 48-bit MAC address.
#[doc(alias = "ethernet_address")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Returns the MAC address of a node on a network (`vl1.md` §1.3).
    pub fn of_member(network: NetworkId, member: Address) -> Self {
        let [_, _, n2, n3, n4, n5, n6, n7] = network.octets();
        let [a0, a1, a2, a3, a4] = member.octets();
        let first = match n7 & 0xfe | 0x02 {
            0x52 => 0x32, // 0x52 is what KVM and others use for their own virtual cards
            other => other,
        };
        Self([first, a0 ^ n6, a1 ^ n5, a2 ^ n4, a3 ^ n3, a4 ^ n2])
    }

    /// Returns the node that has this MAC address on `network`; the inverse of [`Mac::of_member`].
    pub fn member(self, network: NetworkId) -> Address {
        let [_, _, n2, n3, n4, n5, n6, _] = network.octets();
        let [_, m1, m2, m3, m4, m5] = self.0;
        Address::from_octets([m1 ^ n6, m2 ^ n5, m3 ^ n4, m4 ^ n3, m5 ^ n2])
    }

    /// Reads 6 bytes, which errors call `field`.
    pub fn parse(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.array(field).map(Self)
    }

    /// Appends 6 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected six pairs of hexadecimal digits, for example 32:a7:dd:06:d8:f8")]
pub struct MacTextError;

impl FromStr for Mac {
    type Err = MacTextError;

    /// Reads exactly six pairs of hexadecimal digits of either case, with colons between them.
    fn from_str(text: &str) -> Result<Self, MacTextError> {
        let mut pairs = text.split(':');
        let mut octets = [0; 6];
        for octet in &mut octets {
            let pair = pairs.next().unwrap_or_default();
            *octet = hex_id(pair, 2).ok().and_then(|octet| u8::try_from(octet).ok()).ok_or(MacTextError)?;
        }
        if pairs.next().is_some() { Err(MacTextError) } else { Ok(Self(octets)) }
    }
}

/// A multicast group: a MAC address, and a number that divides broadcasts.
#[doc(alias = "ADI")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MulticastGroup {
    /// Where frames of the group go.
    pub mac: Mac,
    /// "Additional distinguishing information": 0 except for the resolution of IPv4 addresses.
    pub adi: u32,
}

impl MulticastGroup {
    /// Returns the group in which the owner of `ip` is looked for.
    pub fn resolving(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self { mac: Mac([0xff; 6]), adi: ip.to_bits() },
            IpAddr::V6(ip) => {
                let [.., x, y, z] = ip.octets();
                Self { mac: Mac([0x33, 0x33, 0xff, x, y, z]), adi: 0 }
            }
        }
    }

    /// Reads `mac:6 adi:4`.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { mac: Mac::parse(reader, "multicast MAC")?, adi: reader.u32("multicast ADI")? })
    }

    /// Appends `mac:6 adi:4`.
    pub fn write(self, out: &mut Vec<u8>) {
        self.mac.write(out);
        out.extend_from_slice(&self.adi.to_be_bytes());
    }
}
