//! What a step tells: from what is final to frames, and with the saved state into the outbox.

use std::io;

use dagtel_core::fold::Change;
use dagtel_core::guard::{AdmittedLog, Found};
use dagtel_core::signal::{lifecycle_records, log_records};
use dagtel_core::time::Timestamp;
use dagtel_otlp::{Frame, Signal, record};

use crate::drainer::Drainer;
use crate::outbox::{self, Numbered};
use crate::state;

impl Drainer {
    /// Appends those frames of the last step that the outbox does not have.
    pub(crate) fn append_pending(&mut self) -> io::Result<()> {
        let there = outbox::highest_number(&self.layout)?.max(outbox::highest_shipped(&self.layout));
        let missing: Vec<_> = self.state.pending.drain(..).filter(|frame| frame.number > there).collect();
        self.append(&missing);
        Ok(())
    }

    pub(crate) fn append(&mut self, frames: &[Numbered]) {
        for frame in frames {
            if self.outbox.append_numbered(frame).is_err() {
                let what = record::signal_of(frame.kind).map_or("frames", Signal::as_str);
                self.state.counts.drop_events(&format!("outbox_full_{what}"), u64::from(frame.items));
            }
        }
    }

    /// While there is more to read, metrics are told as usual, but none that were asked for at once: those are to tell all.
    pub(crate) fn metrics_are_due(&self, now: Timestamp, more: bool) -> bool {
        self.options.metrics && now >= self.metrics_due && !(more && self.metrics_due == Timestamp::MIN)
    }

    pub(crate) fn forwarded(&mut self, now: Timestamp) -> Vec<Frame> {
        let events = std::mem::take(&mut self.forward);
        let (frames, cut) = dagtel_otlp::events(&events, now, &self.options.identity);
        self.state.fold.found(Found { cut, redacted: 0 });
        frames
    }

    /// What is told as log records: lines at once, even while there is more to read.
    pub(crate) fn records(&mut self, changes: &[Change]) -> Vec<AdmittedLog> {
        let lines = self.state.fold.take_lines();
        let mut records = Vec::new();
        if self.options.logs && self.options.lifecycle {
            records.extend(lifecycle_records(changes));
        }
        if self.options.logs {
            records.extend(log_records(lines));
        }
        records
    }

    pub(crate) fn metrics(&mut self, now: Timestamp) -> Vec<Frame> {
        self.metrics_due = now.saturating_add(self.options.metric_interval);
        let mut identity = self.options.identity.clone();
        identity.instance_id = self.state.instance_id.as_str().into();
        self.state.fold.update_gauges();
        dagtel_otlp::metrics(self.state.fold.metrics(), now, &identity)
    }

    /// Saves the state with the frames, then appends the frames: in this order, so that each is appended once.
    pub(crate) fn commit(&mut self, frames: Vec<Frame>) -> io::Result<()> {
        for frame in &frames {
            match frame.signal {
                Signal::Traces => self.state.counts.spans += frame.items as u64,
                Signal::Logs => self.state.counts.records += frame.items as u64,
                Signal::Events => self.state.counts.forwarded += frame.items as u64,
                Signal::Metrics => self.state.counts.points += frame.items as u64,
            }
        }
        let first = self.state.next_frame;
        self.state.next_frame += frames.len() as u64;
        // Those of a step whose state could not be saved are still there.
        let numbered = (first..).zip(frames).map(|(number, frame)| Numbered::new(number, frame));
        self.state.pending.extend(numbered);
        state::save(&self.layout.state(), &self.state)?;
        let pending = std::mem::take(&mut self.state.pending);
        self.append(&pending);
        self.outbox.flush()
    }
}
