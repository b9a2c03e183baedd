//! What a member is to be told: load, decide, save, issue. Several at a time, since most of what that takes is taken once.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ctl_core::addresses::Family;
use ctl_core::event::Cause;
use ctl_core::farewell::farewell;
use ctl_core::member::Credential;
use ctl_core::pending::{Admission, Source};
use ctl_core::{
    Client, ConfigRequest, Decision, DecisionTime, Event, EventKind, Issued, Member, Refusal, RequestKind,
    decide,
};
use ctl_http::{SPANS, webhooks};
use ctl_store::{Store, StoreError, Tx};
use tracing::{debug, trace_span, warn};
use zt_proto::{Address, NetworkId, Timestamp};

use super::super::members::{Key, Lasting};
use super::answer::{Answer, AnswerError};
use super::{Controller, caused, lock};
use crate::vl1::Now;

/// A member that is to be told what is.
pub(super) struct Case<T> {
    /// What is told depends on it no more.
    pub about: T,
    pub request: ConfigRequest,
    pub source: Source,
}

impl<T> Case<T> {
    pub(super) fn key(&self) -> Key {
        (self.request.network, self.request.identity.address)
    }
}

/// When something is prepared: asked for before anything is loaded.
pub(super) struct Moment {
    generation: u64,
    /// What is taken away after that is revoked with a later time.
    issued: Timestamp,
    now: Now,
}

/// What came of a look into the database.
pub(super) enum Look {
    Done(Result<Answer, AnswerError>),
    /// Something is to be saved first.
    Unsaved(Box<Decided>),
}

/// What was decided on what is stored.
pub(super) struct Decided {
    decision: Decision,
    /// The record of the member, if there is one.
    stored: Option<Member>,
}

/// What a transaction sees.
struct View {
    /// Not as well what it may not be able to commit, and nobody else is to be told.
    is_committed: bool,
    /// The settled generation before it first read.
    before: Option<u64>,
    /// The generation of what it sees, if that is known.
    generation: OnceCell<Option<u64>>,
}

impl View {
    fn new(store: &Store, is_committed: bool) -> Self {
        Self { is_committed, before: store.settled_generation(), generation: OnceCell::new() }
    }

    /// Returns the generation of what the transaction sees, when it has read something.
    fn generation(&self, store: &Store) -> Option<u64> {
        // A reading transaction sees what is there when it first reads. If no write was going on before that, and none was
        // begun until after it, that is the state of this generation, and of whatever else was read at it. One that
        // writes sees as well what others wrote who are committed together with it: as their writes go on until then, there
        // is no such generation.
        *self
            .generation
            .get_or_init(|| self.before.filter(|before| store.settled_generation() == Some(*before)))
    }
}

/// The records of members that were read together.
struct Records {
    members: BTreeMap<Key, Member>,
    /// Networks of which each is to be read alone.
    others: BTreeSet<NetworkId>,
}

impl Records {
    fn read<T>(tx: &Tx<'_>, cases: &[Case<T>]) -> Self {
        let mut asked = BTreeMap::<_, Vec<_>>::new();
        for (network, address) in cases.iter().map(Case::key) {
            asked.entry(network).or_default().push(address);
        }
        let mut records = Self { members: BTreeMap::new(), others: BTreeSet::new() };
        for (network, addresses) in asked {
            let found = (addresses.len() > 1).then(|| tx.members().some(network, &addresses));
            if let Some(Ok(found)) = found {
                records.members.extend(found.into_iter().map(|member| ((network, member.address), member)));
            } else {
                // Whoever is damaged is to keep nobody else from being read.
                records.others.insert(network);
            }
        }
        records
    }

    fn get(&self, tx: &Tx<'_>, key: Key) -> Result<Option<Member>, StoreError> {
        let (network, address) = key;
        if self.others.contains(&network) {
            return tx.members().get(network, address);
        }
        Ok(self.members.get(&key).cloned())
    }
}

impl Controller {
    pub(super) fn moment(&self, now: Now) -> Moment {
        let generation = self.store.generation();
        Moment { generation, issued: self.issue_time(now), now }
    }

    /// Decides, saves, and signs what one member is to be sent.
    pub(super) fn prepare<T>(&self, case: &Case<T>, now: Now) -> Result<Answer, AnswerError> {
        let moment = self.moment(now);
        let looks = self.look(&moment, std::slice::from_ref(case));
        let done = looks.into_iter().flat_map(|look| match look {
            Look::Done(answer) => vec![answer],
            Look::Unsaved(decided) => self.save(&moment, vec![(case, *decided)]),
        });
        done.last().expect("each case has an answer, and there is one")
    }

    /// Decides in one view of the database, and signs what is to be sent if nothing is to be saved.
    pub(super) fn look<T>(&self, moment: &Moment, cases: &[Case<T>]) -> Vec<Look> {
        self.tally.decisions.inc_by(cases.len() as u64);
        let view = View::new(&self.store, true);
        let deciding = trace_span!(target: SPANS, "decide").entered();
        let decided = self.store.read(|tx| {
            let records = Records::read(tx, cases);
            let decide = |case: &Case<T>| {
                let member = records.get(tx, case.key())?;
                self.decide_on(tx, &view, case, member, moment)
            };
            Ok::<_, StoreError>(cases.iter().map(decide).collect::<Vec<_>>())
        });
        drop(deciding);
        let decided = match decided {
            Ok(decided) => decided,
            Err(error) => {
                let error = AnswerError::from(error);
                return cases.iter().map(|_| Look::Done(Err(error.clone()))).collect();
            }
        };
        let done = decided.iter().filter(|decided| matches!(decided, Ok((_, false)))).count();
        let _signing = trace_span!(target: SPANS, "sign", members = done).entered();
        let looks = cases.iter().zip(decided).map(|(case, decided)| match decided {
            Ok((decided, true)) => Look::Unsaved(Box::new(decided)),
            Ok((decided, false)) => Look::Done(self.finish(moment, case, &decided.decision)),
            Err(error) => Look::Done(Err(AnswerError::from(error))),
        });
        looks.collect()
    }

    /// Saves what decisions change, in one transaction, and signs what is to be sent. What is saved was decided in the
    /// transaction that saves it, so two members cannot get one address; it is on disk before anybody is told.
    pub(super) fn save<'a, T>(
        &self,
        moment: &Moment,
        unsaved: Vec<(&'a Case<T>, Decided)>,
    ) -> Vec<Result<Answer, AnswerError>> {
        let saving = trace_span!(target: SPANS, "save").entered();
        let saved = self.store.write_aside(|tx| {
            let view = View::new(&self.store, false);
            let save = |(case, _): &(&Case<T>, Decided)| self.save_one(tx, &view, case, moment);
            unsaved.iter().map(save).collect::<Result<Vec<_>, StoreError>>()
        });
        drop(saving);
        match saved {
            Ok(saved) => {
                let _signing = trace_span!(target: SPANS, "sign", members = saved.len()).entered();
                let finish = |((case, before), (decision, happened)): ((&'a Case<T>, Decided), _)| {
                    self.follow_save(before.stored.as_ref(), &decision, happened);
                    self.finish(moment, case, &decision)
                };
                unsaved.into_iter().zip(saved).map(finish).collect()
            }
            // One of them keeps the others from being saved.
            Err(error) if unsaved.len() > 1 && !error.is_outage() => {
                unsaved.into_iter().flat_map(|one| self.save(moment, vec![one])).collect()
            }
            Err(error) => {
                let (is_outage, error) = (error.is_outage(), AnswerError::from(error));
                let serve = |(case, decided): (&Case<T>, Decided)| {
                    if changed(&decided.decision).is_some_and(|new| is_newcomer(new, decided.stored.as_ref()))
                    {
                        lock(&self.newcomers).give_back(case.request.network, case.source);
                    }
                    if !is_outage || !can_wait(decided.stored.as_ref(), &decided.decision) {
                        return Err(error.clone());
                    }
                    self.finish(moment, case, &decided.decision)
                };
                unsaved.into_iter().map(serve).collect()
            }
        }
    }

    /// Signs what is to be sent.
    fn finish<T>(&self, moment: &Moment, case: &Case<T>, decision: &Decision) -> Result<Answer, AnswerError> {
        match decision {
            Decision::Admit { config, member: changed, lacks } => {
                if !lacks.is_empty() {
                    self.tell_of_lack(moment, case.key(), lacks);
                }
                let issued = self.memo.issue(config, &self.secret)?;
                // The record is another one now.
                let is_lasting = changed.is_none();
                let lasting =
                    Lasting::of(config.network(), moment.generation, &issued).filter(|_| is_lasting);
                Ok(admit(case, issued, lasting))
            }
            Decision::Refuse { refusal, .. } => self.refuse_request(moment, case, *refusal),
        }
    }

    /// Says that a member gets no address because the pools of its network have none left.
    fn tell_of_lack(&self, moment: &Moment, (network, member): Key, lacks: &[Family]) {
        self.tally.without_address.inc();
        if lock(&self.used_up).is_to_be_said(network, moment.now.mono) {
            let families = lacks.iter().map(Family::to_string).collect::<Vec<_>>().join(" and ");
            warn!(%network, %member, %families, "a member gets no address: the pools of its network have none left");
        }
    }

    fn refuse_request<T>(
        &self,
        moment: &Moment,
        case: &Case<T>,
        refusal: Refusal,
    ) -> Result<Answer, AnswerError> {
        let (network, member) = case.key();
        let is_over =
            refusal == Refusal::UnknownNetwork && self.store.read(|tx| tx.networks().was_removed(network))?;
        let client = Client::of(&case.request.metadata);
        let farewell = is_over.then(|| farewell(network, member, client, moment.issued)).flatten();
        Ok(Answer::Refusal(refusal, farewell))
    }

    /// Decides, and says whether something is to be saved.
    fn decide_on<T>(
        &self,
        tx: &Tx<'_>,
        view: &View,
        case: &Case<T>,
        member: Option<Member>,
        moment: &Moment,
    ) -> Result<(Decided, bool), StoreError> {
        let Case { request, source, .. } = case;
        let decided = self.decide_in(tx, view, request, member, moment)?;
        let Decided { decision, stored } = &decided;
        let is_to_be_saved = match changed(decision) {
            Some(changed) if is_newcomer(changed, stored.as_ref()) => {
                if !self.admits_newcomer(tx, request.network, *source, moment.now)? {
                    let decision = Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
                    return Ok((Decided { decision, ..decided }, false));
                }
                true
            }
            Some(_) if is_stranger(decision, stored.as_ref()) => {
                admit_stranger(tx, request.network, *source, moment.now.wall)? != Admission::Full
            }
            Some(_) => true,
            None => is_pending_to_be_noted(tx, decision, request, moment.now.wall)?,
        };
        Ok((decided, is_to_be_saved))
    }

    /// Decides once more, and saves what that changes. Returns as well what is to be told to those who watch.
    fn save_one<T>(
        &self,
        tx: &Tx<'_>,
        view: &View,
        case: &Case<T>,
        moment: &Moment,
    ) -> Result<(Decision, Vec<Event>), StoreError> {
        let (Case { request, source, .. }, now) = (case, moment.now);
        let (network, address) = case.key();
        let member = tx.members().get(network, address)?;
        let Decided { decision, stored } = self.decide_in(tx, view, request, member, moment)?;
        let mut is_saved = true;
        match changed(&decision) {
            Some(changed)
                if is_stranger(&decision, stored.as_ref()) && !is_newcomer(changed, stored.as_ref()) =>
            {
                is_saved = save_stranger(tx, changed, *source, now.wall)?;
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
        Ok((decision, happened))
    }

    /// Does what follows a save. `stored` is the record before it.
    fn follow_save(&self, stored: Option<&Member>, decision: &Decision, happened: Vec<Event>) {
        self.events.publish(&happened);
        let Some(changed) = changed(decision) else { return };
        let was_authorized = stored.is_some_and(|stored| stored.authorized);
        self.tally.changes.count_member(was_authorized, changed.authorized);
        if changed.active_bridge {
            // The others are told of bridges.
            self.store.raise_generation();
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

    /// Decides on what is stored, of which `member` was read already. The network is read only if it may have changed since
    /// it was last read.
    fn decide_in(
        &self,
        tx: &Tx<'_>,
        view: &View,
        request: &ConfigRequest,
        member: Option<Member>,
        moment: &Moment,
    ) -> Result<Decided, StoreError> {
        let generation = view.generation(&self.store);
        let known = generation.and_then(|generation| lock(&self.commons).find(request.network, generation));
        let common = match known {
            Some(common) => Some(common),
            None => tx.common(request.network)?,
        };
        if let (Some(common), Some(generation), true) = (&common, generation, view.is_committed) {
            lock(&self.commons).keep(common, generation);
        }
        let snapshot = common.map(|common| tx.snapshot_with(&common, member)).transpose()?;
        let time = DecisionTime { wall: moment.now.wall, issued: moment.issued };
        let decision = decide(snapshot.as_ref(), request, time);
        Ok(Decided { decision, stored: snapshot.and_then(|snapshot| snapshot.member) })
    }
}

fn admit<T>(case: &Case<T>, issued: Arc<Issued>, lasting: Option<Lasting>) -> Answer {
    let (left_out, (network, member)) = (issued.left_out(), case.key());
    if left_out > 0 {
        warn!(%network, %member, left_out, "configuration cut: a client before 1.2.0 takes one packet");
    }
    Answer::Config(issued, lasting)
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
