//! What is noted about members with every request and saved in batches: losing seconds of it in a crash is fine.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ctl_core::member::ClientVersion;
use ctl_store::{Client, StoreError, Tx};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use super::again::AgainList;

/// Notes of each kind that wait to be saved; past it, new ones are dropped until there is room.
const MAX_NOTES: usize = 262_144;
/// So many new ones are saved at once, so that they do not take much memory: after a restart all members are noted.
const MANY: usize = 16_384;
/// Notes that are saved in one transaction: some milliseconds for which other writers wait.
pub(super) const NOTES_AT_ONCE: usize = 1024;
/// Notes of each kind that are known to be unsavable, because what is on record with them is damaged.
const MAX_UNSAVABLE: usize = 1024;
/// How long none is taken for such a record, in milliseconds: then somebody may have mended it.
const UNSAVABLE_FOR: u64 = 60 * 60 * 1000;

/// Notes that are not saved yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    sightings: BTreeMap<(NetworkId, Address), Note>,
    /// How many of them came since they were last saved, or [`Notes::are_many`] said so.
    new_sightings: usize,
    /// Requests that say nothing new but the time.
    again: AgainList,
    identities: BTreeMap<Address, PublicIdentity>,
    unsavable_sightings: Unsavable<(NetworkId, Address)>,
    unsavable_identities: Unsavable<Address>,
}

/// From where and with what a node asks, as [`Members::share`](super::members::Members::share) returns it.
pub(super) type Said = (Option<SocketAddr>, Arc<RequestMetadata>);
/// What is said by a request, and when. If nothing, it is what was noted last.
type Note = (Option<Said>, Timestamp);

/// Records for which notes are not taken, and since when.
#[derive(Debug)]
struct Unsavable<K>(BTreeMap<K, Timestamp>);

impl<K> Default for Unsavable<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Unsavable<K> {
    fn contains(&mut self, key: K, now: Timestamp) -> bool {
        let since = self.0.get(&key).copied();
        let is_over = since.is_some_and(|since| now.millis_since(since) >= UNSAVABLE_FOR);
        if is_over {
            self.0.remove(&key);
        }
        since.is_some() && !is_over
    }

    fn extend(&mut self, keys: impl Iterator<Item = K>, now: Timestamp) {
        for key in keys {
            if self.0.len() < MAX_UNSAVABLE {
                self.0.insert(key, now);
            }
        }
    }
}

/// Returns what is saved of what a node says.
fn client((from, metadata): &Said) -> Client {
    let bounded = |number: u64| number.min(u32::MAX.into());
    let version = ClientVersion {
        major: bounded(metadata.software.major),
        minor: bounded(metadata.software.minor),
        revision: bounded(metadata.software.revision),
        protocol: bounded(metadata.protocol),
    };
    Client { wire: *from, version: Some(version), platform: metadata.platform.clone() }
}

impl Notes {
    /// Notes a request; the last one of a node for a network counts. Says whether there was room.
    pub(super) fn sighting(&mut self, network: NetworkId, node: Address, said: Said, now: Timestamp) -> bool {
        let before = self.sightings.len();
        let is_noted = self.insert((network, node), Some(said), now);
        self.new_sightings += self.sightings.len() - before;
        is_noted
    }

    /// Notes a request that says nothing new but the time, after one that was noted.
    pub(super) fn sighting_again(&mut self, network: NetworkId, node: Address, now: Timestamp) {
        if self.again.len() >= MAX_NOTES {
            self.settle();
        }
        self.again.push(network, node, now);
    }

    /// Begins to save: takes out what came again, for [`Notes::put_again`].
    pub(super) fn take_again(&mut self) -> AgainList {
        self.new_sightings = 0;
        std::mem::take(&mut self.again)
    }

    /// Puts what came again to what else is noted.
    pub(super) fn put_again(&mut self, again: impl Iterator<Item = ((NetworkId, Address), Timestamp)>) {
        for (key, time) in again {
            self.insert(key, None, time);
        }
    }

    fn settle(&mut self) {
        let lasts = std::mem::take(&mut self.again).into_lasts();
        lasts.parts(MAX_NOTES).for_each(|part| self.put_again(part));
    }

    /// Says, once, whether so many are new that nobody should wait before they are saved.
    pub(super) fn are_many(&mut self) -> bool {
        let are_many = self.new_sightings >= MANY;
        if are_many {
            self.new_sightings = 0;
        }
        are_many
    }

    /// Returns how many batches of `max` notes of each kind these are.
    pub(super) fn batches(&self, max: usize) -> usize {
        self.sightings.len().max(self.identities.len()).div_ceil(max)
    }

    fn insert(&mut self, key: (NetworkId, Address), said: Option<Said>, now: Timestamp) -> bool {
        if self.unsavable_sightings.contains(key, now) {
            return false;
        }
        let has_room = self.sightings.len() < MAX_NOTES;
        match self.sightings.entry(key) {
            Entry::Occupied(mut known) => {
                let (known_said, time) = known.get_mut();
                *time = now.max(*time);
                if said.is_some() {
                    *known_said = said;
                }
                true
            }
            Entry::Vacant(free) if has_room => {
                free.insert((said, now));
                true
            }
            Entry::Vacant(_) => false,
        }
    }

    /// Notes an identity that was verified.
    pub(super) fn identity(&mut self, identity: PublicIdentity, now: Timestamp) {
        if self.unsavable_identities.contains(identity.address, now) {
            return;
        }
        if self.identities.len() < MAX_NOTES || self.identities.contains_key(&identity.address) {
            self.identities.insert(identity.address, identity);
        }
    }

    /// Takes up to `max` notes of each kind out.
    pub(super) fn take(&mut self, max: usize) -> Self {
        Self {
            sightings: take_first(&mut self.sightings, max),
            identities: take_first(&mut self.identities, max),
            ..Self::default()
        }
    }

    /// Returns the notes in two halves; as they are if there is only one.
    pub(super) fn halves(mut self) -> Result<(Self, Self), Box<Self>> {
        let (sightings, identities) = (self.sightings.len(), self.identities.len());
        if sightings + identities <= 1 {
            return Err(Box::new(self));
        }
        let mut first = Self::default();
        if sightings == 0 {
            first.identities = take_first(&mut self.identities, identities / 2);
        } else if identities == 0 {
            first.sightings = take_first(&mut self.sightings, sightings / 2);
        } else {
            first.sightings = take_first(&mut self.sightings, sightings);
        }
        Ok((first, self))
    }

    /// Adds notes of which there are none of the same record.
    pub(super) fn join(&mut self, other: Self) {
        self.sightings.extend(other.sightings);
        self.identities.extend(other.identities);
    }

    /// Takes no notes for a while about the records of these, which cannot be saved.
    pub(super) fn set_aside(&mut self, unsavable: &Self, now: Timestamp) {
        self.unsavable_sightings.extend(unsavable.sightings.keys().copied(), now);
        self.unsavable_identities.extend(unsavable.identities.keys().copied(), now);
    }

    /// Puts notes back that could not be saved, unless there are newer ones; returns how many wait now.
    pub(super) fn take_back(&mut self, unsaved: Self) -> usize {
        self.settle();
        for (key, note) in unsaved.sightings {
            if self.sightings.len() < MAX_NOTES {
                let (said, _) = self.sightings.entry(key).or_insert_with(|| note.clone());
                if said.is_none() {
                    *said = note.0;
                }
            }
        }
        for (address, identity) in unsaved.identities {
            if self.identities.len() < MAX_NOTES {
                self.identities.entry(address).or_insert(identity);
            }
        }
        self.sightings.len() + self.identities.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.sightings.is_empty() && self.again.len() == 0 && self.identities.is_empty()
    }

    /// Saves the notes about nodes that are members; the others leave nothing.
    pub(super) fn save(&self, tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        for ((network, node), (said, time)) in &self.sightings {
            match said {
                Some(said) => tx.sightings().note(*network, *node, &client(said), *time)?,
                None => tx.sightings().note_again(*network, *node, *time)?,
            };
        }
        for identity in self.identities.values() {
            tx.verified_identities().put(identity, now)?;
        }
        Ok(())
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(((network, node), _)) = self.sightings.first_key_value() {
            return write!(f, "member {node} of network {network}");
        }
        match self.identities.first_key_value() {
            Some((address, _)) => write!(f, "identity of {address}"),
            None => Ok(()),
        }
    }
}

fn take_first<K: Ord + Copy, V>(map: &mut BTreeMap<K, V>, max: usize) -> BTreeMap<K, V> {
    let rest = match map.keys().nth(max).copied() {
        Some(first_left) => map.split_off(&first_left),
        None => BTreeMap::new(),
    };
    std::mem::replace(map, rest)
}

#[cfg(test)]
mod tests {
    use ctl_core::{Member, Network};
    use ctl_store::Store;
    use zt_proto::verb::network_config_request::SoftwareVersion;

    use super::*;

    const NETWORK: NetworkId = NetworkId(1);

    fn address(number: u64) -> Address {
        Address::from_low_bits(number)
    }

    /// What a client of release 1.`minor` says.
    fn said(minor: u64) -> Said {
        let software = SoftwareVersion { major: 1, minor, revision: 0 };
        (None, RequestMetadata { software, ..RequestMetadata::default() }.into())
    }

    fn identity(number: u64, key: u8) -> PublicIdentity {
        PublicIdentity { address: address(number), key: [key; 64] }
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn notes_that_cannot_be_saved_fill_no_memory() {
        let mut notes = Notes::default();
        for number in 0..MAX_NOTES as u64 + 10 {
            notes.sighting(NETWORK, address(number), said(0), Timestamp(1));
            notes.identity(identity(number, 1), Timestamp(1));
        }
        assert_eq!((notes.sightings.len(), notes.identities.len()), (MAX_NOTES, MAX_NOTES));
        // Who is noted already is noted anew.
        notes.sighting(NETWORK, address(5), said(0), Timestamp(2));
        assert_eq!(notes.sightings[&(NETWORK, address(5))].1, Timestamp(2));
        let batch = notes.take(10);
        for number in 0..20 {
            notes.sighting(NETWORK, address(number), said(0), Timestamp(3));
        }
        assert_eq!(notes.take_back(batch), 2 * MAX_NOTES);
        assert_eq!(notes.sightings[&(NETWORK, address(5))].1, Timestamp(3), "the newer note counts");
    }

    #[test]
    fn many_notes_are_told_of_once() {
        let mut notes = Notes::default();
        let mut told = |numbers: std::ops::Range<u64>| {
            let tell = |number| {
                notes.sighting(NETWORK, address(number), said(0), Timestamp(1));
                notes.are_many()
            };
            numbers.map(tell).filter(|are_many| *are_many).count()
        };
        let many = MANY as u64;
        assert_eq!(told(0..many - 1), 0);
        assert_eq!(told(0..many - 1), 0, "the same ones");
        assert_eq!(told(many..2 * many), 1);
        assert_eq!(told(2 * many..3 * many), 1);
        // What waits is being saved now, and is put back for that.
        notes.take_again();
        notes.put_again((0..2 * many).map(|number| ((NETWORK, address(5 * many + number)), Timestamp(1))));
        notes.sighting(NETWORK, address(4 * many), said(0), Timestamp(1));
        assert!(!notes.are_many());
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn records_that_take_no_notes_are_bounded_and_tried_again_after_an_hour() {
        let mut notes = Notes::default();
        let mut all = Notes::default();
        for number in 0..MAX_UNSAVABLE as u64 + 10 {
            all.sighting(NETWORK, address(number), said(0), Timestamp(1));
        }
        notes.set_aside(&all, Timestamp(1));
        assert_eq!(notes.unsavable_sightings.0.len(), MAX_UNSAVABLE);
        let mut is_taken = |time| {
            notes.sighting(NETWORK, address(5), said(0), Timestamp(time));
            !notes.sightings.is_empty()
        };
        assert!(!is_taken(UNSAVABLE_FOR));
        assert!(is_taken(1 + UNSAVABLE_FOR));
        assert_eq!(notes.unsavable_sightings.0.len(), MAX_UNSAVABLE - 1);
    }

    #[test]
    fn a_note_that_says_only_the_time_keeps_what_was_said_before() {
        let version = |notes: &mut Notes| {
            notes.settle();
            let (said, time) = notes.sightings[&(NETWORK, address(5))].clone();
            (said.map(|(_, metadata)| metadata.software.minor), time)
        };
        let mut notes = Notes::default();
        assert!(notes.sighting(NETWORK, address(5), said(8), Timestamp(1)));
        notes.sighting_again(NETWORK, address(5), Timestamp(2));
        assert_eq!(version(&mut notes), (Some(8), Timestamp(2)));
        // One that comes late, as the clock was set back.
        notes.sighting_again(NETWORK, address(5), Timestamp(1));
        assert_eq!(version(&mut notes), (Some(8), Timestamp(2)));
        // What could not be saved is not lost, and what is newer counts.
        let unsaved = notes.take(10);
        notes.sighting_again(NETWORK, address(5), Timestamp(3));
        assert_eq!(version(&mut notes), (None, Timestamp(3)));
        notes.take_back(unsaved);
        assert_eq!(version(&mut notes), (Some(8), Timestamp(3)));
        let unsaved = notes.take(10);
        notes.sighting(NETWORK, address(5), said(9), Timestamp(4));
        notes.take_back(unsaved);
        assert_eq!(version(&mut notes), (Some(9), Timestamp(4)));
    }

    #[test]
    fn of_what_comes_again_and_again_the_last_is_kept_in_bounded_memory() {
        let mut notes = Notes::default();
        for time in 0..10 {
            for number in 0..MAX_NOTES as u64 / 4 {
                notes.sighting_again(NETWORK, address(number), Timestamp(time));
            }
        }
        assert!(notes.again.len() <= MAX_NOTES);
        notes.settle();
        assert_eq!(notes.sightings.len(), MAX_NOTES / 4);
        assert!(notes.sightings.values().all(|(_, time)| *time == Timestamp(9)));
        for number in 0..2 * MAX_NOTES as u64 {
            notes.sighting_again(NETWORK, address(number), Timestamp(10));
        }
        assert!(notes.again.len() <= MAX_NOTES);
        notes.settle();
        assert_eq!((notes.sightings.len(), notes.again.len()), (MAX_NOTES, 0));
    }

    #[test]
    fn halving_loses_nothing_and_ends_with_single_notes() {
        let mut notes = Notes::default();
        for number in 0..7 {
            notes.sighting(NETWORK, address(number), said(0), Timestamp(1));
            notes.identity(identity(number + 3, 1), Timestamp(1));
        }
        let (mut parts, mut singles) = (vec![notes], Notes::default());
        while let Some(part) = parts.pop() {
            match part.halves() {
                Ok((one, other)) => parts.extend([one, other]),
                Err(single) => singles.join(*single),
            }
        }
        assert_eq!((singles.sightings.len(), singles.identities.len()), (7, 7));
    }

    #[test]
    fn numbers_that_no_client_has_are_bounded() {
        let metadata = RequestMetadata { protocol: u64::MAX, ..RequestMetadata::default() };
        assert_eq!(client(&(None, metadata.into())).version.unwrap().protocol, u64::from(u32::MAX));
    }

    /// There is one for each member that comes back after a restart.
    #[test]
    fn a_note_is_small() {
        assert!(size_of::<Note>() <= 48, "{}", size_of::<Note>());
    }

    #[test]
    fn batches_save_every_note_of_a_member_once() {
        let store = Store::in_memory().unwrap();
        let mut notes = Notes::default();
        store
            .write(|tx| {
                tx.networks().put(&Network::new(NETWORK, Timestamp(0)))?;
                (0..25).step_by(2).try_for_each(|number| {
                    let identity = Some(identity(number, 1));
                    tx.members()
                        .put(&Member { identity, ..Member::new(NETWORK, address(number), Timestamp(0)) })
                })
            })
            .unwrap();
        for number in 0..25 {
            notes.sighting(NETWORK, address(number), said(0), Timestamp(number));
            notes.identity(identity(number, 1), Timestamp(number));
        }
        let mut batches = 0;
        loop {
            let batch = notes.take(10);
            if batch.is_empty() {
                break;
            }
            store.write(|tx| batch.save(tx, Timestamp(9))).unwrap();
            batches += 1;
        }
        assert_eq!(batches, 3);
        store
            .read(|tx| {
                for number in 0..25 {
                    let is_member = number % 2 == 0;
                    let sighting = tx.sightings().last(NETWORK, address(number))?;
                    assert_eq!(
                        sighting.map(|sighting| sighting.last),
                        is_member.then_some(Timestamp(number))
                    );
                    let known = tx.verified_identities().get(address(number))?;
                    assert_eq!(known, is_member.then_some(identity(number, 1)));
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}
