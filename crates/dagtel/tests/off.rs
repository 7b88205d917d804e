//! Telemetry that is switched off: every call does nothing, and everything still works.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::time::{Duration, SystemTime};

use dagtel::{DagRun, Dagtel, Exception, Listener as _, Tally, TaskInstance};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};

#[test]
fn every_call_does_nothing() {
    for dagtel in [Dagtel::off(), Dagtel::default()] {
        assert!(!dagtel.is_on());
        let run = dagtel.start(DagRun::new("shop", "monday").queued_at(SystemTime::now()));
        let task = TaskInstance::new("a");
        run.scheduled(&task);
        run.queued(&task);
        run.skip("b");
        run.upstream_failed("c");
        run.set_attribute("k", 1i64);
        let task = run.start(task);
        task.set_attribute("k", "v");
        task.deferred();
        task.resumed();
        assert_eq!((run.traceparent(), task.traceparent()), (None, None));
        task.failed("why");
        run.start("d").retry(Exception::new("E", "m"));
        drop(run.start("e"));
        assert!(run.hand_over_task("f").is_none());
        run.failed_with("why");
        assert!(run.hand_over().is_none());
        assert!(dagtel.flush(Duration::ZERO), "there is nothing to wait for");
        assert_eq!(dagtel.spans(), Tally::default());
        dagtel.meter("engine").u64_counter("rows").build().add(1, &[]);
        dagtel.on_dag_run_running(&DagRun::new("shop", "monday"));
        dagtel.on_task_instance_failed(&DagRun::new("shop", "monday"), &TaskInstance::new("a"), None, true);
    }
}

#[test]
fn an_error_is_not_even_put_into_words() {
    struct Costly;
    impl From<Costly> for Exception {
        fn from(_: Costly) -> Self {
            panic!("nobody wants to know")
        }
    }
    let run = Dagtel::off().start(DagRun::new("shop", "monday"));
    run.start("a").failed(Costly);
    run.start("a").retry(Costly);
    run.start("a").timed_out(Costly);
}

#[test]
fn a_context_that_was_handed_over_may_be_taken_by_one_that_is_off() {
    let (on, _memory) = Dagtel::builder("test").in_memory();
    let run = on.start(DagRun::new("shop", "monday"));
    let task = run.hand_over_task("a").unwrap();
    Dagtel::off().take_over_task(task).success();
    let run = Dagtel::off().take_over(run.hand_over().unwrap());
    run.success();
    assert_eq!(run.traceparent(), None);
}

#[test]
fn contexts_are_those_of_the_caller() {
    let outer = SpanContext::new(
        TraceId::from_bytes([7; 16]),
        SpanId::from_bytes([7; 8]),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let run = Dagtel::off().start(DagRun::new("shop", "monday"));
    let task = run.start("a");
    assert!(!run.context().has_active_span() && !task.context().has_active_span());
    let _attached = opentelemetry::Context::new().with_remote_span_context(outer.clone()).attach();
    assert_eq!(run.context().span().span_context(), &outer);
    assert_eq!(task.context().span().span_context(), &outer);
}
