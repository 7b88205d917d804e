//! Listeners, both ways: dagtel as an engine's listener, and a user's listener told by dagtel.

mod support;

use std::sync::{Arc, Mutex, PoisonError};

use dagtel::{DagRun, Dagtel, Exception, InMemory, Listener, TaskInstance};
use support::{ManualClock, named, only, state, text};

fn in_memory() -> (Dagtel, InMemory, ManualClock) {
    let clock = ManualClock::new();
    let (dagtel, memory) = Dagtel::builder("test").clock(clock.reader()).in_memory();
    (dagtel, memory, clock)
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn kind(error: Option<&Exception>) -> &str {
    error.map_or("-", |error| error.kind.as_str())
}

impl Listener for Notes {
    fn on_dag_run_running(&self, run: &DagRun) {
        self.note(format!("run {} running", run.key().run_id));
    }

    fn on_dag_run_success(&self, run: &DagRun) {
        self.note(format!("run {} success", run.key().run_id));
    }

    fn on_dag_run_failed(&self, run: &DagRun, error: Option<&Exception>) {
        self.note(format!("run {} failed {}", run.key().run_id, kind(error)));
    }

    fn on_dag_run_skipped(&self, run: &DagRun) {
        self.note(format!("run {} skipped", run.key().run_id));
    }

    fn on_task_instance_running(&self, _: &DagRun, task: &TaskInstance) {
        self.note(format!("{} running", task.key().task_id));
    }

    fn on_task_instance_success(&self, _: &DagRun, task: &TaskInstance) {
        self.note(format!("{} success", task.key().task_id));
    }

    fn on_task_instance_failed(
        &self,
        _: &DagRun,
        task: &TaskInstance,
        error: Option<&Exception>,
        will_retry: bool,
    ) {
        self.note(format!("{} failed {} {will_retry}", task.key().task_id, kind(error)));
    }

    fn on_task_instance_skipped(&self, _: &DagRun, task: &TaskInstance) {
        self.note(format!("{} skipped", task.key().task_id));
    }
}

struct Panics;

impl Listener for Panics {
    fn on_dag_run_running(&self, _: &DagRun) {
        std::panic::resume_unwind(Box::new("a listener with a bug"));
    }

    fn on_task_instance_success(&self, _: &DagRun, _: &TaskInstance) {
        std::panic::resume_unwind(Box::new("a listener with a bug"));
    }
}

#[test]
fn an_engine_with_hooks_calls_dagtel_as_its_listener() {
    let (dagtel, mut memory, clock) = in_memory();
    let engine: &dyn Listener = &dagtel;
    let run = DagRun::new("shop", "monday").run_type("manual");
    let (first, second) = (TaskInstance::new("flaky"), TaskInstance::new("flaky").try_number(2));
    let error = Exception::new("HttpError", "503");
    engine.on_dag_run_running(&run);
    clock.advance(1000);
    engine.on_task_instance_running(&run, &first);
    clock.advance(1000);
    engine.on_task_instance_failed(&run, &first, Some(&error), true);
    engine.on_task_instance_running(&run, &second);
    clock.advance(1000);
    engine.on_task_instance_success(&run, &second);
    engine.on_task_instance_running(&run, &TaskInstance::new("bad"));
    engine.on_task_instance_failed(&run, &TaskInstance::new("bad"), None, false);
    engine.on_task_instance_skipped(&run, &TaskInstance::new("skipped").try_number(0));
    engine.on_dag_run_failed(&run, Some(&Exception::new("RunError", "bad failed")));
    let spans = memory.finish();
    let tries = named(&spans, "task_run.flaky");
    assert_eq!(tries.iter().map(|span| state(span)).collect::<Vec<_>>(), ["up_for_retry", "success"]);
    assert_eq!(text(tries[0], "error.type"), Some("HttpError"));
    assert_eq!(state(only(&spans, "task_run.bad")), "failed");
    assert_eq!(state(only(&spans, "task_run.skipped")), "skipped");
    let root = only(&spans, "dag_run.shop");
    assert_eq!(
        (state(root), text(root, "error.type"), text(root, "run_type")),
        ("failed", Some("RunError"), Some("manual"))
    );
    assert_eq!(memory.anomalies(), []);
}

#[test]
fn every_end_of_a_run_may_be_told_by_a_hook() {
    let (dagtel, mut memory, _) = in_memory();
    let run = |id: &'static str| DagRun::new("shop", id);
    for id in ["1", "2", "3"] {
        dagtel.on_dag_run_running(&run(id));
    }
    dagtel.on_dag_run_success(&run("1"));
    dagtel.on_dag_run_failed(&run("2"), None);
    dagtel.on_dag_run_skipped(&run("3"));
    assert_eq!(memory.finish().iter().map(state).collect::<Vec<_>>(), ["success", "failed", "skipped"]);
}

#[test]
fn a_hook_tells_when_the_run_was_queued_as_a_handle_does() {
    let (dagtel, mut memory, clock) = in_memory();
    let run = |id: &'static str| DagRun::new("shop", id).queued_at(clock.now());
    let (by_hook, by_handle) = (run("hook"), run("handle"));
    clock.advance(3000);
    dagtel.on_dag_run_running(&by_hook);
    dagtel.on_dag_run_success(&by_hook);
    dagtel.start(by_handle).success();
    let spans = memory.finish();
    let events: Vec<_> = spans[0].events.iter().map(|event| (event.at, event.name)).collect();
    assert_eq!(events, spans[1].events.iter().map(|event| (event.at, event.name)).collect::<Vec<_>>());
    assert_eq!((events[0].1, spans[0].start), ("queued", spans[1].start));
}

#[test]
fn a_users_listener_is_told_of_everything_that_handles_report() {
    let notes = Notes::default();
    let (dagtel, _memory) = Dagtel::builder("test").listener(notes.clone()).in_memory();
    let run = dagtel.start(DagRun::new("shop", "1"));
    run.start("a").success();
    run.start("b").retry(Exception::new("E", "m"));
    run.start("c").failed(Exception::new("F", "m"));
    run.start("d").skipped();
    run.skip("e");
    drop(run.start("f"));
    run.failed_with(Exception::new("R", "m"));
    dagtel.start(DagRun::new("shop", "2")).success();
    dagtel.start(DagRun::new("shop", "3")).skipped();
    let expected = [
        "run 1 running",
        "a running",
        "a success",
        "b running",
        "b failed E true",
        "c running",
        "c failed F false",
        "d running",
        "d skipped",
        "e skipped",
        "f running",
        "f failed handle_dropped false",
        "run 1 failed R",
        "run 2 running",
        "run 2 success",
        "run 3 running",
        "run 3 skipped",
    ];
    assert_eq!(notes.taken(), expected);
}

#[test]
fn a_users_listener_is_told_of_everything_that_hooks_report() {
    let notes = Notes::default();
    let (dagtel, _memory) = Dagtel::builder("test").listener(notes.clone()).in_memory();
    let (run, task) = (DagRun::new("shop", "1"), TaskInstance::new("a"));
    dagtel.on_dag_run_running(&run);
    dagtel.on_task_instance_running(&run, &task);
    dagtel.on_task_instance_success(&run, &task);
    dagtel.on_dag_run_success(&run);
    assert_eq!(notes.taken(), ["run 1 running", "a running", "a success", "run 1 success"]);
}

#[test]
fn a_listener_that_panics_disturbs_nobody() {
    let notes = Notes::default();
    let (dagtel, mut memory) = Dagtel::builder("test").listener(Panics).listener(notes.clone()).in_memory();
    let run = dagtel.start(DagRun::new("shop", "1"));
    run.start("a").success();
    run.success();
    assert_eq!(notes.taken(), ["run 1 running", "a running", "a success", "run 1 success"]);
    let spans = memory.finish();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| state(span) == "success"));
}
