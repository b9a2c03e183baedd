//! A member of a network: a node that asked to join, or that an administrator added (`vl2.md` §9.2).

use std::collections::BTreeMap;
use std::net::IpAddr;

use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::network::RemoteTrace;

/// The hash of an identity: its address and its public keys ([`zt_crypto::fingerprint`]).
pub type Fingerprint = [u8; 48];

/// A member of one network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    pub network: NetworkId,
    pub address: Address,
    /// Learned at the first request, or named by an administrator before it; never changed afterwards.
    pub identity: Option<PublicIdentity>,
    /// What an administrator who does not know the identity itself has of it: whoever asks must have this
    /// fingerprint. Stays beside the identity that was then learned.
    pub fingerprint: Option<Fingerprint>,
    /// What interfaces call it; `None` until one sets it.
    pub name: Option<String>,
    pub authorized: bool,
    pub active_bridge: bool,
    pub no_auto_assign_ips: bool,
    /// Manual and automatic addresses alike, each once, in the order in which they were given.
    pub ip_assignments: Vec<IpAddr>,
    /// Tag id to value.
    pub tags: BTreeMap<u32, u32>,
    /// Capability ids in the order in which they are issued, each once.
    pub capabilities: Vec<u32>,
    pub created: Timestamp,
    /// Starts at 1; raised by one with every change that is saved.
    pub revision: u64,
    /// Zero: never.
    pub last_authorized: Timestamp,
    /// When an administrator last took the authorization away; zero: never.
    pub last_deauthorized: Timestamp,
    /// Through what the member was last authorized.
    pub credential: Option<Credential>,
    /// End of the single sign-on session; zero: none.
    pub authentication_expiry: Timestamp,
    pub sso_exempt: bool,
    /// As the node announced it with its last admitted request.
    pub version: Option<ClientVersion>,
    pub remote_trace: RemoteTrace,
}

/// Through what a member was authorized.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    Api,
    Public,
    Token(String),
}

/// Software and protocol version of a client, from its request metadata (`vl2.md` §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientVersion {
    pub major: u64,
    pub minor: u64,
    pub revision: u64,
    pub protocol: u64,
}

impl Member {
    /// Returns a member with the defaults of `vl2.md` §9.2, revision 0: saving makes it 1.
    pub fn new(network: NetworkId, address: Address, now: Timestamp) -> Self {
        Self {
            network,
            address,
            identity: None,
            fingerprint: None,
            name: None,
            authorized: false,
            active_bridge: false,
            no_auto_assign_ips: false,
            ip_assignments: Vec::new(),
            tags: BTreeMap::new(),
            capabilities: Vec::new(),
            created: now,
            revision: 0,
            last_authorized: Timestamp(0),
            last_deauthorized: Timestamp(0),
            credential: None,
            authentication_expiry: Timestamp(0),
            sso_exempt: false,
            version: None,
            remote_trace: RemoteTrace::default(),
        }
    }

    /// Says whether the record is about the node with this identity.
    ///
    /// An address is 40 bits, for which somebody can find a second identity; so the keys must be the same, or
    /// their hash, as far as the record names them.
    pub fn is_of(&self, identity: &PublicIdentity) -> bool {
        self.address == identity.address
            && self.identity.is_none_or(|pinned| pinned == *identity)
            && self.fingerprint.is_none_or(|pinned| pinned == zt_crypto::fingerprint(identity))
    }

    /// Authorizes through `credential`, whatever the member was before.
    pub fn authorize(&mut self, credential: Credential, now: Timestamp) {
        self.authorized = true;
        self.last_authorized = now;
        self.credential = Some(credential);
    }

    /// Takes the authorization away; addresses and the record of the credential stay.
    ///
    /// This sticks: see [`Member::is_deauthorized`].
    pub fn deauthorize(&mut self, now: Timestamp) {
        self.authorized = false;
        // Zero is "never"; a clock that was not set must not make it so.
        self.last_deauthorized = now.max(Timestamp(1));
    }

    /// Says whether an administrator took the authorization away and has not given it back.
    ///
    /// Then neither a public network nor a join token admits the member again: otherwise what the
    /// administrator did would be undone by the next request, seconds later (`vl2.md` §19.2).
    pub fn is_deauthorized(&self) -> bool {
        !self.authorized && self.last_deauthorized != Timestamp(0)
    }

    /// Returns when its session is over, in a network whose members log in: never for one that need not.
    pub fn session_end(&self) -> Timestamp {
        if self.sso_exempt { Timestamp(u64::MAX) } else { self.authentication_expiry }
    }

    /// Raises the revision by one if `self` differs from what is stored; says whether it does.
    pub fn revise(&mut self, stored: Option<&Self>) -> bool {
        let changed = stored != Some(self);
        if changed {
            self.revision = self.revision.saturating_add(1);
        }
        changed
    }
}
