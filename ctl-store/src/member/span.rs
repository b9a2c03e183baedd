//! The members of a network that a query is about: those between two addresses, or those that are named.

use std::fmt;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Params, ToSql, params_from_iter};
use zt_proto::{Address, NetworkId};

/// Members that are asked for by name in one query.
pub(crate) const TOGETHER: usize = 16;

/// The members of a network that a query is about.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) network: NetworkId,
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
pub(crate) struct OfSpan {
    pub(crate) between: &'static str,
    pub(crate) these: &'static str,
}

/// Writes a query for both ways to name members, of columns of a table in which the members stand in this column.
///
/// Behind `IN`, SQLite makes a table of those that are named before it looks for the first; what it joins with `VALUES` it
/// takes as it stands there. Rows come in no order.
macro_rules! of_span {
    ($columns:literal, $table:literal, $member:literal) => {
        OfSpan {
            between: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE network = ?1 AND ",
                $member,
                " BETWEEN ?2 AND ?3"
            ),
            these: concat!(
                "SELECT ",
                $columns,
                " FROM (VALUES (?2), (?3), (?4), (?5), (?6), (?7), (?8), (?9), (?10), (?11), (?12), \
                 (?13), (?14), (?15), (?16), (?17)) AS named CROSS JOIN ",
                $table,
                " ON network = ?1 AND ",
                $member,
                " = named.column1"
            ),
        }
    };
}

impl<'a> Span<'a> {
    pub(crate) fn one(network: NetworkId, address: Address) -> Self {
        Self::between(network, address, address)
    }

    pub(crate) fn all(network: NetworkId) -> Self {
        Self::between(network, Address::NONE, Address::MAX)
    }

    pub(crate) fn between(network: NetworkId, first: Address, last: Address) -> Self {
        Self { network, whom: Whom::Between(first, last) }
    }

    pub(crate) fn these(network: NetworkId, addresses: &'a [Address]) -> Self {
        Self { network, whom: Whom::These(addresses) }
    }

    pub(crate) fn sql(self, query: &OfSpan) -> &'static str {
        match self.whom {
            Whom::Between(..) => query.between,
            Whom::These(_) => query.these,
        }
    }

    pub(crate) fn params(self) -> impl Params {
        let address = |address: Address| Param::Address(address.octets());
        let mut params = [const { Param::Nobody }; 1 + TOGETHER];
        let mut places = params.iter_mut();
        let mut add = |param| places.next().into_iter().for_each(|place| *place = param);
        add(Param::Network(self.network.octets()));
        let count = match self.whom {
            Whom::Between(first, last) => {
                [first, last].into_iter().map(address).for_each(add);
                2
            }
            Whom::These(addresses) => {
                addresses.iter().copied().map(address).for_each(add);
                TOGETHER
            }
        };
        params_from_iter(params.into_iter().take(1 + count))
    }
}

/// A parameter, which takes no memory of its own.
#[derive(Clone, Copy)]
enum Param {
    Network([u8; 8]),
    Address([u8; 5]),
    /// Nobody has no address.
    Nobody,
}

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Network(octets) => ValueRef::Blob(octets),
            Self::Address(octets) => ValueRef::Blob(octets),
            Self::Nobody => ValueRef::Null,
        }))
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

pub(crate) use of_span;
