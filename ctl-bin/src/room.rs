//! Tables that were large once give back the room that they no longer need: after a storm of HELLOs they would keep megabytes
//! of it for ever.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// So many entries have room in every table.
const ALWAYS: usize = 256;

/// Returns for how many entries a table should have room from now on, if it has far more than it needs: eight times as much.
/// There is room for twice the entries then, so whatever comes and goes, no more are moved than came or went.
pub(crate) fn needed(len: usize, capacity: usize) -> Option<usize> {
    (capacity > ALWAYS && len < capacity / 8).then_some(2 * len)
}

/// A table that has room for more than is in it.
pub(crate) trait Room {
    /// Gives room back, if it is far more than is needed.
    fn give_back(&mut self);
}

impl<T> Room for VecDeque<T> {
    fn give_back(&mut self) {
        if let Some(room) = needed(self.len(), self.capacity()) {
            // It grows by doubling, up to a bound that is a power of two.
            self.shrink_to(room.next_power_of_two());
        }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Room for HashMap<K, V, S> {
    fn give_back(&mut self) {
        if let Some(room) = needed(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<K: Eq + Hash, S: BuildHasher> Room for HashSet<K, S> {
    fn give_back(&mut self) {
        if let Some(room) = needed(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_gives_back_what_it_needs_no_more_and_keeps_what_it_may_need_soon() {
        let mut table: VecDeque<_> = (0..65_536).collect();
        let mut map: HashMap<_, _> = (0..50_000).map(|n| (n, n)).collect();
        let mut moved = 0;
        while table.pop_front().is_some() {
            map.remove(&table.len());
            let before = table.capacity();
            table.give_back();
            map.give_back();
            if table.capacity() < before {
                moved += table.len();
            }
            assert!(
                table.capacity() <= ALWAYS.max(8 * table.len() + 8),
                "{} of {}",
                table.len(),
                table.capacity()
            );
            assert!(table.capacity() >= 2 * table.len() || before == table.capacity());
        }
        assert!(moved < 65_536 / 4, "{moved}");
        assert!(map.is_empty() && map.capacity() <= 2 * ALWAYS);
    }

    #[test]
    fn a_small_table_keeps_its_room() {
        let mut table: VecDeque<u8> = VecDeque::with_capacity(ALWAYS);
        table.give_back();
        assert_eq!(table.capacity(), ALWAYS);
    }
}
