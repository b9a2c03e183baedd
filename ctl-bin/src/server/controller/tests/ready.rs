//! Members for whom nothing changed, who are answered without the database.

use ctl_core::memo;
use zt_proto::rules::{Rule, RuleBody};

use super::*;

impl Fixture {
    /// Says whether a request would be answered without a look at the database, were it not so soon.
    fn is_ready(&self, requested: &ConfigRequested, now: Now) -> bool {
        self.controller.answer_at_once(requested, now).is_some()
    }

    /// A node asks and is answered after a look at it.
    fn answer(&mut self, node: u64, now: Now) {
        self.controller.answer_all([requested(NETWORK, node, 1)], now, || ());
        assert_eq!(std::iter::from_fn(|| self.commands.try_recv().ok()).count(), 1);
    }
}

#[test]
fn a_member_is_answered_without_the_database_until_something_changes() {
    let mut fixture = Fixture::with_network(true);
    let now = fixture.now;
    fixture.put(&authorized(7));
    let asks = requested(NETWORK, 7, 1);
    // The first answer changes the record: the version of the client.
    fixture.answer(7, now);
    assert!(!fixture.is_ready(&asks, now));
    fixture.answer(7, now);
    assert!(fixture.is_ready(&asks, now));

    let other_keys =
        ConfigRequested { identity: PublicIdentity { key: [8; 64], ..asks.identity }, ..asks.clone() };
    assert!(!fixture.is_ready(&other_keys, now));
    let other_client = ConfigRequested { metadata: b"v=7\npv=b".to_vec(), ..asks.clone() };
    assert!(!fixture.is_ready(&other_client, now));
    let other_place = ConfigRequested { from: Some(([192, 0, 2, 1], 9993).into()), ..asks.clone() };
    assert!(!fixture.is_ready(&other_place, now), "its address would not be noted");

    // What is noted about members, and strangers, change nothing.
    fixture.controller.save_notes(now);
    fixture.answer(9, now);
    assert!(fixture.is_ready(&asks, now));

    fixture.put(&authorized(8));
    assert!(!fixture.is_ready(&asks, now));
    fixture.answer(7, now);
    assert!(fixture.is_ready(&asks, now));
    fixture.put(&Member { authorized: false, ..authorized(7) });
    assert!(!fixture.is_ready(&asks, now));
    assert!(is_refused(&fixture.ask(7, source(1), now), Refusal::AccessDenied));
    fixture.answer(7, now);
    assert!(!fixture.is_ready(&asks, now));
}

#[test]
fn a_bridge_that_is_admitted_makes_the_others_be_told_and_another_newcomer_does_not() {
    let mut fixture = Fixture::with_network(false);
    let now = fixture.now;
    for _ in 0..2 {
        fixture.answer(7, now);
    }
    let asks = requested(NETWORK, 7, 1);
    fixture.answer(8, now);
    assert!(fixture.is_ready(&asks, now));
    fixture.put(&Member { active_bridge: true, authorized: false, ..authorized(9) });
    fixture.answer(7, now);
    assert!(fixture.is_ready(&asks, now));
    fixture.answer(9, now);
    assert!(!fixture.is_ready(&asks, now));
}

/// Else others would believe for as long a member that was revoked while they were away.
#[test]
fn what_was_issued_gets_old_as_well_after_a_clock_that_was_ahead_was_set_back() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(7));
    let (asks, asked) = (requested(NETWORK, 7, 1), request(7, RequestKind::Push));
    let day = 24 * 3_600_000;
    let ahead = Now { wall: fixture.now.wall.plus_millis(day), ..fixture.now };
    fixture.answer(7, ahead);
    fixture.answer(7, ahead);
    let issued = |fixture: &Fixture, now| {
        config(&fixture.controller.prepare_for(&asked, source(1), now).unwrap()).timestamp
    };
    let first = issued(&fixture, ahead);
    assert!(first >= ahead.wall);
    // By a clock that is right again.
    let minute = |number| fixture.at(number * 60_000);
    let fresh_for = memo::reusable_for(&Network::new(NETWORK, Timestamp(1))) / 60_000;
    let ready = (1..).take_while(|number| *number < 30 && fixture.is_ready(&asks, minute(*number))).count();
    assert_eq!(ready as u64, fresh_for, "minutes in which it asked and got the same");
    assert_eq!(issued(&fixture, minute(fresh_for)), first);
    let later = minute(fresh_for + 1);
    assert_eq!(issued(&fixture, later), later.wall.plus_millis(day));
}

#[test]
fn whose_login_ends_by_itself_is_always_decided_about() {
    let mut fixture = Fixture::with_network(true);
    let store = &fixture.controller.store;
    let network = store.read(|tx| tx.networks().get(NETWORK)).unwrap().unwrap();
    store.write(|tx| tx.networks().put(&Network { sso_enabled: true, ..network })).unwrap();
    fixture.put(&Member { authentication_expiry: fixture.at(60_000).wall, ..authorized(7) });
    for _ in 0..3 {
        assert!(matches!(fixture.ask(7, source(1), fixture.now), Answer::Config(..)));
        fixture.answer(7, fixture.now);
    }
    assert!(!fixture.is_ready(&requested(NETWORK, 7, 1), fixture.now));
}

/// Who is answered at once signs nothing that takes long.
#[test]
fn a_configuration_of_many_pieces_is_always_decided_about() {
    for (rules, is_ready) in [(100, true), (1_000, false)] {
        let mut fixture = Fixture::with_network(true);
        let rule = Rule { not: false, or: false, body: RuleBody::Unknown { kind: 60, field: vec![1; 18] } };
        let network =
            Network { revision: 2, rules: vec![rule; rules], ..Network::new(NETWORK, Timestamp(1)) };
        fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
        fixture.put(&authorized(7));
        for _ in 0..2 {
            fixture.answer(7, fixture.now);
        }
        assert_eq!(fixture.is_ready(&requested(NETWORK, 7, 1), fixture.now), is_ready);
    }
}

/// What a member that asks again is sent is what it would be sent by a controller that remembers nothing, but for the
/// times of issue and what is signed with them.
#[test]
fn remembered_answers_are_those_that_would_be_made_anew() {
    let store = Store::in_memory().unwrap();
    put_network(&store, true);
    let fixture = Fixture::new(store.clone(), clock::now());
    fixture.put(&authorized(5));
    let issued = |fixture: &Fixture, kind, millis| match fixture
        .controller
        .prepare_for(&request(5, kind), source(1), fixture.at(millis))
        .unwrap()
    {
        Answer::Config(issued, _) => issued,
        Answer::Refusal(refusal, _) => panic!("{refusal:?}"),
    };
    let first = issued(&fixture, RequestKind::Request, 0);
    let config = |issued: &Issued| NetworkConfig::parse(&issued.dictionary()).unwrap();
    for (kind, millis) in [(RequestKind::Request, 61_000), (RequestKind::Push, 62_000)] {
        let again = issued(&fixture, kind, millis);
        assert!(Arc::ptr_eq(&first, &again), "signed again");
        let forgetful = Fixture::new(store.clone(), fixture.now);
        let anew = issued(&forgetful, kind, millis);
        let (mut remembered, anew) = (config(&again), config(&anew));
        assert!(remembered.timestamp <= anew.timestamp);
        (remembered.timestamp, remembered.membership) = (anew.timestamp, anew.membership.clone());
        assert_eq!(remembered, anew);
    }
    // What changed is seen at once.
    let network = Network { revision: 2, name: "second".to_owned(), ..Network::new(NETWORK, Timestamp(1)) };
    store.write(|tx| tx.networks().put(&network)).unwrap();
    assert_eq!(config(&issued(&fixture, RequestKind::Push, 63_000)).name, b"second");
    // After a revocation nothing is sent again that it voids.
    let revocation = fixture.controller.make_revocation(NETWORK, identity(5).address, fixture.at(64_000));
    assert!(issued(&fixture, RequestKind::Push, 64_000).timestamp() > revocation.threshold);
}
