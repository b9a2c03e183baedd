//! One table: that of the network, or that of a capability (`rules-language.md` §15).

use zt_proto::Address;
use zt_proto::rules::{Rule, RuleBody};

use super::frame::Frame;
use super::matches::{Answer, answer};
use super::{Client, Direction, Observer, Step, View};

/// How a table ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableVerdict {
    /// A break, or the end of the table.
    NoMatch,
    Drop,
    Redirect(Address),
    Accept,
    /// The frame was sent to this member by a rule.
    SuperAccept,
}

/// How a table ends, where, and what it copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableOutcome {
    pub verdict: TableVerdict,
    /// The rule that ended it; `None` is the end of the table.
    pub by: Option<usize>,
    /// Sent if something accepts the frame.
    pub copy: Option<Copied>,
}

/// A copy of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub to: Address,
    /// Bytes of payload.
    pub length: usize,
    /// By `watch`, which asks for an acknowledgement.
    pub watch: bool,
}

/// Evaluates a table. `draw` yields random numbers for `random`.
pub fn evaluate_table(
    rules: &[Rule],
    view: &View<'_>,
    frame: &Frame<'_>,
    draw: &mut dyn FnMut() -> u32,
    observer: &mut impl Observer,
) -> TableOutcome {
    let mut set = true;
    let mut lenient = false;
    let mut is_super = false;
    let mut copy = None;
    let end = |verdict, by, copy| TableOutcome { verdict, by, copy };
    for (index, rule) in rules.iter().enumerate() {
        if !rule.body.is_action() {
            if !set && !rule.or {
                observer.step(index, Step::Skipped);
                continue;
            }
            let answer = answer(&rule.body, view, frame, is_super, draw);
            lenient |= answer == Answer::Lenient && view.client == Client::Since1_14;
            let value = answer.value(rule.not, view.client);
            set = if rule.or { set || value } else { value };
            observer.step(index, Step::Matched { value, holds: set });
            continue;
        }
        if !set {
            let is_here = forward(&rule.body).is_some_and(|forward| forward.to == view.own);
            is_super |= is_here && view.direction == Direction::Inbound;
            set = true;
            observer.step(index, Step::Passed);
            continue;
        }
        if rule.body == RuleBody::Drop && lenient {
            lenient = false;
            observer.step(index, Step::Forgiven);
            continue;
        }
        let verdict = if let Some(forward) = forward(&rule.body) {
            take_forward(forward, view, frame, &mut copy)
        } else {
            final_verdict(&rule.body, is_super)
        };
        observer.step(index, Step::Taken);
        if let Some(verdict) = verdict {
            return end(verdict, Some(index), copy);
        }
    }
    end(TableVerdict::NoMatch, None, copy)
}

/// Returns the verdict of an action that ends a table; `None` for actions that are unknown.
fn final_verdict(body: &RuleBody, is_super: bool) -> Option<TableVerdict> {
    if matches!(body, RuleBody::Accept) {
        return Some(if is_super { TableVerdict::SuperAccept } else { TableVerdict::Accept });
    }
    if matches!(body, RuleBody::Priority) {
        return Some(TableVerdict::Accept);
    }
    if matches!(body, RuleBody::Break) {
        return Some(TableVerdict::NoMatch);
    }
    matches!(body, RuleBody::Drop).then_some(TableVerdict::Drop)
}

/// An action that sends a frame elsewhere.
#[derive(Clone, Copy)]
struct Forward {
    to: Address,
    kind: ForwardKind,
}

#[derive(Clone, Copy)]
enum ForwardKind {
    Copy { length: u16, watch: bool },
    Redirect,
}

fn forward(body: &RuleBody) -> Option<Forward> {
    if let RuleBody::Tee { address, length, .. } = *body {
        return Some(Forward { to: address, kind: ForwardKind::Copy { length, watch: false } });
    }
    if let RuleBody::Watch { address, length, .. } = *body {
        return Some(Forward { to: address, kind: ForwardKind::Copy { length, watch: true } });
    }
    if let RuleBody::Redirect { address, .. } = *body {
        return Some(Forward { to: address, kind: ForwardKind::Redirect });
    }
    None
}

/// Takes such an action; returns a verdict if it ends the table.
fn take_forward(
    forward: Forward,
    view: &View<'_>,
    frame: &Frame<'_>,
    copy: &mut Option<Copied>,
) -> Option<TableVerdict> {
    if forward.to == view.source {
        return None;
    }
    if forward.to == view.own {
        return (view.direction == Direction::Inbound).then_some(TableVerdict::SuperAccept);
    }
    if forward.to == view.dest {
        return None;
    }
    match forward.kind {
        ForwardKind::Redirect => Some(TableVerdict::Redirect(forward.to)),
        ForwardKind::Copy { length, watch } => {
            let whole = frame.payload.len();
            let length = if length == 0 { whole } else { whole.min(length.into()) };
            // A copy to no node replaces an earlier one, but is not sent.
            *copy = (forward.to != Address::NONE).then_some(Copied { to: forward.to, length, watch });
            None
        }
    }
}
