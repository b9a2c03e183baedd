//! Peers as JSON (`http-api.md` §6.4).

use serde_json::{Value, json};
use zt_proto::inet::EndpointText;

use crate::status::{PathStatus, PeerRole, PeerStatus};

/// Renders a peer. What a controller does not have is what the original shows for it.
pub(crate) fn render(peer: &PeerStatus) -> Value {
    let (major, minor, revision) = match peer.version {
        Some((major, minor, revision)) => (i32::from(major), i32::from(minor), i32::from(revision)),
        None => (-1, -1, -1),
    };
    let role = match peer.role {
        PeerRole::Leaf => "LEAF",
        PeerRole::Moon => "MOON",
        PeerRole::Planet => "PLANET",
    };
    json!({
        "address": peer.address.to_string(),
        "isBonded": false,
        "latency": peer.latency_ms.map_or(-1, i64::from),
        "paths": peer.paths.iter().map(render_path).collect::<Vec<_>>(),
        "role": role,
        "tunneled": false,
        "version": format!("{major}.{minor}.{revision}"),
        "versionMajor": major,
        "versionMinor": minor,
        "versionRev": revision,
    })
}

fn render_path(path: &PathStatus) -> Value {
    json!({
        "active": path.active,
        "address": EndpointText(path.address).to_string(),
        "expired": path.expired,
        "lastReceive": path.last_receive.0,
        "lastSend": path.last_send.0,
        "localPort": 0,
        "localSocket": 0,
        "preferred": path.preferred,
        "trustedPathId": 0,
    })
}
