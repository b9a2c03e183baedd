//! What is sent without being asked for: configurations after a change, refusals, revocations (`vl2.md` §11).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ctl_core::pending::Source;
use ctl_core::{ConfigRequest, Issued, Refusal, RequestKind, Sending};
use tracing::{debug, error};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId};

use super::super::clock;
use super::super::members::Standing;
use super::super::push::Due;
use super::answer::{Answer, AnswerError, Outbox};
use super::prepare::Case;
use super::{Controller, lock};
use crate::vl1::Now;

/// Packets that are sent one after the other, and the pause after so many: a burst of more would be lost on the way.
const BURST: usize = 64;
const PAUSE: Duration = Duration::from_millis(2);
/// How many of these are made together: what wakes the node takes as long as one of them.
const TOGETHER: usize = 16;

/// A push that is being made.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    due: Due,
    /// Whether the member believes to be in the network.
    is_configured: bool,
}

impl Controller {
    /// Sends what is due now, but never so much that others would wait for it; returns when there is more. Revocations
    /// and what somebody waits for never wait for a large network.
    pub(in super::super) fn send_due(&self) -> Option<Instant> {
        for _ in 0..BURST / TOGETHER {
            let now = clock::now();
            let (mut outbox, mut dues) = (Outbox::new(), Vec::new());
            let is_all = (0..TOGETHER).any(|_| !self.take_due(&mut outbox, &mut dues, now));
            self.push_all(dues, outbox, now);
            if is_all {
                return self.next_due(now);
            }
        }
        Some(clock::now().mono + PAUSE)
    }

    /// Takes what is next, a packet with revocations and a push, and says whether there was anything.
    fn take_due(&self, outbox: &mut Outbox, dues: &mut Vec<Due>, now: Now) -> bool {
        let revocations = lock(&self.revocations).take(now.mono, &self.secret);
        let has_revocations = revocations.is_some();
        if let Some((destination, payload)) = revocations {
            self.tally.revocation_packets.inc();
            debug!(member = %destination, size_bytes = payload.len(), "revocations sent");
            outbox.push(Box::new(move |node, now| node.push_credentials(now, destination, &payload)));
        }
        let members = lock(&self.members);
        let due = lock(&self.pushes).take(&members, now.mono);
        dues.extend(due);
        has_revocations || due.is_some()
    }

    /// Takes a member as online that has shown in another way than by a request that it is there, with what it said of
    /// itself before, and sends it what is. Nothing if it asks by itself.
    pub(in super::super) fn welcome(
        &self,
        network: NetworkId,
        member: Address,
        metadata: &RequestMetadata,
        now: Now,
    ) {
        let key = (network, member);
        if lock(&self.members).has_asked(key, now.mono) {
            return;
        }
        let metadata = lock(&self.members).share(metadata);
        // Also if it may no longer be in: only who counts as admitted is told so.
        let may_have_missed = self.is_here(key, metadata, None, Standing::Admitted, now);
        if may_have_missed {
            self.catch_up(network, member, now);
        }
        lock(&self.pushes).member(key);
        self.outgoing.notify_one();
    }

    fn next_due(&self, now: Now) -> Option<Instant> {
        let pushes = lock(&self.pushes).next_due(now.mono);
        let revocations = lock(&self.revocations).next_due();
        [pushes, revocations].into_iter().flatten().min()
    }

    /// Sends what is in the outbox, and tells members what is, if they are online.
    fn push_all(&self, dues: Vec<Due>, mut outbox: Outbox, now: Now) {
        let mut pushed = Vec::with_capacity(dues.len());
        for due in dues {
            let (network, member) = due.key;
            match lock(&self.members).online(due.key, now.mono) {
                Some(seen) if seen.takes_pushes() => {
                    let about = Pushed { due, is_configured: seen.is_configured() };
                    pushed.push((about, Arc::clone(&seen.metadata)));
                    continue;
                }
                // It never acknowledges anything; but it asks again, if not in vain.
                Some(_) if lock(&self.pushes).put_off(due, now.mono) => continue,
                Some(_) => {
                    outbox.push(Box::new(move |node, now| node.push_config(now, member, network, &[])))
                }
                None => {}
            }
            lock(&self.pushes).dropped(due);
        }
        self.command_all(outbox);
        let cases = self.identified(pushed);
        if !cases.is_empty() {
            self.tell_all(&cases, now, || {}, |case, answer, outbox| self.push(case, answer, now, outbox));
        }
    }

    /// Returns whom to push to: the node knows their keys. Who is a peer no more asks when it comes back.
    fn identified(&self, pushed: Vec<(Pushed, Arc<RequestMetadata>)>) -> Vec<Case<Pushed>> {
        if pushed.is_empty() {
            return Vec::new();
        }
        let identities = (self.identities)(pushed.iter().map(|(about, _)| about.due.key.1).collect());
        let identities: BTreeMap<_, _> = identities.into_iter().map(|known| (known.address, known)).collect();
        let identify = |(about, metadata): (Pushed, Arc<RequestMetadata>)| {
            let (network, member) = about.due.key;
            let Some(identity) = identities.get(&member).copied() else {
                lock(&self.pushes).dropped(about.due);
                return None;
            };
            let (metadata, kind) = (RequestMetadata::clone(&metadata), RequestKind::Push);
            let request = ConfigRequest { network, identity, metadata, kind };
            Some(Case { about, request, source: Source::Relayed })
        };
        pushed.into_iter().filter_map(identify).collect()
    }

    /// Tells a member what is; says whether it was refused before, so that it knows nothing of what was revoked.
    fn push(
        &self,
        case: &Case<Pushed>,
        answer: Result<Answer, AnswerError>,
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        let Pushed { due, is_configured } = case.about;
        let (network, member) = due.key;
        match answer {
            Ok(Answer::Config(issued, _)) => {
                let sending = issued.sign_sending(self.update_id(), 0, &self.secret);
                return self.push_config(due, &issued, &sending, now, outbox);
            }
            Ok(Answer::Refusal(refusal, farewell)) if is_configured => {
                self.push_refusal(due, refusal, farewell, now, outbox);
                return false;
            }
            // It was told when it asked.
            Ok(Answer::Refusal(..)) => {}
            Err(AnswerError::Store(error)) if error.is_outage() => self.drop_request(&error),
            Err(AnswerError::Store(error)) => {
                error!(%network, %member, %error, "configuration not pushed");
            }
            // It is told when it asks.
            Err(AnswerError::TooLong(error)) => self.count_too_long(network, member, &error),
        }
        lock(&self.pushes).dropped(due);
        false
    }

    /// Says whether the member was refused before.
    fn push_config(
        &self,
        due: Due,
        issued: &Issued,
        sending: &Sending,
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        let (network, member) = due.key;
        self.count_push(due);
        let payloads = issued.pushed(sending);
        lock(&self.pushes).sent(due, sending.update_id().get(), now.mono);
        outbox.push(Box::new(move |node, now| node.push_prepared(now, member, network, &payloads)));
        lock(&self.members).pushed(due.key, Standing::Admitted, now.mono)
    }

    /// Tells a member that believes to be in the network that it no longer is. Nobody acknowledges an error, so it is told
    /// twice, unless it asks in between.
    fn push_refusal(
        &self,
        due: Due,
        refusal: Refusal,
        farewell: Option<Issued>,
        now: Now,
        outbox: &mut Outbox,
    ) {
        let (network, member) = due.key;
        self.count_push(due);
        let update_id = self.update_id();
        if due.is_repeated() && farewell.is_none() {
            lock(&self.pushes).dropped(due);
            lock(&self.members).pushed(due.key, Standing::Refused, now.mono);
        } else {
            lock(&self.pushes).sent(due, update_id.get(), now.mono);
        }
        debug!(%network, %member, ?refusal, "told to be refused");
        let farewell = farewell.map(|issued| issued.push(update_id, &self.secret));
        outbox.push(Box::new(move |node, now| {
            if let Some(chunks) = farewell {
                node.push_config(now, member, network, &chunks);
            }
            node.push_error(now, member, refusal.error_code(), network);
        }));
    }

    fn count_push(&self, due: Due) {
        self.tally.pushes.inc();
        if due.is_repeated() {
            self.tally.repeated_pushes.inc();
        }
    }

    /// Sees that a member that comes back learns what was revoked while it was away.
    pub(super) fn catch_up(&self, network: NetworkId, member: Address, now: Now) {
        self.network_is_here(network, now);
        let takes =
            lock(&self.members).online((network, member), now.mono).is_some_and(|seen| seen.takes_pushes());
        if takes && lock(&self.revocations).catch_up(network, member, now.mono) {
            self.outgoing.notify_one();
        }
    }
}
