//! Room of packets that have left, for those that come next: so an answer takes none from the allocator, which the node shares
//! with the threads that make answers.

/// Twice as many as leave in one call.
const MOST: usize = 64;
/// Longer ones are seldom needed; a datagram is never as long.
const LONGEST: usize = 2048;

/// What is kept of it; no more than 128 KiB.
#[derive(Debug, Default)]
pub(super) struct SpareRoom(Vec<Vec<u8>>);

impl SpareRoom {
    /// Returns an empty vector with room for so many bytes, or more.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        let mut room = self.0.pop().unwrap_or_default();
        room.reserve_exact(bytes);
        room
    }

    /// Takes room that nobody needs any more.
    pub(super) fn give_back(&mut self, mut room: Vec<u8>) {
        if self.0.len() < MOST && room.capacity() <= LONGEST {
            room.clear();
            self.0.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_and_what_was_in_it_is_gone() {
        let mut spare = SpareRoom::default();
        let mut first = spare.take(1400);
        first.extend_from_slice(b"secret");
        let place = first.as_ptr();
        spare.give_back(first);
        let again = spare.take(100);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(spare.take(100).capacity() >= 100, "there is always room");
    }

    #[test]
    fn neither_many_nor_long_ones_are_kept() {
        let mut spare = SpareRoom::default();
        spare.give_back(Vec::with_capacity(LONGEST + 1));
        assert!(spare.0.is_empty());
        (0..=MOST).for_each(|_| spare.give_back(Vec::with_capacity(LONGEST)));
        assert_eq!(spare.0.len(), MOST);
    }
}
