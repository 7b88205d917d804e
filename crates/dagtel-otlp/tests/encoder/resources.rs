//! Resources: complete, sorted, each key once.

use dagtel_core::event::{RunDetails, RunState};
use dagtel_core::key::RunKey;
use dagtel_core::value::Attribute;
use dagtel_otlp::Identity;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::story::{Story, at, decode, decode_metrics, identity, text};

fn resources(dag_id: &str, identity: &Identity) -> (Vec<KeyValue>, Vec<KeyValue>) {
    let mut story = Story::new();
    story.whole_run(&RunKey::new(dag_id, "r"), RunState::Success, RunDetails::default());
    let spans = story.spans();
    let traces = decode(&dagtel_otlp::traces(&spans, identity)[0]);
    let metrics = decode_metrics(&dagtel_otlp::metrics(story.fold.metrics(), at(1), identity)[0]);
    let of_spans = traces.resource_spans[0].resource.clone().unwrap().attributes;
    let of_metrics = metrics.resource_metrics[0].resource.clone().unwrap().attributes;
    (of_spans, of_metrics)
}

fn keys(attributes: &[KeyValue]) -> Vec<&str> {
    attributes.iter().map(|attribute| attribute.key.as_str()).collect()
}

fn with(list: &[(&'static str, &'static str)]) -> Identity {
    let mut identity = identity();
    identity.resource =
        list.iter().map(|(key, value)| -> Attribute { ((*key).into(), (*value).into()) }).collect();
    identity
}

#[test]
fn resources_are_complete_and_sorted() {
    let (spans, metrics) = resources("sales", &with(&[("zone", "z"), ("host.name", "h")]));
    let sdk = ["telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"];
    let of = |own: [&'static str; 2]| [&["host.name"], &own[..], &sdk, &["zone"]].concat();
    assert_eq!(keys(&spans), of(["service.name", "service.namespace"]));
    assert_eq!(keys(&metrics), of(["service.instance.id", "service.name"]));
    assert_eq!(text(&spans, "service.name"), Some("sales"));
    assert_eq!(text(&spans, "service.namespace"), Some("default"));
    assert_eq!(text(&metrics, "service.name"), Some("deployment"));
    assert_eq!(text(&metrics, "service.instance.id"), Some("instance-1"));
    assert_eq!(text(&spans, "telemetry.sdk.name"), Some("dagtel"));
}

#[test]
fn a_dag_without_a_name_is_an_unknown_service() {
    let (spans, _) = resources("", &identity());
    assert_eq!(text(&spans, "service.name"), Some("unknown_service"));
    let (_, metrics) = resources("sales", &Identity::new("", "i"));
    assert_eq!(text(&metrics, "service.name"), Some("unknown_service"));
}

#[test]
fn the_deployment_may_be_the_service() {
    let mut identity = identity();
    identity.dag_as_service = false;
    assert_eq!(text(&resources("sales", &identity).0, "service.name"), Some("deployment"));
}

#[test]
fn what_dagtel_says_of_itself_cannot_be_overridden() {
    let (spans, metrics) =
        resources("sales", &with(&[("service.name", "mine"), ("telemetry.sdk.name", "mine")]));
    for resource in [&spans, &metrics] {
        assert_eq!(resource.iter().filter(|attribute| attribute.key == "service.name").count(), 1);
        assert_eq!(text(resource, "telemetry.sdk.name"), Some("dagtel"));
    }
    assert_eq!(text(&spans, "service.name"), Some("sales"));
}

#[test]
fn of_two_resource_attributes_with_one_key_the_first_counts() {
    let (spans, metrics) = resources("sales", &with(&[("env", "prod"), ("env", "default")]));
    assert_eq!(text(&spans, "env"), Some("prod"));
    assert_eq!(text(&metrics, "env"), Some("prod"));
    assert_eq!(keys(&spans).iter().filter(|key| **key == "env").count(), 1);
}
