//! The order in which members are told what is: never something older than what left before.
//!
//! An answer is computed on one thread, and a push of the same member on another. Whichever loaded first may be ready
//! last, and its receiver would stay with what it says until it asks again. So both take a turn before they load, and
//! one that finds that another left meanwhile loads anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use super::push::Key;

/// Whose turns are open: no more than answers and pushes are being made at the same time.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Numbers beginnings and ends in the order in which they happen.
    next: AtomicU64,
    open: Mutex<BTreeMap<Key, Weak<Last>>>,
}

/// When that was loaded which was last told to a member: the number of that end.
type Last = Mutex<u64>;

/// An answer or a push that is being made.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
    last: Arc<Last>,
    began: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Begins a turn: before anything is loaded.
    pub(super) fn begin(&self, key: Key) -> Turn<'_> {
        let last = {
            let mut open = lock(&self.open);
            let known = open.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let last = Arc::default();
                open.insert(key, Arc::downgrade(&last));
                last
            })
        };
        Turn { turns: self, key, last, began: self.number() }
    }

    fn number(&self) -> u64 {
        // One lock or another orders what is loaded and told; this only counts.
        self.next.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }
}

impl Turn<'_> {
    /// Says whether what was loaded since the beginning may be told: while the guard lives, nobody else tells this
    /// member anything. `None` if something left that may be newer; the turn has then begun anew.
    pub(super) fn pass(&mut self) -> Option<impl Drop + '_> {
        let end = self.turns.number();
        let last = lock(&self.last);
        if *last > self.began {
            self.began = self.turns.number();
            return None;
        }
        Some(Self::end(last, end))
    }

    /// Does the same without waiting: `None` as well if somebody is telling this member something.
    pub(super) fn pass_at_once(&mut self) -> Option<impl Drop + '_> {
        let end = self.turns.number();
        let last = match self.last.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (*last <= self.began).then(|| Self::end(last, end))
    }

    fn end(mut last: MutexGuard<'_, u64>, end: u64) -> MutexGuard<'_, u64> {
        *last = end;
        last
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut open = lock(&self.turns.open);
        // Whoever begins later does so after everything that was told.
        if Arc::strong_count(&self.last) == 1 {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use zt_proto::{Address, NetworkId};

    use super::*;

    const KEY: Key = (NetworkId(1), Address::NONE);

    #[test]
    fn what_was_loaded_while_something_else_left_is_loaded_again() {
        let turns = Turns::default();
        let (mut first, mut second) = (turns.begin(KEY), turns.begin(KEY));
        assert!(second.pass().is_some());
        assert!(first.pass().is_none(), "it may be older");
        assert!(first.pass().is_some(), "it began anew");
        assert!(second.pass().is_none(), "and the other one is older now");
    }

    #[test]
    fn turns_of_others_and_earlier_ones_do_not_matter() {
        let turns = Turns::default();
        let mut other = turns.begin((NetworkId(2), Address::NONE));
        assert!(turns.begin(KEY).pass().is_some());
        assert!(other.pass().is_some());
        assert!(turns.begin(KEY).pass().is_some());
    }

    #[test]
    fn no_turn_leaves_a_trace() {
        let turns = Turns::default();
        let (first, second) = (turns.begin(KEY), turns.begin(KEY));
        drop(first);
        assert_eq!(lock(&turns.open).len(), 1);
        drop(second);
        assert!(lock(&turns.open).is_empty());
    }
}
