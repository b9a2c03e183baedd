//! What happened lately: found by its key, bounded in number, and forgotten in the order in which it came.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;

use super::moment::Moment;
use crate::room::{self, Room};

/// The entries of a table, oldest first, each at the place where it is and nowhere else: the index has four octets for each.
///
/// Keys are numbers that nobody else can choose, random ones or keyed hashes, so they are used as hashes as they are.
#[derive(Debug)]
pub(super) struct Recent<T> {
    /// Past it the oldest is forgotten.
    max: usize,
    keep_for: Duration,
    entries: VecDeque<Entry<T>>,
    /// The number of each entry, by its key.
    index: HashTable<u32>,
    /// The number of the oldest entry. The others follow it, and at last 0 follows the largest number.
    first: u32,
}

#[derive(Debug)]
struct Entry<T> {
    key: u64,
    since: Moment,
    value: T,
}

impl<T> Recent<T> {
    /// Makes a table of at most `max` entries, fewer than 2^32.
    pub(super) fn new(max: usize, keep_for: Duration) -> Self {
        Self { max, keep_for, entries: VecDeque::new(), index: HashTable::new(), first: 0 }
    }

    pub(super) fn contains(&self, key: u64) -> bool {
        self.get(key).is_some()
    }

    /// Returns an entry, and since when it is there, even if its time is over.
    pub(super) fn get(&self, key: u64) -> Option<(Moment, &T)> {
        let Self { entries, first, .. } = self;
        let number = self.index.find(key, |number| key_of(entries, *first, *number) == Some(key))?;
        entries.get(place(*first, *number)).map(|entry| (entry.since, &entry.value))
    }

    /// Adds an entry; one that is there already stays as it is.
    pub(super) fn insert(&mut self, key: u64, value: T, now: Moment) {
        if self.contains(key) {
            return;
        }
        if self.entries.len() >= self.max {
            self.remove_oldest();
        }
        let Self { entries, index, first, .. } = self;
        // There are fewer than 2^32.
        let number = first.wrapping_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        index.insert_unique(key, number, |number| key_of(entries, *first, *number).unwrap_or_default());
        entries.push_back(Entry { key, since: now, value });
    }

    fn remove_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        if let Ok(place) = self.index.find_entry(oldest.key, |number| *number == self.first) {
            place.remove();
        }
        self.first = self.first.wrapping_add(1);
    }

    /// Forgets what is there for too long, and gives room back.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some(oldest) = self.entries.front()
            && now.saturating_duration_since(oldest.since) > self.keep_for
        {
            self.remove_oldest();
        }
        let Self { entries, index, first, .. } = self;
        entries.give_back();
        if let Some(room) = room::needed(index.len(), index.capacity()) {
            index.shrink_to(room, |number| key_of(entries, *first, *number).unwrap_or_default());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len().max(self.index.len())
    }
}

/// Returns where among the entries the one of this number is.
fn place(first: u32, number: u32) -> usize {
    // No machine that this runs on counts with less.
    usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX)
}

fn key_of<T>(entries: &VecDeque<Entry<T>>, first: u32, number: u32) -> Option<u64> {
    entries.get(place(first, number)).map(|entry| entry.key)
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    /// A number like that of another, but in no order.
    fn key(n: u64) -> u64 {
        (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn the_oldest_give_way_and_all_others_are_found_however_the_numbers_wrap_around() {
        let mut recent = Recent::new(1_000, Duration::from_secs(10));
        recent.first = u32::MAX - 1_500;
        for n in 0..10_000 {
            recent.insert(key(n), n, moment(n));
            recent.insert(key(n), 0, moment(n + 1));
            assert_eq!(recent.get(key(n)), Some((moment(n), &n)), "the first stays");
            let oldest = (n + 1).saturating_sub(1_000);
            assert!(recent.contains(key(oldest)));
            assert!(oldest == 0 || !recent.contains(key(oldest - 1)));
        }
        assert_eq!((recent.entries.len(), recent.index.len()), (1_000, 1_000));
        assert!((9_000..10_000).all(|n| recent.get(key(n)) == Some((moment(n), &n))));
    }

    #[test]
    fn what_is_over_is_forgotten_and_the_room_for_it_given_back() {
        let mut recent = Recent::new(65_536, Duration::from_secs(10));
        for n in 0..65_536 {
            recent.insert(key(n), (), moment(n));
        }
        let room = |recent: &Recent<()>| (recent.entries.capacity(), recent.index.capacity());
        assert!(room(&recent).0 >= 65_536);
        recent.sweep(moment(75_000));
        assert_eq!(recent.len(), 65_536 - 65_000);
        assert!(room(&recent).0 <= 2_048 && room(&recent).1 <= 2_048, "{:?}", room(&recent));
        assert!((65_000..65_536).all(|n| recent.contains(key(n))) && !recent.contains(key(64_999)));
        recent.sweep(moment(100_000));
        assert_eq!(recent.len(), 0);
        assert!(room(&recent).0 <= 256 && room(&recent).1 <= 256, "{:?}", room(&recent));
    }

    /// Many thousands are kept of each.
    #[test]
    fn an_entry_takes_its_key_and_its_time() {
        assert_eq!(size_of::<Entry<()>>(), 16);
    }
}
