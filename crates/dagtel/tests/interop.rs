//! OpenTelemetry's own exporters, delivered through the spool.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::time::Duration;

use dagtel::{Dagtel, OutboxClient};
use dagtel_testkit::{Collector, Oracle, text};
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use support::{a_run, builder, nowhere, spool};

/// The tracer provider of a user who sends through dagtel.
fn provider(client: OutboxClient) -> SdkTracerProvider {
    let exporter = SpanExporter::builder().with_http().with_http_client(client).build().unwrap();
    let resource = Resource::builder_empty().with_service_name("users").build();
    SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()
}

#[test]
fn spans_of_an_sdk_exporter_are_delivered_through_the_spool() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    let theirs = provider(dagtel.outbox_client().unwrap());
    let tracer = theirs.tracer("users");
    let run = dagtel.start(dagtel::DagRun::new("shop", "monday"));
    let task = run.start("load");
    for n in 0..20 {
        tracer.start_with_context(format!("query {n}"), &task.context()).end();
    }
    let parent = task.context().span().span_context().span_id();
    task.success();
    run.success();
    theirs.shutdown().unwrap();
    let report = guard.shutdown().unwrap();
    assert_eq!(report.last_error, None);
    assert!(report.drops.is_empty(), "{report:?}");
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(22));
    for n in 0..20 {
        let found = taken.named(&format!("query {n}"));
        assert_eq!(found[0].span.parent_span_id, parent.to_bytes());
        assert_eq!(text(found[0].resource, "service.name"), Some("users"));
    }
    // An SDK's request is counted as one, however many spans it holds.
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.spans.waiting(), 0);
}

#[test]
fn they_wait_on_disk_for_a_collector_that_is_away() {
    let spool = spool();
    let builder_away = builder(format!("http://{}", nowhere()), &spool);
    let (dagtel, guard) = builder_away.shutdown_deadline(Duration::from_millis(200)).install().unwrap();
    let theirs = provider(dagtel.outbox_client().unwrap());
    theirs.tracer("users").start("query").end();
    theirs.shutdown().unwrap();
    let report = guard.shutdown().unwrap();
    assert!(report.spans.waiting() > 0 && !report.is_complete(), "{report:?}");
    drop((dagtel, theirs));
    let collector = Collector::start();
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&dagtel, "monday", 1);
    assert!(guard.shutdown().unwrap().is_complete());
    let taken = collector.taken();
    assert_eq!((taken.oracle(), taken.named("query").len()), (Oracle::each_once(3), 1));
}

#[test]
fn there_is_no_outbox_when_telemetry_is_off_or_in_memory() {
    assert!(Dagtel::off().outbox_client().is_none());
    let (dagtel, _memory) = Dagtel::builder("test").in_memory();
    assert!(dagtel.outbox_client().is_none());
}
