//! Revocations on their way: receivers take one packet of credentials per second, and members that are offline must get
//! them when they return (`vl2.md` §4.4, §11.3).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ctl_core::issue::revocation_payloads;
use zt_proto::credential::Revocation;
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::{Address, NetworkId};

/// Time between two packets of credentials to one destination.
pub(super) const PACE: Duration = Duration::from_millis(1100);
/// No member accepts a certificate that is older, revoked or not: the largest credential window.
const REVOKED_FOR: Duration = Duration::from_secs(7200);
/// Revocations of one network that returning members get; past it the oldest is left to expire by itself.
const MAX_RECENT: usize = 4096;

/// What has to be sent to whom, and what returning members have missed.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    waiting: BTreeMap<Address, VecDeque<Arc<Revocation>>>,
    recent: BTreeMap<NetworkId, VecDeque<(Instant, Arc<Revocation>)>>,
}

impl Revocations {
    /// Takes a new revocation, to be sent to all of `destinations`.
    pub(super) fn add(
        &mut self,
        revocation: Revocation,
        destinations: impl IntoIterator<Item = Address>,
        now: Instant,
    ) {
        let revocation = Arc::new(revocation);
        for destination in destinations {
            self.waiting.entry(destination).or_default().push_back(Arc::clone(&revocation));
        }
        let recent = self.recent.entry(revocation.network).or_default();
        if recent.len() >= MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back((now, revocation));
    }

    /// Queues for a member that was offline what it may have missed. Says whether there is anything.
    pub(super) fn catch_up(&mut self, network: NetworkId, member: Address, now: Instant) -> bool {
        let recent = self.recent.get(&network).into_iter().flatten();
        let in_time = |since: Instant| now.saturating_duration_since(since) < REVOKED_FOR;
        let missed: Vec<_> = recent
            .filter(|(since, _)| in_time(*since))
            .map(|(_, revocation)| Arc::clone(revocation))
            .collect();
        let is_any = !missed.is_empty();
        if is_any {
            self.waiting.entry(member).or_default().extend(missed);
        }
        is_any
    }

    /// Forgets what no longer matters to anybody.
    pub(super) fn sweep(&mut self, now: Instant) {
        for recent in self.recent.values_mut() {
            recent.retain(|(since, _)| now.saturating_duration_since(*since) < REVOKED_FOR);
        }
        self.recent.retain(|_, recent| !recent.is_empty());
    }

    /// Takes one packet's worth for each destination; call it no more often than every [`PACE`].
    pub(super) fn take_round(&mut self) -> Vec<(Address, Vec<u8>)> {
        let mut round = Vec::new();
        for (destination, queue) in &mut self.waiting {
            let count = queue.len().min(NetworkCredentials::MAX_REVOCATIONS);
            let batch: Vec<_> = queue.drain(..count).map(Arc::unwrap_or_clone).collect();
            round.extend(revocation_payloads(&batch).into_iter().map(|payload| (*destination, payload)));
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        round
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zt_crypto::IdentitySecret;
    use zt_proto::Timestamp;

    use super::super::clock;
    use super::*;

    fn node(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    fn revocations(count: u32) -> Vec<Revocation> {
        let signer = IdentitySecret::generate(&mut ChaCha20Rng::from_seed([3; 32]));
        let revoke =
            |id: u32| ctl_core::issue::revoke(NetworkId(1), node(id.into()), Timestamp(1), id, &signer);
        (1..=count).map(revoke).collect()
    }

    /// `known-flaws.md` row 14.
    #[test]
    fn many_revocations_reach_each_destination_in_few_packets() {
        let mut queue = Revocations::default();
        for revocation in revocations(100) {
            queue.add(revocation, [node(201), node(202)], clock::now().mono);
        }
        let first = queue.take_round();
        let destinations: Vec<_> = first.iter().map(|(destination, _)| *destination).collect();
        assert_eq!(destinations, [node(201), node(202)]);
        let counts: Vec<_> = first
            .iter()
            .chain(&queue.take_round())
            .map(|(_, payload)| NetworkCredentials::parse(payload).unwrap().revocations.len())
            .collect();
        assert_eq!(counts, [60, 60, 40, 40]);
        assert!(queue.is_empty());
    }

    /// `known-flaws.md` row 13.
    #[test]
    fn a_returning_member_gets_what_it_missed_while_it_matters() {
        let mut queue = Revocations::default();
        let start = clock::now().mono;
        for revocation in revocations(2) {
            queue.add(revocation, [], start);
        }
        assert!(queue.catch_up(NetworkId(1), node(9), start + Duration::from_secs(7000)));
        assert_eq!(queue.take_round().len(), 1);
        assert!(!queue.catch_up(NetworkId(2), node(9), start));
        assert!(!queue.catch_up(NetworkId(1), node(9), start + Duration::from_secs(7300)));
        queue.sweep(start + Duration::from_secs(7300));
        assert!(queue.recent.is_empty());
    }
}
