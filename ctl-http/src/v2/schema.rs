//! What the endpoints of rules and tokens take and give, for the document of the API.
//!
//! Those are read field by field ([`super::strict`]), so that all errors of a body are told at once.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::events::EventView;
use super::log_level::MAX_LEVELS;
use super::webhooks::MAX_DELIVERY;
use crate::webhooks::HOOK_TYPES;

/// Adds a schema to the document, and returns a reference to it.
fn named(generator: &mut SchemaGenerator, name: &'static str, schema: Value) -> Value {
    generator.definitions_mut().insert(name.to_owned(), schema);
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default() // all here are objects
}

/// An object that has all of `properties`, and may have more in later releases.
fn object(properties: Value) -> Value {
    let required: Vec<_> =
        properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

/// Adds a property.
fn with(mut properties: Value, name: &str, schema: Value) -> Value {
    if let Value::Object(properties) = &mut properties {
        properties.insert(name.to_owned(), schema);
    }
    properties
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn u32() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
}

fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

/// A rule as JSON; `{"type":"RAW","hex":"…"}` holds any other.
fn rule(generator: &mut SchemaGenerator) -> Value {
    let number = |max: u64| json!({ "type": "integer", "minimum": 0, "maximum": max });
    let (hex, address) =
        (|| json!({ "type": "string" }), || json!({ "type": "string", "pattern": "^[0-9a-fA-F]{1,10}$" }));
    let edge = || json!({ "anyOf": [number(65_535), { "type": "string", "description": "of INTEGER_RANGE: hexadecimal digits" }] });
    let rule = json!({
        "type": "object",
        "description": "An entry of a rule table: an action, or a condition with the fields of its `type`. A rule applies if all \
                        conditions since the last action hold.",
        "required": ["type"],
        "properties": {
            "type": { "type": "string", "description": "`ACTION_…`, `MATCH_…`, `INTEGER_RANGE`, or `RAW` with the bytes of any other" },
            "not": flag(), "or": flag(), "address": address(), "flags": u32(),
            "length": { "type": "integer", "minimum": -1, "maximum": 65_535, "description": "-1 is all of it" },
            "zt": address(), "vlanId": number(65_535), "vlanPcp": number(255), "vlanDei": number(255), "mac": text(),
            "ip": { "type": "string", "description": "ADDRESS/BITS" },
            "mask": { "anyOf": [number(u64::MAX), hex()] }, "start": edge(), "end": edge(),
            "ipProtocol": number(255), "etherType": number(65_535), "icmpType": number(255),
            "icmpCode": { "type": ["integer", "null"], "minimum": 0, "maximum": 255, "description": "null is any" },
            "probability": u32(), "id": u32(), "value": u32(), "idx": number(65_535), "little": flag(),
            "bits": { "type": "integer", "minimum": 1, "maximum": 64 }, "hex": hex(),
        },
    });
    named(generator, "Rule", rule)
}

fn rules(generator: &mut SchemaGenerator) -> Value {
    json!({ "type": "array", "maxItems": 1024, "items": rule(generator) })
}

fn capabilities(generator: &mut SchemaGenerator) -> Value {
    let properties = json!({ "id": u32(), "default": flag(), "rules": rules(generator) });
    let capability = json!({ "type": "object", "required": ["id"], "additionalProperties": false, "properties": properties });
    list(named(generator, "Capability", capability))
}

fn tags(generator: &mut SchemaGenerator) -> Value {
    let tag = json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": { "id": u32(), "default": { "anyOf": [u32(), { "type": "null" }] } },
    });
    list(named(generator, "TagDefinition", tag))
}

/// What names in a source stand for.
fn names(generator: &mut SchemaGenerator) -> (Value, Value) {
    let numbers = || json!({ "type": "object", "additionalProperties": u32() });
    let tag = json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": {
            "id": u32(), "default": { "anyOf": [u32(), { "type": "null" }] }, "enums": numbers(), "flags": numbers(),
        },
    });
    let tag = named(generator, "NamedTag", tag);
    (json!({ "type": "object", "additionalProperties": tag }), numbers())
}

fn place(generator: &mut SchemaGenerator) -> Value {
    named(generator, "SourcePlace", object(json!({ "line": count(), "column": count() })))
}

/// What is found in a text of the rules language; `words` is the field that says what.
fn finding(generator: &mut SchemaGenerator, words: &str) -> Value {
    json!({
        "line": count(), "column": count(), "text": text(), (words): text(), "suggestion": nullable("string"),
        "code": { "type": "string", "description": "a fixed word for programs" },
        "includedAt": { "anyOf": [place(generator), { "type": "null" }] },
    })
}

fn diagnostics(generator: &mut SchemaGenerator) -> Value {
    let properties = finding(generator, "message");
    list(named(generator, "Diagnostic", object(properties)))
}

fn source_errors(generator: &mut SchemaGenerator) -> Value {
    let properties = with(finding(generator, "detail"), "pointer", text());
    list(named(generator, "SourceError", object(properties)))
}

fn test_results(generator: &mut SchemaGenerator) -> Value {
    let mismatch = object(json!({
        "from": text(), "to": text(), "known": flag(), "got": text(), "reason": text(),
    }));
    let mismatch = named(generator, "TestMismatch", mismatch);
    let case = object(json!({
        "line": count(), "column": count(), "text": text(), "passed": flag(), "problem": nullable("string"),
        "pairs": count(), "mismatches": list(mismatch), "mismatchCount": count(),
    }));
    let case = named(generator, "TestCase", case);
    let result = object(json!({
        "name": text(), "in": { "enum": ["source", "tests", "stored"] }, "line": count(), "column": count(),
        "passed": flag(), "problem": nullable("string"), "cases": list(case),
    }));
    list(named(generator, "TestResult", result))
}

/// Texts of the rules language.
pub(crate) fn source(generator: &mut SchemaGenerator) -> Schema {
    let source = json!({
        "type": "object", "required": ["source"], "additionalProperties": false, "properties": { "source": text() },
    });
    schema(named(generator, "RulesSource", source))
}

pub(crate) fn compiled(generator: &mut SchemaGenerator) -> Schema {
    let (tags_by_name, capabilities_by_name) = names(generator);
    let compiled = object(json!({
        "rules": rules(generator), "capabilities": capabilities(generator), "tags": tags(generator),
        "warnings": diagnostics(generator), "tagsByName": tags_by_name, "capabilitiesByName": capabilities_by_name,
    }));
    schema(named(generator, "CompiledRules", compiled))
}

pub(crate) fn tables(generator: &mut SchemaGenerator) -> Schema {
    let (tags_by_name, capabilities_by_name) = names(generator);
    let tables = json!({
        "type": "object", "required": ["rules"], "additionalProperties": false,
        "properties": {
            "rules": rules(generator), "capabilities": capabilities(generator), "tags": tags(generator),
            "tagsByName": tags_by_name, "capabilitiesByName": capabilities_by_name,
        },
    });
    schema(named(generator, "RuleTables", tables))
}

fn network_properties(generator: &mut SchemaGenerator) -> Value {
    json!({
        "id": text(), "revision": count(), "source": text(), "tests": text(), "testsRequired": flag(),
        "consistent": { "type": "boolean", "description": "whether the rules are what the source compiles to" },
        "errors": source_errors(generator), "rules": rules(generator), "capabilities": capabilities(generator),
        "tags": tags(generator),
    })
}

pub(crate) fn of_network(generator: &mut SchemaGenerator) -> Schema {
    let rules = object(network_properties(generator));
    schema(named(generator, "NetworkRules", rules))
}

pub(crate) fn change(generator: &mut SchemaGenerator) -> Schema {
    let change = json!({
        "type": "object", "additionalProperties": false,
        "anyOf": [{ "required": ["source"] }, { "required": ["tests"] }, { "required": ["testsRequired"] }],
        "properties": {
            "source": text(), "tests": text(), "testsRequired": flag(),
            "services": {
                "type": "array", "maxItems": 64, "items": text(),
                "description": "packets that a dry run tries between members, such as `tcp 443`",
            },
        },
    });
    schema(named(generator, "RulesChange", change))
}

pub(crate) fn changed(generator: &mut SchemaGenerator) -> Schema {
    let properties = with(network_properties(generator), "warnings", diagnostics(generator));
    let properties = with(properties, "testResults", test_results(generator));
    schema(named(generator, "ChangedRules", object(properties)))
}

pub(crate) fn rules_dry_run(generator: &mut SchemaGenerator) -> Schema {
    let change = object(json!({
        "from": text(), "to": text(), "service": text(), "before": text(), "after": text(),
    }));
    let change = named(generator, "RulesImpact", change);
    let dry_run = object(json!({
        "warnings": diagnostics(generator), "testResults": test_results(generator),
        "wouldStore": { "type": "boolean", "description": "whether the required tests, if any, pass" },
        "changes": list(change), "changeCount": count(),
        "compared": { "type": "integer", "minimum": 0, "description": "pairs of members, times services" },
        "cut": { "type": "boolean", "description": "whether there may be more changes than are listed" },
    }));
    schema(named(generator, "RulesDryRun", dry_run))
}

pub(crate) fn tests(generator: &mut SchemaGenerator) -> Schema {
    let tests = json!({ "type": "object", "additionalProperties": false, "properties": { "tests": text() } });
    schema(named(generator, "RuleTests", tests))
}

pub(crate) fn reports(generator: &mut SchemaGenerator) -> Schema {
    let reports = object(json!({ "passed": flag(), "testResults": test_results(generator) }));
    schema(named(generator, "TestResults", reports))
}

pub(crate) fn question(generator: &mut SchemaGenerator) -> Schema {
    let question = json!({
        "type": "object", "required": ["from", "to", "packet"], "additionalProperties": false,
        "properties": { "from": text(), "to": text(), "packet": text(), "known": flag() },
    });
    schema(named(generator, "PacketQuestion", question))
}

pub(crate) fn explanation(generator: &mut SchemaGenerator) -> Schema {
    let step = object(json!({
        "index": count(), "rule": text(), "line": nullable("integer"), "column": nullable("integer"),
        "result": { "enum": ["skipped", "true", "false", "not-taken", "taken", "forgiven"] },
    }));
    let step = named(generator, "ExplainedStep", step);
    let table = object(json!({ "capability": nullable("string"), "steps": list(step) }));
    let table = named(generator, "ExplainedTable", table);
    let decision = object(json!({
        "capability": nullable("string"), "index": nullable("integer"), "text": text(), "line": nullable("integer"),
        "column": nullable("integer"), "source": nullable("string"),
    }));
    let decision = named(generator, "ExplainedDecision", decision);
    let side = object(json!({
        "side": { "enum": ["group", "sender", "receiver"] }, "result": { "enum": ["drop", "accept", "accept-copy"] },
        "decision": decision, "tables": list(table),
    }));
    let side = named(generator, "ExplainedSide", side);
    let copy = named(generator, "PacketCopy", object(json!({ "to": text(), "taken": flag() })));
    let explanation = object(json!({
        "from": text(), "to": text(), "known": flag(), "outcome": text(), "outcomeAtFirstContact": text(),
        "sides": list(side), "copies": list(copy),
    }));
    schema(named(generator, "Explanation", explanation))
}

/// Describes [`super::problem::Problem`].
pub(crate) fn problem(generator: &mut SchemaGenerator) -> Schema {
    let error = json!({
        "type": "object", "required": ["detail"],
        "properties": {
            "pointer": { "type": "string", "description": "JSON pointer into the body; empty is the body itself" },
            "parameter": { "type": "string", "description": "of the query" },
            "detail": text(),
            "line": { "type": "integer", "minimum": 0, "description": "in the text at `pointer`, as are the following" },
            "column": count(), "text": text(), "suggestion": nullable("string"), "code": text(),
            "includedAt": { "anyOf": [place(generator), { "type": "null" }] },
            "in": { "enum": ["source", "tests", "stored"], "description": "where the test that fails stands" },
            "test": { "type": "string", "description": "its name" },
        },
    });
    let error = named(generator, "ProblemError", error);
    let problem = json!({
        "description": "What is wrong with a request (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "urn:ctl-bin:problem:KIND, for programs" },
            "title": text(), "status": { "type": "integer" }, "detail": text(),
            "errors": { "type": "array", "maxItems": 101, "items": error },
            "testResults": test_results(generator),
            "requestId": { "type": "string", "description": "as in `X-Request-Id` and in the log" },
        },
    });
    schema(named(generator, "Problem", problem))
}

/// Lines of a stream of events. What each `data` has is a type of its own, which the document has as well.
pub(crate) fn events(generator: &mut SchemaGenerator) -> Schema {
    let data = generator.subschema_for::<EventView>();
    json_schema!({ "type": "string", "contentMediaType": "text/event-stream", "contentSchema": data })
}

/// An object without a field.
pub(crate) fn nothing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false })
}

/// Bytes.
pub(crate) fn file(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "contentMediaType": "application/octet-stream" })
}

/// A level, then those of modules.
const LEVELS: &str =
    "^(error|warn|info|debug|trace|off)(,[a-z0-9_]+(::[a-z0-9_]+)*=(error|warn|info|debug|trace|off))*$";

pub(crate) fn log_level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["levels"], "additionalProperties": false,
        "properties": { "levels": {
            "type": "string", "maxLength": MAX_LEVELS, "pattern": LEVELS,
            "examples": ["info", "info,ctl_bin::vl1=debug"],
        } },
    })
}

fn webhook_properties() -> Value {
    json!({
        "url": { "type": "string", "maxLength": 2048, "pattern": "^https?://[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9/._-]*)?$" },
        "description": { "type": "string", "maxLength": 256 },
        "events": { "type": "array", "uniqueItems": true, "items": { "enum": HOOK_TYPES },
            "description": "empty is everything" },
        "network": { "type": ["string", "null"], "pattern": "^[0-9a-f]{16}$" },
        "enabled": flag(),
    })
}

pub(crate) fn new_webhook(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["url"], "additionalProperties": false, "properties": webhook_properties(),
    })
}

pub(crate) fn webhook_retry(_: &mut SchemaGenerator) -> Schema {
    let delivery = json!({
        "type": "integer", "minimum": 0, "maximum": MAX_DELIVERY,
        "description": "the `id` of one that is `dead`; without it all of them are tried again",
    });
    json_schema!({ "type": "object", "additionalProperties": false, "properties": { "delivery": delivery } })
}

pub(crate) fn webhook_change(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false, "properties": webhook_properties() })
}

fn token_properties() -> Value {
    let time = || json!({ "type": "integer", "minimum": 0 });
    json!({
        "name": text(), "scope": { "type": "array", "items": text() }, "created": time(), "lastUsed": time(),
        "expires": time(), "previousSecretValidUntil": nullable("integer"),
        "secret": { "type": "string", "description": "only where it was just made" },
    })
}

pub(crate) fn token(generator: &mut SchemaGenerator) -> Schema {
    let token = json!({ "type": "object", "required": ["name", "scope"], "properties": token_properties() });
    schema(named(generator, "Token", token))
}

pub(crate) fn token_list(generator: &mut SchemaGenerator) -> Schema {
    let meta = object(json!({ "totalCount": count(), "limit": count() }));
    json_schema!({
        "type": "object", "required": ["data", "meta"],
        "properties": { "data": { "type": "array", "items": token(generator) }, "meta": meta },
    })
}

pub(crate) fn token_order(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["name", "scope"], "additionalProperties": false,
        "properties": {
            "name": text(), "scope": { "type": "array", "items": text() },
            "expires": { "type": "integer", "minimum": 0 },
        },
    })
}

pub(crate) fn token_rotation(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "additionalProperties": false,
        "properties": { "graceSeconds": { "type": "integer", "minimum": 0 } },
    })
}
