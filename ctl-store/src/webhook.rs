//! Who is told over HTTP of what happens, and what each is still to be told.

use std::fmt;
use std::str::FromStr;

use rusqlite::{OptionalExtension, params};
use zt_proto::{NetworkId, Timestamp};

use crate::Tx;
use crate::column::{Columns, NetworkColumn, U64Column};
use crate::error::StoreError;

/// What may wait for one receiver; past it, what is new is dropped and counted.
pub const MAX_WAITING_DELIVERIES: u64 = 10_000;
/// How much of that may be of what tokens did that may not do everything, and what came with it: past it, what these do is
/// dropped and counted, and there is room for the rest. Of each network no more of it waits than there is room left, half of
/// it if there is but one, so that there is room for others whatever a token of one network does.
pub const MAX_LIMITED_DELIVERIES: u64 = MAX_WAITING_DELIVERIES / 2;
/// What is kept for one receiver of what was given up: the newest.
pub const MAX_DEAD_DELIVERIES: u64 = 100;
/// Bytes of a description, and of the reason of a failure; the rest of a reason is cut.
pub const MAX_HOOK_TEXT_BYTES: usize = 1024;

/// No delivery is put off for so long, in milliseconds: one that is to wait longer was put off while the clock was ahead, and
/// is due.
const PUT_OFF_FOR: u64 = 2 * 60 * 60 * 1000;

/// The id of a webhook, a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebhookId([u8; 16]);

/// The key of the signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WebhookSecret(pub [u8; 32]);

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    /// 1 to 2048 bytes. May itself be a secret.
    pub url: String,
    pub description: String,
    pub secret: WebhookSecret,
    /// Names of what it is told of, with blanks between; empty is everything. The store does not look into it.
    pub kinds: String,
    /// `None`: of all networks.
    pub network: Option<NetworkId>,
    pub enabled: bool,
    pub created: Timestamp,
    /// When something last arrived; zero: never.
    pub delivered: Timestamp,
    /// Of the last attempt; `None`: it arrived, or there was none.
    pub failure: Option<String>,
    /// How many found the outbox full.
    pub dropped: u64,
}

/// Something that a webhook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Ascending, never given twice.
    pub id: i64,
    pub body: String,
    pub created: Timestamp,
    /// How many attempts failed.
    pub attempts: u32,
    /// Of the last attempt.
    pub failure: Option<String>,
}

/// What is there for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    pub waiting: u64,
    /// When the next attempt is due; `None`: nothing waits.
    pub next: Option<Timestamp>,
}

impl Backlog {
    /// Returns for how many milliseconds nothing is due; `None`: nothing waits.
    pub fn millis_left(&self, now: Timestamp) -> Option<u64> {
        let left = self.next?.0.saturating_sub(now.0);
        Some(if left > PUT_OFF_FOR { 0 } else { left })
    }
}

/// Returns the last time until which a delivery can have been put off.
fn latest(now: Timestamp) -> U64Column {
    U64Column(now.0.saturating_add(PUT_OFF_FOR).min(i64::MAX.cast_unsigned()))
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Arrived,
    /// It is tried again, but not before that time.
    Failed {
        reason: String,
        next: Timestamp,
    },
    GivenUp {
        reason: String,
    },
}

/// The webhooks, inside a transaction.
pub struct Webhooks<'a> {
    pub(crate) tx: &'a Tx<'a>,
}

const COLUMNS: &str = "SELECT id, url, description, secret, kinds, network, enabled, created, delivered, failure, dropped \
                       FROM webhook";
const DELIVERY: &str = "SELECT id, body, created, attempts, failure FROM webhook_delivery";

impl Webhooks<'_> {
    /// Returns all, the oldest first.
    pub fn list(&self) -> Result<Vec<Webhook>, StoreError> {
        self.tx.query(&format!("{COLUMNS} ORDER BY created, id"), [], "a webhook", decode)
    }

    pub fn get(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let found = self.tx.query(&format!("{COLUMNS} WHERE id = ?1"), [id.0], "a webhook", decode)?;
        Ok(found.into_iter().next())
    }

    /// Saves a webhook, whether its id is new or not. What is known of attempts stays as it is if it was there.
    pub fn put(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let sql = "INSERT INTO webhook (id, url, description, secret, kinds, network, enabled, created, delivered, failure, \
                   dropped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET \
                   url = ?2, description = ?3, secret = ?4, kinds = ?5, network = ?6, enabled = ?7";
        let values = params![
            webhook.id.0,
            webhook.url,
            webhook.description,
            webhook.secret.0,
            webhook.kinds,
            webhook.network.map(NetworkColumn),
            webhook.enabled,
            U64Column(webhook.created.0),
            U64Column(webhook.delivered.0),
            webhook.failure.as_deref().map(cut),
            U64Column(webhook.dropped),
        ];
        self.tx.execute(sql, values).map(drop)
    }

    /// Removes a webhook with all that it was to be told, and says whether there was one.
    pub fn remove(&self, id: WebhookId) -> Result<bool, StoreError> {
        Ok(self.tx.execute("DELETE FROM webhook WHERE id = ?1", [id.0])? > 0)
    }

    /// Adds what a webhook is to be told, and returns for how much of it there was room; the rest is counted.
    pub fn enqueue(&self, id: WebhookId, bodies: &[String], now: Timestamp) -> Result<usize, StoreError> {
        let room = MAX_WAITING_DELIVERIES.saturating_sub(self.backlog(id)?.waiting);
        self.enqueue_up_to(room, id, bodies, now)
    }

    /// Does the same for what a token did in one network that may not do everything: only while less waits than
    /// [`MAX_LIMITED_DELIVERIES`], and less of this network than there is room left. Bodies name it in `network_id`.
    pub fn enqueue_limited(
        &self,
        id: WebhookId,
        network: NetworkId,
        bodies: &[String],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let waiting = self.backlog(id)?.waiting;
        let left = MAX_LIMITED_DELIVERIES.saturating_sub(waiting);
        // While little waits there is room for everybody, whoever it is of.
        let is_little = waiting < MAX_LIMITED_DELIVERIES / 4;
        let of_network = if is_little || left == 0 { waiting } else { self.waiting_of(id, network)? };
        self.enqueue_up_to(left.saturating_sub(of_network).div_ceil(2), id, bodies, now)
    }

    /// Returns how much waits for a webhook that is about one network.
    fn waiting_of(&self, id: WebhookId, network: NetworkId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) AS waiting FROM webhook_delivery WHERE webhook = ?1 AND dead = 0 AND instr(body, ?2) > 0";
        let named = format!("\"network_id\":\"{network}\"");
        let found = self.tx.query(sql, params![id.0, named], "what waits for a webhook", |row| {
            row.get::<U64Column>("waiting").map(|waiting| waiting.0)
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    fn enqueue_up_to(
        &self,
        room: u64,
        id: WebhookId,
        bodies: &[String],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bodies.len());
        let sql = "INSERT INTO webhook_delivery (webhook, body, created, attempts, next, failure, dead) \
                   VALUES (?1, ?2, ?3, 0, ?3, NULL, 0)";
        for body in bodies.iter().take(room) {
            self.tx.execute(sql, params![id.0, body, U64Column(now.0)])?;
        }
        if room < bodies.len() {
            let sql = "UPDATE webhook SET dropped = dropped + ?2 WHERE id = ?1";
            self.tx.execute(sql, params![id.0, U64Column((bodies.len() - room) as u64)])?;
        }
        Ok(room)
    }

    /// Returns how much waits for a webhook, and until when.
    pub fn backlog(&self, id: WebhookId) -> Result<Backlog, StoreError> {
        let sql = "SELECT count(*) AS waiting, min(next) AS next FROM webhook_delivery WHERE webhook = ?1 AND dead = 0";
        let found = self.tx.query(sql, [id.0], "what waits for a webhook", |row| {
            let next = row.get::<Option<U64Column>>("next")?.map(U64Column::time);
            Ok(Backlog { waiting: row.get::<U64Column>("waiting")?.0, next })
        })?;
        Ok(found.first().copied().unwrap_or(Backlog { waiting: 0, next: None }))
    }

    /// Returns up to `limit` deliveries of a webhook that are due, the oldest first.
    pub fn due(&self, id: WebhookId, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!(
            "{DELIVERY} WHERE webhook = ?1 AND dead = 0 AND (next <= ?2 OR next > ?4) ORDER BY id LIMIT ?3"
        );
        self.tx.query(
            &sql,
            params![id.0, U64Column(now.0), limit, latest(now)],
            "what waits for a webhook",
            decode_delivery,
        )
    }

    /// Returns what was given up, the newest first.
    pub fn dead(&self, id: WebhookId) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!("{DELIVERY} WHERE webhook = ?1 AND dead = 1 ORDER BY id DESC");
        self.tx.query(&sql, [id.0], "what a webhook was not told", decode_delivery)
    }

    /// Has what was given up tried again from the beginning, the oldest first as far as there is room, and returns how much
    /// that is. With `only`, one delivery alone.
    pub fn revive(&self, id: WebhookId, only: Option<i64>, now: Timestamp) -> Result<usize, StoreError> {
        let room = MAX_WAITING_DELIVERIES.saturating_sub(self.backlog(id)?.waiting);
        let sql = "UPDATE webhook_delivery SET dead = 0, attempts = 0, next = ?3 WHERE id IN (SELECT id FROM webhook_delivery \
                   WHERE webhook = ?1 AND dead = 1 AND (?2 IS NULL OR id = ?2) ORDER BY id LIMIT ?4)";
        self.tx.execute(sql, params![id.0, only, U64Column(now.0), U64Column(room)])
    }

    /// Writes down what came of an attempt. Nothing happens if the webhook was removed meanwhile.
    pub fn settle(
        &self,
        id: WebhookId,
        delivery: i64,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = "UPDATE webhook SET failure = ?2 WHERE id = ?1";
        match outcome {
            Outcome::Arrived => {
                self.tx.execute("DELETE FROM webhook_delivery WHERE id = ?1", [delivery])?;
                let sql = "UPDATE webhook SET delivered = ?2, failure = NULL WHERE id = ?1";
                self.tx.execute(sql, params![id.0, U64Column(now.0)])?;
            }
            Outcome::Failed { reason, next } => {
                let sql = "UPDATE webhook_delivery SET attempts = attempts + 1, next = ?2, failure = ?3 WHERE id = ?1";
                self.tx.execute(sql, params![delivery, U64Column(next.0), cut(reason)])?;
                self.tx.execute(failed, params![id.0, cut(reason)])?;
            }
            Outcome::GivenUp { reason } => {
                let sql = "UPDATE webhook_delivery SET attempts = attempts + 1, failure = ?2, dead = 1 WHERE id = ?1";
                self.tx.execute(sql, params![delivery, cut(reason)])?;
                self.tx.execute(failed, params![id.0, cut(reason)])?;
                let sql = "DELETE FROM webhook_delivery WHERE webhook = ?1 AND dead = 1 AND id <= (SELECT id FROM \
                           webhook_delivery WHERE webhook = ?1 AND dead = 1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
                self.tx.execute(sql, params![id.0, U64Column(MAX_DEAD_DELIVERIES)])?;
            }
        }
        Ok(())
    }

    /// Puts off everything that waits for a webhook: its receiver does not answer at all.
    pub fn hold(&self, id: WebhookId, until: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE webhook_delivery SET next = ?2 WHERE webhook = ?1 AND dead = 0 AND (next < ?2 OR next > ?3)";
        self.tx.execute(sql, params![id.0, U64Column(until.0), latest(until)]).map(drop)
    }

    /// Says whether there is any webhook at all.
    pub fn is_any(&self) -> Result<bool, StoreError> {
        let mut statement = self.tx.connection.prepare_cached("SELECT 1 FROM webhook LIMIT 1")?;
        Ok(statement.query_row([], |_| Ok(())).optional()?.is_some())
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_HOOK_TEXT_BYTES)).unwrap_or_default()
}

fn decode(row: &Columns<'_>) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: WebhookId(row.get("id")?),
        url: row.get("url")?,
        description: row.get("description")?,
        secret: WebhookSecret(row.get("secret")?),
        kinds: row.get("kinds")?,
        network: row.get::<Option<NetworkColumn>>("network")?.map(|network| network.0),
        enabled: row.get("enabled")?,
        created: row.get::<U64Column>("created")?.time(),
        delivered: row.get::<U64Column>("delivered")?.time(),
        failure: row.get("failure")?,
        dropped: row.get::<U64Column>("dropped")?.0,
    })
}

fn decode_delivery(row: &Columns<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.get("id")?,
        body: row.get("body")?,
        created: row.get::<U64Column>("created")?.time(),
        attempts: row.get("attempts")?,
        failure: row.get("failure")?,
    })
}

impl WebhookId {
    /// Makes an id of random bits.
    pub fn new(mut random: [u8; 16]) -> Self {
        // A UUID of version 4, variant 1.
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        Self(random)
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID in small letters")]
pub struct WebhookIdError;

impl FromStr for WebhookId {
    type Err = WebhookIdError;

    fn from_str(text: &str) -> Result<Self, WebhookIdError> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let id = u128::from_str_radix(&digits, 16).map(|bits| Self(bits.to_be_bytes()));
        id.ok().filter(|id| id.to_string() == text).ok_or(WebhookIdError)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Connections;

    const NOW: Timestamp = Timestamp(1_795_356_830_104);

    fn webhook(number: u8) -> Webhook {
        Webhook {
            id: WebhookId::new([number; 16]),
            url: "https://hooks.example/x".to_owned(),
            description: String::new(),
            secret: WebhookSecret([number; 32]),
            kinds: "NETWORK_JOIN".to_owned(),
            network: Some(NetworkId(7)),
            enabled: true,
            created: NOW,
            delivered: Timestamp(0),
            failure: None,
            dropped: 0,
        }
    }

    #[test]
    fn id_reads_back_and_nothing_else_does() {
        let id = WebhookId::new([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "x", "ffffffffffff4fffbfffffffffffffff", "FFFFFFFF-ffff-4fff-bfff-ffffffffffff", "+"]
        {
            assert_eq!(text.parse::<WebhookId>(), Err(WebhookIdError), "{text}");
        }
        assert_eq!(format!("{:?}", webhook(1).secret), "WebhookSecret(…)");
    }

    #[test]
    fn webhook_is_read_as_it_was_saved_and_goes_with_what_waits() {
        let connections = Connections::in_memory().unwrap();
        connections
            .write(|tx| {
                let hooks = tx.webhooks();
                assert!(!hooks.is_any()?);
                hooks.put(&webhook(1))?;
                hooks.put(&webhook(2))?;
                assert!(hooks.is_any()?);
                let changed = Webhook { enabled: false, network: None, kinds: String::new(), ..webhook(1) };
                hooks.put(&changed)?;
                assert_eq!(hooks.list()?, [changed, webhook(2)]);
                assert_eq!(hooks.enqueue(webhook(2).id, &["{}".to_owned()], NOW)?, 1);
                assert!(hooks.remove(webhook(2).id)? && !hooks.remove(webhook(2).id)?);
                assert_eq!(hooks.due(webhook(2).id, NOW, 9)?, []);
                assert_eq!(hooks.get(webhook(2).id)?, None);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    #[test]
    fn delivery_is_due_until_it_arrives_or_is_given_up() {
        let connections = Connections::in_memory().unwrap();
        connections
            .write(|tx| {
                let (hooks, id) = (tx.webhooks(), webhook(1).id);
                hooks.put(&webhook(1))?;
                assert_eq!(hooks.enqueue(id, &["a", "b", "c"].map(str::to_owned), NOW)?, 3);
                let bodies = |now| {
                    let due = hooks.due(id, now, 9)?;
                    Ok::<_, StoreError>(
                        due.into_iter().map(|one| (one.body, one.attempts)).collect::<Vec<_>>(),
                    )
                };
                let due = |body: &str, attempts| (body.to_owned(), attempts);
                let [a, b, _] = &hooks.due(id, NOW, 9)?[..] else { panic!("three are due") };
                let (later, reason) = (NOW.plus_millis(5000), "é".repeat(2000));
                hooks.settle(id, a.id, &Outcome::Failed { reason: reason.clone(), next: later }, NOW)?;
                hooks.settle(id, b.id, &Outcome::Arrived, NOW)?;
                assert_eq!(bodies(NOW)?, [due("c", 0)]);
                assert_eq!(bodies(later)?, [due("a", 1), due("c", 0)]);
                assert_eq!(hooks.backlog(id)?, Backlog { waiting: 2, next: Some(NOW) });
                hooks.hold(id, later)?;
                assert_eq!(bodies(NOW)?, []);
                hooks.settle(id, a.id, &Outcome::GivenUp { reason }, later)?;
                assert_eq!(bodies(later)?, [due("c", 0)]);
                let dead = hooks.dead(id)?;
                assert_eq!((dead.len(), dead[0].attempts), (1, 2));
                let (other, later) = (webhook(2).id, later.plus_millis(1));
                assert_eq!(hooks.revive(other, None, later)?, 0);
                assert_eq!(hooks.revive(other, Some(dead[0].id), later)?, 0, "it is another's");
                assert_eq!(hooks.revive(id, Some(dead[0].id + 1), later)?, 0);
                assert_eq!(hooks.revive(id, Some(dead[0].id), later)?, 1);
                assert_eq!((bodies(later)?, hooks.dead(id)?), (vec![due("a", 0), due("c", 0)], vec![]));
                let hook = hooks.get(id)?.unwrap();
                assert_eq!(hook.delivered, NOW);
                assert_eq!(hook.failure, dead[0].failure);
                assert_eq!(hook.failure.unwrap().len(), MAX_HOOK_TEXT_BYTES);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    #[test]
    fn what_was_noted_or_put_off_while_the_clock_was_ahead_is_due() {
        let connections = Connections::in_memory().unwrap();
        connections
            .write(|tx| {
                let (hooks, id) = (tx.webhooks(), webhook(1).id);
                hooks.put(&webhook(1))?;
                assert_eq!(hooks.backlog(id)?.millis_left(NOW), None);
                hooks.enqueue(id, &["{}".to_owned()], NOW.plus_millis(31_536_000_000))?;
                assert_eq!(hooks.backlog(id)?.millis_left(NOW), Some(0));
                assert_eq!(hooks.due(id, NOW, 9)?.len(), 1);
                // Its receiver does not answer: it waits as others do.
                hooks.hold(id, NOW.plus_millis(3_600_000))?;
                assert_eq!(hooks.backlog(id)?.millis_left(NOW), Some(3_600_000));
                assert_eq!(hooks.due(id, NOW, 9)?, []);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn what_waits_and_what_was_given_up_is_bounded() {
        let connections = Connections::in_memory().unwrap();
        connections
            .write(|tx| {
                let (hooks, id) = (tx.webhooks(), webhook(1).id);
                hooks.put(&webhook(1))?;
                let most = usize::try_from(MAX_WAITING_DELIVERIES).unwrap();
                // Tokens that may not do everything fill half of it, whatever they do, and those of one network half of what
                // the others leave.
                let half = usize::try_from(MAX_LIMITED_DELIVERIES).unwrap();
                let fill = |number, count| {
                    let network = NetworkId(number);
                    let body = format!("{{\"network_id\":\"{network}\",\"revision\":1}}");
                    hooks.enqueue_limited(id, network, &vec![body; count], NOW)
                };
                assert_eq!((fill(1, 1_000)?, fill(1, most)?, fill(1, 1)?), (1_000, half / 2 - 1_000, 0));
                assert_eq!((fill(2, most)?, fill(2, 1)?), (half / 4, 0));
                for number in 3..20 {
                    fill(number, most)?;
                }
                assert_eq!(hooks.backlog(id)?.waiting, MAX_LIMITED_DELIVERIES);
                assert_eq!(fill(20, 1)?, 0);
                assert_eq!(hooks.enqueue(id, &["{}".to_owned()], NOW)?, 1);
                tx.execute("DELETE FROM webhook_delivery", [])?;
                tx.execute("UPDATE webhook SET dropped = 0", [])?;
                assert_eq!(hooks.enqueue(id, &vec!["{}".to_owned(); most - 1], NOW)?, most - 1);
                assert_eq!(hooks.enqueue(id, &vec!["{}".to_owned(); 4], NOW)?, 1);
                assert_eq!(hooks.backlog(id)?.waiting, MAX_WAITING_DELIVERIES);
                assert_eq!(hooks.get(id)?.unwrap().dropped, 3);
                let due = hooks.due(id, NOW, u32::MAX)?;
                for delivery in due.iter().take(150) {
                    hooks.settle(id, delivery.id, &Outcome::GivenUp { reason: "410".to_owned() }, NOW)?;
                }
                let dead = hooks.dead(id)?;
                assert_eq!(dead.len() as u64, MAX_DEAD_DELIVERIES);
                assert_eq!((dead[0].id, dead[99].id), (due[149].id, due[50].id));
                assert_eq!(
                    hooks.enqueue(id, &["{}".to_owned()], NOW)?,
                    1,
                    "what was given up takes no place"
                );
                // 149 have room, but there are a hundred; then there is none.
                assert_eq!(hooks.revive(id, None, NOW)?, 100);
                assert_eq!(hooks.enqueue(id, &vec!["{}".to_owned(); 49], NOW)?, 49);
                hooks.settle(id, due[50].id, &Outcome::GivenUp { reason: "410".to_owned() }, NOW)?;
                hooks.settle(id, due[51].id, &Outcome::GivenUp { reason: "410".to_owned() }, NOW)?;
                assert_eq!(hooks.enqueue(id, &["{}".to_owned()], NOW)?, 1);
                assert_eq!(hooks.revive(id, None, NOW)?, 1, "the oldest");
                assert_eq!(hooks.backlog(id)?.waiting, MAX_WAITING_DELIVERIES);
                assert_eq!(hooks.dead(id)?.iter().map(|one| one.id).collect::<Vec<_>>(), [due[51].id]);
                assert_eq!(hooks.revive(id, None, NOW)?, 0);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}
