//! What webhooks are told: what happened, with the names and fields of ZeroTier Central's hooks where it has them.
//!
//! It is put into the outbox in the transaction of what happened, so that no crash comes in between; the program around
//! the API sends it (`docs/api-v2.md`).

use ctl_core::{Event, EventKind};
use ctl_store::{StoreError, Tx, Webhook, WebhookId};
use serde_json::{Map, Value, json};
use zt_proto::{Address, NetworkId, Timestamp};

/// Most webhooks of a controller.
pub const MAX_WEBHOOKS: usize = 32;

/// What a webhook can be told of.
pub const HOOK_TYPES: [&str; 8] = [
    "NETWORK_JOIN",
    "NETWORK_AUTH",
    "NETWORK_DEAUTH",
    "NETWORK_CREATED",
    "NETWORK_CONFIG_CHANGED",
    "NETWORK_DELETED",
    "MEMBER_CONFIG_CHANGED",
    "MEMBER_DELETED",
];

/// Returns what the hosted service calls an event; `None` if it says nothing of it.
fn hook_type(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::NetworkCreated => Some("NETWORK_CREATED"),
        EventKind::NetworkChanged => Some("NETWORK_CONFIG_CHANGED"),
        EventKind::NetworkRemoved => Some("NETWORK_DELETED"),
        EventKind::MemberJoined => Some("NETWORK_JOIN"),
        EventKind::MemberAuthorized => Some("NETWORK_AUTH"),
        EventKind::MemberDeauthorized => Some("NETWORK_DEAUTH"),
        EventKind::MemberAdded | EventKind::MemberChanged => Some("MEMBER_CONFIG_CHANGED"),
        EventKind::MemberRemoved => Some("MEMBER_DELETED"),
        // There is one for each start of each client.
        EventKind::MemberSeen => None,
    }
}

/// Puts into the outbox what happened, for every webhook that wants to know.
///
/// # Errors
/// None of its own.
pub fn enqueue(tx: &Tx<'_>, events: &[Event]) -> Result<(), StoreError> {
    each(tx, events, |webhook, _, bodies, time| tx.webhooks().enqueue(webhook, bodies, time))
}

/// Does the same for what a token did that may not do everything.
pub(crate) fn enqueue_limited(tx: &Tx<'_>, events: &[Event]) -> Result<(), StoreError> {
    each(tx, events, |webhook, network, bodies, time| {
        tx.webhooks().enqueue_limited(webhook, network, bodies, time)
    })
}

/// Calls `add` with what each webhook that wants to know is told of a network.
fn each(
    tx: &Tx<'_>,
    events: &[Event],
    add: impl Fn(WebhookId, NetworkId, &[String], Timestamp) -> Result<usize, StoreError>,
) -> Result<(), StoreError> {
    if events.is_empty() || !tx.webhooks().is_any()? {
        return Ok(());
    }
    for webhook in tx.webhooks().list()? {
        for events in events.chunk_by(|one, other| one.network == other.network) {
            let Some(Event { network, time, .. }) = events.first() else { continue };
            let told = events.iter().filter_map(|event| {
                let kind = hook_type(event.kind).filter(|kind| wants(&webhook, kind, event))?;
                Some(body(&webhook, kind, event))
            });
            let bodies: Vec<_> = told.collect();
            if !bodies.is_empty() {
                add(webhook.id, *network, &bodies, *time)?;
            }
        }
    }
    Ok(())
}

fn wants(webhook: &Webhook, kind: &str, event: &Event) -> bool {
    let is_of_kind = webhook.kinds.is_empty() || webhook.kinds.split(' ').any(|wanted| wanted == kind);
    webhook.enabled && is_of_kind && webhook.network.is_none_or(|network| network == event.network)
}

/// Returns what is sent: the fields of the hosted service, then those of our own events.
fn body(webhook: &Webhook, kind: &str, event: &Event) -> String {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("hook_id", webhook.id.to_string().into());
    add("org_id", organization_id(event.network.controller()).into());
    add("hook_type", kind.into());
    add("network_id", event.network.to_string().into());
    if let Some(member) = event.member {
        add("member_id", member.to_string().into());
    }
    add("event", event.kind.name().into());
    add("time", event.time.0.into());
    if let Some(revision) = event.revision {
        add("revision", revision.into());
    }
    Value::Object(fields).to_string()
}

/// Returns what is sent to see whether it arrives. Its type is none that a webhook can be told of otherwise.
pub(crate) fn test_body(webhook: &Webhook, controller: Address, now: Timestamp) -> String {
    let fields = json!({
        "hook_id": webhook.id.to_string(), "org_id": organization_id(controller), "hook_type": "TEST", "event": "test",
        "time": now.0,
    });
    fields.to_string()
}

/// Returns the id of the organization that a controller is to tools of the hosted service: a UUID that ends in its
/// address.
pub(crate) fn organization_id(controller: Address) -> String {
    format!("00000000-0000-0000-0000-00{controller}")
}

#[cfg(test)]
mod tests {
    use ctl_store::{Store, WebhookSecret};

    use super::*;

    const NETWORK: NetworkId = NetworkId(0xa940_ad42_9a00_00f1);

    fn webhook(number: u8, kinds: &str) -> Webhook {
        Webhook {
            id: WebhookId::new([number; 16]),
            url: "http://127.0.0.1/".to_owned(),
            description: String::new(),
            secret: WebhookSecret([number; 32]),
            kinds: kinds.to_owned(),
            network: None,
            enabled: true,
            created: Timestamp(1),
            delivered: Timestamp(0),
            failure: None,
            dropped: 0,
        }
    }

    fn event(kind: EventKind) -> Event {
        let member = kind.name().starts_with("member").then_some(Address::MAX);
        Event { kind, network: NETWORK, member, revision: Some(3), time: Timestamp(5) }
    }

    #[test]
    fn each_webhook_gets_what_it_wants_in_the_form_of_the_hosted_service() {
        let store = Store::in_memory().unwrap();
        let hooks = [
            webhook(1, ""),
            webhook(2, "NETWORK_JOIN MEMBER_DELETED"),
            Webhook { network: Some(NetworkId(7)), ..webhook(3, "") },
            Webhook { enabled: false, ..webhook(4, "") },
        ];
        let told = store
            .write(|tx| {
                enqueue(tx, &EventKind::ALL.map(event))?; // to nobody
                hooks.iter().try_for_each(|hook| tx.webhooks().put(hook))?;
                enqueue(tx, &EventKind::ALL.map(event))?;
                let told = |hook: &Webhook| tx.webhooks().due(hook.id, Timestamp(5), 99);
                hooks.iter().map(told).collect::<Result<Vec<_>, StoreError>>()
            })
            .unwrap();
        let counts: Vec<_> = told.iter().map(Vec::len).collect();
        assert_eq!(counts, [9, 2, 0, 0]);
        let bodies: Vec<Value> = told[1].iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
        let expected = json!({
            "hook_id": hooks[1].id.to_string(), "org_id": "00000000-0000-0000-0000-00a940ad429a",
            "hook_type": "NETWORK_JOIN", "network_id": "a940ad429a0000f1", "member_id": "ffffffffff",
            "event": "member.joined", "time": 5, "revision": 3,
        });
        assert_eq!(bodies[0], expected);
        assert_eq!(bodies[1]["hook_type"], "MEMBER_DELETED");
        assert!(
            told[0].iter().any(|one| one.body.contains("NETWORK_DELETED") && !one.body.contains("member_id"))
        );
    }

    #[test]
    fn every_type_that_can_be_asked_for_is_told() {
        let mut types: Vec<_> = EventKind::ALL.into_iter().filter_map(hook_type).collect();
        types.sort_unstable();
        types.dedup();
        let mut expected = HOOK_TYPES.to_vec();
        expected.sort_unstable();
        assert_eq!(types, expected);
    }
}
