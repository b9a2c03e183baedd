//! Reads bodies of `/api/v2`: every field is known and of its type, or else named with what is wrong.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::problem::{Invalid, Problem};

/// Reads a body that is an object; nothing at all counts as `{}`.
pub(crate) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let value = serde_json::from_slice(body).map_err(ApiError::Json)?;
    if let Value::Object(fields) = value {
        Ok(fields)
    } else {
        Err(Problem::fields(vec![Invalid::new("", expected("an object", &value))]))
    }
}

/// Says that a value has the wrong type.
pub(crate) fn expected(what: &str, got: &Value) -> String {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("expected {what}, got {got}")
}

/// Writes a name as a part of a JSON pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The fields of a body, taken one by one; what is wrong is collected and reported at once.
pub(crate) struct Fields<'v> {
    fields: &'v Map<String, Value>,
    taken: Vec<&'static str>,
    invalid: Vec<Invalid>,
}

impl<'v> Fields<'v> {
    pub(crate) fn new(fields: &'v Map<String, Value>) -> Self {
        Self { fields, taken: Vec::new(), invalid: Vec::new() }
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> String {
        if !self.has(name) {
            self.invalid.push(Invalid::new(format!("/{name}"), "expected a text, got nothing"));
        }
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.take(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.take(name, "true or false", Value::as_bool)
    }

    pub(crate) fn array(&mut self, name: &'static str) -> Option<&'v [Value]> {
        self.take(name, "an array", |value| value.as_array().map(Vec::as_slice))
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Option<&'v Map<String, Value>> {
        self.take(name, "an object", Value::as_object)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(crate) fn refuse(&mut self, invalid: Invalid) {
        self.invalid.push(invalid);
    }

    /// Ends the reading: fields that were not asked for are unknown.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in self.fields.keys().filter(|name| !self.taken.contains(&name.as_str())) {
            let detail = format!("unknown field, expected one of {}", self.taken.join(", "));
            self.invalid.push(Invalid::new(format!("/{}", escaped(name)), detail));
        }
        self.finish_open().map_err(Problem::fields)
    }

    /// Ends the reading; other fields do not matter.
    pub(crate) fn finish_open(self) -> Result<(), Vec<Invalid>> {
        if self.invalid.is_empty() { Ok(()) } else { Err(self.invalid) }
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        self.taken.push(name);
        let value = self.fields.get(name)?;
        let read = read(value);
        if read.is_none() {
            self.invalid.push(Invalid::new(format!("/{name}"), expected(what, value)));
        }
        read
    }
}
