//! The SQLite database of the controller: networks, members, who has which address, and what is noted about them.
//!
//! All SQL is here, one statement a method, inside a transaction that the caller opened; no rule of policy is.
//! `schema.sql` is the truth about the tables, and `docs/storage.md` explains them.
//!
//! Every call may wait for the disk or for another caller: async code gets here by `spawn_blocking`. Only
//! [`Store::write_then`] never waits.

mod audit;
mod backup;
mod clerk;
mod column;
mod counts;
mod error;
pub mod export;
mod extra;
mod file;
mod generation;
mod identity;
pub mod import;
mod issued;
mod lease;
mod member;
mod migrate;
mod migration_copy;
mod network;
mod occupied;
mod pending;
mod pool;
#[cfg(test)]
mod query_plan;
mod revoked;
mod search;
mod sighting;
mod snapshot;
mod token;
mod verify;
mod webhook;
mod writer;

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Params};
use zt_proto::NetworkId;

pub use audit::{
    AUDIT_MAX_AGE_MILLIS, AUDIT_MAX_BYTES, AUDIT_MAX_CAUSED, AUDIT_MAX_ENTRIES, AUDIT_MAX_LIMITED,
    AUDIT_MAX_LIMITED_BYTES, AUDIT_MAX_PAGE, AUDIT_MAX_VALUE_BYTES, Audit, AuditEntry, AuditRecord,
    AuditSubject,
};
pub use backup::{DatabaseCopy, copy_database};
pub use clerk::Clerk;
pub use error::StoreError;
pub use identity::VerifiedIdentities;
pub use lease::{Lease, Leases};
pub use member::{MemberCounts, Members};
pub use migrate::schema_version;
pub use network::Networks;
pub use pending::PendingMembers;
pub use pool::OpenOptions;
pub use revoked::{MAX_REVOKED_WITH_NETWORK, Revoked};
pub use search::{Among, Found, MemberFilter, MemberOrder, MemberSearch, SortKey, TextSearch};
pub use sighting::{Client, MAX_PLATFORM_BYTES, MAX_SIGHTINGS, Sighting, Sightings};
pub use snapshot::Common;
pub use token::{ApiToken, ApiTokens, TOKEN_USE_STEP_MILLIS, TokenHash};
pub use verify::{Finding, Report, Scarcity, Severity, check_database, verify_database};
pub use webhook::{
    Backlog, Delivery, MAX_DEAD_DELIVERIES, MAX_HOOK_TEXT_BYTES, MAX_LIMITED_DELIVERIES,
    MAX_WAITING_DELIVERIES, Outcome, Webhook, WebhookId, WebhookSecret, Webhooks,
};

use column::{Columns, Order};
use counts::CountsCache;
use generation::Generations;
use occupied::{OccupiedCache, OwnOccupied};
use pool::{Connections, Guests};

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
    connections: Arc<Connections>,
    /// See [`Store::generation`].
    generations: Arc<Generations>,
    /// See [`Store::for_guests`].
    guests: Option<Arc<Guests>>,
}

impl Store {
    /// Opens the database at `path`; creates it, readable by its owner only, if there is none.
    ///
    /// An older schema is brought to the newest version; the database as it was is kept beside it, as
    /// `PATH.before-vN`. Where another controller may be serving with it, [`UnmigratedStore`] comes first.
    ///
    /// # Errors
    /// One of the operator's variants of [`StoreError`] if the file is something else than a sound database of
    /// this or an older release, or if it or its directory cannot be used. Nothing is overwritten then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        UnmigratedStore::open(path, OpenOptions::default())?.migrate()
    }

    /// Opens the database at `path` for one look, beside the program that may be using it: nothing is created, brought
    /// to another version or written.
    ///
    /// While no other program has the database open, changes that one makes from then on need not be seen.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::OlderSchema`], because there is no changing that here.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(Connections::open_read_only(path)?))
    }

    /// Returns an empty database that is gone with its last clone.
    ///
    /// It has one connection, so a transaction inside another waits for itself, reading ones included.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::of(Connections::in_memory()?))
    }

    /// Says whether the file that was opened is still where it was. If not (its disk went, or somebody moved it away), what is
    /// read may only be remembered, and nothing can be written that lasts.
    pub fn is_in_place(&self) -> bool {
        self.connections.is_in_place()
    }

    fn of(connections: Connections) -> Self {
        Self { connections: Arc::new(connections), generations: Arc::default(), guests: None }
    }

    /// Returns the same database for those who may keep each other waiting, but nobody else: all clones of what this
    /// returns always leave one reader to the others.
    #[must_use]
    pub fn for_guests(&self) -> Self {
        Self { guests: Some(Arc::default()), ..self.clone() }
    }

    /// Runs `f` on one consistent view, which writers neither change nor wait for.
    pub fn read<T, E: From<StoreError>>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let _guest = self.guests.as_ref().map(|guests| guests.enter()).transpose()?;
        self.connections.read(f)
    }

    /// Runs `f` as the only writer. What it did is on the disk when this returns `Ok`; an `Err`, or a panic,
    /// leaves everything as it was.
    ///
    /// Calls that wait for each other are committed together, which none of them notices but for the time it saves:
    /// each has its own result, and one that fails takes nothing of the others along. A `write` inside a `write` waits
    /// for itself; and `f` must not wait for a lock that somebody holds while he calls `write`.
    ///
    /// # Errors
    /// What `f` returns; [`StoreError::Busy`] if too many wait already; another for which
    /// [`StoreError::is_outage`] holds if nothing can be written at the moment.
    pub fn write<T, E: From<StoreError>>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let _writing = self.generations.begin();
        self.connections.write(f)
    }

    /// Does the same as [`Self::write`], but nobody waits for it: `f` runs when its turn comes, on the thread of the clerk, and
    /// `done` gets its result when what it did is on the disk, or why it is not.
    ///
    /// Whoever gets a [`Clerk`] has it work on a thread that may wait; there is one as long as something is queued. Neither
    /// `f` nor `done` may write through this store, or wait for anything, as all others wait meanwhile. `done` is dropped
    /// without a call if `f` panics, or if the clerk does not work; nothing of `f` is saved then.
    #[must_use = "nothing is written before the clerk works"]
    pub fn write_then<T: Send + 'static, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Option<Clerk> {
        let writing = self.generations.begin();
        self.connections.write_then(f, move |result| {
            drop(writing);
            done(result);
        })
    }

    /// Does the same as [`Self::write`] for what no decision about another member reads: the generation stays.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_aside<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.connections.write(f)
    }

    /// Returns a number that is another one after each [`Self::write`] through this store, before that returns. What was
    /// read after a generation was asked for is not out of date as long as that is the generation.
    pub fn generation(&self) -> u64 {
        self.generations.current()
    }

    /// Returns the generation, unless a [`Self::write`] is going on, which may have been committed. While this returns the
    /// same, two transactions see the same.
    pub fn settled_generation(&self) -> Option<u64> {
        self.generations.settled()
    }

    /// Returns a number that is another one after each write of either kind, unless one is going on. While this returns the
    /// same, two transactions see the same of everything.
    pub fn settled_writes(&self) -> Option<u64> {
        self.connections.caches().counts.writes.settled()
    }

    /// Makes all that was read before count as out of date.
    pub fn raise_generation(&self) {
        drop(self.generations.begin());
    }
}

/// A database that is open, with the schema that it had: another controller may be serving with it, one of an older
/// release perhaps, so whoever wants to change it asks for the lease first.
pub struct UnmigratedStore {
    store: Store,
}

impl UnmigratedStore {
    /// Opens the database at `path` like [`Store::open`], but leaves an older schema as it is.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        Ok(Self { store: Store::of(Connections::open(path, options)?) })
    }

    /// Returns the store for what is known of its lease, and nothing else; `None` if the schema is older than leases, so
    /// that nobody can have one.
    pub fn leased(&self) -> Result<Option<&Store>, StoreError> {
        let has_leases = self.store.connections.version()? >= migrate::LEASES_SINCE;
        Ok(has_leases.then_some(&self.store))
    }

    /// Returns the networks that are there, ascending, which each schema tells in the same way: so whoever finds those of
    /// somebody else leaves everything as it is.
    pub fn networks(&self) -> Result<Vec<NetworkId>, StoreError> {
        self.store.read(|tx| tx.networks().list())
    }

    /// Brings the schema to the newest version; the database as it was is kept beside it, as `PATH.before-vN`.
    ///
    /// # Errors
    /// As [`Store::open`]; the database is as it was then.
    pub fn migrate(self) -> Result<Store, StoreError> {
        self.store.connections.migrate()?;
        Ok(self.store)
    }
}

/// A transaction: what [`Store::read`] and [`Store::write`] lend to their closure.
pub struct Tx<'a> {
    connection: &'a Connection,
    writable: bool,
    caches: &'a Caches,
    own_occupied: OwnOccupied,
    /// Generation of all writes when it began; `None` if it writes itself, or another was going on.
    settled: Option<u64>,
}

/// What all transactions share in memory.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    occupied: OccupiedCache,
    counts: CountsCache,
}

thread_local! {
    /// Transactions that are open on this thread.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// Says whether this thread is in a transaction, where what takes long keeps others waiting. For assertions.
pub fn is_in_transaction() -> bool {
    OPEN.get() > 0
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        OPEN.set(OPEN.get().saturating_sub(1));
    }
}

impl<'a> Tx<'a> {
    fn new(connection: &'a Connection, writable: bool, caches: &'a Caches) -> Self {
        let settled = if writable { None } else { caches.counts.writes.settled() };
        OPEN.set(OPEN.get() + 1);
        Self { connection, writable, caches, own_occupied: OwnOccupied::default(), settled }
    }

    pub fn networks(&self) -> Networks<'_> {
        Networks { tx: self }
    }

    pub fn members(&self) -> Members<'_> {
        Members { tx: self }
    }

    pub fn sightings(&self) -> Sightings<'_> {
        Sightings { tx: self }
    }

    pub fn verified_identities(&self) -> VerifiedIdentities<'_> {
        VerifiedIdentities { tx: self }
    }

    pub fn audit(&self) -> Audit<'_> {
        Audit { tx: self }
    }

    pub fn api_tokens(&self) -> ApiTokens<'_> {
        ApiTokens { tx: self }
    }

    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { tx: self }
    }

    pub fn lease(&self) -> Leases<'_> {
        Leases { tx: self }
    }

    pub fn pending(&self) -> PendingMembers<'_> {
        PendingMembers { tx: self }
    }

    pub fn revoked(&self) -> Revoked<'_> {
        Revoked { tx: self }
    }

    /// Runs a query and decodes each of its rows; `record` names them in an error.
    fn query<T>(
        &self,
        sql: &str,
        params: impl Params,
        record: impl fmt::Display,
        decode: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut statement, order) = (self.connection.prepare_cached(sql)?, Order::default());
        let rows = statement.query_and_then(params, |row| decode(&Columns::new(row, &record, &order)))?;
        rows.collect()
    }

    /// Runs a statement that changes something and returns how many rows it changed.
    fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.writer()?.prepare_cached(sql)?.execute(params)?)
    }

    /// Returns the connection for a change, which a reading transaction would silently lose.
    fn writer(&self) -> Result<&Connection, StoreError> {
        let refusal = || StoreError::Internal { what: "a reading transaction cannot write".to_owned() };
        self.writable.then_some(self.connection).ok_or_else(refusal)
    }
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
