//! `dagtel cardinality`: what is counted, what was folded, which label it is, and what a configuration would leave.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use dagtel::{DagRun, Dagtel, TaskInstance};
use serde_json::Value;

fn cardinality(dir: &Path, toml: &str, arguments: &[&str]) -> Output {
    let file = dir.join("config.toml");
    std::fs::write(&file, toml).expect("the file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dagtel"));
    command.env_clear().env("HOME", dir).env("COLUMNS", "120");
    command.args(["cardinality", "--config"]).arg(file).args(arguments);
    command.output().expect("dagtel can be started")
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn metric<'a>(said: &'a Value, name: &str) -> &'a Value {
    let metrics = said["metrics"].as_array().expect("there are metrics");
    metrics.iter().find(|metric| metric["metric"] == name).unwrap_or_else(|| panic!("{name}: {said}"))
}

/// A recording of so many DAGs of one task each.
fn recording(dir: &Path, dags: usize) -> String {
    let mut lines = String::new();
    for dag in 0..dags {
        for (event, more) in [
            ("dag_run.started", String::new()),
            ("task.started", r#","task_id":"load""#.to_owned()),
            ("task.finished", r#","task_id":"load","state":"success""#.to_owned()),
            ("dag_run.finished", r#","state":"success""#.to_owned()),
        ] {
            writeln!(
                lines,
                r#"{{"event":"{event}","dag_id":"dag_{dag}","run_id":"1","at":1795208640{more}}}"#
            )
            .expect("a text takes it");
        }
    }
    let file = dir.join("run.jsonl");
    std::fs::write(&file, lines).expect("the file can be written");
    file.display().to_string()
}

#[test]
fn what_was_folded_is_told_with_the_label_that_makes_it_many() {
    let dir = tempfile::tempdir().unwrap();
    let file = recording(dir.path(), 2100);
    let said: Value = serde_json::from_str(&text(&cardinality(dir.path(), "", &["--json", &file]))).unwrap();
    let start = metric(&said, "ti.start");
    assert_eq!(
        (&start["tag_sets"], &start["folded"], &start["series"]),
        (&2000.into(), &100.into(), &2001.into())
    );
    assert_eq!(start["labels"][0]["label"], "dag_id");
    assert_eq!(
        (&start["labels"][0]["values"], &start["labels"][0]["tag_sets_without"]),
        (&2000.into(), &1.into())
    );
    // A histogram has 18 bounds, infinity, sum and count.
    assert_eq!(metric(&said, "task.duration")["series"], 2001 * 21);
    let toml = "[metrics]\ndisabled_tags = \"dag_id\"\nmetrics_block_list = \"ti_successes,dagrun\"\n";
    let fewer: Value =
        serde_json::from_str(&text(&cardinality(dir.path(), toml, &["--json", &file]))).unwrap();
    assert_eq!(metric(&fewer, "ti.start")["series_configured"], 2);
    assert_eq!(metric(&fewer, "ti_successes")["series_configured"], 0);
    assert!(fewer["series_configured"].as_u64() < said["series"].as_u64());
    let shown = text(&cardinality(dir.path(), toml, &[&file]));
    println!("{shown}");
    let advice = "ti.start: 100 observations had no room among 2,000 tag sets and are one series, overflow=\"true\"; \
                  disabled_tags = \"dag_id\" would make the most room";
    assert!(shown.contains(advice) && shown.lines().all(|line| line.len() < 240), "{shown}");
}

#[test]
fn a_spool_directory_tells_what_its_drainer_counted() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let arguments = ["--json", "--spool", spool.to_str().unwrap()];
    let empty: Value = serde_json::from_str(&text(&cardinality(dir.path(), "", &arguments))).unwrap();
    assert_eq!(empty["series"], 0);
    let (engine, guard) =
        Dagtel::builder("e").endpoint("http://127.0.0.1:9").spool(&spool).install().unwrap();
    let run = engine.start(DagRun::new("sales", "1"));
    for task in ["a", "b"] {
        run.start(TaskInstance::new(task)).success();
    }
    run.success();
    guard.shutdown();
    let said: Value = serde_json::from_str(&text(&cardinality(dir.path(), "", &arguments))).unwrap();
    assert_eq!(metric(&said, "ti.finish")["tag_sets"], 2);
    assert_eq!(metric(&said, "ti.finish")["labels"][0]["label"], "task_id");
}
