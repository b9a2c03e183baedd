//! The file of `apply`: what networks there are to be (`docs/apply.md`).

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ctl_core::rules;
use ctl_core::settings_file::Place;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};
use toml::Spanned;
use zt_proto::{Address, IpPrefix, NetworkId};

use crate::cli::args::{NetworkSettings, OrNone, PoolArg, RouteArg, TagArg, V6Mode};
use crate::cli::{CliError, network};

/// Largest file that is read: 50,000 members have some MiB.
const MAX_BYTES: u64 = 64 << 20;

/// A value that the command line has as text, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Text<T>(T);

impl<'de, T: FromStr<Err: ToString>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error: T::Err| {
            de::Error::custom(format!("{}, got {:?}", error.to_string(), ctl_core::record::cut(&text)))
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "network")]
    networks: Vec<Spanned<NetworkEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkEntry {
    id: Option<Text<NetworkId>>,
    name: Option<String>,
    private: Option<bool>,
    subnet: Option<Text<IpPrefix>>,
    pools: Option<Vec<Text<PoolArg>>>,
    routes: Option<Vec<Text<RouteArg>>>,
    assign_v4: Option<bool>,
    assign_v6: Option<Vec<Text<V6Mode>>>,
    dns_domain: Option<String>,
    dns_servers: Option<Vec<Text<IpAddr>>>,
    broadcast: Option<bool>,
    mtu: Option<u16>,
    multicast_limit: Option<u32>,
    rules: Option<String>,
    rules_file: Option<PathBuf>,
    #[serde(rename = "member")]
    members: Option<Vec<Spanned<MemberEntry>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MemberEntry {
    address: Text<Address>,
    name: Option<String>,
    authorized: Option<bool>,
    ips: Option<Vec<Text<IpAddr>>>,
    auto_assign: Option<bool>,
    bridge: Option<bool>,
    tags: Option<Vec<Text<TagArg>>>,
    capabilities: Option<Vec<u32>>,
}

/// A network as it is to be.
#[derive(Debug)]
pub(super) struct Network {
    pub id: Option<NetworkId>,
    pub name: Option<String>,
    /// As `/api/v2` takes them; what is not named stays.
    pub settings: Map<String, Value>,
    pub rules: Option<String>,
    /// `None`: the file says nothing of members.
    pub members: Option<Vec<Member>>,
}

/// A member as it is to be.
#[derive(Debug)]
pub(super) struct Member {
    pub address: Address,
    pub settings: Map<String, Value>,
}

/// Reads a file, and what it names.
pub(super) fn read(path: &Path) -> Result<Vec<Network>, CliError> {
    let unreadable = |source| CliError::Document { path: path.to_owned(), source };
    let wrong = |reason: String| CliError::InDocument { path: path.to_owned(), reason };
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(wrong(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let load = |file: &Path| fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
    parse(&text, load).map_err(wrong)
}

/// Reads the text of a file; `load` gets the files that it names. An error begins with line and column.
fn parse(text: &str, load: impl Fn(&Path) -> Result<String, String>) -> Result<Vec<Network>, String> {
    let at = |offset: usize, reason: &str| format!("{}: {reason}", Place::of(text, offset));
    let document: Document = toml::from_str(text)
        .map_err(|error| at(error.span().map_or(text.len(), |span| span.start), error.message()))?;
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut networks = Vec::new();
    for entry in document.networks {
        let start = entry.span().start;
        let network = network(entry.into_inner(), text, &load).map_err(|error| match error {
            Fault::Here(reason) => at(start, &reason),
            Fault::At(reason) => reason,
        })?;
        let is_new = network.id.is_none_or(|id| ids.insert(id))
            && network.name.clone().is_none_or(|name| network.id.is_some() || names.insert(name));
        if !is_new {
            return Err(at(start, "expected each network once, got this one again"));
        }
        networks.push(network);
    }
    Ok(networks)
}

/// Something wrong with a network: at its beginning, or where the text says.
enum Fault {
    Here(String),
    At(String),
}

fn network(
    entry: NetworkEntry,
    text: &str,
    load: &impl Fn(&Path) -> Result<String, String>,
) -> Result<Network, Fault> {
    if entry.id.is_none() && entry.name.as_deref().is_none_or(str::is_empty) {
        return Err(Fault::Here("network: expected an id or a name, by which it is found".to_owned()));
    }
    if entry.subnet.is_some() && (entry.pools.is_some() || entry.routes.is_some()) {
        return Err(Fault::Here("subnet: expected either that, or pools and routes".to_owned()));
    }
    let settings = network::body(&NetworkSettings {
        name: entry.name.clone(),
        private: entry.private,
        subnet: entry.subnet.map(|subnet| subnet.0),
        pool: or_none(entry.pools),
        route: or_none(entry.routes),
        assign_v4: entry.assign_v4,
        assign_v6: or_none(entry.assign_v6),
        dns_domain: entry.dns_domain,
        dns_server: or_none(entry.dns_servers),
        broadcast: entry.broadcast,
        mtu: entry.mtu,
        multicast_limit: entry.multicast_limit,
    });
    let rules = match (entry.rules, entry.rules_file) {
        (Some(_), Some(_)) => {
            return Err(Fault::Here("rules: expected them here or in rules-file".to_owned()));
        }
        (Some(source), None) => Some((source, "rules".to_owned())),
        (None, Some(file)) => {
            let name = format!("rules-file {}", file.display());
            let source = load(&file).map_err(|error| Fault::Here(format!("{name}: {error}")))?;
            Some((source, name))
        }
        (None, None) => None,
    };
    if let Some((source, name)) = &rules {
        rules::compile(source).map_err(|errors| {
            let first = errors.to_string();
            Fault::Here(format!("{name}: {}", first.lines().next().unwrap_or_default()))
        })?;
    }
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    for entry in entry.members.iter().flatten() {
        let place = Place::of(text, entry.span().start);
        let member = entry.get_ref();
        if !seen.insert(member.address.0) {
            return Err(Fault::At(format!(
                "{place}: expected each member once, got {} again",
                member.address.0
            )));
        }
        members.push(Member { address: member.address.0, settings: settings_of(member) });
    }
    Ok(Network {
        id: entry.id.map(|id| id.0),
        name: entry.name,
        settings,
        rules: rules.map(|(source, _)| source),
        members: entry.members.is_some().then_some(members),
    })
}

/// What options of the command line make of a list: an empty one takes away what is there.
fn or_none<T>(list: Option<Vec<Text<T>>>) -> Vec<OrNone<T>> {
    match list {
        None => Vec::new(),
        Some(list) if list.is_empty() => vec![OrNone::None],
        Some(list) => list.into_iter().map(|entry| OrNone::Some(entry.0)).collect(),
    }
}

fn settings_of(entry: &MemberEntry) -> Map<String, Value> {
    let mut tags = entry.tags.clone();
    if let Some(tags) = &mut tags {
        tags.sort_by_key(|tag| tag.0.id);
    }
    let tag = |tag: &Text<TagArg>| json!({ "id": tag.0.id, "value": tag.0.value });
    let fields = [
        ("name", entry.name.clone().map(Value::from)),
        ("authorized", entry.authorized.map(Value::from)),
        ("ipAssignments", entry.ips.as_ref().map(|ips| ips.iter().map(|ip| ip.0.to_string()).collect())),
        ("noAutoAssignIps", entry.auto_assign.map(|auto| Value::from(!auto))),
        ("activeBridge", entry.bridge.map(Value::from)),
        ("tags", tags.map(|tags| tags.iter().map(tag).collect())),
        ("capabilities", entry.capabilities.clone().map(Value::from)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Network>, String> {
        parse(text, |path| match path.to_str() {
            Some("office.rules") => Ok("accept;\n".to_owned()),
            _ => Err("there is no such file".to_owned()),
        })
    }

    #[test]
    fn networks_and_members_are_what_the_api_takes() {
        let text = "[[network]]\nname = 'office'\nsubnet = '10.7.0.0/24'\nassign-v6 = []\nrules-file = 'office.rules'\n\
                    [[network.member]]\naddress = '89E92CEEE5'\nauthorized = true\ntags = ['2=3', '1=2']\n\
                    [[network]]\nid = '8056c2e21c000001'\nrules = 'drop;'\n";
        let networks = read(text).unwrap();
        assert_eq!(networks[0].settings["routes"][0]["target"], "10.7.0.0/24");
        assert_eq!(networks[0].settings["v6AssignMode"]["zt"], false);
        assert_eq!(networks[0].rules.as_deref(), Some("accept;\n"));
        let members = networks[0].members.as_ref().unwrap();
        assert_eq!(members[0].address.to_string(), "89e92ceee5");
        assert_eq!(members[0].settings["tags"], json!([{ "id": 1, "value": 2 }, { "id": 2, "value": 3 }]));
        assert!(networks[1].members.is_none() && networks[1].settings.is_empty());
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (text, words) in [
            ("[[network]]\nname = 'a'\nprvate = true\n", &["3:1: ", "prvate", "private"][..]),
            ("[[network]]\nprivate = true\n", &["1:", "id or a name"]),
            ("[[network]]\nname = ''\n", &["1:", "id or a name"]),
            ("[[network]]\nname = 'a'\nmtu = 'x'\n", &["3:7: ", "u16"]),
            ("[[network]]\nname = 'a'\npools = ['10.0.0.9-10.0.0.1']\n", &["3:", "FIRST-LAST"]),
            ("[[network]]\nid = '1'\n", &["2:6: ", "16"]),
            ("[[network]]\nname = 'a'\n[[network]]\nname = 'a'\n", &["3:", "again"]),
            ("[[network]]\nname = 'a'\nrules = 'acept;'\n", &["1:", "rules", "acept"]),
            ("[[network]]\nname = 'a'\nrules-file = 'x'\n", &["1:", "rules-file x: there is no such file"]),
            ("[[network]]\nname = 'a'\nsubnet = '10.0.0.0/8'\nroutes = []\n", &["1:", "either"]),
            (
                "[[network]]\nname = 'a'\n[[network.member]]\naddress = '1122334455'\n[[network.member]]\naddress = '1122334455'\n",
                &["5:", "1122334455 again"],
            ),
            ("[[network]\n", &["1:"]),
        ] {
            let error = read(text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{text}{error}");
        }
    }
}
