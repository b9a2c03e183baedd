//! The identities that members showed, over all networks; and which of them were verified.

use rusqlite::params;
use zt_proto::{Address, PublicIdentity, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, Columns, IdentityColumn, U64Column};
use crate::error::StoreError;
use crate::member::Members;
use crate::search::json;

impl Members<'_> {
    /// Returns the identities of those nodes among `addresses` that any network knows, ascending. Nobody may have verified
    /// them.
    ///
    /// Should networks know an address with different keys, the one that was a member first is returned.
    pub fn identities(&self, addresses: &[Address]) -> Result<Vec<PublicIdentity>, StoreError> {
        let decode = |columns: &Columns<'_>| Ok(columns.get::<IdentityColumn>("identity")?.0);
        let mut found = self.tx.query(CLAIMED, [json(addresses)], "the identity of a member", decode)?;
        found.dedup_by_key(|identity| identity.address);
        Ok(found)
    }
}

/// Identities that members claim: all of each address, first the one that is to be returned.
const CLAIMED: &str = "SELECT identity FROM member WHERE address IN (SELECT unhex(value) FROM json_each(?1)) \
                       AND identity IS NOT NULL ORDER BY address, created, network";
const VERIFIED: &str = "SELECT address, key FROM verified_identity \
                        WHERE address IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY address";

/// Identities of members whose address was checked against their keys, inside a transaction.
///
/// Only this controller writes them, after the check, so whoever reads one need not check again.
pub struct VerifiedIdentities<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

impl VerifiedIdentities<'_> {
    /// Returns the verified identity of the node `address`, if there is one.
    pub fn get(&self, address: Address) -> Result<Option<PublicIdentity>, StoreError> {
        let sql = "SELECT key FROM verified_identity WHERE address = ?1";
        let record = format_args!("verified identity {address}");
        let found = self.tx.query(sql, [AddressColumn(address)], record, |row| {
            Ok(PublicIdentity { address, key: row.get("key")? })
        })?;
        Ok(found.into_iter().next())
    }

    /// Returns the verified identities of those nodes among `addresses` that have one, ascending: for many by one query.
    pub fn list(&self, addresses: &[Address]) -> Result<Vec<PublicIdentity>, StoreError> {
        self.tx.query(VERIFIED, [json(addresses)], "a verified identity", |row| {
            Ok(PublicIdentity { address: row.get::<AddressColumn>("address")?.0, key: row.get("key")? })
        })
    }

    /// Returns the addresses whose identity is kept though no member has one; there should be none.
    pub(crate) fn unowned(&self) -> Result<Vec<Address>, StoreError> {
        let sql = "SELECT address FROM verified_identity AS kept WHERE NOT EXISTS \
                   (SELECT 1 FROM member WHERE address = kept.address AND identity IS NOT NULL) ORDER BY address";
        self.tx.query(sql, [], "a verified identity", |row| Ok(row.get::<AddressColumn>("address")?.0))
    }

    /// Keeps an identity that was verified, and says whether it is now kept.
    ///
    /// It is not if no member has it, so that strangers leave nothing, and if there is another of this address: the
    /// first one stays until no member has the address.
    pub fn put(&self, identity: &PublicIdentity, now: Timestamp) -> Result<bool, StoreError> {
        // Of most that are noted again after a start it is kept already.
        if let Some(known) = self.get(identity.address)? {
            return Ok(known == *identity);
        }
        let sql = "INSERT INTO verified_identity (address, key, verified) SELECT ?1, ?2, ?3 \
                   WHERE EXISTS (SELECT 1 FROM member WHERE address = ?1 AND identity = ?4)";
        let address = AddressColumn(identity.address);
        let values = params![address, identity.key, U64Column(now.0), IdentityColumn(*identity)];
        Ok(self.tx.execute(sql, values)? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan;

    /// Strangers cause these queries.
    #[test]
    fn identities_are_found_by_their_addresses_in_indexes() {
        for (sql, index) in [
            (VERIFIED, "SEARCH verified_identity USING PRIMARY KEY (address=?)"),
            (CLAIMED, "SEARCH member USING INDEX member_identity (address=?)"),
        ] {
            let plan = query_plan::with(sql, ["[]"]);
            assert!(plan.contains(index) && !plan.contains("SCAN member"), "{plan}");
        }
    }
}
