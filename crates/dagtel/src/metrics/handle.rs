//! Handles of single series.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::table::Series;

macro_rules! handle {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        ///
        /// Cheap to clone; all clones are of one series. Keeping one saves the look-up of its tags.
        #[derive(Clone, Debug, Default)]
        #[must_use = "a handle does nothing by itself"]
        pub struct $name(Option<Arc<Series>>);

        impl $name {
            pub(super) fn new(series: Option<Arc<Series>>) -> Self {
                Self(series)
            }
        }
    };
}

handle! {
    /// A count that only grows. It is told as 0 from its first handle on.
    Counter
}

handle! {
    /// A count that goes up and down. It is told as 0 from its first handle on.
    UpDownCounter
}

handle! {
    /// How many there are now. It is told from the first [`set`](Self::set) until [`end`](Self::end), at every export,
    /// whether the handle is kept or not.
    Gauge
}

handle! {
    /// How long something is now, told in seconds, from the first [`set`](Self::set) until [`end`](Self::end), at every
    /// export, whether the handle is kept or not.
    DurationGauge
}

handle! {
    /// Durations, in buckets from 0.1 s to 24 h.
    Histogram
}

impl Counter {
    /// Counts so many more.
    pub fn add(&self, more: u64) {
        if let Some(series) = &self.0 {
            series.value.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl UpDownCounter {
    /// Counts so many more, or fewer.
    pub fn add(&self, more: i64) {
        if let Some(series) = &self.0 {
            series.value.fetch_add(more.cast_unsigned(), Ordering::Relaxed);
        }
    }
}

impl Gauge {
    /// Says how many there are now.
    pub fn set(&self, value: i64) {
        set(self.0.as_ref(), value.cast_unsigned());
    }

    /// Says that what is told of is gone: the series is not exported any more, until it is set again.
    pub fn end(&self) {
        end(self.0.as_ref());
    }

    /// Ends the series when what comes back is dropped.
    pub fn guard(self) -> GaugeGuard {
        GaugeGuard(self)
    }
}

impl DurationGauge {
    /// Says how long it is now.
    pub fn set(&self, value: Duration) {
        set(self.0.as_ref(), value.as_secs_f64().to_bits());
    }

    /// Says that what is told of is gone: the series is not exported any more, until it is set again.
    pub fn end(&self) {
        end(self.0.as_ref());
    }
}

fn set(series: Option<&Arc<Series>>, value: u64) {
    if let Some(series) = series {
        series.value.store(value, Ordering::Relaxed);
        series.live.store(true, Ordering::Release);
    }
}

fn end(series: Option<&Arc<Series>>) {
    if let Some(series) = series {
        series.live.store(false, Ordering::Release);
    }
}

/// A [`Gauge`] that ends when it is dropped. Two of one series end it both.
#[derive(Debug, Default)]
#[must_use = "the gauge ends when this is dropped"]
pub struct GaugeGuard(Gauge);

impl Deref for GaugeGuard {
    type Target = Gauge;

    fn deref(&self) -> &Gauge {
        &self.0
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, duration: Duration) {
        if let Some(series) = &self.0 {
            series.record(duration.as_secs_f64());
        }
    }

    /// Measures from now on until what comes back is dropped.
    pub fn start(self) -> Timing {
        let start = self.0.is_some().then(Instant::now);
        Timing { histogram: self, start }
    }
}

/// A measurement that is going on: its drop records it. See [`Histogram::start`].
#[derive(Debug)]
#[must_use = "the time is measured until this is dropped"]
pub struct Timing {
    histogram: Histogram,
    start: Option<Instant>,
}

impl Drop for Timing {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            self.histogram.record(start.elapsed());
        }
    }
}
