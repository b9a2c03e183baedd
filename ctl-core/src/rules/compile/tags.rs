//! Tags with their enums, flags and defaults (`rules-language.md` §7).

use super::{Compiler, MAX_DEFINITIONS, NamedTag, name_problem};
use crate::rules::ast::{Tag, TagEntry, Word};
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::rules::values;
use crate::rules::vocabulary::{self, closest};

const KEYWORDS: [&str; 4] = ["id", "default", "enum", "flag"];

impl Compiler<'_> {
    /// Reads a tag. With an error in it, it is kept nevertheless, so that its uses are not errors too.
    pub(super) fn tag(&mut self, tree: &Tag<'_>) -> Option<NamedTag> {
        let name = tree.name?;
        if tree.entries.len() > MAX_DEFINITIONS {
            let message =
                format!("expected at most {MAX_DEFINITIONS} entries in a tag, got {}", tree.entries.len());
            self.error("too_many_definitions", name, message);
            return None;
        }
        let known: Vec<&str> = self.tags.keys().map(String::as_str).collect();
        let codes = ["tag_name_invalid", "tag_name_reserved", "tag_duplicate"];
        if let Some(problem) = name_problem(name, &known, codes) {
            self.sink.push(problem);
        }
        let mut tag =
            NamedTag { name: name.lower(), id: 0, default: None, enums: Vec::new(), flags: Vec::new() };
        let mut id = None;
        let mut default = None;
        for entry in &tree.entries {
            match entry.keyword.lower().as_str() {
                "id" if id.is_some() => {
                    self.error("tag_id_repeated", entry.keyword, "a tag has one id".to_owned());
                }
                "id" => id = Some(self.tag_id(entry)),
                "default" if default.is_some() => {
                    self.error("tag_default_repeated", entry.keyword, "a tag has one default".to_owned());
                }
                "default" => match entry.arguments.first() {
                    Some(&value) => default = Some(value),
                    None => self.error(
                        "tag_default_value_missing",
                        entry.keyword,
                        "expected a number or a name after default".to_owned(),
                    ),
                },
                "enum" => self.tag_enum(entry, &mut tag),
                "flag" => self.tag_flag(entry, &mut tag),
                _ => self.tag_keyword_unknown(entry.keyword),
            }
        }
        if id.is_none() {
            self.error("tag_id_absent", name, format!("the tag {} has no id", name.text));
        }
        tag.id = id.flatten().unwrap_or(0);
        tag.default = default.and_then(|value| self.tag_default(value, &tag));
        self.tags.insert(tag.name.clone(), tag.clone());
        Some(tag)
    }

    fn tag_id(&mut self, entry: &TagEntry<'_>) -> Option<u32> {
        let expected = "expected a number from 0 to 4294967295 after id";
        let Some(&value) = entry.arguments.first() else {
            self.error("tag_id_value_missing", entry.keyword, expected.to_owned());
            return None;
        };
        let id = values::u32(value.text);
        match id {
            None => self.error("tag_id_invalid", value, format!("{expected}, got {:?}", value.text)),
            Some(id) => {
                if let Some(other) = self.tags.values().find(|tag| tag.id == id) {
                    let message = format!("the tag {} has the id {id} already", other.name);
                    self.error("tag_id_taken", value, message);
                }
            }
        }
        id
    }

    fn tag_enum(&mut self, entry: &TagEntry<'_>, tag: &mut NamedTag) {
        let [value, name] = entry.arguments.as_slice() else {
            self.error("tag_enum_incomplete", entry.keyword, "expected enum NUMBER NAME".to_owned());
            return;
        };
        let number = values::u32(value.text);
        if number.is_none() {
            let message = format!("expected a number from 0 to 4294967295, got {:?}", value.text);
            self.error("tag_enum_value_invalid", *value, message);
        }
        let codes = ["tag_enum_name_invalid", "tag_enum_duplicate"];
        if self.tag_value_name(*name, &tag.enums, codes) {
            let number = number.unwrap_or(0);
            self.name_conflict(*name, &tag.flags, number);
            tag.enums.push((name.lower(), number));
        }
    }

    fn tag_flag(&mut self, entry: &TagEntry<'_>, tag: &mut NamedTag) {
        let [bits, name] = entry.arguments.as_slice() else {
            self.error("tag_flag_incomplete", entry.keyword, "expected flag BITS NAME".to_owned());
            return;
        };
        let mut mask = 0_u32;
        for piece in bits.text.split(',') {
            let known = tag.flags.iter().find(|(name, _)| *name == piece.to_lowercase());
            let bit = || values::u8(piece).filter(|&bit| bit < 32).map(|bit| 1 << bit);
            match known.map(|&(_, value)| value).or_else(bit) {
                Some(value) => mask |= value,
                None => {
                    let message =
                        format!("expected bits from 0 to 31 or flags defined before, got {piece:?}");
                    self.error("tag_flag_bit_invalid", *bits, message);
                }
            }
        }
        let codes = ["tag_flag_name_invalid", "tag_flag_duplicate"];
        if self.tag_value_name(*name, &tag.flags, codes) {
            self.name_conflict(*name, &tag.enums, mask);
            tag.flags.push((name.lower(), mask));
        }
    }

    /// Checks the name of an enum or flag. Reserved words are fine here.
    fn tag_value_name(&mut self, name: Word<'_>, known: &[(String, u32)], codes: [&'static str; 2]) -> bool {
        let [invalid, duplicate] = codes;
        if !values::is_name(name.text) {
            let message = format!(
                "expected a name of letters, digits and _, without a digit first, got {:?}",
                name.text
            );
            self.error(invalid, name, message);
            false
        } else if known.iter().any(|(known, _)| *known == name.lower()) {
            self.error(duplicate, name, format!("the name {} is defined twice", name.text));
            false
        } else {
            true
        }
    }

    fn name_conflict(&mut self, name: Word<'_>, others: &[(String, u32)], value: u32) {
        if others.iter().any(|(known, other)| *known == name.lower() && *other != value) {
            let message = format!("{} is an enum and a flag with different values", name.text);
            self.error("tag_name_conflict", name, message);
        }
    }

    fn tag_default(&mut self, word: Word<'_>, tag: &NamedTag) -> Option<u32> {
        let named = tag.value(&word.lower());
        let value = named.or_else(|| values::u32(word.text));
        if value.is_none() {
            let message = format!(
                "expected a number from 0 to 4294967295 or an enum or flag of {}, got {:?}",
                tag.name, word.text
            );
            let at = (word.text, word.span);
            let mut diagnostic = Diagnostic::new(Severity::Error, "tag_default_invalid", at, message);
            let names = tag.enums.iter().chain(&tag.flags).map(|(name, _)| name.as_str());
            diagnostic.suggestion = closest(word.text, names).map(str::to_owned);
            self.sink.push(diagnostic);
        }
        value
    }

    fn tag_keyword_unknown(&mut self, word: Word<'_>) {
        let message =
            format!("expected id, default, enum, flag or the ; that ends the tag, got {:?}", word.text);
        let at = (word.text, word.span);
        let mut diagnostic = Diagnostic::new(Severity::Error, "tag_keyword_unknown", at, message);
        diagnostic.suggestion = if vocabulary::is_reserved(word.text) {
            Some(format!("a ; before {}", word.lower()))
        } else {
            closest(word.text, KEYWORDS).map(str::to_owned)
        };
        self.sink.push(diagnostic);
    }
}
