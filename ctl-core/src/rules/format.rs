//! Lays out a source in one way: a statement or term a line, two spaces a level, comments where they belong.
//!
//! Words stay as they are, but for keywords, which become lower case; so the meaning stays too.

use std::collections::BTreeSet;

use super::ast::{
    Action, Call, Capability, CapabilityEntry, Include, Item, Macro, Source, Statement, Tag, Test, Word,
};
use super::compile::Errors;
use super::diagnostic::{Diagnostic, Severity, Sink, Span};
use super::parser;
use super::terms::{self, Piece};

/// Longest statement that stays on one line, in characters.
const MAX_WIDTH: usize = 80;
const INDENT: &str = "  ";

/// Returns the source in its one layout.
///
/// Formatting twice is the same as once, and the result compiles to what the source compiles to.
///
/// # Errors
/// What keeps the source from being read; what is wrong in meaning only does not matter.
pub fn format(source: &str) -> Result<String, Errors> {
    let mut sink = Sink::default();
    let tree = parser::parse(source, &mut sink);
    refuse_malformed(&tree, &mut sink);
    if sink.has_errors() {
        return Err(Errors(sink.into_sorted()));
    }
    let mut printer = Printer {
        source,
        comments: &tree.comments,
        tag_values: tag_values(&tree),
        out: String::new(),
        is_block_start: true,
    };
    for item in &tree.items {
        printer.item(item);
    }
    printer.leading(usize::MAX, 0, true);
    Ok(printer.out)
}

fn refuse_malformed(tree: &Source<'_>, sink: &mut Sink) {
    let mut refuse = |call: &Call<'_>| {
        if call.is_malformed {
            let message = "expected NAME(…) with nothing behind it".to_owned();
            let at = (call.name.text, call.name.span);
            sink.push(Diagnostic::new(Severity::Error, "macro_args_wrong", at, message));
        }
    };
    let mut statement = |statement: &Statement<'_>| {
        if let Statement::Include(Include { call: Some(call), .. }) = statement {
            refuse(call);
        }
    };
    for item in &tree.items {
        match item {
            Item::Statement(inner) => statement(inner),
            Item::Macro(definition) => definition.body.iter().for_each(&mut statement),
            Item::Capability(capability) => {
                for entry in &capability.entries {
                    if let CapabilityEntry::Statement(inner) = entry {
                        statement(inner);
                    }
                }
            }
            Item::Tag(_) | Item::Test(_) => {}
        }
    }
    for item in &tree.items {
        if let Item::Macro(Macro { head: Some(head), .. }) = item {
            refuse(head);
        }
    }
}

/// Returns all enums and flags, as tag and name in lower case.
fn tag_values(tree: &Source<'_>) -> BTreeSet<(String, String)> {
    let mut values = BTreeSet::new();
    for item in &tree.items {
        let Item::Tag(Tag { name: Some(tag), entries, .. }) = item else { continue };
        for entry in entries {
            if let [_, name] = entry.arguments.as_slice() {
                values.insert((tag.lower(), name.lower()));
            }
        }
    }
    values
}

/// A line in the making.
struct Line {
    text: String,
    /// Of its first and its last token.
    start: usize,
    last: Span,
}

impl Line {
    /// Puts words into a line; `keywords` of them, in the beginning, in lower case.
    fn new(words: &[Word<'_>], keywords: usize) -> Option<Self> {
        let (first, last) = (words.first()?, words.last()?);
        let texts = words
            .iter()
            .enumerate()
            .map(|(index, word)| if index < keywords { word.lower() } else { word.text.to_owned() });
        let text = texts.collect::<Vec<_>>().join(" ");
        Some(Self { text, start: first.span.start, last: last.span })
    }

    fn ended(mut self, tail: &str, end: Option<Span>) -> Self {
        self.text.push_str(tail);
        self.last = end.unwrap_or(self.last);
        self
    }

    fn append(&mut self, line: &Self) {
        self.text.push(' ');
        self.text.push_str(&line.text);
        self.last = line.last;
    }
}

struct Printer<'a, 't> {
    source: &'a str,
    /// Those not printed yet.
    comments: &'t [Word<'a>],
    tag_values: BTreeSet<(String, String)>,
    out: String,
    /// No blank line is kept here.
    is_block_start: bool,
}

impl<'a> Printer<'a, '_> {
    fn item(&mut self, item: &Item<'a>) {
        match item {
            Item::Tag(tag) => self.tag(tag),
            Item::Capability(capability) => self.capability(capability),
            Item::Macro(definition) => self.macro_definition(definition),
            Item::Statement(statement) => self.statement(statement, 0),
            Item::Test(test) => self.test(test),
        }
    }

    fn tag(&mut self, tag: &Tag<'a>) {
        let words: Vec<_> = std::iter::once(tag.keyword).chain(tag.name).collect();
        let Some(head) = Line::new(&words, 1) else { return };
        let entries = tag.entries.iter().filter_map(|entry| {
            let words: Vec<_> =
                std::iter::once(entry.keyword).chain(entry.arguments.iter().copied()).collect();
            Line::new(&words, 1)
        });
        let entries: Vec<_> = entries.collect();
        let is_short = entries.len() <= 2;
        self.list(head, entries, tag.end, 0, is_short);
    }

    fn capability(&mut self, capability: &Capability<'a>) {
        let words: Vec<_> = std::iter::once(capability.keyword).chain(capability.name).collect();
        let Some(head) = Line::new(&words, 1) else { return };
        let plain = |entry: &CapabilityEntry<'a>| match entry {
            CapabilityEntry::Id { keyword, value } => {
                let words: Vec<_> = std::iter::once(*keyword).chain(*value).collect();
                Line::new(&words, 1)
            }
            CapabilityEntry::Default(keyword) => Line::new(&[*keyword], 1),
            CapabilityEntry::Statement(_) => None,
        };
        let has_rules = capability.entries.iter().any(|entry| matches!(entry, CapabilityEntry::Statement(_)));
        if !has_rules {
            let entries = capability.entries.iter().filter_map(plain).collect();
            self.list(head, entries, capability.end, 0, true);
            return;
        }
        self.line(head, 0, true);
        self.is_block_start = true;
        for entry in &capability.entries {
            match entry {
                CapabilityEntry::Statement(statement) => self.statement(statement, 1),
                CapabilityEntry::Id { .. } | CapabilityEntry::Default(_) => {
                    if let Some(line) = plain(entry) {
                        self.line(line, 1, true);
                    }
                }
            }
        }
        self.end(";", capability.end, 0);
    }

    fn macro_definition(&mut self, definition: &Macro<'a>) {
        let Some(head) = &definition.head else { return };
        let text = format!("macro {}", call_text(head));
        self.line(Line { text, start: definition.keyword.span.start, last: call_last(head) }, 0, true);
        self.is_block_start = true;
        for statement in &definition.body {
            self.statement(statement, 1);
        }
        self.end(";", definition.end, 0);
    }

    fn statement(&mut self, statement: &Statement<'a>, depth: usize) {
        match statement {
            Statement::Include(Include { keyword, call: Some(call), end }) => {
                let text = format!("include {};", call_text(call));
                let last = end.unwrap_or(call_last(call));
                self.line(Line { text, start: keyword.span.start, last }, depth, true);
            }
            Statement::Include(Include { call: None, .. }) => {}
            Statement::Action(action) => self.action(action, depth),
        }
    }

    fn action(&mut self, action: &Action<'a>, depth: usize) {
        let (arguments, words) = action.split();
        let head: Vec<_> = std::iter::once(action.keyword).chain(arguments.iter().copied()).collect();
        let Some(head) = Line::new(&head, 1) else { return };
        let has_value =
            |tag: &str, value: &str| self.tag_values.contains(&(tag.to_owned(), value.to_owned()));
        let terms = terms::split(words, has_value).into_iter().filter_map(|piece| match piece {
            Piece::Term(term) => Line::new(&term.words().collect::<Vec<_>>(), term.operators.len() + 1),
            Piece::Stray { mut operators, word } => {
                let keywords = operators.len();
                operators.push(word);
                Line::new(&operators, keywords)
            }
            Piece::Operators(operators) => Line::new(&operators, operators.len()),
        });
        let terms: Vec<_> = terms.collect();
        self.list(head, terms, action.end, depth, true);
    }

    fn test(&mut self, test: &Test<'a>) {
        let words: Vec<_> = std::iter::once(test.keyword).chain(test.name).collect();
        let Some(head) = Line::new(&words, 1) else { return };
        self.line(head.ended(" {", test.open), 0, true);
        self.is_block_start = true;
        for case in &test.cases {
            if let Some(line) = Line::new(&case.words, 0) {
                self.line(line.ended(";", case.end), 1, true);
            }
        }
        self.end("}", test.end, 0);
    }

    /// Prints a head with entries up to a terminator: on one line if that is short and no comment is in between.
    fn list(&mut self, head: Line, entries: Vec<Line>, end: Option<Span>, depth: usize, is_short: bool) {
        let last = end.or(entries.last().map(|entry| entry.last)).unwrap_or(head.last);
        let before_last = self.comments.iter().take_while(|comment| comment.span.start < last.start);
        let has_comment = before_last.last().is_some_and(|comment| comment.span.start >= head.last.end);
        let width = entries.iter().map(|entry| entry.text.chars().count() + 1).sum::<usize>()
            + head.text.chars().count()
            + depth * INDENT.len()
            + 1;
        if entries.is_empty() && !has_comment || is_short && !has_comment && width <= MAX_WIDTH {
            let mut line = head;
            for entry in &entries {
                line.append(entry);
            }
            self.line(line.ended(";", end), depth, true);
            return;
        }
        self.line(head, depth, true);
        for entry in entries {
            self.line(entry, depth + 1, false);
        }
        self.end_of_list(end, depth);
    }

    fn end_of_list(&mut self, end: Option<Span>, depth: usize) {
        match end {
            Some(end) => {
                self.leading(end.start, depth + 1, false);
                let line = Line { text: ";".to_owned(), start: end.start, last: end };
                self.line(line, depth, false);
            }
            None => self.push(depth, ";"),
        }
    }

    /// Prints the end of a block of statements.
    fn end(&mut self, text: &str, end: Option<Span>, depth: usize) {
        if let Some(end) = end {
            self.leading(end.start, depth + 1, true);
            self.line(Line { text: text.to_owned(), start: end.start, last: end }, depth, false);
        }
    }

    /// Prints a line with the comments before it, in it (before it too) and behind it.
    fn line(&mut self, line: Line, depth: usize, keeps_blank: bool) {
        self.leading(line.start, depth, keeps_blank);
        if keeps_blank {
            self.blank(line.start);
        }
        self.leading(line.last.start, depth, false);
        self.push(depth, &line.text);
        let behind = self.comments.split_first().filter(|(comment, _)| {
            let between = self.source.get(line.last.end..comment.span.start);
            between.is_some_and(|between| {
                between.chars().all(|c| !matches!(c, '\r' | '\n') && (c.is_whitespace() || c == '\u{feff}'))
            })
        });
        if let Some((comment, rest)) = behind {
            self.comments = rest;
            self.out.pop(); // the line end, which comes behind the comment
            self.out.push(' ');
            self.out.push_str(comment.text.trim_end());
            self.out.push('\n');
        }
    }

    /// Prints the comments that begin before `offset`, a line each.
    fn leading(&mut self, offset: usize, depth: usize, keeps_blank: bool) {
        while let Some((comment, rest)) = self.comments.split_first() {
            if comment.span.start >= offset {
                break;
            }
            self.comments = rest;
            if keeps_blank {
                self.blank(comment.span.start);
            }
            self.push(depth, comment.text.trim_end());
        }
    }

    /// Keeps one of the blank lines before `offset`, if there are some.
    fn blank(&mut self, offset: usize) {
        let before = self.source.get(..offset).unwrap_or_default();
        let space = before.chars().rev().take_while(|&c| c.is_whitespace() || c == '\u{feff}');
        let mut line_ends = 0;
        let mut after = None;
        for c in space {
            // Backwards: the CR of a CRLF comes after its LF.
            line_ends += usize::from(c == '\n' || c == '\r' && after != Some('\n'));
            after = Some(c);
        }
        if line_ends > 1 && !self.is_block_start {
            self.out.push('\n');
            self.is_block_start = true;
        }
    }

    fn push(&mut self, depth: usize, text: &str) {
        self.is_block_start = false;
        self.out.extend(std::iter::repeat_n(INDENT, depth));
        self.out.push_str(text);
        self.out.push('\n');
    }
}

fn call_text(call: &Call<'_>) -> String {
    if call.values.is_empty() {
        return call.name.text.to_owned();
    }
    let values: Vec<_> = call.values.iter().map(|value| value.text).collect();
    format!("{}({})", call.name.text, values.join(","))
}

/// Returns the place of the last character of a call, behind all comments in it.
fn call_last(call: &Call<'_>) -> Span {
    Span { start: call.span.end.saturating_sub(1).max(call.span.start), ..call.span }
}
