//! A request and its answer, as the handlers of `/api/v2` see them: no framework, no connection.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::http::header::{ETAG, HeaderName, LOCATION};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;
use zt_proto::{Address, NetworkId};

use super::change::read_body;
use super::endpoint::Endpoint;
use super::etag::{Conditions, Version};
use super::problem::{Problem, cut};
use crate::error::ApiError;
use crate::extract::{self, JSON, percent_decode};
use crate::streamed::Chunks;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A request for one of the endpoints.
#[derive(Debug)]
pub(crate) struct Request {
    /// The segments of the path that the endpoint names in braces, in their order.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) conditions: Conditions,
    /// What a client that reads events had last.
    pub(crate) last_event_id: Option<String>,
    pub(crate) body: Result<Vec<u8>, ApiError>,
}

impl Request {
    /// Takes a request for `endpoint` apart.
    pub(crate) fn read(
        endpoint: &Endpoint,
        segments: Vec<String>,
        query: &str,
        headers: &HeaderMap,
        body: Result<Vec<u8>, ApiError>,
    ) -> Result<Self, Problem> {
        let query = Query::read(query, &endpoint.query_names())?;
        let last_event_id = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(Self { segments, query, conditions: Conditions::read(headers), last_event_id, body })
    }

    /// Returns the first segment: a network.
    pub(crate) fn network(&self) -> Result<NetworkId, Problem> {
        self.segment(0, "there is no network with this id, which is no network id")
    }

    /// Returns network and member.
    pub(crate) fn member(&self) -> Result<(NetworkId, Address), Problem> {
        Ok((self.network()?, self.segment(1, "there is no member with this address, which is no address")?))
    }

    pub(crate) fn segment<T: FromStr>(&self, place: usize, otherwise: &str) -> Result<T, Problem> {
        let segment = self.segments.get(place).and_then(|segment| segment.parse().ok());
        segment.ok_or_else(|| Problem::not_found(otherwise))
    }

    pub(crate) fn read_body<T: DeserializeOwned + JsonSchema>(&mut self) -> Result<T, Problem> {
        read_body(std::mem::replace(&mut self.body, Ok(Vec::new())))
    }

    /// Returns the body, which may have failed to arrive; once.
    pub(crate) fn take_body(&mut self) -> Result<Vec<u8>, ApiError> {
        std::mem::replace(&mut self.body, Ok(Vec::new()))
    }
}

/// The parameters of a query, each known and there once.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// # Errors
    /// 422 for a parameter that is not one of `known`: one that is misspelt must not do something else than what was
    /// meant.
    pub(crate) fn read(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name == "auth" {
                continue; // a token, which has been looked at
            }
            let Some(name) = decoded(name).filter(|name| known.contains(&name.as_str())) else {
                let expected =
                    if known.is_empty() { "none".to_owned() } else { format!("one of {}", known.join(", ")) };
                return Err(Problem::query(&cut(name), format!("unknown parameter, expected {expected}")));
            };
            let Some(value) = decoded(value) else {
                return Err(Problem::query(&name, "expected UTF-8 with percent escapes".to_owned()));
            };
            if values.contains_key(&name) {
                return Err(Problem::query(&name, "it is there twice, expected it once".to_owned()));
            }
            values.insert(name, value);
        }
        Ok(Self(values))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// Reads `true` or `false`; the name alone is true.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.parsed(name, "true or false", |text| match text {
            "" | "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// Reads a value that `read` understands, and `expected` describes.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let unexpected = || Problem::query(name, format!("expected {expected}, got {}", cut(text)));
        read(text).map(Some).ok_or_else(unexpected)
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode(&text.replace('+', " "))
}

/// What is answered when all went well.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Content,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Json(Vec<u8>),
    Stream(&'static str, Chunks),
}

impl Answer {
    /// 200 with a body.
    pub(crate) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::OK, headers: Vec::new(), body: Content::Json(to_json(body)?) })
    }

    /// 200 with a body that comes in parts.
    pub(crate) fn stream(media_type: &'static str, chunks: Chunks) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Content::Stream(media_type, chunks) }
    }

    /// 204: done, and nothing to say.
    pub(crate) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Content::Nothing }
    }

    /// 200 with a record and its entity tag.
    pub(crate) fn record(body: &impl Serialize, version: Version) -> Result<Self, Problem> {
        let body = to_json(body)?;
        let headers = vec![(ETAG, version.tag(&body))];
        Ok(Self { status: StatusCode::OK, headers, body: Content::Json(body) })
    }

    /// Adds a header, of plain ASCII.
    pub(crate) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Makes it 201: the record is new, and found at `path`.
    pub(crate) fn created(mut self, path: String) -> Self {
        self.status = StatusCode::CREATED;
        self.with(LOCATION, path)
    }

    /// Makes it 304 if the client has this record already.
    pub(crate) fn unless_known(mut self, conditions: &Conditions) -> Self {
        let tag = self.headers.iter().find(|(name, _)| name == ETAG);
        if tag.is_some_and(|(_, tag)| conditions.is_known(tag)) {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = Content::Nothing;
        }
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.body {
            Content::Json(body) => extract::written(JSON, self.status, body),
            Content::Nothing => extract::empty(self.status),
            Content::Stream(media_type, chunks) => extract::of_type(media_type, chunks.into_response()),
        };
        for (name, value) in self.headers {
            // Tags and paths are plain ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|_| Problem::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_query_is_refused() {
        for (query, expected) in [
            ("", Some(None)),
            ("dryRun=true", Some(Some(true))),
            ("auth=x&dryRun", Some(Some(true))),
            ("dry%52un=%74rue", Some(Some(true))),
            ("dryRun=false", Some(Some(false))),
            ("dryrun=true", None),
            ("dryRun=yes", None),
            ("dryRun=true&dryRun=false", None),
            ("dryRun&dryRun", None),
            ("dryRun=%ff", None),
            ("%zz", None),
            ("x", None),
        ] {
            let read = Query::read(query, &["dryRun"]).and_then(|query| query.flag("dryRun"));
            assert_eq!(read.ok(), expected, "{query}");
        }
    }

    #[test]
    fn number_out_of_range_is_refused() {
        let read = |query| Query::read(query, &["limit"]).and_then(|query| query.number("limit", 1..=500));
        assert_eq!(read("limit=500").ok(), Some(Some(500)));
        for query in ["limit=0", "limit=501", "limit=", "limit=-1", "limit=1.0", "limit=99999999999999999999"]
        {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
