//! What the endpoints of rules and tokens take and give, for the document of the API.
//!
//! Those are read field by field ([`super::strict`]), so that all errors of a body are told at once.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::events::EventView;
use super::log_level::MAX_LEVELS;
use super::webhooks::MAX_DELIVERY;
use crate::webhooks::HOOK_TYPES;

/// A rule as JSON; `{"type":"RAW","hex":"…"}` holds any other.
fn rule() -> Value {
    json!({ "type": "object", "required": ["type"], "properties": { "type": { "type": "string" } } })
}

fn rules() -> Value {
    json!({ "type": "array", "maxItems": 1024, "items": rule() })
}

fn u32() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
}

fn capabilities() -> Value {
    json!({ "type": "array", "items": {
        "type": "object", "required": ["id"],
        "properties": { "id": u32(), "default": { "type": "boolean" }, "rules": rules() },
    } })
}

fn tags() -> Value {
    json!({ "type": "array", "items": {
        "type": "object", "required": ["id"],
        "properties": { "id": u32(), "default": { "anyOf": [u32(), { "type": "null" }] } },
    } })
}

fn objects() -> Value {
    json!({ "type": "array", "items": { "type": "object" } })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// Texts of the rules language.
pub(crate) fn source(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["source"], "additionalProperties": false,
        "properties": { "source": text() },
    })
}

pub(crate) fn compiled(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["rules", "capabilities", "tags", "warnings"],
        "properties": {
            "rules": rules(), "capabilities": capabilities(), "tags": tags(), "warnings": objects(),
            "tagsByName": { "type": "object" }, "capabilitiesByName": { "type": "object" },
        },
    })
}

pub(crate) fn tables(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["rules"], "additionalProperties": false,
        "properties": {
            "rules": rules(), "capabilities": capabilities(), "tags": tags(),
            "tagsByName": { "type": "object" }, "capabilitiesByName": { "type": "object" },
        },
    })
}

fn network_properties() -> Value {
    json!({
        "id": text(), "revision": { "type": "integer" }, "source": text(), "tests": text(),
        "testsRequired": flag(), "consistent": flag(), "errors": objects(), "rules": rules(),
        "capabilities": capabilities(), "tags": tags(), "warnings": objects(), "testResults": objects(),
    })
}

pub(crate) fn of_network(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["id", "revision", "source", "tests", "testsRequired", "consistent", "rules"],
        "properties": network_properties(),
    })
}

pub(crate) fn change(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "additionalProperties": false,
        "anyOf": [{ "required": ["source"] }, { "required": ["tests"] }, { "required": ["testsRequired"] }],
        "properties": {
            "source": text(), "tests": text(), "testsRequired": flag(),
            "services": { "type": "array", "maxItems": 64, "items": text() },
        },
    })
}

pub(crate) fn changed(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["warnings", "testResults"],
        "properties": network_properties(),
    })
}

pub(crate) fn tests(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "additionalProperties": false, "properties": { "tests": text() },
    })
}

pub(crate) fn reports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["passed", "testResults"],
        "properties": { "passed": flag(), "testResults": objects() },
    })
}

pub(crate) fn question(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["from", "to", "packet"], "additionalProperties": false,
        "properties": { "from": text(), "to": text(), "packet": text(), "known": flag() },
    })
}

pub(crate) fn explanation(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["from", "to", "known", "outcome", "outcomeAtFirstContact", "sides"],
        "properties": {
            "from": text(), "to": text(), "known": flag(), "outcome": text(), "outcomeAtFirstContact": text(),
            "sides": objects(), "copies": objects(),
        },
    })
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
        "expires": time(), "previousSecretValidUntil": { "type": ["integer", "null"] },
    })
}

pub(crate) fn token(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "required": ["name", "scope"], "properties": token_properties() })
}

pub(crate) fn token_list(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "required": ["data", "meta"],
        "properties": { "data": { "type": "array", "items": token(generator) }, "meta": { "type": "object" } },
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
