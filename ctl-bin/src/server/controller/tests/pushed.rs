//! What is sent without being asked for: to whom, how often, and in which order.

use super::*;

/// `known-flaws.md` row 14.
#[test]
fn deauthorizing_one_of_ten_thousand_computes_nothing_for_the_others() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=10_000 {
        fixture.note(node, Standing::Admitted);
    }
    fixture.put(&Member { authorized: false, ..authorized(5) });
    let member = identity(5).address;
    fixture.controller.follow(&[Change::MemberRevoked { network: NETWORK, member }], fixture.now);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 0, "computed before anybody was told");
    let woken = fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 1);
    // One packet for each, and an error for the member itself.
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 10_000);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 1);
    assert_eq!(woken, 10_000 / 16 + 1);
}

/// While they are looked for, requests wait.
#[test]
fn who_is_to_hear_of_a_thousand_revocations_is_looked_for_as_often_as_for_one() {
    let mut looks = Vec::new();
    for revoked in [1, 1_000_u64] {
        let mut fixture = Fixture::with_network(true);
        for node in 2_001..=2_060 {
            fixture.note(node, Standing::Admitted);
        }
        let (sender, changes) = mpsc::unbounded_channel();
        for node in 1..=revoked {
            sender.send(Change::MemberRevoked { network: NETWORK, member: identity(node).address }).unwrap();
        }
        drop(sender);
        let Fixture { controller, commands, now } = fixture;
        let controller = Arc::new(controller);
        block_on(work::follow_changes(Arc::clone(&controller), changes));
        fixture = Fixture { controller: Arc::into_inner(controller).unwrap(), commands, now };
        looks.push(lock(&fixture.controller.members).looks.get());
        // In slices, as the node does nothing else meanwhile.
        let told = std::iter::from_fn(|| fixture.commands.try_recv().ok()).count();
        assert_eq!(told as u64, revoked.div_ceil(64));
        // All that each can take at once.
        fixture.send_all();
        assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 60);
    }
    assert_eq!(looks, [2, 2], "the second finds that there are no more");
}

#[test]
fn more_receivers_than_are_looked_for_at_once_hear_of_a_revocation() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=3_000 {
        fixture.note(node, Standing::Admitted);
    }
    let revoked = |node| Change::MemberRevoked { network: NETWORK, member: identity(node).address };
    let changed = Change::Member { network: NETWORK, member: identity(8).address };
    fixture.controller.follow(&[revoked(5), changed, revoked(6), revoked(7)], fixture.now);
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 3_000, "one packet for all three");
}

#[test]
fn a_changed_network_is_decided_once_for_each_member_that_is_online_and_for_no_stranger() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=100 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    for node in 101..=200 {
        fixture.note(node, Standing::Refused);
    }
    for _ in 0..10 {
        fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    }
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 100);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 100);
}

#[test]
fn revocations_and_awaited_pushes_overtake_a_large_network() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=1_000 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    fixture.controller.send_due();
    let before = fixture.figure(|tally| &tally.pushes);
    assert!(before < 1_000, "all at once");
    fixture.put(&Member { authorized: false, ..authorized(1_000) });
    let member = identity(1_000).address;
    fixture.controller.follow(&[Change::MemberRevoked { network: NETWORK, member }], fixture.now);
    fixture.controller.send_due();
    assert!(fixture.figure(|tally| &tally.revocation_packets) >= 60);
    assert!(fixture.figure(|tally| &tally.pushes) < 1_000, "the network went first");
    fixture.send_all();
}

/// Prints how long others wait while a large network is pushed to.
#[test]
fn requests_are_answered_while_a_large_network_is_pushed_to() {
    let disk = OnDisk::with_network(true);
    let mut fixture = disk.fixture();
    let members = 2_000;
    let put_all =
        |tx: &ctl_store::Tx<'_>| (1..=members).try_for_each(|node| tx.members().put(&authorized(node)));
    fixture.controller.store.write(put_all).unwrap();
    for node in 1..=members {
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    let controller = &fixture.controller;
    let (answered, pushed_before_the_last) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while lock(&controller.pushes).next_due(clock::now().mono).is_some_and(|due| due <= soon()) {
                controller.send_due();
                std::thread::yield_now();
            }
        });
        let asked = (1..=50).map(|node| {
            let start = clock::now();
            controller.prepare_for(&request(node, RequestKind::Request), source(1), start).unwrap();
            clock::now().mono - start.mono
        });
        (asked.collect::<Vec<_>>(), fixture.figure(|tally| &tally.pushes))
    });
    let longest = answered.iter().max().unwrap();
    println!(
        "measured: longest answer of 50 {longest:.2?}, after which {pushed_before_the_last} of {members} were pushed to"
    );
    assert!(pushed_before_the_last < members, "requests waited for the whole network");
    // Nobody acknowledged any.
    let repeated = fixture.figure(|tally| &tally.repeated_pushes);
    assert_eq!(fixture.figure(|tally| &tally.pushes) - repeated, members);
    fixture.commands.close();
}

#[test]
fn a_member_that_was_told_twice_to_be_out_is_not_told_again() {
    let mut fixture = Fixture::with_network(true);
    fixture.note(5, Standing::Admitted);
    fixture.put(&Member { authorized: false, ..authorized(5) });
    let change = Change::Member { network: NETWORK, member: identity(5).address };
    fixture.controller.follow(&[change], fixture.now);
    assert_eq!(fixture.send_all(), 1);
    let later = fixture.at(60_000);
    let due = lock(&fixture.controller.pushes).take(&lock(&fixture.controller.members), later.mono);
    assert!(due.is_some_and(|due| due.is_repeated()), "{due:?}");
    fixture.controller.follow(&[change], later);
    lock(&fixture.controller.members).pushed((NETWORK, identity(5).address), Standing::Refused, later.mono);
    assert_eq!(fixture.send_all(), 0);
}

/// `known-flaws.md` row 13.
#[test]
fn a_removed_network_costs_each_member_one_push_and_who_returns_is_told_later() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=50 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.store.write(|tx| tx.networks().remove(NETWORK, fixture.now.wall)).unwrap();
    fixture.controller.follow(&[Change::NetworkRemoved(NETWORK)], fixture.now);
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.pushes), 50);
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 0, "nothing needs revoking");

    let Answer::Refusal(Refusal::UnknownNetwork, Some(farewell)) = fixture.ask(99, source(1), fixture.now)
    else {
        panic!("no farewell");
    };
    assert!(!farewell.dictionary().windows(2).any(|line| line == b"R="), "it has rules");
    let unknown = ConfigRequest { network: NetworkId(NETWORK.0 + 1), ..request(99, RequestKind::Request) };
    let answer = fixture.controller.prepare_for(&unknown, source(1), fixture.now).unwrap();
    assert!(matches!(answer, Answer::Refusal(Refusal::UnknownNetwork, None)), "it never was here");
}

/// `vl2.md` §8.4. They never acknowledge, so nothing is repeated. Within a second of its last request it would ask in vain.
#[test]
fn a_client_before_1_2_is_only_made_to_ask() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    let (key, old) = ((NETWORK, identity(5).address), RequestMetadata::parse(b"v=6"));
    lock(&fixture.controller.members).note(key, old.into(), None, Standing::Admitted, fixture.now.mono);
    let before = clock::now().mono;
    fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    assert_eq!(fixture.send_all(), 0, "too soon");
    let due = lock(&fixture.controller.pushes).next_due(before);
    assert!(due.is_some_and(|due| due > before + Duration::from_secs(1)));
    while fixture.controller.send_due().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(fixture.send_all(), 1);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 0);
    assert_eq!(lock(&fixture.controller.pushes).next_due(fixture.now.mono), None);
    fixture.put(&Member { authorized: false, ..authorized(6) });
    let member = Address::from_low_bits(6);
    fixture.controller.follow(&[Change::MemberRevoked { network: NETWORK, member }], fixture.now);
    // The error for the member that was not seen, which nobody may get, and no revocation.
    assert_eq!(fixture.send_all(), 1);
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 0);
}

/// Nobody has its keys any more; it asks when it comes back.
#[test]
fn who_is_a_peer_no_more_is_not_pushed_to() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    fixture.note(5, Standing::Admitted);
    fixture.controller.identities = Box::new(|_| Vec::new());
    fixture.controller.follow(&[Change::Network(NETWORK)], fixture.now);
    assert_eq!(fixture.send_all(), 0);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 0);
    assert_eq!(lock(&fixture.controller.pushes).next_due(fixture.now.mono), None);
}

/// The node may have no time before the program ends.
#[test]
fn identities_are_asked_of_the_node_and_nobody_waits_for_one_that_has_stopped() {
    let (secret, now) = (IdentitySecret::generate(&mut ChaCha20Rng::from_seed([3; 32])), clock::now());
    let public = *secret.public();
    let mut node = Node::new(secret.into(), None, [4; 32], now);
    let (sender, mut commands) = mpsc::channel::<Command>(1);
    let identities = identities_of(sender);
    let asked = vec![identity(5).address, public.address];
    std::thread::scope(|scope| {
        let answered = scope.spawn(|| identities(asked.clone()));
        commands.blocking_recv().expect("it was not asked")(&mut node, now);
        assert_eq!(answered.join().unwrap(), [public]);
        let dropped = scope.spawn(|| identities(asked.clone()));
        drop(commands.blocking_recv());
        assert_eq!(dropped.join().unwrap(), []);
        drop(commands);
        assert_eq!(identities(asked.clone()), []);
    });
}

/// `vl2.md` §11.5. Nor does it ask: it may be gone.
#[test]
fn the_others_are_told_when_a_session_ends_whose_member_does_not_ask() {
    let disk = OnDisk::with_network(true);
    let mut fixture = disk.fixture();
    let network = Network { sso_enabled: true, ..Network::new(NETWORK, Timestamp(1)) };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    let expiry = |millis| fixture.now.wall.plus_millis(millis);
    let logged_in = |node, expiry| Member { authentication_expiry: expiry, ..authorized(node) };
    for member in [logged_in(5, expiry(5)), logged_in(6, expiry(9_000_000))] {
        fixture.put(&member);
    }
    fixture.note(6, Standing::Admitted);
    fixture.controller.end_sessions(fixture.at(4));
    assert_eq!((fixture.send_all(), fixture.figure(|tally| &tally.revocation_packets)), (0, 0));
    fixture.controller.end_sessions(fixture.at(5));
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 1);
    fixture.controller.end_sessions(fixture.at(6));
    assert_eq!(fixture.send_all(), 0, "once");
    // Nor is it forgotten when the controller is started again meanwhile.
    let next = Fixture::new(disk.open(), fixture.at(7));
    let catch_up = |fixture: &Fixture, now: Now| {
        lock(&fixture.controller.revocations).catch_up(NETWORK, identity(6).address, now.mono)
    };
    assert!(catch_up(&next, fixture.at(7)));
    drop(next);
    let later = fixture.at(5 + millis(REVOKED_FOR));
    assert!(!catch_up(&Fixture::new(disk.open(), later), later), "no certificate is as old");
}

/// In a network whose members log in, one is online whose session lasts, and one whose session ends after so many milliseconds.
fn with_sessions(ends_ms: u64) -> Fixture {
    let fixture = Fixture::with_network(true);
    let network = Network { sso_enabled: true, ..Network::new(NETWORK, Timestamp(1)) };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    for (node, millis) in [(5, ends_ms), (6, 9_000_000)] {
        fixture.put(&Member { authentication_expiry: fixture.at(millis).wall, ..authorized(node) });
        fixture.note(node, Standing::Admitted);
    }
    fixture
}

#[test]
fn a_session_that_was_shortened_is_revoked_when_it_ends_and_once() {
    let mut fixture = with_sessions(5);
    let (network, member) = (NETWORK, identity(5).address);
    let change = Change::SessionCutShort { network, member, ends: fixture.at(5).wall };
    let told = |fixture: &mut Fixture| {
        fixture.send_all();
        (fixture.figure(|tally| &tally.pushes), fixture.figure(|tally| &tally.revocation_packets))
    };
    fixture.controller.follow(&[change], fixture.now);
    assert_eq!(told(&mut fixture), (1, 0), "it is told when its session ends");
    assert!(matches!(fixture.ask(5, source(1), fixture.at(4)), Answer::Config(..)));
    fixture.controller.end_sessions(fixture.at(4));
    assert_eq!(told(&mut fixture), (1, 0));
    fixture.controller.end_sessions(fixture.at(6));
    assert!(told(&mut fixture).1 > 0, "the others are told");
    let packets = told(&mut fixture).1;
    fixture.controller.end_sessions(fixture.at(8));
    assert_eq!(told(&mut fixture).1, packets, "once");
}

/// Its change was saved when the look for ended sessions was past that, and is followed by a thread that is late.
#[test]
fn a_session_that_was_shortened_to_a_time_that_is_past_is_revoked_at_once() {
    for (looked_at, followed_at, is_revoked) in [(0, 5, true), (5, 4, true), (4, 4, false)] {
        let mut fixture = with_sessions(9_000_000);
        fixture.controller.end_sessions(fixture.at(looked_at));
        let (network, member) = (NETWORK, identity(5).address);
        let ends = fixture.at(5).wall;
        fixture.put(&Member { authentication_expiry: ends, ..authorized(5) });
        let change = Change::SessionCutShort { network, member, ends };
        fixture.controller.follow(&[change], fixture.at(followed_at));
        fixture.send_all();
        let is_told = fixture.figure(|tally| &tally.revocation_packets) > 0;
        assert_eq!(is_told, is_revoked, "looked at {looked_at}, followed at {followed_at}");
    }
}

/// Pushing tells what is; it records nobody.
#[test]
fn a_push_leaves_no_record_of_a_stranger() {
    let fixture = Fixture::with_network(true);
    let push = request(5, RequestKind::Push);
    let answer = fixture.controller.prepare_for(&push, Source::Relayed, fixture.now).unwrap();
    assert!(is_refused(&answer, Refusal::AccessDenied));
    assert_eq!(fixture.member(5), None);
}

/// When only repetitions are left.
fn soon() -> std::time::Instant {
    clock::now().mono + Duration::from_millis(1_100)
}
