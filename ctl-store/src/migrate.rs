//! The versions of the schema, from an empty file to the newest.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::error::StoreError;

/// "ZTct" in the file header: this file is a controller's.
pub(crate) const APPLICATION_ID: u32 = 0x5a54_6374;

/// Append only: what a release has run on somebody's file stays as it is.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/0001_create_tables.sql")),
    M::up(include_str!("../migrations/0002_add_rule_tests.sql")),
    M::up(include_str!("../migrations/0003_add_operations.sql")),
    M::up(include_str!("../migrations/0004_add_roles_and_address_changes.sql")),
    M::up(include_str!("../migrations/0005_add_extra_fields.sql")),
    M::up(include_str!("../migrations/0006_add_pending_and_aftermath.sql")),
    M::up(include_str!("../migrations/0007_add_previous_token.sql")),
    M::up(include_str!("../migrations/0008_keep_what_removed_networks_leave.sql")),
    M::up(include_str!("../migrations/0009_number_caused_entries.sql")),
    M::up(include_str!("../migrations/0010_add_webhooks.sql")),
    M::up(include_str!("../migrations/0011_find_ended_sessions.sql")),
];

/// The version that brought the table of the lease, which is the same since.
pub(crate) const LEASES_SINCE: i64 = 3;

/// Returns the schema version that this release writes: the number of its migrations.
pub fn schema_version() -> i64 {
    // A handful of migrations fits every integer.
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema to the newest version; an empty database gets its application id as well.
///
/// # Errors
/// None is special: a newer schema and a foreign file are found before, by [`crate::file::inspect`].
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if version(connection)? == 0 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(Migrations::from_slice(STEPS).to_latest(connection)?)
}

/// Returns the schema version of a database; 0 if it has none yet.
pub(crate) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the application id of a database; 0 if it has none.
pub(crate) fn application_id(connection: &Connection) -> Result<u32, rusqlite::Error> {
    // The header has 32 bits, which SQLite shows as a signed number.
    connection.pragma_query_value(None, "application_id", |row| row.get(0)).map(i32::cast_unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_result_in_the_documented_schema() {
        let mut migrated = Connection::open_in_memory().unwrap();
        migrate(&mut migrated).unwrap();
        let documented = Connection::open_in_memory().unwrap();
        documented.execute_batch(include_str!("../schema.sql")).unwrap();
        assert_eq!(objects(&migrated), objects(&documented));
    }

    #[test]
    fn every_column_has_a_comment() {
        let schema = include_str!("../schema.sql");
        let columns = schema.lines().filter(|line| line.starts_with("    ")).map(str::trim);
        let columns = columns.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        let bare: Vec<_> = columns.filter(|line| !line.contains("-- ")).collect();
        assert!(bare.is_empty(), "{bare:?}");
    }

    #[test]
    fn migrated_database_is_marked_as_ours_at_the_schema_version() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(application_id(&connection).unwrap(), APPLICATION_ID);
        assert_eq!(version(&connection).unwrap(), schema_version());
    }

    #[test]
    fn every_table_is_strict() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let sql = "SELECT name FROM pragma_table_list WHERE strict = 0 AND name NOT LIKE 'sqlite_%'";
        let mut statement = connection.prepare(sql).unwrap();
        let lax: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(lax.is_empty(), "{lax:?}");
    }

    /// Tables and indices by name, with their definition without comments and layout.
    fn objects(connection: &Connection) -> Vec<(String, String)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, bare(&row.get::<_, String>(1)?)))).unwrap();
        let objects: Vec<_> = rows.map(Result::unwrap).collect();
        assert!(!objects.is_empty());
        objects
    }

    fn bare(sql: &str) -> String {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        // SQLite writes the columns that were added later without the layout of the others.
        let mut words = String::new();
        for character in lines.collect::<Vec<_>>().join(" ").chars() {
            if matches!(character, '(' | ')' | ',') {
                words.extend([' ', character, ' ']);
            } else {
                words.push(character);
            }
        }
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
