//! What a controller and its members say to each other.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::armor::Suite;
use zt_proto::compression::Payload;
use zt_proto::verb::Verb;
use zt_proto::verb::error::{ErrorCode, ErrorReply, NetworkError};
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::multicast_like::{self, Like};
use zt_proto::verb::network_config::ConfigAcknowledgement;
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::OkReply;
use zt_proto::{Mac, MulticastGroup, NetworkId};

use super::super::{ConfigRequested, Event, Ignored, Node, Now};
use super::client::Client;
use super::{at, events, identity, leaf, recalls, root, sign_on, transmits, verify_identities};

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);

fn config_request(metadata: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let have_timestamp = zt_proto::Timestamp(0);
    NetworkConfigRequest { network: NETWORK, metadata, have_revision: 0, have_timestamp }.write(&mut payload);
    payload
}

/// Has `client` ask for its configuration; returns the event.
fn ask(node: &mut Node, client: &mut Client, now: Now, suite: Suite) -> ConfigRequested {
    let packet = client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(b"v=7"), suite);
    client.deliver(node, now, packet).unwrap();
    match events(node).as_slice() {
        [Event::ConfigRequested(requested)] => requested.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_becomes_an_event_and_its_answer_an_ok_that_quotes_it() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let requested = ask(&mut node, &mut client, at(100), Suite::AesGmacSiv);
    assert_eq!(requested.network, NETWORK);
    assert_eq!(requested.metadata, b"v=7");
    assert_eq!(requested.identity, *client.secret.public());
    assert_eq!(requested.from, Some(client.link.remote));
    node.reply_config(at(200), requested.request, &[b"first".to_vec(), vec![b'x'; 4_000]]);
    let received = client.receive(&mut node);
    let oks: Vec<_> = received.iter().map(|message| OkReply::parse(&message.payload).unwrap()).collect();
    assert_eq!(oks.len(), 2);
    for ok in &oks {
        assert_eq!(
            (ok.in_re_verb, ok.in_re_packet),
            (Verb::NETWORK_CONFIG_REQUEST, requested.request.packet)
        );
    }
    assert_eq!(oks[0].payload, b"first");
    assert_eq!(oks[1].payload, vec![b'x'; 4_000]);
}

#[test]
fn a_prepared_answer_is_what_the_same_chunk_would_be() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let chunk = [&NETWORK.octets()[..], &[b'x'; 200]].concat();
    for n in 1..=2 {
        let requested = ask(&mut node, &mut client, at(100 * n), Suite::AesGmacSiv);
        if n == 1 {
            node.reply_config(at(100), requested.request, std::slice::from_ref(&chunk));
        } else {
            let plain = [&requested.request.config_envelope()[..], &chunk].concat();
            node.reply_prepared(at(200), requested.request, NETWORK, &[Payload::new(plain)]);
        }
        let received = client.receive(&mut node);
        let [message] = &received[..] else { panic!("{received:?}") };
        let ok = OkReply::parse(&message.payload).unwrap();
        assert_eq!(ok.in_re_packet, requested.request.packet);
        assert_eq!((ok.in_re_verb, ok.payload), (Verb::NETWORK_CONFIG_REQUEST, &chunk[..]));
    }
}

/// Everything else is in tables and buffers that were there before.
#[test]
fn a_request_allocates_what_it_says_and_the_packet_of_its_answer() {
    const ROUNDS: u64 = 500;
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let payload = Payload::new(vec![b'x'; 900]);
    let mut allocations = 0;
    for n in 1..=2 * ROUNDS {
        let now = at(1_000 * n);
        let mut packet =
            client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(b"v=7"), Suite::AesGmacSiv);
        let info = allocation_counter::measure(|| {
            node.handle_datagram(now, client.link, &mut packet).unwrap();
            let Some(Event::ConfigRequested(requested)) = node.poll_event() else { panic!("no request") };
            let payloads = std::slice::from_ref(&payload);
            node.reply_prepared(now, requested.request, requested.network, payloads);
            assert!(node.poll_transmit().is_some() && node.poll_transmit().is_none());
        });
        // By then every table has its size.
        allocations += if n > ROUNDS { info.count_total } else { 0 };
    }
    assert!(allocations <= 2 * ROUNDS + 10, "{allocations} in {ROUNDS} rounds");
}

#[test]
fn a_packet_too_long_for_a_datagram_is_cut_and_put_together_both_ways_in_both_suites() {
    for (protocol, suite, number) in [(12, Suite::AesGmacSiv, 3), (9, Suite::Salsa20Poly1305, 1)] {
        let mut node = leaf();
        let mut client = Client::new("A", "10.0.0.2:9993");
        client.protocol = protocol;
        sign_on(&mut node, &mut client, at(0));
        // Does not compress, so it really takes several datagrams.
        let mut noise = vec![0; 5_000];
        ChaCha20Rng::from_seed([1; 32]).fill_bytes(&mut noise);
        let packet = client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(&noise), suite);
        client.deliver(&mut node, at(100), packet).unwrap();
        let Some(Event::ConfigRequested(requested)) = node.poll_event() else { panic!("no request") };
        assert_eq!(requested.metadata, noise);
        node.reply_config(at(100), requested.request, std::slice::from_ref(&noise));
        let datagrams = transmits(&mut node);
        assert_eq!(datagrams.len(), 4);
        assert!(datagrams.iter().all(|transmit| transmit.bytes.len() <= 1_432));
        let received: Vec<_> = datagrams.into_iter().rev().filter_map(|t| client.open(t.bytes)).collect();
        assert_eq!((received.len(), received[0].suite), (1, number));
        assert_eq!(OkReply::parse(&received[0].payload).unwrap().payload, noise);
    }
}

#[test]
fn a_refusal_is_an_error_that_names_request_and_network() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let requested = ask(&mut node, &mut client, at(100), Suite::AesGmacSiv);
    node.reply_error(at(100), requested.request, ErrorCode::NETWORK_ACCESS_DENIED, NETWORK, &[]);
    let received = client.receive(&mut node);
    let error = ErrorReply::parse(&received[0].payload).unwrap();
    assert_eq!(error.code, ErrorCode::NETWORK_ACCESS_DENIED);
    assert_eq!(error.in_re_packet, requested.request.packet);
    assert_eq!(NetworkError::parse(error.payload).unwrap().network, NETWORK);
}

#[test]
fn nothing_but_hello_and_echo_goes_to_an_address_that_is_not_confirmed() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    let test = client.receive(&mut node).into_iter().find(|message| message.verb == Verb::HELLO).unwrap();
    let requested = ask(&mut node, &mut client, at(10), Suite::Salsa20Poly1305);
    node.reply_config(at(10), requested.request, &[b"config".to_vec()]);
    assert!(client.receive(&mut node).is_empty(), "sent to an address that did not answer yet");
    // The answer to the node's own HELLO confirms the path, and the configuration follows.
    let answer = client.answer(&test).unwrap();
    client.deliver(&mut node, at(20), answer).unwrap();
    let received = client.receive(&mut node);
    assert_eq!(OkReply::parse(&received[0].payload).unwrap().payload, b"config");
}

#[test]
fn an_answer_that_waits_for_a_path_is_given_up_after_five_seconds() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    let test = client.receive(&mut node).into_iter().find(|message| message.verb == Verb::HELLO).unwrap();
    let requested = ask(&mut node, &mut client, at(10), Suite::Salsa20Poly1305);
    node.reply_config(at(10), requested.request, &[b"config".to_vec()]);
    let answer = client.answer(&test).unwrap();
    client.deliver(&mut node, at(6_000), answer).unwrap();
    assert!(client.receive(&mut node).is_empty());
}

#[test]
fn a_push_goes_as_chunks_to_modern_clients_and_as_a_hint_to_old_ones() {
    for (protocol, wanted) in [(12, b"signed chunk".to_vec()), (7, NETWORK.octets().to_vec())] {
        let mut node = leaf();
        let mut client = Client::new("A", "10.0.0.2:9993");
        client.protocol = protocol;
        sign_on(&mut node, &mut client, at(0));
        node.push_config(at(100), client.address(), NETWORK, &[b"signed chunk".to_vec()]);
        let received = client.receive(&mut node);
        assert_eq!((received[0].verb, &received[0].payload), (Verb::NETWORK_CONFIG, &wanted));
    }
}

#[test]
fn an_acknowledged_push_becomes_an_event_and_other_echo_answers_do_not() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    node.push_config(at(100), client.address(), NETWORK, &[b"one".to_vec(), b"two".to_vec()]);
    let pushed = client.receive(&mut node);
    let acknowledge = |client: &mut Client, node: &mut Node, packet: u64, length: usize| {
        let mut payload = Vec::new();
        ConfigAcknowledgement { network: NETWORK, update_id: 77 }.write(&mut payload);
        let mut ok = Vec::new();
        OkReply { in_re_verb: Verb::ECHO, in_re_packet: packet, payload: &payload[..length] }.write(&mut ok);
        client.say(node, at(200), Verb::OK, &ok)
    };
    assert!(matches!(acknowledge(&mut client, &mut node, pushed[1].packet, 15), Err(Ignored::Malformed(_))));
    assert_eq!(acknowledge(&mut client, &mut node, 4711, 16), Err(Ignored::UnexpectedOk));
    assert_eq!(events(&mut node), []);
    // The chunk that completed the configuration is the last that came, not the last that was sent.
    acknowledge(&mut client, &mut node, pushed[0].packet, 16).unwrap();
    let acknowledged =
        Event::ConfigAcknowledged { member: client.address(), network: NETWORK, update_id: 77 };
    assert_eq!(events(&mut node), [acknowledged]);
}

#[test]
fn an_echo_that_is_answered_with_its_content_acknowledges_nothing() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let link = client.link;
    node.send_over(node.start.present(at(100)), link, client.address(), Verb::ECHO, &[7; 16]);
    let echo = client.receive(&mut node);
    let answer = client.answer(&echo[0]).unwrap();
    client.deliver(&mut node, at(110), answer).unwrap();
    assert_eq!(events(&mut node), []);
}

/// `vl1.md` §10.11: that it names ECHO is a slip of the reference.
#[test]
fn an_acknowledgement_may_name_what_it_acknowledges() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    node.push_config(at(100), client.address(), NETWORK, &[b"one".to_vec()]);
    let pushed = client.receive(&mut node);
    let mut payload = Vec::new();
    ConfigAcknowledgement { network: NETWORK, update_id: 77 }.write(&mut payload);
    let mut ok = Vec::new();
    let (in_re_verb, in_re_packet) = (Verb::NETWORK_CONFIG, pushed[0].packet);
    OkReply { in_re_verb, in_re_packet, payload: &payload }.write(&mut ok);
    client.say(&mut node, at(200), Verb::OK, &ok).unwrap();
    let acknowledged =
        Event::ConfigAcknowledged { member: client.address(), network: NETWORK, update_id: 77 };
    assert_eq!(events(&mut node), [acknowledged]);
}

/// After a restart no peer is known, but the database knows who was a member.
#[test]
fn a_packet_of_a_forgotten_member_is_read_once_its_identity_is_recalled() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let packet = client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(b"v=7"), Suite::AesGmacSiv);
    assert_eq!(client.deliver(&mut node, at(0), packet), Err(Ignored::UnknownSource(client.address())));
    assert_eq!((events(&mut node), recalls(&mut node)), (Vec::new(), vec![client.address()]));
    let verified = zt_crypto::VerifiedIdentity::verify(*identity("A").public()).unwrap();
    node.identity_verified(at(10), &verified);
    let requested: Vec<_> = events(&mut node);
    assert!(matches!(requested.as_slice(), [Event::ConfigRequested(_)]), "{requested:?}");
    client.protocol = 12;
    assert!(!client.answer_everything(&mut node, at(20)).iter().any(|message| message.verb == Verb::HELLO));
    assert!(!node.peers(at(20))[0].paths.is_empty(), "the way back was not tested");
}

/// `known-flaws.md` row 9.
#[test]
fn an_ok_that_nobody_waits_for_has_no_effect() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let mut payload = Vec::new();
    OkReply { in_re_verb: Verb::ECHO, in_re_packet: 12345, payload: &[] }.write(&mut payload);
    client.link = super::link("10.0.0.77:9993");
    assert_eq!(client.say(&mut node, at(100), Verb::OK, &payload), Err(Ignored::UnexpectedOk));
    assert_eq!(node.peers(at(100))[0].paths.len(), 1, "the forged answer taught a path");
}

#[test]
fn what_was_readable_on_the_way_is_not_accepted() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let packet = client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(b""), Suite::Poly1305);
    assert_eq!(client.deliver(&mut node, at(100), packet), Err(Ignored::Clear(Verb::NETWORK_CONFIG_REQUEST)));
    assert!(events(&mut node).is_empty());
}

#[test]
fn a_compressed_request_is_understood() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let metadata = vec![b'a'; 900];
    let plain = config_request(&metadata);
    let block = zt_proto::compression::compress(&plain).unwrap();
    let mut packet = client.build(identity("R").address(), Verb::NETWORK_CONFIG_REQUEST, &block);
    packet[27] |= Verb::COMPRESSED;
    zt_crypto::armor::seal(&mut packet, &client.key, Suite::AesGmacSiv);
    client.deliver(&mut node, at(100), packet).unwrap();
    let Some(Event::ConfigRequested(requested)) = node.poll_event() else { panic!("no request") };
    assert_eq!(requested.metadata, metadata);
}

#[test]
fn an_authentic_packet_from_a_new_address_makes_the_node_test_it() {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    client.link = super::link("10.0.9.9:4444");
    client.say(&mut node, at(100), Verb::NOP, &[]).unwrap();
    let sent = client.receive(&mut node);
    assert_eq!(sent.iter().map(|message| message.verb).collect::<Vec<_>>(), [Verb::HELLO]);
    client.say(&mut node, at(200), Verb::NOP, &[]).unwrap();
    assert!(client.receive(&mut node).is_empty(), "tested again within a second");
    let answer = client.answer(&sent[0]).unwrap();
    client.deliver(&mut node, at(300), answer).unwrap();
    assert_eq!(node.peers(at(300))[0].paths.len(), 2);
}

/// The answer of a peer that wants somebody else to get what the node sends.
#[test]
fn an_ok_from_elsewhere_than_the_question_went_teaches_no_path() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    verify_identities(&mut node, at(0));
    let test = client.receive(&mut node).into_iter().find(|message| message.verb == Verb::HELLO).unwrap();
    let answer = client.answer(&test).unwrap();
    client.link = super::link("8.8.8.8:53");
    client.deliver(&mut node, at(1), answer).unwrap();
    assert!(node.peers(at(1))[0].paths.is_empty());
}

#[test]
fn packets_from_forged_addresses_reflect_little() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let mut sent = 0;
    for port in 1..10_000 {
        client.link = super::link(&format!("8.8.8.8:{port}"));
        client.say(&mut node, at(100), Verb::NOP, &[]).unwrap();
        sent += transmits(&mut node).len();
    }
    assert!(sent <= 16, "{sent} datagrams");
}

/// `vl1.md` §12.1.
#[test]
fn a_packet_that_comes_twice_has_an_effect_once_and_a_copied_hello_is_answered() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let packet = client.packet(Verb::NETWORK_CONFIG_REQUEST, &config_request(b"v=7"), Suite::AesGmacSiv);
    client.deliver(&mut node, at(100), packet.clone()).unwrap();
    assert_eq!(client.deliver(&mut node, at(200), packet.clone()), Err(Ignored::Duplicate));
    assert_eq!(events(&mut node).len(), 1);
    let hello = client.hello(at(300));
    for _ in 0..3 {
        client.deliver(&mut node, at(300), hello.clone()).unwrap();
    }
    assert_eq!(client.receive(&mut node).len(), 3);
    // A forged copy of what was not taken yet does not keep the real one out.
    let packet = client.packet(Verb::ECHO, b"x", Suite::AesGmacSiv);
    let mut forged = packet.clone();
    forged[27] ^= 1;
    assert!(matches!(client.deliver(&mut node, at(400), forged), Err(Ignored::NotAuthentic(_))));
    assert_eq!(client.deliver(&mut node, at(400), packet), Ok(()));
}

#[test]
fn a_controller_serves_the_groups_of_a_network_to_those_who_got_its_configuration_lately() {
    let mut node = leaf();
    let mut members = [Client::new("A", "10.0.0.2:9993"), Client::new("B", "10.0.0.3:9993")];
    let group = MulticastGroup { mac: Mac([0xff; 6]), adi: 0 };
    let (mut like, mut gather) = (Vec::new(), Vec::new());
    multicast_like::write(&[Like { network: NETWORK, group }], &mut like);
    MulticastGather { network: NETWORK, group, limit: 10, membership: None }.write(&mut gather);
    for member in &mut members {
        sign_on(&mut node, member, at(0));
        let refused = member.say(&mut node, at(50), Verb::MULTICAST_LIKE, &like);
        assert_eq!(refused, Err(Ignored::OnlyAsRoot));
        let requested = ask(&mut node, member, at(100), Suite::AesGmacSiv);
        let mut chunk = NETWORK.octets().to_vec();
        chunk.extend_from_slice(b"the rest of it");
        node.reply_config(at(100), requested.request, &[chunk]);
        member.receive(&mut node);
        member.say(&mut node, at(200), Verb::MULTICAST_LIKE, &like).unwrap();
    }
    let [a, b] = &mut members;
    a.say(&mut node, at(180_000), Verb::MULTICAST_GATHER, &gather).unwrap();
    let answer = a.receive(&mut node).remove(0);
    let answer = OkReply::parse(&answer.payload).unwrap();
    assert_eq!(GatherAnswer::parse(answer.payload).unwrap().members, [b.address()]);
    let late = a.say(&mut node, at(180_200), Verb::MULTICAST_GATHER, &gather);
    assert_eq!(late, Err(Ignored::OnlyAsRoot), "180 s after its configuration");
}

#[test]
fn a_member_that_is_told_to_be_none_may_not_ask_for_the_groups_of_the_network_and_is_not_named() {
    for code in [ErrorCode::NETWORK_ACCESS_DENIED, ErrorCode::OBJECT_NOT_FOUND] {
        let mut node = leaf();
        let mut members = [
            Client::new("A", "10.0.0.2:9993"),
            Client::new("B", "10.0.0.3:9993"),
            Client::new("C", "10.0.0.4:9993"),
        ];
        let group = MulticastGroup { mac: Mac([0xff; 6]), adi: 0 };
        let (mut like, mut gather) = (Vec::new(), Vec::new());
        multicast_like::write(&[Like { network: NETWORK, group }], &mut like);
        MulticastGather { network: NETWORK, group, limit: 10, membership: None }.write(&mut gather);
        let mut chunk = NETWORK.octets().to_vec();
        chunk.extend_from_slice(b"the rest of it");
        for member in &mut members {
            sign_on(&mut node, member, at(0));
            node.push_config(at(100), member.address(), NETWORK, std::slice::from_ref(&chunk));
            member.say(&mut node, at(200), Verb::MULTICAST_LIKE, &like).unwrap();
            member.receive(&mut node);
        }
        let [a, b, c] = &mut members;
        node.push_error(at(300), b.address(), code, NETWORK);
        b.receive(&mut node);
        let refused = b.say(&mut node, at(400), Verb::MULTICAST_GATHER, &gather);
        assert_eq!(refused, Err(Ignored::OnlyAsRoot));
        a.say(&mut node, at(400), Verb::MULTICAST_GATHER, &gather).unwrap();
        let answer = a.receive(&mut node).remove(0);
        let answer = OkReply::parse(&answer.payload).unwrap();
        assert_eq!(GatherAnswer::parse(answer.payload).unwrap().members, [c.address()]);
    }
}

/// Clients are on several networks, and name the groups of all of them in one packet, at every controller.
#[test]
fn groups_of_a_foreign_network_do_not_keep_out_those_beside_them() {
    let mut node = leaf();
    let mut members = [Client::new("A", "10.0.0.2:9993"), Client::new("B", "10.0.0.3:9993")];
    let group = MulticastGroup { mac: Mac([0xff; 6]), adi: 0 };
    let foreign = Like { network: NetworkId(1), group };
    let (mut likes, mut only_foreign, mut gather) = (Vec::new(), Vec::new(), Vec::new());
    multicast_like::write(&[foreign, Like { network: NETWORK, group }, foreign], &mut likes);
    multicast_like::write(&[foreign, foreign], &mut only_foreign);
    MulticastGather { network: NETWORK, group, limit: 10, membership: None }.write(&mut gather);
    for member in &mut members {
        sign_on(&mut node, member, at(0));
        let chunk = [&NETWORK.octets()[..], b"the rest of it"].concat();
        node.push_config(at(100), member.address(), NETWORK, &[chunk]);
        member.receive(&mut node);
        member.say(&mut node, at(200), Verb::MULTICAST_LIKE, &likes).unwrap();
        let refused = member.say(&mut node, at(300), Verb::MULTICAST_LIKE, &only_foreign);
        assert_eq!(refused, Err(Ignored::OnlyAsRoot));
    }
    assert_eq!(node.groups.len(), 2, "those of the foreign network are not kept");
    let [a, b] = &mut members;
    a.say(&mut node, at(400), Verb::MULTICAST_GATHER, &gather).unwrap();
    let answer = a.receive(&mut node).remove(0);
    let answer = OkReply::parse(&answer.payload).unwrap();
    assert_eq!(GatherAnswer::parse(answer.payload).unwrap().members, [b.address()]);
}
