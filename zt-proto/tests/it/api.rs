//! What is promised of every public type (crate documentation, "Conventions" and "What may change").

use std::error::Error;
use std::fmt::{Debug, Display};
use std::fs;
use std::hash::Hash;
use std::panic::UnwindSafe;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zt_proto::address::{HexIdError, MacTextError};
use zt_proto::codec::Reader;
use zt_proto::compression::{BlockWriter, Compressed, Payload};
use zt_proto::config::*;
use zt_proto::credential::*;
use zt_proto::dictionary::*;
use zt_proto::identity::IdentityTextError;
use zt_proto::inet::{EndpointText, InetTextError, Scope};
use zt_proto::packet::*;
use zt_proto::rules::*;
use zt_proto::verb::circuit_test::*;
use zt_proto::verb::credentials::*;
use zt_proto::verb::echo::*;
use zt_proto::verb::error::*;
use zt_proto::verb::frame::*;
use zt_proto::verb::hello::*;
use zt_proto::verb::multicast_gather::*;
use zt_proto::verb::multicast_like::Like;
use zt_proto::verb::network_config::*;
use zt_proto::verb::network_config_request::*;
use zt_proto::verb::ok::*;
use zt_proto::verb::push_direct_paths::DirectPath;
use zt_proto::verb::rendezvous::*;
use zt_proto::verb::user_message::*;
use zt_proto::verb::{Answer, Message, Verb};
use zt_proto::world::*;
use zt_proto::{Address, DecodeError, IpPrefix, Mac, MulticastGroup, NetworkId, PublicIdentity, Timestamp};

/// Checks the bounds of each type when compiled, and makes a list of their names.
macro_rules! all {
    ($check:ident: $($name:ident),* $(,)?) => {{
        $($check::<$name>();)*
        [$(stringify!($name)),*]
    }};
}

fn value<T: Debug + Clone + Eq + Hash + Send + Sync + Unpin + UnwindSafe>() {}
fn error<T: Error + Clone + Eq + Send + Sync + Unpin + UnwindSafe + 'static>() {}
fn tool<T: Debug + Send + Sync + Unpin>() {}
fn text<T: Display + FromStr<Err: Error + Send + Sync + 'static>>() {}
fn id<T: Copy + Ord + Hash + Display>() {}

#[test]
fn every_public_type_has_the_common_traits() {
    let values = all!(value:
        Address, NetworkId, Mac, MulticastGroup, Timestamp, PublicIdentity, IpPrefix, EndpointText, Scope,
        Datagram, PacketHeader, FragmentHeader, Verb, Message, Answer, ErrorCode, ErrorReply, NetworkError,
        UnwantedMulticast, LoginDetails, Hello, NodeVersion, OkReply, OkHello, Frame, ExtFrame, ExtFrameAnswer,
        MulticastFrame, MulticastFrameAnswer, Rendezvous, Echo, Like, NetworkCredentials, NetworkConfigRequest,
        RequestMetadata, SoftwareVersion, ConfigChunk, ChunkPart, ConfigAcknowledgement, MulticastGather,
        GatherAnswer, Gathered, DirectPath, CircuitTest, CircuitTestReport, UserMessage, NetworkConfig, Certificates, Specialist,
        ConfigRoute, ConfigDns, Sso, OpenId, TextConfig, Relay, Gateway, MulticastRate, Dictionary, OldDictionary, SharedEntries,
        OwnEntries, Compressed, Payload,
        World, WorldKind, WorldVersion, Root, RootTopology, OldRoot, Signature, CredentialType,
        CertificateOfMembership, Qualifier, CertificateOfOwnership, Thing, Tag, Capability, Custody, Revocation,
        Rule, RuleBody, TagMatch,
    );
    let errors = all!(error: DecodeError, HexIdError, MacTextError, InetTextError, IdentityTextError);
    let tools = all!(tool: Reader, HeaderMut, DictionaryWriter, BlockWriter);
    let listed = [values.as_slice(), &errors, &tools].concat();
    for (name, declaration) in declarations() {
        assert!(listed.contains(&name.as_str()), "{declaration}: is in none of the lists above");
    }
    all!(text: Address, NetworkId, Mac, IpPrefix, EndpointText, PublicIdentity);
    all!(id: Address, NetworkId, Mac, IpPrefix, PublicIdentity, Verb, ErrorCode);
}

/// The rule of the crate documentation: what the protocol can extend does not break those who match it.
#[test]
fn enums_may_grow_unless_the_wire_closes_them() {
    let closed = ["Datagram", "Scope", "WorldKind"];
    let mut open = 0;
    for (name, declaration) in declarations() {
        let is_open = declaration.contains("#[non_exhaustive]");
        let must_be = declaration.contains("pub enum") && !closed.contains(&name.as_str());
        assert_eq!(is_open, must_be, "{declaration}");
        open += usize::from(is_open);
    }
    assert_eq!(open, 9);
}

/// Returns each public type with its attributes and the line that declares it.
fn declarations() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let source = fs::read_to_string(path).unwrap();
        let mut attributes = String::new();
        for line in source.lines() {
            if line.starts_with("#[") {
                attributes.push_str(line);
            } else if let Some(rest) =
                ["pub struct ", "pub enum "].iter().find_map(|it| line.strip_prefix(it))
            {
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                found.push((rest[..end].to_owned(), format!("{attributes} {line}")));
            } else {
                attributes.clear();
            }
        }
    }
    assert!(found.len() > 80, "{found:?}");
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
