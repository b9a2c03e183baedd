//! The audit log, read.

use ctl_store::{AUDIT_MAX_PAGE, AuditRecord, AuditSubject};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::request::{Answer, Request};
use super::text::{NetworkText, Node};
use crate::State;

/// Entries of a page unless the request says otherwise.
const DEFAULT_PAGE: usize = 100;

/// Entries of the log, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditPage {
    entries: Vec<AuditView>,
    /// `before` of the next page; null at the end.
    next: Option<i64>,
}

/// Who changed what.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct AuditView {
    /// Ascending, never given twice.
    id: i64,
    /// Milliseconds since 1970.
    time: u64,
    /// The name of the token.
    actor: String,
    /// For example `member.update`.
    action: String,
    network: Option<NetworkText>,
    /// Null for a change of the network.
    member: Option<Node>,
    /// The fields that changed, as they were; null where there was nothing.
    before: Option<Value>,
    /// The same as they are now.
    after: Option<Value>,
}

impl AuditView {
    fn new(entry: &AuditRecord) -> Self {
        let value = |text: &Option<String>| {
            text.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
        };
        Self {
            id: entry.id,
            time: entry.time.0,
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            network: entry.network.map(NetworkText),
            member: entry.member.map(Node),
            before: value(&entry.before),
            after: value(&entry.after),
        }
    }
}

/// `GET /api/v2/audit`: who changed what, newest first. `?before=ID` continues where a page ended, `?limit=N` is its
/// length; `?network=ID` and `?member=ADDRESS` leave out what is about others.
pub(crate) fn list(state: &State, request: Request) -> Result<Answer, Problem> {
    let before = request.query.number("before", 1..=u64::MAX >> 1)?.and_then(|id| i64::try_from(id).ok());
    let limit = request.query.number("limit", 1..=AUDIT_MAX_PAGE as u64)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_PAGE);
    let network = request.query.parsed("network", "a network id", |text| text.parse().ok())?;
    let member = request.query.parsed("member", "an address of a node", |text| text.parse().ok())?;
    let subject = AuditSubject { network, member };
    let entries = state.api.store.read(|tx| tx.audit().page_about(subject, before, limit))?;
    // A page that is not full is the last one.
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.id);
    Answer::ok(&AuditPage { entries: entries.iter().map(AuditView::new).collect(), next })
}
