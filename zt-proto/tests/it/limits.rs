//! Every limit of `vl1.md` §19 and `vl2.md` §17 that is one of wire formats: it has a name, and it is kept.

use zt_proto::codec::Reader;
use zt_proto::config::{ConfigDns, ConfigRoute, NetworkConfig, OpenId, Specialist, Sso, TextConfig};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Qualifier, Signature, Tag, Thing,
};
use zt_proto::packet::{self, Datagram};
use zt_proto::rules::{self, Rule};
use zt_proto::verb::circuit_test::CircuitTest;
use zt_proto::verb::error::LoginDetails;
use zt_proto::verb::network_config::{ChunkPart, ConfigChunk};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::verb::remote_trace;
use zt_proto::world::World;
use zt_proto::{Address, DecodeError, NetworkId, Timestamp, compression};

use crate::vectors::written;

#[test]
fn limits_are_those_of_the_specification() {
    assert_eq!((packet::MAX_PACKET, packet::MIN_PACKET, packet::MAX_PAYLOAD), (10_024, 28, 9996));
    assert_eq!((packet::FRAGMENT_HEADER_LEN, packet::DEFAULT_MTU), (16, 1432));
    assert_eq!((packet::MAX_FRAGMENTS, packet::MAX_FRAGMENTS_BEFORE_1_2_6), (7, 4));
    assert_eq!((packet::MAX_RELAY_HOPS, compression::THRESHOLD), (3, 64));
    assert_eq!((World::MAX_ROOTS, World::MAX_ENDPOINTS), (4, 32));
    assert_eq!((rules::MAX_RULES, rules::MAX_CAPABILITY_RULES), (1024, 64));
    assert_eq!((NetworkConfig::MAX_CAPABILITIES, NetworkConfig::MAX_TAGS), (128, 128));
    assert_eq!((NetworkConfig::MAX_ROUTES, NetworkConfig::MAX_ROUTES_BEFORE_1_8_5), (128, 32));
    assert_eq!((NetworkConfig::MAX_ADDRESSES, NetworkConfig::MAX_ADDRESSES_BEFORE_1_8_5), (32, 16));
    assert_eq!((CertificateOfOwnership::MAX_THINGS, NetworkConfig::MAX_OWNERSHIPS), (16, 4));
    assert_eq!((Capability::MAX_CUSTODY_CHAIN, NetworkConfig::MAX_SPECIALISTS), (7, 256));
    assert_eq!((ConfigDns::MAX_SERVERS, ConfigDns::MAX_DOMAIN_LEN), (4, 127));
    assert_eq!(
        (NetworkConfig::MAX_NAME_LEN, NetworkConfig::MIN_MTU, NetworkConfig::MAX_MTU),
        (127, 1280, 10_000)
    );
    let qualifiers =
        (CertificateOfMembership::MAX_QUALIFIERS, CertificateOfMembership::MAX_QUALIFIERS_FROM_1_2);
    assert_eq!(qualifiers, (16, 8));
    assert_eq!(
        (RequestMetadata::MAX_LEN, RequestMetadata::MAX_AUTHORIZATION_LEN),
        (1023, 505 + "token:".len())
    );
    assert_eq!((NetworkConfig::MAX_LEN, TextConfig::MAX_LEN), (484_519, 5600));
    assert_eq!((ConfigChunk::MAX_DATA, ConfigChunk::MAX_DATA_BEFORE_1_2_6), (9740, 5492));
    assert_eq!((CircuitTest::MAX_HOPS, CircuitTest::MAX_BREADTH, remote_trace::MAX_LEN), (256, 8, 10_000));
    assert_eq!(NetworkId::MAX_SUFFIX, (1 << 24) - 1);
}

#[test]
fn datagrams_are_bounded_on_both_sides() {
    assert!(Datagram::classify(&[1; packet::MAX_PACKET]).is_ok());
    assert!(too_long(Datagram::classify(&[1; packet::MAX_PACKET + 1])));
    assert!(matches!(Datagram::classify(&[1; packet::MIN_PACKET - 1]), Err(DecodeError::Truncated { .. })));
    let beacon = [[0; 8].as_slice(), &[1, 2, 3, 4, 5]].concat();
    assert_eq!(packet::beacon(&beacon), Some(Address::from_octets([1, 2, 3, 4, 5])));
    assert_eq!(packet::beacon(&[0; packet::BEACON_LEN + 1]), None);
    assert!(Datagram::classify(&beacon).is_err());
}

#[test]
fn longer_lists_are_cut_when_written_and_refused_when_read() {
    let mut capability = capability(vec![Rule::ACCEPT; rules::MAX_CAPABILITY_RULES + 1]);
    let entry = Custody { to: address(), from: address(), signature: Signature::NONE };
    capability.custody = vec![entry; 9];
    let cut = Capability::parse(&mut Reader::new(&written(|out| capability.write(out)))).unwrap();
    assert_eq!((cut.rules.len(), cut.custody.len()), (rules::MAX_CAPABILITY_RULES, 7));

    let table = vec![Rule::ACCEPT; rules::MAX_RULES + 1];
    let bytes = written(|out| rules::write_table(&table, out));
    assert_eq!(rules::parse_table(&bytes).map(|rules| rules.len()), Ok(rules::MAX_RULES));
    assert!(too_long(rules::parse_table(&[bytes, vec![1, 0]].concat())));

    let qualifier = |id| Qualifier { id, value: 0, max_delta: 0 };
    let membership = CertificateOfMembership {
        qualifiers: (0..17).map(qualifier).collect(),
        signed_by: Address::NONE,
        signature: Signature::NONE,
    };
    let mut bytes = written(|out| membership.write(out));
    assert_eq!(CertificateOfMembership::parse(&mut Reader::new(&bytes)).unwrap().qualifiers.len(), 16);
    bytes[2] = 17;
    assert!(too_long(CertificateOfMembership::parse(&mut Reader::new(&bytes))));
    let digits = "0".repeat(48 * 17);
    assert!(too_long(CertificateOfMembership::parse_text(format!("1:{digits}:0000000000").as_bytes())));

    let ownership = ownership(17);
    let mut bytes = written(|out| ownership.write(out));
    assert_eq!(CertificateOfOwnership::parse(&mut Reader::new(&bytes)).unwrap().things.len(), 16);
    bytes[29] = 17;
    assert!(too_long(CertificateOfOwnership::parse(&mut Reader::new(&bytes))));
}

#[test]
fn longer_lists_of_a_configuration_are_cut_when_written_and_refused_when_read() {
    let tag = Tag {
        network: NetworkId(1),
        timestamp: Timestamp(0),
        id: 0,
        value: 0,
        issued_to: address(),
        signed_by: address(),
        signature: Signature::NONE,
    };
    let target = "10.0.0.0/8".parse().unwrap();
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    config.capabilities = vec![capability(Vec::new()); 129];
    config.tags = vec![tag; 129];
    config.ownerships = vec![ownership(1); 5];
    config.specialists = vec![Specialist { address: address(), roles: 0 }; 257];
    config.routes = vec![ConfigRoute { target, via: None, flags: 0, metric: 0 }; 129];
    config.addresses = vec![target; 33];
    config.rules = vec![Rule::ACCEPT; 1025];
    let sizes = |config: &NetworkConfig| {
        let credentials = (config.capabilities.len(), config.tags.len(), config.ownerships.len());
        let lists =
            (config.specialists.len(), config.routes.len(), config.addresses.len(), config.rules.len());
        (credentials, lists)
    };
    let written = config.write();
    let cut = NetworkConfig::parse(&written).unwrap();
    assert_eq!(sizes(&cut), ((128, 128, 4), (256, 128, 32, 1024)));
    let old = NetworkConfig::parse(&config.write_version_6()).unwrap();
    assert_eq!(sizes(&old), ((0, 0, 0), (256, 32, 16, 1024)));

    for key in ["CAP", "TAG", "COO", "S", "RT", "I", "R"] {
        let start =
            written.windows(key.len() + 2).position(|part| part == format!("\n{key}=").as_bytes()).unwrap();
        let start = start + key.len() + 2;
        let length = written[start..].iter().position(|byte| *byte == b'\n').unwrap();
        let value = &written[start..start + length];
        // once more the same entries is too many
        let longer = [&written[..start], value, value, &written[start + length..]].concat();
        assert!(too_long(NetworkConfig::parse(&longer)), "{key}");
    }
}

#[test]
fn longer_texts_are_cut() {
    let long = vec![b'x'; 3000];
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    config.name.clone_from(&long);
    config.sso = Sso { enabled: true, url: long.clone(), ..Sso::default() };
    let url = NetworkConfig::parse(&config.write()).unwrap().sso.url;
    assert_eq!(url.len(), Sso::MAX_URL_LEN);
    let [issuer_url, central_url, nonce, state, client_id, provider] = [(); 6].map(|()| long.clone());
    config.sso = Sso {
        version: 1,
        open_id: OpenId { issuer_url, central_url, nonce, state, client_id, provider },
        ..Sso::default()
    };
    let read = NetworkConfig::parse(&config.write()).unwrap();
    let OpenId { issuer_url, central_url, nonce, state, client_id, provider } = read.sso.open_id;
    let lengths = [issuer_url, central_url, nonce, state, client_id, provider].map(|text| text.len());
    assert_eq!(lengths, [2047, 2047, 127, 255, 255, 63]);

    let LoginDetails::Url(url) = LoginDetails::parse(&LoginDetails::Url(long.clone()).write()).unwrap()
    else {
        panic!("another version");
    };
    assert_eq!(url.len(), LoginDetails::MAX_URL_LEN);
    assert!(LoginDetails::parse(b"aV=2").is_err());

    let mut old = TextConfig::of(&config, Vec::new(), false);
    assert_eq!(TextConfig::parse(&old.write()).unwrap().name.len(), NetworkConfig::MAX_NAME_LEN);
    old.name.clear();
    let dictionary = old.to_dictionary().with_bytes("n", &[b'x'; 128]);
    assert!(too_long(TextConfig::from_dictionary(&dictionary)));
}

#[test]
fn configuration_longer_than_clients_take_is_refused() {
    let head = b"v=7\nnwid=1\nid=2\nx=".as_slice();
    let of_length = |length: usize| [head, &vec![b'x'; length - head.len()]].concat();
    assert!(NetworkConfig::parse(&of_length(NetworkConfig::MAX_LEN)).is_ok());
    assert!(too_long(NetworkConfig::parse(&of_length(NetworkConfig::MAX_LEN + 1))));

    let chunk = |total: usize| {
        let total = u32::try_from(total).unwrap();
        let part = ChunkPart { flags: 0, update_id: 1, total, index: 0, signature: Signature::NONE };
        let payload =
            written(|out| ConfigChunk { network: NetworkId(1), data: b"x", part: Some(part) }.write(out));
        ConfigChunk::parse(&payload).map(drop)
    };
    assert_eq!(chunk(NetworkConfig::MAX_LEN), Ok(()));
    assert!(too_long(chunk(NetworkConfig::MAX_LEN + 1)));
}

/// `known-flaws.md` row 11: hop counts.
#[test]
fn circuit_test_with_more_hops_or_breadth_is_refused() {
    let mut test = CircuitTest {
        originator: address(),
        flags: CircuitTest::REPORT_AT_LAST_HOP,
        timestamp: Timestamp(1),
        test_id: 2,
        network: NetworkId(3),
        extension: &[],
        signature: Signature::NONE,
        forwarder: None,
        hops: vec![Vec::new(); CircuitTest::MAX_HOPS + 1],
    };
    let bytes = written(|out| test.write(out));
    assert_eq!(CircuitTest::parse(&bytes).unwrap().hops.len(), CircuitTest::MAX_HOPS);
    assert!(too_long(CircuitTest::parse(&[&bytes[..], &[0, 0]].concat()).map(drop)));
    test.hops = vec![vec![address(); CircuitTest::MAX_BREADTH + 1]];
    let mut bytes = written(|out| test.write(out));
    assert_eq!(CircuitTest::parse(&bytes).unwrap().hops[0].len(), CircuitTest::MAX_BREADTH);
    let breadth = bytes.len() - 5 * CircuitTest::MAX_BREADTH - 1;
    bytes[breadth] = 9;
    assert!(too_long(CircuitTest::parse(&bytes).map(drop)));
}

#[test]
fn empty_and_too_long_traces_are_left_out() {
    let traces = [vec![b'x'; remote_trace::MAX_LEN], vec![b'x'; remote_trace::MAX_LEN + 1], Vec::new()];
    let payload = traces.join(&0);
    assert_eq!(remote_trace::parse(&payload).count(), 1);
    assert_eq!(written(|out| remote_trace::write(traces.iter().map(Vec::as_slice), out)).len(), 10_001);
}

fn too_long<T>(result: Result<T, DecodeError>) -> bool {
    matches!(result, Err(DecodeError::TooLong { .. }))
}

fn address() -> Address {
    Address::from_low_bits(0x11_2233_4455)
}

fn capability(rules: Vec<Rule>) -> Capability {
    Capability {
        network: NetworkId(1),
        timestamp: Timestamp(0),
        id: 0,
        rules,
        max_custody_chain: 7,
        custody: Vec::new(),
    }
}

fn ownership(things: usize) -> CertificateOfOwnership {
    CertificateOfOwnership {
        network: NetworkId(1),
        timestamp: Timestamp(0),
        flags: 0,
        id: 1,
        things: vec![Thing::Ip("10.0.0.1".parse().unwrap()); things],
        issued_to: address(),
        signed_by: address(),
        signature: Signature::NONE,
    }
}
