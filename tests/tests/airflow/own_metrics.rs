//! Airflow's own OpenTelemetry metrics beside dagtel's of the same runs: families and series.

use std::collections::{BTreeMap, BTreeSet};

use dagtel_system_tests::Stack;
use dagtel_system_tests::exposition::Exposition;
use dagtel_testkit::Taken;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::deployment::{OWN_METRICS, Variable};

/// What Prometheus adds to the name of a metric, for its kind or its unit.
const ENDINGS: [&str; 5] = ["_count", "_total", "_seconds", "_milliseconds", "_bytes"];

/// Families, by their names as Prometheus writes them without kind and unit, each with the tags of its series.
type Families = BTreeMap<String, BTreeSet<String>>;

/// Has Airflow send all its metrics to `endpoint` by OTLP, each second, under the names of its registry.
pub(crate) fn variables(endpoint: &str) -> Vec<Variable> {
    vec![
        ("AIRFLOW__METRICS__STATSD_ON", "False".into()),
        ("AIRFLOW__METRICS__STATSD_DATADOG_ENABLED", "False".into()),
        ("AIRFLOW__METRICS__METRICS_ALLOW_LIST", String::new()),
        ("AIRFLOW__METRICS__OTEL_ON", "True".into()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc".into()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000".into()),
    ]
}

/// Prints both beside each other, and which of Airflow's families dagtel has.
pub(crate) fn table(stack: &Stack, theirs: &Taken) {
    let ours = of_page(&stack.metrics_page().expect("the collector answers"));
    let (theirs, shared) = of_airflow(theirs);
    println!("{:44} {:>8} {:>8}", "metrics", "dagtel", "Airflow");
    let line = |what: &str, ours: usize, theirs: usize| println!("{what:44} {ours:>8} {theirs:>8}");
    let series = |families: &Families| families.values().map(BTreeSet::len).sum::<usize>();
    let both = theirs.keys().filter(|family| ours.contains_key(*family)).count();
    line("metric families", ours.len(), theirs.len());
    line("series", series(&ours), series(&theirs));
    line("families that the other has too", both, both);
    println!("{:44} {:>8} {shared:>8}", "series that several processes overwrite", "");
    let by_family = |families: &Families| -> Vec<String> {
        families.iter().map(|(family, series)| format!("{family} {}", series.len())).collect()
    };
    println!("series of dagtel: {}", by_family(&ours).join(", "));
    println!("series of Airflow: {}", by_family(&theirs).join(", "));
    let missing = theirs.keys().filter(|family| !ours.contains_key(*family));
    let by_statsd = |family: &&String| {
        OWN_METRICS.split(',').any(|start| family.starts_with(&format!("airflow_{start}")))
    };
    let (by_statsd, nowhere): (Vec<_>, Vec<_>) = missing.partition(by_statsd);
    println!(
        "of Airflow's families that dagtel has not, Airflow's StatsD brings {}: {by_statsd:?}",
        by_statsd.len()
    );
    println!("and nobody {}: {nowhere:?}", nowhere.len());
    let more: Vec<_> = ours.keys().filter(|family| !theirs.contains_key(*family)).collect();
    println!("families that Airflow has not, {}: {more:?}", more.len());
    assert!(both > 0 && !theirs.is_empty());
}

/// What the collector's page has, where nothing but dagtel tells.
fn of_page(page: &str) -> Families {
    let mut families = Families::new();
    for (name, labels) in Exposition::parse(page, false).expect("it is a page of metrics").samples.keys() {
        // A histogram is one series; its number of observations stands for it.
        if name.starts_with("airflow_") && !name.ends_with("_bucket") && !name.ends_with("_sum") {
            families.entry(plain(name)).or_default().insert(format!("{labels:?}"));
        }
    }
    families
}

fn plain(name: &str) -> String {
    let mut name = name;
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = shorter;
    }
    name.to_owned()
}

/// What Airflow sent, and how many of the series came from several processes: under one identity they overwrite each other.
fn of_airflow(taken: &Taken) -> (Families, usize) {
    let mut starts = BTreeMap::<(String, String), BTreeSet<u64>>::new();
    for group in taken.metrics.iter().flat_map(|request| &request.resource_metrics) {
        for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            for (tags, start) in points(metric) {
                let mut tags: Vec<_> =
                    tags.iter().map(|tag| format!("{}={:?}", tag.key, tag.value)).collect();
                tags.sort();
                let series = (plain(&metric.name.replace(['.', '-'], "_")), tags.join(","));
                starts.entry(series).or_default().insert(start);
            }
        }
    }
    let shared = starts.values().filter(|starts| starts.len() > 1).count();
    let mut families = Families::new();
    for (family, tags) in starts.into_keys() {
        families.entry(family).or_default().insert(tags);
    }
    (families, shared)
}

/// The tags of each point, and since when it counts: 0 for a gauge, which counts nothing.
fn points(metric: &Metric) -> Vec<(&[KeyValue], u64)> {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.iter().map(|p| (&*p.attributes, 0)).collect(),
        Some(Data::Sum(data)) => {
            data.data_points.iter().map(|p| (&*p.attributes, p.start_time_unix_nano)).collect()
        }
        Some(Data::Histogram(data)) => {
            data.data_points.iter().map(|p| (&*p.attributes, p.start_time_unix_nano)).collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter().map(|p| (&*p.attributes, p.start_time_unix_nano)).collect()
        }
        _ => Vec::new(),
    }
}
