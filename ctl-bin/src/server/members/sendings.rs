//! Sendings of a configuration that are signed once and sent again (`vl2.md` §4.1), for members that ask often.
//!
//! A signature takes longer than everything else in an answer, and it covers the update id, of which a client wants
//! another one each time: it remembers the last three, and drops chunks that it has. So a few sendings with different ids
//! are signed, one with each request, and then sent again in turn. They also differ in the millisecond of their time of
//! issue, as a client takes no notice of exactly what it has.
//!
//! A client that got its configuration asks again after a minute, and one that did not take it after 5 s, or 25 s in low-bandwidth
//! mode (`vl2.md` §3.2): both get what is signed anew, which no client can know. Sendings are only kept for who asks in
//! between, so that it costs no more than others.

use std::ops::Range;
use std::time::Duration;

use ctl_core::{Issued, Sending};

/// Sendings that are kept of one configuration: one more than the update ids that a client remembers.
pub(super) const MAX_SENDINGS: u8 = 4;
/// Chunks of a configuration whose sendings are kept, with 96 bytes for each. Larger ones are signed each time, and by nobody
/// for whom others wait.
pub(in super::super) const MAX_CHUNKS: usize = 4;
/// Who asks again within this time does so of its own accord.
pub(super) const OFTEN: Duration = Duration::from_millis(4_500);
/// Members that ask so often and have sendings; those beyond are signed to each time.
pub(super) const MAX_OFTEN: usize = 16_384;

/// Which sending of a configuration is the next: they go round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Turn(u8);

impl Turn {
    pub(super) const FIRST: Self = Self(0);

    /// Returns by how many milliseconds this sending says that it was issued later. What was pushed says the very time of
    /// issue.
    pub(in super::super) fn later(self) -> u64 {
        u64::from(self.0) + 1
    }

    pub(super) fn next(self) -> Self {
        Self(if self.0 + 1 < MAX_SENDINGS { self.0 + 1 } else { 0 })
    }
}

/// The sendings of one configuration, as bytes.
#[derive(Debug, Default)]
pub(super) struct Sendings {
    /// [`Sending::bytes`] of each, zeros where there is none yet.
    signed: Box<[u8]>,
    /// How many signatures each has.
    chunks: usize,
}

impl Sendings {
    /// Returns the sending whose turn it is, if it is signed.
    pub(super) fn get(&self, issued: &Issued, turn: Turn) -> Option<Sending> {
        let bytes = self.signed.get(self.place(turn))?;
        // None has the update id zero.
        Sending::of_bytes(bytes, issued.timestamp().plus_millis(turn.later()))
    }

    /// Keeps a sending.
    pub(super) fn put(&mut self, turn: Turn, sending: &Sending) {
        let chunks = sending.chunks();
        if chunks == 0 || chunks > MAX_CHUNKS {
            return;
        }
        if self.chunks != chunks {
            let room = usize::from(MAX_SENDINGS) * Sending::bytes_len(chunks);
            *self = Self { signed: vec![0; room].into(), chunks };
        }
        let place = self.place(turn);
        if let Some(kept) = self.signed.get_mut(place) {
            kept.copy_from_slice(&sending.bytes());
        }
    }

    /// Returns where the bytes of a sending stand.
    fn place(&self, turn: Turn) -> Range<usize> {
        let (len, place) = (Sending::bytes_len(self.chunks), usize::from(turn.0));
        place * len..(place + 1) * len
    }
}
