//! `/api/v2`: typed and strict, with errors that say where in the body they are (`docs/rules.md`, `docs/api-compat.md`).

mod audit;
mod pending;
pub(crate) mod problem;
pub(crate) mod rules;
pub(crate) mod strict;
mod tokens;

use serde_json::{Map, Value};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::Shared;
use crate::error::ApiError;
use crate::extract::{self, body, segment};
use problem::Problem;

use std::sync::Arc;

/// A body, which may have failed to arrive.
type Body = Result<Vec<u8>, ApiError>;

/// Returns every route below `/api/v2`.
pub(crate) fn routes(state: &Shared) -> Vec<BoxedFilter<(Response,)>> {
    let state = || Arc::clone(state);
    vec![
        pending::list(state()),
        rules::compile_source(),
        rules::format_source(),
        rules::decompile_tables(),
        rules::get(state()),
        rules::put(state()),
        rules::test(state()),
        rules::explain(state()),
        audit::list(state()),
        tokens::list(state()),
        tokens::create(state()),
        tokens::get(state()),
        tokens::revoke(state()),
        tokens::rotate(state()),
    ]
}

/// Matches `/api/v2`.
fn version_2() -> BoxedFilter<()> {
    segment("api").and(segment("v2")).boxed()
}

/// Matches the end of the path and POST; extracts the body.
fn posting() -> BoxedFilter<(Body,)> {
    warp::path::end().and(warp::post()).and(body()).boxed()
}

/// Runs `work` where it may block, and renders what it returns.
async fn respond(work: impl FnOnce() -> Result<Map<String, Value>, Problem> + Send + 'static) -> Response {
    let result = tokio::task::spawn_blocking(work).await;
    match result.unwrap_or_else(|error| Err(ApiError::Task(error).into())) {
        Ok(answer) => extract::json(StatusCode::OK, &answer),
        Err(problem) => problem.into_response(),
    }
}
