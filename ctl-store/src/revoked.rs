//! Who lost its authorization lately: what a controller that was started again still has to tell members that return.

use rusqlite::params;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, NetworkColumn, U64Column};
use crate::error::StoreError;

/// Members of a removed network whose certificates are revoked if it is made again within two hours. Of a larger one
/// the others' lapse by themselves, one credential window after the removal.
pub const MAX_REVOKED_WITH_NETWORK: u32 = 65_536;

/// The members of all networks whose certificates were revoked, inside a transaction.
pub struct Revoked<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

impl Revoked<'_> {
    /// Notes that a member lost its authorization; belongs into the transaction that takes it.
    pub fn note(&self, network: NetworkId, member: Address, since: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO revoked (network, member, since) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (network, member) DO UPDATE SET since = excluded.since";
        let values = params![NetworkColumn(network), AddressColumn(member), U64Column(since.0)];
        self.tx.execute(sql, values).map(drop)
    }

    /// Notes that all authorized members of a network lost their authorization with it, up to
    /// [`MAX_REVOKED_WITH_NETWORK`].
    pub(crate) fn note_network(&self, network: NetworkId, since: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO revoked (network, member, since) \
                   SELECT network, address, ?2 FROM member WHERE network = ?1 AND authorized = 1 LIMIT ?3 \
                   ON CONFLICT (network, member) DO UPDATE SET since = excluded.since";
        let values = params![NetworkColumn(network), U64Column(since.0), MAX_REVOKED_WITH_NETWORK];
        self.tx.execute(sql, values).map(drop)
    }

    /// Returns who lost its authorization after `time` and has not got it again, with when: ascending by that. Of
    /// networks that are not here it says nothing: see [`Revoked::networks_gone_since`].
    pub fn list_since(&self, time: Timestamp) -> Result<Vec<(NetworkId, Address, Timestamp)>, StoreError> {
        let record = "a revoked member";
        self.tx.query(LIST_SINCE, [U64Column(time.0)], record, |row| {
            let (network, member) =
                (row.get::<NetworkColumn>("network")?.0, row.get::<AddressColumn>("member")?.0);
            Ok((network, member, row.get::<U64Column>("since")?.time()))
        })
    }

    /// Returns the same of one network, whether it is here or not.
    pub fn of_network_since(
        &self,
        network: NetworkId,
        time: Timestamp,
    ) -> Result<Vec<(Address, Timestamp)>, StoreError> {
        let values = params![NetworkColumn(network), U64Column(time.0)];
        self.tx.query(OF_NETWORK_SINCE, values, format_args!("a revoked member of {network}"), |row| {
            Ok((row.get::<AddressColumn>("member")?.0, row.get::<U64Column>("since")?.time()))
        })
    }

    /// Returns the networks that are not here any more, but had members that lost their authorization after `time`,
    /// with when the last of them did.
    pub fn networks_gone_since(&self, time: Timestamp) -> Result<Vec<(NetworkId, Timestamp)>, StoreError> {
        self.tx.query(GONE_SINCE, [U64Column(time.0)], "a revoked member", |row| {
            Ok((row.get::<NetworkColumn>("network")?.0, row.get::<U64Column>("since")?.time()))
        })
    }

    /// Says whether there are any that lost it at `time` or before.
    pub fn is_any_until(&self, time: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM revoked WHERE since <= ?1 LIMIT 1";
        Ok(!self.tx.query(sql, [U64Column(time.0)], "a revoked member", |_| Ok(()))?.is_empty())
    }

    /// Forgets up to `limit` of those that lost it at `time` or before; returns how many those were.
    pub fn forget_until(&self, time: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM revoked WHERE (network, member) IN \
                   (SELECT network, member FROM revoked WHERE since <= ?1 LIMIT ?2)";
        self.tx.execute(sql, params![U64Column(time.0), limit])
    }
}

/// Says whether a member is in again: authorized, and where members log in, with a session that ends later than it was revoked.
macro_rules! is_in_again {
    () => {
        "EXISTS (SELECT 1 FROM member WHERE member.network = revoked.network \
         AND member.address = revoked.member AND member.authorized = 1 \
         AND (member.sso_exempt = 1 OR member.sso_expires > revoked.since OR member.sso_expires < 0 OR NOT EXISTS \
         (SELECT 1 FROM network WHERE network.id = revoked.network AND network.sso_enabled = 1)))"
    };
}

const LIST_SINCE: &str = concat!(
    "SELECT network, member, since FROM revoked WHERE since > ?1 \
     AND EXISTS (SELECT 1 FROM network WHERE network.id = revoked.network) AND NOT ",
    is_in_again!(),
    " ORDER BY since, network, member"
);
const OF_NETWORK_SINCE: &str = concat!(
    "SELECT member, since FROM revoked WHERE network = ?1 AND since > ?2 AND NOT ",
    is_in_again!(),
    " ORDER BY since, member"
);
const GONE_SINCE: &str = "SELECT network, max(since) AS since FROM revoked WHERE since > ?1 AND NOT EXISTS \
                          (SELECT 1 FROM network WHERE network.id = revoked.network) \
                          GROUP BY network ORDER BY network";
