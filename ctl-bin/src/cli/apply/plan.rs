//! What has to be done for everything to be as the file says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use zt_proto::{Address, NetworkId};

use super::file::{Member, Network};
use crate::cli::client::Client;
use crate::cli::member::pages;
use crate::cli::table::{ATTENTION, BAD, GOOD, counted, paint, printable};
use crate::cli::{CliError, entries, named, number, text};

/// Characters of a value that a plan shows.
const MAX_SHOWN: usize = 120;

/// A setting that changes.
#[derive(Debug)]
pub(super) struct Difference {
    name: String,
    from: Value,
    to: Value,
}

/// What is to be done with a record. A tag is the version on which that rests.
#[derive(Debug)]
pub(super) enum Step {
    Keep { tag: String },
    Create { body: Value },
    Change { tag: String, body: Value, differences: Vec<Difference> },
}

#[derive(Debug)]
pub(super) struct NetworkPlan {
    /// `None`: it gets one when it is made.
    pub id: Option<NetworkId>,
    pub name: String,
    pub step: Step,
    /// The source, if it is to be another.
    pub rules: Option<String>,
    pub members: Vec<MemberPlan>,
    pub removed_members: Vec<Removal>,
}

#[derive(Debug)]
pub(super) struct MemberPlan {
    pub address: Address,
    pub step: Step,
}

/// A record that goes.
#[derive(Debug)]
pub(super) struct Removal {
    pub path: String,
    pub tag: String,
    label: String,
    /// Of a network.
    members: u64,
}

/// Everything that is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub networks: Vec<NetworkPlan>,
    pub removed: Vec<Removal>,
}

/// Reads what is there, and compares it with what is to be.
pub(super) fn make(client: &Client, wanted: Vec<Network>, prunes: bool) -> Result<Plan, CliError> {
    let there = pages(client, "/api/v2/network", usize::MAX)?;
    let mut networks = Vec::new();
    let mut kept = BTreeSet::new();
    for network in wanted {
        let id = match (network.id, &network.name) {
            (Some(id), _) => Some(id),
            (None, Some(name)) => named(there.iter(), ("name", name), "networks", "id")?
                .and_then(|network| text(network, "id").parse().ok()),
            (None, None) => None,
        };
        let is_there = id.is_some_and(|id| there.iter().any(|found| text(found, "id") == id.to_string()));
        if let Some(id) = id.filter(|id| !kept.insert(*id)) {
            return Err(CliError::Twice { network: id.to_string() });
        }
        let plan = if let Some(id) = id.filter(|_| is_there) {
            compare(client, id, network, prunes)?
        } else {
            create(id, network)
        };
        networks.push(plan);
    }
    let mut removed = Vec::new();
    let gone = there.iter().filter(|found| text(found, "id").parse().is_ok_and(|id| !kept.contains(&id)));
    for network in gone.filter(|_| prunes) {
        let path = format!("/api/v2/network/{}", text(network, "id"));
        let (network, tag) = client.record(&path)?;
        let label = label(text(&network, "id"), text(&network, "name"));
        removed.push(Removal { path, tag, label, members: number(&network, "memberCount") });
    }
    Ok(Plan { networks, removed })
}

fn create(id: Option<NetworkId>, wanted: Network) -> NetworkPlan {
    let member = |member: Member| MemberPlan {
        address: member.address,
        step: Step::Create { body: Value::Object(member.settings) },
    };
    NetworkPlan {
        id,
        name: wanted.name.unwrap_or_default(),
        step: Step::Create { body: Value::Object(wanted.settings) },
        rules: wanted.rules,
        members: wanted.members.into_iter().flatten().map(member).collect(),
        removed_members: Vec::new(),
    }
}

fn compare(client: &Client, id: NetworkId, wanted: Network, prunes: bool) -> Result<NetworkPlan, CliError> {
    let path = format!("/api/v2/network/{id}");
    let (network, tag) = client.record(&path)?;
    let name = wanted.name.unwrap_or_else(|| text(&network, "name").to_owned());
    let rules = match wanted.rules {
        Some(source) => {
            let there = client.get(&format!("{path}/rules"))?;
            Some(source).filter(|source| there.get("source").and_then(Value::as_str) != Some(source))
        }
        None => None,
    };
    let mut plan = NetworkPlan {
        id: Some(id),
        name,
        step: step(&network, tag, wanted.settings),
        rules,
        members: Vec::new(),
        removed_members: Vec::new(),
    };
    let Some(members) = wanted.members else { return Ok(plan) };
    let path = format!("{path}/member");
    let mut there: BTreeMap<_, _> = pages(client, &path, usize::MAX)?
        .into_iter()
        .map(|member| (text(&member, "address").to_owned(), member))
        .collect();
    for Member { address, settings } in members {
        let step = match there.remove(&address.to_string()) {
            None => Step::Create { body: Value::Object(settings) },
            Some(found) if differences(&found, &settings).is_empty() => Step::Keep { tag: String::new() },
            Some(_) => {
                let (found, tag) = client.record(&format!("{path}/{address}"))?;
                step(&found, tag, settings)
            }
        };
        plan.members.push(MemberPlan { address, step });
    }
    if prunes && !there.is_empty() {
        // Those about whom nobody has decided come and go by themselves.
        let pending = client.get(&format!("/api/v2/network/{id}/pending"))?;
        for stranger in entries(&pending, "data") {
            there.remove(text(stranger, "address"));
        }
        for address in there.into_keys() {
            let path = format!("{path}/{address}");
            let (member, tag) = client.record(&path)?;
            let label = label(&address, text(&member, "name"));
            plan.removed_members.push(Removal { path, tag, label, members: 0 });
        }
    }
    Ok(plan)
}

fn step(found: &Value, tag: String, wanted: Map<String, Value>) -> Step {
    let differences = differences(found, &wanted);
    if differences.is_empty() {
        return Step::Keep { tag };
    }
    let is_other = |name: &String| differences.iter().any(|other| other.name == *name);
    let body = wanted.into_iter().filter(|(name, _)| is_other(name)).collect();
    Step::Change { tag, body: Value::Object(body), differences }
}

/// Returns which settings are to be others than they are.
fn differences(found: &Value, wanted: &Map<String, Value>) -> Vec<Difference> {
    let there = |name: &String| found.get(name).cloned().unwrap_or(Value::Null);
    let is_other = |(name, to): &(&String, &Value)| !is_met(&there(name), to);
    let difference =
        |(name, to): (&String, &Value)| Difference { name: name.clone(), from: there(name), to: to.clone() };
    wanted.iter().filter(is_other).map(difference).collect()
}

/// Says whether a value is what is wanted of it; of an object, only what is named.
fn is_met(found: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(wanted) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| is_met(found, wanted)))
        }
        // Nothing set and an empty list are the same.
        Value::Array(wanted) if wanted.is_empty() => found.as_array().is_none_or(Vec::is_empty),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            found == wanted
        }
    }
}

fn label(id: &str, name: &str) -> String {
    if name.is_empty() { id.to_owned() } else { format!("{id} ({name})") }
}

/// How many records are made, changed and removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    created: usize,
    changed: usize,
    removed: usize,
}

impl Counts {
    fn add(&mut self, step: &Step) {
        match step {
            Step::Keep { .. } => {}
            Step::Create { .. } => self.created += 1,
            Step::Change { .. } => self.changed += 1,
        }
    }

    fn is_zero(self) -> bool {
        self == Self::default()
    }

    fn told(self, what: &str) -> String {
        let Self { created, changed, removed } = self;
        format!("{what}: {created} to create, {changed} to change, {removed} to remove")
    }
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        let (networks, members) = self.counts();
        networks.is_zero() && members.is_zero()
    }

    /// Returns how many records are looked at while it is done.
    pub(super) fn size(&self) -> u64 {
        let of = |network: &NetworkPlan| 1 + network.members.len() + network.removed_members.len();
        let all = self.networks.iter().map(of).sum::<usize>() + self.removed.len();
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    fn counts(&self) -> (Counts, Counts) {
        let mut networks = Counts { removed: self.removed.len(), ..Counts::default() };
        let mut members = Counts::default();
        for network in &self.networks {
            networks.add(&network.step);
            // Another source changes the network as well.
            networks.changed +=
                usize::from(network.rules.is_some() && matches!(network.step, Step::Keep { .. }));
            members.removed += network.removed_members.len();
            for member in &network.members {
                members.add(&member.step);
            }
        }
        (networks, members)
    }

    /// Returns what to ask before it is done.
    pub(super) fn question(&self) -> String {
        let (networks, members) = self.counts();
        if networks.removed + members.removed == 0 {
            return "Do this?".to_owned();
        }
        let lost: u64 = self.removed.iter().map(|network| network.members).sum();
        format!(
            "Do this? It removes {} with {}, and {} of other networks.",
            counted(networks.removed as u64, "network"),
            counted(lost, "member"),
            counted(members.removed as u64, "member")
        )
    }

    pub(super) fn to_text(&self) -> String {
        if self.is_empty() {
            return "nothing to do: everything is as the file says".to_owned();
        }
        let mut lines = Vec::new();
        for network in &self.networks {
            let before = lines.len();
            let id = network.id.map_or_else(|| "new".to_owned(), |id| id.to_string());
            lines.push(told("network", &label(&id, &network.name), &network.step));
            list(&network.step, "  ", &mut lines);
            if let Some(source) = &network.rules {
                lines.push(format!(
                    "  rules: another source, of {}",
                    counted(source.lines().count() as u64, "line")
                ));
            }
            for member in &network.members {
                if !matches!(member.step, Step::Keep { .. }) {
                    lines.push(format!("  {}", told("member", &member.address.to_string(), &member.step)));
                    list(&member.step, "    ", &mut lines);
                }
            }
            for member in &network.removed_members {
                lines.push(format!("  member {}: {}", printable(&member.label), paint("remove", BAD)));
            }
            if lines.len() == before + 1 && matches!(network.step, Step::Keep { .. }) {
                lines.pop();
            }
        }
        for network in &self.removed {
            let (label, members) = (printable(&network.label), counted(network.members, "member"));
            lines.push(format!("network {label}: {} with {members}", paint("remove", BAD)));
        }
        let (networks, members) = self.counts();
        lines.push(networks.told("networks"));
        lines.push(members.told("members"));
        lines.join("\n")
    }

    pub(super) fn to_json(&self) -> Value {
        let step = |step: &Step| match step {
            Step::Keep { .. } => json!({ "do": "keep" }),
            Step::Create { body } => json!({ "do": "create", "settings": body }),
            Step::Change { differences, .. } => {
                let changes = differences
                    .iter()
                    .map(|other| (other.name.clone(), json!({ "from": other.from, "to": other.to })));
                json!({ "do": "change", "changes": changes.collect::<Map<_, _>>() })
            }
        };
        let with = |mut value: Value, fields: Value| {
            if let (Some(value), Value::Object(fields)) = (value.as_object_mut(), fields) {
                value.extend(fields);
            }
            value
        };
        let member =
            |member: &MemberPlan| with(step(&member.step), json!({ "address": member.address.to_string() }));
        let removal = |removal: &Removal| json!({ "path": removal.path, "members": removal.members });
        let network = |network: &NetworkPlan| {
            with(
                step(&network.step),
                json!({
                    "id": network.id.map(|id| id.to_string()),
                    "name": network.name,
                    "rules": network.rules,
                    "members": network.members.iter().map(member).collect::<Value>(),
                    "removedMembers": network.removed_members.iter().map(removal).collect::<Value>(),
                }),
            )
        };
        json!({
            "networks": self.networks.iter().map(network).collect::<Value>(),
            "removedNetworks": self.removed.iter().map(removal).collect::<Value>(),
        })
    }
}

fn told(kind: &str, label: &str, step: &Step) -> String {
    let verb = match step {
        Step::Keep { .. } => return format!("{kind} {}", printable(label)),
        Step::Create { .. } => paint("create", GOOD),
        Step::Change { .. } => paint("change", ATTENTION),
    };
    format!("{kind} {}: {verb}", printable(label))
}

/// Adds a line for each setting.
fn list(step: &Step, indent: &str, lines: &mut Vec<String>) {
    let shown = |value: &Value| printable(&ctl_core::record::cut_to(&value.to_string(), MAX_SHOWN));
    match step {
        Step::Keep { .. } => {}
        Step::Create { body } => {
            for (name, value) in body.as_object().into_iter().flatten() {
                lines.push(format!("{indent}{name}: {}", shown(value)));
            }
        }
        Step::Change { differences, .. } => {
            for Difference { name, from, to } in differences {
                lines.push(format!("{indent}{name}: {} -> {}", shown(from), shown(to)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_compared() {
        let found = json!({
            "name": "a", "mtu": 2800, "dns": null, "routes": [{ "target": "10.0.0.0/8", "via": null }],
            "v6AssignMode": { "zt": false, "rfc4193": true, "6plane": false },
        });
        let other = |wanted: Value| {
            let differences = differences(&found, wanted.as_object().unwrap());
            differences.into_iter().map(|other| other.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(other(json!({ "name": "a", "routes": [{ "target": "10.0.0.0/8", "via": null }] })), "");
        assert_eq!(other(json!({ "v6AssignMode": { "rfc4193": true }, "pools": [] })), "");
        assert_eq!(other(json!({ "mtu": 1400, "name": "a", "routes": [] })), "mtu routes");
        assert_eq!(other(json!({ "dns": { "domain": "x" } })), "dns");
    }
}
