//! The one cursor through which received bytes are read.

/// Why received bytes are not what they claim to be. Never the fault of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside of a field.
    #[error("{field} needs {needed} bytes, {left} left")]
    Truncated {
        /// What was read, in words.
        field: &'static str,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that there were.
        left: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{field} cannot be {value:#x}")]
    Invalid {
        /// What was read, in words.
        field: &'static str,
        /// What it was.
        value: u64,
    },
    /// There is more than a documented limit allows.
    #[error("{field} may have at most {max} bytes or entries, not {got}")]
    TooLong {
        /// What was read, in words.
        field: &'static str,
        /// The limit.
        max: usize,
        /// How much there was; at least so much, where reading stopped at the limit.
        got: usize,
    },
}

/// A cursor over received bytes; every read is checked and names its field. Integers are big-endian.
///
/// Types that stand inside of others are read from it, one after the other:
///
/// ```
/// use zt_proto::codec::Reader;
/// use zt_proto::{Address, DecodeError, NetworkId};
///
/// let mut reader = Reader::new(&[0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1, 0x11, 0x22]);
/// assert_eq!(NetworkId::parse(&mut reader)?.to_string(), "8056c2e21c000001");
/// let error = Address::parse(&mut reader, "member").unwrap_err();
/// assert_eq!(error, DecodeError::Truncated { field: "member", needed: 5, left: 2 });
/// assert_eq!(error.to_string(), "member needs 5 bytes, 2 left");
/// # Ok::<(), DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins before the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Returns how many bytes have not been read yet.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Says whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Returns the next byte without reading it.
    pub fn peek(&self) -> Option<u8> {
        self.left.first().copied()
    }

    /// Reads everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Reads `count` bytes.
    pub fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (bytes, left) = self.left.split_at_checked(count).ok_or(DecodeError::Truncated {
            field,
            needed: count,
            left: self.left.len(),
        })?;
        self.left = left;
        Ok(bytes)
    }

    /// Reads `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (array, left) = self.left.split_first_chunk::<N>().ok_or(DecodeError::Truncated {
            field,
            needed: N,
            left: self.left.len(),
        })?;
        self.left = left;
        Ok(*array)
    }

    /// Reads one byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(u8::from_be_bytes)
    }

    /// Reads 2 bytes.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Reads 4 bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Reads 8 bytes.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_names_its_field_and_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32("size"), Err(DecodeError::Truncated { field: "size", needed: 4, left: 3 }));
        assert_eq!(reader.u16("head"), Ok(0x0102));
        assert_eq!(reader.rest(), [3]);
        assert!(reader.is_empty());
    }
}
