//! The vocabulary: every name that dagtel emits stands here, once.
//!
//! The words are Airflow's (registry of Airflow 3.3, `metrics_template.yaml`) and those of OpenTelemetry's semantic
//! conventions 1.42 (`cicd.pipeline.*`, `error.type`, `exception.*`, `process.*`). One word serves as span attribute,
//! metric tag and log attribute.

pub mod agent;
pub mod attribute;
pub mod metric;

/// Names of spans, before the id that follows them.
pub mod span {
    /// `dag_run.<dag_id>`: a DAG run, the root of its trace.
    pub const DAG_RUN: &str = "dag_run.";
    /// `task_run.<task_id>`, `[<map_index>]` appended when mapped: one try of a task instance.
    pub const TASK_RUN: &str = "task_run.";
}

/// Names of span events.
pub mod event {
    /// The scheduler decided that the try may run.
    pub const SCHEDULED: &str = "scheduled";
    /// The run was created; the try was given to an executor.
    pub const QUEUED: &str = "queued";
    /// It started.
    pub const STARTED: &str = "started";
    /// The try gave its worker back and waits for a trigger.
    pub const DEFERRED: &str = "deferred";
    /// The try runs again after a deferral.
    pub const RESUMED: &str = "resumed";
    /// An error, with `exception.type`, `exception.message` and `exception.stacktrace`.
    pub const EXCEPTION: &str = "exception";
}

/// Values of the attribute `link.type`.
pub mod link {
    /// To each upstream that the try waited for.
    pub const DEPENDENCY: &str = "dependency";
    /// To the previous try of the same task instance.
    pub const RETRY_OF: &str = "retry_of";
    /// From a task instance that never ran to the one that caused it.
    pub const CULPRIT: &str = "culprit";
    /// From a run to what started it.
    pub const TRIGGER: &str = "trigger";
}

/// Values of `error.type` that dagtel itself gives; all others come from the engine.
pub mod error_type {
    /// The kernel killed it because memory ran out; `task.oom_kills` counts it.
    pub const OOM_KILLED: &str = "oom_killed";
    /// The end was never reported and the process is gone.
    pub const PROCESS_LOST: &str = "process_lost";
    /// A handle was dropped while its thread panicked.
    pub const PANIC: &str = "panic";
    /// A handle was dropped without reporting an end.
    pub const HANDLE_DROPPED: &str = "handle_dropped";
    /// The value for errors of which nothing else is known (OpenTelemetry's `_OTHER`).
    pub const OTHER: &str = "_OTHER";
}
