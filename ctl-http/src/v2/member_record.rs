//! Members as `/api/v2` shows and changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ctl_core::Member;
use ctl_core::member::Credential;
use ctl_core::record::{FieldError, member as record};
use ctl_store::Sighting;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use zt_proto::Timestamp;
use zt_proto::inet::EndpointText;

use super::change::{Change, Object, ReadOnly};
use super::etag::Version;
use super::network_change::Checks;
use super::problem::{Invalid, Problem};
use super::text::{Endpoint, Identity, Ip, NetworkText, Node};
use crate::status::PeerStatus;

/// Bytes of a name.
const MAX_NAME_BYTES: usize = 127;
/// What members take (`vl2.md` §17).
const MAX_ADDRESSES: usize = 32;
const MAX_TAGS: usize = 128;
const MAX_CAPABILITIES: usize = 128;

/// A member of a network.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub(crate) struct MemberView<'a> {
    network: NetworkText,
    address: Node,
    /// One more with each change.
    revision: u64,
    /// Milliseconds since 1970.
    creation_time: u64,
    name: Option<&'a str>,
    authorized: bool,
    active_bridge: bool,
    no_auto_assign_ips: bool,
    #[serde(serialize_with = "write_ips")]
    #[schemars(with = "Vec<Ip>")]
    ip_assignments: &'a [IpAddr],
    #[serde(serialize_with = "write_tags")]
    #[schemars(with = "Vec<TagValue>")]
    tags: &'a BTreeMap<u32, u32>,
    /// Ids.
    #[schemars(with = "Vec<u32>")]
    capabilities: &'a [u32],
    /// The public identity; null until it first asked.
    identity: Option<Identity>,
    /// SHA-384 of address and public keys, if somebody named it before the member asked.
    identity_fingerprint: Option<String>,
    /// Milliseconds since 1970; 0 is never, as in all times.
    last_authorized_time: u64,
    last_deauthorized_time: u64,
    /// Through what it was last authorized.
    last_authorized_credential_type: Option<CredentialKind>,
    /// End of the single sign-on session.
    authentication_expiry_time: u64,
    sso_exempt: bool,
    remote_trace_target: Option<&'a str>,
    remote_trace_level: u64,
    /// Of the client, as it last said: `MAJOR.MINOR.REVISION`.
    version: Option<String>,
    /// Of the client, such as `linux/x86_64`.
    platform: Option<&'a str>,
    /// Whether this controller reaches it now.
    online: bool,
    /// When it was last heard from.
    last_seen: u64,
    /// The path in use, or else where it last asked from.
    physical_address: Option<Endpoint>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CredentialKind {
    Api,
    Public,
    Token,
}

/// A tag of a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tag")]
struct TagValue {
    id: u32,
    value: u32,
}

impl<'a> MemberView<'a> {
    /// `peer` is what the node knows of the member now, `sighting` what was noted when it last asked.
    pub(crate) fn new(member: &'a Member, peer: Option<&PeerStatus>, sighting: Option<&'a Sighting>) -> Self {
        let path = peer.and_then(PeerStatus::path_in_use);
        let heard = peer.and_then(PeerStatus::last_receive).max(sighting.map(|sighting| sighting.last));
        let wire = path.map(|path| path.address).or(sighting.and_then(|sighting| sighting.client.wire));
        let version = member.version.as_ref();
        let platform = sighting.map(|sighting| sighting.client.platform.as_str());
        Self {
            network: NetworkText(member.network),
            address: Node(member.address),
            revision: member.revision,
            creation_time: member.created.0,
            name: member.name.as_deref(),
            authorized: member.authorized,
            active_bridge: member.active_bridge,
            no_auto_assign_ips: member.no_auto_assign_ips,
            ip_assignments: &member.ip_assignments,
            tags: &member.tags,
            capabilities: &member.capabilities,
            identity: member.identity.map(Identity),
            identity_fingerprint: member.fingerprint.map(|hash| HEXLOWER.encode(&hash)),
            last_authorized_time: member.last_authorized.0,
            last_deauthorized_time: member.last_deauthorized.0,
            last_authorized_credential_type: member.credential.as_ref().map(CredentialKind::of),
            authentication_expiry_time: member.authentication_expiry.0,
            sso_exempt: member.sso_exempt,
            remote_trace_target: member.remote_trace.target.as_deref(),
            remote_trace_level: member.remote_trace.level,
            version: version.map(|it| format!("{}.{}.{}", it.major, it.minor, it.revision)),
            platform: platform.filter(|platform| !platform.is_empty()),
            online: path.is_some(),
            last_seen: heard.unwrap_or_default().0,
            physical_address: wire.map(|wire| Endpoint(EndpointText(wire))),
        }
    }
}

fn write_ips<S: Serializer>(ips: &[IpAddr], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ips.iter().copied().map(Ip))
}

fn write_tags<S: Serializer>(tags: &BTreeMap<u32, u32>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tags.iter().map(|(&id, &value)| TagValue { id, value }))
}

/// Returns the version of a member for its entity tag.
pub(crate) fn version_of(member: &Member) -> Version {
    Version { revision: member.revision, created: member.created }
}

impl CredentialKind {
    fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Api => Self::Api,
            Credential::Public => Self::Public,
            Credential::Token(_) => Self::Token,
        }
    }
}

/// A change of a member, as a JSON merge patch: what is absent stays, null takes a setting back.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct MemberChange {
    /// At most 127 bytes.
    #[schemars(length(max = 127))]
    name: Change<String>,
    authorized: Change<bool>,
    active_bridge: Change<bool>,
    no_auto_assign_ips: Change<bool>,
    /// Each address once, and no address of another member.
    #[schemars(length(max = 32))]
    ip_assignments: Change<Vec<Ip>>,
    /// Each tag once.
    #[schemars(length(max = 128))]
    tags: Change<Vec<Object<TagValue>>>,
    /// Ids, each once.
    #[schemars(length(max = 128))]
    capabilities: Change<Vec<u32>>,
    /// The public identity, while none is known: then nobody else with that address gets in.
    identity: Change<String>,
    /// 96 hexadecimal digits, where only the fingerprint is known.
    identity_fingerprint: Change<String>,
    authentication_expiry_time: Change<u64>,
    remote_trace_target: Change<Node>,
    remote_trace_level: Change<u64>,
    network: ReadOnly,
    address: ReadOnly,
    revision: ReadOnly,
    creation_time: ReadOnly,
    last_authorized_time: ReadOnly,
    last_deauthorized_time: ReadOnly,
    last_authorized_credential_type: ReadOnly,
    sso_exempt: ReadOnly,
    // These change by themselves, so whatever is sent is not looked at.
    version: ReadOnly,
    platform: ReadOnly,
    online: ReadOnly,
    last_seen: ReadOnly,
    physical_address: ReadOnly,
}

impl MemberChange {
    /// Returns what was sent of the fields that cannot be changed, and that do not change by themselves.
    fn read_only(&self) -> [(&'static str, &ReadOnly); 8] {
        [
            ("network", &self.network),
            ("address", &self.address),
            ("revision", &self.revision),
            ("creationTime", &self.creation_time),
            ("lastAuthorizedTime", &self.last_authorized_time),
            ("lastDeauthorizedTime", &self.last_deauthorized_time),
            ("lastAuthorizedCredentialType", &self.last_authorized_credential_type),
            ("ssoExempt", &self.sso_exempt),
        ]
    }

    /// Checks that nobody tries to change what cannot be changed.
    ///
    /// # Errors
    /// 422 with what differs from what is stored.
    pub(crate) fn check_read_only(&self, stored: &Member) -> Result<(), Problem> {
        ReadOnly::check(self.read_only(), || Ok(MemberView::new(stored, None, None)))
    }

    /// Makes no decision of `authorized` in a record that comes back as it was shown: to say false of a node that waits is
    /// to refuse it for good.
    #[must_use]
    pub(crate) fn without_repeated_decision(self, stored: &Member) -> Self {
        let is_whole = self.read_only().into_iter().any(|(_, field)| field.is_there());
        let is_repeated = is_whole && !stored.authorized && self.authorized == Change::Set(false);
        if is_repeated { Self { authorized: Change::Keep, ..self } } else { self }
    }

    /// Refuses all of those, where there is nothing to compare them with; pointers begin with `place`.
    pub(crate) fn without_read_only(&self, place: &str) -> Vec<Invalid> {
        let sent = self.read_only().into_iter().filter(|(_, field)| field.is_there());
        sent.map(|(name, _)| Invalid::new(format!("{place}/{name}"), "read-only: expected nothing")).collect()
    }

    /// Returns a change that only authorizes or the opposite.
    pub(crate) fn authorization(authorized: bool) -> Self {
        Self { authorized: Change::Set(authorized), ..Self::default() }
    }

    /// Returns everything that is of its type and still cannot be used; pointers begin with `place`.
    pub(crate) fn invalid(&self, place: &str) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let at = |name: &str| format!("{place}/{name}");
        checks.bytes(&at("name"), self.name.value(), MAX_NAME_BYTES);
        checks.count(&at("ipAssignments"), self.ip_assignments.entries(), MAX_ADDRESSES);
        checks.count(&at("tags"), self.tags.entries(), MAX_TAGS);
        checks.count(&at("capabilities"), self.capabilities.entries(), MAX_CAPABILITIES);
        let ips = self.ip_assignments.entries().iter().map(|ip| ip.0);
        checks.once(&at("ipAssignments"), ips);
        checks.once(&at("tags"), self.tags.entries().iter().map(|tag| tag.0.id));
        checks.once(&at("capabilities"), self.capabilities.entries().iter().copied());
        checks.0
    }

    /// Changes a member; to be called once nothing is [`Self::invalid`]. `now` is the time of a change of
    /// `authorized`.
    ///
    /// # Errors
    /// If the identity or the fingerprint is not that of the member, which may then have been changed in part.
    pub(crate) fn apply(self, member: &mut Member, now: Timestamp) -> Result<(), FieldError> {
        record::apply(&self.sensitive(), member, now)?;
        self.name.apply(&mut member.name, None, Some);
        self.active_bridge.apply(&mut member.active_bridge, false, |flag| flag);
        self.no_auto_assign_ips.apply(&mut member.no_auto_assign_ips, false, |flag| flag);
        let ips = |ips: Vec<Ip>| ips.into_iter().map(|ip| ip.0).collect();
        self.ip_assignments.apply(&mut member.ip_assignments, Vec::new(), ips);
        let tags =
            |tags: Vec<Object<TagValue>>| tags.into_iter().map(|tag| (tag.0.id, tag.0.value)).collect();
        self.tags.apply(&mut member.tags, Default::default(), tags);
        let ids = |ids: Vec<u32>| ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        self.capabilities.apply(&mut member.capabilities, Vec::new(), ids);
        self.authentication_expiry_time.apply(
            &mut member.authentication_expiry,
            Timestamp::default(),
            Timestamp,
        );
        self.remote_trace_target
            .apply(&mut member.remote_trace.target, None, |target| Some(target.0.to_string()));
        self.remote_trace_level.apply(&mut member.remote_trace.level, 0, |level| level);
        Ok(())
    }

    /// Returns the fields whose change follows rules, as the other API sends them: there is one place for those rules.
    fn sensitive(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("authorized", to_json(&self.authorized, || false.into()));
        add("identity", to_json(&self.identity, || Value::Null));
        add("identityFingerprint", to_json(&self.identity_fingerprint, || Value::Null));
        fields
    }

    /// Makes of a change a replacement: what is absent becomes what it is in a new record.
    ///
    /// Identity and fingerprint stay, as they say which node it is; and whoever was not authorized needs no decision.
    pub(crate) fn replacing(mut self, stored: Option<&Member>) -> Self {
        fn reset<T>(change: &mut Change<T>) {
            if matches!(change, Change::Keep) {
                *change = Change::Reset;
            }
        }
        if stored.is_some_and(|member| member.authorized) {
            reset(&mut self.authorized);
        }
        reset(&mut self.name);
        reset(&mut self.active_bridge);
        reset(&mut self.no_auto_assign_ips);
        reset(&mut self.ip_assignments);
        reset(&mut self.tags);
        reset(&mut self.capabilities);
        reset(&mut self.authentication_expiry_time);
        reset(&mut self.remote_trace_target);
        reset(&mut self.remote_trace_level);
        self
    }
}

fn to_json<T: Clone + Into<Value>>(change: &Change<T>, reset: impl FnOnce() -> Value) -> Option<Value> {
    match change {
        Change::Keep => None,
        Change::Reset => Some(reset()),
        Change::Set(value) => Some(value.clone().into()),
    }
}
