//! What was written parses back equal.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use zt_proto::DecodeError;
use zt_proto::codec::Reader;
use zt_proto::compression::{BlockWriter, Compressed, compress, decompress, pack, unpack};
use zt_proto::config::{ConfigDns, NetworkConfig, Sso, TextConfig};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Revocation, Signature, Tag,
};
use zt_proto::dictionary::{Dictionary, DictionaryWriter, OldDictionary, escaped, symbols};
use zt_proto::packet::{Datagram, FragmentHeader, MAX_PAYLOAD, PacketHeader, VERB_OFFSET, fragment};
use zt_proto::rules;
use zt_proto::verb::circuit_test::{CircuitTest, CircuitTestReport};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::error::{ErrorCode, ErrorReply, LoginDetails, NetworkError, UnwantedMulticast};
use zt_proto::verb::frame::{ExtFrame, ExtFrameAnswer, Frame, MulticastFrame, MulticastFrameAnswer};
use zt_proto::verb::hello::{Hello, parse_moons, write_moons};
use zt_proto::verb::multicast_gather::{GatherAnswer, Gathered, MulticastGather};
use zt_proto::verb::multicast_like::{self, Like};
use zt_proto::verb::network_config::{ChunkPart, ConfigAcknowledgement, ConfigChunk};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata, SoftwareVersion};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::push_direct_paths::{self, DirectPath};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::user_message::UserMessage;
use zt_proto::verb::{Message, Verb, remote_trace, whois};
use zt_proto::world::{OldRoot, RootTopology, World};
use zt_proto::{Mac, PublicIdentity, Timestamp};

use crate::generators as arbitrary;
use crate::vectors::written;

/// Writes `value`, parses that, and returns the result, of which nothing may be left over.
fn again<T>(
    value: &T,
    write: impl Fn(&T, &mut Vec<u8>),
    parse: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> T {
    let bytes = written(|out| write(value, out));
    let mut reader = Reader::new(&bytes);
    let copy = parse(&mut reader).unwrap();
    assert!(reader.is_empty(), "{} bytes left", reader.remaining());
    copy
}

proptest! {
    #[test]
    fn rules_survive(table in vec(arbitrary::rule(), 0..50)) {
        let bytes = written(|out| rules::write_table(&table, out));
        prop_assert_eq!(rules::parse_table(&bytes), Ok(table));
    }

    #[test]
    fn identity_survives(identity in arbitrary::identity()) {
        prop_assert_eq!(again(&identity, PublicIdentity::write, PublicIdentity::parse), identity);
        if !identity.address.is_reserved() {
            prop_assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn memberships_survive(it in arbitrary::membership()) {
        prop_assert_eq!(again(&it, CertificateOfMembership::write, CertificateOfMembership::parse), it);
    }

    #[test]
    fn tags_survive(it in arbitrary::tag()) {
        prop_assert_eq!(again(&it, Tag::write, Tag::parse), it);
    }

    #[test]
    fn capabilities_survive(it in arbitrary::capability()) {
        prop_assert_eq!(again(&it, Capability::write, Capability::parse), it);
    }

    #[test]
    fn ownerships_survive(it in arbitrary::ownership()) {
        prop_assert_eq!(again(&it, CertificateOfOwnership::write, CertificateOfOwnership::parse), it);
    }

    #[test]
    fn revocations_survive(it in arbitrary::revocation()) {
        prop_assert_eq!(again(&it, Revocation::write, Revocation::parse), it);
    }

    #[test]
    fn pushed_credentials_survive(it in arbitrary::credentials()) {
        let bytes = written(|out| it.write(out));
        prop_assert_eq!(NetworkCredentials::parse(&bytes), Ok(it));
    }

    #[test]
    fn worlds_survive(it in arbitrary::world()) {
        prop_assert_eq!(again(&it, World::write, World::parse), it);
    }

    #[test]
    fn configurations_survive(config in arbitrary::config()) {
        let bytes = config.write();
        prop_assert_eq!(NetworkConfig::parse(&bytes), Ok(config));
    }

    #[test]
    fn dictionaries_survive(entries in btree_map("[a-zA-Z~!]{1,6}", arbitrary::value(), 0..12)) {
        let writer = entries.iter().fold(DictionaryWriter::new(), |writer, (key, value)| writer.bytes(key, value));
        let bytes = writer.finish();
        let dictionary = Dictionary::new(&bytes);
        for (key, value) in &entries {
            prop_assert_eq!(dictionary.bytes(key).unwrap(), &value[..]);
        }
        prop_assert_eq!(dictionary.bytes("missing"), None);
    }

    #[test]
    fn keys_are_found_together_as_each_alone(text in "[ab=\\\\\r\n]{0,40}") {
        let dictionary = Dictionary::new(text.as_bytes());
        let keys = ["a", "ab", "", "b"];
        prop_assert_eq!(dictionary.all(keys), keys.map(|key| dictionary.bytes(key)));
    }

    #[test]
    fn dictionary_numbers_survive(number: u64, flag: bool, address in arbitrary::address()) {
        let bytes = DictionaryWriter::new().hex("n", number).boolean("b", flag).address("a", address).finish();
        let dictionary = Dictionary::new(&bytes);
        prop_assert_eq!(dictionary.hex("n"), Some(number));
        prop_assert_eq!(dictionary.boolean("b"), Some(flag));
        prop_assert_eq!(dictionary.address("a"), Some(address));
    }

    #[test]
    fn hello_survives(
        version in arbitrary::version(),
        timestamp in arbitrary::timestamp(),
        identity in arbitrary::identity(),
        destination in option::of(arbitrary::endpoint()),
        planet in option::of(arbitrary::world_version()),
        mut tail in vec(any::<u8>(), 0..60),
    ) {
        if planet.is_none() {
            tail.truncate(15);
        }
        let hello = Hello { version, timestamp, identity, destination, planet, tail: &tail };
        let mut payload = Vec::new();
        let offset = hello.write(&mut payload);
        prop_assert_eq!(&payload[offset..], &tail[..]);
        prop_assert_eq!(hello.tail_offset(&payload), offset);
        prop_assert_eq!(Hello::parse(&payload), Ok(hello));
    }

    #[test]
    fn moons_survive(moons in vec(arbitrary::world_version(), 0..9)) {
        let tail = written(|out| write_moons(&moons, out));
        prop_assert_eq!(parse_moons(&tail).unwrap().collect::<Vec<_>>(), moons);
    }

    #[test]
    fn answer_to_hello_survives(
        version in arbitrary::version(),
        timestamp in arbitrary::timestamp(),
        endpoint in option::of(arbitrary::endpoint()),
        worlds in vec(arbitrary::world(), 0..3),
    ) {
        let world_data = written(|out| worlds.iter().for_each(|world| world.write(out)));
        let answer = OkHello { timestamp, version, endpoint, world_data: &world_data };
        let payload = written(|out| answer.write(out));
        prop_assert_eq!(OkHello::parse(&payload), Ok(answer));
        prop_assert_eq!(answer.worlds().collect::<Result<Vec<_>, _>>(), Ok(worlds));
    }

    #[test]
    fn envelopes_survive(verb: u8, in_re_packet: u64, code: u8, payload in vec(any::<u8>(), 0..50)) {
        let ok = OkReply { in_re_verb: Verb(verb), in_re_packet, payload: &payload };
        let payload = written(|out| ok.write(out));
        prop_assert_eq!(OkReply::parse(&payload), Ok(ok));
        let error =
            ErrorReply { in_re_verb: Verb(verb), in_re_packet, code: ErrorCode(code), payload: &payload };
        let payload = written(|out| error.write(out));
        prop_assert_eq!(ErrorReply::parse(&payload), Ok(error));
        let message = UserMessage { kind: in_re_packet, data: &payload };
        let payload = written(|out| message.write(out));
        prop_assert_eq!(UserMessage::parse(&payload), Ok(message));
    }

    #[test]
    fn network_errors_survive(network in arbitrary::network(), details in vec(any::<u8>(), 0..50)) {
        let error = NetworkError { network, details: &details };
        let payload = written(|out| error.write(out));
        prop_assert_eq!(NetworkError::parse(&payload), Ok(error));
    }

    #[test]
    fn requests_survive(
        network in arbitrary::network(),
        metadata in vec(any::<u8>(), 0..50),
        have_revision: u64,
        have_timestamp in arbitrary::timestamp(),
    ) {
        let request = NetworkConfigRequest { network, metadata: &metadata, have_revision, have_timestamp };
        let payload = written(|out| request.write(out));
        prop_assert_eq!(NetworkConfigRequest::parse(&payload), Ok(request));
    }

    #[test]
    fn request_metadata_survives(
        numbers: [u64; 12],
        platform in "[a-z0-9]{0,9}/[a-z0-9_=\\\\]{0,9}",
        token in option::of("[^\0]{1,60}"),
    ) {
        let [config_version, protocol, vendor, major, minor, revision, ..] = numbers;
        let [.., max_rules, max_capabilities, max_capability_rules, max_tags, flags, rules_engine] = numbers;
        let metadata = RequestMetadata {
            config_version,
            protocol,
            vendor,
            software: SoftwareVersion { major, minor, revision },
            max_rules,
            max_capabilities,
            max_capability_rules,
            max_tags,
            flags,
            rules_engine,
            platform,
            token,
        };
        prop_assert_eq!(RequestMetadata::parse(&metadata.write()), metadata);
    }

    #[test]
    fn chunks_survive(
        network in arbitrary::network(),
        data in vec(any::<u8>(), 0..200),
        flags: u8,
        update_id: u64,
        index in 0..400_000_u32,
        signature in option::of(arbitrary::signature()),
    ) {
        let total = index + 200;
        let part = signature.map(|signature| ChunkPart { flags, update_id, total, index, signature });
        let chunk = ConfigChunk { network, data: &data, part };
        let payload = written(|out| chunk.write(out));
        prop_assert!(payload.starts_with(&chunk.signed_bytes()));
        prop_assert_eq!(ConfigChunk::parse(&payload), Ok(chunk));
        let acknowledgement = ConfigAcknowledgement { network, update_id };
        let payload = written(|out| acknowledgement.write(out));
        prop_assert_eq!(ConfigAcknowledgement::parse(&payload), Ok(acknowledgement));
    }

    #[test]
    fn multicast_messages_survive(
        network in arbitrary::network(),
        group in arbitrary::group(),
        limit: u32,
        membership in option::of(arbitrary::membership()),
        members in vec(arbitrary::address(), 0..20),
    ) {
        let gather = MulticastGather { network, group, limit, membership };
        let payload = written(|out| gather.write(out));
        prop_assert_eq!(MulticastGather::parse(&payload), Ok(gather));
        let answer = GatherAnswer { network, group, known: limit, members };
        let payload = written(|out| answer.write(out));
        prop_assert_eq!(GatherAnswer::parse(&payload), Ok(answer));
        let likes = [Like { network, group }; 3];
        let payload = written(|out| multicast_like::write(&likes, out));
        prop_assert_eq!(multicast_like::parse(&payload).collect::<Vec<_>>(), likes);
    }

    #[test]
    fn addresses_of_peers_survive(
        flags: u8,
        peer in arbitrary::address(),
        endpoints in vec(arbitrary::endpoint(), 1..20),
    ) {
        let rendezvous = Rendezvous { flags, peer, endpoint: endpoints[0] };
        let payload = written(|out| rendezvous.write(out));
        prop_assert_eq!(Rendezvous::parse(&payload), Ok(rendezvous));
        let paths: Vec<_> = endpoints.iter().map(|endpoint| DirectPath { flags, endpoint: *endpoint }).collect();
        prop_assert_eq!(push_direct_paths::parse(&written(|out| push_direct_paths::write(&paths, out))), Ok(paths));
    }

    #[test]
    fn whois_survives(
        addresses in vec(arbitrary::address(), 0..9),
        identities in vec(arbitrary::identity(), 0..4),
    ) {
        let request = written(|out| whois::write_request(&addresses, out));
        prop_assert_eq!(whois::parse_request(&request).collect::<Vec<_>>(), addresses);
        let answer = written(|out| whois::write_answer(&identities, out));
        prop_assert_eq!(whois::parse_answer(&answer).collect::<Result<Vec<_>, _>>(), Ok(identities));
    }

    #[test]
    fn traces_survive(numbers in vec(any::<u64>(), 0..5)) {
        let traces: Vec<_> = numbers.iter().map(|number| DictionaryWriter::new().hex("n", *number).finish()).collect();
        let payload = written(|out| remote_trace::write(traces.iter().map(Vec::as_slice), out));
        let read: Vec<_> = remote_trace::parse(&payload).filter_map(|trace| trace.hex("n")).collect();
        prop_assert_eq!(read, numbers);
    }

    #[test]
    fn headers_survive(
        (id, flags, mac) in any::<(u64, u8, [u8; 8])>(),
        destination in arbitrary::address(),
        source in arbitrary::address(),
        (total, number, hops) in (0..16_u8, 0..16_u8, any::<u8>()),
    ) {
        let header = PacketHeader { id, destination, source, flags, mac };
        let mut packet = written(|out| header.write(out));
        prop_assert_eq!(packet.len(), VERB_OFFSET);
        packet.push(Verb::NOP.to_byte(false));
        prop_assert_eq!(PacketHeader::parse(&packet), Ok(header));
        let header = FragmentHeader { packet_id: id, destination, total, number, hops };
        prop_assert_eq!(again(&header, FragmentHeader::write, FragmentHeader::parse), header);
    }

    #[test]
    fn packets_are_put_together_from_their_datagrams(
        length in 28..9928_usize,
        mtu in 1432..3000_usize,
        seed: u8,
    ) {
        let packet: Vec<u8> = (0..length).map(|position| seed.wrapping_add(position.to_le_bytes()[0] & 0x7f)).collect();
        prop_assume!(packet[13] != 0xff);
        let mut joined = Vec::new();
        for datagram in fragment::split(&packet, mtu) {
            prop_assert!(datagram.len() <= mtu);
            match Datagram::classify(&datagram).unwrap() {
                Datagram::Packet(_) => joined = datagram.clone(),
                Datagram::Fragment(header, data) => {
                    prop_assert!(header.is_plausible());
                    prop_assert_eq!(header.packet_id, PacketHeader::parse(&packet).unwrap().id);
                    joined.extend_from_slice(data);
                }
            }
        }
        prop_assert_eq!(joined, packet);
    }

    #[test]
    fn compressed_payload_survives(
        unit in vec(any::<u8>(), 1..40),
        times in 1..200_usize,
    ) {
        let payload = unit.repeat(times);
        if let Some(block) = compress(&payload) {
            prop_assert!(block.len() < payload.len());
            prop_assert_eq!(decompress(&block, MAX_PAYLOAD), Ok(payload));
        }
    }

    /// A text of units that repeat, so that there is something to refer to, and of any length of literals.
    #[test]
    fn texts_that_were_compressed_before_make_one_block_with_others_around_them(
        pieces in vec((vec(any::<u8>(), 0..400), 0..20_usize, any::<bool>()), 0..8),
    ) {
        let (mut block, mut expected) = (Vec::new(), Vec::new());
        let mut writer = BlockWriter::new(&mut block);
        for (unit, times, is_compressed) in pieces {
            let text = [unit.as_slice(), &unit.get(..7).unwrap_or_default().repeat(times), &unit].concat();
            expected.extend_from_slice(&text);
            if is_compressed {
                let compressed = Compressed::new(&text);
                prop_assert_eq!(compressed.text_len(), text.len());
                prop_assert_eq!(compressed.text(), text);
                let (bytes, numbers) = compressed.parts();
                writer.compressed(&Compressed::of_parts(bytes, numbers));
            } else {
                writer.plain(&text);
            }
        }
        writer.finish();
        if !expected.is_empty() {
            prop_assert_eq!(decompress(&block, expected.len()), Ok(expected));
        }
    }

    #[test]
    fn values_are_escaped_as_dictionaries_have_them(value in vec(prop_oneof![any::<u8>(), Just(0), Just(b'\n'), Just(b'\\')], 0..99)) {
        let text_of = |value: &[u8]| {
            let mut text = Vec::new();
            escaped(value, |byte| text.push(byte));
            text
        };
        let text = text_of(&value);
        let written = DictionaryWriter::new().bytes("k", &value).finish();
        prop_assert_eq!([b"k=".as_slice(), &text].concat(), written);
        let each: Vec<_> = value.iter().map(|byte| text_of(&[*byte])).collect();
        prop_assert_eq!(symbols(&text).collect::<Vec<_>>(), each);
    }

    #[test]
    fn what_is_kept_of_a_text_makes_the_text_again(
        model in vec(any::<u8>(), 0..300),
        pieces in vec((0..300_usize, 0..300_usize, vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let piece = |(from, to, own): &(usize, usize, Vec<u8>)| {
            [model.get(*from..*to).unwrap_or_default(), own].concat()
        };
        let text = pieces.iter().map(piece).collect::<Vec<_>>().concat();
        let packed = pack(&text, &model);
        prop_assert_eq!(&unpack(&packed, &model, text.len()), &text);
        if text.is_empty() {
            prop_assert!(packed.len() <= 1);
        }
        // What is not as it was makes something else, but no harm.
        prop_assert!(unpack(&packed, &text, text.len() / 2).len() <= text.len() / 2);
        prop_assert!(unpack(&text, &model, text.len()).len() <= text.len());
    }

    #[test]
    fn unsigned_membership_has_no_signature_on_the_wire(mut it in arbitrary::membership()) {
        it.signed_by = zt_proto::Address::NONE;
        it.signature = Signature::NONE;
        let bytes = written(|out| it.write(out));
        prop_assert_eq!(bytes.len(), 8 + 24 * it.qualifiers.len());
    }
}

proptest! {
    #[test]
    fn old_dictionaries_survive(entries in vec((arbitrary::value(), arbitrary::value()), 0..12)) {
        let dictionary = entries.iter().fold(OldDictionary::new(), |dictionary, (key, value)| {
            dictionary.with_bytes(&String::from_utf8_lossy(key), value)
        });
        prop_assert_eq!(OldDictionary::parse(&dictionary.write()), dictionary);
    }

    #[test]
    fn text_configurations_survive(config in arbitrary::text_config()) {
        prop_assert_eq!(TextConfig::parse(&config.write()), Ok(config));
    }

    #[test]
    fn configurations_of_version_6_keep_what_that_version_has(mut config in arbitrary::config()) {
        let read = NetworkConfig::parse(&config.write_version_6()).unwrap();
        config.credential_window = 0;
        config.trace_target = zt_proto::Address::NONE;
        config.trace_level = 0;
        config.mtu = NetworkConfig::DEFAULT_MTU;
        config.capabilities.clear();
        config.tags.clear();
        config.ownerships.clear();
        config.dns = ConfigDns::default();
        config.sso = Sso::default();
        let rules = if read.rules == config.rules { config.rules } else { vec![rules::Rule::ACCEPT] };
        prop_assert_eq!(&read, &NetworkConfig { rules, ..config });
        prop_assert_eq!(NetworkConfig::parse(&read.write_version_6()), Ok(read));
    }

    #[test]
    fn texts_of_memberships_survive(it in arbitrary::membership()) {
        let text = written(|out| it.write_text(out));
        prop_assert_eq!(CertificateOfMembership::parse_text(&text), Ok(it));
    }

    #[test]
    fn lists_of_old_roots_survive(
        identities in vec(arbitrary::identity(), 0..4),
        endpoint in arbitrary::endpoint(),
        description in arbitrary::value(),
    ) {
        let mut roots: Vec<_> = identities
            .into_iter()
            .filter(|identity| !identity.address.is_reserved())
            .map(|identity| OldRoot { identity, endpoint, description: description.clone() })
            .collect();
        roots.sort_by_key(|root| root.identity.address);
        roots.dedup_by_key(|root| root.identity.address);
        let topology = RootTopology { roots };
        prop_assert_eq!(RootTopology::parse(&topology.write()), Ok(topology));
    }

    #[test]
    fn frames_survive(
        network in arbitrary::network(),
        (flags, ether_type, macs, limit) in any::<(u8, u16, [[u8; 6]; 2], Option<u32>)>(),
        membership in option::of(arbitrary::membership()),
        group in arbitrary::group(),
        members in vec(arbitrary::address(), 0..9),
        data in arbitrary::frame_data(),
    ) {
        let data = data.as_slice();
        let [destination, source] = macs.map(Mac);
        let frame = Frame { network, ether_type, data };
        let payload = written(|out| frame.write(out));
        prop_assert_eq!(Frame::parse(&payload), Ok(frame));

        let with = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flags & 0xf8 | with(1, membership.is_some());
        let frame =
            ExtFrame { network, flags, membership: membership.clone(), destination, source, ether_type, data };
        let payload = written(|out| frame.write(out));
        prop_assert_eq!(ExtFrame::parse(&payload), Ok(frame));
        let answer = ExtFrameAnswer { network };
        prop_assert_eq!(ExtFrameAnswer::parse(&written(|out| answer.write(out))), Ok(answer));

        let gathered = limit.map(|known| Gathered { known, members });
        let flags = flags | with(2, limit.is_some());
        let answer =
            MulticastFrameAnswer { network, group, flags, membership: membership.clone(), gathered };
        prop_assert_eq!(MulticastFrameAnswer::parse(&written(|out| answer.write(out))), Ok(answer));

        let source = limit.map(|_| source);
        let flags = flags | with(4, source.is_some());
        let frame =
            MulticastFrame { network, flags, membership, gather_limit: limit, source, group, ether_type, data };
        let payload = written(|out| frame.write(out));
        prop_assert_eq!(MulticastFrame::parse(&payload), Ok(frame));
    }

    #[test]
    fn circuit_tests_survive(
        originator in arbitrary::address(),
        (flags, test_id) in any::<(u16, u64)>(),
        timestamp in arbitrary::timestamp(),
        network in arbitrary::network(),
        extension in vec(any::<u8>(), 0..9),
        signature in arbitrary::signature(),
        forwarder in option::of(arbitrary::membership()),
        hops in vec(vec(arbitrary::address(), 0..=CircuitTest::MAX_BREADTH), 0..9),
    ) {
        let test = CircuitTest {
            originator, flags, timestamp, test_id, network, extension: &extension, signature, forwarder, hops,
        };
        let payload = written(|out| test.write(out));
        prop_assert!(payload.starts_with(&test.signed_bytes()));
        prop_assert_eq!(CircuitTest::parse(&payload), Ok(test));
    }

    #[test]
    fn circuit_test_reports_survive(report in arbitrary::circuit_test_report()) {
        let payload = written(|out| report.write(out));
        prop_assert_eq!(CircuitTestReport::parse(&payload), Ok(report));
    }

    #[test]
    fn details_of_errors_survive(
        network in arbitrary::network(),
        group in arbitrary::group(),
        texts in [arbitrary::value(), arbitrary::value(), arbitrary::value()],
    ) {
        let unwanted = UnwantedMulticast { network, group };
        prop_assert_eq!(UnwantedMulticast::parse(&written(|out| unwanted.write(out))), Ok(unwanted));
        let [url, nonce, provider] = texts;
        let login = LoginDetails::Url(url.clone());
        prop_assert_eq!(LoginDetails::parse(&login.write()), Ok(login));
        let login = LoginDetails::OpenId {
            issuer_url: url.clone(),
            central_url: Vec::new(),
            nonce,
            state: url.clone(),
            client_id: url,
            provider,
        };
        prop_assert_eq!(LoginDetails::parse(&login.write()), Ok(login));
    }

    /// What is canonical comes out byte for byte: these forms have no field that is skipped and no second spelling.
    #[test]
    fn canonical_bytes_are_written_as_they_were_read(bytes in vec(any::<u8>(), 0..300), verb in 0..0x20_u8) {
        let verb = Verb(verb);
        let is_canonical = matches!(
            verb,
            Verb::ERROR | Verb::OK | Verb::FRAME | Verb::ECHO | Verb::USER_MESSAGE | Verb::ACK
                | Verb::QOS_MEASUREMENT | Verb::PATH_NEGOTIATION_REQUEST | Verb(0x0f | 0x17..)
        );
        if let Ok(message) = Message::parse(verb, &bytes) {
            prop_assert_eq!(message.verb(), verb);
            let copy = written(|out| message.write(out));
            if is_canonical {
                prop_assert_eq!(&copy, &bytes);
            }
            prop_assert_eq!(Message::parse(verb, &copy), Ok(message));
        }
        let mut reader = Reader::new(&bytes);
        if let Ok(tag) = Tag::parse(&mut reader) {
            let copy = written(|out| tag.write(out));
            prop_assert_eq!(Tag::parse(&mut Reader::new(&copy)), Ok(tag));
        }
    }
}

#[test]
fn timestamps_do_not_overflow() {
    assert_eq!(Timestamp(u64::MAX).plus_millis(1), Timestamp(u64::MAX));
    assert_eq!(Timestamp(1).millis_since(Timestamp(2)), 0);
}
