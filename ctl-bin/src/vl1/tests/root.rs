//! The duties of a root: it tells who is who, relays, introduces, and knows who listens to what.

use zt_crypto::armor::{self, Suite};
use zt_proto::packet::{DEFAULT_MTU, HeaderMut, PacketHeader, fragment};
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::multicast_like::{self, Like};
use zt_proto::verb::ok::OkReply;
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::{Verb, whois};
use zt_proto::{Address, Mac, MulticastGroup, NetworkId, PublicIdentity};

use super::super::{Ignored, Node, Now};
use super::client::Client;
use super::{at, identity, leaf, root, sign_on, transmits};

/// Returns a root and two clients that it knows.
fn root_with_two() -> (Node, Client, Client) {
    let mut node = root();
    let mut a = Client::new("A", "10.0.0.2:9993");
    let mut b = Client::new("B", "10.0.0.3:21000");
    sign_on(&mut node, &mut a, at(0));
    sign_on(&mut node, &mut b, at(0));
    (node, a, b)
}

/// What a node counts for that, it need not count before.
#[test]
fn a_node_that_becomes_a_root_relays_for_those_that_it_knows_and_ends_that_when_it_is_none_any_more() {
    let mut node = leaf();
    let mut a = Client::new("A", "10.0.0.2:9993");
    let mut b = Client::new("B", "10.0.0.3:21000");
    sign_on(&mut node, &mut a, at(0));
    sign_on(&mut node, &mut b, at(0));
    for (planet, is_relayed) in [(None, false), (root().planet().cloned(), true), (None, false)] {
        node.set_planet(at(10), planet);
        let packet = packet_between(&mut a, &b, 100);
        let relayed = a.deliver(&mut node, at(10), packet);
        assert_eq!(relayed, if is_relayed { Ok(()) } else { Err(Ignored::NotRelayed) });
        assert_eq!(node.hosts.len(), if is_relayed { 2 } else { 0 });
    }
}

fn who_is(node: &mut Node, client: &mut Client, now: Now, address: Address) -> Option<PublicIdentity> {
    client.say(node, now, Verb::WHOIS, &address.octets()).unwrap();
    let received = client.receive(node);
    let answer = OkReply::parse(&received.first()?.payload).unwrap();
    assert_eq!(answer.in_re_verb, Verb::WHOIS);
    whois::parse_answer(answer.payload).next().map(|identity| identity.unwrap())
}

#[test]
fn whois_is_answered_for_peers_and_for_the_root_itself_and_not_for_strangers() {
    let (mut node, mut a, b) = root_with_two();
    assert_eq!(who_is(&mut node, &mut a, at(100), b.address()), Some(*b.secret.public()));
    assert_eq!(who_is(&mut node, &mut a, at(100), node_address()), Some(*identity("R").public()));
    assert_eq!(who_is(&mut node, &mut a, at(100), Address::from_low_bits(0x12_3456_789a)), None);
}

fn node_address() -> Address {
    identity("R").address()
}

/// A packet from `from` to `to`, armored with their own key.
fn packet_between(from: &mut Client, to: &Client, len: usize) -> Vec<u8> {
    let key = from.secret.agree(to.secret.public()).unwrap();
    let mut packet = from.build(to.address(), Verb::FRAME, &vec![7; len]);
    if packet.len() > DEFAULT_MTU {
        HeaderMut::of(&mut packet).unwrap().set_fragmented(true);
    }
    armor::seal(&mut packet, &key, Suite::AesGmacSiv);
    packet
}

#[test]
fn a_packet_for_another_peer_is_relayed_one_hop_further_and_both_are_introduced() {
    let (mut node, mut a, mut b) = root_with_two();
    let packet = packet_between(&mut a, &b, 100);
    a.deliver(&mut node, at(100), packet.clone()).unwrap();
    let sent = transmits(&mut node);
    let relayed = &sent[0];
    assert_eq!(relayed.link, b.link);
    let header = PacketHeader::parse(&relayed.bytes).unwrap();
    assert_eq!((header.hops(), header.destination), (1, b.address()));
    assert_eq!(relayed.bytes[19..], packet[19..], "only the hops change");
    let letters: Vec<_> = sent[1..]
        .iter()
        .map(|transmit| {
            let reader = if transmit.link == a.link { &mut a } else { &mut b };
            let message = reader.open(transmit.bytes.clone()).unwrap();
            assert_eq!(message.verb, Verb::RENDEZVOUS);
            (reader.address(), Rendezvous::parse(&message.payload).unwrap())
        })
        .collect();
    assert_eq!(letters.len(), 2);
    for (to, letter) in letters {
        let other = if to == a.address() { &b } else { &a };
        assert_eq!((letter.peer, letter.endpoint), (other.address(), other.link.remote));
    }
    // Not again within 30 s.
    a.deliver(&mut node, at(29_000), packet.clone()).unwrap();
    assert_eq!(transmits(&mut node).len(), 1);
}

#[test]
fn a_fragmented_packet_is_relayed_piece_by_piece() {
    let (mut node, mut a, b) = root_with_two();
    let packet = packet_between(&mut a, &b, 3_000);
    let pieces: Vec<_> = fragment::split(&packet, DEFAULT_MTU).collect();
    a.deliver(&mut node, at(100), packet).unwrap();
    let relayed: Vec<_> = transmits(&mut node).into_iter().filter(|t| t.link == b.link).collect();
    let fragments: Vec<_> = relayed.iter().filter(|t| t.bytes[13] == 0xff).collect();
    assert_eq!(fragments.len(), pieces.len() - 1);
    for (fragment, piece) in fragments.iter().zip(&pieces[1..]) {
        assert_eq!((fragment.bytes[15], &fragment.bytes[16..]), (1, &piece[16..]));
    }
}

/// `known-flaws.md` row 11: hop counts.
#[test]
fn what_came_over_three_relays_or_from_a_stranger_or_through_a_leaf_is_not_relayed() {
    let (mut node, mut a, b) = root_with_two();
    let mut packet = packet_between(&mut a, &b, 100);
    HeaderMut::of(&mut packet).unwrap().set_hops(3);
    assert_eq!(a.deliver(&mut node, at(100), packet.clone()), Err(Ignored::NotRelayed));
    HeaderMut::of(&mut packet).unwrap().set_hops(2);
    a.link = super::link("10.0.0.99:9993");
    assert_eq!(a.deliver(&mut node, at(100), packet.clone()), Err(Ignored::NotRelayed));
    assert!(transmits(&mut node).is_empty());

    let mut node = leaf();
    let (mut a, mut b) = (Client::new("A", "10.0.0.2:9993"), Client::new("B", "10.0.0.3:9993"));
    sign_on(&mut node, &mut a, at(0));
    sign_on(&mut node, &mut b, at(0));
    assert_eq!(a.deliver(&mut node, at(100), packet), Err(Ignored::NotRelayed));
}

#[test]
fn whoever_wants_a_group_is_found_by_the_others() {
    let (mut node, mut a, mut b) = root_with_two();
    let network = NetworkId(0x7d82_73c3_5800_0001);
    let group = MulticastGroup { mac: Mac([0xff; 6]), adi: 0x0a01_0203 };
    let mut likes = Vec::new();
    multicast_like::write(&[Like { network, group }], &mut likes);
    a.say(&mut node, at(100), Verb::MULTICAST_LIKE, &likes).unwrap();
    let mut question = Vec::new();
    MulticastGather { network, group, limit: 10, membership: None }.write(&mut question);
    b.say(&mut node, at(200), Verb::MULTICAST_GATHER, &question).unwrap();
    let received = b.receive(&mut node);
    let answer = OkReply::parse(&received[0].payload).unwrap();
    let answer = GatherAnswer::parse(answer.payload).unwrap();
    assert_eq!((answer.known, answer.members), (1, vec![a.address()]));
    // Nobody but the asker: no answer.
    a.say(&mut node, at(300), Verb::MULTICAST_GATHER, &question).unwrap();
    assert!(a.receive(&mut node).is_empty());
}

/// A client has several sockets, and some NATs give it new ports all the time.
#[test]
fn a_client_is_relayed_for_from_any_port_of_its_host() {
    let (mut node, mut a, b) = root_with_two();
    a.link = super::link("10.0.0.2:31337");
    let packet = packet_between(&mut a, &b, 100);
    assert_eq!(a.deliver(&mut node, at(100), packet), Ok(()));
}

#[test]
fn a_client_that_got_a_new_identity_is_relayed_for_when_the_old_one_is_forgotten() {
    let (mut node, mut old, mut b) = root_with_two();
    let mut new = Client::new("C", "10.0.0.2:9993");
    sign_on(&mut node, &mut new, at(1_000));
    old.link = super::link("10.0.0.99:1");
    for seconds in (1..=520).step_by(10) {
        let now = at(seconds * 1_000);
        node.handle_timeout(now);
        for client in [&mut new, &mut b] {
            client.say(&mut node, now, Verb::NOP, &[]).unwrap();
        }
        transmits(&mut node);
    }
    assert_eq!(node.peers(at(520_000)).len(), 2);
    let packet = packet_between(&mut new, &b, 100);
    assert_eq!(new.deliver(&mut node, at(520_000), packet), Ok(()));
}

#[test]
fn an_introduction_goes_over_the_path_that_it_names_to_the_other() {
    let mut node = root();
    let mut clients: Vec<_> =
        [("A", "10.0.0.2:9993", "[fd00::2]:9993"), ("B", "10.0.0.3:9993", "[fd00::3]:9993")]
            .into_iter()
            .map(|(name, v4, v6)| {
                let mut client = Client::new(name, v4);
                sign_on(&mut node, &mut client, at(0));
                client.link = super::link(v6);
                let hello = client.hello(at(100));
                client.deliver(&mut node, at(100), hello).unwrap();
                // Slower than IPv4, so that IPv4 is the best path.
                for message in client.receive(&mut node) {
                    if let Some(answer) = client.answer(&message) {
                        client.deliver(&mut node, at(150), answer).unwrap();
                    }
                }
                client.link = super::link(v4);
                client
            })
            .collect();
    let (mut a, mut b) = (clients.remove(0), clients.remove(0));
    let packet = packet_between(&mut a, &b, 100);
    a.deliver(&mut node, at(200), packet).unwrap();
    let letters = transmits(&mut node).split_off(1);
    assert_eq!(letters.len(), 2);
    for transmit in letters {
        let destination = PacketHeader::parse(&transmit.bytes).unwrap().destination;
        let reader = if destination == a.address() { &mut a } else { &mut b };
        let message = reader.open(transmit.bytes).unwrap();
        let letter = Rendezvous::parse(&message.payload).unwrap();
        assert_eq!(letter.endpoint.is_ipv6(), transmit.link.remote.is_ipv6());
        assert!(letter.endpoint.is_ipv6(), "IPv6 before IPv4");
    }
}

/// It asks for the group of each address, so that 500 contacts are 500 questions.
#[test]
fn a_client_that_contacts_very_many_after_its_start_finds_all_of_them_at_once() {
    let (mut node, mut a, mut b) = root_with_two();
    let network = NetworkId(0x7d82_73c3_5800_0001);
    let group = |adi| MulticastGroup { mac: Mac([0xff; 6]), adi };
    for first in (0..1_000).step_by(50) {
        let likes: Vec<_> = (first..first + 50).map(|adi| Like { network, group: group(adi) }).collect();
        let mut payload = Vec::new();
        multicast_like::write(&likes, &mut payload);
        a.say(&mut node, at(100), Verb::MULTICAST_LIKE, &payload).unwrap();
    }
    let mut answers = 0;
    for adi in 0..1_000 {
        let mut question = Vec::new();
        MulticastGather { network, group: group(adi), limit: 10, membership: None }.write(&mut question);
        b.say(&mut node, at(200), Verb::MULTICAST_GATHER, &question).unwrap();
        answers += b.receive(&mut node).len();
    }
    assert_eq!(answers, 1_000);
    // But not more and more of them.
    let mut question = Vec::new();
    MulticastGather { network, group: group(0), limit: 10, membership: None }.write(&mut question);
    let more = (0..1_000).filter(|_| b.say(&mut node, at(200), Verb::MULTICAST_GATHER, &question).is_ok());
    assert_eq!(more.count(), 24);
}
