//! The metric table as it looks.

use insta::assert_snapshot;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint,
        metric::Data, number_data_point::Value, summary_data_point::ValueAtQuantile,
    },
};

use super::{
    input::{metric, metrics, text},
    plain,
};
use crate::show::{Store, Theme, metric_table, series::MAX_SERIES};

fn tags(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| text(key, value)).collect()
}

fn count(pairs: &[(&str, &str)], time: u64, number: i64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: tags(pairs),
        time_unix_nano: time,
        value: Some(Value::AsInt(number)),
        ..Default::default()
    }
}

fn finishes(time: u64, number: i64) -> Metric {
    let of =
        |task, state, number| count(&[("dag_id", "shop"), ("task_id", task), ("state", state)], time, number);
    let data_points = vec![
        of("extract", "success", number),
        of("load", "success", number),
        of("load", "failed", 1),
        of("transform", "success", 1_234_567),
    ];
    let sum = Sum { data_points, is_monotonic: true, aggregation_temporality: 2 };
    metric("airflow.ti.finish", "{task_instance}", Data::Sum(sum))
}

fn durations() -> Metric {
    let point = HistogramDataPoint {
        attributes: tags(&[("dag_id", "shop"), ("task_id", "extract")]),
        count: 4,
        sum: Some(9.5),
        min: Some(0.5),
        max: Some(4.25),
        explicit_bounds: vec![1.0, 2.5, 5.0],
        bucket_counts: vec![1, 1, 2, 0],
        ..Default::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    metric("airflow.task.duration", "s", Data::Histogram(histogram))
}

fn memory() -> Metric {
    let mut point = count(&[("task_id", "extract"), ("method", "vmhwm")], 1, 0);
    point.value = Some(Value::AsDouble(157_286_400.0));
    metric("airflow.task.memory.peak", "By", Data::Gauge(Gauge { data_points: vec![point] }))
}

fn lag() -> Metric {
    let at = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        count: 10,
        sum: 1500.0,
        quantile_values: vec![at(0.0, 100.0), at(0.5, 140.0), at(1.0, 400.0)],
        ..Default::default()
    };
    metric("legacy.lag", "ms", Data::Summary(Summary { data_points: vec![point] }))
}

fn store() -> Store {
    let mut store = Store::default();
    store.add_metrics(&metrics("scheduler", vec![finishes(10, 3), durations(), memory(), lag()]));
    store
}

#[test]
fn a_table_at_three_widths() {
    assert_snapshot!(metric_table(&store(), 10, &plain(120)), @"
    metric                    tags                                                                  value
    airflow.task.duration     task_id=extract dag_id=shop                  n=4, sum 9.500 s, p50 ≈2.500 s
    airflow.task.memory.peak  task_id=extract method=vmhwm                                        150 MiB
    airflow.ti.finish         task_id=load state=failed dag_id=shop                                     1
                              task_id=extract state=success dag_id=shop                                 3
                              task_id=load state=success dag_id=shop                                    3
                              task_id=transform state=success dag_id=shop                         1234567
    legacy.lag                                                             n=10, sum 1.500 s, p50 ≈140 ms
    ");
    assert_snapshot!(metric_table(&store(), 10, &plain(80)), @"
    metric                    tags                                             value
    airflow.task.duration     task_id=extract dag_i…  n=4, sum 9.500 s, p50 ≈2.500 s
    airflow.task.memory.peak  task_id=extract method=vmhwm                   150 MiB
    airflow.ti.finish         task_id=load state=failed dag_id=shop                1
                              task_id=extract state=success dag_id=shop            3
                              task_id=load state=success dag_id=shop               3
                              task_id=transform state=success dag_id=shop    1234567
    legacy.lag                                        n=10, sum 1.500 s, p50 ≈140 ms
    ");
    assert_snapshot!(metric_table(&store(), 10, &plain(60)), @"
    metric            tags                                 value
    airflow.task.du…  task_id=ext…  n=4, sum 9.500 s, p50 ≈2.50…
    airflow.task.me…  task_id=extract method=vmhwm       150 MiB
    airflow.ti.fini…  task_id=load state=failed dag_id=shop    1
                      task_id=extract state=success dag_id=s…  3
                      task_id=load state=success dag_id=shop   3
                      task_id=transform state=success …  1234567
    legacy.lag                      n=10, sum 1.500 s, p50 ≈140…
    ");
}

#[test]
fn without_unicode() {
    assert_snapshot!(metric_table(&store(), 2, &Theme { unicode: false, ..plain(100) }), @"
    metric                    tags                                                                value
    airflow.task.duration     task_id=extract dag_id=shop                n=4, sum 9.500 s, p50 ~2.500 s
    airflow.task.memory.peak  task_id=extract method=vmhwm                                      150 MiB
    airflow.ti.finish         task_id=load state=failed dag_id=shop                                   1
                              task_id=extract state=success dag_id=shop                               3
                              ... 2 more
    legacy.lag                                                           n=10, sum 1.500 s, p50 ~140 ms
    ");
}

#[test]
fn more_rows_than_wanted_are_counted() {
    assert_snapshot!(metric_table(&store(), 1, &plain(100)), @"
    metric                    tags                                                            value
    airflow.task.duration     task_id=extract dag_id=shop            n=4, sum 9.500 s, p50 ≈2.500 s
    airflow.task.memory.peak  task_id=extract method=vmhwm                                  150 MiB
    airflow.ti.finish         task_id=load state=failed dag_id=shop                               1
                              … 3 more
    legacy.lag                                                       n=10, sum 1.500 s, p50 ≈140 ms
    ");
}

#[test]
fn the_latest_point_stays() {
    let mut store = store();
    store.add_metrics(&metrics("scheduler", vec![finishes(20, 5)]));
    store.add_metrics(&metrics("scheduler", vec![finishes(15, 4)]));
    assert_snapshot!(metric_table(&store, 2, &plain(100)), @"
    metric                    tags                                                                value
    airflow.task.duration     task_id=extract dag_id=shop                n=4, sum 9.500 s, p50 ≈2.500 s
    airflow.task.memory.peak  task_id=extract method=vmhwm                                      150 MiB
    airflow.ti.finish         task_id=load state=failed dag_id=shop                                   1
                              task_id=extract state=success dag_id=shop                               5
                              … 2 more
    legacy.lag                                                           n=10, sum 1.500 s, p50 ≈140 ms
    ");
}

#[test]
fn two_senders_are_two_series() {
    let mut store = Store::default();
    store.add_metrics(&metrics("one", vec![lag()]));
    store.add_metrics(&metrics("two", vec![lag()]));
    assert_snapshot!(metric_table(&store, 10, &plain(100)), @"
    metric      tags                                       value
    legacy.lag  service.name=one  n=10, sum 1.500 s, p50 ≈140 ms
                service.name=two  n=10, sum 1.500 s, p50 ≈140 ms
    ");
}

#[test]
fn series_are_bounded() {
    let points = (0..MAX_SERIES + 9).map(|n| count(&[("n", &n.to_string())], 1, 1)).collect();
    let mut store = Store::default();
    let gauge = Data::Gauge(Gauge { data_points: points });
    store.add_metrics(&metrics("a", vec![metric("wide", "", gauge)]));
    assert_snapshot!(metric_table(&store, 1, &plain(60)), @"
    metric  tags         value
    wide    n=0              1
            … 4999 more
    (9 points of further series are not kept)
    ");
}

#[test]
fn an_empty_store() {
    assert_snapshot!(metric_table(&Store::default(), 10, &plain(60)), @"(no metrics received)");
}
