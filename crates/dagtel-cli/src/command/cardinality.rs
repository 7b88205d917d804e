//! `dagtel cardinality`: how many series the metrics that dagtel counts have, what was folded, which label makes them
//! many, and what a configuration would leave.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dagtel::config::Config;
use dagtel_core::catalog::metric::{BOUNDS, Kind, Metric};
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard;
use dagtel_core::limits::TAG_SETS;
use dagtel_core::metrics::Metrics;
use dagtel_core::time::Timestamp;
use serde_json::{Value, json};

use crate::agent::Common;
use crate::recording::{self, Problem};
use crate::{Outcome, terminal};

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Recordings to count instead of spool directories: Airflow's listener hooks, or dagtel's event lines
    #[arg(value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A metric that has series.
#[derive(Debug)]
struct Row {
    metric: Metric,
    tag_sets: usize,
    /// Observations that went to the series of the rest.
    folded: u64,
    /// Series as Prometheus has them.
    series: usize,
    /// The same with the lists and tags of the configuration.
    configured: usize,
    labels: Vec<Label>,
}

/// A tag of a metric.
#[derive(Debug)]
struct Label {
    name: &'static str,
    values: usize,
    /// Tag sets that would be left without it.
    without: usize,
}

/// Runs the command.
///
/// # Errors
/// When a recording or a directory cannot be read.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let config = options.common.config()?;
    let mut outcome = Outcome::Ok;
    let mut all = Vec::new();
    if options.files.is_empty() {
        for layout in options.common.layouts(&config)? {
            let metrics = dagtel_drain::saved_metrics(&layout)
                .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", layout.state().display()))?;
            all.push((layout.dir().display().to_string(), metrics));
        }
    } else {
        let (metrics, bad_lines) = recorded(&options.files)?;
        if bad_lines > 0 {
            outcome = Outcome::BadInput;
        }
        all.push((shown(&options.files), Some(metrics)));
    }
    for (of, metrics) in all {
        let rows = metrics.map(|metrics| rows(&metrics, &config)).unwrap_or_default();
        if options.json {
            terminal::say(&format!("{:#}\n", in_json(&of, &rows)));
        } else {
            print(&of, &rows, &config);
        }
    }
    Ok(outcome)
}

fn shown(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The metrics of recordings, and how many lines were bad.
fn recorded(files: &[PathBuf]) -> anyhow::Result<(Metrics, usize)> {
    let mut fold = Fold::new(Timestamp::MIN, Timing::new(Duration::ZERO, Duration::ZERO));
    let mut bad_lines = 0;
    for file in files {
        bad_lines += read(file, &mut fold)?;
    }
    fold.finish();
    Ok((fold.metrics().clone(), bad_lines))
}

fn read(file: &Path, fold: &mut Fold) -> anyhow::Result<usize> {
    let shown = file.display();
    let context = |error| anyhow::anyhow!("the recording {shown} cannot be read: {error}");
    let input = BufReader::new(File::open(file).map_err(context)?);
    let mut bad_lines = 0;
    let complain = |Problem { line, message }| {
        bad_lines += 1;
        terminal::complain(&format!("{shown}, line {line}: {message}"));
    };
    recording::read(input, "default", |event| fold.apply(guard::admit(event).0), complain)
        .map_err(context)?;
    Ok(bad_lines)
}

/// Every metric with series, the most expensive first.
fn rows(metrics: &Metrics, config: &Config) -> Vec<Row> {
    let naming = &config.naming;
    let fewer = metrics.without_tags(|tag| !naming.has_tag(tag));
    let row = |metric: &Metric| {
        let (metric, definition) = (*metric, metric.definition());
        let admitted = naming.filter.admits(definition.name);
        Row {
            metric,
            tag_sets: tag_sets(metrics, metric),
            folded: metrics.folded(metric),
            series: series(metrics, metric),
            configured: if admitted { series(&fewer, metric) } else { 0 },
            labels: labels(metrics, metric),
        }
    };
    let all = Metric::ALL.iter().filter(|metric| !metrics.is_empty(**metric));
    let mut rows: Vec<_> = all.map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.series));
    rows
}

/// Tag sets of their own, without the series that holds the rest.
fn tag_sets(metrics: &Metrics, metric: Metric) -> usize {
    metrics.series().filter(|series| series.metric == metric && series.tags.is_some()).count()
}

/// Series as Prometheus has them: of a histogram each bucket, the sum and the count.
fn series(metrics: &Metrics, metric: Metric) -> usize {
    let each = if metric.definition().kind == Kind::Histogram { BOUNDS.len() + 3 } else { 1 };
    each * metrics.series().filter(|series| series.metric == metric).count()
}

fn labels(metrics: &Metrics, metric: Metric) -> Vec<Label> {
    let of_metric = metrics.series().filter(|series| series.metric == metric);
    let sets: Vec<&[_]> = of_metric.filter_map(|series| Some(series.tags?.values())).collect();
    let label = |(place, name): (usize, &&'static str)| {
        let values: BTreeSet<_> =
            sets.iter().map(|set| &set[place]).filter(|value| !value.is_empty()).collect();
        let without: BTreeSet<_> = sets.iter().map(|set| (&set[..place], &set[place + 1..])).collect();
        Label { name, values: values.len(), without: without.len() }
    };
    let mut labels: Vec<_> = metric.definition().tags.iter().enumerate().map(label).collect();
    labels.retain(|label| label.values > 0);
    labels.sort_by_key(|label| label.without);
    labels
}

fn in_json(of: &str, rows: &[Row]) -> Value {
    let total = |count: fn(&Row) -> usize| rows.iter().map(count).sum::<usize>();
    let metrics: Vec<_> = rows.iter().map(Row::json).collect();
    json!({
        "of": of,
        "series": total(|row| row.series),
        "series_configured": total(|row| row.configured),
        "budget": TAG_SETS,
        "metrics": metrics,
    })
}

impl Row {
    fn json(&self) -> Value {
        let labels = self.labels.iter().map(
            |label| json!({ "label": label.name, "values": label.values, "tag_sets_without": label.without }),
        );
        let labels: Vec<_> = labels.collect();
        json!({
            "metric": self.metric.definition().name,
            "tag_sets": self.tag_sets,
            "folded": self.folded,
            "series": self.series,
            "series_configured": self.configured,
            "labels": labels,
        })
    }

    /// The labels, the one that costs most first.
    fn labels(&self) -> String {
        let counted = |count: usize, word: &str| {
            format!("{} {word}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
        };
        let label = |label: &Label| {
            let (values, without) = (counted(label.values, "value"), counted(label.without, "set"));
            format!("{}: {values}, {without} without it", label.name)
        };
        self.labels.iter().map(label).collect::<Vec<_>>().join("; ")
    }
}

fn print(of: &str, rows: &[Row], config: &Config) {
    let theme = terminal::theme();
    terminal::say(&format!("{}\n", theme.clean(of)));
    if rows.is_empty() {
        terminal::say("nothing was counted yet\n");
        return;
    }
    let width = rows.iter().map(|row| row.metric.definition().name.len()).max().unwrap_or_default();
    let line = |name: &str, cells: [String; 5]| {
        let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>11}")).collect();
        terminal::say(&format!("{name:<width$} {}\n", cells.join("")));
    };
    let heads = ["tag sets", "of budget", "folded", "series", "configured"].map(str::to_owned);
    line("metric", heads);
    for row in rows {
        let percent = format!("{} %", row.tag_sets * 100 / TAG_SETS);
        let numbers =
            [row.tag_sets as u64, row.folded, row.series as u64, row.configured as u64].map(grouped);
        let [tag_sets, folded, series, configured] = numbers;
        line(row.metric.definition().name, [tag_sets, percent, folded, series, configured]);
        if row.tag_sets > 1 {
            wrapped(&row.labels(), theme.width).iter().for_each(|text| terminal::say(&format!("  {text}\n")));
        }
    }
    let total = |count: fn(&Row) -> u64| grouped(rows.iter().map(count).sum());
    let blank = String::new;
    let sums = [total(|row| row.series as u64), total(|row| row.configured as u64)];
    let [series, configured] = sums;
    line("all", [total(|row| row.tag_sets as u64), blank(), total(|row| row.folded), series, configured]);
    for row in rows.iter().filter(|row| row.folded > 0) {
        let label = row.labels.first().map_or("", |label| label.name);
        terminal::say(&format!(
            "{}: {} observations had no room among {} tag sets and are one series, overflow=\"true\"; \
             disabled_tags = {label:?} would make the most room\n",
            row.metric.definition().name,
            grouped(row.folded),
            grouped(TAG_SETS as u64),
        ));
    }
    let by =
        config.file.as_ref().map_or("environment and defaults".to_owned(), |file| file.display().to_string());
    terminal::say(&format!(
        "series: as Prometheus has them, {} for each tag set of a histogram; configured: by {}\n",
        BOUNDS.len() + 3,
        theme.clean(&by)
    ));
}

/// Lines of at most this width, broken at semicolons.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split_inclusive("; ") {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() + 2 <= width => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A whole number, with a comma at each thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
