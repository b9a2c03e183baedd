//! The web console: a page for people, on the same API as everything else.
//!
//! Its files are part of the program and need nothing from elsewhere. They hold no secret and are shown without a
//! token; the page asks for one, keeps it in the tab, and sends it as a header, so that no other page can use it.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use crate::extract::{empty, segment};

/// Nothing but this page's own files, no inline script, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the console.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

macro_rules! files {
    ($($name:literal: $media_type:expr),* $(,)?) => {
        &[$(File { name: $name, media_type: $media_type, content: include_str!(concat!("files/", $name)) }),*]
    };
}

const FILES: &[File] = files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": PICTURE,
    "about.js": SCRIPT,
    "address.js": SCRIPT,
    "addresses.js": SCRIPT,
    "api.js": SCRIPT,
    "ask.js": SCRIPT,
    "audit.js": SCRIPT,
    "backups.js": SCRIPT,
    "changes.js": SCRIPT,
    "charts.js": SCRIPT,
    "dashboard.js": SCRIPT,
    "diff.js": SCRIPT,
    "dom.js": SCRIPT,
    "editor.js": SCRIPT,
    "explain.js": SCRIPT,
    "fields.js": SCRIPT,
    "format.js": SCRIPT,
    "frame.js": SCRIPT,
    "highlight.js": SCRIPT,
    "icons.js": SCRIPT,
    "join.js": SCRIPT,
    "listing.js": SCRIPT,
    "live.js": SCRIPT,
    "log-in.js": SCRIPT,
    "main.js": SCRIPT,
    "member.js": SCRIPT,
    "members.js": SCRIPT,
    "network.js": SCRIPT,
    "networks.js": SCRIPT,
    "peers.js": SCRIPT,
    "planet.js": SCRIPT,
    "rules.js": SCRIPT,
    "settings.js": SCRIPT,
    "standing.js": SCRIPT,
    "table.js": SCRIPT,
    "tokens.js": SCRIPT,
    "unsaved.js": SCRIPT,
    "webhooks.js": SCRIPT,
};

/// `GET /console/` and below: the files of the console.
pub(crate) fn files() -> BoxedFilter<(Response,)> {
    segment("console")
        .and(warp::path::full())
        .and(warp::path::tail())
        .and(warp::get().or(warp::head()).unify())
        .map(|full: warp::path::FullPath, tail: warp::path::Tail| match tail.as_str() {
            // Without the slash, the page's relative names would not lead below it.
            "" if !full.as_str().ends_with('/') => elsewhere(),
            "" => show("index.html"),
            name => show(name),
        })
        .boxed()
}

/// `GET /` of a browser leads to the console; to everybody else it is an unknown path, as in the original.
pub(crate) fn from_root() -> BoxedFilter<(Response,)> {
    warp::path::end()
        .and(warp::get())
        .and(warp::header::header(ACCEPT.as_str()))
        .and_then(async |accept: String| {
            let is_browser = accept.split(',').any(|media_type| media_type.trim().starts_with("text/html"));
            if is_browser { Ok(elsewhere()) } else { Err(warp::reject::not_found()) }
        })
        .boxed()
}

fn elsewhere() -> Response {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/console/"));
    response
}

fn show(name: &str) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let mut response = Response::new(file.content.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Another release of the program has other files under the same names.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
