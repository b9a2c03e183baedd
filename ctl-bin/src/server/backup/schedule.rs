//! Backups that the running controller makes by itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info, warn};
use zt_proto::{Address, Timestamp};

use super::sealing::Sealing;
use super::{Destination, folder, make};
use crate::cli::progress::ProgressArgs;
use crate::server::clock;
use crate::server::config::ScheduleArgs;
use crate::server::home::Home;

/// How long after the start the first backup is made at the earliest: members come first.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// A backup that failed is tried again after this time, or after the usual one where that is shorter.
const RETRY_AFTER: Duration = Duration::from_secs(300);
/// The clock is looked at no more rarely than this, since it may be set.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Makes backups for as long as the controller runs, as the newest of `settings` says. Whatever goes wrong is logged, and
/// tried again.
pub(crate) async fn run(home: Home, controller: Address, mut settings: watch::Receiver<ScheduleArgs>) {
    loop {
        let args = Arc::new(settings.borrow_and_update().clone());
        tokio::select! {
            () = keep(&home, controller, &args) => {}
            changed = settings.changed() => if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

async fn keep(home: &Home, controller: Address, args: &Arc<ScheduleArgs>) {
    let Some(folder) = args.backup_dir.clone() else { return std::future::pending().await };
    let every = args.backup_every.0;
    let mut wait = FIRST_AFTER;
    let mut is_future_told = false;
    loop {
        sleep(wait).await;
        let newest = match folder::newest(&folder, controller, clock::wall()) {
            Ok((newest, future)) => {
                if let Some(path) = future.as_ref().filter(|_| !is_future_told) {
                    warn!(
                        path = %path.display(),
                        "a backup seems to be of the future: it was made while the clock was ahead; it does not count, and is \
                         not removed"
                    );
                }
                is_future_told = future.is_some();
                newest
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                error!(folder = %folder.display(), %error, "backups cannot be looked at");
                wait = RETRY_AFTER.min(every);
                continue;
            }
        };
        let left = time_left(newest, every, clock::wall());
        if !left.is_zero() {
            wait = left.min(LOOK_EVERY);
            continue;
        }
        let (home, args) = (home.clone(), Arc::clone(args));
        wait = match spawn_blocking(move || make_one(&home, &args)).await {
            Ok(true) => every.min(LOOK_EVERY),
            Ok(false) => RETRY_AFTER.min(every),
            Err(error) => {
                error!(%error, "no backup was made");
                RETRY_AFTER.min(every)
            }
        };
    }
}

/// Returns how long until a backup is due.
fn time_left(newest: Option<Timestamp>, every: Duration, now: Timestamp) -> Duration {
    let Some(newest) = newest else { return Duration::ZERO };
    let age = Duration::from_millis(now.0.saturating_sub(newest.0));
    every.saturating_sub(age)
}

/// Makes a backup and says whether it is there.
fn make_one(home: &Home, args: &ScheduleArgs) -> bool {
    let Some(folder) = &args.backup_dir else { return false };
    let keep = usize::try_from(args.backup_keep).unwrap_or(usize::MAX);
    let destination = Destination::Folder(folder.clone(), Some(keep));
    let sealing = Sealing::choose(&args.backup_encrypt_to, args.backup_passphrase_file.as_deref());
    let begun = clock::now();
    let made = sealing
        .map_err(Into::into)
        .and_then(|sealing| make(home, &destination, &sealing, begun.wall, ProgressArgs::NONE));
    match made {
        Ok(made) => {
            let elapsed_ms = clock::now().mono.saturating_duration_since(begun.mono).as_millis();
            info!(path = %made.path.display(), size_bytes = made.size_bytes, removed = made.removed, elapsed_ms, "backup made");
            true
        }
        Err(error @ super::BackupError::Rotation { .. }) => {
            warn!(%error, "older backups stay");
            true
        }
        Err(error) => {
            error!(%error, folder = %folder.display(), "no backup was made");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backup_is_due_a_period_after_the_newest_whatever_the_clock_did() {
        let (hour, now) = (Duration::from_secs(3600), Timestamp(1_800_000_000_000));
        let ago = |seconds: u64| Some(Timestamp(now.0 - seconds * 1000));
        assert_eq!(time_left(None, hour, now), Duration::ZERO);
        assert_eq!(time_left(ago(600), hour, now), Duration::from_secs(3000));
        assert_eq!(time_left(ago(3600), hour, now), Duration::ZERO);
        assert_eq!(time_left(ago(1_000_000), hour, now), Duration::ZERO);
        assert_eq!(time_left(Some(now.plus_millis(86_400_000)), hour, now), hour);
    }
}
