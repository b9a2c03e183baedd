//! Why a packet passes or not: each side's way through its tables, and the rule that decides.

use std::collections::BTreeMap;
use std::fmt;

use zt_proto::rules::Rule;

use super::compile::{NamedTag, Origin};
use super::decompile::rule_text;
use super::evaluate::{Decider, Delivery, Grade, Observer, Pass, SideOutcome, Step, deliver};
use super::scenario::{Fate, Packet, RuleSet, World, WorldMember, describe, fate_of};

/// The way of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub from: String,
    pub to: String,
    /// Whether the sender knows the receiver's tags.
    pub is_known: bool,
    pub fate: Fate,
    /// As far as the packet gets.
    pub sides: Vec<SideExplanation>,
    /// Copies: to whom, and whether that member takes them.
    pub copies: Vec<(String, bool)>,
}

/// What one side does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideExplanation {
    pub pass: Pass,
    pub grade: Grade,
    /// The rule that decided, for programs and as text.
    pub by: Decider,
    pub decision: String,
    pub tables: Vec<TableExplanation>,
}

/// The way through one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableExplanation {
    /// `None`: the rules of the network.
    pub capability: Option<String>,
    pub steps: Vec<StepExplanation>,
}

/// What happened to one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepExplanation {
    pub index: usize,
    /// The rule as it stands in a source.
    pub rule: String,
    /// If the source is known.
    pub origin: Option<Origin>,
    pub step: Step,
}

/// Explains what becomes of a packet from one member to another; `None` if one of them is not in `members`.
///
/// Where rules depend on chance, all of them hit.
pub fn explain(
    rules: &RuleSet,
    members: &[WorldMember],
    from: &WorldMember,
    to: &WorldMember,
    packet: &Packet,
    is_known: bool,
) -> Option<Explanation> {
    let world = World::new(rules, members);
    let network_members = world.members();
    let network = world.network(&network_members);
    let built = packet.build(rules.network, (from.address, &from.addresses), (to.address, &to.addresses));
    let mut recorder = Recorder::default();
    let destination = built.destination(to.address);
    let delivery =
        deliver(&network, from.address, destination, is_known, &built.frame(), &mut || 0, &mut recorder)?;
    let tags: BTreeMap<u32, NamedTag> = rules.compiled.tags.iter().map(|tag| (tag.id, tag.clone())).collect();
    let sides = recorder.sides.into_iter().filter_map(|side| {
        let outcome = outcome_of(&delivery, side.pass)?;
        Some(SideExplanation {
            pass: side.pass,
            grade: outcome.grade,
            by: outcome.by,
            decision: describe(outcome.by, &rules.compiled),
            tables: side.tables.into_iter().map(|table| explain_table(table, rules, &tags)).collect(),
        })
    });
    let title = |address| {
        let member = members.iter().find(|member| member.address == address);
        member.map_or_else(|| address.to_string(), WorldMember::title)
    };
    Some(Explanation {
        from: from.title(),
        to: to.title(),
        is_known,
        fate: fate_of(&delivery),
        sides: sides.collect(),
        copies: delivery.copies.iter().map(|copy| (title(copy.sent.to), copy.taken)).collect(),
    })
}

fn outcome_of(delivery: &Delivery, pass: Pass) -> Option<SideOutcome> {
    match pass {
        Pass::Group => delivery.group,
        Pass::Sender => delivery.sender,
        Pass::Receiver => delivery.receiver,
    }
}

fn explain_table(table: RecordedTable, rules: &RuleSet, tags: &BTreeMap<u32, NamedTag>) -> TableExplanation {
    let compiled = &rules.compiled;
    let source = compiled.table(table.capability);
    let named = |id: u32| {
        let named = compiled.capabilities.iter().find(|capability| capability.id == id);
        named.map_or_else(|| id.to_string(), |named| named.name.clone())
    };
    let steps = table.steps.into_iter().map(|(index, step)| {
        let rule: Option<&Rule> = source.and_then(|source| source.rules.get(index));
        StepExplanation {
            index,
            rule: rule.map(|rule| rule_text(rule, tags)).unwrap_or_default(),
            origin: source.and_then(|source| source.origins.get(index)).copied(),
            step,
        }
    });
    TableExplanation { capability: table.capability.map(named), steps: steps.collect() }
}

#[derive(Default)]
struct Recorder {
    sides: Vec<RecordedSide>,
}

struct RecordedSide {
    pass: Pass,
    tables: Vec<RecordedTable>,
}

struct RecordedTable {
    capability: Option<u32>,
    steps: Vec<(usize, Step)>,
}

impl Observer for Recorder {
    fn side(&mut self, pass: Pass) {
        self.sides.push(RecordedSide { pass, tables: Vec::new() });
    }

    fn table(&mut self, capability: Option<u32>) {
        if let Some(side) = self.sides.last_mut() {
            side.tables.push(RecordedTable { capability, steps: Vec::new() });
        }
    }

    fn step(&mut self, index: usize, step: Step) {
        if let Some(table) = self.sides.last_mut().and_then(|side| side.tables.last_mut()) {
            table.steps.push((index, step));
        }
    }
}

impl fmt::Display for Explanation {
    /// A line for the outcome, then a block for each side.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.is_known { "known" } else { "first contact" };
        writeln!(f, "{} to {} ({known}): {}", self.from, self.to, self.fate)?;
        for side in &self.sides {
            write!(f, "{side}")?;
        }
        for (target, taken) in &self.copies {
            let taken = if *taken { "taken" } else { "not taken" };
            writeln!(f, "sent to {target}: {taken} there")?;
        }
        Ok(())
    }
}

impl fmt::Display for SideExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.pass {
            Pass::Group => "sender, for the group",
            Pass::Sender => "sender",
            Pass::Receiver => "receiver",
        };
        let grade = match self.grade {
            Grade::Dropped => "not passed on",
            Grade::Accepted => "accepted",
            Grade::SuperAccepted => "accepted as a copy",
        };
        writeln!(f, "{side}: {grade}, by {}", self.decision)?;
        for table in &self.tables {
            match &table.capability {
                None => writeln!(f, "  rules")?,
                Some(name) => writeln!(f, "  capability {name}")?,
            }
            for step in &table.steps {
                writeln!(f, "    {step}")?;
            }
            if !table.steps.iter().any(|step| matches!(step.step, Step::Taken)) {
                writeln!(f, "    the end of the table")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for StepExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.step {
            Step::Skipped => "not looked at",
            Step::Matched { value: true, holds: true } => "true",
            Step::Matched { value: false, holds: true } => "false, but one before is true",
            Step::Matched { value: _, holds: false } => "false",
            Step::Passed => "not taken",
            Step::Taken => "TAKEN",
            Step::Forgiven => "skipped once, as a tag of the receiver is not known yet",
        };
        match self.origin {
            Some(origin) => write!(f, "line {:>3}  ", origin.span.line)?,
            None => write!(f, "[{:>3}]  ", self.index)?,
        }
        write!(f, "{:<40}  {result}", self.rule)?;
        match self.origin.and_then(|origin| origin.included_at) {
            Some(at) => write!(f, " (by line {})", at.line),
            None => Ok(()),
        }
    }
}
