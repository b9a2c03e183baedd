//! What every request passes on its way to the routes, and every answer on its way back.
//!
//! The order is that of cost and of what may be learnt: size, source, browser, token, scope; only then is a body read.
//! So without a token an unknown path looks like a known one.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ctl_store::{StoreError, TokenHash};
use http_body::Body;
use tower_service::Service;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, debug_span, trace_span};
use warp::filters::BoxedFilter;
use warp::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use warp::http::request::Parts;
use warp::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use warp::reply::Response;
use zt_proto::Timestamp;

use crate::Api;
use crate::access::endpoints::{self, Demand, Need};
use crate::access::failures::Failures;
use crate::access::token::presented;
use crate::access::tokens::{Found, Secret, Uses, find};
use crate::access::{Access, Caller, is_allowed, origin};
use crate::error::ApiError;
use crate::extract;
use crate::v2::problem::Problem;

/// Longest path with query, in bytes, as in the original.
pub(crate) const MAX_URI: usize = 8192;
/// Longest request id that is taken over from a request.
const MAX_REQUEST_ID: usize = 64;

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// What a page may do unless its handler says otherwise: nothing from elsewhere.
const POLICY_OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a browser may do with an answer that is no page.
const POLICY_OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'";

tokio::task_local! {
    static REQUEST_ID: HeaderValue;
}

/// Returns the id of the request that is being answered, where that is known: not on a blocking thread.
pub(crate) fn request_id() -> Option<String> {
    let id = REQUEST_ID.try_with(|id| id.to_str().map(str::to_owned)).ok()?;
    id.ok()
}

/// Begins what is told of a request to who collects traces: never its query, which may have a token.
fn trace<B>(request: &Request<B>, id: &HeaderValue) -> Span {
    let (method, path) = (request.method(), request.uri().path());
    let span = trace_span!(
        target: crate::SPANS,
        "request",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = %method,
        http.response.status_code = Empty,
        http.route = Empty,
        url.path = path,
        id = id.to_str().unwrap_or_default(),
    );
    if !span.is_disabled() {
        // A name for each path would be one for each member.
        let route = endpoints::pattern(method, path).unwrap_or_default();
        span.record("http.route", route).record("otel.name", format!("{method} {route}").trim_end());
    }
    span
}

/// Stands before the routes.
pub(crate) struct Gate {
    api: Arc<Api>,
    routes: BoxedFilter<(Response,)>,
    failures: Mutex<Failures>,
    uses: Uses,
    /// The next request id.
    next_id: AtomicU64,
}

impl Gate {
    pub(crate) fn new(api: Arc<Api>, routes: BoxedFilter<(Response,)>) -> Self {
        // Milliseconds with room for a thousand requests in each, so that no restart gives an id again.
        let next_id = AtomicU64::new((api.now)().0 << 10);
        Self { api, routes, failures: Mutex::default(), uses: Uses::default(), next_id }
    }

    /// Answers a request from `remote`; without one it did not come over IP, which is local.
    pub(crate) async fn answer<B>(&self, remote: Option<IpAddr>, request: Request<B>) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let id = self.id_of(request.headers());
        let span = debug_span!("request", id = id.to_str().unwrap_or_default());
        let trace = trace(&request, &id);
        let answer = REQUEST_ID.scope(id.clone(), self.answer_with_id(remote, request)).instrument(span);
        let mut response = answer.instrument(trace.clone()).await;
        trace.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            trace.record("otel.status_code", "ERROR");
        }
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
        response
    }

    async fn answer_with_id<B>(&self, remote: Option<IpAddr>, request: Request<B>) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let access = Arc::clone(&self.api.access.borrow());
        let begin = self.now();
        let (mut parts, body) = request.into_parts();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let origin = origin::allowed_origin(&parts.headers, &access.allowed_origins);
        let admitted = self.admit(&access, &parts, remote).await;
        // The query may have a token, so it is never logged.
        let caller = admitted.as_ref().map_or("", |caller| caller.name.as_str()).to_owned();
        let mut response = match admitted {
            Ok(_) if origin.is_some() && origin::is_preflight(&method, &parts.headers) => {
                let mut response = extract::empty(StatusCode::NO_CONTENT);
                origin::allow_requests(response.headers_mut());
                response
            }
            Ok(caller) => {
                parts.extensions.insert(caller);
                let answer = warp::service(self.routes.clone()).call(Request::from_parts(parts, body)).await;
                answer.unwrap_or_else(|never| match never {})
            }
            Err(error) => {
                debug!(reason = %error, "request refused");
                let is_strict = path.starts_with("/api/v2/");
                if is_strict { Problem::from(error).into_response() } else { error.into_response() }
            }
        };
        if let Some(origin) = origin {
            origin::allow(origin, response.headers_mut());
        }
        harden(response.headers_mut());
        self.api.metrics.count_response(response.status());
        let (status, elapsed_ms) = (response.status().as_u16(), self.now().0.saturating_sub(begin.0));
        debug!(%method, path, token = caller, status, elapsed_ms, ?remote, "request answered");
        response
    }

    /// Says who asks, if that may be asked.
    async fn admit(
        &self,
        access: &Access,
        parts: &Parts,
        remote: Option<IpAddr>,
    ) -> Result<Arc<Caller>, ApiError> {
        let demand = Demand::of(&parts.method, parts.uri.path());
        if parts.uri.path_and_query().is_some_and(|text| text.as_str().len() > MAX_URI) {
            return Err(ApiError::UriTooLong);
        }
        if demand.need != Need::Metrics && remote.is_some_and(|ip| !self.allows_source(access, ip)) {
            return Err(ApiError::Unauthorized("neither loopback nor an allowed source"));
        }
        let is_preflight = origin::is_preflight(&parts.method, &parts.headers)
            && origin::allowed_origin(&parts.headers, &access.allowed_origins).is_some();
        let is_page = demand.need == Need::Page && wants_page(&parts.headers);
        if demand.need == Need::Nothing || is_preflight || is_page {
            return Ok(Arc::new(Caller::nobody()));
        }
        let caller = self.identify(access, parts, remote).await?;
        if demand.is_met_by(&caller) {
            Ok(caller)
        } else if caller.scope.is_none() {
            Err(ApiError::Unauthorized("the token is for metrics alone"))
        } else {
            Err(caller.forbidden().into())
        }
    }

    /// Says whether requests for more than `/metrics` are answered if they come from `ip`.
    pub(crate) fn answers(&self, ip: IpAddr) -> bool {
        self.allows_source(&self.api.access.borrow(), ip)
    }

    /// Says whether requests may come from `ip`: `local.conf` comes before what the program was told.
    fn allows_source(&self, access: &Access, ip: IpAddr) -> bool {
        let conf = self.api.local_conf.borrow();
        is_allowed(ip, conf.allowed_sources.as_ref().unwrap_or(&access.allowed_sources))
    }

    /// Finds out whose token a request has.
    ///
    /// Who presented too many wrong ones is not listened to at all, so that a right guess does not show. Loopback is
    /// another matter: behind a reverse proxy everybody comes from there, and a stranger must not lock the administrator
    /// out. There only wrong tokens are refused.
    async fn identify(
        &self,
        access: &Access,
        parts: &Parts,
        remote: Option<IpAddr>,
    ) -> Result<Arc<Caller>, ApiError> {
        let query = if access.allow_query_token { parts.uri.query() } else { None };
        let Some(presented) = presented(&parts.headers, query, parts.uri.path()) else {
            return Err(ApiError::Unauthorized("no token"));
        };
        let source = remote.unwrap_or(Ipv4Addr::LOCALHOST.into());
        if !source.to_canonical().is_loopback() {
            self.check_failures(source)?;
        }
        if access.token.is(&presented) {
            return Ok(Arc::new(Caller::root(access.token.clone())));
        }
        if let Some(token) = access.metrics_token.as_ref().filter(|token| token.is(&presented)) {
            return Ok(Arc::new(Caller::metrics(token.clone())));
        }
        if let Some(secret) = Secret::parse(&presented) {
            match self.find(secret.hash()).await? {
                Found::Valid(caller) => return Ok(Arc::new(caller)),
                // Whoever presents it had it once, so this is no guess.
                Found::Expired => return Err(ApiError::Unauthorized("expired token")),
                Found::Unknown => {}
            }
        }
        self.check_failures(source)?;
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).note(source, self.now());
        Err(ApiError::Unauthorized("wrong token"))
    }

    fn check_failures(&self, source: IpAddr) -> Result<(), ApiError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = failures.wait(source, self.now());
        wait.map_or(Ok(()), |millis| Err(ApiError::TooManyFailures { seconds: millis.div_ceil(1000) }))
    }

    async fn find(&self, hash: TokenHash) -> Result<Found, ApiError> {
        let (store, now) = (self.api.store.clone(), self.now());
        let found = tokio::task::spawn_blocking(move || store.read(|tx| find(tx, hash, now))).await??;
        if let (Found::Valid(_), true) = (&found.0, found.1) {
            self.uses.note(hash, now);
        }
        Ok(found.0)
    }

    /// Ends the requests that would never end by themselves.
    pub(crate) fn end_events(&self) {
        self.api.events.end();
    }

    /// Saves when tokens were last used.
    pub(crate) async fn save_uses(&self) -> Result<(), ApiError> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let store = self.api.store.clone();
        let save = move || {
            store.write(|tx| {
                uses.iter().try_for_each(|(hash, used)| tx.api_tokens().note_use(*hash, *used))?;
                Ok::<_, StoreError>(())
            })
        };
        Ok(tokio::task::spawn_blocking(save).await??)
    }

    fn now(&self) -> Timestamp {
        (self.api.now)()
    }

    /// Returns the id that the request has, if it is a sane one, else a new one.
    fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        let is_sane = |id: &&HeaderValue| {
            let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(sane)
        };
        headers.get(REQUEST_ID_HEADER).filter(is_sane).cloned().unwrap_or_else(|| {
            let id = format!("{:016x}", self.next_id.fetch_add(1, Ordering::Relaxed));
            HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none")) // hexadecimal digits fit
        })
    }
}

/// Says whether a browser wants something to show.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|media| media.trim().starts_with("text/html"))
}

/// Adds what keeps a browser from doing more with an answer than it should.
fn harden(headers: &mut HeaderMap) {
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
    let policy = if is_page { POLICY_OF_PAGES } else { POLICY_OF_DATA };
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, policy),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
