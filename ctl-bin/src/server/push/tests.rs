use zt_proto::verb::network_config_request::RequestMetadata;

use super::super::clock;
use super::super::members::Standing;
use super::*;

const NETWORK: NetworkId = NetworkId(1);

fn node(n: u64) -> Address {
    Address::from_low_bits(n)
}

/// Members 1 to `count` of each of `networks`, all online.
fn online(networks: &[NetworkId], count: u64, now: Instant) -> Members {
    let mut members = Members::default();
    for network in networks {
        for n in 1..=count {
            let key = (*network, node(n));
            members.note(key, RequestMetadata::default().into(), None, Standing::Admitted, now);
        }
    }
    members
}

/// Takes and sends everything that is due at `now`; returns to whom.
fn drain(pushes: &mut Pushes, members: &Members, now: Instant) -> Vec<Key> {
    let take = || {
        let due = pushes.take(members, now)?;
        pushes.sent(due, 7, now);
        Some(due.key)
    };
    std::iter::from_fn(take).collect()
}

/// Takes and sends what is due at `now`, which is acknowledged at once; returns to whom.
fn reach(pushes: &mut Pushes, members: &Members, now: Instant) -> Vec<Key> {
    let reached = drain(pushes, members, now);
    for key in &reached {
        assert!(pushes.acknowledged(*key, 7));
    }
    reached
}

/// Runs until nothing is left to be sent, acknowledging everything; returns to whom, and how long it took.
fn run(pushes: &mut Pushes, members: &Members, start: Instant) -> (Vec<Key>, Duration) {
    let (mut all, mut now) = (Vec::new(), start);
    loop {
        all.extend(reach(pushes, members, now));
        match pushes.next_due(now) {
            Some(due) => now = due,
            None => return (all, now - start),
        }
    }
}

#[test]
fn a_network_change_reaches_each_member_once_in_slices_with_pauses() {
    let start = clock::now().mono;
    let members = online(&[NETWORK, NetworkId(2)], 1_000, start);
    let mut pushes = Pushes::new(2, start);
    pushes.network(NETWORK);
    pushes.network(NETWORK);
    let (reached, took) = run(&mut pushes, &members, start);
    let reached: Vec<_> = reached.iter().map(|(_, member)| member.to_u64()).collect();
    assert_eq!(reached, (1..=1_000).collect::<Vec<_>>());
    pushes.network(NETWORK);
    let later = start + Duration::from_secs(60);
    assert_eq!(drain(&mut pushes, &members, later).len(), SLICE as usize);
    assert_eq!(drain(&mut pushes, &members, later), [], "no pause after a slice");
    assert!(took >= PERIOD * (1_000 / SLICE - 1), "{took:?}");
}

/// `known-flaws.md` row 14.
#[test]
fn a_slow_slice_leaves_half_of_the_only_core_to_others_and_less_where_there_are_more() {
    let start = clock::now().mono;
    let members = online(&[NETWORK], 1_000, start);
    for (cores, pause) in
        [(1, Duration::from_millis(SLICE.into())), (2, Duration::from_millis(SLICE.into()) / 4)]
    {
        let mut pushes = Pushes::new(cores, start);
        pushes.network(NETWORK);
        let mut now = start;
        for number in 0..SLICE {
            // Each takes a millisecond, and the first as long as the others.
            now += Duration::from_millis(if number == 1 { 2 } else { u64::from(number > 0) });
            let due = pushes.take(&members, now).unwrap();
            pushes.sent(due, 7, now);
        }
        assert_eq!(pushes.take(&members, now + pause - Duration::from_micros(1)), None, "{cores} cores");
        assert!(pushes.take(&members, now + pause).is_some(), "{cores} cores");
    }
}

#[test]
fn a_push_that_somebody_waits_for_goes_before_a_large_network() {
    let start = clock::now().mono;
    let members = online(&[NETWORK], 1_000, start);
    let mut pushes = Pushes::new(2, start);
    pushes.network(NETWORK);
    drain(&mut pushes, &members, start);
    // In the middle of a pause.
    pushes.member((NetworkId(2), node(7)));
    pushes.member((NetworkId(2), node(7)));
    assert_eq!(pushes.next_due(start), Some(start));
    assert_eq!(drain(&mut pushes, &members, start), [(NetworkId(2), node(7))]);
}

/// Looking each of them up among the others would take minutes.
#[test]
fn a_hundred_thousand_changed_members_are_noted_once_each_and_again_when_they_change_again() {
    let start = clock::now().mono;
    let (members, mut pushes) = (Members::default(), Pushes::new(2, start));
    for n in (1..=100_000).chain(1..=100_000) {
        pushes.member((NETWORK, node(n)));
    }
    assert_eq!(drain(&mut pushes, &members, start).len(), 100_000);
    pushes.member((NETWORK, node(7)));
    assert_eq!(drain(&mut pushes, &members, start), [(NETWORK, node(7))]);
    assert!(pushes.is_urgent.is_empty());
}

#[test]
fn changes_in_the_middle_of_a_pass_reach_everybody_without_starving_the_last() {
    let start = clock::now().mono;
    let members = online(&[NETWORK], 400, start);
    let mut pushes = Pushes::new(2, start);
    let (mut reached, mut now) = (Vec::new(), start);
    // A change after each slice; nobody has to wait for more than one round.
    for _ in 0..400_u32.div_ceil(SLICE) {
        pushes.network(NETWORK);
        reached.extend(reach(&mut pushes, &members, now));
        now = pushes.next_due(now).unwrap();
    }
    let last = reached.iter().map(|(_, member)| member.to_u64()).max();
    assert_eq!(last, Some(400));
    // After the last change everybody is pushed to once more, and once only.
    pushes.network(NETWORK);
    let (rest, _) = run(&mut pushes, &members, now);
    let mut members: Vec<_> = rest.into_iter().map(|(_, member)| member.to_u64()).collect();
    members.sort_unstable();
    assert_eq!(members, (1..=400).collect::<Vec<_>>());
}

#[test]
fn networks_take_turns() {
    let start = clock::now().mono;
    let networks = [NETWORK, NetworkId(2)];
    let members = online(&networks, 100, start);
    let mut pushes = Pushes::new(2, start);
    for network in networks {
        pushes.network(network);
    }
    let first: Vec<_> = drain(&mut pushes, &members, start).into_iter().map(|(network, _)| network).collect();
    assert_eq!(first[..4], [NETWORK, NetworkId(2), NETWORK, NetworkId(2)]);
}

#[test]
fn a_push_that_is_not_acknowledged_is_repeated_later_and_later_and_then_given_up() {
    let start = clock::now().mono;
    let (members, key) = (online(&[NETWORK], 1, start), (NETWORK, node(1)));
    let mut pushes = Pushes::new(2, start);
    pushes.member(key);
    let mut times = Vec::new();
    let mut now = start;
    loop {
        times.extend(drain(&mut pushes, &members, now).iter().map(|_| (now - start).as_secs()));
        let Some(due) = pushes.next_due(now) else { break };
        assert!(due > now, "spins");
        now = due;
    }
    assert_eq!(times, [0, 2, 6, 14]);
    assert!(pushes.awaited.is_empty() && pushes.by_end.is_empty());
}

#[test]
fn only_the_acknowledgement_of_the_last_push_counts() {
    let start = clock::now().mono;
    let (members, key) = (online(&[NETWORK], 1, start), (NETWORK, node(1)));
    let mut pushes = Pushes::new(2, start);
    for update_id in [1, 2] {
        pushes.member(key);
        let due = pushes.take(&members, start).unwrap();
        pushes.sent(due, update_id, start);
    }
    assert!(!pushes.acknowledged(key, 1), "a superseded state was acknowledged");
    assert!(!pushes.acknowledged((NETWORK, node(2)), 2));
    assert!(pushes.acknowledged(key, 2));
    assert!(!pushes.acknowledged(key, 2), "twice");
    assert_eq!(pushes.next_due(start), None);
}

#[test]
fn what_was_put_off_is_put_off_once_and_nobody_acknowledges_it() {
    let start = clock::now().mono;
    let (members, key) = (online(&[NETWORK], 1, start), (NETWORK, node(1)));
    let mut pushes = Pushes::new(2, start);
    for millis in [0, 500, 1_000] {
        let now = start + Duration::from_millis(millis);
        pushes.member(key);
        let due = pushes.take(&members, now).unwrap();
        assert!(pushes.put_off(due, now));
        assert!(!pushes.acknowledged(key, 0));
    }
    assert_eq!(
        pushes.next_due(start),
        Some(start + ASKS_AFTER),
        "changes that follow do not put it off again"
    );
    let due = pushes.take(&members, start + ASKS_AFTER).unwrap();
    assert!(!pushes.put_off(due, start + ASKS_AFTER));
    assert_eq!(pushes.next_due(start), None);
}

#[test]
fn a_new_change_begins_the_patience_anew_and_a_drop_ends_it() {
    let start = clock::now().mono;
    let (members, key) = (online(&[NETWORK], 1, start), (NETWORK, node(1)));
    let mut pushes = Pushes::new(2, start);
    pushes.member(key);
    drain(&mut pushes, &members, start);
    drain(&mut pushes, &members, start + Duration::from_secs(2));
    pushes.member(key);
    let later = start + Duration::from_secs(3);
    drain(&mut pushes, &members, later);
    assert_eq!(pushes.next_due(start), Some(later + ACKNOWLEDGED_WITHIN[0]));
    let due = pushes.take(&members, later + ACKNOWLEDGED_WITHIN[0]).unwrap();
    pushes.dropped(due);
    assert_eq!(pushes.next_due(start), None);
}

#[test]
fn pushes_that_wait_for_their_acknowledgement_are_bounded() {
    let start = clock::now().mono;
    let mut pushes = Pushes::new(2, start);
    for n in 0..100_000 {
        pushes.sent(Due { key: (NETWORK, node(n)), attempt: 0 }, 7, start);
    }
    assert_eq!((pushes.awaited.len(), pushes.by_end.len()), (MAX_AWAITED, MAX_AWAITED));
}
