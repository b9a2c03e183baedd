//! How SQLite goes about a query, for tests: which index it searches, and that it scans no large table.

use rusqlite::{ToSql, params_from_iter};

use crate::pool::Connections;

/// Returns the steps of the plan in an empty database of the present schema, separated by `"; "`; all parameters are 0.
pub(crate) fn of(sql: &str) -> String {
    let connections = Connections::in_memory().unwrap();
    let parameters = connections.writer.desk().connection.prepare(sql).unwrap().parameter_count();
    with(sql, vec![0; parameters])
}

/// Like [`of`], for parameters that must be of some form.
pub(crate) fn with<P: IntoIterator<Item: ToSql>>(sql: &str, parameters: P) -> String {
    let connections = Connections::in_memory().unwrap();
    let desk = connections.writer.desk();
    let mut statement = desk.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map(params_from_iter(parameters), |row| row.get(3)).unwrap();
    steps.collect::<Result<Vec<String>, _>>().unwrap().join("; ")
}

/// Returns with which parameter the first search in an index begins; `None` if with something else, or if there is none.
pub(crate) fn begins_with_parameter(sql: &str) -> Option<i64> {
    let connections = Connections::in_memory().unwrap();
    let desk = connections.writer.desk();
    let mut statement = desk.connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
    let parameters = vec![0; statement.parameter_count()];
    let instructions = statement.query_map(params_from_iter(parameters), |row| {
        let name: String = row.get("opcode")?;
        Ok((name, [row.get("p1")?, row.get("p2")?, row.get("p3")?]))
    });
    let instructions: Vec<(String, [i64; 3])> = instructions.unwrap().collect::<Result<_, _>>().unwrap();
    let (_, [_, _, register]) = instructions.iter().find(|(name, _)| name.starts_with("Seek"))?;
    let is_source = |(name, [_, to, _]): &&(String, [i64; 3])| name == "Variable" && to == register;
    instructions.iter().find(is_source).map(|(_, [parameter, ..])| *parameter)
}
