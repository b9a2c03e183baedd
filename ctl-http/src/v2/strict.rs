//! Reads bodies of `/api/v2`: every field is known and of its type, or else named with what is wrong.

use serde_json::{Map, Value};

use super::problem::{Invalid, MAX_ERRORS, Problem};
use crate::error::ApiError;

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
    /// The first that are wrong.
    invalid: Vec<Invalid>,
    /// How many more are.
    unlisted: usize,
}

impl<'v> Fields<'v> {
    pub(crate) fn new(fields: &'v Map<String, Value>) -> Self {
        Self { fields, taken: Vec::new(), invalid: Vec::new(), unlisted: 0 }
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> String {
        if !self.has(name) {
            self.refuse(Invalid::new(format!("/{name}"), "expected a text, got nothing"));
        }
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.take(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// Returns a text, or that there is to be none; `None` if nothing is said of it.
    pub(crate) fn nullable_text(&mut self, name: &'static str) -> Option<Option<String>> {
        self.take(name, "a text or null", |value| {
            if value.is_null() { Some(None) } else { value.as_str().map(|text| Some(text.to_owned())) }
        })
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.take(name, "true or false", Value::as_bool)
    }

    /// Returns a whole number from 0 to `max`.
    pub(crate) fn number(&mut self, name: &'static str, max: u64) -> Option<u64> {
        let what = format!("a whole number from 0 to {max}");
        self.take(name, &what, |value| value.as_u64().filter(|number| *number <= max))
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

    /// Says whether there is a text.
    pub(crate) fn is_text(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_string)
    }

    pub(crate) fn refuse(&mut self, invalid: Invalid) {
        if self.invalid.len() < MAX_ERRORS {
            self.invalid.push(invalid);
        } else {
            self.unlisted += 1;
        }
    }

    /// Returns the entries of an array; one with more than `max` counts as wrong before anybody looks into it.
    pub(crate) fn short_array(&mut self, name: &'static str, max: usize) -> Option<&'v [Value]> {
        let entries = self.array(name)?;
        self.is_short(name, entries.len(), max).then_some(entries)
    }

    /// Returns the fields of an object, likewise.
    pub(crate) fn short_object(&mut self, name: &'static str, max: usize) -> Option<&'v Map<String, Value>> {
        let fields = self.object(name)?;
        self.is_short(name, fields.len(), max).then_some(fields)
    }

    fn is_short(&mut self, name: &str, len: usize, max: usize) -> bool {
        if len > max {
            self.refuse(Invalid::new(
                format!("/{name}"),
                format!("expected at most {max} entries, got {len}"),
            ));
        }
        len <= max
    }

    /// Ends the reading: fields that were not asked for are unknown.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let fields = self.fields;
        // Which there are is said once.
        let mut known = format!(", expected one of {}", self.taken.join(", "));
        for name in fields.keys() {
            if self.taken.contains(&name.as_str()) {
                continue;
            }
            let detail = format!("unknown field{}", std::mem::take(&mut known));
            self.refuse(Invalid::new(format!("/{}", escaped(name)), detail));
        }
        self.finish_open().map_err(Problem::fields)
    }

    /// Ends the reading; other fields do not matter.
    pub(crate) fn finish_open(mut self) -> Result<(), Vec<Invalid>> {
        if self.unlisted > 0 {
            self.invalid.push(Invalid::new("", format!("and {} more", self.unlisted)));
        }
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
            self.refuse(Invalid::new(format!("/{name}"), expected(what, value)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_beyond_the_first_are_only_counted() {
        let body = (0..MAX_ERRORS + 7).map(|number| (format!("x{number}"), Value::Null)).collect();
        let mut fields = Fields::new(&body);
        for name in body.keys() {
            fields.refuse(Invalid::new(format!("/{name}"), "wrong"));
        }
        let invalid = fields.finish_open().unwrap_err();
        assert_eq!(invalid.len(), MAX_ERRORS + 1);
        assert_eq!(invalid.last().unwrap().detail, "and 7 more");
    }
}
