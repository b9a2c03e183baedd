//! Whose certificates are void: what others are told of it, also after a restart, and in a network that is made again
//! under the id of one that was removed (`vl2.md` §11.3, §19.2).

use std::time::{Duration, Instant};

use ctl_core::Memo;
use ctl_core::issue::unsigned_revocation;
use ctl_store::{MAX_REVOKED_WITH_NETWORK, StoreError};
use rand_core::Rng;
use tracing::{error, info};
use zt_proto::credential::Revocation;
use zt_proto::verb::error::ErrorCode;
use zt_proto::{Address, NetworkId, Timestamp};

use super::super::revocations::{MAX_RECENT, REVOKED_FOR};
use super::{Controller, before, lock, millis};
use crate::vl1::Now;

/// Members that are told at once to be revoked, though they did not ask lately: the node does nothing else meanwhile.
const TOLD_AT_ONCE: usize = 64;

const _: () = assert!(MAX_REVOKED_WITH_NETWORK as usize <= MAX_RECENT);

impl Controller {
    /// Revokes again what was revoked not long ago: whoever was away may not know of it, and whoever was told before is
    /// told nothing new. Nobody who was authorized since is among them.
    pub(super) fn restore_revocations(&self, now: Now) -> Result<(), StoreError> {
        let since = before(now.wall, millis(REVOKED_FOR));
        let (revoked, gone) = self.store.read(|tx| {
            let mut revoked = tx.revoked().list_since(since)?;
            revoked.extend(tx.members().sessions_ended(since, now.wall)?);
            revoked.sort_by_key(|(.., since)| *since);
            Ok::<_, StoreError>((revoked, tx.revoked().networks_gone_since(since)?))
        })?;
        if revoked.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // One for all: this process has issued nothing yet.
        let threshold = self.threshold(|memo, present| memo.revoke_all(NetworkId(0), present), now);
        for (network, member, since) in revoked {
            let revocation = self.unsigned(network, member, threshold);
            lock(&self.revocations).add(revocation, now.mono + left(since, now));
        }
        for (network, since) in gone {
            lock(&self.revocations).network_removed(network, threshold, now.mono + left(since, now));
        }
        Ok(())
    }

    /// Revokes the members whose session has ended since the last look: the others know nothing of sessions
    /// (`vl2.md` §11.5).
    pub(in super::super) fn end_sessions(&self, now: Now) {
        let mut looked_at = lock(&self.sessions_looked_at);
        // However far the clock was set: what ended before that does not matter any more.
        let since = before(now.wall, millis(REVOKED_FOR)).max(*looked_at);
        let ended = match self.store.read(|tx| tx.members().sessions_ended(since, now.wall)) {
            Ok(ended) => ended,
            // They are found by the next look.
            Err(error) => return error!(%error, "sessions that ended not looked up"),
        };
        // Also back, where the clock was ahead: else nobody's end would be seen until then.
        *looked_at = now.wall;
        drop(looked_at);
        for of_network in ended.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((network, ..)) = of_network.first() else { continue };
            let members: Vec<_> = of_network.iter().map(|(_, member, _)| *member).collect();
            // Who is away is asked to log in when it asks.
            self.make_void(*network, &members, now);
        }
        if !ended.is_empty() {
            self.outgoing.notify_one();
        }
    }

    /// Makes what members were issued void, and has them and the others told.
    pub(super) fn revoke(&self, network: NetworkId, members: &[Address], now: Now) {
        let away = self.make_void(network, members, now);
        // After a restart members are connected before they ask.
        for members in away.chunks(TOLD_AT_ONCE) {
            let members = members.to_vec();
            self.command(move |node, now| {
                for member in members {
                    node.push_error(now, member, ErrorCode::NETWORK_ACCESS_DENIED, network);
                }
            });
        }
    }

    /// Makes what members were issued void, and has the others told, and those of them that are online; returns who is not.
    fn make_void(&self, network: NetworkId, members: &[Address], now: Now) -> Vec<Address> {
        let until = now.mono + REVOKED_FOR;
        let revoke = |member: &Address| {
            info!(%network, %member, "member revoked");
            (until, self.make_revocation(network, *member, now))
        };
        self.spread(network, members.iter().map(revoke).collect(), now);
        // They themselves would not notice before their next request, up to a minute later.
        let (online, away): (Vec<_>, Vec<_>) = {
            let known = lock(&self.members);
            members.iter().copied().partition(|member| known.online((network, *member), now.mono).is_some())
        };
        let mut pushes = lock(&self.pushes);
        online.into_iter().for_each(|member| pushes.member((network, member)));
        away
    }

    /// Makes what a member was issued void, and returns what the others are to be told.
    pub(super) fn make_revocation(&self, network: NetworkId, member: Address, now: Now) -> Revocation {
        let threshold = self.threshold(|memo, present| memo.revoke(network, member, present), now);
        self.unsigned(network, member, threshold)
    }

    /// Has all members of a network that are online told of revocations, each with the time until which it matters. They are
    /// looked for once, however many revocations there are, and nobody waits for more than some of them.
    fn spread(&self, network: NetworkId, revocations: Vec<(Instant, Revocation)>, now: Now) {
        let first = {
            let mut recent = lock(&self.revocations);
            let numbers = revocations.into_iter().map(|(until, revocation)| recent.add(revocation, until));
            numbers.min()
        };
        // Whoever comes from here on gets what is recent.
        let Some(first) = first else { return };
        let mut after = Address::NONE;
        loop {
            let receivers = lock(&self.members).receivers(network, after, now.mono);
            let Some(last) = receivers.last() else { return };
            after = *last;
            lock(&self.revocations).tell(&receivers, network, first, now.mono);
        }
    }

    /// Makes what was ever issued in a network void.
    pub(super) fn network_removed(&self, network: NetworkId, now: Now) {
        let threshold = self.threshold(|memo, present| memo.revoke_all(network, present), now);
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
        let revocations = revoked
            .into_iter()
            .map(|(member, since)| (now.mono + left(since, now), self.unsigned(network, member, threshold)));
        self.spread(network, revocations.collect(), now);
    }

    /// Returns the threshold that `revoke` chooses, when the disk knows that it may have been used.
    fn threshold(&self, revoke: impl FnOnce(&Memo, Timestamp) -> Timestamp, now: Now) -> Timestamp {
        let present = self.present(now);
        let threshold = revoke(&self.memo, present);
        // What is issued next is newer.
        self.await_allowance(threshold.plus_millis(1), present);
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
