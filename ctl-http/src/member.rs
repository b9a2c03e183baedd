//! Members (`http-api.md` §7.5–7.7).

use std::collections::BTreeMap;
use std::sync::Arc;

use ctl_core::Member;
use ctl_core::record::member::apply;
use ctl_store::{MemberCounts, Sighting, StoreError, Tx};
use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::edit::Edit;
use crate::error::ApiError;
use crate::extract::{deleting, param, read_body, reading, segment, writing};
use crate::status::PeerStatus;
use crate::streamed::{self, Pages, Step};
use crate::view::member::{MemberView, render, render_listed};
use crate::{Shared, State, answer, network, respond, respond_in_turn, with};

/// Members of a page of the list in full: some 500 KiB of text.
pub(crate) const PAGE: usize = 500;
/// Members of a page of the list of revisions.
const REVISIONS_PAGE: usize = 10_000;
/// A member asks once a minute; this is how long one that missed two requests counts as active, in milliseconds.
pub(crate) const ACTIVE_WITHIN: u64 = 3 * 60 * 1000;

/// Matches `/controller/network/{network}/member`.
fn path() -> BoxedFilter<(NetworkId,)> {
    network::path().and(param()).and(segment("member")).boxed()
}

/// `GET /controller/network/{network}/member`: the members' addresses, each with its revision.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            streamed::answer(Revisions { state, network: id, after: None }).await
        })
        .boxed()
}

/// `GET /controller/network/{network}/member/{node}`: one member.
pub(crate) fn get(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            respond(move || {
                let peer = state.peer(address);
                state.api.store.read(|tx| {
                    let member = tx.members().get(id, address)?.ok_or(ApiError::NotFound)?;
                    state.render_member(tx, &member, peer.as_ref())
                })
            })
            .await
        })
        .boxed()
}

/// `POST /controller/network/{network}/member/{node}`: changes a member, or adds it.
pub(crate) fn update(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(writing())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, body: Result<Vec<u8>, ApiError>, state: Shared| {
            answer(state.update_member(id, address, body).await)
        })
        .boxed()
}

/// `DELETE /controller/network/{network}/member/{node}`: removes a member; answers what it was.
pub(crate) fn remove(state: Shared) -> BoxedFilter<(Response,)> {
    path()
        .and(param())
        .and(deleting())
        .and(with(state))
        .then(async |id: NetworkId, address: Address, state: Shared| {
            answer(state.remove_member(id, address, State::render_member).await)
        })
        .boxed()
}

/// `GET /unstable/controller/network/{network}/member`: all members in full.
pub(crate) fn list_in_full(state: Shared) -> BoxedFilter<(Response,)> {
    segment("unstable")
        .and(path())
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            streamed::answer(InFull { state, network: id, after: None, counts: MemberCounts::default() })
                .await
        })
        .boxed()
}

/// `GET /controller/network/{network}/active`: the members that asked lately, each with when it last did, in
/// milliseconds since 1970 (`http-api.md` §17).
pub(crate) fn active(state: Shared) -> BoxedFilter<(Response,)> {
    network::path()
        .and(param())
        .and(segment("active"))
        .and(reading())
        .and(with(state))
        .then(async |id: NetworkId, state: Shared| {
            let heavy = state.heavy.clone();
            respond_in_turn(&heavy, move || {
                let since = Timestamp((state.api.now)().0.saturating_sub(ACTIVE_WITHIN));
                state.api.store.read(|tx| {
                    network::require(tx, id)?;
                    let active = tx.sightings().since(id, since)?.into_iter();
                    Ok(active.map(|(member, last)| (member.to_string(), last.0)).collect::<BTreeMap<_, _>>())
                })
            })
            .await
        })
        .boxed()
}

/// The addresses of all members, each with its revision.
struct Revisions {
    state: Shared,
    network: NetworkId,
    after: Option<Address>,
}

impl Pages for Revisions {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        let page = self.state.api.store.read(|tx| {
            if self.after.is_none() {
                network::require(tx, self.network)?;
                out.push(b'{');
            }
            tx.members().revisions_page(self.network, self.after, REVISIONS_PAGE).map_err(ApiError::from)
        })?;
        for (member, revision) in &page {
            streamed::append(out, self.after.is_none(), &member.to_string())?;
            out.push(b':');
            streamed::append(out, true, revision)?;
            self.after = Some(*member);
        }
        if page.len() < REVISIONS_PAGE {
            out.push(b'}');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }
}

/// Returns the next members of a list in full, each with when it was last heard.
pub(crate) fn page(
    tx: &Tx<'_>,
    network: NetworkId,
    after: Option<Address>,
) -> Result<(Vec<Member>, BTreeMap<Address, Sighting>), StoreError> {
    let members = tx.members().page(network, after, PAGE)?;
    let sightings = match (members.first(), members.last()) {
        (Some(first), Some(last)) => tx.sightings().last_between(network, first.address, last.address)?,
        _ => BTreeMap::new(),
    };
    Ok((members, sightings))
}

/// All members in full, and how many there are.
struct InFull {
    state: Shared,
    network: NetworkId,
    after: Option<Address>,
    counts: MemberCounts,
}

impl Pages for InFull {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError> {
        let (page, sightings) = self.state.api.store.read(|tx| {
            if self.after.is_none() {
                network::require(tx, self.network)?;
                out.extend_from_slice(br#"{"data":["#);
            }
            Ok::<_, ApiError>(page(tx, self.network, self.after)?)
        })?;
        let addresses: Vec<_> = page.iter().map(|member| member.address).collect();
        let peers = self.state.api.peers.some(&addresses);
        for member in &page {
            let shown = self.state.shown_member(member);
            let view = render_listed(&shown, peers.get(&member.address), sightings.get(&member.address));
            streamed::append(out, self.after.is_none(), &view)?;
            self.after = Some(member.address);
            self.counts.total += 1;
            self.counts.authorized += u64::from(member.authorized);
        }
        if page.len() < PAGE {
            let MemberCounts { total, authorized } = self.counts;
            out.extend_from_slice(br#"],"meta":"#);
            streamed::append(out, true, &json!({ "authorizedCount": authorized, "totalCount": total }))?;
            out.push(b'}');
            return Ok(Step::Done);
        }
        Ok(Step::More)
    }
}

impl State {
    async fn update_member(
        self: Arc<Self>,
        network: NetworkId,
        address: Address,
        body: Result<Vec<u8>, ApiError>,
    ) -> Result<MemberView, ApiError> {
        let body = read_body(body?).await?;
        let (peer, now) = (self.api.peers.one(address).await, (self.api.now)());
        let update = move |state: &Self, tx: &Tx<'_>| {
            let (stored, mut member) = state.member_to_change(tx, network, address, now)?;
            apply(&body, &mut member, now)?;
            if member.revise(stored.as_ref()) {
                tx.members().replace(stored.as_ref(), &member)?;
            }
            let view = state.render_member(tx, &member, peer.as_ref())?;
            Ok((view, Edit::of_member(stored.as_ref(), Some(&member))))
        };
        self.write_soon(update).await
    }

    /// Removes a member, and shows what it was.
    pub(crate) async fn remove_member<V: Send + 'static>(
        self: Arc<Self>,
        network: NetworkId,
        address: Address,
        show: fn(&Self, &Tx<'_>, &Member, Option<&PeerStatus>) -> Result<V, ApiError>,
    ) -> Result<V, ApiError> {
        let peer = self.api.peers.one(address).await;
        let remove = move |state: &Self, tx: &Tx<'_>| {
            let member = tx.members().get(network, address)?.ok_or(ApiError::NotFound)?;
            let shown = show(state, tx, &member, peer.as_ref())?;
            tx.members().remove(network, address)?;
            Ok((shown, Edit::of_member(Some(&member), None)))
        };
        self.write_soon(remove).await
    }

    /// Returns the member as it is stored, if it is, and the one to be changed: a copy, or a new one.
    pub(crate) fn member_to_change(
        &self,
        tx: &Tx<'_>,
        network: NetworkId,
        address: Address,
        now: Timestamp,
    ) -> Result<(Option<Member>, Member), ApiError> {
        network::require(tx, network)?;
        if address == Address::NONE {
            return Err(ApiError::NoMember(address));
        }
        let stored = tx.members().get(network, address)?;
        let member = stored.clone().unwrap_or_else(|| Member::new(network, address, now));
        Ok((stored, member))
    }

    fn render_member(
        &self,
        tx: &Tx<'_>,
        member: &Member,
        peer: Option<&PeerStatus>,
    ) -> Result<MemberView, ApiError> {
        let history = tx.sightings().history(member.network, member.address)?;
        Ok(render(&self.shown_member(member), peer, &history))
    }
}
