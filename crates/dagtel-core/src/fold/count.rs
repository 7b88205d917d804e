//! Which metrics a fact counts towards. Each is counted once for each try and each run.

use super::resources::Resources;
use super::run::{Run, RunEnd};
use super::task::{Counted, Try};
use super::told::Told;
use crate::catalog::attribute::text as key;
use crate::catalog::error_type;
use crate::catalog::metric::Metric;
use crate::event::{RunState, TaskState, Truth};
use crate::key::{RunKey, TryKey};
use crate::metrics::{Metrics, TagRefs};
use crate::time::Timestamp;

/// Keeps `dagrun.active` in step with whether the run started and did not end.
pub(super) fn active(run: &mut Run, metrics: &mut Metrics) {
    let active = run.started.is_some() && run.ended().is_none() && !run.handed_over;
    let before = std::mem::replace(&mut run.active, active);
    // By nothing as well: a run whose end is read before its start must leave the same series behind.
    metrics.shift(
        Metric::DagRunActive,
        TagRefs::new([Some(&*run.key.dag_id)]),
        i64::from(active) - i64::from(before),
    );
}

/// Counts what the try's own process said, once that has settled.
pub(super) fn settled(
    metrics: &mut Metrics,
    tags: Tags<'_>,
    task: &Try,
    started: bool,
    ended: bool,
) -> Counted {
    let mut counted = task.counted;
    // Who takes over a try counts its start, unless its end turns up here.
    if started && !task.handed_over {
        start(metrics, tags, &mut counted);
    }
    if started && ended {
        finish(metrics, tags, task, &mut counted);
        waits(metrics, tags, task, &mut counted, |truth| truth == Truth::Reported);
    }
    counted
}

/// Counts whatever of the try has not been counted.
pub(super) fn closed(metrics: &mut Metrics, tags: Tags<'_>, task: &Try) -> Counted {
    let mut counted = task.counted;
    if task.started.is_some() {
        start(metrics, tags, &mut counted);
    }
    finish(metrics, tags, task, &mut counted);
    waits(metrics, tags, task, &mut counted, |_| true);
    counted
}

fn start(metrics: &mut Metrics, tags: Tags<'_>, counted: &mut Counted) {
    if !std::mem::replace(&mut counted.start, true) {
        metrics.count(Metric::TiStart, tags.plain());
    }
}

fn finish(metrics: &mut Metrics, tags: Tags<'_>, task: &Try, counted: &mut Counted) {
    let Some(end) = task.end else { return };
    if std::mem::replace(&mut counted.finish, true) {
        return;
    }
    metrics.count(Metric::TiFinish, tags.with(end.state.as_str()));
    let by_result = if end.state == TaskState::Success {
        Some((Metric::TiSuccesses, Metric::OperatorSuccesses))
    } else if end.state.is_error() {
        Some((Metric::TiFailures, Metric::OperatorFailures))
    } else {
        None
    };
    if let Some((ti, operator)) = by_result {
        metrics.count(ti, tags.plain());
        metrics.count(operator, tags.with(task.layers.text(key::OPERATOR).unwrap_or_default()));
    }
    if task.exceptions.iter().any(|(_, exception)| exception.kind == error_type::OOM_KILLED) {
        metrics.count(Metric::TaskOomKills, tags.plain());
    }
    if let Some(measured) = &task.measured {
        used(metrics, tags, &measured.resources, end.at);
    }
    // The last sign of life of a lost try is no measure of how long it took.
    if let Some(started) = task.started
        && end.truth != Truth::Inferred
    {
        metrics.record(Metric::TaskDuration, tags.plain(), end.at.since(started.at));
    }
}

/// Counts what the try used.
fn used(metrics: &mut Metrics, tags: Tags<'_>, resources: &Resources, at: Timestamp) {
    if let Some(peak) = resources.memory_peak {
        metrics.set(Metric::TaskMemoryPeak, tags.with(&resources.memory_peak_method), at, peak);
    }
    if let Some(cpu_time) = resources.cpu_time {
        metrics.record(Metric::TaskCpuTime, tags.plain(), cpu_time);
    }
}

/// Adds what a running try uses now to the gauge of its task: mapped task instances that run side by side are summed.
pub(super) fn usage(metrics: &mut Metrics, run: &RunKey, key: &TryKey, task: &Try) {
    let Some(resources) = task.measured.as_ref().map(|measured| &measured.resources) else { return };
    if let Some(usage) = resources.memory_usage {
        let tags = Tags::of(run, key, task).with(&resources.memory_usage_method);
        metrics.shift(Metric::TaskMemoryUsage, tags, i64::try_from(usage).unwrap_or(i64::MAX));
    }
}

/// Counts how long the try waited, as far as facts that are `strong` enough say so.
fn waits(
    metrics: &mut Metrics,
    tags: Tags<'_>,
    task: &Try,
    counted: &mut Counted,
    strong: fn(Truth) -> bool,
) {
    let known = |told: Option<Told>| told.filter(|told| strong(told.truth)).map(|told| told.at);
    let (scheduled, queued, started) = (known(task.scheduled), known(task.queued), known(task.started));
    let mut record = |metric, counted: &mut bool, from: Option<Timestamp>, to: Option<Timestamp>| {
        if let (false, Some(from), Some(to)) = (*counted, from, to) {
            *counted = true;
            let queue = task.layers.text(key::QUEUE).unwrap_or_default();
            metrics.record(metric, tags.with(queue), to.since(from));
        }
    };
    record(Metric::TaskQueuedDuration, &mut counted.queued, queued, started);
    record(Metric::TaskScheduledDuration, &mut counted.scheduled, scheduled, queued);
}

/// Counts a run that is closed.
pub(super) fn run_closed(metrics: &mut Metrics, run: &Run, end: RunEnd) {
    let run_type = run.layers.text(key::RUN_TYPE);
    let tags = TagRefs::new([Some(&*run.key.dag_id), run_type]);
    let Some(started) = run.started.map(|told| told.at) else { return };
    if end.truth != Truth::Inferred {
        if end.state == RunState::Success {
            metrics.record(Metric::DagRunDurationSuccess, tags, end.at.since(started));
        } else if end.state.is_error() {
            metrics.record(Metric::DagRunDurationFailed, tags, end.at.since(started));
        }
    }
    if let Some(first) = run.tries.values().filter_map(|task| task.started).map(|told| told.at).min() {
        metrics.record(Metric::DagRunFirstTaskStartDelay, tags, first.since(started));
    }
    let expected = run.layers.text(key::DATA_INTERVAL_END).and_then(Timestamp::parse);
    if let (Some("scheduled"), Some(expected)) = (run_type, expected) {
        metrics.record(Metric::DagRunScheduleDelay, tags, started.since(expected));
    }
}

/// The tags that all metrics of tries have.
#[derive(Clone, Copy)]
pub(super) struct Tags<'a> {
    dag_id: &'a str,
    task_id: &'a str,
    pub(super) execution_mode: Option<&'a str>,
}

impl<'a> Tags<'a> {
    pub(super) fn of(run: &'a RunKey, of: &'a TryKey, task: &'a Try) -> Self {
        Self {
            dag_id: &run.dag_id,
            task_id: &of.task_id,
            execution_mode: task.layers.text(key::EXECUTION_MODE),
        }
    }

    fn plain(self) -> TagRefs<'a> {
        TagRefs::new([Some(self.dag_id), Some(self.task_id), self.execution_mode])
    }

    /// With the metric's own tag, which the catalogue puts before the execution mode.
    fn with(self, tag: &'a str) -> TagRefs<'a> {
        TagRefs::new([Some(self.dag_id), Some(self.task_id), Some(tag), self.execution_mode])
    }
}
