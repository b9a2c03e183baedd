//! Flow rules: typed and binary (`vl2.md` §6.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::address::{Address, Mac};
use crate::codec::{DecodeError, Reader};

/// Most rules of a network that clients take.
pub const MAX_RULES: usize = 1024;
/// Most rules of one capability that clients take.
pub const MAX_CAPABILITY_RULES: usize = 64;

/// Bit of the type byte that inverts a match.
const NOT: u8 = 0x80;
/// Bit of the type byte that combines a match with the previous one by OR.
const OR: u8 = 0x40;
const KIND_MASK: u8 = 0x3f;
/// Types up to this one are actions, the others matches.
const LAST_ACTION: u8 = 15;
/// Flag of an ICMP match: the code is compared too.
const ICMP_CODE_COUNTS: u8 = 0x01;
const INTEGER_LITTLE_ENDIAN: u8 = 0x80;
/// Width of the integer in bits, less one.
const INTEGER_BITS_MASK: u8 = 0x3f;

/// One entry of a rule table.
#[doc(alias("flow_rule", "ACL"))]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Inverts a match; meaningless on an action.
    pub not: bool,
    /// Combines a match with the one before by OR instead of AND; meaningless on an action.
    pub or: bool,
    /// What the entry does or matches.
    pub body: RuleBody,
}

/// What an entry does or matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuleBody {
    /// Action: drops the frame.
    Drop,
    /// Action: lets the frame pass.
    Accept,
    /// Action: sends a copy of the frame to another member, and goes on.
    Tee {
        /// The member that gets the copy.
        address: Address,
        /// Not interpreted here.
        flags: u32,
        /// How much of the frame is copied, in bytes; 65535: all of it.
        length: u16,
    },
    /// Action: as [`RuleBody::Tee`], but the copy asks for an acknowledgement.
    Watch {
        /// The member that gets the copy.
        address: Address,
        /// Not interpreted here.
        flags: u32,
        /// How much of the frame is copied, in bytes; 65535: all of it.
        length: u16,
    },
    /// Action: sends the frame to another member in the place of its destination.
    Redirect {
        /// The member that gets the frame.
        address: Address,
        /// Not interpreted here.
        flags: u32,
    },
    /// Action: ends the table without accepting; capabilities are still asked.
    Break,
    /// QoS bucket; the reference writes no field, so it means nothing over the wire.
    Priority,
    /// The member that sent the frame.
    SourceAddress(Address),
    /// The member that the frame is for.
    DestAddress(Address),
    /// VLAN id of the frame, 0 without a tag.
    VlanId(u16),
    /// VLAN priority of the frame.
    VlanPcp(u8),
    /// VLAN drop eligibility of the frame.
    VlanDei(u8),
    /// Source of the Ethernet frame.
    MacSource(Mac),
    /// Destination of the Ethernet frame.
    MacDest(Mac),
    /// Source of an IPv4 packet.
    Ipv4Source {
        /// An address of the network.
        ip: Ipv4Addr,
        /// Prefix length.
        bits: u8,
    },
    /// Destination of an IPv4 packet.
    Ipv4Dest {
        /// An address of the network.
        ip: Ipv4Addr,
        /// Prefix length.
        bits: u8,
    },
    /// Source of an IPv6 packet.
    Ipv6Source {
        /// An address of the network.
        ip: Ipv6Addr,
        /// Prefix length.
        bits: u8,
    },
    /// Destination of an IPv6 packet.
    Ipv6Dest {
        /// An address of the network.
        ip: Ipv6Addr,
        /// Prefix length.
        bits: u8,
    },
    /// Type of service of an IP packet: lies between `start` and `end`, inclusive, once `mask` is applied.
    IpTos {
        /// Which bits of it count.
        mask: u8,
        /// Lowest value.
        start: u8,
        /// Highest value.
        end: u8,
    },
    /// Protocol of an IP packet, for example 6 for TCP.
    IpProtocol(u8),
    /// Type of the Ethernet frame, for example 0x0800.
    EtherType(u16),
    /// `code` is `None` where any code matches.
    Icmp {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: Option<u8>,
    },
    /// Source port of TCP, UDP and the like.
    IpSourcePortRange {
        /// Lowest port.
        start: u16,
        /// Highest port.
        end: u16,
    },
    /// Destination port of TCP, UDP and the like.
    IpDestPortRange {
        /// Lowest port.
        start: u16,
        /// Highest port.
        end: u16,
    },
    /// Bit mask, see `vl2.md` §6.1.
    Characteristics(u64),
    /// Length of the frame in bytes.
    FrameSizeRange {
        /// Smallest length.
        start: u16,
        /// Largest length.
        end: u16,
    },
    /// 0xffffffff matches always.
    Random(u32),
    /// The tags of sender and receiver differ by at most the value.
    TagsDifference(TagMatch),
    /// The tags of sender and receiver, combined by AND, are the value.
    TagsBitwiseAnd(TagMatch),
    /// The tags of sender and receiver, combined by OR, are the value.
    TagsBitwiseOr(TagMatch),
    /// The tags of sender and receiver, combined by XOR, are the value.
    TagsBitwiseXor(TagMatch),
    /// The tags of sender and receiver are both the value.
    TagsEqual(TagMatch),
    /// The tag of the sender is the value.
    TagSender(TagMatch),
    /// The tag of the receiver is the value.
    TagReceiver(TagMatch),
    /// `bits` is 1 to 64.
    IntegerRange {
        /// Lowest value.
        start: u64,
        /// Highest value; clients keep the low 32 bits of how far it is from `start`.
        end: u64,
        /// Where in the frame the integer begins, in bytes.
        index: u16,
        /// The order of its bytes.
        little_endian: bool,
        /// Its width.
        bits: u8,
    },
    /// A type that this release does not know, kept so that it survives.
    Unknown {
        /// Low six bits of the type byte.
        kind: u8,
        /// At most 255 bytes.
        field: Vec<u8>,
    },
}

/// A tag and the value that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TagMatch {
    /// Which tag.
    pub id: u32,
    /// What it is compared with.
    pub value: u32,
}

impl Rule {
    /// The rule that lets everything pass: the whole table of a new network.
    pub const ACCEPT: Self = Self { not: false, or: false, body: RuleBody::Accept };
}

/// Type numbers, the low six bits of the first byte of an entry.
mod kind {
    pub(super) const DROP: u8 = 0;
    pub(super) const ACCEPT: u8 = 1;
    pub(super) const TEE: u8 = 2;
    pub(super) const WATCH: u8 = 3;
    pub(super) const REDIRECT: u8 = 4;
    pub(super) const BREAK: u8 = 5;
    pub(super) const PRIORITY: u8 = 6;
    pub(super) const SOURCE_ADDRESS: u8 = 24;
    pub(super) const DEST_ADDRESS: u8 = 25;
    pub(super) const VLAN_ID: u8 = 26;
    pub(super) const VLAN_PCP: u8 = 27;
    pub(super) const VLAN_DEI: u8 = 28;
    pub(super) const MAC_SOURCE: u8 = 29;
    pub(super) const MAC_DEST: u8 = 30;
    pub(super) const IPV4_SOURCE: u8 = 31;
    pub(super) const IPV4_DEST: u8 = 32;
    pub(super) const IPV6_SOURCE: u8 = 33;
    pub(super) const IPV6_DEST: u8 = 34;
    pub(super) const IP_TOS: u8 = 35;
    pub(super) const IP_PROTOCOL: u8 = 36;
    pub(super) const ETHER_TYPE: u8 = 37;
    pub(super) const ICMP: u8 = 38;
    pub(super) const IP_SOURCE_PORT_RANGE: u8 = 39;
    pub(super) const IP_DEST_PORT_RANGE: u8 = 40;
    pub(super) const CHARACTERISTICS: u8 = 41;
    pub(super) const FRAME_SIZE_RANGE: u8 = 42;
    pub(super) const RANDOM: u8 = 43;
    pub(super) const TAGS_DIFFERENCE: u8 = 44;
    pub(super) const TAGS_BITWISE_AND: u8 = 45;
    pub(super) const TAGS_BITWISE_OR: u8 = 46;
    pub(super) const TAGS_BITWISE_XOR: u8 = 47;
    pub(super) const TAGS_EQUAL: u8 = 48;
    pub(super) const TAG_SENDER: u8 = 49;
    pub(super) const TAG_RECEIVER: u8 = 50;
    pub(super) const INTEGER_RANGE: u8 = 51;
}

impl Rule {
    /// Reads one entry: type byte, stated length, field.
    ///
    /// The field is read at its fixed places, then the stated length decides where the next entry begins: a
    /// longer field is legal, and a stated length past the end just ends the table.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the fixed fields of a known type run past the end.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = reader.u8("rule type")?;
        let stated: usize = reader.u8("rule length")?.into();
        let mut fields = reader.clone();
        let field = reader.bytes(stated.min(reader.remaining()), "rule field")?;
        let body = match first & KIND_MASK {
            kind::DROP => RuleBody::Drop,
            kind::ACCEPT => RuleBody::Accept,
            kind::TEE => {
                let (address, flags, length) = parse_forward(&mut fields)?;
                RuleBody::Tee { address, flags, length }
            }
            kind::WATCH => {
                let (address, flags, length) = parse_forward(&mut fields)?;
                RuleBody::Watch { address, flags, length }
            }
            kind::REDIRECT => {
                let (address, flags, _) = parse_forward(&mut fields)?;
                RuleBody::Redirect { address, flags }
            }
            kind::BREAK => RuleBody::Break,
            kind::PRIORITY => RuleBody::Priority,
            kind::SOURCE_ADDRESS => RuleBody::SourceAddress(Address::parse(&mut fields, "rule address")?),
            kind::DEST_ADDRESS => RuleBody::DestAddress(Address::parse(&mut fields, "rule address")?),
            kind::VLAN_ID => RuleBody::VlanId(fields.u16("rule VLAN id")?),
            kind::VLAN_PCP => RuleBody::VlanPcp(fields.u8("rule VLAN priority")?),
            kind::VLAN_DEI => RuleBody::VlanDei(fields.u8("rule VLAN drop eligibility")?),
            kind::MAC_SOURCE => RuleBody::MacSource(Mac::parse(&mut fields, "rule MAC address")?),
            kind::MAC_DEST => RuleBody::MacDest(Mac::parse(&mut fields, "rule MAC address")?),
            kind::IPV4_SOURCE => {
                let (ip, bits) = parse_prefix(&mut fields)?;
                RuleBody::Ipv4Source { ip: Ipv4Addr::from_octets(ip), bits }
            }
            kind::IPV4_DEST => {
                let (ip, bits) = parse_prefix(&mut fields)?;
                RuleBody::Ipv4Dest { ip: Ipv4Addr::from_octets(ip), bits }
            }
            kind::IPV6_SOURCE => {
                let (ip, bits) = parse_prefix(&mut fields)?;
                RuleBody::Ipv6Source { ip: Ipv6Addr::from_octets(ip), bits }
            }
            kind::IPV6_DEST => {
                let (ip, bits) = parse_prefix(&mut fields)?;
                RuleBody::Ipv6Dest { ip: Ipv6Addr::from_octets(ip), bits }
            }
            kind::IP_TOS => {
                let [mask, start, end] = fields.array("rule type of service")?;
                RuleBody::IpTos { mask, start, end }
            }
            kind::IP_PROTOCOL => RuleBody::IpProtocol(fields.u8("rule IP protocol")?),
            kind::ETHER_TYPE => RuleBody::EtherType(fields.u16("rule Ethernet type")?),
            kind::ICMP => {
                let [kind, code, flags] = fields.array("rule ICMP type")?;
                RuleBody::Icmp { kind, code: (flags & ICMP_CODE_COUNTS != 0).then_some(code) }
            }
            kind::IP_SOURCE_PORT_RANGE => {
                let (start, end) = parse_range(&mut fields)?;
                RuleBody::IpSourcePortRange { start, end }
            }
            kind::IP_DEST_PORT_RANGE => {
                let (start, end) = parse_range(&mut fields)?;
                RuleBody::IpDestPortRange { start, end }
            }
            kind::CHARACTERISTICS => RuleBody::Characteristics(fields.u64("rule characteristics")?),
            kind::FRAME_SIZE_RANGE => {
                let (start, end) = parse_range(&mut fields)?;
                RuleBody::FrameSizeRange { start, end }
            }
            kind::RANDOM => RuleBody::Random(fields.u32("rule probability")?),
            kind::TAGS_DIFFERENCE => RuleBody::TagsDifference(TagMatch::parse(&mut fields)?),
            kind::TAGS_BITWISE_AND => RuleBody::TagsBitwiseAnd(TagMatch::parse(&mut fields)?),
            kind::TAGS_BITWISE_OR => RuleBody::TagsBitwiseOr(TagMatch::parse(&mut fields)?),
            kind::TAGS_BITWISE_XOR => RuleBody::TagsBitwiseXor(TagMatch::parse(&mut fields)?),
            kind::TAGS_EQUAL => RuleBody::TagsEqual(TagMatch::parse(&mut fields)?),
            kind::TAG_SENDER => RuleBody::TagSender(TagMatch::parse(&mut fields)?),
            kind::TAG_RECEIVER => RuleBody::TagReceiver(TagMatch::parse(&mut fields)?),
            kind::INTEGER_RANGE => {
                let start = fields.u64("rule integer start")?;
                let end = fields.u64("rule integer end")?;
                let index = fields.u16("rule integer index")?;
                let format = fields.u8("rule integer format")?;
                let bits = (format & INTEGER_BITS_MASK) + 1;
                let little_endian = format & INTEGER_LITTLE_ENDIAN != 0;
                RuleBody::IntegerRange { start, end, index, little_endian, bits }
            }
            kind => RuleBody::Unknown { kind, field: field.to_vec() },
        };
        Ok(Self { not: first & NOT != 0, or: first & OR != 0, body })
    }

    /// Writes the entry. Of an unknown type's field the first 255 bytes are written.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        let kind = self.body.write_field(out);
        let flags = if self.not { NOT } else { 0 } | if self.or { OR } else { 0 };
        // `write_field` appends at most 255 bytes.
        let length = u8::try_from(out.len() - start - 2).unwrap_or(u8::MAX);
        if let Some(head) = out.get_mut(start..start + 2) {
            head.copy_from_slice(&[kind & KIND_MASK | flags, length]);
        }
    }
}

impl RuleBody {
    /// Says whether this is an action, which ends a set, and not a match.
    pub fn is_action(&self) -> bool {
        match self {
            Self::Drop
            | Self::Accept
            | Self::Tee { .. }
            | Self::Watch { .. }
            | Self::Redirect { .. }
            | Self::Break
            | Self::Priority => true,
            Self::Unknown { kind, .. } => *kind & KIND_MASK <= LAST_ACTION,
            Self::SourceAddress(_)
            | Self::DestAddress(_)
            | Self::VlanId(_)
            | Self::VlanPcp(_)
            | Self::VlanDei(_)
            | Self::MacSource(_)
            | Self::MacDest(_)
            | Self::Ipv4Source { .. }
            | Self::Ipv4Dest { .. }
            | Self::Ipv6Source { .. }
            | Self::Ipv6Dest { .. }
            | Self::IpTos { .. }
            | Self::IpProtocol(_)
            | Self::EtherType(_)
            | Self::Icmp { .. }
            | Self::IpSourcePortRange { .. }
            | Self::IpDestPortRange { .. }
            | Self::Characteristics(_)
            | Self::FrameSizeRange { .. }
            | Self::Random(_)
            | Self::TagsDifference(_)
            | Self::TagsBitwiseAnd(_)
            | Self::TagsBitwiseOr(_)
            | Self::TagsBitwiseXor(_)
            | Self::TagsEqual(_)
            | Self::TagSender(_)
            | Self::TagReceiver(_)
            | Self::IntegerRange { .. } => false,
        }
    }

    /// Appends the field, at most 255 bytes, and returns the type number.
    fn write_field(&self, out: &mut Vec<u8>) -> u8 {
        match *self {
            Self::Drop => kind::DROP,
            Self::Accept => kind::ACCEPT,
            Self::Tee { address, flags, length } => {
                write_forward(out, address, flags, length);
                kind::TEE
            }
            Self::Watch { address, flags, length } => {
                write_forward(out, address, flags, length);
                kind::WATCH
            }
            Self::Redirect { address, flags } => {
                write_forward(out, address, flags, 0);
                kind::REDIRECT
            }
            Self::Break => kind::BREAK,
            Self::Priority => kind::PRIORITY,
            Self::SourceAddress(address) => put(out, &address.octets(), kind::SOURCE_ADDRESS),
            Self::DestAddress(address) => put(out, &address.octets(), kind::DEST_ADDRESS),
            Self::VlanId(id) => put(out, &id.to_be_bytes(), kind::VLAN_ID),
            Self::VlanPcp(priority) => put(out, &[priority], kind::VLAN_PCP),
            Self::VlanDei(eligible) => put(out, &[eligible], kind::VLAN_DEI),
            Self::MacSource(mac) => put(out, &mac.0, kind::MAC_SOURCE),
            Self::MacDest(mac) => put(out, &mac.0, kind::MAC_DEST),
            Self::Ipv4Source { ip, bits } => put_prefix(out, &ip.octets(), bits, kind::IPV4_SOURCE),
            Self::Ipv4Dest { ip, bits } => put_prefix(out, &ip.octets(), bits, kind::IPV4_DEST),
            Self::Ipv6Source { ip, bits } => put_prefix(out, &ip.octets(), bits, kind::IPV6_SOURCE),
            Self::Ipv6Dest { ip, bits } => put_prefix(out, &ip.octets(), bits, kind::IPV6_DEST),
            Self::IpTos { mask, start, end } => put(out, &[mask, start, end], kind::IP_TOS),
            Self::IpProtocol(protocol) => put(out, &[protocol], kind::IP_PROTOCOL),
            Self::EtherType(number) => put(out, &number.to_be_bytes(), kind::ETHER_TYPE),
            Self::Icmp { kind, code: Some(code) } => put(out, &[kind, code, ICMP_CODE_COUNTS], kind::ICMP),
            Self::Icmp { kind, code: None } => put(out, &[kind, 0, 0], kind::ICMP),
            Self::IpSourcePortRange { start, end } => put_range(out, start, end, kind::IP_SOURCE_PORT_RANGE),
            Self::IpDestPortRange { start, end } => put_range(out, start, end, kind::IP_DEST_PORT_RANGE),
            Self::Characteristics(mask) => put(out, &mask.to_be_bytes(), kind::CHARACTERISTICS),
            Self::FrameSizeRange { start, end } => put_range(out, start, end, kind::FRAME_SIZE_RANGE),
            Self::Random(probability) => put(out, &probability.to_be_bytes(), kind::RANDOM),
            Self::TagsDifference(tag) => tag.put(out, kind::TAGS_DIFFERENCE),
            Self::TagsBitwiseAnd(tag) => tag.put(out, kind::TAGS_BITWISE_AND),
            Self::TagsBitwiseOr(tag) => tag.put(out, kind::TAGS_BITWISE_OR),
            Self::TagsBitwiseXor(tag) => tag.put(out, kind::TAGS_BITWISE_XOR),
            Self::TagsEqual(tag) => tag.put(out, kind::TAGS_EQUAL),
            Self::TagSender(tag) => tag.put(out, kind::TAG_SENDER),
            Self::TagReceiver(tag) => tag.put(out, kind::TAG_RECEIVER),
            Self::IntegerRange { start, end, index, little_endian, bits } => {
                put(out, &start.to_be_bytes(), 0);
                put(out, &end.to_be_bytes(), 0);
                put(out, &index.to_be_bytes(), 0);
                let order = if little_endian { INTEGER_LITTLE_ENDIAN } else { 0 };
                put(out, &[order | bits.wrapping_sub(1) & INTEGER_BITS_MASK], kind::INTEGER_RANGE)
            }
            Self::Unknown { kind, ref field } => {
                out.extend(field.iter().take(u8::MAX.into()));
                kind
            }
        }
    }
}

impl TagMatch {
    fn parse(fields: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: fields.u32("rule tag id")?, value: fields.u32("rule tag value")? })
    }

    fn put(self, out: &mut Vec<u8>, kind: u8) -> u8 {
        put(out, &self.id.to_be_bytes(), kind);
        put(out, &self.value.to_be_bytes(), kind)
    }
}

/// Returns the Ethernet types that a table accepts, as controllers of 1.1.6 to 1.6.5 told members of 1.0.0 to 1.1.4
/// (`vl2.md` §8.2); 0 stands for all.
///
/// Only Ethernet types directly before an ACCEPT are seen, and whether they are inverted is not.
pub fn ether_types(rules: &[Rule]) -> Vec<u16> {
    let mut ether_types = Vec::new();
    let mut current = 0;
    let mut is_understood = true;
    for rule in rules {
        if let RuleBody::Accept = rule.body {
            if is_understood {
                ether_types.push(current);
            }
            current = 0;
        }
        if let RuleBody::EtherType(ether_type) = rule.body {
            current = ether_type;
        }
        is_understood = rule.body.is_action() || matches!(rule.body, RuleBody::EtherType(_));
    }
    ether_types
}

/// Reads a whole rule table, at most [`MAX_RULES`] entries.
pub fn parse_table(bytes: &[u8]) -> Result<Vec<Rule>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut rules = Vec::new();
    while !reader.is_empty() {
        if rules.len() == MAX_RULES {
            return Err(DecodeError::TooLong { field: "rules", max: MAX_RULES, got: MAX_RULES + 1 });
        }
        rules.push(Rule::parse(&mut reader)?);
    }
    Ok(rules)
}

/// Writes a whole rule table: of more than [`MAX_RULES`] entries the first ones, as clients take no more.
pub fn write_table(rules: &[Rule], out: &mut Vec<u8>) {
    for rule in rules.iter().take(MAX_RULES) {
        rule.write(out);
    }
}

/// Reads the field of the actions that send frames elsewhere.
fn parse_forward(fields: &mut Reader<'_>) -> Result<(Address, u32, u16), DecodeError> {
    let address = Address::from_low_bits(fields.u64("rule target address")?);
    Ok((address, fields.u32("rule target flags")?, fields.u16("rule target length")?))
}

fn write_forward(out: &mut Vec<u8>, address: Address, flags: u32, length: u16) {
    out.extend_from_slice(&address.to_u64().to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
}

fn parse_prefix<const N: usize>(fields: &mut Reader<'_>) -> Result<([u8; N], u8), DecodeError> {
    Ok((fields.array("rule IP address")?, fields.u8("rule prefix length")?))
}

fn parse_range(fields: &mut Reader<'_>) -> Result<(u16, u16), DecodeError> {
    Ok((fields.u16("rule range start")?, fields.u16("rule range end")?))
}

/// Appends a field and returns `kind`, so that each type is one line.
fn put(out: &mut Vec<u8>, field: &[u8], kind: u8) -> u8 {
    out.extend_from_slice(field);
    kind
}

fn put_prefix(out: &mut Vec<u8>, ip: &[u8], bits: u8, kind: u8) -> u8 {
    put(out, ip, kind);
    put(out, &[bits], kind)
}

fn put_range(out: &mut Vec<u8>, start: u16, end: u16, kind: u8) -> u8 {
    put(out, &start.to_be_bytes(), kind);
    put(out, &end.to_be_bytes(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_types_are_those_directly_before_an_accept() {
        let rule = |body| Rule { not: false, or: false, body };
        let ipv4 = rule(RuleBody::EtherType(0x0800));
        let arp = rule(RuleBody::EtherType(0x0806));
        let tcp = rule(RuleBody::IpProtocol(6));
        let table = [ipv4.clone(), Rule::ACCEPT, arp.clone(), Rule::ACCEPT];
        assert_eq!(ether_types(&table), [0x0800, 0x0806]);
        assert_eq!(ether_types(&[Rule::ACCEPT]), [0]);
        assert_eq!(ether_types(&[ipv4, tcp, Rule::ACCEPT, arp, Rule::ACCEPT]), [0x0806]);
        assert_eq!(ether_types(&[rule(RuleBody::Drop), Rule::ACCEPT]), [0]);
    }
}
