//! What a write did: the change that members hear of, and what the audit log says of it.

use ctl_core::event::Cause;
use ctl_core::record::{member, network};
use ctl_core::{Change, Event, EventKind, Member, Network};
use ctl_store::AuditEntry;
use serde_json::{Map, Value, json};
use zt_proto::{Address, NetworkId, Timestamp};

/// Bytes of a field, as JSON; of one that is longer only the length is written down.
const MAX_FIELD_BYTES: usize = 16 << 10;

/// What changes of a member when it is let in or out, and nothing else does.
const FIELDS_OF_DECISION: [&str; 5] =
    ["authorized", "lastAuthorizedCredentialType", "lastAuthorizedTime", "lastDeauthorizedTime", "revision"];

/// What a write did: the change that members may have to hear of, and what the audit log says.
pub(crate) struct Edit {
    pub(crate) change: Option<Change>,
    pub(crate) kind: EditKind,
    happened: Vec<EventKind>,
    /// Of the record as it is now.
    revision: Option<u64>,
    action: &'static str,
    network: NetworkId,
    member: Option<Address>,
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
}

/// What a write was about, for those who count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EditKind {
    Network,
    Member { was_authorized: bool, is_authorized: bool },
}

impl Edit {
    /// Returns what it means that the network `before` became `after`; `None` if nothing changed.
    pub(crate) fn of_network(before: Option<&Network>, after: Option<&Network>) -> Option<Self> {
        let network = after.or(before)?.id;
        let action = ["network.create", "network.update", "network.remove"];
        let edit = Self {
            change: Change::of_network(before, after),
            happened: EventKind::of_network(before, after).into_iter().collect(),
            revision: after.map(|network| network.revision),
            ..Self::new(action, EditKind::Network, (network, None), (before, after), network_fields)?
        };
        Some(edit)
    }

    /// Returns what it means that the member `before` became `after`; `None` if nothing changed.
    pub(crate) fn of_member(before: Option<&Member>, after: Option<&Member>) -> Option<Self> {
        let Member { network, address, .. } = after.or(before)?;
        let action = ["member.create", "member.update", "member.remove"];
        let is_authorized = |member: Option<&Member>| member.is_some_and(|member| member.authorized);
        let kind =
            EditKind::Member { was_authorized: is_authorized(before), is_authorized: is_authorized(after) };
        let edit = Self {
            change: Change::of_member(before, after),
            happened: EventKind::of_member(before, after, Cause::Edit).collect(),
            revision: after.map(|member| member.revision),
            ..Self::new(action, kind, (*network, Some(*address)), (before, after), member_fields)?
        };
        Some(edit)
    }

    fn new<T: PartialEq>(
        [create, update, remove]: [&'static str; 3],
        kind: EditKind,
        (network, member): (NetworkId, Option<Address>),
        (before, after): (Option<&T>, Option<&T>),
        fields: impl Fn(&T) -> Map<String, Value>,
    ) -> Option<Self> {
        let action = match (before, after) {
            (None, Some(_)) => create,
            (Some(before), Some(after)) if before != after => update,
            (Some(_), None) => remove,
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let (mut before, mut after) = (before.map(&fields), after.map(&fields));
        if let (Some(before), Some(after)) = (&mut before, &mut after) {
            let earlier = before.clone();
            before.retain(|key, value| after.get(key) != Some(value));
            after.retain(|key, value| earlier.get(key) != Some(value));
        }
        let (change, happened, revision) = (None, Vec::new(), None);
        Some(Self { change, kind, happened, revision, action, network, member, before, after })
    }

    pub(crate) fn network(&self) -> NetworkId {
        self.network
    }

    /// Returns what happened, for those who watch.
    pub(crate) fn events(&self, time: Timestamp) -> Vec<Event> {
        let Self { network, member, revision, .. } = *self;
        self.happened.iter().map(|kind| Event { kind: *kind, network, member, revision, time }).collect()
    }

    /// Says whether a member that was there was let in or out, and nothing else changed.
    pub(crate) fn is_decision(&self) -> bool {
        let mut changed = self.before.iter().chain(&self.after).flat_map(Map::keys);
        self.action == "member.update" && changed.all(|field| FIELDS_OF_DECISION.contains(&field.as_str()))
    }

    /// Returns the entry for the log.
    pub(crate) fn into_entry(self, actor: &str, time: Timestamp) -> AuditEntry {
        let text = |fields: Map<String, Value>| Value::Object(bounded(fields)).to_string();
        AuditEntry {
            time,
            actor: actor.to_owned(),
            action: self.action,
            network: Some(self.network),
            member: self.member,
            before: self.before.map(text),
            after: self.after.map(text),
        }
    }
}

/// Returns the fields of a network as the API names them, without what is secret.
fn network_fields(record: &Network) -> Map<String, Value> {
    let mut fields = object(network::render(record));
    // The tokens open the network; that they changed shows in their number or at least in the revision.
    fields.insert("authTokens".to_owned(), json!({ "count": record.join_tokens.len() }));
    fields.insert("ruleTests".to_owned(), record.rule_tests.clone().into());
    fields.insert("ruleTestsRequired".to_owned(), record.rule_tests_required.into());
    fields
}

fn member_fields(record: &Member) -> Map<String, Value> {
    let mut fields = object(member::render(record));
    fields.remove("lastAuthorizedCredential"); // may be a join token
    fields
}

fn object(view: impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(view) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(), // a view is a structure with plain keys
    }
}

fn bounded(mut fields: Map<String, Value>) -> Map<String, Value> {
    for value in fields.values_mut() {
        let length = value.to_string().len();
        if length > MAX_FIELD_BYTES {
            *value = json!({ "omitted": format!("{length} bytes") });
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use ctl_core::member::Credential;

    use super::*;

    fn network() -> Network {
        Network { revision: 1, ..Network::new(NetworkId(0xa940_ad42_9a00_00f1), Timestamp(5)) }
    }

    fn entry(edit: Option<Edit>) -> (String, Value, Value) {
        let entry = edit.unwrap().into_entry("authtoken.secret", Timestamp(7));
        assert_eq!((entry.time, entry.actor.as_str()), (Timestamp(7), "authtoken.secret"));
        let value =
            |text: Option<String>| text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        (entry.action.to_owned(), value(entry.before), value(entry.after))
    }

    #[test]
    fn update_says_what_changed_and_nothing_else() {
        let before = network();
        let after = Network { name: "new".to_owned(), revision: 2, ..before.clone() };
        let (action, before, after) = entry(Edit::of_network(Some(&before), Some(&after)));
        assert_eq!(action, "network.update");
        assert_eq!(before, json!({ "name": "", "revision": 1 }));
        assert_eq!(after, json!({ "name": "new", "revision": 2 }));
    }

    #[test]
    fn creation_and_removal_say_everything() {
        let (action, before, after) = entry(Edit::of_network(None, Some(&network())));
        assert_eq!((action.as_str(), before), ("network.create", Value::Null));
        assert_eq!((&after["id"], &after["ruleTestsRequired"]), (&json!("a940ad429a0000f1"), &json!(false)));
        let (action, before, after) = entry(Edit::of_network(Some(&network()), None));
        assert_eq!((action.as_str(), after), ("network.remove", Value::Null));
        assert_eq!(before["mtu"], 2800);
    }

    #[test]
    fn nothing_that_changed_is_nothing_to_write_down() {
        assert!(Edit::of_network(Some(&network()), Some(&network())).is_none());
        assert!(Edit::of_network(None, None).is_none());
    }

    #[test]
    fn secrets_are_not_written_down() {
        let mut after = network();
        after.join_tokens.insert("s3cret".to_owned(), Timestamp(0));
        let (_, before, after) = entry(Edit::of_network(Some(&network()), Some(&after)));
        assert_eq!(
            (before, after),
            (json!({ "authTokens": { "count": 0 } }), json!({ "authTokens": { "count": 1 } }))
        );
        let mut member = Member::new(network().id, Address::from_low_bits(1), Timestamp(5));
        member.authorize(Credential::Token("s3cret".to_owned()), Timestamp(6));
        let (action, _, after) = entry(Edit::of_member(None, Some(&member)));
        assert_eq!(action, "member.create");
        assert!(!after.to_string().contains("s3cret"), "{after}");
    }

    #[test]
    fn long_field_is_written_down_as_its_length() {
        let after = Network { rules_source: "x".repeat(1 << 20), ..network() };
        let (_, _, after) = entry(Edit::of_network(Some(&network()), Some(&after)));
        assert_eq!(after, json!({ "rulesSource": { "omitted": "1048578 bytes" } }));
    }
}
