//! The matches (`rules-language.md` §16).

use std::net::IpAddr;

use zt_proto::IpPrefix;
use zt_proto::rules::{RuleBody, TagMatch};

use super::frame::{Claim, Frame, Ip};
use super::{Client, Credentials, Direction, View};
use crate::addresses;

/// What a match says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// NOT inverts it.
    Plain(bool),
    /// False, even when negated: the question does not apply.
    Never,
    /// True, even when negated.
    Always,
    /// True, even when negated, and the next drop is forgiven: a tag is not known yet.
    Lenient,
}

impl Answer {
    /// Returns the value with NOT applied.
    pub(super) fn value(self, not: bool, client: Client) -> bool {
        match (self, client) {
            (Self::Plain(value), _) => value != not,
            (Self::Never, Client::Since1_14) => false,
            (Self::Always | Self::Lenient, Client::Since1_14) => true,
            (Self::Never, Client::Before1_14) => not,
            (Self::Always | Self::Lenient, Client::Before1_14) => !not,
        }
    }
}

impl From<bool> for Answer {
    fn from(value: bool) -> Self {
        Self::Plain(value)
    }
}

/// An answer of a question that may not apply.
fn applicable(value: Option<bool>) -> Answer {
    value.map_or(Answer::Never, Answer::Plain)
}

const CHR_INBOUND: u64 = 1 << 63;
const CHR_MULTICAST: u64 = 1 << 62;
const CHR_BROADCAST: u64 = 1 << 61;
const CHR_IP_AUTHENTICATED: u64 = 1 << 60;
const CHR_MAC_AUTHENTICATED: u64 = 1 << 59;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// Bits that the computed addresses of a network share.
const SIXPLANE_BITS: u8 = 40;
const RFC4193_BITS: u8 = 88;

/// Answers a match. `is_super`: an action that sends frames to this member was passed before.
pub(super) fn answer(
    body: &RuleBody,
    view: &View<'_>,
    frame: &Frame<'_>,
    is_super: bool,
    draw: &mut dyn FnMut() -> u32,
) -> Answer {
    match *body {
        RuleBody::SourceAddress(address) => (address == view.source).into(),
        RuleBody::DestAddress(address) => {
            (address == view.dest && view.dest != zt_proto::Address::NONE).into()
        }
        RuleBody::VlanId(id) => (id == frame.vlan).into(),
        RuleBody::VlanPcp(priority) => (priority == 0).into(),
        RuleBody::VlanDei(eligible) => (eligible == 0).into(),
        RuleBody::MacSource(mac) => (mac == frame.source_mac).into(),
        RuleBody::MacDest(mac) => (mac == frame.dest_mac).into(),
        RuleBody::Ipv4Source { ip, bits } => {
            applicable(frame.ipv4(12).map(|source| lies_in(source.into(), ip.into(), bits.min(32))))
        }
        RuleBody::Ipv4Dest { ip, bits } => {
            applicable(frame.ipv4(16).map(|dest| lies_in(dest.into(), ip.into(), bits.min(32))))
        }
        RuleBody::Ipv6Source { ip, bits } => {
            applicable(frame.ipv6(8).map(|source| masked(source.to_bits(), bits) == ip.to_bits()))
        }
        RuleBody::Ipv6Dest { ip, bits } => {
            applicable(frame.ipv6(24).map(|dest| masked(dest.to_bits(), bits) == ip.to_bits()))
        }
        RuleBody::IpTos { mask, start, end } => {
            applicable(frame.type_of_service().map(|value| (start..=end).contains(&(value & mask))))
        }
        RuleBody::IpProtocol(protocol) => applicable(frame.transport().map(|(found, _)| found == protocol)),
        RuleBody::EtherType(ether_type) => (ether_type == frame.ether_type).into(),
        RuleBody::Icmp { kind, code } => icmp(frame, kind, code),
        RuleBody::IpSourcePortRange { start, end } => port(frame, 0, start, end),
        RuleBody::IpDestPortRange { start, end } => port(frame, 2, start, end),
        RuleBody::Characteristics(mask) => (characteristics(view, frame, mask) & mask != 0).into(),
        RuleBody::FrameSizeRange { start, end } => {
            (usize::from(start)..=usize::from(end)).contains(&frame.payload.len()).into()
        }
        RuleBody::Random(probability) => (draw() <= probability).into(),
        RuleBody::TagsDifference(tag) => {
            both(view, tag, is_super, |own, other| own.abs_diff(other) <= tag.value)
        }
        RuleBody::TagsBitwiseAnd(tag) => both(view, tag, is_super, |own, other| own & other == tag.value),
        RuleBody::TagsBitwiseOr(tag) => both(view, tag, is_super, |own, other| own | other == tag.value),
        RuleBody::TagsBitwiseXor(tag) => both(view, tag, is_super, |own, other| own ^ other == tag.value),
        RuleBody::TagsEqual(tag) => {
            both(view, tag, is_super, |own, other| own == tag.value && other == tag.value)
        }
        RuleBody::TagSender(tag) => one(view, tag, is_super, Direction::Inbound),
        RuleBody::TagReceiver(tag) => one(view, tag, is_super, Direction::Outbound),
        RuleBody::IntegerRange { start, end, index, little_endian, bits } => {
            let difference = end.wrapping_sub(start) & u64::from(u32::MAX);
            let value = integer(frame, index.into(), little_endian, bits.clamp(1, 64));
            value.checked_sub(start).is_some_and(|above| above <= difference).into()
        }
        RuleBody::Unknown { .. }
        | RuleBody::Drop
        | RuleBody::Accept
        | RuleBody::Tee { .. }
        | RuleBody::Watch { .. }
        | RuleBody::Redirect { .. }
        | RuleBody::Break
        | RuleBody::Priority
        | _ => view.settings.unsupported_matches.into(),
    }
}

fn lies_in(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    IpPrefix::new(network, bits).is_ok_and(|network| network.contains(ip))
}

fn masked(ip: u128, bits: u8) -> u128 {
    let host_bits = 128 - u32::from(bits.min(128));
    ip & u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

/// Only the comparison of the code obeys NOT.
fn icmp(frame: &Frame<'_>, kind: u8, code: Option<u8>) -> Answer {
    let header = match (frame.ip(), frame.transport()) {
        (Ip::V4 { .. }, Some((ICMP, position))) | (Ip::V6 { .. }, Some((ICMP6, position))) => {
            frame.array::<2>(position)
        }
        _ => None,
    };
    match (header, code) {
        (Some([found, found_code]), Some(code)) if found == kind => (found_code == code).into(),
        (Some([found, _]), None) if found == kind => Answer::Always,
        _ => Answer::Never,
    }
}

/// IP packets without ports are false, which NOT makes true.
fn port(frame: &Frame<'_>, offset: usize, start: u16, end: u16) -> Answer {
    if frame.transport().is_none() {
        return Answer::Never;
    }
    frame.port(offset).is_some_and(|port| (start..=end).contains(&port)).into()
}

/// Returns the characteristics of the frame, those that take looking up only if `mask` asks for them.
fn characteristics(view: &View<'_>, frame: &Frame<'_>, mask: u64) -> u64 {
    let [first, ..] = frame.dest_mac.0;
    let mut bits = u64::from(frame.tcp_flags());
    if view.direction == Direction::Inbound {
        bits |= CHR_INBOUND;
    }
    if first & 1 != 0 {
        bits |= CHR_MULTICAST;
    }
    if frame.dest_mac.0 == [0xff; 6] {
        bits |= CHR_BROADCAST;
    }
    let holder = match view.direction {
        Direction::Outbound => Some(view.credentials),
        Direction::Inbound => view.other,
    };
    if mask & CHR_IP_AUTHENTICATED != 0 && is_ip_authenticated(view, frame, holder) {
        bits |= CHR_IP_AUTHENTICATED;
    }
    if mask & CHR_MAC_AUTHENTICATED != 0
        && holder.is_some_and(|holder| holder.macs.contains(&frame.source_mac))
    {
        bits |= CHR_MAC_AUTHENTICATED;
    }
    bits
}

fn is_ip_authenticated(view: &View<'_>, frame: &Frame<'_>, holder: Option<Credentials<'_>>) -> bool {
    let ip = match frame.claim() {
        Claim::Ip(ip) => ip,
        Claim::Exempt => return true,
        Claim::None => return false,
    };
    if holder.is_some_and(|holder| holder.addresses.contains(&ip)) {
        return true;
    }
    // A receiver that has a computed address itself takes all addresses of that kind for true.
    let network = view.settings.network;
    let computed = [
        (addresses::sixplane(network, view.own), SIXPLANE_BITS),
        (addresses::rfc4193(network, view.own), RFC4193_BITS),
    ];
    view.direction == Direction::Inbound
        && view.settings.ndp_emulation
        && computed
            .into_iter()
            .any(|(own, bits)| view.assigned.contains(&own.into()) && lies_in(ip, own.into(), bits))
}

/// Tags that compare both sides.
fn both(view: &View<'_>, tag: TagMatch, is_super: bool, compare: impl Fn(u32, u32) -> bool) -> Answer {
    let Some(&own) = view.credentials.tags.get(&tag.id) else { return Answer::Never };
    match view.other.and_then(|other| other.tags.get(&tag.id)) {
        Some(&other) => compare(own, other).into(),
        None if view.direction == Direction::Inbound && !is_super => Answer::Never,
        None => Answer::Lenient,
    }
}

/// A tag of the sender or the receiver; seen from `far` it is the other member's.
fn one(view: &View<'_>, tag: TagMatch, is_super: bool, far: Direction) -> Answer {
    if is_super {
        return Answer::Lenient;
    }
    if view.direction != far {
        return applicable(view.credentials.tags.get(&tag.id).map(|&own| own == tag.value));
    }
    match view.other.and_then(|other| other.tags.get(&tag.id)) {
        Some(&other) => (other == tag.value).into(),
        None if far == Direction::Outbound => Answer::Lenient,
        None => Answer::Never,
    }
}

/// Reads an integer of `bits` bits; 0 if it does not lie in the frame.
fn integer(frame: &Frame<'_>, index: usize, little_endian: bool, bits: u8) -> u64 {
    let width = usize::from(bits.div_ceil(8));
    let at = if little_endian { index } else { index + 8 - width };
    let Some(bytes) = frame.payload.get(at..at + width) else { return 0 };
    if little_endian {
        let value = bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        value >> (width * 8 - usize::from(bits))
    } else {
        let value = bytes.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        value & u64::MAX >> (64 - u32::from(bits))
    }
}
