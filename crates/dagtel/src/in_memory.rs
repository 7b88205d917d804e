//! The exit for tests: everything stays in memory.

use std::sync::Arc;

use dagtel_core::fold::Anomaly;
use dagtel_core::metrics::Metrics;
use dagtel_core::signal::{LogRecord, Span};

use crate::engine::Inner;
use crate::pipeline::Pipeline;

/// What was recorded, for a test to look at. Made by [`Builder::in_memory`](crate::Builder::in_memory).
pub struct InMemory {
    pipeline: Pipeline,
    inner: Arc<Inner>,
}

impl InMemory {
    pub(crate) fn new(pipeline: Pipeline, inner: Arc<Inner>) -> Self {
        Self { pipeline, inner }
    }

    /// The spans that became final since the last call.
    pub fn spans(&mut self) -> Vec<Span> {
        let now = self.inner.now();
        self.pipeline.due(now)
    }

    /// All spans that are left: what is still open is closed as lost.
    pub fn finish(&mut self) -> Vec<Span> {
        self.pipeline.finish()
    }

    /// The log records of lines that tasks logged since the last call.
    pub fn logs(&mut self) -> Vec<LogRecord> {
        self.pipeline.logs().into_iter().map(|log| log.record().clone()).collect()
    }

    /// What has been counted of the events that were looked at so far.
    pub fn metrics(&self) -> &Metrics {
        self.pipeline.metrics()
    }

    /// What was odd about them.
    pub fn anomalies(&self) -> Vec<(Anomaly, u64)> {
        self.inner.counters.anomalies()
    }
}

impl std::fmt::Debug for InMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}
