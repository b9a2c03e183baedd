//! Strangers that wait for somebody to authorize them. Each has a record in `member` as well.

use ctl_core::pending::{Among, Pending, Room, Source};
use rusqlite::params;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, Columns, NetworkColumn, U64Column};
use crate::error::StoreError;

/// The strangers of all networks, inside a transaction.
///
/// Saving a member, by whatever way but [`PendingMembers::put`], ends its being one; so does removing it.
pub struct PendingMembers<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

impl PendingMembers<'_> {
    /// Returns what is known of a stranger; `None` if there is no such member, or somebody has authorized or edited it.
    pub fn get(&self, network: NetworkId, member: Address) -> Result<Option<Pending>, StoreError> {
        let record = format_args!("pending member {member} of network {network}");
        let key = (NetworkColumn(network), AddressColumn(member));
        Ok(self.tx.query(GET, key, record, decode)?.into_iter().next())
    }

    /// Returns the strangers of a network, the one that asked last first.
    pub fn list(&self, network: NetworkId) -> Result<Vec<Pending>, StoreError> {
        self.tx.query(
            LIST,
            [NetworkColumn(network)],
            format_args!("a pending member of network {network}"),
            decode,
        )
    }

    /// Returns the strangers of a network that are authorized; there should be none.
    pub(crate) fn authorized(&self, network: NetworkId) -> Result<Vec<Address>, StoreError> {
        let sql = "SELECT member FROM pending WHERE network = ?1 AND EXISTS (SELECT 1 FROM member WHERE authorized = 1 \
                   AND member.network = pending.network AND member.address = pending.member) ORDER BY member";
        let record = format_args!("a pending member of network {network}");
        self.tx.query(sql, [NetworkColumn(network)], record, |row| Ok(row.get::<AddressColumn>("member")?.0))
    }

    /// Marks a member that was just saved as one of which nothing is known but that it asked.
    pub fn put(
        &self,
        network: NetworkId,
        member: Address,
        source: Source,
        last_asked: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO pending (network, member, last_asked, source) VALUES (?1, ?2, ?3, ?4)";
        let values =
            params![NetworkColumn(network), AddressColumn(member), U64Column(last_asked.0), source.octets()];
        self.tx.execute(sql, values).map(drop)
    }

    /// Notes that a stranger has asked again; nothing if it is none.
    pub fn touch(
        &self,
        network: NetworkId,
        member: Address,
        last_asked: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE pending SET last_asked = ?3 WHERE network = ?1 AND member = ?2";
        let values = params![NetworkColumn(network), AddressColumn(member), U64Column(last_asked.0)];
        self.tx.execute(sql, values).map(drop)
    }

    /// Notes that a member is no longer a stranger.
    pub(crate) fn clear(&self, network: NetworkId, member: Address) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(member))).map(drop)
    }

    /// Returns how much room there is for a stranger of `network` that asks from `source`.
    pub fn room(&self, network: NetworkId, source: Source) -> Result<Room, StoreError> {
        let record = format_args!("pending members of network {network}");
        let values = params![NetworkColumn(network), source.octets()];
        let found = self.tx.query(ROOM, values, record, |row| {
            let count = |column| Ok::<_, StoreError>(row.get::<U64Column>(column)?.0);
            let oldest =
                |column| Ok::<_, StoreError>(row.get::<Option<U64Column>>(column)?.map(U64Column::time));
            Ok(Room {
                of_source: count("of_source")?,
                of_network: count("of_network")?,
                in_all: count("in_all")?,
                oldest_of_source: oldest("oldest_of_source")?,
                oldest_of_network: oldest("oldest_of_network")?,
                oldest_in_all: oldest("oldest_in_all")?,
            })
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Says whether there are strangers that last asked at `time` or before.
    pub fn is_any_until(&self, time: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM pending WHERE last_asked <= ?1 LIMIT 1";
        Ok(!self.tx.query(sql, [U64Column(time.0)], "a pending member", |_| Ok(()))?.is_empty())
    }

    /// Has strangers that seem to have asked after `time` have asked `now`: the clock was ahead. Returns how many those were.
    pub fn bring_back(&self, time: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        self.tx.execute(BRING_BACK, [U64Column(time.0), U64Column(now.0)])
    }

    /// Says whether there are any of these.
    pub fn is_any_after(&self, time: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM pending WHERE last_asked > ?1 LIMIT 1";
        Ok(!self.tx.query(sql, [U64Column(time.0)], "a pending member", |_| Ok(()))?.is_empty())
    }

    /// Removes the stranger that asked longest ago, with its record: the one of those that share `among` with a
    /// stranger of `network` that asks from `source`.
    pub fn remove_oldest(&self, among: Among, network: NetworkId, source: Source) -> Result<(), StoreError> {
        let removed = match among {
            Among::Source => {
                self.tx.execute(REMOVE_OLDEST_OF_SOURCE, params![NetworkColumn(network), source.octets()])
            }
            Among::Network => self.tx.execute(REMOVE_OLDEST_OF_NETWORK, [NetworkColumn(network)]),
            Among::All => self.tx.execute(REMOVE_OLDEST_IN_ALL, []),
        };
        removed.map(drop)
    }

    /// Removes up to `limit` strangers that last asked at `time` or before, with their records; returns how many those
    /// were.
    pub fn remove_until(&self, time: Timestamp, limit: u32) -> Result<usize, StoreError> {
        self.tx.execute(REMOVE_UNTIL, params![U64Column(time.0), limit])
    }
}

fn decode(row: &Columns<'_>) -> Result<Pending, StoreError> {
    let source: Vec<u8> = row.get("source")?;
    Ok(Pending {
        member: row.get::<AddressColumn>("member")?.0,
        first_asked: row.get::<U64Column>("created")?.time(),
        last_asked: row.get::<U64Column>("last_asked")?.time(),
        source: Source::from_octets(&source).ok_or_else(|| row.damaged("source", "it has another length"))?,
    })
}

const GET: &str = "SELECT pending.member, created, last_asked, source FROM pending \
                   JOIN member ON member.network = pending.network AND member.address = pending.member \
                   WHERE pending.network = ?1 AND pending.member = ?2";
const LIST: &str = "SELECT pending.member, created, last_asked, source FROM pending \
                    JOIN member ON member.network = pending.network AND member.address = pending.member \
                    WHERE pending.network = ?1 ORDER BY last_asked DESC";
const ROOM: &str = "SELECT (SELECT count(*) FROM pending WHERE network = ?1 AND source = ?2) AS of_source, \
                    (SELECT count(*) FROM pending WHERE network = ?1) AS of_network, \
                    (SELECT count(*) FROM pending) AS in_all, \
                    (SELECT min(last_asked) FROM pending WHERE network = ?1 AND source = ?2) AS oldest_of_source, \
                    (SELECT min(last_asked) FROM pending WHERE network = ?1) AS oldest_of_network, \
                    (SELECT min(last_asked) FROM pending) AS oldest_in_all";
// No authorized member is ever removed, whatever else went wrong.
const REMOVE_OLDEST_OF_SOURCE: &str = "DELETE FROM member WHERE authorized = 0 AND (network, address) IN \
                                       (SELECT network, member FROM pending WHERE network = ?1 AND source = ?2 \
                                        ORDER BY last_asked LIMIT 1)";
const REMOVE_OLDEST_OF_NETWORK: &str = "DELETE FROM member WHERE authorized = 0 AND (network, address) IN \
                                        (SELECT network, member FROM pending WHERE network = ?1 \
                                         ORDER BY last_asked LIMIT 1)";
const REMOVE_OLDEST_IN_ALL: &str = "DELETE FROM member WHERE authorized = 0 AND (network, address) IN \
                                    (SELECT network, member FROM pending ORDER BY last_asked LIMIT 1)";
const BRING_BACK: &str = "UPDATE pending SET last_asked = ?2 WHERE last_asked > ?1";
const REMOVE_UNTIL: &str = "DELETE FROM member WHERE authorized = 0 AND (network, address) IN \
                            (SELECT network, member FROM pending WHERE last_asked <= ?1 ORDER BY last_asked LIMIT ?2)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan;

    /// The record of a stranger that was found.
    const ONE_MEMBER: &str = "SEARCH member USING PRIMARY KEY";

    #[test]
    fn strangers_are_counted_and_found_by_their_indices() {
        for (sql, indices) in [
            (GET, &["SEARCH pending USING PRIMARY KEY", "SEARCH member USING PRIMARY KEY"][..]),
            (LIST, &["SEARCH pending USING INDEX pending_order", "SEARCH member USING PRIMARY KEY"]),
            (
                ROOM,
                &[
                    "SEARCH pending USING COVERING INDEX pending_source (network=? AND source=?)",
                    "SEARCH pending USING COVERING INDEX pending_order (network=?)",
                    "SCAN pending USING COVERING INDEX",
                    "SEARCH pending USING COVERING INDEX pending_age",
                ],
            ),
            (
                REMOVE_OLDEST_OF_SOURCE,
                &["pending USING COVERING INDEX pending_source (network=? AND source=?)", ONE_MEMBER],
            ),
            (
                REMOVE_OLDEST_OF_NETWORK,
                &["pending USING COVERING INDEX pending_order (network=?)", ONE_MEMBER],
            ),
            (REMOVE_OLDEST_IN_ALL, &["pending USING COVERING INDEX pending_age", ONE_MEMBER]),
            (REMOVE_UNTIL, &["pending USING COVERING INDEX pending_age", ONE_MEMBER]),
        ] {
            let plan = query_plan::of(sql);
            assert!(indices.iter().all(|index| plan.contains(index)), "{sql}: {plan}");
            assert!(!plan.contains("SCAN member") && !plan.contains("FOR ORDER BY"), "{sql}: {plan}");
        }
    }
}
