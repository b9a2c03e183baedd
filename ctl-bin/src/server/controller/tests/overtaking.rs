//! Answers and pushes that are made at the same time, and configurations that nobody can take.

use std::cell::Cell;

use zt_proto::rules::{Rule, RuleBody};

use super::*;

/// An answer is decided, then an administrator takes the authorization away and that is pushed, then the answer is ready.
#[test]
fn an_answer_that_a_push_overtook_is_made_again() {
    let fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    fixture.note(5, Standing::Admitted);
    let member = identity(5).address;
    let decided = Cell::new(0);
    let told = fixture.controller.tell(
        (NETWORK, member),
        || {
            let answer =
                fixture.controller.prepare_for(&request(5, RequestKind::Request), source(1), fixture.now);
            if decided.replace(decided.get() + 1) == 0 {
                fixture.put(&Member { authorized: false, last_deauthorized: Timestamp(2), ..authorized(5) });
                fixture.controller.follow(&[Change::MemberRevoked { network: NETWORK, member }], fixture.now);
                fixture.controller.send_due();
                assert_eq!(fixture.figure(|tally| &tally.pushes), 1);
            }
            answer
        },
        |answer| answer,
    );
    assert!(is_refused(&told.unwrap(), Refusal::AccessDenied), "it was told to be a member after all");
    assert_eq!(decided.get(), 2);
}

/// And the other way round: while a push is decided, the node asks and is answered, and then the member changes again.
#[test]
fn a_push_that_an_answer_overtook_is_made_again() {
    let fixture = Fixture::with_network(true);
    let member = identity(5).address;
    let decided = Cell::new(0);
    let prepare = |kind| fixture.controller.prepare_for(&request(5, kind), source(1), fixture.now);
    let told = fixture.controller.tell(
        (NETWORK, member),
        || {
            let answer = prepare(RequestKind::Push);
            if decided.replace(decided.get() + 1) == 0 {
                fixture.put(&authorized(5));
                let answered =
                    fixture.controller.tell((NETWORK, member), || prepare(RequestKind::Request), |it| it);
                assert!(matches!(answered, Ok(Answer::Config(..))));
            }
            answer
        },
        |answer| answer,
    );
    assert!(matches!(told, Ok(Answer::Config(..))), "it was told to be out after it was told to be in");
    assert_eq!(decided.get(), 2);
}

#[test]
fn whoever_is_not_overtaken_is_decided_about_once() {
    let fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    for _ in 0..3 {
        let prepare =
            || fixture.controller.prepare_for(&request(5, RequestKind::Push), source(1), fixture.now);
        fixture.controller.tell((NETWORK, identity(5).address), prepare, drop).unwrap();
    }
    assert_eq!(fixture.figure(|tally| &tally.decisions), 3);
}

/// `known-flaws.md` rows 6 and 12: the API takes no such network, but an old database may have one.
#[test]
fn a_member_whose_configuration_no_client_takes_gets_an_error() {
    let mut fixture = Fixture::with_network(true);
    let long = Rule { not: false, or: false, body: RuleBody::Unknown { kind: 60, field: vec![0; 255] } };
    let network = Network {
        revision: 2,
        rules: vec![long; 1024],
        pools: vec![Pool { first: "10.0.0.1".parse().unwrap(), last: "10.0.0.9".parse().unwrap() }],
        ..Network::new(NETWORK, Timestamp(1))
    };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    fixture.put(&authorized(5));
    for packet in 1..=2 {
        fixture.controller.answer_all([requested(NETWORK, 5, packet)], fixture.now, || ());
        assert_eq!(fixture.send_all(), 1, "the error");
    }
    assert_eq!(fixture.controller.too_long.load(Ordering::Relaxed), 2);
    fixture.controller.tidy(fixture.now);
    assert_eq!(fixture.controller.too_long.load(Ordering::Relaxed), 0);
}
