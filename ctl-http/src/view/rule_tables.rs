//! Rules, capabilities and tags with their names as JSON, without loss and strictly read.
//!
//! The form is that of the API (`vl2.md` §6.2). An entry that it cannot hold is `{"type":"RAW","hex":"…"}` with the
//! bytes of the entry, which the API of 1.14 shows too, and refuses.

use std::collections::BTreeMap;

use ctl_core::Network;
use ctl_core::network::{CapabilityDefinition, TagDefinition};
use ctl_core::rules::decompile::Names;
use ctl_core::rules::json::{parse_table_strictly, render_exactly};
use ctl_core::rules::{Compiled, NamedTag};
use serde_json::{Map, Value, json};
use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES, Rule};

pub use crate::v2::problem::Invalid;
use crate::v2::strict::{Fields, escaped, expected};

/// Most tags, capabilities, or names of them: far more than anybody uses, and few enough to look at.
const MAX_ENTRIES: usize = 4096;

/// Rules, capabilities and tags of a network, and their names if they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleTables {
    pub rules: Vec<Rule>,
    /// Ascending by id.
    pub capabilities: Vec<CapabilityDefinition>,
    /// Ascending by id.
    pub tags: Vec<TagDefinition>,
    pub names: Names,
}

/// Writes what a source compiles to, for people and programs: the answer of `POST /api/v2/rules/compile`.
pub fn to_json(compiled: &Compiled) -> String {
    format!("{:#}", Value::Object(super::rules_language::render_compilation(compiled)))
}

/// Reads what [`to_json`] wrote, a network of the API, or an array of rules. Other fields are ignored.
///
/// # Errors
/// Everything that cannot be read as exactly what it says.
pub fn from_json(text: &str) -> Result<RuleTables, Vec<Invalid>> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| vec![Invalid::new("", format!("not JSON: {error}"))])?;
    let value = if value.is_array() { json!({ "rules": value }) } else { value };
    let Value::Object(fields) = value else {
        return Err(vec![Invalid::new("", expected("an object or an array of rules", &value))]);
    };
    let mut fields = Fields::new(&fields);
    let tables = read(&mut fields);
    fields.finish_open()?;
    Ok(tables)
}

/// Takes the fields `rules`, `capabilities`, `tags`, `tagsByName` and `capabilitiesByName`.
pub(crate) fn read(fields: &mut Fields<'_>) -> RuleTables {
    let mut tables = RuleTables::default();
    if !fields.has("rules") {
        fields.refuse(Invalid::new("/rules", "expected an array, got nothing"));
    }
    if let Some(entries) = fields.array("rules") {
        match read_table(entries, MAX_RULES, "/rules") {
            Ok(rules) => tables.rules = rules,
            Err(invalid) => fields.refuse(invalid),
        }
    }
    let mut capabilities = BTreeMap::new();
    for (index, entry) in fields.short_array("capabilities", MAX_ENTRIES).into_iter().flatten().enumerate() {
        match read_capability(entry, &format!("/capabilities/{index}")) {
            Ok(capability) => {
                if let Some(twice) = capabilities.insert(capability.id, capability) {
                    let detail = format!("another capability has the id {}", twice.id);
                    fields.refuse(Invalid::new(format!("/capabilities/{index}/id"), detail));
                }
            }
            Err(invalid) => fields.refuse(invalid),
        }
    }
    tables.capabilities = capabilities.into_values().collect();
    let mut tags = BTreeMap::new();
    for (index, entry) in fields.short_array("tags", MAX_ENTRIES).into_iter().flatten().enumerate() {
        match read_tag(entry, &format!("/tags/{index}")) {
            Ok(tag) => {
                if let Some(twice) = tags.insert(tag.id, tag) {
                    let detail = format!("another tag has the id {}", twice.id);
                    fields.refuse(Invalid::new(format!("/tags/{index}/id"), detail));
                }
            }
            Err(invalid) => fields.refuse(invalid),
        }
    }
    tables.tags = tags.into_values().collect();
    for (name, value) in fields.short_object("tagsByName", MAX_ENTRIES).into_iter().flatten() {
        match read_named_tag(name, value) {
            Ok(tag) => tables.names.tags.push(tag),
            Err(invalid) => fields.refuse(invalid),
        }
    }
    for (name, value) in fields.short_object("capabilitiesByName", MAX_ENTRIES).into_iter().flatten() {
        match number(value, &format!("/capabilitiesByName/{}", escaped(name))) {
            Ok(id) => tables.names.capabilities.push((name.clone(), id)),
            Err(invalid) => fields.refuse(invalid),
        }
    }
    tables
}

/// Renders the tables that a source compiles to, and its names.
pub(crate) fn render_compiled(compiled: &Compiled) -> Map<String, Value> {
    let mut fields =
        render_tables(&compiled.base.rules, &compiled.capability_definitions(), &compiled.tag_definitions());
    let numbers = |values: &[(String, u32)]| -> Value {
        values.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect()
    };
    let tags = compiled.tags.iter().map(|tag| {
        let NamedTag { name, id, default, enums, flags } = tag;
        let value = json!({ "id": id, "default": default, "enums": numbers(enums), "flags": numbers(flags) });
        (name.clone(), value)
    });
    fields.insert("tagsByName".to_owned(), tags.collect());
    fields.insert("capabilitiesByName".to_owned(), numbers(&compiled.capability_names()));
    fields
}

/// Renders the tables of a network.
pub(crate) fn render_network(network: &Network) -> Map<String, Value> {
    render_tables(&network.rules, &network.capabilities, &network.tags)
}

fn render_tables(
    rules: &[Rule],
    capabilities: &[CapabilityDefinition],
    tags: &[TagDefinition],
) -> Map<String, Value> {
    let capabilities = capabilities.iter().map(|capability| {
        let CapabilityDefinition { id, default, rules } = capability;
        json!({ "id": id, "default": default, "rules": render_table(rules) })
    });
    let tags = tags.iter().map(|tag| json!({ "id": tag.id, "default": tag.default }));
    Map::from_iter([
        ("rules".to_owned(), render_table(rules).into()),
        ("capabilities".to_owned(), capabilities.collect()),
        ("tags".to_owned(), tags.collect()),
    ])
}

fn render_table(rules: &[Rule]) -> Vec<Value> {
    rules.iter().map(render_exactly).collect()
}

fn read_table(entries: &[Value], max: usize, pointer: &str) -> Result<Vec<Rule>, Invalid> {
    parse_table_strictly(entries, max)
        .map_err(|error| Invalid::new(format!("{pointer}{}", error.pointer()), error.problem()))
}

fn number(value: &Value, pointer: &str) -> Result<u32, Invalid> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .ok_or_else(|| Invalid::new(pointer, format!("expected a number from 0 to 4294967295, got {value}")))
}

fn optional_number(value: Option<&Value>, pointer: &str) -> Result<Option<u32>, Invalid> {
    value.filter(|value| !value.is_null()).map(|value| number(value, pointer)).transpose()
}

/// Returns the fields of an object which has no others than `known`.
fn object<'v>(value: &'v Value, pointer: &str, known: &[&str]) -> Result<&'v Map<String, Value>, Invalid> {
    let fields = value.as_object().ok_or_else(|| Invalid::new(pointer, expected("an object", value)))?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(fields),
        Some(name) => {
            let detail = format!("unknown field, expected one of {}", known.join(", "));
            Err(Invalid::new(format!("{pointer}/{}", escaped(name)), detail))
        }
    }
}

fn read_id(fields: &Map<String, Value>, pointer: &str) -> Result<u32, Invalid> {
    number(fields.get("id").unwrap_or(&Value::Null), &format!("{pointer}/id"))
}

fn read_capability(value: &Value, pointer: &str) -> Result<CapabilityDefinition, Invalid> {
    let fields = object(value, pointer, &["id", "default", "rules"])?;
    let default = fields.get("default").map_or(Some(false), Value::as_bool);
    let entries = fields.get("rules").map_or(Some(&[][..]), |rules| rules.as_array().map(Vec::as_slice));
    let place = format!("{pointer}/rules");
    Ok(CapabilityDefinition {
        id: read_id(fields, pointer)?,
        default: default
            .ok_or_else(|| Invalid::new(format!("{pointer}/default"), "expected true or false"))?,
        rules: read_table(
            entries.ok_or_else(|| Invalid::new(&*place, "expected an array"))?,
            MAX_CAPABILITY_RULES,
            &place,
        )?,
    })
}

fn read_tag(value: &Value, pointer: &str) -> Result<TagDefinition, Invalid> {
    let fields = object(value, pointer, &["id", "default"])?;
    let default = optional_number(fields.get("default"), &format!("{pointer}/default"))?;
    Ok(TagDefinition { id: read_id(fields, pointer)?, default })
}

fn read_named_tag(name: &str, value: &Value) -> Result<NamedTag, Invalid> {
    let pointer = format!("/tagsByName/{}", escaped(name));
    let fields = object(value, &pointer, &["id", "default", "enums", "flags"])?;
    let values = |kind: &str| -> Result<Vec<(String, u32)>, Invalid> {
        let pointer = format!("{pointer}/{kind}");
        let Some(value) = fields.get(kind) else { return Ok(Vec::new()) };
        let values =
            value.as_object().ok_or_else(|| Invalid::new(&*pointer, expected("an object", value)))?;
        let values = values.iter();
        let values = values
            .map(|(name, value)| Ok((name.clone(), number(value, &format!("{pointer}/{}", escaped(name)))?)));
        values.collect()
    };
    Ok(NamedTag {
        name: name.to_owned(),
        id: read_id(fields, &pointer)?,
        default: optional_number(fields.get("default"), &format!("{pointer}/default"))?,
        enums: values("enums")?,
        flags: values("flags")?,
    })
}

#[cfg(test)]
mod tests {
    use ctl_core::rules::compile;
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Vec<String> {
        from_json(text).unwrap_err().iter().map(Invalid::to_string).collect()
    }

    #[test]
    fn what_was_written_reads_back_with_its_names() {
        let source = "tag role id 7 enum 1 server default server flag 3 vip; cap admin id 5 default accept; ; \
                      drop not ethertype arp and not chr tcp_syn and tand role vip; drop raw 63 0102; accept;";
        let compiled = compile(source).unwrap();
        let tables = from_json(&to_json(&compiled)).unwrap();
        assert_eq!(tables.rules, compiled.base.rules);
        assert_eq!(tables.capabilities, compiled.capability_definitions());
        assert_eq!(tables.tags, compiled.tag_definitions());
        assert_eq!(tables.names.tags, compiled.tags);
        assert_eq!(tables.names.capabilities, [("admin".to_owned(), 5)]);
    }

    #[test]
    fn everything_that_is_not_exact_is_named_by_its_pointer() {
        let cases = [
            (
                r#"{"rules":[{"type":"ACTION_DROP"},{"type":"MATCH_FOO"}]}"#,
                "/rules/1/type: unknown rule type",
            ),
            (r#"[{"type":"ACTION_DROP","colour":1}]"#, "/rules/0/colour: unknown field"),
            (r#"[{"type":"MATCH_ETHERTYPE","etherType":"2048"}]"#, "/rules/0/etherType: expected a number"),
            (
                r#"[{"type":"MATCH_ETHERTYPE","etherType":65536}]"#,
                "/rules/0/etherType: expected a whole number from 0 to 65535, got 65536",
            ),
            (
                r#"[{"type":"MATCH_ETHERTYPE"}]"#,
                "/rules/0/etherType: expected a whole number from 0 to 65535",
            ),
            (
                r#"[{"type":"MATCH_IP_PROTOCOL","ipProtocol":-1}]"#,
                "/rules/0/ipProtocol: expected a whole number",
            ),
            (r#"[{"type":"MATCH_ETHERTYPE","etherType":1,"not":1}]"#, "/rules/0/not: expected true or false"),
            (r#"[{"type":"MATCH_MAC_SOURCE","mac":"zz:00:00:00:00:01"}]"#, "/rules/0/mac: "),
            (r#"[{"type":"MATCH_CHARACTERISTICS","mask":"xyz"}]"#, "/rules/0/mask: "),
            (r#"[{"etherType":2048,"action":"accept"}]"#, "/rules/0/type: expected the name of a rule type"),
            (r#"[{"type":"RAW","hex":"0"}]"#, "/rules/0/hex: "),
            (r#"{"tags":[]}"#, "/rules: expected an array, got nothing"),
            (r#"{"rules":[],"tags":[{"id":1},{"id":1}]}"#, "/tags/1/id: another tag has the id 1"),
            (r#"{"rules":[],"capabilities":[{"id":-1}]}"#, "/capabilities/0/id: expected a number"),
            (r#"{"rules":[],"capabilities":[{"id":1,"rules":[{}]}]}"#, "/capabilities/0/rules/0/type: "),
            (r#"{"rules":[],"tags":[{"id":1,"default":"x"}]}"#, "/tags/0/default: expected a number"),
            (r#"{"rules":[],"tagsByName":{"a/b":{"id":1,"flags":{"x":-2}}}}"#, "/tagsByName/a~1b/flags/x: "),
            (r#"{"rules":{}}"#, "/rules: expected an array, got an object"),
            ("7", "the body: expected an object or an array"),
            ("{", "the body: not JSON"),
        ];
        for (text, expected) in cases {
            let got = refused(text);
            assert!(got.len() == 1 && got[0].starts_with(expected), "{text}: {got:?}");
        }
        assert_eq!(refused(r#"{"rules":[1],"tags":[2]}"#).len(), 2);
    }

    proptest! {
        #[test]
        fn any_rules_survive(binary in proptest::collection::vec(any::<u8>(), 0..200)) {
            let rules = zt_proto::rules::parse_table(&binary).unwrap_or_default();
            let text = Value::from(render_table(&rules)).to_string();
            prop_assert_eq!(from_json(&text).unwrap().rules, rules);
        }
    }
}
