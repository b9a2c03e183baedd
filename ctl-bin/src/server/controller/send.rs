//! What is sent without being asked for: configurations after a change, refusals, revocations (`vl2.md` §11).

use std::time::{Duration, Instant};

use ctl_core::pending::Source;
use ctl_core::{ConfigRequest, Issued, Refusal, RequestKind};
use tracing::{debug, error};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity};

use super::super::clock;
use super::super::push::Due;
use super::super::seen::Standing;
use super::answer::{Answer, AnswerError};
use super::{Controller, lock};
use crate::vl1::Now;

/// Packets that are sent one after the other, and the pause after so many: a burst of more would be lost on the way.
const BURST: usize = 64;
const PAUSE: Duration = Duration::from_millis(2);

impl Controller {
    /// Sends what is due now, but never so much that others would wait for it; returns when there is more. Revocations
    /// and what somebody waits for never wait for a large network.
    pub(in super::super) fn send_due(&self) -> Option<Instant> {
        for _ in 0..BURST {
            let now = clock::now();
            let revocations = lock(&self.revocations).take(now.mono, &self.secret);
            let has_revocations = revocations.is_some();
            if let Some((destination, payload)) = revocations {
                self.tally.revocation_packets.inc();
                debug!(member = %destination, size_bytes = payload.len(), "revocations sent");
                self.command(move |node, now| node.push_credentials(now, destination, &payload));
            }
            let due = {
                let seen = lock(&self.seen);
                lock(&self.pushes).take(&seen, now.mono)
            };
            match due {
                Some(due) => self.push(due, now),
                None if has_revocations => {}
                None => return self.next_due(now),
            }
        }
        Some(clock::now().mono + PAUSE)
    }

    /// Takes a member as online that has shown in another way than by a request that it is there, with what it said of
    /// itself before, and sends it what is. Nothing if it asks by itself.
    pub(in super::super) fn welcome(
        &self,
        network: NetworkId,
        identity: PublicIdentity,
        metadata: RequestMetadata,
        now: Now,
    ) {
        let member = identity.address;
        if lock(&self.seen).has_asked(network, member, now.mono) {
            return;
        }
        // Also if it may no longer be in: only who counts as admitted is told so.
        let may_have_missed = self.is_here(network, identity, metadata, None, Standing::Admitted, now);
        if may_have_missed {
            self.catch_up(network, member, now);
        }
        lock(&self.pushes).member((network, member));
        self.outgoing.notify_one();
    }

    fn next_due(&self, now: Now) -> Option<Instant> {
        let pushes = lock(&self.pushes).next_due(now.mono);
        let revocations = lock(&self.revocations).next_due();
        [pushes, revocations].into_iter().flatten().min()
    }

    /// Tells a member what is, if it is online.
    fn push(&self, due: Due, now: Now) {
        let (network, member) = due.key;
        let seen = lock(&self.seen).online(network, member, now.mono).cloned();
        let Some(seen) = seen else { return lock(&self.pushes).dropped(due) };
        if !seen.takes_pushes() {
            // It never acknowledges anything; but it asks again.
            self.command(move |node, now| node.push_config(now, member, network, &[]));
            return lock(&self.pushes).dropped(due);
        }
        let is_configured = seen.is_configured();
        let request = ConfigRequest {
            network,
            identity: seen.identity,
            metadata: (*seen.metadata).clone(),
            kind: RequestKind::Push,
        };
        let told = self.tell(
            due.key,
            || self.prepare(&request, None, Source::Relayed, now),
            |answer| match answer {
                Answer::Config(issued) => self.push_config(due, &issued, now),
                Answer::Refusal(refusal, farewell) if is_configured => {
                    self.push_refusal(due, refusal, farewell, now);
                    false
                }
                // It was told when it asked.
                Answer::Refusal(..) => {
                    lock(&self.pushes).dropped(due);
                    false
                }
            },
        );
        match told {
            // It was refused before, so it knows nothing of what was revoked.
            Ok(true) => self.catch_up(network, member, now),
            Ok(false) => {}
            Err(error) => {
                match error {
                    AnswerError::Store(error) if error.is_outage() => self.drop_request(&error),
                    AnswerError::Store(error) => {
                        error!(%network, %member, %error, "configuration not pushed");
                    }
                    // It is told when it asks.
                    AnswerError::TooLong(error) => self.count_too_long(network, member, &error),
                }
                lock(&self.pushes).dropped(due);
            }
        }
    }

    /// Says whether the member was refused before.
    fn push_config(&self, due: Due, issued: &Issued, now: Now) -> bool {
        let (network, member) = due.key;
        self.count_push(due);
        let update_id = self.update_id();
        let chunks = issued.push(update_id, &self.secret);
        lock(&self.pushes).sent(due, update_id.get(), now.mono);
        self.command(move |node, now| node.push_config(now, member, network, &chunks));
        lock(&self.seen).pushed(network, member, Standing::Admitted, now.mono)
    }

    /// Tells a member that believes to be in the network that it no longer is. Nobody acknowledges an error, so it is told
    /// twice, unless it asks in between.
    fn push_refusal(&self, due: Due, refusal: Refusal, farewell: Option<Issued>, now: Now) {
        let (network, member) = due.key;
        self.count_push(due);
        let update_id = self.update_id();
        if due.is_repeated() && farewell.is_none() {
            lock(&self.pushes).dropped(due);
            lock(&self.seen).pushed(network, member, Standing::Refused, now.mono);
        } else {
            lock(&self.pushes).sent(due, update_id.get(), now.mono);
        }
        debug!(%network, %member, ?refusal, "told to be refused");
        let farewell = farewell.map(|issued| issued.push(update_id, &self.secret));
        self.command(move |node, now| {
            if let Some(chunks) = farewell {
                node.push_config(now, member, network, &chunks);
            }
            node.push_error(now, member, refusal.error_code(), network);
        });
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
            lock(&self.seen).online(network, member, now.mono).is_some_and(|seen| seen.takes_pushes());
        if takes && lock(&self.revocations).catch_up(network, member, now.mono) {
            self.outgoing.notify_one();
        }
    }
}
