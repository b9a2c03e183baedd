//! Reading what another controller kept, so that its network goes on as it was.

use serde_json::Value;
use zt_proto::rules::Rule;

use super::fields::{Values, parse};
use super::legacy;
use super::render::render_exactly;
use super::strict::parse_strictly;
use crate::record::{FieldError, cut};

/// Reads a rule table of any length as the original did: an entry that it could not read was left out, one with odd
/// values was read as something. Whatever is left out or changed is added to `warnings`.
pub fn read_table(entries: &[Value], warnings: &mut Vec<FieldError>) -> Vec<Rule> {
    if legacy::is_rule_table(entries) {
        return legacy::parse_rules(entries).unwrap_or_else(|error| {
            warnings.push(error.and("the whole table was left out, so that nothing passes"));
            Vec::new()
        });
    }
    let mut rules = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let error = match parse_strictly(entry) {
            Ok(rule) => {
                rules.push(rule);
                continue;
            }
            Err(error) => error,
        };
        let outcome = match parse(entry, Values::AsTheOriginal) {
            Ok(rule) => {
                let outcome = format!("read as {}", cut(&render_exactly(&rule).to_string()));
                rules.push(rule);
                outcome
            }
            Err(_) => "left out, as the original did".to_owned(),
        };
        warnings.push(error.and(&outcome).at(index));
    }
    rules
}
