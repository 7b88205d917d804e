//! R19: an agent with few file descriptors, and one whose directory is removed under it. Each goes on, or says why not;
//! nothing panics; a directory has one drainer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::wait::until;
use dagtel_testkit::{Collector, Oracle, Value};

/// What the row allows.
const DESCRIPTORS: u32 = 64;
/// Enough descriptors to begin, too few to read.
const TOO_FEW: u32 = 10;
/// More living writers than that, each with a directory and a locked file.
const WRITERS: usize = 100;
/// Tasks of a run, which has a span of its own besides.
const TASKS: i32 = 5;
const SPANS: usize = TASKS as usize + 1;
/// After this long a test that waits has hung.
const HUNG: Duration = Duration::from_secs(15);

fn reporter(spool: &Path) -> Dagtel {
    Dagtel::builder("w").spool(spool).reporter().expect("the spool can be used")
}

fn write_run(dagtel: &Dagtel, number: usize) {
    let run = dagtel.start(DagRun::new("many", number.to_string()));
    for index in 0..TASKS {
        run.start(TaskInstance::new("task").map_index(index)).success();
    }
    run.success();
}

/// What an agent has said so far, which is never that it panicked.
fn heard(said: &Path) -> String {
    let heard = fs::read_to_string(said).unwrap_or_default();
    assert!(!heard.contains("panicked"), "{heard}");
    heard
}

fn wait_until_said(said: &Path, words: &str) {
    until(words, HUNG, || match heard(said) {
        heard if heard.contains(words) => Ok(()),
        heard => Err(heard),
    });
}

/// Waits until this many runs have come, every span once and every try counted once.
fn wait_for_runs(collector: &Collector, runs: usize) {
    let tries = Value::Int(i64::from(TASKS) * i64::try_from(runs).unwrap_or_default());
    let taken = collector.wait_for(|taken| {
        taken.oracle().distinct >= runs * SPANS
            && taken.value("airflow.ti.finish", &[("state", "success")]) == Some(tries)
    });
    assert_eq!(taken.oracle(), Oracle::each_once(runs * SPANS));
}

#[test]
fn few_descriptors_suffice_for_many_writers() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (spool, said) = (dir.path().join("spool"), dir.path().join("said"));
    let writers: Vec<_> = (0..WRITERS).map(|_| reporter(&spool)).collect();
    writers.iter().enumerate().for_each(|(number, writer)| write_run(writer, number));
    let agent = Agent::start_with_descriptors(&spool, &collector.endpoint(), DESCRIPTORS, &said);
    wait_for_runs(&collector, WRITERS);
    println!("{WRITERS} living writers, an agent with {DESCRIPTORS} descriptors: {}", heard(&said).trim());
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn too_few_descriptors_are_told_and_lose_nothing() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (spool, said) = (dir.path().join("spool"), dir.path().join("said"));
    write_run(&reporter(&spool), 0);
    let agent = Agent::start_with_descriptors(&spool, &collector.endpoint(), TOO_FEW, &said);
    wait_until_said(&said, "Too many open files");
    let (code, _) = agent.stop();
    println!("an agent with {TOO_FEW} descriptors ended with {code:?}: {}", heard(&said).trim());
    let _agent = Agent::start(&spool, &collector.endpoint());
    wait_for_runs(&collector, 1);
}

#[test]
fn a_directory_removed_under_its_drainer_has_one_drainer_again() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (spool, endpoint) = (dir.path().join("spool"), collector.endpoint());
    let said = [dir.path().join("said-1"), dir.path().join("said-2")];
    let first = Agent::start_with_descriptors(&spool, &endpoint, DESCRIPTORS, &said[0]);
    write_run(&reporter(&spool), 0);
    wait_for_runs(&collector, 1);
    // As `rm -r` does it; the agent may put back something while that goes on.
    until("an empty place", HUNG, || fs::remove_dir_all(&spool).map_err(|error| error.to_string()));
    wait_until_said(&said[0], "removed or replaced");
    let second = Agent::start_with_descriptors(&spool, &endpoint, DESCRIPTORS, &said[1]);
    wait_until_said(&said[1], "standing by");
    write_run(&reporter(&spool), 1);
    wait_for_runs(&collector, 2);
    first.kill();
    wait_until_said(&said[1], "draining");
    write_run(&reporter(&spool), 2);
    wait_for_runs(&collector, 3);
    println!("first: {}\nsecond: {}", heard(&said[0]).trim(), heard(&said[1]).trim());
    assert_eq!(second.stop().0, Some(0));
}
