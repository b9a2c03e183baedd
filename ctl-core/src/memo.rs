//! What was issued lately and may be sent again, and the times of issue.
//!
//! A member asks once a minute, and most of the time nothing has changed. Its signed dictionary is then sent again,
//! as long as that makes no difference to anybody:
//!
//! - **Same inputs.** Network, bridges, the whole member record and the generation of the client are compared, not
//!   their revisions: a network that was removed and made anew begins at revision 1 again. Of record and client 64 bits
//!   of hash are kept, under a key that nobody knows.
//! - **Fresh enough.** Members accept each other while their certificates are no further apart than the credential
//!   window (`vl2.md` §7.1). What is sent again is at most a fifth of that old: with the time until the
//!   next poll, a minute, that stays far below the window even where it is shortest, five minutes.
//! - **Certificates by themselves.** When something else changed, such as rules, routes or a name, the certificates that say
//!   the same as before go into the new configuration, for as long as they could have been sent again in the old one; the
//!   rest is issued anew, at a time of its own. So a change of a large network takes one signature for each member instead
//!   of three and more. A member whose record changed in what a certificate says gets another one.
//! - **Later than every revocation** of that member (`vl2.md` §19.1, item 15): one makes the member's entry void, and
//!   what was decided before it is not kept.
//! - **Never older than what the member has seen** (item 14): times of issue never go back, whatever the clock does,
//!   and an entry gives way only to a later one. How old something is, is judged by times of issue alone, so the clock that they
//!   are read from must not be one that stands still.
//!
//! What is signed with the id of a sending (`vl2.md` §4.1), the chunks, is made anew for each.
//!
//! The part that all members of a network share is built and written once for each state of the network, however many
//! ask at the same time; when there are too many networks, the one of which nobody asked for longest gives way. A state that
//! gave way lives on for as long as a member's configuration was made with it, whose certificates may be taken over. When those
//! states take too much, all that was made with them goes: its members are issued everything anew.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use zt_crypto::IdentitySecret;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::certify::Earlier;
use crate::config::{NetworkPart, UnsignedConfig};
use crate::issue::{ConfigTooLong, Issued};
use crate::network::Network;
use crate::recency::Recency;

/// The part of the credential window for which an issued configuration is sent again: one over this.
const REUSED_FOR: u64 = 5;
/// Members whose configurations are kept.
const MAX_MEMBERS: usize = 131_072;
/// What the configurations that are kept may take, in bytes.
const MAX_BYTES: usize = 192 << 20;
/// Of what is kept past these bounds, so much gives way at once, the oldest: one over this.
const EVICTED: usize = 32;
/// No configuration is sent again that is older, in milliseconds.
const LONGEST: u64 = Network::MAX_CREDENTIAL_WINDOW / REUSED_FOR;
/// How often those are looked for, in milliseconds.
const SWEPT_EVERY: u64 = LONGEST / 4;
/// Networks whose common part is kept.
const MAX_NETWORKS: usize = 1024;
/// What all common parts may take, in bytes.
const MAX_NETWORK_BYTES: usize = 64 << 20;
/// What those may take that gave way but that configurations were made with, in bytes.
const MAX_SUPERSEDED_BYTES: usize = 32 << 20;

/// The memory of a controller: shared by all who answer members, and empty after a start.
#[derive(Debug, Default)]
pub struct Memo {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The next time of issue is no earlier than this.
    floor: Timestamp,
    /// Whatever was revoked: nothing that was issued up to here is kept any more.
    last_revocation: Option<Timestamp>,
    networks: BTreeMap<NetworkId, Arc<NetworkPart>>,
    network_uses: Recency<NetworkId>,
    network_bytes: usize,
    /// Parts that gave way, of which some may live.
    superseded: Vec<Weak<NetworkPart>>,
    /// What they took when they were looked through last, and all that came since.
    superseded_bytes: usize,
    parts_written: u64,
    members: HashMap<(NetworkId, Address), Entry>,
    member_bytes: usize,
    /// When the members were last looked through for what nobody is sent any more.
    swept: Timestamp,
    hasher: RandomState,
}

/// What was issued to a member; void once the part of the network that it was made with is not kept any more.
#[derive(Debug)]
struct Entry {
    asker: Asker,
    issued: Arc<Issued>,
}

/// A hash of a member record and of the generation of a client.
type Asker = u64;

impl Memo {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the time for whatever is issued now, to be given to [`decide`](crate::decide()): `present`, but never
    /// earlier than the last one, and later than every threshold.
    pub fn issue_time(&self, present: Timestamp) -> Timestamp {
        let mut state = self.lock();
        state.floor = present.max(state.floor);
        state.floor
    }

    /// Returns the threshold of a revocation that is made now. Everything that the member is issued later, and
    /// whatever it is sent again, has a greater time.
    pub fn revoke(&self, network: NetworkId, member: Address, present: Timestamp) -> Timestamp {
        let mut state = self.lock();
        state.forget((network, member));
        state.threshold(present)
    }

    /// Does the same for all members that a network ever had: it is gone.
    pub fn revoke_all(&self, network: NetworkId, present: Timestamp) -> Timestamp {
        let mut state = self.lock();
        state.keep_only(|(of, _), _| *of != network);
        state.threshold(present)
    }

    /// Signs and writes a configuration, unless what the member was issued before is still right.
    ///
    /// Signing takes longer than everything else, and happens without a lock. `signer` must always be the same.
    ///
    /// # Errors
    /// [`ConfigTooLong`] if the client could not take it: nothing can be sent.
    pub fn issue(
        &self,
        config: &UnsignedConfig,
        signer: &IdentitySecret,
    ) -> Result<Arc<Issued>, ConfigTooLong> {
        let (part, before) = {
            let mut state = self.lock();
            if let Some(issued) = state.find(config) {
                return Ok(issued);
            }
            // Written with the lock held: whoever asks meanwhile would otherwise write the same.
            (state.part_for(config), state.before(config))
        };
        let earlier = before.map_or_else(Earlier::default, |before| Earlier {
            certificates: before.certificates(),
            since: oldest_reusable(config),
        });
        let issued = Arc::new(config.issue_with(&part, &earlier, signer)?);
        self.lock().keep(config, &part, &issued);
        Ok(issued)
    }

    /// Returns how many configurations are kept, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.members.len(), state.member_bytes)
    }

    /// Returns about how many bytes the common parts of networks take, in their present states and in earlier ones with which
    /// a configuration was made that is kept.
    pub fn network_bytes(&self) -> usize {
        let mut state = self.lock();
        state.count_superseded();
        state.network_bytes + state.superseded_bytes
    }

    /// Returns how often the common part of a network was built and written.
    pub fn parts_written(&self) -> u64 {
        self.lock().parts_written
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one call that does not panic; what is kept is compared before it is used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns a threshold; whatever is issued from now on is later.
    fn threshold(&mut self, present: Timestamp) -> Timestamp {
        let threshold = present.max(self.floor);
        self.floor = threshold.plus_millis(1);
        self.last_revocation = Some(threshold);
        threshold
    }

    fn find(&mut self, config: &UnsignedConfig) -> Option<Arc<Issued>> {
        let entry = self.members.get(&(config.network.id, config.member.address))?;
        let is_fresh = entry.issued.certified() >= oldest_reusable(config);
        let is_same = entry.asker == self.asker(config)
            && self.part(config).is_some_and(|part| entry.issued.is_with(part));
        let found = (is_same && is_fresh).then(|| Arc::clone(&entry.issued));
        if found.is_some() {
            self.network_uses.note(config.network.id);
        }
        found
    }

    /// Returns what the member was issued before, if some of its certificates may still be good.
    fn before(&self, config: &UnsignedConfig) -> Option<Arc<Issued>> {
        let issued = &self.members.get(&(config.network.id, config.member.address))?.issued;
        let is_of_use = config.client.is_modern() && issued.timestamp() >= oldest_reusable(config);
        is_of_use.then(|| Arc::clone(issued))
    }

    fn part(&self, config: &UnsignedConfig) -> Option<&Arc<NetworkPart>> {
        let part = self.networks.get(&config.network.id)?;
        part.is_of(&config.network, &config.bridges).then_some(part)
    }

    /// Returns what the members of the network have in common, written now unless it is known.
    fn part_for(&mut self, config: &UnsignedConfig) -> Arc<NetworkPart> {
        let id = config.network.id;
        if let Some(part) = self.part(config).map(Arc::clone) {
            self.network_uses.note(id);
            return part;
        }
        let part = Arc::new(NetworkPart::new(Arc::clone(&config.network), Arc::clone(&config.bridges)));
        self.parts_written += 1;
        // Who decided before a change may come after one who decided after it, and is the last of its kind.
        if !self.networks.get(&id).is_some_and(|known| known.is_later_than(&config.network)) {
            self.keep_part(&part);
        }
        part
    }

    fn keep(&mut self, config: &UnsignedConfig, part: &Arc<NetworkPart>, issued: &Arc<Issued>) {
        let key = (config.network.id, config.member.address);
        let is_revoked = self.last_revocation.is_some_and(|threshold| config.issued <= threshold);
        let is_overtaken =
            self.members.get(&key).is_some_and(|entry| entry.issued.timestamp() > issued.timestamp());
        if is_revoked || is_overtaken {
            return;
        }
        // What was issued with a part that is not kept any more would never be found.
        if !self.networks.get(&config.network.id).is_some_and(|known| Arc::ptr_eq(known, part)) {
            return;
        }
        self.forget(key);
        let entry = Entry { asker: self.asker(config), issued: Arc::clone(issued) };
        self.member_bytes += entry.size_bytes();
        self.members.insert(key, entry);
        self.evict(config.issued);
    }

    fn asker(&self, config: &UnsignedConfig) -> Asker {
        self.hasher.hash_one((&config.member, config.client))
    }

    /// Keeps what a network's members have in common, in place of what they had before.
    fn keep_part(&mut self, part: &Arc<NetworkPart>) {
        let id = part.network_id();
        self.forget_part(id);
        while (self.networks.len() >= MAX_NETWORKS
            || self.network_bytes + part.size_bytes() > MAX_NETWORK_BYTES)
            && let Some(evicted) = self.network_uses.pop_oldest()
        {
            self.forget_part(evicted);
        }
        self.network_bytes += part.size_bytes();
        self.networks.insert(id, Arc::clone(part));
        self.network_uses.note(id);
        self.bound_superseded();
    }

    fn forget_part(&mut self, id: NetworkId) {
        self.network_uses.forget(&id);
        if let Some(part) = self.networks.remove(&id) {
            self.network_bytes -= part.size_bytes();
            self.superseded_bytes += part.size_bytes();
            self.superseded.push(Arc::downgrade(&part));
        }
    }

    /// Drops the members that keep parts alive which gave way, if those take too much.
    fn bound_superseded(&mut self) {
        if self.superseded_bytes <= MAX_SUPERSEDED_BYTES {
            return;
        }
        self.count_superseded();
        if self.superseded_bytes <= MAX_SUPERSEDED_BYTES {
            return;
        }
        let networks = mem::take(&mut self.networks);
        self.keep_only(|(of, _), entry| networks.get(of).is_some_and(|part| entry.issued.is_with(part)));
        self.networks = networks;
        self.count_superseded();
    }

    fn count_superseded(&mut self) {
        let mut bytes = 0;
        self.superseded.retain(|part| {
            part.upgrade().is_some_and(|part| {
                bytes += part.size_bytes();
                true
            })
        });
        self.superseded_bytes = bytes;
    }

    /// Drops entries that no window is long enough for, now and then, and the oldest past the bounds.
    fn evict(&mut self, now: Timestamp) {
        if now.millis_since(self.swept) >= SWEPT_EVERY {
            self.swept = now;
            self.keep_only(|_, entry| now.millis_since(entry.issued.timestamp()) <= LONGEST);
        }
        while self.members.len() > MAX_MEMBERS || self.member_bytes > MAX_BYTES {
            let mut times: Vec<_> = self.members.values().map(|entry| entry.issued.timestamp()).collect();
            let mut excess = times.len().div_ceil(EVICTED);
            let (_, last, _) = times.select_nth_unstable(excess - 1);
            let last = *last;
            // There may be many of one time.
            self.keep_only(|_, entry| {
                let is_kept = excess == 0 || entry.issued.timestamp() > last;
                excess -= usize::from(!is_kept);
                is_kept
            });
        }
    }

    fn keep_only(&mut self, mut is_kept: impl FnMut(&(NetworkId, Address), &Entry) -> bool) {
        let Self { members, member_bytes, .. } = self;
        members.retain(|key, entry| {
            let is_kept = is_kept(key, entry);
            if !is_kept {
                *member_bytes -= entry.size_bytes();
            }
            is_kept
        });
    }

    fn forget(&mut self, key: (NetworkId, Address)) {
        if let Some(entry) = self.members.remove(&key) {
            self.member_bytes -= entry.size_bytes();
        }
    }
}

impl Entry {
    /// Returns about how many bytes it takes besides what it shares.
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.issued.size_bytes()
    }
}

/// Returns the earliest time of what is good enough to be sent again.
fn oldest_reusable(config: &UnsignedConfig) -> Timestamp {
    Timestamp(config.issued.0.saturating_sub(reusable_for(&config.network)))
}

/// Returns for how long what was issued in this network is sent again, in milliseconds.
pub fn reusable_for(network: &Network) -> u64 {
    network.credential_window() / REUSED_FOR
}
