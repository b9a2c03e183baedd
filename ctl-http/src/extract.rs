//! Filters that take a request apart, and the two forms of an answer.

use std::future::poll_fn;
use std::pin::pin;
use std::str::FromStr;

use bytes::{Buf, BufMut, Bytes};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use tracing::error;
use warp::filters::BoxedFilter;
use warp::http::header::{CONTENT_TYPE, RETRY_AFTER};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection, Stream};

use crate::error::ApiError;

/// Largest body in bytes. The largest rule set that the protocol allows is about 130 KiB of JSON.
pub(crate) const MAX_BODY: usize = 4 << 20;
/// Bytes of a body that is read at once: some 50 µs.
const MAX_BODY_AT_ONCE: usize = 16 << 10;
/// How much of a body that is too large is read and thrown away, so that its sender gets to see the answer.
const MAX_DISCARDED: usize = 4 * MAX_BODY;

/// Matches one path segment, which may have percent escapes.
pub(crate) fn segment(name: &'static str) -> BoxedFilter<()> {
    decoded_segment()
        .and_then(move |segment: String| async move {
            if segment == name { Ok(()) } else { Err(warp::reject::not_found()) }
        })
        .untuple_one()
        .boxed()
}

/// Extracts one path segment; one that cannot be read belongs to another route or to none.
pub(crate) fn param<T: FromStr + Send + 'static>() -> BoxedFilter<(T,)> {
    decoded_segment()
        .and_then(async |segment: String| segment.parse().map_err(|_| warp::reject::not_found()))
        .boxed()
}

fn decoded_segment() -> impl Filter<Extract = (String,), Error = Rejection> + Copy {
    warp::path::param()
        .and_then(async |segment: String| percent_decode(&segment).ok_or_else(warp::reject::not_found))
}

/// Returns text without its percent escapes; `None` if an escape is broken or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Matches the end of the path, after at most one slash, and a reading method. HEAD is like GET: the server
/// leaves the body out.
pub(crate) fn reading() -> BoxedFilter<()> {
    warp::path::end().and(warp::get().or(warp::head()).unify()).boxed()
}

/// Matches the end of the path and a writing method; extracts the body, which may have failed to arrive.
pub(crate) fn writing() -> BoxedFilter<(Result<Vec<u8>, ApiError>,)> {
    warp::path::end().and(warp::post().or(warp::put()).unify()).and(body()).boxed()
}

/// Extracts the body, which may have failed to arrive. `Content-Type` and `Content-Length` are not looked at.
pub(crate) fn body() -> BoxedFilter<(Result<Vec<u8>, ApiError>,)> {
    warp::body::stream().then(async |body| collect(body).await).boxed()
}

/// Matches the end of the path and the method DELETE.
pub(crate) fn deleting() -> BoxedFilter<()> {
    warp::path::end().and(warp::delete()).boxed()
}

async fn collect(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, ApiError> {
    let mut body = pin!(body);
    let mut collected = Vec::new();
    let mut total = 0;
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk.map_err(ApiError::Body)?;
        total += chunk.remaining();
        if total <= MAX_BODY {
            collected.put(chunk);
        } else if total <= MAX_DISCARDED {
            collected = Vec::new();
        } else {
            break;
        }
    }
    if total <= MAX_BODY { Ok(collected) } else { Err(ApiError::TooLarge) }
}

/// Reads a body: nothing counts as `{}`, and so does a JSON value that is not an object.
pub(crate) fn parse_body(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let value: Value = serde_json::from_slice(body).map_err(ApiError::Json)?;
    Ok(if let Value::Object(fields) = value { fields } else { Map::new() })
}

/// The same where [`read_with`] does it.
pub(crate) async fn read_body(body: Vec<u8>) -> Result<Map<String, Value>, ApiError> {
    read_with(body, |body| parse_body(&body)).await
}

/// Reads a body on a runtime's thread, which others wait for, if it is short; else on one of its own.
pub(crate) async fn read_with<T: Send + 'static, E: From<ApiError> + Send + 'static>(
    body: Vec<u8>,
    read: impl FnOnce(Vec<u8>) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    if body.len() <= MAX_BODY_AT_ONCE {
        read(body)
    } else {
        spawn_blocking(move || read(body)).await.map_err(ApiError::Task)?
    }
}

pub(crate) const JSON: &str = "application/json";

/// Returns an answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_as(JSON, status, body)
}

/// Returns an answer with a JSON body of this media type.
pub(crate) fn json_as(media_type: &'static str, status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(body) else {
        error!("answer cannot be written as JSON"); // only a map with keys other than text could
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    written(media_type, status, body)
}

/// Returns an answer with a body that is written already.
pub(crate) fn written(media_type: &'static str, status: StatusCode, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    of_type(media_type, response)
}

/// Says of which media type the body is.
pub(crate) fn of_type(media_type: &'static str, mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Adds to an answer after how many seconds the client may try again.
pub(crate) fn come_back(mut response: Response, seconds: Option<u32>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Returns an answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percent_escapes_are_decoded() {
        assert_eq!(percent_decode("%63ontroll%65r").as_deref(), Some("controller"));
        for text in ["%", "%6", "%zz", "%ff"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
    }

    #[test]
    fn body_that_is_no_object_has_no_fields() {
        for body in ["", " \r\n", "[]", "null", "\"x\"", "12", "{}", "\u{feff}{}"] {
            assert_eq!(parse_body(body.as_bytes()).unwrap(), Map::new(), "{body}");
        }
    }

    #[test]
    fn last_of_two_equal_keys_wins() {
        let fields = parse_body(br#"{"name":"first","name":"second"}"#).unwrap();
        assert_eq!(fields.get("name"), Some(&Value::from("second")));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_decoded_or_refused(text in ".*") {
            let _ = percent_decode(&text);
        }

        #[test]
        fn arbitrary_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse_body(&body));
        }
    }
}
