//! Members as JSON (`vl2.md` §9.2, `http-api.md` §10).

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use zt_proto::Timestamp;

use super::{FieldError, apply_remote_trace, lenient, special};
use crate::Member;
use crate::member::Credential;

/// A member as its record shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRecord {
    #[serde(flatten)]
    config: MemberConfig,
    authentication_expiry_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_fingerprint: Option<String>,
    last_authorized_credential: Option<String>,
    last_authorized_credential_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    objtype: &'static str,
    remote_trace_level: u64,
    remote_trace_target: Option<String>,
}

/// What the hosted service has of a record too, as the `config` of a member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberConfig {
    active_bridge: bool,
    address: String,
    authorized: bool,
    capabilities: Vec<u32>,
    creation_time: u64,
    id: String,
    ip_assignments: Vec<String>,
    last_authorized_time: u64,
    last_deauthorized_time: u64,
    no_auto_assign_ips: bool,
    nwid: String,
    revision: u64,
    sso_exempt: bool,
    tags: Vec<(u32, u32)>,
    v_major: Version,
    v_minor: Version,
    v_proto: Version,
    v_rev: Version,
}

/// A part of a version, -1 if unknown.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Version {
    Known(u64),
    Unknown(i8),
}

/// Renders a member.
pub fn render(member: &Member) -> MemberRecord {
    let (credential_type, credential) = match &member.credential {
        None => (None, None),
        Some(Credential::Api) => (Some("api"), None),
        Some(Credential::Public) => (Some("public"), None),
        Some(Credential::Token(token)) => (Some("token"), Some(token.clone())),
    };
    MemberRecord {
        config: render_config(member),
        authentication_expiry_time: member.authentication_expiry.0,
        identity: member.identity.map(|identity| identity.to_string()),
        identity_fingerprint: member.fingerprint.as_ref().map(special::render_fingerprint),
        last_authorized_credential: credential,
        last_authorized_credential_type: credential_type,
        name: member.name.clone(),
        objtype: "member",
        remote_trace_level: member.remote_trace.level,
        remote_trace_target: member.remote_trace.target.clone(),
    }
}

/// Renders what the hosted service has of a member's record too.
pub fn render_config(member: &Member) -> MemberConfig {
    let version = |part: Option<u64>| part.map_or(Version::Unknown(-1), Version::Known);
    let address = member.address.to_string();
    MemberConfig {
        active_bridge: member.active_bridge,
        address: address.clone(),
        authorized: member.authorized,
        capabilities: member.capabilities.clone(),
        creation_time: member.created.0,
        id: address,
        ip_assignments: member.ip_assignments.iter().map(ToString::to_string).collect(),
        last_authorized_time: member.last_authorized.0,
        last_deauthorized_time: member.last_deauthorized.0,
        no_auto_assign_ips: member.no_auto_assign_ips,
        nwid: member.network.to_string(),
        revision: member.revision,
        sso_exempt: member.sso_exempt,
        tags: member.tags.iter().map(|(id, value)| (*id, *value)).collect(),
        v_major: version(member.version.map(|version| version.major)),
        v_minor: version(member.version.map(|version| version.minor)),
        v_proto: version(member.version.map(|version| version.protocol)),
        v_rev: version(member.version.map(|version| version.revision)),
    }
}

/// Changes the fields that `body` has; unknown and read-only ones are ignored. `now` is the time of a change of
/// `authorized`.
///
/// # Errors
/// If an entry of `ipAssignments` is not a text, or an identity or its fingerprint is not, or not that of the member.
/// The member may then have been changed in part: use a copy.
pub fn apply(body: &Map<String, Value>, member: &mut Member, now: Timestamp) -> Result<(), FieldError> {
    if let Some(value) = body.get("activeBridge") {
        member.active_bridge = lenient::boolean(value, false);
    }
    if let Some(value) = body.get("noAutoAssignIps") {
        member.no_auto_assign_ips = lenient::boolean(value, false);
    }
    if let Some(value) = body.get("authorized") {
        match (lenient::boolean(value, false), member.authorized) {
            (true, false) => member.authorize(Credential::Api, now),
            (false, true) => member.deauthorize(now),
            (false, false) if is_ban(body, value, member) => member.deauthorize(now),
            (true, true) | (false, false) => {}
        }
    }
    if let Some(value) = body.get("name") {
        member.name = Some(lenient::text(value));
    }
    if let Some(value) = body.get("authenticationExpiryTime") {
        member.authentication_expiry = Timestamp(lenient::integer(value, 0));
    }
    apply_remote_trace(body, &mut member.remote_trace);
    apply_identity(body, member)?;
    if let Some(value) = body.get("ipAssignments") {
        apply_ip_assignments(value, member).map_err(|error| error.within("ipAssignments"))?;
    }
    if let Some(entries) = body.get("tags").and_then(lenient::entries) {
        member.tags = entries.filter_map(parse_tag).collect();
    }
    if let Some(entries) = body.get("capabilities").and_then(lenient::entries) {
        member.capabilities = entries.map(low_32_bits).collect::<BTreeSet<_>>().into_iter().collect();
    }
    Ok(())
}

/// Says whether the body takes an authorization away that nobody has given yet: a public network or a join token would
/// give it, to a node that an administrator does not want. A record that is sent back as it was shown says nothing new.
fn is_ban(body: &Map<String, Value>, authorized: &Value, member: &Member) -> bool {
    *authorized == Value::Bool(false)
        && !member.is_deauthorized()
        && !body.contains_key("lastDeauthorizedTime")
}

/// Names the node before it asks; afterwards it is the node that it is.
fn apply_identity(body: &Map<String, Value>, member: &mut Member) -> Result<(), FieldError> {
    if let Some(value) = body.get("identityFingerprint") {
        member.fingerprint = special::fingerprint(value)?;
    }
    if let Some(value) = body.get("identity").filter(|value| !value.is_null()) {
        let identity = special::identity(value, member.address)?;
        if let Some(known) = member.identity.filter(|known| *known != identity) {
            let problem =
                format!("expected {known}, which the member has, or nothing; remove the member first");
            return Err(FieldError::new("identity", problem));
        }
        member.identity = Some(identity);
    }
    let own = member.identity.as_ref().map(zt_crypto::fingerprint);
    if let (Some(fingerprint), Some(own)) = (member.fingerprint, own)
        && fingerprint != own
    {
        let (expected, got) = (special::render_fingerprint(&own), special::render_fingerprint(&fingerprint));
        let problem = format!("expected {expected}, that of the member's identity, got {got}");
        return Err(FieldError::new("identityFingerprint", problem));
    }
    Ok(())
}

/// Replaces the addresses. What cannot be read is dropped, and what occurs twice is kept once, in the first place.
fn apply_ip_assignments(value: &Value, member: &mut Member) -> Result<(), FieldError> {
    let Some(entries) = lenient::entries(value) else { return Ok(()) };
    let mut assignments = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, entry) in entries.enumerate() {
        let text = entry.as_str();
        let text =
            text.ok_or_else(|| FieldError::unexpected("", "an IP address as text", Some(entry)).at(index))?;
        assignments.extend(lenient::ip(text).filter(|ip| seen.insert(*ip)));
    }
    member.ip_assignments = assignments;
    Ok(())
}

/// Reads a pair of id and value; `None` if it is not a pair.
fn parse_tag(entry: &Value) -> Option<(u32, u32)> {
    let [id, value] = entry.as_array()?.as_slice() else { return None };
    Some((low_32_bits(id), low_32_bits(value)))
}

fn low_32_bits(value: &Value) -> u32 {
    (lenient::integer(value, 0) & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zt_proto::{Address, NetworkId};

    use super::*;

    fn member() -> Member {
        let network = NetworkId(0xa940_ad42_9a00_00f2);
        Member::new(network, Address::from_low_bits(0xa1_b2c3_d4e5), Timestamp(1_795_356_948_000))
    }

    fn apply_to(member: &mut Member, body: Value) -> Result<(), FieldError> {
        apply(body.as_object().unwrap(), member, Timestamp(5000))
    }

    /// `http-api.md` §10.
    #[test]
    fn new_member_is_shown_with_every_key_but_name_and_identity() {
        let mut member = member();
        member.revision = 1;
        let expected = json!({
            "activeBridge": false, "address": "a1b2c3d4e5", "authenticationExpiryTime": 0, "authorized": false,
            "capabilities": [], "creationTime": 1_795_356_948_000_u64, "id": "a1b2c3d4e5", "ipAssignments": [],
            "lastAuthorizedCredential": null, "lastAuthorizedCredentialType": null, "lastAuthorizedTime": 0,
            "lastDeauthorizedTime": 0, "noAutoAssignIps": false, "nwid": "a940ad429a0000f2",
            "objtype": "member", "remoteTraceLevel": 0,
            "remoteTraceTarget": null, "revision": 1, "ssoExempt": false, "tags": [], "vMajor": -1, "vMinor": -1,
            "vProto": -1, "vRev": -1,
        });
        assert_eq!(serde_json::to_value(render(&member)).unwrap(), expected);
    }

    #[test]
    fn member_that_was_shown_is_applied_without_a_change() {
        let mut member = member();
        let body = json!({
            "authorized": true, "activeBridge": 1, "noAutoAssignIps": "true", "name": "é",
            "ipAssignments": ["10.0.0.1/24", "fd00::1", "10.0.0.1"], "tags": [["3", 4], [1, 2], [3, 5]],
            "capabilities": [5, "2", 5], "remoteTraceTarget": "abcdef0123", "authenticationExpiryTime": 12,
        });
        apply_to(&mut member, body).unwrap();
        let mut again = member.clone();
        let shown = serde_json::to_value(render(&member)).unwrap();
        assert_eq!(shown["ipAssignments"], json!(["10.0.0.1", "fd00::1"]));
        assert_eq!((&shown["tags"], &shown["capabilities"]), (&json!([[1, 2], [3, 5]]), &json!([2, 5])));
        apply(shown.as_object().unwrap(), &mut again, Timestamp(9000)).unwrap();
        assert_eq!(again, member);
    }

    /// `http-api.md` §10.1.
    #[test]
    fn only_a_change_of_authorized_is_dated() {
        let mut member = member();
        apply_to(&mut member, json!({ "authorized": "1" })).unwrap();
        assert_eq!((member.authorized, member.last_authorized), (true, Timestamp(5000)));
        assert_eq!(member.credential, Some(Credential::Api));
        apply(json!({ "authorized": true }).as_object().unwrap(), &mut member, Timestamp(6000)).unwrap();
        assert_eq!(member.last_authorized, Timestamp(5000));
        apply(json!({ "authorized": null }).as_object().unwrap(), &mut member, Timestamp(7000)).unwrap();
        assert_eq!((member.authorized, member.last_deauthorized), (false, Timestamp(7000)));
        assert_eq!(member.credential, Some(Credential::Api));
    }

    #[test]
    fn node_that_never_asked_is_banned_by_saying_so_but_not_by_sending_back_what_is_shown() {
        let mut named = member();
        apply_to(&mut named, json!({ "name": "x", "authorized": null })).unwrap();
        let shown = serde_json::to_value(render(&named)).unwrap();
        apply_to(&mut named, shown).unwrap();
        assert!(!named.is_deauthorized());
        apply_to(&mut named, json!({ "authorized": false })).unwrap();
        assert!(named.is_deauthorized() && named.last_deauthorized == Timestamp(5000));
        // Said again, it is nothing new.
        apply(json!({ "authorized": false }).as_object().unwrap(), &mut named, Timestamp(9000)).unwrap();
        assert_eq!(named.last_deauthorized, Timestamp(5000));
    }

    #[test]
    fn address_that_is_no_text_is_refused() {
        let error = apply_to(&mut member(), json!({ "ipAssignments": ["10.0.0.1", 5] })).unwrap_err();
        assert_eq!(error.to_string(), "ipAssignments[1]: expected an IP address as text, got 5");
    }
}
