//! Who changed what, and when.

use rusqlite::{Params, named_params, params};
use zt_proto::{Address, NetworkId, Timestamp};

use crate::Tx;
use crate::column::{AddressColumn, NetworkColumn, U64Column};
use crate::error::StoreError;

/// How long entries are kept: a year, in milliseconds.
pub const AUDIT_MAX_AGE_MILLIS: u64 = 366 * 24 * 60 * 60 * 1000;
/// Entries that are kept, besides those that are bounded apart.
pub const AUDIT_MAX_ENTRIES: u64 = 200_000;
/// How many may be of changes that members caused by asking: they never push out what administrators did.
pub const AUDIT_MAX_CAUSED: u64 = 50_000;
/// Likewise of changes by tokens that may not do everything. Where there are more, those give way of the tokens that have
/// most, the oldest first: whoever has less than its share loses nothing to the others.
pub const AUDIT_MAX_LIMITED: u64 = 50_000;
/// Bytes of values that are kept of these together. Each entry counts for as many as it may have on average, or for what it
/// has if that is more.
pub const AUDIT_MAX_LIMITED_BYTES: u64 = 64 << 20;
/// Bytes of values, before and after, that are kept of all entries together, but for those that are bounded apart.
pub const AUDIT_MAX_BYTES: u64 = 256 << 20;
/// Bytes of a value; one that is longer is replaced by a note of its length.
pub const AUDIT_MAX_VALUE_BYTES: usize = 64 << 10;
/// Entries that one page can have.
pub const AUDIT_MAX_PAGE: usize = 500;
/// So often, in entries, those of tokens that may not do everything are counted: what comes in between is the most that their
/// bound is passed by.
const COUNTED_EVERY: i64 = 256;
/// So often, in entries, all is looked at that is to be looked at from time to time.
const SWEPT_EVERY: i64 = 4096;
/// Bytes of a name of who or what did something; what is longer is cut.
const MAX_NAME_BYTES: usize = 256;

/// The audit log, inside a transaction: an entry is written by the transaction that makes the change.
pub struct Audit<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

/// A change, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub time: Timestamp,
    /// Who: the name of a token, or of a command; or the address of a member, or `controller`.
    pub actor: String,
    /// What: `network.update`, `member.remove` and so on.
    pub action: &'static str,
    /// What it is about.
    pub network: Option<NetworkId>,
    pub member: Option<Address>,
    /// JSON of what changed as it was; `None` if there was nothing. Secrets have no place here.
    pub before: Option<String>,
    /// Likewise as it is now.
    pub after: Option<String>,
}

/// What entries are about; `None` is anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditSubject {
    pub network: Option<NetworkId>,
    pub member: Option<Address>,
}

/// A change that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Ascending in the order of the commits, and never given twice.
    pub id: i64,
    pub time: Timestamp,
    pub actor: String,
    pub action: String,
    pub network: Option<NetworkId>,
    pub member: Option<Address>,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Audit<'_> {
    /// Writes a change down, of somebody who may do everything, and returns the id of the entry.
    pub fn add(&self, entry: &AuditEntry) -> Result<i64, StoreError> {
        let id = self.insert(entry, None)?;
        if id % SWEPT_EVERY == 0 {
            self.sweep(entry.time)?;
        }
        Ok(id)
    }

    /// Writes a change down of somebody who may not do everything, known by the name of the actor. What is more than
    /// [`AUDIT_MAX_LIMITED`] of these, or [`AUDIT_MAX_LIMITED_BYTES`] of values in them, gives way.
    pub fn add_limited(&self, entry: &AuditEntry) -> Result<i64, StoreError> {
        self.add_limited_to(entry, AUDIT_MAX_LIMITED, AUDIT_MAX_LIMITED_BYTES)
    }

    fn add_limited_to(&self, entry: &AuditEntry, most: u64, bytes: u64) -> Result<i64, StoreError> {
        let number = self.last(LAST_LIMITED)?.saturating_sub(1);
        let id = self.insert(entry, Some(number))?;
        if number % COUNTED_EVERY != 0 {
            return Ok(id);
        }
        let average = bytes / most;
        // So many of no more than the average are not too many bytes.
        let usual = average * COUNTED_EVERY.unsigned_abs();
        let is_due = number % SWEPT_EVERY == 0
            || self.limited(COUNT_LIMITED, [])? > most
            || self.limited(LIMITED_BYTES_SINCE, [number + COUNTED_EVERY])? > usual;
        if is_due && self.limited(LIMITED_WEIGHT, [U64Column(average)])? > bytes {
            // A little more than must go, or a log that is full would pay for this each time.
            self.tx.execute(FORGET_LIMITED, [U64Column(average), U64Column(bytes - bytes / 16)])?;
        }
        Ok(id)
    }

    /// Returns the `total` that a statement finds of entries by those who may not do everything.
    fn limited(&self, sql: &str, values: impl Params) -> Result<u64, StoreError> {
        let total = self.tx.query(sql, values, "entries of the audit log", |row| {
            row.get::<U64Column>("total").map(|total| total.0)
        })?;
        Ok(total.first().copied().unwrap_or(0))
    }

    /// Writes a change down that nobody made but a member that asked. The oldest of more than [`AUDIT_MAX_CAUSED`] of
    /// these gives way.
    pub fn add_caused(&self, entry: &AuditEntry) -> Result<i64, StoreError> {
        self.add_caused_to(entry, AUDIT_MAX_CAUSED)
    }

    fn add_caused_to(&self, entry: &AuditEntry, most: u64) -> Result<i64, StoreError> {
        let number = self.last(LAST_CAUSED)?.saturating_add(1);
        let id = self.insert(entry, Some(number))?;
        self.tx.execute(FORGET_CAUSED, [number.saturating_sub_unsigned(most)])?;
        Ok(id)
    }

    /// Returns the number of the newest entry of those that are bounded apart; 0 if there is none.
    fn last(&self, sql: &str) -> Result<i64, StoreError> {
        let last =
            self.tx.query(sql, [], "an entry of the audit log", |row| row.get::<Option<i64>>("last"))?;
        Ok(last.first().copied().flatten().unwrap_or(0))
    }

    fn insert(&self, entry: &AuditEntry, caused: Option<i64>) -> Result<i64, StoreError> {
        let sql = "INSERT INTO audit (time, actor, action, network, member, value_before, value_after, caused) \
                   VALUES (:time, :actor, :action, :network, :member, :before, :after, :caused)";
        let actor = entry.actor.get(..entry.actor.floor_char_boundary(MAX_NAME_BYTES));
        let values = named_params! {
            ":time": U64Column(entry.time.0),
            ":actor": actor.unwrap_or_default(),
            ":action": entry.action,
            ":network": entry.network.map(NetworkColumn),
            ":member": entry.member.map(AddressColumn),
            ":before": entry.before.as_deref().map(bounded),
            ":after": entry.after.as_deref().map(bounded),
            ":caused": caused,
        };
        self.tx.execute(sql, values)?;
        Ok(self.tx.connection.last_insert_rowid())
    }

    /// Returns up to `limit` entries, newest first: those with an id below `before`, or the newest of all. At most
    /// [`AUDIT_MAX_PAGE`].
    pub fn page(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.page_about(AuditSubject::default(), before, limit)
    }

    /// The same of entries about one thing. Looks at all entries that are newer than the last of the page.
    pub fn page_about(
        &self,
        subject: AuditSubject,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let sql = "SELECT id, time, actor, action, network, member, value_before, value_after FROM audit \
                   WHERE id < ?1 AND (?3 IS NULL OR network = ?3) AND (?4 IS NULL OR member = ?4) \
                   ORDER BY id DESC LIMIT ?2";
        let limit = i64::try_from(limit.min(AUDIT_MAX_PAGE)).unwrap_or(i64::MAX);
        let (network, member) = (subject.network.map(NetworkColumn), subject.member.map(AddressColumn));
        let values = params![before.unwrap_or(i64::MAX), limit, network, member];
        self.tx.query(sql, values, "an entry of the audit log", |row| {
            Ok(AuditRecord {
                id: row.get("id")?,
                time: row.get::<U64Column>("time")?.time(),
                actor: row.get("actor")?,
                action: row.get("action")?,
                network: row.get::<Option<NetworkColumn>>("network")?.map(|network| network.0),
                member: row.get::<Option<AddressColumn>>("member")?.map(|member| member.0),
                before: row.get("value_before")?,
                after: row.get("value_after")?,
            })
        })
    }

    /// Removes what is too old or too much, and returns how many entries that were.
    pub fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.sweep_to(now, AUDIT_MAX_ENTRIES, AUDIT_MAX_BYTES)
    }

    fn sweep_to(&self, now: Timestamp, entries: u64, bytes: u64) -> Result<usize, StoreError> {
        let oldest = now.0.saturating_sub(AUDIT_MAX_AGE_MILLIS);
        let old = self.tx.execute("DELETE FROM audit WHERE time < ?1", [U64Column(oldest)])?;
        let kept = self.tx.query(KEPT, [], "entries of the audit log", |row| {
            Ok(row.get::<U64Column>("entries")?.0 > entries || row.get::<U64Column>("bytes")?.0 > bytes)
        })?;
        if !kept.contains(&true) {
            return Ok(old);
        }
        // A little more than must go, or a log that is full would pay for this each time.
        let [entries, bytes] = [entries, bytes].map(|most| most - most / 16);
        Ok(old + self.tx.execute(FORGET, [U64Column(entries), U64Column(bytes)])?)
    }
}

/// How much there is of those that are not bounded apart.
const KEPT: &str = "SELECT count(*) AS entries, coalesce(sum(coalesce(octet_length(value_before), 0) + \
    coalesce(octet_length(value_after), 0)), 0) AS bytes FROM audit WHERE caused IS NULL";
const FORGET: &str = "DELETE FROM audit WHERE caused IS NULL AND id <= (SELECT max(id) FROM (SELECT id, \
    row_number() OVER newest AS entries, sum(coalesce(octet_length(value_before), 0) + \
    coalesce(octet_length(value_after), 0)) OVER newest AS bytes FROM audit WHERE caused IS NULL \
    WINDOW newest AS (ORDER BY id DESC)) WHERE entries > ?1 OR bytes > ?2)";

/// What members caused is numbered upwards from 1, what tokens did that may not do everything downwards from -1.
const LAST_CAUSED: &str = "SELECT max(caused) AS last FROM audit WHERE caused > 0";
const FORGET_CAUSED: &str = "DELETE FROM audit WHERE caused > 0 AND caused <= ?1";
const LAST_LIMITED: &str = "SELECT min(caused) AS last FROM audit WHERE caused < 0";
const COUNT_LIMITED: &str = "SELECT count(*) AS total FROM audit WHERE caused < 0";
const LIMITED_BYTES_SINCE: &str = "SELECT coalesce(sum(coalesce(octet_length(value_before), 0) + \
    coalesce(octet_length(value_after), 0)), 0) AS total FROM audit WHERE caused < 0 AND caused < ?1";
const LIMITED_WEIGHT: &str = "SELECT coalesce(sum(max(coalesce(octet_length(value_before), 0) + \
    coalesce(octet_length(value_after), 0), ?1)), 0) AS total FROM audit WHERE caused < 0";
/// Newest first these numbers ascend. What an actor has is counted from its newest entry on, and those are kept that come
/// first in that order: what a new entry of one pushes out is the oldest of whoever has most.
const FORGET_LIMITED: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, sum(weight) OVER (ORDER BY own, caused) \
    AS total FROM (SELECT id, caused, weight, sum(weight) OVER (PARTITION BY actor ORDER BY caused) AS own FROM (SELECT id, \
    caused, actor, max(coalesce(octet_length(value_before), 0) + coalesce(octet_length(value_after), 0), ?1) AS weight \
    FROM audit WHERE caused < 0))) WHERE total > ?2)";

/// Returns a value, or a note of its length if it has too many bytes.
fn bounded(value: &str) -> String {
    if value.len() <= AUDIT_MAX_VALUE_BYTES {
        value.to_owned()
    } else {
        format!("{{\"omitted\":\"{} bytes\"}}", value.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pool::Connections;
    use crate::query_plan;

    /// `known-flaws.md` row 7: what is written with every request does not grow for ever.
    #[test]
    fn sweeping_keeps_the_newest_entries_up_to_each_bound() {
        let connections = Connections::in_memory().unwrap();
        let sweep = |entries, bytes| {
            connections
                .write(|tx| {
                    for number in 0..10_u64 {
                        tx.audit().add(&entry(number))?;
                    }
                    // What is bounded apart does not count.
                    (0..5).try_for_each(|_| tx.audit().add_caused(&entry(0)).map(drop))?;
                    (0..5).try_for_each(|_| tx.audit().add_limited(&entry(0)).map(drop))?;
                    let swept = tx.audit().sweep_to(now(), entries, bytes)?;
                    let apart = tx.execute("DELETE FROM audit WHERE caused IS NOT NULL", [])?;
                    assert_eq!(apart, 10);
                    let left: Vec<_> = tx.audit().page(None, 100)?.iter().map(|entry| entry.time.0).collect();
                    tx.execute("DELETE FROM audit", [])?;
                    Ok::<_, StoreError>((swept, left))
                })
                .unwrap()
        };
        let times = |count: u64| (0..count).map(|n| now().0 - n).collect::<Vec<_>>();
        // Entry n is n milliseconds old and has ten bytes; the last two are older than is kept.
        assert_eq!(sweep(100, 1000), (2, (times(8).into_iter().rev().collect())));
        assert_eq!(sweep(3, 1000), (7, [5, 6, 7].map(|n| now().0 - n).into_iter().rev().collect()));
        assert_eq!(sweep(100, 45), (6, [4, 5, 6, 7].map(|n| now().0 - n).into_iter().rev().collect()));
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn what_members_cause_is_bounded_and_pushes_out_nothing_that_somebody_did() {
        let connections = Connections::in_memory().unwrap();
        let left = connections.write(|tx| {
            for number in 0..20 {
                if number % 10 == 3 {
                    tx.audit().add(&entry(0))?;
                }
                tx.audit().add_caused_to(&AuditEntry { actor: number.to_string(), ..entry(0) }, 4)?;
            }
            tx.audit().page(None, 100)
        });
        let actors: Vec<_> = left.unwrap().into_iter().map(|entry| entry.actor).collect();
        assert_eq!(actors, ["19", "18", "17", "16", "a", "a"]);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn token_that_may_not_do_everything_pushes_out_nothing_but_what_it_did_itself() {
        let connections = Connections::in_memory().unwrap();
        let of = |actor: &str| AuditEntry { actor: actor.to_owned(), ..entry(0) };
        let left = connections.write(|tx| {
            tx.audit().add(&of("admin"))?;
            tx.audit().add_caused(&of("member"))?;
            (0..3).try_for_each(|_| tx.audit().add_limited(&of("other tenant")).map(drop))?;
            for _ in 0..AUDIT_MAX_LIMITED + 1_000 {
                tx.audit().add_limited(&of("doorman"))?;
            }
            tx.audit().add_caused(&of("member"))?;
            tx.audit().sweep(now())?;
            let sql = "SELECT actor, count(*) AS count FROM audit GROUP BY actor ORDER BY actor";
            tx.query(sql, [], "an entry", |row| Ok((row.get::<String>("actor")?, row.get::<i64>("count")?)))
        });
        let mut left: BTreeMap<_, _> = left.unwrap().into_iter().collect();
        let doorman = left.remove("doorman").unwrap();
        assert!((46_000..50_300).contains(&doorman), "{doorman}");
        let expected = [("admin", 1), ("member", 2), ("other tenant", 3)];
        assert_eq!(left, expected.map(|(actor, count)| (actor.to_owned(), count)).into());
    }

    /// However many share it: the same for each that wants more.
    #[test]
    fn tokens_that_may_not_do_everything_have_equal_shares() {
        let connections = Connections::in_memory().unwrap();
        let left = connections.write(|tx| {
            for number in 0..COUNTED_EVERY {
                let actor = if number < 150 {
                    "first"
                } else if number % 16 == 0 {
                    "seldom"
                } else {
                    "last"
                };
                // One counts for ten bytes of the 400.
                tx.audit().add_limited_to(&AuditEntry { actor: actor.to_owned(), ..entry(0) }, 40, 400)?;
            }
            let sql = "SELECT actor, count(*) AS count FROM audit GROUP BY actor ORDER BY actor";
            tx.query(sql, [], "an entry", |row| Ok((row.get::<String>("actor")?, row.get::<i64>("count")?)))
        });
        let expected = [("first", 15), ("last", 16), ("seldom", 6)];
        assert_eq!(left.unwrap(), expected.map(|(actor, count)| (actor.to_owned(), count)));
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn long_values_of_such_tokens_push_out_nothing_else_either() {
        let connections = Connections::in_memory().unwrap();
        let left = connections.write(|tx| {
            tx.audit().add(&AuditEntry { actor: "admin".to_owned(), ..entry(0) })?;
            // Each entry has ten bytes.
            for number in 0..COUNTED_EVERY {
                let actor = if number == 7 { "other tenant" } else { "doorman" };
                tx.audit().add_limited_to(&AuditEntry { actor: actor.to_owned(), ..entry(0) }, 1_000, 40)?;
            }
            tx.audit().page(None, 100)
        });
        let actors: Vec<_> = left.unwrap().into_iter().map(|entry| entry.actor).collect();
        assert_eq!(actors, ["doorman", "doorman", "other tenant", "admin"]);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn log_is_swept_while_it_is_written() {
        let connections = Connections::in_memory().unwrap();
        let left = connections.write(|tx| {
            (0..SWEPT_EVERY).try_for_each(|_| tx.audit().add(&entry(8)).map(drop))?;
            let newer = AuditEntry { time: Timestamp(now().0 + AUDIT_MAX_AGE_MILLIS), ..entry(0) };
            (0..SWEPT_EVERY).try_for_each(|_| tx.audit().add(&newer).map(drop))?;
            tx.query("SELECT count(*) AS count FROM audit", [], "an entry", |row| row.get::<i64>("count"))
        });
        assert_eq!(left.unwrap(), [SWEPT_EVERY]);
    }

    #[test]
    fn what_members_cause_is_found_by_its_index() {
        for sql in [LAST_CAUSED, FORGET_CAUSED, LAST_LIMITED, COUNT_LIMITED, LIMITED_BYTES_SINCE] {
            let plan = query_plan::of(sql);
            let mut steps = plan.split("; ");
            assert!(steps.all(|step| step.starts_with("SEARCH") && step.contains("audit_caused")), "{plan}");
        }
    }

    #[test]
    fn entry_is_never_given_an_id_that_was_swept() {
        let connections = Connections::in_memory().unwrap();
        let first = connections.write(|tx| tx.audit().add(&entry(0))).unwrap();
        let swept = connections.write(|tx| tx.audit().sweep(Timestamp(u64::MAX >> 1))).unwrap();
        assert_eq!(swept, 1);
        assert!(connections.write(|tx| tx.audit().add(&entry(0))).unwrap() > first);
    }

    fn now() -> Timestamp {
        Timestamp(1_795_356_830_104)
    }

    fn entry(age: u64) -> AuditEntry {
        let past = if age < 8 { 0 } else { AUDIT_MAX_AGE_MILLIS };
        AuditEntry {
            time: Timestamp(now().0 - age - past),
            actor: "a".to_owned(),
            action: "network.update",
            network: None,
            member: None,
            before: Some("12345".to_owned()),
            after: Some("67890".to_owned()),
        }
    }
}
