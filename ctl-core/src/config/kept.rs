//! A dictionary as it is kept, for as long as it may be sent again: what all members share is kept once, and of
//! the member's own, compressed, what is not as another member's: signatures, above all.

use std::sync::Arc;

use zt_proto::compression::{BlockWriter, Compressed, pack, unpack};
use zt_proto::config::OwnEntries;
use zt_proto::dictionary::{HEX_DIGITS, hex_digits};
use zt_proto::{NetworkId, Timestamp};

use super::NetworkPart;
use super::shared::SharedText;
use crate::client::Client;

/// The text of a configuration.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// In a form of its own; of few.
    Whole(Box<Whole>),
    /// For clients of 1.2.0 and later.
    Shared(Own),
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

/// What is a member's own. There are very many: one allocation for all of it, and no number longer than it need be.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    part: Arc<NetworkPart>,
    /// What follows on the time of issue, up to the routes, compressed, then the addresses, and what the user has to log in
    /// with, each behind a line end: as these differ from those of another member ([`SharedText::model`]).
    packed: Box<[u8]>,
    /// Their length before.
    unpacked: u32,
    /// Of the first of them.
    head: [u32; 2],
    addresses: u16,
    login: u16,
}

/// What was packed.
struct Unpacked {
    bytes: Vec<u8>,
    addresses: usize,
    login: usize,
}

impl Kept {
    /// Keeps what was written for a member beside what all members of its network share.
    pub(crate) fn new(part: &Arc<NetworkPart>, client: Client, own: &OwnEntries) -> Self {
        Own::new(part, client, own)
            .map_or_else(|| Self::whole(part, part.text(client).entries.with(own), 0), Self::Shared)
    }

    /// Keeps a text as it is.
    pub(crate) fn whole(part: &Arc<NetworkPart>, text: Vec<u8>, left_out: usize) -> Self {
        let (network, part) = (part.network_id(), Some(Arc::clone(part)));
        Self::Whole(Box::new(Whole { network, part, text: text.into(), left_out }))
    }

    pub(crate) fn network(&self) -> NetworkId {
        match self {
            Self::Whole(whole) => whole.network,
            Self::Shared(own) => own.part.network_id(),
        }
    }

    /// Says whether it was made with this part of the network.
    pub(crate) fn is_with(&self, part: &Arc<NetworkPart>) -> bool {
        match self {
            Self::Whole(whole) => whole.part.as_ref().is_some_and(|own| Arc::ptr_eq(own, part)),
            Self::Shared(own) => Arc::ptr_eq(&own.part, part),
        }
    }

    /// Returns the length of the text.
    pub(crate) fn len(&self, client: Client) -> usize {
        match self {
            Self::Whole(whole) => whole.text.len(),
            Self::Shared(own) => own.len(client),
        }
    }

    /// Returns about how many bytes it takes besides what it shares.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Whole(whole) => size_of::<Whole>() + whole.text.len(),
            Self::Shared(own) => own.packed.len(),
        }
    }

    /// Returns the text.
    pub(crate) fn text(&self, client: Client, time: Timestamp) -> Vec<u8> {
        match self {
            Self::Whole(whole) => whole.text.to_vec(),
            Self::Shared(own) => own.text(client, time),
        }
    }
}

impl Own {
    /// Returns `None` if it is not as it is of all members.
    fn new(part: &Arc<NetworkPart>, client: Client, own: &OwnEntries) -> Option<Self> {
        let behind = own.head.strip_prefix(part.beginning())?.get(HEX_DIGITS..)?;
        let compressed = Compressed::new(behind);
        let (bytes, head) = compressed.parts();
        let mut bytes = bytes.to_vec();
        let mut add = |piece| {
            let before = bytes.len();
            add_line(piece, &mut bytes);
            u16::try_from(bytes.len() - before).ok()
        };
        let (addresses, login) = (add(&own.addresses)?, add(&own.login)?);
        let packed = pack(&bytes, part.text(client).model_or(&bytes));
        let (part, unpacked) = (Arc::clone(part), u32::try_from(bytes.len()).ok()?);
        Some(Self { part, packed, unpacked, head, addresses, login })
    }

    fn shared(&self, client: Client) -> &SharedText {
        self.part.text(client)
    }

    fn unpack(&self, client: Client) -> Unpacked {
        let length = usize::try_from(self.unpacked).unwrap_or(usize::MAX);
        let bytes = unpack(&self.packed, self.shared(client).model(), length);
        let login = bytes.len().saturating_sub(self.login.into());
        Unpacked { addresses: login.saturating_sub(self.addresses.into()), login, bytes }
    }

    fn len(&self, client: Client) -> usize {
        let shared = self.shared(client);
        let shared = shared.routes.text_len() + shared.rules_and_dns.text_len();
        let head = Compressed::of_parts([], self.head).text_len();
        let own = head + usize::from(self.addresses) + usize::from(self.login);
        self.part.beginning().len() + HEX_DIGITS + own + shared
    }

    fn text(&self, client: Client, time: Timestamp) -> Vec<u8> {
        let unpacked = self.unpack(client);
        let (head, addresses, login) = unpacked.pieces();
        let nothing = OwnEntries::default();
        let [_, routes, _, rules, dns, _] = self.shared(client).entries.between(&nothing);
        let mut text = Vec::with_capacity(self.len(client));
        text.extend_from_slice(self.part.beginning());
        text.extend_from_slice(&hex_digits(time.0));
        text.extend(Compressed::of_parts(head, self.head).text());
        add_line(routes, &mut text);
        text.extend_from_slice(addresses);
        add_line(rules, &mut text);
        add_line(dns, &mut text);
        text.extend_from_slice(login);
        text
    }

    /// Returns about how many bytes [`Self::write`] adds, hardly ever less.
    pub(crate) fn written_len(&self, client: Client) -> usize {
        let shared = self.shared(client);
        let shared = shared.routes.size_bytes() + shared.rules_and_dns.size_bytes();
        // The heads of four sequences, two of which become longer with what is put before them.
        let heads = 64;
        let own = usize::try_from(self.unpacked).unwrap_or(0);
        self.part.beginning().len() + HEX_DIGITS + own + shared + heads
    }

    /// Adds the text to a block, with another time of issue.
    pub(crate) fn write(&self, client: Client, time: Timestamp, block: &mut BlockWriter<'_>) {
        let (shared, unpacked) = (self.shared(client), self.unpack(client));
        let (head, addresses, login) = unpacked.pieces();
        block.plain(self.part.beginning());
        block.plain(&hex_digits(time.0));
        block.compressed(&Compressed::of_parts(head, self.head));
        block.compressed(&shared.routes);
        block.plain(addresses);
        block.compressed(&shared.rules_and_dns);
        block.plain(login);
    }
}

impl Unpacked {
    /// Returns the head, the addresses, and what to log in with.
    fn pieces(&self) -> (&[u8], &[u8], &[u8]) {
        let (before, login) = self.bytes.split_at_checked(self.login).unwrap_or((&self.bytes, &[]));
        let (head, addresses) = before.split_at_checked(self.addresses).unwrap_or((before, &[]));
        (head, addresses, login)
    }
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
    use super::*;
    use crate::network::{Network, Route};

    const CLIENT: Client = Client::Modern { rules_engine: true, before_1_4: false };

    fn part() -> Arc<NetworkPart> {
        // Which stand between what is a member's own.
        let routes = vec![Route { target: "10.0.0.0/8".parse().unwrap(), via: None }];
        let network = Network { routes, ..Network::new(NetworkId(1), Timestamp(1)) };
        Arc::new(NetworkPart::new(network.into(), [].into()))
    }

    /// Octets that no compression makes shorter.
    fn octets(seed: u64, count: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed | 1);
            state.to_be_bytes()[0]
        };
        (0..count).map(|_| next()).collect()
    }

    /// Fields that are alike, and signatures of nearly the same length, as what members have for themselves.
    fn own(part: &NetworkPart, seed: u64, signatures: usize) -> OwnEntries {
        let mut head = [part.beginning(), &hex_digits(7), b"\nr=1\nflags=2\nname=".as_slice()].concat();
        for n in 0..signatures {
            head.extend_from_slice(b"\nfields that are alike, whose certificate=");
            head.extend(octets(1000 * seed + n as u64, 96 + usize::try_from(seed % 3).unwrap()));
        }
        let login = if seed.is_multiple_of(2) { b"ssoe=1".to_vec() } else { Vec::new() };
        OwnEntries { head, addresses: [b"I=".as_slice(), &octets(seed, 7)].concat(), login }
    }

    #[test]
    fn what_is_told_by_another_member_is_to_the_byte_what_was_compressed() {
        let part = part();
        // Also more than a model has room for, and nothing at all.
        for (seed, signatures) in [(1, 2), (2, 2), (3, 2), (4, 60), (5, 0), (6, 700), (7, 2)] {
            let own = own(&part, seed, signatures);
            let kept = Kept::new(&part, CLIENT, &own);
            let text = part.text(CLIENT).entries.with(&own);
            assert_eq!(kept.text(CLIENT, Timestamp(7)), text);
            assert_eq!(kept.len(CLIENT), text.len());
            let Kept::Shared(kept) = kept else { panic!("it is as all are") };
            let (mut block, mut expected) = (Vec::new(), Vec::new());
            let mut writer = BlockWriter::new(&mut block);
            kept.write(CLIENT, Timestamp(8), &mut writer);
            writer.finish();
            assert!(block.len() <= kept.written_len(CLIENT));
            let mut writer = BlockWriter::new(&mut expected);
            writer.plain(part.beginning());
            writer.plain(&hex_digits(8));
            writer.compressed(&Compressed::new(&own.head[part.beginning().len() + HEX_DIGITS..]));
            writer.compressed(&part.text(CLIENT).routes);
            let lines = |piece: &[u8]| {
                let mut line = Vec::new();
                add_line(piece, &mut line);
                line
            };
            writer.plain(&lines(&own.addresses));
            writer.compressed(&part.text(CLIENT).rules_and_dns);
            writer.plain(&lines(&own.login));
            writer.finish();
            assert_eq!(block, expected);
        }
        assert!(part.text(CLIENT).model().len() <= 4096);
    }

    /// The network is told once, so what is left of a member is hardly more than its signatures.
    #[test]
    fn of_a_member_is_kept_what_no_other_has() {
        let part = part();
        let size = |seed| Kept::new(&part, CLIENT, &own(&part, seed, 2)).size_bytes();
        assert!(size(1) < 20, "the model itself");
        let sizes: Vec<_> = (2..20).map(size).collect();
        assert!(sizes.iter().all(|size| (192..250).contains(size)), "{sizes:?}");
        assert_eq!(size_of::<Kept>(), 40);
    }
}
