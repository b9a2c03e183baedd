//! Members in full: their rows, and what is kept beside them.

use std::collections::BTreeMap;
use std::iter::{self, Peekable};
use std::net::IpAddr;
use std::vec;

use ctl_core::Member;
use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::RemoteTrace;
use rusqlite::params;
use zt_proto::{Address, NetworkId};

use super::Members;
use super::span::{OfSpan, Span, TOGETHER, of_span};
use crate::column::{
    AddressColumn, Columns, FingerprintColumn, IdentityColumn, IpColumn, NetworkColumn, U64Column,
};
use crate::error::StoreError;

/// The entries of members' lists, ascending by member, then in the order of its list.
pub(super) type OfMembers<T> = Vec<(Address, T)>;

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

    /// Returns the members of a span in full, ascending. Four queries, however many members there are.
    fn within(&self, span: Span<'_>) -> Result<Vec<Member>, StoreError> {
        let mut addresses = self.addresses(span)?.into_iter().peekable();
        let mut tags = self.tags(span)?.into_iter().peekable();
        let mut capabilities = self.capabilities(span)?.into_iter().peekable();
        let mut members = self.rows(span)?;
        // They come along an index, so they stand right already.
        members.sort_by_key(|member| member.address);
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

    pub(super) fn addresses(&self, span: Span<'_>) -> Result<OfMembers<IpAddr>, StoreError> {
        self.entries(&ADDRESSES, span, "address", |row| {
            let place = row.get::<AddressColumn>("member")?.0;
            Ok(((place, row.get::<i64>("position")?), row.get::<IpColumn>("ip")?.0))
        })
    }

    pub(super) fn tags(&self, span: Span<'_>) -> Result<OfMembers<(u32, u32)>, StoreError> {
        self.entries(&TAGS, span, "tag", |row| {
            let (member, tag) = (row.get::<AddressColumn>("member")?.0, row.get::<u32>("tag")?);
            Ok(((member, tag), (tag, row.get("value")?)))
        })
    }

    pub(super) fn capabilities(&self, span: Span<'_>) -> Result<OfMembers<u32>, StoreError> {
        self.entries(&CAPABILITIES, span, "capability", |row| {
            let place = row.get::<AddressColumn>("member")?.0;
            Ok(((place, row.get::<i64>("position")?), row.get("capability")?))
        })
    }

    /// Returns entries of members' lists in their order, each decoded with its member and its place in the list.
    fn entries<T, P: Ord + Copy>(
        &self,
        query: &OfSpan,
        span: Span<'_>,
        what: &str,
        decode: impl Fn(&Columns<'_>) -> Result<((Address, P), T), StoreError>,
    ) -> Result<OfMembers<T>, StoreError> {
        let record = format_args!("{what} of {span}");
        let mut entries = self.tx.query(span.sql(query), span.params(), record, decode)?;
        // They come along an index, so they stand right already.
        entries.sort_by_key(|(place, _)| *place);
        Ok(entries.into_iter().map(|((member, _), entry)| (member, entry)).collect())
    }
}

// In the order in which they are read.
const ROWS: OfSpan = of_span!(
    "address, identity, fingerprint, name, authorized, active_bridge, no_auto_assign, created, revision, \
     last_authorized, last_deauthorized, credential, credential_token, sso_expires, sso_exempt, version_major, \
     version_minor, version_revision, version_protocol, trace_target, trace_level",
    "member",
    "address"
);
const ADDRESSES: OfSpan = of_span!("member, position, ip", "member_address", "member");
const TAGS: OfSpan = of_span!("member, tag, value", "member_tag", "member");
const CAPABILITIES: OfSpan = of_span!("member, position, capability", "member_capability", "member");

fn credential(row: &Columns<'_>) -> Result<Option<Credential>, StoreError> {
    let (kind, token) = (row.text("credential")?, row.text("credential_token")?);
    Ok(match (kind, token) {
        (None, None) => None,
        (Some("api"), None) => Some(Credential::Api),
        (Some("public"), None) => Some(Credential::Public),
        (Some("token"), Some(token)) => Some(Credential::Token(token.to_owned())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan;

    #[test]
    fn addresses_of_members_that_follow_each_other_are_read_in_order() {
        let plan = query_plan::of(ADDRESSES.between);
        let index = "COVERING INDEX member_address_order (network=? AND member>? AND member<?)";
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
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
            let makes_a_table =
                ["TEMP B-TREE", "SUBQUERY", "MATERIALIZE"].iter().any(|step| plan.contains(step));
            assert!(!makes_a_table && plan.starts_with("SCAN 16-ROW VALUES CLAUSE"), "{sql}: {plan}");
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
