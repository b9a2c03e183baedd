//! Strangers that wait to be authorized: who they are, and what becomes of them (`docs/api-v2.md`).

use ctl_core::Member;
use ctl_core::pending::{FORGOTTEN_AFTER, MAX_OF_NETWORK, Pending};
use schemars::JsonSchema;
use serde::Serialize;
use zt_proto::Timestamp;

use super::member::find_member;
use super::member_record::version_of;
use super::network::require;
use super::problem::Problem;
use super::request::{Answer, Request};
use super::text::Node;
use crate::State;
use crate::edit::Edit;

/// The strangers of a network.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PendingMembers")]
pub(crate) struct PendingList {
    data: Vec<PendingView>,
    meta: Meta,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PendingCount")]
struct Meta {
    total_count: usize,
    /// No more are kept; who has not asked for hours then gives way to who comes.
    limit: u64,
}

/// A stranger. Times are milliseconds since 1970.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PendingMember")]
struct PendingView {
    address: Node,
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
        address: Node(pending.member),
        first_asked: pending.first_asked.0,
        last_asked: pending.last_asked.0,
        expires: pending.last_asked.plus_millis(FORGOTTEN_AFTER).0,
        source: pending.source.to_string(),
    }
}

/// `GET /api/v2/network/{network}/pending`: nodes that asked to join and about which nobody has decided, the one that
/// asked last first.
pub(crate) fn list(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let list = state.api.store.read(|tx| {
        require(tx, id)?;
        let data: Vec<_> = tx.pending().list(id)?.iter().map(render).collect();
        let meta = Meta { total_count: data.len(), limit: MAX_OF_NETWORK };
        Ok::<_, Problem>(PendingList { data, meta })
    })?;
    Answer::ok(&list)
}

/// `POST /api/v2/network/{network}/pending/{member}/approve`: authorizes a stranger.
pub(crate) fn approve(state: &State, request: Request) -> Result<Answer, Problem> {
    decide(state, &request, |member, now| member.authorize(ctl_core::member::Credential::Api, now))
}

/// `POST /api/v2/network/{network}/pending/{member}/deny`: refuses a stranger for good, until somebody authorizes it.
pub(crate) fn deny(state: &State, request: Request) -> Result<Answer, Problem> {
    decide(state, &request, Member::deauthorize)
}

fn decide(
    state: &State,
    request: &Request,
    decision: impl FnOnce(&mut Member, Timestamp),
) -> Result<Answer, Problem> {
    let (network, address) = request.member()?;
    let peer = state.peer(address);
    state.write(|tx| {
        let stored = find_member(tx, network, address)?;
        request.conditions.check(Some(version_of(&stored)))?;
        if tx.pending().get(network, address)?.is_none() {
            return Err(Problem::not_found("somebody has decided about this member; change it instead"));
        }
        let mut member = stored.clone();
        decision(&mut member, (state.api.now)());
        member.revise(Some(&stored));
        tx.members().put(&member)?;
        let answer = state.answer_with(tx, &member, peer.as_ref())?;
        Ok((answer, Edit::of_member(Some(&stored), Some(&member))))
    })
}
