//! Real time, which is what is measured.

use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a load of a given rate is made by waiting")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
