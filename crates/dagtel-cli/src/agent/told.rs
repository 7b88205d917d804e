//! What the thread that drains a directory tells of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dagtel_core::catalog::naming::Naming;
use dagtel_core::event::report::MetricsLine;
use dagtel_core::fold::Anomalies;
use dagtel_core::metrics::Metrics;
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr};
use dagtel_drain::{Counts, Drainer, Layout};
use dagtel_otlp::Identity;

/// How often at most; copying the series of a full fold takes a few milliseconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the bytes on disk are counted.
const DISK_INTERVAL: Duration = Duration::from_secs(5);

/// A copy of what a drainer knows.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) prefix: SmolStr,
    pub(super) tags: Vec<Attribute>,
    /// Which metrics there are, and the unit of durations; the tags that there are not are gone from the metrics.
    pub(super) naming: Naming,
    pub(super) metrics: Metrics,
    pub(super) counts: Counts,
    pub(super) anomalies: Anomalies,
    pub(super) open_runs: usize,
    pub(super) queues: BTreeMap<(SmolStr, &'static str), u64>,
    pub(super) reports: BTreeMap<String, MetricsLine>,
    /// Bytes on disk, by part.
    pub(super) disk: Vec<(&'static str, u64)>,
}

/// When to tell again.
#[derive(Debug)]
pub(super) struct Telling {
    identity: Identity,
    /// Whether the series of the fold are told: who forwards leaves them to who folds, and two must not show them.
    series: bool,
    told: Option<Instant>,
    counted: Option<Instant>,
    disk: Vec<(&'static str, u64)>,
    /// Something happened since.
    news: bool,
}

impl Telling {
    /// Nothing told yet. Whose name and tags the series have is the identity's to say.
    pub(super) fn new(identity: Identity, series: bool) -> Self {
        Self { identity, series, told: None, counted: None, disk: Vec::new(), news: true }
    }

    /// What is to be told after a step that did something or did not.
    pub(super) fn after(&mut self, drainer: &Drainer, layout: &Layout, did: bool) -> Option<Told> {
        self.news |= did;
        let due = |last: Option<Instant>, interval| last.is_none_or(|last| last.elapsed() >= interval);
        let disk = due(self.counted, DISK_INTERVAL);
        if !(self.news || disk) || !due(self.told, INTERVAL) {
            return None;
        }
        if disk {
            self.disk = bytes_on_disk(layout);
            self.counted = Some(Instant::now());
        }
        self.news = false;
        self.told = Some(Instant::now());
        let (fold, naming) = (drainer.fold(), &self.identity.naming);
        let metrics = match naming.disabled_tags.is_empty() {
            _ if !self.series => Metrics::new(Timestamp::MIN),
            true => fold.metrics().clone(),
            false => fold.metrics().without_tags(|tag| !naming.has_tag(tag)),
        };
        Some(Told {
            prefix: self.identity.prefix.clone(),
            tags: self.identity.tags.clone(),
            naming: naming.clone(),
            metrics,
            counts: drainer.counts().clone(),
            anomalies: fold.anomalies().clone(),
            open_runs: fold.open_runs(),
            queues: fold.queues(),
            reports: drainer.reports().clone(),
            disk: self.disk.clone(),
        })
    }
}

fn bytes_on_disk(layout: &Layout) -> Vec<(&'static str, u64)> {
    let parts = [("journal", layout.journal()), ("outbox", layout.outbox()), ("dead", layout.dead_letters())];
    let bytes = parts.map(|(part, dir)| {
        // One that is not there yet has none.
        let streams = dagtel_spool::inspect(&dir).unwrap_or_default();
        (part, streams.iter().map(|stream| stream.bytes).sum())
    });
    bytes.into()
}
