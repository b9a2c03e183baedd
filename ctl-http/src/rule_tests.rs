//! Tests of flow rules: which of them a change is judged by, and what is said when they fail.
//!
//! A network that requires its tests is protected by those that are **stored**: a change of rules cannot bring softer
//! ones along, nor lift the requirement in passing.

use ctl_core::rules::scenario::{self, CaseReport, Mismatch, RuleSet, TestReport, WorldMember, parse_tests};
use ctl_core::rules::{Errors, Span, Test, compile};
use ctl_core::{Member, Network};

use crate::error::ApiError;
use crate::v2::problem::{cut, cut_sentence};
use crate::view::rules_language::TestText;

pub(crate) type Reports = Vec<(TestText, TestReport)>;

/// The tests of a network, from both texts. Members that a text brings exist for its own tests.
pub(crate) struct Tests {
    pub(crate) of_source: Vec<Test>,
    pub(crate) apart: Vec<Test>,
}

impl Tests {
    /// Takes those of a network; a source that does not compile has none.
    ///
    /// # Errors
    /// If the tests apart from the source cannot be read.
    pub(crate) fn of(network: &Network) -> Result<Self, Errors> {
        let of_source = compile(&network.rules_source).map(|compiled| compiled.tests).unwrap_or_default();
        Ok(Self { of_source, apart: parse_tests(&network.rule_tests)? })
    }

    pub(crate) fn run(&self, rules: &RuleSet, members: &[WorldMember]) -> Reports {
        let texts = [(TestText::Source, &self.of_source), (TestText::Tests, &self.apart)];
        texts.into_iter().flat_map(|(text, tests)| run(text, tests, rules, members)).collect()
    }
}

fn run(
    text: TestText,
    tests: &[Test],
    rules: &RuleSet,
    members: &[WorldMember],
) -> impl Iterator<Item = (TestText, TestReport)> {
    scenario::run(tests, rules, members).into_iter().map(move |report| (text, report))
}

/// What tests say about a change.
pub(crate) struct Verdict {
    pub(crate) reports: Reports,
    /// Whether tests fail that must pass.
    pub(crate) is_refused: bool,
}

/// Runs the tests that judge a change: those of `after`, and if `before` requires its tests and the rules change, those
/// of `before` too. `rules` are those of `after`.
///
/// It may take seconds, so it does not belong into a write transaction.
///
/// # Errors
/// If tests of `before` cannot be read.
pub(crate) fn judge(
    before: &Network,
    after: &Network,
    rules: &RuleSet,
    tests: &Tests,
    members: &[Member],
) -> Result<Verdict, Errors> {
    let members = after.rule_members(members);
    let mut reports = tests.run(rules, &members);
    let is_held = before.rule_tests_required && changes_rules(before, after);
    if is_held {
        let stored = Tests::of(before)?;
        for (stored, new) in [(&stored.of_source, &tests.of_source), (&stored.apart, &tests.apart)] {
            if placeless(stored) != placeless(new) {
                reports.extend(run(TestText::Stored, stored, rules, &members));
            }
        }
    }
    let is_required = is_held || after.rule_tests_required;
    let is_refused = is_required && reports.iter().any(|(_, report)| !report.passed());
    Ok(Verdict { reports, is_refused })
}

/// Says whether a change that did not come as a source must be looked at by [`check`].
pub(crate) fn concerns(before: &Network, after: &Network) -> bool {
    before.rule_tests_required && (changes_rules(before, after) || before.rules_source != after.rules_source)
}

/// Checks a change that did not come as a source, for a network that requires its tests.
///
/// # Errors
/// If tests fail, or would be lost with the source that they stand in.
pub(crate) fn check(before: &Network, after: &Network, members: &[Member]) -> Result<(), ApiError> {
    keeps_tests(before, after)?;
    if !changes_rules(before, after) {
        return Ok(());
    }
    let unreadable =
        |errors: Errors| ApiError::RuleTests(format!("they cannot be read: {}", cut(&errors.to_string())));
    let tests = Tests::of(after).map_err(unreadable)?;
    let (rules, _) = after.rule_set();
    let verdict = judge(before, after, &rules, &tests, members).map_err(unreadable)?;
    if verdict.is_refused { Err(ApiError::RuleTests(describe_failures(&verdict.reports))) } else { Ok(()) }
}

fn changes_rules(before: &Network, after: &Network) -> bool {
    before.rules != after.rules || before.capabilities != after.capabilities || before.tags != after.tags
}

/// Checks that a new source has every test that the stored one has.
fn keeps_tests(before: &Network, after: &Network) -> Result<(), ApiError> {
    if before.rules_source == after.rules_source {
        return Ok(());
    }
    let stored = compile(&before.rules_source).map(|compiled| compiled.tests).unwrap_or_default();
    if stored.is_empty() {
        return Ok(());
    }
    let new = compile(&after.rules_source).map_err(|errors| {
        let first = errors.0.first().map(ToString::to_string).unwrap_or_default();
        ApiError::RuleTestsLost(format!("does not compile: {}", cut(&first)))
    })?;
    let new = placeless(&new.tests);
    match placeless(&stored).into_iter().find(|test| !new.contains(test)) {
        None => Ok(()),
        Some(lost) => {
            Err(ApiError::RuleTestsLost(format!("has no test {:?} or another one", cut(&lost.name))))
        }
    }
}

/// Returns tests without what their layout decides.
fn placeless(tests: &[Test]) -> Vec<Test> {
    let mut tests = tests.to_vec();
    for test in &mut tests {
        test.span = Span::default();
        for case in &mut test.cases {
            case.span = Span::default();
            case.text.clear();
        }
    }
    tests
}

/// Says why a case failed, by its first pair.
pub(crate) fn reason(case: &CaseReport) -> String {
    let first = case.mismatches.first();
    let first =
        first.map(|Mismatch { from, to, got, reason, .. }| format!("{from} to {to}: {got}, {reason}"));
    cut_sentence(&case.problem.clone().or(first).unwrap_or_default())
}

/// Names the first case that fails with its reason, and then further tests; empty if none fails.
pub(crate) fn describe_failures(reports: &Reports) -> String {
    /// How many tests are named after the first.
    const MAX_NAMED: usize = 5;
    let name = |(text, report): &(TestText, TestReport)| {
        let span = report.span;
        format!("{:?} ({} {}:{})", cut(&report.name), text.name(), span.line, span.column)
    };
    let failed: Vec<_> = reports.iter().filter(|(_, report)| !report.passed()).collect();
    let Some((first, others)) = failed.split_first() else { return String::new() };
    let case = first.1.cases.iter().find(|case| !case.passed());
    let case = case.map(|case| format!(": {}: {}", cut(&case.text), reason(case)));
    let whole = first.1.problem.as_deref().map(|problem| format!(": {}", cut_sentence(problem)));
    let mut parts = vec![format!("{}{}", name(first), whole.or(case).unwrap_or_default())];
    parts.extend(others.iter().take(MAX_NAMED).map(|report| name(report)));
    if let Some(more) = others.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}
