//! Actions, and macros in their place (`rules-language.md` §5, §6, §9).

use std::collections::BTreeMap;

use zt_proto::Address;
use zt_proto::rules::{Rule, RuleBody};

use super::{Compiler, MAX_EXPANDED_WORDS, MAX_MACRO_DEPTH, Origin, Table};
use crate::rules::ast::{Action, Include, Statement, Word};
use crate::rules::diagnostic::{Diagnostic, Severity, Span};
use crate::rules::terms::{self, Piece, Term};
use crate::rules::values;
use crate::rules::vocabulary::{ActionKind, MATCHES, MatchKind, closest};

/// How many actions without a `;` between them are looked at for further errors. Each looks at the rest again.
const MAX_RUN_TOGETHER: usize = 8;

/// Where a statement is compiled.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// By name in lower case, with the `$`.
    variables: BTreeMap<String, String>,
    /// The macros around, the outermost first.
    macros: Vec<String>,
    pub(super) included_at: Option<Span>,
}

/// An argument after its variable was replaced.
pub(super) struct Argument {
    pub(super) text: String,
    /// Where it was written: in a macro the variable.
    pub(super) span: Span,
}

/// A table in the making.
struct Draft {
    table: Table,
    max: usize,
    is_full: bool,
}

impl Draft {
    fn push(&mut self, rule: Rule, origin: Origin) {
        if self.table.rules.len() < self.max {
            self.table.rules.push(rule);
            self.table.origins.push(origin);
        } else {
            self.is_full = true;
        }
    }
}

impl<'t> Compiler<'t> {
    /// Compiles the statements of one table of at most `max` entries.
    pub(super) fn table(&mut self, statements: impl Iterator<Item = &'t Statement<'t>>, max: usize) -> Table {
        let mut draft = Draft { table: Table::default(), max, is_full: false };
        for statement in statements {
            self.statement(statement, &Scope::default(), &mut draft);
        }
        draft.table
    }

    fn statement(&mut self, statement: &'t Statement<'t>, scope: &Scope, draft: &mut Draft) {
        let was_full = draft.is_full;
        if self.sink.is_full() || was_full {
            return;
        }
        match statement {
            Statement::Include(include) => self.include(include, scope, draft),
            Statement::Action(action) => {
                let mut next = Some(action.clone());
                for _ in 0..MAX_RUN_TOGETHER {
                    next = next.and_then(|action| self.action(&action, scope, draft));
                }
                if draft.is_full {
                    let message =
                        format!("this table has over {} entries, which clients do not take", draft.max);
                    let at = (action.keyword.text, action.keyword.span);
                    self.sink.push(Diagnostic::new(Severity::Error, "too_many_entries", at, message));
                }
            }
        }
    }

    /// Compiles an action. Where a `;` is missing before the next one, that is returned, to find its errors too.
    fn action(&mut self, action: &Action<'t>, scope: &Scope, draft: &mut Draft) -> Option<Action<'t>> {
        let (arguments, words) = action.split();
        let origin = |span| Origin { span, statement: action.span(), included_at: scope.included_at };
        let tags = &self.tags;
        let has_value = |tag: &str, value: &str| tags.get(tag).is_some_and(|tag| tag.value(value).is_some());
        let mut is_first = true;
        for piece in terms::split(words, has_value) {
            match piece {
                Piece::Term(term) => {
                    let span = term.words().fold(term.keyword.span, |span, word| {
                        if word.span.start < span.start { word.span.to(span) } else { span.to(word.span) }
                    });
                    if let Some(rule) = self.term(&term, is_first, scope) {
                        draft.push(rule, origin(span));
                    }
                    is_first = false;
                }
                Piece::Operators(operators) => {
                    if let Some(last) = operators.last() {
                        let message = format!("expected a match after {}", last.lower());
                        self.report("operator_misplaced", (last.text, last.span), scope, message, None);
                    }
                }
                Piece::Stray { word, .. } => {
                    if let Some(next) = self.stray(word, words, scope) {
                        return Some(next);
                    }
                }
            }
        }
        if let Some(body) = self.action_body(action, arguments, scope) {
            draft.push(body, origin(action.keyword.span));
        }
        None
    }

    /// Reports a word that is no match; returns the action that it begins, if it does.
    fn stray(&mut self, word: Word<'t>, words: &[Word<'t>], scope: &Scope) -> Option<Action<'t>> {
        let kind = ActionKind::of(word.text).filter(|_| !word.is("raw"));
        let suggestion = if kind.is_some() || word.is("include") {
            Some(format!("a ; before {}", word.lower()))
        } else {
            closest(word.text, MATCHES.iter().map(|entry| entry.name)).map(str::to_owned)
        };
        let message = format!("expected a match such as dport or ethertype, got {:?}", word.text);
        self.report("match_unknown", (word.text, word.span), scope, message, suggestion);
        let rest = words.iter().skip_while(|other| other.span.start <= word.span.start);
        kind.map(|kind| Action { kind, keyword: word, words: rest.copied().collect(), end: None })
    }

    fn action_body(&mut self, action: &Action<'_>, words: &[Word<'_>], scope: &Scope) -> Option<Rule> {
        let at = (action.keyword.text, action.keyword.span);
        let name = action.keyword.lower();
        if words.len() < action.kind.arguments() {
            let (code, expected) = match action.kind {
                ActionKind::Redirect => ("redirect_args_missing", "a node address"),
                ActionKind::Raw => ("raw_invalid", "a type byte and a field"),
                ActionKind::Tee
                | ActionKind::Watch
                | ActionKind::Drop
                | ActionKind::Accept
                | ActionKind::Break
                | ActionKind::Dangling => ("tee_args_missing", "a length and a node address"),
            };
            self.report(code, at, scope, format!("{name} needs {expected}"), None);
            return None;
        }
        let arguments = self.resolve(words, scope)?;
        let body = match (action.kind, arguments.as_slice()) {
            (ActionKind::Drop, _) => RuleBody::Drop,
            (ActionKind::Accept, _) => RuleBody::Accept,
            (ActionKind::Break, _) => RuleBody::Break,
            (ActionKind::Tee, [length, target]) => {
                let (length, address) =
                    (self.length(length, scope), self.target("tee_target_invalid", target, scope));
                RuleBody::Tee { address: address?, flags: 0, length: length? }
            }
            (ActionKind::Watch, [length, target]) => {
                let (length, address) =
                    (self.length(length, scope), self.target("tee_target_invalid", target, scope));
                RuleBody::Watch { address: address?, flags: 0, length: length? }
            }
            (ActionKind::Redirect, [target]) => RuleBody::Redirect {
                address: self.target("redirect_target_invalid", target, scope)?,
                flags: 0,
            },
            (ActionKind::Raw, [kind, field]) => {
                let rule = values::raw(&kind.text, &field.text).filter(|rule| rule.body.is_action());
                if rule.is_none() {
                    let message = "expected the type byte of an action and its field".to_owned();
                    self.report("raw_invalid", (&kind.text, kind.span), scope, message, None);
                }
                return rule;
            }
            _ => return None,
        };
        Some(Rule { not: false, or: false, body })
    }

    fn length(&mut self, argument: &Argument, scope: &Scope) -> Option<u16> {
        let length = if argument.text == "-1" { Some(u16::MAX) } else { values::u16(&argument.text) };
        if length.is_none() {
            let message =
                format!("expected a length from 0 to 65535, or -1 for everything, got {:?}", argument.text);
            let everything = argument.text.eq_ignore_ascii_case("all").then(|| "-1".to_owned());
            self.report("tee_length_invalid", (&argument.text, argument.span), scope, message, everything);
        }
        length
    }

    fn target(&mut self, code: &'static str, argument: &Argument, scope: &Scope) -> Option<Address> {
        let address = argument.text.parse().ok();
        if address.is_none() {
            let message =
                format!("expected a node address of 10 hexadecimal digits, got {:?}", argument.text);
            self.report(code, (&argument.text, argument.span), scope, message, None);
        }
        address
    }

    fn term(&mut self, term: &Term<'_>, is_first: bool, scope: &Scope) -> Option<Rule> {
        let is_sound = self.operators(&term.operators, is_first, scope);
        let (not, or) = (term.has("not"), term.has("or"));
        if term.arguments.len() < term.name.arguments.len() {
            let needs = format!("{} needs {}", term.name.name, term.name.arguments.join(" and "));
            match term.instead {
                Some(word) => {
                    let message = format!("{needs}, got the word {} of the language", word.text);
                    self.report("match_arg_reserved", (word.text, word.span), scope, message, None);
                }
                None => {
                    let at = (term.keyword.text, term.keyword.span);
                    self.report("match_args_missing", at, scope, needs, None);
                }
            }
            return None;
        }
        let arguments = self.resolve(&term.arguments, scope)?;
        if term.name.kind == MatchKind::Raw {
            if not || or {
                let message = "raw has NOT and OR in its type byte".to_owned();
                self.report(
                    "operator_misplaced",
                    (term.keyword.text, term.keyword.span),
                    scope,
                    message,
                    None,
                );
            }
            return self.raw_match(&arguments, scope);
        }
        let body = self.match_body(term.name.kind, &arguments, scope)?;
        is_sound.then_some(Rule { not, or, body })
    }

    /// Checks the operators before a match: at most one of AND and OR, then at most one NOT.
    fn operators(&mut self, operators: &[Word<'_>], is_first: bool, scope: &Scope) -> bool {
        let mut joined = None;
        let mut negated = None;
        for word in operators {
            let message = match (joined, negated) {
                (None, None) if word.is("or") && is_first => {
                    Some("an or before the first match makes all of them true".to_owned())
                }
                (_, None) if word.is("not") => {
                    negated = Some(word);
                    None
                }
                (None, None) => {
                    joined = Some(word);
                    None
                }
                (_, Some(before)) | (Some(before), _) => Some(format!(
                    "expected a match after {}{}, got {}",
                    before.lower(),
                    if word.is("not") || before.is("not") { "" } else { " or not" },
                    word.lower()
                )),
            };
            if let Some(message) = message {
                self.report("operator_misplaced", (word.text, word.span), scope, message, None);
                return false;
            }
        }
        true
    }

    fn include(&mut self, include: &Include<'_>, scope: &Scope, draft: &mut Draft) {
        let Some(call) = &include.call else { return };
        let name = call.name.lower();
        let at = (call.name.text, call.name.span);
        let Some(definition) = self.macros.get_mut(&name) else {
            let suggestion = closest(&name, self.macros.keys().map(String::as_str)).map(str::to_owned);
            let message = format!("there is no macro {}", call.name.text);
            self.report("macro_unknown", at, scope, message, suggestion);
            return;
        };
        definition.is_used = true;
        let (tree, parameters, words) = (definition.tree, definition.parameters.clone(), definition.words);
        if scope.macros.contains(&name) {
            self.report("macro_recursion", at, scope, format!("the macro {name} includes itself"), None);
            return;
        }
        if scope.macros.len() >= MAX_MACRO_DEPTH {
            let message = format!("over {MAX_MACRO_DEPTH} macros include each other");
            self.report("macro_too_deep", at, scope, message, None);
            return;
        }
        let Some(values) = self.resolve(&call.values, scope) else { return };
        let has_empty = values.iter().any(|value| value.text.is_empty());
        if call.is_malformed || has_empty || values.len() != parameters.len() {
            let takes = if parameters.is_empty() {
                "no values".to_owned()
            } else {
                format!("({})", parameters.join(","))
            };
            let message = format!("the macro {name} takes {takes}, got {} values", values.len());
            let message = if call.is_malformed {
                format!("expected {name}(…) with nothing behind it")
            } else {
                message
            };
            self.report("macro_args_wrong", at, scope, message, None);
            return;
        }
        self.expanded_words = self.expanded_words.saturating_add(words);
        if self.expanded_words > MAX_EXPANDED_WORDS {
            let message = format!("includes bring in over {MAX_EXPANDED_WORDS} words");
            self.report("expansion_too_large", at, scope, message, None);
            return;
        }
        let variables = parameters.into_iter().zip(values.into_iter().map(|value| value.text)).collect();
        let macros = scope.macros.iter().cloned().chain([name]).collect();
        let included_at = scope.included_at.or(Some(include.keyword.span.to(call.span)));
        let inner = Scope { variables, macros, included_at };
        for statement in &tree.body {
            self.statement(statement, &inner, draft);
        }
    }

    /// Replaces variables by their values.
    fn resolve(&mut self, words: &[Word<'_>], scope: &Scope) -> Option<Vec<Argument>> {
        let mut arguments = Vec::new();
        for word in words {
            let text = if word.text.starts_with('$') {
                scope.variables.get(&word.lower()).cloned()
            } else {
                Some(word.text.to_owned())
            };
            match text {
                Some(text) => arguments.push(Argument { text, span: word.span }),
                None => {
                    let suggestion =
                        closest(word.text, scope.variables.keys().map(String::as_str)).map(str::to_owned);
                    let message = format!("there is no variable {} here", word.text);
                    self.report("variable_unknown", (word.text, word.span), scope, message, suggestion);
                }
            }
        }
        (arguments.len() == words.len()).then_some(arguments)
    }

    pub(super) fn report(
        &mut self,
        code: &'static str,
        at: (&str, Span),
        scope: &Scope,
        message: String,
        suggestion: Option<String>,
    ) {
        let diagnostic = Diagnostic::new(Severity::Error, code, at, message);
        self.sink.push(Diagnostic { suggestion, included_at: scope.included_at, ..diagnostic });
    }
}
