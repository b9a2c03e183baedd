//! What happens while time passes.

use std::sync::Arc;

use zt_proto::Address;
use zt_proto::verb::Verb;

use super::super::{Node, Now};
use super::client::{Client, Received};
use super::{at, identity, leaf, link, moment, planet, root, sign_on, transmits, verify_identities};

/// Lets time pass until `end`, with everything due done at its time; `client` answers if `answers`. Returns what it got.
fn pass(node: &mut Node, client: &mut Client, from: u64, end: u64, answers: bool) -> Vec<(u64, Received)> {
    let mut got = Vec::new();
    for millis in (from..=end).step_by(500) {
        let now: Now = at(millis);
        node.handle_timeout(now);
        for message in client.receive(node) {
            if answers && let Some(answer) = client.answer(&message) {
                client.deliver(node, now, answer).unwrap();
            }
            got.push((millis, message));
        }
    }
    got
}

#[test]
fn the_path_of_a_member_that_asks_is_kept_alive() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(1_000), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    let got = pass(&mut node, &mut client, 1_000, 130_000, true);
    let count = |verb| got.iter().filter(|(_, message)| message.verb == verb).count();
    // One HELLO a minute, and an ECHO whenever nothing was sent for 14 s.
    assert!((2..=4).contains(&count(Verb::HELLO)), "{} HELLO", count(Verb::HELLO));
    assert!((5..=9).contains(&count(Verb::ECHO)), "{} ECHO", count(Verb::ECHO));
    assert!(node.peers(at(130_000))[0].paths.iter().all(|path| !path.expired));
}

/// Or the loop would wake for each of a thousand peers, four times a minute, and for each of their answers.
#[test]
fn peers_are_kept_alive_many_at_a_time() {
    let peers = 100;
    let mut node = Node::with_peers(peers);
    let (wakes, sent) = keep_alive(&mut node, peers);
    assert!(sent >= 400, "{sent}");
    // The first time each at its own, and every five seconds what has expired is swept.
    assert!(wakes < 100 + 4 * 20 + 15, "{wakes}");
}

/// Anybody can have a controller know many nodes that want nothing of it.
#[test]
fn peers_are_kept_alive_together_however_many_others_there_are() {
    let peers = 100;
    let [alone, among_others] =
        [0, 5_000].map(|others| keep_alive(&mut Node::with_peers(peers + others), peers));
    assert_eq!(among_others, alone);
}

#[test]
fn a_peer_counts_as_kept_alive_until_it_wants_nothing_more_or_is_gone() {
    let mut node = Node::with_peers(2);
    let asks = |node: &mut Node, millis| {
        node.note_nontrivial(node.start.present(at(millis)), Address::from_low_bits(1));
    };
    let counts = |node: &mut Node, millis| {
        for n in 1..=2 {
            node.check_peer(node.start.present(at(millis)), Address::from_low_bits(n));
        }
        (node.peers.len(), node.kept_alive)
    };
    assert_eq!(counts(&mut node, 0), (2, 0));
    asks(&mut node, 0);
    asks(&mut node, 60_000);
    assert_eq!(counts(&mut node, 60_000), (2, 1));
    node.peers.values_mut().for_each(|peer| peer.last_receive = moment(500_000));
    assert_eq!(counts(&mut node, 559_000), (2, 1));
    assert_eq!(counts(&mut node, 562_000), (2, 0));
    asks(&mut node, 900_000);
    assert_eq!(counts(&mut node, 901_000), (2, 1));
    assert_eq!(counts(&mut node, 1_002_000), (0, 0));
}

/// Has the first peers ask, and lets a minute pass. Returns how often the node was woken, and how much it sent.
fn keep_alive(node: &mut Node, peers: u64) -> (usize, usize) {
    for n in 1..=peers {
        let (now, address) = (node.start.present(at(n * 37)), Address::from_low_bits(n));
        node.note_nontrivial(now, address);
        node.learn_path(now, address, link(&format!("10.0.1.{n}:9993")));
    }
    transmits(node);
    let (mut wakes, mut sent) = (0, 0);
    for millis in 4_000..64_000 {
        let now = at(millis);
        if node.poll_timeout().is_some_and(|due| due <= now.mono) {
            node.handle_timeout(now);
            wakes += 1;
            sent += transmits(node).len();
        }
    }
    (wakes, sent)
}

#[test]
fn a_peer_that_wants_nothing_is_left_alone() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    assert!(pass(&mut node, &mut client, 1_000, 400_000, true).is_empty());
}

#[test]
fn a_silent_peer_is_forgotten_and_nothing_of_it_stays() {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(1_000), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    pass(&mut node, &mut client, 1_000, 499_000, false);
    assert_eq!(node.peers(at(499_000)).len(), 1);
    assert!(node.peers(at(499_000))[0].paths.iter().all(|path| path.expired), "a path lives 243 s");
    pass(&mut node, &mut client, 499_000, 510_000, false);
    assert!(node.peers(at(510_000)).is_empty());
    assert_eq!(node.hosts.len(), 0);
    assert!(transmits(&mut node).is_empty());
}

#[test]
fn the_path_to_the_root_above_is_kept_alive() {
    let root = identity("A");
    let mut planet = planet(&root, 1);
    planet.roots[0].endpoints = vec!["10.0.0.2:9993".parse().unwrap()];
    let mut node = Node::new(Arc::new(identity("R")), Some(planet), [7; 32], at(0));
    let mut client = Client::of_identity(root, "10.0.0.2:9993");
    client.link.local = None;
    node.handle_timeout(at(0));
    client.answer_everything(&mut node, at(0));
    assert!(node.is_online(at(1)));
    let got = pass(&mut node, &mut client, 500, 400_000, true);
    let longest = got.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(got[0].0 <= 61_000 && longest.unwrap() <= 61_000, "{longest:?}");
    assert!(node.is_online(at(400_000)));
}

#[test]
fn a_path_that_is_learnt_after_the_first_request_is_kept_alive_too() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    client.say(&mut node, at(1_000), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    pass(&mut node, &mut client, 1_000, 20_000, false);
    client.say(&mut node, at(20_000), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    client.answer_everything(&mut node, at(20_000));
    assert_eq!(node.peers(at(20_000))[0].paths.len(), 1);
    assert!(pass(&mut node, &mut client, 20_500, 60_000, true).len() >= 2);
}

#[test]
fn a_node_that_knows_too_many_takes_up_nobody_until_others_are_forgotten() {
    let mut node = Node::with_peers(100);
    node.max_peers = 100;
    let known = *identity("A").public();
    node.take_up(node.start.present(at(0)), &known, None);
    assert_eq!((node.peers.len(), node.peers.contains_key(&known.address)), (100, false));
    node.handle_timeout(at(502_000));
    assert_eq!((node.peers.len(), node.peer_order.len()), (0, 0));
    node.take_up(node.start.present(at(502_000)), &known, None);
    assert!(node.peers.contains_key(&known.address));
}
