//! Peers (`http-api.md` §6.4).

use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::Address;

use crate::extract::{self, param, reading, segment};
use crate::{Shared, view, with};

/// `GET /peer`: all peers.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    segment("peer")
        .and(reading())
        .and(with(state))
        .map(|state: Shared| {
            let peers: Vec<_> = state.node().peers.iter().map(view::peer::render).collect();
            extract::json(StatusCode::OK, &peers)
        })
        .boxed()
}

/// `GET /peer/{node}`: one peer; an empty object if there is none.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    segment("peer")
        .and(param())
        .and(reading())
        .and(with(state))
        .map(|address: Address, state: Shared| {
            let peer = state.node().peer(address).map(view::peer::render);
            extract::json(StatusCode::OK, &peer.unwrap_or_else(|| json!({})))
        })
        .boxed()
}
