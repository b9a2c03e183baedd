//! Networks and members as clients of the hosted service expect them; what they cannot do without is never null
//! (`http-api.md` §19.5).

use ctl_core::record::{self, MemberConfig};
use ctl_core::rules::compile;
use ctl_core::{Member, Network};
use ctl_store::{MemberCounts, Sighting, is_in_transaction};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zt_proto::{Address, Timestamp};

use crate::status::PeerStatus;
use crate::view::rule_tables;

/// Fields of a network's record that are below `config`, as they are.
const NETWORK_CONFIG: [&str; 14] = [
    "capabilities",
    "creationTime",
    "enableBroadcast",
    "id",
    "ipAssignmentPools",
    "mtu",
    "multicastLimit",
    "name",
    "private",
    "routes",
    "rules",
    "tags",
    "v4AssignMode",
    "v6AssignMode",
];
/// A member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberView {
    client_version: String,
    clock: u64,
    config: Config,
    controller_id: String,
    description: String,
    hidden: bool,
    id: String,
    last_online: u64,
    last_seen: u64,
    name: String,
    network_id: String,
    node_id: String,
    physical_address: Option<String>,
    protocol_version: u64,
    supports_rules_engine: bool,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Config {
    #[serde(flatten)]
    record: MemberConfig,
    /// Empty until it first asked.
    identity: String,
}

/// Renders a network. `online` is how many members asked lately.
pub(super) fn render_network(
    network: &Network,
    extra: &Map<String, Value>,
    members: &MemberCounts,
    online: usize,
    owner: &str,
    now: Timestamp,
) -> Value {
    let mut config = chosen(record::network::render(network), &NETWORK_CONFIG);
    let dns = network.dns.as_ref().map_or_else(no_dns, |dns| {
        let servers: Vec<_> = dns.servers.iter().map(ToString::to_string).collect();
        json!({ "domain": dns.domain, "servers": servers })
    });
    config.insert("dns".to_owned(), dns);
    // When it was last changed is not stored; the audit log tells.
    config.insert("lastModified".to_owned(), network.created.0.into());
    config.insert("ssoConfig".to_owned(), json!({ "enabled": false, "mode": "" }));
    let (tags, capabilities) = names(network);
    let permissions = json!({ "a": true, "d": true, "m": true, "r": true });
    json!({
        "authorizedMemberCount": members.authorized,
        "capabilitiesByName": capabilities,
        "clock": now.0,
        "config": config,
        "description": text(extra, "description"),
        "id": network.id.to_string(),
        "onlineMemberCount": online,
        "ownerId": owner,
        "permissions": { owner: permissions },
        "rulesSource": network.rules_source,
        "tagsByName": tags,
        "totalMemberCount": members.total,
        "type": "Network",
    })
}

/// Returns what stands where an administrator has set no name servers.
pub(super) fn no_dns() -> Value {
    json!({ "domain": "", "servers": [] })
}

/// Returns the names of tags and capabilities; none while the source does not compile.
fn names(network: &Network) -> (Value, Value) {
    debug_assert!(!is_in_transaction(), "rules are compiled where nobody waits for the database");
    let Ok(compiled) = compile(&network.rules_source) else { return (json!({}), json!({})) };
    let mut fields = rule_tables::render_compiled(&compiled);
    let mut take = |name| fields.remove(name).unwrap_or_else(|| json!({}));
    (take("tagsByName"), take("capabilitiesByName"))
}

/// Renders a member; `peer` is what the node knows of it now, `sighting` what was noted when it last asked.
pub(super) fn render_member(
    member: &Member,
    extra: &Map<String, Value>,
    peer: Option<&PeerStatus>,
    sighting: Option<&Sighting>,
    controller: Address,
    now: Timestamp,
) -> MemberView {
    let path = peer.and_then(PeerStatus::path_in_use);
    let wire = path.map(|path| path.address).or(sighting.and_then(|sighting| sighting.client.wire));
    let last_seen = peer.and_then(PeerStatus::last_receive).max(sighting.map(|sighting| sighting.last));
    let last_seen = last_seen.unwrap_or_default().0;
    let version = member.version.as_ref();
    let version_text =
        version.map(|version| format!("{}.{}.{}", version.major, version.minor, version.revision));
    MemberView {
        client_version: version_text.unwrap_or_default(),
        clock: now.0,
        config: Config {
            record: record::member::render_config(member),
            identity: member.identity.map(|identity| identity.to_string()).unwrap_or_default(),
        },
        controller_id: controller.to_string(),
        description: text(extra, "description"),
        hidden: extra.get("hidden").and_then(Value::as_bool).unwrap_or(false),
        id: format!("{}-{}", member.network, member.address),
        last_online: last_seen,
        last_seen,
        name: member.name.clone().unwrap_or_default(),
        network_id: member.network.to_string(),
        node_id: member.address.to_string(),
        physical_address: wire.map(|wire| wire.ip().to_canonical().to_string()),
        protocol_version: version.map_or(0, |version| version.protocol),
        supports_rules_engine: true,
        kind: "Member",
    }
}

fn chosen(record: impl Serialize, names: &[&str]) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(record) else {
        return Map::new(); // a record is a structure with plain keys
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), fields.remove(*name)?))).collect()
}

fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
