//! Reads the words of a test case one after the other.

use crate::rules::ast::Word;

/// What is wrong, and at which word; `None` is the end.
pub(super) type Wrong<'a> = (Option<Word<'a>>, String);

#[derive(Clone)]
pub(super) struct Words<'w, 'a> {
    rest: &'w [Word<'a>],
}

impl<'w, 'a> Words<'w, 'a> {
    pub(super) fn new(words: &'w [Word<'a>]) -> Self {
        Self { rest: words }
    }

    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.rest.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<Word<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Takes the next word if it is this keyword.
    pub(super) fn take(&mut self, keyword: &str) -> bool {
        let is_next = self.peek().is_some_and(|word| word.is(keyword));
        if is_next {
            self.next();
        }
        is_next
    }

    /// Takes a word that must be there.
    pub(super) fn word(&mut self, expected: &str) -> Result<Word<'a>, Wrong<'a>> {
        self.next().ok_or_else(|| (None, format!("expected {expected} at the end")))
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> Result<(), Wrong<'a>> {
        let word = self.word(keyword)?;
        if word.is(keyword) { Ok(()) } else { Err(wrong(keyword, word)) }
    }

    /// Takes a word that `read` must understand.
    pub(super) fn value<T>(
        &mut self,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Wrong<'a>> {
        let word = self.word(expected)?;
        read(word.text).ok_or_else(|| wrong(expected, word))
    }
}

pub(super) fn wrong<'a>(expected: &str, word: Word<'a>) -> Wrong<'a> {
    (Some(word), format!("expected {expected}, got {:?}", word.text))
}

/// Returns a text without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |text| text.strip_suffix('"').unwrap_or(text))
}
