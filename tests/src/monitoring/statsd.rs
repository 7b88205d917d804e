//! Recording rules that give Airflow's metrics the names and types which dashboards made for StatsD and its exporter for
//! Prometheus ask for.

use std::fmt::Write as _;

use dagtel_core::catalog::metric::Kind;
use dagtel_core::catalog::registry::{self, Entry};

use super::promql::{Series, sent};

/// Observations of so long make a quantile: as long as the exporter's summaries remember.
const REMEMBERED: &str = "10m";
/// The exporter's quantiles.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// Metrics that are known by yet another name: to the mapping of Airflow's Helm chart, or from Airflow 2.
const ALIASES: [(&str, &str); 5] = [
    ("dagrun.duration.success", "dagrun_duration"),
    ("dagrun.duration.failed", "dagrun_failed"),
    ("task_instances_without_heartbeats_killed", "zombies_killed"),
    ("asset.updates", "dataset_updates"),
    ("asset.triggered_dagruns", "dataset_triggered_dagruns"),
];
const HEAD: &str = "\
# Airflow's metrics under the names that StatsD and its exporter for Prometheus give them, for dashboards made for those:
# counters without `_total`, timers as summaries in seconds (quantiles over the last 10 minutes). Gauges have the same name
# here and there. Nothing of dagtel's needs this file; leave it out when nobody asks for these names.
#
# Made of the catalogue; a test fails when it is not up to date.
groups:
";

/// The file `statsd-names.rules.yaml`.
pub fn rules() -> String {
    let mut rules = HEAD.to_owned();
    for (group, kind) in [
        ("airflow_statsd_counters", Kind::Counter),
        ("airflow_statsd_timers", Kind::Histogram),
        ("airflow_statsd_gauges", Kind::Gauge),
    ] {
        let _ = write!(rules, "  - name: {group}\n    interval: 15s\n    rules:\n");
        let entries = registry::entries().filter(|entry| entry.airflow.is_some());
        for entry in entries.filter(|entry| entry.definition.kind == kind) {
            for name in names(&entry) {
                rule(&mut rules, &entry, &name);
            }
        }
    }
    rules
}

/// The names that a metric has had.
fn names(entry: &Entry) -> Vec<String> {
    let plain = |name: &str| format!("airflow_{}", name.replace(['.', '-'], "_"));
    let aliases = ALIASES.iter().filter(|(metric, _)| *metric == entry.definition.name);
    let mut names = vec![plain(entry.definition.name)];
    names.extend(aliases.map(|(_, alias)| plain(alias)));
    names
}

fn rule(rules: &mut String, entry: &Entry, name: &str) {
    let series = sent(entry.definition).everywhere();
    let by = labels(entry);
    match entry.definition.kind {
        Kind::Histogram => summary(rules, &series, &by, name),
        // A gauge whose name says no unit has the name already.
        Kind::Gauge if series.name() == name => {}
        _ => record(rules, name, "", &series.sum(&by)),
    }
}

/// A timer, as the exporter shows one.
fn summary(rules: &mut String, series: &Series, by: &str, name: &str) {
    for quantile in QUANTILES {
        let labels = format!("        labels: {{quantile: \"{quantile}\"}}\n");
        record(rules, name, &labels, &series.quantile(quantile, by, REMEMBERED));
    }
    for part in ["sum", "count"] {
        record(rules, &format!("{name}_{part}"), "", &series.part(part).sum(by));
    }
}

fn record(rules: &mut String, name: &str, labels: &str, expression: &str) {
    let _ = write!(rules, "      - record: {name}\n{labels}        expr: {expression}\n");
}

/// The tags whose values stand in the legacy name, which are all that StatsD without tags can tell.
fn labels(entry: &Entry) -> String {
    let legacy = entry.airflow.and_then(|airflow| airflow.legacy).unwrap_or_default();
    let tags = legacy.split('{').skip(1).filter_map(|part| part.split('}').next());
    tags.collect::<Vec<_>>().join(", ")
}
