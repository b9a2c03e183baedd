//! The document of the API, and a page that shows it without asking anybody else.

use std::sync::LazyLock;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::endpoints::ENDPOINTS;
use super::openapi;
use crate::extract::{reading, segment, written};

/// The page loads its script and style from here, asks only here, and is shown in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// `GET /openapi.json`: the document of `/api/v2`, for everybody.
pub(crate) fn document() -> BoxedFilter<(Response,)> {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document(&ENDPOINTS).to_string());
    segment("openapi.json")
        .and(reading())
        .map(|| written("application/json", StatusCode::OK, DOCUMENT.clone().into_bytes()))
        .boxed()
}

/// `GET /docs`: the page, for everybody.
pub(crate) fn page() -> BoxedFilter<(Response,)> {
    segment("docs")
        .and(reading())
        .map(|| file("text/html; charset=utf-8", include_str!("page/page.html")))
        .boxed()
}

/// `GET /docs/page.js`: its script.
pub(crate) fn script() -> BoxedFilter<(Response,)> {
    segment("docs")
        .and(segment("page.js"))
        .and(reading())
        .map(|| file("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .boxed()
}

/// `GET /docs/page.css`: its style.
pub(crate) fn style() -> BoxedFilter<(Response,)> {
    segment("docs")
        .and(segment("page.css"))
        .and(reading())
        .map(|| file("text/css; charset=utf-8", include_str!("page/page.css")))
        .boxed()
}

fn file(media_type: &'static str, content: &'static str) -> Response {
    let mut response = Response::new(content.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
