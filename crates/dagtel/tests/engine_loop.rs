//! The example engine, seen at the receiver.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../examples/engine_loop.rs"]
mod engine_loop;

use std::time::Duration;

use dagtel::Dagtel;
use dagtel_testkit::{Collector, Oracle, Value, text};

#[test]
fn the_example_schedules_processes_and_tells_of_its_scheduler() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let builder = Dagtel::builder("engine-loop").endpoint(collector.endpoint()).spool(spool.path());
    let (dagtel, guard) = builder
        .loop_spans(1.0)
        .metric_interval(Duration::from_millis(20))
        .shutdown_deadline(Duration::from_secs(15))
        .install()
        .unwrap();
    assert_eq!(engine_loop::run(&dagtel).unwrap(), 2);
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    let taken = collector.taken();
    let state = |name: &str| text(&taken.named(name)[0].span.attributes, "state").map(str::to_owned);
    let states =
        ["extract", "items", "report", "load"].map(|task| state(&format!("task_run.{task}")).unwrap());
    assert_eq!(states, ["success", "success", "failed", "upstream_failed"]);

    let pool = [("pool_name", "two_slots")];
    let seen = |name: &str| {
        let mut values: Vec<i64> = taken
            .points(name)
            .iter()
            .map(|point| if let Value::Int(value) = point.value { value } else { panic!("{point:?}") })
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    let (open, running) = (seen("airflow.pool.open_slots"), seen("airflow.pool.running_slots"));
    assert!(running.contains(&2) && open.contains(&0), "{open:?} {running:?}");
    assert!(open.iter().chain(&running).all(|slots| (0..=2).contains(slots)), "{open:?} {running:?}");
    assert!(seen("airflow.pool.starving_tasks").contains(&1));
    assert_eq!(seen("airflow.dagbag_size"), [1]);
    assert!(taken.value("airflow.pool.open_slots", &pool).is_some());
    let beats = taken.value("airflow.scheduler_heartbeat", &[]);
    for name in ["scheduler_loop_duration", "executor_heartbeat_duration", "critical_section_duration"] {
        let Some(Value::Histogram(count, _)) = taken.value(&format!("airflow.scheduler.{name}"), &[]) else {
            panic!("{name} did not come")
        };
        assert_eq!(beats, Some(Value::Int(count as i64)), "{name}");
    }
    let Some(Value::Int(passes)) = beats else { panic!("no heartbeat") };
    let passes = usize::try_from(passes).unwrap();
    for name in ["scheduler.loop", "scheduler.executor_heartbeat", "scheduler.critical_section"] {
        assert_eq!(taken.named(name).len(), passes, "{name}");
    }
    assert_eq!(taken.named("scheduler.start_process").len(), 5, "one task was never started");
    // The run and its six tasks besides, and what the executor did with five of them.
    assert_eq!(taken.oracle(), Oracle::each_once(3 * passes + 5 + 7 + 5));
    assert_eq!(taken.named("executor.ShellExecutor").len(), 5);
    for (name, jobs) in [("job_start", 1), ("job_end", 1)] {
        assert_eq!(taken.value(&format!("airflow.{name}"), &[]), Some(Value::Int(jobs)));
    }
}
