//! Handles that are dropped without an end: by an early return, or by a panic.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use dagtel::{DagRun, Dagtel, InMemory};
use support::{only, state, text};

fn in_memory() -> (Dagtel, InMemory) {
    Dagtel::builder("test").clock(support::ManualClock::new().reader()).in_memory()
}

#[test]
fn a_dropped_handle_is_a_failure() {
    let (dagtel, mut memory) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    drop(run.start("forgotten"));
    drop(run);
    let spans = memory.finish();
    for name in ["task_run.forgotten", "dag_run.shop"] {
        let span = only(&spans, name);
        assert_eq!((state(span), text(span, "error.type")), ("failed", Some("handle_dropped")), "{name}");
        assert_eq!(span.events.last().map(|event| event.name), Some("exception"));
    }
}

#[test]
fn a_panic_is_a_failure_of_the_run_and_of_the_task() {
    let (dagtel, mut memory) = in_memory();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let run = dagtel.start(DagRun::new("shop", "monday"));
        let _task = run.start("bad");
        std::panic::resume_unwind(Box::new("the engine has a bug"));
    }));
    assert!(panicked.is_err());
    let spans = memory.finish();
    for name in ["task_run.bad", "dag_run.shop"] {
        let span = only(&spans, name);
        assert_eq!((state(span), text(span, "error.type")), ("failed", Some("panic")), "{name}");
    }
}

#[test]
fn only_the_last_clone_of_a_run_ends_it() {
    let (dagtel, mut memory) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    drop(run.clone());
    let clone = run.clone();
    drop(run);
    assert_eq!(memory.spans(), []);
    clone.success();
    drop(clone);
    assert_eq!(state(only(&memory.finish(), "dag_run.shop")), "success");
    assert_eq!(memory.anomalies(), []);
}

#[test]
fn a_task_that_outlives_its_run_is_still_reported() {
    let (dagtel, mut memory) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.start("late");
    drop(run);
    task.success();
    let spans = memory.finish();
    assert_eq!(state(only(&spans, "task_run.late")), "success");
    assert_eq!(state(only(&spans, "dag_run.shop")), "failed");
}

#[test]
fn what_is_still_open_at_the_end_is_lost() {
    let (dagtel, mut memory) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.start("stuck");
    let waiting = dagtel::TaskInstance::new("waiting");
    run.queued(&waiting);
    let spans = memory.finish();
    assert_eq!(state(only(&spans, "dag_run.shop")), "lost");
    assert_eq!(state(only(&spans, "task_run.stuck")), "lost");
    assert_eq!(text(only(&spans, "task_run.stuck"), "error.type"), Some("process_lost"));
    assert_eq!(state(only(&spans, "task_run.waiting")), "cancelled");
    task.success();
    run.success();
    assert_eq!(memory.finish(), [], "a late end makes no second version");
}
