//! How many members networks have, in memory: counting reads them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zt_proto::NetworkId;

use crate::generation::Generations;
use crate::member::MemberCounts;

/// Networks of which it is known; past it, all are counted again.
const MAX_NETWORKS: usize = 4096;

/// What was counted, and whether anything was written since.
#[derive(Debug, Default)]
pub(crate) struct CountsCache {
    /// Of all writes through these connections.
    pub(crate) writes: Arc<Generations>,
    known: Mutex<HashMap<NetworkId, (u64, MemberCounts)>>,
}

impl CountsCache {
    /// Returns the counts of a network in a view that began at `settled`, the generation of all writes, or later: those that
    /// are known, if nothing was written since, else what `count` finds in the view.
    pub(crate) fn get_or<E>(
        &self,
        network: NetworkId,
        settled: Option<u64>,
        count: impl FnOnce() -> Result<MemberCounts, E>,
    ) -> Result<MemberCounts, E> {
        // A view begins with its first read. That was of this generation if no write has begun until now.
        let is_current = || self.writes.settled() == settled;
        let Some(generation) = settled.filter(|_| is_current()) else { return count() };
        if let Some((counted, counts)) = self.lock().get(&network)
            && *counted == generation
        {
            return Ok(*counts);
        }
        let counts = count()?;
        if is_current() {
            let mut known = self.lock();
            if known.len() >= MAX_NETWORKS && !known.contains_key(&network) {
                known.clear();
            }
            known.insert(network, (generation, counts));
        }
        Ok(counts)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NetworkId, (u64, MemberCounts)>> {
        // Each change is one call.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ctl_core::{Member, Network};
    use zt_proto::{Address, Timestamp};

    use super::*;
    use crate::pool::{Connections, OpenOptions};
    use crate::{StoreError, Tx};

    const NETWORK: NetworkId = NetworkId(7);

    type Write<'a> = &'a dyn Fn(&Tx<'_>) -> Result<(), StoreError>;

    fn member(number: u64, authorized: bool) -> Member {
        Member { authorized, ..Member::new(NETWORK, Address::from_low_bits(number), Timestamp(0)) }
    }

    fn counts(connections: &Connections) -> (u64, u64) {
        let counts = connections.read(|tx| tx.members().counts(NETWORK)).unwrap();
        (counts.total, counts.authorized)
    }

    #[test]
    fn counts_are_those_of_the_last_commit_whatever_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ctl.db");
        for connections in
            [Connections::open(&path, OpenOptions::default()).unwrap(), Connections::in_memory().unwrap()]
        {
            connections.migrate().unwrap();
            let write = |f: Write<'_>| connections.write(|tx| f(tx));
            write(&|tx| tx.networks().put(&Network::new(NETWORK, Timestamp(0)))).unwrap();
            assert_eq!(counts(&connections), (0, 0));
            let steps: [(Write<'_>, _); 5] = [
                (&|tx| tx.members().put(&member(1, true)), (1, 1)),
                (&|tx| tx.members().put(&member(2, false)), (2, 1)),
                (&|tx| tx.members().put(&member(1, false)), (2, 0)),
                (&|tx| tx.members().remove(NETWORK, Address::from_low_bits(2)).map(drop), (1, 0)),
                (&|tx| tx.networks().remove(NETWORK, Timestamp(0)).map(drop), (0, 0)),
            ];
            for (step, expected) in steps {
                write(step).unwrap();
                assert_eq!([counts(&connections), counts(&connections)], [expected; 2]);
            }
            // What fails changes nothing, and what a write sees of itself is for nobody else.
            write(&|tx| tx.networks().put(&Network::new(NETWORK, Timestamp(0)))).unwrap();
            let failed = write(&|tx| {
                tx.members().put(&member(1, true))?;
                assert_eq!(tx.members().counts(NETWORK)?.total, 1);
                Err(StoreError::NoSuchNetwork { network: NETWORK })
            });
            assert!(failed.is_err());
            assert_eq!(counts(&connections), (0, 0));
        }
    }

    #[test]
    fn a_view_keeps_its_counts_and_leaves_none_of_them_to_later_ones() {
        let directory = tempfile::tempdir().unwrap();
        let connections =
            Connections::open(&directory.path().join("ctl.db"), OpenOptions::default()).unwrap();
        connections.write(|tx| tx.networks().put(&Network::new(NETWORK, Timestamp(0)))).unwrap();
        let put = |number| connections.write(|tx| tx.members().put(&member(number, true))).unwrap();
        connections
            .read(|old| {
                assert_eq!(old.members().counts(NETWORK)?.total, 0);
                put(1);
                assert_eq!(counts(&connections), (1, 1));
                assert_eq!(old.members().counts(NETWORK)?.total, 0, "an older view");
                Ok::<_, StoreError>(())
            })
            .unwrap();
        assert_eq!(counts(&connections), (1, 1));
        connections
            .read(|late| {
                // It sees what was written before it first read.
                put(2);
                assert_eq!(late.members().counts(NETWORK)?.total, 2);
                Ok::<_, StoreError>(())
            })
            .unwrap();
        assert_eq!(counts(&connections), (2, 2));
    }

    #[test]
    fn networks_whose_counts_are_known_are_bounded() {
        let cache = CountsCache::default();
        for number in 0..=MAX_NETWORKS as u64 {
            cache
                .get_or(NetworkId(number), Some(0), || Ok::<_, StoreError>(MemberCounts::default()))
                .unwrap();
            assert!(cache.lock().len() <= MAX_NETWORKS);
        }
        assert_eq!(cache.lock().len(), 1, "all but the last are forgotten");
    }
}
