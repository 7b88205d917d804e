//! The collector is away for a minute, and the agent is restarted in the middle of it.

use std::time::{Duration, Instant};

use dagtel::core::id::RunIds;
use dagtel::core::key::RunKey;
use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_system_tests::Stack;
use dagtel_system_tests::agent::Agent;

/// Seconds of the outage, and spans in each: one run of so many spans a second.
const SECONDS: usize = 60;
const SPANS: usize = 1000;
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_minute_without_a_collector_loses_nothing() {
    let Some(mut stack) = Stack::start("outage") else { return };
    let spool = tempfile::tempdir().unwrap();
    let mut agent = Some(Agent::start(spool.path(), &stack.otlp_grpc()));
    let dagtel = Dagtel::builder("engine").spool(spool.path()).reporter().unwrap();
    stack.collector.kill();
    let away = Instant::now();
    let mut busy = Duration::ZERO;
    for second in 0..SECONDS {
        let began = Instant::now();
        write_run(&dagtel, second);
        busy += began.elapsed();
        if second == SECONDS / 2 {
            agent.take().into_iter().for_each(Agent::kill);
            agent = Some(Agent::start(spool.path(), &stack.otlp_grpc()));
        }
        // The load is a thousand spans a second, and the outage a minute: the pace is the scenario.
        let next = Duration::from_secs(second as u64 + 1);
        std::thread::sleep(next.saturating_sub(away.elapsed()));
    }
    let outage = away.elapsed();
    let memory = agent.as_ref().map(Agent::resident_kib);
    stack.collector.start();
    let back = Instant::now();
    let (mut shown, mut warnings) = (0, 0);
    for second in 0..SECONDS {
        let id = RunIds::of(&RunKey::new("outage", second.to_string())).trace_id.to_string();
        let trace = stack.traces().wait_for_trace(&id, |trace| trace.spans.len() >= SPANS, SOON);
        shown += trace.spans.len();
        warnings += trace.spans.iter().map(|span| span.warnings.len()).sum::<usize>();
    }
    println!(
        "collector away {:.1} s, agent restarted once: produced {}, shown {shown}, warnings {warnings}; all there {:.1} s \
         after it came back; the engine was busy reporting for {:.1} ms in all, the agent had {:?} KiB resident",
        outage.as_secs_f64(),
        SECONDS * SPANS,
        back.elapsed().as_secs_f64(),
        busy.as_secs_f64() * 1e3,
        memory
    );
    assert_eq!((shown, warnings), (SECONDS * SPANS, 0));
}

fn write_run(dagtel: &Dagtel, second: usize) {
    let run = dagtel.start(DagRun::new("outage", second.to_string()));
    for task in 1..SPANS {
        let task = i32::try_from(task).unwrap_or_default();
        run.start(TaskInstance::new("task").map_index(task).operator("bash")).success();
    }
    run.success();
}
