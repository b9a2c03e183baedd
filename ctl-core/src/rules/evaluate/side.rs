//! One side: the table of the network, then capabilities, then copies (`rules-language.md` §17).

use zt_proto::Address;
use zt_proto::rules::Rule;

use super::frame::Frame;
use super::table::{Copied, TableOutcome, TableVerdict, evaluate_table};
use super::{Direction, Observer, View};

/// What a side does with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Dropped,
    Accepted,
    /// Accepted as a frame that a rule sent here, from whomever.
    SuperAccepted,
}

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decider {
    /// `None`: the table of the network.
    pub capability: Option<u32>,
    /// `None`: the end of the table.
    pub index: Option<usize>,
}

/// A copy or a redirected frame that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub to: Address,
    /// As on the wire, `rules-language.md` §17.
    pub flags: u8,
    /// Bytes of payload.
    pub length: usize,
}

/// The result of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideOutcome {
    pub grade: Grade,
    pub by: Decider,
    /// How the table of the network ended.
    pub base: TableVerdict,
    sent: [Option<Sent>; 3],
}

impl SideOutcome {
    /// Returns what is sent besides the frame, in this order.
    pub fn sent(&self) -> impl Iterator<Item = Sent> + '_ {
        self.sent.iter().copied().flatten()
    }
}

/// Evaluates one side. `copies` is false where a sender evaluates per recipient of a multicast.
pub fn evaluate_side(
    rules: &[Rule],
    view: &View<'_>,
    frame: &Frame<'_>,
    copies: bool,
    draw: &mut dyn FnMut() -> u32,
    observer: &mut impl Observer,
) -> SideOutcome {
    observer.table(None);
    let base = evaluate_table(rules, view, frame, draw, observer);
    let by_base = Decider { capability: None, index: base.by };
    let dropped = SideOutcome { grade: Grade::Dropped, by: by_base, base: base.verdict, sent: [None; 3] };
    let (accepting, by, capability_copy) = match base.verdict {
        TableVerdict::Drop => return dropped,
        TableVerdict::Accept | TableVerdict::SuperAccept | TableVerdict::Redirect(_) => {
            (base.verdict, by_base, None)
        }
        TableVerdict::NoMatch => {
            let holder = match view.direction {
                Direction::Outbound => Some(view.credentials),
                Direction::Inbound => view.other,
            };
            let Some(holder) = holder else { return dropped };
            let mut accepted = None;
            for capability in holder.capabilities {
                observer.table(Some(capability.id));
                let outcome = evaluate_table(capability.rules, view, frame, draw, observer);
                if accepts(&outcome) {
                    let by = Decider { capability: Some(capability.id), index: outcome.by };
                    accepted = Some((outcome.verdict, by, outcome.copy));
                    break;
                }
            }
            let Some(accepted) = accepted else { return dropped };
            accepted
        }
    };
    let copies = copies || view.direction == Direction::Inbound;
    let copied = |copy: Option<Copied>| copy.filter(|_| copies).map(|copy| sent_copy(copy, view.direction));
    let mut outcome = SideOutcome { by, sent: [copied(capability_copy), copied(base.copy), None], ..dropped };
    outcome.grade = match accepting {
        TableVerdict::Redirect(to) => {
            let flags =
                if view.direction == Direction::Outbound { REDIRECT_OUTBOUND } else { REDIRECT_INBOUND };
            let [_, _, redirected] = &mut outcome.sent;
            *redirected = Some(Sent { to, flags, length: frame.payload.len() });
            Grade::Dropped
        }
        // Only a receiver makes the difference.
        TableVerdict::SuperAccept if view.direction == Direction::Inbound => Grade::SuperAccepted,
        TableVerdict::SuperAccept | TableVerdict::Accept | TableVerdict::NoMatch | TableVerdict::Drop => {
            Grade::Accepted
        }
    };
    outcome
}

fn accepts(outcome: &TableOutcome) -> bool {
    match outcome.verdict {
        TableVerdict::Accept | TableVerdict::SuperAccept | TableVerdict::Redirect(_) => true,
        TableVerdict::NoMatch | TableVerdict::Drop => false,
    }
}

fn sent_copy(copy: Copied, direction: Direction) -> Sent {
    let flags = match (direction, copy.watch) {
        (Direction::Outbound, false) => 0x02,
        (Direction::Inbound, false) => 0x08,
        (Direction::Outbound, true) => 0x16,
        (Direction::Inbound, true) => 0x1c,
    };
    Sent { to: copy.to, flags, length: copy.length }
}

impl Sent {
    /// Says whether this is the frame itself, sent to another member, and not a copy.
    pub fn is_redirect(&self) -> bool {
        matches!(self.flags, REDIRECT_OUTBOUND | REDIRECT_INBOUND)
    }
}

const REDIRECT_OUTBOUND: u8 = 0x04;
const REDIRECT_INBOUND: u8 = 0x0a;
