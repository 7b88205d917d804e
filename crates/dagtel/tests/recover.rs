//! A restarted engine finds what was open, and goes on with it.

use std::process::{Command, Stdio};

use dagtel::core::event::RunState;
use dagtel::{DagRun, Dagtel};
use dagtel_testkit::Collector;

/// Tells this test binary that it is the engine that is killed.
const ENGINE: &str = "DAGTEL_TEST_ENGINE";

#[test]
fn a_restarted_engine_adopts_one_run_and_abandons_another() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_the_engine_that_is_killed", "--nocapture"])
        .env(ENGINE, spool.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It is killed by itself, with everything reported and nothing sent.
    assert!(!engine.wait().unwrap().success());

    let builder = Dagtel::builder("engine").spool(spool.path()).endpoint(collector.endpoint());
    let (dagtel, guard) = builder.install().unwrap();
    let open = dagtel.recover().unwrap();
    let seen: Vec<_> = open.iter().map(|run| (run.key.run_id.as_str(), run.tries.len())).collect();
    assert_eq!(seen, [("adopted", 1), ("given up", 0)]);
    let adopted = dagtel.adopt(&open[0]);
    adopted.start("second").success();
    adopted.success();
    dagtel.abandon(&open[1]);
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");

    let taken = collector.taken();
    assert_eq!((taken.oracle().copies, taken.oracle().versions), (0, 0));
    let states = |name: &str| -> Vec<String> {
        let mut states: Vec<_> = taken.named(name).iter().map(|span| text(span.span, "state")).collect();
        states.sort();
        states
    };
    assert_eq!(states("dag_run.etl"), [RunState::Lost.as_str(), RunState::Success.as_str()]);
    assert_eq!(states("task_run.first"), ["lost"]);
    assert_eq!(states("task_run.second"), ["success"]);
}

fn text(span: &opentelemetry_proto::tonic::trace::v1::Span, key: &str) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Not a test of its own: what the one above starts.
#[test]
fn as_the_engine_that_is_killed() {
    let Some(spool) = std::env::var_os(ENGINE) else { return };
    let dagtel = Dagtel::builder("engine").spool(spool).reporter().unwrap();
    let adopted = dagtel.start(DagRun::new("etl", "adopted"));
    let first = adopted.start("first");
    let given_up = dagtel.start(DagRun::new("etl", "given up"));
    // Nothing is dropped, so nothing is told as dropped.
    std::mem::forget((adopted, first, given_up));
    std::process::abort();
}
