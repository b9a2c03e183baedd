//! Requests, and telling members what is: load, decide, save, sign, send (`vl2.md` §10).

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ctl_core::pending::Source;
use ctl_core::{ConfigRequest, Issued, Refusal, RequestKind, Sending, issue};
use ctl_http::SPANS;
use ctl_store::StoreError;
use rand_core::Rng;
use tracing::{debug, error, trace_span};
use zt_proto::compression::Payload;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId};

use super::super::members::{
    Again, Answered, Asked, Key, Lasting, MAX_CHUNKS, Ready, Standing, Turn as SendingTurn,
};
use super::super::turns::Turn;
use super::super::udp::Command;
use super::prepare::{Case, Look};
use super::{Controller, lock};
use crate::vl1::{ConfigRequested, Now, RequestId};

/// Why a member got no answer; it will ask again.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum AnswerError {
    /// Several may have the same cause.
    #[error(transparent)]
    Store(Arc<StoreError>),
    #[error(transparent)]
    TooLong(#[from] issue::ConfigTooLong),
}

impl From<StoreError> for AnswerError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What is to be sent.
pub(super) enum Answer {
    /// With how long that is right for whoever asks in the same way again.
    Config(Arc<Issued>, Option<Lasting>),
    /// With the configuration that ends the access to a network that was removed.
    Refusal(Refusal, Option<Issued>),
}

/// What the node is to do once all of a batch is known: it is woken once.
pub(super) type Outbox = Vec<Command>;

/// A request, as far as its answer needs it.
type Asker = (RequestId, Option<SocketAddr>, Asked);

impl Controller {
    /// Says whether a request is to be answered: for a network of this controller, and not too soon after the last.
    pub(in super::super) fn accepts(&self, requested: &ConfigRequested, now: Now) -> bool {
        let (network, node) = (requested.network, requested.identity.address);
        network.controller() == self.secret.address() && lock(&self.members).take((network, node), now.mono)
    }

    /// Answers a request at once if nothing has to be looked up: returns the payloads of the answer, none if it comes too
    /// soon after the last. `None` leaves it to [`Self::answer_all`].
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
        let asked = self.asked(identity, metadata, *from);
        let (generation, present) = (self.store.generation(), self.present(now));
        let again = lock(&self.members).again((network, member), asked, generation, present, now.mono);
        let Ready { issued, turn, sending, is_kept, may_have_missed } = match again {
            Again::Ready(ready) => ready,
            Again::TooSoon => return Some(Vec::new()),
            Again::Other => return None,
        };
        // Signed without the lock.
        let sending = sending.unwrap_or_else(|| {
            let sending = self.sign(&issued, turn);
            if is_kept {
                lock(&self.members).keep((network, member), &issued, turn, &sending);
            }
            sending
        });
        let payloads = issued.compressed(&sending, &requested.request.config_envelope());
        self.tally.decisions.inc();
        debug!(%network, %member, remote = ?from, "admitted as before");
        // Its identity was noted when it said this first.
        lock(&self.notes).sighting_again(network, member, now.wall);
        if may_have_missed {
            self.catch_up(network, member, now);
        }
        Some(payloads)
    }

    /// Answers requests that came at about the same time, in one view of the database. Those for which something is to be
    /// saved are answered last, in one transaction; `before_saving` is called when the others are.
    pub(in super::super) fn answer_all(
        &self,
        requests: impl IntoIterator<Item = ConfigRequested>,
        now: Now,
        before_saving: impl FnOnce(),
    ) {
        let case = |requested| {
            let ConfigRequested { request: id, identity, network, metadata, from } = requested;
            let asked = self.asked(&identity, &metadata, from);
            let metadata = RequestMetadata::parse(&metadata);
            let request = ConfigRequest { network, identity, metadata, kind: RequestKind::Request };
            Case { about: (id, from, asked), request, source: Source::of(from.map(|from| from.ip())) }
        };
        let cases: Vec<_> = requests.into_iter().map(case).collect();
        let _answering =
            trace_span!(target: SPANS, "answer", otel.kind = "server", requests = cases.len()).entered();
        self.tell_all(&cases, now, before_saving, |case, answer, outbox| {
            self.answer(case, answer, now, outbox)
        });
    }

    /// Answers a request; says whether the member may have missed something.
    fn answer(
        &self,
        case: &Case<Asker>,
        answer: Result<Answer, AnswerError>,
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        let Case { about: (id, from, asked), ref request, .. } = *case;
        let (network, member) = case.key();
        match answer {
            Ok(Answer::Config(issued, lasting)) => {
                let turn = lock(&self.members).turn(case.key());
                let sending = self.sign(&issued, turn);
                let payloads = issued.compressed(&sending, &id.config_envelope());
                debug!(%network, %member, remote = ?from, "admitted");
                outbox.push(Box::new(move |node, now| node.reply_prepared(now, id, network, &payloads)));
                // The loop signs nothing that takes as long as that.
                let lasting = lasting.filter(|_| sending.chunks() <= MAX_CHUNKS);
                let issued = Arc::downgrade(&issued);
                let answered = lasting.map(|lasting| Answered { asked, lasting, issued });
                self.note(request, answered, from, Standing::Admitted, now)
            }
            Ok(Answer::Refusal(refusal, farewell)) => {
                debug!(%network, %member, remote = ?from, ?refusal, "refused");
                let (code, details) = (refusal.error_code(), refusal.details());
                let farewell = farewell.map(|issued| issued.reply(self.update_id(), &self.secret));
                outbox.push(Box::new(move |node, now| {
                    node.reply_farewell(now, id, &farewell.unwrap_or_default());
                    node.reply_error(now, id, code, network, &details);
                }));
                if refusal != Refusal::UnknownNetwork {
                    self.note(request, None, from, Standing::Refused, now);
                }
                false
            }
            Err(AnswerError::Store(error)) => {
                if error.is_outage() {
                    self.drop_request(&error);
                } else {
                    error!(%network, %member, %error, "request not answered");
                }
                false
            }
            Err(AnswerError::TooLong(error)) => {
                self.count_too_long(network, member, &error);
                // What a controller says of its own faults (`vl2.md` §4.3).
                outbox.push(Box::new(move |node, now| {
                    node.reply_error(now, id, ErrorCode::OBJECT_NOT_FOUND, network, &[]);
                }));
                false
            }
        }
    }

    /// Signs the sending whose turn it is.
    fn sign(&self, issued: &Issued, turn: SendingTurn) -> Sending {
        issued.sign_sending(self.update_id(), turn.later(), &self.secret)
    }

    /// Prepares what members are to be told, and tells it: those first for whom nothing is to be saved, and after
    /// `before_saving` the others. `tell` says whether the member may have missed something.
    pub(super) fn tell_all<T>(
        &self,
        cases: &[Case<T>],
        now: Now,
        before_saving: impl FnOnce(),
        mut tell: impl FnMut(&Case<T>, Result<Answer, AnswerError>, &mut Outbox) -> bool,
    ) {
        let mut turns: Vec<_> = cases.iter().map(|case| self.turns.begin(case.key())).collect();
        let moment = self.moment(now);
        let (mut told, mut unsaved, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for ((case, turn), look) in cases.iter().zip(&mut turns).zip(self.look(&moment, cases)) {
            match look {
                Look::Done(answer) => told.push((case, turn, answer)),
                Look::Unsaved(decided) => {
                    unsaved.push((case, *decided));
                    later.push((case, turn));
                }
            }
        }
        self.tell_together(told, now, &mut tell);
        before_saving();
        if !unsaved.is_empty() {
            let answers = later.into_iter().zip(self.save(&moment, unsaved));
            let told = answers.map(|((case, turn), answer)| (case, turn, answer));
            self.tell_together(told, now, &mut tell);
        }
    }

    /// Tells members what was prepared, and wakes the node once. For whom something that may be newer left meanwhile, or is
    /// leaving, it is prepared once more.
    pub(super) fn tell_together<'a, 't: 'a, T: 'a>(
        &self,
        answers: impl IntoIterator<Item = (&'a Case<T>, &'a mut Turn<'t>, Result<Answer, AnswerError>)>,
        now: Now,
        tell: &mut impl FnMut(&Case<T>, Result<Answer, AnswerError>, &mut Outbox) -> bool,
    ) {
        let (mut outbox, mut guards) = (Outbox::new(), Vec::new());
        let (mut behind, mut overtaken) = (Vec::new(), Vec::new());
        for (case, turn, answer) in answers {
            if answer.is_ok() {
                // Who waited here, with what he holds already, could wait for somebody who waits for that.
                match turn.pass_at_once() {
                    Some(guard) => guards.push(guard),
                    None => {
                        overtaken.push(case);
                        continue;
                    }
                }
            }
            if tell(case, answer, &mut outbox) {
                behind.push(case.key());
            }
        }
        self.command_all(outbox);
        drop(guards);
        for case in overtaken {
            let mut outbox = Outbox::new();
            let told = self.tell(
                case.key(),
                || self.prepare(case, now),
                |answer| {
                    let is_behind = tell(case, Ok(answer), &mut outbox);
                    self.command_all(std::mem::take(&mut outbox));
                    is_behind
                },
            );
            let is_behind = told.unwrap_or_else(|error| tell(case, Err(error), &mut outbox));
            self.command_all(outbox);
            behind.extend(is_behind.then(|| case.key()));
        }
        for (network, member) in behind {
            self.catch_up(network, member, now);
        }
    }

    /// Has the node do all of this.
    pub(super) fn command_all(&self, mut outbox: Outbox) {
        if outbox.len() > 1 {
            self.command(move |node, now| outbox.into_iter().for_each(|command| command(node, now)));
        } else if let Some(command) = outbox.pop() {
            self.command(command);
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
