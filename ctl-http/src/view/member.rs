//! Members as the API shows them: the record, and what the node knows of them now (`http-api.md` §10).

use ctl_core::Member;
use ctl_core::record::{self, MemberRecord};
use ctl_store::Sighting;
use serde::Serialize;
use zt_proto::inet::EndpointText;

use crate::status::PeerStatus;

/// A member as the API shows it, with the extra keys of `http-api.md` §20, item 10.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberView {
    #[serde(flatten)]
    record: MemberRecord,
    /// Milliseconds since 1970, 0 for never.
    last_seen: u64,
    online: bool,
    /// `IP/port` of the path in use, else where the member last asked from.
    physical_address: Option<String>,
    #[serde(flatten)]
    earlier: EarlierKeys,
}

/// What releases up to 1.2.4 showed and later ones do not; no key means another thing today (`http-api.md` §17).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EarlierKeys {
    /// Milliseconds since 1970, 0 for never.
    first_seen: u64,
    last_at: Option<String>,
    member_revision: u64,
    physical_addr: Option<String>,
    /// Newest first; absent in lists of all members.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_log: Option<Vec<LogEntry>>,
}

/// A time during which a member asked from one address with one release.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    from_addr: Option<String>,
    /// When it last did, in milliseconds since 1970.
    ts: u64,
    v_major: Option<u64>,
    v_minor: Option<u64>,
    v_rev: Option<u64>,
}

impl LogEntry {
    fn of(sighting: &Sighting) -> Self {
        let version = sighting.client.version.as_ref();
        Self {
            from_addr: sighting.client.wire.map(|wire| EndpointText(wire).to_string()),
            ts: sighting.last.0,
            v_major: version.map(|version| version.major),
            v_minor: version.map(|version| version.minor),
            v_rev: version.map(|version| version.revision),
        }
    }
}

/// Renders a member; `peer` is what the node knows of it now, `history` what was noted when it asked, newest first.
pub(crate) fn render(member: &Member, peer: Option<&PeerStatus>, history: &[Sighting]) -> MemberView {
    let mut view = render_listed(member, peer, history.first());
    view.earlier.first_seen = history.last().map_or(0, |sighting| sighting.first.0);
    view.earlier.recent_log = Some(history.iter().map(LogEntry::of).collect());
    view
}

/// Renders a member for a list of all: of what was noted, only the last is looked at.
pub(crate) fn render_listed(
    member: &Member,
    peer: Option<&PeerStatus>,
    sighting: Option<&Sighting>,
) -> MemberView {
    let path = peer.and_then(PeerStatus::path_in_use);
    let last_seen = peer.and_then(PeerStatus::last_receive).max(sighting.map(|sighting| sighting.last));
    let wire = path.map(|path| path.address).or(sighting.and_then(|sighting| sighting.client.wire));
    let physical_address = wire.map(|wire| EndpointText(wire).to_string());
    MemberView {
        record: record::member::render(member),
        last_seen: last_seen.unwrap_or_default().0,
        online: path.is_some(),
        earlier: EarlierKeys {
            first_seen: sighting.map_or(0, |sighting| sighting.first.0),
            last_at: physical_address.clone(),
            member_revision: member.revision,
            physical_addr: physical_address.clone(),
            recent_log: None,
        },
        physical_address,
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use ctl_store::Client;
    use serde_json::json;
    use zt_proto::{Address, NetworkId, Timestamp};

    use super::*;
    use crate::status::{PathStatus, PeerRole};

    fn member() -> Member {
        let network = NetworkId(0xa940_ad42_9a00_00f2);
        Member::new(network, Address::from_low_bits(0xa1_b2c3_d4e5), Timestamp(1_795_356_948_000))
    }

    #[test]
    fn member_of_which_the_node_knows_nothing_is_offline() {
        let shown = serde_json::to_value(render(&member(), None, &[])).unwrap();
        assert_eq!((&shown["address"], &shown["authorized"]), (&json!("a1b2c3d4e5"), &json!(false)));
        assert_eq!((&shown["online"], &shown["lastSeen"]), (&json!(false), &json!(0)));
        assert_eq!(shown.get("physicalAddress"), Some(&json!(null)));
    }

    #[test]
    fn member_shows_the_path_over_which_it_is_reached() {
        let path = |address: &str, active, preferred, last_receive| PathStatus {
            address: address.parse().unwrap(),
            active,
            expired: !active,
            preferred,
            last_send: Timestamp(0),
            last_receive: Timestamp(last_receive),
        };
        let paths = vec![
            path("10.0.0.1:9993", false, false, 900),
            path("10.0.0.2:9993", true, false, 800),
            path("[fd00::3]:9993", true, true, 700),
        ];
        let address = member().address;
        let peer = PeerStatus {
            address,
            latency_ms: None,
            role: PeerRole::Leaf,
            version: None,
            paths,
            packets_received: 0,
            packets_sent: 0,
            packets_broken: 0,
        };
        let client = Client { wire: Some("192.0.2.1:7".parse().unwrap()), ..Client::default() };
        let sighting = Sighting { first: Timestamp(100), last: Timestamp(850), client };
        let shown = serde_json::to_value(render(&member(), Some(&peer), slice::from_ref(&sighting))).unwrap();
        assert_eq!(shown["online"], true);
        assert_eq!(shown["physicalAddress"], "fd00::3/9993");
        assert_eq!(shown["lastSeen"], 900);
        // After a restart, or once it is gone, what was noted is what is known.
        let shown = serde_json::to_value(render(&member(), None, slice::from_ref(&sighting))).unwrap();
        assert_eq!(shown["online"], false);
        assert_eq!(shown["physicalAddress"], "192.0.2.1/7");
        assert_eq!(shown["lastSeen"], 850);
        // As old clients know it.
        assert_eq!((&shown["firstSeen"], &shown["lastAt"]), (&json!(100), &json!("192.0.2.1/7")));
        assert_eq!(shown["recentLog"][0]["fromAddr"], "192.0.2.1/7");
        assert_eq!(shown["recentLog"][0]["ts"], 850);
    }
}
