//! Networks as the API shows them: the record, and how many members there are (`http-api.md` §8).

use ctl_core::Network;
use ctl_core::record::{self, NetworkRecord};
use ctl_store::MemberCounts;
use serde::Serialize;

/// A network as the API shows it. The counts are extra keys (`http-api.md` §20, item 10).
#[derive(Debug, Serialize)]
pub(crate) struct NetworkView {
    #[serde(flatten)]
    record: NetworkRecord,
    #[serde(flatten)]
    members: CountsView,
}

/// A network as the bulk list shows it, with the counts once more where newer interfaces look for them.
#[derive(Debug, Serialize)]
pub(crate) struct ListedNetworkView {
    #[serde(flatten)]
    network: NetworkView,
    meta: CountsView,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    authorized_member_count: u64,
    total_member_count: u64,
}

impl CountsView {
    fn new(members: &MemberCounts) -> Self {
        Self { authorized_member_count: members.authorized, total_member_count: members.total }
    }
}

/// Renders a network.
pub(crate) fn render(network: &Network, members: &MemberCounts) -> NetworkView {
    NetworkView { record: record::network::render(network), members: CountsView::new(members) }
}

/// Renders a network for the bulk list.
pub(crate) fn render_listed(network: &Network, members: &MemberCounts) -> ListedNetworkView {
    ListedNetworkView { network: render(network, members), meta: CountsView::new(members) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zt_proto::{NetworkId, Timestamp};

    use super::*;

    #[test]
    fn counts_stand_beside_the_record() {
        let network = Network::new(NetworkId(0xa940_ad42_9a00_00aa), Timestamp(5));
        let counts = MemberCounts { total: 3, authorized: 2 };
        let shown = serde_json::to_value(render_listed(&network, &counts)).unwrap();
        assert_eq!((&shown["id"], &shown["creationTime"]), (&json!("a940ad429a0000aa"), &json!(5)));
        assert_eq!((&shown["authorizedMemberCount"], &shown["totalMemberCount"]), (&json!(2), &json!(3)));
        assert_eq!(shown["meta"], json!({ "authorizedMemberCount": 2, "totalMemberCount": 3 }));
    }
}
