//! How much was sent and received, for those who watch the node.

use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;

/// Verbs are five bits on the wire.
const VERBS: usize = Verb::MASK as usize + 1;
/// Codes that are told apart; the specification defines ten.
const ERROR_CODES: usize = 16;

/// Both directions since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    pub received: Flow,
    pub sent: Flow,
}

/// One direction: authentic packets, and all bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    packets: [u64; VERBS],
    errors: [u64; ERROR_CODES],
    /// UDP payloads, whether they meant something or not.
    pub bytes: u64,
}

impl Flow {
    pub(super) fn add_packet(&mut self, verb: Verb) {
        add(self.packets.get_mut(usize::from(verb.0)));
    }

    pub(super) fn add_error(&mut self, code: ErrorCode) {
        add(self.errors.get_mut(usize::from(code.0)));
    }

    pub(super) fn add_bytes(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count as u64);
    }

    /// Returns how many packets there were of each verb that occurred.
    pub fn packets(&self) -> impl Iterator<Item = (Verb, u64)> {
        (0..).map(Verb).zip(self.packets).filter(|(_, count)| *count > 0)
    }

    /// Returns how many ERRORs there were of each code that occurred; codes from 16 on are not counted.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        (0..).map(ErrorCode).zip(self.errors).filter(|(_, count)| *count > 0)
    }
}

fn add(count: Option<&mut u64>) {
    if let Some(count) = count {
        *count = count.saturating_add(1);
    }
}

/// What went between this node and one peer since it was last forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerTraffic {
    /// Authentic packets.
    pub received: u64,
    pub sent: u64,
    /// Packets that claimed to be from the peer and were not authentic; whoever forges its address adds to them.
    pub broken: u64,
}

/// The same for each of very many: what a peer sends in a day is some thousands, and more than 2^32 count as so many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerCounts {
    pub received: u32,
    pub sent: u32,
    pub broken: u32,
}

impl From<PeerCounts> for PeerTraffic {
    fn from(counts: PeerCounts) -> Self {
        let PeerCounts { received, sent, broken } = counts;
        Self { received: received.into(), sent: sent.into(), broken: broken.into() }
    }
}
