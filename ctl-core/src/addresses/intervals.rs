//! Sets of whole numbers as ordered intervals.

use std::iter;
use std::sync::Arc;

/// First and last number of an interval.
type Interval = (u128, u128);

/// A set of numbers, held as disjoint intervals that never touch: after the last number of an interval
/// comes a free one.
///
/// The intervals lie in runs that copies of the set share until one of them changes: a copy costs a pointer for
/// each few hundred intervals, a change of a copy one run. A search is two binary searches.
#[derive(Debug, Clone, Default)]
pub(super) struct Intervals {
    /// Ascending; none is empty.
    runs: Vec<Arc<Vec<Interval>>>,
}

/// Where an interval is: the number of its run, and its number there.
type Place = (usize, usize);

impl Intervals {
    /// Intervals in a run. Its half is a copy of 8 KiB, and a set of a million has four thousand runs.
    const MAX_RUN: usize = 512;

    /// Adds the numbers from `first` to `last`, both included; nothing if `last` is below `first`.
    pub(super) fn insert(&mut self, first: u128, last: u128) {
        if last < first {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Everything that overlaps or touches the new interval becomes one with it.
        let reach = last.saturating_add(1);
        while let Some((place, (other_first, other_last))) = self.last_from(reach) {
            if other_last.saturating_add(1) < first {
                break;
            }
            self.take(place);
            first = first.min(other_first);
            last = last.max(other_last);
        }
        self.put((first, last));
    }

    /// Takes the numbers from `first` to `last` out, both included.
    pub(super) fn remove(&mut self, first: u128, last: u128) {
        while let Some((place, (other_first, other_last))) = self.last_from(last) {
            if other_last < first {
                break;
            }
            self.take(place);
            if let Some(rest) = last.checked_add(1).filter(|rest| *rest <= other_last) {
                self.put((rest, other_last));
            }
            if let Some(rest) = first.checked_sub(1).filter(|rest| other_first <= *rest) {
                self.put((other_first, rest));
            }
        }
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        self.last_from(number).is_some_and(|(_, (_, last))| number <= last)
    }

    /// Returns the smallest number from `start` on that is not in the set, in O(log n).
    pub(super) fn first_outside(&self, start: u128) -> Option<u128> {
        match self.last_from(start) {
            Some((_, (_, last))) if start <= last => last.checked_add(1),
            _ => Some(start),
        }
    }

    /// Returns the smallest number from `start` on that is in the set, in O(log n).
    pub(super) fn first_inside(&self, start: u128) -> Option<u128> {
        let next = match self.last_from(start) {
            Some((_, (_, last))) if start <= last => return Some(start),
            Some(((run, index), _)) => {
                let same_run = self.runs.get(run).and_then(|run| run.get(index + 1));
                same_run.or_else(|| self.runs.get(run + 1)?.first())
            }
            None => self.runs.first().and_then(|run| run.first()),
        };
        next.map(|(first, _)| *first)
    }

    /// Returns what of the set lies from `first` to `last`, both included: intervals, ascending. Each takes O(log n).
    pub(super) fn within(&self, first: u128, last: u128) -> impl Iterator<Item = Interval> {
        let mut next = Some(first);
        iter::from_fn(move || {
            let first = self.first_inside(next?).filter(|first| *first <= last)?;
            let end = self.first_outside(first).map_or(last, |after| last.min(after - 1));
            next = end.checked_add(1);
            Some((first, end))
        })
    }

    /// Returns the last interval that begins at `number` or below, in O(log n).
    fn last_from(&self, number: u128) -> Option<(Place, Interval)> {
        let begins_below = |interval: &Interval| interval.0 <= number;
        let run = self.runs.partition_point(|run| run.first().is_some_and(begins_below)).checked_sub(1)?;
        let intervals = self.runs.get(run)?;
        let index = intervals.partition_point(begins_below).checked_sub(1)?;
        Some(((run, index), *intervals.get(index)?))
    }

    /// Takes the interval at a place that was just found out.
    fn take(&mut self, (run, index): Place) {
        if let Some(intervals) = self.runs.get_mut(run) {
            Arc::make_mut(intervals).remove(index);
            if intervals.is_empty() {
                self.runs.remove(run);
            }
        }
    }

    /// Adds an interval that touches no other one.
    fn put(&mut self, interval: Interval) {
        let (run, index) = self.last_from(interval.0).map_or((0, 0), |((run, index), _)| (run, index + 1));
        let Some(intervals) = self.runs.get_mut(run) else {
            return self.runs.push(Arc::new(vec![interval]));
        };
        let intervals = Arc::make_mut(intervals);
        intervals.insert(index, interval);
        if intervals.len() > Self::MAX_RUN {
            let upper = intervals.split_off(Self::MAX_RUN / 2);
            self.runs.insert(run + 1, Arc::new(upper));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Interval> {
        self.runs.iter().flat_map(|run| run.iter())
    }
}

/// Sets are equal if the same numbers are in them, however they came in.
impl PartialEq for Intervals {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Intervals {}

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
        assert_eq!(set.iter().count(), 1);
        set.remove(0, 0);
        set.remove(u128::MAX, u128::MAX);
        assert_eq!(set.iter().collect::<Vec<_>>(), [&(1, u128::MAX - 1)]);
        set.remove(0, u128::MAX);
        assert_eq!(set, Intervals::default());
    }

    #[test]
    fn a_copy_shares_all_runs_but_those_that_change() {
        let mut set = Intervals::default();
        (0..100_000).for_each(|number| set.insert(number * 2, number * 2));
        let before = set.clone();
        set.insert(1001, 1001);
        set.remove(150_000, 150_000);
        let shared = set.runs.iter().filter(|run| before.runs.iter().any(|other| Arc::ptr_eq(run, other)));
        assert!(set.runs.len() <= 100_000 / (Intervals::MAX_RUN / 2) + 1);
        assert!(shared.count() >= set.runs.len() - 2);
        assert!(before.contains(150_000) && !before.contains(1001), "a copy does not change");
        assert!(!set.contains(150_000) && set.contains(1001));
    }

    proptest! {
        #[test]
        fn intervals_answer_like_a_plain_set(
            changes in prop::collection::vec((0..6000_u128, 0..6_u128, prop::bool::weighted(0.7)), 0..60),
            many in prop::option::of(0..3_u128),
            start in 0..6100_u128,
        ) {
            let mut set = Intervals::default();
            let mut model = BTreeSet::new();
            // So many that there are several runs.
            if let Some(offset) = many {
                for number in (offset..6000).step_by(3) {
                    set.insert(number, number);
                    model.insert(number);
                }
            }
            for (first, length, is_added) in changes {
                if is_added {
                    set.insert(first, first + length);
                    model.extend(first..=first + length);
                } else {
                    set.remove(first, first + length);
                    model.retain(|number| !(first..=first + length).contains(number));
                }
            }
            prop_assert_eq!(set.contains(start), model.contains(&start));
            prop_assert_eq!(set.first_outside(start), (start..).find(|number| !model.contains(number)));
            prop_assert_eq!(set.first_inside(start), model.range(start..).next().copied());
            let numbers: Vec<_> = set.iter().flat_map(|(first, last)| *first..=*last).collect();
            let end = start + 300;
            let within: Vec<_> = set.within(start, end).flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(within, model.range(start..=end).copied().collect::<Vec<_>>());
            prop_assert_eq!(numbers, model.into_iter().collect::<Vec<_>>());
            let intervals: Vec<_> = set.iter().collect();
            for pair in intervals.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "{intervals:?} touch");
            }
            prop_assert!(set.runs.iter().all(|run| !run.is_empty() && run.len() <= Intervals::MAX_RUN));
        }
    }
}
