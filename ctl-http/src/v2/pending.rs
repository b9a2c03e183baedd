//! Strangers that wait to be authorized (`docs/api-compat.md`).

use ctl_core::pending::{FORGOTTEN_AFTER, MAX_OF_NETWORK, Pending};
use serde::Serialize;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::NetworkId;

use crate::error::ApiError;
use crate::extract::{param, reading, segment};
use crate::{Shared, respond, with};

/// The strangers of a network.
#[derive(Debug, Serialize)]
struct PendingList {
    data: Vec<PendingView>,
    meta: Meta,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    total_count: usize,
    /// No more are kept; who has not asked for hours then gives way to who comes.
    limit: u64,
}

/// A stranger. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingView {
    address: String,
    first_asked: u64,
    /// Up to an hour behind.
    last_asked: u64,
    /// If it does not ask again.
    expires: u64,
    /// The physical network: an IPv4 /24, an IPv6 /48, or `relayed`.
    source: String,
}

fn render(pending: &Pending) -> PendingView {
    PendingView {
        address: pending.member.to_string(),
        first_asked: pending.first_asked.0,
        last_asked: pending.last_asked.0,
        expires: pending.last_asked.plus_millis(FORGOTTEN_AFTER).0,
        source: pending.source.to_string(),
    }
}

/// `GET /api/v2/network/{network}/pending`: nodes that asked to join and about which nobody has decided, the one that
/// asked last first.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    segment("api")
        .and(segment("v2"))
        .and(segment("network"))
        .and(param())
        .and(segment("pending"))
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            respond(move || {
                state.api.store.read(|tx| {
                    tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
                    let data: Vec<_> = tx.pending().list(id)?.iter().map(render).collect();
                    let meta = Meta { total_count: data.len(), limit: MAX_OF_NETWORK };
                    Ok(PendingList { data, meta })
                })
            })
            .await
        })
        .boxed()
}
