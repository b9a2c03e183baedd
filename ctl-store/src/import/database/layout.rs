//! How a foreign database is laid out (`vl2.md` §14.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::Connection;

/// Tables that every layout has.
const NEEDED: [(&str, &[&str]); 7] = [
    ("Config", &["k", "v"]),
    ("Network", &["id", "private"]),
    ("Node", &["id", "identity"]),
    ("Member", &["networkId", "nodeId", "authorized"]),
    ("IpAssignment", &["networkId", "nodeId", "ip", "ipVersion"]),
    ("IpAssignmentPool", &["networkId", "ipVersion"]),
    ("Rule", &["networkId", "etherType", "action"]),
];

/// The layout of a database.
pub(super) struct Layout {
    pub(super) name: LayoutName,
    columns: BTreeMap<String, BTreeSet<String>>,
    /// What does not fit together.
    pub(super) warnings: Vec<String>,
}

/// The layouts that there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayoutName {
    A,
    APrime,
    B,
    C,
    D2,
    D3,
    D4,
    D5,
}

impl LayoutName {
    /// Returns the version number that files of this layout have.
    fn version(self) -> i64 {
        match self {
            Self::A | Self::APrime | Self::B | Self::C => 1,
            Self::D2 => 2,
            Self::D3 => 3,
            Self::D4 => 4,
            Self::D5 => 5,
        }
    }
}

impl Layout {
    /// Says how a database is laid out, or why it is not one of a controller.
    pub(super) fn detect(connection: &Connection) -> rusqlite::Result<Result<Self, String>> {
        let sql = "SELECT t.name, c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c \
                   WHERE t.schema = 'main' AND t.type = 'table'";
        let mut columns = BTreeMap::<String, BTreeSet<String>>::new();
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            columns.entry(row.get(0)?).or_default().insert(row.get(1)?);
        }
        for (table, needed) in NEEDED {
            let Some(found) = columns.get(table) else { return Ok(Err(format!("it has no table {table}"))) };
            if let Some(missing) = needed.iter().find(|column| !found.contains(**column)) {
                return Ok(Err(format!("its table {table} has no column {missing}")));
            }
        }
        let sql = "SELECT CAST(v AS INTEGER) FROM Config WHERE k = 'schemaVersion'";
        let version: Option<i64> =
            connection.query_row(sql, [], |row| row.get(0)).map(Some).or_else(|error| {
                if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) }
            })?;
        let version = match version {
            Some(version @ 1..=5) => version,
            Some(other) => return Ok(Err(format!("expected schema version 1 to 5, got {other}"))),
            None => return Ok(Err("it does not say which schema version it has".to_owned())),
        };
        let mut layout = Self { name: LayoutName::A, columns, warnings: Vec::new() };
        let Some(name) = layout.find_name() else {
            let what = "its table IpAssignmentPool has neither ipNetwork nor ipRangeStart";
            return Ok(Err(what.to_owned()));
        };
        layout.name = name;
        if version != name.version() {
            let expected = name.version();
            let warning = format!("its layout is {layout}, of version {expected}, and it says {version}");
            layout.warnings.push(warning);
        }
        Ok(Ok(layout))
    }

    fn find_name(&self) -> Option<LayoutName> {
        Some(if self.has_column("Rule", "policyId") {
            LayoutName::D5
        } else if self.has_column("Member", "recentHistory") {
            LayoutName::D4
        } else if self.has_table("Route") {
            LayoutName::D3
        } else if self.has_table("NodeHistory") {
            LayoutName::D2
        } else if self.has_column("IpAssignmentPool", "ipRangeStart") {
            if self.has_table("Log") { LayoutName::B } else { LayoutName::C }
        } else if self.has_column("IpAssignmentPool", "ipNetwork") {
            if self.has_column("Rule", "ruleNo") { LayoutName::APrime } else { LayoutName::A }
        } else {
            return None;
        })
    }

    pub(super) fn has_table(&self, table: &str) -> bool {
        self.columns.contains_key(table)
    }

    pub(super) fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Says whether the authorization of members that came by themselves may be stored inverted.
    pub(super) fn has_doubtful_authorizations(&self) -> bool {
        matches!(self.name, LayoutName::A | LayoutName::APrime)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.name {
            LayoutName::A => "A (release 1.0.3, or of early June 2015)",
            LayoutName::APrime => "A′ (in development, June 2015)",
            LayoutName::B => "B (releases 1.0.4 and 1.0.5)",
            LayoutName::C => "C (releases 1.1.0 to 1.1.4)",
            LayoutName::D2 => "D2 (in development, February 2016)",
            LayoutName::D3 => "D3 (in development, June 2016)",
            LayoutName::D4 => "D4 (releases 1.1.6 to 1.1.14)",
            LayoutName::D5 => "D5 (in development, July 2016)",
        })
    }
}
