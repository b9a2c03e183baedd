//! A dictionary as it is kept, for as long as it may be sent again: what all members share is kept once, and of
//! the member's own what is not as another member's: signatures, above all.

use std::borrow::Cow;
use std::sync::Arc;

use zt_proto::compression::{BlockWriter, Compressed};
use zt_proto::config::{NetworkConfig, OwnEntries};
use zt_proto::dictionary::{HEX_DIGITS, hex_digits};
use zt_proto::{Address, NetworkId, Timestamp};

use super::NetworkPart;
use super::packed::Packed;
use super::shared::SharedText;
use super::template::{OwnPieces, Template, Values, counterpart};
use crate::client::Client;

/// The text of a configuration.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// In a form of its own; of few.
    Whole(Box<Whole>),
    /// For clients of 1.2.0 and later.
    Shared(Shared),
}

/// A text that shares nothing.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    pub network: NetworkId,
    /// What it was made with; nothing if the network is gone.
    pub part: Option<Arc<NetworkPart>>,
    pub text: Box<[u8]>,
    /// Of what its client cannot take.
    pub left_out: usize,
}

/// A text of which all members of the network have the most.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    part: Arc<NetworkPart>,
    own: Own,
}

/// What is a member's own. There are very many: one allocation for all of it, and no number longer than it need be.
#[derive(Debug, Clone)]
enum Own {
    /// As of most: which template, the length of the text, and what its places are filled with.
    Filled(Box<[u8]>),
    Packed(Box<Packed>),
}

/// Longer texts, of more than about ten tags and capabilities, have no template: there are too many forms of them.
const MAX_FILLED: u16 = 2560;
/// Which template, and the length of the text.
const FILLED_HEAD: usize = 3;
/// Room for what is kept of most members.
const USUAL_FILLED: usize = 384;

/// When what is told was issued, and the certificates in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub issued: Timestamp,
    pub certified: Timestamp,
}

impl Times {
    pub(crate) fn new(issued: Timestamp, certified_before: u32) -> Self {
        Self { issued, certified: Timestamp(issued.0.saturating_sub(certified_before.into())) }
    }
}

impl Kept {
    /// Keeps what a member is told besides what all members of its network share.
    pub(crate) fn new(part: &Arc<NetworkPart>, client: Client, config: &NetworkConfig, times: Times) -> Self {
        let (own, text) = (config.write_own(), part.text(client));
        let kept = own_pieces(part, &own).and_then(|pieces| {
            let other = || {
                let other = counterpart(config).write_own();
                own_pieces(part, &other).map(|pieces| pieces.map(|piece| Cow::Owned(piece.into_owned())))
            };
            Own::filled(text, &pieces, other, config.member, times.certified)
                .or_else(|| Own::packed(text, &pieces))
        });
        match kept {
            Some(own) => Self::Shared(Shared { part: Arc::clone(part), own }),
            None => Self::whole(part, text.entries.with(&own), 0),
        }
    }

    /// Keeps a text as it is.
    pub(crate) fn whole(part: &Arc<NetworkPart>, text: Vec<u8>, left_out: usize) -> Self {
        let (network, part) = (part.network_id(), Some(Arc::clone(part)));
        Self::Whole(Box::new(Whole { network, part, text: text.into(), left_out }))
    }

    pub(crate) fn network(&self) -> NetworkId {
        match self {
            Self::Whole(whole) => whole.network,
            Self::Shared(shared) => shared.part.network_id(),
        }
    }

    /// Says whether it was made with this part of the network.
    pub(crate) fn is_with(&self, part: &Arc<NetworkPart>) -> bool {
        match self {
            Self::Whole(whole) => whole.part.as_ref().is_some_and(|own| Arc::ptr_eq(own, part)),
            Self::Shared(shared) => Arc::ptr_eq(&shared.part, part),
        }
    }

    /// Returns the length of the text.
    pub(crate) fn len(&self, client: Client) -> usize {
        match self {
            Self::Whole(whole) => whole.text.len(),
            Self::Shared(shared) => shared.len(client),
        }
    }

    /// Returns about how many bytes it takes besides what it shares.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Whole(whole) => size_of::<Whole>() + whole.text.len(),
            Self::Shared(Shared { own: Own::Filled(bytes), .. }) => bytes.len(),
            Self::Shared(Shared { own: Own::Packed(packed), .. }) => packed.size_bytes(),
        }
    }

    /// Returns the text.
    pub(crate) fn text(&self, client: Client, times: Times) -> Vec<u8> {
        match self {
            Self::Whole(whole) => whole.text.to_vec(),
            Self::Shared(shared) => shared.text(client, times),
        }
    }
}

impl Own {
    /// Returns `None` if it is in a form of which there is no template, nor room for one.
    fn filled(
        text: &SharedText,
        pieces: &OwnPieces<'_>,
        other: impl Fn() -> Option<OwnPieces<'static>>,
        member: Address,
        certified: Timestamp,
    ) -> Option<Self> {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let length = u16::try_from(length).ok().filter(|length| *length <= MAX_FILLED)?;
        let make = || Template::new(pieces, &other()?, member, certified);
        let keep = |number, template: &Template| {
            let mut kept = Vec::with_capacity(USUAL_FILLED);
            kept.push(number);
            kept.extend_from_slice(&length.to_be_bytes());
            template.keep(pieces, member, certified, &mut kept)?;
            // Copied, as giving back the rest of its room would leave holes between what stays.
            Some(Self::Filled(kept.as_slice().into()))
        };
        text.find_template(make, keep)
    }

    fn packed(text: &SharedText, pieces: &OwnPieces<'_>) -> Option<Self> {
        Packed::new(pieces, |own| text.model_or(own)).map(|packed| Self::Packed(Box::new(packed)))
    }
}

/// Returns which template was filled, how long the text is, and with what.
fn filled(bytes: &[u8]) -> (u8, usize, &[u8]) {
    let ([number, length @ ..], kept) = bytes.split_first_chunk::<FILLED_HEAD>().unwrap_or((&[0; _], &[]));
    (*number, u16::from_be_bytes(*length).into(), kept)
}

impl Shared {
    fn shared(&self, client: Client) -> &SharedText {
        self.part.text(client)
    }

    fn own_len(&self) -> usize {
        match &self.own {
            Own::Filled(bytes) => filled(bytes).1,
            Own::Packed(packed) => packed.len(),
        }
    }

    fn len(&self, client: Client) -> usize {
        let shared = self.shared(client);
        let shared = shared.routes.text_len() + shared.rules_and_dns.text_len();
        self.part.beginning().len() + HEX_DIGITS + self.own_len() + shared
    }

    fn text(&self, client: Client, times: Times) -> Vec<u8> {
        let shared = self.shared(client);
        let nothing = OwnEntries::default();
        let [_, routes, _, rules, dns, _] = shared.entries.between(&nothing);
        let mut text = Vec::with_capacity(self.len(client));
        text.extend_from_slice(self.part.beginning());
        text.extend_from_slice(&hex_digits(times.issued.0));
        let mut between = [[routes, &[]], [rules, dns]].into_iter();
        let mut add = |part: Option<&[u8]>| match part {
            Some(part) => text.extend_from_slice(part),
            None => between.next().into_iter().flatten().for_each(|piece| add_line(piece, &mut text)),
        };
        match &self.own {
            Own::Filled(bytes) => {
                let (number, _, kept) = filled(bytes);
                // Templates stay as long as the part.
                if let Some(template) = shared.template(number) {
                    template.fill(&Values::new(kept, times.certified), add);
                }
            }
            Own::Packed(packed) => {
                let [head, addresses, login] = &packed.pieces(shared.model());
                [Some(head), None, Some(addresses), None, Some(login)]
                    .into_iter()
                    .for_each(|part| add(part.map(|part| &**part)));
            }
        }
        text
    }

    /// Returns about how many bytes [`Self::write`] adds, hardly ever less.
    pub(crate) fn written_len(&self, client: Client) -> usize {
        let shared = self.shared(client);
        let shared = shared.routes.size_bytes() + shared.rules_and_dns.size_bytes();
        // Heads of sequences that become longer with what is put before them.
        let heads = 64;
        self.part.beginning().len() + HEX_DIGITS + self.own_len() + shared + heads
    }

    /// Adds the text to a block.
    pub(crate) fn write(&self, client: Client, times: Times, block: &mut BlockWriter<'_>) {
        let shared = self.shared(client);
        let between: [&Compressed; 2] = [&shared.routes, &shared.rules_and_dns];
        block.plain(self.part.beginning());
        block.plain(&hex_digits(times.issued.0));
        match &self.own {
            Own::Filled(bytes) => {
                let (number, _, kept) = filled(bytes);
                if let Some(template) = shared.template(number) {
                    template.write(&Values::new(kept, times.certified), between, block);
                }
            }
            Own::Packed(packed) => packed.write(shared.model(), between, block),
        }
    }
}

/// Returns what stands behind the time of issue; `None` if it does not begin as it does in this network.
fn own_pieces<'a>(part: &NetworkPart, own: &'a OwnEntries) -> Option<OwnPieces<'a>> {
    let behind = own.head.strip_prefix(part.beginning())?.get(HEX_DIGITS..)?;
    let line = |piece: &[u8]| {
        let mut line = Vec::with_capacity(1 + piece.len());
        add_line(piece, &mut line);
        Cow::Owned(line)
    };
    Some([Cow::Borrowed(behind), line(&own.addresses), line(&own.login)])
}

/// Appends a piece of a dictionary behind a line end; nothing if it is empty.
pub(super) fn add_line(piece: &[u8], text: &mut Vec<u8>) {
    if !piece.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use zt_proto::PublicIdentity;
    use zt_proto::compression::decompress;
    use zt_proto::credential::{Custody, Signature};

    use super::*;
    use crate::config::UnsignedConfig;
    use crate::member::Member;
    use crate::network::{CapabilityDefinition, Network, Route};

    const CLIENT: Client = Client::Modern { rules_engine: true, before_1_4: false };
    const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);
    const ISSUED: Timestamp = Timestamp(1_700_000_000_000);

    fn network() -> Network {
        // Routes stand between what is a member's own.
        let route = |target: &str| Route { target: target.parse().unwrap(), via: None };
        let capability = |id| CapabilityDefinition { id, default: false, rules: Vec::new() };
        Network {
            routes: vec![route("10.0.0.0/8"), route("fd00::/8")],
            capabilities: vec![capability(1), capability(2)],
            sso_enabled: true,
            ..Network::new(NETWORK, Timestamp(1))
        }
    }

    fn part() -> Arc<NetworkPart> {
        Arc::new(NetworkPart::new(network().into(), [].into()))
    }

    /// What a member has.
    #[derive(Debug, Clone)]
    struct Has {
        /// Other octets for others.
        seed: u64,
        ips: u8,
        tags: u32,
        capabilities: Vec<u32>,
        is_bridge: bool,
        /// By how much the oldest certificate is older.
        certified_before: u32,
        /// Whether they all are.
        all_are_old: bool,
    }

    /// As most have it.
    fn usual(seed: u64) -> Has {
        let (capabilities, is_bridge) = (Vec::new(), false);
        Has { seed, ips: 1, tags: 0, capabilities, is_bridge, certified_before: 0, all_are_old: false }
    }

    fn has() -> impl Strategy<Value = Has> {
        let certificates = (0..3_u8, prop_oneof![3 => 0..3_u32, 1 => 0..60_u32], 0..3_u32);
        let times = (prop_oneof![Just(0), any::<u32>()], any::<bool>());
        (any::<u64>(), certificates, prop::bool::weighted(0.2), times).prop_map(
            |(seed, (ips, tags, last), is_bridge, (certified_before, all_are_old))| {
                let capabilities = (1..=last).collect();
                Has { seed, ips, tags, capabilities, is_bridge, certified_before, all_are_old }
            },
        )
    }

    /// Octets that no compression makes shorter, of which some are escaped.
    fn octets<const N: usize>(seed: u64) -> [u8; N] {
        let mut state = seed;
        [(); N].map(|()| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed | 1);
            state.to_be_bytes()[0]
        })
    }

    /// The configuration of a member, with signatures that are none.
    fn config(has: &Has) -> NetworkConfig {
        let address = Address::from_octets(octets(has.seed));
        let ip = |number: u8| {
            let seed = has.seed.wrapping_add(number.into());
            let ([_, v4 @ ..], [_, v6 @ ..]) = (octets::<4>(seed), octets::<16>(seed));
            let v6 = || IpAddr::from(<[u8; 16]>::try_from([[0xfd].as_slice(), &v6].concat()).unwrap());
            if number == 1 { v6() } else { [10, v4[0], v4[1], v4[2]].into() }
        };
        let member = Member {
            ip_assignments: (0..has.ips).map(ip).collect(),
            tags: (0..has.tags).map(|id| (id, octets::<9>(has.seed)[8].into())).collect(),
            capabilities: has.capabilities.clone(),
            active_bridge: has.is_bridge,
            ..Member::new(NETWORK, address, ISSUED)
        };
        let unsigned = UnsignedConfig {
            network: network().into(),
            bridges: [].into(),
            member,
            identity: PublicIdentity { address, key: octets(has.seed) },
            client: CLIENT,
            issued: ISSUED,
        };
        let mut config = unsigned.build_own();
        let old = Timestamp(ISSUED.0 - u64::from(has.certified_before));
        let of_others = if has.all_are_old { old } else { ISSUED };
        let (mut number, controller) = (0, NETWORK.controller());
        let mut signature = || {
            number += 1;
            Signature(octets(has.seed.wrapping_add(number << 32)))
        };
        let membership = config.membership.as_mut().unwrap();
        (membership.signed_by, membership.signature) = (controller, signature());
        membership.qualifiers[0].value = old.0;
        for tag in &mut config.tags {
            (tag.signed_by, tag.signature, tag.timestamp) = (controller, signature(), of_others);
        }
        for ownership in &mut config.ownerships {
            (ownership.signed_by, ownership.signature) = (controller, signature());
            ownership.timestamp = of_others;
        }
        for capability in &mut config.capabilities {
            capability.custody = vec![Custody { to: address, from: controller, signature: signature() }];
            capability.timestamp = of_others;
        }
        config
    }

    fn kept(part: &Arc<NetworkPart>, has: &Has) -> Kept {
        Kept::new(part, CLIENT, &config(has), Times::new(ISSUED, has.certified_before))
    }

    /// Asserts that what is kept of a member makes its text again, also in a block and at another time of issue.
    fn is_told_again(part: &Arc<NetworkPart>, has: &Has) -> Kept {
        let (kept, mut config) = (kept(part, has), config(has));
        let times = Times::new(ISSUED, has.certified_before);
        assert_eq!(kept.text(CLIENT, times), part.text(CLIENT).entries.with(&config.write_own()));
        config.timestamp = Timestamp(ISSUED.0 + 1);
        let text = part.text(CLIENT).entries.with(&config.write_own());
        let times = Times { issued: config.timestamp, ..times };
        assert_eq!(kept.text(CLIENT, times), text);
        assert_eq!(kept.len(CLIENT), text.len());
        if let Kept::Shared(shared) = &kept {
            let mut block = Vec::new();
            let mut writer = BlockWriter::new(&mut block);
            writer.plain(b"before");
            shared.write(CLIENT, times, &mut writer);
            writer.finish();
            assert!(block.len() <= shared.written_len(CLIENT) + 6);
            assert_eq!(decompress(&block, text.len() + 6).unwrap(), [b"before", text.as_slice()].concat());
        }
        kept
    }

    fn is_filled(kept: &Kept) -> bool {
        matches!(kept, Kept::Shared(Shared { own: Own::Filled(_), .. }))
    }

    proptest! {
        #[test]
        fn what_is_told_by_others_is_to_the_byte_what_was_written(members in prop::collection::vec(has(), 1..24)) {
            let part = part();
            for has in &members {
                is_told_again(&part, has);
            }
        }
    }

    /// The network is told once, so what is left of a member is hardly more than its signatures.
    #[test]
    fn of_a_member_is_kept_what_no_other_has() {
        let part = part();
        let (head, address, fingerprint, ip, signature) = (3, 5, 32, 4, 96);
        // Digits, in networks where users log in.
        let end_of_login = 16;
        for seed in 1..200 {
            // Also the first, and with certificates that were taken over.
            let certified_before = if seed < 100 { 0 } else { 77_777 };
            let kept = is_told_again(&part, &Has { certified_before, all_are_old: true, ..usual(seed) });
            let octets = head + address + fingerprint + ip + 2 * signature + end_of_login;
            // Each place has a length, and some octets are escaped.
            let (places, escapes) = (8, 24);
            assert!(
                (octets..=octets + places + escapes).contains(&kept.size_bytes()),
                "{}",
                kept.size_bytes()
            );
            assert!(is_filled(&kept));
        }
        assert_eq!(size_of::<Kept>(), 24);
    }

    #[test]
    fn each_form_has_a_template_until_there_is_room_for_no_more() {
        let part = part();
        let with_tags = |seed, tags| is_told_again(&part, &Has { tags, ..usual(seed) });
        // One that is too long for a template shuts out nobody; it is also more than a model has room for.
        assert!(!is_filled(&with_tags(8, 128)));
        assert!(part.text(CLIENT).model().len() <= 4096);
        let filled = (0..10).filter(|tags| is_filled(&with_tags(7, *tags))).count();
        assert!((4..8).contains(&filled), "{filled}");
        assert!(is_filled(&with_tags(8, 0)), "those that there are stay");
        // Of others is kept what the first of them has not.
        let sizes: Vec<_> = (9..30).map(|seed| with_tags(seed, 9).size_bytes()).collect();
        assert!(sizes.iter().all(|size| (11 * 96..11 * 96 + 400).contains(size)), "{sizes:?}");
    }
}
