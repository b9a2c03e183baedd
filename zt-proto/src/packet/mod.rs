//! Packets and datagrams as they travel: everything that can be read without a key (`vl1.md` §6, §7).

pub mod fragment;
pub mod header;

pub use fragment::FragmentHeader;
pub use header::{HeaderMut, PacketHeader};

use crate::address::Address;
use crate::codec::{DecodeError, Reader};

/// Packet id, destination, source, flags, MAC.
pub const HEADER_LEN: usize = 27;
/// Where the verb byte is, and with it the start of what is encrypted.
pub const VERB_OFFSET: usize = 27;
/// Where the payload of the verb begins.
pub const PAYLOAD_OFFSET: usize = 28;
/// Shortest packet: an empty payload.
pub const MIN_PACKET: usize = 28;
/// Longest packet, assembled and before or after decompression: seven datagrams of the default MTU.
pub const MAX_PACKET: usize = 10_024;
/// Longest payload of a verb, decompressed.
pub const MAX_PAYLOAD: usize = MAX_PACKET - PAYLOAD_OFFSET;
/// Bytes of UDP payload that every path is believed to carry.
pub const DEFAULT_MTU: usize = 1432;
/// Most datagrams that a receiver puts together to a packet, from 1.2.6.
pub const MAX_FRAGMENTS: usize = 7;
/// The same for releases before 1.2.6.
pub const MAX_FRAGMENTS_BEFORE_1_2_6: usize = 4;
/// Length of the header before the data of a fragment.
pub const FRAGMENT_HEADER_LEN: usize = 16;
/// Where a fragment has [`FRAGMENT_INDICATOR`], and a packet the first byte of its source.
pub const FRAGMENT_INDICATOR_OFFSET: usize = 13;
/// Marks a fragment; no address begins with it.
pub const FRAGMENT_INDICATOR: u8 = 0xff;
/// Relays pass on what came over fewer relays than these.
pub const MAX_RELAY_HOPS: u8 = 3;
/// Length of the datagram that releases before 1.0.4 broadcast in local networks.
pub const BEACON_LEN: usize = 13;

/// What a received datagram is, as far as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Datagram<'a> {
    /// A piece of a packet, but not the first one, and its data.
    Fragment(FragmentHeader, &'a [u8]),
    /// A whole packet, or the first piece of one that says [`PacketHeader::is_fragmented`].
    Packet(PacketHeader),
}

/// Returns who sent a beacon; `None` if the datagram is none (`vl1.md` §10.18). Nothing has to be done about one.
pub fn beacon(datagram: &[u8]) -> Option<Address> {
    let beacon: &[u8; BEACON_LEN] = datagram.try_into().ok()?;
    let [_, _, _, _, _, _, _, _, address @ ..] = *beacon;
    Some(Address::from_octets(address))
}

impl<'a> Datagram<'a> {
    /// Looks at a datagram in the order of `vl1.md` §7.3.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] for what is too short for a fragment or a packet, among it the LAN beacons of
    /// releases before 1.0.4; [`DecodeError::TooLong`] above [`MAX_PACKET`].
    pub fn classify(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        if datagram.len() > MAX_PACKET {
            return Err(DecodeError::TooLong { field: "datagram", max: MAX_PACKET, got: datagram.len() });
        }
        if datagram.len() <= FRAGMENT_HEADER_LEN {
            let needed = FRAGMENT_HEADER_LEN + 1;
            return Err(DecodeError::Truncated { field: "datagram", needed, left: datagram.len() });
        }
        if datagram.get(FRAGMENT_INDICATOR_OFFSET) == Some(&FRAGMENT_INDICATOR) {
            let mut reader = Reader::new(datagram);
            return Ok(Self::Fragment(FragmentHeader::parse(&mut reader)?, reader.rest()));
        }
        PacketHeader::parse(datagram).map(Self::Packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runts_and_beacons_are_dropped() {
        for length in (0..=16).chain(17..28) {
            assert!(Datagram::classify(&vec![1; length]).is_err(), "{length} bytes");
        }
        assert!(matches!(Datagram::classify(&[1; 28]), Ok(Datagram::Packet(_))));
        assert!(matches!(Datagram::classify(&[0xff; 17]), Ok(Datagram::Fragment(_, [0xff]))));
        assert!(Datagram::classify(&vec![1; MAX_PACKET + 1]).is_err());
    }
}
