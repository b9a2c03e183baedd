//! Networks (`http-api.md` §7.2–7.4, §7.7).

use std::str::FromStr;
use std::vec;

use bytes::Bytes;
use ctl_core::Network;
use ctl_core::record::network::apply;
use ctl_store::{MemberCounts, Tx};
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::address::HexIdError;
use zt_proto::{Address, NetworkId};

use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::{self, deleting, param, parse_body, read_body, reading, segment, writing};
use crate::rendered::Rendering;
use crate::streamed::{self, Pages, Step};
use crate::view::network::{NetworkView, render, render_listed};
use crate::{Shared, State, respond, respond_in_turn, rule_tests, settle, with};

/// How many random ids are tried for a new network: enough to find a free one while one in a hundred is.
const MAX_TRIES: u32 = 1000;

/// Networks of a page of the list in full.
const PAGE: usize = 100;

/// Fields whose change tests may judge: without them nothing needs to be looked at before the change.
const CONCERN_TESTS: [&str; 4] = ["rules", "capabilities", "tags", "rulesSource"];

/// Matches `/controller/network`.
pub(crate) fn path() -> BoxedFilter<()> {
    segment("controller").and(segment("network")).boxed()
}

/// Checks that there is such a network.
pub(crate) fn require(tx: &Tx<'_>, id: NetworkId) -> Result<(), ApiError> {
    if tx.networks().contains(id)? { Ok(()) } else { Err(ApiError::NotFound) }
}

/// `GET /controller/network`: the ids of all networks that the token may read.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| {
            respond(move || {
                let ids = state.api.store.read(|tx| tx.networks().list().map_err(ApiError::from))?;
                let seen = ids.iter().filter(|id| state.caller.sees(**id));
                Ok(seen.map(NetworkId::to_string).collect::<Vec<_>>())
            })
            .await
        })
        .boxed()
}

/// `POST /controller/network`: creates a network with a random id.
pub(crate) fn create(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(writing())
        .and(with(state))
        .then(async |body: Result<Vec<u8>, ApiError>, state: Shared| {
            respond(move || state.create_network(&parse_body(&body?)?)).await
        })
        .boxed()
}

/// `POST /controller/network/{node}______`: creates a network with a random id, as most tools do it.
pub(crate) fn create_below(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(state))
        .then(async |Below(controller): Below, body: Result<Vec<u8>, ApiError>, state: Shared| {
            respond(move || {
                state.check_own(controller, &format!("{controller}______"))?;
                state.create_network(&parse_body(&body?)?)
            })
            .await
        })
        .boxed()
}

/// `GET /controller/network/{network}`: one network.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            let known = state
                .api
                .store
                .settled_writes()
                .and_then(|now| state.rendered.find(state.rendering(id), now));
            if let Some(text) = known {
                return extract::written(extract::JSON, StatusCode::OK, text);
            }
            let rendered = tokio::task::spawn_blocking(move || state.render_network(id)).await;
            match rendered.map_err(ApiError::Task).flatten() {
                Ok(text) => extract::written(extract::JSON, StatusCode::OK, text),
                Err(error) => error.into_response(),
            }
        })
        .boxed()
}

/// `POST /controller/network/{network}`: changes a network, or creates it with that id.
pub(crate) fn update(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(state))
        .then(async |id: NetworkId, body: Result<Vec<u8>, ApiError>, state: Shared| {
            let body = match body {
                Ok(body) => read_body(body).await,
                Err(error) => Err(error),
            };
            let body = match body {
                Ok(body) => body,
                Err(error) => return error.into_response(),
            };
            let (heavy, is_heavy) = (state.heavy.clone(), body.may_concern_tests());
            let change = move || {
                state.change_network(id, &body, |tx, network| {
                    Ok(render(network, &tx.members().counts(network.id)?))
                })
            };
            if is_heavy { respond_in_turn(&heavy, change).await } else { respond(change).await }
        })
        .boxed()
}

/// `DELETE /controller/network/{network}`: removes a network with its members; answers what it was.
pub(crate) fn remove(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(deleting())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            respond(move || {
                state.write(|tx| {
                    let network = tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
                    let view = render(&network, &tx.members().counts(id)?);
                    tx.networks().remove(id, (state.api.now)())?;
                    Ok((view, Edit::of_network(Some(&network), None)))
                })
            })
            .await
        })
        .boxed()
}

/// `GET /unstable/controller/network`: all networks in full.
pub(crate) fn list_in_full(state: Shared) -> BoxedFilter<(Response,)> {
    segment("unstable")
        .and(path())
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| streamed::answer(InFull { state, left: None, count: 0 }).await)
        .boxed()
}

/// All networks in full, and how many there are.
struct InFull {
    state: Shared,
    /// Those still to be shown, once they are known.
    left: Option<vec::IntoIter<NetworkId>>,
    count: u64,
}

impl Pages for InFull {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        let store = &self.state.api.store;
        let left = match &mut self.left {
            Some(left) => left,
            None => {
                let ids = store.read(|tx| tx.networks().list().map_err(ApiError::from))?;
                out.extend_from_slice(br#"{"data":["#);
                self.left.insert(ids.into_iter())
            }
        };
        let page = store.read(|tx| {
            let mut page = Vec::new();
            for id in left.take(PAGE) {
                // One that was removed meanwhile is left out.
                if let Some(network) = tx.networks().get(id)? {
                    page.push(render_listed(&self.state.shown_network(&network), &tx.members().counts(id)?));
                }
            }
            Ok::<_, ApiError>(page)
        })?;
        for view in &page {
            streamed::append(out, self.count == 0, view)?;
            self.count += 1;
        }
        if left.len() == 0 {
            out.extend_from_slice(br#"],"meta":"#);
            streamed::append(out, true, &json!({ "networkCount": self.count }))?;
            out.push(b'}');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }
}

/// What a request asks to change in a network.
pub(crate) trait NetworkChange {
    /// Changes the network; called more than once, each time on what is stored then.
    fn apply(&self, network: &mut Network) -> Result<(), ApiError>;

    /// Says whether tests may judge the change: without that nothing needs to be looked at before.
    fn may_concern_tests(&self) -> bool;

    /// Says whether a network that is not there is made.
    fn may_create(&self) -> bool;
}

/// A body of the API of 1.14.
impl NetworkChange for Map<String, Value> {
    fn apply(&self, network: &mut Network) -> Result<(), ApiError> {
        Ok(apply(self, network)?)
    }

    fn may_concern_tests(&self) -> bool {
        CONCERN_TESTS.iter().any(|field| self.contains_key(*field))
    }

    fn may_create(&self) -> bool {
        true
    }
}

impl State {
    /// Returns which of the two forms of a network the caller sees.
    fn rendering(&self, network: NetworkId) -> Rendering {
        Rendering { network, has_secrets: self.caller.may_change(network) }
    }

    /// Renders a network as text, which is kept for who asks next.
    fn render_network(&self, id: NetworkId) -> Result<Bytes, ApiError> {
        let before = self.api.store.settled_writes();
        let view = self.api.store.read(|tx| {
            let network = tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
            Ok::<_, ApiError>(render(&self.shown_network(&network), &tx.members().counts(id)?))
        })?;
        let mut text = Vec::new();
        streamed::append(&mut text, true, &view)?;
        let text = Bytes::from(text);
        if let Some(generation) = before.filter(|_| self.api.store.settled_writes() == before) {
            self.rendered.keep(self.rendering(id), generation, &text);
        }
        Ok(text)
    }

    fn create_network(&self, body: &Map<String, Value>) -> Result<NetworkView, ApiError> {
        self.write(|tx| {
            let mut network = Network::new(self.free_id(tx)?, (self.api.now)());
            apply(body, &mut network)?;
            network.revise(None);
            tx.networks().put(&network)?;
            let view = render(&network, &MemberCounts::default());
            Ok((view, Edit::of_network(None, Some(&network))))
        })
    }

    /// Changes a network, and renders it in the same transaction.
    pub(crate) fn change_network<V>(
        &self,
        id: NetworkId,
        change: &impl NetworkChange,
        render: impl Fn(&Tx<'_>, &Network) -> Result<V, ApiError>,
    ) -> Result<V, ApiError> {
        settle(|| self.try_change(id, change, &render))?.ok_or(ApiError::Contended)
    }

    /// Changes a network. `None`: it was changed meanwhile, so that nothing is known about its tests.
    fn try_change<V>(
        &self,
        id: NetworkId,
        change: &impl NetworkChange,
        render: impl Fn(&Tx<'_>, &Network) -> Result<V, ApiError>,
    ) -> Result<Option<V>, ApiError> {
        // Tests take seconds, in which other writers should not wait; so they run before.
        let judged = self.judge_change(id, change)?;
        self.write(|tx| {
            let stored = tx.networks().get(id)?;
            let mut network = match &stored {
                Some(stored) => stored.clone(),
                None if change.may_create() => {
                    self.check_own(id.controller(), &id.to_string())?;
                    Network::new(id, (self.api.now)())
                }
                None => return Err(ApiError::NotFound),
            };
            change.apply(&mut network)?;
            if let Some(stored) = &stored
                && judged.as_ref() != Some(stored)
                && rule_tests::concerns(stored, &network)
            {
                return Ok((None, None::<Edit>));
            }
            if network.revise(stored.as_ref()) {
                tx.networks().put(&network)?;
            }
            let shown = render(tx, &network)?;
            Ok((Some(shown), Edit::of_network(stored.as_ref(), Some(&network))))
        })
    }

    /// Checks a change of rules, if the network wants it, and returns the network that was looked at: what comes of it
    /// follows from that and from the change. `None` if there is nothing to check.
    fn judge_change(&self, id: NetworkId, change: &impl NetworkChange) -> Result<Option<Network>, ApiError> {
        if !change.may_concern_tests() {
            return Ok(None);
        }
        let found = self.api.store.read(|tx| {
            let network = tx.networks().get(id)?.filter(|network| network.rule_tests_required);
            let members = if network.is_some() { tx.members().list(id)? } else { Vec::new() };
            Ok::<_, ApiError>(network.map(|network| (network, members)))
        })?;
        let Some((before, members)) = found else { return Ok(None) };
        let mut after = before.clone();
        change.apply(&mut after)?;
        if rule_tests::concerns(&before, &after) {
            rule_tests::check(&before, &after, &members)?;
        }
        Ok(Some(before))
    }

    /// Returns a random id that is not in use and does not end in 000000.
    pub(crate) fn free_id(&self, tx: &Tx<'_>) -> Result<NetworkId, ApiError> {
        for _ in 0..MAX_TRIES {
            let suffix = (self.api.random)() & NetworkId::MAX_SUFFIX;
            let id = NetworkId::of_controller(self.api.controller, suffix);
            if suffix != 0 && !tx.networks().contains(id)? {
                return Ok(id);
            }
        }
        Err(ApiError::NoFreeId)
    }

    /// Checks that networks of `controller` can be served here; `got` is what the request had.
    pub(crate) fn check_own(&self, controller: Address, got: &str) -> Result<(), ApiError> {
        let own = self.api.controller;
        if controller == own {
            Ok(())
        } else {
            Err(ApiError::ForeignNetwork { controller: own, got: got.to_owned() })
        }
    }
}

/// The path segment `{node}______`: ten hexadecimal digits of either case and six underscores.
struct Below(Address);

impl FromStr for Below {
    type Err = HexIdError;

    fn from_str(text: &str) -> Result<Self, HexIdError> {
        // Without the underscores it is no address either: too long, or an underscore too few.
        text.strip_suffix("______").unwrap_or_default().parse().map(Self)
    }
}
