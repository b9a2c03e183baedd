use std::collections::BTreeMap;

use zt_proto::packet::{Datagram, PacketHeader, fragment};

use crate::vectors::{bytes, from_hex, list, load, text};

#[test]
fn packets_are_cut_as_the_reference_cuts_them() {
    for case in list(&load("vl1/fragmentation.json"), "cases") {
        let packet = bytes(case, "packet");
        let mtu = usize::try_from(case["mtu"].as_u64().unwrap()).unwrap();
        let expected: Vec<_> =
            list(case, "datagrams").iter().map(|hex| from_hex(hex.as_str().unwrap())).collect();
        assert_eq!(fragment::split(&packet, mtu).collect::<Vec<_>>(), expected);
        assert_eq!(PacketHeader::parse(&packet).unwrap().is_fragmented(), expected.len() > 1);
        assert_eq!(join(&expected), packet);
        let backwards: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(join(&backwards), packet);
    }
}

#[test]
fn recorded_datagrams_are_told_apart() {
    for entry in list(&load("vl1/session.json"), "datagrams") {
        let datagram = bytes(entry, "datagram");
        let kind = match Datagram::classify(&datagram) {
            Ok(Datagram::Fragment(header, _)) => {
                assert_eq!(u64::from(header.number), entry["fragment_no"].as_u64().unwrap());
                assert_eq!(u64::from(header.total), entry["total_fragments"].as_u64().unwrap());
                assert!(header.is_plausible());
                "fragment"
            }
            Ok(Datagram::Packet(header)) => {
                assert_eq!(header.source.to_string(), text(entry, "src"));
                assert_eq!(header.destination.to_string(), text(entry, "dst"));
                if let Some(hops) = entry["decoded"]["hops"].as_u64() {
                    assert_eq!(u64::from(header.hops()), hops);
                    assert_eq!(entry["decoded"]["cipher"], header.suite());
                    assert_eq!(header.is_marked_encrypted(), header.suite() == 1);
                }
                if header.is_fragmented() { "head" } else { "packet" }
            }
            Err(_) => "junk",
        };
        assert_eq!(kind, text(entry, "kind"));
    }
}

/// Puts a packet together from its datagrams in any order.
fn join(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let pieces: BTreeMap<u8, &[u8]> = datagrams
        .iter()
        .map(|datagram| match Datagram::classify(datagram).unwrap() {
            Datagram::Packet(_) => (0, &datagram[..]),
            Datagram::Fragment(header, data) => {
                assert_eq!(usize::from(header.total), datagrams.len());
                (header.number, data)
            }
        })
        .collect();
    pieces.into_values().collect::<Vec<_>>().concat()
}
