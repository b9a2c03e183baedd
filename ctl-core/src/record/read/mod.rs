//! Records of other controllers, read as far as they go (`vl2.md` §16).
//!
//! Nothing in a record makes reading fail, and nothing is changed in silence: what was missing, left out or read as
//! something else is listed, and what means nothing here is kept for an export.

mod member;
mod network;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{FieldError, lenient};
use crate::network::RemoteTrace;

pub use member::read_member;
pub use network::read_network;

/// Characters of a trace target, which is meant as a node address.
const ADDRESS_DIGITS: usize = 10;

/// A record, and what reading it came across.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    pub record: T,
    /// Fields that mean nothing here, to be written back by an export.
    pub extra: Map<String, Value>,
    /// Fields that got their default.
    pub missing: Vec<&'static str>,
    /// Fields that are of the moment, such as counts and clocks, and were not kept.
    pub dropped: Vec<&'static str>,
    /// What was left out or read as something else, each with what became of it.
    pub warnings: Vec<FieldError>,
}

impl<T> Reading<T> {
    /// Returns a reading that came across nothing.
    pub fn new(record: T) -> Self {
        let (missing, dropped, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { record, extra: Map::new(), missing, dropped, warnings }
    }

    /// Puts another record into the place of this one.
    pub fn with<U>(self, record: U) -> Reading<U> {
        let Self { record: _, extra, missing, dropped, warnings } = self;
        Reading { record, extra, missing, dropped, warnings }
    }
}

/// The fields of a record, taken one by one.
struct Fields<'v> {
    fields: &'v Map<String, Value>,
    taken: BTreeSet<&'static str>,
    missing: Vec<&'static str>,
    warnings: Vec<FieldError>,
}

impl<'v> Fields<'v> {
    fn new(fields: &'v Map<String, Value>) -> Self {
        Self { fields, taken: BTreeSet::new(), missing: Vec::new(), warnings: Vec::new() }
    }

    /// Returns a field that not every record has.
    fn optional(&mut self, name: &'static str) -> Option<&'v Value> {
        self.taken.insert(name);
        self.fields.get(name)
    }

    fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    fn warn(&mut self, name: &str, expected: &str, got: &Value, outcome: &str) {
        self.warnings.push(FieldError::unexpected(name, expected, Some(got)).and(outcome));
    }

    fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        let Some(value) = self.take(name) else { return default };
        let read = lenient::boolean(value, default);
        if !value.is_boolean() {
            self.warn(name, "true or false", value, &format!("read as {read}"));
        }
        read
    }

    fn integer(&mut self, name: &'static str, default: u64) -> u64 {
        self.take(name).map_or(default, |value| self.read_integer(name, value, default))
    }

    fn read_integer(&mut self, name: &'static str, value: &Value, default: u64) -> u64 {
        let read = lenient::integer(value, default);
        if value.as_u64() != Some(read) {
            self.warn(name, "a whole number from 0", value, &format!("read as {read}"));
        }
        read
    }

    fn text(&mut self, name: &'static str) -> String {
        self.take(name).map_or_else(String::new, |value| self.read_text(name, value))
    }

    fn read_text(&mut self, name: &'static str, value: &Value) -> String {
        let read = lenient::text(value);
        if !value.is_string() {
            self.warn(name, "a text", value, &format!("read as {read:?}"));
        }
        read
    }

    /// Returns the entries of an array; anything else has none.
    fn entries(&mut self, name: &'static str) -> &'v [Value] {
        self.take(name).map_or(&[], |value| self.read_entries(name, value))
    }

    fn read_entries(&mut self, name: &'static str, value: &'v Value) -> &'v [Value] {
        value.as_array().map(Vec::as_slice).unwrap_or_else(|| {
            self.warn(name, "an array", value, "read as an empty one");
            &[]
        })
    }

    /// Adds what reading the entry `index` of `name` came across.
    fn warn_entry(&mut self, name: &str, index: usize, error: FieldError) {
        self.warnings.push(error.at(index).within(name));
    }

    fn remote_trace(&mut self) -> RemoteTrace {
        let target = self.take("remoteTraceTarget").filter(|value| !value.is_null());
        let usable = target.and_then(Value::as_str).filter(|text| text.len() == ADDRESS_DIGITS);
        if let Some(value) = target.filter(|_| usable.is_none()) {
            self.warn("remoteTraceTarget", "ten characters or null", value, "read as null");
        }
        // A text is what some releases wrote.
        let level = self.take("remoteTraceLevel");
        let level = level.map_or(0, |value| {
            if value.is_string() {
                lenient::integer(value, 0)
            } else {
                self.read_integer("remoteTraceLevel", value, 0)
            }
        });
        RemoteTrace { target: usable.map(str::to_owned), level }
    }

    /// Checks a field that repeats what is known already.
    fn repeats(&mut self, name: &'static str, expected: &str) {
        if let Some(value) = self.optional(name).filter(|value| value.as_str() != Some(expected)) {
            self.warn(name, &format!("{expected:?}"), value, "not kept");
        }
    }

    /// Returns the reading: what was not taken is extra, unless it is one of `momentary`.
    fn finish<T>(self, record: T, momentary: &[&'static str]) -> Reading<T> {
        let Self { fields, taken, missing, warnings } = self;
        let extra = fields
            .iter()
            .filter(|(name, _)| !taken.contains(name.as_str()) && !momentary.contains(&name.as_str()));
        Reading {
            record,
            extra: extra.map(|(name, value)| (name.clone(), value.clone())).collect(),
            missing,
            dropped: momentary.iter().copied().filter(|name| fields.contains_key(*name)).collect(),
            warnings,
        }
    }
}
