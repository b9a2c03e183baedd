//! The own part of a configuration that is in a form of which there is no template: compressed, of which is kept what the first
//! member's has not.

use std::borrow::Cow;

use zt_proto::compression::{BlockWriter, Compressed, pack, unpack};

use super::template::OwnPieces;

/// What is a member's own.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// The first piece compressed, then the others, as they differ from those of another member (`model`).
    packed: Box<[u8]>,
    /// Their length before.
    unpacked: u32,
    /// Of the first of them.
    head: [u32; 2],
    addresses: u16,
    login: u16,
}

/// What was packed.
struct Unpacked {
    bytes: Vec<u8>,
    addresses: usize,
    login: usize,
}

impl Packed {
    /// Returns `None` if it is too long. `model` returns what others are like, of which the first is this.
    pub(super) fn new<'a>(own: &OwnPieces<'_>, model: impl FnOnce(&[u8]) -> &'a [u8]) -> Option<Self> {
        let [behind, addresses, login] = own;
        let compressed = Compressed::new(behind);
        let (bytes, head) = compressed.parts();
        let bytes = [bytes, &**addresses, login].concat();
        let length = |piece: &[u8]| u16::try_from(piece.len()).ok();
        let (addresses, login) = (length(addresses)?, length(login)?);
        let packed = pack(&bytes, model(&bytes));
        Some(Self { packed, unpacked: u32::try_from(bytes.len()).ok()?, head, addresses, login })
    }

    /// Returns about how many bytes it takes besides what it shares.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.packed.len()
    }

    fn unpack(&self, model: &[u8]) -> Unpacked {
        let length = usize::try_from(self.unpacked).unwrap_or(usize::MAX);
        let bytes = unpack(&self.packed, model, length);
        let login = bytes.len().saturating_sub(self.login.into());
        Unpacked { addresses: login.saturating_sub(self.addresses.into()), login, bytes }
    }

    /// Returns how long the text is.
    pub(super) fn len(&self) -> usize {
        let head = Compressed::of_parts([], self.head).text_len();
        head + usize::from(self.addresses) + usize::from(self.login)
    }

    /// Returns the text.
    pub(super) fn pieces(&self, model: &[u8]) -> OwnPieces<'static> {
        let unpacked = self.unpack(model);
        let (head, addresses, login) = unpacked.pieces();
        [Compressed::of_parts(head, self.head).text(), addresses.to_vec(), login.to_vec()].map(Cow::Owned)
    }

    /// Adds the text to a block, with what stands between its pieces.
    pub(super) fn write(&self, model: &[u8], between: [&Compressed; 2], block: &mut BlockWriter<'_>) {
        let (unpacked, [routes, rules_and_dns]) = (self.unpack(model), between);
        let (head, addresses, login) = unpacked.pieces();
        block.compressed(&Compressed::of_parts(head, self.head));
        block.compressed(routes);
        block.plain(addresses);
        block.compressed(rules_and_dns);
        block.plain(login);
    }
}

impl Unpacked {
    /// Returns the head, the addresses, and what to log in with.
    fn pieces(&self) -> (&[u8], &[u8], &[u8]) {
        let (before, login) = self.bytes.split_at_checked(self.login).unwrap_or((&self.bytes, &[]));
        let (head, addresses) = before.split_at_checked(self.addresses).unwrap_or((before, &[]));
        (head, addresses, login)
    }
}
