//! Signs what the controller hands out (`vl2.md` §4.1, §7).

use std::num::NonZeroU64;

use zt_crypto::IdentitySecret;
use zt_proto::config::NetworkConfig;
use zt_proto::credential::{CredentialType, Custody, Revocation, Signature};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::network_config::{ChunkPart, ConfigChunk};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::config::UnsignedConfig;

/// With its header and signature a chunk of this size fills one UDP packet, which every client that takes
/// chunks can receive. Still enough for the largest dictionary: clients count up to 474 chunks.
const SMALL_CHUNK: usize = 1160;
/// About two UDP packets. Clients from 1.4.0 take 9740 bytes, but if one fragment of a packet is lost all of it
/// is, so that many small packets arrive better than few large ones.
const MODERATE_CHUNK: usize = 2800;
/// Up to this protocol version (1.2.x; 0 is a client that does not say) small chunks are safe, no others.
const LAST_SMALL_PROTOCOL: u64 = 9;

impl UnsignedConfig {
    /// Signs every credential in the configuration. `signer` must be the controller of the network: members
    /// believe nobody else.
    pub fn sign(self, signer: &IdentitySecret) -> NetworkConfig {
        let mut config = self.0;
        let signed_by = signer.address();
        if let Some(membership) = &mut config.membership {
            membership.signed_by = signed_by;
            membership.signature = signer.sign(&membership.signed_bytes());
        }
        for capability in &mut config.capabilities {
            let signature = signer.sign(&capability.signed_bytes());
            capability.custody = vec![Custody { to: config.member, from: signed_by, signature }];
        }
        for tag in &mut config.tags {
            tag.signed_by = signed_by;
            tag.signature = signer.sign(&tag.signed_bytes());
        }
        for ownership in &mut config.ownerships {
            ownership.signed_by = signed_by;
            ownership.signature = signer.sign(&ownership.signed_bytes());
        }
        config
    }
}

/// Returns how many bytes of a dictionary one chunk for this client may have (`vl2.md` §4.1).
pub fn chunk_size(metadata: &RequestMetadata) -> usize {
    if metadata.protocol <= LAST_SMALL_PROTOCOL { SMALL_CHUNK } else { MODERATE_CHUNK }
}

/// A configuration that no client would take; only rules of unknown types, which may be long, make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a configuration may have at most {max} bytes, not {got}", max = NetworkConfig::MAX_LEN)]
pub struct ConfigTooLong {
    pub got: usize,
}

/// Writes a configuration and cuts it into signed chunks of `chunk_size` bytes, each as it is in a packet from
/// the network id through the signature: the payload of a push, or of an OK behind its envelope.
///
/// `update_id` is random and another one for each sending: by it members know which chunks belong together.
///
/// # Errors
/// [`ConfigTooLong`] for more than [`NetworkConfig::MAX_LEN`] bytes: nothing can be sent.
pub fn chunks(
    config: &NetworkConfig,
    update_id: NonZeroU64,
    chunk_size: usize,
    signer: &IdentitySecret,
) -> Result<Vec<Vec<u8>>, ConfigTooLong> {
    let dictionary = config.write();
    let too_long = ConfigTooLong { got: dictionary.len() };
    if dictionary.len() > NetworkConfig::MAX_LEN {
        return Err(too_long);
    }
    let total = u32::try_from(dictionary.len()).map_err(|_| too_long)?;
    let chunk_size = chunk_size.clamp(1, ConfigChunk::MAX_DATA);
    let chunks = (0_u32..).step_by(chunk_size).zip(dictionary.chunks(chunk_size));
    Ok(chunks
        .map(|(index, data)| {
            let update_id = update_id.get();
            let part = ChunkPart { flags: 0, update_id, total, index, signature: Signature::NONE };
            let mut chunk = ConfigChunk { network: config.network, data, part: Some(part) };
            let signature = signer.sign(&chunk.signed_bytes());
            if let Some(part) = &mut chunk.part {
                part.signature = signature;
            }
            let mut payload = Vec::new();
            chunk.write(&mut payload);
            payload
        })
        .collect())
}

/// Takes a member's certificate away: members refuse the one that was issued at `threshold` or earlier, and
/// tell each other. `id` is random and tells revocations apart.
pub fn revoke(
    network: NetworkId,
    member: Address,
    threshold: Timestamp,
    id: u32,
    signer: &IdentitySecret,
) -> Revocation {
    let mut revocation = Revocation {
        id,
        network,
        credential_id: 0,
        threshold,
        flags: Revocation::FAST_PROPAGATE,
        target: member,
        signed_by: signer.address(),
        credential_type: CredentialType::Membership,
        signature: Signature::NONE,
    };
    revocation.signature = signer.sign(&revocation.signed_bytes());
    revocation
}

/// Returns payloads of NETWORK_CREDENTIALS that carry all revocations, as many in each as one packet takes.
///
/// A receiver drops what comes from the same node less than a second after the last one (`vl2.md` §4.4), so one
/// after the other is to be sent at least that far apart.
pub fn revocation_payloads(revocations: &[Revocation]) -> Vec<Vec<u8>> {
    let groups = revocations.chunks(NetworkCredentials::MAX_REVOCATIONS);
    groups
        .map(|revocations| {
            let mut payload = Vec::new();
            let revocations = revocations.to_vec();
            NetworkCredentials { revocations, ..NetworkCredentials::default() }.write(&mut payload);
            payload
        })
        .collect()
}
