//! Peers (`http-api.md` §6.4).

use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::Address;

use crate::error::ApiError;
use crate::extract::{param, reading, segment};
use crate::streamed::{self, Pages, Step};
use crate::{Shared, respond, view, with};

/// Peers of a page of the list: some 200 KiB of text.
const PAGE: usize = 512;

/// `GET /peer`: all peers.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    segment("peer")
        .and(reading())
        .and(with(state))
        .then(async |state: Shared| streamed::answer(All { state, after: None }).await)
        .boxed()
}

/// All peers.
struct All {
    state: Shared,
    after: Option<Address>,
}

impl Pages for All {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        if self.after.is_none() {
            out.push(b'[');
        }
        let page = self.state.api.peers.after(self.after, PAGE)?;
        for peer in &page {
            streamed::append(out, self.after.is_none(), &view::peer::render(peer))?;
            self.after = Some(peer.address);
        }
        if page.len() < PAGE {
            out.push(b']');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }
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
