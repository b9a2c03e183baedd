//! No received byte is a panic (`known-flaws.md` row 11), and no result is larger than its input allows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use zt_proto::PublicIdentity;
use zt_proto::codec::Reader;
use zt_proto::compression::decompress;
use zt_proto::config::{NetworkConfig, TextConfig};
use zt_proto::credential::{Capability, CertificateOfMembership, CertificateOfOwnership, Revocation, Tag};
use zt_proto::dictionary::{Dictionary, OldDictionary};
use zt_proto::packet::{Datagram, HeaderMut, MAX_PAYLOAD, beacon, fragment};
use zt_proto::verb::circuit_test::CircuitTestReport;
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::error::{ErrorReply, LoginDetails, NetworkError, UnwantedMulticast};
use zt_proto::verb::frame::{ExtFrame, Frame, MulticastFrame};
use zt_proto::verb::hello::{Hello, parse_moons};
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::network_config::{ConfigAcknowledgement, ConfigChunk};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::user_message::UserMessage;
use zt_proto::verb::{Answer, Message, Verb, multicast_like, push_direct_paths, remote_trace, whois};
use zt_proto::world::{RootTopology, World};
use zt_proto::{inet, rules};

use crate::vectors::{bytes, list, load};

/// Hands `input` to every parser, and writes again what parsed: that must not panic either.
fn parse_everything(input: &[u8]) {
    let mut out = Vec::new();
    let reader = || Reader::new(input);
    let _ = Datagram::classify(input);
    if let Ok(hello) = Hello::parse(input) {
        hello.write(&mut out);
        let _ = parse_moons(hello.tail).map(Iterator::count);
    }
    let _ = parse_moons(input).map(Iterator::count);
    let _ = OkReply::parse(input).map(|it| it.write(&mut out));
    let _ = OkHello::parse(input).map(|it| (it.worlds().count(), it.write(&mut out)));
    let _ = ErrorReply::parse(input).map(|it| it.write(&mut out));
    let _ = NetworkError::parse(input).map(|it| it.write(&mut out));
    let _ = (whois::parse_request(input).count(), whois::parse_answer(input).count());
    let _ = Rendezvous::parse(input).map(|it| it.write(&mut out));
    let _ = NetworkConfigRequest::parse(input).map(|it| it.write(&mut out));
    let _ = RequestMetadata::parse(input).write();
    let _ = ConfigChunk::parse(input).map(|it| it.write(&mut out));
    let _ = ConfigAcknowledgement::parse(input);
    let _ = NetworkCredentials::parse(input).map(|it| it.write(&mut out));
    let _ = push_direct_paths::parse(input).map(|it| push_direct_paths::write(&it, &mut out));
    let _ = multicast_like::parse(input).count();
    let _ = MulticastGather::parse(input).map(|it| it.write(&mut out));
    let _ = GatherAnswer::parse(input).map(|it| it.write(&mut out));
    let _ = (Frame::parse(input), ExtFrame::parse(input), MulticastFrame::parse(input));
    for verb in 0..=Verb::MASK {
        let _ = Message::parse(Verb(verb), input).map(|it| it.write(&mut out));
        let ok = OkReply { in_re_verb: Verb(verb), in_re_packet: 0, payload: input };
        let _ = Answer::parse(&ok).map(|it| it.write(&mut out));
    }
    let _ = CircuitTestReport::parse(input).map(|it| it.write(&mut out));
    let _ = UnwantedMulticast::parse(input);
    let _ = LoginDetails::parse(input).map(|it| it.write());
    let _ = OldDictionary::parse(input).signed_bytes();
    let _ = TextConfig::parse(input).map(|it| it.write());
    let _ = NetworkConfig::parse(input).map(|it| it.write_version_6());
    let _ = RootTopology::parse(input).map(|it| it.write());
    let _ = CertificateOfMembership::parse_text(input);
    let _ = beacon(input);
    let _ = UserMessage::parse(input);
    let _ = remote_trace::parse(input).filter_map(|trace| trace.hex("a")).count();
    let _ = World::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = PublicIdentity::parse(&mut reader());
    let _ = inet::parse_endpoint(&mut reader(), "endpoint");
    let _ = CertificateOfMembership::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = CertificateOfOwnership::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = Capability::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = Tag::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = Revocation::parse(&mut reader()).map(|it| it.write(&mut out));
    let _ = rules::parse_table(input).map(|it| rules::write_table(&it, &mut out));
    let _ = NetworkConfig::parse(input).map(|it| it.write());
    let dictionary = Dictionary::new(input);
    for key in ["", "a", "n", "id", "=", "\\"] {
        let _ = (dictionary.text(key), dictionary.hex(key), dictionary.boolean(key), dictionary.address(key));
    }
    if let Ok(payload) = decompress(input, MAX_PAYLOAD) {
        assert!(payload.len() <= MAX_PAYLOAD);
    }
    assert!(fragment::split(input, input.len() / 2).count() <= 15);
    let mut copy = input.to_vec();
    fragment::set_hops(&mut copy, 7);
    if let Some(mut header) = HeaderMut::of(&mut copy) {
        header.set_suite(7);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = text.parse::<PublicIdentity>();
        let _ = text.parse::<inet::EndpointText>();
        let _ = text.parse::<inet::IpPrefix>();
    }
}

/// Returns recorded messages of many kinds, as something that almost parses after a change.
fn recorded() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for case in list(&load("vl2/credentials.json"), "credentials") {
        all.push(bytes(case, "serializedHex"));
    }
    for case in list(&load("vl1/hello.json"), "cases") {
        all.push(bytes(case, "plain_payload"));
    }
    for case in list(&load("vl1/world.json"), "worlds") {
        all.push(bytes(case, "serialized"));
    }
    for entry in list(&load("vl1/session.json"), "datagrams") {
        if entry["decoded"].is_object() {
            all.push(bytes(&entry["decoded"], "payload"));
        }
    }
    for case in list(&load("vl1/compression.json"), "cases") {
        all.push(bytes(case, "compressed_packet").split_off(28));
    }
    for case in list(&load("vl2/golden_policy.json"), "cases") {
        let configs =
            list(case, "steps").iter().filter_map(|step| step["result"]["configs"].as_array()).flatten();
        all.extend(configs.take(1).map(|config| bytes(config, "dictHex")));
    }
    all
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(input in vec(any::<u8>(), 0..600)) {
        parse_everything(&input);
    }

    #[test]
    fn small_numbers_never_panic(input in vec(0..8_u8, 0..300)) {
        parse_everything(&input);
    }

    #[test]
    fn dictionary_like_text_never_panics(input in "([a-zA-Z]{1,4}=[0-9a-f\\\\]{0,20}[\r\n]){0,20}") {
        parse_everything(input.as_bytes());
    }

    #[test]
    fn damaged_messages_never_panic(
        mut input in select(recorded()),
        changes in vec((any::<Index>(), any::<u8>()), 0..4),
        cut in any::<Index>(),
        is_cut: bool,
    ) {
        for (position, value) in changes {
            if !input.is_empty() {
                let position = position.index(input.len());
                input[position] = value;
            }
        }
        if is_cut && !input.is_empty() {
            input.truncate(cut.index(input.len()));
        }
        parse_everything(&input);
    }
}
