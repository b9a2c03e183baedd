//! The controller at work: load, decide, sign, save, send; and what follows a change (`vl2.md` §10, §11).

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ctl_core::{Change, ConfigRequest, Decision, Issued, Memo, RequestKind, decide, issue};
use ctl_store::{Store, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, error, info, warn};
use zt_crypto::{IdentitySecret, VerifiedIdentity};
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity};

use super::clock;
use super::revocations::Revocations;
use super::seen::SeenNodes;
use super::udp::Command;
use crate::vl1::{ConfigRequested, Node, Now};

/// Answers members. All methods block on the database, so they are called where that is allowed.
pub(super) struct Controller {
    secret: Arc<IdentitySecret>,
    store: Store,
    memo: Memo,
    rng: Mutex<ChaCha20Rng>,
    seen: Mutex<SeenNodes>,
    revocations: Mutex<Revocations>,
    /// Rings when there are revocations to send.
    pub(super) revoked: Notify,
    node: mpsc::Sender<Command>,
}

/// Why a member got no answer; it will ask again.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    TooLong(#[from] issue::ConfigTooLong),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with the lock held left a table that is still consistent: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that a member's client is too old for the size of its network.
fn warn_of_cuts(network: NetworkId, member: Address, issued: &Issued) {
    let left_out = issued.left_out();
    if left_out > 0 {
        warn!(%network, %member, left_out, "configuration cut: a client before 1.2.0 takes one packet");
    }
}

impl Controller {
    pub(super) fn new(
        secret: Arc<IdentitySecret>,
        store: Store,
        rng: ChaCha20Rng,
        node: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            secret,
            store,
            memo: Memo::new(),
            rng: Mutex::new(rng),
            seen: Mutex::default(),
            revocations: Mutex::default(),
            revoked: Notify::new(),
            node,
        }
    }

    /// Says whether a request is to be answered: for a network of this controller, and not too soon after the last.
    pub(super) fn accepts(&self, requested: &ConfigRequested, now: Now) -> bool {
        let (network, node) = (requested.network, requested.identity.address);
        network.controller() == self.secret.address() && lock(&self.seen).take(network, node, now.mono)
    }

    /// Answers a request.
    pub(super) fn answer(&self, requested: ConfigRequested, now: Now) {
        let ConfigRequested { request: id, identity, network, metadata, from } = requested;
        let metadata = RequestMetadata::parse(&metadata);
        let request = ConfigRequest { network, identity, metadata, kind: RequestKind::Request };
        let member = identity.address;
        let decision = match self.decide_and_save(&request, now) {
            Ok(decision) => decision,
            Err(error) => return error!(%network, %member, %error, "request not answered"),
        };
        match decision {
            Decision::Admit { config, .. } => match self.memo.issue(&config, &self.secret) {
                Ok(issued) => {
                    let chunks = issued.reply(self.update_id(), &self.secret);
                    warn_of_cuts(network, member, &issued);
                    debug!(%network, %member, remote = ?from, "admitted");
                    self.command(move |node, now| node.reply_config(now, id, &chunks));
                    let was_offline = self.note(request, now);
                    if was_offline && lock(&self.revocations).catch_up(network, member, now.mono) {
                        self.revoked.notify_one();
                    }
                }
                Err(error) => error!(%network, %member, %error, "configuration not sent"),
            },
            Decision::Refuse { refusal, .. } => {
                debug!(%network, %member, remote = ?from, ?refusal, "refused");
                let (code, details) = (refusal.error_code(), refusal.details());
                self.command(move |node, now| node.reply_error(now, id, code, network, &details));
                if refusal != ctl_core::Refusal::UnknownNetwork {
                    self.note(request, now);
                }
            }
        }
    }

    /// Remembers who asked; says whether it was offline before.
    fn note(&self, request: ConfigRequest, now: Now) -> bool {
        let ConfigRequest { network, identity, metadata, .. } = request;
        lock(&self.seen).note(network, identity, metadata, now.mono)
    }

    /// Decides, and saves what the decision changes. What is saved was decided in the transaction that saves it, so two
    /// members cannot get one address; it is on disk before anybody is told.
    fn decide_and_save(&self, request: &ConfigRequest, now: Now) -> Result<Decision, StoreError> {
        let (network, member) = (request.network, request.identity.address);
        let issued = self.memo.issue_time(now.wall);
        let snapshot = self.store.read(|tx| tx.snapshot(network, member))?;
        let decision = decide(snapshot.as_ref(), request, issued);
        let (Decision::Admit { member: None, .. } | Decision::Refuse { member: None, .. }) = decision else {
            return self.store.write(|tx| {
                let snapshot = tx.snapshot(network, member)?;
                let decision = decide(snapshot.as_ref(), request, issued);
                if let Decision::Admit { member: Some(changed), .. }
                | Decision::Refuse { member: Some(changed), .. } = &decision
                {
                    tx.members().put(changed)?;
                }
                Ok(decision)
            });
        };
        Ok(decision)
    }

    /// Returns a number for one sending.
    fn update_id(&self) -> NonZeroU64 {
        NonZeroU64::new(lock(&self.rng).next_u64()).unwrap_or(NonZeroU64::MIN)
    }

    /// Does what a committed change asks for.
    pub(super) fn follow(&self, change: Change, now: Now) {
        match change {
            Change::Network(network) => {
                let online = lock(&self.seen).all_online(network, now.mono);
                info!(%network, members = online.len(), "network changed");
                for member in online {
                    self.push(network, member, now);
                }
            }
            Change::Member { network, member } => self.push(network, member, now),
            Change::MemberRevoked { network, member } => {
                info!(%network, %member, "member revoked");
                self.revoke(network, member, now);
            }
            // Its members hear of it when they ask; until then there is nobody who could tell them to keep apart.
            Change::NetworkRemoved(network) => info!(%network, "network removed"),
        }
    }

    /// Sends a member that is online its configuration, if it is to have one.
    fn push(&self, network: NetworkId, member: Address, now: Now) {
        let Some(seen) = lock(&self.seen).online(network, member, now.mono).cloned() else { return };
        let request = ConfigRequest {
            network,
            identity: seen.identity,
            metadata: seen.metadata,
            kind: RequestKind::Push,
        };
        let pushed = self.decide_and_save(&request, now).map_err(AnswerError::from).and_then(|decision| {
            let Decision::Admit { config, .. } = decision else { return Ok(()) };
            let issued = self.memo.issue(&config, &self.secret)?;
            let chunks = issued.push(self.update_id(), &self.secret);
            self.command(move |node, now| node.push_config(now, member, network, &chunks));
            Ok(())
        });
        if let Err(error) = pushed {
            error!(%network, %member, %error, "configuration not pushed");
        }
    }

    fn revoke(&self, network: NetworkId, member: Address, now: Now) {
        let threshold = self.memo.revoke(network, member, now.wall);
        let id = lock(&self.rng).next_u32();
        let revocation = issue::revoke(network, member, threshold, id, &self.secret);
        // The member itself would not notice before its next request, up to a minute later.
        self.command(move |node, now| {
            node.push_error(now, member, ErrorCode::NETWORK_ACCESS_DENIED, network);
        });
        let online = lock(&self.seen).all_online(network, now.mono);
        lock(&self.revocations).add(revocation, online, now.mono);
        self.revoked.notify_one();
    }

    /// Sends one packet of revocations to each destination that waits for some; says whether any are left.
    pub(super) fn send_revocations(&self) -> bool {
        let (round, is_more) = {
            let mut revocations = lock(&self.revocations);
            (revocations.take_round(), !revocations.is_empty())
        };
        for (destination, payload) in round {
            self.command(move |node, now| node.push_credentials(now, destination, &payload));
        }
        is_more
    }

    /// Verifies an identity, which takes some milliseconds of computing, and tells the node.
    pub(super) fn verify(&self, identity: PublicIdentity) {
        match VerifiedIdentity::verify(identity) {
            Ok(verified) => self.command(move |node, now| node.identity_verified(now, &verified)),
            Err(error) => {
                debug!(peer = %identity.address, %error, "identity refused");
                self.refuse(identity);
            }
        }
    }

    /// Tells the node that an identity was not verified.
    pub(super) fn refuse(&self, identity: PublicIdentity) {
        self.command(move |node, _| node.identity_refused(&identity));
    }

    /// Looks up the identity of a node that is a member somewhere: after a restart its packets can be read at once.
    pub(super) fn recall(&self, address: Address) {
        match self.store.read(|tx| tx.members().identity(address)) {
            Ok(Some(identity)) => self.verify(identity),
            Ok(None) => {}
            Err(error) => error!(peer = %address, %error, "identity not looked up"),
        }
    }

    pub(super) fn sweep(&self) {
        let now = clock::now().mono;
        lock(&self.seen).sweep(now);
        lock(&self.revocations).sweep(now);
    }

    fn command(&self, command: impl FnOnce(&mut Node, Now) + Send + 'static) {
        // Called from threads that may block; the loop ends only with the program.
        if self.node.blocking_send(Box::new(command)).is_err() {
            debug!("the node has stopped");
        }
    }
}

/// A controller that the tasks of the server share.
pub(super) type SharedController = Arc<Controller>;
