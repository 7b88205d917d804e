//! What a process says of itself in its file of the inbox: a heartbeat with measurements, no fact about a run.
//!
//! ```json
//! {"event":"metrics","component":"etl","healthy":true,"values":[{"name":"python_gc_collections_total","labels":{"generation":"0"},"value":7}]}
//! ```
//!
//! Only families of [`catalog::agent`](crate::catalog::agent) that processes may report are taken, with just their labels:
//! so a page has one type and one meaning for each name. The last line of a process counts, whole; its values are shown
//! with the labels `component` and `process` besides (the name of its file), and go when it does.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::catalog::agent::{self, Definition, Kind};
use crate::limits;

/// Measurements of a process as a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dagtel metrics")]
pub struct MetricsLine {
    /// Always `metrics`.
    pub event: MetricsName,
    /// What the process is, such as `worker` or `dag_processor`.
    #[schemars(with = "String")]
    pub component: SmolStr,
    /// Whether it is well: `component_health`.
    #[serde(default = "healthy")]
    pub healthy: bool,
    /// What it measured.
    #[serde(default)]
    pub values: Vec<ReportedValue>,
}

/// The name of a line with measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum MetricsName {
    /// Measurements.
    #[serde(rename = "metrics")]
    Metrics,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportedValue {
    /// The family: `heartbeat_requests_total`, `python_*` or `dag_processor_*`.
    #[schemars(with = "String")]
    pub name: SmolStr,
    /// The family's labels, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: BTreeMap<SmolStr, SmolStr>,
    /// The value: since the start of the process for a counter, now for a gauge.
    pub value: f64,
}

/// Why a line with measurements is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The component has no name, or one that is too long.
    #[error("\"component\" must have 1 to {most} bytes", most = limits::TAG_BYTES)]
    Component,
    /// There are too many values.
    #[error("{0} values are more than the {most} that a line may have", most = limits::REPORTED_VALUES)]
    TooMany(usize),
    /// The family is not one that processes report.
    #[error("{0:?} is no family that a process may report: use {known}", known = known())]
    Name(SmolStr),
    /// The labels are not those of the family.
    #[error("{name:?} must have the labels {wanted:?}, each of at most {most} bytes", most = limits::TAG_BYTES)]
    Labels {
        /// The family.
        name: SmolStr,
        /// Its labels.
        wanted: Vec<&'static str>,
    },
    /// A counter that is below zero.
    #[error("{0:?} is a counter and cannot be below zero")]
    Negative(SmolStr),
    /// Two values for one series.
    #[error("{0:?} has two values with the same labels")]
    Twice(SmolStr),
}

fn healthy() -> bool {
    true
}

fn known() -> String {
    let names = agent::ALL.iter().filter_map(|family| agent::reportable(family.name));
    names.map(|family| family.name).collect::<Vec<_>>().join(", ")
}

/// The labels that a process gives; `component` is the line's.
fn own_labels(family: &Definition) -> Vec<&'static str> {
    family.labels.iter().copied().filter(|label| *label != "component").collect()
}

impl MetricsLine {
    /// Whether the line is within its limits and says only what it may.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ReportError> {
        if self.component.is_empty() || self.component.len() > limits::TAG_BYTES {
            return Err(ReportError::Component);
        }
        if self.values.len() > limits::REPORTED_VALUES {
            return Err(ReportError::TooMany(self.values.len()));
        }
        let mut seen = Vec::with_capacity(self.values.len());
        for value in &self.values {
            value.check()?;
            seen.push((&value.name, &value.labels));
        }
        seen.sort_unstable();
        match seen.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ReportError::Twice(pair[0].0.clone())),
            None => Ok(()),
        }
    }
}

impl ReportedValue {
    fn check(&self) -> Result<(), ReportError> {
        let name = || SmolStr::from(limits::clip(&self.name, limits::TAG_BYTES));
        let family = agent::reportable(&self.name).ok_or_else(|| ReportError::Name(name()))?;
        let wanted = own_labels(family);
        let given =
            self.labels.len() == wanted.len() && wanted.iter().all(|label| self.labels.contains_key(*label));
        if !given || self.labels.values().any(|value| value.len() > limits::TAG_BYTES) {
            return Err(ReportError::Labels { name: name(), wanted });
        }
        if family.kind == Kind::Counter && self.value < 0.0 {
            return Err(ReportError::Negative(name()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(), String> {
        let line: MetricsLine = serde_json::from_str(json).map_err(|error| error.to_string())?;
        line.check().map_err(|error| error.to_string())
    }

    #[test]
    fn takes_known_families_and_names_what_is_wrong() {
        let line = |values: &str| format!(r#"{{"event":"metrics","component":"etl","values":[{values}]}}"#);
        let good = r#"{"name":"python_gc_collections_total","labels":{"generation":"0"},"value":7}"#;
        assert_eq!(check(&line(good)), Ok(()));
        assert_eq!(check(r#"{"event":"metrics","component":"c","healthy":false}"#), Ok(()));
        let wrong = |values: &str, part: &str| {
            let error = check(&line(values)).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        wrong(r#"{"name":"process_open_fds","value":7}"#, "\"process_open_fds\" is no family");
        wrong(r#"{"name":"dag_processor_cache_size","labels":{"x":"y"},"value":7}"#, "labels []");
        wrong(r#"{"name":"python_gc_collections_total","value":7}"#, "generation");
        wrong(r#"{"name":"dag_processor_cache_hits_total","value":-1}"#, "below zero");
        wrong(&format!("{good},{good}"), "two values");
        assert!(check(r#"{"event":"metrics","component":""}"#).unwrap_err().contains("component"));
    }
}
