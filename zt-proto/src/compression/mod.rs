//! Compression of payloads: bare LZ4 blocks (`vl1.md` §8).

mod joined;

use lz4_flex::block;

use crate::codec::DecodeError;
pub use joined::{BlockWriter, Compressed};

/// Payloads up to this length are never compressed.
pub const THRESHOLD: usize = 64;

/// Returns the block, or `None` if the payload is at most [`THRESHOLD`] bytes long or would not get shorter.
pub fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() <= THRESHOLD {
        return None;
    }
    let mut compressed = vec![0; block::get_maximum_output_size(payload.len())];
    let length = block::compress_into(payload, &mut compressed).ok()?;
    compressed.truncate(length);
    (length < payload.len()).then_some(compressed)
}

/// Returns the payload, at most `max` bytes; no more is ever allocated. Callers pass
/// [`MAX_PAYLOAD`](crate::packet::MAX_PAYLOAD).
///
/// # Errors
/// [`DecodeError::Invalid`] for a malformed block, or one that holds nothing or more than `max` bytes. An empty
/// payload is legal on the wire whatever its flag says, but it is no block.
pub fn decompress(compressed: &[u8], max: usize) -> Result<Vec<u8>, DecodeError> {
    let mut payload = vec![0; max];
    let length = block::decompress_into(compressed, &mut payload).unwrap_or(0);
    if length == 0 {
        let value = u64::try_from(compressed.len()).unwrap_or(u64::MAX);
        return Err(DecodeError::Invalid { field: "compressed payload of this length", value });
    }
    payload.truncate(length);
    Ok(payload)
}

/// Returns a text as what it does not have in common with a `model`, for [`unpack`]: of many texts that are alike little is
/// then kept of each.
#[must_use]
pub fn pack(text: &[u8], model: &[u8]) -> Box<[u8]> {
    let mut packed = vec![0; block::get_maximum_output_size(text.len())];
    // There is room for the longest.
    let length = block::compress_into_with_dict(text, &mut packed, model).unwrap_or(0);
    packed.truncate(length);
    packed.into()
}

/// Returns the text of which so much was kept by [`pack`], if `model` and `length` are those of then.
#[must_use]
pub fn unpack(packed: &[u8], model: &[u8], length: usize) -> Vec<u8> {
    let mut text = vec![0; length];
    let length = block::decompress_into_with_dict(packed, &mut text, model).unwrap_or(0);
    text.truncate(length);
    text
}

/// A payload as it goes into a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payload {
    /// What stands in the packet.
    pub bytes: Vec<u8>,
    /// Whether that is a block.
    pub is_compressed: bool,
}

impl Payload {
    /// Compresses a payload where that pays.
    #[must_use]
    pub fn new(plain: Vec<u8>) -> Self {
        match compress(&plain) {
            Some(bytes) => Self { bytes, is_compressed: true },
            None => Self { bytes: plain, is_compressed: false },
        }
    }

    /// Returns what it was before; of a block no more than `max` bytes.
    ///
    /// # Errors
    /// As [`decompress`].
    pub fn plain(&self, max: usize) -> Result<Vec<u8>, DecodeError> {
        if self.is_compressed { decompress(&self.bytes, max) } else { Ok(self.bytes.clone()) }
    }
}
