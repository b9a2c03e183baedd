//! Identities asked for and given (`vl1.md` §10.5, §16.3).

use zt_proto::verb::{Verb, whois};
use zt_proto::{Address, PublicIdentity};

use super::Node;
use super::moment::Present;
use super::node::{Event, Ignored, RequestId};
use super::strangers::Begun;
use super::timer::Timer;
use super::wanted::ASK_INTERVAL;

/// Identities in one answer, so that it fits into one datagram.
const MAX_ANSWERS: usize = 16;

impl Node {
    /// Answers for every peer, for the other roots and for this node itself; nothing if none is known.
    pub(super) fn on_whois(
        &mut self,
        now: Present,
        request: RequestId,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        let Some(peer) = self.peers.get_mut(&request.from) else { return Ok(()) };
        if !peer.take_whois(now.mono) {
            return Err(Ignored::RateLimited("WHOIS"));
        }
        let asked = whois::parse_request(payload).take(MAX_ANSWERS);
        let (known, unknown): (Vec<_>, Vec<_>) =
            asked.map(|address| self.identity_of(address).ok_or(address)).partition(Result::is_ok);
        if self.roots.is_root() {
            // Another root may know them; whoever asked will ask again.
            for address in unknown.into_iter().filter_map(Result::err) {
                self.want(now, address);
            }
        }
        let found: Vec<_> = known.into_iter().flatten().collect();
        if found.is_empty() {
            return Ok(());
        }
        let mut answer = Vec::new();
        whois::write_answer(&found, &mut answer);
        self.send_ok(now, request, Verb::WHOIS, &answer);
        Ok(())
    }

    /// Returns the identity of a peer, of a root, or of this node.
    pub fn identity_of(&self, address: Address) -> Option<PublicIdentity> {
        if address == self.address() {
            return Some(*self.secret.public());
        }
        let peer = self.peers.get(&address).map(|peer| peer.identity);
        peer.or_else(|| self.roots.identity(address).copied())
    }

    /// Takes an identity that a root told, once it is verified, if it is still wanted.
    pub(super) fn on_ok_whois(&mut self, now: Present, from: Address, answer: &[u8]) -> Result<(), Ignored> {
        if !self.roots.contains(from) {
            return Err(Ignored::NotFromRoot);
        }
        for identity in whois::parse_answer(answer).take(MAX_ANSWERS) {
            let identity = identity?;
            if !self.wanted.contains(identity.address) {
                return Err(Ignored::UnwantedIdentity);
            }
            let is_new = !self.peers.contains_key(&identity.address);
            if is_new && self.strangers.begin(identity, None, now.mono) == Begun::New {
                self.emit(Event::IdentityToVerify(identity));
            }
        }
        Ok(())
    }

    /// Has somebody find out an identity: whoever remembers it, or a root. Says whether that is new; it is not if they are
    /// asked already, or for too many others.
    pub(super) fn want(&mut self, now: Present, address: Address) -> bool {
        let is_new = self.wanted.begin(address, now.mono);
        if is_new {
            self.ask_for(now, address);
        }
        is_new
    }

    /// Begins to ask for an identity that is wanted.
    pub(super) fn ask_for(&mut self, now: Present, address: Address) {
        self.recall(address);
        if !self.wanted.is_armed {
            self.wanted.is_armed = true;
            self.timers.arm(now.mono + ASK_INTERVAL, Timer::Whois);
        }
        self.ask_roots(now);
    }

    /// Asks again, as long as something is wanted.
    pub(super) fn repeat_questions(&mut self, now: Present) {
        self.wanted.sweep(now.mono);
        self.wanted.is_armed = !self.wanted.is_empty();
        if self.wanted.is_armed {
            self.timers.arm(now.mono + ASK_INTERVAL, Timer::Whois);
        }
        self.ask_roots(now);
    }

    /// Asks the best root above this node, if there is one, for what it was not asked lately: one identity a packet, since
    /// that is what roots are used to.
    fn ask_roots(&mut self, now: Present) {
        let Some(root) = self.best_root(now) else { return };
        for address in self.wanted.take_questions(now.mono) {
            self.send(now, root, Verb::WHOIS, &address.octets());
        }
    }

    fn best_root(&self, now: Present) -> Option<Address> {
        let paths = self
            .roots
            .upstream()
            .filter_map(|root| Some((self.peers.get(&root)?.best_path(now.mono)?.badness(now.mono), root)));
        paths.min().map(|(_, root)| root)
    }
}
