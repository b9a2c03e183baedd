//! Datagrams and packets: framing, armor, compression.

use std::iter;
use std::sync::LazyLock;

use zt_crypto::armor::{self, Suite, extended};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::compression;
use zt_proto::packet::{
    DEFAULT_MTU, Datagram, HEADER_LEN, MAX_PACKET, MAX_PAYLOAD, MIN_PACKET, PAYLOAD_OFFSET, VERB_OFFSET,
    fragment,
};
use zt_proto::verb::Verb;

use crate::assert_survives_writing;
use crate::verb::read_message;

/// The key of case `size28` in the vectors of the cipher suites, so that those packets are authentic.
static KEY: LazyLock<SessionKey> = LazyLock::new(|| {
    let mut key = [0; 48];
    for (byte, pair) in key.iter_mut().zip(KEY_TEXT.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).expect("the text below is ASCII");
        *byte = u8::from_str_radix(digits, 16).expect("the text below is hexadecimal");
    }
    SessionKey::from_bytes(key)
});
const KEY_TEXT: &str =
    "ecf1814b872b68236af62f9db04cc03c64233de4f7b92a8c751ed552545f70a63a183d8e497dca20bdf24b65184d8707";

/// Small, so that short inputs have many pieces.
const SMALL_MTU: usize = 100;

/// A packet, taken as it is and taken as the plain text of one that is sealed and opened again.
pub fn packet(data: &[u8]) -> bool {
    let mut received = data.to_vec();
    let authentic = armor::open(&mut received, &KEY).is_ok();
    if authentic {
        read_packet(&received);
    } else {
        assert_eq!(received, data, "a packet that is not authentic stays as it is");
    }
    if !(MIN_PACKET..=MAX_PACKET).contains(&data.len()) {
        return authentic;
    }
    for suite in [Suite::Poly1305, Suite::Salsa20Poly1305, Suite::AesGmacSiv] {
        let mut packet = data.to_vec();
        armor::seal(&mut packet, &KEY, suite);
        assert_eq!(armor::open(&mut packet, &KEY), Ok(suite));
        assert_eq!(packet.get(VERB_OFFSET..), data.get(VERB_OFFSET..));
    }
    read_packet(data) || authentic
}

/// Reads what is behind the header of an opened packet; returns whether it makes sense.
fn read_packet(packet: &[u8]) -> bool {
    let Some((verb, compressed)) = packet.get(VERB_OFFSET).copied().map(Verb::from_byte) else {
        return false;
    };
    let payload = packet.get(PAYLOAD_OFFSET..).unwrap_or_default();
    if !compressed {
        if let Some(block) = compression::compress(payload) {
            assert!(block.len() < payload.len());
            assert_eq!(compression::decompress(&block, payload.len()).as_deref(), Ok(payload));
        }
        return read_message(verb, payload);
    }
    compression::decompress(payload, MAX_PAYLOAD).is_ok_and(|payload| {
        assert!(payload.len() <= MAX_PAYLOAD);
        read_message(verb, &payload)
    })
}

/// A datagram, taken as it is and taken as a packet that is cut into pieces.
pub fn fragment(data: &[u8]) -> bool {
    let classified = Datagram::classify(data);
    match classified {
        Ok(Datagram::Fragment(header, rest)) => {
            assert_survives_writing!(header, |bytes: &[u8]| {
                match Datagram::classify(&[bytes, rest].concat()) {
                    Ok(Datagram::Fragment(header, _)) => Ok(header),
                    other => Err(format!("{other:?}")),
                }
            });
        }
        Ok(Datagram::Packet(header)) => {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            assert_eq!(bytes.get(..HEADER_LEN), data.get(..HEADER_LEN));
            assert_pieces_make_the_packet(data, DEFAULT_MTU);
            assert_pieces_make_the_packet(data, SMALL_MTU);
        }
        Err(_) => {}
    }
    classified.is_ok()
}

fn assert_pieces_make_the_packet(packet: &[u8], mtu: usize) {
    let pieces: Vec<_> = fragment::split(packet, mtu).collect();
    let Some((head, fragments)) = pieces.split_first() else { return };
    assert!(pieces.iter().all(|piece| piece.len() <= mtu));
    let mut whole = head.clone();
    for (number, piece) in iter::zip(1.., fragments) {
        let Ok(Datagram::Fragment(header, rest)) = Datagram::classify(piece) else {
            panic!("piece {number} is not a fragment");
        };
        assert_eq!((header.number, usize::from(header.total)), (number, pieces.len()));
        whole.extend_from_slice(rest);
    }
    assert_eq!(whole, packet);
}

/// The identity that the packets of the vectors are for: a test key.
static RECEIVER: LazyLock<IdentitySecret> =
    LazyLock::new(|| RECEIVER_TEXT.parse().expect("an identity of the vectors"));
const RECEIVER_TEXT: &str = "7d8273c358:0:2b3023cda20f940532d9e4036c1d176d6c812b26b1bc55bf0a17473e7d59435cf1a293129bf870bbde724e5e327416d0176554f439409611dafedf8207b67433:94c951d99eaa84d8ff3e4d25586113143a5a2f6b4003dea3a8b35fa51800bd191c4c2989b73a80f332a2de490a5b72a8be2d07c563bf3ea2bb2ce0fc0371399b";

/// A packet in extended armor, taken as it is and taken as the plain text of one.
pub fn extended_armor(data: &[u8]) -> bool {
    let mut received = data.to_vec();
    let uncovered = extended::open(&mut received, &RECEIVER).map(|packet| packet.len());
    match uncovered {
        Ok(length) => assert_eq!(length + 32, data.len()),
        Err(_) => assert_eq!(received, data, "what cannot be uncovered stays as it is"),
    }
    if (MIN_PACKET..=MAX_PACKET).contains(&data.len()) {
        let mut packet = data.to_vec();
        if extended::seal(&mut packet, &KEY, [7; 32], RECEIVER.public()).is_ok() {
            let inner = extended::open(&mut packet, &RECEIVER).expect("it was just sealed");
            assert_eq!(armor::open(inner, &KEY), Ok(Suite::Poly1305));
            assert_eq!(inner.get(VERB_OFFSET..), data.get(VERB_OFFSET..));
        }
    }
    uncovered.is_ok()
}
