//! Tells the receivers of webhooks what happened: signed, again when it fails, and once more rather than never.
//!
//! What is to be told is in the database since it happened. Each receiver has a thread of its own while something is due
//! for it, so one that is slow or gone holds up no other.

use std::collections::BTreeSet;
use std::time::Duration;

use ctl_http::Events;
use ctl_store::{Delivery, Outcome, Store, StoreError, Webhook, WebhookId, WebhookSecret};
use data_encoding::HEXLOWER;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use ring::hmac;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};
use ureq::Agent;
use zt_proto::Timestamp;

use super::clock;
use crate::cli::client::native_tls;

/// The header of the hosted service.
const SIGNATURE: &str = "X-ZTC-Signature";
/// The same for each attempt of a delivery, so that a receiver can tell what it has already.
const DELIVERY_ID: &str = "Idempotency-Key";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the whole of an attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts of a delivery before it is given up: four hours.
const MAX_ATTEMPTS: u32 = 15;
/// After the first failure, doubled with each.
const FIRST_PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 60 * 60 * 1_000;
/// Deliveries that are read at once.
const BATCH: u32 = 16;
/// How long more is waited for after something happened: much of it comes together.
const GATHERING: Duration = Duration::from_millis(100);
/// Webhooks are looked at no more rarely than this, since they may have changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Sends what is due for as long as the controller runs.
pub(super) async fn run(store: Store, events: Events, mut rng: ChaCha20Rng) {
    let mut happened = events.changes();
    let mut busy = BTreeSet::new();
    let mut running = JoinSet::new();
    loop {
        let reading = store.clone();
        let looked = spawn_blocking(move || look(&reading, clock::wall())).await;
        let mut wait = LOOK_EVERY;
        match looked {
            Ok(Ok(found)) => {
                for (webhook, left) in found {
                    if busy.contains(&webhook) {
                        continue;
                    }
                    if !left.is_zero() {
                        wait = wait.min(left);
                        continue;
                    }
                    busy.insert(webhook);
                    let (store, rng) = (store.clone(), ChaCha20Rng::from_seed(super::draw_seed(&mut rng)));
                    running.spawn(async move {
                        (webhook, spawn_blocking(move || deliver(&store, webhook, rng)).await)
                    });
                }
            }
            Ok(Err(error)) => debug!(%error, "webhooks cannot be looked at"),
            Err(error) => error!(%error, "webhooks were not looked at"),
        }
        tokio::select! {
            Some(ended) = running.join_next() => {
                let Ok((webhook, ended)) = ended else { continue };
                busy.remove(&webhook);
                match ended {
                    Ok(Ok(())) => {}
                    // It is sent again: nobody knows that it arrived.
                    Ok(Err(error)) => {
                        warn!(%webhook, %error, "what came of a webhook was not saved");
                        sleep(LOOK_EVERY).await;
                    }
                    Err(error) => error!(%webhook, %error, "a webhook was not sent"),
                }
            }
            changed = happened.changed() => {
                if changed.is_err() {
                    return;
                }
                sleep(GATHERING).await;
            }
            () = sleep(wait) => {}
        }
    }
}

/// Returns for which webhooks something waits, and for how long.
fn look(store: &Store, now: Timestamp) -> Result<Vec<(WebhookId, Duration)>, StoreError> {
    store.read(|tx| {
        let mut found = Vec::new();
        for webhook in tx.webhooks().list()?.iter().filter(|webhook| webhook.enabled) {
            let left = tx.webhooks().backlog(webhook.id)?.millis_left(now);
            found.extend(left.map(|left| (webhook.id, Duration::from_millis(left))));
        }
        Ok(found)
    })
}

/// Sends what is due for one webhook, until nothing is or its receiver does not answer.
fn deliver(store: &Store, id: WebhookId, mut rng: ChaCha20Rng) -> Result<(), StoreError> {
    let agent = agent();
    loop {
        // Read anew each time: somebody may have changed or removed it.
        let due = store.read(|tx| {
            let webhook = tx.webhooks().get(id)?.filter(|webhook| webhook.enabled);
            Ok::<_, StoreError>((webhook, tx.webhooks().due(id, clock::wall(), BATCH)?))
        })?;
        let (Some(webhook), due) = due else { return Ok(()) };
        if due.is_empty() {
            return Ok(());
        }
        for delivery in due {
            let sent = send(&agent, &webhook, &delivery, clock::wall());
            let now = clock::wall();
            let (outcome, is_silent) = judge(sent, delivery.attempts, now, rng.next_u32());
            tell(&webhook, &delivery, &outcome);
            store.write_aside(|tx| {
                tx.webhooks().settle(id, delivery.id, &outcome, now)?;
                match &outcome {
                    Outcome::Failed { next, .. } if is_silent => tx.webhooks().hold(id, *next),
                    Outcome::GivenUp { .. } if is_silent => {
                        tx.webhooks().hold(id, now.plus_millis(LONGEST_PAUSE))
                    }
                    Outcome::Arrived | Outcome::Failed { .. } | Outcome::GivenUp { .. } => Ok(()),
                }
            })?;
            if is_silent {
                return Ok(());
            }
        }
    }
}

/// Why something did not arrive.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// It would be the same with anything else that is sent there now.
    is_silent: bool,
}

/// Sends one delivery.
fn send(agent: &Agent, webhook: &Webhook, delivery: &Delivery, now: Timestamp) -> Result<(), Failure> {
    let request = agent
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header(SIGNATURE, sign(&webhook.secret, now.0 / 1000, &delivery.body))
        .header(DELIVERY_ID, format!("{}-{}", webhook.id, delivery.id));
    match request.send(&delivery.body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => {
            let status = answer.status();
            let reason = format!("expected a status from 200 to 299, got {status}");
            let is_silent = status.is_server_error() || status.as_u16() == 429;
            Err(Failure { reason, is_silent })
        }
        Err(error) => Err(Failure { reason: error.to_string(), is_silent: true }),
    }
}

/// Returns what is to be done after an attempt, the last of so many and one more, and whether the receiver is to be left
/// alone for as long.
fn judge(sent: Result<(), Failure>, failed: u32, now: Timestamp, random: u32) -> (Outcome, bool) {
    let Err(Failure { reason, is_silent }) = sent else { return (Outcome::Arrived, false) };
    if failed + 1 >= MAX_ATTEMPTS {
        return (Outcome::GivenUp { reason }, is_silent);
    }
    let pause = FIRST_PAUSE.checked_shl(failed).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    // Between three and five quarters of it, so that not all come back at the same time.
    let pause = pause * 3 / 4 + pause * u64::from(random % 1024) / 2048;
    (Outcome::Failed { reason, next: now.plus_millis(pause) }, is_silent)
}

/// Logs what came of an attempt. The URL may be a secret, so the webhook has a number.
fn tell(webhook: &Webhook, delivery: &Delivery, outcome: &Outcome) {
    let (id, attempts) = (webhook.id, delivery.attempts + 1);
    match outcome {
        Outcome::Arrived if webhook.failure.is_some() => info!(webhook = %id, "webhook arrives again"),
        Outcome::Arrived => debug!(webhook = %id, delivery = delivery.id, "webhook arrived"),
        Outcome::Failed { .. } if webhook.failure.is_none() && delivery.attempts == 0 => {
            warn!(webhook = %id, "webhook did not arrive; it is tried again, and GET /api/v2/webhooks says why");
        }
        Outcome::Failed { .. } => debug!(webhook = %id, attempts, "webhook did not arrive"),
        Outcome::GivenUp { .. } => warn!(webhook = %id, attempts, "webhook given up"),
    }
}

/// Returns the header that shows who sent a body, and when: `t=SECONDS,v1=HMAC`.
fn sign(secret: &WebhookSecret, seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let tag = hmac::sign(&key, format!("{seconds},{body}").as_bytes());
    format!("t={seconds},v1={}", HEXLOWER.encode_display(tag.as_ref()))
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        // Whoever may name a receiver named this one.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("ctl-bin/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TIMEOUT))
        .tls_config(native_tls())
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the tests of `ztchooks`, the package of the hosted service for receivers.
    #[test]
    fn signature_is_that_of_the_hosted_service() {
        let digits = "778c6dab5feca625c7831644d18c4d0e4b3a337bff8a1e1c8f938f9cc20e6536";
        let mut secret = [0; 32];
        for (index, byte) in secret.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).unwrap();
        }
        let body = r#"{"hook_id":"ae76d4c0-c94e-4025-a648-2c504eb90e3c","org_id":"1bb4dc96-f311-4c4a-ac93-551cbc0fa3da","hook_type":"NETWORK_JOIN","network_id":"19d9808567a17ccf","member_id":"a02505e545"}"#;
        let expected = "t=1694033429,v1=04d87956d1953f28ac04d441f139fc655109e9b5c64396fb55dbdf567c735f86";
        assert_eq!(sign(&WebhookSecret(secret), 1_694_033_429, body), expected);
    }

    #[test]
    fn pauses_grow_and_end_with_giving_up() {
        let now = Timestamp(1_000_000);
        let after = |failed, random| {
            let failure = Failure { reason: "503".to_owned(), is_silent: true };
            match judge(Err(failure), failed, now, random) {
                (Outcome::Failed { next, .. }, true) => next.0 - now.0,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((after(0, 0), after(0, 1023)), (750, 1249));
        assert_eq!((after(1, 0), after(5, 0)), (1_500, 24_000));
        assert_eq!(
            (after(12, 0), after(13, 1023)),
            (LONGEST_PAUSE * 3 / 4, LONGEST_PAUSE * 3 / 4 + 1_798_242)
        );
        let failure = Failure { reason: "410".to_owned(), is_silent: false };
        let last = judge(Err(failure), MAX_ATTEMPTS - 1, now, 0);
        assert_eq!(last, (Outcome::GivenUp { reason: "410".to_owned() }, false));
        assert_eq!(judge(Ok(()), 3, now, 0), (Outcome::Arrived, false));
    }
}
