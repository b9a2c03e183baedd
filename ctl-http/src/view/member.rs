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
}

/// Renders a member; `peer` is what the node knows of it now, `sighting` what was noted when it last asked.
pub(crate) fn render(member: &Member, peer: Option<&PeerStatus>, sighting: Option<&Sighting>) -> MemberView {
    let path = peer.and_then(PeerStatus::path_in_use);
    let last_seen = peer.and_then(PeerStatus::last_receive).max(sighting.map(|sighting| sighting.last));
    let wire = path.map(|path| path.address).or(sighting.and_then(|sighting| sighting.client.wire));
    MemberView {
        record: record::member::render(member),
        last_seen: last_seen.unwrap_or_default().0,
        online: path.is_some(),
        physical_address: wire.map(|wire| EndpointText(wire).to_string()),
    }
}

#[cfg(test)]
mod tests {
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
        let shown = serde_json::to_value(render(&member(), None, None)).unwrap();
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
        let shown = serde_json::to_value(render(&member(), Some(&peer), Some(&sighting))).unwrap();
        assert_eq!(shown["online"], true);
        assert_eq!(shown["physicalAddress"], "fd00::3/9993");
        assert_eq!(shown["lastSeen"], 900);
        // After a restart, or once it is gone, what was noted is what is known.
        let shown = serde_json::to_value(render(&member(), None, Some(&sighting))).unwrap();
        assert_eq!(shown["online"], false);
        assert_eq!(shown["physicalAddress"], "192.0.2.1/7");
        assert_eq!(shown["lastSeen"], 850);
    }
}
