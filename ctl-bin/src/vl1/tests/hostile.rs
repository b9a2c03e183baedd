//! Datagrams from people who do not wish us well.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_crypto::armor::Suite;
use zt_proto::verb::Verb;

use super::super::multicast::MAX_PER_NODE;
use super::super::reassembly::MAX_INCOMPLETE;
use super::super::strangers::{MAX_KEPT, MAX_VERIFYING};
use super::client::Client;
use super::{at, events, root, sign_on, transmits};

/// Every verb, with a payload that is long enough for any of them.
fn authentic_packets(client: &mut Client) -> Vec<Vec<u8>> {
    let payload: Vec<u8> = (0..200).collect();
    let mut packets: Vec<_> = (0..0x20)
        .flat_map(|verb| {
            [Suite::Salsa20Poly1305, Suite::AesGmacSiv, Suite::Poly1305].map(|suite| (verb, suite))
        })
        .map(|(verb, suite)| client.packet(Verb(verb), &payload, suite))
        .collect();
    packets.push(client.hello(at(0)));
    packets
}

/// Random datagrams, and authentic ones with some bytes changed, cut or swapped.
#[test]
fn a_hundred_thousand_hostile_datagrams_neither_panic_nor_pile_up() {
    let seed = [42; 32];
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut node = root();
    let mut client = Client::new("A", "10.0.0.2:9993");
    sign_on(&mut node, &mut client, at(0));
    let samples = authentic_packets(&mut client);
    let own = node.address().octets();
    let mut ignored = 0;
    for n in 0..100_000_u64 {
        let now = at(n);
        let mut datagram = if rng.next_u32() & 1 == 0 {
            let mut noise = vec![0; (rng.next_u32() % 1_500) as usize];
            rng.fill_bytes(&mut noise);
            // Half of the noise is addressed to this node, and some of it looks like fragments.
            if rng.next_u32() & 1 == 0 && noise.len() > 16 {
                noise[8..13].copy_from_slice(&own);
                if rng.next_u32() & 1 == 0 {
                    noise[13] = 0xff;
                }
            }
            noise
        } else {
            samples[rng.next_u32() as usize % samples.len()].clone()
        };
        for _ in 0..rng.next_u32() % 3 {
            if !datagram.is_empty() {
                let position = rng.next_u32() as usize % datagram.len();
                datagram[position] ^= 1 << (rng.next_u32() % 8);
            }
        }
        if rng.next_u32() & 7 == 0 {
            datagram.truncate(rng.next_u32() as usize % (datagram.len() + 1));
        }
        let mut from = client.link;
        if rng.next_u32() & 1 == 0 {
            from.remote = (rng.next_u32().to_be_bytes(), 9993).into();
        }
        if node.handle_datagram(now, from, &mut datagram).is_err() {
            ignored += 1;
        }
        node.handle_timeout(now);
        transmits(&mut node);
        events(&mut node);
    }
    assert!(ignored > 50_000, "only {ignored} were ignored");
    assert!(node.peers(at(100_000)).len() <= 1, "a stranger became a peer without a valid identity");
    let (verifying, kept) = node.strangers.len();
    assert!(verifying <= MAX_VERIFYING && kept <= MAX_KEPT, "{verifying} {kept}");
    assert!(node.reassembly.len() <= MAX_INCOMPLETE);
    assert!(node.groups.len() <= MAX_PER_NODE);
    // The peer is as well as before.
    client.say(&mut node, at(101_000), Verb::ECHO, b"alive").unwrap();
    assert!(client.receive(&mut node).iter().any(|message| message.verb == Verb::OK));
}
