//! Which addresses of a network are held, in memory: whoever joins needs to know, and there may be a million.
//!
//! What is kept belongs to a place in the list of changes (`address_change`), which triggers write. A transaction goes
//! on from there to its own place, so it sees what it would see in the table: whoever made the change, with this
//! program or another, and whether it was rolled back or not. Only what is committed is kept for others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ctl_core::Occupied;
use ctl_core::recency::Recency;
use zt_proto::NetworkId;

use crate::Tx;
use crate::column::{IpColumn, NetworkColumn};
use crate::error::StoreError;

/// Networks whose addresses are kept; the one in which nobody needed an address for longest gives way. Each address takes up to 32 bytes, less where they lie close together.
const MAX_NETWORKS: usize = 64;

/// What all transactions share.
#[derive(Debug, Default)]
pub(crate) struct OccupiedCache {
    state: Mutex<State>,
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

impl Tx<'_> {
    /// Returns the addresses that members of the network hold, as this transaction sees them.
    ///
    /// What costs is the number of changes since somebody looked, not that of the members.
    pub(crate) fn occupied(&self, network: NetworkId) -> Result<Arc<Occupied>, StoreError> {
        let cache = self.occupied_cache;
        if self.writable {
            let mut own = self.own_occupied.borrow_mut();
            return own.get_or_insert_with(|| cache.lock().clone()).of(self, network);
        }
        let mut state = cache.lock().clone();
        let occupied = state.of(self, network)?;
        let mut shared = cache.lock();
        // A view that is older than what is kept is not worth keeping: others would have to catch up once more.
        if shared.number <= state.number {
            *shared = state;
        }
        Ok(occupied)
    }
}

impl OccupiedCache {
    fn lock(&self) -> MutexGuard<'_, State> {
        // It is replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&mut self, tx: &Tx<'_>, network: NetworkId) -> Result<Arc<Occupied>, StoreError> {
        self.catch_up(tx)?;
        let occupied = match self.networks.get(&network) {
            Some(occupied) => Arc::clone(occupied),
            None => self.keep(network, tx.members().occupied(network)?),
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

    /// Goes on to the last change that the transaction sees; forgets everything if that cannot be reached.
    fn catch_up(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let sql =
            "SELECT coalesce(min(number), 1) AS first, coalesce(max(number), 0) AS last FROM address_change";
        let bounds =
            tx.query(sql, [], "changes of addresses", |row| Ok((row.get("first")?, row.get("last")?)))?;
        let (first, last): (i64, i64) = bounds.into_iter().next().unwrap_or((1, 0));
        if last < self.number || first > self.number.saturating_add(1) {
            (self.networks, self.uses) = Default::default();
        } else if last > self.number && !self.networks.is_empty() {
            for (network, ip, is_held) in changes(tx, self.number)? {
                let Some(occupied) = self.networks.get_mut(&network) else { continue };
                let occupied = Arc::make_mut(occupied);
                if is_held { occupied.insert(ip) } else { occupied.remove(ip) }
            }
        }
        self.number = last;
        Ok(())
    }
}

fn changes(tx: &Tx<'_>, after: i64) -> Result<Vec<(NetworkId, IpAddr, bool)>, StoreError> {
    let sql = "SELECT network, ip, is_held FROM address_change WHERE number > ?1 ORDER BY number";
    tx.query(sql, [after], "a change of addresses", |row| {
        Ok((row.get::<NetworkColumn>("network")?.0, row.get::<IpColumn>("ip")?.0, row.get("is_held")?))
    })
}
