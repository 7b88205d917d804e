//! What a line counts and says about itself.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dagtel_otlp::Signal;

/// What became of what was sent to one destination. Shared between the line and whoever asks.
#[derive(Debug, Default)]
pub struct Status {
    seen: Mutex<Seen>,
    advanced: Condvar,
}

/// A reading of [`Status`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Items that the receiver took, by signal.
    pub delivered: BTreeMap<&'static str, u64>,
    /// Items given up, by signal and reason.
    pub dropped: BTreeMap<(&'static str, &'static str), u64>,
    /// Why the last attempt failed. `None` when it did not.
    pub failing: Option<String>,
    /// Why the last attempt that ever failed did.
    pub last_error: Option<String>,
    /// Attempts.
    pub attempts: u64,
    /// Whether nothing was left to send when it was last looked.
    pub caught_up: bool,
    /// The highest number of a frame that is done with.
    pub reached: u64,
    /// Series that have a legacy name and are not told under it, though legacy names are wanted.
    pub legacy_untold: usize,
}

impl Status {
    /// How things stand.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Waits, on this thread, until all frames up to this number are done with. Returns whether they are.
    pub fn wait_until_reached(&self, number: u64, deadline: Duration) -> bool {
        let waited = self.advanced.wait_timeout_while(self.lock(), deadline, |seen| seen.reached < number);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub(crate) fn delivered(&self, signal: Signal, items: u64) {
        *self.lock().delivered.entry(signal.as_str()).or_default() += items;
    }

    pub(crate) fn dropped(&self, signal: &'static str, reason: &'static str, items: u64) {
        if items > 0 {
            *self.lock().dropped.entry((signal, reason)).or_default() += items;
        }
    }

    pub(crate) fn attempted(&self, failure: Option<&str>) {
        let mut seen = self.lock();
        seen.attempts += 1;
        seen.failing = failure.map(str::to_owned);
        if let Some(failure) = failure {
            seen.last_error = Some(failure.to_owned());
        }
    }

    pub(crate) fn legacy_untold(&self, series: usize) {
        self.lock().legacy_untold = series;
    }

    pub(crate) fn caught_up(&self, caught_up: bool) {
        self.lock().caught_up = caught_up;
    }

    pub(crate) fn reached(&self, number: u64) {
        self.lock().reached = number;
        self.advanced.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
