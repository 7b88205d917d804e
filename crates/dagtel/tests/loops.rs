//! Passes of an engine's loops: whole traces of those that are told, errors of all, nothing of the rest.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dagtel::core::limits::PASS_SPANS;
use dagtel::{Builder, DagRun, Dagtel};
use dagtel_testkit::{Collector, Oracle, Taken, Value, text};
use support::{builder, spool};

/// What the collector has when an engine with these options has done its work and ended.
fn told(share: f64, options: impl FnOnce(Builder) -> Builder, work: impl FnOnce(&Dagtel)) -> Taken {
    let (spool, collector) = (spool(), Collector::start());
    let builder = options(builder(collector.endpoint(), &spool).loop_spans(share));
    let (dagtel, guard) = builder.install().unwrap();
    work(&dagtel);
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    let taken = collector.taken();
    assert_eq!(report.spans.delivered, taken.spans().count() as u64);
    taken
}

/// Of each span its name, the name of its parent, and its `error.type`, in the order of their begin.
fn shape(taken: &Taken) -> Vec<(String, String, String)> {
    let names: BTreeMap<_, _> =
        taken.spans().map(|spanned| (spanned.span.span_id.clone(), &spanned.span.name)).collect();
    let mut spans: Vec<_> = taken.spans().map(|spanned| spanned.span).collect();
    spans.sort_by_key(|span| (span.start_time_unix_nano, span.parent_span_id.len(), span.name.clone()));
    let parent = |id: &Vec<u8>| if id.is_empty() { "" } else { names.get(id).map_or("?", |name| name) };
    let told = spans.iter().map(|span| {
        let error = text(&span.attributes, "error.type").unwrap_or_default();
        (span.name.clone(), parent(&span.parent_span_id).to_owned(), error.to_owned())
    });
    told.collect()
}

fn row(name: &str, parent: &str, error: &str) -> (String, String, String) {
    (name.to_owned(), parent.to_owned(), error.to_owned())
}

#[test]
fn a_pass_is_a_trace_of_its_own_with_its_steps_in_it() {
    let taken = told(
        1.0,
        |builder| builder.namespace("prod").metric_interval(Duration::from_secs(3600)),
        |dagtel| {
            let pass = dagtel.scheduler_loop();
            pass.set_attribute("dag_runs", 1);
            pass.set_attribute("dag_runs", 2);
            let section =
                pass.step("critical_section").timed(dagtel.metrics().scheduler_critical_section_duration());
            std::thread::sleep(Duration::from_millis(2));
            section.step("queue").set_attribute("tasks", 7);
            drop(section);
            pass.step("executor_heartbeat").failed(&io::Error::other("no answer"));
        },
    );
    let expected = [
        row("scheduler.loop", "", ""),
        row("scheduler.critical_section", "scheduler.loop", ""),
        row("scheduler.queue", "scheduler.critical_section", ""),
        row("scheduler.executor_heartbeat", "scheduler.loop", "std::io::error::Error"),
    ];
    assert_eq!(shape(&taken), expected);
    assert_eq!(taken.oracle(), Oracle::each_once(4));
    let span = |name: &str| taken.named(name)[0];
    let pass = span("scheduler.loop");
    assert_eq!(text(pass.resource, "service.name"), Some("engine"));
    assert_eq!(text(pass.resource, "service.namespace"), Some("prod"));
    assert!(text(pass.resource, "service.instance.id").is_some());
    assert_eq!(pass.span.attributes.len(), 1, "{:?}", pass.span.attributes);
    assert!(taken.spans().all(|spanned| spanned.span.trace_id == pass.span.trace_id));
    let heartbeat = span("scheduler.executor_heartbeat").span;
    assert_eq!(heartbeat.status.as_ref().map(|status| &*status.message), Some("no answer"));
    assert_eq!((heartbeat.events.len(), &*heartbeat.events[0].name), (1, "exception"));
    assert_eq!(pass.span.status, None);
    let section = span("scheduler.critical_section").span;
    let within = |inner: &Vec<u64>| inner.iter().all(|at| at >= &pass.span.start_time_unix_nano);
    assert!(
        within(&vec![section.start_time_unix_nano])
            && section.end_time_unix_nano <= pass.span.end_time_unix_nano
    );
    assert!(section.end_time_unix_nano - section.start_time_unix_nano >= 2_000_000);
    let count = |name: &str| taken.value(&format!("airflow.{name}"), &[]);
    assert_eq!(count("scheduler_heartbeat"), Some(Value::Int(1)));
    for name in ["scheduler_loop_duration", "critical_section_duration"] {
        let Some(Value::Histogram(1, seconds)) = count(&format!("scheduler.{name}")) else {
            panic!("{name}")
        };
        assert!(seconds >= 0.002, "{name}: {seconds}");
    }
}

#[test]
fn each_loop_has_its_name_and_every_pass_its_trace() {
    let taken = told(
        1.0,
        |builder| builder,
        |dagtel| {
            for _ in 0..3 {
                drop(dagtel.dag_processor_loop().step("parse"));
                drop(dagtel.triggerer_loop());
            }
        },
    );
    let names = ["dag_processor.loop", "dag_processor.parse", "triggerer.loop"];
    assert_eq!(names.map(|name| taken.named(name).len()), [3; 3]);
    let mut traces: Vec<_> = taken.spans().map(|spanned| spanned.span.trace_id.clone()).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 6);
    assert_eq!(taken.value("airflow.dag_processor_heartbeat", &[]), Some(Value::Int(3)));
}

/// The share holds for short stretches as well, and what contains an error is told with it.
#[test]
fn of_the_other_passes_errors_are_told_with_what_contains_them() {
    let taken = told(
        0.1,
        |builder| builder,
        |dagtel| {
            for number in 0..100 {
                let pass = dagtel.scheduler_loop();
                let outer = pass.step("outer");
                drop(outer.step("before"));
                if number == 50 {
                    outer.step("inner").failed("broken");
                }
            }
        },
    );
    let errors: Vec<_> = taken.named("scheduler.inner");
    assert_eq!(errors.len(), 1);
    let of_error = |name: &str| {
        let spans = taken.named(name);
        spans.iter().filter(|found| found.span.trace_id == errors[0].span.trace_id).count()
    };
    let whole = taken.named("scheduler.before").len();
    assert!((8..=12).contains(&whole), "{whole} of 100");
    assert_eq!((of_error("scheduler.loop"), of_error("scheduler.outer")), (1, 1));
    assert_eq!(of_error("scheduler.before"), 0, "the pass was among those that are told anyway");
    assert!(shape(&taken).iter().all(|(_, parent, _)| parent != "?"), "{:?}", shape(&taken));
}

#[test]
fn an_error_of_the_pass_and_a_panic_are_told() {
    let taken = told(
        1e-9,
        |builder| builder,
        |dagtel| {
            drop(dagtel.scheduler_loop());
            dagtel.scheduler_loop().failed("the database is away");
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let pass = dagtel.triggerer_loop();
                let _step = pass.step("fire");
                panic!("as the test wants it");
            }));
            assert!(panicked.is_err());
        },
    );
    // The first pass of a loop is told whatever the share.
    let expected = [
        row("scheduler.loop", "", ""),
        row("scheduler.loop", "", "_OTHER"),
        row("triggerer.loop", "", "panic"),
        row("triggerer.fire", "triggerer.loop", "panic"),
    ];
    assert_eq!(shape(&taken), expected);
}

#[test]
fn nothing_is_told_by_default_and_when_traces_are_off() {
    let work = |dagtel: &Dagtel| dagtel.scheduler_loop().failed("broken");
    let taken = told(0.0, |builder| builder, work);
    assert_eq!(taken.spans().count(), 0);
    assert_eq!(taken.value("airflow.scheduler_heartbeat", &[]), Some(Value::Int(1)));
    let off = Dagtel::off();
    let pass = off.scheduler_loop();
    pass.step("nothing").failed("nobody is told");
    work(&off);
}

#[test]
fn a_pass_with_more_steps_than_there_is_room_for_says_how_many() {
    let taken = told(
        1.0,
        |builder| builder,
        |dagtel| {
            let pass = dagtel.scheduler_loop();
            for _ in 0..PASS_SPANS + 10 {
                drop(pass.step("dag_run"));
            }
        },
    );
    assert_eq!(taken.spans().count(), PASS_SPANS);
    let dropped = &taken.named("scheduler.loop")[0].span.attributes[0];
    assert_eq!(dropped.key, "dropped_steps");
    assert!(format!("{:?}", dropped.value).contains("IntValue(11)"), "{dropped:?}");
}

/// A process that only reports has no instruments, but its passes are told by whoever drains; and one that tells of no
/// passes makes no outbox.
#[test]
fn a_reporter_opens_the_outbox_when_it_is_needed() {
    let (spool, collector) = (spool(), Collector::start());
    let reporter = Dagtel::builder("beside").spool(spool.path()).loop_spans(1.0).reporter().unwrap();
    reporter.start(DagRun::new("d", "1")).success();
    let outbox = spool.path().join("outbox");
    assert!(spool.path().join("journal").exists() && !outbox.exists());
    drop(reporter.triggerer_loop());
    assert!(outbox.exists());
    let (_dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    collector
        .wait_for(|taken| taken.named("triggerer.loop").len() == 1 && taken.named("dag_run.d").len() == 1);
    drop(guard);
}
