//! How values of the domain look in a column, both ways.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::{fmt, ptr};

use ctl_core::member::Fingerprint;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, Statement};
use zt_proto::codec::Reader;
use zt_proto::rules::Rule;
use zt_proto::{Address, DecodeError, NetworkId, PublicIdentity, Timestamp};

use crate::error::StoreError;

/// Reads columns of one row, and says which record it was if one does not decode.
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    record: &'a dyn fmt::Display,
    order: &'a Order,
    /// How many were read.
    place: Cell<usize>,
}

/// In which order the columns of a query are read, and where each is: the first row finds them by name, the others there.
#[derive(Debug, Default)]
pub(crate) struct Order(RefCell<Vec<(&'static str, usize)>>);

impl Order {
    /// Returns where a column is that is read in that place.
    fn index(
        &self,
        place: usize,
        column: &'static str,
        statement: &Statement<'_>,
    ) -> rusqlite::Result<usize> {
        let mut known = self.0.borrow_mut();
        if let Some((name, index)) = known.get(place)
            && (ptr::eq(*name, column) || *name == column)
        {
            return Ok(*index);
        }
        // Mostly they are read in the order of the query.
        let next = known.last().map_or(0, |(_, index)| index.saturating_add(1));
        let is_next = statement.column_name(next).is_ok_and(|name| name == column);
        let index = if is_next { next } else { statement.column_index(column)? };
        if known.len() == place {
            known.push((column, index));
        }
        Ok(index)
    }
}

impl<'a> Columns<'a> {
    /// `record` names the row for the operator: "member 89e92ceee5 of network 8056c2e21c000001".
    pub(crate) fn new(row: &'a Row<'a>, record: &'a dyn fmt::Display, order: &'a Order) -> Self {
        Self { row, record, order, place: Cell::new(0) }
    }

    /// Returns the same row under a name that could be told only after reading a part of it.
    pub(crate) fn renamed<'b>(&'b self, record: &'b dyn fmt::Display) -> Columns<'b> {
        Columns { row: self.row, record, order: self.order, place: self.place.clone() }
    }

    /// Reads a column.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its value is none of `T`, [`StoreError::Internal`] if there is no such column.
    pub(crate) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(self.index(column)?).map_err(|error| self.damaged(column, error))
    }

    /// Reads a column with a text, or null, which need not be kept.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn text(&self, column: &'static str) -> Result<Option<&str>, StoreError> {
        let value = self.row.get_ref(self.index(column)?)?;
        value.as_str_or_null().map_err(|error| self.damaged(column, error))
    }

    fn index(&self, column: &'static str) -> Result<usize, StoreError> {
        let place = self.place.get();
        self.place.set(place.saturating_add(1));
        Ok(self.order.index(place, column, self.row.as_ref())?)
    }

    /// Returns the error for a column whose value is impossible beside the others.
    pub(crate) fn damaged(&self, column: impl fmt::Display, cause: impl fmt::Display) -> StoreError {
        StoreError::Damaged { what: format!("{}, column {column}: {cause}", self.record) }
    }
}

/// An id of eight bytes.
pub(crate) struct NetworkColumn(pub(crate) NetworkId);

/// An address of five bytes.
pub(crate) struct AddressColumn(pub(crate) Address);

/// An IP address of four or sixteen bytes.
pub(crate) struct IpColumn(pub(crate) IpAddr);

/// An unsigned number whose bits are kept as a signed one: SQLite has no other.
pub(crate) struct U64Column(pub(crate) u64);

/// A rule table in the binary form (`vl2.md` §6.1), of any length: what members get is cut later, so that
/// what an administrator wrote stays whole.
pub(crate) struct RulesColumn(pub(crate) Vec<Rule>);

/// An identity in the binary form without a secret (`vl1.md` §3.5).
pub(crate) struct IdentityColumn(pub(crate) PublicIdentity);

/// The hash of an identity.
pub(crate) struct FingerprintColumn(pub(crate) Fingerprint);

impl U64Column {
    pub(crate) fn time(self) -> Timestamp {
        Timestamp(self.0)
    }
}

impl ToSql for NetworkColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(blob(self.0.octets()))
    }
}

impl FromSql for NetworkColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 8]>::column_result(value).map(|octets| Self(NetworkId(u64::from_be_bytes(octets))))
    }
}

impl ToSql for AddressColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(blob(self.0.octets()))
    }
}

impl FromSql for AddressColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 5]>::column_result(value).map(|octets| Self(Address::from_octets(octets)))
    }
}

impl ToSql for IpColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            IpAddr::V4(ip) => blob(ip.octets()),
            IpAddr::V6(ip) => blob(ip.octets()),
        })
    }
}

impl FromSql for IpColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            Ok(Self(octets.into()))
        } else {
            <[u8; 16]>::column_result(value).map(|octets| Self(octets.into()))
        }
    }
}

impl ToSql for U64Column {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for U64Column {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|bits| Self(bits.cast_unsigned()))
    }
}

impl FromSql for RulesColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let mut reader = Reader::new(value.as_blob()?);
        let mut rules = Vec::new();
        while !reader.is_empty() {
            rules.push(Rule::parse(&mut reader).map_err(FromSqlError::other)?);
        }
        Ok(Self(rules))
    }
}

impl ToSql for IdentityColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let mut out = Vec::with_capacity(PublicIdentity::WIRE_LEN);
        self.0.write(&mut out);
        Ok(blob(out))
    }
}

impl FromSql for IdentityColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let mut reader = Reader::new(bytes);
        let identity = PublicIdentity::parse(&mut reader).map_err(FromSqlError::other)?;
        if reader.is_empty() {
            Ok(Self(identity))
        } else {
            let max = PublicIdentity::WIRE_LEN;
            Err(FromSqlError::other(DecodeError::TooLong { field: "identity", max, got: bytes.len() }))
        }
    }
}

impl ToSql for FingerprintColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(blob(self.0))
    }
}

impl FromSql for FingerprintColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 48]>::column_result(value).map(Self)
    }
}

/// Returns the column form of a rule table.
pub(crate) fn rule_table(rules: &[Rule]) -> Vec<u8> {
    let mut out = Vec::new();
    rules.iter().for_each(|rule| rule.write(&mut out));
    out
}

fn blob(bytes: impl Into<Vec<u8>>) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Blob(bytes.into()))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// Rows that are decoded in different ways.
    #[test]
    fn columns_are_found_by_their_names_in_whatever_order_each_row_is_read() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "SELECT 1 AS a, 2 AS b, 3 AS c UNION ALL SELECT 4, 5, 6 UNION ALL SELECT 7, 8, 9 UNION ALL SELECT 10, 11, 12";
        let (mut statement, order) = (connection.prepare(sql).unwrap(), Order::default());
        let mut rows = statement.query([]).unwrap();
        for (names, expected) in [
            (["a", "c", "b"], [1, 3, 2]),
            (["b", "c", "a"], [5, 6, 4]),
            (["a", "c", "b"], [7, 9, 8]),
            (["c", "c", "c"], [12; 3]),
        ] {
            let row = rows.next().unwrap().unwrap();
            let columns = Columns::new(row, &"a row", &order);
            assert_eq!(names.map(|name| columns.get::<i64>(name).unwrap()), expected);
        }
        assert_eq!(order.0.borrow().len(), 3);
    }
}
