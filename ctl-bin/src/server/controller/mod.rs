//! The controller at work: what it knows, and what a committed change asks for (`vl2.md` §10, §11).
//!
//! `answer.rs` answers requests, with what `prepare.rs` prepares, `identity.rs` knows who asks, `send.rs` sends what nobody asked for, `revoke.rs` knows
//! whose certificates are void.

mod answer;
mod caused;
mod commons;
mod identity;
mod prepare;
mod revoke;
mod send;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use ctl_core::pending::{FORGOTTEN_AFTER, SAFE_FOR};
use ctl_core::{Change, Memo};
use ctl_http::Events;
use ctl_store::{Store, StoreError};
use rand_chacha::ChaCha20Rng;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, error, info, warn};
use zt_crypto::IdentitySecret;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use super::clock::millis;
use super::issue_allowance::IssueAllowance;
use super::issue_clock::IssueClock;
use super::members::{Asked, Members, Standing};
use super::newcomers::Newcomers;
use super::notes::Notes;
use super::push::Pushes;
use super::revocations::{REVOKED_FOR, Revocations};
use super::tally::Tally;
use super::turns::Turns;
use super::udp::Command;
use super::used_up::UsedUp;
use crate::vl1::{Node, Now};
use commons::Commons;
pub(super) use identity::{Identities, identities_of};

/// Rows that are removed in one transaction: other writers wait no longer than for that.
const SWEPT_AT_ONCE: u32 = 256;

/// Serves members. All methods block on the database, so they are called where that is allowed.
pub(super) struct Controller {
    secret: Arc<IdentitySecret>,
    store: Store,
    /// What was issued and may be sent again, and the times of issue.
    memo: Memo,
    /// Of what clients say.
    hasher: RandomState,
    commons: Mutex<Commons>,
    /// Never held while something else is waited for.
    issue_clock: Mutex<IssueClock>,
    allowance: Mutex<IssueAllowance>,
    rng: Mutex<ChaCha20Rng>,
    members: Mutex<Members>,
    notes: Mutex<Notes>,
    newcomers: Mutex<Newcomers>,
    used_up: Mutex<UsedUp>,
    /// Held by whoever tells a member what is.
    turns: Turns,
    /// Locked after `members`, where both are.
    pushes: Mutex<Pushes>,
    revocations: Mutex<Revocations>,
    /// Whose session ended until then is revoked.
    sessions_looked_at: Mutex<Timestamp>,
    /// Rings when there is something to send that nobody asked for.
    pub(super) outgoing: Notify,
    /// Rings when notes should be saved before their time.
    pub(super) many_noted: Notify,
    pub(super) tally: Tally,
    /// Gets what members do by asking.
    events: Events,
    /// Requests that could not be answered since [`Controller::tidy`] last said so.
    dropped: AtomicU64,
    /// Configurations that no client would take; likewise.
    too_long: AtomicU64,
    /// Asks the node.
    identities: Identities,
    node: mpsc::Sender<Command>,
    /// When it was started, by the clock that is set and by the one that is not; no earlier than the database was last used.
    began: Now,
}

/// A controller that the tasks of the server share.
pub(super) type SharedController = Arc<Controller>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with the lock held left a table that is still consistent: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Controller {
    /// Takes up where the controller ended that used this store before.
    pub(super) fn new(
        secret: Arc<IdentitySecret>,
        store: Store,
        rng: ChaCha20Rng,
        (node, identities): (mpsc::Sender<Command>, Identities),
        (tally, events): (Tally, Events),
        now: Now,
    ) -> Result<Self, StoreError> {
        let allowed = store.read(|tx| tx.issued_until())?;
        let allowance = IssueAllowance::new(allowed);
        let controller = Self {
            secret,
            store,
            memo: Memo::new(),
            hasher: RandomState::new(),
            commons: Mutex::default(),
            issue_clock: Mutex::new(IssueClock::new(allowance.extended(), now)),
            allowance: Mutex::new(allowance),
            rng: Mutex::new(rng),
            members: Mutex::default(),
            notes: Mutex::default(),
            newcomers: Mutex::new(Newcomers::new(now.mono)),
            used_up: Mutex::default(),
            turns: Turns::default(),
            pushes: Mutex::new(Pushes::new(available_parallelism().map_or(1, usize::from), now.mono)),
            revocations: Mutex::default(),
            sessions_looked_at: Mutex::new(now.wall),
            outgoing: Notify::new(),
            many_noted: Notify::new(),
            tally,
            events,
            dropped: AtomicU64::new(0),
            too_long: AtomicU64::new(0),
            identities,
            node,
            began: Now { wall: if allowed == Timestamp(0) { now.wall } else { allowed }, ..now },
        };
        // Whatever was issued before is no newer.
        controller.memo.issue_time(allowed);
        controller.restore_revocations(now)?;
        Ok(controller)
    }

    /// Does what committed changes ask for, in the order in which they were made, all but the sending. Members of a network that
    /// were revoked one after the other are one mass.
    pub(super) fn follow(&self, changes: &[Change], now: Now) {
        // All of it is in the database: what that look did not find because it came too early, the next finds.
        let seen = now.wall.max(*lock(&self.sessions_looked_at));
        let mut changes = changes.iter().copied().peekable();
        while let Some(change) = changes.next() {
            match change {
                Change::Network(network) => {
                    info!(%network, "network changed");
                    self.network_is_here(network, now);
                    lock(&self.pushes).network(network);
                }
                Change::NetworkRemoved(network) => {
                    info!(%network, "network removed");
                    self.network_removed(network, now);
                    lock(&self.pushes).network(network);
                }
                Change::Member { network, member } => lock(&self.pushes).member((network, member)),
                // It is told when its session ends; the others when it does.
                Change::SessionCutShort { network, member, ends } if ends > seen => {
                    lock(&self.pushes).member((network, member));
                }
                Change::MemberRevoked { network, member }
                | Change::SessionCutShort { network, member, .. } => {
                    let mut revoked = vec![member];
                    while let Some(Some((of, member))) = changes.peek().map(|next| next.revoked(seen))
                        && of == network
                    {
                        revoked.push(member);
                        changes.next();
                    }
                    self.revoke(network, &revoked, now);
                }
            }
        }
        self.outgoing.notify_one();
    }

    /// Returns a hash of who asks, of what it says and from where, by which it is known when it asks in the same way again.
    fn asked(&self, identity: &PublicIdentity, metadata: &[u8], from: Option<SocketAddr>) -> Asked {
        Asked(self.hasher.hash_one((identity, metadata, from)))
    }

    /// Returns the present by which it is judged how old something is that was issued.
    fn present(&self, now: Now) -> Timestamp {
        lock(&self.issue_clock).read(now)
    }

    /// Returns a time of issue, when the disk knows that it may have been used.
    fn issue_time(&self, now: Now) -> Timestamp {
        let present = self.present(now);
        let time = self.memo.issue_time(present);
        self.await_allowance(time, present);
        time
    }

    fn await_allowance(&self, time: Timestamp, present: Timestamp) {
        let mut allowance = lock(&self.allowance);
        if let Some(until) = allowance.missing(time, present) {
            self.allow_issuing(&mut allowance, until);
        }
    }

    fn allow_issuing(&self, allowance: &mut IssueAllowance, until: Timestamp) {
        if let Err(error) = self.store.write_aside(|tx| tx.allow_issuing_until(until)) {
            // Members are better served with times that a restart could repeat than not at all. It is tried again.
            error!(%error, "time of issue not saved");
        }
        allowance.extend(until);
    }

    /// Takes the acknowledgement of a push.
    pub(super) fn acknowledged(&self, network: NetworkId, member: Address, update_id: u64, now: Now) {
        if lock(&self.pushes).acknowledged((network, member), update_id) {
            self.tally.acknowledged_pushes.inc();
            debug!(%network, %member, "push acknowledged");
            lock(&self.members).pushed((network, member), Standing::Admitted, now.mono);
        }
    }

    /// Forgets what is no longer needed, and does ahead of time what somebody would otherwise wait for.
    pub(super) fn tidy(&self, now: Now) {
        lock(&self.members).sweep(now.mono);
        lock(&self.revocations).sweep(now.mono);
        {
            let mut allowance = lock(&self.allowance);
            if let Some(until) = allowance.renewal(self.present(now)) {
                self.allow_issuing(&mut allowance, until);
            }
        }
        let lead = lock(&self.issue_clock).lead_to_tell(now);
        if let Some(lead) = lead {
            warn!(
                ahead_seconds = lead / 1000,
                "the clock was set back: configurations are issued with times that go on from before that"
            );
        }
        if let Err(error) = self.sweep_store(now) {
            error!(%error, "old records not removed");
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            warn!(dropped, "requests were dropped, as the database could not be written");
        }
        let too_long = self.too_long.swap(0, Ordering::Relaxed);
        if too_long > 0 {
            warn!(too_long, "members got an error, as no client would take their configuration");
        }
    }

    /// Returns the time by which it is judged how old something is that is to be removed then: that which has passed for
    /// certain since the database was last used, so that a start with a clock that is ahead removes nothing.
    fn certain_time(&self, now: Now) -> Timestamp {
        let passed = now.mono.saturating_duration_since(self.began.mono);
        now.wall.min(self.began.wall.plus_millis(millis(passed)))
    }

    /// Removes strangers that no longer ask and revocations that no longer matter, in small transactions.
    fn sweep_store(&self, now: Now) -> Result<(), StoreError> {
        let limit = SWEPT_AT_ONCE as usize;
        // A clock that is wrong at the start was set by then.
        let is_set = millis(now.mono.saturating_duration_since(self.began.mono)) >= SAFE_FOR;
        let (wall, now) = (now.wall, self.certain_time(now));
        let ahead = wall.plus_millis(SAFE_FOR);
        if is_set && self.store.read(|tx| tx.pending().is_any_after(ahead))? {
            self.store.write_aside(|tx| tx.pending().bring_back(ahead, wall))?;
        }
        let strangers = before(now, FORGOTTEN_AFTER);
        if self.store.read(|tx| tx.pending().is_any_until(strangers))? {
            while self.store.write_aside(|tx| tx.pending().remove_until(strangers, SWEPT_AT_ONCE))? == limit {
            }
        }
        let revoked = before(now, millis(REVOKED_FOR));
        if self.store.read(|tx| tx.revoked().is_any_until(revoked))? {
            while self.store.write_aside(|tx| tx.revoked().forget_until(revoked, SWEPT_AT_ONCE))? == limit {}
        }
        Ok(())
    }

    fn command(&self, command: impl FnOnce(&mut Node, Now) + Send + 'static) {
        // Called from threads that may block; the loop ends only with the program.
        if self.node.blocking_send(Box::new(command)).is_err() {
            debug!("the node has stopped");
        }
    }
}

fn before(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub(millis))
}
