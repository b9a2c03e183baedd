//! A node below a root: how it finds others and is found.

use std::sync::Arc;

use zt_crypto::armor::Suite;
use zt_proto::packet::HeaderMut;
use zt_proto::verb::ok::OkReply;
use zt_proto::verb::{Verb, whois};
use zt_proto::world::Root;
use zt_proto::{Address, NetworkId, PublicIdentity};

use super::super::strangers::{RELAYED_IDENTITY_LIMIT, RELAYED_PACKET_LIMIT, RELAYED_WANTED_LIMIT};
use super::super::wanted::MAX_WANTED;
use super::super::{Event, Ignored, Link, MAX_RECALLS, Node, Now};
use super::client::{Client, Received};
use super::{at, events, identity, planet, recalls, sign_on, transmits, verify_identities};

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);

/// Returns a node that is no root, and the root above it, to which it has a path.
pub(super) fn leaf_under(name: &str) -> (Node, Client) {
    let secret = identity(name);
    let mut planet = planet(&secret, 1_000);
    planet.roots[0].endpoints = vec!["10.0.0.2:9993".parse().unwrap()];
    let mut node = Node::new(Arc::new(identity("R")), Some(planet), [7; 32], at(0));
    let mut above = Client::of_identity(secret, "10.0.0.2:9993");
    above.link.local = None;
    node.handle_timeout(at(0));
    above.answer_everything(&mut node, at(0));
    assert!(node.is_online(at(0)));
    (node, above)
}

/// Puts a client behind a root: what it sends comes from there, and what is for it goes there.
pub(super) fn to_relay(client: &mut Client, above: &Client) {
    client.link = above.link;
    client.hops = 1;
}

/// Takes what the node sends to `client` through the root.
pub(super) fn route(node: &mut Node, client: &mut Client) -> Vec<Received> {
    let destination = client.address().octets();
    let sent = transmits(node).into_iter().filter(|transmit| transmit.link == client.link);
    let sent: Vec<_> = sent.filter(|transmit| transmit.bytes[8..13] == destination).collect();
    sent.into_iter().filter_map(|transmit| client.open(transmit.bytes)).collect()
}

fn questions(node: &mut Node, above: &mut Client) -> Vec<(u64, Address)> {
    let asked = route(node, above).into_iter().filter(|message| message.verb == Verb::WHOIS);
    asked.map(|message| (message.packet, whois::parse_request(&message.payload).next().unwrap())).collect()
}

fn answer(
    node: &mut Node,
    above: &mut Client,
    now: Now,
    packet: u64,
    who: &PublicIdentity,
) -> Result<(), Ignored> {
    let mut identities = Vec::new();
    whois::write_answer(&[*who], &mut identities);
    let mut payload = Vec::new();
    OkReply { in_re_verb: Verb::WHOIS, in_re_packet: packet, payload: &identities }.write(&mut payload);
    above.say(node, now, Verb::OK, &payload)
}

#[test]
fn a_push_to_somebody_unknown_waits_until_a_root_tells_who_it_is() {
    let (mut node, mut above) = leaf_under("A");
    let mut member = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut member, &above);
    node.push_config(at(100), member.address(), NETWORK, &[b"signed chunk".to_vec()]);
    assert_eq!((events(&mut node), recalls(&mut node)), (Vec::new(), vec![member.address()]));
    let asked = questions(&mut node, &mut above);
    assert_eq!(asked.iter().map(|(_, who)| *who).collect::<Vec<_>>(), [member.address()]);
    // Nothing else is lost meanwhile, and the question is not repeated at once.
    node.push_config(at(200), member.address(), NETWORK, &[b"another chunk".to_vec()]);
    assert!(questions(&mut node, &mut above).is_empty());
    node.handle_timeout(at(600));
    assert_eq!(questions(&mut node, &mut above).len(), 1);
    answer(&mut node, &mut above, at(700), asked[0].0, member.secret.public()).unwrap();
    verify_identities(&mut node, at(710));
    let received = route(&mut node, &mut member);
    let payloads: Vec<_> = received.iter().map(|message| message.payload.clone()).collect();
    assert_eq!(payloads, [b"signed chunk".to_vec(), b"another chunk".to_vec()]);
}

#[test]
fn what_waits_for_an_identity_is_given_up_after_five_seconds() {
    let (mut node, mut above) = leaf_under("A");
    let mut member = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut member, &above);
    node.push_config(at(0), member.address(), NETWORK, &[b"signed chunk".to_vec()]);
    let mut count = questions(&mut node, &mut above).len();
    for ms in (500..=9_000).step_by(500) {
        node.handle_timeout(at(ms));
        count += questions(&mut node, &mut above).len();
    }
    assert_eq!(count, 11);
    assert!(node.wanted.is_empty());
}

#[test]
fn a_request_through_a_root_by_somebody_unknown_is_answered_through_it() {
    let (mut node, mut above) = leaf_under("A");
    let mut member = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut member, &above);
    let mut request = NETWORK.octets().to_vec();
    request.extend_from_slice(&[0; 2]);
    let result = member.say(&mut node, at(100), Verb::NETWORK_CONFIG_REQUEST, &request);
    assert_eq!(result, Err(Ignored::UnknownSource(member.address())));
    let asked = questions(&mut node, &mut above);
    answer(&mut node, &mut above, at(200), asked[0].0, member.secret.public()).unwrap();
    assert_eq!(verify_identities(&mut node, at(210)), []);
    assert_eq!(recalls(&mut node), [member.address()]);
    let Some(Event::ConfigRequested(requested)) = node.poll_event() else { panic!("no request") };
    assert_eq!(requested.from, None, "it was relayed");
    node.reply_config(at(220), requested.request, &[b"signed chunk".to_vec()]);
    let received = route(&mut node, &mut member);
    let received: Vec<_> = received.iter().map(|message| (message.verb, message.suite)).collect();
    assert_eq!(received, [(Verb::PUSH_DIRECT_PATHS, 1), (Verb::OK, 1)]);
}

/// `vl2.md` §8.4: by what it asks with, not by what is known of it as a peer.
#[test]
fn an_old_client_is_made_to_ask_though_its_version_is_not_known_behind_a_root() {
    let (mut node, mut above) = leaf_under("A");
    let mut member = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut member, &above);
    node.push_config(at(100), member.address(), NETWORK, &[]);
    let asked = questions(&mut node, &mut above);
    answer(&mut node, &mut above, at(200), asked[0].0, member.secret.public()).unwrap();
    verify_identities(&mut node, at(210));
    let received = route(&mut node, &mut member);
    let received: Vec<_> = received.iter().map(|message| (message.verb, message.payload.clone())).collect();
    assert_eq!(received, [(Verb::NETWORK_CONFIG, NETWORK.octets().to_vec())]);
}

/// `known-flaws.md` rows 1 and 9.
#[test]
fn an_identity_that_nobody_asked_for_is_ignored_even_from_a_root() {
    let (mut node, mut above) = leaf_under("A");
    let (wanted, other) = (identity("B"), identity("C"));
    let result = answer(&mut node, &mut above, at(100), 0x1234, other.public());
    assert_eq!(result, Err(Ignored::UnexpectedOk));
    node.push_config(at(100), wanted.address(), NETWORK, &[b"signed chunk".to_vec()]);
    let asked = questions(&mut node, &mut above);
    events(&mut node);
    let result = answer(&mut node, &mut above, at(200), asked[0].0, other.public());
    assert_eq!(result, Err(Ignored::UnwantedIdentity));
    assert!(events(&mut node).is_empty());
}

/// `known-flaws.md` row 1: an answer to WHOIS is believed no more than a HELLO.
#[test]
fn a_forged_identity_from_a_root_fails_validation_and_replaces_nobody() {
    let (mut node, mut above) = leaf_under("A");
    let wanted = identity("B").address();
    let forged = PublicIdentity { address: wanted, ..*identity("C").public() };
    node.push_config(at(100), wanted, NETWORK, &[b"signed chunk".to_vec()]);
    let asked = questions(&mut node, &mut above);
    answer(&mut node, &mut above, at(200), asked[0].0, &forged).unwrap();
    verify_identities(&mut node, at(210));
    assert!(node.peers(at(210)).iter().all(|peer| peer.address != wanted));
    // Known by then: the answer for its address is not even looked at.
    let mut member = Client::new("B", "8.8.8.8:9993");
    sign_on(&mut node, &mut member, at(300));
    assert!(node.wanted.is_empty(), "whoever is known is wanted no more");
    answer(&mut node, &mut above, at(400), asked[0].0, &forged).unwrap_err();
    node.take_up(node.start.present(at(400)), &forged, None);
    member.say(&mut node, at(500), Verb::ECHO, b"still me").unwrap();
    assert!(member.receive(&mut node).iter().any(|message| message.verb == Verb::OK));
}

/// `known-flaws.md` row 9.
#[test]
fn an_answer_that_nobody_waits_for_is_no_sign_of_life() {
    let (mut node, above) = leaf_under("A");
    let mut client = Client::new("B", "10.0.0.3:9993");
    sign_on(&mut node, &mut client, at(0));
    let _ = above;
    for verb in [Verb::HELLO, Verb::ECHO, Verb::WHOIS, Verb::NETWORK_CONFIG] {
        let mut payload = Vec::new();
        OkReply { in_re_verb: verb, in_re_packet: 77, payload: &[0; 64] }.write(&mut payload);
        let result = client.say(&mut node, at(1_000), Verb::OK, &payload);
        assert_eq!(result, Err(Ignored::UnexpectedOk), "{verb}");
    }
    let view = node.peers(at(1_000)).into_iter().find(|peer| peer.address == client.address()).unwrap();
    assert_eq!(view.paths[0].received_ago.as_secs(), 1);
}

#[test]
fn strangers_who_send_junk_make_the_node_ask_only_so_much() {
    let (mut node, _above) = leaf_under("A");
    transmits(&mut node);
    let mut asked = 0;
    for n in 0..100_000_u32 {
        let mut junk = vec![0; 60];
        junk[8..13].copy_from_slice(&node.address().octets());
        junk[13..18].copy_from_slice(&Address::from_low_bits(0x11_0000_0000 + u64::from(n)).octets());
        junk[18] = 0x18;
        let from = Link { local: None, remote: ((0x0800_0000 + n * 256).to_be_bytes(), 9993).into() };
        node.handle_datagram(at(0), from, &mut junk).unwrap_err();
        asked += transmits(&mut node).len();
    }
    assert!(asked <= 256, "{asked} questions");
    assert_eq!(node.wanted.len().0, MAX_WANTED);
    assert_eq!((events(&mut node).len(), recalls(&mut node).len()), (0, MAX_RECALLS));
}

/// A packet from a made-up source, with junk behind its header.
fn junk(node: &Node, source: Address) -> Vec<u8> {
    let mut junk = vec![0; 60];
    junk[8..13].copy_from_slice(&node.address().octets());
    junk[13..18].copy_from_slice(&source.octets());
    junk[18] = 0x18 | 1;
    junk
}

/// All who come through a root have its address.
#[test]
fn a_stranger_behind_a_root_shuts_out_nobody_else_who_comes_through_it() {
    let (mut node, above) = leaf_under("A");
    for n in 0..500 {
        let mut junk = junk(&node, Address::from_low_bits(0x11_0000_0000 + n));
        node.handle_datagram(at(100), above.link, &mut junk).unwrap_err();
    }
    recalls(&mut node);
    // One that is known to whoever remembers members.
    let mut member = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut member, &above);
    member.say(&mut node, at(100), Verb::NETWORK_CONFIG_REQUEST, &[0; 10]).unwrap_err();
    assert_eq!(recalls(&mut node), [member.address()]);
    // And one that nobody knows.
    let mut newcomer = Client::new("C", "8.8.4.4:9993");
    to_relay(&mut newcomer, &above);
    let hello = newcomer.hello(at(100));
    newcomer.deliver(&mut node, at(100), hello).unwrap();
    assert_eq!(events(&mut node), [Event::IdentityToVerify(*newcomer.secret.public())]);
}

#[test]
fn strangers_behind_a_root_leave_room_for_those_who_come_directly() {
    let (mut node, above) = leaf_under("A");
    for n in 0..20_000 {
        let mut junk = junk(&node, Address::from_low_bits(0x11_0000_0000 + n));
        node.handle_datagram(at(100), above.link, &mut junk).unwrap_err();
    }
    let looked_up = recalls(&mut node).len();
    assert_eq!(looked_up, RELAYED_PACKET_LIMIT.burst as usize);
    assert!(looked_up < MAX_RECALLS);
    assert_eq!(node.wanted.len().0, RELAYED_WANTED_LIMIT.burst as usize);
    let mut direct = junk(&node, Address::from_low_bits(0x22_0000_0000));
    let from = Link { local: None, remote: "8.8.8.8:9993".parse().unwrap() };
    node.handle_datagram(at(100), from, &mut direct).unwrap_err();
    assert_eq!(recalls(&mut node), [Address::from_low_bits(0x22_0000_0000)]);
}

#[test]
fn identities_of_strangers_behind_a_root_are_agreed_with_within_a_bound_of_their_own() {
    let (mut node, above) = leaf_under("A");
    let text = identity("B").to_text().to_string();
    let mut stranger = Client::new("B", "8.8.8.8:9993");
    to_relay(&mut stranger, &above);
    let mut limited = 0;
    for n in 0..300_u64 {
        let address = Address::from_low_bits(0x44_0000_0000 + n);
        stranger.secret = format!("{address}{}", &text[10..]).parse().unwrap();
        let hello = stranger.hello(at(100));
        let result = stranger.deliver(&mut node, at(100), hello);
        limited += usize::from(result == Err(Ignored::RateLimited("new identities")));
    }
    assert_eq!(limited, 300 - RELAYED_IDENTITY_LIMIT.burst as usize);
    assert_eq!(recalls(&mut node).len(), limited, "those of members need no verification");
    let mut direct = Client::new("C", "8.8.4.4:9993");
    let hello = direct.hello(at(100));
    direct.deliver(&mut node, at(100), hello).unwrap();
}

#[test]
fn a_root_passes_on_to_another_root_what_it_cannot_deliver() {
    let (own, sibling) = (identity("R"), identity("A"));
    let mut planet = planet(&own, 1_000);
    let endpoints = vec!["10.0.0.2:9993".parse().unwrap()];
    planet.roots.push(Root { identity: *sibling.public(), endpoints });
    let mut node = Node::new(Arc::new(own), Some(planet), [7; 32], at(0));
    let mut sibling = Client::of_identity(sibling, "10.0.0.2:9993");
    sibling.link.local = None;
    node.handle_timeout(at(0));
    sibling.answer_everything(&mut node, at(0));
    let mut client = Client::new("B", "10.0.0.3:9993");
    sign_on(&mut node, &mut client, at(0));
    let far = Client::new("C", "10.0.0.9:9993");
    let mut packet = client.build(far.address(), Verb::NOP, &[]);
    let key = client.secret.agree(far.secret.public()).unwrap();
    zt_crypto::armor::seal(&mut packet, &key, Suite::AesGmacSiv);
    client.deliver(&mut node, at(100), packet.clone()).unwrap();
    let sent = transmits(&mut node);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].link.remote, sent[0].bytes[18] & 7), (sibling.link.remote, 1));
    // Not back to where it came from.
    HeaderMut::of(&mut packet).unwrap().set_hops(1);
    assert_eq!(sibling.deliver(&mut node, at(200), packet), Err(Ignored::NotRelayed));
    // It asks its sibling on behalf of others.
    client.say(&mut node, at(300), Verb::WHOIS, &far.address().octets()).unwrap();
    let asked = questions(&mut node, &mut sibling);
    assert_eq!(asked.len(), 1);
    answer(&mut node, &mut sibling, at(310), asked[0].0, far.secret.public()).unwrap();
    verify_identities(&mut node, at(320));
    client.say(&mut node, at(400), Verb::WHOIS, &far.address().octets()).unwrap();
    let received = client.receive(&mut node);
    assert_eq!(received.iter().map(|message| message.verb).collect::<Vec<_>>(), [Verb::OK]);
}

#[test]
fn a_node_that_loses_its_root_goes_online_again_by_itself() {
    let (mut node, mut above) = leaf_under("A");
    let mut answered = 0;
    for ms in (0..=1_400_000).step_by(500) {
        let now = at(ms);
        node.handle_timeout(now);
        let is_away = (10_000..800_000).contains(&ms);
        if ms == 790_000 {
            assert!(!node.is_online(now), "silent for longer than 500 s");
        }
        if ms == 806_000 {
            assert!(node.is_online(now), "greeted every five seconds");
        }
        // HELLO to the published address goes out through all sockets, the keepalive over the path.
        for transmit in transmits(&mut node) {
            let Some(answer) = above.open(transmit.bytes).and_then(|message| above.answer(&message)) else {
                continue;
            };
            if !is_away {
                above.deliver(&mut node, now, answer).unwrap();
                answered += 1;
            }
        }
    }
    assert!(node.is_online(at(1_400_000)));
    assert!(answered < 100, "{answered} packets in ten minutes are too many");
}
