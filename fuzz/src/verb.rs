//! Payloads of packets.

use zt_proto::DecodeError;
use zt_proto::verb::circuit_test::{CircuitTest, CircuitTestReport};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::error::{ErrorReply, LoginDetails, NetworkError, UnwantedMulticast};
use zt_proto::verb::frame::{ExtFrame, Frame, MulticastFrame};
use zt_proto::verb::hello::{self, Hello};
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::network_config::{ConfigAcknowledgement, ConfigChunk};
use zt_proto::verb::network_config_request::{NetworkConfigRequest, RequestMetadata};
use zt_proto::verb::ok::{OkHello, OkReply};
use zt_proto::verb::rendezvous::Rendezvous;
use zt_proto::verb::user_message::UserMessage;
use zt_proto::verb::{Answer, Message, Verb, multicast_like, push_direct_paths, remote_trace, whois};

use crate::assert_survives_writing;

/// Reads the payload of any packet; returns whether it makes sense.
pub(crate) fn read_message(verb: Verb, payload: &[u8]) -> bool {
    let read = match verb {
        Verb::NOP | Verb::ECHO => Ok(()),
        Verb::HELLO => read_hello(payload),
        Verb::ERROR => read_error(payload),
        Verb::OK => read_ok(payload),
        Verb::WHOIS => {
            whois::parse_request(payload).for_each(drop);
            Ok(())
        }
        Verb::RENDEZVOUS => {
            Rendezvous::parse(payload).map(|it| assert_survives_writing!(it, Rendezvous::parse))
        }
        Verb::FRAME => Frame::parse(payload).map(|it| assert_survives_writing!(it, Frame::parse)),
        Verb::EXT_FRAME => ExtFrame::parse(payload).map(|it| assert_survives_writing!(it, ExtFrame::parse)),
        Verb::MULTICAST_LIKE => {
            multicast_like::parse(payload).for_each(drop);
            Ok(())
        }
        Verb::NETWORK_CREDENTIALS => NetworkCredentials::parse(payload).map(drop),
        Verb::NETWORK_CONFIG_REQUEST => read_request(payload),
        Verb::NETWORK_CONFIG => read_chunk(payload),
        Verb::MULTICAST_GATHER => {
            MulticastGather::parse(payload).map(|it| assert_survives_writing!(it, MulticastGather::parse))
        }
        Verb::MULTICAST_FRAME => {
            MulticastFrame::parse(payload).map(|it| assert_survives_writing!(it, MulticastFrame::parse))
        }
        Verb::PUSH_DIRECT_PATHS => push_direct_paths::parse(payload).map(drop),
        Verb::USER_MESSAGE => UserMessage::parse(payload).map(drop),
        Verb::REMOTE_TRACE => {
            remote_trace::parse(payload).for_each(|trace| drop(trace.bytes("nwid")));
            Ok(())
        }
        _ => return false,
    };
    read.is_ok()
}

/// The payload of a HELLO, whose tail is taken as if it were not masked.
pub fn hello(data: &[u8]) -> bool {
    read_hello(data).is_ok()
}

fn read_hello(payload: &[u8]) -> Result<(), DecodeError> {
    let hello = Hello::parse(payload)?;
    let offset = hello.tail_offset(payload);
    assert_eq!(payload.get(offset..), Some(hello.tail));
    if let Ok(moons) = hello::parse_moons(hello.tail) {
        let moons: Vec<_> = moons.collect();
        let mut tail = Vec::new();
        hello::write_moons(&moons, &mut tail);
        assert!(hello::parse_moons(&tail).expect("it was just written").eq(moons));
    }
    assert_survives_writing!(hello, Hello::parse);
    Ok(())
}

/// The payload of a request for a configuration, and the metadata in it.
pub fn network_config_request(data: &[u8]) -> bool {
    read_request(data).is_ok()
}

fn read_request(payload: &[u8]) -> Result<(), DecodeError> {
    let request = NetworkConfigRequest::parse(payload)?;
    let metadata = RequestMetadata::parse(request.metadata);
    let written = metadata.write();
    if written.len() <= RequestMetadata::MAX_LEN {
        assert_eq!(RequestMetadata::parse(&written), metadata);
    }
    assert_survives_writing!(request, NetworkConfigRequest::parse);
    Ok(())
}

fn read_chunk(payload: &[u8]) -> Result<(), DecodeError> {
    let chunk = ConfigChunk::parse(payload)?;
    assert!(chunk.signed_bytes().len() <= payload.len());
    assert_survives_writing!(chunk, ConfigChunk::parse);
    Ok(())
}

fn read_error(payload: &[u8]) -> Result<(), DecodeError> {
    let error = ErrorReply::parse(payload)?;
    if let Ok(network) = NetworkError::parse(error.payload) {
        assert_survives_writing!(network, NetworkError::parse);
    }
    assert_survives_writing!(error, ErrorReply::parse);
    Ok(())
}

fn read_ok(payload: &[u8]) -> Result<(), DecodeError> {
    let ok = OkReply::parse(payload)?;
    assert_survives_writing!(ok, OkReply::parse);
    match ok.in_re_verb {
        Verb::HELLO => {
            let hello = OkHello::parse(ok.payload)?;
            hello.worlds().for_each(drop);
            assert_survives_writing!(hello, OkHello::parse);
        }
        Verb::WHOIS => whois::parse_answer(ok.payload).for_each(drop),
        Verb::NETWORK_CONFIG_REQUEST => read_chunk(ok.payload)?,
        Verb::ECHO => drop(ConfigAcknowledgement::parse(ok.payload)?),
        Verb::MULTICAST_GATHER => drop(GatherAnswer::parse(ok.payload)?),
        _ => {}
    }
    Ok(())
}

/// The payload of any packet behind its verb, by way of the sum types.
pub fn message(data: &[u8]) -> bool {
    let Some((verb, payload)) = data.split_first() else { return false };
    let (verb, _) = Verb::from_byte(*verb);
    let Ok(message) = Message::parse(verb, payload) else { return false };
    assert_eq!(message.verb(), verb);
    let mut written = Vec::new();
    message.write(&mut written);
    assert_eq!(Message::parse(verb, &written).as_ref(), Ok(&message));
    if let Message::Ok(ok) = &message {
        let Ok(answer) = Answer::parse(ok) else { return false };
        let mut written = Vec::new();
        answer.write(&mut written);
        assert_eq!(Answer::parse(&OkReply { payload: &written, ..*ok }), Ok(answer));
    }
    if let Message::Error(error) = &message {
        if let Ok(unwanted) = UnwantedMulticast::parse(error.payload) {
            assert_survives_writing!(unwanted, UnwantedMulticast::parse);
        }
        if let Ok(network) = NetworkError::parse(error.payload)
            && let Ok(login) = LoginDetails::parse(network.details)
        {
            assert_eq!(LoginDetails::parse(&login.write()), Ok(login));
        }
    }
    true
}

/// A circuit test, or a report of one.
pub fn circuit_test(data: &[u8]) -> bool {
    let test = CircuitTest::parse(data).map(|test| {
        assert!(test.signed_bytes().len() <= data.len());
        assert_survives_writing!(test, CircuitTest::parse);
    });
    let report = CircuitTestReport::parse(data)
        .map(|report| assert_survives_writing!(report, CircuitTestReport::parse));
    test.is_ok() || report.is_ok()
}
