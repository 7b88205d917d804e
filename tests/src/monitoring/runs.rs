//! One DAG, and one task of it.

use dagtel_core::catalog::metric::Metric;
use serde_json::json;

use super::grafana::{Choice, Dashboard, Row, Variable};
use super::panel::{Panel, heatmap, lines, stack, stat, table};
use super::promql::{RANGE, Series, WINDOW, of};
use super::{common, jaeger, label, window};

fn variables(task: bool) -> Vec<Variable> {
    let started = |narrowed: &str, tag: &str| {
        let name = of(Metric::TiStart).name().to_owned();
        format!(r#"label_values({name}{{job=~"$deployment"{narrowed}}}, {tag})"#)
    };
    let mut variables = common();
    variables.push(label("dag_id", "DAG", &started("", "dag_id"), Choice::One));
    let mut narrowed = r#",dag_id="$dag_id""#.to_owned();
    if task {
        variables.push(label("task_id", "Task", &started(&narrowed, "task_id"), Choice::One));
        narrowed += r#",task_id="$task_id""#;
    }
    let modes = started(&narrowed, "execution_mode");
    variables.extend([
        label("execution_mode", "Execution mode", &modes, Choice::SeveralOrNone),
        window(),
        jaeger(),
    ]);
    variables
}

/// Series of the DAG.
fn of_dag(metric: Metric) -> Series {
    of(metric).chosen(&["dag_id", "execution_mode"])
}

/// Series of the task.
fn of_task(metric: Metric) -> Series {
    of(metric).chosen(&["dag_id", "task_id", "execution_mode"])
}

pub(super) fn dag() -> Dashboard {
    // A DAG's spans have its id as their service, unless the deployment wants it otherwise.
    let traces = json!({"refId": "A", "queryType": "search", "service": "${dag_id}", "operation": "dag_run.${dag_id}"});
    Dashboard {
        uid: "dagtel-dag",
        title: "dagtel: DAG",
        about: "The runs of one DAG, and its tasks beside each other.",
        variables: variables(false),
        traces: Some(("Runs in Jaeger", traces)),
        rows: vec![
            Row { title: "In the time shown", panels: dag_now() },
            Row { title: "Runs", panels: dag_runs() },
            Row { title: "Tasks", panels: dag_tasks() },
        ],
    }
}

fn dag_now() -> Vec<Panel> {
    let (success, failed) = (of_dag(Metric::DagRunDurationSuccess), of_dag(Metric::DagRunDurationFailed));
    vec![
        stat("Runs in progress", "short", of_dag(Metric::DagRunActive).sum("")),
        stat("Runs succeeded", "short", success.observations("", RANGE)),
        stat("Runs failed", "short", failed.observations("", RANGE)).bad_from(1.0),
        stat("Mean duration", "s", success.mean("", RANGE)).about("Of runs that succeeded."),
        stat("Mean delay of the start", "s", of_dag(Metric::DagRunScheduleDelay).mean("", RANGE))
            .about("From the end of the data interval to the start of the run."),
        stat("Tries failed", "short", of_dag(Metric::TiFailures).growth("", RANGE)).bad_from(1.0),
        stat("CPU time", "s", of_dag(Metric::TaskCpuTime).part("sum").growth("", RANGE))
            .about("User and system time of all tries together."),
        stat("OOM kills", "short", of_dag(Metric::TaskOomKills).growth("", RANGE)).bad_from(1.0),
    ]
}

fn dag_runs() -> Vec<Panel> {
    let (success, failed) = (of_dag(Metric::DagRunDurationSuccess), of_dag(Metric::DagRunDurationFailed));
    let delay = of_dag(Metric::DagRunScheduleDelay);
    let first = of_dag(Metric::DagRunFirstTaskStartDelay);
    vec![
        stack("Runs that ended", "short")
            .and(success.observations("", WINDOW), "success")
            .and(failed.observations("", WINDOW), "failed"),
        lines("Time that runs took", "s")
            .and(success.quantile(0.5, "", WINDOW), "success, p50")
            .and(success.quantile(0.95, "", WINDOW), "success, p95")
            .and(failed.quantile(0.95, "", WINDOW), "failed, p95"),
        lines("Time until runs and their first tasks start", "s")
            .and(delay.quantile(0.95, "", WINDOW), "run after its data interval, p95")
            .and(first.quantile(0.95, "", WINDOW), "first task after the run, p95"),
    ]
}

fn dag_tasks() -> Vec<Panel> {
    let task = "task_id";
    let duration = of_dag(Metric::TaskDuration);
    let queued = of_dag(Metric::TaskQueuedDuration);
    let peak = of_dag(Metric::TaskMemoryPeak);
    vec![
        stack("Tries that ended, by state", "short")
            .and(of_dag(Metric::TiFinish).growth("state", WINDOW), "{{state}}"),
        lines("Mean duration of tries", "s").and(duration.mean(task, WINDOW), "{{task_id}}"),
        lines("Mean time in the queue", "s").and(queued.mean(task, WINDOW), "{{task_id}}"),
        table("Tasks in the time shown")
            .column(of_dag(Metric::TiSuccesses).growth("dag_id, task_id", RANGE), "Succeeded", "short")
            .column(of_dag(Metric::TiFailures).growth("dag_id, task_id", RANGE), "Failed", "short")
            .column(duration.mean("dag_id, task_id", RANGE), "Mean duration", "s")
            .column(duration.quantile(0.95, "dag_id, task_id", RANGE), "Duration, p95", "s")
            .column(queued.mean("dag_id, task_id", RANGE), "Mean time in the queue", "s")
            .column(peak.max("dag_id, task_id"), "Peak memory of the last try", "bytes")
            .about("A task leads to its own dashboard."),
    ]
}

pub(super) fn task() -> Dashboard {
    let traces = json!({
        "refId": "A", "queryType": "search", "service": "${dag_id}", "tags": "task_id=\"${task_id}\"",
    });
    Dashboard {
        uid: "dagtel-task",
        title: "dagtel: task",
        about: "The tries of one task: how long, how often again, and what they used.",
        variables: variables(true),
        traces: Some(("Tries in Jaeger", traces)),
        rows: vec![
            Row { title: "In the time shown", panels: task_now() },
            Row { title: "Time", panels: task_time() },
            Row { title: "Tries and what they used", panels: task_use() },
        ],
    }
}

fn task_now() -> Vec<Panel> {
    let duration = of_task(Metric::TaskDuration);
    let retries = of_task(Metric::TiFinish).with(r#"state="up_for_retry""#);
    vec![
        stat("Tries succeeded", "short", of_task(Metric::TiSuccesses).growth("", RANGE)),
        stat("Tries failed", "short", of_task(Metric::TiFailures).growth("", RANGE)).bad_from(1.0),
        stat("Retries", "short", retries.growth("", RANGE)),
        stat("Mean duration", "s", duration.mean("", RANGE)),
        stat("Duration, p95", "s", duration.quantile(0.95, "", RANGE)),
        stat("Peak memory of the last try", "bytes", of_task(Metric::TaskMemoryPeak).max("")),
        stat("Mean CPU time", "s", of_task(Metric::TaskCpuTime).mean("", RANGE)),
        stat("OOM kills", "short", of_task(Metric::TaskOomKills).growth("", RANGE)).bad_from(1.0),
    ]
}

fn task_time() -> Vec<Panel> {
    let duration = of_task(Metric::TaskDuration);
    let (scheduled, queued) = (of_task(Metric::TaskScheduledDuration), of_task(Metric::TaskQueuedDuration));
    vec![
        lines("Duration of tries", "s")
            .and(duration.quantile(0.5, "", WINDOW), "p50")
            .and(duration.quantile(0.95, "", WINDOW), "p95")
            .and(duration.mean("", WINDOW), "mean"),
        heatmap("Distribution of durations", "s", duration.buckets("", WINDOW)),
        lines("Mean time before the start", "s")
            .and(scheduled.mean("", WINDOW), "scheduled")
            .and(queued.mean("", WINDOW), "queued"),
    ]
}

fn task_use() -> Vec<Panel> {
    let (cpu, duration) = (of_task(Metric::TaskCpuTime), of_task(Metric::TaskDuration));
    let cores =
        format!("{} / {}", cpu.part("sum").growth("", WINDOW), duration.part("sum").growth("", WINDOW));
    vec![
        stack("Tries that ended, by state", "short")
            .and(of_task(Metric::TiFinish).growth("state", WINDOW), "{{state}}"),
        lines("Memory", "bytes")
            .and(of_task(Metric::TaskMemoryPeak).max("method"), "peak of the last try ({{method}})")
            .and(of_task(Metric::TaskMemoryUsage).sum("method"), "in use by running tries ({{method}})")
            .about("Of all processes of a try together."),
        lines("CPUs in use by a running try", "short").and(cores, "CPUs"),
        lines("CPU time of tries", "s")
            .and(cpu.quantile(0.5, "", WINDOW), "p50")
            .and(cpu.quantile(0.95, "", WINDOW), "p95"),
        lines("OOM kills", "short").and(of_task(Metric::TaskOomKills).growth("", WINDOW), "killed"),
        stack("Tries by operator", "short")
            .and(of_task(Metric::OperatorSuccesses).growth("operator", WINDOW), "{{operator}} success")
            .and(of_task(Metric::OperatorFailures).growth("operator", WINDOW), "{{operator}} failed"),
    ]
}
