//! What Prometheus holds: instant queries, and the checks of promtool.

use crate::{http, parts, wait};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

/// Asks one Prometheus.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// One series with its value at the time of the question.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// Its labels; the metric's name is the label `__name__`, where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label, empty when the series does not have it (as Prometheus itself sees it).
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A rule as Prometheus has loaded it.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// `recording` or `alerting`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is recorded, or the name of the alert.
    pub name: String,
    /// The expression, as Prometheus writes it.
    pub query: String,
    /// Labels that it adds.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `ok`, `err`, or `unknown` before it was evaluated.
    pub health: String,
    /// Why it could not be evaluated.
    #[serde(rename = "lastError", default)]
    pub last_error: String,
    /// The alerts that are pending or fire.
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

/// An alert that is pending or fires.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Whom it concerns.
    pub labels: BTreeMap<String, String>,
    /// What it says, filled in.
    pub annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
}

impl Client {
    /// Every rule that was loaded.
    ///
    /// # Errors
    /// What kept Prometheus from answering.
    pub fn rules(&self) -> Result<Vec<Rule>, String> {
        #[derive(Deserialize)]
        struct Loaded {
            data: Groups,
        }
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<Group>,
        }
        #[derive(Deserialize)]
        struct Group {
            rules: Vec<Rule>,
        }
        let loaded: Loaded = http::json(&self.agent, &format!("{}/api/v1/rules", self.base), &[])?;
        Ok(loaded.data.groups.into_iter().flat_map(|group| group.rules).collect())
    }

    pub(crate) fn new(base: String) -> Self {
        Self { agent: http::agent(), base }
    }

    /// The series that a PromQL query gives now; the query must give a vector.
    ///
    /// # Errors
    /// What kept Prometheus from answering, such as an error in the query.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        let url = format!("{}/api/v1/query", self.base);
        let answer: Answer = http::json(&self.agent, &url, &[("query", query)])?;
        answer.data.result.into_iter().map(RawSample::read).collect()
    }

    /// The kind of each family that a job's targets show, by its name; a counter's is without `_total`.
    ///
    /// # Errors
    /// What kept Prometheus from answering.
    pub fn kinds(&self, job: &str) -> Result<BTreeMap<String, String>, String> {
        #[derive(Deserialize)]
        struct Metadata {
            data: Vec<Family>,
        }
        #[derive(Deserialize)]
        struct Family {
            metric: String,
            #[serde(rename = "type")]
            kind: String,
        }
        let url = format!("{}/api/v1/targets/metadata", self.base);
        let of = format!("{{job=\"{job}\"}}");
        let answer: Metadata = http::json(&self.agent, &url, &[("match_target", &of)])?;
        let name = |family: &Family| match family.kind.as_str() {
            "counter" => family.metric.trim_end_matches("_total").to_owned(),
            _ => family.metric.clone(),
        };
        Ok(answer.data.into_iter().map(|family| (name(&family), family.kind)).collect())
    }

    /// Asks until the answer is the wanted one.
    ///
    /// # Panics
    /// When that has not happened within `limit`; the message has the last answer.
    #[track_caller]
    pub fn wait_for(&self, query: &str, wanted: impl Fn(&[Sample]) -> bool, limit: Duration) -> Vec<Sample> {
        wait::until(&format!("the wanted answer to {query}"), limit, || {
            let samples = self.query(query)?;
            if wanted(&samples) { Ok(samples) } else { Err(format!("{samples:?}")) }
        })
    }
}

/// Runs promtool on files. Returns what it said.
///
/// # Errors
/// What it found wrong.
///
/// # Panics
/// When promtool is not to be had or cannot be run.
#[track_caller]
pub fn promtool(command: &[&str], files: &[String]) -> Result<String, String> {
    let output = Command::new(parts::find(&parts::PROMTOOL)).args(command).args(files).output();
    let output = output.expect("promtool can be started");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said.into_owned()) } else { Err(said.into_owned()) }
}

/// Has promtool check a page of metrics in the text format.
///
/// # Errors
/// Everything it found wrong or unusual.
///
/// # Panics
/// When promtool is not to be had or cannot be run.
#[track_caller]
pub fn check_metrics(page: &str) -> Result<(), String> {
    let mut promtool = Command::new(parts::find(&parts::PROMTOOL))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    // It reads everything before it says anything, so writing first cannot block for ever.
    let written = promtool.stdin.take().expect("its input is a pipe").write_all(page.as_bytes());
    let output = promtool.wait_with_output().expect("promtool can be waited for");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    match written {
        Ok(()) if output.status.success() => Ok(()),
        Ok(()) => Err(said.into_owned()),
        Err(error) => Err(format!("promtool did not read the page ({error}): {said}")),
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<RawSample>,
}

#[derive(Deserialize)]
struct RawSample {
    metric: BTreeMap<String, String>,
    /// Seconds since 1970, and the number as text.
    value: (f64, String),
}

impl RawSample {
    fn read(self) -> Result<Sample, String> {
        let value = self.value.1.parse().map_err(|_| format!("{} is no number", self.value.1))?;
        Ok(Sample { labels: self.metric, value })
    }
}
