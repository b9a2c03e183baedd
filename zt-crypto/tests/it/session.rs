//! A recorded conversation (`vl1.md` §9, §10): every packet is opened, read and sealed again to the same bytes.

use std::collections::BTreeMap;

use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::Address;
use zt_proto::compression;
use zt_proto::packet::{Datagram, FragmentHeader, MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::hello::{Hello, parse_moons};
use zt_proto::verb::{Message, Verb};

use crate::vectors::{hex, list, load, text};

#[test]
fn recorded_packets_are_opened_read_and_sealed_again() {
    let vectors = load("vl1/session.json");
    let nodes = nodes(&vectors);
    let mut heads: BTreeMap<u64, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    let mut opened = 0;
    for entry in list(&vectors["datagrams"]) {
        let datagram = hex(&entry["datagram"]);
        let packet = match Datagram::classify(&datagram) {
            Ok(Datagram::Packet(header)) if header.is_fragmented() => {
                heads.insert(header.id, (datagram.clone(), Vec::new()));
                continue;
            }
            Ok(Datagram::Packet(_)) => datagram.clone(),
            Ok(Datagram::Fragment(FragmentHeader { packet_id, total, number, .. }, data)) => {
                let Some((head, rest)) = heads.get_mut(&packet_id) else { continue };
                rest.extend_from_slice(data);
                if number + 1 < total {
                    continue;
                }
                [&head[..], rest].concat()
            }
            Err(_) => continue,
        };
        let header = PacketHeader::parse(&packet).unwrap();
        let (Some(from), Some(to)) = (nodes.get(&header.source), nodes.get(&header.destination)) else {
            continue;
        };
        let key = from.agree(to.public()).unwrap();
        check(&packet, &key);
        opened += 1;
    }
    assert!(opened > 100, "{opened}");
}

fn check(received: &[u8], key: &SessionKey) {
    let mut packet = received.to_vec();
    let suite = armor::open(&mut packet, key).unwrap();
    let (verb, compressed) = Verb::from_byte(packet[VERB_OFFSET]);
    let mut payload = packet[PAYLOAD_OFFSET..].to_vec();
    if compressed {
        payload = compression::decompress(&payload, MAX_PAYLOAD).unwrap();
    }
    let message = Message::parse(verb, &payload).unwrap();
    if let Message::Hello(hello) = &message {
        check_tail(hello, received, key);
    }
    // suite 3 hides the id that the sender chose, so what it sealed cannot be had again
    if suite != Suite::AesGmacSiv {
        packet[18] &= 0x47;
        armor::seal(&mut packet, key, suite);
        packet[18] |= received[18] & 0x07;
        assert_eq!(packet, received);
    }
}

fn check_tail(hello: &Hello<'_>, received: &[u8], key: &SessionKey) {
    let mut tail = hello.tail.to_vec();
    armor::mask_hello_tail(&mut tail, PacketHeader::parse(received).unwrap().id, key);
    assert!(parse_moons(&tail).is_ok());
}

fn nodes(vectors: &serde_json::Value) -> BTreeMap<Address, IdentitySecret> {
    let nodes = vectors["nodes"].as_object().unwrap().values();
    let secrets = nodes.map(|node| text(&node["identity_secret"]).parse::<IdentitySecret>().unwrap());
    secrets.map(|secret| (secret.address(), secret)).collect()
}
