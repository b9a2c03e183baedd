//! Rule tables of the time before 1.2 (`http-api.md` §17).

use serde_json::Value;
use zt_proto::rules::{Rule, RuleBody};

use super::fields::whole;
use crate::record::{FieldError, lenient};

/// Says whether a rule table is of the time before 1.2: entries with an `action` and without a `type`.
pub(super) fn is_rule_table(entries: &[Value]) -> bool {
    !entries.is_empty()
        && entries.iter().all(|entry| entry.get("action").is_some() && entry.get("type").is_none())
}

/// Reads a rule table of the time before 1.2, in the order of `ruleNo` or `ruleId`.
///
/// # Errors
/// For an action other than `accept` and `drop`, and for a condition other than `etherType`: nodes of that time
/// never applied the others (`vl2.md` §15.4), so it is open what they should do now. Also for an `etherType` that is none.
pub(super) fn parse_rules(entries: &[Value]) -> Result<Vec<Rule>, FieldError> {
    let mut numbered = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        numbered.push(parse_rule(entry).map_err(|error| error.at(index))?);
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().flat_map(|(_, rules)| rules).collect())
}

fn parse_rule(entry: &Value) -> Result<(u64, Vec<Rule>), FieldError> {
    let plain = |body| Rule { not: false, or: false, body };
    let mut number = 0;
    let mut rules = Vec::new();
    let mut action = None;
    for (name, value) in entry.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("ruleNo" | "ruleId", value) => number = lenient::integer(value, 0),
            ("etherType", value) => {
                let ether_type = (whole("etherType", Some(value), u16::MAX.into())? & 0xffff) as u16;
                rules.push(plain(RuleBody::EtherType(ether_type)));
            }
            ("action", value) => action = Some(parse_action(value)?),
            (name, value) => {
                let expected = "only ruleNo, etherType and action in a rule without a type";
                return Err(FieldError::unexpected(name, expected, Some(value)));
            }
        }
    }
    let action = action.ok_or_else(|| FieldError::unexpected("action", "accept or drop", None))?;
    rules.push(plain(action));
    Ok((number, rules))
}

fn parse_action(value: &Value) -> Result<RuleBody, FieldError> {
    match value.as_str() {
        Some("accept") => Ok(RuleBody::Accept),
        Some("drop") => Ok(RuleBody::Drop),
        _ => Err(FieldError::unexpected("action", "accept or drop", Some(value))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_2015_are_sorted_by_their_number() {
        let entries = [
            json!({ "ruleNo": 20, "etherType": 2054, "action": "accept" }),
            json!({ "ruleId": 10, "etherType": null, "vlanId": null, "action": "drop" }),
        ];
        let bodies: Vec<_> = parse_rules(&entries).unwrap().into_iter().map(|rule| rule.body).collect();
        assert_eq!(bodies, [RuleBody::Drop, RuleBody::EtherType(2054), RuleBody::Accept]);
    }

    #[test]
    fn condition_that_was_never_applied_is_refused() {
        let error =
            parse_rules(&[json!({ "macSource": "aa:bb:cc:dd:ee:ff", "action": "accept" })]).unwrap_err();
        assert!(error.to_string().starts_with("[0].macSource: expected only"), "{error}");
    }
}
