//! What is asked about all members of a network at once, each from one narrow tree, however wide their rows are.

use std::net::IpAddr;

use ctl_core::Occupied;
use rusqlite::params;
use zt_proto::{Address, NetworkId};

use super::Members;
use crate::column::{AddressColumn, Columns, IpColumn, NetworkColumn, Order, U64Column};
use crate::error::StoreError;

/// How many members a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemberCounts {
    pub total: u64,
    /// Those of the total that are authorized.
    pub authorized: u64,
}

impl Members<'_> {
    /// Returns address and revision of each member of the network, ascending by address.
    pub fn revisions(&self, network: NetworkId) -> Result<Vec<(Address, u64)>, StoreError> {
        let record = format_args!("member of network {network}");
        self.tx.query(REVISIONS, [NetworkColumn(network)], record, |row| {
            Ok((row.get::<AddressColumn>("address")?.0, row.get::<U64Column>("revision")?.0))
        })
    }

    /// Returns address and revision of up to `limit` members of the network, ascending by address: those after `after`, or
    /// the first.
    pub fn revisions_page(
        &self,
        network: NetworkId,
        after: Option<Address>,
        limit: usize,
    ) -> Result<Vec<(Address, u64)>, StoreError> {
        // No member has the address 0.
        let after = after.unwrap_or(Address::NONE);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let record = format_args!("member of network {network}");
        let key = params![NetworkColumn(network), AddressColumn(after), limit];
        self.tx.query(REVISIONS_PAGE, key, record, |row| {
            Ok((row.get::<AddressColumn>("address")?.0, row.get::<U64Column>("revision")?.0))
        })
    }

    /// Returns how many members the network has; none if there is no such network. They are counted only if anything was
    /// written through this store since they last were.
    pub fn counts(&self, network: NetworkId) -> Result<MemberCounts, StoreError> {
        self.tx.caches.counts.get_or(network, self.tx.settled, || self.count_all(network))
    }

    fn count_all(&self, network: NetworkId) -> Result<MemberCounts, StoreError> {
        let record = format_args!("members of network {network}");
        let found = self.tx.query(COUNTS, [NetworkColumn(network)], record, |row| {
            let (total, authorized) =
                (row.get::<U64Column>("total")?.0, row.get::<U64Column>("authorized")?.0);
            Ok(MemberCounts { total, authorized })
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Returns how many members all networks have together: some milliseconds for a million.
    pub fn count(&self) -> Result<u64, StoreError> {
        let found = self.tx.query("SELECT count(*) AS total FROM member", [], "members", |row| {
            Ok(row.get::<U64Column>("total")?.0)
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Returns the member of the network that has this address, if any.
    pub fn holder(&self, network: NetworkId, ip: IpAddr) -> Result<Option<Address>, StoreError> {
        let record = format_args!("holder of {ip} in network {network}");
        let found = self.tx.query(HOLDER, (NetworkColumn(network), IpColumn(ip)), record, |row| {
            Ok(row.get::<AddressColumn>("member")?.0)
        })?;
        Ok(found.into_iter().next())
    }

    /// Returns the authorized active bridges of the network, ascending.
    pub(crate) fn bridges(&self, network: NetworkId) -> Result<Vec<Address>, StoreError> {
        let record = format_args!("bridge of network {network}");
        self.tx.query(BRIDGES, [NetworkColumn(network)], record, |row| {
            Ok(row.get::<AddressColumn>("address")?.0)
        })
    }

    /// Returns the addresses of all members of the network; reads them all.
    pub(crate) fn occupied(&self, network: NetworkId) -> Result<Occupied, StoreError> {
        let (mut statement, order) = (self.tx.connection.prepare_cached(OCCUPIED)?, Order::default());
        let record = format_args!("member of network {network}");
        statement
            .query_and_then([NetworkColumn(network)], |row| {
                Ok(Columns::new(row, &record, &order).get::<IpColumn>("ip")?.0)
            })?
            .collect()
    }
}

// Those that a large network depends on; a test holds each to its index.
const REVISIONS: &str = "SELECT address, revision FROM member INDEXED BY member_revision \
                         WHERE network = ?1 ORDER BY address";
const REVISIONS_PAGE: &str = "SELECT address, revision FROM member INDEXED BY member_revision \
                              WHERE network = ?1 AND address > ?2 ORDER BY address LIMIT ?3";
const COUNTS: &str = "SELECT count(*) AS total, coalesce(sum(authorized), 0) AS authorized \
                      FROM member INDEXED BY member_revision WHERE network = ?1";
const BRIDGES: &str = "SELECT address FROM member INDEXED BY member_bridge \
                       WHERE network = ?1 AND active_bridge = 1 AND authorized = 1 ORDER BY address";
const OCCUPIED: &str = "SELECT ip FROM member_address WHERE network = ?1 ORDER BY ip";
const HOLDER: &str = "SELECT member FROM member_address WHERE network = ?1 AND ip = ?2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan;

    #[test]
    fn queries_over_large_networks_read_one_narrow_tree() {
        for (sql, index) in [
            (REVISIONS, "COVERING INDEX member_revision (network=?)"),
            (REVISIONS_PAGE, "COVERING INDEX member_revision (network=? AND address>?)"),
            (COUNTS, "COVERING INDEX member_revision (network=?)"),
            (BRIDGES, "COVERING INDEX member_bridge (network=?)"),
            (OCCUPIED, "SEARCH member_address USING PRIMARY KEY (network=?)"),
            (HOLDER, "SEARCH member_address USING PRIMARY KEY (network=? AND ip=?)"),
        ] {
            let plan = query_plan::of(sql);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
