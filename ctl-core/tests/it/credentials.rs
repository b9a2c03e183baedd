//! Everything that is handed out is signed so that members believe it (`vl2.md` §4.1, §7).

use std::num::NonZeroU64;

use ctl_core::issue::{revocation_payloads, revoke};
use ctl_core::network::CapabilityDefinition;
use ctl_core::{ConfigRequest, Decision, Member, RequestKind, Snapshot, UnsignedConfig, decide};
use zt_crypto::fingerprint;
use zt_crypto::signature::verify;
use zt_proto::config::NetworkConfig;
use zt_proto::credential::{CredentialType, Qualifier, Revocation, Signature, Thing};
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::network_config::ConfigChunk;
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{PublicIdentity, Timestamp};

use crate::decisions::{NETWORK, NOW, admitted, asker, controller, member, network, request, snapshot};

/// Checks every signature in a configuration, and that all credentials are of its time and for its member.
pub(crate) fn assert_all_signatures_hold(
    config: &NetworkConfig,
    controller: &PublicIdentity,
    holder: &PublicIdentity,
) {
    let holds = |message: Vec<u8>, signature: &Signature| {
        assert_eq!(verify(controller, &message, signature), Ok(()));
    };
    let membership = config.membership.as_ref().unwrap();
    assert_eq!(membership.signed_by, controller.address);
    assert_eq!(membership.value(Qualifier::TIMESTAMP), Some(config.timestamp.0));
    assert_eq!(membership.value(Qualifier::NETWORK), Some(config.network.0));
    assert_eq!(membership.value(Qualifier::MEMBER), Some(holder.address.to_u64()));
    holds(membership.signed_bytes(), &membership.signature);
    for capability in &config.capabilities {
        assert_eq!((capability.network, capability.timestamp), (config.network, config.timestamp));
        let [custody] = &capability.custody[..] else { panic!("one holder") };
        assert_eq!((custody.to, custody.from), (holder.address, controller.address));
        holds(capability.signed_bytes(), &custody.signature);
    }
    for tag in &config.tags {
        assert_eq!((tag.network, tag.timestamp), (config.network, config.timestamp));
        assert_eq!((tag.issued_to, tag.signed_by), (holder.address, controller.address));
        holds(tag.signed_bytes(), &tag.signature);
    }
    for ownership in &config.ownerships {
        assert_eq!((ownership.network, ownership.timestamp), (config.network, config.timestamp));
        assert_eq!((ownership.issued_to, ownership.signed_by), (holder.address, controller.address));
        holds(ownership.signed_bytes(), &ownership.signature);
    }
}

/// Checks that the holder can prove each of its addresses, in their order.
pub(crate) fn assert_all_addresses_are_certified(config: &NetworkConfig) {
    let certified: Vec<_> = config.ownerships.iter().flat_map(|ownership| ownership.things.clone()).collect();
    let addresses: Vec<_> = config.addresses.iter().map(|prefix| Thing::Ip(prefix.ip())).collect();
    assert_eq!(certified, addresses);
}

/// Known flaw 1: another identity with the same address must not pass as the member.
#[test]
fn the_certificate_of_membership_carries_the_hash_of_the_whole_identity() {
    let identity = asker();
    let config = admitted(&snapshot(network(), Some(member())), &request());
    let membership = config.membership.unwrap();
    for (index, part) in fingerprint(&identity).chunks(8).take(4).enumerate() {
        let id = Qualifier::FINGERPRINT + u64::try_from(index).unwrap();
        assert_eq!(membership.value(id), Some(u64::from_be_bytes(part.try_into().unwrap())));
    }
    assert_eq!(membership.qualifiers.len(), 7);
}

#[test]
fn chunks_are_signed_and_make_up_the_dictionary() {
    let controller = controller();
    for (protocol, size) in [(9, 1160), (10, 2800), (12, 2800)] {
        let config = large_config(protocol);
        let dictionary = config.sign(&controller).write();
        let issued = config.issue(&controller).unwrap();
        assert_eq!(issued.dictionary(), dictionary);
        let update_id = NonZeroU64::new(0x1122_3344_5566_7788).unwrap();
        let payloads = issued.reply(update_id, &controller);
        assert_eq!(issued.push(update_id, &controller), payloads);
        let mut whole = Vec::new();
        for payload in &payloads {
            let chunk = ConfigChunk::parse(payload).unwrap();
            let part = chunk.part.clone().unwrap();
            assert_eq!((chunk.network, part.flags, part.update_id), (NETWORK, 0, update_id.get()));
            assert_eq!((part.total as usize, part.index as usize), (dictionary.len(), whole.len()));
            assert_eq!(payload.len(), chunk.signed_bytes().len() + 99);
            assert_eq!(verify(controller.public(), &chunk.signed_bytes(), &part.signature), Ok(()));
            whole.extend_from_slice(chunk.data);
        }
        assert_eq!(whole, dictionary);
        assert_eq!(payloads.len(), dictionary.len().div_ceil(size));
    }
}

/// What a client has already it takes for no answer.
#[test]
fn a_later_sending_differs_in_nothing_but_its_time() {
    let controller = controller();
    let issued = large_config(12).issue(&controller).unwrap();
    let sent = |later| {
        let sending = issued.sign_sending(NonZeroU64::MIN, later, &controller);
        let payloads = issued.payloads(&sending);
        assert_eq!(sending.chunks(), payloads.len());
        let mut dictionary = Vec::new();
        for payload in &payloads {
            let chunk = ConfigChunk::parse(payload).unwrap();
            let signature = chunk.part.clone().unwrap().signature;
            assert_eq!(verify(controller.public(), &chunk.signed_bytes(), &signature), Ok(()));
            dictionary.extend_from_slice(chunk.data);
        }
        NetworkConfig::parse(&dictionary).unwrap()
    };
    let first = sent(0);
    assert_eq!(first, NetworkConfig::parse(&issued.dictionary()).unwrap());
    for later in [1, 3, 0x1_0000] {
        assert_eq!(
            sent(later),
            NetworkConfig { timestamp: first.timestamp.plus_millis(later), ..first.clone() }
        );
    }
}

#[test]
fn a_configuration_that_no_client_takes_is_not_issued() {
    let long = Rule { not: false, or: false, body: RuleBody::Unknown { kind: 63, field: vec![0; 255] } };
    let config = config_with_capabilities(12, &vec![long; 64]);
    let got = config.sign(&controller()).write().len();
    let error = config.issue(&controller()).unwrap_err();
    assert_eq!((error.max, error.got), (NetworkConfig::MAX_LEN, got));
    assert!(error.to_string().contains(&got.to_string()), "{error}");
}

#[test]
fn a_revocation_takes_away_the_membership_up_to_its_threshold() {
    let controller = controller();
    let revocation = revoke(NETWORK, asker().address, Timestamp(77), 5, &controller);
    assert_eq!(revocation.credential_type, CredentialType::Membership);
    assert_eq!((revocation.credential_id, revocation.threshold, revocation.id), (0, Timestamp(77), 5));
    assert_eq!((revocation.target, revocation.signed_by), (asker().address, controller.address()));
    assert_eq!(revocation.flags, Revocation::FAST_PROPAGATE);
    assert_eq!(verify(controller.public(), &revocation.signed_bytes(), &revocation.signature), Ok(()));
}

/// `known-flaws.md` row 14.
#[test]
fn as_many_revocations_share_a_packet_as_clients_of_1_2_0_take() {
    let controller = controller();
    let revocations: Vec<_> =
        (0..121).map(|id| revoke(NETWORK, asker().address, NOW, id, &controller)).collect();
    let payloads = revocation_payloads(&revocations);
    let parsed: Vec<_> = payloads.iter().map(|payload| NetworkCredentials::parse(payload).unwrap()).collect();
    let counts: Vec<_> = parsed.iter().map(|credentials| credentials.revocations.len()).collect();
    assert_eq!(counts, [37, 37, 37, 10]);
    assert!(payloads.iter().all(|payload| payload.len() <= 5_680 - 28));
    let all: Vec<_> = parsed.into_iter().flat_map(|credentials| credentials.revocations).collect();
    assert_eq!(all, revocations);
    assert_eq!(revocation_payloads(&[]), Vec::<Vec<u8>>::new());
}

/// A configuration with all the capabilities that a member can hold.
fn large_config(protocol: u64) -> UnsignedConfig {
    config_with_capabilities(protocol, &vec![Rule::ACCEPT; 64])
}

fn config_with_capabilities(protocol: u64, rules: &[Rule]) -> UnsignedConfig {
    let mut network = network();
    let definition = |id| CapabilityDefinition { id, default: true, rules: rules.to_vec() };
    network.capabilities = (0..128).map(definition).collect();
    let metadata = RequestMetadata { protocol, ..request().metadata };
    unsigned(&snapshot(network, Some(Member { version: None, ..member() })), metadata)
}

/// # Panics
/// If the member of the snapshot is refused.
pub(crate) fn unsigned(snapshot: &Snapshot, metadata: RequestMetadata) -> UnsignedConfig {
    let identity = snapshot.member.as_ref().and_then(|member| member.identity).unwrap_or_else(asker);
    let request =
        ConfigRequest { network: snapshot.network.id, identity, metadata, kind: RequestKind::Request };
    match decide(Some(snapshot), &request, NOW) {
        Decision::Admit { config, .. } => *config,
        Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
    }
}
