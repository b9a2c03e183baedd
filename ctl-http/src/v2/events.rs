//! What happens, as it happens: server-sent events (the `text/event-stream` of the HTML standard).

use std::sync::Arc;

use bytes::Bytes;
use ctl_core::Event;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use zt_proto::NetworkId;

use super::problem::Problem;
use super::request::{Answer, Request};
use super::text::{NetworkText, Node};
use crate::access::tokens;
use crate::access::{Caller, Key};
use crate::events::{Next, Place, Watcher};
use crate::streamed::{self, ChunkSender, Chunks};
use crate::{Api, State};

pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

/// Something that happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Event")]
pub(crate) struct EventView {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Milliseconds since 1970.
    time: u64,
    network: NetworkText,
    /// Null for what happened to the network.
    member: Option<Node>,
    /// Of the record as it is now; null where there is none or it did not change.
    revision: Option<u64>,
}

impl EventView {
    pub(crate) fn new(event: &Event) -> Self {
        Self {
            kind: event.kind.name(),
            time: event.time.0,
            network: NetworkText(event.network),
            member: event.member.map(Node),
            revision: event.revision,
        }
    }
}

/// `GET /api/v2/events`: what happens from now on, or since `Last-Event-ID`; `?network=ID` of one network alone.
pub(crate) fn watch(state: &State, request: Request) -> Result<Answer, Problem> {
    let network = request.query.parsed("network", "a network id", |text| text.parse::<NetworkId>().ok())?;
    let caller = Arc::clone(&state.caller);
    let may_read = network.map_or_else(|| caller.sees_some(), |network| caller.sees(network));
    if !may_read {
        return Err(caller.forbidden().into());
    }
    let last = request.last_event_id.as_deref().and_then(Place::parse);
    let watched = state.api.events.watch(&caller.name, last);
    let (watcher, is_resumed) = watched.map_err(|error| Problem::busy(error.to_string()))?;
    let (chunks, body) = Chunks::new();
    let stream = Stream { api: Arc::clone(&state.api), caller, network, watcher };
    tokio::spawn(stream.feed(is_resumed, chunks));
    Ok(Answer::stream(MEDIA_TYPE, body))
}

/// What one client gets.
struct Stream {
    api: Arc<Api>,
    caller: Arc<Caller>,
    network: Option<NetworkId>,
    watcher: Watcher,
}

impl Stream {
    /// Writes events whenever those before were taken.
    async fn feed(mut self, is_resumed: bool, chunks: ChunkSender) {
        let hello = json!({ "resumed": is_resumed });
        let mut text = format!("retry: 2000\nid: {}\nevent: ready\ndata: {hello}\n\n", self.watcher.place());
        let mut access = self.api.access.clone();
        let mut looked = Instant::now();
        loop {
            // Waits while the client does not read, and meanwhile the row moves on.
            if !text.is_empty() && chunks.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_err() {
                return;
            }
            let next = tokio::select! {
                next = self.watcher.next() => next,
                // The token in a file may be another one now.
                Ok(()) = access.changed() => Next::Nothing,
                () = chunks.closed() => return,
            };
            // The command line revokes tokens in the database alone, so there is nothing but to look.
            let is_due = next == Next::Nothing || looked.elapsed() >= self.watcher.looks_every();
            let is_revoked = is_due && !self.is_still_allowed().await;
            if is_due {
                looked = Instant::now();
            }
            let reason = match next {
                _ if is_revoked => "the token is no longer valid",
                Next::Events(events) => {
                    events.iter().for_each(|(place, event)| self.write(*place, event, &mut text));
                    continue;
                }
                Next::Nothing => {
                    // A place without an event: whoever comes back begins there.
                    text = format!(":\nid: {}\n\n", self.watcher.place());
                    continue;
                }
                Next::Missed => "more happened than was read; come back and load what is shown anew",
                Next::Ended => "the controller stops",
            };
            let reason = json!({ "reason": reason });
            // Who is gone needs no reason.
            drop(chunks.send(Ok(format!("event: end\ndata: {reason}\n\n").into())).await);
            return streamed::finish(&chunks).await;
        }
    }

    fn write(&self, place: Place, event: &Event, text: &mut String) {
        let is_wanted = self.network.is_none_or(|network| network == event.network);
        if !is_wanted || !self.caller.sees(event.network) {
            return;
        }
        let view = EventView::new(event);
        // Plain fields always can be written, and JSON has no line feeds.
        if let Ok(data) = serde_json::to_string(&view) {
            text.push_str(&format!("id: {place}\nevent: {}\ndata: {data}\n\n", view.kind));
        }
    }

    /// A token may have been revoked, have expired, or be another one now.
    async fn is_still_allowed(&self) -> bool {
        let (api, caller) = (Arc::clone(&self.api), Arc::clone(&self.caller));
        let hash = match &caller.key {
            Key::Nothing => return false,
            Key::File(token) => return api.access.borrow().token == *token,
            Key::Stored(hash) => *hash,
        };
        let looked = spawn_blocking(move || {
            let now = (api.now)();
            api.store.read(|tx| tokens::is_still_valid(tx, hash, &caller, now))
        });
        // While the database cannot be read, nobody gets more than what he had.
        looked.await.is_ok_and(|valid| valid.unwrap_or(true))
    }
}
