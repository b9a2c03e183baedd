//! What the rules endpoints answer.

use ctl_core::Network;
use ctl_core::rules::evaluate::{Decider, Grade, Pass, Step};
use ctl_core::rules::explain::{SideExplanation, StepExplanation, TableExplanation};
use ctl_core::rules::impact::{self, Impact};
use ctl_core::rules::scenario::{CaseReport, Mismatch, TestReport, source_fits};
use ctl_core::rules::{Compiled, Diagnostic, Errors, Explanation, Severity, Span};
use serde_json::{Map, Value, json};

use super::rule_tables;
use crate::rule_tests::reason;
use crate::v2::problem::{MAX_ERRORS, cut, cut_sentence};

/// Most changed pairs that a dry run lists; the rest is only counted.
pub(crate) const MAX_LISTED_CHANGES: usize = 5_000;

/// In which text a test stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestText {
    /// Between the rules.
    Source,
    /// Apart from them.
    Tests,
    /// In one of the texts that are replaced, and in neither of the new ones.
    Stored,
}

impl TestText {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Tests => "tests",
            Self::Stored => "stored",
        }
    }
}

/// Renders what a source compiles to.
pub(crate) fn render_compilation(compiled: &Compiled) -> Map<String, Value> {
    let mut fields = rule_tables::render_compiled(compiled);
    fields.insert("warnings".to_owned(), render_warnings(&compiled.warnings).into());
    fields
}

/// Renders the rules of a network with source and tests.
pub(crate) fn render_network(network: &Network) -> Map<String, Value> {
    let fits = source_fits(network);
    let errors = fits.as_ref().err().map(|errors| render_errors(errors, "/source")).unwrap_or_default();
    let mut fields = rule_tables::render_network(network);
    fields.extend([
        ("id".to_owned(), network.id.to_string().into()),
        ("revision".to_owned(), network.revision.into()),
        ("source".to_owned(), network.rules_source.clone().into()),
        ("tests".to_owned(), network.rule_tests.clone().into()),
        ("testsRequired".to_owned(), network.rule_tests_required.into()),
        // A network without a source is of its own making.
        ("consistent".to_owned(), fits.is_ok_and(|fits| fits == Some(true)).into()),
        ("errors".to_owned(), errors.into()),
    ]);
    fields
}

pub(crate) fn render_warnings(warnings: &[Diagnostic]) -> Vec<Value> {
    let values = warnings.iter().map(|warning| render_diagnostic(warning, "message"));
    at_most_some(values, MAX_ERRORS, "message")
}

/// Renders the errors of a text that lies at `pointer` of the body; warnings are left out.
pub(crate) fn render_errors(errors: &Errors, pointer: &str) -> Vec<Value> {
    let errors = errors.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let render = |error: &Diagnostic| {
        let mut value = render_diagnostic(error, "detail");
        if let Value::Object(fields) = &mut value {
            fields.insert("pointer".to_owned(), pointer.into());
        }
        value
    };
    at_most_some(errors.map(render), MAX_ERRORS, "detail")
}

/// Takes the first values; the next then only says how many more there are, at its place.
fn at_most_some(mut values: impl Iterator<Item = Value>, max: usize, message: &str) -> Vec<Value> {
    let mut taken: Vec<_> = values.by_ref().take(max).collect();
    if let Some(mut next) = values.next() {
        let words = format!("and {} more", 1 + values.count());
        if let Value::Object(fields) = &mut next {
            fields.insert("text".to_owned(), "".into());
            fields.insert("suggestion".to_owned(), Value::Null);
            fields.insert(message.to_owned(), words.into());
        }
        taken.push(next);
    }
    taken
}

fn render_diagnostic(diagnostic: &Diagnostic, message: &str) -> Value {
    let Diagnostic { severity: _, code, span, text, message: words, suggestion, included_at } = diagnostic;
    json!({
        "line": span.line, "column": span.column, "text": cut(text), message: cut_sentence(words), "suggestion": suggestion,
        "code": code,
        "includedAt": included_at.map(|span| json!({ "line": span.line, "column": span.column })),
    })
}

/// Renders what came of tests.
pub fn render_tests(reports: &[(TestText, TestReport)]) -> Vec<Value> {
    let render = |(text, report): &(TestText, TestReport)| {
        json!({
            "name": report.name, "in": text.name(), "line": report.span.line, "column": report.span.column,
            "passed": report.passed(), "problem": report.problem.as_deref().map(cut_sentence), "cases": report.cases.iter().map(render_case).collect::<Vec<_>>(),
        })
    };
    reports.iter().map(render).collect()
}

fn render_case(case: &CaseReport) -> Value {
    let mismatches = case.mismatches.iter().map(|Mismatch { from, to, is_known, got, reason }| {
        json!({ "from": from, "to": to, "known": is_known, "got": got.to_string(), "reason": reason })
    });
    json!({
        "line": case.span.line, "column": case.span.column, "text": cut(&case.text), "passed": case.passed(),
        "problem": case.problem.as_deref().map(cut_sentence), "pairs": case.pairs, "mismatches": mismatches.collect::<Vec<_>>(), "mismatchCount": case.mismatch_count,
    })
}

/// Renders what fails, as errors of a problem: tests that could not be tried as a whole, and cases.
pub(crate) fn render_failures(reports: &[(TestText, TestReport)]) -> Vec<Value> {
    let failed = reports.iter().flat_map(|(text, report)| {
        let whole = report.problem.as_ref().map(|problem| (report.span, "", cut_sentence(problem)));
        let failed = report.cases.iter().filter(|case| !case.passed());
        let cases = failed.map(|case| (case.span, case.text.as_str(), reason(case)));
        whole.into_iter().chain(cases).map(move |failure| (*text, report, failure))
    });
    let render = |(text, report, (span, words, detail)): (TestText, &TestReport, (Span, &str, String))| {
        // What is stored does not lie in the body.
        let pointer = if text == TestText::Stored { String::new() } else { format!("/{}", text.name()) };
        json!({
            "pointer": pointer, "in": text.name(), "test": cut(&report.name), "line": span.line,
            "column": span.column, "text": cut(words), "detail": detail,
        })
    };
    at_most_some(failed.map(render), MAX_ERRORS, "detail")
}

/// Renders what a change does: `changes` and how much was looked at.
pub(crate) fn render_impact(impact: &Impact) -> Map<String, Value> {
    let changes = impact.changes.iter().take(MAX_LISTED_CHANGES);
    let changes = changes.map(|impact::Change { from, to, service, before, after }| {
        let (before, after) = (before.to_string(), after.to_string());
        json!({ "from": from, "to": to, "service": service, "before": before, "after": after })
    });
    Map::from_iter([
        ("changes".to_owned(), changes.collect()),
        ("changeCount".to_owned(), impact.changes.len().into()),
        ("compared".to_owned(), impact.compared.into()),
        ("cut".to_owned(), (impact.is_cut || impact.changes.len() > MAX_LISTED_CHANGES).into()),
    ])
}

/// Renders an explanation; `source` is the one that `compiled` comes from.
pub fn render_explanation(
    explanation: &Explanation,
    compiled: &Compiled,
    source: &str,
) -> Map<String, Value> {
    let copies = explanation.copies.iter().map(|(to, taken)| json!({ "to": to, "taken": taken }));
    let sides = explanation.sides.iter().map(|side| render_side(side, compiled, source));
    Map::from_iter([
        ("from".to_owned(), explanation.from.clone().into()),
        ("to".to_owned(), explanation.to.clone().into()),
        ("known".to_owned(), explanation.is_known.into()),
        ("outcome".to_owned(), explanation.fate.to_string().into()),
        ("sides".to_owned(), sides.collect()),
        ("copies".to_owned(), copies.collect()),
    ])
}

fn render_side(side: &SideExplanation, compiled: &Compiled, source: &str) -> Value {
    let result = match side.grade {
        Grade::Dropped => "drop",
        Grade::Accepted => "accept",
        Grade::SuperAccepted => "accept-copy",
    };
    let name = match side.pass {
        Pass::Group => "group",
        Pass::Sender => "sender",
        Pass::Receiver => "receiver",
    };
    json!({
        "side": name, "result": result, "decision": render_decision(side, compiled, source),
        "tables": side.tables.iter().map(render_table).collect::<Vec<_>>(),
    })
}

/// Renders the rule that decided, with its statement in the source if that is known.
fn render_decision(side: &SideExplanation, compiled: &Compiled, source: &str) -> Value {
    let Decider { capability, index } = side.by;
    let named = compiled.capabilities.iter().find(|named| Some(named.id) == capability);
    let origin = compiled.table(capability).and_then(|table| table.origins.get(index?));
    json!({
        "capability": named.map(|named| &named.name),
        "index": index,
        "text": side.decision,
        "line": origin.map(|origin| origin.statement.line),
        "column": origin.map(|origin| origin.statement.column),
        "source": origin.and_then(|origin| source.get(origin.statement.start..origin.statement.end)),
    })
}

fn render_table(table: &TableExplanation) -> Value {
    let steps = table.steps.iter().map(|StepExplanation { index, rule, origin, step }| {
        let result = match step {
            Step::Skipped => "skipped",
            Step::Matched { value: true, holds: _ } => "true",
            Step::Matched { value: false, holds: _ } => "false",
            Step::Passed => "not-taken",
            Step::Taken => "taken",
            Step::Forgiven => "forgiven",
        };
        let line = origin.map(|origin| origin.span.line);
        let column = origin.map(|origin| origin.span.column);
        json!({ "index": index, "rule": rule, "line": line, "column": column, "result": result })
    });
    json!({ "capability": table.capability, "steps": steps.collect::<Vec<_>>() })
}
