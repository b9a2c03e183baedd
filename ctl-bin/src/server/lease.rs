//! That only one controller serves an identity at a time, where several see the same database: on a disk that two
//! machines can mount, or by a second home whose database is a link to the first one's.
//!
//! A row of the database says who serves. Its holder renews it; whoever finds one that is not renewed any more takes it.
//! What somebody with a copy of the database does cannot be seen here (`docs/failover.md`, "Fencing").

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ctl_store::{Lease, OpenOptions, Store, StoreError, UnmigratedStore};
use rand_core::Rng;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, warn};
use zt_proto::Timestamp;

use super::clock;

/// How long a lease lasts that is not renewed.
const LASTS: Duration = Duration::from_secs(20);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(5);
/// How often somebody who waits looks at it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// By how much the clocks of two machines may differ: a lease that ended longer ago than this has ended.
const SKEW_MILLIS: u64 = 60_000;

/// Why this controller may not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error(
        "another controller serves with this database: {hint}; stop that one, or if it is certain that it does not run, \
         start this one with --take-over"
    )]
    Held { hint: String },
    #[error("another controller has taken over this database: {hint}; this one has stopped serving")]
    Lost { hint: String },
    #[error(
        "the database is not in its place any more: it was moved, removed or replaced by another file; this controller has \
         stopped serving, since nothing that it saved would be found again, and is not to be started again by itself; put \
         controller.db into the home with the controller.db-wal and -shm that belong to it, move any that do not away, \
         and start it (docs/troubleshooting.md)"
    )]
    Displaced,
    #[error("the lease was removed from the database by somebody; this controller has stopped serving")]
    Gone,
    #[error(
        "the database cannot be read, so another controller may have taken over; this one has stopped serving: {0}"
    )]
    Unreadable(StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who this process is to others that see its database.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// The boot of this machine, the lock of the home, and a random part.
    id: String,
    hint: String,
}

impl Holder {
    /// Describes this process, which holds `lock`.
    pub(super) fn new(lock: &File, home: &Path, rng: &mut impl Rng) -> Self {
        let read = |path| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        let lock = lock.metadata().map(|lock| format!("{}-{}", lock.dev(), lock.ino())).unwrap_or_default();
        let host = read("/proc/sys/kernel/hostname");
        let hint = format!("process {} on {host}, home {}", std::process::id(), home.display());
        Self { id: format!("{boot}/{lock}/{:016x}", rng.next_u64()), hint: cut(hint) }
    }

    /// Says whether `other` had the lock that this process has now, on the machine as it still runs: then it has ended,
    /// for it would have the lock else.
    fn has_survived(&self, other: &str) -> bool {
        let place = |id: &str| id.rsplit_once('/').map(|(place, _)| place.to_owned());
        let is_whole = |place: &String| !place.starts_with('/') && !place.ends_with('/');
        place(&self.id).filter(is_whole).is_some_and(|own| place(other).as_ref() == Some(&own))
    }

    fn lease(&self, now: Timestamp) -> Lease {
        let until = now.plus_millis(u64::try_from(LASTS.as_millis()).unwrap_or(u64::MAX));
        Lease { holder: self.id.clone(), hint: self.hint.clone(), until }
    }

    /// Takes the lease if it is free, and says whose it is otherwise.
    fn try_acquire(
        &self,
        store: &Store,
        by_force: bool,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        store.write_aside(|tx| {
            let other = tx.lease().get()?.filter(|lease| {
                !by_force && !self.has_survived(&lease.holder) && now < lease.until.plus_millis(SKEW_MILLIS)
            });
            if other.is_none() {
                tx.lease().put(&self.lease(now))?;
            }
            Ok(other)
        })
    }

    /// Takes a lease that has been seen not to be renewed: the one that was seen, and no other.
    fn replace(&self, store: &Store, seen: &Lease, now: Timestamp) -> Result<bool, StoreError> {
        store.write_aside(|tx| {
            let is_same = tx.lease().get()?.is_none_or(|lease| lease == *seen);
            if is_same {
                tx.lease().put(&self.lease(now))?;
            }
            Ok(is_same)
        })
    }

    /// Renews the lease.
    fn renew(&self, store: &Store, now: Timestamp) -> Result<(), LeaseError> {
        store.write_aside(|tx| {
            self.require(tx.lease().get()?)?;
            Ok(tx.lease().put(&self.lease(now))?)
        })
    }

    fn require(&self, found: Option<Lease>) -> Result<(), LeaseError> {
        match found {
            None => Err(LeaseError::Gone),
            Some(lease) if lease.holder != self.id => Err(LeaseError::Lost { hint: lease.hint }),
            Some(_) => Ok(()),
        }
    }

    /// Renews the lease; where that cannot be written, looks whether it is still there: as long as it can be read,
    /// nobody else has written his own.
    fn renew_or_read(&self, store: &Store, now: Timestamp) -> Result<(), LeaseError> {
        match self.renew(store, now) {
            Err(LeaseError::Store(error)) => {
                warn!(%error, "the lease was not renewed");
                self.require(store.read(|tx| tx.lease().get())?)
            }
            done => done,
        }
    }

    /// Ends the lease, so that a successor need not wait.
    fn release(&self, store: &Store) {
        if let Err(error) = store.write_aside(|tx| tx.lease().remove(&self.id)) {
            warn!(%error, "the lease was not ended; a successor on another machine waits until it runs out");
        }
    }
}

/// A database that this process alone changes. Dropping it ends the lease, on every way out.
pub(super) struct Held {
    holder: Holder,
    store: Store,
    renewed: Instant,
}

impl Held {
    /// Opens the database at `path` when nobody else serves with it, or fails because somebody does; only then it is
    /// brought to the version of this release. What `check` refuses is left as it is: it keeps its version and its lease.
    pub(super) async fn open<E: From<LeaseError>>(
        path: &Path,
        options: OpenOptions,
        holder: Holder,
        by_force: bool,
        check: impl FnOnce(&UnmigratedStore) -> Result<(), E>,
    ) -> Result<Self, E> {
        let unmigrated = UnmigratedStore::open(path, options).map_err(LeaseError::from)?;
        check(&unmigrated)?;
        Ok(Self::acquire(unmigrated, holder, by_force).await?)
    }

    async fn acquire(
        unmigrated: UnmigratedStore,
        holder: Holder,
        by_force: bool,
    ) -> Result<Self, LeaseError> {
        if let Some(store) = unmigrated.leased()? {
            acquire(store, &holder, by_force).await?;
            let held = Self { holder, store: store.clone(), renewed: clock::now().mono };
            unmigrated.migrate()?;
            return Ok(held);
        }
        // Nobody that knows leases has used it yet.
        let store = unmigrated.migrate()?;
        acquire(&store, &holder, by_force).await?;
        Ok(Self { holder, store, renewed: clock::now().mono })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Renews the lease for as long as it is this process's; returns why it is not any more.
    pub(super) fn keep(&self) -> impl Future<Output = LeaseError> + use<> {
        keep(self.store.clone(), self.holder.clone())
    }

    /// Renews the lease if it is time to; for who has nobody that [keeps](Self::keep) it.
    pub(super) fn renew_if_due(&mut self) -> Result<(), LeaseError> {
        let now = clock::now();
        if now.mono.saturating_duration_since(self.renewed) >= RENEWED_EVERY {
            self.holder.renew_or_read(&self.store, now.wall)?;
            self.renewed = now.mono;
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holder.release(&self.store);
    }
}

/// Makes certain that nobody serves with the original of a copy, as far as the copy can tell. `own` is who has the lock of
/// its home, if anybody ever had it.
pub(super) fn require_unserved(copy: &Store, own: Option<&Holder>, now: Timestamp) -> Result<(), LeaseError> {
    let lease = copy.read(|tx| tx.lease().get())?.filter(|lease| {
        let has_ended = own.is_some_and(|own| own.has_survived(&lease.holder));
        !has_ended && now < lease.until
    });
    lease.map_or(Ok(()), |lease| Err(LeaseError::Held { hint: lease.hint }))
}

/// Waits until this process is the only one that serves with `store`, or finds that another one does.
async fn acquire(store: &Store, holder: &Holder, by_force: bool) -> Result<(), LeaseError> {
    let Some(mut other) = holder.try_acquire(store, by_force, clock::wall())? else { return Ok(()) };
    warn!(hint = %other.hint, seconds = LASTS.as_secs(), "another controller may be serving; waiting whether it renews its lease");
    // By this machine's clock alone: what that of the other one says is in the lease, and may be wrong.
    let since = clock::now().mono;
    while clock::now().mono.saturating_duration_since(since) < LASTS {
        sleep(LOOK_EVERY).await;
        match store.read(|tx| tx.lease().get())? {
            Some(lease) if lease == other => {}
            Some(lease) => return Err(LeaseError::Held { hint: lease.hint }),
            None => break,
        }
    }
    if holder.replace(store, &other, clock::wall())? {
        return Ok(());
    }
    // Somebody was faster.
    other = store.read(|tx| tx.lease().get())?.unwrap_or(other);
    Err(LeaseError::Held { hint: other.hint })
}

async fn keep(store: Store, holder: Holder) -> LeaseError {
    let mut ticks = interval(RENEWED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut certain: Instant = clock::now().mono;
    loop {
        ticks.tick().await;
        let (store, holder) = (store.clone(), holder.clone());
        let begun = clock::now();
        let renewed = spawn_blocking(move || {
            if !store.is_in_place() {
                return Err(LeaseError::Displaced);
            }
            holder.renew_or_read(&store, begun.wall)
        });
        let renewed = renewed.await;
        match renewed {
            Ok(Ok(())) => certain = begun.mono,
            Ok(Err(LeaseError::Store(error))) => {
                if begun.mono.saturating_duration_since(certain) >= LASTS {
                    return LeaseError::Unreadable(error);
                }
            }
            Ok(Err(lost)) => return lost,
            Err(error) => error!(%error, "the lease was not renewed"),
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(256));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn holder(place: &str, random: u64) -> Holder {
        Holder { id: format!("{place}/{random:016x}"), hint: format!("test {random}") }
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus_millis(seconds * 1000)
    }

    #[test]
    fn only_one_of_two_machines_has_the_lease() {
        let store = Store::in_memory().unwrap();
        let (one, two) = (holder("boot1/8-100", 1), holder("boot2/8-100", 2));
        assert_eq!(one.try_acquire(&store, false, NOW).unwrap(), None);
        let seen = two.try_acquire(&store, false, later(1)).unwrap().unwrap();
        assert_eq!(seen.hint, "test 1");
        one.renew(&store, later(5)).unwrap();
        assert!(!two.replace(&store, &seen, later(25)).unwrap(), "it was renewed meanwhile");
        let seen = two.try_acquire(&store, false, later(26)).unwrap().unwrap();
        assert!(two.replace(&store, &seen, later(46)).unwrap());
        assert!(matches!(one.renew(&store, later(47)), Err(LeaseError::Lost { hint }) if hint == "test 2"));
        one.release(&store);
        two.renew(&store, later(50)).unwrap();
        two.release(&store);
        assert_eq!(one.try_acquire(&store, false, later(51)).unwrap(), None);
    }

    #[test]
    fn a_lease_of_a_dead_process_with_the_same_lock_is_taken_at_once() {
        let store = Store::in_memory().unwrap();
        assert_eq!(holder("boot1/8-100", 1).try_acquire(&store, false, NOW).unwrap(), None);
        assert!(holder("boot1/8-200", 2).try_acquire(&store, false, NOW).unwrap().is_some());
        assert_eq!(holder("boot1/8-100", 3).try_acquire(&store, false, NOW).unwrap(), None);
        // Where the system does not say what boot or lock it is, they are not taken to be the same.
        for place in ["/8-100", "boot1/", "/"] {
            holder(place, 4).try_acquire(&store, true, NOW).unwrap();
            assert!(holder(place, 5).try_acquire(&store, false, NOW).unwrap().is_some(), "{place}");
        }
    }

    #[tokio::test]
    async fn whoever_gives_up_on_its_way_leaves_no_lease() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("controller.db");
        let unchecked = |_: &UnmigratedStore| Ok::<_, LeaseError>(());
        let open = |place, random| {
            Held::open(&path, OpenOptions::default(), holder(place, random), false, unchecked)
        };
        let held = open("boot1/8-100", 1).await.unwrap();
        assert_eq!(held.store().read(|tx| tx.lease().get()).unwrap().unwrap().hint, "test 1");
        drop(held);
        let left = Store::open(&path).unwrap().read(|tx| tx.lease().get()).unwrap();
        assert_eq!(left, None);
        let held = open("boot2/8-100", 2).await.unwrap();
        // Somebody else's is not ended.
        holder("boot3/8-100", 3).try_acquire(held.store(), true, NOW).unwrap();
        drop(held);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.read(|tx| tx.lease().get()).unwrap().unwrap().hint, "test 3");
    }

    #[test]
    fn a_lease_that_ended_long_ago_or_is_taken_by_force_holds_nobody_up() {
        let store = Store::in_memory().unwrap();
        let (one, two) = (holder("boot1/8-100", 1), holder("boot2/8-100", 2));
        one.try_acquire(&store, false, NOW).unwrap();
        assert!(two.try_acquire(&store, false, later(79)).unwrap().is_some());
        assert_eq!(two.try_acquire(&store, false, later(81)).unwrap(), None);
        assert_eq!(one.try_acquire(&store, true, later(82)).unwrap(), None);
        assert!(matches!(two.renew(&store, later(83)), Err(LeaseError::Lost { .. })));
        store.write(|tx| tx.lease().remove(&one.id)).unwrap();
        assert!(matches!(one.renew(&store, later(84)), Err(LeaseError::Gone)));
    }
}
