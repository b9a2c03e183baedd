//! Speaking first to nodes that were known in an earlier life: whoever has moved is found by nobody for minutes, unless it
//! says where it is now.

use std::net::SocketAddr;

use zt_crypto::VerifiedIdentity;
use zt_proto::Address;

use super::node::Event;
use super::{Link, Node, Now};

impl Node {
    /// Says HELLO to a node where it was last heard, if that is known, and through a root above this node, which reaches it
    /// behind a NAT and introduces both. With the first answer comes [`Event::Greeted`].
    ///
    /// Does nothing if the node was heard since this one started. The caller paces its calls.
    pub fn greet(&mut self, now: Now, identity: &VerifiedIdentity, heard_at: Option<SocketAddr>) {
        let now = self.start.present(now);
        let address = identity.address();
        if address == self.address() || self.roots.contains(address) {
            return;
        }
        self.admit(now, identity, None);
        let Some(peer) = self.peers.get_mut(&address) else { return };
        if peer.identity != *identity.public() || peer.version.is_some() {
            return;
        }
        peer.is_greeted = true;
        let direct = heard_at.map(|remote| Link { local: None, remote });
        let direct = direct.filter(|link| self.may_be_path(address, *link));
        let relayed = self.relay_link(now, address);
        for link in [direct, relayed].into_iter().flatten() {
            self.say_hello(now, address, link);
        }
    }

    /// Notes that a peer has proven to be there; tells it if somebody waits for that.
    pub(super) fn note_greeted(&mut self, address: Address) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        if std::mem::take(&mut peer.is_greeted) {
            self.emit(Event::Greeted(address));
        }
    }
}
