//! The log: what of it is written, how, and how often (`docs/configuration.md`).

mod limit;

use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use ctl_http::{LogLevels, SPANS};
use tokio::time::sleep;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use super::traces::Traces;
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
    /// As it was written.
    text: String,
    targets: Targets,
}

impl LogLevel {
    pub(crate) const VARIABLE: &'static str = "CTL_LOG_LEVEL";

    /// Returns what is logged if this program is not told anything itself.
    pub(crate) fn usual() -> Self {
        let usual = std::env::var(USUAL_VARIABLE).ok().and_then(|text| text.parse().ok());
        usual.unwrap_or_else(|| Self {
            text: DEFAULT.to_owned(),
            targets: DEFAULT.parse().unwrap_or_default(),
        })
    }

    /// Returns what is enabled: beside the log, what is for traces if there are any.
    fn enabled(&self, has_traces: bool) -> Targets {
        let traces = if has_traces { LevelFilter::TRACE } else { LevelFilter::OFF };
        self.targets.clone().with_target(SPANS, traces)
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
        Ok(Self { text: text.to_owned(), targets })
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
    levels: Arc<Mutex<String>>,
    has_traces: bool,
}

/// Begins to log, on standard error, and to send traces if there is a way for them. With `is_limited` it is bounded how
/// often one message comes.
pub(crate) fn start(level: &LogLevel, format: LogFormat, is_limited: bool, traces: Option<&Traces>) -> Log {
    let (filter, targets) = reload::Layer::new(level.enabled(traces.is_some()));
    let limit = Arc::new(Limit::default());
    let limiting = is_limited.then(|| limit::Limiting(Arc::clone(&limit)));
    let lines = match format {
        LogFormat::Text => fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    let layers = match traces {
        None => vec![lines],
        // What is for traces is not part of a line.
        Some(traces) => {
            vec![lines.with_filter(filter_fn(|metadata| metadata.target() != SPANS)).boxed(), traces.layer()]
        }
    };
    registry().with(filter).with(limiting).with(layers).init();
    let levels = Arc::new(Mutex::new(level.text.clone()));
    Log { targets, limit, levels, has_traces: traces.is_some() }
}

impl Log {
    /// Changes from now on what is logged.
    pub(crate) fn set(&self, level: &LogLevel) {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        levels.clone_from(&level.text);
        // An error would mean that nothing is logged at all.
        self.targets.reload(level.enabled(self.has_traces)).unwrap_or(());
    }

    /// Says every now and then what was left out; never ends.
    pub(crate) async fn report(self) {
        loop {
            sleep(REPORT_EVERY).await;
            self.limit.report();
        }
    }
}

impl LogLevels for Log {
    fn current(&self) -> String {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, levels: &str) -> Result<(), String> {
        levels.parse().map(|level| self.set(&level))
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
