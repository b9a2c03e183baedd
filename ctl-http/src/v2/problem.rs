//! Errors of `/api/v2`: `application/problem+json` (RFC 9457).

use ctl_core::record::{FieldError, cut_to};
use ctl_store::StoreError;
use serde_json::{Map, Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use crate::access::Forbidden;
use crate::access::tokens::TokenError;
use crate::error::ApiError;
use crate::extract;
use crate::gate;
use crate::status::NodeEnded;

pub(crate) use ctl_core::record::cut;

/// Most errors that an answer lists: a body of megabytes can have millions.
pub(crate) const MAX_ERRORS: usize = 100;
/// How many errors `detail` repeats.
const MAX_DETAILS: usize = 10;
/// Where sentences and pointers that contain texts of a request are cut, in characters.
const MAX_SENTENCE: usize = 400;

/// Cuts a sentence that may quote what a request brought.
pub(crate) fn cut_sentence(text: &str) -> String {
    cut_to(text, MAX_SENTENCE)
}

/// What is wrong with a request, for a person and for a program.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The last part of `type`.
    kind: &'static str,
    title: &'static str,
    detail: String,
    /// Each with `detail`, and with `pointer` if it lies in the body.
    errors: Vec<Value>,
    /// Further members.
    more: Map<String, Value>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    pub(crate) const MEDIA_TYPE: &'static str = "application/problem+json";

    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self { status, kind, title, detail, errors: Vec::new(), more: Map::new(), retry_after_seconds: None }
    }

    /// The body is JSON, but cannot be used: 422.
    pub(crate) fn unusable(kind: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail)
    }

    /// There is no such thing: 404.
    pub(crate) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found", detail.to_owned())
    }

    /// There are too many of these already: 503, for a while.
    pub(crate) fn busy(detail: String) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many already", detail);
        Self { retry_after_seconds: Some(30), ..problem }
    }

    /// Something else is going on that keeps this from being done: 409.
    pub(crate) fn conflict(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "conflict", detail)
    }

    /// Something outside of the program keeps this from being done: 503.
    pub(crate) fn unavailable(kind: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail)
    }

    /// The path takes other methods: 405.
    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let detail = format!("expected one of {allowed}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "the path takes other methods",
            detail,
        )
    }

    /// The record is not what the client believes: 412.
    pub(crate) fn precondition_failed(detail: String) -> Self {
        let title = "the record was changed meanwhile";
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", title, detail)
    }

    /// A parameter of the query cannot be used: 422.
    pub(crate) fn query(parameter: &str, detail: String) -> Self {
        let error = json!({ "parameter": cut(parameter), "detail": cut_sentence(&detail) });
        let sentence = cut_sentence(&format!("{parameter}: {detail}"));
        Self::unusable("invalid-query", "the query cannot be used", sentence).with_errors(vec![error])
    }

    /// Something went wrong that is not the client's fault, and was logged: 500.
    pub(crate) fn internal() -> Self {
        let detail = "the log of the controller says more".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", detail)
    }

    /// Some fields cannot be used: 422.
    pub(crate) fn fields(invalid: Vec<Invalid>) -> Self {
        let mut details: Vec<_> = invalid.iter().take(MAX_DETAILS).map(Invalid::to_string).collect();
        if invalid.len() > MAX_DETAILS {
            details.push("and more".to_owned());
        }
        let errors = invalid
            .into_iter()
            .map(|Invalid { pointer, detail }| json!({ "pointer": pointer, "detail": detail }));
        Self::unusable("invalid-fields", "the body has fields that cannot be used", details.join("; "))
            .with_errors(errors.collect())
    }

    pub(crate) fn with_errors(mut self, errors: Vec<Value>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the pointers of the errors.
    #[cfg(test)]
    pub(crate) fn pointers(&self) -> Vec<String> {
        let pointers = self.errors.iter().filter_map(|error| error["pointer"].as_str());
        pointers.map(str::to_owned).collect()
    }

    pub(crate) fn into_response(self) -> Response {
        let Self { status, kind, title, detail, errors, more, retry_after_seconds } = self;
        let mut body = json!({
            "type": format!("urn:ctl-bin:problem:{kind}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        if let Value::Object(fields) = &mut body {
            if !errors.is_empty() {
                fields.insert("errors".to_owned(), errors.into());
            }
            fields.extend(more);
            if let Some(id) = gate::request_id() {
                fields.insert("requestId".to_owned(), id.into());
            }
        }
        extract::come_back(extract::json_as(Self::MEDIA_TYPE, status, &body), retry_after_seconds)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match &error {
            ApiError::NotFound => Self::not_found("there is no network with this id"),
            ApiError::AddressTaken { .. } => {
                let title = "another member has the address";
                Self::new(error.status(), "address-taken", title, error.to_string())
                    .with_errors(vec![json!({ "pointer": "/ipAssignments", "detail": error.to_string() })])
            }
            ApiError::Field(field) => Self::fields(vec![field.into()]),
            ApiError::Unauthorized(_) => {
                let detail =
                    "the request has no token that is valid, or comes from where none may come".to_owned();
                Self::new(error.status(), "unauthorized", "not authorized", detail)
            }
            ApiError::TooManyFailures { .. } => {
                let problem = Self::new(
                    error.status(),
                    "too-many-failures",
                    "too many wrong tokens",
                    error.to_string(),
                );
                Self { retry_after_seconds: error.retry_after_seconds(), ..problem }
            }
            ApiError::TooHeavy(_) => {
                let problem = Self::new(error.status(), "busy", "too many already", error.to_string());
                Self { retry_after_seconds: error.retry_after_seconds(), ..problem }
            }
            ApiError::Stopping(_) => {
                let problem = Self::unavailable("stopping", "the controller stops", error.to_string());
                Self { retry_after_seconds: error.retry_after_seconds(), ..problem }
            }
            ApiError::Forbidden(_) => {
                Self::new(error.status(), "forbidden", "not allowed", error.to_string())
            }
            ApiError::Token(TokenError::Unknown(_)) => {
                Self::new(error.status(), "not-found", "not found", error.to_string())
            }
            ApiError::Token(_) => Self::new(error.status(), "conflict", "conflict", error.to_string()),
            ApiError::UriTooLong
            | ApiError::Json(_)
            | ApiError::Body(_)
            | ApiError::TooLarge
            | ApiError::Unusable(_)
            | ApiError::RuleTests(_)
            | ApiError::RuleTestsLost(_)
            | ApiError::Contended
            | ApiError::ForeignNetwork { .. }
            | ApiError::NoMember(_)
            | ApiError::NoFreeId => {
                Self::new(error.status(), "bad-request", "the request cannot be done", error.to_string())
            }
            ApiError::Store(_) | ApiError::Task(_) | ApiError::BrokenOff => {
                error.log();
                let unknown =
                    || ("internal", "internal error", "the log of the controller says more".to_owned());
                let outage = |cause| ("storage", "the database cannot do this at the moment", cause);
                let (kind, title, detail) = error.public_cause().map_or_else(unknown, outage);
                let retry_after_seconds = error.retry_after_seconds();
                Self { retry_after_seconds, ..Self::new(error.status(), kind, title, detail) }
            }
        }
    }
}

impl From<Forbidden> for Problem {
    fn from(error: Forbidden) -> Self {
        ApiError::from(error).into()
    }
}

impl From<NodeEnded> for Problem {
    fn from(error: NodeEnded) -> Self {
        ApiError::from(error).into()
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

/// A part of the body that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A JSON pointer; empty is the body itself.
    pub pointer: String,
    /// What was expected, and what came.
    pub detail: String,
}

impl Invalid {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: cut_sentence(&pointer.into()), detail: cut_sentence(&detail.into()) }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        write!(f, "{place}: {}", self.detail)
    }
}

impl From<&FieldError> for Invalid {
    fn from(error: &FieldError) -> Self {
        Self::new(error.pointer(), error.problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_error_is_cut() {
        let invalid = Invalid::new("/x".repeat(1 << 20), "y".repeat(1 << 20));
        assert!(invalid.to_string().len() < 1000);
    }
}
