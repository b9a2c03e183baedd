//! What is shown while something takes long.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal; nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(what: &'static str, length: usize) -> Self {
        let bar = ProgressBar::new(length as u64).with_message(what);
        let template = "{msg:12} {wide_bar} {pos}/{len} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn advance(&self, by: usize) {
        self.0.inc(by as u64);
    }

    pub(crate) fn at(&self, position: usize) {
        self.0.set_position(position as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
