//! Rules as JSON (`vl2.md` §6.2, `http-api.md` §9.1), written one way and read in three.
//!
//! | reader | for | a value of another type | what cannot be understood |
//! |---|---|---|---|
//! | [`parse_table`] | the API of 1.14 | is read as the original does, if it means one thing | refuses the table |
//! | [`parse_table_strictly`] | the API of today | refuses the table | refuses the table |
//! | [`read_table`] | imports | is read as the original does, with a warning | is left out, with a warning |
//!
//! An entry without a form in JSON is `{"type":"RAW","hex":"…"}` with its bytes.

mod fields;
mod legacy;
mod render;
mod strict;
mod tolerant;

use serde_json::Value;
use zt_proto::rules::Rule;

use crate::record::FieldError;
use fields::{Values, parse};

pub use render::{render_exactly, render_raw, render_table};
pub use strict::parse_table_strictly;
pub use tolerant::read_table;

/// Type of an entry that has no form of its own in JSON.
pub const RAW: &str = "RAW";

/// `length` of an action that copies whole frames; 65535 in binary.
const WHOLE: i64 = -1;

/// Reads a rule table of at most `max` entries.
///
/// # Errors
/// For an entry that is not understood, or whose deciding values are missing, cannot be read or do not fit, and for a
/// table that is too long: a table with holes, without its end, or that matches something else lets something else pass
/// than what was meant (`http-api.md` §20, item 9).
pub fn parse_table(entries: &[Value], max: usize) -> Result<Vec<Rule>, FieldError> {
    if entries.len() > max {
        return Err(FieldError::new("", format!("expected at most {max} rules, got {}", entries.len())));
    }
    if legacy::is_rule_table(entries) {
        return legacy::parse_rules(entries);
    }
    let rules = entries.iter().enumerate();
    rules.map(|(index, entry)| parse(entry, Values::Understood).map_err(|error| error.at(index))).collect()
}

#[cfg(test)]
mod tests;
