//! Answers that are known to be right without a look at the database.
//!
//! Most members ask once a minute, and most of the time nothing has changed. What a member was given last is then given
//! again, as long as no decision could be another one: it shows the same identity and says the same about itself, the
//! database is of the same generation ([`Store::generation`](ctl_store::Store::generation)), and what was issued is
//! fresh enough to be sent again. Whoever is not found here is decided about anew.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use ctl_core::{Issued, Network, Sending, memo};
use ctl_store::Common;
use foldhash::fast::RandomState;
use zt_proto::compression::Payload;
use zt_proto::{NetworkId, Timestamp};

use super::super::clock::Tick;
use super::super::push::Key;
use super::sendings::Sendings;

/// Members whose last answer is known, no more than the memo keeps: at most 2 KiB each, and some 500 bytes where a
/// configuration is one chunk. Past it, all are forgotten, and decided about once more.
const MAX_READY: usize = 1 << 17;

/// Networks that are kept as they were last read; past it, all are read again.
const MAX_COMMONS: usize = 256;

/// A hash of an identity and of what a client said with it, not parsed, under a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Said(pub u64);

/// The last answers.
#[derive(Debug)]
pub(super) struct ReadyAnswers {
    max: usize,
    /// Before all that is kept.
    start: Instant,
    /// By a fast hash: only members get here.
    entries: HashMap<Key, Entry, RandomState>,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    said: Said,
    until: Timestamp,
    /// Lives as long as the memo keeps it.
    issued: Weak<Issued>,
    sendings: Sendings,
}

/// An answer that is still right.
pub(super) struct Ready<'a> {
    issued: Arc<Issued>,
    sendings: &'a mut Sendings,
    start: Instant,
}

impl Ready<'_> {
    /// Returns the payloads of the answer, each behind `envelope`; `sign` makes a sending with an id of its own.
    pub(super) fn payloads(
        self,
        envelope: &[u8],
        now: Instant,
        sign: impl FnOnce(&Issued, u64) -> Sending,
    ) -> Vec<Payload> {
        let now = Tick::new(self.start, now);
        let sending = self.sendings.next(&self.issued, now, |later| sign(&self.issued, later));
        self.issued.compressed(&sending, envelope)
    }
}

impl ReadyAnswers {
    pub(super) fn new(start: Instant) -> Self {
        Self::with_room_for(MAX_READY, start)
    }

    fn with_room_for(max: usize, start: Instant) -> Self {
        Self { max, start, entries: HashMap::default() }
    }

    /// Returns what was issued to whoever asks, if it is still right at `generation`, and if no more than a few signatures
    /// would have to be made for it.
    pub(super) fn find(
        &mut self,
        key: Key,
        said: Said,
        generation: u64,
        now: Timestamp,
    ) -> Option<Ready<'_>> {
        let entry = self.entries.get_mut(&key)?;
        let is_right = entry.generation == generation && now <= entry.until && entry.said == said;
        let issued =
            if is_right && !entry.sendings.is_large() { entry.issued.upgrade()? } else { return None };
        Some(Ready { issued, sendings: &mut entry.sendings, start: self.start })
    }

    /// Keeps what was decided at a generation that was asked for before anything was read. A session of single sign-on
    /// ends by itself, so what is decided in such networks is never found, and only its sendings are kept.
    pub(super) fn keep(
        &mut self,
        key: Key,
        said: Said,
        network: &Network,
        generation: u64,
        issued: &Arc<Issued>,
    ) {
        // Decided anew, but the same: its sendings are still good.
        let known = self.entries.remove(&key).filter(|known| is_of(known, issued));
        if self.entries.len() >= self.max {
            self.entries.clear();
        }
        let sendings = known.map(|known| known.sendings).unwrap_or_default();
        let until = if network.sso_enabled {
            Timestamp(0)
        } else {
            issued.certified().plus_millis(memo::reusable_for(network))
        };
        self.entries.insert(key, Entry { generation, said, until, issued: Arc::downgrade(issued), sendings });
    }

    /// Returns by how many milliseconds the sending is to be later that [`Self::sending`] has signed; `None` if it sends one
    /// again.
    pub(super) fn wanted(&self, key: Key, issued: &Arc<Issued>, now: Instant) -> Option<u64> {
        match self.entries.get(&key).filter(|entry| is_of(entry, issued)) {
            Some(entry) => entry.sendings.wanted(Tick::new(self.start, now)),
            None => Some(0),
        }
    }

    /// Returns the sending of what was just decided, which may be what the member has already; `sign` makes one with an id of
    /// its own.
    pub(super) fn sending(
        &mut self,
        key: Key,
        issued: &Arc<Issued>,
        now: Instant,
        sign: impl FnOnce(u64) -> Sending,
    ) -> Sending {
        match self.entries.get_mut(&key).filter(|entry| is_of(entry, issued)) {
            Some(entry) => entry.sendings.next(issued, Tick::new(self.start, now), sign),
            None => sign(0),
        }
    }
}

fn is_of(entry: &Entry, issued: &Arc<Issued>) -> bool {
    // What a weak pointer leads to keeps its place in memory.
    std::ptr::eq(entry.issued.as_ptr(), Arc::as_ptr(issued))
}

/// Networks as they were last read.
#[derive(Debug, Default)]
pub(super) struct Commons(HashMap<NetworkId, (u64, Common)>);

impl Commons {
    /// Returns the network if it was read at this generation.
    pub(super) fn find(&self, network: NetworkId, generation: u64) -> Option<Common> {
        self.0.get(&network).filter(|(read, _)| *read == generation).map(|(_, common)| common.clone())
    }

    /// Keeps what was read. The generation must have been settled both before and after the transaction first read.
    pub(super) fn keep(&mut self, common: &Common, generation: u64) {
        if self.0.get(&common.network.id).is_some_and(|(read, _)| *read == generation) {
            return;
        }
        if self.0.len() >= MAX_COMMONS {
            self.0.clear();
        }
        self.0.insert(common.network.id, (generation, common.clone()));
    }
}

#[cfg(test)]
mod tests {
    use ctl_core::{ConfigRequest, Decision, Member, RequestKind, decide};
    use ctl_store::Store;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zt_crypto::IdentitySecret;
    use zt_proto::rules::{Rule, RuleBody};
    use zt_proto::verb::network_config_request::RequestMetadata;
    use zt_proto::{Address, PublicIdentity};

    use super::super::super::clock;
    use super::*;

    const SAID: Said = Said(1);
    const ISSUED: Timestamp = Timestamp(1_000);

    fn key(node: u64) -> Key {
        (NetworkId(1), Address::from_low_bits(node))
    }

    fn issued(secret: &IdentitySecret) -> (Arc<Network>, Arc<Issued>) {
        issued_with(secret, Vec::new())
    }

    fn issued_with(secret: &IdentitySecret, rules: Vec<Rule>) -> (Arc<Network>, Arc<Issued>) {
        let store = Store::in_memory().unwrap();
        let (id, identity) = (key(1).0, PublicIdentity { address: key(1).1, key: [7; 64] });
        let member = Member { authorized: true, ..Member::new(id, identity.address, ISSUED) };
        let put = move |tx: &ctl_store::Tx<'_>| {
            tx.networks().put(&Network { rules, ..Network::new(id, ISSUED) })?;
            tx.members().put(&member)
        };
        store.write(put).unwrap();
        let snapshot = store.read(|tx| tx.snapshot(id, identity.address)).unwrap();
        let metadata = RequestMetadata::parse(b"v=7\npv=c\nrevr=1");
        let request = ConfigRequest { network: id, identity, metadata, kind: RequestKind::Request };
        match decide(snapshot.as_ref(), &request, ISSUED) {
            Decision::Admit { config, .. } => {
                (snapshot.unwrap().network, config.issue(secret).unwrap().into())
            }
            Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
        }
    }

    fn secret() -> IdentitySecret {
        IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]))
    }

    #[test]
    fn too_many_answers_are_all_forgotten_and_kept_anew() {
        let (network, issued) = issued(&secret());
        let mut ready = ReadyAnswers::new(clock::now().mono);
        let bound = MAX_READY as u64;
        for node in 0..bound {
            ready.keep(key(node), SAID, &network, 1, &issued);
        }
        assert!(ready.entries.len() == MAX_READY && ready.find(key(0), SAID, 1, ISSUED).is_some());
        // Who is known already takes no more room.
        ready.keep(key(5), SAID, &network, 2, &issued);
        assert_eq!(ready.entries.len(), MAX_READY);
        ready.keep(key(bound), SAID, &network, 1, &issued);
        assert!(ready.entries.len() == 1 && ready.find(key(bound), SAID, 1, ISSUED).is_some());
    }

    #[test]
    fn too_many_networks_are_all_forgotten_and_kept_anew() {
        let store = Store::in_memory().unwrap();
        let mut commons = Commons::default();
        let bound = MAX_COMMONS as u64;
        for n in 0..=bound {
            let id = NetworkId(n);
            store.write(|tx| tx.networks().put(&Network::new(id, ISSUED))).unwrap();
            let common = store.read(|tx| tx.common(id)).unwrap().unwrap();
            commons.keep(&common, 1);
            commons.keep(&common, 1);
            assert!(commons.find(id, 1).is_some() && commons.find(id, 2).is_none());
            assert_eq!(commons.0.len() as u64, if n < bound { n + 1 } else { 1 });
        }
    }

    /// A client takes no notice of what it has, and is decided about anew each time where members log in, or where something
    /// else changes all the time.
    #[test]
    fn what_is_decided_anew_each_time_is_sent_in_turn_too() {
        let secret = secret();
        let ((network, issued), now) = (issued(&secret), clock::now().mono);
        let with_login = Network { sso_enabled: true, ..Network::clone(&network) };
        for network in [&*network, &with_login] {
            let (mut ready, mut id) = (ReadyAnswers::new(clock::now().mono), 0_u64);
            let mut sent = Vec::new();
            for generation in 0..8 {
                ready.keep(key(1), SAID, network, generation, &issued);
                let is_found = ready.find(key(1), SAID, generation, ISSUED).is_some();
                assert_eq!(is_found, !network.sso_enabled);
                let sending = ready.sending(key(1), &issued, now, |later| {
                    id += 1;
                    issued.sign_sending(id.try_into().unwrap(), later, &secret)
                });
                sent.push(issued.compressed(&sending, &[]));
            }
            let (first, second) = sent.split_at(4);
            assert!(id == 4 && first == second && (1..4).all(|n| sent[n - 1] != sent[n]));
        }
    }

    #[test]
    fn what_takes_many_signatures_each_time_is_not_found() {
        let (secret, now) = (secret(), clock::now().mono);
        let body = RuleBody::Unknown { kind: 60, field: vec![1; 18] };
        for (rules, is_large) in [(100, false), (1_000, true)] {
            let rules = vec![Rule { not: false, or: false, body: body.clone() }; rules];
            let (network, issued) = issued_with(&secret, rules);
            let mut ready = ReadyAnswers::new(now);
            ready.keep(key(1), SAID, &network, 1, &issued);
            ready.sending(key(1), &issued, now, |later| {
                issued.sign_sending(99.try_into().unwrap(), later, &secret)
            });
            assert_eq!(ready.find(key(1), SAID, 1, ISSUED).is_none(), is_large);
        }
    }

    #[test]
    fn sendings_stay_as_long_as_what_they_are_of() {
        let secret = secret();
        let ((network, first), now) = (issued(&secret), clock::now().mono);
        let mut ready = ReadyAnswers::new(clock::now().mono);
        let mut signed = 0;
        let mut ask = |ready: &mut ReadyAnswers, generation| {
            let found = ready.find(key(1), SAID, generation, ISSUED).unwrap();
            found.payloads(&[], now, |issued, later| {
                signed += 1;
                issued.sign_sending(signed.try_into().unwrap(), later, &secret)
            });
            signed
        };
        ready.keep(key(1), SAID, &network, 1, &first);
        let sign = |later| first.sign_sending(99.try_into().unwrap(), later, &secret);
        let send =
            |ready: &mut ReadyAnswers| first.compressed(&ready.sending(key(1), &first, now, sign), &[]);
        assert_eq!(send(&mut ready), first.compressed(&sign(1), &[]), "not what a push says");
        let times: Vec<_> = (0..6).map(|_| ask(&mut ready, 1)).collect();
        assert_eq!(times, [1, 2, 3, 3, 3, 3], "the first was signed before");
        // Something else changed, and the member is issued the same.
        ready.keep(key(1), SAID, &network, 2, &first);
        assert_eq!(ask(&mut ready, 2), 3);
        // It is issued something new.
        let second = Arc::new(Issued::clone(&first));
        ready.keep(key(1), SAID, &network, 3, &second);
        assert_eq!(ask(&mut ready, 3), 4);
        // What was signed meanwhile is of what is not kept any more.
        assert_eq!(send(&mut ready), first.compressed(&sign(0), &[]));
        let times: Vec<_> = (0..5).map(|_| ask(&mut ready, 3)).collect();
        assert_eq!(times, [5, 6, 7, 7, 7]);
    }
}
