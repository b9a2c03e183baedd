//! From sender to receiver, and to the targets of copies (`rules-language.md` §18).
//!
//! No member is an active bridge here: that needs MAC addresses behind it, which the controller does not know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::rules::Rule;
use zt_proto::{Address, Mac};

use super::frame::Frame;
use super::side::{Grade, Sent, SideOutcome, evaluate_side};
use super::{Client, Credentials, Direction, Observer, Settings, View};

/// A network as its members see it.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    pub rules: &'a [Rule],
    pub settings: Settings,
    pub members: &'a BTreeMap<Address, Member<'a>>,
}

/// A member with its credentials, of which the addresses are the managed ones.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub credentials: Credentials<'a>,
    pub assigned: &'a [IpAddr],
    pub client: Client,
}

/// For whom a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Member(Address),
    /// A multicast, looked at for one of its recipients.
    Group(Address),
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of a multicast: before any recipient is looked at.
    pub group: Option<SideOutcome>,
    /// `None`: the evaluation did not get there.
    pub sender: Option<SideOutcome>,
    pub receiver: Option<SideOutcome>,
    pub delivered: bool,
    /// Copies and redirected frames, the sender's first.
    pub copies: Vec<CopyFate>,
}

/// What becomes of a copy or a redirected frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFate {
    pub sent: Sent,
    pub sent_by: Address,
    /// `None`: the target is no member.
    pub at_target: Option<SideOutcome>,
    pub taken: bool,
}

/// Sends a frame through the network; `None` if sender or receiver is no member.
///
/// `is_known`: the receiver has shown its credentials to the sender before.
pub fn deliver(
    network: &Network<'_>,
    from: Address,
    to: Destination,
    is_known: bool,
    frame: &Frame<'_>,
    draw: &mut dyn FnMut() -> u32,
    observer: &mut impl Observer,
) -> Option<Delivery> {
    let (Destination::Member(recipient) | Destination::Group(recipient)) = to;
    let sender = network.members.get(&from)?;
    let receiver = network.members.get(&recipient)?;
    let shown = is_known.then_some(receiver.credentials);
    let mut delivery =
        Delivery { group: None, sender: None, receiver: None, delivered: false, copies: Vec::new() };
    let mut is_first_pass = true;
    if matches!(to, Destination::Group(_)) {
        observer.side(Pass::Group);
        let view = view(network, sender, Direction::Outbound, from, from, Address::NONE, None);
        let outcome = evaluate_side(network.rules, &view, frame, true, draw, observer);
        delivery.group = Some(outcome);
        send(network, from, &outcome, frame, draw, &mut delivery.copies);
        if outcome.grade == Grade::Dropped {
            return Some(delivery);
        }
        is_first_pass = false;
    }
    observer.side(Pass::Sender);
    let outbound = view(network, sender, Direction::Outbound, from, from, recipient, shown);
    let outcome = evaluate_side(network.rules, &outbound, frame, is_first_pass, draw, observer);
    delivery.sender = Some(outcome);
    send(network, from, &outcome, frame, draw, &mut delivery.copies);
    if outcome.grade == Grade::Dropped {
        return Some(delivery);
    }
    observer.side(Pass::Receiver);
    let sender_shown = Some(sender.credentials);
    let inbound = view(network, receiver, Direction::Inbound, recipient, from, recipient, sender_shown);
    let outcome = evaluate_side(network.rules, &inbound, frame, true, draw, observer);
    delivery.receiver = Some(outcome);
    send(network, recipient, &outcome, frame, draw, &mut delivery.copies);
    delivery.delivered = outcome.grade != Grade::Dropped;
    Some(delivery)
}

/// An evaluation on the way of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// At the sender of a multicast, before any recipient is looked at.
    Group,
    Sender,
    Receiver,
}

fn view<'a>(
    network: &Network<'a>,
    member: &Member<'a>,
    direction: Direction,
    own: Address,
    source: Address,
    dest: Address,
    other: Option<Credentials<'a>>,
) -> View<'a> {
    let Member { credentials, assigned, client } = *member;
    View { direction, own, source, dest, credentials, other, assigned, settings: network.settings, client }
}

/// Delivers copies and redirected frames to their targets.
fn send(
    network: &Network<'_>,
    sent_by: Address,
    outcome: &SideOutcome,
    frame: &Frame<'_>,
    draw: &mut dyn FnMut() -> u32,
    copies: &mut Vec<CopyFate>,
) {
    for sent in outcome.sent() {
        let Some(target) = network.members.get(&sent.to) else {
            copies.push(CopyFate { sent, sent_by, at_target: None, taken: false });
            continue;
        };
        let shown = network.members.get(&sent_by).map(|sender| sender.credentials);
        let copy = frame.cut(sent.length);
        let inbound = view(network, target, Direction::Inbound, sent.to, sent_by, sent.to, shown);
        let at_target = evaluate_side(network.rules, &inbound, &copy, true, draw, &mut ());
        let id = network.settings.network;
        let own = Mac::of_member(id, sent.to);
        let [first, ..] = frame.dest_mac.0;
        let is_addressed =
            frame.source_mac == Mac::of_member(id, sent_by) && (frame.dest_mac == own || first & 1 != 0);
        let is_echo = frame.source_mac == own || frame.source_mac.0 == [0; 6];
        let taken = match at_target.grade {
            Grade::Dropped => false,
            Grade::Accepted => is_addressed && !is_echo,
            Grade::SuperAccepted => !is_echo,
        };
        copies.push(CopyFate { sent, sent_by, at_target: Some(at_target), taken });
    }
}
