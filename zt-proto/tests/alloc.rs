//! Parsing what arrives most often allocates nothing, and what does allocate is bounded by what arrived. In a binary of
//! its own, because counting replaces the allocator.

use std::hint::black_box;

use allocation_counter::measure;
use zt_proto::codec::Reader;
use zt_proto::config::NetworkConfig;
use zt_proto::packet::{Datagram, PacketHeader};
use zt_proto::rules;
use zt_proto::verb::error::{ErrorReply, NetworkError};
use zt_proto::verb::frame::{ExtFrame, Frame, MulticastFrame};
use zt_proto::verb::hello::{Hello, NodeVersion, parse_moons, write_moons};
use zt_proto::verb::multicast_gather::MulticastGather;
use zt_proto::verb::network_config::{ChunkPart, ConfigChunk};
use zt_proto::verb::network_config_request::NetworkConfigRequest;
use zt_proto::verb::ok::OkReply;
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::user_message::UserMessage;
use zt_proto::verb::{Message, Verb, multicast_like, remote_trace, whois};
use zt_proto::world::WorldVersion;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

#[test]
fn parsing_allocates_nothing() {
    let hello = hello();
    let chunk = chunk();
    let bytes = [0x10; 200];
    let allocations = measure(|| {
        let read = Hello::parse(&hello).unwrap();
        assert_eq!(parse_moons(read.tail).unwrap().count(), 2);
        assert!(Message::parse(Verb::HELLO, &hello).is_ok());
        assert!(ConfigChunk::parse(&chunk).is_ok());
        assert!(Datagram::classify(&bytes).is_ok() && PacketHeader::parse(&bytes).is_ok());
        assert!(OkReply::parse(&bytes).is_ok() && ErrorReply::parse(&bytes).is_ok());
        assert!(NetworkError::parse(&bytes).is_err() && UserMessage::parse(&bytes).is_ok());
        assert!(NetworkConfigRequest::parse(&bytes).is_err(), "its metadata reach past the end");
        assert!(Frame::parse(&bytes).is_ok() && ExtFrame::parse(&bytes).is_ok());
        assert!(MulticastFrame::parse(&bytes).is_ok() && MulticastGather::parse(&bytes).is_ok());
        assert!(Rendezvous::parse(&bytes).is_ok());
        black_box((whois::parse_request(&bytes).count(), multicast_like::parse(&bytes).count()));
        black_box(remote_trace::parse(&bytes).count());
        assert!(PublicIdentity::parse(&mut Reader::new(&bytes)).is_err());
    });
    assert_eq!(allocations.count_total, 0);
}

/// What claims to be long is not believed before it is there.
#[test]
fn counts_that_are_not_true_allocate_nothing() {
    let refuse = [
        // credentials that claim 65535 capabilities, tags, addresses, paths
        (Verb::NETWORK_CREDENTIALS, &[0x00, 0xff, 0xff][..]),
        (Verb::NETWORK_CREDENTIALS, &[0x00, 0, 0, 0xff, 0xff]),
        (Verb::PUSH_DIRECT_PATHS, &[0xff, 0xff]),
        (Verb::RENDEZVOUS, &[0; 9]),
    ];
    for (verb, payload) in refuse {
        let allocations = measure(|| assert!(Message::parse(verb, payload).is_err(), "{verb}"));
        assert_eq!(allocations.count_total, 0, "{verb}");
    }
}

/// The densest table there is: entries of two bytes. A rule takes some 40 bytes in memory, and a vector that grows has
/// up to twice the room and its older self besides.
#[test]
fn allocation_is_bounded_by_the_input() {
    let table = [1, 0].repeat(rules::MAX_RULES);
    let room = size_of::<rules::Rule>() * rules::MAX_RULES * 3;
    let allocations = measure(|| assert_eq!(rules::parse_table(&table).unwrap().len(), rules::MAX_RULES));
    assert!(allocations.bytes_max <= room as u64, "{allocations:?}");

    let text = [b"v=7\nnwid=1\nid=2\nn=".as_slice(), &[b'\\'; 100_000]].concat();
    let allocations = measure(|| drop(NetworkConfig::parse(&text).unwrap()));
    assert!(allocations.bytes_max <= 2 * text.len() as u64, "{allocations:?}");
}

fn hello() -> Vec<u8> {
    let version = WorldVersion { id: 1, timestamp: Timestamp(2) };
    let mut tail = Vec::new();
    write_moons(&[version; 2], &mut tail);
    let hello = Hello {
        version: NodeVersion { protocol: 12, major: 1, minor: 14, revision: 1 },
        timestamp: Timestamp(3),
        identity: PublicIdentity { address: Address::from_low_bits(4), key: [5; 64] },
        destination: "192.0.2.1:9993".parse().ok(),
        planet: Some(version),
        tail: &tail,
    };
    let mut payload = Vec::new();
    hello.write(&mut payload);
    payload
}

fn chunk() -> Vec<u8> {
    let signature = zt_proto::credential::Signature::NONE;
    let part = ChunkPart { flags: 0, update_id: 1, total: 3, index: 0, signature };
    let mut payload = Vec::new();
    ConfigChunk { network: NetworkId(1), data: b"v=7", part: Some(part) }.write(&mut payload);
    payload
}
