//! A user's own SDK spans nest under the run and under the task.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use dagtel::{DagRun, Dagtel};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use support::{ManualClock, only};

#[test]
fn an_sdk_span_started_in_a_handles_context_is_its_child() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("users");
    let (dagtel, mut memory) = Dagtel::builder("test").clock(ManualClock::new().reader()).in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.start("load");
    tracer.start_with_context("query", &task.context()).end();
    tracer.start_with_context("plan", &run.context()).end();
    {
        let _attached = task.context().attach();
        tracer.in_span("outer", |outer: Context| {
            assert!(outer.span().span_context().is_sampled());
            tracer.start("inner").end();
        });
    }
    task.success();
    run.success();
    let spans = memory.finish();
    let (root, load) = (only(&spans, "dag_run.shop"), only(&spans, "task_run.load"));
    let theirs = exporter.get_finished_spans().unwrap();
    let find = |name: &str| theirs.iter().find(|span| span.name == name).unwrap();
    for (name, parent) in [
        ("query", load.span_id),
        ("plan", root.span_id),
        ("outer", load.span_id),
        ("inner", find("outer").span_context.span_id()),
    ] {
        let span = find(name);
        assert_eq!(span.span_context.trace_id(), root.trace_id, "{name}");
        assert_eq!(span.parent_span_id, parent, "{name}");
    }
}

#[test]
fn a_traceparent_names_the_span_that_will_come() {
    let (dagtel, mut memory) = Dagtel::builder("test").clock(ManualClock::new().reader()).in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.start("load");
    let (of_run, of_task) = (run.traceparent(), task.traceparent());
    task.success();
    run.success();
    let spans = memory.finish();
    for (name, header) in [("dag_run.shop", of_run), ("task_run.load", of_task)] {
        let span = only(&spans, name);
        assert_eq!(header, Some(format!("00-{}-{}-01", span.trace_id, span.span_id)));
    }
}
