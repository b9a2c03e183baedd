//! `/api/v1/network` (`http-api.md` §19.3).

use std::sync::Arc;

use ctl_core::Network;
use ctl_store::{MemberCounts, Tx};
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::{NetworkId, Timestamp};

use super::change::NetworkPost;
use super::{version_1, view};
use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::{deleting, param, parse_body, reading, segment, writing};
use crate::heavy::Heavy;
use crate::member::ACTIVE_WITHIN;
use crate::network::NetworkChange;
use crate::streamed::{self, Pages, Step};
use crate::{Shared, State, respond, respond_in_turn, with};

/// Networks of a page of the list, and bytes after which a page ends early: a network has a source of up to a megabyte.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1 << 20;

type Body = Result<Vec<u8>, ApiError>;

pub(super) fn path() -> BoxedFilter<()> {
    version_1().and(segment("network")).boxed()
}

pub(super) fn routes(state: &Shared) -> Vec<BoxedFilter<(Response,)>> {
    vec![list(state), create(state), get(state), update(state), remove(state), users(state)]
}

/// `GET /api/v1/network`: all networks.
fn list(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |state: Shared| streamed::answer(Networks { state, left: None, is_first: true }).await)
        .boxed()
}

/// `POST /api/v1/network`: creates a network with a random id.
fn create(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(writing())
        .and(with(Arc::clone(state)))
        .then(async |body: Body, state: Shared| {
            let heavy = state.heavy.clone();
            respond_in_turn(&heavy, move || {
                let post = NetworkPost::read(&parse_body(&body?)?)?;
                let made = state.write(|tx| {
                    let mut network = Network::new(state.free_id(tx)?, (state.api.now)());
                    post.apply(&mut network)?;
                    network.revise(None);
                    tx.networks().put(&network)?;
                    post.save_extra(tx, network.id)?;
                    let edit = Edit::of_network(None, Some(&network));
                    Ok::<_, ApiError>((state.with_surroundings(tx, network)?, edit))
                })?;
                Ok(state.central_network(&made))
            })
            .await
        })
        .boxed()
}

/// `GET /api/v1/network/{network}`: one network.
fn get(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, state: Shared| {
            let heavy = state.heavy.clone();
            respond_in_turn(&heavy, move || {
                let found = state.api.store.read(|tx| {
                    let network = tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
                    state.with_surroundings(tx, network)
                })?;
                Ok(state.central_network(&found))
            })
            .await
        })
        .boxed()
}

/// `POST /api/v1/network/{network}`: changes a network; a new `rulesSource` is compiled.
fn update(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, body: Body, state: Shared| {
            let heavy = state.heavy.clone();
            respond_in_turn(&heavy, move || {
                let post = NetworkPost::read(&parse_body(&body?)?)?;
                let changed = state.change_network(id, &post, |tx, network| {
                    post.save_extra(tx, id)?;
                    state.with_surroundings(tx, network.clone())
                })?;
                Ok(state.central_network(&changed))
            })
            .await
        })
        .boxed()
}

/// `DELETE /api/v1/network/{network}`: removes a network with its members; answers what it was.
fn remove(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(deleting())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, state: Shared| {
            let heavy = state.heavy.clone();
            respond_in_turn(&heavy, move || {
                let removed = state.write(|tx| {
                    let network = tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
                    let edit = Edit::of_network(Some(&network), None);
                    let removed = state.with_surroundings(tx, network)?;
                    tx.networks().remove(id, (state.api.now)())?;
                    Ok::<_, ApiError>((removed, edit))
                })?;
                Ok(state.central_network(&removed))
            })
            .await
        })
        .boxed()
}

/// `GET /api/v1/network/{network}/users`: who may see the network, which is the one user.
fn users(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(segment("users"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, state: Shared| {
            respond(move || {
                state.api.store.read(|tx| tx.networks().get(id)?.ok_or(ApiError::NotFound))?;
                Ok(json!([state.central_user()?]))
            })
            .await
        })
        .boxed()
}

/// All networks.
struct Networks {
    state: Shared,
    /// Those still to be shown, once they are known.
    left: Option<std::vec::IntoIter<NetworkId>>,
    is_first: bool,
}

impl Pages for Networks {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        let store = &self.state.api.store;
        let left = match &mut self.left {
            Some(left) => left,
            None => {
                let ids = store.read(|tx| tx.networks().list().map_err(ApiError::from))?;
                out.push(b'[');
                self.left.insert(ids.into_iter())
            }
        };
        let begin = out.len();
        for id in left.take(PAGE) {
            let found = store.read(|tx| {
                let network = tx.networks().get(id)?;
                network.map(|network| self.state.with_surroundings(tx, network)).transpose()
            })?;
            // One that was removed meanwhile is left out.
            if let Some(found) = found {
                streamed::append(out, self.is_first, &self.state.central_network(&found))?;
                self.is_first = false;
            }
            if out.len() - begin >= PAGE_BYTES {
                break;
            }
        }
        if left.len() == 0 {
            out.push(b']');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }

    fn heavy(&self) -> Option<Heavy> {
        Some(self.state.heavy.clone())
    }
}

/// A network with what is shown beside it.
struct Surrounded {
    network: Network,
    extra: Map<String, Value>,
    members: MemberCounts,
    /// How many members asked lately.
    online: usize,
}

impl State {
    /// Reads what is shown beside a network.
    fn with_surroundings(&self, tx: &Tx<'_>, network: Network) -> Result<Surrounded, ApiError> {
        let since = Timestamp((self.api.now)().0.saturating_sub(ACTIVE_WITHIN));
        let online = tx.sightings().since(network.id, since)?.len();
        let extra = tx.networks().extra(network.id)?;
        let members = tx.members().counts(network.id)?;
        Ok(Surrounded { network, extra, members, online })
    }

    /// Renders a network. That compiles its source, which takes too long for a transaction, in which others would wait.
    fn central_network(&self, found: &Surrounded) -> Value {
        let Surrounded { network, extra, members, online } = found;
        view::render_network(network, extra, members, *online, &self.central_user_id(), (self.api.now)())
    }
}
