//! An explicit-bucket histogram of durations.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::metric::BOUNDS;

const BUCKETS: usize = BOUNDS.len() + 1;

/// Durations in the buckets of [`BOUNDS`]. The sum is kept in whole nanoseconds, so that it does not depend on the
/// order in which the durations came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum_nanos: u64,
    min_nanos: Option<u64>,
    max_nanos: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let seconds = seconds(nanos);
        // OTLP: a bucket holds what is greater than the bound before it and at most its own.
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.sum_nanos = self.sum_nanos.saturating_add(nanos);
        self.min_nanos = Some(self.min_nanos.map_or(nanos, |min| min.min(nanos)));
        self.max_nanos = self.max_nanos.max(nanos);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
        self.min_nanos = self.min_nanos.into_iter().chain(other.min_nanos).min();
        self.max_nanos = self.max_nanos.max(other.max_nanos);
    }

    /// How many durations fell into each bucket; the last one holds what is above every bound.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum in seconds.
    pub fn sum(&self) -> f64 {
        seconds(self.sum_nanos)
    }

    /// The shortest in seconds, `None` when there are none.
    pub fn min(&self) -> Option<f64> {
        self.min_nanos.map(seconds)
    }

    /// The longest in seconds, `None` when there are none.
    pub fn max(&self) -> Option<f64> {
        self.min_nanos.map(|_| seconds(self.max_nanos))
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let mut histogram = Histogram::default();
        for millis in [100, 101, 0, 86_400_000, 86_400_001] {
            histogram.record(Duration::from_millis(millis));
        }
        assert_eq!(histogram.buckets()[..2], [2, 1]);
        assert_eq!(histogram.buckets()[17..], [1, 1]);
        assert_eq!(histogram.count(), 5);
        assert_eq!((histogram.min(), histogram.max()), (Some(0.0), Some(86_400.001)));
    }
}
