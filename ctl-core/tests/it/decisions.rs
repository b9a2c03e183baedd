//! Who is admitted, and what is remembered of it: where this controller is meant to differ from the reference.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ctl_core::addresses;
use ctl_core::member::{ClientVersion, Credential, Member};
use ctl_core::network::{CapabilityDefinition, Dns, Network, Pool, Route, TagDefinition};
use ctl_core::{ConfigRequest, Decision, DecisionTime, Refusal, RequestKind, Snapshot, decide};
use zt_crypto::IdentitySecret;
use zt_proto::config::NetworkConfig;
use zt_proto::rules::Rule;
use zt_proto::verb::error::ErrorCode;
use zt_proto::verb::network_config_request::{RequestMetadata, SoftwareVersion};
use zt_proto::{NetworkId, PublicIdentity, Timestamp};

use crate::records::GOLDEN;

pub(crate) const NETWORK: NetworkId = NetworkId(0xf593_81cf_7300_0001);
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

#[test]
fn an_unknown_network_is_not_found() {
    let expected = Decision::Refuse { refusal: Refusal::UnknownNetwork, member: None };
    assert_eq!(decide(None, &request(), NOW), expected);
    assert_eq!(Refusal::UnknownNetwork.error_code(), ErrorCode::OBJECT_NOT_FOUND);
}

#[test]
fn a_stranger_of_a_private_network_is_saved_once_and_denied() {
    let Decision::Refuse { refusal: Refusal::AccessDenied, member: Some(saved) } =
        decide(Some(&snapshot(network(), None)), &request(), NOW)
    else {
        panic!("denied and saved");
    };
    assert_eq!((saved.authorized, saved.identity, saved.revision), (false, Some(asker()), 1));
    assert_eq!((saved.created, saved.version), (NOW, None));
    let again = decide(Some(&snapshot(network(), Some(saved))), &request(), Timestamp(NOW.0 + 5000));
    assert_eq!(again, Decision::Refuse { refusal: Refusal::AccessDenied, member: None });
}

/// `known-flaws.md` row 1: a second identity with the same address neither gets in nor replaces the first.
#[test]
fn another_identity_with_the_same_address_is_denied_and_changes_nothing() {
    for network in [network(), public_network()] {
        let mut impostor = request();
        impostor.identity.key[40] ^= 1;
        let decision = decide(Some(&snapshot(network, Some(member()))), &impostor, NOW);
        assert_eq!(decision, Decision::Refuse { refusal: Refusal::AccessDenied, member: None });
    }
}

/// `known-flaws.md` row 2: an administrator can name the identity, or its fingerprint, before anybody asks.
#[test]
fn a_pre_approved_identity_keeps_others_out() {
    let denied = Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
    let mut impostor = request();
    impostor.identity.key[3] ^= 1;
    let hash = zt_crypto::fingerprint(&asker());
    let never_asked = Member { identity: None, version: None, ..member() };
    for approved in [
        Member { identity: Some(asker()), ..never_asked.clone() },
        Member { fingerprint: Some(hash), ..never_asked.clone() },
        Member { identity: Some(asker()), fingerprint: Some(hash), ..never_asked.clone() },
    ] {
        for network in [network(), public_network()] {
            let snapshot = snapshot(network, Some(approved.clone()));
            assert_eq!(decide(Some(&snapshot), &impostor, NOW), denied, "{approved:?}");
            let admitted = decide(Some(&snapshot), &request(), NOW);
            assert!(is_admitted(&admitted));
            let saved = saved(&admitted).unwrap();
            assert_eq!((saved.identity, saved.fingerprint), (Some(asker()), approved.fingerprint));
        }
    }
}

/// Two that do not fit together, as after a mistake: neither gets in.
#[test]
fn an_identity_must_have_the_fingerprint_that_was_named_with_it() {
    let mut other = asker();
    other.key[3] ^= 1;
    let confused = Member { fingerprint: Some(zt_crypto::fingerprint(&other)), ..member() };
    for identity in [asker(), other] {
        let request = ConfigRequest { identity, ..request() };
        let decision = decide(Some(&snapshot(network(), Some(confused.clone()))), &request, NOW);
        assert_eq!(decision, Decision::Refuse { refusal: Refusal::AccessDenied, member: None });
    }
}

#[test]
fn a_member_that_is_approved_by_address_alone_is_pinned_by_its_first_request() {
    let approved = Member { identity: None, version: None, ..member() };
    let admitted = saved(&decide(Some(&snapshot(network(), Some(approved))), &request(), NOW)).unwrap();
    assert_eq!(admitted.identity, Some(asker()));
    let mut impostor = request();
    impostor.identity.key[3] ^= 1;
    let decision = decide(Some(&snapshot(network(), Some(admitted))), &impostor, NOW);
    assert_eq!(decision, Decision::Refuse { refusal: Refusal::AccessDenied, member: None });
}

/// Known flaw 13 and `vl2.md` §19.2: what an administrator took away does not come back by a push.
#[test]
fn a_push_neither_creates_nor_authorizes_a_member() {
    let push = ConfigRequest { kind: RequestKind::Push, ..request() };
    let denied = Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
    assert_eq!(decide(Some(&snapshot(public_network(), None)), &push, NOW), denied);
    let waiting = Member { authorized: false, ..member() };
    assert_eq!(decide(Some(&snapshot(public_network(), Some(waiting.clone()))), &push, NOW), denied);
    let asked = decide(Some(&snapshot(public_network(), Some(waiting))), &request(), NOW);
    assert_eq!(saved(&asked).unwrap().credential, Some(Credential::Public));
}

/// Known flaw 13 and `vl2.md` §19.2: where the reference authorizes again whoever asks, only the API does here.
#[test]
fn a_member_that_was_de_authorized_stays_so_until_the_api_authorizes_it() {
    let denied = Decision::Refuse { refusal: Refusal::AccessDenied, member: None };
    let mut with_token = network();
    with_token.join_tokens.insert("t".into(), Timestamp(0));
    let mut asked = request();
    asked.metadata.token = Some("t".into());
    // A clock that was never set counts as well.
    for when in [NOW, Timestamp(0)] {
        let mut member = member();
        member.deauthorize(when);
        for network in [public_network(), with_token.clone()] {
            assert!(
                !addresses::needs_pool(&pooled(network.clone()), Some(&member)),
                "nothing is reserved for it"
            );
            assert_eq!(decide(Some(&snapshot(network.clone(), Some(member.clone()))), &asked, NOW), denied);
            let stranger = decide(Some(&snapshot(network, None)), &asked, NOW);
            assert!(is_admitted(&stranger), "others are admitted");
        }
        member.authorize(Credential::Api, NOW);
        assert!(is_admitted(&decide(Some(&snapshot(network(), Some(member))), &asked, NOW)));
    }
}

#[test]
fn a_push_leaves_the_version_alone_except_on_the_first_admission() {
    let mut push = ConfigRequest { kind: RequestKind::Push, ..request() };
    let announced = ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 };
    let never_admitted = Member { version: None, ..member() };
    let first = decide(Some(&snapshot(network(), Some(never_admitted))), &push, NOW);
    assert_eq!(saved(&first).unwrap().version, Some(announced));
    push.metadata.software.minor = 16;
    assert_eq!(saved(&decide(Some(&snapshot(network(), Some(member()))), &push, NOW)), None);
    let asked = ConfigRequest { kind: RequestKind::Request, ..push };
    let saved = saved(&decide(Some(&snapshot(network(), Some(member()))), &asked, NOW)).unwrap();
    assert_eq!(saved.version, Some(ClientVersion { minor: 16, ..announced }));
}

/// Times of issue may be ahead of the clock (`vl2.md` §19.1, item 14).
#[test]
fn what_ends_and_what_is_recorded_is_by_the_clock_and_what_is_issued_by_the_time_of_issue() {
    let issued = Timestamp(NOW.0 + 3_600_000);
    let time = DecisionTime { wall: NOW, issued };
    let mut network = network();
    network.join_tokens.insert("x".into(), Timestamp(NOW.0 + 1));
    let mut asked = request();
    asked.metadata.token = Some("x".into());
    let joined = decide(Some(&snapshot(network.clone(), None)), &asked, time);
    let record = saved(&joined).unwrap();
    assert_eq!((record.created, record.last_authorized), (NOW, NOW));
    let Decision::Admit { config, .. } = joined else { panic!("{joined:?}") };
    let built = config.build();
    let certified = built.membership.and_then(|certificate| certificate.value(0));
    assert_eq!((built.timestamp, certified), (issued, Some(issued.0)));
    network.sso_enabled = true;
    for (left, is_in) in [(1, true), (0, false)] {
        let member = Member { authentication_expiry: Timestamp(NOW.0 + left), ..member() };
        let decision = decide(Some(&snapshot(network.clone(), Some(member))), &request(), time);
        assert_eq!(is_admitted(&decision), is_in, "{decision:?}");
    }
}

#[test]
fn a_token_counts_until_it_expires() {
    let mut network = network();
    network.join_tokens = BTreeMap::from([
        ("for ever".into(), Timestamp(0)),
        ("until now".into(), NOW),
        ("x".into(), Timestamp(NOW.0 + 1)),
    ]);
    let credential = |token: Option<&str>| {
        let mut request = request();
        request.metadata.token = token.map(str::to_owned);
        let decision = decide(Some(&snapshot(network.clone(), None)), &request, NOW);
        (is_admitted(&decision), saved(&decision).unwrap().credential)
    };
    let by = |token: &str| (true, Some(Credential::Token(token.into())));
    assert_eq!(credential(Some("for ever")), by("for ever"));
    assert_eq!(credential(Some("x")), by("x"));
    assert_eq!(credential(Some("until now")), (false, None));
    assert_eq!(credential(Some("other")), (false, None));
    assert_eq!(credential(None), (false, None));
}

#[test]
fn a_member_without_session_logs_in_before_anything_else() {
    let mut network = network();
    network.sso_enabled = true;
    let refusal = |change: fn(&mut Member)| {
        let mut member = member();
        change(&mut member);
        match decide(Some(&snapshot(network.clone(), Some(member))), &request(), NOW) {
            Decision::Admit { .. } => None,
            Decision::Refuse { refusal, .. } => Some(refusal),
        }
    };
    assert_eq!(refusal(|_| {}), Some(Refusal::AuthenticationRequired));
    assert_eq!(refusal(|member| member.authorized = false), Some(Refusal::AuthenticationRequired));
    assert_eq!(refusal(|member| member.authentication_expiry = NOW), Some(Refusal::AuthenticationRequired));
    assert_eq!(refusal(|member| member.authentication_expiry = Timestamp(NOW.0 + 1)), None);
    assert_eq!(refusal(|member| member.sso_exempt = true), None);
    assert_eq!(Refusal::AuthenticationRequired.error_code().0, 9);
    assert_eq!(Refusal::AuthenticationRequired.details(), b"aV=0000000000000000\naU=");
}

/// `vl2.md` §19.2: the reference forgets default capabilities of members that it had to deny once.
#[test]
fn a_member_that_was_denied_first_gets_the_default_capabilities() {
    let mut network = network();
    let definition = |id, default| CapabilityDefinition { id, default, rules: vec![Rule::ACCEPT] };
    network.capabilities = vec![definition(1, true), definition(2, false), definition(3, true)];
    network.tags = vec![TagDefinition { id: 9, default: Some(4) }, TagDefinition { id: 10, default: None }];
    let denied = saved(&decide(Some(&snapshot(network.clone(), None)), &request(), NOW)).unwrap();
    assert_eq!(denied.capabilities, Vec::<u32>::new());
    let approved = Member { authorized: true, ..denied };
    let admitted = saved(&decide(Some(&snapshot(network.clone(), Some(approved))), &request(), NOW)).unwrap();
    assert_eq!(admitted.capabilities, [1, 3]);
    assert_eq!(admitted.tags, BTreeMap::from([(9, 4)]));
    // What is taken away later stays away.
    let trimmed = Member { capabilities: vec![], tags: BTreeMap::from([(9, 5)]), ..admitted };
    assert_eq!(saved(&decide(Some(&snapshot(network, Some(trimmed))), &request(), NOW)), None);
}

/// Known flaw 5.
#[test]
fn long_texts_are_cut_between_characters() {
    let mut network = network();
    network.name = "ü".repeat(70);
    network.dns = Some(Dns { domain: "é".repeat(1000), servers: vec!["10.0.0.1".parse().unwrap(); 9] });
    let config = admitted(&snapshot(network.clone(), Some(member())), &request());
    assert_eq!(String::from_utf8(config.name).unwrap(), "ü".repeat(63));
    assert_eq!(String::from_utf8(config.dns.domain).unwrap(), "é".repeat(63));
    assert_eq!(config.dns.servers.len(), 4);
    network.dns = Some(Dns { domain: "a.test\0b".into(), servers: vec![] });
    let config = admitted(&snapshot(network, Some(member())), &request());
    assert_eq!(config.dns.domain, b"a.test");
}

#[test]
fn a_member_that_becomes_authorized_by_asking_is_a_bridge_at_once() {
    let mut bridge = member();
    bridge.authorized = false;
    bridge.active_bridge = true;
    let config = admitted(&snapshot(public_network(), Some(bridge)), &request());
    let addresses: Vec<_> = config.specialists.iter().map(|specialist| specialist.address).collect();
    assert_eq!(addresses, [asker().address]);
}

#[test]
fn a_client_without_rules_engine_gets_one_rule_and_keeps_its_record() {
    let mut network = network();
    network.rules.clear();
    network.tags = vec![TagDefinition { id: 1, default: Some(2) }];
    let mut old = request();
    old.metadata.rules_engine = 0;
    let snapshot = snapshot(network, Some(member()));
    let config = admitted(&snapshot, &old);
    assert_eq!((config.rules, config.tags, config.capabilities), (vec![Rule::ACCEPT], vec![], vec![]));
    assert_eq!(saved(&decide(Some(&snapshot), &old, NOW)).unwrap().tags, BTreeMap::from([(1, 2)]));
}

#[test]
fn an_absurd_version_is_kept_small() {
    let mut absurd = request();
    absurd.metadata.software.major = u64::MAX;
    let saved = saved(&decide(Some(&snapshot(network(), Some(member()))), &absurd, NOW)).unwrap();
    assert_eq!(saved.version.unwrap().major, u64::from(u32::MAX));
}

pub(crate) fn is_admitted(decision: &Decision) -> bool {
    matches!(decision, Decision::Admit { .. })
}

pub(crate) fn saved(decision: &Decision) -> Option<Member> {
    match decision {
        Decision::Admit { member, .. } | Decision::Refuse { member, .. } => member.clone(),
    }
}

/// # Panics
/// If the node is refused.
pub(crate) fn admitted(snapshot: &Snapshot, request: &ConfigRequest) -> NetworkConfig {
    match decide(Some(snapshot), request, NOW) {
        Decision::Admit { config, .. } => config.build(),
        Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
    }
}

pub(crate) fn network() -> Network {
    Network::new(NETWORK, Timestamp(1))
}

/// The network with IPv4 addresses to give away.
pub(crate) fn pooled(mut network: Network) -> Network {
    network.v4_assign.pool = true;
    network.routes = vec![Route { target: "10.0.0.0/24".parse().unwrap(), via: None }];
    network.pools = vec![Pool { first: "10.0.0.1".parse().unwrap(), last: "10.0.0.254".parse().unwrap() }];
    network
}

pub(crate) fn public_network() -> Network {
    Network { private: false, ..network() }
}

#[test]
fn who_is_admitted_without_an_address_is_said_to_lack_it() {
    let mut full = snapshot(pooled(network()), Some(member()));
    let lacks = |snapshot: &Snapshot| match decide(Some(snapshot), &request(), NOW) {
        Decision::Admit { lacks, .. } => lacks,
        Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
    };
    assert_eq!(lacks(&full), []);
    full.occupied = Arc::new((1..=254).map(|end| IpAddr::from([10, 0, 0, end])).collect());
    assert_eq!(lacks(&full), [addresses::Family::V4]);
}

/// An authorized member that was admitted before with the version of [`request`].
pub(crate) fn member() -> Member {
    let mut member = Member::new(NETWORK, asker().address, Timestamp(1));
    member.identity = Some(asker());
    member.authorize(Credential::Api, Timestamp(1));
    member.version = Some(ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 });
    member.revision = 1;
    member
}

pub(crate) fn snapshot(network: Network, member: Option<Member>) -> Snapshot {
    Snapshot { network: network.into(), member, bridges: [].into(), occupied: Arc::default() }
}

/// A request of 1.14.1.
pub(crate) fn request() -> ConfigRequest {
    let metadata = RequestMetadata {
        config_version: 7,
        protocol: 12,
        vendor: 1,
        software: SoftwareVersion { major: 1, minor: 14, revision: 1 },
        rules_engine: 1,
        ..RequestMetadata::default()
    };
    ConfigRequest { network: NETWORK, identity: asker(), metadata, kind: RequestKind::Request }
}

pub(crate) fn controller() -> IdentitySecret {
    GOLDEN["controllerIdentitySecret"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn asker() -> PublicIdentity {
    GOLDEN["identities"]["c1"].as_str().unwrap().parse().unwrap()
}
