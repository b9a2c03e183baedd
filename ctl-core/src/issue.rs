//! Signs what the controller hands out, in the form that the client takes (`vl2.md` §4.1, §7, §8).

use std::num::NonZeroU64;
use std::sync::Arc;

use zt_crypto::IdentitySecret;
use zt_proto::compression::{BlockWriter, Payload};
use zt_proto::config::{Certificates, NetworkConfig};
use zt_proto::credential::{CredentialType, Revocation, Signature};
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::verb::network_config::{ChunkPart, ConfigChunk, write_refresh};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::certify::{Earlier, certify};
use crate::client::Client;
use crate::config::{Kept, NetworkPart, Times, UnsignedConfig, Whole, write_old};

/// With its header and signature a chunk of this size fills one UDP packet, which every client that takes
/// chunks can receive. Still enough for the largest dictionary: clients count up to 474 chunks.
const SMALL_CHUNK: usize = 1160;
/// About two UDP packets. Clients from 1.4.0 take 9740 bytes, but if one fragment of a packet is lost all of it
/// is, so that many small packets arrive better than few large ones.
const MODERATE_CHUNK: usize = 2800;

/// A configuration as it is sent to one member: signed and written, but not cut into chunks yet.
///
/// It can be sent more than once; each sending has chunks of its own.
#[derive(Debug, Clone)]
pub struct Issued {
    timestamp: Timestamp,
    text: Kept,
    /// By how many milliseconds the oldest certificate is older.
    certified_before: u32,
    client: Client,
}

/// However they are kept.
impl PartialEq for Issued {
    fn eq(&self, other: &Self) -> bool {
        let of = |issued: &Self| (issued.network(), issued.timestamp, issued.certified(), issued.client);
        of(self) == of(other) && self.dictionary() == other.dictionary()
    }
}

impl Eq for Issued {}

/// One sending of a configuration: its id and the signatures of its chunks, about a hundred bytes each. The rest of what
/// is sent is in [`Issued`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    update_id: NonZeroU64,
    /// What the dictionary says when it was issued.
    timestamp: Timestamp,
    signatures: Signatures,
}

/// Of each chunk one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Signatures {
    /// As of most configurations; it stands here, since there are very many.
    One(Signature),
    Others(Box<[Signature]>),
}

impl Signatures {
    fn all(&self) -> &[Signature] {
        match self {
            Self::One(signature) => std::slice::from_ref(signature),
            Self::Others(signatures) => signatures,
        }
    }
}

impl FromIterator<Signature> for Signatures {
    fn from_iter<I: IntoIterator<Item = Signature>>(signatures: I) -> Self {
        let mut signatures = signatures.into_iter();
        match (signatures.next(), signatures.next()) {
            (Some(signature), None) => Self::One(signature),
            (first, second) => Self::Others(first.into_iter().chain(second).chain(signatures).collect()),
        }
    }
}

impl Sending {
    /// Returns in how many chunks it goes; none for a client before 1.2.0, whose one piece has no signature.
    pub fn chunks(&self) -> usize {
        self.signatures.all().len()
    }

    /// Returns in how many bytes [`Self::bytes`] tells of so many chunks.
    pub const fn bytes_len(chunks: usize) -> usize {
        size_of::<u64>() + chunks * Signature::LEN
    }

    /// Returns all that is not known of a sending whose time of issue is known: its number, and its signatures.
    pub fn bytes(&self) -> Vec<u8> {
        let signatures = self.signatures.all().iter().flat_map(|signature| signature.0);
        self.update_id.get().to_be_bytes().into_iter().chain(signatures).collect()
    }

    /// Returns the sending of which these are the [`Self::bytes`]; `None` if they are of none.
    pub fn of_bytes(bytes: &[u8], timestamp: Timestamp) -> Option<Self> {
        let (update_id, signatures) = bytes.split_first_chunk()?;
        let update_id = NonZeroU64::new(u64::from_be_bytes(*update_id))?;
        let signatures = match signatures.as_chunks() {
            ([signature], []) => Signatures::One(Signature(*signature)),
            (signatures, []) => Signatures::Others(signatures.iter().copied().map(Signature).collect()),
            _ => return None,
        };
        Some(Self { update_id, timestamp, signatures })
    }

    /// Returns the number by which members know which chunks belong together.
    pub fn update_id(&self) -> NonZeroU64 {
        self.update_id
    }
}

/// A configuration that no client would take; only rules of unknown types, which may be long, make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a configuration for this client may have at most {max} bytes, not {got}")]
pub struct ConfigTooLong {
    pub max: usize,
    pub got: usize,
}

impl UnsignedConfig {
    /// Signs every credential in the configuration. `signer` must be the controller of the network: members
    /// believe nobody else.
    pub fn sign(&self, signer: &IdentitySecret) -> NetworkConfig {
        let mut config = self.build();
        certify(&mut config, &Earlier::default(), signer);
        config
    }

    /// Signs and writes the configuration for its client; what is sent again later comes from
    /// [`Memo::issue`](crate::memo::Memo::issue) instead.
    ///
    /// # Errors
    /// [`ConfigTooLong`] if the client could not take it: nothing can be sent.
    pub fn issue(&self, signer: &IdentitySecret) -> Result<Issued, ConfigTooLong> {
        let part = Arc::new(NetworkPart::new(self.network.clone(), self.bridges.clone()));
        self.issue_with(&part, &Earlier::default(), signer)
    }

    /// Does the same with what all members of the network have in common, and what this one had earlier.
    pub(crate) fn issue_with(
        &self,
        part: &Arc<NetworkPart>,
        earlier: &Earlier,
        signer: &IdentitySecret,
    ) -> Result<Issued, ConfigTooLong> {
        let mut config = self.build_own();
        let certified = certify(&mut config, earlier, signer);
        // Which is never more than a fifth of the longest credential window.
        let certified_before = u32::try_from(self.issued.millis_since(certified)).unwrap_or(u32::MAX);
        let times = Times::new(self.issued, certified_before);
        let text = if self.client.is_modern() {
            let text = Kept::new(part, self.client, &config, times);
            let (max, got) = (NetworkConfig::MAX_LEN, text.len(self.client));
            if got > max {
                return Err(ConfigTooLong { max, got });
            }
            text
        } else {
            let rules = part.rules(self.client);
            let config = NetworkConfig { routes: part.routes().to_vec(), rules, ..config };
            let too_long = |got| ConfigTooLong { max: NetworkConfig::MAX_LEN_BEFORE_1_2_0, got };
            let (dictionary, left_out) = write_old(&config, &self.network, self.client).map_err(too_long)?;
            Kept::whole(part, dictionary, left_out)
        };
        Ok(Issued { timestamp: self.issued, text, certified_before, client: self.client })
    }
}

impl Issued {
    /// Returns a configuration without credentials, for a client that takes dictionaries of version 7.
    pub(crate) fn without_credentials(config: &NetworkConfig, client: Client) -> Self {
        let (network, text) = (config.network, config.write().into());
        let text = Kept::Whole(Box::new(Whole { network, part: None, text, left_out: 0 }));
        Self { timestamp: config.timestamp, text, certified_before: 0, client }
    }

    /// Returns when it was issued.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns the time of its oldest certificate: the same, unless the member had it before.
    pub fn certified(&self) -> Timestamp {
        Times::new(self.timestamp, self.certified_before).certified
    }

    fn network(&self) -> NetworkId {
        self.text.network()
    }

    /// Says whether it was made with this part of its network.
    pub(crate) fn is_with(&self, part: &Arc<NetworkPart>) -> bool {
        self.text.is_with(part)
    }

    /// Returns its certificates, for a configuration that follows it; none of a client before 1.2.0, which are not as
    /// others.
    pub(crate) fn certificates(&self) -> Certificates {
        let certificates = self.client.is_modern().then(|| Certificates::parse(&self.dictionary()));
        // What was written can be read.
        certificates.and_then(Result::ok).unwrap_or_default()
    }

    /// Returns for which generation of clients it is.
    pub fn client(&self) -> Client {
        self.client
    }

    /// Returns the whole dictionary, in the form of its client.
    pub fn dictionary(&self) -> Vec<u8> {
        self.dictionary_at(self.timestamp)
    }

    /// Returns about how many bytes it takes besides what it shares with others.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.text.size_bytes()
    }

    /// Returns how many routes, bridges and relays were left out because a client before 1.2.0 takes one packet only;
    /// worth a warning.
    pub fn left_out(&self) -> usize {
        match &self.text {
            Kept::Whole(whole) => whole.left_out,
            Kept::Shared(_) => 0,
        }
    }

    /// Returns the payloads of an answer, each as it stands behind the envelope of its OK: signed chunks, or the one
    /// piece without signature that clients before 1.2.0 take (`vl2.md` §4.1).
    ///
    /// `update_id` is random and another one for each sending: by it members know which chunks belong together.
    pub fn reply(&self, update_id: NonZeroU64, signer: &IdentitySecret) -> Vec<Vec<u8>> {
        self.payloads(&self.sign_sending(update_id, 0, signer))
    }

    /// Signs the chunks of one sending, which [`Issued::payloads`] then returns; there are none for clients before 1.2.0.
    ///
    /// A client that gets exactly what it has takes that for no answer, and asks again every five seconds. So sendings that
    /// follow each other say times of issue that are `later` by another number of milliseconds; certificates keep theirs.
    pub fn sign_sending(&self, update_id: NonZeroU64, later: u64, signer: &IdentitySecret) -> Sending {
        let timestamp = self.timestamp.plus_millis(later);
        let dictionary = self.dictionary_at(timestamp);
        let chunks = self.chunks(&dictionary, update_id);
        let signatures = chunks.map(|chunk| signer.sign_pieces(|add| chunk.write_signed(add))).collect();
        Sending { update_id, timestamp, signatures }
    }

    /// Returns the dictionary with another time of issue. Those that are kept whole say their own: they are sent once, or
    /// not in chunks.
    fn dictionary_at(&self, timestamp: Timestamp) -> Vec<u8> {
        self.text.text(self.client, self.times(timestamp))
    }

    fn times(&self, issued: Timestamp) -> Times {
        Times { issued, ..Times::new(self.timestamp, self.certified_before) }
    }

    /// Returns the payloads of an answer whose chunks were signed by [`Issued::sign_sending`] of this configuration.
    pub fn payloads(&self, sending: &Sending) -> Vec<Vec<u8>> {
        let write = |chunk: &ConfigChunk<'_>| {
            let mut payload = Vec::with_capacity(chunk.data.len() + ConfigChunk::OVERHEAD);
            chunk.write(&mut payload);
            payload
        };
        let dictionary = self.dictionary_at(sending.timestamp);
        if !self.client.is_modern() {
            return vec![write(&ConfigChunk { network: self.network(), data: &dictionary, part: None })];
        }
        let chunks = self.chunks(&dictionary, sending.update_id).zip(sending.signatures.all());
        chunks
            .map(|(chunk, signature)| {
                let part = chunk.part.map(|part| ChunkPart { signature: *signature, ..part });
                write(&ConfigChunk { part, ..chunk })
            })
            .collect()
    }

    /// Returns the same, each payload behind `envelope` and compressed. If it is one chunk, as most are, that is put together
    /// from what was compressed when it was issued.
    pub fn compressed(&self, sending: &Sending, envelope: &[u8]) -> Vec<Payload> {
        if let (Kept::Shared(shared), Signatures::One(signature)) = (&self.text, &sending.signatures)
            && let Ok(length) = u16::try_from(self.text.len(self.client))
        {
            let mut bytes =
                Vec::with_capacity(envelope.len() + shared.written_len(self.client) + ConfigChunk::OVERHEAD);
            let mut block = BlockWriter::new(&mut bytes);
            block.plain(envelope);
            block.plain(&self.network().octets());
            block.plain(&length.to_be_bytes());
            shared.write(self.client, self.times(sending.timestamp), &mut block);
            let part = ChunkPart {
                signature: *signature,
                ..ChunkPart::unsigned(sending.update_id, u32::from(length), 0)
            };
            part.write(|bytes| block.plain(bytes));
            block.finish();
            return vec![Payload { bytes, is_compressed: true }];
        }
        let payloads = self.payloads(sending).into_iter();
        payloads.map(|payload| Payload::new([envelope, &payload].concat())).collect()
    }

    /// Returns the chunks for a client of 1.2.0 or later, not signed yet; none for others.
    fn chunks<'a>(
        &self,
        dictionary: &'a [u8],
        update_id: NonZeroU64,
    ) -> impl Iterator<Item = ConfigChunk<'a>> + use<'a> {
        let (dictionary, chunk_size): (&[u8], _) = match self.client {
            Client::Text { .. } | Client::Version6 => (&[], SMALL_CHUNK),
            Client::Modern { before_1_4: true, .. } => (dictionary, SMALL_CHUNK),
            Client::Modern { before_1_4: false, .. } => (dictionary, MODERATE_CHUNK),
        };
        // No dictionary is longer than `NetworkConfig::MAX_LEN`.
        let total = u32::try_from(dictionary.len()).unwrap_or(u32::MAX);
        let (pieces, network) =
            ((0_u32..).step_by(chunk_size).zip(dictionary.chunks(chunk_size)), self.network());
        pieces.map(move |(index, data)| {
            let part = ChunkPart::unsigned(update_id, total, index);
            ConfigChunk { network, data, part: Some(part) }
        })
    }

    /// Returns the payloads of NETWORK_CONFIG packets that bring it unasked: the same chunks, or what makes a client
    /// before 1.2.0 ask (`vl2.md` §8.4).
    pub fn push(&self, update_id: NonZeroU64, signer: &IdentitySecret) -> Vec<Vec<u8>> {
        if self.client.is_modern() { self.reply(update_id, signer) } else { vec![ask_again(self.network())] }
    }

    /// Returns the same of a sending that is signed already, compressed.
    pub fn pushed(&self, sending: &Sending) -> Vec<Payload> {
        if self.client.is_modern() {
            self.compressed(sending, &[])
        } else {
            vec![Payload::new(ask_again(self.network()))]
        }
    }
}

/// Returns the payload of a NETWORK_CONFIG packet that makes a client before 1.2.0 ask for its configuration: such a
/// client takes none that it did not ask for.
pub fn ask_again(network: NetworkId) -> Vec<u8> {
    let mut payload = Vec::new();
    write_refresh(&[network], &mut payload);
    payload
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
    let mut revocation = unsigned_revocation(network, member, threshold, id, signer.address());
    sign_revocation(&mut revocation, signer);
    revocation
}

/// Returns the same without a signature, which takes by far the most time: there may be very many that nobody ever asks
/// for. `controller` is that of the network.
pub fn unsigned_revocation(
    network: NetworkId,
    member: Address,
    threshold: Timestamp,
    id: u32,
    controller: Address,
) -> Revocation {
    Revocation {
        id,
        network,
        credential_id: 0,
        threshold,
        flags: Revocation::FAST_PROPAGATE,
        target: member,
        signed_by: controller,
        credential_type: CredentialType::Membership,
        signature: Signature::NONE,
    }
}

/// Signs a revocation; nothing if it is signed already.
pub fn sign_revocation(revocation: &mut Revocation, signer: &IdentitySecret) {
    if revocation.signature == Signature::NONE {
        revocation.signature = signer.sign(&revocation.signed_bytes());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each member that asked has one, in an allocation with two counters.
    #[test]
    fn what_is_kept_of_a_configuration_besides_its_text_is_small() {
        assert!(size_of::<Issued>() <= 40, "{}", size_of::<Issued>());
    }
}
