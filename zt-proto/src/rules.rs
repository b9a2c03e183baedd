//! Flow rules: typed and binary (`vl2.md` §6.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::address::{Address, Mac};

/// One entry of a rule table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Inverts a match; meaningless on an action.
    pub not: bool,
    /// Combines a match with the one before by OR instead of AND; meaningless on an action.
    pub or: bool,
    pub body: RuleBody,
}

/// What an entry does or matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleBody {
    Drop,
    Accept,
    Tee { address: Address, flags: u32, length: u16 },
    Watch { address: Address, flags: u32, length: u16 },
    Redirect { address: Address, flags: u32 },
    Break,
    /// QoS bucket; the reference writes no field, so it means nothing over the wire.
    Priority,
    SourceAddress(Address),
    DestAddress(Address),
    VlanId(u16),
    VlanPcp(u8),
    VlanDei(u8),
    MacSource(Mac),
    MacDest(Mac),
    Ipv4Source { ip: Ipv4Addr, bits: u8 },
    Ipv4Dest { ip: Ipv4Addr, bits: u8 },
    Ipv6Source { ip: Ipv6Addr, bits: u8 },
    Ipv6Dest { ip: Ipv6Addr, bits: u8 },
    IpTos { mask: u8, start: u8, end: u8 },
    IpProtocol(u8),
    EtherType(u16),
    /// `code` is `None` where any code matches.
    Icmp { kind: u8, code: Option<u8> },
    IpSourcePortRange { start: u16, end: u16 },
    IpDestPortRange { start: u16, end: u16 },
    /// Bit mask, see `vl2.md` §6.1.
    Characteristics(u64),
    FrameSizeRange { start: u16, end: u16 },
    /// 0xffffffff matches always.
    Random(u32),
    TagsDifference(TagMatch),
    TagsBitwiseAnd(TagMatch),
    TagsBitwiseOr(TagMatch),
    TagsBitwiseXor(TagMatch),
    TagsEqual(TagMatch),
    TagSender(TagMatch),
    TagReceiver(TagMatch),
    IntegerRange { start: u64, end: u64, index: u16, little_endian: bool, bits: u8 },
    /// A type that this release does not know, kept so that it survives.
    Unknown { kind: u8, field: Vec<u8> },
}

/// A tag and the value that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagMatch {
    pub id: u32,
    pub value: u32,
}

impl Rule {
    /// The rule that lets everything pass: the whole table of a new network.
    pub const ACCEPT: Self = Self { not: false, or: false, body: RuleBody::Accept };
}
