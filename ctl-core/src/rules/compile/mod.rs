//! From source to rules, capabilities, tags and the names that rule editors store (`rules-language.md` §11, §13).

mod lint;
mod matches;
mod statements;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES, Rule};

use super::ast::{Capability, CapabilityEntry, Item, Macro, Source, Statement, Word};
use super::diagnostic::{Diagnostic, Severity, Sink, Span};
use super::scenario::{self, Test};
use super::{parser, values, vocabulary};
use crate::network::{CapabilityDefinition, TagDefinition};

/// Most macros inside each other. Nobody nests them deeper, and the stack stays small.
pub const MAX_MACRO_DEPTH: usize = 32;
/// Most words that includes may bring in altogether: macros that include each other twice grow without bound.
pub const MAX_EXPANDED_WORDS: usize = 200_000;

/// Most tags, capabilities, macros, rules and tests of a source together, most entries of a tag, most parameters
/// of a macro, and most cases of a test. No network has as many; looking for doubles stays quick.
pub const MAX_DEFINITIONS: usize = 4096;

/// What a source means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compiled {
    /// The rules of the network.
    pub base: Table,
    /// In the order of their definition.
    pub capabilities: Vec<NamedCapability>,
    /// In the order of their definition.
    pub tags: Vec<NamedTag>,
    /// The tests that stand in the source.
    pub tests: Vec<Test>,
    pub warnings: Vec<Diagnostic>,
}

/// Rules, and where each of them comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    pub rules: Vec<Rule>,
    /// As many as there are rules.
    pub origins: Vec<Origin>,
}

/// The place of a rule in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The match or the action.
    pub span: Span,
    /// The whole statement.
    pub statement: Span,
    /// The include by which it got here, the outermost one.
    pub included_at: Option<Span>,
}

/// A capability with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCapability {
    pub name: String,
    pub id: u32,
    pub default: bool,
    pub table: Table,
}

/// A tag with the names of its values: an entry of `tagsByName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTag {
    pub name: String,
    pub id: u32,
    pub default: Option<u32>,
    /// In the order of their definition.
    pub enums: Vec<(String, u32)>,
    /// In the order of their definition.
    pub flags: Vec<(String, u32)>,
}

/// Why a source does not compile: every error, and the warnings as well, in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Diagnostic>);

impl fmt::Display for Errors {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Compiles a source.
///
/// The time is bounded by the length of the source and [`MAX_EXPANDED_WORDS`], whatever stands in it.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn compile(source: &str) -> Result<Compiled, Errors> {
    let mut sink = Sink::default();
    let tree = parser::parse(source, &mut sink);
    let mut compiler = Compiler::new(sink);
    let compiled = compiler.source(&tree);
    if compiler.sink.has_errors() {
        return Err(Errors(compiler.sink.into_sorted()));
    }
    lint::check(&tree, &compiled, &compiler.used_tags, &mut compiler.sink);
    Ok(Compiled { warnings: compiler.sink.into_sorted(), ..compiled })
}

impl Compiled {
    /// Returns the capabilities as a network has them: ascending by id, without names.
    pub fn capability_definitions(&self) -> Vec<CapabilityDefinition> {
        let by_id: BTreeMap<u32, &NamedCapability> =
            self.capabilities.iter().map(|capability| (capability.id, capability)).collect();
        let definition = |capability: &NamedCapability| CapabilityDefinition {
            id: capability.id,
            default: capability.default,
            rules: capability.table.rules.clone(),
        };
        by_id.into_values().map(definition).collect()
    }

    /// Returns the tags as a network has them: ascending by id, without names.
    pub fn tag_definitions(&self) -> Vec<TagDefinition> {
        let by_id: BTreeMap<u32, Option<u32>> = self.tags.iter().map(|tag| (tag.id, tag.default)).collect();
        by_id.into_iter().map(|(id, default)| TagDefinition { id, default }).collect()
    }

    /// Returns name and id of each capability, in the order of their definition: `capabilitiesByName`.
    pub fn capability_names(&self) -> Vec<(String, u32)> {
        self.capabilities.iter().map(|capability| (capability.name.clone(), capability.id)).collect()
    }

    /// Returns all tables: that of the network, then those of the capabilities.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.base).chain(self.capabilities.iter().map(|capability| &capability.table))
    }

    /// Returns the table of the network (`None`) or of a capability.
    pub fn table(&self, capability: Option<u32>) -> Option<&Table> {
        match capability {
            None => Some(&self.base),
            Some(id) => {
                let capability = self.capabilities.iter().find(|capability| capability.id == id)?;
                Some(&capability.table)
            }
        }
    }
}

impl NamedTag {
    /// Returns the value of a name in lower case: a flag, or else an enum.
    pub fn value(&self, name: &str) -> Option<u32> {
        let names = self.flags.iter().chain(&self.enums);
        names.clone().find(|(known, _)| known == name).map(|&(_, value)| value)
    }
}

/// A macro that can be included.
struct Definition<'t> {
    tree: &'t Macro<'t>,
    parameters: Vec<String>,
    /// Words in the body, which an include brings in.
    words: usize,
    is_used: bool,
}

struct Compiler<'t> {
    sink: Sink,
    tags: BTreeMap<String, NamedTag>,
    used_tags: BTreeSet<String>,
    macros: BTreeMap<String, Definition<'t>>,
    expanded_words: usize,
}

impl<'t> Compiler<'t> {
    fn new(sink: Sink) -> Self {
        let (tags, macros) = (BTreeMap::new(), BTreeMap::new());
        Self { sink, tags, used_tags: BTreeSet::new(), macros, expanded_words: 0 }
    }

    fn source(&mut self, tree: &'t Source<'t>) -> Compiled {
        let mut compiled = Compiled::default();
        if tree.items.len() > MAX_DEFINITIONS {
            let message =
                format!("the source has {} parts, expected at most {MAX_DEFINITIONS}", tree.items.len());
            let nowhere = Word { text: "", span: Span::default() };
            self.error("too_many_definitions", nowhere, message);
            return compiled;
        }
        let mut capabilities = Vec::new();
        let mut capability_ids = BTreeSet::new();
        for item in &tree.items {
            match item {
                Item::Tag(tag) => compiled.tags.extend(self.tag(tag)),
                Item::Macro(definition) => self.define(definition),
                Item::Capability(capability) => {
                    let known: Vec<&str> = capabilities
                        .iter()
                        .map(|(known, _): &(NamedCapability, _)| known.name.as_str())
                        .collect();
                    if let Some(named) = self.capability_head(capability, &known, &mut capability_ids) {
                        capabilities.push((named, capability));
                    }
                }
                Item::Test(test) => compiled.tests.extend(scenario::read(test, &mut self.sink)),
                Item::Statement(_) => {}
            }
        }
        for (mut named, capability) in capabilities {
            let statements = capability.entries.iter().filter_map(|entry| match entry {
                CapabilityEntry::Statement(statement) => Some(statement),
                CapabilityEntry::Id { .. } | CapabilityEntry::Default(_) => None,
            });
            named.table = self.table(statements, MAX_CAPABILITY_RULES);
            compiled.capabilities.push(named);
        }
        let base = tree.items.iter().filter_map(|item| match item {
            Item::Statement(statement) => Some(statement),
            Item::Tag(_) | Item::Capability(_) | Item::Macro(_) | Item::Test(_) => None,
        });
        compiled.base = self.table(base, MAX_RULES);
        for definition in self.macros.values().filter(|definition| !definition.is_used) {
            if let Some(head) = &definition.tree.head {
                let message = format!("the macro {} is never included", head.name.text);
                let at = (head.name.text, head.name.span);
                self.sink.push(Diagnostic::new(Severity::Warning, "macro_unused", at, message));
            }
        }
        compiled
    }

    /// Takes a macro into the list of those that can be included.
    fn define(&mut self, tree: &'t Macro<'t>) {
        let Some(head) = &tree.head else { return };
        let known = self.macros.keys().map(String::as_str).collect::<Vec<_>>();
        let codes = ["macro_name_invalid", "macro_name_reserved", "macro_duplicate"];
        let problem = name_problem(head.name, &known, codes);
        if let Some(problem) = problem {
            self.sink.push(problem);
            return;
        }
        let mut parameters: Vec<String> = Vec::new();
        if head.values.len() > MAX_DEFINITIONS {
            let message = format!("expected at most {MAX_DEFINITIONS} parameters");
            self.error("macro_params_invalid", head.name, message);
            return;
        }
        for value in &head.values {
            let name = value.lower();
            if name.len() < 2 || !name.starts_with('$') || parameters.contains(&name) {
                let message = format!("expected a parameter like $port, each once, got {:?}", value.text);
                self.error("macro_params_invalid", *value, message);
            }
            parameters.push(name);
        }
        if head.is_malformed {
            let message = "expected NAME($a,$b) with nothing behind it".to_owned();
            self.error("macro_params_invalid", head.name, message);
        }
        let words = tree.body.iter().map(|statement| match statement {
            Statement::Action(action) => 1 + action.words.len(),
            Statement::Include(_) => 1,
        });
        let definition = Definition { tree, parameters, words: 1 + words.sum::<usize>(), is_used: false };
        self.macros.insert(head.name.lower(), definition);
    }

    /// Reads everything of a capability but its rules.
    fn capability_head(
        &mut self,
        tree: &Capability<'_>,
        known: &[&str],
        ids: &mut BTreeSet<u32>,
    ) -> Option<NamedCapability> {
        let name = tree.name?;
        let codes = ["cap_name_invalid", "cap_name_reserved", "cap_duplicate"];
        if let Some(problem) = name_problem(name, known, codes) {
            self.sink.push(problem);
        }
        let mut id = None;
        let mut has_id = false;
        let mut default = false;
        for entry in &tree.entries {
            match entry {
                CapabilityEntry::Default(_) => default = true,
                CapabilityEntry::Statement(_) => {}
                CapabilityEntry::Id { keyword, .. } if has_id => {
                    self.error("cap_id_repeated", *keyword, "a cap has one id".to_owned());
                }
                CapabilityEntry::Id { keyword, value } => {
                    has_id = true;
                    id = self.capability_id(*keyword, *value, tree.end, ids);
                }
            }
        }
        if !has_id {
            self.error("cap_id_absent", name, format!("the cap {} has no id", name.text));
        }
        Some(NamedCapability { name: name.lower(), id: id.unwrap_or(0), default, table: Table::default() })
    }

    fn capability_id(
        &mut self,
        keyword: Word<'_>,
        value: Option<Word<'_>>,
        end: Option<Span>,
        ids: &mut BTreeSet<u32>,
    ) -> Option<u32> {
        let expected = "expected a number from 0 to 4294967295 after id";
        let Some(value) = value else {
            // Nothing follows, or a word that begins something else.
            let is_last = end.is_none_or(|end| end.start <= keyword.span.end + 1);
            let code = if is_last { "cap_id_value_missing" } else { "cap_id_invalid" };
            self.error(code, keyword, expected.to_owned());
            return None;
        };
        let Some(id) = values::u32(value.text) else {
            self.error("cap_id_invalid", value, format!("{expected}, got {:?}", value.text));
            return None;
        };
        if !ids.insert(id) {
            self.error("cap_id_taken", value, format!("another cap has the id {id}"));
        }
        Some(id)
    }

    fn error(&mut self, code: &'static str, at: Word<'_>, message: String) {
        self.sink.push(Diagnostic::new(Severity::Error, code, (at.text, at.span), message));
    }
}

/// Checks the name of a definition: its form, whether it is reserved, whether it is taken; in this order.
fn name_problem(name: Word<'_>, known: &[&str], codes: [&'static str; 3]) -> Option<Diagnostic> {
    let [invalid, reserved, duplicate] = codes;
    let (code, message) = if !values::is_name(name.text) {
        (
            invalid,
            format!("expected a name of letters, digits and _, without a digit first, got {:?}", name.text),
        )
    } else if vocabulary::is_reserved(name.text) {
        (reserved, format!("{} is a word of the language and cannot be a name", name.text))
    } else if known.contains(&name.lower().as_str()) {
        (duplicate, format!("the name {} is defined twice", name.text))
    } else {
        return None;
    };
    Some(Diagnostic::new(Severity::Error, code, (name.text, name.span), message))
}
