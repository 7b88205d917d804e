use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, Metric as ProtoMetric, ResourceMetrics, ScopeMetrics, Sum as ProtoSum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;

const START: u64 = 4_000_000_000_000_000_000;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn frame(instance: &str, name: &str, unit: &str, data: Data) -> Bytes {
    let metric = ProtoMetric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..ProtoMetric::default()
    };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource =
        Resource { attributes: vec![attribute("service.instance.id", instance)], ..Resource::default() };
    let metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec().into()
}

fn point(value: i64, start: u64) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: START + 1,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn counter(value: i64, start: u64, is_monotonic: bool) -> Bytes {
    let data_points = vec![point(value, start)];
    let temporality = AggregationTemporality::Cumulative as i32;
    let sum = ProtoSum { data_points, aggregation_temporality: temporality, is_monotonic };
    frame("i", "airflow.job_start", "{job}", Data::Sum(sum))
}

/// What is told of a frame, which is then kept.
fn told(frame: &Bytes, counted: &mut Counted) -> String {
    let changes = Changes::of(frame, &Statsd::new("h", 1), counted).unwrap();
    let lines: Vec<_> = changes.items.iter().map(|item| item.lines.clone()).collect();
    changes.items.into_iter().for_each(|item| counted.keep(item.change));
    lines.join("\n")
}

#[test]
fn a_sum_is_told_by_what_came() {
    let mut counted = Counted::default();
    let steps = [(3, "3"), (3, ""), (10, "7"), (2, "2")];
    for (value, came) in steps {
        let line = if came.is_empty() { String::new() } else { format!("airflow.job_start:{came}|c") };
        assert_eq!(told(&counter(value, START, true), &mut counted), line);
    }
    // It counts anew.
    assert_eq!(told(&counter(5, START + 1, true), &mut counted), "airflow.job_start:5|c");
    // What was sent and not kept comes again.
    let lost = counter(6, START + 1, true);
    drop(Changes::of(&lost, &Statsd::new("h", 1), &mut counted).unwrap());
    assert_eq!(told(&lost, &mut counted), "airflow.job_start:1|c");
}

#[test]
fn a_sum_may_go_down() {
    let mut counted = Counted::default();
    assert_eq!(told(&counter(3, START, false), &mut counted), "airflow.job_start:3|c");
    assert_eq!(told(&counter(-1, START, false), &mut counted), "airflow.job_start:-4|c");
    assert_eq!(told(&counter(1, START + 1, false), &mut counted), "airflow.job_start:2|c");
}

#[test]
fn two_exports_in_one_request_are_told_one_after_the_other() {
    let mut counted = Counted::default();
    let both = [counter(3, START, true), counter(5, START, true)].concat();
    assert_eq!(told(&both.into(), &mut counted), "airflow.job_start:3|c\nairflow.job_start:2|c");
}

#[test]
fn deltas_are_told_as_they_are() {
    let mut counted = Counted::default();
    let sum = ProtoSum {
        data_points: vec![point(2, START)],
        aggregation_temporality: AggregationTemporality::Delta as i32,
        is_monotonic: true,
    };
    let frame = frame("i", "mine", "1", Data::Sum(sum));
    for _ in 0..2 {
        assert_eq!(told(&frame, &mut counted), "mine:2|c");
    }
}

#[test]
fn a_negative_gauge_is_no_change() {
    let gauge = |value| {
        let mut data_points = vec![point(value, 0)];
        data_points[0].attributes.push(attribute("pool_name", "p"));
        frame("i", "airflow.pool.open_slots", "{slot}", Data::Gauge(Gauge { data_points }))
    };
    let mut counted = Counted::default();
    assert_eq!(told(&gauge(5), &mut counted), "airflow.pool.open_slots.p:5|g");
    assert_eq!(told(&gauge(5), &mut counted), "airflow.pool.open_slots.p:5|g");
    let below = "airflow.pool.open_slots.p:0|g\nairflow.pool.open_slots.p:-5|g";
    assert_eq!(told(&gauge(-5), &mut counted), below);
}

fn histogram(unit: &str, sum: f64, buckets: &[u64], min: f64, max: f64) -> Bytes {
    let point = HistogramDataPoint {
        start_time_unix_nano: START,
        time_unix_nano: START + 1,
        count: buckets.iter().sum(),
        sum: Some(sum),
        bucket_counts: buckets.to_vec(),
        explicit_bounds: vec![1.0, 10.0],
        min: Some(min),
        max: Some(max),
        ..HistogramDataPoint::default()
    };
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    let histogram = Histogram { data_points: vec![point], aggregation_temporality };
    frame("i", "airflow.x", unit, Data::Histogram(histogram))
}

#[test]
fn observations_keep_their_count_and_their_sum() {
    let mut counted = Counted::default();
    assert_eq!(told(&histogram("s", 0.25, &[1, 0, 0], 0.25, 0.25), &mut counted), "airflow.x:250|ms");
    assert_eq!(told(&histogram("s", 0.25, &[1, 0, 0], 0.25, 0.25), &mut counted), "");
    // One alone is told as it was, whatever its bucket.
    assert_eq!(told(&histogram("s", 40.5, &[1, 0, 1], 0.25, 40.25), &mut counted), "airflow.x:40250|ms");
    let lines = told(&histogram("s", 140.5, &[3, 20, 2], 0.25, 50.0), &mut counted);
    let (mut count, mut sum) = (0.0, 0.0);
    for line in lines.lines() {
        let (value, rest) = line.strip_prefix("airflow.x:").unwrap().split_once("|ms").unwrap();
        let times = rest.strip_prefix("|@").map_or(1.0, |rate| 1.0 / rate.parse::<f64>().unwrap());
        (count, sum) = (count + times, sum + times * value.parse::<f64>().unwrap());
    }
    assert_eq!((count, (sum - 100_000.0).abs() < 1e-6), (23.0, true), "{lines}");
    // Milliseconds stay, and what is no time is told as it is.
    assert_eq!(told(&histogram("ms", 5.0, &[0, 1, 0], 5.0, 5.0), &mut Counted::default()), "airflow.x:5|ms");
    assert_eq!(told(&histogram("By", 5.0, &[0, 1, 0], 5.0, 5.0), &mut Counted::default()), "airflow.x:5|h");
}

#[test]
fn what_is_no_number_is_counted() {
    let mut nan = point(0, START);
    nan.value = Some(number_data_point::Value::AsDouble(f64::NAN));
    let frame = frame("i", "a", "1", Data::Gauge(Gauge { data_points: vec![nan] }));
    let changes = Changes::of(&frame, &Statsd::new("h", 1), &mut Counted::default()).unwrap();
    assert_eq!((changes.items.len(), changes.untold["not_a_number"]), (0, 1));
    assert!(
        Changes::of(&Bytes::from_static(b"\xff"), &Statsd::new("h", 1), &mut Counted::default()).is_err()
    );
}
