//! The identities that members showed, over all networks; and which of them were verified.

use rusqlite::params;
use zt_proto::{Address, PublicIdentity, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, Columns, IdentityColumn, U64Column};
use crate::error::StoreError;
use crate::member::Members;

impl Members<'_> {
    /// Returns the identity of the node `address`, or `None` if it is not known from any network. Nobody may have
    /// verified it.
    ///
    /// Should networks know the address with different keys, the one that was a member first is returned.
    pub fn identity(&self, address: Address) -> Result<Option<PublicIdentity>, StoreError> {
        let sql = "SELECT identity FROM member WHERE address = ?1 AND identity IS NOT NULL \
                   ORDER BY created, network LIMIT 1";
        let record = format_args!("member {address}");
        let decode = |columns: &Columns<'_>| columns.get::<IdentityColumn>("identity");
        let found = self.tx.query(sql, params![AddressColumn(address)], record, decode)?;
        Ok(found.first().map(|identity| identity.0))
    }
}

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
        let sql = "INSERT INTO verified_identity (address, key, verified) SELECT ?1, ?2, ?3 \
                   WHERE EXISTS (SELECT 1 FROM member WHERE address = ?1 AND identity = ?4) \
                   ON CONFLICT (address) DO NOTHING";
        let address = AddressColumn(identity.address);
        self.tx.execute(sql, params![address, identity.key, U64Column(now.0), IdentityColumn(*identity)])?;
        Ok(self.get(identity.address)?.as_ref() == Some(identity))
    }
}
