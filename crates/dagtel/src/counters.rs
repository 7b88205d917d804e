//! What dagtel counts of itself: produced = delivered + dropped + waiting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use dagtel_core::fold::{Anomalies, Anomaly};
use dagtel_otlp::Signal;

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// Counters that all parts of one pipeline share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    produced: [AtomicU64; 3],
    delivered: [AtomicU64; 3],
    cut: AtomicU64,
    dropped: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    anomalies: Mutex<Anomalies>,
}

/// How many spans, points or records went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Made.
    pub produced: u64,
    /// Taken by the receiver.
    pub delivered: u64,
    /// Given up, for whatever reason.
    pub dropped: u64,
}

impl Tally {
    /// Neither delivered nor given up.
    pub fn waiting(&self) -> u64 {
        self.produced.saturating_sub(self.delivered + self.dropped)
    }
}

impl Counters {
    pub(crate) fn produced(&self, signal: Signal, items: usize) {
        self.produced[signal as usize].fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, signal: Signal, items: usize) {
        self.delivered[signal as usize].fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, signal: Signal, reason: &'static str, items: u64) {
        self.count_drop(signal.as_str(), reason, items);
    }

    pub(crate) fn event_dropped(&self, reason: &'static str) {
        self.count_drop("events", reason, 1);
    }

    fn count_drop(&self, what: &'static str, reason: &'static str, items: u64) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry((what, reason)).or_default() += items;
    }

    /// Counts what the guard cut.
    pub(crate) fn cut(&self, parts: u32) {
        if parts > 0 {
            self.cut.fetch_add(u64::from(parts), Ordering::Relaxed);
        }
    }

    /// Publishes what the fold found odd.
    pub(crate) fn set_anomalies(&self, anomalies: &Anomalies) {
        self.anomalies.lock().unwrap_or_else(PoisonError::into_inner).clone_from(anomalies);
    }

    pub(crate) fn anomalies(&self) -> Vec<(Anomaly, u64)> {
        let mut anomalies = self.anomalies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        anomalies.add(Anomaly::Cut, self.cut.load(Ordering::Relaxed));
        anomalies.seen().collect()
    }

    /// Drops, by what was dropped (`events`, `traces`, `metrics`, `logs`) and why.
    pub(crate) fn drops(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn tally(&self, signal: Signal) -> Tally {
        let drops = self.drops();
        let of_signal = drops.iter().filter(|((what, _), _)| *what == signal.as_str());
        Tally {
            produced: self.produced[signal as usize].load(Ordering::Relaxed),
            delivered: self.delivered[signal as usize].load(Ordering::Relaxed),
            dropped: of_signal.map(|(_, items)| items).sum(),
        }
    }

    pub(crate) fn tallies(&self) -> impl Iterator<Item = (Signal, Tally)> + '_ {
        SIGNALS.into_iter().map(|signal| (signal, self.tally(signal)))
    }
}
