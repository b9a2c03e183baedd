//! Tests of the whole node, on a virtual clock.

mod client;
mod conversation;
mod flood;
mod generations;
mod greet;
mod hello;
mod hostile;
mod keepalive;
mod paths;
mod root;
mod upstream;
mod worlds;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use zt_crypto::{IdentitySecret, VerifiedIdentity};
use zt_proto::credential::Signature;
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{Address, Timestamp};

use super::moment::Moment;
use super::{Event, Link, Node, Now, Transmit};
use client::Client;

/// Returns the virtual present, in milliseconds since the beginning of the simulation.
pub(super) fn at(millis: u64) -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise; only differences matter"
    )]
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now { mono: *EPOCH + Duration::from_millis(millis), wall: Timestamp(1_700_000_000_000 + millis) }
}

/// Returns the same time as a node has it that was made at the beginning.
pub(super) fn moment(millis: u64) -> Moment {
    Moment::START + Duration::from_millis(millis)
}

/// Reads a vector file.
fn vectors(name: &str) -> serde_json::Value {
    let path = format!("{}/testdata/vl1/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a serde_json::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key}"))
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Returns the identity of one of the nodes of `session.json`: R is the node under test, A, B and C are its peers.
pub(super) fn identity(name: &str) -> IdentitySecret {
    text(&vectors("session.json")["nodes"][name], "identity_secret").parse().unwrap()
}

/// The physical address of the node under test.
const HERE: &str = "10.0.0.1:9993";

fn planet(root: &IdentitySecret, timestamp: u64) -> World {
    World {
        kind: WorldKind::Planet,
        id: 42,
        timestamp: Timestamp(timestamp),
        update_key: [0; 64],
        signature: Signature::NONE,
        roots: vec![Root { identity: *root.public(), endpoints: vec![HERE.parse().unwrap()] }],
    }
}

/// A node that is the only root of its planet.
fn root() -> Node {
    let secret = identity("R");
    let planet = planet(&secret, 1_000);
    Node::new(Arc::new(secret), Some(planet), [7; 32], at(0))
}

/// A node that is no root and knows none.
fn leaf() -> Node {
    Node::new(Arc::new(identity("R")), None, [7; 32], at(0))
}

/// Takes everything that the node wants to send.
fn transmits(node: &mut Node) -> Vec<Transmit> {
    std::iter::from_fn(|| node.poll_transmit()).collect()
}

/// Takes all events.
fn events(node: &mut Node) -> Vec<Event> {
    std::iter::from_fn(|| node.poll_event()).collect()
}

/// Takes the addresses of all nodes whose identity somebody may remember.
fn recalls(node: &mut Node) -> Vec<Address> {
    std::iter::from_fn(|| node.poll_recall()).collect()
}

/// Verifies the identities that the node wants to be verified; returns the other events.
fn verify_identities(node: &mut Node, now: Now) -> Vec<Event> {
    let mut others = Vec::new();
    for event in events(node) {
        match event {
            Event::IdentityToVerify(identity) => match VerifiedIdentity::verify(identity) {
                Ok(verified) => node.identity_verified(now, &verified),
                Err(_) => node.identity_refused(&identity),
            },
            other @ (Event::ConfigRequested(_)
            | Event::ConfigAcknowledged { .. }
            | Event::Greeted(_)
            | Event::WorldUpdated(_)) => others.push(other),
        }
    }
    others
}

/// Makes `client` known to the node, with a confirmed path.
fn sign_on(node: &mut Node, client: &mut Client, now: Now) {
    let hello = client.hello(now);
    client.deliver(node, now, hello).unwrap();
    verify_identities(node, now);
    client.answer_everything(node, now);
    assert!(
        node.peers(now).iter().any(|peer| peer.address == client.address() && !peer.paths.is_empty()),
        "no path was confirmed"
    );
}

/// The link over which the node hears from `remote`.
pub(super) fn link(remote: &str) -> Link {
    Link { local: Some(HERE.parse().unwrap()), remote: remote.parse().unwrap() }
}

impl Node {
    /// A node that knows so many peers, with the addresses from 1 on.
    pub(crate) fn with_peers(count: u64) -> Self {
        let mut node = leaf();
        let key = *identity("A").public();
        for n in 1..=count {
            node.take_up(
                node.start.present(at(0)),
                &zt_proto::PublicIdentity { address: Address::from_low_bits(n), ..key },
                None,
            );
        }
        node
    }
}
