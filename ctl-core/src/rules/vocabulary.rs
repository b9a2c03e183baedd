//! The words of the language: actions, matches, symbols, reserved words (`rules-language.md` §5, §6, §10).

/// The actions. `Raw` and `Dangling` are not in the original language (`docs/rules.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    Drop,
    Accept,
    Break,
    Tee,
    Watch,
    Redirect,
    /// `raw TYPE FIELD`: an action by its bytes.
    Raw,
    /// `dangling`: matches at the end of a table, which no action follows.
    Dangling,
}

impl ActionKind {
    pub const ALL: [(&'static str, Self); 8] = [
        ("drop", Self::Drop),
        ("accept", Self::Accept),
        ("break", Self::Break),
        ("tee", Self::Tee),
        ("watch", Self::Watch),
        ("redirect", Self::Redirect),
        ("raw", Self::Raw),
        ("dangling", Self::Dangling),
    ];

    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
    }

    /// Returns how many arguments stand between the action and its matches.
    pub fn arguments(self) -> usize {
        match self {
            Self::Drop | Self::Accept | Self::Break | Self::Dangling => 0,
            Self::Redirect => 1,
            Self::Tee | Self::Watch | Self::Raw => 2,
        }
    }
}

/// The matches. `IntegerRange` and `Raw` are not in the original language (`docs/rules.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchKind {
    SourceAddress,
    DestAddress,
    VlanId,
    VlanPcp,
    VlanDei,
    EtherType,
    MacSource,
    MacDest,
    IpSource,
    IpDest,
    IpTos,
    IpProtocol,
    Icmp,
    SourcePort,
    DestPort,
    Characteristics,
    FrameSize,
    Random,
    TagsDifference,
    TagsAnd,
    TagsOr,
    TagsXor,
    TagsEqual,
    TagSender,
    TagReceiver,
    IntegerRange,
    Raw,
}

/// A match: its name, and what its arguments are called.
#[derive(Debug)]
pub(crate) struct MatchName {
    pub name: &'static str,
    pub kind: MatchKind,
    pub arguments: &'static [&'static str],
}

const fn entry(name: &'static str, kind: MatchKind, arguments: &'static [&'static str]) -> MatchName {
    MatchName { name, kind, arguments }
}

const TAG: &[&str] = &["a tag", "a value"];

/// How many of [`MATCHES`] are reserved words; the others came later.
const ORIGINAL_MATCHES: usize = 25;

pub(crate) const MATCHES: [MatchName; 27] = [
    entry("ztsrc", MatchKind::SourceAddress, &["a node address"]),
    entry("ztdest", MatchKind::DestAddress, &["a node address"]),
    entry("vlan", MatchKind::VlanId, &["a VLAN id"]),
    entry("vlanpcp", MatchKind::VlanPcp, &["a VLAN priority"]),
    entry("vlandei", MatchKind::VlanDei, &["a VLAN drop eligibility"]),
    entry("ethertype", MatchKind::EtherType, &["an Ethernet type"]),
    entry("macsrc", MatchKind::MacSource, &["a MAC address"]),
    entry("macdest", MatchKind::MacDest, &["a MAC address"]),
    entry("ipsrc", MatchKind::IpSource, &["an IP network"]),
    entry("ipdest", MatchKind::IpDest, &["an IP network"]),
    entry("iptos", MatchKind::IpTos, &["a mask", "a range"]),
    entry("ipprotocol", MatchKind::IpProtocol, &["an IP protocol"]),
    entry("icmp", MatchKind::Icmp, &["an ICMP type", "an ICMP code or -1"]),
    entry("sport", MatchKind::SourcePort, &["a port or a range"]),
    entry("dport", MatchKind::DestPort, &["a port or a range"]),
    entry("chr", MatchKind::Characteristics, &["a list of characteristics"]),
    entry("framesize", MatchKind::FrameSize, &["a size or a range"]),
    entry("random", MatchKind::Random, &["a probability"]),
    entry("tdiff", MatchKind::TagsDifference, TAG),
    entry("tand", MatchKind::TagsAnd, TAG),
    entry("tor", MatchKind::TagsOr, TAG),
    entry("txor", MatchKind::TagsXor, TAG),
    entry("teq", MatchKind::TagsEqual, TAG),
    entry("tseq", MatchKind::TagSender, TAG),
    entry("treq", MatchKind::TagReceiver, TAG),
    entry("intrange", MatchKind::IntegerRange, &["an index", "a width in bits", "be or le", "a range"]),
    entry("raw", MatchKind::Raw, &["a type byte", "the field as hexadecimal digits, or -"]),
];

impl MatchName {
    pub(crate) fn of(word: &str) -> Option<&'static Self> {
        MATCHES.iter().find(|entry| word.eq_ignore_ascii_case(entry.name))
    }
}

impl MatchKind {
    /// Says whether the two arguments are a tag and a value.
    pub(crate) fn is_tag(self) -> bool {
        matches!(
            self,
            Self::TagsDifference
                | Self::TagsAnd
                | Self::TagsOr
                | Self::TagsXor
                | Self::TagsEqual
                | Self::TagSender
                | Self::TagReceiver
        )
    }
}

pub(crate) const OPERATORS: [&str; 3] = ["and", "or", "not"];

const OTHER_RESERVED: [&str; 24] = [
    "macro", "tag", "cap", "default", "drop", "accept", "tee", "watch", "redirect", "break", "type", "enum",
    "class", "define", "import", "include", "log", "not", "xor", "or", "and", "set", "var", "let",
];

/// Says whether a word, in any case, cannot be a name of a tag, capability or macro, nor most arguments.
pub(crate) fn is_reserved(word: &str) -> bool {
    let original = MATCHES.iter().take(ORIGINAL_MATCHES).map(|entry| entry.name);
    original.chain(OTHER_RESERVED).any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// Returns the number that a table of symbols gives to a word of any case.
pub(crate) fn symbol<T: Copy>(symbols: &[(&str, T)], word: &str) -> Option<T> {
    symbols.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
}

/// Returns the first symbol of a number.
pub(crate) fn name_of<T: PartialEq>(symbols: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    symbols.iter().find(|(_, known)| known == value).map(|&(name, _)| name)
}

pub(crate) const ETHER_TYPES: [(&str, u16); 9] = [
    ("ipv4", 0x0800),
    ("arp", 0x0806),
    ("wol", 0x0842),
    ("rarp", 0x8035),
    ("ipv6", 0x86dd),
    ("atalk", 0x809b),
    ("aarp", 0x80f3),
    ("ipx_a", 0x8137),
    ("ipx_b", 0x8138),
];

/// Where a number has several symbols, the first one is that which the original compiler reads too.
pub(crate) const IP_PROTOCOLS: [(&str, u8); 17] = [
    ("icmp4", 1),
    ("icmpv4", 1),
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("rdp", 27),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("icmpv6", 58),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

/// Bits of the characteristics of a frame.
pub(crate) const CHARACTERISTICS: [(&str, u8); 17] = [
    ("inbound", 63),
    ("multicast", 62),
    ("broadcast", 61),
    ("ipauth", 60),
    ("macauth", 59),
    ("tcp_rs0", 11),
    ("tcp_rs1", 10),
    ("tcp_rs2", 9),
    ("tcp_ns", 8),
    ("tcp_cwr", 7),
    ("tcp_ece", 6),
    ("tcp_urg", 5),
    ("tcp_ack", 4),
    ("tcp_psh", 3),
    ("tcp_rst", 2),
    ("tcp_syn", 1),
    ("tcp_fin", 0),
];

/// Longest word for which a similar one is looked for, in bytes: longer ones are no slips.
const MAX_SIMILAR: usize = 32;

/// Returns the candidate that differs least from `word`, if the difference is small for its length.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    if word.len() > MAX_SIMILAR {
        return None;
    }
    let most = word.chars().count().div_ceil(3).min(3);
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= MAX_SIMILAR);
    let rated = near.map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate));
    rated.filter(|&(distance, _)| distance <= most).min().map(|(_, candidate)| candidate)
}

/// Number of characters to insert, remove, change or swap with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last_from = None;
    for (row, a) in from.chars().enumerate() {
        let mut line = vec![row + 1];
        let mut last_to = None;
        for (column, &b) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&above, column) + usize::from(a != b))
                .min(at(&above, column + 1) + 1)
                .min(at(&line, column) + 1);
            if last_from == Some(b) && last_to == Some(a) && column > 0 {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            line.push(cost);
            last_to = Some(b);
        }
        before = std::mem::replace(&mut above, line);
        last_from = Some(a);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised() {
        let names = || MATCHES.iter().map(|entry| entry.name);
        assert_eq!(closest("dprot", names()), Some("dport"));
        assert_eq!(closest("ehtertype", names()), Some("ethertype"));
        assert_eq!(closest("port", names()), Some("dport"));
        assert_eq!(closest("kubernetes", names()), None);
    }

    #[test]
    fn later_words_are_not_reserved() {
        assert!(is_reserved("TREQ") && is_reserved("let"));
        assert!(
            !is_reserved("raw") && !is_reserved("intrange") && !is_reserved("id") && !is_reserved("flag")
        );
    }
}
