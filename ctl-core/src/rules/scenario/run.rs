//! Runs tests.

use std::collections::BTreeMap;
use std::fmt;

use zt_proto::Address;
use zt_proto::rules::{Rule, RuleBody};

use super::members::{RuleSet, World, WorldMember};
use super::read::{Case, Expectation, Fixture, Knowledge, Test};
use crate::rules::compile::Compiled;
use crate::rules::diagnostic::Span;
use crate::rules::evaluate::{self, Client, Decider, Delivery, Grade, SideOutcome, deliver};
use crate::rules::values;

/// First address of members that exist for tests only and have none: no node begins with these digits often.
const FIRST_FIXTURE: u64 = 0xee_0000_0000;
/// Most pairs of members that one case tries: it bounds `from any to any` in a large network.
const MAX_PAIRS: usize = 200_000;
/// Most mismatches that one case reports.
const MAX_MISMATCHES: usize = 20;

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    pub name: String,
    pub span: Span,
    pub cases: Vec<CaseReport>,
}

/// The result of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    pub span: Span,
    pub text: String,
    /// Why it could not be tried: no such member, for instance. That is a failure.
    pub problem: Option<String>,
    /// How many pairs of members were tried.
    pub pairs: usize,
    /// At most the first 20.
    pub mismatches: Vec<Mismatch>,
}

/// A pair of members for which something else came out than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub from: String,
    pub to: String,
    /// Whether the sender knew the receiver.
    pub is_known: bool,
    pub got: Fate,
    /// Which rule decided.
    pub reason: String,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Accepted,
    Dropped,
    Redirected(Address),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accept"),
            Self::Dropped => f.write_str("drop"),
            Self::Redirected(to) => write!(f, "redirect {to}"),
        }
    }
}

impl CaseReport {
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.mismatches.is_empty()
    }
}

impl TestReport {
    pub fn passed(&self) -> bool {
        self.cases.iter().all(CaseReport::passed)
    }
}

impl fmt::Display for TestReport {
    /// One line if it passed, else one for each failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", if self.passed() { "ok    " } else { "FAILED" }, self.name)?;
        for case in self.cases.iter().filter(|case| !case.passed()) {
            write!(f, "\n  {}:{}: {}", case.span.line, case.span.column, case.text)?;
            if let Some(problem) = &case.problem {
                write!(f, "\n    {problem}")?;
            }
            for Mismatch { from, to, is_known, got, reason } in &case.mismatches {
                let when = if *is_known { "once they know each other" } else { "at first contact" };
                write!(f, "\n    {from} to {to}, {when}: {got}, {reason}")?;
            }
        }
        Ok(())
    }
}

/// Runs tests against rules, with the members of a network and those that the tests bring themselves.
pub fn run(tests: &[Test], rules: &RuleSet, members: &[WorldMember]) -> Vec<TestReport> {
    let mut everybody = members.to_vec();
    let mut reports = Vec::new();
    for test in tests {
        let mut problem = None;
        for fixture in &test.fixtures {
            match bring(fixture, rules, &everybody) {
                Ok(member) => everybody.push(member),
                Err(message) => problem = Some(message),
            }
        }
        let world = World::new(rules, &everybody);
        let network_members = world.members();
        let network = world.network(&network_members);
        let cases = test.cases.iter().map(|case| {
            let mut report = CaseReport {
                span: case.span,
                text: case.text.clone(),
                problem: problem.clone(),
                pairs: 0,
                mismatches: Vec::new(),
            };
            if report.problem.is_none() {
                report.problem = try_case(case, rules, &everybody, &network, &mut report).err();
            }
            report
        });
        reports.push(TestReport { name: test.name.clone(), span: test.span, cases: cases.collect() });
    }
    reports
}

/// Makes a member of a fixture.
fn bring(fixture: &Fixture, rules: &RuleSet, everybody: &[WorldMember]) -> Result<WorldMember, String> {
    let Fixture { name, address, addresses, tags, capabilities } = fixture;
    if everybody.iter().any(|member| member.name.as_ref() == Some(name)) {
        return Err(format!("there is a member {name} already"));
    }
    let is_free = |address: &Address| everybody.iter().all(|member| member.address != *address);
    let next = (FIRST_FIXTURE..).map(Address::from_low_bits).find(is_free).unwrap_or_default();
    let address = address.unwrap_or(next);
    if !is_free(&address) {
        return Err(format!("there is a member {address} already"));
    }
    let mut own = BTreeMap::new();
    for (tag, value) in tags {
        let named = rules.compiled.tags.iter().find(|known| known.name == *tag);
        let id = named.map(|named| named.id).or_else(|| values::u32(tag));
        let id = id.ok_or_else(|| format!("there is no tag {tag}"))?;
        let number = named.and_then(|named| named.value(value)).or_else(|| values::u32(value));
        own.insert(id, number.ok_or_else(|| format!("the tag {tag} has no value {value}"))?);
    }
    let ids = capabilities.iter().map(|name| {
        let named = rules.compiled.capabilities.iter().find(|known| known.name == *name);
        let id = named.map(|named| named.id).or_else(|| values::u32(name));
        id.ok_or_else(|| format!("there is no capability {name}"))
    });
    Ok(WorldMember {
        address,
        name: Some(name.clone()),
        addresses: addresses.clone(),
        tags: own,
        capabilities: ids.collect::<Result<_, _>>()?,
        client: Client::default(),
    })
}

/// Tries all pairs of a case.
fn try_case(
    case: &Case,
    rules: &RuleSet,
    everybody: &[WorldMember],
    network: &evaluate::Network<'_>,
    report: &mut CaseReport,
) -> Result<(), String> {
    let senders = case.from.find(rules, everybody)?;
    let receivers = case.to.find(rules, everybody)?;
    let target = match &case.expect {
        Expectation::Redirect(target) | Expectation::Copy(target) => {
            let found = target.find(rules, everybody)?;
            Some(found.iter().map(|member| member.address).collect::<Vec<_>>())
        }
        Expectation::Accept | Expectation::Drop => None,
    };
    let target = target.unwrap_or_default();
    for sender in &senders {
        for receiver in receivers.iter().filter(|receiver| receiver.address != sender.address) {
            report.pairs += 1;
            if report.pairs > MAX_PAIRS {
                return Err(format!("over {MAX_PAIRS} pairs of members, name fewer"));
            }
            let built = case.packet.build(
                rules.network,
                (sender.address, &sender.addresses),
                (receiver.address, &receiver.addresses),
            );
            for &is_known in known(case.knowledge) {
                for draw in draws(&rules.compiled) {
                    let to = built.destination(receiver.address);
                    let delivery = deliver(
                        network,
                        sender.address,
                        to,
                        is_known,
                        &built.frame(),
                        &mut || *draw,
                        &mut (),
                    );
                    let Some(delivery) = delivery else { continue };
                    if !fulfils(&case.expect, &delivery, &target) && report.mismatches.len() < MAX_MISMATCHES
                    {
                        report.mismatches.push(Mismatch {
                            from: sender.title(),
                            to: receiver.title(),
                            is_known,
                            got: fate_of(&delivery),
                            reason: reason(&delivery, &rules.compiled),
                        });
                    }
                }
            }
        }
    }
    if report.pairs == 0 {
        return Err("no two members to try it with".to_owned());
    }
    Ok(())
}

fn known(knowledge: Knowledge) -> &'static [bool] {
    match knowledge {
        Knowledge::Either => &[false, true],
        Knowledge::First => &[false],
        Knowledge::Known => &[true],
    }
}

/// Returns the random numbers to try: both extremes where they matter, as a test must not depend on luck.
pub(crate) fn draws(compiled: &Compiled) -> &'static [u32] {
    let is_random = |rule: &Rule| matches!(rule.body, RuleBody::Random(_));
    let tables = compiled.capabilities.iter().map(|capability| &capability.table);
    let mut rules = std::iter::once(&compiled.base).chain(tables).flat_map(|table| &table.rules);
    if rules.any(is_random) { &[0, u32::MAX] } else { &[0] }
}

fn fulfils(expect: &Expectation, delivery: &Delivery, target: &[Address]) -> bool {
    match (expect, fate_of(delivery)) {
        (Expectation::Accept, fate) => fate == Fate::Accepted,
        (Expectation::Drop, fate) => fate == Fate::Dropped,
        (Expectation::Redirect(_), Fate::Redirected(to)) => target.contains(&to),
        (Expectation::Redirect(_), Fate::Accepted | Fate::Dropped) => false,
        (Expectation::Copy(_), _) => {
            delivery.copies.iter().any(|copy| copy.taken && target.contains(&copy.sent.to))
        }
    }
}

/// Returns what becomes of a packet for which it was meant.
pub fn fate_of(delivery: &Delivery) -> Fate {
    if delivery.delivered {
        return Fate::Accepted;
    }
    let redirected = delivery.copies.iter().find(|copy| copy.sent.is_redirect());
    redirected.map_or(Fate::Dropped, |copy| Fate::Redirected(copy.sent.to))
}

/// Says which rule decided, and on which side.
fn reason(delivery: &Delivery, compiled: &Compiled) -> String {
    let (side, outcome) = last(delivery);
    outcome.map_or_else(
        || "not evaluated".to_owned(),
        |outcome| format!("decided at the {side} by {}", describe(outcome.by, compiled)),
    )
}

/// Returns the side that had the last word.
fn last(delivery: &Delivery) -> (&'static str, Option<SideOutcome>) {
    let stopped =
        |outcome: &Option<SideOutcome>| outcome.is_some_and(|outcome| outcome.grade == Grade::Dropped);
    if delivery.receiver.is_some() && !stopped(&delivery.sender) {
        ("receiver", delivery.receiver)
    } else if delivery.sender.is_some() {
        ("sender", delivery.sender)
    } else {
        ("sender of the multicast", delivery.group)
    }
}

/// Names a rule: its table, its index in it, and its line if the source is known.
pub fn describe(by: Decider, compiled: &Compiled) -> String {
    let table = match by.capability {
        None => "rules".to_owned(),
        Some(id) => {
            let named = compiled.capabilities.iter().find(|capability| capability.id == id);
            format!("capability {}", named.map_or_else(|| id.to_string(), |named| named.name.clone()))
        }
    };
    let Some(index) = by.index else { return format!("the end of the {table}") };
    let origin = compiled.table(by.capability).and_then(|table| table.origins.get(index));
    match origin {
        Some(origin) => format!("{table}[{index}], line {}", origin.span.line),
        None => format!("{table}[{index}]"),
    }
}
