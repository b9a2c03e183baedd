//! How much work tests and comparisons may be.
//!
//! A step is about as much as looking at one rule. Work is counted before it is done, and at its most: as if every
//! table were read to its end.

/// Most steps of all tests of a text together, some tenths of a second: a table of 25 rules for 100,000 pairs.
pub const MAX_TEST_STEPS: u64 = 20_000_000;
/// Most members that the tests of a text bring altogether.
pub const MAX_FIXTURES: usize = 4096;
/// Most IP addresses of a member that a test brings; no member of a network has as many.
pub const MAX_FIXTURE_ADDRESSES: usize = 64;
/// What evaluating a side is besides its rules.
const SIDE: u64 = 16;
/// What building a packet is besides its bytes.
const PACKET: u64 = 16;
/// How many bytes of a packet are a step.
const BYTES: u64 = 16;
/// How many members, tags or the like a step passes when it looks for one.
const LOOKED_AT: u64 = 4;
/// Most copies and redirected frames that a side sends.
const COPIES: u64 = 3;

/// Steps that are left.
pub(crate) struct Budget {
    left: u64,
}

impl Budget {
    pub(crate) fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    /// Takes so many steps, or none if there are not as many.
    pub(crate) fn take(&mut self, steps: u64) -> bool {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Takes what `steps` add up to, or nothing if that is too much; the sum is not made longer than needed.
    pub(crate) fn take_all(&mut self, steps: impl Iterator<Item = u64>) -> bool {
        let left = steps.into_iter().try_fold(self.left, u64::checked_sub);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// Returns the steps of looking through so many things.
pub(super) fn search(things: usize) -> u64 {
    wide(things) / LOOKED_AT + 1
}

/// What sending a packet depends on.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    /// Rules of the network and of the sender's capabilities.
    pub(super) rules: u64,
    /// The same for whoever has most; `None` if no rule sends a packet elsewhere.
    pub(super) copied_rules: Option<u64>,
    pub(super) is_group: bool,
    /// Bytes of the packet.
    pub(super) size: usize,
    /// How often it is sent.
    pub(super) times: usize,
}

impl Sending {
    /// Returns the steps of building the packet and sending it.
    pub(super) fn steps(self) -> u64 {
        let bytes = wide(self.size) / BYTES;
        let copy = |rules: u64| rules.saturating_add(SIDE + bytes).saturating_mul(COPIES);
        let side = self.rules.saturating_add(SIDE).saturating_add(self.copied_rules.map_or(0, copy));
        let sides = if self.is_group { 3 } else { 2 };
        side.saturating_mul(sides).saturating_mul(wide(self.times)).saturating_add(PACKET + bytes)
    }
}

/// Returns the steps of working out what so many members hold under rules with so many tags and capabilities.
pub(super) fn world(members: usize, definitions: usize) -> u64 {
    wide(members).saturating_mul(wide(definitions).saturating_mul(4).saturating_add(SIDE))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Cuts a text for a report: names may be as long as the text that they stand in.
pub(crate) fn shortened(text: &str) -> String {
    const MAX: usize = 100;
    let mut characters = text.chars();
    let mut kept: String = characters.by_ref().take(MAX).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}
