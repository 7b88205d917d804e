//! Every test of the four test files of astronomer-cosmos 1.15.1 that are about what this crate does has a counterpart
//! here, or a line that says why not.

use std::collections::BTreeSet;
use std::path::Path;

/// `file::test`, one a line, as they stand there.
const ORIGINALS: &str = include_str!("originals/tests.txt");
/// `file::test | file::function` or `file::test | - reason`.
const COUNTERPARTS: &str = include_str!("originals/counterparts.txt");

fn rows() -> Vec<(&'static str, &'static str)> {
    COUNTERPARTS.lines().map(|line| line.split_once(" | ").expect("two columns")).collect()
}

#[test]
fn the_list_has_as_many_tests_as_the_files() {
    let of = |file: &str| ORIGINALS.lines().filter(|line| line.starts_with(&format!("{file}::"))).count();
    assert_eq!(of("tests/test_telemetry.py"), 12);
    assert_eq!(of("tests/listeners/test_dag_run_listener.py"), 10);
    assert_eq!(of("tests/listeners/test_task_instance_listener.py"), 21);
    assert_eq!(of("tests/test_debug.py"), 12);
    assert_eq!(ORIGINALS.lines().collect::<BTreeSet<_>>().len(), 55);
}

#[test]
fn every_original_has_one_row() {
    let listed: Vec<&str> = ORIGINALS.lines().collect();
    let rows: Vec<&str> = rows().into_iter().map(|(original, _)| original).collect();
    assert_eq!(rows, listed);
}

#[test]
fn every_counterpart_exists_and_every_absence_has_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut absent) = (0, 0);
    for (original, here) in rows() {
        if let Some(reason) = here.strip_prefix("- ") {
            assert!(reason.len() > 20, "{original}: {reason:?} is no reason");
            absent += 1;
            continue;
        }
        let (file, function) = here.split_once("::").expect("a file and a function");
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let header = format!("#[test]\nfn {function}() {{");
        let text = text.lines().map(|line| line.trim_start().to_owned() + "\n").collect::<String>();
        assert!(text.contains(&header), "{original}: {file} has no test {function}");
        found += 1;
    }
    println!("{found} counterparts, {absent} absent");
}
