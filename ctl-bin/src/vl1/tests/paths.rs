//! How paths are found, doubted and lost.

use std::net::SocketAddr;

use zt_proto::verb::Verb;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::push_direct_paths::{self, DirectPath};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::{Address, NetworkId};

use super::super::{Event, Ignored, Link, Node, Now};
use super::client::Client;
use super::upstream::{leaf_under, route, to_relay};
use super::{at, identity, leaf, root, sign_on, transmits};

fn push(endpoints: &[&str]) -> Vec<u8> {
    let path = |text: &&str| DirectPath { flags: 0, endpoint: text.parse().unwrap() };
    let mut payload = Vec::new();
    push_direct_paths::write(&endpoints.iter().map(path).collect::<Vec<_>>(), &mut payload);
    payload
}

/// Where the node sends, in order.
fn destinations(node: &mut Node) -> Vec<SocketAddr> {
    transmits(node).into_iter().map(|transmit| transmit.link.remote).collect()
}

#[test]
fn an_address_that_a_peer_tells_is_contacted_and_becomes_a_path_when_it_answers() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(1_000), Verb::PUSH_DIRECT_PATHS, &push(&["192.168.1.2:9993"])).unwrap();
    let sent = transmits(&mut node);
    assert_eq!(sent.len(), 1);
    // From the socket that was told, whatever address of this machine leads there.
    assert_eq!(sent[0].link.local, Some("0.0.0.0:9993".parse().unwrap()));
    let message = client.open(sent[0].bytes.clone()).unwrap();
    assert_eq!(message.verb, Verb::ECHO, "the smallest packet that is answered");
    client.link = super::link("192.168.1.2:9993");
    let answer = client.answer(&message).unwrap();
    client.deliver(&mut node, at(1_010), answer).unwrap();
    assert_eq!(node.peers(at(1_010))[0].paths.len(), 2);
}

#[test]
fn what_a_peer_tells_is_not_tried_where_no_path_can_lead() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let useless = [
        "127.0.0.1:9993",
        "169.254.1.1:9993",
        "224.0.0.1:9993",
        "0.0.0.0:9993",
        "255.255.255.255:9993",
        "[::1]:9993",
        "[fe80::1:2]:9993",
        "[2001:470:1::1]:9993",
        "8.8.8.8:0",
        // Leads there already.
        "10.0.0.2:9993",
    ];
    client.say(&mut node, at(1_000), Verb::PUSH_DIRECT_PATHS, &push(&useless)).unwrap();
    assert!(destinations(&mut node).is_empty());
    let mut payload = push(&["8.8.8.8:1"]);
    payload[2] = DirectPath::FORGET;
    client.say(&mut node, at(1_001), Verb::PUSH_DIRECT_PATHS, &payload).unwrap();
    assert!(destinations(&mut node).is_empty());
}

/// `known-flaws.md` row 9: a peer that names other people's addresses.
#[test]
fn unlimited_pushes_of_direct_paths_make_few_datagrams() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let (mut sent, mut limited) = (0, 0);
    for n in 0..1_000_u64 {
        let victims: Vec<_> = (0..50).map(|port| format!("8.8.{}.8:{}", n % 250, 1_000 + port)).collect();
        let victims: Vec<_> = victims.iter().map(String::as_str).collect();
        match client.say(&mut node, at(1_000 + n), Verb::PUSH_DIRECT_PATHS, &push(&victims)) {
            Ok(()) => {}
            Err(Ignored::RateLimited(_)) => limited += 1,
            Err(other) => panic!("{other}"),
        }
        sent += transmits(&mut node).len();
    }
    assert_eq!(limited, 1_000 - 8);
    assert!(sent <= 16, "{sent} datagrams");
}

/// `known-flaws.md` row 9.
#[test]
fn an_introduction_by_somebody_who_is_no_root_is_ignored() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    let mut other = Client::new("B", "10.0.0.3:9993");
    sign_on(&mut node, &mut client, at(0));
    sign_on(&mut node, &mut other, at(0));
    let mut payload = Vec::new();
    let endpoint = "8.8.8.8:53".parse().unwrap();
    Rendezvous { flags: 0, peer: other.address(), endpoint }.write(&mut payload);
    let result = client.say(&mut node, at(1_000), Verb::RENDEZVOUS, &payload);
    assert_eq!(result, Err(Ignored::NotFromRoot));
    assert!(destinations(&mut node).is_empty());
}

#[test]
fn an_introduction_by_a_root_leads_to_a_direct_path() {
    let (mut node, mut above) = leaf_under("A");
    let mut client = Client::new("B", "8.8.8.8:4444");
    to_relay(&mut client, &above);
    let hello = client.hello(at(100));
    client.deliver(&mut node, at(100), hello).unwrap();
    super::verify_identities(&mut node, at(100));
    transmits(&mut node);
    let mut payload = Vec::new();
    let endpoint = "8.8.8.8:4444".parse().unwrap();
    Rendezvous { flags: 0, peer: client.address(), endpoint }.write(&mut payload);
    above.say(&mut node, at(200), Verb::RENDEZVOUS, &payload).unwrap();
    let sent = transmits(&mut node);
    assert_eq!(sent.iter().map(|transmit| transmit.link.remote).collect::<Vec<_>>(), [endpoint]);
    let message = client.open(sent[0].bytes.clone()).unwrap();
    (client.link, client.hops) = (super::link("8.8.8.8:4444"), 0);
    let answer = client.answer(&message).unwrap();
    client.deliver(&mut node, at(210), answer).unwrap();
    let view = node.peers(at(210)).into_iter().find(|peer| peer.address == client.address()).unwrap();
    assert_eq!(view.paths.len(), 1);
    // Nobody looks for somebody of whom nothing is known.
    let mut payload = Vec::new();
    Rendezvous { flags: 0, peer: Address::from_low_bits(0x12_3456), endpoint }.write(&mut payload);
    above.say(&mut node, at(300), Verb::RENDEZVOUS, &payload).unwrap();
    assert!(transmits(&mut node).is_empty());
}

/// A root introduces right after it has relayed the first packet, when this node has yet to learn whose it is.
#[test]
fn an_introduction_to_somebody_whose_identity_is_still_asked_for_is_not_lost() {
    let (mut node, mut above) = leaf_under("A");
    let mut client = Client::new("B", "8.8.8.8:4444");
    to_relay(&mut client, &above);
    client.say(&mut node, at(100), Verb::NETWORK_CONFIG_REQUEST, &[0; 10]).unwrap_err();
    let mut payload = Vec::new();
    let endpoint = "8.8.8.8:4444".parse().unwrap();
    Rendezvous { flags: 0, peer: client.address(), endpoint }.write(&mut payload);
    above.say(&mut node, at(101), Verb::RENDEZVOUS, &payload).unwrap();
    assert!(!destinations(&mut node).contains(&endpoint));
    node.take_up(node.start.present(at(200)), client.secret.public(), None);
    assert!(destinations(&mut node).contains(&endpoint));
}

/// Nor to one whose identity is being verified, or looked up as it may be that of a member.
#[test]
fn an_introduction_to_somebody_whose_identity_is_not_asked_for_is_not_lost_either() {
    for is_verified in [true, false] {
        let (mut node, mut above) = leaf_under("A");
        let mut client = Client::new("B", "8.8.8.8:4444");
        to_relay(&mut client, &above);
        if !is_verified {
            // There is no time for HELLOs of strangers.
            let text = identity("B").to_text().to_string();
            for n in 0..200_u64 {
                let address = Address::from_low_bits(0x44_0000_0000 + n);
                client.secret = format!("{address}{}", &text[10..]).parse().unwrap();
                let hello = client.hello(at(100));
                client.deliver(&mut node, at(100), hello).ok();
            }
            client.secret = identity("B");
        }
        let hello = client.hello(at(100));
        assert_eq!(client.deliver(&mut node, at(100), hello).is_ok(), is_verified);
        let mut payload = Vec::new();
        let endpoint = "8.8.8.8:4444".parse().unwrap();
        Rendezvous { flags: 0, peer: client.address(), endpoint }.write(&mut payload);
        above.say(&mut node, at(101), Verb::RENDEZVOUS, &payload).unwrap();
        assert!(!destinations(&mut node).contains(&endpoint));
        node.take_up(node.start.present(at(200)), client.secret.public(), None);
        assert!(destinations(&mut node).contains(&endpoint));
    }
}

/// A stranger is not told, even if it asks for a network that is gone, and a member as soon as it counts as one.
#[test]
fn a_member_that_comes_through_a_root_is_told_where_the_node_is_and_not_too_often() {
    let (mut node, above) = leaf_under("A");
    node.set_own_addresses(
        &["10.0.0.1:9993", "127.0.0.1:9993", "9.9.9.9:777"].map(|text| text.parse().unwrap()),
    );
    let mut client = Client::new("B", "8.8.8.8:4444");
    to_relay(&mut client, &above);
    let hello = client.hello(at(100));
    client.deliver(&mut node, at(100), hello).unwrap();
    super::verify_identities(&mut node, at(100));
    transmits(&mut node);
    let network = NetworkId(0x7d82_73c3_5800_0001);
    let mut told = Vec::new();
    for seconds in 1..=240 {
        let mut packet =
            client.packet(Verb::NETWORK_CONFIG_REQUEST, &[0; 8], zt_crypto::armor::Suite::AesGmacSiv);
        zt_proto::packet::HeaderMut::of(&mut packet).unwrap().set_hops(1);
        client.deliver(&mut node, at(seconds * 1_000), packet).unwrap();
        if seconds == 10 {
            let Some(Event::ConfigRequested(asked)) = node.poll_event() else { panic!("no request") };
            node.reply_farewell(at(10_000), asked.request, &[network.octets().to_vec()]);
        } else if seconds == 20 {
            node.push_config(at(20_000), client.address(), network, &[network.octets().to_vec()]);
        } else if seconds == 60 {
            node.push_error(at(60_000), client.address(), ErrorCode::NETWORK_ACCESS_DENIED, network);
        }
        for message in route(&mut node, &mut client) {
            if message.verb == Verb::PUSH_DIRECT_PATHS {
                let paths = push_direct_paths::parse(&message.payload).unwrap();
                told.push((
                    seconds,
                    paths.into_iter().map(|path| path.endpoint.to_string()).collect::<Vec<_>>(),
                ));
            }
        }
    }
    assert_eq!(told.iter().map(|(seconds, _)| *seconds).collect::<Vec<_>>(), [20, 35, 50]);
    // As the root sees the node, then what its own machine says.
    assert_eq!(told[0].1, ["10.0.0.1:9993", "9.9.9.9:777"]);
}

#[test]
fn a_living_path_to_the_same_host_keeps_other_ports_out() {
    let mut node = leaf();
    let mut client = Client::new("A", "8.8.8.8:9993");
    sign_on(&mut node, &mut client, at(0));
    client.link = super::link("8.8.8.8:31337");
    client.say(&mut node, at(18_000), Verb::NOP, &[]).unwrap();
    assert_eq!(destinations(&mut node), ["8.8.8.8:9993".parse().unwrap()], "asked whether it is still there");
    client.say(&mut node, at(18_100), Verb::NOP, &[]).unwrap();
    assert!(destinations(&mut node).is_empty(), "not again at once");
    client.say(&mut node, at(20_000), Verb::NOP, &[]).unwrap();
    assert_eq!(destinations(&mut node).len(), 1, "the old path has been silent for 20 s");
    // From another socket of this machine it is another matter.
    client.link.local = Some("10.0.0.1:29999".parse().unwrap());
    client.say(&mut node, at(20_100), Verb::NOP, &[]).unwrap();
    assert_eq!(destinations(&mut node).len(), 1);
}

#[test]
fn answers_leave_through_the_socket_to_which_the_question_came() {
    let mut node = leaf();
    let mut client = Client::new("A", "8.8.8.8:9993");
    for port in [9993, 29_999] {
        client.link.local = Some(SocketAddr::new("10.0.0.1".parse().unwrap(), port));
        let hello = client.hello(at(0));
        client.deliver(&mut node, at(0), hello).unwrap();
        super::verify_identities(&mut node, at(0));
        let sent = transmits(&mut node);
        assert!(sent.iter().all(|transmit| transmit.link == client.link), "{sent:?}");
        for transmit in sent {
            let message = client.open(transmit.bytes).unwrap();
            if let Some(answer) = client.answer(&message) {
                client.deliver(&mut node, at(0), answer).unwrap();
            }
        }
    }
    assert_eq!(node.peers(at(1))[0].paths.len(), 2, "a path is a local socket and a remote address");
}

#[test]
fn no_path_leads_to_loopback_and_yet_hello_is_answered_there() {
    let mut node = leaf();
    let mut client = Client::new("A", "127.0.0.1:9993");
    let hello = client.hello(at(0));
    client.deliver(&mut node, at(0), hello).unwrap();
    super::verify_identities(&mut node, at(0));
    let received = client.receive(&mut node);
    assert_eq!(received.iter().map(|message| message.verb).collect::<Vec<_>>(), [Verb::OK]);
    assert!(node.peers(at(0))[0].paths.is_empty());
}

#[test]
fn a_path_that_expired_is_the_last_resort_and_not_for_ever() {
    let mut node = leaf();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    // Alive over another way only: the node hears it, but over a link that no path can have.
    let direct = client.link;
    client.link = super::link("127.0.0.1:1");
    let mut reached = Vec::new();
    for seconds in (200..=800).step_by(50) {
        let now = at(seconds * 1_000);
        client.say(&mut node, now, Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
        node.handle_timeout(now);
        transmits(&mut node);
        node.push_config(now, client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
        reached.push((seconds, transmits(&mut node).iter().any(|transmit| transmit.link == direct)));
    }
    let expected: Vec<_> = (200..=800).step_by(50).map(|seconds| (seconds, seconds <= 500)).collect();
    assert_eq!(reached, expected);
}

/// Has `above` tell the node at which address it sees it.
fn report(node: &mut Node, above: &mut Client, now: Now, seen_as: &str) {
    above.sees_node_at = seen_as.parse().unwrap();
    let hello = above.hello(now);
    above.deliver(node, now, hello).unwrap();
}

#[test]
fn when_a_root_sees_another_address_all_paths_of_that_reach_prove_themselves_anew() {
    let (mut node, mut above) = leaf_under("A");
    let mut client = Client::new("B", "10.0.0.3:9993");
    let mut elsewhere = Client::new("C", "8.8.8.8:9993");
    for member in [&mut client, &mut elsewhere] {
        sign_on(&mut node, member, at(100));
        member.say(&mut node, at(200), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    }
    transmits(&mut node);
    report(&mut node, &mut above, at(1_000), "10.0.0.1:9993");
    transmits(&mut node);
    report(&mut node, &mut above, at(2_000), "10.0.0.77:9993");
    assert_eq!(node.surface_addresses(at(2_000))[0], "10.0.0.77:9993".parse().unwrap());
    transmits(&mut node);
    // Until the path answers, the way is through the root.
    node.push_config(at(2_000), client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
    assert_eq!(destinations(&mut node), [above.link.remote; 2], "where this node is, and the configuration");
    node.push_config(at(2_000), elsewhere.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
    assert_eq!(destinations(&mut node), [elsewhere.link.remote], "a path of another reach is not doubted");
    node.handle_timeout(at(2_100));
    let proofs = client.receive(&mut node);
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    let answer = client.answer(&proofs[0]).unwrap();
    client.deliver(&mut node, at(2_110), answer).unwrap();
    node.push_config(at(2_120), client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
    assert_eq!(destinations(&mut node), [client.link.remote]);
}

#[test]
fn what_an_ordinary_peer_says_of_this_node_changes_nothing() {
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    report(&mut node, &mut client, at(1_000), "10.0.0.66:9993");
    client.receive(&mut node);
    node.push_config(at(1_000), client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
    assert_eq!(destinations(&mut node), [client.link.remote]);
}

#[test]
fn a_link_to_another_family_leaves_from_any_socket() {
    let link = super::link("8.8.8.8:1");
    assert_eq!(
        link.toward("[2003::1]:1".parse().unwrap()),
        Link { local: None, remote: "[2003::1]:1".parse().unwrap() }
    );
    assert_eq!(identity("R").address(), leaf().address());
}

/// A NAT that was restarted: nothing gets through any more, and it takes three lost probes to notice.
#[test]
fn a_path_that_fails_gives_way_to_the_root_until_it_answers_again() {
    let (mut node, mut above) = leaf_under("A");
    let mut client = Client::new("B", "8.8.8.8:9993");
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(100), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    let mut ways = Vec::new();
    for ms in (500..=80_000).step_by(500) {
        let now = at(ms);
        node.handle_timeout(now);
        for transmit in transmits(&mut node) {
            let is_for = |who: &Client| transmit.bytes[8..13] == who.address().octets();
            let answers = !(20_000..50_000).contains(&ms);
            if is_for(&above) {
                let message = above.open(transmit.bytes).unwrap();
                above.answer(&message).map(|answer| above.deliver(&mut node, now, answer));
            } else if answers && is_for(&client) && transmit.link == client.link {
                let message = client.open(transmit.bytes).unwrap();
                client.answer(&message).map(|answer| client.deliver(&mut node, now, answer));
            }
        }
        transmits(&mut node);
        node.push_config(now, client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
        let is_direct = destinations(&mut node) == [client.link.remote];
        if ways.last().is_none_or(|(_, last)| *last != is_direct) {
            ways.push((ms, is_direct));
        }
    }
    let directs: Vec<_> = ways.iter().map(|(_, is_direct)| *is_direct).collect();
    assert_eq!(directs, [true, false, true], "{ways:?}");
    assert!(ways[1].0 <= 20_000 + 23_000 && ways[2].0 <= 50_000 + 15_000, "{ways:?}");
}

/// A recorded HELLO is authentic for ever, and other packets are forgotten after ten seconds: whoever replays them from the
/// address that a client had keeps the path there from expiring, but not in use.
#[test]
fn a_path_over_which_only_recorded_packets_come_gives_way() {
    let mut node = leaf();
    let mut client = Client::new("A", "8.8.8.8:9993");
    let (old, new) = (client.link, super::link("8.8.8.8:31337"));
    let recorded = client.hello(at(0));
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(100), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    client.answer_everything(&mut node, at(100));
    client.link = new;
    let mut moved = None;
    for ms in (1_000..=40_000).step_by(500) {
        let now = at(ms);
        node.handle_timeout(now);
        if ms % 5_000 == 0 {
            node.handle_datagram(now, old, &mut recorded.clone()).unwrap();
        }
        if ms % 7_000 == 0 {
            client.say(&mut node, now, Verb::NOP, &[]).unwrap();
        }
        // What goes to the old port is lost.
        client.answer_everything(&mut node, now);
        node.push_config(now, client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
        if destinations(&mut node) == [new.remote] {
            moved.get_or_insert(ms);
        } else {
            moved = None;
        }
    }
    assert!(moved.is_some_and(|ms| ms <= 30_000), "{moved:?}");
}

/// An answer proves that the path worked when it was asked for, and no more.
#[test]
fn a_recorded_answer_to_an_earlier_question_proves_nothing() {
    let (mut node, mut above) = leaf_under("A");
    let mut client = Client::new("B", "8.8.8.8:9993");
    sign_on(&mut node, &mut client, at(0));
    client.say(&mut node, at(0), Verb::NETWORK_CONFIG_REQUEST, &[0; 8]).unwrap();
    transmits(&mut node);
    node.handle_timeout(at(14_000));
    let mut recorded = None;
    for message in client.receive(&mut node) {
        let answer = client.answer(&message).unwrap();
        recorded = Some(answer.clone());
        client.deliver(&mut node, at(14_010), answer).unwrap();
    }
    let recorded = recorded.expect("the path was probed");
    for ms in (14_500..=42_000).step_by(500) {
        node.handle_timeout(at(ms));
        above.answer_everything(&mut node, at(ms));
        // It is a duplicate at first, and in the end nobody waits for it any more.
        client.deliver(&mut node, at(ms), recorded.clone()).ok();
    }
    transmits(&mut node);
    node.push_config(at(42_000), client.address(), NetworkId(1), &[b"signed chunk".to_vec()]);
    assert_eq!(destinations(&mut node), [above.link.remote; 2]);
}
