//! A request: load, decide, save, sign, send (`vl2.md` §10).

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ctl_core::event::Cause;
use ctl_core::farewell::farewell;
use ctl_core::member::Credential;
use ctl_core::pending::{Admission, Source};
use ctl_core::{
    Client, ConfigRequest, Decision, Event, EventKind, Issued, Member, Refusal, RequestKind, decide, issue,
};
use ctl_http::{SPANS, webhooks};
use ctl_store::{StoreError, Tx};
use rand_core::Rng;
use tracing::{debug, error, trace_span, warn};
use zt_proto::compression::Payload;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, Timestamp};

use super::super::push::Key;
use super::super::seen::Standing;
use super::ready::Said;
use super::{Controller, caused, lock};
use crate::vl1::{ConfigRequested, Now};

/// Why a member got no answer; it will ask again.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    TooLong(#[from] issue::ConfigTooLong),
}

/// What is to be sent.
pub(super) enum Answer {
    Config(Arc<Issued>),
    /// With the configuration that ends the access to a network that was removed.
    Refusal(Refusal, Option<Issued>),
}

/// What a transaction sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Committed,
    /// As well what it may not be able to commit, and nobody else is to be told.
    Own,
}

impl Controller {
    /// Says whether a request is to be answered: for a network of this controller, and not too soon after the last.
    pub(in super::super) fn accepts(&self, requested: &ConfigRequested, now: Now) -> bool {
        let (network, node) = (requested.network, requested.identity.address);
        network.controller() == self.secret.address() && lock(&self.seen).take(network, node, now.mono)
    }

    /// Answers a request at once if nothing has to be looked up: returns the payloads of the answer, none if it comes too
    /// soon after the last. `None` leaves it to [`Self::answer`].
    ///
    /// It may only be called by the loop of the node, which sends them before it carries out another command: so they are
    /// older than whatever is pushed because of a change.
    pub(in super::super) fn answer_at_once(
        &self,
        requested: &ConfigRequested,
        now: Now,
    ) -> Option<Vec<Payload>> {
        let ConfigRequested { identity, network, metadata, from, .. } = requested;
        let (network, member) = (*network, identity.address);
        let said = self.said(identity, metadata);
        let payloads = {
            let mut ready = lock(&self.ready);
            let found = ready.find((network, member), said, self.store.generation(), now.wall)?;
            if !self.accepts(requested, now) {
                return Some(Vec::new());
            }
            found.payloads(&requested.request.config_envelope(), now.mono, |issued, later| {
                issued.sign_sending(self.update_id(), later, &self.secret)
            })
        };
        self.tally.decisions.inc();
        debug!(%network, %member, remote = ?from, "admitted as before");
        if self.note_again(requested, said, now) {
            self.catch_up(network, member, now);
        }
        Some(payloads)
    }

    /// Answers a request.
    pub(in super::super) fn answer(&self, requested: ConfigRequested, now: Now) {
        let ConfigRequested { request: id, identity, network, metadata, from } = requested;
        let said = self.said(&identity, &metadata);
        let metadata = RequestMetadata::parse(&metadata);
        let request = ConfigRequest { network, identity, metadata, kind: RequestKind::Request };
        let member = identity.address;
        let source = Source::of(from.map(|from| from.ip()));
        let _answering =
            trace_span!(target: SPANS, "answer", otel.kind = "server", %network, %member).entered();
        let told = self.tell(
            (network, member),
            || self.prepare(&request, Some(said), source, now),
            |answer| match answer {
                Answer::Config(issued) => {
                    let sign = |later| issued.sign_sending(self.update_id(), later, &self.secret);
                    let (key, envelope) = ((network, member), id.config_envelope());
                    let payloads = lock(&self.ready).payloads(key, &issued, &envelope, now.mono, sign);
                    debug!(%network, %member, remote = ?from, "admitted");
                    self.command(move |node, now| node.reply_prepared(now, id, network, &payloads));
                    self.note(&request, Some(said), from, Standing::Admitted, now)
                }
                Answer::Refusal(refusal, farewell) => {
                    debug!(%network, %member, remote = ?from, ?refusal, "refused");
                    let (code, details) = (refusal.error_code(), refusal.details());
                    let farewell = farewell.map(|issued| issued.reply(self.update_id(), &self.secret));
                    self.command(move |node, now| {
                        node.reply_config(now, id, &farewell.unwrap_or_default());
                        node.reply_error(now, id, code, network, &details);
                    });
                    if refusal != Refusal::UnknownNetwork {
                        self.note(&request, None, from, Standing::Refused, now);
                    }
                    false
                }
            },
        );
        match told {
            Ok(true) => self.catch_up(network, member, now),
            Ok(false) => {}
            Err(AnswerError::Store(error)) if error.is_outage() => self.drop_request(&error),
            Err(AnswerError::Store(error)) => error!(%network, %member, %error, "request not answered"),
            Err(AnswerError::TooLong(error)) => {
                self.count_too_long(network, member, &error);
                // What a controller says of its own faults (`vl2.md` §4.3).
                self.command(move |node, now| {
                    node.reply_error(now, id, ErrorCode::OBJECT_NOT_FOUND, network, &[]);
                });
            }
        }
    }

    /// Prepares what a member is to be told and tells it. If something that may be newer left meanwhile, it is prepared
    /// once more: the member is never left with what is over.
    pub(super) fn tell<T, E>(
        &self,
        key: Key,
        prepare: impl Fn() -> Result<Answer, E>,
        tell: impl FnOnce(Answer) -> T,
    ) -> Result<T, E> {
        let mut turn = self.turns.begin(key);
        // Ends as soon as nobody else tells this member anything: they are asked for once a second at most, and pushed
        // to when something changed.
        loop {
            let answer = prepare()?;
            if let Some(_guard) = turn.pass() {
                return Ok(tell(answer));
            }
        }
    }

    /// Counts a configuration that cannot be sent. Only the first of many is logged, and their number by the next
    /// [`Controller::tidy`].
    pub(super) fn count_too_long(&self, network: NetworkId, member: Address, error: &issue::ConfigTooLong) {
        if self.too_long.fetch_add(1, Ordering::Relaxed) == 0 {
            error!(%network, %member, %error, "no client would take the configuration: shorten its rules");
        }
    }

    /// Decides, saves, and signs what is to be sent. What a request gets is kept for when the same is `said` again.
    pub(super) fn prepare(
        &self,
        request: &ConfigRequest,
        said: Option<Said>,
        source: Source,
        now: Now,
    ) -> Result<Answer, AnswerError> {
        self.tally.decisions.inc();
        let generation = self.store.generation();
        // Before anything is loaded: what is taken away after that is revoked with a later time.
        let issued = self.issue_time(now.wall);
        let (network, member) = (request.network, request.identity.address);
        Ok(match self.decide_and_save(request, source, issued, now)? {
            Decision::Admit { config, member: changed } => {
                let signing = trace_span!(target: SPANS, "sign");
                let issued = signing.in_scope(|| self.memo.issue(&config, &self.secret))?;
                if changed.is_none()
                    && let Some(said) = said
                {
                    let key = (network, member);
                    lock(&self.ready).keep(key, said, config.network(), generation, &issued);
                }
                let left_out = issued.left_out();
                if left_out > 0 {
                    warn!(%network, %member, left_out, "configuration cut: a client before 1.2.0 takes one packet");
                }
                Answer::Config(issued)
            }
            Decision::Refuse { refusal, .. } => {
                let is_over = refusal == Refusal::UnknownNetwork
                    && self.store.read(|tx| tx.networks().was_removed(network))?;
                let client = Client::of(&request.metadata);
                let farewell = is_over.then(|| farewell(network, member, client, issued)).flatten();
                Answer::Refusal(refusal, farewell)
            }
        })
    }

    /// Decides, and saves what the decision changes. What is saved was decided in the transaction that saves it, so two
    /// members cannot get one address; it is on disk before anybody is told.
    fn decide_and_save(
        &self,
        request: &ConfigRequest,
        source: Source,
        issued: Timestamp,
        now: Now,
    ) -> Result<Decision, StoreError> {
        let deciding = trace_span!(target: SPANS, "decide").entered();
        let (decision, stored, is_to_be_saved) = self.store.read(|tx| {
            let (decision, stored) = self.decide_in(tx, request, issued, View::Committed)?;
            let is_to_be_saved = match changed(&decision) {
                Some(changed) if is_newcomer(changed, stored.as_ref()) => {
                    if !self.admits_newcomer(tx, request.network, source, now)? {
                        let refusal = Refusal::AccessDenied;
                        return Ok((Decision::Refuse { refusal, member: None }, stored, false));
                    }
                    true
                }
                Some(_) if is_stranger(&decision, stored.as_ref()) => {
                    admit_stranger(tx, request.network, source, now.wall)? != Admission::Full
                }
                Some(_) => true,
                None => is_pending_to_be_noted(tx, &decision, request, now.wall)?,
            };
            Ok::<_, StoreError>((decision, stored, is_to_be_saved))
        })?;
        drop(deciding);
        if !is_to_be_saved {
            return Ok(decision);
        }
        let _saving = trace_span!(target: SPANS, "save").entered();
        let saved = self.store.write_aside(|tx| {
            let (decision, stored) = self.decide_in(tx, request, issued, View::Own)?;
            let mut is_saved = true;
            match changed(&decision) {
                Some(changed)
                    if is_stranger(&decision, stored.as_ref()) && !is_newcomer(changed, stored.as_ref()) =>
                {
                    is_saved = save_stranger(tx, changed, source, now.wall)?;
                }
                Some(changed) => {
                    tx.members().replace(stored.as_ref(), changed)?;
                    if let Some(entry) = caused::entry(request, stored.as_ref(), changed, now.wall) {
                        tx.audit().add_caused(&entry)?;
                    }
                }
                None => tx.pending().touch(request.network, request.identity.address, now.wall)?,
            }
            let happened = changed(&decision).filter(|_| is_saved);
            let happened = happened.map_or_else(Vec::new, |after| events(stored.as_ref(), after, now.wall));
            webhooks::enqueue(tx, &happened)?;
            Ok::<_, StoreError>((decision, happened))
        });
        let saved = saved.map(|(decision, happened)| {
            self.events.publish(&happened);
            decision
        });
        if let (Ok(decision), changes) = (&saved, &self.tally.changes)
            && let Some(changed) = changed(decision)
        {
            changes.count_member(stored.as_ref().is_some_and(|stored| stored.authorized), changed.authorized);
        }
        if saved.as_ref().is_ok_and(|decision| changed(decision).is_some_and(|member| member.active_bridge)) {
            // The others are told of bridges.
            self.store.raise_generation();
        }
        match saved {
            Err(error) if error.is_outage() && can_wait(stored.as_ref(), &decision) => Ok(decision),
            saved => saved,
        }
    }

    /// Says whether a public network has room for one more member that nobody authorized.
    fn admits_newcomer(
        &self,
        tx: &Tx<'_>,
        network: NetworkId,
        source: Source,
        now: Now,
    ) -> Result<bool, StoreError> {
        let members = || Ok::<_, StoreError>(tx.members().counts(network)?.total);
        let is_admitted = lock(&self.newcomers).admit(network, source, now.mono, members)?;
        if !is_admitted {
            debug!(%network, %source, "too many newcomers");
        }
        Ok(is_admitted)
    }

    /// Decides on what is stored. Returns as well the member as it is stored, if there is a record of it. The network is
    /// read only if it may have changed since it was last read.
    fn decide_in(
        &self,
        tx: &Tx<'_>,
        request: &ConfigRequest,
        issued: Timestamp,
        view: View,
    ) -> Result<(Decision, Option<Member>), StoreError> {
        // A reading transaction sees what is there when it first reads. If no write was going on before that, and none was
        // begun until after it, that is the state of this generation, and of whatever else was read at it. One that
        // writes sees as well what others wrote who are committed together with it: as their writes go on until then, there
        // is no such generation.
        let before = self.store.settled_generation();
        let member = tx.members().get(request.network, request.identity.address)?;
        let generation = before.filter(|before| self.store.settled_generation() == Some(*before));
        let known = generation.and_then(|generation| lock(&self.commons).find(request.network, generation));
        let common = match known {
            Some(common) => Some(common),
            None => tx.common(request.network)?,
        };
        if let (Some(common), Some(generation), View::Committed) = (&common, generation, view) {
            lock(&self.commons).keep(common, generation);
        }
        let snapshot = common.map(|common| tx.snapshot_with(&common, member)).transpose()?;
        let decision = decide(snapshot.as_ref(), request, issued);
        Ok((decision, snapshot.and_then(|snapshot| snapshot.member)))
    }

    /// Counts a request that the database keeps from being answered; the client asks again. Only the first of many is
    /// logged, and their number by the next [`Controller::tidy`].
    pub(super) fn drop_request(&self, error: &StoreError) {
        self.tally.dropped.inc();
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            error!(%error, "requests of clients that need a change are dropped");
        }
    }

    /// Returns a number for one sending.
    pub(super) fn update_id(&self) -> NonZeroU64 {
        NonZeroU64::new(lock(&self.rng).next_u64()).unwrap_or(NonZeroU64::MIN)
    }
}

/// Says whether the node is one that nobody has authorized or entered, and of which there is no record yet.
fn is_stranger(decision: &Decision, stored: Option<&Member>) -> bool {
    stored.is_none() && matches!(decision, Decision::Refuse { .. })
}

/// Says whether the node becomes a member because the network is public, and for no other reason.
fn is_newcomer(changed: &Member, stored: Option<&Member>) -> bool {
    stored.is_none() && changed.authorized && changed.credential == Some(Credential::Public)
}

/// Says whether a node may be answered though its record cannot be saved: it gets nothing new, only what is noted about
/// it is newer. So whoever was admitted stays so while nothing can be written.
fn can_wait(stored: Option<&Member>, decision: &Decision) -> bool {
    let Some(changed) = changed(decision) else { return true };
    let is_admitted = matches!(decision, Decision::Admit { .. });
    stored.is_some_and(|stored| {
        let unnoted = Member { version: stored.version, revision: stored.revision, ..changed.clone() };
        is_admitted && stored.version.is_some() && unnoted == *stored
    })
}

/// Returns the member that a decision wants to be saved.
fn changed(decision: &Decision) -> Option<&Member> {
    let (Decision::Admit { member, .. } | Decision::Refuse { member, .. }) = decision;
    member.as_ref()
}

fn admit_stranger(
    tx: &Tx<'_>,
    network: NetworkId,
    source: Source,
    now: Timestamp,
) -> Result<Admission, StoreError> {
    Ok(tx.pending().room(network, source)?.admit(source, now))
}

/// Puts a stranger on record if there still is room, and says whether there was.
pub(super) fn save_stranger(
    tx: &Tx<'_>,
    stranger: &Member,
    source: Source,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match admit_stranger(tx, stranger.network, source, now)? {
        Admission::Full => return Ok(false),
        Admission::InsteadOfOldest(among) => tx.pending().remove_oldest(among, stranger.network, source)?,
        Admission::Free => {}
    }
    tx.members().put(stranger)?;
    tx.pending().put(stranger.network, stranger.address, source, now)?;
    Ok(true)
}

/// Returns what it means to those who watch that a member asked and is saved as `after`.
fn events(before: Option<&Member>, after: &Member, time: Timestamp) -> Vec<Event> {
    let (network, member, revision) = (after.network, Some(after.address), Some(after.revision));
    let kinds = EventKind::of_member(before, Some(after), Cause::Request);
    kinds.map(|kind| Event { kind, network, member, revision, time }).collect()
}

/// Says whether the node is a stranger whose record should show that it still asks.
fn is_pending_to_be_noted(
    tx: &Tx<'_>,
    decision: &Decision,
    request: &ConfigRequest,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let member: Address = request.identity.address;
    let is_waiting = request.kind == RequestKind::Request
        && matches!(decision, Decision::Refuse { refusal, .. } if *refusal != Refusal::UnknownNetwork);
    let pending = if is_waiting { tx.pending().get(request.network, member)? } else { None };
    Ok(pending.is_some_and(|pending| pending.is_to_be_noted(now)))
}
