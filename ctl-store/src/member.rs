//! Members of networks, and who has which address.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::{self, Peekable};
use std::net::IpAddr;
use std::vec;

use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::RemoteTrace;
use ctl_core::{Member, Occupied};
use rusqlite::types::Null;
use rusqlite::{Params, ToSql, named_params, params, params_from_iter};
use zt_proto::{Address, NetworkId};

use crate::Tx;
use crate::column::{
    AddressColumn, Columns, FingerprintColumn, IdentityColumn, IpColumn, NetworkColumn, U64Column,
};
use crate::error::{self, StoreError};

/// The members of all networks, inside a transaction.
pub struct Members<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

/// How many members a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemberCounts {
    pub total: u64,
    /// Those of the total that are authorized.
    pub authorized: u64,
}

/// The entries of members' lists, ascending by member, then in the order of its list.
type OfMembers<T> = Vec<(Address, T)>;

/// What is kept of a member beside its row.
struct Lists<'a> {
    ip_assignments: &'a [IpAddr],
    tags: &'a BTreeMap<u32, u32>,
    capabilities: &'a [u32],
}

impl Lists<'_> {
    const NONE: Self = Self { ip_assignments: &[], tags: &BTreeMap::new(), capabilities: &[] };
}

/// Members that are asked for by name in one query.
const TOGETHER: usize = 16;

/// The members of a network that a query is about.
#[derive(Clone, Copy)]
struct Span<'a> {
    network: NetworkId,
    whom: Whom<'a>,
}

#[derive(Clone, Copy)]
enum Whom<'a> {
    /// Those from the first address to the second, both included.
    Between(Address, Address),
    /// At most [`TOGETHER`].
    These(&'a [Address]),
}

/// A query about the members of a span: for both ways to name them.
struct OfSpan {
    between: &'static str,
    these: &'static str,
}

/// Writes a query with and without the column that is to be the address of one of the members.
macro_rules! of_span {
    ($before:literal, $after:literal) => {
        OfSpan {
            between: concat!($before, " BETWEEN ?2 AND ?3 ", $after),
            these: concat!(
                $before,
                " IN (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) ",
                $after
            ),
        }
    };
}

impl<'a> Span<'a> {
    fn one(network: NetworkId, address: Address) -> Self {
        Self::between(network, address, address)
    }

    fn all(network: NetworkId) -> Self {
        Self::between(network, Address::NONE, Address::MAX)
    }

    fn between(network: NetworkId, first: Address, last: Address) -> Self {
        Self { network, whom: Whom::Between(first, last) }
    }

    fn these(network: NetworkId, addresses: &'a [Address]) -> Self {
        Self { network, whom: Whom::These(addresses) }
    }

    fn sql(self, query: &OfSpan) -> &'static str {
        match self.whom {
            Whom::Between(..) => query.between,
            Whom::These(_) => query.these,
        }
    }

    fn params(self) -> impl Params {
        let network: Box<dyn ToSql> = Box::new(NetworkColumn(self.network));
        let mut params = vec![network];
        let mut add = |address| params.push(Box::new(AddressColumn(address)));
        match self.whom {
            Whom::Between(first, last) => [first, last].into_iter().for_each(add),
            Whom::These(addresses) => {
                addresses.iter().copied().for_each(&mut add);
                // Nobody has no address.
                let missing = TOGETHER.saturating_sub(addresses.len());
                params.extend(iter::repeat_with(|| Box::new(Null) as Box<dyn ToSql>).take(missing));
            }
        }
        params_from_iter(params)
    }
}

impl fmt::Display for Span<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whom {
            Whom::Between(first, last) if first == last => {
                write!(f, "member {first} of network {}", self.network)
            }
            Whom::Between(..) | Whom::These(_) => write!(f, "a member of network {}", self.network),
        }
    }
}

impl Members<'_> {
    /// Returns the member, or `None` if `address` never asked to join `network` and nobody added it.
    pub fn get(&self, network: NetworkId, address: Address) -> Result<Option<Member>, StoreError> {
        Ok(self.within(Span::one(network, address))?.into_iter().next())
    }

    /// Returns those of the members that there are, ascending by address; each once.
    pub fn some(&self, network: NetworkId, addresses: &[Address]) -> Result<Vec<Member>, StoreError> {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        let mut members = Vec::with_capacity(addresses.len());
        for addresses in addresses.chunks(TOGETHER) {
            members.append(&mut self.within(Span::these(network, addresses))?);
        }
        Ok(members)
    }

    /// Returns the members of the network in full, ascending by address.
    pub fn list(&self, network: NetworkId) -> Result<Vec<Member>, StoreError> {
        self.within(Span::all(network))
    }

    /// Returns up to `limit` members of the network in full, ascending by address: those after `after`, or the first.
    pub fn page(
        &self,
        network: NetworkId,
        after: Option<Address>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let first = match after {
            None => Address::NONE,
            Some(Address::MAX) => return Ok(Vec::new()),
            Some(after) => Address::from_low_bits(after.to_u64() + 1),
        };
        let sql = "SELECT max(address) AS last FROM (SELECT address FROM member INDEXED BY member_revision \
                   WHERE network = ?1 AND address >= ?2 ORDER BY address LIMIT ?3)";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let record = format_args!("member of network {network}");
        let found = self.tx.query(
            sql,
            params![NetworkColumn(network), AddressColumn(first), limit],
            record,
            |row| Ok(row.get::<Option<AddressColumn>>("last")?.map(|last| last.0)),
        )?;
        match found.first().copied().flatten() {
            Some(last) => self.within(Span::between(network, first, last)),
            None => Ok(Vec::new()),
        }
    }

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

    /// Saves the member, whether it is new or not. If it was pending, it no longer is.
    ///
    /// # Errors
    /// - [`StoreError::AddressTaken`] if another member of the network has one of its addresses; nothing was saved.
    /// - [`StoreError::NoSuchNetwork`] if the network is gone; nothing was saved.
    /// - [`StoreError::Internal`] if the member has an address twice; like after any other error of a change, the
    ///   transaction is then to be given up.
    pub fn put(&self, member: &Member) -> Result<(), StoreError> {
        let span = Span::one(member.network, member.address);
        self.put_lists(
            member,
            &Lists {
                ip_assignments: &values(self.addresses(span)?),
                tags: &BTreeMap::from_iter(values(self.tags(span)?)),
                capabilities: &values(self.capabilities(span)?),
            },
        )?;
        // Whoever saves a member knows something about it.
        self.tx.pending().clear(member.network, member.address)
    }

    /// Does what [`Self::put`] does for a member that this transaction found to be `stored`, which need not be read again.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn replace(&self, stored: Option<&Member>, member: &Member) -> Result<(), StoreError> {
        let Some(stored) = stored else {
            // Nothing belongs to a member that is not there.
            return self.put_lists(member, &Lists::NONE);
        };
        let Member { ip_assignments, tags, capabilities, .. } = stored;
        self.put_lists(member, &Lists { ip_assignments, tags, capabilities })?;
        self.tx.pending().clear(member.network, member.address)
    }

    /// Saves the member in place of one that has these lists. Most saves change none: leaving those alone saves the pages
    /// that would be written.
    fn put_lists(&self, member: &Member, stored: &Lists<'_>) -> Result<(), StoreError> {
        let has_other_addresses = stored.ip_assignments != member.ip_assignments;
        if has_other_addresses {
            self.require_free(member)?;
        }
        self.put_row(member)?;
        if has_other_addresses {
            self.put_addresses(member)?;
        }
        if *stored.tags != member.tags {
            self.put_tags(member)?;
        }
        if stored.capabilities != member.capabilities {
            self.put_capabilities(member)?;
        }
        Ok(())
    }

    /// Removes the member and says whether there was one. Its addresses are free at once.
    pub fn remove(&self, network: NetworkId, address: Address) -> Result<bool, StoreError> {
        let sql = "DELETE FROM member WHERE network = ?1 AND address = ?2";
        Ok(self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))? > 0)
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
        let mut statement = self.tx.connection.prepare_cached(OCCUPIED)?;
        let record = format_args!("member of network {network}");
        statement
            .query_and_then([NetworkColumn(network)], |row| {
                Ok(Columns::new(row, &record).get::<IpColumn>("ip")?.0)
            })?
            .collect()
    }

    /// Returns the members of a span in full, ascending. Four queries, however many members there are.
    fn within(&self, span: Span<'_>) -> Result<Vec<Member>, StoreError> {
        let mut addresses = self.addresses(span)?.into_iter().peekable();
        let mut tags = self.tags(span)?.into_iter().peekable();
        let mut capabilities = self.capabilities(span)?.into_iter().peekable();
        let mut members = self.rows(span)?;
        for member in &mut members {
            member.ip_assignments = take(&mut addresses, member.address);
            member.tags = take(&mut tags, member.address);
            member.capabilities = take(&mut capabilities, member.address);
        }
        Ok(members)
    }

    /// Returns the members of a span without their lists.
    fn rows(&self, span: Span<'_>) -> Result<Vec<Member>, StoreError> {
        self.tx.query(span.sql(&ROWS), span.params(), span, |row| {
            let address = row.get::<AddressColumn>("address")?.0;
            let record = Span::one(span.network, address);
            let row = &row.renamed(&record);
            Ok(Member {
                network: span.network,
                address,
                identity: row.get::<Option<IdentityColumn>>("identity")?.map(|identity| identity.0),
                fingerprint: row.get::<Option<FingerprintColumn>>("fingerprint")?.map(|hash| hash.0),
                name: row.get("name")?,
                authorized: row.get("authorized")?,
                active_bridge: row.get("active_bridge")?,
                no_auto_assign_ips: row.get("no_auto_assign")?,
                ip_assignments: Vec::new(),
                tags: BTreeMap::new(),
                capabilities: Vec::new(),
                created: row.get::<U64Column>("created")?.time(),
                revision: row.get::<U64Column>("revision")?.0,
                last_authorized: row.get::<U64Column>("last_authorized")?.time(),
                last_deauthorized: row.get::<U64Column>("last_deauthorized")?.time(),
                credential: credential(row)?,
                authentication_expiry: row.get::<U64Column>("sso_expires")?.time(),
                sso_exempt: row.get("sso_exempt")?,
                version: version(row)?,
                remote_trace: RemoteTrace {
                    target: row.get("trace_target")?,
                    level: row.get::<U64Column>("trace_level")?.0,
                },
            })
        })
    }

    fn put_row(&self, member: &Member) -> Result<(), StoreError> {
        let sql = "INSERT INTO member (network, address, revision, authorized, active_bridge, no_auto_assign, \
                   sso_exempt, identity, name, created, last_authorized, last_deauthorized, credential, \
                   credential_token, sso_expires, version_major, version_minor, version_revision, \
                   version_protocol, trace_target, trace_level, fingerprint) \
                   VALUES (:network, :address, :revision, :authorized, :active_bridge, :no_auto_assign, \
                   :sso_exempt, :identity, :name, :created, :last_authorized, :last_deauthorized, :credential, \
                   :credential_token, :sso_expires, :version_major, :version_minor, :version_revision, \
                   :version_protocol, :trace_target, :trace_level, :fingerprint) \
                   ON CONFLICT (network, address) DO UPDATE SET revision = :revision, authorized = :authorized, \
                   active_bridge = :active_bridge, no_auto_assign = :no_auto_assign, sso_exempt = :sso_exempt, \
                   identity = :identity, name = :name, created = :created, last_authorized = :last_authorized, \
                   last_deauthorized = :last_deauthorized, credential = :credential, \
                   credential_token = :credential_token, sso_expires = :sso_expires, \
                   version_major = :version_major, version_minor = :version_minor, \
                   version_revision = :version_revision, version_protocol = :version_protocol, \
                   trace_target = :trace_target, trace_level = :trace_level, fingerprint = :fingerprint";
        let (credential, token) = match &member.credential {
            None => (None, None),
            Some(Credential::Api) => (Some("api"), None),
            Some(Credential::Public) => (Some("public"), None),
            Some(Credential::Token(token)) => (Some("token"), Some(token)),
        };
        let version = |part: fn(&ClientVersion) -> u64| member.version.as_ref().map(|v| U64Column(part(v)));
        let values = named_params! {
            ":network": NetworkColumn(member.network),
            ":address": AddressColumn(member.address),
            ":revision": U64Column(member.revision),
            ":authorized": member.authorized,
            ":active_bridge": member.active_bridge,
            ":no_auto_assign": member.no_auto_assign_ips,
            ":sso_exempt": member.sso_exempt,
            ":identity": member.identity.map(IdentityColumn),
            ":fingerprint": member.fingerprint.map(FingerprintColumn),
            ":name": member.name,
            ":created": U64Column(member.created.0),
            ":last_authorized": U64Column(member.last_authorized.0),
            ":last_deauthorized": U64Column(member.last_deauthorized.0),
            ":credential": credential,
            ":credential_token": token,
            ":sso_expires": U64Column(member.authentication_expiry.0),
            ":version_major": version(|version| version.major),
            ":version_minor": version(|version| version.minor),
            ":version_revision": version(|version| version.revision),
            ":version_protocol": version(|version| version.protocol),
            ":trace_target": member.remote_trace.target,
            ":trace_level": U64Column(member.remote_trace.level),
        };
        let result = self.tx.writer()?.prepare_cached(sql)?.execute(values);
        match result {
            Err(error) if error::is_orphan(&error) => {
                Err(StoreError::NoSuchNetwork { network: member.network })
            }
            result => Ok(result.map(drop)?),
        }
    }

    fn addresses(&self, span: Span<'_>) -> Result<OfMembers<IpAddr>, StoreError> {
        self.tx.query(span.sql(&ADDRESSES), span.params(), format_args!("address of {span}"), |row| {
            Ok((row.get::<AddressColumn>("member")?.0, row.get::<IpColumn>("ip")?.0))
        })
    }

    /// Checks before anything is written that no other member has one of the addresses. The transaction is the
    /// only writer, so it stays so; the table would refuse a second holder in any case.
    fn require_free(&self, member: &Member) -> Result<(), StoreError> {
        let network = member.network;
        for ip in member.ip_assignments.iter().copied() {
            if let Some(holder) = self.holder(network, ip)?.filter(|holder| *holder != member.address) {
                return Err(StoreError::AddressTaken { network, ip, holder });
            }
        }
        Ok(())
    }

    fn put_addresses(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_address WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql = "INSERT INTO member_address (network, member, position, ip) VALUES (?1, ?2, ?3, ?4)";
        for (position, ip) in (0_u32..).zip(&member.ip_assignments) {
            let values = params![NetworkColumn(network), AddressColumn(address), position, IpColumn(*ip)];
            self.tx.execute(sql, values)?;
        }
        Ok(())
    }

    fn tags(&self, span: Span<'_>) -> Result<OfMembers<(u32, u32)>, StoreError> {
        self.tx.query(span.sql(&TAGS), span.params(), format_args!("tag of {span}"), |row| {
            Ok((row.get::<AddressColumn>("member")?.0, (row.get("tag")?, row.get("value")?)))
        })
    }

    fn put_tags(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_tag WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql = "INSERT INTO member_tag (network, member, tag, value) VALUES (?1, ?2, ?3, ?4)";
        for (tag, value) in &member.tags {
            self.tx.execute(sql, params![NetworkColumn(network), AddressColumn(address), tag, value])?;
        }
        Ok(())
    }

    fn capabilities(&self, span: Span<'_>) -> Result<OfMembers<u32>, StoreError> {
        self.tx.query(span.sql(&CAPABILITIES), span.params(), format_args!("capability of {span}"), |row| {
            Ok((row.get::<AddressColumn>("member")?.0, row.get("capability")?))
        })
    }

    fn put_capabilities(&self, member: &Member) -> Result<(), StoreError> {
        let (network, address) = (member.network, member.address);
        let sql = "DELETE FROM member_capability WHERE network = ?1 AND member = ?2";
        self.tx.execute(sql, (NetworkColumn(network), AddressColumn(address)))?;
        let sql =
            "INSERT INTO member_capability (network, member, position, capability) VALUES (?1, ?2, ?3, ?4)";
        for (position, id) in (0_u32..).zip(&member.capabilities) {
            self.tx.execute(sql, params![NetworkColumn(network), AddressColumn(address), position, id])?;
        }
        Ok(())
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
// In the order in which they are read.
const ROWS: OfSpan = of_span!(
    "SELECT address, identity, fingerprint, name, authorized, active_bridge, no_auto_assign, created, revision, \
     last_authorized, last_deauthorized, credential, credential_token, sso_expires, sso_exempt, version_major, \
     version_minor, version_revision, version_protocol, trace_target, trace_level \
     FROM member WHERE network = ?1 AND address",
    "ORDER BY address"
);
const ADDRESSES: OfSpan = of_span!(
    "SELECT member, ip FROM member_address WHERE network = ?1 AND member",
    "ORDER BY member, position"
);
const TAGS: OfSpan = of_span!(
    "SELECT member, tag, value FROM member_tag WHERE network = ?1 AND member",
    "ORDER BY member, tag"
);
const CAPABILITIES: OfSpan = of_span!(
    "SELECT member, capability FROM member_capability WHERE network = ?1 AND member",
    "ORDER BY member, position"
);
const HOLDER: &str = "SELECT member FROM member_address WHERE network = ?1 AND ip = ?2";

fn credential(row: &Columns<'_>) -> Result<Option<Credential>, StoreError> {
    let (kind, token): (Option<String>, Option<String>) =
        (row.get("credential")?, row.get("credential_token")?);
    Ok(match (kind.as_deref(), token) {
        (None, None) => None,
        (Some("api"), None) => Some(Credential::Api),
        (Some("public"), None) => Some(Credential::Public),
        (Some("token"), Some(token)) => Some(Credential::Token(token)),
        (kind, _) => {
            return Err(row.damaged("credential", format_args!("{kind:?} does not fit the token column")));
        }
    })
}

pub(crate) fn version(row: &Columns<'_>) -> Result<Option<ClientVersion>, StoreError> {
    let part = |column| Ok::<_, StoreError>(row.get::<Option<U64Column>>(column)?.map(|part| part.0));
    let (major, minor) = (part("version_major")?, part("version_minor")?);
    let (revision, protocol) = (part("version_revision")?, part("version_protocol")?);
    match (major, minor, revision, protocol) {
        (None, None, None, None) => Ok(None),
        (Some(major), Some(minor), Some(revision), Some(protocol)) => {
            Ok(Some(ClientVersion { major, minor, revision, protocol }))
        }
        _ => Err(row.damaged("version_major", "only a part of the version is there")),
    }
}

/// Takes what belongs to `owner` off the front. Both sides ascend; what has no owner is passed over.
fn take<T, C: FromIterator<T>>(rows: &mut Peekable<vec::IntoIter<(Address, T)>>, owner: Address) -> C {
    while rows.next_if(|(member, _)| *member < owner).is_some() {}
    iter::from_fn(|| rows.next_if(|(member, _)| *member == owner)).map(|(_, value)| value).collect()
}

fn values<T>(rows: OfMembers<T>) -> Vec<T> {
    rows.into_iter().map(|(_, value)| value).collect()
}

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
            (ADDRESSES.between, "COVERING INDEX member_address_order (network=? AND member>? AND member<?)"),
        ] {
            let plan = query_plan::of(sql);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }

    #[test]
    fn members_that_are_named_are_searched_for() {
        for (sql, index) in [
            (ROWS.these, "SEARCH member USING PRIMARY KEY (network=? AND address=?)"),
            (ADDRESSES.these, "COVERING INDEX member_address_order (network=? AND member=?)"),
            (TAGS.these, "SEARCH member_tag USING PRIMARY KEY (network=? AND member=?)"),
            (CAPABILITIES.these, "SEARCH member_capability USING PRIMARY KEY (network=? AND member=?)"),
        ] {
            let plan = query_plan::of(sql);
            assert!(plan.contains(index), "{sql}: {plan}");
        }
    }

    #[test]
    fn rows_without_an_owner_do_not_hide_those_of_the_next() {
        let address = Address::from_low_bits;
        let rows = vec![(address(1), 'a'), (address(2), 'b'), (address(4), 'c'), (address(4), 'd')];
        let mut rows = rows.into_iter().peekable();
        assert_eq!(take::<_, String>(&mut rows, address(2)), "b");
        assert_eq!(take::<_, String>(&mut rows, address(3)), "");
        assert_eq!(take::<_, String>(&mut rows, address(4)), "cd");
    }
}
