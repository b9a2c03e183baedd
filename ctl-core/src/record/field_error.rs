//! What is wrong with a record, and where.

use serde_json::Value;

/// Where texts that a record brought are cut when they are quoted, in characters.
const MAX_QUOTED: usize = 100;

/// A field of a record that cannot be used, or not as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", place(path))]
pub struct FieldError {
    /// Where it is in the record, from the outside: `rules`, 3, `type`.
    path: Vec<Step>,
    problem: String,
}

/// One step into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl FieldError {
    /// `field` may be empty: the value itself.
    pub fn new(field: &str, problem: String) -> Self {
        let path = if field.is_empty() { Vec::new() } else { vec![Step::Name(field.to_owned())] };
        Self { path, problem }
    }

    /// Says that `field` should have been `expected` and was `got`.
    pub fn unexpected(field: &str, expected: &str, got: Option<&Value>) -> Self {
        let got = got.map_or_else(|| "nothing".to_owned(), excerpt);
        Self::new(field, format!("expected {expected}, got {got}"))
    }

    /// Returns the place as it is written in a program: `rules[3].type`.
    pub fn place(&self) -> String {
        place(&self.path)
    }

    /// Returns the place as a JSON pointer: `/rules/3/type`.
    pub fn pointer(&self) -> String {
        let step = |step: &Step| match step {
            Step::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        };
        self.path.iter().map(step).collect()
    }

    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Names what the field is in: `type` within `rules` is `rules.type`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.path.insert(0, Step::Name(outer.to_owned()));
        self
    }

    /// Names the array entry that the field is in.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.path.insert(0, Step::Index(index));
        self
    }

    /// Adds what was done about it.
    #[must_use]
    pub fn and(mut self, outcome: &str) -> Self {
        self.problem = format!("{}; {outcome}", self.problem);
        self
    }
}

fn place(path: &[Step]) -> String {
    let mut place = String::new();
    for step in path {
        match step {
            Step::Index(index) => place.push_str(&format!("[{index}]")),
            Step::Name(name) if place.is_empty() => place.push_str(&cut(name)),
            Step::Name(name) => place.push_str(&format!(".{}", cut(name))),
        }
    }
    place
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
        let odd = FieldError::new("a/b.c~[0]", "x".to_owned()).within("rules");
        assert_eq!((odd.place().as_str(), odd.pointer().as_str()), ("rules.a/b.c~[0]", "/rules/a~1b.c~0[0]"));
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
