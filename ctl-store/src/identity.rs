//! The identities that members showed, over all networks.

use rusqlite::params;
use zt_proto::{Address, PublicIdentity};

use crate::column::{AddressColumn, Columns, IdentityColumn};
use crate::error::StoreError;
use crate::member::Members;

impl Members<'_> {
    /// Returns the identity of the node `address`, or `None` if it is not known from any network.
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
