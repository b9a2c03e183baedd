//! Rows of a foreign database, whose columns may hold anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use data_encoding::HEXLOWER;
use rusqlite::types::{Value, ValueRef};
use zt_proto::{Address, IpPrefix, NetworkId};

/// A row by the names of its columns.
pub(super) struct Row {
    columns: BTreeMap<String, Value>,
}

impl Row {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let mut columns = BTreeMap::new();
        let statement: &rusqlite::Statement<'_> = row.as_ref();
        for (index, name) in statement.column_names().into_iter().enumerate() {
            // Text need not be UTF-8, which is no reason to lose the row.
            let value = row.get_ref(index)?;
            let value = if let ValueRef::Text(text) = value {
                Value::Text(String::from_utf8_lossy(text).into_owned())
            } else {
                value.try_into().unwrap_or(Value::Null)
            };
            columns.insert(name.to_owned(), value);
        }
        Ok(Self { columns })
    }

    /// Returns a number; a text that is one counts.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        match self.columns.get(name)? {
            Value::Integer(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            Value::Null | Value::Real(_) | Value::Blob(_) => None,
        }
    }

    pub(super) fn unsigned(&self, name: &str) -> Option<u64> {
        self.integer(name).and_then(|number| u64::try_from(number).ok())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.integer(name).is_some_and(|number| number > 0)
    }

    /// Returns a text; a number counts as its digits.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.columns.get(name)? {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Null | Value::Real(_) => None,
        }
    }

    pub(super) fn blob(&self, name: &str) -> Option<&[u8]> {
        match self.columns.get(name)? {
            Value::Blob(bytes) => Some(bytes),
            Value::Text(text) => Some(text.as_bytes()),
            Value::Null | Value::Integer(_) | Value::Real(_) => None,
        }
    }

    /// Returns an address: the last four or all of sixteen bytes. Four bytes are what layout A has for a pool.
    pub(super) fn ip(&self, name: &str) -> Option<IpAddr> {
        let bytes = self.blob(name)?;
        match self.integer("ipVersion") {
            Some(4) => {
                let is_usual = bytes.len() == 16 || bytes.len() == 4;
                bytes.last_chunk::<4>().filter(|_| is_usual).map(|octets| IpAddr::from(*octets))
            }
            Some(6) => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    /// Returns an address with the prefix length of another column.
    pub(super) fn prefix(&self, name: &str, bits: &str) -> Option<IpPrefix> {
        IpPrefix::new(self.ip(name)?, self.integer(bits)?.try_into().ok()?).ok()
    }

    /// Returns what is not null, as JSON, without `except`; blobs as hexadecimal text.
    pub(super) fn to_json(&self, except: &[&str]) -> serde_json::Map<String, serde_json::Value> {
        let fields = self.columns.iter().filter(|(name, _)| !except.contains(&name.as_str()));
        let fields = fields.filter_map(|(name, value)| {
            let value = match value {
                Value::Null => return None,
                Value::Integer(number) => (*number).into(),
                Value::Real(number) => (*number).into(),
                Value::Text(text) => text.as_str().into(),
                Value::Blob(bytes) => HEXLOWER.encode(bytes).into(),
            };
            Some((name.clone(), value))
        });
        fields.collect()
    }
}

/// Reads sixteen lower-case hexadecimal digits.
pub(super) fn network_id(text: &str) -> Option<NetworkId> {
    is_lower(text).then(|| text.parse().ok()).flatten()
}

/// Reads ten lower-case hexadecimal digits.
pub(super) fn address(text: &str) -> Option<Address> {
    is_lower(text).then(|| text.parse().ok()).flatten().filter(|address| *address != Address::NONE)
}

fn is_lower(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
}
