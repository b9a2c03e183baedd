//! JSON API of a ZeroTier network controller, as release 1.14 has it (`http-api.md`).
//!
//! [`serve`] is everything: connections, then the gate that every request passes (source, token, scope), then the routes,
//! one warp filter over a [`Store`] and what the node publishes of itself. Every handler reads, calls the store in one
//! transaction, and renders. Whatever was committed is sent as a [`Change`]; this crate never learns
//! who listens. Departures from the original are listed in `docs/api-compat.md`.

mod access;
pub mod backups;
mod central;
mod console;
mod edit;
mod error;
pub mod events;
mod extract;
mod gate;
mod heavy;
pub mod local_conf;
pub mod log_levels;
mod member;
pub mod metrics;
mod network;
mod outbox;
mod peer;
mod rendered;
mod rule_tests;
mod secrets;
mod serve;
pub mod settings;
pub mod status;
mod streamed;
mod v2;
pub mod view;
pub mod webhooks;
mod write;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use ctl_core::Change;
use ctl_store::Store;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::{Address, Timestamp};

pub use access::origin::{Origin, OriginError};
pub use access::scope::{Grant, Level, MAX_GRANTS, Scope, ScopeError};
pub use access::token::{EmptyToken, Token};
pub use access::{Access, tokens};
pub use backups::Backups;
pub use events::Events;
pub use local_conf::LocalConf;
pub use log_levels::LogLevels;
pub use metrics::Metrics;
pub use serve::{Limits, Serving};
pub use settings::{Setting, SettingSource};
pub use status::{FlowStatus, NodeEnded, NodeStatus, PathStatus, PeerRole, PeerStatus, Peers, PlanetStatus};

use access::Caller;
use error::ApiError;
use gate::Gate;
use heavy::Heavy;
use outbox::Outbox;
use rendered::Rendered;

/// The target of spans that are for who collects traces, and for no log; all of level TRACE.
pub const SPANS: &str = "ctl_traces";

/// What the API needs.
#[derive(Clone)]
pub struct Api {
    pub store: Store,
    /// Address of this controller, with which the ids of its networks begin.
    pub controller: Address,
    /// Who may ask; the newest one counts.
    pub access: watch::Receiver<Arc<Access>>,
    /// Whether there are the endpoints of a controller at all.
    pub serves_networks: bool,
    pub metrics: Metrics,
    /// The file `local.conf` of the home.
    pub local_conf: watch::Receiver<Arc<LocalConf>>,
    pub node: watch::Receiver<Arc<NodeStatus>>,
    pub peers: Arc<dyn Peers>,
    /// Gets every committed change, in the order of the commits. Unbounded, since a full queue would block the API. It stays
    /// short: a transaction on disk, whose end brings one change or up to a thousand, takes longer than to follow them
    /// together.
    pub changes: mpsc::UnboundedSender<Change>,
    /// Gets what happened through the API, and has what happened elsewhere.
    pub events: Events,
    pub backups: Arc<dyn Backups>,
    pub log_levels: Arc<dyn LogLevels>,
    /// What the program was told.
    pub settings: watch::Receiver<Arc<[Setting]>>,
    /// Returns the QR code of a text, an SVG picture; `None` if the text is too long for one.
    pub qr_code: fn(&str) -> Option<String>,
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Bits that nobody can guess, for ids of networks and for tokens.
    pub random: Arc<dyn Fn() -> u32 + Send + Sync>,
}

/// Returns all routes. What none of them takes is 404 without a body, whatever the method.
fn routes(api: &Arc<Api>) -> BoxedFilter<(Response,)> {
    let outbox = Arc::new(Outbox::new(api.changes.clone(), api.events.clone()));
    let (caller, rendered) = (Arc::new(Caller::nobody()), Arc::default());
    let state = Arc::new(State { outbox, api: Arc::clone(api), rendered, heavy: Heavy::default(), caller });
    let of_node = first_of([
        status::health(Arc::clone(&state)),
        status::live(Arc::clone(&state)),
        status::ready(Arc::clone(&state)),
        status::status(Arc::clone(&state)),
        peer::list(Arc::clone(&state)),
        peer::get(Arc::clone(&state)),
        status::joined_networks(),
        status::joined_network(),
        status::leave_network(),
        status::moons(Arc::clone(&state)),
        status::moon(Arc::clone(&state)),
        local_conf::get(Arc::clone(&state)),
        metrics::get(Arc::clone(&state)),
    ]);
    let of_controller = first_of([
        status::controller(Arc::clone(&state)),
        network::list(Arc::clone(&state)),
        network::create(Arc::clone(&state)),
        network::create_below(Arc::clone(&state)),
        network::get(Arc::clone(&state)),
        network::update(Arc::clone(&state)),
        network::remove(Arc::clone(&state)),
        network::list_in_full(Arc::clone(&state)),
        member::list(Arc::clone(&state)),
        member::get(Arc::clone(&state)),
        member::update(Arc::clone(&state)),
        member::remove(Arc::clone(&state)),
        member::list_in_full(Arc::clone(&state)),
        member::active(Arc::clone(&state)),
        console::files(),
        console::from_root(),
        v2::document(),
        v2::page(),
        v2::script(),
        v2::style(),
    ]);
    // What only a root is has no networks, and says of their paths what it says of unknown ones.
    let of_central = first_of(central::routes(&state));
    let all = if state.api.serves_networks {
        of_node
            .or(of_controller)
            .unify()
            .or(v2::route(Arc::clone(&state)))
            .unify()
            .or(of_central)
            .unify()
            .boxed()
    } else {
        of_node
    };
    all.recover(error::rejected).unify().boxed()
}

/// Serves the API to the connections of `listener` until `shutdown` completes, then finishes the open requests.
///
/// Source address and token are checked before anything else, so that without them an unknown path looks like a
/// known one; `/health`, what is below it, the document of `/api/v2` and the files of the console need no token.
pub async fn serve(
    api: Api,
    listener: TcpListener,
    serving: Serving,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let api = Arc::new(api);
    let gate = Gate::new(Arc::clone(&api), routes(&api));
    serve::run(gate, listener, serving, shutdown).await;
}

/// Returns a filter that tries routes in their order.
fn first_of(routes: impl IntoIterator<Item = BoxedFilter<(Response,)>>) -> BoxedFilter<(Response,)> {
    let none = warp::any().and_then(async || Err::<Response, _>(warp::reject::not_found())).boxed();
    routes.into_iter().fold(none, |first, next| first.or(next).unify().boxed())
}

/// What a handler has: the same for all, but for who asks.
struct State {
    api: Arc<Api>,
    outbox: Arc<Outbox>,
    rendered: Arc<Rendered>,
    heavy: Heavy,
    caller: Arc<Caller>,
}

type Shared = Arc<State>;

/// Tries a change that was judged outside of its transaction until it meets what was judged, but not for ever.
fn settle<T, E>(mut attempt: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    const MAX_ATTEMPTS: usize = 3;
    for _ in 0..MAX_ATTEMPTS {
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
    }
    Ok(None)
}

/// Extracts the state, with who asks.
fn with(state: Shared) -> impl Filter<Extract = (Shared,), Error = Infallible> + Clone {
    warp::ext::optional().map(move |caller: Option<Arc<Caller>>| {
        let caller = caller.unwrap_or_else(|| Arc::clone(&state.caller));
        let State { api, outbox, rendered, heavy, .. } = &*state;
        let (api, outbox, rendered) = (Arc::clone(api), Arc::clone(outbox), Arc::clone(rendered));
        Arc::new(State { api, outbox, rendered, heavy: heavy.clone(), caller })
    })
}

/// Runs `work`, which takes much time or memory, when it is its turn.
async fn respond_in_turn<T: Serialize + Send + 'static>(
    heavy: &Heavy,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Response {
    match heavy.turn().await {
        Ok(turn) => {
            respond(move || {
                let _turn = turn;
                work()
            })
            .await
        }
        Err(error) => ApiError::TooHeavy(error).into_response(),
    }
}

/// Runs `work` where it may block, and renders there what it returns.
async fn respond<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Response {
    let answered = tokio::task::spawn_blocking(|| answer(work())).await;
    answered.unwrap_or_else(|error| ApiError::Task(error).into_response())
}

/// Renders what was done, or why it was not.
fn answer(result: Result<impl Serialize, ApiError>) -> Response {
    match result {
        Ok(body) => extract::json(StatusCode::OK, &body),
        Err(error) => error.into_response(),
    }
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_that_always_comes_too_late_is_given_up() {
        let mut attempts = 0;
        let late = settle(|| {
            attempts += 1;
            Ok::<Option<()>, ()>(None)
        });
        assert_eq!((late, attempts), (Ok(None), 3));
        let mut outcomes = [None, Some(7)].into_iter();
        assert_eq!(settle(|| Ok::<_, ()>(outcomes.next().unwrap())), Ok(Some(7)));
    }
}
