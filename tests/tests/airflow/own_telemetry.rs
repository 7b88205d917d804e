//! The same runs under Airflow's own OpenTelemetry, for comparison: nothing is asserted of it but that it was on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

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
    let theirs = settled_spans(&deployment);
    let ours: Vec<Span> = shown.iter().flat_map(|shown| shown.trace.spans.clone()).collect();
    table(&shown, &ours, &theirs);
}

/// Airflow's own spans, once none has come for a while: it sends when its processes feel like it.
fn settled_spans(deployment: &Deployment) -> Vec<Span> {
    const QUIET: Duration = Duration::from_secs(15);
    let mut last = (Instant::now(), 0);
    wait::until("Airflow's own spans", 2 * SOON, || {
        let traces = deployment.stack.traces().traces_of(SERVICE, 100)?;
        let spans = traces.into_iter().flat_map(|trace| trace.spans);
        let spans: Vec<Span> = spans.filter(|span| span.service == SERVICE).collect();
        if spans.len() != last.1 {
            last = (Instant::now(), spans.len());
        }
        let runs = spans.iter().filter(|span| span.operation.starts_with("dag_run.")).count();
        if runs == 2 && last.0.elapsed() > QUIET {
            Ok(spans)
        } else {
            Err(format!("{runs} runs, {} spans", last.1))
        }
    })
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
    let mut names = BTreeMap::<&str, usize>::new();
    theirs.iter().for_each(|span| *names.entry(&span.operation).or_default() += 1);
    println!("Airflow's spans: {names:?}");
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
