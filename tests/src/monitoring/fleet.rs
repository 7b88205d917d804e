//! The fleet: every DAG of every deployment at a glance.

use dagtel_core::catalog::agent;
use dagtel_core::catalog::metric::Metric;

use super::grafana::{Choice, Dashboard, Row};
use super::panel::{Panel, lines, stack, stat, table};
use super::promql::{RANGE, Series, WINDOW, family, of};
use super::{common, jaeger, label, window};

/// Series of a metric, of the execution modes that were chosen.
fn chosen(metric: Metric) -> Series {
    of(metric).chosen(&["execution_mode"])
}

pub(super) fn dashboard() -> Dashboard {
    let mut variables = common();
    let modes =
        format!("label_values({}{{job=~\"$deployment\"}}, execution_mode)", of(Metric::TiStart).name());
    variables.extend([
        label("execution_mode", "Execution mode", &modes, Choice::SeveralOrNone),
        window(),
        jaeger(),
    ]);
    Dashboard {
        uid: "dagtel-fleet",
        title: "dagtel: fleet",
        about: "Every DAG of every deployment: what runs, what failed, what is slow.",
        variables,
        // A search in Jaeger is for one DAG: the rows of the table lead to it.
        traces: None,
        rows: vec![
            Row { title: "Now and in the time shown", panels: now() },
            Row { title: "DAGs", panels: dags() },
            Row { title: "Tasks", panels: tasks() },
        ],
    }
}

fn now() -> Vec<Panel> {
    let (success, failed) = (of(Metric::DagRunDurationSuccess), of(Metric::DagRunDurationFailed));
    let tries = |state: &str| chosen(Metric::TiFinish).with(&format!(r#"state="{state}""#)).growth("", RANGE);
    let healthy = family(&agent::COMPONENT_HEALTH).everywhere().min("");
    vec![
        stat("Runs in progress", "short", of(Metric::DagRunActive).sum("")),
        stat("Runs succeeded", "short", success.observations("", RANGE)),
        stat("Runs failed", "short", failed.observations("", RANGE)).bad_from(1.0),
        stat("Tries succeeded", "short", tries("success")),
        stat("Tries failed", "short", chosen(Metric::TiFailures).growth("", RANGE)).bad_from(1.0),
        stat("Retries", "short", tries("up_for_retry")),
        stat("OOM kills", "short", chosen(Metric::TaskOomKills).growth("", RANGE)).bad_from(1.0),
        stat("Agents are well", "bool_yes_no", healthy)
            .about("Whether every component of every agent is healthy."),
    ]
}

fn dags() -> Vec<Panel> {
    let (success, failed) = (of(Metric::DagRunDurationSuccess), of(Metric::DagRunDurationFailed));
    let delay = of(Metric::DagRunScheduleDelay);
    vec![
        stack("Runs that ended", "short")
            .and(success.observations("", WINDOW), "success")
            .and(failed.observations("", WINDOW), "failed"),
        lines("Time that successful runs took", "s")
            .and(success.quantile(0.5, "", WINDOW), "p50")
            .and(success.quantile(0.95, "", WINDOW), "p95"),
        stack("Runs in progress", "short").and(top(20, of(Metric::DagRunActive).sum("dag_id")), "{{dag_id}}"),
        table("DAGs in the time shown")
            .column(success.observations("dag_id", RANGE), "Succeeded", "short")
            .column(failed.observations("dag_id", RANGE), "Failed", "short")
            .column(success.mean("dag_id", RANGE), "Mean duration", "s")
            .column(success.quantile(0.95, "dag_id", RANGE), "Duration, p95", "s")
            .column(delay.mean("dag_id", RANGE), "Mean delay of the start", "s")
            .with_jaeger()
            .about("A DAG leads to its own dashboard, and to its runs in Jaeger."),
    ]
}

fn tasks() -> Vec<Panel> {
    let failures = chosen(Metric::TiFailures).growth("dag_id, task_id", RANGE);
    let oom = chosen(Metric::TaskOomKills).growth("dag_id, task_id", RANGE);
    let peak = chosen(Metric::TaskMemoryPeak);
    vec![
        stack("Tries that ended, by state", "short")
            .and(chosen(Metric::TiFinish).growth("state", WINDOW), "{{state}}"),
        stack("Tries that started, by execution mode", "short")
            .and(chosen(Metric::TiStart).growth("execution_mode", WINDOW), "{{execution_mode}}"),
        lines("The most memory of a try", "bytes")
            .and(top(10, peak.max("dag_id, task_id")), "{{dag_id}} {{task_id}}"),
        table("Tasks with trouble in the time shown")
            .column(top(20, failures), "Failed tries", "short")
            .column(top(20, oom), "OOM kills", "short")
            .column(top(20, peak.max("dag_id, task_id")), "Peak memory of the last try", "bytes")
            .about("A task leads to its own dashboard."),
    ]
}

/// The highest so many.
fn top(count: u32, expression: String) -> String {
    format!("topk({count}, {expression})")
}
