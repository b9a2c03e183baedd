//! Pages of members that fit a filter, in one of several orders.
//!
//! A page goes on after the last entry of the one before it, so members that come and go move no others from one page to
//! another. The order of addresses is that of the table. Any other order, and every filter, looks at the members of the
//! network one by one, but keeps no more of them than a page has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rusqlite::types::Value;
use rusqlite::{ToSql, params_from_iter};
use zt_proto::{Address, IpPrefix, NetworkId, Timestamp};

use crate::column::{AddressColumn, Columns, IpColumn, NetworkColumn, U64Column};
use crate::error::StoreError;
use crate::member::Members;

/// Which members are wanted, and in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberSearch {
    pub filter: MemberFilter,
    pub order: MemberOrder,
    pub descending: bool,
    /// The last entry of the page before; its key is one of [`Self::order`].
    pub after: Option<Found>,
    /// Most members that are returned.
    pub limit: usize,
}

/// What a member must be; everything that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberFilter {
    pub authorized: Option<bool>,
    pub among: Option<Among>,
    pub search: Option<TextSearch>,
    /// A tag, with this value or any.
    pub tag: Option<(u32, Option<u32>)>,
    pub capability: Option<u32>,
    /// It last asked then or later.
    pub seen_since: Option<Timestamp>,
    /// It last asked before that, or never.
    pub seen_before: Option<Timestamp>,
    /// The first parts of the version of its client: major, minor, revision.
    pub version: Vec<u64>,
}

/// A list of members that somebody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Among {
    /// One of these.
    These(Vec<Address>),
    /// None of these.
    Others(Vec<Address>),
}

/// What a person looks for: a member fits if one of these does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextSearch {
    /// A part of the name, whatever the case of its ASCII letters.
    pub name: String,
    /// The lowest and the highest of a range.
    pub addresses: Option<(Address, Address)>,
    /// An assigned address is in here.
    pub ips: Option<IpPrefix>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberOrder {
    #[default]
    Address,
    /// Whatever the case of ASCII letters; without a name first.
    Name,
    /// When it last asked, as far as that is saved; never first.
    LastSeen,
    Created,
}

/// A member, and by what it was sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub address: Address,
    pub key: SortKey,
}

/// By what a member was sorted, before its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortKey {
    Nothing,
    Text(String),
    Time(Timestamp),
}

const SEEN: &str = "coalesce((SELECT s.last FROM member_sighting AS s WHERE s.network = m.network \
                    AND s.member = m.address ORDER BY s.number DESC LIMIT 1), 0)";

impl MemberOrder {
    fn key(self) -> &'static str {
        match self {
            Self::Address => "NULL",
            Self::Name => "coalesce(m.name, '') COLLATE NOCASE",
            Self::LastSeen => SEEN,
            Self::Created => "m.created",
        }
    }
}

impl Members<'_> {
    /// Returns a page of members.
    pub fn search(&self, network: NetworkId, search: &MemberSearch) -> Result<Vec<Found>, StoreError> {
        let (sql, values) = statement(network, search)?;
        let record = format_args!("member of network {network}");
        self.tx.query(&sql, params_from_iter(values), record, |row| {
            let address = row.get::<AddressColumn>("address")?.0;
            Ok(Found { address, key: key(row, search.order)? })
        })
    }
}

fn key(row: &Columns<'_>, order: MemberOrder) -> Result<SortKey, StoreError> {
    Ok(match order {
        MemberOrder::Address => SortKey::Nothing,
        MemberOrder::Name => SortKey::Text(row.get("key")?),
        MemberOrder::LastSeen | MemberOrder::Created => SortKey::Time(row.get::<U64Column>("key")?.time()),
    })
}

/// Writes the query; every value of the search is a parameter.
fn statement(network: NetworkId, search: &MemberSearch) -> Result<(String, Vec<Value>), StoreError> {
    let mut query = Query { conditions: Vec::new(), values: Vec::new() };
    query.add("m.network = ?", [&NetworkColumn(network) as &dyn ToSql])?;
    query.filter(network, &search.filter)?;
    let key = search.order.key();
    let (direction, beyond) = if search.descending { ("DESC", "<") } else { ("ASC", ">") };
    if let Some(Found { address, key: last }) = &search.after {
        let address = AddressColumn(*address);
        let after = format!("({key} {beyond} ? OR ({key} = ? AND m.address {beyond} ?))");
        match last {
            SortKey::Nothing => query.add(&format!("m.address {beyond} ?"), [&address as &dyn ToSql])?,
            SortKey::Text(text) => query.add(&after, [text as &dyn ToSql, text, &address])?,
            SortKey::Time(time) => {
                let time = U64Column(time.0);
                query.add(&after, [&time as &dyn ToSql, &time, &address])?;
            }
        }
    }
    let order = match search.order {
        MemberOrder::Address => String::new(),
        MemberOrder::Name | MemberOrder::LastSeen | MemberOrder::Created => format!("key {direction}, "),
    };
    let Query { conditions, mut values } = query;
    values.push(i64::try_from(search.limit).unwrap_or(i64::MAX).into());
    let sql = format!(
        "SELECT m.address AS address, {key} AS key FROM member AS m WHERE {} \
         ORDER BY {order}m.address {direction} LIMIT ?",
        conditions.join(" AND ")
    );
    Ok((sql, values))
}

/// A query that grows.
struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn add<'v>(
        &mut self,
        condition: &str,
        values: impl IntoIterator<Item = &'v (dyn ToSql + 'v)>,
    ) -> Result<(), StoreError> {
        self.conditions.push(condition.to_owned());
        for value in values {
            self.values.push(owned(value)?);
        }
        Ok(())
    }

    fn filter(&mut self, network: NetworkId, filter: &MemberFilter) -> Result<(), StoreError> {
        let MemberFilter { authorized, among, search, tag, capability, seen_since, seen_before, version } =
            filter;
        if let Some(authorized) = authorized {
            self.add("m.authorized = ?", [authorized as &dyn ToSql])?;
        }
        match among {
            None => {}
            Some(Among::These(list)) => {
                self.add(
                    "m.address IN (SELECT unhex(value) FROM json_each(?))",
                    [&json(list) as &dyn ToSql],
                )?;
            }
            Some(Among::Others(list)) => {
                let others = "m.address NOT IN (SELECT unhex(value) FROM json_each(?))";
                self.add(others, [&json(list) as &dyn ToSql])?;
            }
        }
        if let Some(search) = search {
            self.search(network, search)?;
        }
        if let Some((tag, value)) = tag {
            let having = |value| {
                format!(
                    "EXISTS (SELECT 1 FROM member_tag AS t WHERE t.network = m.network AND t.member = m.address \
                     AND t.tag = ?{value})"
                )
            };
            match value {
                Some(value) => self.add(&having(" AND t.value = ?"), [tag as &dyn ToSql, value])?,
                None => self.add(&having(""), [tag as &dyn ToSql])?,
            }
        }
        if let Some(capability) = capability {
            let having = "EXISTS (SELECT 1 FROM member_capability AS c WHERE c.network = m.network \
                          AND c.member = m.address AND c.capability = ?)";
            self.add(having, [capability as &dyn ToSql])?;
        }
        if let Some(time) = seen_since {
            self.add(&format!("{SEEN} >= ?"), [&U64Column(time.0) as &dyn ToSql])?;
        }
        if let Some(time) = seen_before {
            self.add(&format!("{SEEN} < ?"), [&U64Column(time.0) as &dyn ToSql])?;
        }
        for (column, part) in ["version_major", "version_minor", "version_revision"].into_iter().zip(version)
        {
            self.add(&format!("m.{column} = ?"), [&U64Column(*part) as &dyn ToSql])?;
        }
        Ok(())
    }

    fn search(&mut self, network: NetworkId, search: &TextSearch) -> Result<(), StoreError> {
        // It folds the case of ASCII letters only, and copies nothing.
        let mut any = vec!["m.name LIKE ? ESCAPE '\\'"];
        let mut values = vec![owned(&part(&search.name))?];
        if let Some((first, last)) = search.addresses {
            any.push("m.address BETWEEN ? AND ?");
            values.extend([owned(&AddressColumn(first))?, owned(&AddressColumn(last))?]);
        }
        if let Some(prefix) = search.ips {
            any.push(
                "m.address IN (SELECT member FROM member_address WHERE network = ? AND ip BETWEEN ? AND ? \
                 AND length(ip) = length(?))",
            );
            let (first, last) = ends(prefix);
            values.push(owned(&NetworkColumn(network))?);
            values.extend([owned(&IpColumn(first))?, owned(&IpColumn(last))?, owned(&IpColumn(last))?]);
        }
        self.conditions.push(format!("({})", any.join(" OR ")));
        self.values.append(&mut values);
        Ok(())
    }
}

/// Returns the pattern of all texts with this part.
fn part(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Returns a value that lives as long as the query.
fn owned(value: &dyn ToSql) -> Result<Value, StoreError> {
    use rusqlite::types::ToSqlOutput;
    Ok(match value.to_sql()? {
        ToSqlOutput::Borrowed(value) => {
            value.try_into().map_err(|error: rusqlite::types::FromSqlError| StoreError::Internal {
                what: format!("a value of a search cannot be kept: {error}"),
            })?
        }
        ToSqlOutput::Owned(value) => value,
        _ => return Err(StoreError::Internal { what: "a value of a search has no plain form".to_owned() }),
    })
}

/// Returns addresses as a JSON array of hexadecimal texts.
pub(crate) fn json(addresses: &[Address]) -> String {
    let texts: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", texts.join(","))
}

/// Returns the first and the last address of a prefix.
fn ends(prefix: IpPrefix) -> (IpAddr, IpAddr) {
    match prefix.ip() {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(prefix.bits().into()).unwrap_or(0);
            let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
            (address(ip.to_bits() & !hosts), address(ip.to_bits() | hosts))
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(prefix.bits().into()).unwrap_or(0);
            let address = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
            (address(ip.to_bits() & !hosts), address(ip.to_bits() | hosts))
        }
    }
}

#[cfg(test)]
mod tests {
    use ctl_core::{Member, Network};

    use super::*;
    use crate::{Store, query_plan};

    const NETWORK: NetworkId = NetworkId(1);

    /// Who asks for the next page of a large network does not wait for all of it.
    #[test]
    fn plain_page_is_one_search_in_the_table() {
        let after = Some(Found { address: Address::from_low_bits(7), key: SortKey::Nothing });
        for descending in [false, true] {
            let search =
                MemberSearch { after: after.clone(), descending, limit: 100, ..MemberSearch::default() };
            let plan = plan(&search);
            assert!(plan.contains("SEARCH m USING") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    /// Filters and other orders go through the members of the network, and through nothing else.
    #[test]
    fn filters_search_their_tables() {
        let filter = MemberFilter {
            authorized: Some(true),
            among: Some(Among::Others(vec![Address::from_low_bits(9)])),
            search: Some(TextSearch {
                name: "x".to_owned(),
                addresses: Some((Address::from_low_bits(1), Address::from_low_bits(2))),
                ips: Some("10.0.0.0/8".parse().unwrap()),
            }),
            tag: Some((1, Some(2))),
            capability: Some(3),
            seen_since: Some(Timestamp(4)),
            seen_before: Some(Timestamp(5)),
            version: vec![1, 14, 2],
        };
        for order in [MemberOrder::Name, MemberOrder::LastSeen, MemberOrder::Created] {
            let plan =
                plan(&MemberSearch { filter: filter.clone(), order, limit: 9, ..MemberSearch::default() });
            assert!(
                !plan.contains("SCAN m") && !plan.contains("SCAN s") && !plan.contains("SCAN t"),
                "{plan}"
            );
            assert!(plan.contains("SEARCH m USING PRIMARY KEY (network=?"), "{plan}");
        }
    }

    #[test]
    fn prefix_is_a_range_of_addresses() {
        for (prefix, first, last) in [
            ("10.1.2.3/8", "10.0.0.0", "10.255.255.255"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("fd00::1/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let expected: (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(ends(prefix.parse().unwrap()), expected, "{prefix}");
        }
    }

    #[test]
    fn part_of_a_name_is_found_whatever_it_is_made_of() {
        let names = ["100%", "1000", "a_b", "AxB", r"back\slash", "Änne", ""];
        let store = Store::in_memory().unwrap();
        store
            .write(|tx| {
                tx.networks().put(&Network::new(NETWORK, Timestamp(1)))?;
                (1..).zip(names).try_for_each(|(node, name)| {
                    let member = Member::new(NETWORK, Address::from_low_bits(node), Timestamp(1));
                    tx.members().put(&Member { name: Some(name.to_owned()), ..member })
                })
            })
            .unwrap();
        for (part, expected) in [
            ("0%", vec!["100%"]),
            ("100", vec!["100%", "1000"]),
            ("A_", vec!["a_b"]),
            ("xb", vec!["AxB"]),
            ("\\S", vec![r"back\slash"]),
            ("Än", vec!["Änne"]),
            // Other letters are what they are.
            ("än", vec![]),
            ("%", vec!["100%"]),
        ] {
            let text = TextSearch { name: part.to_owned(), ..TextSearch::default() };
            let filter = MemberFilter { search: Some(text), ..MemberFilter::default() };
            let search = MemberSearch { filter, limit: 9, ..MemberSearch::default() };
            let found = store.read(|tx| tx.members().search(NETWORK, &search)).unwrap();
            let name = |found: &Found| names[usize::try_from(found.address.to_u64()).unwrap() - 1];
            assert_eq!(found.iter().map(name).collect::<Vec<_>>(), expected, "{part}");
        }
    }

    fn plan(search: &MemberSearch) -> String {
        let (sql, values) = statement(NETWORK, search).unwrap();
        query_plan::with(&sql, values)
    }
}
