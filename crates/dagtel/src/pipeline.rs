//! The way from the journal in memory to spans, for tests: no thread, no disk, no network.

use std::sync::Arc;

use dagtel_core::fold::{Change, Fold};
use dagtel_core::guard::{Admitted, AdmittedLog};
use dagtel_core::metrics::Metrics;
use dagtel_core::signal::{Span, log_records, spans};
use dagtel_core::time::Timestamp;

use crate::counters::Counters;
use crate::journal::Journal;

/// Folds what is in the journal.
#[derive(Debug)]
pub(crate) struct Pipeline {
    journal: Arc<Journal>,
    counters: Arc<Counters>,
    /// Where events are between the journal and the fold.
    taken: Vec<Admitted>,
    fold: Fold,
}

impl Pipeline {
    pub(crate) fn new(journal: Arc<Journal>, counters: Arc<Counters>, fold: Fold) -> Self {
        Self { journal, counters, taken: Vec::new(), fold }
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
        self.journal.take(&mut self.taken);
        for event in self.taken.drain(..) {
            self.fold.apply(event);
        }
    }

    /// The log records of lines that were logged since the last call.
    pub(crate) fn logs(&mut self) -> Vec<AdmittedLog> {
        self.read();
        log_records(self.fold.take_lines()).collect()
    }

    fn map(&self, changes: Vec<Change>) -> Vec<Span> {
        self.counters.set_anomalies(self.fold.anomalies());
        spans(changes).collect()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.fold.metrics()
    }
}
