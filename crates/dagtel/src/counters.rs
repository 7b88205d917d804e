//! What dagtel counts of itself: produced = delivered + dropped + on disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dagtel_core::fold::{Anomalies, Anomaly};
use dagtel_core::guard::Found;
use dagtel_drain::{Counts, Drainer};
use dagtel_otlp::Signal;
use dagtel_ship::{Seen, Status};

/// What an engine tells of. Events are forwarded by agents.
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// What was given up, by what it was and why.
type Drops = BTreeMap<(&'static str, &'static str), u64>;

/// Counters that all parts of one pipeline share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    cut: AtomicU64,
    redacted: AtomicU64,
    /// What was put into the outbox beside the drainer, by signal: items, and of live instruments and the user's own
    /// exporters requests, because how many points each holds is only known inside.
    made: [AtomicU64; 4],
    /// By what was dropped and why, before the shipper had it.
    dropped: Mutex<Drops>,
    drained: Mutex<Drained>,
    /// How each destination fares, and what it is sent.
    shipped: OnceLock<Vec<(Arc<Status>, Vec<Signal>)>>,
}

/// What the drainer of this process counted.
#[derive(Debug, Default)]
struct Drained {
    /// What others had counted in this directory before.
    before: Option<Counts>,
    spans: u64,
    points: u64,
    records: u64,
    anomalies: Anomalies,
}

/// How many spans, points or records went which way, through this process.
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
    /// Neither delivered nor given up: on disk.
    pub fn waiting(&self) -> u64 {
        self.produced.saturating_sub(self.delivered + self.dropped)
    }
}

impl Counters {
    pub(crate) fn made(&self, signal: Signal, items: u64) {
        self.made[signal as usize].fetch_add(items, Ordering::Relaxed);
    }

    pub(crate) fn events_dropped(&self, reason: &'static str, events: u64) {
        self.dropped("events", reason, events);
    }

    pub(crate) fn dropped(&self, what: &'static str, reason: &'static str, items: u64) {
        *lock(&self.dropped).entry((what, reason)).or_default() += items;
    }

    /// Counts what the guard cut.
    pub(crate) fn cut(&self, parts: u32) {
        if parts > 0 {
            self.cut.fetch_add(u64::from(parts), Ordering::Relaxed);
        }
    }

    /// Counts what the guard found, where no journal takes that to whoever drains.
    pub(crate) fn found(&self, found: Found) {
        self.cut(found.cut);
        if found.redacted > 0 {
            self.redacted.fetch_add(u64::from(found.redacted), Ordering::Relaxed);
        }
    }

    /// Takes over what the drainer has counted.
    pub(crate) fn drained(&self, drainer: &Drainer) {
        let counts = drainer.counts();
        let mut drained = lock(&self.drained);
        let before = drained.before.get_or_insert_with(|| drainer.counts_at_start().clone());
        let (spans, points) = (counts.spans - before.spans, counts.points - before.points);
        let records = counts.records - before.records;
        (drained.spans, drained.points) = (spans, points);
        drained.records = records;
        drained.anomalies.clone_from(drainer.fold().anomalies());
    }

    /// Takes over what the fold in a test's memory found odd.
    pub(crate) fn set_anomalies(&self, anomalies: &Anomalies) {
        lock(&self.drained).anomalies.clone_from(anomalies);
    }

    /// Where what is shipped is counted from now on.
    pub(crate) fn ship(&self, destinations: Vec<(Arc<Status>, Vec<Signal>)>) {
        // A process ships once.
        let _ = self.shipped.set(destinations);
    }

    fn shipped(&self) -> impl Iterator<Item = (Seen, &[Signal])> {
        self.shipped.get().into_iter().flatten().map(|(status, signals)| (status.seen(), &**signals))
    }

    /// Whether there was nothing left to send when it was last looked.
    pub(crate) fn caught_up(&self) -> bool {
        self.shipped.get().is_some() && self.shipped().all(|(seen, _)| seen.caught_up)
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.shipped().find_map(|(seen, _)| seen.last_error)
    }

    pub(crate) fn anomalies(&self) -> Vec<(Anomaly, u64)> {
        let mut anomalies = lock(&self.drained).anomalies.clone();
        anomalies.add(Anomaly::Cut, self.cut.load(Ordering::Relaxed));
        anomalies.add(Anomaly::Redacted, self.redacted.load(Ordering::Relaxed));
        anomalies.seen().collect()
    }

    /// Drops, by what was dropped (`events`, `traces`, `metrics`, `logs`, `frames`) and why.
    pub(crate) fn drops(&self) -> Drops {
        let mut drops = lock(&self.dropped).clone();
        for (what, items) in self.shipped().flat_map(|(seen, _)| seen.dropped) {
            *drops.entry(what).or_default() += items;
        }
        drops
    }

    pub(crate) fn tally(&self, signal: Signal) -> Tally {
        let before = lock(&self.dropped).clone();
        let drained = lock(&self.drained);
        let made = match signal {
            Signal::Traces => drained.spans,
            Signal::Metrics => drained.points,
            Signal::Logs => drained.records,
            Signal::Events => 0,
        };
        let of_signal = |drops: &Drops| -> u64 {
            drops.iter().filter(|((what, _), _)| *what == signal.as_str()).map(|(_, items)| items).sum()
        };
        let sent = self.shipped().filter(|(_, signals)| signals.contains(&signal));
        let sent = sent.map(|(seen, _)| {
            (seen.delivered.get(signal.as_str()).copied().unwrap_or_default(), of_signal(&seen.dropped))
        });
        // Of several destinations the one that is furthest behind.
        let (delivered, dropped) =
            sent.min_by_key(|(delivered, dropped)| delivered + dropped).unwrap_or_default();
        Tally {
            produced: made + self.made[signal as usize].load(Ordering::Relaxed),
            delivered,
            dropped: dropped + of_signal(&before),
        }
    }

    pub(crate) fn tallies(&self) -> impl Iterator<Item = (Signal, Tally)> + '_ {
        SIGNALS.into_iter().map(|signal| (signal, self.tally(signal)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
