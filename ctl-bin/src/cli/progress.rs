//! How far long work is, for who watches it on a terminal.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is shown that work goes on whose end nobody knows.
const TICK: Duration = Duration::from_millis(120);

/// Whether to show how far it is.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ProgressArgs {
    /// Does not show how far it is, which is otherwise seen on a terminal
    #[arg(long, short)]
    pub quiet: bool,
}

impl ProgressArgs {
    /// For work that nobody asked for on a terminal.
    pub(crate) const NONE: Self = Self { quiet: true };
}

/// A bar on standard error; nothing where that is no terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins; `total` is how many steps there are.
    pub(crate) fn new(what: &'static str, total: u64, args: ProgressArgs) -> Self {
        Self::with(what, Some(total), args, "{msg} {wide_bar} {pos}/{len} {eta}")
    }

    /// Begins; `total` is how many bytes there are.
    pub(crate) fn bytes(what: &'static str, total: u64, args: ProgressArgs) -> Self {
        Self::with(what, Some(total), args, "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}")
    }

    /// Begins what ends nobody knows when.
    pub(crate) fn unknown(what: &'static str, args: ProgressArgs) -> Self {
        let progress = Self::with(what, None, args, "{spinner} {msg} {elapsed}");
        progress.0.enable_steady_tick(TICK);
        progress
    }

    fn with(
        what: &'static str,
        total: Option<u64>,
        ProgressArgs { quiet }: ProgressArgs,
        looks: &str,
    ) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(looks).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self(bar)
    }

    /// Says that a step was done.
    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }

    /// Says what was done until now.
    pub(crate) fn say(&self, done: impl FnOnce() -> String) {
        if !self.0.is_hidden() {
            self.0.set_message(done());
        }
    }

    /// Prints above the bar.
    pub(crate) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Counts what is read.
    pub(crate) fn reader<R: Read>(&self, reader: R) -> impl Read + use<R> {
        self.0.wrap_read(reader)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_shown_has_its_looks() {
        for looks in [
            "{msg} {wide_bar} {pos}/{len} {eta}",
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}",
            "{spinner} {msg} {elapsed}",
        ] {
            assert!(ProgressStyle::with_template(looks).is_ok(), "{looks}");
        }
        let progress = Progress::bytes("reading", 3, ProgressArgs::NONE);
        let mut text = String::new();
        progress.reader(&b"abc"[..]).read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), progress.0.position()), ("abc", 3));
    }
}
