//! A node that moved speaks first to those who knew it.

use std::sync::Arc;

use zt_crypto::VerifiedIdentity;
use zt_proto::verb::Verb;
use zt_proto::world::{Root, World};

use super::super::{Event, Node};
use super::client::Client;
use super::{at, events, identity, leaf, planet, root, sign_on, transmits};

fn known(client: &Client) -> VerifiedIdentity {
    VerifiedIdentity::verify(*client.secret.public()).unwrap()
}

#[test]
fn an_answered_greeting_makes_a_path_and_is_told_once() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    client.link.local = None;
    node.greet(at(0), &known(&client), Some(client.link.remote));
    // Lost on the way: said once more.
    assert_eq!(transmits(&mut node).len(), 1);
    node.greet(at(2_000), &known(&client), Some(client.link.remote));
    assert!(events(&mut node).is_empty());
    client.answer_everything(&mut node, at(2_010));
    assert_eq!(events(&mut node), [Event::Greeted(client.address())]);
    assert_eq!(node.peers(at(2_010))[0].paths.len(), 1);
    node.push_config(at(2_020), client.address(), zt_proto::NetworkId(1), &[vec![0; 40]]);
    assert_eq!(client.receive(&mut node)[0].verb, Verb::NETWORK_CONFIG);
    node.greet(at(3_000), &known(&client), Some(client.link.remote));
    assert!(transmits(&mut node).is_empty() && events(&mut node).is_empty(), "it is known to be there");
}

#[test]
fn a_member_that_says_hello_itself_counts_as_greeted() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    node.greet(at(0), &known(&client), None);
    assert!(transmits(&mut node).is_empty(), "there is no way to it");
    sign_on(&mut node, &mut client, at(10));
    // `sign_on` takes the events while it verifies; no second one comes.
    client.say(&mut node, at(20), Verb::ECHO, b"x").unwrap();
    assert!(events(&mut node).is_empty());
}

#[test]
fn a_node_that_has_moved_is_reached_where_it_is_now_and_not_where_it_was() {
    let mut node = root();
    let mut before = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut before, at(0));
    let mut after = Client::new("A", "10.0.0.3:9993");
    let hello = after.hello(at(5_000));
    after.deliver(&mut node, at(5_000), hello).unwrap();
    after.answer_everything(&mut node, at(5_000));
    node.push_config(at(5_001), after.address(), zt_proto::NetworkId(1), &[vec![0; 40]]);
    assert_eq!(after.receive(&mut node).len(), 1);
    // It answers at the old address as well: it has two, and both are used again.
    let mut both = Client::new("A", "10.0.0.2:9993");
    both.say(&mut node, at(5_100), Verb::ECHO, b"x").unwrap();
    transmits(&mut node);
    node.handle_timeout(at(5_200));
    let view = node.peers(at(5_200));
    assert!(view[0].paths.iter().all(|path| !path.expired) && view[0].paths.len() == 2);
}

#[test]
fn a_greeting_goes_to_no_address_that_cannot_be_a_path_and_to_no_root() {
    let mut node = root();
    let client = Client::new("A", "10.0.0.2:9993");
    for nowhere in ["127.0.0.1:9993", "0.0.0.0:9993", "169.254.1.1:9993", "224.0.0.1:9993"] {
        node.greet(at(0), &known(&client), Some(nowhere.parse().unwrap()));
        assert!(transmits(&mut node).is_empty(), "{nowhere}");
    }
    let own = VerifiedIdentity::verify(*identity("R").public()).unwrap();
    node.greet(at(0), &own, Some(client.link.remote));
    assert!(transmits(&mut node).is_empty());
}

#[test]
fn a_greeting_goes_through_the_root_as_well() {
    let above = Client::new("B", "10.0.0.9:9993");
    let secret = identity("R");
    let roots = vec![Root { identity: *above.secret.public(), endpoints: vec![above.link.remote] }];
    let planet = World { roots, ..planet(&secret, 1_000) };
    let mut node = Node::new(Arc::new(secret), Some(planet), [7; 32], at(0));
    let mut above = above;
    above.link.local = None;
    node.handle_timeout(at(0));
    above.answer_everything(&mut node, at(10));
    let client = Client::new("A", "10.0.0.2:9993");
    node.greet(at(20), &known(&client), Some(client.link.remote));
    let to: Vec<_> = transmits(&mut node).iter().map(|transmit| transmit.link.remote).collect();
    assert_eq!(to, [client.link.remote, above.link.remote]);
}
