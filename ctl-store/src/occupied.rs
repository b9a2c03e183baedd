//! Which addresses of a network are held, in memory: whoever joins needs to know, and there may be a million.
//!
//! What is kept belongs to a place in the list of changes (`address_change`), which triggers write. A transaction goes
//! on from there to its own place, so it sees what it would see in the table: whoever made the change, with this
//! program or another, and whether it was rolled back or not. Only what is committed is kept for others.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ctl_core::Occupied;
use ctl_core::recency::Recency;
use zt_proto::NetworkId;

use crate::Tx;
use crate::column::{IpColumn, NetworkColumn};
use crate::error::StoreError;

/// Networks whose addresses are kept; the one in which nobody needed an address for longest gives way. Each address takes up
/// to 32 bytes, less where they lie close together.
const MAX_NETWORKS: usize = 64;
/// The last changes that are kept beside, so that a view which is a little older can go back. A reader takes milliseconds.
const MAX_RECENT: usize = 4096;

/// What all transactions share.
#[derive(Debug, Default)]
pub(crate) struct OccupiedCache {
    shared: Mutex<Shared>,
    /// How often all addresses of a network were read.
    #[cfg(test)]
    whole_reads: std::sync::atomic::AtomicUsize,
}

#[derive(Debug, Default)]
struct Shared {
    state: State,
    /// The last changes that are in the state, ascending: all since number `complete_after`.
    recent: VecDeque<AddressChange>,
    complete_after: i64,
}

/// What one transaction that writes knows for itself.
pub(crate) type OwnOccupied = RefCell<Option<State>>;

/// The addresses that were held after a change.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Number of the last change that is in it; 0 is before the first.
    number: i64,
    networks: BTreeMap<NetworkId, Arc<Occupied>>,
    uses: Recency<NetworkId>,
}

/// That a member got an address, or lost it.
#[derive(Debug, Clone, Copy)]
struct AddressChange {
    number: i64,
    network: NetworkId,
    ip: IpAddr,
    is_held: bool,
}

impl Tx<'_> {
    /// Returns the addresses that members of the network hold, as this transaction sees them.
    ///
    /// What costs is the number of changes since somebody looked, or until then if this view is older, not that of the
    /// members.
    pub(crate) fn occupied(&self, network: NetworkId) -> Result<Arc<Occupied>, StoreError> {
        let cache = &self.caches.occupied;
        if self.writable {
            let mut own = self.own_occupied.borrow_mut();
            let own = own.get_or_insert_with(|| cache.lock().state.clone());
            own.catch_up(self)?;
            return own.of(self, network);
        }
        let mut state = cache.lock().state.clone();
        let passed = state.catch_up(self)?;
        let occupied = state.of(self, network)?;
        cache.lock().take(state, passed);
        Ok(occupied)
    }
}

impl OccupiedCache {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Each change of it is complete in itself, but for memory that ran out.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Keeps what a reader found out, with the changes that it passed on the way; `None` if these are not known.
    fn take(&mut self, state: State, passed: Option<Vec<AddressChange>>) {
        // A view that is older than what is kept is not worth keeping: others would have to catch up once more.
        if state.number < self.state.number {
            return;
        }
        match passed {
            Some(passed) => {
                self.recent.extend(passed.into_iter().filter(|change| change.number > self.state.number));
            }
            None => {
                self.recent.clear();
                self.complete_after = state.number;
            }
        }
        while self.recent.len() > MAX_RECENT {
            self.complete_after = self.recent.pop_front().map_or(state.number, |change| change.number);
        }
        self.state = state;
    }

    /// Returns the changes after one number up to another, ascending; `None` if not all of them are known.
    fn between(&self, after: i64, until: i64) -> Option<Vec<AddressChange>> {
        let is_known = self.complete_after <= after && until <= self.state.number;
        let is_between = |change: &&AddressChange| after < change.number && change.number <= until;
        is_known.then(|| self.recent.iter().filter(is_between).copied().collect())
    }
}

impl State {
    fn of(&mut self, tx: &Tx<'_>, network: NetworkId) -> Result<Arc<Occupied>, StoreError> {
        let occupied = match self.networks.get(&network) {
            Some(occupied) => Arc::clone(occupied),
            None => {
                #[cfg(test)]
                tx.caches.occupied.whole_reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.keep(network, tx.members().occupied(network)?)
            }
        };
        self.uses.note(network);
        Ok(occupied)
    }

    fn keep(&mut self, network: NetworkId, occupied: Occupied) -> Arc<Occupied> {
        if self.networks.len() >= MAX_NETWORKS
            && let Some(evicted) = self.uses.pop_oldest()
        {
            self.networks.remove(&evicted);
        }
        let occupied = Arc::new(occupied);
        self.networks.insert(network, Arc::clone(&occupied));
        occupied
    }

    fn forget(&mut self) {
        (self.networks, self.uses) = Default::default();
    }

    /// Goes on, or back, to the last change that the transaction sees; forgets everything if that cannot be reached. Returns
    /// the changes that it went on over, if it did.
    fn catch_up(&mut self, tx: &Tx<'_>) -> Result<Option<Vec<AddressChange>>, StoreError> {
        let bounds =
            tx.query(BOUNDS, [], "changes of addresses", |row| Ok((row.get("first")?, row.get("last")?)))?;
        let (first, last): (i64, i64) = bounds.into_iter().next().unwrap_or((1, 0));
        let mut passed = None;
        if last < self.number {
            match tx.caches.occupied.lock().between(last, self.number) {
                // An address that was got was free before, and one that was lost was held.
                Some(changes) => changes.into_iter().rev().for_each(|change| {
                    self.apply(AddressChange { is_held: !change.is_held, ..change });
                }),
                None => self.forget(),
            }
        } else if first > self.number.saturating_add(1) || self.networks.is_empty() {
            self.forget();
        } else {
            let changes = if last > self.number { changes(tx, self.number)? } else { Vec::new() };
            changes.iter().for_each(|change| self.apply(*change));
            passed = Some(changes);
        }
        self.number = last;
        Ok(passed)
    }

    fn apply(&mut self, change: AddressChange) {
        let Some(occupied) = self.networks.get_mut(&change.network) else { return };
        let occupied = Arc::make_mut(occupied);
        if change.is_held { occupied.insert(change.ip) } else { occupied.remove(change.ip) }
    }
}

/// Two searches: `min` and `max` in one query would go through all changes.
const BOUNDS: &str = "SELECT coalesce((SELECT min(number) FROM address_change), 1) AS first, \
                      coalesce((SELECT max(number) FROM address_change), 0) AS last";

fn changes(tx: &Tx<'_>, after: i64) -> Result<Vec<AddressChange>, StoreError> {
    let sql = "SELECT number, network, ip, is_held FROM address_change WHERE number > ?1 ORDER BY number";
    tx.query(sql, [after], "a change of addresses", |row| {
        Ok(AddressChange {
            number: row.get("number")?,
            network: row.get::<NetworkColumn>("network")?.0,
            ip: row.get::<IpColumn>("ip")?.0,
            is_held: row.get("is_held")?,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::Ordering;

    use ctl_core::{Member, Network};
    use zt_proto::{Address, Timestamp};

    use super::*;
    use crate::pool::{Connections, OpenOptions};
    use crate::query_plan;

    const NETWORK: NetworkId = NetworkId(7);

    fn ip(number: u64) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap()).into()
    }

    fn put(connections: &Connections, number: u64) {
        let address = Address::from_low_bits(number);
        let member =
            Member { ip_assignments: vec![ip(number)], ..Member::new(NETWORK, address, Timestamp(0)) };
        connections.write(|tx| tx.members().put(&member)).unwrap();
    }

    fn remove(connections: &Connections, number: u64) {
        connections.write(|tx| tx.members().remove(NETWORK, Address::from_low_bits(number))).unwrap();
    }

    /// In a storm of joins readers overtake each other all the time, and a network may have a million members.
    #[test]
    fn a_view_that_is_older_than_what_is_kept_goes_back_instead_of_reading_the_whole_network() {
        let directory = tempfile::tempdir().unwrap();
        let connections =
            Connections::open(&directory.path().join("ctl.db"), OpenOptions::default()).unwrap();
        connections.write(|tx| tx.networks().put(&Network::new(NETWORK, Timestamp(0)))).unwrap();
        (1..=100).for_each(|number| put(&connections, number));
        let look = || connections.read(|tx| tx.occupied(NETWORK)).unwrap();
        let whole_reads = || connections.caches().occupied.whole_reads.load(Ordering::Relaxed);
        look();
        assert_eq!(whole_reads(), 1);
        for round in 0..3 {
            connections
                .read(|old| {
                    let before = old.members().occupied(NETWORK)?;
                    // Meanwhile others write, and look.
                    put(&connections, 200 + round);
                    remove(&connections, 1 + round);
                    look();
                    put(&connections, 300 + round);
                    remove(&connections, 200 + round);
                    assert!(look().contains(ip(300 + round)) && !look().contains(ip(1 + round)));
                    assert_eq!(*old.occupied(NETWORK)?, before);
                    Ok::<_, StoreError>(())
                })
                .unwrap();
            assert_eq!(look(), Arc::new(connections.read(|tx| tx.members().occupied(NETWORK)).unwrap()));
        }
        assert_eq!(whole_reads(), 1);
    }

    /// Every join looks for them, and there are ten thousand changes.
    #[test]
    fn the_first_and_the_last_change_are_found_by_searching() {
        let plan = query_plan::of(BOUNDS);
        assert_eq!(plan.matches("SEARCH address_change").count(), 2, "{plan}");
        assert!(!plan.contains("SCAN address_change"), "{plan}");
    }

    #[test]
    fn changes_to_go_back_over_are_bounded_and_past_them_all_is_read_anew() {
        let mut shared = Shared::default();
        let change = |number| AddressChange { number, network: NETWORK, ip: ip(1), is_held: number % 2 == 1 };
        let most = i64::try_from(MAX_RECENT).unwrap();
        let until = |number| State { number, ..State::default() };
        shared.take(until(most + 10), Some((1..=most + 10).map(change).collect()));
        assert_eq!(shared.recent.len(), MAX_RECENT);
        assert!(shared.between(9, most + 10).is_none());
        assert_eq!(shared.between(10, most + 10).unwrap().len(), MAX_RECENT);
        assert!(shared.between(10, most + 11).is_none());
        // What an older one found is not kept, nor what was passed twice.
        shared.take(until(20), None);
        shared.take(until(most + 12), Some((most + 5..=most + 12).map(change).collect()));
        let numbers: Vec<_> =
            shared.between(most + 4, most + 12).unwrap().iter().map(|change| change.number).collect();
        assert_eq!(numbers, (most + 5..=most + 12).collect::<Vec<_>>());
        shared.take(until(most + 20), None);
        assert!(shared.between(most + 19, most + 20).is_none());
    }
}
