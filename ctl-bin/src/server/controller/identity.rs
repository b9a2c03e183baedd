//! Which identities are believed, and what is noted about those who asked.

use std::net::SocketAddr;
use std::sync::Arc;

use ctl_core::{ConfigRequest, Event, EventKind};
use ctl_store::StoreError;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};
use zt_crypto::{InvalidIdentity, VerifiedIdentity};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, PublicIdentity};

use super::super::members::{Answered, Key, Standing};
use super::super::notes::{NOTES_AT_ONCE, Notes};
use super::super::udp::Command;
use super::{Controller, lock};
use crate::vl1::{Node, Now};

/// Members that are named one by one when their last seen data cannot be saved, at a time.
const MAX_NAMED: usize = 10;

/// Identities that the node takes in between two looks at its sockets: what waited for one costs some 100 µs.
const MAX_TAKEN_IN: usize = 16;

/// Why an identity is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    #[error("a member has this address with other keys")]
    Taken,
    #[error(transparent)]
    Invalid(#[from] InvalidIdentity),
}

/// Returns the identities of those of these nodes that are peers.
pub(in super::super) type Identities = Box<dyn Fn(Vec<Address>) -> Vec<PublicIdentity> + Send + Sync>;

/// Asks the node for identities, and waits until it has time, on threads that may block.
pub(in super::super) fn identities_of(node: mpsc::Sender<Command>) -> Identities {
    Box::new(move |peers| {
        let (answer, answered) = oneshot::channel();
        let identify = move |node: &mut Node, _| {
            // Nobody waits any more when the program ends.
            drop(answer.send(peers.into_iter().filter_map(|peer| node.identity_of(peer)).collect()));
        };
        match node.blocking_send(Box::new(identify)) {
            Ok(()) => answered.blocking_recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    })
}

impl Controller {
    /// Verifies an identity and tells the node.
    pub(in super::super) fn verify(&self, identity: PublicIdentity) {
        match self.judge(identity) {
            Ok(verified) => self.command(move |node, now| node.identity_verified(now, &verified)),
            Err(reason) => {
                debug!(peer = %identity.address, %reason, "identity refused");
                self.refuse(identity);
            }
        }
    }

    /// Verifies an identity. That takes some milliseconds of computing, unless it was done before, be it by an earlier
    /// process.
    pub(super) fn judge(&self, identity: PublicIdentity) -> Result<VerifiedIdentity, Distrust> {
        match self.store.read(|tx| tx.verified_identities().get(identity.address)) {
            Ok(Some(known)) if known == identity => return Ok(VerifiedIdentity::trusted(known)),
            // An address is 40 bits, for which somebody can find a second identity.
            Ok(Some(_)) => return Err(Distrust::Taken),
            Ok(None) => {}
            Err(error) => error!(peer = %identity.address, %error, "identity not looked up"),
        }
        Ok(VerifiedIdentity::verify(identity)?)
    }

    /// Tells the node that an identity was not verified.
    pub(in super::super) fn refuse(&self, identity: PublicIdentity) {
        self.command(move |node, _| node.identity_refused(&identity));
    }

    /// Looks up the identities of nodes that are members somewhere: after a restart their packets can be read at once.
    /// Returns those that nobody has verified yet, which takes its time.
    pub(in super::super) fn recall(&self, addresses: &[Address]) -> Vec<PublicIdentity> {
        let known = self.store.read(|tx| {
            let verified = tx.verified_identities().list(addresses)?;
            let is_left = |address: &Address| {
                verified.binary_search_by_key(address, |identity| identity.address).is_err()
            };
            let left: Vec<_> = addresses.iter().copied().filter(is_left).collect();
            // Imported, or never heard since; of strangers none.
            let claimed = if left.is_empty() { Vec::new() } else { tx.members().identities(&left)? };
            Ok::<_, StoreError>((verified, claimed))
        });
        let (verified, claimed) = match known {
            Ok(known) => known,
            Err(error) => {
                error!(%error, "identities not looked up");
                return Vec::new();
            }
        };
        for some in verified.chunks(MAX_TAKEN_IN) {
            // Keys are agreed on here, since the node has enough to do. One that is too weak was no member's.
            let agreed = |identity: &PublicIdentity| Some((*identity, self.secret.agree(identity).ok()?));
            let some: Vec<_> = some.iter().filter_map(agreed).collect();
            self.command(move |node, now| {
                for (identity, key) in some {
                    node.identity_agreed(now, &VerifiedIdentity::trusted(identity), key);
                }
            });
        }
        claimed
    }

    /// Remembers who asked, and what a member was `answered` that may ask in the same way again; says whether it may have missed
    /// something.
    pub(super) fn note(
        &self,
        request: &ConfigRequest,
        answered: Option<Answered>,
        from: Option<SocketAddr>,
        standing: Standing,
        now: Now,
    ) -> bool {
        let ConfigRequest { network, identity, ref metadata, .. } = *request;
        let metadata = lock(&self.members).share(metadata);
        let said = (from, Arc::clone(&metadata));
        let mut notes = lock(&self.notes);
        let is_noted = notes.sighting(network, identity.address, said, now.wall);
        if notes.are_many() {
            self.many_noted.notify_one();
        }
        drop(notes);
        // Else the next request is noted in full.
        let answered = answered.filter(|_| is_noted);
        let key = (network, identity.address);
        let may_have_missed = self.is_here(key, metadata, answered, standing, now);
        if may_have_missed {
            lock(&self.notes).identity(identity, now.wall);
        }
        may_have_missed
    }

    /// Takes a node as online; says whether it may have missed something.
    pub(super) fn is_here(
        &self,
        key: Key,
        metadata: Arc<RequestMetadata>,
        answered: Option<Answered>,
        standing: Standing,
        now: Now,
    ) -> bool {
        let (network, member) = key;
        let mut members = lock(&self.members);
        let was_online = members.online(key, now.mono).is_some();
        let may_have_missed = members.note(key, metadata, answered, standing, now.mono);
        drop(members);
        // Not of those that were refused, who may be any number.
        if standing == Standing::Admitted && !was_online {
            let kind = EventKind::MemberSeen;
            let event = Event { kind, network, member: Some(member), revision: None, time: now.wall };
            self.events.publish(&[event]);
        }
        may_have_missed
    }

    /// Saves what was noted since the last time. What cannot be saved is tried again with the next.
    pub(in super::super) fn save_notes(&self, now: Now) {
        // What comes meanwhile is saved the next time, together with what comes until then.
        let again = lock(&self.notes).take_again();
        let again = again.into_lasts();
        // A batch at a time, so that all are in memory once, and nobody waits long for the lock.
        let mut parts = again.parts(NOTES_AT_ONCE);
        while let Some(part) = parts.next() {
            lock(&self.notes).put_again(part);
            if !self.save_next(now) {
                parts.for_each(|part| lock(&self.notes).put_again(part));
                return;
            }
        }
        let batches = lock(&self.notes).batches(NOTES_AT_ONCE);
        for _ in 0..batches {
            if !self.save_next(now) {
                return;
            }
        }
    }

    /// Saves a batch of what is noted; false if that has to wait.
    fn save_next(&self, now: Now) -> bool {
        let batch = lock(&self.notes).take(NOTES_AT_ONCE);
        let Some((error, unsaved)) = self.save_batch(batch, now) else { return true };
        let waiting = lock(&self.notes).take_back(unsaved);
        warn!(%error, waiting, "last seen data not saved; it is tried again");
        false
    }

    /// Saves notes in one transaction. If one of them cannot be saved, because something of its record is damaged, it is
    /// named, and the others are saved, in as many transactions as it takes to find that one. Returns what an outage of the
    /// database left unsaved, with its cause.
    fn save_batch(&self, batch: Notes, now: Now) -> Option<(StoreError, Notes)> {
        let mut parts = vec![batch];
        let mut unsavable = 0;
        while let Some(mut part) = parts.pop() {
            match self.store.write_aside(|tx| part.save(tx, now.wall)) {
                Ok(()) => {}
                Err(error) if error.is_outage() => {
                    parts.into_iter().for_each(|rest| part.join(rest));
                    return Some((error, part));
                }
                Err(error) => match part.halves() {
                    Ok((first, second)) => parts.extend([second, first]),
                    Err(single) => {
                        lock(&self.notes).set_aside(&single, now.wall);
                        unsavable += 1;
                        if unsavable <= MAX_NAMED {
                            error!(note = %single, %error, "last seen data of one member cannot be saved");
                        }
                    }
                },
            }
        }
        if unsavable > MAX_NAMED {
            error!(more = unsavable - MAX_NAMED, "last seen data of more members cannot be saved");
        }
        None
    }

    /// Removes old entries of the audit log.
    pub(in super::super) fn sweep_audit_log(&self, now: Now) {
        match self.store.write_aside(|tx| tx.audit().sweep(self.certain_time(now))) {
            Ok(0) => {}
            Ok(entries) => info!(entries, "old entries of the audit log removed"),
            Err(error) => warn!(%error, "old entries of the audit log not removed"),
        }
    }
}
