//! What is noted about members with every request and saved in batches: losing seconds of it in a crash is fine.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ctl_core::member::ClientVersion;
use ctl_store::{Client, MAX_PLATFORM_BYTES, StoreError, Tx};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

/// Notes of each kind that wait to be saved; past it, new ones are dropped until there is room.
const MAX_NOTES: usize = 262_144;
/// Notes that are saved in one transaction: some milliseconds for which other writers wait.
pub(super) const NOTES_AT_ONCE: usize = 1024;

/// Notes that are not saved yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    sightings: BTreeMap<(NetworkId, Address), (Client, Timestamp)>,
    identities: BTreeMap<Address, PublicIdentity>,
}

/// Returns what a request says about its sender. What the client wrote is cut to what is kept.
pub(super) fn client(from: Option<SocketAddr>, metadata: &RequestMetadata) -> Client {
    let bounded = |number: u64| number.min(u32::MAX.into());
    let version = ClientVersion {
        major: bounded(metadata.software.major),
        minor: bounded(metadata.software.minor),
        revision: bounded(metadata.software.revision),
        protocol: bounded(metadata.protocol),
    };
    let mut platform = metadata.platform.clone();
    platform.truncate(platform.floor_char_boundary(MAX_PLATFORM_BYTES));
    platform.shrink_to_fit();
    Client { wire: from, version: Some(version), platform }
}

impl Notes {
    /// Notes a request; the last one of a node for a network counts.
    pub(super) fn sighting(&mut self, network: NetworkId, node: Address, client: Client, now: Timestamp) {
        let key = (network, node);
        if self.sightings.len() < MAX_NOTES || self.sightings.contains_key(&key) {
            self.sightings.insert(key, (client, now));
        }
    }

    /// Notes an identity that was verified.
    pub(super) fn identity(&mut self, identity: PublicIdentity) {
        if self.identities.len() < MAX_NOTES || self.identities.contains_key(&identity.address) {
            self.identities.insert(identity.address, identity);
        }
    }

    /// Takes up to `max` notes of each kind out.
    pub(super) fn take(&mut self, max: usize) -> Self {
        Self {
            sightings: take_first(&mut self.sightings, max),
            identities: take_first(&mut self.identities, max),
        }
    }

    /// Puts notes back that could not be saved, unless there are newer ones; returns how many wait now.
    pub(super) fn take_back(&mut self, unsaved: Self) -> usize {
        for (key, note) in unsaved.sightings {
            if self.sightings.len() < MAX_NOTES {
                self.sightings.entry(key).or_insert(note);
            }
        }
        for (address, identity) in unsaved.identities {
            if self.identities.len() < MAX_NOTES {
                self.identities.entry(address).or_insert(identity);
            }
        }
        self.sightings.len() + self.identities.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sightings.is_empty() && self.identities.is_empty()
    }

    /// Saves the notes about nodes that are members; the others leave nothing.
    pub(super) fn save(&self, tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        for ((network, node), (client, time)) in &self.sightings {
            tx.sightings().note(*network, *node, client, *time)?;
        }
        for identity in self.identities.values() {
            tx.verified_identities().put(identity, now)?;
        }
        Ok(())
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

    use super::*;

    const NETWORK: NetworkId = NetworkId(1);

    fn address(number: u64) -> Address {
        Address::from_low_bits(number)
    }

    fn identity(number: u64, key: u8) -> PublicIdentity {
        PublicIdentity { address: address(number), key: [key; 64] }
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn notes_that_cannot_be_saved_fill_no_memory() {
        let mut notes = Notes::default();
        for number in 0..MAX_NOTES as u64 + 10 {
            notes.sighting(NETWORK, address(number), Client::default(), Timestamp(1));
            notes.identity(identity(number, 1));
        }
        assert_eq!((notes.sightings.len(), notes.identities.len()), (MAX_NOTES, MAX_NOTES));
        // Who is noted already is noted anew.
        notes.sighting(NETWORK, address(5), Client::default(), Timestamp(2));
        assert_eq!(notes.sightings[&(NETWORK, address(5))].1, Timestamp(2));
        let batch = notes.take(10);
        for number in 0..20 {
            notes.sighting(NETWORK, address(number), Client::default(), Timestamp(3));
        }
        assert_eq!(notes.take_back(batch), 2 * MAX_NOTES);
        assert_eq!(notes.sightings[&(NETWORK, address(5))].1, Timestamp(3), "the newer note counts");
    }

    #[test]
    fn what_a_client_says_of_itself_is_cut_at_once() {
        let mut metadata = RequestMetadata::default();
        (metadata.platform, metadata.protocol) = ("x".repeat(60_000), u64::MAX);
        let client = client(None, &metadata);
        assert_eq!(client.platform.len(), MAX_PLATFORM_BYTES);
        assert_eq!(client.version.unwrap().protocol, u64::from(u32::MAX));
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
            notes.sighting(NETWORK, address(number), Client::default(), Timestamp(number));
            notes.identity(identity(number, 1));
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
