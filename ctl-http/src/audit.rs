//! The audit log: what every write leaves in it, and how it is read.

use ctl_core::record::{member, network};
use ctl_core::{Change, Member, Network};
use ctl_store::{AUDIT_MAX_PAGE, AuditEntry, AuditRecord};
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::extract::{reading, segment};
use crate::problem::{Problem, cut};
use crate::rules::{respond, version_2};
use crate::{Shared, with};

/// Entries of a page unless the request says otherwise.
const DEFAULT_PAGE: usize = 100;
/// Bytes of a field, as JSON; of one that is longer only the length is written down.
const MAX_FIELD_BYTES: usize = 16 << 10;

/// What a write did: the change that members may have to hear of, and what the audit log says.
pub(crate) struct Edit {
    pub(crate) change: Option<Change>,
    action: &'static str,
    network: NetworkId,
    member: Option<Address>,
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
}

impl Edit {
    /// Returns what it means that the network `before` became `after`; `None` if nothing changed.
    pub(crate) fn of_network(before: Option<&Network>, after: Option<&Network>) -> Option<Self> {
        let network = after.or(before)?.id;
        let action = ["network.create", "network.update", "network.remove"];
        Self::new(action, network, None, (before, after), Change::of_network(before, after), network_fields)
    }

    /// Returns what it means that the member `before` became `after`; `None` if nothing changed.
    pub(crate) fn of_member(before: Option<&Member>, after: Option<&Member>) -> Option<Self> {
        let Member { network, address, .. } = after.or(before)?;
        let action = ["member.create", "member.update", "member.remove"];
        let change = Change::of_member(before, after);
        Self::new(action, *network, Some(*address), (before, after), change, member_fields)
    }

    fn new<T: PartialEq>(
        [create, update, remove]: [&'static str; 3],
        network: NetworkId,
        member: Option<Address>,
        (before, after): (Option<&T>, Option<&T>),
        change: Option<Change>,
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
        Some(Self { change, action, network, member, before, after })
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

/// `GET /api/v2/audit`: who changed what, newest first. `?before=ID` continues where a page ended, `?limit=N` is its
/// length.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    version_2()
        .and(segment("audit"))
        .and(reading())
        .and(query)
        .and(with(state))
        .then(async |query: String, state: Shared| {
            respond(move || {
                let Page { before, limit } = Page::read(&query)?;
                let entries =
                    state.api.store.read(|tx| tx.audit().page(before, limit).map_err(Problem::from))?;
                // A page that is not full is the last one.
                let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.id);
                let entries: Vec<_> = entries.iter().map(render).collect();
                Ok(Map::from_iter([("entries".to_owned(), entries.into()), ("next".to_owned(), next.into())]))
            })
            .await
        })
        .boxed()
}

/// Which entries are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    before: Option<i64>,
    limit: usize,
}

impl Page {
    fn read(query: &str) -> Result<Self, Problem> {
        let (mut before, mut limit) = (None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_new = match name {
                "before" => before.replace(number(name, value, i64::MAX)?).is_none(),
                "limit" => limit.replace(number(name, value, AUDIT_MAX_PAGE as i64)?).is_none(),
                "auth" => true, // a token, which has been looked at
                _ => {
                    return Err(refused(format!(
                        "unknown parameter {}; expected before or limit",
                        cut(name)
                    )));
                }
            };
            if !is_new {
                return Err(refused(format!("{name} is there twice, expected it once")));
            }
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_PAGE);
        Ok(Self { before, limit })
    }
}

fn number(name: &str, value: &str, max: i64) -> Result<i64, Problem> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| refused(format!("{name}: expected a number from 1 to {max}, got {}", cut(value))))
}

fn refused(detail: String) -> Problem {
    Problem::unusable("invalid-query", "the query cannot be used", detail)
}

fn render(entry: &AuditRecord) -> Value {
    let value = |text: &Option<String>| {
        text.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
    };
    json!({
        "id": entry.id,
        "time": entry.time.0,
        "actor": entry.actor,
        "action": entry.action,
        "network": entry.network.map(|network| network.to_string()),
        "member": entry.member.map(|member| member.to_string()),
        "before": value(&entry.before),
        "after": value(&entry.after),
    })
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

    #[test]
    fn page_is_read_strictly() {
        let page = |query| Page::read(query).ok();
        assert_eq!(page(""), Some(Page { before: None, limit: DEFAULT_PAGE }));
        assert_eq!(page("limit=500&before=7&auth=x"), Some(Page { before: Some(7), limit: 500 }));
        for query in
            ["limit=0", "limit=501", "limit=", "before=-1", "before=x", "limit=1&limit=2", "offset=1"]
        {
            assert_eq!(page(query), None, "{query}");
        }
    }
}
