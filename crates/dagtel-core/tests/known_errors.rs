//! One test for each defect that the fold ever had.

use std::sync::Arc;
use std::time::Duration;

use dagtel_core::catalog::metric::Metric;
use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Anomaly, Change, Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::metrics::Point;
use dagtel_core::time::Timestamp;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn apply(fold: &mut Fold, when: u64, truth: Truth, fact: Fact) {
    let run = Arc::new(RunKey::new("dag", "run"));
    fold.apply(admit(Event { run, at: at(when), truth, fact }).0);
}

fn run(change: RunChange) -> Fact {
    Fact::Run { change, details: RunDetails::default() }
}

fn task(change: TaskChange) -> Fact {
    Fact::Task { key: TryKey::new("task"), change, details: TaskDetails::default() }
}

fn fold() -> Fold {
    Fold::new(at(0), Timing::new(Duration::from_millis(10), Duration::from_millis(10)))
}

#[test]
fn a_run_whose_end_is_read_before_its_start_leaves_the_same_series_behind() {
    let mut fold = fold();
    apply(&mut fold, 2, Truth::Reported, run(RunChange::Finished(RunState::Success)));
    apply(&mut fold, 1, Truth::Reported, run(RunChange::Started));
    assert_eq!(fold.metrics().get(Metric::DagRunActive, &["dag"]), Some(&Point::Gauge(0)));
}

#[test]
fn a_try_whose_start_only_the_roster_knows_comes_out_once() {
    let mut fold = fold();
    apply(&mut fold, 1, Truth::Roster, task(TaskChange::Started));
    apply(&mut fold, 2, Truth::Reported, task(TaskChange::Finished(TaskState::Success)));
    let mut changes = fold.due(at(100));
    changes.extend(fold.due(at(200)));
    changes.extend(fold.finish());
    let tries = changes.iter().filter(|change| matches!(change, Change::Try(_)));
    assert_eq!(tries.count(), 1);
}

#[test]
fn a_killed_try_that_the_engine_lists_as_failed_is_still_a_lost_process() {
    use dagtel_core::signal::spans;
    let kinds = |ends: &[(Truth, TaskState)]| {
        let mut fold = fold();
        apply(&mut fold, 1, Truth::Reported, task(TaskChange::Started));
        for &(truth, state) in ends {
            apply(&mut fold, 2, truth, task(TaskChange::Finished(state)));
        }
        let kind = |span: dagtel_core::signal::Span| {
            let found = span.attributes.iter().find(|(key, _)| key == "error.type");
            found.map(|(_, value)| format!("{value:?}"))
        };
        spans(fold.finish()).filter_map(kind).collect::<Vec<_>>()
    };
    let (failed, lost) = (TaskState::Failed, TaskState::Lost);
    let killed = kinds(&[(Truth::Inferred, lost), (Truth::Roster, failed)]);
    assert!(killed.len() == 1 && killed[0].contains("process_lost"), "{killed:?}");
    let spoke = kinds(&[(Truth::Inferred, lost), (Truth::Reported, failed), (Truth::Roster, failed)]);
    assert!(spoke.len() == 1 && spoke[0].contains("_OTHER"), "{spoke:?}");
}

/// Each run of a fold that was told of this many, ended in their order.
fn many_ended(runs: usize) -> Fold {
    let mut fold = fold();
    for n in 0..runs {
        let key = Arc::new(RunKey::new("dag", format!("run-{n:06}")));
        for change in [RunChange::Started, RunChange::Finished(RunState::Success)] {
            let event =
                Event { run: key.clone(), at: at(n as u64), truth: Truth::Reported, fact: run(change) };
            fold.apply(admit(event).0);
        }
    }
    fold
}

#[test]
fn more_ended_runs_than_may_wait_are_closed_at_once_and_none_is_dropped() {
    const MORE: usize = 10;
    let mut fold = many_ended(limits::ENDED_RUNS + MORE);
    let closed = |changes: &[Change]| -> Vec<String> {
        let runs = changes.iter().filter_map(|change| match change {
            Change::Run(run) => Some(run.key.run_id.to_string()),
            _ => None,
        });
        runs.collect()
    };
    // The watermark is before the first end: nothing is final by its time.
    let early = closed(&fold.due(Timestamp::MIN));
    assert_eq!(early, (0..MORE).map(|n| format!("run-{n:06}")).collect::<Vec<_>>());
    assert_eq!(fold.open_runs(), limits::ENDED_RUNS);
    assert!(closed(&fold.due(Timestamp::MIN)).is_empty());
    assert_eq!(closed(&fold.finish()).len(), limits::ENDED_RUNS);
    assert_eq!(fold.anomalies().count(Anomaly::OverLimit), 0);
}

#[test]
fn a_full_fold_looks_for_runs_that_end_elsewhere_now_and_then_and_takes_further_ones_in_their_place() {
    let mut fold = fold();
    let mut tell = |n: usize, change: RunChange| {
        let key = Arc::new(RunKey::new("dag", format!("run-{n}")));
        fold.apply(admit(Event { run: key, at: at(1), truth: Truth::Reported, fact: run(change) }).0);
        fold.open_runs()
    };
    (0..limits::OPEN_RUNS).for_each(|n| {
        tell(n, RunChange::Started);
    });
    assert_eq!(tell(limits::OPEN_RUNS, RunChange::Started), limits::OPEN_RUNS);
    (0..limits::OPEN_RUNS).for_each(|n| {
        tell(n, RunChange::HandedOver);
    });
    let further = limits::OPEN_RUNS + 1..2 * limits::OPEN_RUNS;
    assert!(further.map(|n| tell(n, RunChange::Started)).min() < Some(limits::OPEN_RUNS / 2));
}
