//! Everything that is due at some time, in one ordered set.

use std::collections::BTreeSet;
use std::time::Duration;

use zt_proto::Address;

use super::moment::Moment;

/// What can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Forget what has expired: reassemblies, awaited OKs, rate limits, subscriptions.
    Sweep,
    /// Say HELLO to the roots above this node.
    Roots,
    /// Ask again for the identities that are wanted.
    Whois,
    /// Keep the paths of the peer of this address alive, or forget it. There are very many.
    Peer([u8; 5]),
}

impl Timer {
    pub(super) fn of_peer(address: Address) -> Self {
        Self::Peer(address.octets())
    }
}

/// How often expired state is swept.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The set of armed timers. A timer that concerns a peer is armed at most once per peer: its owner keeps the time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeSet<(Moment, Timer)>,
}

impl Timers {
    pub(super) fn arm(&mut self, when: Moment, timer: Timer) {
        self.armed.insert((when, timer));
    }

    pub(super) fn disarm(&mut self, when: Moment, timer: Timer) {
        self.armed.remove(&(when, timer));
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.armed.first().map(|(when, _)| *when)
    }

    pub(super) fn len(&self) -> usize {
        self.armed.len()
    }

    /// Takes one timer that is due.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.armed.pop_first().map(|(_, timer)| timer)
    }
}
