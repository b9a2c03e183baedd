//! What clients do with a frame: one table, one side, the way from sender to receiver
//! (`rules-language.md` §14–19).
//!
//! Pure: random numbers are an argument, and without an observer nothing is allocated.

mod frame;
mod matches;
mod path;
mod side;
mod table;

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::rules::Rule;
use zt_proto::{Address, Mac, NetworkId};

pub use frame::Frame;
pub use path::{CopyFate, Delivery, Destination, Member, Network, Pass, deliver};
pub use side::{Decider, Grade, Sent, SideOutcome, evaluate_side};
pub use table::{Copied, TableOutcome, TableVerdict, evaluate_table};

/// Which end of the way is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The sender, before a frame leaves.
    Outbound,
    /// The receiver.
    Inbound,
}

/// How a client treats questions without an answer (`rules-language.md` §19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Client {
    /// From 1.14.0 on: NOT does not invert them, and tags not yet known are taken leniently.
    #[default]
    Since1_14,
    /// 1.2.0 to 1.12.2: they are false, and NOT makes them true.
    Before1_14,
}

/// Settings of a network that change how rules are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub network: NetworkId,
    /// Members resolve computed IPv6 addresses themselves, and do not ask for certificates of them.
    pub ndp_emulation: bool,
    /// What a match of an unknown type yields.
    pub unsupported_matches: bool,
}

/// What a member can show.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// Tag id to value. A tag that is missing differs from one that is 0.
    pub tags: &'a BTreeMap<u32, u32>,
    /// Ascending by id.
    pub capabilities: &'a [HeldCapability<'a>],
    /// IP addresses that certificates of ownership name.
    pub addresses: &'a [IpAddr],
    /// MAC addresses that they name; the controller issues none.
    pub macs: &'a [Mac],
}

/// A capability of a member.
#[derive(Debug, Clone, Copy)]
pub struct HeldCapability<'a> {
    pub id: u32,
    pub rules: &'a [Rule],
}

/// The member that evaluates, and what it knows.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub direction: Direction,
    /// The member itself.
    pub own: Address,
    /// From which member the frame comes; at the sender the member itself.
    pub source: Address,
    /// For which member it is, [`Address::NONE`] if that is not known; at the receiver the member itself.
    pub dest: Address,
    pub credentials: Credentials<'a>,
    /// What the other member has shown, as far as it counts still; `None` if nothing.
    pub other: Option<Credentials<'a>>,
    /// Managed addresses of the member itself.
    pub assigned: &'a [IpAddr],
    pub settings: Settings,
    pub client: Client,
}

/// What happens to one rule of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A match that is not looked at, as a match before it has failed.
    Skipped,
    /// A match, with NOT applied, and whether all so far hold.
    Matched { value: bool, holds: bool },
    /// An action whose matches fail.
    Passed,
    /// An action that is taken.
    Taken,
    /// A drop that is forgiven, as a tag of the receiver is not known yet.
    Forgiven,
}

/// Is told of each rule that is looked at. `()` is the observer that does not listen.
pub trait Observer {
    /// An evaluation on the way of a frame begins.
    fn side(&mut self, _pass: Pass) {}

    /// A table begins: that of the network (`None`) or of a capability.
    fn table(&mut self, _capability: Option<u32>) {}

    fn step(&mut self, _index: usize, _step: Step) {}
}

impl Observer for () {}
