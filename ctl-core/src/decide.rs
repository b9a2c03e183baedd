//! Who is admitted to a network, and with what (`vl2.md` §10.3–10.11).

use zt_proto::Timestamp;
use zt_proto::dictionary::DictionaryWriter;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::RequestMetadata;

use crate::addresses::{self, Family};
use crate::client::Client;
use crate::config::UnsignedConfig;
use crate::member::{ClientVersion, Credential, Member};
use crate::network::Network;
use crate::request::{ConfigRequest, RequestKind};
use crate::snapshot::Snapshot;

/// What a node gets, and what is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send `config` once signed: as [`Memo::issue`](crate::memo::Memo::issue) makes it.
    Admit {
        config: Box<UnsignedConfig>,
        /// To be saved first, revision already raised; `None` if nothing changed.
        member: Option<Member>,
        /// Of which families it gets no address, since the pools of the network have none left.
        lacks: Vec<Family>,
    },
    /// Send an error, if the node asked.
    Refuse {
        refusal: Refusal,
        /// To be saved first, so that an administrator sees who asks; `None` if nothing changed.
        member: Option<Member>,
    },
}

/// Why a node gets no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    UnknownNetwork,
    AccessDenied,
    /// The single sign-on session is over, or never began.
    AuthenticationRequired,
}

impl Refusal {
    /// Returns what the node is told (`vl2.md` §4.3).
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::UnknownNetwork => ErrorCode::OBJECT_NOT_FOUND,
            Self::AccessDenied => ErrorCode::NETWORK_ACCESS_DENIED,
            Self::AuthenticationRequired => ErrorCode::NETWORK_AUTHENTICATION_REQUIRED,
        }
    }

    /// Returns the dictionary that goes with the error, empty if there is none.
    ///
    /// Where a node has to log in, it is version 0 with an empty URL: there is no authentication service.
    pub fn details(self) -> Vec<u8> {
        match self {
            Self::UnknownNetwork | Self::AccessDenied => Vec::new(),
            Self::AuthenticationRequired => DictionaryWriter::new().hex("aV", 0).text("aU", "").finish(),
        }
    }
}

/// When something is decided. Made of one time, it is that for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionTime {
    /// The present: whether a session or a join token has ended is judged by it, and records say it.
    pub wall: Timestamp,
    /// The time of issue of the configuration and all its credentials.
    ///
    /// It must not go back from one decision about a network to the next, whatever the clock does: members refuse a
    /// certificate that is older than the newest they know, and one that is not newer than a revocation.
    /// [`Memo`](crate::memo::Memo) hands out such times, which may be later than the present.
    pub issued: Timestamp,
}

impl From<Timestamp> for DecisionTime {
    fn from(time: Timestamp) -> Self {
        Self { wall: time, issued: time }
    }
}

/// Decides what the node gets; reads only its arguments, so equal inputs give equal decisions.
///
/// `snapshot` is `None` if there is no such network.
pub fn decide(
    snapshot: Option<&Snapshot>,
    request: &ConfigRequest,
    time: impl Into<DecisionTime>,
) -> Decision {
    let DecisionTime { wall: now, issued } = time.into();
    let Some(snapshot) = snapshot else {
        return Decision::Refuse { refusal: Refusal::UnknownNetwork, member: None };
    };
    let network = &snapshot.network;
    let stored = snapshot.member.as_ref();
    let Some(mut member) = identified(network, stored, request, now) else {
        return Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
    };
    if !member.authorized
        && !member.is_deauthorized()
        && let Some(credential) = automatic_credential(network, request, now)
    {
        member.authorize(credential, now);
    }
    if let Some(refusal) = refusal(network, &member, now) {
        return Decision::Refuse { refusal, member: revised(member, stored) };
    }
    admit(&mut member, snapshot, request);
    // What is told names the record as it is saved, or the next request would find another one.
    let is_changed = member.revise(stored);
    let lacks = addresses::lacking(network, &member);
    let client = Client::of(&request.metadata);
    let config = UnsignedConfig::new(snapshot, &member, &request.identity, client, issued);
    Decision::Admit { config: Box::new(config), member: is_changed.then_some(member), lacks }
}

/// Returns the record of the asking node with its identity, a new record if there is none; `None` if the
/// address belongs to another identity, or if there is nobody to push to.
fn identified(
    network: &Network,
    stored: Option<&Member>,
    request: &ConfigRequest,
    now: Timestamp,
) -> Option<Member> {
    let identity = request.identity;
    let mut member = match (stored, request.kind) {
        (Some(stored), _) => stored.clone(),
        (None, RequestKind::Request) => Member::new(network.id, identity.address, now),
        (None, RequestKind::Push) => return None,
    };
    if !member.is_of(&identity) {
        return None;
    }
    member.identity = Some(identity);
    Some(member)
}

/// Returns through what a node that nobody authorized, and nobody de-authorized, is admitted all the same.
fn automatic_credential(network: &Network, request: &ConfigRequest, now: Timestamp) -> Option<Credential> {
    match request.kind {
        RequestKind::Push => None,
        RequestKind::Request if !network.private => Some(Credential::Public),
        RequestKind::Request => {
            let token = request.metadata.token.as_deref()?;
            let &expiry = network.join_tokens.get(token)?;
            let is_valid = expiry == Timestamp(0) || expiry > now;
            is_valid.then(|| Credential::Token(token.to_owned()))
        }
    }
}

/// Returns why the member is refused, if it is. A session that is over comes first, even for one that is
/// not authorized: this way its user can log in.
fn refusal(network: &Network, member: &Member, now: Timestamp) -> Option<Refusal> {
    if network.sso_enabled && member.session_end() <= now {
        Some(Refusal::AuthenticationRequired)
    } else if !member.authorized {
        Some(Refusal::AccessDenied)
    } else {
        None
    }
}

/// Brings the record of an admitted member up to date: defaults, version, addresses.
fn admit(member: &mut Member, snapshot: &Snapshot, request: &ConfigRequest) {
    let network = &snapshot.network;
    // A version is only known of members that were admitted before.
    let is_first_admission = member.version.is_none();
    if is_first_admission {
        for definition in network.capabilities.iter().filter(|definition| definition.default) {
            if !member.capabilities.contains(&definition.id) {
                member.capabilities.push(definition.id);
            }
        }
    }
    for definition in &network.tags {
        if let Some(value) = definition.default {
            member.tags.entry(definition.id).or_insert(value);
        }
    }
    if is_first_admission || request.kind == RequestKind::Request {
        member.version = Some(version(&request.metadata));
    }
    member.ip_assignments.extend(addresses::assign(network, member, &snapshot.occupied));
}

/// Returns the version that a client announces, in numbers that any database and any reader of JSON can hold.
fn version(metadata: &RequestMetadata) -> ClientVersion {
    let bounded = |number: u64| number.min(u32::MAX.into());
    ClientVersion {
        major: bounded(metadata.software.major),
        minor: bounded(metadata.software.minor),
        revision: bounded(metadata.software.revision),
        protocol: bounded(metadata.protocol),
    }
}

fn revised(mut member: Member, stored: Option<&Member>) -> Option<Member> {
    member.revise(stored).then_some(member)
}
