//! A dictionary as it is kept, for as long as it may be sent again: what all members share is kept once, and the member's
//! own compressed.

use std::sync::Arc;

use zt_proto::Timestamp;
use zt_proto::compression::{BlockWriter, Compressed};
use zt_proto::config::OwnEntries;

use super::NetworkPart;
use super::shared::SharedText;
use crate::client::Client;

/// Digits of a time of issue.
const DIGITS: usize = 16;

/// The text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In a form of its own.
    Whole(Box<[u8]>),
    /// For clients of 1.2.0 and later.
    Shared(Own),
}

/// What is a member's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    part: Arc<NetworkPart>,
    /// What follows on the time of issue, up to the routes.
    head: Compressed,
    /// The addresses, and what the user has to log in with, each behind a line end.
    rest: Box<[u8]>,
    /// Where the second begins.
    login: u32,
}

/// Returns a time of issue as it is written.
fn digits(time: Timestamp) -> [u8; DIGITS] {
    let mut shift = u64::BITS;
    [(); DIGITS].map(|()| {
        shift -= 4;
        match u8::try_from(time.0 >> shift & 0xf) {
            Ok(digit @ 0..10) => b'0' + digit,
            Ok(digit) => b'a' + digit - 10,
            Err(_) => b'0',
        }
    })
}

impl Kept {
    /// Keeps what was written for a member beside what all members of its network share.
    pub(crate) fn new(part: &Arc<NetworkPart>, client: Client, own: &OwnEntries) -> Self {
        let Some(behind) = own.head.strip_prefix(part.beginning()).and_then(|digits| digits.get(DIGITS..))
        else {
            return Self::Whole(part.text(client).entries.with(own).into());
        };
        let mut rest = Vec::new();
        add_line(&own.addresses, &mut rest);
        let login = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        add_line(&own.login, &mut rest);
        let (part, head) = (Arc::clone(part), Compressed::new(behind));
        Self::Shared(Own { part, head, rest: rest.into(), login })
    }

    /// Returns the length of the text.
    pub(crate) fn len(&self, client: Client) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::Shared(own) => own.len(client),
        }
    }

    /// Returns about how many bytes it takes besides what it shares.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::Shared(own) => own.size_bytes(),
        }
    }

    /// Returns the text.
    pub(crate) fn text(&self, client: Client, time: Timestamp) -> Vec<u8> {
        match self {
            Self::Whole(text) => text.to_vec(),
            Self::Shared(own) => own.text(client, time),
        }
    }
}

impl Own {
    fn shared(&self, client: Client) -> &SharedText {
        self.part.text(client)
    }

    fn rest(&self) -> (&[u8], &[u8]) {
        let at = usize::try_from(self.login).unwrap_or(usize::MAX);
        self.rest.split_at_checked(at).unwrap_or((&self.rest, &[]))
    }

    /// Returns about how many bytes it takes besides what it shares.
    pub(crate) fn size_bytes(&self) -> usize {
        self.head.size_bytes() + self.rest.len()
    }

    fn len(&self, client: Client) -> usize {
        let shared = self.shared(client);
        let shared = shared.routes.text_len() + shared.rules_and_dns.text_len();
        self.part.beginning().len() + DIGITS + self.head.text_len() + self.rest.len() + shared
    }

    fn text(&self, client: Client, time: Timestamp) -> Vec<u8> {
        let (addresses, login) = self.rest();
        let nothing = OwnEntries::default();
        let [_, routes, _, rules, dns, _] = self.shared(client).entries.between(&nothing);
        let mut text = Vec::with_capacity(self.len(client));
        text.extend_from_slice(self.part.beginning());
        text.extend_from_slice(&digits(time));
        text.extend(self.head.text());
        add_line(routes, &mut text);
        text.extend_from_slice(addresses);
        add_line(rules, &mut text);
        add_line(dns, &mut text);
        text.extend_from_slice(login);
        text
    }

    /// Adds the text to a block, with another time of issue.
    pub(crate) fn write(&self, client: Client, time: Timestamp, block: &mut BlockWriter<'_>) {
        let (shared, (addresses, login)) = (self.shared(client), self.rest());
        block.plain(self.part.beginning());
        block.plain(&digits(time));
        block.compressed(&self.head);
        block.compressed(&shared.routes);
        block.plain(addresses);
        block.compressed(&shared.rules_and_dns);
        block.plain(login);
    }
}

/// Appends a piece of a dictionary behind a line end; nothing if it is empty.
pub(super) fn add_line(piece: &[u8], text: &mut Vec<u8>) {
    if !piece.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(piece);
    }
}
