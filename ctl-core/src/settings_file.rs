//! The text of a settings file: TOML without sections, held to a list of known keys. Everything that is wrong is found at
//! once, each with its line and column. What a value means is for its owner to say.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::record::cut;

/// How much a name may differ from a known one for that to be what was meant: 1 is not at all.
const SIMILAR: f64 = 0.6;

/// A setting that a file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'k> {
    pub name: &'k str,
    pub kind: Kind,
}

/// What a file says of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// Text in quotes.
    Text,
    /// A list of texts, or one text.
    List,
    /// Nothing: it is said elsewhere.
    Never,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Text => "a text in quotes",
            Self::List => "a list of texts in quotes",
            Self::Never => "nothing, since only the command line can say this",
        })
    }
}

/// Where something begins; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Returns the place of a byte of `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before: String =
            text.char_indices().take_while(|(at, _)| *at < offset).map(|(_, letter)| letter).collect();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A setting of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// As the command line would have them, each with its place; one, unless it is a list.
    pub values: Vec<(String, Place)>,
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Fault {
    pub place: Place,
    /// With the key, if the fault is one of a setting.
    pub reason: String,
}

/// Reads a file; returns its settings in no particular order, and everything that is wrong in the order of the text.
pub fn parse(text: &str, keys: &[Key<'_>]) -> (Vec<Entry>, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<_> = errors
        .iter()
        .map(|error| Fault {
            place: Place::of(text, error.span().map_or(text.len(), |span| span.start)),
            reason: error.message().to_owned(),
        })
        .collect();
    let mut entries = Vec::new();
    // What is left of a broken text could be read as something else than was meant.
    if faults.is_empty() {
        for (name, value) in table.get_ref() {
            match entry(text, keys, name, value) {
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(fault),
            }
        }
    }
    faults.sort_by_key(|fault| fault.place);
    (entries, faults)
}

fn entry<'i>(
    text: &str,
    keys: &[Key<'_>],
    name: &Spanned<std::borrow::Cow<'i, str>>,
    value: &Spanned<DeValue<'i>>,
) -> Result<Entry, Fault> {
    let place = |span: std::ops::Range<usize>| Place::of(text, span.start);
    let Some(key) = keys.iter().find(|key| key.name == name.get_ref()) else {
        let names = keys.iter().map(|key| key.name);
        return Err(Fault { place: place(name.span()), reason: unknown(name.get_ref(), names) });
    };
    let expected = |value: &Spanned<DeValue<'i>>| Fault {
        place: place(value.span()),
        reason: format!("{}: expected {}, got {}", key.name, key.kind, described(value.get_ref())),
    };
    let single = |value: &Spanned<DeValue<'i>>| {
        let single = match (key.kind, value.get_ref()) {
            (Kind::Flag, DeValue::Boolean(flag)) => flag.to_string(),
            (Kind::Number, DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| expected(value))?.to_string()
            }
            (Kind::Text | Kind::List, DeValue::String(text)) => text.to_string(),
            _ => return Err(expected(value)),
        };
        Ok((single, place(value.span())))
    };
    let values = match (key.kind, value.get_ref()) {
        (Kind::List, DeValue::Array(list)) => list.iter().map(single).collect::<Result<_, _>>()?,
        _ => vec![single(value)?],
    };
    Ok(Entry { key: key.name.to_owned(), values })
}

/// Says that a name is unknown, and which was probably meant.
pub fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let similar = known
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    let name = cut(name);
    match similar {
        Some((_, known)) => format!("{name:?}: there is no such setting; is {known} meant?"),
        None => format!("{name:?}: there is no such setting"),
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {:?}", cut(text)),
        DeValue::Integer(number) => format!("the number {}", cut(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", cut(number.as_str())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [Key<'static>; 5] = [
        Key { name: "port", kind: Kind::Number },
        Key { name: "api-query-token", kind: Kind::Flag },
        Key { name: "bind", kind: Kind::Text },
        Key { name: "api-origin", kind: Kind::List },
        Key { name: "home", kind: Kind::Never },
    ];

    fn faults(text: &str) -> Vec<String> {
        parse(text, &KEYS).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn settings_are_what_the_command_line_would_have() {
        let text =
            "# a remark\nport = 0x2709\napi-query-token = true\nbind='::1'\napi-origin = ['a', \"b\"]\n";
        let (entries, faults) = parse(text, &KEYS);
        assert_eq!(faults, []);
        let plain: Vec<_> = entries
            .iter()
            .map(|entry| {
                let values: Vec<_> = entry.values.iter().map(|(value, _)| value.as_str()).collect();
                (entry.key.as_str(), values.join(" "))
            })
            .collect();
        let expected =
            [("api-origin", "a b"), ("api-query-token", "true"), ("bind", "::1"), ("port", "9993")];
        assert_eq!(plain, expected.map(|(key, value)| (key, value.to_owned())));
        let origins = &entries[0].values;
        assert_eq!(origins[1].1, Place { line: 5, column: 20 });
        assert_eq!(parse("", &KEYS), (Vec::new(), Vec::new()));
        assert_eq!(parse("api-origin = 'a'", &KEYS).0[0].values.len(), 1);
    }

    #[test]
    fn everything_wrong_is_said_with_its_place_what_was_expected_and_what_came() {
        let text = "prot = 1\nport = '1'\nbind = 1\n\napi-origin = ['a', 2]\napi-query-token = 1\nhome='/'\n[log]\nlevel = 'x'\n";
        assert_eq!(
            faults(text),
            [
                "1:1: \"prot\": there is no such setting; is port meant?",
                "2:8: port: expected a whole number, got the text \"1\"",
                "3:8: bind: expected a text in quotes, got the number 1",
                "5:20: api-origin: expected a list of texts in quotes, got the number 2",
                "6:19: api-query-token: expected true or false, got the number 1",
                "7:6: home: expected nothing, since only the command line can say this, got the text \"/\"",
                "8:2: \"log\": there is no such setting",
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_named_by_its_place() {
        assert_eq!(faults("port = 1\nbind = 'x\n").len(), 1);
        assert!(
            faults("port = 1\nbind = 'x\n")[0].starts_with("2:"),
            "{:?}",
            faults("port = 1\nbind = 'x\n")
        );
        assert!(faults("port = 1\nport = 2")[0].starts_with("2:1: duplicate key"));
        assert!(faults("port = 99999999999999999999")[0].starts_with("1:8: port: expected a whole number"));
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(Place::of("ä = 'ü' x", 8), Place { line: 1, column: 7 });
        assert_eq!(Place::of("a\r\nb", 3), Place { line: 2, column: 1 });
        assert_eq!(Place::of("a", 100), Place { line: 1, column: 2 });
    }

    proptest! {
        #[test]
        fn no_text_is_read_without_a_place_in_it(text in "[a-z0-9 ='\"\\[\\]#\\n.{},-]{0,80}") {
            let lines = 1 + text.matches('\n').count();
            let (entries, faults) = parse(&text, &KEYS);
            let values = entries.iter().flat_map(|entry| &entry.values).map(|(_, place)| place.line);
            prop_assert!(values.chain(faults.iter().map(|fault| fault.place.line)).all(|line| line <= lines));
        }
    }
}
