//! Answers that are made together: each is what it would be alone, and none waits for what another has to save.

use std::cell::RefCell;

use super::*;

fn case(node: u64) -> Case<u64> {
    Case { about: node, request: request(node, RequestKind::Request), source: source(1) }
}

/// What each was told, in that order; `!` is where saving began.
pub(super) fn told(fixture: &Fixture, nodes: impl IntoIterator<Item = u64>) -> Vec<String> {
    let told = RefCell::default();
    tell(fixture, nodes, |text| RefCell::<Vec<_>>::borrow_mut(&told).push(text));
    told.into_inner()
}

/// The same, one by one.
pub(super) fn tell(fixture: &Fixture, nodes: impl IntoIterator<Item = u64>, push: impl Fn(String)) {
    let cases: Vec<_> = nodes.into_iter().map(case).collect();
    fixture.controller.tell_all(
        &cases,
        fixture.now,
        || push("!".to_owned()),
        |case, answer, _| {
            push(match answer {
                Ok(Answer::Refusal(refusal, _)) => format!("{} {refusal:?}", case.about),
                Ok(answer) => {
                    let config = config(&answer);
                    assert_eq!(config.member.to_u64(), case.about);
                    let addresses: Vec<_> = config.addresses.iter().map(ToString::to_string).collect();
                    format!("{} {}", case.about, addresses.join(","))
                }
                Err(error) => format!("{} {error}", case.about),
            });
            false
        },
    );
}

#[test]
fn who_joins_gets_an_address_of_its_own_and_who_is_known_does_not_wait_for_that() {
    let fixture = Fixture::with_network(false);
    put_network_with_pool(&fixture.controller.store, Ipv4Addr::new(10, 0, 0, 250));
    assert_eq!(told(&fixture, [5]).len(), 2);
    let mut all = told(&fixture, [1, 2, 5, 3, 4]);
    assert_eq!(all[..2], told(&fixture, [5])[..], "{all:?}");
    assert!(all[2].starts_with("1 10.0.0.") && all[5].starts_with("4 10.0.0."), "{all:?}");
    // What each was told is what is on record, all different.
    for node in 1..=5 {
        let member = fixture.member(node).unwrap();
        assert!(all.contains(&format!("{node} {}/22", member.ip_assignments[0])), "{all:?} {member:?}");
    }
    all.dedup_by_key(|text| text.split(' ').nth(1).map(str::to_owned));
    assert_eq!(all.len(), 6);
}

#[test]
fn one_commit_saves_all_that_join_together() {
    let disk = OnDisk::with_network(false);
    let fixture = disk.fixture();
    told(&fixture, [100]);
    let before = disk.written();
    told(&fixture, [101]);
    let one = disk.written() - before;
    told(&fixture, 1..=16);
    assert!(disk.written() - before < 4 * one, "{} and {one}", disk.written() - before);
}

/// A record that cannot be read keeps nobody else from an answer, nor from being saved.
#[test]
fn a_damaged_record_is_the_fault_of_nobody_else() {
    let disk = OnDisk::with_network(false);
    let fixture = disk.fixture();
    for node in [1, 2] {
        fixture.put(&authorized(node));
    }
    let raw = disk.raw();
    raw.execute_batch(
        "PRAGMA ignore_check_constraints = ON; UPDATE member SET identity = x'01' WHERE address = x'0000000001'",
    )
    .unwrap();
    let all = told(&fixture, [1, 2, 3]);
    assert!(all[0].starts_with("1 damaged record") && all[1] == "!" && all.len() == 4, "{all:?}");
    assert_eq!(all[2..], ["2 ", "3 "]);
    // And if it is noticed by the write alone: a trigger refuses this one.
    raw.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON member WHEN NEW.address = x'0000000005' \
         BEGIN SELECT raise(FAIL, 'on purpose'); END",
    )
    .unwrap();
    let all = told(&fixture, [4, 5, 6]);
    assert!(all[1] == "4 " && all[2].contains("on purpose") && all[3] == "6 ", "{all:?}");
    assert!(fixture.member(4).is_some() && fixture.member(5).is_none() && fixture.member(6).is_some());
}

/// Both threads would hold what the other waits for.
#[test]
fn batches_with_the_same_members_in_another_order_do_not_wait_for_each_other() {
    let fixture = Fixture::with_network(true);
    for node in 1..=8 {
        fixture.put(&authorized(node));
    }
    let controller = &fixture.controller;
    std::thread::scope(|scope| {
        for nodes in [[1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1]] {
            let cases = nodes.map(case);
            scope.spawn(move || {
                for _ in 0..200 {
                    let mut told = 0;
                    controller.tell_all(
                        &cases,
                        clock::now(),
                        || (),
                        |_, answer, _| {
                            told += usize::from(answer.is_ok());
                            std::thread::yield_now();
                            false
                        },
                    );
                    assert_eq!(told, 8);
                }
            });
        }
    });
    // And a member that is in it twice.
    let told = told(&fixture, [1, 2, 1]);
    assert_eq!(told.iter().filter(|text| text.starts_with("1 ")).count(), 2, "{told:?}");
}

/// An administrator takes the authorization away after the batch looked, and that is pushed before it is told.
#[test]
fn an_answer_of_a_batch_that_a_push_overtook_is_made_again() {
    let fixture = Fixture::with_network(true);
    for node in [5, 6] {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    let (cases, controller) = ([case(6), case(5)], &fixture.controller);
    let mut turns = cases.each_ref().map(|case| controller.turns.begin(case.key()));
    let answers = cases.each_ref().map(|case| controller.prepare(case, fixture.now));
    fixture.put(&Member { authorized: false, last_deauthorized: Timestamp(2), ..authorized(5) });
    let member = identity(5).address;
    controller.follow(&[Change::MemberRevoked { network: NETWORK, member }], fixture.now);
    controller.send_due();
    let prepared = cases.iter().zip(&mut turns).zip(answers);
    let told = RefCell::<Vec<_>>::default();
    controller.tell_together(
        prepared.map(|((case, turn), answer)| (case, turn, answer)),
        fixture.now,
        &mut |case, answer, _| {
            told.borrow_mut().push((case.about, matches!(answer, Ok(Answer::Config(..)))));
            false
        },
    );
    assert_eq!(told.into_inner(), [(6, true), (5, false)]);
}

#[test]
fn answers_of_a_batch_wake_the_node_once() {
    let mut fixture = Fixture::with_network(true);
    let requests = (1..=16_u64).map(|node| {
        fixture.put(&authorized(node));
        requested(NETWORK, node, node)
    });
    let requests: Vec<_> = requests.collect();
    fixture.controller.answer_all(requests, fixture.now, || ());
    // Each is saved, as its identity was not known; and told in what the one commit is followed by.
    assert_eq!(fixture.send_all(), 1);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 16);
}
