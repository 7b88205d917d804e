//! The way from the journal to encoded requests, without threads, clocks or network.

use std::sync::Arc;

use dagtel_core::fold::{Change, Fold};
use dagtel_core::metrics::Metrics;
use dagtel_core::signal::{Span, spans};
use dagtel_core::time::Timestamp;
use dagtel_otlp::{Frame, Identity};

use crate::counters::Counters;
use crate::journal::Journal;

/// Folds what is in the journal.
#[derive(Debug)]
pub(crate) struct Pipeline {
    journal: Arc<Journal>,
    counters: Arc<Counters>,
    fold: Fold,
    identity: Identity,
}

impl Pipeline {
    pub(crate) fn new(
        journal: Arc<Journal>,
        counters: Arc<Counters>,
        fold: Fold,
        identity: Identity,
    ) -> Self {
        Self { journal, counters, fold, identity }
    }

    /// The spans that are final by the watermark.
    pub(crate) fn due(&mut self, watermark: Timestamp) -> Vec<Span> {
        self.read();
        let changes = self.fold.due(watermark);
        self.map(changes)
    }

    /// All spans that are left, because nothing more will come.
    pub(crate) fn finish(&mut self) -> Vec<Span> {
        self.read();
        let changes = self.fold.finish();
        self.map(changes)
    }

    fn read(&mut self) {
        for event in self.journal.take() {
            self.fold.apply(event);
        }
    }

    fn map(&self, changes: Vec<Change>) -> Vec<Span> {
        self.counters.set_anomalies(self.fold.anomalies());
        spans(changes)
    }

    pub(crate) fn encode(&self, spans: &[Span]) -> Vec<Frame> {
        dagtel_otlp::traces(spans, &self.identity)
    }

    pub(crate) fn metric_frames(&self, now: Timestamp) -> Vec<Frame> {
        dagtel_otlp::metrics(self.fold.metrics(), now, &self.identity)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.fold.metrics()
    }
}
