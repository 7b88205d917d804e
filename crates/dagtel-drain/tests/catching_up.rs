//! A drainer that finds far more than it reads in one step, as after a time in which nobody drained.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::Anomaly;
use dagtel_core::guard::Guard;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits::OPEN_RUNS;
use dagtel_core::time::Timestamp;
use dagtel_drain::{Drainer, DrainerOptions, Durability, Journal, Layout};
use dagtel_otlp::Identity;

fn journal(layout: &Layout) -> Journal {
    Journal::open(layout, Durability::Process, Guard::default(), |reason, _| panic!("{reason}"))
        .expect("a new directory")
}

fn drainer(layout: &Layout, now: SystemTime) -> Drainer {
    let options = DrainerOptions::new(Identity::new("test", "instance"));
    Drainer::open(layout.clone(), options, now)
        .expect("a directory of our own")
        .expect("nobody else drains it")
}

/// A run whose events are about 200 bytes long, so that a few thousand of them are more than a step reads.
fn key(run: u64) -> Arc<RunKey> {
    Arc::new(RunKey::new("sales", format!("{run:0>150}")))
}

fn tell(journal: &Journal, run: &Arc<RunKey>, millis: u64, fact: Fact) {
    let at = Timestamp::from_millis(millis);
    journal.append(Event { run: run.clone(), at, truth: Truth::Reported, fact });
}

fn of_run(change: RunChange) -> Fact {
    Fact::Run { change, details: RunDetails::default() }
}

fn of_task(change: TaskChange) -> Fact {
    Fact::Task { key: TryKey::new("load"), change, details: TaskDetails::default() }
}

/// Runs without tasks, a millisecond each.
fn runs(journal: &Journal, of: std::ops::Range<u64>, begin_millis: u64) {
    for run in of.clone() {
        let (key, at) = (key(run), begin_millis + run - of.start);
        tell(journal, &key, at, of_run(RunChange::Started));
        tell(journal, &key, at + 1, of_run(RunChange::Finished(RunState::Success)));
    }
}

/// While there was more to read nothing was closed, so that events of runs were dropped as over the limit of open ones.
#[test]
fn more_runs_than_may_be_open_are_caught_up_with() {
    const RUNS: u64 = OPEN_RUNS as u64 + 4000;
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let engine = journal(&layout);
    runs(&engine, 0..RUNS, 0);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
    let (mut drainer, mut steps, mut open) = (drainer(&layout, now), 0, 0);
    loop {
        let step = drainer.step(now).expect("it can be drained");
        (steps, open) = (steps + 1, open.max(drainer.fold().open_runs()));
        if !step.more {
            break;
        }
    }
    let anomalies: Vec<_> = drainer.fold().anomalies().seen().filter(|(_, times)| *times > 0).collect();
    println!("{RUNS} runs in {steps} steps, at most {open} open");
    assert_eq!(anomalies, []);
    assert_eq!((drainer.counts().spans, drainer.fold().open_runs()), (RUNS, 0));
    assert!(steps > 5 && open < OPEN_RUNS / 4, "{steps} steps, {open} open");
}

/// Of two processes one is read far behind the other: what it says of runs that ended long ago is not late.
#[test]
fn a_run_waits_for_the_process_that_is_furthest_behind() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (scheduler, worker) = (journal(&layout), journal(&layout));
    let shared = key(1_000_000);
    tell(&scheduler, &shared, 0, of_run(RunChange::Started));
    tell(&scheduler, &shared, 20_000, of_run(RunChange::Finished(RunState::Success)));
    runs(&scheduler, 0..20_000, 20_000);
    runs(&worker, 20_000..40_000, 0);
    tell(&worker, &shared, 10_000, of_task(TaskChange::Started));
    tell(&worker, &shared, 19_999, of_task(TaskChange::Finished(TaskState::Success)));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
    let (mut drainer, mut told_early) = (drainer(&layout, now), 0);
    while drainer.step(now).expect("it can be drained").more {
        told_early = drainer.counts().spans;
    }
    assert_eq!(drainer.fold().anomalies().count(Anomaly::Late), 0);
    assert_eq!(drainer.counts().spans, 40_000 + 2);
    assert!(told_early > 0, "runs that are past all processes are told while there is more to read");
}
