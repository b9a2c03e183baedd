//! ECHO (verb 0x08): the keep-alive of a path (`vl1.md` §10.8).

/// Any bytes, usually none; the OK carries the same ones back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Echo<'a>(pub &'a [u8]);

impl<'a> Echo<'a> {
    /// Every payload is an echo.
    pub fn parse(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// Appends the bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
