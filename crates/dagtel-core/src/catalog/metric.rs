//! The metrics that the fold counts.
//!
//! Names and tags are Airflow's, durations are in seconds (Airflow's timers are in milliseconds), and `execution_mode`
//! is added where a task is concerned. A tag that is not known is left out.

/// What a metric is, in OpenTelemetry's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A monotonic sum of integers.
    Counter,
    /// A value that goes up and down; it says how it is now.
    Gauge,
    /// A gauge that says how it was at the last of many.
    Last,
    /// A sum of integers that goes up and down.
    UpDownCounter,
    /// Explicit buckets, [`BOUNDS`].
    Histogram,
}

/// What is to be known of a metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its unit, in UCUM as OpenTelemetry wants it.
    pub unit: &'static str,
    /// Its tags, in the order in which they are written.
    pub tags: &'static [&'static str],
    /// What it says.
    pub description: &'static str,
}

/// The most tags that a metric of the fold has.
pub const MAX_TAGS: usize = 4;

/// The prefix of all names unless the deployment has another.
pub const DEFAULT_PREFIX: &str = "airflow.";

/// Upper bounds of the buckets of durations, in seconds: 0.1 s to 24 h.
pub const BOUNDS: [f64; 18] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
    28_800.0, 86_400.0,
];

macro_rules! metrics {
    ($($variant:ident = $kind:ident $name:literal [$unit:literal] { $($tag:literal),* } $description:literal;)*) => {
        /// The metrics that the fold counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum Metric {
            $(#[doc = concat!("`", $name, "`: ", $description)] $variant,)*
        }

        impl Metric {
            /// Every metric, in the order of declaration, which is the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What is to be known of it.
            pub const fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$variant => &Definition {
                        name: $name,
                        kind: Kind::$kind,
                        unit: $unit,
                        tags: &[$($tag),*],
                        description: $description,
                    },)*
                }
            }
        }
    };
}

metrics! {
    TiStart = Counter "ti.start" ["{try}"] { "dag_id", "task_id", "execution_mode" }
        "Tries that started";
    TiFinish = Counter "ti.finish" ["{try}"] { "dag_id", "task_id", "state", "execution_mode" }
        "Tries that came to their end, by state";
    TiSuccesses = Counter "ti_successes" ["{try}"] { "dag_id", "task_id", "execution_mode" }
        "Tries that succeeded";
    TiFailures = Counter "ti_failures" ["{try}"] { "dag_id", "task_id", "execution_mode" }
        "Tries that failed, retried or not";
    OperatorSuccesses = Counter "operator_successes" ["{try}"] { "dag_id", "task_id", "operator", "execution_mode" }
        "Tries that succeeded, by operator";
    OperatorFailures = Counter "operator_failures" ["{try}"] { "dag_id", "task_id", "operator", "execution_mode" }
        "Tries that failed, by operator";
    TaskDuration = Histogram "task.duration" ["s"] { "dag_id", "task_id", "execution_mode" }
        "Time from start to end of a try";
    TaskQueuedDuration = Histogram "task.queued_duration" ["s"] { "dag_id", "task_id", "queue", "execution_mode" }
        "Time from queued to start of a try";
    TaskScheduledDuration = Histogram "task.scheduled_duration" ["s"] { "dag_id", "task_id", "queue", "execution_mode" }
        "Time from scheduled to queued of a try";
    DagRunDurationSuccess = Histogram "dagrun.duration.success" ["s"] { "dag_id", "run_type" }
        "Time from start to end of a DAG run that succeeded";
    DagRunDurationFailed = Histogram "dagrun.duration.failed" ["s"] { "dag_id", "run_type" }
        "Time from start to end of a DAG run that failed";
    DagRunScheduleDelay = Histogram "dagrun.schedule_delay" ["s"] { "dag_id", "run_type" }
        "Time from the end of the data interval to the start of a scheduled DAG run";
    DagRunFirstTaskStartDelay = Histogram "dagrun.first_task_start_delay" ["s"] { "dag_id", "run_type" }
        "Time from the start of a DAG run to the start of its first task";
    DagRunActive = Gauge "dagrun.active" ["{run}"] { "dag_id" }
        "DAG runs that started and did not end yet";
    TaskMemoryPeak = Last "task.memory.peak" ["By"] { "dag_id", "task_id", "method", "execution_mode" }
        "The most memory that all processes of the last try of a task had together";
    TaskMemoryUsage = Gauge "task.memory.usage" ["By"] { "dag_id", "task_id", "method", "execution_mode" }
        "Memory of all processes of the running tries of a task together";
    TaskCpuTime = Histogram "task.cpu.time" ["s"] { "dag_id", "task_id", "execution_mode" }
        "User and system time of all processes of a try together";
    TaskOomKills = Counter "task.oom_kills" ["{try}"] { "dag_id", "task_id", "execution_mode" }
        "Tries that the kernel killed because memory ran out";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_within_its_bounds() {
        for (index, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(*metric as usize, index);
            assert!(metric.definition().tags.len() <= MAX_TAGS);
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn tags_are_words_of_the_attribute_catalogue() {
        for metric in Metric::ALL {
            for tag in metric.definition().tags {
                assert!(super::super::attribute::ALL.iter().any(|key| key == tag), "{tag}");
            }
        }
    }
}
