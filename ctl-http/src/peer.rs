//! Peers (`http-api.md` §6.4).

use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::Address;

use crate::extract::{param, reading, segment};
use crate::{Shared, respond, view, with};

/// `GET /peer`: all peers.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    segment("peer")
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| {
            respond(move || Ok(state.api.peers.all().iter().map(view::peer::render).collect::<Vec<_>>()))
                .await
        })
        .boxed()
}

/// `GET /peer/{node}`: one peer; an empty object if there is none.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    segment("peer")
        .and(param())
        .and(reading())
        .and(with(state))
        .then(async |address: Address, state: Shared| {
            respond(move || {
                let peer = state.peer(address);
                Ok(peer.map_or_else(|| json!({}), |peer| view::peer::render(&peer)))
            })
            .await
        })
        .boxed()
}
