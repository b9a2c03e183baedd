//! Sendings of a configuration that are signed once and sent again (`vl2.md` §4.1).
//!
//! A signature takes longer than everything else in an answer, and it covers the update id, of which a client wants
//! another one each time: it remembers the last three, and drops chunks that it has. So a few sendings with different ids
//! are signed, one with each request, and then sent again in turn. They also differ in the millisecond of their time of
//! issue, as a client takes no notice of exactly what it has.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use ctl_core::{Issued, Sending};

use super::super::clock::Tick;

/// Sendings that are kept of one configuration: one more than the update ids that a client remembers.
pub(super) const MAX_SENDINGS: usize = 4;
/// Chunks of a configuration whose sendings are kept, with 96 bytes for each. Larger ones are signed each time.
const MAX_CHUNKS: u8 = 4;
const CHUNKS: RangeInclusive<u8> = 1..=MAX_CHUNKS;
/// When a client asks again that did not take what was sent: after 5 s, or 25 s in low-bandwidth mode
/// (`vl2.md` §3.2).
const RETRY: RangeInclusive<Duration> = Duration::from_millis(4_500)..=Duration::from_secs(35);

/// The sendings of one configuration. There are very many, so they are kept as bytes, and numbers as short as they can be.
#[derive(Debug, Default)]
pub(super) struct Sendings {
    /// [`Sending::bytes`] of each. The one in place n, from 1 on, says that it was issued n milliseconds later.
    signed: Box<[u8]>,
    /// When the last one left.
    last: Option<Tick>,
    /// How many are signed; from the second on there is room for all.
    count: u8,
    /// How many signatures each has, also if those are too many to be kept.
    chunks: u8,
    /// Whose turn is next, if no more are kept.
    next: u8,
}

impl Sendings {
    /// Returns the place of the sending whose turn it is, or that of the one that has to be signed.
    fn turn(&self, now: Tick) -> Result<u8, u8> {
        let is_retry = self.last.is_some_and(|last| RETRY.contains(&now.since(last)));
        match self.count {
            // Only what they say of their time goes round.
            _ if self.is_large() => Err(self.next),
            count if usize::from(count) < MAX_SENDINGS => Err(count),
            _ if is_retry => Err(self.next),
            _ => Ok(self.next),
        }
    }

    /// Says whether the configuration is too large for its sendings to be kept: each is signed anew.
    pub(super) fn is_large(&self) -> bool {
        self.chunks > MAX_CHUNKS
    }

    /// Returns by how many milliseconds the sending is to be later that the next call of [`Self::next`] has signed; `None`
    /// if it sends one again.
    pub(super) fn wanted(&self, now: Tick) -> Option<u64> {
        self.turn(now).err().map(later)
    }

    /// Returns the sending whose turn it is. `sign` makes another one, while there are few, that is later by so many
    /// milliseconds.
    ///
    /// A client that asks again as soon as if it had not taken the last one (it was lost, or this client remembers more than
    /// is known) gets one that never left before, in place of the oldest.
    pub(super) fn next(&mut self, issued: &Issued, now: Tick, sign: impl FnOnce(u64) -> Sending) -> Sending {
        let (turn, is_full) = (self.turn(now), usize::from(self.count) == MAX_SENDINGS);
        let (Ok(place) | Err(place)) = turn;
        let known = turn.ok().and_then(|place| self.sending(issued, place));
        let sending = known.unwrap_or_else(|| {
            let sending = sign(later(place));
            self.keep(&sending, place);
            sending
        });
        if is_full || self.is_large() {
            self.next = if usize::from(place) + 1 < MAX_SENDINGS { place + 1 } else { 0 };
        }
        self.last = Some(now);
        sending
    }

    fn sending(&self, issued: &Issued, place: u8) -> Option<Sending> {
        let bytes = self.signed.get(self.place(place))?;
        Sending::of_bytes(bytes, issued.timestamp().plus_millis(later(place)))
    }

    /// Returns where the bytes of a sending stand.
    fn place(&self, place: u8) -> Range<usize> {
        let (len, place) = (Sending::bytes_len(self.chunks.into()), usize::from(place));
        place * len..(place + 1) * len
    }

    /// Keeps a sending that leaves for the first time, in place of another, or as one more.
    fn keep(&mut self, sending: &Sending, place: u8) {
        let chunks = u8::try_from(sending.chunks()).unwrap_or(u8::MAX);
        if !CHUNKS.contains(&chunks) {
            self.chunks = chunks;
            return;
        }
        if place == self.count {
            self.chunks = chunks;
            // Many never ask again, and whoever does comes for all.
            let room = if self.count == 0 { 1 } else { MAX_SENDINGS };
            let mut signed = std::mem::take(&mut self.signed).into_vec();
            let missing = room * Sending::bytes_len(chunks.into()) - signed.len();
            signed.reserve_exact(missing);
            signed.resize(signed.len() + missing, 0);
            self.signed = signed.into_boxed_slice();
            self.count += 1;
        }
        let at = self.place(place);
        if let Some(kept) = self.signed.get_mut(at) {
            kept.copy_from_slice(&sending.bytes());
        }
    }
}

/// Returns by how many milliseconds the sending in this place says that it was issued later. What was pushed says the very
/// time of issue.
fn later(place: u8) -> u64 {
    u64::from(place) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::num::NonZeroU64;
    use std::time::Instant;

    use ctl_core::{ConfigRequest, Decision, Member, Network, Occupied, RequestKind, Snapshot, decide};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zt_crypto::IdentitySecret;
    use zt_proto::config::NetworkConfig;
    use zt_proto::packet::MAX_PAYLOAD;
    use zt_proto::rules::{Rule, RuleBody};
    use zt_proto::verb::network_config::ConfigChunk;
    use zt_proto::verb::network_config_request::RequestMetadata;
    use zt_proto::{NetworkId, PublicIdentity, Timestamp};

    use super::super::super::clock;
    use super::*;

    const ENVELOPE: &[u8] = b"in re";

    /// A client: it remembers the last three update ids (`vl2.md` §4.1) and takes no notice of what it has.
    struct Fixture {
        secret: IdentitySecret,
        issued: Issued,
        sendings: Sendings,
        start: Instant,
        /// Milliseconds since then.
        now: u64,
        signed: u64,
        remembered: VecDeque<u64>,
        has: Timestamp,
    }

    impl Fixture {
        fn new(rules: usize) -> Self {
            let secret = IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]));
            let issued = issued(&secret, rules);
            let (sendings, start) = (Sendings::default(), clock::now().mono);
            Self {
                secret,
                issued,
                sendings,
                start,
                now: 0,
                signed: 0,
                remembered: VecDeque::new(),
                has: Timestamp(0),
            }
        }

        /// Returns the update id of what comes back.
        fn ask(&mut self, after: u64) -> u64 {
            self.configuration(after).0
        }

        /// Returns update id and time of issue of what comes back.
        fn configuration(&mut self, after: u64) -> (u64, Timestamp) {
            self.now += after * 1000;
            let now = Tick::new(self.start, self.start + Duration::from_millis(self.now));
            let Self { secret, issued, sendings, signed, .. } = self;
            let mut wanted = sendings.wanted(now);
            let sending = sendings.next(issued, now, |later| {
                assert_eq!(wanted.take(), Some(later));
                *signed += 1;
                issued.sign_sending(NonZeroU64::new(*signed).unwrap(), later, secret)
            });
            let payloads = issued.compressed(&sending, ENVELOPE);
            assert_eq!(wanted, None, "it was signed");
            let mut dictionary = Vec::new();
            let payloads: Vec<_> =
                payloads.iter().map(|payload| payload.plain(MAX_PAYLOAD).unwrap()).collect();
            let chunks = payloads.iter().map(|payload| {
                ConfigChunk::parse(payload.strip_prefix(ENVELOPE).expect("it stands first")).unwrap()
            });
            let mut ids = chunks.map(|chunk| {
                dictionary.extend_from_slice(chunk.data);
                let part = chunk.part.clone().unwrap();
                let signed = chunk.signed_bytes();
                zt_crypto::signature::verify(secret.public(), &signed, &part.signature).unwrap();
                part.update_id
            });
            let id = ids.next().unwrap();
            assert!(ids.all(|other| other == id));
            let config = NetworkConfig::parse(&dictionary).unwrap();
            let later = config.timestamp;
            let expected = NetworkConfig::parse(&issued.dictionary()).unwrap();
            assert_eq!(NetworkConfig { timestamp: expected.timestamp, ..config }, expected);
            assert!((1..=MAX_SENDINGS as u64).contains(&later.millis_since(expected.timestamp)));
            (id, later)
        }

        /// Says whether the client takes what comes back; what is lost it does not see.
        fn takes(&mut self, after: u64, is_lost: bool) -> bool {
            let (id, timestamp) = self.configuration(after);
            let is_new = !is_lost && !self.remembered.contains(&id);
            let is_taken = is_new && timestamp != self.has;
            if is_new {
                self.has = timestamp;
                self.remembered.push_back(id);
                if self.remembered.len() > 3 {
                    self.remembered.pop_front();
                }
            }
            is_taken
        }
    }

    fn issued(secret: &IdentitySecret, rules: usize) -> Issued {
        let id = NetworkId::of_controller(secret.address(), 1);
        let mut network = Network::new(id, Timestamp(1));
        let body = RuleBody::Unknown { kind: 60, field: vec![1; 18] };
        network.rules = vec![Rule { not: false, or: false, body }; rules];
        let identity = PublicIdentity { address: zt_proto::Address::from_low_bits(7), key: [7; 64] };
        let member = Member { authorized: true, ..Member::new(id, identity.address, Timestamp(1)) };
        let snapshot = Snapshot {
            network: network.into(),
            member: Some(member),
            bridges: [].into(),
            occupied: Occupied::default().into(),
        };
        let metadata = RequestMetadata::parse(b"v=7\npv=c\nrevr=1");
        let request = ConfigRequest { network: id, identity, metadata, kind: RequestKind::Request };
        match decide(Some(&snapshot), &request, Timestamp(5)) {
            Decision::Admit { config, .. } => config.issue(secret).unwrap(),
            Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
        }
    }

    #[test]
    fn a_few_sendings_are_signed_and_then_sent_in_turn() {
        let mut fixture = Fixture::new(0);
        let ids: Vec<_> = (0..10).map(|_| fixture.ask(60)).collect();
        assert_eq!(ids, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]);
    }

    #[test]
    fn a_client_that_remembers_three_update_ids_takes_every_sending() {
        let mut fixture = Fixture::new(0);
        assert!((0..100).all(|_| fixture.takes(60, false)));
        assert_eq!(fixture.signed, MAX_SENDINGS as u64);
    }

    /// After any losses a client waits for two retries at most: for one that was not lost, and for one that it does not
    /// know.
    #[test]
    fn a_client_that_drops_a_sending_gets_one_that_it_cannot_know() {
        for lost in 0_u32..256 {
            let mut fixture = Fixture::new(0);
            assert!((0..8).all(|_| fixture.takes(60, false)));
            let mut after = 60;
            for n in 0..8 {
                let is_lost = lost >> n & 1 == 1;
                let is_taken = fixture.takes(after, is_lost);
                after = if is_taken { 60 } else { 5 };
            }
            assert!(fixture.takes(after, false) || fixture.takes(5, false), "{lost:08b}");
            assert!(usize::from(fixture.sendings.count) == MAX_SENDINGS);
        }
        // One that remembers more than is known takes what is new to it.
        let mut fixture = Fixture::new(0);
        let first: Vec<_> = (0..5).map(|_| fixture.ask(60)).collect();
        assert_eq!(first.last(), Some(&1));
        assert_eq!((fixture.ask(25), fixture.ask(60)), (5, 3), "the oldest gave way");
    }

    #[test]
    fn who_asks_at_any_other_time_dropped_nothing() {
        let mut fixture = Fixture::new(0);
        let ids: Vec<_> = [1, 2, 3, 4, 1, 2, 60, 62, 60].map(|after| fixture.ask(after)).into();
        assert_eq!(ids, [1, 2, 3, 4, 1, 2, 3, 4, 1]);
    }

    /// Each member that asked has them.
    #[test]
    fn signatures_are_nearly_all_that_is_kept() {
        let mut fixture = Fixture::new(0);
        fixture.ask(60);
        assert_eq!(fixture.sendings.signed.len(), 104, "one, of somebody who may never ask again");
        for _ in 0..9 {
            fixture.ask(60);
            assert_eq!(fixture.sendings.signed.len(), 4 * 104);
        }
        assert_eq!(size_of::<Sendings>(), 24);
    }

    #[test]
    fn of_a_large_configuration_no_sending_is_kept() {
        let mut fixture = Fixture::new(200);
        let chunks = fixture.issued.sign_sending(NonZeroU64::MIN, 0, &fixture.secret).chunks();
        assert!(chunks > 1 && chunks <= MAX_CHUNKS.into(), "{chunks}");
        assert!((0..9).all(|_| fixture.ask(60) > 0));
        assert_eq!(fixture.signed, MAX_SENDINGS as u64);
        let mut fixture = Fixture::new(1_000);
        assert!(
            fixture.issued.sign_sending(NonZeroU64::MIN, 0, &fixture.secret).chunks() > MAX_CHUNKS.into()
        );
        // Nor is one ever what the client has, which it would take no notice of.
        assert!((0..9).all(|_| fixture.takes(60, false)));
        assert_eq!((fixture.signed, fixture.sendings.signed.len()), (9, 0));
    }
}
