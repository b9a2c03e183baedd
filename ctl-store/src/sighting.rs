//! When members were last heard, from where, and with which software; and what that was before.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ctl_core::member::ClientVersion;
use rusqlite::{named_params, params};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, Columns, IpColumn, NetworkColumn, U64Column};
use crate::error::{self, StoreError};
use crate::member::{self, OfSpan, Span, TOGETHER};

/// Sightings that are kept of a member: the last one, and those before the last changes.
pub const MAX_SIGHTINGS: usize = 8;
/// Bytes of a platform that are kept; clients say whatever they like.
pub const MAX_PLATFORM_BYTES: usize = 64;

/// What members said with their requests, inside a transaction.
pub struct Sightings<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

/// A time during which a member kept asking from one IP address with one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When it first asked like this.
    pub first: Timestamp,
    /// When it last did.
    pub last: Timestamp,
    pub client: Client,
}

/// From where and with what a member asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Its UDP address; `None` if the request came through a relay, or nobody knows.
    ///
    /// Another port alone makes no new [`Sighting`]: routers change those all the time.
    pub wire: Option<SocketAddr>,
    pub version: Option<ClientVersion>,
    /// For example `linux/x86_64`; empty if unknown. Cut to [`MAX_PLATFORM_BYTES`] when saved.
    pub platform: String,
}

impl Client {
    /// Says whether this continues `earlier` rather than being a change.
    fn continues(&self, earlier: &Self) -> bool {
        let ip = |client: &Self| client.wire.map(|wire| wire.ip());
        ip(self) == ip(earlier)
            && self.version == earlier.version
            && cut(&self.platform) == cut(&earlier.platform)
    }
}

impl Sightings<'_> {
    /// Returns the newest sighting of a member, or `None` if it was never heard.
    pub fn last(&self, network: NetworkId, member: Address) -> Result<Option<Sighting>, StoreError> {
        Ok(self.newest(network, member)?.map(|(_, sighting)| sighting))
    }

    /// Returns what is known of a member, newest first; at most [`MAX_SIGHTINGS`].
    pub fn history(&self, network: NetworkId, member: Address) -> Result<Vec<Sighting>, StoreError> {
        let sql = "SELECT ip, port, version_major, version_minor, version_revision, version_protocol, platform, first, \
                   last FROM member_sighting WHERE network = ?1 AND member = ?2 ORDER BY number DESC";
        let record = format_args!("sighting of member {member} of network {network}");
        self.tx.query(sql, (NetworkColumn(network), AddressColumn(member)), record, decode)
    }

    /// Returns the newest sighting of each member of the network that was ever heard.
    pub fn last_of_all(&self, network: NetworkId) -> Result<BTreeMap<Address, Sighting>, StoreError> {
        self.last_between(network, Address::NONE, Address::MAX)
    }

    /// Returns the members of the network that asked at `since` or later, with when they last did, ascending by address.
    pub fn since(
        &self,
        network: NetworkId,
        since: Timestamp,
    ) -> Result<Vec<(Address, Timestamp)>, StoreError> {
        let sql = "SELECT member, max(last) AS last FROM member_sighting WHERE network = ?1 AND last >= ?2 \
                   GROUP BY member";
        let record = format_args!("sighting of a member of network {network}");
        self.tx.query(sql, (NetworkColumn(network), U64Column(since.0)), record, |row| {
            Ok((row.get::<AddressColumn>("member")?.0, row.get::<U64Column>("last")?.time()))
        })
    }

    /// Returns the newest sighting of each member of the network from `first` to `last`, both included, that was ever heard.
    pub fn last_between(
        &self,
        network: NetworkId,
        first: Address,
        last: Address,
    ) -> Result<BTreeMap<Address, Sighting>, StoreError> {
        Ok(self.last_within(Span::between(network, first, last))?.into_iter().collect())
    }

    /// Returns the newest sighting of each of the members that was ever heard.
    pub fn last_of(
        &self,
        network: NetworkId,
        members: &[Address],
    ) -> Result<BTreeMap<Address, Sighting>, StoreError> {
        let mut found = BTreeMap::new();
        for members in members.chunks(TOGETHER) {
            found.extend(self.last_within(Span::these(network, members))?);
        }
        Ok(found)
    }

    fn last_within(&self, span: Span<'_>) -> Result<Vec<(Address, Sighting)>, StoreError> {
        self.tx.query(span.sql(&NEWEST), span.params(), format_args!("sighting of {span}"), |row| {
            Ok((row.get::<AddressColumn>("member")?.0, decode(row)?))
        })
    }

    /// Notes a request and says whether there is such a member; if not, nothing is kept.
    pub fn note(
        &self,
        network: NetworkId,
        member: Address,
        client: &Client,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let newest = self.newest(network, member)?;
        if let Some((number, sighting)) = &newest
            && client.continues(&sighting.client)
        {
            let sql = "UPDATE member_sighting SET last = ?1, port = ?2 \
                       WHERE network = ?3 AND member = ?4 AND number = ?5";
            let port = client.wire.map(|wire| wire.port());
            let key = (NetworkColumn(network), AddressColumn(member));
            self.tx.execute(sql, params![U64Column(now.0), port, key.0, key.1, number])?;
            return Ok(true);
        }
        let number = newest.map_or(0, |(number, _)| number.saturating_add(1));
        let sighting = Sighting { first: now, last: now, client: client.clone() };
        let is_member = self.insert(network, member, number, &sighting)?;
        if is_member {
            self.forget_before(network, member, number)?;
        }
        Ok(is_member)
    }

    /// Notes a request that says the same as the newest one that is kept, and says whether there is one.
    pub fn note_again(
        &self,
        network: NetworkId,
        member: Address,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE member_sighting SET last = ?1 WHERE network = ?2 AND member = ?3 AND number = \
                   (SELECT max(number) FROM member_sighting WHERE network = ?2 AND member = ?3)";
        let values = (U64Column(now.0), NetworkColumn(network), AddressColumn(member));
        Ok(self.tx.execute(sql, values)? > 0)
    }

    /// Replaces all that is known of a member, given newest first, and says whether there is such a member. What
    /// is too many is left out.
    pub fn put(&self, network: NetworkId, member: Address, history: &[Sighting]) -> Result<bool, StoreError> {
        let sql = "DELETE FROM member_sighting WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(member)))?;
        let kept = history.get(..MAX_SIGHTINGS).unwrap_or(history);
        for (number, sighting) in (0_i64..).zip(kept.iter().rev()) {
            if !self.insert(network, member, number, sighting)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn newest(&self, network: NetworkId, member: Address) -> Result<Option<(i64, Sighting)>, StoreError> {
        let sql = "SELECT number, ip, port, version_major, version_minor, version_revision, version_protocol, \
                   platform, first, last FROM member_sighting WHERE network = ?1 AND member = ?2 \
                   ORDER BY number DESC LIMIT 1";
        let record = format_args!("sighting of member {member} of network {network}");
        let key = (NetworkColumn(network), AddressColumn(member));
        let found = self.tx.query(sql, key, record, |row| Ok((row.get("number")?, decode(row)?)))?;
        Ok(found.into_iter().next())
    }

    /// Adds a row and says whether there is such a member.
    fn insert(
        &self,
        network: NetworkId,
        member: Address,
        number: i64,
        sighting: &Sighting,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO member_sighting (network, member, number, first, last, ip, port, version_major, \
                   version_minor, version_revision, version_protocol, platform) VALUES (:network, :member, \
                   :number, :first, :last, :ip, :port, :version_major, :version_minor, :version_revision, \
                   :version_protocol, :platform)";
        let client = &sighting.client;
        let version = |part: fn(&ClientVersion) -> u64| client.version.as_ref().map(|v| U64Column(part(v)));
        let values = named_params! {
            ":network": NetworkColumn(network),
            ":member": AddressColumn(member),
            ":number": number,
            ":first": U64Column(sighting.first.0),
            ":last": U64Column(sighting.last.0),
            ":ip": client.wire.map(|wire| IpColumn(wire.ip())),
            ":port": client.wire.map(|wire| wire.port()),
            ":version_major": version(|version| version.major),
            ":version_minor": version(|version| version.minor),
            ":version_revision": version(|version| version.revision),
            ":version_protocol": version(|version| version.protocol),
            ":platform": cut(&client.platform),
        };
        match self.tx.writer()?.prepare_cached(sql)?.execute(values) {
            Err(error) if error::is_orphan(&error) => Ok(false),
            result => Ok(result.map(|_| true)?),
        }
    }

    fn forget_before(&self, network: NetworkId, member: Address, newest: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM member_sighting WHERE network = ?1 AND member = ?2 AND number <= ?3";
        let last = newest.saturating_sub_unsigned(MAX_SIGHTINGS as u64);
        if last < 0 {
            return Ok(()); // they count from 0
        }
        let key = (NetworkColumn(network), AddressColumn(member));
        self.tx.execute(sql, params![key.0, key.1, last]).map(drop)
    }
}

// Beside max(), SQLite takes the other columns from the row that has it.
macro_rules! newest {
    () => {
        "SELECT member, ip, port, version_major, version_minor, version_revision, version_protocol, platform, first, \
         last, max(number) FROM member_sighting WHERE network = ?1 AND member"
    };
}
const NEWEST: OfSpan = OfSpan {
    between: concat!(newest!(), " BETWEEN ?2 AND ?3 GROUP BY member"),
    // In the order of an index, of which a join would not be known.
    these: concat!(
        newest!(),
        " IN (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) GROUP BY member"
    ),
};

fn decode(row: &Columns<'_>) -> Result<Sighting, StoreError> {
    let wire = match (row.get::<Option<IpColumn>>("ip")?, row.get("port")?) {
        (Some(ip), Some(port)) => Some(SocketAddr::new(ip.0, port)),
        (None, None) => None,
        _ => return Err(row.damaged("port", "an address without a port, or the other way round")),
    };
    let client = Client { wire, version: member::version(row)?, platform: row.get("platform")? };
    let (first, last) = (row.get::<U64Column>("first")?.time(), row.get::<U64Column>("last")?.time());
    Ok(Sighting { first, last, client })
}

fn cut(platform: &str) -> &str {
    platform.get(..platform.floor_char_boundary(MAX_PLATFORM_BYTES)).unwrap_or(platform)
}

#[cfg(test)]
mod tests {
    use super::NEWEST;
    use crate::query_plan;

    #[test]
    fn sightings_of_members_that_are_named_are_searched_for() {
        let plan = query_plan::of(NEWEST.these);
        assert!(plan.contains("SEARCH member_sighting USING PRIMARY KEY (network=? AND member=?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
