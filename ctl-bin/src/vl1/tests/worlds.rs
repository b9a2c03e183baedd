//! Planets and moons that change while the node runs.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zt_crypto::WorldKey;
use zt_proto::Timestamp;
use zt_proto::verb::Verb;
use zt_proto::verb::hello::{Hello, NodeVersion};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::world::{World, WorldKind, WorldVersion};

use super::super::{Event, Node, Now};
use super::client::{Client, Received};
use super::{at, events, identity, planet, sign_on, transmits};

fn key(seed: u64) -> WorldKey {
    WorldKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

/// A signed version of the planet whose only root is A, at these endpoints.
fn version(signer: &WorldKey, timestamp: u64, endpoints: &[&str]) -> World {
    let mut world = planet(&identity("A"), timestamp);
    world.update_key = *key(1).public();
    world.roots[0].endpoints = endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect();
    signer.sign_world(&mut world);
    world
}

/// A node below root A, and that root.
fn leaf_and_root() -> (Node, Client) {
    let first = version(&key(1), 1_000, &["10.0.0.2:9993"]);
    let node = Node::new(Arc::new(identity("R")), Some(first), [7; 32], at(0));
    let mut root = Client::new("A", "10.0.0.2:9993");
    root.link.local = None;
    (node, root)
}

/// Answers the HELLO that the node sends to `client`, with world data.
fn answer_hello(node: &mut Node, client: &mut Client, now: Now, worlds: &[&World]) {
    node.handle_timeout(now);
    let received = client.receive(node);
    let hello = received.iter().find(|message| message.verb == Verb::HELLO).expect("a HELLO");
    let mut world_data = Vec::new();
    worlds.iter().for_each(|world| world.write(&mut world_data));
    let mut answer = Vec::new();
    let version = NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 };
    OkHello { timestamp: Timestamp(0), version, endpoint: None, world_data: &world_data }.write(&mut answer);
    let mut payload = Vec::new();
    OkReply { in_re_verb: Verb::HELLO, in_re_packet: hello.packet, payload: &answer }.write(&mut payload);
    client.say(node, now, Verb::OK, &payload).unwrap();
}

fn version_of(node: &Node) -> Option<(u64, Timestamp)> {
    node.planet().map(|planet| (planet.id, planet.timestamp))
}

#[test]
fn a_later_version_from_a_root_is_taken_and_its_new_endpoints_are_used() {
    let (mut node, mut root) = leaf_and_root();
    let next = version(&key(1), 2_000, &["10.0.0.77:9993"]);
    answer_hello(&mut node, &mut root, at(0), &[&next]);
    assert_eq!(events(&mut node), [Event::WorldUpdated(Box::new(next))]);
    assert_eq!(version_of(&node), Some((42, Timestamp(2_000))));
    transmits(&mut node);
    for seconds in 1..30 {
        node.handle_timeout(at(seconds * 1_000));
    }
    let greeted: Vec<_> = transmits(&mut node).iter().map(|sent| sent.link.remote.to_string()).collect();
    assert!(greeted.contains(&"10.0.0.77:9993".to_owned()), "{greeted:?}");
}

#[test]
fn what_is_older_or_signed_by_another_key_or_another_world_is_not_taken() {
    let (mut node, mut root) = leaf_and_root();
    let old = version(&key(1), 999, &["10.0.0.77:9993"]);
    let forged = version(&key(2), 2_000, &["10.0.0.77:9993"]);
    let mut other = version(&key(1), 2_000, &["10.0.0.77:9993"]);
    other.id = 43;
    key(1).sign_world(&mut other);
    let mut moon = other.clone();
    moon.kind = WorldKind::Moon;
    key(1).sign_world(&mut moon);
    answer_hello(&mut node, &mut root, at(0), &[&old, &forged, &other, &moon]);
    assert_eq!(events(&mut node), []);
    assert_eq!(version_of(&node), Some((42, Timestamp(1_000))));
}

#[test]
fn nobody_but_a_root_is_believed_about_worlds() {
    let (mut node, mut root) = leaf_and_root();
    answer_hello(&mut node, &mut root, at(0), &[]);
    let mut other = Client::new("B", "10.0.0.3:9993");
    let hello = other.hello(at(100));
    other.deliver(&mut node, at(100), hello).unwrap();
    super::verify_identities(&mut node, at(100));
    let next = version(&key(1), 2_000, &["10.0.0.77:9993"]);
    answer_hello(&mut node, &mut other, at(100), &[&next]);
    assert_eq!(version_of(&node), Some((42, Timestamp(1_000))));
}

#[test]
fn a_rolled_planet_is_handed_out_from_then_on() {
    let (mut node, mut client) = (super::root(), Client::new("A", "10.0.0.2:9993"));
    sign_on(&mut node, &mut client, at(0));
    let mut next = planet(&identity("R"), 5_000);
    key(1).sign_world(&mut next);
    node.set_planet(at(1_000), Some(next.clone()));
    let hello = client.hello(at(1_000));
    client.deliver(&mut node, at(1_000), hello).unwrap();
    let received = client.receive(&mut node);
    let answer = OkReply::parse(&received[0].payload).unwrap();
    let answer = OkHello::parse(answer.payload).unwrap();
    assert_eq!(answer.worlds().map(Result::unwrap).collect::<Vec<_>>(), [next]);
}

fn moon(root: &str, endpoint: &str) -> World {
    let secret = identity(root);
    let mut moon = planet(&secret, 7_000);
    (moon.kind, moon.id) = (WorldKind::Moon, secret.address().to_u64());
    moon.roots[0].endpoints = vec![endpoint.parse().unwrap()];
    moon
}

#[test]
fn the_roots_of_a_moon_are_roots_above_this_node_and_its_hello_names_the_moon() {
    let mut node = Node::new(Arc::new(identity("R")), None, [7; 32], at(0));
    assert!(!node.is_online(at(0)));
    node.set_moons(at(0), vec![moon("B", "10.0.0.3:9993")]);
    node.handle_timeout(at(0));
    let mut above = Client::new("B", "10.0.0.3:9993");
    above.link.local = None;
    let received: Vec<Received> = above.receive(&mut node);
    let hello = Hello::parse(&received[0].payload).unwrap();
    let listed: Vec<_> = zt_proto::verb::hello::parse_moons(hello.tail).unwrap().collect();
    assert_eq!(listed, [moon("B", "10.0.0.3:9993").version()]);
    let answer = above.answer(&received[0]).unwrap();
    above.deliver(&mut node, at(10), answer).unwrap();
    assert!(node.is_online(at(10)));
    let peers = node.peers(at(10));
    assert!(peers[0].is_moon && !peers[0].is_root);
}

#[test]
fn a_node_that_a_moon_names_is_a_root() {
    let mut node = Node::new(Arc::new(identity("R")), None, [7; 32], at(0));
    node.set_moons(at(0), vec![moon("R", super::HERE)]);
    assert!(node.is_root() && node.is_online(at(0)));
    node.set_moons(at(0), Vec::new());
    assert!(!node.is_root());
}

/// Each change of the worlds has the roots greeted at once, but not more often from then on.
#[test]
fn worlds_that_change_often_do_not_make_the_node_greet_more_often() {
    let (mut node, _) = leaf_and_root();
    for n in 0..10 {
        node.set_planet(at(n), Some(version(&key(1), 2_000 + n, &["10.0.0.2:9993"])));
    }
    let mut greetings = 0;
    for millis in (10..20_000).step_by(10) {
        node.handle_timeout(at(millis));
        greetings += transmits(&mut node).len();
    }
    assert_eq!(greetings, 4, "one every 5 s");
}

#[test]
fn of_many_worlds_in_one_answer_the_first_eight_are_looked_at() {
    let (mut node, mut above) = leaf_and_root();
    let versions: Vec<_> = (0..20).map(|n| version(&key(1), 10_000 + n, &["10.0.0.9:9993"])).collect();
    let worlds: Vec<_> = versions.iter().collect();
    answer_hello(&mut node, &mut above, at(10), &worlds);
    let taken = events(&mut node);
    assert_eq!(taken.len(), 8, "{taken:?}");
    assert_eq!(version_of(&node).map(|(_, timestamp)| timestamp.0), Some(10_007));
}

/// Clients before 1.2.6 take packets of 5,680 bytes.
#[test]
fn of_more_worlds_than_an_old_client_takes_in_one_packet_the_next_answer_has_the_rest() {
    let mut node = Node::new(Arc::new(identity("R")), Some(planet(&identity("R"), 1_000)), [7; 32], at(0));
    let endpoints: Vec<_> = (1..=8).map(|n| format!("[2001:db8::{n}]:9993").parse().unwrap()).collect();
    let moons: Vec<_> = (1..=16)
        .map(|id| {
            let mut moon = moon("B", "10.0.0.3:9993");
            (moon.id, moon.roots[0].endpoints) = (id, endpoints.clone());
            moon.roots.extend([moon.roots[0].clone(), moon.roots[0].clone()]);
            moon
        })
        .collect();
    node.set_moons(at(0), moons.clone());
    let outdated = |world: &World| WorldVersion { id: world.id, timestamp: Timestamp(0) };
    let mut known: Vec<_> = moons.iter().map(outdated).collect();
    let mut behind = Some(outdated(node.planet().unwrap()));
    for answers in 1.. {
        let updates = node.roots.updates_for(behind, &known);
        assert!(updates.len() <= 5_000, "{}", updates.len());
        let answer = OkHello { world_data: &updates, ..OkHello::parse(&[0; 13]).unwrap() };
        let mut got = 0;
        for world in answer.worlds().map(Result::unwrap) {
            got += 1;
            match known.iter_mut().find(|known| known.id == world.id) {
                Some(known) => *known = world.version(),
                None => assert!(behind.take().is_some() && answers == 1, "the planet comes first"),
            }
        }
        if got == 0 {
            assert!(answers > 2, "{answers}");
            break;
        }
    }
    assert!(known.iter().all(|known| known.timestamp.0 == 7_000) && behind.is_none());
}
