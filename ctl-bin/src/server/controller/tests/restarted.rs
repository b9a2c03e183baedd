//! What the next process knows of what the one before it did.

use super::*;

#[test]
fn a_member_that_is_there_after_a_restart_is_told_what_is_without_asking() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    fixture.put(&Member { authorized: false, ..authorized(6) });
    let revoked = Change::MemberRevoked { network: NETWORK, member: identity(6).address };
    fixture.controller.follow(&[revoked], fixture.now);
    assert_eq!(fixture.send_all(), 1, "nobody else is online");
    for node in [5, 6] {
        fixture.controller.welcome(NETWORK, identity(node).address, &metadata(), fixture.now);
    }
    fixture.send_all();
    // For each the revocation; a configuration for the one, an error for the other.
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 2);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 2);
    fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 4, "both count as online");
}

#[test]
fn a_member_that_asks_by_itself_is_not_sent_the_same_once_more() {
    let mut fixture = Fixture::with_network(true);
    for node in [5, 6] {
        fixture.put(&authorized(node));
    }
    fixture.note(5, Standing::Admitted);
    // The answer of the other one is to come.
    assert!(lock(&fixture.controller.members).take((NETWORK, identity(6).address), fixture.now.mono));
    for node in [5, 6] {
        fixture.controller.welcome(NETWORK, identity(node).address, &metadata(), fixture.now);
    }
    assert_eq!(fixture.send_all(), 0);
}

/// The clock was set back, so that what may have been issued is further ahead than a step of the allowance.
#[test]
fn revocations_of_before_are_taken_up_with_one_write_however_many_they_are() {
    let disk = OnDisk::with_network(true);
    let now = clock::now();
    for count in [1, 500] {
        let store = disk.open();
        store
            .write(|tx| {
                tx.allow_issuing_until(now.wall.plus_millis(1_000_000 * count))?;
                (0..count).try_for_each(|node| tx.revoked().note(NETWORK, identity(node).address, now.wall))
            })
            .unwrap();
        let before = disk.written();
        let _fixture = Fixture::new(store, now);
        let pages = (disk.written() - before) / 4096;
        assert!(pages <= 1, "{count} revocations wrote {pages} pages");
    }
}

#[test]
fn a_controller_that_starts_again_in_the_past_issues_nothing_older() {
    let store = Store::in_memory().unwrap();
    let fixture = Fixture::new(store.clone(), clock::now());
    let issued = fixture.controller.issue_time(fixture.now);
    let threshold = fixture.controller.make_revocation(NETWORK, identity(5).address, fixture.now).threshold;
    let past = Now { wall: Timestamp(fixture.now.wall.0 - 1_000_000), ..fixture.now };
    let again = Fixture::new(store, past);
    let next = again.controller.issue_time(past);
    assert!(next > threshold && threshold >= issued);
    assert!(next.0 <= fixture.now.wall.0 + 60_000, "further ahead than a step");
    // Nor does it wait for the clock.
    let later = again.controller.issue_time(again.at(180_000));
    assert!((100_000..=180_000).contains(&later.millis_since(next)), "{next:?}, {later:?}");
}
