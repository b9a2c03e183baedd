//! Identities asked for and given (`vl1.md` §10.5, §16.3).

use zt_proto::verb::{Verb, whois};
use zt_proto::{Address, PublicIdentity};

use super::node::{Event, Ignored, RequestId};
use super::strangers::Begun;
use super::{Node, Now};

/// Identities in one answer, so that it fits into one datagram.
const MAX_ANSWERS: usize = 16;

impl Node {
    /// Answers for every peer, for the other roots and for this node itself; nothing if none is known.
    pub(super) fn on_whois(&mut self, now: Now, request: RequestId, payload: &[u8]) -> Result<(), Ignored> {
        let Some(peer) = self.peers.get_mut(&request.from) else { return Ok(()) };
        if !peer.take_whois(now.mono) {
            return Err(Ignored::RateLimited("WHOIS"));
        }
        let known = whois::parse_request(payload).filter_map(|address| self.identity_of(address));
        let found: Vec<_> = known.take(MAX_ANSWERS).collect();
        if found.is_empty() {
            return Ok(());
        }
        let mut answer = Vec::new();
        whois::write_answer(&found, &mut answer);
        self.send_ok(now, request, Verb::WHOIS, &answer);
        Ok(())
    }

    fn identity_of(&self, address: Address) -> Option<PublicIdentity> {
        if address == self.address() {
            return Some(*self.secret.public());
        }
        let peer = self.peers.get(&address).map(|peer| peer.identity);
        peer.or_else(|| self.roots.identity(address).copied())
    }

    /// Takes the identity that a root told, once it is verified.
    pub(super) fn on_ok_whois(&mut self, now: Now, from: Address, answer: &[u8]) -> Result<(), Ignored> {
        if !self.roots.contains(from) {
            return Err(Ignored::NotFromRoot);
        }
        for identity in whois::parse_answer(answer).take(MAX_ANSWERS) {
            let identity = identity?;
            let is_new = !self.peers.contains_key(&identity.address);
            if is_new && self.strangers.begin(identity, None, now.mono) == Begun::New {
                self.emit(Event::IdentityToVerify(identity));
            }
        }
        Ok(())
    }

    /// Asks the roots above this node, if there are any.
    pub(super) fn ask_whois(&mut self, now: Now, address: Address) {
        let root = self
            .roots
            .upstream()
            .find(|root| self.peers.get(root).is_some_and(|peer| peer.best_path(now.mono).is_some()));
        if let Some(root) = root {
            self.send(now, root, Verb::WHOIS, &address.octets());
        }
    }
}
