//! The node's status as JSON (`http-api.md` §6.1, §6.2).

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use zt_proto::Timestamp;
use zt_proto::inet::EndpointText;
use zt_proto::world::World;

use crate::local_conf::LocalConf;
use crate::status::NodeStatus;

/// Level of the API that is implemented, as `a.b.c`: what clients take for the version of the node.
const VERSION: (u8, u8, u8) = (1, 14, 1);
/// What answers in truth.
const SOFTWARE: &str = concat!("ctl-bin/", env!("CARGO_PKG_VERSION"));

/// Renders `/health`.
pub(crate) fn render_health(node: &NodeStatus, now: Timestamp) -> Map<String, Value> {
    let (major, minor, revision) = VERSION;
    let fields = [
        ("clock", json!(now.0)),
        ("online", json!(node.online)),
        ("version", json!(format!("{major}.{minor}.{revision}"))),
        ("versionBuild", json!(0)),
        ("versionMajor", json!(major)),
        ("versionMinor", json!(minor)),
        ("versionRev", json!(revision)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Renders `/status`: what `/health` has, and more. `conf` is for who may see all of the file.
pub(crate) fn render(node: &NodeStatus, conf: Option<&LocalConf>, now: Timestamp) -> Value {
    let mut status = render_health(node, now);
    let (planet_id, planet_timestamp) = node.planet_version();
    let fields = [
        ("address", json!(node.identity.address.to_string())),
        ("config", render_config(node, conf)),
        ("controllerSoftware", json!(SOFTWARE)),
        ("planetWorldId", json!(planet_id)),
        ("planetWorldTimestamp", json!(planet_timestamp.0)),
        ("publicIdentity", json!(node.identity.to_string())),
        ("tcpFallbackActive", json!(false)),
    ];
    status.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    status.into()
}

/// What `local.conf` says, and in the place of its settings those in force.
fn render_config(node: &NodeStatus, conf: Option<&LocalConf>) -> Value {
    let (mut config, mut settings) = conf.map(LocalConf::parts).unwrap_or_default();
    settings.extend(render_settings(node));
    config.insert("settings".to_owned(), settings.into());
    config.into()
}

fn render_settings(node: &NodeStatus) -> Map<String, Value> {
    let settings = json!({
        "allowTcpFallbackRelay": false,
        "forceTcpRelay": false,
        "homeDir": node.home,
        "listeningOn": render_addresses(&node.listening),
        "portMappingEnabled": node.port_mapping,
        "primaryPort": node.port,
        "secondaryPort": node.secondary_port,
        "softwareUpdate": "disable",
        "softwareUpdateChannel": "release",
        "surfaceAddresses": render_addresses(&node.surface_addresses),
        "tertiaryPort": 0,
    });
    settings.as_object().cloned().unwrap_or_default()
}

fn render_addresses(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(|address| EndpointText(*address).to_string()).collect()
}

/// Renders `/moon`; none of them is still waited for.
pub(crate) fn render_moons(moons: &[World]) -> Value {
    moons.iter().map(render_moon).collect()
}

pub(crate) fn render_moon(moon: &World) -> Value {
    let roots = moon.roots.iter().map(|root| {
        json!({ "identity": root.identity.to_string(), "stableEndpoints": render_addresses(&root.endpoints) })
    });
    json!({
        "id": format!("{:016x}", moon.id),
        "roots": roots.collect::<Vec<_>>(),
        "signature": HEXLOWER.encode(&moon.signature.0),
        "timestamp": moon.timestamp.0,
        "updatesMustBeSignedBy": HEXLOWER.encode(&moon.update_key),
        "waiting": false,
    })
}
