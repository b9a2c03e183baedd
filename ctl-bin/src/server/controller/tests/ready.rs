//! Members for whom nothing changed, who are answered without the database.

use super::*;

impl Fixture {
    /// Says whether a request would be answered without a look at the database.
    fn is_ready(&self, request: &ConfigRequest, now: Now) -> bool {
        let generation = self.controller.store.generation();
        let key = (request.network, request.identity.address);
        lock(&self.controller.ready).find(key, self.said(request), generation, now.wall).is_some()
    }
}

#[test]
fn a_member_is_answered_without_the_database_until_something_changes() {
    let fixture = Fixture::with_network(true);
    let now = fixture.now;
    fixture.put(&authorized(7));
    let asks = request(7, RequestKind::Request);
    // The first answer changes the record: the version of the client.
    fixture.ask(7, source(1), now);
    assert!(!fixture.is_ready(&asks, now));
    fixture.ask(7, source(1), now);
    assert!(fixture.is_ready(&asks, now));

    let other_keys =
        ConfigRequest { identity: PublicIdentity { key: [8; 64], ..asks.identity }, ..asks.clone() };
    assert!(!fixture.is_ready(&other_keys, now));
    let other_client = ConfigRequest { metadata: RequestMetadata::parse(b"v=7\npv=b"), ..asks.clone() };
    assert!(!fixture.is_ready(&other_client, now));
    let stored = fixture.controller.store.read(|tx| tx.networks().get(NETWORK)).unwrap().unwrap();
    let fresh_for = ctl_core::memo::reusable_for(&stored);
    assert!(fixture.is_ready(&asks, fixture.at(fresh_for)));
    assert!(!fixture.is_ready(&asks, fixture.at(fresh_for + 1)));

    // What is noted about members, and strangers, change nothing.
    fixture.note(7, Standing::Admitted);
    fixture.controller.save_notes(now);
    fixture.ask(9, source(1), now);
    assert!(fixture.is_ready(&asks, now));

    fixture.put(&authorized(8));
    assert!(!fixture.is_ready(&asks, now));
    fixture.ask(7, source(1), now);
    assert!(fixture.is_ready(&asks, now));
    fixture.put(&Member { authorized: false, ..authorized(7) });
    assert!(!fixture.is_ready(&asks, now));
    assert!(is_refused(&fixture.ask(7, source(1), now), Refusal::AccessDenied));
    assert!(!fixture.is_ready(&asks, now));
}

#[test]
fn a_bridge_that_is_admitted_makes_the_others_be_told_and_another_newcomer_does_not() {
    let fixture = Fixture::with_network(false);
    for _ in 0..2 {
        fixture.ask(7, source(1), fixture.now);
    }
    let asks = request(7, RequestKind::Request);
    fixture.ask(8, source(1), fixture.now);
    assert!(fixture.is_ready(&asks, fixture.now));
    fixture.put(&Member { active_bridge: true, authorized: false, ..authorized(9) });
    fixture.ask(7, source(1), fixture.now);
    assert!(fixture.is_ready(&asks, fixture.now));
    fixture.ask(9, source(1), fixture.now);
    assert!(!fixture.is_ready(&asks, fixture.now));
}

#[test]
fn whose_login_ends_by_itself_is_always_decided_about() {
    let fixture = Fixture::with_network(true);
    let store = &fixture.controller.store;
    let network = store.read(|tx| tx.networks().get(NETWORK)).unwrap().unwrap();
    store.write(|tx| tx.networks().put(&Network { sso_enabled: true, ..network })).unwrap();
    fixture.put(&Member { authentication_expiry: fixture.at(60_000).wall, ..authorized(7) });
    for _ in 0..3 {
        assert!(matches!(fixture.ask(7, source(1), fixture.now), Answer::Config(_)));
    }
    assert!(!fixture.is_ready(&request(7, RequestKind::Request), fixture.now));
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
        .prepare_for(&request(5, kind), None, source(1), fixture.at(millis))
        .unwrap()
    {
        Answer::Config(issued) => issued,
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
