//! How to drain.

use std::time::Duration;

use dagtel_core::fold::Timing;
use dagtel_core::guard::Guard;
use dagtel_otlp::Identity;

/// How to drain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainerOptions {
    /// Who emits. Its instance id counts only for a directory that has none yet.
    pub identity: Identity,
    /// How long the fold waits for what may still come.
    pub timing: Timing,
    /// How often metrics are put into the outbox.
    pub metric_interval: Duration,
    /// How long a run whose engine died waits to be adopted before it is closed as lost.
    pub adoption: Duration,
    /// By which rules secrets in lines of the inbox are masked. What is in the journal was masked before it was written.
    pub guard: Guard,
    /// Whether spans are put into the outbox.
    pub traces: bool,
    /// Whether metrics are; they are counted all the same.
    pub metrics: bool,
    /// Whether events are, for an agent elsewhere that folds them. They are folded here all the same: a restarted engine
    /// must find its open runs.
    pub events: bool,
    /// Whether lines that tasks logged are, as log records.
    pub logs: bool,
    /// Whether starts and ends of runs and tries are log records too, so that what runs can be seen.
    pub lifecycle: bool,
    /// Whether the last lines of a try are events of its span.
    pub log_events: bool,
}

impl DrainerOptions {
    /// The usual: metrics every 10 s, a minute for an engine to come back.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            timing: Timing::default(),
            metric_interval: Duration::from_secs(10),
            adoption: Duration::from_secs(60),
            guard: Guard::default(),
            traces: true,
            metrics: true,
            events: false,
            logs: true,
            lifecycle: false,
            log_events: false,
        }
    }
}
