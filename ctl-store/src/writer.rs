//! The one writer: whoever waits for it while another commits is committed together with those who wait too.
//!
//! A commit waits for the disk, which takes longer than everything else, so one commit for many callers multiplies what
//! can be written. Every caller runs his own closure, on his own thread, when the connection is his: the first begins
//! the transaction, the others set a savepoint in it, and the last one, behind whom nobody waits, commits for all. Then
//! all return. A caller alone notices nothing of this. For those who do not wait, the clerk ([`crate::clerk`]) is such a
//! caller, who runs one closure after the other.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::thread;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode};

use crate::clerk::{Job, Queue};
use crate::error::StoreError;
use crate::{Caches, Tx};

/// Writes that wait for the connection; the next one is told to come back later.
pub(crate) const MAX_WAITING: usize = 256;
/// Writes in one commit. The first of them waits for the last.
pub(crate) const MAX_GROUP: usize = 64;

/// The connection that writes, and those who wait for it.
pub(crate) struct Writer {
    desk: Mutex<Desk>,
    /// Threads that wait for the desk, each of which will have it. Whoever sees none commits.
    waiting: AtomicUsize,
    pub(crate) queue: Queue,
    /// Writes that wait, each for its thread or its turn in the queue.
    pub(crate) places: AtomicUsize,
    /// How many writes there were.
    arrivals: AtomicU64,
    max_group: usize,
}

/// What one caller at a time has.
pub(crate) struct Desk {
    pub(crate) connection: Connection,
    /// Whose transaction is open.
    group: Option<Arc<Group>>,
    /// Why no transaction could begin, and how many callers had come by then: those who waited meanwhile do not wait as
    /// long once more, each after the other.
    refusal: Option<(u64, Failure)>,
}

/// Those who are committed together.
#[derive(Default)]
struct Group {
    /// Writes that are done; changes only with the desk.
    writes: AtomicUsize,
    outcome: StdMutex<Option<Result<(), Failure>>>,
    ended: Condvar,
    /// Those who are told instead of waiting.
    told: StdMutex<Vec<Tell>>,
}

/// Tells somebody how his group ended.
type Tell = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// What a write has while it runs.
pub(crate) struct Turn<'a> {
    desk: &'a mut Desk,
    group: &'a Arc<Group>,
    caches: &'a Caches,
}

/// Why SQLite failed; unlike its error it can be told to many.
#[derive(Clone)]
pub(crate) struct Failure {
    code: Option<ErrorCode>,
    what: String,
}

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        Self { code: error.sqlite_error_code(), what: error.to_string() }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::from_sqlite(failure.code, failure.what)
    }
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        let desk = Mutex::new(Desk { connection, group: None, refusal: None });
        let none = || AtomicUsize::new(0);
        Self {
            desk,
            waiting: none(),
            queue: Queue::default(),
            places: none(),
            arrivals: AtomicU64::new(0),
            max_group: MAX_GROUP,
        }
    }

    /// Returns a writer that never leaves a transaction open, so that others can read through its connection.
    pub(crate) fn ungrouped(connection: Connection) -> Self {
        Self { max_group: 1, ..Self::new(connection) }
    }

    /// Runs `f` as the only writer; returns when it is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if too many wait already; what `f` returns; or why nothing could be written.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        caches: &Caches,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let arrival = self.arrive()?;
        let mut desk = self.wait();
        self.leave();
        let group = match self.join(&mut desk, arrival) {
            Ok(group) => group,
            // There is no transaction then which would have to be committed.
            Err(failure) => return Err(StoreError::from(failure).into()),
        };
        let result = Turn { desk: &mut desk, group: &group, caches }.run(f);
        self.commit_if_due(&mut desk);
        drop(desk);
        let value = result.unwrap_or_else(|panic| panic::resume_unwind(panic))?;
        group.wait().map_err(StoreError::from)?;
        Ok(value)
    }

    /// Queues `f` for the clerk, who calls `done`; or calls it at once with [`StoreError::Busy`]. Says whether there is no
    /// clerk yet.
    pub(crate) fn queue<T: Send + 'static, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> bool {
        let arrival = match self.arrive() {
            Ok(arrival) => arrival,
            Err(busy) => {
                done(Err(busy.into()));
                return false;
            }
        };
        let work = move |turn: Result<Turn<'_>, Failure>| {
            let turn = match turn {
                Ok(turn) => turn,
                Err(failure) => return done(Err(StoreError::from(failure).into())),
            };
            let group = Arc::clone(turn.group);
            match turn.run(f) {
                Ok(Ok(value)) => group.tell(Box::new(move |outcome| {
                    done(outcome.map(|()| value).map_err(|failure| StoreError::from(failure).into()));
                })),
                Ok(Err(error)) => done(Err(error)),
                Err(_) => {} // the hook of panics has said it
            }
        };
        self.queue.push(Job { arrival, work: Box::new(work) })
    }

    /// Does what is queued, as far as that goes into one commit.
    pub(crate) fn work_off(&self, caches: &Caches) {
        let mut desk = self.wait();
        // Those that fail count too, or they could keep the desk from everybody.
        for _ in 0..self.max_group {
            let Some(Job { arrival, work }) = self.queue.pop() else { break };
            self.leave();
            match self.join(&mut desk, arrival) {
                Ok(group) => {
                    work(Ok(Turn { desk: &mut desk, group: &group, caches }));
                    if group.is_full(self.max_group) {
                        break;
                    }
                }
                Err(failure) => {
                    work(Err(failure));
                    break; // whoever waits for the desk learns it in between
                }
            }
        }
        self.commit_if_due(&mut desk);
        // Or the clerk, who comes back at once, could keep all others from it.
        MutexGuard::unlock_fair(desk);
    }

    /// Takes a place among those who wait, and returns how many came before.
    fn arrive(&self) -> Result<u64, StoreError> {
        let one_more = |places| (places < MAX_WAITING).then_some(places + 1);
        let place = self.places.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        place.map_err(|_| StoreError::Busy)?;
        Ok(self.arrivals.fetch_add(1, Ordering::SeqCst))
    }

    /// Gives up the place of a write whose turn has come, or never will.
    pub(crate) fn leave(&self) {
        self.places.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for the desk.
    fn wait(&self) -> MutexGuard<'_, Desk> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let desk = self.desk();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        desk
    }

    /// Returns the desk, without a place in the queue.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
    }

    /// Joins the group whose transaction is open, or begins one, unless that failed since this write came.
    fn join(&self, desk: &mut Desk, arrival: u64) -> Result<Arc<Group>, Failure> {
        if let Some((arrivals, failure)) = &desk.refusal
            && arrival < *arrivals
        {
            return Err(failure.clone());
        }
        desk.join().inspect_err(|failure| {
            desk.refusal = Some((self.arrivals.load(Ordering::SeqCst), failure.clone()));
        })
    }

    /// Commits, unless somebody else will.
    fn commit_if_due(&self, desk: &mut Desk) {
        // Whoever is counted here gets the desk after this one, and so finds the transaction open.
        let is_last = self.waiting.load(Ordering::SeqCst) == 0;
        if is_last || desk.group.as_ref().is_some_and(|group| group.is_full(self.max_group)) {
            desk.commit();
        }
    }
}

impl Turn<'_> {
    /// Runs `f`; unless it succeeds, nothing of it is left.
    fn run<T, E: From<StoreError>>(
        self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> thread::Result<Result<T, E>> {
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.desk.run(self.group, self.caches, f)));
        if !matches!(result, Ok(Ok(_))) {
            self.desk.undo(self.group);
        }
        result
    }
}

impl Desk {
    /// Joins the group whose transaction is open, or begins one.
    fn join(&mut self) -> Result<Arc<Group>, Failure> {
        if let Some(group) = &self.group {
            return Ok(Arc::clone(group));
        }
        if !self.connection.is_autocommit() {
            self.roll_back(); // which failed the last time
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| Failure::from(&error))?;
        self.refusal = None;
        Ok(Arc::clone(self.group.insert(Arc::default())))
    }

    /// Runs `f`, so that it can be undone without the writes before it.
    fn run<T, E: From<StoreError>>(
        &self,
        group: &Group,
        caches: &Caches,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // The first one needs no savepoint, which would copy every page that it changes.
        let is_first = group.writes.load(Ordering::Relaxed) == 0;
        let mark = |sql| if is_first { Ok(()) } else { self.connection.execute_batch(sql) };
        mark("SAVEPOINT write").map_err(StoreError::from)?;
        let value = f(&Tx::new(&self.connection, true, caches))?;
        mark("RELEASE write").map_err(StoreError::from)?;
        group.writes.fetch_add(1, Ordering::Relaxed);
        Ok(value)
    }

    /// Undoes the last write of the group, which failed.
    fn undo(&mut self, group: &Group) {
        if group.writes.load(Ordering::Relaxed) == 0 {
            self.roll_back();
            self.group = None;
        } else if self.connection.is_autocommit() {
            // What SQLite does when the disk fails or is full in the middle of a statement.
            self.lose("another change in the same commit made SQLite give it up");
        } else if let Err(error) = self.connection.execute_batch("ROLLBACK TO write; RELEASE write") {
            self.roll_back();
            self.lose(&error.to_string());
        }
    }

    /// Commits what the group has written, and tells everybody.
    fn commit(&mut self) {
        let Some(group) = self.group.take() else { return };
        let outcome = self.connection.execute_batch("COMMIT").map_err(|error| Failure::from(&error));
        if outcome.is_err() {
            self.roll_back();
        }
        group.end(outcome);
    }

    /// Tells the group that its transaction is gone.
    fn lose(&mut self, what: &str) {
        if let Some(group) = self.group.take() {
            let failure = Failure { code: Some(ErrorCode::SystemIoFailure), what: what.to_owned() };
            group.end(Err(failure));
        }
    }

    /// Leaves the transaction, if there is one. Should that fail, the next one to come tries again.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").unwrap_or(());
        }
    }
}

impl Group {
    fn is_full(&self, max_group: usize) -> bool {
        self.writes.load(Ordering::Relaxed) >= max_group
    }

    fn end(&self, outcome: Result<(), Failure>) {
        *self.outcome() = Some(outcome.clone());
        self.ended.notify_all();
        let told = std::mem::take(&mut *self.told());
        told.into_iter().for_each(|tell| tell(outcome.clone()));
    }

    /// Has `tell` called when the group ends.
    fn tell(&self, tell: Tell) {
        self.told().push(tell);
    }

    /// Waits until somebody has committed.
    fn wait(&self) -> Result<(), Failure> {
        let mut outcome = self.outcome();
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.ended.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn outcome(&self) -> StdMutexGuard<'_, Option<Result<(), Failure>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> StdMutexGuard<'_, Vec<Tell>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;
    use std::{fs, thread};

    use ctl_core::{Member, Network};
    use zt_proto::{Address, NetworkId, Timestamp};

    use super::*;
    use crate::pool::{Connections, OpenOptions};

    pub(crate) const NETWORK: NetworkId = NetworkId(7);

    #[test]
    fn callers_that_wait_are_committed_together() {
        let (directory, connections) = database();
        let before = commits(directory.path());
        let results = together(&connections, 8, |number, tx| tx.members().put(&member(number)));
        assert!(results.iter().all(|result| matches!(result, Ok(Ok(())))), "{results:?}");
        assert_eq!(commits(directory.path()), before + 1);
        assert_eq!(members(&connections), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn group_is_committed_before_it_grows_too_large() {
        let (directory, connections) = database();
        let before = commits(directory.path());
        together(&connections, 2 * MAX_GROUP as u64, |number, tx| tx.members().put(&member(number)));
        assert_eq!(commits(directory.path()), before + 2);
    }

    #[test]
    fn failures_and_panics_take_nothing_of_the_others_along() {
        for failing in [[0, 1, 2], [5, 6, 7], [0, 3, 7]] {
            let (_directory, connections) = database();
            // Whichever comes first: the order of the callers is not that of their numbers.
            let results = together(&connections, 8, |number, tx| {
                tx.members().put(&member(number))?;
                match failing.iter().position(|failing| *failing == number) {
                    Some(0) => Err(StoreError::NoSuchNetwork { network: NETWORK }),
                    Some(1) => panic!("on purpose"),
                    Some(_) => tx.members().put(&Member { network: NetworkId(8), ..member(number) }),
                    None => Ok(()),
                }
            });
            for (number, result) in (0..).zip(&results) {
                let failed = matches!(result, Err(_) | Ok(Err(StoreError::NoSuchNetwork { .. })));
                assert_eq!(failed, failing.contains(&number), "{number}: {result:?}");
            }
            let expected: Vec<_> = (0..8).filter(|number| !failing.contains(number)).collect();
            assert_eq!(members(&connections), expected);
        }
    }

    #[test]
    fn failed_commit_is_told_to_all_and_the_next_one_succeeds() {
        let (_directory, connections) = database();
        let results = together(&connections, 4, |number, tx| {
            tx.members().put(&member(number))?;
            if number == 0 {
                // An orphan that is noticed by the commit.
                tx.connection.execute_batch(
                    "PRAGMA defer_foreign_keys = ON; \
                     INSERT INTO pool VALUES (x'0000000000000008', 0, x'00000000', x'00000000')",
                )?;
            }
            Ok(())
        });
        assert!(
            results.iter().all(|result| matches!(result, Ok(Err(StoreError::Internal { .. })))),
            "{results:?}"
        );
        assert_eq!(members(&connections), [0; 0]);
        connections.write(|tx| tx.members().put(&member(9))).unwrap();
        assert_eq!(members(&connections), [9]);
    }

    #[test]
    fn group_whose_transaction_is_gone_learns_it() {
        let (_directory, connections) = database();
        let desk = connections.writer.desk();
        thread::scope(|scope| {
            let write = |f: fn(&Tx<'_>) -> Result<(), StoreError>| {
                let (connections, waiting) =
                    (&connections, connections.writer.waiting.load(Ordering::SeqCst));
                let call = scope.spawn(move || connections.write(f));
                until_waiting(connections, waiting + 1);
                call
            };
            // As SQLite does by itself when the disk fails under a statement.
            let rude = |tx: &Tx<'_>| {
                tx.connection.execute_batch("ROLLBACK")?;
                Err(StoreError::NoSuchNetwork { network: NETWORK })
            };
            let calls = [
                write(|tx| tx.members().put(&member(1))),
                write(rude),
                write(|tx| tx.members().put(&member(2))),
            ];
            drop(desk);
            let results = calls.map(|call| call.join().unwrap());
            let saved: Vec<_> = results.iter().map(Result::is_ok).collect();
            // Who came before is told; who came after, began anew.
            let found = members(&connections);
            assert_eq!(
                found,
                [1, 2].into_iter().filter(|n| saved[if *n == 1 { 0 } else { 2 }]).collect::<Vec<_>>()
            );
            assert!(matches!(results[1], Err(StoreError::NoSuchNetwork { .. })), "{results:?}");
            for result in [&results[0], &results[2]] {
                assert!(matches!(result, Ok(()) | Err(StoreError::Disk { .. })), "{results:?}");
            }
        });
        connections.write(|tx| tx.members().put(&member(9))).unwrap();
    }

    #[test]
    fn caller_whom_the_queue_does_not_hold_is_told_to_come_back() {
        let (_directory, connections) = database();
        let desk = connections.writer.desk();
        thread::scope(|scope| {
            for number in 0..MAX_WAITING as u64 {
                let connections = &connections;
                scope.spawn(move || connections.write(|tx| tx.members().put(&member(number))).unwrap());
            }
            until_waiting(&connections, MAX_WAITING);
            let result = connections.write(|tx| tx.members().put(&member(1000)));
            assert!(matches!(result, Err(StoreError::Busy)), "{result:?}");
            // Readers do not even notice.
            assert_eq!(members(&connections), [0; 0]);
            drop(desk);
        });
        assert_eq!(members(&connections).len(), MAX_WAITING);
    }

    #[test]
    fn callers_behind_a_locked_database_do_not_wait_for_it_one_after_the_other() {
        static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
        fn give_up(_: i32) -> bool {
            ATTEMPTS.fetch_add(1, Ordering::SeqCst);
            false
        }
        let (directory, connections) = database();
        let other = Connection::open(directory.path().join("ctl.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        connections.writer.desk().connection.busy_handler(Some(give_up)).unwrap();
        let results = together(&connections, 8, |number, tx| tx.members().put(&member(number)));
        assert!(results.iter().all(|result| matches!(result, Ok(Err(StoreError::Locked)))), "{results:?}");
        assert_eq!(ATTEMPTS.load(Ordering::SeqCst), 1);
        // Who comes later looks again.
        other.execute_batch("ROLLBACK").unwrap();
        connections.write(|tx| tx.members().put(&member(9))).unwrap();
    }

    pub(crate) fn database() -> (tempfile::TempDir, Arc<Connections>) {
        let directory = tempfile::tempdir().unwrap();
        let connections =
            Connections::open(&directory.path().join("ctl.db"), OpenOptions::default()).unwrap();
        connections.write(|tx| tx.networks().put(&Network::new(NETWORK, Timestamp(0)))).unwrap();
        (directory, Arc::new(connections))
    }

    pub(crate) fn member(number: u64) -> Member {
        Member::new(NETWORK, Address::from_low_bits(number), Timestamp(0))
    }

    pub(crate) fn members(connections: &Connections) -> Vec<u64> {
        let found = connections.read(|tx| tx.members().revisions(NETWORK)).unwrap();
        found.into_iter().map(|(address, _)| address.to_u64()).collect()
    }

    /// Has `count` callers wait at once; returns how each ended, a panic as an `Err`.
    fn together(
        connections: &Connections,
        count: u64,
        write: impl Fn(u64, &Tx<'_>) -> Result<(), StoreError> + Sync,
    ) -> Vec<thread::Result<Result<(), StoreError>>> {
        let desk = connections.writer.desk();
        thread::scope(|scope| {
            let write = &write;
            let callers: Vec<_> =
                (0..count).map(|n| scope.spawn(move || connections.write(|tx| write(n, tx)))).collect();
            until_waiting(connections, usize::try_from(count).unwrap());
            drop(desk);
            callers.into_iter().map(thread::ScopedJoinHandle::join).collect()
        })
    }

    fn until_waiting(connections: &Connections, count: usize) {
        while connections.writer.waiting.load(Ordering::SeqCst) < count {
            thread::yield_now();
        }
    }

    /// Returns how many commits the write-ahead log holds: frames that say how large the database is after them.
    pub(crate) fn commits(directory: &Path) -> usize {
        let log = fs::read(directory.join("ctl.db-wal")).unwrap();
        let frames = log[32..].chunks(24 + 4096);
        frames.filter(|frame| frame[4..8] != [0; 4]).count()
    }
}
