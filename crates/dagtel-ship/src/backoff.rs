//! How long to wait after a failed attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);
/// How much longer each wait may be than the one before.
const FACTOR: f64 = 1.5;

/// Waits that grow from 1 s to 30 s, each with full jitter: many senders that failed together must not come back
/// together. A receiver that says when to come back is obeyed.
#[derive(Debug)]
pub(crate) struct Backoff {
    most: Duration,
    random: RandomState,
    waits: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { most: FIRST, random: RandomState::new(), waits: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.most = FIRST;
    }

    pub(crate) fn next(&mut self, asked_for: Option<Duration>) -> Duration {
        self.waits += 1;
        let most = self.most;
        self.most = most.mul_f64(FACTOR).min(LONGEST);
        // A third of it at the least: a wait of nothing would be no wait.
        let share = self.random.hash_one(self.waits) as f64 / u64::MAX as f64;
        asked_for.unwrap_or_else(|| most.mul_f64((1.0 + 2.0 * share) / 3.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_obeys_the_receiver() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..50).map(|_| backoff.next(None)).collect();
        assert!(waits.iter().all(|wait| *wait >= FIRST / 3 && *wait <= LONGEST));
        assert!(waits[49] >= LONGEST / 3);
        assert_eq!(backoff.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }
}
