mod aftermath;
mod identities;
mod joining;
mod overtaking;
mod queue;
mod ready;
mod together;
mod watched;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;

use ctl_core::Issued;
use ctl_core::member::Credential;
use ctl_core::pending::{MAX_OF_SOURCE, NOTED_EVERY, Source};
use ctl_core::{ConfigRequest, Member, Network, Refusal, RequestKind};
use prometheus::IntCounter;
use rand_core::SeedableRng;
use zt_proto::PublicIdentity;
use zt_proto::config::NetworkConfig;
use zt_proto::verb::network_config_request::RequestMetadata;

use super::super::background::Background;
use super::super::home::Home;
use super::super::{clock, work};
use super::answer::{Answer, AnswerError};
use super::prepare::Case;
use super::ready::Said;
use super::*;

const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);

impl Controller {
    /// Prepares the answer to a request, or what is pushed.
    fn prepare_for(
        &self,
        request: &ConfigRequest,
        said: Option<Said>,
        source: Source,
        now: Now,
    ) -> Result<Answer, AnswerError> {
        self.prepare(&Case { about: (), request: request.clone(), said, source }, now)
    }
}

/// A controller whose node does nothing.
struct Fixture {
    controller: Controller,
    commands: mpsc::Receiver<Command>,
    now: Now,
}

impl Fixture {
    fn new(store: Store, now: Now) -> Self {
        Self::with_room_for(100_000, store, now)
    }

    /// Its node keeps so many commands.
    fn with_room_for(commands: usize, store: Store, now: Now) -> Self {
        static SECRET: LazyLock<Arc<IdentitySecret>> =
            LazyLock::new(|| Arc::new(IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]))));
        let (node, commands) = mpsc::channel(commands);
        let rng = ChaCha20Rng::from_seed([2; 32]);
        let tally = Tally::new(&ctl_http::Metrics::new().unwrap()).unwrap();
        let told = (tally, Events::new(now.wall));
        let controller = Controller::new(Arc::clone(&SECRET), store, rng, node, told, now).unwrap();
        Self { controller, commands, now }
    }

    /// In memory, with one network.
    fn with_network(private: bool) -> Self {
        let store = Store::in_memory().unwrap();
        put_network(&store, private);
        Self::new(store, clock::now())
    }

    fn at(&self, millis: u64) -> Now {
        Now { mono: self.now.mono + Duration::from_millis(millis), wall: self.now.wall.plus_millis(millis) }
    }

    /// A node asks from `source`.
    fn ask(&self, node: u64, source: Source, now: Now) -> Answer {
        let request = request(node, RequestKind::Request);
        let said = self.said(&request);
        self.controller.prepare_for(&request, Some(said), source, now).unwrap()
    }

    /// What a request is on the wire.
    fn said(&self, request: &ConfigRequest) -> Said {
        self.controller.said(&request.identity, &request.metadata.write())
    }

    /// A member asks and is answered, as if it came from the node.
    fn note(&self, node: u64, standing: Standing) {
        let identity = identity(node);
        lock(&self.controller.seen).note(NETWORK, identity, metadata(), None, standing, self.now.mono);
    }

    fn put(&self, member: &Member) {
        self.controller.store.write(|tx| tx.members().put(member)).unwrap();
    }

    fn pending(&self) -> Vec<u64> {
        let pending = self.controller.store.read(|tx| tx.pending().list(NETWORK)).unwrap();
        pending.iter().map(|pending| pending.member.to_u64()).collect()
    }

    fn member(&self, node: u64) -> Option<Member> {
        self.controller.store.read(|tx| tx.members().get(NETWORK, identity(node).address)).unwrap()
    }

    /// Sends until nothing is due at once; returns how often the node was woken.
    fn send_all(&mut self) -> usize {
        while self
            .controller
            .send_due()
            .is_some_and(|due| due <= clock::now().mono + Duration::from_millis(500))
        {}
        std::iter::from_fn(|| self.commands.try_recv().ok()).count()
    }

    fn figure(&self, figure: fn(&Tally) -> &IntCounter) -> u64 {
        figure(&self.controller.tally).get()
    }
}

fn put_network(store: &Store, private: bool) {
    let network = Network { private, revision: 1, ..Network::new(NETWORK, Timestamp(1)) };
    store.write(|tx| tx.networks().put(&network)).unwrap();
}

fn identity(node: u64) -> PublicIdentity {
    PublicIdentity { address: Address::from_low_bits(node), key: [7; 64] }
}

fn metadata() -> RequestMetadata {
    RequestMetadata::parse(b"v=7\npv=c\nrevr=1")
}

fn request(node: u64, kind: RequestKind) -> ConfigRequest {
    ConfigRequest { network: NETWORK, identity: identity(node), metadata: metadata(), kind }
}

fn authorized(node: u64) -> Member {
    let mut member = Member::new(NETWORK, identity(node).address, Timestamp(1));
    member.authorize(Credential::Api, Timestamp(1));
    member
}

/// The physical network number `n`.
fn source(n: u32) -> Source {
    Source::of(Some(IpAddr::V4(Ipv4Addr::from_bits(n << 8))))
}

fn is_refused(answer: &Answer, with: Refusal) -> bool {
    matches!(answer, Answer::Refusal(refusal, _) if *refusal == with)
}

/// When only repetitions are left.
fn soon() -> std::time::Instant {
    clock::now().mono + Duration::from_millis(1_100)
}

/// Length of the write-ahead log: what was ever written makes it longer.
fn written(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).unwrap().len()
}

/// `known-flaws.md` row 14.
#[test]
fn deauthorizing_one_of_ten_thousand_computes_nothing_for_the_others() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=10_000 {
        fixture.note(node, Standing::Admitted);
    }
    fixture.put(&Member { authorized: false, ..authorized(5) });
    let member = identity(5).address;
    fixture.controller.follow(Change::MemberRevoked { network: NETWORK, member }, fixture.now);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 0, "computed before anybody was told");
    let woken = fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 1);
    // One packet for each, and an error for the member itself.
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 10_000);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 1);
    assert_eq!(woken, 10_000 / 16 + 1);
}

#[test]
fn a_changed_network_is_decided_once_for_each_member_that_is_online_and_for_no_stranger() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=100 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    for node in 101..=200 {
        fixture.note(node, Standing::Refused);
    }
    for _ in 0..10 {
        fixture.controller.follow(Change::Network(NETWORK), fixture.now);
    }
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 100);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 100);
}

#[test]
fn revocations_and_awaited_pushes_overtake_a_large_network() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=1_000 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.follow(Change::Network(NETWORK), fixture.now);
    fixture.controller.send_due();
    let before = fixture.figure(|tally| &tally.pushes);
    assert!(before < 1_000, "all at once");
    fixture.put(&Member { authorized: false, ..authorized(1_000) });
    let member = identity(1_000).address;
    fixture.controller.follow(Change::MemberRevoked { network: NETWORK, member }, fixture.now);
    fixture.controller.send_due();
    assert!(fixture.figure(|tally| &tally.revocation_packets) >= 60);
    assert!(fixture.figure(|tally| &tally.pushes) < 1_000, "the network went first");
    fixture.send_all();
}

#[test]
fn a_member_that_is_there_after_a_restart_is_told_what_is_without_asking() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    fixture.put(&Member { authorized: false, ..authorized(6) });
    let revoked = Change::MemberRevoked { network: NETWORK, member: identity(6).address };
    fixture.controller.follow(revoked, fixture.now);
    assert_eq!(fixture.send_all(), 1, "nobody else is online");
    for node in [5, 6] {
        fixture.controller.welcome(NETWORK, identity(node), metadata(), fixture.now);
    }
    fixture.send_all();
    // For each the revocation; a configuration for the one, an error for the other.
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 2);
    assert_eq!(fixture.figure(|tally| &tally.pushes), 2);
    fixture.controller.follow(Change::Network(NETWORK), fixture.now);
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.decisions), 4, "both count as online");
}

#[test]
fn a_member_that_asks_by_itself_is_not_sent_the_same_once_more() {
    let mut fixture = Fixture::with_network(true);
    for node in [5, 6] {
        fixture.put(&authorized(node));
    }
    fixture.note(5, Standing::Admitted);
    // The answer of the other one is to come.
    assert!(lock(&fixture.controller.seen).take(NETWORK, identity(6).address, fixture.now.mono));
    for node in [5, 6] {
        fixture.controller.welcome(NETWORK, identity(node), metadata(), fixture.now);
    }
    assert_eq!(fixture.send_all(), 0);
}

#[test]
fn a_member_that_was_told_twice_to_be_out_is_not_told_again() {
    let mut fixture = Fixture::with_network(true);
    fixture.note(5, Standing::Admitted);
    fixture.put(&Member { authorized: false, ..authorized(5) });
    let change = Change::Member { network: NETWORK, member: identity(5).address };
    fixture.controller.follow(change, fixture.now);
    assert_eq!(fixture.send_all(), 1);
    let later = fixture.at(60_000);
    let due = lock(&fixture.controller.pushes).take(&lock(&fixture.controller.seen), later.mono);
    assert!(due.is_some_and(|due| due.is_repeated()), "{due:?}");
    fixture.controller.follow(change, later);
    lock(&fixture.controller.seen).pushed(NETWORK, identity(5).address, Standing::Refused, later.mono);
    assert_eq!(fixture.send_all(), 0);
}

/// `known-flaws.md` row 13.
#[test]
fn a_removed_network_costs_each_member_one_push_and_who_returns_is_told_later() {
    let mut fixture = Fixture::with_network(true);
    for node in 1..=50 {
        fixture.put(&authorized(node));
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.store.write(|tx| tx.networks().remove(NETWORK, fixture.now.wall)).unwrap();
    fixture.controller.follow(Change::NetworkRemoved(NETWORK), fixture.now);
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.pushes), 50);
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 0, "nothing needs revoking");

    let Answer::Refusal(Refusal::UnknownNetwork, Some(farewell)) = fixture.ask(99, source(1), fixture.now)
    else {
        panic!("no farewell");
    };
    assert!(!farewell.dictionary().windows(2).any(|line| line == b"R="), "it has rules");
    let unknown = ConfigRequest { network: NetworkId(NETWORK.0 + 1), ..request(99, RequestKind::Request) };
    let answer = fixture.controller.prepare_for(&unknown, None, source(1), fixture.now).unwrap();
    assert!(matches!(answer, Answer::Refusal(Refusal::UnknownNetwork, None)), "it never was here");
}

#[test]
fn what_is_revoked_in_a_network_that_was_made_again_is_not_forgotten_with_the_old_one() {
    let fixture = Fixture::with_network(true);
    fixture.note(6, Standing::Admitted);
    let Fixture { controller, commands, now } = fixture;
    let controller = Arc::new(controller);
    let (sender, changes) = mpsc::unbounded_channel();
    let revoked = Change::MemberRevoked { network: NETWORK, member: identity(5).address };
    for change in [Change::NetworkRemoved(NETWORK), Change::Network(NETWORK), revoked] {
        sender.send(change).unwrap();
    }
    drop(sender);
    block_on(work::follow_changes(Arc::clone(&controller), changes));
    let mut fixture = Fixture { controller: Arc::into_inner(controller).unwrap(), commands, now };
    fixture.send_all();
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 1);
}

#[test]
fn nothing_is_answered_any_more_when_no_identity_can_be_verified() {
    let Fixture { controller, .. } = Fixture::with_network(true);
    let folder = tempfile::tempdir().unwrap();
    let (sender, events) = mpsc::channel(1);
    let surroundings = work::Surroundings {
        home: Arc::new(Home::open(&folder.path().join("home")).unwrap()),
        serves_networks: true,
        node: mpsc::channel(1).0,
        takeover: Arc::default(),
    };
    sender.try_send(crate::vl1::Event::IdentityToVerify(identity(5))).unwrap();
    // Returns although events may still come: the program ends with it.
    block_on(work::answer_events(Arc::new(controller), surroundings, Background::ended(), events));
    drop(sender);
}

fn block_on(task: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(task);
}

/// `known-flaws.md` row 13.
#[test]
fn a_removed_member_returns_as_a_stranger() {
    let fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    assert!(matches!(fixture.ask(5, source(1), fixture.now), Answer::Config(_)));
    fixture.controller.store.write(|tx| tx.members().remove(NETWORK, identity(5).address)).unwrap();
    assert!(is_refused(&fixture.ask(5, source(1), fixture.at(1)), Refusal::AccessDenied));
    assert_eq!(fixture.pending(), [5]);
    assert!(!fixture.member(5).unwrap().authorized);
}

/// The clock was set back, so that what may have been issued is further ahead than a step of the allowance.
#[test]
fn revocations_of_before_are_taken_up_with_one_write_however_many_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controller.db");
    let now = clock::now();
    for count in [1, 500] {
        let store = Store::open(&path).unwrap();
        put_network(&store, true);
        store
            .write(|tx| {
                tx.allow_issuing_until(now.wall.plus_millis(1_000_000 * count))?;
                (0..count).try_for_each(|node| tx.revoked().note(NETWORK, identity(node).address, now.wall))
            })
            .unwrap();
        let before = written(&path);
        let _fixture = Fixture::new(store, now);
        let pages = (written(&path) - before) / 4096;
        assert!(pages <= 1, "{count} revocations wrote {pages} pages");
    }
}

/// Who, what, before and after; and nothing for strangers, who could fill the log, nor for another release of the client.
#[test]
fn what_members_cause_is_in_the_audit_log_once() {
    let mut fixture = Fixture::with_network(true);
    let now = fixture.now;
    let log = |fixture: &Fixture| {
        let entries = fixture.controller.store.read(|tx| tx.audit().page(None, 100)).unwrap();
        let text = |entry: &ctl_store::AuditRecord| {
            let (before, after) =
                (entry.before.clone().unwrap_or_default(), entry.after.clone().unwrap_or_default());
            format!("{} {} {before} {after}", entry.actor, entry.action)
        };
        entries.iter().map(text).collect::<Vec<_>>()
    };
    assert!(is_refused(&fixture.ask(1, source(1), now), Refusal::AccessDenied));
    assert_eq!(log(&fixture), [""; 0]);

    let mut network = Network { private: false, revision: 2, ..Network::new(NETWORK, Timestamp(1)) };
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    let other_release = ConfigRequest {
        metadata: RequestMetadata::parse(b"v=7\npv=c\nmajv=1\nminv=e\nrevr=1"),
        ..request(2, RequestKind::Request)
    };
    fixture.ask(2, source(1), now);
    fixture.ask(2, source(1), now);
    fixture.controller.prepare_for(&other_release, None, source(1), now).unwrap();
    // The stranger of before is let in by the network that is public now.
    fixture.ask(1, source(1), now);
    let entries = log(&fixture);
    assert_eq!(entries.len(), 2, "{entries:?}");
    let authorized = r#""authorized":true"#;
    let public = r#""lastAuthorizedCredentialType":"public""#;
    for (entry, begin, identity) in [
        (
            &entries[0],
            r#"0000000001 member.update {"authorized":false,"lastAuthorizedCredentialType":null} {"#,
            false,
        ),
        (&entries[1], "0000000002 member.create  {", true),
    ] {
        assert!(entry.starts_with(begin) && entry.contains(authorized) && entry.contains(public), "{entry}");
        assert_eq!(entry.contains(r#""identity":"0000000002:0:"#), identity, "{entry}");
    }

    // An administrator gives the network a pool: members get addresses with the next push.
    network.revision = 3;
    network.v4_assign.pool = true;
    let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    network.pools = vec![ctl_core::network::Pool { first: ip(1), last: ip(9) }];
    network.routes = vec![ctl_core::network::Route { target: "10.0.0.0/24".parse().unwrap(), via: None }];
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    fixture.note(2, Standing::Admitted);
    fixture.controller.follow(Change::Network(NETWORK), now);
    fixture.send_all();
    let expected = r#"controller member.update {"ipAssignments":[]} {"ipAssignments":["10.0.0."#;
    assert!(log(&fixture)[0].starts_with(expected), "{:?}", log(&fixture));

    network.private = true;
    network.join_tokens.insert("a secret".to_owned(), Timestamp(0));
    fixture.controller.store.write(|tx| tx.networks().put(&network)).unwrap();
    let mut with_token = request(3, RequestKind::Request);
    with_token.metadata.token = Some("a secret".to_owned());
    fixture.controller.prepare_for(&with_token, None, source(1), now).unwrap();
    let newest = log(&fixture).swap_remove(0);
    let is_told = newest.starts_with("0000000003 member.create") && newest.contains(r#"Type":"token""#);
    assert!(is_told && !newest.contains("secret"), "{newest}");
}

/// One record that is damaged keeps nothing from being saved but what belongs to it.
#[test]
fn a_damaged_record_does_not_keep_the_last_seen_data_of_others_from_being_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controller.db");
    let store = Store::open(&path).unwrap();
    put_network(&store, true);
    let mut fixture = Fixture::new(store, clock::now());
    for node in 1..=40 {
        fixture.put(&authorized(node));
    }
    let see = |fixture: &Fixture, now| {
        for node in 1..=40 {
            fixture.controller.note(
                &request(node, RequestKind::Request),
                None,
                None,
                Standing::Admitted,
                now,
            );
        }
        fixture.controller.save_notes(now);
        let last = fixture.controller.store.read(|tx| {
            let last = |node| tx.sightings().last(NETWORK, identity(node).address);
            Ok::<_, StoreError>(
                (1..=40).map(|node| last(node).ok().flatten().map(|seen| seen.last)).collect::<Vec<_>>(),
            )
        });
        last.unwrap().iter().filter(|last| **last == Some(now.wall)).count()
    };
    assert_eq!(see(&fixture, fixture.at(0)), 40);
    let raw = rusqlite::Connection::open(&path).unwrap();
    let sql = "PRAGMA ignore_check_constraints = ON; UPDATE member_sighting SET ip = x'01', port = 1 \
               WHERE member IN (x'0000000007', x'0000000009')";
    raw.execute_batch(sql).unwrap();
    assert_eq!(see(&fixture, fixture.at(5_000)), 38);
    assert!(lock(&fixture.controller.notes).is_empty(), "tried for ever");
    let before = written(&path);
    assert_eq!(see(&fixture, fixture.at(10_000)), 38);
    // The damaged ones are not searched for again: one transaction.
    assert!((written(&path) - before) / 4096 <= 8, "{}", written(&path) - before);
    raw.execute_batch("UPDATE member_sighting SET ip = x'01020304' WHERE ip = x'01'").unwrap();
    assert_eq!(see(&fixture, fixture.at(5_000 + 3_600_000)), 40);
    fixture.send_all();
}

#[test]
fn a_controller_that_starts_again_in_the_past_issues_nothing_older() {
    let store = Store::in_memory().unwrap();
    let fixture = Fixture::new(store.clone(), clock::now());
    let issued = fixture.controller.issue_time(fixture.now.wall);
    let threshold = fixture.controller.make_revocation(NETWORK, identity(5).address, fixture.now).threshold;
    let past = Now { wall: Timestamp(fixture.now.wall.0 - 1_000_000), ..fixture.now };
    let again = Fixture::new(store, past);
    let next = again.controller.issue_time(past.wall);
    assert!(next > threshold && threshold >= issued);
    assert!(next.0 <= fixture.now.wall.0 + 60_000, "further ahead than a step");
}

/// `known-flaws.md` row 7.
#[test]
fn a_stranger_that_is_known_or_has_no_place_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("controller.db");
    let store = Store::open(&path).unwrap();
    put_network(&store, true);
    let fixture = Fixture::new(store, clock::now());
    for node in 1..=MAX_OF_SOURCE {
        fixture.ask(node, source(1), fixture.now);
    }
    let before = written(&path);
    for round in 1..=50 {
        for node in 1..=2 * MAX_OF_SOURCE {
            fixture.ask(node, source(1), fixture.at(round * 5));
        }
    }
    assert_eq!(written(&path), before);
    fixture.ask(1, source(1), fixture.at(NOTED_EVERY));
    assert!(written(&path) > before, "the measure does not measure");
}

/// What a member that asks again is sent is what it would be sent by a controller that remembers nothing, but for the
/// times of issue and what is signed with them.
#[test]
fn remembered_answers_are_those_that_would_be_made_anew() {
    let store = Store::in_memory().unwrap();
    put_network(&store, true);
    let fixture = Fixture::new(store.clone(), clock::now());
    fixture.put(&authorized(5));
    let issued = |fixture: &Fixture, kind, millis| match fixture
        .controller
        .prepare_for(&request(5, kind), None, source(1), fixture.at(millis))
        .unwrap()
    {
        Answer::Config(issued) => issued,
        Answer::Refusal(refusal, _) => panic!("{refusal:?}"),
    };
    let first = issued(&fixture, RequestKind::Request, 0);
    let config = |issued: &Issued| NetworkConfig::parse(&issued.dictionary()).unwrap();
    for (kind, millis) in [(RequestKind::Request, 61_000), (RequestKind::Push, 62_000)] {
        let again = issued(&fixture, kind, millis);
        assert!(Arc::ptr_eq(&first, &again), "signed again");
        let forgetful = Fixture::new(store.clone(), fixture.now);
        let anew = issued(&forgetful, kind, millis);
        let (mut remembered, anew) = (config(&again), config(&anew));
        assert!(remembered.timestamp <= anew.timestamp);
        (remembered.timestamp, remembered.membership) = (anew.timestamp, anew.membership.clone());
        assert_eq!(remembered, anew);
    }
    // What changed is seen at once.
    let network = Network { revision: 2, name: "second".to_owned(), ..Network::new(NETWORK, Timestamp(1)) };
    store.write(|tx| tx.networks().put(&network)).unwrap();
    assert_eq!(config(&issued(&fixture, RequestKind::Push, 63_000)).name, b"second");
    // After a revocation nothing is sent again that it voids.
    let revocation = fixture.controller.make_revocation(NETWORK, identity(5).address, fixture.at(64_000));
    assert!(issued(&fixture, RequestKind::Push, 64_000).timestamp() > revocation.threshold);
}

/// `vl2.md` §8.4. They never acknowledge, so nothing is repeated.
#[test]
fn a_client_before_1_2_is_only_made_to_ask() {
    let mut fixture = Fixture::with_network(true);
    fixture.put(&authorized(5));
    let (identity, old) = (identity(5), RequestMetadata::parse(b"v=6"));
    lock(&fixture.controller.seen).note(NETWORK, identity, old, None, Standing::Admitted, fixture.now.mono);
    fixture.controller.follow(Change::Network(NETWORK), fixture.now);
    assert_eq!(fixture.send_all(), 1);
    assert_eq!(fixture.figure(|tally| &tally.decisions), 0);
    assert_eq!(lock(&fixture.controller.pushes).next_due(fixture.now.mono), None);
    fixture.put(&Member { authorized: false, ..authorized(6) });
    let member = Address::from_low_bits(6);
    fixture.controller.follow(Change::MemberRevoked { network: NETWORK, member }, fixture.now);
    // The error for the member that was not seen, which nobody may get, and no revocation.
    assert_eq!(fixture.send_all(), 1);
    assert_eq!(fixture.figure(|tally| &tally.revocation_packets), 0);
}

/// Prints how long others wait while a large network is pushed to.
#[test]
fn requests_are_answered_while_a_large_network_is_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("controller.db")).unwrap();
    put_network(&store, true);
    let members = 2_000;
    store.write(|tx| (1..=members).try_for_each(|node| tx.members().put(&authorized(node)))).unwrap();
    let mut fixture = Fixture::new(store, clock::now());
    for node in 1..=members {
        fixture.note(node, Standing::Admitted);
    }
    fixture.controller.follow(Change::Network(NETWORK), fixture.now);
    let controller = &fixture.controller;
    let (answered, pushed_before_the_last) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while lock(&controller.pushes).next_due(clock::now().mono).is_some_and(|due| due <= soon()) {
                controller.send_due();
                std::thread::yield_now();
            }
        });
        let asked = (1..=50).map(|node| {
            let start = clock::now();
            controller.prepare_for(&request(node, RequestKind::Request), None, source(1), start).unwrap();
            clock::now().mono - start.mono
        });
        (asked.collect::<Vec<_>>(), fixture.figure(|tally| &tally.pushes))
    });
    let longest = answered.iter().max().unwrap();
    println!(
        "measured: longest answer of 50 {longest:.2?}, after which {pushed_before_the_last} of {members} were pushed to"
    );
    assert!(pushed_before_the_last < members, "requests waited for the whole network");
    // Nobody acknowledged any.
    let repeated = fixture.figure(|tally| &tally.repeated_pushes);
    assert_eq!(fixture.figure(|tally| &tally.pushes) - repeated, members);
    fixture.commands.close();
}

/// Pushing tells what is; it records nobody.
#[test]
fn a_push_leaves_no_record_of_a_stranger() {
    let fixture = Fixture::with_network(true);
    let push = request(5, RequestKind::Push);
    let answer = fixture.controller.prepare_for(&push, None, Source::Relayed, fixture.now).unwrap();
    assert!(is_refused(&answer, Refusal::AccessDenied));
    assert_eq!(fixture.member(5), None);
}

/// A disk that is full keeps strangers out, but nobody who was in.
#[test]
fn members_are_served_while_nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ctl.db");
    let store = Store::open(&path).unwrap();
    put_network(&store, false);
    let ask = |fixture: &Fixture, node: u64, metadata: &[u8]| {
        let request = ConfigRequest {
            metadata: RequestMetadata::parse(metadata),
            ..request(node, RequestKind::Request)
        };
        fixture.controller.prepare_for(&request, None, Source::Relayed, fixture.now)
    };
    let fixture = Fixture::new(store.clone(), clock::now());
    assert!(matches!(ask(&fixture, 1, b"v=7\npv=c\nrevr=1\nmajv=1"), Ok(Answer::Config(_))));
    // To whoever only answers, it is no other than one whose disk is full or gone.
    let broken = Fixture::new(Store::open_read_only(&path).unwrap(), clock::now());
    for metadata in ["v=7\npv=c\nrevr=1\nmajv=1", "v=7\npv=c\nrevr=1\nmajv=2"] {
        assert!(matches!(ask(&broken, 1, metadata.as_bytes()), Ok(Answer::Config(_))), "{metadata}");
    }
    let stranger = ask(&broken, 2, b"v=7\npv=c\nrevr=1\nmajv=1");
    assert!(matches!(&stranger, Err(AnswerError::Store(error)) if error.is_outage()));
    assert_eq!(store.read(|tx| tx.members().counts(NETWORK)).unwrap().total, 1);
}
