//! What a collector gets, and what the report says of it.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::time::Duration;

use dagtel::DagRun;
use dagtel_receiver::Answer;
use dagtel_testkit::{Collector, Oracle, Value, text};
use support::{LONG, ManualClock, a_run, builder, spool};

#[test]
fn everything_is_delivered_once() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let dagtel = &dagtel;
            scope.spawn(move || (0..10).for_each(|run| a_run(dagtel, &format!("{thread}/{run}"), 30)));
        }
    });
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.spans.produced, report.spans.delivered), (40 * 31, 40 * 31));
    assert_eq!(report.last_error, None);
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(40 * 31));
    let finished = taken.value("airflow.ti.finish", &[("task_id", "part"), ("state", "success")]);
    assert_eq!(finished, Some(Value::Int(40 * 30)));
    assert_eq!(taken.value("airflow.dagrun.active", &[("dag_id", "shop")]), Some(Value::Int(0)));
}

#[test]
fn a_span_can_be_looked_up_by_the_id_that_its_handle_gave() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) =
        builder(collector.endpoint(), &spool).tag("team", "bi").resource("zone", "z1").install().unwrap();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let header = run.traceparent().unwrap();
    run.success();
    drop(guard);
    let taken = collector.taken();
    let spanned = taken.span(header.split('-').nth(2).unwrap()).unwrap();
    assert_eq!(spanned.span.name, "dag_run.shop");
    assert_eq!(text(&spanned.span.attributes, "team"), Some("bi"));
    assert_eq!(text(spanned.resource, "service.name"), Some("shop"));
    assert_eq!(text(spanned.resource, "zone"), Some("z1"));
    assert_eq!(taken.points("airflow.dagrun.active")[0].tags["team"], "bi");
}

#[test]
fn what_was_flushed_is_there() {
    let (spool, collector, clock) = (spool(), Collector::start(), ManualClock::new());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).clock(clock.reader()).install().unwrap();
    for run in 1..=3 {
        a_run(&dagtel, &run.to_string(), 5);
        clock.advance(60_000);
        assert!(dagtel.flush(LONG));
        assert_eq!(collector.taken().oracle(), Oracle::each_once(6 * run));
        assert_eq!((dagtel.spans().delivered, dagtel.spans().waiting()), (6 * run as u64, 0));
    }
    assert!(guard.shutdown().unwrap().is_complete());
    assert!(!dagtel.flush(LONG), "nobody is left to flush");
}

#[test]
fn instruments_of_the_engine_and_dagtels_own_arrive() {
    let (spool, collector, clock) = (spool(), Collector::start(), ManualClock::new());
    let (dagtel, guard) = builder(collector.endpoint(), &spool)
        .clock(clock.reader())
        .metric_interval(Duration::from_millis(20))
        .install()
        .unwrap();
    let rows = dagtel.meter("engine").u64_counter("rows.loaded").build();
    rows.add(40, &[opentelemetry::KeyValue::new("table", "orders")]);
    rows.add(2, &[opentelemetry::KeyValue::new("table", "orders")]);
    a_run(&dagtel, "monday", 3);
    clock.advance(60_000);
    let taken = collector.wait_for(|taken| {
        taken.value("rows.loaded", &[("table", "orders")]) == Some(Value::Int(42))
            && taken.value("dagtel.produced", &[("signal", "traces")]) == Some(Value::Int(4))
            && taken.value("dagtel.delivered", &[("signal", "traces")]) == Some(Value::Int(4))
    });
    assert!(guard.shutdown().unwrap().is_complete());
    assert_eq!(taken.oracle(), Oracle::each_once(4));
}

#[test]
fn drops_are_told_to_the_collector_with_their_reason() {
    let (spool, collector, clock) = (spool(), Collector::start(), ManualClock::new());
    let builder = builder(collector.endpoint(), &spool)
        .clock(clock.reader())
        .metric_interval(Duration::from_millis(20));
    let (dagtel, guard) = builder.install().unwrap();
    collector.answer_traces([Answer::Refuse { message: "no".into() }]);
    dagtel.start(DagRun::new("shop", "x".repeat(5000))).success();
    clock.advance(60_000);
    collector.wait_for(|taken| {
        let dropped = taken.value("dagtel.dropped", &[("signal", "traces"), ("reason", "refused")]);
        let cut = taken.value("dagtel.anomalies", &[("reason", "cut")]);
        dropped == Some(Value::Int(1)) && cut.is_some()
    });
    drop(guard);
}

#[test]
fn counted_and_live_metrics_have_one_resource() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool)
        .instance_id("one")
        .resource("env", "default")
        .resource("env", "prod")
        .resource("service.name", "not mine to say")
        .install()
        .unwrap();
    dagtel.meter("engine").u64_counter("rows.loaded").build().add(1, &[]);
    a_run(&dagtel, "monday", 1);
    drop(guard);
    let taken = collector.taken();
    let (live, counted) = (taken.points("rows.loaded"), taken.points("airflow.ti.start"));
    for key in ["service.name", "service.instance.id", "env"] {
        assert_eq!(live[0].resource.get(key), counted[0].resource.get(key), "{key}");
    }
    assert_eq!(counted[0].resource["service.name"], "engine");
    assert_eq!(counted[0].resource["env"], "prod");
}

#[test]
fn a_busy_collector_gets_everything_once_all_the_same() {
    let (spool, collector, clock) = (spool(), Collector::start(), ManualClock::new());
    let busy = || Answer::Busy { retry_after: Duration::ZERO };
    collector.answer_traces([busy(), busy()]);
    let (dagtel, guard) = builder(collector.endpoint(), &spool).clock(clock.reader()).install().unwrap();
    a_run(&dagtel, "monday", 9);
    clock.advance(60_000);
    assert!(dagtel.flush(LONG), "it is asked again until it takes them");
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(report.last_error.is_some(), "the report tells of the attempts that failed");
    assert_eq!(collector.taken().oracle(), Oracle::each_once(10));
}

#[test]
fn what_a_collector_rejects_is_dropped_and_the_rest_delivered() {
    let (spool, collector) = (spool(), Collector::start());
    collector.answer_traces([Answer::Partial { rejected: 3, message: "three are too old".into() }]);
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&dagtel, "monday", 9);
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.spans.delivered, report.spans.dropped), (10, 7, 3));
    assert_eq!(report.drops.get(&("traces", "rejected")), Some(&3));
    assert_eq!(report.last_error.as_deref(), Some("three are too old"));
    assert!(!report.is_complete());
    assert_eq!(collector.taken().oracle(), Oracle::each_once(10), "it is not sent again");
}

#[test]
fn what_a_collector_refuses_is_dropped_and_not_sent_again() {
    let (spool, collector) = (spool(), Collector::start());
    collector.answer_traces([Answer::Refuse { message: "not from you".into() }]);
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&dagtel, "monday", 9);
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.spans.delivered, report.spans.dropped), (10, 0, 10));
    assert_eq!(report.drops.get(&("traces", "refused")), Some(&10));
    assert!(report.last_error.unwrap().contains("not from you"));
    assert_eq!(report.metrics.dropped, 0, "what comes after it is delivered");
    assert_eq!(collector.taken().oracle(), Oracle::default());
}

#[test]
fn what_is_open_at_the_end_is_delivered_as_lost_and_what_comes_after_it_by_the_next_process() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.start("stuck");
    let report = guard.shutdown().unwrap();
    task.success();
    run.success();
    dagtel.start(DagRun::new("shop", "after the end")).success();
    drop(dagtel);
    assert_eq!(report.spans.delivered, 2);
    let taken = collector.taken();
    for name in ["dag_run.shop", "task_run.stuck"] {
        let found = taken.named(name);
        assert_eq!(found.len(), 1);
        assert_eq!(text(&found[0].span.attributes, "state"), Some("lost"), "{name}");
    }
    let (_, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.spans.delivered), (1, 1), "{report:?}");
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(3), "what was told as lost stays told");
    let states = taken.named("dag_run.shop").into_iter();
    let states: Vec<_> = states.filter_map(|spanned| text(&spanned.span.attributes, "state")).collect();
    assert_eq!(states, ["lost", "success"]);
}

#[test]
fn live_instruments_are_not_read_after_the_guard_is_gone() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) =
        builder(collector.endpoint(), &spool).metric_interval(Duration::from_millis(10)).install().unwrap();
    let (send, readings) = std::sync::mpsc::channel();
    let meter = dagtel.meter("engine");
    let _gauge = meter
        .u64_observable_gauge("rows")
        .with_callback(move |observer| {
            observer.observe(1, &[]);
            // The test may be over.
            let _ = send.send(());
        })
        .build();
    readings.recv_timeout(LONG).unwrap();
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.metrics.produced, report.metrics.delivered);
    readings.try_iter().for_each(drop);
    assert!(readings.recv_timeout(Duration::from_millis(200)).is_err(), "nobody would send what is read now");
}

#[test]
fn a_worker_runs_wherever_the_user_puts_it() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, worker) = builder(collector.endpoint(), &spool).build().unwrap();
    a_run(&dagtel, "monday", 4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    let report = runtime.block_on(worker.run(std::future::ready(())));
    assert_eq!((report.spans.delivered, report.endpoint), (5, collector.endpoint()));
    assert_eq!(collector.taken().oracle(), Oracle::each_once(5));
}
