//! The levels of the log over HTTP, with a log that knows two of them.

use std::sync::{Arc, Mutex};

use ctl_http::LogLevels;
use serde_json::json;

use crate::server::{Options, Server};

const LOG_LEVEL: &str = "/api/v2/log-level";

/// Knows `info` and `debug`.
pub(crate) struct Known(Mutex<String>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new("info".to_owned()))
    }
}

impl LogLevels for Known {
    fn current(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn set(&self, levels: &str) -> Result<(), String> {
        if !["info", "debug"].contains(&levels) {
            return Err(format!("expected info or debug, got {levels:?}"));
        }
        *self.0.lock().unwrap() = levels.to_owned();
        Ok(())
    }
}

#[test]
fn levels_are_changed_and_the_audit_log_says_by_whom() {
    let log = Arc::new(Known::default());
    let server = Server::with(Options { log_levels: Arc::<Known>::clone(&log), ..Options::default() });
    assert_eq!(server.get(LOG_LEVEL).json(), json!({ "levels": "info" }));
    for _ in 0..2 {
        let answer = server.send("PUT", LOG_LEVEL, Some(r#"{"levels":"debug"}"#));
        assert_eq!((answer.status, answer.json()), (200, json!({ "levels": "debug" })));
    }
    assert_eq!(log.current(), "debug");
    let entries = server.get("/api/v2/audit").json()["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1, "what changed nothing is not written down: {entries}");
    let entry = &entries[0];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("log-level.update"), &json!("authtoken.secret")));
    let (before, after) = (json!({ "levels": "info" }), json!({ "levels": "debug" }));
    assert_eq!((&entry["before"], &entry["after"]), (&before, &after));
}

#[test]
fn what_are_no_levels_is_refused_with_what_was_expected_and_changes_nothing() {
    let server = Server::start();
    for (body, detail) in [
        (r#"{"levels":"loud"}"#.to_owned(), "expected info or debug, got \"loud\""),
        (r#"{"levels":7}"#.to_owned(), "expected a text, got a number"),
        ("{}".to_owned(), "expected a text, got nothing"),
        (json!({ "levels": "x".repeat(1025) }).to_string(), "expected at most 1024 characters, got 1025"),
    ] {
        let answer = server.send("PUT", LOG_LEVEL, Some(&body));
        assert_eq!(answer.status, 422, "{body}");
        let error = &answer.json()["errors"][0];
        assert_eq!((&error["pointer"], &error["detail"]), (&json!("/levels"), &json!(detail)));
    }
    assert_eq!(server.send("PUT", LOG_LEVEL, Some(r#"{"levels":"debug","for":"1h"}"#)).status, 422);
    assert_eq!(server.get(LOG_LEVEL).json(), json!({ "levels": "info" }));
    assert_eq!(server.get("/api/v2/audit").json()["entries"], json!([]));
}
