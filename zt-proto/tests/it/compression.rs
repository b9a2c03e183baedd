use zt_proto::compression::{compress, decompress};
use zt_proto::packet::{MAX_PAYLOAD, PAYLOAD_OFFSET, VERB_OFFSET};
use zt_proto::verb::Verb;

use crate::vectors::{bytes, list, load, text};

#[test]
fn blocks_of_the_reference_decompress() {
    for case in list(&load("vl1/compression.json"), "cases") {
        let (plain, packet) = (bytes(case, "plain_packet"), bytes(case, "compressed_packet"));
        let (verb, compressed) = Verb::from_byte(packet[VERB_OFFSET]);
        assert_eq!((verb, compressed), (Verb::ECHO, case["compressed"].as_bool().unwrap()));
        let payload = &plain[PAYLOAD_OFFSET..];
        if compressed {
            let result = decompress(&packet[PAYLOAD_OFFSET..], MAX_PAYLOAD).unwrap();
            assert_eq!(result, payload, "{}", text(case, "name"));
        }
        let own = compress(payload);
        assert_eq!(own.is_some(), compressed, "{}", text(case, "name"));
        if let Some(own) = own {
            assert!(own.len() < payload.len());
            assert_eq!(decompress(&own, MAX_PAYLOAD).unwrap(), payload);
        }
    }
}

/// `known-flaws.md` row 11: malformed LZ4.
#[test]
fn malformed_and_oversized_blocks_are_refused() {
    for case in list(&load("vl1/compression.json"), "decode_only") {
        let block = bytes(case, "packet").split_off(PAYLOAD_OFFSET);
        let Some(name) = Some(text(case, "name")).filter(|_| !block.is_empty()) else { continue };
        let result = decompress(&block, MAX_PAYLOAD);
        assert_eq!(result.is_ok(), case["uncompress_ok"].as_bool().unwrap(), "{name}");
        if let Ok(payload) = result {
            assert_eq!(payload, bytes(case, "result")[PAYLOAD_OFFSET..], "{name}");
        }
    }
}

/// `known-flaws.md` row 11: few bytes can stand for very many.
#[test]
fn result_never_exceeds_the_bound() {
    let block = compress(&[7; 1000]).unwrap();
    assert_eq!(decompress(&block, 1000).unwrap().len(), 1000);
    assert!(decompress(&block, 999).is_err());
    assert!(decompress(&block, 0).is_err());
    assert!(decompress(&[], MAX_PAYLOAD).is_err());
}

#[test]
fn short_payload_is_left_alone() {
    assert_eq!(compress(&[0; 64]), None);
    assert!(compress(&[0; 65]).is_some());
}
