//! Cutting packets into datagrams, and the header of what is not the first piece (`vl1.md` §7).

use super::{FRAGMENT_HEADER_LEN, FRAGMENT_INDICATOR, MAX_FRAGMENTS, MIN_PACKET};
use crate::address::Address;
use crate::codec::{DecodeError, Reader};

/// Most datagrams that four bits can number.
const FORMAT_MAX_FRAGMENTS: usize = 15;
const HOPS_OFFSET: usize = 15;

/// What stands before the data of a fragment.
///
/// `packet_id:8 destination:5 0xff:1 total:4 bits number:4 bits hops:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentHeader {
    /// Id of the packet as it is on the wire.
    pub packet_id: u64,
    /// For whom the packet is.
    pub destination: Address,
    /// Datagrams of the packet, the first one included; 0 to 15 on the wire.
    pub total: u8,
    /// 1 for the first fragment after the head; 0 to 15 on the wire.
    pub number: u8,
    /// Relays on the way; the whole byte counts.
    pub hops: u8,
}

impl FragmentHeader {
    /// Reads [`FRAGMENT_HEADER_LEN`] bytes; the data comes next.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.u64("packet id")?;
        let destination = Address::parse(reader, "destination")?;
        let indicator = reader.u8("fragment indicator")?;
        if indicator != FRAGMENT_INDICATOR {
            return Err(DecodeError::Invalid { field: "fragment indicator", value: indicator.into() });
        }
        let position = reader.u8("fragment number")?;
        let hops = reader.u8("fragment hops")?;
        Ok(Self { packet_id, destination, total: position >> 4, number: position & 0x0f, hops })
    }

    /// Writes [`FRAGMENT_HEADER_LEN`] bytes; the data comes next.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        self.destination.write(out);
        out.extend_from_slice(&[FRAGMENT_INDICATOR, self.total << 4 | self.number & 0x0f, self.hops]);
    }

    /// Says whether a packet can be put together from this and others. A relay does not ask.
    pub fn is_plausible(&self) -> bool {
        (2..=MAX_FRAGMENTS).contains(&self.total.into()) && (1..self.total).contains(&self.number)
    }
}

/// Changes the hop count of a fragment that is being relayed; leaves what is too short as it is.
pub fn set_hops(fragment: &mut [u8], hops: u8) {
    if let Some(byte) = fragment.get_mut(HOPS_OFFSET) {
        *byte = hops;
    }
}

/// Returns the length of the longest packet that `datagrams` datagrams of `mtu` bytes carry.
pub const fn max_packet_len(mtu: usize, datagrams: usize) -> usize {
    let pieces = datagrams.saturating_sub(1).saturating_mul(mtu.saturating_sub(FRAGMENT_HEADER_LEN));
    mtu.saturating_add(pieces)
}

/// Cuts an armored packet into datagrams of at most `mtu` bytes, in sending order.
///
/// A packet that is longer than `mtu` must have been armored with the fragmented flag set. One that would need
/// more datagrams than can be numbered, 15, gives none at all; receivers take [`MAX_FRAGMENTS`], so callers keep
/// to [`max_packet_len`]. An `mtu` too small for a packet header is raised to one.
pub fn split(packet: &[u8], mtu: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mtu = mtu.max(MIN_PACKET);
    let (head, rest) = packet.split_at_checked(mtu).unwrap_or((packet, &[]));
    let pieces = rest.chunks(mtu - FRAGMENT_HEADER_LEN);
    let total = pieces.len() + 1;
    let is_possible = total <= FORMAT_MAX_FRAGMENTS && packet.len() >= MIN_PACKET;
    let mut reader = Reader::new(packet);
    // The two first fields of a packet are also those of a fragment.
    let packet_id = reader.u64("packet id").unwrap_or_default();
    let destination = Address::parse(&mut reader, "destination").unwrap_or_default();
    let fragments = (1..).zip(pieces).map(move |(number, piece)| {
        let total = u8::try_from(total).unwrap_or_default();
        let header = FragmentHeader { packet_id, destination, total, number, hops: 0 };
        let mut datagram = Vec::with_capacity(FRAGMENT_HEADER_LEN + piece.len());
        header.write(&mut datagram);
        datagram.extend_from_slice(piece);
        datagram
    });
    let count = if is_possible { total } else { 0 };
    std::iter::once_with(move || head.to_vec()).chain(fragments).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{DEFAULT_MTU, MAX_FRAGMENTS_BEFORE_1_2_6};

    #[test]
    fn limits_are_those_of_the_specification() {
        assert_eq!(max_packet_len(DEFAULT_MTU, MAX_FRAGMENTS), 9928);
        assert_eq!(max_packet_len(DEFAULT_MTU, MAX_FRAGMENTS_BEFORE_1_2_6), 5680);
        assert_eq!(max_packet_len(usize::MAX, usize::MAX), usize::MAX);
    }

    #[test]
    fn longest_packet_needs_exactly_seven_datagrams() {
        let datagrams: Vec<_> = split(&[1; 9928], DEFAULT_MTU).collect();
        assert_eq!(datagrams.len(), MAX_FRAGMENTS);
        assert!(datagrams.iter().all(|datagram| datagram.len() == DEFAULT_MTU));
        assert_eq!(split(&[1; 9929], DEFAULT_MTU).count(), MAX_FRAGMENTS + 1);
    }

    #[test]
    fn packet_that_cannot_be_numbered_gives_no_datagram() {
        assert_eq!(split(&[1; 10_024], 28).count(), 0);
        assert_eq!(split(&[1; 27], DEFAULT_MTU).count(), 0);
    }

    /// `known-flaws.md` row 11: malformed fragments.
    #[test]
    fn implausible_fragments_are_told_from_plausible_ones() {
        let header = |total, number| FragmentHeader {
            packet_id: 1,
            destination: Address::NONE,
            total,
            number,
            hops: 0,
        };
        assert!(header(2, 1).is_plausible() && header(7, 6).is_plausible());
        for (total, number) in [(0, 0), (1, 1), (2, 0), (2, 2), (7, 7), (8, 1), (15, 15)] {
            assert!(!header(total, number).is_plausible(), "{number} of {total}");
        }
    }

    #[test]
    fn relay_changes_the_hop_count_only() {
        let header = FragmentHeader {
            packet_id: 7,
            destination: Address::from_low_bits(0x11_2233_4455),
            total: 3,
            number: 2,
            hops: 0,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        set_hops(&mut bytes, 9);
        let relayed = FragmentHeader::parse(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(relayed, FragmentHeader { hops: 9, ..header });
        set_hops(&mut bytes[..3], 1);
    }
}
