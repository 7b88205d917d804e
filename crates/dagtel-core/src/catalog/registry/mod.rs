//! The registry: every metric that dagtel can emit, and what Airflow says of it.
//!
//! The 128 metrics of Airflow 3.3's own registry (`metrics_template.yaml`), each emitted by dagtel itself or offered to
//! engines; what dagtel tells beyond Airflow; and what it tells of itself. Airflow's timers are in milliseconds, dagtel's
//! histograms in seconds; [`naming::Naming::milliseconds`](super::naming::Naming::milliseconds) changes that.

mod offered;
mod rows;

pub use offered::Offered;

use super::metric::{Definition, Kind, Metric};

/// A metric of the registry.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// What is to be known of it.
    pub definition: &'static Definition,
    /// Who emits it.
    pub source: Source,
    /// What Airflow 3.3 says of it; `None` when Airflow does not have it.
    pub airflow: Option<Airflow>,
}

/// Who emits a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// dagtel, which counts it while it folds events.
    Fold(Metric),
    /// The engine, through the facade's `Metrics`.
    Engine(Offered),
    /// dagtel, of itself. Its name has no prefix.
    Own,
}

/// A metric as Airflow 3.3 has it, under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Airflow {
    /// Its tags, in no particular order; `team_name` only in a deployment of several teams.
    pub tags: &'static [&'static str],
    /// Its legacy name, with `{tag}` where a tag's value stands.
    pub legacy: Option<&'static str>,
}

impl Kind {
    /// The word that Airflow's registry has for it.
    pub const fn in_airflow(self) -> &'static str {
        match self {
            Self::Counter | Self::UpDownCounter => "counter",
            Self::Gauge | Self::Last => "gauge",
            Self::Histogram => "timer",
        }
    }
}

/// Every metric: those of the fold, those of engines, dagtel's own.
pub fn entries() -> impl Iterator<Item = Entry> {
    let fold = Metric::ALL.iter().map(|metric| Entry {
        definition: metric.definition(),
        source: Source::Fold(*metric),
        airflow: of_fold(*metric),
    });
    let engine = Offered::ALL.iter().map(|offered| Entry {
        definition: offered.definition(),
        source: Source::Engine(*offered),
        airflow: Some(Airflow { tags: offered.definition().tags, legacy: offered.legacy() }),
    });
    let own = own::ALL.iter().map(|own| Entry { definition: own, source: Source::Own, airflow: None });
    fold.chain(engine).chain(own)
}

/// The fold's metrics as Airflow has them. Airflow knows no `execution_mode`, and what dagtel calls `operator`, which is
/// Airflow's own word in other places, is `operator_name` here.
const fn of_fold(metric: Metric) -> Option<Airflow> {
    const TASK: &[&str] = &["dag_id", "task_id", "team_name"];
    const QUEUED: &[&str] = &["dag_id", "task_id", "queue", "team_name"];
    const OPERATOR: &[&str] = &["dag_id", "task_id", "operator_name", "team_name"];
    const RUN: &[&str] = &["dag_id", "run_type", "team_name"];
    let (tags, legacy) = match metric {
        Metric::TiStart => (TASK, Some("ti.start.{dag_id}.{task_id}")),
        Metric::TiFinish => {
            (&["dag_id", "task_id", "state", "team_name"] as _, Some("ti.finish.{dag_id}.{task_id}.{state}"))
        }
        Metric::TiSuccesses | Metric::TiFailures => (TASK, None),
        Metric::OperatorSuccesses => (OPERATOR, Some("operator_successes_{operator}")),
        Metric::OperatorFailures => (OPERATOR, Some("operator_failures_{operator}")),
        Metric::TaskDuration => (TASK, Some("dag.{dag_id}.{task_id}.duration")),
        Metric::TaskQueuedDuration => (QUEUED, Some("dag.{dag_id}.{task_id}.queued_duration")),
        Metric::TaskScheduledDuration => (QUEUED, Some("dag.{dag_id}.{task_id}.scheduled_duration")),
        Metric::DagRunDurationSuccess => (RUN, Some("dagrun.duration.success.{dag_id}")),
        Metric::DagRunDurationFailed => (RUN, Some("dagrun.duration.failed.{dag_id}")),
        Metric::DagRunScheduleDelay => {
            (&["dag_id", "team_name"] as _, Some("dagrun.schedule_delay.{dag_id}"))
        }
        Metric::DagRunFirstTaskStartDelay => (RUN, None),
        Metric::DagRunActive
        | Metric::TaskMemoryPeak
        | Metric::TaskMemoryUsage
        | Metric::TaskCpuTime
        | Metric::TaskOomKills => return None,
    };
    Some(Airflow { tags, legacy })
}

/// What dagtel tells of itself. Items are spans, points and log records.
pub mod own {
    use super::{Definition, Kind};

    macro_rules! own {
        ($($constant:ident = $kind:ident $name:literal $unit:literal { $($tag:literal),* } $description:literal;)*) => {
            $(
                #[doc = concat!("`", $name, "`: ", $description)]
                pub const $constant: Definition = Definition {
                    name: $name,
                    kind: Kind::$kind,
                    unit: $unit,
                    tags: &[$($tag),*],
                    description: $description,
                };
            )*

            /// Every one.
            pub static ALL: &[Definition] = &[$($constant),*];
        };
    }

    own! {
        PRODUCED = Counter "dagtel.produced" "{item}" { "signal" } "Spans, points and records made";
        DELIVERED = Counter "dagtel.delivered" "{item}" { "signal" } "Spans, points and records that the receiver took";
        DROPPED = Counter "dagtel.dropped" "{item}" { "signal", "reason" }
            "Events, spans, points and records given up";
        ANOMALIES = Counter "dagtel.anomalies" "{event}" { "reason" } "Odd events";
        CARDINALITY_FOLDED = Counter "dagtel.cardinality.folded" "{lookup}" { "metric" }
            "Handles of a metric of the engine's that were of no known tag set when there was no room for another";
    }
}

/// Tags that are no attributes of spans, and what they say.
pub const TAGS: &[(&str, &str)] = &[
    ("action", "What happened to a process: `start`, `stop`, `timeout`, `terminate`"),
    ("bundle_name", "The DAG bundle"),
    ("dag_file", "The DAG file"),
    ("dagrun_id", "The run; one series for each, so worth to be disabled"),
    ("event_type", "The type of an OpenLineage event, such as `start` and `complete`"),
    ("executor_class_name", "The class of an executor"),
    ("file_name", "The DAG file, without its directory"),
    ("file_path", "The DAG file"),
    ("job_id", "The job; one series for each, so worth to be disabled"),
    ("metric", "The metric that is told of"),
    ("operator_name", "The class that does the work, in Airflow's second word for it"),
    ("overflow", "`true` on the one series that holds whatever went over a metric's budget of tag sets"),
    ("pool_name", "The pool"),
    ("prior_state", "The state before"),
    ("queues", "Queues, separated by commas"),
    ("reason", "Why"),
    ("return_code", "The exit code of a process"),
    ("signal", "`traces`, `metrics`, `logs`; of drops also `events` and `frames`"),
    ("status", "Of pods the HTTP status or `error`; of executors `open`, `queued`, `running`"),
    ("task_type", "The class that does the work, in Airflow's third word for it"),
    ("team_name", "The team, in a deployment of several"),
    ("transport_type", "How an OpenLineage event is sent"),
    ("worker_name", "The edge worker"),
];
