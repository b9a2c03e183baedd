//! What is wrong with a record, and where.

use serde_json::Value;

/// Where texts that a record brought are cut when they are quoted, in characters.
const MAX_QUOTED: usize = 100;

/// A field of a record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Where it is in the record: `rules[3].type`.
    field: String,
    problem: String,
}

impl FieldError {
    pub fn new(field: &str, problem: String) -> Self {
        Self { field: field.to_owned(), problem }
    }

    /// Says that `field` should have been `expected` and was `got`.
    pub fn unexpected(field: &str, expected: &str, got: Option<&Value>) -> Self {
        let got = got.map_or_else(|| "nothing".to_owned(), excerpt);
        Self::new(field, format!("expected {expected}, got {got}"))
    }

    /// Returns the place as a JSON pointer: `/rules/3/type`.
    pub fn pointer(&self) -> String {
        let names = self.field.split(['.', '[', ']']).filter(|name| !name.is_empty());
        names.map(|name| format!("/{name}")).collect()
    }

    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Names what the field is in: `type` within `rules[3]` is `rules[3].type`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        let separator = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{separator}{}", self.field);
        self
    }

    /// Names the array entry that the field is in.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

/// Cuts a text that somebody else wrote to what fits into a message.
pub fn cut(text: &str) -> String {
    cut_to(text, MAX_QUOTED)
}

/// Cuts a text to at most `max` characters, and says so.
pub fn cut_to(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Returns a value as JSON, cut to what fits into a message.
fn excerpt(value: &Value) -> String {
    cut(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_error_names_the_whole_path() {
        let error = FieldError::unexpected("type", "a rule type", Some(&json!(5)));
        let error = error.at(3).within("rules").at(0).within("capabilities");
        assert_eq!(error.to_string(), "capabilities[0].rules[3].type: expected a rule type, got 5");
        assert_eq!(error.pointer(), "/capabilities/0/rules/3/type");
    }

    #[test]
    fn long_value_is_cut_in_a_message() {
        let error = FieldError::unexpected("a", "b", Some(&json!("é".repeat(1000))));
        assert!(error.to_string().len() < 300, "{error}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("é"), "é");
        assert_eq!(cut(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(cut(&"é".repeat(101)), "é".repeat(100) + "…");
    }
}
