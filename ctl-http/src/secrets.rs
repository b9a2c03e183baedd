//! Join tokens let anybody in, so only those see them who may let anybody in: who may change the network.

use std::borrow::Cow;

use ctl_core::member::Credential;
use ctl_core::{Member, Network};

use crate::State;

impl State {
    /// Returns a network as the caller may see it.
    pub(crate) fn shown_network<'a>(&self, network: &'a Network) -> Cow<'a, Network> {
        if network.join_tokens.is_empty() || self.caller.may_change(network.id) {
            return Cow::Borrowed(network);
        }
        let mut shown = network.clone();
        shown.join_tokens.clear();
        Cow::Owned(shown)
    }

    /// Returns a member as the caller may see it.
    pub(crate) fn shown_member<'a>(&self, member: &'a Member) -> Cow<'a, Member> {
        let has_token = matches!(member.credential, Some(Credential::Token(_)));
        if !has_token || self.caller.may_change(member.network) {
            return Cow::Borrowed(member);
        }
        Cow::Owned(Member { credential: Some(Credential::Token(String::new())), ..member.clone() })
    }
}
