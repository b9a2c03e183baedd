//! What is wrong with a body in words of JSON: what the document of the API says of a field, instead of types of a program.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use serde_path_to_error::{Error, Path, Segment};

use super::problem::{Invalid, cut};
use super::strict;

/// Fields below which nothing is quoted, as they are secrets: answers end up in logs.
const SECRETS: &str = "/joinTokens";

/// The words for the errors of one body.
pub(crate) struct Wording {
    /// Of the whole body.
    schema: Value,
    /// Whether an error has listed the fields that there are.
    has_listed: bool,
}

impl Wording {
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        Self { schema, has_listed: false }
    }

    /// Says what does not fit in `body`.
    pub(crate) fn invalid(&mut self, error: &Error<serde_json::Error>, body: &Value) -> Invalid {
        let place = pointer(error.path());
        let words = error.inner().to_string();
        let words = without_position(&words);
        let segments: Vec<_> = error.path().iter().collect();
        let expected =
            |schema: Option<&Value>| schema.and_then(describe).unwrap_or_else(|| "another value".to_owned());
        if words.starts_with("unknown field") {
            let parent = segments.split_last().and_then(|(_, parents)| self.at(parents));
            let names = parent.map(names).filter(|_| !std::mem::replace(&mut self.has_listed, true));
            let listed = names.map(|names| format!(", expected one of {names}"));
            return Invalid::new(place, format!("unknown field{}", listed.unwrap_or_default()));
        }
        let named = words.split('`').nth(1).unwrap_or_default();
        let inside = || format!("{place}/{}", strict::escaped(named));
        if words.starts_with("missing field") {
            let schema = self.at(&segments).and_then(|schema| schema.get("properties")?.get(named));
            let schema = schema.and_then(|schema| self.resolved(schema));
            return Invalid::new(inside(), format!("expected {}, got nothing", expected(schema)));
        }
        if words.starts_with("duplicate field") {
            return Invalid::new(inside(), "it is there twice, expected it once");
        }
        let is_of_serde = ["invalid type", "invalid value", "invalid length", "unknown variant"];
        let got = body.pointer(&place).filter(|_| is_of_serde.iter().any(|start| words.starts_with(start)));
        let Some(got) = got else { return Invalid::new(place, words) };
        let what = expected(self.at(&segments));
        let is_shown = !place.starts_with(SECRETS) && !got.is_array() && !got.is_object();
        let detail = if is_shown {
            format!("expected {what}, got {}", cut(&got.to_string()))
        } else {
            strict::expected(&what, got)
        };
        Invalid::new(place, detail)
    }

    /// Returns the schema of a part of the body.
    fn at(&self, path: &[&Segment]) -> Option<&Value> {
        let root = self.resolved(&self.schema);
        path.iter().try_fold(root?, |schema, segment| {
            let inner = match segment {
                Segment::Map { key } => schema.get("properties")?.get(key)?,
                Segment::Seq { .. } => schema.get("items")?,
                Segment::Enum { .. } | Segment::Unknown => return None,
            };
            self.resolved(inner)
        })
    }

    /// Follows references, and leaves out that something may be null.
    fn resolved<'s>(&'s self, schema: &'s Value) -> Option<&'s Value> {
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            return self.resolved(self.schema.pointer(pointer.trim_start_matches('#'))?);
        }
        match schema.get("anyOf").and_then(Value::as_array) {
            Some(schemas) if schema.get("type").is_none() => {
                self.resolved(schemas.iter().find(|schema| schema.get("type") != Some(&"null".into()))?)
            }
            Some(_) | None => Some(schema),
        }
    }
}

/// Leaves out where in the text an error was: there is a pointer.
fn without_position(words: &str) -> &str {
    let is_position = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || " atlinecolumn".contains(c));
    match words.rsplit_once(" at line ") {
        Some((words, rest)) if is_position(rest) => words,
        Some(_) | None => words,
    }
}

/// Returns the fields of an object, one after the other.
fn names(schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let names: Vec<_> =
        properties.filter(|(_, of)| of.get("readOnly").is_none()).map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

/// Says what a value has to be.
fn describe(schema: &Value) -> Option<String> {
    let choices = choices(schema);
    if !choices.is_empty() {
        return Some(format!("one of {}", choices.join(", ")));
    }
    let kind = schema.get("type")?;
    let kind = match kind.as_array() {
        Some(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null")?,
        None => kind.as_str()?,
    };
    Some(match kind {
        "integer" => {
            let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
            let of_format = || (schema.get("format")? == "uint32").then_some(u32::MAX.into());
            let from = format!("a whole number from {}", bound("minimum").unwrap_or(0));
            match bound("maximum").or_else(of_format) {
                Some(max) => format!("{from} to {max}"),
                None => from,
            }
        }
        "boolean" => "true or false".to_owned(),
        "array" => "an array".to_owned(),
        "object" => "an object".to_owned(),
        _ => match schema.get("examples").and_then(|examples| examples.get(0)) {
            Some(example) => format!("a text, for example {example}"),
            None => "a text".to_owned(),
        },
    })
}

/// Returns the words that a field may have, if it is one of some.
fn choices(schema: &Value) -> Vec<String> {
    let list = |schema: &Value| -> Vec<String> {
        let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        values.chain(schema.get("const")).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let inner = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    list(schema).into_iter().chain(inner.flat_map(list)).collect()
}

/// Writes a path as a JSON pointer.
fn pointer(path: &Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", strict::escaped(key)),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::super::bulk::Bulk;
    use super::super::change::read_body;
    use super::super::member_record::MemberChange;
    use super::super::network_change::NetworkChange;
    use super::super::problem::Problem;
    use super::*;

    fn words<T: serde::de::DeserializeOwned + JsonSchema>(body: &str) -> String {
        let read: Result<T, Problem> = read_body(Ok(body.as_bytes().to_vec()));
        read.err().map_or_else(String::new, |problem| problem.detail().to_owned())
    }

    #[test]
    fn errors_speak_of_json_and_not_of_types_of_a_program() {
        for (body, expected) in [
            (r#"{"mtu":"1400"}"#, "/mtu: expected a whole number from 1280 to 10000, got \"1400\""),
            (r#"{"mtu":70000}"#, "/mtu: expected a whole number from 1280 to 10000, got 70000"),
            (r#"{"mtu":-1}"#, "/mtu: expected a whole number from 1280 to 10000, got -1"),
            (
                r#"{"multicastLimit":1.5}"#,
                "/multicastLimit: expected a whole number from 0 to 4294967295, got 1.5",
            ),
            (r#"{"private":"yes"}"#, "/private: expected true or false, got \"yes\""),
            (r#"{"name":5}"#, "/name: expected a text, got 5"),
            (r#"{"routes":{}}"#, "/routes: expected an array, got an object"),
            (r#"{"routes":[7]}"#, "/routes/0: expected an object, got 7"),
            (
                r#"{"routes":[{}]}"#,
                "/routes/0/target: expected a text, for example \"10.0.0.0/24\", got nothing",
            ),
            (
                r#"{"routes":[{"target":"lan"}]}"#,
                "/routes/0/target: expected ADDRESS/BITS, for example 10.0.0.0/24, got \"lan\"",
            ),
            (
                r#"{"dns":{"servers":[1]}}"#,
                "/dns/servers/0: expected a text, for example \"10.0.0.1\", got 1",
            ),
            (r#"{"name":"a","name":"b"}"#, "/name: it is there twice, expected it once"),
            ("[]", "the body: expected an object, got an array"),
        ] {
            assert_eq!(words::<NetworkChange>(body), expected, "{body}");
        }
        let bulk = r#"{"entries":[{"address":"1111111111","action":"promote"}]}"#;
        assert_eq!(
            words::<Bulk>(bulk),
            "/entries/0/action: expected one of deauthorize, remove, authorize, change, got \"promote\""
        );
        assert_eq!(
            words::<MemberChange>(r#"{"capabilities":[-1]}"#),
            "/capabilities/0: expected a whole number from 0 to 4294967295, got -1"
        );
    }

    #[test]
    fn names_that_there_are_are_listed_once() {
        let text = words::<NetworkChange>(r#"{"colour":1,"shape":2,"dns":{"x":1}}"#);
        assert_eq!(text.matches("expected one of").count(), 1, "{text}");
        assert!(
            text.starts_with("/colour: unknown field, expected one of ") && text.contains("mtu"),
            "{text}"
        );
        assert!(
            text.contains("/shape: unknown field; ") || text.ends_with("/shape: unknown field"),
            "{text}"
        );
    }

    #[test]
    fn secret_of_a_wrong_type_is_not_repeated() {
        let text = words::<NetworkChange>(r#"{"joinTokens":["s3cret"]}"#);
        assert_eq!(text, "/joinTokens/0: expected an object, got a text");
    }
}
