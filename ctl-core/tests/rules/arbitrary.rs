//! Arbitrary rules and sources.

use ctl_core::network::{CapabilityDefinition, TagDefinition};
use ctl_core::rules::NamedTag;
use ctl_core::rules::decompile::Names;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

/// Numbers that are often small, often at an end.
fn u8s() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(1), Just(255), any::<u8>()]
}

fn u16s() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(1), Just(22), Just(4095), Just(0x0800), Just(u16::MAX), any::<u16>()]
}

fn u32s() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, Just(u32::MAX), any::<u32>()]
}

fn u64s() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(u64::MAX), any::<u64>()]
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![Just(0), 1..4_u64, any::<u64>()].prop_map(Address::from_low_bits)
}

fn tag() -> impl Strategy<Value = TagMatch> {
    (u32s(), u32s()).prop_map(|(id, value)| TagMatch { id, value })
}

fn action() -> impl Strategy<Value = RuleBody> {
    let flags = || prop_oneof![4 => Just(0), 1 => any::<u32>()];
    prop_oneof![
        Just(RuleBody::Drop),
        Just(RuleBody::Accept),
        Just(RuleBody::Break),
        Just(RuleBody::Priority),
        (address(), flags(), u16s()).prop_map(|(address, flags, length)| RuleBody::Tee {
            address,
            flags,
            length
        }),
        (address(), flags(), u16s()).prop_map(|(address, flags, length)| RuleBody::Watch {
            address,
            flags,
            length
        }),
        (address(), flags()).prop_map(|(address, flags)| RuleBody::Redirect { address, flags }),
        (7..16_u8, vec(any::<u8>(), 0..20)).prop_map(|(kind, field)| RuleBody::Unknown { kind, field }),
    ]
}

fn network_match() -> impl Strategy<Value = RuleBody> {
    let v4 = || (any::<[u8; 4]>(), prop_oneof![0..=32_u8, any::<u8>()]);
    let v6 = || (any::<[u8; 16]>(), prop_oneof![0..=128_u8, any::<u8>()]);
    let clean = |ip: [u8; 4], bits: u8| {
        let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
        std::net::Ipv4Addr::from_bits(u32::from_be_bytes(ip) & mask)
    };
    prop_oneof![
        v4().prop_map(move |(ip, bits)| RuleBody::Ipv4Source { ip: clean(ip, bits), bits }),
        v4().prop_map(|(ip, bits)| RuleBody::Ipv4Dest { ip: ip.into(), bits }),
        v6().prop_map(|(ip, bits)| RuleBody::Ipv6Source { ip: ip.into(), bits }),
        (any::<u8>(), any::<u8>()).prop_map(|(ip, bits)| RuleBody::Ipv6Dest {
            ip: std::net::Ipv6Addr::from_bits(u128::from(ip) << 120),
            bits
        }),
    ]
}

fn other_match() -> impl Strategy<Value = RuleBody> {
    prop_oneof![
        address().prop_map(RuleBody::SourceAddress),
        address().prop_map(RuleBody::DestAddress),
        u16s().prop_map(RuleBody::VlanId),
        u8s().prop_map(RuleBody::VlanPcp),
        u8s().prop_map(RuleBody::VlanDei),
        any::<[u8; 6]>().prop_map(|mac| RuleBody::MacSource(Mac(mac))),
        any::<[u8; 6]>().prop_map(|mac| RuleBody::MacDest(Mac(mac))),
        (u8s(), u8s(), u8s()).prop_map(|(mask, start, end)| RuleBody::IpTos { mask, start, end }),
        u8s().prop_map(RuleBody::IpProtocol),
        u16s().prop_map(RuleBody::EtherType),
        (u8s(), prop::option::of(u8s())).prop_map(|(kind, code)| RuleBody::Icmp { kind, code }),
        (u16s(), u16s()).prop_map(|(start, end)| RuleBody::IpSourcePortRange { start, end }),
        (u16s(), u16s()).prop_map(|(start, end)| RuleBody::IpDestPortRange { start, end }),
        (u16s(), u16s()).prop_map(|(start, end)| RuleBody::FrameSizeRange { start, end }),
        u64s().prop_map(RuleBody::Characteristics),
        u32s().prop_map(RuleBody::Random),
        (u64s(), u64s(), u16s(), any::<bool>(), 1..=64_u8).prop_map(
            |(start, end, index, little_endian, bits)| RuleBody::IntegerRange {
                start,
                end,
                index,
                little_endian,
                bits
            }
        ),
        (prop_oneof![16..24_u8, 52..64_u8], vec(any::<u8>(), 0..20))
            .prop_map(|(kind, field)| RuleBody::Unknown { kind, field }),
    ]
}

fn tag_match() -> impl Strategy<Value = RuleBody> {
    (tag(), 0..7_u8).prop_map(|(tag, kind)| match kind {
        0 => RuleBody::TagsDifference(tag),
        1 => RuleBody::TagsBitwiseAnd(tag),
        2 => RuleBody::TagsBitwiseOr(tag),
        3 => RuleBody::TagsBitwiseXor(tag),
        4 => RuleBody::TagsEqual(tag),
        5 => RuleBody::TagSender(tag),
        _ => RuleBody::TagReceiver(tag),
    })
}

/// Any rule that can be in a table.
pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    let flags = prop_oneof![4 => Just((false, false)), 1 => any::<(bool, bool)>()];
    let body = prop_oneof![2 => action(), 1 => network_match(), 2 => other_match(), 1 => tag_match()];
    (flags, any::<(bool, bool)>(), body).prop_map(|(of_action, of_match, body)| {
        let (not, or) = if body.is_action() { of_action } else { of_match };
        Rule { not, or, body }
    })
}

pub(crate) fn capabilities() -> impl Strategy<Value = Vec<CapabilityDefinition>> {
    btree_map(u32s(), (any::<bool>(), vec(rule(), 0..8)), 0..4).prop_map(|all| {
        let all = all.into_iter();
        all.map(|(id, (default, rules))| CapabilityDefinition { id, default, rules }).collect()
    })
}

pub(crate) fn tags() -> impl Strategy<Value = Vec<TagDefinition>> {
    btree_map(u32s(), prop::option::of(u32s()), 0..4)
        .prop_map(|all| all.into_iter().map(|(id, default)| TagDefinition { id, default }).collect())
}

/// Names good and bad, of tags and values that exist and of others.
pub(crate) fn names() -> impl Strategy<Value = Names> {
    let name = || prop_oneof!["[a-c]", "tag_[0-3]", "cap_1", "and", "9x", "A", "drop", "\\PC{0,3}", "id"];
    let values = move || vec((name(), u32s()), 0..4);
    let tag = (name(), u32s(), values(), values()).prop_map(|(name, id, enums, flags)| NamedTag {
        name,
        id,
        default: None,
        enums,
        flags,
    });
    (vec(tag, 0..4), vec((name(), u32s()), 0..4))
        .prop_map(|(tags, capabilities)| Names { tags, capabilities })
}

/// Sources of words of the language, right and wrong, with white space and comments anywhere.
pub(crate) fn source() -> impl Strategy<Value = String> {
    const WORDS: [&str; 68] = [
        "accept",
        "drop",
        "break",
        "tee",
        "watch",
        "redirect",
        "tag",
        "cap",
        "macro",
        "include",
        "id",
        "default",
        "enum",
        "flag",
        "and",
        "or",
        "not",
        "dport",
        "22",
        "80-90",
        "ethertype",
        "ipv4",
        "ipprotocol",
        "icmp",
        "tcp",
        "chr",
        "inbound,tcp_syn",
        "teq",
        "role",
        "boss",
        "m",
        "m($a)",
        "m(22)",
        "m(",
        "$a",
        ")",
        ",",
        "deadbeef11",
        "-1",
        "random",
        "0.5",
        "ipsrc",
        "10.0.0.0/8",
        "fd00::1/64",
        "0x10",
        "raw",
        "0x25",
        "0800",
        "-",
        "dangling",
        "intrange",
        "8",
        "be",
        "test",
        "\"a b\"",
        "{",
        "}",
        "from",
        "any",
        "to",
        "expect",
        "\"",
        "é",
        "DPORT",
        "Accept",
        "m($a, $b)",
        "1",
        "2",
    ];
    let word = prop_oneof![
        8 => prop::sample::select(WORDS.as_slice()).prop_map(str::to_owned),
        3 => Just(";".to_owned()),
        1 => "#[ a-z;]{0,6}\n".prop_map(|comment| comment),
        2 => prop::sample::select(STATEMENTS.as_slice()).prop_map(str::to_owned),
    ];
    let space = prop_oneof![
        5 => Just(" "), 2 => Just("\n"), 1 => Just("\n\n"), 1 => Just("\r\n"), 1 => Just("\r"), 1 => Just(""),
        1 => Just("\u{feff}\t"),
    ];
    vec((word, space), 0..40)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(word, space)| [word, space.to_owned()]).collect())
}

/// Statements that can be read, each word of which is on a line of its own, behind a comment, or neither.
pub(crate) fn scattered() -> impl Strategy<Value = String> {
    let gap = prop_oneof![
        6 => Just(" "), 1 => Just("\n"), 1 => Just("\n\n\n"), 1 => Just(" # c\r\n"), 1 => Just("\n\n # d ; \n\n"),
        1 => Just("\r"),
    ];
    let statements = vec(prop::sample::select(STATEMENTS.as_slice()), 0..6);
    (statements, vec(gap, 160)).prop_map(|(statements, gaps)| {
        let text = statements.join("\n");
        let mut gaps = gaps.iter().cycle();
        let mut source = String::new();
        for token in ctl_core::rules::lexer::lex(&text) {
            // The terminator of an include belongs to it only if it is glued.
            if token.text != ";" {
                source.push_str(gaps.next().unwrap());
            }
            source.push_str(token.text);
            if token.text.starts_with('#') {
                source.push('\n');
            }
        }
        source
    })
}

const STATEMENTS: [&str; 14] = [
    "tag role id 1 enum 3 boss flag 0,2 staff default boss;",
    "tag other # why\n id 7 # seven\n # end\n;",
    "cap ssh id 5 default accept ipprotocol tcp and dport 22; ;",
    "cap many # one\n id 6\n\n\n # two\n accept dport # in\n 1 # three\n ; include m(22);\n # four\n; # five",
    "macro m($a) accept dport $a; ;",
    "macro w accept # x\n ethertype ipv4; ;",
    "include m( 22 # in\n );",
    "include w",
    "drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6 and not ethertype wol;",
    "drop\n\n # a\n not # b\n # c\n ethertype ipv4 # d\n\n # e\n ; # f",
    "accept teq role boss;",
    "test \"a # b\" { # x\n member a tag role=boss; # y\n from a to any tcp 22 expect drop }",
    "raw 0x1f 0a01020318;",
    "accept;",
];
