//! JSON shapes of the API, to and from the domain types.
//!
//! Rendering goes through structs whose fields stand in the order of the original's keys; reading goes through
//! [`serde_json::Value`], because almost no value is of a wrong type (`http-api.md` §5).

pub(crate) mod legacy;
pub mod member;
pub mod network;
pub(crate) mod peer;
pub mod rule_tables;
pub(crate) mod rules;
pub(crate) mod rules_language;
pub(crate) mod status;

use ctl_core::network::RemoteTrace;
use serde_json::{Map, Value};

use crate::lenient;

/// Reads the two remote trace fields. A level that is absent stays (`http-api.md` §20, item 6).
fn apply_remote_trace(body: &Map<String, Value>, trace: &mut RemoteTrace) {
    if let Some(value) = body.get("remoteTraceTarget") {
        const ADDRESS_DIGITS: usize = 10;
        trace.target = Some(lenient::text(value)).filter(|text| text.len() == ADDRESS_DIGITS);
    }
    if let Some(value) = body.get("remoteTraceLevel") {
        trace.level = lenient::integer(value, 0);
    }
}
