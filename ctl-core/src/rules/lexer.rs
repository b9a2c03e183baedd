//! Cuts a source into words, terminators and comments (`rules-language.md` §1 and §13).
//!
//! `;`, `{` and `}` stand for themselves wherever they are, and `#` begins a comment wherever it is. All white
//! space of Unicode and the byte order mark separate words. Text in double quotes is one token, for names of
//! tests.

use super::diagnostic::Span;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Word,
    /// Text in double quotes, with them; it ends at the quote or with the line.
    Quoted,
    Terminator,
    Open,
    Close,
    /// With its `#`, without the end of the line.
    Comment,
}

/// A token and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
    pub span: Span,
}

/// Cuts `source` into tokens. Everything but white space is in one of them.
pub fn lex(source: &str) -> Vec<Token<'_>> {
    let mut cursor = Cursor { source, at: 0, line: 1, column: 1, after_cr: false };
    let mut tokens = Vec::new();
    while let Some(first) = cursor.peek() {
        if is_space(first) {
            cursor.bump(first);
            continue;
        }
        let begin = Span { start: cursor.at, end: cursor.at, line: cursor.line, column: cursor.column };
        cursor.bump(first);
        let kind = match first {
            ';' => TokenKind::Terminator,
            '{' => TokenKind::Open,
            '}' => TokenKind::Close,
            '#' => {
                cursor.bump_while(|c| !is_line_end(c));
                TokenKind::Comment
            }
            '"' => {
                cursor.bump_while(|c| c != '"' && !is_line_end(c));
                if cursor.peek() == Some('"') {
                    cursor.bump('"');
                }
                TokenKind::Quoted
            }
            _ => {
                cursor.bump_while(|c| !is_space(c) && !matches!(c, ';' | '{' | '}' | '#'));
                TokenKind::Word
            }
        };
        let span = Span { end: cursor.at, ..begin };
        tokens.push(Token { kind, text: source.get(span.start..span.end).unwrap_or_default(), span });
    }
    tokens
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    column: usize,
    /// The last character was a CR, which with an LF is one line end.
    after_cr: bool,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.source.get(self.at..)?.chars().next()
    }

    fn bump(&mut self, c: char) {
        self.at += c.len_utf8();
        if c == '\n' && self.after_cr {
            self.after_cr = false;
        } else if is_line_end(c) {
            self.line += 1;
            self.column = 1;
            self.after_cr = c == '\r';
        } else {
            self.column += 1;
            self.after_cr = false;
        }
    }

    fn bump_while(&mut self, keep: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|&c| keep(c)) {
            self.bump(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(source: &str) -> Vec<(&str, usize, usize)> {
        lex(source).iter().map(|token| (token.text, token.span.line, token.span.column)).collect()
    }

    #[test]
    fn terminators_and_comments_need_no_space() {
        let expected = [("drop", 1, 1), ("a", 1, 6), (";", 1, 7), ("#b;", 1, 8), ("c", 2, 1), (";", 2, 2)];
        assert_eq!(places("drop a;#b;\nc;"), expected);
    }

    #[test]
    fn each_kind_of_line_end_counts_once() {
        assert_eq!(
            places("a\r\nb\rc\nd\n\re"),
            [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("d", 4, 1), ("e", 6, 1)]
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(places("\u{feff}😀\tü x"), [("😀", 1, 2), ("ü", 1, 4), ("x", 1, 6)]);
    }

    #[test]
    fn quoted_text_ends_with_its_line() {
        let tokens = lex("\"a b\" \"c # d\ne\"");
        let texts: Vec<_> = tokens.iter().map(|token| (token.kind, token.text)).collect();
        let quoted = TokenKind::Quoted;
        assert_eq!(texts, [(quoted, "\"a b\""), (quoted, "\"c # d"), (TokenKind::Word, "e\"")]);
    }
}
