//! A source as a tree: what its author wrote, with comments and places, before any meaning.

use super::diagnostic::Span;
use super::vocabulary::ActionKind;

/// A word and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    pub text: &'a str,
    pub span: Span,
}

impl Word<'_> {
    /// Returns the word in lower case, in which keywords and names are compared.
    pub fn lower(&self) -> String {
        self.text.to_lowercase()
    }

    pub fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// A whole source.
#[derive(Debug, Clone, Default)]
pub struct Source<'a> {
    pub items: Vec<Item<'a>>,
    /// All comments in their order, wherever they stand.
    pub comments: Vec<Word<'a>>,
}

#[derive(Debug, Clone)]
pub enum Item<'a> {
    Tag(Tag<'a>),
    Capability(Capability<'a>),
    Macro(Macro<'a>),
    Statement(Statement<'a>),
    Test(Test<'a>),
}

/// `tag NAME …;`
#[derive(Debug, Clone)]
pub struct Tag<'a> {
    pub keyword: Word<'a>,
    pub name: Option<Word<'a>>,
    pub entries: Vec<TagEntry<'a>>,
    pub end: Option<Span>,
}

/// `id N`, `default VALUE`, `enum N NAME`, `flag BITS NAME`, or a word that is none of them.
#[derive(Debug, Clone)]
pub struct TagEntry<'a> {
    pub keyword: Word<'a>,
    /// Fewer than the keyword needs if the block ends before.
    pub arguments: Vec<Word<'a>>,
}

/// `cap NAME …;`
#[derive(Debug, Clone)]
pub struct Capability<'a> {
    pub keyword: Word<'a>,
    pub name: Option<Word<'a>>,
    pub entries: Vec<CapabilityEntry<'a>>,
    pub end: Option<Span>,
}

#[derive(Debug, Clone)]
pub enum CapabilityEntry<'a> {
    Id { keyword: Word<'a>, value: Option<Word<'a>> },
    Default(Word<'a>),
    Statement(Statement<'a>),
}

/// `macro NAME($a,$b) …;`
#[derive(Debug, Clone)]
pub struct Macro<'a> {
    pub keyword: Word<'a>,
    pub head: Option<Call<'a>>,
    pub body: Vec<Statement<'a>>,
    pub end: Option<Span>,
}

/// A name with a parenthesised list: the head of a macro, or an include of it.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub name: Word<'a>,
    /// Pieces between the commas, in which white space around is gone; empty pieces are kept.
    pub values: Vec<Word<'a>>,
    /// The list is not closed, or something follows it.
    pub is_malformed: bool,
    /// The name with its list.
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum Statement<'a> {
    Action(Action<'a>),
    Include(Include<'a>),
}

/// An action with its arguments and matches, up to its `;`.
#[derive(Debug, Clone)]
pub struct Action<'a> {
    pub kind: ActionKind,
    pub keyword: Word<'a>,
    /// Everything up to the terminator: first the arguments of the action, then its matches.
    pub words: Vec<Word<'a>>,
    pub end: Option<Span>,
}

/// `include NAME(…)`, whose `;` is optional.
#[derive(Debug, Clone)]
pub struct Include<'a> {
    pub keyword: Word<'a>,
    pub call: Option<Call<'a>>,
    pub end: Option<Span>,
}

/// `test "NAME" { … }`, whose cases are read by [`super::scenario`].
#[derive(Debug, Clone)]
pub struct Test<'a> {
    pub keyword: Word<'a>,
    /// With its quotes, if it has some.
    pub name: Option<Word<'a>>,
    /// The opening brace.
    pub open: Option<Span>,
    pub cases: Vec<TestCase<'a>>,
    /// The closing brace.
    pub end: Option<Span>,
}

/// The words up to a `;`.
#[derive(Debug, Clone)]
pub struct TestCase<'a> {
    pub words: Vec<Word<'a>>,
    pub end: Option<Span>,
}

impl<'a> Action<'a> {
    /// Splits the words into the arguments of the action and its matches.
    pub fn split(&self) -> (&[Word<'a>], &[Word<'a>]) {
        self.words.split_at(self.kind.arguments().min(self.words.len()))
    }

    pub fn span(&self) -> Span {
        let last = self.end.or(self.words.last().map(|word| word.span));
        last.map_or(self.keyword.span, |last| self.keyword.span.to(last))
    }
}
