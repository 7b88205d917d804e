//! Every field of a metric.

use dagtel_core::catalog::metric::{BOUNDS, Metric as Known};
use dagtel_core::event::{Exception, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::value::SmolStr;
use dagtel_otlp::{FRAME_ITEMS, Signal};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};

use super::story::{Story, at, attributes, decode_metrics, identity, metrics_of, text};

fn key(dag: &str) -> RunKey {
    RunKey::new(dag, "2026-11-20")
}

fn metric<'a>(metrics: &'a [Metric], name: &str) -> &'a Metric {
    metrics.iter().find(|metric| metric.name == name).unwrap()
}

fn sum(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        other => panic!("no sum: {other:?}"),
    }
}

fn story() -> Story {
    let mut story = Story::new();
    story.whole_run(&key("sales"), RunState::Success, RunDetails::default());
    let details = attributes([("operator".into(), "bash".into()), ("execution_mode".into(), "local".into())]);
    story.whole_try(&key("sales"), &TryKey::new("load"), TaskState::Success, details);
    story.failed_try(&key("sales"), &TryKey::new("bad"), Exception::new("E", "m"));
    story.spans();
    story
}

#[test]
fn a_counter_is_a_monotonic_cumulative_sum_of_integers() {
    let metrics = story().metrics(&identity());
    let finish = metric(&metrics, "airflow.ti.finish");
    let definition = Known::TiFinish.definition();
    assert_eq!(
        (finish.unit.as_str(), finish.description.as_str()),
        (definition.unit, definition.description)
    );
    let Some(Data::Sum(data)) = &finish.data else { panic!("{finish:?}") };
    assert!(data.is_monotonic);
    assert_eq!(data.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    let success =
        data.data_points.iter().find(|point| text(&point.attributes, "state") == Some("success")).unwrap();
    assert_eq!(success.value, Some(Value::AsInt(1)));
    assert_eq!(
        (success.start_time_unix_nano, success.time_unix_nano),
        (at(0).as_nanos(), at(60_000).as_nanos())
    );
    let tags: Vec<_> = success
        .attributes
        .iter()
        .map(|tag| (tag.key.as_str(), text(&success.attributes, &tag.key)))
        .collect();
    let expected =
        [("dag_id", "sales"), ("task_id", "load"), ("state", "success"), ("execution_mode", "local")];
    assert_eq!(tags, expected.map(|(key, value)| (key, Some(value))));
}

#[test]
fn a_tag_that_is_not_known_is_left_out() {
    let metrics = story().metrics(&identity());
    let failures = sum(metric(&metrics, "airflow.operator_failures"));
    let keys: Vec<_> = failures[0].attributes.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!(keys, ["dag_id", "task_id"]);
}

#[test]
fn a_gauge_says_zero_as_well() {
    let mut story = story();
    story.run(&key("open"), 0, RunChange::Started, RunDetails::default());
    let metrics = story.metrics(&identity());
    let active = metric(&metrics, "airflow.dagrun.active");
    let Some(Data::Gauge(data)) = &active.data else { panic!("{active:?}") };
    let value = |dag| {
        let point = data.data_points.iter().find(|point| text(&point.attributes, "dag_id") == Some(dag));
        point.and_then(|point| point.value)
    };
    assert_eq!(value("sales"), Some(Value::AsInt(0)));
    assert_eq!(value("open"), Some(Value::AsInt(1)));
}

#[test]
fn a_histogram_has_its_buckets_its_bounds_its_sum_and_its_ends() {
    let mut story = Story::new();
    let run = key("sales");
    for (try_number, millis) in [(1, 500), (2, 1500), (3, 1250)] {
        let (key, details) = (TryKey { try_number, ..TryKey::new("load") }, TaskDetails::default);
        story.task(&run, &key, 1000, TaskChange::Started, details());
        story.task(&run, &key, 1000 + millis, TaskChange::Finished(TaskState::UpForRetry), details());
    }
    story.spans();
    let metrics = story.metrics(&identity());
    let duration = metric(&metrics, "airflow.task.duration");
    let Some(Data::Histogram(data)) = &duration.data else { panic!("{duration:?}") };
    assert_eq!(data.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    assert_eq!(duration.unit, "s");
    let point = &data.data_points[0];
    assert_eq!(point.explicit_bounds, BOUNDS);
    assert_eq!(point.bucket_counts.len(), BOUNDS.len() + 1);
    // 0.5 s is the third bound and belongs below it; the others are above the fourth, 1 s, and at most 2.5 s.
    assert_eq!((point.bucket_counts[2], point.bucket_counts[4]), (1, 2));
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(3.25), Some(0.5), Some(1.5)));
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (at(0).as_nanos(), at(60_000).as_nanos()));
    assert!(point.exemplars.is_empty());
}

#[test]
fn static_tags_are_on_every_point_and_never_beside_the_same_key() {
    let mut identity = identity();
    identity.tags = vec![("env".into(), "prod".into()), ("dag_id".into(), "other".into())];
    let metrics = story().metrics(&identity);
    let points = metrics.iter().flat_map(|metric| match &metric.data {
        Some(Data::Sum(data)) => data.data_points.iter().map(|point| &point.attributes).collect::<Vec<_>>(),
        Some(Data::Gauge(data)) => data.data_points.iter().map(|point| &point.attributes).collect(),
        Some(Data::Histogram(data)) => data.data_points.iter().map(|point| &point.attributes).collect(),
        other => panic!("{other:?}"),
    });
    let mut seen = 0;
    for attributes in points {
        assert_eq!(text(attributes, "env"), Some("prod"));
        assert_eq!(text(attributes, "dag_id"), Some("sales"));
        assert_eq!(attributes.iter().filter(|attribute| attribute.key == "dag_id").count(), 1);
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn the_prefix_is_the_deployments() {
    let mut identity = identity();
    identity.prefix = SmolStr::new_static("");
    let metrics = story().metrics(&identity);
    assert!(metrics.iter().any(|metric| metric.name == "ti.start"));
    assert!(metrics.iter().all(|metric| !metric.name.starts_with("airflow.")));
}

#[test]
fn points_never_end_before_they_begin() {
    let story = story();
    let frames = dagtel_otlp::metrics(story.fold.metrics(), at(0), &identity());
    let early = dagtel_core::time::Timestamp::from_nanos(at(0).as_nanos() - 1);
    let frames = frames.into_iter().chain(dagtel_otlp::metrics(story.fold.metrics(), early, &identity()));
    for metric in frames.flat_map(|frame| metrics_of(decode_metrics(&frame))) {
        if let Some(Data::Sum(sum)) = &metric.data {
            assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano <= point.time_unix_nano));
        }
    }
}

#[test]
fn what_is_over_the_budget_is_one_series_and_frames_hold_so_many_points() {
    let mut story = Story::new();
    let dags = limits::TAG_SETS + 7;
    for dag in 0..dags {
        story.run(&key(&format!("dag{dag:05}")), 0, RunChange::Started, RunDetails::default());
    }
    let frames = dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity());
    let mut points = Vec::new();
    for frame in &frames {
        assert_eq!(frame.signal, Signal::Metrics);
        let before = points.len();
        for metric in metrics_of(decode_metrics(frame)) {
            assert_eq!(metric.name, "airflow.dagrun.active");
            let Some(Data::Gauge(data)) = metric.data else { panic!("no gauge") };
            points.extend(data.data_points);
        }
        assert_eq!(points.len() - before, frame.items);
        assert!(frame.items <= FRAME_ITEMS);
    }
    assert_eq!(frames.len(), (limits::TAG_SETS + 1).div_ceil(FRAME_ITEMS));
    assert_eq!(points.len(), limits::TAG_SETS + 1);
    let overflow = points.last().unwrap();
    let tags: Vec<_> = overflow.attributes.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!((tags, text(&overflow.attributes, "overflow")), (vec!["overflow"], Some("true")));
    let total: i64 =
        points.iter().map(|point| if let Some(Value::AsInt(n)) = point.value { n } else { 0 }).sum();
    assert_eq!(total, dags as i64);
}

#[test]
fn nothing_counted_is_no_request() {
    assert!(dagtel_otlp::metrics(Story::new().fold.metrics(), at(1), &identity()).is_empty());
}
