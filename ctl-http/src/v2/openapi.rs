//! The document of the API, in OpenAPI 3.1: made from the table of endpoints and the types that they read and write.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::{Conditional, Endpoint, Meaning};
use super::schema;

const ABOUT: &str = "Networks, members and rules of a controller for ZeroTier networks. Bodies are read strictly: unknown \
                     fields and wrong types are 422. Errors are `application/problem+json` (RFC 9457) with a JSON pointer \
                     to each field that is wrong. Records have entity tags, for `If-Match` and `If-None-Match`.";

/// Returns the document.
pub(crate) fn document(endpoints: &[Endpoint]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operation = operation(endpoint, &mut generator);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(method, operation);
        }
    }
    schema::problem(&mut generator);
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ZeroTier network controller",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "X-ZT1-Auth" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_parameters(endpoint.path);
    parameters.extend(endpoint.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "description": parameter.summary, "schema": parameter.schema,
        })
    }));
    parameters.extend(condition_parameters(endpoint.conditional));
    let mut responses = Map::new();
    for meaning in &endpoint.answers {
        responses.insert(meaning.status.to_string(), response(endpoint, meaning, generator));
    }
    if endpoint.conditional == Conditional::Read {
        responses.insert("304".to_owned(), json!({ "description": "the client has it already" }));
    }
    responses.insert("default".to_owned(), refusal());
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [tag(endpoint.path)],
        "responses": responses,
    });
    if let Value::Object(fields) = &mut operation {
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = endpoint.body {
            let schema = body(generator);
            let content = json!({ "application/json": { "schema": schema } });
            fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
    }
    operation
}

/// Returns the group of an endpoint: the last of its fixed segments that names a kind of thing.
fn tag(path: &str) -> &'static str {
    let kinds = [
        "rules", "pending", "member", "network", "peer", "planet", "status", "events", "audit", "tokens",
        "backups", "webhooks", "settings",
    ];
    kinds.into_iter().find(|kind| path.split('/').any(|segment| segment == *kind)).unwrap_or("other")
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let pattern = match name {
            "network" => "^[0-9a-f]{16}$",
            "member" | "peer" => "^[0-9a-f]{10}$",
            _ => "^[A-Za-z0-9_.-]+$",
        };
        let schema = json!({ "type": "string", "pattern": pattern });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

fn condition_parameters(conditional: Conditional) -> Vec<Value> {
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } });
    let none_match = header("If-None-Match", "`*`, or entity tags that the client has");
    match conditional {
        Conditional::No | Conditional::Tagged => Vec::new(),
        Conditional::Read => vec![none_match],
        Conditional::Change => {
            vec![header("If-Match", "the entity tag of the version that is to be changed"), none_match]
        }
    }
}

fn response(endpoint: &Endpoint, meaning: &Meaning, generator: &mut SchemaGenerator) -> Value {
    let mut response = json!({ "description": meaning.words });
    let Value::Object(fields) = &mut response else { return response };
    let mut schemas: Vec<Value> = meaning.bodies.iter().map(|schema| schema(generator).to_value()).collect();
    if let Some(first) = schemas.first().cloned() {
        let schema = if schemas.len() > 1 { json!({ "anyOf": schemas }) } else { first };
        schemas.clear();
        fields.insert("content".to_owned(), json!({ (meaning.media_type): { "schema": schema } }));
    }
    let mut headers = Map::new();
    let text = json!({ "schema": { "type": "string" } });
    if endpoint.conditional != Conditional::No && matches!(meaning.status, 200 | 201) {
        headers.insert("ETag".to_owned(), text.clone());
    }
    if meaning.status == 201 {
        headers.insert("Location".to_owned(), text);
    }
    if !headers.is_empty() {
        fields.insert("headers".to_owned(), headers.into());
    }
    response
}

fn refusal() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({
        "description": "400 no JSON, 401 no valid token, 403 a token that may not, 404 no such thing, 405 another method, 409 in conflict with others, 412 another \
                        version, 413 too large, 422 cannot be used, 429 too many wrong tokens, 503 too busy, or the database cannot do it now, 507 the disk is full",
        "content": { "application/problem+json": { "schema": schema } },
    })
}
