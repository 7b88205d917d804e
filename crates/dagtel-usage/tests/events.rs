//! Events and their URLs, against what the original requested (`cosmos_vectors.json`).

use std::process::Command;

use dagtel_usage::json::{Dict, Value};
use dagtel_usage::{Gateway, StandardMetrics, UsageEvent, allowed, metadata, url};

const VECTORS: &str = include_str!("cosmos_vectors.json");

fn standard() -> StandardMetrics {
    StandardMetrics::new("1.15.1", "3.0.2+astro.1", "3.11.7")
}

/// The original's vectors: name, metrics, URL.
fn vectors() -> Vec<(String, Dict, String)> {
    let all = metadata::from_json(VECTORS).expect("the file is JSON");
    let Value::List(vectors) = &all["emit_url"] else { panic!("a list of vectors") };
    vectors
        .iter()
        .map(|vector| {
            (text(field(vector, "name")), dict(field(vector, "metrics")), text(field(vector, "url")))
        })
        .collect()
}

fn field<'a>(vector: &'a Value, name: &str) -> &'a Value {
    let Value::Dict(vector) = vector else { panic!("{vector:?} is no vector") };
    &vector[name]
}

fn text(value: &Value) -> String {
    let Value::Str(text) = value else { panic!("{value:?} is no text") };
    text.clone()
}

fn dict(value: &Value) -> Dict {
    let Value::Dict(entries) = value else { panic!("{value:?} are no metrics") };
    (**entries).clone()
}

#[test]
fn every_url_is_the_originals() {
    let gateway: Gateway =
        "https://astronomer.gateway.scarf.sh/astronomer-cosmos/{telemetry_version}/{event_type}?{query_string}"
            .parse()
            .unwrap();
    let vectors = vectors();
    assert_eq!(vectors.len(), 5);
    for (name, metrics, expected) in vectors {
        assert_eq!(url(&gateway, &UsageEvent::from_metrics(metrics)).as_deref(), Some(&*expected), "{name}");
    }
}

#[test]
fn the_events_of_the_original_pass_unchanged() {
    for (name, metrics, _) in vectors() {
        if ["dag_run", "task_instance"].contains(&name.as_str()) {
            let mut event = UsageEvent::from_metrics(metrics);
            let before = event.clone();
            assert_eq!(allowed::keep_allowed(&mut event), Ok(Vec::new()), "{name}");
            assert_eq!(event, before);
        }
    }
}

#[test]
fn the_standard_metrics_are_five() {
    let keys: Vec<String> = standard().metrics().keys().cloned().collect();
    assert_eq!(
        keys,
        ["cosmos_version", "airflow_version", "python_version", "platform_system", "platform_machine"]
    );
    assert_eq!(standard().metrics()["airflow_version"], "3.0.2%2Bastro.1".into());
}

#[test]
fn the_platform_is_what_python_calls_it() {
    let asked =
        Command::new("python3").args(["-c", "import platform as p; print(p.system(), p.machine())"]).output();
    let said = String::from_utf8(asked.expect("python3 is installed").stdout).unwrap();
    assert_eq!(said.trim_end(), format!("{} {}", standard().platform_system, standard().platform_machine));
}

#[test]
fn an_additional_metric_wins_at_the_place_of_the_first() {
    let additional = [("status", "success"), ("cosmos_version", "2"), ("event_type", "other")];
    let additional = additional.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let event = UsageEvent::new("dag_run", &standard(), additional);
    assert_eq!(event.event_type, "other");
    assert_eq!(event.metrics.get_index(0), Some((&"cosmos_version".to_owned(), &"2".into())));
    assert_eq!(event.metrics.last(), Some((&"status".to_owned(), &"success".into())));
    assert_eq!(event.metrics.len(), 6);
}
