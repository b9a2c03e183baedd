//! Networks as they were last read.

use std::collections::HashMap;

use ctl_store::Common;
use zt_proto::NetworkId;

/// Networks that are kept as they were last read; past it, all are read again.
const MAX_COMMONS: usize = 256;

/// Networks as they were last read.
#[derive(Debug, Default)]
pub(super) struct Commons(HashMap<NetworkId, (u64, Common)>);

impl Commons {
    /// Returns the network if it was read at this generation.
    pub(super) fn find(&self, network: NetworkId, generation: u64) -> Option<Common> {
        self.0.get(&network).filter(|(read, _)| *read == generation).map(|(_, common)| common.clone())
    }

    /// Keeps what was read. The generation must have been settled both before and after the transaction first read.
    pub(super) fn keep(&mut self, common: &Common, generation: u64) {
        if self.0.get(&common.network.id).is_some_and(|(read, _)| *read == generation) {
            return;
        }
        if self.0.len() >= MAX_COMMONS {
            self.0.clear();
        }
        self.0.insert(common.network.id, (generation, common.clone()));
    }
}

#[cfg(test)]
mod tests {
    use ctl_core::Network;
    use ctl_store::Store;
    use zt_proto::Timestamp;

    use super::*;

    #[test]
    fn too_many_networks_are_all_forgotten_and_kept_anew() {
        let store = Store::in_memory().unwrap();
        let mut commons = Commons::default();
        let bound = MAX_COMMONS as u64;
        for n in 0..=bound {
            let id = NetworkId(n);
            store.write(|tx| tx.networks().put(&Network::new(id, Timestamp(1_000)))).unwrap();
            let common = store.read(|tx| tx.common(id)).unwrap().unwrap();
            commons.keep(&common, 1);
            commons.keep(&common, 1);
            assert!(commons.find(id, 1).is_some() && commons.find(id, 2).is_none());
            assert_eq!(commons.0.len() as u64, if n < bound { n + 1 } else { 1 });
        }
    }
}
