//! What the controller logs. Only a token that may do everything gets here.

use ctl_store::AuditEntry;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tracing::{error, info};

use super::problem::{Invalid, Problem};
use super::request::{Answer, Request};
use super::strict::{Fields, parse_object};
use crate::State;

/// The longest text of levels in characters: some for each module that there is.
pub(crate) const MAX_LEVELS: usize = 1024;

/// What is logged.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogLevel")]
pub(crate) struct LogLevelView {
    /// A level, and others for modules: `info,ctl_bin::vl1=debug`.
    levels: String,
}

/// `GET /api/v2/log-level`: the levels in force.
pub(crate) fn get(state: &State, _: Request) -> Result<Answer, Problem> {
    Answer::ok(&LogLevelView { levels: state.api.log_levels.current() })
}

/// `PUT /api/v2/log-level`: has others in force until the settings are read again.
pub(crate) fn put(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let body = parse_object(&request.take_body()?)?;
    let mut fields = Fields::new(&body);
    let levels = fields.required_text("levels");
    fields.finish()?;
    let invalid = |reason: String| Problem::fields(vec![Invalid::new("/levels", reason)]);
    let length = levels.chars().count();
    if length > MAX_LEVELS {
        return Err(invalid(format!("expected at most {MAX_LEVELS} characters, got {length}")));
    }
    let (log, actor) = (&state.api.log_levels, state.caller.name.clone());
    let before = log.current();
    log.set(&levels).map_err(invalid)?;
    let levels = log.current();
    info!(token = actor, levels, "the levels of the log were changed");
    if levels != before {
        let text = |levels: &str| Some(json!({ "levels": levels }).to_string());
        let (before, after) = (text(&before), text(&levels));
        let (time, action) = (state.now(), "log-level.update");
        let entry = AuditEntry { time, actor, action, network: None, member: None, before, after };
        // Who wants to see more while the database is broken is to see it.
        if let Err(reason) = state.api.store.write(|tx| tx.audit().add(&entry)) {
            error!(%reason, "the audit log does not say that the levels of the log were changed");
        }
    }
    Answer::ok(&LogLevelView { levels })
}
