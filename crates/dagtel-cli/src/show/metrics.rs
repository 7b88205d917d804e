//! Metric series as a table: name, tags, value.

use std::collections::BTreeSet;

use super::{
    distribution::Distribution,
    line::Line,
    number::quantity,
    row::GAP,
    series::{Measured, MetricSeries, Tags},
    store::Store,
    style::{Theme, Tone},
    text::width,
};

/// Tags that say most about a series, the most telling first; the others follow by name.
const TELLING: [&str; 10] = [
    "task_id",
    "state",
    "dag_id",
    "operator",
    "pool",
    "executor",
    "signal",
    "reason",
    "metric",
    "execution_mode",
];

/// One line of the table, before it is known how wide its columns are.
#[derive(Debug)]
struct Row {
    name: String,
    tags: String,
    value: String,
}

/// All series, by metric, at most `rows_per_metric` of each.
pub(crate) fn metric_table(store: &Store, rows_per_metric: usize, theme: &Theme) -> String {
    let table = &store.metrics;
    let rows: Vec<Row> =
        table.metrics.iter().flat_map(|(name, metric)| group(name, metric, rows_per_metric, theme)).collect();
    let mut out = String::new();
    if rows.is_empty() {
        say("(no metrics received)", theme, &mut out);
        return out;
    }
    let columns = Columns::for_rows(&rows, theme);
    columns.write("metric", "tags", "value", [Tone::Dim; 3], theme, &mut out);
    for row in &rows {
        let tones = [Tone::Strong, Tone::Plain, Tone::Plain];
        columns.write(&row.name, &row.tags, &row.value, tones, theme, &mut out);
    }
    if table.beyond > 0 {
        say(&format!("({} points of further series are not kept)", table.beyond), theme, &mut out);
    }
    out
}

fn say(text: &str, theme: &Theme, out: &mut String) {
    let mut line = Line::default();
    line.push(Tone::Dim, text);
    line.write(theme, out);
}

/// The rows of one metric; its name stands in the first one only.
fn group(name: &str, metric: &MetricSeries, most: usize, theme: &Theme) -> Vec<Row> {
    let common = common_tags(metric);
    let mut rows: Vec<Row> = metric
        .series
        .iter()
        .take(most)
        .map(|(tags, point)| Row {
            name: String::new(),
            tags: tag_text(tags, &common, theme),
            value: value_text(&point.value, &metric.unit, theme),
        })
        .collect();
    let hidden = metric.series.len() - rows.len();
    if hidden > 0 {
        let tags = format!("{} {hidden} more", theme.glyphs().ellipsis);
        rows.push(Row { name: String::new(), tags, value: String::new() });
    }
    if let Some(first) = rows.first_mut() {
        first.name = theme.clean(name);
    }
    rows
}

/// Tags that are the same in all series, and so tell none apart.
fn common_tags(metric: &MetricSeries) -> BTreeSet<(&str, &str)> {
    fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> {
        tags.iter().map(|(key, value)| (&**key, &**value))
    }
    let mut all = metric.series.keys();
    let mut common: BTreeSet<_> = all.next().into_iter().flat_map(pairs).collect();
    for tags in all {
        common.retain(|(key, value)| tags.get(*key).is_some_and(|other| other == value));
    }
    common
}

/// `key=value` pairs: those that tell series apart first, then the telling ones, then by name.
fn tag_text(tags: &Tags, common: &BTreeSet<(&str, &str)>, theme: &Theme) -> String {
    let rank = |key: &str| TELLING.iter().position(|telling| *telling == key).unwrap_or(TELLING.len());
    // The sender's identity is worth a place only where it differs.
    let shown = |key: &str, value: &str| !(key.starts_with("service.") && common.contains(&(key, value)));
    let mut pairs: Vec<_> = tags.iter().filter(|(key, value)| shown(key, value)).collect();
    pairs.sort_by_key(|(key, value)| (common.contains(&(&***key, &***value)), rank(key), *key));
    let texts: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    theme.clean(&texts.join(" "))
}

fn value_text(value: &Measured, unit: &str, theme: &Theme) -> String {
    let text = match value {
        Measured::Nothing => "no value".to_owned(),
        Measured::Int(number) if !matches!(unit, "s" | "ms" | "us" | "ns" | "By") => number.to_string(),
        Measured::Int(number) => quantity(theme, *number as f64, unit),
        Measured::Double(number) => quantity(theme, *number, unit),
        Measured::Distribution(distribution) => distribution_text(distribution, unit, theme),
    };
    theme.clean(&text)
}

fn distribution_text(distribution: &Distribution, unit: &str, theme: &Theme) -> String {
    let in_unit = |value| quantity(theme, value, unit);
    let glyphs = theme.glyphs();
    let mut parts = vec![format!("n={}", distribution.count)];
    parts.extend(distribution.sum.map(|sum| format!("sum {}", in_unit(sum))));
    match (distribution.median, distribution.min, distribution.max) {
        (Some(median), ..) => parts.push(format!("p50 {}{}", glyphs.about, in_unit(median))),
        (None, Some(min), Some(max)) => {
            parts.push(format!("{} {} {}", in_unit(min), glyphs.range, in_unit(max)));
        }
        _ => {}
    }
    parts.join(", ")
}

/// How wide the columns are.
#[derive(Debug)]
struct Columns {
    name: usize,
    tags: usize,
    value: usize,
}

impl Columns {
    /// Values are kept whole as far as possible, then names, then tags.
    fn for_rows(rows: &[Row], theme: &Theme) -> Self {
        let longest = |text: fn(&Row) -> &str| rows.iter().map(|row| width(text(row))).max().unwrap_or(0);
        let room = theme.width.saturating_sub(2 * GAP.len());
        let value = longest(|row| &row.value).max(width("value")).min(room / 2);
        let name = longest(|row| &row.name).max(width("metric")).min((room - value) * 3 / 5);
        let tags = longest(|row| &row.tags).max(width("tags")).min(room.saturating_sub(value + name));
        Self { name, tags, value }
    }

    fn write(&self, name: &str, tags: &str, value: &str, tones: [Tone; 3], theme: &Theme, out: &mut String) {
        let value = theme.cut(value, self.value);
        // Values stand on the right, so tags may use what a short one leaves.
        let tags_width = self.tags + self.value - width(&value);
        let mut line = Line::default();
        line.push(tones[0], theme.fit(name, self.name)).push(Tone::Plain, GAP);
        line.push(tones[1], theme.fit(tags, tags_width)).push(Tone::Plain, GAP);
        line.push(tones[2], value);
        line.write(theme, out);
    }
}
