//! Fields of imported records that mean nothing here, kept for an export.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId};

use crate::column::{AddressColumn, Columns, NetworkColumn};
use crate::error::StoreError;
use crate::member::Members;
use crate::network::Networks;

impl Networks<'_> {
    /// Returns the extra fields of a network; none for most.
    pub fn extra(&self, id: NetworkId) -> Result<Map<String, Value>, StoreError> {
        let sql = "SELECT fields FROM network_extra WHERE network = ?1";
        let record = format_args!("extra fields of network {id}");
        Ok(self.tx.query(sql, [NetworkColumn(id)], record, decode)?.into_iter().next().unwrap_or_default())
    }

    /// Replaces the extra fields of a network.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if there is no such network.
    pub fn put_extra(&self, id: NetworkId, fields: &Map<String, Value>) -> Result<(), StoreError> {
        if fields.is_empty() {
            let sql = "DELETE FROM network_extra WHERE network = ?1";
            return self.tx.execute(sql, [NetworkColumn(id)]).map(drop);
        }
        let sql = "INSERT OR REPLACE INTO network_extra (network, fields) VALUES (?1, ?2)";
        self.tx.execute(sql, params![NetworkColumn(id), text(fields)?]).map(drop)
    }
}

impl Members<'_> {
    /// Returns the extra fields of a member; none for most.
    pub fn extra(&self, network: NetworkId, address: Address) -> Result<Map<String, Value>, StoreError> {
        let sql = "SELECT fields FROM member_extra WHERE network = ?1 AND member = ?2";
        let record = format_args!("extra fields of member {address} of network {network}");
        let found = self.tx.query(sql, (NetworkColumn(network), AddressColumn(address)), record, decode)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Returns the extra fields of those members from `first` to `last`, both included, that have any.
    pub fn extras_between(
        &self,
        network: NetworkId,
        first: Address,
        last: Address,
    ) -> Result<BTreeMap<Address, Map<String, Value>>, StoreError> {
        let sql = "SELECT member, fields FROM member_extra WHERE network = ?1 AND member BETWEEN ?2 AND ?3";
        let record = format_args!("extra fields of a member of network {network}");
        let key = (NetworkColumn(network), AddressColumn(first), AddressColumn(last));
        let row = |row: &Columns<'_>| Ok((row.get::<AddressColumn>("member")?.0, decode(row)?));
        Ok(self.tx.query(sql, key, record, row)?.into_iter().collect())
    }

    /// Returns the extra fields of each member of a network that has any.
    pub(crate) fn extras(&self, network: NetworkId) -> Result<Vec<Map<String, Value>>, StoreError> {
        let sql = "SELECT fields FROM member_extra WHERE network = ?1";
        let record = format_args!("extra fields of a member of network {network}");
        self.tx.query(sql, [NetworkColumn(network)], record, decode)
    }

    /// Replaces the extra fields of a member.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if there is no such member.
    pub fn put_extra(
        &self,
        network: NetworkId,
        address: Address,
        fields: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let key = (NetworkColumn(network), AddressColumn(address));
        if fields.is_empty() {
            let sql = "DELETE FROM member_extra WHERE network = ?1 AND member = ?2";
            return self.tx.execute(sql, key).map(drop);
        }
        let sql = "INSERT OR REPLACE INTO member_extra (network, member, fields) VALUES (?1, ?2, ?3)";
        self.tx.execute(sql, params![key.0, key.1, text(fields)?]).map(drop)
    }
}

fn text(fields: &Map<String, Value>) -> Result<String, StoreError> {
    serde_json::to_string(fields).map_err(|error| StoreError::Internal { what: error.to_string() })
}

fn decode(row: &Columns<'_>) -> Result<Map<String, Value>, StoreError> {
    let text: String = row.get("fields")?;
    serde_json::from_str(&text).map_err(|error| row.damaged("fields", error))
}
