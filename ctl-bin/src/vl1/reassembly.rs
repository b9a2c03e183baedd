//! Packets that arrive in several datagrams (`vl1.md` §7.3).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use zt_proto::packet::{MAX_FRAGMENTS, MAX_PACKET};

use super::moment::Moment;
use crate::room::Room;

/// How long the pieces of a packet may take.
pub(super) const REASSEMBLE_FOR: Duration = Duration::from_secs(5);
/// Incomplete packets at the same time, in all; past it the oldest is dropped. About 10 MiB at the most.
pub(super) const MAX_INCOMPLETE: usize = 1024;
/// Incomplete packets at the same time from one IP address; past it the oldest of them is dropped. All who come through a root
/// have its address, and the pieces of a packet come one behind the other.
pub(super) const MAX_INCOMPLETE_PER_IP: usize = 32;

/// Pieces are matched by packet id and IP address: the ports differ where a peer uses several sockets.
type Key = (IpAddr, u64);

#[derive(Debug)]
struct Incomplete {
    /// Its place in the order of coming.
    sequence: u64,
    /// Number 0 is the head.
    pieces: [Option<Vec<u8>>; MAX_FRAGMENTS],
    /// Known from the first fragment on, and the same in all of them.
    total: Option<u8>,
}

/// The packets of which pieces are missing.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    incomplete: HashMap<Key, Incomplete>,
    /// The same by their sequence, oldest first.
    order: BTreeMap<u64, (Moment, Key)>,
    /// The sequences of those of one address.
    per_ip: HashMap<IpAddr, BTreeSet<u64>>,
    next_sequence: u64,
}

/// One piece of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    Head(&'a [u8]),
    /// `number` of `total` datagrams, the head included.
    Fragment {
        number: u8,
        total: u8,
        data: &'a [u8],
    },
}

impl Reassembly {
    /// Adds a piece; returns the packet once it is complete.
    ///
    /// A piece that is there already, one with an impossible number and one that contradicts the others is ignored.
    pub(super) fn add(&mut self, from: IpAddr, id: u64, piece: Piece<'_>, now: Moment) -> Option<Vec<u8>> {
        let (number, total, data) = match piece {
            Piece::Head(data) => (0, None, data),
            Piece::Fragment { number, total, data } => {
                let possible = (1..total).contains(&number) && usize::from(total) <= MAX_FRAGMENTS;
                if !possible {
                    return None;
                }
                (usize::from(number), Some(total), data)
            }
        };
        let key = (from, id);
        if !self.incomplete.contains_key(&key) {
            self.make_room(from);
            self.begin(key, now);
        }
        let packet = self.incomplete.get_mut(&key)?;
        if total.is_some_and(|total| packet.total.is_some_and(|known| known != total)) {
            return None;
        }
        packet.total = packet.total.or(total);
        let slot = packet.pieces.get_mut(number)?;
        if slot.is_none() {
            *slot = Some(data.to_vec());
        }
        let total = usize::from(packet.total?);
        let complete = packet.pieces.iter().take(total).all(Option::is_some);
        if !complete {
            return None;
        }
        let packet = self.remove(key)?;
        let whole = packet.pieces.into_iter().take(total).flatten().flatten().collect::<Vec<u8>>();
        (whole.len() <= MAX_PACKET).then_some(whole)
    }

    /// Drops the oldest packet of an IP address that has too many incomplete ones, and the oldest of all if there are too many.
    fn make_room(&mut self, ip: IpAddr) {
        let of_ip = self.per_ip.get(&ip).filter(|sequences| sequences.len() >= MAX_INCOMPLETE_PER_IP);
        let oldest = of_ip.and_then(|sequences| sequences.first().copied());
        let is_full = self.incomplete.len() >= MAX_INCOMPLETE;
        let oldest = oldest.or_else(|| self.order.keys().next().copied().filter(|_| is_full));
        if let Some((_, key)) = oldest.and_then(|sequence| self.order.get(&sequence).copied()) {
            self.remove(key);
        }
    }

    fn begin(&mut self, key: Key, now: Moment) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.order.insert(sequence, (now, key));
        self.per_ip.entry(key.0).or_default().insert(sequence);
        self.incomplete.insert(key, Incomplete { sequence, pieces: Default::default(), total: None });
    }

    fn remove(&mut self, key: Key) -> Option<Incomplete> {
        let packet = self.incomplete.remove(&key)?;
        self.order.remove(&packet.sequence);
        if let Some(sequences) = self.per_ip.get_mut(&key.0) {
            sequences.remove(&packet.sequence);
            if sequences.is_empty() {
                self.per_ip.remove(&key.0);
            }
        }
        Some(packet)
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((since, key)) = self.order.values().next().copied() {
            if now.saturating_duration_since(since) <= REASSEMBLE_FOR {
                break;
            }
            self.remove(key);
        }
        self.incomplete.give_back();
        self.per_ip.give_back();
    }

    pub(super) fn len(&self) -> usize {
        self.incomplete.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn fragment(number: u8, total: u8, data: &[u8]) -> Piece<'_> {
        Piece::Fragment { number, total, data }
    }

    #[test]
    fn pieces_in_any_order_make_the_packet_and_the_first_copy_wins() {
        let mut reassembly = Reassembly::default();
        let now = moment(0);
        assert_eq!(reassembly.add(IP, 1, fragment(2, 3, b"c"), now), None);
        assert_eq!(reassembly.add(IP, 1, fragment(2, 3, b"X"), now), None);
        assert_eq!(reassembly.add(IP, 1, Piece::Head(b"a"), now), None);
        assert_eq!(reassembly.add(IP, 1, fragment(1, 3, b"b"), now), Some(b"abc".to_vec()));
        assert_eq!(reassembly.len(), 0);
    }

    /// `known-flaws.md` row 11: malformed fragments.
    #[test]
    fn impossible_and_contradicting_numbers_are_ignored() {
        let mut reassembly = Reassembly::default();
        let now = moment(0);
        for (number, total) in [(0, 3), (3, 3), (1, 1), (7, 8), (15, 15)] {
            assert_eq!(reassembly.add(IP, 1, fragment(number, total, b"x"), now), None);
            assert_eq!(reassembly.len(), 0, "{number} of {total}");
        }
        reassembly.add(IP, 1, fragment(1, 3, b"b"), now);
        reassembly.add(IP, 1, fragment(2, 4, b"c"), now);
        assert_eq!(reassembly.add(IP, 1, Piece::Head(b"a"), now), None);
    }

    #[test]
    fn a_packet_that_is_too_long_is_dropped() {
        let mut reassembly = Reassembly::default();
        let piece = vec![0; MAX_PACKET];
        reassembly.add(IP, 1, Piece::Head(&piece), moment(0));
        assert_eq!(reassembly.add(IP, 1, fragment(1, 2, b"x"), moment(0)), None);
        assert_eq!(reassembly.len(), 0);
    }

    /// `known-flaws.md` rows 7 and 11.
    #[test]
    fn incomplete_packets_are_bounded_in_number_and_time() {
        let mut reassembly = Reassembly::default();
        for n in 0..100_000_u32 {
            let ip = IpAddr::from((n / 64).to_be_bytes());
            reassembly.add(ip, u64::from(n), Piece::Head(b"x"), moment(0));
        }
        assert!(reassembly.len() <= MAX_INCOMPLETE);
        assert!(reassembly.per_ip.values().all(|of_ip| of_ip.len() <= MAX_INCOMPLETE_PER_IP));
        reassembly.sweep(moment(6_000));
        assert_eq!((reassembly.len(), reassembly.per_ip.len(), reassembly.order.len()), (0, 0, 0));
    }
    /// All who come through a root have its address.
    #[test]
    fn who_never_completes_a_packet_keeps_nobody_of_the_same_address_from_it_and_nobody_else() {
        let mut reassembly = Reassembly::default();
        let (elsewhere, now) = (IpAddr::from([198, 51, 100, 1]), moment(0));
        reassembly.add(elsewhere, 7, Piece::Head(b"a"), now);
        for id in 0..10_000 {
            reassembly.add(IP, id, Piece::Head(b"x"), now);
        }
        assert_eq!(reassembly.len(), MAX_INCOMPLETE_PER_IP + 1);
        reassembly.add(IP, 10_000, Piece::Head(b"a"), now);
        assert_eq!(reassembly.add(IP, 10_000, fragment(1, 2, b"b"), now), Some(b"ab".to_vec()));
        assert_eq!(reassembly.add(elsewhere, 7, fragment(1, 2, b"b"), now), Some(b"ab".to_vec()));
    }
}
