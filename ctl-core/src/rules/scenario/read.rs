//! Reads tests.

use std::net::IpAddr;

use zt_proto::Address;

use super::members::Selector;
use super::packet::Packet;
use super::words::{Words, Wrong, unquoted, wrong};
use crate::rules::ast::{self, Item, TestCase, Word};
use crate::rules::compile::{Errors, MAX_DEFINITIONS};
use crate::rules::diagnostic::{Diagnostic, Severity, Sink, Span};
use crate::rules::parser;

/// A test: members of its own, and what must become of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    pub span: Span,
    /// Members that exist for tests only. Later tests of the same text see them too.
    pub fixtures: Vec<Fixture>,
    pub cases: Vec<Case>,
}

/// `member NAME address A ip A tag T=V cap C;`, all but the name optional and repeatable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    pub name: String,
    pub address: Option<Address>,
    pub addresses: Vec<IpAddr>,
    /// Name or id, name of a value or number.
    pub tags: Vec<(String, String)>,
    /// Names or ids. If there is none, it has those that members get by default.
    pub capabilities: Vec<String>,
}

/// `from A to B PACKET expect OUTCOME;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub span: Span,
    /// As it stands in the test, with single spaces.
    pub text: String,
    pub from: Selector,
    pub to: Selector,
    pub packet: Packet,
    pub knowledge: Knowledge,
    pub expect: Expectation,
}

/// What the sender knows of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// The outcome must be the same whether it knows it or not.
    Either,
    /// `first`: nothing yet.
    First,
    /// `known`: its tags.
    Known,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    Accept,
    Drop,
    /// It goes to another member instead.
    Redirect(Selector),
    /// Another member gets a copy, whatever becomes of the packet itself.
    Copy(Selector),
}

/// Reads a text of tests and nothing else.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn parse_tests(text: &str) -> Result<Vec<Test>, Errors> {
    let mut sink = Sink::default();
    let tree = parser::parse(text, &mut sink);
    let mut tests = Vec::new();
    for item in &tree.items {
        let keyword = match item {
            Item::Test(test) => {
                tests.extend(read(test, &mut sink));
                continue;
            }
            Item::Tag(tag) => tag.keyword,
            Item::Capability(capability) => capability.keyword,
            Item::Macro(definition) => definition.keyword,
            Item::Statement(ast::Statement::Action(action)) => action.keyword,
            Item::Statement(ast::Statement::Include(include)) => include.keyword,
        };
        let message = format!("expected a test, got {}", keyword.text);
        sink.push(Diagnostic::new(Severity::Error, "test_invalid", (keyword.text, keyword.span), message));
    }
    if sink.has_errors() { Err(Errors(sink.into_sorted())) } else { Ok(tests) }
}

/// Reads one test of a tree; `None` if it has no name.
pub(crate) fn read(tree: &ast::Test<'_>, sink: &mut Sink) -> Option<Test> {
    let name = tree.name?;
    let mut test = Test {
        name: unquoted(name.text).to_owned(),
        span: tree.keyword.span,
        fixtures: Vec::new(),
        cases: Vec::new(),
    };
    if tree.cases.len() > MAX_DEFINITIONS {
        let message = format!("expected at most {MAX_DEFINITIONS} cases in a test, got {}", tree.cases.len());
        sink.push(Diagnostic::new(Severity::Error, "too_many_definitions", (name.text, name.span), message));
        return None;
    }
    for statement in &tree.cases {
        let result = match statement.words.first() {
            Some(first) if first.is("member") => {
                fixture(statement).map(|fixture| test.fixtures.push(fixture))
            }
            _ => case(statement).map(|case| test.cases.push(case)),
        };
        if let Err((word, message)) = result {
            let last = statement.words.last().copied();
            let at = word.or(last).unwrap_or(name);
            sink.push(Diagnostic::new(Severity::Error, "test_invalid", (at.text, at.span), message));
        }
    }
    Some(test)
}

fn fixture<'a>(statement: &TestCase<'a>) -> Result<Fixture, Wrong<'a>> {
    let mut words = Words::new(&statement.words);
    words.keyword("member")?;
    let name =
        words.value("a name", |text| Some(unquoted(text).to_owned()).filter(|name| !name.is_empty()))?;
    let mut fixture =
        Fixture { name, address: None, addresses: Vec::new(), tags: Vec::new(), capabilities: Vec::new() };
    while let Some(word) = words.next() {
        match word.lower().as_str() {
            "address" => fixture.address = Some(words.value("a node address", |text| text.parse().ok())?),
            "ip" => fixture.addresses.push(words.value("an IP address", |text| text.parse().ok())?),
            "tag" => fixture.tags.push(words.value("TAG=VALUE", |text| {
                let (tag, value) = text.split_once('=')?;
                Some((tag.to_lowercase(), value.to_lowercase()))
            })?),
            "cap" => {
                fixture.capabilities.push(words.value("a capability", |text| Some(text.to_lowercase()))?)
            }
            _ => return Err(wrong("address, ip, tag or cap", word)),
        }
    }
    Ok(fixture)
}

fn case<'a>(statement: &TestCase<'a>) -> Result<Case, Wrong<'a>> {
    let mut words = Words::new(&statement.words);
    words.keyword("from")?;
    let from = selector(&mut words)?;
    words.keyword("to")?;
    let to = selector(&mut words)?;
    let packet = Packet::read(&mut words)?;
    let knowledge = if words.take("first") {
        Knowledge::First
    } else if words.take("known") {
        Knowledge::Known
    } else {
        Knowledge::Either
    };
    let word = words.word("expect")?;
    if !word.is("expect") {
        return Err(wrong("an option such as dport or size, or expect", word));
    }
    let outcome = words.word("accept, drop, redirect or copy")?;
    let expect = match outcome.lower().as_str() {
        "accept" => Expectation::Accept,
        "drop" => Expectation::Drop,
        "redirect" => Expectation::Redirect(target(&mut words)?),
        "copy" => Expectation::Copy(target(&mut words)?),
        _ => return Err(wrong("accept, drop, redirect or copy", outcome)),
    };
    if let Some(word) = words.next() {
        return Err(wrong("the ; that ends the case", word));
    }
    let texts: Vec<_> = statement.words.iter().map(|word| word.text).collect();
    let first = statement.words.first().map_or(Span::default(), |word| word.span);
    let span = statement.words.last().map_or(first, |last| first.to(last.span));
    Ok(Case { span, text: texts.join(" "), from, to, packet, knowledge, expect })
}

fn selector<'a>(words: &mut Words<'_, 'a>) -> Result<Selector, Wrong<'a>> {
    let word: Word<'a> = words.word("a member")?;
    let expected = "a member: a name, an address, tag:NAME=VALUE, cap:NAME or any";
    Selector::parse(unquoted(word.text)).ok_or_else(|| wrong(expected, word))
}

/// Reads `to MEMBER`, in which the `to` may be left out.
fn target<'a>(words: &mut Words<'_, 'a>) -> Result<Selector, Wrong<'a>> {
    words.take("to");
    selector(words)
}
