//! Warnings for what compiles but hardly means what its author thinks (`rules-language.md` §20).

use std::collections::BTreeSet;

use zt_proto::rules::{Rule, RuleBody};

use super::{Compiled, NamedTag, Origin, Table};
use crate::rules::ast::{Action, CapabilityEntry, Item, Source, Statement, Word};
use crate::rules::diagnostic::{Diagnostic, Severity, Sink, Span};

/// Looks at a source that compiles.
pub(super) fn check(tree: &Source<'_>, compiled: &Compiled, used_tags: &BTreeSet<String>, sink: &mut Sink) {
    for item in &tree.items {
        match item {
            Item::Tag(tag) => {
                let named = tag.name.and_then(|name| named_tag(compiled, name));
                if let (Some(name), Some(named)) = (tag.name, named) {
                    check_tag(name, named, used_tags, sink);
                }
            }
            Item::Capability(capability) => {
                let named = capability.name.map(|name| name.lower());
                let named = compiled.capabilities.iter().find(|known| Some(&known.name) == named.as_ref());
                let accepts = |rule: &Rule| matches!(rule.body, RuleBody::Accept | RuleBody::Redirect { .. });
                if let (Some(name), Some(named)) = (capability.name, named)
                    && !named.table.rules.iter().any(accepts)
                {
                    let message = format!("the cap {} accepts nothing, so it permits nothing", name.text);
                    warn(sink, "cap_unused", (name.text, name.span), message);
                }
            }
            Item::Macro(_) | Item::Statement(_) | Item::Test(_) => {}
        }
    }
    compiled.tables().for_each(|table| check_table(table, sink));
    if !compiled.base.rules.iter().any(|rule| rule.body.is_action()) {
        let start = Span { start: 0, end: 0, line: 1, column: 1 };
        let message = "there is no rule for the network, so everything is dropped, unless a capability accepts it; a \
                       last accept; or drop; would say so";
        warn(sink, "table_empty", ("", start), message.to_owned());
    }
    if let Some(last) = open_end(&compiled.base) {
        let message = "what no rule matches is dropped here, unless a capability accepts it; a last accept; or drop; \
                       would say so";
        warn(sink, "table_ends_open", ("", last), message.to_owned());
    }
    check_other_readers(tree, sink);
}

fn named_tag<'c>(compiled: &'c Compiled, name: Word<'_>) -> Option<&'c NamedTag> {
    let name = name.lower();
    compiled.tags.iter().find(|tag| tag.name == name)
}

fn check_tag(name: Word<'_>, tag: &NamedTag, used_tags: &BTreeSet<String>, sink: &mut Sink) {
    let at = (name.text, name.span);
    if !used_tags.contains(&tag.name) {
        warn(sink, "tag_unused", at, format!("no rule asks for the tag {}", name.text));
    } else if tag.default.is_none() {
        let message = format!(
            "the tag {} has no default: a member without it never matches, not even where the match is negated",
            name.text
        );
        warn(sink, "tag_without_default", at, message);
    }
}

/// A set: the matches before an action, and the action.
struct Set<'t> {
    matches: &'t [Rule],
    action: &'t RuleBody,
    origins: &'t [Origin],
}

impl Set<'_> {
    /// Says whether a frame that matches goes no further in this table.
    fn is_final(&self) -> bool {
        matches!(self.action, RuleBody::Drop | RuleBody::Accept | RuleBody::Break)
    }

    /// Returns the place of the action, and its include.
    fn place(&self) -> Option<Origin> {
        self.origins.last().copied()
    }
}

fn sets(table: &Table) -> Vec<Set<'_>> {
    let mut sets = Vec::new();
    let mut start = 0;
    for (index, rule) in table.rules.iter().enumerate().filter(|(_, rule)| rule.body.is_action()) {
        let matches = table.rules.get(start..index).unwrap_or_default();
        let origins = table.origins.get(start..=index).unwrap_or_default();
        sets.push(Set { matches, action: &rule.body, origins });
        start = index + 1;
    }
    sets
}

fn check_table(table: &Table, sink: &mut Sink) {
    let mut closed: Option<Origin> = None;
    let mut seen: Vec<(&[Rule], Origin)> = Vec::new();
    for set in sets(table) {
        let Some(place) = set.place() else { continue };
        let is_random = set.matches.iter().any(|rule| matches!(rule.body, RuleBody::Random(_)));
        let same = seen.iter().find(|(matches, _)| *matches == set.matches).map(|&(_, origin)| origin);
        if let Some(before) = closed.or(same) {
            let line = before.statement.line;
            let message = format!("never reached: line {line} decides about everything that gets here");
            let diagnostic =
                Diagnostic::new(Severity::Warning, "unreachable", ("", place.statement), message);
            sink.push(Diagnostic { included_at: place.included_at, ..diagnostic });
        } else if set.is_final() && !is_random {
            if set.matches.is_empty() {
                closed = Some(place);
            }
            seen.push((set.matches, place));
        }
        check_set(&set, sink);
    }
}

fn check_set(set: &Set<'_>, sink: &mut Sink) {
    let mut has_protocol = false;
    let mut port_follows = false;
    for (rule, origin) in set.matches.iter().zip(set.origins) {
        let body = &rule.body;
        let message = if matches!(body, RuleBody::IpProtocol(_)) {
            has_protocol = true;
            None
        } else if is_port(body) {
            let is_loose = rule.or && port_follows;
            port_follows = has_protocol;
            is_loose.then_some((
                "or_after_protocol",
                "this port counts for every protocol, as what stands before an or need not hold; write the ports \
                 first, then the protocol",
            ))
        } else if rule.not && matches!(body, RuleBody::Icmp { code: None, .. }) {
            Some((
                "not_icmp_any",
                "clients since 1.14 ignore this not, as no code is given; list what is meant instead",
            ))
        } else if matches!(body, RuleBody::VlanId(_) | RuleBody::VlanPcp(_) | RuleBody::VlanDei(_)) {
            Some(("vlan_no_effect", "frames carry no VLAN tag through a network, so this compares with 0"))
        } else if rule.not && *set.action == RuleBody::Break && needs_receiver(body) {
            Some((
                "break_not_tag",
                "before two members know each other this breaks, multicast and ARP included; use drop, or accept \
                 them before",
            ))
        } else {
            None
        };
        if let Some((code, message)) = message {
            let diagnostic = Diagnostic::new(Severity::Warning, code, ("", origin.span), message.to_owned());
            sink.push(Diagnostic { included_at: origin.included_at, ..diagnostic });
        }
    }
}

fn is_port(body: &RuleBody) -> bool {
    matches!(body, RuleBody::IpSourcePortRange { .. } | RuleBody::IpDestPortRange { .. })
}

/// Says whether a match asks for a tag that a sender may not know yet.
fn needs_receiver(body: &RuleBody) -> bool {
    matches!(
        body,
        RuleBody::TagsDifference(_)
            | RuleBody::TagsBitwiseAnd(_)
            | RuleBody::TagsBitwiseOr(_)
            | RuleBody::TagsBitwiseXor(_)
            | RuleBody::TagsEqual(_)
            | RuleBody::TagReceiver(_)
    )
}

/// Returns the last statement of a table if it does not decide about everything.
fn open_end(table: &Table) -> Option<Span> {
    let sets = sets(table);
    let last = sets.last()?;
    let is_closed = sets.iter().any(|set| set.is_final() && set.matches.is_empty());
    if is_closed { None } else { last.place().map(|origin| origin.statement) }
}

/// Warns where other rule editors, which have the original compiler, read something else (`rules-language.md` §2).
fn check_other_readers(tree: &Source<'_>, sink: &mut Sink) {
    let base: Vec<_> = tree.items.iter().filter(|item| !matches!(item, Item::Test(_))).collect();
    for (index, item) in base.iter().enumerate() {
        match item {
            Item::Statement(statement) => check_bare(statement, index + 1 == base.len(), false, sink),
            Item::Capability(capability) => {
                for (index, entry) in capability.entries.iter().enumerate() {
                    if let CapabilityEntry::Statement(statement) = entry {
                        check_bare(statement, index + 1 == capability.entries.len(), true, sink);
                    }
                }
            }
            Item::Macro(definition) => {
                for (index, statement) in definition.body.iter().enumerate() {
                    check_bare(statement, index + 1 == definition.body.len(), true, sink);
                }
            }
            Item::Tag(_) | Item::Test(_) => {}
        }
    }
}

fn check_bare(statement: &Statement<'_>, is_last: bool, is_inside: bool, sink: &mut Sink) {
    let (word, differs) = match statement {
        Statement::Action(Action { words, keyword, .. }) => (keyword, words.is_empty() && !is_last),
        Statement::Include(include) => (&include.keyword, is_inside && include.end.is_some() && !is_last),
    };
    if differs {
        let message = "other rule editors take the ; here for the end of something else and read what follows \
                       differently";
        warn(sink, "reads_differently", (word.text, word.span), message.to_owned());
    }
}

fn warn(sink: &mut Sink, code: &'static str, at: (&str, Span), message: String) {
    sink.push(Diagnostic::new(Severity::Warning, code, at, message));
}
