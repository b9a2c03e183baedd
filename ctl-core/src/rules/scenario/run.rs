//! Runs tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zt_proto::Address;
use zt_proto::rules::{Rule, RuleBody};

use super::budget::{Budget, MAX_FIXTURE_ADDRESSES, MAX_FIXTURES, MAX_TEST_STEPS, search, shortened};
use super::members::{RuleSet, Selector, World, WorldMember};
use super::read::{Case, Expectation, Fixture, Knowledge, Test};
use crate::rules::compile::{Compiled, NamedTag};
use crate::rules::diagnostic::Span;
use crate::rules::evaluate::{self, Client, Decider, Delivery, Grade, SideOutcome, deliver};
use crate::rules::values;

/// First address of members that exist for tests only and have none: no node begins with these digits often.
const FIRST_FIXTURE: u64 = 0xee_0000_0000;
/// Most mismatches that a test reports, but each case that fails reports its first one.
const MAX_MISMATCHES: usize = 20;

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    pub name: String,
    pub span: Span,
    /// Why it could not be tried as a whole, or tests nothing. That is a failure.
    pub problem: Option<String>,
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
    /// The first ones, at most 20 of a test; a case that fails has one at least.
    pub mismatches: Vec<Mismatch>,
    /// How many there are.
    pub mismatch_count: usize,
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
    fn new(case: &Case, problem: Option<String>) -> Self {
        let (span, text) = (case.span, case.text.clone());
        Self { span, text, problem, pairs: 0, mismatches: Vec::new(), mismatch_count: 0 }
    }

    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.mismatch_count == 0
    }
}

impl TestReport {
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.cases.iter().all(CaseReport::passed)
    }
}

impl fmt::Display for TestReport {
    /// One line if it passed, else one for each failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", if self.passed() { "ok    " } else { "FAILED" }, self.name)?;
        if let Some(problem) = &self.problem {
            return write!(f, "\n  {}:{}: {problem}", self.span.line, self.span.column);
        }
        for case in self.cases.iter().filter(|case| !case.passed()) {
            write!(f, "\n  {}:{}: {}", case.span.line, case.span.column, case.text)?;
            if let Some(problem) = &case.problem {
                write!(f, "\n    {problem}")?;
            }
            for Mismatch { from, to, is_known, got, reason } in &case.mismatches {
                let when = if *is_known { "once they know each other" } else { "at first contact" };
                write!(f, "\n    {from} to {to}, {when}: {got}, {reason}")?;
            }
            let unlisted = case.mismatch_count.saturating_sub(case.mismatches.len());
            if unlisted > 0 {
                write!(f, "\n    and {unlisted} more")?;
            }
        }
        Ok(())
    }
}

/// Runs tests against rules, with the members of a network and those that the tests bring themselves.
///
/// All of it takes at most about [`MAX_TEST_STEPS`]; a case for which not enough of them are left fails and says so.
pub fn run(tests: &[Test], rules: &RuleSet, members: &[WorldMember]) -> Vec<TestReport> {
    let mut budget = Budget::new(MAX_TEST_STEPS);
    let mut troupe = Troupe::new(rules, members, &mut budget);
    let reports: Vec<_> = tests.iter().map(|test| troupe.bring_all(test)).collect();
    let everybody = troupe.everybody;
    if tests.is_empty() || !budget.take(World::steps_to_make(rules, everybody.len())) {
        let finish = |(test, (_, mut report)): (&Test, (usize, TestReport))| {
            let problem = report.problem.get_or_insert_with(exhausted);
            report.cases =
                test.cases.iter().map(|case| CaseReport::new(case, Some(problem.clone()))).collect();
            report
        };
        return tests.iter().zip(reports).map(finish).collect();
    }
    // One world for all tests: members of later tests are in it, but no selector finds them yet.
    let world = World::new(rules, &everybody);
    let network_members = world.members();
    let mut stage = Stage {
        rules,
        world: &world,
        network: world.network(&network_members),
        draws: draws(&rules.compiled),
        budget,
        mismatches_left: 0,
    };
    let finish = |(test, (present, mut report)): (&Test, (usize, TestReport))| {
        stage.mismatches_left = MAX_MISMATCHES;
        let present = everybody.get(..present).unwrap_or(&everybody);
        report.cases = test.cases.iter().map(|case| stage.report(case, present, &report.problem)).collect();
        if report.cases.is_empty() {
            report.problem.get_or_insert_with(|| "there is no case in it, so it tests nothing".to_owned());
        }
        report
    };
    tests.iter().zip(reports).map(finish).collect()
}

fn exhausted() -> String {
    format!(
        "the tests of this text take over {MAX_TEST_STEPS} steps (pairs of members × rules); name fewer members, or \
         write fewer cases"
    )
}

/// Members of the network, and those that tests have brought so far.
struct Troupe<'r> {
    tags: BTreeMap<&'r str, &'r NamedTag>,
    capabilities: BTreeMap<&'r str, u32>,
    defaults: Vec<u32>,
    everybody: Vec<WorldMember>,
    names: BTreeSet<String>,
    taken: BTreeSet<Address>,
    /// Below this, every address from [`FIRST_FIXTURE`] on is taken.
    next: u64,
    brought: usize,
    budget: &'r mut Budget,
}

impl<'r> Troupe<'r> {
    fn new(rules: &'r RuleSet, members: &[WorldMember], budget: &'r mut Budget) -> Self {
        // Backwards, as the first of several of the same name counts.
        let tags = rules.compiled.tags.iter().rev().map(|tag| (tag.name.as_str(), tag));
        let capabilities = rules.compiled.capabilities.iter().rev();
        let defaults = rules.compiled.capabilities.iter().filter(|capability| capability.default);
        Self {
            tags: tags.collect(),
            capabilities: capabilities.map(|capability| (capability.name.as_str(), capability.id)).collect(),
            defaults: defaults.map(|capability| capability.id).collect(),
            everybody: members.to_vec(),
            names: members.iter().filter_map(|member| member.name.clone()).collect(),
            taken: members.iter().map(|member| member.address).collect(),
            next: FIRST_FIXTURE,
            brought: 0,
            budget,
        }
    }

    /// Brings the members of a test; returns how many there are then, and the report so far.
    fn bring_all(&mut self, test: &Test) -> (usize, TestReport) {
        let mut problem = None;
        for fixture in &test.fixtures {
            if let Err(message) = self.bring(fixture) {
                problem.get_or_insert(message);
            }
        }
        let report = TestReport { name: test.name.clone(), span: test.span, problem, cases: Vec::new() };
        (self.everybody.len(), report)
    }

    /// Makes a member of a fixture.
    fn bring(&mut self, fixture: &Fixture) -> Result<(), String> {
        let Fixture { name, address, addresses, tags, capabilities } = fixture;
        if self.brought >= MAX_FIXTURES {
            return Err(format!("the tests of this text bring over {MAX_FIXTURES} members"));
        }
        if addresses.len() > MAX_FIXTURE_ADDRESSES {
            let name = shortened(name);
            return Err(format!("the member {name} has over {MAX_FIXTURE_ADDRESSES} IP addresses"));
        }
        if self.names.contains(name) {
            return Err(format!("there is a member {} already", shortened(name)));
        }
        let address = address.unwrap_or_else(|| self.free_address());
        if self.taken.contains(&address) {
            return Err(format!("there is a member {address} already"));
        }
        let mut own = BTreeMap::new();
        for (tag, value) in tags {
            let (id, number) = self.tag(tag, value)?;
            own.insert(id, number);
        }
        let capabilities = if capabilities.is_empty() {
            if !self.budget.take(search(self.defaults.len())) {
                return Err(exhausted());
            }
            self.defaults.clone()
        } else {
            let ids = capabilities.iter().map(|name| {
                let id = self.capabilities.get(name.as_str()).copied().or_else(|| values::u32(name));
                id.ok_or_else(|| format!("there is no capability {}", shortened(name)))
            });
            ids.collect::<Result<_, _>>()?
        };
        self.names.insert(name.clone());
        self.taken.insert(address);
        self.brought += 1;
        self.everybody.push(WorldMember {
            address,
            name: Some(name.clone()),
            addresses: addresses.clone(),
            tags: own,
            capabilities,
            client: Client::default(),
        });
        Ok(())
    }

    fn free_address(&mut self) -> Address {
        while self.taken.contains(&Address::from_low_bits(self.next)) {
            self.next += 1;
        }
        Address::from_low_bits(self.next)
    }

    /// Returns id and number of `TAG=VALUE`.
    fn tag(&mut self, tag: &str, value: &str) -> Result<(u32, u32), String> {
        let named = self.tags.get(tag).copied();
        let known_values = named.map_or(0, |named| named.enums.len() + named.flags.len());
        if !self.budget.take(search(known_values)) {
            return Err(exhausted());
        }
        let id = named.map(|named| named.id).or_else(|| values::u32(tag));
        let id = id.ok_or_else(|| format!("there is no tag {}", shortened(tag)))?;
        let number = named.and_then(|named| named.value(value)).or_else(|| values::u32(value));
        let missing = || format!("the tag {} has no value {}", shortened(tag), shortened(value));
        number.map(|number| (id, number)).ok_or_else(missing)
    }
}

/// What cases are tried with.
struct Stage<'w> {
    rules: &'w RuleSet,
    world: &'w World<'w>,
    network: evaluate::Network<'w>,
    draws: &'static [u32],
    budget: Budget,
    /// Of the test that is running.
    mismatches_left: usize,
}

impl Stage<'_> {
    fn report(&mut self, case: &Case, present: &[WorldMember], problem: &Option<String>) -> CaseReport {
        let mut report = CaseReport::new(case, problem.clone());
        if report.problem.is_none() {
            report.problem = self.try_case(case, present, &mut report).err();
        }
        report
    }

    fn find<'m>(
        &mut self,
        selector: &Selector,
        present: &'m [WorldMember],
    ) -> Result<Vec<&'m WorldMember>, String> {
        let Compiled { tags, capabilities, .. } = &self.rules.compiled;
        let steps = search(present.len()) + search(tags.len()) + search(capabilities.len());
        if self.budget.take(steps) { selector.find(self.rules, present) } else { Err(exhausted()) }
    }

    /// Tries all pairs of a case.
    fn try_case(
        &mut self,
        case: &Case,
        present: &[WorldMember],
        report: &mut CaseReport,
    ) -> Result<(), String> {
        let senders = self.find(&case.from, present)?;
        let receivers = self.find(&case.to, present)?;
        let targets: BTreeSet<Address> = match &case.expect {
            Expectation::Redirect(target) | Expectation::Copy(target) => {
                self.find(target, present)?.iter().map(|member| member.address).collect()
            }
            Expectation::Accept | Expectation::Drop => BTreeSet::new(),
        };
        let to_each = u64::try_from(receivers.len()).unwrap_or(u64::MAX);
        let times = known(case.knowledge).len();
        let steps = senders
            .iter()
            .map(|sender| self.world.steps(sender.address, &case.packet, times).saturating_mul(to_each));
        if !self.budget.take_all(steps) {
            return Err(exhausted());
        }
        for sender in &senders {
            for receiver in receivers.iter().filter(|receiver| receiver.address != sender.address) {
                report.pairs += 1;
                self.try_pair(case, sender, receiver, &targets, report);
            }
        }
        if report.pairs == 0 {
            return Err("no two members to try it with".to_owned());
        }
        Ok(())
    }

    fn try_pair(
        &mut self,
        case: &Case,
        sender: &WorldMember,
        receiver: &WorldMember,
        targets: &BTreeSet<Address>,
        report: &mut CaseReport,
    ) {
        let built = case.packet.build(
            self.rules.network,
            (sender.address, &sender.addresses),
            (receiver.address, &receiver.addresses),
        );
        let (frame, to) = (built.frame(), built.destination(receiver.address));
        for &is_known in known(case.knowledge) {
            for draw in self.draws {
                let mut draw = || *draw;
                let delivery =
                    deliver(&self.network, sender.address, to, is_known, &frame, &mut draw, &mut ());
                let Some(delivery) = delivery else { continue };
                if fulfils(&case.expect, &delivery, targets) {
                    continue;
                }
                report.mismatch_count += 1;
                if self.mismatches_left == 0 && !report.mismatches.is_empty() {
                    continue;
                }
                self.mismatches_left = self.mismatches_left.saturating_sub(1);
                report.mismatches.push(Mismatch {
                    from: shortened(&sender.title()),
                    to: shortened(&receiver.title()),
                    is_known,
                    got: fate_of(&delivery),
                    reason: shortened(&reason(&delivery, &self.rules.compiled)),
                });
            }
        }
    }
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
    let mut rules = compiled.tables().flat_map(|table| &table.rules);
    if rules.any(is_random) { &[0, u32::MAX] } else { &[0] }
}

fn fulfils(expect: &Expectation, delivery: &Delivery, targets: &BTreeSet<Address>) -> bool {
    match (expect, fate_of(delivery)) {
        (Expectation::Accept, fate) => fate == Fate::Accepted,
        (Expectation::Drop, fate) => fate == Fate::Dropped,
        (Expectation::Redirect(_), Fate::Redirected(to)) => targets.contains(&to),
        (Expectation::Redirect(_), Fate::Accepted | Fate::Dropped) => false,
        (Expectation::Copy(_), _) => {
            delivery.copies.iter().any(|copy| copy.taken && targets.contains(&copy.sent.to))
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
