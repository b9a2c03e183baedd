//! Numbers that tell whether something was written since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts writes: those that began, and those that ended.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Generations {
    /// Notes that a write begins; it goes on until what is returned is dropped, be it by a panic.
    pub(crate) fn begin(self: &Arc<Self>) -> Writing {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Writing(Arc::clone(self))
    }

    /// Returns a number that is another one after each write.
    pub(crate) fn current(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns that number, unless a write is going on.
    pub(crate) fn settled(&self) -> Option<u64> {
        let ended = self.current();
        (self.begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }
}

/// A write that is going on.
pub(crate) struct Writing(Arc<Generations>);

impl Drop for Writing {
    fn drop(&mut self) {
        // Whatever became of it: a commit that failed may have reached the disk.
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}
