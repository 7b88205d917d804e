//! The example engine with its scheduler's loop, against the real Collector, Jaeger and Prometheus.

#[path = "../../crates/dagtel/examples/engine_loop.rs"]
mod engine_loop;

use std::time::Duration;

use dagtel::Dagtel;
use dagtel::core::id::RunIds;
use dagtel::core::key::RunKey;
use dagtel_system_tests::Stack;
use dagtel_system_tests::jaeger::Span;
use dagtel_system_tests::wait::until;

const LONG: Duration = Duration::from_secs(30);

#[test]
fn passes_of_the_scheduler_are_traces_beside_those_of_runs() {
    let Some(stack) = Stack::start("passes_of_the_scheduler") else { return };
    let spool = stack.directory().join("spool");
    let builder = Dagtel::builder("engine-loop").endpoint(stack.otlp_grpc()).spool(spool).loop_spans(1.0);
    let (dagtel, guard) = builder.shutdown_deadline(LONG).install().unwrap();
    engine_loop::run(&dagtel).unwrap();
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");

    let beats = stack.series().wait_for("airflow_scheduler_heartbeat_total", |beats| !beats.is_empty(), LONG);
    let passes = beats[0].value as usize;
    let traces = until("a trace of every pass", LONG, || {
        let traces = stack.traces().traces_of("engine-loop", 10_000)?;
        if traces.len() == passes { Ok(traces) } else { Err(format!("{} of {passes}", traces.len())) }
    });
    let mut started = Vec::new();
    for trace in &traces {
        let pass = trace.span("scheduler.loop");
        let section = trace.span("scheduler.critical_section");
        assert_eq!(pass.parent(), None);
        for step in [section, trace.span("scheduler.executor_heartbeat")] {
            assert_eq!(step.parent(), Some(&*pass.id));
            assert!(step.start_us >= pass.start_us && step.duration_us <= pass.duration_us, "{step:?}");
        }
        let processes = trace.spans.iter().filter(|span| span.operation == "scheduler.start_process");
        for process in processes {
            assert_eq!(process.parent(), Some(&*section.id));
            started.push(process.tags["task_id"].as_str().unwrap_or_default().to_owned());
        }
        assert!(trace.spans.iter().all(|span| span.warnings.is_empty()), "{trace:?}");
    }
    started.sort();
    assert_eq!(started, ["customers", "extract", "items", "orders", "report"]);
    let run = RunIds::of(&RunKey::new("shell", "1")).trace_id.to_string();
    // The run, six tasks, and what the executor did with the five that started.
    let trace = stack.traces().wait_for_trace(&run, |trace| trace.spans.len() == 12, LONG);
    for task in &started {
        let tried = trace.span(&format!("task_run.{task}"));
        let of_task =
            |span: &&Span| span.operation == "executor.ShellExecutor" && span.tags["task_id"] == **task;
        let executors: Vec<_> = trace.spans.iter().filter(of_task).collect();
        let [executor] = executors[..] else { panic!("{task}: {executors:?}") };
        assert_eq!(executor.parent(), tried.parent());
        // Jaeger cuts nanoseconds off.
        assert!(
            (executor.start_us + executor.duration_us).abs_diff(tried.start_us) <= 1,
            "{executor:?} {tried:?}"
        );
    }
    assert!(trace.spans.iter().all(|span| span.warnings.is_empty()), "{trace:?}");
    println!("{passes} passes of the scheduler, each a trace of its own, and the run's beside them");
}
