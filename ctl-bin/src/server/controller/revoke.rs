//! Whose certificates are void: what others are told of it, also after a restart, and in a network that is made again
//! under the id of one that was removed (`vl2.md` §11.3, §19.2).

use std::time::Duration;

use ctl_core::issue::unsigned_revocation;
use ctl_store::{MAX_REVOKED_WITH_NETWORK, StoreError};
use rand_core::Rng;
use tracing::{error, info};
use zt_proto::credential::Revocation;
use zt_proto::{Address, NetworkId, Timestamp};

use super::super::revocations::{MAX_RECENT, REVOKED_FOR};
use super::{Controller, before, lock, millis};
use crate::vl1::Now;

const _: () = assert!(MAX_REVOKED_WITH_NETWORK as usize <= MAX_RECENT);

impl Controller {
    /// Revokes again what was revoked not long ago: whoever was away may not know of it, and whoever was told before is
    /// told nothing new. Nobody who was authorized since is among them.
    pub(super) fn restore_revocations(&self, now: Now) -> Result<(), StoreError> {
        let since = before(now.wall, millis(REVOKED_FOR));
        let (revoked, gone) = self.store.read(|tx| {
            Ok::<_, StoreError>((tx.revoked().list_since(since)?, tx.revoked().networks_gone_since(since)?))
        })?;
        if revoked.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // One for all: this process has issued nothing yet.
        let threshold = self.threshold(|controller| controller.memo.revoke_all(NetworkId(0), now.wall), now);
        for (network, member, since) in revoked {
            let revocation = self.unsigned(network, member, threshold);
            lock(&self.revocations).add(revocation, [], now.mono + left(since, now), now.mono);
        }
        for (network, since) in gone {
            lock(&self.revocations).network_removed(network, threshold, now.mono + left(since, now));
        }
        Ok(())
    }

    /// Makes what a member was issued void, and returns what the others are to be told.
    pub(super) fn make_revocation(&self, network: NetworkId, member: Address, now: Now) -> Revocation {
        let threshold = self.threshold(|controller| controller.memo.revoke(network, member, now.wall), now);
        self.unsigned(network, member, threshold)
    }

    /// Makes what was ever issued in a network void.
    pub(super) fn network_removed(&self, network: NetworkId, now: Now) {
        let threshold = self.threshold(|controller| controller.memo.revoke_all(network, now.wall), now);
        lock(&self.revocations).network_removed(network, threshold, now.mono + REVOKED_FOR);
    }

    /// Revokes the members of the network that had this id before, if there was one lately. They believe to be members
    /// of this one, and would be believed.
    pub(super) fn network_is_here(&self, network: NetworkId, now: Now) {
        let Some(threshold) = lock(&self.revocations).network_made(network, now.mono) else { return };
        let since = before(now.wall, millis(REVOKED_FOR));
        let revoked = match self.store.read(|tx| tx.revoked().of_network_since(network, since)) {
            Ok(revoked) => revoked,
            Err(error) => {
                // It is tried again with the next change or member.
                lock(&self.revocations).network_removed(network, threshold, now.mono + REVOKED_FOR);
                return error!(%network, %error, "members of the removed network not revoked");
            }
        };
        info!(%network, members = revoked.len(), "the network was made again: its former members are revoked");
        let online: Vec<_> = lock(&self.seen).receivers(network, now.mono).collect();
        for (member, since) in revoked {
            let revocation = self.unsigned(network, member, threshold);
            let until = now.mono + left(since, now);
            lock(&self.revocations).add(revocation, online.iter().copied(), until, now.mono);
        }
    }

    /// Returns the threshold that `revoke` chooses, when the disk knows that it may have been used.
    fn threshold(&self, revoke: impl FnOnce(&Self) -> Timestamp, now: Now) -> Timestamp {
        let threshold = revoke(self);
        // What is issued next is newer.
        self.await_allowance(threshold.plus_millis(1), now.wall);
        threshold
    }

    fn unsigned(&self, network: NetworkId, member: Address, threshold: Timestamp) -> Revocation {
        let id = lock(&self.rng).next_u32();
        unsigned_revocation(network, member, threshold, id, self.secret.address())
    }
}

/// Returns for how long a revocation of that time still matters.
fn left(since: Timestamp, now: Now) -> Duration {
    Duration::from_millis(millis(REVOKED_FOR).saturating_sub(now.wall.millis_since(since)))
}
