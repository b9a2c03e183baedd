//! A list of which there are very many, and which mostly has one entry.

use std::ops::{Deref, DerefMut};
use std::slice;

/// The one entry is where the list is, which takes no more than that if not all of its bits can be.
#[derive(Debug)]
pub(super) enum Few<T> {
    One(T),
    /// None or several.
    #[expect(
        clippy::box_collection,
        reason = "a list takes three times the room, which there is then always"
    )]
    Others(Option<Box<Vec<T>>>),
}

impl<T> Few<T> {
    pub(super) const fn new() -> Self {
        Self::Others(None)
    }

    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: T) {
        if self.is_empty() {
            *self = Self::One(entry);
            return;
        }
        let mut entries = self.take();
        entries.reserve_exact(1);
        entries.push(entry);
        *self = entries.into();
    }

    /// Removes the entry at `index`, if there is one; the last one takes its place.
    pub(super) fn swap_remove(&mut self, index: usize) -> Option<T> {
        let mut entries = self.take();
        let removed = (index < entries.len()).then(|| entries.swap_remove(index));
        *self = entries.into();
        removed
    }

    /// Removes the entries that are not to be kept.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        match self {
            Self::One(entry) if is_kept(entry) => {}
            Self::One(_) => *self = Self::new(),
            Self::Others(_) => {
                let mut entries = self.take();
                entries.retain(is_kept);
                entries.shrink_to_fit();
                *self = entries.into();
            }
        }
    }

    /// Takes all entries out.
    pub(super) fn take(&mut self) -> Vec<T> {
        match std::mem::replace(self, Self::new()) {
            Self::One(entry) => vec![entry],
            Self::Others(entries) => entries.map_or_else(Vec::new, |entries| *entries),
        }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut entries: Vec<T>) -> Self {
        match (entries.pop(), entries.is_empty()) {
            (None, _) => Self::new(),
            (Some(only), true) => Self::One(only),
            (Some(last), false) => {
                entries.push(last);
                Self::Others(Some(Box::new(entries)))
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(entry) => slice::from_ref(entry),
            Self::Others(entries) => entries.as_ref().map_or(&[], |entries| entries),
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(entry) => slice::from_mut(entry),
            Self::Others(entries) => entries.as_mut().map_or(&mut [], |entries| entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        SwapRemove(usize),
        Retain(u8),
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_does(steps in proptest::collection::vec(prop_oneof![
            any::<u8>().prop_map(Step::Push),
            (0..4_usize).prop_map(Step::SwapRemove),
            (2..5_u8).prop_map(Step::Retain),
        ], 0..30)) {
            let (mut few, mut list) = (Few::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(entry) => {
                        few.push(entry);
                        list.push(entry);
                    }
                    Step::SwapRemove(index) => {
                        let removed = (index < list.len()).then(|| list.swap_remove(index));
                        prop_assert_eq!(few.swap_remove(index), removed);
                    }
                    Step::Retain(of) => {
                        few.retain(|entry| *entry % of > 0);
                        list.retain(|entry| *entry % of > 0);
                    }
                }
                prop_assert_eq!(&*few, &*list);
                prop_assert_eq!(matches!(few, Few::One(_)), list.len() == 1);
                let copy = list.clone();
                prop_assert_eq!(&mut *few, &mut *list);
                prop_assert_eq!(Few::from(copy).take(), list.clone());
            }
        }
    }
}
