//! Everything that is handed out is signed so that members believe it (`vl2.md` §4.1, §7).

use std::num::NonZeroU64;

use ctl_core::issue::{chunk_size, chunks, revocation_payloads, revoke};
use ctl_core::network::CapabilityDefinition;
use ctl_core::{Decision, Member, decide};
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
    let certified: Vec<_> = config.ownerships.iter().flat_map(|ownership| ownership.things.clone()).collect();
    let addresses: Vec<_> = config.addresses.iter().map(|prefix| Thing::Ip(prefix.ip())).collect();
    assert_eq!(certified, addresses, "all addresses are certified, in their order");
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
    let config = large_config();
    let (controller, dictionary) = (controller(), config.write());
    for size in [1160, 2800, 9740, usize::MAX] {
        let update_id = NonZeroU64::new(0x1122_3344_5566_7788).unwrap();
        let payloads = chunks(&config, update_id, size, &controller).unwrap();
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
        assert_eq!(payloads.len(), dictionary.len().div_ceil(size.min(9740)));
    }
}

#[test]
fn clients_of_1_2_and_unknown_ones_get_chunks_that_fit_into_one_datagram() {
    let of = |protocol| {
        let mut metadata = RequestMetadata::default();
        metadata.protocol = protocol;
        chunk_size(&metadata)
    };
    assert_eq!([0, 6, 9, 10, 12, u64::MAX].map(of), [1160, 1160, 1160, 2800, 2800, 2800]);
}

#[test]
fn a_configuration_that_no_client_takes_is_not_cut_into_chunks() {
    let mut config = large_config();
    let long = Rule { not: false, or: false, body: RuleBody::Unknown { kind: 63, field: vec![0; 255] } };
    let rules = vec![long; 64];
    for capability in &mut config.capabilities {
        capability.rules.clone_from(&rules);
    }
    let result = chunks(&config, NonZeroU64::MIN, 2800, &controller());
    assert_eq!(result.unwrap_err().got, config.write().len());
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

#[test]
fn revocations_share_packets_by_sixties() {
    let controller = controller();
    let revocations: Vec<_> =
        (0..121).map(|id| revoke(NETWORK, asker().address, NOW, id, &controller)).collect();
    let payloads = revocation_payloads(&revocations);
    let parsed: Vec<_> = payloads.iter().map(|payload| NetworkCredentials::parse(payload).unwrap()).collect();
    let counts: Vec<_> = parsed.iter().map(|credentials| credentials.revocations.len()).collect();
    assert_eq!(counts, [60, 60, 1]);
    assert!(payloads.iter().all(|payload| payload.len() < 9740));
    let all: Vec<_> = parsed.into_iter().flat_map(|credentials| credentials.revocations).collect();
    assert_eq!(all, revocations);
    assert_eq!(revocation_payloads(&[]), Vec::<Vec<u8>>::new());
}

/// A configuration with all the capabilities that a member can hold.
fn large_config() -> NetworkConfig {
    let mut network = network();
    let definition = |id| CapabilityDefinition { id, default: true, rules: vec![Rule::ACCEPT; 64] };
    network.capabilities = (0..128).map(definition).collect();
    let newcomer = Member { version: None, ..member() };
    match decide(Some(&snapshot(network, Some(newcomer))), &request(), NOW) {
        Decision::Admit { config, .. } => config.sign(&controller()),
        Decision::Refuse { refusal, .. } => panic!("{refusal:?}"),
    }
}
