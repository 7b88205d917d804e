//! What Airflow's configuration does to the names and tags of metrics.
//!
//! The rules are those of Airflow 3.3 (`airflow_shared/observability/metrics/{validators,stats,otel_logger}.py`), which
//! differ by backend. Where Airflow raises an exception in the caller, these functions say what is wrong with a name.

mod legacy;

use regex_lite::Regex;
use smol_str::SmolStr;

pub use self::legacy::{LegacyName, LegacySeries, has_legacy_names, legacy_name, legacy_of, normalized};
use super::metric::{Definition, Kind};

/// The longest name with its prefix that OpenTelemetry allows, in bytes.
pub const OTEL_NAME_BYTES: usize = 255;
/// The longest name, without its prefix, that Airflow sends by StatsD, in bytes.
pub const STATSD_NAME_BYTES: usize = 250;
/// The longest name with its prefix that Airflow cuts to [`OTEL_NAME_BYTES`], in bytes. A longer one is dropped.
const CUT_NAME_BYTES: usize = 999;

/// How a deployment wants its metrics.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Naming {
    /// Which metrics there are.
    pub filter: NameFilter,
    /// Tags that no metric carries. Series that differ in nothing else become one: counts add up, of gauges that engines
    /// set the last value stays.
    pub disabled_tags: Vec<SmolStr>,
    /// Whether histograms of durations are in milliseconds, as Airflow's timers are, instead of seconds.
    pub milliseconds: bool,
    /// Whether Airflow's legacy names are told beside the names by OTLP and on the agent's page. StatsD has a switch of its own.
    pub legacy_names: bool,
}

impl Naming {
    /// Whether metrics may carry this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.disabled_tags.iter().all(|disabled| disabled != tag)
    }
}

/// Airflow's `metrics_allow_list` and `metrics_block_list`.
///
/// A list is of regular expressions, separated by commas. They are lower-cased, and searched for anywhere in the
/// lower-cased name without its prefix, so `executor` admits `my_executor_thing` too. When there is an allow list the
/// block list does not count. An empty entry, such as that behind a trailing comma, matches every name.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    patterns: Vec<Regex>,
    allows: bool,
}

/// An entry of a list that is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("\"{entry}\" is no regular expression: {reason}")]
pub struct PatternError {
    entry: String,
    reason: String,
}

impl NameFilter {
    /// From the two lists as Airflow's configuration has them; `""` for one that is not set.
    ///
    /// # Errors
    /// When an entry is no regular expression. Of Python's, those that look around (`(?=…)`) or back (`\1`) are not known.
    pub fn new(allow: &str, block: &str) -> Result<Self, PatternError> {
        let list = if allow.is_empty() { block } else { allow };
        let entries = list.split(',').filter(|_| !list.is_empty());
        let pattern = |entry: &str| {
            let entry = entry.trim().to_lowercase();
            Regex::new(&entry).map_err(|error| PatternError { entry, reason: error.to_string() })
        };
        let patterns = entries.map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { patterns, allows: !allow.is_empty() })
    }

    /// Whether there is a metric of this name, which is without prefix.
    pub fn admits(&self, name: &str) -> bool {
        let name = name.trim().to_lowercase();
        let matches = || self.patterns.iter().any(|pattern| pattern.is_match(&name));
        self.patterns.is_empty() || matches() == self.allows
    }
}

/// Whose rules a name is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// OpenTelemetry's, as Airflow applies them.
    Otel,
    /// StatsD's and DogStatsD's.
    Statsd,
    /// StatsD's with tags in the name, as InfluxDB has them.
    Influx,
}

/// Why a name cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is too long.
    #[error("the name is too long")]
    TooLong,
    /// It has a character other than ASCII letters, digits, `_`, `.`, `-` and `/` (for InfluxDB also `,` and `=`).
    #[error("the name has a character that is not allowed")]
    Character,
}

/// The name as it is sent: behind its prefix, which brings its own dot.
///
/// By OpenTelemetry's rules a name that is too long is cut when it is one of those that Airflow makes of ids (see
/// [`legacy_name`]), so that two of them may become one.
///
/// # Errors
/// When the name is not allowed: such a point is dropped.
pub fn wire_name(rules: Rules, prefix: &str, name: &str) -> Result<String, NameError> {
    let mut whole = [prefix, name].concat();
    // Airflow holds a name to StatsD's rules before the client library puts the prefix to it.
    let (held, most) = match rules {
        Rules::Otel if whole.len() > OTEL_NAME_BYTES && may_be_cut(name) => (&*whole, CUT_NAME_BYTES),
        Rules::Otel => (&*whole, OTEL_NAME_BYTES),
        Rules::Statsd | Rules::Influx => (name, STATSD_NAME_BYTES),
    };
    let more = if rules == Rules::Influx { ",=" } else { "" };
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || "_.-/".contains(letter) || more.contains(letter);
    // Only ASCII passes, so counting bytes is counting characters.
    if held.chars().count() > most {
        return Err(NameError::TooLong);
    }
    if !held.chars().all(allowed) {
        return Err(NameError::Character);
    }
    if rules == Rules::Otel {
        whole.truncate(OTEL_NAME_BYTES);
    }
    Ok(whole)
}

/// The name that Prometheus shows: that of OpenTelemetry's rules for Prometheus, as the Collector's exporter applies them.
///
/// Letters, digits and single underscores; then the unit unless the name says it already, and `_total` for a counter. A
/// histogram has `_bucket`, `_sum` and `_count` behind that.
pub fn prometheus_name(prefix: &str, definition: &Definition) -> String {
    prometheus_name_of(&[prefix, definition.name].concat(), definition)
}

/// The same for a metric of another name that is otherwise as defined.
pub fn prometheus_name_of(whole: &str, definition: &Definition) -> String {
    let words = whole.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let unit = match (definition.unit, definition.kind) {
        ("s", _) => "seconds",
        ("ms", _) => "milliseconds",
        ("By", _) => "bytes",
        ("1", Kind::Gauge | Kind::Last) => "ratio",
        _ => "",
    };
    if !unit.is_empty() && !words.contains(&unit) {
        words.push(unit);
    }
    if definition.kind == Kind::Counter {
        words.retain(|word| *word != "total");
        words.push("total");
    }
    words.join("_")
}

/// Names that Airflow cuts when they are too long (`BACK_COMPAT_METRIC_NAME_PATTERNS`); `*` stands for any text.
const CUT: [&str; 26] = [
    "*_start",
    "*_end",
    "*_heartbeat_failure",
    "local_task_job.task_exit.*.*.*.*",
    "operator_failures_*",
    "operator_successes_*",
    "ti.start.*.*",
    "ti.finish.*.*.*",
    "task_removed_from_dag.*",
    "task_restored_to_dag.*",
    "task_instance_created_*",
    "dag_processing.last_run.seconds_ago.*",
    "pool.open_slots.*",
    "pool.queued_slots.*",
    "pool.running_slots.*",
    "pool.deferred_slots.*",
    "pool.starving_tasks.*",
    "dagrun.dependency-check.*",
    "dag.*.*.duration",
    "dag.*.*.queued_duration",
    "dag.*.*.scheduled_duration",
    "dag_processing.last_duration.*",
    "dagrun.duration.success.*",
    "dagrun.duration.failed.*",
    "dagrun.schedule_delay.*",
    "dagrun.*.first_task_scheduling_delay",
];

fn may_be_cut(name: &str) -> bool {
    CUT.iter().any(|pattern| is_like(name, pattern))
}

/// Whether `name` is `pattern` with some text in place of each `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    let (first, rest) = pattern.split_once('*').unwrap_or((pattern, ""));
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = name.strip_prefix(first).and_then(|name| name.strip_suffix(last));
    let mut parts = middle.split('*');
    between.is_some_and(|name| {
        parts.try_fold(name, |left, part| left.split_once(part).map(|(_, left)| left)).is_some()
    })
}

#[cfg(test)]
mod tests;
