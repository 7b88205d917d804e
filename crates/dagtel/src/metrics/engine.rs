//! The parts of an engine, each with the metrics that Airflow has of it.

use std::fmt;

use super::{Counter, GaugeGuard, Metrics, Timing, UpDownCounter};

/// A pool. When it is dropped its gauges end.
#[derive(Debug)]
#[must_use = "the gauges end when this is dropped"]
pub struct Pool {
    open: GaugeGuard,
    queued: GaugeGuard,
    running: GaugeGuard,
    deferred: GaugeGuard,
    scheduled: GaugeGuard,
    starving: GaugeGuard,
}

/// How the slots of a pool are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the gauges that Airflow 3.3 has of a pool; engines write it out"
)]
pub struct PoolSlots {
    /// Free ones.
    pub open: i64,
    /// Those that queued task instances hold.
    pub queued: i64,
    /// Those that running task instances hold.
    pub running: i64,
    /// Those that deferred task instances hold.
    pub deferred: i64,
    /// Those for which scheduled task instances wait.
    pub scheduled: i64,
    /// Task instances that found none.
    pub starving: i64,
}

impl Pool {
    /// Says how the slots are used now.
    pub fn set(&self, slots: PoolSlots) {
        self.open.set(slots.open);
        self.queued.set(slots.queued);
        self.running.set(slots.running);
        self.deferred.set(slots.deferred);
        self.scheduled.set(slots.scheduled);
        self.starving.set(slots.starving);
    }
}

/// An executor. When it is dropped its gauges end.
#[derive(Debug)]
#[must_use = "the gauges end when this is dropped"]
pub struct Executor {
    open: GaugeGuard,
    queued: GaugeGuard,
    running: GaugeGuard,
}

/// What an executor has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the gauges that Airflow 3.3 has of an executor; engines write it out"
)]
pub struct ExecutorTasks {
    /// Task instances that it would still take.
    pub open: i64,
    /// Task instances that wait in it.
    pub queued: i64,
    /// Task instances that it runs.
    pub running: i64,
}

impl Executor {
    /// Says what the executor has to do now.
    pub fn set(&self, tasks: ExecutorTasks) {
        self.open.set(tasks.open);
        self.queued.set(tasks.queued);
        self.running.set(tasks.running);
    }
}

/// A triggerer. When it is dropped its gauges end.
#[derive(Debug)]
#[must_use = "the gauges end when this is dropped"]
pub struct Triggerer {
    heartbeat: Counter,
    running: GaugeGuard,
    left: GaugeGuard,
}

impl Triggerer {
    /// Counts a sign of life, and says how many triggers run and how many more there is room for.
    pub fn beat(&self, running: i64, capacity_left: i64) {
        self.heartbeat.add(1);
        self.running.set(running);
        self.left.set(capacity_left);
    }
}

/// A DAG file, for a DAG processor.
#[derive(Clone, Copy)]
pub struct DagFile<'a> {
    metrics: Metrics<'a>,
    path: &'a str,
    bundle: &'a str,
    name: &'a str,
}

impl fmt::Debug for DagFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DagFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DagFile<'_> {
    /// Says that a process begins to parse the file.
    pub fn parse(&self) -> Parsing {
        let processes = |action| self.metrics.dag_processing_processes(self.path, action);
        processes("start").add(1);
        Parsing {
            stop: processes("stop"),
            timeout: processes("timeout"),
            timeouts: self.metrics.dag_processing_processor_timeouts(self.path),
            timed_out: false,
            _duration: self.metrics.dag_processing_last_duration(self.bundle, self.name).start(),
        }
    }
}

/// A process that parses a DAG file, until it is dropped.
#[derive(Debug)]
#[must_use = "the process ends when this is dropped"]
pub struct Parsing {
    stop: UpDownCounter,
    timeout: UpDownCounter,
    timeouts: Counter,
    timed_out: bool,
    _duration: Timing,
}

impl Parsing {
    /// Says that the process took too long and was killed.
    pub fn timed_out(mut self) {
        self.timed_out = true;
    }
}

impl Drop for Parsing {
    fn drop(&mut self) {
        if self.timed_out {
            self.timeout.add(-1);
            self.timeouts.add(1);
        } else {
            self.stop.add(-1);
        }
    }
}

/// The parts of an engine.
impl<'a> Metrics<'a> {
    /// A pool: the six gauges `pool.*`.
    pub fn pool(&self, name: &str) -> Pool {
        Pool {
            open: self.pool_open_slots(name).guard(),
            queued: self.pool_queued_slots(name).guard(),
            running: self.pool_running_slots(name).guard(),
            deferred: self.pool_deferred_slots(name).guard(),
            scheduled: self.pool_scheduled_slots(name).guard(),
            starving: self.pool_starving_tasks(name).guard(),
        }
    }

    /// An executor: the three gauges `executor.*`.
    pub fn executor(&self, class_name: &str) -> Executor {
        Executor {
            open: self.executor_open_slots(class_name).guard(),
            queued: self.executor_queued_tasks(class_name).guard(),
            running: self.executor_running_tasks(class_name).guard(),
        }
    }

    /// A triggerer: `triggerer_heartbeat`, `triggers.running`, `triggerer.capacity_left`.
    pub fn triggerer(&self, hostname: &str) -> Triggerer {
        Triggerer {
            heartbeat: self.triggerer_heartbeat(),
            running: self.triggers_running(hostname).guard(),
            left: self.triggerer_capacity_left(hostname).guard(),
        }
    }

    /// A DAG file, for a DAG processor: `dag_processing.processes`, `.processor_timeouts`, `.last_duration`.
    pub fn dag_file(self, path: &'a str, bundle_name: &'a str, file_name: &'a str) -> DagFile<'a> {
        DagFile { metrics: self, path, bundle: bundle_name, name: file_name }
    }
}
