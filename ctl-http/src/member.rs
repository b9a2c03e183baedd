//! Members (`http-api.md` §7.5–7.7).

use std::collections::BTreeMap;

use ctl_core::Member;
use ctl_core::record::member::apply;
use ctl_store::Tx;
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::{Address, NetworkId};

use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::{deleting, param, parse_body, reading, segment, writing};
use crate::view::member::{MemberView, render};
use crate::{Shared, State, network, respond, with};

/// Matches `/controller/network/{network}/member`.
fn path() -> BoxedFilter<(NetworkId,)> {
    network::path().and(param()).and(segment("member")).boxed()
}

/// `GET /controller/network/{network}/member`: the members' addresses, each with its revision.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            respond(move || {
                state.api.store.read(|tx| {
                    tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
                    let revisions = tx.members().revisions(id)?;
                    let revisions =
                        revisions.into_iter().map(|(member, revision)| (member.to_string(), revision));
                    Ok(revisions.collect::<BTreeMap<_, _>>())
                })
            })
            .await
        })
        .boxed()
}

/// `GET /controller/network/{network}/member/{node}`: one member.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            respond(move || {
                state.api.store.read(|tx| {
                    let member = tx.members().get(id, address)?.ok_or(ApiError::NotFound)?;
                    state.render_member(tx, &member)
                })
            })
            .await
        })
        .boxed()
}

/// `POST /controller/network/{network}/member/{node}`: changes a member, or adds it.
pub(crate) fn update(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, body: Result<Vec<u8>, ApiError>, state: Shared| {
            respond(move || state.update_member(id, address, &parse_body(&body?)?)).await
        })
        .boxed()
}

/// `DELETE /controller/network/{network}/member/{node}`: removes a member; answers what it was.
pub(crate) fn remove(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(deleting())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            respond(move || {
                state.write(|tx| {
                    let member = tx.members().get(id, address)?.ok_or(ApiError::NotFound)?;
                    let view = state.render_member(tx, &member)?;
                    tx.members().remove(id, address)?;
                    Ok((view, Edit::of_member(Some(&member), None)))
                })
            })
            .await
        })
        .boxed()
}

/// `GET /unstable/controller/network/{network}/member`: all members in full.
pub(crate) fn list_in_full(state: Shared) -> BoxedFilter<(Response,)> {
    segment("unstable")
        .and(path())
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| respond(move || state.members_in_full(id)).await)
        .boxed()
}

impl State {
    fn update_member(
        &self,
        network: NetworkId,
        address: Address,
        body: &Map<String, Value>,
    ) -> Result<MemberView, ApiError> {
        let now = (self.api.now)();
        self.write(|tx| {
            tx.networks().get(network)?.ok_or(ApiError::NotFound)?;
            if address == Address::NONE {
                return Err(ApiError::NoMember(address));
            }
            let stored = tx.members().get(network, address)?;
            let mut member = stored.clone().unwrap_or_else(|| Member::new(network, address, now));
            apply(body, &mut member, now)?;
            if member.revise(stored.as_ref()) {
                tx.members().put(&member)?;
            }
            Ok((self.render_member(tx, &member)?, Edit::of_member(stored.as_ref(), Some(&member))))
        })
    }

    fn members_in_full(&self, network: NetworkId) -> Result<Value, ApiError> {
        let (members, sightings) = self.api.store.read(|tx| {
            tx.networks().get(network)?.ok_or(ApiError::NotFound)?;
            Ok::<_, ApiError>((tx.members().list(network)?, tx.sightings().last_of_all(network)?))
        })?;
        let node = self.node();
        let peers: BTreeMap<_, _> = node.peers.iter().map(|peer| (peer.address, peer)).collect();
        let views = members.iter().map(|member| {
            render(member, peers.get(&member.address).copied(), sightings.get(&member.address))
        });
        let authorized = members.iter().filter(|member| member.authorized).count();
        Ok(json!({
            "data": views.collect::<Vec<_>>(),
            "meta": { "authorizedCount": authorized, "totalCount": members.len() },
        }))
    }

    fn render_member(&self, tx: &Tx<'_>, member: &Member) -> Result<MemberView, ApiError> {
        let sighting = tx.sightings().last(member.network, member.address)?;
        Ok(render(member, self.node().peer(member.address), sighting.as_ref()))
    }
}
