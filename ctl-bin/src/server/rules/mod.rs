//! `ctl-bin rules`: flow rules on the command line (`docs/rules.md`).
//!
//! What has to do with a network reads the database of the home, beside the controller that may be running, or asks a
//! controller elsewhere.

mod subject;

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use ctl_core::rules::decompile::DecompileError;
use ctl_core::rules::evaluate::Decider;
use ctl_core::rules::scenario::{self, Packet, PacketError, RuleSet, Selector, WorldMember, parse_tests};
use ctl_core::rules::{
    Compiled, Diagnostic, Errors, Explanation, Severity, Test, compile, decompile, explain, format,
};
use ctl_http::view::rule_tables;
use ctl_http::view::rules_language::{TestText, render_explanation, render_tests};
use ctl_store::StoreError;
use serde_json::json;
use zt_proto::NetworkId;
use zt_proto::rules::MAX_RULES;

use super::announce::{say, say_json};
use super::config::{
    RulesCommand, RulesCompileArgs, RulesDecompileArgs, RulesExplainArgs, RulesFormatArgs, RulesTestArgs,
};
use super::home::HomeError;
use crate::cli::CliError;
use crate::cli::table::counted;
use subject::load;

/// Why a command about rules was not done. What is wrong in a file has been printed by then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    #[error("cannot read {path}: {source}; name a file that the user that runs this can read")]
    Read { path: String, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("--write needs a file, standard input cannot be changed")]
    WriteToInput,
    #[error("FILE and --tests cannot both be -, standard input is read once")]
    InputTwice,
    #[error("{name} has {}", counted(*.errors as u64, "error"))]
    Errors { name: String, errors: usize },
    #[error("{name} cannot be read as rules: {reason}")]
    Json { name: String, reason: String },
    #[error("the rules of {name} have no source: {reason}")]
    Decompile { name: String, reason: DecompileError },
    #[error("{name} is not in the usual layout; change it with: ctl-bin rules format --write {name}")]
    Layout { name: String },
    #[error("{failed} of {} failed", counted(*.total as u64, "test"))]
    TestsFailed { failed: usize, total: usize },
    #[error("there are no tests; write some into the source, or name a file with --tests")]
    NoTests,
    #[error("{path} has no controller database; name the home of a controller with --home")]
    NoDatabase { path: String },
    #[error("there is no network {0} in this home; its networks are: {1}")]
    NoNetwork(NetworkId, String),
    #[error("{option}: {reason}; only authorized members count")]
    Member { option: &'static str, reason: String },
    #[error("--from and --to name the same member only, expected two")]
    SameMember,
    #[error("packet: {0}")]
    Packet(#[from] PacketError),
    #[error(
        "what {url} says of the network cannot be read: {reason}; see whether it is a controller of another release"
    )]
    Record { url: String, reason: String },
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a source is tried without a network; only MAC addresses depend on it.
const NO_NETWORK: NetworkId = NetworkId(0);

/// Does what the command line says.
pub(crate) fn run(command: &RulesCommand) -> Result<(), RulesError> {
    match command {
        RulesCommand::Compile(args) => run_compile(args),
        RulesCommand::Decompile(args) => run_decompile(args),
        RulesCommand::Format(args) => run_format(args),
        RulesCommand::Test(args) => run_tests(args),
        RulesCommand::Explain(args) => run_explain(args),
    }
}

fn run_compile(args: &RulesCompileArgs) -> Result<(), RulesError> {
    let text = Text::read(&args.file)?;
    let compiled = text.compile()?;
    if args.json {
        say(&rule_tables::to_json(&compiled));
        return Ok(());
    }
    let parts = [
        format!("{} of {MAX_RULES}", counted(compiled.base.rules.len() as u64, "rule")),
        counted(compiled.capabilities.len() as u64, "capability"),
        counted(compiled.tags.len() as u64, "tag"),
        counted(compiled.tests.len() as u64, "test"),
        counted(compiled.warnings.len() as u64, "warning"),
    ];
    say(&format!("{}: {}", text.name, parts.join(", ")));
    Ok(())
}

fn run_decompile(args: &RulesDecompileArgs) -> Result<(), RulesError> {
    let Text { name, text } = Text::read(&args.file)?;
    let tables = rule_tables::from_json(&text).map_err(|invalid| {
        let reasons: Vec<_> = invalid.iter().map(ToString::to_string).collect();
        RulesError::Json { name: name.clone(), reason: reasons.join("; ") }
    })?;
    let source = decompile(&tables.rules, &tables.capabilities, &tables.tags, &tables.names);
    print(&source.map_err(|reason| RulesError::Decompile { name, reason })?);
    Ok(())
}

fn run_format(args: &RulesFormatArgs) -> Result<(), RulesError> {
    let text = Text::read(&args.file)?;
    let formatted = format(&text.text).map_err(|errors| text.refuse(&errors))?;
    let is_same = formatted == text.text;
    if args.check {
        return if is_same { Ok(()) } else { Err(RulesError::Layout { name: text.name }) };
    }
    if !args.write {
        print(&formatted);
        return Ok(());
    }
    if is_input(&args.file) {
        return Err(RulesError::WriteToInput);
    }
    if is_same {
        return Ok(());
    }
    fs::write(&args.file, formatted).map_err(|source| RulesError::Write { path: text.name, source })
}

fn run_tests(args: &RulesTestArgs) -> Result<(), RulesError> {
    if [&args.file, &args.tests].into_iter().all(|path| path.as_deref().is_some_and(is_input)) {
        return Err(RulesError::InputTwice);
    }
    let source = args.file.as_deref().map(Text::read).transpose()?;
    let apart = args.tests.as_deref().map(Text::read).transpose()?;
    let stored = args.network.map(|id| load(&args.connect, id)).transpose()?;
    let (rules, of_source, source_name) = match (&source, &stored) {
        (Some(source), stored) => {
            let compiled = source.compile()?;
            let tests = compiled.tests.clone();
            let rules = match stored {
                Some((network, _)) => RuleSet::of_source(network, compiled),
                None => RuleSet { network: NO_NETWORK, compiled, ndp_emulation: false },
            };
            (rules, tests, source.name.clone())
        }
        (None, Some((network, _))) => {
            let (rules, tests) = network.rule_set();
            (rules, tests, format!("source of network {}", network.id))
        }
        (None, None) => return Err(RulesError::NoTests), // the command line asks for one of them
    };
    let kept = stored.as_ref().map(|(network, _)| Text {
        name: format!("tests of network {}", network.id),
        text: network.rule_tests.clone(),
    });
    let apart = apart.or(kept);
    let tests = apart.as_ref().map(Text::tests).transpose()?.unwrap_or_default();
    let apart_name = apart.map(|text| text.name).unwrap_or_default();
    let members = stored.map(|(network, members)| network.rule_members(&members)).unwrap_or_default();
    let texts = [(TestText::Source, source_name, of_source), (TestText::Tests, apart_name, tests)];
    report(&texts, &rules, &members, args.json)
}

/// Runs tests and prints a line for each, more for one that fails; or all of it as the API has it.
fn report(
    texts: &[(TestText, String, Vec<Test>)],
    rules: &RuleSet,
    members: &[WorldMember],
    as_json: bool,
) -> Result<(), RulesError> {
    let mut all = Vec::new();
    for (text, name, tests) in texts {
        let reports = scenario::run(tests, rules, members);
        if !reports.is_empty() && !as_json {
            say(&format!("{name}:"));
        }
        for report in reports {
            if !as_json {
                say(&report.to_string());
            }
            all.push((*text, report));
        }
    }
    let (failed, total) = (all.iter().filter(|(_, report)| !report.passed()).count(), all.len());
    if total == 0 {
        return Err(RulesError::NoTests);
    }
    if as_json {
        say_json(&json!({ "passed": failed == 0, "testResults": render_tests(&all) }));
    } else if failed == 0 {
        say(&format!("{} passed", counted(total as u64, "test")));
    }
    if failed == 0 { Ok(()) } else { Err(RulesError::TestsFailed { failed, total }) }
}

fn run_explain(args: &RulesExplainArgs) -> Result<(), RulesError> {
    let packet: Packet = args.packet.join(" ").parse()?;
    let (network, members) = load(&args.connect, args.network)?;
    let (rules, _) = network.rule_set();
    let members = network.rule_members(&members);
    let find = |option, text: &str| {
        let expected = || "expected a name, an address, tag:NAME=VALUE, cap:NAME or any".to_owned();
        let found = Selector::parse(text).ok_or_else(expected);
        let found = found.and_then(|selector| selector.find(&rules, &members));
        found.map_err(|reason| RulesError::Member { option, reason })
    };
    let (senders, receivers) = (find("--from", &args.from)?, find("--to", &args.to)?);
    let mut pairs = senders.iter().flat_map(|from| receivers.iter().map(move |to| (*from, *to)));
    let pair = pairs.find(|(from, to)| from.address != to.address);
    let (from, to) = pair.ok_or(RulesError::SameMember)?;
    let explanation = |is_known| explain(&rules, &members, from, to, &packet, is_known);
    let (Some(known), Some(first)) = (explanation(true), explanation(false)) else {
        return Err(RulesError::SameMember); // both were found among the members
    };
    if args.json {
        let mut fields = render_explanation(&known, &rules.compiled, &network.rules_source);
        fields.insert("outcomeAtFirstContact".to_owned(), first.fate.to_string().into());
        say_json(&fields.into());
        return Ok(());
    }
    say_explanation(&known, &rules.compiled, &network.rules_source);
    if first.fate != known.fate {
        say("");
        say_explanation(&first, &rules.compiled, &network.rules_source);
    }
    Ok(())
}

/// Prints an explanation, and the statement that decided as it stands in the source.
fn say_explanation(explanation: &Explanation, compiled: &Compiled, source: &str) {
    print(&explanation.to_string());
    let Some(side) = explanation.sides.last() else { return };
    let Decider { capability, index } = side.by;
    let origin = compiled.table(capability).and_then(|table| table.origins.get(index?));
    let statement = origin.and_then(|origin| source.get(origin.statement.start..origin.statement.end));
    match (origin, statement) {
        (Some(origin), Some(statement)) => {
            let words: Vec<_> = statement.split_whitespace().collect();
            say(&format!("decided by line {}: {}", origin.statement.line, words.join(" ")));
        }
        _ => say(&format!("decided by {}", side.decision)),
    }
}

/// A text and where it comes from.
struct Text {
    name: String,
    text: String,
}

impl Text {
    fn read(path: &Path) -> Result<Self, RulesError> {
        let name = if is_input(path) { "standard input".to_owned() } else { path.display().to_string() };
        let text = if is_input(path) {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(path)
        };
        match text {
            Ok(text) => Ok(Self { name, text }),
            Err(source) => Err(RulesError::Read { path: name, source }),
        }
    }

    /// Compiles; prints warnings, and every error if there is one.
    fn compile(&self) -> Result<Compiled, RulesError> {
        let compiled = compile(&self.text).map_err(|errors| self.refuse(&errors))?;
        compiled.warnings.iter().for_each(|warning| self.show(warning));
        Ok(compiled)
    }

    fn tests(&self) -> Result<Vec<Test>, RulesError> {
        parse_tests(&self.text).map_err(|errors| self.refuse(&errors))
    }

    /// Prints what is wrong with the text.
    fn refuse(&self, Errors(diagnostics): &Errors) -> RulesError {
        diagnostics.iter().for_each(|diagnostic| self.show(diagnostic));
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        RulesError::Errors { name: self.name.clone(), errors }
    }

    /// Prints a diagnostic as compilers do, and the line that it is about with the place marked.
    fn show(&self, diagnostic: &Diagnostic) {
        eprint(format_args!("{}:{diagnostic}", self.name));
        let span = diagnostic.span;
        let is_end = |c: char| matches!(c, '\r' | '\n');
        let (Some(before), Some(after)) = (self.text.get(..span.start), self.text.get(span.start..)) else {
            return;
        };
        let before = before.rsplit(is_end).next().unwrap_or_default();
        let after = after.split(is_end).next().unwrap_or_default();
        let length = self.text.get(span.start..span.end).map_or(1, |text| text.chars().count());
        let marked = length.clamp(1, after.chars().count().max(1));
        let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        eprint(format_args!("    {before}{after}\n    {indent}{}", "^".repeat(marked)));
    }
}

fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Prints a text that has its own line ends; nobody may be listening, which is no reason to stop.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap_or(());
}

/// Prints on standard error.
fn eprint(text: fmt::Arguments<'_>) {
    writeln!(io::stderr(), "{text}").unwrap_or(());
}
