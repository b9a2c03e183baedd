//! Reads a source into its tree: blocks and statements, not yet their meaning (`rules-language.md` §3, §13).
//!
//! It never gives up: what does not fit is reported and skipped up to where a statement begins again.

use super::ast::{
    Action, Call, Capability, CapabilityEntry, Include, Item, Macro, Source, Statement, Tag, TagEntry, Test,
    TestCase, Word,
};
use super::diagnostic::{Diagnostic, Severity, Sink, Span};
use super::lexer::{Token, TokenKind, lex};
use super::vocabulary::{ActionKind, MatchName, closest};

/// Longest source that is read, in bytes. It bounds the work; rules of 1024 entries need a tenth of it.
pub const MAX_SOURCE_LEN: usize = 1 << 20;

/// Reads a source.
pub(crate) fn parse<'a>(source: &'a str, sink: &mut Sink) -> Source<'a> {
    if source.len() > MAX_SOURCE_LEN {
        let message = format!("the source has {} bytes, expected at most {MAX_SOURCE_LEN}", source.len());
        sink.push(Diagnostic::new(Severity::Error, "source_too_long", ("", Span::default()), message));
        return Source::default();
    }
    let (comments, tokens) = lex(source).into_iter().partition(|token| token.kind == TokenKind::Comment);
    let (comments, tokens): (Vec<Token<'_>>, Vec<Token<'_>>) = (comments, tokens);
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Quoted) {
        if token.text.len() < 2 || !token.text.ends_with('"') {
            let message = "this quote is not closed on its line".to_owned();
            let at = (token.text, token.span);
            sink.push(Diagnostic::new(Severity::Error, "quote_unterminated", at, message));
        }
    }
    let mut parser = Parser { tokens, at: 0, sink };
    let items = parser.items();
    Source { items, comments: comments.iter().map(word).collect() }
}

fn word<'a>(token: &Token<'a>) -> Word<'a> {
    Word { text: token.text, span: token.span }
}

struct Parser<'a, 's> {
    /// Without comments.
    tokens: Vec<Token<'a>>,
    at: usize,
    sink: &'s mut Sink,
}

impl<'a> Parser<'a, '_> {
    fn items(&mut self) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        while let Some(token) = self.peek() {
            if self.sink.is_full() {
                break;
            }
            if token.kind == TokenKind::Terminator {
                self.at += 1; // one too many does no harm in the file
                continue;
            }
            let word = word(&token);
            let item = match word.lower().as_str() {
                "tag" => Some(Item::Tag(self.tag())),
                "cap" => Some(Item::Capability(self.capability())),
                "macro" => Some(Item::Macro(self.macro_definition())),
                "test" if token.kind == TokenKind::Word => Some(Item::Test(self.test())),
                _ => self.statement().map(Item::Statement),
            };
            match item {
                Some(item) => items.push(item),
                None => {
                    self.unknown(word, "an action, tag, cap, macro or include");
                    self.recover();
                }
            }
        }
        items
    }

    /// Reads an action or include, or nothing if none begins here.
    fn statement(&mut self) -> Option<Statement<'a>> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Word)?;
        let keyword = word(&token);
        if keyword.is("include") {
            self.at += 1;
            return Some(Statement::Include(self.include(keyword)));
        }
        let kind = ActionKind::of(keyword.text)?;
        self.at += 1;
        let words = self.words();
        let end = self.terminator();
        Some(Statement::Action(Action { kind, keyword, words, end }))
    }

    fn include(&mut self, keyword: Word<'a>) -> Include<'a> {
        let call = self.call();
        if call.is_none() {
            self.error(
                "include_name_missing",
                keyword,
                "expected the name of a macro after include".to_owned(),
            );
        }
        let last = call.as_ref().map_or(keyword.span, |call| call.span);
        // A terminator that stands apart belongs to the block around.
        let glued =
            self.peek().filter(|next| next.kind == TokenKind::Terminator && next.span.start == last.end);
        let end = glued.map(|next| next.span);
        self.at += usize::from(end.is_some());
        Include { keyword, call, end }
    }

    fn tag(&mut self) -> Tag<'a> {
        let keyword = self.keyword();
        let mut words = self.words().into_iter();
        let end = self.terminator();
        let name = words.next();
        if name.is_none() {
            self.error("tag_name_missing", keyword, "expected a name after tag".to_owned());
        } else if end.is_none() {
            self.unterminated(keyword);
        }
        let mut entries = Vec::new();
        while let Some(keyword) = words.next() {
            let takes = match keyword.lower().as_str() {
                "id" | "default" => 1,
                "enum" | "flag" => 2,
                _ => 0,
            };
            entries.push(TagEntry { keyword, arguments: words.by_ref().take(takes).collect() });
        }
        Tag { keyword, name, entries, end }
    }

    fn capability(&mut self) -> Capability<'a> {
        let keyword = self.keyword();
        let name = self.next_word();
        if name.is_none() {
            self.error("cap_name_missing", keyword, "expected a name after cap".to_owned());
        }
        let mut entries = Vec::new();
        let mut is_whole = true;
        let end = loop {
            let Some(token) = self.peek() else { break None };
            if token.kind == TokenKind::Terminator {
                self.at += 1;
                break Some(token.span);
            }
            let word = word(&token);
            if word.is("id") {
                self.at += 1;
                let value =
                    self.peek().filter(|next| next.kind == TokenKind::Word && !begins_statement(next.text));
                self.at += usize::from(value.is_some());
                entries.push(CapabilityEntry::Id { keyword: word, value: value.as_ref().map(self::word) });
            } else if word.is("default") {
                self.at += 1;
                entries.push(CapabilityEntry::Default(word));
            } else if let Some(statement) = self.statement() {
                entries.push(CapabilityEntry::Statement(statement));
            } else {
                is_whole = false;
                self.unknown(word, "id, default, an action, include or the ; that ends the cap");
                if begins_definition(word.text) {
                    break None;
                }
                self.at += 1;
            }
            if self.sink.is_full() {
                break None;
            }
        };
        if end.is_none() && is_whole && name.is_some() {
            self.unterminated(keyword);
        }
        Capability { keyword, name, entries, end }
    }

    fn macro_definition(&mut self) -> Macro<'a> {
        let keyword = self.keyword();
        let head = self.call();
        if head.is_none() {
            self.error("macro_name_missing", keyword, "expected a name after macro".to_owned());
        }
        let mut body = Vec::new();
        let mut is_whole = true;
        let end = loop {
            let Some(token) = self.peek() else { break None };
            if token.kind == TokenKind::Terminator {
                self.at += 1;
                break Some(token.span);
            }
            if let Some(statement) = self.statement() {
                body.push(statement);
            } else {
                is_whole = false;
                self.unknown(word(&token), "an action, include or the ; that ends the macro");
                if begins_definition(token.text) || self.sink.is_full() {
                    break None;
                }
                self.recover();
            }
        };
        if end.is_none() && is_whole && head.is_some() {
            self.unterminated(keyword);
        }
        Macro { keyword, head, body, end }
    }

    fn test(&mut self) -> Test<'a> {
        let keyword = self.keyword();
        let name = self.next_word();
        if name.is_none() {
            self.error("test_name_missing", keyword, "expected a name in quotes after test".to_owned());
        }
        let open = self.peek().filter(|token| token.kind == TokenKind::Open).map(|token| token.span);
        if open.is_some() {
            self.at += 1;
        } else {
            self.error("test_unterminated", keyword, "expected { after the name of the test".to_owned());
            self.recover();
            return Test { keyword, name, open, cases: Vec::new(), end: None };
        }
        let mut cases = Vec::new();
        let end = loop {
            let Some(token) = self.peek() else { break None };
            match token.kind {
                TokenKind::Close => {
                    self.at += 1;
                    break Some(token.span);
                }
                TokenKind::Terminator => self.at += 1,
                TokenKind::Word | TokenKind::Quoted | TokenKind::Open | TokenKind::Comment => {
                    let words = self.words_until(|kind| kind == TokenKind::Close);
                    let end = self.terminator();
                    cases.push(TestCase { words, end });
                }
            }
        };
        if end.is_none() {
            self.error("test_unterminated", keyword, "expected } at the end of the test".to_owned());
        }
        Test { keyword, name, open, cases, end }
    }

    /// Reads `NAME` or `NAME(A,B)`; white space inside the parentheses does not matter.
    fn call(&mut self) -> Option<Call<'a>> {
        let first = self.next_word()?;
        let Some((name, rest)) = split_at_parenthesis(first) else {
            return Some(Call { name: first, values: Vec::new(), is_malformed: false, span: first.span });
        };
        let mut values = vec![Word { text: "", span: Span { end: rest.span.start, ..rest.span } }];
        let mut is_malformed = false;
        let mut is_closed = false;
        let mut last = rest;
        let mut piece = Some(rest);
        while let Some(word) = piece {
            is_closed = take_values(word, &mut values, &mut is_malformed);
            last = word;
            piece = if is_closed { None } else { self.next_word() };
        }
        // Nothing between the parentheses is no value, rather than an empty one.
        if matches!(values.as_slice(), [only] if only.text.is_empty()) {
            values.clear();
        }
        let span = first.span.to(last.span);
        Some(Call { name, values, is_malformed: is_malformed || !is_closed, span })
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn keyword(&mut self) -> Word<'a> {
        let token = self.peek();
        self.at += 1;
        token.as_ref().map_or(Word { text: "", span: Span::default() }, word)
    }

    /// Takes the next token if it is not a terminator.
    fn next_word(&mut self) -> Option<Word<'a>> {
        let token = self.peek().filter(|token| token.kind != TokenKind::Terminator)?;
        self.at += 1;
        Some(word(&token))
    }

    fn words(&mut self) -> Vec<Word<'a>> {
        self.words_until(|_| false)
    }

    /// Takes everything before the next terminator or other end.
    fn words_until(&mut self, is_end: impl Fn(TokenKind) -> bool) -> Vec<Word<'a>> {
        let mut words = Vec::new();
        while self.peek().is_some_and(|token| !is_end(token.kind)) {
            let Some(word) = self.next_word() else { break };
            words.push(word);
        }
        words
    }

    fn terminator(&mut self) -> Option<Span> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Terminator)?;
        self.at += 1;
        Some(token.span)
    }

    /// Skips to behind the next terminator, or to where a statement or definition begins.
    fn recover(&mut self) {
        self.at += 1;
        while let Some(token) = self.peek() {
            if token.kind == TokenKind::Terminator {
                self.at += 1;
                return;
            }
            if begins_statement(token.text) || begins_definition(token.text) {
                return;
            }
            self.at += 1;
        }
    }

    fn error(&mut self, code: &'static str, at: Word<'a>, message: String) {
        self.sink.push(Diagnostic::new(Severity::Error, code, (at.text, at.span), message));
    }

    fn unterminated(&mut self, keyword: Word<'a>) {
        let message = format!("this {} has no ; at its end", keyword.lower());
        self.error("block_unterminated", keyword, message);
    }

    fn unknown(&mut self, word: Word<'a>, expected: &str) {
        let message = format!("expected {expected}, got {:?}", word.text);
        let at = (word.text, word.span);
        let mut diagnostic = Diagnostic::new(Severity::Error, "action_unknown", at, message);
        diagnostic.suggestion = if MatchName::of(word.text).is_some() {
            Some(format!("accept {} …; (matches stand behind an action)", word.lower()))
        } else if begins_definition(word.text) {
            Some(format!("a ; before {}", word.lower()))
        } else {
            let actions = ActionKind::ALL.iter().map(|&(name, _)| name);
            closest(word.text, actions.chain(DEFINITIONS).chain(["include", "id", "default"]))
                .map(str::to_owned)
        };
        self.sink.push(diagnostic);
    }
}

const DEFINITIONS: [&str; 3] = ["tag", "cap", "macro"];

fn begins_statement(word: &str) -> bool {
    word.eq_ignore_ascii_case("include") || ActionKind::of(word).is_some()
}

fn begins_definition(word: &str) -> bool {
    DEFINITIONS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) || word.eq_ignore_ascii_case("test")
}

/// Splits `NAME(REST` at the parenthesis; a parenthesis at the very beginning is part of the name.
fn split_at_parenthesis(word: Word<'_>) -> Option<(Word<'_>, Word<'_>)> {
    let (name, rest) = word.text.split_once('(').filter(|(name, _)| !name.is_empty())?;
    let characters = name.chars().count() + 1;
    Some((slice(word, 0, 0, name), slice(word, name.len() + 1, characters, rest)))
}

/// Adds the characters of a piece of a list to its values; says whether the list ends in it.
///
/// Two words in one place of the list make it malformed.
fn take_values<'a>(piece: Word<'a>, values: &mut Vec<Word<'a>>, is_malformed: &mut bool) -> bool {
    let (list, rest) = match piece.text.split_once(')') {
        Some((list, rest)) => (list, Some(rest)),
        None => (piece.text, None),
    };
    let (mut offset, mut characters) = (0, 0);
    for (index, text) in list.split(',').enumerate() {
        let value = slice(piece, offset, characters, text);
        offset += text.len() + 1;
        characters += text.chars().count() + 1;
        if index > 0 {
            values.push(value);
        } else if let Some(last) = values.last_mut().filter(|_| !text.is_empty()) {
            *is_malformed |= !last.text.is_empty();
            *last = value;
        }
    }
    *is_malformed |= rest.is_some_and(|rest| !rest.is_empty());
    rest.is_some()
}

/// Returns `text`, which stands at byte `offset` of `word`, behind that many characters, with its own place.
fn slice<'a>(word: Word<'a>, offset: usize, characters: usize, text: &'a str) -> Word<'a> {
    let start = word.span.start + offset;
    let column = word.span.column + characters;
    Word { text, span: Span { start, end: start + text.len(), line: word.span.line, column } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> (Source<'_>, Vec<String>) {
        let mut sink = Sink::default();
        let tree = parse(source, &mut sink);
        (tree, sink.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists_take_white_space_and_keep_places() {
        let (tree, errors) = parsed("include m( a,b ,\n c );");
        let [Item::Statement(Statement::Include(include))] = tree.items.as_slice() else { panic!() };
        let call = include.call.as_ref().unwrap();
        let places: Vec<_> =
            call.values.iter().map(|value| (value.text, value.span.line, value.span.column)).collect();
        assert_eq!(places, [("a", 1, 12), ("b", 1, 14), ("c", 2, 2)]);
        assert!(!call.is_malformed && include.end.is_some() && errors.is_empty());
    }

    #[test]
    fn list_with_a_fault_is_marked() {
        for source in ["include m(a b);", "include m(a)b;", "include m(a;", "include m(a,b"] {
            let (tree, _) = parsed(source);
            let [Item::Statement(Statement::Include(include))] = tree.items.as_slice() else { panic!() };
            assert!(include.call.as_ref().unwrap().is_malformed, "{source}");
        }
    }

    #[test]
    fn all_unknown_words_are_reported() {
        let (tree, errors) = parsed("permit dport 22;\naccep;\ncap c id 1 gront accept; ;\ndport 22;\ndrop;");
        assert_eq!(tree.items.len(), 2);
        assert_eq!(
            errors,
            [
                "1:1: error: expected an action, tag, cap, macro or include, got \"permit\" [action_unknown]",
                "2:1: error: expected an action, tag, cap, macro or include, got \"accep\"; did you mean accept? [action_unknown]",
                "3:12: error: expected id, default, an action, include or the ; that ends the cap, got \"gront\" [action_unknown]",
                "4:1: error: expected an action, tag, cap, macro or include, got \"dport\"; did you mean accept dport …; (matches stand behind an action)? [action_unknown]",
            ]
        );
    }
}
