//! What changed, as those who must react to it see it (`vl2.md` §11).

use zt_proto::{Address, NetworkId};

use crate::member::Member;
use crate::network::Network;

/// A committed change of a record. Whoever writes one sends it to the part that talks to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Every member of the network needs a new configuration.
    Network(NetworkId),
    /// The network is gone, and its members with it.
    NetworkRemoved(NetworkId),
    /// The member needs a new configuration, or is still to be refused.
    Member { network: NetworkId, member: Address },
    /// The member was authorized and no longer is, or is gone, or its session was made to end earlier: its certificate must be
    /// revoked.
    MemberRevoked { network: NetworkId, member: Address },
}

impl Change {
    /// Returns what it means that `before` became `after`; `None` if nothing changed.
    pub fn of_network(before: Option<&Network>, after: Option<&Network>) -> Option<Self> {
        match (before, after) {
            (Some(before), None) => Some(Self::NetworkRemoved(before.id)),
            (before, Some(after)) if before != Some(after) => Some(Self::Network(after.id)),
            _ => None,
        }
    }

    /// Returns what it means that `before` became `after`; `None` if nothing changed that a node could notice.
    pub fn of_member(before: Option<&Member>, after: Option<&Member>) -> Option<Self> {
        let was_authorized = before.is_some_and(|member| member.authorized);
        let is_authorized = after.is_some_and(|member| member.authorized);
        let record = after.or(before)?;
        let (network, member) = (record.network, record.address);
        let expiry = |member: Option<&Member>| member.map(|member| member.authentication_expiry);
        // A session that ends at its time is found by that.
        let is_cut_short = is_authorized && expiry(after) < expiry(before);
        if was_authorized && (!is_authorized || is_cut_short) {
            Some(Self::MemberRevoked { network, member })
        } else if after.is_some() && before != after {
            Some(Self::Member { network, member })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::Timestamp;

    use super::*;
    use crate::member::Credential;

    #[test]
    fn who_is_logged_out_is_revoked_and_who_logs_in_again_is_not() {
        let (network, address) = (NetworkId(1), Address::from_low_bits(2));
        let until = |expiry| {
            let mut member = Member::new(network, address, Timestamp(1));
            member.authorize(Credential::Api, Timestamp(1));
            Member { authentication_expiry: Timestamp(expiry), ..member }
        };
        let change = |before, after| Change::of_member(Some(&until(before)), Some(&until(after)));
        assert_eq!(change(200, 0), Some(Change::MemberRevoked { network, member: address }));
        assert_eq!(change(200, 300), Some(Change::Member { network, member: address }));
        assert_eq!(change(200, 200), None);
    }
}
