//! One test for each defect that the fold ever had.

use std::sync::Arc;
use std::time::Duration;

use dagtel_core::catalog::metric::Metric;
use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Change, Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::key::{RunKey, TryKey};
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
