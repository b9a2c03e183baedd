//! The OpenAPI document and the page that shows it.

use serde_json::{Value, json};

use crate::client;
use crate::rules;
use crate::server::Server;

#[test]
fn document_and_page_need_no_token_and_nobody_else() {
    let server = Server::start();
    let get = |path: &str| client::send(server.address, "GET", path, &[], None);
    let document = get("/openapi.json");
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json()["openapi"], "3.1.0");
    for (path, media_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(
            !text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"),
            "{path}"
        );
    }
}

/// Says where an answer is not what a schema describes: another type, a field that is missing, or one that nobody told of.
fn mismatch(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(pointer) = schema["$ref"].as_str() {
        let schema = document.pointer(pointer.trim_start_matches('#')).unwrap();
        return mismatch(document, schema, value, place);
    }
    if let Some(schemas) = schema["anyOf"].as_array() {
        let found = schemas.iter().map(|schema| mismatch(document, schema, value, place));
        let found: Vec<_> = found.collect();
        return if found.contains(&None) { None } else { found.into_iter().flatten().next() };
    }
    if let Some(values) = schema["enum"].as_array() {
        return (!values.contains(value)).then(|| format!("{place}: {value} is not listed"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(kinds) => kinds.contains(&json!(kind)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    };
    if !is_kind {
        return Some(format!("{place}: {value} is not {}", schema["type"]));
    }
    let missing = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|name| value.is_object() && value.get(name.as_str().unwrap()).is_none());
    if let Some(name) = missing {
        return Some(format!("{place}: {name} is missing"));
    }
    let fields = value.as_object().into_iter().flatten().find_map(|(name, value)| {
        let place = format!("{place}/{name}");
        match schema["properties"]
            .get(name)
            .or_else(|| schema.get("additionalProperties").filter(|it| it.is_object()))
        {
            Some(schema) => mismatch(document, schema, value, &place),
            None => Some(format!("{place} is not in the document")),
        }
    });
    let entries = value.as_array().into_iter().flatten().enumerate();
    let mut entries = entries
        .map(|(index, value)| mismatch(document, &schema["items"], value, &format!("{place}/{index}")));
    fields.or_else(|| entries.find_map(|found| found))
}

#[test]
fn answers_about_rules_tokens_and_networks_have_the_fields_that_the_document_names() {
    let server = rules::server();
    let document = client::send(server.address, "GET", "/openapi.json", &[], None).json();
    let network = "/api/v2/network/a940ad429a0000f1";
    let template = "/api/v2/network/{network}";
    let tags = "tag role id 7 enum 1 server default server flag 3 vip; cap admin id 5 default accept; ;\n";
    let source = format!("{tags}{}{}", rules::WEB_ONLY, rules::WEB_TEST);
    let failing = "test \"ssh\" { from laptop to server tcp 22 expect accept; }";
    let tables =
        json!({ "rules": [{ "type": "MATCH_ETHERTYPE", "etherType": 2054 }, { "type": "ACTION_DROP" }] });
    let question = json!({ "from": "laptop", "to": "server", "packet": "tcp 443" });
    for (method, path, template, body, status) in [
        ("POST", "/api/v2/network", "/api/v2/network", json!({ "joinTokens": [{ "token": "x" }] }), 201),
        ("GET", network, template, Value::Null, 200),
        ("PATCH", network, template, json!({ "mtu": "x", "colour": 1 }), 422),
        ("PATCH", &format!("{network}?dryRun"), template, json!({ "mtu": 1400 }), 200),
        (
            "PUT",
            &format!("{network}/member/4444444444"),
            &format!("{template}/member/{{member}}"),
            json!({}),
            201,
        ),
        (
            "GET",
            &format!("{network}/member/1111111111"),
            &format!("{template}/member/{{member}}"),
            Value::Null,
            200,
        ),
        ("POST", "/api/v2/rules/compile", "/api/v2/rules/compile", json!({ "source": source }), 200),
        (
            "POST",
            "/api/v2/rules/compile",
            "/api/v2/rules/compile",
            json!({ "source": "include nothing;" }),
            422,
        ),
        ("POST", "/api/v2/rules/compile", "/api/v2/rules/compile", json!({ "source": "accept; drop;" }), 200),
        ("POST", "/api/v2/rules/format", "/api/v2/rules/format", json!({ "source": source }), 200),
        ("POST", "/api/v2/rules/decompile", "/api/v2/rules/decompile", tables, 200),
        (
            "PUT",
            &format!("{network}/rules?dryRun"),
            &format!("{template}/rules"),
            json!({ "source": source, "tests": failing }),
            200,
        ),
        (
            "PUT",
            &format!("{network}/rules"),
            &format!("{template}/rules"),
            json!({ "source": source, "tests": failing }),
            200,
        ),
        (
            "PUT",
            &format!("{network}/rules"),
            &format!("{template}/rules"),
            json!({ "testsRequired": true, "source": "drop;" }),
            422,
        ),
        ("GET", &format!("{network}/rules"), &format!("{template}/rules"), Value::Null, 200),
        (
            "POST",
            &format!("{network}/rules/test"),
            &format!("{template}/rules/test"),
            json!({ "tests": failing }),
            200,
        ),
        ("POST", &format!("{network}/rules/explain"), &format!("{template}/rules/explain"), question, 200),
        ("POST", "/api/v2/tokens", "/api/v2/tokens", json!({ "name": "robot", "scope": ["read"] }), 200),
        ("GET", "/api/v2/tokens", "/api/v2/tokens", Value::Null, 200),
    ] {
        let body = Some(body).filter(|body| !body.is_null()).map(|body| body.to_string());
        let answer = server.send(method, path, body.as_deref());
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let operation = &document["paths"][template][method.to_ascii_lowercase()];
        let described =
            operation["responses"].get(status.to_string()).unwrap_or(&operation["responses"]["default"]);
        let schema = &described["content"][answer.header("content-type").unwrap()]["schema"];
        assert!(schema.is_object(), "{method} {path}");
        assert_eq!(mismatch(&document, schema, &answer.json(), ""), None, "{method} {path}");
        if answer.header("etag").is_some() {
            assert!(described["headers"]["ETag"].is_object(), "{method} {path} has a tag");
        }
    }
}

/// A type that is in the document twice gets a number: `Pool2`.
#[test]
fn each_schema_is_in_the_document_once() {
    let server = Server::start();
    let document = client::send(server.address, "GET", "/openapi.json", &[], None).json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let twins: Vec<_> =
        schemas.keys().filter(|name| name.ends_with(|last: char| last.is_ascii_digit())).collect();
    assert!(twins.is_empty(), "{twins:?}");
    for name in ["Rule", "Diagnostic", "TestResult", "RulesDryRun", "Explanation", "Problem", "JoinToken"] {
        assert!(schemas.contains_key(name), "{name}");
    }
}
