//! Sets of whole numbers as ordered intervals.

use std::collections::BTreeMap;

/// A set of numbers, held as disjoint intervals that never touch: after the last number of an interval
/// comes a free one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Intervals {
    /// First number of an interval to its last.
    last_by_first: BTreeMap<u128, u128>,
}

impl Intervals {
    /// Adds the numbers from `first` to `last`, both included; nothing if `last` is below `first`.
    pub(super) fn insert(&mut self, first: u128, last: u128) {
        if last < first {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Everything that overlaps or touches the new interval becomes one with it.
        let reach = last.saturating_add(1);
        while let Some((&other_first, &other_last)) = self.last_by_first.range(..=reach).next_back() {
            if other_last.saturating_add(1) < first {
                break;
            }
            self.last_by_first.remove(&other_first);
            first = first.min(other_first);
            last = last.max(other_last);
        }
        self.last_by_first.insert(first, last);
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        self.last_by_first.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// Returns the smallest number from `start` on that is not in the set, in O(log n).
    pub(super) fn first_outside(&self, start: u128) -> Option<u128> {
        match self.last_by_first.range(..=start).next_back() {
            Some((_, &last)) if start <= last => last.checked_add(1),
            _ => Some(start),
        }
    }

    /// Returns the smallest number from `start` on that is in the set, in O(log n).
    pub(super) fn first_inside(&self, start: u128) -> Option<u128> {
        if self.contains(start) {
            return Some(start);
        }
        self.last_by_first.range(start..).next().map(|(&first, _)| first)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_number_has_no_successor() {
        let mut set = Intervals::default();
        set.insert(u128::MAX - 1, u128::MAX);
        assert_eq!(set.first_outside(u128::MAX - 1), None);
        assert_eq!(set.first_outside(u128::MAX - 2), Some(u128::MAX - 2));
        set.insert(0, u128::MAX);
        assert_eq!(set.first_outside(0), None);
        assert_eq!(set.last_by_first.len(), 1);
    }

    proptest! {
        #[test]
        fn intervals_answer_like_a_plain_set(
            ranges in prop::collection::vec((0..60_u128, 0..6_u128), 0..30),
            start in 0..70_u128,
        ) {
            let mut set = Intervals::default();
            let mut model = BTreeSet::new();
            for (first, length) in ranges {
                set.insert(first, first + length);
                model.extend(first..=first + length);
            }
            prop_assert_eq!(set.contains(start), model.contains(&start));
            prop_assert_eq!(set.first_outside(start), (start..).find(|number| !model.contains(number)));
            prop_assert_eq!(set.first_inside(start), model.range(start..).next().copied());
            let runs: Vec<_> = set.last_by_first.iter().collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].1 + 1 < *pair[1].0, "{runs:?} touch");
            }
        }
    }
}
