//! Records as `controller.d` keeps them, with all that a network or member is (`vl2.md` §9, §16).

use serde_json::{Map, Value, json};
use zt_proto::rules::{Rule, RuleBody};

use super::{FieldError, member, network};
use crate::rules::json::render_exactly;
use crate::{Member, Network};

/// Fields of every record that mean nothing here, so that they may come from elsewhere.
const CARRIED: [&str; 2] = ["authorizationEndpoint", "clientId"];

/// Writes a network with the fields that mean nothing here. [`super::read_network`] reads it back equal.
pub fn write_network(record: &Network, extra: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = object(serde_json::to_value(network::render(record)));
    if record.rules != [Rule::ACCEPT] {
        fields.insert("rules".to_owned(), record.rules.iter().map(render_exactly).collect());
    }
    let capabilities = record.capabilities.iter().map(|capability| {
        let rules: Vec<_> = capability.rules.iter().map(render_exactly).collect();
        json!({ "default": capability.default, "id": capability.id, "rules": rules })
    });
    fields.insert("capabilities".to_owned(), capabilities.collect());
    // The original keeps what it does not know.
    if !record.rule_tests.is_empty() {
        fields.insert("ruleTests".to_owned(), record.rule_tests.clone().into());
    }
    if record.rule_tests_required {
        fields.insert("ruleTestsRequired".to_owned(), true.into());
    }
    add(&mut fields, extra);
    fields
}

/// Writes a member with the fields that mean nothing here. [`super::read_member`] reads it back equal.
pub fn write_member(record: &Member, extra: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = object(serde_json::to_value(member::render(record)));
    add(&mut fields, extra);
    fields
}

/// Returns what the original would not understand of a network that [`write_network`] wrote.
pub fn unknown_to_the_original(record: &Network) -> Vec<FieldError> {
    let unknown = |rules: &[Rule]| -> Vec<usize> {
        let is_unknown = |rule: &Rule| {
            let raw = render_exactly(rule).get("hex").is_some();
            raw || matches!(rule.body, RuleBody::IntegerRange { .. })
        };
        rules.iter().enumerate().filter(|(_, rule)| is_unknown(rule)).map(|(index, _)| index).collect()
    };
    let error = || FieldError::new("", "the official controller leaves this rule out".to_owned());
    let base = unknown(&record.rules).into_iter().map(|index| error().at(index).within("rules"));
    let capabilities = record.capabilities.iter().enumerate().flat_map(|(place, capability)| {
        let rules = unknown(&capability.rules).into_iter();
        rules.map(move |index| error().at(index).within("rules").at(place).within("capabilities"))
    });
    base.chain(capabilities).collect()
}

fn add(fields: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (name, value) in extra {
        if CARRIED.contains(&name.as_str()) || !fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// A record is a struct of texts, numbers and lists, which is always an object.
fn object(value: serde_json::Result<Value>) -> Map<String, Value> {
    match value {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}
