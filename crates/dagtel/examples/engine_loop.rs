//! A small engine: a scheduler's loop that runs a DAG of shell commands in a pool of two slots, and reports itself.
//!
//! `cargo run -p dagtel --example engine_loop` sends to `OTEL_EXPORTER_OTLP_ENDPOINT`, or to `http://127.0.0.1:4317`.

use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use dagtel::metrics::{ExecutorTasks, Metrics, PoolSlots};
use dagtel::{DagRun, Dagtel, Pass, RunHandle, TaskHandle, TaskInstance};

const POOL: &str = "two_slots";
const EXECUTOR: &str = "ShellExecutor";
const SLOTS: usize = 2;
const TICK: Duration = Duration::from_millis(20);

/// A task: its name, what it waits for, and what it does.
struct Task {
    name: &'static str,
    upstream: &'static [&'static str],
    command: &'static str,
}

/// Three tasks in the middle want the two slots; `load` cannot run because `report` fails.
const DAG: [Task; 6] = [
    Task { name: "extract", upstream: &[], command: "sleep 0.05" },
    Task { name: "customers", upstream: &["extract"], command: "sleep 0.3" },
    Task { name: "orders", upstream: &["extract"], command: "sleep 0.3" },
    Task { name: "items", upstream: &["extract"], command: "sleep 0.3" },
    Task { name: "report", upstream: &["customers"], command: "echo no paper >&2; exit 3" },
    Task { name: "load", upstream: &["orders", "items", "report"], command: "true" },
];

/// How far a task is.
enum Stage {
    /// For what is before it.
    Waiting,
    /// For a slot.
    Queued,
    Running(Child, TaskHandle),
    Succeeded,
    Failed,
}

/// Runs the DAG once. Returns the most tasks that ran at a time.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn run(dagtel: &Dagtel) -> io::Result<usize> {
    let metrics = dagtel.metrics();
    let (pool, executor) = (metrics.pool(POOL), metrics.executor(EXECUTOR));
    metrics.dagbag_size().set(1);
    metrics.job_start().add(1);
    let run = dagtel.start(DagRun::new("shell", "1").run_type("manual"));
    let mut stages: Vec<Stage> = DAG.iter().map(|_| Stage::Waiting).collect();
    let mut most = 0;
    while stages.iter().any(|stage| !matches!(stage, Stage::Succeeded | Stage::Failed)) {
        let pass = dagtel.scheduler_loop();
        reap(&pass, &metrics, &mut stages)?;
        let starving = schedule(&pass, &metrics, &run, &mut stages)?;
        let running = running(&stages);
        most = most.max(running);
        let (running, open) = (running as i64, (SLOTS - running) as i64);
        pool.set(PoolSlots { open, running, starving, ..PoolSlots::default() });
        executor.set(ExecutorTasks { open, running, ..ExecutorTasks::default() });
        metrics.scheduler_tasks_starving().set(starving);
        pass.set_attribute("tasks_running", running);
        drop(pass);
        thread::sleep(TICK);
    }
    if stages.iter().all(|stage| matches!(stage, Stage::Succeeded)) {
        run.success()
    } else {
        run.failed()
    }
    metrics.job_end().add(1);
    Ok(most)
}

/// Looks which processes have ended.
fn reap(pass: &Pass<'_>, metrics: &Metrics<'_>, stages: &mut [Stage]) -> io::Result<()> {
    let duration = metrics.scheduler_executor_heartbeat_duration(EXECUTOR);
    let _step = pass.step("executor_heartbeat").timed(duration);
    for stage in stages {
        let Stage::Running(child, _) = stage else { continue };
        let Some(status) = child.try_wait()? else { continue };
        let end = if status.success() { Stage::Succeeded } else { Stage::Failed };
        if let Stage::Running(_, handle) = std::mem::replace(stage, end) {
            if status.success() { handle.success() } else { handle.failed(format!("the command: {status}")) }
        }
    }
    Ok(())
}

/// Starts what may start. Returns how many task instances found no slot.
fn schedule(
    pass: &Pass<'_>,
    metrics: &Metrics<'_>,
    run: &RunHandle,
    stages: &mut [Stage],
) -> io::Result<i64> {
    let section = pass.step("critical_section").timed(metrics.scheduler_critical_section_duration());
    let mut starving = 0;
    for (place, Task { name, upstream, command }) in DAG.iter().enumerate() {
        if !matches!(stages[place], Stage::Waiting | Stage::Queued) {
            continue;
        }
        let described = TaskInstance::new(*name).operator("sh").pool(POOL).executor(EXECUTOR);
        let described = described.upstream(upstream.iter().copied());
        let before = || DAG.iter().zip(&*stages).filter(|(task, _)| upstream.contains(&task.name));
        if before().any(|(_, stage)| matches!(stage, Stage::Failed)) {
            run.upstream_failed(described);
            stages[place] = Stage::Failed;
        } else if before().all(|(_, stage)| matches!(stage, Stage::Succeeded)) {
            if matches!(stages[place], Stage::Waiting) {
                run.queued(&described);
                stages[place] = Stage::Queued;
            }
            if running(stages) < SLOTS {
                let step = section.step("start_process");
                step.set_attribute("task_id", *name);
                match Command::new("sh").args(["-c", command]).spawn() {
                    Ok(child) => stages[place] = Stage::Running(child, run.start(described)),
                    Err(error) => {
                        step.failed(&error);
                        return Err(error);
                    }
                }
            } else {
                starving += 1;
            }
        }
    }
    Ok(starving)
}

fn running(stages: &[Stage]) -> usize {
    stages.iter().filter(|stage| matches!(stage, Stage::Running(..))).count()
}

#[allow(dead_code, reason = "the test that runs this example begins elsewhere")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (dagtel, guard) = Dagtel::builder("engine-loop").loop_spans(1.0).install()?;
    println!("{} tasks ran side by side at most", run(&dagtel)?);
    if let Some(report) = guard.shutdown() {
        println!("spans: {:?}, to {}", report.spans, report.endpoint);
    }
    Ok(())
}
