//! What changed, as those who must react to it see it (`vl2.md` §11).

use zt_proto::{Address, NetworkId, Timestamp};

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
    /// The member was authorized and no longer is, or is gone: its certificate must be revoked.
    MemberRevoked { network: NetworkId, member: Address },
    /// The session of the member was made to end earlier, and it is still authorized: its certificate must be revoked when the session
    /// ends, which may have been already.
    SessionCutShort { network: NetworkId, member: Address, ends: Timestamp },
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

    /// Returns what it means that `before` became `after`, in a network whose members log in ([`Self::in_network`] knows whether they
    /// do); `None` if nothing changed that a node could notice.
    pub fn of_member(before: Option<&Member>, after: Option<&Member>) -> Option<Self> {
        let was_authorized = before.is_some_and(|member| member.authorized);
        let is_authorized = after.is_some_and(|member| member.authorized);
        let record = after.or(before)?;
        let (network, member) = (record.network, record.address);
        let session_end = |member: Option<&Member>| member.map(Member::session_end);
        if was_authorized && !is_authorized {
            Some(Self::MemberRevoked { network, member })
        } else if was_authorized && session_end(after) < session_end(before) {
            Some(Self::SessionCutShort { network, member, ends: record.session_end() })
        } else if after.is_some() && before != after {
            Some(Self::Member { network, member })
        } else {
            None
        }
    }

    /// Returns what it means in its network: where nobody logs in, nobody loses anything with a session.
    #[must_use]
    pub fn in_network(self, network: &Network) -> Self {
        match self {
            Self::SessionCutShort { member, .. } if !network.sso_enabled => {
                Self::Member { network: network.id, member }
            }
            Self::Network(_)
            | Self::NetworkRemoved(_)
            | Self::Member { .. }
            | Self::MemberRevoked { .. }
            | Self::SessionCutShort { .. } => self,
        }
    }

    /// Returns whose certificate must be revoked because of it, if that is to be at `now`. Sessions that end later are found
    /// by that.
    pub fn revoked(self, now: Timestamp) -> Option<(NetworkId, Address)> {
        match self {
            Self::MemberRevoked { network, member } => Some((network, member)),
            Self::SessionCutShort { network, member, ends } => (ends <= now).then_some((network, member)),
            Self::Network(_) | Self::NetworkRemoved(_) | Self::Member { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Credential;

    #[test]
    fn who_is_logged_out_is_revoked_when_its_session_ends_and_who_logs_in_again_is_not() {
        let (network, member) = (NETWORK, MEMBER);
        let change = |before, after| Change::of_member(Some(&until(before)), Some(&until(after)));
        for ends in [0, 100] {
            let change = change(200, ends).unwrap();
            assert_eq!(change, Change::SessionCutShort { network, member, ends: Timestamp(ends) });
            assert_eq!(change.in_network(&with_login(true)), change);
            assert_eq!(change.revoked(Timestamp(100)), Some((network, member)));
            assert_eq!(change.revoked(Timestamp(99)).is_some(), ends == 0);
        }
        assert_eq!(change(200, 300), Some(Change::Member { network, member }));
        assert_eq!(change(200, 200), None);
    }

    #[test]
    fn the_end_of_a_session_is_no_loss_where_nobody_logs_in_and_for_who_need_not() {
        let (network, member) = (NETWORK, MEMBER);
        let changed = Change::Member { network, member };
        let cut_short = Change::of_member(Some(&until(200)), Some(&until(0))).unwrap();
        assert_eq!(cut_short.in_network(&with_login(false)), changed);
        let exempt = |expiry| Member { sso_exempt: true, ..until(expiry) };
        assert_eq!(Change::of_member(Some(&exempt(200)), Some(&exempt(0))), Some(changed));
        assert_eq!(Change::of_member(Some(&until(200)), Some(&exempt(0))), Some(changed));
        // But who has to log in from now on is out unless it did.
        let bound = Change::of_member(Some(&exempt(100)), Some(&until(100))).unwrap();
        assert_eq!(bound, Change::SessionCutShort { network, member, ends: Timestamp(100) });
        // What else makes a member lose its certificate does so in every network.
        let removed = Change::of_member(Some(&exempt(200)), None).unwrap();
        assert_eq!(removed.in_network(&with_login(false)), Change::MemberRevoked { network, member });
    }

    const NETWORK: NetworkId = NetworkId(1);
    const MEMBER: Address = Address::from_low_bits(2);

    /// An authorized member whose session ends at `expiry`.
    fn until(expiry: u64) -> Member {
        let mut member = Member::new(NETWORK, MEMBER, Timestamp(1));
        member.authorize(Credential::Api, Timestamp(1));
        Member { authentication_expiry: Timestamp(expiry), ..member }
    }

    fn with_login(sso_enabled: bool) -> Network {
        Network { sso_enabled, ..Network::new(NETWORK, Timestamp(1)) }
    }
}
