//! `dagtel demo`: real processes on real files, and their trace.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::path::Path;

use dagtel_testkit::{Collector, Oracle, text};
use support::{Ended, command, end};

fn few_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "some words, and some more words\n").unwrap();
    std::fs::write(folder.path().join("with space.md"), "# a title\n").unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/b.rs"), "fn main() {}\n").unwrap();
    folder
}

fn demo(folder: &Path, more: &[&str]) -> Ended {
    end(command().env("COLUMNS", "160").arg("demo").arg("--dir").arg(folder).args(more))
}

#[test]
fn it_shows_the_retry_and_the_skip_however_small_the_files_are() {
    let folder = few_files();
    let ended = demo(folder.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let rows = ["check try 1", "check try 2", "retry of try 1", "pack[3]", "because of publish", "none lost"];
    for row in rows {
        assert!(ended.out.contains(row), "{row} is missing in {}", ended.out);
    }
    assert!(ended.out.contains("airflow.ti.finish"), "{}", ended.out);
    assert!(ended.err.contains("check") && ended.err.contains("try 2"), "progress is told: {}", ended.err);
    assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'));
}

#[test]
fn it_delivers_to_a_collector() {
    let (folder, collector) = (few_files(), Collector::start());
    let ended = demo(folder.path(), &["--endpoint", &collector.endpoint()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(13));
    let states: Vec<_> = taken
        .named("task_run.check")
        .iter()
        .map(|spanned| text(&spanned.span.attributes, "state").unwrap().to_owned())
        .collect();
    assert_eq!(states, ["up_for_retry", "success"]);
    let announce = taken.named("task_run.announce")[0];
    assert_eq!(text(&announce.span.attributes, "state"), Some("skipped"));
}

#[test]
fn a_collector_that_is_away_is_named_and_the_dag_runs_all_the_same() {
    let folder = few_files();
    let ended = demo(folder.path(), &["--endpoint", "http://127.0.0.1:9"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("http://127.0.0.1:9") && ended.err.contains("refused"), "{}", ended.err);
    assert!(ended.err.contains("0 of 13 spans"), "{}", ended.err);
}

#[test]
fn a_folder_without_text_files_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let ended = demo(&path, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        assert!(ended.err.contains(&path.file_name().unwrap().to_string_lossy()[..]), "{}", ended.err);
        assert!(ended.err.contains("--dir"), "{}", ended.err);
    }
}
