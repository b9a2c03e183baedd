//! Networks: list, create, read, change, replace, remove, and what a change would mean.

use ctl_core::Network;
use ctl_store::{MemberCounts, Tx};
use schemars::JsonSchema;
use serde::Serialize;
use zt_proto::NetworkId;

use super::cursor::Cursor;
use super::dry_run::DryRun;
use super::network_change::{NetworkChange, reset};
use super::network_record::{NetworkView, version_of};
use super::problem::Problem;
use super::request::{Answer, Request};
use super::text::NetworkText;
use crate::State;
use crate::edit::Edit;
use crate::error::ApiError;

/// Networks of a page unless the request says otherwise, and most that it may ask for.
pub(crate) const DEFAULT_PAGE: usize = 100;
pub(crate) const MAX_PAGE: u64 = 1000;

/// How the networks are ordered.
const ORDER: &str = "id";

/// Some networks, ascending by id.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NetworkPage {
    data: Vec<NetworkView>,
    /// `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// `GET /api/v2/network`: the networks that the token may read, a page at a time.
pub(crate) fn list(state: &State, request: Request) -> Result<Answer, Problem> {
    let limit = page_length(&request)?;
    let cursor: Option<Cursor<NetworkText>> = Cursor::of(&request.query, ORDER)?;
    let after = cursor.map(|cursor| cursor.last.0);
    let page = state.api.store.read(|tx| {
        let mut ids = tx.networks().list()?;
        ids.retain(|id| state.caller.sees(*id));
        let first = after.map_or(0, |after| ids.partition_point(|id| *id <= after));
        let rest = ids.get(first..).unwrap_or_default();
        let mut data = Vec::new();
        for id in rest.iter().take(limit) {
            let network = tx.networks().get(*id)?.ok_or_else(no_network)?; // listed in this very transaction
            data.push(view(tx, &state.shown_network(&network))?);
        }
        let last = rest.get(limit.saturating_sub(1)).filter(|_| rest.len() > limit);
        Ok::<_, Problem>(NetworkPage {
            data,
            next: last.map(|last| Cursor::new(ORDER, NetworkText(*last)).to_text()),
        })
    })?;
    Answer::ok(&page)
}

pub(crate) fn page_length(request: &Request) -> Result<usize, Problem> {
    let limit = request.query.number("limit", 1..=MAX_PAGE)?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_PAGE))
}

/// `GET /api/v2/network/{network}`: one network.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let (version, view) = state.api.store.read(|tx| {
        let network = find(tx, id)?;
        Ok::<_, Problem>((version_of(&network), view(tx, &state.shown_network(&network))?))
    })?;
    Ok(Answer::record(&view, version)?.unless_known(&request.conditions))
}

/// `POST /api/v2/network`: creates a network with a random id.
pub(crate) fn create(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let change = read_change(&mut request)?;
    let now = (state.api.now)();
    state.write(|tx| {
        request.conditions.check(None)?;
        let mut network = Network::new(state.free_id(tx)?, now);
        change.check_read_only(&network)?;
        change.apply(&mut network);
        save(tx, None, network)
    })
}

/// `PATCH /api/v2/network/{network}`: changes a network. With `?dryRun=true` nothing is stored, and the answer says what
/// would change.
pub(crate) fn patch(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let change = read_change(&mut request)?;
    let is_dry = request.query.flag("dryRun")?.unwrap_or(false);
    let changed = |stored: &Network| -> Result<Network, Problem> {
        change.check_read_only(stored)?;
        let mut network = stored.clone();
        change.apply(&mut network);
        Ok(network)
    };
    if is_dry {
        return dry_run(state, id, &request, |stored| stored.map(changed).transpose());
    }
    state.write(|tx| {
        let stored = find(tx, id)?;
        request.conditions.check(Some(version_of(&stored)))?;
        let network = changed(&stored)?;
        save(tx, Some(&stored), network)
    })
}

/// `PUT /api/v2/network/{network}`: replaces the settings of a network, or creates it with this id. The rules stay.
pub(crate) fn put(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let change = read_change(&mut request)?;
    let is_dry = request.query.flag("dryRun")?.unwrap_or(false);
    let now = (state.api.now)();
    let replaced = |stored: Option<&Network>| -> Result<Network, Problem> {
        let mut network = match stored {
            Some(stored) => reset(stored),
            None => {
                state.check_own(id.controller(), &id.to_string())?;
                Network::new(id, now)
            }
        };
        change.check_read_only(&network)?;
        change.apply(&mut network);
        Ok(network)
    };
    if is_dry {
        return dry_run(state, id, &request, |stored| replaced(stored).map(Some));
    }
    state.write(|tx| {
        let stored = tx.networks().get(id)?;
        request.conditions.check(stored.as_ref().map(version_of))?;
        let network = replaced(stored.as_ref())?;
        save(tx, stored.as_ref(), network)
    })
}

/// `DELETE /api/v2/network/{network}`: removes a network with its members.
pub(crate) fn remove(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    state.write(|tx| {
        let stored = find(tx, id)?;
        request.conditions.check(Some(version_of(&stored)))?;
        tx.networks().remove(id, (state.api.now)())?;
        Ok((Answer::done(), Edit::of_network(Some(&stored), None)))
    })
}

fn read_change(request: &mut Request) -> Result<NetworkChange, Problem> {
    let change: NetworkChange = request.read_body()?;
    let invalid = change.invalid();
    if invalid.is_empty() { Ok(change) } else { Err(Problem::fields(invalid)) }
}

/// Says what a change would mean, without making it.
fn dry_run(
    state: &State,
    id: NetworkId,
    request: &Request,
    changed: impl FnOnce(Option<&Network>) -> Result<Option<Network>, Problem>,
) -> Result<Answer, Problem> {
    let (stored, members, counts) = state.api.store.read(|tx| {
        let stored = tx.networks().get(id)?;
        Ok::<_, Problem>((stored, tx.members().list(id)?, tx.members().counts(id)?))
    })?;
    request.conditions.check(stored.as_ref().map(version_of))?;
    let mut after = changed(stored.as_ref())?.ok_or_else(no_network)?;
    after.revise(stored.as_ref());
    let view = NetworkView::new(&after, &counts);
    Answer::ok(&DryRun::new(stored.as_ref(), &after, view, &members))
}

/// Saves a network that differs from `stored`, and answers with it.
fn save(
    tx: &Tx<'_>,
    stored: Option<&Network>,
    mut network: Network,
) -> Result<(Answer, Option<Edit>), Problem> {
    network.check_len(stored).map_err(ApiError::Field)?;
    if network.revise(stored) {
        tx.networks().put(&network)?;
    }
    let mut answer = Answer::record(&view(tx, &network)?, version_of(&network))?;
    if stored.is_none() {
        answer = answer.created(format!("/api/v2/network/{}", network.id));
    }
    Ok((answer, Edit::of_network(stored, Some(&network))))
}

fn view(tx: &Tx<'_>, network: &Network) -> Result<NetworkView, Problem> {
    let counts: MemberCounts = tx.members().counts(network.id)?;
    Ok(NetworkView::new(network, &counts))
}

/// Returns a network that must be there.
pub(crate) fn find(tx: &Tx<'_>, id: NetworkId) -> Result<Network, Problem> {
    tx.networks().get(id)?.ok_or_else(no_network)
}

/// Checks that there is such a network.
pub(crate) fn require(tx: &Tx<'_>, id: NetworkId) -> Result<(), Problem> {
    if tx.networks().contains(id)? { Ok(()) } else { Err(no_network()) }
}

fn no_network() -> Problem {
    ApiError::NotFound.into()
}
