//! Every packet of a recorded session is read as what it is, and written back byte for byte.

use std::collections::BTreeSet;

use serde_json::Value;
use zt_proto::Address;
use zt_proto::config::NetworkConfig;
use zt_proto::verb::error::{ErrorCode, ErrorReply, LoginDetails, NetworkError};
use zt_proto::verb::frame::{Frame, MulticastFrame, MulticastFrameAnswer};
use zt_proto::verb::hello::Hello;
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::network_config::{ConfigAcknowledgement, ConfigChunk};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::user_message::UserMessage;
use zt_proto::verb::{Answer, Message, Verb, multicast_like, push_direct_paths, whois};

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn recorded_payloads_are_read_and_written_back() {
    let mut seen = BTreeSet::new();
    for entry in list(&load("vl1/session.json"), "datagrams") {
        for decoded in [&entry["decoded"], &entry["reassembled"]] {
            if decoded.is_object() {
                check(decoded);
                seen.insert(text(decoded, "verb").to_owned());
            }
        }
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
}

fn check(decoded: &Value) {
    let payload = bytes(decoded, "payload");
    check_message(text(decoded, "verb"), &payload);
    let copy = match text(decoded, "verb") {
        "HELLO" => written(|out| {
            Hello::parse(&payload).unwrap().write(out);
        }),
        "OK" => check_ok(decoded, &payload),
        "ERROR" => check_error(&payload),
        "WHOIS" => {
            let addresses: Vec<Address> = whois::parse_request(&payload).collect();
            assert_eq!(addresses.len(), 1);
            written(|out| whois::write_request(&addresses, out))
        }
        "RENDEZVOUS" => written(|out| Rendezvous::parse(&payload).unwrap().write(out)),
        "ECHO" => payload.clone(),
        "MULTICAST_LIKE" => {
            let likes: Vec<_> = multicast_like::parse(&payload).collect();
            written(|out| multicast_like::write(&likes, out))
        }
        "NETWORK_CONFIG_REQUEST" => {
            let request = NetworkConfigRequest::parse(&payload).unwrap();
            let metadata = RequestMetadata::parse(request.metadata);
            assert_eq!((metadata.config_version, metadata.protocol, metadata.rules_engine), (7, 12, 1));
            assert_eq!((metadata.software.major, metadata.software.minor), (1, 14));
            assert_eq!((metadata.max_rules, metadata.max_tags), (1024, 128));
            assert_eq!(metadata.write(), request.metadata);
            written(|out| request.write(out))
        }
        "NETWORK_CONFIG" => check_chunk(&payload),
        "MULTICAST_GATHER" => written(|out| MulticastGather::parse(&payload).unwrap().write(out)),
        "PUSH_DIRECT_PATHS" => {
            let paths = push_direct_paths::parse(&payload).unwrap();
            assert_eq!(paths.len(), 2);
            written(|out| push_direct_paths::write(&paths, out))
        }
        "USER_MESSAGE" => written(|out| UserMessage::parse(&payload).unwrap().write(out)),
        "FRAME" => {
            let frame = Frame::parse(&payload).unwrap();
            assert_eq!(frame.network.octets(), payload[..8]);
            written(|out| frame.write(out))
        }
        "MULTICAST_FRAME" => {
            let frame = MulticastFrame::parse(&payload).unwrap();
            assert_eq!(frame.gather_limit, Some(33));
            assert_eq!(frame.group.mac.to_string(), "33:33:00:00:00:01");
            assert!(frame.data.iter().all(|byte| *byte == 0x6d));
            written(|out| frame.write(out))
        }
        verb => panic!("{verb} is not known"),
    };
    assert_eq!(copy, payload);
}

/// The same by way of the sum types.
fn check_message(verb: &str, payload: &[u8]) {
    let verb = (0..=Verb::MASK).map(Verb).find(|it| it.to_string() == verb).unwrap();
    let message = Message::parse(verb, payload).unwrap();
    assert_eq!(message.verb(), verb);
    assert!(!matches!(message, Message::Other { .. }));
    assert_eq!(written(|out| message.write(out)), payload);
    if let Message::Ok(ok) = message {
        let answer = Answer::parse(&ok).unwrap();
        assert!(!matches!(answer, Answer::Other { .. }));
        assert_eq!(written(|out| answer.write(out)), ok.payload);
    }
}

fn check_ok(decoded: &Value, payload: &[u8]) -> Vec<u8> {
    let ok = OkReply::parse(payload).unwrap();
    assert_eq!(ok.in_re_verb.to_string(), text(decoded, "in_re_verb"));
    let copy = match ok.in_re_verb {
        Verb::HELLO => written(|out| OkHello::parse(ok.payload).unwrap().write(out)),
        Verb::WHOIS => {
            let identities = whois::parse_answer(ok.payload).collect::<Result<Vec<_>, _>>().unwrap();
            written(|out| whois::write_answer(&identities, out))
        }
        // The acknowledgement of a pushed configuration names ECHO too.
        Verb::ECHO if !ok.payload.is_empty() => {
            written(|out| ConfigAcknowledgement::parse(ok.payload).unwrap().write(out))
        }
        Verb::NETWORK_CONFIG_REQUEST => check_chunk(ok.payload),
        Verb::MULTICAST_FRAME => {
            let answer = MulticastFrameAnswer::parse(ok.payload).unwrap();
            assert_eq!(answer.gathered.as_ref().map(|gathered| gathered.members.len()), Some(1));
            written(|out| answer.write(out))
        }
        Verb::MULTICAST_GATHER => written(|out| GatherAnswer::parse(ok.payload).unwrap().write(out)),
        _ => ok.payload.to_vec(),
    };
    assert_eq!(copy, ok.payload);
    written(|out| ok.write(out))
}

fn check_error(payload: &[u8]) -> Vec<u8> {
    let error = ErrorReply::parse(payload).unwrap();
    assert_eq!(error.in_re_verb, Verb::NETWORK_CONFIG_REQUEST);
    let network = NetworkError::parse(error.payload).unwrap();
    assert_eq!(written(|out| network.write(out)), error.payload);
    if !network.details.is_empty() {
        assert_eq!(error.code, ErrorCode::NETWORK_AUTHENTICATION_REQUIRED);
        let login = LoginDetails::parse(network.details).unwrap();
        assert_eq!(login, LoginDetails::Url(b"https://example.invalid/login?x=1".to_vec()));
        assert_eq!(login.write(), network.details);
    }
    written(|out| error.write(out))
}

fn check_chunk(payload: &[u8]) -> Vec<u8> {
    let chunk = ConfigChunk::parse(payload).unwrap();
    assert_eq!(chunk.signed_bytes(), payload[..payload.len() - 99]);
    let part = chunk.part.as_ref().unwrap();
    assert_eq!((usize::try_from(part.total), part.index, part.flags), (Ok(chunk.data.len()), 0, 0));
    let config = NetworkConfig::parse(chunk.data).unwrap();
    assert_eq!(config.network, chunk.network);
    assert_eq!(config.write(), chunk.data);
    written(|out| chunk.write(out))
}
