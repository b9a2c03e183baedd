//! Which identities are believed, and what is noted about those who asked.

use std::net::SocketAddr;

use ctl_core::ConfigRequest;
use tracing::{debug, error, info, warn};
use zt_crypto::{InvalidIdentity, VerifiedIdentity};
use zt_proto::{Address, PublicIdentity};

use super::super::notes::{self, NOTES_AT_ONCE};
use super::super::seen::Standing;
use super::{Controller, lock};
use crate::vl1::Now;

/// Why an identity is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    #[error("a member has this address with other keys")]
    Taken,
    #[error(transparent)]
    Invalid(#[from] InvalidIdentity),
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

    /// Looks up the identity of a node that is a member somewhere: after a restart its packets can be read at once.
    pub(in super::super) fn recall(&self, address: Address) {
        let claimed = self.store.read(|tx| match tx.verified_identities().get(address)? {
            Some(verified) => Ok(Some(verified)),
            // Imported, or never heard since.
            None => tx.members().identity(address),
        });
        match claimed {
            Ok(Some(identity)) => self.verify(identity),
            Ok(None) => {}
            Err(error) => error!(peer = %address, %error, "identity not looked up"),
        }
    }

    /// Remembers who asked; says whether it may have missed something.
    pub(super) fn note(
        &self,
        request: &ConfigRequest,
        from: Option<SocketAddr>,
        standing: Standing,
        now: Now,
    ) -> bool {
        let ConfigRequest { network, identity, ref metadata, .. } = *request;
        let client = notes::client(from, metadata);
        let may_have_missed = lock(&self.seen).note(network, identity, metadata.clone(), standing, now.mono);
        let mut notes = lock(&self.notes);
        notes.sighting(network, identity.address, client, now.wall);
        if may_have_missed {
            notes.identity(identity);
        }
        may_have_missed
    }

    /// Saves what was noted since the last time. What cannot be saved is tried again with the next.
    pub(in super::super) fn save_notes(&self, now: Now) {
        loop {
            let batch = lock(&self.notes).take(NOTES_AT_ONCE);
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.store.write_aside(|tx| batch.save(tx, now.wall)) {
                let waiting = lock(&self.notes).take_back(batch);
                warn!(%error, waiting, "last seen data not saved; it is tried again");
                return;
            }
        }
    }

    /// Removes old entries of the audit log.
    pub(in super::super) fn sweep_audit_log(&self, now: Now) {
        match self.store.write_aside(|tx| tx.audit().sweep(now.wall)) {
            Ok(0) => {}
            Ok(entries) => info!(entries, "old entries of the audit log removed"),
            Err(error) => warn!(%error, "old entries of the audit log not removed"),
        }
    }
}
