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
