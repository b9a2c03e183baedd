//! What was revoked and what is removed: after a restart, and when it is made again.

use ctl_core::pending::SAFE_FOR;
use ctl_store::AuditEntry;
use zt_proto::credential::Signature;
use zt_proto::verb::credentials::NetworkCredentials;

use super::*;

/// `known-flaws.md` row 13: the controller dies before it told anybody.
#[test]
fn what_was_revoked_before_a_restart_reaches_members_that_return_after_it() {
    let store = Store::in_memory().unwrap();
    put_network(&store, true);
    let fixture = Fixture::new(store.clone(), clock::now());
    for node in [4, 5] {
        fixture.put(&authorized(node));
    }
    let Answer::Config(issued, _) = fixture.ask(5, source(1), fixture.now) else { panic!("refused") };
    drop(issued);
    let revoked_at = fixture.at(1_000);
    for node in [4, 5] {
        let member = identity(node).address;
        store.write(|tx| tx.revoked().note(NETWORK, member, revoked_at.wall)).unwrap();
    }
    fixture.put(&Member { authorized: false, ..authorized(5) });
    // Member 4 was authorized again.

    let again = Fixture::new(store.clone(), fixture.at(60_000));
    let now = again.now.mono;
    assert!(lock(&again.controller.revocations).catch_up(NETWORK, identity(9).address, now));
    let (to, payload) = lock(&again.controller.revocations).take(now, &again.controller.secret).unwrap();
    let credentials = NetworkCredentials::parse(&payload).unwrap();
    let [revocation] = &credentials.revocations[..] else { panic!("{credentials:?}") };
    assert_eq!((to, revocation.target), (identity(9).address, identity(5).address));
    assert!(revocation.threshold >= fixture.now.wall && revocation.signature != Signature::NONE);

    let late = Fixture::new(store, fixture.at(1_000 + millis(REVOKED_FOR)));
    assert!(!lock(&late.controller.revocations).catch_up(NETWORK, identity(9).address, late.now.mono));
    late.controller.tidy(late.at(millis(REVOKED_FOR)));
    assert!(late.controller.store.read(|tx| tx.revoked().list_since(Timestamp(0))).unwrap().is_empty());
}

/// The clock is a year ahead when the controller is started, and right again later.
#[test]
fn a_start_with_a_clock_that_is_ahead_removes_nothing_that_is_not_old() {
    let store = Store::in_memory().unwrap();
    put_network(&store, true);
    let fixture = Fixture::new(store.clone(), clock::now());
    fixture.ask(5, source(1), fixture.now);
    let entry = AuditEntry {
        time: fixture.now.wall,
        actor: "admin".to_owned(),
        action: "member.update",
        network: Some(NETWORK),
        member: None,
        before: None,
        after: None,
    };
    store.write(|tx| tx.audit().add(&entry)).unwrap();
    store.write(|tx| tx.revoked().note(NETWORK, identity(4).address, fixture.now.wall)).unwrap();
    let year = 400 * 24 * 60 * 60 * 1000;
    let ahead = Fixture::new(store.clone(), Now { wall: fixture.now.wall.plus_millis(year), ..fixture.now });
    let sweep = |fixture: &Fixture, now| {
        fixture.controller.tidy(now);
        fixture.controller.sweep_audit_log(now);
        let revoked = store.read(|tx| tx.revoked().list_since(Timestamp(0))).unwrap().len();
        let log = store.read(|tx| tx.audit().page(None, 9)).unwrap();
        (fixture.pending().len(), revoked, log.iter().filter(|entry| entry.actor == "admin").count())
    };
    assert_eq!(sweep(&ahead, ahead.at(60_000)), (1, 1, 1));
    // What is old by then is, however late that is.
    assert_eq!(sweep(&ahead, ahead.at(year)), (0, 0, 0));
    // Who asked meanwhile is no stranger of the future for long.
    ahead.ask(6, source(1), ahead.now);
    let again = Fixture::new(store.clone(), fixture.at(120_000));
    let last_asked = |now| {
        again.controller.tidy(now);
        let [stranger] = &store.read(|tx| tx.pending().list(NETWORK)).unwrap()[..] else {
            panic!("one is there")
        };
        assert_eq!(stranger.member, identity(6).address);
        stranger.last_asked
    };
    // It may be this clock that is wrong, until it was set.
    assert_eq!(last_asked(again.at(SAFE_FOR - 1)), ahead.now.wall);
    let later = again.at(SAFE_FOR);
    assert_eq!(last_asked(later), later.wall);
}

/// `known-flaws.md` row 13. The certificates of the old network name the new one as well, since they name its id.
#[test]
fn former_members_are_revoked_in_a_network_that_is_made_under_the_same_id() {
    for (restarted, told_by_the_api) in [(false, true), (false, false), (true, true), (true, false)] {
        let store = Store::in_memory().unwrap();
        put_network(&store, true);
        let fixture = Fixture::new(store.clone(), clock::now());
        for node in [4, 5, 6] {
            fixture.put(&authorized(node));
        }
        let Answer::Config(old, _) = fixture.ask(5, source(1), fixture.now) else { panic!("refused") };
        // One of them was revoked before.
        fixture.put(&Member { authorized: false, ..authorized(6) });
        store.write(|tx| tx.revoked().note(NETWORK, identity(6).address, fixture.now.wall)).unwrap();
        store.write(|tx| tx.networks().remove(NETWORK, fixture.at(1).wall)).unwrap();
        fixture.controller.follow(&[Change::NetworkRemoved(NETWORK)], fixture.at(1));

        let now = fixture.at(60_000);
        let fixture = if restarted { Fixture::new(store.clone(), now) } else { fixture };
        put_network(&store, true);
        fixture.put(&authorized(4));
        if told_by_the_api {
            fixture.controller.follow(&[Change::Network(NETWORK)], now);
        }
        let Answer::Config(new, _) = fixture.ask(4, source(1), now) else { panic!("refused") };
        lock(&fixture.controller.members).note(
            (NETWORK, identity(4).address),
            metadata().into(),
            None,
            Standing::Admitted,
            now.mono,
        );
        fixture.controller.catch_up(NETWORK, identity(4).address, now);
        let taken = lock(&fixture.controller.revocations).take(now.mono, &fixture.controller.secret);
        let (to, payload) = taken.expect("nobody was revoked");
        assert_eq!(to, identity(4).address);
        let revocations = NetworkCredentials::parse(&payload).unwrap().revocations;
        let targets: Vec<_> = revocations.iter().map(|revocation| revocation.target.to_u64()).collect();
        assert_eq!(targets, [6, 5], "4 is a member again");
        for revocation in revocations {
            assert!(revocation.threshold >= old.timestamp() && revocation.threshold < new.timestamp());
            assert_ne!(revocation.signature, Signature::NONE);
        }
    }
}

#[test]
fn a_network_that_is_made_again_later_has_nothing_to_revoke() {
    let fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    let store = &fixture.controller.store;
    store.write(|tx| tx.networks().remove(NETWORK, fixture.now.wall)).unwrap();
    fixture.controller.follow(&[Change::NetworkRemoved(NETWORK)], fixture.now);
    let late = fixture.at(millis(REVOKED_FOR));
    fixture.controller.tidy(late);
    put_network(store, true);
    fixture.controller.follow(&[Change::Network(NETWORK)], late);
    assert!(!lock(&fixture.controller.revocations).catch_up(NETWORK, identity(9).address, late.mono));
    assert!(store.read(|tx| tx.revoked().of_network_since(NETWORK, Timestamp(0))).unwrap().is_empty());
}

#[test]
fn what_is_revoked_in_a_network_that_was_made_again_is_not_forgotten_with_the_old_one() {
    let fixture = Fixture::with_network(true);
    fixture.note(6, Standing::Admitted);
    let Fixture { controller, commands, now } = fixture;
    let controller = Arc::new(controller);
    let (sender, changes) = mpsc::unbounded_channel();
    let revoked = Change::MemberRevoked { network: NETWORK, member: identity(5).address };
    for change in [Change::NetworkRemoved(NETWORK), Change::Network(NETWORK), revoked] {
        sender.send(change).unwrap();
    }
    drop(sender);
    block_on(work::follow_changes(Arc::clone(&controller), changes));
    let mut fixture = Fixture { controller: Arc::into_inner(controller).unwrap(), commands, now };
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 1);
}

/// `known-flaws.md` row 13.
#[test]
fn a_removed_member_returns_as_a_stranger() {
    let fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    assert!(matches!(fixture.ask(5, source(1), fixture.now), Answer::Config(..)));
    fixture.controller.store.write(|tx| tx.members().remove(NETWORK, identity(5).address)).unwrap();
    assert!(is_refused(&fixture.ask(5, source(1), fixture.at(1)), Refusal::AccessDenied));
    assert_eq!(fixture.pending(), [5]);
    assert!(!fixture.member(5).unwrap().authorized);
}
