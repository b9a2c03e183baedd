//! What a decision about one member reads, in one view.

use std::sync::Arc;

use ctl_core::Snapshot;
use ctl_core::addresses::needs_pool;
use zt_proto::{Address, NetworkId};

use crate::Tx;
use crate::error::StoreError;

impl Tx<'_> {
    /// Returns what a decision about `address` depends on, or `None` if there is no such network.
    ///
    /// The addresses that members hold are looked at only if one is to be assigned; of these, very many, only what
    /// has changed since somebody looked.
    pub fn snapshot(&self, network: NetworkId, address: Address) -> Result<Option<Snapshot>, StoreError> {
        let Some(network) = self.networks().get(network)? else { return Ok(None) };
        let members = self.members();
        let member = members.get(network.id, address)?;
        let bridges = members.bridges(network.id)?;
        let occupied =
            if needs_pool(&network, member.as_ref()) { self.occupied(network.id)? } else { Arc::default() };
        Ok(Some(Snapshot { network: network.into(), member, bridges: bridges.into(), occupied }))
    }
}
