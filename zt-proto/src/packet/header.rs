//! The header of a packet (`vl1.md` §6.1, §6.2).

use super::{HEADER_LEN, MIN_PACKET};
use crate::address::Address;
use crate::codec::{DecodeError, Reader};

/// Bit of the flags byte: "encrypted", as releases 1.0.0 to 1.0.2 read it.
pub const FLAG_ENCRYPTED: u8 = 0x80;
/// Bit of the flags byte: more datagrams belong to this packet.
pub const FLAG_FRAGMENTED: u8 = 0x40;
/// Bits of the flags byte that hold the number of the cipher suite.
pub const SUITE_MASK: u8 = 0x38;
const SUITE_SHIFT: u32 = 3;
/// Bits of the flags byte that count the relays on the way; the only ones that are not authenticated.
pub const HOPS_MASK: u8 = 0x07;
/// Where the flags byte is.
pub const FLAGS_OFFSET: usize = 18;

/// The first 27 bytes of a packet.
///
/// `id:8 destination:5 source:5 flags:1 mac:8`.
#[doc(alias = "VL1")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketHeader {
    /// Also the nonce, and how answers name the packet.
    pub id: u64,
    /// For whom the packet is; a relay passes it on.
    pub destination: Address,
    /// Who claims to have sent it, before the armor is opened.
    pub source: Address,
    /// Flags, cipher suite and hops.
    pub flags: u8,
    /// Message authentication code, or the id of a trusted path.
    pub mac: [u8; 8],
}

impl PacketHeader {
    /// Reads the header of a packet.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there is no verb byte behind it.
    pub fn parse(packet: &[u8]) -> Result<Self, DecodeError> {
        if packet.len() < MIN_PACKET {
            return Err(DecodeError::Truncated { field: "packet", needed: MIN_PACKET, left: packet.len() });
        }
        let mut reader = Reader::new(packet);
        Ok(Self {
            id: reader.u64("packet id")?,
            destination: Address::parse(&mut reader, "destination")?,
            source: Address::parse(&mut reader, "source")?,
            flags: reader.u8("flags")?,
            mac: reader.array("MAC")?,
        })
    }

    /// Writes [`HEADER_LEN`] bytes; the verb byte comes next.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        self.destination.write(out);
        self.source.write(out);
        out.push(self.flags);
        out.extend_from_slice(&self.mac);
    }

    /// Returns over how many relays the packet came, 0 to 7.
    pub const fn hops(&self) -> u8 {
        self.flags & HOPS_MASK
    }

    /// Returns the number of the cipher suite, 0 to 7.
    pub const fn suite(&self) -> u8 {
        (self.flags & SUITE_MASK) >> SUITE_SHIFT
    }

    /// Says whether more datagrams belong to this packet; stays set when it has been assembled.
    pub const fn is_fragmented(&self) -> bool {
        self.flags & FLAG_FRAGMENTED != 0
    }

    /// Says whether the legacy "encrypted" flag is set; it decides nothing when receiving.
    pub const fn is_marked_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }
}

/// The header of a packet that is being sent or relayed, changed in place.
#[derive(Debug)]
pub struct HeaderMut<'a>(pub &'a mut [u8; HEADER_LEN]);

impl<'a> HeaderMut<'a> {
    /// Returns the header of `packet`, or `None` if that is too short to have one.
    pub fn of(packet: &'a mut [u8]) -> Option<Self> {
        packet.first_chunk_mut().map(Self)
    }

    /// Returns the packet id.
    pub fn id(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Sets the packet id, which is the nonce: before armoring.
    pub fn set_id(&mut self, id: u64) {
        self.0[..8].copy_from_slice(&id.to_be_bytes());
    }

    /// Returns the flags byte.
    pub fn flags(&self) -> u8 {
        self.0[FLAGS_OFFSET]
    }

    /// Sets the whole flags byte.
    pub fn set_flags(&mut self, flags: u8) {
        self.0[FLAGS_OFFSET] = flags;
    }

    /// Sets the hop count to the low three bits of `hops`.
    pub fn set_hops(&mut self, hops: u8) {
        self.set_flags(self.flags() & !HOPS_MASK | hops & HOPS_MASK);
    }

    /// Sets the cipher suite to the low three bits of `suite`, and the legacy flag for suite 1 only.
    pub fn set_suite(&mut self, suite: u8) {
        let bits = suite << SUITE_SHIFT & SUITE_MASK;
        let encrypted = if suite == 1 { FLAG_ENCRYPTED } else { 0 };
        self.set_flags(self.flags() & !(SUITE_MASK | FLAG_ENCRYPTED) | bits | encrypted);
    }

    /// Sets or clears the fragmented flag, which must happen before armoring.
    pub fn set_fragmented(&mut self, fragmented: bool) {
        let bit = if fragmented { FLAG_FRAGMENTED } else { 0 };
        self.set_flags(self.flags() & !FLAG_FRAGMENTED | bit);
    }

    /// Returns the message authentication code, or the id of a trusted path.
    pub fn mac(&self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = *self.0;
        [a, b, c, d, e, f, g, h]
    }

    /// Sets the message authentication code, or the id of a trusted path.
    pub fn set_mac(&mut self, mac: [u8; 8]) {
        self.0[FLAGS_OFFSET + 1..].copy_from_slice(&mac);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_in_place_is_what_the_header_says() {
        let mut packet = vec![0; MIN_PACKET];
        let mut header = HeaderMut::of(&mut packet).unwrap();
        header.set_id(0x0102_0304_0506_0708);
        header.set_fragmented(true);
        header.set_suite(3);
        header.set_hops(5);
        header.set_mac([1, 2, 3, 4, 5, 6, 7, 8]);
        let read = (header.id(), header.mac());
        let header = PacketHeader::parse(&packet).unwrap();
        assert_eq!(read, (header.id, header.mac));
        assert_eq!(header.id, 0x0102_0304_0506_0708);
        assert_eq!(header.flags, 0x40 | 0x18 | 0x05);
        assert_eq!((header.hops(), header.suite(), header.is_fragmented()), (5, 3, true));
        assert!(!header.is_marked_encrypted());
        assert_eq!(header.mac, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn only_suite_1_carries_the_legacy_flag() {
        for suite in 0..8 {
            let mut packet = vec![0xff; MIN_PACKET];
            HeaderMut::of(&mut packet).unwrap().set_suite(suite);
            let header = PacketHeader::parse(&packet).unwrap();
            assert_eq!((header.suite(), header.is_marked_encrypted()), (suite, suite == 1));
            assert_eq!((header.hops(), header.is_fragmented()), (7, true), "other bits stay");
        }
    }

    #[test]
    fn header_is_written_as_it_was_read() {
        let packet: Vec<u8> = (0..28).collect();
        let mut out = Vec::new();
        PacketHeader::parse(&packet).unwrap().write(&mut out);
        assert_eq!(out, packet[..HEADER_LEN]);
    }
}
