//! Settings that change while the controller runs: SIGHUP has it read its file again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use ctl_http::{Access, Setting};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Line;
use crate::server::config::{ScheduleArgs, ServeArgs};
use crate::server::logs::{Log, LogLevel};

/// The settings that take effect at once; the others do at the next start.
const LIVE: [&str; 9] = [
    "api-allow",
    "api-origin",
    "api-query-token",
    "backup-dir",
    "backup-encrypt-to",
    "backup-every",
    "backup-keep",
    "backup-passphrase-file",
    "log-level",
];

/// What settings are told to.
pub(in crate::server) struct Live {
    pub access: watch::Sender<Arc<Access>>,
    /// Where the API listens.
    pub address: SocketAddr,
    pub backups: watch::Sender<ScheduleArgs>,
    pub log: Log,
    /// Shown in the API.
    pub settings: watch::Sender<Arc<[Setting]>>,
}

impl Live {
    fn apply(&self, args: &ServeArgs) {
        self.access.send_if_modified(|access| {
            let changed = Access {
                allow_query_token: args.api.api_query_token,
                allowed_sources: args.api.allowed_sources(self.address),
                allowed_origins: args.api.origins.clone(),
                ..Access::clone(access)
            };
            *access = Arc::new(changed);
            true
        });
        self.backups.send_if_modified(|backups| {
            let is_changed = *backups != args.backups;
            backups.clone_from(&args.backups);
            is_changed
        });
        self.log.set(&args.log.log_level.clone().unwrap_or_else(LogLevel::usual));
    }
}

/// Reads the settings again whenever `reload` says so; what cannot be used leaves everything as it was.
pub(in crate::server) async fn follow(
    line: Vec<OsString>,
    start: BTreeMap<String, Vec<OsString>>,
    live: Live,
    mut reload: watch::Receiver<()>,
) {
    let mut current = start.clone();
    while reload.changed().await.is_ok() {
        let line = line.clone();
        let read = match spawn_blocking(move || super::read(&line)).await {
            Ok(Ok(read)) => read,
            Ok(Err(reason)) => {
                let reason = reason.to_string().replace('\n', "; ");
                warn!(%reason, "the settings are not used; what they said before stays in force");
                continue;
            }
            Err(reason) => {
                warn!(%reason, "the settings were not read");
                continue;
            }
        };
        let Some(args) = read.serving() else { continue };
        live.apply(args);
        live.settings.send_modify(|shown| *shown = after_reading(shown, &read.settings));
        tell(&read, &current, &start);
        current = read.set;
    }
}

/// Returns the settings as they are after they were read again: of those that take effect at the next start, what that is.
fn after_reading(running: &[Setting], read: &[Setting]) -> Arc<[Setting]> {
    let now = |(running, read): (&Setting, &Setting)| {
        if LIVE.contains(&read.name.as_str()) {
            return read.clone();
        }
        Setting { next: (running.values != read.values).then(|| read.values.clone()), ..running.clone() }
    };
    running.iter().zip(read).map(now).collect()
}

/// Logs what is another setting than before, and what waits for the next start.
fn tell(read: &Line, before: &BTreeMap<String, Vec<OsString>>, start: &BTreeMap<String, Vec<OsString>>) {
    let changed = differences(before, &read.set).filter(|name| LIVE.contains(name));
    let waiting = differences(start, &read.set).filter(|name| !LIVE.contains(name));
    let (changed, waiting) = (changed.collect::<Vec<_>>().join(", "), waiting.collect::<Vec<_>>().join(", "));
    info!(%changed, "the settings were read again");
    if !waiting.is_empty() {
        warn!(settings = %waiting, "these settings need a restart");
    }
}

/// Returns the names of what is set in one way here and in another, or not at all, there.
fn differences<'s>(
    one: &'s BTreeMap<String, Vec<OsString>>,
    other: &'s BTreeMap<String, Vec<OsString>>,
) -> impl Iterator<Item = &'s str> {
    let changed = one.iter().filter(|(name, value)| other.get(*name) != Some(value)).map(|(name, _)| name);
    let added = other.keys().filter(|name| !one.contains_key(*name));
    let mut names: Vec<_> = changed.chain(added).map(String::as_str).collect();
    names.sort_unstable();
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_effect_at_once_is_a_setting() {
        for name in LIVE {
            assert!(super::super::table().iter().any(|setting| setting.get_long() == Some(name)), "{name}");
        }
    }

    #[test]
    fn what_waits_for_the_next_start_is_shown_beside_what_is_in_force() {
        let of = |port: &str, level: &str| {
            let one = |name: &str, value: &str| Setting {
                name: name.to_owned(),
                group: None,
                values: vec![value.to_owned()],
                source: ctl_http::SettingSource::File,
                next: None,
            };
            [one("port", port), one("log-level", level)]
        };
        let shown = after_reading(&of("1", "info"), &of("2", "debug"));
        assert_eq!(shown[0], Setting { next: Some(vec!["2".to_owned()]), ..of("1", "info")[0].clone() });
        assert_eq!(shown[1], of("2", "debug")[1]);
        assert_eq!(*after_reading(&shown, &of("1", "info")), of("1", "info"));
    }

    #[test]
    fn differences_are_what_changed_came_or_went() {
        let map = |text: &str| {
            let entry = |pair: &str| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), vec![OsString::from(value)])
            };
            text.split_whitespace().map(entry).collect::<BTreeMap<_, _>>()
        };
        let (one, other) = (map("a=1 b=1 d=1"), map("a=1 b=2 c=1"));
        assert_eq!(differences(&one, &other).collect::<Vec<_>>(), ["b", "c", "d"]);
    }
}
