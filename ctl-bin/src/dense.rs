//! A table of very many values that each know the key by which they are found.
//!
//! Values stand one behind the other, in pieces of memory that stay where they are, and beside them is a hashed table of
//! their places. So there is room for hardly more of them than there are, growing copies none, and who goes through all reads
//! memory in a row. `HashMap` has room for 1.1 to 2.3 times as many values, and for both tables while it grows.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::room::{self, Room};

/// Values in one piece of memory.
const PIECE: usize = 256;

/// A value that is found by something that it says of itself, and that stays the same.
pub trait Keyed {
    type Key: Copy + Eq + Hash;

    fn key(&self) -> Self::Key;
}

/// A table of values by their keys, at most 2^32. It is hashed fast, so only for keys that no stranger chooses.
#[derive(Debug)]
pub struct Dense<T> {
    places: HashTable<u32>,
    values: Pieces<T>,
    hasher: RandomState,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { places: HashTable::new(), values: Pieces(Vec::new()), hasher: RandomState::default() }
    }
}

impl<T> Dense<T> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns all values, in no order that means anything.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.0.iter().flatten()
    }

    /// Does the same for those who change them, all but their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.0.iter_mut().flatten()
    }
}

impl<T: Keyed> Dense<T> {
    fn place(&self, key: &T::Key) -> Option<u32> {
        let is_of = |place: &u32| self.values.get(*place).is_some_and(|value| value.key() == *key);
        self.places.find(self.hasher.hash_one(key), is_of).copied()
    }

    pub fn contains_key(&self, key: &T::Key) -> bool {
        self.place(key).is_some()
    }

    pub fn get(&self, key: &T::Key) -> Option<&T> {
        self.values.get(self.place(key)?)
    }

    /// Returns the value of this key, whose key must stay the same.
    pub fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        self.values.get_mut(self.place(key)?)
    }

    /// Keeps a value, and returns the one that had its key before, or the value itself if 2^32 are kept.
    pub fn insert(&mut self, value: T) -> Option<T> {
        let Self { places, values, hasher } = self;
        let key = value.key();
        let Ok(end) = u32::try_from(places.len()) else { return Some(value) };
        let is_of = |place: &u32| values.get(*place).is_some_and(|value| value.key() == key);
        let hash = |place: &u32| values.hash(*place, hasher);
        match places.entry(hasher.hash_one(key), is_of, hash) {
            Entry::Vacant(free) => {
                free.insert(end);
                values.push(value);
                None
            }
            Entry::Occupied(known) => {
                values.get_mut(*known.get()).map(|known| std::mem::replace(known, value))
            }
        }
    }

    /// Takes a value out; the last one takes its place.
    pub fn remove(&mut self, key: &T::Key) -> Option<T> {
        let Self { places, values, hasher } = self;
        let is_of = |place: &u32| values.get(*place).is_some_and(|value| value.key() == *key);
        let (place, _) = places.find_entry(hasher.hash_one(key), is_of).ok()?.remove();
        let last = values.pop()?;
        let Ok(end) = u32::try_from(places.len()) else { return None };
        if place == end {
            return Some(last);
        }
        if let Some(moved) = places.find_mut(hasher.hash_one(last.key()), |known| *known == end) {
            *moved = place;
        }
        values.get_mut(place).map(|removed| std::mem::replace(removed, last))
    }

    /// Takes out all values that are not to be kept, and gives back room that is needed no more.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&mut T) -> bool) {
        let mut place = 0;
        while let Some(value) = self.values.get_mut(place) {
            if is_kept(value) {
                place += 1;
            } else {
                let key = value.key();
                // The last one, which was not looked at, takes its place.
                drop(self.remove(&key));
            }
        }
        self.give_back();
    }
}

impl<T: Keyed> Room for Dense<T> {
    fn give_back(&mut self) {
        let Self { places, values, hasher } = self;
        if let Some(room) = room::needed(places.len(), places.capacity()) {
            places.shrink_to(room, |place| values.hash(*place, hasher));
        }
    }
}

/// Values one behind the other: all pieces but the last are full, and none is empty.
#[derive(Debug)]
struct Pieces<T>(Vec<Vec<T>>);

impl<T> Pieces<T> {
    fn get(&self, place: u32) -> Option<&T> {
        let (piece, rest) = within(place);
        self.0.get(piece)?.get(rest)
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (piece, rest) = within(place);
        self.0.get_mut(piece)?.get_mut(rest)
    }

    fn push(&mut self, value: T) {
        match self.0.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(value),
            None => {
                // The first one grows as any list, for tables of few values.
                let mut piece = Vec::with_capacity(if self.0.is_empty() { 1 } else { PIECE });
                piece.push(value);
                self.0.push(piece);
            }
        }
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.0.last_mut()?;
        let value = last.pop();
        if last.is_empty() {
            self.0.pop();
        }
        value
    }
}

impl<T: Keyed> Pieces<T> {
    fn hash(&self, place: u32, hasher: &RandomState) -> u64 {
        self.get(place).map_or(0, |value| hasher.hash_one(value.key()))
    }
}

fn within(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / PIECE, place % PIECE)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Value(u16, u32);

    impl Keyed for Value {
        type Key = u16;

        fn key(&self) -> u16 {
            self.0
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Value),
        Remove(u16),
        Change(Value),
        /// Keeps those whose number leaves another rest than this.
        Retain(u32, u32),
        Fill(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u16..400;
        let value = (key.clone(), any::<u32>()).prop_map(|(key, number)| Value(key, number));
        prop_oneof![
            8 => value.clone().prop_map(Step::Insert),
            4 => key.prop_map(Step::Remove),
            2 => value.prop_map(Step::Change),
            1 => (1_u32..5, 0_u32..5).prop_map(|(of, rest)| Step::Retain(of, rest)),
            1 => (0_u16..2_000).prop_map(Step::Fill),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_hash_map_holds(steps in proptest::collection::vec(step(), 0..100)) {
            let (mut dense, mut map) = (Dense::default(), HashMap::new());
            for step in steps {
                match step {
                    Step::Insert(value) => prop_assert_eq!(dense.insert(value), map.insert(value.0, value)),
                    Step::Remove(key) => prop_assert_eq!(dense.remove(&key), map.remove(&key)),
                    Step::Change(Value(key, number)) => {
                        dense.get_mut(&key).into_iter().for_each(|value: &mut Value| value.1 = number);
                        map.get_mut(&key).into_iter().for_each(|value| value.1 = number);
                    }
                    Step::Retain(of, rest) => {
                        dense.retain(|value| value.1 % of != rest);
                        map.retain(|_, value| value.1 % of != rest);
                    }
                    Step::Fill(to) => (0..to).for_each(|key| {
                        dense.insert(Value(key, key.into()));
                        map.insert(key, Value(key, key.into()));
                    }),
                }
                prop_assert_eq!((dense.len(), dense.values().count()), (map.len(), map.len()));
                prop_assert!(map.iter().all(|(key, value)| dense.get(key) == Some(value)));
                let (full, rest) = (map.len() / PIECE, map.len() % PIECE);
                let lens: Vec<_> = dense.values.0.iter().map(Vec::len).collect();
                let expected = std::iter::repeat_n(PIECE, full).chain((rest > 0).then_some(rest));
                prop_assert_eq!(lens, expected.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_was_large_gives_its_room_back() {
        let mut dense = Dense::default();
        for key in 0..60_000 {
            dense.insert(Value(key, 0));
        }
        assert!(dense.places.capacity() <= 120_000);
        dense.retain(|value| value.0 < 1_000);
        assert!(dense.places.capacity() <= 4_000, "{}", dense.places.capacity());
        assert_eq!(dense.values.0.len(), 4);
        assert!((0..1_000).all(|key| dense.contains_key(&key)) && !dense.contains_key(&1_000));
    }
}
