//! Members (`vl2.md` §9.2, §16).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use super::{Fields, Reading};
use crate::Member;
use crate::member::{ClientVersion, Credential, Fingerprint};
use crate::record::{FieldError, lenient, special};

/// What the original removes itself each time it saves.
const MOMENTARY: &[&str] = &[
    "authHistory",
    "authenticationClientID",
    "authenticationURL",
    "clock",
    "lastModified",
    "lastRequestMetaData",
    "physicalAddr",
    "recentLog",
];

/// Reads the record of a member; `now` is when it was created if the record does not say.
///
/// What releases up to 1.2 noted of the last request becomes `legacy.lastSeen` and `legacy.lastAddress` of the extra
/// fields.
pub fn read_member(
    record: &Map<String, Value>,
    network: NetworkId,
    address: Address,
    now: Timestamp,
) -> Reading<Member> {
    let mut fields = Fields::new(record);
    fields.repeats("id", &address.to_string());
    fields.repeats("address", &address.to_string());
    fields.repeats("nwid", &network.to_string());
    fields.repeats("objtype", "member");
    let usual = Member::new(network, address, now);
    let member = Member {
        identity: read_identity(&mut fields, address),
        fingerprint: read_fingerprint(&mut fields),
        name: fields
            .optional("name")
            .filter(|name| !name.is_null())
            .map(|name| fields.read_text("name", name)),
        authorized: fields.boolean("authorized", false),
        active_bridge: fields.boolean("activeBridge", false),
        no_auto_assign_ips: fields.boolean("noAutoAssignIps", false),
        ip_assignments: read_ip_assignments(&mut fields),
        tags: read_tags(&mut fields),
        capabilities: read_capabilities(&mut fields),
        created: Timestamp(fields.integer("creationTime", usual.created.0)),
        revision: fields.integer("revision", 1).max(1),
        last_authorized: Timestamp(fields.integer("lastAuthorizedTime", 0)),
        last_deauthorized: Timestamp(fields.integer("lastDeauthorizedTime", 0)),
        credential: read_credential(&mut fields),
        authentication_expiry: Timestamp(
            fields
                .optional("authenticationExpiryTime")
                .map_or(0, |value| fields.read_integer("authenticationExpiryTime", value, 0)),
        ),
        sso_exempt: fields.optional("ssoExempt").is_some() && fields.boolean("ssoExempt", false),
        version: read_version(&mut fields),
        remote_trace: fields.remote_trace(),
        ..usual
    };
    let mut reading = fields.finish(member, MOMENTARY);
    if let Some(last_seen) = last_seen(record) {
        reading.extra.entry("legacy").or_insert(last_seen);
    }
    reading
}

fn read_identity(fields: &mut Fields<'_>, address: Address) -> Option<PublicIdentity> {
    let value = fields.optional("identity").filter(|value| !value.is_null() && value.as_str() != Some(""))?;
    let identity = value.as_str().and_then(|text| text.parse().ok());
    let identity = identity.filter(|identity: &PublicIdentity| identity.address == address);
    if identity.is_none() {
        let expected = format!("the public identity of {address} as text");
        fields.warn("identity", &expected, value, "left out: whoever asks first with this address is taken");
    }
    identity
}

fn read_fingerprint(fields: &mut Fields<'_>) -> Option<Fingerprint> {
    let value = fields.optional("identityFingerprint")?;
    special::fingerprint(value).unwrap_or_else(|error| {
        fields.warnings.push(error.and("left out"));
        None
    })
}

fn read_ip_assignments(fields: &mut Fields<'_>) -> Vec<IpAddr> {
    const NAME: &str = "ipAssignments";
    let mut addresses = Vec::new();
    for (index, entry) in fields.entries(NAME).iter().enumerate() {
        match entry.as_str().and_then(lenient::ip) {
            Some(ip) if addresses.contains(&ip) => {
                let problem = format!("{ip} is there twice; kept once");
                fields.warn_entry(NAME, index, FieldError::new("", problem));
            }
            Some(ip) => addresses.push(ip),
            None => {
                let error = FieldError::unexpected("", "an IP address as text", Some(entry));
                fields.warn_entry(NAME, index, error.and("left out"));
            }
        }
    }
    addresses
}

fn read_tags(fields: &mut Fields<'_>) -> BTreeMap<u32, u32> {
    let mut tags = BTreeMap::new();
    for (index, entry) in fields.entries("tags").iter().enumerate() {
        let pair = entry.as_array().map(Vec::as_slice);
        if let Some([id, value]) = pair {
            let (read_id, read_value) = (low_32_bits(id), low_32_bits(value));
            if id.as_u64() != Some(read_id.into()) || value.as_u64() != Some(read_value.into()) {
                let error = FieldError::unexpected("", "two numbers of 32 bits", Some(entry));
                fields.warn_entry("tags", index, error.and(&format!("read as [{read_id},{read_value}]")));
            }
            if tags.insert(read_id, read_value).is_some_and(|earlier| earlier != read_value) {
                let problem = format!("tag {read_id} has another value before; this one was taken");
                fields.warn_entry("tags", index, FieldError::new("", problem));
            }
        } else {
            let error = FieldError::unexpected("", "[ID,VALUE]", Some(entry));
            fields.warn_entry("tags", index, error.and("left out"));
        }
    }
    tags
}

fn read_capabilities(fields: &mut Fields<'_>) -> Vec<u32> {
    let mut capabilities = Vec::new();
    for (index, entry) in fields.entries("capabilities").iter().enumerate() {
        let id = low_32_bits(entry);
        if entry.as_u64() != Some(id.into()) {
            let error = FieldError::unexpected("", "a number of 32 bits", Some(entry));
            fields.warn_entry("capabilities", index, error.and(&format!("read as {id}")));
        }
        if !capabilities.contains(&id) {
            capabilities.push(id);
        }
    }
    capabilities
}

fn low_32_bits(value: &Value) -> u32 {
    (lenient::integer(value, 0) & 0xffff_ffff) as u32
}

fn read_credential(fields: &mut Fields<'_>) -> Option<Credential> {
    let kind = fields.optional("lastAuthorizedCredentialType").filter(|kind| !kind.is_null());
    let token = fields.optional("lastAuthorizedCredential").filter(|token| !token.is_null());
    match kind?.as_str() {
        Some("api") => Some(Credential::Api),
        Some("public") => Some(Credential::Public),
        Some("token") => Some(Credential::Token(token.map(lenient::text).unwrap_or_default())),
        _ => {
            let expected = "\"api\", \"public\", \"token\" or null";
            fields.warn("lastAuthorizedCredentialType", expected, kind?, "read as null");
            None
        }
    }
}

/// Reads the four parts of the version: all −1 is none, and a part that is unknown beside others is 0, as in the
/// configuration request of such a client.
fn read_version(fields: &mut Fields<'_>) -> Option<ClientVersion> {
    let [major, minor, revision, protocol] = ["vMajor", "vMinor", "vRev", "vProto"].map(|name| {
        let value = fields.take(name).filter(|value| value.as_i64().is_none_or(|number| number >= 0))?;
        Some(fields.read_integer(name, value, 0))
    });
    if [major, minor, revision, protocol].iter().all(Option::is_none) {
        return None;
    }
    let part = |part: Option<u64>| part.unwrap_or(0);
    Some(ClientVersion {
        major: part(major),
        minor: part(minor),
        revision: part(revision),
        protocol: part(protocol),
    })
}

/// Returns when and from where the member was last heard, if the record is of a release that noted it.
fn last_seen(record: &Map<String, Value>) -> Option<Value> {
    let latest = record.get("recentLog").and_then(|log| log.get(0));
    let seen = latest.and_then(|entry| entry.get("ts")).and_then(Value::as_u64);
    let address = latest.and_then(|entry| entry.get("fromAddr").or_else(|| entry.get("physicalAddr")));
    let address = address.or_else(|| record.get("physicalAddr")).filter(|address| address.is_string());
    (seen.is_some() || address.is_some()).then(|| json!({ "lastSeen": seen, "lastAddress": address }))
}
