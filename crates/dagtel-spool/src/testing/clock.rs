//! A clock that tests move.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use crate::clock::Clock;

/// A clock that stands still, a process id that tests change, and numbers drawn in a fixed order.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicU64,
    pid: AtomicU32,
    drawn: AtomicU64,
}

impl ManualClock {
    /// A clock at the beginning; clocks with different seeds draw different numbers.
    pub fn new(seed: u64) -> Self {
        Self { millis: AtomicU64::new(1), pid: AtomicU32::new(1), drawn: AtomicU64::new(seed << 32) }
    }

    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Makes this process another one, as a fork does.
    pub fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.millis.load(Relaxed))
    }

    fn pid(&self) -> u32 {
        self.pid.load(Relaxed)
    }

    fn random(&self) -> u64 {
        self.drawn.fetch_add(1, Relaxed) + 1
    }
}
