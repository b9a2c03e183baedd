//! `/api/v2`: typed and strict, with errors that say where in the body they are (`docs/api-v2.md`).
//!
//! [`endpoints`] is the table of what is served and documented. A handler takes a [`Request`] and returns an [`Answer`]
//! or a [`Problem`]; the one filter here is all that knows of warp.

mod audit;
mod backups;
mod bulk;
mod change;
mod cursor;
mod dry_run;
mod endpoint;
mod endpoints;
mod etag;
mod events;
mod join;
mod log_level;
mod member;
mod member_page;
mod member_record;
mod network;
mod network_change;
mod network_record;
mod node;
mod openapi;
mod page;
mod pending;
pub(crate) mod problem;
mod request;
mod rules;
mod schema;
mod settings;
pub(crate) mod strict;
mod text;
mod tokens;
mod webhooks;
mod wording;

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::ALLOW;
use warp::http::{HeaderMap, HeaderValue, Method};
use warp::path::FullPath;
use warp::reply::Response;

use crate::error::ApiError;
use crate::extract::body;
use crate::{Shared, State, with};
use endpoint::{Deed, Endpoint};
use endpoints::ENDPOINTS;
use problem::Problem;
use request::{Answer, Request};

pub(crate) use page::{document, page, script, style};

/// Returns the one route to every endpoint.
pub(crate) fn route(state: Shared) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and_then(async |method: Method, path: FullPath| {
            find(&method, path.as_str()).ok_or_else(warp::reject::not_found)
        })
        .and(query)
        .and(warp::header::headers_cloned())
        .and(body())
        .and(with(state))
        .then(async |found, query: String, headers: HeaderMap, body, state: Shared| {
            answer(found, &query, &headers, body, state).await
        })
        .boxed()
}

/// What a path leads to.
enum Route {
    Found(&'static Endpoint, Vec<String>),
    /// The path is one of ours, but takes only these methods.
    OtherMethod(String),
    /// Nothing is there.
    Nothing,
}

/// Returns what a request leads to; `None` if it is not for this API.
fn find(method: &Method, path: &str) -> Option<Route> {
    let segments = endpoint::segments(path)?;
    if segments.first().map(String::as_str) != Some("api")
        || segments.get(1).map(String::as_str) != Some("v2")
    {
        return None;
    }
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let mut allowed: Vec<&str> = Vec::new();
    let here = || ENDPOINTS.iter().filter(|endpoint| endpoint.matched(&segments).is_some());
    // A path with a fixed name comes before one that takes any: `member/bulk` is no member.
    let path = here().map(|endpoint| endpoint.path).min_by_key(|path| path.matches('{').count());
    for endpoint in here().filter(|endpoint| Some(endpoint.path) == path) {
        if endpoint.method == *method {
            return Some(Route::Found(endpoint, endpoint.matched(&segments)?));
        }
        allowed.push(endpoint.method.as_str());
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    Some(if allowed.is_empty() { Route::Nothing } else { Route::OtherMethod(allowed.join(", ")) })
}

async fn answer(
    route: Route,
    query: &str,
    headers: &HeaderMap,
    body: Result<Vec<u8>, ApiError>,
    state: Arc<State>,
) -> Response {
    let (endpoint, segments) = match route {
        Route::Found(endpoint, segments) => (endpoint, segments),
        Route::Nothing => return Problem::not_found("there is nothing at this path").into_response(),
        Route::OtherMethod(allowed) => {
            let mut response = Problem::method_not_allowed(&allowed).into_response();
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
    };
    let request = match Request::read(endpoint, segments, query, headers, body) {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let turn = if (endpoint.is_heavy)(&request) { Some(state.heavy.turn().await) } else { None };
    let turn = match turn.transpose() {
        Ok(turn) => turn,
        Err(error) => return Problem::from(ApiError::TooHeavy(error)).into_response(),
    };
    let result = match endpoint.deed {
        Deed::Waits(wait) => wait(state, request).await,
        Deed::Blocks(handle) => {
            let handle = move || {
                let result = handle(&state, request);
                drop(turn);
                result
            };
            let result = tokio::task::spawn_blocking(handle).await;
            result.unwrap_or_else(|error| Err(ApiError::Task(error).into()))
        }
    };
    match result {
        Ok(answer) => Answer::into_response(answer),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is documented is made from what is served, so what is left to show is that nothing hides anything else.
    #[test]
    fn every_endpoint_is_found_at_its_own_path() {
        let mut names = BTreeSet::new();
        for endpoint in ENDPOINTS.iter() {
            assert!(names.insert(endpoint.name), "{} is there twice", endpoint.name);
            let path = endpoint
                .path
                .replace("{network}", "a940ad429a0000f1")
                .replace("{member}", "0123456789")
                .replace("{peer}", "0123456789")
                .replace("{name}", "robot")
                .replace("{backup}", "newest")
                .replace("{webhook}", "ae76d4c0-c94e-4025-a648-2c504eb90e3c");
            let Some(Route::Found(found, _)) = find(&endpoint.method, &path) else { panic!("{path}") };
            assert_eq!(found.name, endpoint.name);
        }
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn what_reads_a_whole_network_or_compiles_waits_for_its_turn() {
        let (network, rules) = ("/api/v2/network/a940ad429a0000f1", "/api/v2/network/a940ad429a0000f1/rules");
        let members = format!("{network}/member");
        for (method, path, query, expected) in [
            ("POST", "/api/v2/rules/compile", "", true),
            ("POST", "/api/v2/rules/format", "", true),
            ("POST", "/api/v2/rules/decompile", "", true),
            ("GET", rules, "", false),
            ("PUT", rules, "", true),
            ("POST", &format!("{rules}/test"), "", true),
            ("POST", &format!("{rules}/explain"), "", true),
            ("PATCH", network, "", false),
            ("PATCH", network, "dryRun", true),
            ("GET", &members, "limit=5&cursor=x", false),
            ("GET", &members, "authorized=true", true),
            ("GET", &members, "sort=name", true),
            ("PATCH", &format!("{members}/0123456789"), "", false),
        ] {
            let Some(Route::Found(endpoint, segments)) = find(&method.parse().unwrap(), path) else {
                panic!("{path}")
            };
            let request = Request::read(endpoint, segments, query, &HeaderMap::new(), Ok(Vec::new()));
            assert_eq!((endpoint.is_heavy)(&request.unwrap()), expected, "{method} {path}?{query}");
        }
    }

    #[test]
    fn document_has_every_endpoint_and_nothing_else() {
        let document = openapi::document(&ENDPOINTS);
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<_> = ENDPOINTS
            .iter()
            .map(|endpoint| (endpoint.path.to_owned(), endpoint.method.to_string()))
            .collect();
        assert_eq!(documented, served);
    }

    /// A reference to a schema that is not there breaks every reader of the document.
    #[test]
    fn document_refers_only_to_what_it_has() {
        let document = openapi::document(&ENDPOINTS);
        let text = document.to_string();
        let mut count = 0;
        for rest in text.split("\"$ref\":\"#").skip(1) {
            let pointer = rest.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
