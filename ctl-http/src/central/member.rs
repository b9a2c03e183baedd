//! `/api/v1/network/{network}/member` (`http-api.md` §19.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use ctl_core::Member;
use ctl_store::Tx;
use serde_json::Map;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::{Address, NetworkId};

use super::change::MemberPost;
use super::network;
use super::view::{MemberView, render_member};
use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::{deleting, param, read_body, reading, segment, writing};
use crate::member::{PAGE, page};
use crate::status::PeerStatus;
use crate::streamed::{self, Pages, Step};
use crate::{Shared, State, answer, respond, with};

fn path() -> BoxedFilter<(NetworkId,)> {
    network::path().and(param()).and(segment("member")).boxed()
}

pub(super) fn routes(state: &Shared) -> Vec<BoxedFilter<(Response,)>> {
    vec![list(state), get(state), update(state), remove(state)]
}

/// `GET /api/v1/network/{network}/member`: all members.
fn list(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, state: Shared| {
            streamed::answer(Members { state, network: id, after: None }).await
        })
        .boxed()
}

/// `GET /api/v1/network/{network}/member/{node}`: one member.
fn get(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            respond(move || {
                let peer = state.peer(address);
                state.api.store.read(|tx| {
                    let member = tx.members().get(id, address)?.ok_or(ApiError::NotFound)?;
                    state.central_member(tx, &member, peer.as_ref())
                })
            })
            .await
        })
        .boxed()
}

/// `POST /api/v1/network/{network}/member/{node}`: changes a member, or adds it.
fn update(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, address: Address, body: Result<Vec<u8>, ApiError>, state: Shared| {
            answer(state.update_central_member(id, address, body).await)
        })
        .boxed()
}

/// `DELETE /api/v1/network/{network}/member/{node}`: removes a member; answers what it was.
fn remove(state: &Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(deleting())
        .and(with(Arc::clone(state)))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            answer(state.remove_member(id, address, State::central_member).await)
        })
        .boxed()
}

/// All members of a network.
struct Members {
    state: Shared,
    network: NetworkId,
    after: Option<Address>,
}

impl Pages for Members {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        let now = (self.state.api.now)();
        let controller = self.state.api.controller;
        let (members, sightings, extras) = self.state.api.store.read(|tx| {
            if self.after.is_none() {
                crate::network::require(tx, self.network)?;
                out.push(b'[');
            }
            let (members, sightings) = page(tx, self.network, self.after)?;
            let extras = match (members.first(), members.last()) {
                (Some(first), Some(last)) => {
                    tx.members().extras_between(self.network, first.address, last.address)?
                }
                _ => BTreeMap::new(),
            };
            Ok::<_, ApiError>((members, sightings, extras))
        })?;
        let addresses: Vec<_> = members.iter().map(|member| member.address).collect();
        let (peers, nothing) = (self.state.api.peers.some(&addresses), Map::new());
        for member in &members {
            let (peer, sighting) = (peers.get(&member.address), sightings.get(&member.address));
            let extra = extras.get(&member.address).unwrap_or(&nothing);
            let view = render_member(member, extra, peer, sighting, controller, now);
            streamed::append(out, self.after.is_none(), &view)?;
            self.after = Some(member.address);
        }
        if members.len() < PAGE {
            out.push(b']');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }
}

impl State {
    async fn update_central_member(
        self: Arc<Self>,
        network: NetworkId,
        address: Address,
        body: Result<Vec<u8>, ApiError>,
    ) -> Result<MemberView, ApiError> {
        let post = MemberPost::read(&read_body(body?).await?)?;
        let (peer, now) = (self.api.peers.one(address).await, (self.api.now)());
        let update = move |state: &Self, tx: &Tx<'_>| {
            let (stored, mut member) = state.member_to_change(tx, network, address, now)?;
            post.apply(&mut member, now)?;
            if member.revise(stored.as_ref()) {
                tx.members().replace(stored.as_ref(), &member)?;
            }
            post.save_extra(tx, network, address)?;
            let shown = state.central_member(tx, &member, peer.as_ref())?;
            Ok((shown, Edit::of_member(stored.as_ref(), Some(&member))))
        };
        self.write_soon(update).await
    }

    fn central_member(
        &self,
        tx: &Tx<'_>,
        member: &Member,
        peer: Option<&PeerStatus>,
    ) -> Result<MemberView, ApiError> {
        let (network, address) = (member.network, member.address);
        let extra = tx.members().extra(network, address)?;
        let sighting = tx.sightings().last(network, address)?;
        let now = (self.api.now)();
        Ok(render_member(member, &extra, peer, sighting.as_ref(), self.api.controller, now))
    }
}
