//! Revocations on their way: receivers take one packet of credentials per second, and members that were offline must get
//! them when they return (`vl2.md` §4.4, §11.3).
//!
//! The revocations of a network are numbered, and a destination is a place in that row: what a mass of revocations needs
//! for a mass of members is the sum of both, not the product.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ctl_core::issue::{revocation_payloads, sign_revocation};
use zt_crypto::IdentitySecret;
use zt_proto::credential::Revocation;
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::{Address, NetworkId, Timestamp};

/// Time between two packets of credentials to one destination.
const PACE: Duration = Duration::from_millis(1100);
/// Nobody acknowledges credentials, so everything is sent a second time.
const REPEATED_AFTER: Duration = Duration::from_secs(5);
/// No member accepts a certificate that is older, revoked or not: the largest credential window.
pub(super) const REVOKED_FOR: Duration = Duration::from_secs(7200);
/// Revocations of one network that returning members get; past it the oldest is left to expire by itself.
pub(super) const MAX_RECENT: usize = 65_536;
/// Networks that were removed lately, whose members are revoked should one be made under the same id; past it the first
/// that would be forgotten is.
const MAX_REMOVED: usize = 65_536;

/// The revocations of one network that still matter, oldest first.
#[derive(Debug)]
struct Recent {
    /// The number of the first of them.
    first: u64,
    /// Each with the time at which it no longer matters. Signed when it is first sent, which may be never.
    entries: VecDeque<(Instant, Revocation)>,
}

impl Recent {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn remove_first(&mut self) {
        if self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.entries.front().is_some_and(|(expires, _)| *expires <= now) {
            self.remove_first();
        }
    }

    /// Adds to `batch` what comes next at `place`, as long as one packet takes it; false when there is no more.
    fn collect(
        &mut self,
        place: &mut Place,
        batch: &mut Vec<Revocation>,
        now: Instant,
        signer: &IdentitySecret,
    ) -> bool {
        place.next = place.next.max(self.first);
        let skipped = usize::try_from(place.next - self.first).unwrap_or(usize::MAX);
        let room = NetworkCredentials::MAX_REVOCATIONS.saturating_sub(batch.len());
        let skipped = skipped.min(self.entries.len());
        for (_, revocation) in self.entries.range_mut(skipped..).take(room) {
            sign_revocation(revocation, signer);
            batch.push(revocation.clone());
            place.next += 1;
        }
        if place.next < self.end() {
            return true;
        }
        let Some(again_from) = place.again_from.take() else { return false };
        (place.next, place.due) = (again_from, now + REPEATED_AFTER);
        true
    }
}

/// Where a destination is in the row of a network.
#[derive(Debug)]
struct Place {
    /// The number of the next revocation, and when it is to be sent.
    next: u64,
    due: Instant,
    /// From where on everything is to be sent once more, when the end is reached.
    again_from: Option<u64>,
}

#[derive(Debug)]
struct Destination {
    /// When it takes another packet.
    not_before: Instant,
    /// Its time in the queue.
    queued: Option<Instant>,
    /// For each network of which something is to be sent.
    places: BTreeMap<NetworkId, Place>,
}

/// A network that is not here any more.
#[derive(Debug)]
struct Removed {
    /// Nothing was issued in it later.
    threshold: Timestamp,
    /// When that no longer matters.
    until: Instant,
}

/// What has to be sent to whom, and what returning members have missed.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    recent: BTreeMap<NetworkId, Recent>,
    removed: BTreeMap<NetworkId, Removed>,
    /// No number from here on was ever used.
    unused: u64,
    /// Those that wait for something, and those that just got something.
    destinations: BTreeMap<Address, Destination>,
    /// Those that wait for something, by time.
    queue: BTreeSet<(Instant, Address)>,
}

impl Revocations {
    /// Takes a new revocation, signed or not, that matters until `expires`; returns its number.
    pub(super) fn add(&mut self, revocation: Revocation, expires: Instant) -> u64 {
        let (network, first) = (revocation.network, self.unused);
        let recent = self.recent.entry(network).or_insert_with(|| Recent { first, entries: VecDeque::new() });
        if recent.entries.len() >= MAX_RECENT {
            recent.remove_first();
        }
        let number = recent.end();
        recent.entries.push_back((expires, revocation));
        number
    }

    /// Has the revocations of a network sent to `destinations`, from the one with the number `from` on.
    pub(super) fn tell(&mut self, destinations: &[Address], network: NetworkId, from: u64, now: Instant) {
        for destination in destinations {
            self.enqueue(*destination, network, from, now);
        }
    }

    /// Forgets the revocations of a network: it is gone, and its members with it. But until then they all have
    /// certificates of `threshold` or before, which would be as good in a network that is made under the same id.
    pub(super) fn network_removed(&mut self, network: NetworkId, threshold: Timestamp, until: Instant) {
        if let Some(recent) = self.recent.remove(&network) {
            self.unused = self.unused.max(recent.end());
        }
        if self.removed.len() >= MAX_REMOVED
            && let Some(first) =
                self.removed.iter().min_by_key(|(_, removed)| removed.until).map(|(id, _)| *id)
        {
            self.removed.remove(&first);
        }
        self.removed.insert(network, Removed { threshold, until });
    }

    /// Notes that a network is here. If it was removed and that still matters, returns the threshold up to which its
    /// former members are to be revoked; only once.
    pub(super) fn network_made(&mut self, network: NetworkId, now: Instant) -> Option<Timestamp> {
        let removed = self.removed.remove(&network)?;
        (removed.until > now).then_some(removed.threshold)
    }

    /// Queues for a member that returns what it may have missed. Says whether there is anything.
    pub(super) fn catch_up(&mut self, network: NetworkId, member: Address, now: Instant) -> bool {
        let Some(recent) = self.recent.get_mut(&network) else { return false };
        recent.expire(now);
        let first = recent.first;
        let is_any = !recent.entries.is_empty();
        if is_any {
            self.enqueue(member, network, first, now);
        }
        is_any
    }

    fn enqueue(&mut self, address: Address, network: NetworkId, from: u64, now: Instant) {
        let fresh = || Destination { not_before: now, queued: None, places: BTreeMap::new() };
        let destination = self.destinations.entry(address).or_insert_with(fresh);
        let place =
            destination.places.entry(network).or_insert(Place { next: from, due: now, again_from: None });
        place.next = place.next.min(from);
        place.due = now;
        place.again_from = Some(place.again_from.map_or(from, |again| again.min(from)));
        self.requeue(address);
    }

    /// Puts a destination into the queue at the time at which it is due.
    fn requeue(&mut self, address: Address) {
        let Some(destination) = self.destinations.get_mut(&address) else { return };
        let due = destination.places.values().map(|place| place.due).min();
        let due = due.map(|due| due.max(destination.not_before));
        if let Some(queued) = destination.queued {
            self.queue.remove(&(queued, address));
        }
        destination.queued = due;
        self.queue.extend(due.map(|due| (due, address)));
    }

    /// Takes the next packet that is to be sent now. What is not signed yet is signed by `signer`, the controller.
    pub(super) fn take(&mut self, now: Instant, signer: &IdentitySecret) -> Option<(Address, Vec<u8>)> {
        loop {
            self.queue.first().filter(|(due, _)| *due <= now)?;
            let (_, address) = self.queue.pop_first()?;
            let Some(destination) = self.destinations.get_mut(&address) else { continue };
            destination.queued = None;
            let mut batch = Vec::new();
            destination.places.retain(|network, place| {
                place.due > now
                    || self
                        .recent
                        .get_mut(network)
                        .is_some_and(|recent| recent.collect(place, &mut batch, now, signer))
            });
            if !batch.is_empty() {
                destination.not_before = now + PACE;
            }
            self.requeue(address);
            // As many as one packet takes.
            if let Some(payload) = revocation_payloads(&batch).into_iter().next() {
                return Some((address, payload));
            }
        }
    }

    /// Returns when [`Revocations::take`] has something, if nothing new comes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Forgets what no longer matters to anybody.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.recent.retain(|_, recent| {
            recent.expire(now);
            self.unused = self.unused.max(recent.end());
            !recent.entries.is_empty()
        });
        self.removed.retain(|_, removed| removed.until > now);
        self.destinations
            .retain(|_, destination| !destination.places.is_empty() || destination.not_before > now);
    }
}

#[cfg(test)]
mod tests;
