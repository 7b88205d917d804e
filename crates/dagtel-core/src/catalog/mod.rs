//! The vocabulary: every name that dagtel emits stands here, once.
//!
//! The words are Airflow's (registry of Airflow 3.3, `metrics_template.yaml`) and those of OpenTelemetry's semantic
//! conventions 1.42 (`cicd.pipeline.*`, `error.type`, `exception.*`, `process.*`). One word serves as span attribute,
//! metric tag and log attribute.

pub mod agent;
pub mod attribute;
pub mod metric;
pub mod naming;
pub mod registry;

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: &str = $text;)*

        /// Every one and what it says, in the order of declaration.
        pub const DESCRIBED: &[(&str, &str)] = &[$(($text, concat!($($doc),*))),*];
    };
}

/// Names of the log records that tell of runs and tries, if they are wanted.
pub mod lifecycle {
    words! {
        /// The run started.
        DAG_RUN_STARTED = "dag_run.started";
        /// The run is final, with its `state`.
        DAG_RUN_FINISHED = "dag_run.finished";
        /// The try started.
        TASK_STARTED = "task.started";
        /// The try is final, with its `state`.
        TASK_FINISHED = "task.finished";
    }
}

/// Names of spans, before the id that follows them.
pub mod span {
    words! {
        /// `dag_run.<dag_id>`: a DAG run, the root of its trace.
        DAG_RUN = "dag_run.";
        /// `task_run.<task_id>`, `[<map_index>]` appended when mapped: one try of a task instance.
        TASK_RUN = "task_run.";
        /// `executor.<executor>`: what an executor did with a try, from when it was given the try until the try started; a
        /// child of the run, beside the try. Told of tries that name their executor.
        EXECUTOR = "executor.";
        /// `scheduler.loop`, the root of its trace: one pass of the scheduler's loop. `scheduler.<step>`: a step of it, such
        /// as `critical_section` and `executor_heartbeat`.
        SCHEDULER = "scheduler.";
        /// `dag_processor.loop`, `dag_processor.<step>`: the same of a DAG processor.
        DAG_PROCESSOR = "dag_processor.";
        /// `triggerer.loop`, `triggerer.<step>`: the same of a triggerer.
        TRIGGERER = "triggerer.";
    }
}

/// The loops of an engine whose passes have spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineLoop {
    /// The scheduler's.
    Scheduler,
    /// A DAG processor's.
    DagProcessor,
    /// A triggerer's.
    Triggerer,
}

impl EngineLoop {
    /// What follows the loop's own word in the name of a pass's span.
    pub const PASS: &str = "loop";

    /// What the names of its spans begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Scheduler => span::SCHEDULER,
            Self::DagProcessor => span::DAG_PROCESSOR,
            Self::Triggerer => span::TRIGGERER,
        }
    }
}

/// Names of span events.
pub mod event {
    words! {
        /// The scheduler decided that the try may run.
        SCHEDULED = "scheduled";
        /// The run was created; the try was given to an executor.
        QUEUED = "queued";
        /// It started.
        STARTED = "started";
        /// The try gave its worker back and waits for a trigger.
        DEFERRED = "deferred";
        /// The try runs again after a deferral.
        RESUMED = "resumed";
        /// An error, with `exception.type`, `exception.message` and `exception.stacktrace`.
        EXCEPTION = "exception";
        /// A line that the try logged, when lines are wanted as events: one of the last, with `log.severity` and `log.message`.
        LOG = "log";
    }
}

/// Names of usage events on their way to the collector.
pub mod usage {
    /// `usage.<event>` (`usage.dag_run`, `usage.task_instance`): the log record of a usage event.
    pub const LOG: &str = "usage.";
    /// The counter of usage events, with the tags `event`, `status` and `execution_mode`.
    pub const EVENTS: &str = "usage.events";
    /// Which event: `dag_run`, `task_instance`.
    pub const EVENT: &str = "event";
    /// How the run or the task instance ended: `success`, `failed`.
    pub const STATUS: &str = "status";
}

/// Names of log records.
pub mod log {
    words! {
        /// An event on its way from an agent that forwards to one that folds: its body is the event line.
        EVENT = "dagtel.event";
    }
}

/// Values of the attribute `link.type`.
pub mod link {
    words! {
        /// To each upstream that the try waited for.
        DEPENDENCY = "dependency";
        /// To the previous try of the same task instance.
        RETRY_OF = "retry_of";
        /// From a task instance that never ran to the one that caused it.
        CULPRIT = "culprit";
        /// From a run to what started it.
        TRIGGER = "trigger";
    }
}

/// Values of `error.type` that dagtel itself gives; all others come from the engine.
pub mod error_type {
    words! {
        /// The kernel killed it because memory ran out; `task.oom_kills` counts it.
        OOM_KILLED = "oom_killed";
        /// The end was never reported and the process is gone.
        PROCESS_LOST = "process_lost";
        /// A handle was dropped while its thread panicked.
        PANIC = "panic";
        /// A handle was dropped without reporting an end.
        HANDLE_DROPPED = "handle_dropped";
        /// The value for errors of which nothing else is known (OpenTelemetry's `_OTHER`).
        OTHER = "_OTHER";
    }
}

/// Why something was given up: values of the tag `reason` of `dagtel.dropped`.
pub mod drop_reason {
    words! {
        /// A record on disk whose checksum is wrong.
        DAMAGED = "damaged";
        /// There was no room left on disk, and this was the oldest.
        EVICTED = "evicted";
        /// A record on disk of a kind or a version that is not known.
        UNREADABLE = "unreadable";
        /// A line of an inbox or a log that is not what the schema allows.
        BAD_LINE = "bad_line";
        /// A process in another language could not write it, and said so later.
        NOT_WRITTEN = "not_written";
        /// What was counted before is gone, because the file that it was kept in is damaged.
        STATE_DAMAGED = "state_damaged";
        /// The receiver took the rest of the request.
        REJECTED = "rejected";
        /// The receiver will never take it. It is among the dead letters.
        REFUSED = "refused";
        /// The receiver, or the journal, has a limit that is lower. What was refused so is among the dead letters.
        TOO_LARGE = "too_large";
        /// There is no room for new events on disk.
        DISK_FULL = "disk_full";
        /// The disk does not take new events.
        DISK_ERROR = "disk_error";
        /// The disk stands still, and there is no room for new events in memory.
        QUEUE_FULL = "queue_full";
        /// A try has logged as many lines as it may.
        TOO_MANY_LINES = "too_many_lines";
        /// There is no room for new events in a test's memory.
        JOURNAL_FULL = "journal_full";
        /// There is no room on disk for what a live instrument or an exporter of the user's made.
        OUTBOX_REFUSED = "outbox_refused";
        /// There is no room on disk for spans.
        OUTBOX_FULL_TRACES = "outbox_full_traces";
        /// There is no room on disk for points of metrics.
        OUTBOX_FULL_METRICS = "outbox_full_metrics";
        /// There is no room on disk for log records.
        OUTBOX_FULL_LOGS = "outbox_full_logs";
    }

    /// Why an agent gives up events.
    pub const OF_EVENTS: [&str; 9] = [
        DAMAGED,
        EVICTED,
        UNREADABLE,
        BAD_LINE,
        NOT_WRITTEN,
        STATE_DAMAGED,
        OUTBOX_FULL_TRACES,
        OUTBOX_FULL_METRICS,
        OUTBOX_FULL_LOGS,
    ];
    /// Why frames of a destination are given up before they are sent.
    pub const OF_FRAMES: [&str; 3] = [DAMAGED, EVICTED, UNREADABLE];
    /// Why spans, points and records are given up that were sent.
    pub const OF_SENT: [&str; 3] = [REJECTED, REFUSED, TOO_LARGE];
}
