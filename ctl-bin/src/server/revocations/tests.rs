use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zt_crypto::IdentitySecret;
use zt_proto::Timestamp;

use super::super::clock;
use super::*;

const NETWORK: NetworkId = NetworkId(1);

fn node(n: u64) -> Address {
    Address::from_low_bits(n)
}

static SIGNER: LazyLock<IdentitySecret> =
    LazyLock::new(|| IdentitySecret::generate(&mut ChaCha20Rng::from_seed([3; 32])));

/// One signature for all: what is signed does not matter here, and signing takes its time.
fn revocation(id: u32) -> Revocation {
    static SIGNED: LazyLock<Revocation> =
        LazyLock::new(|| ctl_core::issue::revoke(NETWORK, node(1), Timestamp(1), 0, &SIGNER));
    Revocation { id, ..SIGNED.clone() }
}

impl Revocations {
    /// Takes a revocation for `destinations`.
    fn send(
        &mut self,
        revocation: Revocation,
        destinations: impl IntoIterator<Item = Address>,
        expires: Instant,
        now: Instant,
    ) {
        let network = revocation.network;
        let number = self.add(revocation, expires);
        self.tell(&destinations.into_iter().collect::<Vec<_>>(), network, number, now);
    }
}

fn ids(payload: &[u8]) -> Vec<u32> {
    NetworkCredentials::parse(payload).unwrap().revocations.iter().map(|revocation| revocation.id).collect()
}

/// Takes everything until nothing waits; returns when each packet went, to whom, and the ids in it.
fn run(queue: &mut Revocations, start: Instant) -> Vec<(Duration, Address, Vec<u32>)> {
    let mut sent = Vec::new();
    while let Some(now) = queue.next_due() {
        while let Some((destination, payload)) = queue.take(now, &SIGNER) {
            sent.push((now.saturating_duration_since(start), destination, ids(&payload)));
        }
    }
    sent
}

/// `known-flaws.md` row 14.
#[test]
fn many_revocations_reach_each_destination_in_few_packets_that_are_far_enough_apart() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    for id in 1..=100 {
        queue.send(revocation(id), [node(201), node(202)], start + REVOKED_FOR, start);
    }
    let sent = run(&mut queue, start);
    for destination in [node(201), node(202)] {
        let packets: Vec<_> = sent.iter().filter(|(_, to, _)| *to == destination).collect();
        // Each twice, since nobody acknowledges them.
        assert_eq!(packets.iter().map(|(_, _, ids)| ids.len()).collect::<Vec<_>>(), [37, 37, 26, 37, 37, 26]);
        assert!(packets.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PACE));
        assert_eq!(packets[3].0 - packets[2].0, REPEATED_AFTER);
    }
    queue.sweep(start + Duration::from_secs(60));
    assert!(queue.destinations.is_empty());
}

#[test]
fn a_later_revocation_waits_for_the_pace_but_not_for_the_repetition() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    queue.send(revocation(1), [node(9)], start + REVOKED_FOR, start);
    queue.take(start, &SIGNER).unwrap();
    assert_eq!(queue.take(start, &SIGNER), None);
    let soon = start + Duration::from_millis(100);
    queue.send(revocation(2), [node(9)], start + REVOKED_FOR, soon);
    assert_eq!(queue.take(soon, &SIGNER), None, "the receiver would drop it");
    let sent = run(&mut queue, start);
    assert_eq!(sent[0], (PACE, node(9), vec![1, 2]));
    assert_eq!(sent[1], (PACE + REPEATED_AFTER, node(9), vec![2]));
    assert_eq!(sent.len(), 2);
}

/// `known-flaws.md` row 13.
#[test]
fn a_returning_member_gets_what_it_missed_while_it_matters() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    for id in [1, 2] {
        queue.send(revocation(id), [], start + REVOKED_FOR, start);
    }
    let late = start + Duration::from_secs(7000);
    assert!(queue.catch_up(NETWORK, node(9), late));
    assert_eq!(ids(&queue.take(late, &SIGNER).unwrap().1), [1, 2]);
    assert!(!queue.catch_up(NetworkId(2), node(9), start));
    let too_late = start + REVOKED_FOR;
    assert!(!queue.catch_up(NETWORK, node(8), too_late));
    queue.sweep(too_late);
    assert!(queue.recent.is_empty());
    // What waited for a repetition is gone with the row, and a new row is not taken for the old one.
    queue.send(revocation(3), [node(9)], too_late + REVOKED_FOR, too_late);
    assert_eq!(ids(&queue.take(too_late, &SIGNER).unwrap().1), [3]);
}

#[test]
fn revocations_of_several_networks_share_a_packet() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    for (id, network) in [(1, NetworkId(1)), (2, NetworkId(2))] {
        let revocation = Revocation { network, ..revocation(id) };
        queue.send(revocation, [node(9)], start + REVOKED_FOR, start);
    }
    assert_eq!(ids(&queue.take(start, &SIGNER).unwrap().1), [1, 2]);
}

/// `known-flaws.md` row 14.
#[test]
fn a_mass_of_revocations_for_a_mass_of_members_takes_memory_for_the_sum_of_both() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    for id in 0..100 {
        queue.send(revocation(id), (1..=10_000).map(node), start + REVOKED_FOR, start);
    }
    assert_eq!(queue.recent[&NETWORK].entries.len(), 100);
    assert_eq!((queue.destinations.len(), queue.queue.len()), (10_000, 10_000));
    assert!(queue.destinations.values().all(|destination| destination.places.len() == 1));
}

#[test]
fn revocations_that_are_kept_for_returning_members_are_bounded() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    for id in 0..70_000 {
        queue.send(revocation(id), [], start + REVOKED_FOR, start);
    }
    assert_eq!(queue.recent[&NETWORK].entries.len(), MAX_RECENT);
    assert!(queue.catch_up(NETWORK, node(9), start));
    let first = ids(&queue.take(start, &SIGNER).unwrap().1)[0];
    assert_eq!(usize::try_from(first).unwrap(), 70_000 - MAX_RECENT);
}

#[test]
fn a_revocation_is_signed_once_when_it_is_first_sent() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    let unsigned = ctl_core::issue::unsigned_revocation(NETWORK, node(1), Timestamp(1), 7, SIGNER.address());
    queue.send(unsigned.clone(), [node(8), node(9)], start + REVOKED_FOR, start);
    let sent = |payload: &[u8]| NetworkCredentials::parse(payload).unwrap().revocations.swap_remove(0);
    let first = sent(&queue.take(start, &SIGNER).unwrap().1);
    assert_eq!(first, ctl_core::issue::revoke(NETWORK, node(1), Timestamp(1), 7, &SIGNER));
    assert_eq!(queue.recent[&NETWORK].entries[0].1, first, "kept with its signature");
    assert_eq!(sent(&queue.take(start, &SIGNER).unwrap().1), first);
}

#[test]
fn removed_networks_are_remembered_while_it_matters_and_up_to_a_bound() {
    let mut queue = Revocations::default();
    let start = clock::now().mono;
    let until = |n: u64| start + REVOKED_FOR + Duration::from_millis(n);
    for n in 0..=MAX_REMOVED as u64 {
        queue.network_removed(NetworkId(n), Timestamp(n), until(n));
    }
    assert_eq!(queue.removed.len(), MAX_REMOVED);
    assert_eq!(queue.network_made(NetworkId(0), start), None, "the first gave way");
    assert_eq!(queue.network_made(NetworkId(1), until(1)), None, "its time is over");
    assert_eq!(queue.network_made(NetworkId(2), start), Some(Timestamp(2)));
    assert_eq!(queue.network_made(NetworkId(2), start), None, "it was told");
    queue.sweep(until(10));
    assert_eq!(queue.removed.len(), MAX_REMOVED - 10);
}
