//! Whether a database is what it should be: page by page, record by record, and as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ctl_core::addresses::{Usage, usage};
use ctl_core::pending::{self, Pending};
use ctl_core::{Member, Network};
use rusqlite::{Connection, ErrorCode};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::audit::AUDIT_MAX_PAGE;
use crate::error::StoreError;
use crate::{Caches, Tx, file, migrate};

/// Findings of one kind that are told one by one; past it only their number is.
const MAX_TOLD: usize = 20;
/// Members that are read at a time.
const BATCH: usize = 1000;
/// A time that is further in the future was not set by a clock that is about right.
const FUTURE_MS: u64 = 24 * 3600 * 1000;
/// Times of issue are never so far ahead while the clock is right: a minute is allowed in advance
/// (`ctl-bin/src/server/issue_allowance.rs`), and clocks are set by seconds.
const ISSUED_AHEAD_MS: u64 = 3 * 60 * 1000;
/// What records have in common that do not decode.
const UNREADABLE: &str = "records that cannot be read";
/// Tables that a replicating program keeps in the database are its own.
const OTHERS_TABLES: &str = "_litestream_";

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the controller works with it.
    Warning,
    /// Something is broken, and somebody is or will be hurt by it.
    Error,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// What is wrong with which record, in words.
    pub what: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub schema_version: i64,
    pub networks: u64,
    pub members: u64,
    pub findings: Vec<Finding>,
    /// Pools that have few addresses left, or none: that is no damage, so it is no finding.
    pub scarce: Vec<Scarcity>,
}

/// That a network has few addresses of a family left, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scarcity {
    pub network: NetworkId,
    pub name: String,
    pub usage: Usage,
}

/// A report that is being made.
struct Looking<'a> {
    report: Report,
    /// How many findings there are of each kind, told or not.
    counts: BTreeMap<&'static str, (Severity, usize)>,
    controller: Option<Address>,
    now: Timestamp,
    /// What else is to be said of an identity.
    judge: &'a mut dyn FnMut(&PublicIdentity) -> Option<String>,
}

impl Report {
    /// Says whether nothing is broken.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

impl Looking<'_> {
    /// Takes up a finding; `kind` is what those have in common of which only the first are told.
    fn add(&mut self, severity: Severity, kind: &'static str, what: impl fmt::Display) {
        let (_, count) = self.counts.entry(kind).or_insert((severity, 0));
        *count += 1;
        if *count <= MAX_TOLD {
            self.report.findings.push(Finding { severity, what: what.to_string() });
        }
    }

    fn finish(self) -> Report {
        let Self { mut report, counts, .. } = self;
        for (kind, (severity, count)) in counts {
            if count > MAX_TOLD {
                let what = format!("{} more: {kind}", count - MAX_TOLD);
                report.findings.push(Finding { severity, what });
            }
        }
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        report
    }
}

/// Checks the pages of the database at `path` and whether its references hold, and nothing that depends on the release.
/// The file stays as it is, and nobody may be using it.
///
/// # Errors
/// [`StoreError::DamagedFile`] says what was found first; else as [`crate::Store::open_read_only`], but an older version
/// is as good.
pub fn check_database(path: &Path) -> Result<(), StoreError> {
    let connection = file::open_beside(path)?;
    let damaged = |what| StoreError::DamagedFile { path: path.to_owned(), what };
    if let Some(what) = pages(&connection, 1)?.pop() {
        return Err(damaged(what));
    }
    match references(&connection)?.pop() {
        Some(what) => Err(damaged(what)),
        None => Ok(()),
    }
}

/// Checks the database at `path` in full, beside the controller that may be using it and without changing anything: each
/// page, each reference, the schema, each record and how they fit together. `now` tells which times are of the future;
/// `controller` is whose networks they must be, if that is known; `judge` is asked what is wrong with the identity of each
/// member, beyond what can be seen here.
///
/// Records are looked into only if the schema is of this release.
///
/// # Errors
/// Why the database could not be looked at. What is wrong with it is in the report.
pub fn verify_database(
    path: &Path,
    controller: Option<Address>,
    now: Timestamp,
    judge: &mut dyn FnMut(&PublicIdentity) -> Option<String>,
) -> Result<Report, StoreError> {
    let mut connection = file::open_beside(path)?;
    let report = Report { schema_version: migrate::version(&connection)?, ..Report::default() };
    let mut looking = Looking { report, counts: BTreeMap::new(), controller, now, judge };
    // One state of the database, whoever writes meanwhile.
    let transaction = connection.transaction()?;
    for what in pages(&transaction, 100)? {
        looking.add(Severity::Error, "damage of pages and indices", what);
    }
    for what in references(&transaction)? {
        looking.add(Severity::Error, "references to records that are not there", what);
    }
    let (found, known) = (looking.report.schema_version, migrate::schema_version());
    if found != known {
        let what = format!(
            "the schema has version {found}, and this release {known}: the records were not looked into"
        );
        looking.add(Severity::Warning, "schema", what);
        return Ok(looking.finish());
    }
    looking.schema(&transaction)?;
    if looking.report.is_sound() {
        looking.records(&Tx::new(&transaction, false, &Caches::default()));
    }
    Ok(looking.finish())
}

/// Returns what SQLite finds wrong with pages, indices and constraints.
fn pages(connection: &Connection, max: u32) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({max})"))?;
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => found.push(row.get::<_, String>(0)?),
            Ok(None) => break,
            // Damage so bad that not even the check gets through.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                found.push(error.to_string());
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    found.retain(|line| line != "ok");
    Ok(found)
}

/// Returns the references that lead nowhere.
fn references(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let rows = statement.query_map([], |row| {
        Ok(format!(
            "a row of {} names a {} that is not there",
            row.get::<_, String>(0)?,
            row.get::<_, String>(2)?
        ))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tables, indices and the like by name, with their definitions.
fn objects(connection: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Looking<'_> {
    /// Compares tables and indices with those that this release makes.
    fn schema(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut fresh = Connection::open_in_memory()?;
        migrate::migrate(&mut fresh)?;
        let (expected, mut found) = (objects(&fresh)?, objects(connection)?);
        for (name, sql) in expected {
            match found.remove(&name) {
                None => self.add(Severity::Error, "schema", format!("the table or index {name} is missing")),
                Some(other) if other != sql => {
                    self.add(
                        Severity::Error,
                        "schema",
                        format!("{name} is defined otherwise than by this release"),
                    );
                }
                Some(_) => {}
            }
        }
        for name in found.into_keys().filter(|name| !name.starts_with(OTHERS_TABLES)) {
            self.add(Severity::Warning, "schema", format!("{name} is not of this release"));
        }
        Ok(())
    }

    /// Reads every record and looks at what it says.
    fn records(&mut self, tx: &Tx<'_>) {
        self.operations(tx);
        let networks = match tx.networks().list() {
            Ok(networks) => networks,
            Err(error) => return self.add(Severity::Error, UNREADABLE, error),
        };
        for id in networks {
            self.report.networks += 1;
            let network = match tx.networks().get(id) {
                Ok(Some(network)) => network,
                Ok(None) => continue,
                Err(error) => {
                    self.add(Severity::Error, UNREADABLE, error);
                    continue;
                }
            };
            self.look_at_network(&network);
            self.read(tx.networks().extra(id));
            self.read(tx.members().extras(id));
            self.read(tx.sightings().last_of_all(id));
            self.strangers(tx, id);
            self.members(tx, &network);
            self.pools(tx, &network);
        }
    }

    /// Looks how many addresses the pools of a network have left.
    fn pools(&mut self, tx: &Tx<'_>, network: &Network) {
        if network.pools.is_empty() {
            return;
        }
        // Addresses that do not decode were found with their members.
        let Ok(occupied) = tx.members().occupied(network.id) else { return };
        let scarce = usage(network, &occupied).into_iter().filter(Usage::is_nearly_used_up);
        self.report.scarce.extend(scarce.map(|usage| Scarcity {
            network: network.id,
            name: network.name.clone(),
            usage,
        }));
    }

    /// Looks at the members of a network.
    fn members(&mut self, tx: &Tx<'_>, network: &Network) {
        let id = network.id;
        match tx.members().counts(id) {
            Ok(counts) => self.report.members += counts.total,
            Err(error) => return self.add(Severity::Error, UNREADABLE, error),
        }
        let mut after = None;
        while let Ok(page) = tx.members().page(id, after, BATCH) {
            let Some(last) = page.last() else { return };
            after = Some(last.address);
            page.iter().for_each(|member| self.look_at_member(member, network));
        }
        // One of the others is damaged; the rest is looked at all the same.
        let addresses = match tx.members().revisions(id) {
            Ok(members) => members,
            Err(error) => return self.add(Severity::Error, UNREADABLE, error),
        };
        for (address, _) in
            addresses.into_iter().filter(|(address, _)| after.is_none_or(|after| *address > after))
        {
            match tx.members().get(id, address) {
                Ok(Some(member)) => self.look_at_member(&member, network),
                Ok(None) => {}
                Err(error) => self.add(Severity::Error, UNREADABLE, error),
            }
        }
    }

    /// Looks at what is noted about running the controller.
    fn operations(&mut self, tx: &Tx<'_>) {
        for token in self.read(tx.api_tokens().list()).unwrap_or_default() {
            self.look_at_time(token.created, "was made", &format_args!("the API token {:?}", token.name));
        }
        if let Some(lease) = self.read(tx.lease().get()).flatten() {
            self.look_at_time(lease.until, "ends", &format_args!("the lease of {:?}", lease.hint));
        }
        if let Some(until) = self.read(tx.issued_until()) {
            self.look_at_issue_clock(until);
        }
        for (network, member, since) in self.read(tx.revoked().list_since(Timestamp(0))).unwrap_or_default() {
            let record = format_args!("member {member} of network {network}");
            self.look_at_time(since, "was revoked", &record);
        }
        let removed = self.read(tx.networks().removed_and_there()).unwrap_or_default();
        for network in removed {
            let what = format!(
                "network {network} is there and noted as removed: its members are told that it is gone"
            );
            self.add(Severity::Error, "networks that are there and removed", what);
        }
        for address in self.read(tx.verified_identities().unowned()).unwrap_or_default() {
            let what = format!("the identity of {address} is kept as verified, and no member has it");
            self.add(Severity::Warning, "verified identities of no member", what);
        }
        let mut before = None;
        while let Some(page) =
            self.read(tx.audit().page(before, AUDIT_MAX_PAGE)).filter(|page| !page.is_empty())
        {
            before = page.last().map(|entry| entry.id);
            for entry in page {
                let record = format_args!("entry {} of the audit log", entry.id);
                self.look_at_time(entry.time, "was written", &record);
            }
        }
    }

    /// Looks at the strangers of a network.
    fn strangers(&mut self, tx: &Tx<'_>, network: NetworkId) {
        let strangers = self.read(tx.pending().list(network)).unwrap_or_default();
        if strangers.len() as u64 > pending::MAX_OF_NETWORK {
            let what = format!(
                "network {network} has {} strangers, and {} is the most that are put on record",
                strangers.len(),
                pending::MAX_OF_NETWORK
            );
            self.add(Severity::Warning, "too many strangers", what);
        }
        for Pending { member, last_asked, .. } in strangers {
            let record = format_args!("stranger {member} of network {network}");
            self.look_at_time(last_asked, "last asked", &record);
        }
        for member in self.read(tx.pending().authorized(network)).unwrap_or_default() {
            let what =
                format!("member {member} of network {network} is authorized, and on record as a stranger");
            self.add(Severity::Error, "strangers that are authorized", what);
        }
    }

    /// Returns what was read, or notes that it cannot be.
    fn read<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|error| self.add(Severity::Error, UNREADABLE, error)).ok()
    }

    fn look_at_network(&mut self, network: &Network) {
        let id = network.id;
        if let Some(controller) = self.controller.filter(|controller| id.controller() != *controller) {
            let what = format!(
                "network {id} is of controller {}, not of {controller}: nobody can join it",
                id.controller()
            );
            self.add(Severity::Warning, "networks of other controllers", what);
        }
        self.look_at_time(network.created, "was created", &format_args!("network {id}"));
        for pool in &network.pools {
            let is_routed =
                |ip| network.routes.iter().any(|route| route.via.is_none() && route.target.contains(ip));
            if !(is_routed(pool.first) && is_routed(pool.last)) {
                let what = format!("network {id}: the pool {} to {} is in no route", pool.first, pool.last);
                self.add(Severity::Warning, "pools outside of all routes", what);
            }
        }
    }

    fn look_at_member(&mut self, member: &Member, network: &Network) {
        let Member { address, .. } = *member;
        let record = format_args!("member {address} of network {}", network.id);
        if let Some(identity) = member.identity.filter(|identity| identity.address != address) {
            let what = format!("{record} has the identity of {}", identity.address);
            self.add(Severity::Error, "members with the identity of another node", what);
        }
        if let Some(what) = member.identity.as_ref().and_then(|identity| (self.judge)(identity)) {
            let what = format!("{record}: {what}");
            self.add(Severity::Error, "members with an identity that nobody can have", what);
        }
        let is_routed =
            |ip| network.routes.iter().any(|route| route.via.is_none() && route.target.contains(ip));
        for ip in member.ip_assignments.iter().filter(|ip| !is_routed(**ip)) {
            let what = format!("{record} has the address {ip}, which is in no route");
            self.add(Severity::Warning, "addresses outside of all routes", what);
        }
        if member.authorized && member.last_authorized == Timestamp(0) {
            let what = format!("{record} is authorized, but never was");
            self.add(Severity::Warning, "members authorized at no time", what);
        }
        for (time, what) in [
            (member.created, "was created"),
            (member.last_authorized, "was authorized"),
            (member.last_deauthorized, "lost its authorization"),
        ] {
            self.look_at_time(time, what, &record);
        }
    }

    /// Members would not believe certificates of the present, so they get some of the future: that is not broken.
    fn look_at_issue_clock(&mut self, until: Timestamp) {
        let lead = until.millis_since(self.now);
        if lead > ISSUED_AHEAD_MS {
            let what = format!(
                "times of issue are {} s ahead of the clock, which was ahead before or is behind now; they go on from there",
                lead / 1000
            );
            self.add(Severity::Warning, "times of the future", what);
        }
    }

    /// Times of the future come from a clock that was wrong.
    fn look_at_time(&mut self, time: Timestamp, what: &str, record: &dyn fmt::Display) {
        if time > self.now.plus_millis(FUTURE_MS) {
            let what = format!("{record} {what} in the future ({} ms since 1970)", time.0);
            self.add(Severity::Warning, "times of the future", what);
        }
    }
}
