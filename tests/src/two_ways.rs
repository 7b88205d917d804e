//! The real collector with a receiver of OTLP and one of StatsD, and what it was told by each.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::part::{Part, Probe};
use crate::{command, parts, ports::free};

/// Where the collector writes what came by each way (`fixtures/backends.yaml`).
const OTLP: &str = "otlp.jsonl";
const STATSD: &str = "statsd.jsonl";

/// Tags, in order.
pub type Tags = BTreeMap<String, String>;

/// What a series came to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what OTLP and StatsD both have")]
pub enum Total {
    /// Of a counter.
    Count(i64),
    /// Of a gauge, as it was last.
    Last(f64),
    /// Of a histogram: observations, and their sum in milliseconds.
    Observed(u64, f64),
}

/// By name and tags.
pub type Series = BTreeMap<(String, Tags), Total>;

/// A running collector. It ends when it is dropped.
#[derive(Debug)]
pub struct TwoWays {
    collector: Part,
    otlp: u16,
    statsd: u16,
    directory: TempDir,
}

impl TwoWays {
    /// Starts it; `None` when the real parts are not asked for.
    ///
    /// # Panics
    /// When they are asked for and cannot be had.
    pub fn start(name: &str) -> Option<Self> {
        if !parts::requested() {
            eprintln!("{name}: skipped: the real parts are not asked for (run `cargo xtask test`)");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory for temporary files can be made");
        let (otlp, statsd, health) = (free(), free(), free());
        let mut collector = Part {
            name: "collector",
            program: parts::find(&parts::COLLECTOR),
            arguments: vec!["--config".into(), command::fixture("backends.yaml")],
            environment: vec![
                ("DAGTEL_OTLP_GRPC_PORT", otlp.to_string()),
                ("DAGTEL_STATSD_PORT", statsd.to_string()),
                ("DAGTEL_HEALTH_PORT", health.to_string()),
            ],
            directory: directory.path().to_owned(),
            probes: vec![Probe::Http(format!("http://127.0.0.1:{health}"))],
            child: None,
        };
        collector.start();
        Some(Self { collector, otlp, statsd, directory })
    }

    /// A configuration that sends by both, with these further lines in `[metrics]`.
    pub fn configuration(&self, more: &str) -> String {
        format!(
            "[metrics]\notel_endpoint = \"http://127.0.0.1:{}\"\notel_interval_milliseconds = 200\nstatsd_on = true\n\
             statsd_host = \"127.0.0.1\"\nstatsd_port = {}\n{more}\n[traces]\notel_on = false\n[http_server]\non = false\n",
            self.otlp, self.statsd
        )
    }

    /// Kills the collector. It may have been in the middle of a line: that line ends here, so that the next one is not lost
    /// with it.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn kill(&mut self) {
        self.collector.kill();
        for file in [OTLP, STATSD] {
            let file = fs::File::options().append(true).open(self.directory.path().join(file));
            file.and_then(|mut file| file.write_all(b"\n")).expect("the collector has made the file");
        }
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.collector.start();
    }

    /// What a service told by OTLP, dagtel's metrics of itself aside: those change by being sent.
    pub fn by_otlp(&self, service: &str) -> Series {
        let mut series = Series::new();
        for resource in self.lines(OTLP, "resourceMetrics") {
            if tags(&resource["resource"]["attributes"]).get("service.name").map(String::as_str)
                == Some(service)
            {
                let told = points(&resource);
                // Counts are cumulative: the last one holds.
                series.extend(told.filter(|((name, _), _)| !name.starts_with("dagtel.")));
            }
        }
        series
    }

    /// What was told by StatsD under a prefix.
    pub fn by_statsd(&self, prefix: &str) -> Series {
        let mut series = Series::new();
        for (key, told) in self.lines(STATSD, "resourceMetrics").iter().flat_map(points) {
            if !key.0.starts_with(prefix) {
                continue;
            }
            let total = match (series.get(&key), told) {
                (Some(Total::Count(before)), Total::Count(more)) => Total::Count(before + more),
                (Some(Total::Observed(count, sum)), Total::Observed(more, and)) => {
                    Total::Observed(count + more, sum + and)
                }
                _ => told,
            };
            series.insert(key, total);
        }
        series
    }

    fn lines(&self, file: &str, list: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.path().join(file)).unwrap_or_default();
        // The last line may be half written.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.flat_map(|line| line[list].as_array().cloned().unwrap_or_default()).collect()
    }
}

/// Every point of a resource, in their order.
fn points(resource: &Value) -> impl Iterator<Item = ((String, Tags), Total)> {
    let mut points = Vec::new();
    for metric in
        resource["scopeMetrics"].as_array().into_iter().flatten().flat_map(|scope| list(&scope["metrics"]))
    {
        let name = metric["name"].as_str().unwrap_or_default();
        let milliseconds = if metric["unit"] == "s" { 1e3 } else { 1.0 };
        for (kind, total) in [
            ("sum", &(|point: &Value| Total::Count(number(point) as i64)) as &dyn Fn(&Value) -> Total),
            ("gauge", &|point| Total::Last(number(point))),
            ("histogram", &|point| observed(point, milliseconds)),
            ("exponentialHistogram", &|point| observed(point, milliseconds)),
        ] {
            for point in list(&metric[kind]["dataPoints"]) {
                points.push(((name.to_owned(), tags(&point["attributes"])), total(point)));
            }
        }
    }
    points.into_iter()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// OTLP in JSON has whole numbers of 64 bits as texts.
fn number(point: &Value) -> f64 {
    let whole = point["asInt"].as_str().and_then(|text| text.parse().ok());
    whole.or(point["asDouble"].as_f64()).unwrap_or_default()
}

fn observed(point: &Value, milliseconds: f64) -> Total {
    let count = point["count"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    Total::Observed(count, point["sum"].as_f64().unwrap_or_default() * milliseconds)
}

fn tags(attributes: &Value) -> Tags {
    let tag = |attribute: &Value| {
        Some((attribute["key"].as_str()?.to_owned(), attribute["value"]["stringValue"].as_str()?.to_owned()))
    };
    list(attributes).iter().filter_map(tag).collect()
}
