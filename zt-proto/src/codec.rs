//! The one cursor through which received bytes are read.

/// Why received bytes are not what they claim to be. Never the fault of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("{field} needs {needed} bytes, {left} left")]
    Truncated { field: &'static str, needed: usize, left: usize },
    #[error("{field} cannot be {value:#x}")]
    Invalid { field: &'static str, value: u64 },
    #[error("{field} may have at most {max} bytes or entries, not {got}")]
    TooLong { field: &'static str, max: usize, got: usize },
}

/// A cursor over received bytes; every read is checked and names its field. Integers are big-endian.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Returns how many bytes have not been read yet.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

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

    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(u8::from_be_bytes)
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

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
