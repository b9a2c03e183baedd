//! The log: what of it is written, how, and how often (`docs/configuration.md`).

mod limit;

use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::sleep;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use limit::Limit;

/// Where programs in Rust usually have it.
const USUAL_VARIABLE: &str = "RUST_LOG";
/// What is logged unless somebody says otherwise: what the migrations of the database tell is in its own words already.
const DEFAULT: &str = "info,rusqlite_migration=warn";
/// How often it is said what was left out.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// What is logged: a level, and others for modules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogLevel {
    targets: Targets,
}

impl LogLevel {
    pub(crate) const VARIABLE: &'static str = "CTL_LOG_LEVEL";

    /// Returns what is logged if this program is not told anything itself.
    pub(crate) fn usual() -> Self {
        let usual = std::env::var(USUAL_VARIABLE).ok().and_then(|text| text.parse().ok());
        usual.unwrap_or_else(|| Self { targets: DEFAULT.parse().unwrap_or_default() })
    }
}

impl FromStr for LogLevel {
    type Err = String;

    /// Unlike the parser of the library, takes no word that is neither a level nor the name of a module with one.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected levels like info or info,ctl_bin::vl1=debug (error, warn, info, debug, trace, off), got {text:?}"
            )
        };
        // The library also takes nothing at all, and numbers.
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let level =
            |level: &str| level.parse::<LevelFilter>().ok().filter(|_| is_word(level)).ok_or_else(expected);
        let is_module = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
        };
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            targets = match part.split_once('=') {
                Some((module, name)) if is_module(module) => targets.with_target(module, level(name)?),
                Some(_) => return Err(expected()),
                None => targets.with_default(level(part)?),
            };
        }
        Ok(Self { targets })
    }
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// An object of JSON.
    Json,
}

/// The log of this program.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    targets: reload::Handle<Targets, Registry>,
    limit: Arc<Limit>,
}

/// Begins to log, on standard error. With `is_limited` it is bounded how often one message comes.
pub(crate) fn start(level: &LogLevel, format: LogFormat, is_limited: bool) -> Log {
    let (filter, targets) = reload::Layer::new(level.targets.clone());
    let limit = Arc::new(Limit::default());
    let limiting = is_limited.then(|| limit::Limiting(Arc::clone(&limit)));
    let lines = match format {
        LogFormat::Text => fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    registry().with(filter).with(limiting).with(lines).init();
    Log { targets, limit }
}

impl Log {
    /// Changes from now on what is logged.
    pub(crate) fn set(&self, level: &LogLevel) {
        // An error would mean that nothing is logged at all.
        self.targets.reload(level.targets.clone()).unwrap_or(());
    }

    /// Says every now and then what was left out; never ends.
    pub(crate) async fn report(self) {
        loop {
            sleep(REPORT_EVERY).await;
            self.limit.report();
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_for_everything_and_for_modules() {
        let level: LogLevel = "warn, ctl_bin::vl1=trace,ctl_http=off".parse().unwrap();
        let logs = |target: &str, level_of: Level| level.targets.would_enable(target, &level_of);
        assert!(logs("ctl_store", Level::WARN) && !logs("ctl_store", Level::INFO));
        assert!(logs("ctl_bin::vl1::node", Level::TRACE) && !logs("ctl_http::gate", Level::ERROR));
        assert_eq!(DEFAULT.parse::<LogLevel>().unwrap().targets, DEFAULT.parse().unwrap());
    }

    #[test]
    fn what_is_no_level_is_refused_with_an_example() {
        for text in ["", "inof", "info,", "ctl_bin", "ctl_bin=loud", "=info", "a b=info", "[span]=info", "3"]
        {
            let error = text.parse::<LogLevel>().unwrap_err();
            assert!(error.contains("info,ctl_bin::vl1=debug"), "{text}: {error}");
        }
    }
}
