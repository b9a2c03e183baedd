//! NETWORK_CONFIG (verb 0x0c) and the answer to NETWORK_CONFIG_REQUEST: pieces of a configuration
//! (`vl2.md` §4.1, §4.2).

use std::num::NonZeroU64;

use crate::address::NetworkId;
use crate::codec::{DecodeError, Reader};
use crate::config::NetworkConfig;
use crate::credential::Signature;

/// A piece of a configuration dictionary, signed by itself.
///
/// `network:8 length:2 data [flags:1 update_id:8 total:4 index:4 signature block:99]`: in a push from the start
/// of the payload, in an OK behind its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigChunk<'a> {
    /// The network that is configured.
    pub network: NetworkId,
    /// At most [`ConfigChunk::MAX_DATA`].
    pub data: &'a [u8],
    /// `None` in the form for clients before 1.2.0, in which the dictionary is one piece.
    pub part: Option<ChunkPart>,
}

/// Where a piece belongs, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkPart {
    /// See [`ChunkPart::FAST_PROPAGATE`].
    pub flags: u8,
    /// Random, not 0, the same for all pieces of one configuration.
    pub update_id: u64,
    /// Length of the whole dictionary in bytes.
    pub total: u32,
    /// Position of this piece in it, in bytes.
    pub index: u32,
    /// By the controller, of [`ConfigChunk::signed_bytes`].
    pub signature: Signature,
}

impl ChunkPart {
    /// Members may pass the piece on to each other.
    pub const FAST_PROPAGATE: u8 = 0x01;

    /// Returns what is signed of a piece, without its signature.
    #[must_use]
    pub fn unsigned(update_id: NonZeroU64, total: u32, index: u32) -> Self {
        Self { flags: 0, update_id: update_id.get(), total, index, signature: Signature::NONE }
    }

    /// Hands over what follows on the data and is signed with it.
    fn write_signed(&self, mut out: impl FnMut(&[u8])) {
        out(&[self.flags]);
        out(&self.update_id.to_be_bytes());
        out(&self.total.to_be_bytes());
        out(&self.index.to_be_bytes());
    }

    /// Hands over what follows on the data, the signature last.
    pub fn write(&self, mut out: impl FnMut(&[u8])) {
        self.write_signed(&mut out);
        let mut block = Vec::with_capacity(SIGNATURE_BLOCK);
        self.signature.write_block(&mut block);
        out(&block);
    }
}

/// Length of a signature with its kind and length.
const SIGNATURE_BLOCK: usize = 99;

impl<'a> ConfigChunk<'a> {
    /// Longest piece that fits into a packet of clients from 1.4.0, as the reference counts.
    pub const MAX_DATA: usize = 9740;
    /// Longest piece that fits into a packet of clients of 1.2.0 to 1.2.4.
    pub const MAX_DATA_BEFORE_1_2_6: usize = 5492;
    /// Where the data stands in what is written.
    pub const DATA_OFFSET: usize = 10;
    /// What a signed piece has besides its data, in bytes.
    pub const OVERHEAD: usize = 126;

    /// # Errors
    /// [`DecodeError::Invalid`] if the piece reaches past the total, or for another kind of signature;
    /// [`DecodeError::TooLong`] if the whole would be longer than [`NetworkConfig::MAX_LEN`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let length = reader.u16("chunk length")?;
        let data = reader.bytes(length.into(), "chunk")?;
        if reader.is_empty() {
            return Ok(Self { network, data, part: None });
        }
        let part = ChunkPart {
            flags: reader.u8("chunk flags")?,
            update_id: reader.u64("update id")?,
            total: reader.u32("configuration length")?,
            index: reader.u32("chunk index")?,
            signature: Signature::parse_block(&mut reader)?,
        };
        let got = usize::try_from(part.total).unwrap_or(usize::MAX);
        if got > NetworkConfig::MAX_LEN {
            let max = NetworkConfig::MAX_LEN;
            return Err(DecodeError::TooLong { field: "configuration length", max, got });
        }
        if part.index.checked_add(length.into()).is_none_or(|end| end > part.total) {
            return Err(DecodeError::Invalid { field: "chunk index", value: part.index.into() });
        }
        Ok(Self { network, data, part: Some(part) })
    }

    /// Appends the piece; its data is cut to 65535 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_signed(|bytes| out.extend_from_slice(bytes));
        if let Some(part) = &self.part {
            part.signature.write_block(out);
        }
    }

    /// Returns what is signed: everything from the network up to the index.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + Self::OVERHEAD);
        self.write_signed(|bytes| out.extend_from_slice(bytes));
        out
    }

    /// Calls `out` with what [`ConfigChunk::signed_bytes`] returns, part by part: the data is not copied.
    pub fn write_signed(&self, mut out: impl FnMut(&[u8])) {
        let length = u16::try_from(self.data.len()).unwrap_or(u16::MAX);
        out(&self.network.octets());
        out(&length.to_be_bytes());
        out(self.data.get(..length.into()).unwrap_or(self.data));
        if let Some(part) = &self.part {
            part.write_signed(out);
        }
    }
}

/// What follows the envelope of the OK with which a client acknowledges a pushed configuration.
///
/// The envelope names ECHO as the verb that is answered, and the packet id of the last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConfigAcknowledgement {
    /// The network that was configured.
    pub network: NetworkId,
    /// [`ChunkPart::update_id`] of that configuration.
    pub update_id: u64,
}

impl ConfigAcknowledgement {
    /// Reads what follows the envelope.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { network: NetworkId::parse(&mut reader)?, update_id: reader.u64("update id")? })
    }

    /// Appends 16 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.extend_from_slice(&self.update_id.to_be_bytes());
    }
}

/// Writes the form that the verb had before 1.2.0: networks whose configuration the client should ask for again.
pub fn write_refresh(networks: &[NetworkId], out: &mut Vec<u8>) {
    networks.iter().for_each(|network| network.write(out));
}

/// Reads that form; an incomplete id at the end is ignored.
pub fn parse_refresh(payload: &[u8]) -> impl Iterator<Item = NetworkId> + '_ {
    let (ids, _) = payload.as_chunks::<8>();
    ids.iter().map(|id| NetworkId(u64::from_be_bytes(*id)))
}
