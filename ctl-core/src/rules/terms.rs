//! Splits the matches of an action into terms: operators, name, arguments (`rules-language.md` §6).

use super::ast::Word;
use super::vocabulary::{MatchKind, MatchName, OPERATORS, is_reserved};

/// A part of the matches.
#[derive(Debug, Clone)]
pub(crate) enum Piece<'a> {
    Term(Term<'a>),
    /// A word in the place of a match that is none, with the operators before it.
    Stray {
        operators: Vec<Word<'a>>,
        word: Word<'a>,
    },
    /// Operators at the end, which no match follows.
    Operators(Vec<Word<'a>>),
}

/// One match with the operators before it.
#[derive(Debug, Clone)]
pub(crate) struct Term<'a> {
    pub operators: Vec<Word<'a>>,
    pub keyword: Word<'a>,
    pub name: &'static MatchName,
    /// Fewer than the match needs if something else follows.
    pub arguments: Vec<Word<'a>>,
    /// The word that stands where an argument is missing.
    pub instead: Option<Word<'a>>,
}

impl<'a> Term<'a> {
    pub(crate) fn words(&self) -> impl Iterator<Item = Word<'a>> {
        let name = std::iter::once(self.keyword);
        self.operators.iter().copied().chain(name).chain(self.arguments.iter().copied())
    }

    pub(crate) fn has(&self, operator: &str) -> bool {
        self.operators.iter().any(|word| word.is(operator))
    }
}

/// Splits `words`. `has_value` says whether a tag has an enum or flag of a name (both in lower case).
pub(crate) fn split<'a>(words: &[Word<'a>], has_value: impl Fn(&str, &str) -> bool) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut operators = Vec::new();
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        if OPERATORS.iter().any(|operator| word.is(operator)) {
            operators.push(word);
            continue;
        }
        let Some(name) = MatchName::of(word.text) else {
            pieces.push(Piece::Stray { operators: std::mem::take(&mut operators), word });
            continue;
        };
        let mut arguments: Vec<Word<'a>> = Vec::new();
        let mut instead = None;
        while arguments.len() < name.arguments.len() {
            let Some(&next) = words.peek() else { break };
            let is_value = name.kind.is_tag()
                && arguments.first().is_some_and(|tag| has_value(&tag.lower(), &next.lower()));
            let is_symbol = name.kind == MatchKind::IpProtocol && next.is("icmp");
            if is_reserved(next.text) && !is_value && !is_symbol {
                instead = Some(next);
                break;
            }
            words.next();
            arguments.push(next);
        }
        let operators = std::mem::take(&mut operators);
        pieces.push(Piece::Term(Term { operators, keyword: word, name, arguments, instead }));
    }
    if !operators.is_empty() {
        pieces.push(Piece::Operators(operators));
    }
    pieces
}
