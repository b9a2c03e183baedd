//! Webhooks: who is told over HTTP of what happens. Only a token that may do everything gets here, since this program sends
//! requests to wherever it is told, and a URL may be a secret by itself.

use ctl_store::{AuditEntry, Delivery, StoreError, Tx, Webhook, WebhookId, WebhookSecret};
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use warp::http::Uri;
use zt_proto::{NetworkId, Timestamp};

use super::problem::{Invalid, Problem, cut};
use super::request::{Answer, Request};
use super::strict::{Fields, parse_object};
use super::text::NetworkText;
use crate::State;
use crate::webhooks::{HOOK_TYPES, MAX_WEBHOOKS, test_body};

const NO_WEBHOOK: &str = "there is no webhook with this id";
const MAX_URL: usize = 2048;
/// The highest id of a delivery.
pub(crate) const MAX_DELIVERY: u64 = i64::MAX as u64;
const MAX_DESCRIPTION: usize = ctl_store::MAX_HOOK_TEXT_BYTES;

/// The webhooks, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WebhookList {
    data: Vec<WebhookView>,
}

/// Who is told of what. Times are milliseconds since 1970, 0 is never.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Webhook")]
pub(crate) struct WebhookView {
    id: String,
    url: String,
    description: String,
    /// What it is told of; empty is everything.
    events: Vec<String>,
    /// Null: of all networks.
    network: Option<NetworkText>,
    enabled: bool,
    created: u64,
    last_delivered: u64,
    /// Of the last attempt; null: it arrived, or there was none.
    last_failure: Option<String>,
    waiting: u64,
    next_attempt: u64,
    /// How many were not even put down, as too many waited.
    dropped: u64,
    /// The newest that were given up.
    dead: Vec<DeadView>,
    /// The key of the signatures, in hexadecimal; only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Something that could not be told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeadDelivery")]
struct DeadView {
    id: i64,
    created: u64,
    attempts: u32,
    failure: Option<String>,
    /// What would have been sent.
    body: Value,
}

impl DeadView {
    fn new(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            created: delivery.created.0,
            attempts: delivery.attempts,
            failure: delivery.failure.clone(),
            body: serde_json::from_str(&delivery.body).unwrap_or_default(),
        }
    }
}

/// `GET /api/v2/webhooks`: all, without their secrets.
pub(crate) fn list(state: &State, _: Request) -> Result<Answer, Problem> {
    let data = state.api.store.read(|tx| {
        let hooks = tx.webhooks().list()?;
        hooks.iter().map(|hook| render(tx, hook)).collect::<Result<Vec<_>, StoreError>>()
    })?;
    Answer::ok(&WebhookList { data })
}

/// `POST /api/v2/webhooks`: makes one; the answer has its secret, which is shown nowhere else.
pub(crate) fn create(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let change = Change::read(&parse_object(&request.take_body()?)?, true)?;
    let mut id = [0; 16];
    id.chunks_mut(4).for_each(|four| four.copy_from_slice(&(state.api.random)().to_be_bytes()));
    let mut hook = Webhook {
        id: WebhookId::new(id),
        url: String::new(),
        description: String::new(),
        secret: state.new_hook_secret(),
        kinds: String::new(),
        network: None,
        enabled: true,
        created: state.now(),
        delivered: Timestamp(0),
        failure: None,
        dropped: 0,
    };
    change.apply(&mut hook);
    let view = state.api.store.write(|tx| {
        if tx.webhooks().list()?.len() >= MAX_WEBHOOKS {
            let detail =
                format!("there are {MAX_WEBHOOKS} webhooks already, which is the most; remove one first");
            return Err(Problem::conflict(detail));
        }
        tx.webhooks().put(&hook)?;
        state.note_hook(tx, "webhook.create", (None, Some(&hook)))?;
        Ok(render(tx, &hook)?.with_secret(&hook))
    })?;
    Ok(Answer::ok(&view)?.created(format!("/api/v2/webhooks/{}", hook.id)))
}

/// `GET /api/v2/webhooks/{webhook}`: one, with what waits for it and what was given up.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let view = state.api.store.read(|tx| {
        let hook = find(tx, &request)?;
        Ok::<_, Problem>(render(tx, &hook)?)
    })?;
    Answer::ok(&view)
}

/// `PATCH /api/v2/webhooks/{webhook}`: changes what is sent.
pub(crate) fn patch(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let change = Change::read(&parse_object(&request.take_body()?)?, false)?;
    let view = state.api.store.write(|tx| {
        let before = find(tx, &request)?;
        let mut after = before.clone();
        change.apply(&mut after);
        if after != before {
            tx.webhooks().put(&after)?;
            state.note_hook(tx, "webhook.update", (Some(&before), Some(&after)))?;
        }
        Ok::<_, Problem>(render(tx, &after)?)
    })?;
    Answer::ok(&view)
}

/// `POST /api/v2/webhooks/{webhook}/rotate`: gives it another secret, which the answer has; the old one ends at once.
pub(crate) fn rotate(state: &State, mut request: Request) -> Result<Answer, Problem> {
    Fields::new(&parse_object(&request.take_body()?)?).finish()?;
    let view = state.api.store.write(|tx| {
        let before = find(tx, &request)?;
        let after = Webhook { secret: state.new_hook_secret(), ..before.clone() };
        tx.webhooks().put(&after)?;
        state.note_hook(tx, "webhook.rotate", (Some(&before), Some(&after)))?;
        Ok::<_, Problem>(render(tx, &after)?.with_secret(&after))
    })?;
    Answer::ok(&view)
}

/// `POST /api/v2/webhooks/{webhook}/test`: tells it something that did not happen, to see whether it arrives.
pub(crate) fn test(state: &State, mut request: Request) -> Result<Answer, Problem> {
    Fields::new(&parse_object(&request.take_body()?)?).finish()?;
    let view = state.api.store.write(|tx| {
        let hook = find(tx, &request)?;
        if !hook.enabled {
            return Err(Problem::conflict("the webhook is told nothing; enable it first".to_owned()));
        }
        let now = state.now();
        if tx.webhooks().enqueue(hook.id, &[test_body(&hook, state.api.controller, now)], now)? == 0 {
            return Err(Problem::conflict("too much waits for this webhook already".to_owned()));
        }
        state.note_hook(tx, "webhook.test", (None, Some(&hook)))?;
        Ok(render(tx, &hook)?)
    })?;
    state.api.events.wake();
    Answer::ok(&view)
}

/// `POST /api/v2/webhooks/{webhook}/retry`: has what was given up tried again, or one delivery of it.
pub(crate) fn retry(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let body = parse_object(&request.take_body()?)?;
    let mut fields = Fields::new(&body);
    let only = fields.number("delivery", MAX_DELIVERY);
    fields.finish()?;
    let only = only.and_then(|delivery| i64::try_from(delivery).ok());
    let view = state.api.store.write(|tx| {
        let hook = find(tx, &request)?;
        if !hook.enabled {
            return Err(Problem::conflict("the webhook is told nothing; enable it first".to_owned()));
        }
        let dead = tx.webhooks().dead(hook.id)?;
        if let Some(only) = only.filter(|only| !dead.iter().any(|delivery| delivery.id == *only)) {
            return Err(Problem::conflict(format!("the delivery {only} was not given up, or is forgotten")));
        }
        let count = tx.webhooks().revive(hook.id, only, state.now())?;
        if count == 0 && !dead.is_empty() {
            return Err(Problem::conflict("too much waits for this webhook already".to_owned()));
        }
        if count > 0 {
            state.note_hook(tx, "webhook.retry", (None, Some(&hook)))?;
        }
        Ok(render(tx, &hook)?)
    })?;
    state.api.events.wake();
    Answer::ok(&view)
}

/// `DELETE /api/v2/webhooks/{webhook}`: removes one with what waits for it.
pub(crate) fn remove(state: &State, request: Request) -> Result<Answer, Problem> {
    state.api.store.write(|tx| {
        let hook = find(tx, &request)?;
        tx.webhooks().remove(hook.id)?;
        Ok::<_, Problem>(state.note_hook(tx, "webhook.remove", (Some(&hook), None))?)
    })?;
    Ok(Answer::done())
}

fn find(tx: &Tx<'_>, request: &Request) -> Result<Webhook, Problem> {
    let found = tx.webhooks().get(request.segment(0, NO_WEBHOOK)?)?;
    found.ok_or_else(|| Problem::not_found(NO_WEBHOOK))
}

fn kinds_of(hook: &Webhook) -> Vec<String> {
    hook.kinds.split_ascii_whitespace().map(str::to_owned).collect()
}

fn render(tx: &Tx<'_>, hook: &Webhook) -> Result<WebhookView, StoreError> {
    let backlog = tx.webhooks().backlog(hook.id)?;
    Ok(WebhookView {
        id: hook.id.to_string(),
        url: hook.url.clone(),
        description: hook.description.clone(),
        events: kinds_of(hook),
        network: hook.network.map(NetworkText),
        enabled: hook.enabled,
        created: hook.created.0,
        last_delivered: hook.delivered.0,
        last_failure: hook.failure.clone(),
        waiting: backlog.waiting,
        next_attempt: backlog.next.map_or(0, |next| next.0),
        dropped: hook.dropped,
        dead: tx.webhooks().dead(hook.id)?.iter().map(DeadView::new).collect(),
        secret: None,
    })
}

impl WebhookView {
    fn with_secret(self, hook: &Webhook) -> Self {
        Self { secret: Some(HEXLOWER.encode(&hook.secret.0)), ..self }
    }
}

/// What a request wants to be otherwise.
#[derive(Debug)]
struct Change {
    url: Option<String>,
    description: Option<String>,
    kinds: Option<String>,
    network: Option<Option<NetworkId>>,
    enabled: Option<bool>,
}

impl Change {
    fn read(body: &Map<String, Value>, is_new: bool) -> Result<Self, Problem> {
        let mut fields = Fields::new(body);
        let url = if is_new { Some(fields.required_text("url")) } else { fields.text("url") };
        let description = fields.text("description");
        let events = fields.short_array("events", HOOK_TYPES.len());
        let network = fields.nullable_text("network");
        let enabled = fields.flag("enabled");
        if let Some(url) = url.as_deref().filter(|url| fields.is_text("url") && !is_usable(url)) {
            let expected = format!(
                "expected http:// or https:// with a host, at most {MAX_URL} bytes, no user and no fragment, got {}",
                cut(url)
            );
            fields.refuse(Invalid::new("/url", expected));
        }
        if description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION) {
            fields.refuse(Invalid::new("/description", format!("expected at most {MAX_DESCRIPTION} bytes")));
        }
        let mut kinds: Vec<&str> = Vec::new();
        for (index, event) in events.into_iter().flatten().enumerate() {
            match event.as_str().filter(|kind| HOOK_TYPES.contains(kind)) {
                Some(kind) if !kinds.contains(&kind) => kinds.push(kind),
                Some(_) => fields.refuse(Invalid::new(format!("/events/{index}"), "it is there twice")),
                None => {
                    let expected = format!("expected one of {}", HOOK_TYPES.join(", "));
                    fields.refuse(Invalid::new(format!("/events/{index}"), expected));
                }
            }
        }
        let network = network.map(|text| {
            let id = text.map(|text| text.parse::<NetworkId>());
            id.transpose().unwrap_or_else(|_| {
                fields.refuse(Invalid::new("/network", "expected a network id of 16 digits, or null"));
                None
            })
        });
        fields.finish()?;
        Ok(Self { url, description, kinds: events.map(|_| kinds.join(" ")), network, enabled })
    }

    fn apply(self, hook: &mut Webhook) {
        let Self { url, description, kinds, network, enabled } = self;
        hook.url = url.unwrap_or_else(|| std::mem::take(&mut hook.url));
        hook.description = description.unwrap_or_else(|| std::mem::take(&mut hook.description));
        hook.kinds = kinds.unwrap_or_else(|| std::mem::take(&mut hook.kinds));
        hook.network = network.unwrap_or(hook.network);
        hook.enabled = enabled.unwrap_or(hook.enabled);
    }
}

/// Says whether requests can be sent to a URL. User and password have no place in what is shown.
fn is_usable(url: &str) -> bool {
    if url.len() > MAX_URL || url.contains('#') {
        return false;
    }
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    is_http && uri.host().is_some_and(|host| !host.is_empty()) && !authority.contains('@')
}

impl State {
    fn new_hook_secret(&self) -> WebhookSecret {
        let mut secret = [0; 32];
        secret.chunks_mut(4).for_each(|four| four.copy_from_slice(&(self.api.random)().to_be_bytes()));
        WebhookSecret(secret)
    }

    /// Writes a change of a webhook into the audit log. Of the URL it has the host alone: the rest may be a secret, and
    /// more may read the log than may read webhooks.
    fn note_hook(
        &self,
        tx: &Tx<'_>,
        action: &'static str,
        (before, after): (Option<&Webhook>, Option<&Webhook>),
    ) -> Result<(), StoreError> {
        let text = |hook: &Webhook| {
            let host = hook.url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
            let network = hook.network.map(|network| network.to_string());
            json!({
                "id": hook.id.to_string(), "host": host, "description": hook.description,
                "events": kinds_of(hook), "network": network, "enabled": hook.enabled,
            })
            .to_string()
        };
        let (before, after) = (before.map(text), after.map(text));
        let actor = self.caller.name.clone();
        let entry =
            AuditEntry { time: self.now(), actor, action, network: None, member: None, before, after };
        tx.audit().add(&entry).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_one_that_can_be_sent_to_and_has_no_password() {
        for url in ["http://127.0.0.1:8080", "https://hooks.example/a/b?c=d", "http://[::1]:9/"] {
            assert!(is_usable(url), "{url}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(MAX_URL));
        for url in [
            "",
            "/x",
            "hooks.example",
            "ftp://hooks.example",
            "https://u:p@hooks.example",
            "https://u@h",
            "http://",
            "https://h/#x",
            "http:// h",
            "file:///etc/passwd",
            &long,
        ] {
            assert!(!is_usable(url), "{url}");
        }
    }
}
