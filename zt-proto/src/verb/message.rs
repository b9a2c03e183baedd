//! The payload of any packet, by its verb.

use super::Verb;
use super::circuit_test::CircuitTest;
use super::credentials::NetworkCredentials;
use super::echo::Echo;
use super::error::ErrorReply;
use super::frame::{ExtFrame, ExtFrameAnswer, Frame, MulticastFrame, MulticastFrameAnswer};
use super::hello::Hello;
use super::multicast_gather::{GatherAnswer, MulticastGather};
use super::multicast_like::{self, Like};
use super::network_config::{self, ConfigAcknowledgement, ConfigChunk};
use super::network_config_request::NetworkConfigRequest;
use super::ok::{OkHello, OkReply};
use super::push_direct_paths::{self, DirectPath};
use super::rendezvous::Rendezvous;
use super::user_message::UserMessage;
use super::{remote_trace, whois};
use crate::address::{Address, NetworkId};
use crate::codec::DecodeError;
use crate::dictionary::Dictionary;
use crate::identity::PublicIdentity;

/// What a packet says: for tools that take every verb. A node that knows which verb it wants parses that one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Its payload means nothing.
    Nop,
    /// With its tail still masked.
    Hello(Hello<'a>),
    /// A refused request.
    Error(ErrorReply<'a>),
    /// See [`Answer::parse`] for what is in it.
    Ok(OkReply<'a>),
    /// Asks for the identities of these nodes.
    Whois(Vec<Address>),
    /// Says where another peer is.
    Rendezvous(Rendezvous),
    /// An Ethernet frame between members.
    Frame(Frame<'a>),
    /// An Ethernet frame with all that may come with one.
    ExtFrame(ExtFrame<'a>),
    /// The keep-alive of a path.
    Echo(Echo<'a>),
    /// The groups whose multicasts the sender wants.
    MulticastLike(Vec<Like>),
    /// Credentials that are pushed.
    NetworkCredentials(NetworkCredentials),
    /// Asks for a configuration.
    NetworkConfigRequest(NetworkConfigRequest<'a>),
    /// A pushed piece of a configuration.
    NetworkConfig(ConfigChunk<'a>),
    /// NETWORK_CONFIG in its form before 1.2.0: ask again for these networks.
    NetworkConfigRefresh(Vec<NetworkId>),
    /// Asks who is in a group.
    MulticastGather(MulticastGather),
    /// An Ethernet frame for a group.
    MulticastFrame(MulticastFrame<'a>),
    /// Where the sender can be reached.
    PushDirectPaths(Vec<DirectPath>),
    /// A test of 1.1.0 to 1.2.4.
    CircuitTest(CircuitTest<'a>),
    /// Anything that applications agreed on.
    UserMessage(UserMessage<'a>),
    /// Diagnostic data of a member.
    RemoteTrace(Vec<Dictionary<'a>>),
    /// A verb without a meaning here. Among them is 0x12, which means two things:
    /// [`CircuitTestReport`](super::circuit_test::CircuitTestReport) reads one of them.
    Other {
        /// What the verb byte says.
        verb: Verb,
        /// All that follows it.
        payload: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// Reads the decompressed payload that follows the verb byte.
    ///
    /// # Errors
    /// As `parse` of that verb.
    pub fn parse(verb: Verb, payload: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match verb {
            Verb::NOP => Self::Nop,
            Verb::HELLO => Self::Hello(Hello::parse(payload)?),
            Verb::ERROR => Self::Error(ErrorReply::parse(payload)?),
            Verb::OK => Self::Ok(OkReply::parse(payload)?),
            Verb::WHOIS => Self::Whois(whois::parse_request(payload).collect()),
            Verb::RENDEZVOUS => Self::Rendezvous(Rendezvous::parse(payload)?),
            Verb::FRAME => Self::Frame(Frame::parse(payload)?),
            Verb::EXT_FRAME => Self::ExtFrame(ExtFrame::parse(payload)?),
            Verb::ECHO => Self::Echo(Echo::parse(payload)),
            Verb::MULTICAST_LIKE => Self::MulticastLike(multicast_like::parse(payload).collect()),
            Verb::NETWORK_CREDENTIALS => Self::NetworkCredentials(NetworkCredentials::parse(payload)?),
            Verb::NETWORK_CONFIG_REQUEST => Self::NetworkConfigRequest(NetworkConfigRequest::parse(payload)?),
            Verb::NETWORK_CONFIG => match ConfigChunk::parse(payload) {
                Ok(chunk) => Self::NetworkConfig(chunk),
                Err(_) if payload.len() >= 8 && payload.len().is_multiple_of(8) => {
                    Self::NetworkConfigRefresh(network_config::parse_refresh(payload).collect())
                }
                Err(error) => return Err(error),
            },
            Verb::MULTICAST_GATHER => Self::MulticastGather(MulticastGather::parse(payload)?),
            Verb::MULTICAST_FRAME => Self::MulticastFrame(MulticastFrame::parse(payload)?),
            Verb::PUSH_DIRECT_PATHS => Self::PushDirectPaths(push_direct_paths::parse(payload)?),
            Verb::CIRCUIT_TEST => Self::CircuitTest(CircuitTest::parse(payload)?),
            Verb::USER_MESSAGE => Self::UserMessage(UserMessage::parse(payload)?),
            Verb::REMOTE_TRACE => Self::RemoteTrace(remote_trace::parse(payload).collect()),
            verb => Self::Other { verb, payload },
        })
    }

    /// Returns the verb under which the message is sent.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Nop => Verb::NOP,
            Self::Hello(_) => Verb::HELLO,
            Self::Error(_) => Verb::ERROR,
            Self::Ok(_) => Verb::OK,
            Self::Whois(_) => Verb::WHOIS,
            Self::Rendezvous(_) => Verb::RENDEZVOUS,
            Self::Frame(_) => Verb::FRAME,
            Self::ExtFrame(_) => Verb::EXT_FRAME,
            Self::Echo(_) => Verb::ECHO,
            Self::MulticastLike(_) => Verb::MULTICAST_LIKE,
            Self::NetworkCredentials(_) => Verb::NETWORK_CREDENTIALS,
            Self::NetworkConfigRequest(_) => Verb::NETWORK_CONFIG_REQUEST,
            Self::NetworkConfig(_) | Self::NetworkConfigRefresh(_) => Verb::NETWORK_CONFIG,
            Self::MulticastGather(_) => Verb::MULTICAST_GATHER,
            Self::MulticastFrame(_) => Verb::MULTICAST_FRAME,
            Self::PushDirectPaths(_) => Verb::PUSH_DIRECT_PATHS,
            Self::CircuitTest(_) => Verb::CIRCUIT_TEST,
            Self::UserMessage(_) => Verb::USER_MESSAGE,
            Self::RemoteTrace(_) => Verb::REMOTE_TRACE,
            Self::Other { verb, .. } => *verb,
        }
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nop => {}
            Self::Hello(hello) => {
                hello.write(out);
            }
            Self::Error(error) => error.write(out),
            Self::Ok(ok) => ok.write(out),
            Self::Whois(addresses) => whois::write_request(addresses, out),
            Self::Rendezvous(rendezvous) => rendezvous.write(out),
            Self::Frame(frame) => frame.write(out),
            Self::ExtFrame(frame) => frame.write(out),
            Self::Echo(echo) => echo.write(out),
            Self::MulticastLike(likes) => multicast_like::write(likes, out),
            Self::NetworkCredentials(credentials) => credentials.write(out),
            Self::NetworkConfigRequest(request) => request.write(out),
            Self::NetworkConfig(chunk) => chunk.write(out),
            Self::NetworkConfigRefresh(networks) => network_config::write_refresh(networks, out),
            Self::MulticastGather(gather) => gather.write(out),
            Self::MulticastFrame(frame) => frame.write(out),
            Self::PushDirectPaths(paths) => push_direct_paths::write(paths, out),
            Self::CircuitTest(test) => test.write(out),
            Self::UserMessage(message) => message.write(out),
            Self::RemoteTrace(traces) => remote_trace::write(traces.iter().map(Dictionary::as_bytes), out),
            Self::Other { payload, .. } => out.extend_from_slice(payload),
        }
    }
}

/// What follows the envelope of an OK, by the verb that it answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// What the answering node says about itself.
    Hello(OkHello<'a>),
    /// None has been validated.
    Whois(Vec<PublicIdentity>),
    /// The network of the frame that was to be acknowledged.
    ExtFrame(ExtFrameAnswer),
    /// Or, if one was pushed, the acknowledgement of a configuration, which names ECHO too:
    /// [`ConfigAcknowledgement`] reads it.
    Echo(Echo<'a>),
    /// A piece of the configuration that was asked for.
    NetworkConfig(ConfigChunk<'a>),
    /// As it should have been; releases up to now send it as [`Answer::Echo`].
    ConfigAcknowledgement(ConfigAcknowledgement),
    /// Members of the group that was asked about.
    MulticastGather(GatherAnswer),
    /// What came of a multicast.
    MulticastFrame(MulticastFrameAnswer),
    /// An answer to a verb that has none.
    Other {
        /// The verb that is answered.
        verb: Verb,
        /// What follows the envelope.
        payload: &'a [u8],
    },
}

impl<'a> Answer<'a> {
    /// # Errors
    /// As `parse` of the answer to that verb.
    pub fn parse(ok: &OkReply<'a>) -> Result<Self, DecodeError> {
        let payload = ok.payload;
        Ok(match ok.in_re_verb {
            Verb::HELLO => Self::Hello(OkHello::parse(payload)?),
            Verb::WHOIS => Self::Whois(whois::parse_answer(payload).collect::<Result<_, _>>()?),
            Verb::EXT_FRAME => Self::ExtFrame(ExtFrameAnswer::parse(payload)?),
            Verb::ECHO => Self::Echo(Echo::parse(payload)),
            Verb::NETWORK_CONFIG_REQUEST => Self::NetworkConfig(ConfigChunk::parse(payload)?),
            Verb::NETWORK_CONFIG => Self::ConfigAcknowledgement(ConfigAcknowledgement::parse(payload)?),
            Verb::MULTICAST_GATHER => Self::MulticastGather(GatherAnswer::parse(payload)?),
            Verb::MULTICAST_FRAME => Self::MulticastFrame(MulticastFrameAnswer::parse(payload)?),
            verb => Self::Other { verb, payload },
        })
    }

    /// Appends what follows the envelope.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => hello.write(out),
            Self::Whois(identities) => whois::write_answer(identities, out),
            Self::ExtFrame(answer) => answer.write(out),
            Self::Echo(echo) => echo.write(out),
            Self::NetworkConfig(chunk) => chunk.write(out),
            Self::ConfigAcknowledgement(acknowledgement) => acknowledgement.write(out),
            Self::MulticastGather(answer) => answer.write(out),
            Self::MulticastFrame(answer) => answer.write(out),
            Self::Other { payload, .. } => out.extend_from_slice(payload),
        }
    }
}
