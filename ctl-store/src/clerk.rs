//! Writes that nobody waits for: a queue of them, and the clerk who does them for everybody, one commit for many.
//!
//! To wait on a thread of one's own costs two changes of threads a write, one for the turn and one for the commit, which is more
//! than all else in the write of a member. Here a thread is woken for many.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pool::Connections;
use crate::writer::{Failure, Turn};

/// A write that waits for its turn.
pub(crate) struct Job {
    /// How many writes came before.
    pub(crate) arrival: u64,
    pub(crate) work: Work,
}

/// Does it, or says why it could not begin.
type Work = Box<dyn FnOnce(Result<Turn<'_>, Failure>) + Send>;

/// The writes that wait, in the order in which they came.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Whether somebody is there who will do them.
    has_clerk: bool,
}

impl Queue {
    /// Queues a write, and says whether there is no clerk yet: then the caller sees to one.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut waiting = self.lock();
        waiting.jobs.push_back(job);
        !mem::replace(&mut waiting.has_clerk, true)
    }

    pub(crate) fn pop(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    /// Lets the clerk go if nothing is queued, and says whether it does.
    fn dismiss(&self) -> bool {
        let mut waiting = self.lock();
        waiting.has_clerk = !waiting.jobs.is_empty();
        !waiting.has_clerk
    }

    /// Lets the clerk go, and returns what nobody will do.
    fn abandon(&self) -> VecDeque<Job> {
        mem::take(&mut *self.lock()).jobs
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in a change can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what [`Store::write_then`](crate::Store::write_then) has queued. If it is dropped before it has worked, all who wait
/// are let down.
#[must_use = "nothing is written before it works"]
pub struct Clerk {
    connections: Arc<Connections>,
    is_on_duty: bool,
}

impl Clerk {
    /// Returns the clerk for whom [`Queue::push`] asked.
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        Self { connections, is_on_duty: true }
    }

    /// Works until nothing is queued. Waits for the disk, and for other writers.
    pub fn work(mut self) {
        let Connections { writer, .. } = &*self.connections;
        while self.is_on_duty {
            writer.work_off(self.connections.caches());
            self.is_on_duty = !writer.queue.dismiss();
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        if self.is_on_duty {
            let writer = &self.connections.writer;
            for job in writer.queue.abandon() {
                writer.leave();
                drop(job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::writer::tests::{NETWORK, commits, database, member, members};
    use crate::writer::{MAX_GROUP, MAX_WAITING};
    use crate::{StoreError, Tx};

    type Result = std::result::Result<(), StoreError>;

    /// Queues `f` as the write with this number.
    fn queue(
        connections: &Arc<Connections>,
        told: &mpsc::Sender<(u64, Result)>,
        number: u64,
        f: impl FnOnce(&Tx<'_>) -> Result + Send + 'static,
    ) -> Option<Clerk> {
        let told = told.clone();
        connections.write_then(f, move |result| told.send((number, result)).unwrap())
    }

    fn put(number: u64) -> impl FnOnce(&Tx<'_>) -> Result + Send + 'static {
        move |tx| tx.members().put(&member(number))
    }

    fn numbers(told: &mpsc::Receiver<(u64, Result)>) -> Vec<u64> {
        told.try_iter().map(|(number, result)| result.map(|()| number).unwrap()).collect()
    }

    #[test]
    fn what_is_queued_is_done_in_order_and_committed_together() {
        let (directory, connections) = database();
        let (told, results) = mpsc::channel();
        let before = commits(directory.path());
        let count = MAX_GROUP as u64 + 2;
        let mut clerks: Vec<_> =
            (0..count).filter_map(|number| queue(&connections, &told, number, put(number))).collect();
        assert_eq!(clerks.len(), 1, "one for all");
        assert_eq!(members(&connections), [0; 0]);
        clerks.pop().unwrap().work();
        assert_eq!(numbers(&results), (0..count).collect::<Vec<_>>());
        assert_eq!(members(&connections), (0..count).collect::<Vec<_>>());
        assert_eq!(commits(directory.path()), before + 2);
        assert!(queue(&connections, &told, 0, put(0)).is_some(), "the clerk went home");
    }

    #[test]
    fn nobody_is_told_before_the_commit() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        let seen = Arc::clone(&connections);
        let done = move |result: Result| {
            result.unwrap();
            // Another connection sees only what is committed.
            told.send(members(&seen)).unwrap();
        };
        let clerk = connections.write_then(put(1), done.clone()).unwrap();
        assert!(connections.write_then(put(2), done).is_none());
        clerk.work();
        assert_eq!(results.try_iter().collect::<Vec<_>>(), [[1, 2], [1, 2]]);
    }

    #[test]
    fn failure_and_panic_take_nothing_of_the_others_along() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        let clerk = queue(&connections, &told, 0, |tx| {
            tx.members().put(&member(0))?;
            Err(StoreError::NoSuchNetwork { network: NETWORK })
        });
        assert!(queue(&connections, &told, 1, put(1)).is_none());
        let panicking = |tx: &Tx<'_>| {
            tx.members().put(&member(2)).unwrap();
            panic!("on purpose")
        };
        assert!(queue(&connections, &told, 2, panicking).is_none());
        assert!(queue(&connections, &told, 3, put(3)).is_none());
        clerk.unwrap().work();
        let results: Vec<_> = results.try_iter().collect();
        assert!(
            matches!(&results[..], [(0, Err(StoreError::NoSuchNetwork { .. })), (1, Ok(())), (3, Ok(()))]),
            "{results:?}"
        );
        assert_eq!(members(&connections), [1, 3]);
        assert_eq!(connections.caches().counts.writes.settled(), Some(5), "each write has ended");
    }

    #[test]
    fn failed_commit_is_told_to_all_and_the_next_one_succeeds() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        let orphan = |tx: &Tx<'_>| {
            // One that is noticed by the commit.
            let sql = "PRAGMA defer_foreign_keys = ON; \
                       INSERT INTO pool VALUES (x'0000000000000008', 0, x'00000000', x'00000000')";
            Ok(tx.writer()?.execute_batch(sql)?)
        };
        let clerk = queue(&connections, &told, 1, put(1));
        assert!(queue(&connections, &told, 2, orphan).is_none());
        clerk.unwrap().work();
        let failures: Vec<_> = results.try_iter().collect();
        assert!(
            matches!(
                failures[..],
                [(1, Err(StoreError::Internal { .. })), (2, Err(StoreError::Internal { .. }))]
            ),
            "{failures:?}"
        );
        queue(&connections, &told, 3, put(3)).unwrap().work();
        assert_eq!((numbers(&results), members(&connections)), (vec![3], vec![3]));
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn queue_is_bounded_together_with_the_threads_that_wait() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        let clerk = queue(&connections, &told, 0, put(0));
        for number in 1..MAX_WAITING as u64 {
            assert!(queue(&connections, &told, number, put(number)).is_none());
        }
        assert!(queue(&connections, &told, 1000, put(1000)).is_none());
        assert!(matches!(results.try_recv(), Ok((1000, Err(StoreError::Busy)))));
        assert!(matches!(connections.write(put(1000)), Err(StoreError::Busy)));
        clerk.unwrap().work();
        assert_eq!(numbers(&results).len(), MAX_WAITING);
        connections.write(put(1000)).unwrap();
        assert_eq!(members(&connections).len(), MAX_WAITING + 1);
    }

    #[test]
    fn clerk_who_never_works_lets_down_those_who_wait_and_nobody_else() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        for _ in 0..2 * MAX_WAITING {
            drop(queue(&connections, &told, 1, put(1)));
        }
        drop(told);
        assert!(matches!(results.recv(), Err(mpsc::RecvError)), "nobody is told, and nobody waits for ever");
        connections.write(put(2)).unwrap();
        let (told, results) = mpsc::channel();
        queue(&connections, &told, 3, put(3)).unwrap().work();
        assert_eq!((numbers(&results), members(&connections)), (vec![3], vec![2, 3]));
        assert!(connections.caches().counts.writes.settled().is_some());
    }

    #[test]
    fn what_is_queued_behind_a_locked_database_is_refused_with_all_that_waits() {
        let (directory, connections) = database();
        let other = rusqlite::Connection::open(directory.path().join("ctl.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        connections.writer.desk().connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        let (told, results) = mpsc::channel();
        let clerk = queue(&connections, &told, 1, put(1));
        assert!(queue(&connections, &told, 2, put(2)).is_none());
        clerk.unwrap().work();
        let refused: Vec<_> = results.try_iter().collect();
        assert!(
            matches!(refused[..], [(1, Err(StoreError::Locked)), (2, Err(StoreError::Locked))]),
            "{refused:?}"
        );
        other.execute_batch("ROLLBACK").unwrap();
        queue(&connections, &told, 3, put(3)).unwrap().work();
        assert_eq!(members(&connections), [3]);
    }

    #[test]
    fn writes_that_fail_keep_the_desk_for_no_longer_than_others() {
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        let failing = |_: &Tx<'_>| Err(StoreError::NoSuchNetwork { network: NETWORK });
        let mut clerks: Vec<_> = (0..2 * MAX_GROUP as u64)
            .filter_map(|number| queue(&connections, &told, number, failing))
            .collect();
        connections.writer.work_off(connections.caches());
        assert_eq!(results.try_iter().count(), MAX_GROUP);
        clerks.pop().unwrap().work();
        assert_eq!(results.try_iter().count(), MAX_GROUP);
    }

    #[test]
    fn clerk_and_threads_write_together_and_nothing_is_lost() {
        const EACH: u64 = 200;
        let (_directory, connections) = database();
        let (told, results) = mpsc::channel();
        thread::scope(|scope| {
            for from in [0, 1] {
                let connections = &connections;
                scope.spawn(move || {
                    for number in 0..EACH {
                        connections.write(put(from * EACH + number)).unwrap();
                    }
                });
            }
            for from in [2, 3] {
                let (connections, told) = (&connections, told.clone());
                scope.spawn(move || {
                    for number in from * EACH..(from + 1) * EACH {
                        if let Some(clerk) = queue(connections, &told, number, put(number)) {
                            clerk.work();
                        }
                    }
                });
            }
        });
        let mut told = numbers(&results);
        told.sort_unstable();
        assert_eq!(told, (2 * EACH..4 * EACH).collect::<Vec<_>>());
        assert_eq!(members(&connections), (0..4 * EACH).collect::<Vec<_>>());
        assert_eq!(connections.writer.places.load(Ordering::SeqCst), 0);
    }
}
