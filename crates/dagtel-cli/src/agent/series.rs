//! The series that the fold counts, under the names that the Collector's Prometheus exporter gives them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use dagtel_core::catalog::agent::Kind as FamilyKind;
use dagtel_core::catalog::metric::{BOUNDS, Definition, Kind, Metric};
use dagtel_core::catalog::naming::prometheus_name;
use dagtel_core::metrics::{Point, Series, TagSet};
use dagtel_core::value::Value as TagValue;
use dagtel_scrape::{Family, Labels, Page, Value};

use super::told::Told;

/// [`BOUNDS`] in milliseconds.
static BOUNDS_MILLISECONDS: [f64; BOUNDS.len()] = {
    let (mut bounds, mut place) = (BOUNDS, 0);
    while place < bounds.len() {
        bounds[place] *= 1e3;
        place += 1;
    }
    bounds
};

/// Writes the series of all directories, and returns the names of their families. Each family gets an equal share of what
/// is left, so that long ones do not push out others.
pub(super) fn write(page: &mut Page, told: &[(&String, Arc<Told>)]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some((_, first)) = told.first() else { return names };
    let several = told.len() > 1;
    let mut all: Vec<_> =
        told.iter().map(|(dir, told)| (*dir, told, told.metrics.series().peekable())).collect();
    let mut left = Metric::ALL.iter().filter(|metric| is_counted(**metric, told)).count();
    for metric in Metric::ALL.iter().filter(|metric| is_counted(**metric, told)) {
        let (definition, milliseconds) = (&shown(*metric, first), first.naming.milliseconds);
        let name = prometheus_name(&first.prefix, definition);
        names.insert(name.clone());
        let mut family = Family::new(name, kind(definition.kind), definition.description);
        for (dir, told, series) in &mut all {
            // The same series may be counted in several directories.
            let dir = several.then_some(dir.as_str());
            // Metrics that there are not stand before it.
            while series.next_if(|series| series.metric < *metric).is_some() {}
            while let Some(series) = series.next_if(|series| series.metric == *metric) {
                if let Some(value) = value(series.point, milliseconds) {
                    family.push(labels(definition, &series, told, dir), value);
                }
            }
        }
        // The overflow comes last, and must not be what is left out.
        family.samples.sort_by_key(|sample| sample.labels.first().is_none_or(|(name, _)| name != "overflow"));
        page.family(&family, page.room() / left);
        left -= 1;
    }
    names
}

/// A metric in the unit that the configuration has for it.
pub(super) fn shown(metric: Metric, told: &Told) -> Definition {
    let mut definition = *metric.definition();
    if told.naming.milliseconds && definition.kind == Kind::Histogram {
        definition.unit = "ms";
    }
    definition
}

fn is_counted(metric: Metric, told: &[(&String, Arc<Told>)]) -> bool {
    let name = metric.definition().name;
    told.iter().any(|(_, told)| !told.metrics.is_empty(metric) && told.naming.filter.admits(name))
}

pub(super) fn kind(kind: Kind) -> FamilyKind {
    match kind {
        Kind::Counter => FamilyKind::Counter,
        Kind::Histogram => FamilyKind::Histogram,
        _ => FamilyKind::Gauge,
    }
}

pub(super) fn value(point: &Point, milliseconds: bool) -> Option<Value<'_>> {
    match point {
        Point::Counter(count) => Some(Value::Number(*count as f64)),
        Point::Gauge(value) => Some(Value::Number(*value as f64)),
        Point::Last(_, value) => Some(Value::Number(*value as f64)),
        Point::Histogram(values) => {
            let counts = values.buckets().into();
            let (bounds, scale) = if milliseconds { (&BOUNDS_MILLISECONDS, 1e3) } else { (&BOUNDS, 1.0) };
            Some(Value::Histogram { bounds, counts, sum: values.sum() * scale })
        }
        _ => None,
    }
}

fn labels<'a>(
    definition: &Definition,
    series: &Series<'a>,
    told: &'a Told,
    dir: Option<&'a str>,
) -> Labels<'a> {
    match series.tags {
        Some(tags) => with_static(named(definition, tags), told, dir),
        None => with_static([("overflow", "true")], told, dir),
    }
}

/// The tags that a series has, with their names.
pub(super) fn named<'a>(
    definition: &Definition,
    tags: &'a TagSet,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let named = definition.tags.iter().zip(tags.values()).filter(|(_, value)| !value.is_empty());
    named.map(|(name, value)| (*name, value.as_str()))
}

/// The labels of a series: its own, those that all have, and of which directory it is.
pub(super) fn with_static<'a>(
    own: impl IntoIterator<Item = (&'a str, &'a str)>,
    told: &'a Told,
    dir: Option<&'a str>,
) -> Labels<'a> {
    let mut labels = Labels::new();
    labels.extend(own.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))));
    for (name, value) in &told.tags {
        if let TagValue::Str(value) = value {
            labels.push((name.as_str().into(), value.as_str().into()));
        }
    }
    labels.extend(dir.map(|dir| ("spool".into(), dir.into())));
    labels
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use dagtel_core::catalog::naming::{LegacySeries, NameFilter, Naming};
    use dagtel_core::event::{
        Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
    };
    use dagtel_core::fold::{Fold, Timing};
    use dagtel_core::guard::admit;
    use dagtel_core::key::{RunKey, TryKey};
    use dagtel_core::limits::LEGACY_SERIES;
    use dagtel_core::time::Timestamp;
    use dagtel_scrape::{Format, limits};

    use super::super::legacy;
    use super::*;

    /// S6: far more DAGs than a metric has series, with names as long as may be; a million when there is time.
    #[test]
    fn a_full_fold_fits_on_the_page() {
        let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
        let dags: u64 = if slow { 1_000_000 } else { 3000 };
        let mut fold = Fold::new(Timestamp::MIN, Timing::default());
        let changes = [TaskChange::Queued, TaskChange::Started, TaskChange::Finished(TaskState::Failed)];
        for dag in 0..dags {
            let run = Arc::new(RunKey::new(format!("{dag}{}", "x".repeat(200)), "r"));
            let of_run = |change| Fact::Run { change, details: RunDetails::default() };
            let of_task = |change: &TaskChange| {
                let key = TryKey::new("\"".repeat(300));
                Fact::Task { key, change: change.clone(), details: TaskDetails::default() }
            };
            let facts = [of_run(RunChange::Started)].into_iter().chain(changes.iter().map(of_task));
            for (step, fact) in (0..).zip(facts.chain([of_run(RunChange::Finished(RunState::Failed))])) {
                let at = Timestamp::from_millis(dag + step);
                fold.apply(admit(Event { run: run.clone(), at, truth: Truth::Reported, fact }).0);
            }
            fold.due(Timestamp::MAX);
        }
        let told = told(&fold);
        let (dir, began) = ("spool".to_owned(), Instant::now());
        let mut page = Page::new(Format::Classic, limits::PAGE_BYTES - limits::RESERVED_BYTES);
        write(&mut page, &[(&dir, Arc::new(told))]);
        let (omitted, text, took) = (page.omitted(), page.finish(), began.elapsed());
        let text = String::from_utf8(text.into()).expect("pages are UTF-8");
        println!("{dags} DAGs: {} bytes after {took:?}, {omitted} series left out", text.len());
        assert!(text.len() <= limits::PAGE_BYTES - limits::RESERVED_BYTES);
        // Histograms do not push out what stands behind them, and totals stay right.
        assert!(omitted > 0 && text.contains("\nairflow_operator_failures_total{"));
        assert!(text.contains(&format!("airflow_ti_start_total{{overflow=\"true\"}} {}.0\n", dags - 2000)));
    }

    #[test]
    fn the_page_has_the_names_tags_and_units_of_the_configuration() {
        let mut fold = Fold::new(Timestamp::MIN, Timing::default());
        for dag in ["a", "b"] {
            let run = Arc::new(RunKey::new(dag, "r"));
            for (change, at) in [(TaskChange::Started, 0), (TaskChange::Finished(TaskState::Success), 1500)] {
                let fact = Fact::Task { key: TryKey::new("t"), change, details: TaskDetails::default() };
                let at = Timestamp::from_millis(at);
                fold.apply(admit(Event { run: run.clone(), at, truth: Truth::Reported, fact }).0);
            }
        }
        fold.due(Timestamp::MAX);
        let mut told = told(&fold);
        told.naming.filter = NameFilter::new("", "ti.start").unwrap();
        told.naming.milliseconds = true;
        told.metrics = told.metrics.without_tags(|tag| tag == "dag_id");
        let mut page = Page::new(Format::Classic, limits::PAGE_BYTES);
        write(&mut page, &[(&"spool".to_owned(), Arc::new(told))]);
        let text = String::from_utf8(page.finish().into()).expect("pages are UTF-8");
        assert!(!text.contains("airflow_ti_start_total"), "{text}");
        assert!(text.contains("airflow_ti_finish_total{task_id=\"t\",state=\"success\"} 2.0\n"), "{text}");
        for line in [
            "_bucket{task_id=\"t\",le=\"1000.0\"} 0",
            "_bucket{task_id=\"t\",le=\"2500.0\"} 2",
            "_sum{task_id=\"t\"} 3000.0",
        ] {
            assert!(text.contains(&format!("airflow_task_duration_milliseconds{line}")), "{line}: {text}");
        }
    }

    #[test]
    fn legacy_names_stand_beside_the_names_once_each_and_within_their_budget() {
        let mut fold = Fold::new(Timestamp::MIN, Timing::default());
        // The last two are one name for Prometheus, and "größe" is none for OTLP.
        let dags = (0..LEGACY_SERIES).map(|dag| format!("dag{dag}"));
        for dag in ["größe".to_owned(), "a.b".to_owned(), "a__b".to_owned()].into_iter().chain(dags) {
            let run = Arc::new(RunKey::new(dag, "r"));
            for (change, at) in [(TaskChange::Started, 0), (TaskChange::Finished(TaskState::Success), 1500)] {
                let fact = Fact::Task { key: TryKey::new("t.x"), change, details: TaskDetails::default() };
                let at = Timestamp::from_millis(at);
                fold.apply(admit(Event { run: run.clone(), at, truth: Truth::Reported, fact }).0);
            }
        }
        fold.due(Timestamp::MAX);
        let mut admitted = LegacySeries::default();
        let mut written = |legacy_names| {
            let mut told = told(&fold);
            told.tags = vec![("region".into(), "eu".into())];
            told.naming.legacy_names = legacy_names;
            let mut page = Page::new(Format::Classic, limits::PAGE_BYTES);
            let told = [(&"spool".to_owned(), Arc::new(told))];
            let names = write(&mut page, &told);
            legacy::write(&mut page, &told, &names, &mut admitted);
            String::from_utf8(page.finish().into()).expect("pages are UTF-8")
        };
        assert!(!written(false).contains("_dag0_"));
        let text = written(true);
        assert_eq!(text, written(true), "the same series on every page");
        for line in [
            "# TYPE airflow_ti_start_dag0_t_x_total counter\nairflow_ti_start_dag0_t_x_total{region=\"eu\"} 1.0\n",
            "airflow_ti_start_total{dag_id=\"dag0\",task_id=\"t.x\",region=\"eu\"} 1.0\n",
            "# TYPE airflow_ti_start_a_b_t_x_total counter\nairflow_ti_start_a_b_t_x_total{region=\"eu\"} 1.0\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
        let families = text.lines().filter(|line| line.starts_with("# TYPE ") && line.contains("_t_x_"));
        let families: Vec<_> = families.collect();
        assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), families.len(), "each name stands once");
        assert_eq!((families.len(), text.contains("gr__e")), (LEGACY_SERIES, false));
        assert!(admitted.untold() > 0);
    }

    /// What is told of a fold that was never drained.
    fn told(fold: &Fold) -> Told {
        Told {
            prefix: "airflow.".into(),
            tags: Vec::new(),
            naming: Naming::default(),
            metrics: fold.metrics().clone(),
            counts: Default::default(),
            anomalies: fold.anomalies().clone(),
            open_runs: 0,
            queues: Default::default(),
            reports: Default::default(),
            disk: Vec::new(),
        }
    }
}
