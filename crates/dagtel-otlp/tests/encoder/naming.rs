//! What a deployment's naming does to the metrics of the fold.

use dagtel_core::catalog::naming::NameFilter;
use dagtel_core::event::{Exception, RunDetails, RunState};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::value::SmolStr;
use dagtel_otlp::Identity;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};

use super::story::{Story, attributes, identity, text};

fn story() -> Story {
    let mut story = Story::new();
    let key = RunKey::new("sales", "2026-11-20");
    story.whole_run(&key, RunState::Success, RunDetails::default());
    story.whole_try(&key, &TryKey::new("load"), dagtel_core::event::TaskState::Success, attributes([]));
    story.failed_try(&key, &TryKey::new("bad"), Exception::new("E", "m"));
    story.spans();
    story
}

fn metric(metrics: &[Metric], name: &str) -> Metric {
    metrics.iter().find(|metric| metric.name == name).expect("the metric is there").clone()
}

#[test]
fn lists_say_which_metrics_there_are_by_the_name_without_prefix() {
    let mut identity = identity();
    identity.naming.filter = NameFilter::new("^ti", "ti.start").unwrap();
    let names: Vec<_> = story().metrics(&identity).into_iter().map(|metric| metric.name).collect();
    assert!(names.iter().all(|name| name.starts_with("airflow.ti")), "{names:?}");
    assert!(names.contains(&"airflow.ti.start".to_owned()), "{names:?}");
}

#[test]
fn a_disabled_tag_is_on_no_point_and_what_it_told_apart_is_one() {
    let story = story();
    let all = story.metrics(&identity());
    let mut identity = identity();
    identity.naming.disabled_tags = vec![SmolStr::new_static("task_id"), SmolStr::new_static("state")];
    let fewer = story.metrics(&identity);
    let finished = |metrics: &[Metric]| {
        let Some(Data::Sum(sum)) = metric(metrics, "airflow.ti.finish").data else { panic!("no sum") };
        sum.data_points
    };
    assert!(finished(&all).len() > 1);
    let [point] = &finished(&fewer)[..] else { panic!("{:?}", finished(&fewer)) };
    assert_eq!(text(&point.attributes, "dag_id"), Some("sales"));
    assert_eq!((text(&point.attributes, "task_id"), text(&point.attributes, "state")), (None, None));
    let count = |point: &NumberDataPoint| match point.value {
        Some(Value::AsInt(count)) => count,
        _ => 0,
    };
    assert_eq!(count(point), finished(&all).iter().map(count).sum::<i64>());
}

#[test]
fn durations_may_be_in_milliseconds() {
    let story = story();
    let of = |identity: &Identity| {
        let duration = metric(&story.metrics(identity), "airflow.task.duration");
        let Some(Data::Histogram(data)) = duration.data else { panic!("no histogram") };
        (duration.unit, data.data_points[0].clone())
    };
    let (_, seconds) = of(&identity());
    let mut identity = identity();
    identity.naming.milliseconds = true;
    let (unit, millis) = of(&identity);
    assert_eq!(unit, "ms");
    assert_eq!((millis.explicit_bounds[0], millis.explicit_bounds[17]), (100.0, 86_400_000.0));
    assert_eq!(millis.bucket_counts, seconds.bucket_counts);
    let thousand = |value: Option<f64>| value.map(|value| value * 1e3);
    assert_eq!(
        (millis.sum, millis.min, millis.max),
        (thousand(seconds.sum), thousand(seconds.min), thousand(seconds.max))
    );
    assert!(millis.sum > Some(0.0));
}
