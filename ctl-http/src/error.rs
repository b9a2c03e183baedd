//! What can go wrong with a request, and the answer to it (`http-api.md` §4).

use std::convert::Infallible;
use std::fmt::Write as _;

use ctl_core::record::FieldError;
use ctl_store::StoreError;
use serde_json::json;
use tracing::error;
use warp::Rejection;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::{Address, NetworkId};

use crate::access::Forbidden;
use crate::access::tokens::TokenError;
use crate::extract::{self, MAX_BODY};
use crate::gate::MAX_URI;
use crate::heavy::TooHeavy;
use crate::serve::BodyTimedOut;
use crate::status::NodeEnded;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// From an address or with a token that is not allowed; which path the request names does not matter.
    #[error("not authorized: {0}")]
    Unauthorized(&'static str),
    #[error("too many wrong tokens came from this address, expected none for {seconds} s")]
    TooManyFailures { seconds: u64 },
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the path with its query has more than {MAX_URI} bytes, expected at most {MAX_URI}")]
    UriTooLong,
    /// A token that is to be made is there already, or one that is to be changed is not.
    #[error(transparent)]
    Token(TokenError),
    /// A field of another API than that of 1.14 is not what it should be.
    #[error("{0}")]
    Unusable(String),
    /// There is no such network or member.
    #[error("not found")]
    NotFound,
    #[error("the body is not JSON: {0}")]
    Json(serde_json::Error),
    #[error("the body has more than {MAX_BODY} bytes, expected at most {MAX_BODY}")]
    TooLarge,
    #[error("the body ended early: {0}")]
    Body(warp::Error),
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(
        "network id: expected one that begins with {controller}, the address of this controller, got {got}"
    )]
    ForeignNetwork { controller: Address, got: String },
    #[error("member address: expected ten hexadecimal digits other than 0000000000, got {0}")]
    NoMember(Address),
    #[error(
        "ipAssignments: expected addresses that no other member of {network} has, got {ip}, which member {holder} has"
    )]
    AddressTaken { network: NetworkId, ip: String, holder: Address },
    /// A change of rules that fails the tests which the network requires.
    #[error("the change of rules was refused, as tests of the network fail: {0}")]
    RuleTests(String),
    /// A new source without tests of the stored one, which the network requires.
    #[error(
        "rulesSource: the network requires its tests, and this source {0}; tests are changed through \
         PUT /api/v2/network/{{network}}/rules"
    )]
    RuleTestsLost(String),
    /// Others were faster, again and again.
    #[error("the network was changed by others at the same time; send the request again")]
    Contended,
    /// Others take long, and too many wait.
    #[error(transparent)]
    TooHeavy(TooHeavy),
    /// There is no node to ask any more.
    #[error(transparent)]
    Stopping(#[from] NodeEnded),
    /// Every network id that was tried is in use.
    #[error("no free network id was found")]
    NoFreeId,
    #[error(transparent)]
    Store(StoreError),
    /// The work itself broke off.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    /// Likewise, in a queue of changes.
    #[error("the change broke off")]
    BrokenOff,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if let StoreError::AddressTaken { network, ip, holder } = error {
            Self::AddressTaken { network, ip: ip.to_string(), holder }
        } else {
            Self::Store(error)
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(error) => error.into(),
            TokenError::Exists(_) | TokenError::Unknown(_) | TokenError::TooMany => Self::Token(error),
        }
    }
}

impl ApiError {
    /// Returns the answer; logs an internal error.
    pub(crate) fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after_seconds();
        let description = match &self {
            Self::NotFound => return extract::empty(status),
            Self::Unauthorized(_) => return extract::json(status, &json!({})),
            Self::Store(_) | Self::Task(_) | Self::BrokenOff => {
                self.log();
                self.public_cause().unwrap_or_else(|| "internal error".to_owned())
            }
            Self::TooManyFailures { .. }
            | Self::Forbidden(_)
            | Self::UriTooLong
            | Self::Token(_)
            | Self::Json(_)
            | Self::Body(_)
            | Self::Field(_)
            | Self::Unusable(_)
            | Self::RuleTests(_)
            | Self::RuleTestsLost(_)
            | Self::Contended
            | Self::TooHeavy(_)
            | Self::Stopping(_)
            | Self::ForeignNetwork { .. }
            | Self::NoMember(_)
            | Self::TooLarge
            | Self::AddressTaken { .. }
            | Self::NoFreeId => self.to_string(),
        };
        let body = json!({ "error": status.as_u16(), "description": description });
        extract::come_back(extract::json(status, &body), retry_after)
    }

    /// Returns what the client may know of a fault that is not its own: whatever stands between it and the disk, but
    /// no detail of the program.
    pub(crate) fn public_cause(&self) -> Option<String> {
        let Self::Store(error) = self else { return None };
        (error.is_outage() || matches!(error, StoreError::Damaged { .. })).then(|| error.to_string())
    }

    /// Returns after how many seconds it is worth trying again, if that alone may help.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        if let Self::TooManyFailures { seconds } = self {
            return u32::try_from(*seconds).ok();
        }
        if let Self::TooHeavy(_) | Self::Stopping(_) = self {
            return Some(5);
        }
        let Self::Store(error) = self else { return None };
        let seconds = [
            (matches!(error, StoreError::Busy), 1),
            (matches!(error, StoreError::Locked), 5),
            (error.is_outage(), 30),
        ];
        seconds.into_iter().find_map(|(is_it, seconds)| is_it.then_some(seconds))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::NotFound | Self::Token(TokenError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Token(_) => StatusCode::CONFLICT,
            Self::Body(error) if is_late(error) => StatusCode::REQUEST_TIMEOUT,
            Self::Json(_)
            | Self::Body(_)
            | Self::Field(_)
            | Self::Unusable(_)
            | Self::RuleTests(_)
            | Self::RuleTestsLost(_)
            | Self::ForeignNetwork { .. }
            | Self::NoMember(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AddressTaken { .. } | Self::Contended => StatusCode::CONFLICT,
            Self::NoFreeId | Self::TooHeavy(_) | Self::Stopping(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(StoreError::DiskFull) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(error) if error.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Task(_) | Self::BrokenOff => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Logs what only the operator can do something about.
    pub(crate) fn log(&self) {
        error!(reason = %chain(self), "request failed");
    }
}

/// Says whether a body failed because it took too long.
fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<BodyTimedOut>() || error.source().is_some_and(is_late)
}

/// Returns an error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if write!(text, ": {error}").is_err() {
            break; // writing to a String does not fail
        }
        cause = error.source();
    }
    text
}

/// Answers what no route took: 404 without a body, whatever the method.
pub(crate) async fn rejected(_: Rejection) -> Result<Response, Infallible> {
    Ok(extract::empty(StatusCode::NOT_FOUND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::problem::Problem;

    /// An administrator who sees only the answer learns what to do, and a program when to try again.
    #[test]
    fn fault_of_the_disk_is_named_and_one_of_the_program_is_not() {
        let disk = || StoreError::Disk { what: "disk I/O error".to_owned() };
        let damaged = StoreError::Damaged { what: "member 0000000001, column identity".to_owned() };
        for (error, status, retry_after, cause) in [
            (StoreError::Busy, 503, Some("1"), "too many others wait for the database"),
            (StoreError::Locked, 503, Some("5"), "another program keeps the database locked"),
            (StoreError::DiskFull, 507, Some("30"), "the disk is full, nothing of the change was saved"),
            (StoreError::ReadOnly, 503, Some("30"), "the database cannot be written"),
            (disk(), 503, Some("30"), "the disk failed: disk I/O error"),
            (damaged, 500, None, "damaged record: member 0000000001"),
            (StoreError::Internal { what: "a detail".to_owned() }, 500, None, "internal error"),
        ] {
            let text = error.to_string();
            let api = ApiError::from(error);
            let description = api.public_cause().unwrap_or_else(|| "internal error".to_owned());
            assert!(description.starts_with(cause), "{description}");
            let response = api.into_response();
            assert_eq!(response.status().as_u16(), status, "{text}");
            let header =
                response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header.as_deref(), retry_after, "{text}");
        }
        let problem = Problem::from(ApiError::Store(disk())).into_response();
        assert_eq!((problem.status().as_u16(), problem.headers().contains_key("retry-after")), (503, true));
    }
}
