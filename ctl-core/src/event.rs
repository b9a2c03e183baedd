//! What happened, as those see it who watch: programs, the console, webhooks.
//!
//! Whoever saves a record asks here what that means, so the API and the controller tell the same story.

use zt_proto::{Address, NetworkId, Timestamp};

use crate::member::Member;
use crate::network::Network;

/// Something that happened, and is on the disk where it changed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub network: NetworkId,
    /// `None`: it happened to the network.
    pub member: Option<Address>,
    /// Of the record as it is now; `None` where there is none, or it did not change.
    pub revision: Option<u64>,
    pub time: Timestamp,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    NetworkCreated,
    NetworkChanged,
    /// With all of its members, of which nothing more is said.
    NetworkRemoved,
    /// A node asked that never had before.
    MemberJoined,
    /// Somebody entered a node that has not asked yet.
    MemberAdded,
    MemberAuthorized,
    /// It may no longer be in.
    MemberDeauthorized,
    /// Anything else of its record.
    MemberChanged,
    MemberRemoved,
    /// It asked, after it had been offline.
    MemberSeen,
}

/// Through whom a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The member itself, by asking, or the controller while it answered.
    Request,
    /// Somebody, through the API.
    Edit,
}

impl EventKind {
    pub const ALL: [Self; 10] = [
        Self::NetworkCreated,
        Self::NetworkChanged,
        Self::NetworkRemoved,
        Self::MemberJoined,
        Self::MemberAdded,
        Self::MemberAuthorized,
        Self::MemberDeauthorized,
        Self::MemberChanged,
        Self::MemberRemoved,
        Self::MemberSeen,
    ];

    /// Returns the name of the kind in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkCreated => "network.created",
            Self::NetworkChanged => "network.changed",
            Self::NetworkRemoved => "network.removed",
            Self::MemberJoined => "member.joined",
            Self::MemberAdded => "member.added",
            Self::MemberAuthorized => "member.authorized",
            Self::MemberDeauthorized => "member.deauthorized",
            Self::MemberChanged => "member.changed",
            Self::MemberRemoved => "member.removed",
            Self::MemberSeen => "member.seen",
        }
    }

    /// Returns what happened when the network `before` became `after`; `None` if nothing did.
    pub fn of_network(before: Option<&Network>, after: Option<&Network>) -> Option<Self> {
        match (before, after) {
            (None, Some(_)) => Some(Self::NetworkCreated),
            (Some(_), None) => Some(Self::NetworkRemoved),
            (Some(before), Some(after)) if before != after => Some(Self::NetworkChanged),
            _ => None,
        }
    }

    /// Returns what happened when the member `before` became `after`, in the order in which it is told. Who joins a
    /// public network is authorized by that, which is two things; otherwise it is one.
    pub fn of_member(
        before: Option<&Member>,
        after: Option<&Member>,
        cause: Cause,
    ) -> impl Iterator<Item = Self> + use<> {
        let is_known = |member: Option<&Member>| member.is_some_and(|member| member.identity.is_some());
        let is_in = |member: Option<&Member>| member.is_some_and(|member| member.authorized);
        let has_joined = cause == Cause::Request && !is_known(before) && is_known(after);
        let appeared = match (before, after) {
            (_, Some(_)) if has_joined => Some(Self::MemberJoined),
            (None, Some(_)) => Some(Self::MemberAdded),
            _ => None,
        };
        let became = match (before, after) {
            (Some(_), None) => Some(Self::MemberRemoved),
            (_, Some(_)) if !is_in(before) && is_in(after) => Some(Self::MemberAuthorized),
            (_, Some(_)) if is_in(before) && !is_in(after) => Some(Self::MemberDeauthorized),
            (Some(before), Some(after)) if before != after && appeared.is_none() => Some(Self::MemberChanged),
            _ => None,
        };
        appeared.into_iter().chain(became)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use zt_proto::PublicIdentity;

    use super::*;
    use crate::member::Credential;

    const ADDRESS: Address = Address::MAX;

    fn member(is_authorized: bool, is_known: bool) -> Member {
        let mut member = Member::new(NetworkId(1), ADDRESS, Timestamp(1));
        member.identity = is_known.then_some(PublicIdentity { address: ADDRESS, key: [1; 64] });
        if is_authorized {
            member.authorize(Credential::Api, Timestamp(1));
        }
        member
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = EventKind::ALL.into_iter().map(EventKind::name).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
    }

    #[test]
    fn change_of_a_member_is_what_a_watcher_would_call_it() {
        use Cause::{Edit, Request};
        use EventKind::{
            MemberAdded, MemberAuthorized, MemberChanged, MemberDeauthorized, MemberJoined, MemberRemoved,
        };
        let named = Member { name: Some("laptop".to_owned()), ..member(true, true) };
        type Case = (Option<Member>, Option<Member>, Cause, &'static [EventKind]);
        let cases: [Case; 12] = [
            (None, Some(member(false, true)), Request, &[MemberJoined]),
            (None, Some(member(true, true)), Request, &[MemberJoined, MemberAuthorized]),
            (None, Some(member(true, false)), Edit, &[MemberAdded, MemberAuthorized]),
            (None, Some(member(false, true)), Edit, &[MemberAdded]),
            (Some(member(true, false)), Some(member(true, true)), Request, &[MemberJoined]),
            (Some(member(false, true)), Some(member(true, true)), Request, &[MemberAuthorized]),
            (Some(member(true, true)), Some(member(false, true)), Edit, &[MemberDeauthorized]),
            (Some(member(true, true)), Some(named.clone()), Edit, &[MemberChanged]),
            (Some(member(true, true)), Some(named), Request, &[MemberChanged]),
            (Some(member(true, true)), None, Edit, &[MemberRemoved]),
            (Some(member(true, true)), Some(member(true, true)), Edit, &[]),
            (None, None, Edit, &[]),
        ];
        for (before, after, cause, expected) in cases {
            let kinds: Vec<_> = EventKind::of_member(before.as_ref(), after.as_ref(), cause).collect();
            assert_eq!(kinds, expected, "{before:?} {after:?} {cause:?}");
        }
    }

    #[test]
    fn change_of_a_network_is_one_event_or_none() {
        let network = Network::new(NetworkId(1), Timestamp(1));
        let changed = Network { name: "x".to_owned(), ..network.clone() };
        for (before, after, expected) in [
            (None, Some(&network), Some(EventKind::NetworkCreated)),
            (Some(&network), Some(&changed), Some(EventKind::NetworkChanged)),
            (Some(&network), None, Some(EventKind::NetworkRemoved)),
            (Some(&network), Some(&network), None),
            (None, None, None),
        ] {
            assert_eq!(EventKind::of_network(before, after), expected);
        }
    }
}
