//! The API of the hosted service, version 1, for the tools that were written for it (`http-api.md` §19,
//! `docs/central.md`). There is one user, who may do everything.

mod account;
mod change;
mod member;
mod network;
mod view;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::Shared;
use crate::extract::segment;

/// Returns the routes below `/api/v1`.
pub(crate) fn routes(state: &Shared) -> Vec<BoxedFilter<(Response,)>> {
    let networks = network::routes(state);
    networks.into_iter().chain(member::routes(state)).chain(account::routes(state)).collect()
}

/// Matches `/api/v1`.
fn version_1() -> BoxedFilter<()> {
    segment("api").and(segment("v1")).boxed()
}
