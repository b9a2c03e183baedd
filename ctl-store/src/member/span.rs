//! The members of a network that a query is about: those between two addresses, or those that are named.

use std::fmt;
use std::iter;

use rusqlite::types::Null;
use rusqlite::{Params, ToSql, params_from_iter};
use zt_proto::{Address, NetworkId};

use crate::column::{AddressColumn, NetworkColumn};

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

pub(crate) use of_span;
