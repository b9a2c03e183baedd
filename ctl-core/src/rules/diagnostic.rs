//! What is wrong with a source, and where.

use std::fmt;

/// A piece of a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Byte offsets into the source, `end` exclusive.
    pub start: usize,
    pub end: usize,
    /// Line of `start`, from 1. CR, LF and CRLF end a line each.
    pub line: usize,
    /// Column of `start`, from 1, in characters; a tab is one.
    pub column: usize,
}

impl Span {
    /// Returns the span from the beginning of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { end: last.end.max(self.end), ..self }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is compiled.
    Error,
    /// It is compiled, but hardly means what its author thinks.
    Warning,
}

/// One error or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A fixed word for programs, those of `rules-language.md` §12 and §13 and the ones of `docs/rules.md`.
    pub code: &'static str,
    pub span: Span,
    /// The offending text, at most [`Diagnostic::MAX_TEXT`] characters of it.
    pub text: String,
    /// What was expected and what came, for a person.
    pub message: String,
    /// What to write instead, if there is a guess.
    pub suggestion: Option<String>,
    /// Where the macro was included in whose body the span lies.
    pub included_at: Option<Span>,
}

impl Diagnostic {
    /// Longest offending text that is kept, in characters.
    pub const MAX_TEXT: usize = 60;

    pub(crate) fn new(severity: Severity, code: &'static str, at: (&str, Span), message: String) -> Self {
        let (text, span) = at;
        let mut kept: String = text.chars().take(Self::MAX_TEXT).collect();
        if kept.len() < text.len() {
            kept.push('…');
        }
        Self { severity, code, span, text: kept, message, suggestion: None, included_at: None }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: {}", self.span.line, self.span.column, self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean {suggestion}?")?;
        }
        if let Some(at) = self.included_at {
            write!(f, " (included at {}:{})", at.line, at.column)?;
        }
        write!(f, " [{}]", self.code)
    }
}

/// Collects diagnostics: each place and code once, at most [`Sink::MAX`].
#[derive(Debug, Default)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
    errors: usize,
}

impl Sink {
    /// More than a person reads; it bounds the work on a source that is nothing but errors.
    pub(crate) const MAX: usize = 200;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let is_known =
            |known: &Diagnostic| known.code == diagnostic.code && known.span.start == diagnostic.span.start;
        if self.list.len() >= Self::MAX && diagnostic.severity == Severity::Warning || self.is_full() {
            return;
        }
        if !self.list.iter().any(is_known) {
            self.errors += usize::from(diagnostic.severity == Severity::Error);
            self.list.push(diagnostic);
        }
    }

    /// Says whether no error fits any more, so that going on is pointless.
    pub(crate) fn is_full(&self) -> bool {
        self.errors >= Self::MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns everything, in the order of the source.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.severity));
        self.list
    }
}
