//! What a decision about one member reads, in one view.

use std::sync::Arc;

use ctl_core::addresses::needs_pool;
use ctl_core::{Member, Network, Snapshot};
use zt_proto::{Address, NetworkId};

use crate::Tx;
use crate::error::StoreError;

/// What all members of a network have in common.
#[derive(Debug, Clone)]
pub struct Common {
    pub network: Arc<Network>,
    /// The authorized active bridges, ascending.
    pub bridges: Arc<[Address]>,
}

impl Tx<'_> {
    /// Returns what a decision about `address` depends on, or `None` if there is no such network.
    ///
    /// The addresses that members hold are looked at only if one is to be assigned; of these, very many, only what
    /// has changed since somebody looked.
    pub fn snapshot(&self, network: NetworkId, address: Address) -> Result<Option<Snapshot>, StoreError> {
        let Some(common) = self.common(network)? else { return Ok(None) };
        let member = self.members().get(network, address)?;
        Ok(Some(self.snapshot_with(&common, member)?))
    }

    /// Returns what all members of a network have in common, or `None` if there is no such network.
    pub fn common(&self, network: NetworkId) -> Result<Option<Common>, StoreError> {
        let Some(network) = self.networks().get(network)? else { return Ok(None) };
        let bridges = self.members().bridges(network.id)?;
        Ok(Some(Common { network: network.into(), bridges: bridges.into() }))
    }

    /// Completes what was read of a network and of a member.
    pub fn snapshot_with(&self, common: &Common, member: Option<Member>) -> Result<Snapshot, StoreError> {
        let Common { network, bridges } = common.clone();
        let occupied =
            if needs_pool(&network, member.as_ref()) { self.occupied(network.id)? } else { Arc::default() };
        Ok(Snapshot { network, member, bridges, occupied })
    }
}
