//! Who is remembered, for how long, and what who asks again gets.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use ctl_core::{ConfigRequest, Decision, Member, Occupied, RequestKind, Snapshot, decide};
use ctl_store::MAX_PLATFORM_BYTES;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zt_crypto::IdentitySecret;
use zt_proto::PublicIdentity;
use zt_proto::config::NetworkConfig;
use zt_proto::packet::MAX_PAYLOAD;
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::verb::network_config::ConfigChunk;

use super::super::clock;
use super::Standing::{Admitted, Refused};
use super::sayings::MAX_SAYINGS;
use super::sendings::MAX_SENDINGS;
use super::*;
use crate::vl1::Now;

const NETWORK: NetworkId = NetworkId(1);
const ASKED: Asked = Asked(1);
const GENERATION: u64 = 1;
const ENVELOPE: &[u8] = b"in re";

fn modern() -> RequestMetadata {
    RequestMetadata::parse(b"v=7")
}

fn node(n: u64) -> Address {
    Address::from_low_bits(n)
}

fn key(n: u64) -> Key {
    (NETWORK, node(n))
}

fn start() -> Now {
    clock::now()
}

fn after(start: Now, millis: u64) -> Now {
    Now { mono: start.mono + Duration::from_millis(millis), wall: start.wall.plus_millis(millis) }
}

fn secret() -> IdentitySecret {
    IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]))
}

/// A network with so many rules of 18 bytes, and what a member of it is issued.
fn issued(secret: &IdentitySecret, rules: usize, now: Timestamp) -> (Network, Arc<Issued>) {
    let id = NetworkId::of_controller(secret.address(), 1);
    let body = RuleBody::Unknown { kind: 60, field: vec![1; 18] };
    let rules = vec![Rule { not: false, or: false, body }; rules];
    let network = Network { rules, ..Network::new(id, Timestamp(1)) };
    let identity = PublicIdentity { address: node(7), key: [7; 64] };
    let member = Member { authorized: true, ..Member::new(id, identity.address, Timestamp(1)) };
    let snapshot = Snapshot {
        network: network.clone().into(),
        member: Some(member),
        bridges: [].into(),
        occupied: Occupied::default().into(),
    };
    let metadata = RequestMetadata::parse(b"v=7\npv=c\nrevr=1");
    let request = ConfigRequest { network: id, identity, metadata, kind: RequestKind::Request };
    match decide(Some(&snapshot), &request, now) {
        Decision::Admit { config, .. } => (network, config.issue(secret).unwrap().into()),
        Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
    }
}

/// Members, one of which has something that was issued to it.
struct Fixture {
    secret: IdentitySecret,
    issued: Arc<Issued>,
    lasting: Lasting,
    members: Members,
    now: Now,
    signed: u64,
}

impl Fixture {
    fn new() -> Self {
        let (secret, now) = (secret(), start());
        let (network, issued) = issued(&secret, 0, now.wall);
        let lasting = Lasting::of(&network, GENERATION, &issued).unwrap();
        Self { secret, issued, lasting, members: Members::default(), now, signed: 0 }
    }

    fn answered(&self) -> Answered {
        Answered { asked: ASKED, lasting: self.lasting, issued: Arc::downgrade(&self.issued) }
    }

    /// A node asks, is decided about, and admitted.
    fn decided(&mut self, n: u64, now: Now) -> bool {
        let answered = self.answered();
        self.members.note(key(n), modern().into(), Some(answered), Admitted, now.mono)
    }

    /// It asks in the same way again.
    fn again(&mut self, n: u64, now: Now) -> Again {
        self.members.again(key(n), ASKED, GENERATION, now.wall, now.mono)
    }

    fn sign(&mut self, turn: Turn) -> Sending {
        self.signed += 1;
        self.issued.sign_sending(NonZeroU64::new(self.signed).unwrap(), turn.later(), &self.secret)
    }

    /// It asks again so many milliseconds later, at once or after a decision; returns update id and time of what it gets.
    fn ask(&mut self, n: u64, millis: u64, is_decided: bool) -> (u64, Timestamp) {
        self.now = after(self.now, millis);
        let sending = match (!is_decided).then(|| self.again(n, self.now)) {
            Some(Again::Ready(Ready { issued, turn, sending, is_kept, .. })) => {
                sending.unwrap_or_else(|| {
                    let sending = self.sign(turn);
                    if is_kept {
                        self.members.keep(key(n), &issued, turn, &sending);
                    }
                    sending
                })
            }
            Some(Again::TooSoon) => panic!("too soon"),
            Some(Again::Other) | None => {
                let turn = self.members.turn(key(n));
                let sending = self.sign(turn);
                self.decided(n, self.now);
                sending
            }
        };
        self.read(&sending)
    }

    /// Reads what a client would, with its signatures.
    fn read(&self, sending: &Sending) -> (u64, Timestamp) {
        let payloads = self.issued.compressed(sending, ENVELOPE);
        let (mut dictionary, mut ids) = (Vec::new(), Vec::new());
        for payload in payloads {
            let plain = payload.plain(MAX_PAYLOAD).unwrap();
            let chunk = ConfigChunk::parse(plain.strip_prefix(ENVELOPE).expect("it stands first")).unwrap();
            dictionary.extend_from_slice(chunk.data);
            let part = chunk.part.clone().unwrap();
            zt_crypto::signature::verify(self.secret.public(), &chunk.signed_bytes(), &part.signature)
                .unwrap();
            ids.push(part.update_id);
        }
        ids.dedup();
        let ([id], config) = (&ids[..], NetworkConfig::parse(&dictionary).unwrap()) else {
            panic!("{ids:?}")
        };
        let later = config.timestamp.millis_since(self.issued.timestamp());
        assert!((1..=MAX_SENDINGS.into()).contains(&later), "what is pushed says 0");
        (*id, config.timestamp)
    }
}

impl Members {
    /// A node asks that cannot be answered at once the next time.
    fn asks(&mut self, n: u64, standing: Standing, now: Now) -> bool {
        self.note(key(n), modern().into(), None, standing, now.mono)
    }

    /// Counts what the table counts as it goes.
    fn assert_counts(&self) {
        let waiting = self.nodes.values().filter(|seen| !seen.is_configured()).count();
        let often = self.nodes.values().filter(|seen| seen.sendings.is_some()).count();
        assert_eq!((self.waiting, self.often), (waiting, often));
        assert!(self.nodes.values().all(|seen| seen.sendings.is_none() || seen.answered.is_some()));
    }
}

/// Each member that is online has one, in a table that takes five bytes beside it.
#[test]
fn little_is_kept_of_a_node() {
    assert!(size_of::<Seen>() <= 72, "{}", size_of::<Seen>());
}

#[test]
fn a_node_may_ask_again_after_more_than_a_second() {
    let (mut members, start) = (Members::default(), start());
    let at = |millis| after(start, millis).mono;
    assert!(members.take(key(7), at(0)));
    assert!(!members.take(key(7), at(0)), "two at one instant");
    assert!(!members.take(key(7), at(1_000)));
    assert!(members.take(key(7), at(1_001)));
    assert!(members.take((NetworkId(2), node(7)), at(0)));
}

/// `known-flaws.md` row 7.
#[test]
fn refused_nodes_are_remembered_up_to_a_bound_and_take_no_place_of_members() {
    let (mut members, now) = (Members::default(), start());
    for n in 1..=100_000 {
        members.asks(n, Refused, now);
    }
    assert_eq!((members.nodes.len(), members.waiting), (MAX_WAITING, MAX_WAITING));
    members.asks(100_001, Admitted, now);
    assert!(members.online(key(100_001), now.mono).is_some());
    // One that is authorized makes room for another.
    assert!(members.pushed(key(1), Admitted, now.mono));
    members.asks(100_002, Refused, now);
    assert_eq!((members.nodes.len(), members.waiting), (MAX_WAITING + 2, MAX_WAITING));
    members.sweep(now.mono + ONLINE_FOR);
    assert!(members.nodes.is_empty() && members.order.is_empty() && members.waiting == 0);
}

#[test]
fn members_are_remembered_up_to_a_bound_and_the_newest_gives_way() {
    let (mut members, now) = (Members::with_room_for(1_000), start());
    for n in 1..=2_000 {
        members.asks(n, Admitted, now);
    }
    assert_eq!(members.nodes.len(), 1_000);
    assert!(members.asks(1_001, Admitted, now), "it may have missed something whenever it asks");
    assert!(members.online(key(1_001), now.mono).is_none());
    members.sweep(now.mono + ONLINE_FOR);
    members.asks(1_001, Admitted, after(now, 120_000));
    assert_eq!(members.nodes.len(), 1);
}

#[test]
fn only_members_that_asked_lately_are_online() {
    let (mut members, now) = (Members::default(), start());
    for key in [key(7), key(8), (NetworkId(2), node(9))] {
        assert!(members.note(key, modern().into(), None, Admitted, now.mono));
    }
    members.asks(5, Refused, now);
    let later = after(now, 60_000);
    assert!(!members.asks(8, Admitted, later));
    assert_eq!(members.receivers(NETWORK, Address::NONE, later.mono), [node(7), node(8)]);
    assert_eq!(members.receivers(NETWORK, node(7), later.mono), [node(8)]);
    let end = after(now, 121_000).mono;
    assert_eq!(members.receivers(NETWORK, Address::NONE, end), [node(8)]);
    members.sweep(end);
    assert_eq!((members.nodes.len(), members.order.range(NETWORK, ..).count()), (1, 1));
}

/// `known-flaws.md` row 13.
#[test]
fn a_member_that_asks_out_of_its_rhythm_comes_back() {
    let (mut members, now) = (Members::default(), start());
    let at = |seconds: u64| after(now, seconds * 1_000);
    assert!(members.asks(7, Admitted, at(0)), "new");
    assert!(!members.asks(7, Admitted, at(62)), "asks once a minute");
    assert!(members.asks(7, Admitted, at(82)), "started again");
    // A push moves the rhythm.
    members.pushed(key(7), Admitted, at(102).mono);
    assert!(!members.asks(7, Admitted, at(164)));
    assert!(members.asks(7, Refused, at(226)) | members.asks(7, Admitted, at(231)), "was refused");
    assert!(members.asks(7, Admitted, at(351)), "was offline");
}

#[test]
fn what_many_say_is_kept_once_and_different_sayings_are_bounded() {
    let (mut members, now) = (Members::default(), start());
    let says = |n: u64| RequestMetadata { flags: n, ..modern() };
    let bound = MAX_SAYINGS as u64;
    for n in 0..2 * bound {
        let said = members.share(&says(n));
        members.note(key(n), said, None, Admitted, now.mono);
    }
    assert_eq!(members.said.len(), MAX_SAYINGS);
    let metadata = |members: &Members, n| Arc::clone(&members.online(key(n), now.mono).unwrap().metadata);
    let said = members.share(&says(5));
    members.note(key(9_999), said, None, Admitted, now.mono);
    assert!(Arc::ptr_eq(&metadata(&members, 9_999), &metadata(&members, 5)));
    assert_eq!(*metadata(&members, bound + 7), says(bound + 7), "beyond the bound");
    members.sweep(now.mono + ONLINE_FOR);
    assert_eq!(members.said.len(), 0);
}

/// Before 1.2.0 the verb of credentials meant something else.
#[test]
fn an_old_client_gets_no_credentials_but_belongs_to_a_changed_network() {
    let (mut members, now) = (Members::default(), start());
    members.note(key(7), RequestMetadata::default().into(), None, Admitted, now.mono);
    assert_eq!(members.receivers(NETWORK, Address::NONE, now.mono), []);
    let all = Address::NONE..=Address::MAX;
    assert_eq!(members.next_member(NETWORK, all, now.mono), Some(node(7)));
}

#[test]
fn a_token_is_not_kept_nor_more_of_a_platform_than_the_database_takes() {
    let mut members = Members::default();
    let metadata = RequestMetadata::parse(b"v=7\na=token:secret");
    assert!(metadata.token.is_some());
    assert_eq!(members.share(&metadata).token, None);
    let platform = "x".repeat(60_000);
    let said = members.share(&RequestMetadata { platform, ..metadata });
    assert_eq!(said.platform.len(), MAX_PLATFORM_BYTES);
    // Who says it again is known.
    assert!(Arc::ptr_eq(&members.share(&said), &said));
    assert_eq!(members.said.len(), 2);
}

#[test]
fn a_member_that_asks_in_the_same_way_again_is_noted_as_if_it_had_been_decided_about() {
    let mut fixture = Fixture::new();
    let start = fixture.now;
    let at = |seconds: u64| after(start, seconds * 1_000);
    let noted = |again| match again {
        Again::Ready(ready) => Some(ready.may_have_missed),
        Again::TooSoon | Again::Other => None,
    };
    assert_eq!(noted(fixture.again(7, at(0))), None, "never seen");
    fixture.decided(7, at(0));
    assert_eq!(noted(fixture.again(7, at(62))), Some(false), "once a minute");
    assert_eq!(noted(fixture.again(7, at(82))), Some(true), "started again");
    assert!(fixture.members.online(key(7), at(200).mono).is_some());
    fixture.decided(7, at(210));
    assert_eq!(noted(fixture.again(7, at(330))), None, "was offline");
    fixture.members.asks(7, Refused, at(330));
    assert_eq!(noted(fixture.again(7, at(333))), None, "was refused");
}

#[test]
fn only_what_is_still_right_is_sent_again() {
    let mut fixture = Fixture::new();
    let start = fixture.now;
    let fresh_for = fixture.lasting.until.millis_since(fixture.issued.certified());
    assert_eq!(fresh_for, memo::reusable_for(&Network::new(NETWORK, Timestamp(1))));
    let mut is_right = |asked, generation, millis| {
        // Online all the time.
        let answered = fixture.answered();
        let then = after(start, millis - 60_000).mono;
        fixture.members.note(key(7), modern().into(), Some(answered), Admitted, then);
        let now = after(start, millis);
        let again = fixture.members.again(key(7), asked, generation, now.wall, now.mono);
        matches!(again, Again::Ready(_))
    };
    assert!(is_right(ASKED, GENERATION, 60_000));
    assert!(!is_right(Asked(2), GENERATION, 60_000), "it says something else");
    assert!(!is_right(ASKED, GENERATION + 1, 60_000), "something was written");
    assert!(is_right(ASKED, GENERATION, fresh_for) && !is_right(ASKED, GENERATION, fresh_for + 1));
    // The memo keeps it no longer.
    fixture.decided(8, start);
    fixture.issued = Arc::new(Issued::clone(&fixture.issued));
    assert!(matches!(fixture.again(8, after(start, 60_000)), Again::Other));
    // Logins end by themselves.
    let (network, issued) = issued(&fixture.secret, 0, start.wall);
    let with_login = Network { sso_enabled: true, ..network };
    assert!(Lasting::of(&with_login, GENERATION, &issued).is_none());
}

#[test]
fn a_member_that_asks_in_the_same_way_again_may_do_so_after_more_than_a_second() {
    let mut fixture = Fixture::new();
    let start = fixture.now;
    let at = |millis| after(start, millis);
    fixture.decided(7, at(0));
    assert!(matches!(fixture.again(7, at(1_000)), Again::TooSoon));
    assert!(matches!(fixture.again(7, at(1_001)), Again::Ready(_)));
    // The other way to ask knows of it.
    let members = &mut fixture.members;
    assert!(!members.take(key(7), at(2_001).mono));
    assert!(members.take(key(7), at(2_002).mono) && members.take((NetworkId(2), node(7)), at(2_002).mono));
    // Of one that was only taken as online nobody knows when it asked.
    members.note(key(8), modern().into(), None, Admitted, at(0).mono);
    assert!(members.take(key(8), at(0).mono));
}

#[test]
fn what_clients_ask_for_by_themselves_is_signed_anew_and_nothing_is_kept_for_it() {
    let mut fixture = Fixture::new();
    let asked = [0, 60_000, 62_000, 5_000, 25_000, 5_000, 60_000].map(|millis| fixture.ask(7, millis, false));
    assert_eq!(asked.map(|(id, _)| id), [1, 2, 3, 4, 5, 6, 7]);
    let later = asked.map(|(_, time)| time.millis_since(fixture.issued.timestamp()));
    assert_eq!(later, [1, 2, 3, 4, 1, 2, 3], "never what it has");
    assert_eq!(fixture.members.often, 0);
}

#[test]
fn who_asks_often_is_sent_a_few_sendings_in_turn() {
    let mut fixture = Fixture::new();
    let ids: Vec<_> = (0..11).map(|_| fixture.ask(7, 1_100, false).0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3]);
    // It did not take the last one, or was started again.
    assert_eq!([5_000, 1_100, 1_100].map(|millis| fixture.ask(7, millis, false).0), [6, 7, 8]);
    fixture.members.assert_counts();
    assert_eq!(fixture.members.often, 1);
    // Something new was issued meanwhile.
    fixture.now = after(fixture.now, 1_100);
    fixture.issued = Arc::new(Issued::clone(&fixture.issued));
    fixture.decided(7, fixture.now);
    fixture.members.assert_counts();
    assert_eq!(fixture.ask(7, 1_100, false).0, 9);
    fixture.members.sweep(after(fixture.now, 4_500).mono);
    assert_eq!((fixture.members.often, fixture.members.nodes.len()), (0, 1));
}

/// What was signed for what it is not to be sent any more.
#[test]
fn a_sending_that_comes_too_late_is_not_kept() {
    let mut fixture = Fixture::new();
    fixture.ask(7, 1_100, false);
    fixture.now = after(fixture.now, 1_100);
    let Again::Ready(ready) = fixture.again(7, fixture.now) else { panic!("decided about") };
    assert!(ready.is_kept);
    let sending = fixture.sign(ready.turn);
    fixture.issued = Arc::new(Issued::clone(&fixture.issued));
    fixture.decided(7, fixture.now);
    fixture.ask(7, 1_100, false);
    fixture.members.keep(key(7), &ready.issued, ready.turn, &sending);
    let ids: Vec<_> = (0..6).map(|_| fixture.ask(7, 1_100, false).0).collect();
    assert!(!ids.contains(&2), "{ids:?}");
}

#[test]
fn who_asks_often_beyond_a_bound_is_signed_to_each_time_until_others_do_no_longer() {
    let mut fixture = Fixture::new();
    let (start, bound) = (fixture.now, MAX_OFTEN as u64);
    let is_kept = |again| matches!(again, Again::Ready(Ready { is_kept: true, .. }));
    for n in 0..=bound {
        fixture.decided(n, start);
        assert_eq!(is_kept(fixture.again(n, after(start, 1_001))), n < bound);
    }
    assert!(!is_kept(fixture.again(bound, after(start, 2_002))));
    // One that asks less often gives its place up, and the sweep takes that of who asks no more.
    assert!(!is_kept(fixture.again(5, after(start, 60_000))));
    assert!(!is_kept(fixture.again(bound, after(start, 60_000))));
    assert!(is_kept(fixture.again(bound, after(start, 61_001))));
    fixture.members.assert_counts();
    fixture.members.sweep(after(start, 61_001).mono);
    fixture.members.assert_counts();
    assert_eq!(fixture.members.often, 1);
}

#[test]
fn of_large_configurations_no_sending_is_kept() {
    let (secret, now) = (secret(), start());
    for (rules, is_kept) in [(0, true), (200, true), (1_000, false)] {
        let (_, issued) = issued(&secret, rules, now.wall);
        let (mut sendings, mut turn) = (Sendings::default(), Turn::FIRST);
        for id in 1..=10_u64 {
            let signed = issued.sign_sending(id.try_into().unwrap(), turn.later(), &secret);
            assert_eq!(signed.chunks() <= MAX_CHUNKS, is_kept);
            assert_eq!(sendings.get(&issued, turn).is_some(), is_kept && id > MAX_SENDINGS.into());
            sendings.put(turn, &signed);
            let kept = sendings.get(&issued, turn);
            assert_eq!(kept.map(|kept| kept.bytes()), is_kept.then(|| signed.bytes()));
            turn = turn.next();
        }
    }
}

/// What a client knows (`vl2.md` §4.1): it takes no notice of the last three update ids, nor of what it has.
#[derive(Default)]
struct Knows {
    ids: VecDeque<u64>,
    has: Option<Timestamp>,
}

impl Knows {
    fn takes(&mut self, (id, time): (u64, Timestamp)) -> bool {
        if self.ids.contains(&id) {
            return false;
        }
        self.ids.push_front(id);
        self.ids.truncate(3);
        self.has.replace(time) != Some(time)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However often it asks, and whether it is decided about or not, it takes what it gets; and after any losses it waits for
    /// one retry at most.
    #[test]
    fn a_client_takes_what_it_gets(
        asked in proptest::collection::vec(
            (prop_oneof![1_001_u64..4_500, 4_500_u64..70_000], 0_u8..4, 0_u8..4), 1..40
        ),
        is_lossy in any::<bool>(),
    ) {
        let (mut fixture, mut client) = (Fixture::new(), Knows::default());
        prop_assert!(client.takes(fixture.ask(7, 0, true)));
        for (millis, decided, lost) in asked {
            let got = fixture.ask(7, millis, decided == 0);
            fixture.members.assert_counts();
            if !(is_lossy && lost > 0) {
                prop_assert!(client.takes(got) || is_lossy);
            }
        }
        prop_assert!(client.takes(fixture.ask(7, 60_000, false)) || client.takes(fixture.ask(7, 5_000, false)));
    }
}
