//! Members one by one: read, change, replace or approve in advance, remove.

use std::sync::Arc;

use ctl_core::Member;
use ctl_store::Tx;
use zt_proto::{Address, NetworkId};

use super::change::read_body;
use super::endpoint::Answering;
use super::member_record::{MemberChange, MemberView, version_of};
use super::network::require;
use super::problem::Problem;
use super::request::{Answer, Request};
use crate::State;
use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::read_with;
use crate::status::PeerStatus;

/// `GET /api/v2/network/{network}/member/{member}`: one member.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let (network, address) = request.member()?;
    let peer = state.peer(address);
    let answer = state.api.store.read(|tx| {
        let member = find_member(tx, network, address)?;
        state.answer_with(tx, &member, peer.as_ref())
    })?;
    Ok(answer.unless_known(&request.conditions))
}

/// `PATCH /api/v2/network/{network}/member/{member}`: changes a member.
pub(crate) fn patch(state: Arc<State>, mut request: Request) -> Answering {
    Box::pin(async move {
        let (network, address) = request.member()?;
        let change = read_change(&mut request).await?;
        let peer = state.api.peers.one(address).await;
        let patch = move |state: &State, tx: &Tx<'_>| {
            let stored = find_member(tx, network, address)?;
            request.conditions.check(Some(version_of(&stored)))?;
            save(state, tx, Some(&stored), stored.clone(), change, peer.as_ref())
        };
        state.write_soon(patch).await
    })
}

/// `PUT /api/v2/network/{network}/member/{member}`: replaces the settings of a member, or adds it before it asks.
pub(crate) fn put(state: Arc<State>, mut request: Request) -> Answering {
    Box::pin(async move {
        let (network, address) = request.member()?;
        let change = read_change(&mut request).await?;
        let peer = state.api.peers.one(address).await;
        let put = move |state: &State, tx: &Tx<'_>| {
            require(tx, network)?;
            let stored = tx.members().get(network, address)?;
            request.conditions.check(stored.as_ref().map(version_of))?;
            if address.is_reserved() {
                return Err(ApiError::NoMember(address).into());
            }
            let member = stored.clone().unwrap_or_else(|| Member::new(network, address, (state.api.now)()));
            let change = change.replacing(stored.as_ref());
            save(state, tx, stored.as_ref(), member, change, peer.as_ref())
        };
        state.write_soon(put).await
    })
}

/// `DELETE /api/v2/network/{network}/member/{member}`: removes a member.
pub(crate) fn remove(state: Arc<State>, request: Request) -> Answering {
    Box::pin(async move {
        let (network, address) = request.member()?;
        let remove = move |_: &State, tx: &Tx<'_>| {
            let stored = find_member(tx, network, address)?;
            request.conditions.check(Some(version_of(&stored)))?;
            tx.members().remove(network, address)?;
            Ok::<_, Problem>((Answer::done(), Edit::of_member(Some(&stored), None)))
        };
        state.write_soon(remove).await
    })
}

async fn read_change(request: &mut Request) -> Result<MemberChange, Problem> {
    let read = |body| {
        let change: MemberChange = read_body(Ok(body))?;
        let invalid = change.invalid("");
        if invalid.is_empty() { Ok(change) } else { Err(Problem::fields(invalid)) }
    };
    read_with(request.take_body()?, read).await
}

/// Changes `member`, a copy of `stored`, saves it if it then differs, and answers with it.
fn save(
    state: &State,
    tx: &Tx<'_>,
    stored: Option<&Member>,
    mut member: Member,
    change: MemberChange,
    peer: Option<&PeerStatus>,
) -> Result<(Answer, Option<Edit>), Problem> {
    change.check_read_only(&member)?;
    let change = change.without_repeated_decision(&member);
    change.apply(&mut member, (state.api.now)()).map_err(ApiError::Field)?;
    if member.revise(stored) {
        tx.members().replace(stored, &member)?;
    }
    let mut answer = state.answer_with(tx, &member, peer)?;
    if stored.is_none() {
        answer = answer.created(format!("/api/v2/network/{}/member/{}", member.network, member.address));
    }
    Ok((answer, Edit::of_member(stored, Some(&member))))
}

/// Returns a member that must be there, of a network that must be.
pub(crate) fn find_member(tx: &Tx<'_>, network: NetworkId, address: Address) -> Result<Member, Problem> {
    if let Some(member) = tx.members().get(network, address)? {
        return Ok(member);
    }
    require(tx, network)?;
    Err(Problem::not_found("the network has no member with this address"))
}

impl State {
    /// Answers with a member; `peer` is what the node knows of it.
    pub(crate) fn answer_with(
        &self,
        tx: &Tx<'_>,
        member: &Member,
        peer: Option<&PeerStatus>,
    ) -> Result<Answer, Problem> {
        let sighting = tx.sightings().last(member.network, member.address)?;
        let view = MemberView::new(member, peer, sighting.as_ref());
        Answer::record(&view, version_of(member))
    }
}
