//! The same runs under Airflow's own OpenTelemetry, for comparison: nothing is asserted of it but that it was on.

use std::collections::{BTreeMap, BTreeSet};

use dagtel_system_tests::jaeger::Span;
use dagtel_system_tests::wait;

use crate::deployment::{Deployment, SOON};
use crate::shown::{Shown, row};
use crate::{RUN, RUNS_END, slow};

const SERVICE: &str = "airflow-own";

#[test]
fn beside_airflows_own_opentelemetry() {
    if !slow("beside_airflows_own_opentelemetry") {
        return;
    }
    let deployment = Deployment::start("airflow_own", |stack| {
        vec![
            ("AIRFLOW__TRACES__OTEL_ON", "True".into()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", stack.otlp_grpc()),
            ("OTEL_SERVICE_NAME", SERVICE.into()),
            ("OTEL_BSP_SCHEDULE_DELAY", "1000".into()),
        ]
    });
    let Some(deployment) = deployment else { return };
    for dag_id in ["fails", "kinds"] {
        deployment.airflow.trigger(dag_id, RUN);
    }
    let rows = deployment.airflow.wait_for_runs(&[("fails", RUN, 0), ("kinds", RUN, 0)], RUNS_END);
    let shown = [
        deployment.check(&rows, row(&rows, "fails", RUN), &[]),
        deployment.check(&rows, row(&rows, "kinds", RUN), &["task_run.inner", "by_hand"]),
    ];
    // It sends when its processes feel like it; a run's own span comes last.
    let theirs = wait::until("Airflow's own spans of both runs", SOON, || {
        let traces = deployment.stack.traces().traces_of(SERVICE, 100)?;
        let spans: Vec<Span> = traces.into_iter().flat_map(|trace| trace.spans).collect();
        let spans: Vec<Span> = spans.into_iter().filter(|span| span.service == SERVICE).collect();
        let runs = spans.iter().filter(|span| span.operation.starts_with("dag_run.")).count();
        if runs == 2 { Ok(spans) } else { Err(format!("{runs} runs, {} spans", spans.len())) }
    });
    let ours: Vec<Span> = shown.iter().flat_map(|shown| shown.trace.spans.clone()).collect();
    table(&shown, &ours, &theirs);
}

fn table(shown: &[Shown], ours: &[Span], theirs: &[Span]) {
    let expected: usize = shown.iter().map(|shown| shown.attempt.tries.len()).sum();
    println!("{:44} {:>8} {:>8}", format!("{expected} tries in the database"), "dagtel", "Airflow");
    let line = |what: &str, count: fn(&[Span]) -> usize| {
        println!("{what:44} {:>8} {:>8}", count(ours), count(theirs));
    };
    line("spans", |spans| spans.len());
    line("spans of tries (task_run.*)", |spans| tries(spans).count());
    line("distinct ids among these", |spans| {
        tries(spans).map(|span| span.id.as_str()).collect::<BTreeSet<_>>().len()
    });
    let missing = |spans: &[Span]| {
        let mut left = BTreeMap::<String, usize>::new();
        tries(spans).for_each(|span| *left.entry(span.operation.clone()).or_default() += 1);
        let names =
            shown.iter().flat_map(|shown| shown.attempt.tries.keys()).map(|key| match key.map_index {
                -1 => format!("task_run.{}", key.task_id),
                index => format!("task_run.{}[{index}]", key.task_id),
            });
        names
            .filter(|name| {
                left.get_mut(name).is_none_or(|left| left.checked_sub(1).map(|n| *left = n).is_none())
            })
            .collect()
    };
    let (our_missing, their_missing): (Vec<String>, Vec<String>) = (missing(ours), missing(theirs));
    println!("{:44} {:>8} {:>8}", "tries without a span", our_missing.len(), their_missing.len());
    line("links", |spans| spans.iter().map(|span| span.links().count()).sum());
    line("skipped tries marked as errors", |spans| {
        tries(spans).filter(|span| is_skipped(span) && span.tags.contains_key("error")).count()
    });
    line("Jaeger warnings", |spans| spans.iter().map(|span| span.warnings.len()).sum());
    println!("Airflow has no span for: {}", their_missing.join(", "));
    assert!(our_missing.is_empty());
}

fn tries(spans: &[Span]) -> impl Iterator<Item = &Span> {
    let inner = |span: &&Span| span.operation == "task_run.inner";
    spans.iter().filter(|span| span.operation.starts_with("task_run.")).filter(move |span| !inner(span))
}

fn is_skipped(span: &Span) -> bool {
    let state = |key: &str| span.tags.get(key).and_then(|state| state.as_str()) == Some("skipped");
    state("state") || state("airflow.task_instance.state")
}
