//! In which order keys were last used: what a cache that is full lets go.

use std::collections::BTreeMap;

/// Keys in the order of their last use. Everything takes O(log n).
#[derive(Debug, Clone)]
pub struct Recency<K> {
    /// When each key was last used, counted in uses.
    last_use: BTreeMap<K, u64>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K> Default for Recency<K> {
    fn default() -> Self {
        Self { last_use: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Ord + Clone> Recency<K> {
    /// Notes that a key is used, for the first time or again.
    pub fn note(&mut self, key: K) {
        self.forget(&key);
        self.order.insert(self.next, key.clone());
        self.last_use.insert(key, self.next);
        // A use a nanosecond fills it in centuries.
        self.next = self.next.saturating_add(1);
    }

    pub fn forget(&mut self, key: &K) {
        if let Some(last_use) = self.last_use.remove(key) {
            self.order.remove(&last_use);
        }
    }

    /// Takes the key out that was not used for longest.
    pub fn pop_oldest(&mut self) -> Option<K> {
        let (_, key) = self.order.pop_first()?;
        self.last_use.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_not_used_for_longest_is_the_oldest() {
        let mut recency = Recency::default();
        for key in [1, 2, 3, 1, 4] {
            recency.note(key);
        }
        recency.forget(&3);
        recency.forget(&9);
        assert_eq!(std::iter::from_fn(|| recency.pop_oldest()).collect::<Vec<_>>(), [2, 1, 4]);
        assert!(recency.last_use.is_empty() && recency.order.is_empty());
    }
}
