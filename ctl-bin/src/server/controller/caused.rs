//! What members change by asking, as the audit log says it: that they joined through a public network or a join token, were
//! given an address, or showed their identity. When they were last seen, and with which release, is noted elsewhere.

use ctl_core::member::Credential;
use ctl_core::{ConfigRequest, Member, RequestKind};
use ctl_store::AuditEntry;
use serde_json::{Map, Value, json};
use zt_proto::Timestamp;

/// Who changes a member because of a change of its network, rather than because it asked.
const CONTROLLER: &str = "controller";

/// Returns the entry for the audit log; `None` if nothing changed that belongs there.
pub(super) fn entry(
    request: &ConfigRequest,
    before: Option<&Member>,
    after: &Member,
    now: Timestamp,
) -> Option<AuditEntry> {
    let (mut old, mut new) = (before.map(fields), fields(after));
    match &mut old {
        Some(old) => {
            let earlier = old.clone();
            old.retain(|name, value| new.get(name) != Some(value));
            new.retain(|name, value| earlier.get(name) != Some(value));
        }
        None => new.retain(|_, value| !is_nothing(value)),
    }
    if new.is_empty() {
        return None;
    }
    let text = |fields: Map<String, Value>| Value::Object(fields).to_string();
    Some(AuditEntry {
        time: now,
        actor: match request.kind {
            RequestKind::Request => after.address.to_string(),
            RequestKind::Push => CONTROLLER.to_owned(),
        },
        action: if before.is_none() { "member.create" } else { "member.update" },
        network: Some(after.network),
        member: Some(after.address),
        before: old.map(text),
        after: Some(text(new)),
    })
}

/// Returns the fields that a decision can change and that somebody may ask about, as the API names them; no token.
fn fields(member: &Member) -> Map<String, Value> {
    let credential = member.credential.as_ref().map(|credential| match credential {
        Credential::Api => "api",
        Credential::Public => "public",
        Credential::Token(_) => "token",
    });
    let addresses: Vec<_> = member.ip_assignments.iter().map(ToString::to_string).collect();
    let tags: Vec<_> = member.tags.iter().collect();
    let fields = [
        ("authorized", json!(member.authorized)),
        ("capabilities", json!(member.capabilities)),
        ("identity", json!(member.identity.map(|identity| identity.to_string()))),
        ("ipAssignments", json!(addresses)),
        ("lastAuthorizedCredentialType", json!(credential)),
        ("tags", json!(tags)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
