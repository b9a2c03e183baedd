//! The rules language over HTTP: compile, format, decompile, test, explain, and the rules of a network with their
//! source (`docs/rules.md`).

use ctl_core::rules::decompile::DecompileError;
use ctl_core::rules::impact::{Service, impact, usual_services};
use ctl_core::rules::scenario::{Packet, RuleSet, Selector, parse_tests};
use ctl_core::rules::{
    Compiled, Errors, Severity, Test, compile, decompile, explain as explain_packet, format,
};
use ctl_core::{Member, Network};
use ctl_store::Tx;
use serde_json::{Map, Value};
use zt_proto::NetworkId;

use super::etag::Conditions;
use super::network::find;
use super::network_record::version_of;
use super::problem::{Invalid, Problem};
use super::request::{Answer, Request};
use super::strict::{Fields, parse_object};
use crate::edit::Edit;
use crate::error::ApiError;
use crate::rule_tests::{self, Reports, Tests, Verdict, describe_failures};
use crate::view::rule_tables;
use crate::view::rules_language as view;
use crate::{State, settle};

/// Most pairs of members × services that a dry run looks at: a second of work, and 140 members with the usual services.
pub(crate) const MAX_DRY_RUN_COMPARISONS: usize = 250_000;

/// Most services that a dry run may name.
const MAX_SERVICES: usize = 64;

/// `POST /api/v2/rules/compile`: what a source means, or everything that is wrong with it.
pub(crate) fn compile_source(_: &State, mut request: Request) -> Result<Answer, Problem> {
    let source = source_of(&parse_object(&request.take_body()?)?)?;
    let compiled = compile(&source).map_err(|errors| unreadable(&errors, "/source"))?;
    Answer::ok(&view::render_compilation(&compiled))
}

/// `POST /api/v2/rules/format`: a source in its one layout.
pub(crate) fn format_source(_: &State, mut request: Request) -> Result<Answer, Problem> {
    let source = source_of(&parse_object(&request.take_body()?)?)?;
    let formatted = format(&source).map_err(|errors| unreadable(&errors, "/source"))?;
    Answer::ok(&object([("source", formatted.into())]))
}

/// `POST /api/v2/rules/decompile`: a source for rules.
pub(crate) fn decompile_tables(_: &State, mut request: Request) -> Result<Answer, Problem> {
    let body = parse_object(&request.take_body()?)?;
    let mut fields = Fields::new(&body);
    let tables = rule_tables::read(&mut fields);
    fields.finish()?;
    let source = decompile(&tables.rules, &tables.capabilities, &tables.tags, &tables.names);
    Answer::ok(&object([("source", source.map_err(no_source)?.into())]))
}

/// `GET /api/v2/network/{network}/rules`: rules, source, tests, and whether source and rules fit.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let network = state.api.store.read(|tx| find(tx, id))?;
    let answer = Answer::record(&view::render_network(&network), version_of(&network))?;
    Ok(answer.unless_known(&request.conditions))
}

/// `PUT /api/v2/network/{network}/rules`: compiles a source, tests it, and makes it the rules of the network.
/// With `?dryRun=true` nothing is stored, and the answer says what would change.
pub(crate) fn put(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let is_dry = request.query.flag("dryRun")?.unwrap_or(false);
    let change = RulesChange::read(&parse_object(&request.take_body()?)?)?;
    if is_dry {
        Answer::ok(&state.try_rules(id, &change, &request.conditions)?)
    } else {
        state.put_rules(id, &change, &request.conditions)
    }
}

/// `POST /api/v2/network/{network}/rules/test`: runs the tests of the network, or those of the body.
pub(crate) fn test(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let body = parse_object(&request.take_body()?)?;
    let mut fields = Fields::new(&body);
    let text = fields.text("tests");
    fields.finish()?;
    let (network, members) = state.api.store.read(|tx| load(tx, id))?;
    let (rules, of_source) = network.rule_set();
    let tests = match &text {
        Some(text) => Tests { of_source: Vec::new(), apart: parse(text)? },
        None => Tests { of_source, apart: parse(&network.rule_tests)? },
    };
    let reports = tests.run(&rules, &network.rule_members(&members));
    Answer::ok(&object([
        ("passed", reports.iter().all(|(_, report)| report.passed()).into()),
        ("testResults", view::render_tests(&reports).into()),
    ]))
}

/// `POST /api/v2/network/{network}/rules/explain`: why a packet passes or not, rule by rule.
pub(crate) fn explain(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let question = Question::read(&parse_object(&request.take_body()?)?)?;
    let (network, members) = state.api.store.read(|tx| load(tx, id))?;
    Answer::ok(&question.answer(&network, &members)?)
}

/// Returns the network with its members.
fn load(tx: &Tx<'_>, id: NetworkId) -> Result<(Network, Vec<Member>), Problem> {
    Ok((find(tx, id)?, tx.members().list(id)?))
}

impl State {
    fn put_rules(
        &self,
        id: NetworkId,
        change: &RulesChange,
        conditions: &Conditions,
    ) -> Result<Answer, Problem> {
        let answer = settle(|| self.try_put_rules(id, change, conditions))?;
        answer.ok_or_else(|| ApiError::Contended.into())
    }

    /// Changes the rules. `None`: the network was changed meanwhile, so that nothing is known about its tests.
    fn try_put_rules(
        &self,
        id: NetworkId,
        change: &RulesChange,
        conditions: &Conditions,
    ) -> Result<Option<Answer>, Problem> {
        // Tests of a large network take seconds, in which other writers should not wait; so they run before.
        let (seen, members) = self.api.store.read(|tx| load(tx, id))?;
        conditions.check(Some(version_of(&seen)))?;
        let mut network = change.applied(&seen);
        let Verdict { reports, is_refused } = change.judge(&seen, &network, &members)?;
        if is_refused {
            let failed = describe_failures(&reports);
            let detail = format!("the network requires its tests to pass, and these fail: {failed}");
            return Err(Problem::unusable("rule-tests-fail", "rule tests fail", detail)
                .with_errors(view::render_failures(&reports))
                .with("testResults", view::render_tests(&reports).into()));
        }
        self.write(|tx| {
            let stored = tx.networks().get(id)?.ok_or(ApiError::NotFound)?;
            if stored != seen {
                return Ok((None, None::<Edit>));
            }
            if network.revise(Some(&stored)) {
                tx.networks().put(&network)?;
            }
            let mut answer = view::render_network(&network);
            answer.extend(change.findings(&reports));
            let answer = Answer::record(&answer, version_of(&network))?;
            Ok((Some(answer), Edit::of_network(Some(&stored), Some(&network))))
        })
    }

    fn try_rules(
        &self,
        id: NetworkId,
        change: &RulesChange,
        conditions: &Conditions,
    ) -> Result<Map<String, Value>, Problem> {
        let (stored, members) = self.api.store.read(|tx| load(tx, id))?;
        conditions.check(Some(version_of(&stored)))?;
        let network = change.applied(&stored);
        let Verdict { reports, is_refused } = change.judge(&stored, &network, &members)?;
        let mut answer = change.findings(&reports);
        answer.insert("wouldStore".to_owned(), (!is_refused).into());
        let services = change.services.clone().unwrap_or_else(usual_services);
        let (before, _) = stored.rule_set();
        let after = change.rule_set(&network);
        let members = network.rule_members(&members);
        let impact = impact(&before, &after, &members, &services, MAX_DRY_RUN_COMPARISONS);
        answer.extend(view::render_impact(&impact));
        Ok(answer)
    }
}

/// The body of a change of rules.
struct RulesChange {
    /// With what it compiles to. `None`: source and rules of the network stay.
    source: Option<(String, Compiled)>,
    /// `None`: those of the network stay.
    tests: Option<String>,
    tests_required: Option<bool>,
    /// For a dry run; `None`: the usual ones.
    services: Option<Vec<Service>>,
}

impl RulesChange {
    fn read(body: &Map<String, Value>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body);
        if !["source", "tests", "testsRequired"].into_iter().any(|name| fields.has(name)) {
            fields.refuse(Invalid::new("", "expected source, tests or testsRequired, got none of them"));
        }
        let source = fields.text("source");
        let tests = fields.text("tests");
        let tests_required = fields.flag("testsRequired");
        let services = fields.short_array("services", MAX_SERVICES);
        let services = services.map(|services| read_services(services, &mut fields));
        fields.finish()?;
        if let Some(tests) = &tests {
            parse(tests)?;
        }
        let compiled = |source: String| match compile(&source) {
            Ok(compiled) => Ok((source, compiled)),
            Err(errors) => Err(unreadable(&errors, "/source")),
        };
        let source = source.map(compiled).transpose()?;
        Ok(Self { source, tests, tests_required, services })
    }

    /// Returns the network as it is after the change, but for the revision.
    fn applied(&self, stored: &Network) -> Network {
        let mut network = stored.clone();
        if let Some((source, compiled)) = &self.source {
            network.rules.clone_from(&compiled.base.rules);
            network.capabilities = compiled.capability_definitions();
            network.tags = compiled.tag_definitions();
            network.rules_source.clone_from(source);
        }
        if let Some(tests) = &self.tests {
            network.rule_tests.clone_from(tests);
        }
        network.rule_tests_required = self.tests_required.unwrap_or(stored.rule_tests_required);
        network
    }

    /// Returns the rules of the changed network.
    fn rule_set(&self, network: &Network) -> RuleSet {
        match &self.source {
            Some((_, compiled)) => RuleSet::of_source(network, compiled.clone()),
            None => network.rule_set().0,
        }
    }

    fn judge(&self, before: &Network, after: &Network, members: &[Member]) -> Result<Verdict, Problem> {
        after.check_len(Some(before)).map_err(|error| {
            let title = "no member could take the rules";
            Problem::unusable("rules-too-long", title, error.problem().to_owned())
        })?;
        let unreadable = |errors: Errors| unreadable(&errors, "/tests");
        let tests = Tests::of(after).map_err(unreadable)?;
        rule_tests::judge(before, after, &self.rule_set(after), &tests, members).map_err(unreadable)
    }

    fn findings(&self, reports: &Reports) -> Map<String, Value> {
        let warnings = self.source.as_ref().map(|(_, compiled)| view::render_warnings(&compiled.warnings));
        object([
            ("warnings", warnings.unwrap_or_default().into()),
            ("testResults", view::render_tests(reports).into()),
        ])
    }
}

fn read_services(values: &[Value], fields: &mut Fields<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let text = value.as_str().unwrap_or_default();
        match text.parse() {
            Ok(packet) => services.push(Service { name: text.to_owned(), packet }),
            Err(error) => fields.refuse(Invalid::new(format!("/services/{index}"), error.to_string())),
        }
    }
    services
}

/// The body of a request for an explanation.
struct Question {
    from: Selector,
    to: Selector,
    packet: Packet,
    /// Whether the sender knows the receiver.
    is_known: bool,
}

impl Question {
    fn read(body: &Map<String, Value>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body);
        let (from, to) = (fields.required_text("from"), fields.required_text("to"));
        let packet = fields.required_text("packet");
        let is_known = fields.flag("known").unwrap_or(true);
        fields.finish()?;
        let mut invalid = Vec::new();
        let mut member = |text: &str, pointer: &str| {
            let member = Selector::parse(text);
            if member.is_none() {
                let detail = "expected a member: a name, an address, tag:NAME=VALUE, cap:NAME or any";
                invalid.push(Invalid::new(pointer, detail));
            }
            member
        };
        let (from, to) = (member(&from, "/from"), member(&to, "/to"));
        let packet =
            packet.parse().map_err(|error| invalid.push(Invalid::new("/packet", format!("{error}"))));
        match (from, to, packet) {
            (Some(from), Some(to), Ok(packet)) => Ok(Self { from, to, packet, is_known }),
            _ => Err(Problem::fields(invalid)),
        }
    }

    fn answer(&self, network: &Network, members: &[Member]) -> Result<Map<String, Value>, Problem> {
        let (rules, _) = network.rule_set();
        let members = network.rule_members(members);
        let find = |selector: &Selector, pointer: &str| {
            let found = selector.find(&rules, &members);
            found.map_err(|detail| {
                Problem::fields(vec![Invalid::new(
                    pointer,
                    format!("{detail}; only authorized members count"),
                )])
            })
        };
        let (senders, receivers) = (find(&self.from, "/from")?, find(&self.to, "/to")?);
        let mut pairs = senders.iter().flat_map(|from| receivers.iter().map(move |to| (*from, *to)));
        let pair = pairs.find(|(from, to)| from.address != to.address);
        let same = || Problem::fields(vec![Invalid::new("/to", "expected another member than in from")]);
        let (from, to) = pair.ok_or_else(same)?;
        let explanation = |is_known| {
            let explanation = explain_packet(&rules, &members, from, to, &self.packet, is_known);
            explanation.ok_or_else(|| Problem::from(ApiError::NotFound)) // both were found among the members
        };
        let explained = explanation(self.is_known)?;
        let mut answer = view::render_explanation(&explained, &rules.compiled, &network.rules_source);
        let first = explanation(false)?.fate.to_string();
        answer.insert("outcomeAtFirstContact".to_owned(), first.into());
        Ok(answer)
    }
}

fn source_of(body: &Map<String, Value>) -> Result<String, Problem> {
    let mut fields = Fields::new(body);
    let source = fields.required_text("source");
    fields.finish()?;
    Ok(source)
}

fn parse(tests: &str) -> Result<Vec<Test>, Problem> {
    parse_tests(tests).map_err(|errors| unreadable(&errors, "/tests"))
}

/// Says that a text in the body cannot be read, with every error in it.
fn unreadable(errors: &Errors, pointer: &str) -> Problem {
    let rendered = view::render_errors(errors, pointer);
    let count = errors.0.iter().filter(|error| error.severity == Severity::Error).count();
    let detail =
        if count == 1 { "there is one error".to_owned() } else { format!("there are {count} errors") };
    Problem::unusable("rules-unreadable", "the text cannot be compiled", detail).with_errors(rendered)
}

fn no_source(error: DecompileError) -> Problem {
    Problem::unusable("no-source", "the rules have no source", error.to_string())
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
